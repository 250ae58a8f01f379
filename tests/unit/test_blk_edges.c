/* SPDX-License-Identifier: MIT */
/* The data path at its edges: alignment, vectors, indexes, sizes, and when to wait for an event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backend/blkback.h"
#include "core/blk_device.h"
#include "faulty_port.h"
#include "hostile_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- transfers ------------------------------------------------------------------------------- */

enum { SWEEP_BYTES = 1 << 19, SWEEP_VECTOR = 70 };

struct sweep {
    struct rig rig;
    uint32_t seed;
    uint8_t shadow[SWEEP_BYTES]; /* what the disk must hold */
    uint8_t data[SWEEP_BYTES];
    struct xenpv_iov iov[SWEEP_VECTOR];
};

/* Cuts the first `bytes` of the data into elements of any length, every fifth of none. */
static uint32_t cut(struct sweep *sweep, size_t bytes)
{
    uint32_t count = 0;

    for (size_t at = 0; at < bytes;) {
        size_t length = rig_random(&sweep->seed) % 5 ? rig_random(&sweep->seed) % 9000 : 0;

        if (count == SWEEP_VECTOR - 1 || length > bytes - at)
            length = bytes - at;
        sweep->iov[count++] = (struct xenpv_iov){length ? sweep->data + at : NULL, length};
        at += length;
    }
    return count;
}

static void sweep_once(struct sweep *sweep)
{
    struct xenpv_blkq *q = sweep->rig.q;
    uint32_t most = rig_random(&sweep->seed) % 3 ? 5000 : 200000;
    uint64_t offset = rig_random(&sweep->seed) % SWEEP_BYTES;
    size_t bytes = 1 + rig_random(&sweep->seed) % most;
    uint32_t count;

    if (bytes > SWEEP_BYTES - offset)
        bytes = SWEEP_BYTES - offset;
    count = cut(sweep, bytes);
    if (rig_random(&sweep->seed) % 2) {
        rig_fill(sweep->data, bytes, sweep->seed);
        assert_int_equal(xenpv_blkq_writev(q, offset, sweep->iov, count, NULL), XENPV_OK);
        assert_int_equal(rig_wait(&sweep->rig), XENPV_OK);
        memcpy(sweep->shadow + offset, sweep->data, bytes);
    } else {
        memset(sweep->data, 0xee, bytes + (offset + bytes < SWEEP_BYTES));
        assert_int_equal(xenpv_blkq_readv(q, offset, sweep->iov, count, NULL), XENPV_OK);
        assert_int_equal(rig_wait(&sweep->rig), XENPV_OK);
        assert_memory_equal(sweep->data, sweep->shadow + offset, bytes);
        if (offset + bytes < SWEEP_BYTES)
            assert_int_equal(sweep->data[bytes], 0xee);
    }
}

/* Every sector size and layout, with transfers of any place, length and vector. */
static void test_random_transfers(void **state)
{
    struct sweep *sweep = calloc(1, sizeof(*sweep));

    (void)state;
    for (uint32_t size = 512; size <= 32768; size *= 2) {
        for (int abi = 0; abi < XENPV_ABI_COUNT; abi++) {
            rig_up(&sweep->rig, &(struct rig_options){.bytes = SWEEP_BYTES,
                                                      .sector_size = size,
                                                      .abi = (enum xenpv_abi)abi});
            rig_connect(&sweep->rig);
            memset(sweep->shadow, 0, SWEEP_BYTES);
            sweep->seed = size + (uint32_t)abi;
            for (int i = 0; i < 200; i++)
                sweep_once(sweep);
            assert_int_equal(rig_read(&sweep->rig, 0, sweep->data, SWEEP_BYTES), XENPV_OK);
            assert_memory_equal(sweep->data, sweep->shadow, SWEEP_BYTES);
            rig_close(&sweep->rig);
            rig_down(&sweep->rig);
        }
    }
    free(sweep);
}

enum { ROW_BYTES = 1 << 16, ROW_WRITES = 200, ROW_LONGEST = 700 };

/* Unaligned writes that touch each other, as many at once as are taken: no byte of any is lost. */
static void check_row(uint32_t sector_size)
{
    static uint8_t expected[ROW_BYTES], found[ROW_BYTES];
    struct xenpv_iov iov[ROW_WRITES];
    struct xenpv_completion done;
    struct rig rig;
    uint32_t seed = sector_size, refused = 0;
    size_t at = 0;

    rig_up(&rig, &(struct rig_options){.bytes = ROW_BYTES, .sector_size = sector_size});
    rig_connect(&rig);
    rig_fill(expected, ROW_BYTES, seed);
    for (uint32_t i = 0; i < ROW_WRITES && at + ROW_LONGEST <= ROW_BYTES; i++) {
        int error;

        iov[i] = (struct xenpv_iov){expected + at, 1 + rig_random(&seed) % ROW_LONGEST};
        while ((error = xenpv_blkq_writev(rig.q, at, &iov[i], 1, NULL)) == XENPV_EFULL) {
            refused++;
            xenpv_blkq_poll(rig.q, &done, 1);
            rig_step(&rig);
        }
        assert_int_equal(error, XENPV_OK);
        at += iov[i].length;
    }
    assert_true(refused > 0);
    assert_true(rig_run(&rig, 1000, rig_drained));
    assert_int_equal(rig_read(&rig, 0, found, at), XENPV_OK);
    assert_memory_equal(found, expected, at);
    rig_close(&rig);
    rig_down(&rig);
}

static void test_adjacent_writes(void **state)
{
    (void)state;
    check_row(512);
    check_row(4096);
}

/* An element of no length may have no base: C allows no arithmetic on it. */
static void test_null_base(void **state)
{
    struct rig rig;
    uint8_t data[1024], found[1024];
    struct xenpv_iov iov[] = {{NULL, 0}, {data, 512}, {NULL, 0}, {data + 512, 512}, {NULL, 0}};

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    rig_fill(data, sizeof(data), 1);
    /* Whole sectors, and parts of them. */
    for (uint64_t offset = 0; offset < 200; offset += 100) {
        assert_int_equal(xenpv_blkq_writev(rig.q, offset, iov, COUNT(iov), NULL), XENPV_OK);
        assert_int_equal(rig_wait(&rig), XENPV_OK);
        assert_int_equal(rig_read(&rig, offset, found, sizeof(found)), XENPV_OK);
        assert_memory_equal(found, data, sizeof(data));
        memset(data, 0, sizeof(data));
        assert_int_equal(xenpv_blkq_readv(rig.q, offset, iov, COUNT(iov), NULL), XENPV_OK);
        assert_int_equal(rig_wait(&rig), XENPV_OK);
        assert_memory_equal(data, found, sizeof(data));
    }
    rig_close(&rig);
    rig_down(&rig);
}

/*
 * The indexes pass 2^32. Nobody sends so many requests in a test, so both ends are put where
 * 2^32 - 16 of them would have left them, private and shared indexes alike.
 */
static void test_indexes_pass_the_end(void **state)
{
    enum { BYTES = 1 << 20 };
    const uint32_t start = UINT32_MAX - 15;
    uint8_t *written = malloc(BYTES), *found = calloc(1, BYTES);
    struct xenpv_ring *front, *back;
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    for (int i = 0; i < 20; i++)
        rig_step(&rig);
    front = &rig.q->ring;
    back = &rig.back->queue[0].ring;
    front->prod = front->published = front->cons = start;
    back->prod = back->published = back->cons = start;
    *front->out = *front->in = (struct xenpv_ring_indexes){.prod = start, .event = start + 1};
    for (uint32_t i = 0; i < 8; i++) {
        rig_fill(written, BYTES, i);
        assert_int_equal(rig_write(&rig, 0, written, BYTES), XENPV_OK);
        assert_int_equal(rig_read(&rig, 0, found, BYTES), XENPV_OK);
        assert_memory_equal(found, written, BYTES);
    }
    assert_in_range(front->prod, 1, 1000);
    rig_close(&rig);
    rig_down(&rig);
    free(written);
    free(found);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* A disk of 2^63 bytes, the largest there can be: its last byte is reached, the next one is not. */
static void test_largest_disk(void **state)
{
    const uint64_t end = UINT64_C(1) << 63;
    static const struct {
        uint64_t from_end; /* where it begins */
        size_t lengths[2];
        int expected;
    } refused[] = {
        {1023, {1024}, XENPV_ERANGE},
        {1024, {1024, 1}, XENPV_ERANGE},
        {0, {1}, XENPV_ERANGE},
        {UINT64_C(1) << 63, {SIZE_MAX / 2 + 1, 1}, XENPV_ERANGE},
        {UINT64_C(1) << 63, {SIZE_MAX, 1}, XENPV_EINVAL},
        {UINT64_C(1) << 63, {SIZE_MAX, SIZE_MAX}, XENPV_EINVAL},
    };
    struct rig rig;
    struct hostile hostile;
    struct xenpv_blkif_request request;
    uint8_t data[1024] = {0};
    struct xenpv_iov iov[2] = {{data, sizeof(data)}, {data, 1}};

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    hostile_offer(&rig);
    rig_set(&rig, RIG_BACKEND_PATH, "sectors", "18014398509481984");
    rig_set(&rig, RIG_BACKEND_PATH, "sector-size", "4096");
    hostile_connect(&rig, &hostile);
    for (size_t i = 0; i < COUNT(refused); i++) {
        uint64_t offset = end - refused[i].from_end;
        struct xenpv_iov bad[2] = {{data, refused[i].lengths[0]}, {data, refused[i].lengths[1]}};

        assert_int_equal(xenpv_blkq_readv(rig.q, offset, bad, 2, NULL), refused[i].expected);
        assert_int_equal(xenpv_blkq_writev(rig.q, offset, bad, 2, NULL), refused[i].expected);
    }
    assert_int_equal(xenpv_blkq_readv(rig.q, UINT64_MAX, &iov[1], 1, NULL), XENPV_ERANGE);
    assert_int_equal(xenpv_blkq_writev(rig.q, end - 1024, iov, 1, NULL), XENPV_OK);
    xenpv_blkq_submit(rig.q);
    hostile_take(&hostile, &request);
    assert_int_equal(request.op, XENPV_BLKIF_READ);
    assert_int_equal(request.sector, (end - 4096) / 512);
    assert_int_equal(request.nr_segments, 1);
    hostile_put(&hostile, request.id, request.op, XENPV_BLKIF_ERROR);
    hostile_publish(&hostile);
    assert_int_equal(rig_wait(&rig), XENPV_EIO);
    xenpv_blk_close(rig.blk, xenpv_mock_now(rig.mock));
    hostile_close(&rig, &hostile, XENPV_BLK_CLOSED);
    rig_down(&rig);
}

/* Looking fails over no property; what cannot be is not shown, and the rest stays after a close. */
static void test_inspect_odd_disks(void **state)
{
    static const struct {
        const char *key, *value;
        uint64_t bytes;
        uint32_t sector_size;
    } table[] = {
        {"sectors", "2048", 1 << 20, 512},
        {"sectors", "18014398509481984", UINT64_C(1) << 63, 512},
        /* 2^54 + 1, and 2^55 + 1, which times 512 is 512 again */
        {"sectors", "18014398509481985", 0, 512},
        {"sectors", "36028797018963969", 0, 512},
        {"sector-size", "4096", 1 << 20, 4096},
        /* longer than any number: what fits of it reads as 1024 */
        {"sector-size", "0000000000000000000000000000000000010249999", 1 << 20, 512},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct rig rig;
        struct xenpv_blk_info info;

        rig_up(&rig, &(struct rig_options){.no_backend = true});
        hostile_offer(&rig);
        rig_set(&rig, RIG_BACKEND_PATH, table[i].key, table[i].value);
        assert_int_equal(xenpv_blk_inspect(rig.blk, 0), XENPV_OK);
        rig_until(&rig, XENPV_BLK_CLOSED);
        for (int closed = 0; closed < 2; closed++) {
            xenpv_blk_info(rig.blk, &info);
            assert_int_equal(info.bytes, table[i].bytes);
            assert_int_equal(info.sector_size, table[i].sector_size);
            xenpv_blk_close(rig.blk, 1);
        }
        rig_down(&rig);
    }
}

/* ---- waiting for an event -------------------------------------------------------------------- */

/* A queue that may sleep: the port has handles. */
static void connect_with_handles(struct rig *rig, struct faulty_port *faulty)
{
    faulty_wrap(faulty, &rig->front_port);
    rig->front_port.caps |= XENPV_CAP_WAIT;
    rig_connect(rig);
    for (int i = 0; i < 20; i++)
        rig_step(rig);
}

/* What was accepted and not submitted brings no event: the thread must not sleep on it. */
static void test_arm_with_something_unsent(void **state)
{
    struct rig rig;
    struct faulty_port faulty;
    uint8_t data[512];
    struct xenpv_iov iov = {data, sizeof(data)};

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    connect_with_handles(&rig, &faulty);
    assert_int_equal(xenpv_blkq_arm(rig.q), 0);
    assert_int_equal(xenpv_blkq_readv(rig.q, 0, &iov, 1, NULL), XENPV_OK);
    assert_int_equal(xenpv_blkq_arm(rig.q), 1);
    xenpv_blkq_submit(rig.q);
    assert_int_equal(xenpv_blkq_arm(rig.q), 0);
    rig_step(&rig);
    assert_int_equal(xenpv_blkq_arm(rig.q), 1);
    assert_int_equal(rig_wait(&rig), XENPV_OK);
    rig_close(&rig);
    rig_down(&rig);
}

static void note_take(void *ctx, const char *call)
{
    bool *taken = ctx;

    *taken |= strcmp(call, "take") == 0;
}

/* After a suspend port numbers begin anew: ours, and its event, may be another device's by then. */
static void test_arm_takes_no_other_event(void **state)
{
    struct rig rig;
    struct faulty_port faulty;
    bool taken = false;

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    connect_with_handles(&rig, &faulty);
    faulty.before = note_take;
    faulty.before_ctx = &taken;
    assert_int_equal(xenpv_blkq_arm(rig.q), 0);
    assert_true(taken);
    taken = false;
    xenpv_mock_suspend(rig.mock, 1);
    assert_int_equal(xenpv_blkq_arm(rig.q), 1);
    assert_false(taken);
    rig_until(&rig, XENPV_BLK_FAILED);
    rig_down(&rig);
}

/* ---- after the end --------------------------------------------------------------------------- */

/* The port keeps the pages until the backend lets go: the queue touches them no more. */
static void test_deferred_end(void **state)
{
    struct rig rig;
    struct hostile hostile;
    struct xenpv_completion done;
    uint8_t data[512];
    struct xenpv_iov iov = {data, sizeof(data)};

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    assert_int_equal(xenpv_mock_set_deferred_end(rig.mock, 1, true), XENPV_OK);
    hostile_offer(&rig);
    hostile_connect(&rig, &hostile);
    assert_int_equal(xenpv_blkq_readv(rig.q, 0, &iov, 1, NULL), XENPV_OK);
    xenpv_blkq_submit(rig.q);
    rig_set(&rig, RIG_BACKEND_PATH, "state", "6");
    assert_true(rig_run(&rig, 1000, rig_over));
    assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_FAILED);
    assert_true(rig_drained(&rig));
    assert_int_equal(xenpv_blk_abandoned(rig.blk), 0);
    /* Here the pages are freed. */
    rig.back_port.map->unmap(rig.back_port.ctx, &hostile.map);
    rig.back_port.event->close(rig.back_port.ctx, hostile.port);
    xenpv_blkq_submit(rig.q);
    assert_int_equal(xenpv_blkq_arm(rig.q), 1);
    assert_int_equal(xenpv_blkq_poll(rig.q, &done, 1), XENPV_EPARKED);
    assert_int_equal(xenpv_blkq_readv(rig.q, 0, &iov, 1, NULL), XENPV_EPARKED);
    assert_int_equal(xenpv_blkq_flush(rig.q, NULL), XENPV_EPARKED);
    xenpv_blk_close(rig.blk, xenpv_mock_now(rig.mock));
    assert_int_equal(xenpv_blk_step(rig.blk, xenpv_mock_now(rig.mock)), XENPV_BLK_FAILED);
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_transfers),
        cmocka_unit_test(test_adjacent_writes),
        cmocka_unit_test(test_null_base),
        cmocka_unit_test(test_indexes_pass_the_end),
        cmocka_unit_test(test_largest_disk),
        cmocka_unit_test(test_inspect_odd_disks),
        cmocka_unit_test(test_arm_with_something_unsent),
        cmocka_unit_test(test_arm_takes_no_other_event),
        cmocka_unit_test(test_deferred_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
