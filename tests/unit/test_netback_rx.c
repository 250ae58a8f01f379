/* SPDX-License-Identifier: MIT */
/* The network backend gives frames: in which slots, with which flags, and what it does meanwhile
 * with those that have to wait. */
#include "netback_rig.h"

static struct nb_rig rig;
static struct nb_received got;
static uint8_t bytes[XENPV_LINK_FRAME_MAX];
static struct xenpv_port map_only;

static void connect_with(const char *key, const char *value)
{
    nb_connect(&rig, &(struct nb_front){.keys = {{key, value}}});
}

static void send_plain(uint32_t count, uint32_t seed)
{
    nb_fill(bytes, count, seed);
    bytes[0] &= 0xfe;
    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = count});
}

/* ---- slots ----------------------------------------------------------------------------------- */

struct headroom {
    const char *text;
    uint32_t bytes; /* that are left */
};

/* All sizes around every page's end, by both ways to reach pages, with and without headroom. */
static void test_sizes(void **state)
{
    static const uint32_t around[] = {14,   60,   1514, 2047,  2048,  2049,  3839,  3840,  3841,
                                      4095, 4096, 4097, 7680,  7681,  8191,  8192,  8193,  8914,
                                      9014, 9015, 9018, 36864, 36865, 40960, 65531, 65534, 65535};
    static const struct headroom rooms[] = {{"0", 0}, {"256", 256}, {"2048", 2048}, {"2049", 0}};

    (void)state;
    for (uint32_t way = 0; way < 2 * COUNT(rooms); way++) {
        const struct headroom *room = &rooms[way / 2];
        uint32_t page = 4096 - room->bytes, posted = 0;

        nb_up(&rig);
        map_only = rig.back_port;
        map_only.caps &= way & 1 ? ~(uint32_t)XENPV_CAP_COPY : ~0u;
        rig.config.port = &map_only;
        nb_start(&rig);
        connect_with("xdp-headroom", room->text);
        for (uint32_t i = 0; i < COUNT(around); i++) {
            uint32_t pages = (around[i] + page - 1) / page, slots = pages + (room->bytes > 0);

            if (pages > 18)
                continue;
            nb_rx_post(&rig, 0, posted, slots);
            send_plain(around[i], i);
            nb_steps(&rig, 1);
            assert_true(nb_receive(&rig, 0, posted, &got));
            assert_int_equal(got.bytes, around[i]);
            assert_memory_equal(got.data, bytes, got.bytes);
            assert_int_equal(got.slots, slots);
            assert_int_equal(got.offset, room->bytes);
            assert_int_equal(got.headroom, room->bytes > 0);
            if (got.headroom)
                assert_int_equal(got.xdp_extra.u.xdp.headroom, room->bytes);
            assert_int_equal(got.flags & 3, 0);
            assert_false(nb_receive(&rig, 0, 0, &got));
            posted = (posted + slots) % 200;
        }
        assert_int_equal(nb_stats(&rig).rx_dropped, 0);
        nb_down(&rig);
    }
}

/* What would take more pages than any frontend has to take is dropped. */
static void test_too_many_pages(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    connect_with("xdp-headroom", "2048");
    nb_rx_post(&rig, 0, 0, 100);
    send_plain(18 * 2048 + 1, 1);
    send_plain(18 * 2048, 2);
    nb_steps(&rig, 1);
    assert_true(nb_receive(&rig, 0, 0, &got));
    assert_int_equal(got.bytes, 18 * 2048);
    assert_int_equal(nb_stats(&rig).rx_dropped, 1);
    nb_down(&rig);
}

/* Without feature-sg a frame has one page. */
static void test_no_sg(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    connect_with("feature-sg", "0");
    nb_rx_post(&rig, 0, 0, 10);
    send_plain(4097, 1);
    send_plain(4096, 2);
    nb_steps(&rig, 1);
    assert_true(nb_receive(&rig, 0, 0, &got));
    assert_int_equal(got.bytes, 4096);
    assert_int_equal(nb_stats(&rig).rx_dropped, 1);
    nb_down(&rig);
}

/* A page that cannot be written, at every place: that slot says so, and the next frame is whole. */
static void test_bad_references(void **state)
{
    (void)state;
    for (uint32_t way = 0; way < 2; way++) {
        for (uint32_t bad = 0; bad < 4; bad++) {
            uint32_t ref;

            nb_up(&rig);
            map_only = rig.back_port;
            map_only.caps &= way ? ~(uint32_t)XENPV_CAP_COPY : ~0u;
            rig.config.port = &map_only;
            nb_start(&rig);
            nb_connect(&rig, &(struct nb_front){0});
            ref = rig.data_refs[bad];
            rig.data_refs[bad] = 31000;
            nb_rx_post(&rig, 0, 0, 6);
            rig.data_refs[bad] = ref;
            send_plain(4 * 4096, 1);
            send_plain(8000, 2);
            nb_steps(&rig, 1);
            assert_true(nb_receive(&rig, 0, 0, &got));
            assert_true(got.error);
            assert_int_equal(got.pages, 4);
            assert_int_equal(got.bytes, 3 * 4096);
            assert_true(nb_receive(&rig, 0, 4, &got));
            assert_false(got.error);
            assert_int_equal(got.bytes, 8000);
            assert_memory_equal(got.data, bytes, 8000);
            assert_int_equal(nb_stats(&rig).rx_errors, 1);
            nb_down(&rig);
        }
    }
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* BE-14: one request where two are needed: the backend asks to be told of the second, and waits. */
static void test_BE14_one_slot_of_two(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    for (uint32_t round = 0; round < 300; round++) {
        struct xenpv_ring *ring = &rig.queue[0].rx;

        nb_rx_post(&rig, 0, 0, 1);
        send_plain(5000, round);
        nb_steps(&rig, 2);
        assert_false(nb_receive(&rig, 0, 0, &got));
        assert_true(xenpv_netback_deadline(rig.back) > xenpv_mock_now(rig.mock));
        assert_int_equal(xenpv_load(&ring->out->event), ring->prod + 1);
        /* A smaller one that comes behind waits behind it, and asks for nothing. */
        memset(bytes + 5000, 2, 60);
        nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes + 5000, .bytes = 60});
        nb_steps(&rig, 2);
        assert_false(nb_receive(&rig, 0, 0, &got));
        nb_rx_post(&rig, 0, 1, 2);
        nb_steps(&rig, 1);
        assert_true(nb_receive(&rig, 0, 0, &got));
        assert_int_equal(got.bytes, 5000);
        assert_memory_equal(got.data, bytes, 5000);
        nb_steps(&rig, 1);
        assert_true(nb_receive(&rig, 0, 2, &got));
        assert_int_equal(got.bytes, 60);
    }
    nb_down(&rig);
}

/* BE-14: 120 seconds of frames for who gives no requests, or too few: what waits is bounded. */
static void test_BE14_flood(void **state)
{
    (void)state;
    for (uint32_t slots = 0; slots < 2; slots++) {
        uint64_t allocs;
        struct xenpv_link_frame frame = {.data = bytes, .bytes = 5000};
        uint32_t newest = 0, found = 0;

        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){.queues = 2});
        nb_rx_post(&rig, 0, 0, slots);
        allocs = rig.heap.allocs;
        nb_fill(bytes, 5000, 1);
        bytes[0] = 2;
        for (uint32_t ms = 0; ms < 120000; ms += 100) {
            for (uint32_t i = 0; i < 10; i++) {
                memcpy(bytes + 1000, &ms, sizeof(ms));
                if (rig.wire.send(rig.wire.ctx, &frame) != XENPV_OK)
                    break;
            }
            nb_steps(&rig, 2);
            assert_true(rig.queue[0].rx.prod == slots);
            xenpv_mock_advance(rig.mock, 100);
        }
        assert_int_equal(rig.heap.allocs, allocs);
        assert_int_equal(nb_stats(&rig).rx_frames, 0);
        assert_true(nb_stats(&rig).rx_dropped > 1000);
        assert_int_equal(nb_get(&rig, NB_BACK, "state"), 4);
        /* What it is given in the end is not older than what is kept. */
        nb_rx_post(&rig, 0, slots, 200);
        nb_steps(&rig, 3);
        for (uint32_t page = 0; nb_receive(&rig, 0, page, &got); page += got.slots) {
            memcpy(&newest, got.data + 1000, sizeof(newest));
            assert_true(newest >= 120000 - 100 - rig.config.drain_ms);
            found++;
        }
        assert_in_range(found, 10, 100);
        nb_down(&rig);
    }
}

/* Who does not say that he notifies is looked at every 30 ms while frames wait. */
static void test_rx_notify(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t now, when;

        nb_up(&rig);
        nb_start(&rig);
        connect_with("feature-rx-notify", i ? "1" : NULL);
        send_plain(100, 1);
        nb_steps(&rig, 3);
        now = xenpv_mock_now(rig.mock);
        when = xenpv_netback_deadline(rig.back);
        assert_true(i ? when > now + 1000 : when == now + 30);
        nb_rx_post(&rig, 0, 0, 1);
        nb_steps(&rig, 1);
        assert_true(nb_receive(&rig, 0, 0, &got));
        nb_down(&rig);
    }
}

/* A ring full of small frames, many times around. */
static void test_full_ring(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    for (uint32_t round = 0; round < 5; round++) {
        nb_rx_post(&rig, 0, 0, 256);
        assert_int_equal(xenpv_ring_free(&rig.queue[0].rx), 0);
        for (uint32_t i = 0; i < 300; i++) {
            memset(bytes, (int)(i + round) & 0xfe, 60);
            nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 60});
        }
        nb_steps(&rig, 4);
        for (uint32_t i = 0; i < 256; i++) {
            assert_true(nb_receive(&rig, 0, i, &got));
            assert_int_equal(got.bytes, 60);
            assert_int_equal(got.data[0], (i + round) & 0xfe);
        }
        assert_false(nb_receive(&rig, 0, 0, &got));
        /* The rest finds requests, too, and nothing has been lost or changed places. */
        nb_rx_post(&rig, 0, 0, 44);
        nb_steps(&rig, 2);
        for (uint32_t i = 0; i < 44; i++) {
            assert_true(nb_receive(&rig, 0, i, &got));
            assert_int_equal(got.data[0], (256 + i + round) & 0xfe);
        }
        assert_int_equal(nb_stats(&rig).rx_dropped, 0);
    }
    nb_down(&rig);
}

/* An endless source fills what there is, and touches no page. */
static void test_source(void **state)
{
    struct xenpv_link null;

    (void)state;
    assert_int_equal(xenpv_link_null(9000, &null), XENPV_OK);
    nb_up(&rig);
    rig.config.link = &null;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.queues = 4});
    for (uint32_t round = 0; round < 10; round++) {
        for (uint32_t q = 0; q < 4; q++)
            nb_rx_post(&rig, q, 0, 255);
        nb_steps(&rig, 4);
        for (uint32_t q = 0; q < 4; q++) {
            for (uint32_t i = 0; i < 85; i++) {
                assert_true(nb_receive(&rig, q, i * 3, &got));
                assert_int_equal(got.bytes, 9000);
            }
        }
    }
    assert_int_equal(nb_stats(&rig).copied + nb_stats(&rig).mapped, 0);
    nb_down(&rig);
}

/* With `defer` frames come late, and in order. */
static void test_defer(void **state)
{
    uint32_t idle = 0;

    (void)state;
    nb_up(&rig);
    rig.config.defer = 3;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    nb_rx_post(&rig, 0, 0, 20);
    for (uint32_t i = 0; i < 20; i++) {
        memset(bytes, (int)i * 2, 60);
        nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 60});
        idle = 0;
        while (!nb_receive(&rig, 0, i, &got)) {
            nb_steps(&rig, 1);
            assert_true(++idle <= 4);
        }
        assert_int_equal(got.data[0], i * 2);
    }
    assert_true(idle > 1);
    nb_down(&rig);
}

/* ---- where frames go ------------------------------------------------------------------------- */

/* Queues, and channels: each flow keeps to a queue, all queues are used, the right end is told. */
static void test_queues(void **state)
{
    (void)state;
    for (uint32_t split = 0; split < 2; split++) {
        uint32_t used = 0, home[64];

        nb_up(&rig);
        rig.config.queues = 8;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){.queues = 8, .split = split});
        for (uint32_t q = 0; q < 8; q++) {
            nb_rx_post(&rig, q, q * 32, 32);
            while (rig.front_port.event->take(rig.front_port.ctx, rig.queue[q].rx_port))
                rig.front_port.event->unmask(rig.front_port.ctx, rig.queue[q].rx_port);
        }
        for (uint32_t i = 0; i < 128; i++) {
            struct nb_ip ip = {.payload = 50, .sport = (uint16_t)(i % 64), .ipv6 = i & 1};
            uint32_t count = nb_make_ip(bytes, &ip), q = 0, at;

            nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = count});
            nb_steps(&rig, 1);
            while (q < 8 && xenpv_ring_available(&rig.queue[q].rx) == 0)
                q++;
            assert_in_range(q, 0, 7);
            at = rig.queue[q].rx.cons % 32 + q * 32;
            assert_true(nb_receive(&rig, q, at, &got));
            assert_int_equal(got.bytes, count);
            if (i < 64)
                home[i] = q;
            else
                assert_int_equal(q, home[i - 64]);
            used |= 1u << q;
            nb_rx_post(&rig, q, at, 1);
            assert_int_equal(rig.front_port.event->take(rig.front_port.ctx, rig.queue[q].rx_port),
                             i < 64 && rig.queue[q].rx.cons == 1);
        }
        assert_int_equal(used, 0xff);
        nb_down(&rig);
    }
}

/* A loopback returns everything, with what was told of it. */
static void test_loopback(void **state)
{
    struct nb_ip ip = {.payload = 20000, .seed = 4};
    struct xenpv_netif_extra extra = {.type = XENPV_NETIF_EXTRA_GSO,
                                      .u.gso = {.size = 1448, .type = XENPV_NETIF_GSO_TCPV4}};
    struct nb_packet packet = {.frame = bytes,
                               .parts = 5,
                               .page = 100,
                               .flags = XENPV_NETTXF_CSUM_BLANK | XENPV_NETTXF_DATA_VALIDATED,
                               .extra = &extra,
                               .extras = 1};
    struct xenpv_link loop;

    (void)state;
    nb_up(&rig);
    assert_int_equal(xenpv_link_loopback(&rig.allocator, 1 << 18, &loop), XENPV_OK);
    rig.config.link = &loop;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    packet.total = nb_make_ip(bytes, &ip);
    nb_rx_post(&rig, 0, 0, 6);
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
    assert_true(nb_receive(&rig, 0, 0, &got));
    assert_int_equal(got.bytes, packet.total);
    assert_true(got.gso);
    assert_memory_equal(got.data + 60, bytes + 60, packet.total - 60);
    xenpv_netback_close(rig.back, xenpv_mock_now(rig.mock));
    nb_until(&rig, 5);
    loop.close(loop.ctx);
    nb_down(&rig);
}

/* Both come in one step, for one queue of two, the larger one first: what is asked for is what the
 * first one needs. */
static void test_order_of_waiting(void **state)
{
    struct xenpv_ring *ring = &rig.queue[0].rx;

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.queues = 2});
    nb_rx_post(&rig, 0, 0, 1);
    send_plain(9000, 1);
    send_plain(60, 2);
    nb_steps(&rig, 1);
    assert_false(nb_receive(&rig, 0, 0, &got));
    assert_int_equal(xenpv_load(&ring->out->event), ring->prod + 2);
    nb_rx_post(&rig, 0, 1, 3);
    nb_steps(&rig, 2);
    assert_true(nb_receive(&rig, 0, 0, &got));
    assert_int_equal(got.bytes, 9000);
    assert_true(nb_receive(&rig, 0, 3, &got));
    assert_int_equal(got.bytes, 60);
    nb_down(&rig);
}

/* More bytes in one step than are staged at a time. */
static void test_many_large(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    for (uint32_t round = 0; round < 4; round++) {
        nb_rx_post(&rig, 0, 0, 14 * 16);
        for (uint32_t i = 0; i < 14; i++)
            send_plain(65535 - i, i + round);
        nb_steps(&rig, 1);
        for (uint32_t i = 0; i < 14; i++) {
            assert_true(nb_receive(&rig, 0, i * 16, &got));
            assert_int_equal(got.bytes, 65535 - i);
            nb_fill(bytes, got.bytes, i + round);
            assert_memory_equal(got.data + 1, bytes + 1, got.bytes - 1);
        }
    }
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_too_many_pages),
        cmocka_unit_test(test_no_sg),
        cmocka_unit_test(test_bad_references),
        cmocka_unit_test(test_BE14_one_slot_of_two),
        cmocka_unit_test(test_BE14_flood),
        cmocka_unit_test(test_rx_notify),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_defer),
        cmocka_unit_test(test_queues),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_order_of_waiting),
        cmocka_unit_test(test_many_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
