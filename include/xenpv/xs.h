/* SPDX-License-Identifier: MIT */
/*
 * A client of XenStore over the page that a guest shares with xenstored, for ports that have no
 * libxenstore: kernels, unikernels, firmware. xenpv_xs_store_ops is the `store` of such a port.
 *
 * Threads: one at a time calls anything of one client, the calls of xenpv_xs_store_ops included.
 *
 * Nothing blocks and nothing is allocated. The ring is looked at in every call of the store, and in
 * xenpv_xs_step. A program's loop is
 *     xenpv_xs_step(xs, now);
 *     step all that uses the store: devices, batches, watches;
 *     sleep until the event channel fires, or xenpv_xs_deadline(xs).
 *
 * One message is outstanding at a time. Requests of one domain are answered in their order anyway,
 * a ring holds a quarter of a message, and it leaves no question which answer is whose. Batches and
 * requests end in the order in which they were started.
 *
 * The server is not trusted with memory. What it writes is copied, then judged:
 *   - Indices more than a ring apart, a message above 4,096 bytes, an answer of another type than
 *     its request: the connection is broken, as xenpv_xs_detail says.
 *   - An answer that nothing waits for is dropped: it is late, for what was cancelled or timed out.
 *     A transaction that it tells of is ended.
 *   - An event that is not two strings may have been about any watch: all are poked.
 *   - A list whose last name does not end, a transaction without a number, and the like: what asked
 *     fails with XENPV_ESTORE.
 *
 * A connection that is broken, or that the server gave up (`error` in the page is not 0, whatever
 * feature bits there are), is reconnected if the server can do that: at once, then once a second.
 * The same happens when the server says that it began anew, and, if the ring is not empty, at the
 * start. What is pending ends with XENPV_ESTORE, transactions are gone, and every watch is set
 * again and poked: whatever an event would have told is to be read again. Without that ability it
 * stays broken until xenpv_xs_resume.
 */
#ifndef XENPV_XS_H
#define XENPV_XS_H

#include <xenpv/abi/xs_wire.h>
#include <xenpv/port.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_xs;

struct xenpv_xs_config {
    void *page;          /* the ring page, mapped here: a struct xenpv_xs_page */
    uint32_t event_port; /* its event channel, a local port */
    uint32_t watches;    /* how many there can be at once, up to 4096 */
    uint32_t timeout_ms; /* how long an answer is awaited; 0: for ever */
    /* ->notify is called with `event_ctx`, or if that is NULL with the client; so are ->take,
     * ->unmask and ->wait_handle, each of which may be NULL. No other is called. */
    const struct xenpv_event_ops *event;
    void *event_ctx;
    void *owner; /* for xenpv_xs_owner alone */
};

/* Bytes a client of this configuration needs; 0 when it is invalid. About 13 KiB, and 600 bytes for
 * each watch. */
size_t xenpv_xs_size(const struct xenpv_xs_config *config);

/*
 * Makes a client in `memory`, of xenpv_xs_size bytes at a multiple of 16, and begins to connect:
 * watches and transactions of whoever had the page before are reset. To free it, free the memory;
 * the server keeps its watches, and what is pending is not ended. XENPV_EINVAL: a field is out of
 * its range.
 */
int xenpv_xs_init(void *memory, const struct xenpv_xs_config *config, struct xenpv_xs **xs);

/*
 * The store calls of a port whose `ctx` is the client. What they say beyond port.h:
 * ->start    each operation is judged by xenpv_store_check first. XENPV_EAGAIN as status of a
 *            transaction is not tried again here. XENPV_ETIMEDOUT: the server has been silent for
 *            timeout_ms; then all that is pending ends so, and may yet take effect. A LIST above
 *            4,096 bytes is asked for in parts; if the node changes meanwhile that begins anew, the
 *            ninth time it is XENPV_EAGAIN; XENPV_E2BIG also where the server knows no parts.
 *            Error texts of the server that nobody knows are XENPV_EIO, as EIO is.
 * ->watch    answers before the server has: what it refuses is known to xenpv_xs_watch_status
 *            later, and poked once. XENPV_E2BIG: a path above 255 bytes. XENPV_EEXIST: the cookie
 *            has a watch. XENPV_ENOMEM: there are `watches`, or as many are being taken down.
 *            XENPV_ESTORE: it is broken for good.
 * ->changed  4 KiB of paths are kept.
 * ->wait_handle  the event channel's, or XENPV_NO_HANDLE.
 */
extern const struct xenpv_store_ops xenpv_xs_store_ops;

enum xenpv_xs_state {
    XENPV_XS_CONNECTING, /* the server is to empty the ring; what is started waits */
    XENPV_XS_CONNECTED,
    XENPV_XS_BROKEN, /* what is started ends with XENPV_ESTORE */
};

enum xenpv_xs_state xenpv_xs_state(const struct xenpv_xs *xs);

/*
 * Does what can be done now; bounded. `now` is any clock in milliseconds that never goes back. An
 * answer's time begins with the first step after its request was sent.
 */
enum xenpv_xs_state xenpv_xs_step(struct xenpv_xs *xs, uint64_t now);

/* When to step again, at the latest; 0: at once, for a store call has found something for another
 * user; UINT64_MAX: only for an event. */
uint64_t xenpv_xs_deadline(const struct xenpv_xs *xs);

/* Why the connection broke last; its error is 0 when it never did. It stays after a reconnect. */
const struct xenpv_detail *xenpv_xs_detail(const struct xenpv_xs *xs);

/*
 * After a suspend, or when the toolstack has made a new connection: goes on with this page and
 * event channel. What is pending ends with XENPV_ESTORE, watches are set again and poked. Nothing
 * of the old page and port is touched.
 */
void xenpv_xs_resume(struct xenpv_xs *xs, void *page, uint32_t event_port);

/* 0: the server has it; XENPV_PENDING: not yet; XENPV_ENOENT: no such cookie; else what the server
 * refused it for, XENPV_ENOSPC for its quota. It is asked for again after each reconnect. */
int xenpv_xs_watch_status(const struct xenpv_xs *xs, const void *cookie);

/* What is in config.owner. */
void *xenpv_xs_owner(const struct xenpv_xs *xs);

/*
 * A message of any other kind, queued with the batches: INTRODUCE, RELEASE, SET_TARGET, RESUME,
 * CONTROL, or a transaction by hand. The caller sets the first part; all stays valid and unchanged
 * until it has ended.
 */
struct xenpv_xs_request {
    uint32_t type; /* enum xenpv_xs_type, or one of a younger server */
    uint32_t tx;
    const void *payload;
    uint32_t length;
    void *reply;       /* the answer's payload, an error's text too */
    uint32_t capacity; /* 0: it is not wanted */

    int32_t status;        /* out: 0 or an error; XENPV_E2BIG also when the answer was cut */
    uint32_t reply_type;   /* out: `type`, or XENPV_XS_ERROR; meaningless without an answer */
    uint32_t reply_length; /* out: its true length */
    struct xenpv_store_batch batch; /* private */
};

/*
 * 0: it has ended, look at its status; XENPV_PENDING: it ends later. XENPV_EINVAL as status: WATCH,
 * UNWATCH and RESET_WATCHES are the client's, WATCH_EVENT and ERROR the server's. XENPV_E2BIG: more
 * than XENPV_XS_PAYLOAD bytes. A transaction by hand is gone after a reconnect.
 */
int xenpv_xs_request(struct xenpv_xs *xs, struct xenpv_xs_request *request);
/* 0: it has ended; XENPV_PENDING: not yet. */
int xenpv_xs_request_check(struct xenpv_xs *xs, struct xenpv_xs_request *request);
/* Gives up a pending request: it is not touched any more. It may or may not take effect. */
void xenpv_xs_request_cancel(struct xenpv_xs *xs, struct xenpv_xs_request *request);

#ifdef __cplusplus
}
#endif
#endif
