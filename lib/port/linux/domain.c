/* SPDX-License-Identifier: MIT */
/*
 * Is that domain alive? A silent peer and a crashed one look the same from the store and the rings.
 */
#include <errno.h>

#include <xenctrl.h>

#include "linux.h"

static enum xenpv_linux_domain judge(const xc_dominfo_t *info)
{
    if (info->crashed)
        return XENPV_LINUX_DOMAIN_CRASHED;
    if (info->dying)
        return XENPV_LINUX_DOMAIN_DYING;
    return info->shutdown ? XENPV_LINUX_DOMAIN_SHUT_DOWN : XENPV_LINUX_DOMAIN_ALIVE;
}

enum xenpv_linux_domain xenpv_linux_domain(struct xenpv_linux *self, uint16_t domid)
{
    xc_interface *xen = xc_interface_open(&self->library_log, &self->library_log, 0);
    xc_dominfo_t info;
    int count, error;

    if (!xen)
        return XENPV_LINUX_DOMAIN_UNKNOWN;
    /* It answers with the first domain of that number or a higher one. */
    count = xc_domain_getinfo(xen, domid, 1, &info);
    error = errno;
    xc_interface_close(xen);
    if (count < 0)
        return error == ESRCH ? XENPV_LINUX_DOMAIN_GONE : XENPV_LINUX_DOMAIN_UNKNOWN;
    return count == 1 && info.domid == domid ? judge(&info) : XENPV_LINUX_DOMAIN_GONE;
}
