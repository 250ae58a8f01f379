/* SPDX-License-Identifier: MIT */
#include <xenpv/abi/blkif.h>

/*
 * Where the fields stand. Those not listed are at the same place in all layouts: operation at 0,
 * the byte after it (segments, inner operation or flag) at 1, and in a response 8 bytes of id at 0,
 * operation at 8, status at 10. The x86_32 layout packs 64-bit fields to 4 bytes.
 */
struct layout {
    const char *name;
    uint8_t slot, response;                       /* sizes */
    uint8_t id, sector, segments;                 /* read, write, barrier, flush; id for all */
    uint8_t discard_sectors, discard_size;        /* number of sectors; size of the request */
    uint8_t inner_handle, inner_refs, inner_size; /* indirect */
};

static const struct layout layouts[XENPV_ABI_COUNT] = {
    [XENPV_ABI_X86_64] = {"x86_64-abi", 112, 16, 8, 16, 24, 24, 32, 24, 28, 64},
    [XENPV_ABI_X86_32] = {"x86_32-abi", 108, 12, 4, 12, 20, 20, 28, 20, 24, 64},
    [XENPV_ABI_ARM] = {"arm-abi", 112, 16, 8, 16, 24, 24, 32, 24, 28, 64},
};

#define HANDLE          2 /* of all but INDIRECT, whose 16-bit segment count stands there */
#define RESPONSE_OP     8
#define RESPONSE_STATUS 10
#define SEGMENT_SIZE    8

static void put(uint8_t *at, const void *value, uint32_t bytes)
{
    memcpy(at, value, bytes);
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

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

static uint32_t put_discard(const struct layout *l, const struct xenpv_blkif_request *req,
                            uint8_t *slot)
{
    slot[1] = req->flag;
    put(slot + HANDLE, &req->handle, 2);
    put(slot + l->discard_sectors, &req->nr_sectors, 8);
    return l->discard_size;
}

static uint32_t put_indirect(const struct layout *l, const struct xenpv_blkif_request *req,
                             uint8_t *slot)
{
    slot[1] = req->indirect_op;
    put(slot + HANDLE, &req->nr_segments, 2);
    put(slot + l->inner_handle, &req->handle, 2);
    put(slot + l->inner_refs, req->indirect_ref, sizeof(req->indirect_ref));
    return l->inner_size;
}

static uint32_t put_data(const struct layout *l, const struct xenpv_blkif_request *req,
                         uint8_t *slot)
{
    uint32_t at = l->segments;

    slot[1] = (uint8_t)req->nr_segments;
    put(slot + HANDLE, &req->handle, 2);
    for (uint32_t i = 0; i < req->nr_segments && i < XENPV_BLKIF_SEGMENTS; i++) {
        put(slot + at, &req->seg[i].ref, 4);
        slot[at + 4] = req->seg[i].first;
        slot[at + 5] = req->seg[i].last;
        at += SEGMENT_SIZE;
    }
    return at;
}

uint32_t xenpv_blkif_put_request(enum xenpv_abi abi, const struct xenpv_blkif_request *req,
                                 uint8_t *slot)
{
    const struct layout *l = &layouts[abi];

    memset(slot, 0, XENPV_BLKIF_SLOT_MAX);
    slot[0] = req->op;
    put(slot + l->id, &req->id, 8);
    put(slot + l->sector, &req->sector, 8);
    switch (req->op) {
    case XENPV_BLKIF_DISCARD:
        return put_discard(l, req, slot);
    case XENPV_BLKIF_INDIRECT:
        return put_indirect(l, req, slot);
    default:
        return put_data(l, req, slot);
    }
}

static void get_discard(const struct layout *l, const uint8_t *slot,
                        struct xenpv_blkif_request *req)
{
    req->flag = slot[1];
    req->handle = get16(slot + HANDLE);
    req->nr_sectors = get64(slot + l->discard_sectors);
}

static void get_indirect(const struct layout *l, const uint8_t *slot,
                         struct xenpv_blkif_request *req)
{
    req->indirect_op = slot[1];
    req->nr_segments = get16(slot + HANDLE);
    req->handle = get16(slot + l->inner_handle);
    memcpy(req->indirect_ref, slot + l->inner_refs, sizeof(req->indirect_ref));
}

static void get_data(const struct layout *l, const uint8_t *slot, struct xenpv_blkif_request *req)
{
    const uint8_t *at = slot + l->segments;

    req->nr_segments = slot[1];
    req->handle = get16(slot + HANDLE);
    for (uint32_t i = 0; i < XENPV_BLKIF_SEGMENTS; i++, at += SEGMENT_SIZE)
        req->seg[i] = (struct xenpv_blkif_segment){get32(at), at[4], at[5]};
}

void xenpv_blkif_get_request(enum xenpv_abi abi, const uint8_t *slot,
                             struct xenpv_blkif_request *req)
{
    const struct layout *l = &layouts[abi];

    memset(req, 0, sizeof(*req));
    req->op = slot[0];
    req->id = get64(slot + l->id);
    req->sector = get64(slot + l->sector);
    switch (req->op) {
    case XENPV_BLKIF_DISCARD:
        get_discard(l, slot, req);
        break;
    case XENPV_BLKIF_INDIRECT:
        get_indirect(l, slot, req);
        break;
    default:
        get_data(l, slot, req);
        break;
    }
}

uint32_t xenpv_blkif_put_response(enum xenpv_abi abi, const struct xenpv_blkif_response *rsp,
                                  uint8_t *slot)
{
    memset(slot, 0, layouts[abi].response);
    put(slot, &rsp->id, 8);
    slot[RESPONSE_OP] = rsp->op;
    put(slot + RESPONSE_STATUS, &rsp->status, 2);
    return layouts[abi].response;
}

void xenpv_blkif_get_response(const uint8_t *slot, struct xenpv_blkif_response *rsp)
{
    rsp->id = get64(slot);
    rsp->op = slot[RESPONSE_OP];
    rsp->status = (int16_t)get16(slot + RESPONSE_STATUS);
}
