/* SPDX-License-Identifier: MIT */
#include "bus_jobs.h"

static void join(char *to, const char *dir, const char *name)
{
    while (*dir)
        *to++ = *dir++;
    *to++ = '/';
    while ((*to++ = *name++) != '\0')
        ;
}

int bus_watch(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;
    int error;

    bus_unwatch(bus);
    join(bus->peer_watch, bus->peer_path, "state");
    error = port->store->watch(port->ctx, bus->peer_watch, bus->peer_watch);
    if (error)
        return error;
    /* A toolstack takes a device away by writing into the backend's directory. */
    if (bus->config.driver->role == XENPV_BACKEND) {
        join(bus->own_watch, bus->own_path, "state");
        error = port->store->watch(port->ctx, bus->own_watch, bus->own_watch);
        if (error)
            port->store->unwatch(port->ctx, bus->peer_watch, bus->peer_watch);
    }
    bus->watching = error == XENPV_OK;
    return error;
}

bool bus_fired(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;
    bool fired = false;

    if (!bus->watching)
        return false;
    fired = port->store->fired(port->ctx, bus->peer_watch);
    if (bus->config.driver->role == XENPV_BACKEND)
        fired |= port->store->fired(port->ctx, bus->own_watch);
    return fired;
}

void bus_unwatch(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;

    if (!bus->watching)
        return;
    port->store->unwatch(port->ctx, bus->peer_watch, bus->peer_watch);
    if (bus->config.driver->role == XENPV_BACKEND)
        port->store->unwatch(port->ctx, bus->own_watch, bus->own_watch);
    bus->watching = false;
}
