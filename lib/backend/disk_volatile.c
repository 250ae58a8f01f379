/* SPDX-License-Identifier: MIT */
/* A disk whose cache is lost in a power cut: what is read now, and what is stable. */
#include <xenpv/harness/disk.h>

#define SECTOR 512u

struct volatile_disk {
    struct xenpv_allocator allocator;
    uint64_t sectors;
    uint8_t *now, *stable;
    uint32_t *dirty; /* a bit for each sector that is not the same in both, or may be */
};

/* The first dirty sector from `sector` on; from disk->sectors on: there is none. */
static uint64_t next_dirty(const struct volatile_disk *disk, uint64_t sector)
{
    while (sector < disk->sectors && !(disk->dirty[sector / 32] >> sector % 32 & 1))
        sector = disk->dirty[sector / 32] >> sector % 32 ? sector + 1 : (sector / 32 + 1) * 32;
    return sector;
}

static uint8_t *at(uint8_t *bytes, uint64_t sector)
{
    return bytes + sector * SECTOR;
}

static void mark(struct volatile_disk *disk, uint64_t offset, uint64_t length)
{
    for (uint64_t sector = offset / SECTOR; sector < (offset + length) / SECTOR; sector++)
        disk->dirty[sector / 32] |= 1u << sector % 32;
}

static size_t dirty_bytes(uint64_t sectors)
{
    return (size_t)((sectors + 31) / 32 * sizeof(uint32_t));
}

static int read_volatile(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    memcpy(to, ((struct volatile_disk *)ctx)->now + offset, length);
    return XENPV_OK;
}

static int write_volatile(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    struct volatile_disk *disk = ctx;

    memcpy(disk->now + offset, from, length);
    mark(disk, offset, length);
    return XENPV_OK;
}

static int discard_volatile(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    struct volatile_disk *disk = ctx;

    (void)secure;
    memset(disk->now + offset, 0, (size_t)length);
    mark(disk, offset, length);
    return XENPV_OK;
}

static int flush_volatile(void *ctx)
{
    struct volatile_disk *disk = ctx;

    for (uint64_t sector = next_dirty(disk, 0); sector < disk->sectors;
         sector = next_dirty(disk, sector + 1))
        memcpy(at(disk->stable, sector), at(disk->now, sector), SECTOR);
    memset(disk->dirty, 0, dirty_bytes(disk->sectors));
    return XENPV_OK;
}

static void close_volatile(void *ctx)
{
    struct volatile_disk *disk = ctx;
    struct xenpv_allocator allocator = disk->allocator;

    allocator.free(allocator.ctx, disk->now);
    allocator.free(allocator.ctx, disk->stable);
    allocator.free(allocator.ctx, disk->dirty);
    allocator.free(allocator.ctx, disk);
}

static void *zeroes(const struct xenpv_allocator *allocator, size_t bytes)
{
    void *memory = allocator->alloc(allocator->ctx, bytes, XENPV_PAGE_SIZE);

    if (memory)
        memset(memory, 0, bytes);
    return memory;
}

int xenpv_disk_volatile(const struct xenpv_allocator *allocator, uint64_t bytes,
                        struct xenpv_disk *out)
{
    struct volatile_disk *disk;

    if (bytes == 0 || bytes % SECTOR || bytes > SIZE_MAX)
        return XENPV_EINVAL;
    disk = allocator->alloc(allocator->ctx, sizeof(*disk), sizeof(void *));
    if (!disk)
        return XENPV_ENOMEM;
    *disk = (struct volatile_disk){.allocator = *allocator,
                                   .sectors = bytes / SECTOR,
                                   .now = zeroes(allocator, (size_t)bytes),
                                   .stable = zeroes(allocator, (size_t)bytes),
                                   .dirty = zeroes(allocator, dirty_bytes(bytes / SECTOR))};
    if (!disk->now || !disk->stable || !disk->dirty) {
        close_volatile(disk);
        return XENPV_ENOMEM;
    }
    *out = (struct xenpv_disk){.ctx = disk,
                               .bytes = bytes,
                               .sector_size = SECTOR,
                               .barrier = true,
                               .read = read_volatile,
                               .write = write_volatile,
                               .flush = flush_volatile,
                               .discard = discard_volatile,
                               .close = close_volatile};
    return XENPV_OK;
}

/* The next of a row of numbers; any seed begins one (splitmix64). */
static uint32_t next(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(mixed >> 32);
}

uint64_t xenpv_disk_power_cut(struct xenpv_disk *out, uint32_t seed)
{
    struct volatile_disk *disk = out->ctx;
    uint64_t state = seed, lost = 0;
    uint32_t eighths = next(&state) % 9; /* of the sectors: from none to all */

    for (uint64_t sector = next_dirty(disk, 0); sector < disk->sectors;
         sector = next_dirty(disk, sector + 1)) {
        if (next(&state) % 8 >= eighths)
            continue;
        memcpy(at(disk->now, sector), at(disk->stable, sector), SECTOR);
        lost++;
    }
    flush_volatile(disk); /* what was not lost is what the medium holds */
    return lost;
}
