/* SPDX-License-Identifier: MIT */
#include "blk_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

const struct rig_offer rig_oldest = {.queues = 1};

static void set_up_disk(struct rig *rig, const struct rig_options *options)
{
    uint64_t bytes = options->bytes ? options->bytes : 1 << 20;
    int (*make)(const struct xenpv_allocator *, uint64_t, struct xenpv_disk *) =
        options->kind == RIG_VOLATILE ? xenpv_disk_volatile : xenpv_disk_memory;

    assert_int_equal(make(&rig->allocator, bytes, &rig->disk), XENPV_OK);
    rig->disk.readonly = options->readonly;
    if (options->sector_size)
        rig->disk.sector_size = options->sector_size;
    if (options->no_flush)
        rig->disk.flush = NULL, rig->disk.barrier = false;
}

/* ---- the machine ----------------------------------------------------------------------------- */

static struct xenpv_mock_vbd vbd_of(const struct rig *rig)
{
    return (struct xenpv_mock_vbd){
        .frontend = 1, .backend = rig->backend, .vdev = RIG_VDEV, .params = "memory"};
}

void rig_make(struct rig *rig, uint16_t backend, bool readonly)
{
    struct xenpv_mock_vbd vbd;

    rig->backend = backend;
    snprintf(rig->backend_path, sizeof(rig->backend_path), "/local/domain/%u/backend/vbd/1/%u",
             backend, RIG_VDEV);
    if (backend && xenpv_mock_port(rig->mock, backend, &rig->back_port) != XENPV_OK)
        assert_int_equal(xenpv_mock_add_domain(rig->mock, backend), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, backend, &rig->back_port), XENPV_OK);
    vbd = vbd_of(rig);
    vbd.readonly = readonly;
    assert_int_equal(xenpv_mock_add_vbd(rig->mock, &vbd), XENPV_OK);
}

void rig_remove(struct rig *rig)
{
    struct xenpv_mock_vbd vbd = vbd_of(rig);

    assert_int_equal(xenpv_mock_remove_vbd(rig->mock, &vbd), XENPV_OK);
}

static void make_machine(struct rig *rig, const struct rig_options *options, void (*lock)(void *),
                         void (*unlock)(void *))
{
    struct xenpv_mock_config config = {
        .size = sizeof(config), .limits = options->limits, .log = strict_log};

    rig->allocator = strict_allocator(&rig->heap);
    config.allocator = rig->allocator;
    config.lock = lock;
    config.unlock = unlock;
    assert_int_equal(xenpv_mock_create(&config, &rig->mock), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(rig->mock, 1), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, 1, &rig->front_port), XENPV_OK);
    rig_make(rig, options->backend, options->readonly);
    if (options->untrusted)
        rig_set(rig, RIG_FRONTEND_PATH, "trusted", "0");
}

/* ---- the ends -------------------------------------------------------------------------------- */

void rig_start_back(struct rig *rig, const struct rig_offer *offer)
{
    struct xenpv_blkback_config config;

    assert_null(rig->back);
    xenpv_blkback_config_init(&config, &rig->back_port, rig->backend_path, &rig->disk,
                              &rig->allocator);
    if (offer) {
        config.queues = offer->queues;
        config.ring_order = offer->ring_order;
        config.segments = offer->segments;
        config.persistent = offer->persistent;
        config.units = offer->units;
    }
    assert_int_equal(xenpv_blkback_create(&config, &rig->back), XENPV_OK);
    assert_int_equal(xenpv_blkback_start(rig->back, xenpv_mock_now(rig->mock)), XENPV_OK);
}

void rig_kill_back(struct rig *rig)
{
    xenpv_blkback_destroy(rig->back);
    rig->back = NULL;
}

void rig_close_back(struct rig *rig)
{
    xenpv_blkback_close(rig->back, xenpv_mock_now(rig->mock));
    for (int i = 0; i < 20000; i++) {
        if (xenpv_blkback_step(rig->back, xenpv_mock_now(rig->mock)) == XENPV_BUS_DONE) {
            rig_kill_back(rig);
            return;
        }
        xenpv_blk_step(rig->blk, xenpv_mock_now(rig->mock));
        rig_poll_all(rig);
        xenpv_mock_advance(rig->mock, 1);
    }
    fail_msg("the backend does not end");
}

static uint32_t or_else(uint32_t number, uint32_t otherwise)
{
    return number ? number : otherwise;
}

static void make_frontend(struct rig *rig, const struct rig_options *options)
{
    struct xenpv_blk_config config;

    xenpv_blk_config_init(&config, &rig->front_port, RIG_FRONTEND_PATH);
    config.queues = or_else(options->queues, config.queues);
    config.ring_order = options->ring_order;
    config.segments = or_else(options->segments, config.segments);
    config.operations = or_else(options->operations, config.operations);
    config.buffer_pages = or_else(options->buffer_pages, config.buffer_pages);
    config.shared_pages = options->shared_pages;
    config.without = options->without;
    config.recover_ms = options->recover_ms;
    config.poll = options->poll;
    config.own_memory = options->own_memory;
    config.abi = options->abi;
    config.units = options->units;
    if (options->slow_clock)
        config.connect_ms = config.close_ms = 0;
    rig->queues = config.queues;
    rig->memory = aligned_alloc(16, (xenpv_blk_size(&config) + 15) & ~(size_t)15);
    assert_non_null(rig->memory);
    memset(rig->memory, 0xa5, xenpv_blk_size(&config)); /* what is not set shows */
    assert_int_equal(xenpv_blk_init(rig->memory, &config, &rig->blk), XENPV_OK);
    rig->q = xenpv_blk_queue(rig->blk, 0);
}

void rig_up(struct rig *rig, const struct rig_options *options)
{
    rig_up_locked(rig, options, NULL, NULL);
}

void rig_up_locked(struct rig *rig, const struct rig_options *options, void (*lock)(void *),
                   void (*unlock)(void *))
{
    *rig = (struct rig){0};
    make_machine(rig, options, lock, unlock);
    set_up_disk(rig, options);
    if (!options->no_backend)
        rig_start_back(rig, options->offer);
    make_frontend(rig, options);
}

static void assert_held(struct rig *rig, uint16_t domid, uint32_t grants)
{
    struct xenpv_mock_ledger ledger, expected = {.grants = grants};

    assert_int_equal(xenpv_mock_ledger(rig->mock, domid, &ledger), XENPV_OK);
    assert_memory_equal(&ledger, &expected, sizeof(ledger));
}

static void take_down(struct rig *rig, uint32_t abandoned)
{
    rig_kill_back(rig);
    assert_held(rig, rig->backend, 0);
    assert_held(rig, 1, abandoned);
    rig->disk.close(rig->disk.ctx);
    xenpv_mock_destroy(rig->mock);
    assert_int_equal(rig->heap.blocks, 0);
    free(rig->memory);
}

void rig_down(struct rig *rig)
{
    take_down(rig, 0);
}

void rig_down_with_abandoned(struct rig *rig)
{
    take_down(rig, xenpv_blk_abandoned(rig->blk));
}

void rig_step(struct rig *rig)
{
    uint64_t now = xenpv_mock_now(rig->mock);

    xenpv_blk_step(rig->blk, now);
    if (rig->back)
        xenpv_blkback_step(rig->back, now);
    if (rig->other)
        rig->other(rig, rig->other_ctx);
}

static bool idle(struct rig *rig)
{
    uint64_t now = xenpv_mock_now(rig->mock);

    return xenpv_blk_deadline(rig->blk) > now &&
           (!rig->back || xenpv_blkback_deadline(rig->back) > now);
}

void rig_rest(struct rig *rig)
{
    /* Each store event may lead to the next, and an idle backend looks twice. */
    for (int i = 0; i < 8 || (!idle(rig) && i < 1000); i++)
        rig_step(rig);
}

void rig_poll_all(struct rig *rig)
{
    struct xenpv_completion done[8];

    for (uint32_t i = 0; i < rig->queues; i++) {
        while (xenpv_blkq_poll(xenpv_blk_queue(rig->blk, i), done, 8) > 0)
            ;
    }
}

void rig_until(struct rig *rig, enum xenpv_blk_state state)
{
    for (int i = 0; i < 20000; i++) {
        rig_step(rig);
        if (xenpv_blk_state(rig->blk) == state)
            return;
        if (xenpv_blk_state(rig->blk) == XENPV_BLK_CLOSING)
            rig_poll_all(rig);
        if (idle(rig))
            xenpv_mock_advance(rig->mock, 1);
    }
    fail_msg("state %d is not reached: it is %d, error %d", state, xenpv_blk_state(rig->blk),
             xenpv_blk_detail(rig->blk)->error);
}

bool rig_run(struct rig *rig, uint64_t ms, bool (*until)(const struct rig *rig))
{
    uint64_t end = xenpv_mock_now(rig->mock) + ms;

    while (!until(rig) && xenpv_mock_now(rig->mock) < end) {
        rig_step(rig);
        rig_poll_all(rig);
        xenpv_mock_advance(rig->mock, 5);
    }
    return until(rig);
}

bool rig_settled(const struct rig *rig)
{
    return xenpv_blk_state(rig->blk) == XENPV_BLK_CONNECTED || rig_over(rig);
}

bool rig_over(const struct rig *rig)
{
    return xenpv_blk_state(rig->blk) >= XENPV_BLK_CLOSED;
}

bool rig_drained(const struct rig *rig)
{
    for (uint32_t i = 0; i < rig->queues; i++) {
        if (xenpv_blkq_pending(xenpv_blk_queue(rig->blk, i)) != 0)
            return false;
    }
    return true;
}

void rig_connect(struct rig *rig)
{
    assert_int_equal(xenpv_blk_connect(rig->blk, xenpv_mock_now(rig->mock)), XENPV_OK);
    rig_until(rig, XENPV_BLK_CONNECTED);
}

void rig_close(struct rig *rig)
{
    xenpv_blk_close(rig->blk, xenpv_mock_now(rig->mock));
    rig_until(rig, XENPV_BLK_CLOSED);
}

uint32_t rig_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

void rig_fill(uint8_t *bytes, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(rig_random(&seed) >> 16);
}

int rig_wait(struct rig *rig)
{
    struct xenpv_completion done;

    for (int i = 0; i < 100000; i++) {
        int count = xenpv_blkq_poll(rig->q, &done, 1);
        if (count == 1)
            return done.status;
        assert_int_equal(count, 0);
        rig_step(rig);
    }
    fail_msg("an operation does not end");
    return -1;
}

int rig_read(struct rig *rig, uint64_t offset, void *to, size_t bytes)
{
    struct xenpv_iov iov = {to, bytes};
    int error = xenpv_blkq_readv(rig->q, offset, &iov, 1, NULL);

    return error ? error : rig_wait(rig);
}

int rig_write(struct rig *rig, uint64_t offset, const void *from, size_t bytes)
{
    union {
        const void *from;
        void *base;
    } memory = {from};
    struct xenpv_iov iov = {memory.base, bytes};
    int error = xenpv_blkq_writev(rig->q, offset, &iov, 1, NULL);

    return error ? error : rig_wait(rig);
}

int rig_flush(struct rig *rig)
{
    int error = xenpv_blkq_flush(rig->q, NULL);

    return error ? error : rig_wait(rig);
}

static void path(char *to, size_t bytes, const char *dir, const char *key)
{
    snprintf(to, bytes, "%s/%s", dir, key);
}

void rig_set(struct rig *rig, const char *dir, const char *key, const char *value)
{
    char node[256];

    path(node, sizeof(node), dir, key);
    assert_int_equal(xenpv_mock_write(rig->mock, node, value), XENPV_OK);
}

int rig_get(struct rig *rig, const char *dir, const char *key)
{
    char node[256], value[32];

    path(node, sizeof(node), dir, key);
    if (xenpv_mock_read(rig->mock, node, value, sizeof(value)))
        return -1;
    return atoi(value);
}

void rig_disk(struct rig *rig, uint64_t offset, void *to, size_t bytes)
{
    assert_int_equal(rig->disk.read(rig->disk.ctx, offset, to, (uint32_t)bytes), XENPV_OK);
}

void rig_assert_disk(struct rig *rig, uint64_t offset, const void *expected, size_t bytes)
{
    uint8_t *found = malloc(bytes);

    rig_disk(rig, offset, found, bytes);
    assert_memory_equal(found, expected, bytes);
    free(found);
}
