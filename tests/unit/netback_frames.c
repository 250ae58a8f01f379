/* SPDX-License-Identifier: MIT */
#include "netback_rig.h"

void nb_fill(void *bytes, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525 + 1013904223;
        ((uint8_t *)bytes)[i] = (uint8_t)(seed >> 24);
    }
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t sum_of(uint32_t sum, const uint8_t *at, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        sum += (uint32_t)at[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static uint32_t network(const uint8_t *frame)
{
    uint32_t at = 14;

    while (get16(frame + at - 2) == 0x8100)
        at += 4;
    return at;
}

uint32_t nb_transport(const uint8_t *frame)
{
    uint32_t at = network(frame);

    return at + (frame[at] >> 4 == 6 ? 40 : (frame[at] & 15u) * 4);
}

/* The sum of pseudo header, header and data: 0xffff when the checksum in it is right. */
static uint32_t transport_sum(const uint8_t *frame)
{
    const uint8_t *ip = frame + network(frame), *at = frame + nb_transport(frame);
    bool six = ip[0] >> 4 == 6;
    uint32_t bytes = six ? get16(ip + 4) : get16(ip + 2) - (ip[0] & 15u) * 4;
    uint32_t sum = sum_of(bytes + ip[six ? 6 : 9], six ? ip + 8 : ip + 12, six ? 32 : 8);

    return sum_of(sum, at, bytes);
}

bool nb_good_sums(const uint8_t *frame, uint32_t bytes)
{
    const uint8_t *ip = frame + network(frame);
    uint32_t header = (ip[0] & 15u) * 4;
    bool six = ip[0] >> 4 == 6;

    if (network(frame) + (six ? 40 + get16(ip + 4) : get16(ip + 2)) > bytes)
        return false;
    return (six || sum_of(0, ip, header) == 0xffff) && transport_sum(frame) == 0xffff;
}

static uint32_t put_ip(uint8_t *ip, const struct nb_ip *of, uint32_t bytes)
{
    if (of->ipv6) {
        ip[0] = 0x60;
        put16(ip + 4, bytes);
        ip[6] = of->udp ? 17 : 6;
        ip[7] = 64;
        nb_fill(ip + 8, 32, of->seed);
        return 40;
    }
    ip[0] = 0x45;
    put16(ip + 2, 20 + bytes);
    put16(ip + 4, of->seed);
    ip[8] = 64;
    ip[9] = of->udp ? 17 : 6;
    nb_fill(ip + 12, 8, of->seed);
    put16(ip + 10, sum_of(0, ip, 20) ^ 0xffff);
    return 20;
}

uint32_t nb_make_ip(uint8_t *frame, const struct nb_ip *of)
{
    static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    uint32_t header = of->udp ? 8 : 20 + of->options, at = sizeof(addresses), sum_at;

    memset(frame, 0, 150);
    memcpy(frame, addresses, sizeof(addresses));
    for (uint32_t i = 0; i < of->tags; i++, at += 4)
        put16(frame + at, 0x8100);
    put16(frame + at, of->ipv6 ? 0x86dd : 0x0800);
    at += 2;
    at += put_ip(frame + at, of, header + of->payload);
    put16(frame + at, of->sport);
    put16(frame + at + 2, 80);
    if (of->udp) {
        put16(frame + at + 4, 8 + of->payload);
        sum_at = at + 6;
    } else {
        put16(frame + at + 6, 1000);
        frame[at + 12] = (uint8_t)(header / 4 << 4);
        frame[at + 13] = 0x99; /* CWR, ACK, PSH, FIN */
        sum_at = at + 16;
    }
    at += header;
    nb_fill(frame + at, of->payload, of->seed + 1);
    put16(frame + sum_at, transport_sum(frame) ^ 0xffff);
    return at + of->payload;
}
