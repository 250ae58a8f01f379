/* SPDX-License-Identifier: MIT */
/* From the options to the cells, and from a cell to the device that suits it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "complain.h"
#include "number.h"
#include "options.h"

#define REPEATS   5u
#define REPEAT_MS 50u
#define QUICK_MS  15u

static const char *const disk_names[] = {"null", "empty", "memory", "device", NULL};
static const char *const op_names[] = {"read", "write", "randread", NULL};
static const char *const buffer_names[] = {"bounce", "shared", NULL};
static const char *const mode_names[] = {"polled", "event", NULL};
const char *const *const bench_disk_names = disk_names;
const char *const *const bench_op_names = op_names;
const char *const *const bench_buffer_names = buffer_names;
const char *const *const bench_mode_names = mode_names;

/* ------------------------------------------------------------------------------------- lists -- */

#define LIST_MAX 16u

struct list {
    uint32_t values[LIST_MAX];
    uint32_t count;
};

/* What stands between commas, one after the other; false after complaining. */
static bool each_word(const char *name, const char *text, struct list *list,
                      bool (*take)(const char *name, const char *word, const void *known,
                                   uint32_t *value),
                      const void *known)
{
    char word[64];

    list->count = 0;
    for (const char *rest = text; rest; rest = *rest ? rest + 1 : NULL) {
        size_t length = strcspn(rest, ",");

        if (list->count == LIST_MAX) {
            complain(STATUS_USAGE, "%s: at most %u values can be given", name, LIST_MAX);
            return false;
        }
        snprintf(word, sizeof(word), "%.*s", (int)(length < 63 ? length : 63), rest);
        if (!take(name, word, known, &list->values[list->count]))
            return false;
        list->count++;
        rest += length;
        if (!*rest)
            break;
    }
    return true;
}

struct limits {
    uint32_t least, most, multiple;
};

static bool take_number(const char *name, const char *word, const void *known, uint32_t *value)
{
    const struct limits *limits = known;
    uint64_t number;

    if (!number_parse(name, word, true, limits->least, limits->most, &number))
        return false;
    if (number % limits->multiple) {
        complain(STATUS_USAGE, "%s: %s is no multiple of %u", name, word, limits->multiple);
        return false;
    }
    *value = (uint32_t)number;
    return true;
}

static bool take_name(const char *name, const char *word, const void *known, uint32_t *value)
{
    const char *const *names = known;
    int choice = options_choose(name, word, names);

    *value = (uint32_t)choice;
    return choice >= 0;
}

/* ------------------------------------------------------------------------------------ matrix -- */

struct matrix {
    struct list disks, ops, buffers, modes, queues, sizes, depths;
};

static const char *or_else(const char *given, const char *otherwise)
{
    return given ? given : otherwise;
}

/* What a user may name; the device is what stands beside the options. */
static const char *const mock_disks[] = {"null", "empty", "memory", NULL};
static const struct limits depth_limits = {1, 4096, 1};
static const struct limits size_limits = {512, 16u << 20, 512};

static bool read_lists(const struct options *options, struct matrix *matrix)
{
    const struct bench_options *asked = &options->bench;

    return each_word("--depth", or_else(asked->depths, "1,4,32,128"), &matrix->depths, take_number,
                     &depth_limits) &&
           each_word("--size", or_else(options->size, asked->full ? "512,4K,64K,1M" : "4K"),
                     &matrix->sizes, take_number, &size_limits) &&
           each_word("--mode", or_else(asked->modes, "polled,event"), &matrix->modes, take_name,
                     mode_names) &&
           each_word("--disk",
                     or_else(asked->disks, asked->full ? "null,empty,memory" : "null,memory"),
                     &matrix->disks, take_name, mock_disks) &&
           each_word("--op", or_else(asked->ops, asked->full ? "read,randread" : "randread"),
                     &matrix->ops, take_name, op_names) &&
           each_word("--buffer", or_else(asked->buffers, "shared,bounce"), &matrix->buffers,
                     take_name, buffer_names);
}

/* 1, 2, 4 ... and the number itself. */
static void count_queues(uint32_t most, struct list *list)
{
    list->count = 0;
    for (uint32_t queues = 1; queues < most; queues *= 2)
        list->values[list->count++] = queues;
    list->values[list->count++] = most;
}

/* The n-th cell; depths change first, so that rows of a table are neighbours on a line of a plot.
 */
static struct bench_cell cell_at(const struct matrix *matrix, uint32_t n)
{
    const struct list *const lists[] = {&matrix->depths, &matrix->queues, &matrix->sizes,
                                        &matrix->ops,    &matrix->modes,  &matrix->buffers,
                                        &matrix->disks};
    uint32_t chosen[7];

    for (uint32_t i = 0; i < 7; i++) {
        chosen[i] = lists[i]->values[n % lists[i]->count];
        n /= lists[i]->count;
    }
    return (struct bench_cell){.depth = chosen[0],
                               .queues = chosen[1],
                               .size = chosen[2],
                               .op = (enum bench_op)chosen[3],
                               .event = chosen[4] != 0,
                               .buffer = (enum bench_buffer)chosen[5],
                               .disk = (enum bench_disk)chosen[6]};
}

static uint32_t cell_count(const struct matrix *matrix)
{
    return matrix->disks.count * matrix->ops.count * matrix->buffers.count * matrix->modes.count *
           matrix->queues.count * matrix->sizes.count * matrix->depths.count;
}

/* Writing to the mock harms nobody; a device is written to only by order. */
static bool may_write(const struct bench_options *asked, const struct device *device,
                      const struct matrix *matrix)
{
    for (uint32_t i = 0; i < matrix->ops.count; i++) {
        if (matrix->ops.values[i] != BENCH_WRITE || !device || asked->write)
            continue;
        complain(STATUS_USAGE,
                 "--op write: it destroys what is on %s; if that is meant, give --write too",
                 device->name);
        return false;
    }
    return true;
}

static bool suits(const struct options *options, const struct device *device)
{
    const struct bench_options *asked = &options->bench;

    if (!device && options->mock_disk_count)
        complain(STATUS_USAGE, "--mock-disk: name the disk too, as vbd/51712; without one, the "
                               "benchmark has a mock of its own");
    else if (!device && options->mock_backend_count)
        complain(STATUS_USAGE,
                 "--mock-backend: without a disk, the benchmark has a mock of its own");
    else if (device && asked->disks)
        complain(STATUS_USAGE, "--disk: the disk is %s", device->name);
    else if (device && asked->grants)
        complain(STATUS_USAGE, "--grants: it is for the mock, and not for %s", device->name);
    else if (!device && asked->write)
        complain(STATUS_USAGE, "--write: there is no device that it could be about");
    else if (asked->quick && asked->full)
        complain(STATUS_USAGE, "--quick: it is not that with --full");
    else
        return true;
    return false;
}

bool bench_plan_make(const struct options *options, struct device *device, struct bench_plan *plan)
{
    const struct bench_options *asked = &options->bench;
    struct matrix matrix;

    *plan = (struct bench_plan){.options = options,
                                .device = device,
                                .repeats = asked->repeats ? asked->repeats : REPEATS,
                                .repeat_ms = asked->repeat_ms ? asked->repeat_ms
                                             : asked->quick   ? QUICK_MS
                                                              : REPEAT_MS,
                                .grants = asked->grants};
    if (!suits(options, device) || !read_lists(options, &matrix) ||
        !may_write(asked, device, &matrix))
        return false;
    count_queues(options->queues ? options->queues : asked->full ? 4 : 1, &matrix.queues);
    if (device)
        matrix.disks = (struct list){.values = {BENCH_DEVICE}, .count = 1};
    plan->count = cell_count(&matrix);
    plan->cells = calloc(plan->count, sizeof(*plan->cells));
    if (!plan->cells) {
        complain(STATUS_ENVIRONMENT, "out of memory");
        return false;
    }
    for (uint32_t i = 0; i < plan->count; i++)
        plan->cells[i] = cell_at(&matrix, i);
    return true;
}

/* ------------------------------------------------------------------------------- the device -- */

uint32_t bench_pages(const struct bench_cell *cell)
{
    return (cell->size + XENPV_PAGE_SIZE - 1) / XENPV_PAGE_SIZE;
}

#define REQUEST_PAGES 256u /* of one indirect request: as many as our own backend takes */

static uint32_t requests(const struct bench_cell *cell)
{
    return cell->depth * ((bench_pages(cell) + REQUEST_PAGES - 1) / REQUEST_PAGES);
}

uint32_t bench_ring_order(const struct bench_cell *cell)
{
    uint32_t order = 0;

    while (order < 4 &&
           xenpv_ring_count(XENPV_PAGE_SIZE << order, XENPV_BLKIF_SLOT_MAX) < requests(cell))
        order++;
    return order;
}

#define QUEUE_PAGES_MAX 65536u

bool bench_fits(const struct bench_cell *cell, char note[BENCH_NOTE_MAX])
{
    uint64_t data = (uint64_t)cell->depth * bench_pages(cell) + requests(cell);

    if (data > QUEUE_PAGES_MAX)
        snprintf(note, BENCH_NOTE_MAX, "needs %" PRIu64 " shared pages, a queue has %u at most",
                 data, QUEUE_PAGES_MAX);
    return data <= QUEUE_PAGES_MAX;
}

void bench_configure(const struct options *options, const struct bench_cell *cell,
                     struct xenpv_blk_config *config)
{
    uint32_t data = cell->depth * bench_pages(cell);
    bool shared = cell->buffer == BENCH_SHARED;
    /* An indirect request keeps one page of the buffer for each 512 segments. */
    uint32_t indirect = bench_pages(cell) > XENPV_BLKIF_SEGMENTS ? requests(cell) : 0;

    config->queues = cell->queues;
    config->operations = cell->depth;
    config->ring_order = bench_ring_order(cell);
    config->segments = options->given & OPTION_SEGMENTS ? options->segments : REQUEST_PAGES;
    config->units = (enum xenpv_blk_units)options->units;
    config->without = options->without;
    config->buffer_pages = (shared ? 0 : data) + indirect;
    if (config->buffer_pages < XENPV_BLKIF_SEGMENTS)
        config->buffer_pages = XENPV_BLKIF_SEGMENTS;
    config->shared_pages = shared ? data : 0;
    config->poll = !cell->event;
}

uint32_t bench_grants(const struct xenpv_blk_config *config)
{
    return config->queues *
           ((1u << config->ring_order) + config->buffer_pages + config->shared_pages);
}
