/* SPDX-License-Identifier: MIT */
/*
 * xenpv bench: what is measured (a cell), on what (a target), and what came out of it (a result).
 *
 * A repeat of a cell runs its contenders one after the other, each for the same time: the bare
 * ring, the device, and, where data is moved from memory, a plain loop of memcpy. So each ratio is
 * of two runs that are neighbours in time; of all repeats the median is told, and the least and the
 * most beside it.
 */
#ifndef XENPV_BENCH_H
#define XENPV_BENCH_H

#include <xenpv/blk.h>
#include <xenpv/ring.h>

#include "bench_stats.h"
#include "device.h"
#include "machine.h"
#include "os_thread.h"

enum bench_disk {
    BENCH_NULL,   /* a backend that answers every request at once, unread */
    BENCH_EMPTY,  /* our block backend with a disk that moves no data */
    BENCH_MEMORY, /* our block backend with a disk in memory */
    BENCH_DEVICE, /* what the user named */
};
enum bench_op { BENCH_READ, BENCH_WRITE, BENCH_RANDREAD };
enum bench_buffer {
    BENCH_BOUNCE, /* readv and writev: data is copied by the frontend */
    BENCH_SHARED, /* read_shared and write_shared: it is not */
};
/* Their names, which end with NULL; those of polled and event, too. */
extern const char *const *const bench_disk_names,
    *const *const bench_op_names, *const *const bench_buffer_names, *const *const bench_mode_names;

struct bench_cell {
    enum bench_disk disk;
    enum bench_op op;
    enum bench_buffer buffer;
    bool event;
    uint32_t queues;
    uint32_t depth; /* operations in flight, of each queue */
    uint32_t size;  /* bytes of each */
};

#define BENCH_NOTE_MAX    224u
#define BENCH_REPEATS_MAX 101u /* as options.c allows */

struct bench_result {
    struct bench_cell cell;
    char note[BENCH_NOTE_MAX];    /* why the cell was not measured; "": it was */
    struct bench_spread rate;     /* operations a second, of all queues */
    struct bench_spread bare;     /* the same of the bare ring */
    struct bench_spread ratio;    /* rate / bare, repeat by repeat */
    struct bench_spread copy;     /* of the memcpy loop; all 0: there was none */
    struct bench_spread copied;   /* rate / copy, repeat by repeat */
    struct bench_latency latency; /* of single operations, from a repeat of its own */
    /* For how much of the time each polling thread was really running, at the least. */
    double share;
};

struct bench_plan {
    const struct options *options;
    struct bench_cell *cells;
    uint32_t count;
    uint32_t repeats;
    uint32_t repeat_ms;
    uint32_t grants;       /* that the mock's guest may give; 0: as many as Xen's default allows */
    struct device *device; /* NULL: the mock */
    uint64_t clock_cost;   /* ns of a look at the clock, taken off each latency */
};

/* Every cell the options ask for; false after complaining. Free plan->cells. */
bool bench_plan_make(const struct options *options, struct device *device, struct bench_plan *plan);

/* Pages that hold the data of one operation, and of all that are in flight in a queue. */
uint32_t bench_pages(const struct bench_cell *cell);
/* log2 of the pages of a ring on which `depth` requests have room, as far as rings go. */
uint32_t bench_ring_order(const struct bench_cell *cell);
/* False, and `note` says why, for a cell that no device can be made for. */
bool bench_fits(const struct bench_cell *cell, char note[BENCH_NOTE_MAX]);
/* The device that suits a cell that fits: room for all that is to be in flight. */
void bench_configure(const struct options *options, const struct bench_cell *cell,
                     struct xenpv_blk_config *config);
/* Grant references such a device takes. */
uint32_t bench_grants(const struct xenpv_blk_config *config);

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

/* ---------------------------------------------------------------------------------- targets -- */

/* A connected device, and what is around it. */
struct bench_target {
    struct xenpv_blk *blk;
    uint32_t queues;
    uint64_t bytes;          /* of the disk */
    struct bench_peer *peer; /* it is the backend; NULL: the backend is elsewhere */
    bool one_thread;         /* all queues belong to the thread that made it */
    bool readonly;
    bool checked;        /* each block begins with its own offset, and reads are looked at */
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
struct bench_bare *bench_bare_make(const struct bench_cell *cell, struct bench_peer *peer);
void bench_bare_free(struct bench_bare *bare);
double bench_bare_run(struct bench_bare *bare, uint64_t ns, double *share);

/* The other end of a ring, bare or not: answers what is there, unread. True: it asks to be told. */
bool bench_answer(struct xenpv_ring *ring, bool *found);

/* The same of copies between blocks of memory as large as the disk and a caller's. */
struct bench_copy;
struct bench_copy *bench_copy_make(const struct bench_cell *cell, uint64_t bytes);
void bench_copy_free(struct bench_copy *copy);
double bench_copy_run(struct bench_copy *copy, uint64_t ns);

/* The same of the device. */
struct bench_load;
struct bench_load *bench_load_make(const struct bench_cell *cell, struct bench_target *target);
void bench_load_free(struct bench_load *load);
/* 0 or less, and `note` says why, when it did not go well. */
double bench_load_run(struct bench_load *load, uint64_t ns, double *share,
                      char note[BENCH_NOTE_MAX]);
/* The same with a look at the clock before and after each operation. */
bool bench_load_time(struct bench_load *load, uint64_t ns, uint64_t clock_cost,
                     struct bench_histogram *histogram, char note[BENCH_NOTE_MAX]);

/* Which block the next operation is of: the same row for all contenders. */
struct bench_walk {
    uint64_t blocks, next;
    uint32_t state;
    bool random;
};
static inline uint64_t bench_walk_next(struct bench_walk *walk)
{
    if (walk->random) {
        walk->state = walk->state * 1664525 + 1013904223;
        return walk->state * walk->blocks >> 32;
    }
    walk->next = walk->next + 1 < walk->blocks ? walk->next + 1 : 0;
    return walk->next;
}

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

/* -------------------------------------------------------------------------------- reporting -- */

void bench_run_cell(const struct bench_plan *plan, struct machine *machine, struct bench_peer *peer,
                    struct bench_result *result);

void bench_print_head(const struct bench_plan *plan);
void bench_print_row(const struct bench_result *result);
void bench_print_foot(const struct bench_plan *plan, const struct bench_result *results,
                      uint32_t count);
void bench_print_json(const struct bench_plan *plan, const struct bench_result *results,
                      uint32_t count);

/* An exit status: whether there is a gnuplot, and the file, which is emptied, can be written. */
int bench_plot_check(const char *path);
int bench_plot(const char *path, const struct bench_result *results, uint32_t count);

#endif
