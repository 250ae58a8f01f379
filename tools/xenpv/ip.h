/* SPDX-License-Identifier: MIT */
/* Addresses of IPv4 and IPv6, as text and as bytes. */
#ifndef XENPV_IP_H
#define XENPV_IP_H

#include <stdbool.h>
#include <stdint.h>

struct ip {
    bool v6;
    uint8_t bytes[16]; /* four of IPv4, the rest zero */
};

#define IP_TEXT_MAX 40u

/* "10.77.0.1", "fd77::1"; false for anything else. No zone, no IPv4 inside of IPv6. */
bool ip_parse(const char *text, struct ip *ip);
/* The same with "/24" behind it. */
bool ip_parse_prefix(const char *text, struct ip *ip, unsigned *prefix);
/* As RFC 5952 writes them. */
void ip_text(const struct ip *ip, char text[IP_TEXT_MAX]);

bool ip_same(const struct ip *a, const struct ip *b);
bool ip_is_zero(const struct ip *ip);
/* One host's address, not that of a group, of all, or of nobody. */
bool ip_is_unicast(const struct ip *ip);
/* Their first `prefix` bits are the same. */
bool ip_share_prefix(const struct ip *a, const struct ip *b, unsigned prefix);

#define MAC_TEXT_MAX 18u
void mac_text(const uint8_t mac[6], char text[MAC_TEXT_MAX]);

#endif
