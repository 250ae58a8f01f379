/* SPDX-License-Identifier: MIT */
/* What the files of the store client share. */
#ifndef XENPV_CORE_XS_H
#define XENPV_CORE_XS_H

#include <xenpv/xs.h>

#define XS_HEADER ((uint32_t)sizeof(struct xenpv_xs_header))
#define XS_PATHS  4096u /* bytes of paths that changed, with their records */
/* Transactions whose end nobody waits for: xenstored lets a guest have 10. */
#define XS_ORPHANS 16u

enum xs_watch_state {
    XS_WATCH_FREE,
    XS_WATCH_NEW, /* to be set at the server */
    XS_WATCH_SET,
    XS_WATCH_REFUSED, /* as its status says */
    XS_WATCH_GOING,   /* to be taken down at the server */
};

struct xs_watch {
    const void *cookie;
    uint32_t token; /* never used twice: an event of before finds no watch */
    int32_t status;
    enum xs_watch_state state;
    bool told;        /* the server may have it */
    bool fired, lost; /* lost: paths were thrown away, or never known */
    char dir[XENPV_STORE_PATH_MAX];
};

/* What the message that is outstanding asks. */
enum xs_asked { XS_NOTHING, XS_RESET, XS_WATCH, XS_UNWATCH, XS_ORPHAN, XS_BATCH };

/* Where the first batch of the queue is. */
enum xs_phase { XS_START, XS_OPS, XS_END };

/* A list that is asked for in parts. */
struct xs_list {
    bool parts;
    uint32_t offset, restarts;
    char generation[24];
};

struct xenpv_xs {
    struct xenpv_xs_config config;
    struct xenpv_xs_page *page;
    struct xenpv_detail detail;
    enum xenpv_xs_state state;
    uint64_t now, due, reconnect_at;
    uint32_t req_prod, rsp_cons; /* ours: never read back */
    bool requested;              /* a reconnect: of the page only `connection` may be touched */
    bool touched;                /* bytes were put or taken, and the server is to know */
    bool more, news, reset;      /* reset: the server has forgotten the watches of before */

    enum xs_asked asked;
    uint32_t asked_id, asked_type, last_id, last_token;
    struct xs_watch *asked_watch;

    struct xenpv_store_batch *first, *last;
    enum xs_phase phase;
    uint32_t op, tx;
    int32_t failure; /* why the transaction is given up */
    struct xs_list list;

    uint32_t orphans;
    uint32_t orphan[XS_ORPHANS];

    struct xs_watch *watch;
    uint32_t slots;
    uint32_t paths_length;

    uint32_t out_at, out_length;
    uint32_t in_have;
    struct xenpv_xs_header in; /* of the message that is being received */
    char out_bytes[XS_HEADER + XENPV_XS_PAYLOAD];
    char in_bytes[XS_HEADER + XENPV_XS_PAYLOAD];
    char paths[XS_PATHS];
};

/* ---- xs_ring.c: bytes; a violation breaks the connection ---- */

/* The indices of a ring that is joined: true if both directions are empty. */
bool xs_ring_join(struct xenpv_xs *xs);
/* True when the server has set our indices: it began anew. */
bool xs_ring_was_reset(const struct xenpv_xs *xs);
/* Put or take up to `count` bytes: how many it were. */
uint32_t xs_ring_put(struct xenpv_xs *xs, const char *bytes, uint32_t count);
uint32_t xs_ring_take(struct xenpv_xs *xs, char *bytes, uint32_t count);

/* ---- xs_wire.c: messages ---- */

/* Begins a message, of which nothing else is on its way. */
void xs_begin(struct xenpv_xs *xs, uint32_t type, uint32_t tx);
void xs_add(struct xenpv_xs *xs, const void *bytes, uint32_t length);
void xs_add_text(struct xenpv_xs *xs, const char *text); /* with its NUL */
void xs_add_number(struct xenpv_xs *xs, uint32_t number);
/* It is complete; its answer is for `asked`. */
void xs_send(struct xenpv_xs *xs, enum xs_asked asked);
/* What the name of an error means. */
int xs_error(const char *text, uint32_t length);
/* The payload of the message received. */
const char *xs_payload(const struct xenpv_xs *xs);
/* A decimal number with its NUL, above 0. */
bool xs_number(const char *text, uint32_t length, uint32_t *number);
uint32_t xs_length(const char *text);

/* ---- xs.c: the connection ---- */

void xs_pump(struct xenpv_xs *xs);
/* The server broke the protocol: where in the ring, and with what. */
void xs_violated(struct xenpv_xs *xs, uint32_t check, uint32_t index, uint32_t value);
/* The server has set the indices of the page: all that it knew of us is gone. */
void xs_begun_anew(struct xenpv_xs *xs);
bool xs_offers(const struct xenpv_xs *xs, uint32_t feature);

/* ---- xs_exchange.c: messages back and forth ---- */

/* One each way, or as much of it as there is room for. False: nothing moves. */
bool xs_exchange(struct xenpv_xs *xs);
/* A transaction that is to be ended, when there is time. */
void xs_orphan(struct xenpv_xs *xs, uint32_t tx);

/* ---- xs_batch.c: batches and requests ---- */

/* Begins the next message of the queue: false if there is none. */
bool xs_batch_next(struct xenpv_xs *xs);
/* The answer has come; `err` is the server's error. */
void xs_batch_answer(struct xenpv_xs *xs, int err);
/* All end with this error. */
void xs_batch_fail(struct xenpv_xs *xs, int err);
/* 0 or XENPV_PENDING. */
int xs_batch_queue(struct xenpv_xs *xs, struct xenpv_store_batch *batch);
int xs_batch_start(void *ctx, struct xenpv_store_batch *batch);
int xs_batch_check(void *ctx, struct xenpv_store_batch *batch);
void xs_batch_cancel(void *ctx, struct xenpv_store_batch *batch);
/* Its first and only message, and the answer to it: see xs_request.c. */
bool xs_batch_is_request(const struct xenpv_store_batch *batch);
void xs_request_begin(struct xenpv_xs *xs, struct xenpv_store_batch *batch);
void xs_request_answer(struct xenpv_xs *xs, struct xenpv_store_batch *batch, int err);
void xs_request_end(struct xenpv_store_batch *batch, int err);

/* ---- xs_op.c: one operation ---- */

/* True when op->value is what is sent. */
bool xs_op_sends(const struct xenpv_store_op *op);
void xs_op_begin(struct xenpv_xs *xs, const struct xenpv_store_op *op, uint32_t tx);
/* What the answer says: an error or 0; XENPV_PENDING: there is more to ask. */
int xs_op_answer(struct xenpv_xs *xs, struct xenpv_store_op *op, int err);
/* Hands bytes out behind `at`, cut to the buffer: 0 or XENPV_E2BIG. */
int xs_op_hand_out(struct xenpv_store_op *op, uint32_t at, const char *bytes, uint32_t length);
int xs_list_answer(struct xenpv_xs *xs, struct xenpv_store_op *op, int err);

/* ---- xs_watch.c, xs_paths.c ---- */

bool xs_watch_next(struct xenpv_xs *xs);
void xs_watch_answer(struct xenpv_xs *xs, int err);
void xs_watch_event(struct xenpv_xs *xs);
/* The server has forgotten them all, and events may be lost: to be set again, and poked. */
void xs_watch_renew(struct xenpv_xs *xs);
struct xs_watch *xs_watch_by_token(struct xenpv_xs *xs, uint32_t token);
int xs_watch_watch(void *ctx, const char *dir, const void *cookie);
void xs_watch_unwatch(void *ctx, const char *dir, const void *cookie);
bool xs_watch_fired(void *ctx, const void *cookie);
int xs_watch_changed(void *ctx, const void *cookie, char *path, uint32_t capacity);

/* `length` counts the NUL. */
void xs_paths_add(struct xenpv_xs *xs, struct xs_watch *watch, const char *path, uint32_t length);
int xs_paths_take(struct xenpv_xs *xs, struct xs_watch *watch, char *path, uint32_t capacity);
void xs_paths_forget(struct xenpv_xs *xs, const struct xs_watch *watch);

#endif
