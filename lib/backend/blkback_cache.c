/* SPDX-License-Identifier: MIT */
/* Persistent grants: pages that stay mapped until others push them out or the frontend goes. */
#include "backend/blkback.h"

int blkback_cache_create(struct xenpv_blkback *back, struct blkback_cache *cache)
{
    struct xenpv_allocator *allocator = &back->config.allocator;
    uint32_t bound = back->config.persistent, bits = 1;
    size_t pages = (size_t)bound * sizeof(struct blkback_page), buckets;
    uint8_t *memory;

    while (1u << bits < bound)
        bits++;
    buckets = sizeof(void *) << bits;
    memory = allocator->alloc(allocator->ctx, pages + buckets, 16);
    if (!memory)
        return XENPV_ENOMEM;
    memset(memory + pages, 0, buckets);
    *cache = (struct blkback_cache){.pages = (struct blkback_page *)(void *)memory,
                                    .buckets = (struct blkback_page **)(void *)(memory + pages),
                                    .bound = bound,
                                    .shift = 32 - bits};
    cache->ends.newer = cache->ends.older = &cache->ends;
    return XENPV_OK;
}

static void unmap(struct xenpv_blkback *back, struct blkback_page *page)
{
    back->port->map->unmap(back->port->ctx, &page->map);
    back->stats.persistent--;
}

void blkback_cache_destroy(struct xenpv_blkback *back, struct blkback_cache *cache)
{
    struct xenpv_allocator *allocator = &back->config.allocator;

    if (!cache->bound)
        return;
    for (struct blkback_page *at = cache->ends.older; at != &cache->ends; at = at->older)
        unmap(back, at);
    allocator->free(allocator->ctx, cache->pages);
    *cache = (struct blkback_cache){0};
}

static struct blkback_page **bucket(const struct blkback_cache *cache, uint32_t ref)
{
    /* References are often consecutive: Knuth's multiplier spreads them into the high bits. */
    return &cache->buckets[ref * 2654435761u >> cache->shift];
}

static void take_out(struct blkback_page *page)
{
    page->newer->older = page->older;
    page->older->newer = page->newer;
}

static void make_newest(struct blkback_cache *cache, struct blkback_page *page)
{
    page->newer = &cache->ends;
    page->older = cache->ends.older;
    cache->ends.older->newer = page;
    cache->ends.older = page;
}

/* Room for one more page: new as long as there is any, else the oldest one's. */
static struct blkback_page *make_room(struct xenpv_blkback *back, struct blkback_cache *cache)
{
    struct blkback_page *oldest = cache->ends.newer, *spare = cache->spare, **link;

    cache->spare = NULL;
    if (spare)
        return spare;
    if (cache->count < cache->bound)
        return &cache->pages[cache->count++];
    link = bucket(cache, oldest->entry.ref);
    while (*link != oldest)
        link = &(*link)->next;
    *link = oldest->next;
    take_out(oldest);
    unmap(back, oldest);
    return oldest;
}

static struct blkback_page *map(struct xenpv_blkback *back, struct blkback_cache *cache,
                                uint32_t ref)
{
    struct blkback_page *page = make_room(back, cache), **first = bucket(cache, ref);

    page->entry.ref = ref;
    page->map = (struct xenpv_map_region){
        .entries = &page->entry, .count = 1, .domid = back->bus.peer_domid};
    if (back->port->map->map(back->port->ctx, &page->map)) {
        cache->spare = page;
        return NULL;
    }
    back->stats.persistent++;
    page->next = *first;
    *first = page;
    make_newest(cache, page);
    return page;
}

uint8_t *blkback_cache_page(struct xenpv_blkback *back, struct blkback_cache *cache, uint32_t ref)
{
    struct blkback_page *page = *bucket(cache, ref);

    while (page && page->entry.ref != ref)
        page = page->next;
    if (!page) {
        page = map(back, cache, ref);
    } else if (page->newer != &cache->ends) {
        take_out(page);
        make_newest(cache, page);
    }
    return page ? page->map.memory : NULL;
}
