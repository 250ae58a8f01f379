/* SPDX-License-Identifier: MIT */
/* The command line: what is asked for, and what every command answers. */
#ifndef XENPV_CLI_H
#define XENPV_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Exit statuses; 128 + n after signal n. */
enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1, /* the device or its peer */
    STATUS_USAGE = 2,
    STATUS_ENVIRONMENT = 4, /* no Xen, no permission, a file that cannot be opened */
    STATUS_PIPE = 128 + 13, /* nobody reads our output any more: as if SIGPIPE had ended us */
};

enum port_choice { PORT_AUTO, PORT_LINUX, PORT_MOCK };

/* The options that only some commands know, as bits. */
enum { OPTION_OFFSET = 1, OPTION_LENGTH = 2, OPTION_IN = 4, OPTION_OUT = 8, OPTION_TAKE_OVER = 16 };

struct options {
    enum port_choice port;
    const char **mock_disks; /* paths */
    unsigned mock_disk_count;
    bool json;
    bool verbose;
    uint32_t timeout_ms; /* 0: for ever */
    unsigned given;      /* OPTION_ bits */
    uint64_t offset, length;
    const char *in, *out;
    bool take_over;
};

struct command {
    const char *name; /* one or two words */
    const char *arguments;
    const char *summary;
    const char *help; /* whole lines */
    unsigned options; /* OPTION_ bits it knows */
    int least, most;  /* arguments; most < 0: any number */
    int (*run)(const struct options *options, int count, char **arguments); /* enum status */
};

/* Up to an entry without a name. */
extern const struct command list_commands[], info_commands[], store_commands[], blk_commands[];

#endif
