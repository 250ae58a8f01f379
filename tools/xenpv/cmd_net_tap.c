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
    const char *name;
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

static int complain_of_setting(const struct tap *tap, const char *what)
{
    return complain(STATUS_ENVIRONMENT, "%s: cannot set its %s: %s", tap->name, what,
                    strerror(errno));
}

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

/* What the vif's keys say. An MTU that Linux does not take is passed over: 68 is its least. */
static int follow_keys(struct tap *tap)
{
    bool connected = xenpv_net_state(tap->vif->net) == XENPV_NET_CONNECTED;
    struct xenpv_net_info info;

    xenpv_net_info(tap->vif->net, &info);
    follow_carrier(tap, connected && info.carrier);
    if (!connected || info.mtu == tap->mtu)
        return STATUS_DONE;
    tap->mtu = info.mtu;
    forward_renew(tap->forward);
    return os_tap_set_mtu(tap->name, info.mtu) == 0 ? STATUS_DONE : complain_of_setting(tap, "MTU");
}

static int prepare(struct tap *tap)
{
    struct xenpv_net_info info;

    xenpv_net_info(tap->vif->net, &info);
    tap->carrier = true; /* as the kernel has it at first */
    if (info.has_mac && os_tap_set_mac(tap->name, info.mac) != 0)
        return complain_of_setting(tap, "address");
    return follow_keys(tap);
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

static int run(struct tap *tap)
{
    struct vif *vif = tap->vif;
    int status = prepare(tap);

    while (status == STATUS_DONE && vif_step(vif)) {
        struct vif_frame frame;

        if (os_stop_signal())
            return STATUS_DONE;
        if (vif_is_new(vif))
            forward_renew(tap->forward);
        status = follow_keys(tap);
        for (uint32_t i = 0; i < NET_ROUND && vif_receive(vif, &frame); i++)
            give(tap, &frame);
        fetch(tap);
        vif_submit(vif);
        wait(tap);
    }
    return status == STATUS_DONE ? STATUS_FAILED : status;
}

static int use(struct vif *vif, void *ctx)
{
    struct tap *tap = ctx;
    int status;

    tap->vif = vif;
    tap->handle = tap->link.wait_handle(tap->link.ctx);
    tap->forward = forward_make(vif);
    if (!tap->forward)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    notice(tap->options, "%s is the network device %s; a signal ends that", vif->device.name,
           tap->name);
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
    struct tap tap = {.options = options, .name = options->name ? options->name : NAME};
    int status = wire_open_tap(tap.name, &tap.link);

    (void)count;
    if (status != STATUS_DONE)
        return status;
    status = net_run(options, arguments[0], use, &tap);
    tap.link.close(tap.link.ctx);
    return status;
}
