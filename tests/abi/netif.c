/* SPDX-License-Identifier: MIT */
/*
 * Our network codec against Xen's own header: each message as the header's structure, read by the
 * codec and put back. tests/abi/run builds it for x86_64, i686 and aarch64.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <xen/io/netif.h>

#include <xenpv/abi/netif.h>
#include <xenpv/ring.h>

static int failures;

static void check(const char *what, uint64_t found, uint64_t expected)
{
    if (found == expected)
        return;
    printf("not ok - %s: found %llu, expected %llu\n", what, (unsigned long long)found,
           (unsigned long long)expected);
    failures++;
}

#define SAME(what, a, b) check(what, (uint64_t)(a), (uint64_t)(b))

struct constant {
    const char *name;
    int64_t ours, theirs;
};

static void constants(void)
{
#define C(ours, theirs)                                                                            \
    {                                                                                              \
#ours, ours, theirs                                                                        \
    }
    static const struct constant all[] = {
        C(XENPV_NETIF_SLOTS_MIN, XEN_NETIF_NR_SLOTS_MIN),
        C(XENPV_NETIF_PACKET_MAX, XEN_NETIF_MAX_TX_SIZE),
        C(XENPV_NETTXF_CSUM_BLANK, NETTXF_csum_blank),
        C(XENPV_NETTXF_DATA_VALIDATED, NETTXF_data_validated),
        C(XENPV_NETTXF_MORE_DATA, NETTXF_more_data),
        C(XENPV_NETTXF_EXTRA_INFO, NETTXF_extra_info),
        C(XENPV_NETRXF_CSUM_BLANK, NETRXF_csum_blank),
        C(XENPV_NETRXF_DATA_VALIDATED, NETRXF_data_validated),
        C(XENPV_NETRXF_MORE_DATA, NETRXF_more_data),
        C(XENPV_NETRXF_EXTRA_INFO, NETRXF_extra_info),
        C(XENPV_NETRXF_GSO_PREFIX, NETRXF_gso_prefix),
        C(XENPV_NETIF_NULL, NETIF_RSP_NULL),
        C(XENPV_NETIF_OKAY, NETIF_RSP_OKAY),
        C(XENPV_NETIF_ERROR, NETIF_RSP_ERROR),
        C(XENPV_NETIF_DROPPED, NETIF_RSP_DROPPED),
        C(XENPV_NETIF_EXTRA_NONE, XEN_NETIF_EXTRA_TYPE_NONE),
        C(XENPV_NETIF_EXTRA_GSO, XEN_NETIF_EXTRA_TYPE_GSO),
        C(XENPV_NETIF_EXTRA_MCAST_ADD, XEN_NETIF_EXTRA_TYPE_MCAST_ADD),
        C(XENPV_NETIF_EXTRA_MCAST_DEL, XEN_NETIF_EXTRA_TYPE_MCAST_DEL),
        C(XENPV_NETIF_EXTRA_HASH, XEN_NETIF_EXTRA_TYPE_HASH),
        C(XENPV_NETIF_EXTRA_MORE, XEN_NETIF_EXTRA_FLAG_MORE),
        C(XENPV_NETIF_GSO_NONE, XEN_NETIF_GSO_TYPE_NONE),
        C(XENPV_NETIF_GSO_TCPV4, XEN_NETIF_GSO_TYPE_TCPV4),
        C(XENPV_NETIF_GSO_TCPV6, XEN_NETIF_GSO_TYPE_TCPV6),
        C(1 << XENPV_NETIF_HASH_IPV4, XEN_NETIF_CTRL_HASH_TYPE_IPV4),
        C(1 << XENPV_NETIF_HASH_IPV4_TCP, XEN_NETIF_CTRL_HASH_TYPE_IPV4_TCP),
        C(1 << XENPV_NETIF_HASH_IPV6, XEN_NETIF_CTRL_HASH_TYPE_IPV6),
        C(1 << XENPV_NETIF_HASH_IPV6_TCP, XEN_NETIF_CTRL_HASH_TYPE_IPV6_TCP),
        C(XENPV_NETIF_ALGORITHM_NONE, XEN_NETIF_CTRL_HASH_ALGORITHM_NONE),
        C(XENPV_NETIF_ALGORITHM_TOEPLITZ, XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ),
        C(XENPV_NETIF_CTRL_INVALID, XEN_NETIF_CTRL_TYPE_INVALID),
        C(XENPV_NETIF_CTRL_GET_HASH_FLAGS, XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS),
        C(XENPV_NETIF_CTRL_SET_HASH_FLAGS, XEN_NETIF_CTRL_TYPE_SET_HASH_FLAGS),
        C(XENPV_NETIF_CTRL_SET_HASH_KEY, XEN_NETIF_CTRL_TYPE_SET_HASH_KEY),
        C(XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE, XEN_NETIF_CTRL_TYPE_GET_HASH_MAPPING_SIZE),
        C(XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING_SIZE),
        C(XENPV_NETIF_CTRL_SET_HASH_MAPPING, XEN_NETIF_CTRL_TYPE_SET_HASH_MAPPING),
        C(XENPV_NETIF_CTRL_SET_HASH_ALGORITHM, XEN_NETIF_CTRL_TYPE_SET_HASH_ALGORITHM),
        C(XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE, XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE),
        C(XENPV_NETIF_CTRL_ADD_GREF_MAPPING, XEN_NETIF_CTRL_TYPE_ADD_GREF_MAPPING),
        C(XENPV_NETIF_CTRL_DEL_GREF_MAPPING, XEN_NETIF_CTRL_TYPE_DEL_GREF_MAPPING),
        C(XENPV_NETIF_CTRL_SUCCESS, XEN_NETIF_CTRL_STATUS_SUCCESS),
        C(XENPV_NETIF_CTRL_NOT_SUPPORTED, XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED),
        C(XENPV_NETIF_CTRL_INVALID_PARAMETER, XEN_NETIF_CTRL_STATUS_INVALID_PARAMETER),
        C(XENPV_NETIF_CTRL_BUFFER_OVERFLOW, XEN_NETIF_CTRL_STATUS_BUFFER_OVERFLOW),
        C(XENPV_NETIF_GREF_READONLY, XEN_NETIF_CTRLF_GREF_readonly),
        C(XENPV_NETIF_GREF_ENTRY, sizeof(struct xen_netif_gref)),
        C(XENPV_NETIF_TX_SLOT, sizeof(union netif_tx_sring_entry)),
        C(XENPV_NETIF_RX_SLOT, sizeof(union netif_rx_sring_entry)),
        C(XENPV_NETIF_CTRL_SLOT, sizeof(union xen_netif_ctrl_sring_entry)),
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        SAME(all[i].name, all[i].ours, all[i].theirs);
}

static void rings(void)
{
    struct netif_tx_sring *tx = NULL;
    struct netif_rx_sring *rx = NULL;
    struct xen_netif_ctrl_sring *ctrl = NULL;

    SAME("tx slots", xenpv_ring_count(4096, XENPV_NETIF_TX_SLOT), __RING_SIZE(tx, 4096));
    SAME("rx slots", xenpv_ring_count(4096, XENPV_NETIF_RX_SLOT), __RING_SIZE(rx, 4096));
    SAME("ctrl slots", xenpv_ring_count(4096, XENPV_NETIF_CTRL_SLOT), __RING_SIZE(ctrl, 4096));
}

/* A slot, and what is left of it when `bytes` were written over ones. */
static uint32_t slot[8];

static void load(const void *theirs, size_t bytes)
{
    memset(slot, 0xff, sizeof(slot));
    memcpy(slot, theirs, bytes);
}

static void wipe(void)
{
    memset(slot, 0xff, sizeof(slot));
}

/* `bytes` as theirs, then `zeroes`, then nothing was written. */
static void put_back(const char *what, const void *theirs, size_t bytes, size_t zeroes)
{
    const uint8_t *at = (const uint8_t *)slot;

    SAME(what, memcmp(at, theirs, bytes), 0);
    for (size_t i = bytes; i < bytes + zeroes; i++)
        SAME(what, at[i], 0);
    for (size_t i = bytes + zeroes; i < sizeof(slot); i++)
        SAME(what, at[i], 0xff);
}

static void transmit(void)
{
    struct netif_tx_request request = {
        .gref = 0xa1b2c3d4, .offset = 0x1234, .flags = 0x8765, .id = 0xfedc, .size = 0x9abc};
    struct netif_tx_response response = {.id = 0xabcd, .status = NETIF_RSP_DROPPED};
    struct xenpv_netif_tx_request our_request;
    struct xenpv_netif_tx_response our_response;

    load(&request, sizeof(request));
    xenpv_netif_get_tx_request(slot, &our_request);
    SAME("tx gref", our_request.ref, request.gref);
    SAME("tx offset", our_request.offset, request.offset);
    SAME("tx flags", our_request.flags, request.flags);
    SAME("tx id", our_request.id, request.id);
    SAME("tx size", our_request.size, request.size);
    wipe();
    xenpv_netif_put_tx_request(&our_request, slot);
    put_back("tx request", &request, sizeof(request), 0);

    load(&response, sizeof(response));
    xenpv_netif_get_tx_response(slot, &our_response);
    SAME("tx response id", our_response.id, response.id);
    SAME("tx response status", our_response.status, response.status);
    wipe();
    xenpv_netif_put_tx_response(&our_response, slot);
    put_back("tx response", &response, sizeof(response), 0);
}

static void receive(void)
{
    struct netif_rx_request request = {.id = 0xfedc, .gref = 0xa1b2c3d4};
    struct netif_rx_response response = {
        .id = 0xabcd, .offset = 0x1234, .flags = 0x8765, .status = NETIF_RSP_ERROR};
    struct xenpv_netif_rx_request our_request;
    struct xenpv_netif_rx_response our_response;

    load(&request, sizeof(request));
    xenpv_netif_get_rx_request(slot, &our_request);
    SAME("rx id", our_request.id, request.id);
    SAME("rx gref", our_request.ref, request.gref);
    wipe();
    xenpv_netif_put_rx_request(&our_request, slot);
    put_back("rx request", &request, sizeof(request), 0);

    load(&response, sizeof(response));
    xenpv_netif_get_rx_response(slot, &our_response);
    SAME("rx response id", our_response.id, response.id);
    SAME("rx response offset", our_response.offset, response.offset);
    SAME("rx response flags", our_response.flags, response.flags);
    SAME("rx response status", our_response.status, response.status);
    wipe();
    xenpv_netif_put_rx_response(&our_response, slot);
    put_back("rx response", &response, sizeof(response), 0);
}

/* Both rings carry it; the tx ring pads it. */
static void extra(const char *what, const struct netif_extra_info *theirs)
{
    struct xenpv_netif_extra ours;

    load(theirs, sizeof(*theirs));
    xenpv_netif_get_extra(slot, &ours);
    SAME(what, ours.type, theirs->type);
    SAME(what, ours.flags, theirs->flags);
    wipe();
    xenpv_netif_put_rx_extra(&ours, slot);
    put_back(what, theirs, sizeof(*theirs), 0);
    wipe();
    xenpv_netif_put_tx_extra(&ours, slot);
    put_back(what, theirs, sizeof(*theirs), 4);
}

static void extras(void)
{
    struct netif_extra_info gso = {.type = XEN_NETIF_EXTRA_TYPE_GSO,
                                   .flags = XEN_NETIF_EXTRA_FLAG_MORE,
                                   .u.gso = {.size = 1448, .type = 2, .features = 0x8001}};
    struct netif_extra_info mcast = {.type = XEN_NETIF_EXTRA_TYPE_MCAST_DEL,
                                     .u.mcast.addr = {0x33, 0x34, 0x85, 0x86, 0x97, 0xf8}};
    struct netif_extra_info hash = {
        .type = XEN_NETIF_EXTRA_TYPE_HASH,
        .u.hash = {.type = 3, .algorithm = 1, .value = {0x11, 0x92, 0x33, 0xf4}}};
    struct netif_extra_info xdp = {.type = 5, .u.pad = {0xf123, 0, 0}}, none = {.type = 77};
    struct xenpv_netif_extra ours;

    extra("gso", &gso);
    extra("mcast del", &mcast);
    mcast.type = XEN_NETIF_EXTRA_TYPE_MCAST_ADD;
    extra("mcast add", &mcast);
    extra("hash", &hash);
    extra("xdp", &xdp);
    extra("none", &none);
    load(&gso, sizeof(gso));
    xenpv_netif_get_extra(slot, &ours);
    SAME("gso size", ours.u.gso.size, gso.u.gso.size);
    SAME("gso type", ours.u.gso.type, gso.u.gso.type);
    SAME("gso features", ours.u.gso.features, gso.u.gso.features);
    load(&mcast, sizeof(mcast));
    xenpv_netif_get_extra(slot, &ours);
    SAME("mcast addr", memcmp(ours.u.mcast.addr, mcast.u.mcast.addr, 6), 0);
    load(&hash, sizeof(hash));
    xenpv_netif_get_extra(slot, &ours);
    SAME("hash type", ours.u.hash.type, hash.u.hash.type);
    SAME("hash algorithm", ours.u.hash.algorithm, hash.u.hash.algorithm);
    SAME("hash value, first octet last", ours.u.hash.value, 0xf4339211);
    load(&xdp, sizeof(xdp));
    xenpv_netif_get_extra(slot, &ours);
    SAME("xdp headroom", ours.u.xdp.headroom, xdp.u.pad[0]);
}

static void control(void)
{
    struct xen_netif_ctrl_request request = {
        .id = 0xfedc, .type = 0x9876, .data = {0x80000001, 0x90000002, 0xa0000003}};
    struct xen_netif_ctrl_response response = {
        .id = 0xabcd, .type = 0x8765, .status = 0xf0000001, .data = 0xe0000002};
    struct xen_netif_gref gref = {.ref = 0xa1b2c3d4, .flags = 0x8001, .status = 0x9002};
    struct xenpv_netif_ctrl_request our_request;
    struct xenpv_netif_ctrl_response our_response;
    struct xenpv_netif_gref our_gref;

    load(&request, sizeof(request));
    xenpv_netif_get_ctrl_request(slot, &our_request);
    SAME("ctrl id", our_request.id, request.id);
    SAME("ctrl type", our_request.type, request.type);
    SAME("ctrl data", memcmp(our_request.data, request.data, 12), 0);
    wipe();
    xenpv_netif_put_ctrl_request(&our_request, slot);
    put_back("ctrl request", &request, sizeof(request), 0);

    load(&response, sizeof(response));
    xenpv_netif_get_ctrl_response(slot, &our_response);
    SAME("ctrl response id", our_response.id, response.id);
    SAME("ctrl response type", our_response.type, response.type);
    SAME("ctrl response status", our_response.status, response.status);
    SAME("ctrl response data", our_response.data, response.data);
    wipe();
    xenpv_netif_put_ctrl_response(&our_response, slot);
    put_back("ctrl response", &response, sizeof(response), 0);

    load(&gref, sizeof(gref));
    xenpv_netif_get_gref(slot, &our_gref);
    SAME("gref ref", our_gref.ref, gref.ref);
    SAME("gref flags", our_gref.flags, gref.flags);
    SAME("gref status", our_gref.status, gref.status);
    wipe();
    xenpv_netif_put_gref(&our_gref, slot);
    put_back("gref", &gref, sizeof(gref), 0);
}

int main(void)
{
    constants();
    rings();
    transmit();
    receive();
    extras();
    control();
    printf("%s - netif\n", failures ? "not ok" : "ok");
    return failures != 0;
}
