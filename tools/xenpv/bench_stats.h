/* SPDX-License-Identifier: MIT */
/* Numbers of several repeats, and of many single latencies. */
#ifndef XENPV_BENCH_STATS_H
#define XENPV_BENCH_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct bench_spread {
    double median, least, most;
};

/* Of one number or more; sorts them. */
struct bench_spread bench_spread_of(double *numbers, uint32_t count);

/*
 * Nanoseconds, counted in 16 steps for each power of two: what is read off is at most a sixteenth
 * too large.
 */
#define BENCH_STEPS 16u
struct bench_histogram {
    uint64_t total;
    uint64_t most;
    uint32_t counts[64 * BENCH_STEPS];
};
void bench_histogram_add(struct bench_histogram *histogram, uint64_t ns);
/* The least time within which `parts` of 100,000 ended; 0 where there are none. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram, uint32_t parts);

struct bench_latency {
    uint64_t samples, p50, p90, p99, p999, most; /* ns */
};
struct bench_latency bench_latency_of(const struct bench_histogram *histogram);

#endif
