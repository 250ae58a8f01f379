/* SPDX-License-Identifier: MIT */
/* Queues that are opened again: nothing of the connection before is left in them; fewer queues than
 * before, and more; a backend that keeps what it had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net_peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct net_rig rig;
static struct peer peer;
static uint8_t bytes[20000];

static void up(const struct net_rig_options *options)
{
    peer_rig_up(&peer, &rig, options, peer_linux);
    net_rig_fill(bytes, sizeof(bytes), 1);
}

static void put_rx(uint16_t id, uint16_t flags)
{
    const struct xenpv_netif_rx_response response = {.id = id, .flags = flags, .status = 60};

    peer_put_rx(&peer, 0, &response);
}

/* ---- what is forgotten ----------------------------------------------------------------------- */

static void half_a_frame(void)
{
    put_rx(peer_buffer(&peer, 0).id, XENPV_NETRXF_MORE_DATA);
    peer_show(&peer, &peer.rx[0], 1);
}

static void frame_before_its_extra(void)
{
    put_rx(peer_buffer(&peer, 0).id, XENPV_NETRXF_EXTRA_INFO);
    peer_show(&peer, &peer.rx[0], 1);
}

static void frame_that_failed(void)
{
    struct xenpv_netif_rx_response response = {
        .id = peer_buffer(&peer, 0).id, .flags = XENPV_NETRXF_MORE_DATA, .status = -1};

    peer_put_rx(&peer, 0, &response);
    peer_show(&peer, &peer.rx[0], 1);
}

/* Two slots of extra infos that nobody answers. */
static void packets_with_extras(void)
{
    struct xenpv_iov iov = {bytes, 1000};
    struct xenpv_net_packet large = {&iov, 1, {.mss = 500}};

    for (int i = 0; i < 2; i++)
        assert_int_equal(xenpv_netq_send(rig.q, &large, NULL), 0);
    xenpv_netq_submit(rig.q);
}

static void a_lie(void)
{
    put_rx(77, 0);
    peer_show(&peer, &peer.rx[0], 1);
}

static void (*const leftovers[])(void) = {half_a_frame, frame_before_its_extra, frame_that_failed,
                                          packets_with_extras, a_lie};

static void poll_all(void)
{
    struct xenpv_completion done[8];

    while (xenpv_netq_poll(rig.q, done, 8) > 0)
        ;
}

/* An answer NULL, where no extra info is outstanding, is a lie again. */
static void answer_null(void)
{
    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
    peer_put_tx(&peer, 0, 0, XENPV_NETIF_NULL);
    peer_show(&peer, &peer.tx[0], 0);
    poll_all();
    net_rig_until(&rig, XENPV_NET_FAILED);
    assert_int_equal(xenpv_net_detail(rig.net)->check, XENPV_CHECK_TX_NULL);
}

static void test_nothing_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(leftovers); i++) {
        struct xenpv_net_frame frame;

        up(&(struct net_rig_options){.recover_ms = 30000});
        peer.idle = true;
        leftovers[i]();
        if (leftovers[i] == a_lie) {
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), XENPV_EPARKED);
            net_rig_until(&rig, XENPV_NET_FAILED);
            net_rig_connect(&rig);
        } else {
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 0);
            peer_restart(&peer);
            net_rig_until(&rig, XENPV_NET_RECOVERING);
            net_rig_until(&rig, XENPV_NET_CONNECTED);
            poll_all();
        }
        peer.idle = false;
        for (int k = 0; k < 3; k++)
            peer_exchange(&peer);
        peer.idle = true;
        answer_null();
        peer_down(&peer);
        net_rig_down(&rig);
    }
}

/* ---- after a lie ----------------------------------------------------------------------------- */

/* Nothing is taken from a ring any more whose other end has lied, however much is there; and each
 * packet is told of before the queue is parked. */
static void test_nothing_after_a_lie(void **state)
{
    struct xenpv_net_frame frames[4];
    struct xenpv_completion done;

    (void)state;
    up(&(struct net_rig_options){0});
    peer.idle = true;
    for (int i = 0; i < 2; i++)
        assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
    assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
    peer_buffer(&peer, 0);
    a_lie();
    for (int i = 0; i < 2; i++)
        assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
    assert_int_equal(xenpv_netq_receive(rig.q, frames, 4), 1);
    xenpv_netq_return(rig.q, frames);
    for (int left = 2; left > 0; left--) {
        assert_int_equal(xenpv_netq_receive(rig.q, frames, 4), 0);
        assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 1);
        assert_int_equal(done.status, XENPV_EBROKEN);
    }
    assert_int_equal(xenpv_netq_receive(rig.q, frames, 4), XENPV_EPARKED);
    assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), XENPV_EPARKED);
    net_rig_until(&rig, XENPV_NET_FAILED);
    peer_down(&peer);
    net_rig_down(&rig);
}

/* ---- fewer queues, and more ------------------------------------------------------------------ */

static const struct peer_key two[] = {
    {"feature-rx-copy", "1"}, {"multi-queue-max-queues", "2"}, {NULL, NULL}};
static const struct peer_key four[] = {
    {"feature-rx-copy", "1"}, {"multi-queue-max-queues", "4"}, {NULL, NULL}};

/* The backend returns with another offer; but for the queues from `polled` on all are polled. */
static void return_with(const struct peer_key *offer, uint32_t polled)
{
    uint32_t connections = net_rig_info(&rig).connections;
    struct xenpv_completion done;

    peer_restart(&peer);
    peer.offer = offer;
    for (int i = 0; i < 1000 && net_rig_info(&rig).connections == connections; i++) {
        for (uint32_t k = 0; k < polled; k++)
            xenpv_netq_poll(xenpv_net_queue(rig.net, k), &done, 1);
        net_rig_step(&rig);
        xenpv_mock_advance(rig.mock, 1);
    }
    assert_int_equal(net_rig_info(&rig).connections, connections + 1);
}

/* A queue that is not used any more ends; it is used again only once its thread has been told. */
static void test_fewer_queues(void **state)
{
    struct xenpv_completion done;
    struct xenpv_netq *third;

    (void)state;
    peer_rig_up(&peer, &rig,
                &(struct net_rig_options){
                    .queues = 4, .recover_ms = 30000, .tx_buffers = 20, .rx_buffers = 20},
                four);
    third = xenpv_net_queue(rig.net, 2);
    assert_int_equal(net_rig_info(&rig).queues, 4);
    return_with(two, 4);
    assert_int_equal(net_rig_info(&rig).queues, 2);
    /* None but the third was polled once it was over. */
    return_with(four, 2);
    assert_int_equal(net_rig_info(&rig).queues, 2);
    assert_int_equal(xenpv_netq_poll(third, &done, 1), XENPV_EPARKED);
    return_with(four, 2);
    assert_int_equal(net_rig_info(&rig).queues, 3);
    assert_int_equal(xenpv_netq_poll(third, &done, 1), 0);
    assert_int_equal(xenpv_netq_poll(xenpv_net_queue(rig.net, 3), &done, 1), XENPV_EPARKED);
    return_with(four, 4);
    assert_int_equal(net_rig_info(&rig).queues, 4);
    assert_int_equal(xenpv_netq_poll(xenpv_net_queue(rig.net, 3), &done, 1), 0);
    peer_rig_down(&peer);
}

/* ---- a backend that keeps everything --------------------------------------------------------- */

/* It returns again and again, and never unmaps what it had: at some time enough is enough. */
static void test_keeps_too_much(void **state)
{
    static struct peer kept[20];
    uint32_t returned = 0, pages = 2 + 18 + 18;

    (void)state;
    peer_rig_up(&peer, &rig,
                &(struct net_rig_options){.recover_ms = 30000,
                                          .close_ms = 10,
                                          .tx_buffers = 18,
                                          .rx_buffers = 18,
                                          .without = XENPV_NET_CONTROL},
                peer_oldest);
    while (xenpv_net_state(rig.net) != XENPV_NET_FAILED) {
        assert_true(returned < COUNT(kept));
        kept[returned++] = peer;
        peer_up(&peer, &rig, peer_oldest);
        net_rig_set(&rig, rig.backend_path, "state", "1");
        for (int i = 0; i < 2000; i++) {
            struct xenpv_completion done;

            net_rig_step(&rig);
            xenpv_netq_poll(rig.q, &done, 1);
            xenpv_mock_advance(rig.mock, 1);
        }
    }
    assert_int_equal(xenpv_net_detail(rig.net)->error, XENPV_EBUSY);
    assert_int_equal(xenpv_net_abandoned(rig.net), 9 * pages);
    assert_int_equal(returned, 9);
    for (uint32_t i = 0; i < returned; i++)
        peer_down(&kept[i]);
    net_rig_down_with_abandoned(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_nothing_after_a_lie),
        cmocka_unit_test(test_fewer_queues),
        cmocka_unit_test(test_keeps_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
