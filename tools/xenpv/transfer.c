/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "form.h"
#include "progress.h"

#define BLOCK 4096u /* what a file system gives room for: smaller runs of zeroes are written */

enum state { PIECE_IDLE, PIECE_FLYING, PIECE_LANDED };

/* What one end has to do with a slot. */
struct piece {
    struct xenpv_iov iov;
    size_t used; /* bytes that a file or pipe has given or taken */
    enum state state;
    int32_t status;
};

/* A stretch of bytes on its way. */
struct slot {
    uint64_t at; /* from the beginning of the transfer */
    size_t size;
    struct piece pieces[2]; /* of source and target */
};

/* One end's part: it works on slots in their order, and is through with those before `ended`. */
struct lane {
    struct place *place;
    bool writes;
    unsigned number; /* its own */
    uint64_t begun, ended;
};

/*
 * Slots are used round and round, and retired when all ends are through with them. Their numbers
 * only grow: PIECES need not be a power of two.
 */
struct pump {
    struct transfer *transfer;
    struct lane lanes[2];
    unsigned lane_count;
    struct slot slots[PIECES];
    uint64_t made, retired;
    uint64_t next;    /* where the next slot begins */
    uint64_t limit;   /* where the last one ends at the latest */
    bool input_ended; /* no more slots are made */
    bool failed;
    struct piece flush;
    uint8_t *memory;
};

static struct slot *slot_at(struct pump *pump, uint64_t number)
{
    return &pump->slots[number % PIECES];
}

static bool is_before(uint64_t a, uint64_t b)
{
    return a < b;
}

/* ------------------------------------------------------------------------------------- slots -- */

/*
 * Slots meet at multiples of their size where they are written, and so on sectors: a sector is
 * never in two operations.
 */
static size_t slot_size(const struct pump *pump)
{
    const struct transfer *transfer = pump->transfer;
    const struct place *aligned =
        transfer->target && transfer->target->is_disk ? transfer->target : transfer->source;
    uint64_t left = pump->limit - pump->next;
    size_t size = PIECE_BYTES - (aligned->offset + pump->next) % PIECE_BYTES;

    return left < size ? (size_t)left : size;
}

static void make_slots(struct pump *pump)
{
    while (!pump->input_ended && pump->next < pump->limit && pump->made - pump->retired < PIECES) {
        struct slot *slot = slot_at(pump, pump->made++);

        slot->at = pump->next;
        slot->size = slot_size(pump);
        for (unsigned i = 0; i < 2; i++) {
            slot->pieces[i].state = PIECE_IDLE;
            slot->pieces[i].used = 0;
        }
        pump->next += slot->size;
    }
}

/* No slot from `number` on: they have not been filled. */
static void end_input(struct pump *pump, uint64_t number)
{
    pump->made = number;
    pump->input_ended = true;
}

/* Where a lane has to stop: at what there is, or behind a source that may end before its time. */
static uint64_t ready(const struct pump *pump, const struct lane *lane)
{
    if (lane->number == 0 || (pump->transfer->compare && pump->transfer->source->sized))
        return pump->made;
    return is_before(pump->lanes[0].ended, pump->made) ? pump->lanes[0].ended : pump->made;
}

/*
 * What was read before a failure of the source still gets to the target; a failure of the target is
 * the end.
 */
static void lane_failed(struct pump *pump, struct lane *lane, int stream_error, int device_error)
{
    struct transfer *transfer = pump->transfer;

    transfer->failed = lane->place;
    transfer->stream_error = stream_error;
    transfer->device_error = device_error;
    transfer->failed_at = lane->place->offset + slot_at(pump, lane->ended)->at;
    if (lane->number == 0)
        end_input(pump, lane->ended);
    else
        pump->failed = true;
}

/* ------------------------------------------------------------------------------------- disks -- */

/* False when the queue does not take it now. */
static bool sent(struct pump *pump, struct lane *lane, struct piece *piece, int error)
{
    if (error == XENPV_OK)
        piece->state = PIECE_FLYING;
    else if (error != XENPV_EFULL && error != XENPV_EPARKED)
        lane_failed(pump, lane, 0, error);
    return error == XENPV_OK;
}

static bool begin_slot(struct pump *pump, struct lane *lane)
{
    struct slot *slot = slot_at(pump, lane->begun);
    struct piece *piece = &slot->pieces[lane->number];
    struct xenpv_blkq *queue = vbd_queue(&lane->place->vbd, (unsigned)lane->begun);
    uint64_t offset = lane->place->offset + slot->at;

    piece->iov.length = slot->size;
    return sent(pump, lane, piece,
                lane->writes ? xenpv_blkq_writev(queue, offset, &piece->iov, 1, piece)
                             : xenpv_blkq_readv(queue, offset, &piece->iov, 1, piece));
}

/* A queue that has parked is control's to be told of: that is a move, too. */
static bool take_completions(struct vbd *vbd)
{
    struct xenpv_completion ended[PIECES + 1];
    bool moved = false;

    for (uint32_t q = 0; q < vbd->config.queues; q++) {
        int count = xenpv_blkq_poll(xenpv_blk_queue(vbd->blk, q), ended, PIECES + 1);

        moved |= count > 0 || (count < 0 && q < vbd->queues);
        for (int i = 0; i < count; i++) {
            struct piece *piece = ended[i].user;

            piece->state = PIECE_LANDED;
            piece->status = ended[i].status;
        }
    }
    return moved;
}

static bool run_disk(struct pump *pump, struct lane *lane)
{
    bool moved = take_completions(&lane->place->vbd);

    while (is_before(lane->ended, lane->begun) && is_before(lane->ended, pump->made)) {
        struct piece *piece = &slot_at(pump, lane->ended)->pieces[lane->number];

        if (piece->state != PIECE_LANDED)
            break;
        if (piece->status) {
            lane_failed(pump, lane, 0, piece->status);
            break;
        }
        lane->ended++;
        moved = true;
    }
    while (is_before(lane->begun, ready(pump, lane)) && begin_slot(pump, lane)) {
        lane->begun++;
        moved = true;
    }
    for (uint32_t q = 0; q < lane->place->vbd.queues; q++)
        xenpv_blkq_submit(xenpv_blk_queue(lane->place->vbd.blk, q));
    return moved;
}

/* -------------------------------------------------------------------------- files and pipes -- */

/* True when a call on the file got anywhere. */
static bool stream_moved(struct pump *pump, struct lane *lane, ptrdiff_t count)
{
    if (count >= 0)
        return true;
    if (errno != EINTR && errno != EAGAIN)
        lane_failed(pump, lane, errno, 0);
    return false;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* How many bytes from here on are whole blocks of zeroes, or `zero` false: are none. */
static size_t run_length(const uint8_t *bytes, size_t length, bool zero)
{
    size_t run = 0;

    while (run < length && length - run >= BLOCK && is_zero(bytes + run, BLOCK) == zero)
        run += BLOCK;
    return zero || length - run >= BLOCK ? run : length;
}

static ptrdiff_t write_stream(const struct place *place, const uint8_t *bytes, size_t length)
{
    size_t zeroes = place->sparse ? run_length(bytes, length, true) : 0;

    if (zeroes)
        return os_skip(place->fd, zeroes) ? -1 : (ptrdiff_t)zeroes;
    return os_write(place->fd, bytes, place->sparse ? run_length(bytes, length, false) : length);
}

static void stream_ended(struct pump *pump, struct lane *lane, struct slot *slot, size_t used)
{
    struct transfer *transfer = pump->transfer;

    if (lane->number != 0 || transfer->total != UINT64_MAX)
        transfer->ended = lane->place;
    slot->size = used;
    lane->ended += used != 0;
    end_input(pump, lane->ended);
}

/* There is no more room: is there anything left that would need it? */
static bool expect_end(struct pump *pump, struct lane *lane)
{
    struct transfer *transfer = pump->transfer;
    char byte;
    ptrdiff_t count;

    if (transfer->total != UINT64_MAX || pump->input_ended || pump->next < pump->limit)
        return false;
    count = os_read(lane->place->fd, &byte, 1);
    if (!stream_moved(pump, lane, count))
        return false;
    transfer->past_end = count > 0;
    pump->input_ended = true;
    return true;
}

static bool run_stream(struct pump *pump, struct lane *lane)
{
    struct slot *slot = slot_at(pump, lane->ended);
    struct piece *piece = &slot->pieces[lane->number];
    uint8_t *bytes = (uint8_t *)piece->iov.base + piece->used;
    ptrdiff_t count;

    if (!is_before(lane->ended, ready(pump, lane)))
        return lane->number == 0 && expect_end(pump, lane);
    count = lane->writes ? write_stream(lane->place, bytes, slot->size - piece->used)
                         : os_read(lane->place->fd, bytes, slot->size - piece->used);
    if (!stream_moved(pump, lane, count))
        return false;
    piece->used += (size_t)count;
    if (count == 0 && !lane->writes)
        stream_ended(pump, lane, slot, piece->used);
    else if (piece->used == slot->size)
        lane->ended++;
    return true;
}

/* A stream that there is something to do for, once it is ready. */
static bool stream_is_wanted(const struct pump *pump, const struct lane *lane)
{
    if (is_before(lane->ended, ready(pump, lane)))
        return true;
    return lane->number == 0 && pump->transfer->total == UINT64_MAX && !pump->input_ended &&
           pump->next == pump->limit;
}

/* ------------------------------------------------------------------------------------ ending -- */

static void compare(struct transfer *transfer, const struct slot *slot)
{
    const uint8_t *source = slot->pieces[0].iov.base, *target = slot->pieces[1].iov.base;

    if (memcmp(source, target, slot->size) == 0)
        return;
    for (size_t i = 0; i < slot->size; i++)
        if (source[i] != target[i] && transfer->different++ == 0)
            transfer->first_difference = slot->at + i;
}

static bool retire(struct pump *pump)
{
    const struct lane *last = &pump->lanes[pump->lane_count - 1];
    struct transfer *transfer = pump->transfer;
    uint64_t before = pump->retired;

    while (is_before(pump->retired, pump->lanes[0].ended) &&
           is_before(pump->retired, last->ended) && is_before(pump->retired, pump->made)) {
        const struct slot *slot = slot_at(pump, pump->retired++);

        if (transfer->compare)
            compare(transfer, slot);
        transfer->done = slot->at + slot->size;
    }
    /* Of the slot that is being written to a file, a part has arrived. */
    if (last->writes && !last->place->is_disk && is_before(pump->retired, pump->made))
        transfer->done = slot_at(pump, pump->retired)->at +
                         slot_at(pump, pump->retired)->pieces[last->number].used;
    return pump->retired != before;
}

/* True once what was written is safe, or the backend has no way to make it so. */
static bool flushed(struct pump *pump)
{
    struct lane *lane = &pump->lanes[1];
    struct xenpv_blk_info info;

    if (pump->lane_count < 2 || !lane->writes || !lane->place->is_disk || pump->transfer->done == 0)
        return true;
    xenpv_blk_info(lane->place->vbd.blk, &info);
    if (pump->flush.state == PIECE_IDLE) {
        struct xenpv_blkq *queue = vbd_queue(&lane->place->vbd, 0);

        if (!info.can_flush)
            return true;
        sent(pump, lane, &pump->flush, xenpv_blkq_flush(queue, &pump->flush));
        xenpv_blkq_submit(queue);
    }
    if (pump->flush.state != PIECE_LANDED)
        return false;
    if (pump->flush.status && pump->flush.status != XENPV_ENOTSUP) {
        lane_failed(pump, lane, 0, pump->flush.status);
        pump->transfer->unflushed = true;
    }
    return true;
}

/* The end of a sparse file. */
static bool closed_off(struct pump *pump)
{
    struct lane *lane = &pump->lanes[1];

    if (pump->lane_count < 2 || !lane->writes || !lane->place->sparse ||
        os_end(lane->place->fd) == 0)
        return true;
    lane_failed(pump, lane, errno, 0);
    return false;
}

/* -------------------------------------------------------------------------------- together -- */

static bool finished(struct pump *pump)
{
    bool all_made =
        pump->input_ended || (pump->transfer->total != UINT64_MAX && pump->next == pump->limit);

    return all_made && pump->retired == pump->made && flushed(pump);
}

static bool turn(struct pump *pump)
{
    bool moved = false;

    make_slots(pump);
    for (unsigned i = 0; i < pump->lane_count; i++)
        moved |= pump->lanes[i].place->is_disk ? run_disk(pump, &pump->lanes[i])
                                               : run_stream(pump, &pump->lanes[i]);
    return retire(pump) || moved;
}

/* False when a disk is not connected any more. */
static bool step(struct pump *pump)
{
    bool good = true;

    for (unsigned i = 0; i < pump->lane_count; i++)
        if (pump->lanes[i].place->is_disk)
            good &= vbd_step(&pump->lanes[i].place->vbd);
    return good;
}

static void wait_for_something(struct pump *pump)
{
    struct vbd_waits waits = {.deadline = UINT64_MAX};

    for (unsigned i = 0; i < pump->lane_count; i++) {
        const struct lane *lane = &pump->lanes[i];

        if (lane->place->is_disk)
            vbd_add_waits(&lane->place->vbd, &waits);
        else if (stream_is_wanted(pump, lane))
            waits.waits[waits.count++] =
                (struct os_wait){.handle = lane->place->fd, .writing = lane->writes};
    }
    vbd_wait(pump->transfer->machine, &waits);
}

static void set_lanes(struct pump *pump)
{
    struct transfer *transfer = pump->transfer;

    pump->lanes[0] = (struct lane){.place = transfer->source, .number = 0};
    pump->lanes[1] =
        (struct lane){.place = transfer->target, .writes = !transfer->compare, .number = 1};
    pump->lane_count = transfer->target ? 2 : 1;
}

/* Where both ends are read, each has memory of its own. */
static bool make_pump(struct transfer *transfer)
{
    struct pump *pump = calloc(1, sizeof(*pump));
    size_t each = (size_t)PIECES * PIECE_BYTES;

    if (!pump)
        return false;
    pump->transfer = transfer;
    pump->limit = transfer->total < transfer->room ? transfer->total : transfer->room;
    pump->memory = os_alloc(transfer->compare ? 2 * each : each, XENPV_PAGE_SIZE);
    set_lanes(pump);
    transfer->pump = pump;
    for (unsigned i = 0; pump->memory && i < PIECES; i++) {
        uint8_t *bytes = pump->memory + (size_t)i * PIECE_BYTES;

        pump->slots[i].pieces[0].iov.base = bytes;
        pump->slots[i].pieces[1].iov.base = transfer->compare ? bytes + each : bytes;
    }
    return pump->memory != NULL;
}

int transfer_run(struct transfer *transfer)
{
    if (!make_pump(transfer)) {
        transfer->stream_error = ENOMEM;
        transfer->failed = transfer->source;
        return STATUS_FAILED;
    }
    while (step(transfer->pump) && !transfer->pump->failed && !os_stop_signal()) {
        if (finished(transfer->pump))
            return closed_off(transfer->pump) && !transfer->failed && !transfer->ended
                       ? STATUS_DONE
                       : STATUS_FAILED;
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
