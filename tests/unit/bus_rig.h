/* SPDX-License-Identifier: MIT */
/*
 * A mock with a frontend in domain 1 and a backend in domain 2, or wherever it moves, of no device
 * class at all: a page, a channel, and a queue that only knows whether it runs.
 */
#ifndef BUS_RIG_H
#define BUS_RIG_H

#include <xenpv/bus.h>
#include <xenpv/harness/mock.h>

#include "faulty_port.h"
#include "strict.h"

#define BUS_RIG_FRONT "/local/domain/1/device/vbd/51712"
/* Times of the frontend. */
#define BUS_RIG_CONNECT_MS 30000u
#define BUS_RIG_CLOSE_MS   5000u
#define BUS_RIG_RECOVER_MS 20000u
#define BUS_RIG_ROOM       16u
#define BUS_RIG_LEFT       8u

enum bus_rig_queue {
    QUEUE_NEW, /* nobody was told of it */
    QUEUE_RUNS,
    QUEUE_HELD,
    QUEUE_STOPPED,
};

struct bus_front {
    struct xenpv_port port;
    struct faulty_port faulty; /* around it */
    struct xenpv_bus_driver driver;
    struct xenpv_bus_config config; /* after a change: xenpv_bus_init once more */
    struct xenpv_bus bus;
    struct xenpv_key_value offer[1], answer[4];
    struct xenpv_store_op ops[BUS_RIG_ROOM + XENPV_BUS_ROWS];
    struct xenpv_bus_row rows[BUS_RIG_ROOM + XENPV_BUS_ROWS];

    struct xenpv_grant_region region;
    uint32_t ref, channel;
    bool published, has_channel;
    bool kept; /* taken back while recovering: it may be asked to once more */
    enum bus_rig_queue queue;
    uint32_t slow;   /* so often is the queue asked to stop before it does */
    uint32_t asked;  /* how often it was */
    bool halted;     /* and since then nothing weaker may be asked of this connection */
    uint32_t how[3]; /* enum xenpv_quiesce: how often it has stopped so */
    uint32_t published_times, taken_back, abandoned, connected_times;
    struct {
        struct xenpv_grant_region region;
        uint32_t ref, generation;
    } left[BUS_RIG_LEFT]; /* what was abandoned */
};

struct bus_back {
    uint16_t domid;
    bool lives;
    bool returns; /* once it has closed it starts again */
    char path[XENPV_STORE_PATH_MAX];
    struct xenpv_port port;
    struct xenpv_bus_driver driver;
    struct xenpv_bus bus;
    struct xenpv_key_value answer[2];
    struct xenpv_store_op ops[4 + XENPV_BUS_ROWS];
    struct xenpv_bus_row rows[4 + XENPV_BUS_ROWS];
    struct xenpv_map_region map;
    struct xenpv_map_entry entry;
    uint32_t channel;
    bool attached;
};

struct bus_rig {
    struct xenpv_allocator allocator;
    struct strict_heap heap;
    struct xenpv_mock *mock;
    struct bus_front front;
    struct bus_back back;
    uint16_t domains; /* the last one */
    /* What happens around both: called before each step of the two. */
    void (*world)(struct bus_rig *rig);
    uint64_t due;   /* when the world goes on */
    uint32_t stage; /* where it is */
    /* Steps of the frontend so far; before which it is told to close, or is suspended; 0: none. */
    uint64_t steps, close_at, suspend_before;
    /* Turns of the frontend so far, and those in which it is suspended (from 1; 0: none). */
    uint64_t turns, suspend_at[2];
    void (*suspended)(struct bus_rig *rig); /* what else a suspend does; or NULL */
    uint32_t suspends;                      /* so far */
};

void bus_rig_up(struct bus_rig *rig);
/* Asserts that all is over: nothing is held, and each publication was taken back once. */
void bus_rig_down(struct bus_rig *rig);

uint64_t bus_rig_now(const struct bus_rig *rig);

/* Steps both, until nothing moves any more at this time. */
void bus_rig_settle(struct bus_rig *rig);
/* Steps both, and moves the clock to the next deadline, until `until` holds; false: not in `ms`. */
bool bus_rig_run(struct bus_rig *rig, uint64_t ms, bool (*until)(const struct bus_rig *rig));
void bus_rig_pass(struct bus_rig *rig, uint64_t ms);

bool bus_rig_connected(const struct bus_rig *rig);
bool bus_rig_done(const struct bus_rig *rig);
bool bus_rig_settled(const struct bus_rig *rig); /* either */
bool bus_rig_recovering(const struct bus_rig *rig);

void bus_rig_connect(struct bus_rig *rig);
/* Until it is done, well or not. */
void bus_rig_close(struct bus_rig *rig);

/* The toolstack: a new domain; both directories, as libxl makes them; a backend that starts. */
uint16_t bus_rig_add_domain(struct bus_rig *rig);
void bus_rig_make(struct bus_rig *rig, uint16_t domid);
void bus_rig_remove(struct bus_rig *rig);
void bus_rig_start_back(struct bus_rig *rig);
/* It lets go of everything without a word. */
void bus_rig_kill_back(struct bus_rig *rig);

void bus_rig_set(struct bus_rig *rig, const char *dir, const char *key, const char *value);
int bus_rig_get(struct bus_rig *rig, const char *dir, const char *key);
/* What domain 1 may do with a node: enum xenpv_mock_perm. */
void bus_rig_allow(struct bus_rig *rig, const char *path, uint8_t allowed);

#endif
