/* SPDX-License-Identifier: MIT */
/* Watches, over libxenstore and a scripted xenstored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <xen/io/xs_wire.h>

#include "port_rig.h"

#define PATIENCE 10000

/* Sleeps on the wait handle until the watch has fired; false when nothing comes for `ms`. */
static bool wait_for(const void *cookie, int ms)
{
    struct pollfd fd = {.fd = (int)port.store->wait_handle(port.ctx), .events = POLLIN};

    while (!port.store->fired(port.ctx, cookie))
        if (poll(&fd, 1, ms) == 0)
            return false;
    return true;
}

/*
 * Consumes what registration brings: the promised first poke, and xenstored's own event. That comes
 * before the answer to any later request.
 */
static void settle(const void *cookie)
{
    struct xenpv_store_op op = {.type = XENPV_STORE_MKDIR, .dir = "/d"};

    assert_int_equal(run_batch(&op, 1, false), 0);
    assert_true(port.store->fired(port.ctx, cookie));
    assert_false(port.store->fired(port.ctx, cookie));
}

static void test_watch(void **state)
{
    struct pollfd fd = {.fd = (int)port.store->wait_handle(port.ctx), .events = POLLIN};
    int one = 0, two = 0;

    (void)state;
    assert_int_equal(port.store->watch(port.ctx, "/1", &one), 0);
    settle(&one);
    assert_int_equal(port.store->watch(port.ctx, "/2", &two), 0);
    settle(&two);
    assert_int_equal(poll(&fd, 1, 0), 0);
    assert_false(port.store->fired(port.ctx, &one));

    assert_int_equal(xenstored_fire(server, "/1"), 1);
    assert_true(wait_for(&one, PATIENCE));
    assert_false(port.store->fired(port.ctx, &two));
    assert_false(port.store->fired(port.ctx, &one));
    assert_int_equal(poll(&fd, 1, 0), 0);

    /* An event that another watch's owner drained is not lost. */
    assert_int_equal(xenstored_fire(server, "/2"), 1);
    assert_int_equal(poll(&fd, 1, PATIENCE), 1);
    assert_false(port.store->fired(port.ctx, &one));
    assert_true(port.store->fired(port.ctx, &two));

    port.store->unwatch(port.ctx, "/1", &one);
    assert_int_equal(xenstored_fire(server, "/1"), 0);
    port.store->unwatch(port.ctx, "/2", &two);
}

static void test_new_watch_has_fired(void **state)
{
    int cookie = 0;

    (void)state;
    xenstored_keep_quiet(server);
    assert_int_equal(port.store->watch(port.ctx, "/1", &cookie), 0);
    assert_true(port.store->fired(port.ctx, &cookie));
    assert_false(port.store->fired(port.ctx, &cookie));
}

/* An event still queued for a watch that was removed does not fire its successor of the same
 * cookie. */
static void test_stale_event(void **state)
{
    struct pollfd fd = {.fd = (int)port.store->wait_handle(port.ctx), .events = POLLIN};
    int cookie = 0;

    (void)state;
    assert_int_equal(port.store->watch(port.ctx, "/1", &cookie), 0);
    settle(&cookie);
    assert_int_equal(xenstored_fire(server, "/1"), 1);
    assert_int_equal(poll(&fd, 1, PATIENCE), 1);
    port.store->unwatch(port.ctx, "/1", &cookie);
    xenstored_refuse(server, XS_WATCH, "ENOSPC");
    assert_int_equal(port.store->watch(port.ctx, "/1", &cookie), XENPV_ENOSPC);
    assert_false(port.store->fired(port.ctx, &cookie));
    assert_int_equal(poll(&fd, 1, 0), 0);
}

static void test_watch_quota(void **state)
{
    int cookie = 0;

    (void)state;
    xenstored_refuse(server, XS_WATCH, "E2BIG");
    assert_int_equal(port.store->watch(port.ctx, "/1", &cookie), XENPV_ENOSPC);
    xenstored_refuse(server, XS_WATCH, "EACCES");
    assert_int_equal(port.store->watch(port.ctx, "/1", &cookie), XENPV_EACCES);
    port.store->unwatch(port.ctx, "/1", &cookie);
    assert_string_equal(xenstored_requests(server), "4.0 /1|0|;4.0 /1|1|;");
}

/* ----------------------------------------------------------------------------------- changes -- */

static void assert_change(const void *cookie, const char *expected)
{
    char path[4096] = "";
    int rc = port.store->changed(port.ctx, cookie, path, sizeof(path));

    assert_int_equal(rc, expected != NULL);
    assert_string_equal(path, expected ? expected : "");
}

/* Requests are answered after the events before them, so these have all arrived by then. */
static void events_have_come(void)
{
    struct xenpv_store_op op = {.type = XENPV_STORE_MKDIR, .dir = "/d"};

    assert_int_equal(run_batch(&op, 1, false), 0);
}

static void test_changes(void **state)
{
    int one = 0, two = 0, none = 0;
    char small[5];

    (void)state;
    assert_int_equal(port.store->watch(port.ctx, "/one", &one), 0);
    assert_int_equal(port.store->watch(port.ctx, "two", &two), 0);
    events_have_come();
    assert_change(&one, "/one");
    assert_change(&one, NULL);
    xenstored_fire_at(server, "/one", "/one/a");
    xenstored_fire_at(server, "two", "two/b");
    xenstored_fire_at(server, "/one", "/one/c");
    xenstored_fire_at(server, "/one", "/one/a");
    events_have_come();
    assert_int_equal(port.store->changed(port.ctx, &one, small, sizeof(small)), XENPV_E2BIG);
    assert_change(&one, "/one/a");
    assert_change(&one, "/one/c");
    assert_change(&one, NULL);
    /* Paths and pokes are independent. */
    assert_true(port.store->fired(port.ctx, &one));
    assert_false(port.store->fired(port.ctx, &one));
    assert_change(&two, "two");
    assert_change(&two, "two/b");
    assert_change(&two, NULL);
    assert_true(port.store->fired(port.ctx, &two));
    assert_change(&none, NULL);
}

/* The oldest go first; who lost any is given the directory once for all, before what is left. */
static void test_changes_overflow(void **state)
{
    int one = 0, two = 0;
    char path[32];

    (void)state;
    xenstored_keep_quiet(server);
    assert_int_equal(port.store->watch(port.ctx, "/one", &one), 0);
    assert_int_equal(port.store->watch(port.ctx, "/two", &two), 0);
    xenstored_fire_at(server, "/two", "/two/x");
    for (int i = 0; i < 66; i++) {
        snprintf(path, sizeof(path), "/one/%d", i);
        xenstored_fire_at(server, "/one", path);
    }
    events_have_come();
    assert_change(&two, "/two");
    assert_change(&two, NULL);
    assert_change(&one, "/one");
    for (int i = 2; i < 66; i++) {
        snprintf(path, sizeof(path), "/one/%d", i);
        assert_change(&one, path);
    }
    assert_change(&one, NULL);
}

/* A path that is longer than there can be is lost, not kept. */
static void test_change_too_long(void **state)
{
    char path[3200];
    int one = 0;

    (void)state;
    xenstored_keep_quiet(server);
    assert_int_equal(port.store->watch(port.ctx, "/one", &one), 0);
    memset(path, 'p', sizeof(path));
    path[0] = '/';
    path[3073] = '\0';
    xenstored_fire_at(server, "/one", path);
    path[3072] = '\0';
    xenstored_fire_at(server, "/one", path);
    events_have_come();
    assert_change(&one, "/one");
    assert_change(&one, path);
    assert_change(&one, NULL);
}

/* What a watch has left behind is nothing to its successor of the same cookie. */
static void test_changes_of_an_old_watch(void **state)
{
    int one = 0;

    (void)state;
    xenstored_keep_quiet(server);
    assert_int_equal(port.store->watch(port.ctx, "/one", &one), 0);
    xenstored_fire_at(server, "/one", "/one/a");
    events_have_come();
    assert_true(port.store->fired(port.ctx, &one));
    port.store->unwatch(port.ctx, "/one", &one);
    assert_int_equal(port.store->watch(port.ctx, "/one", &one), 0);
    assert_change(&one, NULL);
}

/* 10^5 changes of one node while its owner looks now and then: nothing piles up. */
static void test_many_changes(void **state)
{
    enum { CHANGES = 100000, GLANCE = 500 };
    int one = 0;
    size_t before = 0;

    (void)state;
    assert_int_equal(port.store->watch(port.ctx, "/one", &one), 0);
    for (int i = 1; i <= CHANGES; i++) {
        xenstored_fire_at(server, "/one", "/one/a");
        if (i % GLANCE)
            continue;
        events_have_come();
        assert_true(port.store->fired(port.ctx, &one));
        xenstored_requests(server);
        if (i == CHANGES / 10)
            before = mallinfo2().uordblks;
    }
    assert_in_range(mallinfo2().uordblks, 0, before + 4096);
    assert_change(&one, "/one");
    assert_change(&one, "/one/a");
    assert_change(&one, NULL);
    assert_false(port.store->fired(port.ctx, &one));
}

/* Whose event was taken from the queue by somebody else's look is still woken. */
static void test_nobody_sleeps_through(void **state)
{
    struct pollfd fd = {.fd = (int)port.store->wait_handle(port.ctx), .events = POLLIN};
    int one = 0, two = 0;

    (void)state;
    xenstored_keep_quiet(server);
    assert_int_equal(port.store->watch(port.ctx, "/1", &one), 0);
    assert_int_equal(port.store->watch(port.ctx, "/2", &two), 0);
    assert_true(port.store->fired(port.ctx, &one));
    assert_true(port.store->fired(port.ctx, &two));
    xenstored_fire(server, "/1");
    events_have_come();
    assert_false(port.store->fired(port.ctx, &two));
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_true(port.store->fired(port.ctx, &one));
    assert_int_equal(poll(&fd, 1, 0), 0);
    /* One that goes away keeps nobody awake. */
    xenstored_fire(server, "/1");
    events_have_come();
    assert_false(port.store->fired(port.ctx, &two));
    port.store->unwatch(port.ctx, "/1", &one);
    assert_int_equal(poll(&fd, 1, 0), 0);
}

static void test_watches_refused_here(void **state)
{
    static const char *const paths[] = {"", "/a//b", "/a/", "/a b", "a*"};
    int cookie = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_int_equal(port.store->watch(port.ctx, paths[i], &cookie), XENPV_EINVAL);
    assert_string_equal(xenstored_requests(server), "");
    assert_int_equal(port.store->watch(port.ctx, "@releaseDomain", &cookie), 0);
    assert_string_equal(xenstored_requests(server), "4.0 @releaseDomain|0|;");
    events_have_come();
    assert_change(&cookie, "@releaseDomain");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_watch),
        TEST(test_new_watch_has_fired),
        TEST(test_stale_event),
        TEST(test_watch_quota),
        TEST(test_changes),
        TEST(test_changes_overflow),
        TEST(test_change_too_long),
        TEST(test_changes_of_an_old_watch),
        TEST(test_many_changes),
        TEST(test_nobody_sleeps_through),
        TEST(test_watches_refused_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
