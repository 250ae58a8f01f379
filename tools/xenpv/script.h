/* SPDX-License-Identifier: MIT */
/* Lines of words, with quotes and escapes. */
#ifndef XENPV_SCRIPT_H
#define XENPV_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#define SCRIPT_WORDS 64u /* on a line at the most */

struct script_word {
    char *bytes; /* in the script's own memory, with a NUL behind them, and perhaps others among
                    them */
    uint32_t length;
};

struct script_line {
    char *next, *end; /* what has not been read yet; the byte at `end` can be written */
    unsigned number;  /* of the line, from 1 */
    struct script_word words[SCRIPT_WORDS];
    unsigned count;    /* 0 on an empty line */
    const char *wrong; /* what is, or NULL */
};

/* Cuts the next line into its words, in place; false at the end. */
bool script_next(struct script_line *line);

#endif
