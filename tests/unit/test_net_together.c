/* SPDX-License-Identifier: MIT */
/* Our network frontend and our network backend, end to end over a loopback loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <xenpv/flow.h>
#include <xenpv/harness/netback.h>

#include "net_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct net_rig rig;
static struct xenpv_link loop;
static struct xenpv_netback *back;
static struct xenpv_netback_config config;
static uint8_t bytes[70000], found[70000];

static void step_back(struct net_rig *r, void *ctx)
{
    (void)ctx;
    xenpv_netback_step(back, xenpv_mock_now(r->mock));
}

static void start_back(void)
{
    config.port = &rig.back_port;
    config.path = rig.backend_path;
    assert_int_equal(xenpv_netback_create(&config, &back), 0);
    assert_int_equal(xenpv_netback_start(back, xenpv_mock_now(rig.mock)), 0);
    rig.other = step_back;
}

static void up(const struct net_rig_options *options, uint32_t without, uint32_t shuffle)
{
    net_rig_up(&rig, options);
    assert_int_equal(xenpv_link_loopback(&rig.allocator, 1 << 20, &loop), 0);
    xenpv_netback_config_init(&config, &rig.back_port, rig.backend_path, &loop, &rig.allocator);
    config.without = without;
    config.shuffle = shuffle;
    config.defer = shuffle % 3;
    start_back();
    net_rig_connect(&rig);
    net_rig_fill(bytes, sizeof(bytes), 7);
    memset(bytes, 2, 12); /* no multicast */
    bytes[12] = 0x12;     /* neither IPv4 nor IPv6 */
    bytes[13] = 0x34;
}

static void down(void)
{
    net_rig_close(&rig);
    xenpv_netback_destroy(back);
    loop.close(loop.ctx);
    net_rig_down(&rig);
}

/* There and back. */
static void round_trip(const uint8_t *from, uint32_t length)
{
    uint32_t size = length < 60 ? 60 : length;
    struct xenpv_net_frame frame;

    assert_int_equal(net_rig_send(&rig, from, length, &rig), 0);
    assert_int_equal(net_rig_receive(&rig, found, &frame), size);
    assert_memory_equal(found, bytes, length);
    assert_int_equal(net_rig_wait(&rig, NULL), 0);
}

/* A5, O12: frames of every MTU, of each size around each page boundary; copied and by reference. */
static void test_seed_A5_O12_frames(void **state)
{
    static const uint32_t mtus[] = {68, 1500, 8900, 9000, 65517};
    static const uint32_t shuffles[] = {0, 1, 5};

    (void)state;
    for (size_t s = 0; s < COUNT(shuffles); s++) {
        up(&(struct net_rig_options){.shared_pages = 20}, s == 2 ? XENPV_NET_SPLIT : 0,
           shuffles[s]);
        for (size_t m = 0; m < COUNT(mtus); m++) {
            for (uint32_t length = 14; length <= mtus[m] + 18; length++) {
                uint32_t in_page = length % 4096, at = (length * 37) % 4096;
                uint8_t *shared = xenpv_netq_shared(rig.q);

                if (in_page > 20 && in_page < 4076 && length + 4 < mtus[m])
                    continue;
                round_trip(bytes, length);
                memcpy(shared + at, bytes, length);
                round_trip(shared + at, length);
            }
        }
        down();
    }
}

/* Every offset in a page at which a frame by reference may begin. */
static void test_every_offset(void **state)
{
    (void)state;
    up(&(struct net_rig_options){.shared_pages = 4}, 0, 0);
    for (uint32_t at = 0; at < 4096; at++) {
        uint8_t *shared = xenpv_netq_shared(rig.q);

        memcpy(shared + at, bytes, 5000);
        round_trip(shared + at, 5000);
    }
    down();
}

/* An IPv4 TCP frame of a flow. */
static void make_flow(uint8_t flow)
{
    memset(bytes + 14, 0, 64);
    bytes[12] = 8;
    bytes[13] = 0;
    bytes[14] = 0x45;
    bytes[17] = 60;
    bytes[23] = 6;
    bytes[29] = 1;
    bytes[33] = 2;
    bytes[35] = flow;
    bytes[46] = 0x50;
}

static struct xenpv_netctl_reply ask(const struct xenpv_netctl_request *request)
{
    struct xenpv_netctl_reply reply;

    assert_int_equal(xenpv_netctl_send(rig.net, request, xenpv_mock_now(rig.mock)), 0);
    for (int i = 0; i < 20; i++)
        net_rig_step(&rig);
    assert_int_equal(xenpv_netctl_poll(rig.net, &reply, 1), 1);
    return reply;
}

/* O4: flows land on the queues that the mapping says. */
static void test_seed_O4_mapping(void **state)
{
    static uint32_t mapping[128];
    const struct xenpv_netctl_request requests[] = {
        {.type = XENPV_NETIF_CTRL_SET_HASH_ALGORITHM, .number = XENPV_NETIF_ALGORITHM_TOEPLITZ},
        {.type = XENPV_NETIF_CTRL_SET_HASH_FLAGS, .number = XENPV_FLOW_TYPES},
        {.type = XENPV_NETIF_CTRL_SET_HASH_KEY, .data = xenpv_flow_key, .count = XENPV_FLOW_KEY},
        {.type = XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE, .number = 128},
        {.type = XENPV_NETIF_CTRL_SET_HASH_MAPPING, .data = mapping, .count = 128},
    };

    (void)state;
    for (uint32_t i = 0; i < 128; i++)
        mapping[i] = i % 4;
    up(&(struct net_rig_options){.queues = 4}, 0, 0);
    assert_int_equal(
        ask(&(struct xenpv_netctl_request){.type = XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE}).data,
        128);
    for (size_t i = 0; i < COUNT(requests); i++)
        assert_int_equal(ask(&requests[i]).status, 0);
    for (uint8_t flow = 0; flow < 40; flow++) {
        struct xenpv_net_frame frame;
        uint32_t hash;
        uint8_t type;

        make_flow(flow);
        hash = xenpv_flow_hash(bytes, 74, XENPV_FLOW_TYPES, xenpv_flow_key, XENPV_FLOW_KEY, &type);
        assert_int_equal(type, XENPV_NETIF_HASH_IPV4_TCP);
        rig.q = xenpv_net_queue(rig.net, flow % 4);
        assert_int_equal(net_rig_send(&rig, bytes, 74, NULL), 0);
        assert_int_equal(net_rig_wait(&rig, NULL), 0);
        rig.q = xenpv_net_queue(rig.net, mapping[hash % 128]);
        assert_int_equal(net_rig_receive(&rig, found, &frame), 74);
        assert_memory_equal(found, bytes, 74);
        assert_true(frame.offload.hashed);
        assert_int_equal(frame.offload.hash, hash);
    }
    rig.q = xenpv_net_queue(rig.net, 0);
    down();
}

/* Static grants: the backend uses what it keeps, and maps nothing else for it. */
static void test_static_grants(void **state)
{
    struct xenpv_netback_stats stats;
    struct xenpv_net_info info;

    (void)state;
    up(&(struct net_rig_options){.rx_buffers = 100, .tx_buffers = 100, .shared_pages = 10}, 0, 0);
    for (int i = 0; i < 20; i++)
        net_rig_step(&rig);
    xenpv_net_info(rig.net, &info);
    assert_int_equal(info.static_grants, 210);
    for (uint32_t i = 60; i < 20000; i += 777)
        round_trip(bytes, i);
    xenpv_netback_stats(back, &stats);
    assert_int_equal(stats.static_grants, 210);
    assert_int_equal(stats.copied, 0);
    assert_true(stats.kept > 100);
    down();
}

/* Headroom asked for at the start, and changed later. */
static void test_headroom(void **state)
{
    struct xenpv_net_frame frame;
    struct xenpv_net_info info;

    (void)state;
    up(&(struct net_rig_options){.headroom = 128}, 0, 0);
    for (uint32_t headroom = 128; headroom <= 512; headroom *= 2) {
        assert_int_equal(xenpv_net_set_headroom(rig.net, headroom), 0);
        for (int i = 0; i < 20; i++)
            net_rig_step(&rig);
        xenpv_net_info(rig.net, &info);
        assert_int_equal(info.headroom, headroom);
        for (uint32_t length = 60; length < 12000; length += 501) {
            assert_int_equal(net_rig_send(&rig, bytes, length, NULL), 0);
            assert_int_equal(net_rig_receive(&rig, found, &frame), length);
            assert_memory_equal(found, bytes, length);
            assert_int_equal(frame.headroom, headroom);
            assert_int_equal(net_rig_wait(&rig, NULL), 0);
        }
    }
    down();
}

/* O7, O8: the backend dies and returns, the guest is suspended; frames go on. */
static void test_seed_O7_O8_returns(void **state)
{
    (void)state;
    up(&(struct net_rig_options){.recover_ms = 30000}, 0, 0);
    for (int i = 0; i < 20; i++) {
        round_trip(bytes, 3000);
        for (int k = 0; k < i; k++)
            assert_int_equal(net_rig_send(&rig, bytes, 200, NULL), 0);
        if (i % 2) {
            xenpv_netback_destroy(back);
            net_rig_set(&rig, rig.backend_path, "state", "1");
            loop.close(loop.ctx);
            assert_int_equal(xenpv_link_loopback(&rig.allocator, 1 << 20, &loop), 0);
        } else {
            xenpv_netback_destroy(back);
            loop.close(loop.ctx);
            assert_int_equal(xenpv_link_loopback(&rig.allocator, 1 << 20, &loop), 0);
            assert_int_equal(xenpv_mock_suspend(rig.mock, 1), 0);
            net_rig_remove(&rig);
            net_rig_make(&rig, 0);
        }
        start_back();
        net_rig_until(&rig, XENPV_NET_RECOVERING);
        net_rig_until(&rig, XENPV_NET_CONNECTED);
        assert_int_equal(xenpv_netq_connections(rig.q), (uint32_t)i + 2);
        while (xenpv_netq_pending(rig.q))
            assert_int_equal(net_rig_wait(&rig, NULL), XENPV_EPEER);
    }
    down();
}

/* Another backend takes the first one's place, and the frontend is not told: the rings go on where
 * they stood, over their end, and what had been sent arrives. */
static void test_replaced(void **state)
{
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){0}, 0, 0);
    for (uint32_t i = 0; i < 100; i++) {
        round_trip(bytes, 20000);
        for (uint32_t k = 0; k < 5; k++)
            assert_int_equal(net_rig_send(&rig, bytes, 100 + k, NULL), 0);
        xenpv_netback_destroy(back);
        start_back();
        for (int k = 0; k < 20; k++)
            step_back(&rig, NULL);
        assert_int_equal(net_rig_get(&rig, rig.backend_path, "state"), 4);
        for (uint32_t k = 0; k < 5; k++) {
            assert_int_equal(net_rig_wait(&rig, NULL), 0);
            assert_int_equal(net_rig_receive(&rig, found, &frame), 100 + k);
        }
        assert_int_equal(xenpv_netq_connections(rig.q), 1);
    }
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A5_O12_frames), cmocka_unit_test(test_every_offset),
        cmocka_unit_test(test_seed_O4_mapping),    cmocka_unit_test(test_static_grants),
        cmocka_unit_test(test_headroom),           cmocka_unit_test(test_seed_O7_O8_returns),
        cmocka_unit_test(test_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
