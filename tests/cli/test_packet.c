/* SPDX-License-Identifier: MIT */
/* Addresses, and frames of ARP, neighbour discovery and echoes: composed, read, and spoiled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "xenpv/host.h"

/* ---- addresses ------------------------------------------------------------------------------- */

static void test_texts_of_addresses(void **state)
{
    static const struct {
        const char *text, *shown; /* NULL: it is no address */
    } rows[] = {
        {"10.77.0.1", "10.77.0.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"fd77::2", "fd77::2"},
        {"FD77:0:0:0:0:0:0:2", "fd77::2"},
        {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"1:0:0:0:2:0:0:3", "1::2:0:0:3"},
        {"1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"},
        {"1::3:4:5:6:7:8", "1:0:3:4:5:6:7:8"},
        {"fe80::0001:0203", "fe80::1:203"},
        {"", NULL},
        {"10.77.0", NULL},
        {"10.77.0.1.2", NULL},
        {"10.77.0.256", NULL},
        {"10.077.0.1", NULL},
        {"10.77..1", NULL},
        {"10.77.0.1 ", NULL},
        {" 10.77.0.1", NULL},
        {"10.77.0.-1", NULL},
        {":", NULL},
        {":::", NULL},
        {"1::2::3", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1:2:3:4:5:6:7:8::", NULL},
        {"::1:2:3:4:5:6:7:8", NULL},
        {"12345::", NULL},
        {"g::", NULL},
        {"1:2:3:4:5:6:7:", NULL},
        {":1:2:3:4:5:6:7", NULL},
        {"fd77::1%eth0", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[IP_TEXT_MAX];
        struct ip ip;

        if (ip_parse(rows[i].text, &ip) != (rows[i].shown != NULL))
            fail_msg("'%s'", rows[i].text);
        if (!rows[i].shown)
            continue;
        ip_text(&ip, text);
        assert_string_equal(text, rows[i].shown);
    }
}

static void test_prefixes(void **state)
{
    static const struct {
        const char *own, *other;
        bool valid, shared;
    } rows[] = {
        {"10.77.0.2/24", "10.77.0.1", true, true},
        {"10.77.0.2/24", "10.77.1.1", true, false},
        {"10.77.0.2/23", "10.77.1.1", true, true},
        {"10.77.0.2/32", "10.77.0.2", true, true},
        {"10.77.0.2/32", "10.77.0.3", true, false},
        {"10.77.0.2/0", "1.2.3.4", true, true},
        {"fd77::2/64", "fd77::1", true, true},
        {"fd77::2/64", "fd77:0:0:1::1", true, false},
        {"fd77::2/63", "fd77:0:0:1::1", true, true},
        {"fd77::2/128", "fd77::2", true, true},
        {"0.0.0.0/0", "::", true, false},
        {"10.77.0.2", "10.77.0.1", false, false},
        {"10.77.0.2/33", "10.77.0.1", false, false},
        {"fd77::2/129", "fd77::1", false, false},
        {"10.77.0.2/", "10.77.0.1", false, false},
        {"10.77.0.2/24x", "10.77.0.1", false, false},
        {"/24", "10.77.0.1", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ip own, other;
        unsigned prefix = 0;

        assert_true(ip_parse(rows[i].other, &other));
        if (ip_parse_prefix(rows[i].own, &own, &prefix) != rows[i].valid)
            fail_msg("'%s'", rows[i].own);
        if (rows[i].valid && ip_share_prefix(&own, &other, prefix) != rows[i].shared)
            fail_msg("'%s' and '%s'", rows[i].own, rows[i].other);
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

static struct packet_end end_of(const char *address, uint8_t last)
{
    struct packet_end end = {.mac = {0, 0x16, 0x3e, 0, 0, last}};

    assert_true(ip_parse(address, &end.ip));
    return end;
}

/* An ARP request as RFC 826 has it, byte by byte. */
static void test_arp_request(void **state)
{
    static const uint8_t expected[] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x16, 0x3e, 0, 0, 2, 8, 6, 0, 1, 8, 0,  6,  4, 0,
        1,    0,    0x16, 0x3e, 0,    0,    2, 10,   77,   0, 2, 0, 0, 0, 0, 0, 0, 10, 77, 0, 1};
    struct packet_end own = end_of("10.77.0.2", 2), other = end_of("10.77.0.1", 1);
    uint8_t frame[PACKET_SHORT_MAX];

    (void)state;
    assert_int_equal(packet_who(frame, &own, &other.ip), sizeof(expected));
    assert_memory_equal(frame, expected, sizeof(expected));
}

/* A neighbour solicitation; its checksum was reckoned by hand: 0x4093. */
static void test_neighbour_solicitation(void **state)
{
    struct packet_end own = end_of("fd77::2", 2), other = end_of("fd77::1", 1);
    static const uint8_t to[] = {0x33, 0x33, 0xff, 0, 0, 1};
    static const uint8_t group[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1};
    uint8_t frame[PACKET_SHORT_MAX];

    (void)state;
    assert_int_equal(packet_who(frame, &own, &other.ip), 86);
    assert_memory_equal(frame, to, 6);
    assert_int_equal(frame[14 + 7], 255);
    assert_memory_equal(frame + 14 + 24, group, 16);
    assert_int_equal(frame[54], 135);
    assert_int_equal(frame[56] << 8 | frame[57], 0x4093);
}

static uint32_t read_all(const uint8_t *frame, uint32_t bytes, struct packet *packet)
{
    packet_parse(frame, bytes, packet);
    return packet->kind;
}

/* Question, answer, echo, reply, as both ends see them. */
static void talk(const char *one, const char *two)
{
    struct packet_end a = end_of(one, 1), b = end_of(two, 2);
    struct host host = {.addresses = {b.ip}, .count = 1};
    uint8_t question[PACKET_MAX], answer[PACKET_MAX], payload[1001];
    struct packet packet;
    uint32_t bytes;

    memcpy(host.mac, b.mac, 6);
    memset(payload, 0x5a, sizeof(payload));
    bytes = packet_who(question, &a, &b.ip);
    assert_int_equal(read_all(question, bytes, &packet), PACKET_WHO);
    assert_true(ip_same(&packet.from, &a.ip) && ip_same(&packet.to, &b.ip) && packet.has_mac);
    assert_memory_equal(packet.mac, a.mac, 6);
    bytes = host_answer(&host, &packet, answer);
    assert_int_equal(read_all(answer, bytes, &packet), PACKET_HERE);
    assert_true(ip_same(&packet.to, &b.ip) && packet.has_mac);
    assert_memory_equal(packet.mac, b.mac, 6);
    assert_memory_equal(packet.destination, a.mac, 6);
    for (uint32_t size = 0; size <= sizeof(payload); size += 77) {
        bytes = packet_echo(question, PACKET_ECHO, &a, &b, 0xbeef, 0xfedc, payload, size);
        assert_int_equal(bytes, packet_echo_head(a.ip.v6) + size);
        assert_int_equal(read_all(question, bytes, &packet), PACKET_ECHO);
        bytes = host_answer(&host, &packet, answer);
        assert_int_equal(read_all(answer, bytes, &packet), PACKET_REPLY);
        assert_true(ip_same(&packet.from, &b.ip) && ip_same(&packet.to, &a.ip));
        assert_int_equal(packet.id, 0xbeef);
        assert_int_equal(packet.sequence, 0xfedc);
        assert_int_equal(packet.bytes, size);
        assert_memory_equal(packet.payload, payload, size);
    }
}

static void test_talk_ipv4(void **state)
{
    (void)state;
    talk("10.77.0.2", "10.77.0.1");
}

static void test_talk_ipv6(void **state)
{
    (void)state;
    talk("fd77::2", "fd77::1");
}

/* A host is silent to what is not for it. */
static void test_host_is_silent(void **state)
{
    struct packet_end a = end_of("10.77.0.2", 1), b = end_of("10.77.0.1", 2);
    struct packet_end other = end_of("10.77.0.3", 3), all = end_of("255.255.255.255", 0);
    struct host host = {.addresses = {b.ip}, .count = 1};
    uint8_t frame[256], answer[256];
    struct packet packet;

    (void)state;
    memcpy(host.mac, b.mac, 6);
    packet_parse(frame, packet_who(frame, &a, &other.ip), &packet);
    assert_int_equal(host_answer(&host, &packet, answer), 0);
    packet_parse(frame, packet_echo(frame, PACKET_ECHO, &a, &other, 1, 1, answer, 0), &packet);
    assert_int_equal(host_answer(&host, &packet, answer), 0);
    packet_parse(frame, packet_echo(frame, PACKET_REPLY, &a, &b, 1, 1, answer, 0), &packet);
    assert_int_equal(host_answer(&host, &packet, answer), 0);
    /* Whose answer would go to all. */
    packet_parse(frame, packet_echo(frame, PACKET_ECHO, &all, &b, 1, 1, answer, 0), &packet);
    assert_int_equal(packet.kind, PACKET_ECHO);
    assert_int_equal(host_answer(&host, &packet, answer), 0);
    /* Which was for another card. */
    packet_parse(frame, packet_echo(frame, PACKET_ECHO, &a, &b, 1, 1, answer, 0), &packet);
    assert_int_not_equal(host_answer(&host, &packet, answer), 0);
    packet.destination[5] ^= 1;
    assert_int_equal(host_answer(&host, &packet, answer), 0);
}

/* A host that only looks for whether an address is taken has none yet: the answer goes to all. */
static void test_probe_ipv6(void **state)
{
    struct packet_end a = end_of("::", 1), b = end_of("fd77::1", 2);
    struct host host = {.addresses = {b.ip}, .count = 1};
    static const uint8_t nodes[6] = {0x33, 0x33, 0, 0, 0, 1};
    uint8_t frame[PACKET_SHORT_MAX], answer[PACKET_SHORT_MAX];
    struct packet packet;

    (void)state;
    packet_parse(frame, packet_who(frame, &a, &b.ip), &packet);
    packet_parse(answer, host_answer(&host, &packet, answer), &packet);
    assert_int_equal(packet.kind, PACKET_HERE);
    assert_memory_equal(packet.destination, nodes, 6);
    assert_int_equal(answer[58], 0x20); /* override, and not solicited */
}

/* Every byte of a frame, changed, makes another frame or none; none is read as if it were whole. */
static void spoil(uint8_t *frame, uint32_t bytes, enum packet_kind kind, uint32_t from)
{
    struct packet packet;

    for (uint32_t i = from; i < bytes; i++) {
        frame[i] ^= 0x41;
        packet_parse(frame, bytes, &packet);
        if (packet.kind == kind)
            fail_msg("byte %u", i);
        frame[i] ^= 0x41;
    }
}

static void test_spoiled_frames(void **state)
{
    static const char *const ends[2][2] = {{"10.77.0.2", "10.77.0.1"}, {"fd77::2", "fd77::1"}};
    static const uint8_t payload[9];
    uint8_t frame[256];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct packet_end a = end_of(ends[i][0], 1), b = end_of(ends[i][1], 2);
        uint32_t bytes = packet_echo(frame, PACKET_ECHO, &a, &b, 1, 2, payload, sizeof(payload));
        struct packet packet;

        if (i == 0)
            spoil(frame, bytes, PACKET_ECHO, 14);
        else
            spoil(frame, bytes, PACKET_ECHO, 22); /* no checksum has the flow label, hop limit */
        /* Cut anywhere. */
        for (uint32_t less = 0; less < bytes; less++) {
            packet_parse(frame, less, &packet);
            assert_int_equal(packet.kind, PACKET_OTHER);
        }
        /* Padded. */
        packet_parse(frame, bytes + 20, &packet);
        assert_int_equal(packet.kind, PACKET_ECHO);
        assert_int_equal(packet.bytes, sizeof(payload));
    }
}

/* Of ND: from beyond the wire, and with options that lead nowhere. */
static void test_foreign_neighbours(void **state)
{
    struct packet_end a = end_of("fd77::2", 1), b = end_of("fd77::1", 2);
    uint8_t frame[PACKET_SHORT_MAX];
    uint32_t bytes = packet_who(frame, &a, &b.ip);
    struct packet packet;

    (void)state;
    packet_parse(frame, bytes, &packet);
    assert_int_equal(packet.kind, PACKET_WHO);
    frame[21] = 254;
    packet_parse(frame, bytes, &packet);
    assert_int_equal(packet.kind, PACKET_OTHER);
    frame[21] = 255;
    /* An option of no length, its checksum right: what was 1 is added elsewhere. */
    frame[79] = 0;
    frame[57] = (uint8_t)(frame[57] + 1);
    packet_parse(frame, bytes, &packet);
    assert_int_equal(packet.kind, PACKET_WHO);
    assert_false(packet.has_mac);
}

static void test_texts_of_frames(void **state)
{
    struct packet_end a = end_of("10.77.0.2", 1), b = end_of("10.77.0.1", 2);
    uint8_t frame[256] = {0};
    char text[PACKET_TEXT_MAX];
    uint32_t bytes = packet_echo(frame, PACKET_ECHO, &a, &b, 7, 9, frame, 0);

    (void)state;
    packet_text(frame, bytes, bytes, text);
    assert_string_equal(text, "00:16:3e:00:00:01 > 00:16:3e:00:00:02, length 42: 10.77.0.2 > "
                              "10.77.0.1: echo request, id 7, seq 9");
    frame[23] = 6; /* TCP */
    packet_text(frame, bytes, 1514, text);
    assert_string_equal(text, "00:16:3e:00:00:01 > 00:16:3e:00:00:02, length 1514: 10.77.0.2 > "
                              "10.77.0.1: TCP 2048 > 63471");
    frame[12] = 0x88;
    packet_text(frame, bytes, bytes, text);
    assert_string_equal(text, "00:16:3e:00:00:01 > 00:16:3e:00:00:02, length 42: type 0x8800");
    packet_text(frame, 13, 13, text);
    assert_string_equal(text, "no whole header, length 13");
    /* No cut makes it read beyond. */
    for (uint32_t less = 14; less < bytes; less++)
        packet_text(frame, less, bytes, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_of_addresses), cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_arp_request),        cmocka_unit_test(test_neighbour_solicitation),
        cmocka_unit_test(test_talk_ipv4),          cmocka_unit_test(test_talk_ipv6),
        cmocka_unit_test(test_host_is_silent),     cmocka_unit_test(test_probe_ipv6),
        cmocka_unit_test(test_spoiled_frames),     cmocka_unit_test(test_foreign_neighbours),
        cmocka_unit_test(test_texts_of_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
