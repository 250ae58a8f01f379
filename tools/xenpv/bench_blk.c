/* SPDX-License-Identifier: MIT */
/* Disks, as xenpv bench sees them: their cells, and the frontend that suits a cell. */
#include "bench_blk.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "bench_ring.h"
#include "complain.h"

/* ------------------------------------------------------------------------------------- cells -- */

static const char *const disk_names[] = {"null", "empty", "memory", "device", NULL};
static const char *const mock_disks[] = {"null", "empty", "memory", NULL};
static const char *const op_names[] = {"read", "write", "randread", NULL};
static const char *const buffer_names[] = {"bounce", "shared", NULL};

#define CELL(member)   offsetof(struct bench_cell, member)
#define OPTION(member) offsetof(struct options, member)

static const struct bench_axis axes[] = {
    {.name = "disk",
     .field = CELL(disk),
     .option = OPTION(bench.disks),
     .names = disk_names,
     .choices = mock_disks,
     .usual = "null,memory",
     .full = "null,empty,memory",
     .width = -6},
    {.name = "op",
     .field = CELL(op),
     .option = OPTION(bench.ops),
     .names = op_names,
     .usual = "randread",
     .full = "read,randread",
     .width = -8},
    {.name = "buffer",
     .field = CELL(buffer),
     .option = OPTION(bench.buffers),
     .names = buffer_names,
     .usual = "shared,bounce",
     .width = -6},
    {.name = "mode",
     .field = CELL(event),
     .option = OPTION(bench.modes),
     .names = bench_mode_names,
     .usual = "polled,event",
     .width = -6},
    {.name = "queues", .field = CELL(queues), .width = 6},
    {.name = "size",
     .field = CELL(size),
     .option = OPTION(size),
     .least = 512,
     .most = 16u << 20,
     .multiple = 512,
     .usual = "4K",
     .full = "512,4K,64K,1M",
     .width = 6,
     .bytes = true},
    {.name = "depth",
     .field = CELL(depth),
     .option = OPTION(bench.depths),
     .least = 1,
     .most = 4096,
     .multiple = 1,
     .usual = "1,4,32,128",
     .width = 5},
    {.name = NULL},
};

/* Whether "write" is one of the words of a list. */
static bool writes(const char *ops)
{
    for (const char *word = ops; word; word = strchr(word, ',')) {
        word += *word == ',';
        if (strncmp(word, "write", 5) == 0 && (word[5] == ',' || word[5] == '\0'))
            return true;
    }
    return false;
}

/* Writing to the mock harms nobody; a device is written to only by order. */
static bool suits(const struct options *options, const struct device *device)
{
    const struct bench_options *asked = &options->bench;

    if (!device && asked->write)
        complain(STATUS_USAGE, "--write: there is no device that it could be about");
    else if (device && !asked->write && writes(asked->ops))
        complain(STATUS_USAGE,
                 "--op write: it destroys what is on %s; if that is meant, give --write too",
                 device->name);
    else
        return true;
    return false;
}

/* -------------------------------------------------------------------------------- the device -- */

uint32_t bench_blk_pages(const struct bench_cell *cell)
{
    return (cell->size + XENPV_PAGE_SIZE - 1) / XENPV_PAGE_SIZE;
}

#define REQUEST_PAGES 256u /* of one indirect request: as many as our own backend takes */

static uint32_t requests(const struct bench_cell *cell)
{
    return cell->depth * ((bench_blk_pages(cell) + REQUEST_PAGES - 1) / REQUEST_PAGES);
}

static uint32_t ring_order(const struct bench_cell *cell)
{
    uint32_t order = 0;

    while (order < 4 &&
           xenpv_ring_count(XENPV_PAGE_SIZE << order, XENPV_BLKIF_SLOT_MAX) < requests(cell))
        order++;
    return order;
}

#define QUEUE_PAGES_MAX 65536u

static bool fits(const struct bench_cell *cell, char note[BENCH_NOTE_MAX])
{
    uint64_t data = (uint64_t)cell->depth * bench_blk_pages(cell) + requests(cell);

    if (data > QUEUE_PAGES_MAX)
        snprintf(note, BENCH_NOTE_MAX, "needs %" PRIu64 " shared pages, a queue has %u at most",
                 data, QUEUE_PAGES_MAX);
    return data <= QUEUE_PAGES_MAX;
}

static void configure(const struct options *options, const struct bench_cell *cell,
                      struct xenpv_blk_config *config)
{
    uint32_t data = cell->depth * bench_blk_pages(cell);
    bool shared = cell->buffer == BENCH_SHARED;
    /* An indirect request keeps one page of the buffer for each 512 segments. */
    uint32_t indirect = bench_blk_pages(cell) > XENPV_BLKIF_SEGMENTS ? requests(cell) : 0;

    config->queues = cell->queues;
    config->operations = cell->depth;
    config->ring_order = ring_order(cell);
    config->segments = options->given & OPTION_SEGMENTS ? options->segments : REQUEST_PAGES;
    config->units = (enum xenpv_blk_units)options->units;
    config->without = options->without;
    config->buffer_pages = (shared ? 0 : data) + indirect;
    if (config->buffer_pages < XENPV_BLKIF_SEGMENTS)
        config->buffer_pages = XENPV_BLKIF_SEGMENTS;
    config->shared_pages = shared ? data : 0;
    config->poll = !cell->event;
}

/* ------------------------------------------------------------------------------ the frontend -- */

static int front_connect(const struct bench_front *front, uint64_t now)
{
    return xenpv_blk_connect(front->device, now);
}

static void front_close(const struct bench_front *front, uint64_t now)
{
    xenpv_blk_close(front->device, now);
}

static enum bench_way front_step(const struct bench_front *front, uint64_t now)
{
    enum xenpv_blk_state state = xenpv_blk_step(front->device, now);

    if (state == XENPV_BLK_CONNECTING || state == XENPV_BLK_RECOVERING ||
        state == XENPV_BLK_CLOSING)
        return BENCH_ON_ITS_WAY;
    return state == XENPV_BLK_CONNECTED ? BENCH_CONNECTED : BENCH_ENDED;
}

static uint64_t front_deadline(const struct bench_front *front)
{
    return xenpv_blk_deadline(front->device);
}

static const struct xenpv_detail *front_detail(const struct bench_front *front)
{
    return xenpv_blk_detail(front->device);
}

static void front_empty(const struct bench_front *front)
{
    struct xenpv_completion unwanted[16];

    for (uint32_t i = 0; i < front->queues; i++)
        while (xenpv_blkq_poll(xenpv_blk_queue(front->device, i), unwanted, 16) > 0)
            ;
}

static const struct bench_front_ops front_ops = {
    .connect = front_connect,
    .close = front_close,
    .step = front_step,
    .deadline = front_deadline,
    .detail = front_detail,
    .empty = front_empty,
};

static int make_front(const struct bench_plan *plan, const struct bench_cell *cell,
                      const struct bench_place *place, struct bench_front *front)
{
    struct xenpv_blk_config config;
    struct xenpv_blk *blk;
    int error;

    xenpv_blk_config_init(&config, place->port, place->path);
    if (!plan->device)
        config.abi = XENPV_ABI_X86_64; /* the one the bare ring is like */
    configure(plan->options, cell, &config);
    config.connect_ms = place->connect_ms;
    config.close_ms = place->close_ms;
    config.recover_ms = 0; /* a run with a hole in it is no measurement */
    front->ops = &front_ops;
    front->queues = config.queues;
    front->grants =
        config.queues * ((1u << config.ring_order) + config.buffer_pages + config.shared_pages);
    front->memory = os_alloc(xenpv_blk_size(&config), 16);
    error = front->memory ? xenpv_blk_init(front->memory, &config, &blk) : XENPV_ENOMEM;
    front->device = error ? NULL : blk;
    return error;
}

static void describe(const struct bench_front *front, struct bench_target *target)
{
    struct xenpv_blk_info info;

    xenpv_blk_info(front->device, &info);
    target->queues = info.queues;
    target->bytes = info.bytes;
    target->readonly = info.readonly;
}

static bool accepts(const struct bench_cell *cell, const struct bench_target *target,
                    char note[BENCH_NOTE_MAX])
{
    if (target->readonly && cell->op == BENCH_WRITE)
        snprintf(note, BENCH_NOTE_MAX, "the disk is read-only");
    else if (target->bytes / cell->queues / cell->size <
             (cell->op == BENCH_RANDREAD ? 1 : cell->depth))
        snprintf(note, BENCH_NOTE_MAX, "the disk is too small");
    else
        return true;
    return false;
}

/* ----------------------------------------------------------------------------- the bare ring -- */

/* The same bytes go over it as for one segment in blkif's x86_64 layout. */
#define SLOT     112u
#define REQUEST  32u
#define RESPONSE 16u

static void run_line(void *line)
{
    bench_line_run(line, REQUEST, RESPONSE);
}

static inline void answer(const uint8_t *request, uint8_t *response)
{
    memcpy(response, request + 8, 8); /* the id */
    /* The operation, of an indirect request the inner one; the status is 0, OKAY. */
    response[8] = request[0] == XENPV_BLKIF_INDIRECT ? request[1] : request[0];
}

bool bench_blk_answer(struct xenpv_ring *ring, bool *found)
{
    return bench_line_answer(ring, REQUEST, RESPONSE, answer, found);
}

static void wire(const struct bench_cell *cell, struct bench_wire *wire)
{
    *wire = (struct bench_wire){.bytes = XENPV_PAGE_SIZE << ring_order(cell),
                                .slot = SLOT,
                                .depth = cell->depth,
                                .each = 1,
                                .run = run_line,
                                .answer = bench_blk_answer};
}

static bool copies(const struct bench_cell *cell)
{
    return cell->disk == BENCH_MEMORY;
}

const struct bench_kind bench_blk = {
    .class_name = "vbd",
    .noun = "disk",
    .events = "operations",
    .unit = "ops",
    .x_label = "operations in flight",
    .axes = axes,
    .lanes = &bench_blk_lanes,
    .suits = suits,
    .parse = device_parse_disk,
    .find = device_find_disk,
    .fits = fits,
    .accepts = accepts,
    .copies = copies,
    .wire = wire,
    .make_front = make_front,
    .describe = describe,
    .make_backend = bench_blk_backend,
};
