/* SPDX-License-Identifier: MIT */
/* From operations to requests: what is sent, how it is cut, and what is refused without asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NOTES = 64, DISK = 1 << 20 };

struct sent {
    uint8_t op, flag; /* the inner operation of an indirect request */
    bool indirect;
    uint64_t offset, bytes;
};

static struct requests {
    struct rig rig;
    struct plain plain;
    struct sent sent[NOTES];
    uint32_t count;
    int verdict; /* on indirect requests */
    uint8_t data[DISK], found[DISK];
} all;

static const struct plain_key indirect[] = {{"feature-max-indirect-segments", "256"}, {NULL, NULL}};
static const struct plain_key everything[] = {{"sectors", "2048"},
                                              {"feature-flush-cache", "1"},
                                              {"feature-discard", "1"},
                                              {"discard-secure", "1"},
                                              {NULL, NULL}};

static int note(struct plain *plain, const struct plain_request *request)
{
    (void)plain;
    assert_in_range(all.count, 0, NOTES - 1);
    all.sent[all.count++] = (struct sent){request->op, request->raw.flag, request->indirect,
                                          request->offset, request->bytes};
    return request->indirect ? all.verdict : PLAIN_DO;
}

static void up(const struct rig_options *options, const struct plain_key *offer)
{
    struct rig_options mine = *options;

    mine.no_backend = true;
    rig_up(&all.rig, &mine);
    plain_up(&all.plain, &all.rig);
    all.plain.offer = offer;
    all.plain.answer = everything;
    all.plain.judge = note;
    all.count = 0;
    all.verdict = PLAIN_DO;
    rig_connect(&all.rig);
}

static void assert_sent(uint32_t which, const struct sent *expected)
{
    const struct sent *sent = &all.sent[which];

    assert_int_equal(sent->op, expected->op);
    assert_int_equal(sent->flag, expected->flag);
    assert_int_equal(sent->indirect, expected->indirect);
    assert_int_equal(sent->offset, expected->offset);
    assert_int_equal(sent->bytes, expected->bytes);
}

static void down(void)
{
    rig_close(&all.rig);
    plain_down(&all.plain);
    rig_down(&all.rig);
}

/* ---- how it is cut --------------------------------------------------------------------------- */

#define R XENPV_BLKIF_READ
#define W XENPV_BLKIF_WRITE

static const struct {
    const char *what;
    bool write;
    uint32_t segments;
    uint64_t offset, bytes;
    struct sent sent[6]; /* a request of no bytes ends it */
} cuts[] = {
    {"a read of bytes takes whole sectors", false, 11, 100, 10, {{R, 0, false, 0, 512}}},
    {"a read across sectors", false, 11, 511, 2, {{R, 0, false, 0, 1024}}},
    {"a write of whole sectors reads nothing", true, 11, 512, 1024, {{W, 0, false, 512, 1024}}},
    {"a write of bytes", true, 11, 100, 10, {{R, 0, false, 0, 512}, {W, 0, false, 0, 512}}},
    {"a write that begins inside",
     true,
     11,
     1000,
     1560,
     {{R, 0, false, 512, 512}, {W, 0, false, 1024, 1536}, {W, 0, false, 512, 512}}},
    {"a write that ends inside",
     true,
     11,
     1024,
     600,
     {{W, 0, false, 1024, 512}, {R, 0, false, 1536, 512}, {W, 0, false, 1536, 512}}},
    {"11 pages", true, 11, 0, 45056, {{W, 0, false, 0, 45056}}},
    {"11 pages and a sector",
     true,
     11,
     0,
     45568,
     {{W, 0, false, 0, 45056}, {W, 0, false, 45056, 512}}},
    {"one page at a time",
     false,
     1,
     512,
     8192,
     {{R, 0, false, 512, 4096}, {R, 0, false, 4608, 4096}}},
    {"12 pages", true, 64, 0, 49152, {{W, 0, true, 0, 49152}}},
    {"11 pages are a plain request", true, 64, 0, 45056, {{W, 0, false, 0, 45056}}},
    {"64 pages and a sector",
     false,
     64,
     0,
     262656,
     {{R, 0, true, 0, 262144}, {R, 0, false, 262144, 512}}},
};

static void run_cut(size_t i)
{
    struct xenpv_iov iov = {all.data, cuts[i].bytes};
    uint32_t count = 0;

    print_message("  %s\n", cuts[i].what);
    up(&(struct rig_options){.segments = cuts[i].segments}, indirect);
    rig_fill(all.data, DISK, 1);
    assert_int_equal(cuts[i].write ? xenpv_blkq_writev(all.rig.q, cuts[i].offset, &iov, 1, NULL)
                                   : xenpv_blkq_readv(all.rig.q, cuts[i].offset, &iov, 1, NULL),
                     XENPV_OK);
    assert_int_equal(rig_wait(&all.rig), XENPV_OK);
    for (; count < 6 && cuts[i].sent[count].bytes; count++)
        assert_sent(count, &cuts[i].sent[count]);
    assert_int_equal(all.count, count);
    assert_memory_equal(all.plain.disk + cuts[i].offset, all.data, cuts[i].bytes);
    down();
}

static void test_requests_are_as_large_as_they_can_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cuts); i++)
        run_cut(i);
}

/* Elements of 1, 0 and odd many bytes, so that each limit of a chunk lies at every place of one. */
static void check_vector(size_t length, bool write)
{
    static struct xenpv_iov iov[2000];
    uint32_t count = 0;
    size_t bytes = 100000, at = 0;

    while (at < bytes) {
        size_t here = count % 7 == 3 ? 0 : length + count % 3;

        here = here < bytes - at ? here : bytes - at;
        iov[count++] = (struct xenpv_iov){here ? all.data + at : NULL, here};
        at += here;
    }
    assert_int_equal(write ? xenpv_blkq_writev(all.rig.q, 333, iov, count, NULL)
                           : xenpv_blkq_readv(all.rig.q, 333, iov, count, NULL),
                     XENPV_OK);
    assert_int_equal(rig_wait(&all.rig), XENPV_OK);
    assert_memory_equal(all.plain.disk + 333, all.data, bytes);
}

static void test_vectors_across_chunks(void **state)
{
    static const uint32_t segments[] = {1, 3, 11, 13};

    (void)state;
    for (size_t i = 0; i < COUNT(segments); i++) {
        up(&(struct rig_options){.segments = segments[i]}, indirect);
        all.plain.judge = NULL;
        for (size_t length = 61; length < 9000; length = length * 2 + 1) {
            rig_fill(all.data, DISK, (uint32_t)length);
            check_vector(length, true);
            rig_fill(all.plain.disk, DISK, (uint32_t)length + 1);
            check_vector(length, false);
        }
        down();
    }
}

/* ---- large requests that the backend does not know after all --------------------------------- */

static void test_indirect_not_supported(void **state)
{
    struct xenpv_blk_info info;
    struct xenpv_iov iov[3];
    struct xenpv_completion done[3];
    uint32_t ended = 0;

    (void)state;
    up(&(struct rig_options){.segments = 16}, indirect);
    xenpv_blk_info(all.rig.blk, &info);
    assert_int_equal(info.segments, 16);
    assert_true(info.features & XENPV_BLK_INDIRECT);
    all.verdict = XENPV_BLKIF_EOPNOTSUPP;
    /* Two requests each; all are under way when the first is refused. */
    for (size_t i = 0; i < 3; i++) {
        iov[i] = (struct xenpv_iov){all.data + i * 131072, 131072};
        assert_int_equal(xenpv_blkq_writev(all.rig.q, i * 131072, &iov[i], 1, &iov[i]), XENPV_OK);
    }
    for (int i = 0; i < 20; i++) {
        int count = xenpv_blkq_poll(all.rig.q, done, 3);

        for (int k = 0; k < count; k++)
            assert_int_equal(done[k].status, XENPV_ENOTSUP);
        ended += (uint32_t)count;
        rig_step(&all.rig);
    }
    assert_int_equal(ended, 3);
    assert_int_equal(all.plain.indirect, 6);
    xenpv_blk_info(all.rig.blk, &info);
    assert_int_equal(info.segments, 11);
    assert_false(info.features & XENPV_BLK_INDIRECT);
    /* From now on they are plain. */
    rig_fill(all.data, 131072, 3);
    assert_int_equal(rig_write(&all.rig, 0, all.data, 131072), XENPV_OK);
    assert_int_equal(rig_read(&all.rig, 0, all.found, 131072), XENPV_OK);
    assert_memory_equal(all.found, all.data, 131072);
    assert_int_equal(all.plain.indirect, 6);
    /* The next connection tries again. */
    rig_close(&all.rig);
    rig_connect(&all.rig);
    all.verdict = PLAIN_DO;
    assert_int_equal(rig_read(&all.rig, 0, all.found, 131072), XENPV_OK);
    assert_memory_equal(all.found, all.data, 131072);
    assert_int_equal(all.plain.indirect, 8);
    down();
}

/* ---- FE-30: an operation is what it is ------------------------------------------------------- */

enum call { READV, WRITEV, READ_SHARED, WRITE_SHARED, FLUSH, DISCARD, SECURE, CALLS };

static int call(enum call which, uint64_t offset, uint64_t bytes)
{
    static struct xenpv_iov iov;
    struct xenpv_blkq *q = all.rig.q;

    iov = (struct xenpv_iov){all.data, (size_t)bytes};
    switch (which) {
    case READV:
        return xenpv_blkq_readv(q, offset, &iov, 1, NULL);
    case WRITEV:
        return xenpv_blkq_writev(q, offset, &iov, 1, NULL);
    case READ_SHARED:
        return xenpv_blkq_read_shared(q, offset, 0, bytes, NULL);
    case WRITE_SHARED:
        return xenpv_blkq_write_shared(q, offset, 0, bytes, NULL);
    case FLUSH:
        return xenpv_blkq_flush(q, NULL);
    case DISCARD:
        return xenpv_blkq_discard(q, offset, bytes, 0, NULL);
    case SECURE:
        return xenpv_blkq_discard(q, offset, bytes, XENPV_DISCARD_SECURE, NULL);
    case CALLS:
        break;
    }
    return XENPV_EINVAL;
}

static void test_FE_30_operations_and_flags(void **state)
{
    static const struct sent expected[CALLS] = {
        [READV] = {R, 0, false, 4096, 512},
        [WRITEV] = {W, 0, false, 4096, 512},
        [READ_SHARED] = {R, 0, false, 4096, 512},
        [WRITE_SHARED] = {W, 0, false, 4096, 512},
        [FLUSH] = {XENPV_BLKIF_FLUSH, 0, false, 0, 0},
        [DISCARD] = {XENPV_BLKIF_DISCARD, 0, false, 4096, 512},
        [SECURE] = {XENPV_BLKIF_DISCARD, XENPV_BLKIF_DISCARD_SECURE, false, 4096, 512},
    };

    (void)state;
    for (int own = 0; own < 2; own++) {
        for (int which = 0; which < CALLS; which++) {
            up(&(struct rig_options){.shared_pages = 1, .own_memory = own}, plain_nothing);
            assert_int_equal(call((enum call)which, 4096, 512), XENPV_OK);
            assert_int_equal(rig_wait(&all.rig), XENPV_OK);
            assert_int_equal(all.count, 1);
            assert_sent(0, &expected[which]);
            down();
        }
    }
}

/* ---- what is refused without asking ---------------------------------------------------------- */

/* FE-18: a read-only disk is not written to, whatever the backend would make of it. */
static void test_FE_18_readonly(void **state)
{
    static const struct plain_key readonly[] = {
        {"sectors", "2048"},      {"info", "4"},           {"feature-flush-cache", "1"},
        {"feature-discard", "1"}, {"discard-secure", "1"}, {NULL, NULL}};
    static const int expected[CALLS] = {[WRITEV] = XENPV_EROFS,
                                        [WRITE_SHARED] = XENPV_EROFS,
                                        [DISCARD] = XENPV_EROFS,
                                        [SECURE] = XENPV_EROFS};
    struct xenpv_blk_info info;

    (void)state;
    up(&(struct rig_options){.shared_pages = 1}, plain_nothing);
    rig_close(&all.rig);
    all.plain.answer = readonly;
    rig_connect(&all.rig);
    xenpv_blk_info(all.rig.blk, &info);
    assert_true(info.readonly && info.can_flush && !info.can_discard);
    for (int which = 0; which < CALLS; which++) {
        assert_int_equal(call((enum call)which, 4096, 512), expected[which]);
        if (!expected[which])
            assert_int_equal(rig_wait(&all.rig), XENPV_OK);
    }
    /* Not even the short way, after it has been taken by a read. */
    assert_int_equal(call(WRITEV, 0, 4096), XENPV_EROFS);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.plain.asked[W] + all.plain.asked[XENPV_BLKIF_DISCARD], 0);
    down();
}

static void test_refused_vectors(void **state)
{
    static struct xenpv_iov iov[65537];
    struct xenpv_blkq *q;

    (void)state;
    up(&(struct rig_options){0}, plain_nothing);
    q = all.rig.q;
    for (size_t i = 0; i < 65537; i++)
        iov[i] = (struct xenpv_iov){all.data + i, 1};
    for (int write = 0; write < 2; write++) {
        int (*way)(struct xenpv_blkq *, uint64_t, const struct xenpv_iov *, uint32_t, void *) =
            write ? xenpv_blkq_writev : xenpv_blkq_readv;

        assert_int_equal(way(q, 0, iov, 65536, NULL), XENPV_EINVAL);
        assert_int_equal(way(q, 0, iov, 65537, NULL), XENPV_EINVAL);
        assert_int_equal(way(q, 0, iov, 0, NULL), XENPV_EINVAL);
        assert_int_equal(way(q, 0, NULL, 0, NULL), XENPV_EINVAL);
        assert_int_equal(way(q, 0, &(struct xenpv_iov){NULL, 0}, 1, NULL), XENPV_EINVAL);
        assert_int_equal(way(q, 0, iov, 65535, NULL), XENPV_OK);
        assert_int_equal(rig_wait(&all.rig), XENPV_OK);
    }
    down();
}

/* As many as config.operations, and no more; nothing goes before it is submitted or polled. */
static void test_room_for_operations(void **state)
{
    static const uint32_t rooms[] = {1, 2, 33, 4096};
    static struct xenpv_iov iov = {all.data, 512};

    (void)state;
    for (size_t i = 0; i < COUNT(rooms); i++) {
        struct xenpv_completion done[3];
        uint32_t ended = 0;
        int count;

        up(&(struct rig_options){.operations = rooms[i]}, plain_nothing);
        all.plain.judge = NULL;
        for (uint32_t k = 0; k < rooms[i]; k++) {
            assert_int_equal(xenpv_blkq_pending(all.rig.q), k);
            assert_int_equal(xenpv_blkq_readv(all.rig.q, 0, &iov, 1, NULL), XENPV_OK);
        }
        assert_int_equal(xenpv_blkq_readv(all.rig.q, 0, &iov, 1, NULL), XENPV_EFULL);
        assert_int_equal(xenpv_blkq_flush(all.rig.q, NULL), XENPV_EFULL);
        assert_int_equal(xenpv_blkq_discard(all.rig.q, 0, 512, 0, NULL), XENPV_EFULL);
        assert_int_equal(xenpv_blkq_discard(all.rig.q, 1, 1, 0, NULL), XENPV_EFULL);
        rig_rest(&all.rig);
        assert_int_equal(all.plain.asked[R], 0);
        xenpv_blkq_submit(all.rig.q);
        rig_rest(&all.rig);
        assert_true(all.plain.asked[R] > 0);
        assert_int_equal(xenpv_blkq_readv(all.rig.q, 0, &iov, 1, NULL), XENPV_EFULL);
        assert_int_equal(xenpv_blkq_poll(all.rig.q, done, 0), 0);
        while (ended < rooms[i]) {
            count = xenpv_blkq_poll(all.rig.q, done, 3);
            assert_in_range(count, 0, 3);
            ended += (uint32_t)count;
            assert_int_equal(xenpv_blkq_pending(all.rig.q), rooms[i] - ended);
            rig_step(&all.rig);
        }
        assert_int_equal(rig_read(&all.rig, 0, all.found, 512), XENPV_OK);
        down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_as_large_as_they_can_be),
        cmocka_unit_test(test_vectors_across_chunks),
        cmocka_unit_test(test_indirect_not_supported),
        cmocka_unit_test(test_FE_30_operations_and_flags),
        cmocka_unit_test(test_FE_18_readonly),
        cmocka_unit_test(test_refused_vectors),
        cmocka_unit_test(test_room_for_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
