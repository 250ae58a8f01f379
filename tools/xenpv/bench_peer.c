/* SPDX-License-Identifier: MIT */
/* Threads: the peer on the last core, and the crew of the queues on the others. */
#include <stdlib.h>

#include "bench.h"

struct bench_peer {
    struct os_thread *thread;
    xenpv_handle doorbell;
    uint32_t wanted, at; /* enum bench_job, BENCH_JOBS: to end */
    double share;        /* written before `at` */
    struct {
        bool (*round)(void *ctx);
        void *ctx;
    } jobs[BENCH_JOBS];
};

static double share_of(uint64_t ran, uint64_t elapsed)
{
    return ran < elapsed ? (double)ran / (double)elapsed : 1;
}

static void work(struct bench_peer *peer, uint32_t job)
{
    uint64_t began = os_now_ns(), ran = os_thread_ns();
    bool (*round)(void *ctx) = peer->jobs[job].round;
    void *ctx = peer->jobs[job].ctx;
    uint32_t empty = 0;

    while (xenpv_load(&peer->wanted) == job)
        if (!round(ctx))
            bench_idle(&empty);
    peer->share = share_of(os_thread_ns() - ran, os_now_ns() - began);
}

static void run(void *ctx)
{
    struct bench_peer *peer = ctx;

    os_pin(os_cores() - 1);
    for (;;) {
        uint32_t wanted = xenpv_load_acquire(&peer->wanted);

        xenpv_store_release(&peer->at, wanted);
        if (wanted == BENCH_JOBS)
            return;
        if (wanted != BENCH_JOB_REST) {
            work(peer, wanted);
            continue;
        }
        os_event_wait(peer->doorbell, 100);
        os_event_clear(peer->doorbell);
    }
}

struct bench_peer *bench_peer_start(void)
{
    struct bench_peer *peer = calloc(1, sizeof(*peer));

    if (!peer)
        return NULL;
    peer->doorbell = os_event_new();
    if (peer->doorbell != XENPV_NO_HANDLE)
        peer->thread = os_thread_start(run, peer);
    if (!peer->thread) {
        os_event_free(peer->doorbell);
        free(peer);
        return NULL;
    }
    return peer;
}

static void set(struct bench_peer *peer, uint32_t job)
{
    xenpv_store_release(&peer->wanted, job);
    os_event_set(peer->doorbell);
    while (xenpv_load_acquire(&peer->at) != job)
        os_yield();
}

void bench_peer_end(struct bench_peer *peer)
{
    if (!peer)
        return;
    set(peer, BENCH_JOBS);
    os_thread_join(peer->thread);
    os_event_free(peer->doorbell);
    free(peer);
}

void bench_peer_give(struct bench_peer *peer, enum bench_job job, bool (*round)(void *ctx),
                     void *ctx)
{
    peer->jobs[job].round = round;
    peer->jobs[job].ctx = ctx;
}

void bench_peer_set(struct bench_peer *peer, enum bench_job job)
{
    set(peer, job);
}

double bench_peer_share(const struct bench_peer *peer)
{
    return peer->share;
}

xenpv_handle bench_peer_doorbell(const struct bench_peer *peer)
{
    return peer->doorbell;
}

/* -------------------------------------------------------------------------------------- crew -- */

struct member {
    double share;
    void (*work)(void *ctx);
    void *ctx;
    unsigned core;
    struct os_thread *thread;
};

static void run_member(void *ctx)
{
    struct member *member = ctx;

    uint64_t began, ran;

    os_pin(member->core);
    began = os_now_ns();
    ran = os_thread_ns();
    member->work(member->ctx);
    member->share = share_of(os_thread_ns() - ran, os_now_ns() - began);
}

bool bench_crew_run(void (*work_of)(void *ctx), void *contexts, size_t bytes, uint32_t count,
                    double *share)
{
    unsigned cores = os_cores() > 1 ? os_cores() - 1 : 1;
    struct member *members = calloc(count, sizeof(*members));
    bool complete = members != NULL;

    for (uint32_t i = 0; complete && i < count; i++)
        members[i] = (struct member){
            .work = work_of, .ctx = (uint8_t *)contexts + i * bytes, .core = i % cores};
    for (uint32_t i = 1; complete && i < count; i++) {
        members[i].thread = os_thread_start(run_member, &members[i]);
        complete = members[i].thread != NULL;
    }
    if (complete) {
        run_member(&members[0]);
        *share = members[0].share;
    }
    for (uint32_t i = 1; members && i < count; i++)
        if (members[i].thread) {
            os_thread_join(members[i].thread);
            *share = members[i].share < *share ? members[i].share : *share;
        }
    free(members);
    return complete;
}
