/* SPDX-License-Identifier: MIT */
/* What stands where in the memory that a program gives for a device, by the numbers it asks for. */
#ifndef XENPV_LAYOUT_H
#define XENPV_LAYOUT_H

#include <xenpv/bus.h>

static inline bool within(uint32_t number, uint32_t least, uint32_t most)
{
    return number >= least && number <= most;
}

/* Bytes, but for the last two. */
struct layout_parts {
    size_t device, queue, queue_memory;
    uint32_t queues;
    uint32_t room; /* the bus's */
};

/* Offsets: the device is at 0. */
struct layout {
    size_t queues, ops, rows, queue_memory, end;
};

static inline size_t aligned(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

static inline struct layout lay_out(const struct layout_parts *parts)
{
    size_t rows = parts->room + XENPV_BUS_ROWS;
    struct layout layout = {.queues = aligned(parts->device)};

    layout.ops = aligned(layout.queues + parts->queues * parts->queue);
    layout.rows = aligned(layout.ops + rows * sizeof(struct xenpv_store_op));
    layout.queue_memory = aligned(layout.rows + rows * sizeof(struct xenpv_bus_row));
    layout.end = layout.queue_memory + parts->queues * parts->queue_memory;
    return layout;
}

#endif
