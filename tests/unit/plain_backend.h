/* SPDX-License-Identifier: MIT */
/*
 * A backend of the tests' own, of the plainest kind and none of lib/backend's: it tells exactly the
 * keys that it is given, does what it is asked to a disk in memory, and takes notes. A test may
 * answer a request itself.
 */
#ifndef PLAIN_BACKEND_H
#define PLAIN_BACKEND_H

#include <xenpv/ring.h>

#include "blk_rig.h"

#define PLAIN_QUEUES   64
#define PLAIN_PAGES    16
#define PLAIN_SEGMENTS 4096

struct plain_key {
    const char *name, *value;
};

/* A request with all its segments, whichever way they came. */
struct plain_request {
    uint32_t queue, count;
    uint8_t op; /* of an indirect request the inner one */
    bool indirect;
    struct xenpv_blkif_request raw;
    const struct xenpv_blkif_segment *seg;
    uint64_t offset, bytes; /* of the disk */
};

/* What a judge may answer beside a status. */
enum { PLAIN_DO = 1, PLAIN_KEEP = 2 };

struct plain_queue {
    struct xenpv_map_region map;
    struct xenpv_map_entry entries[PLAIN_PAGES];
    uint32_t port;
    struct xenpv_ring ring;
};

struct plain {
    /* The test's to set, once plain_up has set them as they usually are. */
    const struct plain_key *offer;  /* told at state 2; ends with a NULL */
    const struct plain_key *answer; /* told at state 4 */
    bool by_pages;                  /* takes the ring's size from num-ring-pages alone */
    uint32_t number_unit, segment_unit;
    uint8_t *disk;
    uint64_t bytes;
    /* Before a request is done: PLAIN_DO, PLAIN_KEEP to answer it later, or how to answer it
     * without doing it. NULL: all is done. */
    int (*judge)(struct plain *plain, const struct plain_request *request);
    void *ctx;
    bool deaf;     /* looks at no ring */
    bool stubborn; /* says that it has closed, and keeps all it has mapped */
    bool gone;     /* does nothing, as if its process had ended; what it mapped stays mapped */

    /* Notes. */
    uint32_t asked[8]; /* by operation, the inner one of an indirect request */
    uint32_t indirect, events, notified;
    uint32_t attached; /* times */

    struct rig *rig;
    int state;
    enum xenpv_abi abi;
    uint32_t queues, pages; /* as attached; 0 queues: it is not */
    struct plain_queue queue[PLAIN_QUEUES];
    struct xenpv_blkif_segment seg[PLAIN_SEGMENTS];
};

/* The usual keys: a disk of 2048 sectors of 512 bytes, and nothing else. */
extern const struct plain_key plain_nothing[], plain_usual[];

/* Takes the place of the rig's backend, with a disk as large as the rig's. */
void plain_up(struct plain *plain, struct rig *rig);
/* Lets go of everything, as if its process ended. */
void plain_down(struct plain *plain);

/* Answers a request that was kept. */
void plain_answer(struct plain *plain, uint32_t queue, uint64_t id, uint8_t op, int16_t status);
/* Shows the answers of a queue, and notifies if that is asked for. */
void plain_publish(struct plain *plain, uint32_t queue);

/* Moves the data of a request, as its operation says. */
void plain_do(struct plain *plain, const struct plain_request *request);

/* Copies from or to a page of the frontend's; 0 or the port's error. */
int plain_copy(struct plain *plain, uint32_t ref, uint32_t offset, void *local, uint32_t bytes,
               bool to_peer);

/* Maps one page of the frontend's, to read it; 0 or the port's error. */
int plain_map(struct plain *plain, struct xenpv_map_region *map, struct xenpv_map_entry *entry,
              uint32_t ref);

#endif
