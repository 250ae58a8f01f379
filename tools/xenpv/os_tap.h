/* SPDX-License-Identifier: MIT */
/* What is set on a network device of the kernel's; on Linux. */
#ifndef XENPV_OS_TAP_H
#define XENPV_OS_TAP_H

#include <xenpv/port.h>

/* 0, or -1 with errno set. */
int os_tap_set_mac(const char *name, const uint8_t mac[6]);
int os_tap_set_mtu(const char *name, uint32_t mtu);
int os_tap_set_carrier(xenpv_handle tap, bool up);

#endif
