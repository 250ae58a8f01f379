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
 * Calls answer 0 or XENPV_EIO; ->discard also XENPV_ENOTSUP, when the medium turns out not to know
 * it. Offsets and lengths are bytes, whole sectors of 512, and inside the disk: the backend has
 * checked them. They block for as long as the medium takes. The caller may change what they made
 * before a backend is created on it: sector sizes, what is offered.
 *
 * The memory that ->write is given may belong to a frontend, which can change it meanwhile: it is
 * read once, and nothing is decided on it.
 */
struct xenpv_disk {
    void *ctx;
    uint64_t bytes;                /* a multiple of 512 */
    uint32_t sector_size;          /* what is published: a power of two, 512 or more */
    uint32_t physical_sector_size; /* the same; 0: as sector_size */
    bool readonly, removable, cdrom;
    bool barrier;                                    /* writes can be barriers: feature-barrier */
    bool discard_secure;                             /* ->discard can be secure */
    uint32_t discard_granularity, discard_alignment; /* bytes; granularity 0: sector_size */
    /* Both NULL: data is not moved at all, for measuring the way to the disk. */
    int (*read)(void *ctx, uint64_t offset, void *to, uint32_t length);
    int (*write)(void *ctx, uint64_t offset, const void *from, uint32_t length);
    int (*flush)(void *ctx); /* what was written is on stable storage; NULL: no flush is offered */
    /* NULL: no discard is offered. */
    int (*discard)(void *ctx, uint64_t offset, uint64_t length, bool secure);
    void (*close)(void *ctx);
};

/*
 * A disk of `bytes` zeroes in memory; what is discarded is zeroed. XENPV_EINVAL: not a multiple of
 * 512. XENPV_ENOMEM.
 */
int xenpv_disk_memory(const struct xenpv_allocator *allocator, uint64_t bytes,
                      struct xenpv_disk *disk);

/*
 * A disk that keeps nothing and moves no data; it has every feature but secure discard.
 * XENPV_EINVAL: not a multiple of 512.
 */
int xenpv_disk_null(uint64_t bytes, struct xenpv_disk *disk);

/*
 * A disk of zeroes in memory with a volatile cache: what was written is lost in a power cut, unless
 * a flush has ended since. XENPV_EINVAL: not a multiple of 512. XENPV_ENOMEM.
 */
int xenpv_disk_volatile(const struct xenpv_allocator *allocator, uint64_t bytes,
                        struct xenpv_disk *disk);

/*
 * Only of xenpv_disk_volatile, and its ->ctx: the power is cut and returns. Of the sectors that
 * were written or discarded since the last flush, some, as `seed` chooses, are as they were then.
 * How many were lost.
 */
uint64_t xenpv_disk_power_cut(struct xenpv_disk *disk, uint32_t seed);

/*
 * A disk in a file or block device, opened through the operating system. Its size is the file's. On
 * Linux it offers discard where it can: holes in a file, BLKDISCARD. Once a flush has failed all
 * others do, for what is lost then is not written by any of them. XENPV_ENOENT, XENPV_EACCES,
 * XENPV_EINVAL (no file or block device, or empty, or not a multiple of 512), XENPV_ENOMEM;
 * `readonly` opens it so.
 */
int xenpv_disk_file(const struct xenpv_allocator *allocator, const char *path, bool readonly,
                    struct xenpv_disk *disk);

#ifdef __cplusplus
}
#endif
#endif
