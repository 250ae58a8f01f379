/* SPDX-License-Identifier: MIT */
/* What the store commands share. */
#ifndef XENPV_CMD_STORE_H
#define XENPV_CMD_STORE_H

#include "machine.h"

/* What an error means for a node. */
const char *node_error(int error);
/* "store VERB PATH: ..."; returns the exit status. */
int complain_of_node(const char *verb, const char *path, int error);

/* A value as text: printable ASCII as it is, the backslash doubled, all else as \xNN. */
void print_value(const char *bytes, uint32_t length);
/* The names of a list, or permissions, each with its NUL, as a JSON array. */
void json_list(const char *key, const char *bytes, uint32_t length);
/* Permissions, e.g. "n0,r7" with ',' between them. */
void print_permissions(const char *bytes, uint32_t length, char between);

/* The answer to a question as text, with the path before it if `prefix`; and as JSON. */
typedef void store_print(const char *path, const char *bytes, uint32_t length, bool prefix);
typedef void store_json(const char *bytes, uint32_t length);
store_print store_print_value, store_print_names, store_print_perms;
store_json store_json_value, store_json_names, store_json_perms, store_json_exists;

/* PATH/NAME, to be freed, or NULL; of "/" there is no slash more. */
char *join_path(const char *path, const char *name);
/* The domain's own directory, absolute, to be freed: exit status. */
int own_directory(struct machine *machine, char **path);

/*
 * Appends modes, as r5 and n0, in the form of XENPV_STORE_SET_PERMS. NULL: it is done; else what is
 * wrong with one.
 */
struct modes {
    char bytes[XENPV_STORE_VALUE_MAX];
    uint32_t length;
};
const char *add_mode(struct modes *modes, const char *text);

/* cmd_store_look.c */
int run_store_ls(const struct options *options, int count, char **arguments);
int run_store_read(const struct options *options, int count, char **arguments);
int run_store_exists(const struct options *options, int count, char **arguments);
int run_store_getperms(const struct options *options, int count, char **arguments);
/* cmd_store_tree.c */
int run_store_tree(const struct options *options, int count, char **arguments);
/* cmd_store_change.c */
int run_store_write(const struct options *options, int count, char **arguments);
int run_store_mkdir(const struct options *options, int count, char **arguments);
int run_store_rm(const struct options *options, int count, char **arguments);
int run_store_chmod(const struct options *options, int count, char **arguments);
/* cmd_store_watch.c */
int run_store_watch(const struct options *options, int count, char **arguments);
/* cmd_store_script.c */
int run_store_transaction(const struct options *options, int count, char **arguments);

#endif
