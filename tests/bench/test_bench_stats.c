/* SPDX-License-Identifier: MIT */
/* What the bench makes of its numbers: medians, and percentiles out of a histogram. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "xenpv/bench_stats.h"

static void test_spread(void **state)
{
    static const struct {
        double numbers[6];
        uint32_t count;
        double median, least, most;
    } rows[] = {
        {{3}, 1, 3, 3, 3},
        {{5, 1}, 2, 3, 1, 5},
        {{9, 1, 4}, 3, 4, 1, 9},
        {{4, 3, 2, 1}, 4, 2.5, 1, 4},
        {{0.1, 100, 0.3, 0.2, 0.4}, 5, 0.3, 0.1, 100},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double numbers[6];
        struct bench_spread spread;

        memcpy(numbers, rows[i].numbers, sizeof(numbers));
        spread = bench_spread_of(numbers, rows[i].count);
        assert_true(spread.median == rows[i].median);
        assert_true(spread.least == rows[i].least && spread.most == rows[i].most);
    }
}

static struct bench_histogram histogram;

/* Of one number, whatever it is, every percentile is that number. */
static void test_one_latency(void **state)
{
    (void)state;
    for (uint32_t bit = 0; bit < 63; bit++) {
        for (int beside = -1; beside <= 1; beside++) {
            uint64_t ns = (UINT64_C(1) << bit) + (uint64_t)(int64_t)beside;

            memset(&histogram, 0, sizeof(histogram));
            bench_histogram_add(&histogram, ns);
            assert_true(bench_histogram_at(&histogram, 1) == ns);
            assert_true(bench_histogram_at(&histogram, 100000) == ns);
        }
    }
}

/* What is read off is never too small, and too large by a sixteenth at the most. */
static void check_about(uint64_t found, uint64_t exact)
{
    assert_true(found >= exact);
    assert_true(found - exact <= exact / 16);
}

static void test_percentiles(void **state)
{
    struct bench_latency latency;

    (void)state;
    memset(&histogram, 0, sizeof(histogram));
    for (uint64_t ns = 1; ns <= 100000; ns++)
        bench_histogram_add(&histogram, ns);
    latency = bench_latency_of(&histogram);
    assert_int_equal(latency.samples, 100000);
    check_about(latency.p50, 50000);
    check_about(latency.p90, 90000);
    check_about(latency.p99, 99000);
    check_about(latency.p999, 99900);
    assert_int_equal(latency.most, 100000);
}

/* 990 short ones and 10 long ones: the 99 are the last of the short ones. */
static void test_tail(void **state)
{
    struct bench_latency latency;

    (void)state;
    memset(&histogram, 0, sizeof(histogram));
    for (int i = 0; i < 1000; i++)
        bench_histogram_add(&histogram, i < 990 ? 7 : 1000000);
    latency = bench_latency_of(&histogram);
    assert_int_equal(latency.p50, 7);
    assert_int_equal(latency.p90, 7);
    assert_int_equal(latency.p99, 7);
    check_about(latency.p999, 1000000);
    assert_int_equal(latency.most, 1000000);
    memset(&histogram, 0, sizeof(histogram));
    assert_int_equal(bench_histogram_at(&histogram, 50000), 0);
    /* Half of three are two. */
    for (uint64_t ns = 1; ns <= 9; ns += 4)
        bench_histogram_add(&histogram, ns);
    assert_int_equal(bench_histogram_at(&histogram, 50000), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_one_latency),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_tail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
