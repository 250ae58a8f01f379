/* SPDX-License-Identifier: MIT */
/* xenpv list: the PV devices of this guest. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/abi/blkif.h>
#include <xenpv/admit.h>
#include <xenpv/bus.h>

#include "complain.h"
#include "json.h"
#include "number.h"
#include "store.h"

struct row {
    char class_name[32];
    uint32_t id;
    char name[16];       /* "" for a class whose devices have none */
    char backend_id[12]; /* "" when it is not in the store */
    char frontend_state[12], backend_state[12];
    char mac[24];
    uint64_t bytes; /* 0: not known */
    char holder[64];
    bool counted, admitted; /* by the budget */
};

struct table {
    struct row *rows;
    size_t count;
    bool has_budget;
};

/* ----------------------------------------------------------------------------- what there is -- */

/* The value of DIR/NAME as printable text, cut to fit; "" for none. Only a store that cannot be
 * used is an error. */
static int read_text(struct machine *machine, const char *dir, const char *name, char *text,
                     uint32_t capacity)
{
    char path[2 * XENPV_STORE_PATH_MAX], *value;
    uint32_t length;
    int error;

    text[0] = '\0';
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    error = store_get(machine, XENPV_STORE_READ, path, &value, &length);
    if (error == XENPV_ENOENT || error == XENPV_EACCES || error == XENPV_EINVAL)
        return 0;
    if (error)
        return error;
    xenpv_printable(text, capacity, value, length);
    free(value);
    return 0;
}

/* "sectors" counts 512 bytes, whatever the sector size is: blkif.h. */
static uint64_t disk_bytes(const char *sectors)
{
    uint64_t number;

    if (!xenpv_parse_number(sectors, (uint32_t)strlen(sectors), &number) ||
        number > UINT64_MAX / XENPV_BLKIF_SECTOR)
        return 0;
    return number * XENPV_BLKIF_SECTOR;
}

static int fill_row(struct machine *machine, struct row *row)
{
    char dir[64], backend[XENPV_STORE_PATH_MAX], sectors[24];
    int error;

    snprintf(dir, sizeof(dir), "device/%s/%u", row->class_name, row->id);
    error = read_text(machine, dir, "backend", backend, sizeof(backend));
    if (error == 0)
        error = read_text(machine, dir, "backend-id", row->backend_id, sizeof(row->backend_id));
    if (error == 0)
        error = read_text(machine, dir, "state", row->frontend_state, sizeof(row->frontend_state));
    if (error == 0)
        error = read_text(machine, dir, "mac", row->mac, sizeof(row->mac));
    if (error == 0 && backend[0])
        error =
            read_text(machine, backend, "state", row->backend_state, sizeof(row->backend_state));
    if (error || strcmp(row->class_name, "vbd") != 0)
        return error;
    xenpv_vbd_name(row->id, row->name);
    error = backend[0] ? read_text(machine, backend, "sectors", sectors, sizeof(sectors)) : 0;
    row->bytes = error || !backend[0] ? 0 : disk_bytes(sectors);
    return error;
}

static int add_row(struct machine *machine, struct table *table, const char *class_name,
                   uint32_t id)
{
    struct row *larger = realloc(table->rows, (table->count + 1) * sizeof(*larger));
    struct row *row;

    if (!larger)
        return XENPV_ENOMEM;
    table->rows = larger;
    row = &table->rows[table->count++];
    *row = (struct row){.id = id};
    snprintf(row->class_name, sizeof(row->class_name), "%s", class_name);
    machine_holder(machine, class_name, id, row->holder, sizeof(row->holder));
    return fill_row(machine, row);
}

/* Calls `each` for every child of a directory that may be missing. */
static int for_each(struct machine *machine, struct table *table, const char *path,
                    const char *name,
                    int (*each)(struct machine *, struct table *, const char *, const char *))
{
    uint32_t length;
    char *names;
    int error = store_get(machine, XENPV_STORE_LIST, path, &names, &length);

    if (error)
        return error == XENPV_ENOENT ? 0 : error;
    for (uint32_t at = 0; error == 0 && at < length; at += (uint32_t)strlen(names + at) + 1)
        error = each(machine, table, name, names + at);
    free(names);
    return error;
}

/* A directory that is no number, such as device/suspend/event-channel, is no device. */
static int add_device(struct machine *machine, struct table *table, const char *class_name,
                      const char *name)
{
    uint64_t id;

    if (!xenpv_parse_number(name, (uint32_t)strlen(name), &id) || id > UINT32_MAX)
        return 0;
    return add_row(machine, table, class_name, (uint32_t)id);
}

static int add_class(struct machine *machine, struct table *table, const char *unused,
                     const char *class_name)
{
    char path[64];

    (void)unused;
    if (strlen(class_name) >= sizeof(((struct row *)0)->class_name))
        return 0;
    snprintf(path, sizeof(path), "device/%s", class_name);
    return for_each(machine, table, path, class_name, add_device);
}

static int by_class_and_id(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    int order = strcmp(left->class_name, right->class_name);

    return order ? order : (left->id > right->id) - (left->id < right->id);
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

        row->counted = class_counts(row->class_name, &devices[count].device_class);
        devices[count].number = row->id;
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
                     names[0] ? ", " : "", row->class_name, row->id);
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

/* "4 Connected"; what is no state as it stands there. */
static void state_text(const char *state, char text[32])
{
    uint64_t number;

    if (state[0] == '\0')
        snprintf(text, 32, "-");
    else if (xenpv_parse_number(state, (uint32_t)strlen(state), &number) &&
             number <= XENPV_STATE_RECONFIGURED)
        snprintf(text, 32, "%s %s", state, xenpv_bus_state_name((uint32_t)number));
    else
        snprintf(text, 32, "%s ?", state);
}

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

#define COLUMNS "%-16s  %-8s  %-7s  %-15s  %-15s  %-30s  "

/* The last two columns; that of the budget only where there is one. */
static void print_rest(const struct table *table, const char *budget, const char *holder)
{
    if (table->has_budget)
        printf("%-8s  ", budget);
    printf("%s\n", holder);
}

static void print_row(const struct table *table, const struct row *row)
{
    char device[48], ends[2][32], what[48], size[SIZE_TEXT_MAX];

    snprintf(device, sizeof(device), "%s/%u", row->class_name, row->id);
    state_text(row->frontend_state, ends[0]);
    state_text(row->backend_state, ends[1]);
    size_text(row->bytes, size);
    if (row->bytes)
        snprintf(what, sizeof(what), "%" PRIu64 " (%s)", row->bytes, size);
    else
        snprintf(what, sizeof(what), "%s", or_dash(row->mac));
    printf(COLUMNS, device, or_dash(row->name), or_dash(row->backend_id), ends[0], ends[1], what);
    print_rest(table, budget_text(row), or_dash(row->holder));
}

static void print_text(const struct table *table)
{
    if (table->count) {
        printf(COLUMNS, "DEVICE", "NAME", "BACKEND", "FRONTEND STATE", "BACKEND STATE",
               "SIZE OR MAC");
        print_rest(table, "BUDGET", "HOLDER");
    }
    for (size_t i = 0; i < table->count; i++)
        print_row(table, &table->rows[i]);
}

/* A number as such, anything else as text, nothing as null. */
static void print_found_json(const char *key, const char *text)
{
    uint64_t number;

    if (text[0] == '\0')
        json_null(key);
    else if (xenpv_parse_number(text, (uint32_t)strlen(text), &number))
        json_number(key, number);
    else
        json_text(key, text);
}

static void print_row_json(const struct table *table, const struct row *row)
{
    json_open(NULL, '{');
    json_text("class", row->class_name);
    json_number("id", row->id);
    json_text("name", row->name);
    print_found_json("backend_domain", row->backend_id);
    print_found_json("frontend_state", row->frontend_state);
    print_found_json("backend_state", row->backend_state);
    if (row->bytes)
        json_number("bytes", row->bytes);
    if (row->mac[0])
        json_text("mac", row->mac);
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
    int error = for_each(machine, table, "device", NULL, add_class);

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
        return complain(status_of_error(error), "cannot list the devices: %s",
                        xenpv_error_text(error));
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

static int run(const struct options *options, int count, char **arguments)
{
    struct machine *machine;
    int status;

    (void)count;
    (void)arguments;
    status = machine_open(options, MACHINE_STORE, &machine);
    if (status != STATUS_DONE)
        return status;
    return machine_close(machine, show(machine));
}

const struct command list_commands[] = {
    {.name = "list",
     .arguments = "",
     .summary = "list the PV devices of this domain",
     .help = "Shows each device with its backend's domain, the states of both ends, a disk's size\n"
             "or a network card's address, and who holds the device. Changes nothing.\n"
             "  --budget N              say which devices a guest takes on that has room for N:\n"
             "                          disks before network cards, each class by number\n",
     .options = OPTION_BUDGET,
     .least = 0,
     .most = 0,
     .run = run},
    {.name = NULL},
};
