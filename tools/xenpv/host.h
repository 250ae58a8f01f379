/* SPDX-License-Identifier: MIT */
/* A host on an Ethernet: what it says to frames that are for it. Pure. */
#ifndef XENPV_HOST_H
#define XENPV_HOST_H

#include "packet.h"

#define HOST_ADDRESSES 2u

struct host {
    uint8_t mac[6];
    struct ip addresses[HOST_ADDRESSES];
    unsigned count;
};

/*
 * Composes the answer to a question after one of its addresses, or to an echo request to it: its
 * bytes; 0: there is nothing to say. `answer` has room for PACKET_MAX bytes.
 */
uint32_t host_answer(const struct host *host, const struct packet *packet, uint8_t *answer);

/* Composes the frame that tells all where an address of the host is: its bytes. */
uint32_t host_announce(const struct host *host, unsigned address, uint8_t *frame);

#endif
