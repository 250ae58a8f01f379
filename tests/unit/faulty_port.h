/* SPDX-License-Identifier: MIT */
/*
 * A port around a port: passes every call on, and fails those it is told to, as xenpv/port.h
 * allows them to fail. It has wait handles (that are never signalled) as soon as the test sets
 * XENPV_CAP_WAIT.
 */
#ifndef FAULTY_PORT_H
#define FAULTY_PORT_H

#include <xenpv/port.h>

struct faulty_port {
    struct xenpv_port inner;
    const struct xenpv_port *outer;

    /* Of the calls that can fail: how many there were, and which fails. */
    uint64_t calls, fail_at; /* counted from 1; 0: none */
    bool for_good;           /* all from that one on */
    int error;               /* what it answers; ->end always XENPV_EBUSY */
    const char *failed;      /* the last one that did, by its name in the port */

    uint32_t silent; /* so many store batches to come are never answered; UINT32_MAX: all */
    bool
        batches_act; /* a batch that fails, or is cancelled unanswered, takes effect all the same */
    const struct xenpv_store_batch *unanswered;

    /* Called before each call, with its name in the port; or NULL. */
    void (*before)(void *ctx, const char *call);
    void *before_ctx;

    uint32_t lines; /* that were logged */
    char line[256]; /* the last one */
};

/* Puts `faulty` around `port`; all of it is zero but `inner` and `outer`. */
void faulty_wrap(struct faulty_port *faulty, struct xenpv_port *port);

#endif
