/* SPDX-License-Identifier: MIT */
/* Permission lists of the mock's store: how they are written, who may set them, and what they do. */
#include "mock_store_fixture.h"

static void assert_perms(const struct xenpv_port *port, const char *path, const char *text,
                         uint32_t length)
{
    char value[64] = {0};
    struct xenpv_store_op op = {
        .type = XENPV_STORE_GET_PERMS, .dir = path, .value = value, .capacity = sizeof(value)};

    assert_int_equal(run_one(port, &op), XENPV_OK);
    assert_int_equal(op.length, length);
    assert_memory_equal(value, text, length);
}

static void test_lists(void **state)
{
    static const struct {
        uint16_t domid;
        const char *path, *text;
        uint32_t length;
        int expected;
    } cases[] = {
        {0, "/tool", TEXT("n0"), XENPV_OK},
        {0, "/tool", TEXT("r7"), XENPV_OK},
        {0, "/tool", TEXT("n0\0r7\0w8\0b0\0n7\0r8"), XENPV_OK}, /* dom0 has no limit */
        {0, "/tool", TEXT("n99"), XENPV_ENOENT},                /* an owner that is not there */
        {0, "/tool", TEXT("n0\0r99"), XENPV_OK},
        {0, "/tool", "n0", 2, XENPV_EINVAL}, /* no NUL */
        {0, "/tool", "", 0, XENPV_EINVAL},
        {0, "/tool", TEXT(""), XENPV_EINVAL},
        {0, "/tool", TEXT("n"), XENPV_EINVAL},
        {0, "/tool", TEXT("x7"), XENPV_EINVAL},
        {0, "/tool", TEXT("n7x"), XENPV_EINVAL},
        {0, "/tool", TEXT("n0\0"), XENPV_EINVAL},
        {0, "/tool", TEXT("n0x"), XENPV_EINVAL},
        {0, "/tool", TEXT("n08"), XENPV_EINVAL}, /* octal */
        {0, "/tool", TEXT("n07"), XENPV_OK},
        {0, "/tool", TEXT("n0x7"), XENPV_OK},
        {0, "/tool", TEXT("n4294967303"), XENPV_EINVAL}, /* 2^32 + 7 */
        {0, "/tool", TEXT("n65543"), XENPV_ENOENT},      /* 2^16 + 7 */
        {0, "/tool/none", TEXT("n0"), XENPV_ENOENT},
        {0, "bad//path", TEXT("n0"), XENPV_EINVAL},
        {7, "data", TEXT("n7\0r8\0r0\0r8\0r8"), XENPV_OK},
        {7, "data", TEXT("n7\0r8\0r0\0r8\0r8\0r8"), XENPV_ENOSPC},
        {7, "data", TEXT("x\0x\0x\0x\0x\0x"), XENPV_ENOSPC}, /* the quota is asked first */
        {7, "data", TEXT("n8"), XENPV_EACCES},               /* it may not give it away */
        {7, "device", TEXT("n7"), XENPV_EACCES},             /* not its own */
        {7, "/vm", TEXT("n7"), XENPV_EACCES},
        {7, "none", TEXT("n7"), XENPV_EACCES},
        {7, "data/none", TEXT("n7"), XENPV_ENOENT},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    for (size_t i = 0; i < COUNT(cases); i++) {
        int err = set_perms(cases[i].domid == 0 ? &m.dom0 : &m.guest, cases[i].path, cases[i].text,
                            cases[i].length);

        if (err != cases[i].expected)
            fail_msg("case %zu: %d instead of %d", i, err, cases[i].expected);
    }
    assert_perms(&m.guest, "data", TEXT("n7\0r8\0r0\0r8\0r8"));
    assert_perms(&m.dom0, "/tool", TEXT("n7"));
    machine_stop(&m, 0);
}

static void test_asking(void **state)
{
    char value[6];
    struct machine m;
    struct xenpv_store_op op = {
        .type = XENPV_STORE_GET_PERMS, .dir = "data", .value = value, .capacity = 5};

    (void)state;
    machine_start(&m, &default_limits);
    assert_perms(&m.guest, "data", TEXT("n7"));
    assert_perms(&m.guest, "device", TEXT("n0\0r7"));
    assert_int_equal(set_perms(&m.guest, "data", TEXT("n7\0b8")), XENPV_OK);
    assert_int_equal(try_other(&m.guest, XENPV_STORE_GET_PERMS, "none"), XENPV_ENOENT);
    assert_int_equal(try_other(&m.guest, XENPV_STORE_GET_PERMS, "/tool"), XENPV_EACCES);
    assert_int_equal(try_other(&m.dom0, XENPV_STORE_GET_PERMS, "@releaseDomain"), XENPV_EINVAL);
    assert_int_equal(run_one(&m.guest, &op), XENPV_E2BIG);
    assert_int_equal(op.length, 6);
    assert_memory_equal(value, "n7\0b8", 5);
    machine_stop(&m, 0);
}

/* The first entry that names a domain counts; children inherit the list, but for its owner. */
static void test_what_they_do(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 9), XENPV_OK);
    assert_int_equal(set_perms(&m.guest, "data", TEXT("r7\0w8\0b8\0n9")), XENPV_OK);
    assert_int_equal(try_read(&m.other, "/local/domain/7/data"), XENPV_EACCES);
    assert_int_equal(try_write(&m.other, "/local/domain/7/data/x", "v"), XENPV_OK);
    assert_perms(&m.dom0, "/local/domain/7/data/x", TEXT("r8\0w8\0b8\0n9"));
    assert_int_equal(try_read(&m.guest, "data/x"), XENPV_OK); /* as everybody but 9 */
    assert_int_equal(set_perms(&m.guest, "data/x", TEXT("n7")), XENPV_EACCES);
    machine_stop(&m, 0);
}

/* What a domain was allowed does not come back with another one of its number. */
static void test_the_dead(void **state)
{
    struct xenpv_port again;
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(set_perms(&m.dom0, "/tool", TEXT("n0\0r99\0r8\0r7")), XENPV_OK);
    assert_int_equal(try_read(&m.other, "/tool"), XENPV_OK);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 8), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 8), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 99), XENPV_OK);
    assert_int_equal(xenpv_mock_port(m.mock, 8, &again), XENPV_OK);
    assert_int_equal(try_read(&again, "/tool"), XENPV_EACCES);
    assert_int_equal(xenpv_mock_port(m.mock, 99, &again), XENPV_OK);
    assert_int_equal(try_read(&again, "/tool"), XENPV_EACCES);
    assert_int_equal(try_read(&m.guest, "/tool"), XENPV_OK);
    assert_perms(&m.dom0, "/tool", TEXT("n0\0r99\0r8\0r7")); /* they are still told of */
    machine_stop(&m, 0);
}

static void test_memory_runs_out(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    for (uint32_t nth = 1, err = 1; err != 0; nth++) {
        m.fail_in = nth;
        err = (uint32_t)set_perms(&m.guest, "data", TEXT("n7\0r8"));
        assert_true(err == 0 || (int)err == XENPV_ENOMEM);
        assert_true(err == 0 || nth < 10);
        m.fail_in = 0;
        if (err == 0)
            assert_true(nth > 3);
        else
            assert_perms(&m.guest, "data", TEXT("n7"));
    }
    assert_perms(&m.guest, "data", TEXT("n7\0r8"));
    machine_stop(&m, 0);
}

/* Where a toolstack gave the root away; what else the dead owned goes. */
static void test_the_root_outlives_its_owner(void **state)
{
    const struct xenpv_mock_perms perms = {.owner = 8};
    struct machine machine;
    char value[8];

    (void)state;
    machine_start(&machine, &default_limits);
    assert_int_equal(xenpv_mock_write(machine.mock, "/kept", "k"), XENPV_OK);
    assert_int_equal(xenpv_mock_write(machine.mock, "/gone/below", "g"), XENPV_OK);
    assert_int_equal(xenpv_mock_set_perms(machine.mock, "/", &perms), XENPV_OK);
    assert_int_equal(xenpv_mock_set_perms(machine.mock, "/gone", &perms), XENPV_OK);
    assert_int_equal(xenpv_mock_remove_domain(machine.mock, 8), XENPV_OK);
    assert_int_equal(xenpv_mock_read(machine.mock, "/kept", value, sizeof(value)), XENPV_OK);
    assert_int_equal(xenpv_mock_read(machine.mock, "/gone", value, sizeof(value)), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_write(machine.mock, "/new", "n"), XENPV_OK);
    machine_stop(&machine, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),           cmocka_unit_test(test_asking),
        cmocka_unit_test(test_what_they_do),    cmocka_unit_test(test_the_dead),
        cmocka_unit_test(test_memory_runs_out), cmocka_unit_test(test_the_root_outlives_its_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
