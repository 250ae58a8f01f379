/* SPDX-License-Identifier: MIT */
/* Results as a table for people, and as JSON for programs. */
#include <inttypes.h>
#include <string.h>

#include "bench.h"
#include "json.h"
#include "number.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif
#ifdef __OPTIMIZE__
#define OPTIMISED true
#else
#define OPTIMISED false
#endif

/* ------------------------------------------------------------------------------------ people -- */

static void print_machine(void)
{
    char processor[OS_TEXT_MAX], system[OS_TEXT_MAX], hypervisor[OS_TEXT_MAX];

    os_processor(processor);
    os_system(system);
    os_hypervisor(hypervisor);
    printf("xenpv %s (%s%s); %s, %u cores; %s; hypervisor: %s\n", xenpv_version(), COMPILER,
           OPTIMISED ? "" : ", not optimised", processor, os_cores(), system, hypervisor);
}

void bench_print_head(const struct bench_plan *plan)
{
    const struct bench_kind *kind = plan->kind;

    print_machine();
    printf("Medians of %u repeats of %u ms. 'ratio': to a bare ring in the same repeat, least to\n"
           "most%s. Latencies in microseconds, from a run of their own.\n\n",
           plan->repeats, plan->repeat_ms, kind->copies ? "; 'copy': to a loop of memcpy" : "");
    for (const struct bench_axis *axis = kind->axes; axis->name; axis++)
        printf("%*s ", axis->width, axis->name);
    printf("%8s/s k    MiB/s  bare k  ratio                %s     p50     p90     p99   p99.9\n",
           kind->unit, kind->copies ? "   copy" : "");
    fflush(stdout);
}

/* Below this share of a core a repeat measures who else was running. */
#define SHARE_GOOD 0.97

/* "4K", "1M", "512". */
static void short_size(uint32_t bytes, char text[16])
{
    if (bytes % (1u << 20) == 0)
        snprintf(text, 16, "%uM", bytes >> 20);
    else if (bytes % 1024 == 0)
        snprintf(text, 16, "%uK", bytes >> 10);
    else
        snprintf(text, 16, "%u", bytes);
}

static double us(uint64_t ns)
{
    return (double)ns / 1000;
}

static void print_value(const struct bench_axis *axis, uint32_t value)
{
    char text[16];

    if (axis->bytes)
        short_size(value, text);
    else
        snprintf(text, sizeof(text), "%u", value);
    printf("%*s ", axis->width, axis->names ? axis->names[value] : text);
}

static void print_latency(const struct bench_latency *latency)
{
    if (latency->samples)
        printf(" %7.2f %7.2f %7.2f %7.2f", us(latency->p50), us(latency->p90), us(latency->p99),
               us(latency->p999));
    else
        printf(" %7s %7s %7s %7s", "-", "-", "-", "-");
}

void bench_print_row(const struct bench_plan *plan, const struct bench_result *result)
{
    const struct bench_cell *cell = &result->cell;
    char copied[16] = "-";

    for (const struct bench_axis *axis = plan->kind->axes; axis->name; axis++)
        print_value(axis, bench_value(cell, axis));
    if (result->note[0]) {
        printf(" %s\n", result->note);
        fflush(stdout);
        return;
    }
    if (result->copy.median > 0)
        snprintf(copied, sizeof(copied), "%.2f", result->copied.median);
    printf("%10.1f %8.0f %7.0f  %5.2f [%5.2f to %5.2f]", result->rate.median / 1e3,
           result->rate.median * cell->size / (1u << 20), result->bare.median / 1e3,
           result->ratio.median, result->ratio.least, result->ratio.most);
    if (plan->kind->copies)
        printf(" %6s", copied);
    print_latency(&result->latency);
    printf("%s\n", result->share < SHARE_GOOD ? " !" : "");
    fflush(stdout);
}

void bench_print_foot(const struct bench_plan *plan, const struct bench_result *results,
                      uint32_t count)
{
    double least = 1;

    for (uint32_t i = 0; i < count; i++)
        if (!results[i].note[0] && results[i].share < least)
            least = results[i].share;
    printf("\nA look at the clock takes %" PRIu64 " ns, and is taken off the latencies.\n",
           plan->clock_cost);
    if (least < SHARE_GOOD)
        printf("! Rows that say little: a thread had its core for %.0f %% of a repeat at the "
               "least, %s.\n",
               least * 100,
               os_cores() > 1 ? "for other programs, or other threads of this one, had it too"
                              : "for there is one core only");
}

/* ---------------------------------------------------------------------------------- programs -- */

static void json_machine(void)
{
    char text[OS_TEXT_MAX];

    json_open("machine", '{');
    os_processor(text);
    json_text("processor", text);
    json_number("cores", os_cores());
    os_system(text);
    json_text("system", text);
    os_hypervisor(text);
    json_text("hypervisor", text);
    json_bool("xen", strcmp(text, "xen") == 0);
    json_text("compiler", COMPILER);
    json_bool("optimised", OPTIMISED);
    json_text("xenpv", xenpv_version());
    json_close('}');
}

static void json_spread(const char *key, const struct bench_spread *spread)
{
    json_open(key, '{');
    json_decimal("median", spread->median, 3);
    json_decimal("least", spread->least, 3);
    json_decimal("most", spread->most, 3);
    json_close('}');
}

static void json_latency(const struct bench_latency *latency)
{
    json_open("latency_ns", '{');
    json_number("samples", latency->samples);
    json_number("p50", latency->p50);
    json_number("p90", latency->p90);
    json_number("p99", latency->p99);
    json_number("p99.9", latency->p999);
    json_number("most", latency->most);
    json_close('}');
}

static void json_result(const struct bench_plan *plan, const struct bench_result *result)
{
    char rate[40];

    json_open(NULL, '{');
    for (const struct bench_axis *axis = plan->kind->axes; axis->name; axis++) {
        uint32_t value = bench_value(&result->cell, axis);

        if (axis->names)
            json_text(axis->name, axis->names[value]);
        else
            json_number(axis->name, value);
    }
    if (result->note[0]) {
        json_text("not_measured", result->note);
        json_close('}');
        return;
    }
    snprintf(rate, sizeof(rate), "%s_per_second", plan->kind->events);
    json_spread(rate, &result->rate);
    json_spread("bare_ring_per_second", &result->bare);
    json_spread("ratio_to_bare_ring", &result->ratio);
    if (result->copy.median > 0) {
        json_spread("memcpy_per_second", &result->copy);
        json_spread("ratio_to_memcpy", &result->copied);
    }
    if (result->latency.samples)
        json_latency(&result->latency);
    json_decimal("core_share", result->share, 3);
    json_close('}');
}

void bench_print_json(const struct bench_plan *plan, const struct bench_result *results,
                      uint32_t count)
{
    json_open(NULL, '{');
    json_machine();
    json_text("device", plan->device ? plan->device->name : "mock");
    json_number("repeats", plan->repeats);
    json_number("repeat_ms", plan->repeat_ms);
    json_number("clock_ns", plan->clock_cost);
    json_open("cells", '[');
    for (uint32_t i = 0; i < count; i++)
        json_result(plan, &results[i]);
    json_close(']');
    json_close('}');
}
