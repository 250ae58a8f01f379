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

/* A network device is told through any socket. */
static int tell(const char *name, unsigned long what, struct ifreq *request)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc, error;

    if (fd < 0)
        return -1;
    strncpy(request->ifr_name, name, sizeof(request->ifr_name) - 1);
    rc = ioctl(fd, what, request);
    error = errno;
    close(fd);
    errno = error;
    return rc;
}

int os_tap_set_mac(const char *name, const uint8_t mac[6])
{
    struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};

    memcpy(request.ifr_hwaddr.sa_data, mac, 6);
    return tell(name, SIOCSIFHWADDR, &request);
}

int os_tap_set_mtu(const char *name, uint32_t mtu)
{
    struct ifreq request = {.ifr_mtu = (int)mtu};

    return tell(name, SIOCSIFMTU, &request);
}

int os_tap_set_carrier(xenpv_handle tap, bool up)
{
    int value = up;

    return ioctl((int)tap, TUNSETCARRIER, &value);
}

#else

int os_tap_set_mac(const char *name, const uint8_t mac[6])
{
    (void)name;
    (void)mac;
    errno = ENOSYS;
    return -1;
}

int os_tap_set_mtu(const char *name, uint32_t mtu)
{
    (void)name;
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
