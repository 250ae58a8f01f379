/* SPDX-License-Identifier: MIT */
/*
 * Static grants: a backend that can (netif.h, XEN_NETIF_CTRL_TYPE_GET_GREF_MAPPING_SIZE) is told
 * which pages will be used, queue by queue, and keeps them mapped. What it says no to is left.
 */
#include "net_device.h"

/* Pages of a queue that are buffers, in the order in which they are counted. */
static uint32_t buffers(const struct xenpv_netq *q)
{
    return q->rx_buffers + q->tx_buffers + q->shared_pages;
}

static void list_page(const struct xenpv_netq *q, uint32_t page, uint32_t *entry)
{
    struct xenpv_netif_gref gref = {.flags = XENPV_NETIF_GREF_READONLY};

    if (page < q->rx_buffers)
        gref = (struct xenpv_netif_gref){.ref = q->rx.refs[page]};
    else if (page - q->rx_buffers < q->tx_buffers)
        gref.ref = q->tx.refs[page - q->rx_buffers];
    else
        gref.ref = arena_ref(&q->shared, page - q->rx_buffers - q->tx_buffers);
    xenpv_netif_put_gref(&gref, entry);
}

bool netctl_list(const struct xenpv_net *net, uint32_t queue, uint32_t first, uint32_t count,
                 uint32_t *list)
{
    const struct xenpv_netq *q;

    if (queue >= net->info.queues)
        return false;
    q = &net->queue[queue];
    if (first > buffers(q) || count > buffers(q) - first)
        return false;
    for (uint32_t i = 0; i < count; i++)
        list_page(q, first + i, list + (size_t)i * (XENPV_NETIF_GREF_ENTRY / 4));
    return true;
}

static void next_queue(struct netctl *ctl)
{
    ctl->grants.queue++;
    ctl->grants.asked = false;
    ctl->grants.told = 0;
}

void netctl_grant(struct xenpv_net *net, uint64_t now)
{
    struct netctl *ctl = &net->ctl;
    struct xenpv_netctl_request request = {.type = XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE,
                                           .number = ctl->grants.queue};

    if (ctl->grants.queue >= net->info.queues || ctl->grants.under_way)
        return;
    if (ctl->grants.asked) {
        uint32_t left = ctl->grants.most - ctl->grants.told;

        request.type = XENPV_NETIF_CTRL_ADD_GREF_MAPPING;
        request.first = ctl->grants.told;
        request.count = left < XENPV_NETIF_GREF_ENTRIES ? left : XENPV_NETIF_GREF_ENTRIES;
    }
    ctl->grants.under_way = netctl_send_own(net, &request, now);
}

void netctl_count(struct netctl *ctl, const struct netctl_slot *slot)
{
    uint32_t removed = slot->data < slot->count ? slot->data : slot->count;

    if (slot->status != XENPV_OK)
        return;
    if (slot->type == XENPV_NETIF_CTRL_ADD_GREF_MAPPING)
        ctl->grants.total += slot->count;
    if (slot->type == XENPV_NETIF_CTRL_DEL_GREF_MAPPING)
        ctl->grants.total -= removed < ctl->grants.total ? removed : ctl->grants.total;
}

void netctl_granted(struct xenpv_net *net, const struct netctl_slot *slot)
{
    struct netctl *ctl = &net->ctl;
    uint32_t pages = buffers(&net->queue[ctl->grants.queue]);

    ctl->grants.under_way = false;
    if (slot->status != XENPV_OK || (!ctl->grants.asked && slot->data == 0)) {
        ctl->grants.queue = net->info.queues;
        return;
    }
    if (!ctl->grants.asked) {
        ctl->grants.asked = true;
        ctl->grants.most = slot->data < pages ? slot->data : pages;
        return;
    }
    ctl->grants.told += slot->count;
    if (ctl->grants.told == ctl->grants.most)
        next_queue(ctl);
}
