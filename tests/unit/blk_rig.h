/* SPDX-License-Identifier: MIT */
/* A mock with one disk in memory, our backend, in domain 0 unless told otherwise, and a frontend in
 * domain 1. */
#ifndef BLK_RIG_H
#define BLK_RIG_H

#include <xenpv/blk.h>
#include <xenpv/harness/blkback.h>
#include <xenpv/harness/mock.h>

#include "strict.h"

#define RIG_VDEV          51712
#define RIG_FRONTEND_PATH "/local/domain/1/device/vbd/51712"
#define RIG_BACKEND_PATH  "/local/domain/0/backend/vbd/1/51712"

/* What the backend offers; see struct xenpv_blkback_config. */
struct rig_offer {
    uint32_t queues, ring_order, segments, persistent;
    enum xenpv_blk_units units;
};
/* As it was before any of it was known. */
extern const struct rig_offer rig_oldest;

enum rig_disk { RIG_MEMORY, RIG_VOLATILE };

struct rig_options {
    uint64_t bytes;       /* of the disk; 0: 1 MiB */
    uint32_t sector_size; /* 0: 512 */
    enum rig_disk kind;
    bool readonly, no_flush;
    const struct rig_offer *offer; /* NULL: as initially */
    bool no_backend;
    uint16_t backend; /* its domain */
    bool untrusted;
    struct xenpv_mock_limits limits;

    /* Of the frontend; 0: as initially. */
    uint32_t queues, ring_order, segments, operations, buffer_pages, shared_pages, without;
    uint32_t recover_ms; /* 0: a lost connection is not awaited */
    bool poll, own_memory;
    bool slow_clock; /* no deadline is met: for threads, whose clock runs as they please */
    enum xenpv_abi abi;
    enum xenpv_blk_units units;
};

struct rig {
    struct xenpv_allocator allocator;
    struct strict_heap heap;
    struct xenpv_mock *mock;
    struct xenpv_port front_port, back_port;
    uint16_t backend;       /* its domain ... */
    char backend_path[128]; /* ... and directory */
    struct xenpv_disk disk;
    struct xenpv_blkback *back;
    void (*other)(struct rig *rig, void *ctx); /* a backend of the test's own: does what it can */
    void *other_ctx;
    void *memory;
    struct xenpv_blk *blk;
    uint32_t queues;
    struct xenpv_blkq *q; /* the one that the calls below use: queue 0 until a test changes it */
};

void rig_up(struct rig *rig, const struct rig_options *options);
/* The same with a lock around the calls of the mock's ports, for several threads. */
void rig_up_locked(struct rig *rig, const struct rig_options *options, void (*lock)(void *),
                   void (*unlock)(void *));
void rig_down(struct rig *rig); /* asserts that nothing stays granted, bound, mapped or watched */

/* The same for a frontend whose backend never gave its pages back: only these may be left. */
void rig_down_with_abandoned(struct rig *rig);

/* Steps both ends once at the mock's time. */
void rig_step(struct rig *rig);
/* Steps both ends until there is nothing to do at this time. */
void rig_rest(struct rig *rig);
/* Polls every queue until it has nothing more; what has ended is of no interest. */
void rig_poll_all(struct rig *rig);

/* Steps, moving the clock to the next deadline when nothing else happens, until the frontend is in
 * the state; fails after too many steps. */
void rig_until(struct rig *rig, enum xenpv_blk_state state);

/* Steps both ends and polls, and moves the clock, until `until` holds; false: not within `ms`. */
bool rig_run(struct rig *rig, uint64_t ms, bool (*until)(const struct rig *rig));
bool rig_settled(const struct rig *rig); /* CONNECTED, CLOSED or FAILED */
bool rig_over(const struct rig *rig);    /* CLOSED or FAILED */
bool rig_drained(const struct rig *rig); /* no operation is pending, in any queue */

void rig_connect(struct rig *rig);
void rig_close(struct rig *rig);

/* Another backend starts, on the same disk. */
void rig_start_back(struct rig *rig, const struct rig_offer *offer);
/* The backend is gone, from one moment to the next; its state stays in the store. */
void rig_kill_back(struct rig *rig);
/* The backend is told to close, and is done. */
void rig_close_back(struct rig *rig);
/* The directories of both ends go. */
void rig_remove(struct rig *rig);
/* They are made anew, for a backend in this domain. */
void rig_make(struct rig *rig, uint16_t backend, bool readonly);

/* Runs one operation to its end and returns its status. */
int rig_read(struct rig *rig, uint64_t offset, void *to, size_t bytes);
int rig_write(struct rig *rig, uint64_t offset, const void *from, size_t bytes);
int rig_flush(struct rig *rig);

/* The next of a row of numbers that `seed` began. */
uint32_t rig_random(uint32_t *seed);
void rig_fill(uint8_t *bytes, size_t count, uint32_t seed);

/* Polls until one operation has ended; returns its status. */
int rig_wait(struct rig *rig);

/* Writes a store node as the toolstack would. */
void rig_set(struct rig *rig, const char *dir, const char *key, const char *value);

/* Reads past the protocol what the disk holds. */
void rig_disk(struct rig *rig, uint64_t offset, void *to, size_t bytes);
void rig_assert_disk(struct rig *rig, uint64_t offset, const void *expected, size_t bytes);

/* The store's value of a node as a number, or -1. */
int rig_get(struct rig *rig, const char *dir, const char *key);

#endif
