/* SPDX-License-Identifier: MIT */
#include "packet.h"

#include <stdio.h>
#include <string.h>

#define TYPE_IPV4 0x0800u
#define TYPE_ARP  0x0806u
#define TYPE_IPV6 0x86ddu

#define ARP_BYTES 28u
#define ND_BYTES  24u /* of ICMPv6, up to the options */
#define ND_OPTION 8u  /* one with a MAC */

#define PROTOCOL_ICMP   1u
#define PROTOCOL_TCP    6u
#define PROTOCOL_UDP    17u
#define PROTOCOL_ICMPV6 58u

#define HOP_LIMIT 64u
#define HOP_ND    255u /* RFC 4861: who has another one comes from beyond this wire */

enum {
    ICMP_REPLY = 0,
    ICMP_ECHO = 8,
    ICMPV6_ECHO = 128,
    ICMPV6_REPLY = 129,
    ICMPV6_SOLICITATION = 135,
    ICMPV6_ADVERTISEMENT = 136,
};

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static struct ip ip_at(const uint8_t *at, bool v6)
{
    struct ip ip = {.v6 = v6};

    memcpy(ip.bytes, at, v6 ? 16 : 4);
    return ip;
}

/* ----------------------------------------------------------------------------------- checksums -- */

/* RFC 1071. At most 64 KiB: the sum fits. */
static uint32_t add(uint32_t sum, const uint8_t *bytes, uint32_t count)
{
    for (; count > 1; bytes += 2, count -= 2)
        sum += get16(bytes);
    return count ? sum + ((uint32_t)bytes[0] << 8) : sum;
}

static uint32_t folded(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

/* Of an ICMPv6 message behind its header: RFC 8200, 8.1. 0xffff when the checksum in it is right.
 */
static uint32_t sum_v6(const uint8_t *header, const uint8_t *message, uint32_t bytes)
{
    return folded(add(add(bytes + PROTOCOL_ICMPV6, header + 8, 32), message, bytes));
}

/* ------------------------------------------------------------------------------------- reading -- */

static void parse_arp(const uint8_t *arp, uint32_t bytes, struct packet *packet)
{
    /* Ethernet, IPv4, addresses of 6 and 4 bytes. */
    static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
    uint32_t operation;

    if (bytes < ARP_BYTES || memcmp(arp, head, sizeof(head)) != 0)
        return;
    operation = get16(arp + 6);
    packet->from = ip_at(arp + 14, false);
    packet->to = ip_at(operation == 1 ? arp + 24 : arp + 14, false);
    memcpy(packet->mac, arp + 8, 6);
    packet->has_mac = true;
    if (operation == 1 || operation == 2)
        packet->kind = operation == 1 ? PACKET_WHO : PACKET_HERE;
}

static void parse_echo(const uint8_t *icmp, uint32_t bytes, enum packet_kind kind,
                       struct packet *packet)
{
    packet->kind = kind;
    packet->id = (uint16_t)get16(icmp + 4);
    packet->sequence = (uint16_t)get16(icmp + 6);
    packet->payload = icmp + PACKET_ICMP;
    packet->bytes = bytes - PACKET_ICMP;
}

static void parse_icmp(const uint8_t *icmp, uint32_t bytes, struct packet *packet)
{
    if (bytes < PACKET_ICMP || folded(add(0, icmp, bytes)) != 0xffff || icmp[1] != 0)
        return;
    if (icmp[0] == ICMP_ECHO || icmp[0] == ICMP_REPLY)
        parse_echo(icmp, bytes, icmp[0] == ICMP_ECHO ? PACKET_ECHO : PACKET_REPLY, packet);
}

/* Fragments are not put together: nothing here sends any. */
static void parse_ipv4(const uint8_t *ip, uint32_t bytes, struct packet *packet)
{
    uint32_t header = bytes ? (ip[0] & 15u) * 4 : 0, total;

    if (bytes < PACKET_IPV4 || ip[0] >> 4 != 4 || header < PACKET_IPV4 || header > bytes)
        return;
    total = get16(ip + 2);
    if (total < header || total > bytes || folded(add(0, ip, header)) != 0xffff ||
        (get16(ip + 6) & 0x3fff))
        return;
    packet->from = ip_at(ip + 12, false);
    packet->to = ip_at(ip + 16, false);
    if (ip[9] == PROTOCOL_ICMP)
        parse_icmp(ip + header, total - header, packet);
}

/* The link-layer address among the options: of kind 1 the source's, 2 the target's. */
static bool find_mac(const uint8_t *options, uint32_t bytes, uint8_t kind, uint8_t mac[6])
{
    while (bytes >= ND_OPTION && options[1]) {
        uint32_t length = options[1] * 8u;

        if (length > bytes)
            return false;
        if (options[0] == kind) {
            memcpy(mac, options + 2, 6);
            return true;
        }
        options += length;
        bytes -= length;
    }
    return false;
}

static void parse_nd(const uint8_t *header, const uint8_t *icmp, uint32_t bytes,
                     struct packet *packet)
{
    bool asks = icmp[0] == ICMPV6_SOLICITATION;

    if (bytes < ND_BYTES || header[7] != HOP_ND)
        return;
    packet->kind = asks ? PACKET_WHO : PACKET_HERE;
    packet->to = ip_at(icmp + 8, true);
    packet->has_mac = find_mac(icmp + ND_BYTES, bytes - ND_BYTES, asks ? 1 : 2, packet->mac);
}

static void parse_ipv6(const uint8_t *ip, uint32_t bytes, struct packet *packet)
{
    const uint8_t *icmp = ip + PACKET_IPV6;
    uint32_t length;

    if (bytes < PACKET_IPV6 || ip[0] >> 4 != 6)
        return;
    length = get16(ip + 4);
    packet->from = ip_at(ip + 8, true);
    packet->to = ip_at(ip + 24, true);
    if (ip[6] != PROTOCOL_ICMPV6 || length > bytes - PACKET_IPV6 || length < PACKET_ICMP ||
        sum_v6(ip, icmp, length) != 0xffff || icmp[1] != 0)
        return;
    if (icmp[0] == ICMPV6_SOLICITATION || icmp[0] == ICMPV6_ADVERTISEMENT)
        parse_nd(ip, icmp, length, packet);
    if (icmp[0] == ICMPV6_ECHO || icmp[0] == ICMPV6_REPLY)
        parse_echo(icmp, length, icmp[0] == ICMPV6_ECHO ? PACKET_ECHO : PACKET_REPLY, packet);
}

void packet_parse(const uint8_t *frame, uint32_t bytes, struct packet *packet)
{
    const uint8_t *inside = frame + PACKET_ETHERNET;

    *packet = (struct packet){.kind = PACKET_OTHER};
    if (bytes < PACKET_ETHERNET)
        return;
    memcpy(packet->destination, frame, 6);
    memcpy(packet->source, frame + 6, 6);
    bytes -= PACKET_ETHERNET;
    switch (get16(frame + 12)) {
    case TYPE_ARP:
        parse_arp(inside, bytes, packet);
        break;
    case TYPE_IPV4:
        parse_ipv4(inside, bytes, packet);
        break;
    case TYPE_IPV6:
        parse_ipv6(inside, bytes, packet);
        break;
    default:
        break;
    }
}

/* ----------------------------------------------------------------------------------- composing -- */

static uint8_t *put(uint8_t *at, const void *bytes, uint32_t count)
{
    memcpy(at, bytes, count);
    return at + count;
}

static uint8_t *put_ethernet(uint8_t *frame, const uint8_t to[6], const uint8_t from[6],
                             uint32_t type)
{
    put16(frame + 12, type);
    put(put(frame, to, 6), from, 6);
    return frame + PACKET_ETHERNET;
}

static uint32_t compose_arp(uint8_t *frame, const struct packet_end *own, uint32_t operation,
                            const uint8_t *mac, const struct ip *address)
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, none[6];
    static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
    uint8_t *arp = put_ethernet(frame, mac ? mac : all, own->mac, TYPE_ARP);

    put16(put(arp, head, sizeof(head)), operation);
    put(put(arp + 8, own->mac, 6), own->ip.bytes, 4);
    put(put(arp + 18, mac ? mac : none, 6), address->bytes, 4);
    return PACKET_ETHERNET + ARP_BYTES;
}

static uint8_t *put_ipv4(uint8_t *ip, const struct ip *from, const struct ip *to, uint32_t bytes)
{
    memset(ip, 0, PACKET_IPV4);
    ip[0] = 0x45;
    put16(ip + 2, PACKET_IPV4 + bytes);
    put16(ip + 6, 0x4000); /* not to be fragmented */
    ip[8] = HOP_LIMIT;
    ip[9] = PROTOCOL_ICMP;
    put(put(ip + 12, from->bytes, 4), to->bytes, 4);
    put16(ip + 10, ~folded(add(0, ip, PACKET_IPV4)));
    return ip + PACKET_IPV4;
}

static uint8_t *put_ipv6(uint8_t *ip, const struct ip *from, const uint8_t to[16], uint32_t bytes,
                         uint8_t hops)
{
    memset(ip, 0, 8);
    ip[0] = 0x60;
    put16(ip + 4, bytes);
    ip[6] = PROTOCOL_ICMPV6;
    ip[7] = hops;
    return put(put(ip + 8, from->bytes, 16), to, 16);
}

/* The checksum of the ICMPv6 message of so many bytes, which is zero until then. */
static void seal_v6(const uint8_t *ip, uint8_t *icmp, uint32_t bytes)
{
    put16(icmp + 2, ~sum_v6(ip, icmp, bytes));
}

static uint32_t compose_nd(uint8_t *frame, const struct packet_end *own, const uint8_t mac[6],
                           const uint8_t to[16], uint8_t type, uint8_t flags,
                           const struct ip *address)
{
    uint8_t *ip = put_ethernet(frame, mac, own->mac, TYPE_IPV6), *icmp, *option;

    icmp = put_ipv6(ip, &own->ip, to, ND_BYTES + ND_OPTION, HOP_ND);
    memset(icmp, 0, PACKET_ICMP);
    icmp[0] = type;
    icmp[4] = flags;
    option = put(icmp + PACKET_ICMP, address->bytes, 16);
    option[0] = type == ICMPV6_SOLICITATION ? 1 : 2;
    option[1] = 1;
    put(option + 2, own->mac, 6);
    seal_v6(ip, icmp, ND_BYTES + ND_OPTION);
    return PACKET_ETHERNET + PACKET_IPV6 + ND_BYTES + ND_OPTION;
}

uint32_t packet_who(uint8_t frame[PACKET_SHORT_MAX], const struct packet_end *own,
                    const struct ip *address)
{
    /* The solicited-node group of an address has its last three bytes: RFC 4291, 2.7.1. */
    uint8_t group[16] = {[0] = 0xff, [1] = 0x02, [11] = 1, [12] = 0xff};
    uint8_t mac[6] = {0x33, 0x33, 0xff};

    if (!address->v6)
        return compose_arp(frame, own, 1, NULL, address);
    memcpy(group + 13, address->bytes + 13, 3);
    memcpy(mac + 3, address->bytes + 13, 3);
    return compose_nd(frame, own, mac, group, ICMPV6_SOLICITATION, 0, address);
}

uint32_t packet_here(uint8_t frame[PACKET_SHORT_MAX], const struct packet_end *own,
                     const struct packet *question)
{
    static const uint8_t nodes[16] = {[0] = 0xff, [1] = 0x02, [15] = 1};
    static const uint8_t nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
    /* RFC 4861, 4.4: override; and solicited, unless it goes to all. */
    const uint8_t override = 0x20, solicited = 0x40;
    const uint8_t *mac = question->has_mac ? question->mac : question->source;

    if (!own->ip.v6)
        return compose_arp(frame, own, 2, mac, &question->from);
    if (ip_is_zero(&question->from))
        return compose_nd(frame, own, nodes_mac, nodes, ICMPV6_ADVERTISEMENT, override, &own->ip);
    return compose_nd(frame, own, mac, question->from.bytes, ICMPV6_ADVERTISEMENT,
                      override | solicited, &own->ip);
}

uint32_t packet_echo_head(bool v6)
{
    return PACKET_ETHERNET + (v6 ? PACKET_IPV6 : PACKET_IPV4) + PACKET_ICMP;
}

uint32_t packet_echo(uint8_t *frame, enum packet_kind kind, const struct packet_end *own,
                     const struct packet_end *other, uint16_t id, uint16_t sequence,
                     const uint8_t *payload, uint32_t bytes)
{
    bool v6 = own->ip.v6, asks = kind == PACKET_ECHO;
    uint8_t *ip = put_ethernet(frame, other->mac, own->mac, v6 ? TYPE_IPV6 : TYPE_IPV4), *icmp;

    bytes += PACKET_ICMP;
    icmp = v6 ? put_ipv6(ip, &own->ip, other->ip.bytes, bytes, HOP_LIMIT)
              : put_ipv4(ip, &own->ip, &other->ip, bytes);
    memset(icmp, 0, PACKET_ICMP);
    if (v6)
        icmp[0] = asks ? ICMPV6_ECHO : ICMPV6_REPLY;
    else
        icmp[0] = asks ? ICMP_ECHO : ICMP_REPLY;
    put16(icmp + 4, id);
    put16(icmp + 6, sequence);
    put(icmp + PACKET_ICMP, payload, bytes - PACKET_ICMP);
    if (v6)
        seal_v6(ip, icmp, bytes);
    else
        put16(icmp + 2, ~folded(add(0, icmp, bytes)));
    return (uint32_t)(icmp - frame) + bytes;
}

/* ---------------------------------------------------------------------------------------- text -- */

/* The ports of TCP and UDP, which both have first; for others their number. */
static void transport_text(const uint8_t *at, uint32_t bytes, uint32_t protocol, char *text,
                           size_t room)
{
    const char *name = protocol == PROTOCOL_TCP ? "TCP" : protocol == PROTOCOL_UDP ? "UDP" : NULL;

    if (name && bytes >= 4)
        snprintf(text, room, "%s %u > %u", name, get16(at), get16(at + 2));
    else if (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6)
        snprintf(text, room, "%s", protocol == PROTOCOL_ICMP ? "ICMP" : "ICMPv6");
    else
        snprintf(text, room, "protocol %u", protocol);
}

/* False: it is no IP header. */
static bool ip_header_text(const uint8_t *ip, uint32_t bytes, char *text, size_t room)
{
    bool v6 = bytes && ip[0] >> 4 == 6;
    uint32_t header = v6 ? PACKET_IPV6 : bytes ? (ip[0] & 15u) * 4 : 0;
    uint32_t inside = bytes > header ? bytes - header : 0;
    char from[IP_TEXT_MAX], to[IP_TEXT_MAX], transport[48];
    struct ip ends[2];

    if (bytes < (v6 ? PACKET_IPV6 : PACKET_IPV4) || (!v6 && (ip[0] >> 4 != 4 || header < 20)))
        return false;
    ends[0] = ip_at(ip + (v6 ? 8 : 12), v6);
    ends[1] = ip_at(ip + (v6 ? 24 : 16), v6);
    ip_text(&ends[0], from);
    ip_text(&ends[1], to);
    if (!v6 && (get16(ip + 6) & 0x1fff))
        inside = 0; /* a later fragment has no header */
    transport_text(ip + (inside ? header : 0), inside, v6 ? ip[6] : ip[9], transport,
                   sizeof(transport));
    snprintf(text, room, "%s > %s: %s", from, to, transport);
    return true;
}

static void known_text(const struct packet *packet, char *text, size_t room)
{
    char from[IP_TEXT_MAX], to[IP_TEXT_MAX], mac[MAC_TEXT_MAX];

    ip_text(&packet->from, from);
    ip_text(&packet->to, to);
    mac_text(packet->mac, mac);
    if (packet->kind == PACKET_WHO)
        snprintf(text, room, "who has %s? tell %s", to, from);
    else if (packet->kind == PACKET_HERE)
        snprintf(text, room, "%s is at %s", to, packet->has_mac ? mac : "?");
    else
        snprintf(text, room, "%s > %s: echo %s, id %u, seq %u", from, to,
                 packet->kind == PACKET_ECHO ? "request" : "reply", packet->id, packet->sequence);
}

void packet_text(const uint8_t *frame, uint32_t bytes, uint32_t whole, char text[PACKET_TEXT_MAX])
{
    char source[MAC_TEXT_MAX], destination[MAC_TEXT_MAX], inside[136];
    struct packet packet;

    if (bytes < PACKET_ETHERNET) {
        snprintf(text, PACKET_TEXT_MAX, "no whole header, length %u", whole);
        return;
    }
    packet_parse(frame, bytes, &packet);
    mac_text(packet.source, source);
    mac_text(packet.destination, destination);
    if (packet.kind != PACKET_OTHER)
        known_text(&packet, inside, sizeof(inside));
    else if ((get16(frame + 12) != TYPE_IPV4 && get16(frame + 12) != TYPE_IPV6) ||
             !ip_header_text(frame + PACKET_ETHERNET, bytes - PACKET_ETHERNET, inside,
                             sizeof(inside)))
        snprintf(inside, sizeof(inside), "type 0x%04x", get16(frame + 12));
    snprintf(text, PACKET_TEXT_MAX, "%s > %s, length %u: %s", source, destination, whole, inside);
}
