/* SPDX-License-Identifier: MIT */
/* Frontends that want more than to be refused: what one leaves behind, and how much work it makes.
 */
#include "netback_rig.h"

static struct nb_rig rig;
static uint8_t bytes[XENPV_LINK_FRAME_MAX];

/* ---- what is left of a connection ------------------------------------------------------------ */

/* One queue is given what has waited for it when the producer index of another is found to lie:
 * nothing of that is left to be done in the next connection, which has other rings. */
static void test_BE01_nothing_is_left(void **state)
{
    (void)state;
    for (uint32_t queues = 1; queues < 3; queues++) {
        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){.queues = 3});
        nb_fill(bytes, 5000, 1);
        bytes[0] = 2;
        nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 5000});
        nb_steps(&rig, 2);
        nb_rx_post(&rig, 0, 0, 20);
        xenpv_store(&rig.queue[2].rx.out->prod, rig.queue[2].rx.prod + 257);
        nb_steps(&rig, 2);
        assert_int_equal(xenpv_netback_detail(rig.back)->check, XENPV_CHECK_REQ_PROD);
        nb_until(&rig, 5);
        nb_set(&rig, NB_FRONT, "state", "6");
        nb_until(&rig, 6);
        nb_end(&rig);
        nb_connect(&rig, &(struct nb_front){.queues = queues});
        nb_rx_post(&rig, 0, 0, 20);
        nb_steps(&rig, 3);
        assert_int_equal(xenpv_ring_available(&rig.queue[0].rx), 0);
        assert_int_equal(nb_stats(&rig).copied, 0);
        nb_down(&rig);
    }
}

/* ---- how much work one makes ----------------------------------------------------------------- */

/* A packet that is to be cut, for a link or for a frontend that takes none whole, into more
 * segments than any TCP would have it: it is refused, and nothing is cut. */
static void test_tiny_segments(void **state)
{
    static const uint16_t sizes[] = {1, 7, 8, 9};

    (void)state;
    for (uint32_t i = 0; i < COUNT(sizes); i++) {
        struct xenpv_netif_extra extra = {.type = XENPV_NETIF_EXTRA_GSO,
                                          .u.gso = {sizes[i], XENPV_NETIF_GSO_TCPV4, 0}};
        struct nb_packet packet = {.frame = bytes, .parts = 16, .extra = &extra, .extras = 1};
        uint32_t each = (64999u + sizes[i]) / sizes[i];
        bool good = sizes[i] >= 8;

        nb_up(&rig);
        rig.link.takes = 0;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){.keys = {{"feature-gso-tcpv4", NULL}}});
        packet.total = nb_make_ip(bytes, &(struct nb_ip){.payload = 65000});
        assert_int_equal(nb_send(&rig, 0, &packet), good ? XENPV_NETIF_OKAY : XENPV_NETIF_ERROR);
        assert_int_equal(nb_stats(&rig).segments, good ? each : 0);
        nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes,
                                                      .bytes = packet.total,
                                                      .checksum = XENPV_LINK_BLANK,
                                                      .gso_type = XENPV_NETIF_GSO_TCPV4,
                                                      .gso_size = sizes[i]});
        nb_steps(&rig, 1);
        assert_int_equal(nb_stats(&rig).segments, good ? 2 * each : 0);
        assert_true(nb_stats(&rig).rx_dropped >= 1);
        nb_down(&rig);
    }
}

/* Sizes that are more than 2^16 together, and fit the whole in the 16 bits that are left. */
static void test_BE08_sizes_that_wrap(void **state)
{
    uint32_t sizes[18] = {50};
    struct nb_packet packet = {.parts = 18, .bytes = sizes, .total = 100};

    (void)state;
    for (uint32_t i = 1; i < 17; i++)
        sizes[i] = 4096;
    sizes[17] = 50;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_ERROR);
    assert_int_equal(nb_stats(&rig).copied, 0);
    nb_down(&rig);
}

/* An option of IPv6 that says it goes far beyond the frame, where bytes of another packet make a
 * header of TCP. */
static void test_option_beyond_the_end(void **state)
{
    uint32_t total = nb_make_ip(bytes, &(struct nb_ip){.ipv6 = true, .payload = 40});
    struct nb_packet packet = {
        .frame = bytes, .total = total, .parts = 1, .flags = XENPV_NETTXF_CSUM_BLANK};
    static uint8_t other[16384];

    (void)state;
    memset(other, 0x50, sizeof(other));
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    assert_int_equal(
        nb_send(&rig, 0, &(struct nb_packet){.frame = other, .total = sizeof(other), .parts = 4}),
        XENPV_NETIF_OKAY);
    bytes[20] = 60;
    bytes[54] = 6;
    for (uint32_t length = 0; length < 256; length++) {
        bytes[55] = (uint8_t)length;
        /* The TCP header behind it, and its data, are what they were: 52 bytes. */
        bytes[54 + (length + 1) * 8 + 12] = 0x50;
        assert_int_equal(nb_send(&rig, 0, &packet),
                         (length + 1) * 8 + 20 <= 60 ? XENPV_NETIF_OKAY : XENPV_NETIF_ERROR);
    }
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_BE01_nothing_is_left),
        cmocka_unit_test(test_tiny_segments),
        cmocka_unit_test(test_BE08_sizes_that_wrap),
        cmocka_unit_test(test_option_beyond_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
