/* SPDX-License-Identifier: MIT */
/* How a block backend is made, closed and left: by its frontend, its toolstack, itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "back_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t now(const struct back_rig *rig)
{
    return xenpv_mock_now(rig->mock);
}

/* ---- making it ------------------------------------------------------------------------------- */

static void nothing(struct back_rig *rig)
{
    (void)rig;
}

static void no_queues(struct back_rig *rig)
{
    rig->config.queues = 0;
}

static void many_queues(struct back_rig *rig)
{
    rig->config.queues = 65;
}

static void large_rings(struct back_rig *rig)
{
    rig->config.ring_order = 5;
}

static void many_segments(struct back_rig *rig)
{
    rig->config.segments = 4097;
}

static void many_pages(struct back_rig *rig)
{
    rig->config.persistent = 65537;
}

static void unknown_units(struct back_rig *rig)
{
    rig->config.units = XENPV_UNITS_COUNT;
}

static void wrong_size(struct back_rig *rig)
{
    rig->config.size--;
}

static void no_port(struct back_rig *rig)
{
    rig->config.port = NULL;
}

static void no_path(struct back_rig *rig)
{
    rig->config.path = NULL;
}

static void empty_path(struct back_rig *rig)
{
    rig->config.path = "";
}

static void no_disk(struct back_rig *rig)
{
    rig->config.disk = NULL;
}

static void no_allocator(struct back_rig *rig)
{
    rig->config.allocator.alloc = NULL;
}

static void no_map(struct back_rig *rig)
{
    rig->back_port.caps &= ~(uint32_t)XENPV_CAP_MAP;
}

static void no_copy(struct back_rig *rig)
{
    rig->back_port.caps &= ~(uint32_t)XENPV_CAP_COPY;
}

static void odd_sectors(struct back_rig *rig)
{
    rig->disk.sector_size = 513;
}

static void small_sectors(struct back_rig *rig)
{
    rig->disk.sector_size = 256;
}

static void small_physical(struct back_rig *rig)
{
    rig->disk.sector_size = 4096;
    rig->disk.physical_sector_size = 512;
}

static void odd_physical(struct back_rig *rig)
{
    rig->disk.physical_sector_size = 1536;
}

static void odd_bytes(struct back_rig *rig)
{
    rig->disk.bytes++;
}

static void only_write(struct back_rig *rig)
{
    rig->disk.read = NULL;
}

static void only_read(struct back_rig *rig)
{
    rig->disk.write = NULL;
}

static void only_read_readonly(struct back_rig *rig)
{
    rig->disk.write = NULL;
    rig->disk.readonly = true;
}

/* A sector that is larger than a page is no segment. */
static void sectors_over_pages(struct back_rig *rig)
{
    rig->disk.sector_size = 8192;
    rig->config.units = XENPV_UNITS_SECTOR_SIZE;
}

static void large_sectors(struct back_rig *rig)
{
    rig->disk.sector_size = 8192;
    rig->config.units = XENPV_UNITS_FREEBSD;
}

static void test_create(void **state)
{
    static const struct {
        void (*change)(struct back_rig *rig);
        int error;
    } table[] = {
        {nothing, XENPV_OK},
        {no_queues, XENPV_EINVAL},
        {many_queues, XENPV_EINVAL},
        {large_rings, XENPV_EINVAL},
        {many_segments, XENPV_EINVAL},
        {many_pages, XENPV_EINVAL},
        {unknown_units, XENPV_EINVAL},
        {wrong_size, XENPV_EINVAL},
        {no_port, XENPV_EINVAL},
        {no_path, XENPV_EINVAL},
        {empty_path, XENPV_EINVAL},
        {no_disk, XENPV_EINVAL},
        {no_allocator, XENPV_EINVAL},
        {no_map, XENPV_ENOTSUP},
        {no_copy, XENPV_ENOTSUP},
        {odd_sectors, XENPV_EINVAL},
        {small_sectors, XENPV_EINVAL},
        {small_physical, XENPV_EINVAL},
        {odd_physical, XENPV_EINVAL},
        {odd_bytes, XENPV_EINVAL},
        {only_write, XENPV_EINVAL},
        {only_read, XENPV_EINVAL},
        {only_read_readonly, XENPV_OK},
        {sectors_over_pages, XENPV_EINVAL},
        {large_sectors, XENPV_OK},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct back_rig rig;

        back_up(&rig, 0);
        table[i].change(&rig);
        assert_int_equal(xenpv_blkback_create(&rig.config, &rig.back), table[i].error);
        back_free(&rig);
    }
}

/* Every allocation fails in turn: there is no backend, or there is one. */
static void test_create_without_memory(void **state)
{
    struct back_rig rig;
    int error = XENPV_ENOMEM;

    (void)state;
    back_up(&rig, 0);
    for (uint64_t at = 1; error; at++) {
        rig.heap.fail_at = rig.heap.allocs + at;
        error = xenpv_blkback_create(&rig.config, &rig.back);
        assert_true(error == XENPV_OK || error == XENPV_ENOMEM);
        assert_in_range(at, 1, 10);
    }
    back_free(&rig);
}

/* A page table for persistent grants that there is no memory for: refused, and then served. */
static void test_connect_without_memory(void **state)
{
    struct back_front front = {.persistent = true, .queues = 2};
    struct back_rig rig;
    uint32_t refused = 0;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    for (uint64_t at = 1; at < 60; at++) {
        back_set(&rig, BACK_FRONT, "state", "1");
        back_until(&rig, 2);
        front_share(&rig, &front);
        back_set(&rig, BACK_FRONT, "state", "3");
        rig.heap.fail_at = rig.heap.allocs + at;
        for (int i = 0; i < 20 && back_get(&rig, BACK_BACK, "state") < 4; i++) {
            back_steps(&rig, 1);
            xenpv_mock_advance(rig.mock, 100);
        }
        rig.heap.fail_at = 0;
        if (back_get(&rig, BACK_BACK, "state") == 5) {
            assert_int_equal(xenpv_blkback_detail(rig.back)->error, XENPV_ENOMEM);
            back_assert_holds(&rig, 0, 0);
            refused++;
        }
        front_close(&rig);
    }
    assert_in_range(refused, 2, 59);
    back_down(&rig);
}

/* No request needs memory. */
static void test_no_allocation(void **state)
{
    struct back_rig rig;
    uint64_t before;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    before = rig.heap.allocs;
    for (uint8_t op = 0; op < 4; op++)
        assert_int_equal(front_move(&rig, op, 0, 0, 4096), XENPV_BLKIF_OKAY);
    assert_int_equal(rig.heap.allocs, before);
    back_down(&rig);
}

/* ---- closing --------------------------------------------------------------------------------- */

/* Requests that are on the rings when the backend is to close, or sees the frontend close, are
 * answered; those that come later are not. */
static void test_drain(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 1};
    struct back_rig rig;

    (void)state;
    for (int way = 0; way < 3; way++) {
        struct xenpv_blkback_stats stats;

        back_up(&rig, 0);
        back_start(&rig);
        front_connect(&rig, &(struct back_front){.queues = 2, .persistent = true});
        request.seg[0] = front_segment(&rig, 0, 0, 7);
        for (int i = 0; i < 32; i++) {
            front_put(&rig, 0, &request);
            front_put(&rig, 1, &request);
        }
        front_publish(&rig, 0);
        front_publish(&rig, 1);
        if (way == 0)
            xenpv_blkback_close(rig.back, now(&rig));
        else
            back_set(&rig, BACK_FRONT, "state", way == 1 ? "5" : "6");
        back_until(&rig, way == 2 ? 6 : 5);
        xenpv_blkback_stats(rig.back, &stats);
        assert_int_equal(stats.requests, 64);
        assert_int_equal(stats.refused, 0);
        back_assert_holds(&rig, 0, 0);
        for (int i = 0; i < 32; i++) {
            assert_int_equal(front_take(&rig, 0).status, XENPV_BLKIF_OKAY);
            assert_int_equal(front_take(&rig, 1).status, XENPV_BLKIF_OKAY);
        }
        front_put(&rig, 0, &request);
        front_publish(&rig, 0);
        back_steps(&rig, 5);
        xenpv_blkback_stats(rig.back, &stats);
        assert_int_equal(stats.requests, 64);
        back_down(&rig);
    }
}

static struct back_rig *late;

/* A request arrives when the backend has looked at its rings, and is about to look at the store. */
static void send_late(void *ctx, const char *call)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH, .id = 77};

    (void)ctx;
    if (!late || strcmp(call, "generation") != 0)
        return;
    front_put(late, 0, &request);
    front_publish(late, 0);
    late = NULL;
}

/* It is on the ring when the data path stops: it is answered, unless something went wrong. */
static void test_drain_late(void **state)
{
    struct back_rig rig;

    (void)state;
    for (int broken = 0; broken < 2; broken++) {
        back_up(&rig, 0);
        rig.faulty.before = send_late;
        back_start(&rig);
        front_connect(&rig, &(struct back_front){.queues = 2});
        back_steps(&rig, 3);
        if (broken)
            xenpv_store_seq(&rig.queue[1].ring.out->prod, 33);
        else
            xenpv_blkback_close(rig.back, now(&rig));
        late = &rig;
        back_steps(&rig, 1);
        assert_null(late);
        assert_int_equal(back_get(&rig, BACK_BACK, "state"), 5);
        if (broken)
            assert_int_equal(xenpv_ring_available(&rig.queue[0].ring), 0);
        else
            assert_int_equal(front_take(&rig, 0).id, 77);
        back_down(&rig);
    }
}

/* A frontend that never stops sending cannot keep the backend from following it. */
static void test_close_under_load(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    struct back_rig rig;
    int steps = 0;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    for (int i = 0; i < 100; i++) {
        front_put(&rig, 0, &request);
        front_publish(&rig, 0);
        back_steps(&rig, 1);
        front_take(&rig, 0);
    }
    back_set(&rig, BACK_FRONT, "state", "5");
    while (back_get(&rig, BACK_BACK, "state") == 4) {
        front_put(&rig, 0, &request);
        front_publish(&rig, 0);
        back_steps(&rig, 1);
        front_take(&rig, 0);
        assert_in_range(++steps, 1, 40);
    }
    back_down(&rig);
}

static uint32_t looks;

static void count_looks(void *ctx, const char *call)
{
    (void)ctx;
    looks += strcmp(call, "generation") == 0;
}

/* While requests keep coming the store is looked at now and then; for a single one at once. */
static void test_busy(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    rig.faulty.before = count_looks;
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    for (int round = 0; round < 3; round++) {
        looks = 0;
        for (int i = 0; i < 160; i++) {
            front_put(&rig, 0, &request);
            front_publish(&rig, 0);
            back_steps(&rig, 1);
            front_take(&rig, 0);
        }
        assert_in_range(looks, 5, 30);
        back_steps(&rig, 3);
    }
    front_put(&rig, 0, &request);
    front_publish(&rig, 0);
    back_set(&rig, BACK_FRONT, "state", "5");
    back_steps(&rig, 1);
    assert_int_equal(back_get(&rig, BACK_BACK, "state"), 5);
    back_down(&rig);
}

/* One frontend after the other, each different from the last. */
static void test_many_frontends(void **state)
{
    struct back_rig rig;
    uint64_t allocated = 0;

    (void)state;
    back_up(&rig, 0);
    rig.config.queues = 8;
    back_start(&rig);
    for (uint32_t i = 0; i < 200; i++) {
        struct back_front front = {.abi = (enum xenpv_abi)(i % 3),
                                   .queues = i % 9,
                                   .order = i % 5,
                                   .naming = i % 5 ? BACK_PAGE_ORDER : BACK_RING_REF,
                                   .persistent = i % 2};

        front_connect(&rig, &front);
        assert_int_equal(front_move(&rig, i % 4, i, 0, 4096), XENPV_BLKIF_OKAY);
        front_close(&rig);
        /* What the mock keeps for its tables is there after the first ones. */
        if (i == 60)
            allocated = rig.heap.blocks;
        if (i > 60)
            assert_int_equal(rig.heap.blocks, allocated);
    }
    back_down(&rig);
}

/* blkif.h: a frontend may go on to 3 without waiting for 2. So it may when it comes again, and its
 * 1 may be gone by the time the backend looks. */
static void test_comes_again_unseen(void **state)
{
    static const char *const states[] = {"3", "4"};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    for (size_t i = 0; i < 4; i++) {
        front_connect(&rig, &(struct back_front){.queues = i % 2 ? 2 : 0});
        front_close(&rig);
        front_share(&rig, &(struct back_front){.persistent = i % 2});
        back_set(&rig, BACK_FRONT, "state", "1");
        back_set(&rig, BACK_FRONT, "state", states[i / 2]);
        back_until(&rig, 4);
        assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE, 0, 0, 4096), XENPV_BLKIF_OKAY);
        front_close(&rig);
    }
    back_down(&rig);
}

/* A backend that is made anew takes up where the answers end. */
static void test_restart(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 1};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    request.seg[0] = front_segment(&rig, 0, 0, 7);
    for (request.id = 1; request.id <= 5; request.id++)
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_OKAY);
    xenpv_blkback_destroy(rig.back);
    back_assert_holds(&rig, 0, 0);
    front_put(&rig, 0, &request); /* 6 */
    front_publish(&rig, 0);
    back_set(&rig, BACK_BACK, "state", "1");
    back_start(&rig);
    back_until(&rig, 4); /* the frontend is still at 4 */
    back_steps(&rig, 1);
    assert_int_equal(front_take(&rig, 0).id, 6);
    back_down(&rig);
}

/* ---- ends that nobody announced -------------------------------------------------------------- */

/* The frontend's domain dies: nothing of it stays mapped; a new one in its place is served. */
static void test_frontend_dies(void **state)
{
    struct xenpv_mock_vbd vbd = {.frontend = 1, .vdev = 51712, .params = "memory"};
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 11};
    struct back_rig rig;

    (void)state;
    for (int online = 0; online < 2; online++) {
        back_up(&rig, 0);
        back_start(&rig);
        front_connect(&rig, &(struct back_front){.queues = 2, .persistent = true});
        for (uint32_t i = 0; i < 11; i++)
            request.seg[i] = front_segment(&rig, i, 0, 7);
        assert_int_equal(front_ask(&rig, 0, &request), XENPV_BLKIF_OKAY);
        back_assert_holds(&rig, 13, 2);
        front_put(&rig, 1, &request);
        xenpv_ring_publish(&rig.queue[1].ring);
        back_set_number(&rig, BACK_BACK, "online", (uint64_t)online);
        assert_int_equal(xenpv_mock_remove_domain(rig.mock, 1), XENPV_OK);
        back_steps(&rig, 5);
        back_assert_holds(&rig, 0, 0);
        assert_int_equal(xenpv_blkback_queues(rig.back), 0);
        for (int i = 0; i < 20; i++) {
            xenpv_mock_advance(rig.mock, 1000);
            back_steps(&rig, 2);
        }
        assert_int_equal(xenpv_blkback_step(rig.back, now(&rig)), XENPV_BUS_DONE);
        /* Whoever played the domain forgets what it had. */
        rig.connected = false;
        for (uint32_t i = 0; i < 2; i++)
            rig.front_port.event->forget(rig.front_port.ctx, rig.queue[i].port);
        rig.front_port.grant->forget(rig.front_port.ctx, &rig.rings);
        rig.front_port.grant->forget(rig.front_port.ctx, &rig.data);
        free(rig.data_refs);
        xenpv_mock_remove_vbd(rig.mock, &vbd);
        assert_int_equal(xenpv_mock_add_domain(rig.mock, 1), XENPV_OK);
        assert_int_equal(xenpv_mock_port(rig.mock, 1, &rig.front_port), XENPV_OK);
        assert_int_equal(xenpv_mock_add_vbd(rig.mock, &vbd), XENPV_OK);
        assert_int_equal(xenpv_blkback_start(rig.back, now(&rig)), XENPV_OK);
        front_connect(&rig, &(struct back_front){.persistent = true});
        assert_int_equal(front_move(&rig, XENPV_BLKIF_READ, 0, 0, 4096), XENPV_BLKIF_OKAY);
        back_down(&rig);
    }
}

/* The backend's own domain was suspended: its channels are forgotten, never closed (the mock says
 * so), its mappings go; it ends, and can be started again. */
static void test_suspended(void **state)
{
    struct back_rig rig;

    (void)state;
    for (int way = 0; way < 4; way++) {
        back_up(&rig, 0);
        back_start(&rig);
        front_connect(&rig, &(struct back_front){.queues = 2, .persistent = true});
        assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE, 0, 0, 8192), XENPV_BLKIF_OKAY);
        assert_int_equal(xenpv_mock_suspend(rig.mock, 0), XENPV_OK);
        if (way == 1)
            xenpv_blkback_close(rig.back, now(&rig));
        if (way == 2)
            back_set(&rig, BACK_FRONT, "state", "5");
        if (way == 3) {
            xenpv_blkback_destroy(rig.back);
            back_assert_holds(&rig, 0, 0);
            rig.back = NULL;
            front_end(&rig);
            back_free(&rig);
            continue;
        }
        assert_int_equal(xenpv_blkback_step(rig.back, now(&rig)), XENPV_BUS_DONE);
        assert_int_equal(xenpv_blkback_detail(rig.back)->error, XENPV_ESTALE);
        back_assert_holds(&rig, 0, 0);
        front_end(&rig);
        assert_int_equal(xenpv_blkback_start(rig.back, now(&rig)), XENPV_OK);
        back_set(&rig, BACK_FRONT, "state", "6");
        back_until(&rig, 6);
        front_connect(&rig, &(struct back_front){0});
        assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE, 0, 0, 8192), XENPV_BLKIF_OKAY);
        back_down(&rig);
    }
}

/* ---- what it says of itself ------------------------------------------------------------------ */

static void test_handles(void **state)
{
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    rig.back_port.caps |= XENPV_CAP_WAIT;
    back_start(&rig);
    assert_int_equal(xenpv_blkback_start(rig.back, 0), XENPV_EBUSY);
    assert_int_equal(xenpv_blkback_queues(rig.back), 0);
    assert_int_equal(xenpv_blkback_wait_handle(rig.back, 0), XENPV_NO_HANDLE);
    back_until(&rig, 2);
    front_share(&rig, &(struct back_front){.queues = 3});
    back_set(&rig, BACK_FRONT, "state", "4");
    while (xenpv_blkback_queues(rig.back) == 0)
        back_steps(&rig, 1);
    assert_int_equal(xenpv_blkback_queues(rig.back), 3);
    /* There may be requests on the rings, of which nobody will tell. */
    assert_int_equal(xenpv_blkback_deadline(rig.back), 0);
    for (uint32_t q = 0; q < 64; q++)
        assert_int_equal(xenpv_blkback_wait_handle(rig.back, q) != XENPV_NO_HANDLE, q < 3);
    assert_int_equal(xenpv_blkback_wait_handle(rig.back, UINT32_MAX), XENPV_NO_HANDLE);
    front_close(&rig);
    assert_int_equal(xenpv_blkback_wait_handle(rig.back, 0), XENPV_NO_HANDLE);
    rig.back_port.caps &= ~(uint32_t)XENPV_CAP_WAIT;
    back_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_create_without_memory),
        cmocka_unit_test(test_connect_without_memory),
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_late),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_close_under_load),
        cmocka_unit_test(test_many_frontends),
        cmocka_unit_test(test_comes_again_unseen),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_frontend_dies),
        cmocka_unit_test(test_suspended),
        cmocka_unit_test(test_handles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
