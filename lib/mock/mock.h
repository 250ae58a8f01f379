/* SPDX-License-Identifier: MIT */
/*
 * What the files of the mock share. The machine's lock is held in all of these functions: port.c
 * takes it for the ports, mock.c and toolstack.c for the functions of the public header.
 */
#ifndef MOCK_MOCK_H
#define MOCK_MOCK_H

#include <xenpv/harness/mock.h>

#define FIRST_FREE_REF   8u      /* 0..7 are reserved by Xen's ABI */
#define FIRST_DOMID_NONE 0x7ff0u /* DOMID_FIRST_RESERVED of xen.h */
#define ABSOLUTE_MAX     3072u   /* XENSTORE_ABS_PATH_MAX of xs_wire.h */
#define RELATIVE_MAX     2048u   /* XENSTORE_REL_PATH_MAX of xs_wire.h */
#define DOMID_SELF       0x7ff0u /* of xen.h */
#define NODE_BUCKETS     4096u
#define FIRST_PAGES      65536u /* a domain's, until a test says otherwise */

enum region_state {
    REGION_LIVE,
    REGION_DEFERRED,  /* ended by its owner while the peer mapped it; still valid, as on Linux */
    REGION_VOID,      /* its grants went with a suspend or its domain; its owner holds the memory */
    REGION_ABANDONED, /* nobody's any more, but still mapped by the peer */
};

/* What one ->share or ->share_own made. */
struct region {
    struct region *next;
    struct region **link; /* what points to this region */
    struct domain *owner;
    void *memory;
    uint64_t id;
    uint32_t pages;
    uint32_t mapped; /* mappings of its pages, all together */
    uint16_t peer;
    bool writable;
    bool caller_owned;
    enum region_state state;
    uint32_t refs[];
};

/* One entry of a grant table. */
struct grant {
    struct region *region; /* NULL: free */
    uint32_t page;
    uint32_t next_free; /* of a free entry: the next one, 0 at the end */
};

/* What one ->map made. */
struct mapping {
    struct mapping *next;
    uint64_t id;
    uint32_t count;
    struct region *regions[];
};

enum channel_state {
    CHANNEL_FREE,
    CHANNEL_UNBOUND,
    CHANNEL_BOUND,
    CHANNEL_STORE, /* of the ring page, whose other end is xenstored */
    CHANNEL_VOID,  /* went with a suspend or its domain, and its owner has not forgotten it */
};

struct channel {
    enum channel_state state;
    bool pending;
    bool masked;
    uint16_t remote_domid;
    uint32_t remote_port;  /* of a bound channel */
    struct domain *remote; /* of a bound channel */
};

/* What a domain has open at xenstored: its port, or a wire. */
struct connection {
    struct connection *next; /* of the domain */
    struct domain *domain;
    struct xenpv_mock_wire *wire; /* NULL: the port */
    struct watch *watches;
    struct transaction *transactions;
    struct poke *pokes; /* of a port, the oldest first */
    uint32_t pokes_count;
    uint32_t last_transaction;
};

/* A port's ctx. It outlives the domain, so that what a dead guest still calls is refused, no more.
 */
struct domain {
    struct xenpv_mock *mock;
    struct domain *next;
    uint16_t domid;
    bool dead;
    bool deferred_end;
    uint32_t generation;

    struct grant *grants;
    uint32_t grants_size; /* entries there is memory for */
    uint32_t grants_top;  /* entries from here on were never used */
    uint32_t grants_free; /* entries on the free list */
    uint32_t free_ref;    /* head of the free list, 0 when empty */
    struct region *regions;

    struct mapping *mappings;
    uint32_t maps;

    struct channel *channels;
    uint32_t channels_size;

    struct connection port;
    struct connection *connections;
    struct xenpv_mock_wire *ring; /* NULL: never asked for */
    bool introduced;              /* xenstored knows it */
    bool has_target;
    uint32_t target;       /* the domain whose rights it has too */
    uint32_t nodes;        /* that it owns */
    uint32_t memory;       /* bytes that xenstored keeps for it */
    uint32_t transactions; /* open */
    uint32_t outstanding;  /* requests that are not answered, or an event of which waits */
    int32_t more_nodes;    /* scratch of a transaction's end */
    uint32_t conflicts;    /* transactions still to refuse */
    uint64_t store_delay;  /* milliseconds */

    uint64_t pages;
    uint64_t pages_limit;
};

/* A batch that ends later. */
struct pending {
    struct pending *next;
    struct domain *domain;
    struct xenpv_store_batch *batch;
    uint64_t due;
};

struct xenpv_mock {
    struct xenpv_mock_config config;
    struct domain *domains;
    struct node *nodes[NODE_BUCKETS];
    struct record *introduce_perms, *release_perms;
    uint64_t generation;     /* of the last change of a node */
    struct request *request; /* of a guest, that is being answered; or NULL */
    struct pending *pending; /* the earliest first */
    uint64_t now;
    uint64_t wallclock;      /* nanoseconds since 1970, when `now` was 0 */
    uint32_t store_features; /* XENPV_MOCK_STORE_* */
    uint64_t last_id;
    char path[ABSOLUTE_MAX + 1]; /* scratch: the canonical path of the running operation */
    char walk[ABSOLUTE_MAX + 1]; /* scratch: where a removal is */
};

/* mock.c */
void mock_lock(const struct xenpv_mock *mock);
void mock_unlock(const struct xenpv_mock *mock);
/* Zeroed memory, or NULL. */
void *mock_alloc(struct xenpv_mock *mock, size_t bytes, size_t align);
void mock_free(struct xenpv_mock *mock, void *memory);
/* Makes *array hold `need` items at least, the new ones zeroed. XENPV_ENOMEM. */
int mock_grow(struct xenpv_mock *mock, void **array, uint32_t *size, uint32_t need, size_t item);
/* NULL when there is none alive. */
struct domain *mock_domain(const struct xenpv_mock *mock, uint32_t domid);
void mock_log(const struct domain *domain, enum xenpv_log_level level, const char *line);
/* Logs a call that no correct guest makes. */
void mock_misuse(const struct domain *domain, const char *what, uint32_t number);

/* grant.c */
int mock_grant_share(struct domain *domain, uint16_t peer, struct xenpv_grant_region *region,
                     bool caller_owned, bool writable);
int mock_grant_end(struct domain *domain, struct xenpv_grant_region *region);
void mock_grant_forget(struct domain *domain, struct xenpv_grant_region *region);
/* What a reference stands for; NULL: nothing. */
struct region *mock_grant_at(const struct domain *domain, uint32_t ref);
void mock_grant_unmapped(struct region *region);
void mock_grants_void(struct domain *domain);
void mock_grants_free(struct domain *domain);

/* map.c */
int mock_map(struct domain *domain, struct xenpv_map_region *region);
void mock_unmap(struct domain *domain, struct xenpv_map_region *region);
int mock_copy(struct domain *domain, struct xenpv_copy_entry *entries, uint32_t count);
void mock_unmap_all(struct domain *domain);

/* event.c */
int mock_event_alloc_unbound(struct domain *domain, uint16_t peer, uint32_t *port);
int mock_event_bind(struct domain *domain, uint16_t peer, uint32_t peer_port, uint32_t *port);
int mock_event_notify(struct domain *domain, uint32_t port);
bool mock_event_take(struct domain *domain, uint32_t port);
void mock_event_unmask(struct domain *domain, uint32_t port);
void mock_event_close(struct domain *domain, uint32_t port);
void mock_event_forget(struct domain *domain, uint32_t port);
void mock_events_void(struct domain *domain);
/* The port of the ring page. */
int mock_event_store_port(struct domain *domain, uint32_t *port);
/* The domain's own end of a channel has an event. */
void mock_event_raise(struct domain *domain, uint32_t port);

/* wire_ring.c: the domain has sent an event to xenstored. */
void mock_ring_poked(struct domain *domain);

/* memory.c */
uint64_t mock_memory_pages(const struct domain *domain);
int64_t mock_memory_release(struct domain *domain, uint32_t pages);
int64_t mock_memory_take(struct domain *domain, uint32_t pages);

/* path.c: canonical paths go to mock->path. XENPV_EINVAL. */
int mock_path(struct domain *domain, const char *dir, const char *name);
int mock_path_of_watch(struct domain *domain, const char *dir);
/* Is `path` the node `above`, or below it? */
bool mock_path_below(const char *path, const char *above);
/* A domain's own directory, as text. */
void mock_path_of_domain(uint32_t domid, char *path, uint32_t capacity);

/* xenstored.c */
int mock_store_start(struct xenpv_mock *mock);
void mock_store_end(struct xenpv_mock *mock);
bool mock_store_introduced(const struct xenpv_mock *mock, uint32_t domid);
void mock_store_introduce(struct domain *domain);
/* The domain has left, and its nodes are gone. */
void mock_store_domain_left(struct domain *domain);
void mock_store_domain_resumed(struct domain *domain);
/* The domain itself is about to go. */
void mock_store_domain_end(struct domain *domain);

/* batch.c */
int mock_batch_start(struct domain *domain, struct xenpv_store_batch *batch);
int mock_batch_check(const struct xenpv_store_batch *batch);
void mock_batch_cancel(struct domain *domain, struct xenpv_store_batch *batch);
void mock_batches_advance(struct xenpv_mock *mock, uint64_t until);
void mock_batches_fail(struct domain *domain);
void mock_batches_free(struct xenpv_mock *mock);

/* port.c */
void mock_port_init(struct domain *domain, struct xenpv_port *port);

/* toolstack.c: the directories of a new domain. */
int mock_toolstack_add_domain(struct xenpv_mock *mock, uint16_t domid);

#endif
