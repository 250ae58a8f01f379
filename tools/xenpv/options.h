/* SPDX-License-Identifier: MIT */
/* Reads the command line. */
#ifndef XENPV_OPTIONS_H
#define XENPV_OPTIONS_H

#include "cli.h"

struct command_line {
    struct options options;
    bool help, version;
    char **words; /* what is no option: the command and its arguments */
    int word_count;
};

/* Options may stand before, between and after the words; "--" ends them. False after complaining.
 */
bool options_parse(int argc, char **argv, struct command_line *line);

/* False, after complaining, when an option was given that the command does not know. */
bool options_suit(const struct options *options, const struct command *command);

void options_free(struct command_line *line);

/* The part of --help about the options that every command knows. */
extern const char options_help[];

/* The part about disks, and those of OPTIONS_FORM that are known. */
void options_print_form_help(uint64_t known);

/*
 * The index of `text` in `choices`, which ends with NULL; -1 after complaining, as what `name` says
 * is the option or key.
 */
int options_choose(const char *name, const char *text, const char *const *choices);

#endif
