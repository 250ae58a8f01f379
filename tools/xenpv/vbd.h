/* SPDX-License-Identifier: MIT */
/* A disk of a machine, with a frontend of ours on it, and the waiting that goes with it. */
#ifndef XENPV_VBD_H
#define XENPV_VBD_H

#include <xenpv/blk.h>

#include "device.h"
#include "machine.h"

struct vbd {
    struct machine *machine;
    struct device device;
    void *memory;
    struct xenpv_blk *blk;
    struct xenpv_blkq *queue;
    uint64_t began;          /* the connecting or closing */
    uint64_t failed_after;   /* ms from there until it failed */
    uint32_t seen_states[2]; /* the last that were remarked upon */
    char note[120];          /* what a complaint of this device says at its end */
};

/* Each returns an exit status. A vbd that was made, or not, is always closed; what the device
 * itself had to fail about is complained of there. */
int vbd_make(struct vbd *vbd, struct machine *machine, const struct device *device);

/* Reads what there is to know; changes nothing. */
int vbd_inspect(struct vbd *vbd);

/* Claims the device and connects. */
int vbd_connect(struct vbd *vbd);

/* Lets the control side do what it can. False: it is not connected any more. */
bool vbd_step(struct vbd *vbd);

/* Waits until the device, or what else is waited for (NULL: nothing), may have moved. */
void vbd_wait(struct vbd *vbd, const struct os_wait *wait);

/* Closes and frees; returns `status`, or what it means that the device failed. */
int vbd_close(struct vbd *vbd, int status);

#endif
