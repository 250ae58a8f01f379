/* SPDX-License-Identifier: MIT */
/* Events, poll mode, calls that fail, ends at every step, and the contract of net.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "faulty_port.h"
#include "net_peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BOTH         (XENPV_NET_TX | XENPV_NET_RX)

static struct net_rig rig;
static struct peer peer;
static struct faulty_port faulty;
static struct peer_packet packet;
static uint8_t bytes[20000];

static void up(const struct net_rig_options *options)
{
    net_rig_up(&rig, options);
    faulty_wrap(&faulty, &rig.front_port);
    peer_up(&peer, &rig, peer_linux);
    net_rig_fill(bytes, sizeof(bytes), 1);
}

static void down(void)
{
    peer_down(&peer);
    net_rig_down(&rig);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void answer_one(void)
{
    assert_true(peer_take(&peer, 0, &packet));
    peer_answer(&peer, 0, &packet, 0);
}

/* An event comes when it was asked for, and only then: of each half for itself. */
static void test_arm(void **state)
{
    struct xenpv_net_frame frame;
    struct xenpv_completion done[16];

    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        up(&(struct net_rig_options){.without = shared ? XENPV_NET_SPLIT : 0});
        rig.front_port.caps |= XENPV_CAP_WAIT;
        net_rig_connect(&rig);
        peer.idle = true;
        peer.notified[0] = 0; /* of the control ring */
        assert_true(xenpv_netq_wait_handle(rig.q, XENPV_NET_RX) != XENPV_NO_HANDLE);
        assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
        assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
        assert_int_equal(peer.notified[1], 1);
        /* Of one channel the event that is taken may have been the other half's: told once. */
        assert_int_equal(xenpv_netq_arm(rig.q, XENPV_NET_TX), shared);
        assert_int_equal(xenpv_netq_arm(rig.q, XENPV_NET_TX), 0);
        assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
        assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
        assert_int_equal(peer.notified[1], 1); /* it is looking already */
        for (int i = 0; i < 2; i++) {
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
            xenpv_netq_return(rig.q, &frame);
        }
        assert_int_equal(xenpv_netq_arm(rig.q, XENPV_NET_RX), 0);
        /* Of ten packets, when about half have ended. */
        for (int i = 0; i < 10; i++)
            assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
        assert_int_equal(xenpv_netq_arm(rig.q, XENPV_NET_TX), 0);
        for (int i = 0; i < 5; i++)
            answer_one();
        assert_int_equal(peer.notified[0], 0);
        answer_one();
        assert_int_equal(peer.notified[0], 1);
        assert_int_equal(xenpv_netq_arm(rig.q, XENPV_NET_TX), 1);
        assert_int_equal(xenpv_netq_poll(rig.q, done, 16), 6);
        assert_int_equal(peer.notified[1], 1);
        /* What was not submitted nobody will answer. */
        assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
        assert_int_equal(xenpv_netq_send(rig.q,
                                         &(struct xenpv_net_packet){
                                             .iov = &(struct xenpv_iov){bytes, 60}, .count = 1},
                                         NULL),
                         0);
        assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
        xenpv_netq_submit(rig.q);
        assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
        while (peer_take(&peer, 0, &packet))
            peer_answer(&peer, 0, &packet, 0);
        xenpv_net_close(rig.net, xenpv_mock_now(rig.mock));
        net_rig_step(&rig);
        assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
        net_rig_until(&rig, XENPV_NET_CLOSED);
        assert_int_equal(xenpv_netq_wait_handle(rig.q, XENPV_NET_TX), XENPV_NO_HANDLE);
        down();
    }
}

/* EV-08: halves armed one after the other: what came in between is not lost with its event, and one
 * half is not woken for ever by what the other leaves lying. */
static void test_EV_08_halves_apart(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        for (uint32_t first = XENPV_NET_TX; first <= XENPV_NET_RX; first++) {
            uint32_t second = BOTH - first;

            up(&(struct net_rig_options){.without = shared ? XENPV_NET_SPLIT : 0});
            rig.front_port.caps |= XENPV_CAP_WAIT;
            net_rig_connect(&rig);
            peer.idle = true;
            assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
            assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
            assert_int_equal(xenpv_netq_arm(rig.q, first), 0);
            if (first == XENPV_NET_TX)
                answer_one();
            else
                assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
            assert_int_equal(xenpv_netq_arm(rig.q, second), shared);
            assert_int_equal(xenpv_netq_arm(rig.q, second), 0);
            assert_int_equal(xenpv_netq_arm(rig.q, first), 1);
            while (peer_take(&peer, 0, &packet))
                peer_answer(&peer, 0, &packet, 0);
            net_rig_close(&rig);
            down();
        }
    }
}

/* While a queue drains it takes no frames: those that arrive are no reason to look again. */
static void test_arm_while_draining(void **state)
{
    struct xenpv_net_frame frame;
    struct xenpv_completion done;

    (void)state;
    up(&(struct net_rig_options){0});
    rig.front_port.caps |= XENPV_CAP_WAIT;
    net_rig_connect(&rig);
    peer.idle = true;
    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
    xenpv_net_close(rig.net, xenpv_mock_now(rig.mock));
    net_rig_step(&rig);
    assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
    assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 0);
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
    assert_int_equal(xenpv_netq_arm(rig.q, XENPV_NET_RX), 0);
    answer_one();
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
    assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 1);
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
    net_rig_until(&rig, XENPV_NET_CLOSED);
    down();
}

static bool only_notify;

static void before(void *ctx, const char *call)
{
    (void)ctx;
    if (only_notify)
        assert_string_equal(call, "notify");
}

/* In poll mode no event is asked for, and the queue's calls touch nothing else of the port. */
static void test_poll_mode(void **state)
{
    (void)state;
    up(&(struct net_rig_options){.poll = true});
    net_rig_connect(&rig);
    peer.idle = true;
    faulty.before = before;
    for (uint32_t i = 0; i < 2000; i++) {
        struct xenpv_net_frame frame;
        struct xenpv_completion done;

        only_notify = true;
        assert_int_equal(net_rig_send(&rig, bytes, 60 + i * 7, NULL), 0);
        only_notify = false;
        answer_one();
        assert_true(peer_deliver(&peer, 0, bytes, 60 + i * 7, &(struct peer_frame){0}));
        only_notify = true;
        assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 1);
        assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
        xenpv_netq_return(rig.q, &frame);
        assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
        only_notify = false;
    }
    assert_int_equal(peer.notified[0] + peer.notified[1], 0);
    net_rig_close(&rig);
    down();
}

/* R2: events are lost: who looks after a while finds everything. */
static void test_seed_R2_lost_events(void **state)
{
    uint64_t sent = 0, ended = 0, received = 0, delivered = 0;

    (void)state;
    up(&(struct net_rig_options){0});
    rig.front_port.caps |= XENPV_CAP_WAIT;
    net_rig_connect(&rig);
    peer.idle = true;
    for (int turn = 0; turn < 500; turn++) {
        struct xenpv_completion done[64];
        struct xenpv_net_frame frames[64];
        int count;

        while (net_rig_send(&rig, bytes, 1500, NULL) == 0)
            sent++;
        xenpv_netq_arm(rig.q, BOTH);
        while (peer_take(&peer, 0, &packet))
            peer_answer(&peer, 0, &packet, 0);
        while (peer_deliver(&peer, 0, bytes, 1500, &(struct peer_frame){0}))
            delivered++;
        for (uint32_t i = 0; i < 2; i++) /* the event is gone before anybody sees it */
            faulty.inner.event->take(faulty.inner.ctx, i + 1);
        while ((count = xenpv_netq_poll(rig.q, done, 64)) > 0)
            ended += (uint64_t)count;
        while ((count = xenpv_netq_receive(rig.q, frames, 64)) > 0) {
            received += (uint64_t)count;
            while (count--)
                xenpv_netq_return(rig.q, &frames[count]);
        }
    }
    assert_int_equal(ended, sent);
    assert_int_equal(received, delivered);
    assert_int_equal(xenpv_netq_connections(rig.q), 1);
    net_rig_close(&rig);
    down();
}

/* ---- calls that fail ------------------------------------------------------------------------- */

static bool over(void)
{
    return xenpv_net_state(rig.net) >= XENPV_NET_CLOSED;
}

/* Steps until the device is connected, or over. */
static void settle(uint32_t ms)
{
    struct xenpv_completion done;

    for (uint32_t i = 0; i < ms && xenpv_net_state(rig.net) != XENPV_NET_CONNECTED && !over();
         i++) {
        net_rig_step(&rig);
        while (xenpv_netq_poll(rig.q, &done, 1) > 0)
            ;
        xenpv_mock_advance(rig.mock, 5);
    }
}

/* RL-12: each call of the port fails once, or from then on; nothing leaks, nothing hangs. */
static void test_RL_12_every_call_fails(void **state)
{
    static const int errors[] = {XENPV_ENOMEM, XENPV_EACCES, XENPV_ESTORE};

    (void)state;
    for (size_t e = 0; e < COUNT(errors); e++) {
        for (int for_good = 0; for_good < 2; for_good++) {
            bool failed = true;

            for (uint64_t at = 1; failed; at++) {
                up(&(struct net_rig_options){
                    .tx_buffers = 18, .rx_buffers = 18, .shared_pages = 1, .close_ms = 200});
                faulty.fail_at = at;
                faulty.for_good = for_good;
                faulty.error = errors[e];
                assert_int_equal(xenpv_net_connect(rig.net, 0), 0);
                settle(20000);
                if (xenpv_net_state(rig.net) == XENPV_NET_CONNECTED && !for_good)
                    peer_exchange(&peer);
                xenpv_net_close(rig.net, xenpv_mock_now(rig.mock));
                for (int i = 0; i < 5000 && !over(); i++) {
                    struct xenpv_completion done;

                    net_rig_step(&rig);
                    xenpv_netq_poll(rig.q, &done, 1);
                    xenpv_mock_advance(rig.mock, 1);
                }
                assert_true(over());
                failed = faulty.failed != NULL;
                faulty.fail_at = 0;
                peer_down(&peer);
                net_rig_down_with_abandoned(&rig);
            }
        }
    }
}

/* ---- ends at every step ---------------------------------------------------------------------- */

static void close_locally(void)
{
    xenpv_net_close(rig.net, xenpv_mock_now(rig.mock));
}

static void peer_closing(void)
{
    net_rig_set(&rig, rig.backend_path, "state", "5");
    peer.state = 5;
}

static void peer_closed(void)
{
    peer_down(&peer);
    net_rig_set(&rig, rig.backend_path, "state", "6");
    peer.rig->other = NULL;
}

static void peer_dies(void)
{
    peer_restart(&peer);
}

static void suspended(void)
{
    peer_down(&peer);
    xenpv_mock_suspend(rig.mock, 1);
    net_rig_remove(&rig);
    net_rig_make(&rig, 0);
    peer_up(&peer, &rig, peer_linux);
}

static void removed(void)
{
    peer_down(&peer);
    net_rig_remove(&rig);
}

static void ring_broken(void)
{
    if (peer.queues) {
        peer.rx[0].ring.prod += 1000;
        peer_show(&peer, &peer.rx[0], 1);
        peer.idle = true;
    }
}

static void (*const ends[])(void) = {close_locally, peer_closing, peer_closed, peer_dies,
                                     suspended,     removed,      ring_broken};

/* RL-05, FE-11: all pairs of ends, at every step of connecting, of work, and of the first of the two. */
static void test_RL_05_ends_at_every_step(void **state)
{
    (void)state;
    for (size_t pair = 0; pair < COUNT(ends) * COUNT(ends); pair++) {
        for (uint32_t step = 0; step < 60; step += 1 + step / 20) {
            struct xenpv_net_frame frame;
            struct xenpv_completion done;
            int held = 0;

            up(&(struct net_rig_options){.tx_buffers = 18,
                                         .rx_buffers = 18,
                                         .recover_ms = step % 2 ? 2000 : 0,
                                         .close_ms = 300});
            xenpv_mock_set_store_delay(rig.mock, 1, 1);
            assert_int_equal(xenpv_net_connect(rig.net, 0), 0);
            for (uint32_t i = 0; i < 20000 && !(over() && i > step + 20); i++) {
                if (i == step)
                    ends[pair % COUNT(ends)]();
                if (i == step + step % 7)
                    ends[pair / COUNT(ends)]();
                if (i == 2000)
                    close_locally();
                net_rig_step(&rig);
                net_rig_send(&rig, bytes, 3000, NULL);
                if (peer.queues && !peer.idle)
                    peer_deliver(&peer, 0, bytes, 500, &(struct peer_frame){0});
                if (!held)
                    held = xenpv_netq_receive(rig.q, &frame, 1) == 1;
                else if (i % 3 == 0) {
                    xenpv_netq_return(rig.q, &frame);
                    held = 0;
                }
                while (xenpv_netq_poll(rig.q, &done, 1) > 0)
                    ;
                xenpv_mock_advance(rig.mock, i > step + 40 ? 5 : 1);
            }
            assert_true(over());
            assert_int_equal(held, 0);
            assert_int_equal(xenpv_netq_pending(rig.q), 0);
            peer_down(&peer);
            net_rig_down_with_abandoned(&rig);
        }
    }
}

/* ---- the contract ---------------------------------------------------------------------------- */

static void test_config(void **state)
{
    struct xenpv_net_config good, bad;
    struct xenpv_net *net;

    (void)state;
    net_rig_up(&rig, &(struct net_rig_options){0});
    xenpv_net_config_init(&good, &rig.front_port, "device/vif/0");
    assert_true(xenpv_net_size(&good) > 0);
    for (int i = 0; i < 12; i++) {
        bad = good;
        switch (i) {
        case 0:
            bad.size--;
            break;
        case 1:
            bad.port = NULL;
            break;
        case 2:
            bad.path = NULL;
            break;
        case 3:
            bad.queues = 0;
            break;
        case 4:
            bad.queues = 65;
            break;
        case 5:
            bad.tx_buffers = 17;
            break;
        case 6:
            bad.tx_buffers = 257;
            break;
        case 7:
            bad.rx_buffers = 17;
            break;
        case 8:
            bad.rx_buffers = 4097;
            break;
        case 9:
            bad.shared_pages = 65537;
            break;
        case 10:
            bad.headroom = 32768;
            break;
        default:
            bad.without = 1u << XENPV_NET_FEATURES;
            break;
        }
        assert_int_equal(xenpv_net_size(&bad), 0);
        assert_int_equal(xenpv_net_init(rig.memory, &bad, &net), XENPV_EINVAL);
    }
    for (uint32_t i = 0; i < XENPV_NET_FEATURES; i++)
        assert_non_null(xenpv_net_feature_name(i));
    assert_null(xenpv_net_feature_name(XENPV_NET_FEATURES));
    net_rig_down(&rig);
}

/* What is called when it may not be. */
static void test_out_of_turn(void **state)
{
    struct xenpv_net_frame frame;
    struct xenpv_completion done;

    (void)state;
    up(&(struct net_rig_options){0});
    assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_IDLE);
    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), XENPV_EPARKED);
    assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), XENPV_EPARKED);
    assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), XENPV_EPARKED);
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
    assert_null(xenpv_netq_shared(rig.q));
    net_rig_connect(&rig);
    assert_int_equal(xenpv_net_connect(rig.net, 0), XENPV_EBUSY);
    assert_int_equal(xenpv_net_inspect(rig.net, 0), XENPV_EBUSY);
    net_rig_close(&rig);
    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), XENPV_EPARKED);
    down();
    up(&(struct net_rig_options){0});
    rig.front_port.grant = NULL;
    assert_int_equal(xenpv_net_connect(rig.net, 0), XENPV_ENOTSUP);
    xenpv_net_close(rig.net, 0);
    assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_CLOSED);
    down();
}

/* Looking writes nothing, and tells all. */
static void test_inspect(void **state)
{
    struct xenpv_negotiation told[XENPV_NET_NEGOTIATIONS];
    struct xenpv_net_info info;

    (void)state;
    up(&(struct net_rig_options){.queues = 2, .without = XENPV_NET_GSO6});
    net_rig_step(&rig);
    net_rig_set(&rig, NET_RIG_FRONTEND, "feature-sg", "1");
    assert_int_equal(xenpv_net_inspect(rig.net, 0), 0);
    net_rig_until(&rig, XENPV_NET_CLOSED);
    xenpv_net_info(rig.net, &info);
    assert_true(info.has_mac && info.carrier);
    assert_int_equal(info.mtu, 1500);
    assert_int_equal(info.backend_state, 2);
    assert_string_equal(info.handle, "0");
    assert_int_equal(xenpv_net_negotiation(rig.net, told), XENPV_NET_NEGOTIATIONS);
    for (uint32_t i = 0; i < XENPV_NET_NEGOTIATIONS; i++) {
        if (strcmp(told[i].key, "feature-sg") == 0) {
            assert_string_equal(told[i].offered, "1");
            assert_string_equal(told[i].asked, "1");
            assert_int_equal(told[i].chosen, 1);
        } else if (strcmp(told[i].key, "feature-gso-tcpv6") == 0) {
            assert_int_equal(told[i].chosen, 0);
            assert_string_equal(told[i].why, "it is switched off");
        } else if (strcmp(told[i].key, "multi-queue-max-queues") == 0) {
            assert_string_equal(told[i].offered, "8");
            assert_int_equal(told[i].chosen, 2);
            assert_string_equal(told[i].why, "so many queues were asked for");
        }
    }
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "state"), 1);
    assert_int_equal(net_rig_get(&rig, NET_RIG_FRONTEND, "request-rx-copy"), -1);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arm),
        cmocka_unit_test(test_EV_08_halves_apart),
        cmocka_unit_test(test_arm_while_draining),
        cmocka_unit_test(test_poll_mode),
        cmocka_unit_test(test_seed_R2_lost_events),
        cmocka_unit_test(test_RL_12_every_call_fails),
        cmocka_unit_test(test_RL_05_ends_at_every_step),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_out_of_turn),
        cmocka_unit_test(test_inspect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
