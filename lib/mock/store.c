/* SPDX-License-Identifier: MIT */
/*
 * The answers of xenstored (the C one of Xen 4.17) to a domain: what it may see and do, which error
 * it gets, and its quotas.
 */
#include "store.h"

uint32_t mock_parent_length(const char *path, uint32_t length)
{
    while (path[length - 1] != '/')
        length--;
    return length > 1 ? length - 1 : 1;
}

/* What the nearest node above says; there is the root at least. */
static int ask_above(struct transaction *t, const char *path, uint8_t *allowed)
{
    uint32_t length = (uint32_t)strlen(path);
    struct record *record = NULL;
    int err = XENPV_OK;

    while (record == NULL && err == XENPV_OK) {
        length = mock_parent_length(path, length);
        err = mock_transaction_read(t, path, length, &record);
    }
    if (err == XENPV_OK)
        *allowed = mock_perms_of(t->connection->domain, record);
    return err;
}

/* A domain is only told of a node where the nearest above gives a permission it asked for. */
int mock_store_get(struct transaction *t, const char *path, uint8_t need, struct record **record)
{
    uint8_t allowed = 0;
    int err = mock_transaction_read(t, path, (uint32_t)strlen(path), record);

    if (err != XENPV_OK)
        return err;
    if (*record != NULL && (mock_perms_of(t->connection->domain, *record) & need) == need)
        return XENPV_OK;

    int told = ask_above(t, path, &allowed);

    if (told != XENPV_OK)
        return told;
    return *record == NULL && (allowed & need) != 0 ? XENPV_ENOENT : XENPV_EACCES;
}

int mock_store_put(struct transaction *t, const char *path, uint32_t length, struct record *record)
{
    const struct domain *domain = t->connection->domain;

    if (record == NULL) {
        t->failed = true;
        return XENPV_ENOMEM;
    }
    if (!mock_privileged(domain) &&
        mock_record_size(record) >= domain->mock->config.limits.store_record) {
        mock_record_drop(domain->mock, record);
        t->failed = true;
        return XENPV_ENOSPC;
    }
    return mock_transaction_write(t, path, length, record);
}

/* What comes from above, with a new owner. */
static struct record *inherit(struct transaction *t, const struct record *parent)
{
    const struct domain *domain = t->connection->domain;
    struct record *record = mock_record(domain->mock, parent->perms, parent->perms_count);

    if (record != NULL && !mock_privileged(domain))
        record->perms[0].domid = domain->domid;
    return record;
}

static struct record *change_record(struct transaction *t, struct record *record, bool last,
                                    const void *bytes, uint32_t length)
{
    struct xenpv_mock *mock = t->connection->domain->mock;
    struct record *changed = NULL;

    if (record != NULL)
        changed = last ? mock_record_with_value(mock, record, bytes, length)
                       : mock_record_with_child(mock, record, bytes, length);
    mock_record_drop(mock, record);
    return changed;
}

static bool quota_is_used_up(const struct domain *domain, uint32_t made)
{
    return !mock_privileged(domain) &&
           domain->nodes + made >= domain->mock->config.limits.store_nodes;
}

/* The node at `length` of the path and those above it that are not there, the lowest first. */
static int create_below(struct transaction *t, const char *path, uint32_t exists,
                        const struct record *parent, const void *value, uint32_t value_length)
{
    uint32_t end = (uint32_t)strlen(path);
    uint32_t made = 0;
    uint32_t child = 0; /* where the name of the one below ends; 0: none is below */

    for (uint32_t at = end; at != exists; at = mock_parent_length(path, at)) {
        struct record *record;
        int err;

        if (quota_is_used_up(t->connection->domain, t->direct ? made : 0))
            return XENPV_ENOSPC;
        record = inherit(t, parent);
        record = child == 0 ? change_record(t, record, true, value, value_length)
                            : change_record(t, record, false, path + at + 1, child - at - 1);
        err = mock_store_put(t, path, at, record);
        if (err != XENPV_OK)
            return err;
        child = at;
        made++;
    }
    return XENPV_OK;
}

static int create(struct transaction *t, const char *path, const void *value, uint32_t length)
{
    struct xenpv_mock *mock = t->connection->domain->mock;
    uint32_t exists = (uint32_t)strlen(path);
    uint32_t top = exists;
    struct record *parent = NULL;
    int err = XENPV_OK;

    while (parent == NULL && err == XENPV_OK) {
        top = exists;
        exists = mock_parent_length(path, exists);
        err = mock_transaction_read(t, path, exists, &parent);
    }
    if (err != XENPV_OK)
        return err;
    t->created = true;
    err = create_below(t, path, exists, parent, value, length);
    if (err != XENPV_OK)
        return err;

    uint32_t name = exists > 1 ? exists + 1 : 1;

    return mock_store_put(t, path, exists,
                          mock_record_with_child(mock, parent, path + name, top - name));
}

int mock_store_write(struct transaction *t, const char *path, const void *value, uint32_t length)
{
    struct xenpv_mock *mock = t->connection->domain->mock;
    uint32_t path_length = (uint32_t)strlen(path);
    struct record *record;
    int err = mock_store_get(t, path, PERM_WRITE, &record);

    if (err == XENPV_ENOENT)
        err = create(t, path, value, length);
    else if (err == XENPV_OK)
        err = mock_store_put(t, path, path_length,
                             mock_record_with_value(mock, record, value, length));
    if (err == XENPV_OK)
        mock_transaction_fire(t, path, path_length, false);
    return err;
}

int mock_store_mkdir(struct transaction *t, const char *path)
{
    struct record *record;
    int err = mock_store_get(t, path, PERM_WRITE, &record);

    if (err != XENPV_ENOENT)
        return err;
    err = create(t, path, NULL, 0);
    if (err == XENPV_OK)
        mock_transaction_fire(t, path, (uint32_t)strlen(path), false);
    return err;
}
