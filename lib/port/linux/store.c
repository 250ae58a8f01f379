/* SPDX-License-Identifier: MIT */
/* Store batches. libxenstore only knows blocking calls, so every batch ends inside ->start. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/store.h>

#include "linux.h"

static const struct {
    int error_number;
    int error;
} errors[] = {
    {EINVAL, XENPV_EINVAL},    {ENOMEM, XENPV_ENOMEM}, {ENOENT, XENPV_ENOENT},
    {EACCES, XENPV_EACCES},    {EPERM, XENPV_EACCES},  {EROFS, XENPV_EACCES},
    {EEXIST, XENPV_EEXIST},    {EAGAIN, XENPV_EAGAIN}, {ENOSPC, XENPV_ENOSPC},
    {E2BIG, XENPV_E2BIG},      {EBUSY, XENPV_EBUSY},   {ENOSYS, XENPV_ENOTSUP},
    {EMFILE, XENPV_ENOMEM},    {ENFILE, XENPV_ENOMEM}, {EISDIR, XENPV_EINVAL},
    {ENOTEMPTY, XENPV_EINVAL}, {EISCONN, XENPV_EBUSY}, {EIO, XENPV_EIO},
};

/* Any other number is what libxenstore has when its connection is gone. */
int xenpv_linux_store_error(struct xs_handle *store, int error_number)
{
    /*
     * EINVAL is xenstored's answer to a malformed path, EIO to what it failed at, and both may be
     * libxenstore's own when the connection broke under a request. It has closed its descriptor
     * then, and any further request fails.
     */
    if (error_number == EINVAL || error_number == EIO) {
        char *path = xs_get_domain_path(store, 0);

        if (!path)
            return XENPV_ESTORE;
        free(path);
    }
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].error_number == error_number)
            return errors[i].error;
    return XENPV_ESTORE;
}

int xenpv_linux_hand_out(struct xenpv_store_op *op, uint32_t at, const void *bytes, uint32_t length)
{
    uint32_t room = at < op->capacity ? op->capacity - at : 0;

    if (room > length)
        room = length;
    if (room)
        memcpy((char *)op->value + at, bytes, room);
    op->length = at + length;
    return op->length > op->capacity ? XENPV_E2BIG : 0;
}

static bool asks(const struct xenpv_store_op *op)
{
    switch (op->type) {
    case XENPV_STORE_WRITE:
    case XENPV_STORE_MKDIR:
    case XENPV_STORE_RM:
    case XENPV_STORE_SET_PERMS:
        return false;
    default:
        return true;
    }
}

static unsigned domain_of(const struct xenpv_store_op *op)
{
    return (unsigned)strtoul(op->dir, NULL, 10);
}

static int read_value(struct xs_handle *store, xs_transaction_t transaction, const char *path,
                      struct xenpv_store_op *op)
{
    unsigned length;
    void *value = xs_read(store, transaction, path, &length);
    int rc;

    if (!value)
        return xenpv_linux_store_error(store, errno);
    rc = xenpv_linux_hand_out(op, 0, value, length);
    free(value);
    return rc;
}

static int list_names(struct xs_handle *store, xs_transaction_t transaction, const char *path,
                      struct xenpv_store_op *op)
{
    unsigned count;
    char **names = xs_directory(store, transaction, path, &count);
    uint32_t at = 0;
    int rc = 0;

    if (!names)
        return xenpv_linux_store_error(store, errno);
    for (unsigned i = 0; i < count; i++) {
        rc = xenpv_linux_hand_out(op, at, names[i], (uint32_t)strlen(names[i]) + 1);
        at = op->length;
    }
    free(names);
    return rc;
}

static int domain_path(struct xs_handle *store, unsigned domid, struct xenpv_store_op *op)
{
    char *path = xs_get_domain_path(store, domid);
    int rc;

    if (!path)
        return xenpv_linux_store_error(store, errno);
    rc = xenpv_linux_hand_out(op, 0, path, (uint32_t)strlen(path));
    free(path);
    return rc;
}

/* False is also what libxenstore says when it has no answer; errno tells. */
static int introduced(struct xs_handle *store, unsigned domid, struct xenpv_store_op *op)
{
    bool known;

    errno = 0;
    known = xs_is_domain_introduced(store, domid);
    if (!known && errno)
        return xenpv_linux_store_error(store, errno);
    return xenpv_linux_hand_out(op, 0, known ? "T" : "F", 1);
}

static int run_op(struct xs_handle *store, xs_transaction_t transaction, struct xenpv_store_op *op)
{
    char path[XENPV_STORE_ABSOLUTE_MAX + 1];
    int rc = xenpv_store_check(op);
    bool done;

    if (asks(op))
        op->length = 0;
    if (rc)
        return rc;
    snprintf(path, sizeof(path), op->name ? "%s/%s" : "%s", op->dir, op->name);
    switch (op->type) {
    case XENPV_STORE_READ:
        return read_value(store, transaction, path, op);
    case XENPV_STORE_LIST:
        return list_names(store, transaction, path, op);
    case XENPV_STORE_GET_PERMS:
        return xenpv_linux_get_perms(store, transaction, path, op);
    case XENPV_STORE_SET_PERMS:
        return xenpv_linux_set_perms(store, transaction, path, op);
    case XENPV_STORE_DOMAIN_PATH:
        return transaction ? XENPV_EINVAL : domain_path(store, domain_of(op), op);
    case XENPV_STORE_INTRODUCED:
        return transaction ? XENPV_EINVAL : introduced(store, domain_of(op), op);
    case XENPV_STORE_WRITE:
        done = xs_write(store, transaction, path, op->value, op->length);
        break;
    case XENPV_STORE_MKDIR:
        done = xs_mkdir(store, transaction, path);
        break;
    default:
        done = xs_rm(store, transaction, path);
        break;
    }
    return done ? 0 : xenpv_linux_store_error(store, errno);
}

static int run_alone(struct xs_handle *store, struct xenpv_store_batch *batch)
{
    int status = 0;

    for (uint32_t i = 0; i < batch->count; i++) {
        batch->ops[i].status = run_op(store, XBT_NULL, &batch->ops[i]);
        if (batch->ops[i].status == XENPV_ESTORE)
            status = XENPV_ESTORE;
    }
    return status;
}

/* In a transaction a failed question is an answer, unless it is the connection that failed. */
static bool gives_up(const struct xenpv_store_batch *batch, const struct xenpv_store_op *op)
{
    return op->status && (!asks(op) || batch->strict || op->status == XENPV_ESTORE);
}

static int run_transaction(struct xs_handle *store, struct xenpv_store_batch *batch)
{
    xs_transaction_t transaction = xs_transaction_start(store);
    int status = transaction == XBT_NULL ? xenpv_linux_store_error(store, errno) : 0;

    for (uint32_t i = 0; i < batch->count; i++) {
        struct xenpv_store_op *op = &batch->ops[i];

        op->status = status ? status : run_op(store, transaction, op);
        if (!status && gives_up(batch, op))
            status = op->status;
    }
    if (transaction == XBT_NULL)
        return status;
    if (!xs_transaction_end(store, transaction, status != 0) && !status)
        status = xenpv_linux_store_error(store, errno);
    return status;
}

static int start(void *ctx, struct xenpv_store_batch *batch)
{
    struct xenpv_linux *self = ctx;

    batch->status =
        batch->transaction ? run_transaction(self->store, batch) : run_alone(self->store, batch);
    return 0;
}

static int check(void *ctx, struct xenpv_store_batch *batch)
{
    (void)ctx;
    (void)batch;
    return 0;
}

static void cancel(void *ctx, struct xenpv_store_batch *batch)
{
    (void)ctx;
    (void)batch;
}

const struct xenpv_store_ops xenpv_linux_store_ops = {
    .start = start,
    .check = check,
    .cancel = cancel,
    .watch = xenpv_linux_watch,
    .unwatch = xenpv_linux_unwatch,
    .fired = xenpv_linux_fired,
    .changed = xenpv_linux_changed,
    .wait_handle = xenpv_linux_wait_handle,
};
