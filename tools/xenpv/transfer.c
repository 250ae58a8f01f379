/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>

#include "progress.h"

#define SLOTS      8u
#define SLOT_BYTES (256u * 1024)

enum slot_state { SLOT_EMPTY, SLOT_FLYING, SLOT_LANDED };

/* A piece of the disk on its way. */
struct slot {
    struct xenpv_iov iov;
    uint64_t offset;
    size_t size; /* as much as it is to hold */
    size_t used; /* WRITE: bytes read from the file; READ: bytes written to it */
    enum slot_state state;
    int32_t status;
};

/*
 * Slots are used round and round: made at `tail`, given to the disk at `sent`, retired at `head`.
 * All three count freely.
 */
struct pump {
    struct transfer *transfer;
    struct slot slots[SLOTS];
    unsigned head, sent, tail;
    uint64_t next; /* where the next slot begins */
    bool input_ended;
    bool failed;
    struct slot flush;
    uint8_t *memory;
};

static struct slot *slot_at(struct pump *pump, unsigned number)
{
    return &pump->slots[number % SLOTS];
}

/* Begins a slot at `tail`; all but the first begin at multiples of their size, and so on sectors.
 */
static struct slot *begin_slot(struct pump *pump)
{
    struct slot *slot = slot_at(pump, pump->tail);
    uint64_t left = pump->transfer->end - pump->next;
    size_t size = SLOT_BYTES - pump->next % SLOT_BYTES;

    slot->offset = pump->next;
    slot->size = left < size ? (size_t)left : size;
    slot->used = 0;
    slot->state = SLOT_EMPTY;
    slot->iov =
        (struct xenpv_iov){.base = pump->memory + (size_t)SLOT_BYTES * (pump->tail % SLOTS)};
    return slot;
}

static bool has_room(const struct pump *pump)
{
    return pump->tail - pump->head < SLOTS;
}

/* -------------------------------------------------------------------------------- the device -- */

static void device_failed(struct pump *pump, int error)
{
    pump->failed = true;
    if (xenpv_blk_state(pump->transfer->vbd->blk) == XENPV_BLK_CONNECTED)
        pump->transfer->device_error = error;
}

/* True when the queue took it. */
static bool sent(struct pump *pump, struct slot *slot, int error)
{
    if (error == XENPV_EFULL)
        return false;
    if (error) {
        device_failed(pump, error);
        return false;
    }
    slot->state = SLOT_FLYING;
    return true;
}

static bool send_slot(struct pump *pump, struct slot *slot, size_t bytes)
{
    struct transfer *transfer = pump->transfer;
    struct xenpv_blkq *queue = transfer->vbd->queue;

    slot->iov.length = bytes;
    return sent(pump, slot,
                transfer->write ? xenpv_blkq_writev(queue, slot->offset, &slot->iov, 1, slot)
                                : xenpv_blkq_readv(queue, slot->offset, &slot->iov, 1, slot));
}

static bool take_completions(struct pump *pump)
{
    struct xenpv_completion ended[SLOTS + 1];
    int count = xenpv_blkq_poll(pump->transfer->vbd->queue, ended, SLOTS + 1);

    if (count < 0)
        device_failed(pump, count);
    for (int i = 0; i < count; i++) {
        struct slot *slot = ended[i].user;

        slot->state = SLOT_LANDED;
        slot->status = ended[i].status;
    }
    return count > 0;
}

/* The slot at `head`, when the disk is through with it; it may have failed. */
static struct slot *landed(struct pump *pump)
{
    struct slot *slot = slot_at(pump, pump->head);

    if (pump->head == pump->sent || slot->state != SLOT_LANDED)
        return NULL;
    if (slot->status) {
        device_failed(pump, slot->status);
        return NULL;
    }
    return slot;
}

/* -------------------------------------------------------------------------- the file or pipe -- */

/* True when a call on the file got anywhere. */
static bool stream_moved(struct pump *pump, ptrdiff_t count)
{
    if (count >= 0)
        return true;
    if (errno != EINTR && errno != EAGAIN) {
        pump->transfer->stream_error = errno;
        pump->failed = true;
    }
    return false;
}

/* ----------------------------------------------------------------------------------- reading -- */

static bool ask_disk(struct pump *pump)
{
    bool moved = false;

    while (has_room(pump) && pump->next < pump->transfer->end) {
        struct slot *slot = begin_slot(pump);

        if (!send_slot(pump, slot, slot->size))
            break;
        pump->next += slot->size;
        pump->tail++;
        pump->sent++;
        moved = true;
    }
    return moved;
}

static bool write_out(struct pump *pump)
{
    struct transfer *transfer = pump->transfer;
    struct slot *slot = landed(pump);
    ptrdiff_t count;

    if (!slot)
        return false;
    count = os_write(transfer->fd, (uint8_t *)slot->iov.base + slot->used, slot->size - slot->used);
    if (!stream_moved(pump, count))
        return false;
    slot->used += (size_t)count;
    transfer->done += (uint64_t)count;
    if (slot->used == slot->size)
        pump->head++;
    return true;
}

/* ----------------------------------------------------------------------------------- writing -- */

/* The disk is full: is there anything left that would have to go on it? */
static bool expect_end(struct pump *pump)
{
    struct transfer *transfer = pump->transfer;
    char byte;
    ptrdiff_t count = os_read(transfer->fd, &byte, 1);

    if (!stream_moved(pump, count))
        return false;
    pump->input_ended = true;
    transfer->past_end = count > 0;
    return true;
}

static bool read_in(struct pump *pump)
{
    struct transfer *transfer = pump->transfer;
    struct slot *slot;
    ptrdiff_t count;

    if (pump->input_ended || !has_room(pump))
        return false;
    if (pump->next == transfer->end)
        return expect_end(pump);
    slot = slot_at(pump, pump->tail);
    if (slot->used == 0)
        slot = begin_slot(pump);
    count = os_read(transfer->fd, (uint8_t *)slot->iov.base + slot->used, slot->size - slot->used);
    if (!stream_moved(pump, count))
        return false;
    slot->used += (size_t)count;
    pump->input_ended = count == 0;
    if (slot->used == slot->size || (pump->input_ended && slot->used)) {
        pump->next += slot->used;
        pump->tail++;
    }
    return true;
}

static bool tell_disk(struct pump *pump)
{
    bool moved = false;

    while (pump->sent != pump->tail) {
        struct slot *slot = slot_at(pump, pump->sent);

        if (!send_slot(pump, slot, slot->used))
            break;
        pump->sent++;
        moved = true;
    }
    return moved;
}

static bool retire(struct pump *pump)
{
    struct slot *slot = landed(pump);

    if (!slot)
        return false;
    pump->transfer->done += slot->used;
    slot->used = 0;
    pump->head++;
    return true;
}

/* True once what was written is safe, or the backend has no way to make it so. */
static bool flushed(struct pump *pump)
{
    struct vbd *vbd = pump->transfer->vbd;
    struct xenpv_blk_info info;

    xenpv_blk_info(vbd->blk, &info);
    if (!info.can_flush || pump->transfer->done == 0)
        return true;
    if (pump->flush.state == SLOT_EMPTY)
        sent(pump, &pump->flush, xenpv_blkq_flush(vbd->queue, &pump->flush));
    if (pump->flush.state != SLOT_LANDED)
        return false;
    if (pump->flush.status && pump->flush.status != XENPV_ENOTSUP)
        device_failed(pump, pump->flush.status);
    return true;
}

/* ---------------------------------------------------------------------------------- together -- */

static bool turn(struct pump *pump)
{
    bool moved = take_completions(pump);

    if (pump->transfer->write) {
        moved |= retire(pump);
        moved |= read_in(pump);
        moved |= tell_disk(pump);
    } else {
        moved |= write_out(pump);
        moved |= ask_disk(pump);
    }
    xenpv_blkq_submit(pump->transfer->vbd->queue);
    return moved;
}

static bool finished(struct pump *pump)
{
    if (pump->head != pump->tail)
        return false;
    if (!pump->transfer->write)
        return pump->next == pump->transfer->end;
    return pump->input_ended && flushed(pump);
}

static void wait_for_something(struct pump *pump)
{
    struct transfer *transfer = pump->transfer;
    struct os_wait stream = {.handle = transfer->fd, .writing = !transfer->write};
    bool wanted = transfer->write ? !pump->input_ended && has_room(pump) : landed(pump) != NULL;

    vbd_wait(transfer->vbd, wanted ? &stream : NULL);
}

static bool make_pump(struct transfer *transfer)
{
    struct pump *pump = calloc(1, sizeof(*pump));

    if (!pump)
        return false;
    pump->transfer = transfer;
    pump->next = transfer->offset;
    pump->memory = os_alloc((size_t)SLOTS * SLOT_BYTES, XENPV_PAGE_SIZE);
    transfer->pump = pump;
    return pump->memory != NULL;
}

int transfer_run(struct transfer *transfer)
{
    if (!make_pump(transfer)) {
        transfer->stream_error = ENOMEM;
        return STATUS_FAILED;
    }
    while (vbd_step(transfer->vbd) && !transfer->pump->failed && !os_stop_signal()) {
        if (finished(transfer->pump))
            return STATUS_DONE;
        if (!turn(transfer->pump))
            wait_for_something(transfer->pump);
        progress_show(transfer->done);
    }
    return STATUS_FAILED;
}

void transfer_free(struct transfer *transfer)
{
    if (transfer->pump)
        os_free(transfer->pump->memory);
    free(transfer->pump);
}
