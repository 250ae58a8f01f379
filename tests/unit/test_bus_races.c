/* SPDX-License-Identifier: MIT */
/*
 * Closing, inspecting, suspending and a store that hangs, each where it hurts: while a batch is
 * pending, between two steps, just before a state is written. Most tests go through every moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "faulty_port.h"
#include "hostile_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What the store takes for each batch where the moment matters, and how many moments there are. */
#define DELAY_MS 10u
#define MOMENTS  150u
/* As in xenpv_blk_config_init. */
#define CONNECT_MS 30000u
#define CLOSE_MS   5000u

static uint64_t now(const struct rig *rig)
{
    return xenpv_mock_now(rig->mock);
}

static int own_state(struct rig *rig)
{
    return rig_get(rig, RIG_FRONTEND_PATH, "state");
}

static int peer_state(struct rig *rig)
{
    return rig_get(rig, RIG_BACKEND_PATH, "state");
}

/* Steps the frontend for `ms`, a millisecond at a time; `each` runs after each step. */
static void pass(struct rig *rig, uint64_t ms, void (*each)(struct rig *rig))
{
    for (uint64_t i = 0; i < ms; i++) {
        rig_step(rig);
        if (each)
            each(rig);
        xenpv_mock_advance(rig->mock, 1);
    }
}

/* A connection with nothing left to do for the moment, over a faulty port. */
static void connect_through(struct rig *rig, struct faulty_port *faulty)
{
    rig_up(rig, &(struct rig_options){0});
    faulty_wrap(faulty, &rig->front_port);
    rig_connect(rig);
    pass(rig, 20, NULL);
}

/* ---- closing while something is under way ---------------------------------------------------- */

static void assert_untouched(struct rig *rig)
{
    assert_int_equal(own_state(rig), 4);
    assert_int_equal(rig_get(rig, RIG_FRONTEND_PATH, "ring-ref"), 777);
}

/* An inspection of somebody else's connection writes nothing, closed at whatever moment. */
static void test_inspect_closed_at_every_moment(void **state)
{
    (void)state;
    for (uint32_t moment = 0; moment < 60; moment++) {
        struct rig rig;

        rig_up(&rig, &(struct rig_options){.no_backend = true});
        hostile_offer(&rig);
        rig_set(&rig, RIG_BACKEND_PATH, "state", "4");
        rig_set(&rig, RIG_FRONTEND_PATH, "state", "4");
        rig_set(&rig, RIG_FRONTEND_PATH, "ring-ref", "777");
        xenpv_mock_set_store_delay(rig.mock, 1, DELAY_MS);
        assert_int_equal(xenpv_blk_inspect(rig.blk, 0), XENPV_OK);
        pass(&rig, moment, assert_untouched);
        xenpv_blk_close(rig.blk, now(&rig));
        pass(&rig, 100, assert_untouched);
        assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CLOSED);
        rig_down(&rig);
    }
}

/* What a backend that keeps to the rules writes, but for mapping anything. */
static void play_backend(struct rig *rig)
{
    /* The frontend's state, the backend's, and where it goes. */
    static const char *const answers[9][9] = {
        [1] = {[1] = "2", [6] = "2"},
        [3] = {[2] = "4"},
        [5] = {[2] = "5", [4] = "5"},
        [6] = {[2] = "6", [4] = "6", [5] = "6"},
    };
    const char *answer = answers[own_state(rig)][peer_state(rig)];

    if (answer)
        rig_set(rig, RIG_BACKEND_PATH, "state", answer);
}

/* The backend stays wherever it has got to: closing ends by its own time all the same, and does
 * not go on connecting first. */
static void test_closed_at_every_moment(void **state)
{
    (void)state;
    for (uint32_t moment = 0; moment < MOMENTS; moment++) {
        struct rig rig;
        uint64_t closed;
        bool connected;

        rig_up(&rig, &(struct rig_options){.no_backend = true});
        hostile_offer(&rig);
        xenpv_mock_set_store_delay(rig.mock, 1, DELAY_MS);
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
        pass(&rig, moment, play_backend);
        xenpv_blk_close(rig.blk, now(&rig));
        closed = now(&rig);
        /* A state that was on its way is written yet, no other. */
        pass(&rig, DELAY_MS + 1, NULL);
        connected = own_state(&rig) == 4;
        while (!rig_over(&rig)) {
            rig_run(&rig, 1, rig_over);
            assert_true(connected || own_state(&rig) != 4);
            connected = own_state(&rig) == 4;
            assert_in_range(now(&rig), closed, closed + 3 * CLOSE_MS);
        }
        rig_down(&rig);
    }
}

/* State 4 cannot be written: it was never CONNECTED, so nobody polls the queue, and yet it ends. */
static void test_never_connected_is_never_polled(void **state)
{
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    hostile_offer(&rig);
    assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
    while (own_state(&rig) != 3)
        pass(&rig, 1, play_backend);
    xenpv_mock_set_conflicts(rig.mock, 1, UINT32_MAX);
    rig_set(&rig, RIG_BACKEND_PATH, "state", "4");
    for (uint64_t ms = 0; ms < 3 * CLOSE_MS && !rig_over(&rig); ms++) {
        assert_int_not_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CONNECTED);
        pass(&rig, 1, NULL);
    }
    assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_EAGAIN);
    rig_down(&rig);
}

/* A program that sleeps until each deadline closes as soon as it can, not by time-out. */
static void test_close_by_the_deadlines(void **state)
{
    struct rig rig;
    struct xenpv_completion done;
    uint64_t closed;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    pass(&rig, 20, NULL);
    closed = now(&rig);
    xenpv_blk_close(rig.blk, closed);
    assert_true(xenpv_blk_deadline(rig.blk) <= closed);
    while (!rig_over(&rig)) {
        uint64_t next = xenpv_blk_deadline(rig.blk);

        assert_true(next != UINT64_MAX);
        xenpv_mock_advance(rig.mock, next > now(&rig) ? next - now(&rig) : 0);
        xenpv_blkq_poll(rig.q, &done, 1);
        for (int i = 0; i < 5; i++)
            rig_step(&rig);
    }
    assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CLOSED);
    assert_in_range(now(&rig), closed, closed + CLOSE_MS / 2);
    rig_down(&rig);
}

/* ---- a store that does not answer ------------------------------------------------------------ */

/* Nothing was read: no key is to blame, and nothing of an earlier connection is told. */
static void test_silent_from_the_start(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        struct rig rig;
        struct faulty_port faulty;
        struct xenpv_blk_info info;
        uint64_t started;

        connect_through(&rig, &faulty);
        rig_close(&rig);
        started = now(&rig);
        faulty.silent = UINT32_MAX;
        assert_int_equal(again ? xenpv_blk_connect(rig.blk, started)
                               : xenpv_blk_inspect(rig.blk, started),
                         XENPV_OK);
        while (!rig_over(&rig))
            pass(&rig, 1, NULL);
        assert_int_equal(now(&rig), started + CONNECT_MS + 1);
        assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_ETIMEDOUT);
        assert_string_equal(xenpv_blk_detail(rig.blk)->step, "reading the device's directory");
        assert_string_equal(xenpv_blk_detail(rig.blk)->key, "");
        xenpv_blk_info(rig.blk, &info);
        assert_string_equal(info.backend_path, "");
        assert_int_equal(info.backend_state, XENPV_STATE_UNREAD);
        assert_int_equal(info.frontend_state, XENPV_STATE_UNREAD);
        rig_down(&rig);
    }
}

/* The store falls silent, at whatever moment of closing: that ends, each wait with its own time. */
static void test_silent_from_any_moment_of_closing(void **state)
{
    (void)state;
    for (uint32_t moment = 0; moment < 20; moment++) {
        struct rig rig;
        struct faulty_port faulty;
        uint64_t silent;

        connect_through(&rig, &faulty);
        xenpv_blk_close(rig.blk, now(&rig));
        for (uint32_t i = 0; i < moment; i++) {
            struct xenpv_completion done;

            xenpv_blk_step(rig.blk, now(&rig));
            xenpv_blkq_poll(rig.q, &done, 1);
            if (i % 3 == 2)
                xenpv_blkback_step(rig.back, now(&rig));
            xenpv_mock_advance(rig.mock, 1);
        }
        faulty.silent = UINT32_MAX;
        silent = now(&rig);
        assert_true(rig_run(&rig, 4 * CLOSE_MS, rig_over));
        assert_in_range(now(&rig), silent, silent + 3 * CLOSE_MS);
        rig_down_with_abandoned(&rig);
    }
}

/* The queue's thread is late: however long ago the deadlines were, its memory is not taken away. */
static void test_silent_while_the_queue_runs(void **state)
{
    struct rig rig;
    struct faulty_port faulty;
    struct hostile hostile;
    struct xenpv_completion done;
    uint8_t data[4096];
    struct xenpv_iov iov = {data, sizeof(data)};

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    faulty_wrap(&faulty, &rig.front_port);
    hostile_offer(&rig);
    hostile_connect(&rig, &hostile);
    pass(&rig, 20, NULL);
    /* Ending access would work: only the queue stands in the way. */
    rig.back_port.map->unmap(rig.back_port.ctx, &hostile.map);
    rig.back_port.event->close(rig.back_port.ctx, hostile.port);
    faulty.silent = UINT32_MAX;
    rig_set(&rig, RIG_BACKEND_PATH, "state", "4");
    rig_step(&rig);
    memset(data, 1, sizeof(data));
    assert_int_equal(xenpv_blkq_writev(rig.q, 0, &iov, 1, NULL), XENPV_OK);
    xenpv_blk_close(rig.blk, now(&rig));
    for (int i = 0; i < 4; i++) {
        xenpv_mock_advance(rig.mock, CLOSE_MS + 1);
        rig_step(&rig);
    }
    assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CLOSING);
    /* It fills slots yet, and copies into the arena. */
    assert_int_equal(xenpv_blkq_poll(rig.q, &done, 1), 1);
    assert_int_equal(done.status, XENPV_ETIMEDOUT);
    assert_int_equal(xenpv_blkq_poll(rig.q, &done, 1), XENPV_EPARKED);
    assert_true(rig_run(&rig, 3 * CLOSE_MS, rig_over));
    rig_down(&rig);
}

/* A look hangs when the guest is suspended: control must still ask for its next step, for nothing
 * will signal a handle. */
static void test_suspended_with_a_silent_store(void **state)
{
    struct rig rig;
    struct faulty_port faulty;
    struct xenpv_completion done;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    faulty_wrap(&faulty, &rig.front_port);
    rig.front_port.caps |= XENPV_CAP_WAIT;
    rig_connect(&rig);
    pass(&rig, 20, NULL);
    faulty.silent = UINT32_MAX;
    rig_set(&rig, RIG_BACKEND_PATH, "state", "4");
    xenpv_blk_step(rig.blk, now(&rig));
    assert_non_null(faulty.unanswered);
    xenpv_mock_suspend(rig.mock, 1);
    assert_int_equal(xenpv_blk_step(rig.blk, now(&rig)), XENPV_BLK_CLOSING);
    assert_int_equal(xenpv_blkq_poll(rig.q, &done, 1), XENPV_EPARKED);
    assert_in_range(xenpv_blk_deadline(rig.blk), 0, now(&rig) + 1);
    xenpv_mock_advance(rig.mock, 1);
    assert_int_equal(xenpv_blk_step(rig.blk, now(&rig)), XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_ESTALE);
    rig_down(&rig);
}

/* The store falls silent for so many batches at a certain call. */
struct silencer {
    struct faulty_port *faulty;
    const char *call;
    uint32_t batches;
};

static void silence(void *ctx, const char *call)
{
    const struct silencer *silencer = ctx;

    if (strcmp(call, silencer->call) == 0)
        silencer->faulty->silent = silencer->batches;
}

static void fail_publication(void *ctx, const char *call)
{
    struct faulty_port *faulty = ctx;

    if (strcmp(call, "alloc_unbound") == 0)
        faulty->fail_at = faulty->calls + 1;
}

/* The backend has given all back, and only our keys are left to remove: it has closed. */
static void test_silent_once_all_is_given_back(void **state)
{
    struct rig rig;
    struct faulty_port faulty;
    struct silencer silencer = {&faulty, "end", UINT32_MAX};

    (void)state;
    connect_through(&rig, &faulty);
    faulty.before = silence;
    faulty.before_ctx = &silencer;
    xenpv_blk_close(rig.blk, now(&rig));
    assert_true(rig_run(&rig, 3 * CLOSE_MS, rig_over));
    assert_int_equal(faulty.silent, UINT32_MAX);
    assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CLOSED);
    rig_down(&rig);
}

/* The keys are given up and arrive all the same: the backend must not be left with a state 3 whose
 * grants are void. */
static void test_publication_takes_effect_late(void **state)
{
    (void)state;
    for (int by_user = 0; by_user < 2; by_user++) {
        struct rig rig;
        struct faulty_port faulty;
        struct silencer silencer = {&faulty, "alloc_unbound", 1};

        rig_up(&rig, &(struct rig_options){0});
        faulty_wrap(&faulty, &rig.front_port);
        faulty.before = silence;
        faulty.before_ctx = &silencer;
        faulty.batches_act = true;
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
        while (!faulty.unanswered)
            pass(&rig, 1, NULL);
        faulty.before = NULL;
        if (by_user)
            xenpv_blk_close(rig.blk, now(&rig));
        assert_true(rig_run(&rig, CONNECT_MS + 3 * CLOSE_MS, rig_over));
        pass(&rig, 2000, NULL);
        assert_int_not_equal(own_state(&rig), 3);
        assert_int_equal(xenpv_blk_abandoned(rig.blk), 0);
        rig_connect(&rig);
        rig_close(&rig);
        rig_down(&rig);
    }
}

/* The same when the connection to the store is lost over the answer. */
static void test_publication_of_unknown_fate(void **state)
{
    struct rig rig;
    struct faulty_port faulty;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    faulty_wrap(&faulty, &rig.front_port);
    faulty.before = fail_publication;
    faulty.before_ctx = &faulty;
    faulty.error = XENPV_ESTORE;
    faulty.batches_act = true;
    assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
    assert_true(rig_run(&rig, 3 * CLOSE_MS, rig_over));
    assert_string_equal(faulty.failed, "start");
    assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_ESTORE);
    assert_int_equal(own_state(&rig), 6);
    faulty.before = NULL;
    rig_connect(&rig);
    rig_close(&rig);
    rig_down(&rig);
}

/* ---- while connected ------------------------------------------------------------------------- */

/* One answer of the store is lost: the data path needs none, and what it would have told is seen
 * later. */
static void test_hiccup_while_connected(void **state)
{
    static const int errors[] = {XENPV_ESTORE, XENPV_ENOMEM, XENPV_EAGAIN};
    uint8_t data[512];

    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct rig rig;
        struct faulty_port faulty;

        connect_through(&rig, &faulty);
        faulty.error = errors[i];
        faulty.fail_at = faulty.calls + 1;
        rig_set(&rig, RIG_BACKEND_PATH, "state", "5");
        xenpv_blk_step(rig.blk, now(&rig));
        assert_string_equal(faulty.failed, "start");
        assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CONNECTED);
        rig_set(&rig, RIG_BACKEND_PATH, "state", "4");
        assert_int_equal(rig_read(&rig, 0, data, sizeof(data)), XENPV_OK);
        /* The next one is lost again, and after it nothing pokes any more. */
        faulty.fail_at = 0;
        pass(&rig, 1000, NULL);
        faulty.fail_at = faulty.calls + 1;
        rig_set(&rig, RIG_BACKEND_PATH, "state", "6");
        xenpv_blk_step(rig.blk, now(&rig));
        assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CONNECTED);
        rig_run(&rig, 3000, rig_over);
        assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_FAILED);
        assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_EPEER);
        rig_down(&rig);
    }
}

/* The properties of a connected disk are poked, and cannot be read: they are read again later. */
static void test_reread_that_fails(void **state)
{
    static const int errors[] = {XENPV_ESTORE, XENPV_ENOMEM, XENPV_EAGAIN, XENPV_EACCES};
    struct xenpv_blk_info info;

    (void)state;
    for (size_t i = 0; i < COUNT(errors); i++) {
        struct rig rig;
        struct faulty_port faulty;

        connect_through(&rig, &faulty);
        faulty.error = errors[i];
        faulty.fail_at = faulty.calls + 2; /* the first is the look at the state */
        rig_set(&rig, RIG_BACKEND_PATH, "sectors", "4096");
        rig_set(&rig, RIG_BACKEND_PATH, "state", "4");
        xenpv_blk_step(rig.blk, now(&rig));
        assert_string_equal(faulty.failed, "start");
        assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CONNECTED);
        faulty.fail_at = 0;
        pass(&rig, 1000, NULL);
        xenpv_blk_info(rig.blk, &info);
        assert_int_equal(info.bytes, 4096 * 512);
        rig_close(&rig);
        rig_down(&rig);
    }
}

struct late_queue {
    struct rig *rig;
    bool armed;
};

static void poll_inside_a_step(void *ctx, const char *call)
{
    struct late_queue *late = ctx;
    struct xenpv_completion done;

    if (!late->armed || strcmp(call, "generation") != 0)
        return;
    late->armed = false;
    assert_int_equal(xenpv_blkq_poll(late->rig->q, &done, 1), XENPV_EPARKED);
}

/* The queue finds the ring broken while control already ends for another reason: that must not be
 * held against the next connection. */
static void test_violation_of_the_last_connection(void **state)
{
    struct rig rig;
    struct faulty_port faulty;
    struct hostile hostile;
    struct late_queue late = {.rig = &rig};

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    faulty_wrap(&faulty, &rig.front_port);
    faulty.before = poll_inside_a_step;
    faulty.before_ctx = &late;
    hostile_offer(&rig);
    hostile_connect(&rig, &hostile);
    pass(&rig, 20, NULL);
    hostile_put(&hostile, 0, XENPV_BLKIF_READ, XENPV_BLKIF_OKAY);
    hostile_publish(&hostile);
    rig.back_port.map->unmap(rig.back_port.ctx, &hostile.map);
    rig.back_port.event->close(rig.back_port.ctx, hostile.port);
    rig_set(&rig, RIG_BACKEND_PATH, "state", "6");
    late.armed = true;
    rig_step(&rig);
    assert_false(late.armed);
    while (!rig_over(&rig))
        pass(&rig, 1, NULL);
    rig_set(&rig, RIG_BACKEND_PATH, "state", "1");
    hostile_connect(&rig, &hostile);
    pass(&rig, 20, NULL);
    assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CONNECTED);
    xenpv_blk_close(rig.blk, now(&rig));
    hostile_close(&rig, &hostile, XENPV_BLK_CLOSED);
    rig_down(&rig);
}

/* A suspend at every moment of closing. Once all was given back the device has closed, whatever
 * happens to the guest while it tidies the store. */
static void test_suspend_at_every_moment_of_closing(void **state)
{
    uint32_t closed = 0;

    (void)state;
    for (uint32_t moment = 0; moment < 100; moment++) {
        struct rig rig;
        struct xenpv_mock_ledger ledger;
        struct xenpv_completion done;

        rig_up(&rig, &(struct rig_options){0});
        rig_connect(&rig);
        pass(&rig, 20, NULL);
        xenpv_mock_set_store_delay(rig.mock, 1, DELAY_MS);
        xenpv_blk_close(rig.blk, now(&rig));
        for (uint32_t i = 0; i < moment; i++) {
            xenpv_blkq_poll(rig.q, &done, 1);
            pass(&rig, 1, NULL);
        }
        xenpv_mock_ledger(rig.mock, 1, &ledger);
        xenpv_mock_suspend(rig.mock, 1);
        assert_true(rig_run(&rig, CLOSE_MS, rig_over));
        assert_int_equal(xenpv_blk_state(rig.blk),
                         ledger.grants ? XENPV_BLK_FAILED : XENPV_BLK_CLOSED);
        closed += ledger.grants == 0;
        rig_connect(&rig);
        rig_close(&rig);
        rig_down(&rig);
    }
    assert_in_range(closed, 1, 99);
}

/* ---- backends -------------------------------------------------------------------------------- */

/* A backend that connects late to a previous owner's keys, at every moment of taking over. */
static void test_backend_connects_late(void **state)
{
    (void)state;
    for (uint32_t moment = 0; moment < MOMENTS; moment++) {
        struct rig rig;
        uint64_t late;

        rig_up(&rig, &(struct rig_options){.no_backend = true});
        hostile_offer(&rig);
        rig_set(&rig, RIG_FRONTEND_PATH, "state", "3");
        rig_set(&rig, RIG_BACKEND_PATH, "state", "2");
        xenpv_mock_set_store_delay(rig.mock, 1, DELAY_MS);
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
        pass(&rig, moment, NULL);
        rig_set(&rig, RIG_BACKEND_PATH, "state", "4");
        late = now(&rig);
        while (xenpv_blk_state(rig.blk) != XENPV_BLK_CONNECTED) {
            assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CONNECTING);
            assert_in_range(now(&rig), late, late + 2000);
            pass(&rig, 1, play_backend);
        }
        xenpv_blk_close(rig.blk, now(&rig));
        for (int i = 0; i < 2000 && !rig_over(&rig); i++) {
            rig_run(&rig, 1, rig_over);
            play_backend(&rig);
        }
        assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CLOSED);
        rig_down(&rig);
    }
}

/* A backend that gets no watch ends and says why; it does not serve half-deaf. */
static void test_backend_without_watches(void **state)
{
    (void)state;
    for (uint64_t watch = 2; watch < 4; watch++) {
        struct rig rig;
        struct faulty_port faulty;
        struct xenpv_mock_ledger ledger;

        rig_up(&rig, &(struct rig_options){0});
        faulty_wrap(&faulty, &rig.back_port);
        faulty.error = XENPV_ENOSPC;
        faulty.fail_at = watch;
        while (xenpv_blkback_step(rig.back, now(&rig)) != XENPV_BUS_DONE) {
            assert_in_range(now(&rig), 0, CLOSE_MS);
            xenpv_mock_advance(rig.mock, 1);
        }
        assert_string_equal(faulty.failed, "watch");
        assert_int_equal(xenpv_blkback_detail(rig.back)->error, XENPV_ENOSPC);
        xenpv_mock_ledger(rig.mock, 0, &ledger);
        assert_int_equal(ledger.watches, 0);
        rig_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspect_closed_at_every_moment),
        cmocka_unit_test(test_closed_at_every_moment),
        cmocka_unit_test(test_never_connected_is_never_polled),
        cmocka_unit_test(test_close_by_the_deadlines),
        cmocka_unit_test(test_silent_from_the_start),
        cmocka_unit_test(test_silent_from_any_moment_of_closing),
        cmocka_unit_test(test_silent_while_the_queue_runs),
        cmocka_unit_test(test_suspended_with_a_silent_store),
        cmocka_unit_test(test_silent_once_all_is_given_back),
        cmocka_unit_test(test_publication_takes_effect_late),
        cmocka_unit_test(test_publication_of_unknown_fate),
        cmocka_unit_test(test_hiccup_while_connected),
        cmocka_unit_test(test_reread_that_fails),
        cmocka_unit_test(test_violation_of_the_last_connection),
        cmocka_unit_test(test_suspend_at_every_moment_of_closing),
        cmocka_unit_test(test_backend_connects_late),
        cmocka_unit_test(test_backend_without_watches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
