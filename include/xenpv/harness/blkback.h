/* SPDX-License-Identifier: MIT */
/*
 * The block backend: serves a disk model to one frontend over any port with the map calls: the
 * mock, or a real guest. The frontend is not trusted: a request is read once, checked, and refused
 * or done.
 */
#ifndef XENPV_HARNESS_BLKBACK_H
#define XENPV_HARNESS_BLKBACK_H

#include <xenpv/bus.h>
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
};

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

/* Signalled when the frontend has sent an event; XENPV_NO_HANDLE when not connected. */
xenpv_handle xenpv_blkback_wait_handle(const struct xenpv_blkback *back);

/* What was done since it was created. */
struct xenpv_blkback_stats {
    uint64_t requests, refused, read_bytes, written_bytes, flushes, notified;
};
void xenpv_blkback_stats(const struct xenpv_blkback *back, struct xenpv_blkback_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
