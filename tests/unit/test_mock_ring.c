/* SPDX-License-Identifier: MIT */
/* The mock's xenstored over a ring page, and its restart. */
#include "mock_wire_fixture.h"

enum {
    REQ_CONS = 512,
    REQ_PROD,
    RSP_CONS,
    RSP_PROD,
    FEATURES,
    CONNECTION,
    ERROR_FIELD,
};

struct ring {
    struct machine *machine;
    uint32_t *page;
    uint32_t port;
};

static void ring_start(struct ring *ring, struct machine *machine)
{
    void *page = NULL;

    *ring = (struct ring){.machine = machine};
    assert_int_equal(xenpv_mock_wire_ring(machine->mock, 7, &page, &ring->port), XENPV_OK);
    ring->page = page;
    assert_int_equal((uintptr_t)page % 4096, 0);
}

static void ring_notify(struct ring *ring)
{
    struct xenpv_port *port = &ring->machine->guest;

    assert_int_equal(port->event->notify(port->ctx, ring->port), XENPV_OK);
}

static bool ring_taken(struct ring *ring)
{
    struct xenpv_port *port = &ring->machine->guest;
    bool taken = port->event->take(port->ctx, ring->port);

    if (taken)
        port->event->unmask(port->ctx, ring->port);
    return taken;
}

/* Puts what fits on the ring; answers how many bytes. */
static uint32_t ring_write(struct ring *ring, const void *bytes, uint32_t count)
{
    uint8_t *to = (uint8_t *)ring->page;
    uint32_t room = 1024 - (ring->page[REQ_PROD] - ring->page[REQ_CONS]);
    uint32_t some = count < room ? count : room;

    for (uint32_t i = 0; i < some; i++)
        to[ring->page[REQ_PROD]++ % 1024] = ((const uint8_t *)bytes)[i];
    ring_notify(ring);
    return some;
}

static uint32_t ring_read(struct ring *ring, void *bytes, uint32_t count)
{
    const uint8_t *from = (const uint8_t *)ring->page + 1024;
    uint32_t some = 0;

    while (some < count && ring->page[RSP_CONS] != ring->page[RSP_PROD])
        ((uint8_t *)bytes)[some++] = from[ring->page[RSP_CONS]++ % 1024];
    ring_notify(ring);
    return some;
}

static void ring_put(struct ring *ring, uint32_t type, const void *payload, uint32_t length)
{
    struct wire_message message;
    uint32_t bytes = compose(&message, type, 77, 0, payload, length);

    for (uint32_t done = 0; done < bytes;) {
        uint32_t some = ring_write(ring, (uint8_t *)&message + done, bytes - done);

        assert_int_not_equal(some, 0);
        done += some;
    }
}

static void ring_expect(struct ring *ring, uint32_t type, const void *payload, uint32_t length)
{
    struct wire_message message = {0};

    assert_int_equal(ring_read(ring, &message, WIRE_HEADER), WIRE_HEADER);
    assert_int_equal(message.type, type);
    assert_int_equal(message.length, length);
    for (uint32_t done = 0; done < length;) {
        uint32_t some = ring_read(ring, message.payload + done, length - done);

        assert_int_not_equal(some, 0);
        done += some;
    }
    assert_memory_equal(message.payload, payload, length);
}

static void ring_expect_nothing(struct ring *ring)
{
    assert_int_equal(ring->page[RSP_CONS], ring->page[RSP_PROD]);
}

static void test_messages(void **state)
{
    static char value[3000];
    struct machine m;
    struct ring ring;

    (void)state;
    machine_start(&m, &(struct xenpv_mock_limits){.store_record = 4096});
    ring_start(&ring, &m);
    assert_int_equal(ring.page[FEATURES], 3);
    assert_int_equal(ring.page[CONNECTION], 0);
    assert_holds_nothing(&m, 7);
    memcpy(value, "data/long", 10);
    memset(value + 10, 'x', sizeof(value) - 10);
    /* Free running: they pass 2^32 on their way. */
    ring.page[REQ_CONS] = ring.page[REQ_PROD] = UINT32_MAX - 99;
    ring.page[RSP_CONS] = ring.page[RSP_PROD] = UINT32_MAX - 999;
    ring_taken(&ring);
    for (int i = 0; i < 9; i++) {
        ring_put(&ring, WRITE_NODE, value, sizeof(value)); /* longer than the ring */
        assert_true(ring_taken(&ring));
        ring_expect(&ring, WRITE_NODE, NUL("OK"));
        ring_put(&ring, READ_NODE, NUL("data/long"));
        ring_expect(&ring, READ_NODE, value + 10, sizeof(value) - 10);
        ring_expect_nothing(&ring);
    }
    assert_int_equal(ring.page[ERROR_FIELD], 0);
    machine_stop(&m, 0);
}

static void test_events_of_others(void **state)
{
    struct machine m;
    struct ring ring;

    (void)state;
    machine_start(&m, &default_limits);
    ring_start(&ring, &m);
    ring_put(&ring, WATCH, NUL("control/shutdown\0token"));
    ring_expect(&ring, WATCH, NUL("OK"));
    ring_expect(&ring, WATCH_EVENT, NUL("control/shutdown\0token"));
    assert_int_equal(ledger_of(&m, 7).watches, 1);
    ring_taken(&ring);
    assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/control/shutdown", "x"), XENPV_OK);
    assert_true(ring_taken(&ring));
    ring_expect(&ring, WATCH_EVENT, NUL("control/shutdown\0token"));
    machine_stop(&m, 0);
}

/* A guest whose indexes are wrong, or whose message is too long, is told so and served no more. */
static void test_XS_04_errors(void **state)
{
    static const struct {
        uint32_t word, add;
        uint32_t error;
    } cases[] = {
        {REQ_PROD, 1024, 0}, /* full of nothing: zeroes are a CONTROL */
        {REQ_PROD, 1025, 2}, {REQ_CONS, 1, 2}, {RSP_CONS, 1, 2}, {RSP_PROD, 1025, 2},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct machine m;
        struct ring ring;

        machine_start(&m, &default_limits);
        ring_start(&ring, &m);
        ring_put(&ring, WATCH, NUL("data\0t"));
        ring_expect(&ring, WATCH, NUL("OK"));
        ring_expect(&ring, WATCH_EVENT, NUL("data\0t"));
        memset(ring.page, 0, 1024);
        ring.page[cases[i].word] += cases[i].add;
        ring_taken(&ring);
        assert_int_equal(xenpv_mock_write(m.mock, "/local/domain/7/data", "x"), XENPV_OK);
        ring_notify(&ring);
        if (ring.page[ERROR_FIELD] != cases[i].error)
            fail_msg("case %zu: error %u", i, ring.page[ERROR_FIELD]);
        assert_int_equal(ledger_of(&m, 7).watches, cases[i].error == 0);
        assert_true(ring_taken(&ring));
        machine_stop(&m, 0);
    }
}

static void test_XS_02_too_long_and_reconnect(void **state)
{
    const struct wire_message bad = {READ_NODE, 1, 0, 4097, {0}};
    struct machine m;
    struct ring ring;

    (void)state;
    machine_start(&m, &default_limits);
    ring_start(&ring, &m);
    ring_write(&ring, &bad, WIRE_HEADER);
    assert_int_equal(ring.page[ERROR_FIELD], 3);
    ring_put(&ring, READ_NODE, NUL("domid"));
    ring_expect_nothing(&ring);

    /* The guest asks for a new beginning. */
    ring_taken(&ring);
    ring.page[CONNECTION] = 1;
    ring_notify(&ring);
    assert_true(ring_taken(&ring));
    for (uint32_t word = REQ_CONS; word <= RSP_PROD; word++)
        assert_int_equal(ring.page[word], 0);
    assert_int_equal(ring.page[CONNECTION], 0);
    assert_int_equal(ring.page[ERROR_FIELD], 0);
    ring_put(&ring, READ_NODE, NUL("domid"));
    ring_expect(&ring, READ_NODE, RAW("7"));
    machine_stop(&m, 0);
}

static void test_reconnect_drops(void **state)
{
    struct machine m;
    struct ring ring;

    (void)state;
    machine_start(&m, &default_limits);
    ring_start(&ring, &m);
    ring_put(&ring, WATCH, NUL("data\0t"));
    ring_put(&ring, TRANSACTION_START, NUL(""));
    ring_write(&ring, "half of a header", 8);
    ring.page[CONNECTION] = 1;
    ring_notify(&ring);
    ring_expect_nothing(&ring);
    assert_int_equal(ledger_of(&m, 7).watches, 0);
    ring_put(&ring, READ_NODE, NUL("domid"));
    ring_expect(&ring, READ_NODE, RAW("7"));
    machine_stop(&m, 0);
}

/* Nobody reads: the ring fills, then the server, and requests are not read any more. */
static void test_unread(void **state)
{
    uint32_t written = 0;
    struct wire_message message;
    uint32_t bytes = compose(&message, READ_NODE, 77, 0, NUL("domid"));
    struct machine m;
    struct ring ring;

    (void)state;
    machine_start(&m, &default_limits);
    ring_start(&ring, &m);
    while (ring.page[REQ_PROD] - ring.page[REQ_CONS] + bytes <= 1024) {
        assert_int_equal(ring_write(&ring, &message, bytes), bytes);
        written++;
        assert_in_range(written, 1, 1000);
    }
    /* 60 answers of 17 bytes are in the ring, 20 wait, and 46 requests are not read. */
    assert_int_equal(written, 60 + 20 + 46);
    for (uint32_t i = 0; i < written; i++)
        ring_expect(&ring, READ_NODE, RAW("7"));
    ring_expect_nothing(&ring);
    machine_stop(&m, 0);
}

static void test_delay(void **state)
{
    struct machine m;
    struct ring ring;

    (void)state;
    machine_start(&m, &default_limits);
    ring_start(&ring, &m);
    assert_int_equal(xenpv_mock_set_store_delay(m.mock, 7, 10), XENPV_OK);
    ring_put(&ring, READ_NODE, NUL("domid"));
    xenpv_mock_advance(m.mock, 9);
    ring_expect_nothing(&ring);
    xenpv_mock_advance(m.mock, 1);
    ring_expect(&ring, READ_NODE, RAW("7"));
    machine_stop(&m, 0);
}

static void test_suspend_and_death(void **state)
{
    struct machine m;
    struct ring ring, again;

    (void)state;
    machine_start(&m, &default_limits);
    ring_start(&ring, &m);
    ring_put(&ring, WATCH, NUL("data\0t"));
    assert_int_equal(xenpv_mock_suspend(m.mock, 7), XENPV_OK);
    assert_holds_nothing(&m, 7);
    assert_int_equal(m.guest.event->notify(m.guest.ctx, ring.port), XENPV_ENOENT);
    ring_start(&again, &m);
    assert_ptr_equal(again.page, ring.page);
    assert_int_equal(again.page[RSP_PROD], 0);
    ring_put(&again, READ_NODE, NUL("domid"));
    ring_expect(&again, READ_NODE, RAW("7"));
    ring_start(&ring, &m); /* nothing new */
    assert_int_equal(ring.port, again.port);
    assert_int_not_equal(ring.page[RSP_PROD], 0);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 7), XENPV_OK);
    assert_int_equal(m.guest.event->notify(m.guest.ctx, ring.port), XENPV_ENOENT);
    machine_stop(&m, 0);
}

static void test_opening(void **state)
{
    struct machine m;
    uint32_t port;
    void *page;

    (void)state;
    machine_start(&m, &(struct xenpv_mock_limits){.ports = 3});
    assert_int_equal(xenpv_mock_wire_ring(m.mock, 9, &page, &port), XENPV_ENOENT);
    for (uint32_t nth = 1; nth < 4; nth++) {
        m.fail_in = nth;
        assert_int_equal(xenpv_mock_wire_ring(m.mock, 7, &page, &port), XENPV_ENOMEM);
    }
    m.fail_in = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(m.other.event->alloc_unbound(m.other.ctx, 0, &port), XENPV_OK);
    assert_int_equal(xenpv_mock_wire_ring(m.mock, 8, &page, &port), XENPV_ENOPORT);
    assert_int_equal(xenpv_mock_wire_ring(m.mock, 7, &page, &port), XENPV_OK);
    machine_stop(&m, 0);
}

/* Who is not offered to reconnect is not reconnected; an error is told but by oxenstored. */
static void test_features(void **state)
{
    (void)state;
    for (uint32_t features = 0; features < 4; features++) {
        bool reconnects = features & XENPV_MOCK_STORE_RECONNECT;
        struct machine m;
        struct ring ring;

        machine_start(&m, &default_limits);
        assert_int_equal(xenpv_mock_set_store_features(m.mock, features), XENPV_OK);
        assert_int_equal(xenpv_mock_set_store_features(m.mock, features | 4), XENPV_EINVAL);
        ring_start(&ring, &m);
        assert_int_equal(xenpv_mock_set_store_features(m.mock, 0), XENPV_OK); /* not of this page */
        assert_int_equal(ring.page[FEATURES], features);
        ring_put(&ring, READ_NODE, NUL("domid"));
        ring_expect(&ring, READ_NODE, RAW("7"));
        ring.page[CONNECTION] = 1;
        ring_notify(&ring);
        xenpv_mock_advance(m.mock, 1);
        assert_int_equal(ring.page[CONNECTION], !reconnects);
        assert_int_equal(ring.page[RSP_PROD] == 0, reconnects);
        ring.page[CONNECTION] = 0;
        assert_int_equal(xenpv_mock_store_restart(m.mock, true), XENPV_OK);
        assert_int_equal(ring.page[CONNECTION], reconnects);
        xenpv_mock_advance(m.mock, 1);
        assert_int_equal(ring.page[CONNECTION], 0);
        ring_put(&ring, READ_NODE, NUL("domid"));
        ring_expect(&ring, READ_NODE, RAW("7"));
        ring.page[REQ_PROD] = ring.page[REQ_CONS] + 1025;
        ring_notify(&ring);
        assert_int_equal(ring.page[ERROR_FIELD], features == XENPV_MOCK_STORE_RECONNECT ? 0 : 2);
        machine_stop(&m, 0);
    }
}

static const char cookie;

static void test_XS_09_restart(void **state)
{
    char value[] = "v";
    struct xenpv_store_op op = WRITE("data/late", value);
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};

    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        char path[32];
        struct machine m;
        struct ring ring;

        machine_start(&m, &default_limits);
        ring_start(&ring, &m);
        ring_put(&ring, WATCH, NUL("data\0t"));
        ring_expect(&ring, WATCH, NUL("OK"));
        ring_expect(&ring, WATCH_EVENT, NUL("data\0t"));

        struct xenpv_mock_wire *wire = open_wire(&m, 7);

        assert_int_equal(m.guest.store->watch(m.guest.ctx, "data", &cookie), XENPV_OK);
        assert_int_equal(m.guest.store->changed(m.guest.ctx, &cookie, path, 32), 1);
        assert_true(m.guest.store->fired(m.guest.ctx, &cookie));
        assert_int_equal(set_perms(&m.dom0, "@releaseDomain", TEXT("n0\0r7")), XENPV_OK);
        assert_int_equal(xenpv_mock_set_store_delay(m.mock, 8, 10), XENPV_OK);
        assert_int_equal(run(&m.other, &batch), XENPV_PENDING);
        ring_taken(&ring);
        assert_int_equal(xenpv_mock_store_restart(m.mock, keep), XENPV_OK);

        assert_int_equal(batch.status, XENPV_ESTORE);
        assert_int_equal(xenpv_mock_wire_put(wire, "", 0), XENPV_ESTORE);
        assert_true(m.guest.store->fired(m.guest.ctx, &cookie));
        assert_int_equal(m.guest.store->changed(m.guest.ctx, &cookie, path, 32), 1);
        assert_string_equal(path, "data");
        assert_int_equal(try_read(&m.dom0, "/local/domain/7/data"), keep ? XENPV_OK : XENPV_ENOENT);
        assert_value(&m.dom0, "/local/domain/0/name", "Domain-0");
        assert_int_equal(ledger_of(&m, 7).watches, 1); /* the port's */

        assert_true(ring_taken(&ring));
        assert_int_equal(ring.page[CONNECTION], 1);
        ring_notify(&ring);
        assert_int_equal(ring.page[CONNECTION], 1); /* the server is not back yet */
        xenpv_mock_advance(m.mock, 1);
        assert_int_equal(ring.page[CONNECTION], 0);
        assert_true(ring_taken(&ring));
        ring_put(&ring, GET_DOMAIN_PATH, NUL("7"));
        ring_expect(&ring, GET_DOMAIN_PATH, NUL("/local/domain/7"));
        assert_int_equal(set_perms(&m.guest, "@releaseDomain", TEXT("n0")), XENPV_EACCES);
        wire = open_wire(&m, 7);
        assert_string_equal(ask(wire, WATCH, 0, NUL("@releaseDomain\0t")), "");
        assert_event(wire, "@releaseDomain", "t");
        assert_int_equal(xenpv_mock_remove_domain(m.mock, 8), XENPV_OK);
        if (keep)
            assert_event(wire, "@releaseDomain", "t");
        else
            assert_nothing(wire);
        machine_stop(&m, 0);
    }
}

static void test_restart_without_memory(void **state)
{
    bool done = false;

    (void)state;
    for (uint32_t nth = 1; !done; nth++) {
        struct machine m;

        machine_start(&m, &default_limits);

        struct xenpv_mock_wire *wire = open_wire(&m, 7);
        uint32_t blocks = m.blocks;

        m.fail_in = nth;
        done = xenpv_mock_store_restart(m.mock, false) == XENPV_OK;
        m.fail_in = 0;
        assert_true(done || m.blocks == blocks);
        assert_int_equal(xenpv_mock_wire_put(wire, "", 0), done ? XENPV_ESTORE : XENPV_OK);
        assert_int_equal(try_read(&m.guest, "data"), done ? XENPV_EACCES : XENPV_OK);
        machine_stop(&m, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),        cmocka_unit_test(test_events_of_others),
        cmocka_unit_test(test_XS_04_errors),    cmocka_unit_test(test_XS_02_too_long_and_reconnect),
        cmocka_unit_test(test_reconnect_drops), cmocka_unit_test(test_unread),
        cmocka_unit_test(test_delay),           cmocka_unit_test(test_suspend_and_death),
        cmocka_unit_test(test_opening),         cmocka_unit_test(test_features),
        cmocka_unit_test(test_XS_09_restart),   cmocka_unit_test(test_restart_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
