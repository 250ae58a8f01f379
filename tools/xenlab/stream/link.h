/* SPDX-License-Identifier: MIT */
/*
 * One end of a two-way byte stream that is never blocked on. It is named by a string:
 *
 *     unix:PATH      a socket that QEMU listens on
 *     dev:PATH       a virtio-serial port
 *     vchan:DOMID    dom0: the agent in that guest
 *     vchan-server:DOMID
 *                    domU, as long as that is its number: wait for dom0
 */
#ifndef XENLAB_LINK_H
#define XENLAB_LINK_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct link;

/* Open a link, waiting for the other end to exist until the deadline (now_ms() clock). Returns NULL
 * when it does not by then; dies on any other failure. */
struct link *link_open(const char *name, int64_t deadline);
/* Others may be opened by the same name, one after the other. */
bool link_is_server(const char *name);
void link_close(struct link *l);

/* Bytes moved, 0 when none can be now, -1 when the other end is gone. */
ssize_t link_read(struct link *l, void *data, size_t size);
ssize_t link_write(struct link *l, const void *data, size_t size);

/* What to poll for, and what came of it. A link is read, and written if there is something to
 * write, until it says 0 before it is polled: a vchan only then asks to be told of a change. */
struct pollfd link_poll(const struct link *l, bool to_write);
void link_polled(struct link *l, short revents);

#endif
