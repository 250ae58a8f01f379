/* SPDX-License-Identifier: MIT */
/* Discards (seed row A3): what of them is sent, in what pieces, how many at once, in what order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KIB          UINT64_C(1024)
#define GIB          (UINT64_C(1) << 30)

enum { NOTES = 64 };

struct piece {
    uint64_t offset, bytes;
};

static struct discards {
    struct rig rig;
    struct plain plain;
    struct plain_key answer[8];
    struct piece piece[NOTES]; /* as they came */
    uint64_t ids[NOTES];
    uint8_t ops[NOTES], flags[NOTES];
    uint32_t count;
    int verdict;
} discards;

/* Takes notes of what comes; the disk may be larger than any memory, and nothing is done to it. */
static int note(struct plain *plain, const struct plain_request *request)
{
    (void)plain;
    assert_in_range(discards.count, 0, NOTES - 1);
    discards.piece[discards.count] = (struct piece){request->offset, request->bytes};
    discards.ids[discards.count] = request->raw.id;
    discards.flags[discards.count] = request->raw.flag;
    discards.ops[discards.count++] = request->op;
    return discards.verdict;
}

struct disk {
    const char *sectors, *sector_size, *granularity, *alignment, *secure, *info;
};

static void up_with(const struct disk *disk, const struct rig_options *options)
{
    const struct plain_key keys[] = {{"sectors", disk->sectors},
                                     {"sector-size", disk->sector_size},
                                     {"feature-discard", "1"},
                                     {"discard-granularity", disk->granularity},
                                     {"discard-alignment", disk->alignment},
                                     {"discard-secure", disk->secure},
                                     {"info", disk->info}};
    uint32_t count = 0;

    memset(discards.answer, 0, sizeof(discards.answer));
    for (size_t i = 0; i < COUNT(keys); i++) {
        if (keys[i].value)
            discards.answer[count++] = keys[i];
    }
    discards.count = 0;
    discards.verdict = XENPV_BLKIF_OKAY;
    rig_up(&discards.rig, options);
    plain_up(&discards.plain, &discards.rig);
    discards.plain.answer = discards.answer;
    discards.plain.judge = note;
    rig_connect(&discards.rig);
}

static const struct rig_options by_hand = {.no_backend = true, .operations = 64};

static void up(const struct disk *disk)
{
    up_with(disk, &by_hand);
}

static void down(void)
{
    rig_close(&discards.rig);
    plain_down(&discards.plain);
    rig_down(&discards.rig);
}

static int discard(uint64_t offset, uint64_t bytes, uint32_t flags, void *user)
{
    return xenpv_blkq_discard(discards.rig.q, offset, bytes, flags, user);
}

/* Polls until nothing is pending; how many ended with that status. */
static uint32_t take_all(int status)
{
    uint32_t ended = 0;

    for (int i = 0; i < 200 && xenpv_blkq_pending(discards.rig.q); i++) {
        struct xenpv_completion done[NOTES];
        int count = xenpv_blkq_poll(discards.rig.q, done, NOTES);

        for (int k = 0; k < count; k++)
            ended += done[k].status == status;
        rig_step(&discards.rig);
    }
    assert_int_equal(xenpv_blkq_pending(discards.rig.q), 0);
    return ended;
}

/* ---- what is sent ---------------------------------------------------------------------------- */

static const struct disk disk_1m = {.sectors = "2048"};
static const struct disk disk_4k = {.sectors = "2048", .sector_size = "4096"};
static const struct disk granules = {.sectors = "2048", .granularity = "4096", .alignment = "0"};
static const struct disk shifted = {.sectors = "2048", .granularity = "4096", .alignment = "512"};
static const struct disk shifted_far = {
    .sectors = "2048", .granularity = "4096", .alignment = "5120"};
static const struct disk odd = {.sectors = "2048", .granularity = "1536", .alignment = "0"};
static const struct disk odd_shifted = {
    .sectors = "2048", .granularity = "1536", .alignment = "1024"};
static const struct disk not_sectors = {
    .sectors = "2048", .sector_size = "4096", .granularity = "6144", .alignment = "0"};
static const struct disk shift_not_sectors = {
    .sectors = "2048", .sector_size = "4096", .granularity = "8192", .alignment = "512"};
static const struct disk junk = {.sectors = "2048", .granularity = "x", .alignment = "y"};
static const struct disk short_end = {.sectors = "2049", .granularity = "4096", .alignment = "0"};
static const struct disk secure = {
    .sectors = "2048", .granularity = "4096", .alignment = "0", .secure = "1"};
static const struct disk secure_end = {
    .sectors = "2049", .granularity = "4096", .alignment = "0", .secure = "1"};
static const struct disk large = {.sectors = "20000000000", .granularity = "512"};
static const struct disk large_odd = {.sectors = "20000000000", .granularity = "1536"};
static const struct disk large_granules = {.sectors = "20000000000", .granularity = "2147483648"};
static const struct disk largest = {.sectors = "18014398509481984", .granularity = "4096"};
static const struct disk readonly = {.sectors = "2048", .info = "4"};

static const struct {
    const char *what;
    const struct disk *disk;
    uint64_t offset, bytes;
    uint32_t flags;
    int error;
    struct piece pieces[6]; /* that are sent */
} cases[] = {
    {"a sector", &disk_1m, 512, 512, 0, 0, {{512, 512}}},
    {"bytes to either side", &disk_1m, 511, 514, 0, 0, {{512, 512}}},
    {"less than a sector", &disk_1m, 1, 510, 0, 0, {{0}}},
    {"parts of two sectors", &disk_1m, 1, 1022, 0, 0, {{0}}},
    {"all", &disk_1m, 0, 1 << 20, 0, 0, {{0, 1 << 20}}},
    {"large sectors", &disk_4k, 4095, 8193, 0, 0, {{4096, 8192}}},
    {"a granule", &granules, 4096, 4096, 0, 0, {{4096, 4096}}},
    {"sectors to either side of a granule", &granules, 3584, 5120, 0, 0, {{4096, 4096}}},
    {"less than a granule", &granules, 512, 7168, 0, 0, {{0}}},
    {"granules shifted", &shifted, 0, 9000, 0, 0, {{512, 8192}}},
    {"the part before the first", &shifted, 0, 512, 0, 0, {{0}}},
    {"granules shifted by more than one", &shifted_far, 0, 9216, 0, 0, {{1024, 8192}}},
    {"granules of three sectors", &odd, 0, 4096, 0, 0, {{0, 3072}}},
    {"the same from the middle", &odd, 1537, 4000, 0, 0, {{3072, 1536}}},
    {"the same shifted", &odd_shifted, 0, 4608, 0, 0, {{1024, 3072}}},
    {"granules that are no sectors", &not_sectors, 0, 8192, 0, 0, {{0, 8192}}},
    {"a shift that is no sectors", &shift_not_sectors, 0, 8192, 0, 0, {{0, 8192}}},
    {"junk", &junk, 512, 512, 0, 0, {{512, 512}}},
    {"the last, short granule", &short_end, 1048576, 512, 0, 0, {{1048576, 512}}},
    {"up to the last, short granule", &short_end, 1040000, 9088, 0, 0, {{1040384, 8704}}},
    {"not up to the end", &short_end, 1044480, 4096, 0, 0, {{1044480, 4096}}},
    {"secure", &secure, 4096, 8192, 1, 0, {{4096, 8192}}},
    {"secure, not aligned at its begin", &secure, 4095, 8193, 1, XENPV_EINVAL, {{0}}},
    {"secure, not aligned at its end", &secure, 4096, 4097, 1, XENPV_EINVAL, {{0}}},
    {"secure, less than a granule", &secure, 512, 512, 1, XENPV_EINVAL, {{0}}},
    {"secure, the last, short granule", &secure_end, 1044480, 4608, 1, 0, {{1044480, 4608}}},
    {"secure where that is not known", &granules, 4096, 8192, 1, XENPV_ENOTSUP, {{0}}},
    {"flags that do not exist", &secure, 4096, 4096, 2, XENPV_EINVAL, {{0}}},
    {"flags that do not exist, and one", &secure, 4096, 4096, 3, XENPV_EINVAL, {{0}}},
    {"nothing", &granules, 4096, 0, 0, XENPV_EINVAL, {{0}}},
    {"beyond the end", &granules, 1 << 20, 512, 0, XENPV_ERANGE, {{0}}},
    {"across the end", &granules, 1044480, 4097, 0, XENPV_ERANGE, {{0}}},
    {"across 2^64", &granules, 4096, UINT64_MAX - 4095, 0, XENPV_ERANGE, {{0}}},
    {"read-only", &readonly, 0, 512, 0, XENPV_EROFS, {{0}}},
    {"1 GiB", &large, 512, GIB, 0, 0, {{512, GIB}}},
    {"more than 1 GiB", &large, 512, GIB + 512, 0, 0, {{512, GIB}, {512 + GIB, 512}}},
    {"3 GiB", &large, 0, 3 * GIB, 0, 0, {{0, GIB}, {GIB, GIB}, {2 * GIB, GIB}}},
    {"granules of three sectors, 2 GiB",
     &large_odd,
     1536,
     2 * GIB,
     0,
     0,
     {{1536, GIB - 1024}, {GIB + 512, GIB - 1024}, {2 * GIB - 512, 1536}}},
    {"granules of 2 GiB",
     &large_granules,
     1,
     7 * GIB,
     0,
     0,
     {{2 * GIB, 2 * GIB}, {4 * GIB, 2 * GIB}}},
    {"the end of the largest disk",
     &largest,
     (UINT64_C(1) << 63) - 4096,
     4096,
     0,
     0,
     {{(UINT64_C(1) << 63) - 4096, 4096}}},
};

static void test_seed_A3_granules(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t pieces = 0;

        print_message("  %s\n", cases[i].what);
        up(cases[i].disk);
        assert_int_equal(discard(cases[i].offset, cases[i].bytes, cases[i].flags, NULL),
                         cases[i].error);
        if (!cases[i].error)
            assert_int_equal(take_all(XENPV_OK), 1);
        while (pieces < 6 && cases[i].pieces[pieces].bytes)
            pieces++;
        assert_int_equal(discards.count, pieces);
        for (uint32_t k = 0; k < pieces; k++) {
            assert_int_equal(discards.ops[k], XENPV_BLKIF_DISCARD);
            assert_int_equal(discards.piece[k].offset, cases[i].pieces[k].offset);
            assert_int_equal(discards.piece[k].bytes, cases[i].pieces[k].bytes);
            assert_int_equal(discards.flags[k], cases[i].flags);
        }
        down();
    }
}

static const struct {
    const struct disk *disk;
    uint32_t granularity, alignment;
    bool secure, doubtful;
} told[] = {
    {&disk_1m, 512, 0, false, false},         {&disk_4k, 4096, 0, false, false},
    {&granules, 4096, 0, false, false},       {&shifted, 4096, 512, false, false},
    {&shifted_far, 4096, 1024, false, false}, {&odd, 1536, 0, false, false},
    {&not_sectors, 4096, 0, false, true},     {&shift_not_sectors, 8192, 0, false, false},
    {&secure, 4096, 0, true, false},          {&large_granules, 1u << 31, 0, false, false},
};

static void test_seed_A3_what_is_told(void **state)
{
    struct xenpv_blk_info info;

    (void)state;
    for (size_t i = 0; i < COUNT(told); i++) {
        up(told[i].disk);
        xenpv_blk_info(discards.rig.blk, &info);
        assert_true(info.can_discard);
        assert_int_equal(info.can_discard_secure, told[i].secure);
        assert_int_equal(info.discard_granularity, told[i].granularity);
        assert_int_equal(info.discard_alignment, told[i].alignment);
        assert_int_equal(strlen(info.doubt) != 0, told[i].doubtful);
        down();
    }
    up(&readonly);
    xenpv_blk_info(discards.rig.blk, &info);
    assert_false(info.can_discard || info.can_discard_secure);
    down();
}

/* ---- merging --------------------------------------------------------------------------------- */

static const struct {
    const char *what;
    struct {
        uint64_t page;
        char kind; /* d, s: secure, w: write, f: nothing but a submit */
    } op[5];
    const char *sent; /* the operations that come, in the order in which they come */
} merges[] = {
    {"neighbours", {{0, 'd'}, {1, 'd'}, {2, 'd'}}, "d"},
    {"neighbours the other way round", {{2, 'd'}, {1, 'd'}, {0, 'd'}}, "ddd"},
    {"a gap", {{0, 'd'}, {2, 'd'}}, "dd"},
    {"the same twice", {{0, 'd'}, {0, 'd'}}, "dd"},
    {"one is secure", {{0, 'd'}, {1, 's'}, {2, 's'}}, "ds"},
    {"a write between them", {{0, 'd'}, {9, 'w'}, {1, 'd'}}, "ddw"},
    {"a write onto the first", {{0, 'd'}, {0, 'w'}, {1, 'd'}}, "ddw"},
    {"sent before", {{0, 'd'}, {0, 'f'}, {1, 'd'}}, "dd"},
};

static void test_seed_A3_neighbours_are_merged(void **state)
{
    static uint8_t data[4096];
    struct xenpv_iov iov = {data, sizeof(data)};

    (void)state;
    for (size_t i = 0; i < COUNT(merges); i++) {
        uint32_t queued = 0;

        print_message("  %s\n", merges[i].what);
        for (int status = -1; status <= 0; status++) {
            up(&secure);
            discards.verdict = status;
            for (queued = 0; queued < 5 && merges[i].op[queued].kind; queued++) {
                uint64_t offset = merges[i].op[queued].page * 4096;
                char kind = merges[i].op[queued].kind;

                if (kind == 'w')
                    assert_int_equal(xenpv_blkq_writev(discards.rig.q, offset, &iov, 1, NULL), 0);
                else if (kind == 'f')
                    xenpv_blkq_submit(discards.rig.q);
                else
                    assert_int_equal(discard(offset, 4096, kind == 's', NULL), XENPV_OK);
            }
            queued = xenpv_blkq_pending(discards.rig.q);
            assert_int_equal(take_all(status ? XENPV_EIO : XENPV_OK), queued);
            assert_int_equal(discards.count, strlen(merges[i].sent));
            for (uint32_t k = 0; k < discards.count; k++) {
                assert_int_equal(discards.ops[k] == XENPV_BLKIF_WRITE, merges[i].sent[k] == 'w');
                assert_int_equal(discards.flags[k], merges[i].sent[k] == 's');
            }
            down();
        }
    }
}

/* ---- how many at once ------------------------------------------------------------------------ */

static void answer(uint32_t which, uint8_t op, int16_t status)
{
    plain_answer(&discards.plain, 0, discards.ids[which], op, status);
    plain_publish(&discards.plain, 0);
    rig_step(&discards.rig);
}

static int poll_one(void)
{
    struct xenpv_completion done = {NULL, 0};
    int count = xenpv_blkq_poll(discards.rig.q, &done, 1);

    rig_step(&discards.rig);
    return count == 1 ? done.status : 1;
}

/* Four, whether they are pieces of one or not; other operations go past those that wait. */
static void test_seed_A3_few_in_flight(void **state)
{
    static uint8_t data[512];
    struct xenpv_iov iov = {data, sizeof(data)};

    (void)state;
    for (int split = 0; split < 2; split++) {
        up(&large);
        discards.verdict = PLAIN_KEEP;
        for (uint64_t i = 0; i < 10 && !split; i++)
            assert_int_equal(discard(i * 8192, 4096, 0, NULL), XENPV_OK);
        if (split)
            assert_int_equal(discard(0, 10 * GIB, 0, NULL), XENPV_OK);
        poll_one();
        for (uint32_t i = 0; i < 10; i++) {
            assert_int_equal(discards.count, i + 4 < 10 ? i + 4 : 10);
            answer(i, XENPV_BLKIF_DISCARD, XENPV_BLKIF_OKAY);
            assert_int_equal(poll_one(), split && i < 9 ? 1 : XENPV_OK);
        }
        assert_int_equal(xenpv_blkq_pending(discards.rig.q), 0);
        /* All are under way again; a read is not kept waiting. */
        for (uint64_t i = 0; i < 10; i++)
            assert_int_equal(discard(i * 8192, 4096, 0, NULL), XENPV_OK);
        poll_one();
        assert_int_equal(discards.count, 14);
        assert_int_equal(xenpv_blkq_readv(discards.rig.q, 0, &iov, 1, NULL), XENPV_OK);
        poll_one();
        assert_int_equal(discards.count, 15);
        assert_int_equal(discards.ops[14], XENPV_BLKIF_READ);
        for (uint32_t i = 10; i < discards.count; i++) {
            answer(i, discards.ops[i], XENPV_BLKIF_OKAY);
            assert_int_equal(poll_one(), XENPV_OK);
        }
        assert_int_equal(xenpv_blkq_pending(discards.rig.q), 0);
        down();
    }
}

/* ---- order ----------------------------------------------------------------------------------- */

/* Whichever is queued first is done first, where they meet; elsewhere nothing waits. */
static void test_seed_A3_order_with_writes(void **state)
{
    static uint8_t data[4096];
    struct xenpv_iov iov = {data, sizeof(data)};

    (void)state;
    for (int write_first = 0; write_first < 2; write_first++) {
        for (uint64_t offset = 0; offset <= 16384; offset += 512) {
            bool meet = offset > 4096 && offset < 12288;

            up(&disk_1m);
            discards.verdict = PLAIN_KEEP;
            if (write_first)
                assert_int_equal(xenpv_blkq_writev(discards.rig.q, offset, &iov, 1, NULL), 0);
            assert_int_equal(discard(8192, 4096, 0, NULL), XENPV_OK);
            if (!write_first)
                assert_int_equal(xenpv_blkq_writev(discards.rig.q, offset, &iov, 1, NULL), 0);
            poll_one();
            poll_one();
            assert_int_equal(discards.count, meet ? 1 : 2);
            if (meet)
                assert_int_equal(discards.ops[0],
                                 write_first ? XENPV_BLKIF_WRITE : XENPV_BLKIF_DISCARD);
            for (uint32_t i = 0; i < 2; i++) {
                answer(i, discards.ops[i], XENPV_BLKIF_OKAY);
                assert_int_equal(poll_one(), XENPV_OK);
            }
            down();
        }
    }
}

/* ---- a backend that does not know it after all ----------------------------------------------- */

/* FE-29: what was sent, and what waits, says so; nothing more is sent, until the next connection. */
static void test_FE_29_discard_not_supported(void **state)
{
    struct xenpv_negotiation negotiation[XENPV_BLK_NEGOTIATIONS];
    struct xenpv_blk_info info;

    (void)state;
    up(&secure);
    discards.verdict = XENPV_BLKIF_EOPNOTSUPP;
    for (uint64_t i = 0; i < 9; i++)
        assert_int_equal(discard(i * 8192, 4096, i & 1, NULL), XENPV_OK);
    assert_int_equal(take_all(XENPV_ENOTSUP), 9);
    assert_int_equal(discards.count, 4);
    assert_int_equal(discard(0, 4096, 0, NULL), XENPV_ENOTSUP);
    assert_int_equal(discard(0, 4096, XENPV_DISCARD_SECURE, NULL), XENPV_ENOTSUP);
    xenpv_blk_info(discards.rig.blk, &info);
    assert_false(info.can_discard || info.can_discard_secure);
    assert_int_equal(info.features & (XENPV_BLK_DISCARD | XENPV_BLK_SECURE_DISCARD), 0);
    xenpv_blk_negotiation(discards.rig.blk, negotiation);
    for (size_t i = 0; i < XENPV_BLK_NEGOTIATIONS; i++) {
        if (strcmp(negotiation[i].key, "feature-discard") != 0)
            continue;
        assert_int_equal(negotiation[i].chosen, 0);
        assert_string_equal(negotiation[i].offered, "1");
        assert_non_null(strstr(negotiation[i].why, "does not know"));
    }
    rig_close(&discards.rig);
    rig_connect(&discards.rig);
    discards.verdict = XENPV_BLKIF_OKAY;
    xenpv_blk_info(discards.rig.blk, &info);
    assert_true(info.can_discard && info.can_discard_secure);
    assert_int_equal(discard(0, 4096, 0, NULL), XENPV_OK);
    assert_int_equal(take_all(XENPV_OK), 1);
    down();
}

/* The twin: an error is an error of that discard alone. */
static void test_FE_29_discard_fails(void **state)
{
    (void)state;
    up(&secure);
    discards.verdict = XENPV_BLKIF_ERROR;
    assert_int_equal(discard(0, 4096, 0, NULL), XENPV_OK);
    assert_int_equal(take_all(XENPV_EIO), 1);
    discards.verdict = XENPV_BLKIF_OKAY;
    assert_int_equal(discard(0, 4096, XENPV_DISCARD_SECURE, NULL), XENPV_OK);
    assert_int_equal(take_all(XENPV_OK), 1);
    down();
}

/* Of three pieces the second one fails: the discard has failed, once. */
static int second_fails(struct plain *plain, const struct plain_request *request)
{
    note(plain, request);
    return request->offset == GIB ? XENPV_BLKIF_ERROR : XENPV_BLKIF_OKAY;
}

static void test_seed_A3_a_piece_fails(void **state)
{
    (void)state;
    up(&large);
    discards.plain.judge = second_fails;
    assert_int_equal(discard(0, 3 * GIB, 0, NULL), XENPV_OK);
    assert_int_equal(take_all(XENPV_EIO), 1);
    down();
}

/* ---- very many ------------------------------------------------------------------------------- */

enum { MANY_BYTES = 1 << 20, MANY = 20000 };

/* Whole granules; the last one of the disk may be short. */
static void discard_granules(uint8_t *expected, uint64_t begin, uint64_t end, uint32_t granularity,
                             uint32_t alignment)
{
    for (uint64_t at = alignment; at < MANY_BYTES; at += granularity) {
        uint64_t next = at + granularity < MANY_BYTES ? at + granularity : MANY_BYTES;

        if (at >= begin && next <= end)
            memset(expected + at, 0, next - at);
    }
}

/* What is discarded reads as zeroes on this disk, and nothing else does; nothing is lost under a
 * flood that is far more than fits at once. */
static void check_flood(uint32_t granularity, uint32_t alignment)
{
    static uint8_t expected[MANY_BYTES];
    uint32_t seed = granularity, accepted = 0, ended = 0;
    struct rig rig;

    rig_up(&rig, &(struct rig_options){.bytes = MANY_BYTES, .operations = 256});
    rig.disk.discard_granularity = granularity;
    rig.disk.discard_alignment = alignment;
    rig_connect(&rig);
    rig_fill(expected, MANY_BYTES, seed);
    assert_int_equal(rig_write(&rig, 0, expected, MANY_BYTES), XENPV_OK);
    while (accepted < MANY || ended < accepted) {
        uint64_t offset = rig_random(&seed) % MANY_BYTES, bytes = 1 + rig_random(&seed) % 3000;
        struct xenpv_completion done[64];
        int count, error = XENPV_EFULL;

        bytes = bytes < MANY_BYTES - offset ? bytes : MANY_BYTES - offset;
        if (accepted < MANY)
            error = xenpv_blkq_discard(rig.q, offset, bytes, 0, NULL);
        if (error == XENPV_OK) {
            accepted++;
            discard_granules(expected, offset, offset + bytes, granularity, alignment);
            if (accepted % 100)
                continue;
        }
        count = xenpv_blkq_poll(rig.q, done, 64);
        for (int i = 0; i < count; i++)
            assert_int_equal(done[i].status, XENPV_OK);
        ended += (uint32_t)count;
        rig_step(&rig);
    }
    rig_assert_disk(&rig, 0, expected, MANY_BYTES);
    rig_close(&rig);
    rig_down(&rig);
}

static void test_seed_A3_very_many(void **state)
{
    (void)state;
    check_flood(512, 0);
    check_flood(1024, 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A3_granules),
        cmocka_unit_test(test_seed_A3_what_is_told),
        cmocka_unit_test(test_seed_A3_neighbours_are_merged),
        cmocka_unit_test(test_seed_A3_few_in_flight),
        cmocka_unit_test(test_seed_A3_order_with_writes),
        cmocka_unit_test(test_FE_29_discard_not_supported),
        cmocka_unit_test(test_FE_29_discard_fails),
        cmocka_unit_test(test_seed_A3_a_piece_fails),
        cmocka_unit_test(test_seed_A3_very_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
