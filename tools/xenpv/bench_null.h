/* SPDX-License-Identifier: MIT */
/*
 * A backend on the mock that answers every request at once and looks at none: the same other end as
 * a bare ring has, behind a real handshake. What a frontend costs beyond the ring is all that is
 * left of the difference.
 */
#ifndef XENPV_BENCH_NULL_H
#define XENPV_BENCH_NULL_H

#include <xenpv/harness/mock.h>

#include "bench_blk.h"

struct bench_null;

/* A disk of `bytes` bytes as vbd `vdev` of domain `frontend`, whose directories are there already;
 * NULL: no memory. Nothing is offered before it goes round. */
struct bench_null *bench_null_make(struct xenpv_mock *mock, const struct xenpv_port *port,
                                   uint16_t frontend, uint32_t vdev, uint64_t bytes);
/* It has let go already when the frontend is CLOSED. */
void bench_null_free(struct bench_null *null);

/* Whether it looks at the frontend's state in each round: not while anything is measured. */
void bench_null_look(struct bench_null *null, bool looking);

/* Looks once; true when there was something to do. With `doorbell`, asks for events, and waits for
 * it when there was nothing. */
bool bench_null_round(struct bench_null *null, xenpv_handle doorbell);

#endif
