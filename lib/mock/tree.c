/* SPDX-License-Identifier: MIT */
/* The nodes there are, by their paths; and what each domain owns of them. */
#include "store.h"

static uint32_t hash_of(const char *path, uint32_t length)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (uint32_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)path[i]) * 16777619u;
    return hash;
}

struct node *mock_node(struct xenpv_mock *mock, const char *path, uint32_t length)
{
    struct node *node = mock_alloc(mock, sizeof(*node) + length + 1, _Alignof(struct node));

    if (node == NULL)
        return NULL;
    memcpy(node->path, path, length);
    node->path_length = length;
    node->hash = hash_of(path, length);
    return node;
}

void mock_node_free(struct xenpv_mock *mock, struct node *node)
{
    mock_record_drop(mock, node->record);
    mock_free(mock, node);
}

static struct node **place(struct xenpv_mock *mock, const char *path, uint32_t length,
                           uint32_t hash)
{
    struct node **at = &mock->nodes[hash % NODE_BUCKETS];

    while (*at != NULL && ((*at)->hash != hash || (*at)->path_length != length ||
                           memcmp((*at)->path, path, length) != 0))
        at = &(*at)->next;
    return at;
}

struct record *mock_tree_at(const struct xenpv_mock *mock, const char *path, uint32_t length)
{
    uint32_t hash = hash_of(path, length);
    const struct node *node = mock->nodes[hash % NODE_BUCKETS];

    while (node != NULL && (node->hash != hash || node->path_length != length ||
                            memcmp(node->path, path, length) != 0))
        node = node->next;
    return node != NULL ? node->record : NULL;
}

/* A node of the dead is nobody's. */
static void account(struct xenpv_mock *mock, const struct node *node, bool more)
{
    struct domain *owner = mock_domain(mock, node->record->perms[0].domid);
    uint32_t bytes = mock_record_size(node->record) + node->path_length;

    if (owner == NULL)
        return;
    owner->nodes = more ? owner->nodes + 1 : owner->nodes - 1;
    owner->memory = more ? owner->memory + bytes : owner->memory - bytes;
}

void mock_tree_put(struct xenpv_mock *mock, struct node *node)
{
    struct node **at = place(mock, node->path, node->path_length, node->hash);
    struct node *old = *at;

    if (old != NULL) {
        account(mock, old, false);
        *at = old->next;
        mock_node_free(mock, old);
    }
    if (node->record == NULL) {
        mock_node_free(mock, node);
        return;
    }
    account(mock, node, true);
    node->next = *at;
    *at = node;
}

void mock_tree_each(struct xenpv_mock *mock, void (*visit)(void *ctx, struct record *record),
                    void *ctx)
{
    for (uint32_t i = 0; i < NODE_BUCKETS; i++) {
        for (struct node *node = mock->nodes[i]; node != NULL; node = node->next)
            visit(ctx, node->record);
    }
}

int mock_tree_start(struct xenpv_mock *mock)
{
    static const struct perm dom0_only = {.domid = 0};
    struct node *root = mock_node(mock, "/", 1);

    if (root == NULL)
        return XENPV_ENOMEM;
    root->record = mock_record(mock, &dom0_only, 1);
    if (root->record == NULL) {
        mock_node_free(mock, root);
        return XENPV_ENOMEM;
    }
    mock_tree_put(mock, root);
    return XENPV_OK;
}

void mock_tree_free(struct xenpv_mock *mock)
{
    for (uint32_t i = 0; i < NODE_BUCKETS; i++) {
        while (mock->nodes[i] != NULL) {
            struct node *node = mock->nodes[i];

            mock->nodes[i] = node->next;
            mock_node_free(mock, node);
        }
    }
}
