/* SPDX-License-Identifier: MIT */
/* xenpv info: one device: both ends, what is offered, what is used of it, and why not more. */
#include <inttypes.h>
#include <string.h>

#include "complain.h"
#include "info.h"
#include "json.h"
#include "number.h"
#include "options.h"
#include "vbd.h"

struct view {
    struct device device;
    char name[16];
    char holder[64];
    struct xenpv_blk_info info;
    struct xenpv_negotiation features[XENPV_BLK_NEGOTIATIONS];
    uint32_t feature_count;
};

/* -------------------------------------------------------------------------------------- text -- */

static void print_size(const struct xenpv_blk_info *info)
{
    char size[SIZE_TEXT_MAX];

    if (info->bytes == 0) {
        printf("size       not published yet: a backend does so when a frontend connects\n");
        return;
    }
    size_text(info->bytes, size);
    printf("size       %" PRIu64 " bytes (%s), sectors of %u, physical %u\n", info->bytes, size,
           info->sector_size, info->physical_sector_size);
}

/* A name for each bit, or "-". */
static void features_text(uint32_t features, char text[128])
{
    text[0] = '\0';
    for (uint32_t bit = 0; bit < XENPV_BLK_FEATURES; bit++)
        if (features & 1u << bit)
            snprintf(text + strlen(text), 128 - strlen(text), "%s%s", text[0] ? ", " : "",
                     xenpv_blk_feature_name(bit));
    if (text[0] == '\0')
        snprintf(text, 128, "-");
}

/* What is known before a backend answers a frontend, and what only afterwards. */
static void print_use(const struct xenpv_blk_info *info)
{
    char features[128];

    features_text(info->features, features);
    printf("transport  queues %u, pages of a ring %u, segments of a request %u\n", info->queues,
           info->ring_pages, info->segments);
    printf("features   %s%s\n", features, info->bytes ? "" : " (of what is published so far)");
    if (info->bytes == 0)
        return;
    printf("flush      %s\n", info->can_flush ? "yes" : "no");
    if (info->can_discard)
        printf("discard    yes, granules of %u bytes from %u on, secure: %s\n",
               info->discard_granularity, info->discard_alignment,
               info->can_discard_secure ? "yes" : "no");
    else
        printf("discard    no\n");
}

static void print_identity(const struct xenpv_blk_info *info)
{
    if (info->serial[0])
        printf("serial     %s\n", info->serial);
    if (info->designator[0])
        printf("designator %s\n", info->designator);
}

static void print_text(const struct view *view)
{
    const struct xenpv_blk_info *info = &view->info;
    char frontend[32], backend[32];

    info_state_text(info->frontend_state, frontend);
    info_state_text(info->backend_state, backend);
    printf("%s (%s)\n", view->device.name, view->name);
    printf("holder     %s\n", info_or_dash(view->holder));
    printf("frontend   %s  %s\n", frontend, info->frontend_path);
    printf("backend    %s  %s (domain %u)\n", backend, info->backend_path, info->backend_id);
    printf("type       %s%s%s, %s\n", info->device_type[0] ? info->device_type : "disk",
           info->cdrom ? ", cdrom" : "", info->removable ? ", removable" : "",
           info->readonly ? "read-only" : "read-write");
    printf("trusted    %s\n", info->trusted ? "yes" : "no: it sees nothing but the data itself");
    print_identity(info);
    print_size(info);
    if (info->doubt[0])
        printf("doubt      %s; the switch is --units\n", info->doubt);
    print_use(info);
    info_print_features(view->features, view->feature_count);
}

/* -------------------------------------------------------------------------------------- JSON -- */

static void print_disk_json(const struct xenpv_blk_info *info)
{
    json_text("type", info->device_type);
    if (info->bytes)
        json_number("bytes", info->bytes);
    else
        json_null("bytes");
    json_number("sector_size", info->sector_size);
    json_number("physical_sector_size", info->physical_sector_size);
    json_bool("readonly", info->readonly);
    json_bool("removable", info->removable);
    json_bool("cdrom", info->cdrom);
    json_bool("trusted", info->trusted);
    json_text("serial", info->serial);
    json_text("designator", info->designator);
    json_text("doubt", info->doubt);
}

/* What is in use, or would be. */
static void print_use_json(const struct xenpv_blk_info *info)
{
    json_number("queues", info->queues);
    json_number("ring_pages", info->ring_pages);
    json_number("segments", info->segments);
    json_open("features_used", '[');
    for (uint32_t bit = 0; bit < XENPV_BLK_FEATURES; bit++)
        if (info->features & 1u << bit)
            json_text(NULL, xenpv_blk_feature_name(bit));
    json_close(']');
    json_bool("flush", info->can_flush);
    json_bool("discard", info->can_discard);
    json_bool("discard_secure", info->can_discard_secure);
    json_number("discard_granularity", info->discard_granularity);
    json_number("discard_alignment", info->discard_alignment);
}

static void print_json(const struct view *view)
{
    const struct xenpv_blk_info *info = &view->info;

    json_open(NULL, '{');
    json_text("device", view->device.name);
    json_text("name", view->name);
    json_text("holder", view->holder);
    info_json_end("frontend", info->frontend_path, info->frontend_state);
    json_close('}');
    info_json_end("backend", info->backend_path, info->backend_state);
    json_number("domain", info->backend_id);
    json_close('}');
    print_disk_json(info);
    print_use_json(info);
    info_json_features(view->features, view->feature_count);
    json_close('}');
}

/* --------------------------------------------------------------------------------------- run -- */

/* Prints while the device still is there: the view points into it. */
static int show(struct vbd *vbd, bool json)
{
    struct view view = {.device = vbd->device};
    int status = vbd_inspect(vbd);

    if (status != STATUS_DONE)
        return status;
    xenpv_vbd_name(view.device.id, view.name);
    machine_holder(vbd->machine, "vbd", view.device.id, view.holder, sizeof(view.holder));
    xenpv_blk_info(vbd->blk, &view.info);
    view.feature_count = xenpv_blk_negotiation(vbd->blk, view.features);
    if (json)
        print_json(&view);
    else
        print_text(&view);
    return STATUS_DONE;
}

/* Disks have options that network cards have not, and the other way round. */
static bool suits(const struct options *options, uint64_t known)
{
    const struct command as = {.name = "info", .options = known};

    return options_suit(options, &as);
}

static int run_vif(const struct options *options, const char *name)
{
    struct machine *machine;
    struct device device;
    struct vif vif = {.net = NULL};
    int status;

    if (!suits(options, OPTIONS_NET_FORM) || !device_parse_vif(name, &device))
        return STATUS_USAGE;
    status = machine_open(options, MACHINE_STORE, &machine);
    if (status != STATUS_DONE)
        return status;
    status = device_find_vif(machine, &device);
    if (status == STATUS_DONE)
        status = vif_make(&vif, machine, &device);
    if (status == STATUS_DONE)
        status = vif_inspect(&vif);
    if (status == STATUS_DONE && options->json)
        info_json_vif(&vif, NULL, NULL);
    else if (status == STATUS_DONE)
        info_print_vif(&vif);
    return machine_close(machine, vif_close(&vif, status));
}

static int run(const struct options *options, int count, char **arguments)
{
    struct machine *machine;
    struct device device;
    struct vbd vbd = {.blk = NULL};
    int status;

    (void)count;
    if (device_means_vif(arguments[0]))
        return run_vif(options, arguments[0]);
    if (!suits(options, OPTIONS_FORM) || !device_parse_disk(arguments[0], &device))
        return STATUS_USAGE;
    status = machine_open(options, MACHINE_STORE, &machine);
    if (status != STATUS_DONE)
        return status;
    status = device_find_disk(machine, &device);
    if (status == STATUS_DONE)
        status = vbd_make(&vbd, machine, &device, 1);
    if (status == STATUS_DONE)
        status = show(&vbd, options->json);
    return machine_close(machine, vbd_close(&vbd, status));
}

const struct command info_commands[] = {
    {.name = "info",
     .arguments = "DEVICE",
     .summary = "show a disk or network card: what is offered, what is used, and why not more",
     .help =
         "Shows both ends of the device, its holder, its properties, and each feature that its\n"
         "backend offers, with what xenpv uses of it. Changes nothing.\n",
     .options = OPTIONS_FORM | OPTION_NET_WITHOUT,
     .least = 1,
     .most = 1,
     .run = run},
    {.name = NULL},
};
