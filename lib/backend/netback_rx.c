/* SPDX-License-Identifier: MIT */
/*
 * Frames for the frontend: each slot of a frame takes one request and answers it in its own slot.
 * What finds too few requests waits in its queue's backlog, for a while.
 */
#include "backend/netback.h"
#include "core/check.h"
#include "core/netif_words.h"

#define PULL 256u /* frames of the link in one step */
/* Slots of the largest frame: a prefix, its extras, 18 pages. */
#define SLOTS_MAX (1 + 3 + XENPV_NETIF_SLOTS_MIN)

/* ---- slots ----------------------------------------------------------------------------------- */

static bool with_prefix(const struct xenpv_netback *back, const struct xenpv_link_frame *frame)
{
    static const uint32_t features[] = {
        [XENPV_NETIF_GSO_NONE] = 0,
        [XENPV_NETIF_GSO_TCPV4] = XENPV_NET_GSO4,
        [XENPV_NETIF_GSO_TCPV6] = XENPV_NET_GSO6,
    };

    return back->prefix & features[frame->gso_type];
}

static uint32_t extras_of(const struct xenpv_netback *back, const struct xenpv_link_frame *frame)
{
    uint32_t gso = frame->gso_type && !with_prefix(back, frame);

    return gso + frame->hashed + (back->headroom > 0);
}

/* One slot, with nothing beside it: most are. */
static inline bool is_short(const struct xenpv_netback *back, const struct xenpv_link_frame *frame)
{
    return frame->bytes <= XENPV_PAGE_SIZE && !frame->gso_type && !frame->hashed && !back->headroom;
}

static uint32_t slots_of(const struct xenpv_netback *back, const struct xenpv_link_frame *frame)
{
    uint32_t page = XENPV_PAGE_SIZE - back->headroom;

    if (is_short(back, frame))
        return 1;
    return (frame->bytes + page - 1) / page + extras_of(back, frame) + with_prefix(back, frame);
}

/* Takes the next request; the answer to it is at its place once all before it are. */
static struct netback_answer *take(struct xenpv_netback *back, struct netback_queue *q,
                                   struct xenpv_netif_rx_request *request)
{
    struct netback_answer *answer = &back->rx.answer[back->rx.count++];

    netif_get_rx_request(xenpv_ring_next_in(&q->rx.ring), request);
    q->rx_free--;
    answer->queue = q;
    answer->move = NETBACK_MOVED;
    return answer;
}

/* A frontend of old times is told of a large packet by a slot before it. */
static void put_prefix(struct xenpv_netback *back, struct netback_queue *q,
                       const struct xenpv_link_frame *frame)
{
    struct xenpv_netif_rx_request request;
    struct netback_answer *answer = take(back, q, &request);
    struct xenpv_netif_rx_response response = {.id = request.id,
                                               .offset = frame->gso_size,
                                               .flags =
                                                   XENPV_NETRXF_GSO_PREFIX | XENPV_NETRXF_MORE_DATA,
                                               .status = (int16_t)slots_of(back, frame)};

    netif_put_rx_response(&response, answer->words);
}

static void put_extra(struct xenpv_netback *back, struct netback_queue *q,
                      struct xenpv_netif_extra *extra, uint32_t *left)
{
    struct xenpv_netif_rx_request request;

    extra->flags = --*left ? XENPV_NETIF_EXTRA_MORE : 0;
    netif_put_rx_extra(extra, take(back, q, &request)->words);
}

static void put_extras(struct xenpv_netback *back, struct netback_queue *q,
                       const struct xenpv_link_frame *frame)
{
    uint32_t left = extras_of(back, frame);

    if (frame->gso_type && !with_prefix(back, frame)) {
        struct xenpv_netif_extra gso = {.type = XENPV_NETIF_EXTRA_GSO,
                                        .u.gso = {frame->gso_size, frame->gso_type, 0}};

        put_extra(back, q, &gso, &left);
    }
    if (frame->hashed) {
        struct xenpv_netif_extra hash = {
            .type = XENPV_NETIF_EXTRA_HASH,
            .u.hash = {frame->hash_type, frame->hash_algorithm, frame->hash}};

        put_extra(back, q, &hash, &left);
    }
    if (back->headroom) {
        struct xenpv_netif_extra xdp = {.type = XENPV_NETIF_EXTRA_XDP,
                                        .u.xdp = {(uint16_t)back->headroom}};

        put_extra(back, q, &xdp, &left);
    }
}

/* A page of the frame, from byte `at` on. */
static inline uint32_t put_page(struct xenpv_netback *back, struct netback_queue *q,
                                const struct xenpv_link_frame *frame, uint32_t at, uint32_t flags)
{
    uint32_t page = XENPV_PAGE_SIZE - back->headroom, left = frame->bytes - at;
    uint32_t bytes = left < page ? left : page;
    struct xenpv_netif_rx_request request;
    struct netback_answer *answer = take(back, q, &request);
    struct xenpv_netif_rx_response response = {.id = request.id,
                                               .offset = (uint16_t)back->headroom,
                                               .flags = (uint16_t)flags,
                                               .status = (int16_t)bytes};

    if (bytes < left)
        response.flags |= XENPV_NETRXF_MORE_DATA;
    if (frame->data) {
        struct xenpv_copy_entry copy = {.local = frame->data + at,
                                        .ref = request.ref,
                                        .domid = back->bus.peer_domid,
                                        .offset = response.offset,
                                        .length = (uint16_t)bytes,
                                        .to_peer = true};

        answer->move = netback_move(back, q, &copy);
    }
    netif_put_rx_response(&response, answer->words);
    return bytes;
}

static uint32_t checksum_flags(const struct xenpv_link_frame *frame)
{
    static const uint8_t flags[] = {[XENPV_LINK_AS_IS] = 0,
                                    [XENPV_LINK_GOOD] = XENPV_NETRXF_DATA_VALIDATED,
                                    [XENPV_LINK_BLANK] =
                                        XENPV_NETRXF_CSUM_BLANK | XENPV_NETRXF_DATA_VALIDATED};

    return flags[frame->gso_type ? XENPV_LINK_BLANK : frame->checksum % sizeof(flags)];
}

static void put_long(struct xenpv_netback *back, struct netback_queue *q,
                     const struct xenpv_link_frame *frame)
{
    uint32_t extras = extras_of(back, frame), at;

    if (with_prefix(back, frame))
        put_prefix(back, q, frame);
    at =
        put_page(back, q, frame, 0, checksum_flags(frame) | (extras ? XENPV_NETRXF_EXTRA_INFO : 0));
    put_extras(back, q, frame);
    while (at < frame->bytes)
        at += put_page(back, q, frame, at, 0);
}

static void put_frame(struct xenpv_netback *back, struct netback_queue *q,
                      const struct xenpv_link_frame *frame)
{
    if (is_short(back, frame))
        put_page(back, q, frame, 0, checksum_flags(frame));
    else
        put_long(back, q, frame);
    back->stats.rx_frames++;
    back->stats.rx_bytes += frame->bytes;
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool failed(const struct xenpv_netback *back, int32_t move)
{
    return move == NETBACK_FAILED || (move >= 0 && back->moves.copies[move].status != XENPV_OK);
}

/* Now that the copies are made all answers can be shown. */
static void show(struct xenpv_netback *back)
{
    netback_flush(back);
    for (uint32_t i = 0; i < back->rx.count; i++) {
        const struct netback_answer *answer = &back->rx.answer[i];
        uint32_t *slot = xenpv_ring_next_out(&answer->queue->rx.ring), word = answer->words[1];

        if (failed(back, answer->move)) {
            word = netif_pair(word, (uint16_t)XENPV_NETIF_ERROR);
            back->stats.rx_errors++;
        }
        xenpv_store(slot, answer->words[0]);
        xenpv_store(slot + 1, word);
    }
    back->rx.count = 0;
    for (uint32_t i = 0; i < back->queues; i++) {
        struct netback_queue *q = &back->queue[i];

        netback_publish(back, &q->rx);
        if (q->backlog.memory)
            frame_queue_take(&q->backlog, q->backlog_at);
    }
}

static void make_room(struct xenpv_netback *back)
{
    if (back->rx.count > NETBACK_MOVES - SLOTS_MAX)
        show(back);
}

/* ---- frames that wait ------------------------------------------------------------------------ */

/* What was accepted long ago is of no use any more. */
static bool expired(struct xenpv_netback *back, uint64_t since)
{
    if (back->now - since < back->config.drain_ms)
        return false;
    back->stats.rx_dropped++;
    return true;
}

/* Gives the frontend what waits, as far as there are requests. */
static void give_backlog(struct xenpv_netback *back, struct netback_queue *q)
{
    uint32_t at = q->backlog_at = q->backlog.taken;
    struct xenpv_link_frame frame;
    uint64_t since;

    q->asked_for = 0;
    while (frame_queue_look(&q->backlog, &at, &frame, &since)) {
        if (!expired(back, since)) {
            uint32_t needed = slots_of(back, &frame);

            if (needed > q->rx_free) {
                q->asked_for = needed;
                return;
            }
            make_room(back);
            put_frame(back, q, &frame);
        }
        q->backlog_at = at;
    }
}

/* False: one of the frontend's indexes lies. */
static bool count_requests(struct xenpv_netback *back)
{
    for (uint32_t i = 0; i < back->queues; i++) {
        struct netback_queue *q = &back->queue[i];

        q->rx_free = xenpv_ring_available(&q->rx.ring);
        if (!XENPV_CHECK(REQ_PROD, q->rx_free <= xenpv_ring_room(&q->rx.ring))) {
            netback_overrun(back, i, &q->rx.ring, q->rx_free);
            return false;
        }
    }
    return true;
}

/* ---- frames of the link ---------------------------------------------------------------------- */

/* False: it has to wait, and there is no room to. */
static bool give(struct xenpv_netback *back, struct netback_queue *q,
                 const struct xenpv_link_frame *frame)
{
    uint32_t needed = slots_of(back, frame);

    if (q->asked_for == 0 && needed <= q->rx_free) {
        make_room(back);
        put_frame(back, q, frame);
        return true;
    }
    if (q->asked_for == 0)
        q->asked_for = needed;
    return frame_queue_put(&q->backlog, frame, back->now);
}

static inline void give_one(struct xenpv_netback *back, struct netback_queue *q,
                            const struct xenpv_link_frame *frame)
{
    if (!give(back, q, frame))
        back->stats.rx_dropped++;
}

/* Frames of a link that has its own room are left there as long as no queue can take any. */
bool netback_any_free(const struct xenpv_netback *back)
{
    for (uint32_t i = 0; i < back->queues; i++) {
        if (back->queue[i].asked_for == 0)
            return true;
    }
    return false;
}

/* The next one; its bytes stay where they are until the batch is shown. */
static bool pull(struct xenpv_netback *back, struct netback_prepared *prepared)
{
    struct netback_moves *moves = &back->moves;

    if (moves->used > NETBACK_STAGE - 2 * XENPV_LINK_FRAME_MAX) {
        show(back);
        moves->used = 0;
    }
    prepared->whole = (struct xenpv_link_frame){.data = moves->stage + moves->used};
    return back->link->receive(back->link->ctx, &prepared->whole) == XENPV_OK;
}

/* Segments are made behind the frame that they are cut from. */
static void give_all(struct xenpv_netback *back, struct netback_prepared *prepared)
{
    struct netback_queue *q = &back->queue[prepared->queue];
    struct netback_moves *moves = &back->moves;
    uint32_t own = prepared->whole.data ? (prepared->whole.bytes + 63) & ~63u : 0;
    uint32_t begin = moves->used;

    moves->used += own;
    if (!prepared->cutting) {
        give_one(back, q, &prepared->whole);
        return;
    }
    while (netback_next(back, prepared, moves->stage + moves->used)) {
        give_one(back, q, &prepared->frame);
        moves->used += (prepared->frame.bytes + 63) & ~63u;
        if (moves->used > NETBACK_STAGE - XENPV_LINK_FRAME_MAX) {
            /* The whole frame is still to be read: it stays where it is. */
            show(back);
            moves->used = begin + own;
        }
    }
}

void netback_serve_rx(struct xenpv_netback *back)
{
    struct netback_prepared prepared;
    uint32_t left = PULL;

    /* All are judged before any is given something: what is begun here is ended here. */
    if (!count_requests(back))
        return;
    back->moves.used = 0;
    for (uint32_t i = 0; i < back->queues; i++)
        give_backlog(back, &back->queue[i]);
    back->link_more = back->link->receive && netback_any_free(back);
    while (back->link_more && left-- && netback_any_free(back)) {
        back->link_more = pull(back, &prepared);
        if (back->link_more && netback_prepare(back, &prepared))
            give_all(back, &prepared);
    }
    show(back);
    back->link_more &= netback_any_free(back);
}
