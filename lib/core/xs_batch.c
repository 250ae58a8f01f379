/* SPDX-License-Identifier: MIT */
/* The queue of batches, linked by their port_data, and the way of its first one. */
#include <xenpv/store.h>

#include "check.h"
#include "xs.h"

/* The port_data of the last batch: an address that is no batch's. NULL: the batch has ended. */
static void *last_mark(struct xenpv_xs *xs)
{
    return &xs->last;
}

static int status_of(const struct xenpv_store_batch *batch)
{
    return batch->port_data ? XENPV_PENDING : XENPV_OK;
}

static bool modifies(const struct xenpv_store_op *op)
{
    return op->type == XENPV_STORE_WRITE || op->type == XENPV_STORE_MKDIR ||
           op->type == XENPV_STORE_RM || op->type == XENPV_STORE_SET_PERMS;
}

/* These take a domain: a server would refuse them inside a transaction, or not look at it. */
static bool alone(const struct xenpv_store_op *op)
{
    return op->type == XENPV_STORE_DOMAIN_PATH || op->type == XENPV_STORE_INTRODUCED;
}

static struct xenpv_store_batch *next_of(struct xenpv_xs *xs, const struct xenpv_store_batch *batch)
{
    return batch->port_data == last_mark(xs) ? NULL : batch->port_data;
}

static void unlink_first(struct xenpv_xs *xs)
{
    struct xenpv_store_batch *batch = xs->first;

    xs->first = next_of(xs, batch);
    xs->last = xs->first ? xs->last : NULL;
    batch->port_data = NULL;
    xs->phase = XS_START;
    xs->op = xs->tx = 0;
    xs->failure = XENPV_OK;
    xs->list = (struct xs_list){0};
    xs->news = true;
}

/* What follows the first operation that was not tried has its error. */
static void fail_ops(struct xenpv_store_batch *batch, uint32_t from, int err)
{
    for (uint32_t i = from; i < batch->count; i++)
        batch->ops[i].status = err;
}

static void finish(struct xenpv_xs *xs, int status)
{
    xs->first->status = status;
    unlink_first(xs);
}

/* A transaction that nobody will end otherwise. */
static void abandon_transaction(struct xenpv_xs *xs)
{
    bool ending = xs->phase == XS_END && xs->asked == XS_BATCH;

    if (xs->tx && !ending)
        xs_orphan(xs, xs->tx);
    xs->tx = 0;
}

void xs_batch_fail(struct xenpv_xs *xs, int err)
{
    abandon_transaction(xs);
    while (xs->first) {
        if (xs_batch_is_request(xs->first))
            xs_request_end(xs->first, err);
        else
            fail_ops(xs->first, xs->op, err);
        finish(xs, err);
    }
}

/* The operation has ended. */
static void op_ended(struct xenpv_xs *xs, int err)
{
    struct xenpv_store_batch *batch = xs->first;
    const struct xenpv_store_op *op = &batch->ops[xs->op];

    batch->ops[xs->op++].status = err;
    xs->list = (struct xs_list){0};
    if (!batch->transaction || err == XENPV_OK || (!batch->strict && !modifies(op)))
        return;
    fail_ops(batch, xs->op, err);
    xs->failure = err;
    xs->op = batch->count;
}

static void begin_transaction(struct xenpv_xs *xs)
{
    xs_begin(xs, XENPV_XS_TRANSACTION_START, 0);
    xs_add_text(xs, "");
}

static void end_transaction(struct xenpv_xs *xs)
{
    xs_begin(xs, XENPV_XS_TRANSACTION_END, xs->tx);
    xs_add_text(xs, xs->failure ? "F" : "T");
}

/* Begins a message for the first batch. False: it needs none any more. */
static bool begin_message(struct xenpv_xs *xs)
{
    struct xenpv_store_batch *batch = xs->first;

    if (xs->phase == XS_START) {
        if (batch->transaction) {
            begin_transaction(xs);
            return true;
        }
        xs->phase = XS_OPS;
    }
    while (xs->op < batch->count) {
        struct xenpv_store_op *op = &batch->ops[xs->op];
        int err = batch->transaction && alone(op) ? XENPV_EINVAL : xenpv_store_check(op);

        if (!err) {
            xs_op_begin(xs, op, xs->tx);
            return true;
        }
        op_ended(xs, err);
    }
    if (!batch->transaction)
        return false;
    xs->phase = XS_END;
    end_transaction(xs);
    return true;
}

bool xs_batch_next(struct xenpv_xs *xs)
{
    while (xs->first) {
        bool begun = true;

        if (xs_batch_is_request(xs->first))
            xs_request_begin(xs, xs->first);
        else
            begun = begin_message(xs);
        if (begun) {
            xs_send(xs, XS_BATCH);
            return true;
        }
        finish(xs, XENPV_OK);
    }
    return false;
}

static void started(struct xenpv_xs *xs, int err)
{
    bool numbered = xs_number(xs_payload(xs), xs->in.length, &xs->tx);

    if (!err && !XENPV_CHECK(XS_ANSWER, numbered))
        err = XENPV_ESTORE;
    if (err) {
        fail_ops(xs->first, 0, err);
        finish(xs, err);
        return;
    }
    xs->phase = XS_OPS;
}

void xs_batch_answer(struct xenpv_xs *xs, int err)
{
    if (xs_batch_is_request(xs->first)) {
        xs_request_answer(xs, xs->first, err);
        finish(xs, XENPV_OK);
    } else if (xs->phase == XS_START) {
        started(xs, err);
    } else if (xs->phase == XS_END) {
        finish(xs, xs->failure ? xs->failure : err);
    } else {
        err = xs_op_answer(xs, &xs->first->ops[xs->op], err);
        if (err != XENPV_PENDING)
            op_ended(xs, err);
    }
}

int xs_batch_queue(struct xenpv_xs *xs, struct xenpv_store_batch *batch)
{
    batch->port_data = last_mark(xs);
    if (xs->last)
        xs->last->port_data = batch;
    else
        xs->first = batch;
    xs->last = batch;
    xs_pump(xs);
    return status_of(batch);
}

int xs_batch_start(void *ctx, struct xenpv_store_batch *batch)
{
    batch->status = XENPV_OK;
    for (uint32_t i = 0; i < batch->count; i++)
        if (!xs_op_sends(&batch->ops[i]))
            batch->ops[i].length = 0;
    return xs_batch_queue(ctx, batch);
}

int xs_batch_check(void *ctx, struct xenpv_store_batch *batch)
{
    struct xenpv_xs *xs = ctx;

    xs_pump(xs);
    return status_of(batch);
}

/* The answer that is still to come is known by its id, and dropped. */
static void cancel_first(struct xenpv_xs *xs)
{
    abandon_transaction(xs);
    if (xs->asked == XS_BATCH)
        xs->asked = XS_NOTHING;
    xs->due = 0;
    unlink_first(xs);
}

void xs_batch_cancel(void *ctx, struct xenpv_store_batch *batch)
{
    struct xenpv_xs *xs = ctx;
    struct xenpv_store_batch *before = xs->first;

    if (status_of(batch) == XENPV_OK)
        return;
    if (before == batch) {
        cancel_first(xs);
        return;
    }
    while (before->port_data != batch)
        before = before->port_data;
    before->port_data = batch->port_data;
    xs->last = xs->last == batch ? before : xs->last;
    batch->port_data = NULL;
}
