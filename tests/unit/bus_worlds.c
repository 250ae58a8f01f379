/* SPDX-License-Identifier: MIT */
#include "bus_worlds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* It closes as it should, and starts again. */
static void restarts(struct bus_rig *rig)
{
    rig->back.returns = true;
    xenpv_bus_start(&rig->back.bus, XENPV_GOAL_CLOSE, bus_rig_now(rig));
    rig->world = NULL;
}

/* Its process dies, whoever cleans up after it writes a state, and another starts. */
static void dies_at(struct bus_rig *rig, const char *state)
{
    if (rig->stage++ == 0) {
        bus_rig_kill_back(rig);
        bus_rig_set(rig, rig->back.path, "state", state);
        rig->due = bus_rig_now(rig) + 1300;
        return;
    }
    bus_rig_start_back(rig);
    rig->world = NULL;
}

static void dies_at_1(struct bus_rig *rig)
{
    dies_at(rig, "1");
}

static void dies_at_2(struct bus_rig *rig)
{
    dies_at(rig, "2");
}

static void dies_at_5(struct bus_rig *rig)
{
    dies_at(rig, "5");
}

static void dies_at_6(struct bus_rig *rig)
{
    dies_at(rig, "6");
}

/* Its directory goes, and comes back at the same place; ours stays. */
static void vanishes(struct bus_rig *rig)
{
    if (rig->stage++ == 0) {
        bus_rig_kill_back(rig);
        assert_int_equal(xenpv_mock_rm(rig->mock, rig->back.path), XENPV_OK);
        rig->due = bus_rig_now(rig) + 2300;
        return;
    }
    assert_int_equal(xenpv_mock_write(rig->mock, rig->back.path, ""), XENPV_OK);
    bus_rig_allow(rig, rig->back.path, XENPV_MOCK_READ);
    bus_rig_set(rig, rig->back.path, "frontend", BUS_RIG_FRONT);
    bus_rig_set(rig, rig->back.path, "frontend-id", "1");
    bus_rig_set(rig, rig->back.path, "online", "1");
    bus_rig_set(rig, rig->back.path, "state", "1");
    bus_rig_start_back(rig);
    rig->world = NULL;
}

/* All that was there of it may not be read any more. */
static void is_forbidden(struct bus_rig *rig)
{
    char state[300];

    snprintf(state, sizeof(state), "%s/state", rig->back.path);
    if (rig->stage++ == 0) {
        bus_rig_kill_back(rig);
        bus_rig_allow(rig, state, XENPV_MOCK_NONE);
        /* No watch tells of that. */
        rig->front.bus.look_at = bus_rig_now(rig);
        rig->due = bus_rig_now(rig) + 2300;
        return;
    }
    bus_rig_allow(rig, state, XENPV_MOCK_READ);
    bus_rig_start_back(rig);
    rig->world = NULL;
}

/* The domain it ran in dies; the device gets a backend in another, with directories afresh. */
static void moves(struct bus_rig *rig)
{
    if (rig->stage++ == 0) {
        bus_rig_kill_back(rig);
        assert_int_equal(xenpv_mock_remove_domain(rig->mock, rig->back.domid), XENPV_OK);
        rig->due = bus_rig_now(rig) + 3100;
    } else if (rig->stage == 2) {
        bus_rig_remove(rig);
        rig->due = bus_rig_now(rig) + 1700;
    } else {
        bus_rig_make(rig, bus_rig_add_domain(rig));
        bus_rig_start_back(rig);
        rig->world = NULL;
    }
}

/* The same, but our directory is kept, and one key after the other is rewritten. */
static void moves_key_by_key(struct bus_rig *rig)
{
    char domid[8];

    switch (rig->stage++) {
    case 0:
        bus_rig_kill_back(rig);
        assert_int_equal(xenpv_mock_remove_domain(rig->mock, rig->back.domid), XENPV_OK);
        rig->due = bus_rig_now(rig) + 1100;
        break;
    case 1:
        bus_rig_set(rig, BUS_RIG_FRONT, "backend", NULL);
        rig->due = bus_rig_now(rig) + 1100;
        break;
    case 2:
        bus_rig_set(rig, BUS_RIG_FRONT, "backend-id", NULL);
        rig->due = bus_rig_now(rig) + 1100;
        break;
    case 3:
        /* The directories of the two are made in one go; ours is made from it, key by key. */
        assert_int_equal(xenpv_mock_rm(rig->mock, BUS_RIG_FRONT), XENPV_OK);
        bus_rig_make(rig, bus_rig_add_domain(rig));
        bus_rig_set(rig, BUS_RIG_FRONT, "backend-id", NULL);
        rig->due = bus_rig_now(rig) + 1100;
        break;
    case 4:
        snprintf(domid, sizeof(domid), "%u", rig->back.domid);
        bus_rig_set(rig, BUS_RIG_FRONT, "backend-id", domid);
        bus_rig_start_back(rig);
        rig->world = NULL;
        break;
    }
}

/* It goes on in the same domain, but as a backend of another kind. */
static void changes_kind(struct bus_rig *rig)
{
    static const char path[] = "/local/domain/2/backend/qdisk/1/51712";

    if (rig->stage++ == 0) {
        bus_rig_kill_back(rig);
        bus_rig_set(rig, rig->back.path, "state", "6");
        rig->due = bus_rig_now(rig) + 1100;
        return;
    }
    assert_int_equal(xenpv_mock_write(rig->mock, path, ""), XENPV_OK);
    bus_rig_allow(rig, path, XENPV_MOCK_READ);
    bus_rig_set(rig, path, "frontend", BUS_RIG_FRONT);
    bus_rig_set(rig, path, "frontend-id", "1");
    bus_rig_set(rig, path, "online", "1");
    bus_rig_set(rig, path, "state", "1");
    bus_rig_set(rig, BUS_RIG_FRONT, "backend", path);
    memcpy(rig->back.path, path, sizeof(path));
    bus_rig_start_back(rig);
    rig->world = NULL;
}

/* The old directory stays behind, in a state in which it would be waited for. */
static void moves_and_leaves_a_corpse(struct bus_rig *rig)
{
    static const struct xenpv_mock_perms readable = {.owner = 0, .others = XENPV_MOCK_READ};

    if (rig->stage++ == 0) {
        bus_rig_kill_back(rig);
        bus_rig_set(rig, rig->back.path, "state", "5");
        rig->due = bus_rig_now(rig) + 700;
        return;
    }
    assert_int_equal(xenpv_mock_set_perms(rig->mock, rig->back.path, &readable), XENPV_OK);
    assert_int_equal(xenpv_mock_rm(rig->mock, BUS_RIG_FRONT), XENPV_OK);
    bus_rig_make(rig, bus_rig_add_domain(rig));
    bus_rig_start_back(rig);
    rig->world = NULL;
}

/* It goes through every state, and back, as fast as it can. */
static void goes_back_and_forth(struct bus_rig *rig)
{
    static const char *const states[] = {"5", "4", "1", "6", "2", "4", "3", "5", "7", "2",
                                         "4", "0", "4", "6", "1", "x", "4", "2", "4", "5"};

    if (rig->stage == 0)
        bus_rig_kill_back(rig);
    if (rig->stage < COUNT(states)) {
        bus_rig_set(rig, rig->back.path, "state", states[rig->stage++]);
        bus_rig_set(rig, rig->back.path, "sectors", "4096");
        rig->due = bus_rig_now(rig) + rig->stage % 7;
        return;
    }
    bus_rig_start_back(rig);
    rig->world = NULL;
}

const struct bus_world bus_worlds[] = {
    {"restarts", restarts},
    {"dies at 1", dies_at_1},
    {"dies at 2", dies_at_2},
    {"dies at 5", dies_at_5},
    {"dies at 6", dies_at_6},
    {"vanishes", vanishes},
    {"is forbidden", is_forbidden},
    {"moves", moves},
    {"moves key by key", moves_key_by_key},
    {"changes its kind", changes_kind},
    {"moves and leaves a corpse", moves_and_leaves_a_corpse},
    {"goes back and forth", goes_back_and_forth},
};

const uint32_t bus_worlds_count = COUNT(bus_worlds);

void bus_world_begin(struct bus_rig *rig, void (*world)(struct bus_rig *rig))
{
    rig->stage = 0;
    rig->due = bus_rig_now(rig);
    rig->world = world;
}

static void is_restored(struct bus_rig *rig)
{
    bus_rig_make(rig, bus_rig_add_domain(rig));
    bus_rig_start_back(rig);
    rig->world = NULL;
}

void bus_world_restore(struct bus_rig *rig)
{
    bus_rig_kill_back(rig);
    bus_rig_remove(rig);
    rig->back.returns = false;
    rig->world = is_restored;
    rig->due = bus_rig_now(rig) + 1900;
}
