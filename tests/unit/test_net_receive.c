/* SPDX-License-Identifier: MIT */
/* What a backend delivers is handed over as it was; what fails is dropped whole, and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net_peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct net_rig rig;
static struct peer peer;
static uint8_t bytes[70000], found[70000];

static void up(const struct net_rig_options *options, const struct peer_key *offer)
{
    net_rig_up(&rig, options);
    peer_up(&peer, &rig, offer);
    peer.idle = true;
    net_rig_connect(&rig);
    net_rig_fill(bytes, sizeof(bytes), 1);
    bytes[12] = 8; /* IPv4 */
    bytes[13] = 0;
}

static void expect(uint32_t length, struct xenpv_net_frame *frame)
{
    assert_int_equal(net_rig_receive(&rig, found, frame), length);
    assert_memory_equal(found, bytes, length);
    assert_int_equal(xenpv_netq_frames(rig.q), 0);
}

/* O12, A5: every size around each page boundary; and cut into odd pieces at odd offsets. */
static void test_seed_O12_every_size_around_pages(void **state)
{
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    for (uint32_t pages = 0; pages <= 16; pages++) {
        for (int around = -20; around <= 20; around++) {
            int64_t length = (int64_t)pages * 4096 + around;

            if (length < 1 || length > 65535)
                continue;
            assert_true(peer_deliver(&peer, 0, bytes, (uint32_t)length, &(struct peer_frame){0}));
            expect((uint32_t)length, &frame);
            assert_int_equal(frame.count, ((uint32_t)length + 4095) / 4096);
        }
    }
    peer_rig_down(&peer);
}

static void test_odd_pieces(void **state)
{
    static const uint32_t chunks[] = {1, 2, 14, 60, 100, 1500, 4000, 4095}, offsets[] = {0, 1, 96};
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    for (size_t c = 0; c < COUNT(chunks); c++) {
        for (size_t o = 0; o < COUNT(offsets); o++) {
            for (uint32_t slots = 1; slots <= 18; slots++) {
                struct peer_frame how = {.chunk = chunks[c], .offset = offsets[o]};
                uint32_t room = 4096 - offsets[o];
                uint32_t length = slots * (chunks[c] < room ? chunks[c] : room);

                if (length > 65535)
                    break;
                assert_true(peer_deliver(&peer, 0, bytes, length, &how));
                expect(length, &frame);
                assert_int_equal(frame.count, slots);
            }
        }
    }
    peer_rig_down(&peer);
}

static const struct {
    const char *name;
    uint16_t flags, ethertype;
    uint32_t extras;
    struct xenpv_netif_extra extra[3];
    struct xenpv_net_offload offload;
} offloads[] = {
    {"as it is", 0, 0x0800, 0, {{0}}, {0}},
    {"good", 1, 0x86dd, 0, {{0}}, {.checksum = XENPV_NET_CSUM_GOOD}},
    {"blank, IPv4", 3, 0x0800, 0, {{0}}, {.checksum = XENPV_NET_CSUM_BLANK}},
    {"blank, IPv6", 2, 0x86dd, 0, {{0}}, {.checksum = XENPV_NET_CSUM_BLANK, .ipv6 = true}},
    {"large, IPv4",
     3,
     0x0800,
     1,
     {{.type = 1, .u.gso = {1448, 1, 0}}},
     {.checksum = XENPV_NET_CSUM_BLANK, .mss = 1448}},
    {"large, IPv4 as its extra info says, whatever its bytes do",
     3,
     0x86dd,
     1,
     {{.type = 1, .u.gso = {1448, 1, 0}}},
     {.checksum = XENPV_NET_CSUM_BLANK, .mss = 1448}},
    {"large, IPv6, and nobody said that the checksum is blank",
     0,
     0x86dd,
     1,
     {{.type = 1, .u.gso = {1, 2, 0}}},
     {.checksum = XENPV_NET_CSUM_BLANK, .mss = 1, .ipv6 = true}},
    {"hashed, large",
     3,
     0x0800,
     2,
     {{.type = 1, .u.gso = {1448, 1, 0}}, {.type = 4, .u.hash = {1, 1, 0xdeadbeef}}},
     {.checksum = XENPV_NET_CSUM_BLANK,
      .mss = 1448,
      .hashed = true,
      .hash_type = 1,
      .hash_algorithm = 1,
      .hash = 0xdeadbeef}},
    {"a kind of hash that there is not", 0, 0x0800, 1, {{.type = 4, .u.hash = {4, 1, 5}}}, {0}},
    {"multicast extras mean nothing here",
     0,
     0x0800,
     3,
     {{.type = 2}, {.type = 3}, {.type = 4, .u.hash = {0, 1, 5}}},
     {.hashed = true, .hash_algorithm = 1, .hash = 5}},
};

/* Field by field: what lies between them is any compiler's. */
static void expect_offload(const struct xenpv_net_offload *is,
                           const struct xenpv_net_offload *expected)
{
    assert_int_equal(is->checksum, expected->checksum);
    assert_int_equal(is->ipv6, expected->ipv6);
    assert_int_equal(is->mss, expected->mss);
    assert_int_equal(is->hashed, expected->hashed);
    assert_int_equal(is->hash_type, expected->hash_type);
    assert_int_equal(is->hash_algorithm, expected->hash_algorithm);
    assert_int_equal(is->hash, expected->hash);
}

static void test_offloads(void **state)
{
    static const uint32_t lengths[] = {60, 4096, 4097, 65535};
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    for (size_t i = 0; i < COUNT(offloads); i++) {
        for (size_t k = 0; k < COUNT(lengths); k++) {
            struct peer_frame how = {.flags = offloads[i].flags, .extras = offloads[i].extras};

            print_message("  %s\n", offloads[i].name);
            memcpy(how.extra, offloads[i].extra, sizeof(offloads[i].extra));
            bytes[12] = (uint8_t)(offloads[i].ethertype >> 8);
            bytes[13] = (uint8_t)offloads[i].ethertype;
            assert_true(peer_deliver(&peer, 0, bytes, lengths[k], &how));
            expect(lengths[k], &frame);
            expect_offload(&frame.offload, &offloads[i].offload);
        }
    }
    peer_rig_down(&peer);
}

/* The deprecated prefix: a slot of its own, without data. */
static void test_gso_prefix(void **state)
{
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        struct xenpv_netif_rx_response prefix = {.id = peer_buffer(&peer, 0).id,
                                                 .offset = 1400,
                                                 .flags = XENPV_NETRXF_GSO_PREFIX |
                                                          XENPV_NETRXF_MORE_DATA};

        bytes[12] = ipv6 ? 0x86 : 8;
        bytes[13] = ipv6 ? 0xdd : 0;
        peer_put_rx(&peer, 0, &prefix);
        assert_true(peer_deliver(&peer, 0, bytes, 9000, &(struct peer_frame){.flags = 3}));
        expect(9000, &frame);
        assert_int_equal(frame.offload.mss, 1400);
        assert_int_equal(frame.offload.ipv6, ipv6);
        assert_int_equal(frame.offload.checksum, XENPV_NET_CSUM_BLANK);
    }
    peer_rig_down(&peer);
}

/* IPv6 is found behind VLAN tags, too; a frame too short to say is of none. */
static void test_ethertypes(void **state)
{
    static const struct {
        uint8_t header[10];
        uint32_t length;
        bool ipv6;
    } table[] = {
        {{0x86, 0xdd}, 60, true},
        {{0x81, 0x00, 0, 1, 0x86, 0xdd}, 60, true},
        {{0x88, 0xa8, 0, 1, 0x81, 0x00, 0, 1, 0x86, 0xdd}, 60, true},
        {{0x81, 0x00, 0, 1, 0x08, 0x00}, 60, false},
        {{0x08, 0x00}, 60, false},
        {{0x86, 0xdd}, 14, true},
        {{0x86, 0xdd}, 13, false},
        {{0x81, 0x00, 0, 1, 0x86, 0xdd}, 17, false},
    };
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    for (size_t i = 0; i < COUNT(table); i++) {
        memcpy(bytes + 12, table[i].header, sizeof(table[i].header));
        assert_true(
            peer_deliver(&peer, 0, bytes, table[i].length, &(struct peer_frame){.flags = 3}));
        expect(table[i].length, &frame);
        assert_int_equal(frame.offload.ipv6, table[i].ipv6);
    }
    peer_rig_down(&peer);
}

/* Headroom, as Linux netback counts it, and as one does that lets the offset say it. */
static void test_headroom(void **state)
{
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){.headroom = 256}, peer_linux);
    assert_int_equal(peer.headroom, 256);
    for (uint32_t length = 1; length < 60000; length = length * 2 + 77) {
        struct peer_frame how = {
            .headroom = 256, .extras = 1, .extra = {{.type = 5, .u.xdp.headroom = 256}}};

        assert_true(peer_deliver(&peer, 0, bytes, length, &how));
        expect(length, &frame);
        assert_int_equal(frame.headroom, 256);
        how.headroom = 0;
        how.offset = 256;
        assert_true(peer_deliver(&peer, 0, bytes, length, &how));
        expect(length, &frame);
        assert_int_equal(frame.headroom, 256);
        /* Data behind the headroom stays where it is; and the next frame has none. */
        how.offset = 300;
        assert_true(peer_deliver(&peer, 0, bytes, length, &how));
        expect(length, &frame);
        assert_int_equal(frame.headroom, 256);
        assert_true(peer_deliver(&peer, 0, bytes, length, &(struct peer_frame){.chunk = 4000}));
        expect(length, &frame);
        assert_int_equal(frame.headroom, 0);
    }
    peer_rig_down(&peer);
}

/* FE-12, FE-14, FE-20: what is dropped, and that the next frame is found. */
static void test_FE_12_dropped_whole(void **state)
{
    struct xenpv_net_frame frame;
    struct xenpv_netq_stats stats;
    uint64_t dropped = 0;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    for (int round = 0; round < 20; round++) {
        for (int fail = 1; fail <= 16; fail++) {
            assert_true(
                peer_deliver(&peer, 0, bytes, 65535, &(struct peer_frame){.fail_at = fail}));
            assert_true(peer_deliver(&peer, 0, bytes, 1000, &(struct peer_frame){0}));
            expect(1000, &frame);
        }
        for (uint32_t slots = 19; slots <= 120; slots += 25) {
            assert_true(
                peer_deliver(&peer, 0, bytes, slots * 10, &(struct peer_frame){.chunk = 10}));
            assert_true(peer_deliver(&peer, 0, bytes, 500, &(struct peer_frame){0}));
            expect(500, &frame);
            dropped++;
        }
    }
    xenpv_netq_stats(rig.q, &stats);
    assert_int_equal(stats.rx_errors, 20 * 16);
    assert_int_equal(stats.rx_dropped, dropped);
    peer_rig_down(&peer);
}

static void put_slot(int16_t status, uint16_t flags)
{
    struct xenpv_netif_rx_response response = {
        .id = peer_buffer(&peer, 0).id, .flags = flags, .status = status};

    peer_put_rx(&peer, 0, &response);
}

/* FE-20: slots without bytes are no fragments. */
static void test_FE_20_empty_slots(void **state)
{
    struct xenpv_net_frame frame;
    struct xenpv_netq_stats stats;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    put_slot(0, 0);
    peer_show(&peer, &peer.rx[0], 1);
    assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 0);
    put_slot(0, XENPV_NETRXF_MORE_DATA);
    put_slot(0, XENPV_NETRXF_MORE_DATA);
    put_slot(10, XENPV_NETRXF_MORE_DATA);
    put_slot(0, XENPV_NETRXF_MORE_DATA);
    put_slot(5, 0);
    peer_show(&peer, &peer.rx[0], 1);
    assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
    assert_int_equal(frame.length, 15);
    assert_int_equal(frame.count, 2);
    xenpv_netq_return(rig.q, &frame);
    xenpv_netq_stats(rig.q, &stats);
    assert_int_equal(stats.rx_dropped, 1);
    peer_rig_down(&peer);
}

/* A first slot of nothing but headroom is no fragment, and its page comes back. */
static void test_headroom_alone(void **state)
{
    const struct xenpv_netif_extra extra = {.type = 5, .u.xdp.headroom = 200};
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){.rx_buffers = 18, .headroom = 200}, peer_linux);
    for (int i = 0; i < 100; i++) {
        put_slot(200, XENPV_NETRXF_EXTRA_INFO | XENPV_NETRXF_MORE_DATA);
        peer_buffer(&peer, 0);
        peer_put_rx_extra(&peer, 0, &extra);
        put_slot(260, 0);
        peer_show(&peer, &peer.rx[0], 1);
        assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
        assert_int_equal(frame.count, 1);
        assert_int_equal(frame.length, 60);
        xenpv_netq_return(rig.q, &frame);
        assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 0);
    }
    peer_rig_down(&peer);
}

/* Who only polls gives few buffers back, too, once nothing else is to be done. */
static void test_few_buffers(void **state)
{
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){.poll = true}, peer_linux);
    for (uint32_t count = 1; count < 30; count++) {
        for (uint32_t i = 0; i < count; i++)
            assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
            xenpv_netq_return(rig.q, &frame);
        }
        assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 0);
        assert_int_equal(xenpv_ring_available(&peer.rx[0].ring), 256);
    }
    peer_rig_down(&peer);
}

/* A frame whose rest comes later is waited for, and an event tells when it has come. */
static void test_frame_in_parts(void **state)
{
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    for (uint32_t parts = 1; parts < 18; parts++) {
        for (uint32_t i = 0; i < parts; i++) {
            put_slot(100, XENPV_NETRXF_MORE_DATA);
            peer_show(&peer, &peer.rx[0], 1);
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 0);
        }
        put_slot(100, 0);
        peer_show(&peer, &peer.rx[0], 1);
        assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
        assert_int_equal(frame.length, (parts + 1) * 100);
        xenpv_netq_return(rig.q, &frame);
    }
    peer_rig_down(&peer);
}

/* Frames stay the caller's, in any number, and come back in any order; pages are granted once. */
static void test_frames_are_kept(void **state)
{
    static struct xenpv_net_frame frames[100];
    struct xenpv_mock_ledger before, after;

    (void)state;
    up(&(struct net_rig_options){.rx_buffers = 100}, peer_linux);
    assert_int_equal(xenpv_mock_ledger(rig.mock, 1, &before), 0);
    for (uint32_t round = 0; round < 50; round++) {
        uint32_t got = 0;

        for (uint32_t i = 0; i < 100; i++) {
            bytes[20] = (uint8_t)i;
            assert_true(peer_deliver(&peer, 0, bytes, 60 + i, &(struct peer_frame){0}));
        }
        assert_false(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
        for (int count; (count = xenpv_netq_receive(rig.q, frames + got, 7)) > 0;)
            got += (uint32_t)count;
        assert_int_equal(got, 100);
        assert_int_equal(xenpv_netq_frames(rig.q), 100);
        for (uint32_t i = 0; i < 100; i++) {
            const uint8_t *data = frames[i].fragment[0].base;

            assert_int_equal(frames[i].length, 60 + i);
            assert_int_equal(data[20], i);
        }
        for (uint32_t i = 0; i < 100; i++)
            xenpv_netq_return(rig.q, &frames[(i * 37 + round) % 100]);
        assert_int_equal(xenpv_netq_receive(rig.q, frames, 1), 0);
    }
    assert_int_equal(xenpv_mock_ledger(rig.mock, 1, &after), 0);
    assert_memory_equal(&before, &after, sizeof(before));
    peer_rig_down(&peer);
}

/* What the caller wrote into a page is not shown to a backend that is not trusted (GT-08). */
static void test_GT_08_returned_pages(void **state)
{
    struct xenpv_net_frame frame;
    uint8_t page[4096];

    (void)state;
    for (int untrusted = 0; untrusted < 2; untrusted++) {
        bool leaked = false;

        up(&(struct net_rig_options){.untrusted = untrusted, .rx_buffers = 18}, peer_linux);
        for (int i = 0; i < 40; i++) {
            assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
            memset(frame.fragment[0].base, 0x5a, 1000);
            xenpv_netq_return(rig.q, &frame);
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 0);
        }
        for (int i = 0; i < 18; i++) {
            assert_int_equal(peer_copy(&peer, peer_buffer(&peer, 0).ref, 0, page, 4096, false), 0);
            leaked |= page[500] == 0x5a;
        }
        assert_int_equal(leaked, !untrusted);
        peer_rig_down(&peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_O12_every_size_around_pages),
        cmocka_unit_test(test_odd_pieces),
        cmocka_unit_test(test_offloads),
        cmocka_unit_test(test_gso_prefix),
        cmocka_unit_test(test_ethertypes),
        cmocka_unit_test(test_headroom),
        cmocka_unit_test(test_FE_12_dropped_whole),
        cmocka_unit_test(test_FE_20_empty_slots),
        cmocka_unit_test(test_headroom_alone),
        cmocka_unit_test(test_few_buffers),
        cmocka_unit_test(test_frame_in_parts),
        cmocka_unit_test(test_frames_are_kept),
        cmocka_unit_test(test_GT_08_returned_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
