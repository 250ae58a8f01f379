/* SPDX-License-Identifier: MIT */
/* The backends of a disk on the mock. */
#include <stdlib.h>

#include <xenpv/harness/blkback.h>

#include "bench_blk.h"
#include "bench_null.h"
#include "bench_rig.h"

#define VDEV       51712u
#define DISK_BYTES (64u << 20) /* larger than caches are; more where more is in flight */

/* Our own backend. */
struct served {
    struct xenpv_disk disk;
    struct xenpv_blkback *back;
    struct bench_pace pace;
};

static uint64_t disk_bytes(const struct bench_cell *cell)
{
    uint64_t least = 2 * (uint64_t)cell->queues * cell->depth * cell->size;

    return least > DISK_BYTES ? least : DISK_BYTES;
}

/* The first bytes of each block tell where it stands. */
static int mark(const struct xenpv_disk *disk)
{
    uint64_t block[XENPV_BLKIF_SECTOR / sizeof(uint64_t)] = {0};

    if (!disk->write)
        return 0;
    for (uint64_t at = 0; at < disk->bytes; at += XENPV_BLKIF_SECTOR) {
        block[0] = at;
        if (disk->write(disk->ctx, at, block, sizeof(block)) != 0)
            return XENPV_EIO;
    }
    return 0;
}

static bool served_round(void *ctx, xenpv_handle doorbell)
{
    struct served *served = ctx;

    xenpv_blkback_step(served->back, bench_pace_now(&served->pace, doorbell));
    bench_pace_sleep(&served->pace, doorbell, xenpv_blkback_deadline(served->back));
    return true;
}

static void served_end(void *ctx)
{
    struct served *served = ctx;
    enum xenpv_bus_phase phase;

    if (served->back) {
        xenpv_blkback_close(served->back, os_now());
        do {
            phase = xenpv_blkback_step(served->back, os_now());
            os_yield();
        } while (phase != XENPV_BUS_DONE && phase != XENPV_BUS_IDLE);
        xenpv_blkback_destroy(served->back);
    }
    if (served->disk.close)
        served->disk.close(served->disk.ctx);
    free(served);
}

static int serve(struct bench_rig *rig, struct served *served)
{
    const struct bench_cell *cell = &rig->cell;
    struct xenpv_blkback_config config;
    uint64_t bytes = disk_bytes(cell);
    char path[64];
    int error = cell->disk == BENCH_EMPTY
                    ? xenpv_disk_null(bytes, &served->disk)
                    : xenpv_disk_memory(&bench_allocator, bytes, &served->disk);

    if (error == 0)
        error = mark(&served->disk);
    if (error)
        return error;
    snprintf(path, sizeof(path), "backend/vbd/%u/%u", BENCH_GUEST, VDEV);
    xenpv_blkback_config_init(&config, &rig->back_port, path, &served->disk, &bench_allocator);
    config.queues = cell->queues;
    config.persistent = bench_blk_pages(cell) * cell->depth * 2 + 64;
    if (config.persistent > 65536)
        config.persistent = 65536;
    error = xenpv_blkback_create(&config, &served->back);
    return error ? error : xenpv_blkback_start(served->back, os_now());
}

static int make_served(struct bench_rig *rig)
{
    struct served *served = calloc(1, sizeof(*served));

    if (!served)
        return XENPV_ENOMEM;
    rig->backend = (struct bench_backend){.ctx = served, .round = served_round, .end = served_end};
    return serve(rig, served);
}

static bool null_round(void *ctx, xenpv_handle doorbell)
{
    return bench_null_round(ctx, doorbell);
}

static void null_look(void *ctx, bool looking)
{
    bench_null_look(ctx, looking);
}

static void null_end(void *ctx)
{
    bench_null_free(ctx);
}

int bench_blk_backend(struct bench_rig *rig)
{
    const struct xenpv_mock_vbd vbd = {
        .frontend = BENCH_GUEST, .backend = BENCH_DRIVER, .vdev = VDEV, .params = "bench"};
    int error = xenpv_mock_add_vbd(rig->mock, &vbd);

    rig->device = VDEV;
    if (error)
        return error;
    if (rig->cell.disk != BENCH_NULL)
        return make_served(rig);
    rig->backend =
        (struct bench_backend){.ctx = bench_null_make(rig->mock, &rig->back_port, BENCH_GUEST, VDEV,
                                                      disk_bytes(&rig->cell)),
                               .round = null_round,
                               .look = null_look,
                               .end = null_end};
    return rig->backend.ctx ? 0 : XENPV_ENOMEM;
}
