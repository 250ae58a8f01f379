/* SPDX-License-Identifier: MIT */
/* xenpv store: the XenStore, as this domain sees it. */
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "json.h"
#include "store.h"

/* What an error means for a node. */
static const char *node_error(int error)
{
    switch (error) {
    case XENPV_ENOENT:
        return "there is no such node";
    case XENPV_EACCES:
        return "this domain has no permission";
    case XENPV_EINVAL:
        return "this is no valid path";
    case XENPV_ENOSPC:
        return "this domain's quota of the store is used up";
    case XENPV_E2BIG:
        return "the value is too long";
    case XENPV_EAGAIN:
        return "others kept changing the store meanwhile; try again";
    case XENPV_ETIMEDOUT:
        return "the store did not answer in time";
    default:
        return xenpv_error_text(error);
    }
}

static int complain_of_node(const char *verb, const char *path, int error)
{
    return complain(status_of_error(error), "store %s %s: %s", verb, path, node_error(error));
}

/* Printable ASCII as it is, the backslash doubled, all else as \xNN. */
static void print_value(const char *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c == '\\')
            printf("\\\\");
        else if (c >= ' ' && c < 0x7f)
            putchar(c);
        else
            printf("\\x%02x", c);
    }
    putchar('\n');
}

/* ----------------------------------------------------------------------------- read and list -- */

struct look {
    const char *verb;
    enum xenpv_store_type type;
    void (*print)(const char *path, const char *bytes, uint32_t length, bool prefix);
    void (*print_json)(const char *bytes, uint32_t length);
};

static void print_read(const char *path, const char *bytes, uint32_t length, bool prefix)
{
    if (prefix)
        printf("%s: ", path);
    print_value(bytes, length);
}

static void print_read_json(const char *bytes, uint32_t length)
{
    json_bytes("value", bytes, length);
}

static void print_list(const char *path, const char *bytes, uint32_t length, bool prefix)
{
    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(bytes + at) + 1) {
        if (prefix)
            printf("%s/", path);
        print_value(bytes + at, (uint32_t)strlen(bytes + at));
    }
}

static void print_list_json(const char *bytes, uint32_t length)
{
    json_open("names", '[');
    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(bytes + at) + 1)
        json_text(NULL, bytes + at);
    json_close(']');
}

static const struct look reading = {"read", XENPV_STORE_READ, print_read, print_read_json};
static const struct look listing = {"ls", XENPV_STORE_LIST, print_list, print_list_json};

struct found {
    char *bytes;
    uint32_t length;
};

static int find(struct machine *machine, const struct look *look, int count, char **paths,
                struct found *found)
{
    for (int i = 0; i < count; i++) {
        int error = store_get(machine, look->type, paths[i], &found[i].bytes, &found[i].length);

        if (error)
            return complain_of_node(look->verb, paths[i], error);
    }
    return STATUS_DONE;
}

static void print_found(const struct look *look, int count, char **paths, const struct found *found,
                        bool json)
{
    if (json)
        json_open(NULL, '[');
    for (int i = 0; i < count; i++) {
        if (!json) {
            look->print(paths[i], found[i].bytes, found[i].length, count > 1);
            continue;
        }
        json_open(NULL, '{');
        json_text("path", paths[i]);
        look->print_json(found[i].bytes, found[i].length);
        json_close('}');
    }
    if (json)
        json_close(']');
}

/* All or nothing: nothing is printed when one of the paths fails. */
static int look_at(const struct options *options, const struct look *look, int count, char **paths)
{
    struct found *found = calloc((size_t)count, sizeof(*found));
    struct machine *machine;
    int status;

    if (!found)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    status = machine_open(options, MACHINE_STORE, &machine);
    if (status == STATUS_DONE) {
        status = find(machine, look, count, paths, found);
        if (status == STATUS_DONE)
            print_found(look, count, paths, found, options->json);
        status = machine_close(machine, status);
    }
    for (int i = 0; i < count; i++)
        free(found[i].bytes);
    free(found);
    return status;
}

static int run_read(const struct options *options, int count, char **arguments)
{
    return look_at(options, &reading, count, arguments);
}

/* A domain's own directory has no name below itself, but it says which domain it is. */
static int own_directory(const struct options *options, char *path, size_t bytes)
{
    struct machine *machine;
    uint32_t length;
    char *domid;
    int error, status = machine_open(options, MACHINE_STORE, &machine);

    if (status != STATUS_DONE)
        return status;
    error = store_get(machine, XENPV_STORE_READ, "domid", &domid, &length);
    if (error)
        return machine_close(machine, complain_of_node("read", "domid", error));
    snprintf(path, bytes, "/local/domain/%s", domid);
    free(domid);
    return machine_close(machine, STATUS_DONE);
}

static int run_ls(const struct options *options, int count, char **arguments)
{
    char own[64], *paths[] = {own};
    int status;

    if (count > 0)
        return look_at(options, &listing, count, arguments);
    status = own_directory(options, own, sizeof(own));
    return status == STATUS_DONE ? look_at(options, &listing, 1, paths) : status;
}

/* -------------------------------------------------------------------------- write and remove -- */

/* The first operation that failed, or else the first. */
static uint32_t culprit(const struct xenpv_store_op *ops, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (ops[i].status)
            return i;
    return 0;
}

static int change_on(struct machine *machine, const char *verb, struct xenpv_store_op *ops,
                     uint32_t count)
{
    bool transaction = (machine->port.caps & XENPV_CAP_TRANSACTIONS) != 0 && count > 1;
    int error = store_run(machine, ops, count, transaction);
    uint32_t which = culprit(ops, count);

    if (error == 0)
        error = ops[which].status;
    return error ? complain_of_node(verb, ops[which].dir, error) : STATUS_DONE;
}

static void print_changed(const struct xenpv_store_op *ops, uint32_t count)
{
    json_open(NULL, '[');
    for (uint32_t i = 0; i < count; i++) {
        json_open(NULL, '{');
        json_text("path", ops[i].dir);
        json_close('}');
    }
    json_close(']');
}

static int change(const struct options *options, const char *verb, struct xenpv_store_op *ops,
                  uint32_t count)
{
    struct machine *machine;
    int status = machine_open(options, MACHINE_STORE, &machine);

    if (status != STATUS_DONE)
        return status;
    status = machine_close(machine, change_on(machine, verb, ops, count));
    if (status == STATUS_DONE && options->json)
        print_changed(ops, count);
    return status;
}

static int run_write(const struct options *options, int count, char **arguments)
{
    uint32_t pairs = (uint32_t)count / 2;
    struct xenpv_store_op *ops;
    int status;

    if (count % 2)
        return complain(STATUS_USAGE, "store write: %s has no value: give PATH VALUE pairs",
                        arguments[count - 1]);
    ops = calloc(pairs, sizeof(*ops));
    if (!ops)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    for (uint32_t i = 0; i < pairs; i++)
        ops[i] = (struct xenpv_store_op){.type = XENPV_STORE_WRITE,
                                         .dir = arguments[2 * i],
                                         .value = arguments[2 * i + 1],
                                         .length = (uint32_t)strlen(arguments[2 * i + 1])};
    status = change(options, "write", ops, pairs);
    free(ops);
    return status;
}

static int run_rm(const struct options *options, int count, char **arguments)
{
    struct xenpv_store_op *ops = calloc((size_t)count, sizeof(*ops));
    int status;

    if (!ops)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    for (int i = 0; i < count; i++)
        ops[i] = (struct xenpv_store_op){.type = XENPV_STORE_RM, .dir = arguments[i]};
    status = change(options, "rm", ops, (uint32_t)count);
    free(ops);
    return status;
}

#define PATHS "A PATH that does not begin with / is below this domain's own directory.\n"

const struct command store_commands[] = {
    {.name = "store ls",
     .arguments = "[PATH]...",
     .summary = "list the children of nodes",
     .help =
         PATHS "Prints a name a line; with more than one PATH, PATH/NAME. Without a PATH, lists\n"
               "that directory itself.\n",
     .least = 0,
     .most = -1,
     .run = run_ls},
    {.name = "store read",
     .arguments = "PATH...",
     .summary = "print the values of nodes",
     .help = PATHS
     "Prints a value a line; with more than one PATH, \"PATH: \" before it. A byte that does\n"
     "not print is shown as \\xNN, a backslash as \\\\.\n",
     .least = 1,
     .most = -1,
     .run = run_read},
    {.name = "store write",
     .arguments = "PATH VALUE [PATH VALUE]...",
     .summary = "write nodes, and make them where missing",
     .help = PATHS "Several are written in one transaction: all of them or none.\n"
                   "Put -- before a VALUE that begins with -.\n",
     .least = 2,
     .most = -1,
     .run = run_write},
    {.name = "store rm",
     .arguments = "PATH...",
     .summary = "remove nodes, and all below them",
     .help = PATHS "Several are removed in one transaction: all of them or none. A node that is\n"
                   "not there is no error, unless its parent is missing too.\n",
     .least = 1,
     .most = -1,
     .run = run_rm},
    {.name = NULL},
};
