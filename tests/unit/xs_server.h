/* SPDX-License-Identifier: MIT */
/*
 * One side of a store's ring page, played by hand: takes requests off it, and puts answers there,
 * or whatever a test wants instead. What it is asked without a test's word it grants, and it keeps
 * the list of watches and the number of open transactions.
 */
#ifndef XS_SERVER_H
#define XS_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xenpv/xs.h>

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

#define XS_SERVER_WATCHES 64u

struct xs_server {
    struct xenpv_xs_page page;
    struct xenpv_xs *xs;
    const struct xenpv_store_ops *store;
    void *memory;
    uint64_t now;

    bool stopped;      /* reads and writes nothing */
    bool one_at_once;  /* a byte at a time */
    bool keeps;        /* RESET_WATCHES is answered ENOSYS */
    uint32_t notified; /* how often the client has called */
    uint32_t in_have, out_at, out_have;
    char in[16 + 4096], out[1u << 16];

    struct xenpv_xs_header request; /* the last one, and its payload with a NUL behind it */
    char payload[4097];
    uint32_t requests, resets;
    /* Answers in place of the server where it is true. */
    bool (*answer)(struct xs_server *server);
    void *of_test;

    struct {
        char path[XENPV_STORE_PATH_MAX], token[16];
    } watches[XS_SERVER_WATCHES];
    uint32_t watch_count, tx_open, last_tx;
};

/* A page whose indices begin at `first`, and a client with 8 watches and 1,000 ms. */
void xs_server_start(struct xs_server *server, uint32_t first, uint32_t features);
/* The same but for the page: a client anew. */
void xs_server_client(struct xs_server *server);
void xs_server_stop(struct xs_server *server);

/* Takes and answers what is there; moves what waits into the ring. True: something moved. */
bool xs_server_serve(struct xs_server *server);
/* Client and server do all there is to do. */
void xs_server_settle(struct xs_server *server);
/* What an unobedient server says: queued, for xs_server_serve to move. */
void xs_server_say(struct xs_server *server, uint32_t type, uint32_t id, const void *payload,
                   uint32_t length);
void xs_server_bytes(struct xs_server *server, const void *bytes, uint32_t length);
void xs_server_event(struct xs_server *server, const char *path, const char *token);
void xs_server_error(struct xs_server *server, const char *name);
/* The page as after a reconnect; watches and transactions go. */
void xs_server_empty(struct xs_server *server);

/* Runs a batch, and says what check said in the end. */
int xs_server_run(struct xs_server *server, struct xenpv_store_batch *batch);
/* One operation, which is to end: its status. */
int xs_server_op(struct xs_server *server, struct xenpv_store_op *op);
int xs_server_read(struct xs_server *server, const char *path);

#endif
