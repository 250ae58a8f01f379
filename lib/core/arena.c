/* SPDX-License-Identifier: MIT */
#include "arena.h"

size_t arena_size(uint32_t pages)
{
    return (size_t)pages * 2 * sizeof(uint32_t);
}

void arena_init(struct arena *arena, const struct xenpv_port *port, uint32_t pages, void *memory)
{
    uint32_t *words = memory;

    *arena = (struct arena){.port = port,
                            .region = {.pages = pages, .refs = words},
                            .next = words + pages,
                            .free = ARENA_NONE};
}

int arena_share(struct arena *arena, uint16_t domid)
{
    const struct xenpv_port *port = arena->port;
    int error = port->grant->share(port->ctx, domid, &arena->region);

    if (error)
        return error;
    arena->live = true;
    arena->free = 0;
    arena->available = arena->region.pages;
    for (uint32_t page = 0; page < arena->region.pages; page++)
        arena->next[page] = page + 1 < arena->region.pages ? page + 1 : ARENA_NONE;
    return XENPV_OK;
}

uint32_t arena_take(struct arena *arena)
{
    uint32_t page = arena->free;

    if (page != ARENA_NONE) {
        arena->free = arena->next[page];
        arena->available--;
    }
    return page;
}

void arena_give(struct arena *arena, uint32_t page)
{
    arena->next[page] = arena->free;
    arena->free = page;
    arena->available++;
}

static void drop(struct arena *arena)
{
    arena->live = false;
    arena->free = ARENA_NONE;
    arena->available = 0;
    arena->region.memory = NULL;
}

int arena_end(struct arena *arena)
{
    const struct xenpv_port *port = arena->port;

    if (arena->live) {
        int answer = port->grant->end(port->ctx, &arena->region);
        if (answer == XENPV_EBUSY)
            return answer;
    }
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
