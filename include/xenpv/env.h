/* SPDX-License-Identifier: MIT */
/*
 * What the core needs from the world outside: fixed-width types, four memory functions and 32-bit
 * atomics. An embedder whose compiler lacks any of this defines XENPV_ENV_HEADER to a header of its
 * own that provides everything in this file; nothing else is ever included by the core.
 */
#ifndef XENPV_ENV_H
#define XENPV_ENV_H

#ifdef XENPV_ENV_HEADER
#include XENPV_ENV_HEADER
#else

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __STDC_HOSTED__
#include <string.h>
#else
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
#endif

#ifdef __cplusplus
#define XENPV_STATIC_ASSERT static_assert
#else
#define XENPV_STATIC_ASSERT _Static_assert
#endif

/* Every number on the wire is little-endian, and so is every machine that Xen runs on. */
XENPV_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
                    "xenpv needs a little-endian target");

/*
 * Loads and stores of memory that another domain, or another thread, changes at the same time.
 * Each call is exactly one access of 32 bits. The _seq pair keeps a store before a later load,
 * which is what the "store my index, then read the other side's event index" pattern of the rings
 * needs.
 */
static inline uint32_t xenpv_load(const uint32_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static inline uint32_t xenpv_load_acquire(const uint32_t *from)
{
    return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

static inline uint32_t xenpv_load_seq(const uint32_t *from)
{
    return __atomic_load_n(from, __ATOMIC_SEQ_CST);
}

static inline void xenpv_store(uint32_t *to, uint32_t value)
{
    __atomic_store_n(to, value, __ATOMIC_RELAXED);
}

static inline void xenpv_store_release(uint32_t *to, uint32_t value)
{
    __atomic_store_n(to, value, __ATOMIC_RELEASE);
}

static inline void xenpv_store_seq(uint32_t *to, uint32_t value)
{
    __atomic_store_n(to, value, __ATOMIC_SEQ_CST);
}

#endif /* XENPV_ENV_HEADER */

#define XENPV_PAGE_SIZE 4096u

#endif
