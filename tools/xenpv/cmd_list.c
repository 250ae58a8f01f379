/* SPDX-License-Identifier: MIT */
/* xenpv list: the PV devices of this guest. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/admit.h>

#include "complain.h"
#include "info.h"
#include "json.h"
#include "list.h"
#include "number.h"

struct table {
    struct row *rows;
    size_t count;
    bool has_budget;
};

/* ----------------------------------------------------------------------------- what there is -- */

static int add_row(struct machine *machine, struct table *table, const struct xenpv_device *device)
{
    struct row *larger = realloc(table->rows, (table->count + 1) * sizeof(*larger));
    struct row *row;
    int error;

    if (!larger)
        return XENPV_ENOMEM;
    table->rows = larger;
    row = &table->rows[table->count++];
    error = row_fill(machine, "device", device, row);
    machine_holder(machine, device->class_name, device->id, row->holder, sizeof(row->holder));
    return error;
}

static int add_rows(struct machine *machine, struct table *table)
{
    struct xenpv_device_event event;
    struct stream stream;
    int error = stream_open(&stream, machine, "device");

    if (error == 0)
        error = stream_look(&stream);
    while (error == 0 && xenpv_devices_next(stream.devices, &event))
        error = add_row(machine, table, &event.device);
    stream_close(&stream);
    return error;
}

static int by_class_and_id(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    int order = strcmp(left->device.class_name, right->device.class_name);

    return order ? order
                 : (left->device.id > right->device.id) - (left->device.id < right->device.id);
}

/* ------------------------------------------------------------------------------------ budget -- */

static bool class_counts(const char *class_name, enum xenpv_admit_class *device_class)
{
    *device_class = strcmp(class_name, "vif") == 0 ? XENPV_ADMIT_NIC : XENPV_ADMIT_DISK;
    return strcmp(class_name, "vbd") == 0 || strcmp(class_name, "vif") == 0;
}

static int admit(struct table *table, uint32_t budget)
{
    struct xenpv_admit_device *devices = calloc(table->count + 1, sizeof(*devices));
    uint32_t count = 0;

    if (!devices)
        return XENPV_ENOMEM;
    for (size_t i = 0; i < table->count; i++) {
        struct row *row = &table->rows[i];

        row->counted = class_counts(row->device.class_name, &devices[count].device_class);
        devices[count].number = row->device.id;
        count += row->counted;
    }
    xenpv_admit(devices, count, budget);
    count = 0;
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].counted)
            table->rows[i].admitted = devices[count++].admitted;
    free(devices);
    table->has_budget = true;
    return 0;
}

#define NAMES_SAID 8u /* refused devices that are called by their names */

static void tell_refused(const struct table *table, uint32_t budget)
{
    char names[NAMES_SAID * 48] = "";
    unsigned refused = 0;

    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];

        if (row->counted && !row->admitted && refused++ < NAMES_SAID)
            snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s/%u",
                     names[0] ? ", " : "", row->device.class_name, row->device.id);
    }
    if (refused > NAMES_SAID)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), " and %u more",
                 refused - NAMES_SAID);
    if (refused)
        complain(STATUS_DONE, "a budget of %u disks and network cards has no room for %s", budget,
                 names);
}

static const char *budget_text(const struct row *row)
{
    return !row->counted ? "-" : row->admitted ? "admitted" : "refused";
}

/* ---------------------------------------------------------------------------------- printing -- */

#define COLUMNS "%-16s  %-8s  %-7s  %-15s  %-15s  %-24s  %-24s  "

/* The last two columns; that of the budget only where there is one. */
static void print_rest(const struct table *table, const char *budget, const char *holder)
{
    if (table->has_budget)
        printf("%-8s  ", budget);
    printf("%s\n", holder);
}

static void print_row(const struct table *table, const struct row *row)
{
    char device[32], domain[8] = "-", ends[2][32], bytes[48] = "-", size[SIZE_TEXT_MAX];
    char identity[IDENTITY_MAX];

    row_device(row, device);
    row_identity(row, identity);
    list_state_text(row->device.frontend_state, ends[0]);
    list_state_text(row->device.backend_state, ends[1]);
    if (row->device.backend_id != XENPV_DEVICE_NO_DOMAIN)
        snprintf(domain, sizeof(domain), "%u", row->device.backend_id);
    size_text(row->bytes, size);
    if (row->bytes)
        snprintf(bytes, sizeof(bytes), "%" PRIu64 " (%s)", row->bytes, size);
    printf(COLUMNS, device, info_or_dash(row->name), domain, ends[0], ends[1],
           info_or_dash(identity), bytes);
    print_rest(table, budget_text(row), info_or_dash(row->holder));
}

static void print_text(const struct table *table)
{
    if (table->count) {
        printf(COLUMNS, "DEVICE", "NAME", "BACKEND", "FRONTEND STATE", "BACKEND STATE", "IDENTITY",
               "SIZE");
        print_rest(table, "BUDGET", "HOLDER");
    }
    for (size_t i = 0; i < table->count; i++)
        print_row(table, &table->rows[i]);
}

static void print_row_json(const struct table *table, const struct row *row)
{
    json_open(NULL, '{');
    list_json_device(row);
    list_json_domain("backend_domain", row->device.backend_id);
    list_json_state("frontend_state", row->device.frontend_state);
    list_json_state("backend_state", row->device.backend_state);
    if (row->bytes)
        json_number("bytes", row->bytes);
    json_text("holder", row->holder);
    if (table->has_budget && row->counted)
        json_bool("admitted", row->admitted);
    else if (table->has_budget)
        json_null("admitted");
    json_close('}');
}

static void print_json(const struct table *table)
{
    json_open(NULL, '[');
    for (size_t i = 0; i < table->count; i++)
        print_row_json(table, &table->rows[i]);
    json_close(']');
}

/* --------------------------------------------------------------------------------------- run -- */

static int fill(struct machine *machine, struct table *table)
{
    const struct options *options = machine->options;
    int error = add_rows(machine, table);

    if (error)
        return error;
    if (table->count)
        qsort(table->rows, table->count, sizeof(*table->rows), by_class_and_id);
    return options->given & OPTION_BUDGET ? admit(table, options->budget) : 0;
}

static int show(struct machine *machine)
{
    const struct options *options = machine->options;
    struct table table = {0};
    int error = fill(machine, &table);

    if (error) {
        free(table.rows);
        return list_complain(error);
    }
    if (table.count == 0)
        complain(STATUS_DONE, "this domain has no PV devices");
    tell_refused(&table, options->budget);
    if (options->json)
        print_json(&table);
    else
        print_text(&table);
    free(table.rows);
    return STATUS_DONE;
}

static int run_list(const struct options *options)
{
    struct machine *machine;
    int status = machine_open(options, MACHINE_STORE, &machine);

    return status == STATUS_DONE ? machine_close(machine, show(machine)) : status;
}

static int run(const struct options *options, int count, char **arguments)
{
    uint64_t given = options->given;

    (void)count;
    (void)arguments;
    if (options->watch + options->all + ((given & OPTION_BUDGET) != 0) > 1)
        return complain(STATUS_USAGE, "list: --watch, --all and --budget exclude each other");
    if (!options->watch && given & (OPTION_COUNT | OPTION_DURATION))
        return complain(STATUS_USAGE, "list: --count and --duration are of --watch");
    if (options->watch)
        return list_watch(options);
    return options->all ? list_all(options) : run_list(options);
}

const struct command list_commands[] = {
    {.name = "list",
     .arguments = "",
     .summary = "list the PV devices of this domain, or of all",
     .help =
         "Shows each device with its backend's domain, the states of both ends, who it is\n"
         "wherever it is attached, as other commands take it, a disk's size, and who holds\n"
         "the device. Changes nothing.\n"
         "  --watch                 go on: a line for each device that is added, is removed, or\n"
         "                          whose ends change their state, until a signal ends it\n"
         "  --count N               ... or after N such lines\n"
         "  --duration S            ... or after S seconds\n"
         "  --all                   of all domains, as only domain 0 may see them\n"
         "  --budget N              say which devices a guest takes on that has room for N:\n"
         "                          disks before network cards, each class by number\n",
     .options =
         OPTION_BUDGET | OPTION_LIST_WATCH | OPTION_LIST_ALL | OPTION_COUNT | OPTION_DURATION,
     .least = 0,
     .most = 0,
     .run = run},
    {.name = NULL},
};
