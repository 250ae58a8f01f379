/* SPDX-License-Identifier: MIT */
#include "blkif_words.h"

/* Where the fields stand is in blkif_words.h. */
static const struct layout {
    const char *name;
    uint8_t slot, response; /* bytes */
} layouts[XENPV_ABI_COUNT] = {
    [XENPV_ABI_X86_64] = {"x86_64-abi", 112, 16},
    [XENPV_ABI_X86_32] = {"x86_32-abi", 108, 12},
    [XENPV_ABI_ARM] = {"arm-abi", 112, 16},
};

const char *xenpv_abi_name(enum xenpv_abi abi)
{
    return layouts[abi].name;
}

static bool same_text(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

enum xenpv_abi xenpv_abi_from_name(const char *name)
{
    uint32_t abi = 0;
    while (abi < XENPV_ABI_COUNT && !same_text(name, layouts[abi].name))
        abi++;
    return (enum xenpv_abi)abi;
}

uint32_t xenpv_blkif_slot_size(enum xenpv_abi abi)
{
    return layouts[abi].slot;
}

uint32_t xenpv_blkif_response_size(enum xenpv_abi abi)
{
    return layouts[abi].response;
}

uint32_t xenpv_blkif_put_request(enum xenpv_abi abi, const struct xenpv_blkif_request *req,
                                 uint8_t *slot)
{
    uint32_t pad = blkif_pad(abi), *begin = (uint32_t *)(void *)slot, *at;
    bool indirect = req->op == XENPV_BLKIF_INDIRECT, discard = req->op == XENPV_BLKIF_DISCARD;
    uint32_t byte = indirect ? req->indirect_op : discard ? req->flag : req->nr_segments;

    memset(slot, 0, XENPV_BLKIF_SLOT_MAX);
    at = blkif_put_head(pad, begin, req->op, byte & 0xff, indirect ? req->nr_segments : req->handle,
                        req->id, req->sector);
    if (indirect)
        at = blkif_put_index(pad, at, req->handle, req->indirect_ref, XENPV_BLKIF_INDIRECT_PAGES);
    else if (discard)
        at = blkif_put64(at, req->nr_sectors);
    for (uint32_t i = 0; !indirect && !discard && i < req->nr_segments && i < XENPV_BLKIF_SEGMENTS;
         i++)
        at = blkif_put_segment(at, req->seg[i].ref, req->seg[i].first, req->seg[i].last);
    return (uint32_t)(at - begin) * 4;
}

void xenpv_blkif_get_request(enum xenpv_abi abi, const uint8_t *slot,
                             struct xenpv_blkif_request *req)
{
    blkif_get_request(blkif_pad(abi), (const uint32_t *)(const void *)slot, req);
}

uint32_t xenpv_blkif_put_response(enum xenpv_abi abi, const struct xenpv_blkif_response *rsp,
                                  uint8_t *slot)
{
    blkif_put_response(blkif_pad(abi), (uint32_t *)(void *)slot, rsp);
    return xenpv_blkif_response_size(abi);
}

void xenpv_blkif_get_response(const uint8_t *slot, struct xenpv_blkif_response *rsp)
{
    blkif_get_response((const uint32_t *)(const void *)slot, rsp);
}
