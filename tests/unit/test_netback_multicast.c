/* SPDX-License-Identifier: MIT */
/* Multicast control of the network backend: whose frames arrive, and the messages about it. */
#include "netback_rig.h"

static struct nb_rig rig;
static struct nb_received got;
static uint8_t bytes[XENPV_LINK_FRAME_MAX];

static void connect_with(const char *key, const char *value)
{
    nb_connect(&rig, &(struct nb_front){.keys = {{key, value}}});
}

static void wire_to(const uint8_t address[6])
{
    memset(bytes, 0x40, 60);
    memcpy(bytes, address, 6);
    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 60});
    nb_steps(&rig, 1);
}

static int filter(uint8_t type, const uint8_t address[6])
{
    struct xenpv_netif_extra extra = {.type = type};
    struct nb_packet packet = {.parts = 1, .total = 1, .extra = &extra, .extras = 1};

    memcpy(extra.u.mcast.addr, address, 6);
    return nb_send(&rig, 0, &packet);
}

static bool arrives(const uint8_t address[6], uint32_t *page)
{
    wire_to(address);
    if (!nb_receive(&rig, 0, *page, &got))
        return false;
    *page += 1;
    return true;
}

static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1}, other[6] = {0x33, 0x33, 0, 0, 0, 2};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, single[6] = {2};

/* Multicast control: the filter counts if it was asked for, and never for the rest. */
static void test_multicast(void **state)
{
    (void)state;
    for (uint32_t asked = 0; asked < 2; asked++) {
        uint32_t page = 0;

        nb_up(&rig);
        rig.config.without = XENPV_NET_DYNAMIC;
        nb_start(&rig);
        connect_with("request-multicast-control", asked ? "1" : "0");
        nb_rx_post(&rig, 0, 0, 50);
        assert_true(arrives(broadcast, &page));
        assert_true(arrives(single, &page));
        assert_int_equal(arrives(group, &page), !asked);
        assert_int_equal(filter(XENPV_NETIF_EXTRA_MCAST_ADD, group), XENPV_NETIF_OKAY);
        assert_int_equal(filter(XENPV_NETIF_EXTRA_MCAST_ADD, group), XENPV_NETIF_OKAY);
        assert_true(arrives(group, &page));
        assert_int_equal(arrives(other, &page), !asked);
        assert_int_equal(filter(XENPV_NETIF_EXTRA_MCAST_DEL, other), XENPV_NETIF_OKAY);
        assert_true(arrives(group, &page));
        assert_int_equal(filter(XENPV_NETIF_EXTRA_MCAST_DEL, group), XENPV_NETIF_OKAY);
        assert_int_equal(arrives(group, &page), !asked);
        assert_int_equal(nb_stats(&rig).rx_filtered, asked ? 3 : 0);
        /* It is sampled once, where it is not dynamic. */
        nb_set(&rig, NB_FRONT, "request-multicast-control", asked ? "0" : "1");
        nb_steps(&rig, 3);
        assert_int_equal(arrives(group, &page), !asked);
        assert_int_equal(nb_stats(&rig).tx_frames, 0);
        nb_down(&rig);
    }
}

static void test_multicast_dynamic(void **state)
{
    uint32_t page = 0;

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    nb_rx_post(&rig, 0, 0, 50);
    for (uint32_t round = 0; round < 3; round++) {
        assert_true(arrives(group, &page));
        nb_set(&rig, NB_FRONT, "request-multicast-control", "1");
        nb_steps(&rig, 2);
        assert_false(arrives(group, &page));
        if (round)
            nb_remove(&rig, NB_FRONT, "request-multicast-control");
        else
            nb_set(&rig, NB_FRONT, "request-multicast-control", "0");
        nb_steps(&rig, 2);
    }
    nb_remove(&rig, NB_FRONT, "request-multicast-control");
    nb_down(&rig);
}

/* The filter has room for 64 addresses; one more is refused, and counts for nothing. */
static void test_multicast_full(void **state)
{
    uint8_t address[6] = {1, 2, 3, 4, 5, 0};
    uint32_t page = 0;

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    connect_with("request-multicast-control", "1");
    nb_rx_post(&rig, 0, 0, 100);
    for (uint32_t i = 0; i < 65; i++) {
        address[5] = (uint8_t)i;
        for (uint32_t again = 0; again < 2; again++)
            assert_int_equal(filter(XENPV_NETIF_EXTRA_MCAST_ADD, address),
                             i < 64 ? XENPV_NETIF_OKAY : XENPV_NETIF_ERROR);
    }
    assert_false(arrives(address, &page));
    address[5] = 7;
    assert_int_equal(filter(XENPV_NETIF_EXTRA_MCAST_DEL, address), XENPV_NETIF_OKAY);
    assert_false(arrives(address, &page));
    for (uint32_t i = 0; i < 64; i++) {
        address[5] = (uint8_t)i;
        assert_int_equal(arrives(address, &page), i != 7);
    }
    nb_down(&rig);
    /* Where it is not offered it is refused. */
    nb_up(&rig);
    rig.config.without = XENPV_NET_MULTICAST;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    assert_int_equal(filter(XENPV_NETIF_EXTRA_MCAST_ADD, address), XENPV_NETIF_ERROR);
    nb_down(&rig);
}

/* The next frontend's filter is empty. */
static void test_multicast_forgotten(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t page = 0;

        connect_with("request-multicast-control", "1");
        nb_rx_post(&rig, 0, 0, 5);
        assert_false(arrives(group, &page));
        assert_int_equal(filter(XENPV_NETIF_EXTRA_MCAST_ADD, group), XENPV_NETIF_OKAY);
        assert_true(arrives(group, &page));
        nb_close(&rig);
    }
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_multicast),
        cmocka_unit_test(test_multicast_dynamic),
        cmocka_unit_test(test_multicast_full),
        cmocka_unit_test(test_multicast_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
