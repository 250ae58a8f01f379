/* SPDX-License-Identifier: MIT */
/* The backend of a network card on the mock, and what is behind it. */
#include <stdlib.h>
#include <string.h>

#include <xenpv/harness/netback.h>

#include "bench_net.h"
#include "bench_rig.h"

#define VIF         0u
#define STATIC_MOST 4096u /* as a backend allows */

struct served {
    struct bench_cell cell;
    uint8_t headers[BENCH_NET_HEADERS]; /* of what is poured; behind them anything goes */
    uint8_t flow;                       /* of the next frame */
    struct xenpv_link link;
    struct xenpv_netback *back;
    struct bench_pace pace;
};

/* ------------------------------------------------------------------------------------- links -- */

/* The backend has copied it already. */
static int swallow(void *ctx, const struct xenpv_link_frame *frame)
{
    (void)ctx;
    (void)frame;
    return XENPV_OK;
}

static void describe(const struct bench_cell *cell, struct xenpv_link_frame *frame)
{
    frame->bytes = cell->size;
    if (!cell->gso)
        return;
    frame->checksum = XENPV_LINK_BLANK;
    frame->gso_type = XENPV_NETIF_GSO_TCPV4;
    frame->gso_size = BENCH_NET_MSS;
}

/* Each frame is of another flow, so that all queues get some. */
static int pour(void *ctx, struct xenpv_link_frame *frame)
{
    struct served *served = ctx;

    describe(&served->cell, frame);
    if (served->cell.link == BENCH_LINK_NULL) {
        frame->data = NULL;
        return XENPV_OK;
    }
    memcpy(frame->data, served->headers, BENCH_NET_HEADERS);
    frame->data[BENCH_NET_PORT] = served->flow++;
    return XENPV_OK;
}

static void make_link(struct served *served)
{
    static const uint8_t source[6] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xfe};
    const struct bench_cell *cell = &served->cell;

    served->link = (struct xenpv_link){.ctx = served,
                                       .takes = XENPV_LINK_TAKES_BLANK | XENPV_LINK_TAKES_GSO,
                                       .send = cell->link == BENCH_LINK_NULL ? NULL : swallow,
                                       .receive = cell->direction == BENCH_TX ? NULL : pour};
    bench_net_head(true, source, cell->size, served->headers);
}

/* ----------------------------------------------------------------------------------- backend -- */

static bool go_round(void *ctx, xenpv_handle doorbell)
{
    struct served *served = ctx;

    xenpv_netback_step(served->back, bench_pace_now(&served->pace, doorbell));
    bench_pace_sleep(&served->pace, doorbell, xenpv_netback_deadline(served->back));
    return true;
}

static void end(void *ctx)
{
    struct served *served = ctx;
    enum xenpv_bus_phase phase;

    if (served->back) {
        xenpv_netback_close(served->back, os_now());
        do {
            phase = xenpv_netback_step(served->back, os_now());
            os_yield();
        } while (phase != XENPV_BUS_DONE && phase != XENPV_BUS_IDLE);
        xenpv_netback_destroy(served->back);
    }
    free(served);
}

static int serve(struct bench_rig *rig, struct served *served)
{
    struct xenpv_netback_config config;
    char path[64];
    int error;

    make_link(served);
    snprintf(path, sizeof(path), "backend/vif/%u/%u", BENCH_GUEST, VIF);
    xenpv_netback_config_init(&config, &rig->back_port, path, &served->link, &bench_allocator);
    config.queues = rig->cell.queues;
    config.static_grants = STATIC_MOST;
    config.poll = !rig->cell.event;
    error = xenpv_netback_create(&config, &served->back);
    return error ? error : xenpv_netback_start(served->back, os_now());
}

int bench_net_backend(struct bench_rig *rig)
{
    const struct xenpv_mock_vif vif = {.frontend = BENCH_GUEST,
                                       .backend = BENCH_DRIVER,
                                       .number = VIF,
                                       .mtu = 1500,
                                       .mac = "00:16:3e:00:00:01"};
    struct served *served = calloc(1, sizeof(*served));
    int error = xenpv_mock_add_vif(rig->mock, &vif);

    rig->device = VIF;
    if (!served || error) {
        free(served);
        return error ? error : XENPV_ENOMEM;
    }
    served->cell = rig->cell;
    rig->backend = (struct bench_backend){.ctx = served, .round = go_round, .end = end};
    return serve(rig, served);
}
