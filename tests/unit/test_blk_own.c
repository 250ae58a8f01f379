/* SPDX-License-Identifier: MIT */
/*
 * The caller's own memory, granted to the backend request by request: what it can see and write,
 * when the memory is the caller's again, and what becomes of memory that it keeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PAGE = 4096, ARENA = 1 + 352 /* ring and pool */ };

static const struct plain_key indirect[] = {{"feature-max-indirect-segments", "256"}, {NULL, NULL}};

struct own {
    struct rig rig;
    struct plain plain;
    uint8_t *memory; /* 256 pages of the caller's */
    uint32_t most;   /* pages granted beside the arena, at most */
    /* For judges. */
    struct xenpv_map_region map; /* a page that the backend keeps mapped ... */
    struct xenpv_map_entry entry;
    uint32_t seen; /* requests */
    uint32_t refs[3], ids[3];
};

enum { MEMORY = 256 * PAGE };

static uint32_t granted(const struct rig *rig)
{
    struct xenpv_mock_ledger ledger;

    assert_int_equal(xenpv_mock_ledger(rig->mock, 1, &ledger), XENPV_OK);
    return ledger.grants;
}

static int note_grants(struct plain *plain, const struct plain_request *request)
{
    struct own *own = plain->ctx;
    uint32_t now = granted(plain->rig) - ARENA;

    (void)request;
    if (now > own->most)
        own->most = now;
    return PLAIN_DO;
}

static struct own *up(const struct rig_options *options)
{
    struct rig_options mine = *options;
    struct own *own = calloc(1, sizeof(*own));

    mine.no_backend = mine.own_memory = true;
    own->memory = aligned_alloc(PAGE, MEMORY);
    rig_fill(own->memory, MEMORY, 5);
    rig_up(&own->rig, &mine);
    plain_up(&own->plain, &own->rig);
    own->plain.offer = indirect;
    own->plain.ctx = own;
    own->plain.judge = note_grants;
    return own;
}

static void down(struct own *own)
{
    plain_down(&own->plain);
    rig_down(&own->rig);
    free(own->memory);
    free(own);
}

/* ---- when it is used ------------------------------------------------------------------------- */

struct element {
    size_t at, length; /* in the caller's memory */
};

static const struct {
    const char *what;
    uint32_t sector_size, count;
    struct element element[3];
    uint64_t offset;
    uint32_t pages; /* granted at once for it; 0: it was copied */
    bool untrusted, no_cap;
} uses[] = {
    {"a page", 512, 1, {{0, 4096}}, 0, 1, false, false},
    {"a sector", 512, 1, {{512, 512}}, 512, 1, false, false},
    {"a sector at the end of a page", 512, 1, {{3584, 512}}, 512, 1, false, false},
    {"parts of two pages", 512, 1, {{3584, 1024}}, 512, 2, false, false},
    {"11 pages", 512, 1, {{0, 45056}}, 0, 11, false, false},
    {"12 pages", 512, 1, {{0, 49152}}, 0, 12, false, false},
    {"12 pages, two of them in part", 512, 1, {{512, 45056}}, 0, 12, false, false},
    {"64 pages", 512, 1, {{0, 262144}}, 0, 64, false, false},
    {"65 pages are two requests", 512, 1, {{0, 266240}}, 0, 65, false, false},
    {"elements", 512, 3, {{0, 512}, {1024, 512}, {8192, 8192}}, 0, 4, false, false},
    {"an empty element", 512, 3, {{0, 512}, {77, 0}, {8192, 512}}, 0, 2, false, false},
    {"memory not aligned", 512, 1, {{1, 512}}, 0, 0, false, false},
    {"memory not aligned to sectors", 512, 1, {{256, 512}}, 0, 0, false, false},
    {"a length not aligned", 512, 1, {{0, 513}}, 0, 0, false, false},
    {"lengths of elements not aligned", 512, 2, {{0, 100}, {512, 412}}, 0, 0, false, false},
    {"an offset not aligned", 512, 1, {{0, 512}}, 1, 0, false, false},
    {"a large sector in small parts", 4096, 2, {{0, 512}, {1024, 3584}}, 0, 3, false, false},
    {"large sectors in sectors of 512", 4096, 1, {{512, 8192}}, 4096, 3, false, false},
    {"a large sector's part", 4096, 1, {{0, 512}}, 0, 0, false, false},
    {"the backend is not trusted", 512, 1, {{0, 4096}}, 0, 0, true, false},
    {"the port cannot", 512, 1, {{0, 4096}}, 0, 0, false, true},
};

static const struct plain_key large_sectors[] = {
    {"sectors", "2048"}, {"sector-size", "4096"}, {NULL, NULL}};

/* Writes from the vector, and reads it back into the memory's other half. */
static void use(struct own *own, size_t i)
{
    uint8_t *other = own->memory + MEMORY / 2, *expected = malloc(MEMORY);
    struct xenpv_iov from[3], to[3];
    uint64_t at = uses[i].offset;
    const uint32_t count = uses[i].count;

    memcpy(expected, own->memory, MEMORY);
    for (uint32_t k = 0; k < count; k++) {
        const struct element *element = &uses[i].element[k];

        from[k] = (struct xenpv_iov){own->memory + element->at, element->length};
        to[k] = (struct xenpv_iov){other + element->at, element->length};
        memcpy(expected + MEMORY / 2 + element->at, from[k].base, element->length);
    }
    assert_int_equal(xenpv_blkq_writev(own->rig.q, at, from, count, NULL), XENPV_OK);
    assert_int_equal(rig_wait(&own->rig), XENPV_OK);
    assert_int_equal(own->most, uses[i].pages);
    for (uint32_t k = 0; k < count; k++) {
        assert_memory_equal(own->plain.disk + at, from[k].base, from[k].length);
        at += from[k].length;
    }
    own->most = 0;
    assert_int_equal(xenpv_blkq_readv(own->rig.q, uses[i].offset, to, count, NULL), XENPV_OK);
    assert_int_equal(rig_wait(&own->rig), XENPV_OK);
    assert_int_equal(own->most, uses[i].pages);
    assert_int_equal(granted(&own->rig), ARENA);
    assert_memory_equal(own->memory, expected, MEMORY);
    free(expected);
}

static void test_used_where_it_can_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(uses); i++) {
        struct own *own = up(&(struct rig_options){.untrusted = uses[i].untrusted});

        print_message("  %s\n", uses[i].what);
        if (uses[i].sector_size == 4096)
            own->plain.answer = large_sectors;
        if (uses[i].no_cap)
            own->rig.front_port.caps &= ~(uint32_t)XENPV_CAP_GRANT_OWN;
        rig_connect(&own->rig);
        /* Where it cannot be used at all, persistent grants are. */
        assert_int_equal(rig_get(&own->rig, RIG_FRONTEND_PATH, "feature-persistent"),
                         uses[i].untrusted || uses[i].no_cap ? 1 : -1);
        use(own, i);
        rig_close(&own->rig);
        down(own);
    }
}

/* ---- what the backend can reach -------------------------------------------------------------- */

/* Reads the whole page of a request's first segment, and tries to write into it. */
static int look_at_page(struct plain *plain, const struct plain_request *request)
{
    struct own *own = plain->ctx;
    bool write = request->op == XENPV_BLKIF_WRITE;
    uint8_t page[PAGE], byte = 0;

    assert_int_equal(plain_copy(plain, request->seg[0].ref, 0, page, PAGE, false), XENPV_OK);
    assert_memory_equal(page, own->memory, PAGE);
    assert_int_equal(plain_copy(plain, request->seg[0].ref, 0, &byte, 1, true),
                     write ? XENPV_EACCES : XENPV_OK);
    own->seen++;
    own->refs[0] = request->seg[0].ref;
    return PLAIN_DO;
}

/* FE-30: what is written may be read, what is read may be written, and only until it has ended; the
 * whole page is seen, as the header says. */
static void test_FE_30_grants_point_one_way(void **state)
{
    struct own *own = up(&(struct rig_options){0});
    struct xenpv_iov iov = {own->memory + 512, 1024};
    uint8_t byte;

    (void)state;
    own->plain.judge = look_at_page;
    rig_connect(&own->rig);
    for (int write = 0; write < 2; write++) {
        assert_int_equal(write ? xenpv_blkq_writev(own->rig.q, 0, &iov, 1, NULL)
                               : xenpv_blkq_readv(own->rig.q, 0, &iov, 1, NULL),
                         XENPV_OK);
        assert_int_equal(rig_wait(&own->rig), XENPV_OK);
        assert_int_equal(own->seen, 1 + write);
        assert_int_not_equal(plain_copy(&own->plain, own->refs[0], 0, &byte, 1, false), XENPV_OK);
    }
    rig_close(&own->rig);
    down(own);
}

/* Where there is no room in the grant table for a request, it is copied. */
static void test_no_grant_free(void **state)
{
    struct own *own =
        up(&(struct rig_options){.limits = {.grants = 8 + ARENA + 11}, .operations = 4});
    struct xenpv_iov iov = {own->memory, 12 * PAGE}, less = {own->memory, 11 * PAGE};

    (void)state;
    rig_connect(&own->rig);
    assert_int_equal(xenpv_blkq_writev(own->rig.q, 0, &iov, 1, NULL), XENPV_OK);
    assert_int_equal(rig_wait(&own->rig), XENPV_OK);
    assert_memory_equal(own->plain.disk, own->memory, 12 * PAGE);
    assert_int_equal(own->most, 0);
    assert_int_equal(xenpv_blkq_writev(own->rig.q, PAGE, &less, 1, NULL), XENPV_OK);
    assert_int_equal(rig_wait(&own->rig), XENPV_OK);
    assert_memory_equal(own->plain.disk + PAGE, own->memory, 11 * PAGE);
    assert_int_equal(own->most, 11);
    rig_close(&own->rig);
    down(own);
}

/* ---- a backend that keeps memory ------------------------------------------------------------- */

/* Keeps every request, and maps the page of the first. */
static int keep_all(struct plain *plain, const struct plain_request *request)
{
    struct own *own = plain->ctx;

    if (own->seen == 0)
        assert_int_equal(plain_map(plain, &own->map, &own->entry, request->seg[0].ref), XENPV_OK);
    own->refs[own->seen] = request->seg[0].ref;
    own->ids[own->seen++] = (uint32_t)request->raw.id;
    return PLAIN_KEEP;
}

static void let_go(struct own *own)
{
    const struct xenpv_port *port = &own->rig.back_port;

    port->map->unmap(port->ctx, &own->map);
}

/* Two operations on a page each; the backend holds on to the page of the first. */
static void send_two(struct own *own, struct xenpv_iov iov[2], bool write)
{
    for (uint32_t i = 0; i < 2; i++) {
        iov[i] = (struct xenpv_iov){own->memory + (size_t)i * PAGE, PAGE};
        assert_int_equal(
            write ? xenpv_blkq_writev(own->rig.q, (uint64_t)i * PAGE, &iov[i], 1, &iov[i])
                  : xenpv_blkq_readv(own->rig.q, (uint64_t)i * PAGE, &iov[i], 1, &iov[i]),
            XENPV_OK);
    }
    xenpv_blkq_submit(own->rig.q);
    rig_rest(&own->rig);
    assert_int_equal(own->seen, 2);
}

/* What ended with anything but BUSY is the caller's again: the backend cannot reach it. */
static void take_completions(struct own *own, const struct xenpv_iov iov[2], int status[2])
{
    struct xenpv_completion done[3];
    int count = xenpv_blkq_poll(own->rig.q, done, 3);
    uint8_t byte;

    for (int i = 0; i < count; i++) {
        size_t which = (size_t)((const struct xenpv_iov *)done[i].user - iov);

        assert_int_equal(status[which], 1);
        status[which] = done[i].status;
        if (done[i].status != XENPV_EBUSY)
            assert_int_not_equal(plain_copy(&own->plain, own->refs[which], 0, &byte, 1, false),
                                 XENPV_OK);
    }
}

static void run_down(struct own *own, const struct xenpv_iov iov[2], int status[2], uint64_t ms)
{
    for (uint64_t i = 0; i < ms && !rig_over(&own->rig); i++) {
        rig_step(&own->rig);
        take_completions(own, iov, status);
        xenpv_mock_advance(own->rig.mock, 1);
    }
}

/* A fresh connection works, with other memory and with that which was given back. */
static void reconnect(struct own *own, size_t first_good)
{
    uint8_t found[PAGE];

    own->plain.judge = NULL;
    rig_connect(&own->rig);
    for (size_t page = first_good; page < 3; page++) {
        struct xenpv_iov iov = {own->memory + page * PAGE, PAGE};

        assert_int_equal(xenpv_blkq_writev(own->rig.q, page * PAGE, &iov, 1, NULL), XENPV_OK);
        assert_int_equal(rig_wait(&own->rig), XENPV_OK);
        assert_memory_equal(own->plain.disk + page * PAGE, iov.base, PAGE);
        assert_int_equal(rig_read(&own->rig, page * PAGE, found, PAGE), XENPV_OK);
        assert_memory_equal(found, iov.base, PAGE);
    }
    rig_close(&own->rig);
}

static void down_with_abandoned(struct own *own)
{
    plain_down(&own->plain);
    rig_down_with_abandoned(&own->rig);
    free(own->memory);
    free(own);
}

/*
 * GT-02, GT-03, GT-06: the request is answered, and its page is still mapped. That breaks the
 * connection; the page is waited for as long as closing may take.
 */
static void check_held(bool write, bool late)
{
    struct own *own = up(&(struct rig_options){0});
    struct xenpv_iov iov[2];
    int status[2] = {1, 1};

    own->plain.judge = keep_all;
    rig_connect(&own->rig);
    send_two(own, iov, write);
    plain_answer(&own->plain, 0, own->ids[0], write, XENPV_BLKIF_OKAY);
    plain_publish(&own->plain, 0);
    take_completions(own, iov, status);
    assert_int_equal(status[0], 1);
    run_down(own, iov, status, 4000);
    assert_int_equal(status[0], 1);
    assert_int_equal(xenpv_blk_state(own->rig.blk), XENPV_BLK_CLOSING);
    if (late)
        let_go(own);
    run_down(own, iov, status, 20000);
    take_completions(own, iov, status);
    assert_int_equal(status[0], late ? XENPV_EBROKEN : XENPV_EBUSY);
    assert_int_equal(status[1], XENPV_EBROKEN);
    assert_int_equal(xenpv_blk_state(own->rig.blk), XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blk_detail(own->rig.blk)->error, XENPV_EBROKEN);
    assert_int_equal(xenpv_blk_detail(own->rig.blk)->check, XENPV_CHECK_GRANT_HELD);
    assert_int_equal(xenpv_blk_abandoned(own->rig.blk), !late);
    reconnect(own, late ? 0 : 1);
    if (!late)
        let_go(own);
    down_with_abandoned(own);
}

static void test_GT_02_GT_03_page_kept_after_the_answer(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        check_held(i & 1, i & 2);
}

/* An operation of two requests, of which one has failed, is not over while the other one's memory
 * is out. */
static void test_GT_02_half_failed(void **state)
{
    struct own *own = up(&(struct rig_options){.segments = 11});
    struct xenpv_iov iov[2] = {{own->memory, 12 * PAGE}, {0}};
    int status[2] = {1, 1};

    (void)state;
    own->plain.judge = keep_all;
    rig_connect(&own->rig);
    assert_int_equal(xenpv_blkq_readv(own->rig.q, 0, iov, 1, &iov[0]), XENPV_OK);
    xenpv_blkq_submit(own->rig.q);
    rig_rest(&own->rig);
    assert_int_equal(own->seen, 2);
    let_go(own);
    plain_answer(&own->plain, 0, own->ids[1], XENPV_BLKIF_READ, XENPV_BLKIF_ERROR);
    plain_publish(&own->plain, 0);
    take_completions(own, iov, status);
    /* Lost, for it is not to be awaited. */
    rig_set(&own->rig, own->rig.backend_path, "state", "5");
    run_down(own, iov, status, 20000);
    take_completions(own, iov, status);
    assert_int_equal(status[0], XENPV_EIO);
    reconnect(own, 0);
    down(own);
}

/* A port whose second grant fails, after the backend has guessed and mapped what was first. */
static struct {
    struct own *own;
    const struct xenpv_grant_ops *real;
    uint32_t calls;
} guesser;

static int share_guessed(void *ctx, uint16_t domid, struct xenpv_grant_region *region,
                         bool writable)
{
    struct own *own = guesser.own;

    if (++guesser.calls == 2) {
        assert_int_equal(plain_map(&own->plain, &own->map, &own->entry, own->refs[0]), XENPV_OK);
        return XENPV_ENOGRANT;
    }
    assert_int_equal(guesser.real->share_own(ctx, domid, region, writable), XENPV_OK);
    own->refs[0] = region->refs[0];
    return XENPV_OK;
}

/* GT-02: the page of a request that was never sent is mapped even so. */
static void test_GT_02_guessed(void **state)
{
    struct own *own = up(&(struct rig_options){0});
    struct xenpv_iov iov[2] = {{own->memory, PAGE}, {own->memory + (size_t)2 * PAGE, PAGE}};
    int status[2] = {1, 1};
    struct xenpv_grant_ops ops;

    (void)state;
    rig_connect(&own->rig);
    guesser.own = own;
    guesser.calls = 0;
    guesser.real = own->rig.front_port.grant;
    ops = *guesser.real;
    ops.share_own = share_guessed;
    own->rig.front_port.grant = &ops;
    assert_int_equal(xenpv_blkq_writev(own->rig.q, 0, iov, 2, &iov[0]), XENPV_OK);
    xenpv_blkq_submit(own->rig.q);
    run_down(own, iov, status, 20000);
    take_completions(own, iov, status);
    assert_int_equal(status[0], XENPV_EBUSY);
    assert_int_equal(xenpv_blk_state(own->rig.blk), XENPV_BLK_FAILED);
    assert_int_equal(xenpv_blk_detail(own->rig.blk)->error, XENPV_EBROKEN);
    assert_int_equal(xenpv_blk_detail(own->rig.blk)->check, XENPV_CHECK_GRANT_HELD);
    own->rig.front_port.grant = guesser.real;
    let_go(own);
    reconnect(own, 1);
    down_with_abandoned(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_used_where_it_can_be),
        cmocka_unit_test(test_FE_30_grants_point_one_way),
        cmocka_unit_test(test_no_grant_free),
        cmocka_unit_test(test_GT_02_GT_03_page_kept_after_the_answer),
        cmocka_unit_test(test_GT_02_half_failed),
        cmocka_unit_test(test_GT_02_guessed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
