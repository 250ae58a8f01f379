/* SPDX-License-Identifier: MIT */
/*
 * A frontend that lost its backend, and is not connected again: time is up, the device is taken
 * away, or over, the peer is no good, or it is told to close.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus_worlds.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct xenpv_detail *detail(const struct bus_rig *rig)
{
    return &rig->front.bus.detail;
}

static int own_state(struct bus_rig *rig)
{
    return bus_rig_get(rig, BUS_RIG_FRONT, "state");
}

/* ---- it never returns ------------------------------------------------------------------------ */

/* One of them happens when the backend has died, and nothing after it. */
static void stays_at_1(struct bus_rig *rig)
{
    bus_rig_set(rig, rig->back.path, "state", "1");
}

static void stays_at_2(struct bus_rig *rig)
{
    bus_rig_set(rig, rig->back.path, "state", "2");
}

static void stays_at_5(struct bus_rig *rig)
{
    bus_rig_set(rig, rig->back.path, "state", "5");
}

static void stays_at_6(struct bus_rig *rig)
{
    bus_rig_set(rig, rig->back.path, "state", "6");
}

static void backend_gone(struct bus_rig *rig)
{
    assert_int_equal(xenpv_mock_rm(rig->mock, rig->back.path), XENPV_OK);
}

static void both_gone(struct bus_rig *rig)
{
    bus_rig_remove(rig);
}

static void key_gone(struct bus_rig *rig)
{
    bus_rig_set(rig, BUS_RIG_FRONT, "backend", NULL);
    backend_gone(rig);
}

static void id_gone(struct bus_rig *rig)
{
    bus_rig_set(rig, BUS_RIG_FRONT, "backend-id", NULL);
    backend_gone(rig);
}

static void hidden(struct bus_rig *rig)
{
    stays_at_6(rig);
    struct xenpv_mock_perms perms = {.owner = 0};
    assert_int_equal(xenpv_mock_set_perms(rig->mock, BUS_RIG_FRONT "/backend", &perms), XENPV_OK);
}

#define BACK "/local/domain/2/backend/vbd/1/51712"

static const struct {
    void (*world)(struct bus_rig *rig);
    const char *step, *key, *found;
    int own_state; /* that is left */
} ends[] = {
    {stays_at_1, "waiting for the backend's offer", BACK "/state", "1 (Initialising)", 6},
    {stays_at_2, "waiting for the backend to connect", BACK "/state", "2 (InitWait)", 6},
    {stays_at_5, "waiting for the backend to close", BACK "/state", "5 (Closing)", 6},
    {stays_at_6, "waiting for the backend's offer", BACK "/state", "6 (Closed)", 6},
    {backend_gone, "looking for the backend", BACK "/state", "no state", 6},
    {both_gone, "reading the device's directory", BUS_RIG_FRONT "/backend", "nothing", -1},
    {key_gone, "reading the device's directory", BUS_RIG_FRONT "/backend", "nothing", 6},
    {id_gone, "reading the device's directory", BUS_RIG_FRONT "/backend-id", "nothing", 6},
    {hidden, "reading the store", BUS_RIG_FRONT "/backend", NULL, 6},
};

/* LC-11: the wait has an end, to the millisecond, and says what it was for. */
static void test_LC_11_never_returns(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(ends); i++) {
        struct bus_rig rig;
        struct bus_front *front = &rig.front;
        uint64_t lost;
        bool suspended = i % 2;

        bus_rig_up(&rig);
        bus_rig_connect(&rig);
        bus_rig_pass(&rig, 1000);
        bus_rig_kill_back(&rig);
        ends[i / 2].world(&rig);
        if (suspended)
            xenpv_mock_suspend(rig.mock, 1);
        lost = bus_rig_now(&rig);
        assert_true(bus_rig_run(&rig, 1000, bus_rig_recovering));
        /* That the store did not answer once, in between, is forgotten by then. */
        front->faulty.error = XENPV_ENOMEM;
        front->faulty.fail_at = front->faulty.calls + 20;
        while (front->bus.goal == XENPV_GOAL_CONNECT) {
            assert_in_range(bus_rig_now(&rig), lost, lost + BUS_RIG_RECOVER_MS);
            bus_rig_pass(&rig, 1);
        }
        assert_in_range(bus_rig_now(&rig), lost + BUS_RIG_RECOVER_MS,
                        lost + BUS_RIG_RECOVER_MS + 1);
        assert_int_equal(detail(&rig)->error, XENPV_ETIMEDOUT);
        if (!suspended) { /* then nobody is to be led down, and it waits elsewhere */
            assert_string_equal(detail(&rig)->step, ends[i / 2].step);
            assert_string_equal(detail(&rig)->key, ends[i / 2].key);
            if (ends[i / 2].found)
                assert_string_equal(detail(&rig)->found, ends[i / 2].found);
        }
        assert_true(bus_rig_run(&rig, 3 * BUS_RIG_CLOSE_MS, bus_rig_done));
        assert_int_equal(front->how[XENPV_QUIESCE_HOLD], 1);
        assert_int_equal(front->how[XENPV_QUIESCE_HALT], 1);
        assert_int_equal(own_state(&rig), ends[i / 2].own_state);
        assert_int_equal(bus_rig_get(&rig, BUS_RIG_FRONT, "ring-ref"), -1);
        assert_string_equal(front->faulty.failed, "start");
        /* The next connection is not a lost one: what is not there is told at once. */
        if (own_state(&rig) == -1) {
            xenpv_bus_start(&front->bus, XENPV_GOAL_CONNECT, bus_rig_now(&rig));
            bus_rig_settle(&rig);
            assert_int_equal(detail(&rig)->error, XENPV_ENOENT);
        }
        bus_rig_down(&rig);
    }
}

/* Suspended when the data path had been started, and nobody was told yet. */
static void test_suspended_as_it_connects(void **state)
{
    struct bus_rig rig;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_kill_back(&rig);
    bus_rig_set(&rig, rig.back.path, "state", "2");
    assert_int_equal(xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CONNECT, 0), XENPV_OK);
    bus_rig_settle(&rig);
    bus_rig_set(&rig, rig.back.path, "sectors", "2048");
    xenpv_mock_set_store_delay(rig.mock, 1, 10);
    bus_rig_set(&rig, rig.back.path, "state", "4");
    while (rig.front.queue != QUEUE_RUNS)
        bus_rig_pass(&rig, 1);
    assert_int_equal(own_state(&rig), 3);
    xenpv_mock_suspend(rig.mock, 1);
    bus_rig_remove(&rig);
    assert_true(bus_rig_run(&rig, 2 * BUS_RIG_CONNECT_MS, bus_rig_done));
    assert_int_equal(detail(&rig)->error, XENPV_ETIMEDOUT);
    bus_rig_down(&rig);
}

/* The queue's thread is late: its memory is not taken away, however long ago the deadlines were. */
static void test_queue_is_late(void **state)
{
    (void)state;
    for (int suspended = 0; suspended < 2; suspended++) {
        struct bus_rig rig;

        bus_rig_up(&rig);
        bus_rig_connect(&rig);
        rig.front.slow = UINT32_MAX;
        bus_rig_kill_back(&rig);
        if (suspended)
            xenpv_mock_suspend(rig.mock, 1);
        else
            backend_gone(&rig);
        bus_rig_pass(&rig, BUS_RIG_RECOVER_MS - 1);
        assert_int_equal(detail(&rig)->error, XENPV_OK);
        bus_rig_pass(&rig, 5);
        assert_int_equal(detail(&rig)->error, XENPV_ETIMEDOUT);
        bus_rig_pass(&rig, 100000);
        assert_false(bus_rig_done(&rig));
        assert_true(rig.front.published);
        assert_in_range(xenpv_bus_deadline(&rig.front.bus), 0, bus_rig_now(&rig) + 1);
        rig.front.slow = 0;
        assert_true(bus_rig_run(&rig, 100, bus_rig_done));
        assert_int_equal(rig.front.how[XENPV_QUIESCE_HALT], 1);
        bus_rig_down(&rig);
    }
}

/* ---- what is not awaited --------------------------------------------------------------------- */

/* The device is taken away: what was accepted is finished as long as the backend answers. */
static void test_unplugged(void **state)
{
    static const struct {
        const char *then; /* what the backend's state becomes */
        uint64_t after, ends;
        uint32_t drained, halted;
        uint32_t slow;
    } table[] = {
        /* It is asked once each millisecond. */
        {NULL, 0, 0, 1, 0, 0},
        {NULL, 0, 100, 1, 0, 101},
        {NULL, 0, BUS_RIG_CLOSE_MS, 0, 1, UINT32_MAX},
        {"6", 700, 700, 0, 1, 1000}, /* it has closed: nothing is answered any more */
        {"5", 700, 1000, 1, 0, 1001},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct bus_rig rig;
        struct bus_front *front = &rig.front;
        uint64_t begun;

        bus_rig_up(&rig);
        bus_rig_connect(&rig);
        bus_rig_kill_back(&rig);
        front->slow = table[i].slow;
        bus_rig_set(&rig, rig.back.path, "online", "0");
        bus_rig_set(&rig, rig.back.path, "state", "5");
        begun = bus_rig_now(&rig);
        while (front->queue == QUEUE_RUNS) {
            xenpv_bus_step(&front->bus, bus_rig_now(&rig));
            assert_int_equal(detail(&rig)->error, XENPV_EPEER);
            assert_false(front->bus.recovering);
            if (front->queue != QUEUE_RUNS)
                break;
            xenpv_mock_advance(rig.mock, 1);
            if (table[i].then && bus_rig_now(&rig) == begun + table[i].after)
                bus_rig_set(&rig, rig.back.path, "state", table[i].then);
            if (table[i].halted && bus_rig_now(&rig) >= begun + table[i].ends)
                front->slow = 0;
        }
        assert_in_range(bus_rig_now(&rig), begun + table[i].ends, begun + table[i].ends + 2);
        assert_int_equal(front->how[XENPV_QUIESCE_DRAIN], table[i].drained);
        assert_int_equal(front->how[XENPV_QUIESCE_HALT], table[i].halted);
        assert_int_equal(front->how[XENPV_QUIESCE_HOLD], 0);
        bus_rig_set(&rig, rig.back.path, "state", "6");
        assert_true(bus_rig_run(&rig, 100, bus_rig_done));
        assert_int_equal(detail(&rig)->error, XENPV_EPEER);
        assert_int_equal(own_state(&rig), 6);
        bus_rig_down(&rig);
    }
}

/* Taken away while it is awaited: at once. */
static void test_unplugged_while_recovering(void **state)
{
    static const char *const states[] = {"1", "2", "5", "6"};

    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        struct bus_rig rig;

        bus_rig_up(&rig);
        bus_rig_connect(&rig);
        bus_rig_kill_back(&rig);
        bus_rig_set(&rig, rig.back.path, "state", states[i]);
        bus_rig_pass(&rig, 3000);
        assert_true(bus_rig_recovering(&rig));
        bus_rig_set(&rig, rig.back.path, "online", "0");
        bus_rig_set(&rig, rig.back.path, "state", "6");
        assert_true(bus_rig_run(&rig, 600, bus_rig_done));
        assert_int_equal(detail(&rig)->error, XENPV_EPEER);
        assert_int_equal(rig.front.how[XENPV_QUIESCE_HALT], 1);
        assert_int_equal(own_state(&rig), 6);
        bus_rig_down(&rig);
    }
}

/* Somebody else writes our state: the device is his. */
static void test_taken_over(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct bus_rig rig;
        bool recovering = i & 1;

        bus_rig_up(&rig);
        bus_rig_connect(&rig);
        if (recovering) {
            bus_rig_kill_back(&rig);
            stays_at_2(&rig);
            bus_rig_pass(&rig, 100);
            assert_int_equal(own_state(&rig), 3);
        }
        bus_rig_set(&rig, BUS_RIG_FRONT, "state", i & 2 ? "6" : "5");
        if (!recovering) /* whoever does that leads the backend down, too */
            bus_rig_set(&rig, rig.back.path, "state", "5");
        bus_rig_pass(&rig, 600);
        assert_int_equal(detail(&rig)->error, XENPV_EPEER);
        assert_string_equal(detail(&rig)->key, BUS_RIG_FRONT "/state");
        assert_false(bus_rig_recovering(&rig));
        assert_int_equal(rig.front.how[XENPV_QUIESCE_HALT], 1);
        bus_rig_set(&rig, rig.back.path, "state", "6");
        assert_true(bus_rig_run(&rig, 3 * BUS_RIG_CLOSE_MS, bus_rig_done));
        bus_rig_down(&rig);
    }
}

static void breaks(struct bus_rig *rig)
{
    const struct xenpv_detail broken = {
        .error = XENPV_EBROKEN, .step = "taking a response", .expected = "a sane one"};

    xenpv_bus_fail(&rig->front.bus, &broken);
}

/* The driver finds its peer broken, connected or at whatever step of being awaited. */
static void test_broken(void **state)
{
    (void)state;
    for (uint64_t moment = 0; moment < 400; moment += 1 + moment / 40) {
        struct bus_rig rig;
        uint64_t ms = moment < 60 ? moment : moment * 4;
        uint32_t published, world = moment < 60 ? 0 : (uint32_t)moment % bus_worlds_count;

        bus_rig_up(&rig);
        bus_rig_connect(&rig);
        xenpv_mock_set_store_delay(rig.mock, 1, 3);
        if (moment)
            bus_world_begin(&rig, bus_worlds[world].world);
        bus_rig_pass(&rig, ms);
        breaks(&rig);
        published = rig.front.published_times;
        if (!bus_rig_run(&rig, 3 * BUS_RIG_CLOSE_MS, bus_rig_done))
            fail_msg("moment %d: it does not end", (int)moment);
        assert_int_equal(detail(&rig)->error, XENPV_EBROKEN);
        assert_int_equal(rig.front.published_times, published);
        assert_int_equal(rig.front.how[XENPV_QUIESCE_HALT], 1);
        assert_int_equal(rig.front.how[XENPV_QUIESCE_DRAIN], 0);
        while (rig.world)
            bus_rig_pass(&rig, 100);
        bus_rig_down(&rig);
    }
}

/* The next backend's keys make no sense, or are missing though it has connected: that is told. */
static void test_next_backend_is_no_good(void **state)
{
    static const struct {
        const char *sectors;
        int error;
    } table[] = {{"many", XENPV_EBROKEN}, {"", XENPV_EBROKEN}, {NULL, XENPV_EPEER}};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct bus_rig rig;

        bus_rig_up(&rig);
        bus_rig_connect(&rig);
        bus_rig_kill_back(&rig);
        stays_at_2(&rig);
        bus_rig_settle(&rig);
        bus_rig_set(&rig, rig.back.path, "sectors", table[i].sectors);
        bus_rig_set(&rig, rig.back.path, "state", "4");
        bus_rig_settle(&rig);
        assert_int_equal(detail(&rig)->error, table[i].error);
        bus_rig_set(&rig, rig.back.path, "state", "6");
        assert_true(bus_rig_run(&rig, 100, bus_rig_done));
        assert_int_equal(rig.front.how[XENPV_QUIESCE_HALT], 1);
        bus_rig_down(&rig);
    }
}

/* ---- closed while it is awaited -------------------------------------------------------------- */

/* What is held fails at once, and nobody is waited for who has nothing of ours. */
static void test_RL_05_closed_while_recovering(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ends); i++) {
        for (uint64_t moment = 0; moment < 2500; moment += 1 + moment / 8) {
            struct bus_rig rig;
            struct bus_front *front = &rig.front;
            uint64_t closed;

            bus_rig_up(&rig);
            bus_rig_connect(&rig);
            xenpv_mock_set_store_delay(rig.mock, 1, 2);
            bus_rig_kill_back(&rig);
            ends[i].world(&rig);
            assert_true(bus_rig_run(&rig, 1000, bus_rig_recovering));
            bus_rig_pass(&rig, moment);
            assert_true(bus_rig_recovering(&rig));
            closed = bus_rig_now(&rig);
            xenpv_bus_start(&front->bus, XENPV_GOAL_CLOSE, closed);
            xenpv_bus_step(&front->bus, closed);
            assert_int_equal(front->queue, QUEUE_STOPPED);
            assert_false(bus_rig_recovering(&rig));
            if (!front->published) {
                assert_true(bus_rig_run(&rig, 20, bus_rig_done));
                assert_int_equal(detail(&rig)->error, XENPV_OK);
            }
            assert_true(bus_rig_run(&rig, 3 * BUS_RIG_CLOSE_MS, bus_rig_done));
            assert_int_equal(own_state(&rig), ends[i].own_state);
            assert_int_equal(bus_rig_get(&rig, BUS_RIG_FRONT, "ring-ref"), -1);
            bus_rig_down(&rig);
        }
    }
}

/* A suspend while it closes: as at any other time of closing, nothing is written any more. */
static void test_suspended_while_closing_a_recovery(void **state)
{
    struct bus_rig rig;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_connect(&rig);
    bus_rig_kill_back(&rig);
    bus_rig_set(&rig, rig.back.path, "state", "6");
    bus_rig_pass(&rig, 100);
    bus_rig_set(&rig, rig.back.path, "state", "2");
    bus_rig_settle(&rig);
    assert_int_equal(own_state(&rig), 3);
    bus_rig_set(&rig, rig.back.path, "state", "3");
    xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CLOSE, bus_rig_now(&rig));
    bus_rig_settle(&rig);
    assert_int_equal(own_state(&rig), 5);
    xenpv_mock_suspend(rig.mock, 1);
    assert_true(bus_rig_run(&rig, 100, bus_rig_done));
    assert_int_equal(detail(&rig)->error, XENPV_ESTALE);
    assert_int_equal(own_state(&rig), 5);
    bus_rig_down(&rig);
}

/* Nothing is shared, and the queue takes its time to fail what it held. */
static void test_suspended_while_the_queue_halts(void **state)
{
    struct bus_rig rig;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_connect(&rig);
    bus_rig_kill_back(&rig);
    backend_gone(&rig);
    bus_rig_pass(&rig, 1000);
    assert_false(rig.front.published);
    rig.front.slow = 10;
    xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CLOSE, bus_rig_now(&rig));
    xenpv_bus_step(&rig.front.bus, bus_rig_now(&rig));
    xenpv_mock_suspend(rig.mock, 1);
    assert_true(bus_rig_run(&rig, 100, bus_rig_done));
    assert_int_equal(detail(&rig)->error, XENPV_ESTALE);
    bus_rig_down(&rig);
}

/* The store falls silent as well. */
static void test_closed_while_the_store_is_silent(void **state)
{
    (void)state;
    for (uint64_t moment = 0; moment < 100; moment++) {
        struct bus_rig rig;
        uint64_t closed;

        bus_rig_up(&rig);
        bus_rig_connect(&rig);
        xenpv_mock_set_store_delay(rig.mock, 1, 2);
        bus_world_begin(&rig, bus_worlds[moment % bus_worlds_count].world);
        bus_rig_pass(&rig, moment * 10);
        rig.front.faulty.silent = UINT32_MAX;
        bus_rig_pass(&rig, 20);
        rig.front.slow = 10;
        rig.front.port.caps |= XENPV_CAP_WAIT;
        closed = bus_rig_now(&rig);
        xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CLOSE, closed);
        /* No handle is signalled when a queue has parked. */
        while (bus_rig_recovering(&rig)) {
            assert_in_range(bus_rig_now(&rig), closed, closed + 20);
            bus_rig_settle(&rig);
            if (bus_rig_recovering(&rig))
                assert_in_range(xenpv_bus_deadline(&rig.front.bus), closed, bus_rig_now(&rig) + 1);
            xenpv_mock_advance(rig.mock, 1);
        }
        assert_true(bus_rig_run(&rig, 3 * BUS_RIG_CLOSE_MS, bus_rig_done));
        while (rig.world)
            bus_rig_pass(&rig, 100);
        rig.back.lives = false; /* nobody has led it down */
        bus_rig_pass(&rig, 1);
        rig.back.lives = true;
        bus_rig_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_LC_11_never_returns),
        cmocka_unit_test(test_suspended_as_it_connects),
        cmocka_unit_test(test_queue_is_late),
        cmocka_unit_test(test_unplugged),
        cmocka_unit_test(test_unplugged_while_recovering),
        cmocka_unit_test(test_taken_over),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_next_backend_is_no_good),
        cmocka_unit_test(test_RL_05_closed_while_recovering),
        cmocka_unit_test(test_suspended_while_closing_a_recovery),
        cmocka_unit_test(test_suspended_while_the_queue_halts),
        cmocka_unit_test(test_closed_while_the_store_is_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
