/* SPDX-License-Identifier: MIT */
/*
 * Frames of ARP (RFC 826), neighbour discovery (RFC 4861) and echoes (RFC 792, RFC 4443), composed
 * and read. Pure functions. What is read may be anybody's: only what is whole and has the right
 * checksums is any of these.
 *
 * All checksums are made here: a backend completes those of TCP and UDP, and no others
 * (xen/include/public/io/netif.h).
 */
#ifndef XENPV_PACKET_H
#define XENPV_PACKET_H

#include <stddef.h>

#include "ip.h"

#define PACKET_ETHERNET 14u
#define PACKET_IPV4     20u
#define PACKET_IPV6     40u
#define PACKET_ICMP     8u
#define PACKET_MAX      65535u
/* Bytes of the longest frame that packet_who and packet_here compose. */
#define PACKET_SHORT_MAX 86u

enum packet_kind {
    PACKET_OTHER, /* none of these */
    PACKET_WHO,   /* who has this address? ARP request, neighbour solicitation */
    PACKET_HERE,  /* here it is: ARP reply, neighbour advertisement */
    PACKET_ECHO,  /* echo request */
    PACKET_REPLY, /* echo reply */
};

/* Where a host is: its address, and its network card's. */
struct packet_end {
    uint8_t mac[6];
    struct ip ip;
};

struct packet {
    enum packet_kind kind;
    uint8_t source[6], destination[6]; /* of the Ethernet header */
    struct ip from; /* who sends it; of a probe it is zero (RFC 5227, RFC 4862) */
    struct ip to;   /* WHO, HERE: the address in question; else who is to get it */
    uint8_t mac[6]; /* WHO: the sender's, HERE: that of the address */
    bool has_mac;
    uint16_t id, sequence;  /* of an echo, and ... */
    const uint8_t *payload; /* ... what it carries, in the frame */
    uint32_t bytes;
};

/* What the frame is; ->kind is PACKET_OTHER for what has no meaning here, or none at all. */
void packet_parse(const uint8_t *frame, uint32_t bytes, struct packet *packet);

/* Each composes a frame, and returns its bytes. `own` is who sends it. */

/* Asks all, who has `address`. */
uint32_t packet_who(uint8_t frame[PACKET_SHORT_MAX], const struct packet_end *own,
                    const struct ip *address);
/* Answers `question`, whose address is our own. */
uint32_t packet_here(uint8_t frame[PACKET_SHORT_MAX], const struct packet_end *own,
                     const struct packet *question);
/* An echo, `kind` says of which kind, with room for what it carries in the frame. */
uint32_t packet_echo(uint8_t *frame, enum packet_kind kind, const struct packet_end *own,
                     const struct packet_end *other, uint16_t id, uint16_t sequence,
                     const uint8_t *payload, uint32_t bytes);

/* Bytes of a frame before what an echo carries. */
uint32_t packet_echo_head(bool v6);

#define PACKET_TEXT_MAX 208u
/* What a frame is, in a line: "10.77.0.1 > 10.77.0.2: ICMP echo request, id 7, seq 1". `whole` is
 * how long it is, of which `bytes` are there to look at. */
void packet_text(const uint8_t *frame, uint32_t bytes, uint32_t whole, char text[PACKET_TEXT_MAX]);

#endif
