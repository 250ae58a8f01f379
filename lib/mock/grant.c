/* SPDX-License-Identifier: MIT */
/* Grant tables, and the pages behind them. */
#include "mock.h"

static void free_region(struct region *region)
{
    struct xenpv_mock *mock = region->owner->mock;

    *region->link = region->next;
    if (region->next != NULL)
        region->next->link = region->link;
    if (!region->caller_owned)
        mock_free(mock, region->memory);
    mock_free(mock, region);
}

static struct region *new_region(struct domain *domain, uint16_t peer, uint32_t pages)
{
    struct region *region = mock_alloc(
        domain->mock, sizeof(*region) + pages * sizeof(region->refs[0]), _Alignof(struct region));

    if (region == NULL)
        return NULL;
    region->owner = domain;
    region->peer = peer;
    region->pages = pages;
    region->id = ++domain->mock->last_id;
    region->link = &domain->regions;
    region->next = domain->regions;
    if (region->next != NULL)
        region->next->link = &region->next;
    domain->regions = region;
    return region;
}

/* Makes sure that `pages` references can be taken without asking for memory. */
static int reserve_refs(struct domain *domain, uint32_t pages)
{
    uint32_t limit = domain->mock->config.limits.grants;
    uint32_t unused = limit > domain->grants_top ? limit - domain->grants_top : 0;
    void *table = domain->grants;

    if (pages <= domain->grants_free)
        return XENPV_OK;
    pages -= domain->grants_free;
    if (pages > unused)
        return XENPV_ENOGRANT;

    int err = mock_grow(domain->mock, &table, &domain->grants_size, domain->grants_top + pages,
                        sizeof(struct grant));

    domain->grants = table;
    return err;
}

/* The reference freed last is the next one out, as in Linux: a stale use of it is likely to hit. */
static uint32_t take_ref(struct domain *domain)
{
    uint32_t ref = domain->free_ref;

    if (ref == 0)
        return domain->grants_top++;
    domain->free_ref = domain->grants[ref].next_free;
    domain->grants_free--;
    return ref;
}

static void free_refs(struct region *region)
{
    struct domain *domain = region->owner;

    for (uint32_t page = 0; page < region->pages; page++) {
        uint32_t ref = region->refs[page];

        domain->grants[ref] = (struct grant){.next_free = domain->free_ref};
        domain->free_ref = ref;
        domain->grants_free++;
    }
}

int mock_grant_share(struct domain *domain, uint16_t peer, struct xenpv_grant_region *out,
                     bool caller_owned, bool writable)
{
    struct xenpv_mock *mock = domain->mock;

    if (out->pages == 0 || out->refs == NULL || peer >= FIRST_DOMID_NONE)
        return XENPV_EINVAL;
    if (caller_owned && (out->memory == NULL || (uintptr_t)out->memory % XENPV_PAGE_SIZE != 0))
        return XENPV_EINVAL;
    if (domain->dead)
        return XENPV_EACCES;

    int err = reserve_refs(domain, out->pages);

    if (err != XENPV_OK)
        return err;

    struct region *region = new_region(domain, peer, out->pages);

    if (region == NULL)
        return XENPV_ENOMEM;
    region->writable = writable;
    region->caller_owned = caller_owned;
    region->memory = caller_owned
                         ? out->memory
                         : mock_alloc(mock, (size_t)out->pages * XENPV_PAGE_SIZE, XENPV_PAGE_SIZE);
    if (region->memory == NULL) {
        free_region(region);
        return XENPV_ENOMEM;
    }
    for (uint32_t page = 0; page < out->pages; page++) {
        uint32_t ref = take_ref(domain);

        domain->grants[ref] = (struct grant){.region = region, .page = page};
        region->refs[page] = ref;
        out->refs[page] = ref;
    }
    out->memory = region->memory;
    out->port_data = region->id;
    return XENPV_OK;
}

struct region *mock_grant_at(const struct domain *domain, uint32_t ref)
{
    return domain->grants != NULL && ref < domain->grants_top ? domain->grants[ref].region : NULL;
}

static uint32_t first_ref(const struct xenpv_grant_region *handle)
{
    return handle->refs != NULL ? handle->refs[0] : 0;
}

/* By its reference if it is live; one that a suspend made void is in no table any more. */
static struct region *find(const struct domain *domain, const struct xenpv_grant_region *handle)
{
    struct region *region = mock_grant_at(domain, first_ref(handle));

    if (region == NULL || region->id != handle->port_data) {
        region = domain->regions;
        while (region != NULL && region->id != handle->port_data)
            region = region->next;
    }
    if (region == NULL || region->state == REGION_DEFERRED || region->state == REGION_ABANDONED)
        return NULL;
    return region;
}

static void let_go(struct xenpv_grant_region *handle)
{
    handle->memory = NULL;
    handle->port_data = 0;
}

int mock_grant_end(struct domain *domain, struct xenpv_grant_region *handle)
{
    struct region *region = find(domain, handle);

    if (region == NULL) {
        mock_misuse(domain, "end of a grant that does not exist", first_ref(handle));
        return XENPV_ENOENT;
    }
    if (region->state == REGION_VOID) {
        mock_misuse(domain, "end of a grant that is void", first_ref(handle));
        return XENPV_ESTALE;
    }
    if (region->mapped == 0) {
        free_refs(region);
        free_region(region);
        let_go(handle);
        return XENPV_OK;
    }
    if (region->caller_owned || !domain->deferred_end)
        return XENPV_EBUSY; /* memory that is not ours to keep cannot be deferred */
    region->state = REGION_DEFERRED;
    let_go(handle);
    return XENPV_DEFERRED;
}

void mock_grant_forget(struct domain *domain, struct xenpv_grant_region *handle)
{
    struct region *region = find(domain, handle);

    if (region == NULL || region->state != REGION_VOID) {
        mock_misuse(domain, "forget of a grant that is not void", first_ref(handle));
        return;
    }
    if (region->mapped > 0)
        region->state = REGION_ABANDONED;
    else
        free_region(region);
    let_go(handle);
}

void mock_grant_unmapped(struct region *region)
{
    region->mapped--;
    if (region->mapped > 0)
        return;
    if (region->state == REGION_DEFERRED)
        free_refs(region);
    if (region->state == REGION_DEFERRED || region->state == REGION_ABANDONED)
        free_region(region);
}

void mock_grants_void(struct domain *domain)
{
    for (struct region *region = domain->regions; region != NULL; region = region->next) {
        if (region->state == REGION_LIVE)
            region->state = REGION_VOID;
        else if (region->state == REGION_DEFERRED)
            region->state = REGION_ABANDONED;
    }
    mock_free(domain->mock, domain->grants);
    domain->grants = NULL;
    domain->grants_size = 0;
    domain->grants_top = FIRST_FREE_REF;
    domain->grants_free = 0;
    domain->free_ref = 0;
}

void mock_grants_free(struct domain *domain)
{
    while (domain->regions != NULL)
        free_region(domain->regions);
    mock_free(domain->mock, domain->grants);
}
