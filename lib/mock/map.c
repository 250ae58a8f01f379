/* SPDX-License-Identifier: MIT */
/* The peer's side of a grant: mapping and copying. */
#include "mock.h"

/* What a reference gives access to: its region and the page's address here. */
static int resolve(const struct domain *domain, uint16_t owner_id, uint32_t ref, bool write,
                   struct region **region, uint8_t **page)
{
    struct domain *owner = mock_domain(domain->mock, owner_id);

    if (domain->dead)
        return XENPV_EACCES;
    *region = owner != NULL ? mock_grant_at(owner, ref) : NULL;
    /*
     * Xen has one answer for an entry that grants nothing, and for one that grants it to another.
     */
    if (owner == NULL || ref >= domain->mock->config.limits.grants)
        return XENPV_ENOENT;
    if (*region == NULL || (*region)->peer != domain->domid || (write && !(*region)->writable))
        return XENPV_EACCES;
    *page = (uint8_t *)(*region)->memory + (size_t)owner->grants[ref].page * XENPV_PAGE_SIZE;
    return XENPV_OK;
}

/* Fills in the mapping and every entry's status; answers the first error. */
static int resolve_all(struct domain *domain, struct xenpv_map_region *run, struct mapping *mapping)
{
    uint32_t room = domain->mock->config.limits.maps - domain->maps;
    bool write = (run->flags & XENPV_MAP_READONLY) == 0;
    uint8_t *next = NULL;
    int first = XENPV_OK;

    for (uint32_t i = 0; i < run->count; i++) {
        struct xenpv_map_entry *entry = &run->entries[i];
        uint8_t *page = NULL;

        entry->status = resolve(domain, run->domid, entry->ref, write, &mapping->regions[i], &page);
        if (entry->status == XENPV_OK && i >= room)
            entry->status = XENPV_ENOGRANT;
        if (entry->status == XENPV_OK && next != NULL && page != next)
            entry->status = XENPV_ENOTSUP;
        if (first == XENPV_OK)
            first = entry->status;
        if (i == 0)
            run->memory = page;
        next = page != NULL ? page + XENPV_PAGE_SIZE : NULL;
    }
    return first;
}

int mock_map(struct domain *domain, struct xenpv_map_region *run)
{
    struct xenpv_mock *mock = domain->mock;

    run->memory = NULL;
    if (run->count == 0 || run->entries == NULL)
        return XENPV_EINVAL;

    struct mapping *mapping = mock_alloc(
        mock, sizeof(*mapping) + run->count * sizeof(struct region *), _Alignof(struct mapping));
    int err = mapping != NULL ? resolve_all(domain, run, mapping) : XENPV_ENOMEM;

    if (err != XENPV_OK) {
        for (uint32_t i = 0; mapping == NULL && i < run->count; i++)
            run->entries[i].status = err;
        mock_free(mock, mapping);
        run->memory = NULL;
        return err;
    }
    for (uint32_t i = 0; i < run->count; i++)
        mapping->regions[i]->mapped++;
    mapping->id = ++mock->last_id;
    mapping->count = run->count;
    mapping->next = domain->mappings;
    domain->mappings = mapping;
    domain->maps += run->count;
    run->port_data = mapping->id;
    return XENPV_OK;
}

static void unmap(struct domain *domain, struct mapping **link)
{
    struct mapping *mapping = *link;

    *link = mapping->next;
    domain->maps -= mapping->count;
    for (uint32_t i = 0; i < mapping->count; i++)
        mock_grant_unmapped(mapping->regions[i]);
    mock_free(domain->mock, mapping);
}

void mock_unmap(struct domain *domain, struct xenpv_map_region *run)
{
    struct mapping **link = &domain->mappings;

    while (*link != NULL && (*link)->id != run->port_data)
        link = &(*link)->next;
    if (*link != NULL)
        unmap(domain, link);
    else if (!domain->dead)
        mock_misuse(domain, "unmap of what is not mapped", 0);
    run->memory = NULL;
    run->port_data = 0;
}

void mock_unmap_all(struct domain *domain)
{
    while (domain->mappings != NULL)
        unmap(domain, &domain->mappings);
}

static int copy(const struct domain *domain, const struct xenpv_copy_entry *entry)
{
    struct region *region;
    uint8_t *page;

    if (entry->offset + entry->length > (int)XENPV_PAGE_SIZE)
        return XENPV_EINVAL;

    int err = resolve(domain, entry->domid, entry->ref, entry->to_peer, &region, &page);

    if (err != XENPV_OK || entry->length == 0)
        return err;
    if (entry->to_peer)
        memcpy(page + entry->offset, entry->local, entry->length);
    else
        memcpy(entry->local, page + entry->offset, entry->length);
    return XENPV_OK;
}

int mock_copy(struct domain *domain, struct xenpv_copy_entry *entries, uint32_t count)
{
    int first = XENPV_OK;

    for (uint32_t i = 0; i < count; i++) {
        entries[i].status = copy(domain, &entries[i]);
        if (first == XENPV_OK)
            first = entries[i].status;
    }
    return first;
}
