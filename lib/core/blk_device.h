/* SPDX-License-Identifier: MIT */
/*
 * A block device and its queues, from inside.
 *
 *   blk.c           the device: what the bus and the program's control thread ask of it
 *   blk_keys.c      what is read from the store, judged, negotiated and told
 *   blk_identity.c  who the disk is
 *   blkq_accept.c   the queue: what its thread puts in
 *   blkq.c          the queue: sending, receiving, waiting, stopping
 *   blkq_control.c  the queue, as the control thread sets it up, stops it and takes it down
 *   blk_request.c   from operations to requests on the ring, and back
 *   blk_whole.h     the short way of an operation that is one request
 *   blk_own.c       requests on the caller's own memory
 */
#ifndef XENPV_BLK_DEVICE_H
#define XENPV_BLK_DEVICE_H

#include <xenpv/blk.h>
#include <xenpv/ring.h>

#include "arena.h"
#include "gate.h"
#include "inline.h"

#define BLK_QUEUES_MAX     64u
#define BLK_RING_ORDER_MAX 4u
#define BLK_INDEX_ENTRIES  (XENPV_PAGE_SIZE / 8) /* segments in a page of an indirect request */
#define BLK_SEGMENTS_MAX   (XENPV_BLKIF_INDIRECT_PAGES * BLK_INDEX_ENTRIES)
#define BLK_DISCARD_MOST   (1u << 30) /* bytes of one request, or a granule */
#define BLK_DISCARDS       4u         /* requests in flight */
#define BLK_OWN_RUNS       11u        /* stretches of the caller's memory in one request */

/* ---- operations ------------------------------------------------------------------------------ */

/* Where an operation has got to in the caller's vector. */
struct cursor {
    uint32_t element;
    size_t at; /* byte in that element */
};

enum blk_memory {
    BLK_VECTOR, /* the caller's vector, by way of the pool, or as it is */
    BLK_SHARED, /* the queue's shared pages */
    BLK_NO_MEMORY,
};

/*
 * An operation of the caller's; it is sent as one or more requests, each for a chunk of its bytes.
 * What is set for each new one stands first, in the order that takes the fewest stores.
 */
struct blk_operation {
    uint8_t op;     /* enum xenpv_blkif_op */
    uint8_t memory; /* enum blk_memory */
    bool secure;    /* of a DISCARD */
    bool active;    /* accepted and not ended */
    bool begun;     /* found good on this connection */
    bool waiting;   /* not sent in full: it is in one of the lists of what waits */
    bool spare[2];
    uint32_t requests; /* sent and not answered */
    int32_t status;
    uint32_t number; /* counts what the queue has accepted: who is older */
    uint32_t stuck;  /* set by control: the backend kept some of its memory */
    const struct xenpv_iov *iov;
    void *user;
    uint64_t offset, end;            /* bytes of the disk */
    struct blk_operation *next;      /* after this one in its list */
    struct blk_operation *followers; /* DISCARD: those that were merged into this */
    uint64_t sent;                   /* where the next request begins */
    uint64_t at;                     /* SHARED: byte of the shared pages where `offset` goes */
    struct cursor cursor;            /* VECTOR: the place of `sent` in the vector */
};

/* First in, first out. */
struct blk_list {
    struct blk_operation *first, *last;
};

/* ---- requests -------------------------------------------------------------------------------- */

/* A request on the ring. */
struct blk_slot {
    uint8_t op;          /* what was sent */
    bool used;           /* neither free nor given up */
    bool whole;          /* all of its operation: blk_whole.h */
    uint8_t runs;        /* of the caller's own memory; 0: it is not used */
    uint8_t index_pages; /* of an INDIRECT, at the front of the chain */
    bool overlay;        /* a READ that brings whole sectors for a partial write */
    uint16_t id;         /* its number */
    uint32_t index;      /* where on the ring it was put */
    uint32_t pages;      /* of the chain taken from the pool: from `first` to `last` */
    uint32_t first, last;
    struct blk_operation *operation;
    struct blk_slot *next; /* while it is free */
    uint32_t segments;     /* pages of data */
    uint32_t length;       /* of the chunk, in bytes */
    uint32_t skip;         /* bytes of the chunk before the caller's ... */
    uint32_t bytes;        /* ... and how many of his */
    uint64_t offset;       /* of the chunk on the disk, in bytes */
    struct cursor cursor;
};

/* Where the writing of a request's segments has got to. */
struct blk_walk {
    uint32_t page; /* of the pool, of the shared pages, or of the run */
    uint32_t at;   /* byte in it */
    uint32_t left; /* bytes of the chunk */
    uint32_t run;  /* of the caller's own memory */
};

/* A stretch of one element of the caller's vector. */
struct blk_stretch {
    uint8_t *begin;
    size_t length;
};

/* The caller's memory behind one slot. */
struct blk_own {
    struct blk_operation *operation;
    struct blk_stretch stretch[BLK_OWN_RUNS];
    struct xenpv_grant_region region[BLK_OWN_RUNS]; /* the pages of each */
};

/* ---- a queue --------------------------------------------------------------------------------- */

/*
 * The disk as a queue needs to know it. Control may change it while the queue runs: it writes one
 * of two copies, word by word, and then counts `version` up, whose last bit says which is good.
 */
struct blk_properties {
    uint32_t bytes_low, bytes_high; /* of the disk */
    uint32_t unit;                  /* sector size, a power of two */
    uint32_t number_shift;          /* log2 of what sector numbers count on the ring */
    uint32_t segment_shift;         /* log2 of what first and last sector count */
    uint32_t segments;              /* of one request */
    uint32_t features;              /* enum xenpv_blk_feature */
    uint32_t readonly, trusted, own_memory;
    uint32_t granularity, alignment; /* of discards, in bytes; alignment is below granularity */
    uint32_t discard_most;           /* bytes of one discard, whole granules */
};
#define BLK_PROPERTY_WORDS (sizeof(struct blk_properties) / sizeof(uint32_t))

#define BLK_BLOCKS      256u /* counters of blocks being written; a power of two */
#define BLK_BLOCK_SHIFT 12u

struct xenpv_blkq {
    /* Between the queue's thread and control, each word atomic. */
    struct gate gate;
    uint32_t refused; /* enum xenpv_blk_feature: the backend does not know them after all */
    uint32_t settled; /* control: no memory of the caller's is granted any more */
    uint32_t version;
    struct blk_properties told[2];

    /* Set up by control while the queue is not open. */
    const struct xenpv_port *port;
    struct arena arena; /* the ring, then the pool */
    struct pool pool;
    struct arena shared[2]; /* the caller's pages: those of now, and of before until carried over */
    uint32_t turn;          /* which of the two is of now */
    bool shared_stale[2];   /* void since a suspend */
    uint32_t buffer_pages, shared_pages, slots_room;
    uint16_t number, backend_id;
    bool poll_mode;
    bool has_port;
    uint32_t event_port;
    uint32_t generation; /* of which event_port is */
    enum xenpv_abi abi;
    uint32_t pad; /* of the abi: blkif_words.h */

    /* The queue's thread; control only while the queue is not open. */
    struct xenpv_ring ring;
    struct blk_slot *slots;
    struct blk_slot *free_slot;
    struct blk_own *own; /* of each slot, or NULL */
    uint32_t *own_refs;  /* own_pages of each slot */
    uint32_t own_pages, own_abandoned;
    bool own_held; /* the backend did not let go of some */

    /* The queue's thread alone. */
    struct blk_properties p;
    uint64_t bytes; /* p.bytes_* */
    uint32_t seen;  /* version of p */
    int32_t why;    /* what operations end with since it was halted; 0: it was not */
    struct blk_operation *operations;
    uint32_t operation_count, accepted, delivered;
    uint32_t discarding;          /* requests in flight */
    struct blk_operation *unused; /* a list of what is free */
    uint32_t whole_most;          /* bytes that may go the short way, on this disk ... */
    uint32_t whole_now; /* ... and now: 0 while something waits before, or it is not open */
    struct blk_list waiting, discards, done; /* waiting, discards: not sent in full */
    uint16_t writing[BLK_BLOCKS]; /* how many accepted writes and discards touch such a block */
};

/* ---- lists: blkq.c --------------------------------------------------------------------------- */

static inline void blk_append(struct blk_list *list, struct blk_operation *operation)
{
    operation->next = NULL;
    if (list->first)
        list->last->next = operation;
    else
        list->first = operation;
    list->last = operation;
}

static inline struct blk_operation *blk_take_first(struct blk_list *list)
{
    struct blk_operation *operation = list->first;

    if (operation)
        list->first = operation->next;
    return operation;
}

/* Ends an operation with the status that it has. */
void blkq_end_operation(struct xenpv_blkq *q, struct blk_operation *operation);

/* ---- accepting: blkq_accept.c ---------------------------------------------------------------- */

/* Takes up what control has told, unless it is telling just now. */
void blkq_take_up(struct xenpv_blkq *q);

static inline void blkq_catch_up(struct xenpv_blkq *q)
{
    if (xenpv_load(&q->version) != q->seen)
        blkq_take_up(q);
}

static inline bool blk_writes(const struct blk_operation *operation)
{
    return operation->op == XENPV_BLKIF_WRITE || operation->op == XENPV_BLKIF_DISCARD;
}

/* Counts the blocks that a write or discard touches, up or down. */
void blkq_count_blocks(struct xenpv_blkq *q, const struct blk_operation *operation, int by);

/* An older write or discard touches the same sectors, and has not ended. */
bool blkq_must_wait(const struct xenpv_blkq *q, const struct blk_operation *operation);

/* A discard is of whole granules: they may have grown since it was accepted. */
bool blkq_whole_granules(const struct xenpv_blkq *q, const struct blk_operation *operation);

/* 0, XENPV_EROFS or XENPV_ERANGE. */
static inline int blkq_check_range(const struct xenpv_blkq *q, uint8_t op, uint64_t offset,
                                   uint64_t bytes)
{
    if (op != XENPV_BLKIF_READ && q->p.readonly)
        return XENPV_EROFS;
    return offset > q->bytes || bytes > q->bytes - offset ? XENPV_ERANGE : XENPV_OK;
}

/* The operation that sends a flush, out of what the backend still knows; 0: none. */
static inline uint8_t blkq_flush_op(const struct xenpv_blkq *q)
{
    uint32_t known = q->p.features & ~xenpv_load(&q->refused);

    if (known & XENPV_BLK_FLUSH)
        return XENPV_BLKIF_FLUSH;
    return known & XENPV_BLK_BARRIER ? XENPV_BLKIF_WRITE_BARRIER : 0;
}

/* ---- control's side: blkq_control.c ---------------------------------------------------------- */

/* How much of everything a configuration needs. */
size_t blkq_memory(const struct xenpv_blk_config *config);
void blkq_init(struct xenpv_blkq *q, const struct xenpv_blk_config *config, uint32_t number,
               void *memory);

/* Shares a ring of 2^order pages and the rest, and makes the event channel; after an error
 * blkq_release is called. */
int blkq_share(struct xenpv_blkq *q, uint32_t order, uint16_t backend_id);

/* Tells the queue what the disk is like; it takes it up at its next call. */
void blkq_tell(struct xenpv_blkq *q, const struct blk_properties *properties);

/* Opens the queue for its thread. */
void blkq_open(struct xenpv_blkq *q);

/* Ends the grants and the channel. 0 or XENPV_EBUSY. `keep`: a connection is to follow, and the
 * caller's pages are carried over to it. */
int blkq_release(struct xenpv_blkq *q, bool keep);
void blkq_abandon(struct xenpv_blkq *q, bool suspended, bool keep);

/* Pages that a backend never gave back. */
uint32_t blkq_abandoned(const struct xenpv_blkq *q);

/* ---- requests: blk_request.c ----------------------------------------------------------------- */

/* Puts the next request of an operation on the ring. False: no slot or page is free. */
bool blk_request_next(struct xenpv_blkq *q, struct blk_operation *operation);

/* The answer to a request: gives its slot back, or sends it on as the second half of a partial
 * write. False: the backend still maps memory of the caller's. */
bool blk_request_end(struct xenpv_blkq *q, uint32_t slot, int16_t status);

/* ---- the caller's own memory: blk_own.c ------------------------------------------------------ */

/*
 * Grants the memory behind an operation's next chunk, as much as goes into one request, and sets
 * the slot's chunk. False: it is not aligned, or cannot be granted, and has to be copied.
 */
bool blk_own_grant(struct xenpv_blkq *q, uint32_t slot, const struct blk_operation *operation);

/* Writes the next `count` segments of what was granted; where the next go. */
uint32_t *blk_own_put(const struct xenpv_blkq *q, uint32_t slot, struct blk_walk *walk,
                      uint32_t *to, uint32_t count);

/* Ends the grants of a slot: 0 or XENPV_EBUSY. */
int blk_own_end(struct xenpv_blkq *q, uint32_t slot);

/* Ends, or gives up on, what slots still have granted. */
int blk_own_release(struct xenpv_blkq *q);
void blk_own_abandon(struct xenpv_blkq *q, bool suspended);

/* ---- what the store says: blk_keys.c --------------------------------------------------------- */

enum {
    OWN_DEVICE_TYPE,
    OWN_NOTHING = OWN_DEVICE_TYPE, /* in the table of features: the frontend writes no such key */
    OWN_TRUSTED,
    OWN_RING_ORDER,
    OWN_RING_PAGES,
    OWN_QUEUES,
    OWN_PERSISTENT,
    OWN_COUNT
};

/* Published before the backend's state 2. */
enum { OFFER_RING_ORDER, OFFER_RING_PAGES, OFFER_QUEUES, OFFER_INDIRECT, OFFER_COUNT };

/* Published before the backend's state 4; Linux blkback writes the features only then. */
enum {
    ANSWER_SECTORS,
    ANSWER_SECTOR_SIZE,
    ANSWER_PHYSICAL,
    ANSWER_INFO,
    ANSWER_FLUSH,
    ANSWER_BARRIER,
    ANSWER_DISCARD,
    ANSWER_PERSISTENT,
    ANSWER_DISCARD_GRANULARITY,
    ANSWER_DISCARD_ALIGNMENT,
    ANSWER_DISCARD_SECURE,
    ANSWER_SERIAL,
    ANSWER_DESIGNATOR,
    ANSWER_COUNT
};
extern const struct xenpv_key blk_own_keys[OWN_COUNT];
extern const struct xenpv_key blk_offer_keys[OFFER_COUNT];
extern const struct xenpv_key blk_answer_keys[ANSWER_COUNT];

#define BLK_PAGE_TEXT 384u /* bytes of a vital product data page in base64 */

struct xenpv_blk {
    struct xenpv_bus bus;
    struct xenpv_blk_config config;
    struct xenpv_blk_info info;
    struct xenpv_key_value own[OWN_COUNT], offer[OFFER_COUNT], answer[ANSWER_COUNT];
    char pages[2][BLK_PAGE_TEXT]; /* serial, designator: as found */
    uint32_t queues;              /* of this connection, 0: not chosen yet */
    bool opened;                  /* the queues were handed to their threads */
    struct xenpv_blkq *queue;     /* config.queues of them */
};

/* Fails the device if the properties make no sense. */
int blk_judge(struct xenpv_blk *blk);

/* How many queues, and log2 of the pages of their rings, out of what is offered. */
uint32_t blk_queues(const struct xenpv_blk *blk);
uint32_t blk_ring_order(const struct xenpv_blk *blk);

/* The caller's memory is granted, as he asked, for it can be. */
bool blk_owns_memory(const struct xenpv_blk *blk);

/* Takes what was published into `info`, as far as it makes sense. */
void blk_take_info(const struct xenpv_blk *blk, struct xenpv_blk_info *info);

/* What the queues need to know of it. */
void blk_properties(const struct xenpv_blk *blk, struct blk_properties *properties);

#endif
