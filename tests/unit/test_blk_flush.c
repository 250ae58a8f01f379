/* SPDX-License-Identifier: MIT */
/*
 * Flushes: by which operation they are sent, what becomes of a backend that does not know it after
 * all, and that a flush which has ended holds through a power cut (seed row O9).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"
#include "workload.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what is sent ---------------------------------------------------------------------------- */

enum { OK = XENPV_BLKIF_OKAY, BAD = XENPV_BLKIF_ERROR, UNKNOWN = XENPV_BLKIF_EOPNOTSUPP };

static struct flushes {
    struct rig rig;
    struct plain plain;
    int answers[2]; /* to a flush, to a barrier */
    char sent[16];  /* F, B, W, R */
    uint32_t count;
} flushes;

static int note(struct plain *plain, const struct plain_request *request)
{
    static const char letters[] = "RWBF?D?";
    bool flush = request->op == XENPV_BLKIF_FLUSH;

    (void)plain;
    assert_in_range(flushes.count, 0, sizeof(flushes.sent) - 2);
    flushes.sent[flushes.count++] = letters[request->op % 7];
    flushes.sent[flushes.count] = '\0';
    if (request->op != XENPV_BLKIF_WRITE_BARRIER && !flush)
        return PLAIN_DO;
    assert_int_equal(request->raw.nr_segments, 0);
    assert_int_equal(request->raw.sector, 0);
    assert_int_equal(request->raw.handle, 0);
    return flushes.answers[!flush];
}

static const struct plain_key offers[4][4] = {
    {{"sectors", "2048"}, {NULL, NULL}},
    {{"sectors", "2048"}, {"feature-flush-cache", "1"}, {NULL, NULL}},
    {{"sectors", "2048"}, {"feature-barrier", "1"}, {NULL, NULL}},
    {{"sectors", "2048"}, {"feature-flush-cache", "1"}, {"feature-barrier", "1"}, {NULL, NULL}},
};

static const struct {
    const char *what;
    uint32_t offered; /* XENPV_BLK_FLUSH, XENPV_BLK_BARRIER */
    uint32_t without;
    int answers[2];
    int status[2]; /* of one flush, and of the next */
    const char *sent;
    bool can_flush; /* then */
} cases[] = {
    {"nothing is offered", 0, 0, {OK, OK}, {XENPV_ENOTSUP, XENPV_ENOTSUP}, "", false},
    {"flush", 1, 0, {OK, OK}, {0, 0}, "FF", true},
    {"barrier does for it", 2, 0, {OK, OK}, {0, 0}, "BB", true},
    {"both", 3, 0, {OK, OK}, {0, 0}, "FF", true},
    {"both, without flush", 3, 1, {OK, OK}, {0, 0}, "BB", true},
    {"both, without barrier", 3, 2, {OK, OK}, {0, 0}, "FF", true},
    {"both, without both", 3, 3, {OK, OK}, {XENPV_ENOTSUP, XENPV_ENOTSUP}, "", false},
    {"flush fails", 1, 0, {BAD, OK}, {XENPV_EIO, XENPV_EIO}, "FF", true},
    {"flush fails, barrier is known", 3, 0, {BAD, OK}, {XENPV_EIO, XENPV_EIO}, "FF", true},
    {"flush is unknown", 1, 0, {UNKNOWN, OK}, {XENPV_ENOTSUP, XENPV_ENOTSUP}, "F", false},
    {"flush is unknown, barrier is known", 3, 0, {UNKNOWN, OK}, {0, 0}, "FBB", true},
    {"flush is unknown, barrier fails", 3, 0, {UNKNOWN, BAD}, {XENPV_EIO, XENPV_EIO}, "FBB", true},
    {"both are unknown", 3, 0, {UNKNOWN, UNKNOWN}, {XENPV_ENOTSUP, XENPV_ENOTSUP}, "FB", false},
    {"barrier is unknown", 2, 0, {OK, UNKNOWN}, {XENPV_ENOTSUP, XENPV_ENOTSUP}, "B", false},
    {"flush is unknown, without barrier",
     3,
     2,
     {UNKNOWN, OK},
     {XENPV_ENOTSUP, XENPV_ENOTSUP},
     "F",
     false},
};

static void up(uint32_t offered, const struct rig_options *options)
{
    rig_up(&flushes.rig, options);
    plain_up(&flushes.plain, &flushes.rig);
    flushes.plain.answer = offers[offered];
    flushes.plain.judge = note;
    flushes.count = 0;
    flushes.sent[0] = '\0';
    rig_connect(&flushes.rig);
}

static void down(void)
{
    rig_close(&flushes.rig);
    plain_down(&flushes.plain);
    rig_down(&flushes.rig);
}

/* FE-29: never silent. What the backend does not know is told, and told of the next time. */
static void test_FE_29_flush(void **state)
{
    uint8_t data[512];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct xenpv_blk_info info;

        print_message("  %s\n", cases[i].what);
        memcpy(flushes.answers, cases[i].answers, sizeof(flushes.answers));
        up(cases[i].offered,
           &(struct rig_options){.no_backend = true, .without = cases[i].without});
        xenpv_blk_info(flushes.rig.blk, &info);
        assert_int_equal(info.can_flush, (cases[i].offered & ~cases[i].without) != 0);
        for (int k = 0; k < 2; k++)
            assert_int_equal(rig_flush(&flushes.rig), cases[i].status[k]);
        assert_string_equal(flushes.sent, cases[i].sent);
        xenpv_blk_info(flushes.rig.blk, &info);
        assert_int_equal(info.can_flush, cases[i].can_flush);
        /* All else goes on; a new connection asks anew. */
        assert_int_equal(rig_read(&flushes.rig, 0, data, sizeof(data)), XENPV_OK);
        rig_close(&flushes.rig);
        flushes.answers[0] = flushes.answers[1] = OK;
        rig_connect(&flushes.rig);
        assert_int_equal(rig_flush(&flushes.rig),
                         cases[i].offered & ~cases[i].without ? XENPV_OK : XENPV_ENOTSUP);
        down();
    }
}

/* Many at once, when it turns out: each ends once, as barriers. */
static void test_FE_29_many_flushes(void **state)
{
    struct xenpv_completion done[8];
    uint32_t ended = 0;

    (void)state;
    flushes.answers[0] = UNKNOWN;
    flushes.answers[1] = OK;
    up(3, &(struct rig_options){.no_backend = true});
    for (int i = 0; i < 5; i++)
        assert_int_equal(xenpv_blkq_flush(flushes.rig.q, NULL), XENPV_OK);
    for (int i = 0; i < 20; i++) {
        int count = xenpv_blkq_poll(flushes.rig.q, done, 8);

        for (int k = 0; k < count; k++)
            assert_int_equal(done[k].status, XENPV_OK);
        ended += (uint32_t)count;
        rig_step(&flushes.rig);
    }
    assert_int_equal(ended, 5);
    assert_string_equal(flushes.sent, "FFFFFBBBBB");
    down();
}

/* While it closes, too: a flush that has to become a barrier is still finished. */
static void test_FE_29_while_closing(void **state)
{
    struct xenpv_completion done;
    int count;

    (void)state;
    flushes.answers[0] = UNKNOWN;
    flushes.answers[1] = OK;
    up(3, &(struct rig_options){.no_backend = true});
    assert_int_equal(xenpv_blkq_flush(flushes.rig.q, NULL), XENPV_OK);
    xenpv_blkq_submit(flushes.rig.q);
    xenpv_blk_close(flushes.rig.blk, xenpv_mock_now(flushes.rig.mock));
    while ((count = xenpv_blkq_poll(flushes.rig.q, &done, 1)) == 0)
        rig_step(&flushes.rig);
    assert_int_equal(count, 1);
    assert_int_equal(done.status, XENPV_OK);
    rig_until(&flushes.rig, XENPV_BLK_CLOSED);
    plain_down(&flushes.plain);
    rig_down(&flushes.rig);
}

/* ---- power cuts ------------------------------------------------------------------------------ */

enum { PART = 32768, QUEUES = 2, ROUNDS = 40, CUTS = 4, SEEDS = 30 };

/* The power goes when nothing is under way; what goes on after it has ended by then, or was lost. */
static void finish(struct workload *work, struct rig *rig)
{
    for (uint32_t i = 0; i < QUEUES; i++) {
        while (work[i].pending) {
            assert_true(workload_take(&work[i]) >= 0);
            rig_step(rig);
        }
        workload_check(&work[i], rig);
    }
}

static uint64_t cut_power(struct workload *work, struct rig *rig, uint32_t seed)
{
    uint64_t lost;

    finish(work, rig);
    lost = xenpv_disk_power_cut(&rig->disk, seed);
    for (uint32_t i = 0; i < QUEUES; i++)
        workload_check_cut(&work[i], rig);
    return lost;
}

/* How much was lost, of what was not flushed. */
static uint64_t run_cuts(uint32_t seed, uint32_t without)
{
    static struct workload work[QUEUES];
    struct rig rig;
    uint32_t random = seed;
    uint64_t lost = 0, kept = 0;

    rig_up(&rig, &(struct rig_options){.bytes = (uint64_t)PART * QUEUES,
                                       .kind = RIG_VOLATILE,
                                       .queues = QUEUES,
                                       .without = without});
    rig_connect(&rig);
    for (uint32_t i = 0; i < QUEUES; i++)
        workload_init(&work[i], xenpv_blk_queue(rig.blk, i), (uint64_t)i * PART, PART, 512,
                      seed * QUEUES + i);
    for (uint32_t cut = 0; cut < CUTS; cut++) {
        for (uint32_t round = 0; round < ROUNDS; round++) {
            for (uint32_t i = 0; i < QUEUES; i++) {
                workload_queue(&work[i], rig_random(&random) % 4);
                assert_true(workload_take(&work[i]) >= 0);
            }
            if (rig_random(&random) % 2)
                rig_step(&rig);
        }
        lost += cut_power(work, &rig, seed * CUTS + cut);
    }
    for (uint32_t i = 0; i < QUEUES; i++) {
        for (uint32_t k = 0; k < work[i].cells; k++)
            kept += work[i].stable[k] != 0;
        workload_free(&work[i]);
    }
    assert_true(kept > 0);
    rig_close(&rig);
    rig_down(&rig);
    return lost;
}

static void check_cuts(uint32_t without)
{
    uint64_t lost = 0;

    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        lost += run_cuts(seed, without);
    assert_true(lost > 0); /* the disk did lose what it may lose */
}

static void test_seed_O9_flushed_data_survives_a_power_cut(void **state)
{
    (void)state;
    check_cuts(0);
}

static void test_seed_O9_barrier_for_a_flush(void **state)
{
    (void)state;
    check_cuts(XENPV_BLK_FLUSH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_FE_29_flush),
        cmocka_unit_test(test_FE_29_many_flushes),
        cmocka_unit_test(test_FE_29_while_closing),
        cmocka_unit_test(test_seed_O9_flushed_data_survives_a_power_cut),
        cmocka_unit_test(test_seed_O9_barrier_for_a_flush),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
