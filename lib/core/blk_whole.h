/* SPDX-License-Identifier: MIT */
/*
 * The short way of an operation: whole sectors in one stretch of the caller's memory, no more than
 * a page. It is most of what a disk is asked for, and here it goes from the caller to the ring, and
 * from the ring to the caller, without a list, a loop or a call in between. Whatever cannot go this
 * way goes the long one (blk_request.c); both lead to the same state.
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
           xenpv_load(&q->stop) == BLK_RUN;
}

ALWAYS_INLINE struct blk_operation *blk_whole_take(struct xenpv_blkq *q, uint8_t op,
                                                   uint64_t offset, const struct xenpv_iov *iov,
                                                   void *user)
{
    struct blk_operation *operation = q->unused;

    q->unused = operation->next;
    operation->op = op;
    operation->memory = BLK_VECTOR;
    operation->secure = false;
    operation->active = true;
    operation->begun = true;
    operation->waiting = false;
    operation->spare[0] = operation->spare[1] = false;
    operation->requests = 1;
    operation->status = XENPV_OK;
    operation->number = q->accepted++;
    operation->iov = iov;
    operation->user = user;
    operation->offset = offset;
    operation->end = offset + iov->length;
    return operation;
}

/* Puts it on the ring, on the page that it takes: where that is. */
ALWAYS_INLINE uint8_t *blk_whole_put(struct xenpv_blkq *q, struct blk_operation *operation,
                                     uint8_t op, uint32_t bytes)
{
    struct blk_slot *slot = q->free_slot;
    uint32_t page = q->pool.free, *to;

    q->free_slot = slot->next;
    q->pool.free = q->pool.next[page];
    q->pool.available--;
    slot->op = op;
    slot->used = true;
    slot->whole = true;
    slot->runs = 0;
    slot->pages = 1;
    slot->index = q->ring.prod;
    slot->operation = operation;
    slot->first = slot->last = page;
    to = blkif_put_head(q->pad, xenpv_ring_next_out(&q->ring), op, 1, 0, slot->id,
                        operation->offset >> q->p.number_shift);
    blkif_put_segment(to, arena_ref(&q->arena, page), 0, (bytes >> q->p.segment_shift) - 1);
    return arena_memory(&q->arena, page);
}

/* False: it has to go the long way. */
ALWAYS_INLINE bool blk_whole_read(struct xenpv_blkq *q, uint64_t offset,
                                  const struct xenpv_iov *iov, void *user)
{
    if (!blk_whole_may(q, offset, iov->length))
        return false;
    blk_whole_put(q, blk_whole_take(q, XENPV_BLKIF_READ, offset, iov, user), XENPV_BLKIF_READ,
                  (uint32_t)iov->length);
    return true;
}

/* The same; also while an older write or discard may touch the same sectors. */
ALWAYS_INLINE bool blk_whole_write(struct xenpv_blkq *q, uint64_t offset,
                                   const struct xenpv_iov *iov, void *user)
{
    uint64_t block = offset >> BLK_BLOCK_SHIFT;
    struct blk_operation *operation;

    if (!blk_whole_may(q, offset, iov->length) || q->p.readonly ||
        (offset + iov->length - 1) >> BLK_BLOCK_SHIFT != block || q->writing[block % BLK_BLOCKS])
        return false;
    q->writing[block % BLK_BLOCKS] = 1;
    operation = blk_whole_take(q, XENPV_BLKIF_WRITE, offset, iov, user);
    memcpy(blk_whole_put(q, operation, XENPV_BLKIF_WRITE, (uint32_t)iov->length), iov->base,
           iov->length);
    return true;
}

/* The good answer to a request that went this way; its operation has ended. */
ALWAYS_INLINE struct blk_operation *blk_whole_end(struct xenpv_blkq *q, struct blk_slot *slot)
{
    struct blk_operation *operation = slot->operation;
    uint32_t page = slot->first;

    if (slot->op == XENPV_BLKIF_READ)
        memcpy(operation->iov->base, arena_memory(&q->arena, page),
               (size_t)(operation->end - operation->offset));
    else
        q->writing[operation->offset >> BLK_BLOCK_SHIFT & (BLK_BLOCKS - 1)]--;
    q->pool.next[page] = q->pool.free;
    q->pool.free = page;
    q->pool.available++;
    slot->used = false;
    slot->next = q->free_slot;
    q->free_slot = slot;
    operation->active = false;
    return operation;
}

#endif
