/* SPDX-License-Identifier: MIT */
#include <xenpv/flow.h>

/* The key that is published with the test vectors of receive-side scaling. */
const uint8_t xenpv_flow_key[XENPV_FLOW_KEY] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

uint32_t xenpv_toeplitz(const uint8_t *key, uint32_t key_bytes, const uint8_t *bytes,
                        uint32_t count)
{
    uint32_t hash = 0, next = 4;
    uint64_t window = 0;

    /* The key's bits that the next byte meets stand in the upper 39 bits. */
    for (uint32_t i = 0; i < 4; i++)
        window = window << 8 | (i < key_bytes ? key[i] : 0);
    window <<= 32;
    for (uint32_t i = 0; i < count; i++, next++) {
        window |= (uint64_t)(next < key_bytes ? key[next] : 0) << 24;
        for (uint32_t bit = 0x80; bit; bit >>= 1, window <<= 1) {
            if (bytes[i] & bit)
                hash ^= (uint32_t)(window >> 32);
        }
    }
    return hash;
}

#define ETHERNET 14u
#define TCP      6u

static uint32_t half(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

struct headers {
    const uint8_t *addresses, *ports; /* ports NULL: there are none to be hashed */
    uint32_t address_bytes;           /* both together */
};

static bool find_ipv4(const uint8_t *ip, uint32_t bytes, struct headers *found)
{
    uint32_t length;

    if (bytes < 20 || ip[0] >> 4 != 4)
        return false;
    length = (ip[0] & 15u) * 4;
    if (length < 20)
        return false;
    found->addresses = ip + 12;
    found->address_bytes = 8;
    if (ip[9] == TCP && (half(ip + 6) & 0x3fff) == 0 && bytes >= length + 4)
        found->ports = ip + length;
    return true;
}

static bool find_ipv6(const uint8_t *ip, uint32_t bytes, struct headers *found)
{
    if (bytes < 40 || ip[0] >> 4 != 6)
        return false;
    found->addresses = ip + 8;
    found->address_bytes = 32;
    if (ip[6] == TCP && bytes >= 44)
        found->ports = ip + 40;
    return true;
}

static bool find_headers(const uint8_t *frame, uint32_t bytes, struct headers *found)
{
    uint32_t at = ETHERNET, protocol;

    if (bytes < ETHERNET)
        return false;
    protocol = half(frame + at - 2);
    for (uint32_t i = 0; i < 2 && (protocol == 0x8100 || protocol == 0x88a8); i++) {
        if (bytes < at + 4)
            return false;
        protocol = half(frame + at + 2);
        at += 4;
    }
    if (protocol == 0x0800)
        return find_ipv4(frame + at, bytes - at, found);
    return protocol == 0x86dd && find_ipv6(frame + at, bytes - at, found);
}

uint32_t xenpv_flow_hash(const uint8_t *frame, size_t bytes, uint32_t types, const uint8_t *key,
                         uint32_t key_bytes, uint8_t *type)
{
    /* All that is looked at ends long before. */
    uint32_t near = bytes < 256 ? (uint32_t)bytes : 256, plain, count;
    struct headers found = {0};
    uint8_t input[36];

    *type = XENPV_FLOW_NONE;
    if (!types || !find_headers(frame, near, &found))
        return 0;
    count = found.address_bytes;
    plain = count == 8 ? XENPV_NETIF_HASH_IPV4 : XENPV_NETIF_HASH_IPV6;
    memcpy(input, found.addresses, count);
    if (found.ports && (types & 2u << plain)) {
        *type = (uint8_t)(plain + 1);
        memcpy(input + count, found.ports, 4);
        count += 4;
    } else if (types & 1u << plain) {
        *type = (uint8_t)plain;
    } else {
        return 0;
    }
    return xenpv_toeplitz(key, key_bytes, input, count);
}
