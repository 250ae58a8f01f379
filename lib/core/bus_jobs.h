/* SPDX-License-Identifier: MIT */
/* What the bus asks of the store: each job is one batch, and what follows from its answer. */
#ifndef XENPV_BUS_JOBS_H
#define XENPV_BUS_JOBS_H

#include <xenpv/bus.h>

enum bus_job {
    JOB_NONE,
    JOB_FIND,    /* read the own directory: who is the peer? */
    JOB_LOOK,    /* read the peer's state */
    JOB_OFFER,   /* read the peer's keys, then publish */
    JOB_PUBLISH, /* write our keys and state */
    JOB_ANSWER,  /* read the peer's keys, then connect */
    JOB_CONNECT, /* write what else there is and state 4 */
    JOB_REREAD,  /* read the peer's keys again while connected */
    JOB_STATE,   /* write our state alone */
    JOB_CLEAN,   /* remove our keys */
};

/*
 * A watch may be lost (a store that restarts, an event queue that overflowed): while a peer is
 * awaited its state is looked at this often in any case. A connected device relies on its watch,
 * unless a look failed.
 */
#define BUS_LOOK_MS 500u

/* The time that is `ms` from now, where 0 means never. */
static inline uint64_t bus_from_now(const struct xenpv_bus *bus, uint32_t ms)
{
    return ms ? bus->now + ms : UINT64_MAX;
}

/* Builds the job's batch; one that is pending is cancelled. */
void bus_set_job(struct xenpv_bus *bus, enum bus_job job);

/* Sets JOB_STATE: 1, 5 or 6, and the phase that goes with it. */
void bus_write_state(struct xenpv_bus *bus, enum xenpv_bus_state state);

/* Starts the job or asks for its end. True when it has ended and what follows was done. */
bool bus_do_job(struct xenpv_bus *bus);

/* After JOB_LOOK: acts on the peer's state; in bus.c. */
bool bus_look_done(struct xenpv_bus *bus);

/* A watch has fired; false also where there is none. */
bool bus_fired(struct xenpv_bus *bus);
void bus_unwatch(struct xenpv_bus *bus);

/* Writes DIR/NAME into a detail, cut at its front. */
void bus_describe_key(struct xenpv_detail *detail, const char *dir, const char *name);

#endif
