/* SPDX-License-Identifier: MIT */
/* Store batches, watches and the suspend generation, over libxenstore and a scripted xenstored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <xen/io/xs_wire.h>

#include <xenpv/linux.h>

#include "xenstored.h"

#define PATIENCE 10000

static struct xenstored *server;
static struct xenpv_linux *handle;
static struct xenpv_port port;

/* Calls ->generation until the port has read `domid` again, and answers the generation then. */
static uint32_t generation_after_read(unsigned reads)
{
    uint64_t deadline = xenpv_linux_now() + PATIENCE;

    while (xenstored_domid_reads(server) == reads) {
        assert_true(xenpv_linux_now() < deadline);
        port.sys->generation(port.ctx);
    }
    return port.sys->generation(port.ctx);
}

/* Opens the port, and lets it digest what registering its own watch brings. */
static int set_up(void **state)
{
    (void)state;
    server = xenstored_start();
    assert_int_equal(xenpv_linux_open_store(&handle, &port, NULL), 0);
    generation_after_read(1);
    xenstored_requests(server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    xenpv_linux_close(handle);
    xenstored_stop(server);
    return 0;
}

static int run_batch(struct xenpv_store_op *ops, uint32_t count, bool transaction)
{
    struct xenpv_store_batch batch = {.ops = ops, .count = count, .transaction = transaction};

    batch.status = 1;
    for (uint32_t i = 0; i < count; i++)
        ops[i].status = 1;
    assert_int_equal(port.store->start(port.ctx, &batch), 0);
    return batch.status;
}

static void test_one_request_per_operation(void **state)
{
    char value[16], names[16], bytes[] = {'v', 0, 'w'};
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_READ, .dir = "/a/b", .name = "c", .value = value, .capacity = 16},
        {.type = XENPV_STORE_LIST, .dir = "rel/dir", .value = names, .capacity = 16},
        {.type = XENPV_STORE_WRITE, .dir = "rel", .name = "x/y", .value = bytes, .length = 3},
        {.type = XENPV_STORE_MKDIR, .dir = "/m"},
        {.type = XENPV_STORE_RM, .dir = "/r", .name = "n"},
    };

    (void)state;
    xenstored_answer(server, XS_READ, "va\0ue", 5);
    xenstored_answer(server, XS_DIRECTORY, "one\0two", 8);
    assert_int_equal(run_batch(ops, 5, false), 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ops[i].status, 0);
    assert_int_equal(ops[0].length, 5);
    assert_memory_equal(value, "va\0ue", 5);
    assert_int_equal(ops[1].length, 8);
    assert_memory_equal(names, "one\0two", 8);
    assert_string_equal(xenstored_requests(server),
                        "2.0 /a/b/c|;1.0 rel/dir|;11.0 rel/x/y|v|w;12.0 /m|;13.0 /r/n|;");
}

/* A value larger than the buffer is cut, and its true length told; beyond the buffer is untouched.
 */
static void test_cut_values(void **state)
{
    static const struct {
        uint32_t capacity, length;
        int status;
        const char *bytes;
    } cases[] = {
        {8, 8, 0, "one\0two\0##"},
        {7, 8, XENPV_E2BIG, "one\0two###"},
        {4, 8, XENPV_E2BIG, "one\0######"},
        {0, 8, XENPV_E2BIG, "##########"},
    };
    char value[10];
    struct xenpv_store_op op = {.dir = "/d", .value = value};

    (void)state;
    xenstored_answer(server, XS_READ, "one\0two", 8);
    xenstored_answer(server, XS_DIRECTORY, "one\0two", 8);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (op.type = XENPV_STORE_READ; op.type <= XENPV_STORE_LIST; op.type++) {
            memset(value, '#', sizeof(value));
            op.capacity = cases[i].capacity;
            assert_int_equal(run_batch(&op, 1, false), 0);
            assert_int_equal(op.status, cases[i].status);
            assert_int_equal(op.length, cases[i].length);
            assert_memory_equal(value, cases[i].bytes, sizeof(value));
        }
    }
}

static void test_empty_values(void **state)
{
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_READ, .dir = "/d"},
        {.type = XENPV_STORE_LIST, .dir = "/d"},
        {.type = XENPV_STORE_WRITE, .dir = "/d"},
    };

    (void)state;
    xenstored_answer(server, XS_READ, "", 0);
    xenstored_answer(server, XS_DIRECTORY, "", 0);
    ops[0].length = ops[1].length = 99;
    assert_int_equal(run_batch(ops, 3, false), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ops[i].status, 0);
        assert_int_equal(ops[i].length, 0);
    }
    assert_string_equal(xenstored_requests(server), "2.0 /d|;1.0 /d|;11.0 /d|;");
}

static void test_errors(void **state)
{
    static const struct {
        const char *name;
        int error;
    } cases[] = {
        {"EINVAL", XENPV_EINVAL}, {"EACCES", XENPV_EACCES},  {"EEXIST", XENPV_EEXIST},
        {"ENOENT", XENPV_ENOENT}, {"ENOMEM", XENPV_ENOMEM},  {"ENOSPC", XENPV_ENOSPC},
        {"E2BIG", XENPV_E2BIG},   {"EPERM", XENPV_EACCES},   {"EROFS", XENPV_EACCES},
        {"EBUSY", XENPV_EBUSY},   {"EAGAIN", XENPV_EAGAIN},  {"ENOSYS", XENPV_ENOTSUP},
        {"EIO", XENPV_ESTORE},    {"EISCONN", XENPV_ESTORE}, {"ENONSENSE", XENPV_EINVAL},
    };
    struct xenpv_store_op op = {.type = XENPV_STORE_MKDIR, .dir = "/d"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        xenstored_refuse(server, XS_MKDIR, cases[i].name);
        run_batch(&op, 1, false);
        assert_int_equal(op.status, cases[i].error);
    }
}

/* One that fails does not stop the next. */
static void test_operations_stand_alone(void **state)
{
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_RM, .dir = "/1"},
        {.type = XENPV_STORE_READ, .dir = "/2"},
        {.type = XENPV_STORE_MKDIR, .dir = "/3"},
    };

    (void)state;
    xenstored_refuse(server, XS_RM, "EACCES");
    xenstored_refuse(server, XS_READ, "ENOENT");
    assert_int_equal(run_batch(ops, 3, false), 0);
    assert_int_equal(ops[0].status, XENPV_EACCES);
    assert_int_equal(ops[1].status, XENPV_ENOENT);
    assert_int_equal(ops[2].status, 0);
}

static void test_long_paths(void **state)
{
    char name[600];
    struct xenpv_store_op op = {.type = XENPV_STORE_MKDIR, .dir = "/d", .name = name};

    (void)state;
    memset(name, 'n', sizeof(name));
    name[599] = '\0';
    assert_int_equal(run_batch(&op, 1, false), 0);
    assert_int_equal(op.status, XENPV_E2BIG);
    assert_string_equal(xenstored_requests(server), "");
}

static void test_transaction(void **state)
{
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_READ, .dir = "/1"},
        {.type = XENPV_STORE_MKDIR, .dir = "/2"},
    };

    (void)state;
    xenstored_refuse(server, XS_READ, "ENOENT");
    assert_int_equal(run_batch(ops, 2, true), 0);
    assert_int_equal(ops[0].status, XENPV_ENOENT);
    assert_int_equal(ops[1].status, 0);
    assert_string_equal(xenstored_requests(server), "6.0 |;2.5 /1|;12.5 /2|;7.5 T|;");
}

static void test_transaction_given_up(void **state)
{
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_MKDIR, .dir = "/1"},
        {.type = XENPV_STORE_RM, .dir = "/2"},
        {.type = XENPV_STORE_MKDIR, .dir = "/3"},
    };

    (void)state;
    xenstored_refuse(server, XS_RM, "EACCES");
    assert_int_equal(run_batch(ops, 3, true), XENPV_EACCES);
    assert_int_equal(ops[0].status, 0);
    assert_int_equal(ops[1].status, XENPV_EACCES);
    assert_int_equal(ops[2].status, XENPV_EACCES);
    assert_string_equal(xenstored_requests(server), "6.0 |;12.5 /1|;13.5 /2|;7.5 F|;");
}

static void test_transaction_conflict(void **state)
{
    struct xenpv_store_op op = {.type = XENPV_STORE_MKDIR, .dir = "/1"};

    (void)state;
    xenstored_refuse(server, XS_TRANSACTION_END, "EAGAIN");
    assert_int_equal(run_batch(&op, 1, true), XENPV_EAGAIN);
    /* One attempt: to try again is the caller's business. */
    assert_string_equal(xenstored_requests(server), "6.0 |;12.5 /1|;7.5 T|;");
}

static void test_transaction_refused(void **state)
{
    struct xenpv_store_op op = {.type = XENPV_STORE_MKDIR, .dir = "/1"};

    (void)state;
    xenstored_refuse(server, XS_TRANSACTION_START, "ENOSPC");
    assert_int_equal(run_batch(&op, 1, true), XENPV_ENOSPC);
    assert_int_equal(op.status, XENPV_ENOSPC);
    assert_string_equal(xenstored_requests(server), "6.0 |;");
}

static void test_lost_connection(void **state)
{
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_READ, .dir = "/1"},
        {.type = XENPV_STORE_MKDIR, .dir = "/2"},
    };
    int cookie = 0;

    (void)state;
    xenstored_hang_up(server);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run_batch(ops, 2, i & 1), XENPV_ESTORE);
        assert_int_equal(ops[0].status, XENPV_ESTORE);
        assert_int_equal(ops[1].status, XENPV_ESTORE);
    }
    assert_int_equal(port.store->watch(port.ctx, "/w", &cookie), XENPV_ESTORE);
    assert_false(port.store->fired(port.ctx, &cookie));
    assert_int_equal(port.sys->generation(port.ctx), 0);
}

/* A connection that breaks under a request looks to libxenstore like a malformed one. */
static void test_connection_breaks_under_request(void **state)
{
    struct xenpv_store_op op = {.type = XENPV_STORE_MKDIR, .dir = "/1"};
    int cookie = 0;

    (void)state;
    assert_int_equal(port.store->watch(port.ctx, "/w", &cookie), 0);
    xenstored_hang_up_on(server, XS_MKDIR);
    assert_int_equal(run_batch(&op, 1, false), XENPV_ESTORE);
    assert_int_equal(op.status, XENPV_ESTORE);
}

/* ----------------------------------------------------------------------------------- watches -- */

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
    assert_int_equal(port.store->watch(port.ctx, "/1", &cookie), XENPV_E2BIG);
    xenstored_refuse(server, XS_WATCH, "EACCES");
    assert_int_equal(port.store->watch(port.ctx, "/1", &cookie), XENPV_EACCES);
    port.store->unwatch(port.ctx, "/1", &cookie);
    assert_string_equal(xenstored_requests(server), "4.0 /1|0|;4.0 /1|1|;");
}

/* -------------------------------------------------------------------------------- generation -- */

static uint32_t generation_after_poke(const char *domid)
{
    unsigned reads = xenstored_domid_reads(server);

    xenstored_set_domid(server, domid);
    assert_int_equal(xenstored_fire(server, "domid"), 1);
    return generation_after_read(reads);
}

static void test_generation(void **state)
{
    static const struct {
        const char *domid;
        uint32_t generation;
    } steps[] = {
        {"7", 0},     /* a checkpoint: the same domain */
        {"9", 1},     /* a restore */
        {"9", 1},     /* told twice */
        {"junk", 1},  /* nonsense is no restore */
        {"70000", 1}, /* nor is what cannot be a domain */
        {"12", 2},    /* a second restore */
        {"7", 3},     /* and back: another domain again */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        assert_int_equal(generation_after_poke(steps[i].domid), steps[i].generation);
}

/* Looking costs nothing while nothing has changed: the store is not asked. */
static void test_generation_is_cheap(void **state)
{
    unsigned reads;

    (void)state;
    reads = xenstored_domid_reads(server);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(port.sys->generation(port.ctx), 0);
    assert_int_equal(xenstored_domid_reads(server), reads);
}

/* A `domid` that could not be read is read again, without another poke; a missing one is not. */
static void test_generation_retries(void **state)
{
    unsigned reads;

    (void)state;
    assert_int_equal(generation_after_poke("junk"), 0);
    xenstored_set_domid(server, "8");
    assert_int_equal(port.sys->generation(port.ctx), 1);
    assert_int_equal(generation_after_poke(""), 1);
    reads = xenstored_domid_reads(server);
    xenstored_set_domid(server, "9");
    assert_int_equal(port.sys->generation(port.ctx), 1);
    assert_int_equal(xenstored_domid_reads(server), reads);
    assert_int_equal(generation_after_poke("9"), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_one_request_per_operation),
        TEST(test_cut_values),
        TEST(test_empty_values),
        TEST(test_errors),
        TEST(test_operations_stand_alone),
        TEST(test_long_paths),
        TEST(test_transaction),
        TEST(test_transaction_given_up),
        TEST(test_transaction_conflict),
        TEST(test_transaction_refused),
        TEST(test_lost_connection),
        TEST(test_connection_breaks_under_request),
        TEST(test_new_watch_has_fired),
        TEST(test_watch),
        TEST(test_stale_event),
        TEST(test_watch_quota),
        TEST(test_generation),
        TEST(test_generation_is_cheap),
        TEST(test_generation_retries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
