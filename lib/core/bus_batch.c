/* SPDX-License-Identifier: MIT */
/* What the store is asked for each job. */
#include "bus_jobs.h"

const char *bus_peer_key(const struct xenpv_bus *bus, uint32_t which)
{
    static const char *const keys[2][2] = {[XENPV_FRONTEND] = {"backend", "backend-id"},
                                           [XENPV_BACKEND] = {"frontend", "frontend-id"}};

    return keys[bus->config.driver->role][which];
}

static struct xenpv_store_op *add(struct xenpv_bus *bus, enum xenpv_store_type type,
                                  const char *dir, const char *name)
{
    uint32_t index = bus->batch.count++;
    struct xenpv_store_op *op = &bus->config.ops[index];

    *op = (struct xenpv_store_op){.type = type,
                                  .dir = dir,
                                  .name = name,
                                  .value = bus->config.rows[index].text,
                                  .capacity = XENPV_KEY_TEXT_MAX};
    return op;
}

/* The same for a key that a driver named, whose name is copied; NULL: there is no room. */
static struct xenpv_store_op *add_named(struct xenpv_bus *bus, enum xenpv_store_type type,
                                        const char *dir, const char *name)
{
    struct xenpv_bus_row *row = &bus->config.rows[bus->batch.count];
    uint32_t length = bus_length(name);

    if (bus->batch.count >= bus->config.room || length >= sizeof(row->name)) {
        bus->no_room = true;
        return NULL;
    }
    memcpy(row->name, name, length + 1);
    return add(bus, type, dir, row->name);
}

static void ask(struct xenpv_bus *bus, struct xenpv_store_op *op, const struct xenpv_key *key,
                struct xenpv_key_value *value)
{
    struct xenpv_bus_row *row = &bus->config.rows[bus->batch.count - 1];

    row->key = key;
    row->value = value;
    if (key->kind == XENPV_KEY_LONG) {
        op->value = value->bytes;
        op->capacity = value->capacity;
    }
}

/* ---- what drivers put ------------------------------------------------------------------------ */

static int put(struct xenpv_bus *bus, const char *name, const char *text, uint32_t length)
{
    struct xenpv_store_op *op = NULL;

    if (length < XENPV_KEY_TEXT_MAX)
        op = add_named(bus, XENPV_STORE_WRITE, bus->own_path, name);
    if (!op) {
        bus->no_room = true;
        return XENPV_E2BIG;
    }
    memcpy(op->value, text, length);
    op->length = length;
    return XENPV_OK;
}

int xenpv_bus_put_number(struct xenpv_bus *bus, const char *name, uint64_t number)
{
    char text[21];
    uint32_t length = xenpv_format_number(number, text);

    return put(bus, name, text, length);
}

int xenpv_bus_put_text(struct xenpv_bus *bus, const char *name, const char *text)
{
    return put(bus, name, text, bus_length(text));
}

int xenpv_bus_remove(struct xenpv_bus *bus, const char *name)
{
    return add_named(bus, XENPV_STORE_RM, bus->own_path, name) ? XENPV_OK : XENPV_E2BIG;
}

int xenpv_bus_ask(struct xenpv_bus *bus, const char *name, const struct xenpv_key *key,
                  struct xenpv_key_value *value)
{
    struct xenpv_store_op *op = add_named(bus, XENPV_STORE_READ, bus->peer_path, name);

    if (!op)
        return XENPV_E2BIG;
    ask(bus, op, key, value);
    return XENPV_OK;
}

/* ---- the jobs' own --------------------------------------------------------------------------- */

void bus_add_state(struct xenpv_bus *bus, uint32_t state)
{
    struct xenpv_store_op *op = add(bus, XENPV_STORE_WRITE, bus->own_path, "state");

    op->length = xenpv_format_number(state, bus->config.rows[bus->batch.count - 1].text);
}

void bus_add_peer_state(struct xenpv_bus *bus)
{
    if (bus->config.driver->role == XENPV_FRONTEND)
        add(bus, XENPV_STORE_READ, bus->peer_path, "state");
}

static void add_question(struct xenpv_bus *bus, enum xenpv_bus_question question)
{
    const struct xenpv_bus_driver *driver = bus->config.driver;
    bool own = question == XENPV_ASK_OWN || question == XENPV_ASK_LIVE;
    const char *dir = own ? bus->own_path : bus->peer_path;

    for (uint32_t i = 0; i < driver->ask[question].count; i++) {
        const struct xenpv_key *key = &driver->ask[question].keys[i];

        ask(bus, add(bus, XENPV_STORE_READ, dir, key->name), key, &bus->config.values[question][i]);
    }
}

/* Reads which peer the own directory names. */
static void add_names(struct xenpv_bus *bus, char path[XENPV_STORE_PATH_MAX])
{
    struct xenpv_store_op *op = add(bus, XENPV_STORE_READ, bus->own_path, bus_peer_key(bus, 0));

    op->value = path;
    op->capacity = XENPV_STORE_PATH_MAX - 1;
    add(bus, XENPV_STORE_READ, bus->own_path, bus_peer_key(bus, 1));
}

static void build_look(struct xenpv_bus *bus)
{
    bool frontend = bus->config.driver->role == XENPV_FRONTEND;

    add(bus, XENPV_STORE_READ, bus->peer_path, "state");
    add(bus, XENPV_STORE_READ, frontend ? bus->peer_path : bus->own_path, "online");
    add(bus, XENPV_STORE_READ, bus->own_path, "state");
    /* A driver domain that restarts comes back under another number, and with another path. */
    if (bus_patient(bus))
        add_names(bus, bus->found_path);
}

void bus_set_job(struct xenpv_bus *bus, enum bus_job job)
{
    const struct xenpv_port *port = bus->config.port;

    if (bus->job != JOB_NONE && bus->started)
        port->store->cancel(port->ctx, &bus->batch);
    bus->job = (uint8_t)job;
    bus->started = bus->no_room = false;
    bus->tries = 0;
    bus->retry_at = bus->now;
    bus->batch = (struct xenpv_store_batch){.ops = bus->config.ops};
    switch (job) {
    case JOB_FIND:
        add_names(bus, bus->peer_path);
        add(bus, XENPV_STORE_READ, bus->own_path, "state");
        add_question(bus, XENPV_ASK_OWN);
        break;
    case JOB_LOOK:
        build_look(bus);
        break;
    case JOB_OFFER:
        add_question(bus, XENPV_ASK_OFFER);
        break;
    case JOB_ANSWER:
    case JOB_REREAD:
        add_question(bus, XENPV_ASK_ANSWER);
        add_question(bus, XENPV_ASK_LIVE);
        bus_add_peer_state(bus);
        break;
    case JOB_OWN:
        add(bus, XENPV_STORE_READ, bus->own_path, "state");
        break;
    case JOB_CLEAN:
        bus->config.driver->clean(bus->config.owner);
        break;
    case JOB_NONE:
    case JOB_PUBLISH: /* its keys are put by the driver */
    case JOB_CONNECT:
    case JOB_MORE:
    case JOB_UPDATE:
    case JOB_STATE:
        break;
    }
}

void bus_write_state(struct xenpv_bus *bus, enum xenpv_bus_state state)
{
    bus_set_job(bus, JOB_STATE);
    /* A directory that the toolstack has removed is not made anew by writing into it. */
    if (!bus->own_gone)
        bus_add_state(bus, state);
    bus->own_state = state;
}
