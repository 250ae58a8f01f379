/* SPDX-License-Identifier: MIT */
/*
 * The messages of netif.h as rows of 32-bit words, for writing straight into a ring slot that the
 * other end may be reading, and reading one that it may be writing: each word is stored once, none
 * is read back, and padding is zero; each word is loaded once.
 */
#ifndef XENPV_NETIF_WORDS_H
#define XENPV_NETIF_WORDS_H

#include <xenpv/abi/netif.h>

#include "inline.h"

/* Two halves of a word: the first one in memory is the low one. */
ALWAYS_INLINE uint32_t netif_pair(uint32_t low, uint32_t high)
{
    return (low & 0xffff) | high << 16;
}

ALWAYS_INLINE void netif_put_tx_request(const struct xenpv_netif_tx_request *request,
                                        uint32_t *slot)
{
    xenpv_store(slot, request->ref);
    xenpv_store(slot + 1, netif_pair(request->offset, request->flags));
    xenpv_store(slot + 2, netif_pair(request->id, request->size));
}

ALWAYS_INLINE void netif_get_tx_request(const uint32_t *slot,
                                        struct xenpv_netif_tx_request *request)
{
    uint32_t where = xenpv_load(slot + 1), what = xenpv_load(slot + 2);

    request->ref = xenpv_load(slot);
    request->offset = (uint16_t)where;
    request->flags = (uint16_t)(where >> 16);
    request->id = (uint16_t)what;
    request->size = (uint16_t)(what >> 16);
}

ALWAYS_INLINE void netif_put_tx_response(const struct xenpv_netif_tx_response *response,
                                         uint32_t *slot)
{
    xenpv_store(slot, netif_pair(response->id, (uint16_t)response->status));
}

ALWAYS_INLINE void netif_get_tx_response(const uint32_t *slot,
                                         struct xenpv_netif_tx_response *response)
{
    uint32_t word = xenpv_load(slot);

    response->id = (uint16_t)word;
    response->status = (int16_t)(word >> 16);
}

ALWAYS_INLINE void netif_put_rx_request(const struct xenpv_netif_rx_request *request,
                                        uint32_t *slot)
{
    xenpv_store(slot, request->id);
    xenpv_store(slot + 1, request->ref);
}

ALWAYS_INLINE void netif_get_rx_request(const uint32_t *slot,
                                        struct xenpv_netif_rx_request *request)
{
    request->id = (uint16_t)xenpv_load(slot);
    request->ref = xenpv_load(slot + 1);
}

ALWAYS_INLINE void netif_put_rx_response(const struct xenpv_netif_rx_response *response,
                                         uint32_t *slot)
{
    xenpv_store(slot, netif_pair(response->id, response->offset));
    xenpv_store(slot + 1, netif_pair(response->flags, (uint16_t)response->status));
}

ALWAYS_INLINE void netif_get_rx_response(const uint32_t *slot,
                                         struct xenpv_netif_rx_response *response)
{
    uint32_t where = xenpv_load(slot), what = xenpv_load(slot + 1);

    response->id = (uint16_t)where;
    response->offset = (uint16_t)(where >> 16);
    response->flags = (uint16_t)what;
    response->status = (int16_t)(what >> 16);
}

/* The two words that both rings have room for; a tx slot has a third one, of padding. */
static inline void netif_put_rx_extra(const struct xenpv_netif_extra *extra, uint32_t *slot)
{
    const uint8_t *addr = extra->u.mcast.addr;
    uint32_t half = 0, word = 0;

    switch (extra->type) {
    case XENPV_NETIF_EXTRA_GSO:
        half = extra->u.gso.size;
        word = netif_pair(extra->u.gso.type, extra->u.gso.features);
        break;
    case XENPV_NETIF_EXTRA_MCAST_ADD:
    case XENPV_NETIF_EXTRA_MCAST_DEL:
        half = addr[0] | (uint32_t)addr[1] << 8;
        word = addr[2] | (uint32_t)addr[3] << 8 | (uint32_t)addr[4] << 16 | (uint32_t)addr[5] << 24;
        break;
    case XENPV_NETIF_EXTRA_HASH:
        half = extra->u.hash.type | (uint32_t)extra->u.hash.algorithm << 8;
        word = extra->u.hash.value;
        break;
    case XENPV_NETIF_EXTRA_XDP:
        half = extra->u.xdp.headroom;
        break;
    default:
        break;
    }
    xenpv_store(slot, netif_pair(extra->type | (uint32_t)extra->flags << 8, half));
    xenpv_store(slot + 1, word);
}

static inline void netif_put_tx_extra(const struct xenpv_netif_extra *extra, uint32_t *slot)
{
    netif_put_rx_extra(extra, slot);
    xenpv_store(slot + 2, 0);
}

static inline void netif_get_extra(const uint32_t *slot, struct xenpv_netif_extra *extra)
{
    uint32_t head = xenpv_load(slot), word = xenpv_load(slot + 1);
    uint8_t *addr = extra->u.mcast.addr;

    memset(extra, 0, sizeof(*extra));
    extra->type = (uint8_t)head;
    extra->flags = (uint8_t)(head >> 8);
    switch (extra->type) {
    case XENPV_NETIF_EXTRA_GSO:
        extra->u.gso.size = (uint16_t)(head >> 16);
        extra->u.gso.type = (uint8_t)word;
        extra->u.gso.features = (uint16_t)(word >> 16);
        break;
    case XENPV_NETIF_EXTRA_MCAST_ADD:
    case XENPV_NETIF_EXTRA_MCAST_DEL:
        addr[0] = (uint8_t)(head >> 16);
        addr[1] = (uint8_t)(head >> 24);
        for (uint32_t i = 0; i < 4; i++)
            addr[2 + i] = (uint8_t)(word >> 8 * i);
        break;
    case XENPV_NETIF_EXTRA_HASH:
        extra->u.hash.type = (uint8_t)(head >> 16);
        extra->u.hash.algorithm = (uint8_t)(head >> 24);
        extra->u.hash.value = word;
        break;
    case XENPV_NETIF_EXTRA_XDP:
        extra->u.xdp.headroom = (uint16_t)(head >> 16);
        break;
    default:
        break;
    }
}

#endif
