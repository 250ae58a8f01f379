/* SPDX-License-Identifier: MIT */
/* A mock of our own, with one device on it whose backend runs on the other core. */
#ifndef XENPV_BENCH_RIG_H
#define XENPV_BENCH_RIG_H

#include <xenpv/harness/allocator.h>
#include <xenpv/harness/mock.h>

#include "bench.h"

#define BENCH_GUEST   1u
#define BENCH_DRIVER  0u
#define BENCH_WAIT_MS 10000u /* for whatever has to come */

extern const struct xenpv_allocator bench_allocator;

/* A backend, by its thread. */
struct bench_backend {
    void *ctx; /* NULL: there is none */
    /* Looks once; true when it found something to do. With a doorbell it asks for events, and may
     * wait for it. */
    bool (*round)(void *ctx, xenpv_handle doorbell);
    /* Whether it looks at the frontend's state in each round: not while anything is measured. Any
     * thread. NULL: it always does. */
    void (*look)(void *ctx, bool looking);
    /* The frontend is gone: lets go of everything. */
    void (*end)(void *ctx);
};

struct bench_rig {
    const struct bench_plan *plan;
    struct bench_cell cell;
    struct bench_peer *peer;
    struct os_mutex *mutex;
    struct xenpv_mock *mock;
    struct xenpv_port front_port, back_port;
    struct bench_front front;
    uint32_t device; /* its number in the store; set with the backend */
    struct bench_backend backend;
};

/* The library's own backends, which go in steps: the clock is for time-outs only, so where nobody
 * sleeps a look now and then is enough. */
struct bench_pace {
    uint64_t now; /* ms */
    uint32_t rounds;
};
#define BENCH_ROUNDS_A_LOOK 1024u
static inline uint64_t bench_pace_now(struct bench_pace *pace, xenpv_handle doorbell)
{
    if (doorbell != XENPV_NO_HANDLE || pace->rounds++ % BENCH_ROUNDS_A_LOOK == 0)
        pace->now = os_now();
    return pace->now;
}
/* Sleeps until the deadline, or the doorbell; not at all without one. */
void bench_pace_sleep(const struct bench_pace *pace, xenpv_handle doorbell, uint64_t deadline);

#endif
