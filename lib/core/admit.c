/* SPDX-License-Identifier: MIT */
#include <xenpv/admit.h>

static bool comes_before(const struct xenpv_admit_device *devices, uint32_t a, uint32_t b)
{
    if (devices[a].device_class != devices[b].device_class)
        return devices[a].device_class < devices[b].device_class;
    if (devices[a].number != devices[b].number)
        return devices[a].number < devices[b].number;
    return a < b;
}

/* Ranks are counted, not sorted: there is no room to sort in, and the caller's order is his. */
uint32_t xenpv_admit(struct xenpv_admit_device *devices, uint32_t count, uint32_t budget)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rank = 0;

        for (uint32_t other = 0; other < count; other++)
            rank += comes_before(devices, other, i);
        devices[i].admitted = rank < budget;
    }
    return count > budget ? count - budget : 0;
}
