/* SPDX-License-Identifier: MIT */
/* A queue's shared pages: what goes through them is not copied, and they outlive a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PAGE = 4096, PAGES = 20, DISK = 1 << 20 };

static const struct plain_key indirect[] = {{"feature-max-indirect-segments", "256"}, {NULL, NULL}};
static const struct plain_key large_sectors[] = {
    {"sectors", "2048"}, {"sector-size", "4096"}, {NULL, NULL}};

static struct shared {
    struct rig rig;
    struct plain plain;
    uint8_t data[DISK];
} all;

static void up(const struct rig_options *options, const struct plain_key *answer)
{
    struct rig_options mine = *options;

    mine.no_backend = true;
    mine.shared_pages = mine.shared_pages ? mine.shared_pages : PAGES;
    rig_up(&all.rig, &mine);
    plain_up(&all.plain, &all.rig);
    all.plain.offer = indirect;
    all.plain.answer = answer;
    if (options->units == XENPV_UNITS_SECTOR_SIZE)
        all.plain.number_unit = all.plain.segment_unit = 4096;
    rig_connect(&all.rig);
}

static void down(void)
{
    rig_close(&all.rig);
    plain_down(&all.plain);
    rig_down(&all.rig);
}

static uint8_t *pages(void)
{
    uint8_t *memory = xenpv_blkq_shared(all.rig.q);

    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % PAGE, 0);
    return memory;
}

/* ---- whose they are -------------------------------------------------------------------------- */

static void test_pages_of_each_queue(void **state)
{
    static const struct plain_key queues[] = {{"multi-queue-max-queues", "2"}, {NULL, NULL}};
    static const uint8_t zeroes[PAGES * PAGE];
    uint8_t *first, *second;

    (void)state;
    rig_up(&all.rig, &(struct rig_options){.no_backend = true, .queues = 3, .shared_pages = PAGES});
    plain_up(&all.plain, &all.rig);
    all.plain.offer = queues;
    for (uint32_t i = 0; i < 3; i++)
        assert_null(xenpv_blkq_shared(xenpv_blk_queue(all.rig.blk, i)));
    rig_connect(&all.rig);
    first = pages();
    assert_memory_equal(first, zeroes, sizeof(zeroes));
    all.rig.q = xenpv_blk_queue(all.rig.blk, 1);
    second = pages();
    assert_memory_equal(second, zeroes, sizeof(zeroes));
    assert_true(second >= first + sizeof(zeroes) || first >= second + sizeof(zeroes));
    assert_null(xenpv_blkq_shared(xenpv_blk_queue(all.rig.blk, 2)));
    memset(first, 1, sizeof(zeroes));
    memset(second, 2, sizeof(zeroes));
    assert_int_equal(xenpv_blkq_write_shared(all.rig.q, 0, 0, 512, NULL), XENPV_OK);
    assert_int_equal(rig_wait(&all.rig), XENPV_OK);
    assert_int_equal(all.plain.disk[0], 2);
    rig_close(&all.rig);
    for (uint32_t i = 0; i < 3; i++)
        assert_null(xenpv_blkq_shared(xenpv_blk_queue(all.rig.blk, i)));
    plain_down(&all.plain);
    rig_down(&all.rig);

    rig_up(&all.rig, &(struct rig_options){0});
    rig_connect(&all.rig);
    assert_null(xenpv_blkq_shared(all.rig.q));
    assert_int_equal(xenpv_blkq_read_shared(all.rig.q, 0, 0, 512, NULL), XENPV_EINVAL);
    rig_close(&all.rig);
    rig_down(&all.rig);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static const struct {
    const char *what;
    const struct plain_key *answer;
    enum xenpv_blk_units units;
    uint64_t offset, at, bytes;
    int error;
} refused[] = {
    {"a sector", plain_usual, 0, 512, 512, 512, 0},
    {"all the pages", plain_usual, 0, 0, 0, PAGES *PAGE, 0},
    {"the last sector", plain_usual, 0, DISK - 512, PAGES *PAGE - 512, 512, 0},
    {"nothing", plain_usual, 0, 0, 0, 0, XENPV_EINVAL},
    {"an offset inside a sector", plain_usual, 0, 256, 0, 512, XENPV_EINVAL},
    {"part of a sector", plain_usual, 0, 0, 0, 513, XENPV_EINVAL},
    {"a place that is no multiple of 512", plain_usual, 0, 0, 256, 512, XENPV_EINVAL},
    {"beyond the pages", plain_usual, 0, 0, PAGES *PAGE, 512, XENPV_EINVAL},
    {"across their end", plain_usual, 0, 0, PAGES *PAGE - 512, 1024, XENPV_EINVAL},
    {"far beyond them", plain_usual, 0, 0, UINT64_MAX - 511, 512, XENPV_EINVAL},
    {"more than they are", plain_usual, 0, 0, 512, UINT64_MAX - 511, XENPV_EINVAL},
    {"beyond the disk", plain_usual, 0, DISK, 0, 512, XENPV_ERANGE},
    {"across its end", plain_usual, 0, DISK - 512, 0, 1024, XENPV_ERANGE},
    {"far beyond it", plain_usual, 0, UINT64_MAX - 511, 0, 512, XENPV_ERANGE},
    {"a large sector", large_sectors, 0, 4096, 512, 4096, 0},
    {"part of a large sector", large_sectors, 0, 4096, 0, 512, XENPV_EINVAL},
    {"an offset inside a large sector", large_sectors, 0, 512, 0, 4096, XENPV_EINVAL},
    {"sectors all over", large_sectors, XENPV_UNITS_SECTOR_SIZE, 4096, 4096, 4096, 0},
    {"a place inside a sector", large_sectors, XENPV_UNITS_SECTOR_SIZE, 0, 512, 4096, XENPV_EINVAL},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        print_message("  %s\n", refused[i].what);
        /* With 2,048 sectors of 4,096 bytes the disk is larger; only its beginning is used. */
        up(&(struct rig_options){.units = refused[i].units}, refused[i].answer);
        /* Once by the long way, and, when the queue has seen that nothing waits, by the short one. */
        for (int turn = 0; turn < 4; turn++) {
            bool write = turn % 2 != 0;

            if (turn == 2)
                xenpv_blkq_submit(all.rig.q);
            assert_int_equal(
                (write ? xenpv_blkq_write_shared : xenpv_blkq_read_shared)(
                    all.rig.q, refused[i].offset, refused[i].at, refused[i].bytes, NULL),
                refused[i].error);
            if (!refused[i].error)
                assert_int_equal(rig_wait(&all.rig), XENPV_OK);
        }
        assert_int_equal(xenpv_blkq_pending(all.rig.q), 0);
        down();
    }
}

/* ---- nothing is copied ----------------------------------------------------------------------- */

/* At every place in a page, through plain and large requests, cut at any page: the data is there
 * before the queue is polled, and nothing beside it is touched. */
static void check_place(uint64_t at, uint64_t bytes, uint64_t offset)
{
    static uint8_t expected[PAGES * PAGE];
    uint8_t *memory = pages();
    struct xenpv_completion done;

    rig_fill(memory, PAGES * PAGE, (uint32_t)(at + bytes));
    rig_fill(all.plain.disk, DISK, (uint32_t)bytes);
    memcpy(expected, memory, sizeof(expected));
    memcpy(expected + at, all.plain.disk + offset, bytes);
    assert_int_equal(xenpv_blkq_read_shared(all.rig.q, offset, at, bytes, NULL), XENPV_OK);
    xenpv_blkq_submit(all.rig.q);
    rig_step(&all.rig);
    while (memcmp(memory, expected, sizeof(expected)) != 0) {
        if (xenpv_blkq_poll(all.rig.q, &done, 1) == 1)
            fail_msg("a read has ended, and the data is not there");
        rig_step(&all.rig);
    }
    assert_int_equal(rig_wait(&all.rig), XENPV_OK);
    assert_memory_equal(memory, expected, sizeof(expected));

    memcpy(all.data, all.plain.disk, DISK);
    rig_fill(memory, PAGES * PAGE, 99);
    memcpy(all.data + offset, memory + at, bytes);
    assert_int_equal(xenpv_blkq_write_shared(all.rig.q, offset, at, bytes, NULL), XENPV_OK);
    assert_int_equal(rig_wait(&all.rig), XENPV_OK);
    assert_memory_equal(all.plain.disk, all.data, DISK);
}

static void check_places(uint32_t segments)
{
    up(&(struct rig_options){.segments = segments}, plain_usual);
    for (uint64_t at = 0; at < 2 * PAGE; at += 1536) {
        for (uint64_t bytes = 512; at + bytes <= PAGES * PAGE; bytes = bytes * 3)
            check_place(at, bytes, 512 * 7);
        check_place(at, PAGES * PAGE - at, 0);
    }
    down();
}

static void test_data_is_not_copied(void **state)
{
    (void)state;
    check_places(1);
    check_places(2);
    check_places(11);
    check_places(12);
    check_places(64);
}

/* A sector that lies across two pages fits into the smallest request there is. */
static void test_large_sector_across_pages(void **state)
{
    (void)state;
    up(&(struct rig_options){.segments = 1}, large_sectors);
    for (uint64_t at = 0; at <= 8 * PAGE; at += 512)
        check_place(at, 3 * PAGE, PAGE);
    down();
}

/* ---- a connection that is lost --------------------------------------------------------------- */

enum loss { RESTART, SUSPEND, TWO_SUSPENDS, KEEPS_THEM, LOSSES };

static void lose(enum loss loss)
{
    all.plain.deaf = true;
    if (loss == SUSPEND || loss == TWO_SUSPENDS)
        xenpv_mock_suspend(all.rig.mock, 1);
    else
        rig_set(&all.rig, all.rig.backend_path, "state", "5");
}

/* Until it is connected again; while it is held there is no address. */
static void return_from(enum loss loss)
{
    struct xenpv_completion done;
    bool held = false;

    for (int i = 0; i < 20000; i++) {
        rig_step(&all.rig);
        if (held && xenpv_blk_state(all.rig.blk) == XENPV_BLK_CONNECTED)
            return;
        assert_true(xenpv_blkq_poll(all.rig.q, &done, 1) <= 0);
        if (xenpv_blkq_held(all.rig.q)) {
            if (!held && loss == TWO_SUSPENDS)
                xenpv_mock_suspend(all.rig.mock, 1);
            held = true;
            assert_null(xenpv_blkq_shared(all.rig.q));
        }
        xenpv_mock_advance(all.rig.mock, 1);
    }
    fail_msg("it does not return");
}

/* What was in the pages still is, what was queued from and to them is done over. */
static void check_loss(enum loss loss)
{
    static uint8_t before[PAGES * PAGE];
    struct xenpv_map_region map;
    struct xenpv_map_entry entry;
    uint8_t *memory;

    up(&(struct rig_options){.recover_ms = 60000}, plain_usual);
    rig_fill(all.plain.disk, DISK, 1);
    rig_fill(pages(), PAGES * PAGE, 2);
    memcpy(before, pages(), sizeof(before));
    all.plain.deaf = true;
    xenpv_blkq_submit(all.rig.q); /* nothing waits: the first goes the short way */
    assert_int_equal(xenpv_blkq_read_shared(all.rig.q, 16384, 8192, 512, NULL), XENPV_OK);
    assert_int_equal(xenpv_blkq_write_shared(all.rig.q, 0, 0, 8192, NULL), XENPV_OK);
    xenpv_blkq_submit(all.rig.q);
    rig_rest(&all.rig);
    if (loss == KEEPS_THEM) {
        /* The pages stand behind the arena in the grant table: ring, pool, then these. */
        uint32_t ref = (uint32_t)rig_get(&all.rig, RIG_FRONTEND_PATH, "ring-ref") + 353;
        assert_int_equal(plain_map(&all.plain, &map, &entry, ref), XENPV_OK);
        assert_ptr_equal(map.memory, pages());
    }
    lose(loss);
    return_from(loss);
    all.plain.deaf = false;
    memory = pages();
    assert_memory_equal(memory, before, sizeof(before));
    assert_int_equal(rig_wait(&all.rig), XENPV_OK);
    assert_int_equal(rig_wait(&all.rig), XENPV_OK);
    memory = pages();
    memcpy(before + 8192, all.plain.disk + 16384, 512);
    assert_memory_equal(memory, before, sizeof(before));
    assert_memory_equal(all.plain.disk, before, 8192);
    check_place(512, 5 * PAGE, 0);
    assert_int_equal(xenpv_blk_abandoned(all.rig.blk), loss == KEEPS_THEM ? PAGES : 0);
    if (loss == KEEPS_THEM) /* it sees what there was */
        assert_memory_not_equal(map.memory, memory, PAGE);
    rig_close(&all.rig);
    if (loss == KEEPS_THEM)
        all.rig.back_port.map->unmap(all.rig.back_port.ctx, &map);
    plain_down(&all.plain);
    rig_down_with_abandoned(&all.rig);
}

static void test_contents_are_carried_over(void **state)
{
    (void)state;
    for (int loss = 0; loss < LOSSES; loss++)
        check_loss((enum loss)loss);
}

/* LC-10: the disk comes back with larger sectors, or smaller, or read-only. */
static const struct {
    const struct plain_key answer[5];
    int write, read; /* what comes of a sector at 512, and of one at 0 */
} returns[] = {
    {{{"sectors", "2048"}}, XENPV_OK, XENPV_OK},
    {{{"sectors", "2048"}, {"sector-size", "4096"}}, XENPV_EINVAL, XENPV_EINVAL},
    {{{"sectors", "1"}}, XENPV_ERANGE, XENPV_OK},
    {{{"sectors", "0"}}, XENPV_ERANGE, XENPV_ERANGE},
    {{{"sectors", "2048"}, {"info", "4"}}, XENPV_EROFS, XENPV_OK},
};

static void test_LC_10_another_disk_returns(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(returns); i++) {
        up(&(struct rig_options){.recover_ms = 60000}, plain_usual);
        all.plain.deaf = true;
        assert_int_equal(xenpv_blkq_write_shared(all.rig.q, 512, 0, 512, NULL), XENPV_OK);
        xenpv_blkq_submit(all.rig.q);
        lose(RESTART);
        all.plain.answer = returns[i].answer;
        return_from(RESTART);
        all.plain.deaf = false;
        assert_int_equal(rig_wait(&all.rig), returns[i].write);
        assert_int_equal(xenpv_blkq_read_shared(all.rig.q, 0, 512, 512, NULL), returns[i].read);
        if (!returns[i].read)
            assert_int_equal(rig_wait(&all.rig), XENPV_OK);
        down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_of_each_queue),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_data_is_not_copied),
        cmocka_unit_test(test_large_sector_across_pages),
        cmocka_unit_test(test_contents_are_carried_over),
        cmocka_unit_test(test_LC_10_another_disk_returns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
