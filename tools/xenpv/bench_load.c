/* SPDX-License-Identifier: MIT */
/* Keeps a device busy: `depth` operations in flight in each queue, and counts those that end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct slot {
    struct xenpv_iov iov;
    uint64_t offset; /* on the disk */
    uint64_t at;     /* in the shared pages */
    uint64_t began;
};

/* One queue. */
struct lane {
    struct bench_load *load;
    struct xenpv_blkq *q;
    struct bench_walk walk;
    uint64_t first; /* block of the disk */
    struct slot *slots;
    struct slot **idle;
    uint32_t idle_count, looks;
    uint8_t *memory;
    uint64_t done;
    int error;                         /* the first */
    struct bench_histogram *histogram; /* NULL: not timed */
};

/* What one thread drives. */
struct drive {
    struct bench_load *load;
    struct lane *lanes;
    uint32_t lane_count;
    bool makes_ticks;
    double rate;
};

struct bench_load {
    struct bench_cell cell;
    struct bench_target *target;
    struct lane *lanes;
    struct drive *drives;
    uint32_t drive_count;
    uint64_t ns, clock_cost;
    uint32_t stop; /* something went wrong: all threads are to end */
    bool lost;     /* not connected any more */
};

#define BATCH 128u

/* -------------------------------------------------------------------------------- operations -- */

static int start(struct lane *lane, struct slot *slot)
{
    const struct bench_cell *cell = &lane->load->cell;

    slot->offset = (lane->first + bench_walk_next(&lane->walk)) * cell->size;
    if (cell->buffer == BENCH_SHARED)
        return cell->op == BENCH_WRITE
                   ? xenpv_blkq_write_shared(lane->q, slot->offset, slot->at, cell->size, slot)
                   : xenpv_blkq_read_shared(lane->q, slot->offset, slot->at, cell->size, slot);
    return cell->op == BENCH_WRITE ? xenpv_blkq_writev(lane->q, slot->offset, &slot->iov, 1, slot)
                                   : xenpv_blkq_readv(lane->q, slot->offset, &slot->iov, 1, slot);
}

static void fail(struct lane *lane, int error)
{
    if (!lane->error)
        lane->error = error;
    xenpv_store_release(&lane->load->stop, 1);
}

static void fill(struct lane *lane)
{
    uint64_t now = lane->histogram && lane->idle_count ? os_now_ns() : 0;
    int error = 0;

    while (lane->idle_count && !error) {
        struct slot *slot = lane->idle[lane->idle_count - 1];

        slot->began = now;
        error = start(lane, slot);
        lane->idle_count -= error == 0;
    }
    /* What is queued in another order than it ends may still be in its way. */
    if (error && error != XENPV_EFULL)
        fail(lane, error);
    xenpv_blkq_submit(lane->q);
}

/* A block of a checked disk begins with its own offset. */
static bool is_right(const struct lane *lane, const struct slot *slot)
{
    const struct bench_load *load = lane->load;
    const uint8_t *data = slot->iov.base;
    uint64_t found;

    if (!load->target->checked || load->cell.op == BENCH_WRITE)
        return true;
    if (load->cell.buffer == BENCH_SHARED)
        data = (const uint8_t *)xenpv_blkq_shared(lane->q) + slot->at;
    memcpy(&found, data, sizeof(found));
    return found == slot->offset;
}

static void look_at(struct lane *lane, const struct xenpv_completion *ended, int count)
{
    uint64_t now = os_now_ns();

    for (int i = 0; i < count; i++) {
        const struct slot *slot = ended[i].user;
        uint64_t ns = now - slot->began;

        bench_histogram_add(lane->histogram,
                            ns > lane->load->clock_cost ? ns - lane->load->clock_cost : 0);
        if (ended[i].status == 0 && !is_right(lane, slot))
            fail(lane, XENPV_EBROKEN);
    }
}

/* True when something has ended. */
static bool take(struct lane *lane)
{
    struct xenpv_completion ended[BATCH];
    int count = xenpv_blkq_poll(lane->q, ended, BATCH);

    if (count < 0)
        fail(lane, count);
    if (count <= 0)
        return false;
    if (lane->histogram)
        look_at(lane, ended, count);
    for (int i = 0; i < count; i++) {
        lane->idle[lane->idle_count++] = ended[i].user;
        if (ended[i].status)
            fail(lane, ended[i].status);
    }
    lane->done += (uint64_t)count;
    return true;
}

static void wait_for(struct lane *lane)
{
    struct bench_target *target = lane->load->target;

    if (target->idle)
        target->idle(target);
    else if (!lane->load->cell.event)
        bench_idle(&lane->looks);
    else if (xenpv_blkq_arm(lane->q) == 0)
        os_event_wait(xenpv_blkq_wait_handle(lane->q), 100);
}

/* ----------------------------------------------------------------------------------- threads -- */

static bool tick(struct drive *drive)
{
    struct bench_load *load = drive->load;

    if (!drive->makes_ticks || !load->target->tick || load->target->tick(load->target))
        return true;
    load->lost = true;
    xenpv_store_release(&load->stop, 1);
    return false;
}

static bool must_stop(struct drive *drive)
{
    return !tick(drive) || xenpv_load_acquire(&drive->load->stop) || os_stop_signal();
}

static uint32_t in_flight(const struct drive *drive)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < drive->lane_count; i++)
        count += drive->load->cell.depth - drive->lanes[i].idle_count;
    return count;
}

static uint64_t done(const struct drive *drive)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < drive->lane_count; i++)
        count += drive->lanes[i].done;
    return count;
}

/* Looks at the clock every so many rounds, where a round does not wait. */
#define ROUNDS 64u

static void go_round(struct drive *drive, bool filling)
{
    for (uint32_t i = 0; i < drive->lane_count; i++) {
        struct lane *lane = &drive->lanes[i];

        if (filling)
            fill(lane);
        if (!take(lane))
            wait_for(lane);
    }
}

/* Whatever is still in flight ends, unless nothing moves for too long. */
static void drain(struct drive *drive)
{
    uint64_t moved = os_now_ns(), before = done(drive);
    uint64_t patience = (uint64_t)drive->load->target->silence_ms * 1000000;

    while (in_flight(drive) && tick(drive)) {
        go_round(drive, false);
        if (done(drive) != before) {
            before = done(drive);
            moved = os_now_ns();
        } else if (patience && os_now_ns() - moved > patience) {
            fail(&drive->lanes[0], XENPV_ETIMEDOUT);
            return;
        } else if (drive->lanes[0].error == XENPV_EPARKED || os_stop_signal()) {
            return;
        }
    }
}

static void run_drive(void *ctx)
{
    struct drive *drive = ctx;
    uint64_t before = done(drive), began = os_now_ns(), now = began;
    uint32_t rounds = drive->load->cell.event || drive->load->target->idle ? 1 : ROUNDS;

    /* An operation may take longer than all of them are to take. */
    while ((now - began < drive->load->ns || done(drive) == before) && !must_stop(drive)) {
        for (uint32_t round = 0; round < rounds; round++)
            go_round(drive, true);
        now = os_now_ns();
    }
    drive->rate = (double)(done(drive) - before) * 1e9 / (double)(now - began + 1);
    drain(drive);
}

/* ------------------------------------------------------------------------------------- loads -- */

static bool make_lane(struct bench_load *load, struct lane *lane, uint32_t number)
{
    const struct bench_cell *cell = &load->cell;
    uint64_t blocks = load->target->bytes / cell->size / cell->queues;
    bool shared = cell->buffer == BENCH_SHARED;
    size_t bytes = shared ? 0 : (size_t)cell->depth * cell->size;

    *lane = (struct lane){.load = load, .q = xenpv_blk_queue(load->target->blk, number)};
    /* A part of the disk for each queue: what meets must not be in flight in two of them. */
    lane->first = blocks * number;
    lane->walk = (struct bench_walk){.blocks = blocks, .random = cell->op == BENCH_RANDREAD};
    lane->slots = calloc(cell->depth, sizeof(*lane->slots));
    lane->idle = calloc(cell->depth, sizeof(struct slot *));
    lane->memory = os_alloc(bytes + 1, XENPV_PAGE_SIZE);
    if (!lane->slots || !lane->idle || !lane->memory)
        return false;
    memset(lane->memory, 1, bytes + 1);
    for (uint32_t i = 0; i < cell->depth; i++) {
        struct slot *slot = &lane->slots[i];

        slot->at = (uint64_t)i * bench_pages(cell) * XENPV_PAGE_SIZE;
        slot->iov =
            (struct xenpv_iov){lane->memory + (shared ? 0 : (size_t)i * cell->size), cell->size};
        lane->idle[lane->idle_count++] = slot;
    }
    return true;
}

/* A thread for each queue, or one for all. */
static void make_drives(struct bench_load *load)
{
    uint32_t each = load->target->one_thread ? load->cell.queues : 1;

    load->drive_count = load->cell.queues / each;
    for (uint32_t i = 0; i < load->drive_count; i++)
        load->drives[i] = (struct drive){.load = load,
                                         .lanes = &load->lanes[i * each],
                                         .lane_count = each,
                                         .makes_ticks = i == 0};
}

struct bench_load *bench_load_make(const struct bench_cell *cell, struct bench_target *target)
{
    struct bench_load *load = calloc(1, sizeof(*load));
    bool complete;

    if (!load)
        return NULL;
    load->cell = *cell;
    load->target = target;
    load->lanes = calloc(cell->queues, sizeof(*load->lanes));
    load->drives = calloc(cell->queues, sizeof(*load->drives));
    complete = load->lanes && load->drives;
    for (uint32_t i = 0; complete && i < cell->queues; i++)
        complete = make_lane(load, &load->lanes[i], i);
    if (!complete) {
        bench_load_free(load);
        return NULL;
    }
    make_drives(load);
    return load;
}

void bench_load_free(struct bench_load *load)
{
    if (!load)
        return;
    for (uint32_t i = 0; load->lanes && i < load->cell.queues; i++) {
        free(load->lanes[i].slots);
        free(load->lanes[i].idle);
        os_free(load->lanes[i].memory);
    }
    free(load->lanes);
    free(load->drives);
    free(load);
}

/* ----------------------------------------------------------------------------------- running -- */

static bool explain(const struct bench_load *load, char note[BENCH_NOTE_MAX])
{
    int error = 0;

    for (uint32_t i = 0; i < load->cell.queues && !error; i++)
        error = load->lanes[i].error;
    if (os_stop_signal())
        snprintf(note, BENCH_NOTE_MAX, "stopped by a signal");
    else if (load->lost)
        snprintf(note, BENCH_NOTE_MAX, "the connection was lost");
    else if (error == XENPV_EBROKEN)
        snprintf(note, BENCH_NOTE_MAX, "a block was read that is not the one that was asked for");
    else if (error)
        snprintf(note, BENCH_NOTE_MAX, "an operation failed: %s", xenpv_error_text(error));
    return note[0] == '\0';
}

double bench_load_run(struct bench_load *load, uint64_t ns, double *share,
                      char note[BENCH_NOTE_MAX])
{
    struct bench_peer *peer = load->target->peer;
    double rate = 0;
    bool complete;

    load->ns = ns;
    if (peer)
        bench_peer_set(peer, BENCH_JOB_BACKEND);
    complete =
        bench_crew_run(run_drive, load->drives, sizeof(struct drive), load->drive_count, share);
    if (peer) {
        bench_peer_set(peer, BENCH_JOB_REST);
        if (bench_peer_share(peer) < *share)
            *share = bench_peer_share(peer);
    }
    if (!complete) {
        snprintf(note, BENCH_NOTE_MAX, "there are no more threads to be had");
        return 0;
    }
    for (uint32_t i = 0; i < load->drive_count; i++)
        rate += load->drives[i].rate;
    return explain(load, note) ? rate : 0;
}

bool bench_load_time(struct bench_load *load, uint64_t ns, uint64_t clock_cost,
                     struct bench_histogram *histogram, char note[BENCH_NOTE_MAX])
{
    bool good;
    double share;

    /* One queue's: a histogram belongs to one thread. */
    load->clock_cost = clock_cost;
    load->lanes[0].histogram = histogram;
    good = bench_load_run(load, ns, &share, note) > 0;
    load->lanes[0].histogram = NULL;
    return good;
}
