/* SPDX-License-Identifier: MIT */
/* Bytes on their way between private memory and the frontend's pages. */
#include "backend/netback.h"

static void copy_bytes(const struct xenpv_copy_entry *copy, uint8_t *page)
{
    if (copy->to_peer)
        memcpy(page + copy->offset, copy->local, copy->length);
    else
        memcpy(copy->local, page + copy->offset, copy->length);
}

/* For a port that cannot copy. */
static bool map_and_copy(struct xenpv_netback *back, const struct xenpv_copy_entry *copy)
{
    struct xenpv_map_entry page = {.ref = copy->ref};
    struct xenpv_map_region map = {.entries = &page,
                                   .count = 1,
                                   .domid = copy->domid,
                                   .flags = copy->to_peer ? 0 : XENPV_MAP_READONLY};

    if (back->port->map->map(back->port->ctx, &map))
        return false;
    copy_bytes(copy, map.memory);
    back->port->map->unmap(back->port->ctx, &map);
    back->stats.mapped++;
    return true;
}

int32_t netback_move(struct xenpv_netback *back, struct netback_queue *q,
                     const struct xenpv_copy_entry *copy)
{
    struct netback_moves *moves = &back->moves;
    uint8_t *kept = netback_find_grant(q, copy->ref, copy->to_peer);

    if (kept) {
        copy_bytes(copy, kept);
        back->stats.kept++;
        return NETBACK_MOVED;
    }
    if (!(back->port->caps & XENPV_CAP_COPY))
        return map_and_copy(back, copy) ? NETBACK_MOVED : NETBACK_FAILED;
    moves->copies[moves->count] = *copy;
    return (int32_t)moves->count++;
}

void netback_flush(struct xenpv_netback *back)
{
    struct netback_moves *moves = &back->moves;

    if (moves->count)
        back->port->map->copy(back->port->ctx, moves->copies, moves->count);
    back->stats.copied += moves->count;
    moves->count = 0;
}

bool netback_fetch(struct xenpv_netback *back, uint32_t ref, void *to, uint32_t bytes)
{
    struct xenpv_copy_entry copy = {
        .local = to, .ref = ref, .domid = back->bus.peer_domid, .length = (uint16_t)bytes};

    if (!(back->port->caps & XENPV_CAP_COPY))
        return map_and_copy(back, &copy);
    back->stats.copied++;
    return back->port->map->copy(back->port->ctx, &copy, 1) == XENPV_OK;
}
