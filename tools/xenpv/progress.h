/* SPDX-License-Identifier: MIT */
/* How far a transfer, or another long work, is, on one line of a terminal at standard error; nowhere else. */
#ifndef XENPV_PROGRESS_H
#define XENPV_PROGRESS_H

#include <stdint.h>

/* Begins; `total` is UINT64_MAX where it is not known. */
void progress_begin(uint64_t total);
/* Shows `done` bytes, if some time has passed since the last look. */
void progress_show(uint64_t done);
/* Shows how many there are `done` of the total. */
void progress_count(const char *what, uint32_t done);
/* Takes the line away until the next look. */
void progress_clear(void);
/* Milliseconds since it began. */
uint64_t progress_elapsed(void);

#endif
