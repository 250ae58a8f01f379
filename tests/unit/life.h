/* SPDX-License-Identifier: MIT */
/*
 * A device at work: several queues, each with a workload (workload.h) on its part of the disk, while
 * a test does to the connection what it likes. Whatever that is, each operation ends once, and the
 * disk holds what it may hold.
 */
#ifndef LIFE_H
#define LIFE_H

#include "faulty_port.h"
#include "workload.h"

#define LIFE_QUEUES 3u
#define LIFE_PART   16384u

struct life {
    /* The test's to set before life_up. */
    struct rig_options options; /* bytes, queues are filled in */
    uint32_t seed;
    bool shared, aligned, large;
    uint32_t kinds; /* of operations; 0: all */

    /* Called before each call of the device's, and before each turn of its bus; or NULL. */
    void (*moment)(struct life *life);
    void *ctx;
    uint64_t moments;

    struct rig rig;
    struct faulty_port front; /* around the frontend's port */
    struct workload work[LIFE_QUEUES];
    uint32_t queues, random;
};

void life_up(struct life *life);

/* One turn: queues some operations, takes what has ended, lets both ends step, and time pass. */
void life_turn(struct life *life);
void life_turns(struct life *life, uint32_t count);

/* Turns without new operations until the device is in the state, or over; false: not within `ms`. */
bool life_until(struct life *life, enum xenpv_blk_state state, uint64_t ms);
/* The same until no operation is pending. */
bool life_drained(struct life *life, uint64_t ms);

/* What is pending ends; the disk is checked; it is closed, unless it is over, and all is freed. */
void life_down(struct life *life);

#endif
