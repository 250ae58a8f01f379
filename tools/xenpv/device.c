/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/keys.h>

#include "complain.h"
#include "store.h"
#include "vbd.h"

#define BY_NUMBER "vbd/"
#define BY_SERIAL "serial:"

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool device_means_disk(const char *text)
{
    return begins_with(text, BY_NUMBER) || begins_with(text, BY_SERIAL);
}

static void set_number(struct device *device, uint32_t id)
{
    device->id = id;
    device->serial = NULL;
    snprintf(device->name, sizeof(device->name), "vbd/%u", id);
    snprintf(device->path, sizeof(device->path), "device/vbd/%u", id);
}

/* A number, or a name such as xvdb. */
static bool parse_number(const char *text, uint32_t *id)
{
    uint64_t number;

    if (!xenpv_parse_number(text, (uint32_t)strlen(text), &number))
        return xenpv_vbd_number(text, id);
    *id = (uint32_t)number;
    return number <= UINT32_MAX;
}

bool device_parse_disk(const char *text, struct device *device)
{
    uint32_t id;

    if (begins_with(text, BY_NUMBER) && parse_number(text + strlen(BY_NUMBER), &id)) {
        set_number(device, id);
        return true;
    }
    if (begins_with(text, BY_SERIAL) && text[strlen(BY_SERIAL)]) {
        *device = (struct device){.serial = text + strlen(BY_SERIAL)};
        snprintf(device->name, sizeof(device->name), "%s", text);
        return true;
    }
    complain(STATUS_USAGE,
             "'%s' is no disk: give vbd/NUMBER, as 'xenpv list' prints it, vbd/NAME, as vbd/xvdb, "
             "or serial:TEXT",
             text);
    return false;
}

/* ------------------------------------------------------------------------- by serial number -- */

struct search {
    struct machine *machine;
    struct device *wanted;
    struct device found;
    unsigned count;
};

/* A disk that cannot be looked at is not the one. */
static int look_at(struct search *search, uint32_t id)
{
    struct device candidate;
    struct xenpv_blk_info info;
    struct vbd vbd;
    int status;

    set_number(&candidate, id);
    status = vbd_make(&vbd, search->machine, &candidate, 1);
    if (status == STATUS_DONE && vbd_inspect(&vbd) == STATUS_DONE) {
        xenpv_blk_info(vbd.blk, &info);
        if (strcmp(info.serial, search->wanted->serial) == 0 && search->count++ == 0)
            search->found = candidate;
    }
    vbd_close_quietly(&vbd);
    return status;
}

static int look_at_all(struct search *search, const char *names, uint32_t length)
{
    int status = STATUS_DONE;

    for (uint32_t at = 0; at < length && status == STATUS_DONE && !os_stop_signal();
         at += (uint32_t)strlen(names + at) + 1) {
        uint64_t id;

        if (xenpv_parse_number(names + at, (uint32_t)strlen(names + at), &id) && id <= UINT32_MAX)
            status = look_at(search, (uint32_t)id);
    }
    return status;
}

int device_find_disk(struct machine *machine, struct device *device)
{
    struct search search = {.machine = machine, .wanted = device};
    uint32_t length = 0;
    char *names = NULL;
    int status;

    if (!device->serial)
        return STATUS_DONE;
    status = store_get(machine, XENPV_STORE_LIST, "device/vbd", &names, &length);
    if (status && status != XENPV_ENOENT)
        return complain(status_of_error(status), "%s: cannot list the disks: %s", device->name,
                        xenpv_error_text(status));
    status = look_at_all(&search, names, length);
    free(names);
    if (status != STATUS_DONE || os_stop_signal())
        return STATUS_FAILED;
    if (search.count != 1)
        return complain(STATUS_FAILED, "%s: %s; 'xenpv info' shows a disk's serial number",
                        device->name,
                        search.count ? "more than one disk has it" : "no disk here has it");
    *device = search.found;
    return STATUS_DONE;
}
