/* SPDX-License-Identifier: MIT */
#include "bus_jobs.h"

#include "bus_table.h"
#include "check.h"

/* A transaction that keeps meeting conflicts is tried this often, after 1, 2, 4, ... 128 ms. */
#define TRIES     12u
#define MAX_SHIFT 7u

#define DOMID_LAST 0x7fefu /* xen.h: DOMID_FIRST_RESERVED - 1 */

/* ---- judging the answers --------------------------------------------------------------------- */

static void fail(struct xenpv_bus *bus, int error, const char *step, const char *expected,
                 const char *dir, const char *name, const char *found)
{
    struct xenpv_detail detail = {.error = error, .step = step, .expected = expected};

    if (name)
        bus_describe_key(&detail, dir, name);
    xenpv_printable(detail.found, sizeof(detail.found), found, bus_length(found));
    xenpv_bus_fail(bus, &detail);
}

/* The same for what may yet come right: while a connection is made anew it is tried again. */
static void miss(struct xenpv_bus *bus, int error, const char *step, const char *expected,
                 const char *dir, const char *name, const char *found)
{
    if (!bus_patient(bus)) {
        fail(bus, error, step, expected, dir, name, found);
        return;
    }
    bus->awaited = (struct xenpv_detail){.error = error, .step = step, .expected = expected};
    if (name)
        bus_describe_key(&bus->awaited, dir, name);
    xenpv_printable(bus->awaited.found, sizeof(bus->awaited.found), found, bus_length(found));
    bus->look_at = bus->now + BUS_LOOK_MS;
}

/* A read that could not be carried out at all. */
static bool no_answer(const struct xenpv_store_op *op)
{
    return op->status != XENPV_OK && op->status != XENPV_ENOENT && op->status != XENPV_E2BIG;
}

/* Misses such a read. */
static bool unanswered(struct xenpv_bus *bus, const struct xenpv_store_op *op)
{
    if (!no_answer(op))
        return false;
    miss(bus, op->status, "reading the store", "a node that can be read", op->dir, op->name,
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

/* Judges `count` keys that were asked for, from operation `first` on. False: the device has failed,
 * or has to ask again. */
static bool judge(struct xenpv_bus *bus, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        const struct xenpv_store_op *op = &bus->config.ops[i];
        const struct xenpv_key *key = bus->config.rows[i].key;
        struct xenpv_key_value *value = bus->config.rows[i].value;

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

static bool judge_question(struct xenpv_bus *bus, enum xenpv_bus_question question, uint32_t first)
{
    return judge(bus, first, bus->config.driver->ask[question].count);
}

/*
 * A frontend's peer has left state 4 while its keys were read: a directory that is being removed
 * lacks keys, too, and that is no lie.
 */
static bool moved_on(struct xenpv_bus *bus)
{
    uint32_t state;

    if (bus->config.driver->role != XENPV_FRONTEND || bus->goal == XENPV_GOAL_INSPECT)
        return false;
    state = state_of(&bus->config.ops[bus->batch.count - 1]);
    if (state == XENPV_STATE_CONNECTED || state == XENPV_STATE_RECONFIGURED ||
        state == XENPV_STATE_JUNK)
        return false;
    bus->look_at = bus->now;
    return true;
}

/* ---- what follows from each job; true: go on at once ----------------------------------------- */

static void find_done(struct xenpv_bus *bus)
{
    const struct xenpv_store_op *peer = &bus->config.ops[FIND_PEER];
    const struct xenpv_store_op *id = &bus->config.ops[FIND_PEER_ID];
    const char *step = "reading the device's directory";
    uint64_t domid;
    int error;

    bus->peer_path[length_of(peer)] = '\0';
    if (unanswered(bus, peer) || unanswered(bus, id))
        return;
    if (peer->status == XENPV_ENOENT || (bus_patient(bus) && id->status == XENPV_ENOENT)) {
        miss(bus, XENPV_ENOENT, step, "a device's directory", bus->own_path,
             bus_peer_key(bus, peer->status != XENPV_ENOENT), "nothing");
        return;
    }
    if (peer->status == XENPV_E2BIG || bus->peer_path[0] != '/') {
        fail(bus, XENPV_E2BIG, step, "an absolute path of at most 255 bytes", bus->own_path,
             bus_peer_key(bus, 0), bus->peer_path);
        return;
    }
    if (id->status != XENPV_OK || !xenpv_parse_number(id->value, length_of(id), &domid))
        domid = DOMID_LAST + 1;
    if (!XENPV_CHECK(BACKEND_ID, domid <= DOMID_LAST)) {
        struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                      .check = XENPV_CHECK_BACKEND_ID,
                                      .step = step,
                                      .expected = xenpv_check_text(XENPV_CHECK_BACKEND_ID)};
        bus_describe_key(&detail, bus->own_path, bus_peer_key(bus, 1));
        xenpv_printable(detail.found, sizeof(detail.found), id->value, length_of(id));
        xenpv_bus_fail(bus, &detail);
        return;
    }
    bus->peer_domid = (uint16_t)domid;
    bus->own_state = state_of(&bus->config.ops[FIND_STATE]);
    if (!judge_question(bus, XENPV_ASK_OWN, FIND_KEYS))
        return;
    error = bus->goal == XENPV_GOAL_INSPECT ? XENPV_OK : bus_watch(bus);
    if (error) {
        miss(bus, error, "watching the peer", "a watch", bus->peer_path, "state",
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

/* The own directory names another peer by now, or none. */
static bool peer_moved(const struct xenpv_bus *bus)
{
    const struct xenpv_store_op *named = &bus->config.ops[LOOK_NAMED];
    const struct xenpv_store_op *id = &bus->config.ops[LOOK_NAMED_ID];
    uint32_t length = bus_length(bus->peer_path);
    uint64_t domid;

    if (named->status != XENPV_OK || id->status != XENPV_OK)
        return true;
    /* A NUL behind the path, which no path has in it, is not part of it. */
    if (named->length == length + 1 && bus->found_path[length] == '\0')
        length++;
    return named->length != length || memcmp(bus->found_path, bus->peer_path, length) != 0 ||
           !xenpv_parse_number(id->value, length_of(id), &domid) || domid != bus->peer_domid;
}

/* Notes whether the own directory is there. A frontend's is missed once it has written a state. */
static void note_own(struct xenpv_bus *bus)
{
    bool frontend = bus->config.driver->role == XENPV_FRONTEND;
    bool missed = !frontend || (bus->config.recover_ms && bus->phase > XENPV_BUS_LOOK);

    bus->own_gone = missed && bus->config.ops[LOOK_OWN].status == XENPV_ENOENT;
}

/*
 * A state that a frontend wrote alone, and that is not there: its directory was missing, and is
 * there again, or while all is made anew it could not be written. It is written again.
 */
static bool own_state_lost(const struct xenpv_bus *bus, bool was_gone, uint32_t found)
{
    bool alone = bus->phase >= XENPV_BUS_CLOSING || bus->phase == XENPV_BUS_RESTARTED;

    return bus->config.driver->role == XENPV_FRONTEND && alone && (was_gone || bus_patient(bus)) &&
           found != bus->own_state && found != XENPV_STATE_UNKNOWN;
}

static void look_done(struct xenpv_bus *bus)
{
    bool moved = bus_patient(bus) && peer_moved(bus), was_gone = bus->own_gone;
    uint32_t found = state_of(&bus->config.ops[LOOK_OWN]);
    const struct xenpv_store_op *online = &bus->config.ops[LOOK_ONLINE];
    uint64_t number = 1;

    /* A state that may not be read is an answer: there is none for us. */
    if (bus->config.ops[LOOK_PEER].status != XENPV_EACCES &&
        unanswered(bus, &bus->config.ops[LOOK_PEER]))
        return;
    bus->awaited = (struct xenpv_detail){0};
    if (moved && bus->phase < XENPV_BUS_PUBLISHED) {
        bus_begin(bus);
        return;
    }
    bus->peer_state = moved ? XENPV_STATE_UNKNOWN : state_of(&bus->config.ops[LOOK_PEER]);
    if (online->status == XENPV_OK)
        xenpv_parse_number(online->value, length_of(online), &number);
    bus->online = number != 0;
    note_own(bus);
    if (own_state_lost(bus, was_gone, found))
        bus_write_state(bus, (enum xenpv_bus_state)bus->own_state);
    else if (!closed_by_others(bus, found))
        bus_look_done(bus);
}

/* Lets the driver put its keys, then writes them with the state last; 0: without one. */
static void put_and_write(struct xenpv_bus *bus, enum bus_job job, uint32_t state,
                          int (*driver_puts)(void *owner), const char *step)
{
    const struct xenpv_port *port = bus->config.port;
    int error;

    bus_set_job(bus, job);
    if (job == JOB_PUBLISH)
        bus->config.driver->clean(bus->config.owner);
    error = driver_puts(bus->config.owner);
    if (error == XENPV_OK && bus->no_room)
        error = XENPV_E2BIG;
    if (error) {
        bus_set_job(bus, JOB_NONE);
        fail(bus, error, step, "", bus->own_path, NULL, xenpv_error_text(error));
        return;
    }
    bus->batch.transaction = (port->caps & XENPV_CAP_TRANSACTIONS) != 0;
    bus->state_written = bus->batch.transaction || state == XENPV_STATE_UNKNOWN;
    if (bus->batch.transaction && state != XENPV_STATE_UNKNOWN)
        bus_add_state(bus, state);
}

static void offer_done(struct xenpv_bus *bus)
{
    const struct xenpv_bus_driver *driver = bus->config.driver;

    if (!judge_question(bus, XENPV_ASK_OFFER, 0))
        return;
    if (bus->goal == XENPV_GOAL_INSPECT) {
        bus_set_job(bus, JOB_ANSWER);
        return;
    }
    bus->shared = true;
    put_and_write(bus, JOB_PUBLISH, driver->published_state, driver->publish,
                  "sharing memory with the peer");
}

static void connect_now(struct xenpv_bus *bus)
{
    put_and_write(bus, JOB_CONNECT, XENPV_STATE_CONNECTED, bus->config.driver->connect,
                  "connecting to the peer");
}

void bus_update(struct xenpv_bus *bus)
{
    uint32_t state =
        bus->update == XENPV_UPDATE_AGREE ? XENPV_STATE_RECONFIGURING : XENPV_STATE_UNKNOWN;

    bus->agreed = false;
    put_and_write(bus, JOB_UPDATE, state, bus->config.driver->update, "writing keys");
}

/* Asks what follows from the answer so far; when that is nothing, connects. */
static void ask_more(struct xenpv_bus *bus, uint32_t round)
{
    const struct xenpv_bus_driver *driver = bus->config.driver;
    int error;

    bus_set_job(bus, JOB_MORE);
    bus->round = round;
    error = driver->more ? driver->more(bus->config.owner, round) : XENPV_OK;
    if (error == XENPV_OK && bus->no_room)
        error = XENPV_E2BIG;
    if (error) {
        bus_set_job(bus, JOB_NONE);
        fail(bus, error, "reading the peer's keys", "", bus->peer_path, NULL,
             xenpv_error_text(error));
    } else if (bus->batch.count == 0)
        connect_now(bus);
    else
        bus_add_peer_state(bus);
}

/* The answer, and the keys of our own that are read with it. */
static bool judge_answer(struct xenpv_bus *bus)
{
    return judge_question(bus, XENPV_ASK_ANSWER, 0) &&
           judge_question(bus, XENPV_ASK_LIVE, bus->config.driver->ask[XENPV_ASK_ANSWER].count);
}

static void answer_done(struct xenpv_bus *bus)
{
    if (bus->goal == XENPV_GOAL_CLOSE || moved_on(bus) || !judge_answer(bus))
        return;
    if (bus->goal == XENPV_GOAL_INSPECT) {
        bus->phase = XENPV_BUS_DONE;
        bus->deadline = bus->look_at = UINT64_MAX;
        return;
    }
    ask_more(bus, 0);
}

static void more_done(struct xenpv_bus *bus)
{
    uint32_t peer_state = bus->config.driver->role == XENPV_FRONTEND;

    if (bus->goal != XENPV_GOAL_CLOSE && !moved_on(bus) &&
        judge(bus, 0, bus->batch.count - peer_state))
        ask_more(bus, bus->round + 1);
}

static void reread_done(struct xenpv_bus *bus)
{
    int error = XENPV_OK;

    if (moved_on(bus))
        return;
    if (judge_answer(bus))
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
    if (phase == XENPV_BUS_CONNECTED && bus->goal == XENPV_GOAL_CONNECT) {
        bus->deadline = UINT64_MAX;
        bus_recovered(bus);
    } else if (bus->goal == XENPV_GOAL_CLOSE && phase == XENPV_BUS_CLOSED)
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
    bus_add_state(bus, state);
    bus->state_written = true;
}

static void state_done(struct xenpv_bus *bus)
{
    static const enum xenpv_bus_phase phases[] = {
        [XENPV_STATE_INITIALISING] = XENPV_BUS_RESTARTED,
        [XENPV_STATE_CONNECTED] = XENPV_BUS_CONNECTED,
        [XENPV_STATE_CLOSING] = XENPV_BUS_CLOSING,
        [XENPV_STATE_CLOSED] = XENPV_BUS_CLOSED,
    };

    written(bus, phases[bus->own_state], bus->own_state);
    if (bus->last)
        bus_set_job(bus, JOB_CLEAN);
}

/* The keys of an update are written, and state 7 if it was asked for. */
static void update_done(struct xenpv_bus *bus)
{
    if (bus->update == XENPV_UPDATE_AGREE) {
        keys_written(bus, JOB_UPDATE, XENPV_BUS_CONNECTED, XENPV_STATE_RECONFIGURING);
        if (bus->job != JOB_NONE)
            return;
        bus->deadline = bus_from_now(bus, bus->config.agree_ms);
        bus->agree_at = bus->peer_state == XENPV_STATE_RECONFIGURED ? bus->now + BUS_AGREE_MS : 0;
    }
    bus->update = XENPV_UPDATE_NONE;
}

/* Our directory is there or not: whichever it is, this end is over. */
static void own_done(struct xenpv_bus *bus)
{
    bus->own_gone = bus->config.ops[0].status == XENPV_ENOENT;
    bus_write_state(bus, XENPV_STATE_CLOSED);
}

/* The first operation whose failure spoils the job, or NULL. */
static const struct xenpv_store_op *failed_write(const struct xenpv_bus *bus)
{
    for (uint32_t i = 0; i < bus->batch.count; i++) {
        if (bus->config.ops[i].type == XENPV_STORE_WRITE && bus->config.ops[i].status != XENPV_OK)
            return &bus->config.ops[i];
    }
    return NULL;
}

/* True when the job has failed; that is recorded, or awaited to come right. */
static bool job_failed(struct xenpv_bus *bus)
{
    const struct xenpv_store_op *op = failed_write(bus);
    int error = bus->batch.status ? bus->batch.status : op ? op->status : XENPV_OK;

    if (error == XENPV_OK)
        return false;
    miss(bus, error, "using the store", "an answer", bus->own_path, op ? op->name : NULL,
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
    if (bus->phase != XENPV_BUS_CONNECTED ||
        (job != JOB_LOOK && job != JOB_REREAD && job != JOB_UPDATE))
        return false;
    if (job == JOB_UPDATE)
        return bus->batch.status != XENPV_OK || failed_write(bus);
    for (uint32_t i = 0; i < bus->batch.count; i++) {
        const struct xenpv_store_op *op = &bus->config.ops[i];
        if (no_answer(op) && (job == JOB_REREAD || op->status != XENPV_EACCES))
            return true;
    }
    return bus->batch.status != XENPV_OK;
}

/* What was shared for a publication that failed is taken back before the next: as if the peer had
 * seen it. All else is tried again after another look. */
static void failed_anew(struct xenpv_bus *bus, enum bus_job job)
{
    if (job != JOB_PUBLISH && job != JOB_CONNECT)
        return;
    bus->phase = XENPV_BUS_PUBLISHED;
    bus->after = ACT_CLOSE;
}

static void job_done(struct xenpv_bus *bus)
{
    enum bus_job job = (enum bus_job)bus->job;
    bool failed;

    bus->job = JOB_NONE;
    bus->started = false;
    if (asks_again_later(bus, job)) {
        bus->look_at = bus->update_at = bus->now + BUS_LOOK_MS;
        return;
    }
    failed = job_failed(bus);
    if (failed && bus_patient(bus) && job != JOB_STATE) {
        failed_anew(bus, job);
        return;
    }
    /* A state that cannot be written is no reason not to go on closing. */
    if (failed && job != JOB_STATE && job != JOB_OWN && job != JOB_CLEAN) {
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
    case JOB_MORE:
        more_done(bus);
        break;
    case JOB_CONNECT:
        keys_written(bus, job, XENPV_BUS_CONNECTED, XENPV_STATE_CONNECTED);
        break;
    case JOB_REREAD:
        reread_done(bus);
        break;
    case JOB_UPDATE:
        update_done(bus);
        break;
    case JOB_STATE:
        state_done(bus);
        break;
    case JOB_OWN:
        own_done(bus);
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
