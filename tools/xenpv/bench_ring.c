/* SPDX-License-Identifier: MIT */
#include "bench_ring.h"

#include <stdlib.h>
#include <string.h>

struct bench_bare {
    struct bench_peer *peer;
    struct bench_wire wire;
    uint32_t count;
    struct bench_line lines[];
};

static bool answer_all(void *ctx)
{
    struct bench_bare *bare = ctx;
    bool any = false, found;

    for (uint32_t i = 0; i < bare->count; i++) {
        bare->wire.answer(&bare->lines[i].back, &found);
        any |= found;
    }
    return any;
}

static bool make_line(const struct bench_wire *wire, struct bench_line *line)
{
    line->memory = os_alloc(wire->bytes, XENPV_PAGE_SIZE);
    if (!line->memory)
        return false;
    memset(line->memory, 0, wire->bytes);
    xenpv_ring_init_front(&line->front, line->memory, wire->bytes, wire->slot);
    xenpv_ring_disarm(&line->front);
    xenpv_ring_attach_back(&line->back, line->memory, wire->bytes, wire->slot);
    xenpv_ring_disarm(&line->back);
    line->depth = wire->depth < line->front.count ? wire->depth : line->front.count;
    return true;
}

struct bench_bare *bench_bare_make(const struct bench_kind *kind, const struct bench_cell *cell,
                                   struct bench_peer *peer)
{
    struct bench_bare *bare =
        calloc(1, sizeof(*bare) + (size_t)cell->queues * sizeof(struct bench_line));

    if (!bare)
        return NULL;
    bare->peer = peer;
    kind->wire(cell, &bare->wire);
    for (; bare->count < cell->queues; bare->count++) {
        if (!make_line(&bare->wire, &bare->lines[bare->count])) {
            bench_bare_free(bare);
            return NULL;
        }
    }
    return bare;
}

void bench_bare_free(struct bench_bare *bare)
{
    for (uint32_t i = 0; bare && i < bare->count; i++)
        os_free(bare->lines[i].memory);
    free(bare);
}

double bench_bare_run(struct bench_bare *bare, uint64_t ns, double *share)
{
    double rate = 0;
    bool complete;

    for (uint32_t i = 0; i < bare->count; i++)
        bare->lines[i].ns = ns;
    bench_peer_give(bare->peer, BENCH_JOB_BARE, answer_all, bare);
    bench_peer_set(bare->peer, BENCH_JOB_BARE);
    complete =
        bench_crew_run(bare->wire.run, bare->lines, sizeof(bare->lines[0]), bare->count, share);
    bench_peer_set(bare->peer, BENCH_JOB_REST);
    if (bench_peer_share(bare->peer) < *share)
        *share = bench_peer_share(bare->peer);
    for (uint32_t i = 0; complete && i < bare->count; i++)
        rate += bare->lines[i].rate;
    return rate / bare->wire.each;
}
