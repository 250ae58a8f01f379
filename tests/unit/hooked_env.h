/* SPDX-License-Identifier: MIT */
/*
 * What xenpv/env.h provides, with a hook before each load: XENPV_ENV_HEADER of a test that stops a
 * thread there and lets another one run.
 */
#ifndef HOOKED_ENV_H
#define HOOKED_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define XENPV_STATIC_ASSERT _Static_assert

/* Called before each load, or NULL. */
extern void (*before_load)(void);

static inline uint32_t hooked_load(const uint32_t *from, int order)
{
    if (before_load)
        before_load();
    return __atomic_load_n(from, order);
}

static inline uint32_t xenpv_load(const uint32_t *from)
{
    return hooked_load(from, __ATOMIC_RELAXED);
}

static inline uint32_t xenpv_load_acquire(const uint32_t *from)
{
    return hooked_load(from, __ATOMIC_ACQUIRE);
}

static inline uint32_t xenpv_load_seq(const uint32_t *from)
{
    return hooked_load(from, __ATOMIC_SEQ_CST);
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

#endif
