/* SPDX-License-Identifier: MIT */
/*
 * Disks of every size, counted in every unit there is: each byte goes where it belongs, or is
 * refused; and where it goes when the two ends do not agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define POWER(n)     (UINT64_C(1) << (n))

/* ---- a disk of any size ---------------------------------------------------------------------- */

enum { KEPT = 256 };

/* It keeps the sectors that were written last; all others are zero. */
static struct sparse {
    struct xenpv_disk inner; /* of the rig, to be closed */
    uint64_t sector[KEPT];
    uint8_t data[KEPT][512];
    uint32_t count;
} sparse;

static uint8_t *find(uint64_t sector, bool make)
{
    for (uint32_t i = 0; i < KEPT && i < sparse.count; i++) {
        if (sparse.sector[i] == sector)
            return sparse.data[i];
    }
    if (!make)
        return NULL;
    sparse.sector[sparse.count % KEPT] = sector;
    return sparse.data[sparse.count++ % KEPT];
}

static int read_sparse(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    (void)ctx;
    for (uint32_t at = 0; at < length; at += 512) {
        const uint8_t *sector = find((offset + at) / 512, false);

        if (sector)
            memcpy((uint8_t *)to + at, sector, 512);
        else
            memset((uint8_t *)to + at, 0, 512);
    }
    return XENPV_OK;
}

static int write_sparse(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    (void)ctx;
    for (uint32_t at = 0; at < length; at += 512)
        memcpy(find((offset + at) / 512, true), (const uint8_t *)from + at, 512);
    return XENPV_OK;
}

static int discard_sparse(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    (void)ctx;
    (void)secure;
    for (uint32_t i = 0; i < KEPT && i < sparse.count; i++) {
        uint64_t at = sparse.sector[i] * 512;

        if (at >= offset && at - offset < length)
            memset(sparse.data[i], 0, 512);
    }
    return XENPV_OK;
}

static void close_sparse(void *ctx)
{
    (void)ctx;
    sparse.inner.close(sparse.inner.ctx);
}

/* The rig's backend reads the size when it connects. */
static void up(struct rig *rig, uint64_t bytes, uint32_t sector_size)
{
    rig_up(rig, &(struct rig_options){.sector_size = sector_size});
    sparse.inner = rig->disk;
    sparse.count = 0;
    rig->disk.bytes = bytes;
    rig->disk.read = read_sparse;
    rig->disk.write = write_sparse;
    rig->disk.discard = discard_sparse;
    rig->disk.close = close_sparse;
    rig_connect(rig);
}

static void check_place(struct rig *rig, uint64_t offset)
{
    uint8_t written[3000], found[3000];

    rig_fill(written, sizeof(written), (uint32_t)(offset >> 9));
    assert_int_equal(rig_write(rig, offset, written, sizeof(written)), XENPV_OK);
    rig_disk(rig, offset & ~UINT64_C(511), found, 512);
    assert_memory_equal(found + offset % 512, written, 512 - offset % 512);
    assert_int_equal(rig_read(rig, offset, found, sizeof(found)), XENPV_OK);
    assert_memory_equal(found, written, sizeof(found));
}

static void check_size(uint64_t bytes, uint32_t sector_size)
{
    static const uint64_t places[] = {0,         POWER(31), POWER(32), POWER(40),
                                      POWER(41), POWER(53), POWER(62)};
    struct xenpv_blk_info info;
    uint8_t data[2] = {1, 2};
    struct rig rig;

    up(&rig, bytes, sector_size);
    xenpv_blk_info(rig.blk, &info);
    assert_true(info.bytes == bytes);
    assert_string_equal(info.doubt, "");
    for (size_t i = 0; i < COUNT(places); i++) {
        for (uint64_t before = 0; before < 4096; before += 1027) {
            if (places[i] + 3000 <= bytes && places[i] >= before)
                check_place(&rig, places[i] - before);
        }
    }
    check_place(&rig, bytes - 3000);
    check_place(&rig, bytes - 3333);
    assert_int_equal(rig_write(&rig, bytes - 1, data, 2), XENPV_ERANGE);
    assert_int_equal(rig_write(&rig, bytes, data, 1), XENPV_ERANGE);
    assert_int_equal(rig_write(&rig, bytes - 1, data, 1), XENPV_OK);
    assert_int_equal(xenpv_blkq_discard(rig.q, bytes - 4096, 4096, 0, NULL), XENPV_OK);
    assert_int_equal(rig_wait(&rig), XENPV_OK);
    assert_int_equal(rig_read(&rig, bytes - 1, data, 1), XENPV_OK);
    assert_int_equal(data[0], 0);
    rig_close(&rig);
    rig_down(&rig);
}

static void test_seed_R3_O10_sizes_to_2_63(void **state)
{
    static const uint64_t sizes[] = {
        8192,      1 << 20,          POWER(31), POWER(32), POWER(32) + 4096, POWER(40),
        POWER(41), POWER(41) + 4096, POWER(44), POWER(53), POWER(62) - 4096, POWER(63) - 4096,
        POWER(63),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        check_size(sizes[i], 512);
        check_size(sizes[i], 4096);
    }
}

/* ---- units ----------------------------------------------------------------------------------- */

struct unit {
    uint32_t sectors, number, segment; /* bytes that `sectors`, numbers, first and last count */
};

static struct unit unit_of(enum xenpv_blk_units units, uint32_t sector_size)
{
    static const bool in_sectors[XENPV_UNITS_COUNT][3] = {
        [XENPV_UNITS_512] = {false, false, false},
        [XENPV_UNITS_SECTOR_SIZE] = {true, true, true},
        [XENPV_UNITS_FREEBSD] = {true, true, false},
        [XENPV_UNITS_MINIOS] = {true, false, false},
    };
    const bool *is = in_sectors[units];

    return (struct unit){is[0] ? sector_size : 512, is[1] ? sector_size : 512,
                         is[2] ? sector_size : 512};
}

enum { UNITS_DISK = 1 << 20 };

/* What our backend, counting in its units, makes of 4,096 bytes that our frontend means: where they
 * begin, and how many there are; 0: it refuses. */
static uint32_t meant(const struct unit *front, const struct unit *back, uint32_t sector_size,
                      uint64_t *offset)
{
    uint32_t bytes = 4096 / front->segment * back->segment;

    *offset = *offset / front->number * back->number;
    if (bytes > 4096 || (*offset | bytes) % sector_size || *offset + bytes > UNITS_DISK)
        return 0;
    return bytes;
}

static void check_units(enum xenpv_blk_units front_units, enum xenpv_blk_units back_units,
                        uint32_t sector_size)
{
    static uint8_t expected[UNITS_DISK], data[4096], found[4096];
    struct unit front = unit_of(front_units, sector_size), back = unit_of(back_units, sector_size);
    struct rig_offer offer = {.queues = 1, .units = back_units};
    struct xenpv_blk_info info;
    struct rig rig;

    rig_up(&rig, &(struct rig_options){.bytes = UNITS_DISK,
                                       .sector_size = sector_size,
                                       .offer = &offer,
                                       .units = front_units});
    rig_connect(&rig);
    xenpv_blk_info(rig.blk, &info);
    assert_int_equal(info.bytes, (uint64_t)UNITS_DISK / back.sectors * front.sectors);
    assert_string_equal(info.doubt, "");
    memset(expected, 0, sizeof(expected));
    for (uint64_t offset = 0; offset + 4096 <= info.bytes; offset += 4096) {
        uint64_t place = offset;
        uint32_t bytes = meant(&front, &back, sector_size, &place);

        rig_fill(data, sizeof(data), (uint32_t)offset + 1);
        assert_int_equal(rig_write(&rig, offset, data, 4096), bytes ? XENPV_OK : XENPV_EIO);
        if (!bytes)
            continue;
        assert_true(bytes == 4096 || front_units != back_units);
        memcpy(expected + place, data, bytes);
        assert_int_equal(rig_read(&rig, offset, found, 4096), XENPV_OK);
        assert_memory_equal(found, data, bytes);
    }
    rig_assert_disk(&rig, 0, expected, sizeof(expected));
    rig_close(&rig);
    rig_down(&rig);
}

/* FE-31: byte by byte, with a backend of the same units, and with each of the others. */
static void test_seed_O11_FE_31_units(void **state)
{
    static const uint32_t sizes[] = {512, 1024, 4096};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int front = 0; front < XENPV_UNITS_COUNT; front++) {
            for (int back = 0; back < XENPV_UNITS_COUNT; back++)
                check_units((enum xenpv_blk_units)front, (enum xenpv_blk_units)back, sizes[i]);
        }
    }
}

/* With the same units at both ends, bytes of any alignment, discards, and the end of the disk. */
static void test_seed_O11_same_units(void **state)
{
    static uint8_t expected[UNITS_DISK];
    static const uint32_t sizes[] = {512, 2048, 4096};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes) * XENPV_UNITS_COUNT; i++) {
        enum xenpv_blk_units units = (enum xenpv_blk_units)(i % XENPV_UNITS_COUNT);
        struct rig_offer offer = {.queues = 1, .segments = 32, .units = units};
        struct rig rig;

        rig_up(&rig, &(struct rig_options){.bytes = UNITS_DISK,
                                           .sector_size = sizes[i / XENPV_UNITS_COUNT],
                                           .offer = &offer,
                                           .units = units});
        rig_connect(&rig);
        rig_fill(expected, sizeof(expected), (uint32_t)i);
        assert_int_equal(rig_write(&rig, 0, expected, UNITS_DISK), XENPV_OK);
        for (uint64_t at = 1; at < 200000; at = at * 3 + 1) {
            rig_fill(expected + at, (size_t)at, (uint32_t)at);
            assert_int_equal(rig_write(&rig, at, expected + at, (size_t)at), XENPV_OK);
        }
        assert_int_equal(xenpv_blkq_discard(rig.q, 300000, 100000, 0, NULL), XENPV_OK);
        assert_int_equal(rig_wait(&rig), XENPV_OK);
        uint64_t granule = sizes[i / XENPV_UNITS_COUNT];
        uint64_t begin = (300000 + granule - 1) / granule * granule,
                 end = 400000 / granule * granule;
        memset(expected + begin, 0, end - begin);
        rig_assert_disk(&rig, 0, expected, UNITS_DISK);
        rig_close(&rig);
        rig_down(&rig);
    }
}

/* ---- what the keys may say ------------------------------------------------------------------- */

static const struct {
    enum xenpv_blk_units units;
    const char *sectors, *sector_size;
    uint32_t check;
    uint64_t bytes;
    bool doubtful;
} keys[] = {
    {XENPV_UNITS_512, "2048", "4096", 0, 1 << 20, false},
    {XENPV_UNITS_512, "2047", "4096", 0, 2040 * 512, true},
    {XENPV_UNITS_512, "7", "4096", 0, 0, true},
    {XENPV_UNITS_512, "2047", "512", 0, 2047 * 512, false},
    {XENPV_UNITS_SECTOR_SIZE, "255", "4096", 0, 255 * 4096, false},
    {XENPV_UNITS_FREEBSD, "255", "4096", 0, 255 * 4096, false},
    {XENPV_UNITS_MINIOS, "255", "4096", 0, 255 * 4096, false},
    {XENPV_UNITS_SECTOR_SIZE, "2251799813685248", "4096", 0, POWER(63), false},
    {XENPV_UNITS_SECTOR_SIZE, "2251799813685249", "4096", XENPV_CHECK_SECTORS, 0, false},
    {XENPV_UNITS_MINIOS, "4503599627370496", "4096", XENPV_CHECK_SECTORS, 0, false},
    {XENPV_UNITS_FREEBSD, "18446744073709551615", "32768", XENPV_CHECK_SECTORS, 0, false},
    {XENPV_UNITS_512, "2048", "32768", 0, 1 << 20, false},
    {XENPV_UNITS_FREEBSD, "32", "32768", 0, 1 << 20, false},
    {XENPV_UNITS_SECTOR_SIZE, "32", "4096", 0, 131072, false},
    /* A segment has no way to say less than a page. */
    {XENPV_UNITS_SECTOR_SIZE, "32", "8192", XENPV_CHECK_SECTOR_SIZE, 0, false},
    {XENPV_UNITS_SECTOR_SIZE, "32", "32768", XENPV_CHECK_SECTOR_SIZE, 0, false},
};

static void test_seed_O11_FE_31_sizes_by_units(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        const struct plain_key answer[] = {
            {"sectors", keys[i].sectors}, {"sector-size", keys[i].sector_size}, {NULL, NULL}};
        struct plain *plain = malloc(sizeof(*plain));
        struct xenpv_blk_info info;
        struct rig rig;

        rig_up(&rig, &(struct rig_options){.no_backend = true, .units = keys[i].units});
        plain_up(plain, &rig);
        plain->answer = answer;
        assert_int_equal(xenpv_blk_connect(rig.blk, 0), XENPV_OK);
        rig_until(&rig, keys[i].check ? XENPV_BLK_FAILED : XENPV_BLK_CONNECTED);
        assert_int_equal(xenpv_blk_detail(rig.blk)->check, keys[i].check);
        if (!keys[i].check) {
            xenpv_blk_info(rig.blk, &info);
            assert_true(info.bytes == keys[i].bytes);
            assert_int_equal(strlen(info.doubt) != 0, keys[i].doubtful);
            rig_close(&rig);
        }
        plain_down(plain);
        rig_down(&rig);
        free(plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_R3_O10_sizes_to_2_63),
        cmocka_unit_test(test_seed_O11_FE_31_units),
        cmocka_unit_test(test_seed_O11_same_units),
        cmocka_unit_test(test_seed_O11_FE_31_sizes_by_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
