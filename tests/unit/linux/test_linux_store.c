/* SPDX-License-Identifier: MIT */
/* Store batches and the suspend generation, over libxenstore and a scripted xenstored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <xen/io/xs_wire.h>

#include "port_rig.h"

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
        {"EINVAL", XENPV_EINVAL}, {"EACCES", XENPV_EACCES},    {"EEXIST", XENPV_EEXIST},
        {"ENOENT", XENPV_ENOENT}, {"ENOMEM", XENPV_ENOMEM},    {"ENOSPC", XENPV_ENOSPC},
        {"E2BIG", XENPV_E2BIG},   {"EPERM", XENPV_EACCES},     {"EROFS", XENPV_EACCES},
        {"EBUSY", XENPV_EBUSY},   {"EAGAIN", XENPV_EAGAIN},    {"ENOSYS", XENPV_ENOTSUP},
        {"EIO", XENPV_EIO},       {"EISCONN", XENPV_EBUSY},    {"ENONSENSE", XENPV_EINVAL},
        {"EISDIR", XENPV_EINVAL}, {"ENOTEMPTY", XENPV_EINVAL},
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

/* A path that no message takes is refused here, and the longest there may be gets through. */
static void test_long_paths(void **state)
{
    static const struct {
        const char *dir;
        size_t name;
        int status;
    } cases[] = {{"/d", 600, 0},
                 {"/d", 3069, 0},
                 {"/d", 3070, XENPV_E2BIG},
                 {"d", 2046, 0},
                 {"d", 2047, XENPV_E2BIG},
                 {"/d/", 1, XENPV_EINVAL},
                 {"", 1, 0},
                 {"/d//d", 1, XENPV_EINVAL},
                 {"/d d", 1, XENPV_EINVAL}};
    char name[4000];
    struct xenpv_store_op op = {.type = XENPV_STORE_MKDIR, .name = name};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(name, 'n', sizeof(name));
        name[cases[i].name] = '\0';
        op.dir = cases[i].dir;
        assert_int_equal(run_batch(&op, 1, false), 0);
        assert_int_equal(op.status, cases[i].status);
        assert_int_equal(xenstored_requests(server)[0] == '\0', cases[i].status != 0);
    }
}

static void test_permissions(void **state)
{
    static const char perms[] = "n0\0r7\0w65535\0b12";
    char value[32];
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_GET_PERMS, .dir = "/d", .value = value, .capacity = 32},
        {.type = XENPV_STORE_GET_PERMS, .dir = "/d", .value = value, .capacity = 5},
        {.type = XENPV_STORE_SET_PERMS,
         .dir = "/d",
         .name = "n",
         .value = value,
         .length = sizeof(perms)},
        {.type = XENPV_STORE_SET_PERMS, .dir = "/d", .value = value, .length = 2},
    };

    (void)state;
    xenstored_answer(server, XS_GET_PERMS, perms, sizeof(perms));
    assert_int_equal(run_batch(ops, 1, false), 0);
    assert_int_equal(ops[0].status, 0);
    assert_int_equal(ops[0].length, sizeof(perms));
    assert_memory_equal(value, perms, sizeof(perms));
    run_batch(&ops[2], 2, false);
    assert_int_equal(ops[2].status, 0);
    assert_int_equal(ops[3].status, XENPV_EINVAL); /* no NUL at its end: not sent */
    run_batch(&ops[1], 1, false);
    assert_int_equal(ops[1].status, XENPV_E2BIG);
    assert_int_equal(ops[1].length, sizeof(perms));
    assert_string_equal(xenstored_requests(server), "3.0 /d|;14.0 /d/n|n0|r7|w65535|b12|;3.0 /d|;");
    xenstored_refuse(server, XS_GET_PERMS, "EACCES");
    xenstored_refuse(server, XS_SET_PERMS, "ENOENT");
    run_batch(ops, 3, false);
    assert_int_equal(ops[0].status, XENPV_EACCES);
    assert_int_equal(ops[0].length, 0);
    assert_int_equal(ops[2].status, XENPV_ENOENT);
}

static void test_domains(void **state)
{
    char path[32], known[4];
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "7", .value = path, .capacity = 32},
        {.type = XENPV_STORE_INTRODUCED, .dir = "7", .value = known, .capacity = 4},
        {.type = XENPV_STORE_INTRODUCED, .dir = "70000", .value = known, .capacity = 4},
    };

    (void)state;
    xenstored_answer(server, XS_GET_DOMAIN_PATH, "/local/domain/7", 16);
    xenstored_answer(server, XS_IS_DOMAIN_INTRODUCED, "T", 2);
    assert_int_equal(run_batch(ops, 3, false), 0);
    assert_int_equal(ops[0].status, 0);
    assert_int_equal(ops[0].length, 15);
    assert_memory_equal(path, "/local/domain/7", 15);
    assert_int_equal(ops[1].status, 0);
    assert_int_equal(ops[1].length, 1);
    assert_int_equal(known[0], 'T');
    assert_int_equal(ops[2].status, XENPV_EINVAL);
    xenstored_answer(server, XS_IS_DOMAIN_INTRODUCED, "F", 2);
    run_batch(&ops[1], 1, false);
    assert_int_equal(ops[1].status, 0);
    assert_int_equal(known[0], 'F');
    xenstored_refuse(server, XS_IS_DOMAIN_INTRODUCED, "EACCES");
    run_batch(&ops[1], 1, false);
    assert_int_equal(ops[1].status, XENPV_EACCES);
    assert_string_equal(xenstored_requests(server), "10.0 7|;17.0 7|;17.0 7|;17.0 7|;");
}

/* They are answers like a failed read, but cannot be had there. */
static void test_domains_in_a_transaction(void **state)
{
    char value[32], perms[] = "n7";
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "7", .value = value, .capacity = 32},
        {.type = XENPV_STORE_INTRODUCED, .dir = "7", .value = value, .capacity = 32},
        {.type = XENPV_STORE_GET_PERMS, .dir = "/d", .value = value, .capacity = 32},
        {.type = XENPV_STORE_SET_PERMS, .dir = "/d", .value = perms, .length = 3},
    };

    (void)state;
    xenstored_refuse(server, XS_GET_PERMS, "EACCES");
    assert_int_equal(run_batch(ops, 4, true), 0);
    assert_int_equal(ops[0].status, XENPV_EINVAL);
    assert_int_equal(ops[1].status, XENPV_EINVAL);
    assert_int_equal(ops[2].status, XENPV_EACCES);
    assert_string_equal(xenstored_requests(server), "6.0 |;3.5 /d|;14.5 /d|n7|;7.5 T|;");
    xenstored_refuse(server, XS_SET_PERMS, "EACCES");
    assert_int_equal(run_batch(ops, 4, true), XENPV_EACCES);
    assert_string_equal(xenstored_requests(server), "6.0 |;3.5 /d|;14.5 /d|n7|;7.5 F|;");
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
        TEST(test_permissions),
        TEST(test_domains),
        TEST(test_domains_in_a_transaction),
        TEST(test_transaction),
        TEST(test_transaction_given_up),
        TEST(test_transaction_conflict),
        TEST(test_transaction_refused),
        TEST(test_lost_connection),
        TEST(test_connection_breaks_under_request),
        TEST(test_generation),
        TEST(test_generation_is_cheap),
        TEST(test_generation_retries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
