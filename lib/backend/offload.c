/* SPDX-License-Identifier: MIT */
#include "backend/offload.h"

#define ETHERNET 14u
#define TCP      6u
#define UDP      17u

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

/* ---- headers --------------------------------------------------------------------------------- */

/* The protocol behind an IPv4 header, or 0. */
static uint32_t find_ipv4(const uint8_t *ip, uint32_t bytes, struct offload_headers *headers)
{
    uint32_t length, total;

    if (bytes < 20 || ip[0] >> 4 != 4)
        return 0;
    length = (ip[0] & 15u) * 4;
    total = get16(ip + 2);
    if (length < 20 || total < length || total > bytes || (get16(ip + 6) & 0x3fff))
        return 0;
    headers->transport = headers->network + length;
    headers->end = headers->network + total;
    return ip[9];
}

/* Hop-by-hop, routing and destination options: each says how long it is. */
static bool is_option(uint32_t next)
{
    return next == 0 || next == 43 || next == 60;
}

static uint32_t find_ipv6(const uint8_t *ip, uint32_t bytes, struct offload_headers *headers)
{
    uint32_t at = 40, end, next;

    if (bytes < 40 || ip[0] >> 4 != 6)
        return 0;
    end = 40 + get16(ip + 4);
    if (end > bytes)
        return 0;
    for (next = ip[6]; is_option(next); at += (ip[at + 1] + 1u) * 8) {
        if (at + 8 > end || at + (ip[at + 1] + 1u) * 8 > end)
            return 0;
        next = ip[at];
    }
    headers->ipv6 = true;
    headers->transport = headers->network + at;
    headers->end = headers->network + end;
    return next;
}

static uint32_t find_network(const struct xenpv_link_frame *frame, struct offload_headers *headers)
{
    const uint8_t *data = frame->data;
    uint32_t at = ETHERNET, protocol;

    if (frame->bytes < ETHERNET)
        return 0;
    protocol = get16(data + at - 2);
    while (protocol == 0x8100 || protocol == 0x88a8) {
        if (frame->bytes < at + 4)
            return 0;
        protocol = get16(data + at + 2);
        at += 4;
    }
    headers->network = at;
    if (protocol == 0x0800)
        return find_ipv4(data + at, frame->bytes - at, headers);
    return protocol == 0x86dd ? find_ipv6(data + at, frame->bytes - at, headers) : 0;
}

bool offload_find(const struct xenpv_link_frame *frame, struct offload_headers *headers)
{
    uint32_t protocol, bytes, length;

    *headers = (struct offload_headers){0};
    protocol = find_network(frame, headers);
    if (protocol != TCP && protocol != UDP)
        return false;
    headers->tcp = protocol == TCP;
    bytes = headers->end - headers->transport;
    if (bytes < (headers->tcp ? 20u : 8u))
        return false;
    length = headers->tcp ? (frame->data[headers->transport + 12] >> 4) * 4u : 8;
    if (length < 8 || (headers->tcp && length < 20) || length > bytes)
        return false;
    headers->checksum = headers->transport + (headers->tcp ? 16 : 6);
    headers->payload = headers->transport + length;
    return true;
}

/* ---- checksums ------------------------------------------------------------------------------- */

/* Adds 16-bit words in network order; an odd last byte is followed by a zero. */
static uint64_t add(uint64_t sum, const uint8_t *at, uint32_t bytes)
{
    for (; bytes >= 4; at += 4, bytes -= 4)
        sum += get32(at);
    if (bytes >= 2) {
        sum += get16(at);
        at += 2;
    }
    return bytes & 1 ? sum + ((uint32_t)at[0] << 8) : sum;
}

static uint32_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)sum;
}

static uint64_t pseudo(const struct xenpv_link_frame *frame, const struct offload_headers *headers)
{
    const uint8_t *ip = frame->data + headers->network;
    uint64_t sum = (uint64_t)(headers->tcp ? TCP : UDP) + headers->end - headers->transport;

    return headers->ipv6 ? add(sum, ip + 8, 32) : add(sum, ip + 12, 8);
}

void offload_blank(const struct xenpv_link_frame *frame, const struct offload_headers *headers)
{
    put16(frame->data + headers->checksum, fold(pseudo(frame, headers)));
}

void offload_complete(struct xenpv_link_frame *frame, const struct offload_headers *headers)
{
    uint8_t *at = frame->data + headers->checksum;
    uint32_t sum;

    put16(at, 0);
    sum = fold(add(pseudo(frame, headers), frame->data + headers->transport,
                   headers->end - headers->transport)) ^
          0xffff;
    /* RFC 768: a checksum of 0 would mean that there is none. */
    put16(at, sum || headers->tcp ? sum : 0xffff);
    frame->checksum = XENPV_LINK_GOOD;
}

/* ---- segments -------------------------------------------------------------------------------- */

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u

static void patch_ip(const struct offload_cut *cut, uint8_t *ip, uint32_t bytes)
{
    if (cut->headers.ipv6) {
        put16(ip + 4, bytes - 40);
        return;
    }
    put16(ip + 2, bytes);
    put16(ip + 4, get16(ip + 4) + cut->number);
    put16(ip + 10, 0);
    put16(ip + 10, fold(add(0, ip, cut->headers.transport - cut->headers.network)) ^ 0xffff);
}

/* RFC 3168: only the first one tells that the window was reduced. */
static void patch_tcp(const struct offload_cut *cut, uint8_t *tcp, bool last)
{
    put32(tcp + 4, get32(tcp + 4) + cut->at);
    if (!last)
        tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    if (cut->number)
        tcp[13] &= (uint8_t)~TCP_CWR;
}

bool offload_next(struct offload_cut *cut, struct xenpv_link_frame *segment)
{
    const struct offload_headers *headers = &cut->headers;
    uint32_t left = headers->end - headers->payload - cut->at, payload = cut->whole->gso_size;
    uint8_t *data = segment->data;
    struct offload_headers own = *headers;

    if (left == 0 && cut->number)
        return false;
    if (payload > left)
        payload = left;
    memcpy(data, cut->whole->data, headers->payload);
    memcpy(data + headers->payload, cut->whole->data + headers->payload + cut->at, payload);
    *segment = *cut->whole;
    segment->data = data;
    segment->bytes = own.end = headers->payload + payload;
    segment->gso_type = XENPV_NETIF_GSO_NONE;
    segment->gso_size = 0;
    segment->checksum = XENPV_LINK_BLANK;
    patch_ip(cut, data + headers->network, own.end - headers->network);
    patch_tcp(cut, data + headers->transport, payload == left);
    offload_blank(segment, &own);
    cut->at += payload;
    cut->number++;
    return true;
}
