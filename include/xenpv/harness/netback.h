/* SPDX-License-Identifier: MIT */
/*
 * The network backend: joins one frontend's vif to a link, over any port with the map calls: the
 * mock, or a real guest. The frontend is not trusted: a request is read once, checked, and refused
 * or carried out, and so are its control messages.
 */
#ifndef XENPV_HARNESS_NETBACK_H
#define XENPV_HARNESS_NETBACK_H

#include <xenpv/harness/link.h>
#include <xenpv/net.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_netback;

struct xenpv_netback_config {
    uint32_t size;                 /* sizeof(struct xenpv_netback_config) */
    const struct xenpv_port *port; /* XENPV_CAP_MAP; outlives the backend. Without XENPV_CAP_COPY
                                      each page is mapped for the time of a copy */
    const char *path;              /* backend directory, e.g. "backend/vif/7/0"; copied */
    const struct xenpv_link *link; /* outlives the backend */
    struct xenpv_allocator allocator;
    /* What is offered at most. xenpv_netback_config_init sets all. */
    uint32_t without;       /* enum xenpv_net_feature: not offered; initially 0. Without SG, CSUM4
                               or CSUM6 there is no GSO of it either; DYNAMIC needs MULTICAST;
                               STATIC_GRANTS, and every hash, needs CONTROL. RX_NOTIFY is
                               feature-rx-notify, which says only that it is understood */
    uint32_t queues;        /* 1..64: multi-queue-max-queues; initially 4 */
    uint32_t static_grants; /* pages kept mapped per queue, 1..4096; initially 512 */
    uint32_t mapping; /* entries of the mapping from hashes to queues, 0..2048; initially 128 */
    /* How it copes. */
    uint32_t backlog;  /* bytes of frames that wait for buffers of one queue, a power of two,
                          262,144..2^26; initially 262,144. What does not fit is dropped */
    uint32_t drain_ms; /* what has waited so long is dropped; initially 10,000 */
    bool poll;         /* never ask the frontend for events, but to be stepped over and over;
                          initially false */
    /* For tests of frontends: what is legal, and not usual. Initially 0. */
    uint32_t shuffle; /* tx responses of a batch in an order that follows from this seed; 0: in that
                         of the requests */
    uint32_t defer;   /* rx is served in every (1 + defer)th step only; less than 2^32 - 1 */
};

/* Fills in every field. */
void xenpv_netback_config_init(struct xenpv_netback_config *config, const struct xenpv_port *port,
                               const char *path, const struct xenpv_link *link,
                               const struct xenpv_allocator *allocator);

/* XENPV_EINVAL, XENPV_ENOMEM, XENPV_ENOTSUP: the port cannot map. Nothing is published yet. */
int xenpv_netback_create(const struct xenpv_netback_config *config, struct xenpv_netback **back);

/* Frees a backend; close it first until ->step has answered DONE, or its mappings are dropped hard.
 */
void xenpv_netback_destroy(struct xenpv_netback *back);

/*
 * Offers the vif, and serves whatever frontend comes, one after the other. XENPV_EBUSY: it does.
 */
int xenpv_netback_start(struct xenpv_netback *back, uint64_t now);

/* Starts to close. */
void xenpv_netback_close(struct xenpv_netback *back, uint64_t now);

/*
 * Does what can be done now, at most one ring of each queue, one list of static grants and 256
 * frames of the link, and returns where the handshake stands. `now` is any clock in milliseconds
 * that never goes back. The key `rate` of the toolstack ("BYTES,MICROSECONDS") bounds what is taken
 * from the frontend.
 */
enum xenpv_bus_phase xenpv_netback_step(struct xenpv_netback *back, uint64_t now);

/*
 * When to step again at the latest; 0: at once. A link without a wait handle is only looked at in a
 * step: how soon its frames are seen is the caller's choice.
 */
uint64_t xenpv_netback_deadline(const struct xenpv_netback *back);

/* What the last frontend did wrong, or why serving ended; ->error 0: nothing. */
const struct xenpv_detail *xenpv_netback_detail(const struct xenpv_netback *back);

/* Queues of the frontend that is connected; 0: there is none. */
uint32_t xenpv_netback_queues(const struct xenpv_netback *back);

/* Handles of a connection: two for each queue, and one of the control ring. */
#define XENPV_NETBACK_HANDLES (2u * 64u + 1u)
/*
 * Fills in what is signalled when the frontend has sent an event, and returns how many there are:
 * each channel once. They change with each connection.
 */
uint32_t xenpv_netback_wait_handles(const struct xenpv_netback *back,
                                    xenpv_handle out[XENPV_NETBACK_HANDLES]);

/*
 * False: frames of the link are left there, for no frontend is connected, or all its queues have
 * frames that wait for buffers. The link's wait handle, readable all the time, is not to be waited
 * for then; the deadline and the handles above tell when that has changed.
 */
bool xenpv_netback_takes_frames(const struct xenpv_netback *back);

/* What was done since it was created. */
struct xenpv_netback_stats {
    uint64_t tx_frames, tx_bytes; /* from the frontend, given to the link */
    uint64_t tx_errors;           /* packets that were answered with ERROR */
    uint64_t tx_dropped;          /* packets that the link dropped */
    uint64_t rx_frames, rx_bytes; /* given to the frontend */
    uint64_t rx_errors;           /* pages of its own that could not be written */
    uint64_t rx_dropped;          /* no room to wait, too large for it, or waited too long */
    uint64_t rx_filtered;         /* multicast that it did not want */
    uint64_t messages;            /* on the control ring */
    uint64_t copied, mapped;      /* pages copied; mapped for one copy */
    uint64_t kept;                /* pages read or written through a static grant */
    uint64_t static_grants;       /* pages that are kept mapped now */
    uint64_t segments;            /* cut here, where one end does not take large packets */
    uint64_t checksums;           /* made here, where one end does not take blank ones */
    uint64_t notified;
};
void xenpv_netback_stats(const struct xenpv_netback *back, struct xenpv_netback_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
