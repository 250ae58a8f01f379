/* SPDX-License-Identifier: MIT */
/* Messages of a connection that stands: which is next, and whom an answer is for. */
#include "check.h"
#include "xs.h"

void xs_orphan(struct xenpv_xs *xs, uint32_t tx)
{
    if (xs->orphans < XS_ORPHANS)
        xs->orphan[xs->orphans++] = tx;
}

/* Begins the next message: what others wait for without knowing first. */
static bool next(struct xenpv_xs *xs)
{
    if (!xs->reset) {
        xs_begin(xs, XENPV_XS_RESET_WATCHES, 0);
        xs_add_text(xs, "");
        xs_send(xs, XS_RESET);
        return true;
    }
    if (xs->orphans > 0) {
        xs_begin(xs, XENPV_XS_TRANSACTION_END, xs->orphan[--xs->orphans]);
        xs_add_text(xs, "F");
        xs_send(xs, XS_ORPHAN);
        return true;
    }
    return xs_watch_next(xs) || xs_batch_next(xs);
}

/* True when there is a whole message. */
static bool receive(struct xenpv_xs *xs)
{
    for (;;) {
        uint32_t whole = XS_HEADER + (xs->in_have < XS_HEADER ? 0 : xs->in.length);

        if (xs->in_have >= XS_HEADER && xs->in_have == whole)
            return true;

        uint32_t count = xs_ring_take(xs, xs->in_bytes + xs->in_have, whole - xs->in_have);

        if (count == 0)
            return false;
        xs->in_have += count;
        if (xs->in_have != XS_HEADER)
            continue;
        memcpy(&xs->in, xs->in_bytes, XS_HEADER);
        if (!XENPV_CHECK(XS_LENGTH, xs->in.length <= XENPV_XS_PAYLOAD)) {
            xs_violated(xs, XENPV_CHECK_XS_LENGTH, xs->rsp_cons, xs->in.length);
            return false;
        }
        /* For the build without this check. */
        xs->in.length = xs->in.length < XENPV_XS_PAYLOAD ? xs->in.length : XENPV_XS_PAYLOAD;
    }
}

/* The answer to nothing that is still wanted: late, or made up. */
static void drop(struct xenpv_xs *xs)
{
    uint32_t tx;

    if (xs->in.type == XENPV_XS_TRANSACTION_START &&
        xs_number(xs_payload(xs), xs->in.length, &tx) && tx != xs->tx)
        xs_orphan(xs, tx);
}

static void answer(struct xenpv_xs *xs)
{
    bool failed = xs->in.type == XENPV_XS_ERROR;
    enum xs_asked asked = xs->asked;

    if (!XENPV_CHECK(XS_TYPE, failed || xs->in.type == xs->asked_type)) {
        xs_violated(xs, XENPV_CHECK_XS_TYPE, xs->rsp_cons, xs->in.type);
        return;
    }

    int err = failed ? xs_error(xs_payload(xs), xs->in.length) : XENPV_OK;

    xs->asked = XS_NOTHING;
    xs->due = 0;
    /* A server that does not know how to reset says so; what it keeps it answers with EEXIST. */
    if (asked == XS_RESET)
        xs->reset = true;
    else if (asked == XS_WATCH || asked == XS_UNWATCH)
        xs_watch_answer(xs, err);
    else if (asked == XS_BATCH)
        xs_batch_answer(xs, err);
}

static void dispatch(struct xenpv_xs *xs)
{
    if (xs->in.type == XENPV_XS_WATCH_EVENT)
        xs_watch_event(xs);
    else if (xs->asked != XS_NOTHING && xs->in.id == xs->asked_id)
        answer(xs);
    else
        drop(xs);
    xs->in_have = 0;
}

bool xs_exchange(struct xenpv_xs *xs)
{
    bool idle = xs->asked == XS_NOTHING && xs->out_at == xs->out_length;
    bool moved = idle && next(xs);

    if (xs->out_at < xs->out_length) {
        uint32_t count = xs_ring_put(xs, xs->out_bytes + xs->out_at, xs->out_length - xs->out_at);

        xs->out_at += count;
        moved = moved || count > 0;
    }
    if (xs->state == XENPV_XS_CONNECTED && receive(xs)) {
        dispatch(xs);
        moved = true;
    }
    return moved || xs->state != XENPV_XS_CONNECTED;
}
