/* SPDX-License-Identifier: MIT */
/* From operations to ring requests and back: chunks, bounce pages, partial sectors. */
#include "blk_device.h"
#include "blkif_words.h"

/* ---- the caller's vector --------------------------------------------------------------------- */

/* Moves `bytes` between a page of the pool and the caller's vector, and the cursor past them. */
static void move(const struct blk_operation *operation, struct cursor *cursor, uint8_t *page,
                 uint32_t bytes, bool to_page)
{
    while (bytes) {
        const struct xenpv_iov *iov = &operation->iov[cursor->element];
        size_t left = iov->length - cursor->at;
        uint32_t part = left < bytes ? (uint32_t)left : bytes;

        /* An element without bytes may be without memory, too. */
        if (part && to_page)
            memcpy(page, (uint8_t *)iov->base + cursor->at, part);
        else if (part)
            memcpy((uint8_t *)iov->base + cursor->at, page, part);
        page += part;
        bytes -= part;
        cursor->at += part;
        if (part == left)
            *cursor = (struct cursor){cursor->element + 1, 0};
    }
}

/* The first page of a slot's chain that holds data. */
static uint32_t first_data_page(const struct xenpv_blkq *q, const struct blk_slot *slot)
{
    uint32_t page = slot->first;

    for (uint32_t i = 0; i < slot->index_pages; i++)
        page = q->pool.next[page];
    return page;
}

/* Moves the caller's bytes of a chunk. */
static void move_chunk(struct xenpv_blkq *q, const struct blk_slot *slot, struct cursor *cursor,
                       bool to_page)
{
    const struct blk_operation *operation = slot->operation;
    uint32_t page = first_data_page(q, slot), at = slot->skip, left = slot->bytes;

    for (; at >= XENPV_PAGE_SIZE; at -= XENPV_PAGE_SIZE)
        page = q->pool.next[page];
    while (left) {
        uint32_t part = XENPV_PAGE_SIZE - at < left ? XENPV_PAGE_SIZE - at : left;

        move(operation, cursor, arena_memory(&q->arena, page) + at, part, to_page);
        page = q->pool.next[page];
        left -= part;
        at = 0;
    }
}

static void skip_cursor(const struct blk_operation *operation, struct cursor *cursor,
                        uint32_t bytes)
{
    while (bytes) {
        size_t here = operation->iov[cursor->element].length - cursor->at;

        if (here > bytes) {
            cursor->at += bytes;
            return;
        }
        bytes -= (uint32_t)here;
        *cursor = (struct cursor){cursor->element + 1, 0};
    }
}

/* ---- choosing what goes into a request ------------------------------------------------------- */

/* Pages of one request, as far as the backend knows large ones. */
static inline uint32_t most_segments(const struct xenpv_blkq *q)
{
    bool small = (xenpv_load(&q->refused) & XENPV_BLK_INDIRECT) != 0;

    return small && q->p.segments > XENPV_BLKIF_SEGMENTS ? XENPV_BLKIF_SEGMENTS : q->p.segments;
}

/*
 * A read may be rounded outwards to sectors. A write sends whole sectors as they are, and a sector
 * of which it has only a part alone, so that no more is read back than must be.
 */
static inline void choose_bounced(const struct xenpv_blkq *q, const struct blk_operation *operation,
                                  struct blk_slot *slot)
{
    uint64_t mask = q->p.unit - 1;
    uint64_t begin = operation->sent & ~mask;
    uint64_t limit = (uint64_t)most_segments(q) * XENPV_PAGE_SIZE;
    uint64_t left = operation->end - begin;
    uint64_t length = (left + mask) & ~mask;

    slot->skip = (uint32_t)(operation->sent - begin);
    slot->overlay = false;
    if (operation->op == XENPV_BLKIF_WRITE) {
        slot->overlay = slot->skip || left < q->p.unit;
        length = slot->overlay ? q->p.unit : left & ~mask;
    }
    if (length > limit)
        length = limit & ~mask;
    slot->offset = begin;
    slot->length = (uint32_t)length;
    slot->bytes = (uint32_t)(length < left ? length : left) - slot->skip;
    slot->segments = (slot->length + XENPV_PAGE_SIZE - 1) / XENPV_PAGE_SIZE;
}

static void choose_shared(const struct xenpv_blkq *q, const struct blk_operation *operation,
                          struct blk_slot *slot)
{
    uint64_t mask = q->p.unit - 1, left = operation->end - operation->sent;
    uint64_t at = operation->at + (operation->sent - operation->offset);
    uint32_t before = (uint32_t)at % XENPV_PAGE_SIZE;
    uint64_t limit = ((uint64_t)most_segments(q) * XENPV_PAGE_SIZE - before) & ~mask;

    slot->skip = before;
    slot->overlay = false;
    slot->offset = operation->sent;
    slot->bytes = slot->length = (uint32_t)(left < limit ? left : limit);
    slot->segments = (before + slot->length + XENPV_PAGE_SIZE - 1) / XENPV_PAGE_SIZE;
}

/* Takes the pages of a request from the pool: those of its index, then those of its data. */
static inline bool take_pages(struct xenpv_blkq *q, struct blk_slot *slot, uint32_t data_pages)
{
    bool indirect = slot->segments > XENPV_BLKIF_SEGMENTS;

    slot->index_pages =
        indirect ? (uint8_t)((slot->segments + BLK_INDEX_ENTRIES - 1) / BLK_INDEX_ENTRIES) : 0;
    slot->pages = slot->index_pages + data_pages;
    if (q->pool.available < slot->pages)
        return false;
    if (slot->pages)
        slot->first = pool_take(&q->pool, slot->pages, &slot->last);
    return true;
}

/* A backend that is not trusted finds nothing in a page but what is meant for it. */
static void wipe(struct xenpv_blkq *q, const struct blk_slot *slot)
{
    uint32_t page = slot->first;

    for (uint32_t i = 0; i < slot->pages; i++, page = q->pool.next[page])
        memset(arena_memory(&q->arena, page), 0, XENPV_PAGE_SIZE);
}

static void give_pages(struct xenpv_blkq *q, struct blk_slot *slot)
{
    if (slot->pages)
        pool_give(&q->pool, slot->first, slot->last, slot->pages);
    slot->pages = 0;
}

/* ---- writing it on the ring ------------------------------------------------------------------ */

static struct blk_walk first_segment(const struct xenpv_blkq *q, const struct blk_slot *slot)
{
    const struct blk_operation *operation = slot->operation;
    uint64_t at = operation->at + (slot->offset - operation->offset);

    if (operation->memory == BLK_SHARED)
        return (struct blk_walk){
            .page = (uint32_t)(at / XENPV_PAGE_SIZE), .at = slot->skip, .left = slot->length};
    if (slot->runs)
        return (struct blk_walk){.left = slot->length};
    return (struct blk_walk){.page = first_data_page(q, slot), .left = slot->length};
}

/* Writes the segment of the walk's page, and goes on to the next. */
static inline uint32_t *put_segment(const struct xenpv_blkq *q, const struct blk_slot *slot,
                                    struct blk_walk *walk, uint32_t *to)
{
    uint32_t room = XENPV_PAGE_SIZE - walk->at;
    uint32_t end = walk->at + (room < walk->left ? room : walk->left);
    bool shared = slot->operation->memory == BLK_SHARED;
    uint32_t ref =
        shared ? arena_ref(&q->shared[q->turn], walk->page) : arena_ref(&q->arena, walk->page);

    to =
        blkif_put_segment(to, ref, walk->at >> q->p.segment_shift, (end >> q->p.segment_shift) - 1);
    walk->left -= end - walk->at;
    walk->page = shared ? walk->page + 1 : q->pool.next[walk->page];
    walk->at = 0;
    return to;
}

static inline void put_segments(const struct xenpv_blkq *q, uint32_t id, struct blk_walk *walk,
                                uint32_t *to, uint32_t count)
{
    const struct blk_slot *slot = &q->slots[id];

    if (slot->runs)
        blk_own_put(q, id, walk, to, count);
    else
        while (count--)
            to = put_segment(q, slot, walk, to);
}

/* An index page may hold more than its segments, from an earlier use as a page of data: that has
 * been to the backend, or come from it. */
static void put_indirect(struct xenpv_blkq *q, struct blk_slot *slot, uint32_t id, uint32_t *to)
{
    struct blk_walk walk = first_segment(q, slot);
    uint32_t refs[XENPV_BLKIF_INDIRECT_PAGES] = {0}, page = slot->first, left = slot->segments;

    for (uint32_t i = 0; i < slot->index_pages; i++, page = q->pool.next[page]) {
        uint32_t count = left < BLK_INDEX_ENTRIES ? left : BLK_INDEX_ENTRIES;

        put_segments(q, id, &walk, (uint32_t *)(void *)arena_memory(&q->arena, page), count);
        refs[i] = arena_ref(&q->arena, page);
        left -= count;
    }
    to = blkif_put_head(q->pad, to, XENPV_BLKIF_INDIRECT, slot->op, slot->segments, id,
                        slot->offset >> q->p.number_shift);
    blkif_put_index(q->pad, to, 0, refs, slot->index_pages);
    slot->op = XENPV_BLKIF_INDIRECT;
}

static inline void put_data(struct xenpv_blkq *q, struct blk_slot *slot, uint32_t id, uint32_t *to)
{
    to = blkif_put_head(q->pad, to, slot->op, slot->segments, 0, id,
                        slot->offset >> q->p.number_shift);
    if (slot->segments) {
        struct blk_walk walk = first_segment(q, slot);
        put_segments(q, id, &walk, to, slot->segments);
    }
}

static void put_discard(struct xenpv_blkq *q, const struct blk_slot *slot, uint32_t id,
                        uint32_t *to)
{
    const struct blk_operation *operation = slot->operation;

    to = blkif_put_head(q->pad, to, XENPV_BLKIF_DISCARD, operation->secure, 0, id,
                        slot->offset >> q->p.number_shift);
    blkif_put64(to, slot->length >> q->p.number_shift);
}

static inline void put_on_ring(struct xenpv_blkq *q, uint32_t id)
{
    struct blk_slot *slot = &q->slots[id];
    uint32_t *to;

    slot->index = q->ring.prod;
    to = xenpv_ring_next_out(&q->ring);

    if (slot->segments > XENPV_BLKIF_SEGMENTS)
        put_indirect(q, slot, id, to);
    else if (slot->op == XENPV_BLKIF_DISCARD)
        put_discard(q, slot, id, to);
    else
        put_data(q, slot, id, to);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Fills in a slot for bytes of the caller's vector. False: there are not enough pages. */
static inline bool prepare_vector(struct xenpv_blkq *q, struct blk_operation *operation,
                                  uint32_t id)
{
    struct blk_slot *slot = &q->slots[id];
    bool own = q->p.own_memory && blk_own_grant(q, id, operation);

    if (q->own_held)
        return false;
    if (!own)
        choose_bounced(q, operation, slot);
    if (!take_pages(q, slot, own ? 0 : slot->segments)) {
        if (own)
            blk_own_end(q, id);
        return false;
    }
    if (!q->p.trusted)
        wipe(q, slot);
    slot->cursor = operation->cursor;
    if (operation->op == XENPV_BLKIF_WRITE && !own && !slot->overlay)
        move_chunk(q, slot, &operation->cursor, true);
    else
        skip_cursor(operation, &operation->cursor, slot->bytes);
    slot->op = slot->overlay ? XENPV_BLKIF_READ : operation->op;
    return true;
}

static bool prepare_shared(struct xenpv_blkq *q, const struct blk_operation *operation,
                           struct blk_slot *slot)
{
    choose_shared(q, operation, slot);
    return take_pages(q, slot, 0);
}

static bool prepare_discard(struct xenpv_blkq *q, const struct blk_operation *operation,
                            struct blk_slot *slot)
{
    uint64_t left = operation->end - operation->sent;

    if (q->discarding == BLK_DISCARDS)
        return false;
    q->discarding++;
    slot->offset = operation->sent;
    slot->bytes = slot->length = left < q->p.discard_most ? (uint32_t)left : q->p.discard_most;
    return true;
}

bool blk_request_next(struct xenpv_blkq *q, struct blk_operation *operation)
{
    struct blk_slot *slot = q->free_slot;

    if (!slot)
        return false;
    slot->operation = operation;
    slot->op = operation->op;
    slot->whole = false;
    slot->runs = 0;
    slot->offset = 0;
    slot->pages = slot->segments = slot->bytes = 0;
    if (operation->memory == BLK_VECTOR) {
        if (!prepare_vector(q, operation, slot->id))
            return false;
    } else if (operation->memory == BLK_SHARED) {
        if (!prepare_shared(q, operation, slot))
            return false;
    } else if (operation->op == XENPV_BLKIF_DISCARD && !prepare_discard(q, operation, slot))
        return false;
    slot->used = true;
    operation->sent += slot->bytes;
    operation->requests++;
    q->free_slot = slot->next;
    put_on_ring(q, slot->id);
    return true;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static int status_of(int16_t status)
{
    if (status == XENPV_BLKIF_OKAY)
        return XENPV_OK;
    return status == XENPV_BLKIF_EOPNOTSUPP ? XENPV_ENOTSUP : XENPV_EIO;
}

bool blk_request_end(struct xenpv_blkq *q, uint32_t id, int16_t status)
{
    struct blk_slot *slot = &q->slots[id];
    struct blk_operation *operation = slot->operation;
    struct cursor cursor = slot->cursor;
    int error = status_of(status);

    bool bounced = operation->memory == BLK_VECTOR && slot->runs == 0;

    if (slot->runs && blk_own_end(q, id) != XENPV_OK)
        return false;
    if (bounced && error == XENPV_OK) {
        if (slot->overlay) {
            /* The whole sector is here: lay the caller's bytes over it and write it back. */
            move_chunk(q, slot, &cursor, true);
            slot->overlay = false;
            slot->op = XENPV_BLKIF_WRITE;
            put_on_ring(q, id);
            return true;
        }
        if (operation->op == XENPV_BLKIF_READ)
            move_chunk(q, slot, &cursor, false);
    }
    if (error && operation->status == XENPV_OK)
        operation->status = error;
    q->discarding -= slot->op == XENPV_BLKIF_DISCARD;
    give_pages(q, slot);
    slot->used = false;
    slot->next = q->free_slot;
    q->free_slot = slot;
    operation->requests--;
    return true;
}
