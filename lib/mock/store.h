/* SPDX-License-Identifier: MIT */
/*
 * The mock's xenstored: what its files share. As in mock.h, the machine's lock is held in all of
 * these functions. Paths are canonical ones unless something else is said.
 */
#ifndef MOCK_STORE_H
#define MOCK_STORE_H

#include "mock.h"

#define STORE_EPERM (-100) /* an error that xenstored has and enum xenpv_error has not */

/* One entry of a node's permissions. The first names the owner, and what it says is for others. */
struct perm {
    uint32_t domid;
    uint8_t allowed; /* PERM_READ, PERM_WRITE */
    bool ignored;    /* given to a domain that was not there, or is not there any more */
};

enum { PERM_READ = XENPV_MOCK_READ, PERM_WRITE = XENPV_MOCK_WRITE, PERM_OWNER = 4 };

/*
 * What is known of a node. Never changed, but made anew: so transactions share it, and two
 * pointers that are equal are the same state. The value and the names of the children, each with
 * its NUL, come after the permissions.
 */
struct record {
    uint64_t generation;
    uint32_t references;
    uint32_t perms_count;
    uint32_t length; /* of the value */
    uint32_t children_length;
    struct perm perms[];
};

/* A path and what is there. */
struct node {
    struct node *next;
    struct record *record; /* NULL: nothing */
    uint32_t hash;
    uint32_t path_length;
    char path[]; /* with a NUL */
};

/* What a transaction has seen of a node, and done to it. */
struct access {
    struct access *next;
    struct node *node;    /* as the transaction sees it; its own until it takes effect */
    struct record *first; /* what was there when it came; NULL: nothing */
    bool modified;
    bool fire;
    bool exact; /* fires only watches of that very path */
};

struct transaction {
    struct transaction *next; /* of the connection */
    struct connection *connection;
    struct access *accesses; /* in the order in which they came */
    struct access *last;
    uint32_t id;
    uint32_t nodes;
    bool direct; /* one operation outside of a transaction: it takes effect as soon as it is done */
    bool created;
    bool failed;
};

struct watch {
    struct watch *next; /* in the order in which they came */
    struct connection *connection;
    const void *cookie; /* of a port's watch */
    const char *token;  /* of a wire's */
    bool fired;
    bool lost; /* a poke of it was dropped: DIR itself stands for all that were */
    uint32_t prefix;
    uint32_t path_length;
    char path[]; /* with a NUL; the token's text comes after it */
};

/* A path that a port's watch was poked for, and that the port has not asked for yet. */
struct poke {
    struct poke *next;
    struct watch *watch;
    char path[];
};

/* tree.c: the nodes there are. */
int mock_tree_start(struct xenpv_mock *mock);
void mock_tree_free(struct xenpv_mock *mock);
/* A node that is in no tree yet. NULL: no memory. */
struct node *mock_node(struct xenpv_mock *mock, const char *path, uint32_t length);
void mock_node_free(struct xenpv_mock *mock, struct node *node);
/* NULL when nothing is there. */
struct record *mock_tree_at(const struct xenpv_mock *mock, const char *path, uint32_t length);
/* Takes the node over; one without a record removes what is there. Never fails. */
void mock_tree_put(struct xenpv_mock *mock, struct node *node);
/* Calls `visit` for every record, in no order. */
void mock_tree_each(struct xenpv_mock *mock, void (*visit)(void *ctx, struct record *record),
                    void *ctx);

/* record.c: NULL, no memory. `from` is not changed. */
struct record *mock_record(struct xenpv_mock *mock, const struct perm *perms, uint32_t count);
struct record *mock_record_with_value(struct xenpv_mock *mock, const struct record *from,
                                      const void *value, uint32_t length);
struct record *mock_record_with_perms(struct xenpv_mock *mock, const struct record *from,
                                      const struct perm *perms, uint32_t count);
struct record *mock_record_with_child(struct xenpv_mock *mock, const struct record *from,
                                      const char *name, uint32_t length);
struct record *mock_record_without_child(struct xenpv_mock *mock, const struct record *from,
                                         const char *name, uint32_t length);
struct record *mock_record_share(struct record *record);
void mock_record_drop(struct xenpv_mock *mock, struct record *record);
const uint8_t *mock_record_value(const struct record *record);
const char *mock_record_children(const struct record *record);
/* What xenstored keeps of a node, in bytes. */
uint32_t mock_record_size(const struct record *record);
/* Where among the children's names `name` begins; children_length: nowhere. */
uint32_t mock_record_child(const struct record *record, const char *name, uint32_t length);

/* perms.c */
uint8_t mock_perms_of(const struct domain *domain, const struct record *record);
/* Reads "r7", NUL, "n0", NUL, ... as xenstored does. XENPV_EINVAL. */
int mock_perms_parse(const char *text, uint32_t length, struct perm *perms, uint32_t count);
/* Writes them so; `text` may be NULL with a capacity of 0. Answers their true length. */
uint32_t mock_perms_print(const struct record *record, char *text, uint32_t capacity);
/* Entries of domains that are not there are ignored. XENPV_ENOENT: the owner is not. */
int mock_perms_settle(const struct xenpv_mock *mock, struct perm *perms, uint32_t count);
/* What the dead were allowed is void. */
void mock_perms_forget(struct xenpv_mock *mock, uint32_t domid);
/* Only domain 0 is told of domains. XENPV_ENOMEM: nothing has changed. */
int mock_perms_start(struct xenpv_mock *mock);
/* Of "@introduceDomain" and "@releaseDomain"; NULL: no such name. */
struct record **mock_perms_special(struct xenpv_mock *mock, const char *name);

/* transaction.c */
int mock_transaction_start(struct connection *connection, struct transaction **transaction);
/* NULL when the connection has none of this number. */
struct transaction *mock_transaction(const struct connection *connection, uint32_t id);
/* XENPV_EAGAIN, XENPV_ENOSPC, XENPV_ENOMEM: without effect. It is gone in any case. */
int mock_transaction_end(struct transaction *transaction, bool commit);
void mock_transactions_drop(struct connection *connection);
/* The same of one that is on the stack. */
int mock_transaction_commit(struct transaction *transaction);
void mock_transaction_clear(struct transaction *transaction);
/* *record is NULL when nothing is there. XENPV_ENOSPC, XENPV_ENOMEM. */
int mock_transaction_read(struct transaction *transaction, const char *path, uint32_t length,
                          struct record **record);
/* Takes the record over, also when it fails; NULL removes. XENPV_ENOSPC, XENPV_ENOMEM. */
int mock_transaction_write(struct transaction *transaction, const char *path, uint32_t length,
                           struct record *record);
/* Watches are to be told of a node that was written. */
void mock_transaction_fire(struct transaction *transaction, const char *path, uint32_t length,
                           bool exact);

/* store.c, store_rm.c, store_perms.c: xenstored's answers. A failure of a direct one wants it cleared. */
int mock_store_get(struct transaction *transaction, const char *path, uint8_t need,
                   struct record **record);
int mock_store_write(struct transaction *transaction, const char *path, const void *value,
                     uint32_t length);
int mock_store_mkdir(struct transaction *transaction, const char *path);
int mock_store_rm(struct transaction *transaction, const char *path);
/* The entries are settled. */
int mock_store_set_perms(struct transaction *transaction, const char *path,
                         const struct perm *perms, uint32_t count);
/* All of SET_PERMS, on a path as it was given, or the name of a special watch. */
int mock_store_set_perms_text(struct transaction *transaction, const char *dir, const char *name,
                              const char *text, uint32_t length);
/* Puts a record in its place within what the domain may write. XENPV_ENOSPC, XENPV_ENOMEM. */
int mock_store_put(struct transaction *transaction, const char *path, uint32_t length,
                   struct record *record);
uint32_t mock_parent_length(const char *path, uint32_t length);
/* The nodes a domain owned go with it. XENPV_ENOMEM: nothing has changed. */
int mock_store_domain_died(struct domain *dead);

/* watch.c */
struct watch *mock_watch(struct connection *connection, const char *dir, const char *token);
int mock_watch_add(struct connection *connection, const char *dir, const char *token,
                   const void *cookie, struct watch **watch);
void mock_watch_drop(struct watch *watch);
void mock_watches_drop(struct connection *connection);
uint32_t mock_watches_count(const struct domain *domain);
/* Tells the watch of a path below it. */
void mock_watch_event(struct watch *watch, const char *path);
/* Tells those who may read one of `seen`, which may be NULL. */
void mock_watch_fire(struct xenpv_mock *mock, const char *path, bool exact,
                     struct record *const seen[3]);
void mock_watch_special(struct xenpv_mock *mock, const char *name);

/* poke.c: watches of the ports. */
int mock_port_watch(struct domain *domain, const char *dir, const void *cookie);
void mock_port_unwatch(struct domain *domain, const char *dir, const void *cookie);
bool mock_port_fired(struct domain *domain, const void *cookie);
int mock_port_changed(struct domain *domain, const void *cookie, char *path, uint32_t capacity);
void mock_poke(struct watch *watch, const char *path);
void mock_pokes_drop(const struct watch *watch);
void mock_port_poke_all(struct domain *domain);

/* toolstack.c: what a fresh machine has. */
int mock_toolstack_first_nodes(struct transaction *transaction);

/* connection.c */
void mock_connection_start(struct connection *connection, struct domain *domain,
                           struct xenpv_mock_wire *wire);
/* Its watches and transactions go. */
void mock_connection_reset(struct connection *connection);
void mock_connection_end(struct connection *connection);
bool mock_privileged(const struct domain *domain);

#endif
