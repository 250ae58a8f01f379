/* SPDX-License-Identifier: MIT */
/*
 * The grant ledger of one device: pages shared with one peer domain, made in one go and reused,
 * since granting is slow where it is possible at all (Linux gntalloc, xeniface). Pages are
 * numbered; a page is free or taken, and a taken page whose request was given up is simply never
 * given back: it stays out of use until access to the whole arena has ended.
 */
#ifndef XENPV_ARENA_H
#define XENPV_ARENA_H

#include <xenpv/port.h>

#define ARENA_NONE UINT32_MAX

struct arena {
    const struct xenpv_port *port;
    struct xenpv_grant_region region;
    uint32_t *next;     /* free list through the pages */
    uint32_t free;      /* its first page */
    uint32_t available; /* how many pages are on it */
    uint32_t abandoned; /* pages of earlier arenas that the peer never returned */
    bool live;
};

/* Bytes that arena_init needs beside the structure, at a multiple of 4. */
size_t arena_size(uint32_t pages);
void arena_init(struct arena *arena, const struct xenpv_port *port, uint32_t pages, void *memory);

/* Shares all pages, zeroed, with a domain. XENPV_ENOGRANT, XENPV_ENOMEM, XENPV_EACCES. */
int arena_share(struct arena *arena, uint16_t domid);

/* A free page's number, or ARENA_NONE. */
uint32_t arena_take(struct arena *arena);
void arena_give(struct arena *arena, uint32_t page);

static inline uint8_t *arena_memory(const struct arena *arena, uint32_t page)
{
    return (uint8_t *)arena->region.memory + (size_t)page * XENPV_PAGE_SIZE;
}

static inline uint32_t arena_ref(const struct arena *arena, uint32_t page)
{
    return arena->region.refs[page];
}

/* Ends the peer's access: 0, or XENPV_EBUSY and nothing has changed. No page is touched afterwards.
 */
int arena_end(struct arena *arena);

/* Gives up on ending access: the pages are never used again. `suspended`: they are ours again. */
void arena_abandon(struct arena *arena, bool suspended);

#endif
