/* SPDX-License-Identifier: MIT */
/*
 * A network backend from inside. netback.c is the handle and its steps; _connect.c the handshake
 * and what is shared; _keys.c what the store says at its stations, _live.c what it says meanwhile;
 * _tx.c takes packets from the frontend, _rx.c gives it frames, _prepare.c makes these fit for it;
 * _move.c moves bytes; _control.c answers control messages, _grants.c those about static grants.
 */
#ifndef XENPV_BACKEND_NETBACK_H
#define XENPV_BACKEND_NETBACK_H

#include <xenpv/flow.h>
#include <xenpv/harness/netback.h>
#include <xenpv/ring.h>

#include "backend/frame_queue.h"
#include "backend/offload.h"

#define NETBACK_QUEUES  64u
#define NETBACK_RING    256u  /* slots of a ring at most */
#define NETBACK_MAPPING 2048u /* entries at most */
#define NETBACK_GRANTS  4096u
#define NETBACK_MCAST   64u /* addresses, as many as Linux netback takes */
/* A headroom is heeded if it leaves half a page: as much as any known frontend asks for, by far. */
#define NETBACK_HEADROOM 2048u
#define NETBACK_MOVES    512u                        /* copies of one batch at most */
#define NETBACK_STAGE    (8u * XENPV_LINK_FRAME_MAX) /* bytes of a batch */

#define NETBACK_OWN     1
#define NETBACK_ANSWERS 14
#define NETBACK_ASKED   5 /* keys of one queue */
/* The most keys at once: a publication removes all there may be before it puts its own. */
#define NETBACK_ROOM 36u

/* One direction of a queue, or the control ring. */
struct netback_end {
    bool armed; /* the frontend was asked to notify us */
    struct xenpv_ring ring;
    struct xenpv_map_region map;
    struct xenpv_map_entry page;
    uint32_t port, peer_port;
};

/* Pages that the frontend has us keep mapped. */
struct netback_grant {
    struct xenpv_map_region map;
    struct xenpv_map_entry page;
    struct netback_grant *next; /* in its bucket, or of those that are free */
};

struct netback_grants {
    struct netback_grant *all;      /* NULL: there were none yet */
    struct netback_grant **buckets; /* as many as there are grants at most, rounded up */
    struct netback_grant *free;
    uint32_t mask, count;
};

struct netback_queue {
    struct netback_end tx, rx; /* rx.port is tx.port where they share a channel */
    bool split;
    bool more;                  /* it must be looked at again before anything is waited for */
    uint32_t rx_free;           /* requests that are known to be there and not taken */
    uint32_t asked_for;         /* rx requests that were asked for, as an event index */
    struct frame_queue backlog; /* frames that wait for rx requests */
    uint32_t backlog_at;        /* of these, those before it are on their way */
    struct netback_grants grants;
};

/* What a batch of copies is made of; private. */
struct netback_moves {
    uint8_t *stage; /* NETBACK_STAGE bytes, and room for one more frame */
    uint32_t used;  /* of the stage */
    uint32_t count;
    struct xenpv_copy_entry copies[NETBACK_MOVES];
};

enum { NETBACK_MOVED = -1, NETBACK_FAILED = -2 };

/* A packet that was taken off a tx ring. */
struct netback_packet {
    struct xenpv_link_frame frame;
    uint32_t first;         /* of its slots, in ->answer */
    uint32_t slots, extras; /* extras stand behind the first slot */
    uint32_t moves, moves_end;
    int16_t status;                   /* enum xenpv_netif_status */
    bool large;                       /* it came with a GSO extra info */
    struct xenpv_netif_extra message; /* about multicast, in place of a frame; type 0: none */
};

struct netback_tx {
    uint32_t slots, packets;
    struct netback_packet packet[NETBACK_RING];
    struct xenpv_netif_tx_request part[NETBACK_RING]; /* of one packet */
    struct xenpv_netif_tx_response answer[NETBACK_RING];
};

/* An rx response that waits for its copy. */
struct netback_answer {
    struct netback_queue *queue;
    uint32_t words[2];
    int32_t move;
};

struct netback_rx {
    uint32_t count;
    struct netback_answer answer[NETBACK_MOVES];
};

/* What the control ring has set. */
struct netback_hash {
    uint32_t algorithm, types, key_bytes, entries;
    uint8_t key[XENPV_FLOW_KEY];
    uint8_t mapping[NETBACK_MAPPING]; /* queues */
};

struct netback_mcast {
    bool wanted; /* the frontend asked for the filter */
    uint32_t count;
    uint8_t address[NETBACK_MCAST][6];
};

/* What the store says while connected, and is told. */
struct netback_live {
    bool entered; /* since the frontend is connected */
    bool watching, started, again;
    bool carrier;      /* as it was last written */
    bool reconfigured; /* 8 is our state in the store, not 4 */
    uint32_t frontend; /* its state, as last acted upon */
    uint64_t retry_at;
    char watched[XENPV_STORE_PATH_MAX + 32];
    struct xenpv_store_batch batch;
    struct xenpv_store_op ops[5], *place[5];
    char text[5][24];
};

struct netback_rate {
    int64_t left; /* bytes; may be overdrawn by one packet */
    uint64_t bytes, window_ms, until;
    uint32_t first; /* queue to be served: the one behind that which has used up the last window */
};

struct xenpv_netback {
    struct xenpv_bus bus;
    struct xenpv_netback_config config;
    const struct xenpv_port *port;
    const struct xenpv_link *link;
    uint32_t offers; /* enum xenpv_net_feature */
    struct xenpv_netback_stats stats;
    uint64_t now;
    uint32_t steps, busy_steps;
    uint32_t shuffle;
    bool link_more; /* the link may have more frames */

    /* What the frontend asked for. */
    uint32_t takes;  /* of SG, CSUM4, CSUM6, GSO4, GSO6, RX_NOTIFY: it takes such from us */
    uint32_t prefix; /* of GSO4, GSO6: in the way of old frontends */
    uint32_t headroom;
    uint32_t asked_queues;
    uint32_t queues;     /* that are attached: rings mapped and event channels bound ... */
    uint32_t generation; /* ... in this one of the port's */
    uint32_t next_queue; /* for frames that say nothing of a flow */
    bool has_control, control_more; /* there is one; it must be looked at again */
    struct netback_end control;

    struct netback_hash hash;
    struct netback_mcast mcast;
    struct netback_live live;
    struct netback_rate rate;
    struct netback_moves moves;
    struct netback_tx tx;
    struct netback_rx rx;

    struct xenpv_key_value own[NETBACK_OWN], answer[NETBACK_ANSWERS], asked[NETBACK_ASKED];
    struct xenpv_store_op ops[NETBACK_ROOM + XENPV_BUS_ROWS];
    struct xenpv_bus_row rows[NETBACK_ROOM + XENPV_BUS_ROWS];
    struct netback_queue queue[];
};

static inline bool netback_offers(const struct xenpv_netback *back, uint32_t feature)
{
    return (back->offers & feature) == feature;
}

/* Its rate lets nothing more through for the time being. */
static inline bool netback_overdrawn(const struct xenpv_netback *back)
{
    return back->rate.bytes && back->rate.left <= 0;
}

/* _connect.c */
extern const struct xenpv_bus_driver netback_driver;
/* Unmaps and closes all that the frontend shares. */
void netback_detach(struct xenpv_netback *back);

/* _keys.c */
extern const struct xenpv_key netback_own_keys[NETBACK_OWN];
extern const struct xenpv_key netback_answer_keys[NETBACK_ANSWERS];
void netback_clean(void *owner);
int netback_put_offer(struct xenpv_netback *back);
/* Judges the answer, then asks for the keys of one queue a round. */
int netback_more(void *owner, uint32_t round);
/* Fails the connection over a number that stands in the store as `name`; queue KEY_ALONE: of none.
 */
int netback_refuse_key(struct xenpv_netback *back, uint32_t queue, const char *name, int error,
                       uint32_t found, const char *step, const char *expected);
/* Takes "BYTES,MICROSECONDS"; anything else is no bound. */
void netback_set_rate(struct xenpv_netback *back, const char *text);

/* _live.c: follows and tells what changes while connected; stops that; when to look again. */
void netback_live_step(struct xenpv_netback *back);
void netback_live_drop(struct xenpv_netback *back);
uint64_t netback_live_deadline(const struct xenpv_netback *back);

/* _tx.c, _rx.c, _control.c: what is on the rings, at most one ring of each. */
void netback_serve_tx(struct xenpv_netback *back, struct netback_queue *q);
void netback_serve_rx(struct xenpv_netback *back);
void netback_serve_control(struct xenpv_netback *back);
/* A queue could be given a frame: it has none that waits. */
bool netback_any_free(const struct xenpv_netback *back);
/* The frontend wants frames to that multicast address. */
bool netback_mcast_wanted(const struct xenpv_netback *back, const uint8_t address[6]);

/* netback.c: fails the connection over a ring whose producer index lies; `queue` KEY_ALONE: the
 * control ring. */
void netback_overrun(struct xenpv_netback *back, uint32_t queue, const struct xenpv_ring *ring,
                     uint32_t available);
/* Shows answers, and notifies if that was asked for. */
void netback_publish(struct xenpv_netback *back, struct netback_end *end);

/* _prepare.c: from the next frame of the link to what the frontend takes: the same, or segments. */
struct netback_prepared {
    struct xenpv_link_frame whole, frame; /* as it came; the next segment */
    struct offload_cut cut;
    bool cutting;
    uint32_t queue;
};
/* Judges a frame of the link. False: it is not for this frontend, and counted. */
bool netback_prepare(struct xenpv_netback *back, struct netback_prepared *prepared);
/* Of one that is to be cut: true: ->frame is the next segment for queue ->queue, made at `room`. */
bool netback_next(struct xenpv_netback *back, struct netback_prepared *prepared, uint8_t *room);

/*
 * _move.c: moves up to a page between private memory and the frontend's; now, or with the batch.
 * NETBACK_MOVED, NETBACK_FAILED, or the number of the copy in the batch, which must have room.
 */
int32_t netback_move(struct xenpv_netback *back, struct netback_queue *q,
                     const struct xenpv_copy_entry *copy);
/* Carries out what is left for the batch; then each copy's status stands, until the next move. */
void netback_flush(struct xenpv_netback *back);
/* The same for one page, at once, whatever queue. */
bool netback_fetch(struct xenpv_netback *back, uint32_t ref, void *to, uint32_t bytes);

/* _grants.c */
uint32_t netback_add_grants(struct xenpv_netback *back, const uint32_t data[3]);
uint32_t netback_remove_grants(struct xenpv_netback *back, const uint32_t data[3],
                               uint32_t *removed);
void netback_drop_grants(struct xenpv_netback *back, struct netback_queue *q);
/* The page of that reference, if it is kept mapped, and writable where that is needed; or NULL. */
uint8_t *netback_find_grant(const struct netback_queue *q, uint32_t ref, bool writable);

#endif
