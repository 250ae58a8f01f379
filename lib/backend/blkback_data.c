/* SPDX-License-Identifier: MIT */
/* Data on its way between the disk and the frontend's pages, all of it checked before. */
#include "backend/blkback.h"

static uint32_t bytes_of(const struct xenpv_blkback *back, const struct xenpv_blkif_segment *seg)
{
    return (seg->last - seg->first + 1u) << back->units.segment;
}

/* Between our private memory, which the frontend cannot change, and its pages. */
static bool copy(struct xenpv_blkback *back, const struct blkback_transfer *transfer)
{
    struct xenpv_copy_entry *entries = back->scratch.copies;
    uint8_t *at = back->scratch.data;

    for (uint32_t i = 0; i < transfer->count; i++) {
        const struct xenpv_blkif_segment *seg = &transfer->seg[i];
        uint32_t bytes = bytes_of(back, seg);

        entries[i] = (struct xenpv_copy_entry){
            .local = at,
            .ref = seg->ref,
            .domid = back->bus.peer_domid,
            .offset = (uint16_t)(seg->first << back->units.segment),
            .length = (uint16_t)bytes,
            .to_peer = !transfer->write,
        };
        at += bytes;
    }
    back->stats.mapped += transfer->count;
    return back->port->map->copy(back->port->ctx, entries, transfer->count) == XENPV_OK;
}

static bool move_by_copy(struct xenpv_blkback *back, const struct blkback_transfer *transfer)
{
    const struct xenpv_disk *disk = back->disk;
    uint8_t *data = back->scratch.data;

    if (transfer->write)
        return copy(back, transfer) &&
               disk->write(disk->ctx, transfer->offset, data, transfer->bytes) == XENPV_OK;
    return disk->read(disk->ctx, transfer->offset, data, transfer->bytes) == XENPV_OK &&
           copy(back, transfer);
}

/* Finds or maps every page before the disk is touched: where each segment's data is. */
static bool find_pages(struct xenpv_blkback *back, struct blkback_cache *cache,
                       const struct blkback_transfer *transfer)
{
    if (transfer->count > cache->bound)
        return false; /* the last ones would push the first ones out */
    for (uint32_t i = 0; i < transfer->count; i++) {
        uint8_t *page = blkback_cache_page(back, cache, transfer->seg[i].ref);

        if (!page)
            return false;
        back->scratch.pages[i] = page + ((size_t)transfer->seg[i].first << back->units.segment);
    }
    return true;
}

/* Straight between disk and pages; what is side by side there goes in one call. */
static bool move_by_mapping(struct xenpv_blkback *back, const struct blkback_transfer *transfer)
{
    const struct xenpv_disk *disk = back->disk;
    uint64_t offset = transfer->offset;
    uint32_t i = 0;

    while (i < transfer->count) {
        uint8_t *at = back->scratch.pages[i];
        uint32_t bytes = bytes_of(back, &transfer->seg[i]);

        while (++i < transfer->count && back->scratch.pages[i] == at + bytes)
            bytes += bytes_of(back, &transfer->seg[i]);
        if (transfer->write ? disk->write(disk->ctx, offset, at, bytes)
                            : disk->read(disk->ctx, offset, at, bytes))
            return false;
        offset += bytes;
    }
    return true;
}

bool blkback_move(struct xenpv_blkback *back, struct blkback_queue *q,
                  const struct blkback_transfer *transfer)
{
    if (!back->scratch.data)
        return true;
    /* A page that cannot be mapped may well be copied: it is granted for reading only, or there is
       no room for one more mapping. */
    if (find_pages(back, &q->cache, transfer))
        return move_by_mapping(back, transfer);
    return move_by_copy(back, transfer);
}
