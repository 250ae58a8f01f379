/* SPDX-License-Identifier: MIT */
/* What is a disk's own in xenpv bench. */
#ifndef XENPV_BENCH_BLK_H
#define XENPV_BENCH_BLK_H

#include <xenpv/blk.h>

#include "bench.h"

enum bench_disk {
    BENCH_NULL,   /* a backend that answers every request at once, unread */
    BENCH_EMPTY,  /* our block backend with a disk that moves no data */
    BENCH_MEMORY, /* our block backend with a disk in memory */
    BENCH_DEVICE, /* what the user named */
};
enum bench_op { BENCH_READ, BENCH_WRITE, BENCH_RANDREAD };
enum bench_buffer {
    BENCH_BOUNCE, /* readv and writev: data is copied by the frontend */
    BENCH_SHARED, /* read_shared and write_shared: it is not */
};

/* Pages that hold the data of one operation. */
uint32_t bench_blk_pages(const struct bench_cell *cell);

/* The other end of a ring, bare or not: answers what is there, unread. True: it asks to be told. */
bool bench_blk_answer(struct xenpv_ring *ring, bool *found);

extern const struct bench_lane_ops bench_blk_lanes;
int bench_blk_backend(struct bench_rig *rig);

/* Which block the next operation is of: the same row for all contenders. */
struct bench_walk {
    uint64_t blocks, next;
    uint32_t state;
    bool random;
};
static inline uint64_t bench_walk_next(struct bench_walk *walk)
{
    if (walk->random) {
        walk->state = walk->state * 1664525 + 1013904223;
        return walk->state * walk->blocks >> 32;
    }
    walk->next = walk->next + 1 < walk->blocks ? walk->next + 1 : 0;
    return walk->next;
}

#endif
