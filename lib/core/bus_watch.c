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

/* A toolstack takes a device away by writing into the backend's directory; a frontend may follow
 * keys of its own. */
static bool watches_own(const struct xenpv_bus *bus)
{
    return bus->config.driver->role == XENPV_BACKEND || bus_follows(bus);
}

static void name_watch(const struct xenpv_bus *bus, char *to, const char *dir)
{
    if (bus_follows(bus))
        memcpy(to, dir, bus_length(dir) + 1);
    else
        join(to, dir, "state");
}

int bus_watch(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;
    int error;

    bus_unwatch(bus);
    name_watch(bus, bus->peer_watch, bus->peer_path);
    error = port->store->watch(port->ctx, bus->peer_watch, bus->peer_watch);
    if (error)
        return error;
    if (watches_own(bus)) {
        name_watch(bus, bus->own_watch, bus->own_path);
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
    if (watches_own(bus))
        fired |= port->store->fired(port->ctx, bus->own_watch);
    return fired;
}

void bus_unwatch(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;

    if (!bus->watching)
        return;
    port->store->unwatch(port->ctx, bus->peer_watch, bus->peer_watch);
    if (watches_own(bus))
        port->store->unwatch(port->ctx, bus->own_watch, bus->own_watch);
    bus->watching = false;
}
