/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "info.h"
#include "ip.h"
#include "json.h"

struct view {
    char holder[64];
    char mac[MAC_TEXT_MAX]; /* "" where there is none */
    struct xenpv_net_info info;
    struct xenpv_negotiation features[XENPV_NET_NEGOTIATIONS];
    uint32_t feature_count;
};

static void look(const struct vif *vif, struct view *view)
{
    *view = (struct view){.mac = ""};
    machine_holder(vif->machine, "vif", vif->device.id, view->holder, sizeof(view->holder));
    xenpv_net_info(vif->net, &view->info);
    view->feature_count = xenpv_net_negotiation(vif->net, view->features);
    if (view->info.has_mac)
        mac_text(view->info.mac, view->mac);
}

/* -------------------------------------------------------------------------------------- text -- */

/* A name for each bit, or "-". */
static void features_text(uint32_t features, char text[160])
{
    text[0] = '\0';
    for (uint32_t bit = 0; bit < XENPV_NET_FEATURES; bit++)
        if (features & 1u << bit)
            snprintf(text + strlen(text), 160 - strlen(text), "%s%s", text[0] ? ", " : "",
                     xenpv_net_feature_name(bit));
    if (text[0] == '\0')
        snprintf(text, 160, "-");
}

static void print_link(const struct xenpv_net_info *info)
{
    printf("link       %s, MTU %u", info->carrier ? "up" : "down", info->mtu);
    if (info->speed)
        printf(", %" PRIu64 " bits a second", info->speed);
    printf(", frames of up to %u bytes\n", info->max_frame);
}

void info_print_vif(const struct vif *vif)
{
    char frontend[32], backend[32], used[160], receives[160];
    struct view view;
    const struct xenpv_net_info *info = &view.info;

    look(vif, &view);
    info_state_text(info->frontend_state, frontend);
    info_state_text(info->backend_state, backend);
    features_text(info->features, used);
    features_text(info->receives, receives);
    printf("%s\n", vif->device.name);
    printf("holder     %s\n", info_or_dash(view.holder));
    printf("frontend   %s  %s\n", frontend, info->frontend_path);
    printf("backend    %s  %s (domain %u)\n", backend, info->backend_path, info->backend_id);
    printf("mac        %s\n", info_or_dash(view.mac));
    print_link(info);
    printf("trusted    %s\n", info->trusted ? "yes" : "no: it sees nothing but the data itself");
    printf("transport  queues %u, headroom %u, multicast %s, pages kept mapped %u\n", info->queues,
           info->headroom, info->multicast ? "filtered" : "all", info->static_grants);
    printf("features   %s\n", used);
    printf("receives   %s\n", receives);
    info_print_features(view.features, view.feature_count);
}

/* -------------------------------------------------------------------------------------- JSON -- */

static void json_features(const char *key, uint32_t features)
{
    json_open(key, '[');
    for (uint32_t bit = 0; bit < XENPV_NET_FEATURES; bit++)
        if (features & 1u << bit)
            json_text(NULL, xenpv_net_feature_name(bit));
    json_close(']');
}

void info_json_vif(const struct vif *vif, void (*more)(const struct vif *vif, void *ctx), void *ctx)
{
    struct view view;
    const struct xenpv_net_info *info = &view.info;

    look(vif, &view);
    json_open(NULL, '{');
    json_text("device", vif->device.name);
    json_text("holder", view.holder);
    info_json_end("frontend", info->frontend_path, info->frontend_state);
    json_close('}');
    info_json_end("backend", info->backend_path, info->backend_state);
    json_number("domain", info->backend_id);
    json_close('}');
    json_text("mac", view.mac);
    json_bool("carrier", info->carrier);
    json_number("mtu", info->mtu);
    json_number("speed", info->speed);
    json_number("max_frame", info->max_frame);
    json_bool("trusted", info->trusted);
    json_number("queues", info->queues);
    json_number("headroom", info->headroom);
    json_bool("multicast_filtered", info->multicast);
    json_number("static_grants", info->static_grants);
    json_number("connections", info->connections);
    json_features("features_used", info->features);
    json_features("receives", info->receives);
    info_json_features(view.features, view.feature_count);
    if (more)
        more(vif, ctx);
    json_close('}');
}
