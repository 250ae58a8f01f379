/* SPDX-License-Identifier: MIT */
/* xenpv net tap: a vif as a network device of the kernel's, for ordinary programs. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cmd_net.h"
#include "complain.h"
#include "forward.h"
#include "os_tap.h"
#include "wire.h"

#define NAME "xenpv0"

struct tap {
    const struct options *options;
    char name[OS_TAP_NAME_MAX];
    struct vif *vif;
    struct forward *forward;
    struct xenpv_link link;
    xenpv_handle handle;
    bool carrier, blocked, more;
    uint32_t mtu;     /* as was set */
    uint64_t in, out; /* frames from the kernel, and to it */
    uint64_t in_lost, out_lost;
};

/* --------------------------------------------------------------------------------- the device -- */

/* The kernel stops sending where the carrier is lost. One that cannot be told so goes on. */
static void follow_carrier(struct tap *tap, bool up)
{
    if (up == tap->carrier)
        return;
    tap->carrier = up;
    if (os_tap_set_carrier(tap->handle, up) != 0)
        remark(tap->options, "%s: cannot set its carrier: %s", tap->name, strerror(errno));
    else
        remark(tap->options, "%s: carrier %s", tap->name, up ? "up" : "down");
}

/* What the vif's keys say. A device with an MTU of its own can be used as well as others. */
static void follow_keys(struct tap *tap)
{
    bool connected = xenpv_net_state(tap->vif->net) == XENPV_NET_CONNECTED;
    uint32_t mtu = vif_mtu(tap->vif);
    struct xenpv_net_info info;

    xenpv_net_info(tap->vif->net, &info);
    follow_carrier(tap, connected && info.carrier);
    if (!connected || mtu == tap->mtu)
        return;
    tap->mtu = mtu;
    forward_renew(tap->forward);
    if (os_tap_set_mtu(tap->handle, mtu) != 0)
        complain(STATUS_DONE, "%s: it cannot have the card's MTU of %u, and keeps its own: %s",
                 tap->name, mtu, strerror(errno));
}

static int prepare(struct tap *tap)
{
    struct xenpv_net_info info;

    xenpv_net_info(tap->vif->net, &info);
    tap->carrier = true; /* as the kernel has it at first */
    if (info.has_mac && os_tap_set_mac(tap->handle, info.mac) != 0)
        return complain(STATUS_ENVIRONMENT, "%s: cannot set its address: %s", tap->name,
                        strerror(errno));
    follow_keys(tap);
    return STATUS_DONE;
}

/* ------------------------------------------------------------------------------------- frames -- */

static void give(struct tap *tap, const struct vif_frame *frame)
{
    static const uint8_t checksums[] = {[XENPV_NET_CSUM_AS_IS] = XENPV_LINK_AS_IS,
                                        [XENPV_NET_CSUM_GOOD] = XENPV_LINK_GOOD,
                                        [XENPV_NET_CSUM_BLANK] = XENPV_LINK_BLANK};
    const struct xenpv_net_offload *offload = &frame->offload;
    struct xenpv_link_frame out = {.data = tap->vif->frame,
                                   .bytes = frame->bytes,
                                   .checksum = checksums[offload->checksum],
                                   .gso_size = offload->mss};

    if (offload->mss)
        out.gso_type = offload->ipv6 ? XENPV_NETIF_GSO_TCPV6 : XENPV_NETIF_GSO_TCPV4;
    tap->out++;
    tap->out_lost += frame->bytes < 14 || tap->link.send(tap->link.ctx, &out) != 0;
}

/* What the kernel has sent, up to a round; ->more: there may be more of it. */
static void fetch(struct tap *tap)
{
    tap->blocked = tap->more = false;
    for (uint32_t i = 0; i < NET_ROUND; i++) {
        int rc = 0;

        if (!forward_is_busy(tap->forward)) {
            if (tap->link.receive(tap->link.ctx, forward_next(tap->forward)) != 0)
                return;
            tap->in++;
            rc = forward_begin(tap->forward);
        }
        if (rc == 0)
            rc = forward_go(tap->forward);
        tap->blocked = rc == XENPV_EFULL;
        if (tap->blocked)
            return;
        tap->in_lost += rc != 0;
    }
    tap->more = true;
}

static void wait(struct tap *tap)
{
    struct vif_waits waits = {.deadline = UINT64_MAX, .ready = tap->more};

    vif_add_waits(tap->vif, &waits, XENPV_NET_RX | (tap->blocked ? XENPV_NET_TX : 0u));
    if (!tap->blocked && waits.count < OS_WAITS_MAX)
        waits.waits[waits.count++] = (struct os_wait){.handle = tap->handle};
    vif_wait(tap->vif->machine, &waits);
}

/* One round of frames, both ways; false: there were none. */
static bool move(struct tap *tap)
{
    uint64_t moved = tap->in + tap->out;
    struct vif_frame frame;

    for (uint32_t i = 0; i < NET_ROUND && vif_receive(tap->vif, &frame); i++)
        give(tap, &frame);
    fetch(tap);
    vif_submit(tap->vif);
    return tap->in + tap->out != moved;
}

static int run(struct tap *tap)
{
    struct vif *vif = tap->vif;
    int status = prepare(tap);

    if (status != STATUS_DONE)
        return status;
    notice(tap->options, "%s is the network device %s; a signal ends that", vif->device.name,
           tap->name);
    while (vif_step(vif)) {
        if (os_stop_signal())
            return STATUS_DONE;
        if (vif_is_new(vif))
            forward_renew(tap->forward);
        follow_keys(tap);
        /* A device that is gone is ready to be read for ever. */
        if (!move(tap) && !os_tap_name(tap->handle, tap->name))
            return complain(STATUS_ENVIRONMENT, "%s: somebody has removed this network device",
                            tap->name);
        wait(tap);
    }
    return STATUS_FAILED;
}

static int use(struct vif *vif, void *ctx)
{
    struct tap *tap = ctx;
    int status;

    tap->vif = vif;
    tap->forward = forward_make(vif);
    if (!tap->forward)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    status = run(tap);
    remark(tap->options,
           "%s: %" PRIu64 " frames from the kernel, %" PRIu64 " of them lost, %" PRIu64
           " large; %" PRIu64 " to it, %" PRIu64 " of them lost",
           tap->name, tap->in, tap->in_lost, forward_large(tap->forward), tap->out, tap->out_lost);
    forward_free(tap->forward);
    return status;
}

int net_tap(const struct options *options, int count, char **arguments)
{
    struct tap tap = {.options = options};
    int status = wire_open_tap(options->name ? options->name : NAME, &tap.link);

    (void)count;
    if (status != STATUS_DONE)
        return status;
    tap.handle = tap.link.wait_handle(tap.link.ctx);
    os_tap_name(tap.handle, tap.name);
    status = net_run(options, arguments[0], use, &tap);
    tap.link.close(tap.link.ctx);
    return status;
}
