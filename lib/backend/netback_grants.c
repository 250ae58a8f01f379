/* SPDX-License-Identifier: MIT */
/* Static grants: pages that the frontend has us keep mapped, netif.h "Static Grants". */
#include "backend/netback.h"
#include "core/check.h"

/* A list of them, read once. */
struct list {
    uint32_t count;
    struct xenpv_netif_gref entry[XENPV_NETIF_GREF_ENTRIES];
};

static struct netback_grant **bucket(const struct netback_grants *grants, uint32_t ref)
{
    /* References are often consecutive: then no two meet. */
    return &grants->buckets[ref & grants->mask];
}

static struct netback_grant *find(const struct netback_grants *grants, uint32_t ref)
{
    struct netback_grant *grant = grants->all ? *bucket(grants, ref) : NULL;

    while (grant && grant->page.ref != ref)
        grant = grant->next;
    return grant;
}

uint8_t *netback_find_grant(const struct netback_queue *q, uint32_t ref, bool writable)
{
    const struct netback_grant *grant = q->grants.count ? find(&q->grants, ref) : NULL;

    if (!grant || (writable && grant->map.flags & XENPV_MAP_READONLY))
        return NULL;
    return grant->map.memory;
}

static bool create(struct xenpv_netback *back, struct netback_grants *grants)
{
    const struct xenpv_allocator *allocator = &back->config.allocator;
    uint32_t most = back->config.static_grants, buckets = 1;
    size_t bytes = most * sizeof(grants->all[0]);
    uint8_t *memory;

    while (buckets < most)
        buckets *= 2;
    memory = allocator->alloc(allocator->ctx, bytes + buckets * sizeof(void *), 16);
    if (!memory)
        return false;
    memset(memory, 0, bytes + buckets * sizeof(void *));
    *grants = (struct netback_grants){.all = (struct netback_grant *)(void *)memory,
                                      .buckets = (struct netback_grant **)(void *)(memory + bytes),
                                      .mask = buckets - 1};
    for (uint32_t i = 0; i < most; i++) {
        grants->all[i].next = grants->free;
        grants->free = &grants->all[i];
    }
    return true;
}

static bool add(struct xenpv_netback *back, struct netback_grants *grants,
                const struct xenpv_netif_gref *entry)
{
    struct netback_grant *grant = grants->free, **first = bucket(grants, entry->ref);
    bool readonly = entry->flags & XENPV_NETIF_GREF_READONLY;

    if (find(grants, entry->ref))
        return false;
    grant->page = (struct xenpv_map_entry){.ref = entry->ref};
    grant->map = (struct xenpv_map_region){.entries = &grant->page,
                                           .count = 1,
                                           .domid = back->bus.peer_domid,
                                           .flags = readonly ? XENPV_MAP_READONLY : 0};
    if (back->port->map->map(back->port->ctx, &grant->map))
        return false;
    grants->free = grant->next;
    grant->next = *first;
    *first = grant;
    grants->count++;
    back->stats.static_grants++;
    return true;
}

static bool remove_one(struct xenpv_netback *back, struct netback_grants *grants, uint32_t ref)
{
    struct netback_grant *grant = find(grants, ref), **link;

    if (!grant)
        return false;
    link = bucket(grants, ref);
    while (*link != grant)
        link = &(*link)->next;
    *link = grant->next;
    back->port->map->unmap(back->port->ctx, &grant->map);
    grant->next = grants->free;
    grants->free = grant;
    grants->count--;
    back->stats.static_grants--;
    return true;
}

void netback_drop_grants(struct xenpv_netback *back, struct netback_queue *q)
{
    struct netback_grants *grants = &q->grants;

    for (uint32_t i = 0; grants->count; i++) {
        while (grants->buckets[i])
            remove_one(back, grants, grants->buckets[i]->page.ref);
    }
    back->config.allocator.free(back->config.allocator.ctx, grants->all);
    *grants = (struct netback_grants){0};
}

/* The queue that a message is about, and that the message can be about one. */
static struct netback_queue *judge(struct xenpv_netback *back, const uint32_t data[3])
{
    uint32_t most = back->config.static_grants;

    if (!XENPV_CHECK(CTRL_QUEUE, data[0] < back->queues))
        return NULL;
    if (!XENPV_CHECK(CTRL_GREFS,
                     data[2] >= 1 && data[2] <= XENPV_NETIF_GREF_ENTRIES && data[2] <= most))
        return NULL;
    return &back->queue[data[0] % back->config.queues];
}

static bool map_list(struct xenpv_netback *back, struct xenpv_map_region *map)
{
    return back->port->map->map(back->port->ctx, map) == XENPV_OK;
}

static void read_list(const struct xenpv_map_region *map, uint32_t count, struct list *list)
{
    const uint32_t *words = map->memory;

    list->count = count < XENPV_NETIF_GREF_ENTRIES ? count : XENPV_NETIF_GREF_ENTRIES;
    for (uint32_t i = 0; i < list->count; i++)
        xenpv_netif_get_gref(words + (size_t)i * 2, &list->entry[i]);
}

/* All of them or none. */
static bool add_all(struct xenpv_netback *back, struct netback_grants *grants,
                    const struct list *list)
{
    uint32_t done = 0;

    while (done < list->count && grants->free && add(back, grants, &list->entry[done]))
        done++;
    if (done == list->count)
        return true;
    while (done)
        remove_one(back, grants, list->entry[--done].ref);
    return false;
}

uint32_t netback_add_grants(struct xenpv_netback *back, const uint32_t data[3])
{
    struct netback_queue *q = judge(back, data);
    struct xenpv_map_entry page = {.ref = data[1]};
    struct xenpv_map_region map = {
        .entries = &page, .count = 1, .domid = back->bus.peer_domid, .flags = XENPV_MAP_READONLY};
    struct list list;

    if (!q || !map_list(back, &map))
        return XENPV_NETIF_CTRL_INVALID_PARAMETER;
    read_list(&map, data[2], &list);
    back->port->map->unmap(back->port->ctx, &map);
    if ((!q->grants.all && !create(back, &q->grants)) || !add_all(back, &q->grants, &list))
        return XENPV_NETIF_CTRL_INVALID_PARAMETER;
    return XENPV_NETIF_CTRL_SUCCESS;
}

uint32_t netback_remove_grants(struct xenpv_netback *back, const uint32_t data[3],
                               uint32_t *removed)
{
    struct netback_queue *q = judge(back, data);
    struct xenpv_map_entry page = {.ref = data[1]};
    struct xenpv_map_region map = {.entries = &page, .count = 1, .domid = back->bus.peer_domid};
    uint32_t *words;
    struct list list;

    if (!q || !map_list(back, &map))
        return XENPV_NETIF_CTRL_INVALID_PARAMETER;
    words = map.memory;
    read_list(&map, data[2], &list);
    for (uint32_t i = 0; i < list.count; i++) {
        bool done = remove_one(back, &q->grants, list.entry[i].ref);

        *removed += done;
        list.entry[i].status = done ? XENPV_NETIF_CTRL_SUCCESS : XENPV_NETIF_CTRL_INVALID_PARAMETER;
        xenpv_netif_put_gref(&list.entry[i], words + (size_t)i * 2);
    }
    back->port->map->unmap(back->port->ctx, &map);
    return XENPV_NETIF_CTRL_SUCCESS;
}
