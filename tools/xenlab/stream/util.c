/* SPDX-License-Identifier: MIT */
#include "util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static FILE *complaints;

static void __attribute__((format(printf, 1, 0))) complain_list(const char *format, va_list args)
{
    FILE *to = complaints != NULL ? complaints : stderr;

    if (complaints == NULL)
        fputs("xenlab: ", to);
    vfprintf(to, format, args);
    fputc('\n', to);
    fflush(to);
}

void complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain_list(format, args);
    va_end(args);
}

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain_list(format, args);
    va_end(args);
    exit(LAB_FAILED);
}

void complain_into(const char *path)
{
    complaints = fopen(path, "ae");
    if (complaints == NULL)
        die("cannot write %s", path);
}

int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
