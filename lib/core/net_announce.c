/* SPDX-License-Identifier: MIT */
/* Addresses of a vif, and the frames that tell the segment where they are. */
#include <xenpv/net.h>

/* ---- MAC ------------------------------------------------------------------------------------- */

/* 16: it is none. */
static uint32_t digit(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 : 16;
}

bool xenpv_parse_mac(const char *text, uint8_t mac[6])
{
    uint8_t bytes[6];

    for (uint32_t i = 0; i < 6; i++, text += 3) {
        uint32_t high = digit(text[0]), low = high < 16 ? digit(text[1]) : 16;

        if (low > 15 || text[2] != (i < 5 ? ':' : '\0'))
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(mac, bytes, sizeof(bytes));
    return true;
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* Appends bytes; where the next go. */
static uint8_t *put(uint8_t *at, const uint8_t *bytes, uint32_t count)
{
    memcpy(at, bytes, count);
    return at + count;
}

static uint8_t *put_ethernet(uint8_t *at, const uint8_t to[6], const uint8_t from[6], uint16_t type)
{
    const uint8_t bytes[2] = {(uint8_t)(type >> 8), (uint8_t)type};

    return put(put(put(at, to, 6), from, 6), bytes, 2);
}

uint32_t xenpv_net_announce_ipv4(uint8_t frame[XENPV_NET_ANNOUNCE_MAX], const uint8_t mac[6],
                                 const uint8_t address[4])
{
    static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, none[6];
    /* RFC 826: Ethernet, IPv4, 6 and 4 bytes of address, request. */
    static const uint8_t head[8] = {0, 1, 8, 0, 6, 4, 0, 1};
    uint8_t *at = put_ethernet(frame, all, mac, 0x0806);

    at = put(put(put(at, head, sizeof(head)), mac, 6), address, 4);
    at = put(put(at, none, 6), address, 4);
    memset(at, 0, (size_t)(frame + XENPV_NET_FRAME_MIN - at));
    return XENPV_NET_FRAME_MIN;
}

#define IPV6_HEADER 40u
#define ADVERT      32u /* ICMPv6: header, target, option with the link-layer address */

/* The ones' complement sum of pseudo header and message, RFC 4443 section 2.3. */
static uint16_t checksum(const uint8_t *header, const uint8_t *message)
{
    uint32_t sum = ADVERT + 58;

    for (uint32_t i = 8; i < IPV6_HEADER; i += 2)
        sum += (uint32_t)header[i] << 8 | header[i + 1];
    for (uint32_t i = 0; i < ADVERT; i += 2)
        sum += (uint32_t)message[i] << 8 | message[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

uint32_t xenpv_net_announce_ipv6(uint8_t frame[XENPV_NET_ANNOUNCE_MAX], const uint8_t mac[6],
                                 const uint8_t address[16])
{
    static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1};
    static const uint8_t nodes[16] = {[0] = 0xff, [1] = 0x02, [15] = 1};
    /* Version 6, payload, next header ICMPv6, hop limit 255. */
    static const uint8_t head[8] = {0x60, 0, 0, 0, 0, ADVERT, 58, 255};
    /* RFC 4861, 4.4: type 136; flags: override. Then the option: type 2, of 8 bytes. */
    static const uint8_t advert[8] = {136, 0, 0, 0, 0x20, 0, 0, 0}, option[2] = {2, 1};
    uint8_t *header = put_ethernet(frame, group, mac, 0x86dd), *message;
    uint16_t sum;

    message = put(put(put(header, head, sizeof(head)), address, 16), nodes, 16);
    put(put(put(put(message, advert, sizeof(advert)), address, 16), option, 2), mac, 6);
    sum = checksum(header, message);
    message[2] = (uint8_t)(sum >> 8);
    message[3] = (uint8_t)sum;
    return 14 + IPV6_HEADER + ADVERT;
}
