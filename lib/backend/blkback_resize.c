/* SPDX-License-Identifier: MIT */
/* A new size, told as Linux blkback does: `sectors`, and state 4 once more. */
#include "backend/blkback.h"

#define AGAIN_MS 100u

enum { READ_STATE, WRITE_SECTORS, WRITE_STATE, OPERATIONS };

static void build(struct xenpv_blkback *back)
{
    static const char *const names[OPERATIONS] = {"state", "sectors", "state"};
    struct blkback_resize *resize = &back->resize;

    for (uint32_t i = 0; i < OPERATIONS; i++)
        resize->ops[i] =
            (struct xenpv_store_op){.type = i == READ_STATE ? XENPV_STORE_READ : XENPV_STORE_WRITE,
                                    .dir = back->config.path,
                                    .name = names[i],
                                    .value = resize->text[i],
                                    .capacity = sizeof(resize->text[i])};
    resize->ops[WRITE_SECTORS].length =
        xenpv_format_number(blkback_sectors(back), resize->text[WRITE_SECTORS]);
    resize->ops[WRITE_STATE].length =
        xenpv_format_number(XENPV_STATE_CONNECTED, resize->text[WRITE_STATE]);
    resize->batch =
        (struct xenpv_store_batch){.ops = resize->ops,
                                   .count = OPERATIONS,
                                   .transaction = back->port->caps & XENPV_CAP_TRANSACTIONS};
}

/* The toolstack may have asked us to close where our 4 stands now: it is obeyed all the same. */
static bool told_to_close(const struct xenpv_store_op *op)
{
    return op->status == XENPV_OK && op->length == 1 &&
           (*(const char *)op->value == '0' + XENPV_STATE_CLOSING ||
            *(const char *)op->value == '0' + XENPV_STATE_CLOSED);
}

static void ended(struct xenpv_blkback *back, uint64_t now)
{
    struct blkback_resize *resize = &back->resize;
    bool good = resize->batch.status == XENPV_OK && resize->ops[WRITE_SECTORS].status == XENPV_OK &&
                resize->ops[WRITE_STATE].status == XENPV_OK;

    resize->started = false;
    if (!good) {
        resize->wanted = true;
        resize->retry_at = now + AGAIN_MS;
    }
    if (told_to_close(&resize->ops[READ_STATE]))
        xenpv_bus_start(&back->bus, XENPV_GOAL_CLOSE, now);
}

/* State 4 in the store is ours, and nothing is under way that would write another. */
static bool connected(const struct xenpv_blkback *back)
{
    return back->bus.phase == XENPV_BUS_CONNECTED && back->bus.own_state == XENPV_STATE_CONNECTED;
}

void blkback_resize_step(struct xenpv_blkback *back, uint64_t now)
{
    const struct xenpv_port *port = back->port;
    struct blkback_resize *resize = &back->resize;
    int answer;

    if (!connected(back)) {
        blkback_resize_drop(back);
        return;
    }
    if (resize->started) {
        answer = port->store->check(port->ctx, &resize->batch);
    } else {
        if (!resize->wanted || now < resize->retry_at)
            return;
        build(back);
        resize->wanted = false;
        answer = port->store->start(port->ctx, &resize->batch);
    }
    resize->started = answer == XENPV_PENDING;
    if (!resize->started)
        ended(back, now);
}

void blkback_resize_drop(struct xenpv_blkback *back)
{
    struct blkback_resize *resize = &back->resize;

    if (resize->started)
        back->port->store->cancel(back->port->ctx, &resize->batch);
    resize->started = false;
}

uint64_t blkback_resize_deadline(const struct xenpv_blkback *back)
{
    const struct blkback_resize *resize = &back->resize;

    return resize->wanted && !resize->started && connected(back) ? resize->retry_at : UINT64_MAX;
}

void xenpv_blkback_resized(struct xenpv_blkback *back)
{
    back->resize.wanted = true;
    back->resize.retry_at = 0;
}
