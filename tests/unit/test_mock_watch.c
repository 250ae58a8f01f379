/* SPDX-License-Identifier: MIT */
/* Watches of the mock's store. */
#include "mock_store_fixture.h"

/* Cookies. */
static const char red, green;

static int try_watch(const struct xenpv_port *port, const char *dir, const void *cookie)
{
    return port->store->watch(port->ctx, dir, cookie);
}

static bool fired(const struct xenpv_port *port, const void *cookie)
{
    return port->store->fired(port->ctx, cookie);
}

/* Registers a watch and takes its first event. */
static void watch(const struct xenpv_port *port, const char *dir, const void *cookie)
{
    assert_int_equal(try_watch(port, dir, cookie), XENPV_OK);
    assert_true(fired(port, cookie));
    assert_false(fired(port, cookie));
}

static void unwatch(const struct xenpv_port *port, const char *dir, const void *cookie)
{
    port->store->unwatch(port->ctx, dir, cookie);
}

static void test_what_fires(void **state)
{
    static const struct {
        const char *watched;
        uint16_t domid; /* who makes the change */
        enum xenpv_store_type type;
        const char *changed;
        bool fires;
    } cases[] = {
        {"data/a", 7, XENPV_STORE_WRITE, "data/a", true},
        {"data/a", 0, XENPV_STORE_WRITE, "/local/domain/7/data/a", true},
        {"/local/domain/7/data/a", 7, XENPV_STORE_WRITE, "data/a", true},
        {"data/a", 7, XENPV_STORE_WRITE, "data/a/b", true},
        {"data/a", 7, XENPV_STORE_WRITE, "data/a/new/deep", true},
        {"data/a", 7, XENPV_STORE_WRITE, "data/ab", false},
        {"data/a", 7, XENPV_STORE_WRITE, "data/b", false},
        {"data/a/b", 7, XENPV_STORE_WRITE, "data/a", false}, /* a write above is none of its */
        {"data/a", 7, XENPV_STORE_READ, "data/a", false},
        {"data/a", 7, XENPV_STORE_MKDIR, "data/a", false}, /* is there already */
        {"data/a", 7, XENPV_STORE_MKDIR, "data/a/new", true},
        {"data/new", 7, XENPV_STORE_MKDIR, "data/new", true},
        {"data/new", 7, XENPV_STORE_WRITE, "data/new/deep", true},
        {"data/a", 7, XENPV_STORE_RM, "data/a", true},
        {"data/a", 7, XENPV_STORE_RM, "data/a/b", true},
        {"data/a/b", 7, XENPV_STORE_RM, "data/a", true},
        {"data/a/none", 7, XENPV_STORE_RM, "data/a", false}, /* was not there */
        {"data/a", 7, XENPV_STORE_RM, "data/none", false},
        {"/", 7, XENPV_STORE_WRITE, "data/a", true},
        {"/tool", 0, XENPV_STORE_WRITE, "/tool", false},    /* domain 7 may not read this */
        {"/", 0, XENPV_STORE_WRITE, "/tool", false},        /* nor this */
        {"/p", 0, XENPV_STORE_WRITE, "/p/secret/x", false}, /* nor this or its parent */
        {"/p", 0, XENPV_STORE_WRITE, "/p/secret", true},    /* the parent could be listed */
        {"/p/secret/x", 0, XENPV_STORE_RM, "/p", false},
        {"/p/secret", 0, XENPV_STORE_RM, "/p", true},
        {"/p/secret", 0, XENPV_STORE_RM, "/p/secret/x", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct machine m;

        machine_start(&m, &default_limits);

        const struct xenpv_port *port = cases[i].domid == 0 ? &m.dom0 : &m.guest;

        assert_int_equal(try_write(&m.guest, "data/a/b", "v"), XENPV_OK);
        assert_int_equal(xenpv_mock_write(m.mock, "/p/secret/x", "v"), XENPV_OK);
        assert_int_equal(xenpv_mock_set_perms(
                             m.mock, "/p", &(struct xenpv_mock_perms){.others = XENPV_MOCK_READ}),
                         XENPV_OK);
        watch(&m.guest, cases[i].watched, &red);
        watch(&m.other, cases[i].watched, &green);
        if (cases[i].type == XENPV_STORE_WRITE)
            assert_int_equal(try_write(port, cases[i].changed, "new"), XENPV_OK);
        else
            assert_int_equal(try_other(port, cases[i].type, cases[i].changed), XENPV_OK);
        if (fired(&m.guest, &red) != cases[i].fires)
            fail_msg("case %zu: fires %d", i, cases[i].fires);
        assert_false(fired(&m.guest, &red));
        if (cases[i].watched[0] != '/' || cases[i].domid == 7)
            assert_false(fired(&m.other, &green)); /* its own tree, or what it may not see */
        machine_stop(&m, 0);
    }
}

static void test_registration(void **state)
{
    static const struct {
        const char *dir;
        int expected;
    } cases[] = {
        {"data", XENPV_EEXIST}, {"data/", XENPV_EINVAL}, {"", XENPV_EINVAL},
        {"a.b", XENPV_EINVAL},  {"/none", XENPV_OK},     {"@releaseDomain", XENPV_OK},
        {"@nothing", XENPV_OK}, {"/tool", XENPV_OK},     {"missing/deep", XENPV_OK},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    watch(&m.guest, "device", &red);
    assert_int_equal(try_watch(&m.guest, "data", &red), XENPV_EEXIST); /* a cookie is one watch */
    for (size_t i = 1; i < COUNT(cases); i++) {
        assert_int_equal(try_watch(&m.guest, cases[i].dir, &green), cases[i].expected);
        assert_int_equal(fired(&m.guest, &green), cases[i].expected == XENPV_OK);
        if (cases[i].expected == XENPV_OK)
            unwatch(&m.guest, cases[i].dir, &green);
        assert_int_equal(ledger_of(&m, 7).watches, 1);
    }
    unwatch(&m.guest, "data", &red); /* not what it watches */
    unwatch(&m.guest, "device", &green);
    assert_int_equal(ledger_of(&m, 7).watches, 1);
    unwatch(&m.guest, "device", &red);
    assert_false(fired(&m.guest, &red));
    assert_holds_nothing(&m, 7);
    machine_stop(&m, 2);
}

static void test_quota(void **state)
{
    static const char cookies[3];
    struct machine m;

    (void)state;
    machine_start(&m, &(struct xenpv_mock_limits){.store_watches = 1}); /* and one more */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(try_watch(&m.guest, "data", &cookies[i]), i < 2 ? XENPV_OK : XENPV_ENOSPC);
        assert_int_equal(try_watch(&m.dom0, "/tool", &cookies[i]), XENPV_OK);
    }
    unwatch(&m.guest, "data", &cookies[0]);
    m.fail_in = 1;
    assert_int_equal(try_watch(&m.guest, "data", &cookies[2]), XENPV_ENOMEM);
    watch(&m.guest, "data", &cookies[2]);
    assert_int_equal(m.guest.store->wait_handle(m.guest.ctx), XENPV_NO_HANDLE);
    machine_stop(&m, 0);
}

static void test_transaction_fires_when_it_takes_effect(void **state)
{
    char value[] = "v";
    struct machine m;
    struct xenpv_store_op ops[] = {WRITE("data/a", value), WRITE("data/a", value),
                                   WRITE("device/x", value)};
    struct xenpv_store_batch batch = {.ops = ops, .count = 3, .transaction = true};

    (void)state;
    machine_start(&m, &default_limits);
    watch(&m.guest, "data/a", &red);
    m.guest.store->start(m.guest.ctx, &batch);
    assert_int_equal(batch.status, XENPV_EACCES);
    assert_false(fired(&m.guest, &red));
    assert_int_equal(try_write(&m.guest, "data/b", "v"), XENPV_OK); /* nor with the next one */
    assert_false(fired(&m.guest, &red));
    batch.count = 2;
    xenpv_mock_set_conflicts(m.mock, 7, 1);
    m.guest.store->start(m.guest.ctx, &batch);
    assert_int_equal(batch.status, XENPV_EAGAIN);
    assert_false(fired(&m.guest, &red));
    m.guest.store->start(m.guest.ctx, &batch);
    assert_int_equal(batch.status, XENPV_OK);
    assert_true(fired(&m.guest, &red));
    assert_false(fired(&m.guest, &red));
    machine_stop(&m, 0);
}

static void test_failed_operation_does_not_fire(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    watch(&m.dom0, "/", &red);
    assert_int_equal(try_write(&m.guest, "device/x", "v"), XENPV_EACCES);
    assert_false(fired(&m.dom0, &red));
    m.fail_in = 2;
    assert_int_equal(try_write(&m.guest, "data/x", "v"), XENPV_ENOMEM);
    assert_false(fired(&m.dom0, &red));
    assert_int_equal(try_write(&m.guest, "data/x", "v"), XENPV_OK);
    assert_true(fired(&m.dom0, &red));
    machine_stop(&m, 0);
}

static void test_new_permissions_fire(void **state)
{
    const struct xenpv_mock_perms open = {.others = XENPV_MOCK_READ}, closed = {0};
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    watch(&m.guest, "/tool", &red);
    assert_int_equal(xenpv_mock_set_perms(m.mock, "/tool", &closed), XENPV_OK);
    assert_false(fired(&m.guest, &red));
    assert_int_equal(xenpv_mock_set_perms(m.mock, "/tool", &open), XENPV_OK);
    assert_true(fired(&m.guest, &red));
    assert_int_equal(xenpv_mock_set_perms(m.mock, "/tool", &closed), XENPV_OK);
    assert_true(fired(&m.guest, &red)); /* it could read it until now */
    machine_stop(&m, 0);
}

/* All paths that a watch was poked for, as "a b c". */
static void assert_changed(const struct xenpv_port *port, const void *cookie, const char *expected)
{
    char all[256] = "", path[64];
    int got;

    while ((got = port->store->changed(port->ctx, cookie, path, sizeof(path))) == 1) {
        strncat(all, all[0] != '\0' ? " " : "", sizeof(all) - strlen(all) - 1);
        strncat(all, path, sizeof(all) - strlen(all) - 1);
    }
    assert_int_equal(got, 0);
    assert_string_equal(all, expected);
}

static void test_paths_of_changes(void **state)
{
    char path[8];
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(try_watch(&m.guest, "data", &red), XENPV_OK);
    assert_int_equal(try_watch(&m.guest, "/local/domain/7/data", &green), XENPV_OK);
    assert_changed(&m.guest, &red, "data");
    assert_changed(&m.guest, &green, "/local/domain/7/data");
    assert_int_equal(try_write(&m.guest, "data/a/b", "v"), XENPV_OK);
    assert_int_equal(try_write(&m.guest, "data/c", "v"), XENPV_OK);
    assert_int_equal(try_write(&m.guest, "data/c", "w"), XENPV_OK); /* one is enough */
    assert_int_equal(try_other(&m.guest, XENPV_STORE_RM, "data"), XENPV_OK);
    assert_int_equal(m.guest.store->changed(m.guest.ctx, &red, path, 8), XENPV_E2BIG);
    assert_changed(&m.guest, &red, "data/a/b data/c data");
    assert_true(fired(&m.guest, &red));
    unwatch(&m.guest, "/local/domain/7/data", &green);
    assert_changed(&m.guest, &green, "");
    assert_changed(&m.guest, &red, "");
    assert_int_equal(xenpv_mock_suspend(m.mock, 7), XENPV_OK);
    assert_changed(&m.guest, &red, "data");
    machine_stop(&m, 0);
}

static void test_lost_paths_of_changes(void **state)
{
    char path[32];
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(try_watch(&m.guest, "data/x", &green), XENPV_OK);
    assert_int_equal(try_watch(&m.guest, "data", &red), XENPV_OK);
    for (int i = 0; i < 64; i++) { /* with the first of both, two more than are kept */
        snprintf(path, sizeof(path), "data/%d", i);
        assert_int_equal(try_write(&m.guest, path, "v"), XENPV_OK);
    }
    assert_changed(&m.guest, &green, "data/x"); /* DIR itself */
    assert_changed(&m.guest, &green, "");
    assert_int_equal(m.guest.store->changed(m.guest.ctx, &red, path, sizeof(path)), 1);
    assert_string_equal(path, "data"); /* it stands for what was lost */
    for (int i = 0; i < 64; i++) {
        char expected[32];

        snprintf(expected, sizeof(expected), "data/%d", i);
        assert_int_equal(m.guest.store->changed(m.guest.ctx, &red, path, sizeof(path)), 1);
        assert_string_equal(path, expected);
    }
    assert_changed(&m.guest, &red, "");
    m.fail_in = 4; /* the record, its place in the operation, two; the path of the change */
    assert_int_equal(try_write(&m.guest, "data/0", "w"), XENPV_OK);
    assert_int_equal(m.fail_in, 0);
    assert_true(fired(&m.guest, &red));
    assert_changed(&m.guest, &red, "data");
    machine_stop(&m, 0);
}

static void test_special_watches(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    watch(&m.dom0, "@introduceDomain", &red);
    watch(&m.dom0, "@releaseDomain", &green);
    watch(&m.guest, "@releaseDomain", &green);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 9), XENPV_OK);
    assert_true(fired(&m.dom0, &red));
    assert_false(fired(&m.dom0, &green));
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 9), XENPV_OK);
    assert_false(fired(&m.dom0, &red));
    assert_true(fired(&m.dom0, &green));
    assert_false(fired(&m.guest, &green)); /* only for the privileged */
    assert_int_equal(set_perms(&m.guest, "@releaseDomain", TEXT("n0\0r7")), XENPV_EACCES);
    assert_int_equal(set_perms(&m.dom0, "@other", TEXT("n0\0r7")), XENPV_EINVAL);
    assert_int_equal(set_perms(&m.dom0, "@releaseDomain", TEXT("n0\0r7")), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 9), XENPV_OK);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 9), XENPV_OK);
    assert_true(fired(&m.guest, &green)); /* or who was given it */
    machine_stop(&m, 0);
}

static void test_suspend_and_death(void **state)
{
    const struct xenpv_mock_vbd vbd = {.frontend = 7, .backend = 8, .vdev = 51712, .params = "/d"};
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_add_vbd(m.mock, &vbd), XENPV_OK);
    watch(&m.guest, "/local/domain/8/backend/vbd/7/51712/state", &red);
    watch(&m.other, "/local/domain/7/device/vbd/51712/state", &green);
    assert_int_equal(xenpv_mock_suspend(m.mock, 9), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_suspend(m.mock, 7), XENPV_OK);
    assert_true(fired(&m.guest, &red));
    assert_false(fired(&m.other, &green));
    assert_int_equal(xenpv_mock_suspend(m.mock, 7), XENPV_OK);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 7), XENPV_OK);
    assert_true(fired(&m.other, &green)); /* the frontend's directory went with its owner */
    assert_int_equal(try_watch(&m.guest, "data", &green), XENPV_ESTORE);
    assert_false(fired(&m.guest, &red));
    unwatch(&m.guest, "/local/domain/8/backend/vbd/7/51712/state", &red);
    machine_stop(&m, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fires),
        cmocka_unit_test(test_registration),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_transaction_fires_when_it_takes_effect),
        cmocka_unit_test(test_failed_operation_does_not_fire),
        cmocka_unit_test(test_new_permissions_fire),
        cmocka_unit_test(test_paths_of_changes),
        cmocka_unit_test(test_lost_paths_of_changes),
        cmocka_unit_test(test_special_watches),
        cmocka_unit_test(test_suspend_and_death),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
