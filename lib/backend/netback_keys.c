/* SPDX-License-Identifier: MIT */
/*
 * The store's side of a network backend at the stations of the handshake. netif.h describes some of
 * the keys; the others are those of Linux, drivers/net/xen-netback/xenbus.c.
 */
#include "backend/netback.h"
#include "core/check.h"
#include "core/key_name.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what is published ----------------------------------------------------------------------- */

/* A key that is 1 where a feature is offered, and 0, or not there, where it is not. */
struct offer {
    const char *name;
    uint32_t feature;
    bool always; /* 0 is written, too */
};

static const struct offer offers[] = {
    {"feature-sg", XENPV_NET_SG, true},
    {"feature-gso-tcpv4", XENPV_NET_GSO4, true},
    {"feature-gso-tcpv6", XENPV_NET_GSO6, true},
    {"feature-ipv6-csum-offload", XENPV_NET_CSUM6, true},
    {"feature-rx-notify", XENPV_NET_RX_NOTIFY, false},
    {"feature-split-event-channels", XENPV_NET_SPLIT, true},
    {"feature-ctrl-ring", XENPV_NET_CONTROL, true},
    {"feature-multicast-control", XENPV_NET_MULTICAST, true},
    {"feature-dynamic-multicast-control", XENPV_NET_DYNAMIC, true},
    {"feature-xdp-headroom", XENPV_NET_HEADROOM, true},
};

static const char *const others[] = {"feature-rx-copy", "feature-rx-flip",
                                     "feature-no-csum-offload", "multi-queue-max-queues",
                                     "carrier"};
XENPV_STATIC_ASSERT(2 * (COUNT(offers) + COUNT(others)) <= NETBACK_ROOM,
                    "all is removed and the offer put in one batch");

void netback_clean(void *owner)
{
    struct xenpv_netback *back = owner;

    for (size_t i = 0; i < COUNT(offers); i++)
        xenpv_bus_remove(&back->bus, offers[i].name);
    for (size_t i = 0; i < COUNT(others); i++)
        xenpv_bus_remove(&back->bus, others[i]);
}

static bool carrier(const struct xenpv_netback *back)
{
    return !back->link->carrier || back->link->carrier(back->link->ctx);
}

int netback_put_offer(struct xenpv_netback *back)
{
    struct xenpv_bus *bus = &back->bus;
    int error = xenpv_bus_put_number(bus, "feature-rx-copy", 1);

    back->live.carrier = carrier(back);
    for (size_t i = 0; i < COUNT(offers) && !error; i++) {
        bool offered = netback_offers(back, offers[i].feature);

        if (offered || offers[i].always)
            error = xenpv_bus_put_number(bus, offers[i].name, offered);
    }
    if (!error)
        error = xenpv_bus_put_number(bus, "feature-rx-flip", 0);
    if (!error && !netback_offers(back, XENPV_NET_CSUM4))
        error = xenpv_bus_put_number(bus, "feature-no-csum-offload", 1);
    if (!error && netback_offers(back, XENPV_NET_MULTI_QUEUE))
        error = xenpv_bus_put_number(bus, "multi-queue-max-queues", back->config.queues);
    return error ? error : xenpv_bus_put_number(bus, "carrier", back->live.carrier);
}

/* ---- what the toolstack says ----------------------------------------------------------------- */

const struct xenpv_key netback_own_keys[NETBACK_OWN] = {
    {"rate", XENPV_KEY_TEXT, false, 0, 0, 0},
};

void netback_set_rate(struct xenpv_netback *back, const char *text)
{
    uint32_t length = 0, comma;
    uint64_t bytes, us;

    while (text[length] && text[length] != ',')
        length++;
    comma = length;
    while (text[length])
        length++;
    back->rate = (struct netback_rate){0};
    if (comma == length || !xenpv_parse_number(text, comma, &bytes) ||
        !xenpv_parse_number(text + comma + 1, length - comma - 1, &us) || bytes == 0 ||
        bytes > INT64_MAX || us < 1000)
        return;
    back->rate = (struct netback_rate){.bytes = bytes, .window_ms = us / 1000};
}

/* ---- what the frontend says ------------------------------------------------------------------ */

enum {
    ANSWER_QUEUES,
    ANSWER_RX_COPY,
    ANSWER_RX_NOTIFY,
    ANSWER_SG,
    ANSWER_GSO4,
    ANSWER_GSO6,
    ANSWER_PREFIX4,
    ANSWER_PREFIX6,
    ANSWER_NO_CSUM4,
    ANSWER_CSUM6,
    ANSWER_MULTICAST,
    ANSWER_HEADROOM,
    ANSWER_CONTROL_REF,
    ANSWER_CONTROL_PORT,
};

#define FLAG(name)                                                                                 \
    {                                                                                              \
        name, XENPV_KEY_NUMBER, false, 0, 0, UINT32_MAX                                            \
    }

const struct xenpv_key netback_answer_keys[NETBACK_ANSWERS] = {
    [ANSWER_QUEUES] = {"multi-queue-num-queues", XENPV_KEY_NUMBER, false, 1, 0, UINT32_MAX},
    [ANSWER_RX_COPY] = FLAG("request-rx-copy"),
    [ANSWER_RX_NOTIFY] = FLAG("feature-rx-notify"),
    [ANSWER_SG] = FLAG("feature-sg"),
    [ANSWER_GSO4] = FLAG("feature-gso-tcpv4"),
    [ANSWER_GSO6] = FLAG("feature-gso-tcpv6"),
    [ANSWER_PREFIX4] = FLAG("feature-gso-tcpv4-prefix"),
    [ANSWER_PREFIX6] = FLAG("feature-gso-tcpv6-prefix"),
    [ANSWER_NO_CSUM4] = FLAG("feature-no-csum-offload"),
    [ANSWER_CSUM6] = FLAG("feature-ipv6-csum-offload"),
    [ANSWER_MULTICAST] = FLAG("request-multicast-control"),
    [ANSWER_HEADROOM] = FLAG("xdp-headroom"),
    [ANSWER_CONTROL_REF] = FLAG("ctrl-ring-ref"),
    [ANSWER_CONTROL_PORT] = FLAG("event-channel-ctrl"),
};

enum { ASKED_TX_REF, ASKED_RX_REF, ASKED_PORT, ASKED_TX_PORT, ASKED_RX_PORT };
static const struct xenpv_key asked_keys[NETBACK_ASKED] = {
    [ASKED_TX_REF] = {"tx-ring-ref", XENPV_KEY_NUMBER, true, 0, 0, UINT32_MAX},
    [ASKED_RX_REF] = {"rx-ring-ref", XENPV_KEY_NUMBER, true, 0, 0, UINT32_MAX},
    [ASKED_PORT] = {"event-channel", XENPV_KEY_NUMBER, false, 0, 1, UINT32_MAX},
    [ASKED_TX_PORT] = {"event-channel-tx", XENPV_KEY_NUMBER, false, 0, 1, UINT32_MAX},
    [ASKED_RX_PORT] = {"event-channel-rx", XENPV_KEY_NUMBER, false, 0, 1, UINT32_MAX},
};

static const struct xenpv_key_value *answer(const struct xenpv_netback *back, uint32_t key)
{
    return xenpv_bus_value(&back->bus, XENPV_ASK_ANSWER, key);
}

static bool is_set(const struct xenpv_netback *back, uint32_t key)
{
    return answer(back, key)->number != 0;
}

/* A NUMBER that stands there and is none must not be taken for one that is absent. */
static bool readable(const struct xenpv_key_value *value)
{
    return value->status == XENPV_KEY_GOOD || value->status == XENPV_KEY_ABSENT;
}

static int fail(struct xenpv_netback *back, const struct xenpv_detail *detail)
{
    xenpv_bus_fail(&back->bus, detail);
    return detail->error;
}

static int refuse(struct xenpv_netback *back, uint32_t key, int error, uint32_t check,
                  const char *expected)
{
    struct xenpv_detail detail = {.error = error,
                                  .check = check,
                                  .step = "reading the frontend's keys",
                                  .expected = expected ? expected : xenpv_check_text(check)};
    const char *name = netback_answer_keys[key].name;

    xenpv_printable(detail.key, sizeof(detail.key), name, (uint32_t)strlen(name));
    memcpy(detail.found, answer(back, key)->text, XENPV_KEY_TEXT_MAX);
    return fail(back, &detail);
}

int netback_refuse_key(struct xenpv_netback *back, uint32_t queue, const char *name, int error,
                       uint32_t found, const char *step, const char *expected)
{
    struct xenpv_detail detail = {.error = error,
                                  .queue = queue == KEY_ALONE ? 0 : queue,
                                  .step = step,
                                  .expected = expected};

    key_name(detail.key, queue, name, KEY_ALONE);
    xenpv_format_number(found, detail.found);
    return fail(back, &detail);
}

/* What the frontend takes from us, and which of it is the way of old frontends. */
static int judge_features(struct xenpv_netback *back)
{
    static const struct {
        uint8_t key, prefix;
        uint32_t feature, needs;
    } gso[] = {
        {ANSWER_GSO4, ANSWER_PREFIX4, XENPV_NET_GSO4, XENPV_NET_SG | XENPV_NET_CSUM4},
        {ANSWER_GSO6, ANSWER_PREFIX6, XENPV_NET_GSO6, XENPV_NET_SG | XENPV_NET_CSUM6},
    };

    back->prefix = 0;
    back->takes = (is_set(back, ANSWER_SG) ? XENPV_NET_SG : 0) |
                  (is_set(back, ANSWER_NO_CSUM4) ? 0 : XENPV_NET_CSUM4) |
                  (is_set(back, ANSWER_CSUM6) ? XENPV_NET_CSUM6 : 0) |
                  (is_set(back, ANSWER_RX_NOTIFY) ? XENPV_NET_RX_NOTIFY : 0);
    back->takes &= back->offers;
    for (uint32_t i = 0; i < COUNT(gso); i++) {
        bool extra = is_set(back, gso[i].key), prefix = is_set(back, gso[i].prefix);

        if (extra && prefix)
            return refuse(back, gso[i].prefix, XENPV_EBROKEN, XENPV_CHECK_NONE,
                          "one way to tell large packets, not two");
        /* A large packet has a blank checksum, and does not fit a page. */
        if ((back->takes & gso[i].needs) != gso[i].needs)
            continue;
        back->takes |= extra || prefix ? gso[i].feature & back->offers : 0;
        back->prefix |= prefix ? gso[i].feature : 0;
    }
    return XENPV_OK;
}

static int judge_control(struct xenpv_netback *back)
{
    const struct xenpv_key_value *ref = answer(back, ANSWER_CONTROL_REF);
    const struct xenpv_key_value *port = answer(back, ANSWER_CONTROL_PORT);
    bool both = ref->status == XENPV_KEY_GOOD && port->status == XENPV_KEY_GOOD && port->number;

    back->control.peer_port = 0;
    if (!netback_offers(back, XENPV_NET_CONTROL) ||
        (ref->status == XENPV_KEY_ABSENT && port->status == XENPV_KEY_ABSENT))
        return XENPV_OK;
    if (!both)
        return refuse(back,
                      ref->status == XENPV_KEY_GOOD ? ANSWER_CONTROL_PORT : ANSWER_CONTROL_REF,
                      XENPV_EBROKEN, XENPV_CHECK_NONE, "a control ring's page and its port");
    back->control.page.ref = (uint32_t)ref->number;
    back->control.peer_port = (uint32_t)port->number;
    return XENPV_OK;
}

static int judge_answer(struct xenpv_netback *back)
{
    uint32_t most = netback_offers(back, XENPV_NET_MULTI_QUEUE) ? back->config.queues : 1;
    const struct xenpv_key_value *queues = answer(back, ANSWER_QUEUES);
    uint64_t headroom = answer(back, ANSWER_HEADROOM)->number;
    int error;

    if (!readable(queues) ||
        !XENPV_CHECK(REQ_QUEUES, queues->number >= 1 && queues->number <= most))
        return refuse(back, ANSWER_QUEUES, XENPV_EBROKEN, XENPV_CHECK_REQ_QUEUES, NULL);
    if (!is_set(back, ANSWER_RX_COPY))
        return refuse(back, ANSWER_RX_COPY, XENPV_ENOTSUP, XENPV_CHECK_NONE,
                      "1: pages are not flipped any more");
    back->asked_queues = (uint32_t)queues->number;
    back->mcast.wanted =
        netback_offers(back, XENPV_NET_MULTICAST) && is_set(back, ANSWER_MULTICAST);
    back->headroom = netback_offers(back, XENPV_NET_HEADROOM) && headroom <= NETBACK_HEADROOM
                         ? (uint32_t)headroom
                         : 0;
    error = judge_features(back);
    return error ? error : judge_control(back);
}

static uint32_t name_of(const struct xenpv_netback *back, uint32_t queue)
{
    return back->asked_queues > 1 ? queue : KEY_ALONE;
}

static int ask_queue(struct xenpv_netback *back, uint32_t queue)
{
    char name[KEY_NAME];
    int error = XENPV_OK;

    for (uint32_t i = 0; i < NETBACK_ASKED && !error; i++) {
        key_name(name, name_of(back, queue), asked_keys[i].name, KEY_ALONE);
        error = xenpv_bus_ask(&back->bus, name, &asked_keys[i], &back->asked[i]);
    }
    return error;
}

/* Two channels, where they are offered, or one. */
static int take_queue(struct xenpv_netback *back, uint32_t queue)
{
    struct netback_queue *q = &back->queue[queue];
    const struct xenpv_key_value *port = back->asked;

    q->split = netback_offers(back, XENPV_NET_SPLIT) &&
               port[ASKED_TX_PORT].status == XENPV_KEY_GOOD &&
               port[ASKED_RX_PORT].status == XENPV_KEY_GOOD;
    if (!q->split && port[ASKED_PORT].status != XENPV_KEY_GOOD)
        return netback_refuse_key(back, name_of(back, queue), "event-channel", XENPV_EBROKEN, 0,
                                  "reading the frontend's keys", "a port, or one for each ring");
    q->tx.page.ref = (uint32_t)port[ASKED_TX_REF].number;
    q->rx.page.ref = (uint32_t)port[ASKED_RX_REF].number;
    q->tx.peer_port = (uint32_t)port[q->split ? ASKED_TX_PORT : ASKED_PORT].number;
    q->rx.peer_port = (uint32_t)port[ASKED_RX_PORT].number;
    return XENPV_OK;
}

/* One queue a round, so that the room of a batch is that of one queue's keys. */
int netback_more(void *owner, uint32_t round)
{
    struct xenpv_netback *back = owner;
    int error = round == 0 ? judge_answer(back) : take_queue(back, round - 1);

    if (error)
        return error;
    return round < back->asked_queues ? ask_queue(back, round) : XENPV_OK;
}
