/* SPDX-License-Identifier: MIT */
/* Messages by hand, in the queue of the batches. */
#include "xs_server.h"

static struct xs_server server;

static void connected(uint32_t first, uint32_t features)
{
    xs_server_start(&server, first, features);
    xs_server_settle(&server);
}

static bool refuse(struct xs_server *self)
{
    xs_server_say(self, XENPV_XS_ERROR, self->request.id, "EACCES", 6);
    return true;
}

static void test_requests(void **state)
{
    char reply[8], value[8];
    struct xenpv_xs_request request = {.type = XENPV_XS_CONTROL,
                                       .payload = "print\0x",
                                       .length = 8,
                                       .reply = reply,
                                       .capacity = sizeof(reply)};
    struct xenpv_store_op op = {
        .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};
    static const uint32_t not_allowed[] = {XENPV_XS_WATCH, XENPV_XS_UNWATCH, XENPV_XS_RESET_WATCHES,
                                           XENPV_XS_WATCH_EVENT, XENPV_XS_ERROR};

    (void)state;
    connected(0, 0);
    assert_int_equal(server.store->start(server.xs, &batch), XENPV_PENDING);
    assert_int_equal(xenpv_xs_request(server.xs, &request), XENPV_PENDING);
    xs_server_settle(&server);
    assert_int_equal(xenpv_xs_request_check(server.xs, &request), XENPV_OK);
    assert_int_equal(server.store->check(server.xs, &batch), XENPV_OK);
    assert_int_equal(request.status, XENPV_OK);
    assert_int_equal(request.reply_type, XENPV_XS_CONTROL);
    assert_int_equal(request.reply_length, 3);
    assert_string_equal(reply, "OK");
    assert_int_equal(server.request.length, 8);
    assert_memory_equal(server.payload, "print\0x", 8);

    server.answer = refuse;
    assert_int_equal(xenpv_xs_request(server.xs, &request), XENPV_PENDING);
    xs_server_settle(&server);
    assert_int_equal(request.status, XENPV_EACCES);
    assert_int_equal(request.reply_type, XENPV_XS_ERROR);
    assert_memory_equal(reply, "EACCES", 6);

    server.answer = NULL;
    request.capacity = 2;
    assert_int_equal(xenpv_xs_request(server.xs, &request), XENPV_PENDING);
    xs_server_settle(&server);
    assert_int_equal(request.status, XENPV_E2BIG);
    assert_int_equal(request.reply_length, 3);

    for (uint32_t i = 0; i < COUNT(not_allowed); i++) {
        request.type = not_allowed[i];
        assert_int_equal(xenpv_xs_request(server.xs, &request), XENPV_OK);
        assert_int_equal(request.status, XENPV_EINVAL);
        /* It is not in the queue. */
        assert_int_equal(xenpv_xs_request_check(server.xs, &request), XENPV_OK);
    }
    request.type = XENPV_XS_CONTROL;
    request.length = 4097;
    assert_int_equal(xenpv_xs_request(server.xs, &request), XENPV_OK);
    assert_int_equal(request.status, XENPV_E2BIG);

    /* Given up: nothing of it is touched. */
    request.length = 8;
    assert_int_equal(xenpv_xs_request(server.xs, &request), XENPV_PENDING);
    xenpv_xs_request_cancel(server.xs, &request);
    memset(&request, 0x55, sizeof(request));
    assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
    xs_server_stop(&server);
}

/* A transaction by hand that is given up before it is known is ended. */
static void test_a_start_by_hand_that_is_given_up(void **state)
{
    struct xenpv_xs_request request = {
        .type = XENPV_XS_TRANSACTION_START, .payload = "", .length = 1};

    (void)state;
    connected(0, 0);
    assert_int_equal(xenpv_xs_request(server.xs, &request), XENPV_PENDING);
    xenpv_xs_request_cancel(server.xs, &request);
    xs_server_settle(&server);
    assert_int_equal(server.last_tx, 1);
    assert_int_equal(server.tx_open, 0);
    xs_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_a_start_by_hand_that_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
