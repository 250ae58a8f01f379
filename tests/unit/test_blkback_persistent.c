/* SPDX-License-Identifier: MIT */
/* Pages that the block backend keeps mapped: mapped once, bounded, the oldest goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "back_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t maps;

static void count_maps(void *ctx, const char *call)
{
    (void)ctx;
    maps += strcmp(call, "map") == 0;
}

static void up(struct back_rig *rig, uint32_t bound, uint32_t pages)
{
    back_up(rig, 4 << 20);
    rig->config.persistent = bound;
    rig->faulty.before = count_maps;
    back_start(rig);
    front_connect(rig, &(struct back_front){.persistent = true, .data_pages = pages});
    maps = 0;
}

static struct xenpv_blkback_stats stats_of(const struct back_rig *rig)
{
    struct xenpv_blkback_stats stats;

    xenpv_blkback_stats(rig->back, &stats);
    return stats;
}

/* ---- the bound ------------------------------------------------------------------------------- */

/* Which pages are kept, the oldest first: what the backend must be doing. */
struct model {
    uint32_t pages[64], count, bound, misses;
};

static void touch(struct model *model, uint32_t page)
{
    uint32_t at = 0;

    while (at < model->count && model->pages[at] != page)
        at++;
    if (at == model->count) {
        model->misses++;
        if (model->count < model->bound)
            model->count++;
        else
            at = 0;
    }
    if (at == 0 || model->pages[at] == page)
        memmove(&model->pages[at], &model->pages[at + 1],
                (model->count - 1 - at) * sizeof(model->pages[0]));
    model->pages[model->count - 1] = page;
}

/* Requests of any length to any pages: the data is right, and pages are mapped when the model says
 * so and never else. */
static void random_requests(struct back_rig *rig, uint32_t bound, uint32_t pages)
{
    static uint8_t shadow[4 << 20];
    struct model model = {.bound = bound};
    uint32_t seed = bound * 100 + pages;

    memset(shadow, 0, sizeof(shadow));
    for (int i = 0; i < 400; i++) {
        uint32_t count = 1 + back_random(&seed) % XENPV_BLKIF_SEGMENTS;
        struct xenpv_blkif_request request = {.op = back_random(&seed) % 2,
                                              .nr_segments = (uint16_t)count,
                                              .sector = back_random(&seed) % 8000};
        uint8_t *place = shadow + request.sector * 512;
        uint32_t used[XENPV_BLKIF_SEGMENTS];

        for (uint32_t k = 0; k < count; k++) {
            used[k] = back_random(&seed) % pages;
            for (uint32_t j = 0; j < k; j++) {
                if (used[j] == used[k]) {
                    used[k] = (used[k] + 1) % pages;
                    j = UINT32_MAX;
                }
            }
            request.seg[k] = front_segment(rig, used[k], 2, 5);
            back_fill(front_data(rig, used[k] * 4096 + 1024), 2048, seed);
            if (request.op == XENPV_BLKIF_WRITE)
                memcpy(place + (size_t)k * 2048, front_data(rig, used[k] * 4096 + 1024), 2048);
            if (count <= bound)
                touch(&model, used[k]);
        }
        assert_int_equal(front_ask(rig, 0, &request), XENPV_BLKIF_OKAY);
        for (uint32_t k = 0; k < count && request.op == XENPV_BLKIF_READ; k++)
            assert_memory_equal(front_data(rig, used[k] * 4096 + 1024), place + (size_t)k * 2048,
                                2048);
        assert_int_equal(maps, model.misses);
        assert_int_equal(stats_of(rig).persistent, model.count);
        back_assert_holds(rig, 1 + model.count, 1);
    }
    rig->notes.inner.read(rig->notes.inner.ctx, 0, front_data(rig, 0), 4096);
    assert_memory_equal(front_data(rig, 0), shadow, 4096);
}

static void test_bound(void **state)
{
    static const struct {
        uint32_t bound, pages;
    } table[] = {{1, 16}, {2, 16}, {4, 11}, {8, 40}, {11, 11}, {12, 40}, {40, 40}, {64, 40}};
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        up(rig, table[i].bound, table[i].pages);
        random_requests(rig, table[i].bound, table[i].pages);
        back_down(rig);
    }
    free(rig);
}

/* As many pages as the default keeps, and twice that: every one is found again. */
static void test_many(void **state)
{
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    up(rig, 1056, 2112);
    for (int round = 0; round < 2; round++) {
        for (uint32_t page = 0; page < 1056; page++)
            assert_int_equal(front_move(rig, XENPV_BLKIF_WRITE, 0, page, 512), XENPV_BLKIF_OKAY);
        assert_int_equal(maps, 1056);
    }
    for (uint32_t page = 0; page < 2112; page++)
        assert_int_equal(front_move(rig, XENPV_BLKIF_READ, 0, page, 512), XENPV_BLKIF_OKAY);
    /* The first half was there, and was pushed out by the second. */
    assert_int_equal(maps, 2112);
    assert_int_equal(stats_of(rig).persistent, 1056);
    assert_int_equal(stats_of(rig).mapped, 0);
    back_down(rig);
    free(rig);
}

/* Each queue keeps its own; all of it goes with the frontend, however that goes. */
static void test_release(void **state)
{
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    for (int way = 0; way < 4; way++) {
        struct xenpv_blkif_request request = {.op = XENPV_BLKIF_READ, .nr_segments = 11};

        back_up(rig, 0);
        back_start(rig);
        front_connect(rig, &(struct back_front){.persistent = true, .queues = 3});
        for (uint32_t i = 0; i < 11; i++)
            request.seg[i] = front_segment(rig, i, 0, 7);
        for (uint32_t q = 0; q < 3; q++)
            assert_int_equal(front_ask(rig, q, &request), XENPV_BLKIF_OKAY);
        back_assert_holds(rig, 3 + 33, 3);
        assert_int_equal(stats_of(rig).persistent, 33);
        if (way == 0) {
            front_close(rig);
        } else if (way == 1) { /* it closes without a word */
            back_set(rig, BACK_FRONT, "state", "6");
            back_until(rig, 6);
            front_end(rig);
        } else if (way == 2) { /* we close */
            xenpv_blkback_close(rig->back, 0);
            back_until(rig, 5);
            assert_int_equal(stats_of(rig).persistent, 0);
            back_assert_holds(rig, 0, 0);
            back_down(rig);
            continue;
        } else { /* we are destroyed on the spot */
            xenpv_blkback_destroy(rig->back);
            rig->back = NULL;
            back_assert_holds(rig, 0, 0);
            front_end(rig);
            back_free(rig);
            continue;
        }
        back_assert_holds(rig, 0, 0);
        assert_int_equal(stats_of(rig).persistent, 0);
        back_down(rig);
    }
    free(rig);
}

/* ---- the data's way -------------------------------------------------------------------------- */

static bool in_data(struct back_rig *rig)
{
    const uint8_t *at = rig->notes.data;

    return at >= front_data(rig, 0) && at < front_data(rig, (size_t)rig->data.pages * 4096);
}

/* Straight between disk and page when it is kept mapped, else not; what is side by side at once. */
static void test_straight(void **state)
{
    struct xenpv_blkif_request request = {.nr_segments = 3};
    struct back_rig rig;

    (void)state;
    up(&rig, 8, 16);
    for (request.op = 0; request.op < 2; request.op++) {
        rig.notes.calls = 0;
        assert_int_equal(front_move(&rig, request.op, 0, 1, 3 * 4096), XENPV_BLKIF_OKAY);
        assert_true(in_data(&rig));
        assert_int_equal(rig.notes.calls, 1);
        assert_int_equal(rig.notes.bytes, 3 * 4096);
        /* A gap at either end of a page, or pages in another order, part them. */
        request.seg[0] = front_segment(&rig, 2, 0, 6);
        request.seg[1] = front_segment(&rig, 3, 0, 7);
        request.seg[2] = front_segment(&rig, 1, 0, 7);
        rig.notes.calls = 0;
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_OKAY);
        assert_int_equal(rig.notes.calls, 3);
        /* More than are kept: by copy. */
        assert_int_equal(front_move(&rig, request.op, 0, 0, 9 * 4096), XENPV_BLKIF_OKAY);
        assert_false(in_data(&rig));
        assert_int_equal(stats_of(&rig).mapped, 9u * (request.op + 1u));
    }
    back_down(&rig);
}

/* A failing disk fails the request; the pages stay. */
static void test_disk_fails(void **state)
{
    struct back_rig rig;

    (void)state;
    up(&rig, 8, 16);
    for (uint8_t op = 0; op < 2; op++) {
        rig.notes.calls = 0;
        rig.notes.fail_at = 1;
        assert_int_equal(front_move(&rig, op, 0, 0, 4096), XENPV_BLKIF_ERROR);
        rig.notes.fail_at = 0;
        assert_int_equal(front_move(&rig, op, 0, 0, 4096), XENPV_BLKIF_OKAY);
    }
    assert_int_equal(maps, 1);
    back_down(&rig);
}

/* ---- pages that cannot be kept --------------------------------------------------------------- */

/* Persistent grants must be writable; a frontend whose are not is served as far as they go. */
static void test_read_only_pages(void **state)
{
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){.persistent = true, .read_only = true});
    for (int i = 0; i < 5; i++) {
        assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE, 0, (uint32_t)i, 8192),
                         XENPV_BLKIF_OKAY);
        assert_int_equal(front_move(&rig, XENPV_BLKIF_READ, 0, (uint32_t)i, 8192),
                         XENPV_BLKIF_ERROR);
    }
    assert_int_equal(stats_of(&rig).persistent, 0);
    assert_int_equal(stats_of(&rig).mapped, 20);
    back_down(&rig);
}

/* A page that is not granted costs no room. */
static void test_bad_pages(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 1};
    struct back_rig rig;

    (void)state;
    up(&rig, 4, 16);
    for (uint32_t i = 0; i < 10; i++) {
        request.seg[0] = (struct xenpv_blkif_segment){20000 + i, 0, 7};
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_ERROR);
        assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE, 0, i / 3, 4096), XENPV_BLKIF_OKAY);
        assert_int_equal(stats_of(&rig).persistent, i / 3 + 1);
    }
    /* With all room taken it costs the oldest page at the most. */
    maps = 0;
    assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_ERROR);
    assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_ERROR);
    assert_int_equal(stats_of(&rig).persistent, 3);
    for (uint32_t page = 4; page > 0; page--)
        assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE, 0, page - 1, 4096), XENPV_BLKIF_OKAY);
    assert_int_equal(maps, 2 + 1);
    back_down(&rig);
}

/* BE-12: the quota of mappings is reached: what cannot be mapped is copied, ... */
static void test_be12_quota_of_mappings(void **state)
{
    struct back_rig rig;

    (void)state;
    back_up_limited(&rig, 0, 1 + 5);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){.persistent = true});
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t page = i % 16;

        back_fill(front_data(&rig, page * 4096), 4096, i);
        assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE, page * 8, page, 4096),
                         XENPV_BLKIF_OKAY);
        assert_true(stats_of(&rig).persistent <= 5);
    }
    assert_int_equal(stats_of(&rig).persistent, 5);
    assert_true(stats_of(&rig).mapped > 0);
    back_down(&rig);
}

/* ... and a ring that cannot be mapped is refused; one that can, later, is not. */
static void test_be12_quota_of_rings(void **state)
{
    struct back_front front = {.naming = BACK_PAGE_ORDER, .order = 2};
    struct back_rig rig;

    (void)state;
    back_up_limited(&rig, 0, 3);
    back_start(&rig);
    back_until(&rig, 2);
    front_share(&rig, &front);
    back_set(&rig, BACK_FRONT, "state", "3");
    back_until(&rig, 5);
    assert_int_equal(xenpv_blkback_detail(rig.back)->error, XENPV_ENOGRANT);
    back_assert_holds(&rig, 0, 0);
    back_set(&rig, BACK_FRONT, "state", "6");
    back_until(&rig, 6);
    front_end(&rig);
    front.order = 1;
    front_connect(&rig, &front);
    back_down(&rig);
}

/* Without an offer, or without the frontend's answer, nothing is kept mapped. */
static void test_not_negotiated(void **state)
{
    struct back_rig rig;

    (void)state;
    for (int i = 0; i < 2; i++) {
        back_up(&rig, 0);
        if (i)
            rig.config.persistent = 0;
        back_start(&rig);
        front_connect(&rig, &(struct back_front){.persistent = i});
        assert_int_equal(front_move(&rig, XENPV_BLKIF_READ, 0, 0, 4096), XENPV_BLKIF_OKAY);
        back_assert_holds(&rig, 1, 1);
        assert_int_equal(stats_of(&rig).mapped, 1);
        back_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_straight),
        cmocka_unit_test(test_disk_fails),
        cmocka_unit_test(test_read_only_pages),
        cmocka_unit_test(test_bad_pages),
        cmocka_unit_test(test_be12_quota_of_mappings),
        cmocka_unit_test(test_be12_quota_of_rings),
        cmocka_unit_test(test_not_negotiated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
