/* SPDX-License-Identifier: MIT */
/*
 * The xenbus handshake of one device end, frontend or backend: find the peer, connect, close, lead
 * a previous owner's connection down first. It is one state machine whose tables stand in
 * lib/core/bus_table.c: (phase, state of the peer) -> action; docs/handshake.md prints them.
 * States are those of xen/include/public/io/xenbus.h; which order peers keep to is written in no
 * header, so the tables follow what they do.
 *
 * This header is for who writes a device class (blk, net, a backend): a driver below it says what
 * the class does at each station. Everything here belongs to the device's control thread.
 */
#ifndef XENPV_BUS_H
#define XENPV_BUS_H

#include <xenpv/keys.h>
#include <xenpv/port.h>

#ifdef __cplusplus
extern "C" {
#endif

/* xenbus.h enum xenbus_state; UNKNOWN also stands for a node that is missing. */
enum xenpv_bus_state {
    XENPV_STATE_UNKNOWN = 0,
    XENPV_STATE_INITIALISING = 1,
    XENPV_STATE_INIT_WAIT = 2,
    XENPV_STATE_INITIALISED = 3,
    XENPV_STATE_CONNECTED = 4,
    XENPV_STATE_CLOSING = 5,
    XENPV_STATE_CLOSED = 6,
    XENPV_STATE_RECONFIGURING = 7,
    XENPV_STATE_RECONFIGURED = 8,
    XENPV_STATE_JUNK = 9,    /* no state at all: text, or a number above 8 */
    XENPV_STATE_UNREAD = 10, /* it has not been looked at yet */
};

/* "InitWait", ...; "?" for a number that is none. */
const char *xenpv_bus_state_name(uint32_t state);

enum xenpv_bus_role { XENPV_FRONTEND, XENPV_BACKEND };

/* Where this end stands. */
enum xenpv_bus_phase {
    XENPV_BUS_IDLE,      /* not started */
    XENPV_BUS_FIND,      /* reading its own directory */
    XENPV_BUS_LOOK,      /* has not yet acted on what it found */
    XENPV_BUS_RESTARTED, /* asked the peer to begin anew (own state 1) */
    XENPV_BUS_PUBLISHED, /* keys are in the store, the peer's are awaited (frontend 3, backend 2) */
    XENPV_BUS_CONNECTED, /* own state 4 */
    XENPV_BUS_CLOSING,   /* own state 5 */
    XENPV_BUS_CLOSED,    /* own state 6; the peer's end is awaited */
    XENPV_BUS_DONE, /* over: nothing is shared, or what the peer would not return is abandoned */
};
#define XENPV_BUS_PHASES 9u

/* When a device reads keys. */
enum xenpv_bus_question {
    XENPV_ASK_OWN,    /* of its own directory, at the start */
    XENPV_ASK_OFFER,  /* of the peer's, before it publishes */
    XENPV_ASK_ANSWER, /* of the peer's, before it connects */
    /*
     * Frontends: of its own directory, together with the answer. Where a driver has such keys both
     * directories are watched with all in them, and any change leads to ->changed.
     */
    XENPV_ASK_LIVE,
    XENPV_ASK_COUNT
};

struct xenpv_bus;

/* One key on its way to or from the store. */
struct xenpv_bus_row {
    const struct xenpv_key *key; /* what is asked for ... */
    struct xenpv_key_value *value;
    char name[40]; /* ... or put, with its name: "feature-dynamic-multicast-control" fits */
    char text[XENPV_KEY_TEXT_MAX];
};

/* Rows that the bus needs for itself, beside the keys of the largest question or publication. */
#define XENPV_BUS_ROWS 5u

/* How a data path stops. */
enum xenpv_quiesce {
    XENPV_QUIESCE_HOLD,  /* at once; what is accepted is kept, and done over once connected again */
    XENPV_QUIESCE_DRAIN, /* what is accepted is finished first */
    XENPV_QUIESCE_HALT,  /* at once; what is accepted fails */
};

/* What a device class does at each station. `owner` is the device. Errors end the connection. */
struct xenpv_bus_driver {
    enum xenpv_bus_role role;
    uint8_t published_state; /* own state once the keys are published: frontend vbd 3, backend 2 */
    struct {
        const struct xenpv_key *keys;
        uint32_t count;
    } ask[XENPV_ASK_COUNT];
    /*
     * Puts the removal (xenpv_bus_remove) of every key it may write, and of those that a previous
     * owner may have left and that would change the meaning of its own. Called before ->publish,
     * and at the end. A key below a directory that may be missing (queue-N/) is removed with that
     * directory: its own removal would fail.
     */
    void (*clean)(void *owner);
    /* Judges the offer, makes what is shared, and puts the keys (xenpv_bus_put_*). After an error
     * ->release follows. */
    int (*publish)(void *owner);
    /*
     * NULL, or: asks for the keys of the peer's (xenpv_bus_ask) that follow from the answer, before
     * ->connect; called again, `round` counting from 0, until it asks for none.
     */
    int (*more)(void *owner, uint32_t round);
    /* Judges the answer, lets the data path start, with what was held first; may put more keys. */
    int (*connect)(void *owner);
    /*
     * The peer rewrote state 4: its properties may have changed, and have been read again. Only a
     * frontend's.
     */
    int (*changed)(void *owner);
    /* NULL, or: puts the keys that xenpv_bus_update was called for. Only a frontend's. */
    int (*update)(void *owner);
    /*
     * Stops the data path. True once no queue touches shared memory any more; called again until it
     * is, and after it, at times with a stronger `how` than before, never with a weaker one. Called
     * from ->publish to ->release or ->abandon; what is held, and is not to be connected again, is
     * halted in any case, later, too.
     */
    bool (*quiesce)(void *owner, enum xenpv_quiesce how);
    /*
     * Each ->publish is followed by one ->release that answers 0, or by one ->abandon, before the
     * next. Release ends every grant and channel: 0, or XENPV_EBUSY while the peer has not let go.
     * While bus->recovering either may keep what is to be carried over to the next connection: then
     * one of them is called once more if there is none.
     */
    int (*release)(void *owner);
    /* The last deadline has passed, or a suspend made all void: gives up without waiting. */
    void (*abandon)(void *owner, bool suspended);
};

struct xenpv_bus_config {
    const struct xenpv_port *port;
    const struct xenpv_bus_driver *driver;
    void *owner;
    const char *path; /* own directory; copied; up to XENPV_STORE_PATH_MAX with its NUL */
    struct xenpv_key_value *values[XENPV_ASK_COUNT]; /* room for the keys of each question */
    uint32_t connect_ms; /* until connected, 0: without end (a backend awaits its frontend) */
    uint32_t close_ms;   /* for each wait while closing */
    /*
     * Frontends: how long a connection that was lost to the peer, or to a suspend, is awaited
     * again, 0: not at all. The data path is held meanwhile. A device that is being taken away
     * (`online` 0), that another owner closed, or whose peer broke the protocol, is not awaited.
     */
    uint32_t recover_ms;
    uint32_t agree_ms; /* for the peer to agree to an update, 0: without end */
    /*
     * room + XENPV_BUS_ROWS of each; they live as long as the bus. `room` is for the largest
     * question, round of ->more, and publication, with what ->clean removes before it.
     */
    struct xenpv_store_op *ops;
    struct xenpv_bus_row *rows;
    uint32_t room;
};

enum xenpv_bus_goal { XENPV_GOAL_CONNECT, XENPV_GOAL_CLOSE, XENPV_GOAL_INSPECT };

/* All of it is private but `detail`, `phase`, `peer_domid`, the states, `online`, `recovering` and
 * `agreed`, to be read. */
struct xenpv_bus {
    struct xenpv_bus_config config;
    struct xenpv_detail detail;
    enum xenpv_bus_phase phase;
    enum xenpv_bus_goal goal;
    uint16_t peer_domid;
    bool online; /* the backend's `online`: 0 means the device is being taken away */
    uint32_t own_state, peer_state; /* enum xenpv_bus_state, as last read or written */
    uint32_t generation;
    uint64_t now, deadline, look_at, retry_at;
    uint64_t busy_until; /* the peer is given so long to unmap what a lost connection shared */
    uint64_t update_at;  /* when an update is written, or tried again */
    uint64_t agree_at;   /* before that, a state 8 of the peer's may be that of the last update */
    uint64_t tell_at;    /* when what the peer has done is worth a line in the log again */
    uint32_t tries;
    uint32_t round;     /* of ->more */
    uint8_t job, after; /* enum bus_job; the enum bus_action that is still to be carried out */
    uint8_t update;     /* enum xenpv_bus_update: still to be written */
    bool agreed;        /* the peer has answered the last update with state 8 */
    bool started, watching;
    bool shared;        /* the driver has published, and not released */
    bool kept;          /* the driver may have kept something over a lost connection */
    bool recovering;    /* the connection was lost, and is being made anew; the data path is held */
    bool anew;          /* so is it; or it was suspended before it was ever connected */
    bool stale;         /* what is shared is void since a suspend */
    bool unplugged;     /* the device is taken away, and the backend still answers */
    bool told;          /* the loss was logged */
    bool own_gone;      /* the own directory was missing when last looked at */
    bool last;          /* the job under way is the last thing to do */
    bool state_written; /* the job under way writes the state, too */
    bool no_room;       /* a driver put more than there is room for */
    struct xenpv_store_batch batch;
    struct xenpv_detail awaited; /* what last kept the connection from being made anew */
    char own_path[XENPV_STORE_PATH_MAX], peer_path[XENPV_STORE_PATH_MAX];
    char own_watch[XENPV_STORE_PATH_MAX + 8], peer_watch[XENPV_STORE_PATH_MAX + 8];
    char found_path[XENPV_STORE_PATH_MAX]; /* what names the peer now */
};

/* XENPV_EINVAL: the path is empty or too long; there is less room than one of the questions needs.
 */
int xenpv_bus_init(struct xenpv_bus *bus, const struct xenpv_bus_config *config);

/* Starts towards a goal: CONNECT or INSPECT (read everything once, write nothing) from IDLE or
 * DONE; CLOSE from anywhere. The detail of before is forgotten unless the goal is CLOSE.
 * XENPV_EBUSY. */
int xenpv_bus_start(struct xenpv_bus *bus, enum xenpv_bus_goal goal, uint64_t now);

/* Does what can be done now; bounded work. `now` in milliseconds, never going back. */
void xenpv_bus_step(struct xenpv_bus *bus, uint64_t now);

/* When to step again even if no wait handle is signalled; UINT64_MAX: only when one is. */
uint64_t xenpv_bus_deadline(const struct xenpv_bus *bus);

/* Forgets the watches and a pending batch at once, writing nothing: before the memory is freed
 * early. */
void xenpv_bus_drop(struct xenpv_bus *bus);

/* Records why the device fails, unless something was recorded before, and closes the connection
 * without draining it. A frontend then ends; a backend offers itself again to the next frontend. */
void xenpv_bus_fail(struct xenpv_bus *bus, const struct xenpv_detail *detail);

enum xenpv_bus_update {
    XENPV_UPDATE_NONE,
    XENPV_UPDATE_KEYS,  /* the peer watches them */
    XENPV_UPDATE_AGREE, /* own state 7 tells it to read them, its state 8 that it has; then 4. Where
                           it stands at 8 since the last time, it is given half a second */
};

/*
 * A connected frontend: has ->update called, and its keys written, by one of the next steps. With
 * AGREE ->changed follows when the peer has agreed, and ->agreed says so, or when agree_ms have
 * passed. XENPV_EBUSY: not connected, or an agreement, or the writing of keys, is under way.
 */
int xenpv_bus_update(struct xenpv_bus *bus, enum xenpv_bus_update update);

/* From ->publish, ->connect and ->update only: puts a key of the own directory. XENPV_E2BIG: more
 * keys than there is room, or a name or a text of 40 bytes or more. */
int xenpv_bus_put_number(struct xenpv_bus *bus, const char *name, uint64_t number);
int xenpv_bus_put_text(struct xenpv_bus *bus, const char *name, const char *text);
/* From ->clean only: removes a key, or a directory, of the own directory. */
int xenpv_bus_remove(struct xenpv_bus *bus, const char *name);
/* From ->more only: asks for a key of the peer's. `key` and `value` live until ->connect; what
 * key->required means holds here, too. `name` stands for key->name, and is copied. */
int xenpv_bus_ask(struct xenpv_bus *bus, const char *name, const struct xenpv_key *key,
                  struct xenpv_key_value *value);

/* The value found for key `index` of a question. */
const struct xenpv_key_value *xenpv_bus_value(const struct xenpv_bus *bus,
                                              enum xenpv_bus_question question, uint32_t index);

#ifdef __cplusplus
}
#endif
#endif
