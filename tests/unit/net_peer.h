/* SPDX-License-Identifier: MIT */
/*
 * A network backend of the tests' own, none of lib/backend's: it tells the keys that it is given,
 * takes packets strictly by the rules of netif.h, and answers and delivers what the test wants.
 */
#ifndef NET_PEER_H
#define NET_PEER_H

#include <xenpv/ring.h>

#include "net_rig.h"

#define PEER_QUEUES 64
#define PEER_EXTRAS 4

struct peer_key {
    const char *name, *value;
};

struct peer_ring {
    struct xenpv_map_region map;
    struct xenpv_map_entry entry;
    struct xenpv_ring ring;
    uint32_t port;
};

/* A packet as it was taken from the tx ring. */
struct peer_packet {
    uint32_t length, slots, extras;
    uint16_t flags; /* of its first slot */
    uint32_t first; /* bytes of the first slot */
    struct xenpv_netif_tx_request request[XENPV_NETIF_SLOTS_MIN];
    struct xenpv_netif_extra extra[PEER_EXTRAS];
    uint8_t bytes[65536];
};

/* How a frame is delivered. */
struct peer_frame {
    uint16_t flags;    /* of its first slot, but MORE_DATA and EXTRA_INFO */
    uint32_t chunk;    /* bytes of a slot at the most; 0: a page */
    uint32_t offset;   /* of each slot's data */
    uint32_t headroom; /* bytes that each slot leaves, counted as Linux netback counts them */
    uint32_t extras;
    struct xenpv_netif_extra extra[PEER_EXTRAS];
    int fail_at; /* the slot, from 1 on, that is answered with an error; 0: none */
};

struct peer {
    const struct peer_key *offer; /* told at state 2; ends with a NULL */
    bool idle;                    /* leaves the rings to the test */
    bool gone;                    /* does nothing, as if its process had ended */
    bool stubborn;                /* says that it has closed, and keeps all it has mapped */
    bool silent;                  /* answers no state 7 */
    int (*judge)(struct peer *peer, const struct xenpv_netif_ctrl_request *request,
                 uint32_t *data); /* a control message's status; NULL: not supported; negative: it
                                     is not answered */
    void *ctx;

    /* Notes. */
    uint32_t packets, attached, headroom;
    uint32_t notified[2]; /* by us */
    uint32_t events[2];   /* by the frontend */
    struct peer_packet last;

    struct net_rig *rig;
    int state;
    uint32_t queues; /* as attached; 0: it is not */
    bool split, has_ctrl;
    struct peer_ring tx[PEER_QUEUES], rx[PEER_QUEUES], ctrl;
};

/* The keys of a Linux netback; and none but what every frontend needs. */
extern const struct peer_key peer_linux[], peer_oldest[];

void peer_up(struct peer *peer, struct net_rig *rig, const struct peer_key *offer);
/* Lets go of everything, as if its process ended. */
void peer_down(struct peer *peer);
/* Its process ends, and another one begins. */
void peer_restart(struct peer *peer);

/* The rig with this backend, connected; and both down again, the frontend closed in order. */
void peer_rig_up(struct peer *peer, struct net_rig *rig, const struct net_rig_options *options,
                 const struct peer_key *offer);
void peer_rig_down(struct peer *peer);

/* Takes the next packet of a queue, all of it, checked; false: there is none. */
bool peer_take(struct peer *peer, uint32_t queue, struct peer_packet *packet);
/* Answers each slot of it; its extra infos NULL. */
void peer_answer(struct peer *peer, uint32_t queue, const struct peer_packet *packet,
                 int16_t status);
/* Puts an answer, or a received slot, without showing it. */
void peer_put_tx(struct peer *peer, uint32_t queue, uint16_t id, int16_t status);
void peer_put_rx(struct peer *peer, uint32_t queue, const struct xenpv_netif_rx_response *response);
/* Puts an extra info into the next slot of the rx ring. */
void peer_put_rx_extra(struct peer *peer, uint32_t queue, const struct xenpv_netif_extra *extra);
/* Shows what was put, and notifies if that is asked for. */
void peer_show(struct peer *peer, struct peer_ring *ring, uint32_t half);

/* Takes the next buffer of the rx ring. */
struct xenpv_netif_rx_request peer_buffer(struct peer *peer, uint32_t queue);
/* Delivers a frame; false: there are not enough buffers. */
bool peer_deliver(struct peer *peer, uint32_t queue, const uint8_t *bytes, uint32_t length,
                  const struct peer_frame *how);

/* A frame of several pages each way, on the rig's queue, which is the first. */
void peer_exchange(struct peer *peer);

/* Copies from or to a page of the frontend's; 0 or the port's error. */
int peer_copy(struct peer *peer, uint32_t ref, uint32_t offset, void *local, uint32_t bytes,
              bool to_peer);

#endif
