/* SPDX-License-Identifier: MIT */
/*
 * The suspend generation. When a guest was saved and restored, or migrated, its user space is told
 * nothing: grants stay mapped, event channels accept notifications, and both are dead. What gives
 * it away is the domain's own `domid` in the store: every watch fires again after a restore, and
 * the number has changed. After a checkpoint (`xl save -c`) the guest goes on with the same number,
 * and with its grants and ports intact.
 *
 * The watch has a store connection of its own, so that any thread may look at it without taking a
 * wake-up from the thread that sleeps on the port's.
 */
#include <errno.h>
#include <stdlib.h>

#include "linux.h"

static int read_domid(struct xs_handle *store, uint32_t *domid)
{
    unsigned length;
    char *value = xs_read(store, XBT_NULL, "domid", &length);
    char *end;
    unsigned long number;
    int rc = 0;

    if (!value)
        return xenpv_linux_store_error(store, errno);
    number = strtoul(value, &end, 10);
    if (end == value || *end || number > UINT16_MAX)
        rc = XENPV_ESTORE;
    else
        *domid = (uint32_t)number;
    free(value);
    return rc;
}

uint32_t xenpv_linux_generation_now(void *ctx)
{
    struct xenpv_linux *self = ctx;
    uint32_t domid = self->domid;
    int rc;

    pthread_mutex_lock(&self->suspend_lock);
    /* Cleared first: a poke that comes while we read is not lost. */
    atomic_store(&self->unsure, false);
    rc = read_domid(self->suspend_store, &domid);
    if (rc == 0 && domid != self->domid) {
        xenpv_linux_logf(self, XENPV_LOG_INFO,
                         "domain %u has become domain %u: all grants and event channels are void",
                         self->domid, domid);
        self->domid = domid;
        atomic_fetch_add(&self->generation, 1);
    }
    /* A missing node fires again when it is made; after any other failure nobody will tell us. */
    if (rc != 0 && rc != XENPV_ENOENT)
        atomic_store(&self->unsure, true);
    pthread_mutex_unlock(&self->suspend_lock);
    return atomic_load(&self->generation);
}

uint32_t xenpv_linux_generation(void *ctx)
{
    struct xenpv_linux *self = ctx;
    char **event;

    while ((event = xs_check_watch(self->suspend_store)) != NULL) {
        free(event);
        atomic_store(&self->unsure, true);
    }
    if (atomic_load(&self->unsure))
        return xenpv_linux_generation_now(self);
    return atomic_load(&self->generation);
}

int xenpv_linux_suspend_open(struct xenpv_linux *self)
{
    int rc;

    self->suspend_store = xs_open(0);
    if (!self->suspend_store)
        return XENPV_ESTORE;
    if (!xs_watch(self->suspend_store, "domid", "domid"))
        return xenpv_linux_store_error(self->suspend_store, errno);
    rc = read_domid(self->suspend_store, &self->domid);
    return rc == XENPV_ENOENT ? 0 : rc;
}

void xenpv_linux_suspend_close(struct xenpv_linux *self)
{
    xs_close(self->suspend_store);
}
