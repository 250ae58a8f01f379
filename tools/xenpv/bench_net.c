/* SPDX-License-Identifier: MIT */
/* Network cards, as xenpv bench sees them: their cells, and the frontend that suits a cell. */
#include "bench_net.h"

#include <stddef.h>
#include <string.h>

#include "bench_ring.h"
#include "complain.h"

/* ------------------------------------------------------------------------------------- cells -- */

static const char *const link_names[] = {"null", "memory", "device", NULL};
static const char *const mock_links[] = {"null", "memory", NULL};
static const char *const direction_names[] = {"tx", "rx", NULL};
static const char *const gso_names[] = {"off", "on", NULL};

#define CELL(member)   offsetof(struct bench_cell, member)
#define OPTION(member) offsetof(struct options, member)

static const struct bench_axis axes[] = {
    {.name = "link",
     .field = CELL(link),
     .option = OPTION(bench.links),
     .names = link_names,
     .choices = mock_links,
     .usual = "null",
     .full = "null,memory",
     .width = -6},
    {.name = "direction",
     .field = CELL(direction),
     .option = OPTION(bench.directions),
     .names = direction_names,
     .usual = "tx,rx",
     .width = -9},
    {.name = "gso",
     .field = CELL(gso),
     .option = OPTION(bench.gsos),
     .names = gso_names,
     .usual = "off,on",
     .width = -3},
    {.name = "mode",
     .field = CELL(event),
     .option = OPTION(bench.modes),
     .names = bench_mode_names,
     .usual = "polled,event",
     .width = -6},
    {.name = "queues", .field = CELL(queues), .width = 6},
    {.name = "depth",
     .field = CELL(depth),
     .option = OPTION(bench.depths),
     .least = 1,
     .most = 256,
     .multiple = 1,
     .usual = "256",
     .width = 5},
    {.name = "size",
     .field = CELL(size),
     .option = OPTION(size),
     .least = 64,
     .most = 65536,
     .multiple = 1,
     .cap = XENPV_NETIF_PACKET_MAX,
     .usual = "64,512,1514,4K,16K,64K",
     .width = 6,
     .bytes = true},
    {.name = NULL},
};

static bool suits(const struct options *options, const struct device *device)
{
    (void)options;
    (void)device;
    return true;
}

static bool fits(const struct bench_cell *cell, char note[BENCH_NOTE_MAX])
{
    (void)cell;
    (void)note;
    return true;
}

uint32_t bench_net_slots(const struct bench_cell *cell)
{
    return (cell->size + XENPV_PAGE_SIZE - 1) / XENPV_PAGE_SIZE + cell->gso;
}

/* --------------------------------------------------------------------------------- the frame -- */

/* The address that every backend of the kind has for its own end: no bridge passes it on. */
static const uint8_t backend_mac[6] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff};

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t sum16(const uint8_t *bytes, uint32_t count, uint32_t sum)
{
    for (uint32_t i = 0; i < count; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* A TCP segment between addresses that are for documentation (RFC 5737); only the sum of the pseudo
 * header is there. */
static void put_tcp(uint8_t *ip, uint32_t bytes)
{
    static const uint8_t head[] = {0x45, 0, 0,   0, 0, 0, 0x40, 0, 64, 6,
                                   0,    0, 192, 0, 2, 1, 192,  0, 2,  2};
    uint8_t *tcp = ip + sizeof(head);

    memcpy(ip, head, sizeof(head));
    put16(ip + 2, bytes);
    put16(ip + 10, ~sum16(ip, sizeof(head), 0));
    put16(tcp, 9); /* discard (RFC 863) */
    put16(tcp + 2, 9);
    tcp[12] = 5 << 4; /* the header's words */
    tcp[13] = 0x10;   /* ACK */
    put16(tcp + 16, sum16(ip + 12, 8, 6 + bytes - (uint32_t)sizeof(head)));
}

void bench_net_head(bool tcp, const uint8_t source[6], uint32_t bytes,
                    uint8_t head[BENCH_NET_HEADERS])
{
    memset(head, 0, BENCH_NET_HEADERS);
    memcpy(head, backend_mac, 6);
    memcpy(head + 6, source, 6);
    /* IEEE 802: an EtherType for experiments, which nobody has a use for. */
    put16(head + 12, tcp ? 0x0800 : 0x88b5);
    if (tcp)
        put_tcp(head + 14, bytes - 14);
}

/* ------------------------------------------------------------------------------ the frontend -- */

static int front_connect(const struct bench_front *front, uint64_t now)
{
    return xenpv_net_connect(front->device, now);
}

static void front_close(const struct bench_front *front, uint64_t now)
{
    xenpv_net_close(front->device, now);
}

/* Buffers that the backend is to keep mapped are told to it when it is connected already. */
static bool is_settled(const struct bench_front *front)
{
    struct xenpv_net_info info;

    xenpv_net_info(front->device, &info);
    return !(info.features & XENPV_NET_STATIC_GRANTS) || info.static_grants >= front->kept;
}

static enum bench_way front_step(const struct bench_front *front, uint64_t now)
{
    enum xenpv_net_state state = xenpv_net_step(front->device, now);

    if (state == XENPV_NET_CONNECTED)
        return is_settled(front) ? BENCH_CONNECTED : BENCH_ON_ITS_WAY;
    if (state == XENPV_NET_CONNECTING || state == XENPV_NET_RECOVERING ||
        state == XENPV_NET_CLOSING)
        return BENCH_ON_ITS_WAY;
    return BENCH_ENDED;
}

static uint64_t front_deadline(const struct bench_front *front)
{
    return xenpv_net_deadline(front->device);
}

static const struct xenpv_detail *front_detail(const struct bench_front *front)
{
    return xenpv_net_detail(front->device);
}

static void front_empty(const struct bench_front *front)
{
    struct xenpv_completion ended[16];
    struct xenpv_net_frame frame;

    for (uint32_t i = 0; i < front->queues; i++) {
        struct xenpv_netq *q = xenpv_net_queue(front->device, i);

        while (xenpv_netq_poll(q, ended, 16) > 0)
            ;
        while (xenpv_netq_receive(q, &frame, 1) > 0)
            xenpv_netq_return(q, &frame);
    }
}

static const struct bench_front_ops front_ops = {
    .connect = front_connect,
    .close = front_close,
    .step = front_step,
    .deadline = front_deadline,
    .detail = front_detail,
    .empty = front_empty,
};

#define RING_SLOTS 256u

static uint32_t in_range(uint32_t number, uint32_t least, uint32_t most)
{
    return number < least ? least : number > most ? most : number;
}

static int make_front(const struct bench_plan *plan, const struct bench_cell *cell,
                      const struct bench_place *place, struct bench_front *front)
{
    uint32_t buffers =
        in_range(cell->depth * bench_net_slots(cell), XENPV_NETIF_SLOTS_MIN, RING_SLOTS);
    struct xenpv_net_config config;
    struct xenpv_net *net;
    int error;

    xenpv_net_config_init(&config, place->port, place->path);
    config.queues = cell->queues;
    config.tx_buffers = cell->direction == BENCH_TX ? buffers : XENPV_NETIF_SLOTS_MIN;
    config.rx_buffers = cell->direction == BENCH_RX ? buffers : XENPV_NETIF_SLOTS_MIN;
    config.without = plan->options->net_without;
    config.poll = !cell->event;
    config.connect_ms = place->connect_ms;
    config.close_ms = place->close_ms;
    config.recover_ms = 0; /* a run with a hole in it is no measurement */
    front->ops = &front_ops;
    front->queues = config.queues;
    front->kept = plan->device ? 0 : config.queues * (config.tx_buffers + config.rx_buffers);
    /* Two rings of a page for each queue, and the control ring with a page for each message, one of
     * them the device's own. */
    front->grants =
        config.queues * (2 + config.tx_buffers + config.rx_buffers) + 1 + XENPV_NETCTL_REQUESTS + 1;
    front->memory = os_alloc(xenpv_net_size(&config), 16);
    error = front->memory ? xenpv_net_init(front->memory, &config, &net) : XENPV_ENOMEM;
    front->device = error ? NULL : net;
    return error;
}

static void describe(const struct bench_front *front, struct bench_target *target)
{
    struct xenpv_net_info info;

    xenpv_net_info(front->device, &info);
    target->queues = info.queues;
    target->bytes = info.max_frame;
}

/* On a wire a frame is no longer than its MTU says, unless it is to be cut. */
static bool accepts(const struct bench_cell *cell, const struct bench_target *target,
                    char note[BENCH_NOTE_MAX])
{
    struct xenpv_net_info info;

    xenpv_net_info(target->front->device, &info);
    if (cell->direction == BENCH_TX && cell->size > info.max_frame)
        snprintf(note, BENCH_NOTE_MAX, "the backend takes frames of %u bytes at most",
                 info.max_frame);
    else if (cell->direction == BENCH_TX && cell->gso && !(info.features & XENPV_NET_GSO4))
        snprintf(note, BENCH_NOTE_MAX, "the backend takes no large packets");
    else if (cell->direction == BENCH_RX && cell->gso && !(info.receives & XENPV_NET_GSO4))
        snprintf(note, BENCH_NOTE_MAX, "the frontend takes no large packets");
    else if (cell->link == BENCH_LINK_DEVICE && !cell->gso && cell->size > info.mtu + 14)
        snprintf(note, BENCH_NOTE_MAX, "the MTU is %u bytes", info.mtu);
    else
        return true;
    return false;
}

/* ----------------------------------------------------------------------------- the bare ring -- */

/* The same requests and responses as on the device's rings: all their bytes, unread. */
#define TX_RESPONSE 4u

static void run_tx(void *line)
{
    bench_line_run(line, XENPV_NETIF_TX_SLOT, TX_RESPONSE);
}

/* The id, in both; the status is 0, OKAY. */
static inline void answer_tx_one(const uint8_t *request, uint8_t *response)
{
    memcpy(response, request + 8, 2);
}

static bool answer_tx(struct xenpv_ring *ring, bool *found)
{
    return bench_line_answer(ring, XENPV_NETIF_TX_SLOT, TX_RESPONSE, answer_tx_one, found);
}

static void run_rx(void *line)
{
    bench_line_run(line, XENPV_NETIF_RX_SLOT, XENPV_NETIF_RX_SLOT);
}

/* The id, and 64 bytes. */
static inline void answer_rx_one(const uint8_t *request, uint8_t *response)
{
    memcpy(response, request, 2);
    response[6] = 64;
}

static bool answer_rx(struct xenpv_ring *ring, bool *found)
{
    return bench_line_answer(ring, XENPV_NETIF_RX_SLOT, XENPV_NETIF_RX_SLOT, answer_rx_one, found);
}

static void wire(const struct bench_cell *cell, struct bench_wire *wire)
{
    bool tx = cell->direction == BENCH_TX;
    uint32_t each = bench_net_slots(cell);

    *wire = (struct bench_wire){.bytes = XENPV_PAGE_SIZE,
                                .slot = tx ? XENPV_NETIF_TX_SLOT : XENPV_NETIF_RX_SLOT,
                                .depth = cell->depth * each,
                                .each = each,
                                .run = tx ? run_tx : run_rx,
                                .answer = tx ? answer_tx : answer_rx};
}

const struct bench_kind bench_net = {
    .class_name = "vif",
    .noun = "network card",
    .events = "frames",
    .unit = "frames",
    .x_label = "bytes of a frame",
    .axes = axes,
    .lanes = &bench_net_lanes,
    .suits = suits,
    .parse = device_parse_vif,
    .find = device_find_vif,
    .fits = fits,
    .accepts = accepts,
    .wire = wire,
    .make_front = make_front,
    .describe = describe,
    .make_backend = bench_net_backend,
};
