/* SPDX-License-Identifier: MIT */
#include "bus_jobs.h"
#include "bus_table.h"

/* How soon to ask a queue again whether it has stopped, or the port whether the peer let go. */
#define RETRY_MS 1u
/* Transitions of one step call; a peer that moves faster is followed at the next call. */
#define TURNS 64

static const char *const state_names[] = {"Unknown",     "Initialising",  "InitWait",
                                          "Initialised", "Connected",     "Closing",
                                          "Closed",      "Reconfiguring", "Reconfigured"};

const char *xenpv_bus_state_name(uint32_t state)
{
    return state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state] : "?";
}

static uint32_t text_length(const char *text)
{
    uint32_t length = 0;
    while (text[length])
        length++;
    return length;
}

int xenpv_bus_init(struct xenpv_bus *bus, const struct xenpv_bus_config *config)
{
    uint32_t length = text_length(config->path);

    if (length == 0 || length >= XENPV_STORE_PATH_MAX)
        return XENPV_EINVAL;
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
    bus->phase = XENPV_BUS_FIND;
    bus->deadline = bus_from_now(bus, bus->config.connect_ms);
    bus->look_at = UINT64_MAX;
    bus->own_state = bus->peer_state = XENPV_STATE_UNREAD;
    bus->peer_path[0] = '\0';
    bus->detail = (struct xenpv_detail){0};
    bus->generation = bus->config.port->sys->generation(bus->config.port->ctx);
    bus->after = ACT_WAIT;
    bus->last = false;
    bus_set_job(bus, JOB_FIND);
    return XENPV_OK;
}

/* ---- what went wrong ------------------------------------------------------------------------- */

/* What each phase waits for, for either role. */
static const struct {
    const char *step[2], *expected[2];
} waits[XENPV_BUS_PHASES] = {
    [XENPV_BUS_FIND] = {{"reading the device's directory", "reading the device's directory"},
                        {"an answer of the store", "an answer of the store"}},
    [XENPV_BUS_LOOK] = {{"looking for the backend", "looking for the frontend"},
                        {"a backend with a state", "a frontend with a state"}},
    [XENPV_BUS_RESTARTED] = {{"waiting for the backend's offer", ""}, {"state 2 (InitWait)", ""}},
    [XENPV_BUS_PUBLISHED] = {{"waiting for the backend to connect",
                              "waiting for the frontend to connect"},
                             {"state 4 (Connected)", "state 3 or 4"}},
    [XENPV_BUS_CONNECTED] = {{"being connected", "being connected"},
                             {"state 4 (Connected)", "state 4 (Connected)"}},
    [XENPV_BUS_CLOSING] = {{"waiting for the backend to close",
                            "waiting for the frontend to close"},
                           {"state 5 or 6 (Closed)", "state 6 (Closed)"}},
    [XENPV_BUS_CLOSED] = {{"waiting for the backend to close", "waiting for the frontend to close"},
                          {"state 6 (Closed)", "state 6 (Closed)"}},
};

/* Writes "4 (Connected)", or what stands there in its place. */
static void describe_state(uint32_t state, char *text, uint32_t capacity)
{
    static const char *const odd[] = {[XENPV_STATE_UNKNOWN] = "no state",
                                      [XENPV_STATE_JUNK] = "no number from 0 to 8",
                                      [XENPV_STATE_UNREAD] = "nothing yet"};
    const char *name = xenpv_bus_state_name(state);
    char built[32] = "0 (";
    uint32_t length = text_length(name);

    if (odd[state]) {
        xenpv_printable(text, capacity, odd[state], text_length(odd[state]));
        return;
    }
    built[0] = (char)('0' + state);
    memcpy(built + 3, name, length);
    built[3 + length] = ')';
    xenpv_printable(text, capacity, built, length + 4);
}

static struct xenpv_detail waiting_detail(const struct xenpv_bus *bus, int error)
{
    enum xenpv_bus_role role = bus->config.driver->role;
    struct xenpv_detail detail = {.error = error,
                                  .step = waits[bus->phase].step[role],
                                  .expected = waits[bus->phase].expected[role]};

    if (bus->phase == XENPV_BUS_FIND)
        return detail;
    bus_describe_key(&detail, bus->peer_path, "state");
    describe_state(bus->peer_state, detail.found, sizeof(detail.found));
    return detail;
}

static char *append(char *at, const char *end, const char *text)
{
    while (*text && at < end)
        *at++ = *text++;
    *at = '\0';
    return at;
}

/* The first failure is the one that is told, and logged: a line for each connection at the most. */
static void record(struct xenpv_bus *bus, const struct xenpv_detail *detail)
{
    const struct xenpv_port *port = bus->config.port;
    const char *const words[] = {bus->own_path,
                                 ": ",
                                 detail->step,
                                 ": ",
                                 detail->key,
                                 " is '",
                                 detail->found,
                                 "', expected ",
                                 detail->expected,
                                 ": ",
                                 xenpv_error_text(detail->error)};
    char line[256], *at = line;

    if (bus->detail.error != XENPV_OK)
        return;
    bus->detail = *detail;
    for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        at = append(at, line + sizeof(line) - 1, words[i]);
    port->sys->log(port->ctx, XENPV_LOG_WARN, line);
}

void xenpv_bus_fail(struct xenpv_bus *bus, const struct xenpv_detail *detail)
{
    record(bus, detail);
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
}

/* ---- what an action does; true when something has moved -------------------------------------- */

static bool finish(struct xenpv_bus *bus)
{
    bus_set_job(bus, JOB_NONE);
    bus_unwatch(bus);
    /* Shared, but never told to the peer: it cannot be mapped. */
    if (bus->shared && bus->config.driver->release(bus->config.owner) == XENPV_EBUSY)
        bus->config.driver->abandon(bus->config.owner, false);
    bus->shared = false;
    bus->phase = XENPV_BUS_DONE;
    bus->after = ACT_WAIT;
    bus->deadline = bus->look_at = UINT64_MAX;
    return false;
}

/* Own state 5 or 6, after the data path has stopped. */
static bool close_to(struct xenpv_bus *bus, enum bus_action action)
{
    bool drain = bus->detail.error == XENPV_OK;

    if (!bus->config.driver->quiesce(bus->config.owner, drain)) {
        bus->after = (uint8_t)action;
        bus->look_at = bus->now + RETRY_MS;
        return false;
    }
    bus->after = ACT_WAIT;
    bus_write_state(bus, action == ACT_CLOSE ? XENPV_STATE_CLOSING : XENPV_STATE_CLOSED);
    return true;
}

static bool end(struct xenpv_bus *bus)
{
    if (bus->config.driver->release(bus->config.owner) == XENPV_EBUSY) {
        bus->after = ACT_END;
        bus->look_at = bus->now + RETRY_MS;
        return false;
    }
    bus->shared = false;
    bus->after = ACT_WAIT;
    if (bus->goal == XENPV_GOAL_CONNECT && bus->config.driver->role == XENPV_FRONTEND)
        bus_write_state(bus, XENPV_STATE_INITIALISING);
    else {
        bus_set_job(bus, JOB_CLEAN);
        bus->last = true;
    }
    return true;
}

static bool lost(struct xenpv_bus *bus)
{
    struct xenpv_detail detail = waiting_detail(bus, XENPV_EPEER);

    if (bus->config.driver->role == XENPV_FRONTEND || bus->online)
        xenpv_bus_fail(bus, &detail);
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

bool bus_look_done(struct xenpv_bus *bus)
{
    enum xenpv_bus_role role = bus->config.driver->role;

    if (bus->goal == XENPV_GOAL_INSPECT) {
        bus_set_job(bus, JOB_OFFER);
        return true;
    }
    if (role == XENPV_FRONTEND && !bus->online && bus->phase < XENPV_BUS_PUBLISHED)
        return offline(bus);
    return act(bus, bus_action(role, bus->phase, bus->peer_state));
}

/* ---- time and suspend ------------------------------------------------------------------------ */

static bool suspended(const struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;

    return port->sys->generation(port->ctx) != bus->generation;
}

static bool drop_all(struct xenpv_bus *bus)
{
    struct xenpv_detail detail = {.error = XENPV_ESTALE,
                                  .step = "returning from a suspend",
                                  .expected = "a connection of this generation"};

    record(bus, &detail);
    bus_set_job(bus, JOB_NONE);
    if (!bus->config.driver->quiesce(bus->config.owner, false)) {
        bus->look_at = bus->now + RETRY_MS;
        return false;
    }
    bus->config.driver->abandon(bus->config.owner, true);
    bus->shared = false;
    return finish(bus);
}

/* The data path takes too long to finish: it is stopped, and closing goes on. */
static bool stop_draining(struct xenpv_bus *bus)
{
    struct xenpv_detail detail = {.error = XENPV_ETIMEDOUT,
                                  .step = "finishing what the queues had accepted",
                                  .expected = "the backend to answer, and the queues to be polled"};

    record(bus, &detail);
    bus->deadline = bus_from_now(bus, bus->config.close_ms);
    return act(bus, (enum bus_action)bus->after);
}

/* The peer does not let go: end without it. */
static bool give_up(struct xenpv_bus *bus)
{
    bus_set_job(bus, JOB_NONE);
    /* Memory that a queue still uses cannot be given up, however late it is. */
    if (!bus->config.driver->quiesce(bus->config.owner, false)) {
        bus->look_at = bus->now + RETRY_MS;
        return false;
    }
    bus->config.driver->abandon(bus->config.owner, false);
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
    struct xenpv_detail detail = waiting_detail(bus, XENPV_ETIMEDOUT);
    bool closing = bus->goal == XENPV_GOAL_CLOSE;

    if (bus->last) /* all is closed but the store */
        return finish(bus);
    if (bus->after == ACT_CLOSE || bus->after == ACT_CLOSED)
        return stop_draining(bus);
    /* Keys that were on their way may have arrived. */
    if (bus->job == JOB_PUBLISH && bus->started)
        bus->phase = XENPV_BUS_PUBLISHED;
    xenpv_bus_fail(bus, &detail);
    if (closing && bus->shared)
        return give_up(bus);
    bus_set_job(bus, JOB_NONE);
    return bus->shared || finish(bus);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool look(struct xenpv_bus *bus)
{
    if (!bus_fired(bus) && bus->now < bus->look_at)
        return false;
    bus->look_at = bus->phase == XENPV_BUS_CONNECTED ? UINT64_MAX : bus->now + BUS_LOOK_MS;
    bus_set_job(bus, JOB_LOOK);
    return true;
}

/* Ends before the peer was shown a state: at the most there are keys, which it has not read. */
static bool forget_unpublished(struct xenpv_bus *bus)
{
    if (!bus->shared)
        return finish(bus);
    bus_set_job(bus, JOB_CLEAN);
    bus->last = true;
    return true;
}

/* Does the next thing there is to do; false when that is to wait. */
static bool turn(struct xenpv_bus *bus)
{
    if (bus->phase == XENPV_BUS_IDLE || bus->phase == XENPV_BUS_DONE)
        return false;
    if (!bus->last && suspended(bus))
        return drop_all(bus);
    if (bus->job != JOB_NONE)
        return bus_do_job(bus) || (bus->now >= bus->deadline && timed_out(bus));
    if (bus->last)
        return finish(bus);
    if (bus->goal == XENPV_GOAL_CLOSE && bus->phase < XENPV_BUS_PUBLISHED)
        return forget_unpublished(bus);
    if (bus->now >= bus->deadline)
        return timed_out(bus);
    if (bus->after != ACT_WAIT)
        return act(bus, (enum bus_action)bus->after);
    if (bus->goal == XENPV_GOAL_CLOSE && bus->phase < XENPV_BUS_CLOSING)
        return close_to(bus, ACT_CLOSE);
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
    return bus->config.port->caps & XENPV_CAP_WAIT ? UINT64_MAX : bus->now + RETRY_MS;
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
