/* SPDX-License-Identifier: MIT */
/* Disks: reads of 4 KiB into the caller's memory. Our block backend's disk moves no data. */
#include <stdio.h>
#include <stdlib.h>

#include <xenpv/harness/blkback.h>

#include "instructions.h"

#define BLOCK      4096u
#define DISK_BYTES (16u << 20)

struct device {
    struct xenpv_disk disk;
    struct xenpv_blkback *back;
    void *memory;
    struct xenpv_blk *blk;
    struct xenpv_blkq *q;
    uint64_t next;
};

static struct device devices[DEVICES_MAX];
static uint8_t data[BATCH][BLOCK];

static void make_backend(struct device *device, uint32_t vdev)
{
    struct xenpv_mock_vbd vbd = {
        .frontend = GUEST, .backend = DRIVER, .vdev = vdev, .params = "null"};
    struct xenpv_blkback_config config;
    char path[64];

    snprintf(path, sizeof(path), "backend/vbd/%u/%u", GUEST, vdev);
    must(xenpv_mock_add_vbd(mock, &vbd) == 0, "the disk cannot be added");
    must(xenpv_disk_null(DISK_BYTES, &device->disk) == 0, "the disk cannot be made");
    xenpv_blkback_config_init(&config, &back_port, path, &device->disk, &allocator);
    must(xenpv_blkback_create(&config, &device->back) == 0 &&
             xenpv_blkback_start(device->back, now) == 0,
         "the backend cannot be made");
}

static void make_frontend(struct device *device, uint32_t vdev)
{
    struct xenpv_blk_config config;
    char path[64];

    snprintf(path, sizeof(path), "device/vbd/%u", vdev);
    xenpv_blk_config_init(&config, &front_port, path);
    config.poll = true;
    config.operations = BATCH;
    config.buffer_pages = BATCH;
    device->memory = allocator.alloc(NULL, xenpv_blk_size(&config), 16);
    must(device->memory && xenpv_blk_init(device->memory, &config, &device->blk) == 0,
         "the device cannot be made");
    device->q = xenpv_blk_queue(device->blk, 0);
}

static void step_until(struct device *device, enum xenpv_blk_state state)
{
    struct xenpv_completion unwanted;

    for (uint32_t i = 0; i < STEPS_MAX; i++, now++) {
        xenpv_blkback_step(device->back, now);
        if (xenpv_blk_step(device->blk, now) == state)
            return;
        xenpv_blkq_poll(device->q, &unwanted, 1);
    }
    must(false, "a device does not get where it should");
}

static void connect_disk(uint32_t number)
{
    struct device *device = &devices[number];
    uint32_t vdev = number < 16 ? 51712 + 16 * number : 268439552 + 256 * (number - 16);

    make_backend(device, vdev);
    make_frontend(device, vdev);
    must(xenpv_blk_connect(device->blk, now) == 0, "a device cannot be connected");
    step_until(device, XENPV_BLK_CONNECTED);
}

static void read_batch(uint32_t number)
{
    struct device *device = &devices[number];
    static struct xenpv_iov iov[BATCH];
    struct xenpv_completion done[BATCH];
    uint32_t ended = 0;

    for (uint32_t i = 0; i < BATCH; i++) {
        iov[i] = (struct xenpv_iov){data[i], BLOCK};
        must(xenpv_blkq_readv(device->q, device->next, &iov[i], 1, &iov[i]) == 0,
             "a read is refused");
        device->next = (device->next + BLOCK) % DISK_BYTES;
    }
    xenpv_blkq_submit(device->q);
    while (ended < BATCH) {
        int count;

        xenpv_blkback_step(device->back, now);
        count = xenpv_blkq_poll(device->q, done, BATCH);
        must(count > 0, "nothing has ended");
        for (int i = 0; i < count; i++)
            must(done[i].status == 0, "a read has failed");
        ended += (uint32_t)count;
    }
}

static void disconnect_disk(uint32_t number)
{
    struct device *device = &devices[number];

    xenpv_blk_close(device->blk, now);
    step_until(device, XENPV_BLK_CLOSED);
    xenpv_blkback_destroy(device->back);
    if (device->disk.close)
        device->disk.close(device->disk.ctx);
    free(device->memory);
}

const struct kind kind_blk = {"blk", connect_disk, read_batch, disconnect_disk};
