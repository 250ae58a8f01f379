/* SPDX-License-Identifier: MIT */
/*
 * xenpv bench: what is measured (a cell), on what (a target), and what came out of it (a result).
 *
 * A repeat of a cell runs its contenders one after the other, each for the same time: the bare
 * ring, the device, and, where data is moved from memory, a plain loop of memcpy. So each ratio is
 * of two runs that are neighbours in time; of all repeats the median is told, and the least and the
 * most beside it.
 *
 * What differs between disks and network cards is in a struct bench_kind; all else is the same.
 */
#ifndef XENPV_BENCH_H
#define XENPV_BENCH_H

#include <xenpv/bus.h>
#include <xenpv/ring.h>

#include "bench_stats.h"
#include "device.h"
#include "machine.h"
#include "os_thread.h"

/* Each member is what its axis names, by number, or a number itself. */
struct bench_cell {
    uint32_t event; /* 0: polled */
    uint32_t queues;
    uint32_t depth;                /* operations or frames in flight, of each queue */
    uint32_t size;                 /* bytes of each */
    uint32_t disk, op, buffer;     /* bench_blk.h */
    uint32_t link, direction, gso; /* bench_net.h */
};

/* One choice that makes up a cell: an option, a column of the table, a member in JSON. */
struct bench_axis {
    const char *name;
    size_t field;               /* of struct bench_cell */
    size_t option;              /* of struct options: a list as text; 0: the number of queues */
    const char *const *names;   /* of its values, ending with NULL; NULL: they are numbers */
    const char *const *choices; /* NULL: all names. Else those of the mock; a device's is the name
                                   that comes behind them */
    uint32_t least, most, multiple; /* of numbers */
    uint32_t cap;                   /* above it they count as it; 0: none do */
    const char *usual, *full;
    int width;  /* of its column; below 0: from the left */
    bool bytes; /* of its column: "4K" */
};
extern const char *const bench_mode_names[]; /* of ->event */

#define BENCH_NOTE_MAX    224u
#define BENCH_REPEATS_MAX 101u /* as options.c allows */

struct bench_result {
    struct bench_cell cell;
    char note[BENCH_NOTE_MAX];    /* why the cell was not measured; "": it was */
    struct bench_spread rate;     /* operations or frames a second, of all queues */
    struct bench_spread bare;     /* the same of the bare ring */
    struct bench_spread ratio;    /* rate / bare, repeat by repeat */
    struct bench_spread copy;     /* of the memcpy loop; all 0: there was none */
    struct bench_spread copied;   /* rate / copy, repeat by repeat */
    struct bench_latency latency; /* of single operations, from a repeat of its own; no samples:
                                     nothing begins where it could be timed */
    /* For how much of the time each polling thread was really running, at the least. */
    double share;
};

struct bench_kind;
struct bench_plan {
    const struct options *options;
    const struct bench_kind *kind;
    struct bench_cell *cells;
    uint32_t count;
    uint32_t repeats;
    uint32_t repeat_ms;
    uint32_t grants;       /* that the mock's guest may give; 0: as many as Xen's default allows */
    struct device *device; /* NULL: the mock */
    uint64_t clock_cost;   /* ns of a look at the clock, taken off each latency */
};

/* Every cell the options ask for; false after complaining. Free plan->cells. */
bool bench_plan_make(const struct options *options, const struct bench_kind *kind,
                     struct device *device, struct bench_plan *plan);

/* The value of an axis in a cell. */
uint32_t bench_value(const struct bench_cell *cell, const struct bench_axis *axis);
/* The last one: a plot is drawn over it. */
const struct bench_axis *bench_last_axis(const struct bench_kind *kind);

/* ------------------------------------------------------------------------------------ peers -- */

/* The thread on the other core: it is the backend, or the other end of the bare rings, or rests. */
struct bench_peer;
enum bench_job { BENCH_JOB_REST, BENCH_JOB_BARE, BENCH_JOB_BACKEND, BENCH_JOBS };

/* NULL when there is no thread to be had. It rests. */
struct bench_peer *bench_peer_start(void);
void bench_peer_end(struct bench_peer *peer);
/* What it does in a job: `round` looks once, and is true when it found something to do; it may wait
 * for the peer's doorbell. Only for a job that it is not at. */
void bench_peer_give(struct bench_peer *peer, enum bench_job job, bool (*round)(void *ctx),
                     void *ctx);
/* Answers once it is at that job, and is through with the one before. */
void bench_peer_set(struct bench_peer *peer, enum bench_job job);
/* For how much of the time it was really running in its last job; 1 for one that it slept in. */
double bench_peer_share(const struct bench_peer *peer);
/* Rung when the job changes, and by whoever has something for it. */
xenpv_handle bench_peer_doorbell(const struct bench_peer *peer);

/* ------------------------------------------------------------------------------- frontends -- */

enum bench_way { BENCH_ON_ITS_WAY, BENCH_CONNECTED, BENCH_ENDED };

/* A frontend of either kind, on the way to its connection and from it. */
struct bench_front;
struct bench_front_ops {
    int (*connect)(const struct bench_front *front, uint64_t now);
    void (*close)(const struct bench_front *front, uint64_t now);
    enum bench_way (*step)(const struct bench_front *front, uint64_t now);
    uint64_t (*deadline)(const struct bench_front *front);
    const struct xenpv_detail *(*detail)(const struct bench_front *front);
    /* Takes from every queue whatever is there, unseen. */
    void (*empty)(const struct bench_front *front);
};
struct bench_front {
    const struct bench_front_ops *ops;
    void *memory;            /* of os_alloc */
    void *device;            /* in it; NULL: it could not be made */
    uint32_t queues, grants; /* that it takes */
    uint32_t kept;           /* buffers that a backend on the mock is to keep mapped */
};

/* Where a frontend is to be: all times in ms, as in the library's configurations. */
struct bench_place {
    const struct xenpv_port *port;
    const char *path;
    uint32_t connect_ms, close_ms;
};

/* ---------------------------------------------------------------------------------- targets -- */

/* A connected device, and what is around it. */
struct bench_target {
    const struct bench_front *front;
    uint32_t queues;
    uint64_t bytes;          /* of a disk; of a network card its largest frame, Ethernet header and
                                all */
    struct bench_peer *peer; /* it is the backend; NULL: the backend is elsewhere */
    bool one_thread;         /* all queues belong to the thread that made it */
    bool readonly;
    uint32_t silence_ms; /* until a backend that answers nothing is given up; 0: never */
    void *ctx;
    /* Nothing has come: what there is to do but to look again; NULL: nothing. Queue's thread. */
    void (*idle)(struct bench_target *target);
    /* Now and then, from the thread that made it; NULL: never. False: it is not connected. */
    bool (*tick)(struct bench_target *target);
    void (*close)(struct bench_target *target);
};

/* Fills `note` and answers false where it cannot be. */
bool bench_mock_open(const struct bench_plan *plan, const struct bench_cell *cell,
                     struct bench_peer *peer, struct bench_target *target,
                     char note[BENCH_NOTE_MAX]);
bool bench_device_open(const struct bench_plan *plan, struct machine *machine,
                       const struct bench_cell *cell, struct bench_target *target,
                       char note[BENCH_NOTE_MAX]);

/* ------------------------------------------------------------------------------- contenders -- */

/* Operations a second of rings with nothing behind them, as the cell has queues and depth. */
struct bench_bare;
struct bench_bare *bench_bare_make(const struct bench_kind *kind, const struct bench_cell *cell,
                                   struct bench_peer *peer);
void bench_bare_free(struct bench_bare *bare);
double bench_bare_run(struct bench_bare *bare, uint64_t ns, double *share);

/* The same of copies between blocks of memory as large as the disk and a caller's. */
struct bench_copy;
struct bench_copy *bench_copy_make(const struct bench_cell *cell, uint64_t bytes);
void bench_copy_free(struct bench_copy *copy);
double bench_copy_run(struct bench_copy *copy, uint64_t ns);

/* The same of the device. */
struct bench_load;
struct bench_load *bench_load_make(const struct bench_kind *kind, const struct bench_cell *cell,
                                   struct bench_target *target);
void bench_load_free(struct bench_load *load);
/* 0 or less, and `note` says why, when it did not go well. */
double bench_load_run(struct bench_load *load, uint64_t ns, double *share,
                      char note[BENCH_NOTE_MAX]);
/* The same with a look at the clock before and after each operation. */
bool bench_load_time(struct bench_load *load, uint64_t ns, uint64_t clock_cost,
                     struct bench_histogram *histogram, char note[BENCH_NOTE_MAX]);

/* One queue of a load. */
struct bench_lane {
    struct bench_load *load;
    const struct bench_cell *cell;
    struct bench_target *target;
    void *own; /* of its kind */
    uint32_t in_flight, looks;
    uint64_t done;
    int error;                         /* the first */
    uint64_t clock_cost;               /* ns */
    struct bench_histogram *histogram; /* NULL: not timed */
};
/* Notes the error, and ends the run. */
void bench_lane_fail(struct bench_lane *lane, int error);
/* What began at `began` has ended at `now`. */
void bench_lane_time(struct bench_lane *lane, uint64_t began, uint64_t now);

struct bench_lane_ops {
    /* False: no memory. Dropped in any case. */
    bool (*make)(struct bench_lane *lane, uint32_t number);
    void (*drop)(struct bench_lane *lane);
    /* Begins with as much as may be in flight, and counts it so. */
    void (*fill)(struct bench_lane *lane);
    /* Takes and counts what has ended; false: nothing has. */
    bool (*take)(struct bench_lane *lane);
    /* Asks for an event. XENPV_NO_HANDLE: it is to look again at once. */
    xenpv_handle (*arm)(struct bench_lane *lane);
    const char *wrong; /* what XENPV_EBROKEN means to it */
};

/* To be called for each look that found nothing: where there are more threads than cores, another
 * must have its turn. */
static inline void bench_idle(uint32_t *looks)
{
    if (++*looks % 1024 == 0)
        os_yield();
}

/*
 * Runs `work` for each of `count` contexts, each in a thread on a core of its own as far as there
 * are cores; the last core is left to the peer. `share`: for how much of the time, at the least,
 * each thread was really running. False: there are no more threads to be had.
 */
bool bench_crew_run(void (*work)(void *ctx), void *contexts, size_t bytes, uint32_t count,
                    double *share);

/* ------------------------------------------------------------------------------------ kinds -- */

struct bench_rig;
struct bench_wire;

/* What is measured: disks or network cards. */
struct bench_kind {
    const char *class_name;        /* of the store: "vbd" */
    const char *noun;              /* "disk" */
    const char *events;            /* what is counted: "operations" */
    const struct bench_axis *axes; /* ends without a name; a plot goes over the last one */
    const char *unit;              /* the same, short */
    const char *x_label;           /* of a plot: what its last axis is */
    const struct bench_lane_ops *lanes;

    bool (*suits)(const struct options *options, const struct device *device); /* or complains */
    bool (*parse)(const char *text, struct device *device);                    /* or complains */
    int (*find)(struct machine *machine, struct device *device);               /* an exit status */

    /* False, and `note` says why: no device can be made for it; or not this one. */
    bool (*fits)(const struct bench_cell *cell, char note[BENCH_NOTE_MAX]);
    bool (*accepts)(const struct bench_cell *cell, const struct bench_target *target,
                    char note[BENCH_NOTE_MAX]);
    bool (*copies)(const struct bench_cell *cell); /* memcpy is a contender */
    /* The bare ring that is like the device's. */
    void (*wire)(const struct bench_cell *cell, struct bench_wire *wire);
    /* The frontend that suits a cell that fits; XENPV errors. */
    int (*make_front)(const struct bench_plan *plan, const struct bench_cell *cell,
                      const struct bench_place *place, struct bench_front *front);
    /* What is known of it once it is connected: queues, bytes, readonly. */
    void (*describe)(const struct bench_front *front, struct bench_target *target);
    /* The mock's device and its backend. */
    int (*make_backend)(struct bench_rig *rig);
};

extern const struct bench_kind bench_blk, bench_net;

/* -------------------------------------------------------------------------------- reporting -- */

void bench_run_cell(const struct bench_plan *plan, struct machine *machine, struct bench_peer *peer,
                    struct bench_result *result);

void bench_print_head(const struct bench_plan *plan);
void bench_print_row(const struct bench_plan *plan, const struct bench_result *result);
void bench_print_foot(const struct bench_plan *plan, const struct bench_result *results,
                      uint32_t count);
void bench_print_json(const struct bench_plan *plan, const struct bench_result *results,
                      uint32_t count);

/* An exit status: whether there is a gnuplot, and the file, which is emptied, can be written. */
int bench_plot_check(const char *path);
int bench_plot(const struct bench_plan *plan, const struct bench_result *results, uint32_t count);

#endif
