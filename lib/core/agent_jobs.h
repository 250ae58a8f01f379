/* SPDX-License-Identifier: MIT */
/*
 * An agent, and its jobs: each is one batch of store operations and what is made of the answers.
 * One is under way at a time.
 */
#ifndef XENPV_AGENT_JOBS_H
#define XENPV_AGENT_JOBS_H

#include <xenpv/agent.h>
#include <xenpv/balloon.h>
#include <xenpv/error.h>

/* In the order in which they are done where several are wanted. */
enum agent_job {
    AGENT_OWNER,    /* who owns control/? */
    AGENT_WITHDRAW, /* nobody obeys from here on */
    AGENT_SHUTDOWN, /* what does control/shutdown say? */
    AGENT_SHUTDOWN_ACK,
    AGENT_SYSRQ,
    AGENT_SYSRQ_ACK,
    AGENT_TARGET,
    AGENT_ADVERTISE,
    AGENT_PUBLISH,
    AGENT_JOBS
};
#define AGENT_JOB(job) (1u << (job))

#define AGENT_OPS     12u /* of one batch */
#define AGENT_TEXT    32u /* of a value that is read: none that means something is longer */
#define AGENT_WATCHES 3u

/*
 * For so long after the agent began, after a resume and after a request an empty control/shutdown
 * tells nothing: a watch fires when it is made, twice on some ports, and once more for the owner's
 * acknowledgement.
 */
#define AGENT_QUIET_MS 1000u

/* A key of config.keys, and what is to be done about it. */
struct agent_row {
    struct xenpv_agent_key key; /* an empty name: the row is free */
    bool write, remove;         /* is wanted of the store */
    bool refused;               /* until it has another value, or the store is another */
    bool full;                  /* refused for the quota: until the next list; it has been said */
    bool kept;                  /* while a new list is compared */
};

/* What an operation of a batch needs to stay as it is until the batch has ended. */
struct agent_slot {
    struct xenpv_agent_key key;
    uint32_t row;
    char text[AGENT_TEXT];
};

/* A request that may have been written over and over: what is known of it. */
struct agent_request {
    uint64_t quiet_until; /* see AGENT_QUIET_MS */
    uint32_t last;        /* what was told last, while it stands in the store; AGENT_NOTHING */
    uint32_t asked;       /* what the acknowledgement under way is for */
    uint32_t conflicts;   /* in a row */
    bool unsure;          /* the store was lost before it said whether it had taken it */
};
#define AGENT_NOTHING UINT32_MAX

struct xenpv_agent {
    struct xenpv_agent_config config;
    uint64_t now, retry_at;
    uint64_t before;   /* when the step before this one was */
    uint64_t watch_at; /* when to try again to watch what is not watched */
    struct xenpv_store_batch batch;
    struct xenpv_store_op ops[AGENT_OPS];
    struct agent_slot slots[AGENT_OPS];
    struct agent_row *rows; /* config.keys of them, behind this */

    struct agent_request shutdown, sysrq;
    struct xenpv_balloon balloon;
    uint64_t goal;    /* pages */
    uint64_t move_at; /* UINT64_MAX: nothing is to be moved */
    uint32_t move_ms;

    enum xenpv_agent_state state;
    uint32_t generation;
    uint32_t wanted; /* AGENT_JOB bits */
    uint32_t poked;  /* of these, those that a watch asked for */
    uint32_t job;    /* that the batch is of */
    uint32_t retry_ms;
    uint32_t advertised, unannounced; /* XENPV_AGENT_BIT */
    uint32_t standing;                /* of what was enabled: its feature may be 1 in the store */
    uint32_t events;                  /* XENPV_AGENT_BIT of those that wait to be taken */
    uint32_t updates;                 /* how often data/updated was written */

    bool active;                  /* it is, or was until it was closed */
    bool by_poke;                 /* a watch asked for the job */
    bool pending;                 /* the port has the batch */
    bool lost;                    /* the last batch found no store */
    bool unwatched;               /* that something cannot be watched has been said */
    bool watching[AGENT_WATCHES]; /* their addresses are the cookies */
    bool has_target;
    bool touched; /* data/updated is to be written */
    char key;     /* of SYSRQ */
};

static inline bool agent_is_active(const struct xenpv_agent *agent)
{
    return agent->state == XENPV_AGENT_ACTIVE;
}

/* Active, and this is obeyed. */
static inline bool agent_obeys(const struct xenpv_agent *agent, uint32_t type)
{
    return agent_is_active(agent) && (agent->config.enabled & XENPV_AGENT_BIT(type)) != 0;
}

/* The batch was lost with the store: some of it may have taken effect. */
static inline bool agent_was_given_up(const struct xenpv_agent *agent)
{
    return agent->batch.status == XENPV_ESTORE || agent->batch.status == XENPV_ETIMEDOUT;
}

static inline void agent_want(struct xenpv_agent *agent, enum agent_job job)
{
    agent->wanted |= AGENT_JOB(job);
}

static inline void agent_tell(struct xenpv_agent *agent, uint32_t type)
{
    agent->events |= XENPV_AGENT_BIT(type);
}

/* agent.c */

/* One line of text joined from up to three. */
void agent_log(struct xenpv_agent *agent, enum xenpv_log_level level, const char *a, const char *b,
               const char *c);
/* The next operation of the batch; its `value` is the slot's text. */
struct xenpv_store_op *agent_add(struct xenpv_agent *agent, enum xenpv_store_type type,
                                 const char *dir, const char *name);
void agent_add_write(struct xenpv_agent *agent, const char *dir, const char *name,
                     const char *text);
/* The job is to be done again, later each time. */
void agent_retry(struct xenpv_agent *agent);

/* agent_requests.c, agent_publish.c, agent_memory.c: what to ask, and what to make of the answers.
 * Building adds no operation when there is nothing to ask. */
void agent_build_owner(struct xenpv_agent *agent);
void agent_done_owner(struct xenpv_agent *agent);
void agent_build_advertise(struct xenpv_agent *agent);
void agent_done_advertise(struct xenpv_agent *agent);
void agent_build_withdraw(struct xenpv_agent *agent);
void agent_build_shutdown(struct xenpv_agent *agent);
void agent_done_shutdown(struct xenpv_agent *agent);
void agent_build_shutdown_ack(struct xenpv_agent *agent);
void agent_done_shutdown_ack(struct xenpv_agent *agent);
void agent_build_sysrq(struct xenpv_agent *agent);
void agent_done_sysrq(struct xenpv_agent *agent);
void agent_build_sysrq_ack(struct xenpv_agent *agent);
void agent_done_sysrq_ack(struct xenpv_agent *agent);
void agent_build_target(struct xenpv_agent *agent);
void agent_done_target(struct xenpv_agent *agent);
void agent_be_quiet(struct xenpv_agent *agent); /* for AGENT_QUIET_MS */
void agent_build_publish(struct xenpv_agent *agent);
void agent_done_publish(struct xenpv_agent *agent);

/* All that was published is to be written again; or removed. */
void agent_republish(struct xenpv_agent *agent);
void agent_unpublish(struct xenpv_agent *agent);

/* Moves pages, if any are to be moved now. */
void agent_move_pages(struct xenpv_agent *agent);

#endif
