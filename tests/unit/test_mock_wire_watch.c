/* SPDX-License-Identifier: MIT */
/* Watches at the wire of the mock's xenstored: tokens, paths, order, and events nobody reads. */
#include "mock_wire_fixture.h"

/* Registers a watch and takes its first event. */
static void watch(struct xenpv_mock_wire *wire, const char *path, const char *token)
{
    char payload[256];
    int length = snprintf(payload, sizeof(payload), "%s%c%s", path, 0, token);

    assert_string_equal(ask(wire, WATCH, 0, payload, (uint32_t)length + 1), "");
    assert_event(wire, path, token);
}

static void test_registration(void **state)
{
    static const struct {
        uint32_t type;
        const char *payload;
        uint32_t length;
        const char *error;
    } cases[] = {
        {WATCH, NUL("data\0t"), "EEXIST"},
        {WATCH, NUL("/local/domain/7/data\0t"), "EEXIST"}, /* the same path */
        {WATCH, NUL("data\0"), ""},                        /* an empty token is one */
        {WATCH, NUL("data\0u"), ""},
        {WATCH, NUL("data"), "EINVAL"},
        {WATCH, RAW("data\0x"), "EINVAL"},
        {WATCH,
         NUL("data\0x\0"
             "1"),
         "EINVAL"}, /* a depth is for later versions */
        {WATCH, NUL("data/\0x"), "EINVAL"},
        {WATCH, NUL("\0x"), "EINVAL"},
        {WATCH, NUL("da.ta\0x"), "EINVAL"},
        {WATCH, NUL("@releaseDomain\0x"), ""},
        {WATCH, NUL("@any\0x"), ""},
        {WATCH, NUL("/vm\0x"), ""}, /* that it may not read it does not matter here */
        {WATCH, NUL("none/deep\0x"), ""},
        {UNWATCH, NUL("data\0u"), ""},
        {UNWATCH, NUL("data\0u"), "ENOENT"},
        {UNWATCH, NUL("data\0none"), "ENOENT"},
        {UNWATCH, NUL("device\0t"), "ENOENT"},
        {UNWATCH, NUL("@any\0x"), ""},
        {UNWATCH, NUL("data"), "EINVAL"},
        {UNWATCH, NUL("data//\0x"), "ENOENT"}, /* not looked at closely */
        {UNWATCH, NUL("/local/domain/7/data\0t"), ""},
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *other = open_wire(&m, 7);

    watch(wire, "data", "t");
    watch(other, "data", "t"); /* every connection has its own */
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *error = ask(wire, cases[i].type, 0, cases[i].payload, cases[i].length);
        struct wire_message event;

        if (strcmp(error, cases[i].error) != 0)
            fail_msg("case %zu: '%s' instead of '%s'", i, error, cases[i].error);
        if (cases[i].type == WATCH && error[0] == '\0') {
            assert_true(get(wire, &event));
            assert_int_equal(event.type, WATCH_EVENT);
            assert_memory_equal(event.payload, cases[i].payload, cases[i].length);
        }
        assert_nothing(wire);
    }
    machine_stop(&m, 0);
}

static void test_XS_06_quota(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *other = open_wire(&m, 7);

    for (int i = 0; i < 129; i++) { /* one more than the quota, as 4.17 has it */
        char token[16];

        snprintf(token, sizeof(token), "%d", i);
        watch(i % 2 == 0 ? wire : other, "data", token);
    }
    assert_string_equal(ask(wire, WATCH, 0, NUL("data\0t")), "E2BIG");
    assert_string_equal(ask(wire, UNWATCH, 0,
                            NUL("data\0"
                                "128")),
                        "");
    watch(wire, "data", "t");
    machine_stop(&m, 0);
}

static void test_paths_and_order(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *dom0 = open_wire(&m, 0);

    watch(wire, "data", "relative");
    watch(wire, "/local/domain/7/data/a", "absolute");
    watch(wire, "/", "root");
    watch(dom0, "/local/domain/7/data/a/b", "below");

    /* A change of its own is told before it is answered. */
    put(wire, WRITE_NODE, 0, RAW("data/a/b\0v"));
    assert_event(wire, "data/a/b", "relative");
    assert_event(wire, "/local/domain/7/data/a/b", "absolute");
    assert_event(wire, "/local/domain/7/data/a/b", "root");
    assert_message(wire, WRITE_NODE, NUL("OK"));
    assert_event(dom0, "/local/domain/7/data/a/b", "below");

    /* A removal above is told to who watches the very node. */
    put(wire, REMOVE, 0, NUL("data"));
    assert_event(wire, "/local/domain/7/data/a", "absolute");
    assert_event(wire, "data", "relative");
    assert_event(wire, "/local/domain/7/data", "root");
    assert_message(wire, REMOVE, NUL("OK"));
    assert_event(dom0, "/local/domain/7/data/a/b", "below");
    assert_nothing(wire);
    assert_nothing(dom0);
    machine_stop(&m, 0);
}

/* The same event is not sent twice while the first has not been read; special ones are. */
static void test_doubles(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *dom0 = open_wire(&m, 0);

    watch(wire, "data", "t");
    watch(dom0, "@introduceDomain", "i");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/data", "x"), XENPV_OK);
        assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/data/a", "x"), XENPV_OK);
        assert_int_equal(xenpv_mock_add_domain(m.mock, (uint16_t)(20 + i)), XENPV_OK);
    }
    assert_event(wire, "data", "t");
    assert_event(wire, "data/a", "t");
    assert_nothing(wire);
    for (int i = 0; i < 3; i++)
        assert_event(dom0, "@introduceDomain", "i");
    assert_nothing(dom0);
    assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/data", "x"), XENPV_OK);
    assert_event(wire, "data", "t");
    machine_stop(&m, 0);
}

/* Events that a guest does not read are thrown away after 20 seconds, those of dom0 never. */
static void test_XS_07_events_expire(void **state)
{
    struct machine m;
    struct wire_message begun;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *dom0 = open_wire(&m, 0);

    watch(wire, "data", "t");
    watch(dom0, "/local/domain/7/data", "t");
    assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/data/a", "x"), XENPV_OK);
    assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/data/b", "x"), XENPV_OK);
    xenpv_mock_advance(m.mock, 19999);
    assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/data/c", "x"), XENPV_OK);
    assert_int_equal(xenpv_mock_wire_get(wire, &begun, 1), 1); /* what is begun is ended */
    xenpv_mock_advance(m.mock, 1);
    assert_int_equal(xenpv_mock_wire_get(wire, (uint8_t *)&begun + 1, WIRE_HEADER - 1 + 9), 24);
    assert_string_equal(begun.payload, "data/a");
    assert_event(wire, "data/c", "t");
    assert_nothing(wire);
    assert_event(dom0, "/local/domain/7/data/a", "t");
    assert_event(dom0, "/local/domain/7/data/b", "t");
    assert_event(dom0, "/local/domain/7/data/c", "t");
    machine_stop(&m, 0);
}

/* What waits for a guest is bounded: then it is sent no more events, and not read. */
static void test_XS_07_memory(void **state)
{
    uint32_t events = 0;
    struct wire_message event;
    struct machine m;

    (void)state;
    machine_start(&m, &(struct xenpv_mock_limits){.store_memory = 20000});

    struct xenpv_mock_wire *wire = open_wire(&m, 7);

    watch(wire, "device", "t");
    for (int i = 0; i < 10000; i++) {
        char path[64];

        snprintf(path, sizeof(path), "/local/domain/7/device/%d", i);
        assert_int_equal(xenpv_mock_write(m.mock, path, "x"), XENPV_OK);
        assert_int_equal(xenpv_mock_rm(m.mock, path), XENPV_OK);
    }
    put(wire, READ_NODE, 0, NUL("domid"));
    while (get(wire, &event) && event.type == WATCH_EVENT)
        events++;
    assert_in_range(events, 100, 1000);
    assert_int_equal(event.type, READ_NODE); /* once there was room again */
    assert_nothing(wire);
    machine_stop(&m, 0);
}

/* 100,000 changes of one node: one event, and the last state is there to be read. */
static void test_many_events_of_one_path(void **state)
{
    char value[16];
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7);

    watch(wire, "data", "t");

    uint32_t blocks = m.blocks;

    for (int i = 0; i < 100000; i++) {
        snprintf(value, sizeof(value), "%d", i);
        assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/data", value), XENPV_OK);
    }
    assert_int_equal(m.blocks, blocks + 1);
    assert_event(wire, "data", "t");
    assert_nothing(wire);
    put(wire, READ_NODE, 0, NUL("data"));
    assert_message(wire, READ_NODE, RAW("99999"));
    machine_stop(&m, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registration),
        cmocka_unit_test(test_XS_06_quota),
        cmocka_unit_test(test_paths_and_order),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_XS_07_events_expire),
        cmocka_unit_test(test_XS_07_memory),
        cmocka_unit_test(test_many_events_of_one_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
