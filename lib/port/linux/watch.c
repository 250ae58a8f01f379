/* SPDX-License-Identifier: MIT */
/*
 * Watches. libxenstore queues events in a thread of its own; ->fired and ->changed empty that queue
 * into one flag per watch and a few paths for all. The list has a lock, for the devices of several
 * threads may share a port; the wait handle, however, wakes one of them: whoever empties the queue
 * takes the wake-up from the others. Threads that sleep on the wait handle therefore open a port
 * each (see xenpv/linux.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <xenpv/store.h>

#include "linux.h"

/* Events taken at once: who writes without end must not keep the caller here. */
#define DRAIN 1024u

/*
 * Tokens are numbers that are never used twice, so an event that was queued before its watch was
 * removed meets no watch, and a new watch at the same address never inherits it.
 */
struct xenpv_linux_watch {
    struct xenpv_linux_watch *next;
    const void *cookie;
    uint64_t token;
    bool fired;
    bool untold; /* its event was taken from the queue on another's behalf */
    bool lost;   /* paths of it were dropped */
    char dir[];
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

static struct xenpv_linux_watch *find_token(struct xenpv_linux *self, uint64_t token)
{
    struct xenpv_linux_watch *watch = self->watches;

    while (watch && watch->token != token)
        watch = watch->next;
    return watch;
}

/* ----------------------------------------------------------------------------------- changes -- */

static void remove_change(struct xenpv_linux *self, uint32_t at)
{
    free(self->changes[at].path);
    self->change_count--;
    memmove(&self->changes[at], &self->changes[at + 1],
            (self->change_count - at) * sizeof(self->changes[0]));
}

static void drop_oldest(struct xenpv_linux *self)
{
    struct xenpv_linux_watch *loser = find_token(self, self->changes[0].token);

    if (loser)
        loser->lost = true;
    remove_change(self, 0);
}

/* A path that waits to be taken stands for all its changes till then. */
static bool has_change(const struct xenpv_linux *self, uint64_t token, const char *path)
{
    for (uint32_t i = 0; i < self->change_count; i++)
        if (self->changes[i].token == token && strcmp(self->changes[i].path, path) == 0)
            return true;
    return false;
}

static void add_change(struct xenpv_linux *self, struct xenpv_linux_watch *watch, const char *path)
{
    struct xenpv_linux_change change = {.token = watch->token};

    if (has_change(self, watch->token, path))
        return;
    /* No server sends a longer one than there can be. */
    change.path = strlen(path) <= XENPV_STORE_ABSOLUTE_MAX ? strdup(path) : NULL;
    if (!change.path) {
        watch->lost = true;
        return;
    }
    if (self->change_count == XENPV_LINUX_CHANGES)
        drop_oldest(self);
    self->changes[self->change_count++] = change;
}

/* ------------------------------------------------------------------------------------ events -- */

static void mark(struct xenpv_linux *self, char **event)
{
    struct xenpv_linux_watch *watch = find_token(self, strtoull(event[XS_WATCH_TOKEN], NULL, 10));

    if (!watch)
        return;
    watch->fired = watch->untold = true;
    add_change(self, watch, event[XS_WATCH_PATH]);
}

/* The wait handle stays signalled for those whose events were taken by somebody else. */
static void kick(struct xenpv_linux *self)
{
    bool untold = false;
    uint64_t number = 1;

    for (struct xenpv_linux_watch *watch = self->watches; watch; watch = watch->next)
        untold = untold || watch->untold;
    if (untold == self->kicked)
        return;
    self->kicked = untold;
    /* An eventfd that holds 0 takes 1, and gives it back. */
    if ((untold ? write(self->kick, &number, sizeof(number))
                : read(self->kick, &number, sizeof(number))) < 0)
        return;
}

/* Takes what has come, for all; answers the watch of this cookie, or NULL. */
static struct xenpv_linux_watch *drain(struct xenpv_linux *self, const void *cookie)
{
    struct xenpv_linux_watch *watch;
    char **event;

    /* NULL is an empty queue (EAGAIN) or a lost connection, which the next store call reports. */
    for (uint32_t i = 0; i < DRAIN && (event = xs_check_watch(self->store)) != NULL; i++) {
        mark(self, event);
        free(event);
    }
    watch = *find(self, cookie);
    if (watch)
        watch->untold = false;
    kick(self);
    return watch;
}

bool xenpv_linux_fired(void *ctx, const void *cookie)
{
    struct xenpv_linux *self = ctx;
    struct xenpv_linux_watch *watch;
    bool fired = false;

    pthread_mutex_lock(&self->watch_lock);
    watch = drain(self, cookie);
    if (watch) {
        fired = watch->fired;
        watch->fired = false;
    }
    pthread_mutex_unlock(&self->watch_lock);
    return fired;
}

/* 1 with the path, or an error; what was lost is older than what is there. */
static int take_change(struct xenpv_linux *self, struct xenpv_linux_watch *watch, char *path,
                       uint32_t capacity)
{
    const char *found = watch->lost ? watch->dir : NULL;
    uint32_t at = 0;

    while (!found && at < self->change_count && self->changes[at].token != watch->token)
        at++;
    if (!found && at < self->change_count)
        found = self->changes[at].path;
    if (!found)
        return 0;
    if (strlen(found) >= capacity)
        return XENPV_E2BIG;
    memcpy(path, found, strlen(found) + 1);
    if (!watch->lost)
        remove_change(self, at);
    watch->lost = false;
    return 1;
}

int xenpv_linux_changed(void *ctx, const void *cookie, char *path, uint32_t capacity)
{
    struct xenpv_linux *self = ctx;
    struct xenpv_linux_watch *watch;
    int rc = 0;

    pthread_mutex_lock(&self->watch_lock);
    watch = drain(self, cookie);
    if (watch)
        rc = take_change(self, watch, path, capacity);
    pthread_mutex_unlock(&self->watch_lock);
    return rc;
}

/* ----------------------------------------------------------------------------------- watches -- */

/* Takes the watch over, and frees it where there is an error. */
static int add_watch(struct xenpv_linux *self, struct xenpv_linux_watch *watch)
{
    watch->token = self->next_token++;
    if (!xs_watch(self->store, watch->dir, token_text(watch->token).text)) {
        int rc = xenpv_linux_store_error(self->store, errno);

        free(watch);
        /* xenstored says E2BIG of its quota of watches, and what is too long was not sent. */
        return rc == XENPV_E2BIG ? XENPV_ENOSPC : rc;
    }
    watch->next = self->watches;
    self->watches = watch;
    return 0;
}

int xenpv_linux_watch(void *ctx, const char *dir, const void *cookie)
{
    struct xenpv_linux *self = ctx;
    int rc = xenpv_store_check_watch(dir, sizeof(struct token) - 1);
    size_t bytes = strlen(dir) + 1;
    struct xenpv_linux_watch *watch;

    if (rc)
        return rc;
    watch = calloc(1, sizeof(*watch) + bytes);
    if (!watch)
        return XENPV_ENOMEM;
    memcpy(watch->dir, dir, bytes);
    watch->cookie = cookie;
    watch->fired = true;
    pthread_mutex_lock(&self->watch_lock);
    rc = add_watch(self, watch);
    pthread_mutex_unlock(&self->watch_lock);
    return rc;
}

static void forget_changes(struct xenpv_linux *self, uint64_t token)
{
    for (uint32_t i = self->change_count; i-- > 0;)
        if (self->changes[i].token == token)
            remove_change(self, i);
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
        forget_changes(self, watch->token);
        free(watch);
        kick(self);
    }
    pthread_mutex_unlock(&self->watch_lock);
}

/* ------------------------------------------------------------------------------- wait handle -- */

xenpv_handle xenpv_linux_wait_handle(void *ctx)
{
    struct xenpv_linux *self = ctx;

    return self->wait;
}

static int wait_for(struct xenpv_linux *self, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return fd < 0 ? -1 : epoll_ctl(self->wait, EPOLL_CTL_ADD, fd, &event);
}

int xenpv_linux_watches_open(struct xenpv_linux *self)
{
    self->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->wait = epoll_create1(EPOLL_CLOEXEC);
    if (self->wait < 0 || wait_for(self, self->kick) || wait_for(self, xs_fileno(self->store)))
        return -1;
    return 0;
}

void xenpv_linux_watches_free(struct xenpv_linux *self)
{
    struct xenpv_linux_watch *watch;

    while ((watch = self->watches) != NULL) {
        self->watches = watch->next;
        free(watch);
    }
    while (self->change_count)
        remove_change(self, self->change_count - 1);
    if (self->wait >= 0)
        close(self->wait);
    if (self->kick >= 0)
        close(self->kick);
}
