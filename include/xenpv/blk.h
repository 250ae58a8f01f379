/* SPDX-License-Identifier: MIT */
/*
 * The block frontend: one disk of a Xen guest, read and written over a blkif ring
 * (xen/include/public/io/blkif.h).
 *
 * It never sleeps, allocates or reads a clock. A program drives it from two places, which may be
 * one thread or two:
 *
 *   control  xenpv_blk_*: connect, step, close. One thread per device. Step whenever the port's
 *            store wait handle is signalled, and at xenpv_blk_deadline().
 *   queue    xenpv_blkq_*: read, write, flush, submit, poll, arm. One thread per queue, from the
 *            moment the device is CONNECTED until poll has answered XENPV_EPARKED.
 *
 * Two threads that sleep must wake each other: who calls xenpv_blk_close, or sees the state
 * CLOSING, wakes the queue's thread, so that it polls; a queue's thread that polls XENPV_EPARKED
 * wakes control, so that it steps. Until the queue has been polled to XENPV_EPARKED the device
 * cannot end, and no new connection may be started.
 *
 * Offsets and lengths are bytes, of any alignment. What does not begin and end on sectors is read
 * first and written back as whole sectors: such a write is not atomic, neither against a crash nor
 * against writers elsewhere. Within one queue, a write that meets sectors which such a write is
 * still changing is put off (XENPV_EFULL).
 *
 * The backend is not trusted. Whatever it does, memory that it may still reach is not used for
 * anything else, and each operation ends exactly once.
 */
#ifndef XENPV_BLK_H
#define XENPV_BLK_H

#include <xenpv/abi/blkif.h>
#include <xenpv/bus.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_blk;
struct xenpv_blkq;

struct xenpv_blk_config {
    uint32_t size; /* sizeof(struct xenpv_blk_config), set by xenpv_blk_config_init */
    const struct xenpv_port *port; /* outlives the device */
    const char *path;              /* frontend directory, e.g. "device/vbd/51712"; copied */
    uint32_t operations;   /* accepted at once and not yet completed, 1..4096; initially 32 */
    uint32_t buffer_pages; /* shared pages that data passes through, 11..65536; initially 352 */
    uint32_t connect_ms;   /* until CONNECTED, 0: for ever; initially 30,000 */
    uint32_t close_ms;     /* for each step of closing, 0: for ever; initially 5,000 */
    bool poll;             /* never wait for events: xenpv_blkq_arm is not used; initially false */
    enum xenpv_abi abi;    /* layout on the ring; initially the machine's own */
};

/* Fills in every field. Any thread. */
void xenpv_blk_config_init(struct xenpv_blk_config *config, const struct xenpv_port *port,
                           const char *path);

/* Bytes a device of this configuration needs; 0 when it is invalid. */
size_t xenpv_blk_size(const struct xenpv_blk_config *config);

/*
 * Makes a device in `memory`, of xenpv_blk_size bytes at a multiple of 16. Nothing is read, written
 * or shared. To free it, close it until it is CLOSED or FAILED, then free the memory: nothing else
 * stays. XENPV_EINVAL: a field is out of its range.
 */
int xenpv_blk_init(void *memory, const struct xenpv_blk_config *config, struct xenpv_blk **blk);

enum xenpv_blk_state {
    XENPV_BLK_IDLE,       /* not connected yet */
    XENPV_BLK_CONNECTING, /* step until it is CONNECTED or FAILED */
    XENPV_BLK_CONNECTED,
    XENPV_BLK_CLOSING, /* step, and poll every queue */
    XENPV_BLK_CLOSED,  /* closed as asked, or inspected */
    XENPV_BLK_FAILED,  /* closed because of xenpv_blk_detail(); connect may be called again */
};

enum xenpv_blk_state xenpv_blk_state(const struct xenpv_blk *blk);

/*
 * Starts to connect, from IDLE, CLOSED or FAILED; a connection that a previous owner left is led
 * down first. `now` is any clock in milliseconds that never goes back, the same in all calls.
 * XENPV_EBUSY: it is connected, or on the way to or from it, or its queue has not been polled to
 * XENPV_EPARKED. XENPV_ENOTSUP: the port has no grant
 * or event calls; looking is all it can do.
 */
int xenpv_blk_connect(struct xenpv_blk *blk, uint64_t now);

/*
 * Starts to look: reads what the backend offers and how both ends stand, writes nothing, and ends
 * in CLOSED or FAILED. XENPV_EBUSY as above.
 */
int xenpv_blk_inspect(struct xenpv_blk *blk, uint64_t now);

/*
 * Starts to close, from any state; from IDLE it is CLOSED at once. Queues take nothing new; what
 * they have accepted is finished, as long as their thread keeps polling; then the backend is asked
 * to let go.
 */
void xenpv_blk_close(struct xenpv_blk *blk, uint64_t now);

/* Does what can be done now, in bounded time, and returns the state. */
enum xenpv_blk_state xenpv_blk_step(struct xenpv_blk *blk, uint64_t now);

/* When to step again at the latest; UINT64_MAX: when the store's wait handle is signalled. */
uint64_t xenpv_blk_deadline(const struct xenpv_blk *blk);

/* Why it FAILED; ->error is 0 when it did not. Valid until the next connect. */
const struct xenpv_detail *xenpv_blk_detail(const struct xenpv_blk *blk);

/* Pages that a backend never gave back; they cannot be used again. */
uint32_t xenpv_blk_abandoned(const struct xenpv_blk *blk);

/*
 * The disk. Sizes are valid when CONNECTED; after xenpv_blk_inspect as far as they were published.
 * A disk that the backend resizes shows its new size here at once; the queue keeps to the size it
 * was opened with until the next connect.
 */
struct xenpv_blk_info {
    uint64_t bytes;                /* whole sectors of sector_size */
    uint32_t sector_size;          /* bytes; the unit of alignment */
    uint32_t physical_sector_size; /* bytes */
    bool readonly, removable, cdrom;
    bool can_flush;                           /* xenpv_blkq_flush works */
    uint16_t backend_id;                      /* domain of the backend */
    uint32_t frontend_state, backend_state;   /* enum xenpv_bus_state, as last seen */
    const char *frontend_path, *backend_path; /* as long as the device lives */
    const char *device_type;                  /* "disk", "cdrom" or "" */
};
void xenpv_blk_info(const struct xenpv_blk *blk, struct xenpv_blk_info *info);

/* One feature: what the backend offered and what became of it. */
struct xenpv_negotiation {
    const char *key;              /* the backend's key */
    enum xenpv_key_status status; /* how it was found; UNREAD: not published before state 4 */
    const char *offered;          /* as found; "" when absent */
    const char *asked;            /* what the frontend's directory asks for now, written by us or by
                                     another owner; "" where it says nothing of it */
    uint64_t chosen;              /* what this library uses; 0: not used */
    const char *why;              /* why not more; "" when all that is offered is used */
};

#define XENPV_BLK_FEATURES 10u
/*
 * Fills `out` and returns XENPV_BLK_FEATURES. Control thread; the texts live as long as the device.
 */
uint32_t xenpv_blk_negotiation(const struct xenpv_blk *blk,
                               struct xenpv_negotiation out[XENPV_BLK_FEATURES]);

/* ------------------------------------------------------------------------------------ queues -- */

/* The queue of that number, 0 in this version; NULL beyond. Any thread, from xenpv_blk_init on. */
struct xenpv_blkq *xenpv_blk_queue(struct xenpv_blk *blk, uint32_t number);

struct xenpv_iov {
    void *base;
    size_t length; /* bytes */
};

/* An operation that has ended. */
struct xenpv_completion {
    void *user;     /* as given when it was queued */
    int32_t status; /* 0; XENPV_EIO: the backend failed it; XENPV_ENOTSUP: it does not know it;
                       XENPV_EPEER, XENPV_EBROKEN, XENPV_ESTALE, XENPV_ETIMEDOUT: the connection
                       went first, and a write may or may not have reached the disk */
};

/*
 * Queue an operation. The vector and the memory it names stay the caller's, unchanged, until its
 * completion has been polled. Nothing is sent before xenpv_blkq_submit or _poll.
 *
 * XENPV_EFULL: too many operations, or a write meets one that is changing the same sectors: submit,
 * poll, try again. XENPV_EPARKED: the device is not connected any more. XENPV_EINVAL: no bytes, or
 * more than 65,535 elements. XENPV_ERANGE: beyond the end. XENPV_EROFS. XENPV_ENOTSUP: no flush.
 */
int xenpv_blkq_readv(struct xenpv_blkq *q, uint64_t offset, const struct xenpv_iov *iov,
                     uint32_t count, void *user);
int xenpv_blkq_writev(struct xenpv_blkq *q, uint64_t offset, const struct xenpv_iov *iov,
                      uint32_t count, void *user);
/* Every write whose completion was polled before is on stable storage when this one has ended. */
int xenpv_blkq_flush(struct xenpv_blkq *q, void *user);

/* Sends what is queued, as far as the ring has room, and notifies the backend if it asked to be. */
void xenpv_blkq_submit(struct xenpv_blkq *q);

/*
 * Takes what has ended, at most `max` completions; sends what had no room before. Returns how many,
 * or XENPV_EPARKED: the queue is not, or no longer, in use and no completion is left.
 */
int xenpv_blkq_poll(struct xenpv_blkq *q, struct xenpv_completion *out, uint32_t max);

/*
 * Before waiting on the handle: asks the backend for an event. 1: poll again at once, for something
 * has ended already, or the queue is to be parked; 0: wait. The handle is signalled until the next
 * arm. In poll mode, and where the port has no handles, the answer is always 1.
 */
int xenpv_blkq_arm(struct xenpv_blkq *q);

/* Readable or signalled when the backend has an event for an armed queue. XENPV_NO_HANDLE when not
 * connected. */
xenpv_handle xenpv_blkq_wait_handle(const struct xenpv_blkq *q);

/* Operations accepted and not yet polled. */
uint32_t xenpv_blkq_pending(const struct xenpv_blkq *q);

#ifdef __cplusplus
}
#endif
#endif
