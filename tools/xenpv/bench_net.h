/* SPDX-License-Identifier: MIT */
/* What is a network card's own in xenpv bench. */
#ifndef XENPV_BENCH_NET_H
#define XENPV_BENCH_NET_H

#include <xenpv/net.h>

#include "bench.h"

enum bench_link {
    BENCH_LINK_NULL,   /* our network backend; no byte of a frame is moved */
    BENCH_LINK_MEMORY, /* the same, and each byte is copied from or to the frontend */
    BENCH_LINK_DEVICE, /* what the user named */
};
enum bench_direction { BENCH_TX, BENCH_RX };

#define BENCH_NET_MSS 1448u /* of large packets */

/* Slots of a frame in the bare ring and on the device's: data, and one that says that it is large.
 */
uint32_t bench_net_slots(const struct bench_cell *cell);

#define BENCH_NET_HEADERS 54u /* of TCP: Ethernet, IPv4, TCP */
#define BENCH_NET_PORT    35u /* the low byte of its source port */
/* Composes the headers of a frame of `bytes` bytes, as if `source` sent it: of a TCP packet, or of
 * nothing that anybody knows. */
void bench_net_head(bool tcp, const uint8_t source[6], uint32_t bytes,
                    uint8_t head[BENCH_NET_HEADERS]);

extern const struct bench_lane_ops bench_net_lanes;
int bench_net_backend(struct bench_rig *rig);

#endif
