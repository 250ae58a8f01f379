/* SPDX-License-Identifier: MIT */
/*
 * Requests go through xenpv_xs_request as they are, and are at their end before `send` returns. A
 * watch is one of the store's; the token stays here, for the client has its own. Events are told
 * watch by watch: their order across watches is nothing that the client keeps.
 */
#include "links_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCHES 256u

struct watch {
    bool used;
    char dir[XENPV_STORE_PATH_MAX], token[XENSTORE_PAYLOAD_MAX];
};

struct link {
    const struct ring *ring;
    struct xenpv_xs *xs;
    void *memory;
    bool closed;
    struct watch watches[WATCHES]; /* the first is the barrier's */
    size_t have;
    char in[65536];
};

static const struct xenpv_store_ops *const store = &xenpv_xs_store_ops;

/* Every call of the client has looked at the ring already. False: nothing more will happen. */
static bool turn(struct link *link)
{
    bool more = xenpv_xs_deadline(link->xs) == 0 || link->ring->wait(link->ring->ctx);

    xenpv_xs_step(link->xs, 0);
    link->closed |= xenpv_xs_detail(link->xs)->error != 0;
    return more && !link->closed;
}

static bool has_room(const struct link *link)
{
    return sizeof(link->in) - link->have >= sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX;
}

static void put(struct link *link, struct xsd_sockmsg header, const char *bytes, size_t count)
{
    if (!has_room(link))
        abort();
    header.len = (uint32_t)count;
    memcpy(link->in + link->have, &header, sizeof(header));
    memcpy(link->in + link->have + sizeof(header), bytes, count);
    link->have += sizeof(header) + count;
}

/* ---------------------------------------------------------------------------------- requests -- */

/* What there is no answer for: as errno of write(). */
static int refused(struct link *link, int error)
{
    if (error == XENPV_EINVAL)
        return EINVAL;
    if (error == XENPV_E2BIG)
        return E2BIG;
    link->closed = true;
    return 0;
}

static int request(struct link *link, const struct xsd_sockmsg *header, const char *payload)
{
    char reply[XENSTORE_PAYLOAD_MAX];
    struct xenpv_xs_request asked = {.type = header->type,
                                     .tx = header->tx_id,
                                     .payload = payload,
                                     .length = header->len,
                                     .reply = reply,
                                     .capacity = sizeof(reply)};
    struct xsd_sockmsg answer = *header;
    int rc = xenpv_xs_request(link->xs, &asked);
    bool more = true;

    while (rc == XENPV_PENDING && more) {
        more = turn(link);
        rc = xenpv_xs_request_check(link->xs, &asked);
    }
    if (rc == XENPV_PENDING) {
        xenpv_xs_request_cancel(link->xs, &asked);
        return 0;
    }
    if (asked.status != XENPV_OK && asked.reply_length == 0)
        return refused(link, asked.status);
    answer.type = asked.reply_type;
    put(link, answer, reply, asked.reply_length);
    return 0;
}

static struct watch *find(struct link *link, const char *dir, const char *token)
{
    for (unsigned i = 0; i < WATCHES; i++) {
        struct watch *watch = &link->watches[i];

        if (watch->used && strcmp(watch->dir, dir) == 0 && strcmp(watch->token, token) == 0)
            return watch;
    }
    return NULL;
}

static struct watch *unused(struct link *link, const char *token)
{
    struct watch *watch = link->watches;

    if (strcmp(token, BARRIER) == 0)
        return watch;
    do {
        if (++watch == link->watches + WATCHES)
            abort();
    } while (watch->used);
    return watch;
}

static int watch(struct link *link, const struct xsd_sockmsg *header, const char *dir)
{
    const char *token = dir + strlen(dir) + 1;
    struct watch *made = unused(link, token);
    struct xsd_sockmsg answer = *header;
    int error = store->watch(link->xs, dir, made);
    bool more = true;

    if (error != XENPV_OK)
        return refused(link, error);
    while ((error = xenpv_xs_watch_status(link->xs, made)) == XENPV_PENDING && more)
        more = turn(link);
    if (error == XENPV_OK) {
        made->used = true;
        snprintf(made->dir, sizeof(made->dir), "%s", dir);
        snprintf(made->token, sizeof(made->token), "%s", token);
        put(link, answer, "OK", 3);
        return 0;
    }
    store->unwatch(link->xs, dir, made);
    if (error != XENPV_PENDING) {
        const char *name = xenpv_error_name(error) + strlen("XENPV_");

        answer.type = XS_ERROR;
        put(link, answer, name, strlen(name) + 1);
    }
    return 0;
}

static int unwatch(struct link *link, const struct xsd_sockmsg *header, const char *dir)
{
    struct watch *found = find(link, dir, dir + strlen(dir) + 1);

    if (found != NULL) {
        store->unwatch(link->xs, dir, found);
        found->used = false;
    }
    put(link, *header, "OK", 3);
    return 0;
}

/* ------------------------------------------------------------------------------------ events -- */

static void put_event(struct link *link, const struct watch *watch, const char *path)
{
    struct xsd_sockmsg header = {.type = XS_WATCH_EVENT};
    size_t length = strlen(path) + 1, token = strlen(watch->token) + 1;
    char body[2 * XENSTORE_PAYLOAD_MAX];

    memcpy(body, path, length);
    memcpy(body + length, watch->token, token);
    put(link, header, body, length + token);
}

/* Where there is no room, what fired is found the next time: nothing was taken. */
static void collect_watch(struct link *link, const struct watch *watch)
{
    char path[XENSTORE_PAYLOAD_MAX];

    if (!has_room(link) || !store->fired(link->xs, watch))
        return;
    while (has_room(link) && store->changed(link->xs, watch, path, sizeof(path)) == 1)
        put_event(link, watch, path);
}

/* The barrier is told last, but is looked at first: what came before it is here by then. */
static void collect(struct link *link)
{
    char path[XENSTORE_PAYLOAD_MAX];
    const struct watch *barrier = link->watches;
    bool over = store->fired(link->xs, barrier) &&
                store->changed(link->xs, barrier, path, sizeof(path)) == 1;

    for (unsigned i = 1; i < WATCHES; i++) {
        if (link->watches[i].used)
            collect_watch(link, &link->watches[i]);
    }
    if (over)
        put_event(link, barrier, path);
}

/* -------------------------------------------------------------------------------- connection -- */

static struct link *client_open(void *ctx, enum party party)
{
    const struct ring *ring = ctx;
    struct xenpv_xs_config config = {.watches = WATCHES};
    struct link *link = calloc(1, sizeof(*link));

    (void)party;
    link->ring = ring;
    if (!ring->join(ring->ctx, &config)) {
        free(link);
        return NULL;
    }
    link->memory = malloc(xenpv_xs_size(&config));
    if (xenpv_xs_init(link->memory, &config, &link->xs) != XENPV_OK)
        abort();
    return link;
}

static int client_send(struct link *link, const void *bytes, size_t count)
{
    struct xsd_sockmsg header;
    const char *payload = (const char *)bytes + sizeof(header);

    (void)count;
    memcpy(&header, bytes, sizeof(header));
    switch (header.type) {
    case XS_WATCH:
        return watch(link, &header, payload);
    case XS_UNWATCH:
        return unwatch(link, &header, payload);
    default:
        return request(link, &header, payload);
    }
}

static long client_receive(struct link *link, void *bytes, size_t capacity)
{
    size_t count;
    bool more = true;

    if (link->have == 0)
        collect(link);
    while (link->have == 0 && more) {
        more = turn(link);
        collect(link);
    }
    if (link->have == 0)
        return link->closed ? 0 : -1;
    count = link->have < capacity ? link->have : capacity;
    memcpy(bytes, link->in, count);
    link->have -= count;
    memmove(link->in, link->in + count, link->have);
    return (long)count;
}

static void client_close(struct link *link)
{
    link->ring->leave(link->ring->ctx);
    free(link->memory);
    free(link);
}

const struct transport client_transport = {client_open, client_send, client_receive, client_close};
