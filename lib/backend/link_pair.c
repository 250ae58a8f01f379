/* SPDX-License-Identifier: MIT */
/* Links in memory: two ends of a wire, or one that returns everything. */
#include "backend/frame_queue.h"

struct end {
    struct wire *wire;
    struct frame_queue *out, *in;
};

struct wire {
    struct xenpv_allocator allocator;
    uint32_t open;
    struct end ends[2];
    struct frame_queue queues[2];
};

static int send(void *ctx, const struct xenpv_link_frame *frame)
{
    const struct end *end = ctx;

    return frame_queue_put(end->out, frame, 0) ? XENPV_OK : XENPV_EFULL;
}

static int receive(void *ctx, struct xenpv_link_frame *frame)
{
    struct frame_queue *in = ((struct end *)ctx)->in;
    uint8_t *room = frame->data;
    uint32_t at = in->taken;
    uint64_t when;

    if (!frame_queue_look(in, &at, frame, &when))
        return XENPV_ENOENT;
    if (frame->data)
        frame->data = memcpy(room, frame->data, frame->bytes);
    frame_queue_take(in, at);
    return XENPV_OK;
}

static void free_wire(struct wire *wire)
{
    struct xenpv_allocator allocator = wire->allocator;

    frame_queue_destroy(&allocator, &wire->queues[0]);
    frame_queue_destroy(&allocator, &wire->queues[1]);
    allocator.free(allocator.ctx, wire);
}

static void close_end(void *ctx)
{
    struct wire *wire = ((struct end *)ctx)->wire;

    if (--wire->open == 0)
        free_wire(wire);
}

/* A wire of one queue has one end. */
static int make(const struct xenpv_allocator *allocator, uint32_t bytes, uint32_t ends,
                struct xenpv_link *links)
{
    struct wire *wire;
    int error = XENPV_OK;

    if (bytes < FRAME_QUEUE_MIN || (bytes & (bytes - 1)))
        return XENPV_EINVAL;
    wire = allocator->alloc(allocator->ctx, sizeof(*wire), sizeof(void *));
    if (!wire)
        return XENPV_ENOMEM;
    *wire = (struct wire){.allocator = *allocator, .open = ends};
    for (uint32_t i = 0; i < ends && !error; i++) {
        error = frame_queue_create(allocator, bytes, &wire->queues[i]);
        wire->ends[i] = (struct end){wire, &wire->queues[i], &wire->queues[ends - 1 - i]};
        links[i] = (struct xenpv_link){.ctx = &wire->ends[i],
                                       .takes = XENPV_LINK_TAKES_BLANK | XENPV_LINK_TAKES_GSO,
                                       .send = send,
                                       .receive = receive,
                                       .close = close_end};
    }
    if (error)
        free_wire(wire);
    return error;
}

int xenpv_link_loopback(const struct xenpv_allocator *allocator, uint32_t bytes,
                        struct xenpv_link *link)
{
    return make(allocator, bytes, 1, link);
}

int xenpv_link_pair(const struct xenpv_allocator *allocator, uint32_t bytes,
                    struct xenpv_link ends[2])
{
    return make(allocator, bytes, 2, ends);
}
