/* SPDX-License-Identifier: MIT */
/* A frontend that loses its backend holds its queue, and connects again; or it says why not. */
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

/* seed O7: whatever way the backend goes, the frontend finds it again, and loses nothing it holds.
 * It tells so, once. */
static void test_seed_O7_every_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * (size_t)bus_worlds_count; i++) {
        struct bus_rig rig;
        struct bus_front *front = &rig.front;
        uint32_t lines;

        bus_rig_up(&rig);
        front->slow = i % 2 ? 3 : 0;
        bus_rig_connect(&rig);
        bus_rig_pass(&rig, 1000);
        lines = front->faulty.lines;
        bus_world_begin(&rig, bus_worlds[i / 2].world);
        if (!bus_rig_run(&rig, 2000, bus_rig_recovering))
            fail_msg("%s: not recovering", bus_worlds[i / 2].name);
        if (!bus_rig_run(&rig, BUS_RIG_RECOVER_MS, bus_rig_connected))
            fail_msg("%s: not connected again: %s, %s, %s is '%s'; own state %d, peer %d",
                     bus_worlds[i / 2].name, xenpv_error_name(detail(&rig)->error),
                     detail(&rig)->step, detail(&rig)->key, detail(&rig)->found, own_state(&rig),
                     bus_rig_get(&rig, rig.back.path, "state"));
        /* Nobody else is there any more who might interfere. */
        bus_rig_pass(&rig, 10000);
        assert_true(bus_rig_connected(&rig));
        assert_null(rig.world);
        assert_true(rig.back.attached);
        assert_int_equal(front->bus.peer_domid, rig.back.domid);
        assert_string_equal(front->bus.peer_path, rig.back.path);
        assert_int_equal(front->how[XENPV_QUIESCE_HALT], 0);
        assert_int_equal(front->how[XENPV_QUIESCE_DRAIN], 0);
        assert_int_equal(front->faulty.lines, lines + 2);
        assert_int_equal(front->abandoned, 0);
        bus_rig_close(&rig);
        assert_int_equal(detail(&rig)->error, XENPV_OK);
        assert_int_equal(front->how[XENPV_QUIESCE_HALT], 0);
        assert_int_equal(front->how[XENPV_QUIESCE_DRAIN], 1);
        bus_rig_down(&rig);
    }
}

/* The number of the new domain is told later than its path: nothing is shared with the old one. */
static void test_seed_O7_number_is_told_late(void **state)
{
    struct bus_rig rig;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_connect(&rig);
    bus_rig_kill_back(&rig);
    bus_rig_remove(&rig);
    bus_rig_make(&rig, bus_rig_add_domain(&rig));
    bus_rig_set(&rig, BUS_RIG_FRONT, "backend-id", "2");
    bus_rig_pass(&rig, 3000);
    assert_int_equal(rig.front.bus.peer_domid, 2);
    assert_int_equal(own_state(&rig), 1);
    bus_rig_set(&rig, BUS_RIG_FRONT, "backend-id", "3");
    bus_rig_pass(&rig, 600);
    assert_int_equal(rig.front.bus.peer_domid, 3);
    bus_rig_start_back(&rig);
    assert_true(bus_rig_run(&rig, 1000, bus_rig_connected));
    assert_int_equal(rig.front.published_times, 2);
    bus_rig_close(&rig);
    bus_rig_down(&rig);
}

/* A suspend on the way to the first connection: that is begun anew, in the time it had. */
static void test_seed_O8_suspended_before_it_was_connected(void **state)
{
    (void)state;
    for (uint64_t moment = 0; moment < 2000; moment += 100) {
        struct bus_rig rig;

        bus_rig_up(&rig);
        bus_rig_kill_back(&rig);
        bus_rig_set(&rig, rig.back.path, "state", moment % 200 ? "2" : "6");
        assert_int_equal(xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CONNECT, 0), XENPV_OK);
        bus_rig_pass(&rig, moment);
        xenpv_mock_suspend(rig.mock, 1);
        /* And for a while there is nothing. */
        bus_rig_remove(&rig);
        bus_rig_pass(&rig, 2000);
        assert_false(bus_rig_recovering(&rig));
        if (moment % 300) {
            bus_rig_make(&rig, bus_rig_add_domain(&rig));
            bus_rig_start_back(&rig);
            assert_true(bus_rig_run(&rig, 1000, bus_rig_connected));
            bus_rig_close(&rig);
            assert_int_equal(detail(&rig)->error, XENPV_OK);
        } else {
            assert_true(bus_rig_run(&rig, BUS_RIG_CONNECT_MS, bus_rig_done));
            assert_in_range(bus_rig_now(&rig), BUS_RIG_CONNECT_MS, BUS_RIG_CONNECT_MS + 20);
            assert_int_equal(detail(&rig)->error, XENPV_ETIMEDOUT);
        }
        bus_rig_down(&rig);
    }
}

/* Our state was never written, and there is somebody's connection: it is led down all the same. */
static void test_no_state_of_ours(void **state)
{
    struct bus_rig rig;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_kill_back(&rig);
    bus_rig_set(&rig, rig.back.path, "state", "4");
    bus_rig_set(&rig, BUS_RIG_FRONT, "state", NULL);
    assert_int_equal(xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CONNECT, 0), XENPV_OK);
    bus_rig_settle(&rig);
    assert_int_equal(own_state(&rig), 5);
    bus_rig_close(&rig);
    bus_rig_down(&rig);
}

/* LC-06: it writes any two states in any order, and then one starts that follows the rules. */
static void test_LC_06_every_pair_of_states(void **state)
{
    static const char *const states[] = {NULL, "0", "1", "2",   "3",  "4",   "5", "6",
                                         "7",  "8", "9", "255", "-1", "abc", ""};

    (void)state;
    for (size_t i = 0; i < COUNT(states) * COUNT(states); i++) {
        struct bus_rig rig;
        size_t pair[2] = {i / COUNT(states), i % COUNT(states)};

        bus_rig_up(&rig);
        bus_rig_connect(&rig);
        bus_rig_kill_back(&rig);
        for (size_t k = 0; k < 2; k++) {
            bus_rig_set(&rig, rig.back.path, "state", states[pair[k]]);
            bus_rig_pass(&rig, k * 700);
        }
        bus_rig_set(&rig, rig.back.path, "state", "1");
        bus_rig_start_back(&rig);
        bus_rig_settle(&rig);
        if (!bus_rig_run(&rig, BUS_RIG_RECOVER_MS / 2, bus_rig_connected))
            fail_msg("'%s', '%s': own state %d", states[pair[0]] ? states[pair[0]] : "-",
                     states[pair[1]] ? states[pair[1]] : "-", own_state(&rig));
        assert_true(rig.back.attached);
        bus_rig_close(&rig);
        assert_int_equal(detail(&rig)->error, XENPV_OK);
        bus_rig_down(&rig);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Each loss has the full time; a peer that comes and goes within it does not move the deadline. */
static void test_each_loss_has_its_time(void **state)
{
    struct bus_rig rig;
    uint64_t lost;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_connect(&rig);
    for (int i = 0; i < 3; i++) {
        bus_rig_kill_back(&rig);
        bus_rig_set(&rig, rig.back.path, "state", "6");
        assert_true(bus_rig_run(&rig, 10, bus_rig_recovering));
        assert_true(rig.front.bus.deadline == bus_rig_now(&rig) + BUS_RIG_RECOVER_MS);
        bus_rig_pass(&rig, BUS_RIG_RECOVER_MS - 1000);
        bus_rig_start_back(&rig);
        assert_true(bus_rig_run(&rig, 900, bus_rig_connected));
        assert_true(rig.front.bus.deadline == UINT64_MAX);
        assert_true(xenpv_bus_deadline(&rig.front.bus) == UINT64_MAX);
    }
    bus_rig_kill_back(&rig);
    bus_rig_set(&rig, rig.back.path, "state", "6");
    lost = bus_rig_now(&rig);
    for (int i = 0; i < 8; i++) {
        bus_rig_set(&rig, rig.back.path, "state", i % 2 ? "6" : "2");
        bus_rig_pass(&rig, 2000);
        assert_true(bus_rig_recovering(&rig));
        assert_true(rig.front.bus.deadline == lost + BUS_RIG_RECOVER_MS);
    }
    /* A suspend does. */
    xenpv_mock_suspend(rig.mock, 1);
    lost = bus_rig_now(&rig);
    bus_rig_settle(&rig);
    assert_true(rig.front.bus.deadline == lost + BUS_RIG_RECOVER_MS);
    bus_rig_pass(&rig, BUS_RIG_RECOVER_MS + 3 * BUS_RIG_CLOSE_MS);
    assert_int_equal(detail(&rig)->error, XENPV_ETIMEDOUT);
    bus_rig_down(&rig);
}

/* It comes and goes ten times a second: that is told, but not ten times a second. */
static void test_LC_12_lines_are_few(void **state)
{
    struct bus_rig rig;
    uint32_t losses = 0;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_connect(&rig);
    rig.back.returns = true;
    for (uint64_t end = bus_rig_now(&rig) + 60000; bus_rig_now(&rig) < end; losses++) {
        xenpv_bus_start(&rig.back.bus, XENPV_GOAL_CLOSE, bus_rig_now(&rig));
        assert_true(bus_rig_run(&rig, 1000, bus_rig_recovering));
        assert_true(bus_rig_run(&rig, 1000, bus_rig_connected));
        bus_rig_pass(&rig, 100);
    }
    assert_in_range(losses, 500, 700);
    assert_in_range(rig.front.faulty.lines, 2, 2 * 6 + 2);
    bus_rig_close(&rig);
    bus_rig_down(&rig);
}

/* The peer keeps our page mapped: it is given close_ms, then we go on without the page. */
static void test_peer_keeps_a_page(void **state)
{
    struct bus_rig rig;
    struct bus_back ghost;
    uint64_t lost;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_connect(&rig);
    for (uint32_t i = 1; i < 4; i++) {
        ghost = rig.back;
        rig.back.attached = false;
        bus_rig_kill_back(&rig);
        bus_rig_set(&rig, rig.back.path, "state", "6");
        bus_rig_start_back(&rig);
        lost = bus_rig_now(&rig);
        assert_true(bus_rig_run(&rig, 100, bus_rig_recovering));
        assert_true(bus_rig_run(&rig, BUS_RIG_RECOVER_MS, bus_rig_connected));
        assert_in_range(bus_rig_now(&rig), lost + BUS_RIG_CLOSE_MS, lost + BUS_RIG_CLOSE_MS + 600);
        assert_int_equal(rig.front.abandoned, i);
        ghost.port.map->unmap(ghost.port.ctx, &ghost.map);
        ghost.port.event->close(ghost.port.ctx, ghost.channel);
    }
    bus_rig_close(&rig);
    bus_rig_down(&rig);
}

/* ---- what is no loss --------------------------------------------------------------------- */

/* No connection was ever made: that is no loss. */
static void test_refused_at_first(void **state)
{
    static const char *const states[] = {"1", "5", "6"};

    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        struct bus_rig rig;

        bus_rig_up(&rig);
        bus_rig_kill_back(&rig);
        bus_rig_set(&rig, rig.back.path, "state", "2");
        assert_int_equal(xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CONNECT, 0), XENPV_OK);
        bus_rig_settle(&rig);
        assert_int_equal(own_state(&rig), 3);
        bus_rig_set(&rig, rig.back.path, "state", states[i]);
        bus_rig_settle(&rig);
        assert_int_equal(detail(&rig)->error, XENPV_EPEER);
        bus_rig_set(&rig, rig.back.path, "state", "6");
        assert_true(bus_rig_run(&rig, 100, bus_rig_done));
        bus_rig_down(&rig);
    }
}

/* Nothing is to be awaited: the first loss is the last, and nothing is held. */
static void test_no_time_to_recover(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < bus_worlds_count + 1; i++) {
        struct bus_rig rig;
        bool suspended = i == bus_worlds_count;

        bus_rig_up(&rig);
        rig.front.config.recover_ms = 0;
        assert_int_equal(xenpv_bus_init(&rig.front.bus, &rig.front.config), XENPV_OK);
        bus_rig_connect(&rig);
        if (suspended)
            xenpv_mock_suspend(rig.mock, 1);
        else
            bus_world_begin(&rig, bus_worlds[i].world);
        assert_true(bus_rig_run(&rig, 5 * BUS_RIG_CLOSE_MS, bus_rig_done));
        assert_int_equal(detail(&rig)->error, suspended ? XENPV_ESTALE : XENPV_EPEER);
        assert_int_equal(rig.front.how[XENPV_QUIESCE_HOLD], 0);
        assert_int_equal(rig.front.how[XENPV_QUIESCE_HALT], 1);
        while (rig.world)
            bus_rig_pass(&rig, 100);
        bus_rig_down(&rig);
    }
}

/* ---- the store ------------------------------------------------------------------------------- */

/* A directory of our own that somebody removed is not made anew by what we write of our end. */
static void test_own_directory_stays_removed(void **state)
{
    static const struct xenpv_mock_perms ours = {.owner = 1, .others = XENPV_MOCK_READ};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct bus_rig rig;

        bus_rig_up(&rig);
        /* As below data/: the guest may make nodes there. */
        assert_int_equal(xenpv_mock_set_perms(rig.mock, "/local/domain/1/device/vbd", &ours),
                         XENPV_OK);
        bus_rig_connect(&rig);
        bus_rig_kill_back(&rig);
        assert_int_equal(xenpv_mock_rm(rig.mock, rig.back.path), XENPV_OK);
        assert_int_equal(xenpv_mock_rm(rig.mock, BUS_RIG_FRONT), XENPV_OK);
        bus_rig_pass(&rig, 5000);
        assert_int_equal(own_state(&rig), -1);
        if (i)
            bus_rig_close(&rig);
        assert_true(bus_rig_run(&rig, 2 * BUS_RIG_RECOVER_MS, bus_rig_done));
        assert_int_equal(own_state(&rig), -1);
        bus_rig_down(&rig);
    }
}

/* The properties are read again, and meanwhile the backend is removed: no key is to blame. */
static void vanish_at_reread(void *ctx, const char *call)
{
    struct bus_rig *rig = ctx;

    if (strcmp(call, "start") != 0 || !rig->stage || ++rig->stage != 3)
        return;
    bus_rig_set(rig, rig->back.path, "sectors", NULL);
    bus_rig_set(rig, rig->back.path, "state", NULL);
}

static void test_removed_while_it_is_read(void **state)
{
    struct bus_rig rig;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_connect(&rig);
    bus_rig_pass(&rig, 100);
    bus_rig_kill_back(&rig);
    rig.front.faulty.before = vanish_at_reread;
    rig.stage = 1;
    bus_rig_set(&rig, rig.back.path, "state", "4");
    bus_rig_settle(&rig);
    assert_int_equal(bus_rig_get(&rig, rig.back.path, "state"), -1);
    assert_int_equal(detail(&rig)->error, XENPV_OK);
    assert_true(bus_rig_recovering(&rig));
    bus_rig_close(&rig);
    bus_rig_down(&rig);
}

/* A watch that cannot be had is awaited, too. */
static void test_no_watch_for_a_while(void **state)
{
    struct bus_rig rig;
    struct faulty_port *faulty = &rig.front.faulty;

    (void)state;
    bus_rig_up(&rig);
    bus_rig_connect(&rig);
    bus_rig_kill_back(&rig);
    bus_rig_set(&rig, rig.back.path, "state", "6");
    faulty->error = XENPV_ENOSPC;
    assert_true(bus_rig_run(&rig, 1000, bus_rig_recovering));
    faulty->fail_at = faulty->calls + 1;
    faulty->for_good = true;
    bus_rig_pass(&rig, 5000);
    faulty->fail_at = 0;
    bus_rig_start_back(&rig);
    assert_true(bus_rig_run(&rig, 3000, bus_rig_connected));
    bus_rig_close(&rig);
    bus_rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_O7_every_way),
        cmocka_unit_test(test_seed_O7_number_is_told_late),
        cmocka_unit_test(test_seed_O8_suspended_before_it_was_connected),
        cmocka_unit_test(test_no_state_of_ours),
        cmocka_unit_test(test_LC_06_every_pair_of_states),
        cmocka_unit_test(test_each_loss_has_its_time),
        cmocka_unit_test(test_LC_12_lines_are_few),
        cmocka_unit_test(test_peer_keeps_a_page),
        cmocka_unit_test(test_refused_at_first),
        cmocka_unit_test(test_no_time_to_recover),
        cmocka_unit_test(test_own_directory_stays_removed),
        cmocka_unit_test(test_removed_while_it_is_read),
        cmocka_unit_test(test_no_watch_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
