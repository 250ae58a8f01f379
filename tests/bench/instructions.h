/* SPDX-License-Identifier: MIT */
/* A mock, and devices on it that are driven in batches, all in one thread: what instructions.c has
 * in common for disks and network cards. */
#ifndef XENPV_BENCH_INSTRUCTIONS_H
#define XENPV_BENCH_INSTRUCTIONS_H

#include <xenpv/harness/allocator.h>
#include <xenpv/harness/mock.h>

#define GUEST       1u
#define DRIVER      0u
#define BATCH       32u
#define DEVICES_MAX 64u
#define STEPS_MAX   10000u

extern struct xenpv_mock *mock;
extern struct xenpv_port front_port, back_port;
extern const struct xenpv_allocator allocator;
extern uint64_t now;

/* Ends the program, and says why, unless it is good. */
void must(bool good, const char *what);

struct kind {
    const char *name;
    void (*connect)(uint32_t number);
    void (*run)(uint32_t number); /* one batch */
    void (*disconnect)(uint32_t number);
};
extern const struct kind kind_blk, kind_tx, kind_rx;

#endif
