/* SPDX-License-Identifier: MIT */
/* What the command line says of a bench; lists are texts with commas, NULL where not given. */
#ifndef XENPV_BENCH_OPTIONS_H
#define XENPV_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct bench_options {
    const char *depths, *modes, *disks, *ops, *buffers, *links, *directions, *gsos;
    const char *plot;   /* a file to draw into */
    uint32_t repeats;   /* 0: not given */
    uint32_t repeat_ms; /* the same */
    uint32_t grants;    /* the same */
    bool quick, full;
    bool write; /* the device may be written to */
};

#endif
