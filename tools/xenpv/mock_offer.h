/* SPDX-License-Identifier: MIT */
/* --mock-backend: what the backends of the mock offer, and what they do. */
#ifndef XENPV_MOCK_OFFER_H
#define XENPV_MOCK_OFFER_H

#include <xenpv/harness/blkback.h>
#include <xenpv/harness/netback.h>

#include "cli.h"

#define OFFER_UNSET UINT32_MAX

/* OFFER_UNSET, NULL: as they are by themselves. */
struct mock_offer {
    uint32_t queues, ring_order, segments, persistent, units;
    uint32_t flush, barrier, discard, secure_discard, readonly, removable, cdrom; /* 0 or 1 */
    uint32_t sector_size, physical_sector_size, granularity, alignment;           /* bytes */
    uint32_t trusted;                                                             /* 0 or 1 */
    uint32_t mtu;
    uint32_t net[XENPV_NET_FEATURES]; /* 0 or 1, by the bit of enum xenpv_net_feature */
    uint32_t grants;                  /* pages of each domain; 0: as Xen has it */
    uint32_t restart;                 /* requests, or frames sent, until the backend
                         closes, and begins anew */
    uint32_t vanish;                  /* the same, and it stays away */
    uint32_t changes;                 /* of a node in the store, while somebody listens for some */
    uint32_t attach, detach; /* milliseconds after the start: the disks come then, and go */
    uint32_t nics;           /* network cards that stand in the store, and are served by nobody */
    char message[256];       /* KEY=VALUE; "": nobody sends or receives any */
    char serial[XENPV_BLK_SERIAL_MAX]; /* "": each disk has its own */
};

/* False after complaining. */
bool mock_offer_parse(const struct options *options, struct mock_offer *offer);

/* Changes a disk, and a backend's configuration, to what is wanted. */
void mock_offer_set_disk(const struct mock_offer *offer, struct xenpv_disk *disk);
void mock_offer_set_config(const struct mock_offer *offer, struct xenpv_blkback_config *config);
void mock_offer_set_net(const struct mock_offer *offer, struct xenpv_netback_config *config);

#endif
