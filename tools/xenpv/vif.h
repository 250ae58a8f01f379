/* SPDX-License-Identifier: MIT */
/* A network card of a machine, with a frontend of ours on it, and the waiting that goes with it. */
#ifndef XENPV_VIF_H
#define XENPV_VIF_H

#include <xenpv/net.h>

#include "device.h"
#include "machine.h"

struct vif {
    struct machine *machine;
    struct device device;
    struct xenpv_net_config config;
    unsigned attempt; /* to connect; each takes half of the pages of the one before */
    void *memory;
    struct xenpv_net *net;
    uint32_t queues;         /* in use; 0 before it is connected for the first time */
    uint32_t turn;           /* the queue that is looked at next */
    uint64_t began;          /* the connecting, closing or waiting for its return */
    uint64_t failed_after;   /* ms from there until it failed */
    uint32_t seen_states[2]; /* the last that were remarked upon */
    uint32_t announced;      /* the connection whose beginning was told */
    bool lost;               /* its connection, which is being made anew */
    uint8_t *frame;          /* XENPV_NETIF_PACKET_MAX bytes: the last that was received */
    uint64_t unsent;         /* frames that were accepted, and then not taken by the backend */
    uint64_t ended;          /* frames that have ended, in whatever way */
};

/* What a wait is for. */
struct vif_waits {
    struct os_wait waits[OS_WAITS_MAX];
    unsigned count;
    uint64_t deadline;
    bool ready; /* something is there already: there is no need to wait */
};

/* A frame that was received, as a private copy. */
struct vif_frame {
    const uint8_t *data;
    uint32_t bytes;
    uint32_t fragments;
    struct xenpv_net_offload offload;
};

/* Each returns an exit status. A vif that was made, or not, is always closed; what the device
 * itself had to fail about is complained of there. */
int vif_make(struct vif *vif, struct machine *machine, const struct device *device);

/* Reads what there is to know; changes nothing. */
int vif_inspect(struct vif *vif);

/* Claims the device and connects; with fewer buffers where pages cannot be shared. */
int vif_connect(struct vif *vif);

/* The two together, for the card that `text` names. The vif is to be closed in any case. */
int vif_open(struct vif *vif, struct machine *machine, const struct device *device);

/* Lets the control side do what it can, and takes what has ended. False: it is not connected any
 * more, nor will be again. */
bool vif_step(struct vif *vif);

/* True once for each connection, when frames can be sent on it. */
bool vif_is_new(struct vif *vif);

/*
 * Sends a frame on the queue of its flow: 0 or an error of xenpv_netq_send. It is submitted by
 * vif_submit.
 */
int vif_send(struct vif *vif, void *frame, uint32_t bytes, const struct xenpv_net_offload *offload);
void vif_submit(struct vif *vif);

/* The most that a frame may carry behind Ethernet's header: the MTU, or less where the backend takes
 * no frame of several pages. */
uint32_t vif_mtu(const struct vif *vif);

/* Packets that were sent and have not ended. */
uint32_t vif_pending(const struct vif *vif);

/* Takes the next frame of any queue; false: there is none now. It is good until the next call. */
bool vif_receive(struct vif *vif, struct vif_frame *frame);

/* Adds what there is to be waited for, with xenpv_net_half of `halves`; `waits` is
 * {.deadline = UINT64_MAX} at first. */
void vif_add_waits(struct vif *vif, struct vif_waits *waits, uint32_t halves);

/* Waits until something of it may have moved. */
void vif_wait(struct machine *machine, const struct vif_waits *waits);

/* Closes and frees; returns `status`, or what it means that the device failed. */
int vif_close(struct vif *vif, int status);

#endif
