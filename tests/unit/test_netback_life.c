/* SPDX-License-Identifier: MIT */
/* The network backend's life: what it offers, what it makes of a frontend's keys, what changes
 * while it is connected, and how it ends. */
#include "netback_rig.h"

static struct nb_rig rig;
static struct nb_received got;
static uint8_t bytes[XENPV_LINK_FRAME_MAX];

static const struct nb_packet small = {.frame = bytes, .total = 60, .parts = 1};

/* One frame there and back on a queue. */
static void expect_served(uint32_t queue)
{
    assert_int_equal(nb_send(&rig, queue, &small), XENPV_NETIF_OKAY);
    assert_true(nb_wire_take(&rig, &(struct xenpv_link_frame){0}));
}

/* ---- what is offered ------------------------------------------------------------------------- */

struct offer {
    const char *key;
    uint32_t without;
    int on, off; /* -1: it is not there */
};

/* NB01 to NB14, each offered and not. */
static void test_offer(void **state)
{
    static const struct offer offers[] = {
        {"feature-rx-copy", 0, 1, 1},
        {"feature-rx-flip", 0, 0, 0},
        {"feature-sg", XENPV_NET_SG, 1, 0},
        {"feature-gso-tcpv4", XENPV_NET_GSO4, 1, 0},
        {"feature-gso-tcpv4", XENPV_NET_SG, 1, 0},
        {"feature-gso-tcpv4", XENPV_NET_CSUM4, 1, 0},
        {"feature-gso-tcpv6", XENPV_NET_GSO6, 1, 0},
        {"feature-gso-tcpv6", XENPV_NET_SG, 1, 0},
        {"feature-gso-tcpv6", XENPV_NET_CSUM6, 1, 0},
        {"feature-no-csum-offload", XENPV_NET_CSUM4, -1, 1},
        {"feature-ipv6-csum-offload", XENPV_NET_CSUM6, 1, 0},
        {"feature-multicast-control", XENPV_NET_MULTICAST, 1, 0},
        {"feature-dynamic-multicast-control", XENPV_NET_DYNAMIC, 1, 0},
        {"feature-dynamic-multicast-control", XENPV_NET_MULTICAST, 1, 0},
        {"feature-split-event-channels", XENPV_NET_SPLIT, 1, 0},
        {"multi-queue-max-queues", XENPV_NET_MULTI_QUEUE, 4, -1},
        {"feature-ctrl-ring", XENPV_NET_CONTROL, 1, 0},
        {"carrier", 0, 1, 1},
        {"feature-xdp-headroom", XENPV_NET_HEADROOM, 1, 0},
        {"feature-rx-notify", XENPV_NET_RX_NOTIFY, 1, -1},
    };

    (void)state;
    for (uint32_t i = 0; i < 2 * COUNT(offers); i++) {
        const struct offer *offer = &offers[i / 2];

        nb_up(&rig);
        rig.config.without = i & 1 ? offer->without : 0;
        nb_start(&rig);
        /* What an earlier backend has left is gone. */
        nb_set(&rig, NB_BACK, "feature-no-csum-offload", "1");
        nb_set(&rig, NB_BACK, "multi-queue-max-queues", "9");
        nb_until(&rig, 2);
        if (nb_get(&rig, NB_BACK, offer->key) != (i & 1 ? offer->off : offer->on))
            fail_msg("%s is %d", offer->key, (int)nb_get(&rig, NB_BACK, offer->key));
        nb_down(&rig);
        assert_false(rig.connected);
    }
}

/* ---- what the frontend asks for -------------------------------------------------------------- */

static void test_queues_and_channels(void **state)
{
    static const uint32_t queues[] = {0, 1, 2, 3, 8, 64};

    (void)state;
    nb_up(&rig);
    rig.config.queues = 64;
    nb_start(&rig);
    for (uint32_t i = 0; i < 4 * COUNT(queues); i++) {
        struct nb_front front = {.queues = queues[i / 4], .split = i & 1, .control = i & 2};
        uint32_t count = front.queues ? front.queues : 1;
        xenpv_handle handles[XENPV_NETBACK_HANDLES];

        nb_connect(&rig, &front);
        assert_int_equal(xenpv_netback_queues(rig.back), count);
        nb_assert_holds(&rig, 2 * count + front.control,
                        count * (front.split ? 2 : 1) + front.control);
        assert_int_equal(xenpv_netback_wait_handles(rig.back, handles),
                         count * (front.split ? 2 : 1) + front.control);
        for (uint32_t q = 0; q < count; q++)
            expect_served(q);
        nb_close(&rig);
        assert_int_equal(xenpv_netback_queues(rig.back), 0);
        nb_assert_holds(&rig, 0, 0);
    }
    nb_down(&rig);
}

struct refusal {
    const char *key, *value; /* NULL: taken away */
    uint32_t queues;
    int error; /* 0: it is served all the same */
    uint32_t check;
};

/* LC-08 and the like: keys that make no sense, and odd ones that do. */
static void test_keys(void **state)
{
    static const struct refusal all[] = {
        {"request-rx-copy", NULL, 0, XENPV_ENOTSUP, 0},
        {"request-rx-copy", "0", 0, XENPV_ENOTSUP, 0},
        {"request-rx-copy", "x", 0, XENPV_ENOTSUP, 0},
        {"request-rx-copy", "2", 0, 0, 0},
        {"multi-queue-num-queues", "0", 2, XENPV_EBROKEN, XENPV_CHECK_REQ_QUEUES},
        {"multi-queue-num-queues", "5", 2, XENPV_EBROKEN, XENPV_CHECK_REQ_QUEUES},
        {"multi-queue-num-queues", "-1", 2, XENPV_EBROKEN, XENPV_CHECK_REQ_QUEUES},
        {"multi-queue-num-queues", "", 2, XENPV_EBROKEN, XENPV_CHECK_REQ_QUEUES},
        {"multi-queue-num-queues", "2 ", 2, XENPV_EBROKEN, XENPV_CHECK_REQ_QUEUES},
        {"multi-queue-num-queues", "0x2", 2, XENPV_EBROKEN, XENPV_CHECK_REQ_QUEUES},
        {"multi-queue-num-queues", "4294967298", 2, XENPV_EBROKEN, XENPV_CHECK_REQ_QUEUES},
        {"multi-queue-num-queues", "18446744073709551618", 2, XENPV_EBROKEN,
         XENPV_CHECK_REQ_QUEUES},
        {"multi-queue-num-queues", "3", 2, XENPV_EPEER, 0}, /* the third is not there */
        {"multi-queue-num-queues", "1", 2, XENPV_EPEER, 0}, /* nothing at the top */
        {"multi-queue-num-queues", "2", 2, 0, 0},
        {"tx-ring-ref", NULL, 0, XENPV_EPEER, 0},
        {"rx-ring-ref", NULL, 0, XENPV_EPEER, 0},
        {"tx-ring-ref", "junk", 0, XENPV_EBROKEN, 0},
        {"rx-ring-ref", "4294967296", 0, XENPV_EBROKEN, 0},
        {"tx-ring-ref", "30000", 0, XENPV_EACCES, 0},
        {"rx-ring-ref", "30000", 0, XENPV_EACCES, 0},
        {"event-channel", NULL, 0, XENPV_EBROKEN, 0},
        {"event-channel", "0", 0, XENPV_EBROKEN, 0},
        {"event-channel", "4000", 0, XENPV_ENOENT, 0},
        {"queue-1/rx-ring-ref", "30000", 2, XENPV_EACCES, 0},
        {"queue-1/event-channel", "4000", 2, XENPV_ENOENT, 0},
        {"event-channel-tx", "7", 0, 0, 0}, /* one of two is none */
        {"feature-gso-tcpv4-prefix", "1", 0, XENPV_EBROKEN, 0},
        {"feature-gso-tcpv6-prefix", "1", 0, XENPV_EBROKEN, 0},
        {"feature-gso-tcpv4-prefix", "0", 0, 0, 0},
        {"ctrl-ring-ref", "9", 0, XENPV_EBROKEN, 0},
        {"event-channel-ctrl", "9", 0, XENPV_EBROKEN, 0},
        {"xdp-headroom", "40000", 0, 0, 0},
        {"xdp-headroom", "junk", 0, 0, 0},
        {"feature-sg", "junk", 0, 0, 0},
        {"trusted", "0", 0, 0, 0},
    };

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    for (uint32_t i = 0; i < COUNT(all); i++) {
        struct nb_front front = {.queues = all[i].queues, .keys = {{all[i].key, all[i].value}}};
        const struct xenpv_detail *detail;

        if (!all[i].error) {
            nb_connect(&rig, &front);
            expect_served(0);
            nb_close(&rig);
            continue;
        }
        nb_set(&rig, NB_FRONT, "state", "1");
        nb_until(&rig, 2);
        nb_share(&rig, &front);
        nb_set(&rig, NB_FRONT, "state", "4");
        nb_until(&rig, 5);
        detail = xenpv_netback_detail(rig.back);
        if (detail->error != all[i].error || detail->check != all[i].check)
            fail_msg("%s %s: %s, check %u", all[i].key, all[i].value ? all[i].value : "(none)",
                     xenpv_error_name(detail->error), detail->check);
        nb_assert_holds(&rig, 0, 0);
        nb_set(&rig, NB_FRONT, "state", "6");
        nb_until(&rig, 6);
        nb_end(&rig);
    }
    nb_connect(&rig, &(struct nb_front){0});
    expect_served(0);
    nb_down(&rig);
}

/* The pieces of a control ring, each of which may be no good. */
static void test_control_keys(void **state)
{
    static const struct nb_key keys[] = {{"ctrl-ring-ref", "30000"},
                                         {"event-channel-ctrl", "4000"}};

    (void)state;
    for (uint32_t i = 0; i < COUNT(keys); i++) {
        nb_up(&rig);
        nb_start(&rig);
        nb_until(&rig, 2);
        nb_share(&rig, &(struct nb_front){.control = true, .queues = 3, .keys = {keys[i]}});
        nb_set(&rig, NB_FRONT, "state", "4");
        nb_until(&rig, 5);
        assert_string_equal(xenpv_netback_detail(rig.back)->key, keys[i].name);
        nb_assert_holds(&rig, 0, 0);
        nb_down(&rig);
    }
}

/* ---- what changes ---------------------------------------------------------------------------- */

static bool up = true;

static bool told_carrier(void *ctx)
{
    (void)ctx;
    return up;
}

static void test_carrier(void **state)
{
    (void)state;
    nb_up(&rig);
    rig.link.carrier = told_carrier;
    up = false;
    nb_start(&rig);
    nb_until(&rig, 2);
    assert_int_equal(nb_get(&rig, NB_BACK, "carrier"), 0);
    nb_connect(&rig, &(struct nb_front){0});
    for (uint32_t i = 0; i < 6; i++) {
        up = !up;
        nb_steps(&rig, 2);
        assert_int_equal(nb_get(&rig, NB_BACK, "carrier"), up);
        assert_int_equal(nb_get(&rig, NB_BACK, "state"), 4);
    }
    up = true;
    nb_down(&rig);
}

static void expect_headroom(uint32_t page, uint32_t headroom)
{
    nb_rx_post(&rig, 0, page, headroom ? 2 : 1);
    memset(bytes, 2, 60);
    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 60});
    nb_steps(&rig, 2);
    assert_true(nb_receive(&rig, 0, page, &got));
    assert_int_equal(got.offset, headroom);
    assert_int_equal(got.headroom, headroom > 0);
    assert_memory_equal(got.data, bytes, 60);
}

/* States 7 and 8, as Linux has them for its headroom. */
static void test_headroom_changes(void **state)
{
    static const char *const values[] = {"256", "0", "100", "2048", "9999"};
    static const uint32_t rooms[] = {256, 0, 100, 2048, 0};

    (void)state;
    for (uint32_t offered = 0; offered < 2; offered++) {
        nb_up(&rig);
        rig.config.without = offered ? 0 : XENPV_NET_HEADROOM;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        expect_headroom(0, 0);
        for (uint32_t i = 0; i < COUNT(values); i++) {
            nb_set(&rig, NB_FRONT, "xdp-headroom", values[i]);
            nb_steps(&rig, 3);
            nb_set(&rig, NB_FRONT, "state", "7");
            nb_until(&rig, 8);
            nb_set(&rig, NB_FRONT, "state", "4");
            nb_until(&rig, 4);
            expect_headroom(10 + i * 10, offered ? rooms[i] : 0);
        }
        expect_served(0);
        nb_remove(&rig, NB_FRONT, "xdp-headroom");
        nb_down(&rig);
    }
}

/* Told to close, by whoever, while it says 8. */
static void test_closed_while_reconfigured(void **state)
{
    (void)state;
    for (uint32_t who = 0; who < 2; who++) {
        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        nb_set(&rig, NB_FRONT, "state", "7");
        nb_until(&rig, 8);
        if (who) {
            nb_set(&rig, NB_BACK, "online", "0");
            nb_set(&rig, NB_BACK, "state", "5");
        } else {
            nb_set(&rig, NB_FRONT, "state", "5");
        }
        nb_until(&rig, 5);
        nb_down(&rig);
    }
}

/* The toolstack's rate: about so much goes through, and the rest later, and nothing is lost. */
static void test_rate(void **state)
{
    struct nb_packet packet = {.frame = bytes, .total = 4000, .parts = 1};
    uint64_t begin, total = 0;

    (void)state;
    nb_up(&rig);
    nb_set(&rig, NB_BACK, "rate", "100000,50000"); /* 2 MB a second */
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    begin = xenpv_mock_now(rig.mock);
    for (uint32_t i = 0; i < 256; i++)
        nb_tx_packet(&rig, 0, &packet);
    nb_tx_publish(&rig, 0);
    while (nb_stats(&rig).tx_frames < 256) {
        nb_steps(&rig, 2);
        while (nb_wire_take(&rig, &(struct xenpv_link_frame){0}))
            ;
        total = nb_stats(&rig).tx_bytes;
        assert_true(total <= 131072 + 104000 + (xenpv_mock_now(rig.mock) - begin) * 2080);
        /* It does not ask to be stepped for nothing. */
        if (total < UINT64_C(4000) * 256)
            assert_true(xenpv_netback_deadline(rig.back) > xenpv_mock_now(rig.mock));
        xenpv_mock_advance(rig.mock, 5);
    }
    assert_in_range(xenpv_mock_now(rig.mock) - begin, 300, 700);
    nb_down(&rig);
}

static void test_no_rate(void **state)
{
    static const char *const texts[] = {"",    ",",       "5",    "5,",   ",5",
                                        "x,y", "0,50000", "10,0", "1,2,3"};

    (void)state;
    for (uint32_t i = 0; i < COUNT(texts); i++) {
        nb_up(&rig);
        nb_set(&rig, NB_BACK, "rate", texts[i]);
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        for (uint32_t k = 0; k < 200; k++)
            expect_served(0);
        nb_down(&rig);
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Frames that wait, packets that are published, grants that are kept: in the end all is given up.
 */
static void burden(void)
{
    struct xenpv_netif_gref gref = {.ref = rig.data_refs[5]};

    memset(bytes, 2, 60);
    for (uint32_t i = 0; i < 50; i++)
        nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 60});
    nb_steps(&rig, 2);
    xenpv_netif_put_gref(&gref, (uint32_t *)(void *)nb_page(&rig, 299));
    nb_ask(&rig, XENPV_NETIF_CTRL_ADD_GREF_MAPPING, 0, rig.data_refs[299], 1);
    nb_tx_packet(&rig, 0, &small);
    nb_tx_publish(&rig, 0);
}

static void front_closes(void)
{
    nb_close(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    expect_served(0);
}

static void front_skips_closing(void)
{
    nb_set(&rig, NB_FRONT, "state", "6");
    nb_until(&rig, 6);
    nb_end(&rig);
}

static void toolstack_unplugs(void)
{
    nb_set(&rig, NB_BACK, "online", "0");
    nb_set(&rig, NB_BACK, "state", "5");
    nb_until(&rig, 5);
}

static void back_closes(void)
{
    xenpv_netback_close(rig.back, xenpv_mock_now(rig.mock));
    nb_until(&rig, 5);
}

static void back_suspends(void)
{
    assert_int_equal(xenpv_mock_suspend(rig.mock, 0), XENPV_OK);
    nb_steps(&rig, 3);
}

static void test_ends(void **state)
{
    static void (*const ends[])(void) = {front_closes, front_skips_closing, toolstack_unplugs,
                                         back_closes, back_suspends};

    (void)state;
    for (uint32_t i = 0; i < 2 * COUNT(ends); i++) {
        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig,
                   &(struct nb_front){.control = true, .split = i & 1, .queues = i & 1 ? 3 : 0});
        burden();
        ends[i / 2]();
        if (ends[i / 2] == back_suspends) {
            /* Its own end is gone; the frontend's memory is still what it was. */
            nb_assert_holds(&rig, 0, 0);
            nb_end(&rig);
        }
        nb_down(&rig);
    }
}

static void test_front_vanishes(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.control = true});
    burden();
    /* What it granted is still mapped, so it must not be ended before the backend lets go. */
    xenpv_mock_rm(rig.mock, NB_FRONT);
    nb_steps(&rig, 20);
    nb_assert_holds(&rig, 0, 0);
    nb_end(&rig);
    nb_down(&rig);
}

/* A connection made and ended 1,000 times leaves nothing. */
static void test_seed_A10_attach_and_detach(void **state)
{
    uint64_t blocks = 0;

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    for (uint32_t i = 0; i < 1000; i++) {
        nb_connect(&rig, &(struct nb_front){.control = i & 1, .split = i & 2, .queues = i % 4});
        expect_served(0);
        nb_close(&rig);
        nb_assert_holds(&rig, 0, 0);
        if (i == 9)
            blocks = rig.heap.blocks;
        if (i > 9)
            assert_true(rig.heap.blocks <= blocks + 8);
    }
    nb_down(&rig);
}

/* ---- what fails ------------------------------------------------------------------------------ */

static void test_configurations(void **state)
{
    struct xenpv_netback *back;
    struct xenpv_port port;

    (void)state;
    nb_up(&rig);
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        struct xenpv_netback_config config = rig.config;                                           \
        config.field = value;                                                                      \
        assert_int_equal(xenpv_netback_create(&config, &back), XENPV_EINVAL);                      \
    } while (0)
    REFUSED(size, 1);
    REFUSED(port, NULL);
    REFUSED(path, NULL);
    REFUSED(path, "");
    REFUSED(link, NULL);
    REFUSED(queues, 0);
    REFUSED(queues, 65);
    REFUSED(static_grants, 0);
    REFUSED(static_grants, 4097);
    REFUSED(mapping, 2049);
    REFUSED(backlog, 131072);
    REFUSED(backlog, 262145);
    REFUSED(backlog, 1u << 27);
    REFUSED(defer, UINT32_MAX);
    REFUSED(without, 1u << 13);
    port = rig.back_port;
    port.caps &= ~(uint32_t)XENPV_CAP_MAP;
    rig.config.port = &port;
    assert_int_equal(xenpv_netback_create(&rig.config, &back), XENPV_ENOTSUP);
    rig.config.port = &rig.back_port;
    for (uint32_t i = 1; i <= 2; i++) {
        rig.heap.fail_at = rig.heap.allocs + i;
        assert_int_equal(xenpv_netback_create(&rig.config, &back), XENPV_ENOMEM);
    }
    nb_start(&rig);
    assert_int_equal(xenpv_netback_start(rig.back, 0), XENPV_EBUSY);
    nb_down(&rig);
}

/* One of two channels can be bound, and is given back. */
static void test_one_of_two_channels(void **state)
{
    static const char *const keys[] = {"event-channel-tx", "event-channel-rx"};

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    for (uint32_t i = 0; i < COUNT(keys); i++) {
        nb_set(&rig, NB_FRONT, "state", "1");
        nb_until(&rig, 2);
        nb_share(&rig, &(struct nb_front){.split = true, .keys = {{keys[i], "4000"}}});
        nb_set(&rig, NB_FRONT, "state", "4");
        nb_until(&rig, 5);
        assert_int_equal(xenpv_netback_detail(rig.back)->error, XENPV_ENOENT);
        nb_assert_holds(&rig, 0, 0);
        nb_set(&rig, NB_FRONT, "state", "6");
        nb_until(&rig, 6);
        nb_end(&rig);
    }
    nb_down(&rig);
}

/* Who writes two channels where that is not offered has written none. */
static void test_split_not_offered(void **state)
{
    (void)state;
    nb_up(&rig);
    rig.config.without = XENPV_NET_SPLIT;
    nb_start(&rig);
    nb_set(&rig, NB_FRONT, "state", "1");
    nb_until(&rig, 2);
    nb_share(&rig, &(struct nb_front){.split = true});
    nb_set(&rig, NB_FRONT, "state", "4");
    nb_until(&rig, 5);
    assert_int_equal(xenpv_netback_detail(rig.back)->error, XENPV_EBROKEN);
    nb_set(&rig, NB_FRONT, "state", "6");
    nb_until(&rig, 6);
    nb_end(&rig);
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offer),
        cmocka_unit_test(test_queues_and_channels),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_control_keys),
        cmocka_unit_test(test_carrier),
        cmocka_unit_test(test_headroom_changes),
        cmocka_unit_test(test_closed_while_reconfigured),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_no_rate),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_front_vanishes),
        cmocka_unit_test(test_seed_A10_attach_and_detach),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_one_of_two_channels),
        cmocka_unit_test(test_split_not_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
