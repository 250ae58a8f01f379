/* SPDX-License-Identifier: MIT */
#include "backend/frame_queue.h"

/* What stands before the bytes of a frame; they never wrap. */
struct record {
    uint32_t whole; /* bytes of the record, a multiple of ALIGN */
    bool skip;      /* no frame: it only leads back to the beginning of the memory */
    uint64_t when;
    struct xenpv_link_frame frame;
};

#define ALIGN  64u
#define HEADER ((uint32_t)(sizeof(struct record) + ALIGN - 1) & ~(ALIGN - 1))

int frame_queue_create(const struct xenpv_allocator *allocator, uint32_t bytes,
                       struct frame_queue *queue)
{
    *queue = (struct frame_queue){.size = bytes,
                                  .memory = allocator->alloc(allocator->ctx, bytes, ALIGN)};
    return queue->memory ? XENPV_OK : XENPV_ENOMEM;
}

void frame_queue_destroy(const struct xenpv_allocator *allocator, struct frame_queue *queue)
{
    allocator->free(allocator->ctx, queue->memory);
    *queue = (struct frame_queue){0};
}

static struct record *record_at(const struct frame_queue *queue, uint32_t at)
{
    return (struct record *)(void *)(queue->memory + (at & (queue->size - 1)));
}

bool frame_queue_put(struct frame_queue *queue, const struct xenpv_link_frame *frame, uint64_t when)
{
    uint32_t bytes = frame->data ? frame->bytes : 0, put = queue->put;
    uint32_t whole = HEADER + ((bytes + ALIGN - 1) & ~(ALIGN - 1));
    uint32_t to_end = queue->size - (put & (queue->size - 1));
    uint32_t room = queue->size - (put - xenpv_load_acquire(&queue->taken));
    struct record *record;

    if (to_end < whole) {
        if (room < to_end + whole)
            return false;
        *record_at(queue, put) = (struct record){.whole = to_end, .skip = true};
        put += to_end;
    } else if (room < whole) {
        return false;
    }
    record = record_at(queue, put);
    *record = (struct record){.whole = whole, .when = when, .frame = *frame};
    if (bytes) {
        record->frame.data = (uint8_t *)record + HEADER;
        memcpy(record->frame.data, frame->data, bytes);
    }
    xenpv_store_release(&queue->put, put + whole);
    return true;
}

bool frame_queue_look(const struct frame_queue *queue, uint32_t *at, struct xenpv_link_frame *frame,
                      uint64_t *when)
{
    uint32_t put = xenpv_load_acquire(&queue->put);
    const struct record *record;

    if (*at == put)
        return false;
    record = record_at(queue, *at);
    if (record->skip) {
        *at += record->whole;
        record = record_at(queue, *at);
    }
    *frame = record->frame;
    *when = record->when;
    *at += record->whole;
    return true;
}
