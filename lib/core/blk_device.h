/* SPDX-License-Identifier: MIT */
/* A block device and its queue, from inside. blk.c is the control side, blkq*.c the queue's. */
#ifndef XENPV_BLK_DEVICE_H
#define XENPV_BLK_DEVICE_H

#include <xenpv/blk.h>
#include <xenpv/ring.h>

#include "arena.h"

#define BLK_SLOTS_MAX 32u /* of a one-page ring, in any layout */
#define BLK_CHUNK_MAX (XENPV_BLKIF_SEGMENTS * XENPV_PAGE_SIZE)

/* Where an operation has got to in the caller's vector. */
struct cursor {
    uint32_t element;
    size_t at; /* byte in that element */
};

/* An operation of the caller's; it is sent as one or more requests, each for a chunk of its bytes.
 */
struct blk_operation {
    const struct xenpv_iov *iov;
    uint32_t count;
    uint8_t op;   /* enum xenpv_blkif_op */
    bool partial; /* a write that does not begin and end on sectors */
    bool active;  /* accepted and not ended */
    bool waiting; /* not sent in full: it is in the list `waiting` */
    void *user;
    uint64_t offset, end; /* bytes of the disk */
    uint64_t sent;        /* where the next request begins */
    struct cursor cursor; /* the same place in the vector */
    uint32_t requests;    /* sent and not answered */
    int32_t status;
    uint32_t next; /* operation after this one in its list */
};

enum blk_slot_state { SLOT_FREE, SLOT_FILLED, SLOT_PUBLISHED };

/* A request on the ring; its number is the id. */
struct blk_slot {
    uint8_t state; /* enum blk_slot_state */
    uint8_t op;    /* what was sent */
    bool overlay;  /* a READ that brings whole sectors for a partial write */
    uint8_t pages;
    uint32_t operation;
    uint64_t sector; /* of the chunk, in 512 bytes */
    uint32_t length; /* of the chunk, in bytes */
    uint32_t skip;   /* bytes of the chunk before the caller's ... */
    uint32_t bytes;  /* ... and how many of his */
    struct cursor cursor;
    uint32_t page[XENPV_BLKIF_SEGMENTS];
};

/* A list of operations by number, first in, first out. */
struct blk_list {
    uint32_t first, last;
};
#define BLK_NONE UINT32_MAX

enum blk_stop { BLK_RUN, BLK_DRAIN, BLK_HALT };

/* A violation of the protocol, recorded by the queue and read by control once `broken` is set. */
struct blk_violation {
    uint32_t check, index;
    uint64_t value;
};

struct xenpv_blkq {
    /* Shared between the two threads; all else is the queue's own while it is not parked. */
    uint32_t stop;   /* enum blk_stop: control asks */
    uint32_t parked; /* the queue has acknowledged */
    uint32_t broken;
    struct blk_violation violation;
    int32_t reason; /* with BLK_HALT: what operations end with */

    const struct xenpv_port *port;
    struct arena arena; /* page 0 is the ring */
    struct xenpv_ring ring;
    enum xenpv_abi abi;
    bool poll_mode;
    bool can_flush, readonly;
    uint32_t event_port;
    uint32_t generation; /* of which event_port is */
    bool has_port;
    uint64_t bytes; /* of the disk */
    uint32_t unit;  /* sector size, a power of two */

    struct blk_slot slots[BLK_SLOTS_MAX];
    uint32_t free_slot[BLK_SLOTS_MAX], free_slots;
    uint32_t filled[BLK_SLOTS_MAX], filled_slots; /* put on the ring, not yet published */

    struct blk_operation *operations;
    uint32_t operation_count, pending;
    uint32_t partial_writes;               /* in progress */
    struct blk_list unused, waiting, done; /* waiting: not sent in full */
};

/* ---- the queue's side that control calls while the queue is parked --------------------------- */

void blkq_init(struct xenpv_blkq *q, const struct xenpv_blk_config *config, void *memory);
size_t blkq_memory(const struct xenpv_blk_config *config);

/* Shares the arena and makes ring and event channel; after an error blkq_release is called. */
int blkq_share(struct xenpv_blkq *q, uint16_t backend_id);

/* Opens the queue for its thread; new properties while it is open are taken at the next open. */
void blkq_open(struct xenpv_blkq *q, const struct xenpv_blk_info *info);

/* Asks the queue to stop; true once it has. */
bool blkq_stop(struct xenpv_blkq *q, enum blk_stop how, int reason);

/* Ends the grants and the channel. 0 or XENPV_EBUSY. */
int blkq_release(struct xenpv_blkq *q);
void blkq_abandon(struct xenpv_blkq *q, bool suspended);

/* ---- requests: blk_request.c ----------------------------------------------------------------- */

/* Puts the next request of an operation on the ring. False: no slot or page is free. */
bool blk_request_next(struct xenpv_blkq *q, uint32_t operation);

/* The answer to a published request: gives its slot back, or sends it on as the second half of a
 * partial write. */
void blk_request_end(struct xenpv_blkq *q, uint32_t slot, int16_t status);

#endif
