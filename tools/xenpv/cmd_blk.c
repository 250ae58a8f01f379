/* SPDX-License-Identifier: MIT */
/* xenpv blk read, blk write: the bytes of a disk. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "complain.h"
#include "json.h"
#include "progress.h"
#include "transfer.h"

struct job {
    const struct options *options;
    bool write;
    struct vbd vbd;
    struct transfer transfer;
    uint64_t total;    /* bytes to be moved; UINT64_MAX: as many as come */
    const char *place; /* the file or stream, in error lines */
    uint64_t elapsed;  /* ms */
};

/* ------------------------------------------------------------------ before anything is moved -- */

static int check_read(struct job *job, uint64_t size)
{
    const struct options *options = job->options;
    uint64_t left = size - options->offset;

    job->total = options->given & OPTION_LENGTH ? options->length : left;
    if (job->total > left)
        return complain(STATUS_FAILED,
                        "%s: %" PRIu64 " bytes at offset %" PRIu64
                        " are past its end, it has %" PRIu64 " bytes",
                        job->vbd.device.name, job->total, options->offset, size);
    job->transfer.end = options->offset + job->total;
    return STATUS_DONE;
}

static int check_write(struct job *job, const struct xenpv_blk_info *info)
{
    const struct options *options = job->options;

    if (info->readonly)
        return complain(STATUS_FAILED, "%s: the disk is read-only, nothing was written",
                        job->vbd.device.name);
    if (!os_size(job->transfer.fd, &job->total))
        job->total = UINT64_MAX;
    else if (job->total > info->bytes - options->offset)
        return complain(STATUS_FAILED,
                        "%s: the %" PRIu64 " bytes of %s at offset %" PRIu64
                        " would go past its end, it has %" PRIu64 " bytes; nothing was written",
                        job->vbd.device.name, job->total, job->place, options->offset, info->bytes);
    job->transfer.end = info->bytes;
    return STATUS_DONE;
}

static int check(struct job *job)
{
    struct xenpv_blk_info info;

    xenpv_blk_info(job->vbd.blk, &info);
    if (job->options->offset > info.bytes)
        return complain(STATUS_FAILED,
                        "%s: offset %" PRIu64 " is past its end, it has %" PRIu64 " bytes",
                        job->vbd.device.name, job->options->offset, info.bytes);
    return job->write ? check_write(job, &info) : check_read(job, info.bytes);
}

/* ------------------------------------------------------------------------------------- files -- */

static int open_input(struct job *job)
{
    const char *path = job->options->in;

    job->place = path ? path : "standard input";
    job->transfer.fd = path ? os_open_input(path) : OS_STDIN;
    if (job->transfer.fd < 0)
        return complain(STATUS_ENVIRONMENT, "--in %s: cannot open it: %s", path, strerror(errno));
    return STATUS_DONE;
}

static int open_output(struct job *job)
{
    const char *path = job->options->out;

    job->place = path ? path : "standard output";
    for (unsigned i = 0; path && i < job->options->mock_disk_count; i++) {
        if (os_same_file(path, job->options->mock_disks[i]))
            return complain(STATUS_USAGE, "--out %s: it is --mock-disk %s", path,
                            job->options->mock_disks[i]);
    }
    job->transfer.fd = path ? os_open_output(path) : OS_STDOUT;
    if (job->transfer.fd < 0)
        return complain(STATUS_ENVIRONMENT, "--out %s: cannot create it: %s", path,
                        strerror(errno));
    return STATUS_DONE;
}

/* The last failure of a file that was written may come only here. */
static int close_file(struct job *job, int status)
{
    if (job->transfer.fd <= OS_STDERR || os_close(job->transfer.fd) == 0 || job->write ||
        status != STATUS_DONE)
        return status;
    return complain(STATUS_ENVIRONMENT, "cannot write %s: %s", job->place, strerror(errno));
}

/* ---------------------------------------------------------------------------------- the work -- */

static int complain_of_stream(const struct job *job)
{
    const struct transfer *transfer = &job->transfer;

    if (transfer->stream_error == EPIPE)
        return STATUS_PIPE;
    return complain(STATUS_ENVIRONMENT, "cannot %s %s: %s, after %" PRIu64 " bytes",
                    job->write ? "read" : "write", job->place, strerror(transfer->stream_error),
                    transfer->done);
}

static int explain(struct job *job)
{
    const struct transfer *transfer = &job->transfer;
    const char *verb = job->write ? "written" : "read";

    if (transfer->stream_error)
        return complain_of_stream(job);
    if (transfer->device_error)
        return complain(status_of_error(transfer->device_error),
                        "%s: at offset %" PRIu64 ": %s; %" PRIu64 " bytes before it were %s",
                        job->vbd.device.name, transfer->offset + transfer->done,
                        xenpv_error_text(transfer->device_error), transfer->done, verb);
    if (transfer->past_end)
        return complain(STATUS_FAILED,
                        "%s: the input goes past its end at %" PRIu64 " bytes; %" PRIu64
                        " bytes were written, the rest was not",
                        job->vbd.device.name, transfer->end, transfer->done);
    return STATUS_FAILED;
}

static int move(struct job *job)
{
    struct transfer *transfer = &job->transfer;
    int status;

    transfer->vbd = &job->vbd;
    transfer->write = job->write;
    transfer->offset = job->options->offset;
    progress_begin(job->total);
    status = transfer_run(transfer);
    progress_clear();
    job->elapsed = progress_elapsed();
    snprintf(job->vbd.note, sizeof(job->vbd.note), "; %" PRIu64 " bytes were %s", transfer->done,
             job->write ? "written" : "read");
    return status == STATUS_DONE && !transfer->past_end ? STATUS_DONE : explain(job);
}

static int work(struct job *job)
{
    int status = vbd_connect(&job->vbd);

    if (status == STATUS_DONE)
        status = check(job);
    if (status == STATUS_DONE && !job->write)
        status = open_output(job);
    if (status == STATUS_DONE)
        status = move(job);
    return status;
}

static void summarise(const struct job *job)
{
    uint64_t bytes = job->transfer.done;

    remark(job->options, "%s: %" PRIu64 " bytes in %" PRIu64 ".%03u s", job->vbd.device.name, bytes,
           job->elapsed / 1000, (unsigned)(job->elapsed % 1000));
    /* Where the data goes to standard output, nothing else may. */
    if (!job->options->json || (!job->write && !job->options->out))
        return;
    json_open(NULL, '{');
    json_number("bytes", bytes);
    json_seconds("seconds", job->elapsed);
    json_close('}');
}

static int run_on_machine(struct job *job, const struct device *device)
{
    struct machine *machine;
    int status = machine_open(job->options, MACHINE_DEVICES, &machine);

    if (status != STATUS_DONE)
        return status;
    status = vbd_make(&job->vbd, machine, device);
    if (status == STATUS_DONE)
        status = work(job);
    status = vbd_close(&job->vbd, status);
    transfer_free(&job->transfer);
    return machine_close(machine, status);
}

static int run(const struct options *options, const char *name, bool write)
{
    struct job job = {.options = options, .write = write};
    struct device device;
    int status;

    if (!device_parse_disk(name, &device))
        return STATUS_USAGE;
    status = write ? open_input(&job) : STATUS_DONE;
    if (status != STATUS_DONE)
        return status;
    status = close_file(&job, run_on_machine(&job, &device));
    if (status == STATUS_DONE)
        summarise(&job);
    return status;
}

static int run_read(const struct options *options, int count, char **arguments)
{
    (void)count;
    return run(options, arguments[0], false);
}

static int run_write(const struct options *options, int count, char **arguments)
{
    (void)count;
    return run(options, arguments[0], true);
}

const struct command blk_commands[] = {
    {.name = "blk read",
     .arguments = "vbd/NUMBER",
     .summary = "read a disk, or a part of it",
     .help = "Connects to the disk and writes its bytes to standard output.\n"
             "  --offset BYTES   where to begin (0); K, M, G, T behind a number: powers of 1024\n"
             "  --length BYTES   how many (up to the end of the disk)\n"
             "  --out FILE       write to FILE instead; it is created once the disk has been\n"
             "                   found good\n"
             "  --take-over      take the disk from the kernel driver or process that holds it\n",
     .options = OPTION_OFFSET | OPTION_LENGTH | OPTION_OUT | OPTION_TAKE_OVER,
     .least = 1,
     .most = 1,
     .run = run_read},
    {.name = "blk write",
     .arguments = "vbd/NUMBER",
     .summary = "write to a disk",
     .help = "Connects to the disk and writes standard input to it, then flushes it.\n"
             "  --offset BYTES   where to begin (0); K, M, G, T behind a number: powers of 1024\n"
             "  --in FILE        write the bytes of FILE instead\n"
             "  --take-over      take the disk from the kernel driver or process that holds it\n"
             "A file that does not fit is refused before anything is written; what comes from a\n"
             "pipe is written up to the end of the disk.\n",
     .options = OPTION_OFFSET | OPTION_IN | OPTION_TAKE_OVER,
     .least = 1,
     .most = 1,
     .run = run_write},
    {.name = NULL},
};
