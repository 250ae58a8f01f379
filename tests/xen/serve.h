/* SPDX-License-Identifier: MIT */
/* What the programs that serve one backend on a real Xen share. */
#ifndef XENPV_TESTS_SERVE_H
#define XENPV_TESTS_SERVE_H

#include <poll.h>

#include <xenpv/bus.h>
#include <xenpv/harness/allocator.h>
#include <xenpv/linux.h>

extern const struct xenpv_allocator serve_allocator;

/* Ends the program, with a line under its name; the second only if it is an error. */
_Noreturn void serve_die(const char *what, const char *why);
void serve_must(int rc, const char *what);

/* Opens Xen for the port; from here on SIGTERM does not end the program. */
struct xenpv_linux *serve_open(struct xenpv_port *port);
/* SIGTERM came since it was last asked. */
bool serve_told_to_stop(void);
/* Until one of them is ready, or the deadline is there; a minute at the most. */
void serve_wait(struct pollfd *fds, uint32_t count, uint64_t deadline);
/* One line for whatever is new. */
void serve_tell(enum xenpv_bus_phase phase, uint32_t queues, const struct xenpv_detail *detail);

#endif
