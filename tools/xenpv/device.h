/* SPDX-License-Identifier: MIT */
/* A device as the user names it: CLASS/NUMBER, as "xenpv list" prints it, or what leads there. */
#ifndef XENPV_DEVICE_H
#define XENPV_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct machine;

struct device {
    char name[96];      /* "vbd/51712", or as the user named it until it is found */
    char path[48];      /* "device/vbd/51712" */
    const char *serial; /* NULL, or that of the disk that is to be found */
    uint32_t id;
};

/* The text is meant to be a disk: it begins with vbd/ or serial: */
bool device_means_disk(const char *text);

/* What `text` says of a disk; false after complaining that it names none. */
bool device_parse_disk(const char *text, struct device *device);

/*
 * The disk itself: one that is named by its serial number is looked for among those there are. An
 * exit status.
 */
int device_find_disk(struct machine *machine, struct device *device);

#endif
