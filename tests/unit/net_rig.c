/* SPDX-License-Identifier: MIT */
#include "net_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void *counted_alloc(void *ctx, size_t bytes, size_t align)
{
    struct net_rig *rig = ctx;
    size_t grain = align < 16 ? 16 : align;
    void *memory = aligned_alloc(grain, (bytes + grain - 1) / grain * grain);

    rig->allocated += memory != NULL;
    return memory;
}

static void counted_free(void *ctx, void *memory)
{
    struct net_rig *rig = ctx;

    rig->allocated -= memory != NULL;
    free(memory);
}

/* The mock says so when a port is misused: ending twice, closing what is not there, and so on. */
static void no_misuse(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    if (strncmp(line, "mock: ", 6) == 0)
        fail_msg("domain %u: %s", domid, line);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static void set_number(struct net_rig *rig, const char *dir, const char *key, uint32_t number)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", number);
    net_rig_set(rig, dir, key, text);
}

static void directory(struct net_rig *rig, const char *path, uint16_t owner, uint16_t reader)
{
    const struct xenpv_mock_perms perms = {
        .owner = owner, .domid = reader, .allowed = XENPV_MOCK_READ};

    assert_int_equal(xenpv_mock_write(rig->mock, path, ""), XENPV_OK);
    assert_int_equal(xenpv_mock_set_perms(rig->mock, path, &perms), XENPV_OK);
}

void net_rig_make(struct net_rig *rig, uint16_t backend)
{
    rig->backend = backend;
    snprintf(rig->backend_path, sizeof(rig->backend_path), "/local/domain/%u/backend/vif/1/0",
             backend);
    if (backend && xenpv_mock_port(rig->mock, backend, &rig->back_port) != XENPV_OK)
        assert_int_equal(xenpv_mock_add_domain(rig->mock, backend), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, backend, &rig->back_port), XENPV_OK);
    directory(rig, NET_RIG_FRONTEND, 1, backend);
    directory(rig, rig->backend_path, backend, 1);
    net_rig_set(rig, NET_RIG_FRONTEND, "backend", rig->backend_path);
    set_number(rig, NET_RIG_FRONTEND, "backend-id", backend);
    set_number(rig, NET_RIG_FRONTEND, "handle", 0);
    net_rig_set(rig, NET_RIG_FRONTEND, "mac", "00:16:3e:01:02:03");
    net_rig_set(rig, NET_RIG_FRONTEND, "mtu", "1500");
    net_rig_set(rig, NET_RIG_FRONTEND, "state", "1");
    net_rig_set(rig, rig->backend_path, "frontend", NET_RIG_FRONTEND);
    set_number(rig, rig->backend_path, "frontend-id", 1);
    set_number(rig, rig->backend_path, "handle", 0);
    set_number(rig, rig->backend_path, "online", 1);
    net_rig_set(rig, rig->backend_path, "state", "1");
}

void net_rig_remove(struct net_rig *rig)
{
    xenpv_mock_rm(rig->mock, NET_RIG_FRONTEND);
    xenpv_mock_rm(rig->mock, rig->backend_path);
}

static uint32_t or_else(uint32_t number, uint32_t otherwise)
{
    return number ? number : otherwise;
}

static void make_frontend(struct net_rig *rig, const struct net_rig_options *options)
{
    struct xenpv_net_config config;

    xenpv_net_config_init(&config, &rig->front_port, NET_RIG_FRONTEND);
    config.queues = or_else(options->queues, config.queues);
    config.tx_buffers = or_else(options->tx_buffers, config.tx_buffers);
    config.rx_buffers = or_else(options->rx_buffers, config.rx_buffers);
    config.shared_pages = options->shared_pages;
    config.without = options->without;
    config.headroom = options->headroom;
    config.recover_ms = options->recover_ms;
    config.close_ms = or_else(options->close_ms, config.close_ms);
    config.poll = options->poll;
    config.multicast = options->multicast;
    rig->queues = config.queues;
    rig->memory = aligned_alloc(16, (xenpv_net_size(&config) + 15) & ~(size_t)15);
    assert_non_null(rig->memory);
    memset(rig->memory, 0xa5, xenpv_net_size(&config)); /* what is not set shows */
    assert_int_equal(xenpv_net_init(rig->memory, &config, &rig->net), XENPV_OK);
    rig->q = xenpv_net_queue(rig->net, 0);
}

void net_rig_up(struct net_rig *rig, const struct net_rig_options *options)
{
    net_rig_up_locked(rig, options, NULL, NULL);
}

void net_rig_up_locked(struct net_rig *rig, const struct net_rig_options *options,
                       void (*lock)(void *), void (*unlock)(void *))
{
    struct xenpv_mock_config config = {
        .size = sizeof(config), .limits = options->limits, .log = no_misuse};

    *rig = (struct net_rig){0};
    rig->allocator = (struct xenpv_allocator){rig, counted_alloc, counted_free};
    config.allocator = rig->allocator;
    config.lock = lock;
    config.unlock = unlock;
    assert_int_equal(xenpv_mock_create(&config, &rig->mock), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(rig->mock, 1), XENPV_OK);
    assert_int_equal(xenpv_mock_port(rig->mock, 1, &rig->front_port), XENPV_OK);
    net_rig_make(rig, options->backend);
    if (options->untrusted)
        net_rig_set(rig, NET_RIG_FRONTEND, "trusted", "0");
    make_frontend(rig, options);
}

static void assert_held(struct net_rig *rig, uint16_t domid, uint32_t grants)
{
    struct xenpv_mock_ledger ledger, expected = {.grants = grants};

    assert_int_equal(xenpv_mock_ledger(rig->mock, domid, &ledger), XENPV_OK);
    assert_memory_equal(&ledger, &expected, sizeof(ledger));
}

static void take_down(struct net_rig *rig, uint32_t abandoned)
{
    assert_held(rig, rig->backend, 0);
    assert_held(rig, 1, abandoned);
    xenpv_mock_destroy(rig->mock);
    assert_int_equal(rig->allocated, 0);
    free(rig->memory);
}

void net_rig_down(struct net_rig *rig)
{
    take_down(rig, 0);
}

void net_rig_down_with_abandoned(struct net_rig *rig)
{
    take_down(rig, xenpv_net_abandoned(rig->net));
}

/* ---- time ------------------------------------------------------------------------------------ */

void net_rig_step(struct net_rig *rig)
{
    xenpv_net_step(rig->net, xenpv_mock_now(rig->mock));
    if (rig->other)
        rig->other(rig, rig->other_ctx);
}

void net_rig_rest(struct net_rig *rig)
{
    for (int i = 0; i < 10; i++)
        net_rig_step(rig);
}

static void poll_all(struct net_rig *rig)
{
    struct xenpv_completion done[8];

    for (uint32_t i = 0; i < rig->queues; i++) {
        while (xenpv_netq_poll(xenpv_net_queue(rig->net, i), done, 8) > 0)
            ;
    }
}

void net_rig_until(struct net_rig *rig, enum xenpv_net_state state)
{
    for (int i = 0; i < 20000; i++) {
        net_rig_step(rig);
        if (xenpv_net_state(rig->net) == state)
            return;
        if (xenpv_net_state(rig->net) >= XENPV_NET_RECOVERING)
            poll_all(rig);
        if (xenpv_net_deadline(rig->net) > xenpv_mock_now(rig->mock))
            xenpv_mock_advance(rig->mock, 1);
    }
    fail_msg("state %d is not reached: it is %d, error %d", state, xenpv_net_state(rig->net),
             xenpv_net_detail(rig->net)->error);
}

void net_rig_connect(struct net_rig *rig)
{
    assert_int_equal(xenpv_net_connect(rig->net, xenpv_mock_now(rig->mock)), XENPV_OK);
    net_rig_until(rig, XENPV_NET_CONNECTED);
}

void net_rig_close(struct net_rig *rig)
{
    xenpv_net_close(rig->net, xenpv_mock_now(rig->mock));
    net_rig_until(rig, XENPV_NET_CLOSED);
}

/* ---- frames ---------------------------------------------------------------------------------- */

int net_rig_send(struct net_rig *rig, const void *bytes, size_t length, void *user)
{
    union {
        const void *from;
        void *base;
    } memory = {bytes};
    struct xenpv_iov iov = {memory.base, length};
    struct xenpv_net_packet packet = {.iov = &iov, .count = 1};
    int error = xenpv_netq_send(rig->q, &packet, user);

    xenpv_netq_submit(rig->q);
    return error;
}

int net_rig_wait(struct net_rig *rig, void **user)
{
    struct xenpv_completion done;

    for (int i = 0; i < 1000; i++) {
        int count = xenpv_netq_poll(rig->q, &done, 1);

        if (count == 1) {
            if (user)
                *user = done.user;
            return done.status;
        }
        assert_int_equal(count, 0);
        net_rig_step(rig);
    }
    fail_msg("a packet does not end");
    return -1;
}

uint32_t net_rig_receive(struct net_rig *rig, uint8_t *to, struct xenpv_net_frame *frame)
{
    uint32_t at = 0;

    for (int i = 0; i < 1000; i++) {
        int count = xenpv_netq_receive(rig->q, frame, 1);

        if (count == 1) {
            for (uint32_t k = 0; k < frame->count; k++) {
                memcpy(to + at, frame->fragment[k].base, frame->fragment[k].length);
                at += (uint32_t)frame->fragment[k].length;
            }
            assert_int_equal(at, frame->length);
            xenpv_netq_return(rig->q, frame);
            return at;
        }
        assert_int_equal(count, 0);
        net_rig_step(rig);
    }
    fail_msg("no frame arrives");
    return 0;
}

/* ---- the store ------------------------------------------------------------------------------- */

struct xenpv_net_info net_rig_info(const struct net_rig *rig)
{
    struct xenpv_net_info info;

    xenpv_net_info(rig->net, &info);
    return info;
}

void net_rig_set(struct net_rig *rig, const char *dir, const char *key, const char *value)
{
    char node[256];

    snprintf(node, sizeof(node), "%s/%s", dir, key);
    assert_int_equal(xenpv_mock_write(rig->mock, node, value), XENPV_OK);
}

int net_rig_get(struct net_rig *rig, const char *dir, const char *key)
{
    char node[256], value[32];

    snprintf(node, sizeof(node), "%s/%s", dir, key);
    if (xenpv_mock_read(rig->mock, node, value, sizeof(value)))
        return -1;
    return atoi(value);
}

void net_rig_fill(uint8_t *bytes, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}
