/* SPDX-License-Identifier: MIT */
/*
 * What stands between a queue's thread and its device's control thread: control asks the queue to
 * stop, the queue acknowledges, and only then is anything taken from it that it shared with the
 * backend. A violation of the protocol that the queue met goes the same way. docs/design.md,
 * section 8, has who writes which word, and when.
 */
#ifndef XENPV_GATE_H
#define XENPV_GATE_H

#include <xenpv/bus.h>

/* What control asks of a queue, from weak to strong. */
enum gate_stop { GATE_RUN, GATE_HOLD, GATE_DRAIN, GATE_HALT };

/* What the queue has answered; but for OPEN it touches nothing that is shared with the backend. */
enum gate_state { GATE_OPEN, GATE_HELD, GATE_PARKED };

/* A violation, recorded by the queue and read by control once `broken` is set. */
struct gate_violation {
    uint32_t check, index;
    uint64_t value;
};

struct gate {
    uint32_t stop;   /* enum gate_stop: control asks */
    uint32_t parked; /* enum gate_state: the queue has acknowledged; control opens */
    uint32_t broken; /* the queue has met a violation */
    int32_t reason;  /* with GATE_HALT: what operations end with */
    struct gate_violation violation; /* while `broken` */
};

static inline bool gate_is(const struct gate *gate, enum gate_state state)
{
    return xenpv_load_acquire(&gate->parked) == (uint32_t)state;
}

/* Control: asks the queue to stop, more strongly than before. True once it has acknowledged. */
static inline bool gate_close(struct gate *gate, enum gate_stop how, int reason)
{
    /* What is held has nobody to finish it. */
    if (how == GATE_DRAIN && gate_is(gate, GATE_HELD))
        how = GATE_HALT;
    if (xenpv_load(&gate->stop) < (uint32_t)how) {
        if (how == GATE_HALT)
            gate->reason = reason;
        xenpv_store_release(&gate->stop, (uint32_t)how);
    }
    return !gate_is(gate, GATE_OPEN);
}

/* Control: hands the queue to its thread. */
static inline void gate_open(struct gate *gate)
{
    xenpv_store(&gate->broken, 0);
    xenpv_store(&gate->stop, GATE_RUN);
    xenpv_store_release(&gate->parked, GATE_OPEN);
}

/* Control: it is parked, or held for a new connection: nobody is still to be told of the end of the
 * last. */
static inline bool gate_is_free(const struct gate *gate)
{
    return gate_is(gate, GATE_PARKED) || xenpv_load(&gate->stop) == GATE_HOLD;
}

/* The queue: it touches nothing shared any more. */
static inline void gate_acknowledge(struct gate *gate, enum gate_state state)
{
    xenpv_store_release(&gate->parked, (uint32_t)state);
}

/* The queue: the backend broke the protocol. */
static inline void gate_violated(struct gate *gate, uint32_t check, uint32_t index, uint64_t value)
{
    gate->violation = (struct gate_violation){check, index, value};
    xenpv_store_release(&gate->broken, 1);
}

/* Control, at each step: a queue that met a violation has stopped by itself; its device fails. */
void gate_report(struct gate *gate, uint32_t queue, struct xenpv_bus *bus);

#endif
