/* SPDX-License-Identifier: MIT */
/* Bytes of the ring page. An index of the server's is read once for each look at a ring. */
#include "check.h"
#include "xs.h"

/* The server may have begun anew since our indices were looked at; else it lies. */
static void broken(struct xenpv_xs *xs, uint32_t ours, uint32_t theirs)
{
    if (xs_ring_was_reset(xs))
        xs_begun_anew(xs);
    else
        xs_violated(xs, XENPV_CHECK_XS_INDEX, ours, theirs);
}

/* The bytes between the indices of one direction: 0..XENPV_XS_RING, or it is broken. */
static uint32_t requests(struct xenpv_xs *xs)
{
    /* Before bytes are overwritten the server must have read them. */
    uint32_t cons = xenpv_load_acquire(&xs->page->req_cons);
    uint32_t filled = xs->req_prod - cons;

    if (XENPV_CHECK(XS_INDEX, filled <= XENPV_XS_RING))
        return filled < XENPV_XS_RING ? filled : XENPV_XS_RING;
    broken(xs, xs->req_prod, cons);
    return XENPV_XS_RING;
}

static uint32_t responses(struct xenpv_xs *xs)
{
    uint32_t prod = xenpv_load_acquire(&xs->page->rsp_prod);
    uint32_t filled = prod - xs->rsp_cons;

    if (XENPV_CHECK(XS_INDEX, filled <= XENPV_XS_RING))
        return filled < XENPV_XS_RING ? filled : XENPV_XS_RING;
    broken(xs, xs->rsp_cons, prod);
    return 0;
}

bool xs_ring_join(struct xenpv_xs *xs)
{
    xs->req_prod = xenpv_load(&xs->page->req_prod);
    xs->rsp_cons = xenpv_load(&xs->page->rsp_cons);

    uint32_t unsent = requests(xs), unread = responses(xs);

    return unsent + unread == 0;
}

bool xs_ring_was_reset(const struct xenpv_xs *xs)
{
    return xenpv_load(&xs->page->req_prod) != xs->req_prod ||
           xenpv_load(&xs->page->rsp_cons) != xs->rsp_cons;
}

/* How many of `count` bytes stand before the ring begins anew. */
static uint32_t before_wrap(uint32_t at, uint32_t count)
{
    uint32_t room = XENPV_XS_RING - at % XENPV_XS_RING;

    return count < room ? count : room;
}

uint32_t xs_ring_put(struct xenpv_xs *xs, const char *bytes, uint32_t count)
{
    uint32_t room = XENPV_XS_RING - requests(xs);
    uint32_t at = xs->req_prod % XENPV_XS_RING;

    count = count < room ? count : room;
    if (count == 0)
        return 0;

    uint32_t first = before_wrap(at, count);

    memcpy(xs->page->req + at, bytes, first);
    memcpy(xs->page->req, bytes + first, count - first);
    xs->req_prod += count;
    xenpv_store_release(&xs->page->req_prod, xs->req_prod);
    xs->touched = true;
    return count;
}

uint32_t xs_ring_take(struct xenpv_xs *xs, char *bytes, uint32_t count)
{
    uint32_t there = responses(xs);
    uint32_t at = xs->rsp_cons % XENPV_XS_RING;

    count = count < there ? count : there;
    if (count == 0)
        return 0;

    uint32_t first = before_wrap(at, count);

    memcpy(bytes, xs->page->rsp + at, first);
    memcpy(bytes + first, xs->page->rsp, count - first);
    xs->rsp_cons += count;
    /* The bytes have been read before the server may overwrite them. */
    xenpv_store_release(&xs->page->rsp_cons, xs->rsp_cons);
    xs->touched = true;
    return count;
}
