/* SPDX-License-Identifier: MIT */
/*
 * Frames that wait, first in first out, in a fixed piece of memory. One thread puts, one takes;
 * they may be the same.
 */
#ifndef XENPV_BACKEND_FRAME_QUEUE_H
#define XENPV_BACKEND_FRAME_QUEUE_H

#include <xenpv/harness/link.h>

struct frame_queue {
    uint8_t *memory; /* NULL: it holds nothing */
    uint32_t size;   /* bytes, a power of two */
    uint32_t put;    /* free running; written by who puts ... */
    uint32_t taken;  /* ... and by who takes */
};

#define FRAME_QUEUE_MIN 262144u /* bytes: holds a largest frame wherever it begins */

/* `bytes` is a power of two, FRAME_QUEUE_MIN or more. XENPV_ENOMEM. */
int frame_queue_create(const struct xenpv_allocator *allocator, uint32_t bytes,
                       struct frame_queue *queue);
void frame_queue_destroy(const struct xenpv_allocator *allocator, struct frame_queue *queue);

/* Copies a frame, and `when`, into the queue. False: there is no room. */
bool frame_queue_put(struct frame_queue *queue, const struct xenpv_link_frame *frame,
                     uint64_t when);

/* A frame of the queue, and where the next one is. `at` is queue->taken for the first one. False:
 * there is none. */
bool frame_queue_look(const struct frame_queue *queue, uint32_t *at, struct xenpv_link_frame *frame,
                      uint64_t *when);

/* All frames before `at` are taken: their memory is free. */
static inline void frame_queue_take(struct frame_queue *queue, uint32_t at)
{
    xenpv_store_release(&queue->taken, at);
}

#endif
