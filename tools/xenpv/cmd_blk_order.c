/* SPDX-License-Identifier: MIT */
/* xenpv blk flush, discard: orders that move no bytes. */
#include <inttypes.h>

#include "cmd_blk.h"
#include "complain.h"
#include "json.h"
#include "progress.h"
#include "vbd.h"

/* Discards are given in stretches: between two of them a signal is obeyed, and progress is seen. */
#define STRETCH (UINT64_C(1) << 30)

struct order {
    const struct options *options;
    const char *name; /* of the command, in what it says */
    int (*carry_out)(struct order *order, const struct xenpv_blk_info *info);
    struct vbd vbd;
    uint64_t done;    /* bytes, of whole granules */
    uint64_t elapsed; /* ms */
};

/* ----------------------------------------------------------------------------- one at a time -- */

/* Waits for the one operation of queue 0: its status in `*result`. False: the device went, or a
 * signal asks us to end. */
static bool await(struct order *order, int32_t *result)
{
    struct xenpv_blkq *queue = vbd_queue(&order->vbd, 0);
    struct xenpv_completion ended;

    xenpv_blkq_submit(queue);
    while (vbd_step(&order->vbd) && !os_stop_signal()) {
        struct vbd_waits waits = {.deadline = UINT64_MAX};

        if (xenpv_blkq_poll(queue, &ended, 1) > 0) {
            *result = ended.status;
            return true;
        }
        vbd_add_waits(&order->vbd, &waits);
        vbd_wait(order->vbd.machine, &waits);
        progress_show(order->done);
    }
    return false;
}

/* What a connection ended with, its device itself will say. */
static int judge(struct order *order, const char *what, int error)
{
    if (error == 0)
        return STATUS_DONE;
    if (error == XENPV_EPEER || error == XENPV_EBROKEN || error == XENPV_ESTALE ||
        error == XENPV_ETIMEDOUT || error == XENPV_EPARKED)
        return STATUS_FAILED;
    return complain(status_of_error(error), "%s: %s: %s", order->vbd.device.name, what,
                    xenpv_error_text(error));
}

static int flush(struct order *order)
{
    int32_t result = 0;
    int error = xenpv_blkq_flush(vbd_queue(&order->vbd, 0), NULL);

    if (error == 0 && !await(order, &result))
        return STATUS_FAILED;
    return judge(order, "flush", error ? error : result);
}

static int carry_out_flush(struct order *order, const struct xenpv_blk_info *info)
{
    if (!info->can_flush)
        return complain(STATUS_FAILED,
                        "%s: flush: its backend offers none, or it is not to be used",
                        order->vbd.device.name);
    return flush(order);
}

/* -------------------------------------------------------------------------------- discarding -- */

/* Bytes from where a granule begins up to `at`. */
static uint64_t into_granule(const struct xenpv_blk_info *info, uint64_t at)
{
    return (at + info->discard_granularity - info->discard_alignment) % info->discard_granularity;
}

/* Where the stretch that begins there ends: on the backend's granules, so that none is left out. */
static uint64_t end_of_stretch(const struct xenpv_blk_info *info, uint64_t begin, uint64_t end)
{
    uint64_t at = begin + STRETCH;

    if (end - begin <= STRETCH)
        return end;
    at -= into_granule(info, at);
    return at > begin ? at : end;
}

/* Of a range, what is in whole granules; the last one of the disk may be short. */
static uint64_t whole_granules(const struct xenpv_blk_info *info, uint64_t begin, uint64_t end)
{
    uint64_t before = into_granule(info, begin), over = into_granule(info, end);
    uint64_t first = before ? begin + info->discard_granularity - before : begin;
    uint64_t last = end == info->bytes ? end : over < end ? end - over : 0;

    return last > first ? last - first : 0;
}

static int discard(struct order *order, const struct xenpv_blk_info *info, uint64_t begin,
                   uint64_t end)
{
    uint32_t flags = order->options->secure ? XENPV_DISCARD_SECURE : 0;
    int status = STATUS_DONE;

    while (begin < end && status == STATUS_DONE) {
        uint64_t next = end_of_stretch(info, begin, end);
        int32_t result = 0;
        int error = xenpv_blkq_discard(vbd_queue(&order->vbd, 0), begin, next - begin, flags, NULL);

        if (error == 0 && !await(order, &result))
            return STATUS_FAILED;
        if (error == XENPV_EINVAL)
            return complain(STATUS_FAILED,
                            "%s: discard: with --secure, offset and length must be multiples of %u "
                            "bytes, from %u on",
                            order->vbd.device.name, info->discard_granularity,
                            info->discard_alignment);
        status = judge(order, "discard", error ? error : result);
        order->done += status == STATUS_DONE ? whole_granules(info, begin, next) : 0;
        begin = next;
    }
    return status;
}

static int check_range(const struct order *order, const struct xenpv_blk_info *info,
                       uint64_t *length)
{
    const struct options *options = order->options;
    const char *name = order->vbd.device.name;

    if (info->readonly)
        return complain(STATUS_FAILED, "%s: the disk is read-only, nothing was discarded", name);
    if (options->secure ? !info->can_discard_secure : !info->can_discard)
        return complain(STATUS_FAILED,
                        "%s: %sdiscard: its backend offers none, or it is not to be used", name,
                        options->secure ? "secure " : "");
    *length = options->all ? info->bytes : options->length;
    if (options->offset > info->bytes || *length > info->bytes - options->offset)
        return complain(STATUS_FAILED,
                        "%s: %" PRIu64 " bytes at offset %" PRIu64
                        " are past its end, it has %" PRIu64 " bytes; nothing was discarded",
                        name, *length, options->offset, info->bytes);
    return STATUS_DONE;
}

static int carry_out_discard(struct order *order, const struct xenpv_blk_info *info)
{
    uint64_t length = 0, offset = order->options->offset;
    int status = check_range(order, info, &length);

    if (status != STATUS_DONE)
        return status;
    progress_begin(length);
    status = discard(order, info, offset, offset + length);
    if (status == STATUS_DONE && info->can_flush)
        status = flush(order);
    progress_clear();
    snprintf(order->vbd.note, sizeof(order->vbd.note), "; %" PRIu64 " bytes were discarded",
             order->done);
    return status;
}

/* -------------------------------------------------------------------------------------- run -- */

static int work(struct order *order)
{
    struct xenpv_blk_info info;
    uint64_t began;
    int status = vbd_connect(&order->vbd);

    if (status != STATUS_DONE)
        return status;
    xenpv_blk_info(order->vbd.blk, &info);
    began = os_now();
    status = order->carry_out(order, &info);
    order->elapsed = os_now() - began;
    return status;
}

static int run_on_machine(struct order *order, struct device *device)
{
    struct machine *machine;
    int status = machine_open(order->options, MACHINE_DEVICES, &machine);

    if (status != STATUS_DONE)
        return status;
    status = device_find_disk(machine, device);
    if (status == STATUS_DONE)
        status = vbd_make(&order->vbd, machine, device, 1);
    if (status == STATUS_DONE)
        status = work(order);
    status = vbd_close(&order->vbd, status);
    return machine_close(machine, status);
}

static int run(struct order *order, const char *name)
{
    struct device device;
    int status;

    if (!device_parse_disk(name, &device))
        return STATUS_USAGE;
    status = run_on_machine(order, &device);
    if (status != STATUS_DONE)
        return status;
    remark(order->options, "%s: %s: %" PRIu64 " bytes in %" PRIu64 ".%03u s",
           order->vbd.device.name, order->name, order->done, order->elapsed / 1000,
           (unsigned)(order->elapsed % 1000));
    if (order->options->json) {
        json_open(NULL, '{');
        if (order->carry_out == carry_out_discard)
            json_number("bytes", order->done);
        json_seconds("seconds", order->elapsed);
        json_close('}');
    }
    return STATUS_DONE;
}

int blk_flush(const struct options *options, int count, char **arguments)
{
    struct order order = {.options = options, .name = "flush", .carry_out = carry_out_flush};

    (void)count;
    return run(&order, arguments[0]);
}

/* A whole disk is discarded only for who says so. */
static bool range_is_clear(const struct options *options)
{
    bool all = options->all, length = options->given & OPTION_LENGTH;

    if (all && (length || options->given & OPTION_OFFSET))
        complain(STATUS_USAGE, "blk discard: --all does not go with --offset or --length");
    else if (!all && !length)
        complain(STATUS_USAGE, "blk discard: give --length, or --all for the whole disk");
    else
        return true;
    return false;
}

int blk_discard(const struct options *options, int count, char **arguments)
{
    struct order order = {.options = options, .name = "discard", .carry_out = carry_out_discard};

    (void)count;
    return range_is_clear(options) ? run(&order, arguments[0]) : STATUS_USAGE;
}
