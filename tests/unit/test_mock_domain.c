/* SPDX-License-Identifier: MIT */
/* What a port of the mock says of domains, of their memory and of the time. */
#include "mock_store_fixture.h"

#define SECOND UINT64_C(1000000000)

static void test_questions_about_domains(void **state)
{
    static const struct {
        uint16_t asker;
        enum xenpv_store_type type;
        const char *dir, *name;
        int expected;
        const char *answer;
    } cases[] = {
        {7, XENPV_STORE_DOMAIN_PATH, "7", NULL, XENPV_OK, "/local/domain/7"},
        {7, XENPV_STORE_DOMAIN_PATH, "65535", NULL, XENPV_OK, "/local/domain/65535"},
        {0, XENPV_STORE_DOMAIN_PATH, "0", NULL, XENPV_OK, "/local/domain/0"},
        {0, XENPV_STORE_DOMAIN_PATH, "65536", NULL, XENPV_EINVAL, NULL},
        {0, XENPV_STORE_DOMAIN_PATH, "99999999999999999999", NULL, XENPV_EINVAL, NULL},
        {0, XENPV_STORE_DOMAIN_PATH, "", NULL, XENPV_EINVAL, NULL},
        {0, XENPV_STORE_DOMAIN_PATH, "7a", NULL, XENPV_EINVAL, NULL},
        {0, XENPV_STORE_DOMAIN_PATH, "/7", NULL, XENPV_EINVAL, NULL},
        {0, XENPV_STORE_DOMAIN_PATH, "7", "data", XENPV_EINVAL, NULL},
        {0, XENPV_STORE_INTRODUCED, "7", NULL, XENPV_OK, "T"},
        {0, XENPV_STORE_INTRODUCED, "0", NULL, XENPV_OK, "T"},
        {0, XENPV_STORE_INTRODUCED, "32752", NULL, XENPV_OK, "T"}, /* DOMID_SELF */
        {0, XENPV_STORE_INTRODUCED, "9", NULL, XENPV_OK, "F"},
        {7, XENPV_STORE_INTRODUCED, "7", NULL, XENPV_EACCES, NULL},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    for (size_t i = 0; i < COUNT(cases); i++) {
        char value[32] = {0};
        struct xenpv_store_op op = {.type = cases[i].type,
                                    .dir = cases[i].dir,
                                    .name = cases[i].name,
                                    .value = value,
                                    .capacity = sizeof(value)};

        if (run_one(cases[i].asker == 0 ? &m.dom0 : &m.guest, &op) != cases[i].expected)
            fail_msg("case %zu: %d instead of %d", i, op.status, cases[i].expected);
        if (cases[i].answer == NULL)
            continue;
        assert_string_equal(value, cases[i].answer);
        assert_int_equal(op.length, strlen(cases[i].answer));
        op.capacity = op.length - 1;
        assert_int_equal(run_one(&m.dom0, &op), XENPV_E2BIG);
        assert_int_equal(op.length, strlen(cases[i].answer));
    }
    machine_stop(&m, 0);
}

static void test_no_such_question_in_a_transaction(void **state)
{
    char value[32];
    struct machine m;
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "7", .value = value, .capacity = 32},
        {.type = XENPV_STORE_INTRODUCED, .dir = "7", .value = value, .capacity = 32},
    };
    struct xenpv_store_batch batch = {.ops = ops, .count = 2, .transaction = true};

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(run(&m.dom0, &batch), XENPV_OK);
    assert_int_equal(ops[0].status, XENPV_EINVAL);
    assert_int_equal(ops[1].status, XENPV_EINVAL);
    machine_stop(&m, 0);
}

static uint64_t pages(const struct xenpv_port *port)
{
    return port->memory->pages(port->ctx);
}

static void test_memory(void **state)
{
    static const struct {
        bool take;
        uint32_t pages;
        int64_t expected;
        uint64_t left;
    } cases[] = {
        {false, 100, 100, 900},        {true, 40, 40, 940},         {true, 100, 100, 1040},
        {true, 100, 60, 1100}, /* that is the limit */
        {true, 1, XENPV_ENOMEM, 1100}, {true, 0, 0, 1100},          {false, 0, 0, 1100},
        {false, 2000, 1100, 0},        {false, 1, XENPV_ENOMEM, 0}, {true, UINT32_MAX, 1100, 1100},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(pages(&m.guest), 65536);
    assert_int_equal(m.guest.memory->take(m.guest.ctx, 1), XENPV_ENOMEM);
    assert_int_equal(xenpv_mock_set_memory(m.mock, 9, 1, 1), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_set_memory(m.mock, 7, 2, 1), XENPV_EINVAL);
    assert_int_equal(xenpv_mock_set_memory(m.mock, 7, 1000, 1100), XENPV_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t got = cases[i].take ? m.guest.memory->take(m.guest.ctx, cases[i].pages)
                                    : m.guest.memory->release(m.guest.ctx, cases[i].pages);

        if (got != cases[i].expected || pages(&m.guest) != cases[i].left)
            fail_msg("case %zu: %d, and %d left", i, (int)got, (int)pages(&m.guest));
    }
    assert_int_equal(pages(&m.other), 65536);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 7), XENPV_OK);
    assert_int_equal(m.guest.memory->take(m.guest.ctx, 1), XENPV_EACCES);
    assert_int_equal(m.guest.memory->release(m.guest.ctx, 1), XENPV_EACCES);
    machine_stop(&m, 0);
}

static uint64_t wallclock(const struct xenpv_port *port)
{
    uint64_t ns = 0;

    assert_int_equal(port->sys->wallclock(port->ctx, &ns), XENPV_OK);
    return ns;
}

static void test_wallclock(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_true(wallclock(&m.guest) == 1600000000 * SECOND);
    xenpv_mock_advance(m.mock, 1500);
    assert_true(wallclock(&m.guest) == 1600000001 * SECOND + SECOND / 2);
    assert_true(wallclock(&m.dom0) == wallclock(&m.guest));
    xenpv_mock_set_wallclock(m.mock, 7);
    assert_true(wallclock(&m.guest) == 1500000007);
    machine_stop(&m, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions_about_domains),
        cmocka_unit_test(test_no_such_question_in_a_transaction),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_wallclock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
