/* SPDX-License-Identifier: MIT */
/* The block queue: what its thread puts in. */
#include "blk_device.h"
#include "blk_whole.h"

#define IOV_MAX_COUNT 65535u
#define TAKE_UP_TRIES 8u

/* ---- the disk as control tells of it --------------------------------------------------------- */

void blkq_count_blocks(struct xenpv_blkq *q, const struct blk_operation *operation, int by)
{
    uint64_t mask = q->p.unit - 1;
    uint64_t block = (operation->offset & ~mask) >> BLK_BLOCK_SHIFT;
    uint64_t last = ((operation->end - 1) | mask) >> BLK_BLOCK_SHIFT;

    if (last - block >= BLK_BLOCKS)
        last = block + BLK_BLOCKS - 1;
    for (; block <= last; block++)
        q->writing[block % BLK_BLOCKS] = (uint16_t)(q->writing[block % BLK_BLOCKS] + by);
}

/* Copies what control has told last. False: it has told again meanwhile, perhaps over this copy. */
static bool copy_told(const struct xenpv_blkq *q, struct blk_properties *taken, uint32_t *version)
{
    uint32_t *to = (uint32_t *)(void *)taken;
    const uint32_t *from;

    *version = xenpv_load_acquire(&q->version);
    from = (const uint32_t *)(const void *)&q->told[*version & 1];
    for (uint32_t i = 0; i < BLK_PROPERTY_WORDS; i++)
        to[i] = xenpv_load_acquire(&from[i]);
    return xenpv_load(&q->version) == *version;
}

void blkq_take_up(struct xenpv_blkq *q)
{
    struct blk_properties taken;
    uint32_t version, tries = 0;

    while (!copy_told(q, &taken, &version)) {
        if (++tries == TAKE_UP_TRIES)
            return; /* the last ones are good until the next call */
    }
    q->seen = version;
    q->p = taken;
    q->bytes = taken.bytes_low | (uint64_t)taken.bytes_high << 32;
    q->whole_most = 0;
    if (taken.trusted && !taken.own_memory && q->bytes >= XENPV_PAGE_SIZE)
        q->whole_most = XENPV_PAGE_SIZE;
    q->whole_now = 0; /* until the next look at what waits */
    /* Blocks are counted in whole sectors, whose size may be another now. */
    memset(q->writing, 0, sizeof(q->writing));
    for (uint32_t i = 0; i < q->operation_count; i++) {
        if (q->operations[i].active && blk_writes(&q->operations[i]))
            blkq_count_blocks(q, &q->operations[i], 1);
    }
}

/* ---- which write has to wait for which ------------------------------------------------------- */

static bool overlaps(const struct xenpv_blkq *q, const struct blk_operation *a,
                     const struct blk_operation *b)
{
    uint64_t mask = q->p.unit - 1;

    return (a->offset & ~mask) < ((b->end + mask) & ~mask) &&
           (b->offset & ~mask) < ((a->end + mask) & ~mask);
}

/* An older write or discard touches the same sectors, and has not ended. */
static bool meets_older(const struct xenpv_blkq *q, const struct blk_operation *operation)
{
    for (uint32_t i = 0; i < q->operation_count; i++) {
        const struct blk_operation *other = &q->operations[i];

        if (other->active && blk_writes(other) &&
            (int32_t)(other->number - operation->number) < 0 && overlaps(q, operation, other))
            return true;
    }
    return false;
}

/* The counters tell, mostly, that there is no other write about without looking at any. */
bool blkq_must_wait(const struct xenpv_blkq *q, const struct blk_operation *operation)
{
    uint64_t mask = q->p.unit - 1;
    uint64_t block = (operation->offset & ~mask) >> BLK_BLOCK_SHIFT;
    uint64_t last = ((operation->end - 1) | mask) >> BLK_BLOCK_SHIFT;

    if (last - block >= BLK_BLOCKS)
        return meets_older(q, operation);
    for (; block <= last; block++) {
        if (q->writing[block % BLK_BLOCKS] > 1)
            return meets_older(q, operation);
    }
    return false;
}

/* ---- accepting ------------------------------------------------------------------------------- */

static int sum(const struct xenpv_iov *iov, uint32_t count, uint64_t *bytes)
{
    uint64_t total = 0;

    if (count > IOV_MAX_COUNT)
        return XENPV_EINVAL;
    for (uint32_t i = 0; i < count; i++) {
        if (iov[i].length > UINT64_MAX - total)
            return XENPV_EINVAL;
        total += iov[i].length;
    }
    *bytes = total;
    return total ? XENPV_OK : XENPV_EINVAL;
}

/* 0 when the queue takes operations. */
static inline int ready(struct xenpv_blkq *q)
{
    if (xenpv_load(&q->gate.stop) > GATE_HOLD || gate_is(&q->gate, GATE_PARKED) || q->why)
        return XENPV_EPARKED;
    blkq_catch_up(q);
    return XENPV_OK;
}

/* A new operation, at the end of its list, or NULL. What is not given is to be filled in. */
static struct blk_operation *accept(struct xenpv_blkq *q, struct blk_list *list, uint8_t op,
                                    uint8_t memory, void *user)
{
    struct blk_operation *operation = q->unused;

    if (!operation)
        return NULL;
    q->unused = operation->next;
    q->whole_now = 0; /* until nothing waits any more */
    operation->op = op;
    operation->memory = memory;
    operation->active = true;
    operation->begun = false;
    operation->waiting = true;
    operation->requests = 0;
    operation->status = XENPV_OK;
    operation->number = q->accepted++;
    operation->user = user;
    operation->offset = operation->end = operation->sent = 0;
    blk_append(list, operation);
    return operation;
}

static int accept_data(struct xenpv_blkq *q, uint8_t op, uint64_t offset, uint64_t bytes,
                       const struct xenpv_iov *iov, void *user)
{
    struct blk_operation *operation = accept(q, &q->waiting, op, BLK_VECTOR, user);

    if (!operation)
        return XENPV_EFULL;
    operation->iov = iov;
    operation->cursor = (struct cursor){0, 0};
    operation->offset = operation->sent = offset;
    operation->end = offset + bytes;
    if (op == XENPV_BLKIF_WRITE)
        blkq_count_blocks(q, operation, 1);
    return XENPV_OK;
}

NEVER_INLINE int vector(struct xenpv_blkq *q, uint8_t op, uint64_t offset,
                        const struct xenpv_iov *iov, uint32_t count, void *user)
{
    uint64_t bytes;
    int error = ready(q);

    if (error == XENPV_OK)
        error = sum(iov, count, &bytes);
    if (error == XENPV_OK)
        error = blkq_check_range(q, op, offset, bytes);
    return error ? error : accept_data(q, op, offset, bytes, iov, user);
}

int xenpv_blkq_readv(struct xenpv_blkq *q, uint64_t offset, const struct xenpv_iov *iov,
                     uint32_t count, void *user)
{
    if (count == 1 && blk_whole_read(q, offset, iov, user))
        return XENPV_OK;
    return vector(q, XENPV_BLKIF_READ, offset, iov, count, user);
}

int xenpv_blkq_writev(struct xenpv_blkq *q, uint64_t offset, const struct xenpv_iov *iov,
                      uint32_t count, void *user)
{
    if (count == 1 && blk_whole_write(q, offset, iov, user))
        return XENPV_OK;
    return vector(q, XENPV_BLKIF_WRITE, offset, iov, count, user);
}

NEVER_INLINE int shared(struct xenpv_blkq *q, uint8_t op, uint64_t offset, uint64_t at,
                        uint64_t bytes, void *user)
{
    uint64_t room = (uint64_t)q->shared_pages * XENPV_PAGE_SIZE;
    int error = ready(q);
    uint64_t grain = (1u << q->p.segment_shift) - 1;
    struct blk_operation *operation;

    if (error)
        return error;
    if (bytes == 0 || ((offset | bytes) & (q->p.unit - 1)) || at & grain || at > room ||
        bytes > room - at)
        return XENPV_EINVAL;
    error = blkq_check_range(q, op, offset, bytes);
    if (error)
        return error;
    error = accept_data(q, op, offset, bytes, NULL, user);
    if (error)
        return error;
    operation = q->waiting.last;
    operation->memory = BLK_SHARED;
    operation->at = at;
    return XENPV_OK;
}

int xenpv_blkq_read_shared(struct xenpv_blkq *q, uint64_t offset, uint64_t at, uint64_t bytes,
                           void *user)
{
    if (blk_whole_shared(q, XENPV_BLKIF_READ, offset, at, bytes, user))
        return XENPV_OK;
    return shared(q, XENPV_BLKIF_READ, offset, at, bytes, user);
}

int xenpv_blkq_write_shared(struct xenpv_blkq *q, uint64_t offset, uint64_t at, uint64_t bytes,
                            void *user)
{
    if (blk_whole_shared(q, XENPV_BLKIF_WRITE, offset, at, bytes, user))
        return XENPV_OK;
    return shared(q, XENPV_BLKIF_WRITE, offset, at, bytes, user);
}

void *xenpv_blkq_shared(struct xenpv_blkq *q)
{
    return gate_is(&q->gate, GATE_OPEN) && q->shared_pages ? q->shared[q->turn].region.memory
                                                           : NULL;
}

int xenpv_blkq_flush(struct xenpv_blkq *q, void *user)
{
    int error = ready(q);
    uint8_t op = blkq_flush_op(q);

    if (error)
        return error;
    if (!op)
        return XENPV_ENOTSUP;
    return accept(q, &q->waiting, op, BLK_NO_MEMORY, user) ? XENPV_OK : XENPV_EFULL;
}

/* ---- discarding ------------------------------------------------------------------------------ */

/* Bytes from where a granule begins up to `offset`. Granules need not be powers of two, and there
 * is no 64-bit division here: the remainder is taken bit by bit. */
static uint64_t into_granule(const struct xenpv_blkq *q, uint64_t offset)
{
    uint64_t granularity = q->p.granularity, rest = 0;
    uint64_t from = offset + granularity - q->p.alignment;

    for (int bit = 63; bit >= 0; bit--) {
        rest = rest << 1 | (from >> bit & 1);
        if (rest >= granularity)
            rest -= granularity;
    }
    return rest;
}

bool blkq_whole_granules(const struct xenpv_blkq *q, const struct blk_operation *operation)
{
    return into_granule(q, operation->offset) == 0 &&
           (operation->end == q->bytes || into_granule(q, operation->end) == 0);
}

/* Shrinks a range to whole granules; the last one of the disk may be short. */
static void shrink(const struct xenpv_blkq *q, uint64_t *begin, uint64_t *end)
{
    uint64_t before = into_granule(q, *begin), over = into_granule(q, *end);

    if (before)
        *begin += q->p.granularity - before;
    if (*end != q->bytes)
        *end = over > *end ? 0 : *end - over;
}

/* Appends to the last discard, if that has not been sent and this one goes on where it ends. */
static bool merge(struct xenpv_blkq *q, uint64_t offset, uint64_t end, bool secure, void *user)
{
    struct blk_operation *leader = q->discards.first ? q->discards.last : NULL, *operation;
    struct blk_list alone = {NULL, NULL};

    if (!leader || leader->begun || leader->secure != secure || leader->end != offset)
        return false;
    /* A write that was accepted in between must not be overtaken by what comes after it. */
    if (leader->number + 1 != q->accepted)
        return false;
    operation = accept(q, &alone, XENPV_BLKIF_DISCARD, BLK_NO_MEMORY, user);
    if (!operation)
        return false;
    operation->active = operation->waiting = false;
    operation->next = leader->followers;
    leader->followers = operation;
    leader->number = q->accepted - 1;
    blkq_count_blocks(q, leader, -1);
    leader->end = end;
    blkq_count_blocks(q, leader, 1);
    return true;
}

static int accept_discard(struct xenpv_blkq *q, uint64_t offset, uint64_t end, uint8_t secure,
                          void *user)
{
    struct blk_operation *operation;

    if (merge(q, offset, end, secure, user))
        return XENPV_OK;
    operation = accept(q, &q->discards, XENPV_BLKIF_DISCARD, BLK_NO_MEMORY, user);
    if (!operation)
        return XENPV_EFULL;
    operation->secure = secure;
    operation->offset = operation->sent = offset;
    operation->end = end;
    blkq_count_blocks(q, operation, 1);
    return XENPV_OK;
}

/* Nothing is to be done: it has ended. */
static int accept_nothing(struct xenpv_blkq *q, void *user)
{
    struct blk_list alone = {NULL, NULL};
    struct blk_operation *operation = accept(q, &alone, XENPV_BLKIF_READ, BLK_NO_MEMORY, user);

    if (!operation)
        return XENPV_EFULL;
    operation->waiting = false;
    blkq_end_operation(q, operation);
    return XENPV_OK;
}

int xenpv_blkq_discard(struct xenpv_blkq *q, uint64_t offset, uint64_t bytes, uint32_t flags,
                       void *user)
{
    uint32_t needed = XENPV_BLK_DISCARD;
    int error = ready(q);

    if (error)
        return error;
    if (bytes == 0 || (flags & ~XENPV_DISCARD_SECURE))
        return XENPV_EINVAL;
    if (flags & XENPV_DISCARD_SECURE)
        needed |= XENPV_BLK_SECURE_DISCARD;
    if ((q->p.features & ~xenpv_load(&q->refused) & needed) != needed)
        return XENPV_ENOTSUP;
    error = blkq_check_range(q, XENPV_BLKIF_DISCARD, offset, bytes);
    if (error)
        return error;
    uint64_t begin = offset, end = offset + bytes;
    shrink(q, &begin, &end);
    if ((flags & XENPV_DISCARD_SECURE) && (begin != offset || end != offset + bytes))
        return XENPV_EINVAL;
    if (begin >= end)
        return accept_nothing(q, user);
    return accept_discard(q, begin, end, (flags & XENPV_DISCARD_SECURE) != 0, user);
}
