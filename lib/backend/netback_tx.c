/* SPDX-License-Identifier: MIT */
/* Packets from the frontend: taken off the ring once, judged, fetched, given to the link, answered.
 */
#include "backend/netback.h"
#include "core/check.h"
#include "core/netif_words.h"

/* Slots of a batch: answers come while the frontend still has something to do. */
#define BATCH 64u

/* ---- off the ring ---------------------------------------------------------------------------- */

static void take_extra(struct netback_packet *packet, const struct xenpv_netif_extra *extra)
{
    packet->extras++;
    switch (extra->type) {
    case XENPV_NETIF_EXTRA_GSO:
        packet->frame.gso_type = extra->u.gso.type;
        packet->frame.gso_size = extra->u.gso.size;
        packet->large = true;
        break;
    case XENPV_NETIF_EXTRA_HASH:
        packet->frame.hashed = true;
        packet->frame.hash_type = extra->u.hash.type;
        packet->frame.hash_algorithm = extra->u.hash.algorithm;
        packet->frame.hash = extra->u.hash.value;
        break;
    case XENPV_NETIF_EXTRA_MCAST_ADD:
    case XENPV_NETIF_EXTRA_MCAST_DEL:
        packet->message = *extra;
        break;
    default:
        if (!XENPV_CHECK(TX_EXTRA, false))
            packet->status = XENPV_NETIF_ERROR;
        break;
    }
}

/* A slot of a packet; NULL: there are no more, though there ought to be. */
static const uint32_t *next_slot(struct netback_tx *tx, struct xenpv_ring *ring,
                                 uint32_t *available)
{
    if (*available == 0)
        return NULL;
    --*available;
    tx->slots++;
    return xenpv_ring_next_in(ring);
}

static void take_head(struct netback_packet *packet, const struct xenpv_netif_tx_request *head)
{
    packet->frame.bytes = head->size;
    if (head->flags & XENPV_NETTXF_CSUM_BLANK)
        packet->frame.checksum = XENPV_LINK_BLANK;
    else if (head->flags & XENPV_NETTXF_DATA_VALIDATED)
        packet->frame.checksum = XENPV_LINK_GOOD;
}

/* All slots of the next packet; those that carry data are in tx->part. False: it is not all there.
 */
static bool take_packet(struct netback_tx *tx, struct xenpv_ring *ring, uint32_t *available,
                        struct netback_packet *packet)
{
    struct xenpv_netif_tx_request *part = tx->part;
    const uint32_t *slot;
    bool more_extras, more_data;

    *packet = (struct netback_packet){.first = tx->slots};
    netif_get_tx_request(next_slot(tx, ring, available), part);
    take_head(packet, part);
    tx->answer[packet->first].id = part->id;
    more_extras = part->flags & XENPV_NETTXF_EXTRA_INFO;
    more_data = part->flags & XENPV_NETTXF_MORE_DATA;
    while (more_extras && (slot = next_slot(tx, ring, available))) {
        struct xenpv_netif_extra extra;

        netif_get_extra(slot, &extra);
        tx->answer[tx->slots - 1].id = part->id;
        take_extra(packet, &extra);
        more_extras = extra.flags & XENPV_NETIF_EXTRA_MORE;
    }
    while (!more_extras && more_data && (slot = next_slot(tx, ring, available))) {
        netif_get_tx_request(slot, ++part);
        tx->answer[tx->slots - 1].id = part->id;
        more_data = part->flags & XENPV_NETTXF_MORE_DATA;
    }
    packet->slots = tx->slots - packet->first;
    return !more_extras && !more_data;
}

/* ---- judged ---------------------------------------------------------------------------------- */

/* The first slot says how large the whole is: its own share is what the others leave. */
static bool judge_sizes(const struct xenpv_netback *back, struct netback_tx *tx,
                        const struct netback_packet *packet, uint32_t parts)
{
    uint32_t most = netback_offers(back, XENPV_NET_SG) ? XENPV_NETIF_SLOTS_MIN : 1;
    uint32_t others = 0, total = packet->frame.bytes;

    for (uint32_t i = 1; i < parts; i++)
        others += tx->part[i].size;
    if (!XENPV_CHECK(TX_SLOTS, parts <= most) ||
        !XENPV_CHECK(TX_SIZE, total >= 14 && others <= total))
        return false;
    tx->part[0].size = (uint16_t)(total - others);
    for (uint32_t i = 0; i < parts; i++) {
        if (!XENPV_CHECK(TX_PAGE, tx->part[i].offset + tx->part[i].size <= XENPV_PAGE_SIZE))
            return false;
    }
    return true;
}

static bool judge_gso(const struct xenpv_netback *back, struct netback_packet *packet)
{
    uint8_t type = packet->frame.gso_type;
    uint32_t feature = type == XENPV_NETIF_GSO_TCPV4 ? XENPV_NET_GSO4 : XENPV_NET_GSO6;

    if (!packet->large)
        return true;
    if (!XENPV_CHECK(TX_GSO, packet->frame.gso_size > 0 &&
                                 (type == XENPV_NETIF_GSO_TCPV4 || type == XENPV_NETIF_GSO_TCPV6)))
        return false;
    /* Frontends are known that forget the flag; Linux netback makes up for it, too. */
    packet->frame.checksum = XENPV_LINK_BLANK;
    return XENPV_CHECK(TX_OFFLOAD, netback_offers(back, feature));
}

/* ---- multicast ------------------------------------------------------------------------------- */

static uint32_t find_mcast(const struct netback_mcast *mcast, const uint8_t address[6])
{
    uint32_t i = 0;

    while (i < mcast->count && memcmp(mcast->address[i], address, 6) != 0)
        i++;
    return i;
}

bool netback_mcast_wanted(const struct xenpv_netback *back, const uint8_t address[6])
{
    return !back->mcast.wanted || find_mcast(&back->mcast, address) < back->mcast.count;
}

/* A message of the frontend's, in the place of a frame; Linux netback, too, takes no address twice
 * and frees no place that is not there. */
static int16_t change_mcast(struct xenpv_netback *back, const struct xenpv_netif_extra *message)
{
    struct netback_mcast *mcast = &back->mcast;
    uint32_t at = find_mcast(mcast, message->u.mcast.addr);

    if (!netback_offers(back, XENPV_NET_MULTICAST))
        return XENPV_NETIF_ERROR;
    if (message->type == XENPV_NETIF_EXTRA_MCAST_DEL) {
        if (at < mcast->count)
            memmove(mcast->address[at], mcast->address[--mcast->count], 6);
        return XENPV_NETIF_OKAY;
    }
    if (at == NETBACK_MCAST)
        return XENPV_NETIF_ERROR;
    memcpy(mcast->address[at], message->u.mcast.addr, 6);
    mcast->count += at == mcast->count;
    return XENPV_NETIF_OKAY;
}

/* ---- fetched --------------------------------------------------------------------------------- */

static void fetch(struct xenpv_netback *back, struct netback_queue *q,
                  struct netback_packet *packet, uint32_t parts)
{
    struct netback_moves *moves = &back->moves;
    uint8_t *at = moves->stage + moves->used;

    packet->frame.data = at;
    packet->moves = moves->count;
    for (uint32_t i = 0; i < parts; i++) {
        const struct xenpv_netif_tx_request *part = &back->tx.part[i];
        struct xenpv_copy_entry copy = {.local = at,
                                        .ref = part->ref,
                                        .domid = back->bus.peer_domid,
                                        .offset = part->offset,
                                        .length = part->size};

        if (part->size && netback_move(back, q, &copy) == NETBACK_FAILED)
            packet->status = XENPV_NETIF_ERROR;
        at += part->size;
    }
    packet->moves_end = moves->count;
    moves->used += (packet->frame.bytes + 63) & ~63u;
}

static bool fetched(const struct xenpv_netback *back, const struct netback_packet *packet)
{
    for (uint32_t i = packet->moves; i < packet->moves_end; i++) {
        if (back->moves.copies[i].status != XENPV_OK)
            return false;
    }
    return true;
}

/* ---- given to the link ----------------------------------------------------------------------- */

static int16_t give(struct xenpv_netback *back, const struct xenpv_link_frame *frame)
{
    if (back->link->send(back->link->ctx, frame) == XENPV_OK)
        return XENPV_NETIF_OKAY;
    return XENPV_NETIF_DROPPED;
}

static int16_t give_checked(struct xenpv_netback *back, struct xenpv_link_frame *frame,
                            const struct offload_headers *headers)
{
    if (!(back->link->takes & XENPV_LINK_TAKES_BLANK)) {
        offload_complete(frame, headers);
        back->stats.checksums++;
    }
    return give(back, frame);
}

/* The room behind the stage is for one segment. */
static int16_t give_segments(struct xenpv_netback *back, const struct xenpv_link_frame *frame,
                             const struct offload_headers *headers)
{
    struct offload_cut cut = {.whole = frame, .headers = *headers};
    struct xenpv_link_frame segment = {.data = back->moves.stage + NETBACK_STAGE};
    int16_t status = XENPV_NETIF_OKAY;

    while (offload_next(&cut, &segment)) {
        struct offload_headers own = *headers;

        own.end = segment.bytes;
        back->stats.segments++;
        if (give_checked(back, &segment, &own) != XENPV_NETIF_OKAY)
            status = XENPV_NETIF_DROPPED;
    }
    return status;
}

/* What is blank, or large, has headers that say where and how. */
static int16_t deliver(struct xenpv_netback *back, struct netback_packet *packet)
{
    struct xenpv_link_frame *frame = &packet->frame;
    struct offload_headers headers;
    bool six = frame->gso_type == XENPV_NETIF_GSO_TCPV6;
    bool cut = packet->large && !(back->link->takes & XENPV_LINK_TAKES_GSO);

    if (frame->checksum != XENPV_LINK_BLANK)
        return give(back, frame);
    if (!offload_find(frame, &headers) ||
        !XENPV_CHECK(TX_OFFLOAD,
                     netback_offers(back, headers.ipv6 ? XENPV_NET_CSUM6 : XENPV_NET_CSUM4)))
        return XENPV_NETIF_ERROR;
    if (packet->large && !XENPV_CHECK(TX_GSO, headers.tcp && headers.ipv6 == six))
        return XENPV_NETIF_ERROR;
    if (cut && !XENPV_CHECK(TX_GSO, frame->gso_size >= OFFLOAD_SEGMENT_MIN))
        return XENPV_NETIF_ERROR;
    offload_blank(frame, &headers);
    if (cut)
        return give_segments(back, frame, &headers);
    return packet->large ? give(back, frame) : give_checked(back, frame, &headers);
}

static void finish(struct xenpv_netback *back, struct netback_packet *packet)
{
    if (packet->status == XENPV_NETIF_OKAY && packet->message.type)
        packet->status = change_mcast(back, &packet->message);
    else if (packet->status == XENPV_NETIF_OKAY && back->link->send)
        packet->status = fetched(back, packet) ? deliver(back, packet) : XENPV_NETIF_ERROR;
    if (packet->status == XENPV_NETIF_OKAY && !packet->message.type) {
        back->stats.tx_frames++;
        back->stats.tx_bytes += packet->frame.bytes;
    }
    back->stats.tx_errors += packet->status == XENPV_NETIF_ERROR;
    back->stats.tx_dropped += packet->status == XENPV_NETIF_DROPPED;
}

/* ---- answered -------------------------------------------------------------------------------- */

static void shuffle(struct xenpv_netback *back, struct netback_tx *tx)
{
    for (uint32_t i = tx->slots - 1; i > 0; i--) {
        struct xenpv_netif_tx_response last = tx->answer[i];
        uint32_t other;

        back->shuffle = back->shuffle * 1664525 + 1013904223;
        other = (back->shuffle >> 8) % (i + 1);
        tx->answer[i] = tx->answer[other];
        tx->answer[other] = last;
    }
}

/* What each slot of a packet is answered. */
static void settle(struct netback_tx *tx, const struct netback_packet *packet)
{
    struct xenpv_netif_tx_response *answer = &tx->answer[packet->first];

    for (uint32_t slot = 0; slot < packet->slots; slot++) {
        bool extra = slot >= 1 && slot <= packet->extras;

        answer[slot].status = extra ? XENPV_NETIF_NULL : packet->status;
    }
}

static void answer(struct xenpv_netback *back, struct netback_queue *q)
{
    struct netback_tx *tx = &back->tx;

    if (back->config.shuffle)
        shuffle(back, tx);
    for (uint32_t i = 0; i < tx->slots; i++)
        netif_put_tx_response(&tx->answer[i], xenpv_ring_next_out(&q->tx.ring));
    netback_publish(back, &q->tx);
}

/* ---- a ring's worth -------------------------------------------------------------------------- */

static void cut_short(struct xenpv_netback *back, const struct netback_queue *q)
{
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = XENPV_CHECK_TX_WHOLE,
                                  .queue = (uint32_t)(q - back->queue),
                                  .index = q->tx.ring.cons,
                                  .value = q->tx.ring.cons,
                                  .step = "taking requests from the ring",
                                  .expected = xenpv_check_text(XENPV_CHECK_TX_WHOLE)};

    xenpv_bus_fail(&back->bus, &detail);
}

/* A window of time lets so much through; one packet may overdraw it. */
static void look_at_rate(struct xenpv_netback *back)
{
    struct netback_rate *rate = &back->rate;

    if (!rate->bytes || back->now < rate->until)
        return;
    rate->until = back->now + rate->window_ms;
    rate->left = rate->left < 0 ? rate->left + (int64_t)rate->bytes : (int64_t)rate->bytes;
}

static void take_batch(struct xenpv_netback *back, struct netback_queue *q, uint32_t *available)
{
    struct netback_tx *tx = &back->tx;

    tx->slots = tx->packets = 0;
    back->moves.used = 0;
    while (*available && tx->slots < BATCH &&
           back->moves.used <= NETBACK_STAGE - XENPV_LINK_FRAME_MAX && !netback_overdrawn(back)) {
        struct netback_packet *packet = &tx->packet[tx->packets++];
        uint32_t parts;

        if (!XENPV_CHECK(TX_WHOLE, take_packet(tx, &q->tx.ring, available, packet))) {
            cut_short(back, q);
            packet->status = XENPV_NETIF_ERROR;
        }
        parts = packet->slots - packet->extras;
        back->rate.left -= packet->frame.bytes;
        if (packet->message.type)
            continue;
        if (packet->status != XENPV_NETIF_OKAY || !judge_gso(back, packet) ||
            !judge_sizes(back, tx, packet, parts))
            packet->status = XENPV_NETIF_ERROR;
        else if (back->link->send)
            fetch(back, q, packet, parts);
    }
}

void netback_serve_tx(struct xenpv_netback *back, struct netback_queue *q)
{
    uint32_t available = xenpv_ring_available(&q->tx.ring);
    bool held_back;

    /* The window ends even if nothing has come in it. */
    look_at_rate(back);
    held_back = netback_overdrawn(back);
    q->more = available > 0;
    if (!XENPV_CHECK(REQ_PROD, available <= xenpv_ring_room(&q->tx.ring))) {
        netback_overrun(back, (uint32_t)(q - back->queue), &q->tx.ring, available);
        return;
    }
    while (available && back->bus.detail.error == XENPV_OK && !netback_overdrawn(back)) {
        take_batch(back, q, &available);
        netback_flush(back);
        for (uint32_t i = 0; i < back->tx.packets; i++) {
            finish(back, &back->tx.packet[i]);
            settle(&back->tx, &back->tx.packet[i]);
        }
        answer(back, q);
        q->tx.armed = false;
    }
    if (!netback_overdrawn(back))
        return;
    q->more = false;
    if (!held_back)
        back->rate.first = (uint32_t)(q - back->queue) + 1;
}
