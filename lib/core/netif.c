/* SPDX-License-Identifier: MIT */
#include "netif_words.h"

void xenpv_netif_put_tx_request(const struct xenpv_netif_tx_request *request, uint32_t *slot)
{
    netif_put_tx_request(request, slot);
}

void xenpv_netif_get_tx_request(const uint32_t *slot, struct xenpv_netif_tx_request *request)
{
    netif_get_tx_request(slot, request);
}

void xenpv_netif_put_tx_response(const struct xenpv_netif_tx_response *response, uint32_t *slot)
{
    netif_put_tx_response(response, slot);
}

void xenpv_netif_get_tx_response(const uint32_t *slot, struct xenpv_netif_tx_response *response)
{
    netif_get_tx_response(slot, response);
}

void xenpv_netif_put_rx_request(const struct xenpv_netif_rx_request *request, uint32_t *slot)
{
    netif_put_rx_request(request, slot);
}

void xenpv_netif_get_rx_request(const uint32_t *slot, struct xenpv_netif_rx_request *request)
{
    netif_get_rx_request(slot, request);
}

void xenpv_netif_put_rx_response(const struct xenpv_netif_rx_response *response, uint32_t *slot)
{
    netif_put_rx_response(response, slot);
}

void xenpv_netif_get_rx_response(const uint32_t *slot, struct xenpv_netif_rx_response *response)
{
    netif_get_rx_response(slot, response);
}

void xenpv_netif_put_tx_extra(const struct xenpv_netif_extra *extra, uint32_t *slot)
{
    netif_put_tx_extra(extra, slot);
}

void xenpv_netif_put_rx_extra(const struct xenpv_netif_extra *extra, uint32_t *slot)
{
    netif_put_rx_extra(extra, slot);
}

void xenpv_netif_get_extra(const uint32_t *slot, struct xenpv_netif_extra *extra)
{
    netif_get_extra(slot, extra);
}

/* A control message is rare: its codec has no inline twin. */
void xenpv_netif_put_ctrl_request(const struct xenpv_netif_ctrl_request *request, uint32_t *slot)
{
    xenpv_store(slot, netif_pair(request->id, request->type));
    for (uint32_t i = 0; i < 3; i++)
        xenpv_store(slot + 1 + i, request->data[i]);
}

void xenpv_netif_get_ctrl_request(const uint32_t *slot, struct xenpv_netif_ctrl_request *request)
{
    uint32_t head = xenpv_load(slot);

    request->id = (uint16_t)head;
    request->type = (uint16_t)(head >> 16);
    for (uint32_t i = 0; i < 3; i++)
        request->data[i] = xenpv_load(slot + 1 + i);
}

void xenpv_netif_put_ctrl_response(const struct xenpv_netif_ctrl_response *response, uint32_t *slot)
{
    xenpv_store(slot, netif_pair(response->id, response->type));
    xenpv_store(slot + 1, response->status);
    xenpv_store(slot + 2, response->data);
}

void xenpv_netif_get_ctrl_response(const uint32_t *slot, struct xenpv_netif_ctrl_response *response)
{
    uint32_t head = xenpv_load(slot);

    response->id = (uint16_t)head;
    response->type = (uint16_t)(head >> 16);
    response->status = xenpv_load(slot + 1);
    response->data = xenpv_load(slot + 2);
}

void xenpv_netif_put_gref(const struct xenpv_netif_gref *gref, uint32_t *entry)
{
    xenpv_store(entry, gref->ref);
    xenpv_store(entry + 1, netif_pair(gref->flags, gref->status));
}

void xenpv_netif_get_gref(const uint32_t *entry, struct xenpv_netif_gref *gref)
{
    uint32_t word = xenpv_load(entry + 1);

    gref->ref = xenpv_load(entry);
    gref->flags = (uint16_t)word;
    gref->status = (uint16_t)(word >> 16);
}
