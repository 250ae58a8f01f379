/* SPDX-License-Identifier: MIT */
/* Batches and transactions over a ring page; time and giving up. */
#include "xs_server.h"

#include <xenpv/store.h>

static struct xs_server server;

static void connected(uint32_t first, uint32_t features)
{
    xs_server_start(&server, first, features);
    xs_server_settle(&server);
}

/* ---- what is sent ---- */

static struct {
    uint32_t type[32], tx[32], length[32], count;
    char payload[32][48];
} log_of;

static bool log_it(struct xs_server *self)
{
    uint32_t at = log_of.count++, length = self->request.length;

    assert_true(at < 32);
    log_of.type[at] = self->request.type;
    log_of.tx[at] = self->request.tx;
    log_of.length[at] = length;
    memcpy(log_of.payload[at], self->payload, length < 48 ? length : 48);
    return false;
}

static void test_each_operation_has_its_message(void **state)
{
    static char value[] = "v\0w", perms[] = "n0\0r1";
    static const struct {
        struct xenpv_store_op op;
        uint32_t type, length;
        const char *payload;
    } cases[] = {
        {{.type = XENPV_STORE_READ, .dir = "a", .name = "b"}, 2, 4, "a/b"},
        {{.type = XENPV_STORE_READ, .dir = "/a"}, 2, 3, "/a"},
        {{.type = XENPV_STORE_LIST, .dir = "a"}, 1, 2, "a"},
        {{.type = XENPV_STORE_WRITE, .dir = "a", .name = "b", .value = value, .length = 3},
         11,
         7,
         "a/b\0v\0w"},
        {{.type = XENPV_STORE_WRITE, .dir = "a"}, 11, 2, "a"},
        {{.type = XENPV_STORE_MKDIR, .dir = "a"}, 12, 2, "a"},
        {{.type = XENPV_STORE_RM, .dir = "a"}, 13, 2, "a"},
        {{.type = XENPV_STORE_GET_PERMS, .dir = "a"}, 3, 2, "a"},
        {{.type = XENPV_STORE_SET_PERMS, .dir = "a", .value = perms, .length = 6},
         14,
         8,
         "a\0n0\0r1"},
        {{.type = XENPV_STORE_DOMAIN_PATH, .dir = "7"}, 10, 2, "7"},
        {{.type = XENPV_STORE_INTRODUCED, .dir = "7"}, 17, 2, "7"},
    };

    (void)state;
    connected(3, 0);
    server.answer = log_it;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        struct xenpv_store_op op = cases[i].op;

        log_of.count = 0;
        (void)xs_server_op(&server, &op);
        assert_int_equal(log_of.count, 1);
        assert_int_equal(log_of.type[0], cases[i].type);
        assert_int_equal(log_of.tx[0], 0);
        assert_int_equal(log_of.length[0], cases[i].length);
        assert_memory_equal(log_of.payload[0], cases[i].payload, cases[i].length);
    }
    xs_server_stop(&server);
}

static void test_seed_XS_06_nothing_too_long_is_sent(void **state)
{
    char path[4096], value[4096] = {0};
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_READ, .dir = path},
        {.type = XENPV_STORE_WRITE, .dir = "a", .value = value, .length = 4095},
        {.type = XENPV_STORE_SET_PERMS, .dir = "a", .value = value, .length = 3},
        {.type = XENPV_STORE_READ, .dir = "a//b"},
        {.type = XENPV_STORE_READ, .dir = "a"},
    };
    static const int expected[] = {XENPV_E2BIG, XENPV_E2BIG, XENPV_EINVAL, XENPV_EINVAL,
                                   XENPV_E2BIG};
    struct xenpv_store_batch batch = {.ops = ops, .count = COUNT(ops), .status = 99};

    (void)state;
    connected(3, 0);
    server.answer = log_it;
    log_of.count = 0;
    memset(path, 'x', sizeof(path));
    path[2049] = '\0';
    assert_int_equal(xs_server_run(&server, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_OK);
    for (uint32_t i = 0; i < COUNT(ops); i++)
        assert_int_equal(ops[i].status, expected[i]);
    assert_int_equal(log_of.count, 1);
    /* Nothing to send at all: it has ended at once, and so has nothing. */
    batch.count = 4;
    assert_int_equal(server.store->start(server.xs, &batch), XENPV_OK);
    batch.count = 0;
    assert_int_equal(server.store->start(server.xs, &batch), XENPV_OK);
    /* One byte less passes, in pieces. */
    ops[1].length = 4094;
    assert_int_equal(xs_server_op(&server, &ops[1]), XENPV_OK);
    assert_int_equal(server.request.length, 4096);
    xs_server_stop(&server);
}

static char pattern(uint32_t at)
{
    return (char)(at * 7 + at / 256);
}

static bool answer_pattern(struct xs_server *self)
{
    if (self->request.type == XENPV_XS_WRITE)
        for (uint32_t i = 2; i < self->request.length; i++)
            assert_int_equal(self->payload[i], pattern(i));
    if (self->request.type != XENPV_XS_READ)
        return false;
    char bytes[4096];

    for (uint32_t i = 0; i < 4096; i++)
        bytes[i] = pattern(i);
    xs_server_say(self, XENPV_XS_READ, self->request.id, bytes, 4096);
    return true;
}

/* Longer than the ring, from every place of it, across the end of the indices, byte by byte. */
static void test_a_message_in_pieces_from_every_index(void **state)
{
    static char value[4096], back[4096];
    struct xenpv_store_op write = {
        .type = XENPV_STORE_WRITE, .dir = "a", .value = value + 2, .length = 4094};
    struct xenpv_store_op read = {
        .type = XENPV_STORE_READ, .dir = "a", .value = back, .capacity = 4096};

    (void)state;
    for (uint32_t i = 0; i < 4096; i++)
        value[i] = pattern(i);
    for (uint32_t first = 0; first < 1100; first += first < 1000 ? 37 : 1) {
        connected(UINT32_MAX - first, 0);
        server.answer = answer_pattern;
        server.one_at_once = first % 8 == 0;
        assert_int_equal(xs_server_op(&server, &write), XENPV_OK);
        memset(back, 0, sizeof(back));
        assert_int_equal(xs_server_op(&server, &read), XENPV_OK);
        assert_memory_equal(back, value, 4096);
        xs_server_stop(&server);
    }
}

static void test_a_value_that_does_not_fit(void **state)
{
    char value[8] = "abcdefg";
    struct xenpv_store_op op = {
        .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 3};

    (void)state;
    connected(0, 0);
    assert_int_equal(xs_server_op(&server, &op), XENPV_E2BIG);
    assert_int_equal(op.length, 5);
    assert_string_equal(value, "valdefg");
    op.capacity = 0;
    op.value = NULL;
    assert_int_equal(xs_server_op(&server, &op), XENPV_E2BIG);
    assert_int_equal(op.length, 5);
    xs_server_stop(&server);
}

/* ---- errors ---- */

static const char *error_name;

static bool answer_error(struct xs_server *self)
{
    if (self->request.type != XENPV_XS_READ)
        return false;
    xs_server_say(self, XENPV_XS_ERROR, self->request.id, error_name,
                  (uint32_t)strlen(error_name) + 1);
    return true;
}

static void test_seed_XS_08_error_texts(void **state)
{
    static const struct {
        const char *name;
        int error;
    } cases[] = {
        {"EINVAL", XENPV_EINVAL},  {"EACCES", XENPV_EACCES}, {"EEXIST", XENPV_EEXIST},
        {"EISDIR", XENPV_EINVAL},  {"ENOENT", XENPV_ENOENT}, {"ENOMEM", XENPV_ENOMEM},
        {"ENOSPC", XENPV_ENOSPC},  {"EIO", XENPV_EIO},       {"ENOTEMPTY", XENPV_EINVAL},
        {"ENOSYS", XENPV_ENOTSUP}, {"EROFS", XENPV_EACCES},  {"EBUSY", XENPV_EBUSY},
        {"EAGAIN", XENPV_EAGAIN},  {"EISCONN", XENPV_EBUSY}, {"E2BIG", XENPV_E2BIG},
        {"EPERM", XENPV_EACCES},   {"EQUOTA", XENPV_ENOSPC}, {"EWHATEVER", XENPV_EIO},
        {"", XENPV_EIO},           {"EINVALID", XENPV_EIO},  {"EINVA", XENPV_EIO},
        {"enoent", XENPV_EIO},
    };

    (void)state;
    connected(0, 0);
    server.answer = answer_error;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        error_name = cases[i].name;
        assert_int_equal(xs_server_read(&server, "a"), cases[i].error);
    }
    xs_server_stop(&server);
}

static bool answer_bare_error(struct xs_server *self)
{
    xs_server_say(self, XENPV_XS_ERROR, self->request.id, error_name, (uint32_t)strlen(error_name));
    return true;
}

/* Without its NUL, and without anything. */
static void test_seed_XS_08_error_without_end(void **state)
{
    (void)state;
    connected(0, 0);
    server.answer = answer_bare_error;
    error_name = "ENOENT";
    assert_int_equal(xs_server_read(&server, "a"), XENPV_ENOENT);
    error_name = "";
    assert_int_equal(xs_server_read(&server, "a"), XENPV_EIO);
    xs_server_stop(&server);
}

/* ---- transactions ---- */

static char one[] = "1";

static bool answer_by_type(struct xs_server *self)
{
    uint32_t type = *(uint32_t *)self->of_test;

    (void)log_it(self);
    if (self->request.type != type)
        return false;
    if (type == XENPV_XS_TRANSACTION_END)
        self->tx_open--;
    xs_server_error(self, error_name);
    return true;
}

static void test_transactions(void **state)
{
    static const struct {
        uint32_t fails; /* what is answered `error` */
        const char *error;
        int status, statuses[4];
        uint32_t messages;
        const char *end;
    } cases[] = {
        {99, "", 0, {0, 0, 0, 0}, 6, "T"},
        {XENPV_XS_READ, "ENOENT", 0, {0, XENPV_ENOENT, 0, 0}, 6, "T"},
        {XENPV_XS_DIRECTORY, "EACCES", 0, {0, 0, 0, XENPV_EACCES}, 6, "T"},
        {XENPV_XS_WRITE, "EACCES", -4, {-4, -4, -4, -4}, 3, "F"},
        {XENPV_XS_RM, "ENOSPC", -7, {0, 0, -7, -7}, 5, "F"},
        {XENPV_XS_TRANSACTION_START, "ENOSPC", -7, {-7, -7, -7, -7}, 1, NULL},
        {XENPV_XS_TRANSACTION_END, "EAGAIN", XENPV_EAGAIN, {0, 0, 0, 0}, 6, "T"},
    };

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        char value[8];
        uint32_t type = cases[i].fails;
        struct xenpv_store_op ops[] = {
            {.type = XENPV_STORE_WRITE, .dir = "a", .value = one, .length = 1},
            {.type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8},
            {.type = XENPV_STORE_RM, .dir = "b"},
            {.type = XENPV_STORE_LIST, .dir = "b", .value = value, .capacity = 8},
        };
        struct xenpv_store_batch batch = {
            .ops = ops, .count = COUNT(ops), .transaction = true, .status = 99};

        connected(0, 0);
        server.answer = answer_by_type;
        server.of_test = &type;
        error_name = cases[i].error;
        log_of.count = 0;
        assert_int_equal(xs_server_run(&server, &batch), XENPV_OK);
        assert_int_equal(batch.status, cases[i].status);
        for (uint32_t k = 0; k < 4; k++)
            assert_int_equal(ops[k].status, cases[i].statuses[k]);
        assert_int_equal(log_of.count, cases[i].messages);
        assert_int_equal(log_of.tx[0], 0);
        for (uint32_t k = 1; k < log_of.count; k++)
            assert_int_equal(log_of.tx[k], 11);
        if (cases[i].end) {
            assert_int_equal(log_of.type[log_of.count - 1], XENPV_XS_TRANSACTION_END);
            assert_string_equal(log_of.payload[log_of.count - 1], cases[i].end);
            assert_int_equal(log_of.length[log_of.count - 1], 2);
        }
        assert_int_equal(server.tx_open, 0);
        xs_server_stop(&server);
    }
}

/* What xs_wire.h has outside of transactions only is not asked inside of one. */
static void test_no_domain_in_a_transaction(void **state)
{
    char value[8];
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_INTRODUCED, .dir = "1", .value = value, .capacity = 8},
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "1", .value = value, .capacity = 8},
    };
    struct xenpv_store_batch batch = {.ops = ops, .count = 2, .transaction = true};

    (void)state;
    connected(0, 0);
    assert_int_equal(xs_server_run(&server, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_OK);
    assert_int_equal(ops[0].status, XENPV_EINVAL);
    assert_int_equal(ops[1].status, XENPV_EINVAL);
    xs_server_stop(&server);
}

/* ---- order, giving up, time ---- */

static void test_batches_end_in_their_order(void **state)
{
    char values[5][8];
    struct xenpv_store_op ops[5];
    struct xenpv_store_batch batches[5];

    (void)state;
    connected(0, 0);
    for (uint32_t left_out = 0; left_out < 6; left_out++) {
        server.answer = log_it;
        log_of.count = 0;
        for (uint32_t i = 0; i < 5; i++) {
            static const char *const names[] = {"a", "b", "c", "d", "e"};

            ops[i] = (struct xenpv_store_op){.type = XENPV_STORE_READ,
                                             .dir = names[i],
                                             .value = values[i],
                                             .capacity = 8,
                                             .status = 99};
            batches[i] = (struct xenpv_store_batch){.ops = &ops[i], .count = 1};
            assert_int_equal(server.store->start(server.xs, &batches[i]), XENPV_PENDING);
        }
        if (left_out < 5) {
            server.store->cancel(server.xs, &batches[left_out]);
            memset(&batches[left_out], 0x55, sizeof(batches[0]));
            memset(&ops[left_out], 0x55, sizeof(ops[0]));
        }
        xs_server_settle(&server);
        for (uint32_t i = 0, at = left_out == 0; i < 5; i++) {
            if (i == left_out)
                continue;
            assert_int_equal(server.store->check(server.xs, &batches[i]), XENPV_OK);
            assert_int_equal(ops[i].status, XENPV_OK);
            assert_int_equal(log_of.payload[at++][0], 'a' + (int)i);
        }
        /* The first was on its way; it is answered to nobody. */
        assert_int_equal(log_of.count, left_out == 0 || left_out == 5 ? 5 : 4);
        /* Of one that has ended nothing is left to cancel. */
        server.store->cancel(server.xs, &batches[left_out == 1 ? 2 : 1]);
    }
    xs_server_stop(&server);
}

/* Given up after each number of messages: no transaction stays open. */
static void test_a_transaction_that_is_given_up(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 12; steps++) {
        char value[8];
        struct xenpv_store_op ops[] = {
            {.type = XENPV_STORE_WRITE, .dir = "a", .value = one, .length = 1},
            {.type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8},
        };
        struct xenpv_store_batch batch = {.ops = ops, .count = 2, .transaction = true};

        connected(0, 0);
        (void)server.store->start(server.xs, &batch);
        for (uint32_t i = 0; i < steps; i++) {
            if (i & 1)
                xenpv_xs_step(server.xs, server.now);
            else
                xs_server_serve(&server);
        }
        server.store->cancel(server.xs, &batch);
        memset(&batch, 0x55, sizeof(batch));
        memset(ops, 0x55, sizeof(ops));
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
        xs_server_settle(&server);
        assert_int_equal(server.tx_open, 0);
        xs_server_stop(&server);
    }
}

static void test_seed_XS_05_a_server_that_stops(void **state)
{
    static char large[4000];

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        char value[8];
        struct xenpv_store_op op = {
            .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8};
        struct xenpv_store_op write = {
            .type = XENPV_STORE_WRITE, .dir = "a", .value = large, .length = 4000};
        struct xenpv_store_batch first = {.ops = i == 1 ? &write : &op, .count = 1};
        struct xenpv_store_batch second = {.ops = &op, .count = 1};
        uint64_t since;

        first.transaction = i == 2;
        connected(0, 0);
        server.stopped = true;
        assert_int_equal(server.store->start(server.xs, &first), XENPV_PENDING);
        assert_int_equal(server.store->start(server.xs, &second), XENPV_PENDING);
        assert_int_equal(xenpv_xs_deadline(server.xs), 0);
        server.now += 500; /* the time begins with the next step */
        xenpv_xs_step(server.xs, server.now);
        since = server.now;
        assert_int_equal(xenpv_xs_deadline(server.xs), since + 1000);
        server.now = since + 999;
        xenpv_xs_step(server.xs, server.now);
        assert_int_equal(server.store->check(server.xs, &first), XENPV_PENDING);
        server.now = since + 1000;
        xenpv_xs_step(server.xs, server.now);
        assert_int_equal(server.store->check(server.xs, &first), XENPV_OK);
        assert_int_equal(server.store->check(server.xs, &second), XENPV_OK);
        assert_int_equal(first.status, XENPV_ETIMEDOUT);
        assert_int_equal(second.status, XENPV_ETIMEDOUT);
        assert_int_equal(op.status, XENPV_ETIMEDOUT);
        /* It goes on: what it says late is nobody's, and is no answer to what is asked now. */
        memset(&first, 0x55, sizeof(first));
        memset(large, 0x55, sizeof(large));
        server.stopped = false;
        assert_int_equal(xs_server_read(&server, "b"), XENPV_OK);
        xs_server_settle(&server);
        assert_int_equal(server.tx_open, 0);
        assert_int_equal(xenpv_xs_detail(server.xs)->error, 0);
        xs_server_stop(&server);
    }
}

/* The time is each answer's, not the batch's. */
static void test_seed_XS_05_a_slow_server(void **state)
{
    char value[8];
    struct xenpv_store_op ops[4];
    struct xenpv_store_batch batch = {.ops = ops, .count = COUNT(ops), .transaction = true};

    (void)state;
    connected(0, 0);
    for (uint32_t i = 0; i < COUNT(ops); i++)
        ops[i] = (struct xenpv_store_op){
            .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8};
    assert_int_equal(server.store->start(server.xs, &batch), XENPV_PENDING);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(server.store->check(server.xs, &batch), XENPV_PENDING);
        xenpv_xs_step(server.xs, server.now);
        server.now += 900;
        xenpv_xs_step(server.xs, server.now);
        xs_server_serve(&server);
    }
    assert_int_equal(server.store->check(server.xs, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_OK);
    xs_server_stop(&server);
}

/* Who looks for his own answer, or poke, finds those of others: they are to be stepped. */
static void test_what_is_found_for_others(void **state)
{
    char value[8];
    int cookie;
    struct xenpv_store_op op = {
        .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1}, other = batch;

    (void)state;
    connected(0, 0);
    assert_int_equal(server.store->watch(server.xs, "a", &cookie), XENPV_OK);
    xs_server_settle(&server);
    assert_int_equal(server.store->start(server.xs, &batch), XENPV_PENDING);
    xenpv_xs_step(server.xs, server.now);
    xs_server_serve(&server);
    assert_true(xenpv_xs_deadline(server.xs) > server.now);
    (void)server.store->fired(server.xs, &other);
    assert_int_equal(xenpv_xs_deadline(server.xs), 0);
    xenpv_xs_step(server.xs, server.now);
    assert_int_equal(server.store->check(server.xs, &batch), XENPV_OK);
    assert_true(xenpv_xs_deadline(server.xs) == UINT64_MAX);
    assert_int_equal(server.store->start(server.xs, &other), XENPV_PENDING);
    xenpv_xs_step(server.xs, server.now);
    xs_server_event(&server, "a", "1");
    server.page.req_cons = server.page.req_prod; /* it is not answered, so no batch ends */
    xs_server_serve(&server);
    assert_int_equal(server.store->check(server.xs, &other), XENPV_PENDING);
    assert_int_equal(xenpv_xs_deadline(server.xs), 0);
    xs_server_stop(&server);
}

/* A server that only tells of watches, and never answers, is silent. */
static void test_seed_XS_05_events_are_no_answer(void **state)
{
    char value[8];
    struct xenpv_store_op op = {
        .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};

    (void)state;
    connected(0, 0);
    assert_int_equal(server.store->start(server.xs, &batch), XENPV_PENDING);
    server.page.req_cons = server.page.req_prod; /* read, and forgotten */
    for (uint32_t i = 0; i < 11; i++) {
        xs_server_event(&server, "a", "77");
        xs_server_serve(&server);
        xenpv_xs_step(server.xs, server.now);
        server.now += 100;
    }
    assert_int_equal(server.store->check(server.xs, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_ETIMEDOUT);
    xs_server_stop(&server);
}

/* Reconnecting may take for ever, too. */
static void test_seed_XS_05_a_server_that_does_not_reconnect(void **state)
{
    char value[8];
    struct xenpv_store_op op = {
        .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};

    (void)state;
    xs_server_start(&server, 0, 0);
    server.page.connection = 1; /* from whoever made the page */
    server.stopped = true;
    server.page.rsp_prod = 77777; /* not looked at until then */
    xenpv_xs_step(server.xs, server.now);
    assert_int_equal(xenpv_xs_state(server.xs), XENPV_XS_CONNECTING);
    assert_true(xenpv_xs_deadline(server.xs) == UINT64_MAX);
    assert_int_equal(server.store->start(server.xs, &batch), XENPV_PENDING);
    xenpv_xs_step(server.xs, server.now);
    server.now += 1000;
    xenpv_xs_step(server.xs, server.now);
    assert_int_equal(server.store->check(server.xs, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_ETIMEDOUT);
    assert_int_equal(server.notified, 0);
    assert_int_equal(server.page.req_prod, 0);
    server.page.features = XENPV_XS_FEATURE_RECONNECT;
    server.stopped = false;
    xs_server_settle(&server);
    assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
    xs_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_operation_has_its_message),
        cmocka_unit_test(test_seed_XS_06_nothing_too_long_is_sent),
        cmocka_unit_test(test_a_message_in_pieces_from_every_index),
        cmocka_unit_test(test_a_value_that_does_not_fit),
        cmocka_unit_test(test_seed_XS_08_error_texts),
        cmocka_unit_test(test_seed_XS_08_error_without_end),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_no_domain_in_a_transaction),
        cmocka_unit_test(test_batches_end_in_their_order),
        cmocka_unit_test(test_a_transaction_that_is_given_up),
        cmocka_unit_test(test_seed_XS_05_a_server_that_stops),
        cmocka_unit_test(test_seed_XS_05_a_slow_server),
        cmocka_unit_test(test_what_is_found_for_others),
        cmocka_unit_test(test_seed_XS_05_events_are_no_answer),
        cmocka_unit_test(test_seed_XS_05_a_server_that_does_not_reconnect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
