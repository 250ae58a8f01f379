/* SPDX-License-Identifier: MIT */
/*
 * What is negotiated: every size of ring and number of queues in every layout, with each feature
 * used and switched off, and with backends that know nothing but the least.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- all of it ------------------------------------------------------------------------------- */

enum {
    REGION = 65536, /* bytes of the disk that one queue has for itself */
    MOST_QUEUES = 64,
    PART_AT = 777,
    PART = 60000,   /* more than one plain request carries */
    HOLE_AT = 8192, /* of the discard */
    HOLE = 8192,
};

/* Everything there is. */
static const struct rig_offer everything = {
    .queues = MOST_QUEUES, .ring_order = 4, .segments = 32, .persistent = 64};

struct cell {
    uint32_t order, queues, without;
    enum xenpv_abi abi;
    uint32_t sector_size;
};

struct matrix {
    struct rig rig;
    struct cell cell;
    uint8_t pattern[REGION + PART + 64], expected[REGION], found[REGION];
};

static void use_queue(struct matrix *matrix, uint32_t queue)
{
    struct rig *rig = &matrix->rig;
    uint64_t at = (uint64_t)queue * REGION;
    bool can_discard = !(matrix->cell.without & XENPV_BLK_DISCARD);
    bool can_flush = (matrix->cell.without & (XENPV_BLK_FLUSH | XENPV_BLK_BARRIER)) !=
                     (XENPV_BLK_FLUSH | XENPV_BLK_BARRIER);

    rig->q = xenpv_blk_queue(rig->blk, queue);
    memcpy(matrix->expected, matrix->pattern + queue, REGION);
    assert_int_equal(rig_write(rig, at, matrix->expected, REGION), XENPV_OK);
    memcpy(matrix->expected + PART_AT, matrix->pattern + PART + queue, PART);
    assert_int_equal(rig_write(rig, at + PART_AT, matrix->expected + PART_AT, PART), XENPV_OK);
    assert_int_equal(rig_flush(rig), can_flush ? XENPV_OK : XENPV_ENOTSUP);
    assert_int_equal(xenpv_blkq_discard(rig->q, at + HOLE_AT, HOLE, 0, NULL),
                     can_discard ? XENPV_OK : XENPV_ENOTSUP);
    if (can_discard) {
        assert_int_equal(rig_wait(rig), XENPV_OK);
        memset(matrix->expected + HOLE_AT, 0, HOLE);
    }
    assert_int_equal(rig_read(rig, at + PART_AT, matrix->found, PART), XENPV_OK);
    assert_memory_equal(matrix->found, matrix->expected + PART_AT, PART);
    rig_assert_disk(rig, at, matrix->expected, REGION);
}

static uint32_t all_but(uint32_t without, uint32_t features)
{
    return features & ~without;
}

/* What is said to be used is used, and nothing else. */
static void assert_used(const struct matrix *matrix, const struct xenpv_blk_info *info)
{
    const struct cell *cell = &matrix->cell;
    struct xenpv_blkback_stats stats;
    uint32_t without = cell->without, queues = info->queues, order = cell->order;
    uint32_t features = (1u << XENPV_BLK_FEATURES) - 1;

    /* A guest's part of the store has no room for 64 rings of 16 pages. */
    if (queues == 64 && order == 4)
        order = 3;
    features &= cell->order ? UINT32_MAX : ~(uint32_t)XENPV_BLK_LARGE_RING;
    features &= cell->queues > 1 ? UINT32_MAX : ~(uint32_t)XENPV_BLK_MULTI_QUEUE;
    features &= without & XENPV_BLK_DISCARD ? ~(uint32_t)XENPV_BLK_SECURE_DISCARD : UINT32_MAX;
    assert_int_equal(info->features, all_but(without, features));
    assert_int_equal(queues, without & XENPV_BLK_MULTI_QUEUE ? 1 : cell->queues);
    assert_int_equal(xenpv_blkback_queues(matrix->rig.back), queues);
    assert_int_equal(info->ring_pages, without & XENPV_BLK_LARGE_RING ? 1 : 1 << order);
    assert_int_equal(info->segments, without & XENPV_BLK_INDIRECT ? 11 : 32);
    assert_int_equal(info->can_discard, !(without & XENPV_BLK_DISCARD));
    xenpv_blkback_stats(matrix->rig.back, &stats);
    assert_int_equal(stats.refused, 0);
    assert_int_equal(stats.flushes, without & XENPV_BLK_FLUSH ? 0 : queues);
    assert_int_equal(stats.barriers,
                     (without & XENPV_BLK_FLUSH) && !(without & XENPV_BLK_BARRIER) ? queues : 0);
    assert_int_equal(stats.discards, without & XENPV_BLK_DISCARD ? 0 : queues);
    assert_int_equal(stats.indirect != 0, !(without & XENPV_BLK_INDIRECT));
    assert_int_equal(stats.persistent != 0, !(without & XENPV_BLK_PERSISTENT));
}

/* What the store asks for is what is used. */
static void assert_asked(struct rig *rig, const struct xenpv_blk_info *info, bool persistent)
{
    uint32_t order = 0;

    while (1u << order < info->ring_pages)
        order++;
    assert_int_equal(rig_get(rig, RIG_FRONTEND_PATH, "ring-page-order"), order ? (int)order : -1);
    assert_int_equal(rig_get(rig, RIG_FRONTEND_PATH, "num-ring-pages"), order ? 1 << order : -1);
    assert_int_equal(rig_get(rig, RIG_FRONTEND_PATH, "multi-queue-num-queues"),
                     info->queues > 1 ? (int)info->queues : -1);
    assert_int_equal(rig_get(rig, RIG_FRONTEND_PATH, "feature-persistent"), persistent ? 1 : -1);
    assert_int_equal(rig_get(rig, RIG_FRONTEND_PATH, "event-channel") < 0, info->queues > 1);
    assert_int_equal(rig_get(rig, RIG_FRONTEND_PATH, "ring-ref") < 0, info->queues > 1 || order);
}

static void run_cell(struct matrix *matrix)
{
    const struct cell *cell = &matrix->cell;
    struct rig *rig = &matrix->rig;
    struct xenpv_blk_info info;

    rig_up(rig, &(struct rig_options){.bytes = (uint64_t)MOST_QUEUES * REGION,
                                      .sector_size = cell->sector_size,
                                      .offer = &everything,
                                      .limits = {.store_nodes = 2000},
                                      .queues = cell->queues,
                                      .ring_order = cell->order,
                                      .segments = 32,
                                      .buffer_pages = 40,
                                      .without = cell->without,
                                      .abi = cell->abi});
    rig_connect(rig);
    xenpv_blk_info(rig->blk, &info);
    for (uint32_t i = 0; i < info.queues; i++)
        use_queue(matrix, i);
    for (uint32_t i = info.queues; i < cell->queues; i++)
        assert_int_equal(xenpv_blkq_flush(xenpv_blk_queue(rig->blk, i), NULL), XENPV_EPARKED);
    assert_used(matrix, &info);
    assert_asked(rig, &info, !(cell->without & XENPV_BLK_PERSISTENT));
    rig_close(rig);
    rig_down(rig);
}

/* C1, O1, O2, O4, O11: each feature off in turn, then all; sizes of rings, numbers of queues. */
static void check_matrix(enum xenpv_abi abi)
{
    static const uint32_t queues[] = {1, 2, 4, MOST_QUEUES}, sizes[] = {512, 4096};
    struct matrix *matrix = calloc(1, sizeof(*matrix));

    matrix->cell.abi = abi;
    rig_fill(matrix->pattern, sizeof(matrix->pattern), abi);
    for (uint32_t cell = 0; cell < 5 * COUNT(queues) * COUNT(sizes); cell++) {
        matrix->cell.order = cell % 5;
        matrix->cell.queues = queues[cell / 5 % COUNT(queues)];
        matrix->cell.sector_size = sizes[cell / 5 / COUNT(queues)];
        for (uint32_t off = 0; off < XENPV_BLK_FEATURES + 2; off++) {
            matrix->cell.without =
                off == XENPV_BLK_FEATURES + 1 ? (1u << XENPV_BLK_FEATURES) - 1 : (1u << off) >> 1;
            run_cell(matrix);
        }
    }
    free(matrix);
}

static void test_seed_C1_O1_O2_O4_O11_matrix_x86_64(void **state)
{
    (void)state;
    check_matrix(XENPV_ABI_X86_64);
}

static void test_seed_C1_O1_O2_O4_O11_matrix_x86_32(void **state)
{
    (void)state;
    check_matrix(XENPV_ABI_X86_32);
}

static void test_seed_C1_O1_O2_O4_O11_matrix_arm(void **state)
{
    (void)state;
    check_matrix(XENPV_ABI_ARM);
}

/* ---- backends of old ------------------------------------------------------------------------- */

static const struct rig_options all_wanted = {
    .no_backend = true, .queues = 4, .ring_order = 4, .segments = 64, .operations = 4};

/* Writes and reads back more than the ring, or one request, holds. */
static void transfer_all(struct rig *rig, struct plain *plain)
{
    size_t bytes = (size_t)plain->bytes - 1000;
    uint8_t *written = malloc(bytes), *found = malloc(bytes);

    rig_fill(written, bytes, plain->attached);
    assert_int_equal(rig_write(rig, 500, written, bytes), XENPV_OK);
    assert_memory_equal(plain->disk + 500, written, bytes);
    assert_int_equal(rig_read(rig, 500, found, bytes), XENPV_OK);
    assert_memory_equal(found, written, bytes);
    free(written);
    free(found);
}

/* A backend that tells its size and nothing else: one page, one queue, 11 segments. */
static void test_seed_R1_no_optional_key(void **state)
{
    static const uint32_t expected_asked[8] = {[XENPV_BLKIF_READ] = 26, [XENPV_BLKIF_WRITE] = 26};
    struct rig rig;
    struct plain *plain = malloc(sizeof(*plain));
    struct xenpv_blk_info info;

    (void)state;
    rig_up(&rig, &all_wanted);
    plain_up(plain, &rig);
    rig_connect(&rig);
    xenpv_blk_info(rig.blk, &info);
    assert_int_equal(info.features, 0);
    assert_int_equal(info.queues, 1);
    assert_int_equal(info.ring_pages, 1);
    assert_int_equal(info.segments, 11);
    assert_int_equal(info.sector_size, 512);
    assert_int_equal(info.physical_sector_size, 512);
    assert_int_equal(info.bytes, 1 << 20);
    assert_false(info.readonly || info.cdrom || info.removable);
    assert_false(info.can_flush || info.can_discard || info.can_discard_secure);
    assert_string_equal(info.serial, "");
    assert_string_equal(info.designator, "");
    assert_string_equal(info.doubt, "");
    transfer_all(&rig, plain);
    assert_int_equal(rig_flush(&rig), XENPV_ENOTSUP);
    assert_int_equal(xenpv_blkq_discard(rig.q, 0, 4096, 0, NULL), XENPV_ENOTSUP);
    /* 24 requests of 44 KiB, and for what is left of a sector at each end a read and a write. */
    assert_in_range(plain->asked[XENPV_BLKIF_READ], expected_asked[XENPV_BLKIF_READ], 30);
    assert_in_range(plain->asked[XENPV_BLKIF_WRITE], expected_asked[XENPV_BLKIF_WRITE], 30);
    assert_int_equal(plain->indirect, 0);
    rig_close(&rig);
    plain_down(plain);
    rig_down(&rig);
    free(plain);
}

/* Who offers what of a large ring, and which of the frontend's keys he then looks at. */
static const struct {
    struct plain_key offer[3];
    bool by_pages;
    uint32_t pages;
} rings[] = {
    {{{"max-ring-pages", "1"}}, true, 1},
    {{{"max-ring-pages", "2"}}, true, 2},
    {{{"max-ring-pages", "3"}}, true, 2},
    {{{"max-ring-pages", "16"}}, true, 16},
    {{{"max-ring-pages", "1000"}}, true, 16},
    {{{"max-ring-pages", "0"}}, true, 1},
    {{{"max-ring-pages", "x"}}, true, 1},
    {{{"max-ring-page-order", "0"}}, false, 1},
    {{{"max-ring-page-order", "1"}}, false, 2},
    {{{"max-ring-page-order", "4"}}, false, 16},
    {{{"max-ring-page-order", "9"}}, false, 16},
    {{{"max-ring-page-order", "-1"}}, false, 1},
    /* Both: the newer one counts. */
    {{{"max-ring-page-order", "3"}, {"max-ring-pages", "8"}}, false, 8},
    {{{"max-ring-page-order", "3"}, {"max-ring-pages", "8"}}, true, 8},
    {{{"max-ring-page-order", "2"}, {"max-ring-pages", "16"}}, false, 4},
    {{{"max-ring-page-order", "x"}, {"max-ring-pages", "4"}}, true, 4},
};

/* Bug 22518244: what is granted is told anew, and taken anew, with each connection. */
static void test_seed_O1_ways_of_naming_a_ring(void **state)
{
    struct plain *plain = malloc(sizeof(*plain));

    (void)state;
    for (size_t i = 0; i < COUNT(rings); i++) {
        struct xenpv_blk_info info;
        struct rig rig;
        int before = 0;

        rig_up(&rig, &all_wanted);
        plain_up(plain, &rig);
        plain->offer = rings[i].offer;
        plain->by_pages = rings[i].by_pages;
        for (int times = 0; times < 2; times++) {
            const char *first = rings[i].pages > 1 ? "ring-ref0" : "ring-ref";

            rig_connect(&rig);
            xenpv_blk_info(rig.blk, &info);
            assert_int_equal(info.ring_pages, rings[i].pages);
            assert_int_equal(plain->pages, rings[i].pages);
            assert_int_not_equal(rig_get(&rig, RIG_FRONTEND_PATH, first), before);
            before = rig_get(&rig, RIG_FRONTEND_PATH, first);
            transfer_all(&rig, plain);
            rig_close(&rig);
        }
        assert_int_equal(plain->attached, 2);
        plain_down(plain);
        rig_down(&rig);
    }
    free(plain);
}

/* Closed, the frontend leaves nothing in the store but its state. */
static void assert_tidy(struct rig *rig)
{
    static const char tidy[] = "backend\0backend-id\0state\0virtual-device\0device-type\0trusted";
    char names[1024];
    struct xenpv_store_op op = {.type = XENPV_STORE_LIST,
                                .dir = RIG_FRONTEND_PATH,
                                .value = names,
                                .capacity = sizeof(names)};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};

    assert_int_equal(rig->back_port.store->start(rig->back_port.ctx, &batch), 0);
    assert_int_equal(op.status, XENPV_OK);
    assert_int_equal(op.length, sizeof(tidy));
    assert_memory_equal(names, tidy, sizeof(tidy));
}

/* A ring that shrinks and grows from one connection to the next leaves no key of the other. */
static void test_seed_O1_ring_of_another_size(void **state)
{
    static const uint32_t orders[] = {4, 0, 2, 1, 3, 0, 4};
    struct rig rig;
    uint8_t data[9000] = {1};

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true, .queues = 3, .ring_order = 4});
    for (size_t i = 0; i < COUNT(orders); i++) {
        struct rig_offer offer = {.queues = 1 + orders[i] % 3, .ring_order = orders[i]};
        struct xenpv_blk_info info;

        rig_start_back(&rig, &offer);
        rig_connect(&rig);
        xenpv_blk_info(rig.blk, &info);
        assert_int_equal(info.ring_pages, 1 << orders[i]);
        assert_int_equal(info.queues, offer.queues);
        assert_asked(&rig, &info, true);
        for (uint32_t k = 0; k < info.queues; k++) {
            rig.q = xenpv_blk_queue(rig.blk, k);
            assert_int_equal(rig_write(&rig, k * 10000, data, sizeof(data)), XENPV_OK);
            rig_assert_disk(&rig, k * 10000, data, sizeof(data));
        }
        rig_close(&rig);
        assert_tidy(&rig);
        rig_close_back(&rig);
    }
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_C1_O1_O2_O4_O11_matrix_x86_64),
        cmocka_unit_test(test_seed_C1_O1_O2_O4_O11_matrix_x86_32),
        cmocka_unit_test(test_seed_C1_O1_O2_O4_O11_matrix_arm),
        cmocka_unit_test(test_seed_R1_no_optional_key),
        cmocka_unit_test(test_seed_O1_ways_of_naming_a_ring),
        cmocka_unit_test(test_seed_O1_ring_of_another_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
