/* SPDX-License-Identifier: MIT */
/*
 * Watches. libxenstore queues events in a thread of its own; ->fired empties that queue into one
 * flag per watch. The list has a lock, for the devices of several threads may share a port; the
 * wait handle, however, wakes one of them: whoever empties the queue takes the wake-up from the
 * others. Threads that sleep on the wait handle therefore open a port each (see xenpv/linux.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "linux.h"

/*
 * Tokens are numbers that are never used twice, so an event that was queued before its watch was
 * removed meets no watch, and a new watch at the same address never inherits it.
 */
struct xenpv_linux_watch {
    struct xenpv_linux_watch *next;
    const void *cookie;
    uint64_t token;
    bool fired;
};

struct token {
    char text[24];
};

static struct token token_text(uint64_t number)
{
    struct token token;

    snprintf(token.text, sizeof(token.text), "%" PRIu64, number);
    return token;
}

/* The link that points to the watch, or to NULL at the list's end. */
static struct xenpv_linux_watch **find(struct xenpv_linux *self, const void *cookie)
{
    struct xenpv_linux_watch **link = &self->watches;

    while (*link && (*link)->cookie != cookie)
        link = &(*link)->next;
    return link;
}

static void mark(struct xenpv_linux *self, const char *token)
{
    uint64_t number = strtoull(token, NULL, 10);

    for (struct xenpv_linux_watch *watch = self->watches; watch; watch = watch->next)
        if (watch->token == number)
            watch->fired = true;
}

bool xenpv_linux_fired(void *ctx, const void *cookie)
{
    struct xenpv_linux *self = ctx;
    struct xenpv_linux_watch *watch;
    bool fired = false;
    char **event;

    pthread_mutex_lock(&self->watch_lock);
    /* NULL is an empty queue (EAGAIN) or a lost connection, which the next store call reports. */
    while ((event = xs_check_watch(self->store)) != NULL) {
        mark(self, event[XS_WATCH_TOKEN]);
        free(event);
    }
    watch = *find(self, cookie);
    if (watch) {
        fired = watch->fired;
        watch->fired = false;
    }
    pthread_mutex_unlock(&self->watch_lock);
    return fired;
}

int xenpv_linux_watch(void *ctx, const char *dir, const void *cookie)
{
    struct xenpv_linux *self = ctx;
    struct xenpv_linux_watch *watch = calloc(1, sizeof(*watch));
    int rc = 0;

    if (!watch)
        return XENPV_ENOMEM;
    watch->cookie = cookie;
    watch->fired = true;
    pthread_mutex_lock(&self->watch_lock);
    watch->token = self->next_token++;
    if (xs_watch(self->store, dir, token_text(watch->token).text)) {
        watch->next = self->watches;
        self->watches = watch;
    } else {
        rc = xenpv_linux_store_error(self->store, errno);
        free(watch);
    }
    pthread_mutex_unlock(&self->watch_lock);
    return rc;
}

void xenpv_linux_unwatch(void *ctx, const char *dir, const void *cookie)
{
    struct xenpv_linux *self = ctx;
    struct xenpv_linux_watch **link, *watch;

    pthread_mutex_lock(&self->watch_lock);
    link = find(self, cookie);
    watch = *link;
    if (watch) {
        xs_unwatch(self->store, dir, token_text(watch->token).text);
        *link = watch->next;
        free(watch);
    }
    pthread_mutex_unlock(&self->watch_lock);
}

void xenpv_linux_watches_free(struct xenpv_linux *self)
{
    struct xenpv_linux_watch *watch;

    while ((watch = self->watches) != NULL) {
        self->watches = watch->next;
        free(watch);
    }
}
