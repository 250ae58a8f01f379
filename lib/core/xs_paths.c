/* SPDX-License-Identifier: MIT */
/* The paths of changes, oldest first, in one buffer: a record and its path, one after the other. */
#include "xs.h"

struct record {
    uint32_t token, length; /* of the watch; of the path with its NUL */
};

static struct record record_at(const struct xenpv_xs *xs, uint32_t at)
{
    struct record record;

    memcpy(&record, xs->paths + at, sizeof(record));
    return record;
}

static uint32_t bytes_of(const struct record *record)
{
    return (uint32_t)sizeof(*record) + record->length;
}

static void remove_at(struct xenpv_xs *xs, uint32_t at)
{
    struct record record = record_at(xs, at);
    uint32_t after = at + bytes_of(&record);

    memmove(xs->paths + at, xs->paths + after, xs->paths_length - after);
    xs->paths_length -= bytes_of(&record);
}

/* Where the oldest of the watch is; the end if there is none. */
static uint32_t find(const struct xenpv_xs *xs, const struct xs_watch *watch)
{
    uint32_t at = 0;

    while (at < xs->paths_length) {
        struct record record = record_at(xs, at);

        if (record.token == watch->token)
            break;
        at += bytes_of(&record);
    }
    return at;
}

static void drop_oldest(struct xenpv_xs *xs)
{
    struct xs_watch *watch = xs_watch_by_token(xs, record_at(xs, 0).token);

    if (watch)
        watch->lost = true;
    remove_at(xs, 0);
}

void xs_paths_add(struct xenpv_xs *xs, struct xs_watch *watch, const char *path, uint32_t length)
{
    struct record record = {.token = watch->token, .length = length};
    uint32_t bytes = bytes_of(&record);

    if (bytes > XS_PATHS) {
        watch->lost = true;
        return;
    }
    while (bytes > XS_PATHS - xs->paths_length)
        drop_oldest(xs);
    memcpy(xs->paths + xs->paths_length, &record, sizeof(record));
    memcpy(xs->paths + xs->paths_length + sizeof(record), path, length);
    xs->paths_length += bytes;
}

int xs_paths_take(struct xenpv_xs *xs, struct xs_watch *watch, char *path, uint32_t capacity)
{
    uint32_t at = find(xs, watch);
    struct record record = {.length = xs_length(watch->dir) + 1};
    const char *from = watch->dir;

    if (!watch->lost && at == xs->paths_length)
        return 0;
    /* What was lost is older than what is here. */
    if (!watch->lost) {
        record = record_at(xs, at);
        from = xs->paths + at + sizeof(record);
    }
    if (record.length > capacity)
        return XENPV_E2BIG;
    memcpy(path, from, record.length);
    if (watch->lost)
        watch->lost = false;
    else
        remove_at(xs, at);
    return 1;
}

void xs_paths_forget(struct xenpv_xs *xs, const struct xs_watch *watch)
{
    for (uint32_t at = find(xs, watch); at < xs->paths_length; at = find(xs, watch))
        remove_at(xs, at);
}
