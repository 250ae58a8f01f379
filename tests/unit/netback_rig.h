/* SPDX-License-Identifier: MIT */
/*
 * A mock with our network backend in domain 0, joined to one end of a wire whose other end the test
 * holds, and in domain 1 a frontend that the test plays by hand: it knows the protocol and nothing
 * of lib/core/net*.c.
 */
#ifndef NETBACK_RIG_H
#define NETBACK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "faulty_port.h"
#include "strict.h"
#include <xenpv/harness/netback.h>
#include <xenpv/ring.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define NB_FRONT  "/local/domain/1/device/vif/0"
#define NB_BACK   "/local/domain/0/backend/vif/1/0"
#define NB_QUEUES 64
#define NB_KEYS   8
#define NB_PAGES  300 /* to send from and receive into */
#define NB_FRAMES 64

struct nb_key {
    const char *name, *value; /* NULL: the key is not written at all */
};

struct nb_front {
    uint32_t queues; /* 0: 1, and no word of it in the store */
    bool split, control;
    struct nb_key keys[NB_KEYS]; /* beside, or in place of, those that are always written */
};

struct nb_queue {
    struct xenpv_ring tx, rx;
    uint32_t tx_port, rx_port;
};

struct nb_rig {
    struct strict_heap heap;
    struct xenpv_allocator allocator;
    struct xenpv_mock *mock;
    struct xenpv_port back_port, front_port;
    struct faulty_port faulty; /* around back_port; told nothing, it passes all on */
    struct xenpv_link link;    /* the backend's; may be changed before nb_start */
    struct xenpv_link wire;    /* the test's end */
    bool carrier;              /* of the backend's link */
    struct xenpv_netback_config config;
    struct xenpv_netback *back;

    struct nb_front front;
    bool connected; /* the frontend shares the following */
    struct xenpv_grant_region rings, data;
    uint32_t ring_refs[2 * NB_QUEUES + 1], data_refs[NB_PAGES];
    struct nb_queue queue[NB_QUEUES];
    struct xenpv_ring control;
    uint32_t control_port;
    uint8_t scratch[XENPV_LINK_FRAME_MAX]; /* of nb_wire_take */
};

/* ---- the machine ----------------------------------------------------------------------------- */

/* Makes the machine; config and link may be changed. */
void nb_up(struct nb_rig *rig);
/* The same where a domain may map no more than `maps` pages. */
void nb_up_limited(struct nb_rig *rig, uint32_t maps);
/* Has the backend made and started. */
void nb_start(struct nb_rig *rig);
/* Lets the frontend, if there is one, and the backend end, and asserts that nothing is left. */
void nb_down(struct nb_rig *rig);

void nb_steps(struct nb_rig *rig, int count);
/* Steps, and moves the clock, until the backend's state is so. */
void nb_until(struct nb_rig *rig, int state);
void nb_assert_holds(struct nb_rig *rig, uint32_t maps, uint32_t ports);
struct xenpv_netback_stats nb_stats(const struct nb_rig *rig);

/* The store, as the toolstack; a missing node is -1. */
void nb_set(struct nb_rig *rig, const char *dir, const char *key, const char *value);
void nb_remove(struct nb_rig *rig, const char *dir, const char *key);
int64_t nb_get(struct nb_rig *rig, const char *dir, const char *key);

/* ---- the wire -------------------------------------------------------------------------------- */

/* Sends a frame towards the frontend; asserts that there is room for it. */
void nb_wire_send(struct nb_rig *rig, const struct xenpv_link_frame *frame);
/* Takes a frame that the frontend has sent, into rig->scratch. */
bool nb_wire_take(struct nb_rig *rig, struct xenpv_link_frame *frame);

/* ---- frames ---------------------------------------------------------------------------------- */

void nb_fill(void *bytes, size_t count, uint32_t seed);

/* A frame of TCP or UDP, with right lengths and checksums. */
struct nb_ip {
    bool ipv6, udp;
    uint32_t tags;    /* of VLANs */
    uint32_t options; /* bytes of TCP options, a multiple of 4 */
    uint32_t payload; /* bytes */
    uint16_t sport;
    uint32_t seed;
};
/* Writes it, and returns its bytes. */
uint32_t nb_make_ip(uint8_t *frame, const struct nb_ip *ip);
/* True when the checksums of IP and of TCP or UDP are right. */
bool nb_good_sums(const uint8_t *frame, uint32_t bytes);
/* Where TCP or UDP begins. */
uint32_t nb_transport(const uint8_t *frame);

/* ---- the frontend ---------------------------------------------------------------------------- */

/* Shares rings, channels and data pages; writes the keys; nothing of them is in the store before.
 */
void nb_share(struct nb_rig *rig, const struct nb_front *front);
/* nb_share, then the handshake up to both ends' state 4. */
void nb_connect(struct nb_rig *rig, const struct nb_front *front);
/* States 5 and 6, until the backend is 6; what was shared is ended, its keys are removed. */
void nb_close(struct nb_rig *rig);
/* Ends what was shared, and removes the keys. */
void nb_end(struct nb_rig *rig);

uint8_t *nb_page(struct nb_rig *rig, uint32_t page);

/* Puts requests and extra infos on a tx ring, not published yet. */
void nb_tx(struct nb_rig *rig, uint32_t queue, const struct xenpv_netif_tx_request *request);
void nb_tx_extra(struct nb_rig *rig, uint32_t queue, const struct xenpv_netif_extra *extra);
void nb_tx_publish(struct nb_rig *rig, uint32_t queue);
struct xenpv_netif_tx_response nb_tx_take(struct nb_rig *rig, uint32_t queue);

/* A packet: its parts, one slot each, go to data pages from `page` on, each at `offset`. */
struct nb_packet {
    const uint8_t *frame;
    uint32_t parts;
    const uint32_t *bytes; /* of each part, or NULL: as many as there are, in pages */
    uint32_t total;        /* 0: the sum */
    uint32_t offset, page;
    uint16_t id, flags;
    const struct xenpv_netif_extra *extra; /* NULL: none */
    uint32_t extras;
};
void nb_tx_packet(struct nb_rig *rig, uint32_t queue, const struct nb_packet *packet);
/*
 * nb_tx_packet, published, and all answers taken: asserts that each slot is answered once, extras
 * with NULL, the others alike; the status.
 */
int nb_send(struct nb_rig *rig, uint32_t queue, const struct nb_packet *packet);

/* Posts `count` rx requests whose ids are their pages, from `page` on. */
void nb_rx_post(struct nb_rig *rig, uint32_t queue, uint32_t page, uint32_t count);

/* What came for the frontend, put together. */
struct nb_received {
    uint32_t bytes, slots, pages, flags; /* flags: of the first page */
    uint32_t offset;                     /* of the first page */
    bool prefixed, gso, hashed, headroom;
    uint32_t prefix_size;
    bool error;
    struct xenpv_netif_extra gso_extra, hash_extra, xdp_extra;
    uint8_t data[XENPV_LINK_FRAME_MAX];
};
/*
 * Takes the next frame off an rx ring, false: there is none. Asserts that each answer stands in the
 * slot of its request, and that all of them are there. `page` as in nb_rx_post for the first slot.
 */
bool nb_receive(struct nb_rig *rig, uint32_t queue, uint32_t page, struct nb_received *received);

/* A control message and its answer. */
struct xenpv_netif_ctrl_response nb_ask(struct nb_rig *rig, uint16_t type, uint32_t a, uint32_t b,
                                        uint32_t c);

#endif
