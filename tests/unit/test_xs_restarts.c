/* SPDX-License-Identifier: MIT */
/*
 * The store client on the mock's ring page, while xenstored is restarted, the domain sleeps,
 * answers take their time and others change the store: all that is asked ends, what is watched is
 * poked, and the watches and transactions of client and server are the same in the end.
 */
#include <xenpv/xs.h>

#include "mock_store_fixture.h"

#define ROUNDS  100u
#define BATCHES 4u
#define WATCHES 4u

static struct machine machine;
static uint32_t seed, features;
static void *memory;
static struct xenpv_xs *xs;
static struct asked {
    struct xenpv_store_batch batch;
    struct xenpv_store_op ops[3];
    char value[2][600];
    bool pending;
} asked[BATCHES];
static struct {
    bool set;
    bool poked;
} watched[WATCHES];
static const char *const dirs[WATCHES] = {"data", "data/a", "/local/domain/7/data", "data/b/c"};

static uint32_t random_number(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static void ask_something(struct asked *a)
{
    static const char *const paths[] = {"data/a", "data/b/c", "data", "data/d/e/f", "control/x"};
    static const enum xenpv_store_type types[] = {
        XENPV_STORE_READ, XENPV_STORE_WRITE, XENPV_STORE_RM, XENPV_STORE_LIST, XENPV_STORE_MKDIR};

    memset(a, 0, sizeof(*a));
    for (uint32_t i = 0; i < 3; i++)
        a->ops[i] = (struct xenpv_store_op){.type = types[random_number(COUNT(types))],
                                            .dir = paths[random_number(COUNT(paths))],
                                            .value = a->value[i % 2],
                                            .capacity = 600,
                                            .length = random_number(600)};
    a->batch.ops = a->ops;
    a->batch.count = 1 + random_number(3);
    a->batch.transaction = random_number(2);
    a->pending = xenpv_xs_store_ops.start(xs, &a->batch) == XENPV_PENDING;
}

static void look(void)
{
    for (uint32_t i = 0; i < BATCHES; i++)
        if (asked[i].pending && xenpv_xs_store_ops.check(xs, &asked[i].batch) == XENPV_OK)
            asked[i].pending = false;
    for (uint32_t i = 0; i < WATCHES; i++) {
        char path[600];

        if (xenpv_xs_store_ops.fired(xs, &watched[i]))
            watched[i].poked = true;
        while (xenpv_xs_store_ops.changed(xs, &watched[i], path, sizeof(path)) == 1)
            assert_true(strstr(path, "data") != NULL);
    }
}

/* Sleeps as a program does: until its deadline, or an event. */
static void run_until(uint64_t until)
{
    for (uint32_t i = 0; i < 5000; i++) {
        uint64_t now = xenpv_mock_now(machine.mock), at;

        xenpv_xs_step(xs, now);
        look();
        at = xenpv_xs_deadline(xs);
        if (at <= now)
            continue;
        if (now >= until)
            return;
        xenpv_mock_advance(machine.mock, 10);
    }
    fail_msg("no rest");
}

static void connect(bool again)
{
    void *page;
    uint32_t port;

    assert_int_equal(xenpv_mock_wire_ring(machine.mock, 7, &page, &port), XENPV_OK);
    if (again) {
        xenpv_xs_resume(xs, page, port);
        return;
    }
    const struct xenpv_xs_config config = {.page = page,
                                           .event_port = port,
                                           .watches = WATCHES,
                                           .timeout_ms = 500,
                                           .event = machine.guest.event,
                                           .event_ctx = machine.guest.ctx};

    memory = malloc(xenpv_xs_size(&config));
    assert_int_equal(xenpv_xs_init(memory, &config, &xs), XENPV_OK);
}

static void act(void)
{
    uint32_t i = random_number(WATCHES);

    switch (random_number(60)) {
    case 0:
        if (random_number(6))
            break;
        assert_int_equal(xenpv_mock_store_restart(machine.mock, true), XENPV_OK);
        break;
    case 1:
        if (random_number(6))
            break;
        assert_int_equal(xenpv_mock_suspend(machine.mock, 7), XENPV_OK);
        connect(true);
        break;
    case 2:
        (void)xenpv_mock_set_store_delay(machine.mock, 7, random_number(4) * 200);
        break;
    case 3:
        (void)xenpv_mock_set_conflicts(machine.mock, 7, 1);
        break;
    case 4:
    case 5:
    case 6:
        (void)xenpv_mock_write(machine.mock, "/local/domain/7/data/a", "other");
        break;
    case 7:
    case 8:
        if (watched[i].set)
            xenpv_xs_store_ops.unwatch(xs, dirs[i], &watched[i]);
        else if (xenpv_xs_store_ops.watch(xs, dirs[i], &watched[i]) != XENPV_OK)
            break;
        watched[i].set = !watched[i].set;
        break;
    case 9:
        if (asked[i].pending)
            xenpv_xs_store_ops.cancel(xs, &asked[i].batch);
        asked[i].pending = false;
        break;
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
        if (!asked[i].pending)
            ask_something(&asked[i]);
        break;
    default:
        run_until(xenpv_mock_now(machine.mock) + random_number(3) * 10);
    }
}

static void test_client_and_mock(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        uint32_t count = 0;

        seed = round;
        memset(asked, 0, sizeof(asked));
        memset(watched, 0, sizeof(watched));
        machine_start(&machine, &default_limits);
        assert_int_equal(xenpv_mock_set_store_features(machine.mock, features), XENPV_OK);
        connect(false);
        for (uint32_t step = 0; step < 600; step++)
            act();
        (void)xenpv_mock_set_store_delay(machine.mock, 7, 0);
        (void)xenpv_mock_set_conflicts(machine.mock, 7, 0);
        run_until(xenpv_mock_now(machine.mock) + 5000);
        assert_int_equal(xenpv_xs_state(xs), XENPV_XS_CONNECTED);
        assert_int_equal(xenpv_xs_detail(xs)->error, 0);
        for (uint32_t i = 0; i < BATCHES; i++)
            assert_false(asked[i].pending);
        for (uint32_t i = 0; i < WATCHES; i++) {
            count += watched[i].set;
            watched[i].poked = false;
            assert_int_equal(xenpv_xs_watch_status(xs, &watched[i]),
                             watched[i].set ? XENPV_OK : XENPV_ENOENT);
        }
        assert_int_equal(ledger_of(&machine, 7).watches, count);
        assert_int_equal(xenpv_mock_write(machine.mock, "/local/domain/7/data/a/new", ""), 0);
        run_until(xenpv_mock_now(machine.mock) + 10);
        for (uint32_t i = 0; i < 3; i++)
            assert_int_equal(watched[i].poked, watched[i].set);
        /* No transaction is open: all that a guest may have can be started. */
        for (uint32_t i = 0; i < 11; i++) {
            struct xenpv_xs_request request = {
                .type = XENPV_XS_TRANSACTION_START, .payload = "", .length = 1};

            (void)xenpv_xs_request(xs, &request);
            run_until(xenpv_mock_now(machine.mock) + 10);
            assert_int_equal(xenpv_xs_request_check(xs, &request), XENPV_OK);
            assert_int_equal(request.status, XENPV_OK);
        }
        free(memory);
        machine_stop(&machine, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_and_mock),
    };

    int failed = 0;

    for (features = 0; features <= (XENPV_XS_FEATURE_RECONNECT | XENPV_XS_FEATURE_ERROR);
         features++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
