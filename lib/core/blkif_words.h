/* SPDX-License-Identifier: MIT */
/*
 * The layouts of blkif.h as rows of 32-bit words, for writing straight into a ring slot that the
 * other end may be reading, and reading one that it may be writing: each word is stored once, none
 * is read back, and padding is zero; each word is loaded once, and padding is not. The
 * layouts differ in one thing only: where 64-bit fields are aligned to 8 bytes (all but x86_32), a
 * word of padding stands before the id.
 */
#ifndef XENPV_BLKIF_WORDS_H
#define XENPV_BLKIF_WORDS_H

#include <xenpv/abi/blkif.h>

#include "inline.h"

/* Words of padding before the id. */
static inline uint32_t blkif_pad(enum xenpv_abi abi)
{
    return abi != XENPV_ABI_X86_32;
}

ALWAYS_INLINE uint32_t *blkif_put64(uint32_t *at, uint64_t value)
{
    xenpv_store(at, (uint32_t)value);
    xenpv_store(at + 1, (uint32_t)(value >> 32));
    return at + 2;
}

/*
 * What all requests begin with: `byte` is nr_segments, the discard's flag or the inner operation,
 * `half` the handle, or nr_segments of an indirect request. Returns where the rest goes.
 */
ALWAYS_INLINE uint32_t *blkif_put_head(uint32_t pad, uint32_t *at, uint32_t op, uint32_t byte,
                                       uint32_t half, uint64_t id, uint64_t sector)
{
    xenpv_store(at++, op | byte << 8 | half << 16);
    if (pad)
        xenpv_store(at++, 0);
    return blkif_put64(blkif_put64(at, id), sector);
}

/* A segment, on the ring or in a page of an indirect request. */
ALWAYS_INLINE uint32_t *blkif_put_segment(uint32_t *at, uint32_t ref, uint32_t first, uint32_t last)
{
    xenpv_store(at, ref);
    xenpv_store(at + 1, first | last << 8);
    return at + 2;
}

/* The rest of an indirect request: `count` references of index pages, up to 8. */
static inline uint32_t *blkif_put_index(uint32_t pad, uint32_t *at, uint32_t handle,
                                        const uint32_t *refs, uint32_t count)
{
    xenpv_store(at++, handle);
    for (uint32_t i = 0; i < XENPV_BLKIF_INDIRECT_PAGES; i++)
        xenpv_store(at++, i < count ? refs[i] : 0);
    for (uint32_t end = pad ? 1 : 2; end; end--)
        xenpv_store(at++, 0);
    return at;
}

ALWAYS_INLINE uint64_t blkif_get64(const uint32_t *at)
{
    return xenpv_load(at) | (uint64_t)xenpv_load(at + 1) << 32;
}

/* The rest of an indirect request, and of one that carries its segments. */
static inline void blkif_get_index(const uint32_t *at, struct xenpv_blkif_request *req)
{
    req->indirect_op = (uint8_t)req->nr_segments;
    req->nr_segments = req->handle;
    req->handle = (uint16_t)xenpv_load(at++);
    for (uint32_t i = 0; i < XENPV_BLKIF_INDIRECT_PAGES; i++)
        req->indirect_ref[i] = xenpv_load(at++);
}

ALWAYS_INLINE void blkif_get_segments(const uint32_t *at, struct xenpv_blkif_request *req)
{
    uint32_t count = req->nr_segments;

    for (uint32_t i = 0; i < count && i < XENPV_BLKIF_SEGMENTS; i++, at += 2) {
        uint32_t sectors = xenpv_load(at + 1);

        req->seg[i] =
            (struct xenpv_blkif_segment){xenpv_load(at), (uint8_t)sectors, (uint8_t)(sectors >> 8)};
    }
}

/* Reads a request, and of the slot no more than that. */
ALWAYS_INLINE void blkif_get_request(uint32_t pad, const uint32_t *at,
                                     struct xenpv_blkif_request *req)
{
    uint32_t head = xenpv_load(at);

    at += 1 + pad;
    req->op = (uint8_t)head;
    req->nr_segments = (uint8_t)(head >> 8);
    req->handle = (uint16_t)(head >> 16);
    req->id = blkif_get64(at);
    req->sector = blkif_get64(at + 2);
    at += 4;
    if (req->op <= XENPV_BLKIF_FLUSH) {
        blkif_get_segments(at, req);
    } else if (req->op == XENPV_BLKIF_INDIRECT) {
        blkif_get_index(at, req);
    } else if (req->op == XENPV_BLKIF_DISCARD) {
        req->flag = (uint8_t)req->nr_segments;
        req->nr_sectors = blkif_get64(at);
    }
}

/* Writes a response; its fields stand at the same place in all layouts, and padding follows. */
ALWAYS_INLINE void blkif_put_response(uint32_t pad, uint32_t *at,
                                      const struct xenpv_blkif_response *response)
{
    at = blkif_put64(at, response->id);
    xenpv_store(at, response->op | (uint32_t)(uint16_t)response->status << 16);
    if (pad)
        xenpv_store(at + 1, 0);
}

/* Reads a response: its fields stand at the same place in all layouts. */
ALWAYS_INLINE void blkif_get_response(const uint32_t *at, struct xenpv_blkif_response *response)
{
    uint32_t word = xenpv_load(at + 2);

    response->id = blkif_get64(at);
    response->op = (uint8_t)word;
    response->status = (int16_t)(word >> 16);
}

#endif
