/* SPDX-License-Identifier: MIT */
/* The network frontend: what the bus, and the program's control thread, ask of it. */
#include "key_name.h"
#include "layout.h"
#include "net_device.h"

/* ---- what the bus calls ---------------------------------------------------------------------- */

/* Connections whose pages may be lost to a backend before it is not awaited any more. */
#define ABANDONED_CONNECTIONS 8u

/* Everything that we, or an owner before us, may have written into the frontend's directory. */
static const char *const written[] = {
    "tx-ring-ref",
    "rx-ring-ref",
    "event-channel",
    "event-channel-tx",
    "event-channel-rx",
    "multi-queue-num-queues",
    "request-rx-copy",
    "feature-rx-notify",
    "feature-sg",
    "feature-no-csum-offload",
    "feature-ipv6-csum-offload",
    "feature-gso-tcpv4",
    "feature-gso-tcpv6",
    "feature-gso-tcpv4-prefix",
    "feature-gso-tcpv6-prefix",
    "request-multicast-control",
    "xdp-headroom",
    "ctrl-ring-ref",
    "event-channel-ctrl",
};
#define WRITTEN (sizeof(written) / sizeof(written[0]))

static void on_clean(void *owner)
{
    struct xenpv_net *net = owner;
    char name[KEY_NAME];

    for (uint32_t i = 0; i < WRITTEN; i++)
        xenpv_bus_remove(&net->bus, written[i]);
    for (uint32_t i = 0; i < net->config.queues; i++) {
        key_name(name, i, "", KEY_ALONE);
        xenpv_bus_remove(&net->bus, name);
    }
}

/* Rows of the bus for all of on_clean and on_publish. */
static uint32_t bus_room(const struct xenpv_net_config *config)
{
    return 2 * (uint32_t)WRITTEN + config->queues * 5;
}

static int put_queue(struct xenpv_net *net, const struct xenpv_netq *q, uint32_t queue)
{
    bool split = (q->features & XENPV_NET_SPLIT) != 0;
    const struct {
        const char *name;
        uint32_t number;
    } table[] = {
        {"tx-ring-ref", arena_ref(&q->arena, 0)},
        {"rx-ring-ref", arena_ref(&q->arena, 1)},
        {split ? "event-channel-tx" : "event-channel", q->event_port[0]},
        {"event-channel-rx", q->event_port[1]},
    };
    char name[KEY_NAME];
    int error = XENPV_OK;

    for (uint32_t i = 0; i < (split ? 4u : 3u) && error == XENPV_OK; i++) {
        key_name(name, queue, table[i].name, KEY_ALONE);
        error = xenpv_bus_put_number(&net->bus, name, table[i].number);
    }
    return error;
}

/* The keys that are there only for what is used. */
static int put_features(struct xenpv_net *net)
{
    uint32_t receives = net_receives(net), features = net_features(net);
    const struct net_wishes *wishes = &net->asked;
    const struct {
        const char *name;
        bool used;
        uint32_t number;
    } table[] = {
        {"request-rx-copy", true, 1},
        {"feature-rx-notify", (features & XENPV_NET_RX_NOTIFY) != 0, 1},
        {"feature-sg", (receives & XENPV_NET_SG) != 0, 1},
        {"feature-no-csum-offload", (receives & XENPV_NET_CSUM4) == 0, 1},
        {"feature-ipv6-csum-offload", (receives & XENPV_NET_CSUM6) != 0, 1},
        {"feature-gso-tcpv4", (receives & XENPV_NET_GSO4) != 0, 1},
        {"feature-gso-tcpv6", (receives & XENPV_NET_GSO6) != 0, 1},
        {"request-multicast-control", wishes->filter && (features & XENPV_NET_MULTICAST), 1},
        {"xdp-headroom", wishes->headroom && (features & XENPV_NET_HEADROOM), wishes->headroom},
        {"multi-queue-num-queues", net->queues > 1, net->queues},
        {"ctrl-ring-ref", net->ctl.has_port, arena_ref(&net->ctl.arena, 0)},
        {"event-channel-ctrl", net->ctl.has_port, net->ctl.event_port},
    };
    int error = XENPV_OK;

    net->told = *wishes;
    for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]) && error == XENPV_OK; i++) {
        if (table[i].used)
            error = xenpv_bus_put_number(&net->bus, table[i].name, table[i].number);
    }
    return error;
}

/* As many as the backend takes; but a queue whose end of before nobody has been told is no use. */
static uint32_t choose_queues(struct xenpv_net *net)
{
    uint32_t most = net_queues(net);

    net->queues = 0;
    while (net->queues < most && gate_is_free(&net->queue[net->queues].gate))
        net->queues++;
    return net->queues;
}

/* A backend that goes round and never gives back what it has mapped would take all there is. */
static bool keeps_too_much(const struct xenpv_net *net)
{
    const struct xenpv_net_config *config = &net->config;
    uint32_t pages =
        NET_RING_PAGES + config->tx_buffers + config->rx_buffers + config->shared_pages;

    return net->bus.recovering &&
           xenpv_net_abandoned(net) > ABANDONED_CONNECTIONS * config->queues * pages;
}

static int share_queues(struct xenpv_net *net)
{
    struct netq_connection connection = {.features = net_features(net),
                                         .receives = net_receives(net),
                                         .backend_id = net->bus.peer_domid,
                                         .trusted = net_trusted(net)};
    int error = XENPV_OK;

    connection.max_frame =
        connection.features & XENPV_NET_SG ? XENPV_NETIF_PACKET_MAX : XENPV_PAGE_SIZE;
    for (uint32_t i = 0; i < net->queues && error == XENPV_OK; i++) {
        error = netq_share(&net->queue[i], &connection);
        if (error == XENPV_OK)
            error = put_queue(net, &net->queue[i], net->queues > 1 ? i : KEY_ALONE);
    }
    return error;
}

static int on_publish(void *owner)
{
    struct xenpv_net *net = owner;
    int error = net_judge(net);

    net->opened = false;
    if (error == XENPV_OK && (choose_queues(net) == 0 || keeps_too_much(net)))
        error = XENPV_EBUSY;
    if (error == XENPV_OK)
        error = share_queues(net);
    if (error == XENPV_OK && (net_features(net) & XENPV_NET_CONTROL))
        error = netctl_share(net);
    return error ? error : put_features(net);
}

/* The answer has been read: at the first time, or once more since it may have changed. */
static int on_answer(void *owner)
{
    struct xenpv_net *net = owner;

    net_take_info(net, &net->info);
    net->info.multicast = net->told.filter && (net->info.features & XENPV_NET_MULTICAST);
    if (!net->opened || net->bus.agreed)
        net->info.headroom = net->info.features & XENPV_NET_HEADROOM ? net->told.headroom : 0;
    return XENPV_OK;
}

static int on_update(void *owner)
{
    struct xenpv_net *net = owner;
    uint32_t features = net->info.features;
    int error = XENPV_OK;

    if (features & XENPV_NET_DYNAMIC) {
        net->told.filter = net->asked.filter;
        error = xenpv_bus_put_number(&net->bus, "request-multicast-control", net->told.filter);
    }
    if (error == XENPV_OK && (features & XENPV_NET_HEADROOM)) {
        net->told.headroom = net->asked.headroom;
        error = xenpv_bus_put_number(&net->bus, "xdp-headroom", net->told.headroom);
    }
    return error;
}

static bool on_quiesce(void *owner, enum xenpv_quiesce how)
{
    static const enum gate_stop stops[] = {[XENPV_QUIESCE_HOLD] = GATE_HOLD,
                                           [XENPV_QUIESCE_DRAIN] = GATE_DRAIN,
                                           [XENPV_QUIESCE_HALT] = GATE_HALT};
    struct xenpv_net *net = owner;
    int reason = net->bus.detail.error ? net->bus.detail.error : XENPV_EPEER;
    bool stopped = true;

    netctl_stop(net, reason);
    for (uint32_t i = 0; i < net->config.queues; i++)
        stopped &= gate_close(&net->queue[i].gate, stops[how], reason);
    return stopped;
}

static int on_release(void *owner)
{
    struct xenpv_net *net = owner;
    int error = netctl_release(net);

    for (uint32_t i = 0; i < net->config.queues; i++) {
        if (netq_release(&net->queue[i]) != XENPV_OK)
            error = XENPV_EBUSY;
    }
    return error;
}

static void on_abandon(void *owner, bool suspended)
{
    struct xenpv_net *net = owner;

    netctl_abandon(net, suspended);
    for (uint32_t i = 0; i < net->config.queues; i++)
        netq_abandon(&net->queue[i], suspended);
}

/* Linux netback does nothing on a state 3 of a vif: it connects on 4. */
static const struct xenpv_bus_driver driver = {
    .role = XENPV_FRONTEND,
    .published_state = XENPV_STATE_CONNECTED,
    .ask = {[XENPV_ASK_OWN] = {net_own_keys, NET_OWN_COUNT},
            [XENPV_ASK_OFFER] = {net_offer_keys, NET_OFFER_COUNT},
            [XENPV_ASK_ANSWER] = {net_answer_keys, NET_ANSWER_COUNT},
            [XENPV_ASK_LIVE] = {net_live_keys, NET_LIVE_COUNT}},
    .clean = on_clean,
    .publish = on_publish,
    .connect = on_answer,
    .changed = on_answer,
    .update = on_update,
    .quiesce = on_quiesce,
    .release = on_release,
    .abandon = on_abandon,
};

/* ---- the device ------------------------------------------------------------------------------ */

void xenpv_net_config_init(struct xenpv_net_config *config, const struct xenpv_port *port,
                           const char *path)
{
    *config = (struct xenpv_net_config){.size = sizeof(*config),
                                        .port = port,
                                        .path = path,
                                        .queues = 1,
                                        .tx_buffers = NET_SLOTS,
                                        .rx_buffers = NET_SLOTS,
                                        .connect_ms = 30000,
                                        .close_ms = 5000,
                                        .recover_ms = 30000,
                                        .control_ms = 5000};
}

static bool valid(const struct xenpv_net_config *config)
{
    return config->size == sizeof(*config) && config->port && config->path &&
           within(config->queues, 1, NET_QUEUES_MAX) &&
           within(config->tx_buffers, XENPV_NETIF_SLOTS_MIN, NET_SLOTS) &&
           within(config->rx_buffers, XENPV_NETIF_SLOTS_MIN, NET_RX_BUFFERS_MAX) &&
           within(config->shared_pages, 0, 65536) && config->headroom <= NET_HEADROOM_MAX &&
           config->without >> XENPV_NET_FEATURES == 0;
}

static struct layout layout_of(const struct xenpv_net_config *config)
{
    const struct layout_parts parts = {.device = sizeof(struct xenpv_net),
                                       .queue = sizeof(struct xenpv_netq),
                                       .queue_memory = netq_memory(config),
                                       .queues = config->queues,
                                       .room = bus_room(config)};

    return lay_out(&parts);
}

size_t xenpv_net_size(const struct xenpv_net_config *config)
{
    return valid(config) ? layout_of(config).end : 0;
}

int xenpv_net_init(void *memory, const struct xenpv_net_config *config, struct xenpv_net **out)
{
    struct xenpv_net *net = memory;
    uint8_t *base = memory;
    struct xenpv_bus_config bus;
    struct layout layout;

    if (!valid(config))
        return XENPV_EINVAL;
    layout = layout_of(config);
    memset(net, 0, sizeof(*net));
    net->config = *config;
    net->asked = (struct net_wishes){config->headroom, config->multicast};
    net->queue = (struct xenpv_netq *)(void *)(base + layout.queues);
    netctl_init(net);
    for (uint32_t i = 0; i < config->queues; i++)
        netq_init(&net->queue[i], config, i, base + layout.queue_memory + i * netq_memory(config));
    bus = (struct xenpv_bus_config){
        .port = config->port,
        .driver = &driver,
        .owner = net,
        .path = config->path,
        .values = {net->own, net->offer, net->answer, net->live},
        .connect_ms = config->connect_ms,
        .close_ms = config->close_ms,
        .recover_ms = config->recover_ms,
        .agree_ms = config->control_ms,
        .ops = (struct xenpv_store_op *)(void *)(base + layout.ops),
        .rows = (struct xenpv_bus_row *)(void *)(base + layout.rows),
        .room = bus_room(config),
    };
    *out = net;
    return xenpv_bus_init(&net->bus, &bus);
}

int xenpv_net_connect(struct xenpv_net *net, uint64_t now)
{
    const struct xenpv_port *port = net->config.port;
    int error;

    if (!port->grant || !port->event)
        return XENPV_ENOTSUP;
    for (uint32_t i = 0; i < net->config.queues; i++) {
        if (!gate_is(&net->queue[i].gate, GATE_PARKED))
            return XENPV_EBUSY;
    }
    error = xenpv_bus_start(&net->bus, XENPV_GOAL_CONNECT, now);
    for (uint32_t i = 0; i < net->config.queues && error == XENPV_OK; i++)
        xenpv_store(&net->queue[i].gate.broken, 0);
    return error;
}

int xenpv_net_inspect(struct xenpv_net *net, uint64_t now)
{
    int error = xenpv_bus_start(&net->bus, XENPV_GOAL_INSPECT, now);

    if (error == XENPV_OK)
        net->queues = 0;
    return error;
}

void xenpv_net_close(struct xenpv_net *net, uint64_t now)
{
    xenpv_bus_start(&net->bus, XENPV_GOAL_CLOSE, now);
}

/* A backend that returned may take fewer queues than before: the others end. */
static void open_queues(struct xenpv_net *net, uint64_t now)
{
    for (uint32_t i = 0; i < net->config.queues; i++) {
        if (i < net->info.queues)
            netq_open(&net->queue[i]);
        else
            gate_close(&net->queue[i].gate, GATE_HALT, XENPV_EPEER);
    }
    netctl_open(net, now);
    net->info.connections++;
}

/* What was asked for since the backend was told, as while it connected or agreed to something else:
 * that goes through before. */
static void tell_wishes(struct xenpv_net *net)
{
    uint32_t features = net->info.features;

    if ((features & XENPV_NET_HEADROOM) && net->asked.headroom != net->told.headroom)
        xenpv_bus_update(&net->bus, XENPV_UPDATE_AGREE);
    else if ((features & XENPV_NET_DYNAMIC) && net->asked.filter != net->told.filter)
        xenpv_bus_update(&net->bus, XENPV_UPDATE_KEYS);
}

enum xenpv_net_state xenpv_net_step(struct xenpv_net *net, uint64_t now)
{
    enum xenpv_net_state state;

    for (uint32_t i = 0; i < net->config.queues; i++)
        gate_report(&net->queue[i].gate, i, &net->bus);
    netctl_step(net, now);
    xenpv_bus_step(&net->bus, now);
    state = xenpv_net_state(net);
    /* Only queues whose user has been told of them have anybody to park them. */
    if (state == XENPV_NET_CONNECTED && !net->opened) {
        open_queues(net, now);
        net->opened = true;
    }
    if (state == XENPV_NET_CONNECTED)
        tell_wishes(net);
    return state;
}

uint64_t xenpv_net_deadline(const struct xenpv_net *net)
{
    uint64_t bus = xenpv_bus_deadline(&net->bus), ctl = netctl_deadline(net, net->bus.now);

    return bus < ctl ? bus : ctl;
}

enum xenpv_net_state xenpv_net_state(const struct xenpv_net *net)
{
    const struct xenpv_bus *bus = &net->bus;

    if (bus->phase == XENPV_BUS_IDLE)
        return XENPV_NET_IDLE;
    if (bus->phase == XENPV_BUS_DONE)
        return bus->detail.error ? XENPV_NET_FAILED : XENPV_NET_CLOSED;
    if (bus->goal == XENPV_GOAL_CLOSE || bus->detail.error)
        return XENPV_NET_CLOSING;
    if (bus->recovering)
        return XENPV_NET_RECOVERING;
    return bus->phase == XENPV_BUS_CONNECTED ? XENPV_NET_CONNECTED : XENPV_NET_CONNECTING;
}

const struct xenpv_detail *xenpv_net_detail(const struct xenpv_net *net)
{
    return &net->bus.detail;
}

uint32_t xenpv_net_abandoned(const struct xenpv_net *net)
{
    uint32_t pages = net->ctl.arena.abandoned;

    for (uint32_t i = 0; i < net->config.queues; i++)
        pages += netq_abandoned(&net->queue[i]);
    return pages;
}

void xenpv_net_info(const struct xenpv_net *net, struct xenpv_net_info *info)
{
    const struct xenpv_bus *bus = &net->bus;

    *info = net->info;
    if (bus->goal == XENPV_GOAL_INSPECT)
        net_take_info(net, info);
    info->static_grants = net->ctl.grants.total;
    if (info->static_grants)
        info->features |= XENPV_NET_STATIC_GRANTS;
    info->backend_id = bus->peer_domid;
    info->frontend_state = bus->own_state;
    info->backend_state = bus->peer_state;
    info->frontend_path = bus->own_path;
    info->backend_path = bus->peer_path;
    info->handle = xenpv_bus_value(bus, XENPV_ASK_OWN, NET_OWN_HANDLE)->text;
}

int xenpv_net_set_multicast(struct xenpv_net *net, bool filter)
{
    net->asked.filter = filter;
    if (xenpv_net_state(net) != XENPV_NET_CONNECTED)
        return XENPV_OK;
    if (!(net->info.features & XENPV_NET_DYNAMIC))
        return XENPV_ENOTSUP;
    tell_wishes(net);
    return XENPV_OK;
}

int xenpv_net_set_headroom(struct xenpv_net *net, uint32_t bytes)
{
    bool connected = xenpv_net_state(net) == XENPV_NET_CONNECTED;

    if (bytes > NET_HEADROOM_MAX)
        return XENPV_EINVAL;
    if (connected && !(net->info.features & XENPV_NET_HEADROOM))
        return XENPV_ENOTSUP;
    if (connected && xenpv_bus_update(&net->bus, XENPV_UPDATE_AGREE) != XENPV_OK)
        return XENPV_EBUSY;
    net->asked.headroom = bytes;
    return XENPV_OK;
}

struct xenpv_netq *xenpv_net_queue(struct xenpv_net *net, uint32_t number)
{
    return number < net->config.queues ? &net->queue[number] : NULL;
}
