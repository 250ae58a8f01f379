/* SPDX-License-Identifier: MIT */
/*
 * Which devices a guest takes on that has room for only so many: disks before network cards, each
 * class by its numbers. The choice depends on nothing else, and so is the same after each boot.
 */
#ifndef XENPV_ADMIT_H
#define XENPV_ADMIT_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The lower is admitted first. */
enum xenpv_admit_class { XENPV_ADMIT_DISK, XENPV_ADMIT_NIC };

struct xenpv_admit_device {
    enum xenpv_admit_class device_class;
    uint32_t number; /* that of its directory, e.g. 51712 of device/vbd/51712 */
    bool admitted;   /* out */
};

/*
 * Marks the devices that a budget of that many admits, and leaves their order as it is. Returns how
 * many are refused. Of two with one class and number, the one that stands first is admitted first.
 * Time is the square of `count`. Any thread.
 */
uint32_t xenpv_admit(struct xenpv_admit_device *devices, uint32_t count, uint32_t budget);

#ifdef __cplusplus
}
#endif
#endif
