/* SPDX-License-Identifier: MIT */
/*
 * Random reads, writes, discards and flushes, overlapping and of any alignment, against a model of
 * what the disk may hold (workload.h), in every way there is of moving data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "workload.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { PART = 32768, QUEUES = 4, ROUNDS = 150, SEEDS = 20 };

static const struct rig_offer no_persistent = {.queues = 4, .ring_order = 2, .segments = 256};
static const struct rig_offer few_persistent = {
    .queues = 4, .ring_order = 2, .segments = 32, .persistent = 13};

struct way {
    const char *name;
    struct rig_options options;
    bool large, aligned, shared;
};

static const struct way ways[] = {
    {"plain", {.sector_size = 512}, false, false, false},
    {"whole sectors", {.sector_size = 512}, false, true, false},
    {"large", {.sector_size = 512}, true, false, false},
    {"oldest backend", {.offer = &rig_oldest}, true, false, false},
    {"nothing kept mapped", {.offer = &no_persistent}, true, false, false},
    {"little kept mapped", {.offer = &few_persistent}, true, false, false},
    {"large sectors", {.sector_size = 4096}, true, false, false},
    {"larger than pages", {.sector_size = 16384, .segments = 12}, true, false, false},
    {"few buffers", {.buffer_pages = 11}, true, false, false},
    {"one segment", {.segments = 1}, false, false, false},
    {"32-bit layout", {.abi = XENPV_ABI_X86_32}, true, false, false},
    {"not trusted", {.untrusted = true}, true, false, false},
    {"own memory", {.own_memory = true}, true, false, false},
    {"own memory, whole sectors", {.own_memory = true}, true, true, false},
    {"own memory, large sectors", {.own_memory = true, .sector_size = 4096}, true, true, false},
    {"own memory, 11 pages", {.own_memory = true, .segments = 11}, true, true, false},
    {"own memory, one page", {.own_memory = true, .segments = 1}, false, true, false},
    {"own memory, oldest backend", {.own_memory = true, .offer = &rig_oldest}, true, true, false},
    {"shared", {.shared_pages = 5 * WORKLOAD_JOBS}, false, true, true},
    {"shared, large sectors",
     {.shared_pages = 5 * WORKLOAD_JOBS, .sector_size = 4096},
     false,
     true,
     true},
    {"shared, one segment", {.shared_pages = 5 * WORKLOAD_JOBS, .segments = 1}, false, true, true},
    {"shared, oldest backend",
     {.shared_pages = 5 * WORKLOAD_JOBS, .offer = &rig_oldest},
     false,
     true,
     true},
    {"polled", {.poll = true}, true, false, false},
    {"counted in sectors",
     {.sector_size = 4096,
      .units = XENPV_UNITS_SECTOR_SIZE,
      .offer = &(const struct rig_offer){.queues = 4, .units = XENPV_UNITS_SECTOR_SIZE}},
     true,
     false,
     false},
};

/* Queues are not ordered among each other: each has a part of the disk for itself. */
static void run_way(const struct way *way, uint32_t seed)
{
    struct rig_options options = way->options;
    static struct workload work[QUEUES];
    struct rig rig;
    uint32_t random = seed;

    options.bytes = (uint64_t)PART * QUEUES;
    options.queues = 1 + seed % QUEUES;
    options.ring_order = seed % 3;
    if (options.offer == &rig_oldest)
        options.queues = 1;
    rig_up(&rig, &options);
    rig_connect(&rig);
    for (uint32_t i = 0; i < options.queues; i++) {
        workload_init(&work[i], xenpv_blk_queue(rig.blk, i), (uint64_t)i * PART, PART,
                      rig.disk.sector_size, seed * 1000 + i);
        work[i].large = way->large;
        work[i].aligned = way->aligned;
        work[i].shared = way->shared;
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < options.queues; i++) {
            workload_queue(&work[i], rig_random(&random) % 8);
            if (rig_random(&random) % 3)
                assert_true(workload_take(&work[i]) >= 0);
        }
        if (rig_random(&random) % 2)
            rig_step(&rig);
    }
    for (uint32_t i = 0; i < options.queues; i++) {
        while (work[i].pending) {
            assert_true(workload_take(&work[i]) >= 0);
            rig_step(&rig);
        }
        assert_true(work[i].good > ROUNDS / 2);
        workload_check(&work[i], &rig);
        workload_free(&work[i]);
    }
    rig_close(&rig);
    rig_down(&rig);
}

static void test_every_way_of_moving_data(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        print_message("  %s\n", ways[i].name);
        for (uint32_t seed = 1; seed <= SEEDS; seed++)
            run_way(&ways[i], seed * 31 + (uint32_t)i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way_of_moving_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
