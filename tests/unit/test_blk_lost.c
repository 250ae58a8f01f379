/* SPDX-License-Identifier: MIT */
/*
 * A lost connection as the program sees it: what a held queue answers, what ends when and with what
 * status, and that a device which has failed can be opened again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "faulty_port.h"
#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { BLOCK = 4096, DEPTH = 8, NONE = 1 };

static struct lost {
    struct rig rig;
    struct plain plain;
    uint8_t data[DEPTH * BLOCK];
    struct xenpv_iov iov[DEPTH];
    int status[DEPTH]; /* NONE: it is pending */
} lost;

static const struct plain_key everything[] = {
    {"sectors", "2048"}, {"feature-flush-cache", "1"}, {"feature-discard", "1"}, {NULL, NULL}};

static uint64_t now(void)
{
    return xenpv_mock_now(lost.rig.mock);
}

static void up(const struct rig_options *options)
{
    struct rig_options mine = *options;

    mine.no_backend = true;
    mine.operations = DEPTH;
    rig_up(&lost.rig, &mine);
    plain_up(&lost.plain, &lost.rig);
    lost.plain.answer = everything;
    rig_connect(&lost.rig);
    for (uint32_t i = 0; i < DEPTH; i++)
        lost.iov[i] = (struct xenpv_iov){lost.data + (size_t)i * BLOCK, BLOCK};
}

static void down(void)
{
    plain_down(&lost.plain);
    rig_down(&lost.rig);
}

static void queue_write(uint32_t i)
{
    lost.status[i] = NONE;
    assert_int_equal(
        xenpv_blkq_writev(lost.rig.q, (uint64_t)i * BLOCK, &lost.iov[i], 1, &lost.status[i]),
        XENPV_OK);
}

static void take(void)
{
    struct xenpv_completion done[DEPTH];
    int count = xenpv_blkq_poll(lost.rig.q, done, DEPTH);

    for (int i = 0; i < count; i++) {
        int *status = done[i].user;

        assert_int_equal(*status, NONE);
        *status = done[i].status;
    }
}

/* Steps and polls for that long, or until the device is over; how long it took. */
static uint64_t run(uint64_t ms)
{
    uint64_t begin = now();

    while (now() < begin + ms && !rig_over(&lost.rig)) {
        rig_step(&lost.rig);
        take();
        xenpv_mock_advance(lost.rig.mock, 1);
    }
    return now() - begin;
}

static void run_to(enum xenpv_blk_state state, uint64_t ms)
{
    for (uint64_t end = now() + ms; now() < end && xenpv_blk_state(lost.rig.blk) != state;) {
        rig_step(&lost.rig);
        take();
        xenpv_mock_advance(lost.rig.mock, 1);
    }
    assert_int_equal(xenpv_blk_state(lost.rig.blk), state);
}

static void set_state(const char *state)
{
    rig_set(&lost.rig, lost.rig.backend_path, "state", state);
}

static void assert_all(int status)
{
    for (uint32_t i = 0; i < DEPTH; i++)
        assert_int_equal(lost.status[i], status);
}

static void fill_queue(void)
{
    for (uint32_t i = 0; i < DEPTH; i++)
        queue_write(i);
    xenpv_blkq_submit(lost.rig.q);
}

/* A new connection, in which all works. */
static void reopen(void)
{
    lost.plain.deaf = lost.plain.gone = false;
    if (lost.plain.state != 2)
        lost.plain.state = 0;
    rig_connect(&lost.rig);
    fill_queue();
    run(20);
    assert_all(XENPV_OK);
    assert_memory_equal(lost.plain.disk, lost.data, sizeof(lost.data));
    rig_close(&lost.rig);
}

/* ---- a held queue ---------------------------------------------------------------------------- */

static void test_held_queue(void **state)
{
    struct xenpv_blkq *q;
    struct xenpv_completion done;
    struct faulty_port faulty;

    (void)state;
    up(&(struct rig_options){.recover_ms = 60000, .shared_pages = 1});
    faulty_wrap(&faulty, &lost.rig.front_port);
    lost.rig.front_port.caps |= XENPV_CAP_WAIT;
    q = lost.rig.q;
    lost.plain.deaf = true;
    queue_write(0);
    assert_int_not_equal(xenpv_blkq_wait_handle(q), XENPV_NO_HANDLE);
    lost.plain.gone = true;
    set_state("5");
    rig_step(&lost.rig);
    /* The queue's thread has to be told, and acknowledge. */
    assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_RECOVERING);
    assert_false(xenpv_blkq_held(q));
    assert_int_equal(xenpv_blkq_arm(q), 1);
    assert_int_equal(xenpv_blkq_poll(q, &done, 1), 0);
    assert_true(xenpv_blkq_held(q));
    assert_int_equal(xenpv_blkq_arm(q), 0);
    assert_int_equal(xenpv_blkq_wait_handle(q), XENPV_NO_HANDLE);
    assert_null(xenpv_blkq_shared(q));
    assert_int_equal(xenpv_blkq_poll(q, &done, 1), 0);
    /* It takes as much as ever, of every kind; what cannot be is refused as ever. */
    queue_write(1);
    lost.status[2] = lost.status[3] = lost.status[4] = NONE;
    assert_int_equal(xenpv_blkq_flush(q, &lost.status[2]), XENPV_OK);
    assert_int_equal(xenpv_blkq_discard(q, 65536, 4096, 0, &lost.status[3]), XENPV_OK);
    assert_int_equal(xenpv_blkq_write_shared(q, 131072, 0, 512, &lost.status[4]), XENPV_OK);
    assert_int_equal(xenpv_blkq_readv(q, 1 << 20, &lost.iov[7], 1, NULL), XENPV_ERANGE);
    for (uint32_t i = 5; i < DEPTH; i++)
        queue_write(i);
    assert_int_equal(xenpv_blkq_flush(q, NULL), XENPV_EFULL);
    xenpv_blkq_submit(q);
    assert_int_equal(xenpv_blkq_pending(q), DEPTH);
    assert_int_equal(lost.plain.asked[XENPV_BLKIF_WRITE], 0);
    assert_int_equal(xenpv_blk_connect(lost.rig.blk, now()), XENPV_EBUSY);
    assert_int_equal(xenpv_blk_inspect(lost.rig.blk, now()), XENPV_EBUSY);
    lost.plain.gone = lost.plain.deaf = false;
    lost.plain.state = 5;
    run_to(XENPV_BLK_CONNECTED, 10000);
    run(20);
    assert_false(xenpv_blkq_held(q));
    assert_all(XENPV_OK);
    assert_memory_equal(lost.plain.disk + 5 * BLOCK, lost.data + 5 * BLOCK, 3 * BLOCK);
    rig_close(&lost.rig);
    down();
}

/* ---- it does not return ---------------------------------------------------------------------- */

/* How the connection is lost, and for how long it is awaited. */
static const struct {
    const char *what;
    const char *backend_state; /* NULL: a suspend */
    uint32_t recover_ms;
    int error; /* of the device, and of what was pending */
} never[] = {
    {"closing, not awaited", "5", 0, XENPV_EPEER},
    {"closed, not awaited", "6", 0, XENPV_EPEER},
    {"restarting, not awaited", "2", 0, XENPV_EPEER},
    {"suspended, not awaited", NULL, 0, XENPV_ESTALE},
    {"closing", "5", 3000, XENPV_ETIMEDOUT},
    {"closed", "6", 3000, XENPV_ETIMEDOUT},
    {"at its beginning", "1", 3000, XENPV_ETIMEDOUT},
    {"suspended", NULL, 3000, XENPV_ETIMEDOUT},
};

static void test_LC_11_never_returns(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(never); i++) {
        uint64_t took;

        print_message("  %s\n", never[i].what);
        up(&(struct rig_options){.recover_ms = never[i].recover_ms});
        lost.plain.deaf = true;
        fill_queue();
        rig_rest(&lost.rig);
        lost.plain.gone = true;
        /* What it had mapped goes with it. */
        plain_down(&lost.plain);
        if (never[i].backend_state)
            set_state(never[i].backend_state);
        else
            xenpv_mock_suspend(lost.rig.mock, 1);
        took = run(60000);
        assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_FAILED);
        assert_int_equal(xenpv_blk_detail(lost.rig.blk)->error, never[i].error);
        assert_in_range(took, never[i].recover_ms, never[i].recover_ms + 10100);
        run(1);
        take();
        assert_all(never[i].error);
        assert_int_equal(xenpv_blkq_flush(lost.rig.q, NULL), XENPV_EPARKED);
        assert_int_equal(xenpv_blk_abandoned(lost.rig.blk), 0);
        set_state("6");
        plain_up(&lost.plain, &lost.rig);
        lost.plain.answer = everything;
        reopen();
        down();
    }
}

/* ---- closed while it is lost ----------------------------------------------------------------- */

/* What is held ends, and so does the device, without waiting for who is not there. A loss that was
 * not noticed before the close is found on the way: what was accepted cannot be finished. */
static void check_close(bool suspended, uint64_t after)
{
    int unnoticed = suspended ? XENPV_ESTALE : XENPV_ETIMEDOUT;

    up(&(struct rig_options){.recover_ms = 60000});
    lost.plain.deaf = true;
    fill_queue();
    rig_rest(&lost.rig);
    lost.plain.gone = true;
    plain_down(&lost.plain);
    if (suspended)
        xenpv_mock_suspend(lost.rig.mock, 1);
    else
        set_state("6");
    run(after);
    xenpv_blk_close(lost.rig.blk, now());
    run(20000);
    take();
    assert_int_equal(xenpv_blk_state(lost.rig.blk), after ? XENPV_BLK_CLOSED : XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blk_detail(lost.rig.blk)->error, after ? 0 : unnoticed);
    for (uint32_t i = 0; i < DEPTH; i++)
        assert_true(lost.status[i] == XENPV_EPEER || (!after && lost.status[i] == unnoticed));
    assert_int_equal(xenpv_blkq_readv(lost.rig.q, 0, &lost.iov[0], 1, NULL), XENPV_EPARKED);
    set_state("6");
    plain_up(&lost.plain, &lost.rig);
    lost.plain.answer = everything;
    reopen();
    down();
}

static void test_RL_05_closed_while_held(void **state)
{
    (void)state;
    for (uint64_t after = 0; after < 700; after += after < 20 ? 1 : 97) {
        check_close(false, after);
        check_close(true, after);
    }
}

/* ---- when a connection may be made ----------------------------------------------------------- */

/* BUSY in every state but those that end; in these, until the end has been polled. */
static void test_connect_busy(void **state)
{
    struct xenpv_completion done[DEPTH];
    struct xenpv_blk *blk;

    (void)state;
    rig_up(&lost.rig, &(struct rig_options){.no_backend = true, .operations = DEPTH});
    plain_up(&lost.plain, &lost.rig);
    blk = lost.rig.blk;
    for (uint32_t i = 0; i < DEPTH; i++)
        lost.iov[i] = (struct xenpv_iov){lost.data + (size_t)i * BLOCK, BLOCK};
    assert_int_equal(xenpv_blk_state(blk), XENPV_BLK_IDLE);
    assert_int_equal(xenpv_blk_connect(blk, 0), XENPV_OK);
    assert_int_equal(xenpv_blk_state(blk), XENPV_BLK_CONNECTING);
    assert_int_equal(xenpv_blk_connect(blk, 0), XENPV_EBUSY);
    assert_int_equal(xenpv_blk_inspect(blk, 0), XENPV_EBUSY);
    rig_until(&lost.rig, XENPV_BLK_CONNECTED);
    assert_int_equal(xenpv_blk_connect(blk, now()), XENPV_EBUSY);
    assert_int_equal(xenpv_blk_inspect(blk, now()), XENPV_EBUSY);
    lost.plain.deaf = true;
    fill_queue();
    rig_rest(&lost.rig);
    set_state("5");
    rig_step(&lost.rig);
    assert_int_equal(xenpv_blk_state(blk), XENPV_BLK_CLOSING);
    assert_int_equal(xenpv_blk_connect(blk, now()), XENPV_EBUSY);
    /* The end is polled one operation at a time; the device is over in between. */
    for (uint32_t i = 0; i < DEPTH; i++) {
        assert_int_equal(xenpv_blkq_poll(lost.rig.q, done, 1), 1);
        assert_int_equal(done[0].status, XENPV_EPEER);
        for (int k = 0; k < 20; k++) {
            rig_step(&lost.rig);
            xenpv_mock_advance(lost.rig.mock, 1);
        }
    }
    assert_int_equal(xenpv_blk_state(blk), XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blkq_poll(lost.rig.q, done, 1), XENPV_EPARKED);
    reopen();
    /* From CLOSED and IDLE closing is at once, and harmless. */
    xenpv_blk_close(blk, now());
    assert_int_equal(xenpv_blk_step(blk, now()), XENPV_BLK_CLOSED);
    reopen();
    down();
}

static void test_closed_from_idle(void **state)
{
    (void)state;
    rig_up(&lost.rig, &(struct rig_options){.no_backend = true, .operations = DEPTH});
    plain_up(&lost.plain, &lost.rig);
    xenpv_blk_close(lost.rig.blk, 0);
    assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_CLOSED);
    assert_int_equal(rig_get(&lost.rig, RIG_FRONTEND_PATH, "state"), 1);
    for (uint32_t i = 0; i < DEPTH; i++)
        lost.iov[i] = (struct xenpv_iov){lost.data + (size_t)i * BLOCK, BLOCK};
    reopen();
    down();
}

/* A violation that the queue has met, and control not yet heard of, is not lost over a connect that
 * is refused. */
static void test_violation_then_connect(void **state)
{
    (void)state;
    up(&(struct rig_options){.recover_ms = 60000});
    lost.plain.deaf = true;
    fill_queue();
    plain_answer(&lost.plain, 0, 77777, XENPV_BLKIF_WRITE, XENPV_BLKIF_OKAY);
    plain_publish(&lost.plain, 0);
    take();
    assert_all(XENPV_EBROKEN);
    take();
    assert_int_equal(xenpv_blk_connect(lost.rig.blk, now()), XENPV_EBUSY);
    /* Nor is a peer that broke the protocol awaited. */
    run(20000);
    assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blk_detail(lost.rig.blk)->error, XENPV_EBROKEN);
    assert_int_equal(xenpv_blk_detail(lost.rig.blk)->check, XENPV_CHECK_RSP_ID);
    assert_int_equal(xenpv_blk_detail(lost.rig.blk)->value, 77777);
    reopen();
    down();
}

/* ---- fewer queues, and more ------------------------------------------------------------------ */

static const struct plain_key one_queue[] = {{"multi-queue-max-queues", "1"}, {NULL, NULL}};
static const struct plain_key two_queues[] = {{"multi-queue-max-queues", "2"}, {NULL, NULL}};

/* The second queue is polled for so long, of 2 seconds. */
static void lose_and_return(const struct plain_key *offer, int second_ms)
{
    struct xenpv_completion done;

    lost.plain.offer = offer;
    set_state("5");
    for (int i = 0; i < 2000; i++) {
        rig_step(&lost.rig);
        xenpv_blkq_poll(xenpv_blk_queue(lost.rig.blk, 0), &done, 1);
        if (i < second_ms)
            xenpv_blkq_poll(xenpv_blk_queue(lost.rig.blk, 1), &done, 1);
        xenpv_mock_advance(lost.rig.mock, 1);
    }
    assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_CONNECTED);
}

static uint32_t queues(void)
{
    struct xenpv_blk_info info;

    xenpv_blk_info(lost.rig.blk, &info);
    return info.queues;
}

/* LC-10: the backend comes back with one queue, and once more with two: whatever the thread of the
 * second one has or has not polled meanwhile, the device goes on. */
static void test_LC_10_queues_come_and_go(void **state)
{
    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        struct xenpv_completion done;
        struct xenpv_blkq *second;

        rig_up(&lost.rig,
               &(struct rig_options){.no_backend = true, .queues = 2, .recover_ms = 60000});
        plain_up(&lost.plain, &lost.rig);
        lost.plain.offer = two_queues;
        rig_connect(&lost.rig);
        second = xenpv_blk_queue(lost.rig.blk, 1);
        assert_int_equal(queues(), 2);
        lost.iov[0] = (struct xenpv_iov){lost.data, BLOCK};
        lost.plain.deaf = true;
        assert_int_equal(xenpv_blkq_readv(second, 0, &lost.iov[0], 1, NULL), XENPV_OK);
        xenpv_blkq_submit(second);
        lose_and_return(one_queue, slow ? 1 : 2000);
        lost.plain.deaf = false;
        assert_int_equal(queues(), 1);
        assert_int_equal(xenpv_blkq_readv(second, 0, &lost.iov[0], 1, NULL), XENPV_EPARKED);
        if (slow) {
            lose_and_return(two_queues, 0);
            assert_int_equal(rig_read(&lost.rig, 0, lost.data, BLOCK), XENPV_OK);
            assert_int_equal(xenpv_blkq_poll(second, &done, 1), 1);
            assert_int_equal(done.status, XENPV_EPEER);
        }
        assert_int_equal(xenpv_blkq_poll(second, &done, 1), XENPV_EPARKED);
        lose_and_return(two_queues, 2000);
        assert_int_equal(queues(), 2);
        lost.rig.q = second;
        assert_int_equal(rig_read(&lost.rig, 0, lost.data, BLOCK), XENPV_OK);
        rig_close(&lost.rig);
        down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_queue),
        cmocka_unit_test(test_LC_11_never_returns),
        cmocka_unit_test(test_RL_05_closed_while_held),
        cmocka_unit_test(test_connect_busy),
        cmocka_unit_test(test_closed_from_idle),
        cmocka_unit_test(test_violation_then_connect),
        cmocka_unit_test(test_LC_10_queues_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
