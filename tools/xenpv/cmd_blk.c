/* SPDX-License-Identifier: MIT */
/* xenpv blk read, write, copy, verify: bytes of disks. */
#include "cmd_blk.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "complain.h"
#include "json.h"
#include "progress.h"
#include "transfer.h"

/* What differs between the commands. */
struct manner {
    const char *done; /* what has become of the bytes */
    bool compare;
};

struct job {
    const struct options *options;
    const struct manner *manner;
    struct place source, target;
    bool has_target, has_length;
    struct transfer transfer;
    uint64_t elapsed; /* ms */
};

/* ------------------------------------------------------------------ before anything is moved -- */

static int complain_of_offset(const struct place *place)
{
    return complain(STATUS_FAILED,
                    "%s: offset %" PRIu64 " is past its end, it has %" PRIu64 " bytes", place->name,
                    place->offset, place->size);
}

/* How many bytes there are to move. */
static int check_source(struct job *job)
{
    const struct place *source = &job->source;
    uint64_t *total = &job->transfer.total, left = source->size - source->offset;
    bool given = job->has_length;

    *total = given ? job->options->length : UINT64_MAX;
    if (!source->sized)
        return STATUS_DONE;
    if (source->offset > source->size)
        return complain_of_offset(source);
    if (given && *total > left)
        return complain(STATUS_FAILED,
                        "%s: %" PRIu64 " bytes at offset %" PRIu64
                        " are past its end, it has %" PRIu64 " bytes",
                        source->name, *total, source->offset, source->size);
    if (!given)
        *total = left;
    return STATUS_DONE;
}

/* How many there is room for. */
static int check_target(struct job *job)
{
    const struct place *target = &job->target;
    struct xenpv_blk_info info;

    job->transfer.room = UINT64_MAX;
    if (target->is_disk && !job->manner->compare) {
        xenpv_blk_info(target->vbd.blk, &info);
        if (info.readonly)
            return complain(STATUS_FAILED, "%s: the disk is read-only, nothing was written",
                            target->name);
    }
    if (!target->sized)
        return STATUS_DONE;
    if (target->offset > target->size)
        return complain_of_offset(target);
    job->transfer.room = target->size - target->offset;
    if (job->transfer.total != UINT64_MAX && job->transfer.total > job->transfer.room)
        return complain(STATUS_FAILED,
                        "%s: the %" PRIu64 " bytes of %s at offset %" PRIu64
                        " would go past its end, it has %" PRIu64 " bytes; nothing was %s",
                        target->name, job->transfer.total, job->source.name, target->offset,
                        target->size, job->manner->compare ? "compared" : "written");
    return STATUS_DONE;
}

/* What can fail without a disk, does so before one is touched. */
static int open_inputs(struct job *job)
{
    int status = STATUS_DONE;

    if (!job->source.is_disk)
        status = place_open_input(&job->source);
    if (status == STATUS_DONE && job->has_target && job->manner->compare && !job->target.is_disk)
        status = place_open_input(&job->target);
    return status;
}

/* A file that is written is made only once both ends have been found good. */
static int open_output(struct job *job)
{
    int status = STATUS_DONE;

    if (!job->source.is_disk)
        status = place_skip(&job->source);
    if (status != STATUS_DONE || !job->has_target || job->target.is_disk)
        return status;
    if (!job->manner->compare)
        status = place_open_output(&job->target, job->options);
    return status == STATUS_DONE ? place_skip(&job->target) : status;
}

/* ---------------------------------------------------------------------------------- the work -- */

static int complain_of_stream(const struct transfer *transfer)
{
    bool writes = transfer->failed == transfer->target && !transfer->compare;

    if (transfer->stream_error == EPIPE)
        return STATUS_PIPE;
    return complain(STATUS_ENVIRONMENT, "cannot %s %s: %s, after %" PRIu64 " bytes",
                    writes ? "write" : "read", transfer->failed->name,
                    strerror(transfer->stream_error), transfer->done);
}

/* What a connection ended with, its device itself will say. */
static bool is_of_connection(int error)
{
    return error == XENPV_EPEER || error == XENPV_EBROKEN || error == XENPV_ESTALE ||
           error == XENPV_ETIMEDOUT;
}

static int complain_of_disk(const struct job *job)
{
    const struct transfer *transfer = &job->transfer;
    int error = transfer->device_error;

    if (is_of_connection(error))
        return STATUS_FAILED;
    if (transfer->unflushed)
        return complain(status_of_error(error),
                        "%s: flushing it: %s; %" PRIu64 " bytes were written and may not last",
                        transfer->failed->name, xenpv_error_text(error), transfer->done);
    return complain(status_of_error(error),
                    "%s: at offset %" PRIu64 ": %s; %" PRIu64 " bytes before it were %s",
                    transfer->failed->name, transfer->failed_at, xenpv_error_text(error),
                    transfer->done, job->manner->done);
}

static int explain(const struct job *job)
{
    const struct transfer *transfer = &job->transfer;

    if (transfer->stream_error)
        return complain_of_stream(transfer);
    if (transfer->device_error)
        return complain_of_disk(job);
    if (transfer->past_end)
        return complain(STATUS_FAILED,
                        "%s: the input goes past its end at %" PRIu64 " bytes; %" PRIu64
                        " bytes were %s, the rest was not",
                        job->target.name, job->target.size, transfer->done, job->manner->done);
    if (transfer->ended)
        return complain(STATUS_FAILED, "%s: it ended after %" PRIu64 " bytes instead of %" PRIu64,
                        transfer->ended->name, transfer->done, transfer->total);
    return STATUS_FAILED;
}

static void note_progress(struct job *job, struct place *place)
{
    if (place->is_disk)
        snprintf(place->vbd.note, sizeof(place->vbd.note), "; %" PRIu64 " bytes were %s",
                 job->transfer.done, job->manner->done);
}

static int move(struct job *job)
{
    struct transfer *transfer = &job->transfer;
    int status;

    progress_begin(transfer->total);
    status = transfer_run(transfer);
    progress_clear();
    job->elapsed = progress_elapsed();
    note_progress(job, &job->source);
    note_progress(job, &job->target);
    return status == STATUS_DONE && !transfer->past_end ? STATUS_DONE : explain(job);
}

static int work(struct job *job)
{
    int status = place_connect(&job->source);

    if (status == STATUS_DONE && job->has_target)
        status = place_connect(&job->target);
    if (status == STATUS_DONE)
        status = check_source(job);
    if (status == STATUS_DONE)
        status = check_target(job);
    if (status == STATUS_DONE)
        status = open_output(job);
    if (status == STATUS_DONE)
        status = move(job);
    return status;
}

static int find(struct job *job, struct machine *machine)
{
    unsigned disks = (unsigned)job->source.is_disk + (job->has_target && job->target.is_disk);
    int status = place_find(&job->source, machine, disks);

    if (status == STATUS_DONE && job->has_target)
        status = place_find(&job->target, machine, disks);
    if (status == STATUS_DONE && disks == 2 &&
        job->source.vbd.device.id == job->target.vbd.device.id)
        status = complain(STATUS_USAGE, "%s: it cannot be both ends", job->source.name);
    return status;
}

static int run_on_machine(struct job *job)
{
    struct machine *machine;
    int status = machine_open(job->options, MACHINE_DEVICES, &machine);

    if (status != STATUS_DONE)
        return status;
    job->transfer.machine = machine;
    status = find(job, machine);
    if (status == STATUS_DONE)
        status = work(job);
    /* The target first: while the source's backend is slow to close, its data is safe. */
    if (job->has_target && job->target.is_disk)
        status = vbd_close(&job->target.vbd, status);
    if (job->source.is_disk)
        status = vbd_close(&job->source.vbd, status);
    transfer_free(&job->transfer);
    return machine_close(machine, status);
}

/* ---------------------------------------------------------------------------------- results -- */

/* Where the data goes to standard output, nothing else may. */
static bool may_print(const struct job *job)
{
    return !job->has_target || job->manner->compare || job->target.fd != OS_STDOUT;
}

static void print_json(const struct job *job, bool equal)
{
    const struct transfer *transfer = &job->transfer;

    json_open(NULL, '{');
    json_number("bytes", transfer->done);
    if (job->manner->compare && job->has_target) {
        json_bool("equal", equal);
        json_number("different", transfer->different);
        if (equal)
            json_null("first_difference");
        else
            json_number("first_difference", job->source.offset + transfer->first_difference);
    }
    json_seconds("seconds", job->elapsed);
    json_close('}');
}

static int complain_of_difference(const struct job *job)
{
    const struct transfer *transfer = &job->transfer;
    uint64_t at = job->source.offset + transfer->first_difference;
    char elsewhere[64] = "";

    if (job->source.offset != job->target.offset)
        snprintf(elsewhere, sizeof(elsewhere), " (%" PRIu64 " of the second)",
                 job->target.offset + transfer->first_difference);
    return complain(
        STATUS_FAILED,
        "%s and %s differ, first at byte %" PRIu64 "%s; %" PRIu64 " of %" PRIu64 " bytes differ",
        job->source.name, job->target.name, at, elsewhere, transfer->different, transfer->done);
}

static int summarise(const struct job *job)
{
    const struct transfer *transfer = &job->transfer;
    bool equal = transfer->different == 0;

    remark(job->options, "%s: %" PRIu64 " bytes in %" PRIu64 ".%03u s",
           (job->source.is_disk ? &job->source : &job->target)->name, transfer->done,
           job->elapsed / 1000, (unsigned)(job->elapsed % 1000));
    if (job->options->json && may_print(job))
        print_json(job, equal);
    else if (job->manner->compare && equal && job->has_target)
        printf("%s and %s are equal: %" PRIu64 " bytes\n", job->source.name, job->target.name,
               transfer->done);
    else if (job->manner->compare && equal)
        printf("%s can be read: %" PRIu64 " bytes\n", job->source.name, transfer->done);
    return equal ? STATUS_DONE : complain_of_difference(job);
}

static int run(struct job *job)
{
    int status = open_inputs(job);

    if (status == STATUS_DONE)
        status = run_on_machine(job);
    status = place_close(&job->source, false, status);
    if (job->has_target)
        status = place_close(&job->target, !job->manner->compare, status);
    return status == STATUS_DONE ? summarise(job) : status;
}

/* --------------------------------------------------------------------------------- commands -- */

static const struct manner reads = {.done = "read"}, writes = {.done = "written"},
                           copies = {.done = "copied"},
                           compares = {.done = "compared", .compare = true},
                           checks = {.done = "read", .compare = true};

static struct job make_job(const struct options *options, const struct manner *manner)
{
    struct job job = {.options = options, .manner = manner, .has_target = true};

    job.has_length = (options->given & OPTION_LENGTH) != 0;
    place_be_stream(&job.source);
    place_be_stream(&job.target);
    return job;
}

static int start(struct job *job)
{
    job->transfer.source = &job->source;
    job->transfer.target = job->has_target ? &job->target : NULL;
    job->transfer.compare = job->manner->compare && job->has_target;
    return run(job);
}

/* The one end of read and write that is no disk: a file, or a standard stream. */
static void set_file(struct place *place, const char *option, const char *path)
{
    if (path && strcmp(path, "-") != 0)
        *place = (struct place){.option = option, .name = path, .path = path, .fd = -1};
}

int blk_read(const struct options *options, int count, char **arguments)
{
    struct job job = make_job(options, &reads);

    (void)count;
    if (!place_parse_disk(&job.source, arguments[0]))
        return STATUS_USAGE;
    job.source.offset = options->offset;
    set_file(&job.target, "--out ", options->out);
    return start(&job);
}

int blk_write(const struct options *options, int count, char **arguments)
{
    struct job job = make_job(options, &writes);

    (void)count;
    if (!place_parse_disk(&job.target, arguments[0]))
        return STATUS_USAGE;
    job.target.offset = options->offset;
    set_file(&job.source, "--in ", options->in);
    return start(&job);
}

static int run_between(const struct options *options, const struct manner *manner, int count,
                       char **arguments)
{
    struct job job = make_job(options, manner);

    job.has_target = count > 1;
    if (!place_parse(&job.source, arguments[0]) ||
        (job.has_target && !place_parse(&job.target, arguments[1])))
        return STATUS_USAGE;
    if (!job.source.is_disk && !(job.has_target && job.target.is_disk))
        return complain(STATUS_USAGE, "%s: none of what is given is a disk: give vbd/NUMBER",
                        arguments[0]);
    job.source.offset = options->offset;
    job.target.offset = options->target_offset;
    return start(&job);
}

int blk_copy(const struct options *options, int count, char **arguments)
{
    return run_between(options, &copies, count, arguments);
}

int blk_verify(const struct options *options, int count, char **arguments)
{
    if (count == 1 && (options->given & OPTION_TARGET_OFFSET))
        return complain(STATUS_USAGE, "--target-offset: there is no second disk or file");
    return run_between(options, count == 1 ? &checks : &compares, count, arguments);
}
