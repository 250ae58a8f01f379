/* SPDX-License-Identifier: MIT */
/* What is set on a network device of the kernel's that is open as a TAP; on Linux. */
#ifndef XENPV_OS_TAP_H
#define XENPV_OS_TAP_H

#include <xenpv/port.h>

#define OS_TAP_NAME_MAX 16u

/* What it is called now; false: it is there no more, and `name` is what it was. */
bool os_tap_name(xenpv_handle tap, char name[OS_TAP_NAME_MAX]);

/* 0, or -1 with errno set. */
int os_tap_set_mac(xenpv_handle tap, const uint8_t mac[6]);
int os_tap_set_mtu(xenpv_handle tap, uint32_t mtu);
int os_tap_set_carrier(xenpv_handle tap, bool up);

#endif
