/* SPDX-License-Identifier: MIT */
/* The stations of the handshake, and what the frontend shares. */
#include "backend/netback.h"
#include "core/key_name.h"

static uint32_t generation(const struct xenpv_netback *back)
{
    return back->port->sys->generation(back->port->ctx);
}

/* A suspend may be noticed here first, and what it made void must never be closed. */
static void close_port(struct xenpv_netback *back, uint32_t port)
{
    if (generation(back) != back->generation)
        back->port->event->forget(back->port->ctx, port);
    else
        back->port->event->close(back->port->ctx, port);
}

static void unmap(struct xenpv_netback *back, struct netback_end *end)
{
    back->port->map->unmap(back->port->ctx, &end->map);
}

static void detach_queue(struct xenpv_netback *back, struct netback_queue *q)
{
    if (q->split)
        close_port(back, q->rx.port);
    close_port(back, q->tx.port);
    unmap(back, &q->rx);
    unmap(back, &q->tx);
    netback_drop_grants(back, q);
    frame_queue_destroy(&back->config.allocator, &q->backlog);
}

void netback_detach(struct xenpv_netback *back)
{
    back->link_more = false;
    if (back->has_control) {
        back->has_control = false;
        close_port(back, back->control.port);
        unmap(back, &back->control);
    }
    while (back->queues)
        detach_queue(back, &back->queue[--back->queues]);
}

static int map_ring(struct xenpv_netback *back, struct netback_end *end, uint32_t queue,
                    const char *key, uint32_t slot)
{
    int error;

    end->armed = false;
    end->map =
        (struct xenpv_map_region){.entries = &end->page, .count = 1, .domid = back->bus.peer_domid};
    error = back->port->map->map(back->port->ctx, &end->map);
    if (error)
        return netback_refuse_key(back, queue, key, error, end->page.ref,
                                  "mapping the frontend's ring",
                                  "a page that is granted to the backend");
    xenpv_ring_attach_back(&end->ring, end->map.memory, XENPV_PAGE_SIZE, slot);
    return XENPV_OK;
}

static int bind(struct xenpv_netback *back, struct netback_end *end, uint32_t queue,
                const char *key)
{
    int error = back->port->event->bind_interdomain(back->port->ctx, back->bus.peer_domid,
                                                    end->peer_port, &end->port);

    if (error)
        return netback_refuse_key(back, queue, key, error, end->peer_port,
                                  "binding the frontend's event channel",
                                  "a port that waits for the backend");
    return XENPV_OK;
}

static int bind_queue(struct xenpv_netback *back, struct netback_queue *q, uint32_t name)
{
    int error = bind(back, &q->tx, name, q->split ? "event-channel-tx" : "event-channel");

    if (error)
        return error;
    if (!q->split) {
        q->rx.port = q->tx.port;
        return XENPV_OK;
    }
    error = bind(back, &q->rx, name, "event-channel-rx");
    if (error)
        close_port(back, q->tx.port);
    return error;
}

static int map_queue(struct xenpv_netback *back, struct netback_queue *q, uint32_t name)
{
    int error = map_ring(back, &q->tx, name, "tx-ring-ref", XENPV_NETIF_TX_SLOT);

    if (error)
        return error;
    error = map_ring(back, &q->rx, name, "rx-ring-ref", XENPV_NETIF_RX_SLOT);
    if (error)
        unmap(back, &q->tx);
    return error;
}

static int attach_queue(struct xenpv_netback *back, uint32_t number)
{
    uint32_t name = back->asked_queues > 1 ? number : KEY_ALONE;
    struct netback_queue *q = &back->queue[number];
    int error = map_queue(back, q, name);

    if (error)
        return error;
    error = bind_queue(back, q, name);
    if (error) {
        unmap(back, &q->tx);
        unmap(back, &q->rx);
        return error;
    }
    q->more = true;
    q->rx_free = q->asked_for = q->backlog_at = 0;
    q->grants = (struct netback_grants){0};
    back->queues = number + 1;
    return frame_queue_create(&back->config.allocator, back->config.backlog, &q->backlog);
}

static int attach_control(struct xenpv_netback *back)
{
    struct netback_end *end = &back->control;
    int error;

    if (!end->peer_port)
        return XENPV_OK;
    error = map_ring(back, end, KEY_ALONE, "ctrl-ring-ref", XENPV_NETIF_CTRL_SLOT);
    if (error)
        return error;
    error = bind(back, end, KEY_ALONE, "event-channel-ctrl");
    if (error)
        unmap(back, end);
    back->has_control = !error;
    return error;
}

static int on_publish(void *owner)
{
    struct xenpv_netback *back = owner;

    netback_set_rate(back, xenpv_bus_value(&back->bus, XENPV_ASK_OWN, 0)->text);
    return netback_put_offer(back);
}

static int on_connect(void *owner)
{
    struct xenpv_netback *back = owner;
    int error = XENPV_OK;

    back->generation = generation(back);
    back->hash = (struct netback_hash){0};
    back->mcast.count = 0;
    back->link_more = true;
    for (uint32_t i = 0; i < back->asked_queues && !error; i++)
        error = attach_queue(back, i);
    return error ? error : attach_control(back);
}

/* What the frontend has published by now is done when it is to be, whatever its rate; what it
 * publishes later is not: it was told, and might go on for ever. */
static bool on_quiesce(void *owner, enum xenpv_quiesce how)
{
    struct xenpv_netback *back = owner;

    back->rate = (struct netback_rate){0};
    for (uint32_t i = 0; i < back->queues && how == XENPV_QUIESCE_DRAIN; i++)
        netback_serve_tx(back, &back->queue[i]);
    netback_detach(back);
    return true;
}

static int on_release(void *owner)
{
    netback_detach(owner);
    return XENPV_OK;
}

static void on_abandon(void *owner, bool suspended)
{
    (void)suspended;
    netback_detach(owner);
}

const struct xenpv_bus_driver netback_driver = {
    .role = XENPV_BACKEND,
    .published_state = XENPV_STATE_INIT_WAIT,
    .ask = {[XENPV_ASK_OWN] = {netback_own_keys, NETBACK_OWN},
            [XENPV_ASK_ANSWER] = {netback_answer_keys, NETBACK_ANSWERS}},
    .clean = netback_clean,
    .publish = on_publish,
    .more = netback_more,
    .connect = on_connect,
    .quiesce = on_quiesce,
    .release = on_release,
    .abandon = on_abandon,
};
