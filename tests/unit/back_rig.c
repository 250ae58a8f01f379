/* SPDX-License-Identifier: MIT */
#include "back_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define VDEV   51712
#define MARKER 0xa5

/* ---- the machine ----------------------------------------------------------------------------- */

static bool note(struct back_notes *notes, char letter)
{
    size_t length = strlen(notes->letters);

    notes->calls++;
    if (length + 1 < sizeof(notes->letters)) {
        notes->letters[length] = letter;
        notes->letters[length + 1] = '\0';
    }
    return notes->calls != notes->fail_at;
}

static int noted_read(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    struct back_notes *notes = ctx;

    notes->data = to;
    notes->bytes = length;
    return note(notes, 'r') ? notes->inner.read(notes->inner.ctx, offset, to, length) : XENPV_EIO;
}

static int noted_write(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    struct back_notes *notes = ctx;

    notes->data = from;
    notes->bytes = length;
    return note(notes, 'w') ? notes->inner.write(notes->inner.ctx, offset, from, length)
                            : XENPV_EIO;
}

static int noted_flush(void *ctx)
{
    struct back_notes *notes = ctx;

    return note(notes, 'f') ? notes->inner.flush(notes->inner.ctx) : XENPV_EIO;
}

static int noted_discard(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    struct back_notes *notes = ctx;

    return note(notes, secure ? 'D' : 'd')
               ? notes->inner.discard(notes->inner.ctx, offset, length, secure)
               : XENPV_EIO;
}

void back_up(struct back_rig *rig, uint64_t bytes)
{
    back_up_limited(rig, bytes, 0);
}

void back_up_limited(struct back_rig *rig, uint64_t bytes, uint32_t maps)
{
    struct xenpv_mock_config config = {
        .size = sizeof(config), .log = strict_log, .limits = {.maps = maps}};
    struct xenpv_mock_vbd vbd = {.frontend = 1, .vdev = VDEV, .params = "memory"};

    *rig = (struct back_rig){0};
    rig->allocator = strict_allocator(&rig->heap);
    config.allocator = rig->allocator;
    config.ctx = rig;
    assert_int_equal(xenpv_mock_create(&config, &rig->mock), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(rig->mock, 1), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, 0, &rig->back_port), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, 1, &rig->front_port), XENPV_OK);
    faulty_wrap(&rig->faulty, &rig->back_port);
    assert_int_equal(xenpv_mock_add_vbd(rig->mock, &vbd), XENPV_OK);
    assert_int_equal(xenpv_disk_memory(&rig->allocator, bytes ? bytes : 1 << 20, &rig->notes.inner),
                     XENPV_OK);
    rig->disk = rig->notes.inner;
    rig->disk.ctx = &rig->notes;
    rig->disk.read = noted_read;
    rig->disk.write = noted_write;
    rig->disk.flush = noted_flush;
    rig->disk.discard = noted_discard;
    xenpv_blkback_config_init(&rig->config, &rig->back_port, BACK_BACK, &rig->disk,
                              &rig->allocator);
}

void back_start(struct back_rig *rig)
{
    assert_int_equal(xenpv_blkback_create(&rig->config, &rig->back), XENPV_OK);
    assert_int_equal(xenpv_blkback_start(rig->back, xenpv_mock_now(rig->mock)), XENPV_OK);
}

void back_assert_holds(struct back_rig *rig, uint32_t maps, uint32_t ports)
{
    struct xenpv_mock_ledger ledger;

    assert_int_equal(xenpv_mock_ledger(rig->mock, 0, &ledger), XENPV_OK);
    assert_int_equal(ledger.maps, maps);
    assert_int_equal(ledger.ports, ports);
}

static void assert_held_nothing(struct back_rig *rig, uint16_t domid)
{
    struct xenpv_mock_ledger ledger, nothing = {0};

    assert_int_equal(xenpv_mock_ledger(rig->mock, domid, &ledger), XENPV_OK);
    assert_memory_equal(&ledger, &nothing, sizeof(ledger));
}

void back_free(struct back_rig *rig)
{
    xenpv_blkback_destroy(rig->back);
    assert_held_nothing(rig, 0);
    assert_held_nothing(rig, 1);
    rig->notes.inner.close(rig->notes.inner.ctx);
    xenpv_mock_destroy(rig->mock);
    assert_int_equal(rig->heap.blocks, 0);
}

void back_down(struct back_rig *rig)
{
    uint64_t end = xenpv_mock_now(rig->mock) + 60000;

    if (rig->connected)
        front_close(rig);
    xenpv_blkback_close(rig->back, xenpv_mock_now(rig->mock));
    while (xenpv_blkback_step(rig->back, xenpv_mock_now(rig->mock)) != XENPV_BUS_DONE) {
        assert_true(xenpv_mock_now(rig->mock) < end);
        xenpv_mock_advance(rig->mock, 10);
    }
    assert_held_nothing(rig, 0);
    back_free(rig);
}

void back_steps(struct back_rig *rig, int count)
{
    while (count--)
        xenpv_blkback_step(rig->back, xenpv_mock_now(rig->mock));
}

void back_until(struct back_rig *rig, int state)
{
    for (int i = 0; i < 2000; i++) {
        back_steps(rig, 1);
        if (back_get(rig, BACK_BACK, "state") == state)
            return;
        if (xenpv_blkback_deadline(rig->back) > xenpv_mock_now(rig->mock))
            xenpv_mock_advance(rig->mock, 1);
    }
    fail_msg("the backend's state is not %d but %d: %s", state,
             (int)back_get(rig, BACK_BACK, "state"), xenpv_blkback_detail(rig->back)->step);
}

static void path(char *to, size_t bytes, const char *dir, const char *key)
{
    snprintf(to, bytes, "%s/%s", dir, key);
}

void back_set(struct back_rig *rig, const char *dir, const char *key, const char *value)
{
    char node[256];

    path(node, sizeof(node), dir, key);
    assert_int_equal(xenpv_mock_write(rig->mock, node, value), XENPV_OK);
}

void back_set_number(struct back_rig *rig, const char *dir, const char *key, uint64_t number)
{
    char text[21];

    xenpv_format_number(number, text);
    back_set(rig, dir, key, text);
}

int64_t back_get(struct back_rig *rig, const char *dir, const char *key)
{
    char node[256], value[64];

    path(node, sizeof(node), dir, key);
    if (xenpv_mock_read(rig->mock, node, value, sizeof(value)))
        return -1;
    return strtoll(value, NULL, 10);
}

uint32_t back_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

void back_fill(void *bytes, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(back_random(&seed) >> 16);
}

/* ---- the frontend ---------------------------------------------------------------------------- */

static uint32_t ring_pages(const struct back_rig *rig)
{
    return 1u << rig->front.order;
}

static uint32_t queues(const struct back_rig *rig)
{
    return rig->front.queues ? rig->front.queues : 1;
}

static void remove_key(struct back_rig *rig, const char *key)
{
    char node[256];

    path(node, sizeof(node), BACK_FRONT, key);
    xenpv_mock_rm(rig->mock, node);
}

static void remove_keys(struct back_rig *rig)
{
    static const char *const keys[] = {
        "ring-ref",      "ring-page-order", "num-ring-pages",    "multi-queue-num-queues",
        "event-channel", "protocol",        "feature-persistent"};
    char name[24];

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        remove_key(rig, keys[i]);
    for (int i = 0; i < BACK_PAGES; i++) {
        snprintf(name, sizeof(name), "ring-ref%d", i);
        remove_key(rig, name);
    }
    for (int i = 0; i < BACK_QUEUES; i++) {
        snprintf(name, sizeof(name), "queue-%d", i);
        remove_key(rig, name);
    }
}

static void write_queue_keys(struct back_rig *rig, uint32_t queue)
{
    const struct back_front *front = &rig->front;
    char prefix[24] = "", name[64];

    if (front->queues > 1)
        snprintf(prefix, sizeof(prefix), "queue-%u/", queue);
    snprintf(name, sizeof(name), "%sevent-channel", prefix);
    back_set_number(rig, BACK_FRONT, name, rig->queue[queue].port);
    for (uint32_t i = 0; i < ring_pages(rig); i++) {
        bool plain = front->naming == BACK_RING_REF ||
                     (front->naming == BACK_NUM_PAGES && front->order == 0);

        snprintf(name, sizeof(name), plain ? "%sring-ref" : "%sring-ref%u", prefix, i);
        back_set_number(rig, BACK_FRONT, name, rig->ring_refs[queue * ring_pages(rig) + i]);
    }
}

static void write_keys(struct back_rig *rig)
{
    const struct back_front *front = &rig->front;

    back_set(rig, BACK_FRONT, "protocol", xenpv_abi_name(front->abi));
    if (front->queues)
        back_set_number(rig, BACK_FRONT, "multi-queue-num-queues", front->queues);
    if (front->naming == BACK_PAGE_ORDER)
        back_set_number(rig, BACK_FRONT, "ring-page-order", front->order);
    if (front->naming == BACK_NUM_PAGES)
        back_set_number(rig, BACK_FRONT, "num-ring-pages", ring_pages(rig));
    if (front->persistent)
        back_set(rig, BACK_FRONT, "feature-persistent", "1");
    for (uint32_t i = 0; i < queues(rig); i++)
        write_queue_keys(rig, i);
}

static void share_data(struct back_rig *rig)
{
    const struct xenpv_port *port = &rig->front_port;
    uint32_t pages = rig->front.data_pages ? rig->front.data_pages : 16;

    rig->data_refs = calloc(pages, sizeof(*rig->data_refs));
    rig->data = (struct xenpv_grant_region){.pages = pages, .refs = rig->data_refs};
    if (rig->front.read_only) {
        rig->data.memory = aligned_alloc(XENPV_PAGE_SIZE, (size_t)pages * XENPV_PAGE_SIZE);
        assert_non_null(rig->data.memory);
        memset(rig->data.memory, 0, (size_t)pages * XENPV_PAGE_SIZE);
        assert_int_equal(port->grant->share_own(port->ctx, 0, &rig->data, false), XENPV_OK);
    } else {
        assert_int_equal(port->grant->share(port->ctx, 0, &rig->data), XENPV_OK);
    }
}

void front_share(struct back_rig *rig, const struct back_front *front)
{
    const struct xenpv_port *port = &rig->front_port;

    rig->front = *front;
    rig->connected = true;
    rig->rings =
        (struct xenpv_grant_region){.pages = queues(rig) * ring_pages(rig), .refs = rig->ring_refs};
    assert_int_equal(port->grant->share(port->ctx, 0, &rig->rings), XENPV_OK);
    for (uint32_t i = 0; i < queues(rig); i++) {
        uint32_t bytes = ring_pages(rig) * XENPV_PAGE_SIZE;

        assert_int_equal(port->event->alloc_unbound(port->ctx, 0, &rig->queue[i].port), XENPV_OK);
        xenpv_ring_init_front(&rig->queue[i].ring, (uint8_t *)rig->rings.memory + (size_t)i * bytes,
                              bytes, xenpv_blkif_slot_size(front->abi));
    }
    share_data(rig);
    write_keys(rig);
}

void front_connect(struct back_rig *rig, const struct back_front *front)
{
    back_set(rig, BACK_FRONT, "state", "1");
    back_until(rig, 2);
    front_share(rig, front);
    back_set(rig, BACK_FRONT, "state", "3");
    back_until(rig, 4);
    back_set(rig, BACK_FRONT, "state", "4");
    back_steps(rig, 2);
}

void front_end(struct back_rig *rig)
{
    const struct xenpv_port *port = &rig->front_port;
    void *own = rig->front.read_only ? rig->data.memory : NULL;

    for (uint32_t i = 0; i < queues(rig); i++)
        port->event->close(port->ctx, rig->queue[i].port);
    assert_int_equal(port->grant->end(port->ctx, &rig->rings), XENPV_OK);
    assert_int_equal(port->grant->end(port->ctx, &rig->data), XENPV_OK);
    free(own);
    free(rig->data_refs);
    remove_keys(rig);
    rig->connected = false;
}

void front_close(struct back_rig *rig)
{
    if (back_get(rig, BACK_BACK, "state") != 6) {
        back_set(rig, BACK_FRONT, "state", "5");
        back_until(rig, 5);
    }
    back_set(rig, BACK_FRONT, "state", "6");
    back_until(rig, 6);
    front_end(rig);
}

uint8_t *front_data(struct back_rig *rig, size_t at)
{
    return (uint8_t *)rig->data.memory + at;
}

struct xenpv_blkif_segment front_segment(const struct back_rig *rig, uint32_t page, uint8_t first,
                                         uint8_t last)
{
    return (struct xenpv_blkif_segment){rig->data_refs[page], first, last};
}

void front_put(struct back_rig *rig, uint32_t queue, const struct xenpv_blkif_request *request)
{
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX];
    struct xenpv_ring *ring = &rig->queue[queue].ring;
    uint32_t bytes = xenpv_blkif_put_request(rig->front.abi, request, image);

    memset(image + bytes, MARKER, sizeof(image) - bytes);
    if (request->op != XENPV_BLKIF_DISCARD && request->op != XENPV_BLKIF_INDIRECT)
        image[1] = (uint8_t)request->nr_segments;
    xenpv_ring_put(ring, image, ring->slot_size);
}

void front_publish(struct back_rig *rig, uint32_t queue)
{
    const struct xenpv_port *port = &rig->front_port;

    if (xenpv_ring_publish(&rig->queue[queue].ring))
        port->event->notify(port->ctx, rig->queue[queue].port);
}

struct xenpv_blkif_response front_take(struct back_rig *rig, uint32_t queue)
{
    static const uint8_t zeroes[8];
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX] = {0};
    struct xenpv_ring *ring = &rig->queue[queue].ring;
    uint32_t size = xenpv_blkif_response_size(rig->front.abi);
    struct xenpv_blkif_response response;

    assert_in_range(xenpv_ring_available(ring), 1, ring->count);
    xenpv_ring_take(ring, image, ring->slot_size);
    xenpv_blkif_get_response(image, &response);
    /* Padding: a byte before the status, and what follows it in some layouts. */
    assert_int_equal(image[9], 0);
    assert_memory_equal(image + 12, zeroes, size - 12);
    return response;
}

int front_ask(struct back_rig *rig, uint32_t queue, const struct xenpv_blkif_request *request)
{
    struct xenpv_blkif_response response;
    uint8_t op = request->op == XENPV_BLKIF_INDIRECT ? request->indirect_op : request->op;

    front_put(rig, queue, request);
    front_publish(rig, queue);
    back_steps(rig, 1);
    assert_int_equal(xenpv_ring_available(&rig->queue[queue].ring), 1);
    response = front_take(rig, queue);
    assert_int_equal(response.id, request->id);
    assert_int_equal(response.op, op);
    return response.status;
}

int front_move(struct back_rig *rig, uint8_t op, uint64_t sector, uint32_t page, uint32_t bytes)
{
    struct xenpv_blkif_request request = {
        .op = op, .sector = sector, .id = UINT64_C(0xfedcba9800000000) + sector};

    for (; bytes; page++) {
        uint32_t part = bytes < XENPV_PAGE_SIZE ? bytes : XENPV_PAGE_SIZE;

        request.seg[request.nr_segments++] =
            front_segment(rig, page, 0, (uint8_t)(part / XENPV_BLKIF_SECTOR - 1));
        bytes -= part;
    }
    return front_ask(rig, 0, &request);
}
