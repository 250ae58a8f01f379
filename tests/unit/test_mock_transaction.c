/* SPDX-License-Identifier: MIT */
/* Transactions of the mock's xenstored: what they see, what they conflict with, their quotas. */
#include "mock_wire_fixture.h"

/* The rest of the payload of a WRITE is the value, without a NUL. */
static void write_in(struct xenpv_mock_wire *wire, uint32_t transaction, const char *path,
                     const char *value)
{
    char payload[128];
    int length = snprintf(payload, sizeof(payload), "%s%c%s", path, 0, value);

    assert_string_equal(ask(wire, WRITE_NODE, transaction, payload, (uint32_t)length), "");
}

static const char *end(struct xenpv_mock_wire *wire, uint32_t transaction, const char *how)
{
    return ask(wire, TRANSACTION_END, transaction, how, 2);
}

static const char *mkdir_in(struct xenpv_mock_wire *wire, uint32_t transaction, const char *path)
{
    return ask(wire, MKDIR, transaction, path, (uint32_t)strlen(path) + 1);
}

static void test_several_at_once(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *other = open_wire(&m, 0);
    uint32_t one = start_transaction(wire), two = start_transaction(wire);

    assert_int_not_equal(one, two);
    write_in(wire, one, "data/a", "1");
    write_in(wire, two, "data/b/x", "2");
    put(wire, READ_NODE, one, NUL("data/a"));
    assert_message(wire, READ_NODE, RAW("1"));
    assert_string_equal(ask(wire, READ_NODE, two, NUL("data/a")), "ENOENT");
    assert_string_equal(ask(wire, READ_NODE, 0, NUL("data/a")), "ENOENT");
    assert_string_equal(ask(other, READ_NODE, one, NUL("/vm")), "ENOENT"); /* not its own */
    assert_string_equal(end(wire, one, "F"), "");
    assert_string_equal(ask(wire, READ_NODE, 0, NUL("data/a")), "ENOENT");
    assert_string_equal(end(wire, two, "T"), "");
    put(wire, READ_NODE, 0, NUL("data/b/x"));
    assert_message(wire, READ_NODE, RAW("2"));
    machine_stop(&m, 0);
}

static void test_errors(void **state)
{
    static const struct {
        uint32_t type;
        uint32_t transaction; /* 1: one that is open; 99: one that is not */
        const char *payload;
        uint32_t length;
        const char *error;
    } cases[] = {
        {TRANSACTION_START, 1, NUL(""), "EBUSY"},
        {TRANSACTION_START, 99, NUL(""), "ENOENT"},
        {TRANSACTION_END, 0, NUL("T"), "ENOENT"},
        {TRANSACTION_END, 0, NUL("X"), "EINVAL"},
        {TRANSACTION_END, 99, NUL("T"), "ENOENT"},
        {TRANSACTION_END, 1, NUL("X"), "EINVAL"},
        {TRANSACTION_END, 1, RAW("T"), "EINVAL"},
        {TRANSACTION_END, 1, "", 0, "EINVAL"},
        {READ_NODE, 99, NUL("data"), "ENOENT"},
        {RESET_WATCHES, 99, NUL(""), "ENOENT"},
        {WATCH, 99, NUL("data\0t"), ""}, /* these two take no notice */
        {UNWATCH, 99, NUL("data\0t"), ""},
        {READ_NODE, 1, NUL("data"), ""}, /* it is open yet */
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7);
    uint32_t open = start_transaction(wire);

    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t transaction = cases[i].transaction == 1 ? open : cases[i].transaction;
        const char *error =
            ask(wire, cases[i].type, transaction, cases[i].payload, cases[i].length);
        struct wire_message event;

        if (strcmp(error, cases[i].error) != 0)
            fail_msg("case %zu: %s instead of %s", i, error, cases[i].error);
        while (get(wire, &event))
            assert_int_equal(event.type, WATCH_EVENT);
    }
    machine_stop(&m, 0);
}

/* What one transaction does, what another client does meanwhile, and how the end is answered. */
static void test_conflicts(void **state)
{
    struct step {
        uint32_t type;
        const char *payload;
        uint32_t length;
    };
    static const struct {
        struct step inside, meanwhile;
        const char *end;
    } cases[] = {
        {{READ_NODE, NUL("data/a")}, {READ_NODE, NUL("data/a")}, ""},
        {{READ_NODE, NUL("data/a")}, {WRITE_NODE, RAW("data/a\0x")}, "EAGAIN"},
        {{READ_NODE, NUL("data/a")}, {WRITE_NODE, RAW("data/a\0a")}, "EAGAIN"}, /* the same */
        {{READ_NODE, NUL("data/a")}, {SET_PERMS, NUL("data/a\0n7")}, "EAGAIN"},
        {{READ_NODE, NUL("data/a")}, {REMOVE, NUL("data/a")}, "EAGAIN"},
        {{READ_NODE, NUL("data/a")}, {MKDIR, NUL("data/a/new")}, "EAGAIN"}, /* a child of it */
        {{READ_NODE, NUL("data/a")}, {WRITE_NODE, RAW("data/b\0x")}, ""},
        {{READ_NODE, NUL("data/a")}, {MKDIR, NUL("data/a")}, ""}, /* changes nothing */
        {{READ_NODE, NUL("data/none")}, {MKDIR, NUL("data/none")}, "EAGAIN"},
        {{READ_NODE, NUL("data/none")}, {MKDIR, NUL("data/other")}, "EAGAIN"}, /* asked above */
        {{WRITE_NODE, RAW("data/a\0x")}, {WRITE_NODE, RAW("data/a\0y")}, "EAGAIN"},
        {{WRITE_NODE, RAW("data/a\0x")}, {WRITE_NODE, RAW("data/b\0y")}, ""},
        {{WRITE_NODE, RAW("data/new\0x")}, {WRITE_NODE, RAW("data/b\0y")}, ""},
        {{WRITE_NODE, RAW("data/new\0x")}, {WRITE_NODE, RAW("data/too\0y")}, "EAGAIN"},
        {{WRITE_NODE, RAW("data/new\0x")}, {REMOVE, NUL("data/b")}, "EAGAIN"},
        {{REMOVE, NUL("data/a")}, {WRITE_NODE, RAW("data/a/b\0y")}, "EAGAIN"},
        {{REMOVE, NUL("data/a")}, {WRITE_NODE, RAW("data/b\0y")}, ""},
        {{DIRECTORY, NUL("data")}, {MKDIR, NUL("data/new")}, "EAGAIN"},
        {{DIRECTORY, NUL("data")}, {WRITE_NODE, RAW("data/a\0y")}, ""},
        {{GET_PERMS, NUL("data")}, {SET_PERMS, NUL("data\0n7\0r8")}, "EAGAIN"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct machine m;

        machine_start(&m, &default_limits);

        struct xenpv_mock_wire *wire = open_wire(&m, 7), *other = open_wire(&m, 7);

        write_in(wire, 0, "data/a", "a");
        write_in(wire, 0, "data/b", "b");

        uint32_t t = start_transaction(wire);

        ask(wire, cases[i].inside.type, t, cases[i].inside.payload, cases[i].inside.length);
        assert_string_equal(ask(other, cases[i].meanwhile.type, 0, cases[i].meanwhile.payload,
                                cases[i].meanwhile.length),
                            "");

        const char *error = end(wire, t, "T");

        if (strcmp(error, cases[i].end) != 0)
            fail_msg("case %zu: '%s' instead of '%s'", i, error, cases[i].end);
        assert_string_equal(end(wire, t, "T"), "ENOENT"); /* it is gone in both cases */
        machine_stop(&m, 0);
    }
}

/* It sees what it has looked at as it was then, and the rest as it is. */
static void test_what_it_sees(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *other = open_wire(&m, 7);

    write_in(wire, 0, "data/a", "1");
    write_in(wire, 0, "data/b", "1");

    uint32_t t = start_transaction(wire);

    put(wire, READ_NODE, t, NUL("data/a"));
    assert_message(wire, READ_NODE, RAW("1"));
    write_in(other, 0, "data/a", "2");
    write_in(other, 0, "data/b", "2");
    put(wire, READ_NODE, t, NUL("data/a"));
    assert_message(wire, READ_NODE, RAW("1"));
    put(wire, READ_NODE, t, NUL("data/b"));
    assert_message(wire, READ_NODE, RAW("2"));
    assert_string_equal(ask(other, REMOVE, 0, NUL("data/a")), "");
    put(wire, READ_NODE, t, NUL("data/a"));
    assert_message(wire, READ_NODE, RAW("1"));
    assert_string_equal(end(wire, t, "F"), "");
    machine_stop(&m, 0);
}

static void test_events_come_with_the_end(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *watcher = open_wire(&m, 7);

    write_in(wire, 0, "data/old/x", "1");
    assert_string_equal(ask(watcher, WATCH, 0, NUL("data\0t")), "");
    assert_event(watcher, "data", "t");
    assert_string_equal(ask(watcher, WATCH, 0, NUL("data/old/x\0x")), "");
    assert_event(watcher, "data/old/x", "x");

    uint32_t t = start_transaction(wire), given_up = start_transaction(wire);

    write_in(wire, given_up, "data/never", "1");
    write_in(wire, t, "data/a", "1");
    write_in(wire, t, "data/a", "2");
    write_in(wire, t, "data/gone", "1");
    assert_string_equal(ask(wire, REMOVE, t, NUL("data/gone")), "");
    assert_string_equal(ask(wire, REMOVE, t, NUL("data/old")), "");
    assert_nothing(watcher);
    assert_string_equal(end(wire, given_up, "F"), "");
    assert_nothing(watcher);
    assert_string_equal(end(wire, t, "T"), "");
    assert_event(watcher, "data/a", "t");
    assert_event(watcher, "data/old", "t");
    assert_event(watcher, "data/old/x", "x");
    assert_nothing(watcher);
    machine_stop(&m, 0);
}

static void test_XS_06_quotas(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &(struct xenpv_mock_limits){.store_nodes = 14,
                                                  .store_transactions = 2,
                                                  .store_transaction_nodes = 6});

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *dom0 = open_wire(&m, 0);
    uint32_t t[3] = {start_transaction(wire), start_transaction(wire), start_transaction(wire)};

    assert_string_equal(ask(wire, TRANSACTION_START, 0, NUL("")), "ENOSPC");
    for (int i = 0; i < 20; i++)
        assert_int_not_equal(start_transaction(dom0), 0);

    /* Nodes that it looks at, those above and those that are not there included. */
    assert_string_equal(ask(wire, READ_NODE, t[0], NUL("data")), "");
    assert_string_equal(ask(wire, READ_NODE, t[0], NUL("data/1/2")), "ENOENT");
    assert_string_equal(ask(wire, READ_NODE, t[0], NUL("data/3")), "ENOENT");
    assert_string_equal(ask(wire, READ_NODE, t[0], NUL("data/4")), "ENOENT");
    assert_string_equal(ask(wire, READ_NODE, t[0], NUL("data/5")), "ENOENT"); /* the sixth */
    assert_string_equal(ask(wire, READ_NODE, t[0], NUL("data/5")), "ENOENT");
    assert_string_equal(ask(wire, READ_NODE, t[0], NUL("data/6")), "ENOSPC");
    assert_string_equal(end(wire, t[0], "T"), "ENOMEM"); /* it has failed */

    /* It owns 11 nodes. With two more it may, and a transaction must stay below. */
    assert_string_equal(mkdir_in(wire, 0, "data/1"), "");
    assert_string_equal(mkdir_in(wire, t[1], "data/2"), "");
    assert_string_equal(end(wire, t[1], "T"), "");
    assert_string_equal(mkdir_in(wire, t[2], "data/3"), "");
    assert_string_equal(end(wire, t[2], "T"), "ENOSPC");
    assert_string_equal(mkdir_in(wire, 0, "data/3"), "");
    assert_string_equal(mkdir_in(wire, 0, "data/4"), "ENOSPC");
    machine_stop(&m, 0);
}

/* A value that is too long fails the transaction, not only the write. */
static void test_record_too_long(void **state)
{
    char payload[3000] = "data/a";
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7);
    uint32_t t = start_transaction(wire);

    assert_string_equal(ask(wire, WRITE_NODE, 0, payload, 7 + 2015), "");
    assert_string_equal(ask(wire, WRITE_NODE, 0, payload, 7 + 2016), "ENOSPC");
    assert_string_equal(ask(wire, WRITE_NODE, t, payload, 7 + 2016), "ENOSPC");
    assert_string_equal(ask(wire, READ_NODE, t, NUL("data/a")), "");
    assert_string_equal(end(wire, t, "T"), "ENOMEM");
    machine_stop(&m, 0);
}

static void test_conflicts_to_order(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7);

    assert_int_equal(xenpv_mock_set_conflicts(m.mock, 7, 1), XENPV_OK);
    for (int i = 0; i < 3; i++) {
        uint32_t t = start_transaction(wire);

        write_in(wire, t, "data/a", "1");
        assert_string_equal(end(wire, t, i == 0 ? "F" : "T"), i == 1 ? "EAGAIN" : "");
        assert_string_equal(ask(wire, READ_NODE, 0, NUL("data/a")), i == 2 ? "" : "ENOENT");
    }
    machine_stop(&m, 0);
}

static void test_reset_and_death(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *other = open_wire(&m, 8);
    uint32_t t = start_transaction(wire), inside = start_transaction(wire);

    put(wire, WATCH, 0, NUL("data\0t"));
    assert_message(wire, WATCH, NUL("OK"));
    assert_event(wire, "data", "t");
    write_in(wire, t, "data/a", "1");
    assert_string_equal(ask(wire, RESET_WATCHES, inside, NUL("")), "");
    assert_string_equal(end(wire, t, "T"), "ENOENT");
    assert_string_equal(end(wire, inside, "T"), "ENOENT");
    assert_int_equal(ledger_of(&m, 7).watches, 0);

    /* What was made in a transaction for a domain that died meanwhile is nobody's. */
    t = start_transaction(wire);
    write_in(wire, t, "data/a", "1");
    uint32_t of_the_dead = start_transaction(other);
    write_in(other, of_the_dead, "data/a", "1");
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 8), XENPV_OK);
    assert_string_equal(end(wire, t, "T"), "");
    assert_int_equal(try_read(&m.dom0, "/local/domain/8/data"), XENPV_ENOENT);
    machine_stop(&m, 0);
}

/* It has seen the node, but not the one above, and both have gone since. */
static void test_removed_below_what_is_gone(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7);

    write_in(wire, 0, "data/a/b", "1");

    uint32_t t = start_transaction(wire);

    put(wire, READ_NODE, t, NUL("data/a/b"));
    assert_message(wire, READ_NODE, RAW("1"));
    assert_string_equal(ask(wire, REMOVE, 0, NUL("data/a")), "");
    assert_string_equal(ask(wire, REMOVE, t, NUL("data/a/b")), "EINVAL");
    assert_string_equal(end(wire, t, "T"), "EAGAIN");
    machine_stop(&m, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_what_it_sees),
        cmocka_unit_test(test_removed_below_what_is_gone),
        cmocka_unit_test(test_events_come_with_the_end),
        cmocka_unit_test(test_XS_06_quotas),
        cmocka_unit_test(test_record_too_long),
        cmocka_unit_test(test_conflicts_to_order),
        cmocka_unit_test(test_reset_and_death),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
