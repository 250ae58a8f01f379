/* SPDX-License-Identifier: MIT */
/* Requests: taken once, checked, done, answered. */
#include "backend/blkback.h"
#include "core/blkif_words.h"
#include "core/check.h"

/* What is on the page of an indirect request can be used as it stands. */
XENPV_STATIC_ASSERT(sizeof(struct xenpv_blkif_segment) == 8 &&
                        offsetof(struct xenpv_blkif_segment, first) == 4 &&
                        offsetof(struct xenpv_blkif_segment, last) == 5,
                    "a segment is laid out as in blkif.h");

/* With it, what ends within the disk ends within its whole sectors. */
static bool aligned(const struct xenpv_blkback *back, uint64_t offset, uint64_t bytes)
{
    return XENPV_CHECK(REQ_ALIGNED, ((offset | bytes) & (back->units.sector_size - 1)) == 0);
}

/* Where and how much; false: not on this disk. */
static bool judge(const struct xenpv_blkback *back, uint64_t sector,
                  struct blkback_transfer *transfer)
{
    uint32_t unit = back->units.segment, last = back->units.last;
    uint64_t end = back->disk->bytes;

    transfer->bytes = 0;
    for (uint32_t i = 0; i < transfer->count; i++) {
        const struct xenpv_blkif_segment *seg = &transfer->seg[i];

        if (!XENPV_CHECK(REQ_SECTORS, seg->first <= seg->last && seg->last <= last))
            return false;
        transfer->bytes += (seg->last - seg->first + 1u) << unit;
    }
    transfer->offset = sector << back->units.number;
    if (!XENPV_CHECK(REQ_RANGE, sector <= end >> back->units.number &&
                                    transfer->bytes <= end - transfer->offset))
        return false;
    if (!XENPV_CHECK(REQ_READONLY, !transfer->write || !back->readonly))
        return false;
    return aligned(back, transfer->offset, transfer->bytes);
}

static int16_t move(struct xenpv_blkback *back, struct blkback_queue *q,
                    const struct blkback_transfer *transfer)
{
    if (!blkback_move(back, q, transfer))
        return XENPV_BLKIF_ERROR;
    if (transfer->write)
        back->stats.written_bytes += transfer->bytes;
    else
        back->stats.read_bytes += transfer->bytes;
    return XENPV_BLKIF_OKAY;
}

/* What a request that carries its segments itself moves. */
static struct blkback_transfer direct(const struct xenpv_blkif_request *request)
{
    uint32_t count = request->nr_segments;

    return (struct blkback_transfer){.seg = request->seg,
                                     .count = count < XENPV_BLKIF_SEGMENTS ? count
                                                                           : XENPV_BLKIF_SEGMENTS,
                                     .write = request->op != XENPV_BLKIF_READ};
}

static int16_t read_or_write(struct xenpv_blkback *back, struct blkback_queue *q,
                             const struct xenpv_blkif_request *request)
{
    struct blkback_transfer transfer = direct(request);
    uint32_t count = request->nr_segments;

    if (!XENPV_CHECK(REQ_SEGMENTS, count >= 1 && count <= XENPV_BLKIF_SEGMENTS) ||
        !judge(back, request->sector, &transfer))
        return XENPV_BLKIF_ERROR;
    return move(back, q, &transfer);
}

static bool flush_disk(const struct xenpv_blkback *back)
{
    const struct xenpv_disk *disk = back->disk;

    return !disk->flush || disk->flush(disk->ctx) == XENPV_OK;
}

/*
 * FLUSH, and WRITE_BARRIER, which is flushed behind its data too. All that was accepted before is
 * done by now, for one request is done after the other.
 */
static int16_t flush_and_write(struct xenpv_blkback *back, struct blkback_queue *q,
                               const struct xenpv_blkif_request *request)
{
    bool barrier = request->op == XENPV_BLKIF_WRITE_BARRIER;
    struct blkback_transfer transfer = direct(request);
    uint32_t count = request->nr_segments;
    int16_t status;

    if (barrier ? !back->disk->barrier : !back->disk->flush)
        return XENPV_BLKIF_EOPNOTSUPP;
    if (!XENPV_CHECK(REQ_SEGMENTS, count <= XENPV_BLKIF_SEGMENTS) ||
        (count && !judge(back, request->sector, &transfer)) || !flush_disk(back))
        return XENPV_BLKIF_ERROR;
    back->stats.flushes += !barrier;
    back->stats.barriers += barrier;
    if (!count)
        return XENPV_BLKIF_OKAY;
    status = move(back, q, &transfer);
    if (status == XENPV_BLKIF_OKAY && barrier && !flush_disk(back))
        status = XENPV_BLKIF_ERROR;
    return status;
}

static int16_t discard(struct xenpv_blkback *back, const struct xenpv_blkif_request *request)
{
    const struct xenpv_disk *disk = back->disk;
    uint64_t sector = request->sector, count = request->nr_sectors;
    uint64_t sectors = disk->bytes >> back->units.number;
    bool secure = disk->discard_secure && (request->flag & XENPV_BLKIF_DISCARD_SECURE);
    uint64_t offset = sector << back->units.number, bytes = count << back->units.number;
    int error = XENPV_OK;

    if (!disk->discard || !back->discard)
        return XENPV_BLKIF_EOPNOTSUPP;
    if (!XENPV_CHECK(REQ_DISCARD, sector <= sectors && count <= sectors - sector) ||
        !XENPV_CHECK(REQ_READONLY, !back->readonly) || !aligned(back, offset, bytes))
        return XENPV_BLKIF_ERROR;
    if (bytes)
        error = disk->discard(disk->ctx, offset, bytes, secure);
    if (error == XENPV_ENOTSUP)
        return XENPV_BLKIF_EOPNOTSUPP;
    back->stats.discards += !error;
    return error ? XENPV_BLKIF_ERROR : XENPV_BLKIF_OKAY;
}

/* Fetches the pages that hold the segments, as far as there are segments, each byte once. */
static bool fetch_segments(struct xenpv_blkback *back, const struct xenpv_blkif_request *request,
                           uint32_t count)
{
    struct xenpv_copy_entry entries[XENPV_BLKIF_INDIRECT_PAGES];
    uint32_t pages = 0;

    for (uint32_t at = 0; at < count; at += BLKBACK_INDEX_PAGE) {
        uint32_t left = count - at;

        entries[pages] = (struct xenpv_copy_entry){
            .local = &back->scratch.seg[at],
            .ref = request->indirect_ref[pages],
            .domid = back->bus.peer_domid,
            .length = (uint16_t)((left < BLKBACK_INDEX_PAGE ? left : BLKBACK_INDEX_PAGE) * 8),
        };
        pages++;
    }
    back->stats.mapped += pages;
    return back->port->map->copy(back->port->ctx, entries, pages) == XENPV_OK;
}

static int16_t indirect(struct xenpv_blkback *back, struct blkback_queue *q,
                        const struct xenpv_blkif_request *request)
{
    uint32_t count = request->nr_segments, most = back->config.segments;
    uint8_t op = request->indirect_op;
    struct blkback_transfer transfer = {.seg = back->scratch.seg, .write = op == XENPV_BLKIF_WRITE};

    if (most == 0)
        return XENPV_BLKIF_EOPNOTSUPP;
    back->stats.indirect++;
    if (!XENPV_CHECK(REQ_INDIRECT, op == XENPV_BLKIF_READ || op == XENPV_BLKIF_WRITE) ||
        !XENPV_CHECK(REQ_INDIRECT_SEGMENTS, count >= 1 && count <= most))
        return XENPV_BLKIF_ERROR;
    transfer.count = count < most ? count : most;
    if (!fetch_segments(back, request, transfer.count) || !judge(back, request->sector, &transfer))
        return XENPV_BLKIF_ERROR;
    return move(back, q, &transfer);
}

static int16_t perform(struct xenpv_blkback *back, struct blkback_queue *q,
                       const struct xenpv_blkif_request *request)
{
    switch (request->op) {
    case XENPV_BLKIF_READ:
    case XENPV_BLKIF_WRITE:
        return read_or_write(back, q, request);
    case XENPV_BLKIF_WRITE_BARRIER:
    case XENPV_BLKIF_FLUSH:
        return flush_and_write(back, q, request);
    case XENPV_BLKIF_DISCARD:
        return discard(back, request);
    case XENPV_BLKIF_INDIRECT:
        return indirect(back, q, request);
    default:
        return XENPV_BLKIF_EOPNOTSUPP;
    }
}

/* Straight from slot to slot: by the time the answer is written all of the request is read. */
static void answer_one(struct xenpv_blkback *back, struct blkback_queue *q)
{
    uint32_t pad = blkif_pad(back->abi);
    struct xenpv_blkif_request request;
    struct xenpv_blkif_response response;

    blkif_get_request(pad, xenpv_ring_next_in(&q->ring), &request);
    response = (struct xenpv_blkif_response){request.id, request.op, perform(back, q, &request)};
    /* drivers/block/xen-blkfront.c takes no other answer to an indirect request. */
    if (request.op == XENPV_BLKIF_INDIRECT)
        response.op = request.indirect_op;
    back->stats.requests++;
    back->stats.refused += response.status != XENPV_BLKIF_OKAY;
    blkif_put_response(pad, xenpv_ring_next_out(&q->ring), &response);
}

static void overrun(struct xenpv_blkback *back, const struct blkback_queue *q, uint32_t available)
{
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = XENPV_CHECK_REQ_PROD,
                                  .queue = (uint32_t)(q - back->queue),
                                  .index = q->ring.cons,
                                  .value = q->ring.cons + available,
                                  .step = "taking requests from the ring",
                                  .expected = xenpv_check_text(XENPV_CHECK_REQ_PROD)};

    xenpv_bus_fail(&back->bus, &detail);
}

/* Nothing is there: asks for an event, unless the last one that was asked for is still to come. */
static bool rest(struct xenpv_blkback *back, struct blkback_queue *q)
{
    const struct xenpv_port *port = back->port;

    if (port->event->take(port->ctx, q->event_port))
        port->event->unmask(port->ctx, q->event_port);
    else if (q->armed)
        return false;
    q->armed = true;
    return xenpv_ring_arm(&q->ring);
}

static void publish(struct xenpv_blkback *back, struct blkback_queue *q)
{
    const struct xenpv_port *port = back->port;

    if (xenpv_ring_publish(&q->ring)) {
        back->stats.notified++;
        port->event->notify(port->ctx, q->event_port);
    }
}

/* Answers that are shown at once: the frontend has something to do while the next ones are made. */
#define ANSWERS 8u

static void serve(struct xenpv_blkback *back, struct blkback_queue *q)
{
    uint32_t available = xenpv_ring_available(&q->ring);

    q->more = false;
    if (!XENPV_CHECK(REQ_PROD, available <= xenpv_ring_room(&q->ring))) {
        overrun(back, q, available);
        return;
    }
    if (available == 0) {
        q->more = rest(back, q);
        return;
    }
    while (available--) {
        answer_one(back, q);
        if (available % ANSWERS == 0)
            publish(back, q);
    }
    q->armed = false;
    q->more = true;
}

bool blkback_serve(struct xenpv_blkback *back)
{
    bool more = false;

    for (uint32_t i = 0; i < back->queues && back->bus.detail.error == XENPV_OK; i++) {
        serve(back, &back->queue[i]);
        more |= back->queue[i].more;
    }
    return more;
}
