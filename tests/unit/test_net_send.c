/* SPDX-License-Identifier: MIT */
/* What is sent arrives as it was, in as few slots as it takes, with what is told beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net_peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct net_rig rig;
static struct peer peer;
static struct peer_packet packet;
static uint8_t bytes[70000], padded[60];

static void up(const struct net_rig_options *options, const struct peer_key *offer)
{
    peer_rig_up(&peer, &rig, options, offer);
    net_rig_fill(bytes, sizeof(bytes), 1);
}

/* Takes the one packet that was sent, answers it, and takes its completion. */
static void take_one(const uint8_t *expected, uint32_t length, void *user)
{
    void *found = NULL;

    assert_true(peer_take(&peer, 0, &packet));
    assert_int_equal(packet.length, length < 60 ? 60 : length);
    assert_memory_equal(packet.bytes, expected, length);
    if (length < 60)
        assert_memory_equal(packet.bytes + length, padded, 60 - length);
    peer_answer(&peer, 0, &packet, XENPV_NETIF_OKAY);
    assert_int_equal(net_rig_wait(&rig, &found), 0);
    assert_ptr_equal(found, user);
    assert_int_equal(xenpv_netq_pending(rig.q), 0);
}

/* O12, A5: every size around each page boundary, one stretch. */
static void test_seed_A5_every_size_around_pages(void **state)
{
    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    peer.idle = true;
    for (uint32_t pages = 0; pages <= 16; pages++) {
        for (int around = -70; around <= 70; around++) {
            int64_t length = (int64_t)pages * 4096 + around;

            if (length < 1 || length > 65535)
                continue;
            assert_int_equal(net_rig_send(&rig, bytes, (size_t)length, &rig), 0);
            take_one(bytes, (uint32_t)length, &rig);
            assert_int_equal(packet.slots, ((uint32_t)(length < 60 ? 60 : length) + 4095) / 4096);
            assert_int_equal(packet.flags & ~XENPV_NETTXF_MORE_DATA, 0);
        }
    }
    peer_rig_down(&peer);
}

/* A packet of many small stretches is gathered: its bytes are what counts, not its vector. */
static void test_vectors(void **state)
{
    static const uint32_t cuts[] = {1, 7, 14, 59, 60, 128, 1500, 4095, 4096, 4097, 9000};

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    peer.idle = true;
    for (size_t c = 0; c < COUNT(cuts); c++) {
        for (uint32_t count = 2; count <= XENPV_NET_IOV_MAX; count++) {
            struct xenpv_iov iov[XENPV_NET_IOV_MAX];
            struct xenpv_net_packet out = {.iov = iov, .count = count};
            uint32_t length = cuts[c] * count;
            int error;

            for (uint32_t i = 0; i < count; i++)
                iov[i] = (struct xenpv_iov){bytes + (size_t)i * cuts[c], cuts[c]};
            if (length > sizeof(bytes))
                break;
            error = xenpv_netq_send(rig.q, &out, iov);
            assert_int_equal(error, length > 65535 ? XENPV_E2BIG : 0);
            if (error)
                break;
            xenpv_netq_submit(rig.q);
            take_one(bytes, length, iov);
            assert_int_equal(packet.slots, ((length < 60 ? 60 : length) + 4095) / 4096);
        }
    }
    peer_rig_down(&peer);
}

/* From shared pages nothing is copied but the front: the slots name those pages. FE-19: the first
 * has all headers. */
static void test_shared_pages(void **state)
{
    (void)state;
    up(&(struct net_rig_options){.shared_pages = 40}, peer_linux);
    peer.idle = true;
    for (uint32_t at = 0; at < 8192; at += 509) {
        for (uint32_t length = 1; length < 65536; length = length * 3 + 61) {
            uint8_t *memory = xenpv_netq_shared(rig.q);
            uint32_t most = length / 4096 + 3;

            assert_non_null(memory);
            memcpy(memory + at, bytes, length);
            assert_int_equal(net_rig_send(&rig, memory + at, length, memory), 0);
            take_one(bytes, length, memory);
            assert_in_range(packet.slots, 1, most < 18 ? most : 18);
            if (length > 128) {
                assert_int_equal(packet.first, 128);
                assert_int_equal(packet.request[1].offset, (at + 128) % 4096);
            }
        }
    }
    peer_rig_down(&peer);
}

/* Headers of the caller's, payload in shared pages; and so many pieces that all is copied. */
static void test_mixed_pieces(void **state)
{
    (void)state;
    up(&(struct net_rig_options){.shared_pages = 40}, peer_linux);
    peer.idle = true;
    for (uint32_t turn = 2; turn <= 81; turn++) {
        uint32_t pieces = turn / 2, extras = turn % 2; /* an extra info takes a slot, too */
        struct xenpv_iov iov[XENPV_NET_IOV_MAX];
        struct xenpv_net_packet out = {.iov = iov, .count = pieces + 1};
        uint8_t *memory = xenpv_netq_shared(rig.q);

        out.offload.mss = (uint16_t)(extras * 500);
        iov[0] = (struct xenpv_iov){bytes, 200};
        for (uint32_t i = 0; i < pieces; i++) {
            memcpy(memory + (size_t)i * 4096, bytes + 200 + i * 100, 100);
            iov[i + 1] = (struct xenpv_iov){memory + (size_t)i * 4096, 100};
        }
        assert_int_equal(xenpv_netq_send(rig.q, &out, NULL), 0);
        xenpv_netq_submit(rig.q);
        take_one(bytes, 200 + pieces * 100, NULL);
        /* As it lies, up to what any backend takes; else copied into as few pages as it takes. */
        assert_int_equal(packet.slots, pieces + 1 + extras <= 18 ? pieces + 1 : 2 - (pieces <= 38));
    }
    peer_rig_down(&peer);
}

static const struct {
    const char *name;
    struct xenpv_net_offload offload;
    uint16_t flags;
    uint32_t extras;
    struct xenpv_netif_extra extra[2];
} offloads[] = {
    {"as it is", {0}, 0, 0, {{0}}},
    {"good", {.checksum = XENPV_NET_CSUM_GOOD}, XENPV_NETTXF_DATA_VALIDATED, 0, {{0}}},
    {"blank, IPv4", {.checksum = XENPV_NET_CSUM_BLANK}, 3, 0, {{0}}},
    {"blank, IPv6", {.checksum = XENPV_NET_CSUM_BLANK, .ipv6 = true}, 3, 0, {{0}}},
    {"large, IPv4",
     {.mss = 1448},
     3 | XENPV_NETTXF_EXTRA_INFO,
     1,
     {{.type = 1, .u.gso = {1448, XENPV_NETIF_GSO_TCPV4, 0}}}},
    {"large, IPv6, hashed",
     {.mss = 1428,
      .ipv6 = true,
      .hashed = true,
      .hash_type = 3,
      .hash_algorithm = 1,
      .hash = 0x89abcdef},
     3 | XENPV_NETTXF_EXTRA_INFO,
     2,
     {{.type = 1, .flags = 1, .u.gso = {1428, XENPV_NETIF_GSO_TCPV6, 0}},
      {.type = 4, .u.hash = {3, 1, 0x89abcdef}}}},
    {"hashed",
     {.hashed = true, .hash_type = 0, .hash_algorithm = 1, .hash = 7},
     XENPV_NETTXF_EXTRA_INFO,
     1,
     {{.type = 4, .u.hash = {0, 1, 7}}}},
};

static void test_offloads(void **state)
{
    static const uint32_t lengths[] = {60, 1514, 4096, 4097, 65535};

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    peer.idle = true;
    for (size_t i = 0; i < COUNT(offloads); i++) {
        for (size_t k = 0; k < COUNT(lengths); k++) {
            struct xenpv_iov iov = {bytes, lengths[k]};
            struct xenpv_net_packet out = {&iov, 1, offloads[i].offload};

            print_message("  %s, %u bytes\n", offloads[i].name, lengths[k]);
            assert_int_equal(xenpv_netq_send(rig.q, &out, NULL), 0);
            xenpv_netq_submit(rig.q);
            take_one(bytes, lengths[k], NULL);
            assert_int_equal(packet.flags & ~XENPV_NETTXF_MORE_DATA, offloads[i].flags);
            assert_int_equal(packet.extras, offloads[i].extras);
            for (uint32_t e = 0; e < packet.extras; e++) {
                assert_int_equal(packet.extra[e].type, offloads[i].extra[e].type);
                assert_int_equal(packet.extra[e].flags, offloads[i].extra[e].flags);
                if (packet.extra[e].type == XENPV_NETIF_EXTRA_HASH) {
                    assert_int_equal(packet.extra[e].u.hash.value, offloads[i].offload.hash);
                    assert_int_equal(packet.extra[e].u.hash.type, offloads[i].offload.hash_type);
                    assert_int_equal(packet.extra[e].u.hash.algorithm, 1);
                } else {
                    assert_int_equal(packet.extra[e].u.gso.size, offloads[i].offload.mss);
                    assert_int_equal(packet.extra[e].u.gso.type, offloads[i].offload.ipv6 ? 2 : 1);
                }
            }
        }
    }
    peer_rig_down(&peer);
}

/* C1: what is switched off, or not offered, is refused. */
static const struct {
    uint32_t without;
    const struct peer_key *offer;
    struct xenpv_net_offload offload;
    uint32_t length;
    int error;
} refusals[] = {
    {0, peer_oldest, {.checksum = XENPV_NET_CSUM_BLANK}, 60, 0},
    {0, peer_oldest, {.checksum = XENPV_NET_CSUM_BLANK, .ipv6 = true}, 60, XENPV_ENOTSUP},
    {0, peer_oldest, {.mss = 100}, 60, XENPV_ENOTSUP},
    {0, peer_oldest, {.hashed = true}, 60, XENPV_ENOTSUP},
    {0, peer_oldest, {0}, 4096, 0},
    {0, peer_oldest, {0}, 4097, XENPV_E2BIG},
    {XENPV_NET_SG, peer_linux, {0}, 4097, XENPV_E2BIG},
    {XENPV_NET_SG, peer_linux, {.mss = 100}, 60, XENPV_ENOTSUP},
    {XENPV_NET_CSUM4, peer_linux, {.checksum = XENPV_NET_CSUM_BLANK}, 60, XENPV_ENOTSUP},
    {XENPV_NET_CSUM4, peer_linux, {.mss = 100}, 60, XENPV_ENOTSUP},
    {XENPV_NET_CSUM4, peer_linux, {.mss = 100, .ipv6 = true}, 60, 0},
    {XENPV_NET_CSUM6, peer_linux, {.mss = 100, .ipv6 = true}, 60, XENPV_ENOTSUP},
    {XENPV_NET_GSO4, peer_linux, {.mss = 100}, 60, XENPV_ENOTSUP},
    {XENPV_NET_GSO6, peer_linux, {.mss = 100, .ipv6 = true}, 60, XENPV_ENOTSUP},
    {XENPV_NET_CONTROL, peer_linux, {.hashed = true}, 60, XENPV_ENOTSUP},
    {0, peer_linux, {.hashed = true, .hash_type = 4}, 60, XENPV_EINVAL},
    {0, peer_linux, {.checksum = 3}, 60, XENPV_EINVAL},
    {0, peer_linux, {0}, 0, XENPV_EINVAL},
    {0, peer_linux, {0}, 65536, XENPV_E2BIG},
};

static void test_seed_C1_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct xenpv_iov iov = {bytes, refusals[i].length};
        struct xenpv_net_packet out = {&iov, 1, refusals[i].offload};
        struct xenpv_iov many[XENPV_NET_IOV_MAX + 1];
        struct xenpv_net_packet wide = {many, XENPV_NET_IOV_MAX + 1, {0}};

        up(&(struct net_rig_options){.without = refusals[i].without}, refusals[i].offer);
        for (size_t k = 0; k < COUNT(many); k++)
            many[k] = (struct xenpv_iov){bytes, 1};
        assert_int_equal(xenpv_netq_send(rig.q, &out, NULL), refusals[i].error);
        assert_int_equal(xenpv_netq_send(rig.q, &wide, NULL), XENPV_EINVAL);
        assert_int_equal(xenpv_netq_pending(rig.q), refusals[i].error == 0);
        xenpv_netq_submit(rig.q);
        peer_rig_down(&peer);
    }
}

/* Answers come in any order; each packet ends once, with its own status. */
static void test_answers_in_any_order(void **state)
{
    static struct peer_packet packets[20];
    static const int16_t answers[] = {0, -1, -2, 0, -7, 5};
    static const int expected[] = {0, XENPV_EIO, XENPV_EFULL, 0, XENPV_EIO, XENPV_EIO};
    struct xenpv_completion done[20];
    struct xenpv_netq_stats stats;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    peer.idle = true;
    for (uint32_t i = 0; i < COUNT(packets); i++) {
        struct xenpv_iov iov = {bytes, 60 + i * 1000};
        struct xenpv_net_packet out = {&iov, 1, {.mss = (uint16_t)(i % 3 ? 0 : 500)}};

        assert_int_equal(xenpv_netq_send(rig.q, &out, &packets[i]), 0);
    }
    xenpv_netq_submit(rig.q);
    for (uint32_t i = 0; i < COUNT(packets); i++)
        assert_true(peer_take(&peer, 0, &packets[i]));
    for (uint32_t i = 0; i < COUNT(packets); i++) {
        uint32_t which = (i * 7 + 3) % COUNT(packets);
        int16_t status = answers[which % COUNT(answers)];

        /* Backwards, slot by slot: the packet ends with the last. */
        for (uint32_t e = 0; e < packets[which].extras; e++)
            peer_put_tx(&peer, 0, 0, XENPV_NETIF_NULL);
        for (uint32_t s = packets[which].slots; s > 0; s--) {
            peer_show(&peer, &peer.tx[0], 0);
            assert_int_equal(xenpv_netq_poll(rig.q, done, 20), 0);
            peer_put_tx(&peer, 0, packets[which].request[s - 1].id, status);
        }
        peer_show(&peer, &peer.tx[0], 0);
        assert_int_equal(xenpv_netq_poll(rig.q, done, 20), 1);
        assert_ptr_equal(done[0].user, &packets[which]);
        assert_int_equal(done[0].status, expected[which % COUNT(answers)]);
    }
    xenpv_netq_stats(rig.q, &stats);
    assert_int_equal(stats.tx_errors, 10);
    assert_int_equal(stats.tx_dropped, 3);
    peer_rig_down(&peer);
}

/* The ring is full: nothing is lost, and there is room again when answers have come. */
static void test_full(void **state)
{
    static const uint32_t buffers[] = {18, 19, 100, 256};
    struct xenpv_completion done[256];

    (void)state;
    for (size_t b = 0; b < COUNT(buffers); b++) {
        uint32_t sent = 0, ended = 0, large = 0;

        up(&(struct net_rig_options){.tx_buffers = buffers[b]}, peer_linux);
        peer.idle = true;
        while (net_rig_send(&rig, bytes, 100, NULL) == 0)
            sent++;
        assert_int_equal(sent, buffers[b]);
        assert_int_equal(net_rig_send(&rig, bytes, 100, NULL), XENPV_EFULL);
        while (peer_take(&peer, 0, &packet))
            peer_answer(&peer, 0, &packet, 0);
        for (int count; (count = xenpv_netq_poll(rig.q, done, 7)) > 0;)
            ended += (uint32_t)count;
        assert_int_equal(ended, sent);
        /* Large ones are taken whole, or not at all. */
        while (net_rig_send(&rig, bytes, 65535, NULL) == 0)
            large++;
        assert_int_equal(large, buffers[b] / 16);
        while (peer_take(&peer, 0, &packet))
            peer_answer(&peer, 0, &packet, 0);
        assert_int_equal(xenpv_netq_poll(rig.q, done, 256), large);
        peer_rig_down(&peer);
    }
}

/* An extra info takes a slot of the ring besides its packet's: the last one is not enough. */
static void test_last_slot(void **state)
{
    const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1};
    struct xenpv_iov iov = {bytes, 1000};
    struct xenpv_net_packet large = {&iov, 1, {.mss = 500}}, plain = {&iov, 1, {0}};
    struct xenpv_completion done[256];

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    peer.idle = true;
    for (uint32_t i = 0; i < 127; i++)
        assert_int_equal(xenpv_netq_send(rig.q, &large, NULL), 0);
    assert_int_equal(xenpv_netq_send(rig.q, &plain, NULL), 0);
    assert_int_equal(xenpv_netq_send(rig.q, &large, NULL), XENPV_EFULL);
    assert_int_equal(xenpv_netq_multicast(rig.q, group, true, NULL), XENPV_EFULL);
    assert_int_equal(xenpv_netq_send(rig.q, &plain, NULL), 0);
    assert_int_equal(xenpv_netq_send(rig.q, &plain, NULL), XENPV_EFULL);
    xenpv_netq_submit(rig.q);
    while (peer_take(&peer, 0, &packet))
        peer_answer(&peer, 0, &packet, 0);
    assert_int_equal(xenpv_netq_poll(rig.q, done, 256), 129);
    peer_rig_down(&peer);
}

/* Without scatter-gather a packet has one slot, wherever its bytes lie. */
static void test_one_slot(void **state)
{
    (void)state;
    up(&(struct net_rig_options){.shared_pages = 3}, peer_oldest);
    peer.idle = true;
    for (uint32_t at = 0; at < 8192; at += 256) {
        uint8_t *memory = xenpv_netq_shared(rig.q);
        uint32_t length = at ? 1 + at / 2 : 60;

        memcpy(memory + at, bytes, length);
        assert_int_equal(net_rig_send(&rig, memory + at, length, memory), 0);
        take_one(bytes, length, memory);
        assert_int_equal(packet.slots, 1);
    }
    assert_int_equal(net_rig_send(&rig, bytes, 4097, NULL), XENPV_E2BIG);
    peer_rig_down(&peer);
}

/* An untrusted backend finds nothing in a page but the frame (GT-09). */
static void test_GT_09_nothing_else_is_shown(void **state)
{
    static const uint32_t lengths[] = {1, 59, 60, 61, 1500, 4000, 4096, 5000};
    uint8_t page[4096];

    (void)state;
    for (int untrusted = 0; untrusted < 2; untrusted++) {
        bool leaked = false;

        up(&(struct net_rig_options){.untrusted = untrusted, .tx_buffers = 18}, peer_linux);
        peer.idle = true;
        for (size_t i = 0; i < 200; i++) {
            uint32_t length = lengths[(i * 5) % COUNT(lengths)];

            assert_int_equal(net_rig_send(&rig, bytes, length, NULL), 0);
            assert_true(peer_take(&peer, 0, &packet));
            for (uint32_t s = 0; s < packet.slots; s++) {
                uint32_t size = s ? packet.request[s].size : packet.first;

                assert_int_equal(peer_copy(&peer, packet.request[s].ref, 0, page, 4096, false), 0);
                for (uint32_t k = size; k < 4096; k++)
                    leaked |= page[k] != 0;
            }
            peer_answer(&peer, 0, &packet, 0);
            assert_int_equal(net_rig_wait(&rig, NULL), 0);
        }
        assert_int_equal(leaked, !untrusted);
        peer_rig_down(&peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A5_every_size_around_pages),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_shared_pages),
        cmocka_unit_test(test_mixed_pieces),
        cmocka_unit_test(test_offloads),
        cmocka_unit_test(test_seed_C1_refusals),
        cmocka_unit_test(test_answers_in_any_order),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_last_slot),
        cmocka_unit_test(test_one_slot),
        cmocka_unit_test(test_GT_09_nothing_else_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
