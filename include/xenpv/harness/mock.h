/* SPDX-License-Identifier: MIT */
/*
 * A deterministic Xen in one process: domains, grants, event channels, a xenstored and a clock, for
 * testing frontends and backends without a hypervisor. It is as strict as the real one: what real
 * Xen or xenstored refuses, it refuses.
 *
 * Where it is less than a real Xen: map->map answers XENPV_ENOTSUP (in the entry too) for pages
 * that are not consecutive in this process, for it cannot move memory as a hypervisor can. The
 * pages of one grant->share are consecutive in the order of their references.
 *
 * A port has the capabilities TRANSACTIONS, GRANT_OWN, MAP and COPY, and no wait handles.
 *
 * It takes the caller's allocator and uses no stdio, no threads and no clock of its own. If the
 * configuration brings a lock, the calls of this header and those of the ports may come from
 * several threads; create and destroy have the machine to themselves.
 */
#ifndef XENPV_HARNESS_MOCK_H
#define XENPV_HARNESS_MOCK_H

#include <xenpv/harness/allocator.h>
#include <xenpv/port.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_mock;

/* Limits; a 0 takes the default that Xen 4.17 and its xenstored have, given in parentheses. */
struct xenpv_mock_limits {
    uint32_t grants;        /* grant references of a domain (32,768, of which 0..7 are reserved) */
    uint32_t ports;         /* event channels of a domain (4,096, of which 0 is reserved) */
    uint32_t maps;          /* foreign pages a domain may have mapped at once (65,536) */
    uint32_t store_nodes;   /* nodes an unprivileged domain may own (1,000) */
    uint32_t store_watches; /* watches of an unprivileged domain; 4.17 takes one more (128) */
    uint32_t store_record; /* bytes below which a node must stay that an unprivileged domain writes:
                              value, names of children with their NULs, 24, and 8 for each
                              permission entry (2,048) */
    uint32_t store_perms;  /* permission entries of a node that it sets (5) */
    uint32_t store_path;   /* bytes of a path after /local/domain/<domid>/ (2,048) */
    uint32_t store_transactions;      /* open; xenstored 4.17 lets one more be started (10) */
    uint32_t store_transaction_nodes; /* nodes that one of its transactions may look at (1,024) */
    uint32_t store_outstanding; /* its requests whose answer, or an event of which, waits to be
                                   read; with these, none of its requests is read (20) */
    uint32_t store_event_ms;    /* after which an event that it has not read is dropped (20,000) */
    uint32_t store_memory;      /* bytes of its nodes, watches and of what waits for it: with these,
                                   it is sent no events, and its requests are not read (2.5 MiB) */
};

struct xenpv_mock_config {
    uint32_t size; /* sizeof(struct xenpv_mock_config) */
    struct xenpv_allocator allocator;
    struct xenpv_mock_limits limits;
    /* Both NULL, or a lock held around every call of a port: for use from several threads. */
    void (*lock)(void *ctx);
    void (*unlock)(void *ctx);
    /*
     * Where ports log, or NULL. `domid` is the domain whose port logged. The mock itself logs, as
     * errors that begin with "mock: ", the calls that no correct guest makes and that the port
     * cannot refuse: to end, close, forget or unmap what does not exist, to end or close after a
     * suspend what must be forgotten, to forget what is still good. They have no effect.
     */
    void (*log)(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line);
    void *ctx; /* of lock, unlock and log */
};

/*
 * Makes an empty machine: domain 0, privileged, is in it from the start; the store holds
 * /local/domain/0, /tool/xenstored and /vm. The clock starts at 0.
 * XENPV_EINVAL, XENPV_ENOMEM.
 */
int xenpv_mock_create(const struct xenpv_mock_config *config, struct xenpv_mock **mock);

/* Frees the machine with all in it. Ports handed out are void from here on. NULL is ignored. */
void xenpv_mock_destroy(struct xenpv_mock *mock);

/*
 * Adds an unprivileged domain, 1..0x7fef, and what a toolstack makes for it in the store:
 * /local/domain/<domid> afresh, its own `domid`, and the directories of libxl, among them `device`
 * and `control`, which the domain may only read, and `data`, which it owns. @introduceDomain fires.
 * XENPV_EINVAL, XENPV_EEXIST, XENPV_ENOMEM.
 */
int xenpv_mock_add_domain(struct xenpv_mock *mock, uint16_t domid);

/*
 * A domain dies. Its ports, mappings and watches go, and its pending batches end with XENPV_ESTORE.
 * Its grants are void and its generation moves, so that whoever plays it forgets what it held;
 * pages that are not forgotten go with the machine. As in xenstored, the nodes it owns are removed,
 * permissions given to it are void, and @releaseDomain fires; /local/domain/<domid> stays, for that
 * is the toolstack's. Its port refuses from here on: XENPV_EACCES, or XENPV_ESTORE from the store.
 * Not domain 0. XENPV_ENOENT; XENPV_ENOMEM: it lives on.
 */
int xenpv_mock_remove_domain(struct xenpv_mock *mock, uint16_t domid);

/* The port of one domain; it lives as long as the machine. XENPV_ENOENT. */
int xenpv_mock_port(struct xenpv_mock *mock, uint16_t domid, struct xenpv_port *port);

/*
 * The machine's clock, in milliseconds; only ->advance moves it, and runs the delayed store
 * batches that have come due, in the order of their time.
 */
uint64_t xenpv_mock_now(const struct xenpv_mock *mock);
void xenpv_mock_advance(struct xenpv_mock *mock, uint64_t ms);

/*
 * The domain is suspended and restored: its generation moves; every grant it gave and every port it
 * had is gone in the hypervisor, though its own memory stays until forgotten, and longer while a
 * peer maps it; its watches all fire. What it mapped itself stays mapped. Memory of ->share_own is
 * the caller's, and so it must outlive the peer's mappings itself. XENPV_ENOENT.
 */
int xenpv_mock_suspend(struct xenpv_mock *mock, uint16_t domid);

/* What a domain holds at this moment. All zero: it has let go of everything. */
struct xenpv_mock_ledger {
    uint32_t grants;        /* pages granted and neither ended nor forgotten */
    uint32_t grants_mapped; /* of these, mapped by a peer; counted once for each mapping */
    uint32_t deferred; /* pages it let go of, by a deferred ->end or ->forget, and a peer maps */
    uint32_t ports;    /* event channels neither closed nor forgotten */
    uint32_t maps;     /* foreign pages mapped */
    uint32_t watches;  /* watches registered */
};
/* XENPV_ENOENT. */
int xenpv_mock_ledger(const struct xenpv_mock *mock, uint16_t domid,
                      struct xenpv_mock_ledger *ledger);

/*
 * How grant->end answers when the peer still maps the region: as a kernel that can ask does (false:
 * XENPV_EBUSY), or as Linux gntalloc does, which cannot (true: XENPV_DEFERRED). False at the start.
 * Until the peer lets go, a deferred grant is still valid. Memory of ->share_own is not the port's
 * to keep, and is answered with XENPV_EBUSY in both cases. XENPV_ENOENT.
 */
int xenpv_mock_set_deferred_end(struct xenpv_mock *mock, uint16_t domid, bool deferred);

/*
 * The domain's next `transactions` transactions end in XENPV_EAGAIN, without effect, as if another
 * domain had changed what they touched. XENPV_ENOENT.
 */
int xenpv_mock_set_conflicts(struct xenpv_mock *mock, uint16_t domid, uint32_t transactions);

/*
 * The domain's store batches take `ms` milliseconds of the machine's clock: they are pending until
 * then, and run, and end, in ->advance; 0, as at the start, ends them at once. A domain's batches
 * end in the order in which they were started. XENPV_ENOENT.
 */
int xenpv_mock_set_store_delay(struct xenpv_mock *mock, uint16_t domid, uint32_t ms);

/*
 * The wallclock of sys->wallclock when the machine's clock stands at 0, in nanoseconds since
 * 1970-01-01 UTC; at the start 1,600,000,000 seconds. Set, it jumps for every domain.
 */
void xenpv_mock_set_wallclock(struct xenpv_mock *mock, uint64_t ns);

/*
 * A domain's memory: what memory->pages answers, and how many pages it can ->take until it has
 * `limit` of them. At the start it has 65,536, and no more. XENPV_ENOENT; XENPV_EINVAL: more pages
 * than `limit`.
 */
int xenpv_mock_set_memory(struct xenpv_mock *mock, uint16_t domid, uint64_t pages, uint64_t limit);

/* ------------------------------------------------------------- xenstored, as a client sees it -- */

/*
 * A connection to xenstored that carries the messages of xs_wire.h, as a socket or a ring page
 * does. It has watches and transactions of its own; permissions and quotas are those of its domain,
 * and so a connection of domain 0 is a privileged one. It lasts until it is closed, or as long as
 * the machine.
 */
struct xenpv_mock_wire;

/* XENPV_ENOENT: no such domain; XENPV_ENOMEM. */
int xenpv_mock_wire_open(struct xenpv_mock *mock, uint16_t domid, struct xenpv_mock_wire **wire);

/* Closes it: its watches go, and its transactions, without effect. NULL is ignored. */
void xenpv_mock_wire_close(struct xenpv_mock_wire *wire);

/*
 * Gives the server any piece of a stream of messages: a message may come byte by byte, or many at
 * once. What is complete is answered before the call returns, except that the server reads no
 * further while an unprivileged domain has too many requests outstanding, and that the domain's
 * xenpv_mock_set_store_delay holds it up. XENPV_EFULL: more than 64 KiB would wait unread, and
 * nothing was taken. XENPV_ESTORE: the server has dropped the connection, with this piece or
 * before: for a header of more than 4,096 bytes of payload, or because it was restarted, the domain
 * died or was released, or there was no memory for an answer.
 */
int xenpv_mock_wire_put(struct xenpv_mock_wire *wire, const void *bytes, uint32_t count);

/*
 * Takes up to `capacity` bytes of the stream of answers and watch events, in their order; answers
 * how many, and 0 where there are none. What was there when a connection was dropped can be taken
 * still.
 */
uint32_t xenpv_mock_wire_get(struct xenpv_mock_wire *wire, void *bytes, uint32_t capacity);

/*
 * The page of xs_wire.h's struct xenstore_domain_interface through which the domain may speak to
 * xenstored, 4,096 bytes, and its event channel, a local port of that domain that its ledger leaves
 * out. What the server advertises there xenpv_mock_set_store_features says. It serves the page
 * inside of event->notify on that port and of xenpv_mock_advance; events that others cause come
 * when they cause them. The page lasts as long as the machine. Asked for again, the same is
 * answered; but after a suspend the toolstack has made a new connection of it: the page is zeroed,
 * the port is a new one, and watches and transactions are gone.
 * XENPV_ENOENT, XENPV_ENOPORT, XENPV_ENOMEM.
 */
int xenpv_mock_wire_ring(struct xenpv_mock *mock, uint16_t domid, void **page, uint32_t *port);

/*
 * What the server advertises in the ring pages that are made from here on, and does then:
 *   0                  C xenstored of Xen 4.17: whatever `connection` says, it does not reconnect a
 *                      page, but for a restart's end; it sets `error`, though no bit says so
 *   RECONNECT          oxenstored: it reconnects, and never sets `error`
 *   ERROR              a C xenstored younger than that
 *   RECONNECT | ERROR  no server yet, though the protocol has it; so at the start
 * XENPV_EINVAL: any other bit.
 */
#define XENPV_MOCK_STORE_RECONNECT 1u
#define XENPV_MOCK_STORE_ERROR     2u
int xenpv_mock_set_store_features(struct xenpv_mock *mock, uint32_t features);

/*
 * xenstored ends and is started anew. Watches, transactions and what was on its way are gone.
 * Connections of xenpv_mock_wire_open are dropped. A ring page, if it was made with
 * XENPV_MOCK_STORE_RECONNECT, has 1, reconnecting, in `connection`, and its port an event; the next
 * xenpv_mock_advance empties any page, puts 0 there and sends another event. The ports connect
 * again by themselves: their pending batches end with XENPV_ESTORE, their watches are armed again
 * and poked. `keep` true: the store is as it was; false: as that of a fresh machine, without the
 * directories of other domains. XENPV_ENOMEM: nothing has happened.
 */
int xenpv_mock_store_restart(struct xenpv_mock *mock, bool keep);

/* --------------------------------------------------------- the toolstack's part of the store -- */

enum xenpv_mock_perm { XENPV_MOCK_NONE = 0, XENPV_MOCK_READ = 1, XENPV_MOCK_WRITE = 2 };

struct xenpv_mock_perms {
    uint16_t owner;
    uint8_t others;  /* enum xenpv_mock_perm bits for everybody not named */
    uint16_t domid;  /* one more domain ... */
    uint8_t allowed; /* ... and what it may do */
};

/*
 * Writes a node as domain 0, made with its parents where missing. These four answer XENPV_EINVAL
 * for a path that xenstored would not take, XENPV_ENOENT, XENPV_E2BIG, XENPV_ENOMEM.
 */
int xenpv_mock_write(struct xenpv_mock *mock, const char *path, const char *value);
/* Reads a node as domain 0 into `value`, always NUL-terminated. XENPV_E2BIG when it is longer. */
int xenpv_mock_read(struct xenpv_mock *mock, const char *path, char *value, uint32_t capacity);
/* Removes a node and all below it as domain 0. */
int xenpv_mock_rm(struct xenpv_mock *mock, const char *path);
/* XENPV_ENOENT also for an owner that is no domain; a permission given to no domain is ignored. */
int xenpv_mock_set_perms(struct xenpv_mock *mock, const char *path,
                         const struct xenpv_mock_perms *perms);

/*
 * Makes both directories of a virtual block device as libxl does, keys, states and permissions
 * included: <frontend>/device/vbd/<vdev> and <backend>/backend/vbd/<frontend>/<vdev>, state 1, with
 * the keys of libxl: backend, backend-id, state, virtual-device, device-type, trusted; frontend,
 * frontend-id, online, params, mode "r" or "w", dev, type, removable, bootable, state, device-type,
 * discard-enable.
 * XENPV_ENOENT: no such domain; XENPV_EEXIST; XENPV_E2BIG, XENPV_ENOMEM.
 */
struct xenpv_mock_vbd {
    uint16_t frontend, backend;
    uint32_t vdev;
    bool readonly;
    const char *params; /* goes into the key `params` */
};
int xenpv_mock_add_vbd(struct xenpv_mock *mock, const struct xenpv_mock_vbd *vbd);

/*
 * Removes both directories, and those above that are empty then, as libxl does once both ends are
 * closed. 0 also when they are gone already. XENPV_ENOMEM.
 */
int xenpv_mock_remove_vbd(struct xenpv_mock *mock, const struct xenpv_mock_vbd *vbd);

/*
 * The same of a virtual network card: <frontend>/device/vif/<number> and
 * <backend>/backend/vif/<frontend>/<number>, state 1, with backend, backend-id, handle, mac, mtu,
 * trusted, state; frontend, frontend-id, handle, mac, online, state. Errors as of
 * xenpv_mock_add_vbd.
 */
struct xenpv_mock_vif {
    uint16_t frontend, backend;
    uint32_t number;
    uint32_t mtu;
    bool untrusted;  /* the backend: key `trusted` 0 */
    const char *mac; /* "00:16:3e:00:00:01" */
};
int xenpv_mock_add_vif(struct xenpv_mock *mock, const struct xenpv_mock_vif *vif);

#ifdef __cplusplus
}
#endif
#endif
