/* SPDX-License-Identifier: MIT */
/* The block frontend: what the bus, and the program's control thread, ask of it. */
#include "blk_device.h"
#include "key_name.h"
#include "layout.h"

/* ---- what the bus calls ---------------------------------------------------------------------- */

/* Connections whose pages may be lost to a backend before it is not awaited any more. */
#define ABANDONED_CONNECTIONS 8u

/* Everything that we, or an owner before us, may have written into the frontend's directory. */
static void on_clean(void *owner)
{
    static const char *const keys[] = {
        "ring-ref",       "event-channel",          "protocol",           "ring-page-order",
        "num-ring-pages", "multi-queue-num-queues", "feature-persistent",
    };
    struct xenpv_blk *blk = owner;
    char name[KEY_NAME];

    for (uint32_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        xenpv_bus_remove(&blk->bus, keys[i]);
    for (uint32_t i = 0; i < 1u << blk->config.ring_order; i++) {
        key_name(name, KEY_ALONE, "ring-ref", i);
        xenpv_bus_remove(&blk->bus, name);
    }
    for (uint32_t i = 0; i < blk->config.queues; i++) {
        key_name(name, i, "", KEY_ALONE);
        xenpv_bus_remove(&blk->bus, name);
    }
}

/* Rows of the bus for all of on_clean and on_publish. */
static uint32_t bus_room(const struct xenpv_blk_config *config)
{
    uint32_t pages = 1u << config->ring_order;
    uint32_t clean = 7 + pages + config->queues;
    uint32_t put = 5 + config->queues * (pages + 1);
    uint32_t room = clean + put;

    return room > ANSWER_COUNT ? room : ANSWER_COUNT;
}

static int put_queue(struct xenpv_blk *blk, const struct xenpv_blkq *q, uint32_t queue)
{
    uint32_t order = blk_ring_order(blk);
    char name[KEY_NAME];
    int error = XENPV_OK;

    for (uint32_t page = 0; page < 1u << order && error == XENPV_OK; page++) {
        key_name(name, queue, "ring-ref", order ? page : KEY_ALONE);
        error = xenpv_bus_put_number(&blk->bus, name, arena_ref(&q->arena, page));
    }
    key_name(name, queue, "event-channel", KEY_ALONE);
    return error ? error : xenpv_bus_put_number(&blk->bus, name, q->event_port);
}

/* The keys that are there only for what is used; both ways of naming a large ring. */
static int put_features(struct xenpv_blk *blk)
{
    uint32_t order = blk_ring_order(blk), queues = blk->queues;
    bool persistent = !(blk->config.without & XENPV_BLK_PERSISTENT) && !blk_owns_memory(blk);
    const struct {
        const char *name;
        bool used;
        uint32_t number;
    } table[] = {
        {"multi-queue-num-queues", queues > 1, queues},
        {"ring-page-order", order > 0, order},
        {"num-ring-pages", order > 0, 1u << order},
        {"feature-persistent", persistent, 1},
    };
    int error = XENPV_OK;

    for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]) && error == XENPV_OK; i++) {
        if (table[i].used)
            error = xenpv_bus_put_number(&blk->bus, table[i].name, table[i].number);
    }
    return error;
}

/* What a backend turned out not to know says nothing of the next one. */
static void forget_refusals(struct xenpv_blk *blk)
{
    for (uint32_t i = 0; i < blk->config.queues; i++)
        xenpv_store(&blk->queue[i].refused, 0);
}

/* As many as the backend takes; but a queue whose end of before nobody has been told is no use. */
static uint32_t choose_queues(struct xenpv_blk *blk)
{
    uint32_t most = blk_queues(blk);

    blk->queues = 0;
    while (blk->queues < most && gate_is_free(&blk->queue[blk->queues].gate))
        blk->queues++;
    return blk->queues;
}

/* A backend that goes round and never gives back what it has mapped would take all there is. */
static bool keeps_too_much(const struct xenpv_blk *blk)
{
    uint32_t pages =
        blk->config.buffer_pages + blk->config.shared_pages + (1u << BLK_RING_ORDER_MAX);

    return blk->bus.recovering &&
           xenpv_blk_abandoned(blk) > ABANDONED_CONNECTIONS * blk->config.queues * pages;
}

static int on_publish(void *owner)
{
    struct xenpv_blk *blk = owner;
    uint32_t queues = choose_queues(blk);
    int error = queues && !keeps_too_much(blk) ? put_features(blk) : XENPV_EBUSY;

    blk->opened = false;
    forget_refusals(blk);
    for (uint32_t i = 0; i < queues && error == XENPV_OK; i++) {
        error = blkq_share(&blk->queue[i], blk_ring_order(blk), blk->bus.peer_domid);
        if (error == XENPV_OK)
            error = put_queue(blk, &blk->queue[i], queues > 1 ? i : KEY_ALONE);
    }
    return error ? error
                 : xenpv_bus_put_text(&blk->bus, "protocol", xenpv_abi_name(blk->config.abi));
}

/* The answer has been read: at the first time, or once more since it may have changed. */
static int on_answer(void *owner)
{
    struct xenpv_blk *blk = owner;
    struct blk_properties properties;
    uint32_t sector_size = blk->info.sector_size;
    int error = blk_judge(blk);

    if (error)
        return error;
    blk_take_info(blk, &blk->info);
    /* What is on its way was cut into the sectors of before: only the size may change under it. */
    if (blk->opened && blk->info.sector_size != sector_size) {
        blk->info.sector_size = sector_size;
        blk->info.bytes &= ~((uint64_t)sector_size - 1);
    }
    blk_properties(blk, &properties);
    for (uint32_t i = 0; i < blk->info.queues; i++)
        blkq_tell(&blk->queue[i], &properties);
    return XENPV_OK;
}

static bool on_quiesce(void *owner, enum xenpv_quiesce how)
{
    static const enum gate_stop stops[] = {[XENPV_QUIESCE_HOLD] = GATE_HOLD,
                                           [XENPV_QUIESCE_DRAIN] = GATE_DRAIN,
                                           [XENPV_QUIESCE_HALT] = GATE_HALT};
    struct xenpv_blk *blk = owner;
    int reason = blk->bus.detail.error ? blk->bus.detail.error : XENPV_EPEER;
    bool stopped = true;

    for (uint32_t i = 0; i < blk->config.queues; i++)
        stopped &= gate_close(&blk->queue[i].gate, stops[how], reason);
    return stopped;
}

static int on_release(void *owner)
{
    struct xenpv_blk *blk = owner;
    int error = XENPV_OK;

    for (uint32_t i = 0; i < blk->config.queues; i++) {
        if (blkq_release(&blk->queue[i], blk->bus.recovering) != XENPV_OK)
            error = XENPV_EBUSY;
    }
    return error;
}

static void on_abandon(void *owner, bool suspended)
{
    struct xenpv_blk *blk = owner;

    for (uint32_t i = 0; i < blk->config.queues; i++)
        blkq_abandon(&blk->queue[i], suspended, blk->bus.recovering);
}

static const struct xenpv_bus_driver driver = {
    .role = XENPV_FRONTEND,
    .published_state = XENPV_STATE_INITIALISED,
    .ask = {[XENPV_ASK_OWN] = {blk_own_keys, OWN_COUNT},
            [XENPV_ASK_OFFER] = {blk_offer_keys, OFFER_COUNT},
            [XENPV_ASK_ANSWER] = {blk_answer_keys, ANSWER_COUNT}},
    .clean = on_clean,
    .publish = on_publish,
    .connect = on_answer,
    .changed = on_answer,
    .quiesce = on_quiesce,
    .release = on_release,
    .abandon = on_abandon,
};

/* ---- the device ------------------------------------------------------------------------------ */

void xenpv_blk_config_init(struct xenpv_blk_config *config, const struct xenpv_port *port,
                           const char *path)
{
    *config = (struct xenpv_blk_config){.size = sizeof(*config),
                                        .port = port,
                                        .path = path,
                                        .queues = 1,
                                        .segments = 64,
                                        .operations = 32,
                                        .buffer_pages = 352,
                                        .connect_ms = 30000,
                                        .close_ms = 5000,
                                        .recover_ms = 30000,
                                        .abi = XENPV_ABI_NATIVE};
}

static bool valid(const struct xenpv_blk_config *config)
{
    return config->size == sizeof(*config) && config->port && config->path &&
           within(config->queues, 1, BLK_QUEUES_MAX) &&
           within(config->ring_order, 0, BLK_RING_ORDER_MAX) &&
           within(config->segments, 1, BLK_SEGMENTS_MAX) && within(config->operations, 1, 4096) &&
           within(config->buffer_pages, XENPV_BLKIF_SEGMENTS, 65536) &&
           within(config->shared_pages, 0, 65536) && !(config->poll && config->own_memory) &&
           config->without >> XENPV_BLK_FEATURES == 0 &&
           (uint32_t)config->units < XENPV_UNITS_COUNT && (uint32_t)config->abi < XENPV_ABI_COUNT;
}

static struct layout layout_of(const struct xenpv_blk_config *config)
{
    const struct layout_parts parts = {.device = sizeof(struct xenpv_blk),
                                       .queue = sizeof(struct xenpv_blkq),
                                       .queue_memory = blkq_memory(config),
                                       .queues = config->queues,
                                       .room = bus_room(config)};

    return lay_out(&parts);
}

size_t xenpv_blk_size(const struct xenpv_blk_config *config)
{
    return valid(config) ? layout_of(config).end : 0;
}

int xenpv_blk_init(void *memory, const struct xenpv_blk_config *config, struct xenpv_blk **out)
{
    struct xenpv_blk *blk = memory;
    uint8_t *base = memory;
    struct xenpv_bus_config bus;
    struct layout layout;

    if (!valid(config))
        return XENPV_EINVAL;
    layout = layout_of(config);
    memset(blk, 0, sizeof(*blk));
    blk->config = *config;
    blk->queue = (struct xenpv_blkq *)(void *)(base + layout.queues);
    blk->answer[ANSWER_SERIAL].bytes = blk->pages[0];
    blk->answer[ANSWER_DESIGNATOR].bytes = blk->pages[1];
    blk->answer[ANSWER_SERIAL].capacity = blk->answer[ANSWER_DESIGNATOR].capacity = BLK_PAGE_TEXT;
    for (uint32_t i = 0; i < config->queues; i++)
        blkq_init(&blk->queue[i], config, i, base + layout.queue_memory + i * blkq_memory(config));
    bus = (struct xenpv_bus_config){
        .port = config->port,
        .driver = &driver,
        .owner = blk,
        .path = config->path,
        .values = {blk->own, blk->offer, blk->answer},
        .connect_ms = config->connect_ms,
        .close_ms = config->close_ms,
        .recover_ms = config->recover_ms,
        .ops = (struct xenpv_store_op *)(void *)(base + layout.ops),
        .rows = (struct xenpv_bus_row *)(void *)(base + layout.rows),
        .room = bus_room(config),
    };
    *out = blk;
    return xenpv_bus_init(&blk->bus, &bus);
}

int xenpv_blk_connect(struct xenpv_blk *blk, uint64_t now)
{
    const struct xenpv_port *port = blk->config.port;
    int error;

    if (!port->grant || !port->event)
        return XENPV_ENOTSUP;
    for (uint32_t i = 0; i < blk->config.queues; i++) {
        if (!gate_is(&blk->queue[i].gate, GATE_PARKED))
            return XENPV_EBUSY;
    }
    error = xenpv_bus_start(&blk->bus, XENPV_GOAL_CONNECT, now);
    for (uint32_t i = 0; i < blk->config.queues && error == XENPV_OK; i++)
        xenpv_store(&blk->queue[i].gate.broken, 0);
    return error;
}

int xenpv_blk_inspect(struct xenpv_blk *blk, uint64_t now)
{
    int error = xenpv_bus_start(&blk->bus, XENPV_GOAL_INSPECT, now);

    if (error == XENPV_OK)
        forget_refusals(blk);
    return error;
}

void xenpv_blk_close(struct xenpv_blk *blk, uint64_t now)
{
    xenpv_bus_start(&blk->bus, XENPV_GOAL_CLOSE, now);
}

/* A backend that returned may take fewer queues than before: the others end. */
static void open_queues(struct xenpv_blk *blk)
{
    for (uint32_t i = 0; i < blk->config.queues; i++) {
        if (i < blk->info.queues)
            blkq_open(&blk->queue[i]);
        else
            gate_close(&blk->queue[i].gate, GATE_HALT, XENPV_EPEER);
    }
}

enum xenpv_blk_state xenpv_blk_step(struct xenpv_blk *blk, uint64_t now)
{
    enum xenpv_blk_state state;

    for (uint32_t i = 0; i < blk->config.queues; i++)
        gate_report(&blk->queue[i].gate, i, &blk->bus);
    xenpv_bus_step(&blk->bus, now);
    state = xenpv_blk_state(blk);
    /* Only queues whose user has been told of them have anybody to park them. */
    if (state == XENPV_BLK_CONNECTED && !blk->opened) {
        open_queues(blk);
        blk->opened = true;
    }
    return state;
}

uint64_t xenpv_blk_deadline(const struct xenpv_blk *blk)
{
    return xenpv_bus_deadline(&blk->bus);
}

enum xenpv_blk_state xenpv_blk_state(const struct xenpv_blk *blk)
{
    const struct xenpv_bus *bus = &blk->bus;

    if (bus->phase == XENPV_BUS_IDLE)
        return XENPV_BLK_IDLE;
    if (bus->phase == XENPV_BUS_DONE)
        return bus->detail.error ? XENPV_BLK_FAILED : XENPV_BLK_CLOSED;
    if (bus->goal == XENPV_GOAL_CLOSE || bus->detail.error)
        return XENPV_BLK_CLOSING;
    if (bus->recovering)
        return XENPV_BLK_RECOVERING;
    return bus->phase == XENPV_BUS_CONNECTED ? XENPV_BLK_CONNECTED : XENPV_BLK_CONNECTING;
}

const struct xenpv_detail *xenpv_blk_detail(const struct xenpv_blk *blk)
{
    return &blk->bus.detail;
}

uint32_t xenpv_blk_abandoned(const struct xenpv_blk *blk)
{
    uint32_t pages = 0;

    for (uint32_t i = 0; i < blk->config.queues; i++)
        pages += blkq_abandoned(&blk->queue[i]);
    return pages;
}

void xenpv_blk_info(const struct xenpv_blk *blk, struct xenpv_blk_info *info)
{
    const struct xenpv_bus *bus = &blk->bus;

    *info = blk->info;
    if (bus->goal == XENPV_GOAL_INSPECT)
        blk_take_info(blk, info);
    for (uint32_t i = 0; i < blk->config.queues; i++)
        info->features &= ~xenpv_load(&blk->queue[i].refused);
    if (!(info->features & XENPV_BLK_INDIRECT) && info->segments > XENPV_BLKIF_SEGMENTS)
        info->segments = XENPV_BLKIF_SEGMENTS;
    info->can_flush = (info->features & (XENPV_BLK_FLUSH | XENPV_BLK_BARRIER)) != 0;
    info->can_discard = (info->features & XENPV_BLK_DISCARD) != 0 && !info->readonly;
    info->can_discard_secure =
        info->can_discard && (info->features & XENPV_BLK_SECURE_DISCARD) != 0;
    info->backend_id = bus->peer_domid;
    info->frontend_state = bus->own_state;
    info->backend_state = bus->peer_state;
    info->frontend_path = bus->own_path;
    info->backend_path = bus->peer_path;
    info->device_type = xenpv_bus_value(bus, XENPV_ASK_OWN, OWN_DEVICE_TYPE)->text;
    if (!info->doubt)
        info->doubt = "";
}

struct xenpv_blkq *xenpv_blk_queue(struct xenpv_blk *blk, uint32_t number)
{
    return number < blk->config.queues ? &blk->queue[number] : NULL;
}
