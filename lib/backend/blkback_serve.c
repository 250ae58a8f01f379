/* SPDX-License-Identifier: MIT */
/* Requests: taken once, checked, done, answered. */
#include "backend/blkback.h"
#include "core/check.h"

static uint32_t segment_bytes(const struct xenpv_blkif_segment *segment)
{
    return (segment->last - segment->first + 1u) * XENPV_BLKIF_SECTOR;
}

/* The check a data request fails, or XENPV_CHECK_NONE; `bytes` is how much it moves. */
static uint32_t judge(const struct xenpv_blkback *back, const struct xenpv_blkif_request *request,
                      uint32_t *bytes)
{
    uint64_t sectors = back->disk->bytes / XENPV_BLKIF_SECTOR;
    uint32_t count = request->nr_segments;

    *bytes = 0;
    if (!XENPV_CHECK(REQ_SEGMENTS, count >= 1 && count <= XENPV_BLKIF_SEGMENTS))
        return XENPV_CHECK_REQ_SEGMENTS;
    for (uint32_t i = 0; i < count && i < XENPV_BLKIF_SEGMENTS; i++) {
        const struct xenpv_blkif_segment *segment = &request->seg[i];
        if (!XENPV_CHECK(REQ_SECTORS, segment->first <= segment->last && segment->last <= 7))
            return XENPV_CHECK_REQ_SECTORS;
        *bytes += segment_bytes(segment);
    }
    if (!XENPV_CHECK(REQ_RANGE, request->sector <= sectors &&
                                    *bytes / XENPV_BLKIF_SECTOR <= sectors - request->sector))
        return XENPV_CHECK_REQ_RANGE;
    if (!XENPV_CHECK(REQ_READONLY, request->op == XENPV_BLKIF_READ || !back->disk->readonly))
        return XENPV_CHECK_REQ_READONLY;
    return XENPV_CHECK_NONE;
}

/* Moves the request's data between `back->data` and the frontend's pages. */
static int copy(struct xenpv_blkback *back, const struct xenpv_blkif_request *request, bool to_peer)
{
    struct xenpv_copy_entry entries[XENPV_BLKIF_SEGMENTS];
    uint8_t *at = back->data;

    for (uint32_t i = 0; i < request->nr_segments; i++) {
        const struct xenpv_blkif_segment *segment = &request->seg[i];
        entries[i] = (struct xenpv_copy_entry){
            .local = at,
            .ref = segment->ref,
            .domid = back->bus.peer_domid,
            .offset = (uint16_t)(segment->first * XENPV_BLKIF_SECTOR),
            .length = (uint16_t)segment_bytes(segment),
            .to_peer = to_peer,
        };
        at += entries[i].length;
    }
    return back->port->map->copy(back->port->ctx, entries, request->nr_segments);
}

static int16_t read_or_write(struct xenpv_blkback *back, const struct xenpv_blkif_request *request)
{
    const struct xenpv_disk *disk = back->disk;
    uint64_t offset = request->sector * XENPV_BLKIF_SECTOR;
    uint32_t bytes, check = judge(back, request, &bytes);
    int error;

    if (check != XENPV_CHECK_NONE)
        return XENPV_BLKIF_ERROR;
    if (request->op == XENPV_BLKIF_READ) {
        error = disk->read(disk->ctx, offset, back->data, bytes);
        if (error == XENPV_OK)
            error = copy(back, request, true);
        back->stats.read_bytes += error ? 0 : bytes;
    } else {
        error = copy(back, request, false);
        if (error == XENPV_OK)
            error = disk->write(disk->ctx, offset, back->data, bytes);
        back->stats.written_bytes += error ? 0 : bytes;
    }
    return error ? XENPV_BLKIF_ERROR : XENPV_BLKIF_OKAY;
}

static int16_t flush(struct xenpv_blkback *back, const struct xenpv_blkif_request *request)
{
    const struct xenpv_disk *disk = back->disk;

    if (!disk->flush)
        return XENPV_BLKIF_EOPNOTSUPP;
    if (!XENPV_CHECK(REQ_SEGMENTS, request->nr_segments == 0))
        return XENPV_BLKIF_ERROR;
    back->stats.flushes++;
    return disk->flush(disk->ctx) ? XENPV_BLKIF_ERROR : XENPV_BLKIF_OKAY;
}

static int16_t perform(struct xenpv_blkback *back, const struct xenpv_blkif_request *request)
{
    switch (request->op) {
    case XENPV_BLKIF_READ:
    case XENPV_BLKIF_WRITE:
        return read_or_write(back, request);
    case XENPV_BLKIF_FLUSH:
        return flush(back, request);
    default:
        return XENPV_BLKIF_EOPNOTSUPP;
    }
}

static void answer_one(struct xenpv_blkback *back)
{
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX];
    struct xenpv_blkif_request request;
    struct xenpv_blkif_response response;

    xenpv_ring_take(&back->ring, image, back->ring.slot_size);
    xenpv_blkif_get_request(back->abi, image, &request);
    response = (struct xenpv_blkif_response){request.id, request.op, perform(back, &request)};
    back->stats.requests++;
    back->stats.refused += response.status != XENPV_BLKIF_OKAY;
    xenpv_ring_put(&back->ring, image, xenpv_blkif_put_response(back->abi, &response, image));
}

static void overrun(struct xenpv_blkback *back, uint32_t available)
{
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = XENPV_CHECK_REQ_PROD,
                                  .index = back->ring.cons,
                                  .value = back->ring.cons + available,
                                  .step = "taking requests from the ring",
                                  .expected = xenpv_check_text(XENPV_CHECK_REQ_PROD)};

    xenpv_bus_fail(&back->bus, &detail);
}

bool blkback_serve(struct xenpv_blkback *back)
{
    const struct xenpv_port *port = back->port;
    uint32_t available;

    if (!back->attached || back->bus.detail.error)
        return false;
    available = xenpv_ring_available(&back->ring);
    if (!XENPV_CHECK(REQ_PROD, available <= xenpv_ring_room(&back->ring))) {
        overrun(back, available);
        return false;
    }
    while (available--)
        answer_one(back);
    if (xenpv_ring_publish(&back->ring)) {
        back->stats.notified++;
        port->event->notify(port->ctx, back->event_port);
    }
    return xenpv_ring_arm(&back->ring);
}
