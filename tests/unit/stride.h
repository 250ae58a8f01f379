/* SPDX-License-Identifier: MIT */
/*
 * Tests that do the same at every step there is take long in builds that are slow. With
 * XENPV_TEST_STRIDE=N in the environment they take every Nth step alone.
 */
#ifndef STRIDE_H
#define STRIDE_H

#include <stdint.h>

/* N; 1 where it is not set. */
uint64_t stride(void);

#endif
