/* SPDX-License-Identifier: MIT */
/* The loop of an agent: watches, one job after another, and waits. */
#include "agent_jobs.h"

#include <xenpv/keys.h>

#define TURNS        32u /* of a step */
#define RETRY_MIN_MS 10u
#define RETRY_MAX_MS 5000u
#define FLOOR_PAGES  8192u /* 32 MiB */
#define KEYS_MAX     1024u
#define PAGES_MAX    (1u << 20)

#define OBEYABLE                                                                                   \
    ((XENPV_AGENT_BIT(XENPV_AGENT_S4 + 1u) - 1) | XENPV_AGENT_BIT(XENPV_AGENT_SYSRQ) |             \
     XENPV_AGENT_BIT(XENPV_AGENT_MEMORY))

struct job {
    void (*build)(struct xenpv_agent *agent);
    void (*done)(struct xenpv_agent *agent); /* the batch has ended with status 0; or NULL */
    bool transaction; /* where the port has them; its errors are for `done` */
};

static const struct job jobs[AGENT_JOBS] = {
    [AGENT_OWNER] = {agent_build_owner, agent_done_owner, false},
    [AGENT_WITHDRAW] = {agent_build_withdraw, NULL, false},
    [AGENT_SHUTDOWN] = {agent_build_shutdown, agent_done_shutdown, false},
    [AGENT_SHUTDOWN_ACK] = {agent_build_shutdown_ack, agent_done_shutdown_ack, true},
    [AGENT_SYSRQ] = {agent_build_sysrq, agent_done_sysrq, false},
    [AGENT_SYSRQ_ACK] = {agent_build_sysrq_ack, agent_done_sysrq_ack, true},
    [AGENT_TARGET] = {agent_build_target, agent_done_target, false},
    [AGENT_ADVERTISE] = {agent_build_advertise, agent_done_advertise, false},
    [AGENT_PUBLISH] = {agent_build_publish, agent_done_publish, false},
};

struct watch {
    const char *path;
    enum agent_job job;
    uint32_t types; /* XENPV_AGENT_BIT: of no use where none of these is obeyed, or looked for */
};

static const struct watch watches[AGENT_WATCHES] = {
    {"control/shutdown", AGENT_SHUTDOWN, XENPV_AGENT_BIT(XENPV_AGENT_S4 + 1u) - 1},
    {"control/sysrq", AGENT_SYSRQ, XENPV_AGENT_BIT(XENPV_AGENT_SYSRQ)},
    {"memory/target", AGENT_TARGET, XENPV_AGENT_BIT(XENPV_AGENT_MEMORY)},
};

/* ------------------------------------------------------------------------------------- small -- */

const char *xenpv_agent_event_name(uint32_t type)
{
    static const char *const names[XENPV_AGENT_EVENTS] = {
        [XENPV_AGENT_POWEROFF] = "poweroff",
        [XENPV_AGENT_REBOOT] = "reboot",
        [XENPV_AGENT_HALT] = "halt",
        [XENPV_AGENT_SUSPEND] = "suspend",
        [XENPV_AGENT_S3] = "s3",
        [XENPV_AGENT_S4] = "s4",
        [XENPV_AGENT_SHUTDOWN] = "shutdown",
        [XENPV_AGENT_RESUME] = "resume",
        [XENPV_AGENT_SYSRQ] = "sysrq",
        [XENPV_AGENT_MEMORY] = "memory",
    };

    return type < XENPV_AGENT_EVENTS ? names[type] : NULL;
}

static uint32_t add_text(char line[128], uint32_t at, const char *text)
{
    while (*text && at < 127)
        line[at++] = *text++;
    line[at] = '\0';
    return at;
}

void agent_log(struct xenpv_agent *agent, enum xenpv_log_level level, const char *a, const char *b,
               const char *c)
{
    const struct xenpv_port *port = agent->config.port;
    char line[128];
    uint32_t at = add_text(line, 0, a);

    at = add_text(line, at, b);
    add_text(line, at, c);
    port->sys->log(port->ctx, level, line);
}

struct xenpv_store_op *agent_add(struct xenpv_agent *agent, enum xenpv_store_type type,
                                 const char *dir, const char *name)
{
    uint32_t index = agent->batch.count++;
    struct xenpv_store_op *op = &agent->ops[index];

    *op = (struct xenpv_store_op){.type = type,
                                  .dir = dir,
                                  .name = name,
                                  .value = agent->slots[index].text,
                                  .capacity = AGENT_TEXT};
    return op;
}

void agent_add_write(struct xenpv_agent *agent, const char *dir, const char *name, const char *text)
{
    struct xenpv_store_op *op = agent_add(agent, XENPV_STORE_WRITE, dir, name);
    char *to = op->value;

    while (*text)
        to[op->length++] = *text++;
}

/* It is wanted again, as it was. */
static void put_back(struct xenpv_agent *agent)
{
    agent_want(agent, (enum agent_job)agent->job);
    if (agent->by_poke)
        agent->poked |= AGENT_JOB(agent->job);
}

void agent_retry(struct xenpv_agent *agent)
{
    put_back(agent);
    agent->retry_at = agent->now + agent->retry_ms;
    agent->retry_ms = 2 * agent->retry_ms < RETRY_MAX_MS ? 2 * agent->retry_ms : RETRY_MAX_MS;
}

/* --------------------------------------------------------------------------------- beginning -- */

void xenpv_agent_config_init(struct xenpv_agent_config *config, const struct xenpv_port *port)
{
    *config = (struct xenpv_agent_config){.size = sizeof(*config),
                                          .port = port,
                                          .keys = 64,
                                          .floor = FLOOR_PAGES,
                                          .pages_per_step = 1024};
}

static bool is_valid(const struct xenpv_agent_config *config)
{
    return config->size == sizeof(*config) && config->port != NULL &&
           (config->enabled & ~OBEYABLE) == 0 && config->keys <= KEYS_MAX &&
           config->pages_per_step - 1u < PAGES_MAX;
}

size_t xenpv_agent_size(const struct xenpv_agent_config *config)
{
    if (!is_valid(config))
        return 0;
    return sizeof(struct xenpv_agent) + config->keys * sizeof(struct agent_row);
}

int xenpv_agent_init(void *memory, const struct xenpv_agent_config *config,
                     struct xenpv_agent **agent)
{
    struct xenpv_agent *made = memory;

    if (!is_valid(config))
        return XENPV_EINVAL;
    memset(memory, 0, xenpv_agent_size(config));
    made->config = *config;
    made->rows = (struct agent_row *)(made + 1);
    made->generation = config->port->sys->generation(config->port->ctx);
    made->wanted = AGENT_JOB(AGENT_OWNER);
    made->retry_ms = RETRY_MIN_MS;
    made->shutdown.last = AGENT_NOTHING;
    made->sysrq.last = AGENT_NOTHING;
    made->move_at = UINT64_MAX;
    *agent = made;
    return XENPV_OK;
}

/* ----------------------------------------------------------------------------------- watches -- */

/* A passive agent looks at all, an active one at what it obeys. */
static bool is_watched(const struct xenpv_agent *agent, const struct watch *watch)
{
    if (agent->state == XENPV_AGENT_PASSIVE)
        return true;
    return agent_is_active(agent) && (agent->config.enabled & watch->types) != 0;
}

static int watch_one(struct xenpv_agent *agent, uint32_t index)
{
    const struct xenpv_port *port = agent->config.port;
    int error = port->store->watch(port->ctx, watches[index].path, &agent->watching[index]);

    agent->watching[index] = error == XENPV_OK;
    if (error && !agent->unwatched)
        agent_log(agent, XENPV_LOG_WARN, watches[index].path,
                  ": cannot be watched: ", xenpv_error_text(error));
    agent->unwatched |= error != XENPV_OK;
    return error;
}

static void watch_all(struct xenpv_agent *agent)
{
    int error = XENPV_OK;

    if (agent->now < agent->watch_at)
        return;
    for (uint32_t i = 0; i < AGENT_WATCHES; i++)
        if (is_watched(agent, &watches[i]) && !agent->watching[i] && !error)
            error = watch_one(agent, i);
    agent->watch_at = error ? agent->now + RETRY_MAX_MS : agent->now;
}

static void unwatch_all(struct xenpv_agent *agent)
{
    const struct xenpv_port *port = agent->config.port;

    for (uint32_t i = 0; i < AGENT_WATCHES; i++) {
        if (agent->watching[i])
            port->store->unwatch(port->ctx, watches[i].path, &agent->watching[i]);
        agent->watching[i] = false;
    }
}

static void take_pokes(struct xenpv_agent *agent)
{
    const struct xenpv_port *port = agent->config.port;

    for (uint32_t i = 0; i < AGENT_WATCHES; i++)
        if (agent->watching[i] && port->store->fired(port->ctx, &agent->watching[i])) {
            agent_want(agent, watches[i].job);
            agent->poked |= AGENT_JOB(watches[i].job);
        }
}

void xenpv_agent_look(struct xenpv_agent *agent)
{
    for (uint32_t i = 0; i < AGENT_WATCHES; i++)
        if (is_watched(agent, &watches[i]))
            agent_want(agent, watches[i].job);
}

/* --------------------------------------------------------------------------- a changed world -- */

static void forget_batch(struct xenpv_agent *agent)
{
    const struct xenpv_port *port = agent->config.port;

    if (agent->pending) {
        port->store->cancel(port->ctx, &agent->batch);
        put_back(agent);
    }
    agent->pending = false;
}

/* The store may be another, which knows nothing of us. */
static void say_all_again(struct xenpv_agent *agent)
{
    agent_republish(agent);
    if (agent_is_active(agent))
        agent_want(agent, AGENT_ADVERTISE);
    agent_be_quiet(agent);
    xenpv_agent_look(agent);
}

void xenpv_agent_resumed(struct xenpv_agent *agent)
{
    if (agent->state == XENPV_AGENT_CLOSING || agent->state == XENPV_AGENT_CLOSED)
        return;
    forget_batch(agent);
    agent->shutdown.unsure = false;
    agent->sysrq.unsure = false;
    say_all_again(agent);
    agent_tell(agent, XENPV_AGENT_RESUME);
}

static void notice_resume(struct xenpv_agent *agent)
{
    const struct xenpv_port *port = agent->config.port;
    uint32_t generation = port->sys->generation(port->ctx);

    if (generation == agent->generation)
        return;
    agent->generation = generation;
    xenpv_agent_resumed(agent);
}

/* -------------------------------------------------------------------------------------- jobs -- */

static void settle_store(struct xenpv_agent *agent, bool lost)
{
    if (lost == agent->lost)
        return;
    agent->lost = lost;
    agent_log(agent, XENPV_LOG_WARN, "the store ", lost ? "cannot be reached" : "is back", "");
    if (!lost)
        say_all_again(agent);
}

static void finish(struct xenpv_agent *agent)
{
    const struct job *job = &jobs[agent->job];

    settle_store(agent, agent_was_given_up(agent));
    if (agent->batch.status && !job->transaction) {
        agent_retry(agent);
        return;
    }
    if (agent->batch.status != XENPV_EAGAIN && !agent_was_given_up(agent))
        agent->retry_ms = RETRY_MIN_MS;
    if (job->done)
        job->done(agent);
}

static void start(struct xenpv_agent *agent, uint32_t number)
{
    const struct xenpv_port *port = agent->config.port;

    agent->job = number;
    agent->wanted &= ~AGENT_JOB(number);
    agent->by_poke = (agent->poked & AGENT_JOB(number)) != 0;
    agent->poked &= ~AGENT_JOB(number);
    agent->batch = (struct xenpv_store_batch){.ops = agent->ops};
    jobs[number].build(agent);
    if (agent->batch.count == 0)
        return;
    agent->batch.transaction = jobs[number].transaction && (port->caps & XENPV_CAP_TRANSACTIONS);
    agent->pending = port->store->start(port->ctx, &agent->batch) == XENPV_PENDING;
    if (!agent->pending)
        finish(agent);
}

static uint32_t first_job(const struct xenpv_agent *agent)
{
    uint32_t job = 0;

    while (job < AGENT_JOBS && !(agent->wanted & AGENT_JOB(job)))
        job++;
    return job;
}

static void end(struct xenpv_agent *agent)
{
    if (agent->state == XENPV_AGENT_CLOSING)
        agent->state = XENPV_AGENT_CLOSED;
}

/* One transition: false, when there is nothing to do now. */
static bool advance(struct xenpv_agent *agent)
{
    const struct xenpv_port *port = agent->config.port;
    uint32_t job;

    if (agent->pending) {
        if (port->store->check(port->ctx, &agent->batch) == XENPV_PENDING)
            return false;
        agent->pending = false;
        finish(agent);
        return true;
    }
    watch_all(agent);
    take_pokes(agent);
    if (agent->now < agent->retry_at)
        return false;
    job = first_job(agent);
    if (job == AGENT_JOBS) {
        end(agent);
        return false;
    }
    start(agent, job);
    return true;
}

enum xenpv_agent_state xenpv_agent_step(struct xenpv_agent *agent, uint64_t now)
{
    agent->before = agent->now;
    agent->now = now;
    if (agent->state == XENPV_AGENT_CLOSED)
        return agent->state;
    notice_resume(agent);
    for (uint32_t turn = 0; turn < TURNS && advance(agent); turn++)
        ;
    agent_move_pages(agent);
    return agent->state;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t xenpv_agent_deadline(const struct xenpv_agent *agent)
{
    uint64_t deadline = agent->move_at;

    if (agent->state == XENPV_AGENT_CLOSED)
        return UINT64_MAX;
    if (agent->state == XENPV_AGENT_PASSIVE && agent->shutdown.quiet_until > agent->now)
        deadline = sooner(deadline, agent->shutdown.quiet_until);
    if (agent->state == XENPV_AGENT_PASSIVE && agent->sysrq.quiet_until > agent->now)
        deadline = sooner(deadline, agent->sysrq.quiet_until);
    if (agent->watch_at > agent->now)
        deadline = sooner(deadline, agent->watch_at);
    if (agent->wanted && !agent->pending)
        deadline = sooner(deadline, agent->retry_at);
    if (agent->state == XENPV_AGENT_CLOSING && !agent->wanted && !agent->pending)
        deadline = agent->now;
    return deadline;
}

/* ------------------------------------------------------------------------------------- owner -- */

bool xenpv_agent_poll(struct xenpv_agent *agent, struct xenpv_agent_event *event)
{
    uint32_t type = 0;

    if (!agent->events)
        return false;
    while (!(agent->events & XENPV_AGENT_BIT(type)))
        type++;
    agent->events &= ~XENPV_AGENT_BIT(type);
    *event = (struct xenpv_agent_event){.type = type};
    if (type == XENPV_AGENT_SYSRQ)
        event->key = agent->key;
    if (type == XENPV_AGENT_MEMORY) {
        event->target_kib = agent->balloon.target_kib;
        event->goal = agent->goal;
    }
    return true;
}

void xenpv_agent_close(struct xenpv_agent *agent)
{
    if (agent->state == XENPV_AGENT_CLOSING || agent->state == XENPV_AGENT_CLOSED)
        return;
    forget_batch(agent);
    unwatch_all(agent);
    agent->wanted = agent_is_active(agent) ? AGENT_JOB(AGENT_WITHDRAW) : 0;
    agent->retry_at = 0;
    agent->move_at = UINT64_MAX;
    agent->state = XENPV_AGENT_CLOSING;
    agent_unpublish(agent);
}

void xenpv_agent_abandon(struct xenpv_agent *agent)
{
    forget_batch(agent);
    unwatch_all(agent);
    agent->state = XENPV_AGENT_CLOSED;
}

void xenpv_agent_get_info(const struct xenpv_agent *agent, struct xenpv_agent_info *info)
{
    *info = (struct xenpv_agent_info){.active = agent->active,
                                      .advertised = agent->advertised,
                                      .unannounced = agent->unannounced,
                                      .lost = agent->lost,
                                      .moving = agent->move_at != UINT64_MAX,
                                      .goal = agent->goal};
    for (uint32_t i = 0; i < agent->config.keys; i++) {
        const struct agent_row *row = &agent->rows[i];

        if (row->key.name[0] == '\0')
            continue;
        info->refused += row->refused;
        info->waiting += !row->refused && (row->write || row->remove);
        info->published += !row->refused && !row->write && !row->remove;
    }
}
