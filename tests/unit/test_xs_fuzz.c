/* SPDX-License-Identifier: MIT */
/*
 * A server of which nothing is sure: random bytes and indices, messages that are nearly right, and
 * a client that is asked, cancelled and resumed at random. Nothing is touched that should not be,
 * all that is asked ends, and with a good server it works again.
 */
#include "xs_server.h"

#define ASKS 6u

static struct xs_server server;
static uint32_t seed;
static bool calm; /* the indices are left as they are, and most answers have an id that is asked */

/* Everything has a buffer of its own on the heap, freed when it has ended. */
static struct ask {
    struct xenpv_store_batch *batch;
    struct xenpv_store_op *ops;
    struct xenpv_xs_request *request;
    char *value;
} asks[ASKS];
static char cookies[4];
static bool watched[4];

static uint32_t random_number(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static void drop(struct ask *ask)
{
    free(ask->batch);
    free(ask->ops);
    free(ask->request);
    free(ask->value);
    memset(ask, 0, sizeof(*ask));
}

static void ask_batch(struct ask *ask)
{
    static const char *const paths[] = {"a", "dir/b", "/local/domain/0", "3", "a//", ""};
    uint32_t count = random_number(4);

    ask->batch = calloc(1, sizeof(*ask->batch));
    ask->ops = calloc(count + 1, sizeof(*ask->ops));
    ask->value = calloc(1, 600);
    for (uint32_t i = 0; i < count; i++)
        ask->ops[i] = (struct xenpv_store_op){.type = (enum xenpv_store_type)random_number(10),
                                              .dir = paths[random_number(COUNT(paths))],
                                              .value = ask->value,
                                              .capacity = random_number(601),
                                              .length = random_number(601)};
    ask->batch->ops = ask->ops;
    ask->batch->count = count;
    ask->batch->transaction = random_number(2);
    if (server.store->start(server.xs, ask->batch) == XENPV_OK)
        drop(ask);
}

static void ask_request(struct ask *ask)
{
    ask->request = calloc(1, sizeof(*ask->request));
    ask->value = calloc(1, 600);
    *ask->request = (struct xenpv_xs_request){.type = random_number(30),
                                              .tx = random_number(3),
                                              .payload = ask->value,
                                              .length = random_number(601),
                                              .reply = ask->value,
                                              .capacity = random_number(601)};
    if (xenpv_xs_request(server.xs, ask->request) == XENPV_OK)
        drop(ask);
}

static bool ended(struct ask *ask)
{
    if (ask->request)
        return xenpv_xs_request_check(server.xs, ask->request) == XENPV_OK;
    return server.store->check(server.xs, ask->batch) == XENPV_OK;
}

static void client_does(void)
{
    struct ask *ask = &asks[random_number(ASKS)];
    uint32_t which = random_number(4);
    char path[300];

    switch (random_number(12)) {
    case 0:
    case 1:
    case 2:
        if (!ask->value && random_number(4))
            ask_batch(ask);
        else if (!ask->value)
            ask_request(ask);
        break;
    case 3:
        if (ask->request)
            xenpv_xs_request_cancel(server.xs, ask->request);
        else if (ask->batch)
            server.store->cancel(server.xs, ask->batch);
        drop(ask);
        break;
    case 4:
        if (watched[which])
            server.store->unwatch(server.xs, "dir", &cookies[which]);
        else if (server.store->watch(server.xs, "dir", &cookies[which]) != XENPV_OK)
            break;
        watched[which] = !watched[which];
        break;
    case 5:
        (void)server.store->fired(server.xs, &cookies[which]);
        (void)server.store->changed(server.xs, &cookies[which], path, random_number(300));
        break;
    case 6:
        if (random_number(200) == 0)
            xenpv_xs_resume(server.xs, &server.page, 7);
        break;
    default:
        server.now += random_number(300);
        xenpv_xs_step(server.xs, server.now);
        break;
    }
    for (uint32_t i = 0; i < ASKS; i++)
        if (asks[i].value && ended(&asks[i]))
            drop(&asks[i]);
}

/* A message that may be an answer to what is asked, put into the ring as far as there is room. */
static void nearly_right(void)
{
    static const char payloads[][12] = {"OK",       "7",       "ENOENT", "E2BIG", "dir/x\0001",
                                        "dir\0002", "5\0a\0b", "5\0a",   "a\0b",  "4294967295"};
    struct xenpv_xs_page *page = &server.page;
    uint32_t length = random_number(13), which = random_number(COUNT(payloads));
    struct xenpv_xs_header header = {
        .type = random_number(calm ? 64 : 4) ? server.request.type : random_number(25),
        .id = server.request.id + (random_number(calm ? 64 : 8) ? 0 : 1),
        .length = calm || random_number(40) ? length : seed};
    char bytes[16 + 12] = {0};

    if (random_number(3) == 0)
        header.type = random_number(2) ? XENPV_XS_WATCH_EVENT : XENPV_XS_ERROR;
    memcpy(bytes, &header, 16);
    memcpy(bytes + 16, payloads[which], length);
    for (uint32_t i = 0; i < 16 + length; i++)
        page->rsp[(page->rsp_prod + i) % 1024] = bytes[i];
    page->rsp_prod += 16 + length;
}

static void server_does(void)
{
    uint32_t *const words[] = {&server.page.req_cons, &server.page.req_prod,
                               &server.page.rsp_cons, &server.page.rsp_prod,
                               &server.page.features, &server.page.connection,
                               &server.page.error};
    uint32_t which = calm ? 16 + random_number(184) : random_number(200);

    if (which < COUNT(words)) {
        *words[which] = random_number(3) ? random_number(4) : seed;
    } else if (which < 12) {
        server.page.rsp_prod += random_number(1100);
    } else if (which < 16) {
        server.page.rsp[random_number(1024)] = (char)seed;
    } else if (which < 30) {
        server.page.connection = 0;
        server.page.error = 0;
        server.page.features = 3;
    } else if (which < 90) {
        /* What the client says it must be able to read, if nobody has made nonsense of it. */
        uint32_t there = server.page.req_prod - server.page.req_cons;

        if (there >= 16 && there <= 1024) {
            char *request = (char *)&server.request;

            for (uint32_t i = 0; i < 16; i++)
                request[i] = server.page.req[(server.page.req_cons + i) % 1024];
        }
        server.page.req_cons = server.page.req_prod;
        nearly_right();
    } else if (which < 100) {
        nearly_right();
    }
}

/* A good server, after all that: what is asked ends, and it can be used. */
static void all_ends(void)
{
    server.in_have = server.out_at = server.out_have = 0;
    server.page.features = 3;
    server.page.error = 0;
    server.page.connection = 0;
    server.page.rsp_prod = server.page.rsp_cons + 4096; /* so it is broken, and reconnected */
    for (uint32_t i = 0; i < 5; i++) {
        server.now += 2000;
        xs_server_settle(&server);
    }
    for (uint32_t i = 0; i < ASKS; i++) {
        if (!asks[i].value)
            continue;
        assert_true(ended(&asks[i]));
        drop(&asks[i]);
    }
    assert_int_equal(xs_server_read(&server, "a"), XENPV_OK);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(xenpv_xs_watch_status(server.xs, &cookies[i]),
                         watched[i] ? XENPV_OK : XENPV_ENOENT);
        watched[i] = false;
    }
}

static void test_seed_XS_01_to_14_random_servers(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 400; round++) {
        seed = round;
        calm = round % 2;
        xs_server_start(&server, seed * 0x10001u, 3);
        for (uint32_t step = 0; step < 1500; step++) {
            client_does();
            server_does();
        }
        all_ends();
        xs_server_stop(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_XS_01_to_14_random_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
