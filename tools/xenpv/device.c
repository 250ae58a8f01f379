/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/keys.h>
#include <xenpv/net.h>

#include "complain.h"
#include "store.h"
#include "vbd.h"

#define BY_NUMBER     "vbd/"
#define BY_SERIAL     "serial:"
#define VIF_BY_NUMBER "vif/"
#define VIF_BY_MAC    "mac:"

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool device_means_disk(const char *text)
{
    return begins_with(text, BY_NUMBER) || begins_with(text, BY_SERIAL);
}

static void set_number(struct device *device, const char *class_name, uint32_t id)
{
    *device = (struct device){.id = id};
    snprintf(device->name, sizeof(device->name), "%s/%u", class_name, id);
    snprintf(device->path, sizeof(device->path), "device/%s/%u", class_name, id);
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
        set_number(device, "vbd", id);
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

    set_number(&candidate, "vbd", id);
    status = vbd_make(&vbd, search->machine, &candidate, 1);
    if (status == STATUS_DONE && vbd_inspect(&vbd) == STATUS_DONE) {
        xenpv_blk_info(vbd.blk, &info);
        if (strcmp(info.serial, search->wanted->serial) == 0 && search->count++ == 0)
            search->found = candidate;
    }
    vbd_close_quietly(&vbd);
    return status;
}

/* Every device of a class, until a look at one fails. */
static int look_at_all(struct search *search, const char *class_name,
                       int (*look)(struct search *search, uint32_t id))
{
    int status = STATUS_DONE, error;
    uint32_t length = 0;
    char path[32], *names = NULL;

    snprintf(path, sizeof(path), "device/%s", class_name);
    error = store_get(search->machine, XENPV_STORE_LIST, path, &names, &length);
    if (error && error != XENPV_ENOENT)
        return complain(status_of_error(error), "%s: cannot list %s: %s", search->wanted->name,
                        path, xenpv_error_text(error));
    for (uint32_t at = 0; at < length && status == STATUS_DONE && !os_stop_signal();
         at += (uint32_t)strlen(names + at) + 1) {
        uint64_t id;

        if (xenpv_parse_number(names + at, (uint32_t)strlen(names + at), &id) && id <= UINT32_MAX)
            status = look(search, (uint32_t)id);
    }
    free(names);
    return os_stop_signal() ? STATUS_FAILED : status;
}

int device_find_disk(struct machine *machine, struct device *device)
{
    struct search search = {.machine = machine, .wanted = device};
    int status;

    if (!device->serial)
        return STATUS_DONE;
    status = look_at_all(&search, "vbd", look_at);
    if (status != STATUS_DONE)
        return status;
    if (search.count != 1)
        return complain(STATUS_FAILED, "%s: %s; 'xenpv info' shows a disk's serial number",
                        device->name,
                        search.count ? "more than one disk has it" : "no disk here has it");
    *device = search.found;
    return STATUS_DONE;
}

/* ------------------------------------------------------------------------------ network cards -- */

bool device_means_vif(const char *text)
{
    return begins_with(text, VIF_BY_NUMBER) || begins_with(text, VIF_BY_MAC);
}

bool device_parse_vif(const char *text, struct device *device)
{
    const char *number = text + strlen(VIF_BY_NUMBER);
    uint64_t id;

    if (begins_with(text, VIF_BY_NUMBER) &&
        xenpv_parse_number(number, (uint32_t)strlen(number), &id) && id <= UINT32_MAX) {
        set_number(device, "vif", (uint32_t)id);
        return true;
    }
    *device = (struct device){.by_mac = true};
    snprintf(device->name, sizeof(device->name), "%s", text);
    if (begins_with(text, VIF_BY_MAC) && xenpv_parse_mac(text + strlen(VIF_BY_MAC), device->mac))
        return true;
    complain(STATUS_USAGE,
             "'%s' is no network card: give vif/NUMBER, as 'xenpv list' prints it, or mac:ADDRESS, "
             "as mac:00:16:3e:01:02:03",
             text);
    return false;
}

static int look_at_mac(struct search *search, uint32_t id)
{
    char path[64], *text;
    uint32_t length;
    uint8_t mac[6];
    int error;

    snprintf(path, sizeof(path), "device/vif/%u/mac", id);
    error = store_get(search->machine, XENPV_STORE_READ, path, &text, &length);
    if (error)
        return STATUS_DONE;
    if (xenpv_parse_mac(text, mac) && memcmp(mac, search->wanted->mac, 6) == 0 &&
        search->count++ == 0)
        set_number(&search->found, "vif", id);
    free(text);
    return STATUS_DONE;
}

int device_find_vif(struct machine *machine, struct device *device)
{
    struct search search = {.machine = machine, .wanted = device};
    int status;

    if (!device->by_mac)
        return STATUS_DONE;
    status = look_at_all(&search, "vif", look_at_mac);
    if (status != STATUS_DONE)
        return status;
    if (search.count != 1)
        return complain(STATUS_FAILED, "%s: %s; 'xenpv list' shows those there are", device->name,
                        search.count ? "more than one network card has it"
                                     : "no network card here has it");
    *device = search.found;
    return STATUS_DONE;
}

/* -------------------------------------------------------------------------------- complaints -- */

/* A backend that is silent because its domain is no more: dom0 can tell. */
static void note_fate(struct machine *machine, uint16_t domid, char *note, size_t room)
{
    const char *fate = machine_fate(machine, domid);

    if (fate[0])
        snprintf(note, room, "; domain %u %s", domid, fate);
}

/* The limit that was met, and what raises it. */
static void note_grants(struct machine *machine, char *note, size_t room)
{
    char raise[96];
    uint32_t limit = machine_grant_limit(machine, raise, sizeof(raise));

    if (limit)
        snprintf(note, room, "; all programs together may share %u pages: '%s' allows more", limit,
                 raise);
}

int device_complain(struct machine *machine, const char *name, const struct xenpv_detail *detail,
                    uint64_t waited_ms, uint16_t backend_id, const char *note)
{
    char all[480];
    size_t used;

    snprintf(all, sizeof(all), "%s", note);
    used = strlen(all);
    if (detail->error == XENPV_ETIMEDOUT || detail->error == XENPV_EPEER)
        note_fate(machine, backend_id, all + used, sizeof(all) - used);
    else if (detail->error == XENPV_ENOGRANT)
        note_grants(machine, all + used, sizeof(all) - used);
    return complain_of_device(name, detail, waited_ms, all);
}
