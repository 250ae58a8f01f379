/* SPDX-License-Identifier: MIT */
/*
 * Two things that end a connection at once, or one soon after the other: all pairs of them, at every
 * step of connecting and at work (RL-05, LC-04, LC-07, FE-11). Whatever comes of it comes within
 * bounded time, each operation ends once, and a fresh connection works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/blk_device.h"
#include "life.h"
#include "stride.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STEPS = 8, END_MS = 120000, RECOVER_MS = 2000 };

static struct life life;

/* ---- what can happen ------------------------------------------------------------------------- */

static void close_locally(void)
{
    xenpv_blk_close(life.rig.blk, xenpv_mock_now(life.rig.mock));
}

/* Nothing is written into a directory that is gone. */
static void set_backend_state(const char *state)
{
    if (rig_get(&life.rig, life.rig.backend_path, "state") >= 0)
        rig_set(&life.rig, life.rig.backend_path, "state", state);
}

static void backend_closing(void)
{
    set_backend_state("5");
}

static void backend_closed(void)
{
    set_backend_state("6");
}

static void unplugged(void)
{
    if (rig_get(&life.rig, life.rig.backend_path, "state") < 0)
        return;
    rig_set(&life.rig, life.rig.backend_path, "online", "0");
    set_backend_state("5");
}

static void own_directory_removed(void)
{
    xenpv_mock_rm(life.rig.mock, RIG_FRONTEND_PATH);
}

static void backend_directory_removed(void)
{
    xenpv_mock_rm(life.rig.mock, life.rig.backend_path);
}

static void suspended(void)
{
    assert_int_equal(xenpv_mock_suspend(life.rig.mock, 1), XENPV_OK);
}

static void backend_dies(void)
{
    rig_kill_back(&life.rig);
}

/* More responses than there were requests, in the first queue. */
static void ring_broken(void)
{
    struct xenpv_blkq *q = xenpv_blk_queue(life.rig.blk, 0);

    if (gate_is(&q->gate, GATE_OPEN))
        xenpv_store(&q->ring.in->prod, q->ring.published + 1000);
}

static const struct {
    const char *name;
    void (*happen)(void);
} events[] = {
    {"closed locally", close_locally},
    {"backend closing", backend_closing},
    {"backend closed", backend_closed},
    {"unplugged", unplugged},
    {"own directory removed", own_directory_removed},
    {"backend's directory removed", backend_directory_removed},
    {"suspended", suspended},
    {"backend dies", backend_dies},
    {"ring broken", ring_broken},
};

/* ---- one pair -------------------------------------------------------------------------------- */

struct pair {
    size_t first, second;
    uint32_t at, later; /* the turn of the first, and how many later the second comes */
    bool connecting;
    uint32_t recover_ms;
};

static void must(const struct pair *pair, bool good, const char *what)
{
    const struct xenpv_detail *detail = xenpv_blk_detail(life.rig.blk);

    if (!good)
        fail_msg("%s at turn %u%s, %s %u later, %s awaited: %s; state %d, %s: %s",
                 events[pair->first].name, pair->at, pair->connecting ? " of connecting" : "",
                 events[pair->second].name, pair->later, pair->recover_ms ? "it is" : "not", what,
                 xenpv_blk_state(life.rig.blk), xenpv_error_name(detail->error),
                 detail->step ? detail->step : "");
}

static void begin(const struct pair *pair)
{
    life = (struct life){.options = {.queues = 2,
                                     .buffer_pages = 24,
                                     .operations = 8,
                                     .recover_ms = pair->recover_ms},
                         .seed = pair->at * 10 + pair->later};
    life_up(&life);
    for (uint32_t i = 0; i < life.queues; i++)
        life.work[i].may_fail = true;
    if (pair->connecting)
        assert_int_equal(xenpv_blk_connect(life.rig.blk, 0), XENPV_OK);
    else {
        rig_connect(&life.rig);
        life_turns(&life, 5);
    }
}

static bool settled(void)
{
    enum xenpv_blk_state state = xenpv_blk_state(life.rig.blk);

    return state == XENPV_BLK_CONNECTED || state == XENPV_BLK_CLOSED || state == XENPV_BLK_FAILED;
}

/* A toolstack that sets all right again: other directories, and a backend in another domain. */
static void repair(void)
{
    struct rig *rig = &life.rig;

    if (rig->back)
        rig_kill_back(rig);
    rig_remove(rig);
    rig_make(rig, (uint16_t)(rig->backend + 2), false);
    rig_start_back(rig, NULL);
}

static void run_pair(const struct pair *pair)
{
    struct rig *rig = &life.rig;
    uint64_t end;

    begin(pair);
    for (uint32_t turn = 0; turn <= pair->at + pair->later; turn++) {
        if (turn == pair->at)
            events[pair->first].happen();
        if (turn == pair->at + pair->later)
            events[pair->second].happen();
        life_turn(&life);
    }
    end = xenpv_mock_now(rig->mock) + END_MS;
    while (xenpv_mock_now(rig->mock) < end &&
           (!settled() || life.work[0].pending || life.work[1].pending)) {
        life_until(&life, XENPV_BLK_IDLE, 1);
        if (!settled() && xenpv_blk_deadline(rig->blk) > xenpv_mock_now(rig->mock) + 10)
            xenpv_mock_advance(rig->mock, 10);
    }
    must(pair, settled(), "it never ends");
    repair();
    if (!rig_over(rig)) {
        /* It may not have heard of anything yet: the old directories are gone now. */
        must(pair,
             life_until(&life, XENPV_BLK_FAILED, pair->recover_ms ? 3000 : END_MS) ||
                 life_until(&life, XENPV_BLK_CONNECTED, END_MS),
             "it does not notice");
    }
    must(pair, life_drained(&life, END_MS), "operations never end");
    if (rig_over(rig)) {
        life_until(&life, XENPV_BLK_IDLE, 5);
        must(pair, xenpv_blk_connect(rig->blk, xenpv_mock_now(rig->mock)) == XENPV_OK,
             "it may not connect again");
        must(pair, life_until(&life, XENPV_BLK_CONNECTED, END_MS), "it does not connect again");
    }
    for (uint32_t i = 0; i < life.queues; i++)
        life.work[i].may_fail = false;
    life_turns(&life, 5);
    must(pair, xenpv_blk_abandoned(rig->blk) == 0, "pages are abandoned");
    life_down(&life);
}

static void run_all(bool connecting, uint32_t recover_ms)
{
    static const uint32_t later[] = {0, 1, 2, 4, 9};
    struct pair pair = {.connecting = connecting, .recover_ms = recover_ms};
    uint64_t count = 0;

    for (pair.first = 0; pair.first < COUNT(events); pair.first++) {
        for (pair.second = 0; pair.second < COUNT(events); pair.second++) {
            for (pair.at = 0; pair.at < STEPS; pair.at += connecting ? 1 : 3) {
                for (size_t i = 0; i < COUNT(later); i++) {
                    pair.later = later[i];
                    if (count++ % stride() == 0)
                        run_pair(&pair);
                }
            }
        }
    }
}

static void test_RL_05_while_connecting(void **state)
{
    (void)state;
    run_all(true, 0);
}

static void test_RL_05_while_connecting_and_awaited(void **state)
{
    (void)state;
    run_all(true, RECOVER_MS);
}

static void test_RL_05_at_work(void **state)
{
    (void)state;
    run_all(false, 0);
}

static void test_RL_05_at_work_and_awaited(void **state)
{
    (void)state;
    run_all(false, RECOVER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_RL_05_while_connecting),
        cmocka_unit_test(test_RL_05_while_connecting_and_awaited),
        cmocka_unit_test(test_RL_05_at_work),
        cmocka_unit_test(test_RL_05_at_work_and_awaited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
