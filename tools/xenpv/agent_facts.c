/* SPDX-License-Identifier: MIT */
#include "agent_facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xenpv/abi/blkif.h>
#include <xenpv/keys.h>

#include "store.h"

/* A row to fill, or NULL; it counts once it has a name. */
static struct xenpv_agent_key *next(struct agent_facts *facts)
{
    if (facts->count == AGENT_FACTS_MAX) {
        facts->left_out++;
        return NULL;
    }
    facts->keys[facts->count] = (struct xenpv_agent_key){.name = ""};
    return &facts->keys[facts->count];
}

/* ----------------------------------------------------------------------------------- devices -- */

/* The name of a disk, the address of a network card: what a person knows a device by. */
static void describe(struct machine *machine, const char *class_name, const char *id, char *value)
{
    char path[96], *mac;
    uint64_t number;
    uint32_t length;

    value[0] = '\0';
    if (strcmp(class_name, "vbd") == 0 && xenpv_parse_number(id, (uint32_t)strlen(id), &number) &&
        number <= UINT32_MAX) {
        xenpv_vbd_name((uint32_t)number, value);
    } else if (strcmp(class_name, "vif") == 0) {
        snprintf(path, sizeof(path), "device/vif/%.32s/mac", id);
        if (store_get(machine, XENPV_STORE_READ, path, &mac, &length) == 0) {
            xenpv_printable(value, XENPV_AGENT_VALUE, mac, length);
            free(mac);
        }
    }
}

static void add_device(struct machine *machine, struct agent_facts *facts, const char *class_name,
                       const char *id)
{
    struct xenpv_agent_key *key = next(facts);
    int length;

    if (!key)
        return;
    length = snprintf(key->name, sizeof(key->name), "data/xenpv/device/%s/%s", class_name, id);
    if (length < 0 || (size_t)length >= sizeof(key->name))
        return;
    describe(machine, class_name, id, key->value);
    facts->count++;
}

static void add_class(struct machine *machine, struct agent_facts *facts, const char *class_name)
{
    char path[64], *ids;
    uint32_t length;

    snprintf(path, sizeof(path), "device/%.48s", class_name);
    if (store_get(machine, XENPV_STORE_LIST, path, &ids, &length))
        return;
    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(ids + at) + 1)
        add_device(machine, facts, class_name, ids + at);
    free(ids);
}

/* device/suspend is no device: libxl keeps an event channel there. */
static void add_devices(struct machine *machine, struct agent_facts *facts)
{
    char *classes;
    uint32_t length;

    if (store_get(machine, XENPV_STORE_LIST, "device", &classes, &length))
        return;
    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(classes + at) + 1)
        if (strcmp(classes + at, "suspend") != 0)
            add_class(machine, facts, classes + at);
    free(classes);
}

/* --------------------------------------------------------------------------------- addresses -- */

#ifdef __linux__
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netpacket/packet.h>
#include <sys/socket.h>
#include <unistd.h>

/* The network card that an interface is, of the kernel's own frontend. What stands behind a colon
 * is the label of an address. */
static bool vif_of(const char *interface, uint32_t *vif)
{
    char path[96], target[256];
    const char *name;
    uint64_t number;
    ssize_t got;

    snprintf(path, sizeof(path), "/sys/class/net/%.*s/device", (int)strcspn(interface, ":"),
             interface);
    got = readlink(path, target, sizeof(target) - 1);
    if (got < 0)
        return false;
    target[got] = '\0';
    name = strrchr(target, '/');
    name = name ? name + 1 : target;
    if (strncmp(name, "vif-", 4) != 0 ||
        !xenpv_parse_number(name + 4, (uint32_t)strlen(name + 4), &number) || number > UINT32_MAX)
        return false;
    *vif = (uint32_t)number;
    return true;
}

static void add_mac(struct xenpv_agent_key *key, uint32_t vif, const uint8_t *mac)
{
    snprintf(key->name, sizeof(key->name), "attr/vif/%" PRIu32 "/mac/0", vif);
    snprintf(key->value, sizeof(key->value), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
             mac[2], mac[3], mac[4], mac[5]);
}

static uint32_t addresses_of(const struct agent_facts *facts, uint32_t vif, const char *family)
{
    char prefix[XENPV_AGENT_NAME];
    uint32_t count = 0;

    snprintf(prefix, sizeof(prefix), "attr/vif/%" PRIu32 "/%s/", vif, family);
    for (uint32_t i = 0; i < facts->count; i++)
        count += strncmp(facts->keys[i].name, prefix, strlen(prefix)) == 0;
    return count;
}

static void add_address(struct agent_facts *facts, uint32_t vif, const struct sockaddr *address)
{
    struct xenpv_agent_key *key = next(facts);

    if (!key)
        return;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof(in));
        xenpv_agent_address_key(key, vif, addresses_of(facts, vif, "ipv4"),
                                (const uint8_t *)&in.sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof(in6));
        xenpv_agent_address_key(key, vif, addresses_of(facts, vif, "ipv6"), in6.sin6_addr.s6_addr,
                                16);
    } else if (address->sa_family == AF_PACKET) {
        struct sockaddr_ll link;

        memcpy(&link, address, sizeof(link));
        add_mac(key, vif, link.sll_addr);
    }
    facts->count += key->name[0] != '\0';
}

/* AF_PACKET gives each interface once. */
static void add_name(struct agent_facts *facts, uint32_t vif, const char *interface)
{
    struct xenpv_agent_key *key = next(facts);

    if (!key)
        return;
    snprintf(key->name, sizeof(key->name), "attr/vif/%" PRIu32 "/name", vif);
    snprintf(key->value, sizeof(key->value), "%s", interface);
    facts->count++;
}

static void add_addresses(struct agent_facts *facts)
{
    struct ifaddrs *all;
    uint32_t vif;

    if (getifaddrs(&all))
        return;
    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        if (!one->ifa_addr || !vif_of(one->ifa_name, &vif))
            continue;
        if (one->ifa_addr->sa_family == AF_PACKET)
            add_name(facts, vif, one->ifa_name);
        add_address(facts, vif, one->ifa_addr);
    }
    freeifaddrs(all);
}

xenpv_handle agent_facts_open(const struct options *options)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                  .nl_groups =
                                      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd;

    if (options->port == PORT_MOCK)
        return XENPV_NO_HANDLE;
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* An overrun is a change, too: what was lost does not matter, for all is collected anew. */
bool agent_facts_moved(xenpv_handle handle)
{
    char message[4096];
    bool moved = false;

    for (unsigned i = 0; i < 1000 && handle != XENPV_NO_HANDLE; i++) {
        ssize_t got = recv((int)handle, message, sizeof(message), 0);

        if (got < 0 && errno != ENOBUFS)
            break;
        moved = true;
    }
    return moved;
}

void agent_facts_close(xenpv_handle handle)
{
    if (handle != XENPV_NO_HANDLE)
        close((int)handle);
}

#else

static void add_addresses(struct agent_facts *facts)
{
    (void)facts;
}

xenpv_handle agent_facts_open(const struct options *options)
{
    (void)options;
    return XENPV_NO_HANDLE;
}

bool agent_facts_moved(xenpv_handle handle)
{
    (void)handle;
    return false;
}

void agent_facts_close(xenpv_handle handle)
{
    (void)handle;
}

#endif

void agent_facts_collect(struct machine *machine, struct agent_facts *facts)
{
    facts->count = XENPV_AGENT_VERSION_KEYS;
    facts->left_out = 0;
    xenpv_agent_version_keys(facts->keys);
    /* The interfaces of the machine that a mock runs on are no cards of its guest's. */
    if (machine->options->port != PORT_MOCK)
        add_addresses(facts);
    add_devices(machine, facts);
}
