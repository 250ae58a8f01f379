/* SPDX-License-Identifier: MIT */
#include "net_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

const struct peer_key peer_oldest[] = {{"feature-rx-copy", "1"}, {NULL, NULL}};
const struct peer_key peer_linux[] = {
    {"feature-rx-copy", "1"},
    {"feature-rx-flip", "0"},
    {"feature-sg", "1"},
    {"feature-gso-tcpv4", "1"},
    {"feature-gso-tcpv6", "1"},
    {"feature-ipv6-csum-offload", "1"},
    {"feature-multicast-control", "1"},
    {"feature-dynamic-multicast-control", "1"},
    {"feature-split-event-channels", "1"},
    {"feature-ctrl-ring", "1"},
    {"feature-xdp-headroom", "1"},
    {"multi-queue-max-queues", "8"},
    {NULL, NULL},
};

/* ---- memory of the frontend's ---------------------------------------------------------------- */

int peer_copy(struct peer *peer, uint32_t ref, uint32_t offset, void *local, uint32_t bytes,
              bool to_peer)
{
    const struct xenpv_port *port = &peer->rig->back_port;
    struct xenpv_copy_entry entry = {.local = local,
                                     .ref = ref,
                                     .domid = 1,
                                     .offset = (uint16_t)offset,
                                     .length = (uint16_t)bytes,
                                     .to_peer = to_peer};

    return port->map->copy(port->ctx, &entry, 1);
}

/* ---- transmit -------------------------------------------------------------------------------- */

static void take_request(struct peer *peer, uint32_t queue, struct xenpv_netif_tx_request *request)
{
    _Alignas(4) uint8_t image[XENPV_NETIF_TX_SLOT];

    assert_true(xenpv_ring_available(&peer->tx[queue].ring) > 0);
    xenpv_ring_take(&peer->tx[queue].ring, image, sizeof(image));
    xenpv_netif_get_tx_request((const uint32_t *)(const void *)image, request);
}

static void take_extras(struct peer *peer, uint32_t queue, struct peer_packet *packet)
{
    _Alignas(4) uint8_t image[XENPV_NETIF_TX_SLOT];
    struct xenpv_netif_extra *extra;

    do {
        assert_true(packet->extras < PEER_EXTRAS);
        assert_true(xenpv_ring_available(&peer->tx[queue].ring) > 0);
        extra = &packet->extra[packet->extras++];
        xenpv_ring_take(&peer->tx[queue].ring, image, sizeof(image));
        xenpv_netif_get_extra((const uint32_t *)(const void *)image, extra);
        assert_in_range(extra->type, XENPV_NETIF_EXTRA_GSO, XENPV_NETIF_EXTRA_HASH);
    } while (extra->flags & XENPV_NETIF_EXTRA_MORE);
}

static void fetch(struct peer *peer, struct peer_packet *packet, uint32_t slot, uint32_t at,
                  uint32_t bytes)
{
    const struct xenpv_netif_tx_request *request = &packet->request[slot];

    assert_true(bytes > 0 && request->offset + bytes <= 4096);
    assert_int_equal(
        peer_copy(peer, request->ref, request->offset, packet->bytes + at, bytes, false), XENPV_OK);
}

bool peer_take(struct peer *peer, uint32_t queue, struct peer_packet *packet)
{
    uint32_t rest = 0, at;
    bool multicast;

    if (xenpv_ring_available(&peer->tx[queue].ring) == 0)
        return false;
    packet->length = packet->slots = packet->extras = 0;
    do {
        struct xenpv_netif_tx_request *request = &packet->request[packet->slots++];

        assert_true(packet->slots <= XENPV_NETIF_SLOTS_MIN);
        take_request(peer, queue, request);
        if (packet->slots == 1) {
            packet->flags = request->flags;
            packet->length = request->size;
            if (request->flags & XENPV_NETTXF_EXTRA_INFO)
                take_extras(peer, queue, packet);
        } else {
            assert_int_equal(request->flags & ~XENPV_NETTXF_MORE_DATA, 0);
            rest += request->size;
        }
    } while (packet->request[packet->slots - 1].flags & XENPV_NETTXF_MORE_DATA);
    assert_true(packet->slots + packet->extras <= XENPV_NETIF_SLOTS_MIN);
    multicast = packet->extras && (packet->extra[0].type == XENPV_NETIF_EXTRA_MCAST_ADD ||
                                   packet->extra[0].type == XENPV_NETIF_EXTRA_MCAST_DEL);
    peer->packets++;
    if (multicast)
        return true;
    assert_true(packet->length >= XENPV_NET_FRAME_MIN && rest < packet->length);
    packet->first = packet->length - rest;
    /* FE-19: all headers are in the first slot. */
    assert_true(packet->first >= (packet->length < 128 ? packet->length : 128));
    fetch(peer, packet, 0, 0, packet->first);
    at = packet->first;
    for (uint32_t i = 1; i < packet->slots; i++) {
        fetch(peer, packet, i, at, packet->request[i].size);
        at += packet->request[i].size;
    }
    return true;
}

void peer_put_tx(struct peer *peer, uint32_t queue, uint16_t id, int16_t status)
{
    struct xenpv_netif_tx_response response = {id, status};

    xenpv_netif_put_tx_response(&response, xenpv_ring_next_out(&peer->tx[queue].ring));
}

void peer_show(struct peer *peer, struct peer_ring *ring, uint32_t half)
{
    const struct xenpv_port *port = &peer->rig->back_port;

    if (!xenpv_ring_publish(&ring->ring))
        return;
    peer->notified[half]++;
    port->event->notify(port->ctx, ring->port);
}

void peer_answer(struct peer *peer, uint32_t queue, const struct peer_packet *packet,
                 int16_t status)
{
    peer_put_tx(peer, queue, packet->request[0].id, status);
    /* As Linux does: of an extra info's answer only the status is written. */
    for (uint32_t i = 0; i < packet->extras; i++)
        peer_put_tx(peer, queue, 0xffff, XENPV_NETIF_NULL);
    for (uint32_t i = 1; i < packet->slots; i++)
        peer_put_tx(peer, queue, packet->request[i].id, status);
    peer_show(peer, &peer->tx[queue], 0);
}

/* ---- receive --------------------------------------------------------------------------------- */

struct xenpv_netif_rx_request peer_buffer(struct peer *peer, uint32_t queue)
{
    _Alignas(4) uint8_t image[XENPV_NETIF_RX_SLOT];
    struct xenpv_netif_rx_request request;

    assert_true(xenpv_ring_available(&peer->rx[queue].ring) > 0);
    xenpv_ring_take(&peer->rx[queue].ring, image, sizeof(image));
    xenpv_netif_get_rx_request((const uint32_t *)(const void *)image, &request);
    return request;
}

void peer_put_rx(struct peer *peer, uint32_t queue, const struct xenpv_netif_rx_response *response)
{
    xenpv_netif_put_rx_response(response, xenpv_ring_next_out(&peer->rx[queue].ring));
}

void peer_put_rx_extra(struct peer *peer, uint32_t queue, const struct xenpv_netif_extra *extra)
{
    xenpv_netif_put_rx_extra(extra, xenpv_ring_next_out(&peer->rx[queue].ring));
}

static void deliver_extras(struct peer *peer, uint32_t queue, const struct peer_frame *how)
{
    for (uint32_t i = 0; i < how->extras; i++) {
        struct xenpv_netif_extra extra = how->extra[i];

        peer_buffer(peer, queue);
        extra.flags = i + 1 < how->extras ? XENPV_NETIF_EXTRA_MORE : 0;
        peer_put_rx_extra(peer, queue, &extra);
    }
}

bool peer_deliver(struct peer *peer, uint32_t queue, const uint8_t *bytes, uint32_t length,
                  const struct peer_frame *how)
{
    uint32_t room = 4096 - how->offset - how->headroom;
    uint32_t chunk = how->chunk && how->chunk < room ? how->chunk : room, slot = 0;

    if (xenpv_ring_available(&peer->rx[queue].ring) < (length + chunk - 1) / chunk + how->extras)
        return false;
    for (uint32_t at = 0; at < length; at += chunk, slot++) {
        struct xenpv_netif_rx_request request = peer_buffer(peer, queue);
        uint32_t part = length - at < chunk ? length - at : chunk;
        union {
            const uint8_t *from;
            void *local;
        } memory = {bytes + at};
        struct xenpv_netif_rx_response response = {
            .id = request.id,
            .offset = (uint16_t)how->offset,
            .status = (int16_t)(part + how->headroom),
        };

        assert_int_equal(
            peer_copy(peer, request.ref, how->offset + how->headroom, memory.local, part, true),
            XENPV_OK);
        if ((int)slot + 1 == how->fail_at)
            response.status = XENPV_NETIF_ERROR;
        if (slot == 0)
            response.flags = (uint16_t)(how->flags | (how->extras ? XENPV_NETRXF_EXTRA_INFO : 0));
        if (at + part < length)
            response.flags |= XENPV_NETRXF_MORE_DATA;
        peer_put_rx(peer, queue, &response);
        if (slot == 0)
            deliver_extras(peer, queue, how);
    }
    peer_show(peer, &peer->rx[queue], 1);
    return true;
}

void peer_exchange(struct peer *peer)
{
    static uint8_t bytes[9000], found[9000];
    struct xenpv_net_frame frame;

    net_rig_fill(bytes, sizeof(bytes), peer->packets);
    assert_int_equal(net_rig_send(peer->rig, bytes, 9000, NULL), 0);
    assert_int_equal(net_rig_wait(peer->rig, NULL), 0);
    assert_int_equal(peer->last.length, 9000);
    assert_memory_equal(peer->last.bytes, bytes, 9000);
    assert_true(peer_deliver(peer, 0, bytes, 5000, &(struct peer_frame){0}));
    assert_int_equal(net_rig_receive(peer->rig, found, &frame), 5000);
    assert_memory_equal(found, bytes, 5000);
}

/* ---- control --------------------------------------------------------------------------------- */

static void serve_ctrl(struct peer *peer)
{
    while (xenpv_ring_available(&peer->ctrl.ring)) {
        _Alignas(4) uint8_t image[XENPV_NETIF_CTRL_SLOT];
        struct xenpv_netif_ctrl_request request;
        struct xenpv_netif_ctrl_response response;
        uint32_t data = 0;
        int status = XENPV_NETIF_CTRL_NOT_SUPPORTED;

        xenpv_ring_take(&peer->ctrl.ring, image, sizeof(image));
        xenpv_netif_get_ctrl_request((const uint32_t *)(const void *)image, &request);
        if (peer->judge)
            status = peer->judge(peer, &request, &data);
        if (status < 0)
            continue;
        response = (struct xenpv_netif_ctrl_response){
            .id = request.id, .type = request.type, .status = (uint32_t)status, .data = data};
        xenpv_netif_put_ctrl_response(&response, xenpv_ring_next_out(&peer->ctrl.ring));
    }
    peer_show(peer, &peer->ctrl, 0);
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void tell(struct peer *peer, const struct peer_key *keys, int state)
{
    struct net_rig *rig = peer->rig;
    char number[8];

    for (; keys && keys->name; keys++)
        net_rig_set(rig, rig->backend_path, keys->name, keys->value);
    snprintf(number, sizeof(number), "%d", state);
    net_rig_set(rig, rig->backend_path, "state", number);
    peer->state = state;
}

static int key(const struct peer *peer, uint32_t queue, const char *name)
{
    char whole[64];

    if (peer->queues > 1)
        snprintf(whole, sizeof(whole), "queue-%u/%s", queue, name);
    else
        snprintf(whole, sizeof(whole), "%s", name);
    return net_rig_get(peer->rig, NET_RIG_FRONTEND, whole);
}

static void bind(struct peer *peer, int channel, uint32_t *local)
{
    const struct xenpv_port *port = &peer->rig->back_port;

    assert_true(channel > 0);
    assert_int_equal(port->event->bind_interdomain(port->ctx, 1, (uint32_t)channel, local),
                     XENPV_OK);
}

static void attach_ring(struct peer *peer, struct peer_ring *ring, int ref, uint32_t slot_size)
{
    const struct xenpv_port *port = &peer->rig->back_port;

    assert_true(ref > 0);
    *ring = (struct peer_ring){.entry.ref = (uint32_t)ref};
    ring->map = (struct xenpv_map_region){.entries = &ring->entry, .count = 1, .domid = 1};
    assert_int_equal(port->map->map(port->ctx, &ring->map), XENPV_OK);
    xenpv_ring_attach_back(&ring->ring, ring->map.memory, XENPV_PAGE_SIZE, slot_size);
    /* It asks to be notified of the first request. */
    xenpv_store(&ring->ring.in->event, ring->ring.cons + 1);
}

static void attach_queue(struct peer *peer, uint32_t i)
{
    attach_ring(peer, &peer->tx[i], key(peer, i, "tx-ring-ref"), XENPV_NETIF_TX_SLOT);
    attach_ring(peer, &peer->rx[i], key(peer, i, "rx-ring-ref"), XENPV_NETIF_RX_SLOT);
    if (peer->split) {
        bind(peer, key(peer, i, "event-channel-tx"), &peer->tx[i].port);
        bind(peer, key(peer, i, "event-channel-rx"), &peer->rx[i].port);
    } else {
        bind(peer, key(peer, i, "event-channel"), &peer->tx[i].port);
        peer->rx[i].port = peer->tx[i].port;
    }
}

static void attach(struct peer *peer)
{
    int queues = net_rig_get(peer->rig, NET_RIG_FRONTEND, "multi-queue-num-queues");
    int ctrl = net_rig_get(peer->rig, NET_RIG_FRONTEND, "ctrl-ring-ref");
    int headroom = net_rig_get(peer->rig, NET_RIG_FRONTEND, "xdp-headroom");

    assert_int_equal(net_rig_get(peer->rig, NET_RIG_FRONTEND, "request-rx-copy"), 1);
    peer->queues = queues < 0 ? 1 : (uint32_t)queues;
    peer->split = key(peer, 0, "event-channel-tx") >= 0;
    peer->headroom = headroom < 0 ? 0 : (uint32_t)headroom;
    for (uint32_t i = 0; i < peer->queues; i++)
        attach_queue(peer, i);
    peer->has_ctrl = ctrl >= 0;
    if (peer->has_ctrl) {
        attach_ring(peer, &peer->ctrl, ctrl, XENPV_NETIF_CTRL_SLOT);
        bind(peer, net_rig_get(peer->rig, NET_RIG_FRONTEND, "event-channel-ctrl"),
             &peer->ctrl.port);
    }
    peer->attached++;
}

static void detach(struct peer *peer)
{
    const struct xenpv_port *port = &peer->rig->back_port;

    for (uint32_t i = 0; i < peer->queues; i++) {
        port->map->unmap(port->ctx, &peer->tx[i].map);
        port->map->unmap(port->ctx, &peer->rx[i].map);
        port->event->close(port->ctx, peer->tx[i].port);
        if (peer->split)
            port->event->close(port->ctx, peer->rx[i].port);
    }
    if (peer->queues && peer->has_ctrl) {
        port->map->unmap(port->ctx, &peer->ctrl.map);
        port->event->close(port->ctx, peer->ctrl.port);
    }
    peer->queues = 0;
}

static void take_events(struct peer *peer, uint32_t queue)
{
    const struct xenpv_port *port = &peer->rig->back_port;
    struct peer_ring *rings[2] = {&peer->tx[queue], &peer->rx[queue]};

    for (uint32_t half = 0; half < (peer->split ? 2u : 1u); half++) {
        if (port->event->take(port->ctx, rings[half]->port)) {
            peer->events[half]++;
            port->event->unmask(port->ctx, rings[half]->port);
        }
    }
}

static void serve(struct peer *peer, uint32_t queue)
{
    take_events(peer, queue);
    while (peer_take(peer, queue, &peer->last))
        peer_answer(peer, queue, &peer->last, XENPV_NETIF_OKAY);
    xenpv_ring_arm(&peer->tx[queue].ring);
}

static void step(struct net_rig *rig, void *ctx)
{
    struct peer *peer = ctx;
    int front = net_rig_get(rig, NET_RIG_FRONTEND, "state");

    if (peer->gone)
        return;
    if (peer->state == 0 || (peer->state == 6 && front == 1))
        tell(peer, peer->offer, 2);
    else if (peer->state == 2 && front == 4) {
        attach(peer);
        tell(peer, NULL, 4);
    } else if ((peer->state == 4 || peer->state == 8) && front == 7 && !peer->silent) {
        peer->headroom = (uint32_t)net_rig_get(rig, NET_RIG_FRONTEND, "xdp-headroom");
        if (peer->state == 4) /* as Linux does: it stays at 8, and does not write it again */
            tell(peer, NULL, 8);
    } else if ((peer->state == 4 || peer->state == 8) && front == 5)
        tell(peer, NULL, 5);
    else if (peer->state != 6 && front == 6) {
        if (!peer->stubborn)
            detach(peer);
        tell(peer, NULL, 6);
    }
    for (uint32_t i = 0; i < peer->queues && peer->state != 6 && !peer->idle; i++)
        serve(peer, i);
    if (peer->queues && peer->has_ctrl && peer->state != 6)
        serve_ctrl(peer);
}

void peer_up(struct peer *peer, struct net_rig *rig, const struct peer_key *offer)
{
    memset(peer, 0, sizeof(*peer));
    peer->offer = offer;
    peer->rig = rig;
    rig->other = step;
    rig->other_ctx = peer;
}

void peer_down(struct peer *peer)
{
    detach(peer);
    peer->rig->other = NULL;
}

void peer_restart(struct peer *peer)
{
    detach(peer);
    tell(peer, NULL, 1);
    peer->state = 0;
}

void peer_rig_up(struct peer *peer, struct net_rig *rig, const struct net_rig_options *options,
                 const struct peer_key *offer)
{
    net_rig_up(rig, options);
    peer_up(peer, rig, offer);
    net_rig_connect(rig);
}

void peer_rig_down(struct peer *peer)
{
    net_rig_close(peer->rig);
    peer_down(peer);
    net_rig_down(peer->rig);
}
