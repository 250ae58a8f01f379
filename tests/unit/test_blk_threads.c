/* SPDX-License-Identifier: MIT */
/*
 * Control, queue and backend in a thread each: what they share is ordered (ThreadSanitizer looks),
 * and nothing is lost over several connections that are closed under load.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "blk_rig.h"

#define CYCLES     10
#define PER_CYCLE  500u
#define BLOCK      4096u
#define OPERATIONS 8u

struct threads {
    struct rig rig;
    uint32_t completed; /* operations that ended well */
    uint32_t finished;  /* control has done all cycles: the others end */
};

/* cmocka's assertions jump, and so cannot be used outside its own thread. */
static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static pthread_mutex_t mock_mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&mock_mutex);
}

static void unlock(void *ctx)
{
    (void)ctx;
    pthread_mutex_unlock(&mock_mutex);
}

static void *run_backend(void *ctx)
{
    struct threads *threads = ctx;
    uint64_t now = 0;

    while (!xenpv_load_acquire(&threads->finished)) {
        xenpv_blkback_step(threads->rig.back, now++);
        sched_yield();
    }
    return NULL;
}

/* Writes a block with a pattern, or reads it back; each slot has its own block. */
struct slot {
    uint8_t data[BLOCK];
    struct xenpv_iov iov;
    bool busy, written;
    uint8_t pattern;
};

static void start_slot(struct xenpv_blkq *q, struct slot *slot, uint64_t offset)
{
    int error;

    if (slot->written) {
        memset(slot->data, 0, BLOCK);
        error = xenpv_blkq_readv(q, offset, &slot->iov, 1, slot);
    } else {
        memset(slot->data, ++slot->pattern, BLOCK);
        error = xenpv_blkq_writev(q, offset, &slot->iov, 1, slot);
    }
    must(error == XENPV_OK || error == XENPV_EPARKED, "an operation is refused");
    slot->busy = error == XENPV_OK;
}

static void end_slot(struct threads *threads, const struct xenpv_completion *done)
{
    struct slot *slot = done->user;

    must(done->status == XENPV_OK, "an operation fails though the device is drained");
    must(!slot->written || slot->data[BLOCK / 2] == slot->pattern, "a block reads back wrong");
    slot->written = !slot->written;
    slot->busy = false;
    xenpv_store_release(&threads->completed, xenpv_load(&threads->completed) + 1);
}

static void *run_queue(void *ctx)
{
    struct threads *threads = ctx;
    struct xenpv_blkq *q = threads->rig.q;
    static struct slot slots[OPERATIONS];
    struct xenpv_completion done[OPERATIONS];

    for (uint32_t i = 0; i < OPERATIONS; i++)
        slots[i].iov = (struct xenpv_iov){slots[i].data, BLOCK};
    while (!xenpv_load_acquire(&threads->finished)) {
        for (uint32_t i = 0; i < OPERATIONS; i++) {
            if (!slots[i].busy)
                start_slot(q, &slots[i], (uint64_t)i * BLOCK);
        }
        xenpv_blkq_submit(q);
        int count = xenpv_blkq_poll(q, done, OPERATIONS);
        for (int i = 0; i < count; i++)
            end_slot(threads, &done[i]);
        if (count == XENPV_EPARKED)
            sched_yield();
    }
    return NULL;
}

static void step_until(struct threads *threads, enum xenpv_blk_state state, uint64_t *now)
{
    while (xenpv_blk_step(threads->rig.blk, *now) != state) {
        must(xenpv_blk_state(threads->rig.blk) != XENPV_BLK_FAILED, "the device fails");
        ++*now;
        sched_yield();
    }
}

static void test_threads(void **state)
{
    struct threads *threads = calloc(1, sizeof(*threads));
    pthread_t backend, queue;
    uint64_t now = 0;

    (void)state;
    rig_up_locked(&threads->rig, &(struct rig_options){.slow_clock = true}, lock, unlock);
    pthread_create(&backend, NULL, run_backend, threads);
    pthread_create(&queue, NULL, run_queue, threads);
    for (uint32_t i = 1; i <= CYCLES; i++) {
        assert_int_equal(xenpv_blk_connect(threads->rig.blk, now), XENPV_OK);
        step_until(threads, XENPV_BLK_CONNECTED, &now);
        while (xenpv_load_acquire(&threads->completed) < i * PER_CYCLE) {
            xenpv_blk_step(threads->rig.blk, now);
            sched_yield();
        }
        xenpv_blk_close(threads->rig.blk, now);
        step_until(threads, XENPV_BLK_CLOSED, &now);
    }
    xenpv_store_release(&threads->finished, 1);
    pthread_join(queue, NULL);
    pthread_join(backend, NULL);
    rig_down(&threads->rig);
    free(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
