/* SPDX-License-Identifier: MIT */
#include "vif.h"

#include <stdio.h>
#include <string.h>

#include <xenpv/flow.h>

#include "complain.h"

#define CLOSE_MS 5000u /* for each step of closing, or less if --timeout says so */

#define ETHERNET 14u /* bytes of its header */

#define TX_BUFFERS  256u
#define RX_BUFFERS  256u
#define BUFFERS_MIN XENPV_NETIF_SLOTS_MIN /* one large packet */

/* ------------------------------------------------------------------------------------- making -- */

static uint32_t shrunk(uint32_t buffers, unsigned attempt)
{
    buffers >>= attempt;
    return buffers > BUFFERS_MIN ? buffers : BUFFERS_MIN;
}

static int make(struct vif *vif)
{
    int rc;

    vif->config.tx_buffers = shrunk(TX_BUFFERS, vif->attempt);
    vif->config.rx_buffers = shrunk(RX_BUFFERS, vif->attempt);
    vif->memory = os_alloc(xenpv_net_size(&vif->config), 16);
    if (!vif->memory)
        return complain(STATUS_ENVIRONMENT, "%s: out of memory", vif->device.name);
    rc = xenpv_net_init(vif->memory, &vif->config, &vif->net);
    if (rc)
        return complain(STATUS_FAILED, "%s: %s", vif->device.name, xenpv_error_text(rc));
    return STATUS_DONE;
}

int vif_make(struct vif *vif, struct machine *machine, const struct device *device)
{
    const struct options *options = machine->options;
    uint32_t timeout = options->timeout_ms;

    *vif = (struct vif){.machine = machine, .device = *device};
    xenpv_net_config_init(&vif->config, &machine->port, vif->device.path);
    vif->config.connect_ms = timeout;
    vif->config.close_ms = timeout != 0 && timeout < CLOSE_MS ? timeout : CLOSE_MS;
    vif->config.recover_ms = timeout ? timeout : UINT32_MAX; /* there 0 is: not at all */
    vif->config.without = options->net_without;
    vif->config.poll = options->poll;
    if (options->given & OPTION_QUEUES)
        vif->config.queues = options->queues;
    vif->frame = os_alloc(XENPV_NETIF_PACKET_MAX, 16);
    if (!vif->frame)
        return complain(STATUS_ENVIRONMENT, "%s: out of memory", vif->device.name);
    return make(vif);
}

/* ----------------------------------------------------------------------------------- stepping -- */

/* A backend that returns may offer fewer queues. With -v, each state that either end reaches. */
static void look(struct vif *vif)
{
    struct xenpv_net_info info;

    xenpv_net_info(vif->net, &info);
    if (xenpv_net_state(vif->net) == XENPV_NET_CONNECTED)
        vif->queues = info.queues;
    if (info.backend_state == XENPV_STATE_UNREAD)
        return;
    if (info.frontend_state == vif->seen_states[0] && info.backend_state == vif->seen_states[1])
        return;
    vif->seen_states[0] = info.frontend_state;
    vif->seen_states[1] = info.backend_state;
    remark(vif->machine->options, "%s: frontend %u %s, backend %u %s", vif->device.name,
           info.frontend_state, xenpv_bus_state_name(info.frontend_state), info.backend_state,
           xenpv_bus_state_name(info.backend_state));
}

/* Says once that a connection is lost, and once that it has returned. */
static void notice_loss(struct vif *vif, enum xenpv_net_state state, uint64_t now)
{
    const struct options *options = vif->machine->options;

    if (state == XENPV_NET_RECOVERING && !vif->lost) {
        vif->lost = true;
        vif->began = now;
        if (options->timeout_ms)
            notice(options,
                   "%s: the connection is lost; waiting up to %u ms for the backend to return",
                   vif->device.name, options->timeout_ms);
        else
            notice(options, "%s: the connection is lost; waiting for the backend to return",
                   vif->device.name);
    } else if (state == XENPV_NET_CONNECTED && vif->lost) {
        vif->lost = false;
        notice(options, "%s: connected again after %llu ms", vif->device.name,
               (unsigned long long)(now - vif->began));
    }
}

static void take_ended(struct vif *vif)
{
    struct xenpv_completion ended[64];

    for (uint32_t i = 0; i < vif->config.queues; i++) {
        int count;

        while ((count = xenpv_netq_poll(xenpv_net_queue(vif->net, i), ended, 64)) > 0) {
            vif->ended += (uint64_t)count;
            for (int n = 0; n < count; n++)
                vif->unsent += ended[n].status != 0;
        }
    }
}

bool vif_step(struct vif *vif)
{
    bool failed = xenpv_net_detail(vif->net)->error != 0;
    uint64_t now = machine_now(vif->machine);
    enum xenpv_net_state state = xenpv_net_step(vif->net, now);

    if (!failed && xenpv_net_detail(vif->net)->error != 0)
        vif->failed_after = now - vif->began;
    look(vif);
    notice_loss(vif, state, now);
    take_ended(vif);
    return state == XENPV_NET_CONNECTED || state == XENPV_NET_RECOVERING;
}

/* ------------------------------------------------------------------------------------- frames -- */

bool vif_is_new(struct vif *vif)
{
    struct xenpv_netq *q = xenpv_net_queue(vif->net, 0);
    uint32_t connections = xenpv_netq_connections(q);

    if (connections == vif->announced || xenpv_netq_held(q) ||
        xenpv_net_state(vif->net) != XENPV_NET_CONNECTED)
        return false;
    vif->announced = connections;
    return true;
}

int vif_send(struct vif *vif, void *frame, uint32_t bytes, const struct xenpv_net_offload *offload)
{
    struct xenpv_iov iov = {frame, bytes};
    struct xenpv_net_packet packet = {.iov = &iov, .count = 1, .offload = *offload};
    uint32_t hash = 0;
    uint8_t type;

    if (vif->queues > 1)
        hash =
            xenpv_flow_hash(frame, bytes, XENPV_FLOW_TYPES, xenpv_flow_key, XENPV_FLOW_KEY, &type);
    return xenpv_netq_send(xenpv_net_queue(vif->net, hash % vif->queues), &packet, NULL);
}

void vif_submit(struct vif *vif)
{
    for (uint32_t i = 0; i < vif->queues; i++)
        xenpv_netq_submit(xenpv_net_queue(vif->net, i));
}

uint32_t vif_mtu(const struct vif *vif)
{
    struct xenpv_net_info info;

    xenpv_net_info(vif->net, &info);
    return info.mtu < info.max_frame - ETHERNET ? info.mtu : info.max_frame - ETHERNET;
}

uint32_t vif_pending(const struct vif *vif)
{
    uint32_t pending = 0;

    for (uint32_t i = 0; i < vif->config.queues; i++)
        pending += xenpv_netq_pending(xenpv_net_queue(vif->net, i));
    return pending;
}

/* Out of memory that others write to, before anything is made of it. */
static void copy(struct vif *vif, const struct xenpv_net_frame *from, struct vif_frame *to)
{
    uint8_t *at = vif->frame;

    for (uint32_t i = 0; i < from->count; i++) {
        memcpy(at, from->fragment[i].base, from->fragment[i].length);
        at += from->fragment[i].length;
    }
    *to = (struct vif_frame){.data = vif->frame,
                             .bytes = from->length,
                             .fragments = from->count,
                             .offload = from->offload};
}

bool vif_receive(struct vif *vif, struct vif_frame *frame)
{
    struct xenpv_net_frame found;

    for (uint32_t i = 0; i < vif->queues; i++) {
        struct xenpv_netq *q = xenpv_net_queue(vif->net, vif->turn++ % vif->queues);

        if (xenpv_netq_receive(q, &found, 1) != 1)
            continue;
        copy(vif, &found, frame);
        xenpv_netq_return(q, &found);
        return true;
    }
    return false;
}

/* ------------------------------------------------------------------------------------ waiting -- */

static void add_handle(struct vif_waits *waits, xenpv_handle handle)
{
    if (handle == XENPV_NO_HANDLE || waits->count == OS_WAITS_MAX ||
        (waits->count && waits->waits[waits->count - 1].handle == handle))
        return;
    waits->waits[waits->count++] = (struct os_wait){.handle = handle};
}

/* Where there is nothing to wait on, as in the mock, the machine's wait is all there is. */
static void add_queue(struct vif *vif, struct xenpv_netq *q, uint32_t halves,
                      struct vif_waits *waits)
{
    if (!(vif->machine->port.caps & XENPV_CAP_WAIT) || xenpv_netq_held(q))
        return;
    if (xenpv_netq_arm(q, halves) != 0) {
        waits->ready = true;
        return;
    }
    if (halves & XENPV_NET_TX)
        add_handle(waits, xenpv_netq_wait_handle(q, XENPV_NET_TX));
    if (halves & XENPV_NET_RX)
        add_handle(waits, xenpv_netq_wait_handle(q, XENPV_NET_RX));
}

void vif_add_waits(struct vif *vif, struct vif_waits *waits, uint32_t halves)
{
    uint64_t deadline = xenpv_net_deadline(vif->net);

    for (uint32_t i = 0; i < vif->queues; i++)
        add_queue(vif, xenpv_net_queue(vif->net, i), halves, waits);
    add_handle(waits, xenpv_netctl_wait_handle(vif->net));
    if (deadline < waits->deadline)
        waits->deadline = deadline;
}

void vif_wait(struct machine *machine, const struct vif_waits *waits)
{
    machine_wait(machine, waits->waits, waits->count, waits->ready ? 0 : waits->deadline);
}

static bool is_on_the_way(const struct vif *vif)
{
    enum xenpv_net_state state = xenpv_net_state(vif->net);

    return state == XENPV_NET_CONNECTING || state == XENPV_NET_RECOVERING ||
           state == XENPV_NET_CLOSING;
}

/* What still arrives is nobody's any more; all queues must learn that they are to park. */
static void empty_queues(struct vif *vif)
{
    struct xenpv_net_frame unwanted;

    for (uint32_t i = 0; i < vif->config.queues; i++) {
        struct xenpv_netq *q = xenpv_net_queue(vif->net, i);

        while (xenpv_netq_receive(q, &unwanted, 1) > 0)
            xenpv_netq_return(q, &unwanted);
    }
}

/* Steps until the device has arrived. */
static void travel(struct vif *vif)
{
    bool stopping = false;

    for (;;) {
        struct vif_waits waits = {.deadline = UINT64_MAX};

        vif_step(vif);
        /* What has come on a new connection is for who wanted it. */
        if (xenpv_net_state(vif->net) != XENPV_NET_CONNECTED)
            empty_queues(vif);
        if (!is_on_the_way(vif))
            return;
        if (os_stop_signal() && !stopping) {
            vif_submit(vif);
            xenpv_net_close(vif->net, machine_now(vif->machine));
            stopping = true;
            continue;
        }
        vif_add_waits(vif, &waits, XENPV_NET_TX | XENPV_NET_RX);
        vif_wait(vif->machine, &waits);
    }
}

/* --------------------------------------------------------------------------------- connecting -- */

int vif_inspect(struct vif *vif)
{
    vif->began = machine_now(vif->machine);
    xenpv_net_inspect(vif->net, vif->began);
    travel(vif);
    return xenpv_net_state(vif->net) == XENPV_NET_CLOSED ? STATUS_DONE : STATUS_FAILED;
}

static bool connect_once(struct vif *vif)
{
    vif->began = machine_now(vif->machine);
    xenpv_net_connect(vif->net, vif->began);
    travel(vif);
    return xenpv_net_state(vif->net) == XENPV_NET_CONNECTED;
}

/* Another process has the pages, or a backend has not returned them: less may still be free. */
static bool lacks_grants(const struct vif *vif)
{
    return xenpv_net_state(vif->net) == XENPV_NET_FAILED &&
           xenpv_net_detail(vif->net)->error == XENPV_ENOGRANT && !os_stop_signal() &&
           (vif->config.rx_buffers > BUFFERS_MIN || vif->config.queues > 1);
}

static int make_smaller(struct vif *vif)
{
    if (vif->config.rx_buffers == BUFFERS_MIN)
        vif->config.queues /= 2;
    vif->attempt++;
    remark(vif->machine->options, "%s: too few pages can be shared; trying with half of them",
           vif->device.name);
    os_free(vif->memory);
    vif->memory = NULL;
    vif->net = NULL;
    return make(vif);
}

/* With -v, what became of the wishes. */
static void remark_use(const struct vif *vif)
{
    struct xenpv_net_info info;
    char features[160] = "";

    xenpv_net_info(vif->net, &info);
    for (uint32_t bit = 0; bit < XENPV_NET_FEATURES; bit++)
        if (info.features & 1u << bit)
            snprintf(features + strlen(features), sizeof(features) - strlen(features), " %s",
                     xenpv_net_feature_name(bit));
    remark(vif->machine->options,
           "%s: in use: %u queues, %u tx and %u rx buffers; MTU %u; features:%s", vif->device.name,
           info.queues, vif->config.tx_buffers, vif->config.rx_buffers, info.mtu,
           features[0] ? features : " none");
}

int vif_connect(struct vif *vif)
{
    int status = machine_claim(vif->machine, "vif", vif->device.id);

    while (status == STATUS_DONE && !connect_once(vif))
        status = lacks_grants(vif) ? make_smaller(vif) : STATUS_FAILED;
    if (status == STATUS_DONE)
        remark_use(vif);
    return status;
}

int vif_open(struct vif *vif, struct machine *machine, const struct device *device)
{
    struct device found = *device;
    int status = device_find_vif(machine, &found);

    if (status == STATUS_DONE)
        status = vif_make(vif, machine, &found);
    return status == STATUS_DONE ? vif_connect(vif) : status;
}

/* ------------------------------------------------------------------------------------ closing -- */

static void shut(struct vif *vif)
{
    enum xenpv_net_state state = xenpv_net_state(vif->net);

    if (state == XENPV_NET_CONNECTED || state == XENPV_NET_RECOVERING) {
        vif->began = machine_now(vif->machine);
        vif_submit(vif);
        xenpv_net_close(vif->net, vif->began);
    }
    travel(vif);
    if (xenpv_net_abandoned(vif->net))
        remark(vif->machine->options, "%s: the backend never gave %u pages back", vif->device.name,
               xenpv_net_abandoned(vif->net));
}

int vif_close(struct vif *vif, int status)
{
    if (vif->net) {
        const struct xenpv_detail *detail = xenpv_net_detail(vif->net);
        struct xenpv_net_info info;

        shut(vif);
        xenpv_net_info(vif->net, &info);
        if (detail->error)
            status = device_complain(vif->machine, vif->device.name, detail, vif->failed_after,
                                     info.backend_id, "");
    }
    os_free(vif->memory);
    os_free(vif->frame);
    return status;
}
