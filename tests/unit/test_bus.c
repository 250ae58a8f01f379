/* SPDX-License-Identifier: MIT */
/* The handshake: previous owners, peers that wander through every state, time, conflicts, suspend.
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

/* ---- taking over ----------------------------------------------------------------------------- */

/* The frontend died while connected: what it shared is gone with it, its keys and state are not. */
static void test_previous_owner_died(void **state)
{
    struct rig rig;
    struct xenpv_blk_config config;
    uint8_t data[512];

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    for (int i = 0; i < 3; i++) {
        rig_connect(&rig);
        assert_int_equal(rig_get(&rig, RIG_BACKEND_PATH, "state"), 4);
        /* Domain 1 starts again: its grants, ports and watches went; our structures, too. */
        assert_int_equal(xenpv_mock_suspend(rig.mock, 1), XENPV_OK);
        rig_until(&rig, XENPV_BLK_FAILED);
        assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_ESTALE);
        assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "state"), 4);
        xenpv_blk_config_init(&config, &rig.front_port, RIG_FRONTEND_PATH);
        config.recover_ms = 0;
        assert_int_equal(xenpv_blk_init(rig.memory, &config, &rig.blk), XENPV_OK);
    }
    rig_connect(&rig);
    assert_int_equal(rig_read(&rig, 0, data, sizeof(data)), XENPV_OK);
    rig_close(&rig);
    rig_down(&rig);
}

/* Every state that both ends can have been left in, with a backend that follows the rules. */
static void test_left_in_any_state(void **state)
{
    static const char *const values[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "x", ""};
    uint8_t data[512];

    (void)state;
    for (size_t own = 0; own < COUNT(values); own++) {
        struct rig rig;

        rig_up(&rig, &(struct rig_options){0});
        rig_set(&rig, RIG_FRONTEND_PATH, "state", values[own]);
        rig_step(&rig);
        /* A backend left alone with junk waits; a frontend's 1 wakes it. */
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
        for (int i = 0; i < 200 && xenpv_blk_state(rig.blk) != XENPV_BLK_CONNECTED; i++) {
            rig_step(&rig);
            xenpv_mock_advance(rig.mock, 100);
        }
        if (xenpv_blk_state(rig.blk) != XENPV_BLK_CONNECTED)
            fail_msg("own state '%s': not connected, backend at %d", values[own],
                     rig_get(&rig, RIG_BACKEND_PATH, "state"));
        assert_int_equal(rig_read(&rig, 0, data, sizeof(data)), XENPV_OK);
        rig_close(&rig);
        rig_down(&rig);
    }
}

/* ---- wandering ------------------------------------------------------------------------------- */

static const char *const wanderings[] = {NULL, "0", "1", "2",   "3",  "4",   "5", "6",
                                         "7",  "8", "9", "255", "-1", "abc", ""};

static void wander(struct rig *rig, size_t to)
{
    if (wanderings[to])
        rig_set(rig, RIG_BACKEND_PATH, "state", wanderings[to]);
    else
        xenpv_mock_rm(rig->mock, RIG_BACKEND_PATH "/state");
    for (int i = 0; i < 8; i++) {
        struct xenpv_completion done;
        rig_step(rig);
        xenpv_blkq_poll(rig->q, &done, 1);
    }
}

/*
 * LC-06: the backend writes any two states in any order, before and after the frontend is
 * connected; then it vanishes. The frontend ends within its deadlines, holds nothing, and connects
 * again.
 */
static void test_all_pairs_of_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(wanderings) * COUNT(wanderings); i++) {
        size_t pair = i / 2, a = pair / COUNT(wanderings), b = pair % COUNT(wanderings);
        struct rig rig;
        struct hostile hostile = {0};
        struct xenpv_completion done;

        rig_up(&rig, &(struct rig_options){.no_backend = true});
        hostile_offer(&rig);
        if (i % 2)
            hostile_connect(&rig, &hostile);
        else
            xenpv_blk_connect(rig.blk, 0);
        wander(&rig, a);
        wander(&rig, b);
        if (i % 2) {
            rig.back_port.map->unmap(rig.back_port.ctx, &hostile.map);
            rig.back_port.event->close(rig.back_port.ctx, hostile.port);
        }
        wander(&rig, 0);
        for (int k = 0; k < 2000 && xenpv_blk_state(rig.blk) < XENPV_BLK_CLOSED; k++) {
            rig_step(&rig);
            xenpv_blkq_poll(rig.q, &done, 1);
            xenpv_mock_advance(rig.mock, 100);
        }
        assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_FAILED);
        assert_int_not_equal(xenpv_blk_detail(rig.blk)->error, XENPV_OK);
        assert_non_null(xenpv_blk_detail(rig.blk)->step);
        rig_set(&rig, RIG_BACKEND_PATH, "state", "1");
        hostile_connect(&rig, &hostile);
        xenpv_blk_close(rig.blk, xenpv_mock_now(rig.mock));
        hostile_close(&rig, &hostile, XENPV_BLK_CLOSED);
        rig_down(&rig);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

/* A backend that stays where it is: the deadline ends it, and the detail says what was awaited. */
static void test_stuck(void **state)
{
    static const struct {
        const char *offer; /* the backend's state from the start */
        const char *found, *expected;
        uint64_t least, most; /* ms */
    } table[] = {
        {"1", "1 (Initialising)", "state 2 (InitWait)", 30000, 30000},
        {"2", "2 (InitWait)", "state 4 (Connected)", 30000, 40000},
        {"junk", "no number from 0 to 8", "a backend with a state", 30000, 30000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct rig rig;

        rig_up(&rig, &(struct rig_options){.no_backend = true});
        hostile_offer(&rig);
        rig_set(&rig, RIG_BACKEND_PATH, "state", table[i].offer);
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
        while (xenpv_blk_step(rig.blk, xenpv_mock_now(rig.mock)) < XENPV_BLK_CLOSED) {
            uint64_t next = xenpv_blk_deadline(rig.blk), now = xenpv_mock_now(rig.mock);
            assert_true(next != UINT64_MAX);
            xenpv_mock_advance(rig.mock, next > now ? next - now : 1);
        }
        assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_ETIMEDOUT);
        assert_string_equal(xenpv_blk_detail(rig.blk)->found, table[i].found);
        assert_string_equal(xenpv_blk_detail(rig.blk)->expected, table[i].expected);
        assert_string_equal(xenpv_blk_detail(rig.blk)->key, RIG_BACKEND_PATH "/state");
        assert_in_range(xenpv_mock_now(rig.mock), table[i].least, table[i].most);
        rig_down(&rig);
    }
}

/* A store whose calls end later, and one whose transactions conflict. */
static void test_slow_and_conflicting_store(void **state)
{
    static const struct {
        uint64_t delay;
        uint32_t conflicts;
    } table[] = {{0, 3}, {5, 0}, {7, 2}, {0, 11}};
    uint8_t data[512];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct rig rig;

        rig_up(&rig, &(struct rig_options){0});
        assert_int_equal(xenpv_mock_set_store_delay(rig.mock, 1, (uint32_t)table[i].delay),
                         XENPV_OK);
        assert_int_equal(xenpv_mock_set_conflicts(rig.mock, 1, table[i].conflicts), XENPV_OK);
        rig_connect(&rig);
        assert_int_equal(rig_read(&rig, 0, data, sizeof(data)), XENPV_OK);
        rig_close(&rig);
        rig_down(&rig);
    }
}

/* A conflict that never ends: a bounded number of tries, then a clear error. */
static void test_endless_conflict(void **state)
{
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    assert_int_equal(xenpv_mock_set_conflicts(rig.mock, 1, UINT32_MAX), XENPV_OK);
    assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
    rig_until(&rig, XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_EAGAIN);
    assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "ring-ref"), -1);
    rig_down(&rig);
}

/* Closing while a store call is still under way, at every step of connecting. */
static void test_close_at_every_step(void **state)
{
    (void)state;
    for (int steps = 0; steps < 60; steps++) {
        struct rig rig;

        rig_up(&rig, &(struct rig_options){0});
        assert_int_equal(xenpv_mock_set_store_delay(rig.mock, 1, 3), XENPV_OK);
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
        for (int i = 0; i < steps; i++) {
            rig_step(&rig);
            xenpv_mock_advance(rig.mock, 1);
        }
        rig_close(&rig);
        rig_connect(&rig);
        rig_close(&rig);
        rig_down(&rig);
    }
}

/* A suspend at every step: all is forgotten, nothing is closed twice, and a new connect works. */
static void test_suspend_at_every_step(void **state)
{
    (void)state;
    for (int steps = 0; steps < 60; steps++) {
        struct rig rig;
        struct xenpv_completion done;

        rig_up(&rig, &(struct rig_options){0});
        assert_int_equal(xenpv_mock_set_store_delay(rig.mock, 1, 3), XENPV_OK);
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
        for (int i = 0; i < steps; i++) {
            rig_step(&rig);
            xenpv_mock_advance(rig.mock, 1);
        }
        assert_int_equal(xenpv_mock_suspend(rig.mock, 1), XENPV_OK);
        for (int i = 0; i < 1000 && xenpv_blk_state(rig.blk) != XENPV_BLK_FAILED; i++) {
            rig_step(&rig);
            xenpv_blkq_poll(rig.q, &done, 1);
            xenpv_mock_advance(rig.mock, 1);
        }
        assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_ESTALE);
        rig_connect(&rig);
        rig_close(&rig);
        rig_down(&rig);
    }
}

/* Looking changes nothing, whatever state both ends are in. */
static void test_inspect(void **state)
{
    struct rig rig;
    struct xenpv_blk_info info;

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    hostile_offer(&rig);
    rig_set(&rig, RIG_BACKEND_PATH, "state", "4");
    rig_set(&rig, RIG_FRONTEND_PATH, "state", "4");
    assert_int_equal(xenpv_blk_inspect(rig.blk, 0), XENPV_OK);
    rig_until(&rig, XENPV_BLK_CLOSED);
    xenpv_blk_info(rig.blk, &info);
    assert_int_equal(info.bytes, 1 << 20);
    assert_int_equal(info.frontend_state, 4);
    assert_int_equal(info.backend_state, 4);
    assert_string_equal(info.backend_path, RIG_BACKEND_PATH);
    assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "state"), 4);
    rig_down(&rig);
}

/* The toolstack takes the device away: the frontend closes, with all it had accepted ended. */
static void test_unplug(void **state)
{
    struct rig rig;
    uint8_t data[4096];
    struct xenpv_iov iov = {data, sizeof(data)};
    struct xenpv_completion done = {0};
    int count = 0;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    assert_int_equal(xenpv_blkq_readv(rig.q, 0, &iov, 1, &rig), XENPV_OK);
    rig_set(&rig, RIG_BACKEND_PATH, "online", "0");
    rig_set(&rig, RIG_BACKEND_PATH, "state", "5");
    for (int i = 0; i < 1000 && xenpv_blk_state(rig.blk) != XENPV_BLK_FAILED; i++) {
        rig_step(&rig);
        count += xenpv_blkq_poll(rig.q, &done, 1) == 1;
    }
    assert_int_equal(count, 1);
    assert_int_equal(done.status, XENPV_EPEER);
    assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_EPEER);
    assert_int_equal(rig_get(&rig, RIG_BACKEND_PATH, "state"), 6);
    rig_down(&rig);
}

/* Keys that another frontend left, which would change what ours mean. */
static void test_foreign_keys(void **state)
{
    static const char *const keys[] = {"multi-queue-num-queues", "ring-page-order",
                                       "num-ring-pages"};
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    for (size_t i = 0; i < COUNT(keys); i++)
        rig_set(&rig, RIG_FRONTEND_PATH, keys[i], "2");
    rig_connect(&rig);
    for (size_t i = 0; i < COUNT(keys); i++)
        assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, keys[i]), -1);
    rig_close(&rig);
    rig_down(&rig);
}

/* Without transactions: it connects as well; and a key that cannot be written stops the state. */
static void test_no_transactions(void **state)
{
    struct xenpv_mock_perms closed = {.owner = 0};
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    rig.front_port.caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
    rig_connect(&rig);
    rig_close(&rig);
    rig_set(&rig, RIG_FRONTEND_PATH, "protocol", "");
    assert_int_equal(xenpv_mock_set_perms(rig.mock, RIG_FRONTEND_PATH "/protocol", &closed),
                     XENPV_OK);
    assert_int_equal(xenpv_blk_connect(rig.blk, xenpv_mock_now(rig.mock)), XENPV_OK);
    rig_until(&rig, XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_EACCES);
    assert_non_null(strstr(xenpv_blk_detail(rig.blk)->key, "protocol"));
    assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "state"), 1);
    assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "ring-ref"), -1);
    xenpv_mock_rm(rig.mock, RIG_FRONTEND_PATH "/protocol");
    rig_connect(&rig);
    rig_close(&rig);
    rig_down(&rig);
}

static void test_close_from_idle(void **state)
{
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    xenpv_blk_close(rig.blk, 0);
    assert_int_equal(xenpv_blk_step(rig.blk, 0), XENPV_BLK_CLOSED);
    rig_connect(&rig);
    rig_close(&rig);
    rig_down(&rig);
}

/* The backend stops answering while we close: what was accepted ends, then so does the device. */
static void test_drain_takes_too_long(void **state)
{
    struct rig rig;
    struct hostile hostile;
    struct xenpv_completion done = {0};
    uint8_t data[512];
    struct xenpv_iov iov = {data, sizeof(data)};
    int ended = 0;

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    hostile_offer(&rig);
    hostile_connect(&rig, &hostile);
    assert_int_equal(xenpv_blkq_readv(rig.q, 0, &iov, 1, NULL), XENPV_OK);
    xenpv_blk_close(rig.blk, xenpv_mock_now(rig.mock));
    for (int i = 0; i < 6000 && rig_get(&rig, RIG_FRONTEND_PATH, "state") < 5; i++) {
        rig_step(&rig);
        ended += xenpv_blkq_poll(rig.q, &done, 1) == 1;
        xenpv_mock_advance(rig.mock, 1);
    }
    assert_int_equal(ended, 1);
    assert_int_equal(done.status, XENPV_ETIMEDOUT);
    assert_int_equal(xenpv_blk_connect(rig.blk, xenpv_mock_now(rig.mock)), XENPV_EBUSY);
    hostile_close(&rig, &hostile, XENPV_BLK_FAILED);
    assert_string_equal(xenpv_blk_detail(rig.blk)->step, "finishing what the queues had accepted");
    assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "ring-ref"), -1);
    rig_down(&rig);
}

/* A backend whose directory is missing ends, and makes none. */
static void test_backend_without_directory(void **state)
{
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    assert_int_equal(xenpv_mock_rm(rig.mock, RIG_BACKEND_PATH), XENPV_OK);
    for (int i = 0; i < 5; i++)
        xenpv_blkback_step(rig.back, 0);
    assert_int_equal(xenpv_blkback_step(rig.back, 0), XENPV_BUS_DONE);
    assert_int_equal(xenpv_blkback_detail(rig.back)->error, XENPV_ENOENT);
    assert_int_equal(rig_get(&rig, RIG_BACKEND_PATH, "state"), -1);
    rig_down(&rig);
}

/* The device is being taken away: that is said at once, and nothing is written. */
static void test_offline_backend(void **state)
{
    static const char *const states[] = {"1", "2", "4", "5", "6"};

    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        struct rig rig;

        rig_up(&rig, &(struct rig_options){.no_backend = true});
        hostile_offer(&rig);
        rig_set(&rig, RIG_BACKEND_PATH, "online", "0");
        rig_set(&rig, RIG_BACKEND_PATH, "state", states[i]);
        rig_set(&rig, RIG_FRONTEND_PATH, "state", "6");
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
        assert_int_equal(xenpv_blk_step(rig.blk, 0), XENPV_BLK_FAILED);
        assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_EPEER);
        assert_string_equal(xenpv_blk_detail(rig.blk)->key, RIG_BACKEND_PATH "/online");
        assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "state"), 6);
        rig_down(&rig);
    }
}

/* Both directories are removed under a connection: closing makes neither of them anew. */
static void test_removed_directories_stay_removed(void **state)
{
    static const struct xenpv_mock_vbd vbd = {.frontend = 1, .vdev = RIG_VDEV};
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    assert_int_equal(xenpv_mock_remove_vbd(rig.mock, &vbd), XENPV_OK);
    assert_true(rig_run(&rig, 15000, rig_over));
    for (int i = 0; i < 1000; i++) {
        rig_step(&rig);
        xenpv_mock_advance(rig.mock, 10);
    }
    assert_int_equal(xenpv_blkback_step(rig.back, xenpv_mock_now(rig.mock)), XENPV_BUS_DONE);
    assert_int_equal(rig_get(&rig, RIG_BACKEND_PATH, "state"), -1);
    assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "state"), -1);
    rig_down(&rig);
}

/* Neither connects nor closes: that is one line, for the first that went wrong. */
static void test_one_line_for_each_failure(void **state)
{
    struct rig rig;
    struct faulty_port faulty;

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    faulty_wrap(&faulty, &rig.front_port);
    hostile_offer(&rig);
    for (uint32_t i = 1; i < 4; i++) {
        rig_set(&rig, RIG_BACKEND_PATH, "state", "2");
        assert_int_equal(xenpv_blk_connect(rig.blk, xenpv_mock_now(rig.mock)), XENPV_OK);
        while (rig_get(&rig, RIG_FRONTEND_PATH, "state") != 3)
            rig_step(&rig);
        rig_set(&rig, RIG_BACKEND_PATH, "state", "3");
        assert_true(rig_run(&rig, 60000, rig_over));
        assert_int_equal(faulty.lines, i);
        assert_ptr_equal(strstr(faulty.line, RIG_FRONTEND_PATH ": "), faulty.line);
        assert_non_null(strstr(faulty.line, "waiting for the backend to connect: "));
        assert_non_null(
            strstr(faulty.line, " is '3 (Initialised)', expected state 4 (Connected): "));
        assert_non_null(strstr(faulty.line, xenpv_error_text(XENPV_ETIMEDOUT)));
    }
    rig_down(&rig);
    /* What goes well is none. */
    rig_up(&rig, &(struct rig_options){0});
    faulty_wrap(&faulty, &rig.front_port);
    rig_connect(&rig);
    rig_close(&rig);
    assert_int_equal(faulty.lines, 0);
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_previous_owner_died),
        cmocka_unit_test(test_left_in_any_state),
        cmocka_unit_test(test_all_pairs_of_states),
        cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_slow_and_conflicting_store),
        cmocka_unit_test(test_endless_conflict),
        cmocka_unit_test(test_close_at_every_step),
        cmocka_unit_test(test_suspend_at_every_step),
        cmocka_unit_test(test_inspect),
        cmocka_unit_test(test_unplug),
        cmocka_unit_test(test_foreign_keys),
        cmocka_unit_test(test_no_transactions),
        cmocka_unit_test(test_close_from_idle),
        cmocka_unit_test(test_drain_takes_too_long),
        cmocka_unit_test(test_backend_without_directory),
        cmocka_unit_test(test_offline_backend),
        cmocka_unit_test(test_removed_directories_stay_removed),
        cmocka_unit_test(test_one_line_for_each_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
