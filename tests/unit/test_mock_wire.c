/* SPDX-License-Identifier: MIT */
/* The mock's xenstored at its wire: framing, every type of message, its errors, and its patience. */
#include "mock_wire_fixture.h"

/* Payload and expected answer with all their NULs. */
struct exchange {
    uint16_t domid;
    uint32_t type;
    const char *payload;
    uint32_t length;
    const char *error; /* or NULL, and then: */
    const char *answer;
    uint32_t answer_length;
};

#define OK        NULL, NUL("OK")
#define ERR(text) text, NULL, 0

static void run_exchanges(const struct exchange *table, size_t count)
{
    struct machine m;

    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wires[2] = {open_wire(&m, 0), open_wire(&m, 7)};

    for (size_t i = 0; i < count; i++) {
        const struct exchange *e = &table[i];
        struct xenpv_mock_wire *wire = wires[e->domid != 0];
        struct wire_message answer;

        put(wire, e->type, 0, e->payload, e->length);
        if (!get(wire, &answer))
            fail_msg("case %zu: no answer", i);
        if (e->error != NULL &&
            (answer.type != ERROR_TEXT || strcmp(answer.payload, e->error) != 0))
            fail_msg("case %zu: %u %s instead of %s", i, answer.type, answer.payload, e->error);
        if (e->error == NULL && (answer.type != e->type || answer.length != e->answer_length ||
                                 memcmp(answer.payload, e->answer, e->answer_length) != 0))
            fail_msg("case %zu: %u %u %s", i, answer.type, answer.length, answer.payload);
        assert_int_equal(answer.request, 77);
    }
    xenpv_mock_wire_close(wires[0]); /* the other goes with the machine */
    machine_stop(&m, 0);
}

static void test_nodes(void **state)
{
    static const struct exchange table[] = {
        {7, WRITE_NODE, RAW("data/a\0value"), OK},
        {7, READ_NODE, NUL("data/a"), NULL, RAW("value")},
        {7, WRITE_NODE, RAW("data/bin\0\0\1\0"), OK},
        {7, READ_NODE, NUL("data/bin"), NULL, RAW("\0\1\0")},
        {7, WRITE_NODE, NUL("data/empty"), OK},
        {7, READ_NODE, NUL("data/empty"), NULL, "", 0},
        {7, MKDIR, NUL("data/dir/deep"), OK},
        {7, MKDIR, NUL("data/dir/deep"), OK},
        {7, DIRECTORY, NUL("data"), NULL, NUL("a\0bin\0empty\0dir")},
        {7, DIRECTORY, NUL("/local/domain/7/data/dir/deep"), NULL, "", 0},
        {7, REMOVE, NUL("data/dir"), OK},
        {7, REMOVE, NUL("data/dir"), OK},
        {7, REMOVE, NUL("data/dir/deep"), ERR("ENOENT")},
        {7, READ_NODE, NUL("data/dir"), ERR("ENOENT")},
        {7, READ_NODE, NUL("/vm"), ERR("EACCES")},
        {7, WRITE_NODE, RAW("device/x\0v"), ERR("EACCES")},
        {7, GET_PERMS, NUL("data"), NULL, NUL("n7")},
        {7, SET_PERMS, NUL("data/a\0n7\0r8\0b0"), OK},
        {7, GET_PERMS, NUL("data/a"), NULL, NUL("n7\0r8\0b0")},
        {7, SET_PERMS, NUL("data/a\0n8"), ERR("EPERM")},
        {7, SET_PERMS, NUL("data/a"), ERR("EINVAL")},
        {7, SET_PERMS, NUL("data/a\0n7\0n7\0n7\0n7\0n7\0n7"), ERR("ENOSPC")},
        {0, SET_PERMS, NUL("/vm\0n99"), ERR("ENOENT")},
        {7, SET_PERMS, NUL("@releaseDomain\0n7"), ERR("EACCES")},
        {0, SET_PERMS, NUL("@releaseDomain\0n0\0r7"), OK},
        {0, SET_PERMS, NUL("@nothing\0n0\0r7"), ERR("EINVAL")},
        {0, GET_PERMS, NUL("@releaseDomain"), ERR("EINVAL")},
        {0, REMOVE, NUL("/"), ERR("EINVAL")},
        {0, READ_NODE, NUL("domid"), NULL, RAW("0")}, /* relative to dom0's own */
        /* What is no string, no path, or too many. */
        {7, READ_NODE, RAW("data/a"), ERR("EINVAL")},
        {7, READ_NODE, NUL("data/a\0"), ERR("EINVAL")},
        {7, READ_NODE, "", 0, ERR("EINVAL")},
        {7, READ_NODE, NUL(""), ERR("EINVAL")},
        {7, READ_NODE, NUL("data//a"), ERR("EINVAL")},
        {7, READ_NODE, NUL("data/"), ERR("EINVAL")},
        {7, READ_NODE, NUL("data/*"), ERR("EINVAL")},
        {7, DIRECTORY, RAW("data"), ERR("EINVAL")},
        {7, MKDIR, RAW("data"), ERR("EINVAL")},
        {7, REMOVE, RAW("data"), ERR("EINVAL")},
        {7, GET_PERMS, RAW("data"), ERR("EINVAL")},
        {7, WRITE_NODE, RAW("data"), ERR("EINVAL")},
        {7, WRITE_NODE, "", 0, ERR("EINVAL")},
        {0, GET_DOMAIN_PATH, NUL("7"), NULL, NUL("/local/domain/7")},
    };

    (void)state;
    run_exchanges(table, COUNT(table));
}

static void test_domains(void **state)
{
    static const struct exchange table[] = {
        {7, GET_DOMAIN_PATH, NUL("9"), NULL, NUL("/local/domain/9")},
        {7, GET_DOMAIN_PATH, NUL("x"), NULL, NUL("/local/domain/0")},
        {7, GET_DOMAIN_PATH, RAW("9"), ERR("EINVAL")},
        {0, IS_DOMAIN_INTRODUCED, NUL("7"), NULL, NUL("T")},
        {0, IS_DOMAIN_INTRODUCED, NUL("32752"), NULL, NUL("T")},
        {0, IS_DOMAIN_INTRODUCED, NUL("9"), NULL, NUL("F")},
        {0, IS_DOMAIN_INTRODUCED, "", 0, ERR("EINVAL")},
        {0, INTRODUCE,
         NUL("8\0"
             "1\0"
             "5"),
         OK},
        {0, INTRODUCE,
         NUL("8\0"
             "1\0"
             "0"),
         ERR("EINVAL")},
        {0, INTRODUCE,
         NUL("8\0"
             "1"),
         ERR("EINVAL")},
        {0, INTRODUCE,
         NUL("9\0"
             "1\0"
             "5"),
         ERR("EINVAL")},
        {0, RELEASE, NUL("9"), ERR("ENOENT")},
        {0, RELEASE, NUL("0"), ERR("EINVAL")},
        {0, RELEASE, "", 0, ERR("EINVAL")},
        {0, RESUME, NUL("8"), OK},
        {0, RESUME, NUL("9"), ERR("ENOENT")},
        {0, SET_TARGET,
         NUL("7\0"
             "9"),
         ERR("ENOENT")},
        {0, SET_TARGET, NUL("7"), ERR("EINVAL")},
        {7, READ_NODE, NUL("/local/domain/8/data"), ERR("EACCES")},
        {0, SET_TARGET,
         NUL("7\0"
             "8"),
         OK},
        {7, READ_NODE, NUL("/local/domain/8/data"), NULL, "", 0},
        {7, WRITE_NODE, RAW("/local/domain/8/data/x\0v"), OK},
        {0, RELEASE, NUL("8"), OK},
        {0, RELEASE, NUL("8"), ERR("ENOENT")},
        {0, IS_DOMAIN_INTRODUCED, NUL("8"), NULL, NUL("F")},
        {0, READ_NODE, NUL("/local/domain/8/data"), ERR("ENOENT")}, /* what it owned */
        {0, READ_NODE, NUL("/local/domain/8/domid"), NULL, RAW("8")},
        {0, INTRODUCE,
         NUL("8\0"
             "1\0"
             "5"),
         OK},
        {0, IS_DOMAIN_INTRODUCED, NUL("8"), NULL, NUL("T")},
        {7, CONTROL, NUL("check"), ERR("EACCES")},
        {7, INTRODUCE,
         NUL("8\0"
             "1\0"
             "5"),
         ERR("EACCES")},
        {7, RELEASE, NUL("7"), ERR("EACCES")},
        {7, IS_DOMAIN_INTRODUCED, NUL("7"), ERR("EACCES")},
        {7, RESUME, NUL("7"), ERR("EACCES")},
        {7, SET_TARGET,
         NUL("7\0"
             "8"),
         ERR("EACCES")},
        {0, CONTROL, NUL("check"), OK},
        {0, CONTROL, NUL("check\0x"), ERR("EINVAL")},
        {0, CONTROL, NUL("log\0on"), OK},
        {0, CONTROL, NUL("log\0no"), ERR("EINVAL")},
        {0, CONTROL, NUL("print\0x"), OK},
        {0, CONTROL, NUL("nonsense"), ERR("EINVAL")},
        {0, CONTROL, "", 0, ERR("EINVAL")},
    };

    (void)state;
    run_exchanges(table, COUNT(table));
}

static void test_other_types(void **state)
{
    static const uint32_t types[] = {WATCH_EVENT, ERROR_TEXT, 20, 23, 24, 25, 26, 65535, ~0u};
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7);

    for (size_t i = 0; i < COUNT(types); i++)
        assert_string_equal(ask(wire, types[i], 0, NUL("data")), "ENOSYS");
    machine_stop(&m, 0);
}

/* Every way to cut two messages in three gives the same answers. */
static void test_pieces(void **state)
{
    struct wire_message both[2];
    uint8_t stream[64];
    uint32_t first = compose(&both[0], WRITE_NODE, 1, 0, RAW("data/a\0v"));
    uint32_t second = compose(&both[1], READ_NODE, 2, 0, NUL("data/a"));
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    memcpy(stream, &both[0], first);
    memcpy(stream + first, &both[1], second);

    struct xenpv_mock_wire *wire = open_wire(&m, 7);

    for (uint32_t a = 0; a <= first + second; a++) {
        for (uint32_t b = a; b <= first + second; b++) {
            assert_int_equal(xenpv_mock_wire_put(wire, stream, a), XENPV_OK);
            assert_int_equal(xenpv_mock_wire_put(wire, stream + a, b - a), XENPV_OK);
            assert_int_equal(xenpv_mock_wire_put(wire, stream + b, first + second - b), XENPV_OK);
            assert_message(wire, WRITE_NODE, NUL("OK"));
            assert_message(wire, READ_NODE, RAW("v"));
            assert_nothing(wire);
        }
    }
    machine_stop(&m, 0);
}

static void test_XS_02_payload_that_is_too_long(void **state)
{
    static const struct {
        uint32_t length;
        bool dropped;
    } cases[] = {{4096, false}, {4097, true}, {0x80000000u, true}, {UINT32_MAX, true}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wire_message message = {READ_NODE, 77, 0, cases[i].length, {0}};
        struct machine m;

        machine_start(&m, &default_limits);

        struct xenpv_mock_wire *wire = open_wire(&m, 7);

        put(wire, WATCH, 0, NUL("data\0t"));
        assert_int_equal(ledger_of(&m, 7).watches, 1);
        assert_int_equal(xenpv_mock_wire_put(wire, &message, WIRE_HEADER),
                         cases[i].dropped ? XENPV_ESTORE : XENPV_OK);
        assert_int_equal(ledger_of(&m, 7).watches, !cases[i].dropped);
        assert_int_equal(xenpv_mock_wire_put(wire, message.payload, 4096),
                         cases[i].dropped ? XENPV_ESTORE : XENPV_OK);
        assert_message(wire, WATCH, NUL("OK"));
        assert_event(wire, "data", "t");
        if (!cases[i].dropped)
            assert_message(wire, ERROR_TEXT, NUL("EINVAL"));
        assert_nothing(wire);
        xenpv_mock_wire_close(wire);
        machine_stop(&m, 0);
    }
}

static void test_long_lists(void **state)
{
    struct wire_message part;
    char generation[24] = "", offset[64];
    uint32_t names = 0, at = 0;
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 0);

    for (int i = 0; i < 1000; i++) {
        char path[64];
        int length = snprintf(path, sizeof(path), "/tool/child-%d", i);

        assert_string_equal(ask(wire, MKDIR, 0, path, (uint32_t)length + 1), "");
    }
    assert_string_equal(ask(wire, DIRECTORY, 0, NUL("/tool")), "E2BIG");
    for (bool last = false; !last;) {
        int length = snprintf(offset, sizeof(offset), "/tool%c%u", 0, at);

        put(wire, DIRECTORY_PART, 0, offset, (uint32_t)length + 1);
        assert_true(get(wire, &part));
        assert_int_equal(part.type, DIRECTORY_PART);
        if (at > 0)
            assert_string_equal(part.payload, generation);
        snprintf(generation, sizeof(generation), "%.20s", part.payload);

        uint32_t i = (uint32_t)strlen(part.payload) + 1;

        while (i < part.length && part.payload[i] != '\0') {
            uint32_t bytes = (uint32_t)strlen(part.payload + i) + 1;

            i += bytes;
            at += bytes;
            names++;
        }
        last = i < part.length; /* an empty name ends the list */
    }
    assert_int_equal(names, 1001); /* xenstored is the first */
    assert_string_equal(ask(wire, MKDIR, 0, NUL("/tool/more")), "");
    put(wire, DIRECTORY_PART, 0,
        NUL("/tool\0"
            "999999"));
    assert_true(get(wire, &part));
    assert_string_not_equal(part.payload, generation);
    assert_int_equal(part.length, strlen(part.payload) + 2);
    assert_string_equal(ask(wire, DIRECTORY_PART, 0, NUL("/tool")), "EINVAL");
    assert_string_equal(ask(wire, DIRECTORY_PART, 0,
                            NUL("/none\0"
                                "0")),
                        "ENOENT");
    machine_stop(&m, 0);
}

static void test_XS_06_outstanding_requests(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &(struct xenpv_mock_limits){.store_outstanding = 3});

    struct xenpv_mock_wire *wire = open_wire(&m, 7), *reader = open_wire(&m, 8);
    struct xenpv_mock_wire *dom0 = open_wire(&m, 0);

    for (int i = 0; i < 5; i++)
        put(wire, MKDIR, 0, NUL("data/a"));
    put(wire, MKDIR, 0, NUL("data/late")); /* waits behind three that are answered */
    assert_int_equal(try_read(&m.guest, "data/late"), XENPV_ENOENT);
    for (int i = 0; i < 2; i++)
        assert_message(wire, MKDIR, NUL("OK"));
    assert_int_equal(try_read(&m.guest, "data/late"), XENPV_ENOENT);
    assert_message(wire, MKDIR, NUL("OK"));
    assert_int_equal(try_read(&m.guest, "data/late"), XENPV_OK);
    for (int i = 0; i < 3; i++)
        assert_message(wire, MKDIR, NUL("OK"));

    /* So it is while others have not read what it caused. */
    assert_string_equal(ask(wire, SET_PERMS, 0, NUL("data\0r7")), "");
    assert_string_equal(ask(reader, WATCH, 0, NUL("/local/domain/7/data\0t")), "");
    assert_event(reader, "/local/domain/7/data", "t");
    assert_string_equal(ask(wire, MKDIR, 0, NUL("data/1")), "");
    assert_string_equal(ask(wire, MKDIR, 0, NUL("data/2")), "");
    assert_string_equal(ask(wire, MKDIR, 0, NUL("data/3")), "");
    put(wire, MKDIR, 0, NUL("data/4"));
    assert_nothing(wire);
    assert_event(reader, "/local/domain/7/data/1", "t");
    assert_message(wire, MKDIR, NUL("OK"));
    assert_event(reader, "/local/domain/7/data/2", "t");

    /* Dom0 is always read. */
    for (int i = 0; i < 30; i++)
        put(dom0, MKDIR, 0, NUL("/tool/x"));
    for (int i = 0; i < 30; i++)
        assert_message(dom0, MKDIR, NUL("OK"));
    machine_stop(&m, 0);
}

static void test_more_than_waits(void **state)
{
    static uint8_t much[65537];
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct xenpv_mock_wire *wire = open_wire(&m, 7);

    assert_int_equal(xenpv_mock_wire_put(wire, much, 65537), XENPV_EFULL);
    assert_int_equal(xenpv_mock_set_store_delay(m.mock, 7, 10), XENPV_OK);
    assert_int_equal(xenpv_mock_wire_put(wire, much, 65536), XENPV_OK);
    assert_int_equal(xenpv_mock_wire_put(wire, much, 1), XENPV_EFULL);
    assert_nothing(wire);
    xenpv_mock_advance(m.mock, 9);
    assert_nothing(wire);
    xenpv_mock_advance(m.mock, 1);
    for (int i = 0; i < 4096; i++)
        assert_message(wire, ERROR_TEXT, NUL("EACCES")); /* CONTROL, of a guest */
    machine_stop(&m, 0);
}

static void test_opening(void **state)
{
    struct xenpv_mock_wire *wire = NULL;
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_wire_open(m.mock, 9, &wire), XENPV_ENOENT);
    for (uint32_t nth = 1; nth < 3; nth++) {
        m.fail_in = nth;
        assert_int_equal(xenpv_mock_wire_open(m.mock, 7, &wire), XENPV_ENOMEM);
    }
    xenpv_mock_wire_close(NULL);
    wire = open_wire(&m, 7);
    put(wire, WATCH, 0, NUL("data\0t"));
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 7), XENPV_OK);
    assert_int_equal(xenpv_mock_wire_put(wire, "", 0), XENPV_ESTORE);
    assert_message(wire, WATCH, NUL("OK")); /* it was on its way */
    assert_event(wire, "data", "t");
    assert_nothing(wire);
    machine_stop(&m, 0);
}

/* Where there is no memory an error is told, or the wire ends; nothing is done by half. */
static void test_memory_runs_out(void **state)
{
    bool done = false;

    (void)state;
    for (uint32_t nth = 1; !done; nth++) {
        struct wire_message message, answer;
        uint32_t bytes = compose(&message, WRITE_NODE, 77, 0, RAW("data/a/b\0v"));
        struct machine m;

        machine_start(&m, &default_limits);

        struct xenpv_mock_wire *wire = open_wire(&m, 7);

        m.fail_in = nth;

        int err = xenpv_mock_wire_put(wire, &message, bytes);

        done = m.fail_in > 0;
        m.fail_in = 0;
        if (err == XENPV_OK) {
            assert_true(get(wire, &answer));
            assert_string_equal(answer.payload, done ? "OK" : "ENOMEM");
            assert_int_equal(try_read(&m.guest, "data/a"), done ? XENPV_OK : XENPV_ENOENT);
        } else {
            assert_int_equal(err, XENPV_ESTORE);
        }
        machine_stop(&m, 0);
        assert_true(nth < 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_domains),
        cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_XS_02_payload_that_is_too_long),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_XS_06_outstanding_requests),
        cmocka_unit_test(test_more_than_waits),
        cmocka_unit_test(test_opening),
        cmocka_unit_test(test_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
