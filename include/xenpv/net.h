/* SPDX-License-Identifier: MIT */
/*
 * The network frontend: one vif of a Xen guest, its frames sent and received over netif rings
 * (xen/include/public/io/netif.h).
 *
 * It never sleeps, allocates or reads a clock. A program drives it from two places, which may be
 * one thread or several:
 *
 *   control  xenpv_net_*, xenpv_netctl_*: connect, step, close, and the control ring. One thread
 *            per device. Step whenever the port's store wait handle, or that of the control ring
 *            (xenpv_netctl_wait_handle), is signalled, and at xenpv_net_deadline().
 *   queues   xenpv_netq_*: send, submit, poll, receive, return, arm. One thread per queue, with its
 *            tx and its rx half, from the moment the device is CONNECTED until poll or receive has
 *            answered XENPV_EPARKED. Queues share nothing, and take no lock.
 *
 * Threads that sleep must wake each other: who calls xenpv_net_close, or sees the state change,
 * wakes the queues' threads, so that they poll; a queue's thread that is answered XENPV_EPARKED, or
 * 0 while it is held (xenpv_netq_held), wakes control, so that it steps. Until every queue has been
 * polled to XENPV_EPARKED the device cannot end, and no new connection may be started.
 *
 * A received frame is handed over in the pages that the backend wrote it to, and they are the
 * caller's until he returns them (xenpv_netq_return). Only then can the queue stop, the device end,
 * or a lost connection return.
 *
 * Frames are sent at best effort, as on any Ethernet. A connection that is lost (the backend
 * restarts or its domain dies, the guest is suspended) is made anew, config.recover_ms long. What
 * was sent and not answered ends with XENPV_EPEER: it may or may not have gone out. Nothing is sent
 * again. Nobody on the wire knows that the vif has moved until it speaks: when
 * xenpv_netq_connections has grown, send what xenpv_net_announce_* compose. What the control ring
 * had set, and multicast addresses, are to be set again.
 *
 * The backend is not trusted. Whatever it does, memory that it may still reach is not used for
 * anything else, what it says is bounded before it is believed, and each packet ends exactly once.
 * What is in a frame is the network's, and may change as long as the pages are not returned if the
 * backend breaks the protocol: copy before deciding on it.
 */
#ifndef XENPV_NET_H
#define XENPV_NET_H

#include <xenpv/abi/netif.h>
#include <xenpv/bus.h>
#include <xenpv/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_net;
struct xenpv_netq;

/*
 * What is negotiated with the backend, as bits. Any of it can be left unused (config.without), both
 * for what is sent and for what the backend may send, and is, where the backend does not offer it.
 * GSO needs SG and the checksum offload of its protocol: without these it is not used either.
 */
enum xenpv_net_feature {
    XENPV_NET_SG = 1u << 0,             /* feature-sg: frames of more than one page */
    XENPV_NET_CSUM4 = 1u << 1,          /* feature-no-csum-offload 0: blank checksums over IPv4 */
    XENPV_NET_CSUM6 = 1u << 2,          /* feature-ipv6-csum-offload: the same over IPv6 */
    XENPV_NET_GSO4 = 1u << 3,           /* feature-gso-tcpv4: large TCP packets over IPv4 */
    XENPV_NET_GSO6 = 1u << 4,           /* feature-gso-tcpv6: the same over IPv6 */
    XENPV_NET_RX_NOTIFY = 1u << 5,      /* feature-rx-notify, ours alone: the backend is told of new
                                         buffers if it asks for it */
    XENPV_NET_SPLIT = 1u << 6,          /* feature-split-event-channels: one for tx, one for rx */
    XENPV_NET_MULTI_QUEUE = 1u << 7,    /* multi-queue-max-queues */
    XENPV_NET_CONTROL = 1u << 8,        /* feature-ctrl-ring: xenpv_netctl_* works */
    XENPV_NET_MULTICAST = 1u << 9,      /* feature-multicast-control: the backend has a filter */
    XENPV_NET_DYNAMIC = 1u << 10,       /* feature-dynamic-multicast-control: it can be switched */
    XENPV_NET_HEADROOM = 1u << 11,      /* feature-xdp-headroom, of Linux: space before the data */
    XENPV_NET_STATIC_GRANTS = 1u << 12, /* GET_GREF_MAPPING_SIZE is above 0: the backend keeps
                                           buffers mapped */
};
#define XENPV_NET_FEATURES 13u
/* "sg", "csum4", ..., "static-grants", by number of the bit; NULL beyond. Any thread. */
const char *xenpv_net_feature_name(uint32_t bit);

struct xenpv_net_config {
    uint32_t size; /* sizeof(struct xenpv_net_config), set by xenpv_net_config_init */
    const struct xenpv_port *port; /* outlives the device */
    const char *path;              /* frontend directory, e.g. "device/vif/0"; copied */
    uint32_t queues;               /* at most, as the backend allows, 1..64; initially 1 */
    uint32_t tx_buffers;   /* of a queue: pages to send from, a request each, 18..256; initially
                              256, as many as the ring has slots */
    uint32_t rx_buffers;   /* of a queue: pages to receive into, on the ring or with the caller,
                              18..4096; initially 256 */
    uint32_t shared_pages; /* of a queue: for xenpv_netq_shared, 0..65536; initially 0 */
    uint32_t connect_ms;   /* until CONNECTED, 0: for ever; initially 30,000 */
    uint32_t close_ms;     /* for each step of closing, 0: for ever; initially 5,000 */
    uint32_t recover_ms;   /* for a lost connection to return, 0: it is not awaited; initially
                              30,000 */
    uint32_t control_ms;   /* for an answer on the control ring, and to a change of the headroom,
                              0: for ever; initially 5,000 */
    uint32_t without;      /* enum xenpv_net_feature: not to be used; initially 0 */
    uint32_t headroom;     /* bytes before the data of each received fragment that the backend is
                              asked to leave, where it can, 0..32767; initially 0 */
    bool multicast;        /* the backend, if it has a filter, passes on no multicast frames but
                              those that were asked for (xenpv_netq_multicast); initially false */
    bool poll;             /* never receive events: xenpv_netq_arm is not used; initially false. The
                              queue's calls then touch nothing of the port but event->notify */
};

/* Fills in every field. Any thread. */
void xenpv_net_config_init(struct xenpv_net_config *config, const struct xenpv_port *port,
                           const char *path);

/* Bytes a device of this configuration needs; 0 when it is invalid. */
size_t xenpv_net_size(const struct xenpv_net_config *config);

/*
 * Makes a device in `memory`, of xenpv_net_size bytes at a multiple of 16. Nothing is read, written
 * or shared. To free it, close it until it is CLOSED or FAILED, then free the memory: nothing else
 * stays. XENPV_EINVAL: a field is out of its range.
 */
int xenpv_net_init(void *memory, const struct xenpv_net_config *config, struct xenpv_net **net);

enum xenpv_net_state {
    XENPV_NET_IDLE,       /* not connected yet */
    XENPV_NET_CONNECTING, /* step until it is CONNECTED or FAILED */
    XENPV_NET_CONNECTED,
    XENPV_NET_RECOVERING, /* the connection was lost: step until it is CONNECTED or FAILED */
    XENPV_NET_CLOSING,    /* step, and poll every queue */
    XENPV_NET_CLOSED,     /* closed as asked, or inspected */
    XENPV_NET_FAILED,     /* closed because of xenpv_net_detail(); connect may be called again */
};

enum xenpv_net_state xenpv_net_state(const struct xenpv_net *net);

/*
 * Starts to connect, from IDLE, CLOSED or FAILED; a connection that a previous owner left is led
 * down first. `now` is any clock in milliseconds that never goes back, the same in all calls.
 * XENPV_EBUSY: it is connected, or on the way to or from it, or a queue has not been polled since
 * it was stopped. XENPV_ENOTSUP: the port has no grant or event calls; looking is all it can do.
 * A backend without feature-rx-copy is refused: the device FAILS with XENPV_ENOTSUP.
 */
int xenpv_net_connect(struct xenpv_net *net, uint64_t now);

/*
 * Starts to look: reads what the backend offers and how both ends stand, writes nothing, and ends
 * in CLOSED or FAILED. XENPV_EBUSY as above.
 */
int xenpv_net_inspect(struct xenpv_net *net, uint64_t now);

/*
 * Starts to close, from any state; from IDLE it is CLOSED at once. Queues take nothing new; what
 * they have accepted is finished, as long as their thread keeps polling; then the backend is asked
 * to let go.
 */
void xenpv_net_close(struct xenpv_net *net, uint64_t now);

/* Does what can be done now, in bounded time, and returns the state. */
enum xenpv_net_state xenpv_net_step(struct xenpv_net *net, uint64_t now);

/* When to step again at the latest; UINT64_MAX: when a wait handle is signalled. */
uint64_t xenpv_net_deadline(const struct xenpv_net *net);

/* Why it FAILED; ->error is 0 when it did not. Valid until the next connect. */
const struct xenpv_detail *xenpv_net_detail(const struct xenpv_net *net);

/* Pages that a backend never gave back; they cannot be used again. */
uint32_t xenpv_net_abandoned(const struct xenpv_net *net);

/*
 * The vif. What the keys say of it (mac, mtu, speed, carrier) is followed while it is connected,
 * and shown here after a step; after xenpv_net_inspect as far as it was published.
 */
struct xenpv_net_info {
    uint8_t mac[6];     /* `mac`; zero when there is none */
    bool has_mac;       /* it is there, and makes sense */
    bool carrier;       /* the link is up: not `carrier` 0 of the backend, nor `disconnect` 1 */
    uint32_t mtu;       /* `mtu`, 68..65535; 1500 when it says nothing else */
    uint64_t speed;     /* `speed` in bits per second; 0 when it is not told */
    uint32_t max_frame; /* bytes that xenpv_netq_send takes: 65,535, or 4,096 without SG */
    uint32_t features;  /* enum xenpv_net_feature: in use */
    uint32_t receives;  /* of these, what the backend was told that it may send: SG, CSUM, GSO */
    uint32_t queues;    /* in use */
    uint32_t headroom;  /* bytes that the backend was asked for */
    bool multicast;     /* the backend filters */
    bool trusted; /* the key `trusted`; if not, the backend sees nothing but the data itself */
    uint32_t static_grants; /* buffers of all queues that the backend keeps mapped */
    uint32_t connections;   /* how often it has been connected */
    uint16_t backend_id;    /* domain of the backend */
    uint32_t frontend_state, backend_state;   /* enum xenpv_bus_state, as last seen */
    const char *frontend_path, *backend_path; /* as long as the device lives */
    const char *handle;                       /* `handle`, or "" */
};
void xenpv_net_info(const struct xenpv_net *net, struct xenpv_net_info *info);

#define XENPV_NET_NEGOTIATIONS 12u
/*
 * Fills `out` and returns XENPV_NET_NEGOTIATIONS. Control thread; the texts live as long as the
 * device.
 */
uint32_t xenpv_net_negotiation(const struct xenpv_net *net,
                               struct xenpv_negotiation out[XENPV_NET_NEGOTIATIONS]);

/*
 * Asks the backend to filter multicast frames from now on, or to stop that; also for connections to
 * come. XENPV_ENOTSUP: connected, and not XENPV_NET_DYNAMIC: only connections to come.
 */
int xenpv_net_set_multicast(struct xenpv_net *net, bool filter);

/*
 * Asks the backend for another headroom, 0..32767 bytes, from now on; also for connections to come.
 * It is in info.headroom once the backend has agreed (own state 7, its state 8).
 * XENPV_EINVAL; XENPV_ENOTSUP: connected, and not XENPV_NET_HEADROOM; XENPV_EBUSY: the last change,
 * or that of the filter, is under way.
 */
int xenpv_net_set_headroom(struct xenpv_net *net, uint32_t bytes);

/* ------------------------------------------------------------------------------------ queues -- */

/*
 * The queue of that number; NULL from config.queues on. Those from info.queues on stay parked. Any
 * thread, from xenpv_net_init on. A frame may be sent on any, and be received on any: which flow
 * takes which is the sender's choice (xenpv/flow.h), so that its frames keep their order.
 */
struct xenpv_netq *xenpv_net_queue(struct xenpv_net *net, uint32_t number);

enum xenpv_net_checksum {
    XENPV_NET_CSUM_AS_IS, /* the frame stands as it is; nobody vouches for it */
    XENPV_NET_CSUM_GOOD,  /* the checksum of TCP or UDP is there, and right */
    XENPV_NET_CSUM_BLANK, /* only that of the pseudo header is there; who puts the frame on a wire
                             has to make it, who takes it here need not verify it */
};

/* What is told beside the bytes of a frame, the same for both directions. All zero: nothing. */
struct xenpv_net_offload {
    uint8_t checksum;  /* enum xenpv_net_checksum */
    bool ipv6;         /* of a blank checksum and of mss: over IPv6, else over IPv4 */
    uint16_t mss;      /* a large TCP packet, to be cut into segments of so many bytes of payload;
                         0: it is not. Implies a blank checksum */
    bool hashed;       /* the next three say something */
    uint8_t hash_type; /* enum xenpv_netif_hash */
    uint8_t hash_algorithm; /* enum xenpv_netif_algorithm */
    uint32_t hash;
};

#define XENPV_NET_FRAME_MIN 60u /* bytes without checksum; shorter ones are padded with zeroes */
#define XENPV_NET_IOV_MAX   64u /* elements of a packet's vector */

struct xenpv_net_packet {
    const struct xenpv_iov *iov; /* the frame, from the destination address to the last byte */
    uint32_t count;
    struct xenpv_net_offload offload;
};

/*
 * Queues a packet. What lies in the queue's shared pages (xenpv_netq_shared) is sent from there and
 * must not change until the packet's completion has been polled, but for the first 128 bytes of the
 * frame, which may be copied, and packets that would take too many slots; all else is copied at
 * once. Nothing is shown to the backend before xenpv_netq_submit, and none of the vector is used
 * after the call.
 *
 * XENPV_EFULL: no room now, or completions of a lost connection are to be polled first, or the
 * queue is held: submit, poll, try again. XENPV_EPARKED: the device is not connected any more.
 * XENPV_EINVAL: no bytes, more than XENPV_NET_IOV_MAX elements, or an offload that makes no sense.
 * XENPV_E2BIG: more bytes than info.max_frame, or more pages than config.tx_buffers.
 * XENPV_ENOTSUP: the backend does not take such an offload.
 */
int xenpv_netq_send(struct xenpv_netq *q, const struct xenpv_net_packet *packet, void *user);

/*
 * Queues a message that puts a multicast address into the backend's filter, or takes it out; no
 * frame is sent. Its completion: 0, or XENPV_EIO: the filter is full. Errors as of send;
 * XENPV_ENOTSUP: not XENPV_NET_MULTICAST.
 */
int xenpv_netq_multicast(struct xenpv_netq *q, const uint8_t address[6], bool add, void *user);

/*
 * The queue's config.shared_pages pages, which the backend reads itself: frames in them are sent
 * without a copy. Zeroed at each connection; the address is good until the next xenpv_netq_poll or
 * _receive, and NULL while the queue is held or parked.
 */
void *xenpv_netq_shared(struct xenpv_netq *q);

/* Shows the backend what was queued, and notifies it if it asked to be. */
void xenpv_netq_submit(struct xenpv_netq *q);

/*
 * Takes packets that have ended, in any order, at most `max`. Returns how many, or XENPV_EPARKED:
 * the queue is not, or no longer, in use and no completion is left. A packet's status is 0: the
 * backend took it; XENPV_EIO: it found fault with it; XENPV_EFULL: it dropped it;
 * XENPV_EPEER, XENPV_EBROKEN, XENPV_ESTALE, XENPV_ETIMEDOUT: the connection went first, and it may
 * or may not have gone out.
 */
int xenpv_netq_poll(struct xenpv_netq *q, struct xenpv_completion *out, uint32_t max);

#define XENPV_NET_FRAGMENTS 18u

/* A received frame. */
struct xenpv_net_frame {
    uint32_t length;   /* bytes, 1..65535 */
    uint16_t count;    /* fragments */
    uint16_t headroom; /* bytes before each fragment that are the caller's to write to, too */
    struct xenpv_net_offload offload;
    struct xenpv_iov fragment[XENPV_NET_FRAGMENTS]; /* in order; the memory is the caller's to read
                                                       and write until it is returned */
};

/*
 * Takes frames that have arrived, at most `max`, in order; of each only those fragments are written
 * that there are. Gives the backend new buffers in place of those that were returned. Returns how
 * many, or XENPV_EPARKED: the queue is not, or no longer, in use.
 *
 * A frame of which the backend said that it failed, of more than XENPV_NET_FRAGMENTS fragments or
 * 65,535 bytes, or without bytes, is dropped as a whole and counted (xenpv_netq_stats).
 */
int xenpv_netq_receive(struct xenpv_netq *q, struct xenpv_net_frame *out, uint32_t max);

/* Gives back the pages of a frame as it was handed over. In any order, any time, from the queue's
 * thread. */
void xenpv_netq_return(struct xenpv_netq *q, const struct xenpv_net_frame *frame);

/* Frames handed over and not returned; while there are any the queue cannot stop. */
uint32_t xenpv_netq_frames(const struct xenpv_netq *q);

enum xenpv_net_half { XENPV_NET_TX = 1, XENPV_NET_RX = 2 };

/*
 * Before waiting on the handles: asks the backend for an event, of one half or both (enum
 * xenpv_net_half, as bits): of tx, when about half of what is outstanding has ended; of rx, with
 * the next frame. 1: call again at once, for something has arrived already, was not submitted, or
 * the queue is to be parked; 0: wait. A handle is signalled until the next arm; where both halves
 * have the same, arming one answers 1 if it took an event that the other may have waited for. In
 * poll mode, and where the port has no handles, the answer is always 1; while the queue is held it
 * is 0, and there is no handle: wait for control.
 */
int xenpv_netq_arm(struct xenpv_netq *q, uint32_t halves);

/*
 * Readable or signalled when the backend has an event for an armed half of the queue; the same for
 * both without XENPV_NET_SPLIT. XENPV_NO_HANDLE when not connected.
 */
xenpv_handle xenpv_netq_wait_handle(const struct xenpv_netq *q, enum xenpv_net_half half);

/* Packets accepted and not yet polled. */
uint32_t xenpv_netq_pending(const struct xenpv_netq *q);

/* The connection was lost, and control makes it anew. */
bool xenpv_netq_held(const struct xenpv_netq *q);

/* How often the queue has been opened: once it has grown, the vif is to be announced again. */
uint32_t xenpv_netq_connections(const struct xenpv_netq *q);

/* What went wrong on a queue, since xenpv_net_init. */
struct xenpv_netq_stats {
    uint64_t tx_errors, tx_dropped; /* packets that the backend answered so */
    uint64_t rx_errors;             /* frames of which the backend said that they failed */
    uint64_t rx_dropped;            /* frames dropped here: too many fragments or bytes, or none */
};
void xenpv_netq_stats(const struct xenpv_netq *q, struct xenpv_netq_stats *stats);

/* ------------------------------------------------------------------------------ control ring -- */

/* A message on the control ring: enum xenpv_netif_ctrl_type, and what goes with it. */
struct xenpv_netctl_request {
    uint16_t type;
    uint32_t number;  /* SET_HASH_FLAGS: flags; SET_HASH_ALGORITHM: enum xenpv_netif_algorithm;
                         SET_HASH_MAPPING_SIZE: entries; *_GREF_MAPPING*: queue */
    const void *data; /* SET_HASH_KEY: bytes; SET_HASH_MAPPING: uint32_t queue numbers; copied */
    uint32_t count;   /* SET_HASH_KEY: bytes, 0..4096; SET_HASH_MAPPING: entries, 1..1024;
                         ADD_, DEL_GREF_MAPPING: pages, 1..512 */
    uint32_t first;   /* SET_HASH_MAPPING: the first entry set; ADD_, DEL_GREF_MAPPING: the first
                         page, counted through the queue's rx buffers, tx buffers, shared pages */
    void *user;
};

struct xenpv_netctl_reply {
    void *user;
    uint16_t type;
    int32_t status; /* 0; XENPV_ENOTSUP, XENPV_EINVAL, XENPV_E2BIG: as the backend answered (not
                       supported, invalid parameter, buffer overflow); XENPV_EIO: anything else;
                       XENPV_ETIMEDOUT: nothing within config.control_ms; XENPV_EPEER,
                       XENPV_EBROKEN, XENPV_ESTALE: the connection went first */
    uint32_t data;  /* of GET_* and DEL_GREF_MAPPING */
};

#define XENPV_NETCTL_REQUESTS 8u /* sent and not yet polled, at most */

/*
 * Sends a message. Answers come by xenpv_net_step, in any order. XENPV_ENOTSUP: not
 * XENPV_NET_CONTROL. XENPV_EPARKED: not connected. XENPV_EFULL: XENPV_NETCTL_REQUESTS of them, or
 * as many of before were never answered. XENPV_EINVAL.
 */
int xenpv_netctl_send(struct xenpv_net *net, const struct xenpv_netctl_request *request,
                      uint64_t now);

/* Takes messages that have ended, at most `max`; how many. */
uint32_t xenpv_netctl_poll(struct xenpv_net *net, struct xenpv_netctl_reply *out, uint32_t max);

/* Signalled when the backend has an event for the control ring; XENPV_NO_HANDLE: there is none. */
xenpv_handle xenpv_netctl_wait_handle(const struct xenpv_net *net);

/* ------------------------------------------------------------------------- addresses, frames -- */

/* True, and the address, when the text is six bytes as "00:16:3e:01:02:03". Any thread. */
bool xenpv_parse_mac(const char *text, uint8_t mac[6]);

/*
 * Composes the frame that tells the segment where an address is now: for IPv4 a gratuitous ARP
 * request (RFC 5227, 3), for IPv6 an unsolicited neighbour advertisement to all nodes with the
 * override flag (RFC 4861, 7.2.6). Returns its bytes. Any thread.
 */
#define XENPV_NET_ANNOUNCE_MAX 86u
uint32_t xenpv_net_announce_ipv4(uint8_t frame[XENPV_NET_ANNOUNCE_MAX], const uint8_t mac[6],
                                 const uint8_t address[4]);
uint32_t xenpv_net_announce_ipv6(uint8_t frame[XENPV_NET_ANNOUNCE_MAX], const uint8_t mac[6],
                                 const uint8_t address[16]);

#ifdef __cplusplus
}
#endif
#endif
