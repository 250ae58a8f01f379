/* SPDX-License-Identifier: MIT */
/* The ways in which a backend goes, and comes back. */
#ifndef BUS_WORLDS_H
#define BUS_WORLDS_H

#include "bus_rig.h"

struct bus_world {
    const char *name;
    void (*world)(struct bus_rig *rig); /* for bus_rig.world */
};

extern const struct bus_world bus_worlds[];
extern const uint32_t bus_worlds_count;

/* Lets one begin now. */
void bus_world_begin(struct bus_rig *rig, void (*world)(struct bus_rig *rig));

/* A restore elsewhere: all is gone, and after a while there are new directories, and a backend in
 * another domain. For bus_rig.suspended. */
void bus_world_restore(struct bus_rig *rig);

#endif
