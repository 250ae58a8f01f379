/* SPDX-License-Identifier: MIT */
/* A disk of the machine that the user named, with a frontend as large as the cell needs it. */
#include <stdlib.h>

#include "bench.h"
#include "complain.h"

#define CLOSE_MS 5000u
#define TICK_MS  20u

struct site {
    struct machine *machine;
    void *memory;
    struct xenpv_blk *blk;
    uint32_t queues;    /* of its configuration */
    uint64_t last_tick; /* ns */
};

/* -------------------------------------------------------------------------------- on the way -- */

static void poll_all(struct site *site)
{
    struct xenpv_completion unwanted[16];

    for (uint32_t i = 0; i < site->queues; i++)
        while (xenpv_blkq_poll(xenpv_blk_queue(site->blk, i), unwanted, 16) > 0)
            ;
}

static bool is_on_the_way(enum xenpv_blk_state state)
{
    return state == XENPV_BLK_CONNECTING || state == XENPV_BLK_RECOVERING ||
           state == XENPV_BLK_CLOSING;
}

/* Waits for what control waits for; queues that drain have nothing left in them. */
static void travel(struct site *site)
{
    bool stopping = false;

    while (is_on_the_way(xenpv_blk_step(site->blk, machine_now(site->machine)))) {
        poll_all(site);
        if (os_stop_signal() && !stopping) {
            xenpv_blk_close(site->blk, machine_now(site->machine));
            stopping = true;
        }
        machine_wait(site->machine, NULL, 0, xenpv_blk_deadline(site->blk));
    }
    poll_all(site);
}

/* -------------------------------------------------------------------------- what a run calls -- */

/* The mock's backends run when the machine waits, in this thread. What they have done is looked at
 * first: behind a connection that is lost, nobody would end the wait. */
static void idle(struct bench_target *target)
{
    struct site *site = target->ctx;

    if (xenpv_blk_step(site->blk, machine_now(site->machine)) == XENPV_BLK_CONNECTED)
        machine_wait(site->machine, NULL, 0, xenpv_blk_deadline(site->blk));
    else
        site->last_tick = 0;
}

static bool tick(struct bench_target *target)
{
    struct site *site = target->ctx;
    uint64_t now = os_now_ns();

    if (now - site->last_tick < TICK_MS * UINT64_C(1000000))
        return true;
    site->last_tick = now;
    return xenpv_blk_step(site->blk, machine_now(site->machine)) == XENPV_BLK_CONNECTED;
}

static void close_site(struct bench_target *target)
{
    struct site *site = target->ctx;

    if (site->blk) {
        xenpv_blk_close(site->blk, machine_now(site->machine));
        travel(site);
    }
    os_free(site->memory);
    free(site);
}

/* ----------------------------------------------------------------------------------- opening -- */

static void configure(const struct bench_plan *plan, const struct bench_cell *cell,
                      struct site *site, struct xenpv_blk_config *config)
{
    const struct options *options = plan->options;
    uint32_t timeout = options->timeout_ms;

    xenpv_blk_config_init(config, &site->machine->port, plan->device->path);
    bench_configure(options, cell, config);
    config->connect_ms = timeout;
    config->close_ms = timeout != 0 && timeout < CLOSE_MS ? timeout : CLOSE_MS;
    config->recover_ms = 0; /* a run with a hole in it is no measurement */
    site->queues = config->queues;
}

static int connect_device(struct site *site, const struct xenpv_blk_config *config)
{
    int error;

    site->memory = os_alloc(xenpv_blk_size(config), 16);
    if (!site->memory)
        return XENPV_ENOMEM;
    error = xenpv_blk_init(site->memory, config, &site->blk);
    if (error == 0)
        error = xenpv_blk_connect(site->blk, machine_now(site->machine));
    if (error)
        return error;
    travel(site);
    if (xenpv_blk_state(site->blk) == XENPV_BLK_CONNECTED)
        return 0;
    error = xenpv_blk_detail(site->blk)->error;
    return error ? error : XENPV_EPARKED;
}

static void explain(struct site *site, const struct xenpv_blk_config *config, int error,
                    char note[BENCH_NOTE_MAX])
{
    bool mock = site->machine->options->port == PORT_MOCK;
    const struct xenpv_detail *detail = site->blk ? xenpv_blk_detail(site->blk) : NULL;
    const char *step = detail ? detail->step : NULL;
    char raise[96];
    uint32_t limit = machine_grant_limit(site->machine, raise, sizeof(raise));

    if (error == XENPV_ENOGRANT && limit)
        snprintf(note, BENCH_NOTE_MAX,
                 "needs %u grants, all programs together may have %u; raise it with: %s",
                 bench_grants(config), limit, raise);
    else if (error == XENPV_ENOGRANT && mock)
        snprintf(note, BENCH_NOTE_MAX, "needs %u grants, more than the mock's guest has",
                 bench_grants(config));
    else if (error == XENPV_ENOGRANT)
        snprintf(note, BENCH_NOTE_MAX,
                 "needs %u grants, which are not to be had; gnttab_max_frames= on Xen's command "
                 "line, or max_grant_frames= in the guest's configuration, raises the limit",
                 bench_grants(config));
    else if (error == XENPV_ENOENT && detail && detail->key[0])
        snprintf(note, BENCH_NOTE_MAX,
                 "there is no such device (%s is missing); 'xenpv list' shows those there are",
                 detail->key);
    else
        snprintf(note, BENCH_NOTE_MAX, "%s%s%s", step ? step : "", step ? ": " : "",
                 xenpv_error_text(error));
}

bool bench_device_open(const struct bench_plan *plan, struct machine *machine,
                       const struct bench_cell *cell, struct bench_target *target,
                       char note[BENCH_NOTE_MAX])
{
    struct site *site = calloc(1, sizeof(*site));
    bool waits = (machine->port.caps & XENPV_CAP_WAIT) != 0;
    struct xenpv_blk_config config;
    struct xenpv_blk_info info;
    int error;

    if (!site) {
        snprintf(note, BENCH_NOTE_MAX, "out of memory");
        return false;
    }
    site->machine = machine;
    *target = (struct bench_target){.ctx = site, .close = close_site, .tick = tick};
    if (!waits && cell->event) {
        snprintf(note, BENCH_NOTE_MAX, "there are no events to sleep for in this mock");
        free(site);
        return false;
    }
    configure(plan, cell, site, &config);
    error = connect_device(site, &config);
    if (error) {
        explain(site, &config, error, note);
        close_site(target);
        return false;
    }
    xenpv_blk_info(site->blk, &info);
    target->blk = site->blk;
    target->queues = info.queues;
    target->bytes = info.bytes;
    target->readonly = info.readonly;
    target->one_thread = !waits;
    target->idle = waits ? NULL : idle;
    target->silence_ms = plan->options->timeout_ms;
    return true;
}
