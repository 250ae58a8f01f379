/* SPDX-License-Identifier: MIT */
/* What moving the data costs at the least: memcpy in a loop, on one core. */
#include <stdlib.h>
#include <string.h>

#include "bench_blk.h"

struct bench_copy {
    struct bench_cell cell;
    struct bench_walk walk;
    uint8_t *disk, *buffers;
};

struct bench_copy *bench_copy_make(const struct bench_cell *cell, uint64_t bytes)
{
    struct bench_copy *copy = calloc(1, sizeof(*copy));
    size_t buffers = (size_t)cell->depth * cell->size;

    if (!copy)
        return NULL;
    copy->cell = *cell;
    copy->walk =
        (struct bench_walk){.blocks = bytes / cell->size, .random = cell->op == BENCH_RANDREAD};
    copy->disk = os_alloc((size_t)bytes, XENPV_PAGE_SIZE);
    copy->buffers = os_alloc(buffers, XENPV_PAGE_SIZE);
    if (!copy->disk || !copy->buffers) {
        bench_copy_free(copy);
        return NULL;
    }
    /* Memory that was never written to is all one page. */
    memset(copy->disk, 1, (size_t)bytes);
    memset(copy->buffers, 1, buffers);
    return copy;
}

void bench_copy_free(struct bench_copy *copy)
{
    if (!copy)
        return;
    os_free(copy->disk);
    os_free(copy->buffers);
    free(copy);
}

/* Looks at the clock every so many bytes. */
#define BYTES_A_LOOK (256u * 1024)

double bench_copy_run(struct bench_copy *copy, uint64_t ns)
{
    uint32_t size = copy->cell.size, buffer = 0;
    uint64_t began = os_now_ns(), now, done = 0;

    do {
        for (uint32_t bytes = 0; bytes < BYTES_A_LOOK; bytes += size, done++) {
            uint8_t *on_disk = copy->disk + bench_walk_next(&copy->walk) * size;
            uint8_t *here = copy->buffers + (size_t)buffer * size;

            buffer = buffer + 1 < copy->cell.depth ? buffer + 1 : 0;
            if (copy->cell.op == BENCH_WRITE)
                memcpy(on_disk, here, size);
            else
                memcpy(here, on_disk, size);
        }
        now = os_now_ns();
    } while (now - began < ns);
    return (double)done * 1e9 / (double)(now - began);
}
