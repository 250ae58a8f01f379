/* SPDX-License-Identifier: MIT */
/* An open store port of Linux on a scripted xenstored, new for each test. */
#ifndef XENPV_TESTS_PORT_RIG_H
#define XENPV_TESTS_PORT_RIG_H

#include <xenpv/linux.h>

#include "xenstored.h"

extern struct xenstored *server;
extern struct xenpv_port port;

/* Opens the port, and lets it digest what registering its own watch brings. */
int set_up(void **state);
int tear_down(void **state);

/* Calls ->generation until the port has read `domid` again, and answers the generation then. */
uint32_t generation_after_read(unsigned reads);

/* Runs it, and answers the batch's status. */
int run_batch(struct xenpv_store_op *ops, uint32_t count, bool transaction);

#endif
