/* SPDX-License-Identifier: MIT */
/*
 * A disk that is not what it was: resized while it is used, or another one, with less to offer, when
 * the connection returns (LC-10).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "life.h"
#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { BLOCK = 4096, RECOVER_MS = 60000 };

static uint64_t bytes_of(const struct rig *rig)
{
    struct xenpv_blk_info info;

    xenpv_blk_info(rig->blk, &info);
    return info.bytes;
}

/* ---- resized --------------------------------------------------------------------------------- */

static void resize(struct rig *rig, uint64_t bytes)
{
    rig->disk.bytes = bytes;
    xenpv_blkback_resized(rig->back);
    for (int i = 0; i < 10 && bytes_of(rig) != bytes; i++)
        rig_step(rig);
    assert_int_equal(bytes_of(rig), bytes);
}

/* Told at once; the queue keeps to it from its next poll on. */
static void test_grows(void **state)
{
    uint8_t data[BLOCK], found[BLOCK];
    struct xenpv_iov iov = {data, BLOCK};
    struct xenpv_completion done;
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){.bytes = 1 << 20});
    rig.disk.bytes = 1 << 19;
    rig_connect(&rig);
    rig_fill(data, BLOCK, 1);
    assert_int_equal(bytes_of(&rig), 1 << 19);
    assert_int_equal(rig_write(&rig, 1 << 19, data, BLOCK), XENPV_ERANGE);
    assert_int_equal(rig_write(&rig, (1 << 19) - BLOCK, data, BLOCK), XENPV_OK);
    resize(&rig, 1 << 20);
    assert_int_equal(xenpv_blkq_poll(rig.q, &done, 1), 0);
    assert_int_equal(xenpv_blkq_writev(rig.q, (1 << 20) - BLOCK, &iov, 1, NULL), XENPV_OK);
    assert_int_equal(rig_wait(&rig), XENPV_OK);
    assert_int_equal(rig_read(&rig, (1 << 20) - BLOCK, found, BLOCK), XENPV_OK);
    assert_memory_equal(found, data, BLOCK);
    assert_int_equal(rig_write(&rig, (1 << 20) - 1, data, 2), XENPV_ERANGE);
    rig_close(&rig);
    rig_down(&rig);
}

/* What was queued before, and not sent, and lies beyond the new end, ends with RANGE; the short way
 * is no way round. */
static void test_shrinks(void **state)
{
    static const struct rig_offer plain_only = {.queues = 1};
    struct xenpv_completion done[8];
    struct xenpv_iov iov;
    uint8_t data[BLOCK];
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){
                     .bytes = 1 << 20, .offer = &plain_only, .buffer_pages = 11, .operations = 8});
    rig_connect(&rig);
    iov = (struct xenpv_iov){data, BLOCK};
    rig_fill(data, BLOCK, 1);
    /* The first write keeps the others waiting: they touch it. */
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(xenpv_blkq_writev(rig.q, (1 << 20) - BLOCK, &iov, 1, NULL), XENPV_OK);
    xenpv_blkq_submit(rig.q);
    for (int i = 0; i < 10; i++)
        rig_step(&rig); /* the first has been done by now, and not been taken */
    resize(&rig, 1 << 19);
    assert_int_equal(xenpv_blkq_poll(rig.q, done, 1), 1);
    assert_int_equal(done[0].status, XENPV_OK);
    assert_int_equal(rig_wait(&rig), XENPV_ERANGE);
    assert_int_equal(rig_wait(&rig), XENPV_ERANGE);
    assert_int_equal(rig_write(&rig, (1 << 20) - BLOCK, data, BLOCK), XENPV_ERANGE);
    assert_int_equal(rig_write(&rig, (1 << 19) - BLOCK, data, BLOCK), XENPV_OK);
    assert_int_equal(rig_write(&rig, (1 << 19) - BLOCK + 1, data, BLOCK), XENPV_ERANGE);
    assert_int_equal(xenpv_blkq_discard(rig.q, 1 << 19, BLOCK, 0, NULL), XENPV_ERANGE);
    resize(&rig, 0);
    assert_int_equal(xenpv_blkq_poll(rig.q, done, 1), 0);
    assert_int_equal(rig_read(&rig, 0, data, 512), XENPV_ERANGE);
    resize(&rig, 512);
    assert_int_equal(xenpv_blkq_poll(rig.q, done, 1), 0);
    assert_int_equal(rig_write(&rig, 0, data, 512), XENPV_OK);
    assert_int_equal(rig_write(&rig, 0, data, 513), XENPV_ERANGE);
    rig_close(&rig);
    rig_down(&rig);
}

/* Behind what is used the end moves at every turn: nothing is lost, nothing fails. */
static void test_resized_at_work(void **state)
{
    static struct life life;

    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        uint64_t least;

        life = (struct life){.options = {.queues = LIFE_QUEUES, .own_memory = seed % 3 == 0},
                             .seed = seed,
                             .aligned = seed % 3 == 0,
                             .large = true};
        life_up(&life);
        rig_connect(&life.rig);
        least = life.rig.disk.bytes;
        for (uint32_t i = 0; i < 60; i++) {
            life.rig.disk.bytes = least + i % 7 * 512;
            xenpv_blkback_resized(life.rig.back);
            life_turn(&life);
        }
        life.rig.disk.bytes = least;
        life_down(&life);
    }
}

/* State 4 once more, and what else may have changed by then. */
static const struct {
    const char *what;
    struct plain_key key[2];
    uint32_t check; /* 0: it goes on */
    int error;      /* of a write to the second page, then */
    uint64_t bytes;
} rewrites[] = {
    {"nothing", {{NULL, NULL}}, 0, XENPV_OK, 1 << 20},
    {"the same", {{"sectors", "2048"}}, 0, XENPV_OK, 1 << 20},
    {"smaller", {{"sectors", "8"}}, 0, XENPV_ERANGE, 4096},
    {"nothing left", {{"sectors", "0"}}, 0, XENPV_ERANGE, 0},
    {"larger than 2 TiB", {{"sectors", "8589934592"}}, 0, XENPV_OK, UINT64_C(1) << 42},
    {"too large", {{"sectors", "18446744073709551615"}}, XENPV_CHECK_SECTORS, 0, 0},
    {"larger sectors", {{"sector-size", "4096"}}, 0, XENPV_OK, 1 << 20},
    {"sectors that are none", {{"sector-size", "100"}}, XENPV_CHECK_SECTOR_SIZE, 0, 0},
    {"read-only", {{"info", "4"}}, 0, XENPV_EROFS, 1 << 20},
};

static void test_FE_31_rewritten(void **state)
{
    struct plain *plain = malloc(sizeof(*plain));
    uint8_t data[BLOCK] = {1};

    (void)state;
    for (size_t i = 0; i < COUNT(rewrites); i++) {
        struct rig rig;

        print_message("  %s\n", rewrites[i].what);
        rig_up(&rig, &(struct rig_options){.no_backend = true});
        plain_up(plain, &rig);
        rig_connect(&rig);
        assert_int_equal(rig_write(&rig, BLOCK, data, BLOCK), XENPV_OK);
        if (rewrites[i].key[0].name)
            rig_set(&rig, rig.backend_path, rewrites[i].key[0].name, rewrites[i].key[0].value);
        rig_set(&rig, rig.backend_path, "state", "4");
        rig_rest(&rig);
        rig_poll_all(&rig);
        if (rewrites[i].check) {
            rig_until(&rig, XENPV_BLK_FAILED);
            assert_int_equal(xenpv_blk_detail(rig.blk)->check, rewrites[i].check);
        } else {
            assert_true(bytes_of(&rig) == rewrites[i].bytes);
            assert_int_equal(rig_write(&rig, BLOCK, data, BLOCK), rewrites[i].error);
            rig_close(&rig);
        }
        plain_down(plain);
        rig_down(&rig);
    }
    free(plain);
}

/* ---- less than before ------------------------------------------------------------------------ */

static const struct rig_offer one_page = {.queues = LIFE_QUEUES, .segments = 256, .persistent = 99};
static const struct rig_offer no_large = {.queues = LIFE_QUEUES, .ring_order = 2, .persistent = 99};
static const struct rig_offer few_large = {.queues = LIFE_QUEUES, .segments = 12};
static const struct rig_offer nothing_kept = {.queues = LIFE_QUEUES, .segments = 256};

static const struct {
    const char *what;
    const struct rig_offer *offer; /* NULL: as before */
    uint32_t sector_size;
} returns[] = {
    {"all of it", NULL, 512},
    {"rings of one page", &one_page, 512},
    {"no large requests", &no_large, 512},
    {"smaller large requests", &few_large, 512},
    {"nothing kept mapped", &nothing_kept, 512},
    {"larger sectors", NULL, 4096},
    {"larger sectors and no large requests", &no_large, 4096},
};

/* What was sent in a form that the next backend does not know is sent in another. */
static void test_LC_10_less_returns(void **state)
{
    static struct life life;

    (void)state;
    for (size_t i = 0; i < COUNT(returns); i++) {
        print_message("  %s\n", returns[i].what);
        for (uint32_t seed = 1; seed <= 10; seed++) {
            life = (struct life){.options = {.queues = LIFE_QUEUES,
                                             .ring_order = 2,
                                             .recover_ms = RECOVER_MS,
                                             .own_memory = seed % 2},
                                 .seed = seed * 10 + (uint32_t)i,
                                 .kinds = WORKLOAD_READ | WORKLOAD_WRITE | WORKLOAD_FLUSH,
                                 .large = true};
            life_up(&life);
            rig_connect(&life.rig);
            for (int times = 0; times < 4; times++) {
                bool less = times % 2 == 0;

                life_turns(&life, 15);
                /* A new one that found our state 4 would take up the old connection. */
                rig_kill_back(&life.rig);
                rig_set(&life.rig, life.rig.backend_path, "state", "6");
                life_turns(&life, 5);
                life.rig.disk.sector_size = less ? returns[i].sector_size : 512;
                rig_start_back(&life.rig, less ? returns[i].offer : NULL);
                life_turns(&life, 5);
                assert_true(life_until(&life, XENPV_BLK_CONNECTED, RECOVER_MS));
            }
            assert_true(life_drained(&life, 1000));
            for (uint32_t k = 0; k < life.queues; k++)
                assert_int_equal(life.work[k].failed, 0);
            life_down(&life);
        }
    }
}

/* Operations that the next backend does not know at all end, each with what is true of it. */
static const struct plain_key all_of_it[] = {{"sectors", "2048"},      {"feature-flush-cache", "1"},
                                             {"feature-barrier", "1"}, {"feature-discard", "1"},
                                             {"discard-secure", "1"},  {NULL, NULL}};

static const struct {
    const char *what;
    struct plain_key answer[5];
    int write, flush, discard, secure;
    uint32_t asked; /* discards that the next backend gets to see */
} without[] = {
    {"all of it", {{NULL, NULL}}, XENPV_OK, XENPV_OK, XENPV_OK, XENPV_OK, 2},
    {"no flush", {{"feature-flush-cache", "0"}}, XENPV_OK, XENPV_OK, XENPV_OK, XENPV_OK, 2},
    {"no flush and no barrier",
     {{"feature-flush-cache", "0"}, {"feature-barrier", "0"}},
     XENPV_OK,
     XENPV_ENOTSUP,
     XENPV_OK,
     XENPV_OK,
     2},
    {"no discard", {{"feature-discard", "0"}}, XENPV_OK, XENPV_OK, XENPV_ENOTSUP, XENPV_ENOTSUP, 0},
    {"no secure discard",
     {{"discard-secure", "0"}},
     XENPV_OK,
     XENPV_OK,
     XENPV_OK,
     XENPV_ENOTSUP,
     1},
    {"larger granules",
     {{"discard-granularity", "16384"}},
     XENPV_OK,
     XENPV_OK,
     XENPV_OK,
     XENPV_EINVAL,
     0},
    {"read-only", {{"info", "4"}}, XENPV_EROFS, XENPV_OK, XENPV_EROFS, XENPV_EROFS, 0},
    {"smaller", {{"sectors", "8"}}, XENPV_ERANGE, XENPV_OK, XENPV_ERANGE, XENPV_ERANGE, 0},
};

static void check_without(struct plain *plain, size_t i)
{
    int status[4] = {1, 1, 1, 1};
    uint8_t data[BLOCK] = {1};
    struct xenpv_iov iov = {data, BLOCK};
    struct rig rig;

    rig_up(&rig, &(struct rig_options){.no_backend = true, .recover_ms = RECOVER_MS});
    plain_up(plain, &rig);
    plain->answer = all_of_it;
    rig_connect(&rig);
    plain->deaf = true;
    assert_int_equal(xenpv_blkq_writev(rig.q, 8192, &iov, 1, &status[0]), XENPV_OK);
    assert_int_equal(xenpv_blkq_flush(rig.q, &status[1]), XENPV_OK);
    assert_int_equal(xenpv_blkq_discard(rig.q, 16384, BLOCK, 0, &status[2]), XENPV_OK);
    assert_int_equal(xenpv_blkq_discard(rig.q, 32768, BLOCK, XENPV_DISCARD_SECURE, &status[3]),
                     XENPV_OK);
    xenpv_blkq_submit(rig.q);
    plain->answer = without[i].answer;
    rig_set(&rig, rig.backend_path, "state", "5");
    for (int k = 0; k < 3000 && xenpv_blkq_pending(rig.q); k++) {
        struct xenpv_completion done[4];
        int count = xenpv_blkq_poll(rig.q, done, 4);

        for (int n = 0; n < count; n++)
            *(int *)done[n].user = done[n].status;
        plain->deaf = plain->attached == 1; /* the one that goes has done nothing of it */
        rig_step(&rig);
        xenpv_mock_advance(rig.mock, 1);
    }
    assert_int_equal(status[0], without[i].write);
    assert_int_equal(status[1], without[i].flush);
    assert_int_equal(status[2], without[i].discard);
    assert_int_equal(status[3], without[i].secure);
    assert_int_equal(plain->asked[XENPV_BLKIF_DISCARD], without[i].asked);
    rig_close(&rig);
    plain_down(plain);
    rig_down(&rig);
}

static void test_LC_10_operations_unknown_by_then(void **state)
{
    struct plain *plain = malloc(sizeof(*plain));

    (void)state;
    for (size_t i = 0; i < COUNT(without); i++) {
        print_message("  %s\n", without[i].what);
        check_without(plain, i);
    }
    free(plain);
}

/* Discards that were accepted in granules of a page, and what is asked for in those of the disk
 * that returns: what fills some of them, and nothing else. */
static const struct {
    const char *what, *granularity, *alignment;
    uint64_t offset, bytes;
    bool asked;
} grown[] = {
    {"as before", "4096", "0", 20480, 8192, true},
    {"one granule", "16384", "0", 16384, 16384, true},
    {"more granules", "16384", "0", 16384, 49152, true},
    {"less than a granule", "16384", "0", 20480, 8192, false},
    {"a granule, and part of the one before", "16384", "0", 12288, 20480, false},
    {"a granule, and part of the next", "16384", "0", 16384, 20480, false},
    {"across the end of a granule", "16384", "0", 24576, 16384, false},
    {"granules shifted", "16384", "8192", 24576, 16384, true},
    {"up to the last, short granule", "24576", "0", 1032192, 16384, true},
    {"part of the last, short granule", "24576", "0", 1032192, 8192, false},
};

/* The only discard that may come is the one that was asked for. */
static int only_whole(struct plain *plain, const struct plain_request *request)
{
    const size_t *i = plain->ctx;

    if (request->op == XENPV_BLKIF_DISCARD) {
        assert_true(grown[*i].asked);
        assert_true(request->offset == grown[*i].offset);
        assert_true(request->bytes == grown[*i].bytes);
    }
    return PLAIN_DO;
}

static void check_grown(struct plain *plain, size_t i)
{
    struct plain_key answer[] = {{"discard-granularity", grown[i].granularity},
                                 {"discard-alignment", grown[i].alignment},
                                 {NULL, NULL}};
    struct rig rig;

    rig_up(&rig, &(struct rig_options){.no_backend = true, .recover_ms = RECOVER_MS});
    plain_up(plain, &rig);
    plain->answer = all_of_it;
    plain->judge = only_whole;
    plain->ctx = &i;
    rig_set(&rig, rig.backend_path, "discard-granularity", "4096");
    rig_connect(&rig);
    plain->deaf = true;
    assert_int_equal(xenpv_blkq_discard(rig.q, grown[i].offset, grown[i].bytes, 0, NULL), XENPV_OK);
    xenpv_blkq_submit(rig.q);
    plain->answer = answer;
    rig_set(&rig, rig.backend_path, "state", "5");
    for (int k = 0; k < 3000 && xenpv_blkq_pending(rig.q); k++) {
        rig_poll_all(&rig);
        plain->deaf = plain->attached == 1;
        rig_step(&rig);
        xenpv_mock_advance(rig.mock, 1);
    }
    assert_int_equal(xenpv_blkq_pending(rig.q), 0);
    assert_int_equal(plain->asked[XENPV_BLKIF_DISCARD], grown[i].asked);
    rig_close(&rig);
    plain_down(plain);
    rig_down(&rig);
}

static void test_seed_A3_LC_10_granules_grown(void **state)
{
    struct plain *plain = malloc(sizeof(*plain));

    (void)state;
    for (size_t i = 0; i < COUNT(grown); i++) {
        print_message("  %s\n", grown[i].what);
        check_grown(plain, i);
    }
    free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_resized_at_work),
        cmocka_unit_test(test_FE_31_rewritten),
        cmocka_unit_test(test_LC_10_less_returns),
        cmocka_unit_test(test_LC_10_operations_unknown_by_then),
        cmocka_unit_test(test_seed_A3_LC_10_granules_grown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
