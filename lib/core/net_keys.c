/* SPDX-License-Identifier: MIT */
/* What the store says of a vif: keys, judgement, negotiation, and what is told of it. */
#include "bus_jobs.h"
#include "net_device.h"

#define MTU_MIN 68u
#define MTU_MAX 65535u

/* ---- keys: netif.h; what it does not describe is as Linux netback has it --------------------- */

#define NUMBER(name, fallback, min, max)                                                           \
    {                                                                                              \
        name, XENPV_KEY_NUMBER, false, fallback, min, max                                          \
    }
#define FLAG(name) NUMBER(name, 0, 0, 1)
#define TEXT(name)                                                                                 \
    {                                                                                              \
        name, XENPV_KEY_TEXT, false, 0, 0, 0                                                       \
    }

const struct xenpv_key net_own_keys[NET_OWN_COUNT] = {
    [NET_OWN_HANDLE] = TEXT("handle"),
    [NET_OWN_TRUSTED] = NUMBER("trusted", 1, 0, 1),
    [NET_OWN_RX_COPY] = FLAG("request-rx-copy"),
    [NET_OWN_SG] = FLAG("feature-sg"),
    [NET_OWN_NO_CSUM4] = FLAG("feature-no-csum-offload"),
    [NET_OWN_CSUM6] = FLAG("feature-ipv6-csum-offload"),
    [NET_OWN_GSO4] = FLAG("feature-gso-tcpv4"),
    [NET_OWN_GSO6] = FLAG("feature-gso-tcpv6"),
    [NET_OWN_QUEUES] = NUMBER("multi-queue-num-queues", 1, 0, UINT32_MAX),
    [NET_OWN_MULTICAST] = FLAG("request-multicast-control"),
    [NET_OWN_HEADROOM] = NUMBER("xdp-headroom", 0, 0, UINT32_MAX),
};

const struct xenpv_key net_offer_keys[NET_OFFER_COUNT] = {
    [NET_OFFER_RX_COPY] = FLAG("feature-rx-copy"),
    [NET_OFFER_SG] = FLAG("feature-sg"),
    [NET_OFFER_NO_CSUM4] = FLAG("feature-no-csum-offload"),
    [NET_OFFER_CSUM6] = FLAG("feature-ipv6-csum-offload"),
    [NET_OFFER_GSO4] = FLAG("feature-gso-tcpv4"),
    [NET_OFFER_GSO6] = FLAG("feature-gso-tcpv6"),
    [NET_OFFER_SPLIT] = FLAG("feature-split-event-channels"),
    [NET_OFFER_QUEUES] = NUMBER("multi-queue-max-queues", 1, 1, UINT32_MAX),
    [NET_OFFER_CONTROL] = FLAG("feature-ctrl-ring"),
    [NET_OFFER_MULTICAST] = FLAG("feature-multicast-control"),
    [NET_OFFER_DYNAMIC] = FLAG("feature-dynamic-multicast-control"),
    [NET_OFFER_HEADROOM] = FLAG("feature-xdp-headroom"),
};

const struct xenpv_key net_answer_keys[NET_ANSWER_COUNT] = {
    [NET_ANSWER_CARRIER] = NUMBER("carrier", 1, 0, 1),
};

/* `speed` and `disconnect` are those of the Windows drivers and of their toolstacks. */
const struct xenpv_key net_live_keys[NET_LIVE_COUNT] = {
    [NET_LIVE_MAC] = TEXT("mac"),
    [NET_LIVE_MTU] = NUMBER("mtu", NET_MTU, MTU_MIN, MTU_MAX),
    [NET_LIVE_SPEED] = TEXT("speed"),
    [NET_LIVE_DISCONNECT] = FLAG("disconnect"),
};

static const struct xenpv_key_value *offer(const struct xenpv_net *net, uint32_t key)
{
    return xenpv_bus_value(&net->bus, XENPV_ASK_OFFER, key);
}

static const struct xenpv_key_value *live(const struct xenpv_net *net, uint32_t key)
{
    return xenpv_bus_value(&net->bus, XENPV_ASK_LIVE, key);
}

int net_judge(struct xenpv_net *net)
{
    struct xenpv_detail detail = {.error = XENPV_ENOTSUP,
                                  .step = "reading the backend's offer",
                                  .expected = "1: it copies what is received"};

    if (offer(net, NET_OFFER_RX_COPY)->number)
        return XENPV_OK;
    bus_describe_key(&detail, net->bus.peer_path, net_offer_keys[NET_OFFER_RX_COPY].name);
    memcpy(detail.found, offer(net, NET_OFFER_RX_COPY)->text, XENPV_KEY_TEXT_MAX);
    xenpv_bus_fail(&net->bus, &detail);
    return XENPV_ENOTSUP;
}

/* ---- negotiating ----------------------------------------------------------------------------- */

#define RECEIVES                                                                                   \
    (XENPV_NET_SG | XENPV_NET_CSUM4 | XENPV_NET_CSUM6 | XENPV_NET_GSO4 | XENPV_NET_GSO6)

/* Of a set of features those that have what they need. */
static uint32_t complete(uint32_t set)
{
    static const struct {
        uint32_t feature, needs;
    } table[] = {
        {XENPV_NET_GSO4, XENPV_NET_SG | XENPV_NET_CSUM4},
        {XENPV_NET_GSO6, XENPV_NET_SG | XENPV_NET_CSUM6},
        {XENPV_NET_DYNAMIC, XENPV_NET_MULTICAST},
        {XENPV_NET_STATIC_GRANTS, XENPV_NET_CONTROL},
    };

    for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if ((set & table[i].needs) != table[i].needs)
            set &= ~table[i].feature;
    }
    return set;
}

uint32_t net_receives(const struct xenpv_net *net)
{
    return complete(RECEIVES & ~net->config.without);
}

uint32_t net_features(const struct xenpv_net *net)
{
    const struct {
        uint32_t feature;
        bool offered;
    } table[] = {
        {XENPV_NET_SG, offer(net, NET_OFFER_SG)->number != 0},
        {XENPV_NET_CSUM4, offer(net, NET_OFFER_NO_CSUM4)->number == 0},
        {XENPV_NET_CSUM6, offer(net, NET_OFFER_CSUM6)->number != 0},
        {XENPV_NET_GSO4, offer(net, NET_OFFER_GSO4)->number != 0},
        {XENPV_NET_GSO6, offer(net, NET_OFFER_GSO6)->number != 0},
        {XENPV_NET_RX_NOTIFY, true},
        {XENPV_NET_SPLIT, offer(net, NET_OFFER_SPLIT)->number != 0},
        {XENPV_NET_MULTI_QUEUE, net_queues(net) > 1},
        {XENPV_NET_CONTROL, offer(net, NET_OFFER_CONTROL)->number != 0},
        {XENPV_NET_MULTICAST, offer(net, NET_OFFER_MULTICAST)->number != 0},
        {XENPV_NET_DYNAMIC, offer(net, NET_OFFER_DYNAMIC)->number != 0},
        {XENPV_NET_HEADROOM, offer(net, NET_OFFER_HEADROOM)->number != 0},
        {XENPV_NET_STATIC_GRANTS, net->ctl.grants.total != 0},
    };
    uint32_t used = 0;

    for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        used |= table[i].offered ? table[i].feature : 0;
    return complete(used & ~net->config.without);
}

uint32_t net_queues(const struct xenpv_net *net)
{
    uint64_t most = offer(net, NET_OFFER_QUEUES)->number;

    if (net->config.without & XENPV_NET_MULTI_QUEUE)
        return 1;
    return most < net->config.queues ? (uint32_t)most : net->config.queues;
}

bool net_trusted(const struct xenpv_net *net)
{
    return xenpv_bus_value(&net->bus, XENPV_ASK_OWN, NET_OWN_TRUSTED)->number != 0;
}

/* ---- what is told of it ---------------------------------------------------------------------- */

/* Bits per second: a number, and perhaps k, m or g. 0: it is none. */
static uint64_t parse_speed(const char *text)
{
    static const struct {
        char letter;
        uint32_t factor;
    } units[] = {{'k', 1000}, {'m', 1000000}, {'g', 1000000000}};
    uint32_t length = bus_length(text), factor = 1;
    uint64_t number;

    for (uint32_t i = 0; i < sizeof(units) / sizeof(units[0]) && length; i++) {
        if ((text[length - 1] | 0x20) == units[i].letter)
            factor = units[i].factor;
    }
    length -= factor != 1;
    if (!xenpv_parse_number(text, length, &number) || number > UINT32_MAX)
        return 0;
    return number * factor;
}

void net_take_info(const struct xenpv_net *net, struct xenpv_net_info *info)
{
    uint64_t carrier = xenpv_bus_value(&net->bus, XENPV_ASK_ANSWER, NET_ANSWER_CARRIER)->number;

    memset(info->mac, 0, sizeof(info->mac));
    info->has_mac = xenpv_parse_mac(live(net, NET_LIVE_MAC)->text, info->mac);
    info->mtu = (uint32_t)live(net, NET_LIVE_MTU)->number;
    info->speed = parse_speed(live(net, NET_LIVE_SPEED)->text);
    info->carrier = carrier != 0 && live(net, NET_LIVE_DISCONNECT)->number == 0;
    info->features = net_features(net);
    info->receives = net_receives(net);
    info->max_frame = info->features & XENPV_NET_SG ? XENPV_NETIF_PACKET_MAX : XENPV_PAGE_SIZE;
    info->queues = net->queues ? net->queues : net_queues(net);
    info->trusted = net_trusted(net);
}

/* ---- names ----------------------------------------------------------------------------------- */

const char *xenpv_net_feature_name(uint32_t bit)
{
    static const char *const names[XENPV_NET_FEATURES] = {
        "sg",          "csum4",   "csum6",     "gso4",    "gso6",     "rx-notify",    "split",
        "multi-queue", "control", "multicast", "dynamic", "headroom", "static-grants"};

    return bit < XENPV_NET_FEATURES ? names[bit] : NULL;
}

/* ---- what was negotiated --------------------------------------------------------------------- */

/* By the number of the offer. */
static const struct {
    uint8_t own; /* the frontend's key for it */
    uint32_t feature;
    const char *why; /* when less is used than offered, and not for lack of will */
} negotiations[XENPV_NET_NEGOTIATIONS] = {
    [NET_OFFER_RX_COPY] = {NET_OWN_RX_COPY, 0, ""},
    [NET_OFFER_SG] = {NET_OWN_SG, XENPV_NET_SG, ""},
    [NET_OFFER_NO_CSUM4] = {NET_OWN_NO_CSUM4, XENPV_NET_CSUM4, ""},
    [NET_OFFER_CSUM6] = {NET_OWN_CSUM6, XENPV_NET_CSUM6, ""},
    [NET_OFFER_GSO4] = {NET_OWN_GSO4, XENPV_NET_GSO4, "it needs sg and checksum offload"},
    [NET_OFFER_GSO6] = {NET_OWN_GSO6, XENPV_NET_GSO6, "it needs sg and checksum offload"},
    [NET_OFFER_SPLIT] = {NET_OWN_NOTHING, XENPV_NET_SPLIT, ""},
    [NET_OFFER_QUEUES] = {NET_OWN_QUEUES, XENPV_NET_MULTI_QUEUE, "so many queues were asked for"},
    [NET_OFFER_CONTROL] = {NET_OWN_NOTHING, XENPV_NET_CONTROL, ""},
    [NET_OFFER_MULTICAST] = {NET_OWN_MULTICAST, XENPV_NET_MULTICAST, "a filter was not asked for"},
    [NET_OFFER_DYNAMIC] = {NET_OWN_NOTHING, XENPV_NET_DYNAMIC, "it needs multicast-control"},
    [NET_OFFER_HEADROOM] = {NET_OWN_HEADROOM, XENPV_NET_HEADROOM, "no headroom was asked for"},
};

static uint64_t chosen(const struct xenpv_net_info *info, uint32_t which)
{
    bool used = (info->features & negotiations[which].feature) != 0;

    switch (which) {
    case NET_OFFER_RX_COPY:
        return 1;
    case NET_OFFER_NO_CSUM4: /* the key is a no, too */
        return !used;
    case NET_OFFER_QUEUES:
        return info->queues;
    case NET_OFFER_MULTICAST:
        return used && info->multicast;
    case NET_OFFER_HEADROOM:
        return info->headroom;
    default:
        return used;
    }
}

uint32_t xenpv_net_negotiation(const struct xenpv_net *net,
                               struct xenpv_negotiation out[XENPV_NET_NEGOTIATIONS])
{
    struct xenpv_net_info info;

    xenpv_net_info(net, &info);
    for (uint32_t i = 0; i < XENPV_NET_NEGOTIATIONS; i++) {
        const struct xenpv_key_value *value = offer(net, i);
        uint8_t own = negotiations[i].own;
        uint64_t number = chosen(&info, i);
        bool off = (net->config.without & negotiations[i].feature) != 0;
        bool all = value->status != XENPV_KEY_GOOD || value->number <= number;

        if (i == NET_OFFER_NO_CSUM4)
            all = number == value->number;
        out[i] = (struct xenpv_negotiation){
            .key = net_offer_keys[i].name,
            .status = value->status,
            .offered = value->text,
            .asked =
                own == NET_OWN_NOTHING ? "" : xenpv_bus_value(&net->bus, XENPV_ASK_OWN, own)->text,
            .chosen = number,
            .why = all   ? ""
                   : off ? "it is switched off"
                         : negotiations[i].why};
    }
    return XENPV_NET_NEGOTIATIONS;
}
