/* SPDX-License-Identifier: MIT */
/* From operations to ring requests and back: chunks, bounce pages, partial sectors. */
#include "blk_device.h"

/* Moves `bytes` between bounce memory and the caller's vector, and the cursor past them. */
static void move(const struct blk_operation *operation, struct cursor *cursor, uint8_t *bounce,
                 uint32_t bytes, bool to_bounce)
{
    while (bytes) {
        const struct xenpv_iov *iov = &operation->iov[cursor->element];
        size_t here = iov->length - cursor->at;
        size_t part = here < bytes ? here : bytes;

        if (part && to_bounce)
            memcpy(bounce, (uint8_t *)iov->base + cursor->at, part);
        else if (part)
            memcpy((uint8_t *)iov->base + cursor->at, bounce, part);
        bounce += part;
        bytes -= (uint32_t)part;
        cursor->at += part;
        if (cursor->at == iov->length)
            *cursor = (struct cursor){cursor->element + 1, 0};
    }
}

/* The same over the pages of a slot, from byte `skip` of the chunk on. */
static void move_chunk(struct xenpv_blkq *q, const struct blk_slot *slot, struct cursor *cursor,
                       bool to_bounce)
{
    const struct blk_operation *operation = &q->operations[slot->operation];
    uint32_t at = slot->skip, end = slot->skip + slot->bytes;

    while (at < end) {
        uint32_t in_page = at % XENPV_PAGE_SIZE;
        uint32_t part = XENPV_PAGE_SIZE - in_page;

        if (part > end - at)
            part = end - at;
        move(operation, cursor, arena_memory(&q->arena, slot->page[at / XENPV_PAGE_SIZE]) + in_page,
             part, to_bounce);
        at += part;
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

/*
 * Chooses the next chunk. A read may be rounded outwards to sectors. A write sends whole sectors as
 * they are, and a sector of which it has only a part alone, so that no more is read back than must
 * be.
 */
static void choose_chunk(const struct xenpv_blkq *q, const struct blk_operation *operation,
                         struct blk_slot *slot)
{
    uint64_t unit = q->unit, mask = unit - 1;
    uint64_t begin = operation->sent & ~mask;
    uint64_t limit = BLK_CHUNK_MAX & ~mask;
    uint64_t left = operation->end - begin;
    uint64_t length = (left + mask) & ~mask;

    slot->skip = (uint32_t)(operation->sent - begin);
    slot->overlay = operation->op == XENPV_BLKIF_WRITE && (slot->skip || left < unit);
    if (slot->overlay)
        length = unit;
    else if (operation->op == XENPV_BLKIF_WRITE)
        length = left & ~mask;
    if (length > limit)
        length = limit;
    slot->sector = begin / XENPV_BLKIF_SECTOR;
    slot->length = (uint32_t)length;
    slot->bytes = (uint32_t)(length < left ? length : left) - slot->skip;
    slot->op = slot->overlay ? XENPV_BLKIF_READ : operation->op;
}

static bool take_pages(struct xenpv_blkq *q, struct blk_slot *slot)
{
    slot->pages = (uint8_t)((slot->length + XENPV_PAGE_SIZE - 1) / XENPV_PAGE_SIZE);
    if (q->arena.available < slot->pages)
        return false;
    for (uint32_t i = 0; i < slot->pages; i++)
        slot->page[i] = arena_take(&q->arena);
    return true;
}

static void put_on_ring(struct xenpv_blkq *q, uint32_t id)
{
    const struct blk_slot *slot = &q->slots[id];
    struct xenpv_blkif_request request = {
        .op = slot->op, .nr_segments = slot->pages, .id = id, .sector = slot->sector};
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX];
    uint32_t left = slot->length;

    for (uint32_t i = 0; i < slot->pages; i++) {
        uint32_t part = left < XENPV_PAGE_SIZE ? left : XENPV_PAGE_SIZE;
        request.seg[i].ref = arena_ref(&q->arena, slot->page[i]);
        request.seg[i].last = (uint8_t)(part / XENPV_BLKIF_SECTOR - 1);
        left -= part;
    }
    xenpv_ring_put(&q->ring, image, xenpv_blkif_put_request(q->abi, &request, image));
    q->slots[id].state = SLOT_FILLED;
    q->filled[q->filled_slots++] = id;
}

bool blk_request_next(struct xenpv_blkq *q, uint32_t number)
{
    struct blk_operation *operation = &q->operations[number];

    if (q->free_slots == 0)
        return false;

    uint32_t id = q->free_slot[q->free_slots - 1];
    struct blk_slot *slot = &q->slots[id];

    *slot = (struct blk_slot){.operation = number, .op = operation->op};
    if (operation->op != XENPV_BLKIF_FLUSH) {
        choose_chunk(q, operation, slot);
        if (!take_pages(q, slot))
            return false;
        slot->cursor = operation->cursor;
        if (slot->op == XENPV_BLKIF_WRITE)
            move_chunk(q, slot, &operation->cursor, true);
        else
            skip_cursor(operation, &operation->cursor, slot->bytes);
        operation->sent += slot->bytes;
    }
    q->free_slots--;
    operation->requests++;
    put_on_ring(q, id);
    return true;
}

static int status_of(int16_t status)
{
    if (status == XENPV_BLKIF_OKAY)
        return XENPV_OK;
    return status == XENPV_BLKIF_EOPNOTSUPP ? XENPV_ENOTSUP : XENPV_EIO;
}

void blk_request_end(struct xenpv_blkq *q, uint32_t id, int16_t status)
{
    struct blk_slot *slot = &q->slots[id];
    struct blk_operation *operation = &q->operations[slot->operation];
    struct cursor cursor = slot->cursor;
    int error = status_of(status);

    if (error == XENPV_OK && slot->overlay) {
        /* The whole sectors are here: lay the caller's bytes over them and write them back. */
        move_chunk(q, slot, &cursor, true);
        slot->overlay = false;
        slot->op = XENPV_BLKIF_WRITE;
        put_on_ring(q, id);
        return;
    }
    if (error == XENPV_OK && slot->op == XENPV_BLKIF_READ)
        move_chunk(q, slot, &cursor, false);
    if (error && operation->status == XENPV_OK)
        operation->status = error;
    for (uint32_t i = 0; i < slot->pages; i++)
        arena_give(&q->arena, slot->page[i]);
    slot->state = SLOT_FREE;
    q->free_slot[q->free_slots++] = id;
    operation->requests--;
}
