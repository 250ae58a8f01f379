/* SPDX-License-Identifier: MIT */
/* Draws throughput and latencies over the depth, through gnuplot. */
#include <errno.h>
#include <string.h>

#include "bench.h"
#include "complain.h"
#include "options.h"

static int complain_of_gnuplot(void)
{
    return complain(STATUS_ENVIRONMENT,
                    "--plot: there is no gnuplot here; on Debian: apt-get install gnuplot-nox");
}

int bench_plot_check(const char *path)
{
    FILE *input = os_pipe_open("gnuplot --version >" OS_NULL_DEVICE " 2>&1");
    int fd;

    if (!input || os_pipe_close(input) != 0)
        return complain_of_gnuplot();
    fd = os_open_output(path, false);
    if (fd < 0 || os_close(fd) != 0)
        return complain(STATUS_ENVIRONMENT, "--plot %s: cannot create it: %s", path,
                        strerror(errno));
    return STATUS_DONE;
}

/* Cells that differ in nothing but the last axis are one line of the plot. */
static bool on_one_line(const struct bench_kind *kind, const struct bench_result *a,
                        const struct bench_result *b)
{
    for (const struct bench_axis *axis = kind->axes; axis[1].name; axis++)
        if (bench_value(&a->cell, axis) != bench_value(&b->cell, axis))
            return false;
    return true;
}

/* The first result behind those of this line. */
static uint32_t end_of_line(const struct bench_kind *kind, const struct bench_result *results,
                            uint32_t first, uint32_t count)
{
    uint32_t end = first;

    while (end < count && on_one_line(kind, &results[first], &results[end]))
        end++;
    return end;
}

static bool is_measured(const struct bench_result *results, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        if (!results[i].note[0])
            return true;
    return false;
}

/* There are latencies, which frames that are received have none of. */
static bool is_timed(const struct bench_result *results, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        if (!results[i].note[0] && results[i].latency.samples)
            return true;
    return false;
}

static void write_title(FILE *out, const struct bench_kind *kind, const struct bench_cell *cell)
{
    for (const struct bench_axis *axis = kind->axes; axis[1].name; axis++) {
        uint32_t value = bench_value(cell, axis);

        if (axis->names)
            fprintf(out, "%s%s", axis == kind->axes ? "" : " ", axis->names[value]);
        else
            fprintf(out, ", %s %u", axis->name, value);
    }
}

static void write_data(FILE *out, const struct bench_kind *kind, const struct bench_result *results,
                       uint32_t count)
{
    uint32_t end;

    for (uint32_t first = 0; first < count; first = end) {
        end = end_of_line(kind, results, first, count);
        if (!is_measured(results, first, end))
            continue;
        fprintf(out, "$line%u << EOD\n", first);
        for (uint32_t i = first; i < end; i++) {
            const struct bench_result *result = &results[i];

            if (result->note[0])
                continue;
            fprintf(out, "%u %.1f %.1f %.1f %.3f %.3f %.3f\n",
                    bench_value(&result->cell, bench_last_axis(kind)), result->rate.median,
                    result->rate.least, result->rate.most, (double)result->latency.p50 / 1e3,
                    (double)result->latency.p99 / 1e3, (double)result->latency.p999 / 1e3);
        }
        fprintf(out, "EOD\n");
    }
}

/* One curve for each line that `has` them, of the columns that `columns` names; those of a line have
 * one colour. */
static void write_curves(FILE *out, const struct bench_kind *kind,
                         const struct bench_result *results, uint32_t count,
                         bool (*has)(const struct bench_result *results, uint32_t first,
                                     uint32_t end),
                         const char *columns, const char *style)
{
    bool titles = has == is_measured;
    uint32_t end, number = 0;

    for (uint32_t first = 0; first < count; first = end) {
        end = end_of_line(kind, results, first, count);
        number += is_measured(results, first, end);
        if (!has(results, first, end))
            continue;
        fprintf(out, "     $line%u using %s with %s linecolor %u title \"", first, columns, style,
                number);
        if (titles)
            write_title(out, kind, &results[first].cell);
        fprintf(out, "\", \\\n");
    }
}

static uint32_t count_lines(const struct bench_kind *kind, const struct bench_result *results,
                            uint32_t count)
{
    uint32_t lines = 0;

    for (uint32_t first = 0; first < count; first = end_of_line(kind, results, first, count))
        lines++;
    return lines;
}

static void write_throughput(FILE *out, const struct bench_kind *kind,
                             const struct bench_result *results, uint32_t count)
{
    fprintf(out,
            "set title 'Throughput: median, least, most'\n"
            "set ylabel '%s a second'\nset format y '%%.0s%%c'\n"
            "plot \\\n",
            kind->events);
    write_curves(out, kind, results, count, is_measured, "1:2:3:4",
                 "yerrorlines pointtype 7 pointsize 0.4");
    fprintf(out, "     1/0 notitle\n");
}

static void write_latencies(FILE *out, const struct bench_kind *kind,
                            const struct bench_result *results, uint32_t count)
{
    fprintf(out, "unset key\n"
                 "set title 'Latency, colours as above: median, 99 %% (dashed), 99.9 %% (dotted)'\n"
                 "set ylabel 'microseconds'\nset format y '%%g'\n"
                 "plot \\\n");
    write_curves(out, kind, results, count, is_timed, "1:5",
                 "linespoints pointtype 7 pointsize 0.4");
    write_curves(out, kind, results, count, is_timed, "1:6", "lines dashtype 2");
    write_curves(out, kind, results, count, is_timed, "1:7", "lines dashtype 3");
    fprintf(out, "     1/0 notitle\n");
}

static void write_script(FILE *out, const struct bench_kind *kind, const char *path,
                         const struct bench_result *results, uint32_t count)
{
    bool timed = is_timed(results, 0, count);

    fprintf(out,
            "set terminal svg size 1000,%u dynamic background 'white' font 'sans,12'\n"
            "set output '",
            (timed ? 900 : 450) + 10 * count_lines(kind, results, count));
    for (const char *c = path; *c; c++)
        fprintf(out, *c == '\'' ? "''" : "%c", *c);
    fprintf(out, "'\n");
    write_data(out, kind, results, count);
    fprintf(out,
            "set logscale x 2\nset logscale y\nset grid\n"
            "set xlabel '%s'\nset multiplot layout %u,1\n"
            "set key outside below maxcols 2\n",
            kind->x_label, timed ? 2 : 1);
    write_throughput(out, kind, results, count);
    if (timed)
        write_latencies(out, kind, results, count);
    fprintf(out, "unset multiplot\n");
}

/* gnuplot does not tell that a disk is full. */
static bool is_drawn(const char *path)
{
    char last[16] = "";
    FILE *file = fopen(path, "rb");
    bool drawn = file && fseek(file, -(long)(sizeof(last) - 1), SEEK_END) == 0 &&
                 fread(last, 1, sizeof(last) - 1, file) > 0 && strstr(last, "</svg>");

    if (file)
        fclose(file);
    return drawn;
}

int bench_plot(const struct bench_plan *plan, const struct bench_result *results, uint32_t count)
{
    const char *path = plan->options->bench.plot;
    FILE *out;
    int status;

    if (!is_measured(results, 0, count))
        return complain(STATUS_FAILED, "--plot: nothing was measured that could be drawn");
    out = os_pipe_open("gnuplot 2>" OS_NULL_DEVICE);
    if (!out)
        return complain_of_gnuplot();
    write_script(out, plan->kind, path, results, count);
    status = os_pipe_close(out);
    if (status == 127)
        return complain_of_gnuplot();
    if (status != 0 || !is_drawn(path))
        return complain(STATUS_ENVIRONMENT, "--plot %s: gnuplot could not draw it", path);
    return STATUS_DONE;
}
