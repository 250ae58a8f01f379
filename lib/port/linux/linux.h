/* SPDX-License-Identifier: MIT */
/* Private to the Linux port: what one open port consists of, and which file does what with it. */
#ifndef XENPV_PORT_LINUX_H
#define XENPV_PORT_LINUX_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
#include <xentoollog.h>

#include <xenpv/linux.h>

struct xenpv_linux_watch;
struct xenpv_linux_channel;

/* A path that a watch was poked for, until ->changed takes it. */
struct xenpv_linux_change {
    uint64_t token; /* of the watch */
    char *path;
};
#define XENPV_LINUX_CHANGES 64u

struct xenpv_linux {
    struct xs_handle *store; /* libxenstore takes one request at a time, from any thread */

    /* watch.c */
    pthread_mutex_t watch_lock;
    struct xenpv_linux_watch *watches;
    uint64_t next_token;
    struct xenpv_linux_change changes[XENPV_LINUX_CHANGES]; /* the oldest first */
    uint32_t change_count;
    int wait, kick; /* the wait handle, of libxenstore's descriptor and this one */
    bool kicked;

    /* suspend.c */
    struct xs_handle *suspend_store;
    pthread_mutex_t suspend_lock;
    uint32_t domid;
    atomic_bool unsure;
    atomic_uint generation;

    /* grant.c, map.c; NULL where the port was opened without */
    xengntshr_handle *share;
    xengnttab_handle *map;

    /* event.c: by port number; each entry is only touched by the threads that use that port */
    _Atomic(struct xenpv_linux_channel *) *channels;

    /* log.c */
    xentoollog_logger library_log;
    xenpv_linux_log *log;
    void *log_ctx;
};

/* store.c */
extern const struct xenpv_store_ops xenpv_linux_store_ops;
int xenpv_linux_store_error(struct xs_handle *store, int error_number);

/* perms.c: a node's permissions as xs_wire.h has them, and as libxenstore has them */
int xenpv_linux_get_perms(struct xs_handle *store, xs_transaction_t transaction, const char *path,
                          struct xenpv_store_op *op);
int xenpv_linux_set_perms(struct xs_handle *store, xs_transaction_t transaction, const char *path,
                          const struct xenpv_store_op *op);
/* Hands bytes of a value out from `at` on, cut to the buffer; the length so far is the true one. */
int xenpv_linux_hand_out(struct xenpv_store_op *op, uint32_t at, const void *bytes,
                         uint32_t length);

/* watch.c */
int xenpv_linux_watch(void *ctx, const char *dir, const void *cookie);
void xenpv_linux_unwatch(void *ctx, const char *dir, const void *cookie);
bool xenpv_linux_fired(void *ctx, const void *cookie);
int xenpv_linux_changed(void *ctx, const void *cookie, char *path, uint32_t capacity);
xenpv_handle xenpv_linux_wait_handle(void *ctx);
int xenpv_linux_watches_open(struct xenpv_linux *self); /* -1, with errno */
void xenpv_linux_watches_free(struct xenpv_linux *self);

/* suspend.c */
int xenpv_linux_suspend_open(struct xenpv_linux *self);
void xenpv_linux_suspend_close(struct xenpv_linux *self);
uint32_t xenpv_linux_generation(void *ctx);     /* what the watch has told so far: cheap */
uint32_t xenpv_linux_generation_now(void *ctx); /* asks the store */

/* grant.c, map.c, event.c */
extern const struct xenpv_grant_ops xenpv_linux_grant_ops;
extern const struct xenpv_map_ops xenpv_linux_map_ops;
extern const struct xenpv_event_ops xenpv_linux_event_ops;
uint32_t xenpv_linux_map_caps(struct xenpv_linux *self);
int xenpv_linux_event_open(struct xenpv_linux *self);
void xenpv_linux_event_close_all(struct xenpv_linux *self);

/* log.c */
void xenpv_linux_log_init(struct xenpv_linux *self);
void xenpv_linux_log_line(void *ctx, enum xenpv_log_level level, const char *line);
void xenpv_linux_logf(struct xenpv_linux *self, enum xenpv_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* environment.c: why a part of the port could not be opened; returns the error it stands for */
int xenpv_linux_store_answers(struct xenpv_linux_error *error);
int xenpv_linux_no_store(int error_number, struct xenpv_linux_error *error);
int xenpv_linux_no_device(const char *node, const char *module, int error_number,
                          struct xenpv_linux_error *error);
int xenpv_linux_explain(struct xenpv_linux_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
