/* SPDX-License-Identifier: MIT */
/* A part of the store, read node by node. */
#ifndef XENPV_CMD_STORE_TREE_H
#define XENPV_CMD_STORE_TREE_H

#include "machine.h"

struct tree_node {
    char *path;
    const char *name;    /* the last part of it */
    char *value, *perms; /* NULL: not asked for, or not to be read */
    uint32_t length, perms_length;
    struct tree_node *children;
    size_t count;
};

struct tree_wish {
    const char *verb; /* for complaints */
    bool values, perms, deep;
};

/*
 * Reads the node at `path` with its children, and if `deep` with theirs. What is gone meanwhile is
 * left out, and what may not be read is there without what it holds. Exit status; free it anyway.
 */
int tree_read(struct machine *machine, const struct tree_wish *wish, const char *path,
              struct tree_node *root);
void tree_free(struct tree_node *root);

#endif
