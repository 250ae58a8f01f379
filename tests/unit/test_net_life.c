/* SPDX-License-Identifier: MIT */
/* The life of a vif: attach and detach, keys that change, notifications, announcements. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net_peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct net_rig rig;
static struct peer peer;
static uint8_t bytes[70000], found[70000];

static void up(const struct net_rig_options *options, const struct peer_key *offer)
{
    peer_rig_up(&peer, &rig, options, offer);
    net_rig_fill(bytes, sizeof(bytes), 1);
}

/* ---- attach and detach ----------------------------------------------------------------------- */

/* A10: 1,000 times, with frames on their way; nothing leaks. */
static void test_seed_A10_attach_and_detach(void **state)
{
    struct xenpv_mock_ledger ledger, nothing = {0};

    (void)state;
    net_rig_up(&rig, &(struct net_rig_options){.queues = 2, .tx_buffers = 32, .rx_buffers = 32});
    peer_up(&peer, &rig, peer_linux);
    net_rig_fill(bytes, sizeof(bytes), 1);
    for (uint32_t i = 0; i < 1000; i++) {
        net_rig_connect(&rig);
        if (i % 3 == 0)
            peer_exchange(&peer);
        assert_int_equal(net_rig_send(&rig, bytes, 1000, NULL), 0);
        peer_deliver(&peer, 1, bytes, 700, &(struct peer_frame){0});
        net_rig_close(&rig);
        assert_int_equal(xenpv_mock_ledger(rig.mock, 1, &ledger), 0);
        assert_memory_equal(&ledger, &nothing, sizeof(ledger));
        assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "tx-ring-ref"), -1);
        assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "queue-0/tx-ring-ref"), -1);
    }
    assert_int_equal(net_rig_info(&rig).connections, 1000);
    peer_down(&peer);
    net_rig_down(&rig);
}

/* Keys of somebody before us that would change the meaning of ours are removed. */
static void test_keys_of_an_owner_before(void **state)
{
    (void)state;
    net_rig_up(&rig, &(struct net_rig_options){.without = XENPV_NET_SPLIT | XENPV_NET_CONTROL |
                                                          XENPV_NET_GSO4 | XENPV_NET_SG});
    net_rig_set(&rig, NET_RIG_FRONTEND, "event-channel-tx", "5");
    net_rig_set(&rig, NET_RIG_FRONTEND, "multi-queue-num-queues", "4");
    net_rig_set(&rig, NET_RIG_FRONTEND, "queue-0/tx-ring-ref", "4");
    net_rig_set(&rig, NET_RIG_FRONTEND, "feature-sg", "1");
    net_rig_set(&rig, NET_RIG_FRONTEND, "feature-gso-tcpv4-prefix", "1");
    net_rig_set(&rig, NET_RIG_FRONTEND, "ctrl-ring-ref", "77");
    peer_up(&peer, &rig, peer_linux);
    net_rig_connect(&rig);
    assert_int_equal(peer.queues, 1);
    assert_false(peer.split);
    assert_false(peer.has_ctrl);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "feature-sg"), -1);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "feature-gso-tcpv4"), -1);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "feature-gso-tcpv4-prefix"), -1);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "feature-rx-notify"), 1);
    peer_rig_down(&peer);
}

/* C1: each feature has a switch; what is told to the backend follows it. */
static const struct {
    uint32_t without;
    const char *key; /* the frontend's */
    int on, off;
} switches[] = {
    {XENPV_NET_SG, "feature-sg", 1, -1},
    {XENPV_NET_SG, "feature-gso-tcpv4", 1, -1},
    {XENPV_NET_CSUM4, "feature-no-csum-offload", -1, 1},
    {XENPV_NET_CSUM4, "feature-gso-tcpv4", 1, -1},
    {XENPV_NET_CSUM6, "feature-ipv6-csum-offload", 1, -1},
    {XENPV_NET_CSUM6, "feature-gso-tcpv6", 1, -1},
    {XENPV_NET_GSO4, "feature-gso-tcpv4", 1, -1},
    {XENPV_NET_GSO6, "feature-gso-tcpv6", 1, -1},
    {XENPV_NET_RX_NOTIFY, "feature-rx-notify", 1, -1},
    {XENPV_NET_SPLIT, "queue-1/event-channel", -1, 0},
    {XENPV_NET_MULTI_QUEUE, "multi-queue-num-queues", 2, -1},
    {XENPV_NET_CONTROL, "event-channel-ctrl", 0, -1},
    {XENPV_NET_MULTICAST, "request-multicast-control", 1, -1},
    {XENPV_NET_HEADROOM, "xdp-headroom", 100, -1},
};

static void test_seed_C1_switches(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(switches); i++) {
        for (int off = 0; off < 2; off++) {
            int expected = off ? switches[i].off : switches[i].on, value;

            print_message("  %s\n", switches[i].key);
            up(&(struct net_rig_options){.queues = 2,
                                         .headroom = 100,
                                         .multicast = true,
                                         .without = off ? switches[i].without : 0},
               peer_linux);
            value = net_rig_get(&rig, NET_RIG_FRONTEND, switches[i].key);
            if (expected == 0) /* a port's number */
                assert_true(value > 0);
            else
                assert_int_equal(value, expected);
            assert_int_equal((net_rig_info(&rig).features & switches[i].without) == 0, off);
            if (!off || switches[i].without != XENPV_NET_SG)
                peer_exchange(&peer);
            peer_rig_down(&peer);
        }
    }
}

/* R1: the oldest backend. */
static void test_oldest_backend(void **state)
{
    (void)state;
    up(&(struct net_rig_options){.queues = 4, .headroom = 64, .multicast = true}, peer_oldest);
    assert_int_equal(net_rig_info(&rig).features, XENPV_NET_CSUM4 | XENPV_NET_RX_NOTIFY);
    assert_int_equal(net_rig_info(&rig).queues, 1);
    assert_int_equal(net_rig_info(&rig).headroom, 0);
    assert_false(net_rig_info(&rig).multicast);
    assert_int_equal(net_rig_info(&rig).max_frame, 4096);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "xdp-headroom"), -1);
    assert_int_equal(net_rig_send(&rig, bytes, 4096, NULL), 0);
    assert_int_equal(net_rig_wait(&rig, NULL), 0);
    peer_rig_down(&peer);
}

/* O4: as many queues as there are, each with frames of its own. */
static void test_seed_O4_queues(void **state)
{
    static const struct peer_key many[] = {{"feature-rx-copy", "1"},
                                           {"feature-split-event-channels", "1"},
                                           {"multi-queue-max-queues", "64"},
                                           {NULL, NULL}};
    struct xenpv_net_frame frame;

    (void)state;
    for (uint32_t queues = 1; queues <= 64; queues += 21) {
        up(&(struct net_rig_options){.queues = queues, .tx_buffers = 20, .rx_buffers = 20}, many);
        assert_int_equal(net_rig_info(&rig).queues, queues);
        assert_null(xenpv_net_queue(rig.net, queues));
        for (uint32_t i = 0; i < queues; i++) {
            rig.q = xenpv_net_queue(rig.net, i);
            bytes[14] = (uint8_t)i;
            assert_int_equal(net_rig_send(&rig, bytes, 100, NULL), 0);
            assert_int_equal(net_rig_wait(&rig, NULL), 0);
            assert_int_equal(peer.last.bytes[14], i);
            assert_true(peer_deliver(&peer, i, bytes, 100, &(struct peer_frame){0}));
            assert_int_equal(net_rig_receive(&rig, found, &frame), 100);
            assert_int_equal(found[14], i);
        }
        rig.q = xenpv_net_queue(rig.net, 0);
        peer_rig_down(&peer);
    }
}

/* ---- keys that change ------------------------------------------------------------------------ */

static void test_keys_are_followed(void **state)
{
    static const struct {
        bool own;
        const char *key, *value;
    } changes[] = {
        {false, "carrier", "0"},   {false, "carrier", "1"},
        {true, "mtu", "9000"},     {true, "mtu", "junk"},
        {true, "disconnect", "1"}, {true, "disconnect", "0"},
        {true, "speed", "10g"},    {true, "speed", "100M"},
        {true, "speed", "x"},      {true, "mac", "0a:00:00:00:00:01"},
    };
    static const struct {
        bool carrier;
        uint32_t mtu;
        uint64_t speed;
    } expected[COUNT(changes)] = {
        {false, 1500, 0},
        {true, 1500, 0},
        {true, 9000, 0},
        {true, 1500, 0},
        {false, 1500, 0},
        {true, 1500, 0},
        {true, 1500, UINT64_C(10000000000)},
        {true, 1500, 100000000},
        {true, 1500, 0},
        {true, 1500, 0},
    };

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    assert_int_equal(net_rig_info(&rig).mac[5], 3);
    for (size_t i = 0; i < COUNT(changes); i++) {
        net_rig_set(&rig, changes[i].own ? NET_RIG_FRONTEND : rig.backend_path, changes[i].key,
                    changes[i].value);
        net_rig_rest(&rig);
        assert_int_equal(net_rig_info(&rig).carrier, expected[i].carrier);
        assert_int_equal(net_rig_info(&rig).mtu, expected[i].mtu);
        assert_int_equal(net_rig_info(&rig).speed, expected[i].speed);
        peer_exchange(&peer);
    }
    assert_int_equal(net_rig_info(&rig).mac[5], 1);
    assert_int_equal(net_rig_info(&rig).connections, 1);
    /* What changed nothing wrote nothing: the device is at rest. */
    assert_true(xenpv_net_deadline(rig.net) > xenpv_mock_now(rig.mock));
    peer_rig_down(&peer);
}

static void test_multicast(void **state)
{
    const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 5};
    struct xenpv_completion done;

    (void)state;
    up(&(struct net_rig_options){.multicast = true}, peer_linux);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "request-multicast-control"), 1);
    assert_true(net_rig_info(&rig).multicast);
    for (int add = 1; add >= 0; add--) {
        assert_int_equal(xenpv_netq_multicast(rig.q, group, add, &done), 0);
        xenpv_netq_submit(rig.q);
        assert_int_equal(net_rig_wait(&rig, NULL), 0);
        assert_int_equal(peer.last.slots, 1);
        assert_int_equal(peer.last.length, 0);
        assert_int_equal(peer.last.extra[0].type, add ? 2 : 3);
        assert_memory_equal(peer.last.extra[0].u.mcast.addr, group, 6);
    }
    assert_int_equal(xenpv_net_set_multicast(rig.net, false), 0);
    net_rig_rest(&rig);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "request-multicast-control"), 0);
    assert_false(net_rig_info(&rig).multicast);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "state"), 4);
    peer_exchange(&peer);
    peer_rig_down(&peer);
    up(&(struct net_rig_options){.without = XENPV_NET_DYNAMIC}, peer_linux);
    assert_int_equal(xenpv_net_set_multicast(rig.net, true), XENPV_ENOTSUP);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "request-multicast-control"), -1);
    net_rig_close(&rig);
    net_rig_connect(&rig);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "request-multicast-control"), 1);
    peer_rig_down(&peer);
    up(&(struct net_rig_options){.without = XENPV_NET_MULTICAST}, peer_linux);
    assert_int_equal(xenpv_netq_multicast(rig.q, group, true, NULL), XENPV_ENOTSUP);
    peer_rig_down(&peer);
}

/* Own 7, its 8, own 4; a backend that does not answer is not waited for. */
static void test_headroom_changes(void **state)
{
    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        up(&(struct net_rig_options){.headroom = 64}, peer_linux);
        peer.silent = silent;
        assert_int_equal(net_rig_info(&rig).headroom, 64);
        assert_int_equal(xenpv_net_set_headroom(rig.net, 40000), XENPV_EINVAL);
        assert_int_equal(xenpv_net_set_headroom(rig.net, 256), 0);
        assert_int_equal(xenpv_net_set_headroom(rig.net, 128), XENPV_EBUSY);
        net_rig_step(&rig);
        assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_CONNECTED);
        net_rig_rest(&rig);
        assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "xdp-headroom"), 256);
        assert_int_equal(peer.headroom, silent ? 64 : 256);
        peer_exchange(&peer);
        if (silent) {
            assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "state"), 7);
            xenpv_mock_advance(rig.mock, 5000);
            net_rig_rest(&rig);
        }
        assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "state"), 4);
        assert_int_equal(net_rig_info(&rig).headroom, silent ? 64 : 256);
        /* Keys are followed also while the backend stays at 8. */
        net_rig_set(&rig, NET_RIG_FRONTEND, "mtu", "8900");
        net_rig_rest(&rig);
        assert_int_equal(net_rig_info(&rig).mtu, 8900);
        peer_exchange(&peer);
        assert_int_equal(net_rig_info(&rig).connections, 1);
        peer_rig_down(&peer);
    }
    up(&(struct net_rig_options){.without = XENPV_NET_HEADROOM}, peer_linux);
    assert_int_equal(xenpv_net_set_headroom(rig.net, 256), XENPV_ENOTSUP);
    peer_rig_down(&peer);
}

/* What is asked for at any time is told to the backend, now or when it can be, and only what it was
 * told is told of it. */
static void test_asked_at_any_time(void **state)
{
    (void)state;
    /* Only for connections to come: this one does not filter, whatever else changes. */
    up(&(struct net_rig_options){.without = XENPV_NET_DYNAMIC}, peer_linux);
    assert_int_equal(xenpv_net_set_multicast(rig.net, true), XENPV_ENOTSUP);
    net_rig_set(&rig, rig.backend_path, "carrier", "0");
    net_rig_rest(&rig);
    assert_false(net_rig_info(&rig).carrier);
    assert_false(net_rig_info(&rig).multicast);
    peer_rig_down(&peer);
    /* While a headroom is being agreed upon: as soon as that is over. */
    up(&(struct net_rig_options){0}, peer_linux);
    peer.silent = true;
    assert_int_equal(xenpv_net_set_headroom(rig.net, 64), 0);
    net_rig_rest(&rig);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "state"), 7);
    assert_int_equal(xenpv_net_set_multicast(rig.net, true), 0);
    net_rig_rest(&rig);
    assert_false(net_rig_info(&rig).multicast);
    peer.silent = false;
    net_rig_rest(&rig);
    net_rig_rest(&rig);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "state"), 4);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "request-multicast-control"), 1);
    assert_true(net_rig_info(&rig).multicast);
    assert_int_equal(net_rig_info(&rig).headroom, 64);
    peer_rig_down(&peer);
    /* At each step of connecting. */
    for (int at = 0; at < 12; at++) {
        net_rig_up(&rig, &(struct net_rig_options){.headroom = 32});
        peer_up(&peer, &rig, peer_linux);
        assert_int_equal(xenpv_net_connect(rig.net, 0), 0);
        for (int i = 0; i < at; i++)
            net_rig_step(&rig);
        assert_int_equal(xenpv_net_set_headroom(rig.net, 200), 0);
        assert_int_equal(xenpv_net_set_multicast(rig.net, true), 0);
        net_rig_until(&rig, XENPV_NET_CONNECTED);
        net_rig_rest(&rig);
        net_rig_rest(&rig);
        assert_int_equal(peer.headroom, 200);
        assert_int_equal(net_rig_info(&rig).headroom, 200);
        assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "request-multicast-control"), 1);
        assert_true(net_rig_info(&rig).multicast);
        assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "state"), 4);
        assert_int_equal(net_rig_info(&rig).connections, 1);
        peer_rig_down(&peer);
    }
}

/* A backend that stays at 8 is given the time to see each change; in a store without transactions
 * the keys stand before the state, too. */
static void change_headroom_again(bool transactions)
{
    net_rig_up(&rig, &(struct net_rig_options){0});
    if (!transactions)
        rig.front_port.caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
    peer_up(&peer, &rig, peer_linux);
    net_rig_connect(&rig);
    for (uint32_t bytes_before = 1; bytes_before < 2000; bytes_before *= 3) {
        assert_int_equal(xenpv_net_set_headroom(rig.net, bytes_before), 0);
        for (int i = 0; i < 2000 && net_rig_info(&rig).headroom != bytes_before; i++) {
            net_rig_step(&rig);
            xenpv_mock_advance(rig.mock, 1);
        }
        assert_int_equal(net_rig_info(&rig).headroom, bytes_before);
        assert_int_equal(peer.headroom, bytes_before);
        net_rig_rest(&rig);
        assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "state"), 4);
        assert_int_equal(net_rig_get(&rig, rig.backend_path, "state"), 8);
        peer_exchange(&peer);
    }
    peer_rig_down(&peer);
}

static void test_headroom_changes_again(void **state)
{
    (void)state;
    change_headroom_again(true);
    change_headroom_again(false);
}

static void pass(uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        net_rig_step(&rig);
        xenpv_mock_advance(rig.mock, 1);
    }
}

/* The same while the store has not answered the write of the one before. */
static void test_asked_while_written(void **state)
{
    (void)state;
    for (uint32_t gap = 0; gap < 10; gap++) {
        for (int before = 0; before < 2; before++) {
            int error;

            up(&(struct net_rig_options){0}, peer_linux);
            pass(5);
            assert_int_equal(xenpv_mock_set_store_delay(rig.mock, 1, 3), 0);
            if (before)
                assert_int_equal(xenpv_net_set_multicast(rig.net, true), 0);
            else
                assert_int_equal(xenpv_net_set_headroom(rig.net, 64), 0);
            pass(gap);
            assert_int_equal(xenpv_net_set_multicast(rig.net, !before), 0);
            for (int i = 0; (error = xenpv_net_set_headroom(rig.net, 128)) == XENPV_EBUSY; i++) {
                assert_true(i < 2000);
                pass(1);
            }
            assert_int_equal(error, 0);
            pass(1100);
            assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "xdp-headroom"), 128);
            assert_int_equal(peer.headroom, 128);
            assert_int_equal(net_rig_info(&rig).headroom, 128);
            assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "request-multicast-control"),
                             !before);
            assert_int_equal(net_rig_info(&rig).multicast, !before);
            assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "state"), 4);
            assert_int_equal(xenpv_mock_set_store_delay(rig.mock, 1, 0), 0);
            peer_rig_down(&peer);
        }
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Nobody is notified who did not ask for it. */
static void test_notifications(void **state)
{
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    peer.idle = true;
    net_rig_rest(&rig);
    peer.events[0] = peer.events[1] = 0;
    /* The backend asks for none: its event index is behind. */
    for (int i = 0; i < 10; i++)
        assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
    peer.idle = false;
    net_rig_step(&rig);
    assert_int_equal(peer.events[0], 1); /* armed once, when it attached */
    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
    net_rig_step(&rig);
    assert_int_equal(peer.events[0], 2);
    while (net_rig_wait(&rig, NULL) == 0 && xenpv_netq_pending(rig.q))
        ;
    /* No buffers were taken: none were given, and nobody was told. */
    for (int i = 0; i < 10; i++)
        assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 0);
    net_rig_step(&rig);
    assert_int_equal(peer.events[1], 0);
    peer_rig_down(&peer);
}

/* ---- announcements --------------------------------------------------------------------------- */

static void test_seed_O18_announcements(void **state)
{
    static const uint8_t mac[6] = {0, 0x16, 0x3e, 1, 2, 3}, ip4[4] = {10, 77, 0, 2};
    static const uint8_t ip6[16] = {0xfd, 0x77, [15] = 2};
    static const uint8_t arp[42] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x16, 0x3e, 1, 2, 3, 8, 6, 0, 1, 8, 0,  6,  4, 0,
        1,    0,    0x16, 0x3e, 1,    2,    3, 10,   77,   0, 2, 0, 0, 0, 0, 0, 0, 10, 77, 0, 2};
    uint8_t frame[XENPV_NET_ANNOUNCE_MAX];
    uint32_t sum = 58 + 32;

    (void)state;
    memset(frame, 0xa5, sizeof(frame));
    assert_int_equal(xenpv_net_announce_ipv4(frame, mac, ip4), 60);
    assert_memory_equal(frame, arp, sizeof(arp));
    for (uint32_t i = 42; i < 60; i++)
        assert_int_equal(frame[i], 0);
    assert_int_equal(xenpv_net_announce_ipv6(frame, mac, ip6), 86);
    assert_memory_equal(frame + 6, mac, 6);
    assert_memory_equal(frame + 22, ip6, 16);
    assert_int_equal(frame[54], 136);
    assert_int_equal(frame[58], 0x20);
    assert_memory_equal(frame + 62, ip6, 16);
    assert_int_equal(frame[78], 2);
    assert_int_equal(frame[79], 1);
    assert_memory_equal(frame + 80, mac, 6);
    /* A right checksum makes the sum over all all ones. */
    for (uint32_t i = 22; i < 86; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A10_attach_and_detach),
        cmocka_unit_test(test_keys_of_an_owner_before),
        cmocka_unit_test(test_seed_C1_switches),
        cmocka_unit_test(test_oldest_backend),
        cmocka_unit_test(test_seed_O4_queues),
        cmocka_unit_test(test_keys_are_followed),
        cmocka_unit_test(test_multicast),
        cmocka_unit_test(test_headroom_changes),
        cmocka_unit_test(test_asked_at_any_time),
        cmocka_unit_test(test_headroom_changes_again),
        cmocka_unit_test(test_asked_while_written),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_seed_O18_announcements),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
