/* SPDX-License-Identifier: MIT */
/*
 * usage: bench-instructions DEVICES BATCHES
 *
 * Reads 4 KiB blocks in batches of 32, one device after the other: 32 times readv, one submit, and
 * poll until all have ended, all in one thread, polled, over the mock. Our block backend, whose
 * disk moves no data, is stepped in between. tests/bench/instructions runs it under callgrind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/harness/blkback.h>
#include <xenpv/harness/mock.h>

#define GUEST       1u
#define DRIVER      0u
#define BATCH       32u
#define BLOCK       4096u
#define DISK_BYTES  (16u << 20)
#define DEVICES_MAX 64u
#define STEPS_MAX   10000u

struct device {
    struct xenpv_disk disk;
    struct xenpv_blkback *back;
    void *memory;
    struct xenpv_blk *blk;
    struct xenpv_blkq *q;
    uint64_t next;
};

static struct xenpv_mock *mock;
static struct xenpv_port front, back;
static struct device devices[DEVICES_MAX];
static uint8_t data[BATCH][BLOCK];
static uint64_t now;

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench-instructions: %s\n", what);
    exit(1);
}

static void *on_alloc(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return aligned_alloc(align, (bytes + align - 1) / align * align);
}

static void on_free(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

static const struct xenpv_allocator allocator = {.alloc = on_alloc, .free = on_free};

static void make_machine(void)
{
    struct xenpv_mock_config config = {.size = sizeof(config), .allocator = allocator};

    must(xenpv_mock_create(&config, &mock) == 0 && xenpv_mock_add_domain(mock, GUEST) == 0 &&
             xenpv_mock_port(mock, GUEST, &front) == 0 && xenpv_mock_port(mock, DRIVER, &back) == 0,
         "the mock cannot be made");
}

static void make_backend(struct device *device, uint32_t vdev)
{
    struct xenpv_mock_vbd vbd = {
        .frontend = GUEST, .backend = DRIVER, .vdev = vdev, .params = "null"};
    struct xenpv_blkback_config config;
    char path[64];

    snprintf(path, sizeof(path), "backend/vbd/%u/%u", GUEST, vdev);
    must(xenpv_mock_add_vbd(mock, &vbd) == 0, "the disk cannot be added");
    must(xenpv_disk_null(DISK_BYTES, &device->disk) == 0, "the disk cannot be made");
    xenpv_blkback_config_init(&config, &back, path, &device->disk, &allocator);
    must(xenpv_blkback_create(&config, &device->back) == 0 &&
             xenpv_blkback_start(device->back, now) == 0,
         "the backend cannot be made");
}

static void make_frontend(struct device *device, uint32_t vdev)
{
    struct xenpv_blk_config config;
    char path[64];

    snprintf(path, sizeof(path), "device/vbd/%u", vdev);
    xenpv_blk_config_init(&config, &front, path);
    config.poll = true;
    config.operations = BATCH;
    config.buffer_pages = BATCH;
    device->memory = on_alloc(NULL, xenpv_blk_size(&config), 16);
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

static void connect_device(struct device *device, uint32_t number)
{
    uint32_t vdev = number < 16 ? 51712 + 16 * number : 268439552 + 256 * (number - 16);

    make_backend(device, vdev);
    make_frontend(device, vdev);
    must(xenpv_blk_connect(device->blk, now) == 0, "a device cannot be connected");
    step_until(device, XENPV_BLK_CONNECTED);
}

static void run_batch(struct device *device)
{
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

static void disconnect_device(struct device *device)
{
    xenpv_blk_close(device->blk, now);
    step_until(device, XENPV_BLK_CLOSED);
    xenpv_blkback_destroy(device->back);
    if (device->disk.close)
        device->disk.close(device->disk.ctx);
    free(device->memory);
}

int main(int argc, char **argv)
{
    unsigned long count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long batches = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

    must(count >= 1 && count <= DEVICES_MAX, "usage: bench-instructions DEVICES BATCHES");
    make_machine();
    for (uint32_t i = 0; i < count; i++)
        connect_device(&devices[i], i);
    for (unsigned long i = 0; i < batches; i++)
        run_batch(&devices[i % count]);
    for (uint32_t i = 0; i < count; i++)
        disconnect_device(&devices[i]);
    xenpv_mock_destroy(mock);
    return 0;
}
