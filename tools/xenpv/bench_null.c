/* SPDX-License-Identifier: MIT */
#include "bench_null.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define QUEUES_MAX 64u
#define ORDER_MAX  4u

struct line {
    struct xenpv_ring ring;
    struct xenpv_map_region map;
    struct xenpv_map_entry entries[1u << ORDER_MAX];
    uint32_t port;
};

struct bench_null {
    struct xenpv_mock *mock;
    const struct xenpv_port *port;
    uint16_t frontend;
    uint64_t bytes;
    char front[64], back[64]; /* directories */
    uint32_t state;           /* as last written */
    uint32_t looking;
    uint32_t count;
    struct line lines[QUEUES_MAX];
};

/* ------------------------------------------------------------------------------------- store -- */

static void put(const struct bench_null *null, const char *name, uint64_t value)
{
    char path[128], text[24];

    snprintf(path, sizeof(path), "%s/%s", null->back, name);
    snprintf(text, sizeof(text), "%" PRIu64, value);
    xenpv_mock_write(null->mock, path, text);
}

static uint32_t get(const struct bench_null *null, const char *name, uint32_t absent)
{
    char path[128], text[24];

    snprintf(path, sizeof(path), "%s/%s", null->front, name);
    if (xenpv_mock_read(null->mock, path, text, sizeof(text)) != 0)
        return absent;
    return (uint32_t)strtoul(text, NULL, 10);
}

static void go_to(struct bench_null *null, uint32_t state)
{
    null->state = state;
    put(null, "state", state);
}

static void offer(struct bench_null *null)
{
    put(null, "multi-queue-max-queues", QUEUES_MAX);
    put(null, "max-ring-page-order", ORDER_MAX);
    put(null, "feature-max-indirect-segments", 256);
    go_to(null, XENPV_STATE_INIT_WAIT);
}

/* ----------------------------------------------------------------------------------- sharing -- */

/* "queue-1/ring-ref0", "ring-ref": blkif.h. */
static uint32_t get_of(const struct bench_null *null, uint32_t queues, uint32_t queue,
                       const char *name)
{
    char key[64];

    snprintf(key, sizeof(key), "queue-%u/%s", queue, name);
    return get(null, queues > 1 ? key : name, 0);
}

static bool attach_line(struct bench_null *null, uint32_t queues, uint32_t queue, uint32_t order)
{
    const struct xenpv_port *port = null->port;
    struct line *line = &null->lines[queue];
    char name[24] = "ring-ref";

    for (uint32_t i = 0; i < 1u << order; i++) {
        if (order)
            snprintf(name, sizeof(name), "ring-ref%u", i);
        line->entries[i].ref = get_of(null, queues, queue, name);
    }
    line->map = (struct xenpv_map_region){
        .entries = line->entries, .count = 1u << order, .domid = null->frontend};
    if (port->map->map(port->ctx, &line->map) != 0)
        return false;
    if (port->event->bind_interdomain(port->ctx, null->frontend,
                                      get_of(null, queues, queue, "event-channel"),
                                      &line->port) != 0) {
        port->map->unmap(port->ctx, &line->map);
        return false;
    }
    xenpv_ring_attach_back(&line->ring, line->map.memory, XENPV_PAGE_SIZE << order,
                           xenpv_blkif_slot_size(XENPV_ABI_X86_64));
    return true;
}

static void detach(struct bench_null *null)
{
    const struct xenpv_port *port = null->port;

    while (null->count) {
        struct line *line = &null->lines[--null->count];

        port->event->close(port->ctx, line->port);
        port->map->unmap(port->ctx, &line->map);
    }
}

/* A frontend whose keys lead nowhere finds us closed. */
static void attach(struct bench_null *null)
{
    uint32_t queues = get(null, "multi-queue-num-queues", 1);
    uint32_t order = get(null, "ring-page-order", 0);
    bool good = queues <= QUEUES_MAX && order <= ORDER_MAX;

    for (uint32_t i = 0; good && i < queues; i++) {
        good = attach_line(null, queues, i, order);
        null->count += good;
    }
    if (!good) {
        detach(null);
        go_to(null, XENPV_STATE_CLOSING);
        return;
    }
    put(null, "sectors", null->bytes / XENPV_BLKIF_SECTOR);
    put(null, "sector-size", 512);
    put(null, "info", 0);
    go_to(null, XENPV_STATE_CONNECTED);
}

static void look(struct bench_null *null)
{
    uint32_t peer = get(null, "state", XENPV_STATE_UNKNOWN);

    if (null->state == XENPV_STATE_UNKNOWN)
        offer(null);
    else if (null->state == XENPV_STATE_INIT_WAIT && peer == XENPV_STATE_INITIALISED)
        attach(null);
    else if (null->state == XENPV_STATE_CONNECTED && peer == XENPV_STATE_CLOSING)
        go_to(null, XENPV_STATE_CLOSING);
    else if (null->state == XENPV_STATE_CLOSING && peer == XENPV_STATE_CLOSED) {
        detach(null);
        go_to(null, XENPV_STATE_CLOSED);
    }
}

/* ----------------------------------------------------------------------------------- serving -- */

struct bench_null *bench_null_make(struct xenpv_mock *mock, const struct xenpv_port *port,
                                   uint16_t frontend, uint32_t vdev, uint64_t bytes)
{
    struct bench_null *null = calloc(1, sizeof(*null));

    if (!null)
        return NULL;
    null->mock = mock;
    null->port = port;
    null->frontend = frontend;
    null->bytes = bytes;
    null->looking = 1;
    snprintf(null->front, sizeof(null->front), "/local/domain/%u/device/vbd/%u", frontend, vdev);
    snprintf(null->back, sizeof(null->back), "/local/domain/0/backend/vbd/%u/%u", frontend, vdev);
    return null;
}

void bench_null_free(struct bench_null *null)
{
    if (null)
        detach(null);
    free(null);
}

void bench_null_look(struct bench_null *null, bool looking)
{
    xenpv_store_release(&null->looking, looking);
}

static bool answer_all(struct bench_null *null)
{
    const struct xenpv_port *port = null->port;
    bool any = false, found;

    for (uint32_t i = 0; i < null->count; i++) {
        if (bench_blk_answer(&null->lines[i].ring, &found))
            port->event->notify(port->ctx, null->lines[i].port);
        any |= found;
    }
    return any;
}

static void sleep_on(struct bench_null *null, xenpv_handle doorbell)
{
    bool more = false;

    for (uint32_t i = 0; i < null->count; i++)
        more |= xenpv_ring_arm(&null->lines[i].ring);
    if (!more && !xenpv_load_acquire(&null->looking))
        os_event_wait(doorbell, 100);
    os_event_clear(doorbell);
}

bool bench_null_round(struct bench_null *null, xenpv_handle doorbell)
{
    bool any;

    if (xenpv_load_acquire(&null->looking))
        look(null);
    any = answer_all(null);
    if (!any && doorbell != XENPV_NO_HANDLE)
        sleep_on(null, doorbell);
    return any;
}
