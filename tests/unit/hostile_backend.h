/* SPDX-License-Identifier: MIT */
/* A backend played by hand: the test writes its keys and its side of the ring. */
#ifndef HOSTILE_BACKEND_H
#define HOSTILE_BACKEND_H

#include <xenpv/ring.h>

#include "blk_rig.h"

struct hostile {
    struct xenpv_map_region map;
    struct xenpv_map_entry entry;
    uint32_t port;
    struct xenpv_ring ring;
};

/* Publishes a sane disk of 1 MiB: all keys but the state. */
void hostile_offer(struct rig *rig);

/* Leads the frontend to CONNECTED with the keys that are there, and maps its ring. */
void hostile_connect(struct rig *rig, struct hostile *hostile);

/* Maps the ring that the frontend has published. */
void hostile_attach(struct rig *rig, struct hostile *hostile);

/* Unmaps, and follows the frontend to Closed; it ends in `state`. */
void hostile_close(struct rig *rig, struct hostile *hostile, enum xenpv_blk_state state);

/* Takes the next request. */
void hostile_take(struct hostile *hostile, struct xenpv_blkif_request *request);

/* Puts a response without showing it; hostile_publish shows all. */
void hostile_put(struct hostile *hostile, uint64_t id, uint8_t op, int16_t status);
void hostile_publish(struct hostile *hostile);

#endif
