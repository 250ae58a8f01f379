/* SPDX-License-Identifier: MIT */
#include "blk_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void *counted_alloc(void *ctx, size_t bytes, size_t align)
{
    struct rig *rig = ctx;
    void *memory = aligned_alloc(align < 16 ? 16 : align, (bytes + (align < 16 ? 16 : align) - 1) /
                                                              (align < 16 ? 16 : align) *
                                                              (align < 16 ? 16 : align));

    rig->allocated += memory != NULL;
    return memory;
}

static void counted_free(void *ctx, void *memory)
{
    struct rig *rig = ctx;

    rig->allocated -= memory != NULL;
    free(memory);
}

/* The mock says so when a port is misused: ending twice, closing what is not there, and so on. */
static void no_misuse(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    if (strncmp(line, "mock: ", 6) == 0)
        fail_msg("domain %u: %s", domid, line);
}

static void set_up_disk(struct rig *rig, const struct rig_options *options)
{
    uint64_t bytes = options->bytes ? options->bytes : 1 << 20;

    assert_int_equal(xenpv_disk_memory(&rig->allocator, bytes, &rig->disk), XENPV_OK);
    rig->disk.readonly = options->readonly;
    if (options->sector_size)
        rig->disk.sector_size = options->sector_size;
    if (options->no_flush)
        rig->disk.flush = NULL;
}

void rig_up(struct rig *rig, const struct rig_options *options)
{
    rig_up_locked(rig, options, NULL, NULL);
}

void rig_up_locked(struct rig *rig, const struct rig_options *options, void (*lock)(void *),
                   void (*unlock)(void *))
{
    struct xenpv_mock_config config = {.size = sizeof(config)};
    struct xenpv_mock_vbd vbd = {
        .frontend = 1, .vdev = RIG_VDEV, .params = "memory", .readonly = options->readonly};
    struct xenpv_blkback_config back = {.size = sizeof(back), .path = RIG_BACKEND_PATH};
    struct xenpv_blk_config blk;

    *rig = (struct rig){0};
    rig->allocator = (struct xenpv_allocator){rig, counted_alloc, counted_free};
    config.allocator = rig->allocator;
    config.log = no_misuse;
    config.lock = lock;
    config.unlock = unlock;
    assert_int_equal(xenpv_mock_create(&config, &rig->mock), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(rig->mock, 1), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, 0, &rig->back_port), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, 1, &rig->front_port), XENPV_OK);
    assert_int_equal(xenpv_mock_add_vbd(rig->mock, &vbd), XENPV_OK);
    set_up_disk(rig, options);

    if (!options->no_backend) {
        back.port = &rig->back_port;
        back.disk = &rig->disk;
        back.allocator = rig->allocator;
        assert_int_equal(xenpv_blkback_create(&back, &rig->back), XENPV_OK);
        assert_int_equal(xenpv_blkback_start(rig->back, 0), XENPV_OK);
    }
    xenpv_blk_config_init(&blk, &rig->front_port, RIG_FRONTEND_PATH);
    blk.poll = options->poll;
    if (options->slow_clock)
        blk.connect_ms = blk.close_ms = 0;
    if (options->buffer_pages)
        blk.buffer_pages = options->buffer_pages;
    blk.abi = options->abi;
    rig->memory = aligned_alloc(16, (xenpv_blk_size(&blk) + 15) & ~(size_t)15);
    assert_int_equal(xenpv_blk_init(rig->memory, &blk, &rig->blk), XENPV_OK);
    rig->q = xenpv_blk_queue(rig->blk, 0);
}

static void assert_held(struct rig *rig, uint16_t domid, uint32_t grants)
{
    struct xenpv_mock_ledger ledger, expected = {.grants = grants};

    assert_int_equal(xenpv_mock_ledger(rig->mock, domid, &ledger), XENPV_OK);
    assert_memory_equal(&ledger, &expected, sizeof(ledger));
}

static void take_down(struct rig *rig, uint32_t abandoned)
{
    xenpv_blkback_destroy(rig->back);
    assert_held(rig, 0, 0);
    assert_held(rig, 1, abandoned);
    rig->disk.close(rig->disk.ctx);
    xenpv_mock_destroy(rig->mock);
    assert_int_equal(rig->allocated, 0);
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
}

static bool idle(struct rig *rig)
{
    uint64_t now = xenpv_mock_now(rig->mock);

    return xenpv_blk_deadline(rig->blk) > now &&
           (!rig->back || xenpv_blkback_deadline(rig->back) > now);
}

void rig_until(struct rig *rig, enum xenpv_blk_state state)
{
    for (int i = 0; i < 20000; i++) {
        struct xenpv_completion done;

        rig_step(rig);
        if (xenpv_blk_state(rig->blk) == state)
            return;
        if (xenpv_blk_state(rig->blk) == XENPV_BLK_CLOSING)
            xenpv_blkq_poll(rig->q, &done, 1);
        if (idle(rig))
            xenpv_mock_advance(rig->mock, 1);
    }
    fail_msg("state %d is not reached: it is %d, error %d", state, xenpv_blk_state(rig->blk),
             xenpv_blk_detail(rig->blk)->error);
}

bool rig_run(struct rig *rig, uint64_t ms, bool (*until)(const struct rig *rig))
{
    uint64_t end = xenpv_mock_now(rig->mock) + ms;
    struct xenpv_completion done;

    while (!until(rig) && xenpv_mock_now(rig->mock) < end) {
        rig_step(rig);
        xenpv_blkq_poll(rig->q, &done, 1);
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
    return xenpv_blkq_pending(rig->q) == 0;
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
