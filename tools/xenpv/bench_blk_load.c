/* SPDX-License-Identifier: MIT */
/* One queue of a disk: `depth` operations in flight, what has ended is replaced. */
#include <stdlib.h>
#include <string.h>

#include "bench_blk.h"

struct slot {
    struct xenpv_iov iov;
    uint64_t offset; /* on the disk */
    uint64_t at;     /* in the shared pages */
    uint64_t began;
};

/* A lane's own. */
struct work {
    struct xenpv_blkq *q;
    struct bench_walk walk;
    uint64_t first; /* block of the disk */
    struct slot *slots;
    struct slot **idle;
    uint32_t idle_count;
    uint8_t *memory;
};

#define BATCH 128u

static int start(struct work *work, const struct bench_cell *cell, struct slot *slot)
{
    slot->offset = (work->first + bench_walk_next(&work->walk)) * cell->size;
    if (cell->buffer == BENCH_SHARED)
        return cell->op == BENCH_WRITE
                   ? xenpv_blkq_write_shared(work->q, slot->offset, slot->at, cell->size, slot)
                   : xenpv_blkq_read_shared(work->q, slot->offset, slot->at, cell->size, slot);
    return cell->op == BENCH_WRITE ? xenpv_blkq_writev(work->q, slot->offset, &slot->iov, 1, slot)
                                   : xenpv_blkq_readv(work->q, slot->offset, &slot->iov, 1, slot);
}

static void fill(struct bench_lane *lane)
{
    struct work *work = lane->own;
    uint64_t now = lane->histogram && work->idle_count ? os_now_ns() : 0;
    int error = 0;

    while (work->idle_count && !error) {
        struct slot *slot = work->idle[work->idle_count - 1];

        slot->began = now;
        error = start(work, lane->cell, slot);
        work->idle_count -= error == 0;
    }
    lane->in_flight = lane->cell->depth - work->idle_count;
    /* What is queued in another order than it ends may still be in its way. */
    if (error && error != XENPV_EFULL)
        bench_lane_fail(lane, error);
    xenpv_blkq_submit(work->q);
}

/* A block of a disk in memory begins with its own offset. */
static bool is_right(const struct bench_lane *lane, const struct slot *slot)
{
    const struct work *work = lane->own;
    const uint8_t *data = slot->iov.base;
    uint64_t found;

    if (lane->cell->disk != BENCH_MEMORY || lane->cell->op == BENCH_WRITE)
        return true;
    if (lane->cell->buffer == BENCH_SHARED)
        data = (const uint8_t *)xenpv_blkq_shared(work->q) + slot->at;
    memcpy(&found, data, sizeof(found));
    return found == slot->offset;
}

static void look_at(struct bench_lane *lane, const struct xenpv_completion *ended, int count)
{
    uint64_t now = os_now_ns();

    for (int i = 0; i < count; i++) {
        const struct slot *slot = ended[i].user;

        bench_lane_time(lane, slot->began, now);
        if (ended[i].status == 0 && !is_right(lane, slot))
            bench_lane_fail(lane, XENPV_EBROKEN);
    }
}

static bool take(struct bench_lane *lane)
{
    struct work *work = lane->own;
    struct xenpv_completion ended[BATCH];
    int count = xenpv_blkq_poll(work->q, ended, BATCH);

    if (count < 0)
        bench_lane_fail(lane, count);
    if (count <= 0)
        return false;
    if (lane->histogram)
        look_at(lane, ended, count);
    for (int i = 0; i < count; i++) {
        work->idle[work->idle_count++] = ended[i].user;
        if (ended[i].status)
            bench_lane_fail(lane, ended[i].status);
    }
    lane->in_flight -= (uint32_t)count;
    lane->done += (uint64_t)count;
    return true;
}

static xenpv_handle arm(struct bench_lane *lane)
{
    const struct work *work = lane->own;

    return xenpv_blkq_arm(work->q) == 0 ? xenpv_blkq_wait_handle(work->q) : XENPV_NO_HANDLE;
}

static bool make(struct bench_lane *lane, uint32_t number)
{
    const struct bench_cell *cell = lane->cell;
    uint64_t blocks = lane->target->bytes / cell->size / cell->queues;
    bool shared = cell->buffer == BENCH_SHARED;
    size_t bytes = shared ? 0 : (size_t)cell->depth * cell->size;
    struct work *work = lane->own = calloc(1, sizeof(*work));

    if (!work)
        return false;
    work->q = xenpv_blk_queue(lane->target->front->device, number);
    /* A part of the disk for each queue: what meets must not be in flight in two of them. */
    work->first = blocks * number;
    work->walk = (struct bench_walk){.blocks = blocks, .random = cell->op == BENCH_RANDREAD};
    work->slots = calloc(cell->depth, sizeof(*work->slots));
    work->idle = calloc(cell->depth, sizeof(struct slot *));
    work->memory = os_alloc(bytes + 1, XENPV_PAGE_SIZE);
    if (!work->slots || !work->idle || !work->memory)
        return false;
    memset(work->memory, 1, bytes + 1);
    for (uint32_t i = 0; i < cell->depth; i++) {
        struct slot *slot = &work->slots[i];

        slot->at = (uint64_t)i * bench_blk_pages(cell) * XENPV_PAGE_SIZE;
        slot->iov =
            (struct xenpv_iov){work->memory + (shared ? 0 : (size_t)i * cell->size), cell->size};
        work->idle[work->idle_count++] = slot;
    }
    return true;
}

static void drop(struct bench_lane *lane)
{
    struct work *work = lane->own;

    if (!work)
        return;
    free(work->slots);
    free(work->idle);
    os_free(work->memory);
    free(work);
}

const struct bench_lane_ops bench_blk_lanes = {
    .make = make,
    .drop = drop,
    .fill = fill,
    .take = take,
    .arm = arm,
    .wrong = "a block was read that is not the one that was asked for",
};
