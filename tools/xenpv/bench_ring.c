/* SPDX-License-Identifier: MIT */
/*
 * The bare ring: the ring itself between two cores and nothing else, no data, no checks, no port.
 * For each operation the same bytes go over it as for one segment in blkif's x86_64 layout: 32 of
 * a request, in a slot of 112, and 16 of a response.
 */
#include <stdlib.h>
#include <string.h>

#include <xenpv/ring.h>

#include "bench.h"

#define SLOT     112u
#define REQUEST  32u
#define RESPONSE 16u

bool bench_answer(struct xenpv_ring *ring, bool *found)
{
    uint32_t available = xenpv_ring_available(ring);
    _Alignas(8) uint8_t request[REQUEST];
    _Alignas(8) uint8_t response[RESPONSE] = {0};

    *found = available != 0;
    if (available == 0)
        return false;
    while (available--) {
        xenpv_ring_take(ring, request, REQUEST);
        memcpy(response, request + 8, 8); /* the id */
        /* The operation, of an indirect request the inner one; the status is 0, OKAY. */
        response[8] = request[0] == XENPV_BLKIF_INDIRECT ? request[1] : request[0];
        xenpv_ring_put(ring, response, RESPONSE);
    }
    return xenpv_ring_publish(ring);
}

/* One ring, with what its thread counts. */
struct line {
    struct xenpv_ring front, back;
    void *memory;
    uint32_t depth;
    uint64_t ns;
    double rate;
};

struct bench_bare {
    struct bench_peer *peer;
    uint32_t count;
    struct line lines[];
};

static bool answer_all(void *ctx)
{
    struct bench_bare *bare = ctx;
    bool any = false, found;

    for (uint32_t i = 0; i < bare->count; i++) {
        bench_answer(&bare->lines[i].back, &found);
        any |= found;
    }
    return any;
}

struct bench_bare *bench_bare_make(const struct bench_cell *cell, struct bench_peer *peer)
{
    uint32_t bytes = XENPV_PAGE_SIZE << bench_ring_order(cell);
    struct bench_bare *bare = calloc(1, sizeof(*bare) + (size_t)cell->queues * sizeof(struct line));

    if (!bare)
        return NULL;
    bare->peer = peer;
    for (; bare->count < cell->queues; bare->count++) {
        struct line *line = &bare->lines[bare->count];

        line->memory = os_alloc(bytes, XENPV_PAGE_SIZE);
        if (!line->memory) {
            bench_bare_free(bare);
            return NULL;
        }
        memset(line->memory, 0, bytes);
        line->depth = cell->depth;
        xenpv_ring_init_front(&line->front, line->memory, bytes, SLOT);
        xenpv_ring_disarm(&line->front);
        xenpv_ring_attach_back(&line->back, line->memory, bytes, SLOT);
        xenpv_ring_disarm(&line->back);
        if (line->depth > line->front.count)
            line->depth = line->front.count;
    }
    return bare;
}

void bench_bare_free(struct bench_bare *bare)
{
    for (uint32_t i = 0; bare && i < bare->count; i++)
        os_free(bare->lines[i].memory);
    free(bare);
}

/* Looks at the clock every so many rounds. */
#define ROUNDS 64u

static void run_line(void *ctx)
{
    struct line *line = ctx;
    _Alignas(8) uint8_t request[REQUEST] = {0};
    _Alignas(8) uint8_t response[RESPONSE];
    uint32_t in_flight = 0, empty = 0;
    uint64_t began = os_now_ns(), now, done = 0;

    do {
        for (uint32_t round = 0; round < ROUNDS; round++) {
            uint32_t available;

            for (; in_flight < line->depth; in_flight++)
                xenpv_ring_put(&line->front, request, REQUEST);
            xenpv_ring_publish(&line->front);
            available = xenpv_ring_available(&line->front);
            in_flight -= available;
            done += available;
            if (available == 0)
                bench_idle(&empty);
            for (; available; available--)
                xenpv_ring_take(&line->front, response, RESPONSE);
        }
        now = os_now_ns();
    } while (now - began < line->ns || done == 0);
    line->rate = (double)done * 1e9 / (double)(now - began);
    while (in_flight) {
        uint32_t available = xenpv_ring_available(&line->front);

        for (in_flight -= available; available; available--)
            xenpv_ring_take(&line->front, response, RESPONSE);
    }
}

double bench_bare_run(struct bench_bare *bare, uint64_t ns, double *share)
{
    double rate = 0;
    bool complete;

    for (uint32_t i = 0; i < bare->count; i++)
        bare->lines[i].ns = ns;
    bench_peer_give(bare->peer, BENCH_JOB_BARE, answer_all, bare);
    bench_peer_set(bare->peer, BENCH_JOB_BARE);
    complete = bench_crew_run(run_line, bare->lines, sizeof(struct line), bare->count, share);
    bench_peer_set(bare->peer, BENCH_JOB_REST);
    if (bench_peer_share(bare->peer) < *share)
        *share = bench_peer_share(bare->peer);
    for (uint32_t i = 0; complete && i < bare->count; i++)
        rate += bare->lines[i].rate;
    return rate;
}
