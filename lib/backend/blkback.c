/* SPDX-License-Identifier: MIT */
/* The block backend's control side; blkback_serve.c answers the requests. */
#include "backend/blkback.h"

/* ---- keys: blkif.h, "Frontend XenBus Nodes" -------------------------------------------------- */

enum { ANSWER_RING_REF, ANSWER_PORT, ANSWER_PROTOCOL, ANSWER_ORDER, ANSWER_QUEUES };
static const struct xenpv_key answer_keys[BLKBACK_ANSWERS] = {
    [ANSWER_RING_REF] = {"ring-ref", XENPV_KEY_NUMBER, true, 0, 0, UINT32_MAX},
    [ANSWER_PORT] = {"event-channel", XENPV_KEY_NUMBER, true, 0, 1, UINT32_MAX},
    [ANSWER_PROTOCOL] = {"protocol", XENPV_KEY_TEXT, false, 0, 0, 0},
    [ANSWER_ORDER] = {"ring-page-order", XENPV_KEY_NUMBER, false, 0, 0, UINT32_MAX},
    [ANSWER_QUEUES] = {"multi-queue-num-queues", XENPV_KEY_NUMBER, false, 1, 0, UINT32_MAX},
};

static const char *const written_keys[] = {"sectors", "sector-size",         "physical-sector-size",
                                           "info",    "feature-flush-cache", NULL};

/* ---- attaching to what the frontend shares --------------------------------------------------- */

static void detach(struct xenpv_blkback *back)
{
    const struct xenpv_port *port = back->port;

    if (!back->attached)
        return;
    back->attached = false;
    port->event->close(port->ctx, back->event_port);
    port->map->unmap(port->ctx, &back->ring_map);
}

static const struct xenpv_key_value *answer(const struct xenpv_blkback *back, uint32_t key)
{
    return xenpv_bus_value(&back->bus, XENPV_ASK_ANSWER, key);
}

static int refuse(struct xenpv_blkback *back, uint32_t key, const char *expected)
{
    struct xenpv_detail detail = {
        .error = XENPV_EBROKEN, .step = "reading the frontend's keys", .expected = expected};
    const char *name = answer_keys[key].name;
    uint32_t length = 0;

    while (name[length])
        length++;
    xenpv_printable(detail.key, sizeof(detail.key), name, length);
    memcpy(detail.found, answer(back, key)->text, XENPV_KEY_TEXT_MAX);
    xenpv_bus_fail(&back->bus, &detail);
    return detail.error;
}

/* A missing `protocol` means the frontend's native layout, which we take to be ours. */
static enum xenpv_abi asked_abi(const struct xenpv_blkback *back)
{
    if (answer(back, ANSWER_PROTOCOL)->status == XENPV_KEY_ABSENT)
        return XENPV_ABI_NATIVE;
    return xenpv_abi_from_name(answer(back, ANSWER_PROTOCOL)->text);
}

static int attach(struct xenpv_blkback *back)
{
    const struct xenpv_port *port = back->port;
    uint16_t domid = back->bus.peer_domid;
    uint32_t peer_port = (uint32_t)answer(back, ANSWER_PORT)->number;
    int error;

    back->abi = asked_abi(back);
    if (back->abi == XENPV_ABI_COUNT)
        return refuse(back, ANSWER_PROTOCOL, "x86_64-abi, x86_32-abi or arm-abi");
    if (answer(back, ANSWER_ORDER)->number != 0)
        return refuse(back, ANSWER_ORDER, "0: no more was offered");
    if (answer(back, ANSWER_QUEUES)->number != 1)
        return refuse(back, ANSWER_QUEUES, "1: no more was offered");
    back->ring_entry.ref = (uint32_t)answer(back, ANSWER_RING_REF)->number;
    back->ring_map =
        (struct xenpv_map_region){.entries = &back->ring_entry, .count = 1, .domid = domid};
    error = port->map->map(port->ctx, &back->ring_map);
    if (error)
        return error;
    error = port->event->bind_interdomain(port->ctx, domid, peer_port, &back->event_port);
    if (error) {
        port->map->unmap(port->ctx, &back->ring_map);
        return error;
    }
    xenpv_ring_attach_back(&back->ring, back->ring_map.memory, XENPV_PAGE_SIZE,
                           xenpv_blkif_slot_size(back->abi));
    back->attached = true;
    return XENPV_OK;
}

/* ---- what the bus calls ---------------------------------------------------------------------- */

static int on_publish(void *owner)
{
    (void)owner; /* nothing is offered before the frontend has published */
    return XENPV_OK;
}

static int on_connect(void *owner)
{
    struct xenpv_blkback *back = owner;
    const struct xenpv_disk *disk = back->disk;
    const struct {
        const char *name;
        uint64_t number;
    } properties[] = {
        {"sectors", disk->bytes / XENPV_BLKIF_SECTOR},
        {"sector-size", disk->sector_size},
        {"physical-sector-size", disk->sector_size},
        {"info", disk->readonly ? XENPV_VDISK_READONLY : 0},
        {"feature-flush-cache", disk->flush != NULL},
    };
    int error = attach(back);

    for (uint32_t i = 0; i < sizeof(properties) / sizeof(properties[0]) && !error; i++)
        error = xenpv_bus_put_number(&back->bus, properties[i].name, properties[i].number);
    return error;
}

static bool on_quiesce(void *owner, bool drain)
{
    struct xenpv_blkback *back = owner;

    if (drain)
        blkback_serve(back);
    detach(back);
    return true;
}

static int on_release(void *owner)
{
    detach(owner);
    return XENPV_OK;
}

static void on_abandon(void *owner, bool suspended)
{
    struct xenpv_blkback *back = owner;
    const struct xenpv_port *port = back->port;

    if (back->attached && suspended) {
        port->event->forget(port->ctx, back->event_port);
        port->map->unmap(port->ctx, &back->ring_map);
        back->attached = false;
    }
    detach(back);
}

static const struct xenpv_bus_driver driver = {
    .role = XENPV_BACKEND,
    .published_state = XENPV_STATE_INIT_WAIT,
    .ask = {[XENPV_ASK_ANSWER] = {answer_keys, BLKBACK_ANSWERS}},
    .own_keys = written_keys,
    .publish = on_publish,
    .connect = on_connect,
    .quiesce = on_quiesce,
    .release = on_release,
    .abandon = on_abandon,
};

/* ---- the backend ----------------------------------------------------------------------------- */

#define CLOSE_MS 5000u

int xenpv_blkback_create(const struct xenpv_blkback_config *config, struct xenpv_blkback **out)
{
    const uint32_t needed = XENPV_CAP_MAP | XENPV_CAP_COPY;
    const struct xenpv_allocator *allocator = &config->allocator;
    struct xenpv_blkback *back;
    int error;

    if (config->size != sizeof(*config) || !config->port || !config->path || !config->disk)
        return XENPV_EINVAL;
    if ((config->port->caps & needed) != needed)
        return XENPV_ENOTSUP;
    back = allocator->alloc(allocator->ctx, sizeof(*back), 16);
    if (!back)
        return XENPV_ENOMEM;
    memset(back, 0, sizeof(*back));
    back->port = config->port;
    back->disk = config->disk;
    back->allocator = *allocator;
    error = xenpv_bus_init(&back->bus,
                           &(struct xenpv_bus_config){.port = config->port,
                                                      .driver = &driver,
                                                      .owner = back,
                                                      .path = config->path,
                                                      .values = {[XENPV_ASK_ANSWER] = back->answer},
                                                      .close_ms = CLOSE_MS});
    if (error) {
        allocator->free(allocator->ctx, back);
        return error;
    }
    *out = back;
    return XENPV_OK;
}

void xenpv_blkback_destroy(struct xenpv_blkback *back)
{
    if (!back)
        return;
    detach(back);
    xenpv_bus_drop(&back->bus);
    back->allocator.free(back->allocator.ctx, back);
}

int xenpv_blkback_start(struct xenpv_blkback *back, uint64_t now)
{
    return xenpv_bus_start(&back->bus, XENPV_GOAL_CONNECT, now);
}

void xenpv_blkback_close(struct xenpv_blkback *back, uint64_t now)
{
    xenpv_bus_start(&back->bus, XENPV_GOAL_CLOSE, now);
}

enum xenpv_bus_phase xenpv_blkback_step(struct xenpv_blkback *back, uint64_t now)
{
    const struct xenpv_port *port = back->port;

    if (back->attached && port->event->take(port->ctx, back->event_port))
        port->event->unmask(port->ctx, back->event_port);
    back->more = blkback_serve(back);
    xenpv_bus_step(&back->bus, now);
    return back->bus.phase;
}

uint64_t xenpv_blkback_deadline(const struct xenpv_blkback *back)
{
    return back->attached && back->more ? 0 : xenpv_bus_deadline(&back->bus);
}

const struct xenpv_detail *xenpv_blkback_detail(const struct xenpv_blkback *back)
{
    return &back->bus.detail;
}

xenpv_handle xenpv_blkback_wait_handle(const struct xenpv_blkback *back)
{
    if (!back->attached)
        return XENPV_NO_HANDLE;
    return back->port->event->wait_handle(back->port->ctx, back->event_port);
}

void xenpv_blkback_stats(const struct xenpv_blkback *back, struct xenpv_blkback_stats *stats)
{
    *stats = back->stats;
}
