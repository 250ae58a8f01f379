/* SPDX-License-Identifier: MIT */
/* A thread that loads one queue of a disk, in its own part, and remembers what it wrote. */
#ifndef XENPV_TESTS_HAMMER_QUEUE_H
#define XENPV_TESTS_HAMMER_QUEUE_H

#include <pthread.h>

#include <xenpv/blk.h>

#include "hammer_model.h"

enum { HAMMER_DEPTH = 16, HAMMER_RUN_BYTES = 512 << 10 };

enum hammer_kind { OP_FREE, OP_READ, OP_WRITE, OP_DISCARD, OP_FLUSH };

struct hammer_op {
    enum hammer_kind kind;
    uint32_t at, count;
    uint64_t began;
    void *buffer;
    struct xenpv_iov iov;
};

struct hammer_counts {
    uint64_t reads, writes, discards, flushes, failed, bytes;
    uint64_t longest_ms; /* of one operation */
};

enum hammer_phase { PHASE_FILL, PHASE_REST, PHASE_LOAD, PHASE_DRAIN, PHASE_LOOK };

struct hammer_queue {
    struct xenpv_blkq *q;
    struct hammer_model model;
    bool flush, discard; /* the disk can */
    int wake_control;    /* eventfds */
    int wake;

    /* What control asks for: one more look at all blocks. Answered by making `looked` the same. */
    uint32_t look, looked; /* atomic */
    uint32_t parked;       /* atomic: the thread has ended */

    pthread_t thread;
    enum hammer_phase phase;
    uint32_t cursor, under_way, looking_for;
    bool flushing;
    uint64_t random;
    struct hammer_op ops[HAMMER_DEPTH];
    struct hammer_counts counts;
};

/* The fields up to wake, and the random seed, are set. False: no memory, no thread. */
bool hammer_queue_start(struct hammer_queue *queue);

/* Wakes whoever waits for an eventfd. */
void hammer_wake(int fd);
/* Forgets that it was woken. */
void hammer_slept(int fd);

#endif
