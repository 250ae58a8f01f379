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

/* ---- offloads -------------------------------------------------------------------------------- */

struct offer {
    const char *csum4, *csum6; /* feature-no-csum-offload, feature-ipv6-csum-offload */
};

/* A blank checksum goes to who takes it; for others it is made. */
static void test_checksum_flags(void **state)
{
    static const struct offer offers[] = {
        {NULL, NULL}, {"0", "0"}, {"1", "0"}, {"1", "1"}, {"0", "1"}};
    static const uint8_t kinds[] = {XENPV_LINK_AS_IS, XENPV_LINK_GOOD, XENPV_LINK_BLANK};

    (void)state;
    for (uint32_t i = 0; i < COUNT(offers) * 4 * COUNT(kinds); i++) {
        const struct offer *offer = &offers[i / 12];
        struct nb_ip ip = {.ipv6 = i & 1, .udp = i & 2, .payload = 99, .seed = i};
        uint8_t kind = kinds[i / 4 % 3];
        bool takes =
            ip.ipv6 ? offer->csum6 && *offer->csum6 == '1' : !offer->csum4 || *offer->csum4 == '0';
        bool blank = kind == XENPV_LINK_BLANK;
        uint32_t count = nb_make_ip(bytes, &ip);

        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){.keys = {{"feature-ipv6-csum-offload", offer->csum6},
                                                     {"feature-no-csum-offload", offer->csum4}}});
        nb_rx_post(&rig, 0, 0, 1);
        if (blank)
            memset(bytes + nb_transport(bytes) + (ip.udp ? 6 : 16), 0x77, 2);
        nb_wire_send(&rig,
                     &(struct xenpv_link_frame){.data = bytes, .bytes = count, .checksum = kind});
        nb_steps(&rig, 1);
        assert_true(nb_receive(&rig, 0, 0, &got));
        assert_int_equal(got.bytes, count);
        if (blank && takes) {
            assert_int_equal(got.flags & 3, XENPV_NETRXF_CSUM_BLANK | XENPV_NETRXF_DATA_VALIDATED);
            assert_memory_equal(got.data, bytes, count);
        } else {
            assert_int_equal(got.flags & 3,
                             kind == XENPV_LINK_AS_IS ? 0 : XENPV_NETRXF_DATA_VALIDATED);
            assert_true(nb_good_sums(got.data, count));
        }
        nb_down(&rig);
    }
}

enum way { BY_EXTRA, BY_PREFIX, BY_SEGMENTS };

struct large {
    bool ipv6;
    struct nb_key keys[3];
    enum way way;
    bool blank; /* segments come with blank checksums */
};

static void expect_segments(const struct nb_ip *ip, uint32_t count, uint32_t mss, bool blank)
{
    uint32_t header = count - ip->payload, done = 0, page = 0;

    while (done < ip->payload) {
        uint32_t part = ip->payload - done < mss ? ip->payload - done : mss;

        assert_true(nb_receive(&rig, 0, page, &got));
        page += got.slots;
        assert_int_equal(got.bytes, header + part);
        assert_memory_equal(got.data + header, bytes + header + done, part);
        assert_false(got.gso || got.prefixed);
        assert_int_equal(got.flags & 3,
                         XENPV_NETRXF_DATA_VALIDATED | (blank ? XENPV_NETRXF_CSUM_BLANK : 0));
        assert_int_equal(nb_good_sums(got.data, got.bytes), !blank);
        done += part;
    }
    assert_false(nb_receive(&rig, 0, page, &got));
}

/* A large packet, as each kind of frontend takes it. */
static void test_gso(void **state)
{
    static const struct large all[] = {
        {false, {{0}}, BY_EXTRA, false},
        {true, {{0}}, BY_EXTRA, false},
        {false, {{"feature-gso-tcpv4", NULL}}, BY_SEGMENTS, true},
        {true, {{"feature-gso-tcpv6", NULL}}, BY_SEGMENTS, true},
        {true, {{"feature-gso-tcpv4", NULL}}, BY_EXTRA, false},
        {false, {{"feature-sg", "0"}}, BY_SEGMENTS, true},
        {false, {{"feature-no-csum-offload", "1"}}, BY_SEGMENTS, false},
        {true, {{"feature-ipv6-csum-offload", "0"}}, BY_SEGMENTS, false},
        {false, {{"feature-gso-tcpv4", NULL}, {"feature-gso-tcpv4-prefix", "1"}}, BY_PREFIX, false},
        {true, {{"feature-gso-tcpv6", NULL}, {"feature-gso-tcpv6-prefix", "1"}}, BY_PREFIX, false},
        {true, {{"feature-gso-tcpv4", NULL}, {"feature-gso-tcpv4-prefix", "1"}}, BY_EXTRA, false},
    };

    (void)state;
    for (uint32_t i = 0; i < COUNT(all); i++) {
        const struct large *large = &all[i];
        struct nb_ip ip = {.ipv6 = large->ipv6, .payload = 30001, .seed = i, .options = 4};
        uint8_t type = large->ipv6 ? XENPV_NETIF_GSO_TCPV6 : XENPV_NETIF_GSO_TCPV4;
        struct nb_front front = {.keys = {large->keys[0], large->keys[1]}};
        uint32_t count = nb_make_ip(bytes, &ip), pages = (count + 4095) / 4096;

        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig, &front);
        nb_rx_post(&rig, 0, 0, 60);
        nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes,
                                                      .bytes = count,
                                                      .checksum = XENPV_LINK_BLANK,
                                                      .gso_type = type,
                                                      .gso_size = 1400});
        nb_steps(&rig, 1);
        if (large->way == BY_SEGMENTS) {
            expect_segments(&ip, count, 1400, large->blank);
            nb_down(&rig);
            continue;
        }
        assert_true(nb_receive(&rig, 0, 0, &got));
        assert_int_equal(got.bytes, count);
        assert_memory_equal(got.data, bytes, count);
        assert_int_equal(got.slots, pages + 1);
        assert_int_equal(got.flags & 3, XENPV_NETRXF_CSUM_BLANK | XENPV_NETRXF_DATA_VALIDATED);
        assert_int_equal(got.prefixed, large->way == BY_PREFIX);
        assert_int_equal(got.gso, large->way == BY_EXTRA);
        if (got.gso) {
            assert_int_equal(got.gso_extra.u.gso.size, 1400);
            assert_int_equal(got.gso_extra.u.gso.type, type);
        } else {
            assert_int_equal(got.prefix_size, 1400);
        }
        nb_down(&rig);
    }
}

/* A large packet that is a single segment, and a small one, has room in one page. */
static void test_gso_of_one_segment(void **state)
{
    struct nb_ip ip = {.payload = 1000};
    uint32_t count = nb_make_ip(bytes, &ip);

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    connect_with("feature-sg", "0");
    nb_rx_post(&rig, 0, 0, 2);
    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes,
                                                  .bytes = count,
                                                  .checksum = XENPV_LINK_BLANK,
                                                  .gso_type = XENPV_NETIF_GSO_TCPV4,
                                                  .gso_size = 8900});
    nb_steps(&rig, 1);
    expect_segments(&ip, count, 8900, true);
    nb_down(&rig);
}

/* A large packet that is none of TCP, or of the other IP, is not given to a frontend as one. */
static void test_gso_of_others(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        struct nb_ip ip = {.ipv6 = i & 1, .udp = i & 2, .payload = 9000};
        uint8_t type = i & 4 ? XENPV_NETIF_GSO_TCPV6 : XENPV_NETIF_GSO_TCPV4;
        bool good = !ip.udp && ip.ipv6 == (type == XENPV_NETIF_GSO_TCPV6);

        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        nb_rx_post(&rig, 0, 0, 10);
        nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes,
                                                      .bytes = nb_make_ip(bytes, &ip),
                                                      .checksum = XENPV_LINK_BLANK,
                                                      .gso_type = type,
                                                      .gso_size = 1400});
        nb_steps(&rig, 1);
        assert_int_equal(nb_receive(&rig, 0, 0, &got), good);
        assert_int_equal(nb_stats(&rig).rx_dropped, !good);
        nb_down(&rig);
    }
}

/* Frames of a link that make no sense are dropped. */
static void test_senseless_frames(void **state)
{
    static const struct xenpv_link_frame frames[] = {
        {.bytes = 13},
        {.bytes = 0},
        {.bytes = 65536},
        {.bytes = 100, .gso_type = 3, .gso_size = 1},
        {.bytes = 100, .gso_type = 1, .gso_size = 0},
        {.bytes = 100, .gso_type = 1, .gso_size = 10, .checksum = XENPV_LINK_BLANK},
        {.bytes = 100, .checksum = XENPV_LINK_BLANK},
    };

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    nb_rx_post(&rig, 0, 0, 10);
    memset(bytes, 0, 100);
    for (uint32_t i = 0; i < COUNT(frames); i++) {
        struct xenpv_link_frame frame = frames[i];

        frame.data = frame.bytes <= 100 ? bytes : NULL;
        nb_wire_send(&rig, &frame);
        nb_steps(&rig, 1);
        assert_int_equal(nb_stats(&rig).rx_dropped, i + 1);
        assert_false(nb_receive(&rig, 0, 0, &got));
    }
    nb_down(&rig);
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
        nb_rx_post(&rig, 0, 1, 1);
        nb_steps(&rig, 1);
        assert_true(nb_receive(&rig, 0, 0, &got));
        assert_int_equal(got.bytes, 5000);
        assert_memory_equal(got.data, bytes, 5000);
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
    nb_connect(&rig, &(struct nb_front){.queues = 2});
    for (uint32_t round = 0; round < 10; round++) {
        for (uint32_t q = 0; q < 2; q++)
            nb_rx_post(&rig, q, 0, 255);
        nb_steps(&rig, 4);
        for (uint32_t q = 0; q < 2; q++) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_too_many_pages),
        cmocka_unit_test(test_no_sg),
        cmocka_unit_test(test_bad_references),
        cmocka_unit_test(test_checksum_flags),
        cmocka_unit_test(test_gso),
        cmocka_unit_test(test_gso_of_one_segment),
        cmocka_unit_test(test_gso_of_others),
        cmocka_unit_test(test_senseless_frames),
        cmocka_unit_test(test_BE14_one_slot_of_two),
        cmocka_unit_test(test_BE14_flood),
        cmocka_unit_test(test_rx_notify),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_defer),
        cmocka_unit_test(test_queues),
        cmocka_unit_test(test_multicast),
        cmocka_unit_test(test_multicast_dynamic),
        cmocka_unit_test(test_multicast_full),
        cmocka_unit_test(test_loopback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
