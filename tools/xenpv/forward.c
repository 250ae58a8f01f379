/* SPDX-License-Identifier: MIT */
#include "forward.h"

#include <stdlib.h>
#include <string.h>

#include "backend/offload.h"

struct forward {
    struct vif *vif;
    uint32_t features, mtu;
    bool busy, cutting;
    struct xenpv_link_frame whole, segment;
    struct offload_cut cut;
    uint64_t frames, large;
    uint8_t bytes[2][XENPV_LINK_FRAME_MAX];
};

struct forward *forward_make(struct vif *vif)
{
    struct forward *forward = calloc(1, sizeof(*forward));

    if (!forward)
        return NULL;
    forward->vif = vif;
    forward_renew(forward);
    return forward;
}

void forward_free(struct forward *forward)
{
    free(forward);
}

void forward_renew(struct forward *forward)
{
    struct xenpv_net_info info;

    xenpv_net_info(forward->vif->net, &info);
    forward->features = info.features;
    forward->mtu = vif_mtu(forward->vif);
}

struct xenpv_link_frame *forward_next(struct forward *forward)
{
    forward->whole = (struct xenpv_link_frame){.data = forward->bytes[0]};
    return &forward->whole;
}

bool forward_is_busy(const struct forward *forward)
{
    return forward->busy;
}

uint64_t forward_frames(const struct forward *forward)
{
    return forward->frames;
}

uint64_t forward_large(const struct forward *forward)
{
    return forward->large;
}

/* ----------------------------------------------------------------------------------- beginning -- */

static bool has(const struct forward *forward, bool ipv6, uint32_t for_ipv4, uint32_t for_ipv6)
{
    return forward->features & (ipv6 ? for_ipv6 : for_ipv4);
}

/* A file does not say that a checksum was blank; but there it stands as one would be. */
static bool seems_blank(const struct xenpv_link_frame *frame, const struct offload_headers *headers)
{
    uint8_t before[2], *checksum = frame->data + headers->checksum;
    bool same;

    memcpy(before, checksum, 2);
    offload_blank(frame, headers);
    same = memcmp(before, checksum, 2) == 0;
    memcpy(checksum, before, 2);
    return same;
}

/* A frame of the wire: with its checksum, or without where the backend makes it. */
static void settle_checksum(const struct forward *forward, struct xenpv_link_frame *frame,
                            const struct offload_headers *headers)
{
    if (frame->checksum == XENPV_LINK_BLANK &&
        !has(forward, headers->ipv6, XENPV_NET_CSUM4, XENPV_NET_CSUM6))
        offload_complete(frame, headers);
}

/* More than a wire of this MTU takes. Behind Ethernet's header there may be two VLAN tags. */
static bool is_large(const struct forward *forward, bool found,
                     const struct offload_headers *headers)
{
    const struct xenpv_link_frame *frame = &forward->whole;

    if (frame->gso_type != XENPV_NETIF_GSO_NONE)
        return true;
    return found ? headers->end - headers->network > forward->mtu
                 : frame->bytes > 14 + 8 + forward->mtu;
}

static int begin_large(struct forward *forward, const struct offload_headers *headers)
{
    struct xenpv_link_frame *frame = &forward->whole;
    uint32_t head = headers->payload - headers->network;

    if (forward->mtu <= head)
        return XENPV_E2BIG;
    if (frame->gso_size == 0 || frame->gso_size > forward->mtu - head)
        frame->gso_size = (uint16_t)(forward->mtu - head);
    frame->gso_type = headers->ipv6 ? XENPV_NETIF_GSO_TCPV6 : XENPV_NETIF_GSO_TCPV4;
    if (frame->checksum != XENPV_LINK_BLANK)
        offload_blank(frame, headers);
    frame->checksum = XENPV_LINK_BLANK;
    forward->busy = true;
    forward->cutting = !has(forward, headers->ipv6, XENPV_NET_GSO4, XENPV_NET_GSO6);
    forward->cut = (struct offload_cut){.whole = frame, .headers = *headers};
    forward->segment = (struct xenpv_link_frame){.data = NULL};
    return 0;
}

int forward_begin(struct forward *forward)
{
    struct xenpv_link_frame *frame = &forward->whole;
    struct offload_headers headers;
    bool found = offload_find(frame, &headers);

    forward->busy = forward->cutting = false;
    if (is_large(forward, found, &headers))
        return found && headers.tcp ? begin_large(forward, &headers) : XENPV_E2BIG;
    if (found && frame->checksum == XENPV_LINK_AS_IS && seems_blank(frame, &headers))
        frame->checksum = XENPV_LINK_BLANK;
    if (found)
        settle_checksum(forward, frame, &headers);
    else
        frame->checksum = XENPV_LINK_AS_IS;
    forward->cut.headers = headers;
    forward->busy = true;
    return 0;
}

/* ------------------------------------------------------------------------------------- sending -- */

static int send(struct forward *forward, const struct xenpv_link_frame *frame)
{
    static const uint8_t checksums[] = {[XENPV_LINK_AS_IS] = XENPV_NET_CSUM_AS_IS,
                                        [XENPV_LINK_GOOD] = XENPV_NET_CSUM_GOOD,
                                        [XENPV_LINK_BLANK] = XENPV_NET_CSUM_BLANK};
    bool large = frame->gso_type != XENPV_NETIF_GSO_NONE;
    const struct xenpv_net_offload offload = {.checksum = checksums[frame->checksum],
                                              .ipv6 = frame->checksum == XENPV_LINK_BLANK &&
                                                      forward->cut.headers.ipv6,
                                              .mss = large ? frame->gso_size : 0};
    int rc = vif_send(forward->vif, frame->data, frame->bytes, &offload);

    if (rc == 0) {
        forward->frames++;
        forward->large += large;
    }
    return rc;
}

/* The next piece of a packet that is cut here; false: there is none. */
static bool cut(struct forward *forward)
{
    struct xenpv_link_frame *segment = &forward->segment;
    struct offload_headers headers;

    *segment = (struct xenpv_link_frame){.data = forward->bytes[1]};
    if (!offload_next(&forward->cut, segment))
        return false;
    if (offload_find(segment, &headers))
        settle_checksum(forward, segment, &headers);
    return true;
}

int forward_go(struct forward *forward)
{
    int rc = 0;

    if (!forward->cutting) {
        rc = send(forward, &forward->whole);
        forward->busy = rc == XENPV_EFULL;
        return rc;
    }
    while (rc == 0 && (forward->segment.data || cut(forward))) {
        rc = send(forward, &forward->segment);
        if (rc == 0)
            forward->segment.data = NULL;
    }
    forward->busy = rc == XENPV_EFULL;
    return rc;
}
