/* SPDX-License-Identifier: MIT */
/* Indirect requests: every count that is an edge of something, in every layout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "back_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Data pages: the first INDEX hold segments, DATA follow; a request of more repeats them. */
enum { INDEX = 8, DATA = 64 };

static uint8_t disk_image[4100 * 4096], expected[4100 * 4096];

struct wire_segment {
    uint32_t ref;
    uint8_t first, last;
    uint16_t pad;
};

static struct wire_segment *segment_at(struct back_rig *rig, uint32_t i)
{
    return &((struct wire_segment *)(void *)front_data(rig, 0))[i];
}

/* Writes `count` segments of whole pages into the index pages, and names those. */
static struct xenpv_blkif_request build(struct back_rig *rig, uint8_t op, uint32_t count)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_INDIRECT,
                                          .indirect_op = op,
                                          .nr_segments = (uint16_t)count,
                                          .id = UINT64_C(0x123456789abcdef0) + count};

    memset(front_data(rig, 0), 0xa5, INDEX * 4096); /* padding, and what is not asked for */
    for (uint32_t i = 0; i < count && i < INDEX * 512; i++)
        *segment_at(rig, i) = (struct wire_segment){rig->data_refs[INDEX + i % DATA], 0, 7, 0xffff};
    for (uint32_t i = 0; i < INDEX; i++)
        request.indirect_ref[i] = i * 512 < count ? rig->data_refs[i] : 0xdeadbeef;
    return request;
}

static void up(struct back_rig *rig, uint32_t segments, enum xenpv_abi abi, bool persistent)
{
    back_up(rig, sizeof(disk_image));
    rig->config.segments = segments;
    rig->config.persistent = DATA;
    back_start(rig);
    front_connect(rig, &(struct back_front){
                           .abi = abi, .persistent = persistent, .data_pages = INDEX + DATA});
}

static void read_disk(struct back_rig *rig)
{
    rig->notes.inner.read(rig->notes.inner.ctx, 0, disk_image, sizeof(disk_image));
}

/* ---- how many -------------------------------------------------------------------------------- */

/* What a write of `count` segments puts on the disk from sector `sector` on, and nothing else. */
static void write_and_read(struct back_rig *rig, uint32_t count)
{
    struct xenpv_blkif_request request = build(rig, XENPV_BLKIF_WRITE, count);
    uint32_t sector = 8 * (1 + count % 3);

    request.sector = sector;
    back_fill(front_data(rig, INDEX * 4096), DATA * 4096, count);
    read_disk(rig);
    memcpy(expected, disk_image, sizeof(expected));
    for (uint32_t i = 0; i < count; i++)
        memcpy(expected + sector * 512 + i * 4096, front_data(rig, (INDEX + i % DATA) * 4096),
               4096);
    assert_int_equal(front_ask(rig, 0, &request), XENPV_BLKIF_OKAY);
    read_disk(rig);
    assert_memory_equal(disk_image, expected, sizeof(expected));

    /* Of a page that is named several times the last segment's data is what stays. */
    request = build(rig, XENPV_BLKIF_READ, count);
    request.sector = sector;
    memset(front_data(rig, INDEX * 4096), 0xee, DATA * 4096);
    assert_int_equal(front_ask(rig, 0, &request), XENPV_BLKIF_OKAY);
    for (uint32_t i = count > DATA ? count - DATA : 0; i < count; i++)
        assert_memory_equal(front_data(rig, (INDEX + i % DATA) * 4096),
                            disk_image + sector * 512 + i * 4096, 4096);
    if (count < DATA)
        assert_int_equal(*front_data(rig, (INDEX + count) * 4096), 0xee);
}

static void test_counts(void **state)
{
    static const uint32_t counts[] = {1,   2,   8,   10,  11,   12,   64,   65,   255, 256,
                                      257, 511, 512, 513, 1023, 1024, 1025, 4095, 4096};
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    for (uint32_t i = 0; i < 2 * XENPV_ABI_COUNT; i++) {
        struct xenpv_blkback_stats stats;
        uint64_t mapped = 0;

        up(rig, 4096, (enum xenpv_abi)(i / 2), i % 2);
        for (size_t k = 0; k < COUNT(counts); k++) {
            write_and_read(rig, counts[k]);
            mapped += 2 * ((counts[k] + 511) / 512); /* to read and to write */
            mapped += i % 2 && counts[k] <= DATA ? 0 : 2 * counts[k];
        }
        xenpv_blkback_stats(rig->back, &stats);
        assert_int_equal(stats.indirect, 2 * COUNT(counts));
        assert_int_equal(stats.refused, 0);
        assert_int_equal(stats.mapped, mapped);
        assert_int_equal(stats.persistent, i % 2 ? DATA : 0);
        back_down(rig);
    }
    free(rig);
}

/* As many as were offered and one more, whatever that is; and none. */
static void test_offered_counts(void **state)
{
    static const uint32_t offers[] = {1, 8, 11, 12, 256, 511, 512, 513, 4096};
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    for (size_t i = 0; i < COUNT(offers); i++) {
        uint32_t most = offers[i];
        const struct {
            uint32_t count;
            int status;
        } table[] = {{0, XENPV_BLKIF_ERROR},     {1, XENPV_BLKIF_OKAY},
                     {most, XENPV_BLKIF_OKAY},   {most + 1, XENPV_BLKIF_ERROR},
                     {65535, XENPV_BLKIF_ERROR}, {32768, XENPV_BLKIF_ERROR}};

        up(rig, most, XENPV_ABI_X86_64, i % 2);
        for (size_t k = 0; k < COUNT(table); k++) {
            for (int op = XENPV_BLKIF_READ; op <= XENPV_BLKIF_WRITE; op++) {
                struct xenpv_blkif_request request = build(rig, (uint8_t)op, table[k].count);

                rig->notes.calls = 0;
                assert_int_equal(front_ask(rig, 0, &request), table[k].status);
                assert_int_equal(rig->notes.calls > 0, table[k].status == XENPV_BLKIF_OKAY);
            }
        }
        back_down(rig);
    }
    free(rig);
}

/* ---- lies, each beside what is true ---------------------------------------------------------- */

/* Only READ and WRITE may be within. */
static void test_inner_operations(void **state)
{
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    up(rig, 16, XENPV_ABI_X86_32, false);
    for (uint32_t op = 0; op < 256; op++) {
        struct xenpv_blkif_request request = build(rig, (uint8_t)op, 1);

        rig->notes.calls = 0;
        assert_int_equal(front_ask(rig, 0, &request),
                         op <= 1 ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR);
        assert_int_equal(rig->notes.calls, op <= 1);
    }
    back_down(rig);
    free(rig);
}

/* One bad segment among many, at every place that is an edge: nothing of the request is done. */
static void test_one_bad_segment(void **state)
{
    static const uint32_t places[] = {0, 1, 10, 11, 511, 512, 599};
    static const struct {
        uint8_t first, last;
        bool bad_ref;
        int status;
    } table[] = {{0, 8, false, -1}, {3, 2, false, -1},   {8, 8, false, -1}, {255, 255, false, -1},
                 {0, 7, true, -1},  {255, 0, false, -1}, {7, 7, false, 0},  {0, 0, false, 0}};
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        up(rig, 600, XENPV_ABI_X86_64, persistent);
        for (size_t i = 0; i < COUNT(places) * COUNT(table); i++) {
            uint32_t place = places[i / COUNT(table)], k = i % COUNT(table);
            struct xenpv_blkif_request request = build(rig, XENPV_BLKIF_WRITE, 600);

            segment_at(rig, place)->first = table[k].first;
            segment_at(rig, place)->last = table[k].last;
            if (table[k].bad_ref)
                segment_at(rig, place)->ref = 30000;
            rig->notes.calls = 0;
            assert_int_equal(front_ask(rig, 0, &request), table[k].status);
            assert_int_equal(rig->notes.calls > 0, table[k].status == 0);
        }
        back_down(rig);
    }
    free(rig);
}

/* An index page that is not granted; one that is not needed may be anything (build). */
static void test_bad_index_page(void **state)
{
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    up(rig, 4096, XENPV_ABI_X86_64, true);
    for (uint32_t bad = 0; bad < INDEX; bad++) {
        for (uint32_t pages = 1; pages <= INDEX; pages++) {
            struct xenpv_blkif_request request = build(rig, XENPV_BLKIF_WRITE, pages * 512);

            request.indirect_ref[bad] = 30000;
            rig->notes.calls = 0;
            assert_int_equal(front_ask(rig, 0, &request),
                             bad < pages ? XENPV_BLKIF_ERROR : XENPV_BLKIF_OKAY);
            assert_int_equal(rig->notes.calls > 0, bad >= pages);
        }
    }
    back_down(rig);
    free(rig);
}

/* The end of the disk, where only the sum of the segments reaches beyond it. */
static void test_range(void **state)
{
    struct back_rig *rig = malloc(sizeof(*rig));
    uint64_t sectors = sizeof(disk_image) / 512;

    (void)state;
    up(rig, 4096, XENPV_ABI_X86_64, false);
    for (uint32_t count = 1; count <= 4096; count *= 4) {
        struct xenpv_blkif_request request = build(rig, XENPV_BLKIF_READ, count);

        request.sector = sectors - count * 8;
        assert_int_equal(front_ask(rig, 0, &request), XENPV_BLKIF_OKAY);
        request.sector++;
        assert_int_equal(front_ask(rig, 0, &request), XENPV_BLKIF_ERROR);
        request.sector = UINT64_MAX - count * 8 + 2;
        assert_int_equal(front_ask(rig, 0, &request), XENPV_BLKIF_ERROR);
    }
    back_down(rig);
    free(rig);
}

/* A read-only disk. */
static void test_readonly(void **state)
{
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    back_up(rig, sizeof(disk_image));
    rig->disk.readonly = true;
    back_start(rig);
    front_connect(rig, &(struct back_front){.data_pages = INDEX + DATA});
    for (int op = XENPV_BLKIF_READ; op <= XENPV_BLKIF_WRITE; op++) {
        struct xenpv_blkif_request request = build(rig, (uint8_t)op, 20);

        assert_int_equal(front_ask(rig, 0, &request), op ? XENPV_BLKIF_ERROR : XENPV_BLKIF_OKAY);
    }
    assert_string_equal(rig->notes.letters, "r");
    back_down(rig);
    free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),           cmocka_unit_test(test_offered_counts),
        cmocka_unit_test(test_inner_operations), cmocka_unit_test(test_one_bad_segment),
        cmocka_unit_test(test_bad_index_page),   cmocka_unit_test(test_range),
        cmocka_unit_test(test_readonly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
