/* SPDX-License-Identifier: MIT */
/*
 * A suspend, or two close together, at every step there is (RL-01, seed row O8): of connecting, of
 * work, of a recovery, of closing; resumed where it was, or restored where everything is another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "life.h"
#include "stride.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { LIMIT_MS = 60000, TURNS = 25, LATER = 20 };

static struct suspend {
    struct life life;
    uint64_t at[2]; /* moments, from where counting begins; 0: none */
    uint64_t begin;
    uint32_t times;
    bool elsewhere; /* it is restored on another host */
    uint64_t due;   /* when its devices are there; 0: they are */
} it;

/* ---- suspending ------------------------------------------------------------------------------ */

/* On another host there is nothing of this one: no backend, no directory, until the toolstack has
 * made them. */
static void restore(void)
{
    struct rig *rig = &it.life.rig;

    if (!it.due) {
        rig_kill_back(rig);
        rig_remove(rig);
    }
    it.due = xenpv_mock_now(rig->mock) + 7;
}

static void make_devices(void)
{
    struct rig *rig = &it.life.rig;

    it.due = 0;
    rig_make(rig, (uint16_t)(rig->backend + 1), false);
    rig_start_back(rig, NULL);
}

static void moment(struct life *life)
{
    uint64_t here = life->moments - it.begin;

    if (here != it.at[0] && here != it.at[1])
        return;
    assert_int_equal(xenpv_mock_suspend(life->rig.mock, 1), XENPV_OK);
    it.times++;
    if (it.elsewhere)
        restore();
}

static void turn(bool work)
{
    if (it.due && xenpv_mock_now(it.life.rig.mock) >= it.due)
        make_devices();
    if (work)
        life_turn(&it.life);
    else
        life_until(&it.life, XENPV_BLK_IDLE, 1);
}

/* ---- what is going on ------------------------------------------------------------------------ */

enum scene { CONNECT, WORK, RECOVER, CLOSE, SCENES };

static const char *const scenes[SCENES] = {"connecting", "at work", "recovering", "closing"};

static const struct {
    const char *name;
    bool own, shared;
} modes[] = {{"bounced", false, false}, {"own memory", true, false}, {"shared", false, true}};

/* Leads up to the scene, in which moments are counted. */
static void enter(enum scene scene)
{
    struct rig *rig = &it.life.rig;

    life_up(&it.life);
    if (scene != CONNECT) {
        rig_connect(rig);
        life_turns(&it.life, 15);
    }
    if (scene == CONNECT)
        assert_int_equal(xenpv_blk_connect(rig->blk, xenpv_mock_now(rig->mock)), XENPV_OK);
    it.begin = it.life.moments;
    it.life.moment = moment;
    if (scene == RECOVER) {
        rig_kill_back(rig);
        rig_set(rig, rig->backend_path, "state", "5");
        rig_start_back(rig, NULL);
    }
    if (scene == CLOSE)
        xenpv_blk_close(rig->blk, xenpv_mock_now(rig->mock));
}

static void must(bool good, enum scene scene, const char *what)
{
    const struct xenpv_detail *detail = xenpv_blk_detail(it.life.rig.blk);

    if (!good)
        fail_msg("%s, suspended at %u and %u%s, seed %u: %s; state %d, %s: %s", scenes[scene],
                 (unsigned)it.at[0], (unsigned)it.at[1], it.elsewhere ? ", moved" : "",
                 it.life.seed, what, xenpv_blk_state(it.life.rig.blk),
                 xenpv_error_name(detail->error), detail->step ? detail->step : "");
}

static uint64_t failed(void)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < it.life.queues; i++)
        count += it.life.work[i].failed;
    return count;
}

/* Waits for one of two states. */
static bool settles(enum xenpv_blk_state state, enum xenpv_blk_state other)
{
    struct rig *rig = &it.life.rig;
    uint64_t end = xenpv_mock_now(rig->mock) + LIMIT_MS;

    while (xenpv_mock_now(rig->mock) < end) {
        if (!it.due && (xenpv_blk_state(rig->blk) == state || xenpv_blk_state(rig->blk) == other))
            return true;
        turn(false);
    }
    return false;
}

/* Suspends at those moments; false: the scene was over before the first of them. */
static bool run(enum scene scene, size_t mode, uint64_t first, uint64_t second, bool elsewhere,
                uint32_t recover_ms)
{
    struct rig *rig = &it.life.rig;
    bool survives = recover_ms && scene != CLOSE;

    it = (struct suspend){.at = {first, second ? first + second : 0}, .elsewhere = elsewhere};
    it.life.seed = (uint32_t)(first * 3 + second);
    it.life.shared = modes[mode].shared;
    it.life.aligned = modes[mode].own;
    it.life.options = (struct rig_options){.queues = 1 + first % 2,
                                           .buffer_pages = 24,
                                           .recover_ms = recover_ms,
                                           .own_memory = modes[mode].own,
                                           .backend = elsewhere ? 2 : 0};
    enter(scene);
    for (uint32_t i = 0; i < it.life.queues; i++)
        it.life.work[i].may_fail = !survives;
    for (int i = 0; i < TURNS; i++)
        turn(scene != CLOSE);
    it.life.moment = NULL;
    if (survives || (scene == CONNECT && it.times == 0)) {
        must(settles(XENPV_BLK_CONNECTED, XENPV_BLK_CONNECTED), scene, "it is not connected");
        must(life_drained(&it.life, 1000), scene, "operations do not end");
        must(failed() == 0, scene, "operations fail");
    } else if (scene == CLOSE || it.times) {
        must(settles(XENPV_BLK_CLOSED, XENPV_BLK_FAILED), scene, "it does not end");
        must(life_drained(&it.life, 10), scene, "operations do not end");
        if (xenpv_blk_state(rig->blk) == XENPV_BLK_FAILED)
            must(xenpv_blk_detail(rig->blk)->error == XENPV_ESTALE, scene, "of something else");
    }
    if (rig_over(rig)) {
        life_until(&it.life, XENPV_BLK_IDLE, 10); /* until the queues have answered PARKED */
        assert_int_equal(xenpv_blk_connect(rig->blk, xenpv_mock_now(rig->mock)), XENPV_OK);
        must(settles(XENPV_BLK_CONNECTED, XENPV_BLK_CONNECTED), scene, "it does not reopen");
    }
    for (uint32_t i = 0; i < it.life.queues; i++)
        it.life.work[i].may_fail = false;
    life_turns(&it.life, 10);
    assert_int_equal(xenpv_blk_abandoned(rig->blk), 0);
    life_down(&it.life);
    return it.times != 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void run_scene(enum scene scene, uint32_t recover_ms)
{
    static const uint64_t later[] = {0, 1, 2, 5, 13, 34};
    uint64_t moments = 0;

    for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
        for (size_t mode = 0; mode < COUNT(modes); mode++) {
            for (size_t i = 0; i < COUNT(later); i++) {
                uint64_t at = 1 + i % stride();

                while (at < 400 && run(scene, mode, at, later[i], elsewhere, recover_ms))
                    at += (later[i] ? 3 : 1) * stride();
                if (i == 0)
                    moments += at;
            }
        }
    }
    print_message("  %s: %u moments\n", scenes[scene], (unsigned)(moments / 6));
}

static void test_RL_01_seed_O8_connecting(void **state)
{
    (void)state;
    run_scene(CONNECT, LIMIT_MS);
}

static void test_RL_01_seed_O8_at_work(void **state)
{
    (void)state;
    run_scene(WORK, LIMIT_MS);
}

static void test_RL_01_seed_O8_recovering(void **state)
{
    (void)state;
    run_scene(RECOVER, LIMIT_MS);
}

static void test_RL_01_closing(void **state)
{
    (void)state;
    run_scene(CLOSE, LIMIT_MS);
}

/* The twin that does not await anything: all that is under way fails, and it can be opened again. */
static void test_RL_01_not_awaited(void **state)
{
    (void)state;
    run_scene(CONNECT, 0);
    run_scene(WORK, 0);
    run_scene(CLOSE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_RL_01_seed_O8_connecting),
        cmocka_unit_test(test_RL_01_seed_O8_at_work),
        cmocka_unit_test(test_RL_01_seed_O8_recovering),
        cmocka_unit_test(test_RL_01_closing),
        cmocka_unit_test(test_RL_01_not_awaited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
