/* SPDX-License-Identifier: MIT */
/* Watches over a ring page: set, told, lost, set again; and connections made anew. */
#include "xs_server.h"

#include <xenpv/store.h>

static struct xs_server server;

static void connected(uint32_t first, uint32_t features)
{
    xs_server_start(&server, first, features);
    xs_server_settle(&server);
}

static void watch(const char *dir, const void *cookie)
{
    assert_int_equal(server.store->watch(server.xs, dir, cookie), XENPV_OK);
}

static bool fired(const void *cookie)
{
    return server.store->fired(server.xs, cookie);
}

/* All the paths that there are, as "a b c". */
static const char *changed(const void *cookie)
{
    static char all[8192];
    uint32_t at = 0;

    all[0] = '\0';
    for (;;) {
        char path[XENPV_STORE_PATH_MAX];
        int rc = server.store->changed(server.xs, cookie, path, sizeof(path));

        if (rc == 0)
            return all;
        assert_int_equal(rc, 1);
        if (at)
            all[at++] = ' ';
        strcpy(all + at, path);
        at += (uint32_t)strlen(path);
    }
}

static void settle(void)
{
    xs_server_settle(&server);
}

static void test_a_watch(void **state)
{
    int a, b;
    char path[8];

    (void)state;
    connected(0, 0);
    watch("dir", &a);
    assert_true(fired(&a)); /* it has fired already */
    assert_false(fired(&a));
    assert_int_equal(xenpv_xs_watch_status(server.xs, &a), XENPV_PENDING);
    settle();
    assert_int_equal(xenpv_xs_watch_status(server.xs, &a), XENPV_OK);
    assert_int_equal(server.watch_count, 1);
    assert_string_equal(server.watches[0].path, "dir");
    assert_true(fired(&a));
    assert_string_equal(changed(&a), "dir");

    watch("@releaseDomain", &b);
    settle();
    assert_true(fired(&b));
    assert_string_equal(changed(&b), "@releaseDomain");
    assert_false(fired(&a));

    xs_server_event(&server, "dir/x", server.watches[0].token);
    xs_server_event(&server, "@releaseDomain", server.watches[1].token);
    xs_server_event(&server, "dir/long", server.watches[0].token);
    settle();
    assert_true(fired(&a));
    assert_false(fired(&a));
    assert_int_equal(server.store->changed(server.xs, &a, path, 5), XENPV_E2BIG);
    assert_int_equal(server.store->changed(server.xs, &a, path, 6), 1);
    assert_string_equal(path, "dir/x");
    assert_string_equal(changed(&a), "dir/long");
    assert_string_equal(changed(&b), "@releaseDomain");
    assert_true(fired(&b));

    server.store->unwatch(server.xs, "dir", &a);
    assert_false(fired(&a));
    assert_int_equal(xenpv_xs_watch_status(server.xs, &a), XENPV_ENOENT);
    xs_server_event(&server, "dir/late", "1");
    settle();
    assert_int_equal(server.watch_count, 1);
    assert_string_equal(changed(&a), "");
    /* What comes late for the one does not poke the next at the same address. */
    watch("dir", &a);
    settle();
    (void)fired(&a);
    (void)changed(&a);
    xs_server_event(&server, "dir/late", "1");
    settle();
    assert_false(fired(&a));
    assert_string_equal(changed(&a), "");
    xs_server_stop(&server);
}

static void test_seed_XS_06_watches_that_cannot_be(void **state)
{
    char path[4096];
    int cookies[20];

    (void)state;
    connected(0, 0);
    memset(path, 'x', sizeof(path));
    path[256] = '\0';
    assert_int_equal(server.store->watch(server.xs, path, cookies), XENPV_E2BIG);
    assert_int_equal(server.store->watch(server.xs, "a//b", cookies), XENPV_EINVAL);
    path[255] = '\0';
    watch(path, &cookies[0]);
    assert_int_equal(server.store->watch(server.xs, "b", &cookies[0]), XENPV_EEXIST);
    for (uint32_t i = 1; i < 8; i++)
        watch("a", &cookies[i]);
    assert_int_equal(server.store->watch(server.xs, "a", &cookies[8]), XENPV_ENOMEM);
    settle();
    assert_int_equal(server.watch_count, 8);
    /* All are taken down and set, while the server hears of nothing. */
    server.stopped = true;
    for (uint32_t i = 0; i < 8; i++)
        server.store->unwatch(server.xs, "a", &cookies[i]);
    for (uint32_t i = 0; i < 8; i++)
        watch("c", &cookies[i]);
    assert_int_equal(server.store->watch(server.xs, "a", &cookies[8]), XENPV_ENOMEM);
    server.store->unwatch(server.xs, "c", &cookies[0]);
    watch("d", &cookies[0]);
    server.stopped = false;
    settle();
    assert_int_equal(server.watch_count, 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_true(strcmp(server.watches[i].path, "c") == 0 ||
                    strcmp(server.watches[i].path, "d") == 0);
    xs_server_stop(&server);
}

static const char *refusal;

static bool refuse(struct xs_server *self)
{
    if (self->request.type != XENPV_XS_WATCH)
        return false;
    xs_server_error(self, refusal);
    return true;
}

static void test_a_watch_that_is_refused(void **state)
{
    static const struct {
        const char *name;
        int status;
    } cases[] = {{"EACCES", XENPV_EACCES},
                 {"ENOSPC", XENPV_ENOSPC},
                 {"EQUOTA", XENPV_ENOSPC},
                 {"E2BIG", XENPV_ENOSPC},
                 {"EEXIST", 0}};

    (void)state;
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        int cookie;

        connected(0, XENPV_XS_FEATURE_RECONNECT);
        server.answer = refuse;
        refusal = cases[i].name;
        watch("dir", &cookie);
        assert_true(fired(&cookie));
        settle();
        assert_int_equal(xenpv_xs_watch_status(server.xs, &cookie), cases[i].status);
        assert_int_equal(fired(&cookie), cases[i].status != 0); /* somebody is to look */
        if (cases[i].status) {
            uint32_t before = server.requests;

            server.store->unwatch(server.xs, "dir", &cookie);
            settle();
            assert_int_equal(server.requests, before);
            watch("dir", &cookie);
            settle();
        }
        /* Asked again when all is made anew. */
        server.answer = NULL;
        server.page.connection = 1;
        settle();
        assert_int_equal(xenpv_xs_watch_status(server.xs, &cookie), 0);
        xs_server_stop(&server);
    }
}

/* Taken down at each point of being set. */
static void test_unwatch_at_every_step(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 12; steps++) {
        for (uint32_t silent = 0; silent < 2; silent++) {
            int a, b;

            xs_server_start(&server, 0, 0);
            watch("a", &a);
            watch("b", &b);
            for (uint32_t i = 0; i < steps; i++) {
                if (i & 1)
                    xenpv_xs_step(server.xs, server.now);
                else
                    xs_server_serve(&server);
            }
            if (silent) { /* the server is given up, too; then it answers what nobody waits for */
                xenpv_xs_step(server.xs, server.now);
                server.now += 1000;
                xenpv_xs_step(server.xs, server.now);
            }
            server.store->unwatch(server.xs, "a", &a);
            settle();
            assert_int_equal(server.watch_count, 1);
            assert_string_equal(server.watches[0].path, "b");
            assert_int_equal(xenpv_xs_watch_status(server.xs, &b), 0);
            xs_server_stop(&server);
        }
    }
}

/* 10^5 changes of one path, and of many: bounded, and nothing is left out without a word. */
static void test_seed_XS_07_more_events_than_are_kept(void **state)
{
    int a, b;
    uint32_t paths = 0;
    char path[XENPV_STORE_PATH_MAX], last[XENPV_STORE_PATH_MAX] = "";

    (void)state;
    connected(0, 0);
    watch("dir", &a);
    watch("quiet", &b);
    settle();
    (void)changed(&b);
    xs_server_event(&server, "quiet/x", server.watches[1].token);
    for (uint32_t i = 0; i < 100000; i++) {
        char name[32] = "dir/00000";

        for (uint32_t k = 0, n = i; k < 5; k++, n /= 10)
            name[8 - k] = (char)('0' + n % 10);
        xs_server_event(&server, name, server.watches[0].token);
        if (i % 100 == 99)
            settle();
    }
    settle();
    assert_true(fired(&a));
    assert_false(fired(&a));
    assert_int_equal(server.store->changed(server.xs, &a, path, sizeof(path)), 1);
    assert_string_equal(path, "dir"); /* for all that is lost, once */
    while (server.store->changed(server.xs, &a, path, sizeof(path)) == 1) {
        assert_true(strcmp(path, last) > 0);
        strcpy(last, path);
        paths++;
    }
    assert_string_equal(last, "dir/99999");
    assert_true(paths >= 100 && paths < 1000);
    /* The other watch's was older than these, and went first. */
    assert_string_equal(changed(&b), "quiet");
    assert_true(fired(&b));
    xs_server_stop(&server);
}

/* What was told of a watch that is gone takes no room from others. */
static void test_paths_of_a_watch_that_is_gone(void **state)
{
    int a, b;

    (void)state;
    connected(0, 0);
    watch("a", &a);
    watch("b", &b);
    settle();
    (void)changed(&a);
    (void)changed(&b);
    xs_server_event(&server, "b/1", "2");
    for (uint32_t i = 0; i < 4096 / (8 + 39) - 2; i++)
        xs_server_event(&server, "a/678901234567890123456789012345678901", "1");
    settle();
    server.store->unwatch(server.xs, "a", &a);
    for (uint32_t i = 0; i < 20; i++)
        xs_server_event(&server, "b/2", "2");
    settle();
    assert_memory_equal(changed(&b), "b/1 b/2 b/2", 11);
    xs_server_stop(&server);
}

/* ---- made anew ---- */

enum loss { SERVER_SAYS, SERVER_BREAKS, INDICES_RESET, RESUMED, LOSSES };

static void lose(enum loss loss)
{
    server.now += 2000;
    switch (loss) {
    case SERVER_SAYS:
        server.page.connection = 1;
        break;
    case SERVER_BREAKS:
        server.page.error = 1;
        break;
    case INDICES_RESET:
        xs_server_empty(&server);
        break;
    default:
        xs_server_empty(&server);
        server.page.req_cons = server.page.req_prod = 4711;
        server.page.rsp_cons = server.page.rsp_prod = 4711;
        xenpv_xs_resume(server.xs, &server.page, 7);
    }
}

/* At each step of what is going on. */
static void test_seed_XS_09_the_server_dies(void **state)
{
    static char text[] = "1";

    (void)state;
    for (uint32_t i = 0; i < 16 * LOSSES; i++) {
        enum loss loss = (enum loss)(i / 16);
        int a, b;
        struct xenpv_store_op op = {
            .type = XENPV_STORE_WRITE, .dir = "a", .value = text, .length = 1, .status = 99};
        struct xenpv_store_batch batch = {.ops = &op, .count = 1, .transaction = true};
        struct xenpv_store_batch alone = {.ops = &op, .count = 1};
        struct xenpv_xs_request request = {.type = XENPV_XS_CONTROL, .payload = "", .length = 1};

        connected(100, XENPV_XS_FEATURE_RECONNECT | XENPV_XS_FEATURE_ERROR);
        watch("a", &a);
        settle();
        (void)server.store->start(server.xs, &batch);
        (void)server.store->start(server.xs, &alone);
        (void)xenpv_xs_request(server.xs, &request);
        watch("b", &b);
        for (uint32_t k = 0; k < i % 16; k++) {
            if (k & 1)
                xenpv_xs_step(server.xs, server.now);
            else
                xs_server_serve(&server);
        }
        bool ended = server.store->check(server.xs, &batch) == XENPV_OK;
        bool both = server.store->check(server.xs, &alone) == XENPV_OK;
        bool all = xenpv_xs_request_check(server.xs, &request) == XENPV_OK;

        lose(loss);
        settle();
        assert_int_equal(server.store->check(server.xs, &batch), XENPV_OK);
        assert_int_equal(server.store->check(server.xs, &alone), XENPV_OK);
        assert_int_equal(batch.status, ended ? XENPV_OK : XENPV_ESTORE);
        assert_int_equal(alone.status, both ? XENPV_OK : XENPV_ESTORE);
        assert_int_equal(xenpv_xs_request_check(server.xs, &request), XENPV_OK);
        assert_int_equal(request.status, all ? XENPV_OK : XENPV_ESTORE);
        assert_int_equal(server.resets, 2);
        assert_int_equal(server.tx_open, 0);
        assert_int_equal(server.watch_count, 2);
        assert_true(fired(&a));
        assert_true(fired(&b));
        assert_non_null(strstr(changed(&a), "a"));
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
        xs_server_stop(&server);
    }
}

/* The rest of a message that was on its way is not for the next connection. */
static void test_seed_XS_09_half_a_message(void **state)
{
    static char large[4000];
    struct xenpv_store_op op = {
        .type = XENPV_STORE_WRITE, .dir = "a", .value = large, .length = 4000};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};

    (void)state;
    for (uint32_t i = 0; i < LOSSES; i++) {
        connected(0, XENPV_XS_FEATURE_RECONNECT | XENPV_XS_FEATURE_ERROR);
        server.stopped = true;
        assert_int_equal(server.store->start(server.xs, &batch), XENPV_PENDING);
        server.stopped = false;
        lose((enum loss)i);
        settle();
        assert_int_equal(server.store->check(server.xs, &batch), XENPV_OK);
        assert_int_equal(batch.status, XENPV_ESTORE);
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
        assert_int_equal(server.requests, 3); /* two resets, and the last read */
        xs_server_stop(&server);
    }
}

/* The page is not touched while the server empties it. */
static void test_a_reconnect_is_waited_for(void **state)
{
    char value[8];
    struct xenpv_store_op op = {
        .type = XENPV_STORE_READ, .dir = "a", .value = value, .capacity = 8};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};
    struct xenpv_xs_page before;

    (void)state;
    connected(0, XENPV_XS_FEATURE_RECONNECT);
    server.page.rsp_prod += 5000;
    server.stopped = true;
    xenpv_xs_step(server.xs, server.now);
    assert_int_equal(server.page.connection, 1);
    assert_int_equal(xenpv_xs_state(server.xs), XENPV_XS_CONNECTING);
    before = server.page;
    assert_int_equal(server.store->start(server.xs, &batch), XENPV_PENDING);
    for (uint32_t i = 0; i < 10; i++)
        xenpv_xs_step(server.xs, server.now);
    assert_memory_equal(&before, &server.page, sizeof(before));
    server.stopped = false;
    settle();
    assert_int_equal(server.store->check(server.xs, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_OK);
    xs_server_stop(&server);
}

static void test_seed_XS_10_our_watches_are_the_servers(void **state)
{
    static const char *const dirs[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    int cookies[COUNT(dirs)];
    uint32_t random = 1, set = 0;

    (void)state;
    connected(UINT32_MAX - 5, XENPV_XS_FEATURE_RECONNECT | XENPV_XS_FEATURE_ERROR);
    for (uint32_t i = 0; i < 100000; i++) {
        random = random * 1664525 + 1013904223;

        uint32_t which = random >> 29;

        if (set & 1u << which)
            server.store->unwatch(server.xs, dirs[which], &cookies[which]);
        else
            watch(dirs[which], &cookies[which]);
        set ^= 1u << which;
        if (random & 1u << 20)
            xs_server_serve(&server);
        lose((enum loss)(random >> 22 & 3));
        if (i % 8 != 7)
            continue;
        settle();

        uint32_t found = 0;

        for (uint32_t k = 0; k < server.watch_count; k++) {
            uint32_t bit = 1u << (server.watches[k].path[0] - 'a');

            assert_int_equal(found & bit, 0);
            found |= bit;
        }
        assert_int_equal(found, set);
    }
    xs_server_stop(&server);
}

/* A server that knows no reset, and forgets nothing: there is no second watch. */
static void test_seed_XS_10_a_server_that_keeps_them(void **state)
{
    int cookie;

    (void)state;
    connected(0, 0);
    server.keeps = true;
    watch("a", &cookie);
    for (uint32_t i = 0; i < 10; i++) {
        settle();
        assert_int_equal(server.watch_count, 1);
        assert_int_equal(xenpv_xs_watch_status(server.xs, &cookie), XENPV_OK);
        assert_true(fired(&cookie));
        xenpv_xs_resume(server.xs, &server.page, 7);
    }
    xs_server_stop(&server);
}

/* What somebody before us has left in the ring. */
static void test_a_page_that_was_used(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t features = i & 1 ? XENPV_XS_FEATURE_RECONNECT : 0;

        xs_server_start(&server, 1000, features);
        server.page.rsp_prod += i & 2 ? 30 : 0;
        xs_server_settle(&server);
        assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
        assert_int_equal(xenpv_xs_detail(server.xs)->error, 0);
        assert_int_equal(server.resets, 1);
        /* A reconnect begins at 0 with our server. */
        assert_int_equal(server.page.req_prod < 1000, i == 3);
        xs_server_stop(&server);
    }
}

static void test_configurations(void **state)
{
    static const struct xenpv_event_ops none = {0};
    struct xenpv_xs_config config;
    struct xenpv_event_ops ops = {.notify = NULL};
    struct xenpv_xs *xs;

    (void)state;
    memset(&config, 0, sizeof(config));
    ops = none;
    config.event = &ops;
    config.page = &server.page;
    assert_int_equal(xenpv_xs_size(&config), 0);
    assert_int_equal(xenpv_xs_init(&server, &config, &xs), XENPV_EINVAL);
    connected(0, 0);
    assert_true(server.store->wait_handle(server.xs) == XENPV_NO_HANDLE);
    xs_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_watch),
        cmocka_unit_test(test_seed_XS_06_watches_that_cannot_be),
        cmocka_unit_test(test_a_watch_that_is_refused),
        cmocka_unit_test(test_unwatch_at_every_step),
        cmocka_unit_test(test_seed_XS_07_more_events_than_are_kept),
        cmocka_unit_test(test_paths_of_a_watch_that_is_gone),
        cmocka_unit_test(test_seed_XS_09_the_server_dies),
        cmocka_unit_test(test_seed_XS_09_half_a_message),
        cmocka_unit_test(test_a_reconnect_is_waited_for),
        cmocka_unit_test(test_seed_XS_10_our_watches_are_the_servers),
        cmocka_unit_test(test_seed_XS_10_a_server_that_keeps_them),
        cmocka_unit_test(test_a_page_that_was_used),
        cmocka_unit_test(test_configurations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
