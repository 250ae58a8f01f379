/* SPDX-License-Identifier: MIT */
/* The port's store batches: one by one or as a transaction, at once or when the clock says so. */
#include "mock.h"

static bool modifies(const struct xenpv_store_op *op)
{
    return op->type != XENPV_STORE_READ && op->type != XENPV_STORE_LIST;
}

/* A request that does not fit one message of xs_wire.h. */
static bool too_big(const struct xenpv_store_op *op)
{
    uint64_t bytes = strlen(op->dir) + 1;

    if (op->name != NULL)
        bytes += strlen(op->name) + 1;
    if (op->type == XENPV_STORE_WRITE)
        bytes += op->length;
    return bytes > XENPV_STORE_VALUE_MAX;
}

static int run_op(struct domain *domain, struct xenpv_store_op *op)
{
    const char *path = domain->mock->path;
    int err = too_big(op) ? XENPV_E2BIG : mock_path(domain, op->dir, op->name);

    if (err != XENPV_OK)
        return err;
    switch (op->type) {
    case XENPV_STORE_READ:
        return mock_store_read(domain, path, op->value, op->capacity, &op->length);
    case XENPV_STORE_LIST:
        return mock_store_list(domain, path, op->value, op->capacity, &op->length);
    case XENPV_STORE_WRITE:
        return mock_store_write(domain, path, op->value, op->length);
    case XENPV_STORE_MKDIR:
        return mock_store_mkdir(domain, path);
    case XENPV_STORE_RM:
        return mock_store_rm(domain, path);
    case XENPV_STORE_GET_PERMS:
    case XENPV_STORE_SET_PERMS:
    case XENPV_STORE_DOMAIN_PATH:
    case XENPV_STORE_INTRODUCED:
        return XENPV_ENOTSUP;
    }
    return XENPV_EINVAL;
}

/* The batch has no effect; `from` is the first operation that was not tried. */
static void give_up(struct xenpv_store_batch *batch, uint32_t from, int err)
{
    batch->status = err;
    for (uint32_t i = from; i < batch->count; i++)
        batch->ops[i].status = err;
}

static void run_each(struct domain *domain, struct xenpv_store_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct xenpv_store_op *op = &batch->ops[i];

        op->status = run_op(domain, op);
        mock_store_settle(domain->mock, op->status == XENPV_OK);
    }
}

static void run_transaction(struct domain *domain, struct xenpv_store_batch *batch)
{
    for (uint32_t i = 0; i < batch->count && batch->status == XENPV_OK; i++) {
        struct xenpv_store_op *op = &batch->ops[i];

        op->status = run_op(domain, op);
        if (op->status != XENPV_OK && modifies(op))
            give_up(batch, i + 1, op->status);
    }
    if (batch->status == XENPV_OK && domain->conflicts > 0) {
        domain->conflicts--;
        batch->status = XENPV_EAGAIN;
    }
    mock_store_settle(domain->mock, batch->status == XENPV_OK);
}

static void run(struct domain *domain, struct xenpv_store_batch *batch)
{
    if (domain->dead)
        give_up(batch, 0, XENPV_ESTORE);
    else if (batch->transaction)
        run_transaction(domain, batch);
    else
        run_each(domain, batch);
}

/* Requests of one domain end in their order, also when its delay was made shorter. */
static uint64_t due(const struct domain *domain)
{
    uint64_t at = domain->mock->now + domain->store_delay;

    for (const struct pending *p = domain->mock->pending; p != NULL; p = p->next) {
        if (p->domain == domain && p->due > at)
            at = p->due;
    }
    return at;
}

static struct pending **place(struct xenpv_mock *mock, uint64_t at)
{
    struct pending **place = &mock->pending;

    while (*place != NULL && (*place)->due <= at)
        place = &(*place)->next;
    return place;
}

int mock_batch_start(struct domain *domain, struct xenpv_store_batch *batch)
{
    struct xenpv_mock *mock = domain->mock;
    uint64_t at = due(domain);

    batch->status = XENPV_OK;
    batch->port_data = NULL;
    if (at == mock->now || domain->dead) {
        run(domain, batch);
        return XENPV_OK;
    }

    struct pending *pending = mock_alloc(mock, sizeof(*pending), _Alignof(struct pending));

    if (pending == NULL) {
        give_up(batch, 0, XENPV_ENOMEM);
        return XENPV_OK;
    }

    struct pending **link = place(mock, at);

    *pending = (struct pending){.next = *link, .domain = domain, .batch = batch, .due = at};
    *link = pending;
    batch->port_data = pending;
    return XENPV_PENDING;
}

int mock_batch_check(const struct xenpv_store_batch *batch)
{
    return batch->port_data == NULL ? XENPV_OK : XENPV_PENDING;
}

static void drop(struct xenpv_mock *mock, struct pending **link)
{
    struct pending *pending = *link;

    *link = pending->next;
    pending->batch->port_data = NULL;
    mock_free(mock, pending);
}

void mock_batch_cancel(struct domain *domain, struct xenpv_store_batch *batch)
{
    struct pending **link = &domain->mock->pending;

    while (*link != NULL && (*link)->batch != batch)
        link = &(*link)->next;
    if (*link != NULL)
        drop(domain->mock, link);
}

void mock_batches_advance(struct xenpv_mock *mock, uint64_t until)
{
    while (mock->pending != NULL && mock->pending->due <= until) {
        struct pending *first = mock->pending;

        run(first->domain, first->batch);
        drop(mock, &mock->pending);
    }
    mock->now = until;
}

void mock_batches_fail(struct domain *domain)
{
    struct pending **link = &domain->mock->pending;

    while (*link != NULL) {
        if ((*link)->domain == domain) {
            give_up((*link)->batch, 0, XENPV_ESTORE);
            drop(domain->mock, link);
        } else {
            link = &(*link)->next;
        }
    }
}

void mock_batches_free(struct xenpv_mock *mock)
{
    while (mock->pending != NULL) {
        struct pending *first = mock->pending;

        mock->pending = first->next;
        mock_free(mock, first);
    }
}
