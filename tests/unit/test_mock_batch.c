/* SPDX-License-Identifier: MIT */
/* Store batches of the mock: one by one, as a transaction, delayed, and with no memory left. */
#include "mock_store_fixture.h"

static char one[] = "1", two[] = "2";

static void test_batch_without_transaction(void **state)
{
    char value[4];
    struct machine m;
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_WRITE, .dir = "data/a", .value = one, .length = 1},
        {.type = XENPV_STORE_WRITE, .dir = "device/a", .value = one, .length = 1},
        {.type = XENPV_STORE_READ, .dir = "data/b", .value = value, .capacity = 4},
        {.type = XENPV_STORE_WRITE, .dir = "data/b", .value = two, .length = 1},
    };
    struct xenpv_store_batch batch = {.ops = ops, .count = COUNT(ops)};

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(run(&m.guest, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_OK);
    assert_int_equal(ops[0].status, XENPV_OK);
    assert_int_equal(ops[1].status, XENPV_EACCES);
    assert_int_equal(ops[2].status, XENPV_ENOENT);
    assert_int_equal(ops[3].status, XENPV_OK);
    assert_value(&m.guest, "data/a", "1");
    assert_value(&m.guest, "data/b", "2");
    machine_stop(&m, 0);
}

static void test_transaction(void **state)
{
    char value[4] = {0};
    struct machine m;
    struct xenpv_store_op ops[] = {
        WRITE("data/a", one),
        READ("data/a", value),
        READ("data/missing", value),
        {.type = XENPV_STORE_MKDIR, .dir = "data/dir"},
    };
    struct xenpv_store_batch batch = {.ops = ops, .count = COUNT(ops), .transaction = true};

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(run(&m.guest, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_OK);
    assert_int_equal(ops[1].status, XENPV_OK); /* it sees what it wrote */
    assert_int_equal(value[0], '1');
    assert_int_equal(ops[2].status, XENPV_ENOENT); /* an answer, not a failure */
    assert_children(&m.guest, "data", "a dir");
    machine_stop(&m, 0);
}

/* Creates, changes and removes, in nested places, and then fails. */
static void test_transaction_leaves_no_trace(void **state)
{
    struct machine m;
    struct xenpv_store_op ops[] = {
        WRITE("data/b", one),     WRITE("data/b", two), RM("data/a"), WRITE("data/a/new", one),
        WRITE("data/d/e/f", one), RM("data/d/e"),       RM("data/c"), WRITE("device/x", one),
        WRITE("data/never", one),
    };
    struct xenpv_store_batch batch = {.ops = ops, .count = COUNT(ops), .transaction = true};

    (void)state;
    machine_start(&m, &default_limits);
    try_write(&m.guest, "data/a/deep", "a");
    try_write(&m.guest, "data/b", "b");
    try_write(&m.guest, "data/c", "c");
    assert_int_equal(run(&m.guest, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_EACCES);
    assert_int_equal(ops[6].status, XENPV_OK);
    assert_int_equal(ops[7].status, XENPV_EACCES);
    assert_int_equal(ops[8].status, XENPV_EACCES); /* not tried */
    assert_children(&m.guest, "data", "a b c");
    assert_children(&m.guest, "data/a", "deep");
    assert_value(&m.guest, "data/a/deep", "a");
    assert_value(&m.guest, "data/b", "b");
    ops[7].dir = "data/x";
    assert_int_equal(run(&m.guest, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_OK);
    assert_children(&m.guest, "data", "b a d x never");
    assert_children(&m.guest, "data/d", "");
    assert_value(&m.guest, "data/b", "2");
    machine_stop(&m, 0);
}

static void test_conflicts(void **state)
{
    struct machine m;
    struct xenpv_store_op op = WRITE("data/a", one);
    struct xenpv_store_batch batch = {.ops = &op, .count = 1, .transaction = true};

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_set_conflicts(m.mock, 9, 1), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_set_conflicts(m.mock, 7, 2), XENPV_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(try_write(&m.guest, "data/b", "alone"), XENPV_OK);
        assert_int_equal(run(&m.guest, &batch), XENPV_OK);
        assert_int_equal(batch.status, XENPV_EAGAIN);
        assert_children(&m.guest, "data", "b");
    }
    assert_int_equal(run(&m.guest, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_OK);
    assert_value(&m.guest, "data/a", "1");
    machine_stop(&m, 0);
}

static int check(const struct xenpv_port *port, struct xenpv_store_batch *batch)
{
    return port->store->check(port->ctx, batch);
}

static void test_delayed_batches(void **state)
{
    struct machine m;
    struct xenpv_store_op first = WRITE("data/a", one), second = WRITE("data/a", two);
    struct xenpv_store_op given_up = WRITE("data/b", one);
    struct xenpv_store_batch one_batch = {.ops = &first, .count = 1};
    struct xenpv_store_batch two_batch = {.ops = &second, .count = 1};
    struct xenpv_store_batch cancelled = {.ops = &given_up, .count = 1};

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_set_store_delay(m.mock, 9, 10), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_set_store_delay(m.mock, 7, 10), XENPV_OK);
    assert_int_equal(run(&m.guest, &one_batch), XENPV_PENDING);
    assert_int_equal(run(&m.guest, &cancelled), XENPV_PENDING);
    assert_int_equal(xenpv_mock_set_store_delay(m.mock, 7, 0), XENPV_OK);
    assert_int_equal(run(&m.guest, &two_batch), XENPV_PENDING); /* must not overtake */
    assert_int_equal(try_write(&m.other, "data/c", "other"), XENPV_OK);
    m.guest.store->cancel(m.guest.ctx, &cancelled);
    xenpv_mock_advance(m.mock, 9);
    assert_int_equal(xenpv_mock_now(m.mock), 9);
    assert_int_equal(check(&m.guest, &one_batch), XENPV_PENDING);
    assert_int_equal(try_read(&m.dom0, "/local/domain/7/data/a"), XENPV_ENOENT);
    xenpv_mock_advance(m.mock, 1);
    assert_int_equal(check(&m.guest, &one_batch), XENPV_OK);
    assert_int_equal(check(&m.guest, &two_batch), XENPV_OK);
    assert_int_equal(first.status, XENPV_OK);
    assert_value(&m.guest, "data/a", "2");
    assert_children(&m.guest, "data", "a");
    m.guest.store->cancel(m.guest.ctx, &one_batch); /* late, and harmless */
    machine_stop(&m, 0);
}

static void test_delayed_batch_of_the_dead(void **state)
{
    struct machine m;
    struct xenpv_store_op op = WRITE("data/a", one), left = WRITE("data/a", one);
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};
    struct xenpv_store_batch never = {.ops = &left, .count = 1};

    (void)state;
    machine_start(&m, &default_limits);
    xenpv_mock_set_store_delay(m.mock, 7, 10);
    xenpv_mock_set_store_delay(m.mock, 8, 10);
    assert_int_equal(run(&m.guest, &batch), XENPV_PENDING);
    assert_int_equal(run(&m.other, &never), XENPV_PENDING); /* goes with the machine */
    m.fail_in = 1;
    assert_int_equal(run(&m.other, &(struct xenpv_store_batch){.ops = &left, .count = 1}),
                     XENPV_OK);
    assert_int_equal(left.status, XENPV_ENOMEM);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 7), XENPV_OK);
    assert_int_equal(check(&m.guest, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_ESTORE);
    assert_int_equal(run(&m.guest, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_ESTORE);
    assert_int_equal(op.status, XENPV_ESTORE);
    machine_stop(&m, 0);
}

static void mix(uint64_t *hash, const char *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        *hash = (*hash ^ (uint8_t)bytes[i]) * 1099511628211u;
}

static bool may_read(const struct xenpv_port *port, const char *path)
{
    struct xenpv_store_op op = {.type = XENPV_STORE_LIST, .dir = path, .status = 99};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};

    assert_int_equal(run(port, &batch), XENPV_OK);
    return op.status == XENPV_OK || op.status == XENPV_E2BIG;
}

/* All that the store says below `path`, to domain 0 and about the rights of the guests. */
static void mix_tree(struct machine *m, const char *path, uint64_t *hash)
{
    char names[1024], value[1024], child[512];
    struct xenpv_store_op list = {
        .type = XENPV_STORE_LIST, .dir = path, .value = names, .capacity = sizeof(names)};
    struct xenpv_store_op read = {
        .type = XENPV_STORE_READ, .dir = path, .value = value, .capacity = sizeof(value)};

    assert_int_equal(run_one(&m->dom0, &list), XENPV_OK);
    assert_int_equal(run_one(&m->dom0, &read), XENPV_OK);
    mix(hash, value, read.length);
    mix(hash, may_read(&m->guest, path) ? "y" : "n", 1);
    mix(hash, may_read(&m->other, path) ? "y" : "n", 1);
    mix(hash, names, list.length);
    for (uint32_t at = 0; at < list.length; at += (uint32_t)strlen(names + at) + 1) {
        int length =
            snprintf(child, sizeof(child), "%s/%s", strlen(path) > 1 ? path : "", names + at);

        assert_in_range(length, 1, sizeof(child) - 1);
        mix_tree(m, child, hash);
    }
}

static uint64_t tree_hash(struct machine *m)
{
    uint64_t hash = 14695981039346656037u;

    mix_tree(m, "/", &hash);
    return hash;
}

static int step_write(struct machine *m)
{
    return try_write(&m->guest, "data/new/deep/er", "v");
}

static int step_rm(struct machine *m)
{
    return try_other(&m->guest, XENPV_STORE_RM, "data/old");
}

static int step_transaction(struct machine *m)
{
    struct xenpv_store_op ops[] = {
        WRITE("data/b", one), WRITE("data/b", two),     RM("data/old"),
        RM("data/b"),         WRITE("data/old/x", one),
    };
    struct xenpv_store_batch batch = {.ops = ops, .count = COUNT(ops), .transaction = true};

    assert_int_equal(run(&m->guest, &batch), XENPV_OK);
    return batch.status;
}

static int step_add_domain(struct machine *m)
{
    return xenpv_mock_add_domain(m->mock, 99);
}

static int step_remove_domain(struct machine *m)
{
    return xenpv_mock_remove_domain(m->mock, 7);
}

static int step_set_perms(struct machine *m)
{
    return xenpv_mock_set_perms(m->mock, "/tool", &(struct xenpv_mock_perms){.owner = 7});
}

static const struct xenpv_mock_vbd spare = {.frontend = 8, .backend = 0, .vdev = 1, .params = "p"};
static const struct xenpv_mock_vbd used = {.frontend = 7, .backend = 8, .vdev = 2, .params = "p"};

static int step_add_vbd(struct machine *m)
{
    return xenpv_mock_add_vbd(m->mock, &spare);
}

static int step_remove_vbd(struct machine *m)
{
    return xenpv_mock_remove_vbd(m->mock, &used);
}

/* Lets each allocation of a step fail in turn: the store must be as before, and the step work yet.
 */
static void test_memory_runs_out(void **state)
{
    static int (*const steps[])(struct machine * m) = {
        step_write,         step_rm,        step_transaction, step_add_domain,
        step_remove_domain, step_set_perms, step_add_vbd,     step_remove_vbd,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct machine m;
        uint32_t nth = 0;
        int err = XENPV_ENOMEM;

        machine_start(&m, &default_limits);
        assert_int_equal(xenpv_mock_add_vbd(m.mock, &used), XENPV_OK);
        assert_int_equal(try_write(&m.guest, "data/old/deep", "v"), XENPV_OK);

        uint64_t before = tree_hash(&m);
        uint32_t blocks = m.blocks;

        while (err != XENPV_OK) {
            m.fail_in = ++nth;
            err = steps[i](&m);
            m.fail_in = 0;
            if (err == XENPV_OK)
                break;
            assert_int_equal(err, XENPV_ENOMEM);
            assert_int_equal(tree_hash(&m), before);
            assert_int_equal(m.blocks, blocks);
        }
        assert_true(nth > 1);
        assert_int_not_equal(tree_hash(&m), before);
        machine_stop(&m, 0);
    }
}

static void test_creation(void **state)
{
    struct machine m = {0};
    struct xenpv_mock_config config = machine_config(&m);
    uint32_t nth = 0;
    int err = XENPV_ENOMEM;

    (void)state;
    while (err != XENPV_OK) {
        m.fail_in = ++nth;
        err = xenpv_mock_create(&config, &m.mock);
        assert_int_equal(err, m.fail_in == 0 ? XENPV_ENOMEM : XENPV_OK);
        assert_true(err == XENPV_OK || m.blocks == 0);
    }
    assert_true(nth > 10);
    xenpv_mock_destroy(m.mock);
    assert_int_equal(m.blocks, 0);
    xenpv_mock_destroy(NULL);

    config.unlock = NULL;
    assert_int_equal(xenpv_mock_create(&config, &m.mock), XENPV_EINVAL);
    config = machine_config(&m);
    config.size--;
    assert_int_equal(xenpv_mock_create(&config, &m.mock), XENPV_EINVAL);
    config = machine_config(&m);
    config.allocator.free = NULL;
    assert_int_equal(xenpv_mock_create(&config, &m.mock), XENPV_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_without_transaction),
        cmocka_unit_test(test_transaction),
        cmocka_unit_test(test_transaction_leaves_no_trace),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_delayed_batches),
        cmocka_unit_test(test_delayed_batch_of_the_dead),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_creation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
