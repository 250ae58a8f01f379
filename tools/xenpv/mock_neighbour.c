/* SPDX-License-Identifier: MIT */
#include "mock_neighbour.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/net.h>

#include "host.h"
#include "os.h"

/* It has as few pages to share as the guest, and answers little; but it keeps pace with what a round
 * of the guest sends. */
#define TX_BUFFERS 64u
#define RX_BUFFERS 256u

struct mock_neighbour {
    struct host host;
    void *memory;
    struct xenpv_net *net;
    struct xenpv_netq *q;
    enum xenpv_net_state state;
    bool ending;
    uint32_t announced; /* the connection whose beginning was told */
    uint8_t frame[PACKET_MAX], answer[PACKET_MAX];
};

static void set_host(struct host *host, uint32_t number, const uint8_t mac[6])
{
    char text[IP_TEXT_MAX];

    memcpy(host->mac, mac, 6);
    snprintf(text, sizeof(text), "10.77.%u.1", number);
    ip_parse(text, &host->addresses[0]);
    snprintf(text, sizeof(text), "fd77:%x::1", number);
    ip_parse(text, &host->addresses[1]);
    host->count = 2;
}

struct mock_neighbour *mock_neighbour_make(const struct xenpv_port *port, uint32_t number,
                                           const uint8_t mac[6])
{
    struct mock_neighbour *neighbour = calloc(1, sizeof(*neighbour));
    struct xenpv_net_config config;
    char path[48];

    if (!neighbour)
        return NULL;
    set_host(&neighbour->host, number, mac);
    snprintf(path, sizeof(path), "device/vif/%u", number);
    xenpv_net_config_init(&config, port, path);
    config.tx_buffers = TX_BUFFERS;
    config.rx_buffers = RX_BUFFERS;
    neighbour->memory = os_alloc(xenpv_net_size(&config), 16);
    if (!neighbour->memory || xenpv_net_init(neighbour->memory, &config, &neighbour->net) != 0) {
        os_free(neighbour->memory);
        free(neighbour);
        return NULL;
    }
    neighbour->q = xenpv_net_queue(neighbour->net, 0);
    return neighbour;
}

/* What does not fit is lost, as on any wire. */
static void send(struct mock_neighbour *neighbour, uint8_t *frame, uint32_t bytes)
{
    struct xenpv_iov iov = {frame, bytes};
    struct xenpv_net_packet packet = {.iov = &iov, .count = 1};

    if (bytes)
        xenpv_netq_send(neighbour->q, &packet, NULL);
}

static void announce(struct mock_neighbour *neighbour)
{
    for (unsigned i = 0; i < neighbour->host.count; i++)
        send(neighbour, neighbour->answer, host_announce(&neighbour->host, i, neighbour->answer));
}

static bool receive(struct mock_neighbour *neighbour)
{
    struct xenpv_net_frame frame;
    struct packet packet;
    uint32_t at = 0;

    if (xenpv_netq_receive(neighbour->q, &frame, 1) != 1)
        return false;
    for (uint32_t i = 0; i < frame.count; i++) {
        memcpy(neighbour->frame + at, frame.fragment[i].base, frame.fragment[i].length);
        at += (uint32_t)frame.fragment[i].length;
    }
    xenpv_netq_return(neighbour->q, &frame);
    packet_parse(neighbour->frame, at, &packet);
    send(neighbour, neighbour->answer, host_answer(&neighbour->host, &packet, neighbour->answer));
    return true;
}

bool mock_neighbour_step(struct mock_neighbour *neighbour, uint64_t now)
{
    enum xenpv_net_state before = neighbour->state;
    struct xenpv_completion ended[64];
    bool moved = false;

    if (before == XENPV_NET_IDLE && !neighbour->ending)
        xenpv_net_connect(neighbour->net, now);
    neighbour->state = xenpv_net_step(neighbour->net, now);
    if (neighbour->state == XENPV_NET_CONNECTED &&
        xenpv_netq_connections(neighbour->q) != neighbour->announced) {
        neighbour->announced = xenpv_netq_connections(neighbour->q);
        announce(neighbour);
    }
    while (receive(neighbour))
        moved = true;
    xenpv_netq_submit(neighbour->q);
    while (xenpv_netq_poll(neighbour->q, ended, 64) > 0)
        moved = true;
    return moved || neighbour->state != before;
}

void mock_neighbour_end(struct mock_neighbour *neighbour, uint64_t now)
{
    neighbour->ending = true;
    xenpv_net_close(neighbour->net, now);
}

bool mock_neighbour_is_done(const struct mock_neighbour *neighbour)
{
    enum xenpv_net_state state = xenpv_net_state(neighbour->net);

    /* IDLE: the machine was given up before it was stepped. */
    return state == XENPV_NET_CLOSED || state == XENPV_NET_FAILED || state == XENPV_NET_IDLE;
}

void mock_neighbour_free(struct mock_neighbour *neighbour)
{
    if (!neighbour)
        return;
    os_free(neighbour->memory);
    free(neighbour);
}
