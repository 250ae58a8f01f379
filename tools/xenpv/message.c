/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "os_thread.h"
#include "store.h"

bool message_key_is_good(const char *key)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = strlen(key);

    return length >= 1 && length <= MESSAGE_KEY_MAX && strspn(key, good) == length;
}

void mailbox_open(struct mailbox *mailbox, struct machine *machine, bool sends)
{
    const struct options *options = machine->options;
    bool outside = (options->given & OPTION_DOMAIN) != 0;

    *mailbox = (struct mailbox){.machine = machine};
    if (outside)
        snprintf(mailbox->home, sizeof(mailbox->home), "/local/domain/%u", options->domain);
    snprintf(mailbox->path, sizeof(mailbox->path), "%s%sdata/message/%s", mailbox->home,
             outside ? "/" : "", sends == outside ? "to-guest" : "from-guest");
}

/* 0: it is there. */
static int find(struct mailbox *mailbox, const char *path)
{
    uint32_t length;
    char *value = NULL;
    int error = store_get(mailbox->machine, XENPV_STORE_READ, path, &value, &length);

    free(value);
    return error;
}

int mailbox_check(struct mailbox *mailbox)
{
    return mailbox->home[0] ? find(mailbox, mailbox->home) : 0;
}

int mailbox_put(struct mailbox *mailbox, struct message *message)
{
    char path[MESSAGE_PATH_MAX];
    struct xenpv_store_op op = {
        .type = XENPV_STORE_WRITE, .dir = path, .value = message->value, .length = message->length};
    int error;

    /* In the order of the time, and no two are the same. */
    snprintf(message->id, sizeof(message->id), "%016" PRIx64 "-%" PRIx32, os_now_ns(),
             os_process());
    snprintf(path, sizeof(path), "%s/%s/%s", mailbox->path, message->key, message->id);
    error = store_run(mailbox->machine, &op, 1, false);
    return error ? error : op.status;
}

int mailbox_look(struct mailbox *mailbox, const struct message *message)
{
    char path[MESSAGE_PATH_MAX];
    int error;

    snprintf(path, sizeof(path), "%s/%s/%s", mailbox->path, message->key, message->id);
    error = find(mailbox, path);
    if (error != XENPV_ENOENT)
        return error ? error : XENPV_PENDING;
    /* Who receives leaves the key's directory. */
    snprintf(path, sizeof(path), "%s/%s", mailbox->path, message->key);
    error = find(mailbox, path);
    if (error != XENPV_ENOENT)
        return error;
    error = mailbox_check(mailbox);
    return error ? error : XENPV_EAGAIN;
}

/* The first name of a list in the order of their bytes, behind `after`; NULL: there is none. */
static const char *next_name(const char *names, uint32_t length, const char *after)
{
    const char *first = NULL;

    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(names + at) + 1)
        if (strcmp(names + at, after) > 0 && (!first || strcmp(names + at, first) < 0))
            first = names + at;
    return first;
}

/* Reads and removes one: XENPV_PENDING: another receiver was faster. */
static int take(struct mailbox *mailbox, const char *path, struct message *message)
{
    struct machine *machine = mailbox->machine;
    struct xenpv_store_op ops[] = {{.type = XENPV_STORE_READ,
                                    .dir = path,
                                    .value = message->value,
                                    .capacity = sizeof(message->value)},
                                   {.type = XENPV_STORE_RM, .dir = path}};
    bool transaction = (machine->port.caps & XENPV_CAP_TRANSACTIONS) != 0;
    int error = store_run(machine, ops, 2, transaction);

    if (error)
        return error;
    if (ops[0].status == XENPV_ENOENT)
        return XENPV_PENDING;
    if (ops[0].status && ops[0].status != XENPV_E2BIG)
        return ops[0].status;
    message->length = ops[0].status ? ops[0].capacity : ops[0].length;
    return ops[1].status;
}

/* The oldest of a key. */
static int take_of(struct mailbox *mailbox, const char *key, struct message *message)
{
    char dir[MESSAGE_PATH_MAX], path[XENPV_STORE_PATH_MAX + MESSAGE_PATH_MAX], *names;
    const char *name = "";
    uint32_t length;
    int error;

    snprintf(dir, sizeof(dir), "%s/%s", mailbox->path, key);
    error = store_get(mailbox->machine, XENPV_STORE_LIST, dir, &names, &length);
    if (error)
        return error == XENPV_ENOENT ? XENPV_PENDING : error;
    error = XENPV_PENDING;
    while (error == XENPV_PENDING && (name = next_name(names, length, name)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        error = take(mailbox, path, message);
        snprintf(message->id, sizeof(message->id), "%s", name);
    }
    free(names);
    return error;
}

int mailbox_take(struct mailbox *mailbox, struct message *message)
{
    const char *key = "";
    uint32_t length;
    char *keys;
    int error;

    if (message->key[0])
        return take_of(mailbox, message->key, message);
    error = store_get(mailbox->machine, XENPV_STORE_LIST, mailbox->path, &keys, &length);
    if (error)
        return error == XENPV_ENOENT ? XENPV_PENDING : error;
    error = XENPV_PENDING;
    while (error == XENPV_PENDING && (key = next_name(keys, length, key)) != NULL)
        if (message_key_is_good(key))
            error = take_of(mailbox, key, message);
    if (error == 0)
        snprintf(message->key, sizeof(message->key), "%s", key);
    free(keys);
    return error;
}
