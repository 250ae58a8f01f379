/* SPDX-License-Identifier: MIT */
/* How large a frontend is made: what the user asks for, and what may be shared on this machine. */
#ifndef XENPV_FORM_H
#define XENPV_FORM_H

#include <xenpv/blk.h>

#include "machine.h"

/* One operation of the commands, and how many of them are under way on a disk: with the pages that
 * this takes 64 disks fit into the 32,768 grant references of a domain. */
#define PIECE_BYTES (256u * 1024)
#define PIECES      7u

/* What it depends on, beside the options. */
struct form {
    unsigned sharers; /* disks that are connected at once: each has its part of the pages */
    unsigned attempt; /* each after the first, 0, takes half as much */
    uint32_t queues;  /* that the backend offers; 0: not known */
};

void form_set(struct xenpv_blk_config *config, struct machine *machine, const struct form *form);

/* There is an attempt that takes less than this. */
bool form_can_shrink(const struct xenpv_blk_config *config);

#endif
