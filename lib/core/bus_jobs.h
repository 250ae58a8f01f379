/* SPDX-License-Identifier: MIT */
/*
 * The bus from inside. bus.c is the loop and what each action does, bus_recover.c how a connection
 * that was lost is made anew, bus_jobs.c what follows from the store's answers, bus_batch.c what
 * the store is asked, bus_detail.c what is told of it, bus_watch.c the watches.
 */
#ifndef XENPV_BUS_JOBS_H
#define XENPV_BUS_JOBS_H

#include <xenpv/bus.h>

/* Each is one batch of the store, and what follows from its answer. */
enum bus_job {
    JOB_NONE,
    JOB_FIND,    /* read the own directory: who is the peer? */
    JOB_LOOK,    /* read the peer's state */
    JOB_OFFER,   /* read the peer's keys, then publish */
    JOB_PUBLISH, /* write our keys and state */
    JOB_ANSWER,  /* read the peer's keys, then connect */
    JOB_MORE,    /* read those keys that follow from them, then connect */
    JOB_CONNECT, /* write what else there is and state 4 */
    JOB_REREAD,  /* read the peer's keys again while connected */
    JOB_UPDATE,  /* write keys that have changed while connected, and state 7 if it is asked for */
    JOB_STATE,   /* write our state alone */
    JOB_OWN,     /* is our directory still there? Then state 6 */
    JOB_CLEAN,   /* remove our keys */
};

/* The first operations of JOB_FIND and JOB_LOOK. */
enum { FIND_PEER, FIND_PEER_ID, FIND_STATE, FIND_KEYS };
enum { LOOK_PEER, LOOK_ONLINE, LOOK_OWN, LOOK_NAMED, LOOK_NAMED_ID };

/*
 * A watch may be lost (a store that restarts, an event queue that overflowed): while a peer is
 * awaited its state is looked at this often in any case. A connected device relies on its watch,
 * unless a look failed.
 */
#define BUS_LOOK_MS 500u
/* How soon to ask a queue again whether it has stopped, or the port whether the peer let go. */
#define BUS_RETRY_MS 1u

/* What a peer that stood at 8 already is given to see a state 7. */
#define BUS_AGREE_MS 500u

/* The time that is `ms` from now, where 0 means never. */
static inline uint64_t bus_from_now(const struct xenpv_bus *bus, uint32_t ms)
{
    return ms ? bus->now + ms : UINT64_MAX;
}

/* The connection is being made anew: what is missing, or cannot be read, is awaited. */
static inline bool bus_patient(const struct xenpv_bus *bus)
{
    return bus->anew && bus->goal == XENPV_GOAL_CONNECT;
}

/* It has keys of its own directory that may change while it is connected. */
static inline bool bus_follows(const struct xenpv_bus *bus)
{
    return bus->config.driver->ask[XENPV_ASK_LIVE].count != 0;
}

static inline uint32_t bus_length(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    return length;
}

/* ---- bus.c ----------------------------------------------------------------------------------- */

/* After JOB_LOOK: acts on the peer's state. */
bool bus_look_done(struct xenpv_bus *bus);

/* Stops the data path; false: ask again, for which look_at is set. */
bool bus_stop(struct xenpv_bus *bus, enum xenpv_quiesce how);

/* ---- bus_recover.c --------------------------------------------------------------------------- */

/* A frontend whose connection may be made anew, unless the peer is to blame. */
bool bus_may_recover(const struct xenpv_bus *bus);

/* The connection is lost, and made anew within recover_ms; `how` is told once. */
void bus_recover(struct xenpv_bus *bus, const char *how);

/* It is there again. */
void bus_recovered(struct xenpv_bus *bus);

/* From the own directory on; nothing is shared. */
void bus_begin(struct xenpv_bus *bus);

/* The generation has moved: what is shared is void. */
void bus_suspended(struct xenpv_bus *bus);

/* Forgets what a suspend made void, then begins anew or ends. True: go on. */
bool bus_forget(struct xenpv_bus *bus, bool (*finish)(struct xenpv_bus *bus));

/* Ends grants and channel. False: the peer has not let go. */
bool bus_release(struct xenpv_bus *bus);

/* Why the wait that has timed out did not end. */
struct xenpv_detail bus_timeout_detail(const struct xenpv_bus *bus);

/* ---- bus_jobs.c ------------------------------------------------------------------------------ */

/* Lets the driver put the keys that have changed, and sets JOB_UPDATE. */
void bus_update(struct xenpv_bus *bus);

/* Starts the job or asks for its end. True when it has ended and what follows was done. */
bool bus_do_job(struct xenpv_bus *bus);

/* ---- bus_batch.c ----------------------------------------------------------------------------- */

/* The keys of the own directory that name the peer: its path (0) and its domain (1). */
const char *bus_peer_key(const struct xenpv_bus *bus, uint32_t which);

/* Builds the job's batch; one that is pending is cancelled. */
void bus_set_job(struct xenpv_bus *bus, enum bus_job job);

/* Sets JOB_STATE: 1, 5 or 6. */
void bus_write_state(struct xenpv_bus *bus, enum xenpv_bus_state state);

/* Puts the write of our state, as the last of a batch. */
void bus_add_state(struct xenpv_bus *bus, uint32_t state);

/* Puts the read of the peer's state, after a frontend's question. */
void bus_add_peer_state(struct xenpv_bus *bus);

/* ---- bus_watch.c ----------------------------------------------------------------------------- */

/* Watches the peer, and a backend itself. 0 or the port's error. */
int bus_watch(struct xenpv_bus *bus);
void bus_unwatch(struct xenpv_bus *bus);
/* A watch has fired; false also where there is none. */
bool bus_fired(struct xenpv_bus *bus);

/* ---- bus_detail.c ---------------------------------------------------------------------------- */

/* Writes DIR/NAME into a detail, cut at its front. */
void bus_describe_key(struct xenpv_detail *detail, const char *dir, const char *name);

/* What the present phase waits for, and what there is instead. */
struct xenpv_detail bus_waiting_detail(const struct xenpv_bus *bus, int error);

/* Keeps and logs a failure, unless there was one before: a line for each connection at the most. */
void bus_record(struct xenpv_bus *bus, const struct xenpv_detail *detail);

/* Whether what a peer can bring about again and again is worth a line of the log by now. */
bool bus_worth_telling(struct xenpv_bus *bus);

/* Logs "<own path>: <what>", and the key of a detail where there is one. */
void bus_tell(struct xenpv_bus *bus, enum xenpv_log_level level, const char *what,
              const struct xenpv_detail *detail);

#endif
