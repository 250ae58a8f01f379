/* SPDX-License-Identifier: MIT */
#include "bus_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define VDEV 51712

/* ---- the frontend ---------------------------------------------------------------------------- */

static const struct xenpv_key front_offer[] = {
    {"multi-queue-max-queues", XENPV_KEY_NUMBER, false, 1, 1, UINT32_MAX},
};
static const struct xenpv_key front_answer[] = {
    {"sectors", XENPV_KEY_NUMBER, true, 0, 0, UINT64_MAX},
};

static void front_clean(void *owner)
{
    struct bus_front *front = owner;

    xenpv_bus_remove(&front->bus, "ring-ref");
    xenpv_bus_remove(&front->bus, "event-channel");
}

static int front_publish(void *owner)
{
    struct bus_front *front = owner;
    const struct xenpv_port *port = &front->port;
    uint16_t peer = front->bus.peer_domid;
    int error;

    assert_false(front->published);
    assert_int_not_equal(front->queue, QUEUE_RUNS);
    front->published = true;
    front->halted = false;
    front->published_times++;
    front->region = (struct xenpv_grant_region){.pages = 1, .refs = &front->ref};
    error = port->grant->share(port->ctx, peer, &front->region);
    if (error) {
        front->region.pages = 0;
        return error;
    }
    error = port->event->alloc_unbound(port->ctx, peer, &front->channel);
    if (error)
        return error;
    front->has_channel = true;
    error = xenpv_bus_put_number(&front->bus, "ring-ref", front->ref);
    return error ? error : xenpv_bus_put_number(&front->bus, "event-channel", front->channel);
}

static int front_connect(void *owner)
{
    struct bus_front *front = owner;

    assert_true(front->published);
    assert_int_not_equal(front->queue, QUEUE_RUNS);
    front->queue = QUEUE_RUNS;
    front->asked = 0;
    front->connected_times++;
    return XENPV_OK;
}

static int front_changed(void *owner)
{
    (void)owner;
    return XENPV_OK;
}

static bool front_quiesce(void *owner, enum xenpv_quiesce how)
{
    static const enum bus_rig_queue stopped[] = {[XENPV_QUIESCE_HOLD] = QUEUE_HELD,
                                                 [XENPV_QUIESCE_DRAIN] = QUEUE_STOPPED,
                                                 [XENPV_QUIESCE_HALT] = QUEUE_STOPPED};
    struct bus_front *front = owner;

    assert_true(!front->halted || how == XENPV_QUIESCE_HALT);
    front->halted |= how == XENPV_QUIESCE_HALT;
    if (front->queue == QUEUE_NEW || front->queue == QUEUE_STOPPED)
        return true;
    if (front->queue == QUEUE_HELD && how == XENPV_QUIESCE_HOLD)
        return true;
    /* What is held has nobody to answer it. */
    assert_false(front->queue == QUEUE_HELD && how == XENPV_QUIESCE_DRAIN);
    if (front->asked++ < front->slow)
        return false;
    front->asked = 0;
    front->queue = stopped[how];
    front->how[how]++;
    return true;
}

static void front_taken_back(struct bus_front *front)
{
    assert_true(front->published || front->kept);
    assert_int_not_equal(front->queue, QUEUE_RUNS);
    front->taken_back += front->published;
    front->published = front->has_channel = false;
    front->region.pages = 0;
    front->kept = front->bus.recovering;
}

static int front_release(void *owner)
{
    struct bus_front *front = owner;
    const struct xenpv_port *port = &front->port;

    assert_true(front->published || front->kept);
    if (front->region.pages && port->grant->end(port->ctx, &front->region) == XENPV_EBUSY)
        return XENPV_EBUSY;
    if (front->has_channel)
        port->event->close(port->ctx, front->channel);
    front_taken_back(front);
    return XENPV_OK;
}

static void front_abandon(void *owner, bool suspended)
{
    struct bus_front *front = owner;
    const struct xenpv_port *port = &front->port;

    if (suspended) {
        if (front->region.pages)
            port->grant->forget(port->ctx, &front->region);
        if (front->has_channel)
            port->event->forget(port->ctx, front->channel);
    } else {
        assert_in_range(front->abandoned, 0, BUS_RIG_LEFT - 1);
        front->left[front->abandoned].region = front->region;
        front->left[front->abandoned].ref = front->ref;
        front->left[front->abandoned].generation = front->bus.generation;
        front->abandoned++;
        if (front->has_channel)
            port->event->close(port->ctx, front->channel);
    }
    front_taken_back(front);
}

static const struct xenpv_bus_driver front_driver = {
    .role = XENPV_FRONTEND,
    .published_state = XENPV_STATE_INITIALISED,
    .ask = {[XENPV_ASK_OFFER] = {front_offer, 1}, [XENPV_ASK_ANSWER] = {front_answer, 1}},
    .clean = front_clean,
    .publish = front_publish,
    .connect = front_connect,
    .changed = front_changed,
    .quiesce = front_quiesce,
    .release = front_release,
    .abandon = front_abandon,
};

/* ---- the backend ----------------------------------------------------------------------------- */

static const struct xenpv_key back_answer[] = {
    {"ring-ref", XENPV_KEY_NUMBER, true, 0, 0, UINT32_MAX},
    {"event-channel", XENPV_KEY_NUMBER, true, 0, 1, UINT32_MAX},
};

static void back_clean(void *owner)
{
    struct bus_back *back = owner;

    xenpv_bus_remove(&back->bus, "sectors");
}

static int back_publish(void *owner)
{
    (void)owner;
    return XENPV_OK;
}

static int back_connect(void *owner)
{
    struct bus_back *back = owner;
    const struct xenpv_port *port = &back->port;
    uint32_t channel = (uint32_t)back->answer[1].number;
    int error;

    back->entry.ref = (uint32_t)back->answer[0].number;
    back->map = (struct xenpv_map_region){
        .entries = &back->entry, .count = 1, .domid = back->bus.peer_domid};
    error = port->map->map(port->ctx, &back->map);
    if (error)
        return error;
    error = port->event->bind_interdomain(port->ctx, 1, channel, &back->channel);
    if (error) {
        port->map->unmap(port->ctx, &back->map);
        return error;
    }
    back->attached = true;
    return xenpv_bus_put_number(&back->bus, "sectors", 2048);
}

static void detach(struct bus_back *back)
{
    if (!back->attached)
        return;
    back->attached = false;
    back->port.event->close(back->port.ctx, back->channel);
    back->port.map->unmap(back->port.ctx, &back->map);
}

static bool back_quiesce(void *owner, enum xenpv_quiesce how)
{
    (void)how;
    detach(owner);
    return true;
}

static int back_release(void *owner)
{
    detach(owner);
    return XENPV_OK;
}

static void back_abandon(void *owner, bool suspended)
{
    (void)suspended;
    detach(owner);
}

static const struct xenpv_bus_driver back_driver = {
    .role = XENPV_BACKEND,
    .published_state = XENPV_STATE_INIT_WAIT,
    .ask = {[XENPV_ASK_ANSWER] = {back_answer, 2}},
    .clean = back_clean,
    .publish = back_publish,
    .connect = back_connect,
    .quiesce = back_quiesce,
    .release = back_release,
    .abandon = back_abandon,
};

void bus_rig_start_back(struct bus_rig *rig)
{
    struct bus_back *back = &rig->back;

    assert_false(back->lives);
    assert_int_equal(xenpv_mock_port(rig->mock, back->domid, &back->port), XENPV_OK);
    assert_int_equal(
        xenpv_bus_init(&back->bus, &(struct xenpv_bus_config){.port = &back->port,
                                                              .driver = &back->driver,
                                                              .owner = back,
                                                              .path = back->path,
                                                              .values = {NULL, NULL, back->answer},
                                                              .close_ms = 5000,
                                                              .ops = back->ops,
                                                              .rows = back->rows,
                                                              .room = 4}),
        XENPV_OK);
    assert_int_equal(xenpv_bus_start(&back->bus, XENPV_GOAL_CONNECT, bus_rig_now(rig)), XENPV_OK);
    back->lives = true;
}

void bus_rig_kill_back(struct bus_rig *rig)
{
    if (!rig->back.lives)
        return;
    detach(&rig->back);
    xenpv_bus_drop(&rig->back.bus);
    rig->back.lives = false;
}

/* ---- the toolstack --------------------------------------------------------------------------- */

uint16_t bus_rig_add_domain(struct bus_rig *rig)
{
    assert_int_equal(xenpv_mock_add_domain(rig->mock, ++rig->domains), XENPV_OK);
    return rig->domains;
}

void bus_rig_make(struct bus_rig *rig, uint16_t domid)
{
    struct xenpv_mock_vbd vbd = {.frontend = 1, .backend = domid, .vdev = VDEV, .params = "none"};

    rig->back.domid = domid;
    snprintf(rig->back.path, sizeof(rig->back.path), "/local/domain/%u/backend/vbd/1/%u", domid,
             VDEV);
    assert_int_equal(xenpv_mock_add_vbd(rig->mock, &vbd), XENPV_OK);
}

void bus_rig_remove(struct bus_rig *rig)
{
    struct xenpv_mock_vbd vbd = {.frontend = 1, .backend = rig->back.domid, .vdev = VDEV};

    assert_int_equal(xenpv_mock_remove_vbd(rig->mock, &vbd), XENPV_OK);
}

static void node(char *to, size_t bytes, const char *dir, const char *key)
{
    snprintf(to, bytes, "%s/%s", dir, key);
}

void bus_rig_set(struct bus_rig *rig, const char *dir, const char *key, const char *value)
{
    char path[300];

    node(path, sizeof(path), dir, key);
    assert_int_equal(value ? xenpv_mock_write(rig->mock, path, value)
                           : xenpv_mock_rm(rig->mock, path),
                     XENPV_OK);
}

int bus_rig_get(struct bus_rig *rig, const char *dir, const char *key)
{
    char path[300], value[32];

    node(path, sizeof(path), dir, key);
    return xenpv_mock_read(rig->mock, path, value, sizeof(value)) ? -1 : atoi(value);
}

void bus_rig_allow(struct bus_rig *rig, const char *path, uint8_t allowed)
{
    struct xenpv_mock_perms perms = {.owner = rig->back.domid, .domid = 1, .allowed = allowed};

    assert_int_equal(xenpv_mock_set_perms(rig->mock, path, &perms), XENPV_OK);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static void suspend(struct bus_rig *rig)
{
    assert_int_equal(xenpv_mock_suspend(rig->mock, 1), XENPV_OK);
    rig->suspends++;
    if (rig->suspended)
        rig->suspended(rig);
}

/* The frontend asks for the generation once each turn: that is where it finds itself suspended. */
static void at_call(void *ctx, const char *call)
{
    struct bus_rig *rig = ctx;

    if (strcmp(call, "generation") != 0)
        return;
    rig->turns++;
    for (size_t i = 0; i < 2; i++) {
        if (rig->suspend_at[i] == rig->turns)
            suspend(rig);
    }
}

static void front_up(struct bus_rig *rig)
{
    struct bus_front *front = &rig->front;

    assert_int_equal(xenpv_mock_port(rig->mock, 1, &front->port), XENPV_OK);
    faulty_wrap(&front->faulty, &front->port);
    front->faulty.before = at_call;
    front->faulty.before_ctx = rig;
    front->driver = front_driver;
    front->config = (struct xenpv_bus_config){.port = &front->port,
                                              .driver = &front->driver,
                                              .owner = front,
                                              .path = BUS_RIG_FRONT,
                                              .values = {NULL, front->offer, front->answer},
                                              .connect_ms = BUS_RIG_CONNECT_MS,
                                              .close_ms = BUS_RIG_CLOSE_MS,
                                              .recover_ms = BUS_RIG_RECOVER_MS,
                                              .ops = front->ops,
                                              .rows = front->rows,
                                              .room = BUS_RIG_ROOM};
    assert_int_equal(xenpv_bus_init(&front->bus, &front->config), XENPV_OK);
}

void bus_rig_up(struct bus_rig *rig)
{
    struct xenpv_mock_config config = {.size = sizeof(config)};

    *rig = (struct bus_rig){0};
    rig->allocator = strict_allocator(&rig->heap);
    config.allocator = rig->allocator;
    config.limits.store_nodes = 4000;
    config.limits.store_transaction_nodes = 4000;
    config.log = strict_log;
    assert_int_equal(xenpv_mock_create(&config, &rig->mock), XENPV_OK);
    bus_rig_add_domain(rig);
    bus_rig_make(rig, bus_rig_add_domain(rig));
    front_up(rig);
    rig->back.driver = back_driver;
    bus_rig_start_back(rig);
}

static void assert_held(struct bus_rig *rig, uint16_t domid)
{
    struct xenpv_mock_ledger ledger, nothing = {0};

    assert_int_equal(xenpv_mock_ledger(rig->mock, domid, &ledger), XENPV_OK);
    assert_memory_equal(&ledger, &nothing, sizeof(ledger));
}

/* The peer is gone, and so what was abandoned can be ended now, or forgotten. */
static void end_what_is_left(struct bus_front *front)
{
    const struct xenpv_port *port = &front->port;
    uint32_t generation = port->sys->generation(port->ctx);

    for (uint32_t i = 0; i < front->abandoned; i++) {
        struct xenpv_grant_region *region = &front->left[i].region;

        region->refs = &front->left[i].ref;
        if (front->left[i].generation != generation)
            port->grant->forget(port->ctx, region);
        else
            assert_int_equal(port->grant->end(port->ctx, region), XENPV_OK);
    }
}

void bus_rig_down(struct bus_rig *rig)
{
    struct bus_front *front = &rig->front;

    assert_true(bus_rig_done(rig));
    assert_true(front->queue == QUEUE_NEW || front->queue == QUEUE_STOPPED);
    assert_false(front->bus.recovering);
    assert_false(front->published);
    assert_int_equal(front->published_times, front->taken_back);
    assert_true(xenpv_bus_deadline(&front->bus) == UINT64_MAX);
    bus_rig_kill_back(rig);
    end_what_is_left(front);
    assert_held(rig, 1);
    assert_held(rig, rig->back.domid);
    xenpv_mock_destroy(rig->mock);
    assert_int_equal(rig->heap.blocks, 0);
}

/* ---- time ------------------------------------------------------------------------------------ */

uint64_t bus_rig_now(const struct bus_rig *rig)
{
    return xenpv_mock_now(rig->mock);
}

static void step(struct bus_rig *rig)
{
    struct bus_back *back = &rig->back;
    uint64_t now = bus_rig_now(rig);

    if (rig->world && now >= rig->due)
        rig->world(rig);
    if (++rig->steps == rig->suspend_before)
        suspend(rig);
    if (rig->steps == rig->close_at)
        xenpv_bus_start(&rig->front.bus, XENPV_GOAL_CLOSE, now);
    xenpv_bus_step(&rig->front.bus, now);
    if (!back->lives)
        return;
    xenpv_bus_step(&back->bus, now);
    if (back->returns && back->bus.phase == XENPV_BUS_DONE)
        assert_int_equal(xenpv_bus_start(&back->bus, XENPV_GOAL_CONNECT, now), XENPV_OK);
}

void bus_rig_settle(struct bus_rig *rig)
{
    for (int i = 0; i < 6; i++)
        step(rig);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What of both ends tells that they have moved. */
static uint32_t seen(const struct bus_rig *rig)
{
    const struct xenpv_bus *front = &rig->front.bus, *back = &rig->back.bus;

    return (uint32_t)front->phase | (uint32_t)back->phase << 4 | (uint32_t)front->job << 8 |
           (uint32_t)back->job << 12 | front->own_state << 16 | front->peer_state << 20 |
           back->own_state << 24 | back->peer_state << 28;
}

bool bus_rig_run(struct bus_rig *rig, uint64_t ms, bool (*until)(const struct bus_rig *rig))
{
    uint64_t end = bus_rig_now(rig) + ms;

    for (;;) {
        uint64_t now = bus_rig_now(rig), next = end;

        for (int i = 0, still = 0; i < 100 && still < 2; i++) {
            uint32_t before = seen(rig);

            if (until && until(rig))
                return true;
            step(rig);
            still = seen(rig) == before ? still + 1 : 0;
        }
        if (now >= end)
            return until && until(rig);
        next = least(next, xenpv_bus_deadline(&rig->front.bus));
        if (rig->back.lives)
            next = least(next, xenpv_bus_deadline(&rig->back.bus));
        if (rig->world)
            next = least(next, rig->due);
        xenpv_mock_advance(rig->mock, next > now ? next - now : 1);
    }
}

void bus_rig_pass(struct bus_rig *rig, uint64_t ms)
{
    bus_rig_run(rig, ms, NULL);
}

bool bus_rig_connected(const struct bus_rig *rig)
{
    const struct xenpv_bus *bus = &rig->front.bus;

    return bus->phase == XENPV_BUS_CONNECTED && !bus->recovering &&
           bus->goal == XENPV_GOAL_CONNECT && rig->front.queue == QUEUE_RUNS;
}

bool bus_rig_done(const struct bus_rig *rig)
{
    return rig->front.bus.phase == XENPV_BUS_DONE || rig->front.bus.phase == XENPV_BUS_IDLE;
}

bool bus_rig_settled(const struct bus_rig *rig)
{
    return bus_rig_connected(rig) || bus_rig_done(rig);
}

bool bus_rig_recovering(const struct bus_rig *rig)
{
    return rig->front.bus.recovering;
}

void bus_rig_connect(struct bus_rig *rig)
{
    assert_int_equal(xenpv_bus_start(&rig->front.bus, XENPV_GOAL_CONNECT, bus_rig_now(rig)),
                     XENPV_OK);
    bus_rig_run(rig, 2 * BUS_RIG_CONNECT_MS, bus_rig_settled);
    if (!bus_rig_connected(rig))
        fail_msg("not connected: %s: %s is '%s'", xenpv_error_name(rig->front.bus.detail.error),
                 rig->front.bus.detail.key, rig->front.bus.detail.found);
}

void bus_rig_close(struct bus_rig *rig)
{
    xenpv_bus_start(&rig->front.bus, XENPV_GOAL_CLOSE, bus_rig_now(rig));
    assert_true(bus_rig_run(rig, 4 * BUS_RIG_CLOSE_MS, bus_rig_done));
}
