/* SPDX-License-Identifier: MIT */
/* The network backend gives frames with blank checksums, and large ones, in the shape that the
 * frontend takes. */
#include "netback_rig.h"

static struct nb_rig rig;
static struct nb_received got;
static uint8_t bytes[XENPV_LINK_FRAME_MAX];

static void connect_with(const char *key, const char *value)
{
    nb_connect(&rig, &(struct nb_front){.keys = {{key, value}}});
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

/* Several are cut in one step: more bytes, with their segments, than are staged at a time. */
static void test_many_cut(void **state)
{
    (void)state;
    for (uint32_t payload = 20000; payload < 62000; payload += 1500) {
        struct nb_ip ip = {.payload = payload};
        uint32_t segments = (payload + 1399) / 1400, frames = 256 / segments, page = 0;

        frames = frames < 8 ? frames : 8;
        nb_up(&rig);
        nb_start(&rig);
        connect_with("feature-gso-tcpv4", NULL);
        nb_rx_post(&rig, 0, 0, 256);
        for (uint32_t i = 0; i < frames; i++) {
            ip.seed = i;
            nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes,
                                                          .bytes = nb_make_ip(bytes, &ip),
                                                          .checksum = XENPV_LINK_BLANK,
                                                          .gso_type = XENPV_NETIF_GSO_TCPV4,
                                                          .gso_size = 1400});
        }
        nb_steps(&rig, 1);
        for (uint32_t i = 0; i < frames; i++) {
            uint32_t header;

            ip.seed = i;
            header = nb_make_ip(bytes, &ip) - payload;
            for (uint32_t done = 0; done < payload; done += got.bytes - header) {
                assert_true(nb_receive(&rig, 0, page++, &got));
                assert_memory_equal(got.data + header, bytes + header + done, got.bytes - header);
            }
        }
        nb_down(&rig);
    }
}

/* One that is too large for so many pages with that headroom is cut, though it would be taken. */
static void test_gso_and_headroom(void **state)
{
    struct nb_ip ip = {.payload = 40000};
    uint32_t count = nb_make_ip(bytes, &ip), header = count - ip.payload, page = 0;

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    connect_with("xdp-headroom", "2048");
    nb_rx_post(&rig, 0, 0, 100);
    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes,
                                                  .bytes = count,
                                                  .checksum = XENPV_LINK_BLANK,
                                                  .gso_type = XENPV_NETIF_GSO_TCPV4,
                                                  .gso_size = 8000});
    nb_steps(&rig, 1);
    for (uint32_t done = 0; done < ip.payload; done += 8000) {
        assert_true(nb_receive(&rig, 0, page, &got));
        page += got.slots;
        assert_int_equal(got.bytes, header + 8000);
        assert_memory_equal(got.data + header, bytes + header + done, 8000);
        assert_false(got.gso);
    }
    nb_down(&rig);
}

/* What is large has a blank checksum, whatever else is said of it. */
static void test_gso_is_blank(void **state)
{
    static const uint8_t kinds[] = {XENPV_LINK_AS_IS, XENPV_LINK_GOOD, XENPV_LINK_BLANK};
    uint32_t count = nb_make_ip(bytes, &(struct nb_ip){.payload = 9000});

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    nb_rx_post(&rig, 0, 0, 20);
    for (uint32_t i = 0; i < COUNT(kinds); i++) {
        nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes,
                                                      .bytes = count,
                                                      .checksum = kinds[i],
                                                      .gso_type = XENPV_NETIF_GSO_TCPV4,
                                                      .gso_size = 1400});
        nb_steps(&rig, 1);
        assert_true(nb_receive(&rig, 0, 4 * i, &got));
        assert_int_equal(got.slots, 4);
        assert_int_equal(got.flags & 3, XENPV_NETRXF_CSUM_BLANK | XENPV_NETRXF_DATA_VALIDATED);
    }
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum_flags),     cmocka_unit_test(test_gso),
        cmocka_unit_test(test_gso_of_one_segment), cmocka_unit_test(test_gso_of_others),
        cmocka_unit_test(test_senseless_frames),   cmocka_unit_test(test_many_cut),
        cmocka_unit_test(test_gso_and_headroom),   cmocka_unit_test(test_gso_is_blank),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
