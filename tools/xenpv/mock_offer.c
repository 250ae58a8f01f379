/* SPDX-License-Identifier: MIT */
#include "mock_offer.h"

#include <stddef.h>
#include <string.h>

#include "complain.h"
#include "message.h"
#include "number.h"
#include "options.h"

#define OPTION "--mock-backend"

static const struct {
    const char *key;
    size_t field;
    uint64_t least, most;
} keys[] = {
    {"queues", offsetof(struct mock_offer, queues), 1, 64},
    {"ring-order", offsetof(struct mock_offer, ring_order), 0, 4},
    {"segments", offsetof(struct mock_offer, segments), 0, 4096},
    {"persistent", offsetof(struct mock_offer, persistent), 0, 65536},
    {"flush", offsetof(struct mock_offer, flush), 0, 1},
    {"barrier", offsetof(struct mock_offer, barrier), 0, 1},
    {"discard", offsetof(struct mock_offer, discard), 0, 1},
    {"secure-discard", offsetof(struct mock_offer, secure_discard), 0, 1},
    {"granularity", offsetof(struct mock_offer, granularity), 512, 1u << 30},
    {"alignment", offsetof(struct mock_offer, alignment), 0, 1u << 30},
    {"sector-size", offsetof(struct mock_offer, sector_size), 512, 32768},
    {"physical-sector-size", offsetof(struct mock_offer, physical_sector_size), 512, 1u << 30},
    {"readonly", offsetof(struct mock_offer, readonly), 0, 1},
    {"removable", offsetof(struct mock_offer, removable), 0, 1},
    {"cdrom", offsetof(struct mock_offer, cdrom), 0, 1},
    {"trusted", offsetof(struct mock_offer, trusted), 0, 1},
    {"mtu", offsetof(struct mock_offer, mtu), 68, 65535},
    {"grants", offsetof(struct mock_offer, grants), 9, 1u << 20},
    {"restart", offsetof(struct mock_offer, restart), 1, UINT32_MAX - 1},
    {"changes", offsetof(struct mock_offer, changes), 0, UINT32_MAX - 1},
    {"nics", offsetof(struct mock_offer, nics), 0, 1000},
    {"attach", offsetof(struct mock_offer, attach), 0, 1000000000},
    {"detach", offsetof(struct mock_offer, detach), 0, 1000000000},
    {"vanish", offsetof(struct mock_offer, vanish), 1, UINT32_MAX - 1},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static bool take_units(struct mock_offer *offer, const char *value)
{
    const char *choices[XENPV_UNITS_COUNT + 1] = {NULL};
    int choice;

    for (uint32_t i = 0; i < XENPV_UNITS_COUNT; i++)
        choices[i] = xenpv_blk_units_name(i);
    choice = options_choose(OPTION " units", value, choices);
    offer->units = (uint32_t)choice;
    return choice >= 0;
}

static bool take_serial(struct mock_offer *offer, const char *value)
{
    if (value[0] && strlen(value) < sizeof(offer->serial)) {
        memcpy(offer->serial, value, strlen(value) + 1);
        return true;
    }
    complain(STATUS_USAGE, OPTION " serial: it has 1 to %u characters",
             (unsigned)sizeof(offer->serial) - 1);
    return false;
}

static bool take_message(struct mock_offer *offer, const char *text)
{
    char key[MESSAGE_KEY_MAX + 2];
    const char *end = strchr(text, '=');

    snprintf(key, sizeof(key), "%.*s", end ? (int)(end - text) : 0, text);
    if (!message_key_is_good(key) || strlen(text) >= sizeof(offer->message)) {
        complain(STATUS_USAGE, OPTION " message: '%s' is no KEY=VALUE", text);
        return false;
    }
    snprintf(offer->message, sizeof(offer->message), "%s", text);
    return true;
}

static bool take_number(struct mock_offer *offer, const char *key, const char *value, size_t field,
                        uint64_t least, uint64_t most)
{
    char name[64];
    uint64_t number;

    snprintf(name, sizeof(name), OPTION " %.40s", key); /* no key is longer */
    if (!number_parse(name, value, false, least, most, &number))
        return false;
    *(uint32_t *)(void *)((char *)offer + field) = (uint32_t)number;
    return true;
}

static bool take_pair(struct mock_offer *offer, const char *key, const char *value)
{
    if (strcmp(key, "units") == 0)
        return take_units(offer, value);
    if (strcmp(key, "serial") == 0)
        return take_serial(offer, value);
    if (strcmp(key, "message") == 0)
        return take_message(offer, value);
    for (size_t i = 0; i < KEYS; i++)
        if (strcmp(key, keys[i].key) == 0)
            return take_number(offer, key, value, keys[i].field, keys[i].least, keys[i].most);
    for (uint32_t bit = 0; bit < XENPV_NET_FEATURES; bit++)
        if (strcmp(key, xenpv_net_feature_name(bit)) == 0)
            return take_number(offer, key, value,
                               offsetof(struct mock_offer, net) + bit * sizeof(uint32_t), 0, 1);
    complain(STATUS_USAGE, OPTION ": there is no key '%s'; the manual lists them", key);
    return false;
}

static bool take_list(struct mock_offer *offer, const char *list)
{
    char text[1024], *at = text;

    if (strlen(list) >= sizeof(text)) {
        complain(STATUS_USAGE, OPTION ": it is too long");
        return false;
    }
    memcpy(text, list, strlen(list) + 1);
    while (at) {
        char *key = at, *value = strchr(at, '=');

        at = strchr(at, ',');
        if (at)
            *at++ = '\0';
        if (!value || (at && value >= at)) {
            complain(STATUS_USAGE, OPTION ": '%s' has no value: give KEY=VALUE", key);
            return false;
        }
        *value++ = '\0';
        if (!take_pair(offer, key, value))
            return false;
    }
    return true;
}

bool mock_offer_parse(const struct options *options, struct mock_offer *offer)
{
    memset(offer, 0xff, sizeof(*offer));
    offer->grants = offer->nics = offer->changes = 0;
    offer->serial[0] = offer->message[0] = '\0';
    for (unsigned i = 0; i < options->mock_backend_count; i++)
        if (!take_list(offer, options->mock_backend[i]))
            return false;
    return true;
}

static void set_flag(bool *flag, uint32_t wanted)
{
    if (wanted != OFFER_UNSET)
        *flag = wanted;
}

static void set_number(uint32_t *number, uint32_t wanted)
{
    if (wanted != OFFER_UNSET)
        *number = wanted;
}

void mock_offer_set_disk(const struct mock_offer *offer, struct xenpv_disk *disk)
{
    if (offer->flush == 0)
        disk->flush = NULL;
    if (offer->discard == 0)
        disk->discard = NULL;
    set_flag(&disk->barrier, offer->barrier);
    set_flag(&disk->discard_secure, offer->secure_discard);
    set_flag(&disk->readonly, offer->readonly == 1 ? 1 : OFFER_UNSET);
    set_flag(&disk->removable, offer->removable);
    set_flag(&disk->cdrom, offer->cdrom);
    set_number(&disk->sector_size, offer->sector_size);
    set_number(&disk->physical_sector_size, offer->physical_sector_size);
    set_number(&disk->discard_granularity, offer->granularity);
    set_number(&disk->discard_alignment, offer->alignment);
}

void mock_offer_set_config(const struct mock_offer *offer, struct xenpv_blkback_config *config)
{
    uint32_t units = config->units;

    set_number(&config->queues, offer->queues);
    set_number(&config->ring_order, offer->ring_order);
    set_number(&config->segments, offer->segments);
    set_number(&config->persistent, offer->persistent);
    set_number(&units, offer->units);
    config->units = (enum xenpv_blk_units)units;
}

void mock_offer_set_net(const struct mock_offer *offer, struct xenpv_netback_config *config)
{
    set_number(&config->queues, offer->queues);
    for (uint32_t bit = 0; bit < XENPV_NET_FEATURES; bit++)
        if (offer->net[bit] == 0)
            config->without |= 1u << bit;
}
