/* SPDX-License-Identifier: MIT */
#include "arena.h"

void arena_init(struct arena *arena, const struct xenpv_port *port, uint32_t *refs)
{
    *arena = (struct arena){.port = port, .region = {.refs = refs}};
}

int arena_share(struct arena *arena, uint32_t pages, uint16_t domid)
{
    const struct xenpv_port *port = arena->port;
    int error;

    arena->region.pages = pages;
    error = port->grant->share(port->ctx, domid, &arena->region);
    arena->live = error == XENPV_OK;
    return error;
}

static void drop(struct arena *arena)
{
    arena->live = false;
    arena->region.memory = NULL;
}

int arena_end(struct arena *arena)
{
    const struct xenpv_port *port = arena->port;

    if (arena->live && port->grant->end(port->ctx, &arena->region) == XENPV_EBUSY)
        return XENPV_EBUSY;
    drop(arena);
    return XENPV_OK;
}

void arena_abandon(struct arena *arena, bool suspended)
{
    const struct xenpv_port *port = arena->port;

    if (!arena->live)
        return;
    if (suspended)
        port->grant->forget(port->ctx, &arena->region);
    else if (arena_end(arena) != XENPV_OK)
        arena->abandoned += arena->region.pages;
    drop(arena);
}

void pool_fill(struct pool *pool, uint32_t first, uint32_t end)
{
    pool->free = first < end ? first : ARENA_NONE;
    pool->available = end - first;
    for (uint32_t page = first; page < end; page++)
        pool->next[page] = page + 1 < end ? page + 1 : ARENA_NONE;
}
