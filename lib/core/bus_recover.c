/* SPDX-License-Identifier: MIT */
/*
 * A connection that was lost is made anew: the data path is held, the own end led down, and all is
 * begun again from the own directory, for a driver domain that restarted has another number, and
 * its directory another path; so has everything after a restore. Until the deadline whatever is
 * missing is awaited.
 */
#include "bus_jobs.h"
#include "bus_table.h"

bool bus_may_recover(const struct xenpv_bus *bus)
{
    return bus->config.driver->role == XENPV_FRONTEND && bus->config.recover_ms != 0 &&
           bus->goal == XENPV_GOAL_CONNECT;
}

void bus_recover(struct xenpv_bus *bus, const char *how)
{
    struct xenpv_detail detail = bus_waiting_detail(bus, XENPV_EPEER);

    if (!bus->recovering || bus->stale)
        bus->deadline = bus_from_now(bus, bus->config.recover_ms);
    if (!bus->recovering) {
        bus->told = bus_worth_telling(bus);
        if (bus->told)
            bus_tell(bus, XENPV_LOG_WARN, how, &detail);
    }
    bus->recovering = bus->anew = true;
    bus->awaited = (struct xenpv_detail){0};
}

void bus_recovered(struct xenpv_bus *bus)
{
    if (bus->recovering && bus->told)
        bus_tell(bus, XENPV_LOG_INFO, "connected again", &(struct xenpv_detail){0});
    bus->recovering = bus->anew = bus->kept = false;
}

void bus_begin(struct xenpv_bus *bus)
{
    bus_set_job(bus, JOB_NONE);
    bus->phase = XENPV_BUS_FIND;
    bus->after = ACT_WAIT;
    bus->update = XENPV_UPDATE_NONE; /* what it would write is published anyhow */
    bus->look_at = UINT64_MAX;
    bus->own_state = bus->peer_state = XENPV_STATE_UNREAD;
    bus->peer_path[0] = '\0';
    if (bus->goal != XENPV_GOAL_CLOSE)
        bus_set_job(bus, JOB_FIND);
}

/* ---- suspend --------------------------------------------------------------------------------- */

void bus_suspended(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;
    struct xenpv_detail detail = {.error = XENPV_ESTALE,
                                  .step = "returning from a suspend",
                                  .expected = "a connection of this generation"};

    bus->generation = port->sys->generation(port->ctx);
    bus->stale = true;
    bus_set_job(bus, JOB_NONE);
    if (!bus_may_recover(bus)) {
        bus->anew = false;
        bus_record(bus, &detail);
        return;
    }
    if (bus->phase == XENPV_BUS_CONNECTED || bus->recovering)
        bus_recover(bus, "suspended, the connection is made anew");
    bus->anew = true;
}

bool bus_forget(struct xenpv_bus *bus, bool (*finish)(struct xenpv_bus *bus))
{
    enum xenpv_quiesce how = XENPV_QUIESCE_HALT;

    if (bus_patient(bus) && bus->now >= bus->deadline) {
        struct xenpv_detail detail = bus_timeout_detail(bus);
        xenpv_bus_fail(bus, &detail);
    }
    if (bus_patient(bus) && bus->recovering)
        how = XENPV_QUIESCE_HOLD;
    if ((bus->shared || bus->recovering) && !bus_stop(bus, how))
        return false;
    bus->stale = false;
    if (bus->shared || bus->kept)
        bus->config.driver->abandon(bus->config.owner, true);
    bus->kept = bus->recovering;
    bus->shared = false;
    if (!bus->anew)
        return finish(bus);
    bus_begin(bus);
    return true;
}

/* ---- time ------------------------------------------------------------------------------------ */

bool bus_release(struct xenpv_bus *bus)
{
    const struct xenpv_bus_driver *driver = bus->config.driver;

    if (bus->shared && driver->release(bus->config.owner) == XENPV_EBUSY) {
        if (bus->after != ACT_END)
            bus->busy_until = bus_from_now(bus, bus->config.close_ms);
        bus->after = ACT_END;
        bus->look_at = bus->now + BUS_RETRY_MS;
        /* Who closes has a deadline; who connects again does not wait for a peer of before. */
        if (!bus_patient(bus) || bus->now < bus->busy_until)
            return false;
        driver->abandon(bus->config.owner, false);
    }
    if (bus->shared)
        bus->kept = bus->recovering;
    bus->shared = false;
    bus->after = ACT_WAIT;
    return true;
}

struct xenpv_detail bus_timeout_detail(const struct xenpv_bus *bus)
{
    struct xenpv_detail detail = {.step = "returning from a suspend",
                                  .expected = "the queues to be polled"};

    if (!bus->stale)
        detail = bus_patient(bus) && bus->awaited.error ? bus->awaited
                                                        : bus_waiting_detail(bus, XENPV_ETIMEDOUT);
    detail.error = XENPV_ETIMEDOUT;
    return detail;
}
