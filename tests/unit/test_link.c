/* SPDX-License-Identifier: MIT */
/* The links of a network backend: in memory, of files, of files. */
#include "netback_rig.h"

#include <unistd.h>

static struct strict_heap heap;
static struct xenpv_allocator allocator;
static uint8_t bytes[XENPV_LINK_FRAME_MAX], room[XENPV_LINK_FRAME_MAX];

static int set_up(void **state)
{
    (void)state;
    heap = (struct strict_heap){0};
    allocator = strict_allocator(&heap);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return heap.blocks != 0;
}

static int put(struct xenpv_link *link, uint32_t count, uint32_t seed)
{
    nb_fill(bytes, count, seed);
    return link->send(link->ctx, &(struct xenpv_link_frame){.data = bytes, .bytes = count});
}

/* Takes the next frame; its bytes, 0: there is none. */
static uint32_t take(struct xenpv_link *link, struct xenpv_link_frame *frame)
{
    *frame = (struct xenpv_link_frame){.data = room};
    return link->receive(link->ctx, frame) == XENPV_OK ? frame->bytes : 0;
}

static void expect(struct xenpv_link *link, uint32_t count, uint32_t seed)
{
    struct xenpv_link_frame frame;

    assert_int_equal(take(link, &frame), count);
    nb_fill(bytes, count, seed);
    assert_memory_equal(frame.data, bytes, count);
}

/* ---- in memory ------------------------------------------------------------------------------- */

/* Frames of all sizes, many times around the memory, in order; what does not fit is refused. */
static void test_loopback(void **state)
{
    struct xenpv_link link;
    struct xenpv_link_frame frame;
    uint32_t given = 0, taken = 0, refused = 0;

    (void)state;
    assert_int_equal(xenpv_link_loopback(&allocator, 262144, &link), XENPV_OK);
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t count = i % 9 ? 14 + i * 7919 % 3000 : 14 + i * 7919 % 65522;

        while (put(&link, count, i) != XENPV_OK) {
            refused++;
            taken += take(&link, &frame);
        }
        given += count;
    }
    assert_true(refused > 100);
    assert_true(given > 8 * 262144);
    while (take(&link, &frame))
        taken += frame.bytes;
    assert_int_equal(given, taken);
    /* Whatever the place, an empty queue takes the largest frame. */
    for (uint32_t i = 0; i < 500; i++) {
        assert_int_equal(put(&link, 14 + i * 13, i), XENPV_OK);
        expect(&link, 14 + i * 13, i);
        assert_int_equal(put(&link, 65535, i), XENPV_OK);
        expect(&link, 65535, i);
    }
    link.close(link.ctx);
}

static void test_full(void **state)
{
    struct xenpv_link link;
    uint32_t count = 0;

    (void)state;
    assert_int_equal(xenpv_link_loopback(&allocator, 262144, &link), XENPV_OK);
    while (put(&link, 1514, count) == XENPV_OK)
        count++;
    assert_in_range(count, 150, 174);
    assert_int_equal(put(&link, 1514, 0), XENPV_EFULL);
    for (uint32_t i = 0; i < count; i++)
        expect(&link, 1514, i);
    assert_int_equal(take(&link, &(struct xenpv_link_frame){0}), 0);
    link.close(link.ctx);
}

/* What is told of a frame goes with it; each direction has its own. */
static void test_pair(void **state)
{
    struct xenpv_link_frame frame = {.data = bytes,
                                     .bytes = 60,
                                     .checksum = XENPV_LINK_BLANK,
                                     .gso_type = 2,
                                     .gso_size = 1400,
                                     .hashed = true,
                                     .hash_type = 3,
                                     .hash_algorithm = 1,
                                     .hash = 0x12345678};
    struct xenpv_link_frame got;
    struct xenpv_link ends[2];

    (void)state;
    assert_int_equal(xenpv_link_pair(&allocator, 262144, ends), XENPV_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(ends[i].send(ends[i].ctx, &frame), XENPV_OK);
        assert_int_equal(take(&ends[i], &got), 0);
        assert_int_equal(take(&ends[1 - i], &got), 60);
        assert_int_equal(got.checksum, XENPV_LINK_BLANK);
        assert_int_equal(got.gso_type, 2);
        assert_int_equal(got.gso_size, 1400);
        assert_true(got.hashed && got.hash_type == 3 && got.hash_algorithm == 1);
        assert_int_equal(got.hash, 0x12345678);
    }
    ends[0].close(ends[0].ctx);
    assert_true(heap.blocks > 0);
    ends[1].close(ends[1].ctx);
}

static void test_refused(void **state)
{
    static const uint32_t sizes[] = {0, 131072, 262145, 300000};
    struct xenpv_link ends[2];

    (void)state;
    for (uint32_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(xenpv_link_loopback(&allocator, sizes[i], ends), XENPV_EINVAL);
        assert_int_equal(xenpv_link_pair(&allocator, sizes[i], ends), XENPV_EINVAL);
    }
    for (uint32_t i = 1; i <= 3; i++) {
        heap.fail_at = heap.allocs + i;
        assert_int_equal(xenpv_link_pair(&allocator, 262144, ends), XENPV_ENOMEM);
        assert_int_equal(heap.blocks, 0);
    }
    assert_int_equal(xenpv_link_null(13, ends), XENPV_EINVAL);
    assert_int_equal(xenpv_link_null(65536, ends), XENPV_EINVAL);
}

static void test_null(void **state)
{
    struct xenpv_link_frame frame = {.data = room};
    struct xenpv_link link;

    (void)state;
    assert_int_equal(xenpv_link_null(0, &link), XENPV_OK);
    assert_null(link.receive);
    assert_null(link.send);
    assert_int_equal(xenpv_link_null(1514, &link), XENPV_OK);
    assert_int_equal(link.receive(link.ctx, &frame), XENPV_OK);
    assert_null(frame.data);
    assert_int_equal(frame.bytes, 1514);
    link.close(link.ctx);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char path[64];

static void make_path(void)
{
    int fd;

    snprintf(path, sizeof(path), "/tmp/xenpv-link-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

/* What was captured, both ways, is replayed, in order. */
static void test_capture_and_replay(void **state)
{
    static const uint32_t sizes[] = {14, 60, 1514, 9014, 65535};
    struct xenpv_link loop, link;
    struct xenpv_link_frame frame;

    (void)state;
    make_path();
    assert_int_equal(xenpv_link_loopback(&allocator, 262144, &loop), XENPV_OK);
    assert_int_equal(xenpv_link_capture(&allocator, path, &loop, &link), XENPV_OK);
    for (uint32_t i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(put(&link, sizes[i], i), XENPV_OK);
        expect(&link, sizes[i], i);
    }
    assert_int_equal(take(&link, &frame), 0);
    assert_false(xenpv_link_capture_failed(&link));
    link.close(link.ctx);
    assert_int_equal(xenpv_link_replay(&allocator, path, &link), XENPV_OK);
    for (uint32_t i = 0; i < COUNT(sizes); i++) {
        expect(&link, sizes[i], i);
        expect(&link, sizes[i], i);
        assert_int_equal(put(&link, 60, 1), XENPV_OK);
    }
    assert_int_equal(take(&link, &frame), 0);
    assert_int_equal(take(&link, &frame), 0);
    link.close(link.ctx);
    unlink(path);
}

/* A frame that its link has refused was not on it. */
static void test_capture_of_what_was_taken(void **state)
{
    struct xenpv_link loop, link;
    struct xenpv_link_frame frame;
    uint32_t taken = 0, replayed = 0;

    (void)state;
    make_path();
    assert_int_equal(xenpv_link_loopback(&allocator, 262144, &loop), XENPV_OK);
    assert_int_equal(xenpv_link_capture(&allocator, path, &loop, &link), XENPV_OK);
    for (uint32_t i = 0; i < 10; i++)
        taken += put(&link, 60000, i) == XENPV_OK;
    assert_in_range(taken, 1, 9);
    link.close(link.ctx);
    assert_int_equal(xenpv_link_replay(&allocator, path, &link), XENPV_OK);
    while (take(&link, &frame))
        replayed++;
    assert_int_equal(replayed, taken);
    link.close(link.ctx);
    unlink(path);
}

/* A disk that is full: frames go on, and it is told. */
static void test_capture_full(void **state)
{
    struct xenpv_link loop, link;

    (void)state;
    assert_int_equal(xenpv_link_loopback(&allocator, 262144, &loop), XENPV_OK);
    assert_int_equal(xenpv_link_capture(&allocator, "/dev/full", &loop, &link), XENPV_OK);
    assert_int_equal(put(&link, 1514, 3), XENPV_OK);
    assert_true(xenpv_link_capture_failed(&link));
    expect(&link, 1514, 3);
    link.close(link.ctx);
}

struct file {
    const char *what;
    const void *content;
    uint32_t length;
    int error;
    uint32_t frames, left_out;
    bool broken;
};

#define HEAD "\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\377\377\0\0"

/* Files that are none, of another kind of link, and frames that are not whole. */
static void test_odd_files(void **state)
{
    static const struct file files[] = {
        {"empty", "", 0, XENPV_EINVAL, 0, 0, false},
        {"text", "this is no file of frames at all", 32, XENPV_EINVAL, 0, 0, false},
        {"no Ethernet", HEAD "\x65\0\0\0", 24, XENPV_EINVAL, 0, 0, false},
        {"no frame", HEAD "\1\0\0\0", 24, XENPV_OK, 0, 0, false},
        {"14 bytes",
         HEAD "\1\0\0\0"
              "\0\0\0\0\0\0\0\0\x0e\0\0\0\x0e\0\0\0"
              "ddddddssssssTT",
         54, XENPV_OK, 1, 0, false},
        {"13 bytes",
         HEAD "\1\0\0\0"
              "\0\0\0\0\0\0\0\0\x0d\0\0\0\x0d\0\0\0"
              "ddddddssssssT",
         53, XENPV_OK, 0, 1, false},
        {"14 bytes of 15",
         HEAD "\1\0\0\0"
              "\0\0\0\0\0\0\0\0\x0e\0\0\0\x0f\0\0\0"
              "ddddddssssssTT",
         54, XENPV_OK, 0, 1, false},
        {"nanoseconds",
         "\x4d\x3c\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\377\377\0\0\1\0\0\0"
         "\0\0\0\0\xff\xc9\x9a\x3b\x0e\0\0\0\x0e\0\0\0"
         "ddddddssssssTT",
         54, XENPV_OK, 1, 0, false},
        {"the other byte order",
         "\xa1\xb2\xc3\xd4\0\2\0\4\0\0\0\0\0\0\0\0\0\0\377\377\0\0\0\1"
         "\0\0\0\0\0\0\0\0\0\0\0\x0e\0\0\0\x0e"
         "ddddddssssssTT",
         54, XENPV_OK, 1, 0, false},
        {"pcapng",
         "\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\1\0\0\0\377\377\377\377\377\377\377\377"
         "\x1c\0\0\0"
         "\1\0\0\0\x14\0\0\0\1\0\0\0\377\377\0\0\x14\0\0\0"
         "\6\0\0\0\x30\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0e\0\0\0\x0e\0\0\0"
         "ddddddssssssTT\0\0\x30\0\0\0",
         96, XENPV_OK, 1, 0, false},
        {"more than there can be, then a frame",
         HEAD "\1\0\0\0"
              "\0\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377"
              "\0\0\0\0\0\0\0\0\x0e\0\0\0\x0e\0\0\0"
              "ddddddssssssTT",
         70, XENPV_OK, 0, 0, true},
        {"more bytes than the frame had",
         HEAD "\1\0\0\0"
              "\0\0\0\0\0\0\0\0\x10\0\0\0\x0e\0\0\0"
              "ddddddssssssTT..",
         56, XENPV_OK, 1, 0, false},
        {"the file ends in a header",
         HEAD "\1\0\0\0"
              "\0\0\0\0\0\0\0",
         31, XENPV_OK, 0, 0, true},
        {"the file ends in a frame",
         HEAD "\1\0\0\0"
              "\0\0\0\0\0\0\0\0\x0e\0\0\0\x0e\0\0\0"
              "dddddd",
         46, XENPV_OK, 0, 0, true},
    };
    struct xenpv_link link;
    struct xenpv_link_frame frame;

    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct xenpv_link_omission omitted;
        uint32_t frames = 0;
        FILE *file;
        int error;

        make_path();
        file = fopen(path, "wb");
        assert_non_null(file);
        fwrite(files[i].content, 1, files[i].length, file);
        fclose(file);
        error = xenpv_link_replay(&allocator, path, &link);
        if (error != files[i].error)
            fail_msg("%s: %s", files[i].what, xenpv_error_name(error));
        if (!error) {
            while (take(&link, &frame))
                frames++;
            if (frames != files[i].frames)
                fail_msg("%s: %u frames", files[i].what, frames);
            omitted = xenpv_link_replay_omitted(&link);
            if (omitted.frames != files[i].left_out || omitted.broken != files[i].broken)
                fail_msg("%s: %u left out, %s", files[i].what, (unsigned)omitted.frames,
                         omitted.broken ? "broken" : "not broken");
            link.close(link.ctx);
        }
        unlink(path);
    }
    assert_int_equal(xenpv_link_replay(&allocator, "/nowhere/at/all", &link), XENPV_ENOENT);
    assert_int_equal(xenpv_link_capture(&allocator, "/nowhere/at/all", &link, &link), XENPV_ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A frame that is larger than a link's may be is left out: there is no room for it. */
static void test_larger_than_frames(void **state)
{
    static const uint32_t sizes[] = {65536, 100000, 65535, 14};
    static uint8_t data[100000];
    struct xenpv_link link;
    struct xenpv_link_frame frame;
    FILE *file;

    (void)state;
    make_path();
    file = fopen(path, "wb");
    assert_non_null(file);
    fwrite("\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0\1\0\0\0", 1, 24, file);
    for (uint32_t i = 0; i < COUNT(sizes); i++) {
        uint32_t header[4] = {0, 0, sizes[i], sizes[i]};

        fwrite(header, sizeof(header), 1, file);
        fwrite(data, 1, sizes[i], file);
    }
    fclose(file);
    assert_int_equal(xenpv_link_replay(&allocator, path, &link), XENPV_OK);
    assert_int_equal(take(&link, &frame), 65535);
    assert_int_equal(take(&link, &frame), 14);
    assert_int_equal(take(&link, &frame), 0);
    link.close(link.ctx);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_loopback),
        TEST(test_full),
        TEST(test_pair),
        TEST(test_refused),
        TEST(test_null),
        TEST(test_capture_and_replay),
        TEST(test_capture_of_what_was_taken),
        TEST(test_capture_full),
        TEST(test_odd_files),
        TEST(test_larger_than_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
