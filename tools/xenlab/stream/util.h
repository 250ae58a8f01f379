/* SPDX-License-Identifier: MIT */
#ifndef XENLAB_UTIL_H
#define XENLAB_UTIL_H

#include <stdint.h>
#include <stdnoreturn.h>

/* The lab itself failed: one line, exit status 125. It goes to stderr, or to the file that
 * complain_into() named, for a caller that adds to it. */
enum { LAB_FAILED = 125, LAB_TIMED_OUT = 124 };
noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
void complain_into(const char *path);

/* Milliseconds on a clock that only moves forward. */
int64_t now_ms(void);

#endif
