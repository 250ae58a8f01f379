/* SPDX-License-Identifier: MIT */
/* Opens and closes the port; the other files are its parts. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "linux.h"

static const struct xenpv_sys_ops sys_ops = {
    .generation = xenpv_linux_generation,
    .log = xenpv_linux_log_line,
};

uint64_t xenpv_linux_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int open_store(struct xenpv_linux *self, struct xenpv_linux_error *error)
{
    int rc = xenpv_linux_store_answers(error);

    if (rc)
        return rc;
    self->store = xs_open(0);
    /* The descriptor that watches wake is made here, where a failure can still be told. */
    if (!self->store || xenpv_linux_watches_open(self))
        return xenpv_linux_no_store(errno, error);
    rc = xenpv_linux_suspend_open(self);
    if (rc)
        return xenpv_linux_explain(error, rc,
                                   "cannot watch this domain's own domid in the XenStore");
    return 0;
}

static int open_devices(struct xenpv_linux *self, struct xenpv_linux_error *error)
{
    if (xenpv_linux_event_open(self))
        return xenpv_linux_no_device("/dev/xen/evtchn", "xen-evtchn", errno, error);
    self->share = xengntshr_open(&self->library_log, 0);
    if (!self->share)
        return xenpv_linux_no_device("/dev/xen/gntalloc", "xen-gntalloc", errno, error);
    self->map = xengnttab_open(&self->library_log, 0);
    return 0;
}

static void fill_port(struct xenpv_linux *self, struct xenpv_port *port)
{
    *port = (struct xenpv_port){
        .size = sizeof(*port),
        .caps = XENPV_CAP_TRANSACTIONS | XENPV_CAP_WAIT,
        .ctx = self,
        .store = &xenpv_linux_store_ops,
        .sys = &sys_ops,
    };
    if (self->share) {
        port->grant = &xenpv_linux_grant_ops;
        port->event = &xenpv_linux_event_ops;
    }
    if (self->map) {
        port->map = &xenpv_linux_map_ops;
        port->caps |= xenpv_linux_map_caps(self);
    }
}

static int open_port(struct xenpv_linux **handle, struct xenpv_port *port, bool devices,
                     struct xenpv_linux_error *error)
{
    struct xenpv_linux *self = calloc(1, sizeof(*self));
    int rc;

    if (!self)
        return xenpv_linux_explain(error, XENPV_ENOMEM, "no memory");
    self->wait = self->kick = -1;
    pthread_mutex_init(&self->watch_lock, NULL);
    pthread_mutex_init(&self->suspend_lock, NULL);
    xenpv_linux_log_init(self);
    rc = open_store(self, error);
    if (rc == 0 && devices)
        rc = open_devices(self, error);
    if (rc) {
        xenpv_linux_close(self);
        return rc;
    }
    fill_port(self, port);
    *handle = self;
    return 0;
}

int xenpv_linux_open(struct xenpv_linux **handle, struct xenpv_port *port,
                     struct xenpv_linux_error *error)
{
    return open_port(handle, port, true, error);
}

int xenpv_linux_open_store(struct xenpv_linux **handle, struct xenpv_port *port,
                           struct xenpv_linux_error *error)
{
    return open_port(handle, port, false, error);
}

void xenpv_linux_close(struct xenpv_linux *self)
{
    xenpv_linux_event_close_all(self);
    if (self->map)
        xengnttab_close(self->map);
    if (self->share)
        xengntshr_close(self->share);
    xenpv_linux_suspend_close(self);
    xs_close(self->store);
    xenpv_linux_watches_free(self);
    pthread_mutex_destroy(&self->suspend_lock);
    pthread_mutex_destroy(&self->watch_lock);
    free(self);
}
