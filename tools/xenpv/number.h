/* SPDX-License-Identifier: MIT */
/* Numbers on the command line. */
#ifndef XENPV_NUMBER_H
#define XENPV_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Decimal digits and nothing else: no sign, blank or prefix; with `suffixes`, one of K, M, G, T may
 * follow, for a power of 1024. On failure complains of option `name`, naming the range `least` to
 * `most` where it was left, and returns false.
 */
bool number_parse(const char *name, const char *text, bool suffixes, uint64_t least, uint64_t most,
                  uint64_t *number);

#define SIZE_TEXT_MAX 16u
/* "64 MiB", "1.5 GiB", "100 bytes". */
void size_text(uint64_t bytes, char text[SIZE_TEXT_MAX]);

#endif
