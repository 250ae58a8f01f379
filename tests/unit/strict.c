/* SPDX-License-Identifier: MIT */
#include "strict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What relies on zeros does so near the beginning; the rest of a large block stays untouched pages. */
enum { FILL = 16384 };

static void *counted_alloc(void *ctx, size_t bytes, size_t align)
{
    struct strict_heap *heap = ctx;
    size_t unit = align < 16 ? 16 : align;
    void *memory;

    if (++heap->allocs == heap->fail_at)
        return NULL;
    memory = aligned_alloc(unit, (bytes + unit - 1) / unit * unit);
    assert_non_null(memory);
    memset(memory, 0xa5, bytes < FILL ? bytes : FILL);
    heap->blocks++;
    return memory;
}

static void counted_free(void *ctx, void *memory)
{
    struct strict_heap *heap = ctx;

    heap->blocks -= memory != NULL;
    free(memory);
}

struct xenpv_allocator strict_allocator(struct strict_heap *heap)
{
    return (struct xenpv_allocator){heap, counted_alloc, counted_free};
}

void strict_log(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    if (strncmp(line, "mock: ", 6) == 0)
        fail_msg("domain %u: %s", domid, line);
}
