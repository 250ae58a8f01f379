/* SPDX-License-Identifier: MIT */
/*
 * A network device and its queues, from inside.
 *
 *   net.c           the device: what the bus and the program's control thread ask of it
 *   net_keys.c      what is read from the store, judged, negotiated and told
 *   netq_control.c  the queue, as the control thread sets it up and takes it down
 *   netq.c          the queue: opening, waiting, stopping
 *   netq_tx.c       sending
 *   netq_rx.c       receiving
 *   netctl.c        the control ring; netctl_grants.c what keeps buffers mapped by its means
 *   net_announce.c  addresses, and the frames that announce them
 */
#ifndef XENPV_NET_DEVICE_H
#define XENPV_NET_DEVICE_H

#include <xenpv/net.h>
#include <xenpv/ring.h>

#include "arena.h"
#include "gate.h"
#include "inline.h"

#define NET_QUEUES_MAX     64u
#define NET_SLOTS          256u /* of a tx or rx ring, which has one page */
#define NET_RX_BUFFERS_MAX 4096u
#define NET_HEADROOM_MAX   32767u
#define NET_MTU            1500u
#define NET_RING_PAGES     2u   /* of a queue's arena: tx ring, rx ring, then the buffers */
#define NET_PULL           128u /* bytes of a frame that its first slot has: all headers */

/* ---- a queue --------------------------------------------------------------------------------- */

/*
 * A request on the tx ring; its number is the request's id and the number of its page. Those of one
 * packet lead to the first of them. An extra info has a slot on the ring, but none of these.
 */
struct net_tx {
    uint32_t index; /* where on the ring it was put */
    uint16_t head;  /* the first request of the packet */
    uint16_t left;  /* of a head: requests of the packet without an answer; else 0 */
    bool used;
    int32_t status; /* of a head */
    void *user;     /* of a head */
};

/* Where the reading of a frame has got to. */
enum net_rx_state {
    RX_FIRST, /* the next response begins a frame */
    RX_EXTRA, /* ... is an extra info */
    RX_DATA,  /* ... is the next fragment */
    RX_OVER,  /* the backend broke the protocol: nothing is read any more */
};

struct xenpv_netq {
    struct gate gate;
    uint32_t connections; /* control counts up before it opens */

    /* Set up by control while the queue is not open. */
    const struct xenpv_port *port;
    struct arena arena;
    struct arena shared;
    uint32_t tx_buffers, rx_buffers, shared_pages;
    uint32_t features; /* enum xenpv_net_feature: in use for sending ... */
    uint32_t receives; /* ... and told to the backend */
    uint16_t number, backend_id;
    bool poll_mode, trusted;
    uint32_t ports;         /* event channels: 0, 1 or with SPLIT 2 */
    uint32_t event_port[2]; /* of tx, of rx; the same one without SPLIT */
    uint32_t generation;    /* of which the ports are */
    uint32_t max_frame;

    /* The queue's thread; control only while the queue is not open. */
    int32_t why; /* what packets end with since it was halted; 0: it was not */
    struct {
        struct xenpv_ring ring;
        uint8_t *memory;      /* of the buffers, page by page ... */
        const uint32_t *refs; /* ... and what grants each */
        uint32_t free;        /* how many of `numbers` are free: the first ones */
        uint32_t extras;      /* slots of extra infos without an answer */
        uint32_t accepted, delivered;
        uint32_t ended; /* of `done`, not handed out: packets of a connection that is over */
        uint16_t numbers[NET_SLOTS];
        struct net_tx slot[NET_SLOTS];
        struct xenpv_completion done[NET_SLOTS];
    } tx;
    struct {
        struct xenpv_ring ring;
        uint8_t *memory;             /* of the buffers, page by page ... */
        const uint32_t *refs;        /* ... and what grants each */
        uint32_t free;               /* how many of `pages` are free: the first ones */
        uint32_t frames;             /* with the caller */
        uint8_t state;               /* enum net_rx_state */
        bool failed;                 /* the frame that is being read is to be dropped */
        bool failure;                /* the backend said so */
        bool more;                   /* its data goes on after the extra infos */
        bool told;                   /* an extra info says of which protocol it is */
        uint16_t headroom;           /* that its extra infos tell */
        uint16_t on_ring[NET_SLOTS]; /* the page in each slot */
        uint16_t *pages;
        struct xenpv_net_frame frame; /* that is being read */
    } rx;
    struct xenpv_netq_stats stats;
};

/* Where buffer `number` of either half lies. */
static inline uint8_t *net_buffer(uint8_t *memory, uint32_t number)
{
    return memory + (size_t)number * XENPV_PAGE_SIZE;
}

/* xenpv_ring_next_out and _next_in for rings whose sizes are known here. */
ALWAYS_INLINE uint32_t *net_next_out(struct xenpv_ring *ring, uint32_t slot_size)
{
    size_t index = ring->prod++ & (NET_SLOTS - 1);

    return (uint32_t *)(void *)(ring->slots + slot_size * index);
}

ALWAYS_INLINE const uint32_t *net_next_in(struct xenpv_ring *ring, uint32_t slot_size)
{
    size_t index = ring->cons++ & (NET_SLOTS - 1);

    return (const uint32_t *)(const void *)(ring->slots + slot_size * index);
}

/* ---- control's side: netq_control.c ---------------------------------------------------------- */

/* How much of everything a configuration needs. */
size_t netq_memory(const struct xenpv_net_config *config);
void netq_init(struct xenpv_netq *q, const struct xenpv_net_config *config, uint32_t number,
               void *memory);

/* What a connection is like, for each of its queues. */
struct netq_connection {
    uint32_t features, receives, max_frame;
    uint16_t backend_id;
    bool trusted;
};

/* Shares the rings and the rest, and makes the event channels; after an error netq_release is
 * called. */
int netq_share(struct xenpv_netq *q, const struct netq_connection *connection);

/* Opens the queue for its thread, with buffers on the rx ring. */
void netq_open(struct xenpv_netq *q);

/* Ends the grants and the channels. 0 or XENPV_EBUSY. */
int netq_release(struct xenpv_netq *q);
void netq_abandon(struct xenpv_netq *q, bool suspended);

/* Pages that a backend never gave back. */
uint32_t netq_abandoned(const struct xenpv_netq *q);

/* ---- the queue's thread: netq.c, netq_tx.c, netq_rx.c ---------------------------------------- */

/* Records a violation, and halts the queue. */
void netq_violated(struct xenpv_netq *q, uint32_t check, uint32_t index, uint64_t value);

/* Does what control has asked for, where it is not simply to run. True: the queue is open. */
bool netq_obey_stop(struct xenpv_netq *q, enum gate_state state, enum gate_stop stop);

/* The same. A `stop` of before is not believed once the queue is open again: `parked` is read
 * first. */
ALWAYS_INLINE bool netq_obey(struct xenpv_netq *q)
{
    enum gate_state state = (enum gate_state)xenpv_load_acquire(&q->gate.parked);
    enum gate_stop stop = (enum gate_stop)xenpv_load_acquire(&q->gate.stop);

    if (state == GATE_OPEN && stop == GATE_RUN && !q->why)
        return true;
    return netq_obey_stop(q, state, stop);
}

/* What a call answers that had nothing to hand out: 0, or XENPV_EPARKED. */
int netq_nothing(struct xenpv_netq *q, bool open);

/* Shows what is on a ring, and notifies if that is asked for. */
static inline void netq_publish(const struct xenpv_netq *q, struct xenpv_ring *ring, uint32_t half)
{
    if (xenpv_ring_publish(ring))
        q->port->event->notify(q->port->ctx, q->event_port[half]);
}

/* Ends every packet that has no answer: to be polled. */
void netq_tx_end_all(struct xenpv_netq *q, int status);

/* Puts free pages on the rx ring, as far as there is room; shows nothing. */
void netq_rx_fill(struct xenpv_netq *q);

/* ---- the control ring ------------------------------------------------------------------------ */

/* Pages of the arena, behind the ring: one for each message, the last for the library's own. */
#define NETCTL_PAGES (XENPV_NETCTL_REQUESTS + 1)
#define NETCTL_OWN   XENPV_NETCTL_REQUESTS

/* A message that was sent, or has been answered; its number is the message's id. */
struct netctl_slot {
    bool asked; /* no answer has come: its page may still be read */
    bool ended; /* answered, too late or given up: a reply is to be polled */
    bool own;   /* the library's, for static grants: nobody polls it */
    uint16_t type;
    int32_t status;
    uint32_t data, count;
    uint64_t deadline; /* 0: it has passed, and that was told */
    void *user;
};

struct netctl {
    struct arena arena;
    uint32_t refs[1 + NETCTL_PAGES];
    struct xenpv_ring ring;
    bool has_port, open;
    uint32_t event_port, generation;
    struct netctl_slot slot[NETCTL_PAGES];
    /* Static grants: whose pages are told to the backend, and how far that has got. */
    struct {
        uint32_t queue;      /* the present one; info.queues: all is done */
        bool asked;          /* how many it takes */
        bool under_way;      /* a message of the library's own */
        uint32_t most, told; /* pages of the present queue */
        uint32_t total;      /* of all queues */
    } grants;
};

/* ---- what the store says: net_keys.c --------------------------------------------------------- */

enum {
    NET_OWN_HANDLE,
    NET_OWN_NOTHING = NET_OWN_HANDLE, /* in the table of features: the frontend has no such key */
    NET_OWN_TRUSTED,
    NET_OWN_RX_COPY,
    NET_OWN_SG,
    NET_OWN_NO_CSUM4,
    NET_OWN_CSUM6,
    NET_OWN_GSO4,
    NET_OWN_GSO6,
    NET_OWN_QUEUES,
    NET_OWN_MULTICAST,
    NET_OWN_HEADROOM,
    NET_OWN_COUNT
};

/* Published before the backend's state 2, in the order of the negotiations. */
enum {
    NET_OFFER_RX_COPY,
    NET_OFFER_SG,
    NET_OFFER_NO_CSUM4,
    NET_OFFER_CSUM6,
    NET_OFFER_GSO4,
    NET_OFFER_GSO6,
    NET_OFFER_SPLIT,
    NET_OFFER_QUEUES,
    NET_OFFER_CONTROL,
    NET_OFFER_MULTICAST,
    NET_OFFER_DYNAMIC,
    NET_OFFER_HEADROOM,
    NET_OFFER_COUNT
};

/* May change at any time. */
enum { NET_ANSWER_CARRIER, NET_ANSWER_COUNT };
enum { NET_LIVE_MAC, NET_LIVE_MTU, NET_LIVE_SPEED, NET_LIVE_DISCONNECT, NET_LIVE_COUNT };

extern const struct xenpv_key net_own_keys[NET_OWN_COUNT];
extern const struct xenpv_key net_offer_keys[NET_OFFER_COUNT];
extern const struct xenpv_key net_answer_keys[NET_ANSWER_COUNT];
extern const struct xenpv_key net_live_keys[NET_LIVE_COUNT];

struct xenpv_net {
    struct xenpv_bus bus;
    struct xenpv_net_config config;
    struct xenpv_net_info info;
    struct xenpv_key_value own[NET_OWN_COUNT], offer[NET_OFFER_COUNT];
    struct xenpv_key_value answer[NET_ANSWER_COUNT], live[NET_LIVE_COUNT];
    uint32_t queues; /* of this connection, 0: not chosen yet */
    bool opened;     /* the queues were handed to their threads */
    struct net_wishes {
        uint32_t headroom;
        bool filter; /* multicast frames */
    } asked, told;   /* by the program; and of that to the backend of this connection */
    struct netctl ctl;
    struct xenpv_netq *queue; /* config.queues of them */
};

/* Features for sending, and for what the backend may send: enum xenpv_net_feature. */
uint32_t net_features(const struct xenpv_net *net);
uint32_t net_receives(const struct xenpv_net *net);

/* How many queues, out of what is offered. */
uint32_t net_queues(const struct xenpv_net *net);

bool net_trusted(const struct xenpv_net *net);

/* Fails the device if the backend cannot be used. */
int net_judge(struct xenpv_net *net);

/* Takes what was published into `info`, as far as it makes sense. */
void net_take_info(const struct xenpv_net *net, struct xenpv_net_info *info);

/* ---- the control ring: netctl.c -------------------------------------------------------------- */

void netctl_init(struct xenpv_net *net);

/* Shares the ring, and makes its channel; after an error netctl_release is called. */
int netctl_share(struct xenpv_net *net);
/* Opens it, and begins with the static grants. */
void netctl_open(struct xenpv_net *net, uint64_t now);

/* Takes answers, and ends what is late. */
void netctl_step(struct xenpv_net *net, uint64_t now);
uint64_t netctl_deadline(const struct xenpv_net *net, uint64_t now);

/* Ends everything with the reason. */
void netctl_stop(struct xenpv_net *net, int reason);
int netctl_release(struct xenpv_net *net);
void netctl_abandon(struct xenpv_net *net, bool suspended);

/* Sends a message of the library's own, whose answer comes to netctl_granted. False: no room. */
bool netctl_send_own(struct xenpv_net *net, const struct xenpv_netctl_request *request,
                     uint64_t now);

/* ---- static grants: netctl_grants.c ---------------------------------------------------------- */

/* Writes a list of pages: `first` counts through rx buffers, tx buffers, shared pages. False: there
 * are not so many. */
bool netctl_list(const struct xenpv_net *net, uint32_t queue, uint32_t first, uint32_t count,
                 uint32_t *list);

/* Asks and tells the next thing there is to ask or tell. */
void netctl_grant(struct xenpv_net *net, uint64_t now);
/* Counts what an answer to anybody's message has added or removed. */
void netctl_count(struct netctl *ctl, const struct netctl_slot *slot);
/* The answer. */
void netctl_granted(struct xenpv_net *net, const struct netctl_slot *slot);

#endif
