/* SPDX-License-Identifier: MIT */
/*
 * The answers of xenstored (the C one of Xen 4.17) to a domain: what it may see and do, which error
 * it gets, and its quotas.
 */
#include "mock.h"

#define RECORD_HEADER 24u /* bytes that xenstored counts for every node ... */
#define RECORD_PERM   8u  /* ... and for each of its permission entries */

enum { PERM_READ = XENPV_MOCK_READ, PERM_WRITE = XENPV_MOCK_WRITE };

static bool privileged(const struct domain *domain)
{
    return domain->domid == 0;
}

static bool names_a_domain(const struct xenpv_mock_perms *perms)
{
    return perms->domid != 0 || perms->allowed != XENPV_MOCK_NONE;
}

uint8_t mock_store_access(const struct domain *domain, const struct xenpv_mock_perms *perms)
{
    if (privileged(domain) || perms->owner == domain->domid)
        return PERM_READ | PERM_WRITE;
    return perms->domid == domain->domid ? perms->allowed : perms->others;
}

/* A missing node is only told of where its nearest ancestor gives the permission asked for. */
static int get_node(struct domain *domain, const char *path, uint8_t need, struct node **node,
                    const char **rest)
{
    *node = mock_tree_nearest(domain->mock, path, rest);
    if ((mock_store_access(domain, &(*node)->perms) & need) == 0)
        return XENPV_EACCES;
    return **rest == '\0' ? XENPV_OK : XENPV_ENOENT;
}

static uint32_t nodes_owned(struct domain *domain)
{
    struct node *root = domain->mock->root;
    uint32_t count = 0;

    for (struct node *node = root; node != NULL; node = mock_tree_next(root, node))
        count += node->perms.owner == domain->domid;
    return count;
}

/* What xenstored keeps for a node in one record: children's names count too. */
static uint64_t record_size(const struct node *node)
{
    uint64_t bytes = RECORD_HEADER + RECORD_PERM + node->length;

    if (names_a_domain(&node->perms))
        bytes += RECORD_PERM;
    for (const struct node *child = node->child; child != NULL; child = child->next)
        bytes += child->name_length + 1;
    return bytes;
}

static int check_record(const struct domain *domain, const struct node *node)
{
    uint32_t limit = domain->mock->config.limits.store_record;

    return privileged(domain) || record_size(node) < limit ? XENPV_OK : XENPV_ENOSPC;
}

static int create_child(struct domain *domain, struct node *parent, const char *name,
                        uint32_t length, struct node **node)
{
    int err = mock_tree_create(domain->mock, parent, name, length, node);

    if (err != XENPV_OK)
        return err;
    if (!privileged(domain))
        (*node)->perms.owner = domain->domid;
    err = check_record(domain, parent);
    return err != XENPV_OK ? err : check_record(domain, *node);
}

/* Makes the node whose nearest ancestor is `node` and whose missing part is `rest`. */
static int create(struct domain *domain, struct node **node, const char *rest)
{
    while (*rest != '\0') {
        uint32_t length = (uint32_t)strcspn(rest, "/");
        int err = create_child(domain, *node, rest, length, node);

        if (err != XENPV_OK)
            return err;
        rest += length;
        rest += *rest == '/';
    }
    if (!privileged(domain) && nodes_owned(domain) > domain->mock->config.limits.store_nodes)
        return XENPV_ENOSPC;
    return XENPV_OK;
}

int mock_store_read(struct domain *domain, const char *path, void *value, uint32_t capacity,
                    uint32_t *length)
{
    struct node *node;
    const char *rest;
    int err = get_node(domain, path, PERM_READ, &node, &rest);

    if (err != XENPV_OK)
        return err;
    *length = node->length;
    if (node->length > 0 && capacity > 0)
        memcpy(value, node->value, node->length < capacity ? node->length : capacity);
    return node->length <= capacity ? XENPV_OK : XENPV_E2BIG;
}

int mock_store_list(struct domain *domain, const char *path, void *value, uint32_t capacity,
                    uint32_t *length)
{
    struct node *node;
    const char *rest;
    int err = get_node(domain, path, PERM_READ, &node, &rest);
    char *out = value;

    if (err != XENPV_OK)
        return err;
    *length = 0;
    for (const struct node *child = node->child; child != NULL; child = child->next) {
        for (uint32_t i = 0; i <= child->name_length; i++, (*length)++) {
            if (*length < capacity)
                out[*length] = (char)(i < child->name_length ? child->name[i] : 0);
        }
    }
    return *length <= capacity ? XENPV_OK : XENPV_E2BIG;
}

int mock_store_write(struct domain *domain, const char *path, const void *value, uint32_t length)
{
    struct node *node;
    const char *rest;
    int err = get_node(domain, path, PERM_WRITE, &node, &rest);

    if (err == XENPV_ENOENT)
        err = create(domain, &node, rest);
    if (err == XENPV_OK)
        err = mock_tree_set_value(domain->mock, node, value, length);
    if (err == XENPV_OK)
        err = check_record(domain, node);
    if (err == XENPV_OK)
        mock_watch_changed(domain->mock, path, node, NULL);
    return err;
}

int mock_store_mkdir(struct domain *domain, const char *path)
{
    struct node *node;
    const char *rest;
    int err = get_node(domain, path, PERM_WRITE, &node, &rest);

    if (err != XENPV_ENOENT)
        return err;
    err = create(domain, &node, rest);
    if (err == XENPV_OK)
        mock_watch_changed(domain->mock, path, node, NULL);
    return err;
}

int mock_store_rm(struct domain *domain, const char *path)
{
    struct node *node;
    const char *rest;
    int err = get_node(domain, path, PERM_WRITE, &node, &rest);

    if (err == XENPV_ENOENT)
        return strchr(rest, '/') == NULL ? XENPV_OK : XENPV_ENOENT; /* the parent is there */
    if (err != XENPV_OK)
        return err;
    if (node->parent == NULL)
        return XENPV_EINVAL;
    mock_watch_removed(domain->mock, path, node);
    return mock_tree_remove(domain->mock, node);
}

int mock_store_set_perms(struct domain *domain, const char *path,
                         const struct xenpv_mock_perms *perms)
{
    struct xenpv_mock *mock = domain->mock;
    struct xenpv_mock_perms valid = *perms;
    struct node *node;
    const char *rest;
    int err = get_node(domain, path, PERM_WRITE, &node, &rest);

    if (err != XENPV_OK)
        return err;
    if (mock_domain(mock, valid.owner) == NULL)
        return XENPV_ENOENT;
    if (mock_domain(mock, valid.domid) == NULL)
        valid.domid = valid.allowed = 0; /* does not count for a later domain of that number */

    struct xenpv_mock_perms old = node->perms;

    err = mock_tree_set_perms(mock, node, &valid);
    if (err == XENPV_OK)
        mock_watch_changed(mock, path, node, &old);
    return err;
}

void mock_store_settle(struct xenpv_mock *mock, bool take_effect)
{
    if (take_effect)
        mock_tree_commit(mock);
    else
        mock_tree_rollback(mock);
    mock_watch_settle(mock, take_effect);
}

static int forget_domain(struct domain *dead, struct node *node)
{
    struct xenpv_mock_perms perms = node->perms;

    if (perms.owner == dead->domid) {
        mock_tree_path(node, dead->mock->path);
        mock_watch_removed(dead->mock, dead->mock->path, node);
        return mock_tree_remove(dead->mock, node);
    }
    if (perms.domid != dead->domid || !names_a_domain(&perms))
        return XENPV_OK;
    perms.domid = perms.allowed = 0;
    return mock_tree_set_perms(dead->mock, node, &perms);
}

int mock_store_domain_died(struct domain *dead)
{
    struct node *root = dead->mock->root;
    struct node *node = root;

    while (node != NULL) {
        struct node *outside = mock_tree_next_outside(root, node);
        bool owned = node->perms.owner == dead->domid;
        int err = forget_domain(dead, node);

        if (err != XENPV_OK)
            return err;
        node = owned ? outside : mock_tree_next(root, node);
    }
    return XENPV_OK;
}
