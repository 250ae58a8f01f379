/* SPDX-License-Identifier: MIT */
/*
 * The shared ring of Xen's xen/include/public/io/ring.h, either end. One thread owns one end.
 *
 * All indexes run freely through 2^32; a slot is found by the low bits. Private indexes are
 * trusted; what the other end writes is read once, through xenpv_ring_available, and compared with
 * what it can be at the most. Nothing that this end has published is ever read back.
 */
#ifndef XENPV_RING_H
#define XENPV_RING_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XENPV_RING_HEADER 64u /* bytes before the first slot */

/* ring.h: req_prod, req_event, rsp_prod, rsp_event are the first four words of the page. */
struct xenpv_ring_indexes {
    uint32_t prod;  /* written by the side that produces */
    uint32_t event; /* written by the side that consumes: "notify me when prod gets here" */
};

struct xenpv_ring {
    struct xenpv_ring_indexes *out; /* of what this end produces */
    struct xenpv_ring_indexes *in;  /* of what the other end produces */
    uint8_t *slots;
    uint32_t slot_size;
    uint32_t count;     /* slots, a power of two */
    uint32_t prod;      /* next slot this end fills */
    uint32_t published; /* what the other end has been told */
    uint32_t cons;      /* next slot this end reads */
};

/* Slots of a ring in `bytes` of memory: the largest power of two that fits behind the header. */
static inline uint32_t xenpv_ring_count(uint32_t bytes, uint32_t slot_size)
{
    uint32_t count = 1;
    while (count * 2 * slot_size <= bytes - XENPV_RING_HEADER)
        count *= 2;
    return count;
}

/* The frontend's end, on zeroed memory that the other end has not seen yet (SHARED_RING_INIT). */
static inline void xenpv_ring_init_front(struct xenpv_ring *ring, void *memory, uint32_t bytes,
                                         uint32_t slot_size)
{
    struct xenpv_ring_indexes *indexes = (struct xenpv_ring_indexes *)memory;

    ring->out = &indexes[0];
    ring->in = &indexes[1];
    ring->slots = (uint8_t *)memory + XENPV_RING_HEADER;
    ring->slot_size = slot_size;
    ring->count = xenpv_ring_count(bytes, slot_size);
    ring->prod = ring->published = ring->cons = 0;
    xenpv_store(&ring->out->event, 1);
    xenpv_store(&ring->in->event, 1);
}

/* The backend's end, on memory that a frontend has initialised; it takes up where rsp_prod stands.
 */
static inline void xenpv_ring_attach_back(struct xenpv_ring *ring, void *memory, uint32_t bytes,
                                          uint32_t slot_size)
{
    struct xenpv_ring_indexes *indexes = (struct xenpv_ring_indexes *)memory;

    ring->out = &indexes[1];
    ring->in = &indexes[0];
    ring->slots = (uint8_t *)memory + XENPV_RING_HEADER;
    ring->slot_size = slot_size;
    ring->count = xenpv_ring_count(bytes, slot_size);
    ring->prod = ring->published = ring->cons = xenpv_load(&ring->out->prod);
}

/* Frontend: how many requests may be filled now. */
static inline uint32_t xenpv_ring_free(const struct xenpv_ring *ring)
{
    return ring->count - (ring->prod - ring->cons);
}

/* Frontend: published requests without a response: as many responses can there be at the most. */
static inline uint32_t xenpv_ring_outstanding(const struct xenpv_ring *ring)
{
    return ring->published - ring->cons;
}

/* Backend: as many unread requests can there be at the most. */
static inline uint32_t xenpv_ring_room(const struct xenpv_ring *ring)
{
    return ring->count - (ring->cons - ring->prod);
}

/* Items the other end has published and this end has not read; as it says, so compare it with
 * xenpv_ring_outstanding or xenpv_ring_room before believing it. */
static inline uint32_t xenpv_ring_available(const struct xenpv_ring *ring)
{
    return xenpv_load_acquire(&ring->in->prod) - ring->cons;
}

/*
 * The slot at this end's consumer index, which moves on. It is the other end's to change at any
 * time: each of its words is to be loaded once (xenpv_load), before this end publishes anything.
 */
static inline const uint32_t *xenpv_ring_next_in(struct xenpv_ring *ring)
{
    size_t index = ring->cons++ & (ring->count - 1);

    return (const uint32_t *)(const void *)(ring->slots + ring->slot_size * index);
}

/*
 * The slot at this end's producer index, which moves on: to be written word by word (xenpv_store),
 * all padding included. The other end is told by xenpv_ring_publish, but may look before.
 */
static inline uint32_t *xenpv_ring_next_out(struct xenpv_ring *ring)
{
    size_t index = ring->prod++ & (ring->count - 1);

    return (uint32_t *)(void *)(ring->slots + ring->slot_size * index);
}

/* Copies the slot at this end's consumer index, once, word by word; `bytes` is a multiple of 4. */
static inline void xenpv_ring_take(struct xenpv_ring *ring, void *to, uint32_t bytes)
{
    const uint32_t *slot = xenpv_ring_next_in(ring);
    uint32_t *words = (uint32_t *)to;

    for (uint32_t i = 0; i < bytes / 4; i++)
        words[i] = xenpv_load(&slot[i]);
}

/* Copies a private image into the slot at this end's producer index; not yet seen by the other end.
 */
static inline void xenpv_ring_put(struct xenpv_ring *ring, const void *from, uint32_t bytes)
{
    uint32_t *slot = xenpv_ring_next_out(ring);
    const uint32_t *words = (const uint32_t *)from;

    for (uint32_t i = 0; i < bytes / 4; i++)
        xenpv_store(&slot[i], words[i]);
}

/*
 * Shows the other end all that was put. True when it asked to be notified of any of it
 * (RING_PUSH_*_AND_CHECK_NOTIFY); false also when there was nothing to publish.
 */
static inline bool xenpv_ring_publish(struct xenpv_ring *ring)
{
    uint32_t old = ring->published;

    if (ring->prod == old)
        return false;
    ring->published = ring->prod;
    xenpv_store_seq(&ring->out->prod, ring->prod);
    return ring->prod - xenpv_load_seq(&ring->out->event) < ring->prod - old;
}

/*
 * Asks to be notified of the next item. True when one is there already, so that no notification may
 * come and this end must look again (RING_FINAL_CHECK_FOR_*).
 */
static inline bool xenpv_ring_arm(struct xenpv_ring *ring)
{
    xenpv_store_seq(&ring->in->event, ring->cons + 1);
    return xenpv_load_seq(&ring->in->prod) != ring->cons;
}

/* Asks for no notification: the event index is put where the producer comes last. */
static inline void xenpv_ring_disarm(struct xenpv_ring *ring)
{
    xenpv_store(&ring->in->event, ring->cons);
}

#ifdef __cplusplus
}
#endif
#endif
