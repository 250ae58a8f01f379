/* SPDX-License-Identifier: MIT */
/*
 * Transactions as the C xenstored has them: a node is copied when it is first looked at, and may
 * not have changed until the end. What was not looked at is seen as it is at the moment.
 */
#include "store.h"

static struct xenpv_mock *mock_of(const struct transaction *t)
{
    return t->connection->domain->mock;
}

static struct access *find(const struct transaction *t, const char *path, uint32_t length)
{
    struct access *access = t->accesses;

    while (access != NULL &&
           (access->node->path_length != length || memcmp(access->node->path, path, length) != 0))
        access = access->next;
    return access;
}

static struct access *new_access(struct transaction *t, const char *path, uint32_t length)
{
    struct xenpv_mock *mock = mock_of(t);
    struct access *access = mock_alloc(mock, sizeof(*access), _Alignof(struct access));

    if (access == NULL)
        return NULL;
    access->node = mock_node(mock, path, length);
    if (access->node == NULL) {
        mock_free(mock, access);
        return NULL;
    }
    access->first = mock_record_share(mock_tree_at(mock, path, length));
    access->node->record = mock_record_share(access->first);
    if (t->last != NULL)
        t->last->next = access;
    else
        t->accesses = access;
    t->last = access;
    t->nodes++;
    return access;
}

static int add_access(struct transaction *t, const char *path, uint32_t length,
                      struct access **access)
{
    const struct domain *domain = t->connection->domain;

    if (!t->direct && !mock_privileged(domain) &&
        t->nodes >= domain->mock->config.limits.store_transaction_nodes) {
        t->failed = true;
        return XENPV_ENOSPC;
    }
    *access = new_access(t, path, length);
    if (*access == NULL)
        t->failed = true;
    return *access != NULL ? XENPV_OK : XENPV_ENOMEM;
}

int mock_transaction_read(struct transaction *t, const char *path, uint32_t length,
                          struct record **record)
{
    struct access *access = find(t, path, length);
    int err = XENPV_OK;

    if (access == NULL && !t->direct)
        err = add_access(t, path, length, &access);
    if (access != NULL)
        *record = access->node->record;
    else
        *record = err == XENPV_OK ? mock_tree_at(mock_of(t), path, length) : NULL;
    return err;
}

int mock_transaction_write(struct transaction *t, const char *path, uint32_t length,
                           struct record *record)
{
    struct xenpv_mock *mock = mock_of(t);
    struct access *access = find(t, path, length);
    int err = access != NULL ? XENPV_OK : add_access(t, path, length, &access);

    if (err != XENPV_OK) {
        mock_record_drop(mock, record);
        return err;
    }
    if (record != NULL)
        record->generation = ++mock->generation;
    mock_record_drop(mock, access->node->record);
    access->node->record = record;
    access->modified = true;
    return XENPV_OK;
}

void mock_transaction_fire(struct transaction *t, const char *path, uint32_t length, bool exact)
{
    struct access *access = find(t, path, length);

    if (access == NULL)
        return;
    access->exact = exact && (access->exact || !access->fire);
    access->fire = true;
}

static bool conflicts(const struct transaction *t)
{
    const struct access *access = t->accesses;

    while (access != NULL &&
           access->first == mock_tree_at(mock_of(t), access->node->path, access->node->path_length))
        access = access->next;
    return access != NULL;
}

static struct domain *owner_of(const struct transaction *t, const struct record *record)
{
    return record != NULL ? mock_domain(mock_of(t), record->perms[0].domid) : NULL;
}

/* How many nodes more each domain would own. */
static void count_owners(const struct transaction *t)
{
    for (struct domain *domain = mock_of(t)->domains; domain != NULL; domain = domain->next)
        domain->more_nodes = 0;
    for (const struct access *access = t->accesses; access != NULL; access = access->next) {
        struct domain *before = owner_of(t, access->first);
        struct domain *after = owner_of(t, access->node->record);

        if (before != NULL)
            before->more_nodes--;
        if (after != NULL)
            after->more_nodes++;
    }
}

/* Unlike one operation, a transaction that makes nodes must stay below the quota. */
static bool exceeds_quota(const struct transaction *t)
{
    uint32_t limit = mock_of(t)->config.limits.store_nodes;

    if (t->direct || !t->created || mock_privileged(t->connection->domain))
        return false;
    count_owners(t);
    for (const struct domain *domain = mock_of(t)->domains; domain != NULL; domain = domain->next) {
        bool changed = domain->more_nodes != 0 || domain == t->connection->domain;

        if (!domain->dead && !mock_privileged(domain) && changed &&
            (int64_t)domain->nodes + domain->more_nodes >= (int64_t)limit)
            return true;
    }
    return false;
}

/* The node above, as it is to be; as it was, where it goes too. */
static struct record *above(const struct transaction *t, const struct node *node)
{
    uint32_t length = mock_parent_length(node->path, node->path_length);
    const struct access *access = find(t, node->path, length);

    if (access == NULL)
        return mock_tree_at(mock_of(t), node->path, length);
    return access->node->record != NULL ? access->node->record : access->first;
}

/*
 * xenstored looks at the node above only where it has the node still in its hands: of one that a
 * transaction removed, nothing is left to look at but its old permissions.
 */
static void fire(const struct transaction *t)
{
    for (const struct access *access = t->accesses; access != NULL; access = access->next) {
        struct record *now = access->node->record;
        struct record *seen[3] = {access->first, now, NULL};

        if (!access->fire)
            continue;
        if (now != NULL || t->direct)
            seen[2] = above(t, access->node);
        mock_watch_fire(mock_of(t), access->node->path, access->exact, seen);
    }
}

static void apply(const struct transaction *t)
{
    for (struct access *access = t->accesses; access != NULL; access = access->next) {
        if (!access->modified)
            continue;
        if (access->node->record != NULL && !t->direct)
            access->node->record->generation = ++mock_of(t)->generation;
        mock_tree_put(mock_of(t), access->node);
        access->node = NULL;
    }
}

void mock_transaction_clear(struct transaction *t)
{
    struct xenpv_mock *mock = mock_of(t);

    while (t->accesses != NULL) {
        struct access *access = t->accesses;

        t->accesses = access->next;
        mock_record_drop(mock, access->first);
        if (access->node != NULL)
            mock_node_free(mock, access->node);
        mock_free(mock, access);
    }
    t->last = NULL;
}

int mock_transaction_commit(struct transaction *t)
{
    int err = t->failed ? XENPV_ENOMEM : XENPV_OK;

    if (err == XENPV_OK && exceeds_quota(t))
        err = XENPV_ENOSPC;
    if (err == XENPV_OK && !t->direct && conflicts(t))
        err = XENPV_EAGAIN;
    if (err == XENPV_OK) {
        fire(t);
        apply(t);
    }
    mock_transaction_clear(t);
    return err;
}

struct transaction *mock_transaction(const struct connection *connection, uint32_t id)
{
    struct transaction *t = connection->transactions;

    while (t != NULL && t->id != id)
        t = t->next;
    return t;
}

int mock_transaction_start(struct connection *connection, struct transaction **transaction)
{
    struct domain *domain = connection->domain;
    struct xenpv_mock *mock = domain->mock;

    if (!mock_privileged(domain) && domain->transactions > mock->config.limits.store_transactions)
        return XENPV_ENOSPC;

    struct transaction *t = mock_alloc(mock, sizeof(*t), _Alignof(struct transaction));

    if (t == NULL)
        return XENPV_ENOMEM;
    t->connection = connection;
    do {
        t->id = ++connection->last_transaction;
    } while (t->id == 0 || mock_transaction(connection, t->id) != NULL);
    t->next = connection->transactions;
    connection->transactions = t;
    domain->transactions++;
    *transaction = t;
    return XENPV_OK;
}

static void drop(struct transaction *t)
{
    struct transaction **at = &t->connection->transactions;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->connection->domain->transactions--;
    mock_transaction_clear(t);
    mock_free(mock_of(t), t);
}

int mock_transaction_end(struct transaction *t, bool commit)
{
    struct domain *domain = t->connection->domain;
    int err = XENPV_OK;

    if (commit && domain->conflicts > 0) {
        domain->conflicts--;
        err = XENPV_EAGAIN;
    } else if (commit) {
        err = mock_transaction_commit(t);
    }
    drop(t);
    return err;
}

void mock_transactions_drop(struct connection *connection)
{
    while (connection->transactions != NULL)
        drop(connection->transactions);
}
