/* SPDX-License-Identifier: MIT */
/* Where the mock and the backends get their memory: the caller's allocator, never malloc. */
#ifndef XENPV_HARNESS_ALLOCATOR_H
#define XENPV_HARNESS_ALLOCATOR_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_allocator {
    void *ctx;
    /* `bytes` > 0 of memory at a multiple of `align` (a power of two); NULL when there is none. */
    void *(*alloc)(void *ctx, size_t bytes, size_t align);
    /* Takes back what alloc gave; `memory` may be NULL. */
    void (*free)(void *ctx, void *memory);
};

#ifdef __cplusplus
}
#endif
#endif
