/* SPDX-License-Identifier: MIT */
/* A disk of the mock: an image, and the backend that serves it. */
#ifndef XENPV_MOCK_DISK_H
#define XENPV_MOCK_DISK_H

#include <xenpv/harness/mock.h>

#include "mock_offer.h"

#define MOCK_GUEST  1u /* we are */
#define MOCK_DRIVER 0u /* the domain of the backends */

/* What all disks have in common. */
struct mock_world {
    struct xenpv_mock *mock;
    struct xenpv_port driver_port, neighbour_port;
    struct xenpv_allocator allocator;
    struct mock_offer offer;
};

struct mock_disk {
    struct xenpv_disk disk;
    struct xenpv_blkback *back;
    struct mock_world *world;
    uint32_t number;
    char directory[64]; /* of the backend */
    const char *path;   /* of the image */
    bool open, lost, closing;
    bool plugged, unplugged;
    /* As they were after the last step, to see whether it moved. */
    enum xenpv_bus_phase phase;
    struct xenpv_blkback_stats stats;
    struct xenpv_blkback_stats stats_before; /* those of the one that crashed */
};

/* The `index`th disk. An exit status; it is closed in any case. */
int mock_disk_open(struct mock_disk *disk, struct mock_world *world, unsigned index,
                   const char *path);

/* True when the backend did something that the frontend may see. */
bool mock_disk_step(struct mock_disk *disk, uint64_t now);

/* When it is to be stepped though nothing else moved. */
uint64_t mock_disk_deadline(const struct mock_disk *disk);

/* Begins to close for good, and whether that has come to its end. */
void mock_disk_end(struct mock_disk *disk, uint64_t now);
bool mock_disk_is_done(const struct mock_disk *disk);

void mock_disk_close(struct mock_disk *disk);

#endif
