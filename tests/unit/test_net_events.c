/* SPDX-License-Identifier: MIT */
/* Events of queues and of the control ring, where they come at the worst time: none is lost, and
 * none is taken that is another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "faulty_port.h"
#include "net_peer.h"

#define BOTH (XENPV_NET_TX | XENPV_NET_RX)

static struct net_rig rig;
static struct peer peer;
static struct faulty_port faulty;
static struct peer_packet packet;
static uint8_t bytes[20000];

/* With handles, and with a backend that does what the test does. */
static void up(const struct net_rig_options *options)
{
    net_rig_up(&rig, options);
    faulty_wrap(&faulty, &rig.front_port);
    rig.front_port.caps |= XENPV_CAP_WAIT;
    peer_up(&peer, &rig, peer_linux);
    net_rig_connect(&rig);
    net_rig_rest(&rig);
    peer.idle = true;
    net_rig_fill(bytes, sizeof(bytes), 1);
}

static void down(void)
{
    faulty.before = NULL;
    peer.idle = false;
    peer_rig_down(&peer);
}

static void answer_one(void)
{
    assert_true(peer_take(&peer, 0, &packet));
    peer_answer(&peer, 0, &packet, 0);
}

/* What happens at the next call of that name. */
static const char *awaited;
static void (*happens)(void);

static void before(void *ctx, const char *call)
{
    void (*now)(void) = happens;

    (void)ctx;
    if (!awaited || !now || strcmp(call, awaited) != 0)
        return;
    happens = NULL;
    now();
}

static void at(const char *call, void (*what)(void))
{
    faulty.before = before;
    awaited = call;
    happens = what;
}

/* ---- queues ---------------------------------------------------------------------------------- */

static void deliver(void)
{
    assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
}

/* What comes just before an old event is taken, or just after, is seen by the last look. */
static void test_last_look(void **state)
{
    static const char *const calls[] = {"take", "unmask"};

    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        for (int i = 0; i < 4; i++) {
            struct xenpv_net_frame frame;
            struct xenpv_completion done;

            up(&(struct net_rig_options){.without = shared ? XENPV_NET_SPLIT : 0});
            for (int again = 0; again < 3; again++) {
                assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
                xenpv_netq_arm(rig.q, BOTH);
                assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
                /* An event is there, and what it was for has been taken. */
                if (i & 1) {
                    deliver();
                    assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
                    xenpv_netq_return(rig.q, &frame);
                    at(calls[i >> 1], deliver);
                } else {
                    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
                    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
                    answer_one();
                    answer_one();
                    assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 1);
                    assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 1);
                    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
                    at(calls[i >> 1], answer_one);
                }
                assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
                assert_null(happens);
                while (peer_take(&peer, 0, &packet))
                    peer_answer(&peer, 0, &packet, 0);
                while (xenpv_netq_poll(rig.q, &done, 1) > 0)
                    ;
                while (xenpv_netq_receive(rig.q, &frame, 1) > 0)
                    xenpv_netq_return(rig.q, &frame);
            }
            down();
        }
    }
}

/* Who is about to sleep gives back what few buffers he has. */
static void test_arm_gives_buffers(void **state)
{
    struct xenpv_net_frame frames[8];

    (void)state;
    up(&(struct net_rig_options){0});
    for (int i = 0; i < 5; i++)
        deliver();
    assert_int_equal(xenpv_netq_receive(rig.q, frames, 8), 5);
    for (int i = 0; i < 5; i++)
        xenpv_netq_return(rig.q, &frames[i]);
    assert_int_equal(xenpv_ring_available(&peer.rx[0].ring), 251);
    assert_int_equal(xenpv_netq_arm(rig.q, XENPV_NET_RX), 0);
    assert_int_equal(xenpv_ring_available(&peer.rx[0].ring), 256);
    down();
}

/* What a lost connection ended is a reason to look, held or not; a queue that is held and has
 * nothing waits for control. */
static void test_arm_while_held(void **state)
{
    struct xenpv_completion done[2];

    (void)state;
    up(&(struct net_rig_options){.recover_ms = 30000});
    for (int i = 0; i < 2; i++)
        assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
    peer.gone = true;
    net_rig_set(&rig, rig.backend_path, "state", "1");
    net_rig_step(&rig);
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
    assert_int_equal(xenpv_netq_poll(rig.q, done, 1), 1);
    assert_true(xenpv_netq_held(rig.q));
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
    assert_int_equal(xenpv_netq_poll(rig.q, done, 2), 1);
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
    peer.gone = false;
    peer_restart(&peer);
    net_rig_until(&rig, XENPV_NET_CONNECTED);
    peer.idle = false;
    peer_exchange(&peer);
    down();
}

/* EV-05, EV-07: events with nothing to them wake, and do nothing: open, draining, broken. */
static void test_EV_05_EV_07_storms(void **state)
{
    const struct xenpv_event_ops *event;
    struct xenpv_net_frame frame;
    struct xenpv_completion done;

    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        up(&(struct net_rig_options){.without = shared ? XENPV_NET_SPLIT : 0});
        event = rig.back_port.event;
        assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
        xenpv_netq_arm(rig.q, BOTH);
        for (int i = 0; i < 3000; i++) {
            event->notify(rig.back_port.ctx, peer.tx[0].port);
            event->notify(rig.back_port.ctx, peer.rx[0].port);
            if (i == 1000)
                xenpv_net_close(rig.net, xenpv_mock_now(rig.mock));
            if (i == 2000) {
                peer.tx[0].ring.out->prod += 1000;
                assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 1);
                assert_int_equal(done.status, XENPV_EBROKEN);
            }
            xenpv_net_step(rig.net, xenpv_mock_now(rig.mock));
            assert_int_equal(xenpv_netq_arm(rig.q, BOTH), i >= 2000);
            assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), i >= 2000 ? XENPV_EPARKED : 0);
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), i >= 2000 ? XENPV_EPARKED : 0);
        }
        net_rig_until(&rig, XENPV_NET_FAILED);
        peer_down(&peer);
        net_rig_down(&rig);
    }
}

static void taken(void)
{
    fail_msg("an event is taken after a suspend");
}

/* After a suspend a port's number may be another device's: nothing is taken by it. */
static void test_suspended(void **state)
{
    struct xenpv_netctl_request request = {.type = XENPV_NETIF_CTRL_GET_HASH_FLAGS};

    (void)state;
    up(&(struct net_rig_options){.recover_ms = 30000});
    assert_int_equal(xenpv_netctl_send(rig.net, &request, 0), 0);
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
    peer_down(&peer);
    assert_int_equal(xenpv_mock_suspend(rig.mock, 1), 0);
    at("take", taken);
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 1);
    xenpv_net_step(rig.net, xenpv_mock_now(rig.mock));
    assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_RECOVERING);
    at("take", NULL);
    net_rig_remove(&rig);
    net_rig_make(&rig, 0);
    peer_up(&peer, &rig, peer_linux);
    net_rig_until(&rig, XENPV_NET_CONNECTED);
    peer_exchange(&peer);
    xenpv_netq_arm(rig.q, BOTH);
    assert_int_equal(xenpv_netq_arm(rig.q, BOTH), 0);
    down();
}

/* ---- the control ring ------------------------------------------------------------------------ */

static struct xenpv_netif_ctrl_request asked;

static int keep(struct peer *p, const struct xenpv_netif_ctrl_request *request, uint32_t *data)
{
    (void)p;
    (void)data;
    asked = *request;
    return -1;
}

static void answer_control(void)
{
    const struct xenpv_netif_ctrl_response response = {.id = asked.id, .type = asked.type};

    xenpv_netif_put_ctrl_response(&response, xenpv_ring_next_out(&peer.ctrl.ring));
    peer_show(&peer, &peer.ctrl, 0);
}

/* An answer that comes while an old event is being taken needs no other step. */
static void test_control_last_look(void **state)
{
    static const char *const calls[] = {"take", "unmask"};
    struct xenpv_netctl_request request = {.type = XENPV_NETIF_CTRL_GET_HASH_FLAGS};
    struct xenpv_netctl_reply reply;

    (void)state;
    up(&(struct net_rig_options){0});
    peer.judge = keep;
    for (int i = 0; i < 6; i++) {
        /* An event without an answer, so that one is there to be taken. */
        assert_int_equal(xenpv_netctl_send(rig.net, &request, 0), 0);
        net_rig_step(&rig);
        rig.back_port.event->notify(rig.back_port.ctx, peer.ctrl.port);
        at(calls[i % 2], answer_control);
        xenpv_net_step(rig.net, xenpv_mock_now(rig.mock));
        assert_null(happens);
        assert_int_equal(xenpv_netctl_poll(rig.net, &reply, 1), 1);
    }
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_look),         cmocka_unit_test(test_arm_gives_buffers),
        cmocka_unit_test(test_arm_while_held),    cmocka_unit_test(test_suspended),
        cmocka_unit_test(test_control_last_look), cmocka_unit_test(test_EV_05_EV_07_storms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
