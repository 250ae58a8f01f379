/* SPDX-License-Identifier: MIT */
/* The disks of the harness: in memory, none at all, with a volatile cache, in a file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <xenpv/harness/disk.h>

#include "strict.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECTORS      4096u
#define BYTES        (SECTORS * 512u)

static uint32_t random_number(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* ---- what all of them do --------------------------------------------------------------------- */

static char file_name[] = "/tmp/test_disk.XXXXXX";

static int make_memory(const struct xenpv_allocator *allocator, uint64_t bytes,
                       struct xenpv_disk *disk)
{
    return xenpv_disk_memory(allocator, bytes, disk);
}

static int make_volatile(const struct xenpv_allocator *allocator, uint64_t bytes,
                         struct xenpv_disk *disk)
{
    return xenpv_disk_volatile(allocator, bytes, disk);
}

static int make_file(const struct xenpv_allocator *allocator, uint64_t bytes,
                     struct xenpv_disk *disk)
{
    assert_int_equal(truncate(file_name, 0), 0);
    assert_int_equal(truncate(file_name, (off_t)bytes), 0);
    return xenpv_disk_file(allocator, file_name, false, disk);
}

static const struct {
    int (*make)(const struct xenpv_allocator *allocator, uint64_t bytes, struct xenpv_disk *disk);
    bool secure;
} kinds[] = {{make_memory, true}, {make_volatile, false}, {make_file, false}};

static void assert_holds(const struct xenpv_disk *disk, const uint8_t *expected)
{
    static uint8_t found[BYTES];

    memset(found, 0xee, sizeof(found));
    assert_int_equal(disk->read(disk->ctx, 0, found, BYTES), XENPV_OK);
    assert_memory_equal(found, expected, BYTES);
}

/* Writes, discards and flushes of any place and length, against a copy. */
static void test_contents(void **state)
{
    static uint8_t expected[BYTES], data[64 * 512];

    (void)state;
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        struct strict_heap heap = {0};
        const struct xenpv_allocator allocator = strict_allocator(&heap);
        struct xenpv_disk disk;
        uint32_t seed = (uint32_t)kind;

        assert_int_equal(kinds[kind].make(&allocator, BYTES, &disk), XENPV_OK);
        assert_int_equal(disk.bytes, BYTES);
        assert_int_equal(disk.sector_size, 512);
        assert_true(disk.barrier && !disk.readonly && !disk.cdrom && !disk.removable);
        assert_int_equal(disk.discard_secure, kinds[kind].secure);
        assert_non_null(disk.discard);
        memset(expected, 0, sizeof(expected));
        assert_holds(&disk, expected);
        for (int i = 0; i < 600; i++) {
            uint32_t sectors = 1 + random_number(&seed) % 64;
            uint32_t at = random_number(&seed) % (SECTORS - sectors) * 512, bytes = sectors * 512;

            if (i % 7 == 6) {
                assert_int_equal(disk.discard(disk.ctx, at, bytes, i % 2), XENPV_OK);
                memset(expected + at, 0, bytes);
            } else if (i % 11 == 10) {
                assert_int_equal(disk.flush(disk.ctx), XENPV_OK);
            } else {
                memset(data, (int)random_number(&seed), bytes);
                data[0] = (uint8_t)i;
                assert_int_equal(disk.write(disk.ctx, at, data, bytes), XENPV_OK);
                memcpy(expected + at, data, bytes);
            }
            if (i % 50 == 0)
                assert_holds(&disk, expected);
        }
        /* The very ends. */
        assert_int_equal(disk.write(disk.ctx, BYTES - 512, data, 512), XENPV_OK);
        memcpy(expected + BYTES - 512, data, 512);
        assert_int_equal(disk.discard(disk.ctx, 0, 512, false), XENPV_OK);
        memset(expected, 0, 512);
        assert_holds(&disk, expected);
        disk.close(disk.ctx);
        assert_int_equal(heap.blocks, 0);
    }
}

/* Sizes that are none, and memory that is not there. */
static void test_refused(void **state)
{
    static const uint64_t bad[] = {0, 1, 511, 513, UINT64_MAX};

    (void)state;
    for (size_t kind = 0; kind < 2; kind++) {
        struct strict_heap heap = {0};
        const struct xenpv_allocator allocator = strict_allocator(&heap);
        struct xenpv_disk disk;
        int error = XENPV_ENOMEM;

        for (size_t i = 0; i < COUNT(bad); i++)
            assert_int_equal(kinds[kind].make(&allocator, bad[i], &disk), XENPV_EINVAL);
        for (uint64_t at = 1; error; at++) {
            heap.fail_at = heap.allocs + at;
            error = kinds[kind].make(&allocator, BYTES, &disk);
            assert_true(error == XENPV_OK || error == XENPV_ENOMEM);
            assert_true(error == XENPV_OK || heap.blocks == 0);
            assert_in_range(at, 1, 8);
        }
        disk.close(disk.ctx);
        assert_int_equal(heap.blocks, 0);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct xenpv_disk disk;

        assert_int_equal(xenpv_disk_null(bad[i], &disk), XENPV_EINVAL);
    }
}

static void test_null(void **state)
{
    struct xenpv_disk disk;

    (void)state;
    assert_int_equal(xenpv_disk_null(UINT64_C(1) << 60, &disk), XENPV_OK);
    assert_int_equal(disk.bytes, UINT64_C(1) << 60);
    assert_null(disk.read);
    assert_null(disk.write);
    assert_int_equal(disk.flush(disk.ctx), XENPV_OK);
    assert_int_equal(disk.discard(disk.ctx, 0, disk.bytes, false), XENPV_OK);
    disk.close(disk.ctx);
}

/* ---- a power cut ----------------------------------------------------------------------------- */

static void fill_sector(uint8_t *sector, uint32_t number, uint32_t version)
{
    for (uint32_t i = 0; i < 512; i += 8) {
        memcpy(sector + i, &number, 4);
        memcpy(sector + i + 4, &version, 4);
    }
}

static uint32_t version_of(const uint8_t *sector, uint32_t number)
{
    uint32_t version;
    uint8_t expected[512];

    memcpy(&version, sector + 4, 4);
    fill_sector(expected, version ? number : 0, version);
    assert_memory_equal(sector, expected, 512); /* whole, and not of two versions */
    return version;
}

/* The versions of each sector: what it was at the last flush, and what it was written to since. */
struct history {
    uint32_t stable[256], now[256];
};

static void write_some(struct xenpv_disk *disk, struct history *history, uint32_t *seed,
                       uint32_t *version)
{
    uint8_t sectors[8 * 512];
    uint32_t count = 1 + random_number(seed) % 8, first = random_number(seed) % (256 - count);

    ++*version;
    for (uint32_t i = 0; i < count; i++)
        fill_sector(sectors + (size_t)i * 512, first + i, *version);
    if (random_number(seed) % 5 == 0)
        assert_int_equal(disk->discard(disk->ctx, first * 512, count * 512, false), XENPV_OK);
    else
        assert_int_equal(disk->write(disk->ctx, first * 512, sectors, count * 512), XENPV_OK);
    disk->read(disk->ctx, first * 512, sectors, count * 512);
    for (uint32_t i = 0; i < count; i++)
        history->now[first + i] = version_of(sectors + (size_t)i * 512, first + i);
}

/*
 * Whatever the seed: what was flushed is there, what was not is as it was written or as it was at
 * the last flush, and what came through one cut is stable in the next.
 */
static void test_power_cut(void **state)
{
    struct strict_heap heap = {0};
    const struct xenpv_allocator allocator = strict_allocator(&heap);
    uint64_t none = 0, all = 0, some = 0;

    (void)state;
    for (uint32_t cut = 0; cut < 400; cut++) {
        struct history history = {{0}, {0}};
        uint32_t seed = cut, version = 0;
        struct xenpv_disk disk;

        assert_int_equal(xenpv_disk_volatile(&allocator, 256 * 512, &disk), XENPV_OK);
        for (int round = 0; round < 3; round++) {
            uint64_t lost, went_back = 0, at_risk = 0;

            for (int i = 0; i < 30; i++) {
                write_some(&disk, &history, &seed, &version);
                if (random_number(&seed) % 10 == 0) {
                    assert_int_equal(disk.flush(disk.ctx), XENPV_OK);
                    memcpy(history.stable, history.now, sizeof(history.now));
                }
            }
            lost = xenpv_disk_power_cut(&disk, cut * 3 + (uint32_t)round);
            for (uint32_t i = 0; i < 256; i++) {
                uint8_t sector[512];
                uint32_t found;

                disk.read(disk.ctx, i * 512, sector, 512);
                found = version_of(sector, i);
                assert_true(found == history.now[i] || found == history.stable[i]);
                at_risk += history.now[i] != history.stable[i];
                went_back += found != history.now[i];
                history.now[i] = history.stable[i] = found;
            }
            assert_true(lost >= went_back);
            none += at_risk && went_back == 0;
            all += at_risk && went_back == at_risk;
            some += went_back && went_back < at_risk;
        }
        /* Nothing is at risk any more. */
        assert_int_equal(xenpv_disk_power_cut(&disk, cut), 0);
        disk.close(disk.ctx);
    }
    /* The seeds are of all kinds. */
    assert_true(none > 20 && all > 20 && some > 400);
    assert_int_equal(heap.blocks, 0);
}

/* The same seed loses the same. */
static void test_power_cut_again(void **state)
{
    struct strict_heap heap = {0};
    const struct xenpv_allocator allocator = strict_allocator(&heap);
    static uint8_t data[BYTES], first[BYTES], second[BYTES];

    (void)state;
    memset(data, 0x11, sizeof(data));
    for (uint32_t seed = 0; seed < 20; seed++) {
        uint64_t lost[2];

        for (int i = 0; i < 2; i++) {
            struct xenpv_disk disk;

            assert_int_equal(xenpv_disk_volatile(&allocator, BYTES, &disk), XENPV_OK);
            disk.write(disk.ctx, 0, data, BYTES);
            lost[i] = xenpv_disk_power_cut(&disk, seed);
            disk.read(disk.ctx, 0, i ? second : first, BYTES);
            disk.close(disk.ctx);
        }
        assert_int_equal(lost[0], lost[1]);
        assert_memory_equal(first, second, BYTES);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static int make_temporary(void **state)
{
    int fd = mkstemp(file_name);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_temporary(void **state)
{
    (void)state;
    return unlink(file_name);
}

static void test_file_errors(void **state)
{
    struct strict_heap heap = {0};
    const struct xenpv_allocator allocator = strict_allocator(&heap);
    static const struct {
        off_t bytes;
        int error;
    } sizes[] = {{0, XENPV_EINVAL}, {511, XENPV_EINVAL}, {513, XENPV_EINVAL}, {512, XENPV_OK}};
    struct xenpv_disk disk;

    (void)state;
    assert_int_equal(xenpv_disk_file(&allocator, "/tmp/there/is/none", false, &disk), XENPV_ENOENT);
    assert_int_equal(xenpv_disk_file(&allocator, "/tmp", true, &disk), XENPV_EINVAL);
    assert_int_equal(xenpv_disk_file(&allocator, "/tmp", false, &disk), XENPV_EINVAL);
    assert_int_equal(xenpv_disk_file(&allocator, "/dev/null", false, &disk), XENPV_EINVAL);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(truncate(file_name, sizes[i].bytes), 0);
        assert_int_equal(xenpv_disk_file(&allocator, file_name, false, &disk), sizes[i].error);
        if (sizes[i].error == XENPV_OK)
            disk.close(disk.ctx);
    }
    heap.fail_at = heap.allocs + 1;
    assert_int_equal(xenpv_disk_file(&allocator, file_name, false, &disk), XENPV_ENOMEM);
    assert_int_equal(heap.blocks, 0);
}

static bool sync_fails;

/* In place of the C library's: once in a while the medium fails. */
int fdatasync(int fd)
{
    if (sync_fails) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

/* Linux tells of data that it could not write back, and has dropped, once: the next fdatasync ends
 * well, and means nothing for that data. */
static void test_file_flush_fails_for_good(void **state)
{
    struct strict_heap heap = {0};
    const struct xenpv_allocator allocator = strict_allocator(&heap);
    static const uint8_t data[512] = {1};
    struct xenpv_disk disk;

    (void)state;
    assert_int_equal(truncate(file_name, 4096), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(xenpv_disk_file(&allocator, file_name, false, &disk), XENPV_OK);
        assert_int_equal(disk.flush(disk.ctx), XENPV_OK);
        assert_int_equal(disk.write(disk.ctx, 0, data, sizeof(data)), XENPV_OK);
        sync_fails = true;
        assert_int_equal(disk.flush(disk.ctx), XENPV_EIO);
        sync_fails = false;
        assert_int_equal(disk.flush(disk.ctx), XENPV_EIO);
        assert_int_equal(disk.write(disk.ctx, 0, data, sizeof(data)), XENPV_OK);
        assert_int_equal(disk.flush(disk.ctx), XENPV_EIO);
        disk.close(disk.ctx);
    }
    assert_int_equal(heap.blocks, 0);
}

/* What is written is in the file; what is discarded takes no room there; a readonly disk has no
 * discard, and its file is not written. */
static void test_file(void **state)
{
    struct strict_heap heap = {0};
    const struct xenpv_allocator allocator = strict_allocator(&heap);
    static uint8_t data[1 << 20], found[1 << 20];
    struct xenpv_disk disk;
    struct stat status;
    FILE *file;
    blkcnt_t before;

    (void)state;
    assert_int_equal(truncate(file_name, 0), 0);
    assert_int_equal(truncate(file_name, sizeof(data)), 0);
    assert_int_equal(xenpv_disk_file(&allocator, file_name, false, &disk), XENPV_OK);
    memset(data, 0x42, sizeof(data));
    assert_int_equal(disk.write(disk.ctx, 0, data, sizeof(data)), XENPV_OK);
    assert_int_equal(disk.flush(disk.ctx), XENPV_OK);
    assert_int_equal(stat(file_name, &status), 0);
    before = status.st_blocks;
    assert_int_equal(disk.discard(disk.ctx, 1 << 16, 1 << 19, false), XENPV_OK);
    memset(data + (1 << 16), 0, 1 << 19);
    assert_int_equal(stat(file_name, &status), 0);
    assert_true(status.st_blocks < before);
    assert_int_equal(status.st_size,
                     sizeof(data)); /* asked at opening, and by no discard changed */
    assert_in_range(disk.discard_granularity, 512, 1 << 20);
    disk.close(disk.ctx);
    file = fopen(file_name, "rb");
    assert_int_equal(fread(found, 1, sizeof(found), file), sizeof(found));
    fclose(file);
    assert_memory_equal(found, data, sizeof(data));

    assert_int_equal(xenpv_disk_file(&allocator, file_name, true, &disk), XENPV_OK);
    assert_true(disk.readonly);
    assert_null(disk.discard);
    assert_int_equal(disk.write(disk.ctx, 0, data, 512), XENPV_EIO);
    assert_int_equal(disk.read(disk.ctx, sizeof(data) - 512, found, 512), XENPV_OK);
    /* It shrinks while it is open. */
    assert_int_equal(truncate(file_name, 4096), 0);
    assert_int_equal(disk.read(disk.ctx, 4096 - 512, found, 1024), XENPV_EIO);
    disk.close(disk.ctx);
    assert_int_equal(heap.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_power_cut),
        cmocka_unit_test(test_power_cut_again),
        cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_flush_fails_for_good),
    };

    return cmocka_run_group_tests(tests, make_temporary, remove_temporary);
}
