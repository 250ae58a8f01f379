/* SPDX-License-Identifier: MIT */
/* The network backend takes packets with extra infos and blank checksums, and what it makes of them
 * for a link that takes less. */
#include "netback_rig.h"

static struct nb_rig rig;
static uint8_t frame[XENPV_LINK_FRAME_MAX];

static void expect_none(void)
{
    struct xenpv_link_frame got;

    assert_false(nb_wire_take(&rig, &got));
}

/* ---- extra infos ----------------------------------------------------------------------------- */

static void expect_large(uint32_t bytes, uint8_t type, uint16_t size)
{
    struct xenpv_link_frame got;

    assert_true(nb_wire_take(&rig, &got));
    assert_int_equal(got.bytes, bytes);
    assert_int_equal(got.checksum, XENPV_LINK_BLANK);
    assert_int_equal(got.gso_type, type);
    assert_int_equal(got.gso_size, size);
}

struct extra_lie {
    const char *what;
    struct xenpv_netif_extra extra;
    bool ipv6, udp;
    uint32_t without;
    int status;
};

#define GSO(kind, bytes)                                                                           \
    {                                                                                              \
        .type = XENPV_NETIF_EXTRA_GSO, .u.gso = {.size = (bytes), .type = (kind) }                 \
    }

static void test_gso(void **state)
{
    static const struct extra_lie all[] = {
        {"v4", GSO(1, 1448), false, false, 0, XENPV_NETIF_OKAY},
        {"v6", GSO(2, 1428), true, false, 0, XENPV_NETIF_OKAY},
        {"one byte", GSO(1, 1), false, false, 0, XENPV_NETIF_OKAY},
        {"size 0", GSO(1, 0), false, false, 0, XENPV_NETIF_ERROR},
        {"type 0", GSO(0, 1448), false, false, 0, XENPV_NETIF_ERROR},
        {"type 3", GSO(3, 1448), false, false, 0, XENPV_NETIF_ERROR},
        {"type 255", GSO(255, 1448), false, false, 0, XENPV_NETIF_ERROR},
        {"v4 said of v6", GSO(1, 1448), true, false, 0, XENPV_NETIF_ERROR},
        {"v6 said of v4", GSO(2, 1448), false, false, 0, XENPV_NETIF_ERROR},
        {"of UDP", GSO(1, 1448), false, true, 0, XENPV_NETIF_ERROR},
        {"v4, not offered", GSO(1, 1448), false, false, XENPV_NET_GSO4, XENPV_NETIF_ERROR},
        {"v6, not offered", GSO(2, 1448), true, false, XENPV_NET_GSO6, XENPV_NETIF_ERROR},
        {"v6, v4 not offered", GSO(2, 1448), true, false, XENPV_NET_GSO4, XENPV_NETIF_OKAY},
        {"v4, checksums not offered", GSO(1, 9), false, false, XENPV_NET_CSUM4, XENPV_NETIF_ERROR},
        {"type 0 of extra infos", {.type = 0}, false, false, 0, XENPV_NETIF_ERROR},
        {"type 5 of extra infos", {.type = 5}, false, false, 0, XENPV_NETIF_ERROR},
        {"type 255 of extra infos", {.type = 255}, false, false, 0, XENPV_NETIF_ERROR},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        struct nb_ip ip = {.ipv6 = all[i].ipv6, .udp = all[i].udp, .payload = 20000, .seed = 9};
        struct nb_packet packet = {.frame = frame, .extra = &all[i].extra, .extras = 1};

        nb_up(&rig);
        rig.config.without = all[i].without;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        packet.total = nb_make_ip(frame, &ip);
        packet.parts = (packet.total + 4095) / 4096;
        /* A frontend that forgets the flag is understood all the same. */
        for (uint32_t flag = 0; flag < 2; flag++) {
            int status;

            packet.flags = flag ? XENPV_NETTXF_CSUM_BLANK | XENPV_NETTXF_DATA_VALIDATED : 0;
            status = nb_send(&rig, 0, &packet);
            if (status != all[i].status)
                fail_msg("%s: %d", all[i].what, status);
            if (status == XENPV_NETIF_OKAY)
                expect_large(packet.total, all[i].extra.u.gso.type, all[i].extra.u.gso.size);
            expect_none();
        }
        nb_down(&rig);
    }
}

/* Several extra infos in a row; a hash goes with the frame. */
static void test_extras_in_a_row(void **state)
{
    struct nb_ip ip = {.payload = 5000, .seed = 2};
    struct xenpv_netif_extra extra[2] = {
        {.type = XENPV_NETIF_EXTRA_HASH,
         .flags = XENPV_NETIF_EXTRA_MORE,
         .u.hash = {XENPV_NETIF_HASH_IPV4_TCP, XENPV_NETIF_ALGORITHM_TOEPLITZ, 0x12345678}},
        GSO(1, 1000)};
    struct nb_packet packet = {.frame = frame, .extra = extra, .extras = 2};
    struct xenpv_link_frame got;

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    packet.total = nb_make_ip(frame, &ip);
    packet.parts = 2;
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
    assert_true(nb_wire_take(&rig, &got));
    assert_true(got.hashed);
    assert_int_equal(got.hash_type, XENPV_NETIF_HASH_IPV4_TCP);
    assert_int_equal(got.hash_algorithm, XENPV_NETIF_ALGORITHM_TOEPLITZ);
    assert_int_equal(got.hash, 0x12345678);
    assert_int_equal(got.gso_size, 1000);
    nb_down(&rig);
}

/* ---- checksums ------------------------------------------------------------------------------- */

/* As a network card does it, that adds what is there, and knows nothing of a pseudo header. */
static void complete(uint8_t *data, uint32_t count, uint32_t begin, uint32_t at)
{
    uint32_t sum = 0;

    for (uint32_t i = begin; i < count; i++)
        sum += (uint32_t)data[i] << ((i - begin) % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    data[at] = (uint8_t)(~sum >> 8);
    data[at + 1] = (uint8_t)~sum;
}

static void test_checksum_flags(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 16; i++) {
        struct nb_ip ip = {.ipv6 = i & 1, .udp = i & 2, .payload = 101, .seed = i};
        bool blank = i & 4, validated = i & 8;
        struct nb_packet packet = {.frame = frame,
                                   .parts = 1,
                                   .flags =
                                       (uint16_t)((blank ? XENPV_NETTXF_CSUM_BLANK : 0) |
                                                  (validated ? XENPV_NETTXF_DATA_VALIDATED : 0))};
        struct xenpv_link_frame got;
        uint32_t sum_at;

        nb_up(&rig);
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        packet.total = nb_make_ip(frame, &ip);
        sum_at = nb_transport(frame) + (ip.udp ? 6 : 16);
        if (blank)
            memset(frame + sum_at, 0, 2);
        assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
        assert_true(nb_wire_take(&rig, &got));
        assert_int_equal(got.checksum, blank       ? XENPV_LINK_BLANK
                                       : validated ? XENPV_LINK_GOOD
                                                   : XENPV_LINK_AS_IS);
        assert_int_equal(nb_good_sums(got.data, got.bytes), !blank);
        if (blank)
            complete(got.data, got.bytes, nb_transport(frame), sum_at);
        assert_true(nb_good_sums(got.data, got.bytes));
        nb_down(&rig);
        /* A link that takes no blank checksum is given a right one. */
        nb_up(&rig);
        rig.link.takes = 0;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
        assert_true(nb_wire_take(&rig, &got));
        assert_true(nb_good_sums(got.data, got.bytes));
        assert_int_equal(got.checksum, blank || validated ? XENPV_LINK_GOOD : XENPV_LINK_AS_IS);
        assert_int_equal(nb_stats(&rig).checksums, blank);
        nb_down(&rig);
    }
}

struct blank_lie {
    const char *what;
    uint32_t at; /* this byte of the frame ... */
    uint8_t value;
    bool ipv6;
    uint32_t without;
    int status;
};

/* A blank checksum of what has none, or where none was offered. */
static void test_blank_lies(void **state)
{
    static const struct blank_lie all[] = {
        {"nothing changed", 0, 2, false, 0, XENPV_NETIF_OKAY},
        {"ARP", 13, 6, false, 0, XENPV_NETIF_ERROR},
        {"ICMP", 23, 1, false, 0, XENPV_NETIF_ERROR},
        {"a fragment", 21, 1, false, 0, XENPV_NETIF_ERROR},
        {"IP version", 14, 0x55, false, 0, XENPV_NETIF_ERROR},
        {"IP header length", 14, 0x44, false, 0, XENPV_NETIF_ERROR},
        {"IP header behind the end", 14, 0x4f, false, 0, XENPV_NETIF_ERROR},
        {"IP length behind the end", 16, 9, false, 0, XENPV_NETIF_ERROR},
        {"IP length within its header", 17, 19, false, 0, XENPV_NETIF_ERROR},
        {"TCP header too short", 46, 0x40, false, 0, XENPV_NETIF_ERROR},
        {"TCP header behind the end", 46, 0xf0, false, 0, XENPV_NETIF_ERROR},
        {"not offered", 0, 2, false, XENPV_NET_CSUM4, XENPV_NETIF_ERROR},
        {"not offered for v6", 0, 2, false, XENPV_NET_CSUM6, XENPV_NETIF_OKAY},
        {"v6, nothing changed", 0, 2, true, 0, XENPV_NETIF_OKAY},
        {"v6, not offered", 0, 2, true, XENPV_NET_CSUM6, XENPV_NETIF_ERROR},
        {"v6, length behind the end", 18, 9, true, 0, XENPV_NETIF_ERROR},
        {"v6, options that never end", 20, 60, true, 0, XENPV_NETIF_ERROR},
        {"v6, ICMP", 20, 58, true, 0, XENPV_NETIF_ERROR},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        struct nb_ip ip = {.ipv6 = all[i].ipv6, .payload = 20, .seed = 77};
        struct nb_packet packet = {.frame = frame, .parts = 1, .flags = XENPV_NETTXF_CSUM_BLANK};
        int status;

        nb_up(&rig);
        rig.config.without = all[i].without;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        packet.total = nb_make_ip(frame, &ip);
        frame[all[i].at] = all[i].value;
        status = nb_send(&rig, 0, &packet);
        if (status != all[i].status)
            fail_msg("%s: %d", all[i].what, status);
        nb_down(&rig);
    }
}

/* For a link that takes nothing large the backend cuts it itself, and makes the checksums. */
static void test_segments(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        struct nb_ip ip = {
            .ipv6 = i & 1, .payload = 10000 + i * 13, .seed = i, .options = 12, .tags = i / 4};
        uint32_t mss = i & 2 ? 1448 : 999, done = 0, header;
        struct xenpv_netif_extra extra = GSO((uint8_t)(i & 1 ? 2 : 1), (uint16_t)mss);
        struct nb_packet packet = {.frame = frame, .extra = &extra, .extras = 1};
        struct xenpv_link_frame got;

        nb_up(&rig);
        rig.link.takes = i & 2 ? 0 : XENPV_LINK_TAKES_BLANK;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        packet.total = nb_make_ip(frame, &ip);
        packet.parts = (packet.total + 4095) / 4096;
        header = packet.total - ip.payload;
        assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
        for (uint32_t number = 0; done < ip.payload; number++) {
            uint32_t tcp, bytes = ip.payload - done < mss ? ip.payload - done : mss;
            bool last = done + bytes == ip.payload;

            assert_true(nb_wire_take(&rig, &got));
            tcp = nb_transport(got.data);
            assert_int_equal(got.bytes, header + bytes);
            assert_memory_equal(got.data + header, frame + header + done, bytes);
            assert_int_equal(got.gso_type, XENPV_NETIF_GSO_NONE);
            assert_int_equal(got.data[tcp + 6] << 8 | got.data[tcp + 7], 1000 + done);
            assert_int_equal(got.data[tcp + 13],
                             0x10 | (last ? 0x09 : 0) | (number == 0 ? 0x80 : 0));
            if (!ip.ipv6)
                assert_int_equal(got.data[tcp - 16 + 1], (ip.seed + number) & 0xff);
            if (i & 2)
                assert_true(nb_good_sums(got.data, got.bytes));
            assert_int_equal(got.checksum, i & 2 ? XENPV_LINK_GOOD : XENPV_LINK_BLANK);
            done += bytes;
        }
        expect_none();
        assert_int_equal(nb_stats(&rig).segments, (ip.payload + mss - 1) / mss);
        nb_down(&rig);
    }
}

/* A checksum that comes out as 0 would say of UDP that there is none: it is sent as 0xffff. */
static void test_checksum_of_zero(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct nb_ip ip = {.ipv6 = i & 1, .udp = i & 2, .payload = 100, .seed = i};
        struct nb_packet packet = {.frame = frame, .parts = 1, .flags = XENPV_NETTXF_CSUM_BLANK};
        uint32_t sum_at, data, word;
        struct xenpv_link_frame got;

        nb_up(&rig);
        rig.link.takes = 0;
        nb_start(&rig);
        nb_connect(&rig, &(struct nb_front){0});
        packet.total = nb_make_ip(frame, &ip);
        sum_at = nb_transport(frame) + (ip.udp ? 6 : 16);
        data = packet.total - ip.payload;
        word = ((uint32_t)frame[data] << 8 | frame[data + 1]) +
               ((uint32_t)frame[sum_at] << 8 | frame[sum_at + 1]);
        word = (word & 0xffff) + (word >> 16);
        frame[data] = (uint8_t)(word >> 8);
        frame[data + 1] = (uint8_t)word;
        assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
        assert_true(nb_wire_take(&rig, &got));
        assert_true(nb_good_sums(got.data, got.bytes));
        assert_int_equal(got.data[sum_at] << 8 | got.data[sum_at + 1], ip.udp ? 0xffff : 0);
        nb_down(&rig);
    }
}

static int refuse_all(void *ctx, const struct xenpv_link_frame *unused)
{
    (void)ctx;
    (void)unused;
    return XENPV_EFULL;
}

/* Of a packet whose segments are dropped the frontend is told so. */
static void test_segments_dropped(void **state)
{
    struct xenpv_netif_extra extra = GSO(1, 1000);
    struct nb_packet packet = {.frame = frame, .extra = &extra, .extras = 1, .parts = 2};

    (void)state;
    nb_up(&rig);
    rig.link.takes = 0;
    rig.link.send = refuse_all;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    packet.total = nb_make_ip(frame, &(struct nb_ip){.payload = 5000});
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_DROPPED);
    assert_int_equal(nb_stats(&rig).tx_dropped, 1);
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gso),
        cmocka_unit_test(test_extras_in_a_row),
        cmocka_unit_test(test_checksum_flags),
        cmocka_unit_test(test_blank_lies),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_checksum_of_zero),
        cmocka_unit_test(test_segments_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
