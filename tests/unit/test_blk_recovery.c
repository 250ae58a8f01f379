/* SPDX-License-Identifier: MIT */
/*
 * A backend goes and comes back, in every way in which one can, under load: what was accepted is
 * done over, in order, with whatever the new one knows; and it does not come back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "life.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { RECOVER_MS = 60000, SEEDS = 12 };

/* ---- ways to go ------------------------------------------------------------------------------ */

static struct life life;

static void set_state(const char *state)
{
    rig_set(&life.rig, life.rig.backend_path, "state", state);
}

static void closes(void)
{
    struct rig *rig = &life.rig;

    xenpv_blkback_close(rig->back, xenpv_mock_now(rig->mock));
    for (int i = 0; xenpv_blkback_step(rig->back, xenpv_mock_now(rig->mock)) != XENPV_BUS_DONE;
         i++) {
        assert_in_range(i, 0, 20000);
        life_turn(&life);
    }
    rig_kill_back(rig);
}

static void dies(void)
{
    rig_kill_back(&life.rig);
}

static void dies_at_1(void)
{
    rig_kill_back(&life.rig);
    set_state("1");
}

static void dies_at_5(void)
{
    rig_kill_back(&life.rig);
    set_state("5");
}

static void dies_at_6(void)
{
    rig_kill_back(&life.rig);
    set_state("6");
}

/* Its directory goes, and comes back at the same place with nothing in it but what libxl writes. */
static void vanishes(void)
{
    struct xenpv_mock_perms perms = {
        .owner = life.rig.backend, .domid = 1, .allowed = XENPV_MOCK_READ};

    rig_kill_back(&life.rig);
    assert_int_equal(xenpv_mock_rm(life.rig.mock, life.rig.backend_path), XENPV_OK);
    life_turns(&life, 10);
    assert_int_equal(xenpv_mock_write(life.rig.mock, life.rig.backend_path, ""), XENPV_OK);
    assert_int_equal(xenpv_mock_set_perms(life.rig.mock, life.rig.backend_path, &perms), XENPV_OK);
    rig_set(&life.rig, life.rig.backend_path, "frontend", RIG_FRONTEND_PATH);
    rig_set(&life.rig, life.rig.backend_path, "frontend-id", "1");
    rig_set(&life.rig, life.rig.backend_path, "online", "1");
    set_state("1");
}

/* O7: the driver domain dies, and another one, of another number, takes the device. */
static void moves(void)
{
    uint16_t next = (uint16_t)(life.rig.backend + 1);

    rig_kill_back(&life.rig);
    assert_int_equal(xenpv_mock_remove_domain(life.rig.mock, life.rig.backend), XENPV_OK);
    life_turns(&life, 10);
    rig_remove(&life.rig);
    life_turns(&life, 10);
    rig_make(&life.rig, next, false);
}

static const struct {
    const char *name;
    void (*go)(void);
    uint16_t backend;
} ways[] = {
    {"closes", closes, 0},       {"dies", dies, 0},           {"dies at 1", dies_at_1, 0},
    {"dies at 5", dies_at_5, 0}, {"dies at 6", dies_at_6, 0}, {"vanishes", vanishes, 0},
    {"moves", moves, 2},
};

/* ---- ways of moving data --------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool own, shared, large, untrusted;
} modes[] = {
    {"bounced", false, false, false, false},     {"large", false, false, true, false},
    {"not trusted", false, false, false, true},  {"own memory", true, false, true, false},
    {"shared pages", false, true, false, false},
};

static void prepare(size_t mode, uint16_t backend, uint32_t seed)
{
    life = (struct life){.options = {.queues = 1 + seed % LIFE_QUEUES,
                                     .ring_order = seed % 3,
                                     .recover_ms = RECOVER_MS,
                                     .own_memory = modes[mode].own,
                                     .untrusted = modes[mode].untrusted,
                                     .backend = backend},
                         .seed = seed,
                         .shared = modes[mode].shared,
                         .aligned = modes[mode].own,
                         .large = modes[mode].large};
}

static void connect(void)
{
    life_up(&life);
    rig_connect(&life.rig);
}

/* ---- it returns ------------------------------------------------------------------------------ */

/* A few turns at work, gone, a while without, and back; three times over. */
static void go_and_return(size_t way, size_t mode, uint32_t seed)
{
    prepare(mode, ways[way].backend, seed);
    connect();
    for (int times = 0; times < 3; times++) {
        life_turns(&life, 20 + seed * 7 % 50);
        ways[way].go();
        life_turns(&life, seed * 13 % 40);
        rig_start_back(&life.rig, NULL);
        life_turns(&life, seed * 3 % 30);
        if (!life_until(&life, XENPV_BLK_CONNECTED, RECOVER_MS))
            fail_msg("%s, seed %u: it is not connected again: %s", ways[way].name, seed,
                     xenpv_error_name(xenpv_blk_detail(life.rig.blk)->error));
    }
    assert_true(life_drained(&life, 1000));
    for (uint32_t i = 0; i < life.queues; i++)
        assert_int_equal(life.work[i].failed, 0);
    assert_int_equal(xenpv_blk_detail(life.rig.blk)->error, 0);
    life_down(&life);
}

static void test_RL_02_RL_03_RL_04_seed_O7_returns(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT(ways); way++) {
        print_message("  %s\n", ways[way].name);
        for (size_t mode = 0; mode < COUNT(modes); mode++) {
            for (uint32_t seed = 1; seed <= SEEDS; seed++)
                go_and_return(way, mode, seed * 17 + (uint32_t)mode);
        }
    }
}

/* ---- killed at every step -------------------------------------------------------------------- */

/*
 * The backend's domain dies at a call of its port: what it did before stands, in the store, on the
 * rings, on the disk; of this call and all further ones nothing comes. longjmp is the axe.
 */
static struct kill {
    struct faulty_port port;
    struct xenpv_disk disk; /* the rig's own */
    uint64_t at, calls;
    jmp_buf axe;
    bool armed;
} kill;

static void count(void)
{
    if (kill.armed && ++kill.calls == kill.at)
        longjmp(kill.axe, 1);
}

/* Calls that only look are not counted: what comes before the next one that acts is the same. */
static bool acts(const char *call)
{
    static const char *const looks[] = {"generation", "fired", "take", "check", "log"};

    for (size_t i = 0; i < COUNT(looks); i++) {
        if (strcmp(call, looks[i]) == 0)
            return false;
    }
    return true;
}

static void count_call(void *ctx, const char *call)
{
    (void)ctx;
    if (acts(call))
        count();
}

/* Before the disk is asked, and after: done, and not answered. */
static int read_disk(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    count();
    return kill.disk.read(ctx, offset, to, length);
}

static int write_disk(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    int error;

    count();
    error = kill.disk.write(ctx, offset, from, length);
    count();
    return error;
}

static int flush_disk(void *ctx)
{
    int error;

    count();
    error = kill.disk.flush(ctx);
    count();
    return error;
}

static int discard_disk(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    int error;

    count();
    error = kill.disk.discard(ctx, offset, length, secure);
    count();
    return error;
}

/* One turn in which it may die; false: it has. */
static bool turn_under_the_axe(void)
{
    if (setjmp(kill.axe)) {
        kill.armed = false;
        return false;
    }
    kill.armed = true;
    life_turn(&life);
    kill.armed = false;
    return true;
}

static void wrap_backend(void)
{
    struct xenpv_disk *disk = &life.rig.disk;

    faulty_wrap(&kill.port, &life.rig.back_port);
    kill.port.before = count_call;
    kill.disk = *disk;
    disk->read = read_disk;
    disk->write = write_disk;
    disk->flush = flush_disk;
    disk->discard = discard_disk;
}

/* The domain dies with what it had mapped, and another one is there in its place. */
static void bury(void)
{
    uint16_t next = (uint16_t)(life.rig.backend + 1);

    assert_int_equal(xenpv_mock_remove_domain(life.rig.mock, life.rig.backend), XENPV_OK);
    rig_kill_back(&life.rig);
    life_turns(&life, 5);
    rig_remove(&life.rig);
    rig_make(&life.rig, next, false);
}

/* The second backend dies, on its way to the connection or in it, and a third one comes. False: it
 * was done with everything before it would have died. */
static bool killed_at(uint64_t at, size_t mode)
{
    bool lives = true;

    prepare(mode, 2, (uint32_t)at);
    life.options.kind = RIG_VOLATILE;
    connect();
    life_turns(&life, 10);
    bury();
    wrap_backend();
    rig_start_back(&life.rig, NULL);
    kill.at = at;
    kill.calls = 0;
    for (int i = 0; i < 700 && lives; i++)
        lives = turn_under_the_axe();
    if (!lives) {
        bury();
        rig_start_back(&life.rig, NULL);
    }
    if (!life_until(&life, XENPV_BLK_CONNECTED, RECOVER_MS))
        fail_msg("killed at call %u: state %d, %s", (unsigned)at, xenpv_blk_state(life.rig.blk),
                 xenpv_error_name(xenpv_blk_detail(life.rig.blk)->error));
    life_turns(&life, 30);
    assert_true(life_drained(&life, 1000));
    for (uint32_t i = 0; i < life.queues; i++) {
        assert_int_equal(life.work[i].failed, 0);
        workload_check(&life.work[i], &life.rig);
    }
    xenpv_disk_power_cut(&life.rig.disk, (uint32_t)at);
    for (uint32_t i = 0; i < life.queues; i++)
        workload_check_cut(&life.work[i], &life.rig);
    life_down(&life);
    return !lives;
}

static void test_RL_02_RL_03_killed_at_every_call(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < COUNT(modes); mode++) {
        uint64_t at = 1;

        while (killed_at(at, mode))
            at += at < 60 ? 1 : 7 + at / 8;
        print_message("  %s: %u calls\n", modes[mode].name, (unsigned)kill.calls);
        assert_in_range(at, 200, 3000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_RL_02_RL_03_RL_04_seed_O7_returns),
        cmocka_unit_test(test_RL_02_RL_03_killed_at_every_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
