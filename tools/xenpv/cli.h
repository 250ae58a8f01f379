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

/* The options that only some commands know, as bits of a uint64_t. */
#define OPTION_OFFSET        (UINT64_C(1) << 0)
#define OPTION_LENGTH        (UINT64_C(1) << 1)
#define OPTION_TARGET_OFFSET (UINT64_C(1) << 2)
#define OPTION_IN            (UINT64_C(1) << 3)
#define OPTION_OUT           (UINT64_C(1) << 4)
#define OPTION_ALL           (UINT64_C(1) << 5)
#define OPTION_SECURE        (UINT64_C(1) << 6)
#define OPTION_BUDGET        (UINT64_C(1) << 7)
#define OPTION_TAKE_OVER     (UINT64_C(1) << 8)
/* How a disk is used. */
#define OPTION_QUEUES     (UINT64_C(1) << 9)
#define OPTION_RING_ORDER (UINT64_C(1) << 10)
#define OPTION_SEGMENTS   (UINT64_C(1) << 11)
#define OPTION_POLL       (UINT64_C(1) << 12)
#define OPTION_UNITS      (UINT64_C(1) << 13)
#define OPTION_WITHOUT    (UINT64_C(1) << 14)
#define OPTION_SIZE       (UINT64_C(1) << 15)
/* How a vif is used. */
#define OPTION_NET_WITHOUT (UINT64_C(1) << 16)
#define OPTION_ADDRESS     (UINT64_C(1) << 17)
#define OPTION_COUNT       (UINT64_C(1) << 18)
#define OPTION_INTERVAL    (UINT64_C(1) << 19)
#define OPTION_PCAP        (UINT64_C(1) << 20)
#define OPTION_DURATION    (UINT64_C(1) << 21)
#define OPTION_RATE        (UINT64_C(1) << 22)
#define OPTION_REPEAT      (UINT64_C(1) << 23)
#define OPTION_NAME        (UINT64_C(1) << 24)
#define OPTION_TIMEOUT     (UINT64_C(1) << 25) /* every command knows it */
/* What is in struct bench_options: of both kinds, of disks, of network cards. */
#define OPTION_BENCH     (UINT64_C(1) << 26)
#define OPTION_BENCH_BLK (UINT64_C(1) << 27)
#define OPTION_BENCH_NET (UINT64_C(1) << 28)
/* How the store is looked at and changed. */
#define OPTION_RECURSIVE (UINT64_C(1) << 29)
#define OPTION_STORE_LS  (UINT64_C(1) << 30) /* what a line of a list has */
#define OPTION_RAW       (UINT64_C(1) << 31)
#define OPTION_TIDY      (UINT64_C(1) << 32)
#define OPTION_WATCH     (UINT64_C(1) << 33)
#define OPTION_UPTO      (UINT64_C(1) << 46)
/* What is looked at, and for how long; messages. */
#define OPTION_LIST_WATCH (UINT64_C(1) << 34)
#define OPTION_LIST_ALL   (UINT64_C(1) << 35)
#define OPTION_DOMAIN     (UINT64_C(1) << 36)
#define OPTION_NO_WAIT    (UINT64_C(1) << 37)
#define OPTION_FOLLOW     (UINT64_C(1) << 38)

/* Of the agent. */
#define OPTION_HOOK         (UINT64_C(1) << 39)
#define OPTION_ACTIVE       (UINT64_C(1) << 40)
#define OPTION_USER         (UINT64_C(1) << 41)
#define OPTION_MOCK_CONTROL (UINT64_C(1) << 42)

#define OPTIONS_FORM                                                                               \
    (OPTION_QUEUES | OPTION_RING_ORDER | OPTION_SEGMENTS | OPTION_POLL | OPTION_UNITS |            \
     OPTION_WITHOUT)
#define OPTIONS_DISK     (OPTIONS_FORM | OPTION_TAKE_OVER) /* of all commands that connect to one */
#define OPTIONS_NET_FORM (OPTION_QUEUES | OPTION_POLL | OPTION_NET_WITHOUT)
#define OPTIONS_VIF      (OPTIONS_NET_FORM | OPTION_TAKE_OVER) /* the same of network cards */

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
    uint64_t given;              /* OPTION_ bits */
    bool seen[OPTION_SPECS_MAX]; /* which of all options, by their row in options.c */
    uint64_t offset, length, target_offset;
    const char *in, *out;
    bool all, secure, take_over, active;
    uint32_t budget; /* devices */
    /* As in struct xenpv_blk_config; 0 unless given. */
    uint32_t queues, ring_order, segments, units, without;
    bool poll;
    const char *size;     /* bytes; of a bench a list of them; NULL where not given */
    uint32_t net_without; /* as in struct xenpv_net_config */
    const char *address, *pcap, *name;
    uint32_t count, interval_ms, duration_s, rate, repeat; /* 0: not given, but of interval_ms */
    bool recursive, permissions, paths, raw, tidy, upto;
    uint32_t watch_timeout_ms; /* 0: for ever */
    bool watch, no_wait, follow;
    uint32_t domain;
    struct bench_options bench;
    const char **hooks;         /* EVENT=COMMAND */
    const char **mock_controls; /* PATH=VALUE */
    unsigned hook_count, mock_control_count;
    const char *user;
};

struct command {
    const char *name; /* one or two words */
    const char *arguments;
    const char *summary;
    const char *help; /* whole lines */
    uint64_t options; /* OPTION_ bits it knows */
    int least, most;  /* arguments; most < 0: any number */
    int (*run)(const struct options *options, int count, char **arguments); /* enum status */
};

/* Up to an entry without a name. */
extern const struct command list_commands[], info_commands[], store_commands[], blk_commands[],
    net_commands[], bench_commands[], agent_commands[], message_commands[], time_commands[];

#endif
