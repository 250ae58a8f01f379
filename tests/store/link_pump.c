/* SPDX-License-Identifier: MIT */
/*
 * A ring page in ordinary memory. What is in it is carried to and from xenstored's socket, as much
 * as there is room for, inside of the client's own calls.
 */
#include "links.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* So that the indices pass 2^32 in a while. */
#define FIRST_INDEX (UINT32_MAX - 5000)

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int carry_requests(void *ctx, uint32_t port)
{
    struct pump *pump = ctx;
    struct xenpv_xs_page *page = &pump->page;
    uint32_t cons = page->req_cons, prod = xenpv_load_acquire(&page->req_prod);

    (void)port;
    while (cons != prod) {
        uint32_t at = cons % XENPV_XS_RING;
        ssize_t sent = write(pump->fd, page->req + at, least(prod - cons, XENPV_XS_RING - at));

        if (sent <= 0)
            break;
        cons += (uint32_t)sent;
        pump->event = true;
    }
    xenpv_store_release(&page->req_cons, cons);
    return XENPV_OK;
}

static void carry_answers(struct pump *pump)
{
    struct xenpv_xs_page *page = &pump->page;
    uint32_t prod = page->rsp_prod, at = prod % XENPV_XS_RING;
    uint32_t room = XENPV_XS_RING - (prod - xenpv_load_acquire(&page->rsp_cons));
    ssize_t got = -1;

    if (room > 0)
        got = recv(pump->fd, page->rsp + at, least(room, XENPV_XS_RING - at), MSG_DONTWAIT);
    if (got > 0)
        xenpv_store_release(&page->rsp_prod, prod + (uint32_t)got);
    else if (got == 0)
        page->error = 1;
    pump->event |= got >= 0;
}

static bool pump_join(void *ctx, struct xenpv_xs_config *config)
{
    static const struct xenpv_event_ops event = {.notify = carry_requests};
    struct pump *pump = ctx;

    pump->fd = open_store(pump->path);
    pump->event = false;
    pump->page = (struct xenpv_xs_page){.req_cons = FIRST_INDEX,
                                        .req_prod = FIRST_INDEX,
                                        .rsp_cons = FIRST_INDEX,
                                        .rsp_prod = FIRST_INDEX,
                                        .features = XENPV_XS_FEATURE_ERROR};
    config->page = &pump->page;
    config->event = &event;
    config->event_ctx = pump;
    return pump->fd >= 0;
}

static bool pump_wait(void *ctx)
{
    struct pump *pump = ctx;
    struct pollfd ready = {.fd = pump->fd, .events = POLLIN};
    bool event;

    if (!pump->event && poll(&ready, 1, 10000) > 0)
        carry_answers(pump);
    event = pump->event;
    pump->event = false;
    return event;
}

static void pump_leave(void *ctx)
{
    const struct pump *pump = ctx;

    close(pump->fd);
}

struct ring pumped(struct pump *pump)
{
    return (struct ring){pump, pump_join, pump_wait, pump_leave};
}
