/* SPDX-License-Identifier: MIT */
/* What is told of devices of every class. */
#include "info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

#define KEY_WIDTH 30 /* columns, at the least */

static const char *const key_states[] = {
    [XENPV_KEY_UNREAD] = "not yet",
    [XENPV_KEY_GOOD] = "good",
    [XENPV_KEY_ABSENT] = "absent",
    [XENPV_KEY_JUNK] = "junk",
    [XENPV_KEY_OUT_OF_RANGE] = "out of range",
};

const char *info_or_dash(const char *text)
{
    return text[0] ? text : "-";
}

/* "4 Connected", or that there is something else than a state. */
void info_state_text(uint32_t state, char text[32])
{
    if (state == XENPV_STATE_JUNK)
        snprintf(text, 32, "no valid state");
    else
        snprintf(text, 32, "%u %s", state, xenpv_bus_state_name(state));
}

/* A good value is shown bare; a bad one with what is wrong with it. */
static void print_feature(const struct xenpv_negotiation *feature, int width)
{
    char offered[64];

    if (feature->status == XENPV_KEY_GOOD)
        snprintf(offered, sizeof(offered), "%s", feature->offered);
    else if (feature->status == XENPV_KEY_ABSENT)
        snprintf(offered, sizeof(offered), "-");
    else if (feature->status == XENPV_KEY_UNREAD)
        snprintf(offered, sizeof(offered), "not yet");
    else
        snprintf(offered, sizeof(offered), "%s (%s)", feature->offered,
                 key_states[feature->status]);
    printf("%-*s  %-8s  %-8s  %4" PRIu64 "%s%s\n", width, feature->key, offered,
           info_or_dash(feature->asked), feature->chosen, feature->why[0] ? "  " : "",
           feature->why);
}

void info_json_end(const char *end, const char *path, uint32_t state)
{
    json_open(end, '{');
    json_text("path", path);
    if (state == XENPV_STATE_JUNK)
        json_null("state");
    else
        json_number("state", state);
    json_text("state_name", xenpv_bus_state_name(state));
}

static void print_feature_json(const struct xenpv_negotiation *feature)
{
    json_open(NULL, '{');
    json_text("key", feature->key);
    json_text("status", key_states[feature->status]);
    json_text("offered", feature->offered);
    json_text("asked", feature->asked);
    json_number("used", feature->chosen);
    json_text("why_not_more", feature->why);
    json_close('}');
}

void info_print_features(const struct xenpv_negotiation *features, uint32_t count)
{
    int width = KEY_WIDTH;

    for (uint32_t i = 0; i < count; i++)
        if ((int)strlen(features[i].key) > width)
            width = (int)strlen(features[i].key);
    printf("\n%-*s  %-8s  %-8s  %4s  %s\n", width, "FEATURE", "OFFERED", "ASKED", "USED",
           "WHY NOT MORE");
    for (uint32_t i = 0; i < count; i++)
        print_feature(&features[i], width);
}

void info_json_features(const struct xenpv_negotiation *features, uint32_t count)
{
    json_open("features", '[');
    for (uint32_t i = 0; i < count; i++)
        print_feature_json(&features[i]);
    json_close(']');
}
