/* SPDX-License-Identifier: MIT */
/* The network queue: stopping, waiting, and what is told of it. */
#include "net_device.h"

/* ---- stopping -------------------------------------------------------------------------------- */

/* The caller still reads pages that would go: the queue touches nothing, but has not stopped. */
static void acknowledge(struct xenpv_netq *q, enum gate_state state)
{
    if (q->rx.frames)
        return;
    q->why = 0;
    gate_acknowledge(&q->gate, state);
}

/* Ends all packets with the error that was the first. */
static void halt(struct xenpv_netq *q, int error)
{
    if (!q->why)
        q->why = error;
    netq_tx_end_all(q, q->why);
    acknowledge(q, GATE_PARKED);
}

void netq_violated(struct xenpv_netq *q, uint32_t check, uint32_t index, uint64_t value)
{
    q->rx.state = RX_OVER;
    gate_violated(&q->gate, check, index, value);
    halt(q, XENPV_EBROKEN);
}

bool netq_obey_stop(struct xenpv_netq *q, enum gate_state state, enum gate_stop stop)
{
    if (state == GATE_PARKED)
        return false;
    if (q->why)
        halt(q, q->why);
    else if (stop == GATE_HALT)
        halt(q, q->gate.reason);
    else if (state == GATE_OPEN && stop == GATE_HOLD) {
        netq_tx_end_all(q, XENPV_EPEER);
        acknowledge(q, GATE_HELD);
    } else
        return state == GATE_OPEN;
    return false;
}

int netq_nothing(struct xenpv_netq *q, bool open)
{
    if (open && xenpv_load(&q->gate.stop) == GATE_DRAIN && xenpv_netq_pending(q) == 0)
        acknowledge(q, GATE_PARKED);
    return gate_is(&q->gate, GATE_PARKED) && q->tx.ended == 0 ? XENPV_EPARKED : 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

xenpv_handle xenpv_netq_wait_handle(const struct xenpv_netq *q, enum xenpv_net_half half)
{
    const struct xenpv_port *port = q->port;

    if (q->poll_mode || !gate_is(&q->gate, GATE_OPEN))
        return XENPV_NO_HANDLE;
    return port->event->wait_handle(port->ctx, q->event_port[half == XENPV_NET_RX]);
}

static bool take_event(const struct xenpv_netq *q, uint32_t half)
{
    const struct xenpv_port *port = q->port;

    if (!port->event->take(port->ctx, q->event_port[half]))
        return false;
    port->event->unmask(port->ctx, q->event_port[half]);
    return true;
}

/* An event that was taken for one half may have been that of the other, armed before. */
static bool was_of_other(const struct xenpv_netq *q, uint32_t halves)
{
    const struct xenpv_ring *other = halves == XENPV_NET_TX ? &q->rx.ring : &q->tx.ring;

    return !(q->features & XENPV_NET_SPLIT) && halves != (XENPV_NET_TX | XENPV_NET_RX) &&
           xenpv_ring_available(other) != 0;
}

/* Packets end by the dozen: an event for each would cost more than it tells. */
static bool arm_tx(struct xenpv_ring *ring)
{
    xenpv_store_seq(&ring->in->event, ring->cons + 1 + xenpv_ring_outstanding(ring) / 2);
    return xenpv_load_seq(&ring->in->prod) != ring->cons;
}

/* Who drains takes no frames: what lies there is nothing to be told of. */
static bool arm_rx(struct xenpv_netq *q)
{
    if (xenpv_load(&q->gate.stop) != GATE_RUN)
        return false;
    netq_rx_fill(q);
    netq_publish(q, &q->rx.ring, 1);
    return xenpv_ring_arm(&q->rx.ring);
}

/* What no event will tell of; or the queue is to stop. */
static bool must_look(const struct xenpv_netq *q)
{
    const struct xenpv_port *port = q->port;
    uint32_t stop = xenpv_load(&q->gate.stop);

    if (gate_is(&q->gate, GATE_PARKED) || q->why || stop == GATE_HALT || stop == GATE_HOLD)
        return true;
    if (stop == GATE_DRAIN && xenpv_netq_pending(q) == 0)
        return true;
    if (xenpv_netq_wait_handle(q, XENPV_NET_RX) == XENPV_NO_HANDLE)
        return true;
    /* After a suspend the number may be another device's port: its event is not ours to take. */
    return q->tx.ring.prod != q->tx.ring.published ||
           port->sys->generation(port->ctx) != q->generation;
}

int xenpv_netq_arm(struct xenpv_netq *q, uint32_t halves)
{
    bool again = false, taken = false;

    if (q->tx.ended)
        return 1;
    if (gate_is(&q->gate, GATE_HELD))
        return xenpv_load(&q->gate.stop) == GATE_HALT;
    if (must_look(q))
        return 1;
    if (halves & XENPV_NET_TX)
        taken = take_event(q, 0);
    if (halves & XENPV_NET_RX) {
        taken |= take_event(q, 1);
        again = arm_rx(q);
    }
    if (halves & XENPV_NET_TX)
        again |= arm_tx(&q->tx.ring);
    return again || (taken && was_of_other(q, halves));
}

/* ---- what is told ---------------------------------------------------------------------------- */

uint32_t xenpv_netq_pending(const struct xenpv_netq *q)
{
    return q->tx.accepted - q->tx.delivered;
}

uint32_t xenpv_netq_frames(const struct xenpv_netq *q)
{
    return q->rx.frames;
}

bool xenpv_netq_held(const struct xenpv_netq *q)
{
    return gate_is(&q->gate, GATE_HELD);
}

uint32_t xenpv_netq_connections(const struct xenpv_netq *q)
{
    return xenpv_load(&q->connections);
}

void xenpv_netq_stats(const struct xenpv_netq *q, struct xenpv_netq_stats *stats)
{
    *stats = q->stats;
}

void *xenpv_netq_shared(struct xenpv_netq *q)
{
    return gate_is(&q->gate, GATE_OPEN) && q->shared_pages ? q->shared.region.memory : NULL;
}
