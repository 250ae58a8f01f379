/* SPDX-License-Identifier: MIT */
/* Network cards: frames of 64 bytes, sent or received. Our backend's link moves no bytes. */
#include <stdio.h>

#include <xenpv/harness/netback.h>

#include "instructions.h"

#define FRAME   64u
#define BUFFERS 128u /* 64 cards have no more grants than that */

struct card {
    struct xenpv_link link;
    struct xenpv_netback *back;
    void *memory;
    struct xenpv_net *net;
    struct xenpv_netq *q;
};

static struct card cards[DEVICES_MAX];

static void make_backend(struct card *card, uint32_t number, uint32_t source)
{
    const struct xenpv_mock_vif vif = {.frontend = GUEST,
                                       .backend = DRIVER,
                                       .number = number,
                                       .mtu = 1500,
                                       .mac = "00:16:3e:00:00:01"};
    struct xenpv_netback_config config;
    char path[64];

    snprintf(path, sizeof(path), "backend/vif/%u/%u", GUEST, number);
    must(xenpv_mock_add_vif(mock, &vif) == 0, "the card cannot be added");
    must(xenpv_link_null(source, &card->link) == 0, "the link cannot be made");
    xenpv_netback_config_init(&config, &back_port, path, &card->link, &allocator);
    must(xenpv_netback_create(&config, &card->back) == 0 &&
             xenpv_netback_start(card->back, now) == 0,
         "the backend cannot be made");
}

static void make_frontend(struct card *card, uint32_t number)
{
    struct xenpv_net_config config;
    char path[64];

    snprintf(path, sizeof(path), "device/vif/%u", number);
    xenpv_net_config_init(&config, &front_port, path);
    config.poll = true;
    config.without = XENPV_NET_STATIC_GRANTS; /* what its grants are told in is no part of it */
    config.tx_buffers = config.rx_buffers = BUFFERS;
    card->memory = allocator.alloc(NULL, xenpv_net_size(&config), 16);
    must(card->memory && xenpv_net_init(card->memory, &config, &card->net) == 0,
         "the device cannot be made");
    card->q = xenpv_net_queue(card->net, 0);
}

static void drop_all(struct card *card)
{
    struct xenpv_completion ended;
    struct xenpv_net_frame frame;

    xenpv_netq_poll(card->q, &ended, 1);
    while (xenpv_netq_receive(card->q, &frame, 1) > 0)
        xenpv_netq_return(card->q, &frame);
}

static void step_until(struct card *card, enum xenpv_net_state state)
{
    for (uint32_t i = 0; i < STEPS_MAX; i++, now++) {
        xenpv_netback_step(card->back, now);
        if (xenpv_net_step(card->net, now) == state)
            return;
        drop_all(card);
    }
    must(false, "a device does not get where it should");
}

static void connect_card(uint32_t number, uint32_t source)
{
    struct card *card = &cards[number];

    make_backend(card, number, source);
    make_frontend(card, number);
    must(xenpv_net_connect(card->net, now) == 0, "a device cannot be connected");
    step_until(card, XENPV_NET_CONNECTED);
}

static void connect_tx(uint32_t number)
{
    connect_card(number, 0);
}

static void connect_rx(uint32_t number)
{
    connect_card(number, FRAME);
}

static void send_batch(uint32_t number)
{
    static uint8_t bytes[FRAME];
    static const struct xenpv_iov iov = {bytes, FRAME};
    static const struct xenpv_net_packet packet = {.iov = &iov, .count = 1};
    struct card *card = &cards[number];
    struct xenpv_completion ended[BATCH];

    for (uint32_t i = 0; i < BATCH; i++)
        must(xenpv_netq_send(card->q, &packet, NULL) == 0, "a frame is refused");
    xenpv_netq_submit(card->q);
    xenpv_netback_step(card->back, now);
    must(xenpv_netq_poll(card->q, ended, BATCH) == BATCH, "not all have ended");
    for (uint32_t i = 0; i < BATCH; i++)
        must(ended[i].status == 0, "a frame was not taken");
}

static void receive_batch(uint32_t number)
{
    static struct xenpv_net_frame frames[BATCH];
    struct card *card = &cards[number];

    xenpv_netback_step(card->back, now);
    must(xenpv_netq_receive(card->q, frames, BATCH) == BATCH, "there are not enough frames");
    for (uint32_t i = 0; i < BATCH; i++) {
        must(frames[i].length == FRAME, "a frame is not what was sent");
        xenpv_netq_return(card->q, &frames[i]);
    }
}

static void disconnect_card(uint32_t number)
{
    struct card *card = &cards[number];

    xenpv_net_close(card->net, now);
    step_until(card, XENPV_NET_CLOSED);
    xenpv_netback_destroy(card->back);
    allocator.free(NULL, card->memory);
}

const struct kind kind_tx = {"tx", connect_tx, send_batch, disconnect_card};
const struct kind kind_rx = {"rx", connect_rx, receive_batch, disconnect_card};
