/* SPDX-License-Identifier: MIT */
/* A file or standard input, read whole. */
#ifndef XENPV_INPUT_H
#define XENPV_INPUT_H

#include "cli.h"

struct input {
    char *bytes; /* to be freed, with a NUL behind them */
    size_t length;
};

/*
 * Up to `most` bytes of the file; NULL or "-": of standard input. Exit status, after complaining;
 * then there is nothing to free.
 */
int input_read(struct input *input, const char *path, size_t most);

#endif
