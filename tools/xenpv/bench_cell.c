/* SPDX-License-Identifier: MIT */
/* One cell: its contenders, one after the other, and over again. */
#include <stdlib.h>

#include "bench.h"

struct contenders {
    struct bench_target target;
    struct bench_load *load;
    struct bench_bare *bare;
    struct bench_copy *copy; /* NULL where no data is moved from memory */
    uint64_t ns;
};

static bool make(const struct bench_kind *kind, struct contenders *contenders,
                 struct bench_result *result, struct bench_peer *peer)
{
    const struct bench_cell *cell = &result->cell;
    bool copies = kind->copies && kind->copies(cell);

    contenders->load = bench_load_make(kind, cell, &contenders->target);
    contenders->bare = bench_bare_make(kind, cell, peer);
    if (copies)
        contenders->copy = bench_copy_make(cell, contenders->target.bytes);
    if (contenders->load && contenders->bare && (contenders->copy || !copies))
        return true;
    snprintf(result->note, BENCH_NOTE_MAX, "out of memory");
    return false;
}

/* A repeat that counts for nothing: caches, pages and clocks warm up. */
static bool warm_up(struct contenders *contenders, struct bench_result *result)
{
    double share = 1;

    bench_bare_run(contenders->bare, contenders->ns / 4, &share);
    if (contenders->copy)
        bench_copy_run(contenders->copy, contenders->ns / 4);
    return bench_load_run(contenders->load, contenders->ns / 4, &share, result->note) > 0;
}

struct series {
    double rate[BENCH_REPEATS_MAX], bare[BENCH_REPEATS_MAX], ratio[BENCH_REPEATS_MAX];
    double copy[BENCH_REPEATS_MAX], copied[BENCH_REPEATS_MAX];
};

static bool repeat(struct contenders *contenders, struct bench_result *result,
                   struct series *series, uint32_t i)
{
    double bare_share = 1, load_share = 1, least;

    series->bare[i] = bench_bare_run(contenders->bare, contenders->ns, &bare_share);
    series->rate[i] = bench_load_run(contenders->load, contenders->ns, &load_share, result->note);
    least = result->cell.event || load_share > bare_share ? bare_share : load_share;
    result->share = least < result->share ? least : result->share;
    series->copy[i] = contenders->copy ? bench_copy_run(contenders->copy, contenders->ns) : 0;
    if (series->rate[i] <= 0)
        return false;
    series->ratio[i] = series->bare[i] > 0 ? series->rate[i] / series->bare[i] : 0;
    series->copied[i] = series->copy[i] > 0 ? series->rate[i] / series->copy[i] : 0;
    return true;
}

static bool measure(const struct bench_plan *plan, struct contenders *contenders,
                    struct bench_result *result)
{
    static struct bench_histogram histogram;
    struct series series;

    result->share = 1;
    for (uint32_t i = 0; i < plan->repeats; i++)
        if (!repeat(contenders, result, &series, i))
            return false;
    result->rate = bench_spread_of(series.rate, plan->repeats);
    result->bare = bench_spread_of(series.bare, plan->repeats);
    result->ratio = bench_spread_of(series.ratio, plan->repeats);
    result->copy = bench_spread_of(series.copy, plan->repeats);
    result->copied = bench_spread_of(series.copied, plan->repeats);
    histogram = (struct bench_histogram){0};
    if (!bench_load_time(contenders->load, contenders->ns, plan->clock_cost, &histogram,
                         result->note))
        return false;
    result->latency = bench_latency_of(&histogram);
    return true;
}

static bool open_target(const struct bench_plan *plan, struct machine *machine,
                        struct bench_peer *peer, struct bench_result *result,
                        struct bench_target *target)
{
    const struct bench_cell *cell = &result->cell;
    bool open = plan->kind->fits(cell, result->note);

    if (open && plan->device)
        open = bench_device_open(plan, machine, cell, target, result->note);
    else if (open)
        open = bench_mock_open(plan, cell, peer, target, result->note);
    if (!open)
        return false;
    if (target->queues < cell->queues)
        snprintf(result->note, BENCH_NOTE_MAX, "the backend allows %u queues", target->queues);
    else if (plan->kind->accepts(cell, target, result->note))
        return true;
    target->close(target);
    return false;
}

void bench_run_cell(const struct bench_plan *plan, struct machine *machine, struct bench_peer *peer,
                    struct bench_result *result)
{
    struct contenders contenders = {.ns = (uint64_t)plan->repeat_ms * 1000000};

    if (!open_target(plan, machine, peer, result, &contenders.target))
        return;
    if (make(plan->kind, &contenders, result, peer) && warm_up(&contenders, result))
        measure(plan, &contenders, result);
    /* The device goes first: until it is closed its backend may reach the load's memory. */
    contenders.target.close(&contenders.target);
    bench_copy_free(contenders.copy);
    bench_bare_free(contenders.bare);
    bench_load_free(contenders.load);
}
