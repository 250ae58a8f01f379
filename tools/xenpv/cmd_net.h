/* SPDX-License-Identifier: MIT */
/* The commands of "xenpv net", a file for each kind. */
#ifndef XENPV_CMD_NET_H
#define XENPV_CMD_NET_H

#include "cli.h"
#include "vif.h"

int net_stats(const struct options *options, int count, char **arguments);
int net_send(const struct options *options, int count, char **arguments);
int net_recv(const struct options *options, int count, char **arguments);
int net_ping(const struct options *options, int count, char **arguments);
int net_tap(const struct options *options, int count, char **arguments);

/* cmd_net.c: opens the machine, connects to the card of that name, does `use`, and closes all. */
int net_run(const struct options *options, const char *name, int (*use)(struct vif *vif, void *ctx),
            void *ctx);

/* Waits until something has come, or can be sent (enum xenpv_net_half), or the deadline. */
void net_wait(struct vif *vif, uint32_t halves, uint64_t deadline);

/* Complains if --pcap is a disk of the mock, or a file that one of its cards `uses`:
 * mock_net_reads or mock_net_writes. */
bool net_is_of_the_mock(const struct options *options,
                        bool (*uses)(const char *text, const char *path));

/* Frames of a round, after which control and clock are looked at. */
#define NET_ROUND 256u

/* What was received. */
struct net_tally {
    uint64_t frames, bytes;
    uint64_t broadcast, multicast; /* the rest went to one address */
    uint64_t blank, good;          /* by checksum */
    uint64_t large;                /* to be cut into segments */
    uint64_t hashed;
    uint64_t fragments;
};
void net_tally_add(struct net_tally *tally, const struct vif_frame *frame);

#endif
