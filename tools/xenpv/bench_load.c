/* SPDX-License-Identifier: MIT */
/* Keeps a device busy, each queue in a thread of its own where it can, and counts what ends. */
#include <stdlib.h>

#include "bench.h"

/* What one thread drives. */
struct drive {
    struct bench_load *load;
    struct bench_lane *lanes;
    uint32_t lane_count;
    bool makes_ticks;
    double rate;
};

struct bench_load {
    const struct bench_lane_ops *ops;
    struct bench_cell cell;
    struct bench_target *target;
    struct bench_lane *lanes;
    struct drive *drives;
    uint32_t drive_count;
    uint64_t ns;
    uint32_t stop; /* something went wrong: all threads are to end */
    bool lost;     /* not connected any more */
};

void bench_lane_fail(struct bench_lane *lane, int error)
{
    if (!lane->error)
        lane->error = error;
    xenpv_store_release(&lane->load->stop, 1);
}

void bench_lane_time(struct bench_lane *lane, uint64_t began, uint64_t now)
{
    uint64_t ns = now - began;

    bench_histogram_add(lane->histogram, ns > lane->clock_cost ? ns - lane->clock_cost : 0);
}

static void wait_for(struct bench_lane *lane)
{
    struct bench_target *target = lane->target;
    xenpv_handle handle;

    if (target->idle) {
        target->idle(target);
        return;
    }
    if (!lane->cell->event) {
        bench_idle(&lane->looks);
        return;
    }
    handle = lane->load->ops->arm(lane);
    if (handle != XENPV_NO_HANDLE)
        os_event_wait(handle, 100);
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
        count += drive->lanes[i].in_flight;
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
    const struct bench_lane_ops *ops = drive->load->ops;

    for (uint32_t i = 0; i < drive->lane_count; i++) {
        struct bench_lane *lane = &drive->lanes[i];

        if (filling)
            ops->fill(lane);
        if (!ops->take(lane))
            wait_for(lane);
    }
}

/* What has been silent for too long. */
struct patience {
    uint64_t ns; /* 0: it is endless */
    uint64_t moved, before;
};

static bool has_run_out(struct patience *patience, uint64_t done_now, uint64_t now)
{
    if (done_now != patience->before) {
        patience->before = done_now;
        patience->moved = now;
    }
    return patience->ns && now - patience->moved > patience->ns;
}

static struct patience be_patient(const struct drive *drive)
{
    return (struct patience){.ns = (uint64_t)drive->load->target->silence_ms * 1000000,
                             .moved = os_now_ns(),
                             .before = done(drive)};
}

/* Nothing will end any more. */
static bool gone(const struct drive *drive)
{
    int error = drive->lanes[0].error;

    return error == XENPV_EPARKED || error == XENPV_ETIMEDOUT;
}

/* Whatever is still in flight ends, unless nothing moves for too long. */
static void drain(struct drive *drive)
{
    struct patience patience = be_patient(drive);

    while (in_flight(drive) && tick(drive)) {
        go_round(drive, false);
        if (has_run_out(&patience, done(drive), os_now_ns())) {
            bench_lane_fail(&drive->lanes[0], XENPV_ETIMEDOUT);
            return;
        }
        if (gone(drive) || os_stop_signal())
            return;
    }
}

static void run_drive(void *ctx)
{
    struct drive *drive = ctx;
    struct patience patience = be_patient(drive);
    uint64_t before = patience.before, began = patience.moved, now = began;
    uint32_t rounds = drive->load->cell.event || drive->load->target->idle ? 1 : ROUNDS;

    /* An operation may take longer than all of them are to take. */
    while ((now - began < drive->load->ns || done(drive) == before) && !must_stop(drive)) {
        for (uint32_t round = 0; round < rounds; round++)
            go_round(drive, true);
        now = os_now_ns();
        if (has_run_out(&patience, done(drive), now))
            bench_lane_fail(&drive->lanes[0], XENPV_ETIMEDOUT);
    }
    drive->rate = (double)(done(drive) - before) * 1e9 / (double)(now - began + 1);
    drain(drive);
}

/* ------------------------------------------------------------------------------------- loads -- */

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

struct bench_load *bench_load_make(const struct bench_kind *kind, const struct bench_cell *cell,
                                   struct bench_target *target)
{
    struct bench_load *load = calloc(1, sizeof(*load));
    bool complete;

    if (!load)
        return NULL;
    load->ops = kind->lanes;
    load->cell = *cell;
    load->target = target;
    load->lanes = calloc(cell->queues, sizeof(*load->lanes));
    load->drives = calloc(cell->queues, sizeof(*load->drives));
    complete = load->lanes && load->drives;
    for (uint32_t i = 0; complete && i < cell->queues; i++) {
        load->lanes[i] =
            (struct bench_lane){.load = load, .cell = &load->cell, .target = load->target};
        complete = load->ops->make(&load->lanes[i], i);
    }
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
    for (uint32_t i = 0; load->lanes && i < load->cell.queues; i++)
        if (load->lanes[i].load)
            load->ops->drop(&load->lanes[i]);
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
        snprintf(note, BENCH_NOTE_MAX, "%s", load->ops->wrong);
    else if (error == XENPV_ETIMEDOUT)
        snprintf(note, BENCH_NOTE_MAX, "nothing came for %u ms", load->target->silence_ms);
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
    load->lanes[0].clock_cost = clock_cost;
    load->lanes[0].histogram = histogram;
    good = bench_load_run(load, ns, &share, note) > 0;
    load->lanes[0].histogram = NULL;
    return good;
}
