/* SPDX-License-Identifier: MIT */
/* Every operation of the block backend, in every layout and every count of sectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "back_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DISK_BYTES   (1u << 20)
#define SECTORS      (DISK_BYTES / 512)

static uint8_t disk_image[DISK_BYTES];

/* What the disk holds, past the notes. */
static const uint8_t *disk_at(struct back_rig *rig, uint64_t offset, uint32_t bytes)
{
    rig->notes.inner.read(rig->notes.inner.ctx, offset, disk_image, bytes);
    return disk_image;
}

static void forget_calls(struct back_rig *rig)
{
    rig->notes.letters[0] = '\0';
    rig->notes.calls = 0;
}

static struct xenpv_blkback_stats stats_of(const struct back_rig *rig)
{
    struct xenpv_blkback_stats stats;

    xenpv_blkback_stats(rig->back, &stats);
    return stats;
}

static void up(struct back_rig *rig, enum xenpv_abi abi, bool persistent)
{
    back_up(rig, DISK_BYTES);
    back_start(rig);
    front_connect(rig, &(struct back_front){.abi = abi, .persistent = persistent});
}

/* Runs a test once for each layout, with pages copied and with pages kept mapped. */
static void each_layout(void (*test)(struct back_rig *rig))
{
    for (uint32_t i = 0; i < 2 * XENPV_ABI_COUNT; i++) {
        struct back_rig *rig = malloc(sizeof(*rig));

        up(rig, (enum xenpv_abi)(i / 2), i % 2);
        test(rig);
        back_down(rig);
        free(rig);
    }
}

/* ---- read and write -------------------------------------------------------------------------- */

/* Each number of segments, of whole pages and of parts of them: every byte at its place. */
static void read_and_write(struct back_rig *rig)
{
    uint32_t seed = 1, sector = 3;
    struct xenpv_blkback_stats before = stats_of(rig), after;
    uint64_t moved = 0;

    for (uint32_t count = 1; count <= XENPV_BLKIF_SEGMENTS; count++) {
        struct xenpv_blkif_request request = {
            .op = XENPV_BLKIF_WRITE, .nr_segments = (uint16_t)count, .sector = sector, .id = seed};
        static uint8_t expected[XENPV_BLKIF_SEGMENTS * XENPV_PAGE_SIZE];
        uint32_t bytes = 0;

        back_fill(front_data(rig, 0), (size_t)rig->data.pages * XENPV_PAGE_SIZE, count);
        for (uint32_t i = 0; i < count; i++) {
            uint8_t first = (uint8_t)(back_random(&seed) % 8);
            uint8_t last = (uint8_t)(first + back_random(&seed) % (8u - first));
            uint32_t page = (i * 7 + count) % rig->data.pages;

            request.seg[i] = front_segment(rig, page, first, last);
            memcpy(expected + bytes, front_data(rig, page * 4096 + first * 512u),
                   (last - first + 1u) * 512);
            bytes += (last - first + 1u) * 512;
        }
        assert_int_equal(front_ask(rig, 0, &request), XENPV_BLKIF_OKAY);
        assert_memory_equal(disk_at(rig, sector * 512, bytes), expected, bytes);

        /* Read back into the same places, of which nothing else may change. */
        static uint8_t around[16 * XENPV_PAGE_SIZE];
        memcpy(around, front_data(rig, 0), sizeof(around));
        for (uint32_t i = 0; i < count; i++)
            memset((uint8_t *)rig->data.memory +
                       (size_t)((i * 7 + count) % rig->data.pages) * 4096 +
                       request.seg[i].first * 512u,
                   0xee, (request.seg[i].last - request.seg[i].first + 1u) * 512);
        request.op = XENPV_BLKIF_READ;
        assert_int_equal(front_ask(rig, 0, &request), XENPV_BLKIF_OKAY);
        assert_memory_equal(front_data(rig, 0), around, sizeof(around));
        sector += bytes / 512 + 1;
        moved += bytes;
    }
    after = stats_of(rig);
    assert_int_equal(after.requests - before.requests, 22);
    assert_int_equal(after.read_bytes, moved);
    assert_int_equal(after.written_bytes, moved);
    assert_int_equal(after.refused, 0);
    assert_int_equal(after.persistent, rig->front.persistent ? rig->data.pages : 0);
    assert_int_equal(after.mapped, rig->front.persistent ? 0 : 2 * (11 * 12 / 2));
}

static void test_read_and_write(void **state)
{
    (void)state;
    each_layout(read_and_write);
}

/* ---- flush and barrier ----------------------------------------------------------------------- */

static void flush_and_barrier(struct back_rig *rig)
{
    static const struct {
        uint8_t op, segments;
        const char *calls;
    } table[] = {
        {XENPV_BLKIF_FLUSH, 0, "f"},           {XENPV_BLKIF_FLUSH, 1, "fw"},
        {XENPV_BLKIF_FLUSH, 11, "fw"},         {XENPV_BLKIF_WRITE_BARRIER, 0, "f"},
        {XENPV_BLKIF_WRITE_BARRIER, 1, "fwf"}, {XENPV_BLKIF_WRITE_BARRIER, 11, "fwf"},
    };

    for (uint32_t i = 0; i < COUNT(table); i++) {
        uint32_t bytes = table[i].segments * XENPV_PAGE_SIZE;

        back_fill(front_data(rig, 0), bytes, i + 1);
        forget_calls(rig);
        assert_int_equal(front_move(rig, table[i].op, i * 100, 0, bytes), XENPV_BLKIF_OKAY);
        assert_string_equal(rig->notes.letters, table[i].calls);
        assert_memory_equal(disk_at(rig, i * 51200, bytes), front_data(rig, 0), bytes);
    }
    assert_int_equal(stats_of(rig).flushes, 3);
    assert_int_equal(stats_of(rig).barriers, 3);
    assert_int_equal(stats_of(rig).written_bytes, 24 * XENPV_PAGE_SIZE);

    /* Each call of the disk that fails fails the request, and nothing follows it. */
    for (uint32_t at = 1; at <= 3; at++) {
        forget_calls(rig);
        rig->notes.fail_at = at;
        assert_int_equal(front_move(rig, XENPV_BLKIF_WRITE_BARRIER, 0, 0, 512), XENPV_BLKIF_ERROR);
        assert_int_equal(rig->notes.calls, at);
    }
    rig->notes.fail_at = 0;
}

static void test_flush_and_barrier(void **state)
{
    (void)state;
    each_layout(flush_and_barrier);
}

/* ---- discard --------------------------------------------------------------------------------- */

static void discard(struct back_rig *rig)
{
    static const struct {
        uint64_t sector, count;
        int status;
        const char *calls;
    } table[] = {
        {0, 1, XENPV_BLKIF_OKAY, "d"},
        {5, 11, XENPV_BLKIF_OKAY, "d"},
        {0, 0, XENPV_BLKIF_OKAY, ""},
        {SECTORS, 0, XENPV_BLKIF_OKAY, ""},
        {SECTORS - 1, 1, XENPV_BLKIF_OKAY, "d"},
        {SECTORS - 1, 2, XENPV_BLKIF_ERROR, ""},
        {SECTORS, 1, XENPV_BLKIF_ERROR, ""},
        {SECTORS + 1, 0, XENPV_BLKIF_ERROR, ""},
        {1, UINT64_MAX, XENPV_BLKIF_ERROR, ""},
        {UINT64_MAX, 1, XENPV_BLKIF_ERROR, ""},
        {UINT64_MAX, 2, XENPV_BLKIF_ERROR, ""},
        {UINT64_C(1) << 55, 1, XENPV_BLKIF_ERROR, ""},
        {0, UINT64_C(1) << 55, XENPV_BLKIF_ERROR, ""},
        {0, (UINT64_C(1) << 55) + 1, XENPV_BLKIF_ERROR, ""},
    };
    static uint8_t expected[DISK_BYTES];

    for (uint32_t i = 0; i < COUNT(table); i++) {
        struct xenpv_blkif_request request = {.op = XENPV_BLKIF_DISCARD,
                                              .id = UINT64_MAX - i,
                                              .sector = table[i].sector,
                                              .nr_sectors = table[i].count};

        back_fill(expected, DISK_BYTES, i);
        rig->notes.inner.write(rig->notes.inner.ctx, 0, expected, DISK_BYTES);
        forget_calls(rig);
        assert_int_equal(front_ask(rig, 0, &request), table[i].status);
        assert_string_equal(rig->notes.letters, table[i].calls);
        if (table[i].status == XENPV_BLKIF_OKAY)
            memset(expected + table[i].sector * 512, 0, table[i].count * 512);
        assert_memory_equal(disk_at(rig, 0, DISK_BYTES), expected, DISK_BYTES);
    }
    assert_int_equal(stats_of(rig).discards, 5);
}

static void test_discard(void **state)
{
    (void)state;
    each_layout(discard);
}

static int discard_unknown(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    (void)ctx;
    (void)offset;
    (void)length;
    (void)secure;
    return XENPV_ENOTSUP;
}

/* Who may discard, and whether securely. */
static void test_discard_offers(void **state)
{
    static const struct {
        bool secure_disk, flag, readonly, none, unknown;
        const char *enable, *calls;
        int status, feature, secure;
    } table[] = {
        {.calls = "d", .feature = 1, .secure = 0, .status = 0},
        {.flag = true, .calls = "d", .feature = 1, .secure = 0, .status = 0},
        {.secure_disk = true, .flag = true, .calls = "D", .feature = 1, .secure = 1},
        {.secure_disk = true, .calls = "d", .feature = 1, .secure = 1},
        {.enable = "1", .calls = "d", .feature = 1, .secure = 0},
        {.enable = "0", .calls = "", .feature = 0, .secure = -1, .status = -2},
        {.none = true, .calls = "", .feature = 0, .secure = -1, .status = -2},
        {.unknown = true, .calls = "", .feature = 1, .secure = 0, .status = -2},
        {.readonly = true, .calls = "", .feature = 1, .secure = 0, .status = -1},
    };

    (void)state;
    for (uint32_t i = 0; i < COUNT(table); i++) {
        struct xenpv_blkif_request request = {
            .op = XENPV_BLKIF_DISCARD, .nr_sectors = 8, .flag = table[i].flag};
        struct back_rig rig;

        back_up(&rig, 0);
        rig.disk.discard_secure = table[i].secure_disk;
        rig.disk.readonly = table[i].readonly;
        if (table[i].none)
            rig.disk.discard = NULL;
        if (table[i].unknown)
            rig.disk.discard = discard_unknown;
        if (table[i].enable)
            back_set(&rig, BACK_BACK, "discard-enable", table[i].enable);
        back_start(&rig);
        front_connect(&rig, &(struct back_front){0});
        assert_int_equal(back_get(&rig, BACK_BACK, "feature-discard"), table[i].feature);
        assert_int_equal(back_get(&rig, BACK_BACK, "discard-secure"), table[i].secure);
        assert_int_equal(back_get(&rig, BACK_BACK, "discard-granularity"),
                         table[i].feature ? 512 : -1);
        assert_int_equal(front_ask(&rig, 0, &request), table[i].status);
        assert_string_equal(rig.notes.letters, table[i].calls);
        back_down(&rig);
    }
}

/* ---- what is not known, or not offered ------------------------------------------------------- */

static void test_not_offered(void **state)
{
    static const uint8_t operations[] = {
        XENPV_BLKIF_WRITE_BARRIER, XENPV_BLKIF_FLUSH,    4, /* BLKIF_OP_RESERVED_1 */
        XENPV_BLKIF_DISCARD,       XENPV_BLKIF_INDIRECT, 7, 255};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    rig.disk.flush = NULL;
    rig.disk.discard = NULL;
    rig.disk.barrier = false;
    rig.config.segments = 0;
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    assert_int_equal(back_get(&rig, BACK_BACK, "feature-flush-cache"), 0);
    assert_int_equal(back_get(&rig, BACK_BACK, "feature-barrier"), 0);
    assert_int_equal(back_get(&rig, BACK_BACK, "feature-max-indirect-segments"), -1);
    for (uint32_t i = 0; i < COUNT(operations); i++) {
        struct xenpv_blkif_request request = {.op = operations[i], .id = i, .nr_segments = 1};

        request.indirect_ref[0] = rig.data_refs[0];
        request.seg[0] = front_segment(&rig, 0, 0, 7);
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_EOPNOTSUPP);
    }
    assert_int_equal(rig.notes.calls, 0);
    assert_int_equal(stats_of(&rig).refused, COUNT(operations));
    back_down(&rig);
}

/* A barrier that has nothing to flush is a write. */
static void test_barrier_without_flush(void **state)
{
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    rig.disk.flush = NULL;
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    assert_int_equal(back_get(&rig, BACK_BACK, "feature-barrier"), 1);
    assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE_BARRIER, 0, 0, 512), XENPV_BLKIF_OKAY);
    assert_string_equal(rig.notes.letters, "w");
    back_down(&rig);
}

/* ---- units ----------------------------------------------------------------------------------- */

/* enum xenpv_blk_units, on sectors of 4096: the same place on the disk has other numbers. */
static void test_units(void **state)
{
    static const struct {
        enum xenpv_blk_units units;
        uint32_t sectors, number; /* bytes in one */
        uint8_t last;             /* of a whole page */
    } table[] = {
        {XENPV_UNITS_512, 512, 512, 7},
        {XENPV_UNITS_SECTOR_SIZE, 4096, 4096, 0},
        {XENPV_UNITS_FREEBSD, 4096, 4096, 7},
        {XENPV_UNITS_MINIOS, 4096, 512, 7},
    };
    /* The last page of the disk, a page behind it, and half a page. */
    const uint64_t last = DISK_BYTES - 4096;

    (void)state;
    for (uint32_t i = 0; i < COUNT(table); i++) {
        struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 1};
        struct back_rig rig;

        back_up(&rig, DISK_BYTES);
        rig.disk.sector_size = 4096;
        rig.config.units = table[i].units;
        back_start(&rig);
        front_connect(&rig, &(struct back_front){.persistent = i % 2});
        assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), DISK_BYTES / table[i].sectors);
        assert_int_equal(back_get(&rig, BACK_BACK, "sector-size"), 4096);
        assert_int_equal(back_get(&rig, BACK_BACK, "physical-sector-size"), 4096);
        assert_int_equal(back_get(&rig, BACK_BACK, "discard-granularity"), 4096);

        back_fill(front_data(&rig, 0), 4096, i);
        request.sector = last / table[i].number;
        request.seg[0] = front_segment(&rig, 0, 0, table[i].last);
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_OKAY);
        assert_memory_equal(disk_at(&rig, last, 4096), front_data(&rig, 0), 4096);
        request.sector++;
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_ERROR);
        request.sector--;
        request.seg[0].last++;
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_ERROR);
        request.sector = 0;
        request.seg[0].last = 3;
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_ERROR);

        request = (struct xenpv_blkif_request){.op = XENPV_BLKIF_DISCARD,
                                               .sector = last / table[i].number,
                                               .nr_sectors = 4096 / table[i].number};
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_OKAY);
        memset(front_data(&rig, 0), 0, 4096);
        assert_memory_equal(disk_at(&rig, last, 4096), front_data(&rig, 0), 4096);
        request.nr_sectors++;
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_ERROR);
        back_down(&rig);
    }
}

/* ---- a disk that moves nothing --------------------------------------------------------------- */

/* Its requests are checked all the same; grants are not touched. */
static void test_null_disk(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 1};
    struct back_rig rig;

    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        struct xenpv_blkback_stats stats;

        back_up(&rig, 0);
        assert_int_equal(xenpv_disk_null(DISK_BYTES, &rig.disk), XENPV_OK);
        back_start(&rig);
        front_connect(&rig, &(struct back_front){.persistent = persistent});
        request.seg[0] = (struct xenpv_blkif_segment){77777, 0, 7};
        for (request.op = 0; request.op <= XENPV_BLKIF_FLUSH; request.op++) {
            request.sector = SECTORS - 8;
            assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_OKAY);
            request.sector++;
            assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_ERROR);
        }
        request.op = XENPV_BLKIF_DISCARD;
        request.nr_sectors = 1;
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_OKAY);
        stats = stats_of(&rig);
        assert_int_equal(stats.mapped, 0);
        assert_int_equal(stats.persistent, 0);
        assert_int_equal(stats.written_bytes, 3 * 4096);
        back_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_and_write), cmocka_unit_test(test_flush_and_barrier),
        cmocka_unit_test(test_discard),        cmocka_unit_test(test_discard_offers),
        cmocka_unit_test(test_not_offered),    cmocka_unit_test(test_barrier_without_flush),
        cmocka_unit_test(test_units),          cmocka_unit_test(test_null_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
