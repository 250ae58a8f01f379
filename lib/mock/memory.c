/* SPDX-License-Identifier: MIT */
/* How many pages a domain has, and how many it may have. */
#include "mock.h"

uint64_t mock_memory_pages(const struct domain *domain)
{
    return domain->pages;
}

int64_t mock_memory_release(struct domain *domain, uint32_t pages)
{
    uint32_t released = pages < domain->pages ? pages : (uint32_t)domain->pages;

    if (domain->dead)
        return XENPV_EACCES;
    if (pages > 0 && released == 0)
        return XENPV_ENOMEM;
    domain->pages -= released;
    return released;
}

int64_t mock_memory_take(struct domain *domain, uint32_t pages)
{
    uint64_t room = domain->pages_limit - domain->pages;
    uint32_t taken = pages < room ? pages : (uint32_t)room;

    if (domain->dead)
        return XENPV_EACCES;
    if (pages > 0 && taken == 0)
        return XENPV_ENOMEM;
    domain->pages += taken;
    return taken;
}

int xenpv_mock_set_memory(struct xenpv_mock *mock, uint16_t domid, uint64_t pages, uint64_t limit)
{
    if (pages > limit)
        return XENPV_EINVAL;
    mock_lock(mock);

    struct domain *domain = mock_domain(mock, domid);

    if (domain != NULL) {
        domain->pages = pages;
        domain->pages_limit = limit;
    }
    mock_unlock(mock);
    return domain != NULL ? XENPV_OK : XENPV_ENOENT;
}
