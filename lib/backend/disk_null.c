/* SPDX-License-Identifier: MIT */
#include <xenpv/harness/disk.h>

static int flush_nothing(void *ctx)
{
    (void)ctx;
    return XENPV_OK;
}

static int discard_nothing(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    (void)ctx;
    (void)offset;
    (void)length;
    (void)secure;
    return XENPV_OK;
}

static void close_nothing(void *ctx)
{
    (void)ctx;
}

int xenpv_disk_null(uint64_t bytes, struct xenpv_disk *disk)
{
    if (bytes == 0 || bytes % 512)
        return XENPV_EINVAL;
    *disk = (struct xenpv_disk){.bytes = bytes,
                                .sector_size = 512,
                                .barrier = true,
                                .flush = flush_nothing,
                                .discard = discard_nothing,
                                .close = close_nothing};
    return XENPV_OK;
}
