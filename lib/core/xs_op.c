/* SPDX-License-Identifier: MIT */
/* One operation of a batch: its message, and what the answer means. */
#include "check.h"
#include "xs.h"

static const uint32_t types[] = {
    [XENPV_STORE_READ] = XENPV_XS_READ,
    [XENPV_STORE_LIST] = XENPV_XS_DIRECTORY,
    [XENPV_STORE_WRITE] = XENPV_XS_WRITE,
    [XENPV_STORE_MKDIR] = XENPV_XS_MKDIR,
    [XENPV_STORE_RM] = XENPV_XS_RM,
    [XENPV_STORE_GET_PERMS] = XENPV_XS_GET_PERMS,
    [XENPV_STORE_SET_PERMS] = XENPV_XS_SET_PERMS,
    [XENPV_STORE_DOMAIN_PATH] = XENPV_XS_GET_DOMAIN_PATH,
    [XENPV_STORE_INTRODUCED] = XENPV_XS_IS_DOMAIN_INTRODUCED,
};

bool xs_op_sends(const struct xenpv_store_op *op)
{
    return op->type == XENPV_STORE_WRITE || op->type == XENPV_STORE_SET_PERMS;
}

static void add_path(struct xenpv_xs *xs, const struct xenpv_store_op *op)
{
    if (op->name) {
        xs_add(xs, op->dir, xs_length(op->dir));
        xs_add(xs, "/", 1);
    }
    xs_add_text(xs, op->name ? op->name : op->dir);
}

void xs_op_begin(struct xenpv_xs *xs, const struct xenpv_store_op *op, uint32_t tx)
{
    xs_begin(xs, xs->list.parts ? XENPV_XS_DIRECTORY_PART : types[op->type], tx);
    add_path(xs, op);
    if (xs_op_sends(op))
        xs_add(xs, op->value, op->length);
    if (xs->list.parts)
        xs_add_number(xs, xs->list.offset);
}

int xs_op_hand_out(struct xenpv_store_op *op, uint32_t at, const char *bytes, uint32_t length)
{
    uint32_t room = at < op->capacity ? op->capacity - at : 0;

    room = room < length ? room : length;
    if (room)
        memcpy((char *)op->value + at, bytes, room);
    op->length = at + length;
    return op->length > op->capacity ? XENPV_E2BIG : XENPV_OK;
}

/* Whether an answer has the form that its type has. */
static bool well_formed(const struct xenpv_store_op *op, const char *bytes, uint32_t length)
{
    bool ended = length > 0 && bytes[length - 1] == '\0';

    switch (op->type) {
    case XENPV_STORE_LIST:
        return ended || length == 0;
    case XENPV_STORE_GET_PERMS:
        return ended;
    case XENPV_STORE_INTRODUCED:
        return length == 2 && ended && (bytes[0] == 'T' || bytes[0] == 'F');
    default:
        return true;
    }
}

int xs_op_answer(struct xenpv_xs *xs, struct xenpv_store_op *op, int err)
{
    const char *bytes = xs_payload(xs);
    uint32_t length = xs->in.length;

    if (op->type == XENPV_STORE_LIST && (xs->list.parts || err == XENPV_E2BIG))
        return xs_list_answer(xs, op, err);
    if (err || xs_op_sends(op) || op->type == XENPV_STORE_MKDIR || op->type == XENPV_STORE_RM)
        return err;
    if (!XENPV_CHECK(XS_ANSWER, well_formed(op, bytes, length)))
        return XENPV_ESTORE;
    if ((op->type == XENPV_STORE_DOMAIN_PATH || op->type == XENPV_STORE_INTRODUCED) && length > 0 &&
        bytes[length - 1] == '\0')
        length--;
    return xs_op_hand_out(op, 0, bytes, length);
}
