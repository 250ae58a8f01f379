/* SPDX-License-Identifier: MIT */
/* A device of our own on a mock of our own, its backend on the other core. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/harness/blkback.h>
#include <xenpv/harness/mock.h>

#include "bench_null.h"
#include "bench_wake.h"
#include "complain.h"

#define GUEST  1u
#define DRIVER 0u
#define VDEV   51712u

#define DISK_BYTES (64u << 20) /* larger than caches are; more where more is in flight */
#define CONNECT_MS 10000u

struct rig {
    const struct bench_plan *plan;
    struct bench_cell cell;
    struct bench_peer *peer;
    struct os_mutex *mutex;
    struct xenpv_mock *mock;
    struct xenpv_port front, back;
    struct xenpv_disk disk;
    struct xenpv_blkback *blkback;
    struct bench_null *null;
    void *memory;
    struct xenpv_blk *blk;
    uint64_t now;    /* of the backend */
    uint32_t rounds; /* since it looked at the clock */
};

static void *on_alloc(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return os_alloc(bytes, align);
}

static void on_free(void *ctx, void *memory)
{
    (void)ctx;
    os_free(memory);
}

static const struct xenpv_allocator allocator = {.alloc = on_alloc, .free = on_free};

static void on_lock(void *ctx)
{
    os_mutex_lock(((struct rig *)ctx)->mutex);
}

static void on_unlock(void *ctx)
{
    os_mutex_unlock(((struct rig *)ctx)->mutex);
}

static void on_log(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line)
{
    (void)level;
    remark(((struct rig *)ctx)->plan->options, "domain %u: %s", domid, line);
}

/* ------------------------------------------------------------------------------- the backend -- */

/* Where nobody sleeps there is none. */
static xenpv_handle doorbell(const struct rig *rig)
{
    return rig->cell.event ? bench_peer_doorbell(rig->peer) : XENPV_NO_HANDLE;
}

static bool null_round(void *ctx)
{
    struct rig *rig = ctx;

    return bench_null_round(rig->null, doorbell(rig));
}

/* The clock is only for time-outs: a look now and then is enough, where nobody sleeps. */
#define ROUNDS_A_LOOK 1024u

static bool blkback_round(void *ctx)
{
    struct rig *rig = ctx;
    uint64_t deadline;

    if (rig->cell.event || rig->rounds++ % ROUNDS_A_LOOK == 0)
        rig->now = os_now();
    xenpv_blkback_step(rig->blkback, rig->now);
    if (!rig->cell.event)
        return true;
    deadline = xenpv_blkback_deadline(rig->blkback);
    if (deadline > rig->now) {
        os_event_wait(bench_peer_doorbell(rig->peer),
                      deadline - rig->now < 100 ? (unsigned)(deadline - rig->now) : 100);
        os_event_clear(bench_peer_doorbell(rig->peer));
    }
    return true;
}

static uint64_t disk_bytes(const struct bench_cell *cell)
{
    uint64_t least = 2 * (uint64_t)cell->queues * cell->depth * cell->size;

    return least > DISK_BYTES ? least : DISK_BYTES;
}

/* The first bytes of each block tell where it stands. */
static int mark(struct rig *rig)
{
    uint64_t block[XENPV_BLKIF_SECTOR / sizeof(uint64_t)] = {0};

    if (!rig->disk.write)
        return 0;
    for (uint64_t at = 0; at < rig->disk.bytes; at += XENPV_BLKIF_SECTOR) {
        block[0] = at;
        if (rig->disk.write(rig->disk.ctx, at, block, sizeof(block)) != 0)
            return XENPV_EIO;
    }
    return 0;
}

static int make_blkback(struct rig *rig)
{
    struct xenpv_blkback_config config;
    char path[64];
    uint64_t bytes = disk_bytes(&rig->cell);
    int error = rig->cell.disk == BENCH_EMPTY ? xenpv_disk_null(bytes, &rig->disk)
                                              : xenpv_disk_memory(&allocator, bytes, &rig->disk);

    if (error == 0)
        error = mark(rig);
    if (error)
        return error;
    snprintf(path, sizeof(path), "backend/vbd/%u/%u", GUEST, VDEV);
    xenpv_blkback_config_init(&config, &rig->back, path, &rig->disk, &allocator);
    config.queues = rig->cell.queues;
    config.persistent = bench_pages(&rig->cell) * rig->cell.depth * 2 + 64;
    if (config.persistent > 65536)
        config.persistent = 65536;
    error = xenpv_blkback_create(&config, &rig->blkback);
    if (error == 0)
        error = xenpv_blkback_start(rig->blkback, os_now());
    return error;
}

static int make_backend(struct rig *rig)
{
    const struct xenpv_mock_vbd vbd = {
        .frontend = GUEST, .backend = DRIVER, .vdev = VDEV, .params = "bench"};
    int error = xenpv_mock_add_vbd(rig->mock, &vbd);

    if (error)
        return error;
    if (rig->cell.disk != BENCH_NULL) {
        error = make_blkback(rig);
        bench_peer_give(rig->peer, BENCH_JOB_BACKEND, blkback_round, rig);
        return error;
    }
    rig->null = bench_null_make(rig->mock, &rig->back, GUEST, VDEV, disk_bytes(&rig->cell));
    bench_peer_give(rig->peer, BENCH_JOB_BACKEND, null_round, rig);
    return rig->null ? 0 : XENPV_ENOMEM;
}

/* ------------------------------------------------------------------------------ the frontend -- */

static void poll_all(struct rig *rig)
{
    struct xenpv_completion unwanted[16];

    for (uint32_t i = 0; i < rig->cell.queues; i++)
        while (xenpv_blkq_poll(xenpv_blk_queue(rig->blk, i), unwanted, 16) > 0)
            ;
}

/* Steps for as long as the device is on its way. */
static void travel(struct rig *rig)
{
    enum xenpv_blk_state state;

    do {
        state = xenpv_blk_step(rig->blk, os_now());
        poll_all(rig);
        os_event_set(bench_peer_doorbell(rig->peer));
        os_yield();
    } while (state == XENPV_BLK_CONNECTING || state == XENPV_BLK_RECOVERING ||
             state == XENPV_BLK_CLOSING);
}

static void look(struct rig *rig, bool looking)
{
    if (rig->null)
        bench_null_look(rig->null, looking);
}

static int make_frontend(struct rig *rig, struct xenpv_blk_config *config)
{
    char path[48];

    snprintf(path, sizeof(path), "device/vbd/%u", VDEV);
    xenpv_blk_config_init(config, &rig->front, path);
    config->abi = XENPV_ABI_X86_64; /* the one the bare ring is like */
    config->connect_ms = CONNECT_MS;
    bench_configure(rig->plan->options, &rig->cell, config);
    rig->memory = os_alloc(xenpv_blk_size(config), 16);
    return rig->memory ? xenpv_blk_init(rig->memory, config, &rig->blk) : XENPV_ENOMEM;
}

static int connect_frontend(struct rig *rig)
{
    int error = xenpv_blk_connect(rig->blk, os_now());

    if (error)
        return error;
    bench_peer_set(rig->peer, BENCH_JOB_BACKEND);
    travel(rig);
    look(rig, false);
    return xenpv_blk_state(rig->blk) == XENPV_BLK_CONNECTED ? 0 : xenpv_blk_detail(rig->blk)->error;
}

/* ----------------------------------------------------------------------------------- closing -- */

static void close_frontend(struct rig *rig)
{
    if (!rig->blk)
        return;
    look(rig, true);
    bench_peer_set(rig->peer, BENCH_JOB_BACKEND);
    xenpv_blk_close(rig->blk, os_now());
    travel(rig);
    bench_peer_set(rig->peer, BENCH_JOB_REST);
}

static void close_backend(struct rig *rig)
{
    if (rig->blkback) {
        enum xenpv_bus_phase phase;

        xenpv_blkback_close(rig->blkback, os_now());
        do {
            phase = xenpv_blkback_step(rig->blkback, os_now());
            os_yield();
        } while (phase != XENPV_BUS_DONE && phase != XENPV_BUS_IDLE);
        xenpv_blkback_destroy(rig->blkback);
    }
    bench_null_free(rig->null);
    if (rig->disk.close)
        rig->disk.close(rig->disk.ctx);
}

static void tear_down(struct rig *rig)
{
    close_frontend(rig);
    close_backend(rig);
    xenpv_mock_destroy(rig->mock);
    bench_wake_end();
    os_free(rig->memory);
    os_mutex_free(rig->mutex);
    free(rig);
}

static void close_target(struct bench_target *target)
{
    tear_down(target->ctx);
}

/* ----------------------------------------------------------------------------------- opening -- */

static int make_machine(struct rig *rig)
{
    struct xenpv_mock_config config = {.size = sizeof(config),
                                       .allocator = allocator,
                                       .limits = {.grants = rig->plan->grants},
                                       .lock = on_lock,
                                       .unlock = on_unlock,
                                       .log = on_log,
                                       .ctx = rig};
    int error;

    rig->mutex = os_mutex_new();
    error = rig->mutex ? xenpv_mock_create(&config, &rig->mock) : XENPV_ENOMEM;
    if (error == 0)
        error = xenpv_mock_add_domain(rig->mock, GUEST);
    if (error == 0)
        error = xenpv_mock_port(rig->mock, GUEST, &rig->front);
    if (error == 0)
        error = xenpv_mock_port(rig->mock, DRIVER, &rig->back);
    if (error == 0)
        bench_wake_begin(&rig->front, &rig->back, doorbell(rig));
    return error;
}

/* Of 32,768 references that a guest of Xen has by default, eight are not to be had. */
#define GRANTS_DEFAULT 32768u
#define GRANTS_KEPT    8u

static void explain(const struct rig *rig, const struct xenpv_blk_config *config, int error,
                    char note[BENCH_NOTE_MAX])
{
    uint32_t needed = bench_grants(config) + GRANTS_KEPT;
    const char *step = rig->blk ? xenpv_blk_detail(rig->blk)->step : NULL;

    if (error == XENPV_ENOGRANT)
        snprintf(note, BENCH_NOTE_MAX,
                 "needs %u grants, the mock's guest has %u, %s; raise it with: --grants %u", needed,
                 rig->plan->grants ? rig->plan->grants : GRANTS_DEFAULT,
                 rig->plan->grants ? "as --grants says" : "as Xen has by default", needed);
    else
        snprintf(note, BENCH_NOTE_MAX, "%s%s%s", step ? step : "", step ? ": " : "",
                 xenpv_error_text(error));
}

bool bench_mock_open(const struct bench_plan *plan, const struct bench_cell *cell,
                     struct bench_peer *peer, struct bench_target *target,
                     char note[BENCH_NOTE_MAX])
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct xenpv_blk_config config = {0};
    struct xenpv_blk_info info;
    int error;

    if (!rig) {
        snprintf(note, BENCH_NOTE_MAX, "out of memory");
        return false;
    }
    rig->plan = plan;
    rig->cell = *cell;
    rig->peer = peer;
    error = make_machine(rig);
    if (error == 0)
        error = make_backend(rig);
    if (error == 0)
        error = make_frontend(rig, &config);
    if (error == 0)
        error = connect_frontend(rig);
    if (error) {
        explain(rig, &config, error, note);
        tear_down(rig);
        return false;
    }
    xenpv_blk_info(rig->blk, &info);
    *target = (struct bench_target){.blk = rig->blk,
                                    .queues = info.queues,
                                    .bytes = info.bytes,
                                    .peer = peer,
                                    .checked = cell->disk == BENCH_MEMORY,
                                    .silence_ms = CONNECT_MS,
                                    .ctx = rig,
                                    .close = close_target};
    bench_peer_set(peer, BENCH_JOB_REST);
    return true;
}
