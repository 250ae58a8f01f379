/* SPDX-License-Identifier: MIT */
/* A frontend that lies to our backend: bad requests are refused before the disk is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "blk_rig.h"
#include <xenpv/ring.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECTORS      2048

/* A frontend played by hand on page 0 of a region; page 1 is for data. */
struct front {
    struct rig rig;
    struct xenpv_grant_region region;
    uint32_t refs[2];
    uint32_t port;
    struct xenpv_ring ring;
    uint32_t touched; /* calls of the disk */
    struct xenpv_disk inner;
};

static int counted_read(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    struct front *front = ctx;

    front->touched++;
    return front->inner.read(front->inner.ctx, offset, to, length);
}

static int counted_write(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    struct front *front = ctx;

    front->touched++;
    return front->inner.write(front->inner.ctx, offset, from, length);
}

static int counted_flush(void *ctx)
{
    ((struct front *)ctx)->touched++;
    return XENPV_OK;
}

static void close_nothing(void *ctx)
{
    struct front *front = ctx;

    front->inner.close(front->inner.ctx);
}

static void set_number(struct front *front, const char *key, uint64_t number)
{
    char text[21];

    xenpv_format_number(number, text);
    rig_set(&front->rig, RIG_FRONTEND_PATH, key, text);
}

static void back_steps(struct front *front, int count)
{
    while (count--)
        xenpv_blkback_step(front->rig.back, xenpv_mock_now(front->rig.mock));
}

static void front_connect(struct front *front)
{
    set_number(front, "ring-ref", front->refs[0]);
    set_number(front, "event-channel", front->port);
    rig_set(&front->rig, RIG_FRONTEND_PATH, "protocol", "x86_64-abi");
    back_steps(front, 3);
    set_number(front, "state", 3);
    back_steps(front, 3);
}

static void front_up(struct front *front, bool readonly)
{
    struct rig *rig = &front->rig;
    const struct xenpv_port *port = &rig->front_port;

    *front = (struct front){0};
    rig_up(rig, &(struct rig_options){.readonly = readonly});
    front->inner = rig->disk;
    rig->disk.ctx = front;
    rig->disk.read = counted_read;
    rig->disk.write = counted_write;
    rig->disk.flush = counted_flush;
    rig->disk.close = close_nothing;
    front->region = (struct xenpv_grant_region){.pages = 2, .refs = front->refs};
    assert_int_equal(port->grant->share(port->ctx, 0, &front->region), XENPV_OK);
    assert_int_equal(port->event->alloc_unbound(port->ctx, 0, &front->port), XENPV_OK);
    xenpv_ring_init_front(&front->ring, front->region.memory, XENPV_PAGE_SIZE, 112);
    front_connect(front);
}

static void front_down(struct front *front)
{
    const struct xenpv_port *port = &front->rig.front_port;

    set_number(front, "state", 6);
    back_steps(front, 3);
    assert_int_equal(rig_get(&front->rig, RIG_BACKEND_PATH, "state"), 6);
    assert_int_equal(port->grant->end(port->ctx, &front->region), XENPV_OK);
    port->event->close(port->ctx, front->port);
    rig_down(&front->rig);
}

/* Sends one request and returns the status of its answer. */
static int ask(struct front *front, const struct xenpv_blkif_request *request)
{
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX];
    struct xenpv_blkif_response response;

    xenpv_blkif_put_request(XENPV_ABI_X86_64, request, image);
    /* The codec would not send what a hostile frontend sends. */
    if (request->op <= XENPV_BLKIF_FLUSH)
        image[1] = (uint8_t)request->nr_segments;
    xenpv_ring_put(&front->ring, image, sizeof(image));
    xenpv_ring_publish(&front->ring);
    back_steps(front, 1);
    assert_int_equal(xenpv_ring_available(&front->ring), 1);
    xenpv_ring_take(&front->ring, image, 16);
    xenpv_blkif_get_response(image, &response);
    assert_int_equal(response.id, request->id);
    assert_int_equal(response.op, request->op);
    return response.status;
}

/* BE-02: all pairs of first and last sector that matter. */
static void test_sector_pairs(void **state)
{
    static const uint8_t sectors[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 255};
    struct front front;

    (void)state;
    front_up(&front, false);
    for (size_t i = 0; i < 2 * COUNT(sectors) * COUNT(sectors); i++) {
        uint8_t first = sectors[i / 2 / COUNT(sectors)], last = sectors[i / 2 % COUNT(sectors)];
        bool good = first <= last && last <= 7;
        struct xenpv_blkif_request request = {.op = i % 2, .nr_segments = 1, .id = i};

        request.seg[0] = (struct xenpv_blkif_segment){front.refs[1], first, last};
        front.touched = 0;
        assert_int_equal(ask(&front, &request), good ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR);
        assert_int_equal(front.touched, good);
    }
    front_down(&front);
}

/* BE-03: every number of segments, for every operation there is and some that are none. */
static void test_segment_counts(void **state)
{
    static const uint8_t operations[] = {0, 1, 3, 2, 4, 5, 6, 7, 255};
    struct front front;

    (void)state;
    front_up(&front, false);
    for (uint32_t i = 0; i < 256 * COUNT(operations); i++) {
        uint8_t op = operations[i / 256];
        uint32_t segments = i % 256;
        struct xenpv_blkif_request request = {
            .op = op, .nr_segments = (uint16_t)segments, .id = UINT64_MAX - i};
        int expected = XENPV_BLKIF_EOPNOTSUPP;

        for (int k = 0; k < XENPV_BLKIF_SEGMENTS; k++)
            request.seg[k] = (struct xenpv_blkif_segment){front.refs[1], 0, 7};
        if (op <= 1)
            expected = segments >= 1 && segments <= 11 ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR;
        if (op == 3)
            expected = segments == 0 ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR;
        front.touched = 0;
        assert_int_equal(ask(&front, &request), expected);
        assert_int_equal(front.touched, expected == XENPV_BLKIF_OKAY);
    }
    front_down(&front);
}

static void test_ranges(void **state)
{
    static const struct {
        uint64_t sector;
        uint8_t last;
        bool good;
    } table[] = {
        {0, 7, true},           {SECTORS - 8, 7, true},        {SECTORS - 7, 7, false},
        {SECTORS - 1, 0, true}, {SECTORS, 0, false},           {UINT64_MAX, 0, false},
        {UINT64_MAX, 7, false}, {UINT64_C(1) << 55, 0, false},
    };
    struct front front;

    (void)state;
    front_up(&front, false);
    for (size_t i = 0; i < 2 * COUNT(table); i++) {
        struct xenpv_blkif_request request = {
            .op = i % 2, .nr_segments = 1, .sector = table[i / 2].sector};

        request.seg[0] = (struct xenpv_blkif_segment){front.refs[1], 0, table[i / 2].last};
        front.touched = 0;
        assert_int_equal(ask(&front, &request),
                         table[i / 2].good ? XENPV_BLKIF_OKAY : XENPV_BLKIF_ERROR);
        assert_int_equal(front.touched, table[i / 2].good);
    }
    front_down(&front);
}

/* BE-05. */
static void test_readonly(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 1};
    struct front front;

    (void)state;
    front_up(&front, true);
    request.seg[0] = (struct xenpv_blkif_segment){front.refs[1], 0, 7};
    assert_int_equal(ask(&front, &request), XENPV_BLKIF_ERROR);
    assert_int_equal(front.touched, 0);
    request.op = XENPV_BLKIF_READ;
    assert_int_equal(ask(&front, &request), XENPV_BLKIF_OKAY);
    front_down(&front);
}

/* A grant that does not exist: the request fails, the next one works. */
static void test_bad_grant(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 1};
    struct front front;

    (void)state;
    front_up(&front, false);
    request.seg[0] = (struct xenpv_blkif_segment){front.refs[1] + 1000, 0, 7};
    assert_int_equal(ask(&front, &request), XENPV_BLKIF_ERROR);
    assert_int_equal(front.touched, 0);
    request.seg[0].ref = front.refs[1];
    assert_int_equal(ask(&front, &request), XENPV_BLKIF_OKAY);
    front_down(&front);
}

/* BE-01: a producer that says more than the ring can hold ends the connection, not the backend. */
static void test_overrun(void **state)
{
    static const uint32_t jumps[] = {33, 1u << 31, UINT32_MAX};
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    struct front front;

    (void)state;
    front_up(&front, false);
    for (size_t i = 0; i < COUNT(jumps); i++) {
        xenpv_store_seq(&front.ring.out->prod, front.ring.prod + jumps[i]);
        back_steps(&front, 3);
        assert_int_equal(xenpv_blkback_detail(front.rig.back)->check, XENPV_CHECK_REQ_PROD);
        assert_int_equal(rig_get(&front.rig, RIG_BACKEND_PATH, "state"), 5);
        set_number(&front, "state", 6);
        back_steps(&front, 3);
        assert_int_equal(rig_get(&front.rig, RIG_BACKEND_PATH, "state"), 6);
        set_number(&front, "state", 1);
        memset(front.region.memory, 0, XENPV_PAGE_SIZE);
        xenpv_ring_init_front(&front.ring, front.region.memory, XENPV_PAGE_SIZE, 112);
        front_connect(&front);
        assert_int_equal(rig_get(&front.rig, RIG_BACKEND_PATH, "state"), 4);
        assert_int_equal(xenpv_blkback_detail(front.rig.back)->error, 0);
    }
    /* Legal twin: a full ring. */
    for (int i = 0; i < 32; i++) {
        _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX];
        xenpv_blkif_put_request(XENPV_ABI_X86_64, &request, image);
        xenpv_ring_put(&front.ring, image, sizeof(image));
    }
    xenpv_ring_publish(&front.ring);
    back_steps(&front, 1);
    assert_int_equal(xenpv_ring_available(&front.ring), 32);
    front_down(&front);
}

/* Keys that make no sense close the connection; the next frontend is served. */
static void test_keys(void **state)
{
    static const struct {
        const char *key, *value;
    } table[] = {
        {"ring-ref", "7777"},
        {"ring-ref", "x"},
        {"event-channel", "4000"},
        {"protocol", "vax-abi"},
        {"protocol", ""},
        {"ring-page-order", "1"},
        {"multi-queue-num-queues", "2"},
        {"event-channel", "0"},
    };
    struct front front;

    (void)state;
    front_up(&front, false);
    for (size_t i = 0; i < COUNT(table); i++) {
        print_message("  %s = %s\n", table[i].key, table[i].value);
        set_number(&front, "state", 6);
        back_steps(&front, 3);
        set_number(&front, "state", 1);
        back_steps(&front, 3);
        set_number(&front, "ring-ref", front.refs[0]);
        set_number(&front, "event-channel", front.port);
        rig_set(&front.rig, RIG_FRONTEND_PATH, "protocol", "x86_64-abi");
        rig_set(&front.rig, RIG_FRONTEND_PATH, "ring-page-order", "0");
        rig_set(&front.rig, RIG_FRONTEND_PATH, "multi-queue-num-queues", "1");
        rig_set(&front.rig, RIG_FRONTEND_PATH, table[i].key, table[i].value);
        set_number(&front, "state", 3);
        back_steps(&front, 5);
        assert_int_equal(rig_get(&front.rig, RIG_BACKEND_PATH, "state"), 5);
        assert_int_not_equal(xenpv_blkback_detail(front.rig.back)->error, 0);
    }
    front_down(&front);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sector_pairs), cmocka_unit_test(test_segment_counts),
        cmocka_unit_test(test_ranges),       cmocka_unit_test(test_readonly),
        cmocka_unit_test(test_bad_grant),    cmocka_unit_test(test_overrun),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
