/* SPDX-License-Identifier: MIT */
/*
 * A mock with our backend in domain 0, serving a disk that takes notes, and in domain 1 a frontend
 * that the test plays by hand: it knows the protocol and nothing of lib/core/blk*.c.
 */
#ifndef BACK_RIG_H
#define BACK_RIG_H

#include "faulty_port.h"
#include "strict.h"
#include <xenpv/harness/blkback.h>
#include <xenpv/harness/mock.h>
#include <xenpv/ring.h>

#define BACK_FRONT  "/local/domain/1/device/vbd/51712"
#define BACK_BACK   "/local/domain/0/backend/vbd/1/51712"
#define BACK_QUEUES 64
#define BACK_PAGES  16 /* of one ring, at most */

/* The ways in which a frontend names the pages of its rings. */
enum back_naming { BACK_RING_REF, BACK_PAGE_ORDER, BACK_NUM_PAGES };

struct back_front {
    enum xenpv_abi abi;
    uint32_t queues; /* 0: 1, and no word of it in the store */
    uint32_t order;  /* log2 of the pages of a ring */
    enum back_naming naming;
    bool persistent;
    uint32_t data_pages; /* to share, 0: 16 */
    bool read_only;      /* the data pages may only be read */
};

struct back_queue {
    struct xenpv_ring ring;
    uint32_t port;
};

/* The disk: the calls it had, the first ones as letters: r, w, f, d, D for a secure discard. */
struct back_notes {
    struct xenpv_disk inner;
    uint32_t calls;
    char letters[64];
    uint32_t fail_at; /* the call that fails, counted from 1; 0: none */
    const void *data; /* of the last read or write */
    uint32_t bytes;
};

struct back_rig {
    struct xenpv_allocator allocator;
    struct strict_heap heap;
    struct xenpv_mock *mock;
    struct xenpv_port back_port, front_port;
    struct faulty_port faulty; /* around back_port; told nothing, it passes all on */
    struct back_notes notes;
    struct xenpv_disk disk;
    struct xenpv_blkback_config config;
    struct xenpv_blkback *back;

    struct back_front front;
    bool connected; /* the frontend shares the following */
    struct xenpv_grant_region rings, data;
    uint32_t ring_refs[BACK_QUEUES * BACK_PAGES], *data_refs;
    struct back_queue queue[BACK_QUEUES];
};

/* ---- the machine ----------------------------------------------------------------------------- */

/* Makes the machine and a memory disk of `bytes` (0: 1 MiB); config and disk may be changed. */
void back_up(struct back_rig *rig, uint64_t bytes);
/* The same where a domain may map no more than `maps` pages. */
void back_up_limited(struct back_rig *rig, uint64_t bytes, uint32_t maps);
/* Has the backend made and started. */
void back_start(struct back_rig *rig);
/* Lets the frontend, if there is one, and the backend end, and asserts that nothing is left. */
void back_down(struct back_rig *rig);
/* The same without ending them first. */
void back_free(struct back_rig *rig);

void back_steps(struct back_rig *rig, int count);
/* Steps, and moves the clock, until the backend's state is so. */
void back_until(struct back_rig *rig, int state);
/* Asserts what domain 0 has mapped and bound. */
void back_assert_holds(struct back_rig *rig, uint32_t maps, uint32_t ports);

/* The store, as the toolstack; a missing node is -1. */
void back_set(struct back_rig *rig, const char *dir, const char *key, const char *value);
void back_set_number(struct back_rig *rig, const char *dir, const char *key, uint64_t number);
int64_t back_get(struct back_rig *rig, const char *dir, const char *key);

/* The next of a row of numbers that `seed` began. */
uint32_t back_random(uint32_t *seed);
void back_fill(void *bytes, size_t count, uint32_t seed);

/* ---- the frontend ---------------------------------------------------------------------------- */

/* Shares rings, channels and data pages; writes the keys; nothing of them is in the store before.
 */
void front_share(struct back_rig *rig, const struct back_front *front);
/* front_share, then the handshake up to both ends' state 4. */
void front_connect(struct back_rig *rig, const struct back_front *front);
/* States 5 and 6, until the backend is 6; what was shared is ended, its keys are removed. */
void front_close(struct back_rig *rig);
/* Ends what was shared, and removes the keys. */
void front_end(struct back_rig *rig);

/* Byte `at` of the data pages. */
uint8_t *front_data(struct back_rig *rig, size_t at);
/* A segment in data page `page`. */
struct xenpv_blkif_segment front_segment(const struct back_rig *rig, uint32_t page, uint8_t first,
                                         uint8_t last);

/*
 * Puts a request on the ring, its nr_segments as it stands whatever the codec would make of it, and
 * marks everything in the slot that is not part of it. Not published yet.
 */
void front_put(struct back_rig *rig, uint32_t queue, const struct xenpv_blkif_request *request);
void front_publish(struct back_rig *rig, uint32_t queue);
/* Takes an answer off the ring, and asserts that it shows nothing but itself. */
struct xenpv_blkif_response front_take(struct back_rig *rig, uint32_t queue);
/* Puts, publishes, steps and takes; asserts the id and the operation; the status. */
int front_ask(struct back_rig *rig, uint32_t queue, const struct xenpv_blkif_request *request);

/*
 * READ, WRITE, WRITE_BARRIER or FLUSH of `bytes` from sector `sector` on, through whole data pages
 * from `page` on; the status.
 */
int front_move(struct back_rig *rig, uint8_t op, uint64_t sector, uint32_t page, uint32_t bytes);

#endif
