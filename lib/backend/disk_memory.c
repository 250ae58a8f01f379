/* SPDX-License-Identifier: MIT */
#include <xenpv/harness/disk.h>

struct memory_disk {
    struct xenpv_allocator allocator;
    uint8_t *bytes;
};

static int read_memory(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    memcpy(to, ((struct memory_disk *)ctx)->bytes + offset, length);
    return XENPV_OK;
}

static int write_memory(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    memcpy(((struct memory_disk *)ctx)->bytes + offset, from, length);
    return XENPV_OK;
}

static int flush_memory(void *ctx)
{
    (void)ctx; /* there is nothing more stable than memory to put it on */
    return XENPV_OK;
}

static int discard_memory(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    (void)secure; /* what is overwritten here cannot be recovered */
    memset(((struct memory_disk *)ctx)->bytes + offset, 0, (size_t)length);
    return XENPV_OK;
}

static void close_memory(void *ctx)
{
    struct memory_disk *disk = ctx;
    struct xenpv_allocator allocator = disk->allocator;

    allocator.free(allocator.ctx, disk->bytes);
    allocator.free(allocator.ctx, disk);
}

int xenpv_disk_memory(const struct xenpv_allocator *allocator, uint64_t bytes,
                      struct xenpv_disk *out)
{
    struct memory_disk *disk;

    if (bytes == 0 || bytes % 512 || bytes > SIZE_MAX)
        return XENPV_EINVAL;
    disk = allocator->alloc(allocator->ctx, sizeof(*disk), sizeof(void *));
    if (!disk)
        return XENPV_ENOMEM;
    disk->allocator = *allocator;
    disk->bytes = allocator->alloc(allocator->ctx, (size_t)bytes, XENPV_PAGE_SIZE);
    if (!disk->bytes) {
        allocator->free(allocator->ctx, disk);
        return XENPV_ENOMEM;
    }
    memset(disk->bytes, 0, (size_t)bytes);
    *out = (struct xenpv_disk){.ctx = disk,
                               .bytes = bytes,
                               .sector_size = 512,
                               .barrier = true,
                               .discard_secure = true,
                               .read = read_memory,
                               .write = write_memory,
                               .flush = flush_memory,
                               .discard = discard_memory,
                               .close = close_memory};
    return XENPV_OK;
}
