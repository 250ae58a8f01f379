/* SPDX-License-Identifier: MIT */
/* A device as the user names it: CLASS/NUMBER, as "xenpv list" prints it. */
#ifndef XENPV_DEVICE_H
#define XENPV_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct device {
    char name[32]; /* "vbd/51712" */
    char path[48]; /* "device/vbd/51712" */
    uint32_t id;
};

/* The disk that `text` names; false after complaining that it names none. */
bool device_parse_disk(const char *text, struct device *device);

#endif
