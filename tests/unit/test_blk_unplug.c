/* SPDX-License-Identifier: MIT */
/*
 * A disk is taken away with its ring full (RL-06); storage that is silent, fails, and returns (seed
 * row O14); and a backend that goes round and keeps everything it was ever shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "life.h"
#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { CLOSE_MS = 5000, RECOVER_MS = 60000, DEPTH = 32, BLOCK = 4096 };

static uint64_t now(const struct rig *rig)
{
    return xenpv_mock_now(rig->mock);
}

/* libxl, vbd detach: `online`, then the backend's state, in one go. */
static void unplug(struct rig *rig)
{
    rig_set(rig, rig->backend_path, "online", "0");
    rig_set(rig, rig->backend_path, "state", "5");
}

static void assert_nothing_held(const struct rig *rig, uint16_t domid)
{
    struct xenpv_mock_ledger ledger, nothing = {0};

    assert_int_equal(xenpv_mock_ledger(rig->mock, domid, &ledger), XENPV_OK);
    assert_memory_equal(&ledger, &nothing, sizeof(ledger));
}

/* ---- taken away ------------------------------------------------------------------------------ */

/* Our backend finishes what it was sent; nothing is awaited, and nothing is left. */
static void check_unplug(uint32_t seed, bool own)
{
    static struct life life;
    uint64_t begin;

    life = (struct life){.options = {.queues = LIFE_QUEUES,
                                     .operations = WORKLOAD_JOBS,
                                     .recover_ms = RECOVER_MS,
                                     .own_memory = own},
                         .seed = seed,
                         .aligned = own,
                         .large = true};
    life_up(&life);
    rig_connect(&life.rig);
    for (uint32_t i = 0; i < life.queues; i++)
        life.work[i].may_fail = true;
    life_turns(&life, seed);
    for (uint32_t i = 0; i < life.queues; i++)
        workload_queue(&life.work[i], WORKLOAD_JOBS);
    unplug(&life.rig);
    begin = now(&life.rig);
    assert_true(life_until(&life, XENPV_BLK_FAILED, 20000));
    /* What the backend has not seen before it stopped is waited for in vain. */
    assert_true(now(&life.rig) - begin <= CLOSE_MS + 1000);
    assert_true(life_drained(&life, 50));
    assert_int_equal(xenpv_blk_detail(life.rig.blk)->error, XENPV_EPEER);
    assert_nothing_held(&life.rig, 1);
    assert_nothing_held(&life.rig, 0);
    rig_remove(&life.rig);
    life_down(&life);
}

static void test_RL_06_full_ring(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 30; seed++) {
        check_unplug(seed, false);
        check_unplug(seed, true);
    }
}

/* What a backend does to a request before it goes; what becomes of it by then. */
static const struct {
    const char *what;
    bool deaf;     /* it answers nothing */
    bool stubborn; /* it says that it has closed, and has not let go */
    int status;
    uint32_t abandoned;
} backends[] = {
    {"answers", false, false, XENPV_OK, 0},
    {"answers nothing", true, false, XENPV_EPEER, 0},
    {"keeps all", true, true, XENPV_EPEER, 353},
};

static void check_backend(struct plain *plain, size_t i)
{
    static uint8_t data[DEPTH][BLOCK];
    struct xenpv_iov iov[DEPTH];
    struct xenpv_completion done[DEPTH];
    uint32_t ended = 0;
    uint64_t begin;
    struct rig rig;

    rig_up(&rig, &(struct rig_options){
                     .no_backend = true, .operations = DEPTH, .recover_ms = RECOVER_MS});
    plain_up(plain, &rig);
    rig_connect(&rig);
    plain->deaf = backends[i].deaf;
    plain->stubborn = backends[i].stubborn;
    for (uint32_t k = 0; k < DEPTH; k++) {
        iov[k] = (struct xenpv_iov){data[k], BLOCK};
        assert_int_equal(xenpv_blkq_writev(rig.q, (uint64_t)k * BLOCK, &iov[k], 1, NULL), XENPV_OK);
    }
    xenpv_blkq_submit(rig.q);
    unplug(&rig);
    begin = now(&rig);
    while (!rig_over(&rig) || ended < DEPTH) {
        int count = xenpv_blkq_poll(rig.q, done, DEPTH);

        for (int k = 0; k < count; k++)
            assert_int_equal(done[k].status, backends[i].status);
        ended += count > 0 ? (uint32_t)count : 0;
        rig_step(&rig);
        xenpv_mock_advance(rig.mock, 1);
        assert_true(now(&rig) - begin <= 3 * CLOSE_MS + 100);
    }
    assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blk_abandoned(rig.blk), backends[i].abandoned);
    plain_down(plain);
    rig_down_with_abandoned(&rig);
}

static void test_RL_06_backends(void **state)
{
    struct plain *plain = malloc(sizeof(*plain));

    (void)state;
    for (size_t i = 0; i < COUNT(backends); i++) {
        print_message("  %s\n", backends[i].what);
        check_backend(plain, i);
    }
    free(plain);
}

/* ---- storage that fails ---------------------------------------------------------------------- */

static struct storage {
    struct xenpv_disk disk;
    bool broken;
    struct life life;
} storage;

static int read_disk(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    return storage.broken ? XENPV_EIO : storage.disk.read(ctx, offset, to, length);
}

static int write_disk(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    return storage.broken ? XENPV_EIO : storage.disk.write(ctx, offset, from, length);
}

static int flush_disk(void *ctx)
{
    return storage.broken ? XENPV_EIO : storage.disk.flush(ctx);
}

static int discard_disk(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    return storage.broken ? XENPV_EIO : storage.disk.discard(ctx, offset, length, secure);
}

static uint64_t failed(void)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < storage.life.queues; i++)
        count += storage.life.work[i].failed;
    return count;
}

/* Nothing is answered, for minutes: that is no reason to give up. Then all fails, as it is told, and
 * then all is well again: what had been acknowledged is there. */
static void check_failover(uint32_t seed)
{
    struct life *life = &storage.life;
    struct rig *rig = &life->rig;
    struct xenpv_blkback *back;

    *life = (struct life){
        .options = {.kind = RIG_VOLATILE, .queues = LIFE_QUEUES, .recover_ms = RECOVER_MS},
        .seed = seed,
        .large = true};
    storage.broken = false;
    life_up(life);
    storage.disk = rig->disk;
    rig->disk.read = read_disk;
    rig->disk.write = write_disk;
    rig->disk.flush = flush_disk;
    rig->disk.discard = discard_disk;
    rig_connect(rig);
    life_turns(life, 20);
    back = rig->back;
    rig->back = NULL;
    for (uint32_t second = 0; second < 300; second++) {
        life_turn(life);
        xenpv_mock_advance(rig->mock, 1000);
    }
    assert_int_equal(xenpv_blk_state(rig->blk), XENPV_BLK_CONNECTED);
    assert_int_equal(failed(), 0);
    rig->back = back;
    storage.broken = true;
    for (uint32_t i = 0; i < life->queues; i++)
        life->work[i].may_fail = true;
    life_turns(life, 20);
    assert_true(failed() > 0);
    storage.broken = false;
    assert_true(life_drained(life, 1000));
    for (uint32_t i = 0; i < life->queues; i++)
        life->work[i].may_fail = false;
    life_turns(life, 20);
    assert_int_equal(xenpv_blk_state(rig->blk), XENPV_BLK_CONNECTED);
    assert_true(life_drained(life, 1000));
    xenpv_disk_power_cut(&rig->disk, seed);
    for (uint32_t i = 0; i < life->queues; i++)
        workload_check_cut(&life->work[i], rig);
    life_down(life);
}

static void test_seed_O14_storage_failover(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 15; seed++)
        check_failover(seed);
}

/* ---- a backend that goes round --------------------------------------------------------------- */

static void grind(struct rig *rig, struct plain *plain, uint32_t *rounds)
{
    plain->stubborn = true;
    for (int i = 0; i < 400000 && !rig_over(rig); i++) {
        if (xenpv_blk_state(rig->blk) == XENPV_BLK_CONNECTED && plain->state == 4) {
            ++*rounds;
            /* It forgets what it has mapped, and never gives it back. */
            plain->queues = 0;
            rig_set(rig, rig->backend_path, "state", "5");
            plain->state = 5;
        }
        rig_step(rig);
        rig_poll_all(rig);
        xenpv_mock_advance(rig->mock, 1);
    }
}

/* O3 of the hostile tests: memory that is given up is bounded, however often it returns. */
static void test_GT_02_bounded_loss(void **state)
{
    struct plain *plain = malloc(sizeof(*plain));
    uint32_t rounds = 0;
    struct rig rig;

    (void)state;
    rig_up(&rig,
           &(struct rig_options){.no_backend = true, .recover_ms = RECOVER_MS, .buffer_pages = 11});
    plain_up(plain, &rig);
    rig_connect(&rig);
    grind(&rig, plain, &rounds);
    assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_FAILED);
    assert_in_range(rounds, 3, 100);
    assert_in_range(xenpv_blk_abandoned(rig.blk), 12, 1200);
    assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_EBUSY);
    free(plain->disk);
    free(plain);
    /* What the backend has mapped, and its channels, are there until its end. */
    rig.disk.close(rig.disk.ctx);
    xenpv_mock_destroy(rig.mock);
    assert_int_equal(rig.heap.blocks, 0);
    free(rig.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_RL_06_full_ring),
        cmocka_unit_test(test_RL_06_backends),
        cmocka_unit_test(test_seed_O14_storage_failover),
        cmocka_unit_test(test_GT_02_bounded_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
