/* SPDX-License-Identifier: MIT */
/*
 * A frontend that lies to our backend: bad requests are refused before the disk is touched, and
 * beside each lie its legal twin passes. Keys that lie are in test_blkback_rings.c, indirect
 * requests in test_blkback_indirect.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "back_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECTORS      2048
#define BAD_REF      30000u

static void up(struct back_rig *rig, const struct back_front *front)
{
    back_up(rig, SECTORS * 512);
    back_start(rig);
    front_connect(rig, front);
}

/* Asks, and asserts the answer and whether the disk was touched. */
static void expect(struct back_rig *rig, const struct xenpv_blkif_request *request, int status)
{
    rig->notes.calls = 0;
    assert_int_equal(front_ask(rig, 0, request), status);
    assert_int_equal(rig->notes.calls > 0, status == XENPV_BLKIF_OKAY);
}

/* ---- rings ----------------------------------------------------------------------------------- */

/* A producer that says more than the ring can hold ends the connection, not the backend. */
static void test_be01_producer(void **state)
{
    static const struct {
        uint32_t order, queue, beyond; /* past a full ring */
    } table[] = {{0, 0, 1}, {0, 1, 1},        {0, 0, 1u << 31},        {1, 1, 1},
                 {4, 0, 1}, {4, 1, 1u << 31}, {0, 1, UINT32_MAX - 32}, {0, 0, UINT32_MAX - 33}};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    for (size_t i = 0; i < COUNT(table); i++) {
        struct back_front front = {.queues = 2, .naming = BACK_PAGE_ORDER, .order = table[i].order};
        const struct xenpv_detail *detail = xenpv_blkback_detail(rig.back);
        struct xenpv_ring *ring = &rig.queue[table[i].queue].ring;
        uint64_t requests;
        struct xenpv_blkback_stats stats;

        xenpv_blkback_stats(rig.back, &stats);
        requests = stats.requests;
        front_connect(&rig, &front);
        if (table[i].queue == 0) { /* the other queue is not served any more */
            front_put(&rig, 1, &(struct xenpv_blkif_request){.op = XENPV_BLKIF_FLUSH});
            front_publish(&rig, 1);
        }
        xenpv_store_seq(&ring->out->prod, ring->prod + ring->count + table[i].beyond);
        back_until(&rig, 5);
        assert_int_equal(detail->error, XENPV_EBROKEN);
        assert_int_equal(detail->check, XENPV_CHECK_REQ_PROD);
        assert_int_equal(detail->queue, table[i].queue);
        assert_int_equal(detail->value, (uint32_t)(ring->count + table[i].beyond));
        xenpv_blkback_stats(rig.back, &stats);
        assert_int_equal(stats.requests, requests);
        back_assert_holds(&rig, 0, 0);
        front_close(&rig);
    }
    back_down(&rig);
}

/* Legal twin: a full ring, where the indexes run through 2^32. */
static void test_be01_full_ring_at_wrap(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    struct back_rig rig;

    (void)state;
    for (uint32_t before = 0; before <= 64; before += 8) {
        struct back_front front = {0};
        struct xenpv_ring *ring = &rig.queue[0].ring;

        back_up(&rig, 0);
        back_start(&rig);
        back_until(&rig, 2);
        front_share(&rig, &front);
        /* A ring that another backend has been at work on. */
        ring->prod = ring->cons = ring->published = 0u - before;
        xenpv_store(&ring->out->prod, ring->prod);
        xenpv_store(&ring->in->prod, ring->prod);
        xenpv_store(&ring->in->event, ring->prod + 1);
        back_set(&rig, BACK_FRONT, "state", "3");
        back_until(&rig, 4);
        for (int round = 0; round < 4; round++) {
            for (int i = 0; i < 32; i++)
                front_put(&rig, 0, &request);
            front_publish(&rig, 0);
            back_steps(&rig, 1);
            assert_int_equal(xenpv_ring_available(ring), 32);
            for (int i = 0; i < 32; i++)
                assert_int_equal(front_take(&rig, 0).status, XENPV_BLKIF_OKAY);
        }
        assert_int_equal(xenpv_blkback_detail(rig.back)->error, 0);
        back_down(&rig);
    }
}

/* Events without requests, and event indexes of any value: never more than the odd notification. */
static void test_ev10_events(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    const struct xenpv_port *port;
    uint32_t seed = 1;
    struct back_rig rig;
    struct xenpv_blkback_stats stats;

    (void)state;
    up(&rig, &(struct back_front){.queues = 2});
    port = &rig.front_port;
    for (uint32_t i = 1; i <= 1000; i++) {
        port->event->notify(port->ctx, rig.queue[i % 2].port);
        xenpv_store(&rig.queue[0].ring.in->event, back_random(&seed) << 8 ^ back_random(&seed));
        front_put(&rig, 0, &request);
        front_publish(&rig, 0);
        back_steps(&rig, 2);
        assert_int_equal(front_take(&rig, 0).status, XENPV_BLKIF_OKAY);
        assert_true(xenpv_blkback_deadline(rig.back) > 0);
    }
    xenpv_blkback_stats(rig.back, &stats);
    assert_true(stats.notified <= 1000);
    back_down(&rig);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* All pairs of first and last sector that matter, in each unit that segments are counted in. */
static void test_be02_sectors(void **state)
{
    static const uint8_t sectors[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 127, 128, 254, 255};
    static const struct {
        uint32_t sector_size;
        enum xenpv_blk_units units;
        uint8_t last;
    } table[] = {{512, XENPV_UNITS_512, 7},
                 {512, XENPV_UNITS_SECTOR_SIZE, 7},
                 {2048, XENPV_UNITS_SECTOR_SIZE, 1},
                 {4096, XENPV_UNITS_SECTOR_SIZE, 0}};
    struct back_rig rig;

    (void)state;
    for (size_t t = 0; t < 2 * COUNT(table); t++) {
        back_up(&rig, 0);
        rig.disk.sector_size = table[t / 2].sector_size;
        rig.config.units = table[t / 2].units;
        back_start(&rig);
        front_connect(&rig, &(struct back_front){.persistent = t % 2});
        for (size_t i = 0; i < 3 * COUNT(sectors) * COUNT(sectors); i++) {
            uint8_t first = sectors[i / 3 / COUNT(sectors)], last = sectors[i / 3 % COUNT(sectors)];
            bool good = first <= last && last <= table[t / 2].last;
            struct xenpv_blkif_request request = {
                .op = (uint8_t)(i % 3), .nr_segments = 2, .id = i};

            request.seg[0] = front_segment(&rig, 0, 0, 0);
            request.seg[1] = front_segment(&rig, 1, first, last);
            expect(&rig, &request, good ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR);
        }
        back_down(&rig);
    }
}

/* Every number of segments, for every operation there is and some that are none. */
static void test_be03_segments(void **state)
{
    static const struct {
        uint8_t op;
        uint32_t least, most; /* most 0: always EOPNOTSUPP */
    } table[] = {{XENPV_BLKIF_READ, 1, 11},
                 {XENPV_BLKIF_WRITE, 1, 11},
                 {XENPV_BLKIF_WRITE_BARRIER, 0, 11},
                 {XENPV_BLKIF_FLUSH, 0, 11},
                 {4, 0, 0},
                 {7, 0, 0},
                 {8, 0, 0},
                 {255, 0, 0}};
    struct back_rig rig;

    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        up(&rig, &(struct back_front){.persistent = persistent});
        for (uint32_t i = 0; i < 256 * COUNT(table); i++) {
            uint32_t row = i / 256, count = i % 256;
            struct xenpv_blkif_request request = {
                .op = table[row].op, .nr_segments = (uint16_t)count, .id = UINT64_MAX - i};
            int status = XENPV_BLKIF_EOPNOTSUPP;

            for (uint32_t k = 0; k < XENPV_BLKIF_SEGMENTS; k++)
                request.seg[k] = front_segment(&rig, k, 0, 7);
            if (table[row].most)
                status = count >= table[row].least && count <= table[row].most ? XENPV_BLKIF_OKAY
                                                                               : XENPV_BLKIF_ERROR;
            expect(&rig, &request, status);
        }
        back_down(&rig);
    }
}

/* The frontend sees of an answer what it is and no more: the rest of its slot, and of the page, is
 * as the frontend left it. */
static void test_be04_padding(void **state)
{
    static const uint8_t operations[] = {0, 1, 2, 3, 4, 5, 6, 255};
    struct back_rig rig;

    (void)state;
    for (uint32_t abi = 0; abi < XENPV_ABI_COUNT; abi++) {
        struct xenpv_ring *ring = &rig.queue[0].ring;
        uint32_t size = xenpv_blkif_response_size((enum xenpv_abi)abi);
        uint8_t *page, seen[XENPV_PAGE_SIZE];

        up(&rig, &(struct back_front){.abi = (enum xenpv_abi)abi});
        page = rig.rings.memory;
        /* From no answer at all to answers in every slot, twice. */
        for (uint32_t i = 0; i < 2 * ring->count; i++) {
            struct xenpv_blkif_request request = {
                .op = operations[i % COUNT(operations)], .id = i, .nr_segments = 1};
            _Alignas(8) uint8_t answer[16];
            uint32_t slot = XENPV_RING_HEADER + ring->slot_size * (i % ring->count);

            request.seg[0] = front_segment(&rig, 0, 0, 7);
            request.indirect_ref[0] = rig.data_refs[0];
            memset(page + 16, 0x77, 48);
            front_put(&rig, 0, &request);
            memcpy(seen, page, sizeof(seen));
            front_publish(&rig, 0);
            back_steps(&rig, 1);
            xenpv_blkif_put_response(
                (enum xenpv_abi)abi,
                &(struct xenpv_blkif_response){
                    i, request.op == XENPV_BLKIF_INDIRECT ? request.indirect_op : request.op,
                    front_take(&rig, 0).status},
                answer);
            memcpy(seen + slot, answer, size);
            memcpy(seen, page, 16); /* the indexes */
            assert_memory_equal(page, seen, sizeof(seen));
        }
        back_down(&rig);
    }
}

/* A disk that must not be written is not, by no operation. */
static void test_be05_readonly(void **state)
{
    static const struct {
        uint8_t op, segments;
        int status;
    } table[] = {
        {XENPV_BLKIF_READ, 1, XENPV_BLKIF_OKAY},
        {XENPV_BLKIF_WRITE, 1, XENPV_BLKIF_ERROR},
        {XENPV_BLKIF_WRITE_BARRIER, 1, XENPV_BLKIF_ERROR},
        {XENPV_BLKIF_WRITE_BARRIER, 0, XENPV_BLKIF_OKAY},
        {XENPV_BLKIF_FLUSH, 1, XENPV_BLKIF_ERROR},
        {XENPV_BLKIF_FLUSH, 0, XENPV_BLKIF_OKAY},
        {XENPV_BLKIF_DISCARD, 0, XENPV_BLKIF_ERROR},
    };
    struct back_rig rig;

    (void)state;
    for (size_t i = 0; i < 2 * COUNT(table); i++) {
        struct xenpv_blkif_request request = {
            .op = table[i / 2].op, .nr_segments = table[i / 2].segments, .nr_sectors = 1};

        back_up(&rig, 0);
        rig.disk.readonly = i % 2 == 0;
        back_start(&rig);
        front_connect(&rig, &(struct back_front){.persistent = true});
        request.seg[0] = front_segment(&rig, 0, 0, 7);
        expect(&rig, &request, i % 2 ? XENPV_BLKIF_OKAY : table[i / 2].status);
        back_down(&rig);
    }
}

/* XSA-142: the toolstack's word counts, too, whatever the disk could do. */
static void test_be05_toolstack_says_readonly(void **state)
{
    static const struct {
        const char *mode; /* NULL: not there */
        bool readonly;    /* the disk */
        int64_t info;
        int status;
    } table[] = {
        {"r", false, 4, XENPV_BLKIF_ERROR}, {"r!", false, 4, XENPV_BLKIF_ERROR},
        {"", false, 4, XENPV_BLKIF_ERROR},  {"w", true, 4, XENPV_BLKIF_ERROR},
        {"w", false, 0, XENPV_BLKIF_OKAY},  {"w!", false, 0, XENPV_BLKIF_OKAY},
        {NULL, false, 0, XENPV_BLKIF_OKAY},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct xenpv_blkif_request discard = {.op = XENPV_BLKIF_DISCARD, .nr_sectors = 8};
        struct back_rig rig;

        back_up(&rig, 0);
        rig.disk.readonly = table[i].readonly;
        if (table[i].mode)
            back_set(&rig, BACK_BACK, "mode", table[i].mode);
        else
            assert_int_equal(xenpv_mock_rm(rig.mock, BACK_BACK "/mode"), XENPV_OK);
        back_start(&rig);
        front_connect(&rig, &(struct back_front){0});
        assert_int_equal(back_get(&rig, BACK_BACK, "info"), table[i].info);
        assert_int_equal(front_move(&rig, XENPV_BLKIF_READ, 0, 0, 4096), XENPV_BLKIF_OKAY);
        assert_string_equal(rig.notes.letters, "r");
        assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE, 0, 0, 4096), table[i].status);
        assert_int_equal(front_ask(&rig, 0, &discard), table[i].status);
        assert_string_equal(rig.notes.letters, table[i].status ? "r" : "rwd");
        back_down(&rig);
    }
}

/* Where it begins and ends, for each operation that moves data. */
static void test_ranges(void **state)
{
    static const struct {
        uint64_t sector;
        uint8_t last;
        bool good;
    } table[] = {
        {0, 7, true},           {SECTORS - 8, 7, true},        {SECTORS - 7, 7, false},
        {SECTORS - 1, 0, true}, {SECTORS, 0, false},           {UINT64_MAX, 0, false},
        {UINT64_MAX, 7, false}, {UINT64_C(1) << 55, 0, false}, {UINT64_C(1) << 63, 0, false},
    };
    struct back_rig rig;

    (void)state;
    up(&rig, &(struct back_front){0});
    for (size_t i = 0; i < 4 * COUNT(table); i++) {
        struct xenpv_blkif_request request = {
            .op = (uint8_t)(i % 4), .nr_segments = 1, .sector = table[i / 4].sector};

        request.seg[0] = front_segment(&rig, 0, 0, table[i / 4].last);
        expect(&rig, &request, table[i / 4].good ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR);
    }
    back_down(&rig);
}

/* A discard is measured in 64 bits; test_blkback_ops.c has all its edges. */
static void test_discard_ranges(void **state)
{
    static const struct {
        uint64_t sector, count;
        bool good;
    } table[] = {{SECTORS - 8, 8, true}, {SECTORS - 8, 9, false}, {8, UINT64_MAX - 7, false}};
    struct back_rig rig;

    (void)state;
    up(&rig, &(struct back_front){0});
    for (size_t i = 0; i < COUNT(table); i++)
        expect(&rig,
               &(struct xenpv_blkif_request){.op = XENPV_BLKIF_DISCARD,
                                             .sector = table[i].sector,
                                             .nr_sectors = table[i].count},
               table[i].good ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR);
    back_down(&rig);
}

/* Half a sector of a disk of large ones, whatever asks for it. */
static void test_alignment(void **state)
{
    static const struct {
        uint64_t sector;
        uint8_t first, last;
        bool good;
    } table[] = {{0, 0, 7, true},  {8, 0, 7, true},  {1, 0, 7, false}, {4, 0, 7, false},
                 {0, 0, 3, false}, {8, 4, 7, false}, {7, 0, 0, false}};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    rig.disk.sector_size = 4096;
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    for (size_t i = 0; i < 4 * COUNT(table); i++) {
        struct xenpv_blkif_request request = {
            .op = (uint8_t)(i % 4), .nr_segments = 1, .sector = table[i / 4].sector};

        request.seg[0] = front_segment(&rig, 0, table[i / 4].first, table[i / 4].last);
        expect(&rig, &request, table[i / 4].good ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR);
        request =
            (struct xenpv_blkif_request){.op = XENPV_BLKIF_DISCARD,
                                         .sector = table[i / 4].sector,
                                         .nr_sectors = table[i / 4].last - table[i / 4].first + 1u};
        expect(&rig, &request, table[i / 4].good ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR);
    }
    /* Segments that are none by themselves may be some together. */
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 2};
    request.seg[0] = front_segment(&rig, 0, 0, 2);
    request.seg[1] = front_segment(&rig, 1, 3, 7);
    expect(&rig, &request, XENPV_BLKIF_OKAY);
    back_down(&rig);
}

/* The inner operation and the number of an indirect request; the rest is in a file of its own. */
static void test_indirect(void **state)
{
    static const struct {
        uint8_t op;
        uint16_t count;
        bool good;
    } table[] = {{0, 1, true},  {1, 1, true},    {2, 1, false},  {3, 0, false},    {6, 1, false},
                 {0, 0, false}, {1, 257, false}, {0, 256, true}, {1, 65535, false}};
    struct back_rig rig;

    (void)state;
    up(&rig, &(struct back_front){.data_pages = 2});
    for (uint32_t i = 0; i < 512; i++) {
        memset(front_data(&rig, i * 8), 0, 8);
        memcpy(front_data(&rig, i * 8), &rig.data_refs[1], 4);
    }
    for (size_t i = 0; i < COUNT(table); i++) {
        struct xenpv_blkif_request request = {
            .op = XENPV_BLKIF_INDIRECT, .indirect_op = table[i].op, .nr_segments = table[i].count};

        for (int k = 0; k < XENPV_BLKIF_INDIRECT_PAGES; k++)
            request.indirect_ref[k] = rig.data_refs[0];
        expect(&rig, &request, table[i].good ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR);
    }
    back_down(&rig);
}

/* ---- grants ---------------------------------------------------------------------------------- */

/*
 * Of n pages one is not granted, or two are not: nothing is written, nothing stays mapped that was
 * not before, and the next request is none the worse for it.
 */
static void test_be10_be11_bad_segments(void **state)
{
    struct back_rig rig;

    (void)state;
    for (int persistent = 0; persistent < 2; persistent++) {
        up(&rig, &(struct back_front){.persistent = persistent});
        for (uint32_t n = 1; n <= XENPV_BLKIF_SEGMENTS; n++) {
            for (uint32_t bad = 0; bad < n * n; bad++) {
                struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE,
                                                      .nr_segments = (uint16_t)n};

                for (uint32_t k = 0; k < n; k++)
                    request.seg[k] = front_segment(&rig, k, 0, 7);
                request.seg[bad / n].ref = request.seg[bad % n].ref = BAD_REF;
                expect(&rig, &request, XENPV_BLKIF_ERROR);
                /* Our own memory was read for nothing: the frontend's is not written either. */
                memset(front_data(&rig, 0), 0x5a, 4096);
                request.op = XENPV_BLKIF_READ;
                assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_ERROR);
                request.op = XENPV_BLKIF_WRITE;
                request.seg[bad / n] = front_segment(&rig, bad / n, 0, 7);
                request.seg[bad % n] = front_segment(&rig, bad % n, 0, 7);
                expect(&rig, &request, XENPV_BLKIF_OKAY);
                back_assert_holds(&rig, persistent ? 1 + n : 1, 1);
            }
        }
        back_down(&rig);
    }
}

/* The same for the pages of a ring, of each size. */
static void test_be10_bad_ring_pages(void **state)
{
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    for (uint32_t order = 0; order <= 4; order++) {
        for (uint32_t bad = 0; bad < 1u << order; bad++) {
            struct back_front front = {.order = order, .naming = BACK_PAGE_ORDER, .queues = 2};
            char key[32] = "queue-1/ring-ref";

            back_set(&rig, BACK_FRONT, "state", "1");
            back_until(&rig, 2);
            front_share(&rig, &front);
            xenpv_format_number(bad, key + strlen(key));
            back_set_number(&rig, BACK_FRONT, key, BAD_REF);
            back_set(&rig, BACK_FRONT, "state", "3");
            back_until(&rig, 5);
            assert_int_equal(xenpv_blkback_detail(rig.back)->error, XENPV_EACCES);
            assert_string_equal(xenpv_blkback_detail(rig.back)->key, key);
            back_assert_holds(&rig, 0, 0);
            front_close(&rig);
        }
    }
    back_down(&rig);
}

/* ---- keys, of which test_blkback_rings.c has more -------------------------------------------- */

static void test_keys(void **state)
{
    static const struct {
        const char *key, *lie, *truth;
        uint32_t check;
    } table[] = {
        {"ring-page-order", "5", "4", XENPV_CHECK_REQ_RING},
        {"num-ring-pages", "32", "16", XENPV_CHECK_REQ_RING},
        {"multi-queue-num-queues", "5", "4", XENPV_CHECK_REQ_QUEUES},
        {"multi-queue-num-queues", "0", "4", XENPV_CHECK_REQ_QUEUES},
    };
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    for (size_t i = 0; i < COUNT(table); i++) {
        struct back_front front = {
            .order = 4, .queues = 4, .naming = i == 1 ? BACK_NUM_PAGES : BACK_PAGE_ORDER};

        for (int lie = 1; lie >= 0; lie--) {
            back_set(&rig, BACK_FRONT, "state", "1");
            back_until(&rig, 2);
            front_share(&rig, &front);
            back_set(&rig, BACK_FRONT, table[i].key, lie ? table[i].lie : table[i].truth);
            back_set(&rig, BACK_FRONT, "state", "3");
            back_until(&rig, lie ? 5 : 4);
            assert_int_equal(xenpv_blkback_detail(rig.back)->check, lie ? table[i].check : 0);
            front_close(&rig);
        }
    }
    back_down(&rig);
}

/* It is refused and comes again ten times a second, for a minute: that is told now and then. */
static void test_LC_12_lines_are_few(void **state)
{
    struct back_rig rig;
    uint32_t refused = 0;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    for (; xenpv_mock_now(rig.mock) < 60000; refused++) {
        back_set(&rig, BACK_FRONT, "state", "1");
        back_until(&rig, 2);
        back_set(&rig, BACK_FRONT, "state", "3");
        back_until(&rig, 5);
        assert_int_equal(xenpv_blkback_detail(rig.back)->error, XENPV_EPEER);
        back_set(&rig, BACK_FRONT, "state", "6");
        back_until(&rig, 6);
        xenpv_mock_advance(rig.mock, 100);
    }
    assert_in_range(refused, 300, 600);
    assert_in_range(rig.faulty.lines, 1, 6);
    back_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_be01_producer),
        cmocka_unit_test(test_be01_full_ring_at_wrap),
        cmocka_unit_test(test_ev10_events),
        cmocka_unit_test(test_be02_sectors),
        cmocka_unit_test(test_be03_segments),
        cmocka_unit_test(test_be04_padding),
        cmocka_unit_test(test_be05_readonly),
        cmocka_unit_test(test_be05_toolstack_says_readonly),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_discard_ranges),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_indirect),
        cmocka_unit_test(test_be10_be11_bad_segments),
        cmocka_unit_test(test_be10_bad_ring_pages),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_LC_12_lines_are_few),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
