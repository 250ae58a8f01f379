/* SPDX-License-Identifier: MIT */
/*
 * The nodes of the store. Every change is recorded until the operation or transaction that made it
 * has ended, so that a failure half-way leaves no trace.
 */
#include "mock.h"

enum change_type { CHANGE_CREATED, CHANGE_VALUE, CHANGE_PERMS, CHANGE_REMOVED };

struct change {
    struct change *next; /* the one before */
    enum change_type type;
    struct node *node;
    struct node *previous;         /* REMOVED: the sibling before it, or NULL */
    uint8_t *value;                /* VALUE: the old one */
    uint32_t length;               /* VALUE */
    struct xenpv_mock_perms perms; /* PERMS: the old ones */
};

static struct change *new_change(struct xenpv_mock *mock, enum change_type type, struct node *node)
{
    struct change *change = mock_alloc(mock, sizeof(*change), _Alignof(struct change));

    if (change != NULL) {
        change->type = type;
        change->node = node;
        change->next = mock->changes;
        mock->changes = change;
    }
    return change;
}

static struct node *new_node(struct xenpv_mock *mock, const char *name, uint32_t name_length)
{
    struct node *node =
        mock_alloc(mock, sizeof(*node) + (name_length ? name_length : 1), _Alignof(struct node));

    if (node != NULL) {
        memcpy(node->name, name, name_length);
        node->name_length = name_length;
    }
    return node;
}

static void free_node(struct xenpv_mock *mock, struct node *node)
{
    mock_free(mock, node->value);
    mock_free(mock, node);
}

static void link_after(struct node *node, struct node *previous)
{
    struct node **at = previous != NULL ? &previous->next : &node->parent->child;

    node->next = *at;
    *at = node;
}

/* Answers the sibling before it. */
static struct node *unlink_node(struct node *node)
{
    struct node *previous = NULL;
    struct node **at = &node->parent->child;

    while (*at != node) {
        previous = *at;
        at = &previous->next;
    }
    *at = node->next;
    node->next = NULL;
    return previous;
}

static struct node *last_child(const struct node *parent)
{
    struct node *last = parent->child;

    while (last != NULL && last->next != NULL)
        last = last->next;
    return last;
}

static struct node *find_child(const struct node *parent, const char *name, size_t length)
{
    struct node *child = parent->child;

    while (child != NULL &&
           (child->name_length != length || memcmp(child->name, name, length) != 0))
        child = child->next;
    return child;
}

struct node *mock_tree_root(struct xenpv_mock *mock)
{
    return new_node(mock, "", 0);
}

struct node *mock_tree_nearest(struct xenpv_mock *mock, const char *path, const char **rest)
{
    struct node *node = mock->root;

    for (;;) {
        while (*path == '/')
            path++;
        *rest = path;
        if (*path == '\0')
            return node;

        size_t length = strcspn(path, "/");
        struct node *child = find_child(node, path, length);

        if (child == NULL)
            return node;
        node = child;
        path += length;
    }
}

struct node *mock_tree_find(struct xenpv_mock *mock, const char *path)
{
    const char *rest;
    struct node *node = mock_tree_nearest(mock, path, &rest);

    return *rest == '\0' ? node : NULL;
}

struct node *mock_tree_next_outside(const struct node *top, struct node *node)
{
    while (node != top && node->next == NULL)
        node = node->parent;
    return node == top ? NULL : node->next;
}

struct node *mock_tree_next(const struct node *top, struct node *node)
{
    return node->child != NULL ? node->child : mock_tree_next_outside(top, node);
}

void mock_tree_path(const struct node *node, char *path)
{
    size_t length = 0;

    for (const struct node *at = node; at->parent != NULL; at = at->parent)
        length += at->name_length + 1;
    path[length] = '\0';
    for (const struct node *at = node; at->parent != NULL; at = at->parent) {
        length -= at->name_length;
        memcpy(path + length, at->name, at->name_length);
        path[--length] = '/';
    }
}

/* Children first, without recursion: a path may be a thousand levels deep. */
void mock_tree_free(struct xenpv_mock *mock, struct node *top)
{
    struct node *node = top;

    while (node != NULL) {
        if (node->child != NULL) {
            node = node->child;
            continue;
        }

        struct node *parent = node == top ? NULL : node->parent;

        if (parent != NULL)
            parent->child = node->next;
        free_node(mock, node);
        node = parent;
    }
}

int mock_tree_create(struct xenpv_mock *mock, struct node *parent, const char *name,
                     uint32_t name_length, struct node **node)
{
    struct node *made = new_node(mock, name, name_length);

    if (made == NULL)
        return XENPV_ENOMEM;
    if (new_change(mock, CHANGE_CREATED, made) == NULL) {
        free_node(mock, made);
        return XENPV_ENOMEM;
    }
    made->parent = parent;
    made->perms = parent->perms;
    link_after(made, last_child(parent));
    *node = made;
    return XENPV_OK;
}

int mock_tree_set_value(struct xenpv_mock *mock, struct node *node, const void *value,
                        uint32_t length)
{
    uint8_t *copy = NULL;

    if (length > 0) {
        copy = mock_alloc(mock, length, 1);
        if (copy == NULL)
            return XENPV_ENOMEM;
        memcpy(copy, value, length);
    }

    struct change *change = new_change(mock, CHANGE_VALUE, node);

    if (change == NULL) {
        mock_free(mock, copy);
        return XENPV_ENOMEM;
    }
    change->value = node->value;
    change->length = node->length;
    node->value = copy;
    node->length = length;
    return XENPV_OK;
}

int mock_tree_set_perms(struct xenpv_mock *mock, struct node *node,
                        const struct xenpv_mock_perms *perms)
{
    struct change *change = new_change(mock, CHANGE_PERMS, node);

    if (change == NULL)
        return XENPV_ENOMEM;
    change->perms = node->perms;
    node->perms = *perms;
    return XENPV_OK;
}

int mock_tree_remove(struct xenpv_mock *mock, struct node *node)
{
    struct change *change = new_change(mock, CHANGE_REMOVED, node);

    if (change == NULL)
        return XENPV_ENOMEM;
    change->previous = unlink_node(node);
    return XENPV_OK;
}

static void commit(struct xenpv_mock *mock, struct change *change)
{
    if (change->type == CHANGE_VALUE)
        mock_free(mock, change->value);
    else if (change->type == CHANGE_REMOVED)
        mock_tree_free(mock, change->node);
}

static void undo(struct xenpv_mock *mock, struct change *change)
{
    struct node *node = change->node;

    switch (change->type) {
    case CHANGE_CREATED:
        unlink_node(node);
        free_node(mock, node);
        break;
    case CHANGE_VALUE:
        mock_free(mock, node->value);
        node->value = change->value;
        node->length = change->length;
        break;
    case CHANGE_PERMS:
        node->perms = change->perms;
        break;
    case CHANGE_REMOVED:
        link_after(node, change->previous);
        break;
    }
}

static void end_changes(struct xenpv_mock *mock, void (*end)(struct xenpv_mock *, struct change *))
{
    while (mock->changes != NULL) {
        struct change *change = mock->changes;

        mock->changes = change->next;
        end(mock, change);
        mock_free(mock, change);
    }
}

void mock_tree_commit(struct xenpv_mock *mock)
{
    end_changes(mock, commit);
}

void mock_tree_rollback(struct xenpv_mock *mock)
{
    end_changes(mock, undo);
}
