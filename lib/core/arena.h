/* SPDX-License-Identifier: MIT */
/*
 * The grant ledger: pages shared with one peer domain, made in one go and reused, since granting is
 * slow where it is possible at all (Linux gntalloc, xeniface). A pool hands them out one by one; a
 * page whose request was given up is simply never given back: it stays out of use until access to
 * the whole arena has ended.
 */
#ifndef XENPV_ARENA_H
#define XENPV_ARENA_H

#include <xenpv/port.h>

#define ARENA_NONE UINT32_MAX

struct arena {
    const struct xenpv_port *port;
    struct xenpv_grant_region region;
    uint32_t abandoned; /* pages of earlier regions that the peer never returned */
    bool live;
};

void arena_init(struct arena *arena, const struct xenpv_port *port, uint32_t *refs);

/* Shares so many pages, zeroed, with a domain. XENPV_ENOGRANT, XENPV_ENOMEM, XENPV_EACCES. */
int arena_share(struct arena *arena, uint32_t pages, uint16_t domid);

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

/* The free pages of an arena, last in, first out: those are the ones in the caches, ours and those
 * of a backend that keeps grants mapped. Pages taken together are a chain through `next`. */
struct pool {
    uint32_t *next;
    uint32_t free;      /* the first free page */
    uint32_t available; /* how many there are */
};

/* All pages from `first` up to `end` become free. */
void pool_fill(struct pool *pool, uint32_t first, uint32_t end);

/* Takes a chain of `count` pages, 1 or more and no more than are available: the first page; the
 * last is put into `last`. */
static inline uint32_t pool_take(struct pool *pool, uint32_t count, uint32_t *last)
{
    uint32_t first = pool->free, page = first;

    pool->available -= count;
    while (--count)
        page = pool->next[page];
    pool->free = pool->next[page];
    *last = page;
    return first;
}

/* Gives a chain back. */
static inline void pool_give(struct pool *pool, uint32_t first, uint32_t last, uint32_t count)
{
    pool->next[last] = pool->free;
    pool->free = first;
    pool->available += count;
}

#endif
