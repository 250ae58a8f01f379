/* SPDX-License-Identifier: MIT */
#include "mock_net.h"

#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "ip.h"
#include "os.h"
#include "wire.h"

#define OPTION   "--mock-net"
#define BACKLOG  (1u << 20) /* bytes of frames that wait on a wire */
#define WIRE_MAX 4096

static const char replay[] = "pcap=", capture[] = ",capture=";

static void set_mac(const struct mock_vif *vif, uint8_t mac[6])
{
    const uint8_t bytes[6] = {0x00, 0x16, 0x3e, 0, (uint8_t)vif->guest, (uint8_t)vif->number};

    memcpy(mac, bytes, 6);
}

/* ---------------------------------------------------------------------------------- one backend -- */

static int create_backend(struct mock_vif *vif, uint64_t now)
{
    struct mock_world *world = vif->world;
    struct xenpv_netback_config config;
    int rc;

    xenpv_netback_config_init(&config, &world->driver_port, vif->directory, &vif->link,
                              &world->allocator);
    mock_offer_set_net(&world->offer, &config);
    rc = xenpv_netback_create(&config, &vif->back);
    return rc ? rc : xenpv_netback_start(vif->back, now);
}

static int open_vif(struct mock_vif *vif, struct mock_world *world, uint16_t guest, unsigned index)
{
    const struct mock_offer *offer = &world->offer;
    char text[MAC_TEXT_MAX];
    uint8_t mac[6];
    int rc;

    vif->world = world;
    vif->guest = guest;
    vif->number = index;
    vif->open = true;
    snprintf(vif->directory, sizeof(vif->directory), "backend/vif/%u/%u", guest, index);
    set_mac(vif, mac);
    mac_text(mac, text);
    rc = xenpv_mock_add_vif(
        world->mock, &(struct xenpv_mock_vif){.frontend = guest,
                                              .backend = MOCK_DRIVER,
                                              .number = index,
                                              .mtu = offer->mtu == OFFER_UNSET ? 1500 : offer->mtu,
                                              .untrusted = offer->trusted == 0,
                                              .mac = text});
    return rc ? rc : create_backend(vif, xenpv_mock_now(world->mock));
}

/* As if its domain had died; the toolstack writes that it is closed. */
static int crash(struct mock_vif *vif)
{
    char path[96];

    xenpv_netback_destroy(vif->back);
    vif->back = NULL;
    vif->lost = true;
    vif->phase = XENPV_BUS_DONE;
    vif->stats_before = vif->stats;
    vif->stats = (struct xenpv_netback_stats){0};
    snprintf(path, sizeof(path), "/local/domain/%u/%s/state", MOCK_DRIVER, vif->directory);
    return xenpv_mock_write(vif->world->mock, path, "6");
}

/* After so many frames of ours it crashes, once, and begins anew if it is to. */
static int go_and_come(struct mock_vif *vif, uint64_t now)
{
    const struct mock_offer *offer = &vif->world->offer;
    bool vanishes = offer->vanish != OFFER_UNSET;

    if (vif->closing || vif->guest != MOCK_GUEST)
        return 0;
    if (!vif->lost && vif->stats.tx_frames >= (vanishes ? offer->vanish : offer->restart))
        return crash(vif);
    if (vif->back || vanishes)
        return 0;
    return create_backend(vif, now);
}

static bool step_vif(struct mock_vif *vif, uint64_t now)
{
    const struct xenpv_netback *before = vif->back;
    struct xenpv_netback_stats stats = {0};
    enum xenpv_bus_phase phase;
    bool moved;

    if (!vif->open)
        return false;
    if (go_and_come(vif, now))
        exit(complain(STATUS_ENVIRONMENT, "--mock-backend: a backend cannot go and come"));
    if (!vif->back)
        return before != NULL;
    phase = xenpv_netback_step(vif->back, now);
    xenpv_netback_stats(vif->back, &stats);
    moved = before != vif->back || phase != vif->phase ||
            memcmp(&stats, &vif->stats, sizeof(stats)) != 0;
    vif->phase = phase;
    vif->stats = stats;
    return moved;
}

static void end_vif(struct mock_vif *vif, uint64_t now)
{
    vif->closing = true;
    if (vif->back)
        xenpv_netback_close(vif->back, now);
}

static bool vif_is_done(const struct mock_vif *vif)
{
    return !vif->open || vif->phase == XENPV_BUS_DONE || vif->phase == XENPV_BUS_IDLE;
}

static void close_vif(struct mock_vif *vif)
{
    xenpv_netback_destroy(vif->back);
    if (vif->link.close)
        vif->link.close(vif->link.ctx);
}

/* ---------------------------------------------------------------------------------------- wires -- */

/* "pair,capture=FILE": the file, NULL where there is none; and what stands before it. */
static const char *split(const char *text, char wire[WIRE_MAX])
{
    const char *file = strstr(text, capture);

    size_t length = file ? (size_t)(file - text) : strlen(text);

    /* What is longer is no path, either. */
    length = length < WIRE_MAX ? length : WIRE_MAX - 1;
    memcpy(wire, text, length);
    wire[length] = '\0';
    return file ? file + strlen(capture) : NULL;
}

const char *mock_net_capture(const char *text)
{
    char wire[WIRE_MAX];

    return split(text, wire);
}

bool mock_net_writes(const char *text, const char *path)
{
    char wire[WIRE_MAX];
    const char *file = split(text, wire);

    return file && os_same_file(file, path);
}

bool mock_net_reads(const char *text, const char *path)
{
    char wire[WIRE_MAX];

    split(text, wire);
    return strncmp(wire, replay, strlen(replay)) == 0 && os_same_file(wire + strlen(replay), path);
}

static int complain_of_wire(const char *text, int error)
{
    return complain(error == XENPV_EINVAL ? STATUS_USAGE : STATUS_ENVIRONMENT, OPTION " %s: %s",
                    text, xenpv_error_text(error));
}

static int open_wire(struct mock_net *net, const struct xenpv_allocator *allocator,
                     const char *text, bool *pair)
{
    struct xenpv_link ends[2];
    int rc;

    *pair = strcmp(text, "pair") == 0;
    if (strncmp(text, replay, strlen(replay)) == 0)
        return wire_open_replay(OPTION " pcap=", text + strlen(replay), &net->ours.link);
    if (!*pair && strcmp(text, "loopback") != 0)
        return complain(STATUS_USAGE, OPTION " %s: it is none of loopback, pair, pcap=FILE", text);
    rc = *pair ? xenpv_link_pair(allocator, BACKLOG, ends)
               : xenpv_link_loopback(allocator, BACKLOG, &ends[0]);
    if (rc)
        return complain_of_wire(text, rc);
    net->ours.link = ends[0];
    if (*pair)
        net->theirs.link = ends[1];
    return STATUS_DONE;
}

/* The wire, and the file that all of its frames are put into. */
static int open_captured(struct mock_net *net, const struct xenpv_allocator *allocator,
                         const char *text, bool *pair)
{
    char wire[WIRE_MAX];
    const char *file = split(text, wire);
    int status = open_wire(net, allocator, wire, pair);
    struct xenpv_link inner = net->ours.link;

    if (status == STATUS_DONE && strncmp(wire, replay, strlen(replay)) == 0) {
        net->replayed = text;
        net->replay = inner;
    }
    if (status != STATUS_DONE || !file)
        return status;
    if (strcmp(file, "-") == 0)
        return complain(STATUS_USAGE, OPTION " %s: standard output is for what commands print",
                        text);
    if (mock_net_reads(text, file))
        return complain(STATUS_USAGE, OPTION " %s: it is read and written", text);
    status = wire_open_capture(OPTION " capture=", file, &inner, &net->ours.link);
    net->captured = status == STATUS_DONE ? file : NULL;
    return status;
}

static int open_neighbour(struct mock_net *net, struct mock_world *world, unsigned index)
{
    uint8_t mac[6];
    int rc = open_vif(&net->theirs, world, MOCK_NEIGHBOUR, index);

    if (rc)
        return rc;
    set_mac(&net->theirs, mac);
    net->neighbour = mock_neighbour_make(&world->neighbour_port, index, mac);
    return net->neighbour ? 0 : XENPV_ENOMEM;
}

int mock_net_open(struct mock_net *net, struct mock_world *world, unsigned index, const char *text)
{
    bool pair;
    int status = open_captured(net, &world->allocator, text, &pair), rc;

    if (status != STATUS_DONE)
        return status;
    rc = open_vif(&net->ours, world, MOCK_GUEST, index);
    if (rc == 0 && pair)
        rc = open_neighbour(net, world, index);
    return rc ? complain(STATUS_ENVIRONMENT, OPTION " %s: cannot be made: %s", text,
                         xenpv_error_text(rc))
              : STATUS_DONE;
}

/* ------------------------------------------------------------------------------------- all of it -- */

bool mock_net_step(struct mock_net *net, uint64_t now)
{
    bool moved = net->neighbour && mock_neighbour_step(net->neighbour, now);

    moved |= step_vif(&net->ours, now);
    moved |= step_vif(&net->theirs, now);
    /* The neighbour goes first: it would await the return of a backend that closes. */
    if (net->closing && !net->ours.closing &&
        (!net->neighbour || mock_neighbour_is_done(net->neighbour))) {
        end_vif(&net->ours, now);
        end_vif(&net->theirs, now);
        moved = true;
    }
    return moved;
}

uint64_t mock_net_deadline(const struct mock_net *net)
{
    const struct mock_vif *vifs[2] = {&net->ours, &net->theirs};
    uint64_t deadline = UINT64_MAX;

    for (unsigned i = 0; i < 2; i++)
        if (vifs[i]->back && xenpv_netback_deadline(vifs[i]->back) < deadline)
            deadline = xenpv_netback_deadline(vifs[i]->back);
    return deadline;
}

void mock_net_end(struct mock_net *net, uint64_t now)
{
    net->closing = true;
    if (net->neighbour)
        mock_neighbour_end(net->neighbour, now);
}

bool mock_net_is_done(const struct mock_net *net)
{
    return !net->ours.open ||
           (net->ours.closing && vif_is_done(&net->ours) && vif_is_done(&net->theirs));
}

int mock_net_close(struct mock_net *net)
{
    bool failed = net->captured && wire_capture_failed(&net->ours.link);
    int status = STATUS_DONE;

    if (net->replayed)
        status = wire_judge_replay(OPTION " ", net->replayed, &net->replay);
    mock_neighbour_free(net->neighbour);
    close_vif(&net->ours);
    close_vif(&net->theirs);
    return failed ? complain(STATUS_ENVIRONMENT, OPTION " capture=%s: cannot write to it",
                             net->captured)
                  : status;
}
