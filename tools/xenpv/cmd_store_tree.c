/* SPDX-License-Identifier: MIT */
/* xenpv store ls with what lies below, and with permissions. */
#include "cmd_store_tree.h"

#include <stdlib.h>
#include <string.h>

#include "cmd_store.h"
#include "complain.h"
#include "json.h"
#include "store.h"

/* ----------------------------------------------------------------------------------- reading -- */

void tree_free(struct tree_node *node)
{
    for (size_t i = 0; i < node->count; i++)
        tree_free(&node->children[i]);
    free(node->children);
    free(node->path);
    free(node->value);
    free(node->perms);
    *node = (struct tree_node){0};
}

/* What may not be read is none; else an error. */
static int get(struct machine *machine, enum xenpv_store_type type, const char *path, char **bytes,
               uint32_t *length)
{
    int error = store_get(machine, type, path, bytes, length);
    char *smaller;

    if (error)
        return error == XENPV_EACCES ? XENPV_OK : error;
    smaller = realloc(*bytes, (size_t)*length + 1);
    *bytes = smaller ? smaller : *bytes;
    return XENPV_OK;
}

static int read_node(struct machine *machine, const struct tree_wish *wish, struct tree_node *node)
{
    int error = XENPV_OK;

    if (wish->values)
        error = get(machine, XENPV_STORE_READ, node->path, &node->value, &node->length);
    if (!error && wish->perms)
        error = get(machine, XENPV_STORE_GET_PERMS, node->path, &node->perms, &node->perms_length);
    return error;
}

static size_t count_names(const char *names, uint32_t length)
{
    size_t count = 0;

    for (uint32_t at = 0; at < length; at++)
        count += names[at] == '\0';
    return count;
}

static int read_children(struct machine *machine, const struct tree_wish *wish,
                         struct tree_node *node, bool top);

/* A node that is gone by now leaves no trace. */
static int add_child(struct machine *machine, const struct tree_wish *wish, struct tree_node *node,
                     const char *name)
{
    struct tree_node *child = &node->children[node->count];
    int error;

    child->path = join_path(node->path, name);
    if (!child->path)
        return XENPV_ENOMEM;
    child->name = child->path + strlen(child->path) - strlen(name);
    error = read_node(machine, wish, child);
    if (!error && wish->deep)
        error = read_children(machine, wish, child, false);
    if (error)
        tree_free(child);
    else
        node->count++;
    return error == XENPV_ENOENT ? XENPV_OK : error;
}

/* How deep a tree is, the length of a path bounds. */
static int read_children(struct machine *machine, const struct tree_wish *wish,
                         struct tree_node *node, bool top)
{
    uint32_t length = 0;
    char *names = NULL;
    int error = store_get(machine, XENPV_STORE_LIST, node->path, &names, &length);

    if (error)
        return error == XENPV_EACCES && !top ? XENPV_OK : error;
    node->children = calloc(count_names(names, length) + 1, sizeof(*node->children));
    if (!node->children)
        error = XENPV_ENOMEM;
    for (uint32_t at = 0; !error && at < length; at += (uint32_t)strlen(names + at) + 1)
        error = os_stop_signal() ? XENPV_ETIMEDOUT : add_child(machine, wish, node, names + at);
    free(names);
    return error;
}

int tree_read(struct machine *machine, const struct tree_wish *wish, const char *path,
              struct tree_node *root)
{
    size_t bytes = strlen(path) + 1;
    int error;

    *root = (struct tree_node){.path = malloc(bytes)};
    if (!root->path)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    root->name = memcpy(root->path, path, bytes);
    error = read_node(machine, wish, root);
    if (!error)
        error = read_children(machine, wish, root, true);
    return error ? complain_of_node(wish->verb, path, error) : STATUS_DONE;
}

/* ---------------------------------------------------------------------------------- printing -- */

/* As xenstore-ls prints them. */
static void print_node(const struct tree_node *node, const struct options *options, int depth)
{
    printf("%*s%s", options->paths ? 0 : depth, "", options->paths ? node->path : node->name);
    if (node->value) {
        printf(" = \"");
        print_value(node->value, node->length);
        putchar('"');
    }
    if (node->perms) {
        printf("   (");
        print_permissions(node->perms, node->perms_length, ',');
        putchar(')');
    }
    putchar('\n');
}

static void print_children(const struct tree_node *node, const struct options *options, int depth)
{
    for (size_t i = 0; i < node->count; i++) {
        print_node(&node->children[i], options, depth);
        print_children(&node->children[i], options, depth + 1);
    }
}

static void print_json(const struct tree_node *node, const struct options *options, bool top)
{
    json_open(NULL, '{');
    json_text(top ? "path" : "name", node->name);
    if (node->value)
        json_bytes("value", node->value, node->length);
    else if (options->recursive)
        json_null("value");
    if (node->perms)
        json_list("permissions", node->perms, node->perms_length);
    else if (options->permissions)
        json_null("permissions");
    if (options->recursive || top) {
        json_open("children", '[');
        for (size_t i = 0; i < node->count; i++)
            print_json(&node->children[i], options, false);
        json_close(']');
    }
    json_close('}');
}

static void print_trees(const struct tree_node *trees, int count, const struct options *options)
{
    if (options->json)
        json_open(NULL, '[');
    for (int i = 0; i < count; i++) {
        if (options->json) {
            print_json(&trees[i], options, true);
            continue;
        }
        if (count > 1 && !options->paths)
            printf("%s:\n", trees[i].path);
        print_children(&trees[i], options, 0);
    }
    if (options->json)
        json_close(']');
}

int run_store_tree(const struct options *options, int count, char **arguments)
{
    const struct tree_wish wish = {.verb = "ls",
                                   .values = options->recursive,
                                   .perms = options->permissions,
                                   .deep = options->recursive};
    struct tree_node *trees = calloc((size_t)count, sizeof(*trees));
    struct machine *machine;
    int status;

    if (!trees)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    status = machine_open(options, MACHINE_STORE, &machine);
    if (status == STATUS_DONE) {
        for (int i = 0; i < count && status == STATUS_DONE; i++)
            status = tree_read(machine, &wish, arguments[i], &trees[i]);
        if (status == STATUS_DONE)
            print_trees(trees, count, options);
        status = machine_close(machine, status);
    }
    for (int i = 0; i < count; i++)
        tree_free(&trees[i]);
    free(trees);
    return status;
}
