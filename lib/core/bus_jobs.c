/* SPDX-License-Identifier: MIT */
#include "bus_jobs.h"

#include "bus_table.h"
#include "check.h"

/* A transaction that keeps meeting conflicts is tried this often, after 1, 2, 4, ... 128 ms. */
#define TRIES     12u
#define MAX_SHIFT 7u

/* The first operations of JOB_FIND and JOB_LOOK. */
enum { FIND_PEER, FIND_PEER_ID, FIND_STATE, FIND_KEYS };
enum { LOOK_PEER, LOOK_ONLINE, LOOK_OWN };

#define DOMID_LAST 0x7fefu /* xen.h: DOMID_FIRST_RESERVED - 1 */

/* Keys of the own directory that name the peer, by role. */
static const char *const peer_keys[2][2] = {{"backend", "backend-id"}, {"frontend", "frontend-id"}};

/* ---- building a batch ------------------------------------------------------------------------ */

static struct xenpv_store_op *add(struct xenpv_bus *bus, enum xenpv_store_type type,
                                  const char *dir, const char *name)
{
    uint32_t index = bus->batch.count++;
    struct xenpv_store_op *op = &bus->ops[index];

    *op = (struct xenpv_store_op){.type = type,
                                  .dir = dir,
                                  .name = name,
                                  .value = bus->text[index],
                                  .capacity = XENPV_KEY_TEXT_MAX};
    return op;
}

static int put(struct xenpv_bus *bus, const char *name, const char *text, uint32_t length)
{
    /* One operation is kept free for the state, which goes last. */
    if (length >= XENPV_KEY_TEXT_MAX || bus->batch.count + 1 >= XENPV_BUS_KEYS + 4)
        return XENPV_E2BIG;

    struct xenpv_store_op *op = add(bus, XENPV_STORE_WRITE, bus->own_path, name);
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
    uint32_t length = 0;
    while (text[length])
        length++;
    return put(bus, name, text, length);
}

static void add_state(struct xenpv_bus *bus, uint32_t state)
{
    struct xenpv_store_op *op = add(bus, XENPV_STORE_WRITE, bus->own_path, "state");

    op->length = xenpv_format_number(state, bus->text[bus->batch.count - 1]);
}

static void add_question(struct xenpv_bus *bus, enum xenpv_bus_question question)
{
    const struct xenpv_bus_driver *driver = bus->config.driver;
    const char *dir = question == XENPV_ASK_OWN ? bus->own_path : bus->peer_path;

    for (uint32_t i = 0; i < driver->ask[question].count; i++)
        add(bus, XENPV_STORE_READ, dir, driver->ask[question].keys[i].name);
}

static void build_find(struct xenpv_bus *bus)
{
    const char *const *names = peer_keys[bus->config.driver->role];
    struct xenpv_store_op *op = add(bus, XENPV_STORE_READ, bus->own_path, names[0]);

    op->value = bus->peer_path;
    op->capacity = sizeof(bus->peer_path) - 1;
    add(bus, XENPV_STORE_READ, bus->own_path, names[1]);
    add(bus, XENPV_STORE_READ, bus->own_path, "state");
    add_question(bus, XENPV_ASK_OWN);
}

static void build_look(struct xenpv_bus *bus)
{
    bool frontend = bus->config.driver->role == XENPV_FRONTEND;

    add(bus, XENPV_STORE_READ, bus->peer_path, "state");
    add(bus, XENPV_STORE_READ, frontend ? bus->peer_path : bus->own_path, "online");
    add(bus, XENPV_STORE_READ, bus->own_path, "state");
}

static void add_removals(struct xenpv_bus *bus, const char *const *names)
{
    while (names && *names)
        add(bus, XENPV_STORE_RM, bus->own_path, *names++);
}

void bus_set_job(struct xenpv_bus *bus, enum bus_job job)
{
    const struct xenpv_port *port = bus->config.port;

    if (bus->job != JOB_NONE && bus->started)
        port->store->cancel(port->ctx, &bus->batch);
    bus->job = (uint8_t)job;
    bus->started = false;
    bus->tries = 0;
    bus->retry_at = bus->now;
    bus->batch = (struct xenpv_store_batch){.ops = bus->ops};
    switch (job) {
    case JOB_FIND:
        build_find(bus);
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
        break;
    case JOB_CLEAN:
        add_removals(bus, bus->config.driver->own_keys);
        break;
    case JOB_NONE:
    case JOB_PUBLISH: /* its keys were put by the driver */
    case JOB_CONNECT:
    case JOB_STATE:
        break;
    }
}

void bus_write_state(struct xenpv_bus *bus, enum xenpv_bus_state state)
{
    bus_set_job(bus, JOB_STATE);
    /* A directory that the toolstack has removed is not made anew by writing into it. */
    if (state == XENPV_STATE_INITIALISING || !bus->own_gone)
        add_state(bus, state);
    bus->own_state = state;
}

/* ---- watching -------------------------------------------------------------------------------- */

static void join(char *to, const char *dir, const char *name)
{
    while (*dir)
        *to++ = *dir++;
    *to++ = '/';
    while ((*to++ = *name++) != '\0')
        ;
}

void bus_describe_key(struct xenpv_detail *detail, const char *dir, const char *name)
{
    char path[XENPV_STORE_PATH_MAX + XENPV_KEY_TEXT_MAX];
    uint32_t length = 0;

    join(path, dir, name);
    while (path[length])
        length++;
    uint32_t cut = length < sizeof(detail->key) ? 0 : length - (uint32_t)sizeof(detail->key) + 1;
    xenpv_printable(detail->key, sizeof(detail->key), path + cut, length - cut);
}

static int watch_both(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;
    int error;

    bus_unwatch(bus);
    join(bus->peer_watch, bus->peer_path, "state");
    error = port->store->watch(port->ctx, bus->peer_watch, bus->peer_watch);
    if (error)
        return error;
    /* A toolstack takes a device away by writing into the backend's directory. */
    if (bus->config.driver->role == XENPV_BACKEND) {
        join(bus->own_watch, bus->own_path, "state");
        error = port->store->watch(port->ctx, bus->own_watch, bus->own_watch);
        if (error)
            port->store->unwatch(port->ctx, bus->peer_watch, bus->peer_watch);
    }
    bus->watching = error == XENPV_OK;
    return error;
}

bool bus_fired(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;
    bool fired = false;

    if (!bus->watching)
        return false;
    fired = port->store->fired(port->ctx, bus->peer_watch);
    if (bus->config.driver->role == XENPV_BACKEND)
        fired |= port->store->fired(port->ctx, bus->own_watch);
    return fired;
}

void bus_unwatch(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;

    if (!bus->watching)
        return;
    port->store->unwatch(port->ctx, bus->peer_watch, bus->peer_watch);
    if (bus->config.driver->role == XENPV_BACKEND)
        port->store->unwatch(port->ctx, bus->own_watch, bus->own_watch);
    bus->watching = false;
}

/* ---- judging the answers --------------------------------------------------------------------- */

static void fail(struct xenpv_bus *bus, int error, const char *step, const char *expected,
                 const char *dir, const char *name, const char *found)
{
    struct xenpv_detail detail = {.error = error, .step = step, .expected = expected};
    uint32_t length = 0;

    if (name)
        bus_describe_key(&detail, dir, name);
    while (found[length])
        length++;
    xenpv_printable(detail.found, sizeof(detail.found), found, length);
    xenpv_bus_fail(bus, &detail);
}

/* A read that could not be carried out at all. */
static bool no_answer(const struct xenpv_store_op *op)
{
    return op->status != XENPV_OK && op->status != XENPV_ENOENT && op->status != XENPV_E2BIG;
}

/* Fails over such a read. */
static bool unanswered(struct xenpv_bus *bus, const struct xenpv_store_op *op)
{
    if (!no_answer(op))
        return false;
    fail(bus, op->status, "reading the store", "a node that can be read", op->dir, op->name,
         xenpv_error_text(op->status));
    return true;
}

static uint32_t length_of(const struct xenpv_store_op *op)
{
    return op->length < op->capacity ? op->length : op->capacity;
}

static uint32_t state_of(const struct xenpv_store_op *op)
{
    uint64_t number;

    /* A node that may not be read is as good as none: so it is after a restore elsewhere. */
    if (op->status == XENPV_ENOENT || op->status == XENPV_EACCES)
        return XENPV_STATE_UNKNOWN;
    if (op->status != XENPV_OK || !xenpv_parse_number(op->value, length_of(op), &number) ||
        number > XENPV_STATE_RECONFIGURED)
        return XENPV_STATE_JUNK;
    return (uint32_t)number;
}

/* Judges the keys of a question, whose operations begin at `first`. False: the device has failed.
 */
static bool judge(struct xenpv_bus *bus, enum xenpv_bus_question question, uint32_t first)
{
    const struct xenpv_bus_driver *driver = bus->config.driver;

    for (uint32_t i = 0; i < driver->ask[question].count; i++) {
        const struct xenpv_key *key = &driver->ask[question].keys[i];
        const struct xenpv_store_op *op = &bus->ops[first + i];
        struct xenpv_key_value *value = &bus->config.values[question][i];

        if (unanswered(bus, op))
            return false;
        if (op->status == XENPV_ENOENT)
            xenpv_key_absent(key, value);
        else
            xenpv_key_judge(key, op->value, length_of(op), value);
        if (op->status == XENPV_E2BIG) {
            value->status = XENPV_KEY_JUNK;
            value->number = key->fallback;
        }
        if (key->required && value->status != XENPV_KEY_GOOD && bus->goal != XENPV_GOAL_INSPECT) {
            bool number = key->kind == XENPV_KEY_NUMBER;
            fail(bus, value->status == XENPV_KEY_ABSENT ? XENPV_EPEER : XENPV_EBROKEN,
                 "reading the peer's keys", number ? "a number in range" : "a text", op->dir,
                 op->name, value->status == XENPV_KEY_ABSENT ? "nothing" : value->text);
            return false;
        }
    }
    return true;
}

/* ---- what follows from each job; true: go on at once ----------------------------------------- */

static void find_done(struct xenpv_bus *bus)
{
    const char *const *names = peer_keys[bus->config.driver->role];
    const struct xenpv_store_op *peer = &bus->ops[FIND_PEER];
    const struct xenpv_store_op *id = &bus->ops[FIND_PEER_ID];
    const char *step = "reading the device's directory";
    uint64_t domid;
    int error;

    bus->peer_path[length_of(peer)] = '\0';
    if (unanswered(bus, peer) || unanswered(bus, id))
        return;
    if (peer->status == XENPV_ENOENT) {
        fail(bus, XENPV_ENOENT, step, "a device's directory", bus->own_path, names[0], "nothing");
        return;
    }
    if (peer->status == XENPV_E2BIG || bus->peer_path[0] != '/') {
        fail(bus, XENPV_E2BIG, step, "an absolute path of at most 255 bytes", bus->own_path,
             names[0], bus->peer_path);
        return;
    }
    if (id->status != XENPV_OK || !xenpv_parse_number(id->value, length_of(id), &domid))
        domid = DOMID_LAST + 1;
    if (!XENPV_CHECK(BACKEND_ID, domid <= DOMID_LAST)) {
        struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                      .check = XENPV_CHECK_BACKEND_ID,
                                      .step = step,
                                      .expected = xenpv_check_text(XENPV_CHECK_BACKEND_ID)};
        bus_describe_key(&detail, bus->own_path, names[1]);
        xenpv_printable(detail.found, sizeof(detail.found), id->value, length_of(id));
        xenpv_bus_fail(bus, &detail);
        return;
    }
    bus->peer_domid = (uint16_t)domid;
    bus->own_state = state_of(&bus->ops[FIND_STATE]);
    if (!judge(bus, XENPV_ASK_OWN, FIND_KEYS))
        return;
    error = bus->goal == XENPV_GOAL_INSPECT ? XENPV_OK : watch_both(bus);
    if (error) {
        fail(bus, error, "watching the peer", "a watch", bus->peer_path, "state",
             xenpv_error_text(error));
        return;
    }
    bus->phase = XENPV_BUS_LOOK;
    bus->look_at = bus->now;
}

/* Somebody else closes this end: a toolstack through the backend's directory, or a new owner. */
static bool closed_by_others(struct xenpv_bus *bus, uint32_t found)
{
    bool ours = bus->phase != XENPV_BUS_PUBLISHED && bus->phase != XENPV_BUS_CONNECTED;

    if (ours || found == bus->own_state ||
        (found != XENPV_STATE_CLOSING && found != XENPV_STATE_CLOSED))
        return false;
    if (bus->config.driver->role == XENPV_BACKEND)
        xenpv_bus_start(bus, XENPV_GOAL_CLOSE, bus->now);
    else
        fail(bus, XENPV_EPEER, "being connected", "the state we wrote", bus->own_path, "state",
             xenpv_bus_state_name(found));
    return true;
}

static void look_done(struct xenpv_bus *bus)
{
    const struct xenpv_store_op *online = &bus->ops[LOOK_ONLINE];
    uint64_t number = 1;

    /* A state that may not be read is an answer: there is none for us. */
    if (bus->ops[LOOK_PEER].status != XENPV_EACCES && unanswered(bus, &bus->ops[LOOK_PEER]))
        return;
    bus->peer_state = state_of(&bus->ops[LOOK_PEER]);
    if (online->status == XENPV_OK)
        xenpv_parse_number(online->value, length_of(online), &number);
    bus->online = number != 0;
    bus->own_gone =
        bus->config.driver->role == XENPV_BACKEND && bus->ops[LOOK_OWN].status == XENPV_ENOENT;
    if (!closed_by_others(bus, state_of(&bus->ops[LOOK_OWN])))
        bus_look_done(bus);
}

/* Lets the driver put its keys, then writes them with the state last. */
static void put_and_write(struct xenpv_bus *bus, enum bus_job job, uint32_t state,
                          int (*driver_puts)(void *owner), const char *step)
{
    const struct xenpv_port *port = bus->config.port;
    int error;

    bus_set_job(bus, job);
    if (job == JOB_PUBLISH)
        add_removals(bus, bus->config.driver->foreign_keys);
    error = driver_puts(bus->config.owner);
    if (error) {
        bus_set_job(bus, JOB_NONE);
        fail(bus, error, step, "", bus->own_path, NULL, xenpv_error_text(error));
        return;
    }
    bus->batch.transaction = (port->caps & XENPV_CAP_TRANSACTIONS) != 0;
    bus->state_written = bus->batch.transaction;
    if (bus->state_written)
        add_state(bus, state);
}

static void offer_done(struct xenpv_bus *bus)
{
    const struct xenpv_bus_driver *driver = bus->config.driver;

    if (!judge(bus, XENPV_ASK_OFFER, 0))
        return;
    if (bus->goal == XENPV_GOAL_INSPECT) {
        bus_set_job(bus, JOB_ANSWER);
        return;
    }
    bus->shared = true;
    put_and_write(bus, JOB_PUBLISH, driver->published_state, driver->publish,
                  "sharing memory with the peer");
}

static void answer_done(struct xenpv_bus *bus)
{
    const struct xenpv_bus_driver *driver = bus->config.driver;

    if (bus->goal == XENPV_GOAL_CLOSE || !judge(bus, XENPV_ASK_ANSWER, 0))
        return;
    if (bus->goal == XENPV_GOAL_INSPECT) {
        bus->phase = XENPV_BUS_DONE;
        bus->deadline = bus->look_at = UINT64_MAX;
        return;
    }
    put_and_write(bus, JOB_CONNECT, XENPV_STATE_CONNECTED, driver->connect,
                  "connecting to the peer");
}

static void reread_done(struct xenpv_bus *bus)
{
    int error = XENPV_OK;

    if (judge(bus, XENPV_ASK_ANSWER, 0))
        error = bus->config.driver->changed(bus->config.owner);
    if (error)
        fail(bus, error, "reading the peer's new properties", "", bus->peer_path, NULL,
             xenpv_error_text(error));
}

/* A write has ended: the state is what was written, and so is the phase. */
static void written(struct xenpv_bus *bus, enum xenpv_bus_phase phase, uint32_t state)
{
    bus->own_state = state;
    bus->phase = phase;
    bus->look_at = bus->now;
    if (phase == XENPV_BUS_CONNECTED && bus->goal == XENPV_GOAL_CONNECT)
        bus->deadline = UINT64_MAX;
    else if (bus->goal == XENPV_GOAL_CLOSE && phase == XENPV_BUS_CLOSED)
        bus->deadline = bus_from_now(bus, bus->config.close_ms);
}

/* Where the store has no transactions the state follows only once every key stands. */
static void keys_written(struct xenpv_bus *bus, enum bus_job job, enum xenpv_bus_phase phase,
                         uint32_t state)
{
    if (bus->state_written) {
        written(bus, phase, state);
        return;
    }
    bus_set_job(bus, job);
    add_state(bus, state);
    bus->state_written = true;
}

static void state_done(struct xenpv_bus *bus)
{
    static const enum xenpv_bus_phase phases[] = {
        [XENPV_STATE_INITIALISING] = XENPV_BUS_RESTARTED,
        [XENPV_STATE_CLOSING] = XENPV_BUS_CLOSING,
        [XENPV_STATE_CLOSED] = XENPV_BUS_CLOSED,
    };

    written(bus, phases[bus->own_state], bus->own_state);
    if (bus->last)
        bus_set_job(bus, JOB_CLEAN);
}

/* The first operation whose failure spoils the job, or NULL. */
static const struct xenpv_store_op *failed_write(const struct xenpv_bus *bus)
{
    for (uint32_t i = 0; i < bus->batch.count; i++) {
        if (bus->ops[i].type == XENPV_STORE_WRITE && bus->ops[i].status != XENPV_OK)
            return &bus->ops[i];
    }
    return NULL;
}

/* True when the job has failed; the failure is recorded. */
static bool job_failed(struct xenpv_bus *bus)
{
    const struct xenpv_store_op *op = failed_write(bus);
    int error = bus->batch.status ? bus->batch.status : op ? op->status : XENPV_OK;

    if (error == XENPV_OK)
        return false;
    fail(bus, error, "using the store", "an answer", bus->own_path, op ? op->name : NULL,
         xenpv_error_text(error));
    return true;
}

static bool again(struct xenpv_bus *bus)
{
    bool state_lost = bus->job == JOB_STATE && (bus->batch.status || failed_write(bus));

    /* The peer waits for a state: one lost write must not cost what it would have given back. */
    if ((bus->batch.status != XENPV_EAGAIN && !state_lost) || bus->tries >= TRIES)
        return false;
    bus->started = false;
    bus->retry_at = bus->now + (1u << (bus->tries < MAX_SHIFT ? bus->tries : MAX_SHIFT));
    bus->tries++;
    return true;
}

/*
 * The data path needs no store: what a connected device only wanted to know, and could not read, it
 * asks again later. That the peer's state may not be read is an answer.
 */
static bool asks_again_later(const struct xenpv_bus *bus, enum bus_job job)
{
    if (bus->phase != XENPV_BUS_CONNECTED || (job != JOB_LOOK && job != JOB_REREAD))
        return false;
    for (uint32_t i = 0; i < bus->batch.count; i++) {
        const struct xenpv_store_op *op = &bus->ops[i];
        if (no_answer(op) && (job == JOB_REREAD || op->status != XENPV_EACCES))
            return true;
    }
    return bus->batch.status != XENPV_OK;
}

static void job_done(struct xenpv_bus *bus)
{
    enum bus_job job = (enum bus_job)bus->job;
    bool failed;

    bus->job = JOB_NONE;
    bus->started = false;
    if (asks_again_later(bus, job)) {
        bus->look_at = bus->now + BUS_LOOK_MS;
        return;
    }
    failed = job_failed(bus);
    /* A state that cannot be written is no reason not to go on closing. */
    if (failed && job != JOB_STATE && job != JOB_CLEAN) {
        /* A store that went away in between may have written the keys, and the state with them. */
        if (job == JOB_PUBLISH && bus->batch.status == XENPV_ESTORE)
            bus->phase = XENPV_BUS_PUBLISHED;
        return;
    }
    switch (job) {
    case JOB_NONE:
        break;
    case JOB_FIND:
        find_done(bus);
        break;
    case JOB_LOOK:
        look_done(bus);
        break;
    case JOB_OFFER:
        offer_done(bus);
        break;
    case JOB_PUBLISH:
        keys_written(bus, job, XENPV_BUS_PUBLISHED, bus->config.driver->published_state);
        break;
    case JOB_ANSWER:
        answer_done(bus);
        break;
    case JOB_CONNECT:
        keys_written(bus, job, XENPV_BUS_CONNECTED, XENPV_STATE_CONNECTED);
        break;
    case JOB_REREAD:
        reread_done(bus);
        break;
    case JOB_STATE:
        state_done(bus);
        break;
    case JOB_CLEAN: /* bus->last ends it */
        break;
    }
}

bool bus_do_job(struct xenpv_bus *bus)
{
    const struct xenpv_port *port = bus->config.port;
    int answer;

    if (!bus->started && bus->now < bus->retry_at)
        return false;
    answer = bus->started ? port->store->check(port->ctx, &bus->batch)
                          : port->store->start(port->ctx, &bus->batch);
    if (answer == XENPV_PENDING) {
        bus->started = true;
        return false;
    }
    if (again(bus))
        return false;
    job_done(bus);
    return true;
}
