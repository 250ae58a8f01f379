/* SPDX-License-Identifier: MIT */
/* xenpv net ping: echo requests to a host on the wire, of an address of our own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd_net.h"
#include "complain.h"
#include "host.h"
#include "json.h"
#include "number.h"
#include "os_thread.h"

#define INTERVAL_MS 1000u
#define PATIENCE_MS 1000u /* for an answer, unless --timeout says */
#define ASK_MS      1000u /* between questions after an address: RFC 4861, 10 */
#define SIZE        56u
#define SEQUENCES   65536u

enum echo_state { ECHO_UNSENT, ECHO_SENT, ECHO_ANSWERED };

struct echo {
    uint8_t state; /* enum echo_state */
    uint64_t at;   /* ns */
};

struct ping {
    const struct options *options;
    struct vif *vif;
    struct host host;
    unsigned prefix;
    struct packet_end target;
    bool found;        /* its MAC is known */
    uint64_t ask_at;   /* ms; when to ask after it again */
    uint64_t send_at;  /* ms; when the next request is due */
    uint64_t end_at;   /* ms; once all are sent: when no more answers are waited for */
    uint64_t patience; /* ms */
    uint32_t interval_ms, size;
    uint16_t id;
    bool blocked; /* there is no room to send */
    uint64_t sent, received, duplicates, damaged;
    uint64_t least, most, sum; /* ns */
    struct echo *echoes;       /* SEQUENCES */
    uint8_t *payload, *frame;  /* PACKET_MAX each */
};

/* ------------------------------------------------------------------------------------ sending -- */

static bool send(struct ping *ping, uint32_t bytes)
{
    static const struct xenpv_net_offload none;

    ping->blocked = bytes && vif_send(ping->vif, ping->frame, bytes, &none) != 0;
    return !ping->blocked;
}

static void announce(struct ping *ping)
{
    send(ping, host_announce(&ping->host, 0, ping->frame));
}

static void ask(struct ping *ping, uint64_t now)
{
    struct packet_end own = {.ip = ping->host.addresses[0]};

    memcpy(own.mac, ping->host.mac, 6);
    if (send(ping, packet_who(ping->frame, &own, &ping->target.ip)))
        ping->ask_at = now + ASK_MS;
}

/* An endless patience stays that. */
static uint64_t after(uint64_t now, uint64_t ms)
{
    return ms < UINT64_MAX - now ? now + ms : UINT64_MAX;
}

static void send_echo(struct ping *ping, uint64_t now)
{
    struct packet_end own = {.ip = ping->host.addresses[0]};
    uint16_t sequence = (uint16_t)(ping->sent + 1);
    struct echo *echo = &ping->echoes[sequence];

    memcpy(own.mac, ping->host.mac, 6);
    if (!send(ping, packet_echo(ping->frame, PACKET_ECHO, &own, &ping->target, ping->id, sequence,
                                ping->payload, ping->size)))
        return;
    *echo = (struct echo){.state = ECHO_SENT, .at = os_now_ns()};
    ping->sent++;
    ping->send_at = after(now, ping->interval_ms ? ping->interval_ms : ping->patience);
    ping->end_at = after(now, ping->patience);
}

static bool all_sent(const struct ping *ping)
{
    return ping->options->count && ping->sent == ping->options->count;
}

/* The target's MAC is not known, or was once: another host may have the address by now. */
static bool must_ask(const struct ping *ping)
{
    return !ping->found || ping->echoes[(uint16_t)ping->sent].state == ECHO_SENT;
}

/* Sends what is due, and answers when the next thing is. */
static uint64_t send_due(struct ping *ping, uint64_t now)
{
    uint64_t *due = ping->found ? &ping->send_at : &ping->ask_at;

    if (must_ask(ping) && now >= *due && now >= ping->ask_at)
        ask(ping, now);
    if (ping->found && !all_sent(ping) && now >= *due)
        send_echo(ping, now);
    vif_submit(ping->vif);
    if (ping->found && all_sent(ping))
        return ping->end_at;
    return ping->blocked ? UINT64_MAX : *due;
}

/* ---------------------------------------------------------------------------------- receiving -- */

static void count_reply(struct ping *ping, const struct packet *packet, uint64_t ns)
{
    char from[IP_TEXT_MAX];

    ping->received++;
    ping->sum += ns;
    ping->most = ns > ping->most ? ns : ping->most;
    ping->least = ping->received == 1 || ns < ping->least ? ns : ping->least;
    if (ping->interval_ms == 0)
        ping->send_at = 0;
    if (ping->options->json)
        return;
    ip_text(&packet->from, from);
    printf("%u bytes from %s: seq %u, time %.3f ms\n", packet->bytes + PACKET_ICMP, from,
           packet->sequence, (double)ns / 1e6);
    if (ping->interval_ms)
        fflush(stdout);
}

static void take_reply(struct ping *ping, const struct packet *packet)
{
    struct echo *echo = &ping->echoes[packet->sequence];

    if (packet->id != ping->id || !ip_same(&packet->from, &ping->target.ip) ||
        !ip_same(&packet->to, &ping->host.addresses[0]) || echo->state == ECHO_UNSENT)
        return;
    if (packet->bytes != ping->size || memcmp(packet->payload, ping->payload, ping->size) != 0)
        ping->damaged++;
    else if (echo->state == ECHO_ANSWERED)
        ping->duplicates++;
    else
        count_reply(ping, packet, os_now_ns() - echo->at);
    echo->state = ECHO_ANSWERED;
}

static void take(struct ping *ping, const struct vif_frame *frame)
{
    struct packet packet;

    packet_parse(frame->data, frame->bytes, &packet);
    if (packet.kind == PACKET_HERE && packet.has_mac && ip_same(&packet.to, &ping->target.ip)) {
        memcpy(ping->target.mac, packet.mac, 6);
        ping->found = true;
    }
    if (packet.kind == PACKET_REPLY)
        take_reply(ping, &packet);
    else
        send(ping, host_answer(&ping->host, &packet, ping->frame));
}

/* ---------------------------------------------------------------------------------------- all -- */

/* Nobody has answered for as long as a peer is waited for. */
static bool is_hopeless(const struct ping *ping, uint64_t began, uint64_t now)
{
    uint32_t timeout = ping->options->timeout_ms;

    return !ping->found && timeout && now - began >= timeout;
}

static bool is_done(const struct ping *ping, uint64_t now)
{
    return all_sent(ping) && (ping->received + ping->damaged >= ping->sent || now >= ping->end_at);
}

/* What depends on the card, and on each connection anew. */
static int suit(struct ping *ping)
{
    struct xenpv_net_info info;
    uint32_t head = packet_echo_head(ping->target.ip.v6) - PACKET_ETHERNET;
    uint32_t mtu = vif_mtu(ping->vif);
    const char *name = ping->vif->device.name;

    xenpv_net_info(ping->vif->net, &info);
    if (!info.has_mac)
        return complain(STATUS_FAILED, "%s: it has no address: its key 'mac' is missing or wrong",
                        name);
    if (mtu < head || ping->size > mtu - head)
        return complain(STATUS_USAGE, "--size: an MTU of %u has room for %u bytes", mtu,
                        mtu < head ? 0 : mtu - head);
    memcpy(ping->host.mac, info.mac, 6);
    return STATUS_DONE;
}

static int run(struct ping *ping)
{
    struct vif *vif = ping->vif;
    uint64_t began = machine_now(vif->machine), now = began;
    char target[IP_TEXT_MAX];

    /* Without a --count nothing else would tell that nobody reads any more. */
    while (vif_step(vif) && !os_stop_signal() && !ferror(stdout)) {
        struct vif_frame frame;
        uint64_t due;

        if (vif_is_new(vif)) {
            int status = suit(ping);

            if (status != STATUS_DONE)
                return status;
            announce(ping);
        }
        for (uint32_t i = 0; i < NET_ROUND && vif_receive(vif, &frame); i++)
            take(ping, &frame);
        now = machine_now(vif->machine);
        if (is_done(ping, now) || is_hopeless(ping, began, now))
            break;
        due = send_due(ping, now);
        if (!ping->found && ping->options->timeout_ms && due > began + ping->options->timeout_ms)
            due = began + ping->options->timeout_ms;
        net_wait(vif, XENPV_NET_RX | (ping->blocked ? XENPV_NET_TX : 0u), due);
    }
    if (is_hopeless(ping, began, now)) {
        ip_text(&ping->target.ip, target);
        return complain(STATUS_FAILED, "%s: nobody says to be %s, for %" PRIu64 " ms",
                        vif->device.name, target, now - began);
    }
    if (ping->received < ping->sent && is_done(ping, now))
        return complain(STATUS_FAILED, "%s: %" PRIu64 " of %" PRIu64 " echo requests got no answer",
                        vif->device.name, ping->sent - ping->received, ping->sent);
    return is_done(ping, now) ? STATUS_DONE : STATUS_FAILED;
}

static void print_text(const struct ping *ping)
{
    printf("%" PRIu64 " sent, %" PRIu64 " received: %" PRIu64 " of %" PRIu64 " answered",
           ping->sent, ping->received, ping->received, ping->sent);
    if (ping->duplicates)
        printf(", %" PRIu64 " duplicates", ping->duplicates);
    if (ping->damaged)
        printf(", %" PRIu64 " damaged", ping->damaged);
    if (ping->received)
        printf("; time least %.3f, mean %.3f, most %.3f ms", (double)ping->least / 1e6,
               (double)ping->sum / 1e6 / (double)ping->received, (double)ping->most / 1e6);
    printf("\n");
}

static void json_times(const struct ping *ping)
{
    if (ping->received == 0) {
        json_null("time_ms");
        return;
    }
    json_open("time_ms", '{');
    json_decimal("least", (double)ping->least / 1e6, 3);
    json_decimal("mean", (double)ping->sum / 1e6 / (double)ping->received, 3);
    json_decimal("most", (double)ping->most / 1e6, 3);
    json_close('}');
}

static void print_json(const struct ping *ping)
{
    char text[IP_TEXT_MAX], mac[MAC_TEXT_MAX];

    json_open(NULL, '{');
    json_text("device", ping->vif->device.name);
    ip_text(&ping->host.addresses[0], text);
    json_text("address", text);
    ip_text(&ping->target.ip, text);
    json_text("target", text);
    mac_text(ping->target.mac, mac);
    json_text("target_mac", ping->found ? mac : "");
    json_number("size", ping->size);
    json_number("sent", ping->sent);
    json_number("received", ping->received);
    json_number("duplicates", ping->duplicates);
    json_number("damaged", ping->damaged);
    json_times(ping);
    json_close('}');
}

static int use(struct vif *vif, void *ctx)
{
    struct ping *ping = ctx;
    int status;

    ping->vif = vif;
    status = run(ping);
    if (ping->sent == 0)
        return status;
    if (ping->options->json)
        print_json(ping);
    else
        print_text(ping);
    return status;
}

/* ------------------------------------------------------------------------------------ options -- */

static bool parse_ends(const struct options *options, const char *target, struct ping *ping)
{
    struct ip *own = &ping->host.addresses[0], *other = &ping->target.ip;

    ping->host.count = 1;
    if (!options->address)
        complain(STATUS_USAGE, "net ping: give --address ADDRESS/PREFIX, as 10.77.0.2/24: it is "
                               "who asks");
    else if (!ip_parse_prefix(options->address, own, &ping->prefix) || !ip_is_unicast(own))
        complain(STATUS_USAGE,
                 "--address: '%s' is no address of a host and its prefix, as "
                 "10.77.0.2/24 or fd77::2/64",
                 options->address);
    else if (!ip_parse(target, other) || !ip_is_unicast(other))
        complain(STATUS_USAGE, "'%s' is no address of a host, as 10.77.0.1 or fd77::1", target);
    else if (!ip_share_prefix(own, other, ping->prefix))
        complain(STATUS_USAGE, "%s is not on the wire of %s, and there is no router here", target,
                 options->address);
    else
        return true;
    return false;
}

static bool parse_rest(const struct options *options, struct ping *ping)
{
    uint64_t size = SIZE;

    if (options->size && !number_parse("--size", options->size, true, 0,
                                       PACKET_MAX - packet_echo_head(ping->target.ip.v6), &size))
        return false;
    ping->size = (uint32_t)size;
    ping->interval_ms = options->given & OPTION_INTERVAL ? options->interval_ms : INTERVAL_MS;
    ping->patience = options->given & OPTION_TIMEOUT ? options->timeout_ms : PATIENCE_MS;
    if (ping->patience == 0)
        ping->patience = UINT64_MAX;
    return true;
}

int net_ping(const struct options *options, int count, char **arguments)
{
    struct ping ping = {.options = options};
    int status = STATUS_USAGE;

    (void)count;
    if (!parse_ends(options, arguments[1], &ping) || !parse_rest(options, &ping))
        return STATUS_USAGE;
    ping.id = (uint16_t)os_now_ns();
    ping.echoes = calloc(SEQUENCES, sizeof(*ping.echoes));
    ping.payload = malloc(PACKET_MAX);
    ping.frame = malloc(PACKET_MAX);
    if (ping.echoes && ping.payload && ping.frame) {
        for (uint32_t i = 0; i < PACKET_MAX; i++)
            ping.payload[i] = (uint8_t)(i + (i >> 8));
        status = net_run(options, arguments[0], use, &ping);
    } else {
        status = complain(STATUS_ENVIRONMENT, "out of memory");
    }
    free(ping.echoes);
    free(ping.payload);
    free(ping.frame);
    return status;
}
