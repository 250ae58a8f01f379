/* SPDX-License-Identifier: MIT */
/* A disk of a machine, with a frontend of ours on it, and the waiting that goes with it. */
#ifndef XENPV_VBD_H
#define XENPV_VBD_H

#include <xenpv/blk.h>

#include "device.h"
#include "form.h"
#include "machine.h"

struct vbd {
    struct machine *machine;
    struct device device;
    struct xenpv_blk_config config;
    struct form form;
    void *memory;
    struct xenpv_blk *blk;
    uint32_t queues;         /* in use; 0 before it is connected for the first time */
    uint64_t began;          /* the connecting, closing or waiting for its return */
    uint64_t failed_after;   /* ms from there until it failed */
    uint32_t seen_states[2]; /* the last that were remarked upon */
    bool lost;               /* its connection, which is being made anew */
    char note[240];          /* what a complaint of this device says at its end */
};

/* What a wait is for. */
struct vbd_waits {
    struct os_wait waits[OS_WAITS_MAX];
    unsigned count;
    uint64_t deadline;
    bool ready; /* something is there already: there is no need to wait */
};

/*
 * Each returns an exit status. A vbd that was made, or not, is always closed; what the device
 * itself had to fail about is complained of there. `sharers` disks are to be connected at once:
 * each has its part of the pages that may be shared.
 */
int vbd_make(struct vbd *vbd, struct machine *machine, const struct device *device,
             unsigned sharers);

/* Reads what there is to know; changes nothing. */
int vbd_inspect(struct vbd *vbd);

/* Claims the device and connects; with less than was wished for where pages cannot be shared. */
int vbd_connect(struct vbd *vbd);

/* Lets the control side do what it can. False: it is not connected any more, nor will be again. */
bool vbd_step(struct vbd *vbd);

/* A queue of those in use, as numbers go round. */
struct xenpv_blkq *vbd_queue(const struct vbd *vbd, unsigned number);

/* Adds what this disk has to be waited for; `waits` is {.deadline = UINT64_MAX} at first. */
void vbd_add_waits(struct vbd *vbd, struct vbd_waits *waits);

/* Waits until something of it may have moved. */
void vbd_wait(struct machine *machine, const struct vbd_waits *waits);

/* Closes and frees; returns `status`, or what it means that the device failed. */
int vbd_close(struct vbd *vbd, int status);

/* The same, whatever it failed about. */
void vbd_close_quietly(struct vbd *vbd);

#endif
