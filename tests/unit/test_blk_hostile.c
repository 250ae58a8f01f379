/* SPDX-License-Identifier: MIT */
/* A backend that lies: each check notices its lie and nothing else; legal oddities trip none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "hostile_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEEP         UINT64_MAX /* the id of the request itself */

/* ---- responses ------------------------------------------------------------------------------- */

struct answer {
    uint64_t id; /* KEEP, or what to answer instead */
    int op;      /* -1: the request's own */
    int16_t status;
};

/* Two reads are outstanding, of ids A and B; what the backend answers, and what comes of it. */
static const struct {
    const char *name;
    struct answer answers[3];
    uint32_t count;
    uint32_t jump; /* added to rsp_prod beyond what was answered */
    uint32_t check;
    int status; /* of the first operation */
} lies[] = {
    {"FE-05 id one too large", {{32, -1, 0}}, 1, 0, XENPV_CHECK_RSP_ID, XENPV_EBROKEN},
    {"FE-05 id 65535", {{65535, -1, 0}}, 1, 0, XENPV_CHECK_RSP_ID, XENPV_EBROKEN},
    {"FE-05 id 2^32", {{UINT64_C(1) << 32, -1, 0}}, 1, 0, XENPV_CHECK_RSP_ID, XENPV_EBROKEN},
    {"FE-05 id 2^63", {{UINT64_C(1) << 63, -1, 0}}, 1, 0, XENPV_CHECK_RSP_ID, XENPV_EBROKEN},
    {"FE-06 id of an idle slot", {{0, -1, 0}}, 1, 0, XENPV_CHECK_RSP_INFLIGHT, XENPV_EBROKEN},
    {"FE-07 the same id twice", {{KEEP, -1, 0}, {31, -1, 0}}, 2, 0, XENPV_CHECK_RSP_INFLIGHT, 0},
    {"FE-08 another operation", {{KEEP, 1, 0}}, 1, 0, XENPV_CHECK_RSP_OP, XENPV_EBROKEN},
    {"FE-01 a ring too many", {{KEEP, -1, 0}}, 1, 33, XENPV_CHECK_RSP_PROD, XENPV_EBROKEN},
    {"FE-01 2^31 too many", {{KEEP, -1, 0}}, 1, 1u << 31, XENPV_CHECK_RSP_PROD, XENPV_EBROKEN},
    {"FE-01 backwards by one", {{KEEP, -1, 0}}, 0, UINT32_MAX, XENPV_CHECK_RSP_PROD, XENPV_EBROKEN},
    {"FE-10 more than outstanding", {{KEEP, -1, 0}}, 1, 2, XENPV_CHECK_RSP_PROD, XENPV_EBROKEN},
    {"twin: exactly what is outstanding", {{KEEP, -1, 0}, {30, -1, 0}}, 2, 0, 0, 0},
    {"twin: in the other order", {{30, -1, 0}, {KEEP, -1, 0}}, 2, 0, 0, 0},
    {"twin: an error", {{KEEP, -1, -1}}, 1, 0, 0, XENPV_EIO},
    {"twin: not supported", {{KEEP, -1, -2}}, 1, 0, 0, XENPV_ENOTSUP},
    {"twin: an unknown status", {{KEEP, -1, 77}}, 1, 0, 0, XENPV_EIO},
};

/* The first operation's status, or 1 while it is pending. */
static int poll_first(struct rig *rig, const void *first)
{
    struct xenpv_completion done[2];
    int count = xenpv_blkq_poll(rig->q, done, 2), status = 1;

    for (int i = 0; i < count; i++) {
        if (done[i].user == first)
            status = done[i].status;
    }
    return status;
}

static void answer_all(struct hostile *hostile, const struct xenpv_blkif_request *request,
                       const struct answer *answers, uint32_t count, uint32_t jump)
{
    for (uint32_t i = 0; i < count; i++)
        hostile_put(hostile, answers[i].id == KEEP ? request->id : answers[i].id,
                    answers[i].op < 0 ? request->op : (uint8_t)answers[i].op, answers[i].status);
    hostile->ring.prod += jump;
    hostile_publish(hostile);
    hostile->ring.prod -= jump;
}

static void test_responses(void **state)
{
    uint8_t data[2][512];
    struct xenpv_iov iov[2] = {{data[0], 512}, {data[1], 512}};

    (void)state;
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct rig rig;
        struct hostile hostile;
        struct xenpv_blkif_request first, second;

        print_message("  %s\n", lies[i].name);
        rig_up(&rig, &(struct rig_options){.no_backend = true});
        hostile_offer(&rig);
        hostile_connect(&rig, &hostile);
        for (int k = 0; k < 2; k++)
            assert_int_equal(xenpv_blkq_readv(rig.q, 0, &iov[k], 1, &iov[k]), XENPV_OK);
        xenpv_blkq_submit(rig.q);
        hostile_take(&hostile, &first);
        hostile_take(&hostile, &second);
        assert_int_equal(first.id, 31);
        assert_int_equal(second.id, 30);
        answer_all(&hostile, &first, lies[i].answers, lies[i].count, lies[i].jump);
        assert_int_equal(poll_first(&rig, &iov[0]), lies[i].status);
        rig_step(&rig);
        assert_int_equal(xenpv_blk_detail(rig.blk)->check, lies[i].check);
        if (lies[i].check) {
            assert_int_equal(xenpv_blkq_pending(rig.q), 0);
            hostile_close(&rig, &hostile, XENPV_BLK_FAILED);
            assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_EBROKEN);
            /* A fresh connect repairs it. */
            hostile_connect(&rig, &hostile);
        }
        /* What was not answered ends with the connection. */
        rig_set(&rig, RIG_BACKEND_PATH, "state", "5");
        hostile_close(&rig, &hostile, XENPV_BLK_FAILED);
        assert_int_equal(xenpv_blkq_pending(rig.q), 0);
        rig_down(&rig);
    }
}

/* FE-09: the id of a request that is filled but not shown yet. */
static void test_unpublished_id(void **state)
{
    struct rig rig;
    struct hostile hostile;
    struct xenpv_blkif_request request;
    struct xenpv_completion done;
    uint8_t data[2][100];
    struct xenpv_iov iov[2] = {{data[0], 512}, {data[1], 100}};
    uint8_t sector[512];

    (void)state;
    iov[0].base = sector;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    hostile_offer(&rig);
    hostile_connect(&rig, &hostile);
    /* A partial write reads first; the write that follows is filled in by poll, in the same slot.
     */
    assert_int_equal(xenpv_blkq_writev(rig.q, 0, &iov[1], 1, NULL), XENPV_OK);
    assert_int_equal(xenpv_blkq_readv(rig.q, 512, &iov[0], 1, NULL), XENPV_OK);
    xenpv_blkq_submit(rig.q);
    hostile_take(&hostile, &request);
    assert_int_equal(request.op, XENPV_BLKIF_READ);
    hostile_put(&hostile, request.id, XENPV_BLKIF_READ, 0);
    hostile_put(&hostile, request.id, XENPV_BLKIF_WRITE, 0);
    hostile_publish(&hostile);
    assert_int_equal(xenpv_blkq_poll(rig.q, &done, 1), 1);
    assert_int_equal(done.status, XENPV_EBROKEN);
    rig_step(&rig);
    assert_int_equal(xenpv_blk_detail(rig.blk)->check, XENPV_CHECK_RSP_INFLIGHT);
    assert_int_equal(xenpv_blkq_poll(rig.q, &done, 1), 1);
    hostile_close(&rig, &hostile, XENPV_BLK_FAILED);
    rig_down(&rig);
}

/* A legal oddity: a request that is answered after so many later ones that the ring went round. */
static void test_overtaken_request(void **state)
{
    uint8_t data[2][512];
    struct xenpv_iov iov[2] = {{data[0], 512}, {data[1], 512}};
    struct xenpv_blkif_request slow, request;
    struct hostile hostile;
    struct rig rig;

    (void)state;
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    hostile_offer(&rig);
    hostile_connect(&rig, &hostile);
    assert_int_equal(xenpv_blkq_readv(rig.q, 0, &iov[0], 1, data[0]), 0);
    xenpv_blkq_submit(rig.q);
    hostile_take(&hostile, &slow);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(xenpv_blkq_readv(rig.q, 512, &iov[1], 1, data[1]), 0);
        xenpv_blkq_submit(rig.q);
        hostile_take(&hostile, &request);
        hostile_put(&hostile, request.id, request.op, 0);
        hostile_publish(&hostile);
        assert_int_equal(poll_first(&rig, data[1]), 0);
    }
    hostile_put(&hostile, slow.id, slow.op, 0);
    hostile_publish(&hostile);
    assert_int_equal(poll_first(&rig, data[0]), 0);
    xenpv_blk_close(rig.blk, xenpv_mock_now(rig.mock));
    hostile_close(&rig, &hostile, XENPV_BLK_CLOSED);
    rig_down(&rig);
}

/* FE-01 again with indexes about to wrap: nothing trips while the backend is honest. */
static void test_indexes_wrap(void **state)
{
    struct rig rig;
    struct xenpv_blkback_stats stats;
    uint8_t data[512];

    (void)state;
    rig_up(&rig, &(struct rig_options){0});
    rig_connect(&rig);
    for (uint32_t i = 0; i < 3000; i++)
        assert_int_equal(rig_read(&rig, (uint64_t)(i % 2048) * 512, data, 512), XENPV_OK);
    xenpv_blkback_stats(rig.back, &stats);
    assert_int_equal(stats.requests, 3000);
    rig_close(&rig);
    rig_down(&rig);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* LC-08 and FE-31: what stands in a key, and what the frontend makes of it. */
static const struct {
    const char *dir, *key, *value;
    uint32_t check; /* 0: it connects, or fails with `error` for another reason */
    int error;
    uint64_t bytes; /* of the disk, when it connects */
    uint32_t sector_size;
} keys[] = {
    {RIG_BACKEND_PATH, "sectors", "2048", 0, 0, 1 << 20, 512},
    {RIG_BACKEND_PATH, "sectors", "0", 0, 0, 0, 512},
    {RIG_BACKEND_PATH, "sectors", "18014398509481984", 0, 0, UINT64_C(1) << 63, 512},
    {RIG_BACKEND_PATH, "sectors", "18014398509481985", XENPV_CHECK_SECTORS, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sectors", "18446744073709551615", XENPV_CHECK_SECTORS, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sectors", "18446744073709551616", 0, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sectors", "", 0, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sectors", "-1", 0, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sectors", "0x10", 0, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sectors", "1 ", 0, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sectors", NULL, 0, XENPV_EPEER, 0, 0},
    {RIG_BACKEND_PATH, "sector-size", "4096", 0, 0, 1 << 20, 4096},
    {RIG_BACKEND_PATH, "sector-size", NULL, 0, 0, 1 << 20, 512},
    {RIG_BACKEND_PATH, "sector-size", "junk", XENPV_CHECK_SECTOR_SIZE, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sector-size", "0", XENPV_CHECK_SECTOR_SIZE, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sector-size", "1", XENPV_CHECK_SECTOR_SIZE, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sector-size", "513", XENPV_CHECK_SECTOR_SIZE, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sector-size", "65536", XENPV_CHECK_SECTOR_SIZE, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "sector-size", "2147483648", XENPV_CHECK_SECTOR_SIZE, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "physical-sector-size", "4096", 0, 0, 1 << 20, 512},
    {RIG_BACKEND_PATH, "physical-sector-size", "256", XENPV_CHECK_PHYS_SECTOR, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "physical-sector-size", "0", XENPV_CHECK_PHYS_SECTOR, XENPV_EBROKEN, 0, 0},
    {RIG_BACKEND_PATH, "max-ring-page-order", "4294967296", 0, 0, 1 << 20, 512},
    {RIG_BACKEND_PATH, "multi-queue-max-queues", "0", 0, 0, 1 << 20, 512},
    {RIG_FRONTEND_PATH, "backend-id", "32752", XENPV_CHECK_BACKEND_ID, XENPV_EBROKEN, 0, 0},
    {RIG_FRONTEND_PATH, "backend-id", "4294967296", XENPV_CHECK_BACKEND_ID, XENPV_EBROKEN, 0, 0},
    {RIG_FRONTEND_PATH, "backend-id", "", XENPV_CHECK_BACKEND_ID, XENPV_EBROKEN, 0, 0},
    {RIG_FRONTEND_PATH, "backend", "relative", 0, XENPV_E2BIG, 0, 0},
    {RIG_FRONTEND_PATH, "backend", NULL, 0, XENPV_ENOENT, 0, 0},
};

static void check_key(size_t i)
{
    struct rig rig;
    struct hostile hostile;
    struct xenpv_blk_info info;
    char node[256];

    print_message("  %s = %s\n", keys[i].key, keys[i].value ? keys[i].value : "(none)");
    rig_up(&rig, &(struct rig_options){.no_backend = true});
    hostile_offer(&rig);
    if (keys[i].value)
        rig_set(&rig, keys[i].dir, keys[i].key, keys[i].value);
    else
        xenpv_mock_rm(rig.mock,
                      (snprintf(node, sizeof(node), "%s/%s", keys[i].dir, keys[i].key), node));
    if (keys[i].error == 0) {
        hostile_connect(&rig, &hostile);
        xenpv_blk_info(rig.blk, &info);
        assert_int_equal(info.bytes, keys[i].bytes);
        assert_int_equal(info.sector_size, keys[i].sector_size);
        xenpv_blk_close(rig.blk, xenpv_mock_now(rig.mock));
        hostile_close(&rig, &hostile, XENPV_BLK_CLOSED);
    } else {
        xenpv_blk_connect(rig.blk, 0);
        rig_set(&rig, RIG_BACKEND_PATH, "state", "2");
        for (int k = 0; k < 5; k++)
            rig_step(&rig);
        rig_set(&rig, RIG_BACKEND_PATH, "state", "4");
        for (int k = 0; k < 5; k++)
            rig_step(&rig);
        rig_set(&rig, RIG_BACKEND_PATH, "state", "6");
        rig_until(&rig, XENPV_BLK_FAILED);
        assert_int_equal(xenpv_blk_detail(rig.blk)->error, keys[i].error);
        assert_int_equal(xenpv_blk_detail(rig.blk)->check, keys[i].check);
        assert_non_null(strstr(xenpv_blk_detail(rig.blk)->key, keys[i].key));
    }
    rig_down(&rig);
}

static void test_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++)
        check_key(i);
}

/* ---- grants ---------------------------------------------------------------------------------- */

/* GT-02, GT-03: the backend says Closed but still maps the ring. */
static void test_backend_keeps_mapping(void **state)
{
    struct rig rig;
    struct hostile hostile;
    const struct xenpv_port *port = &rig.back_port;

    (void)state;
    for (int late = 0; late < 2; late++) {
        rig_up(&rig, &(struct rig_options){.no_backend = true});
        hostile_offer(&rig);
        hostile_connect(&rig, &hostile);
        xenpv_blk_close(rig.blk, xenpv_mock_now(rig.mock));
        for (int i = 0; i < 10; i++) {
            struct xenpv_completion done;
            rig_step(&rig);
            xenpv_blkq_poll(rig.q, &done, 1);
        }
        rig_set(&rig, RIG_BACKEND_PATH, "state", "6");
        for (int i = 0; i < 100; i++) {
            rig_step(&rig);
            xenpv_mock_advance(rig.mock, 10);
        }
        assert_int_equal(xenpv_blk_state(rig.blk), XENPV_BLK_CLOSING);
        if (late) {
            port->map->unmap(port->ctx, &hostile.map);
            rig_until(&rig, XENPV_BLK_CLOSED);
            assert_int_equal(xenpv_blk_abandoned(rig.blk), 0);
        } else {
            rig_until(&rig, XENPV_BLK_FAILED);
            assert_int_equal(xenpv_blk_detail(rig.blk)->error, XENPV_ETIMEDOUT);
            assert_int_equal(xenpv_blk_abandoned(rig.blk), 353);
            /* The page is not reused, so the backend's mapping still shows the old ring. */
            assert_int_equal(hostile.ring.in->prod, 0);
            port->map->unmap(port->ctx, &hostile.map);
        }
        port->event->close(port->ctx, hostile.port);
        if (late)
            rig_down(&rig);
        else
            rig_down_with_abandoned(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_unpublished_id),
        cmocka_unit_test(test_overtaken_request),
        cmocka_unit_test(test_indexes_wrap),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_backend_keeps_mapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
