/* SPDX-License-Identifier: MIT */
/*
 * Grants through gntalloc, which shares pages of its own only, each with one domain. How many the
 * whole system may share at a time is the module's parameter `limit`, 1024 at first.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "linux.h"

static int share_error(struct xenpv_linux *self, uint32_t pages, int error_number)
{
    switch (error_number) {
    case ENOSPC:
        xenpv_linux_logf(
            self, XENPV_LOG_ERROR,
            "cannot share %u pages: gntalloc's limit is used up, or no grant reference "
            "is free; raise /sys/module/xen_gntalloc/parameters/limit",
            pages);
        return XENPV_ENOGRANT;
    case EPERM:
    case EACCES:
        return XENPV_EACCES;
    default:
        xenpv_linux_logf(self, XENPV_LOG_ERROR, "cannot share %u pages: %s", pages,
                         strerror(error_number));
        return XENPV_ENOMEM;
    }
}

static int share(void *ctx, uint16_t domid, struct xenpv_grant_region *region)
{
    struct xenpv_linux *self = ctx;

    if (region->pages == 0 || region->pages > INT_MAX / XENPV_PAGE_SIZE)
        return XENPV_EINVAL;
    region->memory = xengntshr_share_pages(self->share, domid, (int)region->pages, region->refs, 1);
    if (!region->memory)
        return share_error(self, region->pages, errno);
    memset(region->memory, 0, (size_t)region->pages * XENPV_PAGE_SIZE);
    return 0;
}

static int share_own(void *ctx, uint16_t domid, struct xenpv_grant_region *region, bool writable)
{
    (void)ctx;
    (void)domid;
    (void)region;
    (void)writable;
    return XENPV_ENOTSUP;
}

/*
 * gntalloc ends a grant when its page is unmapped, and if the peer still maps the page, the kernel
 * keeps it and tries again every second. munmap(2) answers 0 either way, so we never know which.
 */
static void end_grants(struct xenpv_linux *self, struct xenpv_grant_region *region)
{
    if (xengntshr_unshare(self->share, region->memory, region->pages))
        xenpv_linux_logf(self, XENPV_LOG_ERROR, "cannot unshare %u pages: %s", region->pages,
                         strerror(errno));
    region->memory = NULL;
}

static int end(void *ctx, struct xenpv_grant_region *region)
{
    end_grants(ctx, region);
    return XENPV_DEFERRED;
}

/* After a suspend too the pages are unmapped: the kernel's grant table is new, and it knows. */
static void forget(void *ctx, struct xenpv_grant_region *region)
{
    end_grants(ctx, region);
}

const struct xenpv_grant_ops xenpv_linux_grant_ops = {
    .share = share,
    .share_own = share_own,
    .end = end,
    .forget = forget,
};
