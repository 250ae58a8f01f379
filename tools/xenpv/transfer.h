/* SPDX-License-Identifier: MIT */
/* The pump: moves bytes between a connected disk and a file or pipe, with several operations in
 * flight, in order at both ends. */
#ifndef XENPV_TRANSFER_H
#define XENPV_TRANSFER_H

#include "vbd.h"

struct pump;

struct transfer {
    struct vbd *vbd;
    bool write; /* from the file to the disk */
    int fd;
    uint64_t offset; /* where on the disk it begins ... */
    uint64_t end;    /* ... and ends at the latest; a write ends with its input */

    /* Filled in. */
    uint64_t done;    /* bytes that have arrived, without a gap, from `offset` on */
    bool past_end;    /* there is more input than disk */
    int stream_error; /* errno of the file or pipe */
    int device_error; /* what the backend answered for the bytes behind `done` */
    struct pump *pump;
};

/*
 * Runs until all is done, something failed, or a signal asks us to end. STATUS_DONE or
 * STATUS_FAILED, in silence; when nothing in `transfer` says why it failed, the device or the
 * signal does. What was written is on stable storage when it is STATUS_DONE and the backend can
 * flush.
 */
int transfer_run(struct transfer *transfer);

/* Frees the buffers; the device has been closed, for it may have used them until then. */
void transfer_free(struct transfer *transfer);

#endif
