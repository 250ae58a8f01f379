/* SPDX-License-Identifier: MIT */
/* What a block backend serves: a disk model. */
#ifndef XENPV_HARNESS_DISK_H
#define XENPV_HARNESS_DISK_H

#include <xenpv/error.h>
#include <xenpv/harness/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Calls answer 0 or XENPV_EIO. Offsets and lengths are bytes, whole sectors of 512, and inside the
 * disk: the backend has checked them. They block for as long as the medium takes.
 */
struct xenpv_disk {
    void *ctx;
    uint64_t bytes;       /* a multiple of 512 */
    uint32_t sector_size; /* what is published: a power of two, 512 or more */
    bool readonly;
    int (*read)(void *ctx, uint64_t offset, void *to, uint32_t length);
    int (*write)(void *ctx, uint64_t offset, const void *from, uint32_t length);
    int (*flush)(void *ctx); /* what was written is on stable storage; NULL: no flush is offered */
    void (*close)(void *ctx);
};

/* A disk of `bytes` zeroes in memory. XENPV_EINVAL: not a multiple of 512. XENPV_ENOMEM. */
int xenpv_disk_memory(const struct xenpv_allocator *allocator, uint64_t bytes,
                      struct xenpv_disk *disk);

/*
 * A disk in a file or block device, opened through the operating system. Its size is
 * the file's. XENPV_ENOENT, XENPV_EACCES, XENPV_EINVAL (no file or block device, or empty, or not a
 * multiple of 512), XENPV_ENOMEM; `readonly` opens it so.
 */
int xenpv_disk_file(const struct xenpv_allocator *allocator, const char *path, bool readonly,
                    struct xenpv_disk *disk);

#ifdef __cplusplus
}
#endif
#endif
