/* SPDX-License-Identifier: MIT */
/* A server that writes what it should not into the ring page. */
#include "xs_server.h"

static struct xs_server server;

static void connected(uint32_t first, uint32_t features)
{
    xs_server_start(&server, first, features);
    xs_server_settle(&server);
    assert_int_equal(xenpv_xs_state(server.xs), XENPV_XS_CONNECTED);
    assert_int_equal(server.resets, 1);
}

/* Broken for this reason; it is reconnected if that is offered, and works then. */
static void assert_broken(uint32_t check)
{
    const struct xenpv_detail *detail = xenpv_xs_detail(server.xs);
    bool reconnects = server.page.features & XENPV_XS_FEATURE_RECONNECT;

    assert_int_equal(detail->error, XENPV_EBROKEN);
    assert_int_equal(detail->check, check);
    server.answer = NULL;
    server.now += 2000;
    if (reconnects) {
        xs_server_settle(&server);
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
        return;
    }
    xenpv_xs_step(server.xs, server.now);
    assert_int_equal(xenpv_xs_state(server.xs), XENPV_XS_BROKEN);
    assert_int_equal(xs_server_read(&server, "a"), XENPV_ESTORE);
    assert_int_equal(server.store->watch(server.xs, "a", &server), XENPV_ESTORE);
    assert_true(xenpv_xs_deadline(server.xs) == UINT64_MAX || server.now < 3000);
}

static void test_seed_XS_01_indices(void **state)
{
    /* Which index, and how far it is moved from where it stands. */
    static const struct {
        bool rsp;
        uint32_t by;
        bool broken;
    } cases[] = {
        {true, 1024, false},
        {true, 1025, true},
        {true, UINT32_MAX, true},
        {true, 0x80000000u, true},
        {true, 4096, true},
        {false, (uint32_t)-1024, false},
        {false, (uint32_t)-1025, true},
        {false, 1, true},
        {false, 0x80000000u, true},
    };
    static const uint32_t firsts[] = {0, UINT32_MAX - 30, 0x7fffffff};

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases) * COUNT(firsts) * 2; i++) {
        uint32_t features = i & 1 ? XENPV_XS_FEATURE_RECONNECT : 0;
        uint32_t which = i / 2 % COUNT(cases);

        connected(firsts[i / 2 / COUNT(cases)], features);
        memset(server.page.rsp, 0, sizeof(server.page.rsp));
        if (cases[which].rsp)
            server.page.rsp_prod += cases[which].by;
        else
            server.page.req_cons += cases[which].by;
        server.stopped = true;
        char value[4];
        struct xenpv_store_op op = {
            .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 4};
        struct xenpv_store_batch batch = {.ops = &op, .count = 1};
        int rc = server.store->start(server.xs, &batch);

        server.stopped = false;
        if (cases[which].broken) {
            assert_int_equal(rc, XENPV_OK);
            assert_int_equal(batch.status, XENPV_ESTORE);
            assert_int_equal(op.status, XENPV_ESTORE);
            assert_broken(XENPV_CHECK_XS_INDEX);
        } else {
            assert_int_equal(rc, XENPV_PENDING);
            assert_int_equal(xenpv_xs_detail(server.xs)->error, 0);
        }
        xs_server_stop(&server);
    }
}

/* The length that the next answer has in its header. */
static uint32_t length_said;

static bool answer_length(struct xs_server *self)
{
    const struct xenpv_xs_header header = {
        .type = XENPV_XS_READ, .id = self->request.id, .length = length_said};
    char bytes[4096];

    if (self->request.type != XENPV_XS_READ)
        return false;
    memset(bytes, 'v', sizeof(bytes));
    xs_server_bytes(self, &header, sizeof(header));
    xs_server_bytes(self, bytes, length_said < 4096 ? length_said : 4096);
    return true;
}

static void test_seed_XS_02_lengths(void **state)
{
    static const struct {
        uint32_t length;
        bool broken;
    } cases[] = {{0, false},   {1, false},          {4095, false},       {4096, false},
                 {4097, true}, {0x80000000u, true}, {0xfffffff0u, true}, {UINT32_MAX, true}};

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        char value[5000];
        struct xenpv_store_op op = {
            .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = sizeof(value)};

        connected(UINT32_MAX - 2000, XENPV_XS_FEATURE_RECONNECT);
        length_said = cases[i].length;
        server.answer = answer_length;
        if (cases[i].broken) {
            assert_int_equal(xs_server_op(&server, &op), XENPV_ESTORE);
            assert_int_equal(xenpv_xs_detail(server.xs)->value, length_said);
            assert_broken(XENPV_CHECK_XS_LENGTH);
        } else {
            assert_int_equal(xs_server_op(&server, &op), XENPV_OK);
            assert_int_equal(op.length, length_said);
            assert_true(op.length == 0 || value[op.length - 1] == 'v');
        }
        xs_server_stop(&server);
    }
}

/* A message of a watch's path that is too long for anything we keep: it is DIR then. */
static void test_seed_XS_02_long_event(void **state)
{
    char bytes[4096], path[XENPV_STORE_PATH_MAX];
    int cookie;

    (void)state;
    connected(0, 0);
    assert_int_equal(server.store->watch(server.xs, "dir", &cookie), XENPV_OK);
    xs_server_settle(&server);
    while (server.store->changed(server.xs, &cookie, path, sizeof(path)) == 1)
        continue;
    (void)server.store->fired(server.xs, &cookie);
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "dir/", 4);
    bytes[4093] = '\0';
    strcpy(bytes + 4094, server.watches[0].token);
    assert_int_equal(strlen(server.watches[0].token), 1);
    xs_server_say(&server, XENPV_XS_WATCH_EVENT, 0, bytes, 4096);
    xs_server_settle(&server);
    assert_true(server.store->fired(server.xs, &cookie));
    assert_int_equal(server.store->changed(server.xs, &cookie, path, sizeof(path)), 1);
    assert_string_equal(path, "dir");
    assert_int_equal(server.store->changed(server.xs, &cookie, path, sizeof(path)), 0);
    xs_server_stop(&server);
}

static void test_seed_XS_04_error_field(void **state)
{
    static const struct {
        uint32_t error;
        const char *found;
    } cases[] = {{1, "1: the event channel does not work"},
                 {2, "2: ring indices make no sense"},
                 {3, "3: a message was too long"},
                 {99, "an error nobody knows"},
                 {UINT32_MAX, "an error nobody knows"}};

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases) * 4; i++) {
        uint32_t have = i / COUNT(cases), which = i % COUNT(cases); /* all there are of two bits */
        char value[4];
        struct xenpv_store_op op = {
            .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 4};
        struct xenpv_store_batch batch = {.ops = &op, .count = 1};

        connected(5, have);
        assert_int_equal(server.store->start(server.xs, &batch), XENPV_PENDING);
        server.page.error = cases[which].error;
        xenpv_xs_step(server.xs, server.now);
        const struct xenpv_detail *detail = xenpv_xs_detail(server.xs);

        assert_int_equal(server.store->check(server.xs, &batch), XENPV_OK);
        assert_int_equal(batch.status, XENPV_ESTORE);
        assert_int_equal(detail->error, XENPV_ESTORE);
        assert_int_equal(detail->value, cases[which].error);
        assert_string_equal(detail->found, cases[which].found);
        if (have & XENPV_XS_FEATURE_RECONNECT) {
            xs_server_settle(&server);
            assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
        } else {
            assert_int_equal(xenpv_xs_state(server.xs), XENPV_XS_BROKEN);
            assert_int_equal(xs_server_read(&server, "a"), XENPV_ESTORE);
        }
        xs_server_stop(&server);
    }
}

/* A server that cannot be reconnected for long is asked once a second. */
static void test_seed_XS_04_stays_broken(void **state)
{
    uint32_t before;

    (void)state;
    connected(5, XENPV_XS_FEATURE_ERROR | XENPV_XS_FEATURE_RECONNECT);
    before = server.notified;
    for (uint32_t i = 0; i < 10000; i++) {
        server.now++;
        server.page.connection = 0;
        server.page.error = 1;
        xenpv_xs_step(server.xs, server.now);
        assert_true(xenpv_xs_deadline(server.xs) > server.now);
    }
    assert_true(server.notified - before <= 11);
    assert_true(server.notified - before >= 9);
    server.page.error = 0;
    server.now += 1000;
    xs_server_settle(&server);
    assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
    xs_server_stop(&server);
}

/* What is answered to the next READ. */
static struct {
    uint32_t type, id_off, length;
    const char *payload;
} said;

static bool answer_said(struct xs_server *self)
{
    if (self->request.type != XENPV_XS_READ)
        return false;
    xs_server_say(self, said.type, self->request.id + said.id_off, said.payload, said.length);
    return true;
}

static void test_seed_XS_11_answer_of_another_type(void **state)
{
    static const uint32_t types[] = {XENPV_XS_WRITE,
                                     XENPV_XS_DIRECTORY,
                                     0,
                                     17,
                                     20,
                                     22,
                                     XENPV_XS_RESET_WATCHES,
                                     XENPV_XS_GET_PERMS,
                                     99,
                                     0xffff,
                                     0x80000002u,
                                     XENPV_XS_GET_DOMAIN_PATH};

    (void)state;
    for (uint32_t i = 0; i < COUNT(types); i++) {
        connected(0, i & 1 ? XENPV_XS_FEATURE_RECONNECT : 0);
        said.type = types[i];
        said.id_off = 0;
        said.payload = "value";
        said.length = 5;
        server.answer = answer_said;
        assert_int_equal(xs_server_read(&server, "a"), XENPV_ESTORE);
        assert_int_equal(xenpv_xs_detail(server.xs)->value, types[i]);
        assert_broken(XENPV_CHECK_XS_TYPE);
        xs_server_stop(&server);
    }
}

static bool answer_twice(struct xs_server *self)
{
    if (self->request.type != XENPV_XS_READ)
        return false;
    for (uint32_t i = 1; i < 5; i++)
        xs_server_say(self, XENPV_XS_READ, self->request.id + i, "other", 5);
    xs_server_say(self, XENPV_XS_READ, 0, "other", 5);
    xs_server_say(self, XENPV_XS_READ, self->request.id, "value", 5);
    xs_server_say(self, XENPV_XS_ERROR, self->request.id, "ENOENT", 7);
    return true;
}

/* They are dropped, and so is what answers a second time. */
static void test_seed_XS_12_unknown_req_id(void **state)
{
    (void)state;
    connected(0, 0);
    server.answer = answer_twice;
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
    assert_int_equal(xenpv_xs_state(server.xs), XENPV_XS_CONNECTED);
    assert_int_equal(server.tx_open, 0);
    xs_server_stop(&server);
}

static void test_seed_XS_13_events_that_are_none(void **state)
{
    static const struct {
        const char *bytes;
        uint32_t length;
        bool poked;
    } cases[] = {
        {"", 0, true},
        {"dir", 3, true},
        {"dir", 4, true},
        {"dir\0"
         "1",
         5, true},
        {"\0", 1, true},
        {"dir\0"
         "1\0",
         6, true},
        {"dir\0"
         "99",
         7, false},
        {"dir\0", 5, false},
        {"dir\0"
         "-1",
         7, false},
        {"dir\0"
         "99999999999",
         16, false},
    };
    char path[XENPV_STORE_PATH_MAX];
    int cookie;

    (void)state;
    connected(0, 0);
    assert_int_equal(server.store->watch(server.xs, "dir", &cookie), XENPV_OK);
    xs_server_settle(&server);
    assert_string_equal(server.watches[0].token, "1");
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        while (server.store->changed(server.xs, &cookie, path, sizeof(path)) == 1)
            continue;
        (void)server.store->fired(server.xs, &cookie);
        xs_server_say(&server, XENPV_XS_WATCH_EVENT, 0, cases[i].bytes, cases[i].length);
        xs_server_settle(&server);
        assert_int_equal(server.store->fired(server.xs, &cookie), cases[i].poked);
        assert_int_equal(server.store->changed(server.xs, &cookie, path, sizeof(path)),
                         cases[i].poked);
        if (cases[i].poked)
            assert_string_equal(path, "dir");
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
    }
    assert_int_equal(xenpv_xs_detail(server.xs)->error, 0);
    xs_server_stop(&server);
}

static bool answer_any(struct xs_server *self)
{
    if (self->request.type == XENPV_XS_RESET_WATCHES ||
        self->request.type == XENPV_XS_TRANSACTION_END)
        return false;
    xs_server_say(self, self->request.type, self->request.id, said.payload, said.length);
    return true;
}

static void test_seed_XS_14_answers_that_do_not_end(void **state)
{
    static const struct {
        enum xenpv_store_type type;
        const char *payload;
        uint32_t length;
        int status;
        uint32_t found;
    } cases[] = {
        {XENPV_STORE_LIST, "a\0b", 4, 0, 4},
        {XENPV_STORE_LIST, "", 0, 0, 0},
        {XENPV_STORE_LIST, "a\0b", 3, XENPV_ESTORE, 0},
        {XENPV_STORE_LIST, "a", 1, XENPV_ESTORE, 0},
        {XENPV_STORE_GET_PERMS, "n0\0r1", 6, 0, 6},
        {XENPV_STORE_GET_PERMS, "n0\0r1", 5, XENPV_ESTORE, 0},
        {XENPV_STORE_GET_PERMS, "", 0, XENPV_ESTORE, 0},
        {XENPV_STORE_DOMAIN_PATH, "/local/domain/1", 16, 0, 15},
        {XENPV_STORE_DOMAIN_PATH, "/local/domain/1", 15, 0, 15},
        {XENPV_STORE_INTRODUCED, "T", 2, 0, 1},
        {XENPV_STORE_INTRODUCED, "F", 2, 0, 1},
        {XENPV_STORE_INTRODUCED, "F", 1, XENPV_ESTORE, 0},
        {XENPV_STORE_INTRODUCED, "X", 2, XENPV_ESTORE, 0},
        {XENPV_STORE_INTRODUCED, "", 0, XENPV_ESTORE, 0},
    };

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        char value[32];
        struct xenpv_store_op op = {
            .type = cases[i].type, .dir = "1", .value = value, .capacity = sizeof(value)};

        connected(0, 0);
        said.payload = cases[i].payload;
        said.length = cases[i].length;
        server.answer = answer_any;
        assert_int_equal(xs_server_op(&server, &op), cases[i].status);
        assert_int_equal(op.length, cases[i].found);
        assert_memory_equal(value, cases[i].payload, cases[i].found);
        server.answer = NULL;
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
        xs_server_stop(&server);
    }
}

static void test_seed_XS_14_transactions_without_number(void **state)
{
    static const struct {
        const char *payload;
        uint32_t length;
        int status;
    } cases[] = {{"17", 3, 0},
                 {"4294967295", 11, 0},
                 {"17", 2, XENPV_ESTORE},
                 {"", 0, XENPV_ESTORE},
                 {"", 1, XENPV_ESTORE},
                 {"0", 2, XENPV_ESTORE},
                 {"-1", 3, XENPV_ESTORE},
                 {"4294967296", 11, XENPV_ESTORE},
                 {"x", 2, XENPV_ESTORE}};

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        struct xenpv_store_batch batch = {.transaction = true, .status = 99};

        connected(0, 0);
        said.payload = cases[i].payload;
        said.length = cases[i].length;
        server.answer = answer_any;
        server.tx_open = 1;
        assert_int_equal(xs_server_run(&server, &batch), XENPV_OK);
        assert_int_equal(batch.status, cases[i].status);
        assert_int_equal(server.tx_open, cases[i].status ? 1 : 0);
        xs_server_stop(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_XS_01_indices),
        cmocka_unit_test(test_seed_XS_02_lengths),
        cmocka_unit_test(test_seed_XS_02_long_event),
        cmocka_unit_test(test_seed_XS_04_error_field),
        cmocka_unit_test(test_seed_XS_04_stays_broken),
        cmocka_unit_test(test_seed_XS_11_answer_of_another_type),
        cmocka_unit_test(test_seed_XS_12_unknown_req_id),
        cmocka_unit_test(test_seed_XS_13_events_that_are_none),
        cmocka_unit_test(test_seed_XS_14_answers_that_do_not_end),
        cmocka_unit_test(test_seed_XS_14_transactions_without_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
