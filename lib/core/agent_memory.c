/* SPDX-License-Identifier: MIT */
/* memory/target: what it wants, and pages on their way there. */
#include "agent_jobs.h"

#include <xenpv/keys.h>

/* When nothing could be moved, by the guest's want of memory or the hypervisor's. */
#define MOVE_MIN_MS 1000u
#define MOVE_MAX_MS 32000u

void agent_build_target(struct xenpv_agent *agent)
{
    agent_add(agent, XENPV_STORE_READ, "memory", "target");
    agent_add(agent, XENPV_STORE_READ, "memory", "static-max");
}

/* A number of KiB; no number is 0 for static-max, and for the target a line in the log. */
static bool read_kib(const struct xenpv_store_op *op, uint64_t *kib)
{
    return op->status == XENPV_OK && xenpv_parse_number(op->value, op->length, kib);
}

static void say_junk(struct xenpv_agent *agent, const struct xenpv_store_op *op)
{
    char found[AGENT_TEXT];

    if (!agent->by_poke)
        return;
    if (op->status == XENPV_OK) {
        xenpv_printable(found, sizeof(found), op->value, op->length);
        agent_log(agent, XENPV_LOG_WARN, "memory/target: '", found, "' is no number of KiB");
    } else if (op->status != XENPV_ENOENT) {
        agent_log(agent, XENPV_LOG_WARN, "memory/target: ", xenpv_error_text(op->status), "");
    }
}

/* What a passive agent finds when it begins is nobody's wish of now. */
static bool is_news(const struct xenpv_agent *agent, uint64_t kib)
{
    if (!agent->has_target)
        return agent_is_active(agent);
    return agent->balloon.target_kib != kib;
}

void agent_done_target(struct xenpv_agent *agent)
{
    uint64_t kib, most = 0;

    if (!read_kib(&agent->ops[0], &kib)) {
        say_junk(agent, &agent->ops[0]);
        return;
    }
    if (is_news(agent, kib))
        agent_tell(agent, XENPV_AGENT_MEMORY);
    if (!read_kib(&agent->ops[1], &most))
        most = 0;
    agent->has_target = true;
    agent->balloon = (struct xenpv_balloon){
        .target_kib = kib, .static_max_kib = most, .floor = agent->config.floor};
    agent->goal = xenpv_balloon_goal(&agent->balloon);
    if (agent_obeys(agent, XENPV_AGENT_MEMORY) && agent->config.port->memory) {
        agent->move_at = agent->now;
        agent->move_ms = MOVE_MIN_MS;
    }
}

/* How many were moved, of `count`: above 0 to be taken, below to be released. */
static uint32_t move(const struct xenpv_agent *agent, int32_t count)
{
    const struct xenpv_port *port = agent->config.port;
    int64_t moved = count > 0 ? port->memory->take(port->ctx, (uint32_t)count)
                              : port->memory->release(port->ctx, (uint32_t)-count);

    return moved > 0 ? (uint32_t)moved : 0;
}

/* The floor is no reason to take: a guest that has less than that keeps what it has. */
static int32_t next_step(const struct xenpv_agent *agent, uint64_t pages)
{
    struct xenpv_balloon balloon = agent->balloon;

    if (balloon.floor > pages)
        balloon.floor = pages;
    return xenpv_balloon_step(pages, xenpv_balloon_goal(&balloon), agent->config.pages_per_step);
}

void agent_move_pages(struct xenpv_agent *agent)
{
    const struct xenpv_port *port = agent->config.port;
    int32_t count;

    if (agent->now < agent->move_at || !port->memory)
        return;
    count = next_step(agent, port->memory->pages(port->ctx));
    if (count == 0) {
        agent->move_at = UINT64_MAX;
    } else if (move(agent, count) > 0) {
        agent->move_at = agent->now;
        agent->move_ms = MOVE_MIN_MS;
    } else {
        agent->move_at = agent->now + agent->move_ms;
        agent->move_ms = 2 * agent->move_ms < MOVE_MAX_MS ? 2 * agent->move_ms : MOVE_MAX_MS;
    }
}
