/* SPDX-License-Identifier: MIT */
#include "bench_stats.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double one, other;

    one = *(const double *)a;
    other = *(const double *)b;
    return (one > other) - (one < other);
}

struct bench_spread bench_spread_of(double *numbers, uint32_t count)
{
    qsort(numbers, count, sizeof(*numbers), compare);
    return (struct bench_spread){
        .median = (numbers[(count - 1) / 2] + numbers[count / 2]) / 2,
        .least = numbers[0],
        .most = numbers[count - 1],
    };
}

/* Below 16 each number has its own place; above, the four bits behind the first one count. */
static uint32_t place_of(uint64_t ns)
{
    uint32_t shift = 0;

    while (ns >> shift >= 2 * BENCH_STEPS)
        shift++;
    return shift * BENCH_STEPS + (uint32_t)(ns >> shift);
}

static uint64_t last_in(uint32_t place)
{
    uint32_t shift = place < 2 * BENCH_STEPS ? 0 : place / BENCH_STEPS - 1;
    uint64_t first = place - (uint64_t)shift * BENCH_STEPS;

    return ((first + 1) << shift) - 1;
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t ns)
{
    histogram->counts[place_of(ns)]++;
    histogram->total++;
    if (ns > histogram->most)
        histogram->most = ns;
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram, uint32_t parts)
{
    uint64_t wanted = (histogram->total * parts + 99999) / 100000, seen = 0;

    for (uint32_t place = 0; place < 64 * BENCH_STEPS; place++) {
        seen += histogram->counts[place];
        if (seen >= wanted && seen > 0)
            return last_in(place) < histogram->most ? last_in(place) : histogram->most;
    }
    return 0;
}

struct bench_latency bench_latency_of(const struct bench_histogram *histogram)
{
    return (struct bench_latency){
        .samples = histogram->total,
        .p50 = bench_histogram_at(histogram, 50000),
        .p90 = bench_histogram_at(histogram, 90000),
        .p99 = bench_histogram_at(histogram, 99000),
        .p999 = bench_histogram_at(histogram, 99900),
        .most = histogram->most,
    };
}
