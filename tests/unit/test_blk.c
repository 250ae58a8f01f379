/* SPDX-License-Identifier: MIT */
/* The block frontend against our backend on the mock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "blk_rig.h"

/* What the disk holds, read past the protocol. */
static void from_disk(struct rig *rig, uint64_t offset, void *to, uint32_t bytes)
{
    assert_int_equal(rig->disk.read(rig->disk.ctx, offset, to, bytes), XENPV_OK);
}

static void test_connect_and_close(void **state)
{
    struct rig rig;
    struct xenpv_blk_info info;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    for (int i = 0; i < 3; i++) {
        rig_connect(&rig);
        assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "state"), 4);
        assert_int_equal(rig_get(&rig, RIG_BACKEND_PATH, "state"), 4);
        xenpv_blk_info(rig.blk, &info);
        assert_int_equal(info.bytes, 1 << 20);
        assert_int_equal(info.sector_size, 512);
        assert_true(info.can_flush);
        assert_false(info.readonly);
        rig_close(&rig);
        assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "state"), 6);
        assert_int_equal(rig_get(&rig, RIG_BACKEND_PATH, "state"), 6);
        assert_int_equal(rig_get(&rig, RIG_FRONTEND_PATH, "ring-ref"), -1);
    }
    rig_down(&rig);
}

/* Every offset and length around sectors, pages and the largest request; each layout and sector
 * size. */
static void check_transfers(const struct rig_options *options)
{
    static const uint32_t offsets[] = {0, 1, 511, 512, 513, 4095, 4096, 4097, 45055, 45056};
    static const uint32_t lengths[] = {1,    511,   512,   513,    4096,
                                       4097, 45056, 45057, 100000, 512 * 300};
    enum { DISK = 1 << 20 };
    uint8_t *expected = malloc(DISK), *data = malloc(DISK), *found = malloc(DISK);
    struct rig rig;

    rig_up(&rig, options);
    rig_connect(&rig);
    rig_fill(expected, DISK, 1);
    assert_int_equal(rig_write(&rig, 0, expected, DISK), XENPV_OK);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t offset = offsets[i / 10], length = lengths[i % 10];
        rig_fill(data, length, i);
        memcpy(expected + offset, data, length);
        assert_int_equal(rig_write(&rig, offset, data, length), XENPV_OK);
        from_disk(&rig, 0, found, DISK);
        assert_memory_equal(found, expected, DISK);
        memset(found, 0xee, DISK);
        assert_int_equal(rig_read(&rig, offset, found, length), XENPV_OK);
        assert_memory_equal(found, data, length);
        assert_int_equal(found[length], 0xee);
    }
    assert_int_equal(rig_read(&rig, 0, found, DISK), XENPV_OK);
    assert_memory_equal(found, expected, DISK);
    rig_close(&rig);
    rig_down(&rig);
    free(expected);
    free(data);
    free(found);
}

static void test_transfers(void **state)
{
    static const struct rig_options table[] = {
        {.abi = XENPV_ABI_X86_64}, {.abi = XENPV_ABI_X86_32}, {.abi = XENPV_ABI_ARM},
        {.sector_size = 4096},     {.sector_size = 32768},    {.poll = true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        check_transfers(&table[i]);
}

static void test_vectors(void **state)
{
    struct rig rig;
    uint8_t a[3], b[5000], c[513], whole[sizeof(a) + sizeof(b) + sizeof(c)];
    struct xenpv_iov iov[] = {{a, sizeof(a)}, {b, 0}, {b, sizeof(b)}, {a, 0}, {c, sizeof(c)}};

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    rig_fill(whole, sizeof(whole), 3);
    assert_int_equal(rig_write(&rig, 777, whole, sizeof(whole)), XENPV_OK);
    assert_int_equal(xenpv_blkq_readv(rig.q, 777, iov, 5, NULL), XENPV_OK);
    assert_int_equal(rig_wait(&rig), XENPV_OK);
    assert_memory_equal(a, whole, sizeof(a));
    assert_memory_equal(b, whole + sizeof(a), sizeof(b));
    assert_memory_equal(c, whole + sizeof(a) + sizeof(b), sizeof(c));
    rig_close(&rig);
    rig_down(&rig);
}

static void test_refusals(void **state)
{
    static const struct {
        uint64_t offset;
        size_t bytes;
        int expected;
    } table[] = {
        {1 << 20, 1, XENPV_ERANGE},    {(1 << 20) - 1, 2, XENPV_ERANGE},
        {UINT64_MAX, 1, XENPV_ERANGE}, {0, (1 << 20) + 1, XENPV_ERANGE},
        {0, 0, XENPV_EINVAL},          {1, SIZE_MAX, XENPV_ERANGE},
    };
    struct rig rig;
    uint8_t byte = 0;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    assert_int_equal(rig_read(&rig, 0, &byte, 1), XENPV_EPARKED);
    rig_connect(&rig);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct xenpv_iov iov = {&byte, table[i].bytes};
        assert_int_equal(xenpv_blkq_readv(rig.q, table[i].offset, &iov, 1, NULL),
                         table[i].expected);
        assert_int_equal(xenpv_blkq_writev(rig.q, table[i].offset, &iov, 1, NULL),
                         table[i].expected);
    }
    assert_int_equal(rig_write(&rig, (1 << 20) - 1, &byte, 1), XENPV_OK);
    rig_close(&rig);
    assert_int_equal(rig_read(&rig, 0, &byte, 1), XENPV_EPARKED);
    rig_down(&rig);
}

static void test_readonly(void **state)
{
    struct rig rig;
    uint8_t bytes[512] = {0};
    struct xenpv_blkback_stats stats;

    (void)state;
    rig_up(&rig, &(struct rig_options){.readonly = true});
    rig_connect(&rig);
    assert_int_equal(rig_write(&rig, 0, bytes, sizeof(bytes)), XENPV_EROFS);
    assert_int_equal(rig_read(&rig, 0, bytes, sizeof(bytes)), XENPV_OK);
    xenpv_blkback_stats(rig.back, &stats);
    assert_int_equal(stats.requests, 1);
    rig_close(&rig);
    rig_down(&rig);
}

static void test_flush(void **state)
{
    struct rig rig;
    struct xenpv_blkback_stats stats;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    assert_int_equal(rig_flush(&rig), XENPV_OK);
    xenpv_blkback_stats(rig.back, &stats);
    assert_int_equal(stats.flushes, 1);
    rig_close(&rig);
    rig_down(&rig);

    rig_up(&rig, &(struct rig_options){.no_flush = true});
    rig_connect(&rig);
    assert_int_equal(rig_flush(&rig), XENPV_ENOTSUP);
    rig_close(&rig);
    rig_down(&rig);
}

/* More operations than there are slots, each larger than a slot: all end, once each. */
static void test_full_queue(void **state)
{
    enum { COUNT = 32, BYTES = 60000 };
    struct rig rig;
    uint8_t *data = calloc(COUNT, BYTES);
    struct xenpv_iov iov[COUNT + 1];
    uint32_t ended[COUNT] = {0}, total = 0;

    (void)state;
    rig_up(&rig, &(struct rig_options){.bytes = 4 << 20});
    rig_connect(&rig);
    for (uint32_t i = 0; i < COUNT; i++) {
        iov[i] = (struct xenpv_iov){data + (size_t)i * BYTES, BYTES};
        assert_int_equal(xenpv_blkq_readv(rig.q, (uint64_t)i * 65536, &iov[i], 1, &ended[i]),
                         XENPV_OK);
    }
    assert_int_equal(xenpv_blkq_pending(rig.q), COUNT);
    assert_int_equal(xenpv_blkq_readv(rig.q, 0, &iov[0], 1, NULL), XENPV_EFULL);
    xenpv_blkq_submit(rig.q);
    for (uint32_t i = 0; i < 10000 && total < COUNT; i++) {
        struct xenpv_completion done[7];
        int count = xenpv_blkq_poll(rig.q, done, 7);
        assert_in_range(count, 0, 7);
        for (int k = 0; k < count; k++) {
            assert_int_equal(done[k].status, XENPV_OK);
            ++*(uint32_t *)done[k].user;
            total++;
        }
        rig_step(&rig);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(ended[i], 1);
    assert_int_equal(xenpv_blkq_pending(rig.q), 0);
    rig_close(&rig);
    rig_down(&rig);
    free(data);
}

/* RL-04: writes into one sector at the same time reach it in the order in which they were queued. */
static void test_partial_writes_meet(void **state)
{
    struct rig rig;
    uint8_t first[100], second[100], sector[512] = {0}, found[512];
    struct xenpv_iov a = {first, sizeof(first)}, b = {second, sizeof(second)}, c = {sector, 512};

    (void)state;
    memset(first, 1, sizeof(first));
    memset(second, 2, sizeof(second));
    memset(sector, 3, sizeof(sector));
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    assert_int_equal(xenpv_blkq_writev(rig.q, 0, &c, 1, NULL), XENPV_OK);
    assert_int_equal(xenpv_blkq_writev(rig.q, 0, &a, 1, NULL), XENPV_OK);
    assert_int_equal(xenpv_blkq_writev(rig.q, 100, &b, 1, NULL), XENPV_OK);
    assert_int_equal(xenpv_blkq_writev(rig.q, 512, &b, 1, NULL), XENPV_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(rig_wait(&rig), XENPV_OK);
    from_disk(&rig, 0, found, sizeof(found));
    assert_memory_equal(found, first, 100);
    assert_memory_equal(found + 100, second, 100);
    assert_memory_equal(found + 200, sector, 312);
    from_disk(&rig, 512, found, sizeof(found));
    assert_memory_equal(found, second, 100);
    rig_close(&rig);
    rig_down(&rig);
}

/* Closing finishes what was accepted and takes nothing more. */
static void test_close_drains(void **state)
{
    struct rig rig;
    uint8_t data[65536], found[65536];
    struct xenpv_iov iov = {data, sizeof(data)};
    struct xenpv_completion done;
    int count;

    (void)state;
    rig_fill(data, sizeof(data), 9);
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    assert_int_equal(xenpv_blkq_writev(rig.q, 4096, &iov, 1, &rig), XENPV_OK);
    xenpv_blk_close(rig.blk, xenpv_mock_now(rig.mock));
    rig_step(&rig);
    assert_int_equal(xenpv_blkq_writev(rig.q, 0, &iov, 1, &rig), XENPV_EPARKED);
    while ((count = xenpv_blkq_poll(rig.q, &done, 1)) == 0)
        rig_step(&rig);
    assert_int_equal(count, 1);
    assert_int_equal(done.status, XENPV_OK);
    assert_ptr_equal(done.user, &rig);
    rig_until(&rig, XENPV_BLK_CLOSED);
    from_disk(&rig, 4096, found, sizeof(found));
    assert_memory_equal(found, data, sizeof(data));
    rig_down(&rig);
}

/* Event mode: arm says when there is nothing, and no event is sent that was not asked for. */
static void test_events(void **state)
{
    struct rig rig;
    struct xenpv_blkback_stats before, after;
    uint8_t data[4096];

    (void)state;
    rig_up(&rig, &(struct rig_options){.poll = true});
    rig_connect(&rig);
    xenpv_blkback_stats(rig.back, &before);
    for (int i = 0; i < 100; i++)
        assert_int_equal(rig_read(&rig, 0, data, sizeof(data)), XENPV_OK);
    xenpv_blkback_stats(rig.back, &after);
    assert_int_equal(after.notified, before.notified);
    assert_int_equal(xenpv_blkq_arm(rig.q), 1);
    rig_close(&rig);
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_and_close), cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_vectors),           cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_readonly),          cmocka_unit_test(test_flush),
        cmocka_unit_test(test_full_queue),        cmocka_unit_test(test_partial_writes_meet),
        cmocka_unit_test(test_close_drains),      cmocka_unit_test(test_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
