/* SPDX-License-Identifier: MIT */
/* Frames of the link: which of them are for the frontend, on which queue, and in what shape. */
#include "backend/netback.h"

/* ---- queues ---------------------------------------------------------------------------------- */

/* netif.h: a frame that nothing is hashed of counts as hash 0. */
static uint32_t steer_as_told(struct xenpv_netback *back, struct xenpv_link_frame *frame)
{
    const struct netback_hash *hash = &back->hash;
    uint8_t type;
    uint32_t value =
        xenpv_flow_hash(frame->data, frame->bytes, hash->types, hash->key, hash->key_bytes, &type);

    frame->hashed = type != XENPV_FLOW_NONE;
    frame->hash_type = type;
    frame->hash_algorithm = XENPV_NETIF_ALGORITHM_TOEPLITZ;
    frame->hash = value;
    if (hash->entries)
        return hash->mapping[value % hash->entries] % back->queues;
    return value % back->queues;
}

static uint32_t steer(struct xenpv_netback *back, struct xenpv_link_frame *frame)
{
    uint8_t type;

    /* What the sender told is another end's hash, with another key. */
    frame->hashed = false;
    if (frame->data && back->hash.algorithm == XENPV_NETIF_ALGORITHM_TOEPLITZ)
        return steer_as_told(back, frame);
    if (back->queues == 1)
        return 0;
    if (!frame->data)
        return back->next_queue++ % back->queues;
    return xenpv_flow_hash(frame->data, frame->bytes, XENPV_FLOW_TYPES, xenpv_flow_key,
                           XENPV_FLOW_KEY, &type) %
           back->queues;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static bool is_multicast(const uint8_t *address)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    return (address[0] & 1) && memcmp(address, broadcast, 6) != 0;
}

/* True: the frontend takes it large. */
static bool takes_large(const struct xenpv_netback *back, const struct xenpv_link_frame *frame)
{
    return back->takes &
           (frame->gso_type == XENPV_NETIF_GSO_TCPV4 ? XENPV_NET_GSO4 : XENPV_NET_GSO6);
}

static bool takes_blank(const struct xenpv_netback *back, bool ipv6)
{
    return back->takes & (ipv6 ? XENPV_NET_CSUM6 : XENPV_NET_CSUM4);
}

/* A frame that needs more than one page goes to who takes several; the protocol's bound is 18. */
static bool fits(const struct xenpv_netback *back, uint32_t bytes)
{
    uint32_t pages = back->takes & XENPV_NET_SG ? XENPV_NETIF_SLOTS_MIN : 1;

    return bytes <= pages * (XENPV_PAGE_SIZE - back->headroom);
}

/* True: the frame can be cut, and each segment is taken. */
static bool segments_fit(const struct xenpv_netback *back, const struct xenpv_link_frame *whole,
                         const struct offload_headers *headers)
{
    uint32_t all = headers->end - headers->payload;
    uint32_t most = whole->gso_size < all ? whole->gso_size : all;

    return whole->gso_size >= OFFLOAD_SEGMENT_MIN && fits(back, headers->payload + most);
}

static bool sane(const struct xenpv_link_frame *frame)
{
    return frame->bytes >= 14 && frame->bytes <= XENPV_LINK_FRAME_MAX &&
           frame->gso_type <= XENPV_NETIF_GSO_TCPV6 &&
           (frame->gso_type == XENPV_NETIF_GSO_NONE || frame->gso_size > 0);
}

/* What is said of a large packet is so. */
static bool is_what_it_says(const struct xenpv_link_frame *frame,
                            const struct offload_headers *headers)
{
    bool six = frame->gso_type == XENPV_NETIF_GSO_TCPV6;

    return !frame->gso_type || (headers->tcp && headers->ipv6 == six);
}

static bool drop(struct xenpv_netback *back)
{
    back->stats.rx_dropped++;
    return false;
}

bool netback_prepare(struct xenpv_netback *back, struct netback_prepared *prepared)
{
    struct xenpv_link_frame *whole = &prepared->whole;
    bool ipv6;

    if (!sane(whole))
        return drop(back);
    if (whole->data && is_multicast(whole->data) && !netback_mcast_wanted(back, whole->data)) {
        back->stats.rx_filtered++;
        return false;
    }
    prepared->cutting = false;
    prepared->queue = steer(back, whole);
    if (!whole->data || (!whole->gso_type && whole->checksum != XENPV_LINK_BLANK))
        return fits(back, whole->bytes) || drop(back);
    if (!offload_find(whole, &prepared->cut.headers) ||
        !is_what_it_says(whole, &prepared->cut.headers))
        return drop(back);
    ipv6 = prepared->cut.headers.ipv6;
    if (whole->gso_type && (!takes_large(back, whole) || !fits(back, whole->bytes))) {
        prepared->cutting = true;
        prepared->cut.whole = whole;
        prepared->cut.at = prepared->cut.number = 0;
        return segments_fit(back, whole, &prepared->cut.headers) || drop(back);
    }
    if (!whole->gso_type && !takes_blank(back, ipv6)) {
        offload_complete(whole, &prepared->cut.headers);
        back->stats.checksums++;
    }
    return fits(back, whole->bytes) || drop(back);
}

bool netback_next(struct xenpv_netback *back, struct netback_prepared *prepared, uint8_t *room)
{
    struct offload_headers headers = prepared->cut.headers;

    prepared->frame.data = room;
    if (!offload_next(&prepared->cut, &prepared->frame))
        return false;
    back->stats.segments++;
    if (!takes_blank(back, headers.ipv6)) {
        headers.end = prepared->frame.bytes;
        offload_complete(&prepared->frame, &headers);
        back->stats.checksums++;
    }
    return true;
}
