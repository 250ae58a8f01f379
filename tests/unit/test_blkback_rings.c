/* SPDX-License-Identifier: MIT */
/* The backend's rings and queues: every size, number and name, and keys that make no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "back_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- rings ----------------------------------------------------------------------------------- */

/*
 * Fills the ring of a queue, one request in each slot, and takes all answers: a write of a sector
 * that only this request has.
 */
static void fill_ring(struct back_rig *rig, uint32_t queue, uint32_t round)
{
    struct xenpv_ring *ring = &rig->queue[queue].ring;
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_WRITE, .nr_segments = 1};

    for (uint32_t i = 0; i < ring->count; i++) {
        uint32_t place = (i * 5 + queue) % 128; /* a sector of the data pages */

        memset(front_data(rig, place * 512), (int)(place + round), 512);
        request.id = (uint64_t)queue << 32 | i;
        request.sector = place;
        request.seg[0] = front_segment(rig, place / 8, place % 8, place % 8);
        front_put(rig, queue, &request);
    }
    assert_int_equal(xenpv_ring_free(ring), 0);
    front_publish(rig, queue);
    back_steps(rig, 1);
    assert_int_equal(xenpv_ring_available(ring), ring->count);
    for (uint32_t i = 0; i < ring->count; i++) {
        struct xenpv_blkif_response response = front_take(rig, queue);

        assert_int_equal(response.id, (uint64_t)queue << 32 | i);
        assert_int_equal(response.op, XENPV_BLKIF_WRITE);
        assert_int_equal(response.status, XENPV_BLKIF_OKAY);
    }
}

static void assert_written(struct back_rig *rig, uint32_t round, uint32_t places)
{
    uint8_t sector[512], expected[512];

    for (uint32_t i = 0; i < places; i++) {
        uint32_t place = i * 5 % 128;

        rig->notes.inner.read(rig->notes.inner.ctx, place * 512, sector, 512);
        memset(expected, (int)(place + round), 512);
        assert_memory_equal(sector, expected, 512);
    }
}

/* Each order, name and layout, and several queues: every slot of every ring, and around it. */
static void test_rings(void **state)
{
    static const uint32_t queues[] = {0, 1, 2, 64};
    struct back_rig *rig = malloc(sizeof(*rig));

    (void)state;
    back_up(rig, 0);
    rig->config.queues = 64;
    back_start(rig);
    for (uint32_t i = 0; i < 5 * 3 * XENPV_ABI_COUNT * COUNT(queues); i++) {
        struct back_front front = {.order = i % 5,
                                   .naming = (enum back_naming)(i / 5 % 3),
                                   .abi = (enum xenpv_abi)(i / 15 % XENPV_ABI_COUNT),
                                   .queues = queues[i / 15 / XENPV_ABI_COUNT]};
        uint32_t count = front.queues ? front.queues : 1;

        if (front.naming == BACK_RING_REF && front.order)
            continue; /* it has one page */
        front_connect(rig, &front);
        assert_int_equal(xenpv_blkback_queues(rig->back), count);
        back_assert_holds(rig, count << front.order, count);
        assert_int_equal(rig->queue[0].ring.count, 32u << front.order);
        for (uint32_t round = 1; round <= 3; round++) {
            for (uint32_t q = 0; q < count; q++)
                fill_ring(rig, q, round + q);
            assert_written(rig, round + count - 1, count == 1 ? 32 : 0);
        }
        front_close(rig);
        assert_int_equal(xenpv_blkback_queues(rig->back), 0);
        back_assert_holds(rig, 0, 0);
    }
    back_down(rig);
    free(rig);
}

/* One step answers at the most what a ring holds, of every queue. */
static void test_bounded_step(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    struct back_rig rig;
    struct xenpv_blkback_stats stats;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){.queues = 4});
    for (uint32_t q = 0; q < 4; q++) {
        for (int i = 0; i < 32; i++)
            front_put(&rig, q, &request);
        front_publish(&rig, q);
    }
    assert_true(xenpv_blkback_deadline(rig.back) > 0);
    back_steps(&rig, 1);
    xenpv_blkback_stats(rig.back, &stats);
    assert_int_equal(stats.requests, 128);
    assert_int_equal(stats.notified, 4);
    /* There may be more: it must be stepped again at once, and then it waits. */
    assert_int_equal(xenpv_blkback_deadline(rig.back), 0);
    back_steps(&rig, 1);
    assert_true(xenpv_blkback_deadline(rig.back) > 0);
    back_down(&rig);
}

/* A frontend is notified when it has asked for it, and once for all that was answered. */
static void test_notifications(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    struct back_rig rig;
    struct xenpv_blkback_stats stats;
    const struct xenpv_port *port = &rig.front_port;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    for (uint32_t ahead = 1; ahead <= 4; ahead++) {
        uint64_t before;

        xenpv_blkback_stats(rig.back, &stats);
        before = stats.notified;
        port->event->take(port->ctx, rig.queue[0].port);
        port->event->unmask(port->ctx, rig.queue[0].port);
        /* The event is wanted with the answer that is `ahead` from here; three are sent. */
        xenpv_store_seq(&rig.queue[0].ring.in->event, rig.queue[0].ring.cons + ahead);
        for (int i = 0; i < 3; i++)
            front_put(&rig, 0, &request);
        front_publish(&rig, 0);
        back_steps(&rig, 2);
        xenpv_blkback_stats(rig.back, &stats);
        assert_int_equal(stats.notified - before, ahead <= 3);
        assert_int_equal(port->event->take(port->ctx, rig.queue[0].port), ahead <= 3);
        for (int i = 0; i < 3; i++)
            front_take(&rig, 0);
    }
    back_down(&rig);
}

/* Of many requests the first answers are there while the disk is still at work on the last ones. */
static struct {
    const struct xenpv_ring *ring;
    uint32_t calls, seen;
} early;

static int flush_and_look(void *ctx)
{
    (void)ctx;
    early.calls++;
    early.seen = xenpv_ring_available(early.ring);
    return XENPV_OK;
}

static void test_first_answers_do_not_wait(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    rig.disk.flush = flush_and_look;
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    early.ring = &rig.queue[0].ring;
    for (uint32_t sent = 1; sent <= 32; sent++) {
        early.calls = early.seen = 0;
        for (uint32_t i = 0; i < sent; i++)
            front_put(&rig, 0, &request);
        front_publish(&rig, 0);
        back_steps(&rig, 1);
        assert_int_equal(early.calls, sent);
        assert_true(early.seen + 8 >= sent);
        assert_true(early.seen < sent);
        for (uint32_t i = 0; i < sent; i++)
            front_take(&rig, 0);
    }
    back_down(&rig);
}

/* The backend's port of queue 0, the first that domain 0 has. */
#define FIRST_PORT 1u

/* Whether the backend would be woken; what it would find stays. */
static bool woken(struct back_rig *rig)
{
    const struct xenpv_port *back = &rig->back_port, *front = &rig->front_port;

    if (!back->event->take(back->ctx, FIRST_PORT))
        return false;
    back->event->unmask(back->ctx, FIRST_PORT);
    front->event->notify(front->ctx, rig->queue[0].port);
    return true;
}

/* The backend asks to be woken once it has nothing to do, not while it is at work. */
static void test_sleep(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    struct back_rig rig;
    struct xenpv_ring *ring = &rig.queue[0].ring;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(xenpv_load(&ring->out->event), ring->prod + 1);
        assert_false(woken(&rig));
        front_put(&rig, 0, &request);
        front_publish(&rig, 0);
        assert_true(woken(&rig));
        back_steps(&rig, 1);
        front_take(&rig, 0);
        front_put(&rig, 0, &request); /* it has not gone to sleep yet */
        assert_false(xenpv_ring_publish(ring));
        back_steps(&rig, 1);
        front_take(&rig, 0);
        back_steps(&rig, 1);
        /* While it sleeps it leaves the ring alone: the other end may be at work on that line. */
        xenpv_store(&ring->out->event, 0x12345678);
        back_steps(&rig, 3);
        assert_int_equal(xenpv_load(&ring->out->event), 0x12345678);
        xenpv_store(&ring->out->event, ring->prod + 1);
    }
    back_down(&rig);
}

static struct back_rig *racing;

/* A request is published when the backend has just seen that there is none. */
static void race(void *ctx, const char *call)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};

    (void)ctx;
    if (!racing || strcmp(call, "take") != 0)
        return;
    front_put(racing, 0, &request);
    assert_false(xenpv_ring_publish(&racing->queue[0].ring)); /* the event was not asked for yet */
    racing = NULL;
}

/* It asks for the event first, and then looks once more. */
static void test_lost_wakeup(void **state)
{
    struct xenpv_blkif_request request = {.op = XENPV_BLKIF_FLUSH};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    rig.faulty.before = race;
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    for (int i = 0; i < 10; i++) {
        front_put(&rig, 0, &request);
        front_publish(&rig, 0);
        back_steps(&rig, 1);
        front_take(&rig, 0);
        racing = &rig;
        back_steps(&rig, 1);
        assert_null(racing);
        assert_int_equal(xenpv_blkback_deadline(rig.back), 0);
        back_steps(&rig, 1);
        front_take(&rig, 0);
        back_steps(&rig, 1);
        assert_true(xenpv_blkback_deadline(rig.back) > 0);
    }
    back_down(&rig);
}

/* ---- what is published ----------------------------------------------------------------------- */

static void test_offers(void **state)
{
    static const struct {
        uint32_t queues, order, segments, persistent;
        int64_t max_queues, max_order, max_pages, max_segments, feature_persistent;
    } table[] = {
        {1, 0, 0, 0, -1, -1, -1, -1, -1},
        {2, 1, 1, 1, 2, 1, 2, 1, 1},
        {64, 4, 4096, 65536, 64, 4, 16, 4096, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct back_rig rig;

        back_up(&rig, 0);
        rig.config.queues = table[i].queues;
        rig.config.ring_order = table[i].order;
        rig.config.segments = table[i].segments;
        rig.config.persistent = table[i].persistent;
        back_start(&rig);
        back_until(&rig, 2);
        assert_int_equal(back_get(&rig, BACK_BACK, "multi-queue-max-queues"), table[i].max_queues);
        assert_int_equal(back_get(&rig, BACK_BACK, "max-ring-page-order"), table[i].max_order);
        assert_int_equal(back_get(&rig, BACK_BACK, "max-ring-pages"), table[i].max_pages);
        assert_int_equal(back_get(&rig, BACK_BACK, "feature-max-indirect-segments"),
                         table[i].max_segments);
        /* The rest follows once the frontend has answered, as from Linux blkback. */
        assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), -1);
        assert_int_equal(back_get(&rig, BACK_BACK, "feature-persistent"), -1);
        front_connect(&rig, &(struct back_front){0});
        assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), 2048);
        assert_int_equal(back_get(&rig, BACK_BACK, "feature-persistent"),
                         table[i].feature_persistent);
        for (uint8_t op = 0; op < 4; op++)
            assert_int_equal(front_move(&rig, op, 0, 0, 11 * 4096), XENPV_BLKIF_OKAY);
        back_down(&rig);
    }
}

static void test_properties(void **state)
{
    static const char *const keys[] = {
        "sectors",         "sector-size",         "physical-sector-size", "info",
        "feature-barrier", "feature-flush-cache", "feature-discard",      "discard-granularity",
        "discard-secure",  "discard-alignment",
    };
    struct back_rig rig;

    (void)state;
    back_up(&rig, (1 << 20) + 512);
    rig.disk.sector_size = 4096;
    rig.disk.physical_sector_size = 16384;
    rig.disk.cdrom = rig.disk.readonly = true;
    rig.disk.discard_granularity = 65536;
    rig.disk.discard_alignment = 1024;
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), 2048); /* in whole ones of 4096 */
    assert_int_equal(back_get(&rig, BACK_BACK, "sector-size"), 4096);
    assert_int_equal(back_get(&rig, BACK_BACK, "physical-sector-size"), 16384);
    assert_int_equal(back_get(&rig, BACK_BACK, "info"), 5);
    assert_int_equal(back_get(&rig, BACK_BACK, "feature-barrier"), 1);
    assert_int_equal(back_get(&rig, BACK_BACK, "feature-flush-cache"), 1);
    assert_int_equal(back_get(&rig, BACK_BACK, "feature-discard"), 1);
    assert_int_equal(back_get(&rig, BACK_BACK, "discard-granularity"), 65536);
    assert_int_equal(back_get(&rig, BACK_BACK, "discard-alignment"), 1024);
    assert_int_equal(back_get(&rig, BACK_BACK, "discard-secure"), 1);
    /* The page that is left over is not there. */
    assert_int_equal(front_move(&rig, XENPV_BLKIF_READ, 2048, 0, 512), XENPV_BLKIF_ERROR);
    back_down(&rig);

    back_up(&rig, 0);
    rig.disk.removable = true;
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    assert_int_equal(back_get(&rig, BACK_BACK, "info"), 2);
    front_close(&rig);
    xenpv_blkback_close(rig.back, 0);
    back_steps(&rig, 5);
    for (size_t i = 0; i < COUNT(keys); i++)
        assert_int_equal(back_get(&rig, BACK_BACK, keys[i]), -1);
    assert_int_equal(back_get(&rig, BACK_BACK, "discard-enable"), 1); /* the toolstack's */
    back_down(&rig);
}

/* ---- keys that make no sense ----------------------------------------------------------------- */

struct lie {
    struct back_front front;
    const char *key, *value; /* written over what the frontend would write; NULL: removed */
    int error;
    uint32_t check;
};

static void tell_lie(struct back_rig *rig, const struct lie *lie)
{
    char node[128];

    snprintf(node, sizeof(node), "%s/%s", BACK_FRONT, lie->key);
    if (lie->value)
        back_set(rig, BACK_FRONT, lie->key, lie->value);
    else
        assert_int_equal(xenpv_mock_rm(rig->mock, node), XENPV_OK);
}

/* The connection is refused with a word on why; the next frontend does not lie, and is served. */
static void check_lie(struct back_rig *rig, const struct lie *lie)
{
    const struct xenpv_detail *detail = xenpv_blkback_detail(rig->back);

    print_message("  %s = %s\n", lie->key, lie->value ? lie->value : "nothing");
    back_set(rig, BACK_FRONT, "state", "1");
    back_until(rig, 2);
    front_share(rig, &lie->front);
    tell_lie(rig, lie);
    back_set(rig, BACK_FRONT, "state", "3");
    back_until(rig, 5);
    assert_int_equal(detail->error, lie->error);
    assert_int_equal(detail->check, lie->check);
    assert_non_null(strstr(detail->key, lie->key));
    assert_non_null(strstr(detail->found, lie->value ? lie->value : "nothing"));
    assert_true(strlen(detail->step) && strlen(detail->expected));
    back_assert_holds(rig, 0, 0);
    back_set(rig, BACK_FRONT, "state", "6");
    back_until(rig, 6);
    front_end(rig);

    front_connect(rig, &lie->front);
    assert_int_equal(detail->error, XENPV_OK);
    assert_int_equal(front_move(rig, XENPV_BLKIF_WRITE, 0, 0, 4096), XENPV_BLKIF_OKAY);
    front_close(rig);
}

#define BROKEN(check) XENPV_EBROKEN, XENPV_CHECK_##check
#define RING_OF(n)                                                                                 \
    {                                                                                              \
        .naming = BACK_PAGE_ORDER, .order = (n)                                                    \
    }
#define PAGES_OF(n)                                                                                \
    {                                                                                              \
        .naming = BACK_NUM_PAGES, .order = (n)                                                     \
    }

static void test_lies_in_keys(void **state)
{
    static const struct lie lies[] = {
        {{0}, "protocol", "vax-abi", BROKEN(NONE)},
        {{0}, "protocol", "", BROKEN(NONE)},
        {{0}, "protocol", "x86_64-abi ", BROKEN(NONE)},
        {RING_OF(2), "ring-page-order", "3", BROKEN(REQ_RING)},
        {RING_OF(2), "ring-page-order", "x", BROKEN(REQ_RING)},
        {RING_OF(2), "ring-page-order", "-1", BROKEN(REQ_RING)},
        {RING_OF(2), "ring-page-order", "", BROKEN(REQ_RING)},
        {RING_OF(2), "ring-page-order", "32", BROKEN(REQ_RING)},
        {RING_OF(2), "ring-page-order", "4294967296", BROKEN(REQ_RING)},
        {PAGES_OF(2), "num-ring-pages", "0", BROKEN(REQ_RING)},
        {PAGES_OF(2), "num-ring-pages", "3", BROKEN(REQ_RING)},
        {PAGES_OF(2), "num-ring-pages", "8", BROKEN(REQ_RING)},
        {PAGES_OF(2), "num-ring-pages", "4 ", BROKEN(REQ_RING)},
        {PAGES_OF(2), "num-ring-pages", "4294967300", BROKEN(REQ_RING)},
        {{.queues = 2}, "multi-queue-num-queues", "0", BROKEN(REQ_QUEUES)},
        {{.queues = 2}, "multi-queue-num-queues", "4", BROKEN(REQ_QUEUES)},
        {{.queues = 2}, "multi-queue-num-queues", "0x2", BROKEN(REQ_QUEUES)},
        {{.queues = 2}, "multi-queue-num-queues", "4294967298", BROKEN(REQ_QUEUES)},
        {{0}, "ring-ref", NULL, XENPV_EPEER, 0},
        {{0}, "ring-ref", "x", BROKEN(NONE)},
        {{0}, "ring-ref", "4294967296", BROKEN(NONE)},
        {{0}, "ring-ref", "7777", XENPV_EACCES, 0},
        {{0}, "ring-ref", "999999", XENPV_ENOENT, 0},
        {{0}, "event-channel", NULL, XENPV_EPEER, 0},
        {{0}, "event-channel", "0", BROKEN(NONE)},
        {{0}, "event-channel", "4000", XENPV_ENOENT, 0},
        {RING_OF(0), "ring-ref0", NULL, XENPV_EPEER, 0},
        {RING_OF(0), "ring-ref0", "x", BROKEN(NONE)},
        {RING_OF(2), "ring-ref3", NULL, XENPV_EPEER, 0},
        {PAGES_OF(2), "ring-ref0", "7777", XENPV_EACCES, 0},
        {{.queues = 3}, "queue-2/ring-ref", NULL, XENPV_EPEER, 0},
        {{.queues = 3}, "queue-2/event-channel", "4000", XENPV_ENOENT, 0},
        {{.queues = 3}, "queue-1/ring-ref", "7777", XENPV_EACCES, 0},
        {{.queues = 3, .naming = BACK_PAGE_ORDER, .order = 1},
         "queue-2/ring-ref1",
         "+1",
         BROKEN(NONE)},
    };
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    rig.config.queues = 3;
    rig.config.ring_order = 2;
    back_start(&rig);
    for (size_t i = 0; i < COUNT(lies); i++)
        check_lie(&rig, &lies[i]);
    back_down(&rig);
}

/* The failing page of a large ring is named; nothing of the others stays. */
static void test_half_a_ring(void **state)
{
    struct lie lie = {RING_OF(2), "ring-ref2", "7777", XENPV_EACCES, 0};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    back_until(&rig, 2);
    front_share(&rig, &lie.front);
    tell_lie(&rig, &lie);
    back_set(&rig, BACK_FRONT, "state", "4");
    back_until(&rig, 5);
    assert_int_equal(xenpv_blkback_detail(rig.back)->error, XENPV_EACCES);
    assert_string_equal(xenpv_blkback_detail(rig.back)->key, "ring-ref2");
    back_assert_holds(&rig, 0, 0);
    back_down(&rig);
}

/* With ring-page-order 0 the page may be named ring-ref, too; then that is complained of. */
static void test_disputed_name(void **state)
{
    static const struct lie lies[] = {
        {{0}, "ring-ref", "7777", XENPV_EACCES, 0},
        {{0}, "ring-ref", "x", BROKEN(NONE)},
        {{.queues = 2}, "queue-1/ring-ref", "7777", XENPV_EACCES, 0},
        {{.queues = 2}, "queue-1/ring-ref", "", BROKEN(NONE)},
    };
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    for (size_t i = 0; i < COUNT(lies); i++) {
        back_set(&rig, BACK_FRONT, "ring-page-order", "0");
        check_lie(&rig, &lies[i]);
    }
    back_down(&rig);
}

/* Legal oddities: what is not asked for is not read, however it looks; junk where nothing is lost
 * stands for nothing. */
static void test_legal_keys(void **state)
{
    static const struct lie odd[] = {
        {RING_OF(1), "num-ring-pages", "x", 0, 0},
        {RING_OF(1), "num-ring-pages", "16", 0, 0},
        {RING_OF(0), "ring-ref", "7777", 0, 0},
        {{0}, "ring-page-order", "0", 0, 0},
        {{.queues = 2}, "ring-page-order", "0", 0, 0},
        {PAGES_OF(0), "ring-page-order", "0", 0, 0},
        {{.queues = 2}, "ring-ref", "7777", 0, 0},
        {{.queues = 2}, "event-channel", "x", 0, 0},
        {{.queues = 1}, "queue-0/ring-ref", "7777", 0, 0},
        {{0}, "feature-persistent", "yes", 0, 0},
        {{0}, "feature-persistent", "2", 0, 0},
        {{0}, "feature-large-sector-size", "1", 0, 0},
        {{.abi = XENPV_ABI_NATIVE}, "protocol", NULL, 0, 0},
    };
    struct back_rig rig;

    (void)state;
    back_up(&rig, 0);
    back_start(&rig);
    for (size_t i = 0; i < COUNT(odd); i++) {
        char node[128];

        back_set(&rig, BACK_FRONT, "state", "1");
        back_until(&rig, 2);
        front_share(&rig, &odd[i].front);
        tell_lie(&rig, &odd[i]);
        back_set(&rig, BACK_FRONT, "state", i % 2 ? "3" : "4");
        back_until(&rig, 4);
        assert_int_equal(front_move(&rig, XENPV_BLKIF_WRITE, 0, 0, 4096), XENPV_BLKIF_OKAY);
        front_close(&rig);
        snprintf(node, sizeof(node), "%s/%s", BACK_FRONT, odd[i].key);
        xenpv_mock_rm(rig.mock, node);
    }
    back_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rings),
        cmocka_unit_test(test_bounded_step),
        cmocka_unit_test(test_first_answers_do_not_wait),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_lost_wakeup),
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_properties),
        cmocka_unit_test(test_lies_in_keys),
        cmocka_unit_test(test_half_a_ring),
        cmocka_unit_test(test_disputed_name),
        cmocka_unit_test(test_legal_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
