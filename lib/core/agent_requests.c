/* SPDX-License-Identifier: MIT */
/* control/: who owns it, what is asked for there, and how it is acknowledged. */
#include "agent_jobs.h"

#include <xenpv/keys.h>

/* A line in the log when an acknowledgement has met so many conflicts. */
#define MANY_CONFLICTS 10u

/* Left in the store while we are active: features that stand there when we begin were ours. */
#define MARK_DIR  "data"
#define MARK_NAME "xenpv/active"

/* control/feature-...: what says that somebody obeys. Nobody announces halt. */
struct feature {
    const char *name;
    uint32_t type;
    bool tells_owner; /* whoever owns control/ sets it */
};

static const struct feature features[] = {
    {"feature-poweroff", XENPV_AGENT_POWEROFF, true},
    {"feature-reboot", XENPV_AGENT_REBOOT, true},
    {"feature-suspend", XENPV_AGENT_SUSPEND, true},
    {"feature-s3", XENPV_AGENT_S3, true},
    {"feature-s4", XENPV_AGENT_S4, true},
    {"feature-sysrq", XENPV_AGENT_SYSRQ, true},
    {"feature-balloon", XENPV_AGENT_MEMORY, false},
};
#define FEATURES (sizeof(features) / sizeof(features[0]))
_Static_assert(FEATURES + 1 <= AGENT_OPS, "all features and the mark are one batch");

static bool is_text(const char *bytes, uint32_t count, const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    return count == length && memcmp(bytes, text, length) == 0;
}

static bool is_one(const struct xenpv_store_op *op)
{
    return op->status == XENPV_OK && is_text(op->value, op->length, "1");
}

/* ------------------------------------------------------------------------------------- owner -- */

void agent_build_owner(struct xenpv_agent *agent)
{
    agent_add(agent, XENPV_STORE_READ, MARK_DIR, MARK_NAME);
    for (uint32_t i = 0; i < FEATURES; i++)
        agent_add(agent, XENPV_STORE_READ, "control", features[i].name);
}

static bool somebody_owns(const struct xenpv_agent *agent)
{
    bool ours = is_one(&agent->ops[0]), owned = false;

    for (uint32_t i = 0; i < FEATURES; i++)
        owned |= features[i].tells_owner && is_one(&agent->ops[1 + i]);
    return owned && !ours;
}

void agent_done_owner(struct xenpv_agent *agent)
{
    bool owned = somebody_owns(agent);

    if (agent->state != XENPV_AGENT_STARTING)
        return;
    if (agent->config.active && owned)
        agent_log(agent, XENPV_LOG_WARN, "control/feature-*: somebody else obeys control/", "", "");
    agent->active = agent->config.active && !owned;
    agent->state = agent->active ? XENPV_AGENT_ACTIVE : XENPV_AGENT_PASSIVE;
    agent_be_quiet(agent);
    if (agent_is_active(agent))
        agent_want(agent, AGENT_ADVERTISE);
}

/* ---------------------------------------------------------------------------------- features -- */

void agent_build_advertise(struct xenpv_agent *agent)
{
    agent->standing = agent->config.enabled;
    agent_add_write(agent, MARK_DIR, MARK_NAME, "1");
    for (uint32_t i = 0; i < FEATURES; i++)
        if (agent->config.enabled & XENPV_AGENT_BIT(features[i].type))
            agent_add_write(agent, "control", features[i].name, "1");
}

void agent_done_advertise(struct xenpv_agent *agent)
{
    uint32_t op = 1;

    agent->advertised = 0;
    agent->unannounced = 0;
    for (uint32_t i = 0; i < FEATURES; i++) {
        uint32_t bit = XENPV_AGENT_BIT(features[i].type);

        if (!(agent->config.enabled & bit))
            continue;
        if (agent->ops[op++].status == XENPV_OK)
            agent->advertised |= bit;
        else
            agent->unannounced |= bit;
    }
    agent->standing = agent->advertised;
}

/* Removed, if they can be, would tell the toolstack that somebody might obey. */
void agent_build_withdraw(struct xenpv_agent *agent)
{
    for (uint32_t i = 0; i < FEATURES; i++)
        if (agent->standing & XENPV_AGENT_BIT(features[i].type))
            agent_add_write(agent, "control", features[i].name, "0");
    agent_add(agent, XENPV_STORE_RM, MARK_DIR, MARK_NAME);
    agent->advertised = 0;
}

/* ---------------------------------------------------------------------------------- requests -- */

/* What control/shutdown and control/sysrq have in common. */
struct channel {
    const char *name;
    enum agent_job ack;
    uint32_t unknown; /* what a passive agent tells that found nothing */
    /* What the text means, or AGENT_NOTHING. */
    uint32_t (*parse)(const char *text, uint32_t length);
    void (*tell)(struct xenpv_agent *agent, uint32_t meaning);
    uint32_t (*type)(uint32_t meaning);
};

static uint32_t parse_request(const char *text, uint32_t length)
{
    for (uint32_t type = 0; type <= XENPV_AGENT_S4; type++)
        if (is_text(text, length, xenpv_agent_event_name(type)))
            return type;
    return AGENT_NOTHING;
}

static void tell_request(struct xenpv_agent *agent, uint32_t type)
{
    agent_tell(agent, type);
}

static uint32_t type_of_request(uint32_t type)
{
    return type;
}

static uint32_t parse_key(const char *text, uint32_t length)
{
    return length == 1 && text[0] > ' ' && text[0] <= '~' ? (uint32_t)text[0] : AGENT_NOTHING;
}

static void tell_key(struct xenpv_agent *agent, uint32_t key)
{
    agent->key = key == XENPV_AGENT_SYSRQ ? '\0' : (char)key;
    agent_tell(agent, XENPV_AGENT_SYSRQ);
}

static uint32_t type_of_key(uint32_t key)
{
    (void)key;
    return XENPV_AGENT_SYSRQ;
}

static const struct channel shutdown_channel = {
    .name = "shutdown",
    .ack = AGENT_SHUTDOWN_ACK,
    .unknown = XENPV_AGENT_SHUTDOWN,
    .parse = parse_request,
    .tell = tell_request,
    .type = type_of_request,
};
static const struct channel sysrq_channel = {
    .name = "sysrq",
    .ack = AGENT_SYSRQ_ACK,
    .unknown = XENPV_AGENT_SYSRQ,
    .parse = parse_key,
    .tell = tell_key,
    .type = type_of_key,
};

static void say(struct xenpv_agent *agent, const struct channel *channel, const char *what)
{
    char found[AGENT_TEXT + 48];
    uint32_t at = 0;

    for (const char *from = what; *from; from++)
        found[at++] = *from;
    xenpv_printable(found + at, AGENT_TEXT, agent->ops[0].value, agent->ops[0].length);
    agent_log(agent, XENPV_LOG_WARN, "control/", channel->name, found);
}

/* Once for each change: a mere look finds what has been said before. */
static void say_once(struct xenpv_agent *agent, const struct channel *channel, const char *what)
{
    if (agent->by_poke)
        say(agent, channel, what);
}

/* A node that is missing asks for nothing; Linux's acknowledgement of sysrq may be a single NUL. */
static bool is_empty(const struct xenpv_store_op *op)
{
    return op->status == XENPV_ENOENT ||
           (op->status == XENPV_OK &&
            (op->length == 0 || (op->length == 1 && *(const char *)op->value == '\0')));
}

static uint32_t meaning_of(const struct channel *channel, const struct xenpv_store_op *op)
{
    return op->status == XENPV_OK ? channel->parse(op->value, op->length) : AGENT_NOTHING;
}

/* What is seen from here on is another request, but for an active agent that could not acknowledge
 * the last one. */
static void quieten(const struct xenpv_agent *agent, struct agent_request *request)
{
    request->quiet_until = agent->now + AGENT_QUIET_MS;
    if (!agent_is_active(agent))
        request->last = AGENT_NOTHING;
}

void agent_be_quiet(struct xenpv_agent *agent)
{
    quieten(agent, &agent->shutdown);
    quieten(agent, &agent->sysrq);
}

/* Somebody else acknowledges. */
static void tell_passively(struct xenpv_agent *agent, const struct channel *channel,
                           struct agent_request *request, uint32_t meaning)
{
    /* An owner that ran a long hook since the last step finds pokes that came while it was quiet. */
    bool quiet = agent->before < request->quiet_until;

    if (meaning == AGENT_NOTHING && quiet)
        return;
    /* A mere look finds what stands there still. */
    if (meaning != AGENT_NOTHING && meaning == request->last && (quiet || !agent->by_poke))
        return;
    request->last = meaning;
    request->quiet_until = agent->now + AGENT_QUIET_MS;
    channel->tell(agent, meaning == AGENT_NOTHING ? channel->unknown : meaning);
}

static void look(struct xenpv_agent *agent, const struct channel *channel,
                 struct agent_request *request)
{
    const struct xenpv_store_op *op = &agent->ops[0];
    uint32_t meaning = meaning_of(channel, op);

    if (is_empty(op)) {
        if (agent->state == XENPV_AGENT_PASSIVE && agent->by_poke)
            tell_passively(agent, channel, request, AGENT_NOTHING);
        request->last = agent_is_active(agent) ? AGENT_NOTHING : request->last;
    } else if (op->status != XENPV_OK && op->status != XENPV_E2BIG) {
        agent_log(agent, XENPV_LOG_WARN, "control/", channel->name, " cannot be read");
    } else if (meaning == AGENT_NOTHING) {
        say_once(agent, channel, ": not known, and not acknowledged: ");
    } else if (agent->state == XENPV_AGENT_PASSIVE) {
        tell_passively(agent, channel, request, meaning);
    } else if (!agent_obeys(agent, channel->type(meaning))) {
        say_once(agent, channel, ": not obeyed here, and not acknowledged: ");
    } else if (meaning != request->last) {
        request->asked = meaning;
        agent_want(agent, channel->ack);
    }
}

static void build_ack(struct xenpv_agent *agent, const struct channel *channel)
{
    agent_add(agent, XENPV_STORE_READ, "control", channel->name);
    agent_add_write(agent, "control", channel->name, "");
}

/* True: it met a conflict, and is to be done again. */
static bool met_conflict(struct xenpv_agent *agent, const struct channel *channel,
                         struct agent_request *request)
{
    if (agent->batch.status != XENPV_EAGAIN) {
        request->conflicts = 0;
        return false;
    }
    if (++request->conflicts == MANY_CONFLICTS)
        agent_log(agent, XENPV_LOG_WARN, "control/", channel->name,
                  ": others keep changing it; it is tried on and on");
    agent_retry(agent);
    return true;
}

/* True: nobody can say whether it took effect; it is to be done again. */
static bool met_loss(struct xenpv_agent *agent, struct agent_request *request)
{
    if (!agent_was_given_up(agent))
        return false;
    request->unsure = true;
    agent_retry(agent);
    return true;
}

/* What is empty now we have emptied ourselves. */
static void tell_the_unsure(struct xenpv_agent *agent, const struct channel *channel,
                            struct agent_request *request)
{
    bool ours = request->unsure && agent->ops[0].status == XENPV_OK;

    request->unsure = false;
    if (ours)
        channel->tell(agent, request->asked);
}

/* What was read in the same transaction is what has been acknowledged. */
static void acknowledged(struct xenpv_agent *agent, const struct channel *channel,
                         struct agent_request *request)
{
    uint32_t meaning = meaning_of(channel, &agent->ops[0]);
    int error = agent->batch.status ? agent->batch.status : agent->ops[1].status;

    if (met_loss(agent, request) || met_conflict(agent, channel, request))
        return;
    if (is_empty(&agent->ops[0])) {
        tell_the_unsure(agent, channel, request);
        return;
    }
    request->unsure = false;
    if (meaning == AGENT_NOTHING || !agent_obeys(agent, channel->type(meaning))) {
        say(agent, channel, ": acknowledged too soon: ");
        return;
    }
    /* It stands there still: it must not be obeyed once more when somebody looks. */
    request->last = error ? meaning : AGENT_NOTHING;
    if (error)
        agent_log(agent, XENPV_LOG_WARN, "control/", channel->name, ": cannot be acknowledged");
    channel->tell(agent, meaning);
}

void agent_build_shutdown(struct xenpv_agent *agent)
{
    agent_add(agent, XENPV_STORE_READ, "control", "shutdown");
}

void agent_done_shutdown(struct xenpv_agent *agent)
{
    look(agent, &shutdown_channel, &agent->shutdown);
}

void agent_build_shutdown_ack(struct xenpv_agent *agent)
{
    build_ack(agent, &shutdown_channel);
}

void agent_done_shutdown_ack(struct xenpv_agent *agent)
{
    acknowledged(agent, &shutdown_channel, &agent->shutdown);
}

void agent_build_sysrq(struct xenpv_agent *agent)
{
    agent_add(agent, XENPV_STORE_READ, "control", "sysrq");
}

void agent_done_sysrq(struct xenpv_agent *agent)
{
    look(agent, &sysrq_channel, &agent->sysrq);
}

void agent_build_sysrq_ack(struct xenpv_agent *agent)
{
    build_ack(agent, &sysrq_channel);
}

void agent_done_sysrq_ack(struct xenpv_agent *agent)
{
    acknowledged(agent, &sysrq_channel, &agent->sysrq);
}
