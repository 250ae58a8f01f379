/* SPDX-License-Identifier: MIT */
/* Batches of store operations, waited for. */
#ifndef XENPV_TOOL_STORE_H
#define XENPV_TOOL_STORE_H

#include "machine.h"

/*
 * Runs operations; every one's status tells how it fared. 0, or why nothing can be said of any; a
 * transaction that meets conflicts is run again, 50 times at the most and for as long as --timeout
 * says; then it is XENPV_EAGAIN. What operations have written to `length` and `status` is void then.
 */
int store_run(struct machine *machine, struct xenpv_store_op *ops, uint32_t count,
              bool transaction);

/* The same of a transaction that a failing question gives up, too: struct xenpv_store_batch. */
int store_run_strict(struct machine *machine, struct xenpv_store_op *ops, uint32_t count);

/*
 * The value of a node, or its children's names, each with its NUL: `*value` is to be freed, and has
 * a NUL behind its `*length` bytes. An error of the store, or XENPV_ENOMEM.
 */
int store_get(struct machine *machine, enum xenpv_store_type type, const char *path, char **value,
              uint32_t *length);

/*
 * Who only waits for watches: libxenstore wakes nobody when its connection is gone. So wait until
 * `store_pulse` at the most, and ask the store something then, or whether it is lost.
 */
uint64_t store_pulse(struct machine *machine, uint64_t deadline);
bool store_is_lost(struct machine *machine);

#endif
