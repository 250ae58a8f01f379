/* SPDX-License-Identifier: MIT */
/* xenpv bench: how fast a frontend is, and what it costs beyond the ring itself. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "complain.h"
#include "progress.h"

/* The median of what lies between two looks at the clock that follow each other at once. */
static uint64_t clock_cost(void)
{
    double differences[1001];

    for (uint32_t i = 0; i < 1001; i++) {
        uint64_t first = os_now_ns();

        differences[i] = (double)(os_now_ns() - first);
    }
    return (uint64_t)bench_spread_of(differences, 1001).median;
}

static uint32_t run_cells(const struct bench_plan *plan, struct machine *machine,
                          struct bench_peer *peer, struct bench_result *results)
{
    uint32_t i;

    progress_begin(plan->count);
    for (i = 0; i < plan->count && !os_stop_signal(); i++) {
        if (plan->options->json)
            progress_count("cells", i);
        results[i].cell = plan->cells[i];
        bench_run_cell(plan, machine, peer, &results[i]);
        if (!plan->options->json)
            bench_print_row(plan, &results[i]);
        else
            remark(plan->options, "%u of %u cells", i + 1, plan->count);
    }
    progress_clear();
    return i;
}

/* Cells that were not measured say so themselves; but when there is nothing else, it failed. */
static int judge(const struct bench_plan *plan, const struct bench_result *results, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!results[i].note[0])
            return STATUS_DONE;
    if (os_stop_signal() || count == 0)
        return STATUS_FAILED;
    return complain(STATUS_FAILED, "%s: nothing could be measured: %s",
                    plan->device ? plan->device->name : "the mock", results[0].note);
}

static int measure(struct bench_plan *plan, struct machine *machine, struct bench_peer *peer,
                   struct bench_result *results)
{
    const struct options *options = plan->options;
    uint32_t count;
    int status;

    plan->clock_cost = clock_cost();
    if (!options->json)
        bench_print_head(plan);
    count = run_cells(plan, machine, peer, results);
    if (options->json)
        bench_print_json(plan, results, count);
    else
        bench_print_foot(plan, results, count);
    status = judge(plan, results, count);
    if (status == STATUS_DONE && options->bench.plot)
        status = bench_plot(plan, results, count);
    return status;
}

static int run_plan(struct bench_plan *plan)
{
    struct bench_result *results = calloc(plan->count, sizeof(*results));
    struct bench_peer *peer = bench_peer_start();
    struct machine *machine = NULL;
    int status = STATUS_DONE;

    if (!results || !peer)
        status = complain(STATUS_ENVIRONMENT, "out of memory or threads");
    if (status == STATUS_DONE && plan->device)
        status = machine_open(plan->options, MACHINE_DEVICES, &machine);
    if (machine && status == STATUS_DONE)
        status = plan->kind->find(machine, plan->device);
    if (machine && status == STATUS_DONE)
        status = machine_claim(machine, plan->kind->class_name, plan->device->id);
    if (status == STATUS_DONE)
        status = measure(plan, machine, peer, results);
    if (machine)
        status = machine_close(machine, status);
    bench_peer_end(peer);
    free(results);
    return status;
}

static int run(const struct bench_kind *kind, const struct options *options, int count,
               char **arguments)
{
    struct bench_plan plan;
    struct device device;
    int status = STATUS_DONE;

    if (count && !kind->parse(arguments[0], &device))
        return STATUS_USAGE;
    if (!bench_plan_make(options, kind, count ? &device : NULL, &plan))
        return STATUS_USAGE;
    if (options->bench.plot)
        status = bench_plot_check(options->bench.plot);
    if (status == STATUS_DONE)
        status = run_plan(&plan);
    free(plan.cells);
    return status;
}

static int run_blk(const struct options *options, int count, char **arguments)
{
    return run(&bench_blk, options, count, arguments);
}

static int run_net(const struct options *options, int count, char **arguments)
{
    return run(&bench_net, options, count, arguments);
}

const struct command bench_commands[] = {
    {.name = "bench blk",
     .arguments = "[DISK]",
     .summary = "measure the block frontend",
     .help =
         "Keeps operations in flight and counts them: on a disk, or, without one, on a mock whose\n"
         "backend has a core to itself. Each cell runs beside a bare ring without data or checks.\n"
         "  --depth LIST     operations in flight in a queue (1,4,32,128)\n"
         "  --size LIST      bytes of each (4K); K, M behind a number: powers of 1024\n"
         "  --queues N       1, 2, 4 ... N queues (1)\n"
         "  --segments N     requests of 1 to 4096 pages (256)\n"
         "  --mode LIST      polled, event (both): looking all the time, or sleeping for events\n"
         "  --op LIST        randread, read, write (randread)\n"
         "  --buffer LIST    shared, bounce (both): data in the device's own pages, or copied\n"
         "  --disk LIST      of the mock: null, empty, memory (null,memory): answered at once and\n"
         "                   unread; by our own backend, without data; and with data\n"
         "  --repeats N      5 or more, of which medians are told (5)\n"
         "  --time MS        of a repeat (50)\n"
         "  --quick, --full  repeats of 15 ms; all sizes, disks, 4 queues: many minutes\n"
         "  --grants N       grants that the mock's guest may give (32768)\n"
         "  --plot FILE.svg  draw it too, through gnuplot\n"
         "  --write          with --op write: the disk may be written to; that destroys what is\n"
         "                   on it\n"
         "  --take-over      take the disk from the kernel driver or process that holds it\n",
     .options = OPTION_BENCH | OPTION_BENCH_BLK | OPTION_QUEUES | OPTION_SEGMENTS | OPTION_UNITS |
                OPTION_WITHOUT | OPTION_TAKE_OVER,
     .least = 0,
     .most = 1,
     .run = run_blk},
    {.name = "bench net",
     .arguments = "[VIF]",
     .summary = "measure the network frontend",
     .help =
         "Sends frames, or takes those that come, and counts them: on a network card, or, without\n"
         "one, on a mock whose backend has a core to itself. Each cell runs beside a bare ring\n"
         "without data or checks. On a card, frames are sent to its backend's own address, and of\n"
         "those that come those of the cell's size and kind are counted.\n"
         "  --size LIST        bytes of a frame, 64 to 64K (64,512,1514,4K,16K,64K; 64K counts as\n"
         "                     65535, the most there can be); K behind a number: 1024\n"
         "  --direction LIST   tx, rx (both): sent to the backend, or received from it\n"
         "  --gso LIST         off, on (both): whole frames, or large TCP packets that are to be\n"
         "                     cut into segments\n"
         "  --mode LIST        polled, event (both): looking all the time, or sleeping for events\n"
         "  --link LIST        behind the mock's backend: null, memory (null): no bytes are "
         "moved;\n"
         "                     each byte is read from the frontend, or written to it\n"
         "  --depth LIST       frames in flight in a queue, 1 to 256 (256)\n"
         "  --queues N         1, 2, 4 ... N queues (1)\n"
         "  --repeats N        5 or more, of which medians are told (5)\n"
         "  --time MS          of a repeat (50)\n"
         "  --quick, --full    repeats of 15 ms; both links, 4 queues: minutes\n"
         "  --grants N         grants that the mock's guest may give (32768)\n"
         "  --plot FILE.svg    draw it too, through gnuplot\n"
         "  --take-over        take the card from the kernel driver or process that holds it\n",
     .options =
         OPTION_BENCH | OPTION_BENCH_NET | OPTION_QUEUES | OPTION_NET_WITHOUT | OPTION_TAKE_OVER,
     .least = 0,
     .most = 1,
     .run = run_net},
    {.name = NULL},
};
