/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "bench_rig.h"
#include "bench_wake.h"
#include "complain.h"

static void *on_alloc(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return os_alloc(bytes, align);
}

static void on_free(void *ctx, void *memory)
{
    (void)ctx;
    os_free(memory);
}

const struct xenpv_allocator bench_allocator = {.alloc = on_alloc, .free = on_free};

static void on_lock(void *ctx)
{
    os_mutex_lock(((struct bench_rig *)ctx)->mutex);
}

static void on_unlock(void *ctx)
{
    os_mutex_unlock(((struct bench_rig *)ctx)->mutex);
}

static void on_log(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line)
{
    (void)level;
    remark(((struct bench_rig *)ctx)->plan->options, "domain %u: %s", domid, line);
}

/* ------------------------------------------------------------------------------- the backend -- */

/* Where nobody sleeps there is none. */
static xenpv_handle doorbell(const struct bench_rig *rig)
{
    return rig->cell.event ? bench_peer_doorbell(rig->peer) : XENPV_NO_HANDLE;
}

static bool go_round(void *ctx)
{
    struct bench_rig *rig = ctx;

    return rig->backend.round(rig->backend.ctx, doorbell(rig));
}

#define NAP_MS 100u /* then it looks whether it is to stop */

void bench_pace_sleep(const struct bench_pace *pace, xenpv_handle bell, uint64_t deadline)
{
    if (bell == XENPV_NO_HANDLE || deadline <= pace->now)
        return;
    os_event_wait(bell, deadline - pace->now < NAP_MS ? (unsigned)(deadline - pace->now) : NAP_MS);
    os_event_clear(bell);
}

static void look(const struct bench_rig *rig, bool looking)
{
    if (rig->backend.look)
        rig->backend.look(rig->backend.ctx, looking);
}

/* ------------------------------------------------------------------------------ the frontend -- */

/* Steps for as long as the device is on its way. */
static enum bench_way travel(struct bench_rig *rig)
{
    const struct bench_front_ops *ops = rig->front.ops;
    enum bench_way way;

    do {
        way = ops->step(&rig->front, os_now());
        /* What has come on a new connection is for who wanted it. */
        if (way != BENCH_CONNECTED)
            ops->empty(&rig->front);
        os_event_set(bench_peer_doorbell(rig->peer));
        os_yield();
    } while (way == BENCH_ON_ITS_WAY);
    return way;
}

static int make_frontend(struct bench_rig *rig)
{
    char path[48];

    snprintf(path, sizeof(path), "device/%s/%u", rig->plan->kind->class_name, rig->device);
    return rig->plan->kind->make_front(rig->plan, &rig->cell,
                                       &(struct bench_place){.port = &rig->front_port,
                                                             .path = path,
                                                             .connect_ms = BENCH_WAIT_MS,
                                                             .close_ms = BENCH_WAIT_MS},
                                       &rig->front);
}

static int connect_frontend(struct bench_rig *rig)
{
    const struct bench_front *front = &rig->front;
    int error = front->ops->connect(front, os_now());
    enum bench_way way;

    if (error)
        return error;
    bench_peer_set(rig->peer, BENCH_JOB_BACKEND);
    way = travel(rig);
    look(rig, false);
    return way == BENCH_CONNECTED ? 0 : front->ops->detail(front)->error;
}

/* ----------------------------------------------------------------------------------- closing -- */

static void close_frontend(struct bench_rig *rig)
{
    if (!rig->front.device)
        return;
    look(rig, true);
    bench_peer_set(rig->peer, BENCH_JOB_BACKEND);
    rig->front.ops->close(&rig->front, os_now());
    travel(rig);
    bench_peer_set(rig->peer, BENCH_JOB_REST);
}

static void tear_down(struct bench_rig *rig)
{
    close_frontend(rig);
    if (rig->backend.ctx)
        rig->backend.end(rig->backend.ctx);
    xenpv_mock_destroy(rig->mock);
    bench_wake_end();
    os_free(rig->front.memory);
    os_mutex_free(rig->mutex);
    free(rig);
}

static void close_target(struct bench_target *target)
{
    tear_down(target->ctx);
}

/* ----------------------------------------------------------------------------------- opening -- */

static int make_machine(struct bench_rig *rig)
{
    struct xenpv_mock_config config = {.size = sizeof(config),
                                       .allocator = bench_allocator,
                                       .limits = {.grants = rig->plan->grants},
                                       .lock = on_lock,
                                       .unlock = on_unlock,
                                       .log = on_log,
                                       .ctx = rig};
    int error;

    rig->mutex = os_mutex_new();
    error = rig->mutex ? xenpv_mock_create(&config, &rig->mock) : XENPV_ENOMEM;
    if (error == 0)
        error = xenpv_mock_add_domain(rig->mock, BENCH_GUEST);
    if (error == 0)
        error = xenpv_mock_port(rig->mock, BENCH_GUEST, &rig->front_port);
    if (error == 0)
        error = xenpv_mock_port(rig->mock, BENCH_DRIVER, &rig->back_port);
    if (error == 0)
        bench_wake_begin(&rig->front_port, &rig->back_port, doorbell(rig));
    return error;
}

/* Of 32,768 references that a guest of Xen has by default, eight are not to be had. */
#define GRANTS_DEFAULT 32768u
#define GRANTS_KEPT    8u

static void explain(const struct bench_rig *rig, int error, char note[BENCH_NOTE_MAX])
{
    const struct bench_front *front = &rig->front;
    uint32_t needed = front->grants + GRANTS_KEPT;
    const char *step = front->device ? front->ops->detail(front)->step : NULL;

    if (error == XENPV_ENOGRANT)
        snprintf(note, BENCH_NOTE_MAX,
                 "needs %u grants, the mock's guest has %u, %s; raise it with: --grants %u", needed,
                 rig->plan->grants ? rig->plan->grants : GRANTS_DEFAULT,
                 rig->plan->grants ? "as --grants says" : "as Xen has by default", needed);
    else
        snprintf(note, BENCH_NOTE_MAX, "%s%s%s", step ? step : "", step ? ": " : "",
                 xenpv_error_text(error));
}

bool bench_mock_open(const struct bench_plan *plan, const struct bench_cell *cell,
                     struct bench_peer *peer, struct bench_target *target,
                     char note[BENCH_NOTE_MAX])
{
    struct bench_rig *rig = calloc(1, sizeof(*rig));
    int error;

    if (!rig) {
        snprintf(note, BENCH_NOTE_MAX, "out of memory");
        return false;
    }
    *rig = (struct bench_rig){.plan = plan, .cell = *cell, .peer = peer};
    error = make_machine(rig);
    if (error == 0)
        error = plan->kind->make_backend(rig);
    if (error == 0) {
        bench_peer_give(peer, BENCH_JOB_BACKEND, go_round, rig);
        error = make_frontend(rig);
    }
    if (error == 0)
        error = connect_frontend(rig);
    if (error) {
        explain(rig, error, note);
        tear_down(rig);
        return false;
    }
    *target = (struct bench_target){.front = &rig->front,
                                    .peer = peer,
                                    .silence_ms = BENCH_WAIT_MS,
                                    .ctx = rig,
                                    .close = close_target};
    plan->kind->describe(&rig->front, target);
    bench_peer_set(peer, BENCH_JOB_REST);
    return true;
}
