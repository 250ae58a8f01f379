/* SPDX-License-Identifier: MIT */
/* xenpv store write, mkdir, rm, chmod: changes, all of them or none. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_store.h"
#include "cmd_store_tree.h"
#include "complain.h"
#include "input.h"
#include "json.h"
#include "store.h"

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

/* ------------------------------------------------------------------------------------- write -- */

static int write_pairs(const struct options *options, int count, char **arguments)
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

/* More than a value may have is not read: the store says that it is too long. */
static int write_input(const struct options *options, char *path)
{
    struct xenpv_store_op op = {.type = XENPV_STORE_WRITE, .dir = path};
    struct input input;
    int status = input_read(&input, options->in, XENPV_STORE_VALUE_MAX + 1);

    if (status != STATUS_DONE)
        return status;
    op.value = input.bytes;
    op.length = (uint32_t)input.length;
    status = change(options, "write", &op, 1);
    free(input.bytes);
    return status;
}

int run_store_write(const struct options *options, int count, char **arguments)
{
    if (!(options->given & OPTION_IN))
        return write_pairs(options, count, arguments);
    if (count != 1)
        return complain(STATUS_USAGE, "store write: with --in there is one PATH and no VALUE");
    return write_input(options, arguments[0]);
}

/* ------------------------------------------------------------------------- mkdir and remove -- */

static int change_nodes(const struct options *options, const char *verb, enum xenpv_store_type type,
                        int count, char **paths)
{
    struct xenpv_store_op *ops = calloc((size_t)count, sizeof(*ops));
    int status;

    if (!ops)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    for (int i = 0; i < count; i++)
        ops[i] = (struct xenpv_store_op){.type = type, .dir = paths[i]};
    status = change(options, verb, ops, (uint32_t)count);
    free(ops);
    return status;
}

int run_store_mkdir(const struct options *options, int count, char **arguments)
{
    return change_nodes(options, "mkdir", XENPV_STORE_MKDIR, count, arguments);
}

/* In one transaction: nobody puts anything there meanwhile. XENPV_E2BIG: there is something. */
static int remove_empty(struct machine *machine, const char *path)
{
    struct xenpv_store_op ops[] = {{.type = XENPV_STORE_READ, .dir = path},
                                   {.type = XENPV_STORE_LIST, .dir = path},
                                   {.type = XENPV_STORE_RM, .dir = path}};

    return store_run_strict(machine, ops, sizeof(ops) / sizeof(ops[0]));
}

/* Goes up while there is nothing left; a parent that may not be removed is no failure. */
static int remove_parents(struct machine *machine, char *path)
{
    char *slash;
    int error = 0;

    while (error == 0 && (slash = strrchr(path, '/')) != NULL && slash != path) {
        *slash = '\0';
        error = remove_empty(machine, path);
    }
    if (error == 0 || error == XENPV_E2BIG || error == XENPV_ENOENT || error == XENPV_EACCES)
        return STATUS_DONE;
    return complain_of_node("rm", path, error);
}

static int tidy(const struct options *options, int count, char **paths)
{
    struct machine *machine;
    int status = machine_open(options, MACHINE_STORE, &machine);

    if (status != STATUS_DONE)
        return status;
    for (int i = 0; i < count && status == STATUS_DONE; i++)
        status = remove_parents(machine, paths[i]);
    return machine_close(machine, status);
}

int run_store_rm(const struct options *options, int count, char **arguments)
{
    int status = change_nodes(options, "rm", XENPV_STORE_RM, count, arguments);

    return status == STATUS_DONE && options->tidy ? tidy(options, count, arguments) : status;
}

/* ------------------------------------------------------------------------------------- chmod -- */

/* Operations that all set the same permissions. */
struct chmod {
    struct modes modes;
    struct xenpv_store_op *ops;
    uint32_t count;
    char **parents; /* what `upto` has added: to be freed */
    uint32_t parent_count;
};

static int add_path(struct chmod *chmod, const char *path)
{
    struct xenpv_store_op *larger =
        realloc(chmod->ops, ((size_t)chmod->count + 1) * sizeof(*larger));

    if (!larger)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    chmod->ops = larger;
    larger[chmod->count++] = (struct xenpv_store_op){.type = XENPV_STORE_SET_PERMS,
                                                     .dir = path,
                                                     .value = chmod->modes.bytes,
                                                     .length = chmod->modes.length};
    return STATUS_DONE;
}

static int add_tree(struct chmod *chmod, const struct tree_node *node)
{
    int status = add_path(chmod, node->path);

    for (size_t i = 0; i < node->count && status == STATUS_DONE; i++)
        status = add_tree(chmod, &node->children[i]);
    return status;
}

/* Not "/" itself, and not the domain's own directory. */
static int add_parents(struct chmod *chmod, const char *path)
{
    int status = STATUS_DONE;

    for (size_t at = strlen(path); at-- > 1 && status == STATUS_DONE;) {
        char *parent, **larger;

        if (path[at] != '/')
            continue;
        parent = calloc(1, at + 1);
        larger = realloc(chmod->parents, ((size_t)chmod->parent_count + 1) * sizeof(*larger));
        chmod->parents = larger ? larger : chmod->parents;
        if (!parent || !larger) {
            free(parent);
            return complain(STATUS_ENVIRONMENT, "out of memory");
        }
        memcpy(parent, path, at);
        larger[chmod->parent_count++] = parent;
        status = add_path(chmod, parent);
    }
    return status;
}

static int chmod_on(struct machine *machine, const struct options *options, struct chmod *chmod,
                    const char *path)
{
    const struct tree_wish wish = {.verb = "chmod", .deep = true};
    struct tree_node root = {0};
    int status = options->recursive ? tree_read(machine, &wish, path, &root) : STATUS_DONE;

    if (status == STATUS_DONE)
        status = options->recursive ? add_tree(chmod, &root) : add_path(chmod, path);
    if (status == STATUS_DONE && options->upto)
        status = add_parents(chmod, path);
    if (status == STATUS_DONE && chmod->count)
        status = change_on(machine, "chmod", chmod->ops, chmod->count);
    if (status == STATUS_DONE && options->json)
        print_changed(chmod->ops, chmod->count);
    tree_free(&root);
    return status;
}

int run_store_chmod(const struct options *options, int count, char **arguments)
{
    struct chmod chmod = {.ops = NULL};
    struct machine *machine;
    int status;

    for (int i = 1; i < count; i++) {
        const char *wrong = add_mode(&chmod.modes, arguments[i]);

        if (wrong)
            return complain(STATUS_USAGE, "store chmod: '%s' %s", arguments[i], wrong);
    }
    status = machine_open(options, MACHINE_STORE, &machine);
    if (status == STATUS_DONE)
        status = machine_close(machine, chmod_on(machine, options, &chmod, arguments[0]));
    while (chmod.parent_count)
        free(chmod.parents[--chmod.parent_count]);
    free(chmod.parents);
    free(chmod.ops);
    return status;
}
