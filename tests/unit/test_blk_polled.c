/* SPDX-License-Identifier: MIT */
/*
 * Notifications: in poll mode none is ever received and nothing but one call of the port is touched
 * (seed row A9); otherwise each is sent and received exactly when the other end asked for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "faulty_port.h"
#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { BLOCK = 4096, DISK = 1 << 20 };

static const struct plain_key everything[] = {
    {"sectors", "2048"}, {"feature-flush-cache", "1"}, {"feature-discard", "1"}, {NULL, NULL}};
static const struct plain_key indirect[] = {{"feature-max-indirect-segments", "256"}, {NULL, NULL}};

static struct polled {
    struct rig rig;
    struct plain plain;
    struct faulty_port faulty;
    uint32_t notifications; /* that the frontend sent */
    bool locked;            /* the port must not be called */
    uint8_t data[DISK], found[DISK];
} all;

/* ---- a crash handler's port ------------------------------------------------------------------ */

static void watch_calls(void *ctx, const char *call)
{
    struct polled *polled = ctx;

    if (strcmp(call, "notify") == 0)
        polled->notifications++;
    else if (polled->locked)
        fail_msg("the port is called: %s", call);
}

static void up(const struct rig_options *options)
{
    struct rig_options mine = *options;

    mine.no_backend = true;
    rig_up(&all.rig, &mine);
    plain_up(&all.plain, &all.rig);
    all.plain.offer = indirect;
    all.plain.answer = everything;
    faulty_wrap(&all.faulty, &all.rig.front_port);
    all.faulty.before = watch_calls;
    all.faulty.before_ctx = &all;
    all.rig.front_port.caps |= XENPV_CAP_WAIT;
    all.locked = false;
    rig_connect(&all.rig);
    rig_rest(&all.rig);
    all.notifications = all.plain.events = all.plain.notified = 0;
}

static void down(void)
{
    all.locked = false;
    rig_close(&all.rig);
    plain_down(&all.plain);
    rig_down(&all.rig);
}

static void serve(void)
{
    all.rig.other(&all.rig, all.rig.other_ctx);
}

/* The frontend's control is not stepped at all: there is only the queue. */
static int wait_polling(void)
{
    struct xenpv_completion done;

    for (int i = 0; i < 10000; i++) {
        int count = xenpv_blkq_poll(all.rig.q, &done, 1);

        if (count == 1)
            return done.status;
        assert_int_equal(count, 0);
        serve();
    }
    fail_msg("an operation does not end");
    return -1;
}

static int do_write(uint64_t offset, size_t bytes)
{
    static struct xenpv_iov iov;
    int error;

    iov = (struct xenpv_iov){all.data + offset, bytes};
    error = xenpv_blkq_writev(all.rig.q, offset, &iov, 1, NULL);
    return error ? error : wait_polling();
}

static int do_read(uint64_t offset, size_t bytes)
{
    static struct xenpv_iov iov;
    int error;

    iov = (struct xenpv_iov){all.found + offset, bytes};
    error = xenpv_blkq_readv(all.rig.q, offset, &iov, 1, NULL);
    return error ? error : wait_polling();
}

/* One page, one queue, no events, and nothing but notify, for more requests than the ring has slots
 * several times over: a dump is written, flushed, and read back. */
static void test_seed_A9_crash_handler(void **state)
{
    (void)state;
    for (int untrusted = 0; untrusted < 2; untrusted++) {
        up(&(struct rig_options){.poll = true, .shared_pages = 2, .untrusted = untrusted});
        rig_fill(all.data, DISK, 1);
        all.locked = true;
        for (uint64_t at = 0; at < DISK; at += BLOCK)
            assert_int_equal(do_write(at, BLOCK), XENPV_OK);
        for (uint64_t at = 777; at < DISK - 70000; at += 70000)
            assert_int_equal(do_write(at, 69999), XENPV_OK);
        assert_int_equal(xenpv_blkq_flush(all.rig.q, NULL), XENPV_OK);
        assert_int_equal(wait_polling(), XENPV_OK);
        assert_memory_equal(all.plain.disk, all.data, DISK);
        assert_int_equal(do_read(0, DISK), XENPV_OK);
        assert_memory_equal(all.found, all.data, DISK);
        memcpy(xenpv_blkq_shared(all.rig.q), all.data, 2 * BLOCK);
        assert_int_equal(xenpv_blkq_write_shared(all.rig.q, 65536, 0, 2 * BLOCK, NULL), XENPV_OK);
        assert_int_equal(wait_polling(), XENPV_OK);
        assert_memory_equal(all.plain.disk + 65536, all.data, 2 * BLOCK);
        assert_int_equal(xenpv_blkq_discard(all.rig.q, 0, 65536, 0, NULL), XENPV_OK);
        assert_int_equal(wait_polling(), XENPV_OK);
        assert_int_equal(all.plain.disk[65535], 0);
        /* The handle is none, and there is nothing to wait for. */
        assert_int_equal(xenpv_blkq_wait_handle(all.rig.q), XENPV_NO_HANDLE);
        assert_int_equal(xenpv_blkq_arm(all.rig.q), 1);
        assert_int_equal(all.plain.notified, 0);
        assert_true(all.notifications > 0);
        down();
    }
}

/* Not even after the connection was lost and made anew. */
static void test_seed_A9_after_a_recovery(void **state)
{
    (void)state;
    up(&(struct rig_options){.poll = true, .recover_ms = 60000});
    rig_fill(all.data, DISK, 2);
    for (int times = 0; times < 3; times++) {
        rig_set(&all.rig, all.rig.backend_path, "state", "5");
        rig_step(&all.rig);
        rig_poll_all(&all.rig);
        rig_until(&all.rig, XENPV_BLK_CONNECTED);
        rig_rest(&all.rig);
        all.locked = true;
        for (uint64_t at = 0; at < 40 * BLOCK; at += BLOCK)
            assert_int_equal(do_write(at, BLOCK), XENPV_OK);
        all.locked = false;
    }
    assert_int_equal(all.plain.notified, 0);
    down();
}

/* ---- what is sent ---------------------------------------------------------------------------- */

static void queue_reads(uint32_t count)
{
    static struct xenpv_iov iov = {all.found, 512};

    while (count--)
        assert_int_equal(xenpv_blkq_readv(all.rig.q, 0, &iov, 1, NULL), XENPV_OK);
}

static void take(uint32_t count)
{
    struct xenpv_completion done[32];

    assert_int_equal(xenpv_blkq_poll(all.rig.q, done, 32), count);
}

/* The backend asks for one event each time it has nothing more to do. */
static void test_notifications_sent(void **state)
{
    (void)state;
    up(&(struct rig_options){0});
    for (uint32_t round = 1; round < 200; round++) {
        queue_reads(3);
        assert_int_equal(all.notifications, round - 1);
        xenpv_blkq_submit(all.rig.q);
        assert_int_equal(all.notifications, round);
        /* It has not looked yet: it asked for the first of them, and for no other. */
        xenpv_blkq_submit(all.rig.q);
        queue_reads(2);
        xenpv_blkq_submit(all.rig.q);
        take(0);
        assert_int_equal(all.notifications, round);
        serve();
        take(5);
        assert_int_equal(all.plain.events, round);
        /* Nobody armed; but a ring begins with the first answer asked for (SHARED_RING_INIT). */
        assert_int_equal(all.plain.notified, 1);
    }
    assert_int_equal(all.notifications, 199);
    down();
}

/* ---- what is received ------------------------------------------------------------------------ */

static void test_notifications_received(void **state)
{
    (void)state;
    up(&(struct rig_options){0});
    for (uint32_t round = 1; round < 200; round++) {
        queue_reads(3);
        xenpv_blkq_submit(all.rig.q);
        assert_int_equal(xenpv_blkq_arm(all.rig.q), 0);
        serve();
        assert_int_equal(all.plain.notified, round); /* one, for the first of three */
        /* There is something already: no waiting, and no more events. */
        assert_int_equal(xenpv_blkq_arm(all.rig.q), 1);
        take(3);
        queue_reads(2);
        xenpv_blkq_submit(all.rig.q);
        serve();
        assert_int_equal(all.plain.notified, round);
        take(2);
    }
    down();
}

/* It asks to be told of the next answer, not of all that are out: 3 of 5 come, then the others. */
static uint64_t kept[8];
static uint32_t kept_count;

static int keep(struct plain *plain, const struct plain_request *request)
{
    (void)plain;
    kept[kept_count++] = request->raw.id;
    return PLAIN_KEEP;
}

static void test_answers_in_parts(void **state)
{
    (void)state;
    up(&(struct rig_options){0});
    all.plain.judge = keep;
    kept_count = 0;
    queue_reads(5);
    xenpv_blkq_submit(all.rig.q);
    serve();
    assert_int_equal(xenpv_blkq_arm(all.rig.q), 0);
    for (uint32_t i = 0; i < 5; i++) {
        plain_answer(&all.plain, 0, kept[i], XENPV_BLKIF_READ, XENPV_BLKIF_OKAY);
        plain_publish(&all.plain, 0);
        assert_int_equal(all.plain.notified, i < 3 ? 1 : 2);
        if (i == 2) {
            take(3);
            assert_int_equal(xenpv_blkq_arm(all.rig.q), 0);
        }
    }
    take(2);
    /* Nothing is out: an event may still be asked for, and none comes. */
    assert_int_equal(xenpv_blkq_arm(all.rig.q), 0);
    serve();
    assert_int_equal(all.plain.notified, 2);
    down();
}

/* ---- event indexes of a backend that lies ---------------------------------------------------- */

/* EV-10: whatever it asks for, all ends; at the worst it is notified too often. */
static void test_EV_10_wild_event_indexes(void **state)
{
    uint32_t seed = 5, submits = 0;

    (void)state;
    up(&(struct rig_options){0});
    for (uint32_t round = 0; round < 500; round++) {
        struct xenpv_ring_indexes *requests = all.plain.queue[0].ring.in;
        struct xenpv_ring_indexes *responses = all.plain.queue[0].ring.out;

        xenpv_store(&requests->event, rig_random(&seed) * 16777619u);
        if (round % 3 == 0)
            xenpv_store(&responses->event, rig_random(&seed) * 16777619u);
        queue_reads(1 + round % 7);
        xenpv_blkq_submit(all.rig.q);
        submits++;
        serve();
        take(1 + round % 7);
    }
    assert_in_range(all.notifications, 0, submits);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A9_crash_handler),
        cmocka_unit_test(test_seed_A9_after_a_recovery),
        cmocka_unit_test(test_notifications_sent),
        cmocka_unit_test(test_notifications_received),
        cmocka_unit_test(test_answers_in_parts),
        cmocka_unit_test(test_EV_10_wild_event_indexes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
