/* SPDX-License-Identifier: MIT */
/* The network backend's handle: how it is made, and what its steps do. */
#include "backend/netback.h"
#include "core/key_name.h"

#define CLOSE_MS 5000u
/* A queue that is never empty must not keep the handshake waiting for ever. */
#define BUSY_STEPS 16u
/* What a frontend without feature-rx-notify is asked for: as Linux netback does. */
#define LOOK_MS 30u

/* ---- making it ------------------------------------------------------------------------------- */

void xenpv_netback_config_init(struct xenpv_netback_config *config, const struct xenpv_port *port,
                               const char *path, const struct xenpv_link *link,
                               const struct xenpv_allocator *allocator)
{
    *config = (struct xenpv_netback_config){.size = sizeof(*config),
                                            .port = port,
                                            .path = path,
                                            .link = link,
                                            .allocator = *allocator,
                                            .queues = 4,
                                            .static_grants = 512,
                                            .mapping = 128,
                                            .backlog = FRAME_QUEUE_MIN,
                                            .drain_ms = 10000};
}

static bool backlog_allowed(uint32_t bytes)
{
    return bytes >= FRAME_QUEUE_MIN && bytes <= 1u << 26 && (bytes & (bytes - 1)) == 0;
}

static bool config_allowed(const struct xenpv_netback_config *config)
{
    return config->size == sizeof(*config) && config->port && config->path && config->link &&
           config->allocator.alloc && config->allocator.free &&
           config->without < 1u << XENPV_NET_FEATURES && config->queues >= 1 &&
           config->queues <= NETBACK_QUEUES && config->static_grants >= 1 &&
           config->static_grants <= NETBACK_GRANTS && config->mapping <= NETBACK_MAPPING &&
           config->defer < UINT32_MAX && backlog_allowed(config->backlog);
}

/* What goes with something that is not offered is not offered either. */
static uint32_t offered(uint32_t without)
{
    static const struct {
        uint32_t lacking, useless;
    } rows[] = {
        {XENPV_NET_SG, XENPV_NET_GSO4 | XENPV_NET_GSO6},
        {XENPV_NET_CSUM4, XENPV_NET_GSO4},
        {XENPV_NET_CSUM6, XENPV_NET_GSO6},
        {XENPV_NET_MULTICAST, XENPV_NET_DYNAMIC},
        {XENPV_NET_CONTROL, XENPV_NET_STATIC_GRANTS},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (without & rows[i].lacking)
            without |= rows[i].useless;
    }
    return ~without & ((1u << XENPV_NET_FEATURES) - 1);
}

static int init_bus(struct xenpv_netback *back)
{
    return xenpv_bus_init(
        &back->bus, &(struct xenpv_bus_config){
                        .port = back->port,
                        .driver = &netback_driver,
                        .owner = back,
                        .path = back->config.path,
                        .values = {[XENPV_ASK_OWN] = back->own, [XENPV_ASK_ANSWER] = back->answer},
                        .close_ms = CLOSE_MS,
                        .ops = back->ops,
                        .rows = back->rows,
                        .room = NETBACK_ROOM});
}

int xenpv_netback_create(const struct xenpv_netback_config *config, struct xenpv_netback **out)
{
    const struct xenpv_allocator *allocator = &config->allocator;
    struct xenpv_netback *back;
    size_t bytes;
    int error;

    if (!config_allowed(config))
        return XENPV_EINVAL;
    if (!(config->port->caps & XENPV_CAP_MAP))
        return XENPV_ENOTSUP;
    bytes = sizeof(*back) + config->queues * sizeof(back->queue[0]);
    back = allocator->alloc(allocator->ctx, bytes, 16);
    if (!back)
        return XENPV_ENOMEM;
    memset(back, 0, bytes);
    back->config = *config;
    back->port = config->port;
    back->link = config->link;
    back->offers = offered(config->without);
    back->shuffle = config->shuffle;
    error = init_bus(back);
    back->config.path = back->bus.own_path;
    if (!error) {
        back->moves.stage =
            allocator->alloc(allocator->ctx, NETBACK_STAGE + XENPV_LINK_FRAME_MAX, 64);
        error = back->moves.stage ? XENPV_OK : XENPV_ENOMEM;
    }
    if (error) {
        allocator->free(allocator->ctx, back);
        return error;
    }
    *out = back;
    return XENPV_OK;
}

void xenpv_netback_destroy(struct xenpv_netback *back)
{
    struct xenpv_allocator allocator;

    if (!back)
        return;
    allocator = back->config.allocator;
    netback_live_drop(back);
    netback_detach(back);
    xenpv_bus_drop(&back->bus);
    allocator.free(allocator.ctx, back->moves.stage);
    allocator.free(allocator.ctx, back);
}

/* ---- running it ------------------------------------------------------------------------------ */

int xenpv_netback_start(struct xenpv_netback *back, uint64_t now)
{
    return xenpv_bus_start(&back->bus, XENPV_GOAL_CONNECT, now);
}

void xenpv_netback_close(struct xenpv_netback *back, uint64_t now)
{
    xenpv_bus_start(&back->bus, XENPV_GOAL_CLOSE, now);
}

/* Takes the event that has come on a port, if one has. */
static bool heard(struct xenpv_netback *back, uint32_t port)
{
    const struct xenpv_event_ops *event = back->port->event;

    if (!event->take(back->port->ctx, port))
        return false;
    event->unmask(back->port->ctx, port);
    return true;
}

/* Nothing is there: asks for an event, unless the last one that was asked for is still to come. */
static bool rest(struct xenpv_netback *back, struct netback_end *end, uint32_t port)
{
    if (back->config.poll)
        return true;
    if (!heard(back, port) && end->armed)
        return false;
    end->armed = true;
    return xenpv_ring_arm(&end->ring);
}

/*
 * Frames wait for more rx requests than there are: asks to be told when as many are there as the
 * next one needs. Told of fewer, it would have to ask again; and the next one alone may be there
 * already.
 */
static bool await_requests(struct xenpv_netback *back, struct netback_queue *q)
{
    struct xenpv_ring *ring = &q->rx.ring;

    if (back->config.poll)
        return true;
    if (q->split)
        heard(back, q->rx.port);
    if (q->asked_for == 0)
        return false;
    xenpv_store_seq(&ring->in->event, ring->cons + q->asked_for);
    return xenpv_load_seq(&ring->in->prod) - ring->cons - q->asked_for < ring->count;
}

static void serve_queue_tx(struct xenpv_netback *back, struct netback_queue *q)
{
    netback_serve_tx(back, q);
    if (q->more)
        return;
    /* What the rate holds back is no reason to look again at once, and no event is. */
    if (netback_overdrawn(back))
        heard(back, q->tx.port);
    else
        q->more = rest(back, &q->tx, q->tx.port);
}

static bool serve(struct xenpv_netback *back)
{
    bool more = false;

    for (uint32_t i = 0; i < back->queues && back->bus.detail.error == XENPV_OK; i++)
        serve_queue_tx(back, &back->queue[(back->rate.first + i) % back->queues]);
    if (back->queues && back->bus.detail.error == XENPV_OK &&
        back->steps++ % (back->config.defer + 1) == 0)
        netback_serve_rx(back);
    for (uint32_t i = 0; i < back->queues && back->bus.detail.error == XENPV_OK; i++) {
        back->queue[i].more |= await_requests(back, &back->queue[i]);
        more |= back->queue[i].more;
    }
    if (back->has_control && back->bus.detail.error == XENPV_OK) {
        netback_serve_control(back);
        back->control_more = rest(back, &back->control, back->control.port);
        more |= back->control_more;
    }
    return more || back->link_more;
}

enum xenpv_bus_phase xenpv_netback_step(struct xenpv_netback *back, uint64_t now)
{
    bool busy;

    back->now = now;
    busy = serve(back) && ++back->busy_steps < BUSY_STEPS;
    /* The store costs more than a request: where there are many it is looked at now and then. */
    if (busy && back->busy_steps > 1)
        return back->bus.phase;
    if (!busy)
        back->busy_steps = 0;
    xenpv_bus_step(&back->bus, now);
    netback_live_step(back);
    return back->bus.phase;
}

static uint64_t queue_deadline(const struct xenpv_netback *back, const struct netback_queue *q)
{
    if (q->more)
        return 0;
    if (q->backlog.taken == q->backlog.put)
        return UINT64_MAX;
    if (back->config.defer)
        return 0;
    return back->now + (back->takes & XENPV_NET_RX_NOTIFY ? back->config.drain_ms : LOOK_MS);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t xenpv_netback_deadline(const struct xenpv_netback *back)
{
    uint64_t when = sooner(xenpv_bus_deadline(&back->bus), netback_live_deadline(back));

    for (uint32_t i = 0; i < back->queues; i++)
        when = sooner(when, queue_deadline(back, &back->queue[i]));
    if (back->queues && netback_overdrawn(back))
        when = sooner(when, back->rate.until);
    if ((back->queues && back->link_more) || (back->has_control && back->control_more))
        return 0;
    return when;
}

/* ---- what its parts have in common ----------------------------------------------------------- */

void netback_overrun(struct xenpv_netback *back, uint32_t queue, const struct xenpv_ring *ring,
                     uint32_t available)
{
    struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                  .check = XENPV_CHECK_REQ_PROD,
                                  .queue = queue == KEY_ALONE ? 0 : queue,
                                  .index = ring->cons,
                                  .value = ring->cons + available,
                                  .step = queue == KEY_ALONE ? "taking control messages"
                                                             : "taking requests from the ring",
                                  .expected = xenpv_check_text(XENPV_CHECK_REQ_PROD)};

    xenpv_bus_fail(&back->bus, &detail);
}

void netback_publish(struct xenpv_netback *back, struct netback_end *end)
{
    if (xenpv_ring_publish(&end->ring)) {
        back->stats.notified++;
        back->port->event->notify(back->port->ctx, end->port);
    }
}

/* ---- looking at it --------------------------------------------------------------------------- */

const struct xenpv_detail *xenpv_netback_detail(const struct xenpv_netback *back)
{
    return &back->bus.detail;
}

uint32_t xenpv_netback_queues(const struct xenpv_netback *back)
{
    return back->queues;
}

uint32_t xenpv_netback_wait_handles(const struct xenpv_netback *back,
                                    xenpv_handle out[XENPV_NETBACK_HANDLES])
{
    const struct xenpv_event_ops *event = back->port->event;
    uint32_t count = 0;

    for (uint32_t i = 0; i < back->queues; i++) {
        out[count++] = event->wait_handle(back->port->ctx, back->queue[i].tx.port);
        if (back->queue[i].split)
            out[count++] = event->wait_handle(back->port->ctx, back->queue[i].rx.port);
    }
    if (back->has_control)
        out[count++] = event->wait_handle(back->port->ctx, back->control.port);
    return count;
}

bool xenpv_netback_takes_frames(const struct xenpv_netback *back)
{
    return back->link->receive && netback_any_free(back);
}

void xenpv_netback_stats(const struct xenpv_netback *back, struct xenpv_netback_stats *stats)
{
    *stats = back->stats;
}
