/* SPDX-License-Identifier: MIT */
/*
 * The block frontend: one disk of a Xen guest, read and written over a blkif ring
 * (xen/include/public/io/blkif.h).
 *
 * It never sleeps, allocates or reads a clock. A program drives it from two places, which may be
 * one thread or several:
 *
 *   control  xenpv_blk_*: connect, step, close. One thread per device. Step whenever the port's
 *            store wait handle is signalled, and at xenpv_blk_deadline().
 *   queues   xenpv_blkq_*: read, write, flush, discard, submit, poll, arm. One thread per queue,
 *            from the moment the device is CONNECTED until poll has answered XENPV_EPARKED. Queues
 *            share nothing, and take no lock.
 *
 * Threads that sleep must wake each other: who calls xenpv_blk_close, or sees the state change,
 * wakes the queues' threads, so that they poll; a queue's thread that polls XENPV_EPARKED, or 0
 * while it is held (xenpv_blkq_held), wakes control, so that it steps. Until every queue has been
 * polled to XENPV_EPARKED the device cannot end, and no new connection may be started.
 *
 * Offsets and lengths are bytes, of any alignment. What does not begin and end on sectors is read
 * first and written back as whole sectors: such a write is not atomic, neither against a crash nor
 * against writers elsewhere.
 *
 * Order. Writes and discards of one queue that meet on any sector reach the disk in the order in
 * which they were queued; nothing else is ordered but by a flush. Queues are not ordered among each
 * other: what meets must not be in flight in two of them at once.
 *
 * A connection that is lost (the backend restarts or its domain dies, the guest is suspended) is
 * made anew, config.recover_ms long: what was accepted and has not ended is kept, and is done over,
 * before anything newer, once the device is connected again. No write that ended well is repeated
 * or overtaken by an older one that this library sends; a backend that was never seen to close may
 * still be working on what it was sent. It may take fewer queues than before: what the others had
 * accepted ends with XENPV_EPEER. xenpv_blk_close does not wait for a lost connection.
 *
 * The backend is not trusted. Whatever it does, memory that it may still reach is not used for
 * anything else, and each operation ends exactly once.
 */
#ifndef XENPV_BLK_H
#define XENPV_BLK_H

#include <xenpv/abi/blkif.h>
#include <xenpv/bus.h>
#include <xenpv/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_blk;
struct xenpv_blkq;

/*
 * What is negotiated with the backend, as bits. Any of it can be left unused (config.without), and
 * is, where the backend does not offer it or has answered that it does not know it.
 */
enum xenpv_blk_feature {
    XENPV_BLK_FLUSH = 1u << 0,          /* feature-flush-cache */
    XENPV_BLK_BARRIER = 1u << 1,        /* feature-barrier: does for a flush where there is none */
    XENPV_BLK_DISCARD = 1u << 2,        /* feature-discard */
    XENPV_BLK_SECURE_DISCARD = 1u << 3, /* discard-secure */
    XENPV_BLK_PERSISTENT = 1u << 4,     /* feature-persistent: the backend keeps pages mapped */
    XENPV_BLK_INDIRECT = 1u << 5,       /* feature-max-indirect-segments: large requests */
    XENPV_BLK_LARGE_RING = 1u << 6,     /* max-ring-page-order, max-ring-pages */
    XENPV_BLK_MULTI_QUEUE = 1u << 7,    /* multi-queue-max-queues */
};
#define XENPV_BLK_FEATURES 8u
/* "flush", "barrier", ..., "multi-queue", by number of the bit; NULL beyond. Any thread. */
const char *xenpv_blk_feature_name(uint32_t bit);

/*
 * Who counts in what, where sector-size is not 512. blkif.h, since 2024, has 512 everywhere;
 * several peers have not. Nothing in the store tells: this is for who knows his backend.
 */
enum xenpv_blk_units {
    XENPV_UNITS_512,         /* blkif.h, Linux */
    XENPV_UNITS_SECTOR_SIZE, /* all in sector-size: QEMU before 9.2, Windows */
    XENPV_UNITS_FREEBSD,     /* `sectors` and sector numbers in sector-size, segments in 512 */
    XENPV_UNITS_MINIOS,      /* only `sectors` in sector-size */
    XENPV_UNITS_COUNT
};
/* "512", "sector-size", "freebsd", "mini-os"; NULL beyond. Any thread. */
const char *xenpv_blk_units_name(uint32_t units);

struct xenpv_blk_config {
    uint32_t size; /* sizeof(struct xenpv_blk_config), set by xenpv_blk_config_init */
    const struct xenpv_port *port; /* outlives the device */
    const char *path;              /* frontend directory, e.g. "device/vbd/51712"; copied */
    uint32_t queues;               /* at most, as the backend allows, 1..64; initially 1 */
    uint32_t ring_order;   /* log2 of the pages of a queue's ring, at most, 0..4; initially 0 */
    uint32_t segments;     /* pages of one request at most, 1..4096; initially 64 */
    uint32_t operations;   /* of a queue, accepted and not yet polled, 1..4096; initially 32 */
    uint32_t buffer_pages; /* of a queue: shared pages that data passes through, 11..65536;
                              initially 352 */
    uint32_t shared_pages; /* of a queue: for xenpv_blkq_shared, 0..65536; initially 0 */
    uint32_t connect_ms;   /* until CONNECTED, 0: for ever; initially 30,000 */
    uint32_t close_ms;     /* for each step of closing, 0: for ever; initially 5,000 */
    uint32_t recover_ms;   /* for a lost connection to return, 0: it is not awaited; initially
                              30,000 */
    uint32_t without;      /* enum xenpv_blk_feature: not to be used; initially 0 */
    enum xenpv_blk_units units; /* initially XENPV_UNITS_512 */
    enum xenpv_abi abi;         /* layout on the ring; initially the machine's own */
    bool poll;       /* never receive events: xenpv_blkq_arm is not used; initially false. The
                        queue's calls then touch nothing of the port but event->notify, and
                        may be made from where nothing else may be, such as a crash handler. Not
                        together with own_memory */
    bool own_memory; /* grant the caller's memory to the backend, request by request, instead
                        of copying it, where the port can (XENPV_CAP_GRANT_OWN), vector and
                        offset are aligned to sectors, and the backend is trusted; it sees the
                        whole pages. Persistent grants are not used then. Initially false */
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
    XENPV_BLK_RECOVERING, /* the connection was lost: step until it is CONNECTED or FAILED */
    XENPV_BLK_CLOSING,    /* step, and poll every queue */
    XENPV_BLK_CLOSED,     /* closed as asked, or inspected */
    XENPV_BLK_FAILED,     /* closed because of xenpv_blk_detail(); connect may be called again */
};

enum xenpv_blk_state xenpv_blk_state(const struct xenpv_blk *blk);

/*
 * Starts to connect, from IDLE, CLOSED or FAILED; a connection that a previous owner left is led
 * down first. `now` is any clock in milliseconds that never goes back, the same in all calls.
 * XENPV_EBUSY: it is connected, or on the way to or from it, or a queue has not been polled since
 * it was stopped. XENPV_ENOTSUP: the port has no grant
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

#define XENPV_BLK_SERIAL_MAX 64u

/*
 * The disk. Sizes are valid when CONNECTED; after xenpv_blk_inspect as far as they were published.
 * A disk that the backend resizes shows its new size here at once, and its queues keep to it from
 * their next poll on; its sector_size stays until the next connection.
 */
struct xenpv_blk_info {
    uint64_t bytes;                /* whole sectors of sector_size */
    uint32_t sector_size;          /* bytes; the unit of alignment */
    uint32_t physical_sector_size; /* bytes */
    bool readonly, removable, cdrom;
    bool trusted;     /* the key `trusted`; if not, the backend sees nothing but the data itself */
    bool can_flush;   /* xenpv_blkq_flush works: by flush or by barrier */
    bool can_discard; /* xenpv_blkq_discard works */
    bool can_discard_secure;                         /* also with XENPV_DISCARD_SECURE */
    uint32_t discard_granularity, discard_alignment; /* bytes */
    uint32_t features;                               /* enum xenpv_blk_feature: in use */
    uint32_t queues;                                 /* in use */
    uint32_t ring_pages;                             /* of each queue */
    uint32_t segments;                               /* pages of one request at most */
    uint16_t backend_id;                             /* domain of the backend */
    uint32_t frontend_state, backend_state;          /* enum xenpv_bus_state, as last seen */
    const char *frontend_path, *backend_path;        /* as long as the device lives */
    const char *device_type;                         /* "disk", "cdrom" or "" */
    /*
     * Who the disk is, wherever it is attached: the serial number of the backend's
     * sm-data/scsi/0x12/0x80, and the first designator of 0x83, text or hexadecimal digits
     * (SPC vital product data pages); "" where there is none.
     */
    char serial[XENPV_BLK_SERIAL_MAX], designator[XENPV_BLK_SERIAL_MAX];
    /* What contradicts itself among the size keys, and what to try; "" when nothing does. */
    const char *doubt;
};
void xenpv_blk_info(const struct xenpv_blk *blk, struct xenpv_blk_info *info);

#define XENPV_BLK_NEGOTIATIONS 11u
/*
 * Fills `out` and returns XENPV_BLK_NEGOTIATIONS. Control thread; the texts live as long as the
 * device.
 */
uint32_t xenpv_blk_negotiation(const struct xenpv_blk *blk,
                               struct xenpv_negotiation out[XENPV_BLK_NEGOTIATIONS]);

/* ------------------------------------------------------------------------------------ queues -- */

/*
 * The queue of that number; NULL from config.queues on. Those from info.queues on stay parked. Any
 * thread, from xenpv_blk_init on.
 */
struct xenpv_blkq *xenpv_blk_queue(struct xenpv_blk *blk, uint32_t number);

/*
 * How an operation ended, struct xenpv_completion.status: 0; XENPV_EIO: the backend failed it;
 * XENPV_ENOTSUP: it does not know it, and the feature is not used any more;
 * XENPV_EPEER, XENPV_EBROKEN, XENPV_ESTALE, XENPV_ETIMEDOUT: the connection went first, and a write
 * may or may not have reached the disk; XENPV_ERANGE, XENPV_EROFS, XENPV_EINVAL: the disk has
 * shrunk, or what came back is read-only, or has larger sectors; XENPV_EBUSY, only with
 * config.own_memory: the backend still reaches the operation's memory, which must not be used again
 * while this device lives.
 */

/*
 * Queue an operation. The vector and the memory it names stay the caller's, unchanged, until its
 * completion has been polled. Nothing is sent before xenpv_blkq_submit or _poll. While the queue is
 * held (xenpv_blkq_held) operations are accepted, and wait.
 *
 * XENPV_EFULL: too many operations: submit, poll, try again. XENPV_EPARKED: the device is not
 * connected any more. XENPV_EINVAL: no bytes, or more than 65,535 elements. XENPV_ERANGE: beyond
 * the end. XENPV_EROFS. XENPV_ENOTSUP: no flush, no discard.
 */
int xenpv_blkq_readv(struct xenpv_blkq *q, uint64_t offset, const struct xenpv_iov *iov,
                     uint32_t count, void *user);
int xenpv_blkq_writev(struct xenpv_blkq *q, uint64_t offset, const struct xenpv_iov *iov,
                      uint32_t count, void *user);
/*
 * Every write whose completion was polled before, since the last time the connection was lost, is on
 * stable storage when this one has ended. What a backend with a volatile cache had acknowledged and
 * not flushed when it died may be gone, as on any disk that loses its power.
 */
int xenpv_blkq_flush(struct xenpv_blkq *q, void *user);

#define XENPV_DISCARD_SECURE 1u
/*
 * Tells the backend that `bytes` bytes are not needed any more. Only whole granules are discarded:
 * what is left over at either end keeps its data; with XENPV_DISCARD_SECURE, which promises that
 * the data cannot be recovered, that is XENPV_EINVAL. Neighbours are merged, large ones split, and
 * few are in flight at a time.
 */
int xenpv_blkq_discard(struct xenpv_blkq *q, uint64_t offset, uint64_t bytes, uint32_t flags,
                       void *user);

/*
 * The queue's config.shared_pages pages, which the backend reads and writes itself: data in them is
 * never copied. Zeroed when the device is connected for the first time; the caller divides them as
 * it likes. They keep their contents when a lost connection returns, but may have moved: the
 * address is good until the next xenpv_blkq_poll, and NULL while the queue is held or parked.
 */
void *xenpv_blkq_shared(struct xenpv_blkq *q);

/*
 * As readv and writev, between the disk and byte `at` of the shared pages, a multiple of 512, or of
 * the sector size with XENPV_UNITS_SECTOR_SIZE;
 * `offset` and `bytes` are whole sectors. XENPV_EINVAL: they are not, or beyond the pages.
 */
int xenpv_blkq_read_shared(struct xenpv_blkq *q, uint64_t offset, uint64_t at, uint64_t bytes,
                           void *user);
int xenpv_blkq_write_shared(struct xenpv_blkq *q, uint64_t offset, uint64_t at, uint64_t bytes,
                            void *user);

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
 * arm. In poll mode, and where the port has no handles, the answer is always 1; while the queue is
 * held it is 0, and there is no handle: wait for control. Polling is allowed at any time, with or
 * without an event: who does not trust every event to come waits with a limit of his own.
 */
int xenpv_blkq_arm(struct xenpv_blkq *q);

/* Readable or signalled when the backend has an event for an armed queue. XENPV_NO_HANDLE when not
 * connected. */
xenpv_handle xenpv_blkq_wait_handle(const struct xenpv_blkq *q);

/* Operations accepted and not yet polled. */
uint32_t xenpv_blkq_pending(const struct xenpv_blkq *q);

/* The connection was lost, and the queue keeps what it has accepted until it returns; or control has
 * still to take back memory of the caller's before what was accepted can end. */
bool xenpv_blkq_held(const struct xenpv_blkq *q);

/*
 * Who a disk is, for who looks without a frontend: reads a page of SCSI's vital product data (SPC-4
 * 7.8) as a backend's directory has it in base64. Of sm-data/scsi/0x12/0x80 the serial number, of
 * sm-data/scsi/0x12/0x83 the first designator; blanks around them are left away. False, and "": it
 * is neither. Any thread.
 */
bool xenpv_blk_identity(const char *base64, uint32_t length, char text[XENPV_BLK_SERIAL_MAX]);

#ifdef __cplusplus
}
#endif
#endif
