/* SPDX-License-Identifier: MIT */
/* The transports: what their `ctx` is stands in each file. */
#ifndef STORE_LINKS_H
#define STORE_LINKS_H

#include "links_client.h"

/* A file descriptor of xenstored's socket, or of a device; -1. */
int open_store(const char *path);
extern const struct transport fd_transport;

/*
 * The other end is this program in a guest, where it opens /dev/xen/xenbus as often as it is asked:
 * `ctx` is a struct guest.
 */
struct guest {
    int to, from; /* pipes of the command that runs it */
    struct link *links[PARTIES];
};
extern const struct transport guest_transport;
/* Runs `command` with /bin/sh; false: it cannot. */
bool start_guest(struct guest *guest, const char *command);
/* That end: serves its standard input until it ends. */
int serve_guest(const char *device);

/* A ring page whose bytes are carried to and from the socket at `path`. */
struct pump {
    const char *path;
    int fd;
    bool event; /* the client has one pending */
    struct xenpv_xs_page page;
};
struct ring pumped(struct pump *pump);

#endif
