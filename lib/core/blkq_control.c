/* SPDX-License-Identifier: MIT */
/* The block queue, as the control thread sets it up and takes it down. */
#include "blk_device.h"

/* ---- memory ---------------------------------------------------------------------------------- */

/* What a queue keeps beside the structure, one after the other. */
struct layout {
    size_t operations, slots, own, own_refs, next, refs, shared_refs, end;
};

static uint32_t ring_pages(const struct xenpv_blk_config *config)
{
    return 1u << config->ring_order;
}

static uint32_t own_pages(const struct xenpv_blk_config *config)
{
    bool indirect = (config->without & XENPV_BLK_INDIRECT) == 0;

    return indirect && config->segments > XENPV_BLKIF_SEGMENTS ? config->segments
                                                               : XENPV_BLKIF_SEGMENTS;
}

static size_t place(size_t *at, size_t count, size_t bytes)
{
    size_t begin = *at;

    *at = (begin + count * bytes + 15) & ~(size_t)15;
    return begin;
}

static struct layout lay_out(const struct xenpv_blk_config *config)
{
    uint32_t slots =
        xenpv_ring_count(ring_pages(config) * XENPV_PAGE_SIZE, xenpv_blkif_slot_size(config->abi));
    uint32_t pages = ring_pages(config) + config->buffer_pages;
    uint32_t owned = config->own_memory ? slots : 0;
    struct layout layout;
    size_t at = 0;

    layout.operations = place(&at, config->operations, sizeof(struct blk_operation));
    layout.slots = place(&at, slots, sizeof(struct blk_slot));
    layout.own = place(&at, owned, sizeof(struct blk_own));
    layout.own_refs = place(&at, (size_t)owned * own_pages(config), sizeof(uint32_t));
    layout.next = place(&at, pages, sizeof(uint32_t));
    layout.refs = place(&at, pages, sizeof(uint32_t));
    layout.shared_refs = place(&at, (size_t)config->shared_pages * 2, sizeof(uint32_t));
    layout.end = at;
    return layout;
}

size_t blkq_memory(const struct xenpv_blk_config *config)
{
    return lay_out(config).end;
}

void blkq_init(struct xenpv_blkq *q, const struct xenpv_blk_config *config, uint32_t number,
               void *memory)
{
    struct layout layout = lay_out(config);
    uint8_t *base = memory;
    uint32_t *shared_refs = (uint32_t *)(void *)(base + layout.shared_refs);

    memset(q, 0, sizeof(*q));
    memset(memory, 0, layout.end);
    q->gate.parked = GATE_PARKED;
    q->gate.stop = GATE_HALT;
    q->port = config->port;
    q->number = (uint16_t)number;
    q->abi = config->abi;
    q->pad = config->abi != XENPV_ABI_X86_32;
    q->poll_mode = config->poll;
    q->buffer_pages = config->buffer_pages;
    q->shared_pages = config->shared_pages;
    q->operations = (struct blk_operation *)(void *)(base + layout.operations);
    q->operation_count = config->operations;
    q->slots = (struct blk_slot *)(void *)(base + layout.slots);
    if (config->own_memory) {
        q->own = (struct blk_own *)(void *)(base + layout.own);
        q->own_refs = (uint32_t *)(void *)(base + layout.own_refs);
        q->own_pages = own_pages(config);
    }
    q->pool.next = (uint32_t *)(void *)(base + layout.next);
    arena_init(&q->arena, config->port, (uint32_t *)(void *)(base + layout.refs));
    arena_init(&q->shared[0], config->port, shared_refs);
    arena_init(&q->shared[1], config->port, shared_refs + config->shared_pages);
    q->p.unit = XENPV_BLKIF_SECTOR;
    for (uint32_t i = 0; i < q->operation_count; i++) {
        q->operations[i].next = q->unused;
        q->unused = &q->operations[i];
    }
}

/* ---- sharing --------------------------------------------------------------------------------- */

/* Lets go of the pages of before, whose contents have been carried over or are not wanted. */
static void drop_shared(struct xenpv_blkq *q, uint32_t which)
{
    arena_abandon(&q->shared[which], q->shared_stale[which]);
    q->shared_stale[which] = false;
}

/* Shares the caller's pages anew, and carries over what they held. */
static int share_callers_pages(struct xenpv_blkq *q, uint16_t backend_id)
{
    uint32_t other = !q->turn;
    const struct arena *before = &q->shared[q->turn];
    int error;

    if (q->shared_pages == 0)
        return XENPV_OK;
    error = arena_share(&q->shared[other], q->shared_pages, backend_id);
    if (error)
        return error;
    if (before->live)
        memcpy(q->shared[other].region.memory, before->region.memory,
               (size_t)q->shared_pages * XENPV_PAGE_SIZE);
    drop_shared(q, q->turn);
    q->turn = other;
    return XENPV_OK;
}

static void set_up_ring(struct xenpv_blkq *q, uint32_t pages)
{
    xenpv_ring_init_front(&q->ring, arena_memory(&q->arena, 0), pages * XENPV_PAGE_SIZE,
                          xenpv_blkif_slot_size(q->abi));
    q->free_slot = NULL;
    for (uint32_t i = 0; i < q->ring.count; i++) {
        q->slots[i].used = false;
        q->slots[i].id = (uint16_t)i;
        q->slots[i].next = q->free_slot;
        q->free_slot = &q->slots[i];
    }
    pool_fill(&q->pool, pages, pages + q->buffer_pages);
    if (q->poll_mode)
        xenpv_ring_disarm(&q->ring);
}

int blkq_share(struct xenpv_blkq *q, uint32_t order, uint16_t backend_id)
{
    const struct xenpv_port *port = q->port;
    uint32_t pages = 1u << order;
    int error;

    q->generation = port->sys->generation(port->ctx);
    q->backend_id = backend_id;
    error = arena_share(&q->arena, pages + q->buffer_pages, backend_id);
    if (error == XENPV_OK)
        error = share_callers_pages(q, backend_id);
    if (error == XENPV_OK)
        error = port->event->alloc_unbound(port->ctx, backend_id, &q->event_port);
    if (error)
        return error;
    q->has_port = true;
    q->own_held = false;
    set_up_ring(q, pages);
    return XENPV_OK;
}

/* ---- telling, opening -------- -------------------------------------------------------------- */

void blkq_tell(struct xenpv_blkq *q, const struct blk_properties *properties)
{
    const uint32_t *from = (const uint32_t *)(const void *)properties;
    uint32_t version = xenpv_load(&q->version) + 1;
    uint32_t *to = (uint32_t *)(void *)&q->told[version & 1];

    for (uint32_t i = 0; i < BLK_PROPERTY_WORDS; i++)
        xenpv_store_release(&to[i], from[i]);
    xenpv_store_release(&q->version, version);
}

void blkq_open(struct xenpv_blkq *q)
{
    xenpv_store(&q->settled, 0);
    gate_open(&q->gate);
}

/* ---- taking down ----------------------------------------------------------------------------- */

static void settle(struct xenpv_blkq *q)
{
    xenpv_store_release(&q->settled, 1);
}

static void close_port(struct xenpv_blkq *q, bool suspended)
{
    const struct xenpv_port *port = q->port;

    if (!q->has_port)
        return;
    if (suspended)
        port->event->forget(port->ctx, q->event_port);
    else
        port->event->close(port->ctx, q->event_port);
    q->has_port = false;
}

int blkq_release(struct xenpv_blkq *q, bool keep)
{
    int error = q->own ? blk_own_release(q) : XENPV_OK;

    if (error == XENPV_OK)
        error = arena_end(&q->arena);
    for (uint32_t i = 0; i < 2 && error == XENPV_OK && !keep; i++) {
        if (q->shared_stale[i])
            drop_shared(q, i);
        else
            error = arena_end(&q->shared[i]);
    }
    if (error)
        return error;
    close_port(q, false);
    settle(q);
    return XENPV_OK;
}

void blkq_abandon(struct xenpv_blkq *q, bool suspended, bool keep)
{
    if (q->own)
        blk_own_abandon(q, suspended);
    arena_abandon(&q->arena, suspended);
    for (uint32_t i = 0; i < 2; i++) {
        q->shared_stale[i] |= suspended && q->shared[i].live;
        if (!keep)
            drop_shared(q, i);
    }
    close_port(q, suspended);
    settle(q);
}

uint32_t blkq_abandoned(const struct xenpv_blkq *q)
{
    return q->own_abandoned + q->arena.abandoned + q->shared[0].abandoned + q->shared[1].abandoned;
}
