/* SPDX-License-Identifier: MIT */
#include "bus_jobs.h"
#include "bus_table.h"

/* Transitions of one step call; a peer that moves faster is followed at the next call. */
#define TURNS 64

int xenpv_bus_init(struct xenpv_bus *bus, const struct xenpv_bus_config *config)
{
    uint32_t length = bus_length(config->path);

    if (length == 0 || length >= XENPV_STORE_PATH_MAX)
        return XENPV_EINVAL;
    for (uint32_t i = 0; i < XENPV_ASK_COUNT; i++) {
        uint32_t live = i == XENPV_ASK_ANSWER ? config->driver->ask[XENPV_ASK_LIVE].count : 0;

        if (config->driver->ask[i].count + live > config->room)
            return XENPV_EINVAL;
    }
    memset(bus, 0, sizeof(*bus));
    bus->config = *config;
    memcpy(bus->own_path, config->path, length + 1);
    bus->config.path = bus->own_path;
    bus->deadline = bus->look_at = UINT64_MAX;
    return XENPV_OK;
}

int xenpv_bus_start(struct xenpv_bus *bus, enum xenpv_bus_goal goal, uint64_t now)
{
    bool over = bus->phase == XENPV_BUS_IDLE || bus->phase == XENPV_BUS_DONE;

    bus->now = now;
    if (goal == XENPV_GOAL_CLOSE) {
        if (bus->phase == XENPV_BUS_IDLE)
            bus->phase = XENPV_BUS_DONE;
        if (over || bus->goal == goal)
            return XENPV_OK;
        bus->goal = goal;
        bus->deadline = bus_from_now(bus, bus->config.close_ms);
        bus->look_at = now;
        /* Whatever is being read for a connection or an inspection is not acted upon any more. */
        if (!bus->shared && bus->phase < XENPV_BUS_PUBLISHED)
            bus_set_job(bus, JOB_NONE);
        return XENPV_OK;
    }
    if (!over)
        return XENPV_EBUSY;
    bus->goal = goal;
    bus->deadline = bus_from_now(bus, bus->config.connect_ms);
    bus->detail = bus->awaited = (struct xenpv_detail){0};
    bus->generation = bus->config.port->sys->generation(bus->config.port->ctx);
    bus->recovering = bus->anew = bus->stale = bus->unplugged = bus->last = false;
    bus_begin(bus);
    return XENPV_OK;
}

int xenpv_bus_update(struct xenpv_bus *bus, enum xenpv_bus_update update)
{
    if (bus->phase != XENPV_BUS_CONNECTED || bus->goal != XENPV_GOAL_CONNECT ||
        bus->update == XENPV_UPDATE_AGREE || bus->job == JOB_UPDATE ||
        bus->own_state != XENPV_STATE_CONNECTED)
        return XENPV_EBUSY;
    bus->update = (uint8_t)update;
    bus->update_at = bus->look_at = bus->now;
    return XENPV_OK;
}

/* ---- what went wrong ------------------------------------------------------------------------- */

void xenpv_bus_fail(struct xenpv_bus *bus, const struct xenpv_detail *detail)
{
    bus_record(bus, detail);
    if (bus->config.driver->role == XENPV_BACKEND && bus->phase > XENPV_BUS_LOOK) {
        /* One bad frontend does not end a backend: it closes, and offers itself again. */
        if (bus->phase < XENPV_BUS_CLOSING)
            bus->after = ACT_CLOSE;
        return;
    }
    if (bus->goal != XENPV_GOAL_CLOSE)
        bus->deadline = bus_from_now(bus, bus->config.close_ms);
    bus->goal = XENPV_GOAL_CLOSE;
    bus->after = ACT_WAIT;
    /* Whatever is being read for a connection is not acted upon any more. */
    if (!bus->shared && bus->phase < XENPV_BUS_PUBLISHED)
        bus_set_job(bus, JOB_NONE);
}

/* ---- what an action does; true when something has moved -------------------------------------- */

bool bus_stop(struct xenpv_bus *bus, enum xenpv_quiesce how)
{
    if (!bus->config.driver->quiesce(bus->config.owner, how)) {
        bus->look_at = bus->now + BUS_RETRY_MS;
        return false;
    }
    if (how == XENPV_QUIESCE_HALT)
        bus->recovering = false;
    return true;
}

static bool finish(struct xenpv_bus *bus)
{
    bus_set_job(bus, JOB_NONE);
    bus_unwatch(bus);
    if (bus->recovering && !bus_stop(bus, XENPV_QUIESCE_HALT))
        return false;
    /* Shared, but never told to the peer: it cannot be mapped; or kept for nothing. */
    if ((bus->shared || bus->kept) && bus->config.driver->release(bus->config.owner) == XENPV_EBUSY)
        bus->config.driver->abandon(bus->config.owner, false);
    bus->shared = bus->kept = false;
    bus->phase = XENPV_BUS_DONE;
    bus->after = ACT_WAIT;
    bus->deadline = bus->look_at = UINT64_MAX;
    return false;
}

static enum xenpv_quiesce how_to_stop(const struct xenpv_bus *bus)
{
    if (bus->unplugged)
        return XENPV_QUIESCE_DRAIN;
    if (bus->detail.error != XENPV_OK || (bus->anew && bus->goal == XENPV_GOAL_CLOSE))
        return XENPV_QUIESCE_HALT;
    return bus->recovering ? XENPV_QUIESCE_HOLD : XENPV_QUIESCE_DRAIN;
}

/* Own state 5 or 6, after the data path has stopped. */
static bool close_to(struct xenpv_bus *bus, enum bus_action action)
{
    bus->after = (uint8_t)action;
    if (bus->shared && !bus_stop(bus, how_to_stop(bus)))
        return false;
    bus->after = ACT_WAIT;
    bus->unplugged = false;
    bus_write_state(bus, action == ACT_CLOSE ? XENPV_STATE_CLOSING : XENPV_STATE_CLOSED);
    return true;
}

static bool end(struct xenpv_bus *bus)
{
    if (!bus_release(bus))
        return false;
    if (bus_patient(bus))
        bus_begin(bus);
    else if (bus->goal == XENPV_GOAL_CONNECT && bus->config.driver->role == XENPV_FRONTEND)
        bus_write_state(bus, XENPV_STATE_INITIALISING);
    else {
        bus_set_job(bus, JOB_CLEAN);
        bus->last = true;
    }
    return true;
}

static bool lost(struct xenpv_bus *bus)
{
    struct xenpv_detail detail = bus_waiting_detail(bus, XENPV_EPEER);
    bool connected = bus->phase == XENPV_BUS_CONNECTED;

    if (bus_may_recover(bus) && bus->online && (connected || bus->recovering))
        bus_recover(bus, "the connection is lost, and made anew");
    else {
        /* A toolstack that takes the device away lets both ends finish. */
        bus->unplugged =
            bus_may_recover(bus) && connected && bus->peer_state == XENPV_STATE_CLOSING;
        if (bus->config.driver->role == XENPV_FRONTEND || bus->online)
            xenpv_bus_fail(bus, &detail);
    }
    return close_to(bus, ACT_CLOSE);
}

static bool act(struct xenpv_bus *bus, enum bus_action action)
{
    switch (action) {
    case ACT_WAIT:
        return false;
    case ACT_RESTART:
        bus_write_state(bus, XENPV_STATE_INITIALISING);
        return true;
    case ACT_PUBLISH:
        if (bus->goal == XENPV_GOAL_CLOSE || (bus->phase == XENPV_BUS_CLOSED && !bus->online))
            return end(bus);
        if (bus->config.driver->role == XENPV_BACKEND)
            bus->detail = (struct xenpv_detail){0};
        bus_set_job(bus, JOB_OFFER);
        return true;
    case ACT_CONNECT:
        bus_set_job(bus, JOB_ANSWER);
        return true;
    case ACT_REREAD:
        bus_set_job(bus, JOB_REREAD);
        return true;
    case ACT_CLOSE:
    case ACT_CLOSED:
        return close_to(bus, action);
    case ACT_LOST:
        return lost(bus);
    case ACT_REST:
        return bus->goal == XENPV_GOAL_CLOSE || !bus->online ? end(bus) : false;
    case ACT_END:
        return end(bus);
    }
    return false;
}

/* The device is being taken away: its backend will offer nothing any more. */
static bool offline(struct xenpv_bus *bus)
{
    struct xenpv_detail detail = {.error = XENPV_EPEER,
                                  .step = "looking for the backend",
                                  .expected = "1: the device is not being taken away",
                                  .found = "0"};

    bus_describe_key(&detail, bus->peer_path, "online");
    xenpv_bus_fail(bus, &detail);
    return true;
}

/* Own state 7: until the peer agrees, or has had its time. */
static bool agreeing(const struct xenpv_bus *bus)
{
    return bus->phase == XENPV_BUS_CONNECTED && bus->goal == XENPV_GOAL_CONNECT &&
           bus->own_state == XENPV_STATE_RECONFIGURING;
}

/* A peer that has stood at 8 since the last agreement, as Linux backends do, cannot say it again:
 * it is given the time to see that it was asked. */
static bool has_agreed(struct xenpv_bus *bus)
{
    if (bus->peer_state != XENPV_STATE_RECONFIGURED)
        bus->agree_at = 0;
    else if (bus->now >= bus->agree_at)
        return true;
    else
        bus->look_at = bus->agree_at;
    return false;
}

bool bus_look_done(struct xenpv_bus *bus)
{
    enum xenpv_bus_role role = bus->config.driver->role;

    if (bus->goal == XENPV_GOAL_INSPECT) {
        bus_set_job(bus, JOB_OFFER);
        return true;
    }
    /* Only while an unplugged device is drained: once the peer has closed nothing is answered. */
    if (bus->unplugged && bus->after != ACT_WAIT) {
        bus->unplugged = bus->peer_state == XENPV_STATE_CLOSING;
        return true;
    }
    if (role == XENPV_FRONTEND && !bus->online && bus->phase < XENPV_BUS_PUBLISHED)
        return offline(bus);
    if (agreeing(bus) && has_agreed(bus)) {
        bus->agreed = true;
        bus_write_state(bus, XENPV_STATE_CONNECTED);
        return true;
    }
    return act(bus, bus_action(role, bus->phase, bus->peer_state));
}

/* ---- time and suspend ------------------------------------------------------------------------ */

static bool suspended(const struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;

    return port->sys->generation(port->ctx) != bus->generation;
}

/* The data path takes too long to finish: it is stopped, and closing goes on. */
static bool stop_draining(struct xenpv_bus *bus)
{
    struct xenpv_detail detail = {.error = XENPV_ETIMEDOUT,
                                  .step = "finishing what the queues had accepted",
                                  .expected = "the backend to answer, and the queues to be polled"};

    bus_record(bus, &detail);
    bus->unplugged = false;
    bus->deadline = bus_from_now(bus, bus->config.close_ms);
    return act(bus, (enum bus_action)bus->after);
}

/* The peer does not let go: end without it. */
static bool give_up(struct xenpv_bus *bus)
{
    bus_set_job(bus, JOB_NONE);
    /* Memory that a queue still uses cannot be given up, however late it is. */
    if (!bus_stop(bus, XENPV_QUIESCE_HALT))
        return false;
    bus->config.driver->abandon(bus->config.owner, false);
    bus->kept = bus->recovering;
    bus->shared = false;
    bus->deadline = bus_from_now(bus, bus->config.close_ms);
    bus->after = ACT_WAIT;
    if (bus->phase == XENPV_BUS_CLOSED)
        bus_set_job(bus, JOB_CLEAN);
    else
        bus_write_state(bus, XENPV_STATE_CLOSED);
    bus->last = true;
    return true;
}

/* The time of a wait is up: fail, or if we were closing, end without the peer. */
static bool timed_out(struct xenpv_bus *bus)
{
    struct xenpv_detail detail = bus_timeout_detail(bus);
    bool closing = bus->goal == XENPV_GOAL_CLOSE;

    if (bus->last) /* all is closed but the store */
        return finish(bus);
    if (agreeing(bus)) {
        bus_write_state(bus, XENPV_STATE_CONNECTED);
        return true;
    }
    if (!bus_patient(bus) && (bus->after == ACT_CLOSE || bus->after == ACT_CLOSED))
        return stop_draining(bus);
    /* Keys that were on their way may have arrived. */
    if (bus->job == JOB_PUBLISH && bus->started)
        bus->phase = XENPV_BUS_PUBLISHED;
    xenpv_bus_fail(bus, &detail);
    if (closing && bus->shared)
        return give_up(bus);
    bus_set_job(bus, JOB_NONE);
    return bus->shared || bus->anew || finish(bus);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool look(struct xenpv_bus *bus)
{
    if (!bus_fired(bus) && bus->now < bus->look_at)
        return false;
    bus->look_at = bus->phase == XENPV_BUS_CONNECTED ? UINT64_MAX : bus->now + BUS_LOOK_MS;
    bus_set_job(bus, bus->phase == XENPV_BUS_FIND ? JOB_FIND : JOB_LOOK);
    return true;
}

/*
 * Ends where there is nothing that the peer would have to give back: at the most there are keys,
 * which it has not read. Who was connected before leaves a state 6 behind.
 */
static bool sign_off(struct xenpv_bus *bus)
{
    if (!bus->shared && !bus->anew)
        return finish(bus);
    bus_set_job(bus, bus->anew ? JOB_OWN : JOB_CLEAN);
    bus->last = true;
    return true;
}

/* Is to end, and no peer has anything of ours. */
static bool nothing_to_close(const struct xenpv_bus *bus)
{
    return bus->goal == XENPV_GOAL_CLOSE &&
           (bus->phase < XENPV_BUS_PUBLISHED || (bus->anew && !bus->shared));
}

/* Does what is still to be done of an action. */
static bool go_on(struct xenpv_bus *bus)
{
    if (!bus->unplugged || !bus_fired(bus))
        return act(bus, (enum bus_action)bus->after);
    bus_set_job(bus, JOB_LOOK);
    return true;
}

static bool halting(const struct xenpv_bus *bus)
{
    return bus->recovering && bus->goal == XENPV_GOAL_CLOSE;
}

/* Does the next thing there is to do; false when that is to wait. */
static bool turn(struct xenpv_bus *bus)
{
    if (bus->phase == XENPV_BUS_IDLE || bus->phase == XENPV_BUS_DONE)
        return false;
    if ((!bus->last || bus->shared || bus->kept) && suspended(bus))
        bus_suspended(bus);
    if (bus->stale)
        return bus_forget(bus, finish);
    /* What is held fails at once; nothing else goes on before it has. */
    if (halting(bus))
        bus_stop(bus, XENPV_QUIESCE_HALT);
    if (bus->job != JOB_NONE)
        return bus_do_job(bus) || (bus->now >= bus->deadline && timed_out(bus));
    if (halting(bus))
        return false;
    if (bus->last)
        return finish(bus);
    if (nothing_to_close(bus))
        return sign_off(bus);
    if (bus->now >= bus->deadline)
        return timed_out(bus);
    if (bus->after != ACT_WAIT)
        return go_on(bus);
    if (bus->goal == XENPV_GOAL_CLOSE && bus->phase < XENPV_BUS_CLOSING)
        return close_to(bus, ACT_CLOSE);
    if (bus->update && bus->phase == XENPV_BUS_CONNECTED && bus->now >= bus->update_at) {
        bus_update(bus);
        return true;
    }
    return look(bus);
}

void xenpv_bus_step(struct xenpv_bus *bus, uint64_t now)
{
    int turns = 0;

    bus->now = now;
    while (turns < TURNS && turn(bus))
        turns++;
    if (turns == TURNS)
        bus->look_at = now;
}

void xenpv_bus_drop(struct xenpv_bus *bus)
{
    bus_set_job(bus, JOB_NONE);
    bus_unwatch(bus);
    bus->phase = XENPV_BUS_IDLE;
}

/* When the job under way wants to be asked again. */
static uint64_t job_deadline(const struct xenpv_bus *bus)
{
    if (!bus->started)
        return bus->retry_at;
    if (halting(bus))
        return bus->now + BUS_RETRY_MS;
    return bus->config.port->caps & XENPV_CAP_WAIT ? UINT64_MAX : bus->now + BUS_RETRY_MS;
}

uint64_t xenpv_bus_deadline(const struct xenpv_bus *bus)
{
    uint64_t next = bus->job != JOB_NONE ? job_deadline(bus) : bus->look_at;

    /* Once a deadline has passed, what is left to do is asked for by `next`. */
    return bus->deadline < next && bus->deadline > bus->now ? bus->deadline : next;
}

const struct xenpv_key_value *xenpv_bus_value(const struct xenpv_bus *bus,
                                              enum xenpv_bus_question question, uint32_t index)
{
    return &bus->config.values[question][index];
}
