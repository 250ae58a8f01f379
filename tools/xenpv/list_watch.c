/* SPDX-License-Identifier: MIT */
/* xenpv list --watch: what comes, goes and changes, a line each. */
#include <string.h>

#include "complain.h"
#include "info.h"
#include "json.h"
#include "list.h"
#include "store.h"

static const char *const changes[] = {
    [XENPV_DEVICE_ADDED] = "added",
    [XENPV_DEVICE_REMOVED] = "removed",
    [XENPV_DEVICE_CHANGED] = "changed",
};

/* "1 Initialising -> 4 Connected", where it differs. */
static void move_text(const struct xenpv_device_event *event, uint32_t before, uint32_t now,
                      char text[72])
{
    char from[32], to[32];

    list_state_text(before, from);
    list_state_text(now, to);
    if (event->change == XENPV_DEVICE_CHANGED && before != now)
        snprintf(text, 72, "%s -> %s", from, to);
    else
        snprintf(text, 72, "%s", to);
}

static void print_text(const struct xenpv_device_event *event, const struct row *row)
{
    char device[32], ends[2][72], identity[IDENTITY_MAX];

    row_device(row, device);
    row_identity(row, identity);
    move_text(event, event->frontend_before, row->device.frontend_state, ends[0]);
    move_text(event, event->backend_before, row->device.backend_state, ends[1]);
    printf("%-7s  %-16s  %-32s  %-32s  %s\n", changes[event->change], device, ends[0], ends[1],
           info_or_dash(identity));
}

static void print_json(const struct xenpv_device_event *event, const struct row *row)
{
    json_open(NULL, '{');
    json_text("event", changes[event->change]);
    list_json_device(row);
    if (event->change != XENPV_DEVICE_REMOVED)
        list_json_domain("backend_domain", row->device.backend_id);
    list_json_state("frontend_state", row->device.frontend_state);
    list_json_state("backend_state", row->device.backend_state);
    if (event->change == XENPV_DEVICE_CHANGED) {
        list_json_state("frontend_before", event->frontend_before);
        list_json_state("backend_before", event->backend_before);
    }
    json_close('}');
}

/* What is gone says no more who it was. */
static int tell(struct machine *machine, const struct xenpv_device_event *event)
{
    struct row row = {.device = event->device};
    int error = 0;

    if (event->change != XENPV_DEVICE_REMOVED)
        error = row_fill(machine, "device", &event->device, &row);
    if (error)
        return error;
    if (machine->options->json)
        print_json(event, &row);
    else
        print_text(event, &row);
    return 0;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Until `end`, a signal, or as many events as were asked for, which `told` counts. */
static int follow(struct stream *stream, uint64_t end, uint32_t *told)
{
    struct machine *machine = stream->machine;
    uint32_t count = machine->options->count;
    uint64_t pulse = store_pulse(machine, UINT64_MAX);

    for (;;) {
        struct xenpv_device_event event;
        int error = stream_look(stream);

        if (error == 0 && machine_now(machine) >= pulse) {
            error = store_is_lost(machine) ? XENPV_ESTORE : 0;
            pulse = store_pulse(machine, UINT64_MAX);
        }
        while (error == 0 && (count == 0 || *told < count) &&
               xenpv_devices_next(stream->devices, &event)) {
            error = tell(machine, &event);
            ++*told;
        }
        fflush(stdout);
        if (error || os_stop_signal() || ferror(stdout) || machine_now(machine) >= end ||
            (count && *told >= count))
            return error;
        machine_wait(machine, NULL, 0,
                     sooner(sooner(end, pulse), xenpv_devices_deadline(stream->devices)));
    }
}

static int watch(struct machine *machine)
{
    const struct options *options = machine->options;
    uint64_t end = UINT64_MAX;
    struct stream stream;
    uint32_t told = 0;
    int error = stream_open(&stream, machine, "device");

    if (options->duration_s)
        end = machine_now(machine) + UINT64_C(1000) * options->duration_s;
    machine->listens = true;
    if (error == 0)
        error = follow(&stream, end, &told);
    stream_close(&stream);
    if (os_stop_signal() || ferror(stdout))
        return STATUS_DONE;
    if (error)
        return list_complain(error);
    if (told < options->count)
        return complain(STATUS_FAILED, "list: %u of %u events came in %u seconds", told,
                        options->count, options->duration_s);
    return STATUS_DONE;
}

int list_watch(const struct options *options)
{
    struct machine *machine;
    int status = machine_open(options, MACHINE_STORE, &machine);

    if (status != STATUS_DONE)
        return status;
    if (options->json)
        json_lines();
    return machine_close(machine, watch(machine));
}
