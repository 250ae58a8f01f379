/* SPDX-License-Identifier: MIT */
/*
 * Event channels, each with a descriptor of /dev/xen/evtchn to itself, so that each can be waited
 * for by itself and no thread takes another's events.
 *
 * **After a restore, closing is fatal.** The kernel (6.1, drivers/xen/evtchn.c, "BUG_ON(irq < 0)")
 * dies when a port of before the restore is unbound, or the descriptor that holds it closed, and
 * the descriptors of a process are closed when it ends, however it ends. User space can do nothing
 * about that: a copy of the descriptor in another process only moves the crash there, and no ioctl
 * lets the kernel forget the port. So a stale channel is abandoned, never closed, and a process
 * that held ports during a restore should run until the machine is shut down; one that ends anyway
 * leaves an oops in the kernel log and a dead task. Whoever can, closes the devices before the
 * guest is saved.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "linux.h"

/* FIFO event channels, the larger of Xen's two kinds: event_channel.h, EVTCHN_FIFO_NR_CHANNELS. */
#define PORTS (1u << 17)

struct xenpv_linux_channel {
    xenevtchn_handle *handle;
    uint32_t generation; /* when it was bound */
};

static struct xenpv_linux_channel *find(struct xenpv_linux *self, uint32_t port)
{
    return port < PORTS ? atomic_load_explicit(&self->channels[port], memory_order_acquire) : NULL;
}

static struct xenpv_linux_channel *take_out(struct xenpv_linux *self, uint32_t port)
{
    return port < PORTS ? atomic_exchange(&self->channels[port], NULL) : NULL;
}

/* Xen does not tell a port that is not there from one that waits for somebody else. */
static int bind_error(struct xenpv_linux *self, const char *what, int error_number)
{
    xenpv_linux_logf(self, XENPV_LOG_WARN, "cannot %s: %s", what, strerror(error_number));
    switch (error_number) {
    case EINVAL:
    case ENOENT:
    case ESRCH:
        return XENPV_ENOENT;
    case EPERM:
    case EACCES:
        return XENPV_EACCES;
    case ENOMEM:
        return XENPV_ENOMEM;
    default:
        return XENPV_ENOPORT;
    }
}

static bool set_nonblocking(xenevtchn_handle *handle)
{
    int fd = xenevtchn_fd(handle);
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/*
 * Unbound as well as closed: a child that was forked meanwhile holds the descriptor, and thereby
 * the port, as long as it lives.
 */
static void close_channel(struct xenpv_linux_channel *channel, uint32_t port)
{
    xenevtchn_unbind(channel->handle, port);
    xenevtchn_close(channel->handle);
    free(channel);
}

/*
 * Opens a descriptor and binds it; `peer_port` 0, which is never a port, allocates an unbound one.
 */
static int bind_new(struct xenpv_linux *self, const char *what, uint16_t domid, uint32_t peer_port,
                    uint32_t *port)
{
    struct xenpv_linux_channel *channel = calloc(1, sizeof(*channel));
    int bound = -1, error_number;

    if (!channel)
        return XENPV_ENOMEM;
    channel->generation = xenpv_linux_generation_now(self);
    channel->handle = xenevtchn_open(&self->library_log, 0);
    if (channel->handle && set_nonblocking(channel->handle))
        bound = peer_port ? xenevtchn_bind_interdomain(channel->handle, domid, peer_port)
                          : xenevtchn_bind_unbound_port(channel->handle, domid);
    error_number = errno;
    if (bound < 0 || (uint32_t)bound >= PORTS) {
        if (channel->handle)
            xenevtchn_close(channel->handle);
        free(channel);
        return bind_error(self, what, error_number);
    }
    /*
     * After a restore numbers begin anew, and this one may still name a stale port of another
     * device, whose threads would take our events. While we hold it, the next one is different.
     */
    if (peer_port == 0 && find(self, (uint32_t)bound)) {
        int rc = bind_new(self, what, domid, 0, port);

        close_channel(channel, (uint32_t)bound);
        return rc;
    }
    *port = (uint32_t)bound;
    atomic_store_explicit(&self->channels[bound], channel, memory_order_release);
    return 0;
}

static int alloc_unbound(void *ctx, uint16_t domid, uint32_t *port)
{
    return bind_new(ctx, "allocate an event channel", domid, 0, port);
}

static int bind_interdomain(void *ctx, uint16_t domid, uint32_t peer_port, uint32_t *port)
{
    if (peer_port == 0)
        return XENPV_ENOENT;
    return bind_new(ctx, "bind the peer's event channel", domid, peer_port, port);
}

static int notify(void *ctx, uint32_t port)
{
    struct xenpv_linux_channel *channel = find(ctx, port);

    return channel && xenevtchn_notify(channel->handle, port) == 0 ? 0 : XENPV_ENOENT;
}

static bool take(void *ctx, uint32_t port)
{
    struct xenpv_linux_channel *channel = find(ctx, port);

    return channel && xenevtchn_pending(channel->handle) >= 0;
}

static void unmask(void *ctx, uint32_t port)
{
    struct xenpv_linux_channel *channel = find(ctx, port);

    if (channel)
        xenevtchn_unmask(channel->handle, port);
}

/* The caller may not have noticed a restore yet, and this is the one call that must. */
static void close_port(void *ctx, uint32_t port)
{
    struct xenpv_linux_channel *channel = take_out(ctx, port);

    if (channel && channel->generation == xenpv_linux_generation_now(ctx))
        close_channel(channel, port);
}

/* Takes it out of the table and leaves it open: see above. A live port is not abandoned. */
static void forget(void *ctx, uint32_t port)
{
    struct xenpv_linux_channel *channel = find(ctx, port);

    if (channel && channel->generation != xenpv_linux_generation_now(ctx))
        take_out(ctx, port);
}

static xenpv_handle wait_handle(void *ctx, uint32_t port)
{
    struct xenpv_linux_channel *channel = find(ctx, port);

    return channel ? xenevtchn_fd(channel->handle) : XENPV_NO_HANDLE;
}

/* The table is large, but only the pages of it that have been written to take memory. */
int xenpv_linux_event_open(struct xenpv_linux *self)
{
    xenevtchn_handle *probe = xenevtchn_open(&self->library_log, 0);

    if (!probe)
        return -1;
    xenevtchn_close(probe);
    self->channels = calloc(PORTS, sizeof(self->channels[0]));
    return self->channels ? 0 : -1;
}

void xenpv_linux_event_close_all(struct xenpv_linux *self)
{
    uint32_t generation;

    if (!self->channels)
        return;
    generation = xenpv_linux_generation_now(self);
    for (uint32_t port = 0; port < PORTS; port++) {
        struct xenpv_linux_channel *channel = find(self, port);

        if (channel && channel->generation == generation)
            close_channel(channel, port);
    }
    free(self->channels);
}

const struct xenpv_event_ops xenpv_linux_event_ops = {
    .alloc_unbound = alloc_unbound,
    .bind_interdomain = bind_interdomain,
    .notify = notify,
    .take = take,
    .unmask = unmask,
    .close = close_port,
    .forget = forget,
    .wait_handle = wait_handle,
};
