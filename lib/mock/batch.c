/* SPDX-License-Identifier: MIT */
/* The port's store batches: one by one or as a transaction, at once or when the clock says so. */
#include "store.h"

static bool modifies(const struct xenpv_store_op *op)
{
    return op->type == XENPV_STORE_WRITE || op->type == XENPV_STORE_MKDIR ||
           op->type == XENPV_STORE_RM || op->type == XENPV_STORE_SET_PERMS;
}

/* A request that does not fit one message of xs_wire.h. */
static bool too_big(const struct xenpv_store_op *op)
{
    uint64_t bytes = strlen(op->dir) + 1;

    if (op->name != NULL)
        bytes += strlen(op->name) + 1;
    if (op->type == XENPV_STORE_WRITE || op->type == XENPV_STORE_SET_PERMS)
        bytes += op->length;
    return bytes > XENPV_STORE_VALUE_MAX;
}

static int answer(struct xenpv_store_op *op, const void *bytes, uint32_t length)
{
    uint32_t fits = length < op->capacity ? length : op->capacity;

    op->length = length;
    if (fits > 0)
        memcpy(op->value, bytes, fits);
    return length <= op->capacity ? XENPV_OK : XENPV_E2BIG;
}

/* A question about a node. */
static int look(struct transaction *t, struct xenpv_store_op *op, const char *path)
{
    struct record *record;
    int err = mock_store_get(t, path, PERM_READ, &record);

    if (err != XENPV_OK)
        return err;
    if (op->type == XENPV_STORE_READ)
        return answer(op, mock_record_value(record), record->length);
    if (op->type == XENPV_STORE_LIST)
        return answer(op, mock_record_children(record), record->children_length);
    op->length = mock_perms_print(record, op->value, op->capacity);
    return op->length <= op->capacity ? XENPV_OK : XENPV_E2BIG;
}

static int on_node(struct transaction *t, struct xenpv_store_op *op)
{
    struct domain *domain = t->connection->domain;
    const char *path = domain->mock->path;
    int err = mock_path(domain, op->dir, op->name);

    if (err != XENPV_OK)
        return err;
    switch (op->type) {
    case XENPV_STORE_READ:
    case XENPV_STORE_LIST:
    case XENPV_STORE_GET_PERMS:
        return look(t, op, path);
    case XENPV_STORE_WRITE:
        return mock_store_write(t, path, op->value, op->length);
    case XENPV_STORE_MKDIR:
        return mock_store_mkdir(t, path);
    case XENPV_STORE_RM:
        return mock_store_rm(t, path);
    case XENPV_STORE_SET_PERMS:
    case XENPV_STORE_DOMAIN_PATH:
    case XENPV_STORE_INTRODUCED:
        break;
    }
    return XENPV_EINVAL;
}

static int run_op(struct transaction *t, struct xenpv_store_op *op)
{
    int err;

    if (too_big(op))
        return XENPV_E2BIG;
    if (op->type != XENPV_STORE_SET_PERMS)
        return on_node(t, op);
    err = mock_store_set_perms_text(t, op->dir, op->name, op->value, op->length);
    return err == STORE_EPERM ? XENPV_EACCES : err;
}

/* A domain's number in decimal digits, and nothing else. */
static bool domid_of(const struct xenpv_store_op *op, uint32_t *domid)
{
    const char *digit = op->dir;

    for (*domid = 0; *digit >= '0' && *digit <= '9' && *domid <= UINT16_MAX; digit++)
        *domid = *domid * 10 + (uint32_t)(*digit - '0');
    return digit != op->dir && *digit == '\0' && *domid <= UINT16_MAX && op->name == NULL;
}

/* A question about a domain, not about a node. */
static int ask(const struct domain *domain, struct xenpv_store_op *op)
{
    char path[32];
    uint32_t domid;

    if (!domid_of(op, &domid))
        return XENPV_EINVAL;
    if (op->type == XENPV_STORE_DOMAIN_PATH) {
        mock_path_of_domain(domid, path, sizeof(path));
        return answer(op, path, (uint32_t)strlen(path));
    }
    if (domain->domid != 0)
        return XENPV_EACCES;
    return answer(op, mock_store_introduced(domain->mock, domid) ? "T" : "F", 1);
}

static bool about_a_domain(const struct xenpv_store_op *op)
{
    return op->type == XENPV_STORE_DOMAIN_PATH || op->type == XENPV_STORE_INTRODUCED;
}

/* The batch has no effect; `from` is the first operation that was not tried. */
static void give_up(struct xenpv_store_batch *batch, uint32_t from, int err)
{
    batch->status = err;
    for (uint32_t i = from; i < batch->count; i++)
        batch->ops[i].status = err;
}

static int run_alone(struct domain *domain, struct xenpv_store_op *op)
{
    struct transaction t = {.connection = &domain->port, .direct = true};
    int err = run_op(&t, op);

    if (err == XENPV_OK)
        return mock_transaction_commit(&t);
    mock_transaction_clear(&t);
    return err;
}

static void run_each(struct domain *domain, struct xenpv_store_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct xenpv_store_op *op = &batch->ops[i];

        op->status = about_a_domain(op) ? ask(domain, op) : run_alone(domain, op);
    }
}

static void run_transaction(struct domain *domain, struct xenpv_store_batch *batch)
{
    struct transaction *t;
    int err = mock_transaction_start(&domain->port, &t);

    if (err != XENPV_OK) {
        give_up(batch, 0, err);
        return;
    }
    for (uint32_t i = 0; i < batch->count && batch->status == XENPV_OK; i++) {
        struct xenpv_store_op *op = &batch->ops[i];

        op->status = run_op(t, op);
        if (op->status != XENPV_OK && (batch->strict || modifies(op)))
            give_up(batch, i + 1, op->status);
    }
    err = mock_transaction_end(t, batch->status == XENPV_OK);
    if (batch->status == XENPV_OK)
        batch->status = err;
}

static void run(struct domain *domain, struct xenpv_store_batch *batch)
{
    if (!domain->introduced)
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
    if (at == mock->now || !domain->introduced) {
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
