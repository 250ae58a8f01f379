/* SPDX-License-Identifier: MIT */
/* The Toeplitz hash against the published vectors, and what of a frame is hashed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xenpv/flow.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define IPV4         (1u << XENPV_NETIF_HASH_IPV4)
#define IPV4_TCP     (1u << XENPV_NETIF_HASH_IPV4_TCP)
#define IPV6         (1u << XENPV_NETIF_HASH_IPV6)
#define IPV6_TCP     (1u << XENPV_NETIF_HASH_IPV6_TCP)
#define ALL          XENPV_FLOW_TYPES

struct vector {
    uint8_t src[16], dst[16];
    uint16_t sport, dport;
    uint32_t addresses, with_ports; /* the two hashes */
};

static const struct vector v4[] = {
    {{66, 9, 149, 187}, {161, 142, 100, 80}, 2794, 1766, 0x323e8fc2, 0x51ccc178},
    {{199, 92, 111, 2}, {65, 69, 140, 83}, 14230, 4739, 0xd718262a, 0xc626b0ea},
    {{24, 19, 198, 95}, {12, 22, 207, 184}, 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
    {{38, 27, 205, 30}, {209, 142, 163, 6}, 48228, 2217, 0x82989176, 0xafc7327f},
    {{153, 39, 163, 191}, {202, 188, 127, 2}, 44251, 1303, 0x5d1809c5, 0x10e828a2},
};

static const struct vector v6[] = {
    {{0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7},
     {0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 1},
     2794,
     1766,
     0x2cc18cd5,
     0x40207d3d},
    {{0x3f, 0xfe, 0x05, 0x01, 0, 8, 0, 0, 0x02, 0x60, 0x97, 0xff, 0xfe, 0x40, 0xef, 0xab},
     {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
     14230,
     4739,
     0x0f0c461c,
     0xdde51bbf},
    {{0x3f, 0xfe, 0x19, 0x00, 0x45, 0x45, 0, 3, 0x02, 0x00, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf},
     {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf},
     44251,
     38024,
     0x4b61e985,
     0x02d1feef},
};

/* How a frame is wrapped. */
struct wrapping {
    uint32_t tags;     /* of VLANs */
    uint32_t options;  /* IPv4: words of options; IPv6: extension headers */
    uint8_t protocol;  /* 6: TCP */
    uint16_t fragment; /* IPv4: the field */
};

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t put_ports(uint8_t *at, const struct vector *v)
{
    put16(at, v->sport);
    put16(at + 2, v->dport);
    return 20;
}

static uint32_t put_ipv4(uint8_t *ip, const struct vector *v, const struct wrapping *w)
{
    uint32_t length = 20 + w->options * 4;

    ip[0] = (uint8_t)(0x40 | length / 4);
    put16(ip + 6, w->fragment);
    ip[9] = w->protocol;
    memcpy(ip + 12, v->src, 4);
    memcpy(ip + 16, v->dst, 4);
    return length + put_ports(ip + length, v);
}

/* With an extension header the ports are not looked for. */
static uint32_t put_ipv6(uint8_t *ip, const struct vector *v, const struct wrapping *w)
{
    uint32_t at = 40 + w->options * 8;

    ip[0] = 0x60;
    ip[6] = w->options ? 60 : w->protocol;
    ip[40] = w->protocol;
    memcpy(ip + 8, v->src, 16);
    memcpy(ip + 24, v->dst, 16);
    return at + put_ports(ip + at, v);
}

static uint32_t make(uint8_t *frame, bool six, const struct vector *v, const struct wrapping *w)
{
    uint32_t at = 12;

    memset(frame, 0, 256);
    for (uint32_t i = 0; i < w->tags; i++, at += 4)
        put16(frame + at, i ? 0x8100 : 0x88a8);
    put16(frame + at, six ? 0x86dd : 0x0800);
    at += 2;
    return at + (six ? put_ipv6(frame + at, v, w) : put_ipv4(frame + at, v, w));
}

/* Asserts what a frame hashes to, and by which kind. */
static void expect(const uint8_t *frame, uint32_t bytes, uint32_t types, uint32_t hash,
                   uint8_t kind)
{
    uint8_t type = 77;

    assert_int_equal(xenpv_flow_hash(frame, bytes, types, xenpv_flow_key, XENPV_FLOW_KEY, &type),
                     hash);
    assert_int_equal(type, kind);
}

static void expect_none(const uint8_t *frame, uint32_t bytes, uint32_t types)
{
    expect(frame, bytes, types, 0, XENPV_FLOW_NONE);
}

static void check_vectors(bool six, const struct vector *v, uint32_t count)
{
    uint32_t plain = six ? IPV6 : IPV4, tcp = six ? IPV6_TCP : IPV4_TCP;
    uint8_t type = six ? XENPV_NETIF_HASH_IPV6 : XENPV_NETIF_HASH_IPV4;
    struct wrapping w = {.protocol = 6};
    uint8_t frame[256];

    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = make(frame, six, &v[i], &w);

        expect(frame, bytes, plain, v[i].addresses, type);
        /* With and without the smaller kind, the largest is taken. */
        expect(frame, bytes, tcp, v[i].with_ports, type + 1);
        expect(frame, bytes, ALL, v[i].with_ports, type + 1);
        expect_none(frame, bytes, ALL & ~(plain | tcp));
        expect_none(frame, bytes, 0);
    }
}

static void test_vectors(void **state)
{
    (void)state;
    check_vectors(false, v4, COUNT(v4));
    check_vectors(true, v6, COUNT(v6));
}

struct wrapped {
    bool six, ports;
    struct wrapping w;
};

/* What may stand between the Ethernet header and the ports, and what has none. */
static void test_wrappings(void **state)
{
    static const struct wrapped all[] = {
        {false, true, {1, 0, 6, 0}},   {false, true, {2, 0, 6, 0}},
        {false, true, {0, 10, 6, 0}},  {false, true, {2, 10, 6, 0x4000}}, /* do not fragment */
        {false, false, {0, 0, 17, 0}}, {false, false, {0, 0, 6, 0x2000}},
        {false, false, {0, 0, 6, 1}},  {false, false, {0, 0, 6, 0x1fff}},
        {true, true, {1, 0, 6, 0}},    {true, true, {2, 0, 6, 0}},
        {true, false, {0, 1, 6, 0}},   {true, false, {0, 0, 17, 0}},
    };
    uint8_t frame[256];

    (void)state;
    for (uint32_t i = 0; i < COUNT(all); i++) {
        bool six = all[i].six, ports = all[i].ports;
        const struct vector *v = six ? v6 : v4;
        uint32_t bytes = make(frame, six, v, &all[i].w);
        uint8_t plain = six ? XENPV_NETIF_HASH_IPV6 : XENPV_NETIF_HASH_IPV4;

        expect(frame, bytes, ALL, ports ? v->with_ports : v->addresses, (uint8_t)(plain + ports));
        if (!ports)
            expect_none(frame, bytes, IPV4_TCP | IPV6_TCP);
    }
}

/* A frame that ends early is never read behind its end, and one that lies has no flow. */
static void test_cut(void **state)
{
    uint8_t frame[256], *copy;

    (void)state;
    for (uint32_t six = 0; six < 2; six++) {
        struct wrapping w = {.tags = 1, .options = six ? 0 : 2, .protocol = 6};
        const struct vector *v = six ? v6 : v4;
        uint8_t plain = six ? XENPV_NETIF_HASH_IPV6 : XENPV_NETIF_HASH_IPV4;
        uint32_t bytes = make(frame, six, v, &w) - 16, addresses = 18 + (six ? 40u : 20u);

        for (uint32_t cut = 0; cut <= bytes; cut++) {
            /* A sanitizer looks at what lies behind. */
            copy = malloc(cut + 1);
            memcpy(copy + 1, frame, cut);
            if (cut < addresses)
                expect_none(copy + 1, cut, ALL);
            else
                expect(copy + 1, cut, ALL, cut == bytes ? v->with_ports : v->addresses,
                       (uint8_t)(plain + (cut == bytes)));
            free(copy);
        }
        frame[18] = 0x50;
        expect_none(frame, bytes, ALL);
    }
    frame[16] = 0x08;
    frame[17] = 0;
    frame[18] = 0x44; /* a header shorter than a header */
    expect_none(frame, 100, ALL);
    frame[18] = 0x45;
    frame[17] = 0x06;
    expect_none(frame, 100, ALL);
}

/* A key that is short is followed by zeroes; none at all hashes to 0. */
static void test_keys(void **state)
{
    uint8_t key[XENPV_FLOW_KEY] = {0}, input[36];

    (void)state;
    for (uint32_t i = 0; i < sizeof(input); i++)
        input[i] = (uint8_t)(i * 37 + 11);
    assert_int_equal(xenpv_toeplitz(xenpv_flow_key, 0, input, sizeof(input)), 0);
    for (uint32_t bytes = 0; bytes <= sizeof(key); bytes++) {
        memset(key, 0, sizeof(key));
        memcpy(key, xenpv_flow_key, bytes);
        assert_int_equal(xenpv_toeplitz(xenpv_flow_key, bytes, input, sizeof(input)),
                         xenpv_toeplitz(key, sizeof(key), input, sizeof(input)));
    }
    assert_int_equal(xenpv_toeplitz(key, sizeof(key), input, 0), 0);
    /* The first bit of the input meets the first 32 bits of the key, the last its last. */
    memset(input, 0, sizeof(input));
    input[0] = 0x80;
    assert_int_equal(xenpv_toeplitz(key, sizeof(key), input, 36), 0x6d5a56da);
    input[0] = 0;
    input[35] = 1;
    assert_int_equal(xenpv_toeplitz(key, sizeof(key), input, 36),
                     (uint32_t)(UINT64_C(0x3bbeac01fa) >> 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_wrappings),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
