/* SPDX-License-Identifier: MIT */
/*
 * What changes while a frontend is connected: `request-multicast-control`, the headroom that it
 * asks for by state 7 and is granted by our 8, both as Linux netback has them, and our `carrier`.
 */
#include "backend/netback.h"

#define AGAIN_MS 100u

enum { READ_STATE, READ_MULTICAST, READ_HEADROOM, WRITE_CARRIER, WRITE_STATE, OPERATIONS };

static bool connected(const struct xenpv_netback *back)
{
    return back->bus.phase == XENPV_BUS_CONNECTED && back->bus.own_state == XENPV_STATE_CONNECTED;
}

static bool carrier(const struct xenpv_netback *back)
{
    return !back->link->carrier || back->link->carrier(back->link->ctx);
}

/* ---- the watch ------------------------------------------------------------------------------- */

static void watch(struct xenpv_netback *back)
{
    static const char name[] = "/request-multicast-control";
    struct netback_live *live = &back->live;
    size_t length = strlen(back->bus.peer_path);

    memcpy(live->watched, back->bus.peer_path, length);
    memcpy(live->watched + length, name, sizeof(name));
    /* Without a watch what was read at the beginning counts, as with the static kind of control. */
    live->watching = netback_offers(back, XENPV_NET_DYNAMIC) &&
                     back->port->store->watch(back->port->ctx, live->watched, live) == XENPV_OK;
}

static void enter(struct xenpv_netback *back)
{
    struct netback_live *live = &back->live;

    live->entered = true;
    live->reconfigured = live->again = false;
    live->frontend = XENPV_STATE_CONNECTED;
    live->retry_at = 0;
    watch(back);
}

void netback_live_drop(struct xenpv_netback *back)
{
    struct netback_live *live = &back->live;

    if (live->started)
        back->port->store->cancel(back->port->ctx, &live->batch);
    if (live->watching)
        back->port->store->unwatch(back->port->ctx, live->watched, live);
    live->started = live->watching = live->entered = false;
}

/* ---- what is read and written ---------------------------------------------------------------- */

/* Our state, as the frontend's asks for. */
static uint32_t wanted_state(const struct netback_live *live)
{
    return live->frontend == XENPV_STATE_RECONFIGURING ? XENPV_STATE_RECONFIGURED
                                                       : XENPV_STATE_CONNECTED;
}

static struct xenpv_store_op *put(struct xenpv_netback *back, enum xenpv_store_type type,
                                  uint32_t operation, const char *dir, const char *name)
{
    struct netback_live *live = &back->live;
    struct xenpv_store_op *op = &live->ops[live->batch.count++];

    live->place[operation] = op;
    *op = (struct xenpv_store_op){.type = type,
                                  .dir = dir,
                                  .name = name,
                                  .value = live->text[operation],
                                  .capacity = sizeof(live->text[operation])};
    return op;
}

static void build(struct xenpv_netback *back)
{
    struct netback_live *live = &back->live;
    const char *own = back->config.path, *peer = back->bus.peer_path;
    uint32_t state = wanted_state(live);

    live->batch = (struct xenpv_store_batch){
        .ops = live->ops, .transaction = back->port->caps & XENPV_CAP_TRANSACTIONS};
    memset(live->place, 0, sizeof(live->place));
    put(back, XENPV_STORE_READ, READ_STATE, own, "state");
    put(back, XENPV_STORE_READ, READ_MULTICAST, peer, "request-multicast-control");
    put(back, XENPV_STORE_READ, READ_HEADROOM, peer, "xdp-headroom");
    if (carrier(back) != live->carrier)
        put(back, XENPV_STORE_WRITE, WRITE_CARRIER, own, "carrier")->length =
            xenpv_format_number(!live->carrier, live->text[WRITE_CARRIER]);
    if ((state == XENPV_STATE_RECONFIGURED) != live->reconfigured)
        put(back, XENPV_STORE_WRITE, WRITE_STATE, own, "state")->length =
            xenpv_format_number(state, live->text[WRITE_STATE]);
}

/* The toolstack may have asked us to close where our state stands now: it is obeyed all the same.
 */
static bool told_to_close(const struct xenpv_store_op *op)
{
    const char *text = op->value;

    return op->status == XENPV_OK && op->length == 1 &&
           (*text == '0' + XENPV_STATE_CLOSING || *text == '0' + XENPV_STATE_CLOSED);
}

/* A number that was read; 0 for anything else. */
static uint64_t number(const struct xenpv_store_op *op)
{
    uint64_t value;

    return op->status == XENPV_OK && xenpv_parse_number(op->value, op->length, &value) ? value : 0;
}

static bool good(const struct xenpv_store_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].type == XENPV_STORE_WRITE && batch->ops[i].status != XENPV_OK)
            return false;
    }
    return batch->status == XENPV_OK;
}

static void ended(struct xenpv_netback *back)
{
    struct netback_live *live = &back->live;
    uint64_t headroom;

    live->started = false;
    if (told_to_close(live->place[READ_STATE]))
        xenpv_bus_start(&back->bus, XENPV_GOAL_CLOSE, back->now);
    if (!good(&live->batch)) {
        live->again = true;
        live->retry_at = back->now + AGAIN_MS;
        return;
    }
    headroom = number(live->place[READ_HEADROOM]);
    if (netback_offers(back, XENPV_NET_DYNAMIC))
        back->mcast.wanted = number(live->place[READ_MULTICAST]) != 0;
    if (live->place[WRITE_CARRIER])
        live->carrier = !live->carrier;
    if (!live->place[WRITE_STATE])
        return;
    live->reconfigured = !live->reconfigured;
    if (live->reconfigured && netback_offers(back, XENPV_NET_HEADROOM))
        back->headroom = headroom <= NETBACK_HEADROOM ? (uint32_t)headroom : 0;
}

/* ---- its step -------------------------------------------------------------------------------- */

/* There is something to be read or written; what the frontend's state was is remembered. */
static bool changed(struct xenpv_netback *back)
{
    struct netback_live *live = &back->live;
    bool fired = live->watching && back->port->store->fired(back->port->ctx, live);
    uint32_t state = back->bus.peer_state;

    if (state == XENPV_STATE_RECONFIGURING || state == XENPV_STATE_CONNECTED)
        live->frontend = state;
    return fired || live->again || carrier(back) != live->carrier ||
           (wanted_state(live) == XENPV_STATE_RECONFIGURED) != live->reconfigured;
}

void netback_live_step(struct xenpv_netback *back)
{
    const struct xenpv_port *port = back->port;
    struct netback_live *live = &back->live;
    int answer;

    if (!connected(back)) {
        netback_live_drop(back);
        return;
    }
    if (!live->entered)
        enter(back);
    if (live->started) {
        answer = port->store->check(port->ctx, &live->batch);
    } else {
        live->again |= changed(back);
        if (!live->again || back->now < live->retry_at)
            return;
        build(back);
        live->again = false;
        answer = port->store->start(port->ctx, &live->batch);
    }
    live->started = answer == XENPV_PENDING;
    if (!live->started)
        ended(back);
}

uint64_t netback_live_deadline(const struct xenpv_netback *back)
{
    const struct netback_live *live = &back->live;

    return live->again && !live->started && connected(back) ? live->retry_at : UINT64_MAX;
}
