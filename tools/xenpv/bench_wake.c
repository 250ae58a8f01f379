/* SPDX-License-Identifier: MIT */
#include "bench_wake.h"

#include <string.h>

#include "os_thread.h"

enum side { FRONT, BACK, SIDES };

/* One end of a channel, found by its port's number. */
struct end {
    xenpv_handle handle; /* of the frontend's end */
    uint32_t peer;       /* port of the other end; 0: unbound */
    uint32_t pending;
};

/* The ports' ctx stays the mock's, so this must be found without it. */
static struct {
    const struct xenpv_event_ops *mock;
    void *ctx[SIDES];
    xenpv_handle doorbell;
    struct end ends[SIDES][BENCH_WAKE_PORTS];
} wake;

static enum side side_of(const void *ctx)
{
    return ctx == wake.ctx[BACK] ? BACK : FRONT;
}

static struct end *end_of(const void *ctx, uint32_t port)
{
    return &wake.ends[side_of(ctx)][port % BENCH_WAKE_PORTS];
}

/* A frontend whose channel has none polls. */
static xenpv_handle new_handle(void)
{
    return wake.doorbell == XENPV_NO_HANDLE ? XENPV_NO_HANDLE : os_event_new();
}

static int alloc_unbound(void *ctx, uint16_t domid, uint32_t *port)
{
    int error = wake.mock->alloc_unbound(ctx, domid, port);

    if (error)
        return error;
    if (*port < BENCH_WAKE_PORTS) {
        *end_of(ctx, *port) = (struct end){.handle = new_handle()};
        return 0;
    }
    wake.mock->close(ctx, *port);
    return XENPV_ENOPORT;
}

static int bind_interdomain(void *ctx, uint16_t domid, uint32_t peer_port, uint32_t *port)
{
    int error = wake.mock->bind_interdomain(ctx, domid, peer_port, port);

    if (error)
        return error;
    *end_of(ctx, *port) = (struct end){.handle = XENPV_NO_HANDLE, .peer = peer_port};
    xenpv_store_release(&wake.ends[FRONT][peer_port % BENCH_WAKE_PORTS].peer, *port);
    return 0;
}

static int notify(void *ctx, uint32_t port)
{
    uint32_t peer = xenpv_load_acquire(&end_of(ctx, port)->peer);
    enum side other = side_of(ctx) == FRONT ? BACK : FRONT;
    struct end *end = &wake.ends[other][peer % BENCH_WAKE_PORTS];
    xenpv_handle handle = other == BACK ? wake.doorbell : end->handle;

    if (peer == 0)
        return 0;
    xenpv_store_release(&end->pending, 1);
    if (handle != XENPV_NO_HANDLE)
        os_event_set(handle);
    return 0;
}

/* Whoever took an event looks at the ring again before sleeping: what comes in between is seen. */
static bool take(void *ctx, uint32_t port)
{
    struct end *end = end_of(ctx, port);

    if (!xenpv_load_acquire(&end->pending))
        return false;
    xenpv_store_seq(&end->pending, 0);
    if (end->handle != XENPV_NO_HANDLE)
        os_event_clear(end->handle);
    return true;
}

static void unmask(void *ctx, uint32_t port)
{
    (void)ctx;
    (void)port;
}

static void release(void *ctx, uint32_t port)
{
    struct end *end = end_of(ctx, port);

    if (side_of(ctx) == BACK && end->peer)
        xenpv_store_release(&wake.ends[FRONT][end->peer % BENCH_WAKE_PORTS].peer, 0);
    os_event_free(end->handle);
    *end = (struct end){.handle = XENPV_NO_HANDLE};
}

static void close_port(void *ctx, uint32_t port)
{
    release(ctx, port);
    wake.mock->close(ctx, port);
}

static void forget(void *ctx, uint32_t port)
{
    release(ctx, port);
    wake.mock->forget(ctx, port);
}

static xenpv_handle wait_handle(void *ctx, uint32_t port)
{
    return side_of(ctx) == BACK ? wake.doorbell : end_of(ctx, port)->handle;
}

static const struct xenpv_event_ops ops = {
    .alloc_unbound = alloc_unbound,
    .bind_interdomain = bind_interdomain,
    .notify = notify,
    .take = take,
    .unmask = unmask,
    .close = close_port,
    .forget = forget,
    .wait_handle = wait_handle,
};

void bench_wake_begin(struct xenpv_port *front, struct xenpv_port *back, xenpv_handle doorbell)
{
    wake.mock = front->event;
    wake.ctx[FRONT] = front->ctx;
    wake.ctx[BACK] = back->ctx;
    wake.doorbell = doorbell;
    for (uint32_t i = 0; i < BENCH_WAKE_PORTS; i++)
        wake.ends[FRONT][i].handle = wake.ends[BACK][i].handle = XENPV_NO_HANDLE;
    front->event = back->event = &ops;
    front->caps |= XENPV_CAP_WAIT;
    back->caps |= XENPV_CAP_WAIT;
}

void bench_wake_end(void)
{
    memset(&wake, 0, sizeof(wake));
}
