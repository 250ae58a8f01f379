/* SPDX-License-Identifier: MIT */
/*
 * Watches. Each has a token of its own, which it keeps over a reconnect: a server that has not
 * forgotten it answers EEXIST, and there is no second one.
 */
#include <xenpv/store.h>

#include "check.h"
#include "xs.h"

#define TOKEN_MAX 10u /* digits */

static bool in_use(const struct xs_watch *watch)
{
    return watch->state != XS_WATCH_FREE && watch->state != XS_WATCH_GOING;
}

static struct xs_watch *in_state(struct xenpv_xs *xs, enum xs_watch_state state)
{
    for (uint32_t i = 0; i < xs->slots; i++)
        if (xs->watch[i].state == state)
            return &xs->watch[i];
    return NULL;
}

static struct xs_watch *by_cookie(const struct xenpv_xs *xs, const void *cookie)
{
    for (uint32_t i = 0; i < xs->slots; i++)
        if (in_use(&xs->watch[i]) && xs->watch[i].cookie == cookie)
            return &xs->watch[i];
    return NULL;
}

struct xs_watch *xs_watch_by_token(struct xenpv_xs *xs, uint32_t token)
{
    for (uint32_t i = 0; i < xs->slots; i++)
        if (in_use(&xs->watch[i]) && xs->watch[i].token == token)
            return &xs->watch[i];
    return NULL;
}

static void poke(struct xenpv_xs *xs, struct xs_watch *watch)
{
    watch->fired = true;
    xs->news = true;
}

/* All, of what may be lost. */
static void poke_all(struct xenpv_xs *xs)
{
    for (uint32_t i = 0; i < xs->slots; i++) {
        if (!in_use(&xs->watch[i]))
            continue;
        xs->watch[i].lost = true;
        poke(xs, &xs->watch[i]);
    }
}

void xs_watch_renew(struct xenpv_xs *xs)
{
    for (uint32_t i = 0; i < xs->slots; i++) {
        xs->watch[i].told = false;
        xs->watch[i].state = in_use(&xs->watch[i]) ? XS_WATCH_NEW : XS_WATCH_FREE;
    }
    poke_all(xs);
}

/* ---- messages ---- */

bool xs_watch_next(struct xenpv_xs *xs)
{
    struct xs_watch *watch = in_state(xs, XS_WATCH_GOING);
    bool going = watch != NULL;

    watch = going ? watch : in_state(xs, XS_WATCH_NEW);
    if (!watch)
        return false;
    watch->told = true;
    xs->asked_watch = watch;
    xs_begin(xs, going ? XENPV_XS_UNWATCH : XENPV_XS_WATCH, 0);
    xs_add_text(xs, watch->dir);
    xs_add_number(xs, watch->token);
    xs_send(xs, going ? XS_UNWATCH : XS_WATCH);
    return true;
}

/* xenstored says E2BIG of its quota of watches, and what is too long was not sent. */
static int watch_error(int err)
{
    if (err == XENPV_E2BIG)
        return XENPV_ENOSPC;
    return err == XENPV_EEXIST ? XENPV_OK : err;
}

void xs_watch_answer(struct xenpv_xs *xs, int err)
{
    struct xs_watch *watch = xs->asked_watch;

    if (xs->asked_type == XENPV_XS_UNWATCH) {
        watch->state = XS_WATCH_FREE;
        return;
    }
    /* Taken down while the server was asked for it: that is to be told next. */
    if (watch->state == XS_WATCH_GOING)
        return;
    watch->status = watch_error(err);
    watch->state = watch->status ? XS_WATCH_REFUSED : XS_WATCH_SET;
    watch->told = watch->status == XENPV_OK;
    if (watch->status)
        poke(xs, watch);
}

/* The bytes of a string with its NUL; 0: it does not end. */
static uint32_t string_bytes(const char *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (bytes[i] == '\0')
            return i + 1;
    return 0;
}

void xs_watch_event(struct xenpv_xs *xs)
{
    const char *path = xs_payload(xs);
    uint32_t path_bytes = string_bytes(path, xs->in.length);
    const char *token = path + path_bytes;
    uint32_t token_bytes = string_bytes(token, xs->in.length - path_bytes), number;

    if (!XENPV_CHECK(XS_EVENT, path_bytes > 0 && token_bytes > 0)) {
        poke_all(xs);
        return;
    }
    /* An event of a watch that was taken down may still come. */
    struct xs_watch *watch =
        xs_number(token, token_bytes, &number) ? xs_watch_by_token(xs, number) : NULL;

    if (!watch)
        return;
    xs_paths_add(xs, watch, path, path_bytes);
    poke(xs, watch);
}

/* ---- calls ---- */

static uint32_t new_token(struct xenpv_xs *xs)
{
    xs->last_token = xs->last_token == UINT32_MAX ? 1 : xs->last_token + 1;
    return xs->last_token;
}

/* NULL: there are as many as there may be. */
static struct xs_watch *free_slot(struct xenpv_xs *xs)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < xs->slots; i++)
        used += in_use(&xs->watch[i]) ? 1 : 0;
    return used < xs->config.watches ? in_state(xs, XS_WATCH_FREE) : NULL;
}

int xs_watch_watch(void *ctx, const char *dir, const void *cookie)
{
    struct xenpv_xs *xs = ctx;
    int err = xenpv_store_check_watch(dir, TOKEN_MAX);
    struct xs_watch *watch = free_slot(xs);

    if (err)
        return err;
    if (by_cookie(xs, cookie))
        return XENPV_EEXIST;
    if (xs_length(dir) >= sizeof(watch->dir))
        return XENPV_E2BIG;
    if (!watch)
        return XENPV_ENOMEM;
    *watch = (struct xs_watch){.cookie = cookie, .token = new_token(xs), .state = XS_WATCH_NEW};
    memcpy(watch->dir, dir, xs_length(dir) + 1);
    poke(xs, watch);
    xs_pump(xs);
    if (xs->state != XENPV_XS_BROKEN || xs_offers(xs, XENPV_XS_FEATURE_RECONNECT))
        return XENPV_OK;
    watch->state = XS_WATCH_FREE;
    return XENPV_ESTORE;
}

void xs_watch_unwatch(void *ctx, const char *dir, const void *cookie)
{
    struct xenpv_xs *xs = ctx;
    struct xs_watch *watch = by_cookie(xs, cookie);

    (void)dir;
    if (!watch)
        return;
    xs_paths_forget(xs, watch);
    /* What the server was never told of, or has refused, it need not forget. */
    watch->state = watch->told ? XS_WATCH_GOING : XS_WATCH_FREE;
    xs_pump(xs);
}

bool xs_watch_fired(void *ctx, const void *cookie)
{
    struct xenpv_xs *xs = ctx;

    xs_pump(xs);

    struct xs_watch *watch = by_cookie(xs, cookie);
    bool fired = watch && watch->fired;

    if (watch)
        watch->fired = false;
    return fired;
}

int xs_watch_changed(void *ctx, const void *cookie, char *path, uint32_t capacity)
{
    struct xenpv_xs *xs = ctx;

    xs_pump(xs);

    struct xs_watch *watch = by_cookie(xs, cookie);

    return watch ? xs_paths_take(xs, watch, path, capacity) : 0;
}

int xenpv_xs_watch_status(const struct xenpv_xs *xs, const void *cookie)
{
    const struct xs_watch *watch = by_cookie(xs, cookie);

    if (!watch)
        return XENPV_ENOENT;
    return watch->state == XS_WATCH_NEW ? XENPV_PENDING : watch->status;
}
