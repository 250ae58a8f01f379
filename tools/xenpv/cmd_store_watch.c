/* SPDX-License-Identifier: MIT */
/* xenpv store watch: what changes, as it changes. */
#include <stdlib.h>

#include <xenpv/store.h>

#include "cmd_store.h"
#include "complain.h"
#include "json.h"
#include "store.h"

struct watch {
    struct machine *machine;
    const struct options *options;
    char **paths; /* each one's address is its watch's cookie */
    int count;
    uint32_t printed;
};

static bool is_done(const struct watch *watch)
{
    return watch->options->count && watch->printed == watch->options->count;
}

static void print_path(struct watch *watch, const char *path)
{
    watch->printed++;
    if (!watch->options->json) {
        printf("%s\n", path);
    } else {
        json_open(NULL, '{');
        json_text("path", path);
        json_close('}');
    }
    fflush(stdout);
}

/* A port that is told no paths only pokes. */
static bool next_path(struct watch *watch, char **cookie, char *path, uint32_t capacity)
{
    const struct xenpv_port *port = &watch->machine->port;
    bool fired = port->store->fired(port->ctx, cookie);

    if (port->store->changed)
        return port->store->changed(port->ctx, cookie, path, capacity) > 0;
    if (fired)
        snprintf(path, capacity, "%s", *cookie);
    return fired;
}

/* One of each in turn, so that none waits behind another's flood. True if there was any. */
static bool print_round(struct watch *watch)
{
    bool any = false;

    for (int i = 0; i < watch->count && !is_done(watch) && !ferror(stdout); i++) {
        char path[XENPV_STORE_ABSOLUTE_MAX + 1];

        if (!next_path(watch, &watch->paths[i], path, sizeof(path)))
            continue;
        print_path(watch, path);
        any = true;
    }
    return any;
}

static int follow(struct watch *watch)
{
    uint32_t ms = watch->options->watch_timeout_ms;
    uint64_t end = ms ? machine_now(watch->machine) + ms : UINT64_MAX;
    uint64_t pulse = store_pulse(watch->machine, end);

    while (!is_done(watch) && !os_stop_signal() && !ferror(stdout)) {
        uint64_t now = machine_now(watch->machine);

        if (print_round(watch))
            continue;
        if (now >= end)
            return complain(STATUS_FAILED, "store watch: %u changes in %u ms, then gave up",
                            watch->printed, ms);
        if (now >= pulse) {
            if (store_is_lost(watch->machine))
                return complain_of_node("watch", watch->paths[0], XENPV_ESTORE);
            pulse = store_pulse(watch->machine, end);
        }
        machine_wait(watch->machine, NULL, 0, pulse);
    }
    return STATUS_DONE;
}

/* As many as could be are there, whatever it answers. */
static int begin(struct watch *watch, int count)
{
    const struct xenpv_port *port = &watch->machine->port;

    for (; watch->count < count; watch->count++) {
        char **path = &watch->paths[watch->count];
        int error = port->store->watch(port->ctx, *path, path);

        if (error)
            return complain_of_node("watch", *path, error);
    }
    return STATUS_DONE;
}

static void end(struct watch *watch)
{
    const struct xenpv_port *port = &watch->machine->port;

    while (watch->count-- > 0)
        port->store->unwatch(port->ctx, watch->paths[watch->count], &watch->paths[watch->count]);
}

static int run(struct watch *watch, int count)
{
    int status = begin(watch, count);

    if (status == STATUS_DONE)
        status = follow(watch);
    end(watch);
    return status;
}

int run_store_watch(const struct options *options, int count, char **arguments)
{
    struct watch watch = {.options = options, .paths = arguments};
    int status = machine_open(options, MACHINE_STORE, &watch.machine);

    if (status != STATUS_DONE)
        return status;
    watch.machine->listens = true;
    if (options->json)
        json_lines();
    return machine_close(watch.machine, run(&watch, count));
}
