/* SPDX-License-Identifier: MIT */
/* The store client on the ring page of the mock's xenstored: what its port answers, it answers. */
#include "mock_store_fixture.h"

#include <xenpv/xs.h>

struct client {
    struct machine machine;
    struct xenpv_port port; /* a bare one: of the store alone */
    struct xenpv_xs *xs;
    void *memory;
    uint64_t now;
    uint32_t event_port;
};

static struct client client;
static uint32_t features; /* that the server advertises */

static void start(void)
{
    void *page;
    struct xenpv_xs_config config = {.watches = 200, .timeout_ms = 5000};

    machine_start(&client.machine, &default_limits);
    assert_int_equal(xenpv_mock_set_store_features(client.machine.mock, features), XENPV_OK);
    assert_int_equal(xenpv_mock_wire_ring(client.machine.mock, 7, &page, &client.event_port),
                     XENPV_OK);
    config.page = page;
    config.event_port = client.event_port;
    config.event = client.machine.guest.event;
    config.event_ctx = client.machine.guest.ctx;
    client.memory = malloc(xenpv_xs_size(&config));
    assert_int_equal(xenpv_xs_init(client.memory, &config, &client.xs), XENPV_OK);
    client.port = (struct xenpv_port){.size = sizeof(client.port),
                                      .caps = XENPV_CAP_TRANSACTIONS,
                                      .ctx = client.xs,
                                      .store = &xenpv_xs_store_ops};
    client.now = 1;
}

static void stop(void)
{
    machine_stop(&client.machine, 0);
    free(client.memory);
}

/* The server answers inside of the client's call, so that nothing moves once there is no event. */
static void settle(void)
{
    struct xenpv_port *guest = &client.machine.guest;

    for (uint32_t i = 0; i < 1000; i++) {
        xenpv_xs_step(client.xs, client.now);
        if (!guest->event->take(guest->ctx, client.event_port) &&
            xenpv_xs_deadline(client.xs) > client.now)
            return;
        guest->event->unmask(guest->ctx, client.event_port);
    }
    fail_msg("the client does not come to rest");
}

/* As long as it takes, without the clock. */
static void run_ring(struct xenpv_store_batch *batch)
{
    int rc = client.port.store->start(client.xs, batch);

    for (uint32_t i = 0; i < 5000 && rc == XENPV_PENDING; i++)
        rc = client.port.store->check(client.xs, batch);
    assert_int_equal(rc, XENPV_OK);
}

static int ring_op(struct xenpv_store_op *op)
{
    struct xenpv_store_batch batch = {.ops = op, .count = 1, .status = 99};

    op->status = 99;
    run_ring(&batch);
    return op->status;
}

/* Each asked twice, over the ring and of the mock's own port of the same domain. */
static void test_both_answer_the_same(void **state)
{
    static char value[4096], perms[] = "n7\0r0", theirs[] = "n8";
    static const struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_LIST, .dir = "data"},
        {.type = XENPV_STORE_WRITE, .dir = "data/a", .value = value, .length = 10},
        {.type = XENPV_STORE_READ, .dir = "data/a"},
        {.type = XENPV_STORE_READ, .dir = "data", .name = "a"},
        {.type = XENPV_STORE_READ, .dir = "/local/domain/7/data/a"},
        {.type = XENPV_STORE_READ, .dir = "data/none"},
        {.type = XENPV_STORE_READ, .dir = "/"},
        {.type = XENPV_STORE_LIST, .dir = "/local"},
        {.type = XENPV_STORE_WRITE, .dir = "/local/x", .value = value, .length = 1},
        {.type = XENPV_STORE_WRITE, .dir = "/local/domain/8/data/x", .value = value, .length = 1},
        {.type = XENPV_STORE_MKDIR, .dir = "data/d/e/f"},
        {.type = XENPV_STORE_LIST, .dir = "data/d"},
        {.type = XENPV_STORE_LIST, .dir = "data/d/e/f"},
        {.type = XENPV_STORE_RM, .dir = "data/d"},
        {.type = XENPV_STORE_RM, .dir = "data/d"},
        {.type = XENPV_STORE_RM, .dir = "data/none/x"},
        {.type = XENPV_STORE_WRITE, .dir = "data/b", .value = value, .length = 2048},
        {.type = XENPV_STORE_WRITE, .dir = "data/b", .value = value, .length = 2049},
        {.type = XENPV_STORE_WRITE, .dir = "data/b", .value = value, .length = 4096},
        {.type = XENPV_STORE_READ, .dir = "data//b"},
        {.type = XENPV_STORE_READ, .dir = ""},
        {.type = XENPV_STORE_GET_PERMS, .dir = "data"},
        {.type = XENPV_STORE_GET_PERMS, .dir = "/"},
        {.type = XENPV_STORE_SET_PERMS, .dir = "data/a", .value = perms, .length = 6},
        {.type = XENPV_STORE_GET_PERMS, .dir = "data/a"},
        {.type = XENPV_STORE_SET_PERMS, .dir = "data/a", .value = theirs, .length = 3},
        {.type = XENPV_STORE_SET_PERMS, .dir = "data/a", .value = theirs, .length = 2},
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "8"},
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "12"},
        {.type = XENPV_STORE_INTRODUCED, .dir = "8"},
        {.type = XENPV_STORE_INTRODUCED, .dir = "x"},
        {.type = XENPV_STORE_RM, .dir = "data/a"},
    };
    static char over_ring[4096], own[4096];

    (void)state;
    start();
    memset(value, 'v', sizeof(value));
    for (uint32_t i = 0; i < COUNT(ops); i++) {
        struct xenpv_store_op a = ops[i], b = ops[i];

        if (!a.value) {
            a.value = over_ring;
            b.value = own;
            a.capacity = b.capacity = sizeof(own);
        }
        int status = ring_op(&a), expected = run_one(&client.machine.guest, &b);

        if (status != expected)
            print_error("operation %u, %s: %s over the ring, %s of the port\n", i, ops[i].dir,
                        xenpv_error_name(status), xenpv_error_name(expected));
        assert_int_equal(status, expected);
        assert_int_equal(a.length, b.length);
        if (a.value == over_ring && status == XENPV_OK)
            assert_memory_equal(over_ring, own, a.length);
    }
    stop();
}

static void test_transactions_and_conflicts(void **state)
{
    char text[] = "1", value[8];

    (void)state;
    start();
    for (uint32_t conflicts = 0; conflicts < 3; conflicts++) {
        struct xenpv_store_op ops[] = {WRITE("data/t", text), READ("data/t", value)};
        struct xenpv_store_batch batch = {.ops = ops, .count = 2, .transaction = true};

        assert_int_equal(xenpv_mock_set_conflicts(client.machine.mock, 7, conflicts), XENPV_OK);
        for (uint32_t i = 0; i < conflicts; i++) {
            run_ring(&batch);
            assert_int_equal(batch.status, XENPV_EAGAIN);
        }
        run_ring(&batch);
        assert_int_equal(batch.status, XENPV_OK);
        assert_int_equal(ops[1].status, XENPV_OK);
        assert_value(&client.machine.guest, "data/t", "1");
    }
    stop();
}

/* Over the ring and of the mock's own port. */
static void test_a_strict_transaction(void **state)
{
    (void)state;
    start();
    for (uint32_t i = 0; i < 8; i++) {
        bool strict = i & 1, ring = i & 2, full = i & 4;
        char text[] = "1";
        struct xenpv_store_op ops[] = {WRITE("data/t", text),
                                       {.type = XENPV_STORE_LIST, .dir = "data/t"},
                                       {.type = XENPV_STORE_READ},
                                       WRITE("data/v", text)};
        struct xenpv_store_batch batch = {
            .ops = ops, .count = COUNT(ops), .transaction = true, .strict = strict};

        ops[2].dir = full ? "data/t" : "data/t/u";
        (void)xenpv_mock_rm(client.machine.mock, "/local/domain/7/data/v");
        if (ring)
            run_ring(&batch);
        else
            assert_int_equal(run(&client.machine.guest, &batch), XENPV_OK);
        assert_int_equal(ops[1].status, XENPV_OK);
        assert_int_equal(ops[2].status, full ? XENPV_E2BIG : XENPV_ENOENT);
        assert_int_equal(batch.status, strict ? ops[2].status : XENPV_OK);
        assert_int_equal(try_read(&client.machine.guest, "data/v"),
                         strict ? XENPV_ENOENT : XENPV_OK);
    }
    stop();
}

/* 600 names of 9 bytes are above one message. */
static void test_a_long_list(void **state)
{
    static char names[8192];
    struct xenpv_store_op list = {
        .type = XENPV_STORE_LIST, .dir = "data/many", .value = names, .capacity = sizeof(names)};

    (void)state;
    start();
    for (uint32_t i = 0; i < 600; i++) {
        char path[64];

        snprintf(path, sizeof(path), "/local/domain/7/data/many/name-%03u", i);
        assert_int_equal(xenpv_mock_write(client.machine.mock, path, ""), XENPV_OK);
    }
    assert_int_equal(ring_op(&list), XENPV_OK);
    assert_int_equal(list.length, 600 * 9);
    for (uint32_t i = 0; i < 600; i++) {
        char name[16];

        snprintf(name, sizeof(name), "name-%03u", i);
        assert_string_equal(names + 9 * (size_t)i, name);
    }
    stop();
}

static void test_seed_XS_06_the_quota_of_watches(void **state)
{
    static char cookies[200];
    uint32_t set = 0;

    (void)state;
    start();
    for (uint32_t i = 0; i < 130; i++)
        assert_int_equal(client.port.store->watch(client.xs, "data", &cookies[i]), XENPV_OK);
    settle();
    for (uint32_t i = 0; i < 130; i++) {
        int status = xenpv_xs_watch_status(client.xs, &cookies[i]);

        assert_true(status == XENPV_OK || status == XENPV_ENOSPC);
        set += status == XENPV_OK;
    }
    assert_int_equal(set, 129); /* xenstored refuses when there are more than its 128 */
    for (uint32_t i = 0; i < 130; i++)
        client.port.store->unwatch(client.xs, "data", &cookies[i]);
    settle();
    assert_int_equal(client.port.store->watch(client.xs, "data", &cookies[0]), XENPV_OK);
    settle();
    assert_int_equal(xenpv_xs_watch_status(client.xs, &cookies[0]), XENPV_OK);
    stop();
}

static bool told(const void *cookie, const char *path)
{
    char found[XENPV_STORE_PATH_MAX];
    bool seen = false;

    (void)client.port.store->fired(client.xs, cookie);
    while (client.port.store->changed(client.xs, cookie, found, sizeof(found)) == 1)
        seen = seen || strcmp(found, path) == 0;
    return seen;
}

static void test_seed_XS_09_xenstored_restarts(void **state)
{
    int relative, absolute;

    (void)state;
    start();
    assert_int_equal(client.port.store->watch(client.xs, "data", &relative), XENPV_OK);
    assert_int_equal(client.port.store->watch(client.xs, "/local/domain/7/data", &absolute),
                     XENPV_OK);
    settle();
    for (uint32_t i = 0; i < 20; i++) {
        char text[] = "1";
        struct xenpv_store_op ops[] = {WRITE("data/x", text), WRITE("data/y", text)};
        struct xenpv_store_batch batch = {.ops = ops, .count = 2, .transaction = i & 1};
        bool pending;

        /* A slow server, so that some of it is on its way. */
        assert_int_equal(xenpv_mock_set_store_delay(client.machine.mock, 7, 10), XENPV_OK);
        pending = client.port.store->start(client.xs, &batch) == XENPV_PENDING;
        xenpv_mock_advance(client.machine.mock, 5 * (i % 7));
        settle();
        pending = pending && client.port.store->check(client.xs, &batch) == XENPV_PENDING;
        assert_int_equal(xenpv_mock_set_store_delay(client.machine.mock, 7, 0), XENPV_OK);
        assert_int_equal(xenpv_mock_store_restart(client.machine.mock, true), XENPV_OK);
        settle();
        /* That the old one is gone only `connection` tells. */
        if (features & XENPV_XS_FEATURE_RECONNECT)
            assert_int_equal(client.port.store->check(client.xs, &batch), XENPV_OK);
        /* The new one is there, and what held the old one up is over. */
        xenpv_mock_advance(client.machine.mock, 1);
        settle();
        assert_int_equal(client.port.store->check(client.xs, &batch), XENPV_OK);
        assert_int_equal(batch.status, pending ? XENPV_ESTORE : XENPV_OK);
        xenpv_mock_advance(client.machine.mock, 20);
        settle();
        assert_int_equal(xenpv_xs_watch_status(client.xs, &relative), XENPV_OK);
        assert_true(told(&relative, "data"));
        assert_true(told(&absolute, "/local/domain/7/data"));
        assert_int_equal(xenpv_mock_write(client.machine.mock, "/local/domain/7/data/z", "1"),
                         XENPV_OK);
        settle();
        assert_true(told(&relative, "data/z"));
        assert_true(told(&absolute, "/local/domain/7/data/z"));
    }
    stop();
}

static void test_resume(void **state)
{
    int cookie;

    (void)state;
    start();
    assert_int_equal(client.port.store->watch(client.xs, "data", &cookie), XENPV_OK);
    settle();
    for (uint32_t i = 0; i < 10; i++) {
        void *page;

        (void)told(&cookie, "");
        assert_int_equal(xenpv_mock_suspend(client.machine.mock, 7), XENPV_OK);
        assert_int_equal(xenpv_mock_wire_ring(client.machine.mock, 7, &page, &client.event_port),
                         XENPV_OK);
        xenpv_xs_resume(client.xs, page, client.event_port);
        settle();
        assert_true(told(&cookie, "data"));
        assert_int_equal(xenpv_mock_write(client.machine.mock, "/local/domain/7/data/z", "1"),
                         XENPV_OK);
        settle();
        assert_true(told(&cookie, "data/z"));
    }
    stop();
}

/* A page whose indices no server can make sense of. Of oxenstored's only a deadline tells. */
static void test_seed_XS_04_given_up(void **state)
{
    struct xenpv_store_op op = {.type = XENPV_STORE_READ, .dir = "data"};
    struct xenpv_xs_page *page;
    struct xenpv_port *guest;
    uint32_t port;

    (void)state;
    start();
    guest = &client.machine.guest;
    assert_int_equal(xenpv_mock_wire_ring(client.machine.mock, 7, (void **)&page, &port), XENPV_OK);
    settle();
    page->req_prod += 2000;
    assert_int_equal(guest->event->notify(guest->ctx, port), XENPV_OK);
    page->req_prod -= 2000;
    assert_int_equal(page->error, features == XENPV_XS_FEATURE_RECONNECT ? 0 : 2);
    xenpv_xs_step(client.xs, client.now);
    assert_int_equal(xenpv_xs_detail(client.xs)->error,
                     features == XENPV_XS_FEATURE_RECONNECT ? 0 : XENPV_ESTORE);
    if (!(features & XENPV_XS_FEATURE_RECONNECT))
        assert_int_equal(ring_op(&op), XENPV_ESTORE);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_answer_the_same),
        cmocka_unit_test(test_transactions_and_conflicts),
        cmocka_unit_test(test_a_strict_transaction),
        cmocka_unit_test(test_a_long_list),
        cmocka_unit_test(test_seed_XS_06_the_quota_of_watches),
        cmocka_unit_test(test_seed_XS_09_xenstored_restarts),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_seed_XS_04_given_up),
    };
    int failed = 0;

    for (features = 0; features <= (XENPV_XS_FEATURE_RECONNECT | XENPV_XS_FEATURE_ERROR);
         features++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
