/* SPDX-License-Identifier: MIT */
/* The connection to the store: made, looked at, lost, made anew; and what comes over it. */
#include "xs.h"

#define TURNS        64u   /* messages that one look handles */
#define RECONNECT_MS 1000u /* between two reconnects that we ask for */
#define WATCHES_MAX  4096u

/* ---- the memory ---- */

static size_t aligned(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

/* One that is taken down has a place until the server has answered. */
static uint32_t slots(const struct xenpv_xs_config *config)
{
    return 2 * config->watches;
}

size_t xenpv_xs_size(const struct xenpv_xs_config *config)
{
    if (!config->page || !config->event || !config->event->notify || config->watches > WATCHES_MAX)
        return 0;
    return aligned(sizeof(struct xenpv_xs)) + slots(config) * sizeof(struct xs_watch);
}

int xenpv_xs_init(void *memory, const struct xenpv_xs_config *config, struct xenpv_xs **xs)
{
    struct xenpv_xs *self = memory;
    size_t bytes = xenpv_xs_size(config);

    if (bytes == 0)
        return XENPV_EINVAL;
    memset(memory, 0, bytes);
    self->config = *config;
    if (!config->event_ctx)
        self->config.event_ctx = self;
    self->page = config->page;
    self->state = XENPV_XS_CONNECTING;
    self->watch = (void *)((char *)memory + aligned(sizeof(*self)));
    self->slots = slots(config);
    *xs = self;
    return XENPV_OK;
}

/* ---- connected, or not ---- */

static void notify(struct xenpv_xs *xs)
{
    xs->touched = false;
    xs->config.event->notify(xs->config.event_ctx, xs->config.event_port);
}

bool xs_offers(const struct xenpv_xs *xs, uint32_t feature)
{
    return (xenpv_load(&xs->page->features) & feature) != 0;
}

/* All that the server knew of us is gone. */
static void lose(struct xenpv_xs *xs, enum xenpv_xs_state state)
{
    xs_batch_fail(xs, XENPV_ESTORE);
    xs_watch_renew(xs);
    xs->state = state;
    xs->asked = XS_NOTHING;
    xs->requested = false;
    xs->reset = false;
    xs->orphans = 0;
    xs->out_at = xs->out_length = 0;
    xs->in_have = 0;
    xs->due = 0;
}

static void fail(struct xenpv_xs *xs, const struct xenpv_detail *detail)
{
    if (xs->state == XENPV_XS_BROKEN)
        return;
    xs->detail = *detail;
    lose(xs, XENPV_XS_BROKEN);
}

void xs_violated(struct xenpv_xs *xs, uint32_t check, uint32_t index, uint32_t value)
{
    const struct xenpv_detail detail = {.error = XENPV_EBROKEN,
                                        .check = check,
                                        .index = index,
                                        .value = value,
                                        .step = "using the store's ring",
                                        .expected = xenpv_check_text(check)};

    fail(xs, &detail);
}

void xs_begun_anew(struct xenpv_xs *xs)
{
    lose(xs, XENPV_XS_CONNECTING);
}

static void reconnect(struct xenpv_xs *xs)
{
    xs->state = XENPV_XS_CONNECTING;
    xs->requested = true;
    xs->reconnect_at = xs->now + RECONNECT_MS;
    xenpv_store_release(&xs->page->connection, 1);
    notify(xs);
}

/* The ring is ours to use. What somebody before us has left there is not for us. */
static void join(struct xenpv_xs *xs)
{
    bool emptied = xs->requested, empty = xs_ring_join(xs);

    if (xs->state == XENPV_XS_BROKEN)
        return;
    if (!empty && !emptied && xs_offers(xs, XENPV_XS_FEATURE_RECONNECT)) {
        reconnect(xs);
        return;
    }
    if (!emptied)
        (void)xs_ring_take(xs, xs->in_bytes, XENPV_XS_RING);
    if (xs->state == XENPV_XS_BROKEN)
        return;
    xs->state = XENPV_XS_CONNECTED;
    xs->requested = false;
}

static void connect(struct xenpv_xs *xs)
{
    uint32_t connection = xenpv_load_acquire(&xs->page->connection);

    /* Without the feature the field says nothing; but 1 is told by whoever made the page for us
     * before there is a server to offer anything. */
    if (connection != 0 &&
        (xs->requested || connection == 1 || xs_offers(xs, XENPV_XS_FEATURE_RECONNECT)))
        xs->requested = true;
    else
        join(xs);
}

static const char *error_found(uint32_t error)
{
    static const char *const texts[] = {"", "1: the event channel does not work",
                                        "2: ring indices make no sense",
                                        "3: a message was too long"};

    return error < sizeof(texts) / sizeof(texts[0]) ? texts[error] : "an error nobody knows";
}

/* What the server has written beside the rings. */
static void look(struct xenpv_xs *xs)
{
    if (xs_offers(xs, XENPV_XS_FEATURE_RECONNECT) && xenpv_load(&xs->page->connection) != 0) {
        lose(xs, XENPV_XS_CONNECTING);
        xs->requested = true;
        return;
    }

    /* Its feature bit is no condition: xenstored 4.17 sets the field, and no bit. */
    uint32_t error = xenpv_load(&xs->page->error);

    if (error != 0) {
        const char *found = error_found(error);
        struct xenpv_detail detail = {.error = XENPV_ESTORE,
                                      .value = error,
                                      .step = "being connected to the store",
                                      .expected = "error 0 in the ring page"};

        memcpy(detail.found, found, xs_length(found));
        fail(xs, &detail);
    } else if (xs_ring_was_reset(xs)) {
        xs_begun_anew(xs);
    }
}

/* One way round: from broken by connecting to what the server says now. */
static bool advance(struct xenpv_xs *xs)
{
    if (xs->state == XENPV_XS_BROKEN && xs->now >= xs->reconnect_at &&
        xs_offers(xs, XENPV_XS_FEATURE_RECONNECT))
        reconnect(xs);
    if (xs->state == XENPV_XS_CONNECTING)
        connect(xs);
    if (xs->state == XENPV_XS_CONNECTED)
        look(xs);
    return xs->state == XENPV_XS_CONNECTED;
}

/* What has just been lost may be had again at once. */
static bool connected(struct xenpv_xs *xs)
{
    if (!advance(xs))
        advance(xs);
    return xs->state == XENPV_XS_CONNECTED;
}

/* ---- what can be done now ---- */

void xs_pump(struct xenpv_xs *xs)
{
    const struct xenpv_event_ops *event = xs->config.event;
    uint32_t turns = 0;

    /* Before the rings are looked at: what comes later is an event again. */
    if (event->take && event->take(xs->config.event_ctx, xs->config.event_port) && event->unmask)
        event->unmask(xs->config.event_ctx, xs->config.event_port);
    while (turns < TURNS && connected(xs) && xs_exchange(xs))
        turns++;
    xs->more = turns == TURNS;
    if (xs->touched)
        notify(xs);
    if (xs->state == XENPV_XS_BROKEN)
        xs_batch_fail(xs, XENPV_ESTORE);
}

/* ---- time ---- */

static bool awaits(const struct xenpv_xs *xs)
{
    bool sent = xs->asked != XS_NOTHING || xs->out_at < xs->out_length;

    return xs->config.timeout_ms && (xs->first || (sent && xs->state == XENPV_XS_CONNECTED));
}

/* The server is silent: a message that is partly on its way is still to be finished. */
static void expire(struct xenpv_xs *xs)
{
    xs_batch_fail(xs, XENPV_ETIMEDOUT);
    xs->asked = XS_NOTHING;
    xs->due = 0;
    /* What nobody waits for is to be asked again, or for the first time. */
    xs->more = true;
}

enum xenpv_xs_state xenpv_xs_step(struct xenpv_xs *xs, uint64_t now)
{
    xs->now = now;
    xs_pump(xs);
    if (!awaits(xs))
        xs->due = 0;
    else if (xs->due == 0)
        xs->due = now + xs->config.timeout_ms;
    else if (now >= xs->due)
        expire(xs);
    /* Who uses the store looks after this. */
    xs->news = false;
    return xs->state;
}

uint64_t xenpv_xs_deadline(const struct xenpv_xs *xs)
{
    uint64_t at = xs->due ? xs->due : UINT64_MAX;

    bool to_join = xs->state == XENPV_XS_CONNECTING && !xs->requested;

    if (xs->more || xs->news || to_join || (awaits(xs) && xs->due == 0))
        return 0;
    if (xs->state == XENPV_XS_BROKEN && xs_offers(xs, XENPV_XS_FEATURE_RECONNECT))
        at = xs->reconnect_at < at ? xs->reconnect_at : at;
    return at;
}

/* ---- the rest ---- */

enum xenpv_xs_state xenpv_xs_state(const struct xenpv_xs *xs)
{
    return xs->state;
}

const struct xenpv_detail *xenpv_xs_detail(const struct xenpv_xs *xs)
{
    return &xs->detail;
}

void *xenpv_xs_owner(const struct xenpv_xs *xs)
{
    return xs->config.owner;
}

void xenpv_xs_resume(struct xenpv_xs *xs, void *page, uint32_t event_port)
{
    lose(xs, XENPV_XS_CONNECTING);
    xs->page = page;
    xs->config.event_port = event_port;
    xs->touched = false;
}

static xenpv_handle wait_handle(void *ctx)
{
    struct xenpv_xs *xs = ctx;
    const struct xenpv_event_ops *event = xs->config.event;

    if (!event->wait_handle)
        return XENPV_NO_HANDLE;
    return event->wait_handle(xs->config.event_ctx, xs->config.event_port);
}

const struct xenpv_store_ops xenpv_xs_store_ops = {
    .start = xs_batch_start,
    .check = xs_batch_check,
    .cancel = xs_batch_cancel,
    .watch = xs_watch_watch,
    .unwatch = xs_watch_unwatch,
    .fired = xs_watch_fired,
    .changed = xs_watch_changed,
    .wait_handle = wait_handle,
};
