/* SPDX-License-Identifier: MIT */
#include <xenpv/store.h>

/* A path as its parts are put together; nothing is copied. */
struct path {
    uint32_t length;
    char first, last;
    bool bad;
};

static bool valid_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '/' || c == '_' || c == '@';
}

/* What is longer than any path may be is not looked at to its end: it need not have one. */
static void add(struct path *path, const char *part)
{
    for (; *part && path->length <= XENPV_STORE_ABSOLUTE_MAX; part++) {
        path->bad = path->bad || !valid_char(*part) || (*part == '/' && path->last == '/');
        path->first = path->length == 0 ? *part : path->first;
        path->last = *part;
        path->length++;
    }
}

/* 0, or an error; `special`: what begins with '@' is taken, too. */
static int judge(const struct path *path, bool special)
{
    uint32_t most = path->first == '/' ? XENPV_STORE_ABSOLUTE_MAX : XENPV_STORE_RELATIVE_MAX;
    bool root = path->length == 1 && path->first == '/';

    if (path->length > most)
        return XENPV_E2BIG;
    if (path->bad || path->length == 0 || (path->last == '/' && !root) ||
        (path->first == '@' && !special))
        return XENPV_EINVAL;
    return XENPV_OK;
}

/* Decimal, 0 to 65535, up to its NUL within `room` bytes: how many bytes it has with that, or 0. */
static uint32_t domain_number(const char *text, uint32_t room)
{
    uint32_t number = 0, at = 0;

    for (; at < room && at < 6 && text[at] >= '0' && text[at] <= '9'; at++)
        number = number * 10 + (uint32_t)(text[at] - '0');
    return at > 0 && at < room && text[at] == '\0' && number <= UINT16_MAX ? at + 1 : 0;
}

static bool valid_perms(const char *text, uint32_t length)
{
    uint32_t at = 0;

    while (at < length) {
        char who = text[at++];
        uint32_t bytes = domain_number(text + at, length - at);

        if (bytes == 0 || (who != 'n' && who != 'r' && who != 'w' && who != 'b'))
            return false;
        at += bytes;
    }
    return length > 0;
}

static int check_node(const struct xenpv_store_op *op)
{
    bool perms = op->type == XENPV_STORE_GET_PERMS || op->type == XENPV_STORE_SET_PERMS;
    bool sends = op->type == XENPV_STORE_WRITE || op->type == XENPV_STORE_SET_PERMS;
    struct path path = {0};

    add(&path, op->dir);
    if (op->name) {
        add(&path, "/");
        add(&path, op->name);
    }
    int err = judge(&path, perms);

    if (err || !sends)
        return err;
    /* No sum: the length is anything. */
    if (op->length > XENPV_STORE_VALUE_MAX - path.length - 1)
        return XENPV_E2BIG;
    if ((op->length && !op->value) ||
        (op->type == XENPV_STORE_SET_PERMS && !valid_perms(op->value, op->length)))
        return XENPV_EINVAL;
    return XENPV_OK;
}

int xenpv_store_check(const struct xenpv_store_op *op)
{
    switch (op->type) {
    case XENPV_STORE_READ:
    case XENPV_STORE_LIST:
    case XENPV_STORE_WRITE:
    case XENPV_STORE_MKDIR:
    case XENPV_STORE_RM:
    case XENPV_STORE_GET_PERMS:
    case XENPV_STORE_SET_PERMS:
        return check_node(op);
    case XENPV_STORE_DOMAIN_PATH:
    case XENPV_STORE_INTRODUCED:
        return domain_number(op->dir, UINT32_MAX) && !op->name ? XENPV_OK : XENPV_EINVAL;
    }
    return XENPV_EINVAL;
}

int xenpv_store_check_watch(const char *dir, uint32_t token)
{
    struct path path = {0};

    add(&path, dir);
    int err = judge(&path, true);

    if (!err && token > XENPV_STORE_VALUE_MAX - path.length - 2)
        err = XENPV_E2BIG;
    return err;
}
