/* SPDX-License-Identifier: MIT */
/* The network queue: sending. */
#include "check.h"
#include "net_device.h"
#include "netif_words.h"

/* ---- requests -------------------------------------------------------------------------------- */

/* Takes a request's number, and puts the request on the ring. */
ALWAYS_INLINE struct net_tx *put(struct xenpv_netq *q, uint32_t number, uint32_t ref,
                                 uint32_t offset, uint32_t flags, uint32_t size)
{
    struct net_tx *slot = &q->tx.slot[number];
    struct xenpv_netif_tx_request request = {.ref = ref,
                                             .offset = (uint16_t)offset,
                                             .flags = (uint16_t)flags,
                                             .id = (uint16_t)number,
                                             .size = (uint16_t)size};

    slot->used = true;
    slot->index = q->tx.ring.prod;
    netif_put_tx_request(&request, net_next_out(&q->tx.ring, XENPV_NETIF_TX_SLOT));
    return slot;
}

ALWAYS_INLINE void begin(struct xenpv_netq *q, struct net_tx *slot, uint32_t number,
                         uint32_t requests, void *user)
{
    slot->head = (uint16_t)number;
    slot->left = (uint16_t)requests;
    slot->status = XENPV_OK;
    slot->user = user;
    q->tx.accepted++;
}

/* --- the short way: one stretch, one page, nothing to pad, nothing special -------------------- */

/* The queue takes packets, and this one is of that kind; all others go the long way, and all do for
 * a backend that is not trusted. */
ALWAYS_INLINE bool is_short(const struct xenpv_netq *q, const struct xenpv_net_packet *packet)
{
    const struct xenpv_net_offload *offload = &packet->offload;

    return gate_is(&q->gate, GATE_OPEN) && xenpv_load(&q->gate.stop) == GATE_RUN && !q->why &&
           !q->tx.ended && packet->count == 1 &&
           packet->iov->length - XENPV_NET_FRAME_MIN <= XENPV_PAGE_SIZE - XENPV_NET_FRAME_MIN &&
           !q->shared_pages && q->trusted && offload->checksum <= XENPV_NET_CSUM_GOOD &&
           !offload->mss && !offload->hashed && q->tx.free && xenpv_ring_free(&q->tx.ring);
}

ALWAYS_INLINE void send_short(struct xenpv_netq *q, const struct xenpv_net_packet *packet,
                              void *user)
{
    uint32_t number = q->tx.numbers[--q->tx.free], length = (uint32_t)packet->iov->length;
    uint8_t *page = net_buffer(q->tx.memory, number);

    begin(q,
          put(q, number, q->tx.refs[number], 0,
              packet->offload.checksum ? XENPV_NETTXF_DATA_VALIDATED : 0, length),
          number, 1, user);
    /* The last thing, so that nothing has to be kept over the call; nobody has been told yet. */
    memcpy(page, packet->iov->base, length);
}

/* ---- how a packet is divided ----------------------------------------------------------------- */

/* What one request carries: bytes copied into its page, or where they lie in the shared pages. */
struct piece {
    uint16_t length, offset;
    uint32_t page; /* COPY, or a shared page */
};
#define COPY UINT32_MAX

struct plan {
    uint32_t count, most; /* pieces */
    uint32_t bytes;       /* divided so far */
    struct piece piece[XENPV_NETIF_SLOTS_MIN];
};

/* Where the reading of the packet's vector has got to. */
struct cursor {
    const struct xenpv_iov *iov;
    size_t at;
};

/* Bytes of the shared pages before a stretch that lies in them altogether; else UINT64_MAX. */
static uint64_t shared_at(const struct xenpv_netq *q, const struct xenpv_iov *iov)
{
    uint64_t room = (uint64_t)q->shared_pages * XENPV_PAGE_SIZE;
    uint64_t at = (uintptr_t)iov->base - (uintptr_t)q->shared.region.memory;

    return room && at < room && iov->length <= room - at ? at : UINT64_MAX;
}

static struct piece *add_piece(struct plan *plan, uint32_t page, uint32_t offset)
{
    struct piece *piece;

    if (plan->count == plan->most)
        return NULL;
    piece = &plan->piece[plan->count++];
    *piece = (struct piece){.page = page, .offset = (uint16_t)offset};
    return piece;
}

static bool plan_copy(struct plan *plan, uint64_t length)
{
    while (length) {
        struct piece *last = plan->count ? &plan->piece[plan->count - 1] : NULL;
        uint32_t room, part;

        if (!last || last->page != COPY || last->length == XENPV_PAGE_SIZE)
            last = add_piece(plan, COPY, 0);
        if (!last)
            return false;
        room = XENPV_PAGE_SIZE - last->length;
        part = length < room ? (uint32_t)length : room;
        last->length = (uint16_t)(last->length + part);
        plan->bytes += part;
        length -= part;
    }
    return true;
}

/* A stretch of the shared pages; its front is copied as far as the first slot needs it. */
static bool plan_shared(struct plan *plan, uint64_t at, uint64_t length)
{
    uint64_t front = plan->bytes < NET_PULL ? NET_PULL - plan->bytes : 0;

    if (front > length)
        front = length;
    if (!plan_copy(plan, front))
        return false;
    at += front;
    length -= front;
    while (length) {
        uint32_t offset = (uint32_t)(at % XENPV_PAGE_SIZE), room = XENPV_PAGE_SIZE - offset;
        uint32_t part = length < room ? (uint32_t)length : room;
        struct piece *piece = add_piece(plan, (uint32_t)(at / XENPV_PAGE_SIZE), offset);

        if (!piece)
            return false;
        piece->length = (uint16_t)part;
        plan->bytes += part;
        at += part;
        length -= part;
    }
    return true;
}

/* Divides a packet into at most `most` requests: as it lies, or if that takes too many, copied. */
static void make_plan(const struct xenpv_netq *q, const struct xenpv_net_packet *packet,
                      uint32_t bytes, uint32_t most, struct plan *plan)
{
    bool fits = true;

    plan->count = plan->bytes = 0;
    plan->most = most;
    for (uint32_t i = 0; i < packet->count && fits; i++) {
        uint64_t at = shared_at(q, &packet->iov[i]);

        fits = at == UINT64_MAX ? plan_copy(plan, packet->iov[i].length)
                                : plan_shared(plan, at, packet->iov[i].length);
    }
    if (fits)
        return;
    plan->count = plan->bytes = 0;
    plan_copy(plan, bytes);
}

/* ---- the long way ---------------------------------------------------------------------------- */

/* Moves the cursor on by `bytes`, copying them, or to NULL past them. */
static void gather(struct cursor *cursor, uint8_t *to, uint32_t bytes)
{
    while (bytes) {
        size_t left = cursor->iov->length - cursor->at;
        uint32_t part = left < bytes ? (uint32_t)left : bytes;

        if (to && part) {
            memcpy(to, (const uint8_t *)cursor->iov->base + cursor->at, part);
            to += part;
        }
        bytes -= part;
        cursor->at += part;
        if (part == left)
            *cursor = (struct cursor){cursor->iov + 1, 0};
    }
}

static uint32_t take_number(struct xenpv_netq *q)
{
    return q->tx.numbers[--q->tx.free];
}

static void fill_up(const struct xenpv_netq *q, uint8_t *page, uint32_t length, uint32_t size)
{
    /* Whoever is not trusted finds nothing there but the frame. */
    if (!q->trusted)
        memset(page + length, 0, XENPV_PAGE_SIZE - length);
    else if (size != length)
        memset(page + length, 0, size - length);
}

static struct net_tx *put_piece(struct xenpv_netq *q, const struct piece *piece, uint32_t number,
                                struct cursor *cursor, uint32_t flags, uint32_t size)
{
    uint8_t *page = net_buffer(q->tx.memory, number);

    if (piece->page != COPY) {
        gather(cursor, NULL, piece->length);
        return put(q, number, arena_ref(&q->shared, piece->page), piece->offset, flags, size);
    }
    gather(cursor, page, piece->length);
    fill_up(q, page, piece->length,
            piece->length < XENPV_NET_FRAME_MIN ? XENPV_NET_FRAME_MIN : piece->length);
    return put(q, number, q->tx.refs[number], 0, flags, size);
}

static void put_extra(struct xenpv_netq *q, struct xenpv_netif_extra *extra, bool more)
{
    extra->flags = more ? XENPV_NETIF_EXTRA_MORE : 0;
    netif_put_tx_extra(extra, xenpv_ring_next_out(&q->tx.ring));
    q->tx.extras++;
}

static void put_extras(struct xenpv_netq *q, const struct xenpv_net_offload *offload)
{
    struct xenpv_netif_extra gso = {.type = XENPV_NETIF_EXTRA_GSO};
    struct xenpv_netif_extra hash = {.type = XENPV_NETIF_EXTRA_HASH};

    gso.u.gso.size = offload->mss;
    gso.u.gso.type = offload->ipv6 ? XENPV_NETIF_GSO_TCPV6 : XENPV_NETIF_GSO_TCPV4;
    hash.u.hash.type = offload->hash_type;
    hash.u.hash.algorithm = offload->hash_algorithm;
    hash.u.hash.value = offload->hash;
    if (offload->mss)
        put_extra(q, &gso, offload->hashed);
    if (offload->hashed)
        put_extra(q, &hash, false);
}

static uint32_t flags_of(const struct xenpv_net_offload *offload)
{
    uint32_t flags = 0;

    if (offload->mss || offload->checksum == XENPV_NET_CSUM_BLANK)
        flags = XENPV_NETTXF_CSUM_BLANK | XENPV_NETTXF_DATA_VALIDATED;
    else if (offload->checksum == XENPV_NET_CSUM_GOOD)
        flags = XENPV_NETTXF_DATA_VALIDATED;
    return offload->mss || offload->hashed ? flags | XENPV_NETTXF_EXTRA_INFO : flags;
}

/* The requests stand in their order, with the extra infos behind the first. */
static void put_packet(struct xenpv_netq *q, const struct xenpv_net_packet *packet,
                       const struct plan *plan, void *user)
{
    struct cursor cursor = {packet->iov, 0};
    uint32_t flags = flags_of(&packet->offload);
    uint32_t size = plan->bytes < XENPV_NET_FRAME_MIN ? XENPV_NET_FRAME_MIN : plan->bytes;
    uint32_t head = take_number(q);

    if (plan->count > 1)
        flags |= XENPV_NETTXF_MORE_DATA;
    begin(q, put_piece(q, &plan->piece[0], head, &cursor, flags, size), head, plan->count, user);
    put_extras(q, &packet->offload);
    for (uint32_t i = 1; i < plan->count; i++) {
        uint32_t number = take_number(q);

        flags = i + 1 < plan->count ? XENPV_NETTXF_MORE_DATA : 0;
        put_piece(q, &plan->piece[i], number, &cursor, flags, plan->piece[i].length)->head =
            (uint16_t)head;
    }
}

/* 0, or what is wrong with the bytes of a packet. */
static int sum(const struct xenpv_netq *q, const struct xenpv_net_packet *packet, uint32_t *bytes)
{
    uint64_t total = 0;

    if (packet->count > XENPV_NET_IOV_MAX)
        return XENPV_EINVAL;
    for (uint32_t i = 0; i < packet->count; i++) {
        if (packet->iov[i].length > XENPV_NETIF_PACKET_MAX)
            return XENPV_E2BIG;
        total += packet->iov[i].length;
    }
    if (total > q->max_frame)
        return XENPV_E2BIG;
    *bytes = (uint32_t)total;
    return total ? XENPV_OK : XENPV_EINVAL;
}

/* 0, or why what is asked for beside the bytes cannot be done. */
static int judge(const struct xenpv_netq *q, const struct xenpv_net_offload *offload)
{
    uint32_t needed = 0;

    if (offload->checksum > XENPV_NET_CSUM_BLANK ||
        (offload->hashed && offload->hash_type > XENPV_NETIF_HASH_IPV6_TCP))
        return XENPV_EINVAL;
    if (offload->mss)
        needed |= offload->ipv6 ? XENPV_NET_GSO6 : XENPV_NET_GSO4;
    else if (offload->checksum == XENPV_NET_CSUM_BLANK)
        needed |= offload->ipv6 ? XENPV_NET_CSUM6 : XENPV_NET_CSUM4;
    if (offload->hashed)
        needed |= XENPV_NET_CONTROL;
    return (q->features & needed) == needed ? XENPV_OK : XENPV_ENOTSUP;
}

/* 0 when the queue takes packets; what a lost connection ended is to be polled first. */
static int ready(const struct xenpv_netq *q)
{
    uint32_t stop = xenpv_load(&q->gate.stop);

    if (gate_is(&q->gate, GATE_OPEN) && stop == GATE_RUN && !q->why && !q->tx.ended)
        return XENPV_OK;
    if (gate_is(&q->gate, GATE_PARKED) || stop > GATE_HOLD || q->why)
        return XENPV_EPARKED;
    return XENPV_EFULL;
}

NEVER_INLINE int send_long(struct xenpv_netq *q, const struct xenpv_net_packet *packet, void *user)
{
    const struct xenpv_net_offload *offload = &packet->offload;
    uint32_t extras = (offload->mss != 0) + (uint32_t)offload->hashed, most, bytes;
    int error = ready(q);
    struct plan plan;

    if (error == XENPV_OK)
        error = sum(q, packet, &bytes);
    if (error == XENPV_OK)
        error = judge(q, offload);
    if (error)
        return error;
    most = q->features & XENPV_NET_SG ? XENPV_NETIF_SLOTS_MIN - extras : 1;
    make_plan(q, packet, bytes, most, &plan);
    if (plan.count > q->tx.free || plan.count + extras > xenpv_ring_free(&q->tx.ring))
        return XENPV_EFULL;
    put_packet(q, packet, &plan, user);
    return XENPV_OK;
}

int xenpv_netq_send(struct xenpv_netq *q, const struct xenpv_net_packet *packet, void *user)
{
    if (!is_short(q, packet))
        return send_long(q, packet, user);
    send_short(q, packet, user);
    return XENPV_OK;
}

int xenpv_netq_multicast(struct xenpv_netq *q, const uint8_t address[6], bool add, void *user)
{
    struct xenpv_netif_extra extra = {.type = add ? XENPV_NETIF_EXTRA_MCAST_ADD
                                                  : XENPV_NETIF_EXTRA_MCAST_DEL};
    int error = ready(q);
    uint32_t number;

    if (error)
        return error;
    if (!(q->features & XENPV_NET_MULTICAST))
        return XENPV_ENOTSUP;
    if (q->tx.free == 0 || xenpv_ring_free(&q->tx.ring) < 2)
        return XENPV_EFULL;
    number = take_number(q);
    fill_up(q, net_buffer(q->tx.memory, number), 0, 0);
    begin(q, put(q, number, q->tx.refs[number], 0, XENPV_NETTXF_EXTRA_INFO, 0), number, 1, user);
    memcpy(extra.u.mcast.addr, address, sizeof(extra.u.mcast.addr));
    put_extra(q, &extra, false);
    return XENPV_OK;
}

void xenpv_netq_submit(struct xenpv_netq *q)
{
    uint32_t stop = xenpv_load(&q->gate.stop);

    if (gate_is(&q->gate, GATE_OPEN) && (stop == GATE_RUN || stop == GATE_DRAIN) && !q->why)
        netq_publish(q, &q->tx.ring, 0);
}

/* ---- answers --------------------------------------------------------------------------------- */

static inline void hand_out(struct xenpv_netq *q, struct xenpv_completion *out,
                            const struct xenpv_completion *ended)
{
    *out = *ended;
    q->tx.delivered++;
}

void netq_tx_end_all(struct xenpv_netq *q, int status)
{
    for (uint32_t i = 0; i < q->tx_buffers; i++) {
        struct net_tx *slot = &q->tx.slot[i];

        /* Its own slot may have been answered, and another one of the packet not. */
        if (slot->left)
            q->tx.done[q->tx.ended++] = (struct xenpv_completion){slot->user, status};
        slot->left = 0;
        slot->used = false;
    }
    q->tx.free = 0;
}

/* An answer that is not OKAY, of a packet. */
NEVER_INLINE void note_failure(struct xenpv_netq *q, struct net_tx *head, int16_t status)
{
    bool dropped = status == XENPV_NETIF_DROPPED;

    if (head->status != XENPV_OK)
        return;
    head->status = dropped ? XENPV_EFULL : XENPV_EIO;
    q->stats.tx_dropped += dropped;
    q->stats.tx_errors += !dropped;
}

/* It is not among those that were put on the ring and not published yet. */
static inline bool published(const struct xenpv_netq *q, const struct net_tx *slot)
{
    return slot->index - q->tx.ring.published >= q->tx.ring.prod - q->tx.ring.published;
}

/* Takes the next answer. False: the backend broke the protocol. */
ALWAYS_INLINE bool take_answer(struct xenpv_netq *q, struct xenpv_completion **out)
{
    uint32_t index = q->tx.ring.cons, id;
    struct xenpv_netif_tx_response response;
    struct net_tx *slot, *head;

    netif_get_tx_response(net_next_in(&q->tx.ring, XENPV_NETIF_TX_SLOT), &response);
    if (response.status == XENPV_NETIF_NULL) {
        if (XENPV_CHECK(TX_NULL, q->tx.extras > 0)) {
            q->tx.extras--;
            return true;
        }
        netq_violated(q, XENPV_CHECK_TX_NULL, index, response.id);
        return false;
    }
    if (!XENPV_CHECK(RSP_ID, response.id < q->tx_buffers)) {
        netq_violated(q, XENPV_CHECK_RSP_ID, index, response.id);
        return false;
    }
    id = response.id & (NET_SLOTS - 1);
    slot = &q->tx.slot[id];
    if (!XENPV_CHECK(RSP_INFLIGHT, slot->used && published(q, slot))) {
        netq_violated(q, XENPV_CHECK_RSP_INFLIGHT, index, id);
        return false;
    }
    slot->used = false;
    head = &q->tx.slot[slot->head];
    if (response.status != XENPV_NETIF_OKAY)
        note_failure(q, head, response.status);
    if (head != slot)
        q->tx.numbers[q->tx.free++] = (uint16_t)id;
    if (--head->left)
        return true;
    q->tx.numbers[q->tx.free++] = slot->head;
    hand_out(q, (*out)++, &(struct xenpv_completion){head->user, head->status});
    return true;
}

static struct xenpv_completion *take_answers(struct xenpv_netq *q, struct xenpv_completion *out,
                                             const struct xenpv_completion *end)
{
    uint32_t available = xenpv_ring_available(&q->tx.ring);

    if (!XENPV_CHECK(RSP_PROD, available <= xenpv_ring_outstanding(&q->tx.ring))) {
        netq_violated(q, XENPV_CHECK_RSP_PROD, q->tx.ring.cons, q->tx.ring.cons + available);
        return out;
    }
    while (available-- && out < end && take_answer(q, &out))
        ;
    return out;
}

int xenpv_netq_poll(struct xenpv_netq *q, struct xenpv_completion *out, uint32_t max)
{
    bool open = netq_obey(q);
    struct xenpv_completion *at = out, *end = out + max;

    if (open && !q->tx.ended)
        at = take_answers(q, at, end);
    while (q->tx.ended && at < end)
        hand_out(q, at++, &q->tx.done[--q->tx.ended]);
    return at == out ? netq_nothing(q, open) : (int)(at - out);
}
