/* SPDX-License-Identifier: MIT */
/*
 * Random operations on one queue, and a model of what the disk may hold meanwhile. The disk is cells
 * of 8 bytes; each write or discard has a number, a write puts it into its cells, a discard zeroes
 * whole sectors. What must hold, whatever happens to the connection:
 *
 *   - a cell never shows less than the latest number that has ended well, nor one not yet queued;
 *   - a read shows no less than what had ended well when it was queued;
 *   - after a power cut a cell shows no less than what had ended well when a flush was queued that
 *     has ended well since.
 *
 * One thread uses a workload; a violation ends the program.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include "blk_rig.h"

#define WORKLOAD_JOBS    16u
#define WORKLOAD_MOST    20000u /* bytes of one operation */
#define WORKLOAD_VECTOR  40u
#define WORKLOAD_LONGEST 70000u /* bytes of one in twenty, where that is wanted */

enum workload_kind {
    WORKLOAD_READ = 1,
    WORKLOAD_WRITE = 2,
    WORKLOAD_DISCARD = 4,
    WORKLOAD_FLUSH = 8,
    WORKLOAD_ALL = 15,
};

struct workload_job {
    enum workload_kind kind; /* 0: it is free */
    uint32_t first, count;   /* cells */
    uint32_t version;
    uint32_t vector;
    struct xenpv_iov iov[WORKLOAD_VECTOR];
    uint32_t *lower;        /* READ, FLUSH: of each cell, when it was queued */
    uint8_t *memory, *data; /* his own, and the part of it that this operation uses */
    uint64_t shared_at;
};

struct workload {
    /* The test's to set after workload_init. */
    uint32_t kinds; /* enum workload_kind */
    bool large;     /* some operations are larger than one plain request */
    bool aligned;   /* whole sectors, in memory too */
    bool shared;    /* through the queue's shared pages: WORKLOAD_JOBS times 5 of them, aligned */
    bool may_fail;  /* an operation may end with an error of a lost connection, or EIO */
    uint32_t most;  /* jobs at once */
    uint32_t seed;

    struct xenpv_blkq *q;
    uint64_t base;                              /* of its part of the disk */
    uint32_t cells;                             /* of it */
    uint32_t sector;                            /* cells of one */
    uint32_t version;                           /* the latest */
    uint32_t *queued, *ended, *stable, *zeroed; /* numbers, of each cell */
    struct workload_job job[WORKLOAD_JOBS];
    uint32_t pending;
    uint64_t good, failed; /* that have ended */
    uint8_t *memory;
};

void workload_init(struct workload *work, struct xenpv_blkq *q, uint64_t base, uint32_t bytes,
                   uint32_t sector_size, uint32_t seed);
void workload_free(struct workload *work);

/* Queues up to `count` operations, as long as they are taken, and submits them. */
void workload_queue(struct workload *work, uint32_t count);
/* Polls once, and checks what has ended: how many, or XENPV_EPARKED. */
int workload_take(struct workload *work);

/* Nothing is pending: what the disk holds is what it may hold. */
void workload_check(const struct workload *work, struct rig *rig);
/* The same after a power cut; goes on from what was found. */
void workload_check_cut(struct workload *work, struct rig *rig);

#endif
