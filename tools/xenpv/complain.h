/* SPDX-License-Identifier: MIT */
/* What goes to standard error: one line for each thing, always with the name of the program. */
#ifndef XENPV_COMPLAIN_H
#define XENPV_COMPLAIN_H

#include <stdio.h>

#include <xenpv/error.h>

#include "cli.h"

#ifdef __MINGW_PRINTF_FORMAT
#define PRINTF __MINGW_PRINTF_FORMAT
#else
#define PRINTF printf
#endif
#define PRINTF_LIKE(text, first) __attribute__((format(PRINTF, text, first)))

/* Writes "xenpv: ..." as one line, whatever the arguments hold, and returns `status`. */
int complain(int status, const char *format, ...) PRINTF_LIKE(2, 3);

/* The same for what is no error: nothing unless `verbose`. */
void remark(const struct options *options, const char *format, ...) PRINTF_LIKE(2, 3);

/* And for what somebody who sits before a terminal wants to know: also if standard error is one. */
void notice(const struct options *options, const char *format, ...) PRINTF_LIKE(2, 3);

/* The line for a device that failed, after that long, with `note` at its end; returns the exit
 * status that belongs to it. */
int complain_of_device(const char *device, const struct xenpv_detail *detail, uint64_t waited_ms,
                       const char *note);

/* The exit status of an error: did the device fail, or does the machine lack something? */
int status_of_error(int error);

#endif
