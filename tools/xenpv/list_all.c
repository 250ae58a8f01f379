/* SPDX-License-Identifier: MIT */
/* xenpv list --all: the devices of all domains, from either end. */
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "info.h"
#include "json.h"
#include "list.h"
#include "store.h"

#define DOMAINS "/local/domain"

struct domain {
    uint16_t domid;
    bool in_store;
    char name[64]; /* "" for one that has none */
    char fate[32]; /* "" for one that lives */
};

/* One device: its frontend's domain, and its two ends as far as they are there. */
struct pair {
    uint16_t domid;
    bool has_frontend, has_backend;
    struct row row;
};

struct all {
    struct machine *machine;
    struct domain *domains;
    struct pair *pairs;
    size_t domain_count, pair_count;
};

/* --------------------------------------------------------------------------------- the store -- */

/* A number below a directory, from a list of names; false: it is none, or too large. */
static bool number_of(const char *name, uint64_t most, uint64_t *number)
{
    return xenpv_parse_number(name, (uint32_t)strlen(name), number) && *number <= most;
}

/* Calls `each` with every name in a directory, which may be missing. */
static int for_each(struct all *all, const char *path, void *ctx,
                    int (*each)(struct all *all, const char *path, const char *name, void *ctx))
{
    uint32_t length;
    char *names;
    int error = store_get(all->machine, XENPV_STORE_LIST, path, &names, &length);

    if (error)
        return error == XENPV_ENOENT ? 0 : error;
    for (uint32_t at = 0; error == 0 && at < length; at += (uint32_t)strlen(names + at) + 1)
        error = each(all, path, names + at, ctx);
    free(names);
    return error;
}

static int exists(struct machine *machine, const char *path, bool *there)
{
    uint32_t length;
    char *value = NULL;
    int error = store_get(machine, XENPV_STORE_READ, path, &value, &length);

    free(value);
    *there = error == 0;
    return error == XENPV_ENOENT || error == XENPV_EINVAL ? 0 : error;
}

/* ----------------------------------------------------------------------------------- domains -- */

static struct domain *find_domain(const struct all *all, uint16_t domid)
{
    for (size_t i = 0; i < all->domain_count; i++)
        if (all->domains[i].domid == domid)
            return &all->domains[i];
    return NULL;
}

static struct domain *make_domain(struct all *all, uint16_t domid)
{
    struct domain *domain = find_domain(all, domid);

    if (domain)
        return domain;
    domain = realloc(all->domains, (all->domain_count + 1) * sizeof(*domain));
    if (!domain)
        return NULL;
    all->domains = domain;
    domain += all->domain_count++;
    *domain = (struct domain){.domid = domid};
    snprintf(domain->fate, sizeof(domain->fate), "%s", machine_fate(all->machine, domid));
    return domain;
}

static int add_domain(struct all *all, const char *path, const char *name, void *unused)
{
    char node[64], *value;
    struct domain *domain;
    uint64_t number;
    uint32_t length;
    int error;

    (void)unused;
    if (!number_of(name, 0x7fef, &number))
        return 0;
    domain = make_domain(all, (uint16_t)number);
    if (!domain)
        return XENPV_ENOMEM;
    domain->in_store = true;
    snprintf(node, sizeof(node), "%s/%u/name", path, domain->domid);
    error = store_get(all->machine, XENPV_STORE_READ, node, &value, &length);
    if (error)
        return error == XENPV_ENOENT ? 0 : error;
    xenpv_printable(domain->name, sizeof(domain->name), value, length);
    free(value);
    return 0;
}

/* --------------------------------------------------------------------------------- frontends -- */

static struct pair *make_pair(struct all *all, uint16_t domid)
{
    struct pair *pairs = realloc(all->pairs, (all->pair_count + 1) * sizeof(*pairs));

    if (!pairs)
        return NULL;
    all->pairs = pairs;
    if (!make_domain(all, domid))
        return NULL;
    pairs[all->pair_count] = (struct pair){.domid = domid};
    return &pairs[all->pair_count++];
}

static int add_frontend(struct all *all, uint16_t domid, const char *path,
                        const struct xenpv_device *device)
{
    struct pair *pair = make_pair(all, domid);
    int error;

    if (!pair)
        return XENPV_ENOMEM;
    pair->has_frontend = true;
    error = row_fill(all->machine, path, device, &pair->row);
    if (error || !device->backend[0])
        return error;
    return exists(all->machine, device->backend, &pair->has_backend);
}

static int add_frontends(struct all *all, uint16_t domid)
{
    struct xenpv_device_event event;
    struct stream stream;
    char path[64];
    int error;

    snprintf(path, sizeof(path), DOMAINS "/%u/device", domid);
    error = stream_open(&stream, all->machine, path);
    if (error == 0)
        error = stream_look(&stream);
    while (error == 0 && xenpv_devices_next(stream.devices, &event))
        error = add_frontend(all, domid, path, &event.device);
    stream_close(&stream);
    return error;
}

/* ---------------------------------------------------------------------------------- backends -- */

/* What is known of a backend's directory when it is come to. */
struct way {
    uint16_t backend_id, frontend_id;
    char class_name[XENPV_DEVICE_CLASS_MAX];
};

/* What a backend's directory says of its other end: "" for nothing. */
static int read_frontend(struct machine *machine, const char *backend,
                         char dir[XENPV_STORE_PATH_MAX])
{
    char path[XENPV_STORE_PATH_MAX + 16], *value;
    uint32_t length;
    int error;

    dir[0] = '\0';
    snprintf(path, sizeof(path), "%s/frontend", backend);
    error = store_get(machine, XENPV_STORE_READ, path, &value, &length);
    if (error)
        return error == XENPV_ENOENT ? 0 : error;
    snprintf(dir, XENPV_STORE_PATH_MAX, "%s", value);
    free(value);
    return 0;
}

/* Guests write what they like into a frontend's `backend`: both ends must name each other. */
static bool is_known(const struct all *all, const char *backend, const char *frontend)
{
    for (size_t i = 0; i < all->pair_count; i++) {
        const struct pair *pair = &all->pairs[i];
        const struct xenpv_device *device = &pair->row.device;
        char dir[XENPV_STORE_PATH_MAX];

        snprintf(dir, sizeof(dir), DOMAINS "/%u/device/%s/%u", pair->domid, device->class_name,
                 device->id);
        if (strcmp(device->backend, backend) == 0 && strcmp(dir, frontend) == 0)
            return true;
    }
    return false;
}

static int read_state(struct machine *machine, const char *dir, uint8_t *state)
{
    char path[XENPV_STORE_PATH_MAX + 8], *value = NULL;
    uint64_t number;
    uint32_t length = 0;
    int error;

    snprintf(path, sizeof(path), "%s/state", dir);
    error = store_get(machine, XENPV_STORE_READ, path, &value, &length);
    if (error == 0)
        *state = xenpv_parse_number(value, length, &number) && number <= XENPV_STATE_RECONFIGURED
                     ? (uint8_t)number
                     : XENPV_STATE_JUNK;
    free(value);
    return error == XENPV_ENOENT || error == XENPV_EINVAL ? 0 : error;
}

/* The end that a backend's directory names; a console's, for one, is not below device/. */
static int look_back(struct machine *machine, struct pair *pair, const char *dir)
{
    int error;

    if (dir[0] == '\0')
        return 0;
    error = exists(machine, dir, &pair->has_frontend);
    return error ? error : read_state(machine, dir, &pair->row.device.frontend_state);
}

/* A backend that no device leads to. */
static int add_backend(struct all *all, const char *path, const char *name, void *ctx)
{
    const struct way *way = ctx;
    struct xenpv_device device = {.backend_id = way->backend_id};
    struct pair *pair;
    char devices[48], frontend[XENPV_STORE_PATH_MAX];
    uint64_t id;
    int error;

    snprintf(device.backend, sizeof(device.backend), "%s/%s", path, name);
    if (!number_of(name, UINT32_MAX, &id))
        return 0;
    error = read_frontend(all->machine, device.backend, frontend);
    if (error || is_known(all, device.backend, frontend))
        return error;
    device.id = (uint32_t)id;
    snprintf(device.class_name, sizeof(device.class_name), "%s", way->class_name);
    error = read_state(all->machine, device.backend, &device.backend_state);
    if (error)
        return error;
    pair = make_pair(all, way->frontend_id);
    if (!pair)
        return XENPV_ENOMEM;
    pair->has_backend = true;
    snprintf(devices, sizeof(devices), DOMAINS "/%u/device", way->frontend_id);
    error = row_fill(all->machine, devices, &device, &pair->row);
    return error ? error : look_back(all->machine, pair, frontend);
}

static int add_frontend_domain(struct all *all, const char *path, const char *name, void *ctx)
{
    struct way *way = ctx;
    char below[96];
    uint64_t number;

    if (!number_of(name, 0x7fef, &number))
        return 0;
    way->frontend_id = (uint16_t)number;
    snprintf(below, sizeof(below), "%s/%s", path, name);
    return for_each(all, below, way, add_backend);
}

static int add_class(struct all *all, const char *path, const char *name, void *ctx)
{
    struct way *way = ctx;
    char below[64];

    if (strlen(name) >= sizeof(way->class_name))
        return 0;
    snprintf(way->class_name, sizeof(way->class_name), "%s", name);
    snprintf(below, sizeof(below), "%s/%s", path, name);
    return for_each(all, below, way, add_frontend_domain);
}

static int add_backends(struct all *all, uint16_t domid)
{
    struct way way = {.backend_id = domid};
    char path[48];

    snprintf(path, sizeof(path), DOMAINS "/%u/backend", domid);
    return for_each(all, path, &way, add_class);
}

/* ---------------------------------------------------------------------------------- printing -- */

static int in_order(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    const struct xenpv_device *one = &left->row.device, *other = &right->row.device;
    int order = strcmp(one->class_name, other->class_name);

    if (left->domid != right->domid)
        return left->domid - right->domid;
    return order ? order : (one->id > other->id) - (one->id < other->id);
}

static const char *fate_of(const struct domain *domain)
{
    if (!domain->in_store && !domain->fate[0])
        return "is not in the store";
    return domain->fate[0] ? domain->fate : "-";
}

static void end_text(bool there, uint32_t state, char text[32])
{
    if (there)
        list_state_text(state, text);
    else
        snprintf(text, 32, "missing");
}

#define COLUMNS "%-6s  %-16s  %-16s  %-15s  %-7s  %-15s  %-24s  %s\n"

static void print_pair(const struct all *all, const struct pair *pair)
{
    const struct domain *domain = find_domain(all, pair->domid);
    const struct xenpv_device *device = &pair->row.device;
    char id[8], name[32], backend[8] = "-", ends[2][32], identity[IDENTITY_MAX];

    snprintf(id, sizeof(id), "%u", pair->domid);
    row_device(&pair->row, name);
    row_identity(&pair->row, identity);
    if (device->backend_id != XENPV_DEVICE_NO_DOMAIN)
        snprintf(backend, sizeof(backend), "%u", device->backend_id);
    end_text(pair->has_frontend, device->frontend_state, ends[0]);
    end_text(pair->has_backend, device->backend_state, ends[1]);
    printf(COLUMNS, id, info_or_dash(domain->name), name, ends[0], backend, ends[1],
           info_or_dash(identity), fate_of(domain));
}

static void print_end(const char *key, bool there, uint32_t state)
{
    json_open(key, '{');
    json_bool("exists", there);
    list_json_state("state", state);
    json_close('}');
}

static void print_pair_json(const struct all *all, const struct pair *pair)
{
    const struct domain *domain = find_domain(all, pair->domid);

    json_open(NULL, '{');
    json_number("domain", pair->domid);
    json_text("domain_name", domain->name);
    json_text("domain_fate", fate_of(domain)[0] == '-' ? "" : fate_of(domain));
    list_json_device(&pair->row);
    print_end("frontend", pair->has_frontend, pair->row.device.frontend_state);
    list_json_domain("backend_domain", pair->row.device.backend_id);
    print_end("backend", pair->has_backend, pair->row.device.backend_state);
    json_close('}');
}

static void print(const struct all *all)
{
    bool json = all->machine->options->json;

    if (json)
        json_open(NULL, '[');
    else if (all->pair_count)
        printf(COLUMNS, "DOMAIN", "NAME", "DEVICE", "FRONTEND STATE", "BACKEND", "BACKEND STATE",
               "IDENTITY", "DOMAIN'S FATE");
    for (size_t i = 0; i < all->pair_count; i++)
        if (json)
            print_pair_json(all, &all->pairs[i]);
        else
            print_pair(all, &all->pairs[i]);
    if (json)
        json_close(']');
}

/* --------------------------------------------------------------------------------------- run -- */

/* Domains that only backends tell of are added behind those that have a directory. */
static int fill(struct all *all)
{
    int error = for_each(all, DOMAINS, NULL, add_domain);
    size_t count = all->domain_count;

    for (size_t i = 0; error == 0 && i < count; i++)
        error = add_frontends(all, all->domains[i].domid);
    for (size_t i = 0; error == 0 && i < count; i++)
        error = add_backends(all, all->domains[i].domid);
    if (error == 0 && all->pair_count)
        qsort(all->pairs, all->pair_count, sizeof(*all->pairs), in_order);
    return error;
}

static int show(struct machine *machine)
{
    struct all all = {.machine = machine};
    int error = fill(&all), status = STATUS_DONE;

    if (error == XENPV_EACCES)
        status = complain(STATUS_ENVIRONMENT, "list --all: only domain 0, or one as privileged, "
                                              "may look at all domains' devices");
    else if (error)
        status = list_complain(error);
    else if (all.pair_count == 0)
        complain(STATUS_DONE, "no domain has PV devices");
    if (status == STATUS_DONE)
        print(&all);
    free(all.domains);
    free(all.pairs);
    return status;
}

int list_all(const struct options *options)
{
    struct machine *machine;
    int status = machine_open(options, MACHINE_DOMAINS, &machine);

    return status == STATUS_DONE ? machine_close(machine, show(machine)) : status;
}
