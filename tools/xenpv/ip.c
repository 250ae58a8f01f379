/* SPDX-License-Identifier: MIT */
#include "ip.h"

#include <stdio.h>
#include <string.h>

#define WORDS 8u

/* -------------------------------------------------------------------------------------- texts -- */

/* Up to `digits` digits, no zero before others; moves on. */
static bool take_decimal(const char **text, unsigned digits, unsigned most, unsigned *number)
{
    const char *at = *text;

    for (*number = 0; *at >= '0' && *at <= '9'; at++)
        if (at - *text == (int)digits || (at > *text && **text == '0'))
            return false;
        else
            *number = *number * 10 + (unsigned)(*at - '0');
    if (at == *text || *number > most)
        return false;
    *text = at;
    return true;
}

static bool parse_v4(const char *text, struct ip *ip)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned number;

        if (!take_decimal(&text, 3, 255, &number) || *text != (i < 3 ? '.' : '\0'))
            return false;
        ip->bytes[i] = (uint8_t)number;
        text++;
    }
    return true;
}

static bool take_word(const char **text, uint16_t *word)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    unsigned count = 0;
    const char *digit;

    for (*word = 0; **text && (digit = strchr(digits, **text)); ++*text, count++)
        *word = (uint16_t)(*word << 4 | ((digit - digits) & 15));
    return count >= 1 && count <= 4;
}

/* Words up to the end or to "::"; how many, or -1. */
static int take_words(const char **text, uint16_t words[WORDS])
{
    unsigned count = 0;

    if (**text == '\0' || strncmp(*text, "::", 2) == 0)
        return 0;
    for (;;) {
        if (count == WORDS || !take_word(text, &words[count]))
            return -1;
        count++;
        if (**text == '\0' || strncmp(*text, "::", 2) == 0)
            return (int)count;
        if (*(*text)++ != ':')
            return -1;
    }
}

static bool parse_v6(const char *text, struct ip *ip)
{
    uint16_t before[WORDS], behind[WORDS];
    int first = take_words(&text, before), last = 0;
    bool gap = first >= 0 && *text == ':';

    if (gap) {
        text += strlen("::");
        last = take_words(&text, behind);
    }
    /* A gap stands for one word at the least. */
    if (first < 0 || last < 0 || *text || (gap ? first + last >= (int)WORDS : first != (int)WORDS))
        return false;
    for (int i = 0; i < first; i++) {
        ip->bytes[2 * i] = (uint8_t)(before[i] >> 8);
        ip->bytes[2 * i + 1] = (uint8_t)before[i];
    }
    for (int i = 0; i < last; i++) {
        int at = (int)WORDS - last + i;

        ip->bytes[2 * at] = (uint8_t)(behind[i] >> 8);
        ip->bytes[2 * at + 1] = (uint8_t)behind[i];
    }
    return true;
}

bool ip_parse(const char *text, struct ip *ip)
{
    *ip = (struct ip){.v6 = strchr(text, ':') != NULL};
    return ip->v6 ? parse_v6(text, ip) : parse_v4(text, ip);
}

bool ip_parse_prefix(const char *text, struct ip *ip, unsigned *prefix)
{
    const char *slash = strchr(text, '/');
    char address[IP_TEXT_MAX];

    if (!slash || (size_t)(slash - text) >= sizeof(address))
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    slash++;
    return ip_parse(address, ip) && take_decimal(&slash, 3, ip->v6 ? 128 : 32, prefix) && !*slash;
}

/* The longest stretch of two zero words or more; the first of those. */
static void find_gap(const uint16_t words[WORDS], unsigned *first, unsigned *length)
{
    *first = WORDS;
    *length = 1;
    for (unsigned i = 0; i < WORDS; i++) {
        unsigned end = i;

        while (end < WORDS && words[end] == 0)
            end++;
        if (end - i > *length) {
            *first = i;
            *length = end - i;
        }
    }
}

static void text_v6(const struct ip *ip, char text[IP_TEXT_MAX])
{
    uint16_t words[WORDS];
    unsigned first, length;
    size_t used = 0;

    for (unsigned i = 0; i < WORDS; i++)
        words[i] = (uint16_t)(ip->bytes[2 * i] << 8 | ip->bytes[2 * i + 1]);
    find_gap(words, &first, &length);
    text[0] = '\0';
    for (unsigned i = 0; i < WORDS; i++) {
        if (i == first)
            used += (size_t)snprintf(text + used, IP_TEXT_MAX - used, "::");
        if (i >= first && i < first + length)
            continue;
        used += (size_t)snprintf(text + used, IP_TEXT_MAX - used, "%s%x",
                                 used && text[used - 1] != ':' ? ":" : "", words[i]);
    }
}

void ip_text(const struct ip *ip, char text[IP_TEXT_MAX])
{
    const uint8_t *bytes = ip->bytes;

    if (ip->v6)
        text_v6(ip, text);
    else
        snprintf(text, IP_TEXT_MAX, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
}

void mac_text(const uint8_t mac[6], char text[MAC_TEXT_MAX])
{
    snprintf(text, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
}

/* --------------------------------------------------------------------------------- comparison -- */

bool ip_same(const struct ip *a, const struct ip *b)
{
    return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ip_is_zero(const struct ip *ip)
{
    static const uint8_t zero[16];

    return memcmp(ip->bytes, zero, sizeof(zero)) == 0;
}

bool ip_is_unicast(const struct ip *ip)
{
    return !ip_is_zero(ip) && (ip->v6 ? ip->bytes[0] != 0xff : ip->bytes[0] < 224);
}

bool ip_share_prefix(const struct ip *a, const struct ip *b, unsigned prefix)
{
    unsigned bytes = prefix / 8, bits = prefix % 8;

    return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, bytes) == 0 &&
           (bits == 0 || ((a->bytes[bytes] ^ b->bytes[bytes]) >> (8 - bits)) == 0);
}
