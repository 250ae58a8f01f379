/* SPDX-License-Identifier: MIT */
/*
 * A block backend from inside. blkback.c is the handle and its steps; _connect.c the handshake and
 * what is shared; _keys.c what the store says; _serve.c answers requests; _data.c moves their data;
 * _cache.c keeps the frontend's pages mapped; _resize.c tells a new size.
 */
#ifndef XENPV_BACKEND_BLKBACK_H
#define XENPV_BACKEND_BLKBACK_H

#include <xenpv/abi/blkif.h>
#include <xenpv/harness/blkback.h>
#include <xenpv/ring.h>

#define BLKBACK_QUEUES     64u
#define BLKBACK_RING_ORDER 4u
#define BLKBACK_RING_PAGES (1u << BLKBACK_RING_ORDER)
#define BLKBACK_SEGMENTS   4096u
#define BLKBACK_PERSISTENT 65536u
/* Segments of one page of an indirect request. */
#define BLKBACK_INDEX_PAGE (XENPV_PAGE_SIZE / 8)

#define BLKBACK_OWN     2
#define BLKBACK_ANSWERS 5
/* Keys asked of each queue: its ring's pages and its event channel. */
#define BLKBACK_ASKED (BLKBACK_RING_PAGES + 1)
/* The most keys at once: a publication removes all there may be before it puts its own. */
#define BLKBACK_ROOM 20u

/* Sizes as powers of two, and what follows from them. */
struct blkback_units {
    uint8_t sectors;      /* of the key `sectors` */
    uint8_t number;       /* of sector numbers, and of a discard's count */
    uint8_t segment;      /* of a segment's first and last */
    uint8_t last;         /* the last unit of a page */
    uint32_t sector_size; /* bytes; nothing begins or ends between */
};

/* A page of the frontend's that is kept mapped. */
struct blkback_page {
    struct xenpv_map_region map;
    struct xenpv_map_entry entry;
    struct blkback_page *newer, *older; /* a circle through the cache's `ends` */
    struct blkback_page *next;          /* in its bucket */
};

struct blkback_cache {
    struct blkback_page *pages; /* `bound` of them, of which `count` were ever used */
    struct blkback_page **buckets;
    uint32_t bound, count;
    uint32_t shift;             /* 32 - log2 of the number of buckets */
    struct blkback_page *spare; /* one that is unused, or NULL */
    struct blkback_page ends;   /* ends.older: the newest; ends.newer: the oldest */
};

struct blkback_queue {
    bool more;     /* it must be looked at again before anything is waited for */
    bool armed;    /* the frontend was asked to notify us of its next request */
    bool numbered; /* its pages are named ring-ref0 and so on, not ring-ref */
    struct xenpv_ring ring;
    struct blkback_cache cache; /* bound 0: nothing is kept mapped */
    struct xenpv_map_region ring_map;
    uint32_t event_port, peer_port;
    struct xenpv_map_entry ring_pages[BLKBACK_RING_PAGES];
};

/* What one request needs on its way; private, so that the frontend cannot change it. */
struct blkback_scratch {
    uint8_t *data;                   /* NULL: no data is moved */
    struct xenpv_blkif_segment *seg; /* of an indirect request, as on its pages */
    struct xenpv_copy_entry *copies; /* one for each segment */
    uint8_t **pages;                 /* the same */
    void *memory;                    /* all of it */
};

struct blkback_resize {
    bool wanted, started;
    uint64_t retry_at;
    struct xenpv_store_batch batch;
    struct xenpv_store_op ops[3];
    char text[3][24];
};

struct xenpv_blkback {
    struct xenpv_bus bus;
    struct xenpv_blkback_config config;
    const struct xenpv_port *port;
    const struct xenpv_disk *disk;
    struct xenpv_blkback_stats stats;
    struct blkback_units units;
    struct blkback_scratch scratch;
    struct blkback_resize resize;

    /* What the frontend asked for. */
    enum xenpv_abi abi;
    bool persistent;
    bool numbered;       /* ring-ref0 and so on, not ring-ref ... */
    bool disputed;       /* ... or either, whichever is there */
    uint32_t ring_pages; /* of each queue */
    uint32_t asked_queues;
    uint32_t queues;     /* that are attached: rings mapped and event channels bound ... */
    uint32_t generation; /* ... in this one of the port's */

    bool discard;        /* the toolstack has nothing against it */
    bool readonly;       /* the disk is, or the toolstack says so */
    uint32_t busy_steps; /* in a row */

    struct xenpv_key_value own[BLKBACK_OWN], answer[BLKBACK_ANSWERS], asked[BLKBACK_ASKED];
    struct xenpv_store_op ops[BLKBACK_ROOM + XENPV_BUS_ROWS];
    struct xenpv_bus_row rows[BLKBACK_ROOM + XENPV_BUS_ROWS];
    struct blkback_queue queue[];
};

/* A request that moves data, in bytes. */
struct blkback_transfer {
    const struct xenpv_blkif_segment *seg;
    uint32_t count;
    uint32_t bytes;
    uint64_t offset;
    bool write;
};

/* _connect.c */
extern const struct xenpv_bus_driver blkback_driver;
/* Unmaps and closes all that the frontend shares. */
void blkback_detach(struct xenpv_blkback *back);

/* _keys.c */
extern const struct xenpv_key blkback_own_keys[BLKBACK_OWN];
extern const struct xenpv_key blkback_answer_keys[BLKBACK_ANSWERS];
/* Takes what the toolstack says. */
void blkback_take_own(struct xenpv_blkback *back);
void blkback_clean(void *owner);
int blkback_put_offer(struct xenpv_blkback *back);
int blkback_put_properties(struct xenpv_blkback *back);
/* The key `sectors`. */
uint64_t blkback_sectors(const struct xenpv_blkback *back);
/* Judges the answer, then asks for the keys of one queue a round. */
int blkback_more(void *owner, uint32_t round);
/* Fails the connection over what is in the store for a queue: `name` is its key there. */
int blkback_refuse_queue(struct xenpv_blkback *back, uint32_t queue, const char *name, int error,
                         uint32_t found, const char *step, const char *expected);

/* _serve.c: answers what is on the rings, at most one ring of each. True: look again at once. */
bool blkback_serve(struct xenpv_blkback *back);

/* _data.c: between disk and frontend. False: it failed. */
bool blkback_move(struct xenpv_blkback *back, struct blkback_queue *q,
                  const struct blkback_transfer *transfer);

/* _cache.c */
int blkback_cache_create(struct xenpv_blkback *back, struct blkback_cache *cache);
void blkback_cache_destroy(struct xenpv_blkback *back, struct blkback_cache *cache);
/* The page of that reference; NULL: it cannot be mapped. The `bound` pages asked for last stay. */
uint8_t *blkback_cache_page(struct xenpv_blkback *back, struct blkback_cache *cache, uint32_t ref);

/* _resize.c: tells the new size while connected; gives up doing so; the time to do it again. */
void blkback_resize_step(struct xenpv_blkback *back, uint64_t now);
void blkback_resize_drop(struct xenpv_blkback *back);
uint64_t blkback_resize_deadline(const struct xenpv_blkback *back);

#endif
