/* SPDX-License-Identifier: MIT */
/* Transport: a connection to the mock's xenstored. `ctx` is a struct mock_end. And its ring page. */
#include "links_mock.h"

#include <errno.h>
#include <stdlib.h>

struct link {
    struct xenpv_mock_wire *wire;
    bool dropped;
};

static struct link *mock_open(void *ctx, enum party party)
{
    const struct mock_end *end = ctx;
    struct link *link = calloc(1, sizeof(*link));

    (void)party;
    if (xenpv_mock_wire_open(end->mock, end->domid, &link->wire) == XENPV_OK)
        return link;
    free(link);
    return NULL;
}

static int mock_send(struct link *link, const void *bytes, size_t count)
{
    int error = xenpv_mock_wire_put(link->wire, bytes, (uint32_t)count);

    link->dropped |= error == XENPV_ESTORE;
    return error == XENPV_OK || error == XENPV_ESTORE ? 0 : EIO;
}

static long mock_receive(struct link *link, void *bytes, size_t capacity)
{
    uint32_t got = xenpv_mock_wire_get(link->wire, bytes, (uint32_t)capacity);

    if (got > 0)
        return (long)got;
    link->dropped |= xenpv_mock_wire_put(link->wire, "", 0) == XENPV_ESTORE;
    return link->dropped ? 0 : -1;
}

static void mock_close(struct link *link)
{
    xenpv_mock_wire_close(link->wire);
    free(link);
}

const struct transport mock_transport = {mock_open, mock_send, mock_receive, mock_close};

/* ---------------------------------------------------------------------------------- the ring -- */

static bool ring_join(void *ctx, struct xenpv_xs_config *config)
{
    struct mock_ring *ring = ctx;

    if (xenpv_mock_port(ring->end->mock, ring->end->domid, &ring->port) != XENPV_OK ||
        xenpv_mock_wire_ring(ring->end->mock, ring->end->domid, &config->page, &ring->event_port) !=
            XENPV_OK)
        return false;
    config->event = ring->port.event;
    config->event_ctx = ring->port.ctx;
    config->event_port = ring->event_port;
    return true;
}

/* The mock answers inside of the client's calls: without an event nothing comes any more. */
static bool ring_wait(void *ctx)
{
    const struct mock_ring *ring = ctx;
    bool event = ring->port.event->take(ring->port.ctx, ring->event_port);

    ring->port.event->unmask(ring->port.ctx, ring->event_port);
    return event;
}

/* A domain has one ring, which lasts: who joins it next is to cope with what is left in it. Where
 * he cannot have it emptied, half a message may be on its way: he needs one that is new. */
static void ring_leave(void *ctx)
{
    const struct mock_ring *ring = ctx;

    if (ring->anew && xenpv_mock_suspend(ring->end->mock, ring->end->domid) != XENPV_OK)
        abort();
}

struct ring mock_ring(struct mock_ring *ring)
{
    return (struct ring){ring, ring_join, ring_wait, ring_leave};
}
