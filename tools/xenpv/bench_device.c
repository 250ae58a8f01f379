/* SPDX-License-Identifier: MIT */
/* A device of the machine that the user named, with a frontend as large as the cell needs it. */
#include <stdlib.h>

#include "bench.h"
#include "complain.h"

#define CLOSE_MS 5000u
#define TICK_MS  20u

struct site {
    struct machine *machine;
    struct bench_front front;
    uint64_t last_tick; /* ns */
};

/* Waits for what control waits for; queues that drain have nothing left in them. */
static enum bench_way travel(struct site *site)
{
    const struct bench_front *front = &site->front;
    bool stopping = false;
    enum bench_way way;

    while ((way = front->ops->step(front, machine_now(site->machine))) == BENCH_ON_ITS_WAY) {
        front->ops->empty(front);
        if (os_stop_signal() && !stopping) {
            front->ops->close(front, machine_now(site->machine));
            stopping = true;
        }
        machine_wait(site->machine, NULL, 0, front->ops->deadline(front));
    }
    if (way == BENCH_ENDED)
        front->ops->empty(front);
    return way;
}

/* -------------------------------------------------------------------------- what a run calls -- */

static bool is_connected(const struct site *site)
{
    return site->front.ops->step(&site->front, machine_now(site->machine)) == BENCH_CONNECTED;
}

/* The mock's backends run when the machine waits, in this thread. What they have done is looked at
 * first: behind a connection that is lost, nobody would end the wait. */
static void idle(struct bench_target *target)
{
    struct site *site = target->ctx;
    uint64_t soon = machine_now(site->machine) + TICK_MS, deadline;

    deadline = site->front.ops->deadline(&site->front);
    if (is_connected(site))
        machine_wait(site->machine, NULL, 0, deadline < soon ? deadline : soon);
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
    return is_connected(site);
}

static void close_site(struct bench_target *target)
{
    struct site *site = target->ctx;

    if (site->front.device) {
        site->front.ops->close(&site->front, machine_now(site->machine));
        travel(site);
    }
    os_free(site->front.memory);
    free(site);
}

/* ----------------------------------------------------------------------------------- opening -- */

static int connect_device(const struct bench_plan *plan, const struct bench_cell *cell,
                          struct site *site)
{
    uint32_t timeout = plan->options->timeout_ms;
    const struct bench_place place = {.port = &site->machine->port,
                                      .path = plan->device->path,
                                      .connect_ms = timeout,
                                      .close_ms =
                                          timeout != 0 && timeout < CLOSE_MS ? timeout : CLOSE_MS};
    const struct bench_front *front = &site->front;
    int error = plan->kind->make_front(plan, cell, &place, &site->front);

    if (error == 0)
        error = front->ops->connect(front, machine_now(site->machine));
    if (error)
        return error;
    if (travel(site) == BENCH_CONNECTED)
        return 0;
    error = front->ops->detail(front)->error;
    return error ? error : XENPV_EPARKED;
}

static void explain(struct site *site, int error, char note[BENCH_NOTE_MAX])
{
    const struct bench_front *front = &site->front;
    bool mock = site->machine->options->port == PORT_MOCK;
    const struct xenpv_detail *detail = front->device ? front->ops->detail(front) : NULL;
    const char *step = detail ? detail->step : NULL;
    char raise[96];
    uint32_t limit = machine_grant_limit(site->machine, raise, sizeof(raise));

    if (error == XENPV_ENOGRANT && limit)
        snprintf(note, BENCH_NOTE_MAX,
                 "needs %u grants, all programs together may have %u; raise it with: %s",
                 front->grants, limit, raise);
    else if (error == XENPV_ENOGRANT && mock)
        snprintf(note, BENCH_NOTE_MAX, "needs %u grants, more than the mock's guest has",
                 front->grants);
    else if (error == XENPV_ENOGRANT)
        snprintf(note, BENCH_NOTE_MAX,
                 "needs %u grants, which are not to be had; gnttab_max_frames= on Xen's command "
                 "line, or max_grant_frames= in the guest's configuration, raises the limit",
                 front->grants);
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
    error = connect_device(plan, cell, site);
    if (error) {
        explain(site, error, note);
        close_site(target);
        return false;
    }
    target->front = &site->front;
    plan->kind->describe(&site->front, target);
    target->one_thread = !waits;
    target->idle = waits ? NULL : idle;
    target->silence_ms = plan->options->timeout_ms;
    return true;
}
