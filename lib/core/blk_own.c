/* SPDX-License-Identifier: MIT */
/*
 * Requests on the caller's own memory: each stretch of his vector is granted for one request, as
 * the whole pages that it lies in, and the grants end before the operation does.
 */
#include "blk_device.h"
#include "blkif_words.h"

/* ---- choosing -------------------------------------------------------------------------------- */

static uint32_t in_page(const struct blk_stretch *stretch)
{
    return (uint32_t)((uintptr_t)stretch->begin % XENPV_PAGE_SIZE);
}

static uint32_t pages_of(const struct blk_stretch *stretch)
{
    return (uint32_t)((in_page(stretch) + stretch->length + XENPV_PAGE_SIZE - 1) / XENPV_PAGE_SIZE);
}

/* Pages that the next request can hold. */
static uint32_t most_pages(const struct xenpv_blkq *q)
{
    bool small = (xenpv_load(&q->refused) & XENPV_BLK_INDIRECT) != 0;
    uint32_t most = q->p.segments < q->own_pages ? q->p.segments : q->own_pages;

    return small && most > XENPV_BLKIF_SEGMENTS ? XENPV_BLKIF_SEGMENTS : most;
}

/* The stretches that the next request can hold: how many, 0 when one is not aligned. */
static uint32_t choose(const struct xenpv_blkq *q, const struct blk_operation *operation,
                       struct blk_stretch out[BLK_OWN_RUNS])
{
    uintptr_t grain = ((uintptr_t)1 << q->p.segment_shift) - 1;
    uint64_t left = operation->end - operation->sent;
    struct cursor cursor = operation->cursor;
    uint32_t count = 0, most = most_pages(q);

    while (left && most && count < BLK_OWN_RUNS) {
        const struct xenpv_iov *iov = &operation->iov[cursor.element];
        struct blk_stretch *stretch = &out[count];
        uint64_t length = iov->length - cursor.at, room;

        /* An element without bytes may be without memory, too. */
        if (length == 0) {
            cursor = (struct cursor){cursor.element + 1, 0};
            continue;
        }
        stretch->begin = (uint8_t *)iov->base + cursor.at;
        room = (uint64_t)most * XENPV_PAGE_SIZE - in_page(stretch);
        length = length < room ? length : room;
        stretch->length = (size_t)(length < left ? length : left);
        cursor = (struct cursor){cursor.element + 1, 0};
        if (((uintptr_t)stretch->begin | stretch->length) & grain)
            return 0;
        count++;
        left -= stretch->length;
        most -= pages_of(stretch);
    }
    return count;
}

/* Cuts what was chosen down to whole sectors of the disk: how many bytes that are. */
static uint32_t cut(const struct xenpv_blkq *q, struct blk_stretch *stretches, uint32_t *count)
{
    uint32_t total = 0, over;

    for (uint32_t i = 0; i < *count; i++)
        total += (uint32_t)stretches[i].length;
    over = total & (q->p.unit - 1);
    total -= over;
    while (over && *count) {
        struct blk_stretch *last = &stretches[*count - 1];
        uint32_t part = last->length < over ? (uint32_t)last->length : over;

        last->length -= part;
        over -= part;
        *count -= last->length == 0;
    }
    return total;
}

/* ---- granting -------------------------------------------------------------------------------- */

static int grant(struct xenpv_blkq *q, uint32_t id, uint32_t first, bool writable)
{
    const struct xenpv_port *port = q->port;
    uint8_t *runs = &q->slots[id].runs;
    const struct blk_stretch *stretch = &q->own[id].stretch[*runs];
    struct xenpv_grant_region *region = &q->own[id].region[*runs];
    int error;

    *region = (struct xenpv_grant_region){
        .memory = stretch->begin - in_page(stretch),
        .pages = pages_of(stretch),
        .refs = q->own_refs + (size_t)id * q->own_pages + first,
    };
    error = port->grant->share_own(port->ctx, q->backend_id, region, writable);
    *runs = (uint8_t)(*runs + (error == XENPV_OK));
    return error;
}

bool blk_own_grant(struct xenpv_blkq *q, uint32_t id, const struct blk_operation *operation)
{
    struct blk_slot *slot = &q->slots[id];
    struct blk_own *own = &q->own[id];
    uint32_t count;

    if (operation->sent & (q->p.unit - 1))
        return false;
    own->operation = slot->operation;
    count = choose(q, operation, own->stretch);
    slot->length = cut(q, own->stretch, &count);
    slot->segments = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (grant(q, id, slot->segments, operation->op == XENPV_BLKIF_READ)) {
            /* None was shown to the backend yet: one that maps some has guessed. */
            blk_own_end(q, id);
            return false;
        }
        slot->segments += own->region[i].pages;
    }
    slot->offset = operation->sent;
    slot->skip = 0;
    slot->overlay = false;
    slot->bytes = slot->length;
    return count != 0;
}

uint32_t *blk_own_put(const struct xenpv_blkq *q, uint32_t id, struct blk_walk *walk, uint32_t *to,
                      uint32_t count)
{
    const struct blk_own *own = &q->own[id];

    for (; count; count--) {
        const struct blk_stretch *stretch = &own->stretch[walk->run];
        uint32_t at = walk->page ? 0 : in_page(stretch);
        size_t left = in_page(stretch) + stretch->length - (size_t)walk->page * XENPV_PAGE_SIZE;
        uint32_t end = left < XENPV_PAGE_SIZE ? (uint32_t)left : XENPV_PAGE_SIZE;

        to = blkif_put_segment(to, own->region[walk->run].refs[walk->page],
                               at >> q->p.segment_shift, (end >> q->p.segment_shift) - 1);
        walk->page++;
        if (walk->page == own->region[walk->run].pages)
            *walk = (struct blk_walk){.run = walk->run + 1};
    }
    return to;
}

/* ---- ending ---------------------------------------------------------------------------------- */

int blk_own_end(struct xenpv_blkq *q, uint32_t id)
{
    const struct xenpv_port *port = q->port;
    struct blk_slot *slot = &q->slots[id];

    for (; slot->runs; slot->runs--) {
        if (port->grant->end(port->ctx, &q->own[id].region[slot->runs - 1]) != XENPV_OK) {
            q->own_held = true;
            return XENPV_EBUSY;
        }
    }
    return XENPV_OK;
}

int blk_own_release(struct xenpv_blkq *q)
{
    for (uint32_t id = 0; id < q->ring.count; id++) {
        if (blk_own_end(q, id) != XENPV_OK)
            return XENPV_EBUSY;
    }
    return XENPV_OK;
}

static void give_up(struct xenpv_blkq *q, uint32_t id)
{
    struct blk_slot *slot = &q->slots[id];

    for (; slot->runs; slot->runs--)
        q->own_abandoned += q->own[id].region[slot->runs - 1].pages;
    xenpv_store_release(&q->own[id].operation->stuck, 1);
}

void blk_own_abandon(struct xenpv_blkq *q, bool suspended)
{
    const struct xenpv_port *port = q->port;

    for (uint32_t id = 0; id < q->ring.count; id++) {
        struct blk_slot *slot = &q->slots[id];

        for (; suspended && slot->runs; slot->runs--)
            port->grant->forget(port->ctx, &q->own[id].region[slot->runs - 1]);
        if (blk_own_end(q, id) != XENPV_OK)
            give_up(q, id);
    }
}
