/* SPDX-License-Identifier: MIT */
/*
 * One command's three streams over a link, for either side: a source is a local descriptor whose
 * bytes go to the peer, a sink one that the peer's bytes go to. Everything runs in one thread and
 * nothing blocks, whatever the local readers and writers do.
 */
#ifndef XENLAB_PUMP_H
#define XENLAB_PUMP_H

#include "link.h"
#include "wire.h"

struct source {
    int fd; /* -1: none, or over */
    uint32_t credit;
    bool last_call; /* the writer is gone: empty means over */
};

struct sink {
    int fd; /* -1: none, or over; bytes for it are dropped */
    struct bytes queue;
    bool ended;
    uint32_t owed; /* credit to give back */
};

struct pump {
    struct link *link;
    struct bytes in, out;
    struct source source[STREAMS];
    struct sink sink[STREAMS];
    /* A frame that is not about a stream. */
    void (*on_frame)(struct pump *p, const struct frame *frame);
};

/* Forget the streams of the command before, and own these of the next; -1 for none. */
void pump_source(struct pump *p, unsigned stream, int fd);
void pump_sink(struct pump *p, unsigned stream, int fd);
void pump_reset(struct pump *p);

/* True while bytes of the peer wait to be written locally. */
bool pump_draining(const struct pump *p);

/* Move what can be moved now. After anything was queued or changed by the caller. False: link gone.
 */
bool pump_move(struct pump *p);

/* Sleep until there is more to do, wake_fd is readable, or the time-out in milliseconds (-1: none)
 * is over, and do it. False when the link is gone or the peer breaks the protocol. */
bool pump_turn(struct pump *p, int wake_fd, int timeout);

#endif
