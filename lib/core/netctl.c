/* SPDX-License-Identifier: MIT */
/* The control ring of a network device: messages, and their answers in any order. */
#include "check.h"
#include "net_device.h"

#define KEY_MAX     XENPV_PAGE_SIZE
#define MAPPING_MAX (XENPV_PAGE_SIZE / 4)

/* Where the ring has no events, it is looked at this often while an answer is due. */
#define LOOK_MS 1u

/* ---- life ------------------------------------------------------------------------------------ */

void netctl_init(struct xenpv_net *net)
{
    arena_init(&net->ctl.arena, net->config.port, net->ctl.refs);
}

int netctl_share(struct xenpv_net *net)
{
    const struct xenpv_port *port = net->config.port;
    struct netctl *ctl = &net->ctl;
    uint16_t domid = net->bus.peer_domid;
    int error = arena_share(&ctl->arena, 1 + NETCTL_PAGES, domid);

    if (error == XENPV_OK)
        error = port->event->alloc_unbound(port->ctx, domid, &ctl->event_port);
    if (error)
        return error;
    ctl->has_port = true;
    ctl->generation = port->sys->generation(port->ctx);
    xenpv_ring_init_front(&ctl->ring, arena_memory(&ctl->arena, 0), XENPV_PAGE_SIZE,
                          XENPV_NETIF_CTRL_SLOT);
    if (net->config.poll)
        xenpv_ring_disarm(&ctl->ring);
    return XENPV_OK;
}

void netctl_open(struct xenpv_net *net, uint64_t now)
{
    bool granting = (net->config.without & XENPV_NET_STATIC_GRANTS) == 0;

    net->ctl.open = net->ctl.has_port;
    memset(&net->ctl.grants, 0, sizeof(net->ctl.grants));
    net->ctl.grants.queue = granting ? 0 : net->info.queues;
    if (net->ctl.open)
        netctl_grant(net, now);
}

void netctl_stop(struct xenpv_net *net, int reason)
{
    struct netctl *ctl = &net->ctl;

    if (!ctl->open)
        return;
    ctl->open = false;
    ctl->grants.total = 0;
    for (uint32_t i = 0; i < NETCTL_PAGES; i++) {
        struct netctl_slot *slot = &ctl->slot[i];

        if (slot->asked && slot->deadline) {
            slot->status = reason;
            slot->ended = !slot->own;
        }
        slot->asked = false; /* the ring it was on goes */
    }
}

static void close_port(struct xenpv_net *net, bool suspended)
{
    const struct xenpv_port *port = net->config.port;

    if (!net->ctl.has_port)
        return;
    if (suspended)
        port->event->forget(port->ctx, net->ctl.event_port);
    else
        port->event->close(port->ctx, net->ctl.event_port);
    net->ctl.has_port = false;
}

int netctl_release(struct xenpv_net *net)
{
    if (arena_end(&net->ctl.arena) != XENPV_OK)
        return XENPV_EBUSY;
    close_port(net, false);
    return XENPV_OK;
}

void netctl_abandon(struct xenpv_net *net, bool suspended)
{
    arena_abandon(&net->ctl.arena, suspended);
    close_port(net, suspended);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* What a message's page holds, and its words; how they are found by its type. */
enum { DATA_NONE, DATA_NUMBER, DATA_KEY, DATA_MAPPING, DATA_LIST };

static const uint8_t kinds[XENPV_NETIF_CTRL_COUNT] = {
    [XENPV_NETIF_CTRL_GET_HASH_FLAGS] = DATA_NONE,
    [XENPV_NETIF_CTRL_SET_HASH_FLAGS] = DATA_NUMBER,
    [XENPV_NETIF_CTRL_SET_HASH_KEY] = DATA_KEY,
    [XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE] = DATA_NONE,
    [XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE] = DATA_NUMBER,
    [XENPV_NETIF_CTRL_SET_HASH_MAPPING] = DATA_MAPPING,
    [XENPV_NETIF_CTRL_SET_HASH_ALGORITHM] = DATA_NUMBER,
    [XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE] = DATA_NUMBER,
    [XENPV_NETIF_CTRL_ADD_GREF_MAPPING] = DATA_LIST,
    [XENPV_NETIF_CTRL_DEL_GREF_MAPPING] = DATA_LIST,
};

static bool good(const struct xenpv_netctl_request *request)
{
    if (request->type == XENPV_NETIF_CTRL_INVALID || request->type >= XENPV_NETIF_CTRL_COUNT)
        return false;
    switch (kinds[request->type]) {
    case DATA_KEY:
        return request->count <= KEY_MAX && (request->data || request->count == 0);
    case DATA_MAPPING:
        return request->count - 1 < MAPPING_MAX && request->data;
    case DATA_LIST:
        return request->count - 1 < XENPV_NETIF_GREF_ENTRIES;
    default:
        return true;
    }
}

/* Fills a message and its page. False: it names pages that there are not. */
static bool fill(struct xenpv_net *net, const struct xenpv_netctl_request *request, uint32_t id,
                 struct xenpv_netif_ctrl_request *raw)
{
    uint32_t ref = arena_ref(&net->ctl.arena, 1 + id);
    uint8_t *page = arena_memory(&net->ctl.arena, 1 + id);

    *raw = (struct xenpv_netif_ctrl_request){.id = (uint16_t)id, .type = request->type};
    memset(page, 0, XENPV_PAGE_SIZE);
    switch (kinds[request->type]) {
    case DATA_NUMBER:
        raw->data[0] = request->number;
        return true;
    case DATA_KEY:
        if (request->count)
            memcpy(page, request->data, request->count);
        raw->data[0] = ref;
        raw->data[1] = request->count;
        return true;
    case DATA_MAPPING:
        memcpy(page, request->data, (size_t)request->count * 4);
        raw->data[0] = ref;
        raw->data[1] = request->count;
        raw->data[2] = request->first;
        return true;
    case DATA_LIST:
        raw->data[0] = request->number;
        raw->data[1] = ref;
        raw->data[2] = request->count;
        return netctl_list(net, request->number, request->first, request->count,
                           (uint32_t *)(void *)page);
    default:
        return true;
    }
}

static struct netctl_slot *free_slot(struct netctl *ctl, bool own)
{
    uint32_t end = own ? NETCTL_PAGES : XENPV_NETCTL_REQUESTS;

    for (uint32_t i = own ? NETCTL_OWN : 0; i < end; i++) {
        if (!ctl->slot[i].asked && !ctl->slot[i].ended)
            return &ctl->slot[i];
    }
    return NULL;
}

static int send(struct xenpv_net *net, const struct xenpv_netctl_request *request, bool own,
                uint64_t now)
{
    const struct xenpv_port *port = net->config.port;
    struct netctl *ctl = &net->ctl;
    struct netctl_slot *slot = free_slot(ctl, own);
    struct xenpv_netif_ctrl_request raw;

    if (!slot)
        return XENPV_EFULL;
    if (!fill(net, request, (uint32_t)(slot - ctl->slot), &raw))
        return XENPV_EINVAL;
    *slot = (struct netctl_slot){.asked = true,
                                 .own = own,
                                 .type = request->type,
                                 .count = request->count,
                                 .user = request->user,
                                 .deadline = net->config.control_ms ? now + net->config.control_ms
                                                                    : UINT64_MAX};
    xenpv_netif_put_ctrl_request(&raw, xenpv_ring_next_out(&ctl->ring));
    if (xenpv_ring_publish(&ctl->ring))
        port->event->notify(port->ctx, ctl->event_port);
    return XENPV_OK;
}

bool netctl_send_own(struct xenpv_net *net, const struct xenpv_netctl_request *request,
                     uint64_t now)
{
    return send(net, request, true, now) == XENPV_OK;
}

int xenpv_netctl_send(struct xenpv_net *net, const struct xenpv_netctl_request *request,
                      uint64_t now)
{
    if (!good(request))
        return XENPV_EINVAL;
    if (xenpv_net_state(net) != XENPV_NET_CONNECTED)
        return XENPV_EPARKED;
    if (!net->ctl.open)
        return XENPV_ENOTSUP;
    return send(net, request, false, now);
}

/* ---- answers --------------------------------------------------------------------------------- */

static int status_of(uint32_t status)
{
    static const int statuses[] = {
        [XENPV_NETIF_CTRL_SUCCESS] = XENPV_OK,
        [XENPV_NETIF_CTRL_NOT_SUPPORTED] = XENPV_ENOTSUP,
        [XENPV_NETIF_CTRL_INVALID_PARAMETER] = XENPV_EINVAL,
        [XENPV_NETIF_CTRL_BUFFER_OVERFLOW] = XENPV_E2BIG,
    };

    return status < sizeof(statuses) / sizeof(statuses[0]) ? statuses[status] : XENPV_EIO;
}

static void violated(struct xenpv_net *net, uint32_t check, uint32_t index, uint32_t value)
{
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = check,
                                  .index = index,
                                  .value = value,
                                  .step = "taking an answer from the control ring",
                                  .expected = xenpv_check_text(check)};
    char number[21];

    xenpv_printable(detail.found, sizeof(detail.found), number, xenpv_format_number(value, number));
    netctl_stop(net, XENPV_EBROKEN);
    xenpv_bus_fail(&net->bus, &detail);
}

static void end(struct xenpv_net *net, struct netctl_slot *slot, int status, uint32_t data)
{
    slot->status = status;
    slot->data = data;
    slot->ended = !slot->own;
    netctl_count(&net->ctl, slot);
    if (slot->own)
        netctl_granted(net, slot);
}

/* Takes the next answer. False: the backend broke the protocol. */
static bool take(struct xenpv_net *net)
{
    struct netctl *ctl = &net->ctl;
    uint32_t index = ctl->ring.cons;
    struct xenpv_netif_ctrl_response response;
    struct netctl_slot *slot;

    xenpv_netif_get_ctrl_response(xenpv_ring_next_in(&ctl->ring), &response);
    slot = &ctl->slot[response.id % NETCTL_PAGES];
    if (!XENPV_CHECK(CTRL_ID, response.id < NETCTL_PAGES && slot->asked)) {
        violated(net, XENPV_CHECK_CTRL_ID, index, response.id);
        return false;
    }
    if (!XENPV_CHECK(CTRL_TYPE, response.type == slot->type)) {
        violated(net, XENPV_CHECK_CTRL_TYPE, index, response.type);
        return false;
    }
    slot->asked = false;
    /* An answer that comes too late only gives the message's place back. */
    if (slot->deadline)
        end(net, slot, status_of(response.status), response.data);
    return true;
}

static bool take_all(struct xenpv_net *net)
{
    struct netctl *ctl = &net->ctl;
    uint32_t available = xenpv_ring_available(&ctl->ring);

    if (!XENPV_CHECK(RSP_PROD, available <= xenpv_ring_outstanding(&ctl->ring))) {
        violated(net, XENPV_CHECK_RSP_PROD, ctl->ring.cons, ctl->ring.cons + available);
        return false;
    }
    while (available--) {
        if (!take(net))
            return false;
    }
    return true;
}

static void end_late(struct xenpv_net *net, uint64_t now)
{
    for (uint32_t i = 0; i < NETCTL_PAGES; i++) {
        struct netctl_slot *slot = &net->ctl.slot[i];

        if (slot->asked && slot->deadline && now >= slot->deadline) {
            slot->deadline = 0;
            end(net, slot, XENPV_ETIMEDOUT, 0);
        }
    }
}

static bool arm(struct xenpv_net *net)
{
    const struct xenpv_port *port = net->config.port;
    struct netctl *ctl = &net->ctl;

    if (net->config.poll)
        return false;
    if (port->event->take(port->ctx, ctl->event_port))
        port->event->unmask(port->ctx, ctl->event_port);
    return xenpv_ring_arm(&ctl->ring);
}

void netctl_step(struct xenpv_net *net, uint64_t now)
{
    const struct xenpv_port *port = net->config.port;
    struct netctl *ctl = &net->ctl;

    /* After a suspend the number may be another device's port: its event is not ours to take. */
    if (!ctl->open || port->sys->generation(port->ctx) != ctl->generation)
        return;
    for (uint32_t turns = 0; turns < NETCTL_PAGES && take_all(net) && arm(net); turns++)
        ;
    if (!ctl->open)
        return;
    end_late(net, now);
    netctl_grant(net, now);
}

uint64_t netctl_deadline(const struct xenpv_net *net, uint64_t now)
{
    bool events = (net->config.port->caps & XENPV_CAP_WAIT) && !net->config.poll;
    uint64_t next = UINT64_MAX;

    for (uint32_t i = 0; i < NETCTL_PAGES && net->ctl.open; i++) {
        const struct netctl_slot *slot = &net->ctl.slot[i];
        uint64_t at = events ? slot->deadline : now + LOOK_MS;

        if (slot->asked && slot->deadline && at < next)
            next = at;
    }
    return next;
}

uint32_t xenpv_netctl_poll(struct xenpv_net *net, struct xenpv_netctl_reply *out, uint32_t max)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < NETCTL_PAGES && count < max; i++) {
        struct netctl_slot *slot = &net->ctl.slot[i];

        if (!slot->ended)
            continue;
        slot->ended = false;
        out[count++] =
            (struct xenpv_netctl_reply){slot->user, slot->type, slot->status, slot->data};
    }
    return count;
}

xenpv_handle xenpv_netctl_wait_handle(const struct xenpv_net *net)
{
    const struct xenpv_port *port = net->config.port;

    return net->ctl.open && !net->config.poll
               ? port->event->wait_handle(port->ctx, net->ctl.event_port)
               : XENPV_NO_HANDLE;
}
