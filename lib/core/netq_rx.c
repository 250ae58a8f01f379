/* SPDX-License-Identifier: MIT */
/*
 * The network queue: receiving. Each response is read once and carried out at once, in the order of
 * the ring; a frame of several is put together in the queue until its last one has come.
 */
#include "check.h"
#include "net_device.h"
#include "netif_words.h"

#define FLAGS_PLAIN (XENPV_NETRXF_DATA_VALIDATED | XENPV_NETRXF_CSUM_BLANK)
/* Buffers are shown to the backend by so many, unless nothing else is to be done. */
#define FILL 16u

#define ETHERTYPE_AT   12u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_VLAN 0x8100u /* IEEE 802.1Q */
#define ETHERTYPE_QINQ 0x88a8u /* IEEE 802.1ad */

/* ---- buffers --------------------------------------------------------------------------------- */

static inline void give(struct xenpv_netq *q, uint32_t number)
{
    q->rx.pages[q->rx.free++] = (uint16_t)number;
}

static inline uint32_t number_of(const struct xenpv_netq *q, const void *memory)
{
    return (uint32_t)((size_t)((const uint8_t *)memory - q->rx.memory) / XENPV_PAGE_SIZE);
}

void netq_rx_fill(struct xenpv_netq *q)
{
    uint32_t room = xenpv_ring_free(&q->rx.ring);

    for (uint32_t count = room < q->rx.free ? room : q->rx.free; count; count--) {
        uint32_t slot = q->rx.ring.prod & (NET_SLOTS - 1), number = q->rx.pages[--q->rx.free];
        struct xenpv_netif_rx_request request = {.ref = q->rx.refs[number], .id = (uint16_t)slot};

        q->rx.on_ring[slot] = (uint16_t)number;
        netif_put_rx_request(&request, net_next_out(&q->rx.ring, XENPV_NETIF_RX_SLOT));
    }
}

void xenpv_netq_return(struct xenpv_netq *q, const struct xenpv_net_frame *frame)
{
    for (uint32_t i = 0; i < frame->count; i++) {
        uint32_t number = number_of(q, frame->fragment[i].base);

        /* What the caller wrote there is not for the backend to see. */
        if (!q->trusted)
            memset(net_buffer(q->rx.memory, number), 0, XENPV_PAGE_SIZE);
        give(q, number);
    }
    q->rx.frames--;
}

/* ---- what a frame is ------------------------------------------------------------------------- */

/* Whether a frame is of IPv6, by its Ethernet header, behind up to two VLAN tags. */
NEVER_INLINE bool of_ipv6(const struct xenpv_iov *first)
{
    const uint8_t *bytes = (const uint8_t *)first->base;

    for (size_t at = ETHERTYPE_AT; at <= ETHERTYPE_AT + 8 && at + 2 <= first->length; at += 4) {
        uint32_t type = (uint32_t)bytes[at] << 8 | bytes[at + 1];

        if (type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ)
            return type == ETHERTYPE_IPV6;
    }
    return false;
}

static inline uint8_t checksum_of(uint32_t flags)
{
    if (flags & XENPV_NETRXF_CSUM_BLANK)
        return XENPV_NET_CSUM_BLANK;
    return flags & XENPV_NETRXF_DATA_VALIDATED ? XENPV_NET_CSUM_GOOD : XENPV_NET_CSUM_AS_IS;
}

/* ---- frames of several slots ----------------------------------------------------------------- */

static void begin(struct xenpv_netq *q, uint32_t flags)
{
    struct xenpv_net_frame *frame = &q->rx.frame;

    frame->length = 0;
    frame->count = 0;
    frame->offload = (struct xenpv_net_offload){.checksum = checksum_of(flags)};
    q->rx.failed = q->rx.failure = q->rx.told = false;
    q->rx.headroom = 0;
}

/* Takes the page of a response into the frame, or gives it back. False: the backend lies. */
static bool add(struct xenpv_netq *q, uint32_t number, uint32_t index,
                const struct xenpv_netif_rx_response *response)
{
    struct xenpv_net_frame *frame = &q->rx.frame;
    uint32_t offset = response->offset, end;

    if (response->status < 0) {
        q->rx.failed = q->rx.failure = true;
        give(q, number);
        return true;
    }
    end = offset + (uint16_t)response->status;
    if (!XENPV_CHECK(RX_BOUNDS, end <= XENPV_PAGE_SIZE)) {
        netq_violated(q, XENPV_CHECK_RX_BOUNDS, index, end);
        return false;
    }
    /* Linux netback leaves the headroom in each slot, and counts it as if it were data. */
    if (offset < q->rx.headroom)
        offset = q->rx.headroom;
    if (end > offset &&
        (frame->count == XENPV_NET_FRAGMENTS ||
         !XENPV_CHECK(RX_LENGTH, frame->length + (end - offset) <= XENPV_NETIF_PACKET_MAX)))
        q->rx.failed = true;
    if (end <= offset || q->rx.failed) {
        give(q, number);
        return true;
    }
    frame->length += end - offset;
    frame->fragment[frame->count++] =
        (struct xenpv_iov){net_buffer(q->rx.memory, number) + offset, end - offset};
    return true;
}

/* The first fragment has been taken before its headroom was known. */
static void skip_headroom(struct xenpv_netq *q)
{
    struct xenpv_net_frame *frame = &q->rx.frame;
    struct xenpv_iov *first = &frame->fragment[0];
    uint32_t number, offset, skip;

    if (frame->count == 0)
        return;
    number = number_of(q, first->base);
    offset = (uint32_t)((uint8_t *)first->base - net_buffer(q->rx.memory, number));
    if (q->rx.headroom <= offset)
        return;
    skip = q->rx.headroom - offset;
    if (skip >= first->length) {
        frame->count = 0;
        frame->length = 0;
        give(q, number);
        return;
    }
    first->base = (uint8_t *)first->base + skip;
    first->length -= skip;
    frame->length -= skip;
}

static bool take_gso(struct xenpv_netq *q, uint32_t index, uint32_t mss, uint32_t type)
{
    static const uint32_t features[] = {
        [XENPV_NETIF_GSO_TCPV4] = XENPV_NET_GSO4, [XENPV_NETIF_GSO_TCPV6] = XENPV_NET_GSO6};
    struct xenpv_net_offload *offload = &q->rx.frame.offload;
    bool known = type == XENPV_NETIF_GSO_TCPV4 || type == XENPV_NETIF_GSO_TCPV6;

    if (!XENPV_CHECK(RX_GSO, mss && known && (q->receives & features[type]))) {
        netq_violated(q, XENPV_CHECK_RX_GSO, index, (uint64_t)type << 16 | mss);
        return false;
    }
    offload->mss = (uint16_t)mss;
    offload->ipv6 = type == XENPV_NETIF_GSO_TCPV6;
    q->rx.told = true;
    /* Some backends forget to say so; a large packet's is never there. */
    offload->checksum = XENPV_NET_CSUM_BLANK;
    return true;
}

static bool take_extra(struct xenpv_netq *q, uint32_t index, const struct xenpv_netif_extra *extra)
{
    struct xenpv_net_offload *offload = &q->rx.frame.offload;

    if (!XENPV_CHECK(RX_EXTRA, extra->type != XENPV_NETIF_EXTRA_NONE &&
                                   extra->type < XENPV_NETIF_EXTRA_COUNT)) {
        netq_violated(q, XENPV_CHECK_RX_EXTRA, index, extra->type);
        return false;
    }
    if (extra->type == XENPV_NETIF_EXTRA_GSO)
        return take_gso(q, index, extra->u.gso.size, extra->u.gso.type);
    /* A kind that there is not is as good as none: the number may become an index. */
    if (extra->type == XENPV_NETIF_EXTRA_HASH && extra->u.hash.type <= XENPV_NETIF_HASH_IPV6_TCP) {
        offload->hashed = true;
        offload->hash_type = extra->u.hash.type;
        offload->hash_algorithm = extra->u.hash.algorithm;
        offload->hash = extra->u.hash.value;
    }
    if (extra->type == XENPV_NETIF_EXTRA_XDP)
        q->rx.headroom = extra->u.xdp.headroom;
    return true;
}

/* The deprecated way to tell of a large packet: a slot without data whose offset is the size. */
static bool take_prefix(struct xenpv_netq *q, uint32_t number, uint32_t index, uint32_t mss)
{
    uint32_t asked = q->receives & (XENPV_NET_GSO4 | XENPV_NET_GSO6);

    give(q, number);
    if (!XENPV_CHECK(RX_GSO, mss && asked)) {
        netq_violated(q, XENPV_CHECK_RX_GSO, index, mss);
        return false;
    }
    q->rx.frame.offload.mss = (uint16_t)mss;
    q->rx.frame.offload.checksum = XENPV_NET_CSUM_BLANK;
    return true;
}

/* The frame is whole: copies it out, or gives its pages back. True: it was handed over. */
static bool finish(struct xenpv_netq *q, struct xenpv_net_frame *out)
{
    struct xenpv_net_frame *frame = &q->rx.frame;

    q->rx.state = RX_FIRST;
    if (q->rx.failed || frame->length == 0) {
        for (uint32_t i = 0; i < frame->count; i++)
            give(q, number_of(q, frame->fragment[i].base));
        q->stats.rx_errors += q->rx.failure;
        q->stats.rx_dropped += !q->rx.failure;
        return false;
    }
    if (frame->offload.checksum == XENPV_NET_CSUM_BLANK && !q->rx.told)
        frame->offload.ipv6 = of_ipv6(&frame->fragment[0]);
    out->length = frame->length;
    out->count = frame->count;
    out->headroom = q->rx.headroom;
    out->offload = frame->offload;
    memcpy(out->fragment, frame->fragment, frame->count * sizeof(frame->fragment[0]));
    q->rx.frames++;
    return true;
}

/* What comes next of a frame; or it is whole. */
static bool go_on(struct xenpv_netq *q, bool more, struct xenpv_net_frame *out)
{
    q->rx.state = RX_DATA;
    return !more && finish(q, out);
}

/* A fragment of a frame. True: a frame was handed over. */
static bool data_slot(struct xenpv_netq *q, uint32_t number, uint32_t index,
                      const struct xenpv_netif_rx_response *response, struct xenpv_net_frame *out)
{
    bool first = q->rx.state == RX_FIRST;
    bool more = (response->flags & XENPV_NETRXF_MORE_DATA) != 0;
    bool prefix = first && (response->flags & XENPV_NETRXF_GSO_PREFIX);

    if (first)
        begin(q, response->flags);
    if (!(prefix ? take_prefix(q, number, index, response->offset)
                 : add(q, number, index, response)))
        return false;
    if (first && (response->flags & XENPV_NETRXF_EXTRA_INFO)) {
        q->rx.more = more;
        q->rx.state = RX_EXTRA;
        return false;
    }
    return go_on(q, more, out);
}

static bool extra_slot(struct xenpv_netq *q, uint32_t number, uint32_t index, const uint32_t *slot,
                       struct xenpv_net_frame *out)
{
    struct xenpv_netif_extra extra;

    netif_get_extra(slot, &extra);
    give(q, number);
    if (!take_extra(q, index, &extra) || (extra.flags & XENPV_NETIF_EXTRA_MORE))
        return false;
    skip_headroom(q);
    return go_on(q, q->rx.more, out);
}

/* ---- the ring -------------------------------------------------------------------------------- */

/* A frame of one slot and nothing special: most are. */
ALWAYS_INLINE bool take_short(struct xenpv_netq *q, uint32_t number, uint32_t index,
                              const struct xenpv_netif_rx_response *response,
                              struct xenpv_net_frame *out)
{
    uint32_t length = (uint16_t)response->status;

    if (!XENPV_CHECK(RX_BOUNDS, response->offset + length <= XENPV_PAGE_SIZE)) {
        netq_violated(q, XENPV_CHECK_RX_BOUNDS, index, response->offset + length);
        return false;
    }
    out->length = length;
    out->count = 1;
    out->headroom = 0;
    out->offload = (struct xenpv_net_offload){.checksum = checksum_of(response->flags)};
    out->fragment[0] =
        (struct xenpv_iov){net_buffer(q->rx.memory, number) + response->offset, length};
    if (response->flags & XENPV_NETRXF_CSUM_BLANK)
        out->offload.ipv6 = of_ipv6(&out->fragment[0]);
    q->rx.frames++;
    return true;
}

/* Takes the next response. True: a frame was handed over. */
ALWAYS_INLINE bool take_next(struct xenpv_netq *q, struct xenpv_net_frame *out)
{
    uint32_t index = q->rx.ring.cons, place = index & (NET_SLOTS - 1);
    uint32_t number = q->rx.on_ring[place];
    const uint32_t *slot = net_next_in(&q->rx.ring, XENPV_NETIF_RX_SLOT);
    struct xenpv_netif_rx_response response;

    if (q->rx.state == RX_EXTRA)
        return extra_slot(q, number, index, slot, out);
    netif_get_rx_response(slot, &response);
    if (!XENPV_CHECK(RX_ID, response.id == place)) {
        netq_violated(q, XENPV_CHECK_RX_ID, index, response.id);
        return false;
    }
    if (q->rx.state == RX_FIRST && (response.flags & ~FLAGS_PLAIN) == 0 && response.status > 0)
        return take_short(q, number, index, &response, out);
    return data_slot(q, number, index, &response, out);
}

static uint32_t take_frames(struct xenpv_netq *q, struct xenpv_net_frame *out, uint32_t max)
{
    uint32_t available = xenpv_ring_available(&q->rx.ring), taken = 0;

    if (!XENPV_CHECK(RSP_PROD, available <= xenpv_ring_outstanding(&q->rx.ring))) {
        netq_violated(q, XENPV_CHECK_RSP_PROD, q->rx.ring.cons, q->rx.ring.cons + available);
        return 0;
    }
    while (available-- && taken < max && q->rx.state != RX_OVER)
        taken += take_next(q, &out[taken]);
    return taken;
}

int xenpv_netq_receive(struct xenpv_netq *q, struct xenpv_net_frame *out, uint32_t max)
{
    bool open = netq_obey(q);
    uint32_t taken;

    if (!open || xenpv_load(&q->gate.stop) != GATE_RUN)
        return netq_nothing(q, open);
    taken = take_frames(q, out, max);
    if (q->rx.state != RX_OVER && (taken == 0 || xenpv_ring_free(&q->rx.ring) >= FILL)) {
        netq_rx_fill(q);
        netq_publish(q, &q->rx.ring, 1);
    }
    return taken ? (int)taken : netq_nothing(q, true);
}
