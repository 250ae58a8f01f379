/* SPDX-License-Identifier: MIT */
#include "list.h"

#include <stdlib.h>
#include <string.h>

#include <xenpv/abi/blkif.h>
#include <xenpv/blk.h>

#include "complain.h"
#include "info.h"
#include "json.h"
#include "store.h"

_Static_assert(sizeof(((struct row *)0)->serial) == XENPV_BLK_SERIAL_MAX, "a serial number fits");

/* ------------------------------------------------------------------------------------- rows -- */

/* The value of DIR/NAME, to be freed, or NULL for none. Only a store that cannot be used is an
 * error. */
static int read_value(struct machine *machine, const char *dir, const char *name, char **value,
                      uint32_t *length)
{
    char path[2 * XENPV_STORE_PATH_MAX];
    int error;

    *value = NULL;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    error = store_get(machine, XENPV_STORE_READ, path, value, length);
    return error == XENPV_ENOENT || error == XENPV_EACCES || error == XENPV_EINVAL ? 0 : error;
}

static int read_mac(struct machine *machine, const char *dir, struct row *row)
{
    uint32_t length;
    char *value;
    int error = read_value(machine, dir, "mac", &value, &length);

    if (value)
        xenpv_printable(row->mac, sizeof(row->mac), value, length);
    free(value);
    return error;
}

/* "sectors" counts 512 bytes, whatever the sector size is: blkif.h. */
static int read_size(struct machine *machine, struct row *row)
{
    uint64_t number;
    uint32_t length;
    char *value;
    int error = read_value(machine, row->device.backend, "sectors", &value, &length);

    if (value && xenpv_parse_number(value, length, &number) &&
        number <= UINT64_MAX / XENPV_BLKIF_SECTOR)
        row->bytes = number * XENPV_BLKIF_SECTOR;
    free(value);
    return error;
}

static int read_serial(struct machine *machine, struct row *row)
{
    uint32_t length;
    char *value;
    int error = read_value(machine, row->device.backend, "sm-data/scsi/0x12/0x80", &value, &length);

    if (value)
        xenpv_blk_identity(value, length, row->serial);
    free(value);
    return error;
}

int row_fill(struct machine *machine, const char *path, const struct xenpv_device *device,
             struct row *row)
{
    char dir[XENPV_STORE_PATH_MAX + 32];
    int error;

    *row = (struct row){.device = *device};
    snprintf(dir, sizeof(dir), "%s/%s/%u", path, device->class_name, device->id);
    error = read_mac(machine, dir, row);
    if (error || strcmp(device->class_name, "vbd") != 0)
        return error;
    xenpv_vbd_name(device->id, row->name);
    if (device->backend[0])
        error = read_size(machine, row);
    if (error == 0 && device->backend[0])
        error = read_serial(machine, row);
    return error;
}

void row_identity(const struct row *row, char text[IDENTITY_MAX])
{
    const char *found = row->mac[0] ? row->mac : row->serial;

    snprintf(text, IDENTITY_MAX, "%s%s",
             found[0] == '\0' ? ""
             : row->mac[0]    ? "mac:"
                              : "serial:",
             found);
}

void row_device(const struct row *row, char text[32])
{
    snprintf(text, 32, "%s/%u", row->device.class_name, row->device.id);
}

void list_state_text(uint32_t state, char text[32])
{
    if (state == XENPV_STATE_UNKNOWN)
        snprintf(text, 32, "-");
    else
        info_state_text(state, text);
}

void list_json_state(const char *key, uint32_t state)
{
    if (state == XENPV_STATE_UNKNOWN || state > XENPV_STATE_RECONFIGURED)
        json_null(key);
    else
        json_number(key, state);
}

void list_json_domain(const char *key, uint16_t domid)
{
    if (domid == XENPV_DEVICE_NO_DOMAIN)
        json_null(key);
    else
        json_number(key, domid);
}

void list_json_device(const struct row *row)
{
    json_text("class", row->device.class_name);
    json_number("id", row->device.id);
    json_text("name", row->name);
    if (row->mac[0])
        json_text("mac", row->mac);
    if (row->serial[0])
        json_text("serial", row->serial);
}

int list_complain(int error)
{
    return complain(status_of_error(error), "cannot list the devices: %s", xenpv_error_text(error));
}

/* ----------------------------------------------------------------------------------- stream -- */

#define DEVICES 4096u
#define NAMES   (128u * 1024)

int stream_open(struct stream *stream, struct machine *machine, const char *path)
{
    struct xenpv_devices_config config = {
        .port = &machine->port, .path = path, .capacity = DEVICES, .names = NAMES};
    size_t bytes = xenpv_devices_size(&config);

    stream->machine = machine;
    stream->memory = malloc(bytes);
    if (!stream->memory)
        return XENPV_ENOMEM;
    return xenpv_devices_init(&config, stream->memory, bytes, &stream->devices);
}

int stream_look(struct stream *stream)
{
    struct machine *machine = stream->machine;
    uint32_t timeout = machine->options->timeout_ms;
    uint64_t end = timeout ? machine_now(machine) + timeout : UINT64_MAX;
    int error;

    while ((error = xenpv_devices_step(stream->devices, machine_now(machine))) == XENPV_PENDING) {
        if (os_stop_signal() || machine_now(machine) >= end)
            return XENPV_ETIMEDOUT;
        machine_wait(machine, NULL, 0, end);
    }
    return error;
}

void stream_close(struct stream *stream)
{
    if (stream->memory)
        xenpv_devices_stop(stream->devices);
    free(stream->memory);
}
