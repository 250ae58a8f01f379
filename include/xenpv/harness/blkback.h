/* SPDX-License-Identifier: MIT */
/*
 * The block backend: serves a disk model to one frontend over any port with the map calls: the
 * mock, or a real guest. The frontend is not trusted: a request is read once, checked, and refused
 * or done.
 */
#ifndef XENPV_HARNESS_BLKBACK_H
#define XENPV_HARNESS_BLKBACK_H

#include <xenpv/blk.h>
#include <xenpv/harness/disk.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_blkback;

struct xenpv_blkback_config {
    uint32_t size;                 /* sizeof(struct xenpv_blkback_config) */
    const struct xenpv_port *port; /* XENPV_CAP_MAP and XENPV_CAP_COPY; outlives the backend */
    const char *path;              /* backend directory, e.g. "backend/vbd/7/51712"; copied */
    const struct xenpv_disk *disk; /* outlives the backend */
    struct xenpv_allocator allocator;
    /* What is offered at most; the disk says what else is. xenpv_blkback_config_init sets all. */
    uint32_t queues;     /* 1..64: multi-queue-max-queues, not published for 1; initially 4 */
    uint32_t ring_order; /* 0..4: max-ring-page-order and max-ring-pages, not published for 0;
                            initially 4 */
    uint32_t segments;   /* of an indirect request, 0..4096: feature-max-indirect-segments, not
                            published for 0; initially 256 */
    uint32_t persistent; /* pages kept mapped per queue, 0..65536: feature-persistent, not published
                            for 0; initially 1,056 */
    enum xenpv_blk_units units; /* what is counted in what; initially XENPV_UNITS_512 */
};

/*
 * Fills in every field. What the toolstack wrote into the directory counts, too: with a `mode` that
 * has no w in it ("r") the disk is read-only, with a `discard-enable` of 0 it has no discard.
 */
void xenpv_blkback_config_init(struct xenpv_blkback_config *config, const struct xenpv_port *port,
                               const char *path, const struct xenpv_disk *disk,
                               const struct xenpv_allocator *allocator);

/* XENPV_EINVAL, XENPV_ENOMEM, XENPV_ENOTSUP: the port cannot map or copy. Nothing is published yet.
 */
int xenpv_blkback_create(const struct xenpv_blkback_config *config, struct xenpv_blkback **back);

/* Frees a backend; close it first until ->step has answered DONE, or its mappings are dropped hard.
 */
void xenpv_blkback_destroy(struct xenpv_blkback *back);

/*
 * Offers the disk, and serves whatever frontend comes, one after the other. XENPV_EBUSY: it does.
 */
int xenpv_blkback_start(struct xenpv_blkback *back, uint64_t now);

/* Starts to close. */
void xenpv_blkback_close(struct xenpv_blkback *back, uint64_t now);

/* Does what can be done now, requests included, and returns where the handshake stands. */
enum xenpv_bus_phase xenpv_blkback_step(struct xenpv_blkback *back, uint64_t now);

/* When to step again at the latest; 0: at once, for requests are waiting. */
uint64_t xenpv_blkback_deadline(const struct xenpv_blkback *back);

/* What the last frontend did wrong, or why serving ended; ->error 0: nothing. */
const struct xenpv_detail *xenpv_blkback_detail(const struct xenpv_blkback *back);

/* Queues of the frontend that is connected; 0: there is none. */
uint32_t xenpv_blkback_queues(const struct xenpv_blkback *back);

/* Signalled when the frontend has sent an event for that queue; XENPV_NO_HANDLE when there is none.
 */
xenpv_handle xenpv_blkback_wait_handle(const struct xenpv_blkback *back, uint32_t queue);

/*
 * The disk has changed its size: xenpv_disk.bytes was set anew by the caller. It is published, and
 * state 4 written once more.
 */
void xenpv_blkback_resized(struct xenpv_blkback *back);

/* What was done since it was created. */
struct xenpv_blkback_stats {
    uint64_t requests, refused, read_bytes, written_bytes, flushes, barriers, discards, notified;
    uint64_t indirect;   /* of the requests */
    uint64_t persistent; /* pages that are kept mapped now */
    uint64_t mapped;     /* pages mapped or copied for a single request */
};
void xenpv_blkback_stats(const struct xenpv_blkback *back, struct xenpv_blkback_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
