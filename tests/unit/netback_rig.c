/* SPDX-License-Identifier: MIT */
#include "netback_rig.h"

/* ---- the machine ----------------------------------------------------------------------------- */

static bool rig_carrier(void *ctx)
{
    (void)ctx;
    return true;
}

static void make_directories(struct nb_rig *rig)
{
    static const struct nb_key front[] = {{"backend", NB_BACK}, {"backend-id", "0"},
                                          {"handle", "0"},      {"mac", "00:16:3e:00:00:01"},
                                          {"mtu", "1500"},      {"state", "1"}};
    static const struct nb_key back[] = {
        {"frontend", NB_FRONT},       {"frontend-id", "1"},   {"online", "1"}, {"handle", "0"},
        {"mac", "00:16:3e:00:00:01"}, {"hotplug-status", ""}, {"state", "1"}};
    struct xenpv_mock_perms mine = {.owner = 1, .domid = 0, .allowed = XENPV_MOCK_READ};
    struct xenpv_mock_perms yours = {.owner = 0, .domid = 1, .allowed = XENPV_MOCK_READ};

    assert_int_equal(xenpv_mock_write(rig->mock, NB_FRONT, ""), XENPV_OK);
    assert_int_equal(xenpv_mock_write(rig->mock, NB_BACK, ""), XENPV_OK);
    assert_int_equal(xenpv_mock_set_perms(rig->mock, NB_FRONT, &mine), XENPV_OK);
    assert_int_equal(xenpv_mock_set_perms(rig->mock, NB_BACK, &yours), XENPV_OK);
    for (size_t i = 0; i < COUNT(front); i++)
        nb_set(rig, NB_FRONT, front[i].name, front[i].value);
    for (size_t i = 0; i < COUNT(back); i++)
        nb_set(rig, NB_BACK, back[i].name, back[i].value);
}

void nb_up_limited(struct nb_rig *rig, uint32_t maps)
{
    struct xenpv_mock_config config = {
        .size = sizeof(config), .log = strict_log, .limits = {.maps = maps}};
    struct xenpv_link ends[2];

    memset(rig, 0, sizeof(*rig));
    rig->allocator = strict_allocator(&rig->heap);
    config.allocator = rig->allocator;
    assert_int_equal(xenpv_mock_create(&config, &rig->mock), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(rig->mock, 1), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, 0, &rig->back_port), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, 1, &rig->front_port), XENPV_OK);
    faulty_wrap(&rig->faulty, &rig->back_port);
    make_directories(rig);
    assert_int_equal(xenpv_link_pair(&rig->allocator, 1 << 20, ends), XENPV_OK);
    rig->link = ends[0];
    rig->wire = ends[1];
    rig->link.carrier = rig_carrier;
    xenpv_netback_config_init(&rig->config, &rig->back_port, NB_BACK, &rig->link, &rig->allocator);
}

void nb_up(struct nb_rig *rig)
{
    nb_up_limited(rig, 0);
}

void nb_start(struct nb_rig *rig)
{
    assert_int_equal(xenpv_netback_create(&rig->config, &rig->back), XENPV_OK);
    assert_int_equal(xenpv_netback_start(rig->back, xenpv_mock_now(rig->mock)), XENPV_OK);
}

static void assert_held_nothing(struct nb_rig *rig, uint16_t domid)
{
    struct xenpv_mock_ledger ledger, nothing = {0};

    assert_int_equal(xenpv_mock_ledger(rig->mock, domid, &ledger), XENPV_OK);
    assert_memory_equal(&ledger, &nothing, sizeof(ledger));
}

void nb_down(struct nb_rig *rig)
{
    uint64_t end = xenpv_mock_now(rig->mock) + 60000;

    if (rig->connected)
        nb_close(rig);
    xenpv_netback_close(rig->back, xenpv_mock_now(rig->mock));
    while (xenpv_netback_step(rig->back, xenpv_mock_now(rig->mock)) != XENPV_BUS_DONE) {
        assert_true(xenpv_mock_now(rig->mock) < end);
        xenpv_mock_advance(rig->mock, 10);
    }
    assert_held_nothing(rig, 0);
    xenpv_netback_destroy(rig->back);
    assert_held_nothing(rig, 1);
    rig->link.close(rig->link.ctx);
    rig->wire.close(rig->wire.ctx);
    xenpv_mock_destroy(rig->mock);
    assert_int_equal(rig->heap.blocks, 0);
}

void nb_steps(struct nb_rig *rig, int count)
{
    while (count--)
        xenpv_netback_step(rig->back, xenpv_mock_now(rig->mock));
}

void nb_until(struct nb_rig *rig, int state)
{
    for (int i = 0; i < 2000; i++) {
        nb_steps(rig, 1);
        if (nb_get(rig, NB_BACK, "state") == state)
            return;
        if (xenpv_netback_deadline(rig->back) > xenpv_mock_now(rig->mock))
            xenpv_mock_advance(rig->mock, 1);
    }
    fail_msg("the backend's state is not %d but %d: %s", state, (int)nb_get(rig, NB_BACK, "state"),
             xenpv_netback_detail(rig->back)->step);
}

void nb_assert_holds(struct nb_rig *rig, uint32_t maps, uint32_t ports)
{
    struct xenpv_mock_ledger ledger;

    assert_int_equal(xenpv_mock_ledger(rig->mock, 0, &ledger), XENPV_OK);
    assert_int_equal(ledger.maps, maps);
    assert_int_equal(ledger.ports, ports);
}

struct xenpv_netback_stats nb_stats(const struct nb_rig *rig)
{
    struct xenpv_netback_stats stats;

    xenpv_netback_stats(rig->back, &stats);
    return stats;
}

static void path(char *to, size_t bytes, const char *dir, const char *key)
{
    snprintf(to, bytes, "%s/%s", dir, key);
}

void nb_set(struct nb_rig *rig, const char *dir, const char *key, const char *value)
{
    char node[256];

    path(node, sizeof(node), dir, key);
    assert_int_equal(xenpv_mock_write(rig->mock, node, value), XENPV_OK);
}

void nb_remove(struct nb_rig *rig, const char *dir, const char *key)
{
    char node[256];

    path(node, sizeof(node), dir, key);
    xenpv_mock_rm(rig->mock, node);
}

int64_t nb_get(struct nb_rig *rig, const char *dir, const char *key)
{
    char node[256], value[64];

    path(node, sizeof(node), dir, key);
    if (xenpv_mock_read(rig->mock, node, value, sizeof(value)))
        return -1;
    return strtoll(value, NULL, 10);
}

/* ---- the wire -------------------------------------------------------------------------------- */

void nb_wire_send(struct nb_rig *rig, const struct xenpv_link_frame *frame)
{
    assert_int_equal(rig->wire.send(rig->wire.ctx, frame), XENPV_OK);
}

bool nb_wire_take(struct nb_rig *rig, struct xenpv_link_frame *frame)
{
    *frame = (struct xenpv_link_frame){.data = rig->scratch};
    return rig->wire.receive(rig->wire.ctx, frame) == XENPV_OK;
}

/* ---- the frontend ---------------------------------------------------------------------------- */

static uint32_t queues(const struct nb_rig *rig)
{
    return rig->front.queues ? rig->front.queues : 1;
}

static void set_number(struct nb_rig *rig, const char *prefix, const char *key, uint32_t number)
{
    char name[64], text[21];

    xenpv_format_number(number, text);
    snprintf(name, sizeof(name), "%s%s", prefix, key);
    nb_set(rig, NB_FRONT, name, text);
}

static void write_queue_keys(struct nb_rig *rig, uint32_t queue)
{
    const struct nb_queue *q = &rig->queue[queue];
    char prefix[24] = "";

    if (rig->front.queues > 1)
        snprintf(prefix, sizeof(prefix), "queue-%u/", queue);
    set_number(rig, prefix, "tx-ring-ref", rig->ring_refs[(size_t)queue * 2]);
    set_number(rig, prefix, "rx-ring-ref", rig->ring_refs[(size_t)queue * 2 + 1]);
    set_number(rig, prefix, rig->front.split ? "event-channel-tx" : "event-channel", q->tx_port);
    if (rig->front.split)
        set_number(rig, prefix, "event-channel-rx", q->rx_port);
}

static const struct nb_key usual[] = {
    {"request-rx-copy", "1"},   {"feature-rx-notify", "1"}, {"feature-sg", "1"},
    {"feature-gso-tcpv4", "1"}, {"feature-gso-tcpv6", "1"}, {"feature-ipv6-csum-offload", "1"}};

static void write_keys(struct nb_rig *rig)
{
    const struct nb_front *front = &rig->front;

    for (size_t i = 0; i < COUNT(usual); i++)
        nb_set(rig, NB_FRONT, usual[i].name, usual[i].value);
    if (front->queues)
        set_number(rig, "", "multi-queue-num-queues", front->queues);
    for (uint32_t i = 0; i < queues(rig); i++)
        write_queue_keys(rig, i);
    if (front->control) {
        set_number(rig, "", "ctrl-ring-ref", rig->ring_refs[(size_t)2 * queues(rig)]);
        set_number(rig, "", "event-channel-ctrl", rig->control_port);
    }
    for (uint32_t i = 0; i < NB_KEYS && front->keys[i].name; i++) {
        if (front->keys[i].value)
            nb_set(rig, NB_FRONT, front->keys[i].name, front->keys[i].value);
        else
            nb_remove(rig, NB_FRONT, front->keys[i].name);
    }
}

static void remove_keys(struct nb_rig *rig)
{
    static const char *const others[] = {
        "multi-queue-num-queues", "tx-ring-ref",      "rx-ring-ref",   "event-channel",
        "event-channel-tx",       "event-channel-rx", "ctrl-ring-ref", "event-channel-ctrl"};
    char name[24];

    for (size_t i = 0; i < COUNT(usual); i++)
        nb_remove(rig, NB_FRONT, usual[i].name);
    for (size_t i = 0; i < COUNT(others); i++)
        nb_remove(rig, NB_FRONT, others[i]);
    for (uint32_t i = 0; i < NB_KEYS && rig->front.keys[i].name; i++)
        nb_remove(rig, NB_FRONT, rig->front.keys[i].name);
    for (int i = 0; i < NB_QUEUES; i++) {
        snprintf(name, sizeof(name), "queue-%d", i);
        nb_remove(rig, NB_FRONT, name);
    }
}

static uint8_t *ring_page(struct nb_rig *rig, uint32_t page)
{
    return (uint8_t *)rig->rings.memory + (size_t)page * XENPV_PAGE_SIZE;
}

static void share_queue(struct nb_rig *rig, uint32_t number)
{
    const struct xenpv_port *port = &rig->front_port;
    struct nb_queue *q = &rig->queue[number];

    xenpv_ring_init_front(&q->tx, ring_page(rig, 2 * number), XENPV_PAGE_SIZE, XENPV_NETIF_TX_SLOT);
    xenpv_ring_init_front(&q->rx, ring_page(rig, 2 * number + 1), XENPV_PAGE_SIZE,
                          XENPV_NETIF_RX_SLOT);
    assert_int_equal(port->event->alloc_unbound(port->ctx, 0, &q->tx_port), XENPV_OK);
    q->rx_port = q->tx_port;
    if (rig->front.split)
        assert_int_equal(port->event->alloc_unbound(port->ctx, 0, &q->rx_port), XENPV_OK);
}

void nb_share(struct nb_rig *rig, const struct nb_front *front)
{
    const struct xenpv_port *port = &rig->front_port;
    uint32_t control;

    rig->front = *front;
    rig->connected = true;
    control = 2 * queues(rig);
    rig->rings =
        (struct xenpv_grant_region){.pages = control + front->control, .refs = rig->ring_refs};
    rig->data = (struct xenpv_grant_region){.pages = NB_PAGES, .refs = rig->data_refs};
    assert_int_equal(port->grant->share(port->ctx, 0, &rig->rings), XENPV_OK);
    assert_int_equal(port->grant->share(port->ctx, 0, &rig->data), XENPV_OK);
    for (uint32_t i = 0; i < queues(rig); i++)
        share_queue(rig, i);
    if (front->control) {
        xenpv_ring_init_front(&rig->control, ring_page(rig, control), XENPV_PAGE_SIZE,
                              XENPV_NETIF_CTRL_SLOT);
        assert_int_equal(port->event->alloc_unbound(port->ctx, 0, &rig->control_port), XENPV_OK);
    }
    write_keys(rig);
}

void nb_connect(struct nb_rig *rig, const struct nb_front *front)
{
    nb_set(rig, NB_FRONT, "state", "1");
    nb_until(rig, 2);
    nb_share(rig, front);
    nb_set(rig, NB_FRONT, "state", "4");
    nb_until(rig, 4);
    nb_steps(rig, 2);
}

void nb_end(struct nb_rig *rig)
{
    const struct xenpv_port *port = &rig->front_port;

    for (uint32_t i = 0; i < queues(rig); i++) {
        port->event->close(port->ctx, rig->queue[i].tx_port);
        if (rig->front.split)
            port->event->close(port->ctx, rig->queue[i].rx_port);
    }
    if (rig->front.control)
        port->event->close(port->ctx, rig->control_port);
    assert_int_equal(port->grant->end(port->ctx, &rig->rings), XENPV_OK);
    assert_int_equal(port->grant->end(port->ctx, &rig->data), XENPV_OK);
    remove_keys(rig);
    rig->connected = false;
}

void nb_close(struct nb_rig *rig)
{
    if (nb_get(rig, NB_BACK, "state") != 6) {
        nb_set(rig, NB_FRONT, "state", "5");
        nb_until(rig, 5);
    }
    nb_set(rig, NB_FRONT, "state", "6");
    nb_until(rig, 6);
    nb_end(rig);
}

uint8_t *nb_page(struct nb_rig *rig, uint32_t page)
{
    assert_true(page < NB_PAGES);
    return (uint8_t *)rig->data.memory + (size_t)page * XENPV_PAGE_SIZE;
}

/* ---- transmit -------------------------------------------------------------------------------- */

void nb_tx(struct nb_rig *rig, uint32_t queue, const struct xenpv_netif_tx_request *request)
{
    xenpv_netif_put_tx_request(request, xenpv_ring_next_out(&rig->queue[queue].tx));
}

void nb_tx_extra(struct nb_rig *rig, uint32_t queue, const struct xenpv_netif_extra *extra)
{
    xenpv_netif_put_tx_extra(extra, xenpv_ring_next_out(&rig->queue[queue].tx));
}

void nb_tx_publish(struct nb_rig *rig, uint32_t queue)
{
    struct nb_queue *q = &rig->queue[queue];

    if (xenpv_ring_publish(&q->tx))
        rig->front_port.event->notify(rig->front_port.ctx, q->tx_port);
}

struct xenpv_netif_tx_response nb_tx_take(struct nb_rig *rig, uint32_t queue)
{
    struct xenpv_ring *ring = &rig->queue[queue].tx;
    struct xenpv_netif_tx_response response;

    assert_in_range(xenpv_ring_available(ring), 1, xenpv_ring_outstanding(ring));
    xenpv_netif_get_tx_response(xenpv_ring_next_in(ring), &response);
    return response;
}

static uint32_t part_bytes(const struct nb_packet *packet, uint32_t part)
{
    uint32_t left = packet->total - part * XENPV_PAGE_SIZE;

    if (packet->bytes)
        return packet->bytes[part];
    return left < XENPV_PAGE_SIZE ? left : XENPV_PAGE_SIZE;
}

void nb_tx_packet(struct nb_rig *rig, uint32_t queue, const struct nb_packet *packet)
{
    uint32_t total = packet->total, done = 0;

    for (uint32_t i = 0; i < packet->parts && !packet->total; i++)
        total += packet->bytes[i];
    for (uint32_t i = 0; i < packet->parts; i++) {
        uint32_t bytes = part_bytes(packet, i);
        struct xenpv_netif_tx_request request = {
            .ref = rig->data_refs[packet->page + i],
            .offset = (uint16_t)packet->offset,
            .id = (uint16_t)(packet->id + i),
            .flags = (uint16_t)((i + 1 < packet->parts ? XENPV_NETTXF_MORE_DATA : 0) |
                                (i == 0 ? packet->flags : 0) |
                                (i == 0 && packet->extra ? XENPV_NETTXF_EXTRA_INFO : 0)),
            .size = (uint16_t)(i ? bytes : total)};

        if (packet->frame && packet->offset + bytes <= XENPV_PAGE_SIZE)
            memcpy(nb_page(rig, packet->page + i) + packet->offset, packet->frame + done, bytes);
        done += bytes;
        nb_tx(rig, queue, &request);
        for (uint32_t k = 0; i == 0 && k < packet->extras; k++)
            nb_tx_extra(rig, queue, &packet->extra[k]);
    }
}

int nb_send(struct nb_rig *rig, uint32_t queue, const struct nb_packet *packet)
{
    uint32_t slots = packet->parts + packet->extras, nulls = 0;
    uint32_t seen[XENPV_NETIF_SLOTS_MIN + 64] = {0};
    int status = 99;

    nb_tx_packet(rig, queue, packet);
    nb_tx_publish(rig, queue);
    nb_steps(rig, 1);
    assert_int_equal(xenpv_ring_available(&rig->queue[queue].tx), slots);
    for (uint32_t i = 0; i < slots; i++) {
        struct xenpv_netif_tx_response response = nb_tx_take(rig, queue);

        if (response.status == XENPV_NETIF_NULL) {
            nulls++;
            continue;
        }
        assert_in_range(response.id, packet->id, packet->id + packet->parts - 1);
        assert_int_equal(seen[response.id - packet->id]++, 0);
        if (status != 99)
            assert_int_equal(response.status, status);
        status = response.status;
    }
    assert_int_equal(nulls, packet->extras);
    return status;
}

/* ---- receive --------------------------------------------------------------------------------- */

void nb_rx_post(struct nb_rig *rig, uint32_t queue, uint32_t page, uint32_t count)
{
    struct nb_queue *q = &rig->queue[queue];

    for (uint32_t i = 0; i < count; i++) {
        struct xenpv_netif_rx_request request = {.id = (uint16_t)(page + i),
                                                 .ref = rig->data_refs[page + i]};

        xenpv_netif_put_rx_request(&request, xenpv_ring_next_out(&q->rx));
    }
    if (xenpv_ring_publish(&q->rx))
        rig->front_port.event->notify(rig->front_port.ctx, q->rx_port);
}

static const uint32_t *next_answer(struct nb_rig *rig, uint32_t queue, struct nb_received *received)
{
    struct xenpv_ring *ring = &rig->queue[queue].rx;

    assert_in_range(xenpv_ring_available(ring), 1, xenpv_ring_outstanding(ring));
    received->slots++;
    return xenpv_ring_next_in(ring);
}

static void take_extras(struct nb_rig *rig, uint32_t queue, struct nb_received *received)
{
    struct xenpv_netif_extra extra;

    do {
        xenpv_netif_get_extra(next_answer(rig, queue, received), &extra);
        switch (extra.type) {
        case XENPV_NETIF_EXTRA_GSO:
            assert_false(received->gso);
            received->gso = true;
            received->gso_extra = extra;
            break;
        case XENPV_NETIF_EXTRA_HASH:
            assert_false(received->hashed);
            received->hashed = true;
            received->hash_extra = extra;
            break;
        case XENPV_NETIF_EXTRA_XDP:
            assert_false(received->headroom);
            received->headroom = true;
            received->xdp_extra = extra;
            break;
        default:
            fail_msg("an extra info of type %u", extra.type);
        }
    } while (extra.flags & XENPV_NETIF_EXTRA_MORE);
}

static void take_page(struct nb_rig *rig, struct nb_received *received,
                      const struct xenpv_netif_rx_response *response)
{
    uint32_t bytes = (uint16_t)response->status;

    if (response->status < 0) {
        received->error = true;
        return;
    }
    assert_true(response->offset + bytes <= XENPV_PAGE_SIZE);
    assert_true(received->bytes + bytes <= XENPV_LINK_FRAME_MAX);
    memcpy(received->data + received->bytes, nb_page(rig, response->id) + response->offset, bytes);
    received->bytes += bytes;
}

bool nb_receive(struct nb_rig *rig, uint32_t queue, uint32_t page, struct nb_received *received)
{
    struct xenpv_netif_rx_response response;

    memset(received, 0, offsetof(struct nb_received, data));
    if (xenpv_ring_available(&rig->queue[queue].rx) == 0)
        return false;
    do {
        const uint32_t *slot = next_answer(rig, queue, received);

        xenpv_netif_get_rx_response(slot, &response);
        assert_int_equal(response.id, page + received->slots - 1);
        if (response.flags & XENPV_NETRXF_GSO_PREFIX) {
            assert_int_equal(received->slots, 1);
            received->prefixed = true;
            received->prefix_size = response.offset;
            continue;
        }
        if (received->pages++ == 0) {
            received->flags = response.flags;
            received->offset = response.offset;
        }
        take_page(rig, received, &response);
        if (received->pages == 1 && (response.flags & XENPV_NETRXF_EXTRA_INFO))
            take_extras(rig, queue, received);
    } while (response.flags & XENPV_NETRXF_MORE_DATA);
    return true;
}

/* ---- control --------------------------------------------------------------------------------- */

struct xenpv_netif_ctrl_response nb_ask(struct nb_rig *rig, uint16_t type, uint32_t a, uint32_t b,
                                        uint32_t c)
{
    struct xenpv_netif_ctrl_request request = {
        .id = (uint16_t)(type * 1000 + 77), .type = type, .data = {a, b, c}};
    struct xenpv_netif_ctrl_response response;

    xenpv_netif_put_ctrl_request(&request, xenpv_ring_next_out(&rig->control));
    if (xenpv_ring_publish(&rig->control))
        rig->front_port.event->notify(rig->front_port.ctx, rig->control_port);
    nb_steps(rig, 1);
    assert_int_equal(xenpv_ring_available(&rig->control), 1);
    xenpv_netif_get_ctrl_response(xenpv_ring_next_in(&rig->control), &response);
    assert_int_equal(response.id, request.id);
    assert_int_equal(response.type, type);
    return response;
}
