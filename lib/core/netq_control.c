/* SPDX-License-Identifier: MIT */
/* The network queue, as the control thread sets it up and takes it down. */
#include "net_device.h"

/* ---- memory ---------------------------------------------------------------------------------- */

/* What a queue keeps beside the structure, one after the other. */
struct layout {
    size_t refs, shared_refs, pages, end;
};

static size_t place(size_t *at, size_t count, size_t bytes)
{
    size_t begin = *at;

    *at = (begin + count * bytes + 15) & ~(size_t)15;
    return begin;
}

static struct layout lay_out(const struct xenpv_net_config *config)
{
    uint32_t pages = NET_RING_PAGES + config->tx_buffers + config->rx_buffers;
    struct layout layout;
    size_t at = 0;

    layout.refs = place(&at, pages, sizeof(uint32_t));
    layout.shared_refs = place(&at, config->shared_pages, sizeof(uint32_t));
    layout.pages = place(&at, config->rx_buffers, sizeof(uint16_t));
    layout.end = at;
    return layout;
}

size_t netq_memory(const struct xenpv_net_config *config)
{
    return lay_out(config).end;
}

void netq_init(struct xenpv_netq *q, const struct xenpv_net_config *config, uint32_t number,
               void *memory)
{
    struct layout layout = lay_out(config);
    uint8_t *base = memory;

    memset(q, 0, sizeof(*q));
    memset(memory, 0, layout.end);
    q->gate.parked = GATE_PARKED;
    q->gate.stop = GATE_HALT;
    q->port = config->port;
    q->number = (uint16_t)number;
    q->poll_mode = config->poll;
    q->tx_buffers = config->tx_buffers;
    q->rx_buffers = config->rx_buffers;
    q->shared_pages = config->shared_pages;
    q->rx.pages = (uint16_t *)(void *)(base + layout.pages);
    arena_init(&q->arena, config->port, (uint32_t *)(void *)(base + layout.refs));
    arena_init(&q->shared, config->port, (uint32_t *)(void *)(base + layout.shared_refs));
}

/* ---- sharing --------------------------------------------------------------------------------- */

static void set_up_ring(struct xenpv_netq *q, struct xenpv_ring *ring, uint32_t page,
                        uint32_t slot_size)
{
    xenpv_ring_init_front(ring, arena_memory(&q->arena, page), XENPV_PAGE_SIZE, slot_size);
    if (q->poll_mode)
        xenpv_ring_disarm(ring);
}

static void set_up(struct xenpv_netq *q)
{
    set_up_ring(q, &q->tx.ring, 0, XENPV_NETIF_TX_SLOT);
    set_up_ring(q, &q->rx.ring, 1, XENPV_NETIF_RX_SLOT);
    q->tx.memory = arena_memory(&q->arena, NET_RING_PAGES);
    q->tx.refs = &q->arena.region.refs[NET_RING_PAGES];
    q->rx.memory = net_buffer(q->tx.memory, q->tx_buffers);
    q->rx.refs = q->tx.refs + q->tx_buffers;
    q->tx.free = q->tx_buffers;
    q->tx.extras = 0;
    for (uint32_t i = 0; i < q->tx_buffers; i++) {
        q->tx.numbers[i] = (uint16_t)(q->tx_buffers - 1 - i);
        q->tx.slot[i].used = false;
    }
    q->rx.free = q->rx_buffers;
    q->rx.state = RX_FIRST;
    for (uint32_t i = 0; i < q->rx_buffers; i++)
        q->rx.pages[i] = (uint16_t)(q->rx_buffers - 1 - i);
}

static int make_ports(struct xenpv_netq *q)
{
    const struct xenpv_port *port = q->port;
    uint32_t count = q->features & XENPV_NET_SPLIT ? 2 : 1;
    int error = XENPV_OK;

    for (q->ports = 0; q->ports < count && error == XENPV_OK; q->ports += error == XENPV_OK)
        error = port->event->alloc_unbound(port->ctx, q->backend_id, &q->event_port[q->ports]);
    if (count == 1)
        q->event_port[1] = q->event_port[0];
    return error;
}

int netq_share(struct xenpv_netq *q, const struct netq_connection *connection)
{
    const struct xenpv_port *port = q->port;
    int error;

    q->generation = port->sys->generation(port->ctx);
    q->backend_id = connection->backend_id;
    q->features = connection->features;
    q->receives = connection->receives;
    q->max_frame = connection->max_frame;
    q->trusted = connection->trusted;
    error = arena_share(&q->arena, NET_RING_PAGES + q->tx_buffers + q->rx_buffers, q->backend_id);
    if (error == XENPV_OK && q->shared_pages)
        error = arena_share(&q->shared, q->shared_pages, q->backend_id);
    if (error == XENPV_OK)
        error = make_ports(q);
    if (error == XENPV_OK)
        set_up(q);
    return error;
}

/* The first buffers are shown here, for a queue whose thread only sends must not keep the backend
 * from delivering. */
void netq_open(struct xenpv_netq *q)
{
    netq_rx_fill(q);
    netq_publish(q, &q->rx.ring, 1);
    xenpv_store(&q->connections, xenpv_load(&q->connections) + 1);
    gate_open(&q->gate);
}

/* ---- taking down ----------------------------------------------------------------------------- */

static void close_ports(struct xenpv_netq *q, bool suspended)
{
    const struct xenpv_port *port = q->port;

    while (q->ports) {
        uint32_t number = q->event_port[--q->ports];

        if (suspended)
            port->event->forget(port->ctx, number);
        else
            port->event->close(port->ctx, number);
    }
}

int netq_release(struct xenpv_netq *q)
{
    int error = arena_end(&q->arena);

    if (error == XENPV_OK)
        error = arena_end(&q->shared);
    if (error)
        return error;
    close_ports(q, false);
    return XENPV_OK;
}

void netq_abandon(struct xenpv_netq *q, bool suspended)
{
    arena_abandon(&q->arena, suspended);
    arena_abandon(&q->shared, suspended);
    close_ports(q, suspended);
}

uint32_t netq_abandoned(const struct xenpv_netq *q)
{
    return q->arena.abandoned + q->shared.abandoned;
}
