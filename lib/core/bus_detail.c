/* SPDX-License-Identifier: MIT */
/* What is told of a connection that fails, or is lost: details, and lines of the log. */
#include "bus_jobs.h"

/* A peer that comes and goes as fast as it can does not fill the log. */
#define TELL_MS 10000u

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static const char *const state_names[] = {"Unknown",     "Initialising",  "InitWait",
                                          "Initialised", "Connected",     "Closing",
                                          "Closed",      "Reconfiguring", "Reconfigured"};

const char *xenpv_bus_state_name(uint32_t state)
{
    return state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state] : "?";
}

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

static char *append(char *at, const char *end, const char *text)
{
    while (*text && at < end)
        *at++ = *text++;
    *at = '\0';
    return at;
}

void bus_describe_key(struct xenpv_detail *detail, const char *dir, const char *name)
{
    const char *const words[] = {dir, "/", name};
    char path[XENPV_STORE_PATH_MAX + XENPV_KEY_TEXT_MAX], *at = path;

    for (uint32_t i = 0; i < COUNT(words); i++)
        at = append(at, path + sizeof(path) - 1, words[i]);
    uint32_t length = (uint32_t)(at - path);
    uint32_t cut = length < sizeof(detail->key) ? 0 : length - (uint32_t)sizeof(detail->key) + 1;
    xenpv_printable(detail->key, sizeof(detail->key), path + cut, length - cut);
}

/* Writes "4 (Connected)", or what stands there in its place. */
static void describe_state(uint32_t state, char *text, uint32_t capacity)
{
    static const char *const odd[] = {[XENPV_STATE_UNKNOWN] = "no state",
                                      [XENPV_STATE_JUNK] = "no number from 0 to 8",
                                      [XENPV_STATE_UNREAD] = "nothing yet"};
    const char *name = xenpv_bus_state_name(state);
    char built[32] = "0 (";
    uint32_t length = bus_length(name);

    if (odd[state]) {
        xenpv_printable(text, capacity, odd[state], bus_length(odd[state]));
        return;
    }
    built[0] = (char)('0' + state);
    memcpy(built + 3, name, length);
    built[3 + length] = ')';
    xenpv_printable(text, capacity, built, length + 4);
}

struct xenpv_detail bus_waiting_detail(const struct xenpv_bus *bus, int error)
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

/* A line of so many words. */
static void say(const struct xenpv_bus *bus, enum xenpv_log_level level, const char *const *words,
                uint32_t count)
{
    const struct xenpv_port *port = bus->config.port;
    char line[256], *at = line;

    for (uint32_t i = 0; i < count; i++)
        at = append(at, line + sizeof(line) - 1, words[i]);
    port->sys->log(port->ctx, level, line);
}

bool bus_worth_telling(struct xenpv_bus *bus)
{
    if (bus->now < bus->tell_at)
        return false;
    bus->tell_at = bus->now + TELL_MS;
    return true;
}

void bus_record(struct xenpv_bus *bus, const struct xenpv_detail *detail)
{
    /* Not every failure is about a key, or about what a peer has written. */
    bool key = detail->key[0] != '\0', found = key || detail->check;
    bool expected = found && detail->expected && detail->expected[0];
    const char *before = key ? " is '" : "found '";
    const char *const words[] = {bus->own_path,
                                 ": ",
                                 detail->step,
                                 found ? ": " : "",
                                 detail->key,
                                 found ? before : "",
                                 found ? detail->found : "",
                                 found ? "'" : "",
                                 expected ? ", expected " : "",
                                 expected ? detail->expected : "",
                                 ": ",
                                 xenpv_error_text(detail->error)};

    if (bus->detail.error != XENPV_OK)
        return;
    bus->detail = *detail;
    /* A backend serves whatever frontend comes: one that is refused may come again at once. */
    if (bus->config.driver->role == XENPV_FRONTEND || bus_worth_telling(bus))
        say(bus, XENPV_LOG_WARN, words, COUNT(words));
}

void bus_tell(struct xenpv_bus *bus, enum xenpv_log_level level, const char *what,
              const struct xenpv_detail *detail)
{
    const char *const words[] = {bus->own_path, ": ",    what,          ": ",
                                 detail->key,   " is '", detail->found, "'"};

    say(bus, level, words, detail->key[0] ? COUNT(words) : 3);
}
