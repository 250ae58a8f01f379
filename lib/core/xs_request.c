/* SPDX-License-Identifier: MIT */
/* Messages of any other kind: in the queue as a batch without operations. */
#include "xs.h"

#define REQUEST_MARK UINT32_MAX /* as count of operations: more than memory holds */

static struct xenpv_xs_request *request_of(struct xenpv_store_batch *batch)
{
    return (struct xenpv_xs_request *)(void *)((char *)batch -
                                               offsetof(struct xenpv_xs_request, batch));
}

bool xs_batch_is_request(const struct xenpv_store_batch *batch)
{
    return batch->count == REQUEST_MARK;
}

void xs_request_begin(struct xenpv_xs *xs, struct xenpv_store_batch *batch)
{
    const struct xenpv_xs_request *request = request_of(batch);

    xs_begin(xs, request->type, request->tx);
    xs_add(xs, request->payload, request->length);
}

void xs_request_answer(struct xenpv_xs *xs, struct xenpv_store_batch *batch, int err)
{
    struct xenpv_xs_request *request = request_of(batch);
    uint32_t length = xs->in.length, room = request->capacity;

    room = room < length ? room : length;
    if (room)
        memcpy(request->reply, xs_payload(xs), room);
    request->reply_type = xs->in.type;
    request->reply_length = length;
    request->status =
        err == XENPV_OK && request->capacity && length > request->capacity ? XENPV_E2BIG : err;
}

void xs_request_end(struct xenpv_store_batch *batch, int err)
{
    request_of(batch)->status = err;
}

/* What would take the client's watches away from it, or is no request. */
static bool ours(uint32_t type)
{
    return type == XENPV_XS_WATCH || type == XENPV_XS_UNWATCH || type == XENPV_XS_RESET_WATCHES ||
           type == XENPV_XS_WATCH_EVENT || type == XENPV_XS_ERROR;
}

int xenpv_xs_request(struct xenpv_xs *xs, struct xenpv_xs_request *request)
{
    request->batch = (struct xenpv_store_batch){.count = REQUEST_MARK};
    request->reply_length = 0;
    request->status = XENPV_OK;
    if (ours(request->type) || (request->length && !request->payload))
        request->status = XENPV_EINVAL;
    else if (request->length > XENPV_XS_PAYLOAD)
        request->status = XENPV_E2BIG;
    return request->status ? XENPV_OK : xs_batch_queue(xs, &request->batch);
}

int xenpv_xs_request_check(struct xenpv_xs *xs, struct xenpv_xs_request *request)
{
    return xs_batch_check(xs, &request->batch);
}

void xenpv_xs_request_cancel(struct xenpv_xs *xs, struct xenpv_xs_request *request)
{
    xs_batch_cancel(xs, &request->batch);
}
