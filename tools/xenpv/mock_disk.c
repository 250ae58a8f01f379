/* SPDX-License-Identifier: MIT */
#include "mock_disk.h"

#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "os.h"

/* As libxl numbers them: xvda to xvdp the old way, what comes behind by the extended numbers. */
static uint32_t disk_number(unsigned index)
{
    return index < 16 ? 51712 + 16 * index : 268439552 + 256 * (index - 16);
}

/* ------------------------------------------------------------------------------------- image -- */

static int complain_of_image(const char *path, int error)
{
    char found[48];

    if (error == XENPV_ENOENT)
        return complain(STATUS_ENVIRONMENT, "--mock-disk %s: there is no such file", path);
    if (error != XENPV_EINVAL)
        return complain(STATUS_ENVIRONMENT, "--mock-disk %s: cannot open it: %s", path,
                        xenpv_error_text(error));
    os_describe(path, found);
    return complain(STATUS_ENVIRONMENT,
                    "--mock-disk %s: it is %s; a disk needs a file or block device whose size is a "
                    "multiple of 512, and not 0",
                    path, found);
}

/* Writable where that is allowed, else read-only. */
static int open_image(struct mock_disk *disk, const char *path)
{
    const struct xenpv_allocator *allocator = &disk->world->allocator;
    int rc = xenpv_disk_file(allocator, path, false, &disk->disk);

    if (rc == XENPV_EACCES)
        rc = xenpv_disk_file(allocator, path, true, &disk->disk);
    disk->open = rc == 0;
    return rc ? complain_of_image(path, rc) : STATUS_DONE;
}

/* ---------------------------------------------------------------------------------- identity -- */

#define PAGE_SERIAL     0x80
#define PAGE_DESIGNATOR 0x83
#define HEADER          4u
#define PAGE_MAX        (HEADER + 4u + XENPV_BLK_SERIAL_MAX)

static void encode(const uint8_t *bytes, size_t length, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < length; i += 3) {
        uint32_t left = (uint32_t)(length - i), bits = (uint32_t)bytes[i] << 16;

        bits |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)bytes[i + 2] : 0;
        *text++ = digits[bits >> 18];
        *text++ = digits[bits >> 12 & 63];
        *text++ = '=';
        *text++ = '=';
        if (left > 1)
            text[-2] = digits[bits >> 6 & 63];
        if (left > 2)
            text[-1] = digits[bits & 63];
    }
    *text = '\0';
}

/* A page of SCSI's vital product data (SPC-4 7.8), as XenServer's toolstack puts it: base64. */
static int put_page(const struct mock_disk *disk, uint8_t number, const uint8_t before[3],
                    const char *text)
{
    uint8_t page[PAGE_MAX] = {0, number};
    size_t prefix = before ? 4 : 0, length = strlen(text);
    char path[128], encoded[(PAGE_MAX + 2) / 3 * 4 + 1];

    page[3] = (uint8_t)(prefix + length);
    if (before) {
        memcpy(page + HEADER, before, 3);
        page[HEADER + 3] = (uint8_t)length;
    }
    for (size_t i = 0; i < length; i++)
        page[HEADER + prefix + i] = (uint8_t)text[i];
    encode(page, HEADER + prefix + length, encoded);
    snprintf(path, sizeof(path), "/local/domain/%u/%s/sm-data/scsi/0x12/0x%02x", MOCK_DRIVER,
             disk->directory, number);
    return xenpv_mock_write(disk->world->mock, path, encoded);
}

static int put_identity(const struct mock_disk *disk)
{
    static const uint8_t vendor_text[] = {2, 1, 0}; /* ASCII, T10 vendor identification */
    char serial[XENPV_BLK_SERIAL_MAX], designator[XENPV_BLK_SERIAL_MAX];
    int rc;

    snprintf(serial, sizeof(serial), "MOCK-%u", disk->number);
    if (disk->world->offer.serial[0])
        snprintf(serial, sizeof(serial), "%s", disk->world->offer.serial);
    snprintf(designator, sizeof(designator), "XENPV   %.48s", serial);
    rc = put_page(disk, PAGE_SERIAL, NULL, serial);
    return rc ? rc : put_page(disk, PAGE_DESIGNATOR, vendor_text, designator);
}

/* ----------------------------------------------------------------------------------- backend -- */

static int put_trust(const struct mock_disk *disk)
{
    uint32_t trusted = disk->world->offer.trusted;
    char path[96];

    if (trusted == OFFER_UNSET)
        return 0;
    snprintf(path, sizeof(path), "/local/domain/%u/device/vbd/%u/trusted", MOCK_GUEST,
             disk->number);
    return xenpv_mock_write(disk->world->mock, path, trusted ? "1" : "0");
}

static int create_backend(struct mock_disk *disk, uint64_t now)
{
    struct mock_world *world = disk->world;
    struct xenpv_blkback_config config;
    int rc;

    xenpv_blkback_config_init(&config, &world->driver_port, disk->directory, &disk->disk,
                              &world->allocator);
    mock_offer_set_config(&world->offer, &config);
    rc = xenpv_blkback_create(&config, &disk->back);
    return rc ? rc : xenpv_blkback_start(disk->back, now);
}

static struct xenpv_mock_vbd vbd_of(const struct mock_disk *disk)
{
    return (struct xenpv_mock_vbd){.frontend = MOCK_GUEST,
                                   .backend = MOCK_DRIVER,
                                   .vdev = disk->number,
                                   .readonly = disk->disk.readonly,
                                   .params = disk->path};
}

static int plug(struct mock_disk *disk, uint64_t now)
{
    struct xenpv_mock_vbd vbd = vbd_of(disk);
    int rc = xenpv_mock_add_vbd(disk->world->mock, &vbd);

    disk->plugged = true;
    snprintf(disk->directory, sizeof(disk->directory), "backend/vbd/%u/%u", MOCK_GUEST,
             disk->number);
    if (rc == 0)
        rc = put_identity(disk);
    if (rc == 0)
        rc = put_trust(disk);
    return rc ? rc : create_backend(disk, now);
}

/* As a toolstack asks for it. */
static int unplug(struct mock_disk *disk)
{
    static const char *const keys[][2] = {{"online", "0"}, {"state", "5"}};
    int rc = 0;

    disk->unplugged = disk->closing = true;
    for (unsigned i = 0; rc == 0 && i < sizeof(keys) / sizeof(keys[0]); i++) {
        char path[96];

        snprintf(path, sizeof(path), "/local/domain/%u/%s/%s", MOCK_DRIVER, disk->directory,
                 keys[i][0]);
        rc = xenpv_mock_write(disk->world->mock, path, keys[i][1]);
    }
    return rc;
}

/* Both ends are closed. */
static int take_away(struct mock_disk *disk)
{
    struct xenpv_mock_vbd vbd = vbd_of(disk);

    xenpv_blkback_destroy(disk->back);
    disk->back = NULL;
    return xenpv_mock_remove_vbd(disk->world->mock, &vbd);
}

int mock_disk_open(struct mock_disk *disk, struct mock_world *world, unsigned index,
                   const char *path)
{
    int status, rc = 0;

    disk->number = disk_number(index);
    disk->world = world;
    disk->path = path;
    status = open_image(disk, path);
    if (status != STATUS_DONE)
        return status;
    mock_offer_set_disk(&world->offer, &disk->disk);
    if (world->offer.attach == OFFER_UNSET)
        rc = plug(disk, xenpv_mock_now(world->mock));
    return rc ? complain(STATUS_ENVIRONMENT, "--mock-disk %s: cannot be made a disk: %s", path,
                         xenpv_error_text(rc))
              : STATUS_DONE;
}

/*
 * As if its domain had died: what the frontend has sent meanwhile is never answered, and the
 * toolstack writes that it is closed.
 */
static int crash(struct mock_disk *disk)
{
    char path[96];

    xenpv_blkback_destroy(disk->back);
    disk->back = NULL;
    disk->lost = true;
    disk->phase = XENPV_BUS_DONE;
    disk->stats_before = disk->stats;
    disk->stats = (struct xenpv_blkback_stats){0};
    snprintf(path, sizeof(path), "/local/domain/%u/%s/state", MOCK_DRIVER, disk->directory);
    return xenpv_mock_write(disk->world->mock, path, "6");
}

/* After so many requests it crashes, once, and begins anew if it is to. */
static int go_and_come(struct mock_disk *disk, uint64_t now)
{
    const struct mock_offer *offer = &disk->world->offer;
    bool vanishes = offer->vanish != OFFER_UNSET;

    if (disk->closing)
        return 0;
    if (!disk->lost && disk->stats.requests >= (vanishes ? offer->vanish : offer->restart))
        return crash(disk);
    if (disk->back || vanishes)
        return 0;
    return create_backend(disk, now);
}

/* What is due of it by the clock: 1, 0 or an error. */
static int come_and_leave(struct mock_disk *disk, uint64_t now)
{
    const struct mock_offer *offer = &disk->world->offer;
    int rc = 0;

    if (!disk->plugged && !disk->closing && now >= offer->attach)
        rc = plug(disk, now);
    else if (disk->back && !disk->closing && offer->detach != OFFER_UNSET && now >= offer->detach)
        rc = unplug(disk);
    else if (disk->back && disk->unplugged && disk->phase == XENPV_BUS_DONE)
        rc = take_away(disk);
    else
        return 0;
    return rc ? rc : 1;
}

uint64_t mock_disk_deadline(const struct mock_disk *disk)
{
    const struct mock_offer *offer = &disk->world->offer;
    uint64_t deadline = UINT64_MAX;

    if (!disk->closing && offer->detach != OFFER_UNSET)
        deadline = offer->detach;
    if (!disk->plugged && !disk->closing)
        return offer->attach;
    if (disk->back && xenpv_blkback_deadline(disk->back) < deadline)
        deadline = xenpv_blkback_deadline(disk->back);
    return deadline;
}

bool mock_disk_step(struct mock_disk *disk, uint64_t now)
{
    struct xenpv_blkback_stats stats;
    enum xenpv_bus_phase phase;
    int due = come_and_leave(disk, now);
    bool moved;

    if (due < 0 || (disk->plugged && go_and_come(disk, now)))
        exit(complain(STATUS_ENVIRONMENT, "--mock-backend: a backend cannot go and come"));
    if (!disk->back)
        return due;
    phase = xenpv_blkback_step(disk->back, now);
    xenpv_blkback_stats(disk->back, &stats);
    moved = due || phase != disk->phase || stats.requests != disk->stats.requests ||
            stats.refused != disk->stats.refused || stats.notified != disk->stats.notified;
    disk->phase = phase;
    disk->stats = stats;
    return moved;
}

void mock_disk_end(struct mock_disk *disk, uint64_t now)
{
    disk->closing = true;
    if (disk->back)
        xenpv_blkback_close(disk->back, now);
}

bool mock_disk_is_done(const struct mock_disk *disk)
{
    return disk->phase == XENPV_BUS_DONE || disk->phase == XENPV_BUS_IDLE;
}

void mock_disk_close(struct mock_disk *disk)
{
    xenpv_blkback_destroy(disk->back);
    if (disk->open)
        disk->disk.close(disk->disk.ctx);
}
