/* SPDX-License-Identifier: MIT */
/* The page changes between any two loads of the client. */
#include "hooked_env.h"

#include "xs_server.h"

void (*before_load)(void);

static struct xs_server server;
static uint32_t loads, flip_at;
static void (*flip)(void);

static void count_load(void)
{
    if (++loads == flip_at)
        flip();
}

/* A watch, and a transaction with values longer than a ring. */
static void work(void)
{
    static char value[1500];
    int cookie;
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_WRITE, .dir = "a", .value = value, .length = sizeof(value)},
        {.type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = sizeof(value)},
    };
    struct xenpv_store_batch batch = {.ops = ops, .count = 2, .transaction = true};

    xs_server_settle(&server);
    assert_int_equal(server.store->watch(server.xs, "dir", &cookie), XENPV_OK);
    (void)xs_server_run(&server, &batch);
    for (uint32_t i = 0; batch.port_data && i < 3; i++) {
        server.now += 2000;
        xs_server_settle(&server);
    }
    assert_null(batch.port_data);
    server.store->unwatch(server.xs, "dir", &cookie);
    xs_server_settle(&server);
}

/* As by XS_INTRODUCE of the C xenstored: no event, and no feature is there to ask for a reset. */
static void begin_anew(void)
{
    xs_server_empty(&server);
}

static void test_seed_XS_09_the_server_begins_anew_at_every_load(void **state)
{
    (void)state;
    flip = begin_anew;
    for (flip_at = 1;; flip_at++) {
        loads = 0;
        before_load = count_load;
        xs_server_start(&server, 5000, 0);
        work();
        bool done = loads < flip_at;
        before_load = NULL;
        assert_int_equal(xenpv_xs_detail(server.xs)->error, 0);
        assert_int_equal(xenpv_xs_state(server.xs), XENPV_XS_CONNECTED);
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
        xs_server_stop(&server);
        if (done)
            break;
    }
    assert_true(flip_at > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_XS_09_the_server_begins_anew_at_every_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
