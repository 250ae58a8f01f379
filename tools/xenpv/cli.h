/* SPDX-License-Identifier: MIT */
/* The command line: what is asked for, and what every command answers. */
#ifndef XENPV_CLI_H
#define XENPV_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench_options.h"

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
enum {
    OPTION_OFFSET = 1 << 0,
    OPTION_LENGTH = 1 << 1,
    OPTION_TARGET_OFFSET = 1 << 2,
    OPTION_IN = 1 << 3,
    OPTION_OUT = 1 << 4,
    OPTION_ALL = 1 << 5,
    OPTION_SECURE = 1 << 6,
    OPTION_BUDGET = 1 << 7,
    OPTION_TAKE_OVER = 1 << 8,
    /* How a disk is used. */
    OPTION_QUEUES = 1 << 9,
    OPTION_RING_ORDER = 1 << 10,
    OPTION_SEGMENTS = 1 << 11,
    OPTION_POLL = 1 << 12,
    OPTION_UNITS = 1 << 13,
    OPTION_WITHOUT = 1 << 14,
    OPTION_BENCH = 1 << 15, /* what is in struct bench_options, of both kinds ... */
    OPTION_SIZE = 1 << 16,
    /* How a vif is used. */
    OPTION_NET_WITHOUT = 1 << 17,
    OPTION_ADDRESS = 1 << 18,
    OPTION_COUNT = 1 << 19,
    OPTION_INTERVAL = 1 << 20,
    OPTION_PCAP = 1 << 21,
    OPTION_DURATION = 1 << 22,
    OPTION_RATE = 1 << 23,
    OPTION_REPEAT = 1 << 24,
    OPTION_NAME = 1 << 25,
    OPTION_TIMEOUT = 1 << 26,   /* every command knows it */
    OPTION_BENCH_BLK = 1 << 27, /* ... of disks ... */
    OPTION_BENCH_NET = 1 << 28, /* ... and of network cards */
    OPTIONS_FORM = OPTION_QUEUES | OPTION_RING_ORDER | OPTION_SEGMENTS | OPTION_POLL |
                   OPTION_UNITS | OPTION_WITHOUT,
    OPTIONS_DISK = OPTIONS_FORM | OPTION_TAKE_OVER, /* of all commands that connect to one */
    OPTIONS_NET_FORM = OPTION_QUEUES | OPTION_POLL | OPTION_NET_WITHOUT,
    OPTIONS_VIF = OPTIONS_NET_FORM | OPTION_TAKE_OVER, /* the same of network cards */
};

#define OPTION_SPECS_MAX 96u

struct options {
    enum port_choice port;
    const char **mock_disks; /* paths */
    unsigned mock_disk_count;
    const char **mock_nets; /* loopback, pair, pcap=FILE; of each ,capture=FILE */
    unsigned mock_net_count;
    const char **mock_backend; /* KEY=VALUE,... */
    unsigned mock_backend_count;
    bool json;
    bool verbose;
    uint32_t timeout_ms;         /* 0: for ever */
    unsigned given;              /* OPTION_ bits */
    bool seen[OPTION_SPECS_MAX]; /* which of all options, by their row in options.c */
    uint64_t offset, length, target_offset;
    const char *in, *out;
    bool all, secure, take_over;
    uint32_t budget; /* devices */
    /* As in struct xenpv_blk_config; 0 unless given. */
    uint32_t queues, ring_order, segments, units, without;
    bool poll;
    const char *size;     /* bytes; of a bench a list of them; NULL where not given */
    uint32_t net_without; /* as in struct xenpv_net_config */
    const char *address, *pcap, *name;
    uint32_t count, interval_ms, duration_s, rate, repeat; /* 0: not given, but of interval_ms */
    struct bench_options bench;
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
extern const struct command list_commands[], info_commands[], store_commands[], blk_commands[],
    net_commands[], bench_commands[];

#endif
