/* SPDX-License-Identifier: MIT */
/* For the few functions on the way of every request that must not become calls, and for those that
 * must, so that they cost nothing where they are not called. */
#ifndef XENPV_INLINE_H
#define XENPV_INLINE_H

#if defined(__GNUC__)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NEVER_INLINE  static __attribute__((noinline))
#else
#define NEVER_INLINE  static
#define ALWAYS_INLINE static inline
#endif

#endif
