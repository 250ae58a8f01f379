/* SPDX-License-Identifier: MIT */
/*
 * A xenstored that only knows its script: libxenstore of this process connects to it, and each
 * request gets the answer that was set for its type. It remembers what it was asked.
 */
#ifndef XENPV_TESTS_XENSTORED_H
#define XENPV_TESTS_XENSTORED_H

#include <stdbool.h>
#include <stddef.h>

struct xenstored;

/* Until stopped, all of libxenstore's connections lead here. Fails the test when it cannot. */
struct xenstored *xenstored_start(void);
void xenstored_stop(struct xenstored *store);

/* All requests of a type (xs_wire.h) are answered with an error's name, or with these bytes. */
void xenstored_refuse(struct xenstored *store, unsigned type, const char *error_name);
void xenstored_answer(struct xenstored *store, unsigned type, const void *bytes, size_t length);

/* What READ of `domid` answers, whatever is set for READ; "" means ENOENT. 7 at first. */
void xenstored_set_domid(struct xenstored *store, const char *value);

/* How often `domid` has been read. */
unsigned xenstored_domid_reads(struct xenstored *store);

/* Fires all watches on exactly this path, and returns how many those are. */
unsigned xenstored_fire(struct xenstored *store, const char *path);

/* The same, for a change of another node: up to 4,000 bytes. */
unsigned xenstored_fire_at(struct xenstored *store, const char *path, const char *changed);

/* Breaks the connection that sends a request of this type, without an answer. */
void xenstored_hang_up_on(struct xenstored *store, unsigned type);

/* From now on new watches bring no event by themselves. */
void xenstored_keep_quiet(struct xenstored *store);

/* Breaks all connections; new ones are refused. */
void xenstored_hang_up(struct xenstored *store);

/*
 * The requests since the last call, each as "TYPE.TRANSACTION PAYLOAD;" with '|' for NUL, without
 * those for `domid`. The caller has had their answers, so they are all here.
 */
const char *xenstored_requests(struct xenstored *store);

#endif
