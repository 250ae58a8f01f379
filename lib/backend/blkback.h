/* SPDX-License-Identifier: MIT */
/* A block backend from inside. */
#ifndef XENPV_BACKEND_BLKBACK_H
#define XENPV_BACKEND_BLKBACK_H

#include <xenpv/abi/blkif.h>
#include <xenpv/harness/blkback.h>
#include <xenpv/ring.h>

#define BLKBACK_ANSWERS 5

struct xenpv_blkback {
    struct xenpv_bus bus;
    const struct xenpv_port *port;
    const struct xenpv_disk *disk;
    struct xenpv_allocator allocator;
    struct xenpv_key_value answer[BLKBACK_ANSWERS];
    struct xenpv_blkback_stats stats;

    bool attached; /* ring mapped and event channel bound */
    bool more;     /* requests were left on the ring */
    enum xenpv_abi abi;
    struct xenpv_ring ring;
    struct xenpv_map_region ring_map;
    struct xenpv_map_entry ring_entry;
    uint32_t event_port;

    /* The data of one request on its way; private, so that the frontend cannot change it. */
    _Alignas(8) uint8_t data[XENPV_BLKIF_SEGMENTS * XENPV_PAGE_SIZE];
};

/* Answers what is on the ring, at most one ring of it. True: there is more. */
bool blkback_serve(struct xenpv_blkback *back);

#endif
