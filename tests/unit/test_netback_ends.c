/* SPDX-License-Identifier: MIT */
/* The end of a connection of the network backend, while there is still something to do. */
#include "netback_rig.h"

static struct nb_rig rig;
static uint8_t bytes[XENPV_LINK_FRAME_MAX];

static uint32_t batches;

static void close_before_second_batch(void *ctx, const char *call)
{
    (void)ctx;
    if (strcmp(call, "start") == 0 && ++batches == 2)
        nb_set(&rig, NB_BACK, "state", "5");
}

/* The toolstack writes 5 where we are about to write 8 over it: it is obeyed all the same. */
static void test_closed_under_reconfiguring(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    nb_steps(&rig, 5);
    nb_set(&rig, NB_BACK, "online", "0");
    nb_steps(&rig, 5);
    nb_set(&rig, NB_FRONT, "state", "7");
    rig.faulty.before = close_before_second_batch;
    batches = 0;
    nb_steps(&rig, 1);
    rig.faulty.before = NULL;
    assert_true(batches >= 2);
    nb_until(&rig, 5);
    nb_down(&rig);
}

static void send_and_close(void *ctx, const char *call)
{
    (void)ctx;
    if (strcmp(call, "start") != 0 || batches++)
        return;
    nb_tx_packet(&rig, 0, &(struct nb_packet){.frame = bytes, .total = 100, .parts = 1});
    nb_tx_publish(&rig, 0);
}

/* A packet that is published before the frontend closes goes out, however late that is seen. */
static void test_last_packet(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    nb_steps(&rig, 5);
    nb_set(&rig, NB_FRONT, "state", "5");
    rig.faulty.before = send_and_close;
    batches = 0;
    nb_steps(&rig, 1);
    rig.faulty.before = NULL;
    nb_until(&rig, 5);
    assert_int_equal(nb_tx_take(&rig, 0).status, XENPV_NETIF_OKAY);
    assert_true(nb_wire_take(&rig, &(struct xenpv_link_frame){0}));
    nb_down(&rig);
}

/* ... and so does what a rate has held back: there is no later any more. */
static void test_last_packets_of_a_rate(void **state)
{
    uint32_t answered = 0;

    (void)state;
    nb_up(&rig);
    nb_set(&rig, NB_BACK, "rate", "10000,50000");
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    for (uint32_t i = 0; i < 100; i++)
        nb_tx_packet(&rig, 0, &(struct nb_packet){.frame = bytes, .total = 4000, .parts = 1});
    nb_tx_publish(&rig, 0);
    nb_steps(&rig, 2);
    assert_in_range(xenpv_ring_available(&rig.queue[0].tx), 1, 10);
    nb_set(&rig, NB_FRONT, "state", "5");
    nb_until(&rig, 5);
    for (; xenpv_ring_available(&rig.queue[0].tx); answered++)
        assert_int_equal(nb_tx_take(&rig, 0).status, XENPV_NETIF_OKAY);
    assert_int_equal(answered, 100);
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_under_reconfiguring),
        cmocka_unit_test(test_last_packet),
        cmocka_unit_test(test_last_packets_of_a_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
