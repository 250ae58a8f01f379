/* SPDX-License-Identifier: MIT */
/* From the options to the cells. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "complain.h"
#include "number.h"
#include "options.h"

#define REPEATS   5u
#define REPEAT_MS 50u
#define QUICK_MS  15u

const char *const bench_mode_names[] = {"polled", "event", NULL};

/* ------------------------------------------------------------------------------------- lists -- */

#define LIST_MAX 16u

struct list {
    uint32_t values[LIST_MAX];
    uint32_t count;
};

static bool take_number(const struct bench_axis *axis, const char *name, const char *word,
                        uint32_t *value)
{
    uint64_t number;

    if (!number_parse(name, word, true, axis->least, axis->most, &number))
        return false;
    if (number % axis->multiple) {
        complain(STATUS_USAGE, "%s: %s is no multiple of %u", name, word, axis->multiple);
        return false;
    }
    *value = axis->cap && number > axis->cap ? axis->cap : (uint32_t)number;
    return true;
}

static bool take(const struct bench_axis *axis, const char *name, const char *word, uint32_t *value)
{
    int choice;

    if (!axis->names)
        return take_number(axis, name, word, value);
    choice = options_choose(name, word, axis->choices ? axis->choices : axis->names);
    *value = (uint32_t)choice;
    return choice >= 0;
}

/* What stands between commas, one after the other; false after complaining. */
static bool each_word(const struct bench_axis *axis, const char *name, const char *text,
                      struct list *list)
{
    char word[64];

    for (list->count = 0;;) {
        size_t length = strcspn(text, ",");

        if (list->count == LIST_MAX) {
            complain(STATUS_USAGE, "%s: at most %u values can be given", name, LIST_MAX);
            return false;
        }
        snprintf(word, sizeof(word), "%.*s", (int)(length < 63 ? length : 63), text);
        if (!take(axis, name, word, &list->values[list->count]))
            return false;
        list->count++;
        if (!text[length])
            return true;
        text += length + 1;
    }
}

/* ------------------------------------------------------------------------------------- cells -- */

#define AXES_MAX 8u

uint32_t bench_value(const struct bench_cell *cell, const struct bench_axis *axis)
{
    return *(const uint32_t *)(const void *)((const char *)cell + axis->field);
}

static void set_value(struct bench_cell *cell, const struct bench_axis *axis, uint32_t value)
{
    *(uint32_t *)(void *)((char *)cell + axis->field) = value;
}

const struct bench_axis *bench_last_axis(const struct bench_kind *kind)
{
    const struct bench_axis *axis = kind->axes;

    while (axis[1].name)
        axis++;
    return axis;
}

/* 1, 2, 4 ... and the number itself. */
static void count_queues(const struct options *options, struct list *list)
{
    uint32_t most = options->queues ? options->queues : options->bench.full ? 4 : 1;

    list->count = 0;
    for (uint32_t queues = 1; queues < most; queues *= 2)
        list->values[list->count++] = queues;
    list->values[list->count++] = most;
}

static const char *given(const struct options *options, const struct bench_axis *axis)
{
    return *(const char *const *)(const void *)((const char *)options + axis->option);
}

/* The name behind those that can be chosen. */
static uint32_t of_device(const struct bench_axis *axis)
{
    uint32_t count = 0;

    while (axis->choices[count])
        count++;
    return count;
}

static bool read_axis(const struct bench_plan *plan, const struct bench_axis *axis,
                      struct list *list)
{
    const struct options *options = plan->options;
    const char *text;
    char name[24];

    if (!axis->option) {
        count_queues(options, list);
        return true;
    }
    text = given(options, axis);
    snprintf(name, sizeof(name), "--%s", axis->name);
    if (axis->choices && plan->device) {
        *list = (struct list){.values = {of_device(axis)}, .count = 1};
        if (text)
            complain(STATUS_USAGE, "%s: the %s is %s", name, plan->kind->noun, plan->device->name);
        return !text;
    }
    if (!text)
        text = options->bench.full && axis->full ? axis->full : axis->usual;
    return each_word(axis, name, text, list);
}

/* The n-th cell; the last axis changes first, so that rows of a table are neighbours on a line of a
 * plot. */
static struct bench_cell cell_at(const struct bench_axis *axes, const struct list *lists,
                                 uint32_t count, uint32_t n)
{
    struct bench_cell cell = {0};

    while (count--) {
        set_value(&cell, &axes[count], lists[count].values[n % lists[count].count]);
        n /= lists[count].count;
    }
    return cell;
}

static bool make_cells(struct bench_plan *plan)
{
    const struct bench_axis *axes = plan->kind->axes;
    struct list lists[AXES_MAX];
    uint32_t count;

    plan->count = 1;
    for (count = 0; axes[count].name; count++) {
        if (!read_axis(plan, &axes[count], &lists[count]))
            return false;
        plan->count *= lists[count].count;
    }
    plan->cells = calloc(plan->count, sizeof(*plan->cells));
    if (!plan->cells) {
        complain(STATUS_ENVIRONMENT, "out of memory");
        return false;
    }
    for (uint32_t i = 0; i < plan->count; i++)
        plan->cells[i] = cell_at(axes, lists, count, i);
    return true;
}

static bool suits(const struct options *options, const struct bench_kind *kind,
                  const struct device *device)
{
    const struct bench_options *asked = &options->bench;

    if (!device && options->mock_disk_count)
        complain(STATUS_USAGE, "--mock-disk: name the disk too, as vbd/51712; without one, the "
                               "benchmark has a mock of its own");
    else if (!device && options->mock_net_count)
        complain(STATUS_USAGE, "--mock-net: name the network card too, as vif/0; without one, the "
                               "benchmark has a mock of its own");
    else if (!device && options->mock_backend_count)
        complain(STATUS_USAGE, "--mock-backend: without a %s, the benchmark has a mock of its own",
                 kind->noun);
    else if (device && asked->grants)
        complain(STATUS_USAGE, "--grants: it is for the mock, and not for %s", device->name);
    else if (asked->quick && asked->full)
        complain(STATUS_USAGE, "--quick: it is not that with --full");
    else
        return kind->suits(options, device);
    return false;
}

bool bench_plan_make(const struct options *options, const struct bench_kind *kind,
                     struct device *device, struct bench_plan *plan)
{
    const struct bench_options *asked = &options->bench;

    *plan = (struct bench_plan){.options = options,
                                .kind = kind,
                                .device = device,
                                .repeats = asked->repeats ? asked->repeats : REPEATS,
                                .repeat_ms = asked->repeat_ms ? asked->repeat_ms
                                             : asked->quick   ? QUICK_MS
                                                              : REPEAT_MS,
                                .grants = asked->grants};
    return suits(options, kind, device) && make_cells(plan);
}
