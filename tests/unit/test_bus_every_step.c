/* SPDX-License-Identifier: MIT */
/*
 * Suspended, told to close, or let down by its store: a frontend at every single turn of
 * connecting, of losing its backend in any way, and of closing. A turn lies between two looks at
 * the generation; a store that takes its time makes each batch a turn of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus_worlds.h"
#include "stride.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One life of a device, and what happens to it. */
struct life {
    uint32_t world;         /* how it loses its backend; bus_worlds_count: it does not */
    uint64_t suspend_at[2]; /* turns */
    void (*suspended)(struct bus_rig *rig);
    uint64_t close_at; /* step */
    uint64_t fail_at;  /* call of the port */
    int error;
    uint32_t slow; /* its queue */
    bool no_transactions;
};

static const struct life *current;

static void must(const struct bus_rig *rig, bool good, const char *what)
{
    const struct life *life = current;
    const struct xenpv_bus *bus = &rig->front.bus;

    if (!good)
        fail_msg("backend %s; suspended at %d, %d%s; closed at %d; call %d (%s) fails with %s; "
                 "queue %u: %s; %s, %s, %s is '%s', phase %d, states %u %u",
                 life->world < bus_worlds_count ? bus_worlds[life->world].name : "stays",
                 (int)life->suspend_at[0], (int)life->suspend_at[1],
                 life->suspended ? " (restored)" : "", (int)life->close_at, (int)life->fail_at,
                 rig->front.faulty.failed ? rig->front.faulty.failed : "none",
                 xenpv_error_name(life->error), life->slow, what,
                 xenpv_error_name(bus->detail.error), bus->detail.step ? bus->detail.step : "",
                 bus->detail.key, bus->detail.found, (int)bus->phase, bus->own_state,
                 bus->peer_state);
}

static bool world_is_over(const struct bus_rig *rig)
{
    return bus_rig_done(rig) || (!rig->world && bus_rig_connected(rig));
}

/* As far as its connection goes. */
static void live(struct bus_rig *rig, const struct life *life)
{
    struct xenpv_bus *bus = &rig->front.bus;

    assert_int_equal(xenpv_bus_start(bus, XENPV_GOAL_CONNECT, bus_rig_now(rig)), XENPV_OK);
    must(rig, bus_rig_run(rig, BUS_RIG_CONNECT_MS + 3 * BUS_RIG_CLOSE_MS, world_is_over),
         "it neither connects nor ends");
    if (life->world == bus_worlds_count || bus_rig_done(rig))
        return;
    bus_rig_pass(rig, 600);
    if (!rig->world)
        bus_world_begin(rig, bus_worlds[life->world].world);
    /* The world may be past a loss that it did not notice. */
    bus_rig_pass(rig, 5);
    must(rig, bus_rig_run(rig, 3 * BUS_RIG_RECOVER_MS, world_is_over),
         "it is neither there again nor ends");
}

/* Afterwards nothing is left that would hinder the next connection. */
static void live_again(struct bus_rig *rig)
{
    struct bus_front *front = &rig->front;

    front->faulty.fail_at = 0;
    rig->close_at = rig->suspend_before = rig->suspend_at[0] = rig->suspend_at[1] = 0;
    rig->back.returns = true;
    while (rig->world)
        bus_rig_pass(rig, 100);
    bus_rig_pass(rig, 2000);
    assert_int_equal(xenpv_bus_start(&front->bus, XENPV_GOAL_CONNECT, bus_rig_now(rig)), XENPV_OK);
    bus_rig_run(rig, BUS_RIG_CONNECT_MS, bus_rig_settled);
    must(rig, bus_rig_connected(rig), "it cannot be connected once more");
    bus_rig_close(rig);
    must(rig, front->bus.detail.error == XENPV_OK, "it cannot be closed once more");
    bus_rig_down(rig);
}

static void begin(struct bus_rig *rig, const struct life *life)
{
    current = life;
    bus_rig_up(rig);
    xenpv_mock_set_store_delay(rig->mock, 1, 2);
    if (life->no_transactions)
        rig->front.port.caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
    rig->front.slow = life->slow;
    rig->suspend_at[0] = life->suspend_at[0];
    rig->suspend_at[1] = life->suspend_at[1];
    rig->suspended = life->suspended;
    rig->close_at = life->close_at;
    rig->front.faulty.fail_at = life->fail_at;
    rig->front.faulty.error = life->error;
}

/* What a life without any trouble takes. */
static struct counts {
    uint64_t turns, steps, calls;
} whole_life(const struct life *life)
{
    struct bus_rig rig;
    struct counts counts;

    begin(&rig, life);
    live(&rig, life);
    bus_rig_close(&rig);
    counts = (struct counts){rig.turns, rig.steps, rig.front.faulty.calls};
    live_again(&rig);
    return counts;
}

/* ---- suspended ------------------------------------------------------------------------------- */

/* Returns how many turns there were. */
static uint64_t suspended_life(const struct life *life)
{
    struct bus_rig rig;
    uint32_t suspends;
    uint64_t turns;

    begin(&rig, life);
    live(&rig, life);
    suspends = rig.suspends;
    must(&rig, bus_rig_connected(&rig), "it is not connected again");
    bus_rig_close(&rig);
    turns = rig.turns;
    must(&rig,
         rig.front.bus.detail.error == XENPV_OK ||
             (rig.front.bus.detail.error == XENPV_ESTALE && rig.suspends > suspends),
         "it does not close");
    live_again(&rig);
    return turns;
}

/* seed O8, RL-01, LC-09: a suspend at every turn, the backend staying or restored elsewhere. */
static void test_seed_O8_suspended_at_every_turn(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4 * (bus_worlds_count + 1); i++) {
        struct life life = {.world = i / 4,
                            .suspend_at = {1}, /* in xenpv_bus_start */
                            .suspended = i & 1 ? bus_world_restore : NULL,
                            .slow = i & 2 ? 2 : 0};
        uint64_t turns;

        do {
            life.suspend_at[0] += (life.slow ? 3 : 1) * stride();
            turns = suspended_life(&life);
        } while (life.suspend_at[0] < turns);
    }
}

/* seed O8: and a second one, soon after the first or long after. */
static void test_seed_O8_suspended_twice(void **state)
{
    uint64_t turns = UINT64_MAX;

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct life life = {.world = i & 2 ? bus_worlds_count : 0,
                            .suspended = i & 1 ? bus_world_restore : NULL,
                            .slow = i};

        for (uint64_t first = 2; first < turns; first += 2 * stride()) {
            for (uint64_t gap = 1; gap < 60; gap += 1 + gap / 3) {
                life.suspend_at[0] = first;
                life.suspend_at[1] = first + gap;
                turns = suspended_life(&life);
            }
        }
    }
}

/* ---- told to close --------------------------------------------------------------------------- */

/* RL-05, LC-11: it is told to close at any step, and ends, whatever the backend is doing. */
static void test_RL_05_closed_at_every_step(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2 * (bus_worlds_count + 1); i++) {
        struct life life = {.world = i / 2, .slow = i & 1 ? 3 : 0};
        struct bus_rig rig;
        uint64_t steps;

        do {
            life.close_at += (life.slow ? 3 : 1) * stride();
            begin(&rig, &life);
            live(&rig, &life);
            steps = rig.steps;
            bus_rig_close(&rig);
            live_again(&rig);
        } while (life.close_at < steps);
    }
}

/* RL-05: suspended and closed, each at any time. */
static void test_RL_05_suspended_and_closed(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct life life = {.suspended = i ? bus_world_restore : NULL, .slow = i ? 1 : 20};
        uint64_t turns = whole_life(&life).turns;

        for (life.suspend_at[0] = 2; life.suspend_at[0] < turns; life.suspend_at[0] += stride()) {
            for (uint64_t step = 0; step < 60; step += 1 + step / 4) {
                struct bus_rig rig;

                begin(&rig, &life);
                rig.close_at = step + life.suspend_at[0] / 2;
                live(&rig, &life);
                bus_rig_close(&rig);
                live_again(&rig);
            }
        }
    }
}

/* ---- a store that fails ---------------------------------------------------------------------- */

/* What failed was none of the bus's calls, but its driver's. */
static bool drivers_own(const struct bus_rig *rig)
{
    const struct xenpv_detail *detail = &rig->front.bus.detail;

    return detail->error && strcmp(detail->step, "sharing memory with the peer") == 0;
}

/* Any one call fails, once it is connected: that costs time, and no connection, unless it is one
 * that the driver makes. */
static uint64_t failing_life(const struct life *life, uint64_t after)
{
    struct bus_rig rig;
    struct faulty_port *faulty = &rig.front.faulty;
    uint64_t calls;

    begin(&rig, life);
    faulty->fail_at = 0;
    bus_rig_connect(&rig);
    faulty->fail_at = faulty->calls + after;
    bus_rig_pass(&rig, 600);
    bus_world_begin(&rig, bus_worlds[life->world].world);
    bus_rig_pass(&rig, 5);
    must(&rig, bus_rig_run(&rig, 3 * BUS_RIG_RECOVER_MS, world_is_over), "it never ends");
    must(&rig, drivers_own(&rig) || bus_rig_connected(&rig), "it is not connected again");
    calls = faulty->calls - (faulty->fail_at - after);
    faulty->fail_at = 0;
    bus_rig_close(&rig);
    live_again(&rig);
    return calls;
}

static void test_seed_O7_any_call_fails(void **state)
{
    static const int errors[] = {XENPV_ENOMEM, XENPV_ESTORE, XENPV_EACCES,
                                 XENPV_ENOSPC, XENPV_EAGAIN, XENPV_ENOENT};

    (void)state;
    for (size_t i = 0; i < COUNT(errors) * bus_worlds_count; i++) {
        struct life life = {.world = (uint32_t)(i / COUNT(errors)),
                            .error = errors[i % COUNT(errors)],
                            .no_transactions = (i + i / COUNT(errors)) % 2};
        uint64_t calls;

        do {
            life.fail_at += stride();
            calls = failing_life(&life, life.fail_at);
        } while (life.fail_at < calls);
    }
}

/* The store is out for a while, from any call on. */
static void test_seed_O7_store_is_out(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2 * bus_worlds_count; i++) {
        struct life life = {.world = i / 2, .error = i % 2 ? XENPV_EACCES : XENPV_ESTORE};
        struct bus_rig rig;
        struct faulty_port *faulty = &rig.front.faulty;
        uint64_t calls;

        do {
            life.fail_at += stride();
            begin(&rig, &life);
            faulty->fail_at = 0;
            bus_rig_connect(&rig);
            calls = faulty->calls;
            bus_world_begin(&rig, bus_worlds[life.world].world);
            faulty->fail_at = calls + life.fail_at;
            faulty->for_good = true;
            while (!faulty->failed && !world_is_over(&rig))
                bus_rig_pass(&rig, 1);
            bus_rig_pass(&rig, 3000);
            faulty->fail_at = 0;
            must(&rig, bus_rig_run(&rig, 3 * BUS_RIG_RECOVER_MS, world_is_over), "it never ends");
            must(&rig, drivers_own(&rig) || bus_rig_connected(&rig), "it is not connected again");
            calls = faulty->calls - calls;
            bus_rig_close(&rig);
            live_again(&rig);
        } while (life.fail_at < calls);
    }
}

/* A first connection fails at any call, and the guest is suspended at any step of it. */
static void test_seed_O8_suspended_while_failing(void **state)
{
    struct life life = {.world = bus_worlds_count, .error = XENPV_ENOSPC};
    struct counts counts = whole_life(&life);

    (void)state;
    for (life.fail_at = 1; life.fail_at <= counts.calls; life.fail_at += stride()) {
        for (uint64_t step = 1; step <= counts.steps; step++) {
            struct bus_rig rig;

            begin(&rig, &life);
            rig.suspend_before = step;
            live(&rig, &life);
            bus_rig_close(&rig);
            live_again(&rig);
        }
    }
}

/* Transactions that meet conflicts, a few or more than are tried. */
static void test_seed_O7_conflicts(void **state)
{
    static const uint32_t conflicts[] = {1, 5, 12, 13, 20};

    (void)state;
    for (size_t i = 0; i < COUNT(conflicts) * bus_worlds_count; i++) {
        struct life life = {.world = (uint32_t)(i / COUNT(conflicts))};
        struct bus_rig rig;

        begin(&rig, &life);
        bus_rig_connect(&rig);
        xenpv_mock_set_conflicts(rig.mock, 1, conflicts[i % COUNT(conflicts)]);
        bus_world_begin(&rig, bus_worlds[life.world].world);
        bus_rig_pass(&rig, 5);
        must(&rig, bus_rig_run(&rig, 3 * BUS_RIG_RECOVER_MS, world_is_over), "it never ends");
        must(&rig, bus_rig_connected(&rig), "it is not connected again");
        bus_rig_close(&rig);
        live_again(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_O8_suspended_at_every_turn),
        cmocka_unit_test(test_seed_O8_suspended_twice),
        cmocka_unit_test(test_RL_05_closed_at_every_step),
        cmocka_unit_test(test_RL_05_suspended_and_closed),
        cmocka_unit_test(test_seed_O7_any_call_fails),
        cmocka_unit_test(test_seed_O7_store_is_out),
        cmocka_unit_test(test_seed_O7_conflicts),
        cmocka_unit_test(test_seed_O8_suspended_while_failing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
