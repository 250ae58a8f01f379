/* SPDX-License-Identifier: MIT */
/* xenpv store read, ls, exists, getperms: what nodes hold. */
#include <stdlib.h>
#include <string.h>

#include "cmd_store.h"
#include "complain.h"
#include "json.h"
#include "store.h"

/* An answer to one path. */
struct found {
    char *bytes; /* NULL: there is no such node */
    uint32_t length;
};

struct look {
    const char *verb;
    enum xenpv_store_type type;
    store_print *print;
    store_json *print_json;
    bool may_miss; /* a missing node is an answer */
};

/* ---------------------------------------------------------------------------------- printing -- */

void store_print_value(const char *path, const char *bytes, uint32_t length, bool prefix)
{
    if (prefix)
        printf("%s: ", path);
    print_value(bytes, length);
    putchar('\n');
}

void store_json_value(const char *bytes, uint32_t length)
{
    json_bytes("value", bytes, length);
}

void store_print_names(const char *path, const char *bytes, uint32_t length, bool prefix)
{
    const char *slash = strcmp(path, "/") == 0 ? "" : "/";

    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(bytes + at) + 1) {
        if (prefix)
            printf("%s%s", path, slash);
        print_value(bytes + at, (uint32_t)strlen(bytes + at));
        putchar('\n');
    }
}

void store_json_names(const char *bytes, uint32_t length)
{
    json_list("names", bytes, length);
}

void store_print_perms(const char *path, const char *bytes, uint32_t length, bool prefix)
{
    if (prefix)
        printf("%s: ", path);
    print_permissions(bytes, length, ' ');
    putchar('\n');
}

void store_json_perms(const char *bytes, uint32_t length)
{
    json_list("permissions", bytes, length);
}

void store_json_exists(const char *bytes, uint32_t length)
{
    (void)length;
    json_bool("exists", bytes != NULL);
}

static void print_raw(const char *path, const char *bytes, uint32_t length, bool prefix)
{
    (void)path;
    (void)prefix;
    fwrite(bytes, 1, length, stdout);
}

static void print_nothing(const char *path, const char *bytes, uint32_t length, bool prefix)
{
    (void)path;
    (void)bytes;
    (void)length;
    (void)prefix;
}

static const struct look reading = {"read", XENPV_STORE_READ, store_print_value, store_json_value,
                                    false};
static const struct look raw = {"read", XENPV_STORE_READ, print_raw, store_json_value, false};
static const struct look listing = {"ls", XENPV_STORE_LIST, store_print_names, store_json_names,
                                    false};
static const struct look asking = {"exists", XENPV_STORE_READ, print_nothing, store_json_exists,
                                   true};
static const struct look permissions = {"getperms", XENPV_STORE_GET_PERMS, store_print_perms,
                                        store_json_perms, false};

/* ----------------------------------------------------------------------------------- looking -- */

static int find(struct machine *machine, const struct look *look, int count, char **paths,
                struct found *found)
{
    for (int i = 0; i < count; i++) {
        int error = store_get(machine, look->type, paths[i], &found[i].bytes, &found[i].length);

        if (error && !(error == XENPV_ENOENT && look->may_miss))
            return complain_of_node(look->verb, paths[i], error);
    }
    return STATUS_DONE;
}

static int status_of(int count, const struct found *found)
{
    for (int i = 0; i < count; i++)
        if (!found[i].bytes)
            return STATUS_FAILED;
    return STATUS_DONE;
}

static void print_found(const struct look *look, int count, char **paths, const struct found *found,
                        const struct options *options)
{
    if (options->json)
        json_open(NULL, '[');
    for (int i = 0; i < count; i++) {
        if (!options->json) {
            look->print(paths[i], found[i].bytes, found[i].length, count > 1 || options->paths);
            continue;
        }
        json_open(NULL, '{');
        json_text("path", paths[i]);
        look->print_json(found[i].bytes, found[i].length);
        json_close('}');
    }
    if (options->json)
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
        if (status == STATUS_DONE) {
            print_found(look, count, paths, found, options);
            status = status_of(count, found);
        }
        status = machine_close(machine, status);
    }
    for (int i = 0; i < count; i++)
        free(found[i].bytes);
    free(found);
    return status;
}

int run_store_read(const struct options *options, int count, char **arguments)
{
    if (options->raw && options->json)
        return complain(STATUS_USAGE, "store read: --raw is not --output json");
    return look_at(options, options->raw ? &raw : &reading, count, arguments);
}

int run_store_exists(const struct options *options, int count, char **arguments)
{
    return look_at(options, &asking, count, arguments);
}

int run_store_getperms(const struct options *options, int count, char **arguments)
{
    return look_at(options, &permissions, count, arguments);
}

static int list_own(const struct options *options)
{
    struct machine *machine;
    char *path = NULL;
    int status = machine_open(options, MACHINE_STORE, &machine);

    if (status != STATUS_DONE)
        return status;
    status = machine_close(machine, own_directory(machine, &path));
    if (status == STATUS_DONE)
        status = run_store_ls(options, 1, &path);
    free(path);
    return status;
}

int run_store_ls(const struct options *options, int count, char **arguments)
{
    if (count == 0)
        return list_own(options);
    if (options->recursive || options->permissions)
        return run_store_tree(options, count, arguments);
    return look_at(options, &listing, count, arguments);
}
