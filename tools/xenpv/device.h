/* SPDX-License-Identifier: MIT */
/* A device as the user names it: CLASS/NUMBER, as "xenpv list" prints it, or what leads there. */
#ifndef XENPV_DEVICE_H
#define XENPV_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <xenpv/error.h>

struct machine;

struct device {
    char name[96];      /* "vbd/51712", or as the user named it until it is found */
    char path[48];      /* "device/vbd/51712" */
    const char *serial; /* NULL, or that of the disk that is to be found */
    bool by_mac;        /* the network card with this address is to be found: */
    uint8_t mac[6];
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

/* The same three for network cards: vif/NUMBER, or mac: and an address. */
bool device_means_vif(const char *text);
bool device_parse_vif(const char *text, struct device *device);
int device_find_vif(struct machine *machine, struct device *device);

/*
 * Complains of a device that failed, after so many milliseconds; says at its end `note`, what has
 * become of the backend's domain, and which limit was met. The exit status that belongs to it.
 */
int device_complain(struct machine *machine, const char *name, const struct xenpv_detail *detail,
                    uint64_t waited_ms, uint16_t backend_id, const char *note);

#endif
