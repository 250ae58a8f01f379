/* SPDX-License-Identifier: MIT */
/*
 * The port: the only seam between xenpv and whatever it runs on. An operating system, the mock, or
 * a bare unikernel supplies one struct xenpv_port; the frontends, the backends and the bus state
 * machine of both roles call nothing else.
 *
 * Threads: the store, grant and map calls of one device come from that device's control thread;
 * but grant->share_own, and ->end of what it shared, from the queue's until that has stopped.
 * event->notify, ->take, ->unmask and ->wait_handle of one event channel come from the thread that
 * owns the queue. A port that is shared by several threads must allow these at the same time.
 *
 * Errors are enum xenpv_error. No call blocks for a peer; a call that the operating system can only
 * make blocking (a store request) may block for as long as the hypervisor's own services take.
 */
#ifndef XENPV_PORT_H
#define XENPV_PORT_H

#include <xenpv/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Capabilities: what a port can do beyond the least. They never change while the port is open. */
enum xenpv_port_caps {
    XENPV_CAP_TRANSACTIONS = 1u << 0, /* store batches can be one transaction */
    XENPV_CAP_GRANT_OWN = 1u << 1,    /* grant->share_own works: any page of the caller's */
    XENPV_CAP_MAP = 1u << 2,          /* map->map and ->unmap work */
    XENPV_CAP_COPY = 1u << 3,         /* map->copy works */
    XENPV_CAP_WAIT = 1u << 4,         /* wait handles exist: without it the caller must poll */
};

/* A file descriptor, a HANDLE, or XENPV_NO_HANDLE; readable or signalled means "call again". */
typedef intptr_t xenpv_handle;
#define XENPV_NO_HANDLE ((xenpv_handle)-1)

/* ------------------------------------------------------------------------------------- store -- */

#define XENPV_STORE_VALUE_MAX 4096u /* bytes of a value or list; xs_wire.h XENSTORE_PAYLOAD_MAX */
#define XENPV_STORE_PATH_MAX  256u  /* bytes of a directory's path with its NUL, in this library */

enum xenpv_store_type {
    XENPV_STORE_READ,  /* value <- the node's value, no NUL added */
    XENPV_STORE_LIST,  /* value <- the names of the node's children, each with its NUL */
    XENPV_STORE_WRITE, /* the node's value <- value; created, with its parents, where missing */
    XENPV_STORE_MKDIR, /* the node is made, with its parents, where missing */
    XENPV_STORE_RM,    /* the node and all below it go; XENPV_ENOENT if its parent is missing too */
    /*
     * value <-> who may do what, as xs_wire has it: a letter and a domain's number, each with its
     * NUL. n nothing, r read, w write, b both. The first names the owner, who may do all, and what
     * everybody may who is not named.
     */
    XENPV_STORE_GET_PERMS,
    XENPV_STORE_SET_PERMS,
    /* These two take a domain's number as `dir`, have no name, and may not be in a transaction. */
    XENPV_STORE_DOMAIN_PATH, /* value <- its directory, no NUL added; the domain need not exist */
    XENPV_STORE_INTRODUCED,  /* value <- "T" or "F": whether the store knows it. Dom0's to ask:
                                XENPV_EACCES */
};

/*
 * One operation of a batch, on the node DIR/NAME, or on DIR itself where `name` is NULL. A path
 * that begins with '/' is absolute; any other is relative to the domain's own directory,
 * /local/domain/<domid>. All pointers stay valid and unchanged until the batch has ended.
 */
struct xenpv_store_op {
    enum xenpv_store_type type;
    int32_t status;    /* out: 0 or an error of this operation */
    const char *dir;   /* NUL-terminated */
    const char *name;  /* NUL-terminated, may contain '/', or NULL */
    void *value;       /* WRITE, SET_PERMS: the bytes, only read; MKDIR, RM: unused; else the
                          buffer */
    uint32_t capacity; /* bytes of the buffer */
    uint32_t length;   /* WRITE, SET_PERMS: bytes to write; else out, the value's true length, which
                          may exceed capacity: then status is XENPV_E2BIG and the value is cut */
};

struct xenpv_store_batch {
    struct xenpv_store_op *ops;
    uint32_t count;
    bool transaction; /* all or nothing; only on a port with XENPV_CAP_TRANSACTIONS */
    bool strict;      /* in a transaction: a question that fails gives it up, too. One without a
                         buffer fails with XENPV_E2BIG unless its answer is empty */
    int32_t status;   /* out: 0, or why the batch as a whole has no effect: XENPV_EAGAIN for a
                         conflict, XENPV_ESTORE for a lost connection, or, in a transaction, the
                         first operation's error that made it be given up */
    void *port_data;  /* the port's own while the batch is pending */
};

/*
 * Operations run in their order. Outside a transaction each stands alone: one that fails does not
 * stop the next, and the batch's status is 0. In a transaction a failing READ or LIST is an answer,
 * not a failure, and so of the other questions, unless the batch is strict; a failing WRITE, MKDIR,
 * RM or SET_PERMS gives the transaction up.
 */
struct xenpv_store_ops {
    /* Starts a batch. 0: it has ended, look at the statuses. XENPV_PENDING: it ends later. */
    int (*start)(void *ctx, struct xenpv_store_batch *batch);
    /* 0: the batch has ended; XENPV_PENDING: not yet. Only for a batch that start left pending. */
    int (*check)(void *ctx, struct xenpv_store_batch *batch);
    /* Gives up a pending batch: the port no longer touches it. It may or may not take effect. */
    void (*cancel)(void *ctx, struct xenpv_store_batch *batch);
    /*
     * Asks to be poked when DIR, or a node below it, changes. `cookie` names the watch to ->fired
     * and ->unwatch and is unique in the port; a new watch has fired already. A watch is only a
     * poke: it carries no path, and several changes may give one. The port re-arms it after a
     * suspend or a restart of the store, and pokes it then. XENPV_EACCES, XENPV_ENOSPC (the quota
     * of watches), XENPV_ENOMEM, XENPV_ESTORE.
     */
    int (*watch)(void *ctx, const char *dir, const void *cookie);
    void (*unwatch)(void *ctx, const char *dir, const void *cookie);
    /* True once for each poke since the last call; several pokes may count as one. */
    bool (*fired)(void *ctx, const void *cookie);
    /*
     * Takes the oldest path of a change that this watch has been poked for: 1, and the path with
     * its NUL in `path`, relative if the watch is; 0: no more. A port keeps a few for all watches,
     * the oldest go first, and the watch that lost one is given DIR itself, once, for all that it
     * has lost. Independent of ->fired. NULL: the port is told no paths. XENPV_E2BIG: `capacity` is
     * too small, and nothing was taken.
     */
    int (*changed)(void *ctx, const void *cookie, char *path, uint32_t capacity);
    /* Signalled when a watch may have fired or a batch may have ended; one for the whole port. */
    xenpv_handle (*wait_handle)(void *ctx);
};

/* ------------------------------------------------------------------------------------- grant -- */

/*
 * Pages that a peer domain may map. `memory` is page-aligned, zeroed when new, and valid until
 * ->end or ->forget. A suspend ends the sharing, not the memory: it can still be read, until
 * ->forget.
 */
struct xenpv_grant_region {
    void *memory;
    uint32_t pages;
    uint32_t *refs;     /* the caller's array of `pages` grant references, filled by ->share */
    uint64_t port_data; /* the port's own */
};

struct xenpv_grant_ops {
    /*
     * Shares region->pages new zeroed pages, contiguous here, with domain `domid`, writable by it.
     * The caller has set region->pages (1 or more) and region->refs; the rest is filled in.
     * All or nothing. XENPV_ENOGRANT, XENPV_ENOMEM, XENPV_EACCES.
     */
    int (*share)(void *ctx, uint16_t domid, struct xenpv_grant_region *region);
    /*
     * The same for region->pages pages of the caller's own at region->memory (page-aligned), not
     * zeroed; `writable` false: the peer may only read. Only with XENPV_CAP_GRANT_OWN.
     */
    int (*share_own)(void *ctx, uint16_t domid, struct xenpv_grant_region *region, bool writable);
    /*
     * Ends the peer's access to the whole region. Three honest answers:
     *   0               access has ended for certain; memory of ->share is freed, own memory is
     *                   free for any use;
     *   XENPV_DEFERRED  the port took the region over, for it cannot tell or must wait; it keeps
     *                   the pages until the peer lets go. The memory is no longer the caller's;
     *   XENPV_EBUSY     the peer still maps some of it and nothing has changed; ask again later.
     */
    int (*end)(void *ctx, struct xenpv_grant_region *region);
    /* After a suspend the grants are void: frees what is ours without telling the hypervisor. */
    void (*forget)(void *ctx, struct xenpv_grant_region *region);
};

/* --------------------------------------------------------------------------------------- map -- */

#define XENPV_MAP_READONLY 1u

/* One page of a peer's, mapped here. */
struct xenpv_map_entry {
    uint32_t ref;
    /*
     * out: 0; XENPV_ENOENT: there is no such domain, or its table has no such entry; XENPV_EACCES:
     * the entry grants nothing, or not to us, or not to be written (Xen does not tell which);
     * XENPV_ENOGRANT: no handle or address space is free; XENPV_ENOTSUP: this port cannot map these
     * pages side by side.
     */
    int32_t status;
};

/*
 * A run of `count` pages of one domain, at consecutive addresses here: mapped and unmapped as a
 * whole. If one entry fails nothing stays mapped; every entry's status says how it fared.
 */
struct xenpv_map_region {
    void *memory; /* out */
    struct xenpv_map_entry *entries;
    uint32_t count;
    uint16_t domid;
    uint16_t flags;     /* XENPV_MAP_READONLY */
    uint64_t port_data; /* the port's own */
};

/* Copies `length` bytes between our memory and one page of a peer's; stays inside that page. */
struct xenpv_copy_entry {
    void *local;
    uint32_t ref;
    uint16_t domid;
    uint16_t offset; /* byte in the peer's page */
    uint16_t length; /* offset + length <= 4096 */
    bool to_peer;    /* true: local -> peer */
    int32_t status;  /* out: as for a map entry */
};

struct xenpv_map_ops {
    /* 0, or the first entry's error. Only with XENPV_CAP_MAP. */
    int (*map)(void *ctx, struct xenpv_map_region *region);
    void (*unmap)(void *ctx, struct xenpv_map_region *region);
    /* Tries every entry; 0 when all went well, else the first error. Only with XENPV_CAP_COPY. */
    int (*copy)(void *ctx, struct xenpv_copy_entry *entries, uint32_t count);
};

/* ------------------------------------------------------------------------------------- event -- */

/*
 * An event is one bit: several notifications may be taken as one, and a spurious one is legal. A
 * port that was taken stays masked, and brings no more, until it is unmasked.
 */
struct xenpv_event_ops {
    /* A new port that domain `domid` may bind. XENPV_ENOPORT, XENPV_EACCES, XENPV_ENOMEM. */
    int (*alloc_unbound)(void *ctx, uint16_t domid, uint32_t *port);
    /*
     * A new local port bound to the peer's port. XENPV_ENOENT: there is no such port, or it does
     * not wait for us; XENPV_ENOPORT, XENPV_EACCES, XENPV_ENOMEM.
     */
    int (*bind_interdomain)(void *ctx, uint16_t domid, uint32_t peer_port, uint32_t *port);
    /* Wakes the peer; without effect on a port whose other end is unbound. XENPV_ENOENT. */
    int (*notify)(void *ctx, uint32_t port);
    /* True, and the port is masked, when an event was pending. */
    bool (*take)(void *ctx, uint32_t port);
    void (*unmask)(void *ctx, uint32_t port);
    void (*close)(void *ctx, uint32_t port);
    /*
     * After a suspend the port is void: frees what is ours without telling the hypervisor. Port
     * numbers begin anew then, so the old ones are forgotten before new ones are made.
     */
    void (*forget)(void *ctx, uint32_t port);
    /* Signalled while an event is pending on this port, until it is taken. */
    xenpv_handle (*wait_handle)(void *ctx, uint32_t port);
};

/* --------------------------------------------------------------------------------------- sys -- */

enum xenpv_log_level { XENPV_LOG_ERROR, XENPV_LOG_WARN, XENPV_LOG_INFO, XENPV_LOG_DEBUG };

struct xenpv_sys_ops {
    /*
     * A number that moves whenever the guest has come back from a suspend after which its grants
     * and event channels are void. It is cheap, and may be called from any thread.
     */
    uint32_t (*generation)(void *ctx);
    /* One line of text without a newline; may drop it. */
    void (*log)(void *ctx, enum xenpv_log_level level, const char *line);
    /*
     * The hypervisor's wallclock: nanoseconds since 1970-01-01 UTC. NULL: this port cannot read it.
     * Any thread. XENPV_ENOTSUP: it can not here.
     */
    int (*wallclock)(void *ctx, uint64_t *ns);
};

/* ------------------------------------------------------------------------------------ memory -- */

/* How much memory the domain has. From one thread. A page has 4,096 bytes. */
struct xenpv_memory_ops {
    uint64_t (*pages)(void *ctx);
    /*
     * Gives pages back to the hypervisor, or takes some of those back. Returns how many, which may
     * be fewer than asked for: no more are free, or the hypervisor has none; or a negative error if
     * not one was.
     */
    int64_t (*release)(void *ctx, uint32_t pages);
    int64_t (*take)(void *ctx, uint32_t pages);
};

struct xenpv_port {
    uint32_t size; /* sizeof(struct xenpv_port), set by whoever made it */
    uint32_t caps; /* enum xenpv_port_caps */
    void *ctx;     /* passed as the first argument of every call */
    const struct xenpv_store_ops *store;
    const struct xenpv_grant_ops *grant; /* NULL: this port cannot be a frontend */
    const struct xenpv_map_ops *map;     /* NULL: this port cannot be a backend */
    const struct xenpv_event_ops *event; /* NULL: this port can only look */
    const struct xenpv_sys_ops *sys;
    const struct xenpv_memory_ops *memory; /* NULL: this port cannot change the domain's memory */
};

#ifdef __cplusplus
}
#endif
#endif
