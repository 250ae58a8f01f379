/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <string.h>

#include <xenpv/net.h>

static bool owns(const struct host *host, const struct ip *ip)
{
    for (unsigned i = 0; i < host->count; i++)
        if (ip_same(&host->addresses[i], ip))
            return true;
    return false;
}

uint32_t host_answer(const struct host *host, const struct packet *packet, uint8_t *answer)
{
    struct packet_end own = {.ip = packet->to}, other = {.ip = packet->from};

    if (!owns(host, &packet->to))
        return 0;
    memcpy(own.mac, host->mac, 6);
    memcpy(other.mac, packet->source, 6);
    if (packet->kind == PACKET_WHO)
        return packet_here(answer, &own, packet);
    /* An echo goes back to one host, or to nobody: RFC 1122, 3.2.2.6. */
    if (packet->kind != PACKET_ECHO || !ip_is_unicast(&packet->from) ||
        memcmp(packet->destination, host->mac, 6) != 0)
        return 0;
    return packet_echo(answer, PACKET_REPLY, &own, &other, packet->id, packet->sequence,
                       packet->payload, packet->bytes);
}

uint32_t host_announce(const struct host *host, unsigned address, uint8_t *frame)
{
    const struct ip *ip = &host->addresses[address];

    return ip->v6 ? xenpv_net_announce_ipv6(frame, host->mac, ip->bytes)
                  : xenpv_net_announce_ipv4(frame, host->mac, ip->bytes);
}
