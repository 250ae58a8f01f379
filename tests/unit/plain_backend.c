/* SPDX-License-Identifier: MIT */
#include "plain_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

const struct plain_key plain_nothing[] = {{NULL, NULL}};
const struct plain_key plain_usual[] = {{"sectors", "2048"}, {NULL, NULL}};

/* ---- memory of the frontend's ---------------------------------------------------------------- */

int plain_copy(struct plain *plain, uint32_t ref, uint32_t offset, void *local, uint32_t bytes,
               bool to_peer)
{
    const struct xenpv_port *port = &plain->rig->back_port;
    struct xenpv_copy_entry entry = {.local = local,
                                     .ref = ref,
                                     .domid = 1,
                                     .offset = (uint16_t)offset,
                                     .length = (uint16_t)bytes,
                                     .to_peer = to_peer};

    return port->map->copy(port->ctx, &entry, 1);
}

int plain_map(struct plain *plain, struct xenpv_map_region *map, struct xenpv_map_entry *entry,
              uint32_t ref)
{
    const struct xenpv_port *port = &plain->rig->back_port;

    *entry = (struct xenpv_map_entry){.ref = ref};
    *map = (struct xenpv_map_region){
        .entries = entry, .count = 1, .domid = 1, .flags = XENPV_MAP_READONLY};
    return port->map->map(port->ctx, map);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void fetch_index(struct plain *plain, const struct xenpv_blkif_request *raw)
{
    for (uint32_t at = 0; at < raw->nr_segments; at += 512) {
        uint32_t count = raw->nr_segments - at < 512 ? raw->nr_segments - at : 512;
        uint8_t image[4096];

        assert_int_equal(plain_copy(plain, raw->indirect_ref[at / 512], 0, image, count * 8, false),
                         XENPV_OK);
        for (uint32_t i = 0; i < count; i++) {
            memcpy(&plain->seg[at + i].ref, image + (size_t)i * 8, 4);
            plain->seg[at + i].first = image[i * 8 + 4];
            plain->seg[at + i].last = image[i * 8 + 5];
        }
    }
}

static uint32_t bytes_of(const struct plain *plain, const struct xenpv_blkif_segment *seg)
{
    assert_in_range(seg->first, 0, seg->last);
    assert_in_range(seg->last, 0, 4096 / plain->segment_unit - 1);
    return (seg->last - seg->first + 1u) * plain->segment_unit;
}

static void take(struct plain *plain, uint32_t queue, struct plain_request *request)
{
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX] = {0};
    struct plain_queue *q = &plain->queue[queue];
    struct xenpv_blkif_request *raw = &request->raw;

    xenpv_ring_take(&q->ring, image, xenpv_blkif_slot_size(plain->abi));
    *request = (struct plain_request){.queue = queue};
    xenpv_blkif_get_request(plain->abi, image, raw);
    request->indirect = raw->op == XENPV_BLKIF_INDIRECT;
    request->op = request->indirect ? raw->indirect_op : raw->op;
    request->count = raw->op == XENPV_BLKIF_DISCARD ? 0 : raw->nr_segments;
    request->seg = request->indirect ? plain->seg : raw->seg;
    request->offset = raw->sector * plain->number_unit;
    if (request->indirect)
        fetch_index(plain, raw);
    for (uint32_t i = 0; i < request->count; i++)
        request->bytes += bytes_of(plain, &request->seg[i]);
    if (raw->op == XENPV_BLKIF_DISCARD)
        request->bytes = raw->nr_sectors * plain->number_unit;
    plain->asked[request->op & 7]++;
    plain->indirect += request->indirect;
}

void plain_do(struct plain *plain, const struct plain_request *request)
{
    uint64_t at = request->offset;

    assert_true(at <= plain->bytes && request->bytes <= plain->bytes - at);
    if (request->op == XENPV_BLKIF_DISCARD)
        memset(plain->disk + at, 0, (size_t)request->bytes);
    for (uint32_t i = 0; i < request->count; i++) {
        const struct xenpv_blkif_segment *seg = &request->seg[i];
        uint32_t bytes = bytes_of(plain, seg);

        assert_int_equal(plain_copy(plain, seg->ref, seg->first * plain->segment_unit,
                                    plain->disk + at, bytes, request->op == XENPV_BLKIF_READ),
                         XENPV_OK);
        at += bytes;
    }
}

void plain_answer(struct plain *plain, uint32_t queue, uint64_t id, uint8_t op, int16_t status)
{
    struct xenpv_blkif_response response = {id, op, status};
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX];

    xenpv_ring_put(&plain->queue[queue].ring, image,
                   xenpv_blkif_put_response(plain->abi, &response, image));
}

void plain_publish(struct plain *plain, uint32_t queue)
{
    const struct xenpv_port *port = &plain->rig->back_port;

    if (!xenpv_ring_publish(&plain->queue[queue].ring))
        return;
    plain->notified++;
    port->event->notify(port->ctx, plain->queue[queue].port);
}

static void serve(struct plain *plain, uint32_t queue)
{
    const struct xenpv_port *port = &plain->rig->back_port;
    struct plain_queue *q = &plain->queue[queue];

    if (port->event->take(port->ctx, q->port)) {
        plain->events++;
        port->event->unmask(port->ctx, q->port);
    }
    do {
        while (xenpv_ring_available(&q->ring)) {
            struct plain_request request;
            int verdict;

            take(plain, queue, &request);
            verdict = plain->judge ? plain->judge(plain, &request) : PLAIN_DO;
            if (verdict == PLAIN_KEEP)
                continue;
            if (verdict == PLAIN_DO)
                plain_do(plain, &request);
            plain_answer(plain, queue, request.raw.id, request.op,
                         verdict == PLAIN_DO ? XENPV_BLKIF_OKAY : (int16_t)verdict);
        }
        plain_publish(plain, queue);
    } while (xenpv_ring_arm(&q->ring));
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void tell(struct plain *plain, const struct plain_key *keys, int state)
{
    struct rig *rig = plain->rig;
    char number[8];

    for (; keys->name; keys++)
        rig_set(rig, rig->backend_path, keys->name, keys->value);
    snprintf(number, sizeof(number), "%d", state);
    rig_set(rig, rig->backend_path, "state", number);
    plain->state = state;
}

static int key(const struct plain *plain, uint32_t queue, const char *name, int page)
{
    char whole[64];
    int at = 0;

    if (plain->queues > 1)
        at = snprintf(whole, sizeof(whole), "queue-%u/", queue);
    at += snprintf(whole + at, sizeof(whole) - (size_t)at, "%s", name);
    if (page >= 0)
        snprintf(whole + at, sizeof(whole) - (size_t)at, "%d", page);
    return rig_get(plain->rig, RIG_FRONTEND_PATH, whole);
}

static void attach_queue(struct plain *plain, uint32_t number, bool numbered)
{
    const struct xenpv_port *port = &plain->rig->back_port;
    struct plain_queue *q = &plain->queue[number];
    int channel = key(plain, number, "event-channel", -1);

    *q = (struct plain_queue){0};
    for (uint32_t i = 0; i < plain->pages; i++)
        q->entries[i].ref = (uint32_t)key(plain, number, "ring-ref", numbered ? (int)i : -1);
    q->map = (struct xenpv_map_region){.entries = q->entries, .count = plain->pages, .domid = 1};
    assert_int_equal(port->map->map(port->ctx, &q->map), XENPV_OK);
    assert_int_equal(port->event->bind_interdomain(port->ctx, 1, (uint32_t)channel, &q->port),
                     XENPV_OK);
    xenpv_ring_attach_back(&q->ring, q->map.memory, plain->pages * XENPV_PAGE_SIZE,
                           xenpv_blkif_slot_size(plain->abi));
}

static void attach(struct plain *plain)
{
    struct rig *rig = plain->rig;
    int order = rig_get(rig, RIG_FRONTEND_PATH, "ring-page-order");
    int pages = rig_get(rig, RIG_FRONTEND_PATH, "num-ring-pages");
    int queues = rig_get(rig, RIG_FRONTEND_PATH, "multi-queue-num-queues");
    char protocol[32];

    assert_int_equal(
        xenpv_mock_read(rig->mock, RIG_FRONTEND_PATH "/protocol", protocol, sizeof(protocol)),
        XENPV_OK);
    plain->abi = xenpv_abi_from_name(protocol);
    plain->queues = queues < 0 ? 1 : (uint32_t)queues;
    plain->pages = plain->by_pages ? (pages < 0 ? 1 : (uint32_t)pages)
                                   : 1u << (order < 0 ? 0 : (uint32_t)order);
    for (uint32_t i = 0; i < plain->queues; i++)
        attach_queue(plain, i, plain->by_pages ? pages > 1 : order >= 0);
    plain->attached++;
}

static void detach(struct plain *plain)
{
    const struct xenpv_port *port = &plain->rig->back_port;

    for (uint32_t i = 0; i < plain->queues; i++) {
        port->map->unmap(port->ctx, &plain->queue[i].map);
        port->event->close(port->ctx, plain->queue[i].port);
    }
    plain->queues = 0;
}

static void step(struct rig *rig, void *ctx)
{
    struct plain *plain = ctx;
    int front = rig_get(rig, RIG_FRONTEND_PATH, "state");

    if (plain->gone)
        return;
    if (plain->state == 0 || (plain->state == 6 && front == 1))
        tell(plain, plain->offer, 2);
    else if (plain->state == 2 && (front == 3 || front == 4)) {
        attach(plain);
        tell(plain, plain->answer, 4);
    } else if (plain->state == 4 && front == 5)
        tell(plain, plain_nothing, 5);
    else if (plain->state < 6 && front == 6) {
        if (!plain->stubborn)
            detach(plain);
        tell(plain, plain_nothing, 6);
    }
    for (uint32_t i = 0; i < plain->queues && plain->state < 6 && !plain->deaf; i++)
        serve(plain, i);
}

void plain_up(struct plain *plain, struct rig *rig)
{
    *plain = (struct plain){.offer = plain_nothing,
                            .answer = plain_usual,
                            .number_unit = 512,
                            .segment_unit = 512,
                            .bytes = rig->disk.bytes,
                            .rig = rig};
    plain->disk = calloc(1, (size_t)plain->bytes);
    rig->other = step;
    rig->other_ctx = plain;
}

void plain_down(struct plain *plain)
{
    detach(plain);
    plain->rig->other = NULL;
    free(plain->disk);
}
