/* SPDX-License-Identifier: MIT */
/*
 * A list above 4,096 bytes comes in parts. Each begins with the node's generation; the last one
 * ends with an empty name (xenstored's send_directory_part; xenstore.txt does not say it).
 */
#include "check.h"
#include "xs.h"

#define RESTARTS  8u
#define BYTES_MAX (1u << 20) /* no guest may make as many names, and no server keeps us for ever */

static int ask_on(struct xenpv_xs *xs, uint32_t offset)
{
    xs->list.parts = true;
    xs->list.offset = offset;
    return XENPV_PENDING;
}

/* The bytes of the generation with its NUL; 0: there is none. */
static uint32_t generation_bytes(const struct xenpv_xs *xs)
{
    const char *bytes = xs_payload(xs);

    for (uint32_t i = 0; i < xs->in.length && i < sizeof(xs->list.generation); i++)
        if (bytes[i] == '\0')
            return i + 1;
    return 0;
}

/* Of another generation than the parts before it: all begins anew. */
static bool changed(struct xenpv_xs *xs, uint32_t bytes)
{
    if (xs->list.offset > 0)
        return memcmp(xs->list.generation, xs_payload(xs), bytes) != 0;
    memcpy(xs->list.generation, xs_payload(xs), bytes);
    return false;
}

int xs_list_answer(struct xenpv_xs *xs, struct xenpv_store_op *op, int err)
{
    uint32_t generation = generation_bytes(xs);
    const char *names = xs_payload(xs) + generation;
    uint32_t length = xs->in.length - generation;

    if (!xs->list.parts)
        return ask_on(xs, 0);
    if (err)
        return err == XENPV_ENOTSUP ? XENPV_E2BIG : err;
    if (!XENPV_CHECK(XS_ANSWER, generation > 0 && length > 0 && names[length - 1] == '\0'))
        return XENPV_ESTORE;
    if (changed(xs, generation)) {
        xs->list.restarts++;
        return xs->list.restarts > RESTARTS ? XENPV_EAGAIN : ask_on(xs, 0);
    }

    bool last = length == 1 || names[length - 2] == '\0';

    length -= last ? 1 : 0;
    err = xs_op_hand_out(op, xs->list.offset, names, length);
    if (last)
        return err;
    if (xs->list.offset + length > BYTES_MAX)
        return XENPV_E2BIG;
    return ask_on(xs, xs->list.offset + length);
}
