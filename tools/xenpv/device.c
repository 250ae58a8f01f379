/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <stdio.h>
#include <string.h>

#include <xenpv/keys.h>

#include "complain.h"

bool device_parse_disk(const char *text, struct device *device)
{
    const char *digits = text + 4;
    uint64_t id;

    if (strncmp(text, "vbd/", 4) != 0 ||
        !xenpv_parse_number(digits, (uint32_t)strlen(digits), &id) || id > UINT32_MAX) {
        complain(STATUS_USAGE, "'%s' is no disk: give vbd/NUMBER, as 'xenpv list' prints it", text);
        return false;
    }
    device->id = (uint32_t)id;
    snprintf(device->name, sizeof(device->name), "vbd/%u", device->id);
    snprintf(device->path, sizeof(device->path), "device/vbd/%u", device->id);
    return true;
}
