/* SPDX-License-Identifier: MIT */
/* A network card of the mock: a backend, and what its wire leads to. */
#ifndef XENPV_MOCK_NET_H
#define XENPV_MOCK_NET_H

#include <xenpv/harness/netback.h>

#include "mock_disk.h"
#include "mock_neighbour.h"

/* One backend, of us or of the neighbour. */
struct mock_vif {
    struct mock_world *world;
    uint16_t guest; /* whose it is */
    uint32_t number;
    char directory[64]; /* of the backend */
    struct xenpv_link link;
    struct xenpv_netback *back;
    bool open, lost, closing;
    /* As they were after the last step, to see whether it moved. */
    enum xenpv_bus_phase phase;
    struct xenpv_netback_stats stats;
    struct xenpv_netback_stats stats_before; /* those of the one that crashed */
};

struct mock_net {
    struct mock_vif ours;
    struct mock_vif theirs; /* of a pair, with the neighbour */
    struct mock_neighbour *neighbour;
    const char *captured; /* the file that its frames are put into, or NULL */
    const char *replayed; /* the option whose file they come from, or NULL; through this link: */
    struct xenpv_link replay;
    bool closing;
};

/* Whether `text` of --mock-net names this file, to put frames into it, or to get them from it. */
bool mock_net_writes(const char *text, const char *path);
bool mock_net_reads(const char *text, const char *path);
/* The file that it puts frames into, or NULL. */
const char *mock_net_capture(const char *text);

/* What `text` of --mock-net asks for, as vif/`index`. An exit status; it is closed in any case. */
int mock_net_open(struct mock_net *net, struct mock_world *world, unsigned index, const char *text);

/* True when something moved that another end may see. */
bool mock_net_step(struct mock_net *net, uint64_t now);
uint64_t mock_net_deadline(const struct mock_net *net);

/* Begins to close for good, and whether that has come to its end. */
void mock_net_end(struct mock_net *net, uint64_t now);
bool mock_net_is_done(const struct mock_net *net);

/* An exit status: the file of the capture may lack frames. */
int mock_net_close(struct mock_net *net);

#endif
