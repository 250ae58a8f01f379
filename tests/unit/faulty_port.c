/* SPDX-License-Identifier: MIT */
#include "faulty_port.h"

#include <stdio.h>

static const struct xenpv_port *enter(struct faulty_port *faulty, const char *call)
{
    if (faulty->before)
        faulty->before(faulty->before_ctx, call);
    return &faulty->inner;
}

static bool fails(struct faulty_port *faulty, const char *call)
{
    uint64_t number = ++faulty->calls, at = faulty->fail_at;
    bool hit = at && (faulty->for_good ? number >= at : number == at);

    enter(faulty, call);
    if (hit)
        faulty->failed = call;
    return hit;
}

/* ---- store ----------------------------------------------------------------------------------- */

static int start(void *ctx, struct xenpv_store_batch *batch)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    if (fails(faulty, "start")) {
        bool whole = batch->transaction || faulty->error == XENPV_ESTORE;

        if (faulty->batches_act)
            inner->store->start(inner->ctx, batch);
        batch->status = whole ? faulty->error : XENPV_OK;
        for (uint32_t i = 0; i < batch->count; i++)
            batch->ops[i].status = faulty->error;
        return 0;
    }
    if (faulty->silent) {
        faulty->silent -= faulty->silent != UINT32_MAX;
        faulty->unanswered = batch;
        return XENPV_PENDING;
    }
    return inner->store->start(inner->ctx, batch);
}

static int check(void *ctx, struct xenpv_store_batch *batch)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = enter(faulty, "check");

    return faulty->unanswered == batch ? XENPV_PENDING : inner->store->check(inner->ctx, batch);
}

static void cancel(void *ctx, struct xenpv_store_batch *batch)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = enter(faulty, "cancel");

    if (faulty->unanswered != batch) {
        inner->store->cancel(inner->ctx, batch);
        return;
    }
    faulty->unanswered = NULL;
    if (faulty->batches_act)
        inner->store->start(inner->ctx, batch);
}

static int watch(void *ctx, const char *dir, const void *cookie)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    return fails(faulty, "watch") ? faulty->error : inner->store->watch(inner->ctx, dir, cookie);
}

static void unwatch(void *ctx, const char *dir, const void *cookie)
{
    const struct xenpv_port *inner = enter(ctx, "unwatch");

    inner->store->unwatch(inner->ctx, dir, cookie);
}

static bool fired(void *ctx, const void *cookie)
{
    const struct xenpv_port *inner = enter(ctx, "fired");

    return inner->store->fired(inner->ctx, cookie);
}

static xenpv_handle handle(const struct faulty_port *faulty)
{
    return faulty->outer->caps & XENPV_CAP_WAIT ? 1 : XENPV_NO_HANDLE;
}

static xenpv_handle store_handle(void *ctx)
{
    return handle(ctx);
}

static const struct xenpv_store_ops store = {.start = start,
                                             .check = check,
                                             .cancel = cancel,
                                             .watch = watch,
                                             .unwatch = unwatch,
                                             .fired = fired,
                                             .wait_handle = store_handle};

/* ---- grant and map --------------------------------------------------------------------------- */

static int share(void *ctx, uint16_t domid, struct xenpv_grant_region *region)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    return fails(faulty, "share") ? faulty->error : inner->grant->share(inner->ctx, domid, region);
}

static int share_own(void *ctx, uint16_t domid, struct xenpv_grant_region *region, bool writable)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    return fails(faulty, "share_own")
               ? faulty->error
               : inner->grant->share_own(inner->ctx, domid, region, writable);
}

static int end(void *ctx, struct xenpv_grant_region *region)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    return fails(faulty, "end") ? XENPV_EBUSY : inner->grant->end(inner->ctx, region);
}

static void forget_grants(void *ctx, struct xenpv_grant_region *region)
{
    const struct xenpv_port *inner = enter(ctx, "forget");

    inner->grant->forget(inner->ctx, region);
}

static const struct xenpv_grant_ops grant = {
    .share = share, .share_own = share_own, .end = end, .forget = forget_grants};

static int map_pages(void *ctx, struct xenpv_map_region *region)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    if (!fails(faulty, "map"))
        return inner->map->map(inner->ctx, region);
    for (uint32_t i = 0; i < region->count; i++)
        region->entries[i].status = faulty->error;
    return faulty->error;
}

static void unmap(void *ctx, struct xenpv_map_region *region)
{
    const struct xenpv_port *inner = enter(ctx, "unmap");

    inner->map->unmap(inner->ctx, region);
}

static int copy(void *ctx, struct xenpv_copy_entry *entries, uint32_t count)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    if (!fails(faulty, "copy"))
        return inner->map->copy(inner->ctx, entries, count);
    for (uint32_t i = 0; i < count; i++)
        entries[i].status = faulty->error;
    return faulty->error;
}

static const struct xenpv_map_ops map = {.map = map_pages, .unmap = unmap, .copy = copy};

/* ---- event and sys --------------------------------------------------------------------------- */

static int alloc_unbound(void *ctx, uint16_t domid, uint32_t *port)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    return fails(faulty, "alloc_unbound") ? faulty->error
                                          : inner->event->alloc_unbound(inner->ctx, domid, port);
}

static int bind_interdomain(void *ctx, uint16_t domid, uint32_t peer_port, uint32_t *port)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    return fails(faulty, "bind_interdomain")
               ? faulty->error
               : inner->event->bind_interdomain(inner->ctx, domid, peer_port, port);
}

static int notify(void *ctx, uint32_t port)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = &faulty->inner;

    return fails(faulty, "notify") ? faulty->error : inner->event->notify(inner->ctx, port);
}

static bool take(void *ctx, uint32_t port)
{
    const struct xenpv_port *inner = enter(ctx, "take");

    return inner->event->take(inner->ctx, port);
}

static void unmask(void *ctx, uint32_t port)
{
    const struct xenpv_port *inner = enter(ctx, "unmask");

    inner->event->unmask(inner->ctx, port);
}

static void close_port(void *ctx, uint32_t port)
{
    const struct xenpv_port *inner = enter(ctx, "close");

    inner->event->close(inner->ctx, port);
}

static void forget_port(void *ctx, uint32_t port)
{
    const struct xenpv_port *inner = enter(ctx, "forget");

    inner->event->forget(inner->ctx, port);
}

static xenpv_handle event_handle(void *ctx, uint32_t port)
{
    (void)port;
    return handle(ctx);
}

static const struct xenpv_event_ops event = {.alloc_unbound = alloc_unbound,
                                             .bind_interdomain = bind_interdomain,
                                             .notify = notify,
                                             .take = take,
                                             .unmask = unmask,
                                             .close = close_port,
                                             .forget = forget_port,
                                             .wait_handle = event_handle};

static uint32_t generation(void *ctx)
{
    const struct xenpv_port *inner = enter(ctx, "generation");

    return inner->sys->generation(inner->ctx);
}

static void log_line(void *ctx, enum xenpv_log_level level, const char *line)
{
    struct faulty_port *faulty = ctx;
    const struct xenpv_port *inner = enter(faulty, "log");

    faulty->lines++;
    snprintf(faulty->line, sizeof(faulty->line), "%s", line);
    inner->sys->log(inner->ctx, level, line);
}

static const struct xenpv_sys_ops sys = {.generation = generation, .log = log_line};

void faulty_wrap(struct faulty_port *faulty, struct xenpv_port *port)
{
    *faulty = (struct faulty_port){.inner = *port, .outer = port};
    port->ctx = faulty;
    port->store = &store;
    port->grant = &grant;
    port->map = &map;
    port->event = &event;
    port->sys = &sys;
}
