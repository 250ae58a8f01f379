/* SPDX-License-Identifier: MIT */
/* A client that is stepped only when it says so, or the server has done something. */
#include "xs_server.h"

static struct xs_server server;

/* An obedient server that loses the requests of one type, as many as there are. */
static struct {
    uint32_t type, count;
} losing;

static bool lose(struct xs_server *self)
{
    if (self->request.type != losing.type || losing.count == 0)
        return false;
    losing.count--;
    return true;
}

static void sleep_and_step(uint64_t until)
{
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t at = xenpv_xs_deadline(server.xs);
        bool moved = xs_server_serve(&server);

        if (!moved && at > until)
            return;
        if (!moved && at > server.now)
            server.now = at;
        xenpv_xs_step(server.xs, server.now);
    }
    fail_msg("client and server do not come to rest");
}

static void start(uint32_t type, uint32_t count)
{
    xs_server_start(&server, 0, 0);
    losing.type = type;
    losing.count = count;
    server.answer = lose;
}

static void test_the_first_step(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(xenpv_xs_deadline(server.xs), 0);
    sleep_and_step(server.now);
    assert_int_equal(xenpv_xs_state(server.xs), XENPV_XS_CONNECTED);
    assert_int_equal(server.resets, 1);
    assert_true(xenpv_xs_deadline(server.xs) == UINT64_MAX);
    xs_server_stop(&server);
}

/* What nobody waits for is asked again, though nobody calls. */
static void test_seed_XS_05_a_request_is_lost(void **state)
{
    static const uint32_t types[] = {XENPV_XS_RESET_WATCHES, XENPV_XS_WATCH, XENPV_XS_UNWATCH,
                                     XENPV_XS_READ, XENPV_XS_TRANSACTION_END};

    (void)state;
    for (uint32_t i = 0; i < COUNT(types); i++) {
        char value[8];
        int kept, gone;
        struct xenpv_store_op op = {
            .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8};
        struct xenpv_store_batch batch = {.ops = &op, .count = 1, .transaction = true};

        start(types[i], 1);
        assert_int_equal(server.store->watch(server.xs, "kept", &kept), XENPV_OK);
        assert_int_equal(server.store->watch(server.xs, "gone", &gone), XENPV_OK);
        sleep_and_step(server.now + 5000);
        server.store->unwatch(server.xs, "gone", &gone);
        sleep_and_step(server.now + 5000);
        assert_int_equal(server.watch_count, 1);
        assert_int_equal(xenpv_xs_watch_status(server.xs, &kept), XENPV_OK);
        assert_int_equal(server.store->start(server.xs, &batch), XENPV_PENDING);
        sleep_and_step(server.now + 5000);
        assert_int_equal(batch.status, i < 3 ? XENPV_OK : XENPV_ETIMEDOUT);
        /* The end that was lost may have been taken in, and is not sent twice. */
        assert_int_equal(server.tx_open, types[i] == XENPV_XS_TRANSACTION_END ? 1 : 0);
        assert_true(xenpv_xs_deadline(server.xs) == UINT64_MAX);
        xs_server_stop(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_step),
        cmocka_unit_test(test_seed_XS_05_a_request_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
