/* SPDX-License-Identifier: MIT */
/*
 * The short way of an operation: whole sectors in one stretch of the caller's memory, no more than
 * a page, or in one of the shared pages. It is most of what a disk is asked for, and here it goes
 * from the caller to the ring, and from the ring to the caller, without a list, a loop or a call in
 * between. Whatever cannot go this way goes the long one (blk_request.c); both lead to the same
 * state.
 */
#ifndef XENPV_BLK_WHOLE_H
#define XENPV_BLK_WHOLE_H

#include "blk_device.h"
#include "blkif_words.h"

/* Whether nothing is before it, and there is room for it. */
ALWAYS_INLINE bool blk_whole_may(const struct xenpv_blkq *q, uint64_t offset, size_t bytes)
{
    return bytes - 1 < q->whole_now && ((offset | bytes) & (q->p.unit - 1)) == 0 &&
           offset <= q->bytes - bytes && q->unused && q->free_slot && q->pool.available &&
           xenpv_load(&q->gate.stop) == GATE_RUN;
}

/* No older write or discard may touch the same sectors: it counts itself among them. */
ALWAYS_INLINE bool blk_whole_may_write(struct xenpv_blkq *q, uint64_t offset, size_t bytes)
{
    uint64_t block = offset >> BLK_BLOCK_SHIFT;

    if (q->p.readonly || (offset + bytes - 1) >> BLK_BLOCK_SHIFT != block ||
        q->writing[block % BLK_BLOCKS])
        return false;
    q->writing[block % BLK_BLOCKS] = 1;
    return true;
}

/* What its memory is, is the caller's to fill in. */
ALWAYS_INLINE struct blk_operation *blk_whole_take(struct xenpv_blkq *q, uint8_t op,
                                                   enum blk_memory memory, uint64_t offset,
                                                   uint64_t bytes, void *user)
{
    struct blk_operation *operation = q->unused;

    q->unused = operation->next;
    operation->op = op;
    operation->memory = (uint8_t)memory;
    operation->secure = false;
    operation->active = true;
    operation->begun = true;
    operation->waiting = false;
    operation->spare[0] = operation->spare[1] = false;
    operation->requests = 1;
    operation->status = XENPV_OK;
    operation->number = q->accepted++;
    operation->user = user;
    operation->offset = offset;
    operation->end = offset + bytes;
    return operation;
}

/* Puts it on the ring: `bytes` from byte `at` on of the page that `ref` grants. Which page of the
 * pool is to be given back is the caller's to fill in. */
ALWAYS_INLINE struct blk_slot *blk_whole_put(struct xenpv_blkq *q, struct blk_operation *operation,
                                             uint8_t op, uint32_t ref, uint32_t at, uint32_t bytes)
{
    struct blk_slot *slot = q->free_slot;
    uint32_t shift = q->p.segment_shift, *to;

    q->free_slot = slot->next;
    slot->op = op;
    slot->used = true;
    slot->whole = true;
    slot->runs = 0;
    slot->index = q->ring.prod;
    slot->operation = operation;
    to = blkif_put_head(q->pad, xenpv_ring_next_out(&q->ring), op, 1, 0, slot->id,
                        operation->offset >> q->p.number_shift);
    blkif_put_segment(to, ref, at >> shift, ((at + bytes) >> shift) - 1);
    return slot;
}

/* The same on a page of the pool, which it takes: where that is. */
ALWAYS_INLINE uint8_t *blk_whole_put_page(struct xenpv_blkq *q, struct blk_operation *operation,
                                          uint8_t op, uint32_t bytes)
{
    uint32_t page = q->pool.free;
    struct blk_slot *slot;

    q->pool.free = q->pool.next[page];
    q->pool.available--;
    slot = blk_whole_put(q, operation, op, arena_ref(&q->arena, page), 0, bytes);
    slot->pages = 1;
    slot->first = slot->last = page;
    return arena_memory(&q->arena, page);
}

/* False: it has to go the long way. */
ALWAYS_INLINE bool blk_whole_read(struct xenpv_blkq *q, uint64_t offset,
                                  const struct xenpv_iov *iov, void *user)
{
    struct blk_operation *operation;

    if (!blk_whole_may(q, offset, iov->length))
        return false;
    operation = blk_whole_take(q, XENPV_BLKIF_READ, BLK_VECTOR, offset, iov->length, user);
    operation->iov = iov;
    blk_whole_put_page(q, operation, XENPV_BLKIF_READ, (uint32_t)iov->length);
    return true;
}

/* The same. */
ALWAYS_INLINE bool blk_whole_write(struct xenpv_blkq *q, uint64_t offset,
                                   const struct xenpv_iov *iov, void *user)
{
    struct blk_operation *operation;

    if (!blk_whole_may(q, offset, iov->length) || !blk_whole_may_write(q, offset, iov->length))
        return false;
    operation = blk_whole_take(q, XENPV_BLKIF_WRITE, BLK_VECTOR, offset, iov->length, user);
    operation->iov = iov;
    memcpy(blk_whole_put_page(q, operation, XENPV_BLKIF_WRITE, (uint32_t)iov->length), iov->base,
           iov->length);
    return true;
}

/* The same, on the shared pages. */
ALWAYS_INLINE bool blk_whole_shared(struct xenpv_blkq *q, uint8_t op, uint64_t offset, uint64_t at,
                                    uint64_t bytes, void *user)
{
    uint64_t page = at / XENPV_PAGE_SIZE;
    uint32_t in_page = (uint32_t)at % XENPV_PAGE_SIZE;
    struct blk_operation *operation;

    if (page >= q->shared_pages || bytes > XENPV_PAGE_SIZE - in_page ||
        (in_page & ((1u << q->p.segment_shift) - 1)) || !blk_whole_may(q, offset, (size_t)bytes))
        return false;
    if (op == XENPV_BLKIF_WRITE && !blk_whole_may_write(q, offset, (size_t)bytes))
        return false;
    operation = blk_whole_take(q, op, BLK_SHARED, offset, bytes, user);
    operation->iov = NULL;
    operation->at = at;
    blk_whole_put(q, operation, op, arena_ref(&q->shared[q->turn], (uint32_t)page), in_page,
                  (uint32_t)bytes)
        ->pages = 0;
    return true;
}

/* The good answer to a request that went this way; its operation has ended. */
ALWAYS_INLINE struct blk_operation *blk_whole_end(struct xenpv_blkq *q, struct blk_slot *slot)
{
    struct blk_operation *operation = slot->operation;
    uint32_t page = slot->first, pages = slot->pages;

    slot->used = false;
    slot->next = q->free_slot;
    q->free_slot = slot;
    operation->active = false;
    if (pages) {
        q->pool.next[page] = q->pool.free;
        q->pool.free = page;
        q->pool.available++;
    }
    /* The page is nobody else's before the next operation is accepted. */
    if (slot->op == XENPV_BLKIF_WRITE)
        q->writing[operation->offset >> BLK_BLOCK_SHIFT & (BLK_BLOCKS - 1)]--;
    else if (pages)
        memcpy(operation->iov->base, arena_memory(&q->arena, page),
               (size_t)(operation->end - operation->offset));
    return operation;
}

#endif
