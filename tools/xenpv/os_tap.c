/* SPDX-License-Identifier: MIT */
#include "os_tap.h"

#include <errno.h>

#ifdef __linux__
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(OS_TAP_NAME_MAX == IFNAMSIZ, "as the kernel has it");

bool os_tap_name(xenpv_handle tap, char name[OS_TAP_NAME_MAX])
{
    struct ifreq request = {.ifr_flags = 0};

    if (ioctl((int)tap, TUNGETIFF, &request) != 0)
        return false;
    memcpy(name, request.ifr_name, OS_TAP_NAME_MAX);
    return true;
}

/* A network device is told by its name, through any socket. */
static int tell(xenpv_handle tap, unsigned long what, struct ifreq *request)
{
    int fd, rc, error;

    if (!os_tap_name(tap, request->ifr_name))
        return -1;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    rc = ioctl(fd, what, request);
    error = errno;
    close(fd);
    errno = error;
    return rc;
}

int os_tap_set_mac(xenpv_handle tap, const uint8_t mac[6])
{
    struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};

    memcpy(request.ifr_hwaddr.sa_data, mac, 6);
    return tell(tap, SIOCSIFHWADDR, &request);
}

int os_tap_set_mtu(xenpv_handle tap, uint32_t mtu)
{
    struct ifreq request = {.ifr_mtu = (int)mtu};

    return tell(tap, SIOCSIFMTU, &request);
}

int os_tap_set_carrier(xenpv_handle tap, bool up)
{
    int value = up;

    return ioctl((int)tap, TUNSETCARRIER, &value);
}

#else

bool os_tap_name(xenpv_handle tap, char name[OS_TAP_NAME_MAX])
{
    (void)tap;
    (void)name;
    return false;
}

int os_tap_set_mac(xenpv_handle tap, const uint8_t mac[6])
{
    (void)tap;
    (void)mac;
    errno = ENOSYS;
    return -1;
}

int os_tap_set_mtu(xenpv_handle tap, uint32_t mtu)
{
    (void)tap;
    (void)mtu;
    errno = ENOSYS;
    return -1;
}

int os_tap_set_carrier(xenpv_handle tap, bool up)
{
    (void)tap;
    (void)up;
    errno = ENOSYS;
    return -1;
}

#endif
