/* SPDX-License-Identifier: MIT */
/* One queue of a network card: frames are sent as fast as they are taken, or taken as they come. */
#include <stdlib.h>
#include <string.h>

#include "bench_net.h"

#define BATCH 64u

/* A lane's own. */
struct work {
    struct xenpv_netq *q;
    uint8_t *bytes; /* of the frame that is sent, over and over */
    struct xenpv_iov iov;
    struct xenpv_net_packet packet;
    uint64_t *began; /* of frames in flight, where they are timed ... */
    uint64_t **idle; /* ... and those of them that are not in use */
    uint32_t idle_count;
    struct xenpv_net_frame frames[BATCH];
};

/* ----------------------------------------------------------------------------------- sending -- */

/* `left`: how many there may be. */
static int send_all(struct work *work, uint32_t *left)
{
    int error = 0;

    while (*left && (error = xenpv_netq_send(work->q, &work->packet, NULL)) == 0)
        --*left;
    return error;
}

static int send_timed(struct work *work, uint32_t *left)
{
    uint64_t now = *left ? os_now_ns() : 0;
    int error = 0;

    while (*left && !error) {
        uint64_t *began = work->idle[work->idle_count - 1];

        *began = now;
        error = xenpv_netq_send(work->q, &work->packet, began);
        work->idle_count -= error == 0;
        *left -= error == 0;
    }
    return error;
}

static void fill_tx(struct bench_lane *lane)
{
    struct work *work = lane->own;
    uint32_t depth = lane->cell->depth, left = depth - lane->in_flight;
    int error = lane->histogram ? send_timed(work, &left) : send_all(work, &left);

    lane->in_flight = depth - left;
    if (error && error != XENPV_EFULL)
        bench_lane_fail(lane, error);
    xenpv_netq_submit(work->q);
}

/* On a card others may send, too: what they sent must not be in the way. */
static void drop_received(struct work *work)
{
    int count = xenpv_netq_receive(work->q, work->frames, BATCH);

    for (int i = 0; i < count; i++)
        xenpv_netq_return(work->q, &work->frames[i]);
}

/* What was dropped behind the backend was taken, but is not counted. */
static bool take_tx(struct bench_lane *lane)
{
    struct work *work = lane->own;
    struct xenpv_completion ended[BATCH];
    uint32_t dropped = 0;
    int count = xenpv_netq_poll(work->q, ended, BATCH);
    uint64_t now = lane->histogram ? os_now_ns() : 0;

    if (lane->cell->link == BENCH_LINK_DEVICE)
        drop_received(work);
    if (count < 0)
        bench_lane_fail(lane, count);
    if (count <= 0)
        return false;
    for (int i = 0; i < count; i++) {
        if (ended[i].user) {
            work->idle[work->idle_count++] = ended[i].user;
            bench_lane_time(lane, *work->idle[work->idle_count - 1], now);
        }
        dropped += ended[i].status == XENPV_EFULL;
        if (ended[i].status && ended[i].status != XENPV_EFULL)
            bench_lane_fail(lane, ended[i].status);
    }
    lane->in_flight -= (uint32_t)count;
    lane->done += (uint64_t)count - dropped;
    return true;
}

/* --------------------------------------------------------------------------------- receiving -- */

/* A card receives what others send: what is not of the cell's kind is not counted. */
static bool take_rx(struct bench_lane *lane)
{
    struct work *work = lane->own;
    const struct bench_cell *cell = lane->cell;
    int count = xenpv_netq_receive(work->q, work->frames, BATCH);
    uint32_t right = 0;

    if (count < 0)
        bench_lane_fail(lane, count);
    for (int i = 0; i < count; i++) {
        const struct xenpv_net_frame *frame = &work->frames[i];

        right += frame->length == cell->size && (frame->offload.mss != 0) == (cell->gso != 0);
        xenpv_netq_return(work->q, frame);
    }
    lane->done += right;
    if (count > 0 && right < (uint32_t)count && cell->link != BENCH_LINK_DEVICE)
        bench_lane_fail(lane, XENPV_EBROKEN);
    return count > 0;
}

/* ------------------------------------------------------------------------------------- lanes -- */

static void fill(struct bench_lane *lane)
{
    if (lane->cell->direction == BENCH_TX)
        fill_tx(lane);
}

static bool take(struct bench_lane *lane)
{
    return lane->cell->direction == BENCH_TX ? take_tx(lane) : take_rx(lane);
}

static xenpv_handle arm(struct bench_lane *lane)
{
    const struct work *work = lane->own;
    enum xenpv_net_half half = lane->cell->direction == BENCH_TX ? XENPV_NET_TX : XENPV_NET_RX;

    return xenpv_netq_arm(work->q, half) == 0 ? xenpv_netq_wait_handle(work->q, half)
                                              : XENPV_NO_HANDLE;
}

static bool make(struct bench_lane *lane, uint32_t number)
{
    const struct bench_cell *cell = lane->cell;
    struct xenpv_net *net = lane->target->front->device;
    struct work *work = lane->own = calloc(1, sizeof(*work));
    struct xenpv_net_info info;

    if (!work)
        return false;
    work->q = xenpv_net_queue(net, number);
    work->bytes = os_alloc(cell->size, XENPV_PAGE_SIZE);
    work->began = calloc(cell->depth, sizeof(work->began[0]));
    work->idle = calloc(cell->depth, sizeof(uint64_t *));
    if (!work->bytes || !work->began || !work->idle)
        return false;
    while (work->idle_count < cell->depth) {
        work->idle[work->idle_count] = &work->began[work->idle_count];
        work->idle_count++;
    }
    xenpv_net_info(net, &info);
    memset(work->bytes, 0, cell->size);
    bench_net_head(cell->gso != 0, info.mac, cell->size, work->bytes);
    work->iov = (struct xenpv_iov){work->bytes, cell->size};
    work->packet = (struct xenpv_net_packet){.iov = &work->iov, .count = 1};
    if (cell->gso)
        work->packet.offload =
            (struct xenpv_net_offload){.checksum = XENPV_NET_CSUM_BLANK, .mss = BENCH_NET_MSS};
    return true;
}

static void drop(struct bench_lane *lane)
{
    struct work *work = lane->own;

    if (!work)
        return;
    os_free(work->bytes);
    free(work->began);
    free(work->idle);
    free(work);
}

const struct bench_lane_ops bench_net_lanes = {
    .make = make,
    .drop = drop,
    .fill = fill,
    .take = take,
    .arm = arm,
    .wrong = "a frame came that nobody had sent",
};
