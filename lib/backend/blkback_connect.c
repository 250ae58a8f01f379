/* SPDX-License-Identifier: MIT */
/* The stations of the handshake, and what the frontend shares. */
#include "backend/blkback.h"

static uint32_t generation(const struct xenpv_blkback *back)
{
    return back->port->sys->generation(back->port->ctx);
}

static void detach_queue(struct xenpv_blkback *back, struct blkback_queue *q)
{
    const struct xenpv_port *port = back->port;

    /* A suspend may be noticed here first, and what it made void must never be closed. */
    if (generation(back) != back->generation)
        port->event->forget(port->ctx, q->event_port);
    else
        port->event->close(port->ctx, q->event_port);
    blkback_cache_destroy(back, &q->cache);
    port->map->unmap(port->ctx, &q->ring_map);
}

void blkback_detach(struct xenpv_blkback *back)
{
    while (back->queues)
        detach_queue(back, &back->queue[--back->queues]);
}

static int refuse_ring(struct xenpv_blkback *back, uint32_t number, int error)
{
    const struct xenpv_map_entry *entries = back->queue[number].ring_pages;
    char name[32] = "ring-ref";
    uint32_t bad = 0;

    while (bad + 1 < back->ring_pages && entries[bad].status == XENPV_OK)
        bad++;
    if (back->queue[number].numbered)
        xenpv_format_number(bad, name + strlen(name));
    return blkback_refuse_queue(back, number, name, error, entries[bad].ref,
                                "mapping the frontend's ring",
                                "a page that is granted to the backend");
}

static int refuse_port(struct xenpv_blkback *back, uint32_t number, int error)
{
    return blkback_refuse_queue(back, number, "event-channel", error, back->queue[number].peer_port,
                                "binding the frontend's event channel",
                                "a port that waits for the backend");
}

static int attach_queue(struct xenpv_blkback *back, uint32_t number)
{
    const struct xenpv_port *port = back->port;
    struct blkback_queue *q = &back->queue[number];
    uint16_t domid = back->bus.peer_domid;
    uint32_t count = back->ring_pages;
    int error;

    q->ring_map =
        (struct xenpv_map_region){.entries = q->ring_pages, .count = count, .domid = domid};
    error = port->map->map(port->ctx, &q->ring_map);
    if (error)
        return refuse_ring(back, number, error);
    error = port->event->bind_interdomain(port->ctx, domid, q->peer_port, &q->event_port);
    if (error) {
        port->map->unmap(port->ctx, &q->ring_map);
        return refuse_port(back, number, error);
    }
    xenpv_ring_attach_back(&q->ring, q->ring_map.memory, count * XENPV_PAGE_SIZE,
                           xenpv_blkif_slot_size(back->abi));
    q->armed = false;
    q->more = true;
    back->queues = number + 1;
    return back->persistent ? blkback_cache_create(back, &q->cache) : XENPV_OK;
}

static int attach(struct xenpv_blkback *back)
{
    back->generation = generation(back);
    int error = XENPV_OK;

    for (uint32_t i = 0; i < back->asked_queues && !error; i++)
        error = attach_queue(back, i);
    return error;
}

static int on_publish(void *owner)
{
    struct xenpv_blkback *back = owner;

    blkback_take_own(back);
    return blkback_put_offer(back);
}

static int on_connect(void *owner)
{
    struct xenpv_blkback *back = owner;
    int error = attach(back);

    back->resize.wanted = false;
    return error ? error : blkback_put_properties(back);
}

/* What the frontend has published by now is done when it is to be; what it publishes later is not:
 * it was told, and might go on for ever. */
static bool on_quiesce(void *owner, enum xenpv_quiesce how)
{
    struct xenpv_blkback *back = owner;

    if (how == XENPV_QUIESCE_DRAIN)
        blkback_serve(back);
    blkback_detach(back);
    return true;
}

static int on_release(void *owner)
{
    blkback_detach(owner);
    return XENPV_OK;
}

static void on_abandon(void *owner, bool suspended)
{
    (void)suspended;
    blkback_detach(owner);
}

const struct xenpv_bus_driver blkback_driver = {
    .role = XENPV_BACKEND,
    .published_state = XENPV_STATE_INIT_WAIT,
    .ask = {[XENPV_ASK_OWN] = {blkback_own_keys, BLKBACK_OWN},
            [XENPV_ASK_ANSWER] = {blkback_answer_keys, BLKBACK_ANSWERS}},
    .clean = blkback_clean,
    .publish = on_publish,
    .more = blkback_more,
    .connect = on_connect,
    .quiesce = on_quiesce,
    .release = on_release,
    .abandon = on_abandon,
};
