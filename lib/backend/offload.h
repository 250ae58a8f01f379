/* SPDX-License-Identifier: MIT */
/*
 * What a network card would do: checksums of TCP and UDP, and large TCP packets cut into segments.
 * Frames are private memory, but their bytes are a peer's: everything is checked.
 */
#ifndef XENPV_BACKEND_OFFLOAD_H
#define XENPV_BACKEND_OFFLOAD_H

#include <xenpv/harness/link.h>

/* Where things are in a frame, in bytes from its beginning. */
struct offload_headers {
    bool ipv6, tcp;     /* else IPv4, UDP */
    uint32_t network;   /* the IP header */
    uint32_t transport; /* the TCP or UDP header */
    uint32_t checksum;  /* of it */
    uint32_t payload;   /* behind it */
    uint32_t end;       /* of the IP packet: padding may follow */
};

/* False: the frame is no TCP or UDP over IP, or a fragment, or its headers or lengths make no
 * sense. */
bool offload_find(const struct xenpv_link_frame *frame, struct offload_headers *headers);

/* Puts the checksum of the pseudo header where the blank one is. */
void offload_blank(const struct xenpv_link_frame *frame, const struct offload_headers *headers);

/* Puts the right checksum; ->checksum becomes XENPV_LINK_GOOD. */
void offload_complete(struct xenpv_link_frame *frame, const struct offload_headers *headers);

/*
 * Bytes of payload: a packet of smaller segments is not cut. No TCP has such; and at one byte each,
 * one packet would be 65,000 frames.
 */
#define OFFLOAD_SEGMENT_MIN 8u

/* A large TCP packet on its way to be segments. */
struct offload_cut {
    const struct xenpv_link_frame *whole;
    struct offload_headers headers;
    uint32_t at;     /* bytes of payload that were cut off */
    uint32_t number; /* of the next segment */
};

/* Writes the next segment to `segment->data`, as large as a segment is, with a blank checksum.
 * False: that was all. `cut` begins with the whole frame and its headers, the rest zero. */
bool offload_next(struct offload_cut *cut, struct xenpv_link_frame *segment);

#endif
