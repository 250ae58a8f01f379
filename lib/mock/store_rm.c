/* SPDX-License-Identifier: MIT */
/* Removing a node with all below it, and what a dead domain leaves. */
#include "store.h"

/* From the node at mock->walk down to the first that has no children. */
static int descend(struct transaction *t, uint32_t *length)
{
    struct xenpv_mock *mock = t->connection->domain->mock;
    struct record *record;

    for (;;) {
        int err = mock_transaction_read(t, mock->walk, *length, &record);

        if (err != XENPV_OK)
            return err;
        if (record == NULL || record->children_length == 0)
            return XENPV_OK;

        const char *name = mock_record_children(record);
        uint32_t bytes = (uint32_t)strlen(name);

        mock->walk[*length] = '/';
        memcpy(mock->walk + *length + 1, name, bytes + 1);
        *length += bytes + 1;
    }
}

/* To the next sibling; false: there is none, and `length` is that of the parent. */
static int next_sibling(struct transaction *t, uint32_t *length, bool *found)
{
    struct xenpv_mock *mock = t->connection->domain->mock;
    uint32_t parent = mock_parent_length(mock->walk, *length);
    const char *name = mock->walk + parent + 1;
    uint32_t bytes = *length - parent - 1;
    struct record *record;
    int err = mock_transaction_read(t, mock->walk, parent, &record);

    *found = false;
    *length = parent;
    if (err != XENPV_OK || record == NULL)
        return err;

    uint32_t after = mock_record_child(record, name, bytes) + bytes + 1;

    if (after < record->children_length) {
        const char *next = mock_record_children(record) + after;

        bytes = (uint32_t)strlen(next);
        memcpy(mock->walk + parent + 1, next, bytes + 1);
        *length = parent + 1 + bytes;
        *found = true;
    }
    return XENPV_OK;
}

/* Children first, as xenstored does, and so their watches fire first. */
static int remove_tree(struct transaction *t, uint32_t top)
{
    struct xenpv_mock *mock = t->connection->domain->mock;
    uint32_t length = top;
    int err = descend(t, &length);

    while (err == XENPV_OK) {
        bool found;

        err = mock_transaction_write(t, mock->walk, length, NULL);
        if (err != XENPV_OK || length == top)
            break;
        mock_transaction_fire(t, mock->walk, length, true);
        err = next_sibling(t, &length, &found);
        if (err == XENPV_OK && found)
            err = descend(t, &length);
    }
    if (err == XENPV_OK)
        mock_transaction_fire(t, mock->walk, top, false);
    return err;
}

/* `path` is there, and not the root. */
static int remove_node(struct transaction *t, const char *path)
{
    struct xenpv_mock *mock = t->connection->domain->mock;
    uint32_t length = (uint32_t)strlen(path);
    uint32_t parent = mock_parent_length(path, length);
    uint32_t name = parent > 1 ? parent + 1 : 1;
    struct record *record;
    int err = mock_transaction_read(t, path, parent, &record);

    if (err != XENPV_OK)
        return err;
    /* A transaction that has the node in its hands may not have looked above before. */
    if (record == NULL)
        return XENPV_EINVAL;
    memcpy(mock->walk, path, length + 1);
    err = remove_tree(t, length);
    if (err != XENPV_OK)
        return err;
    record = mock_record_without_child(mock, record, path + name, length - name);
    if (record == NULL) {
        t->failed = true;
        return XENPV_ENOMEM;
    }
    return mock_transaction_write(t, path, parent, record);
}

int mock_store_rm(struct transaction *t, const char *path)
{
    struct record *record;
    int err = mock_store_get(t, path, PERM_WRITE, &record);

    if (err == XENPV_ENOENT) {
        uint32_t parent = mock_parent_length(path, (uint32_t)strlen(path));

        err = mock_transaction_read(t, path, parent, &record);
        return err != XENPV_OK || record != NULL ? err : XENPV_ENOENT;
    }
    if (err != XENPV_OK)
        return err;
    return strcmp(path, "/") == 0 ? XENPV_EINVAL : remove_node(t, path);
}

/* Is it the domain's, and none of the nodes above it is? The root stays, whoever owned it. */
static bool orphan(const struct domain *owner, const struct node *node)
{
    uint32_t length = node->path_length;

    if (length == 1 || node->record->perms[0].domid != owner->domid)
        return false;
    for (length = mock_parent_length(node->path, length); length > 1;
         length = mock_parent_length(node->path, length)) {
        if (mock_tree_at(owner->mock, node->path, length)->perms[0].domid == owner->domid)
            return false;
    }
    return true;
}

/* One that is left, in mock->path. */
static bool find_orphan(struct transaction *t, const struct domain *owner)
{
    struct xenpv_mock *mock = owner->mock;

    for (uint32_t i = 0; i < NODE_BUCKETS; i++) {
        for (const struct node *node = mock->nodes[i]; node != NULL; node = node->next) {
            struct record *left = NULL;

            if (!orphan(owner, node))
                continue;
            mock_transaction_read(t, node->path, node->path_length, &left);
            if (left != NULL) {
                memcpy(mock->path, node->path, node->path_length + 1);
                return true;
            }
        }
    }
    return false;
}

int mock_store_domain_died(struct domain *dead)
{
    struct transaction t = {.connection = &mock_domain(dead->mock, 0)->port, .direct = true};
    int err = XENPV_OK;

    while (err == XENPV_OK && find_orphan(&t, dead))
        err = remove_node(&t, dead->mock->path);
    if (err != XENPV_OK) {
        mock_transaction_clear(&t);
        return err;
    }
    mock_transaction_commit(&t);
    mock_perms_forget(dead->mock, dead->domid);
    return XENPV_OK;
}
