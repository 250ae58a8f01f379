/* SPDX-License-Identifier: MIT */
/* The block backend's handle: how it is made, and what its steps do. */
#include "backend/blkback.h"

#define CLOSE_MS 5000u
/* A queue that is never empty must not keep the handshake waiting for ever. */
#define BUSY_STEPS 16u

/* ---- making it ------------------------------------------------------------------------------- */

void xenpv_blkback_config_init(struct xenpv_blkback_config *config, const struct xenpv_port *port,
                               const char *path, const struct xenpv_disk *disk,
                               const struct xenpv_allocator *allocator)
{
    *config = (struct xenpv_blkback_config){.size = sizeof(*config),
                                            .port = port,
                                            .path = path,
                                            .disk = disk,
                                            .allocator = *allocator,
                                            .queues = 4,
                                            .ring_order = 4,
                                            .segments = 256,
                                            .persistent = 1056,
                                            .units = XENPV_UNITS_512};
}

static bool size_allowed(uint32_t size)
{
    return size >= XENPV_BLKIF_SECTOR && (size & (size - 1)) == 0;
}

static bool disk_allowed(const struct xenpv_disk *disk)
{
    bool moves = disk->read && (disk->write || disk->readonly), null = !disk->read && !disk->write;

    return (moves || null) && size_allowed(disk->sector_size) &&
           disk->bytes % XENPV_BLKIF_SECTOR == 0 &&
           (!disk->physical_sector_size || (size_allowed(disk->physical_sector_size) &&
                                            disk->physical_sector_size >= disk->sector_size));
}

static bool config_allowed(const struct xenpv_blkback_config *config)
{
    return config->size == sizeof(*config) && config->port && config->path && config->disk &&
           config->allocator.alloc && config->allocator.free && config->queues >= 1 &&
           config->queues <= BLKBACK_QUEUES && config->ring_order <= BLKBACK_RING_ORDER &&
           config->segments <= BLKBACK_SEGMENTS && config->persistent <= BLKBACK_PERSISTENT &&
           config->units < XENPV_UNITS_COUNT && disk_allowed(config->disk) &&
           (config->units != XENPV_UNITS_SECTOR_SIZE ||
            config->disk->sector_size <= XENPV_PAGE_SIZE);
}

static struct blkback_units units_of(const struct xenpv_blkback_config *config)
{
    uint32_t sector_size = config->disk->sector_size;
    uint8_t own = 9, least = 9;

    while (1u << own < sector_size)
        own++;

    const struct blkback_units units[XENPV_UNITS_COUNT] = {
        [XENPV_UNITS_512] = {.sectors = least, .number = least, .segment = least},
        [XENPV_UNITS_SECTOR_SIZE] = {.sectors = own, .number = own, .segment = own},
        [XENPV_UNITS_FREEBSD] = {.sectors = own, .number = own, .segment = least},
        [XENPV_UNITS_MINIOS] = {.sectors = own, .number = least, .segment = least},
    };
    struct blkback_units chosen = units[config->units];

    chosen.last = (uint8_t)((XENPV_PAGE_SIZE >> chosen.segment) - 1);
    chosen.sector_size = sector_size;
    return chosen;
}

static size_t cut(size_t *total, size_t bytes)
{
    size_t at = *total;

    *total += (bytes + 15) & ~(size_t)15;
    return at;
}

/* Room for the largest request there can be; one request is done after the other. */
static int allocate_scratch(struct xenpv_blkback *back)
{
    struct xenpv_allocator *allocator = &back->config.allocator;
    struct blkback_scratch *scratch = &back->scratch;
    size_t most = back->config.segments, total = 0, seg, copies, pages;
    uint8_t *memory;

    if (most < XENPV_BLKIF_SEGMENTS)
        most = XENPV_BLKIF_SEGMENTS;
    cut(&total, back->disk->read ? most * XENPV_PAGE_SIZE : 0);
    seg = cut(&total, most * sizeof(*scratch->seg));
    copies = cut(&total, most * sizeof(*scratch->copies));
    pages = cut(&total, most * sizeof(*scratch->pages));
    memory = allocator->alloc(allocator->ctx, total, XENPV_PAGE_SIZE);
    if (!memory)
        return XENPV_ENOMEM;
    *scratch =
        (struct blkback_scratch){.memory = memory,
                                 .data = back->disk->read ? memory : NULL,
                                 .seg = (struct xenpv_blkif_segment *)(void *)(memory + seg),
                                 .copies = (struct xenpv_copy_entry *)(void *)(memory + copies),
                                 .pages = (uint8_t **)(void *)(memory + pages)};
    return XENPV_OK;
}

static int init_bus(struct xenpv_blkback *back)
{
    return xenpv_bus_init(
        &back->bus, &(struct xenpv_bus_config){
                        .port = back->port,
                        .driver = &blkback_driver,
                        .owner = back,
                        .path = back->config.path,
                        .values = {[XENPV_ASK_OWN] = back->own, [XENPV_ASK_ANSWER] = back->answer},
                        .close_ms = CLOSE_MS,
                        .ops = back->ops,
                        .rows = back->rows,
                        .room = BLKBACK_ROOM});
}

int xenpv_blkback_create(const struct xenpv_blkback_config *config, struct xenpv_blkback **out)
{
    const uint32_t needed = XENPV_CAP_MAP | XENPV_CAP_COPY;
    const struct xenpv_allocator *allocator = &config->allocator;
    struct xenpv_blkback *back;
    size_t bytes;
    int error;

    if (!config_allowed(config))
        return XENPV_EINVAL;
    if ((config->port->caps & needed) != needed)
        return XENPV_ENOTSUP;
    bytes = sizeof(*back) + config->queues * sizeof(back->queue[0]);
    back = allocator->alloc(allocator->ctx, bytes, 16);
    if (!back)
        return XENPV_ENOMEM;
    memset(back, 0, bytes);
    back->config = *config;
    back->port = config->port;
    back->disk = config->disk;
    back->units = units_of(config);
    error = init_bus(back);
    back->config.path = back->bus.own_path;
    if (!error)
        error = allocate_scratch(back);
    if (error) {
        allocator->free(allocator->ctx, back);
        return error;
    }
    *out = back;
    return XENPV_OK;
}

void xenpv_blkback_destroy(struct xenpv_blkback *back)
{
    struct xenpv_allocator allocator;

    if (!back)
        return;
    allocator = back->config.allocator;
    blkback_resize_drop(back);
    blkback_detach(back);
    xenpv_bus_drop(&back->bus);
    allocator.free(allocator.ctx, back->scratch.memory);
    allocator.free(allocator.ctx, back);
}

/* ---- running it ------------------------------------------------------------------------------ */

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
    bool busy = blkback_serve(back) && ++back->busy_steps < BUSY_STEPS;

    /* The store costs more than a request: where there are many it is looked at now and then. */
    if (busy && back->busy_steps > 1)
        return back->bus.phase;
    if (!busy)
        back->busy_steps = 0;
    xenpv_bus_step(&back->bus, now);
    blkback_resize_step(back, now);
    return back->bus.phase;
}

static bool waiting(const struct xenpv_blkback *back)
{
    for (uint32_t i = 0; i < back->queues; i++) {
        if (back->queue[i].more)
            return true;
    }
    return false;
}

uint64_t xenpv_blkback_deadline(const struct xenpv_blkback *back)
{
    uint64_t bus = xenpv_bus_deadline(&back->bus), resize = blkback_resize_deadline(back);

    if (waiting(back))
        return 0;
    return bus < resize ? bus : resize;
}

/* ---- looking at it --------------------------------------------------------------------------- */

const struct xenpv_detail *xenpv_blkback_detail(const struct xenpv_blkback *back)
{
    return &back->bus.detail;
}

uint32_t xenpv_blkback_queues(const struct xenpv_blkback *back)
{
    return back->queues;
}

xenpv_handle xenpv_blkback_wait_handle(const struct xenpv_blkback *back, uint32_t queue)
{
    const struct xenpv_port *port = back->port;

    if (queue >= back->queues)
        return XENPV_NO_HANDLE;
    return port->event->wait_handle(port->ctx, back->queue[queue].event_port);
}

void xenpv_blkback_stats(const struct xenpv_blkback *back, struct xenpv_blkback_stats *stats)
{
    *stats = back->stats;
}
