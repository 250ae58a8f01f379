/* SPDX-License-Identifier: MIT */
/* The pump: moves bytes between connected disks, files and pipes, with several operations in
 * flight, in order at both ends. */
#ifndef XENPV_TRANSFER_H
#define XENPV_TRANSFER_H

#include "place.h"

struct pump;

struct transfer {
    struct machine *machine;
    struct place *source;
    struct place *target; /* NULL: the source is read, and that is all */
    bool compare;         /* the target is read, too, and nothing is written */
    uint64_t total;       /* bytes; UINT64_MAX: as many as the source has */
    uint64_t room;        /* bytes from the target's offset to its end; UINT64_MAX: no end */

    /* Filled in. */
    uint64_t done;              /* bytes that have arrived, without a gap, from the offsets on */
    uint64_t different;         /* of these, with `compare` */
    uint64_t first_difference;  /* counted from the offsets */
    bool past_end;              /* the source has more than there is room */
    const struct place *ended;  /* it had less than the total */
    const struct place *failed; /* it failed: */
    int stream_error;           /* errno of a file or pipe */
    int device_error;           /* or what a backend answered ... */
    uint64_t failed_at;         /* ... for the bytes from this offset of the disk on, or ... */
    bool unflushed;             /* ... when it was to put all on stable storage */
    struct pump *pump;
};

/*
 * Runs until all is done, something failed, or a signal asks us to end. STATUS_DONE or
 * STATUS_FAILED, in silence; when nothing in `transfer` says why it failed, a device or the signal
 * does. What was written to a disk is on stable storage when it is STATUS_DONE and the backend can
 * flush.
 */
int transfer_run(struct transfer *transfer);

/* Frees the buffers; the disks have been closed, for they may have used them until then. */
void transfer_free(struct transfer *transfer);

#endif
