/* SPDX-License-Identifier: MIT */
#include "place.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "complain.h"

bool place_parse_disk(struct place *place, const char *text)
{
    *place = (struct place){.option = "", .name = text, .is_disk = true, .fd = -1};
    return device_parse_disk(text, &place->vbd.device);
}

bool place_parse(struct place *place, const char *text)
{
    if (device_means_disk(text))
        return place_parse_disk(place, text);
    place_be_stream(place);
    if (strcmp(text, "-") != 0)
        place->name = place->path = text;
    return true;
}

void place_be_stream(struct place *place)
{
    *place = (struct place){.option = "", .name = "a standard stream", .fd = -1};
}

/* ------------------------------------------------------------------------------------- files -- */

/* Of a file that a signal kept us from opening there is nothing to say. */
static int complain_of_file(const struct place *place, const char *what)
{
    if (errno == EINTR && os_stop_signal())
        return STATUS_FAILED;
    return complain(STATUS_ENVIRONMENT, "%s%s: %s: %s", place->option, place->name, what,
                    strerror(errno));
}

int place_open_input(struct place *place)
{
    if (!place->path)
        place->name = "standard input";
    place->fd = place->path ? os_open_input(place->path) : OS_STDIN;
    if (place->fd < 0)
        return complain_of_file(place, "cannot open it");
    place->sized = os_size(place->fd, &place->size);
    return STATUS_DONE;
}

int place_open_output(struct place *place, const struct options *options)
{
    bool keep = options->given & OPTION_TARGET_OFFSET;

    if (!place->path)
        place->name = "standard output";
    for (unsigned i = 0; place->path && i < options->mock_disk_count; i++) {
        if (os_same_file(place->path, options->mock_disks[i]))
            return complain(STATUS_USAGE, "%s%s: it is --mock-disk %s", place->option, place->path,
                            options->mock_disks[i]);
    }
    place->fd = place->path ? os_open_output(place->path, keep) : OS_STDOUT;
    if (place->fd < 0)
        return complain_of_file(place, "cannot create it");
    place->sparse = place->path && !keep && os_skips_zeroes(place->fd);
    return STATUS_DONE;
}

/* The last failure of a file that was written may come only here. */
int place_close(struct place *place, bool written, int status)
{
    if (place->fd <= OS_STDERR || os_close(place->fd) == 0 || !written || status != STATUS_DONE)
        return status;
    return complain(STATUS_ENVIRONMENT, "cannot write %s: %s", place->name, strerror(errno));
}

int place_skip(struct place *place)
{
    if (place->offset == 0 || os_skip(place->fd, place->offset) == 0)
        return STATUS_DONE;
    return complain(STATUS_ENVIRONMENT, "%s: cannot go to offset %" PRIu64 ": %s", place->name,
                    place->offset, strerror(errno));
}

/* ------------------------------------------------------------------------------------- disks -- */

int place_find(struct place *place, struct machine *machine, unsigned sharers)
{
    struct device device = place->vbd.device;
    int status;

    if (!place->is_disk)
        return STATUS_DONE;
    status = device_find_disk(machine, &device);
    if (status == STATUS_DONE)
        status = vbd_make(&place->vbd, machine, &device, sharers);
    place->name = place->vbd.device.name;
    return status;
}

int place_connect(struct place *place)
{
    struct xenpv_blk_info info;
    int status;

    if (!place->is_disk)
        return STATUS_DONE;
    status = vbd_connect(&place->vbd);
    xenpv_blk_info(place->vbd.blk, &info);
    place->sized = true;
    place->size = info.bytes;
    return status;
}
