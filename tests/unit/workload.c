/* SPDX-License-Identifier: MIT */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>

#define CELL 8u

static void wrong(const struct workload *work, const char *what, uint32_t cell, uint32_t found,
                  uint32_t lower, uint32_t upper)
{
    fprintf(stderr, "%s: cell %u shows %u, not %u to %u; seed %u\n", what, cell, found, lower,
            upper, work->seed);
    abort();
}

static void must(const struct workload *work, bool good, const char *what, int number)
{
    if (good)
        return;
    fprintf(stderr, "%s: %d; seed %u\n", what, number, work->seed);
    abort();
}

static void *numbers(uint32_t count)
{
    void *memory = calloc(count, sizeof(uint32_t));

    if (!memory)
        abort();
    return memory;
}

void workload_init(struct workload *work, struct xenpv_blkq *q, uint64_t base, uint32_t bytes,
                   uint32_t sector_size, uint32_t seed)
{
    *work = (struct workload){.kinds = WORKLOAD_ALL,
                              .most = WORKLOAD_JOBS,
                              .seed = seed,
                              .q = q,
                              .base = base,
                              .cells = bytes / CELL,
                              .sector = sector_size / CELL};
    work->queued = numbers(work->cells);
    work->ended = numbers(work->cells);
    work->stable = numbers(work->cells);
    work->zeroed = numbers(work->cells);
    work->memory = aligned_alloc(4096, (size_t)WORKLOAD_JOBS * 77824);
    for (uint32_t i = 0; i < WORKLOAD_JOBS; i++) {
        work->job[i].lower = numbers(work->cells);
        work->job[i].memory = work->memory + (size_t)i * 77824;
        work->job[i].shared_at = (uint64_t)i * 20480 + 512;
    }
}

void workload_free(struct workload *work)
{
    for (uint32_t i = 0; i < WORKLOAD_JOBS; i++)
        free(work->job[i].lower);
    free(work->queued);
    free(work->ended);
    free(work->stable);
    free(work->zeroed);
    free(work->memory);
}

/* ---- cells ----------------------------------------------------------------------------------- */

static void put_cell(uint8_t *to, uint32_t cell, uint32_t version)
{
    uint32_t check = cell * 2654435761u ^ version;

    memcpy(to, &version, 4);
    memcpy(to + 4, &check, 4);
}

/* The number that a cell shows: it must be within these. A zeroed one shows the latest discard. */
static uint32_t check_cell(const struct workload *work, const char *what, const uint8_t *found,
                           uint32_t cell, uint32_t lower)
{
    uint32_t version, check, upper = work->queued[cell];

    memcpy(&version, found, 4);
    memcpy(&check, found + 4, 4);
    if (version == 0 && check == 0)
        version = work->zeroed[cell];
    else if (check != (cell * 2654435761u ^ version))
        wrong(work, "a cell holds no number", cell, check, lower, upper);
    if (version < lower || version > upper)
        wrong(work, what, cell, version, lower, upper);
    return version;
}

/* ---- queueing -------------------------------------------------------------------------------- */

/* Cuts the data into elements of odd lengths, some of none. */
static void cut(struct workload *work, struct workload_job *job)
{
    size_t bytes = (size_t)job->count * CELL, at = 0;
    bool plain = rig_random(&work->seed) % 2;
    uint32_t longest = rig_random(&work->seed) % 2 ? 6000 : 1100;

    job->data = job->memory + rig_random(&work->seed) % 8 * 512;
    for (job->vector = 0; at < bytes;) {
        size_t length = rig_random(&work->seed) % 5 ? rig_random(&work->seed) % longest : 0;

        if (work->aligned)
            length = length / 512 * 512;
        if (plain || job->vector == WORKLOAD_VECTOR - 1 || length > bytes - at)
            length = bytes - at;
        job->iov[job->vector++] = (struct xenpv_iov){length ? job->data + at : NULL, length};
        at += length;
    }
}

static void choose_place(struct workload *work, struct workload_job *job)
{
    bool whole = work->aligned || job->kind == WORKLOAD_DISCARD || rig_random(&work->seed) % 2;
    uint32_t grain = whole ? work->sector : 1;
    uint32_t most = WORKLOAD_MOST / CELL;

    if (rig_random(&work->seed) % 3)
        most = 3 * work->sector;
    if (work->large && rig_random(&work->seed) % 20 == 0)
        most = WORKLOAD_LONGEST / CELL;
    most = most < grain ? grain : most;
    job->first = rig_random(&work->seed) % work->cells / grain * grain;
    job->count = (1 + rig_random(&work->seed) % most + grain - 1) / grain * grain;
    if (job->count * CELL > WORKLOAD_MOST && (!work->large || work->shared))
        job->count = WORKLOAD_MOST / CELL / grain * grain;
    if (job->count > work->cells - job->first)
        job->count = work->cells - job->first;
}

static int start_data(struct workload *work, struct workload_job *job, uint64_t offset)
{
    uint64_t bytes = (uint64_t)job->count * CELL;
    bool write = job->kind == WORKLOAD_WRITE;
    uint8_t *data;

    cut(work, job);
    data = work->shared ? (uint8_t *)xenpv_blkq_shared(work->q) + job->shared_at : job->data;
    for (uint32_t i = 0; i < job->count && write; i++)
        put_cell(data + (size_t)i * CELL, job->first + i, job->version);
    if (work->shared)
        return (write ? xenpv_blkq_write_shared
                      : xenpv_blkq_read_shared)(work->q, offset, job->shared_at, bytes, job);
    if (!write)
        memset(data, 0xee, bytes);
    return (write ? xenpv_blkq_writev : xenpv_blkq_readv)(work->q, offset, job->iov, job->vector,
                                                          job);
}

static int start(struct workload *work, struct workload_job *job)
{
    uint64_t offset = work->base + (uint64_t)job->first * CELL;

    if (job->kind == WORKLOAD_FLUSH)
        return xenpv_blkq_flush(work->q, job);
    if (job->kind == WORKLOAD_DISCARD)
        return xenpv_blkq_discard(work->q, offset, (uint64_t)job->count * CELL, 0, job);
    return start_data(work, job, offset);
}

/* What is known when an operation is queued. */
static void note(struct workload *work, struct workload_job *job)
{
    if (job->kind == WORKLOAD_READ || job->kind == WORKLOAD_FLUSH)
        memcpy(job->lower, work->ended, work->cells * sizeof(uint32_t));
    if (job->kind == WORKLOAD_READ || job->kind == WORKLOAD_FLUSH)
        return;
    work->version = job->version;
    for (uint32_t i = job->first; i < job->first + job->count; i++) {
        work->queued[i] = job->version;
        if (job->kind == WORKLOAD_DISCARD)
            work->zeroed[i] = job->version;
    }
}

/* False: it is not taken now. */
static bool queue_one(struct workload *work)
{
    struct workload_job *job = work->job;
    int error;

    while (job->kind)
        job++;
    do
        job->kind = (enum workload_kind)(1u << rig_random(&work->seed) % 4);
    while (!(work->kinds & job->kind));
    choose_place(work, job);
    job->version = work->version + 1;
    error = work->shared && !xenpv_blkq_shared(work->q) ? XENPV_EPARKED : start(work, job);
    if (error) {
        must(work, error == XENPV_EFULL || error == XENPV_EPARKED, "an operation is refused",
             error);
        job->kind = 0;
        return false;
    }
    note(work, job);
    work->pending++;
    return true;
}

void workload_queue(struct workload *work, uint32_t count)
{
    while (count-- && work->pending < work->most && queue_one(work))
        ;
    xenpv_blkq_submit(work->q);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void check_read(const struct workload *work, const struct workload_job *job)
{
    const uint8_t *data = job->data;

    if (work->shared) {
        data = xenpv_blkq_shared(work->q);
        if (!data)
            return; /* the connection has gone since */
        data += job->shared_at;
    }
    for (uint32_t i = 0; i < job->count; i++)
        check_cell(work, "a read", data + (size_t)i * CELL, job->first + i,
                   job->lower[job->first + i]);
}

static void end_well(struct workload *work, struct workload_job *job)
{
    work->good++;
    if (job->kind == WORKLOAD_READ) {
        check_read(work, job);
        return;
    }
    for (uint32_t i = 0; i < work->cells && job->kind == WORKLOAD_FLUSH; i++) {
        if (work->stable[i] < job->lower[i])
            work->stable[i] = job->lower[i];
    }
    if (job->kind == WORKLOAD_FLUSH)
        return;
    for (uint32_t i = job->first; i < job->first + job->count; i++) {
        if (work->ended[i] < job->version)
            work->ended[i] = job->version;
    }
}

static bool lost(int status)
{
    return status == XENPV_EIO || status == XENPV_EPEER || status == XENPV_ESTALE ||
           status == XENPV_ETIMEDOUT || status == XENPV_EBROKEN;
}

int workload_take(struct workload *work)
{
    struct xenpv_completion done[WORKLOAD_JOBS];
    int count = xenpv_blkq_poll(work->q, done, 1 + rig_random(&work->seed) % WORKLOAD_JOBS);

    for (int i = 0; i < count; i++) {
        struct workload_job *job = done[i].user;

        must(work, job->kind != 0, "an operation ends twice", done[i].status);
        if (done[i].status == XENPV_OK)
            end_well(work, job);
        else
            must(work, work->may_fail && lost(done[i].status), "an operation fails",
                 done[i].status);
        work->failed += done[i].status != XENPV_OK;
        job->kind = 0;
        work->pending--;
    }
    return count;
}

/* ---- the disk -------------------------------------------------------------------------------- */

static uint8_t *fetch(const struct workload *work, struct rig *rig)
{
    uint8_t *disk = malloc((size_t)work->cells * CELL);

    must(work, work->pending == 0, "operations are pending", (int)work->pending);
    must(work,
         disk && rig->disk.read(rig->disk.ctx, work->base, disk, work->cells * CELL) == XENPV_OK,
         "the disk cannot be read", 0);
    return disk;
}

void workload_check(const struct workload *work, struct rig *rig)
{
    uint8_t *disk = fetch(work, rig);

    for (uint32_t i = 0; i < work->cells; i++)
        check_cell(work, "the disk", disk + (size_t)i * CELL, i, work->ended[i]);
    free(disk);
}

void workload_check_cut(struct workload *work, struct rig *rig)
{
    uint8_t *disk = fetch(work, rig);

    for (uint32_t i = 0; i < work->cells; i++) {
        uint32_t found = check_cell(work, "the disk after a power cut", disk + (size_t)i * CELL, i,
                                    work->stable[i]);

        work->ended[i] = work->stable[i] = found;
    }
    free(disk);
}
