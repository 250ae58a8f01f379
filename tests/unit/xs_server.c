/* SPDX-License-Identifier: MIT */
#include "xs_server.h"

static int notify(void *ctx, uint32_t port)
{
    struct xs_server *server = ctx;

    assert_int_equal(port, 7);
    server->notified++;
    return XENPV_OK;
}

static const struct xenpv_event_ops event_ops = {.notify = notify};

void xs_server_client(struct xs_server *server)
{
    const struct xenpv_xs_config config = {.page = &server->page,
                                           .event_port = 7,
                                           .watches = 8,
                                           .timeout_ms = 1000,
                                           .event = &event_ops,
                                           .event_ctx = server,
                                           .owner = server};
    size_t bytes = xenpv_xs_size(&config);

    free(server->memory);
    server->memory = malloc(bytes);
    assert_non_null(server->memory);
    assert_int_equal(xenpv_xs_init(server->memory, &config, &server->xs), XENPV_OK);
    assert_ptr_equal(xenpv_xs_owner(server->xs), server);
    server->store = &xenpv_xs_store_ops;
}

void xs_server_start(struct xs_server *server, uint32_t first, uint32_t features)
{
    memset(server, 0, sizeof(*server));
    memset(server->page.req, 0xa5, sizeof(server->page.req));
    memset(server->page.rsp, 0xa5, sizeof(server->page.rsp));
    server->page.req_cons = server->page.req_prod = first;
    server->page.rsp_cons = server->page.rsp_prod = first;
    server->page.features = features;
    server->now = 10;
    xs_server_client(server);
}

void xs_server_stop(struct xs_server *server)
{
    free(server->memory);
    server->memory = NULL;
}

void xs_server_bytes(struct xs_server *server, const void *bytes, uint32_t length)
{
    assert_true(length <= sizeof(server->out) - server->out_have);
    if (length)
        memcpy(server->out + server->out_have, bytes, length);
    server->out_have += length;
}

void xs_server_say(struct xs_server *server, uint32_t type, uint32_t id, const void *payload,
                   uint32_t length)
{
    const struct xenpv_xs_header header = {.type = type, .id = id, .length = length};

    xs_server_bytes(server, &header, sizeof(header));
    xs_server_bytes(server, payload, length);
}

void xs_server_event(struct xs_server *server, const char *path, const char *token)
{
    char bytes[4096];
    uint32_t length = (uint32_t)strlen(path) + 1;

    memcpy(bytes, path, length);
    memcpy(bytes + length, token, strlen(token) + 1);
    xs_server_say(server, XENPV_XS_WATCH_EVENT, 0, bytes, length + (uint32_t)strlen(token) + 1);
}

void xs_server_error(struct xs_server *server, const char *name)
{
    xs_server_say(server, XENPV_XS_ERROR, server->request.id, name, (uint32_t)strlen(name) + 1);
}

static void say_ok(struct xs_server *server)
{
    xs_server_say(server, server->request.type, server->request.id, "OK", 3);
}

/* Where the request's watch is in the list; its end if it is not. */
static uint32_t find_watch(const struct xs_server *server, const char *token)
{
    uint32_t i = 0;

    while (i < server->watch_count && (strcmp(server->watches[i].path, server->payload) != 0 ||
                                       strcmp(server->watches[i].token, token) != 0))
        i++;
    return i;
}

static void set_watch(struct xs_server *server, const char *token)
{
    uint32_t at = find_watch(server, token);

    if (at < server->watch_count) {
        xs_server_error(server, "EEXIST");
        return;
    }
    assert_true(at < XS_SERVER_WATCHES);
    strcpy(server->watches[at].path, server->payload);
    strcpy(server->watches[at].token, token);
    server->watch_count++;
    say_ok(server);
    xs_server_event(server, server->payload, token);
}

static void end_watch(struct xs_server *server, const char *token)
{
    uint32_t at = find_watch(server, token);

    if (at == server->watch_count) {
        xs_server_error(server, "ENOENT");
        return;
    }
    server->watches[at] = server->watches[--server->watch_count];
    say_ok(server);
}

static void reset(struct xs_server *server)
{
    /* XS-09: neither of these may ever be. */
    assert_int_equal(server->request.tx, 0);
    assert_int_equal(server->tx_open, 0);
    server->resets++;
    if (server->keeps) {
        xs_server_error(server, "ENOSYS");
        return;
    }
    server->watch_count = 0;
    say_ok(server);
}

static void obey(struct xs_server *server)
{
    const char *second = server->payload + strlen(server->payload) + 1;

    switch (server->request.type) {
    case XENPV_XS_WATCH:
        set_watch(server, second);
        break;
    case XENPV_XS_UNWATCH:
        end_watch(server, second);
        break;
    case XENPV_XS_RESET_WATCHES:
        reset(server);
        break;
    case XENPV_XS_TRANSACTION_START:
        server->tx_open++;
        server->last_tx++;
        xs_server_say(server, XENPV_XS_TRANSACTION_START, server->request.id,
                      (char[]){(char)('0' + server->last_tx % 10), '1', '\0'}, 3);
        break;
    case XENPV_XS_TRANSACTION_END:
        assert_true(server->tx_open > 0);
        server->tx_open--;
        say_ok(server);
        break;
    case XENPV_XS_READ:
        xs_server_say(server, XENPV_XS_READ, server->request.id, "value", 5);
        break;
    default:
        say_ok(server);
    }
}

static void handle(struct xs_server *server)
{
    memcpy(&server->request, server->in, sizeof(server->request));
    memcpy(server->payload, server->in + 16, server->request.length);
    server->payload[server->request.length] = '\0';
    server->in_have = 0;
    server->requests++;
    if (!server->answer || !server->answer(server))
        obey(server);
}

static uint32_t take(struct xs_server *server, uint32_t count)
{
    struct xenpv_xs_page *page = &server->page;
    uint32_t there = page->req_prod - page->req_cons;

    assert_true(there <= 1024);
    count = count < there ? count : there;
    for (uint32_t i = 0; i < count; i++)
        server->in[server->in_have++] = page->req[(page->req_cons + i) % 1024];
    page->req_cons += count;
    return count;
}

static bool take_requests(struct xs_server *server)
{
    bool moved = false;

    for (;;) {
        uint32_t whole = 16;

        if (server->in_have >= 16) {
            struct xenpv_xs_header header;

            memcpy(&header, server->in, sizeof(header));
            assert_true(header.length <= 4096);
            whole += header.length;
        }
        if (server->in_have == whole && whole >= 16 && server->in_have >= 16) {
            handle(server);
            continue;
        }
        if (take(server, server->one_at_once ? 1 : whole - server->in_have) == 0)
            return moved;
        moved = true;
    }
}

static bool put_answers(struct xs_server *server)
{
    struct xenpv_xs_page *page = &server->page;
    uint32_t room = 1024 - (page->rsp_prod - page->rsp_cons);
    uint32_t count = server->out_have - server->out_at;

    count = count < room ? count : room;
    count = server->one_at_once && count ? 1 : count;
    for (uint32_t i = 0; i < count; i++)
        page->rsp[(page->rsp_prod + i) % 1024] = server->out[server->out_at++];
    page->rsp_prod += count;
    if (server->out_at == server->out_have)
        server->out_at = server->out_have = 0;
    return count > 0;
}

void xs_server_empty(struct xs_server *server)
{
    server->page.req_cons = server->page.req_prod = 0;
    server->page.rsp_cons = server->page.rsp_prod = 0;
    server->page.error = 0;
    server->page.connection = 0;
    server->in_have = server->out_at = server->out_have = 0;
    server->watch_count = server->tx_open = 0;
}

bool xs_server_serve(struct xs_server *server)
{
    bool moved = false;

    if (server->stopped)
        return false;
    if ((server->page.features & XENPV_XS_FEATURE_RECONNECT) && server->page.connection == 1) {
        xs_server_empty(server);
        return true;
    }
    if (server->page.error)
        return false;
    moved = take_requests(server);
    return put_answers(server) || moved;
}

void xs_server_settle(struct xs_server *server)
{
    for (uint32_t i = 0; i < 20000; i++) {
        xenpv_xs_step(server->xs, server->now);
        if (!xs_server_serve(server) && xenpv_xs_deadline(server->xs) > server->now)
            return;
    }
    fail_msg("client and server do not come to rest");
}

int xs_server_run(struct xs_server *server, struct xenpv_store_batch *batch)
{
    int rc = server->store->start(server->xs, batch);

    if (rc == XENPV_PENDING) {
        xs_server_settle(server);
        rc = server->store->check(server->xs, batch);
    }
    return rc;
}

int xs_server_op(struct xs_server *server, struct xenpv_store_op *op)
{
    struct xenpv_store_batch batch = {.ops = op, .count = 1, .status = 99};

    op->status = 99;
    assert_int_equal(xs_server_run(server, &batch), XENPV_OK);
    return op->status;
}

int xs_server_read(struct xs_server *server, const char *path)
{
    char value[16] = {0};
    struct xenpv_store_op op = {
        .type = XENPV_STORE_READ, .dir = path, .value = value, .capacity = sizeof(value)};
    int err = xs_server_op(server, &op);

    if (!err)
        assert_string_equal(value, "value");
    return err;
}
