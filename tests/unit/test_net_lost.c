/* SPDX-License-Identifier: MIT */
/* Connections that are lost, backends that keep what they have, grants that run out, full rings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net_peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct net_rig rig;
static struct peer peer;
static uint8_t bytes[70000];

static void up(const struct net_rig_options *options, const struct peer_key *offer)
{
    peer_rig_up(&peer, &rig, options, offer);
    net_rig_fill(bytes, sizeof(bytes), 1);
}

/* ---- lost connections ------------------------------------------------------------------------ */

enum loss { RESTART, SUSPEND, DRIVER_DOMAIN, LOSSES };
static const char *const losses[LOSSES] = {"restart", "suspend", "driver domain"};

static void lose(enum loss loss)
{
    if (loss == RESTART)
        peer_restart(&peer);
    else if (loss == SUSPEND) {
        peer_down(&peer);
        assert_int_equal(xenpv_mock_suspend(rig.mock, 1), 0);
        net_rig_remove(&rig);
        net_rig_make(&rig, 0);
        peer_up(&peer, &rig, peer_linux);
    } else {
        uint16_t next = (uint16_t)(rig.backend + 1);

        peer_down(&peer);
        assert_int_equal(xenpv_mock_remove_domain(rig.mock, rig.backend), 0);
        net_rig_remove(&rig);
        net_rig_make(&rig, next);
        peer_up(&peer, &rig, peer_linux);
    }
}

/* O7, O8, O18: what was sent and not answered ends with EPEER, the vif returns, and says so. */
static void test_seed_O7_O8_lost_connections(void **state)
{
    (void)state;
    for (enum loss loss = RESTART; loss < LOSSES; loss++) {
        for (uint32_t sent = 0; sent < 40; sent += 13) {
            struct xenpv_completion done[64];
            uint32_t lost = 0;

            print_message("  %s, %u packets\n", losses[loss], sent);
            up(&(struct net_rig_options){.recover_ms = 30000,
                                         .backend = loss == DRIVER_DOMAIN ? 5 : 0},
               peer_linux);
            peer.idle = true;
            for (uint32_t i = 0; i < sent; i++)
                assert_int_equal(net_rig_send(&rig, bytes, 60 + i * 500, &done[i]), 0);
            assert_int_equal(xenpv_netq_connections(rig.q), 1);
            lose(loss);
            for (int i = 0; i < 200 && (net_rig_info(&rig).connections < 2 || lost < sent); i++) {
                int count = xenpv_netq_poll(rig.q, done, 3);

                for (int k = 0; k < count; k++)
                    assert_int_equal(done[k].status, XENPV_EPEER);
                lost += count > 0 ? (uint32_t)count : 0;
                net_rig_step(&rig);
                xenpv_mock_advance(rig.mock, 10);
            }
            assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_CONNECTED);
            assert_int_equal(lost, sent);
            assert_int_equal(xenpv_netq_connections(rig.q), 2);
            peer.idle = false;
            peer_exchange(&peer);
            peer_rig_down(&peer);
        }
    }
}

/* A packet some of whose slots were answered, whichever, still ends, and once: when the connection is
 * lost, when the backend breaks the protocol, when it never answers the rest. */
static void test_half_answered(void **state)
{
    (void)state;
    for (uint32_t answered = 1; answered < 1u << 3; answered++) {
        for (int how = 0; how < 3 && answered != 7; how++) {
            struct xenpv_completion done[3] = {{0}};
            int count = 0;

            up(&(struct net_rig_options){.recover_ms = how == 0 ? 30000 : 0, .close_ms = 100},
               peer_linux);
            peer.idle = true;
            assert_int_equal(net_rig_send(&rig, bytes, 9000, &rig), 0);
            assert_true(peer_take(&peer, 0, &peer.last));
            for (uint32_t i = 0; i < 3; i++) {
                if (answered >> i & 1)
                    peer_put_tx(&peer, 0, peer.last.request[i].id, 0);
            }
            peer_show(&peer, &peer.tx[0], 0);
            assert_int_equal(xenpv_netq_poll(rig.q, done, 3), 0);
            if (how == 0)
                peer_restart(&peer);
            else if (how == 1)
                peer.tx[0].ring.out->prod += 200;
            else
                xenpv_net_close(rig.net, xenpv_mock_now(rig.mock));
            for (int i = 0; i < 200 && count == 0; i++) {
                count = xenpv_netq_poll(rig.q, done, 3);
                net_rig_step(&rig);
                xenpv_mock_advance(rig.mock, 10);
            }
            assert_int_equal(count, 1);
            assert_ptr_equal(done[0].user, &rig);
            assert_int_not_equal(done[0].status, 0);
            assert_int_equal(xenpv_netq_pending(rig.q), 0);
            net_rig_until(&rig, how == 0 ? XENPV_NET_CONNECTED : XENPV_NET_FAILED);
            if (how == 0) {
                peer.idle = false;
                peer_exchange(&peer);
                net_rig_close(&rig);
            }
            peer_down(&peer);
            net_rig_down(&rig);
        }
    }
}

/* What a lost connection ended is told before anything new is taken, over any number of losses. */
static void test_ended_before_new(void **state)
{
    struct xenpv_completion done[200];
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){.recover_ms = 30000}, peer_linux);
    peer.idle = true;
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
    for (uint32_t times = 1; times <= 3; times++) {
        peer_restart(&peer);
        for (int i = 0; i < 100; i++) {
            net_rig_step(&rig);
            xenpv_netq_receive(rig.q, &frame, 1);
            xenpv_mock_advance(rig.mock, 10);
        }
        assert_int_equal(xenpv_netq_connections(rig.q), times + 1);
        assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), XENPV_EFULL);
    }
    assert_int_equal(xenpv_netq_arm(rig.q, XENPV_NET_TX), 1);
    assert_int_equal(xenpv_netq_poll(rig.q, done, 199), 199);
    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), XENPV_EFULL);
    assert_int_equal(xenpv_netq_poll(rig.q, done, 200), 1);
    assert_int_equal(done[0].status, XENPV_EPEER);
    peer.idle = false;
    peer_exchange(&peer);
    peer_rig_down(&peer);
}

/* What the caller holds he goes on reading: the queue is held only once he has returned it. */
static void test_frames_over_a_loss(void **state)
{
    (void)state;
    for (enum loss loss = RESTART; loss < LOSSES; loss++) {
        struct xenpv_net_frame frame;
        struct xenpv_iov iov = {bytes, 60};
        struct xenpv_net_packet packet = {&iov, 1, {0}};
        struct xenpv_completion done;

        up(&(struct net_rig_options){.recover_ms = 30000, .backend = loss == DRIVER_DOMAIN ? 5 : 0},
           peer_linux);
        assert_true(peer_deliver(&peer, 0, bytes, 9000, &(struct peer_frame){0}));
        assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
        lose(loss);
        for (int i = 0; i < 100; i++) {
            net_rig_step(&rig);
            xenpv_mock_advance(rig.mock, 10);
            xenpv_netq_poll(rig.q, &done, 1);
        }
        assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_RECOVERING);
        assert_false(xenpv_netq_held(rig.q));
        assert_memory_equal(frame.fragment[0].base, bytes, 4096);
        assert_int_equal(xenpv_netq_send(rig.q, &packet, NULL), XENPV_EFULL);
        assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 0);
        xenpv_netq_return(rig.q, &frame);
        net_rig_until(&rig, XENPV_NET_CONNECTED);
        peer_exchange(&peer);
        peer_rig_down(&peer);
    }
}

/* A loss at each step, three times in a row: the next one while it is still being made anew. */
static void test_seed_O8_losses_close_together(void **state)
{
    (void)state;
    for (uint32_t gap = 0; gap < 25; gap++) {
        for (enum loss loss = RESTART; loss <= SUSPEND; loss++) {
            up(&(struct net_rig_options){.recover_ms = 30000}, peer_linux);
            for (int times = 0; times < 3; times++) {
                net_rig_send(&rig, bytes, 3000, NULL);
                lose(loss);
                for (uint32_t i = 0; i < gap; i++) {
                    struct xenpv_completion done;

                    net_rig_step(&rig);
                    xenpv_netq_poll(rig.q, &done, 1);
                }
            }
            net_rig_until(&rig, XENPV_NET_CONNECTED);
            for (int i = 0; i < 100; i++) {
                struct xenpv_completion done;

                net_rig_step(&rig);
                while (xenpv_netq_poll(rig.q, &done, 1) > 0)
                    ;
                xenpv_mock_advance(rig.mock, 20);
            }
            assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_CONNECTED);
            assert_int_equal(xenpv_netq_pending(rig.q), 0);
            peer_exchange(&peer);
            peer_rig_down(&peer);
        }
    }
}

/* recover_ms 0: it is not awaited. And one that goes for good: online 0. */
static void test_not_recovered(void **state)
{
    (void)state;
    for (int unplug = 0; unplug < 2; unplug++) {
        struct xenpv_completion done;

        up(&(struct net_rig_options){.recover_ms = unplug ? 30000 : 0}, peer_linux);
        peer.idle = true;
        assert_int_equal(net_rig_send(&rig, bytes, 3000, &done), 0);
        if (unplug) {
            net_rig_set(&rig, rig.backend_path, "online", "0");
            net_rig_set(&rig, rig.backend_path, "state", "5");
            peer.state = 5;
        } else
            peer_restart(&peer);
        net_rig_until(&rig, XENPV_NET_FAILED);
        assert_int_equal(xenpv_net_detail(rig.net)->error, XENPV_EPEER);
        peer_down(&peer);
        net_rig_down(&rig);
    }
}

/* GT-02: a backend that says that it has closed, and keeps all it has mapped. */
static void test_GT_02_backend_keeps_mapping(void **state)
{
    (void)state;
    up(&(struct net_rig_options){.close_ms = 100}, peer_linux);
    peer.stubborn = true;
    xenpv_net_close(rig.net, xenpv_mock_now(rig.mock));
    net_rig_until(&rig, XENPV_NET_FAILED);
    assert_int_equal(xenpv_net_detail(rig.net)->error, XENPV_ETIMEDOUT);
    /* Rings and buffers of the queue, and the control ring with its pages. */
    assert_int_equal(xenpv_net_abandoned(rig.net), 2 + 256 + 256 + 10);
    peer_down(&peer);
    net_rig_down_with_abandoned(&rig);
}

/* O13: as many vifs' worth of grants as there are, and not one more; then all goes on. */
static void test_seed_O13_grants_run_out(void **state)
{
    (void)state;
    for (uint32_t grants = 8; grants < 8 + 2 + 36 + 10; grants += 5) {
        net_rig_up(&rig, &(struct net_rig_options){
                             .tx_buffers = 18, .rx_buffers = 18, .limits = {.grants = grants}});
        peer_up(&peer, &rig, peer_linux);
        assert_int_equal(xenpv_net_connect(rig.net, 0), 0);
        net_rig_until(&rig, XENPV_NET_FAILED);
        assert_int_equal(xenpv_net_detail(rig.net)->error, XENPV_ENOGRANT);
        peer_down(&peer);
        net_rig_down(&rig);
    }
    for (uint32_t ports = 1; ports < 4; ports++) {
        net_rig_up(&rig, &(struct net_rig_options){.limits = {.ports = ports}});
        peer_up(&peer, &rig, peer_linux);
        assert_int_equal(xenpv_net_connect(rig.net, 0), 0);
        net_rig_until(&rig, XENPV_NET_FAILED);
        assert_int_equal(xenpv_net_detail(rig.net)->error, XENPV_ENOPORT);
        peer_down(&peer);
        net_rig_down(&rig);
    }
    peer_rig_up(&peer, &rig,
                &(struct net_rig_options){
                    .tx_buffers = 18, .rx_buffers = 18, .limits = {.grants = 8 + 48, .ports = 4}},
                peer_linux);
    peer_rig_down(&peer);
}

/* R2: full rings for a long time: no reset, and every packet is answered for. */
static void test_seed_R2_full_rings(void **state)
{
    uint64_t sent = 0, ended = 0, received = 0, delivered = 0;
    struct xenpv_net_frame frames[32];
    struct xenpv_completion done[64];
    int count;

    (void)state;
    up(&(struct net_rig_options){.rx_buffers = 300}, peer_linux);
    for (uint32_t turn = 0; turn < 3000; turn++) {
        while (net_rig_send(&rig, bytes, 60 + (sent * 613) % 9000, NULL) == 0)
            sent++;
        while (peer_deliver(&peer, 0, bytes, 60 + (uint32_t)((delivered * 419) % 9000),
                            &(struct peer_frame){0}))
            delivered++;
        while ((count = xenpv_netq_poll(rig.q, done, 64)) > 0)
            ended += (uint64_t)count;
        while ((count = xenpv_netq_receive(rig.q, frames, 32)) > 0) {
            received += (uint64_t)count;
            while (count--)
                xenpv_netq_return(rig.q, &frames[count]);
        }
        net_rig_step(&rig);
        xenpv_mock_advance(rig.mock, 100);
    }
    while ((count = xenpv_netq_poll(rig.q, done, 64)) > 0)
        ended += (uint64_t)count;
    assert_true(sent > 100000);
    assert_int_equal(ended, sent);
    assert_int_equal(received, delivered);
    assert_int_equal(peer.packets, sent);
    assert_int_equal(net_rig_info(&rig).connections, 1);
    peer_rig_down(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_O7_O8_lost_connections),
        cmocka_unit_test(test_half_answered),
        cmocka_unit_test(test_ended_before_new),
        cmocka_unit_test(test_frames_over_a_loss),
        cmocka_unit_test(test_seed_O8_losses_close_together),
        cmocka_unit_test(test_not_recovered),
        cmocka_unit_test(test_GT_02_backend_keeps_mapping),
        cmocka_unit_test(test_seed_O13_grants_run_out),
        cmocka_unit_test(test_seed_R2_full_rings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
