/* SPDX-License-Identifier: MIT */
/*
 * What a backend can see. Everything of the frontend's is filled with marks beforehand, its memory
 * with one, what surrounds the caller's data with another; the backend maps every page that it was
 * granted, and looks at every byte at each request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    PAGE = 4096,
    MARK = 0xa5,     /* blk_rig.c: of the device's memory */
    SECRET = 0xee,   /* of the caller's, beside what is written */
    PAYLOAD = 0x5a,  /* what is written */
    ON_DISK = 0x77,  /* what is read */
    POOL = 40,       /* pages */
    MOST_PAGES = 64, /* that are looked at */
};

static struct seen {
    struct rig rig;
    struct plain plain;
    uint32_t ring_pages, pages; /* that are granted: rings first, then the pool */
    struct xenpv_map_region map[MOST_PAGES];
    struct xenpv_map_entry entry[MOST_PAGES];
    bool was_index[MOST_PAGES]; /* it held segments: the backend has seen them */
    uint32_t looked, indexes;
    uint8_t data[PAGE * 40];
} seen;

static const uint8_t *page(uint32_t number)
{
    return seen.map[number].memory;
}

/* ---- looking --------------------------------------------------------------------------------- */

static void assert_zero(const uint8_t *bytes, uint32_t begin, uint32_t end)
{
    for (uint32_t i = begin; i < end; i++)
        assert_int_equal(bytes[i], 0);
}

/* The padding of a request, by blkif.h: `wide` where 64-bit fields are aligned to 8 bytes. */
static void look_at_padding(const uint8_t *slot, const struct plain_request *request, bool wide)
{
    uint32_t body = wide ? 24 : 20; /* where segments, or an indirect request's handle, begin */

    assert_zero(slot, 4, wide ? 8 : 4);
    if (request->indirect) {
        assert_zero(slot, body, body + 4);
        assert_zero(slot, body + 4 + 32, 64);
        return;
    }
    assert_zero(slot, 2, 4);
    for (uint32_t i = 0; i < request->count; i++)
        assert_zero(slot, body + i * 8 + 6, body + i * 8 + 8);
}

static void look_at_slot(struct plain *plain, const struct plain_request *request)
{
    const struct xenpv_ring *ring = &plain->queue[request->queue].ring;
    size_t index = (ring->cons - 1) & (ring->count - 1);

    look_at_padding(ring->slots + index * ring->slot_size, request, plain->abi != XENPV_ABI_X86_32);
    assert_zero(page(0), 16, XENPV_RING_HEADER);
}

/* A page of an indirect request: its segments, each with two bytes of padding, and nothing else. */
static void look_at_index(const uint8_t *index, uint32_t count, bool trusted)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(index[i * 8 + 6] | index[i * 8 + 7], 0);
    for (uint32_t i = count * 8; i < PAGE && !trusted; i++)
        assert_int_equal(index[i], 0);
    seen.indexes++;
}

static bool is_index(const struct plain_request *request, uint32_t ref)
{
    return request->indirect && request->raw.indirect_ref[0] == ref;
}

static bool is_data(const struct plain_request *request, uint32_t ref)
{
    for (uint32_t i = 0; i < request->count; i++) {
        if (request->seg[i].ref == ref)
            return true;
    }
    return false;
}

static void look_at_data(uint32_t number)
{
    for (uint32_t at = 0; at < PAGE; at++) {
        uint8_t byte = page(number)[at];

        if (byte != 0 && byte != PAYLOAD && byte != ON_DISK)
            fail_msg("byte %u of page %u is %02x", at, number, byte);
    }
}

static int look(struct plain *plain, const struct plain_request *request)
{
    bool trusted = plain->ctx != NULL;

    look_at_slot(plain, request);
    for (uint32_t i = seen.ring_pages; i < seen.pages; i++) {
        uint32_t ref = seen.entry[i].ref;

        if (is_index(request, ref)) {
            look_at_index(page(i), request->count, trusted);
            seen.was_index[i] = true;
        } else if (!seen.was_index[i] || (!trusted && is_data(request, ref))) {
            look_at_data(i);
            seen.was_index[i] = false;
        }
    }
    seen.looked++;
    return PLAIN_DO;
}

/* ---- coming and going ------------------------------------------------------------------------ */

static const struct plain_key indirect[] = {
    {"feature-max-indirect-segments", "256"}, {"max-ring-page-order", "1"}, {NULL, NULL}};
static const struct plain_key everything[] = {
    {"sectors", "2048"},     {"feature-flush-cache", "1"}, {"feature-discard", "1"},
    {"discard-secure", "1"}, {"feature-persistent", "1"},  {NULL, NULL}};

/* The pages of one share are consecutive, and so are their references, on a fresh mock. */
static void map_all(uint32_t buffer_pages)
{
    uint32_t first;

    seen.ring_pages = seen.plain.pages;
    seen.pages = seen.ring_pages + buffer_pages;
    assert_in_range(seen.pages, 1, MOST_PAGES);
    first = (uint32_t)rig_get(&seen.rig, RIG_FRONTEND_PATH,
                              seen.ring_pages > 1 ? "ring-ref0" : "ring-ref");
    for (uint32_t i = 0; i < seen.pages; i++)
        assert_int_equal(plain_map(&seen.plain, &seen.map[i], &seen.entry[i], first + i), XENPV_OK);
}

static void up(const struct rig_options *options)
{
    struct rig_options mine = *options;

    mine.no_backend = true;
    mine.buffer_pages = mine.buffer_pages ? mine.buffer_pages : POOL;
    seen.looked = seen.indexes = 0;
    memset(seen.was_index, 0, sizeof(seen.was_index));
    memset(seen.data, SECRET, sizeof(seen.data));
    rig_up(&seen.rig, &mine);
    plain_up(&seen.plain, &seen.rig);
    memset(seen.plain.disk, ON_DISK, (size_t)seen.plain.bytes);
    seen.plain.offer = indirect;
    seen.plain.answer = everything;
    rig_connect(&seen.rig);
    map_all(mine.buffer_pages);
    /* GT-08: rings and pool, before anything was sent. */
    for (uint32_t i = 0; i < seen.pages; i++) {
        for (uint32_t at = i ? 0 : 16; at < PAGE; at++)
            assert_int_equal(page(i)[at], 0);
    }
    seen.plain.judge = look;
    seen.plain.ctx = options->untrusted ? NULL : &seen;
}

static void down(void)
{
    const struct xenpv_port *port = &seen.rig.back_port;

    assert_true(seen.looked > 0);
    for (uint32_t i = 0; i < seen.pages; i++)
        port->map->unmap(port->ctx, &seen.map[i]);
    rig_close(&seen.rig);
    plain_down(&seen.plain);
    rig_down(&seen.rig);
}

/* Waits for an operation. FE-16: then nothing is on the ring, and the backend fills all its slots;
 * of that, too, no byte comes back. */
static void end_of_operation(void)
{
    const struct xenpv_ring *ring = &seen.plain.queue[0].ring;

    assert_int_equal(rig_wait(&seen.rig), XENPV_OK);
    memset(ring->slots, 0xcc, (size_t)ring->count * ring->slot_size);
}

/* Writes so many bytes of payload, that lie among secrets. */
static void write_among_secrets(uint64_t offset, size_t bytes)
{
    struct xenpv_iov iov = {seen.data + 100, bytes};

    memset(iov.base, PAYLOAD, bytes);
    assert_int_equal(xenpv_blkq_writev(seen.rig.q, offset, &iov, 1, NULL), XENPV_OK);
    end_of_operation();
    memset(iov.base, SECRET, bytes);
}

static void read_among_secrets(uint64_t offset, size_t bytes)
{
    struct xenpv_iov iov = {seen.data + 100, bytes};

    assert_int_equal(xenpv_blkq_readv(seen.rig.q, offset, &iov, 1, NULL), XENPV_OK);
    end_of_operation();
    memset(iov.base, SECRET, bytes);
}

/* ---- what there is to see -------------------------------------------------------------------- */

/* GT-09: a payload of every length, at several places in sectors and pages. */
static void test_GT_09_every_length_of_payload(void **state)
{
    static const uint64_t offsets[] = {0, 1, 256, 511};

    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        up(&(struct rig_options){.untrusted = !trusted, .buffer_pages = 11});
        for (size_t bytes = 1; bytes < PAGE; bytes += bytes % 512 < 4 || bytes % 512 > 508 ? 1 : 29)
            write_among_secrets(offsets[bytes % COUNT(offsets)], bytes);
        down();
    }
}

/* GT-09: at every place, of a few lengths. */
static void test_GT_09_every_place_of_payload(void **state)
{
    static const size_t lengths[] = {1, 511, 512, 513, 4095};

    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        up(&(struct rig_options){.untrusted = !trusted, .buffer_pages = 11});
        for (uint64_t offset = 0; offset < PAGE; offset += offset % 512 < 3 ? 1 : 127)
            write_among_secrets(offset, lengths[offset % COUNT(lengths)]);
        down();
    }
}

/* FE-16, GT-08: every operation there is, in every layout, plain and large, on a ring of two pages
 * that goes round. */
static void check_operations(enum xenpv_abi abi, bool untrusted)
{
    up(&(struct rig_options){.untrusted = untrusted, .abi = abi, .ring_order = 1, .segments = 32});
    assert_int_equal(seen.plain.pages, 2);
    for (int i = 0; i < 20; i++) {
        write_among_secrets(0, 512);
        write_among_secrets(77, 3000);
        write_among_secrets(4096, 5 * PAGE);
        read_among_secrets(300, 20 * PAGE);
        write_among_secrets(8192, 30 * PAGE);
        read_among_secrets(8192, 11 * PAGE);
        assert_int_equal(xenpv_blkq_flush(seen.rig.q, NULL), XENPV_OK);
        end_of_operation();
        assert_int_equal(xenpv_blkq_discard(seen.rig.q, 4096, 8192, i & 1, NULL), XENPV_OK);
        end_of_operation();
        write_among_secrets(512, 13 * PAGE + 13);
    }
    assert_true(seen.indexes > 40);
    down();
}

static void test_FE_16_GT_08_every_operation(void **state)
{
    (void)state;
    for (int abi = 0; abi < XENPV_ABI_COUNT; abi++) {
        check_operations((enum xenpv_abi)abi, true);
        check_operations((enum xenpv_abi)abi, false);
    }
}

/*
 * What has been in a page before: where the backend is not trusted, nothing of it is there at the
 * next request. A trusted one finds what it was once shown.
 */
static uint32_t left_behind; /* bytes of the page, beyond the segment, that are not zero */

static int look_behind(struct plain *plain, const struct plain_request *request)
{
    uint8_t copy[PAGE];

    assert_int_equal(plain_copy(plain, request->seg[0].ref, 0, copy, PAGE, false), XENPV_OK);
    for (uint32_t i = (request->seg[0].last + 1u) * 512; i < PAGE; i++)
        left_behind += copy[i] != 0;
    return PLAIN_DO;
}

static void test_GT_08_nothing_of_before(void **state)
{
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        up(&(struct rig_options){.untrusted = !trusted});
        write_among_secrets(0, PAGE);
        read_among_secrets(0, PAGE);
        seen.plain.judge = look_behind;
        left_behind = 0;
        write_among_secrets(0, 512);
        read_among_secrets(0, 512);
        write_among_secrets(512, 100);
        assert_int_equal(left_behind != 0, trusted);
        down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_GT_09_every_length_of_payload),
        cmocka_unit_test(test_GT_09_every_place_of_payload),
        cmocka_unit_test(test_FE_16_GT_08_every_operation),
        cmocka_unit_test(test_GT_08_nothing_of_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
