/* SPDX-License-Identifier: MIT */
/* The texts of keys that say what the guest is and has. */
#include <xenpv/agent.h>
#include <xenpv/error.h>
#include <xenpv/keys.h>

/* Texts of this file are all shorter than their buffers. */
static char *add(char *to, const char *text)
{
    while (*text)
        *to++ = *text++;
    *to = '\0';
    return to;
}

static char *add_number(char *to, uint32_t number)
{
    char digits[21];

    xenpv_format_number(number, digits);
    return add(to, digits);
}

static char *add_hex(char *to, uint32_t number)
{
    static const char digits[] = "0123456789abcdef";
    bool begun = false;

    for (int shift = 12; shift >= 0; shift -= 4) {
        uint32_t digit = number >> shift & 15;

        begun |= digit != 0 || shift == 0;
        if (begun)
            *to++ = digits[digit];
    }
    *to = '\0';
    return to;
}

/* ----------------------------------------------------------------------------------- version -- */

static const char *add_until_dot(char *to, const char *text)
{
    while (*text && *text != '.')
        *to++ = *text++;
    *to = '\0';
    return *text ? text + 1 : text;
}

void xenpv_agent_version_keys(struct xenpv_agent_key keys[XENPV_AGENT_VERSION_KEYS])
{
    static const char *const parts[] = {"MajorVersion", "MinorVersion", "MicroVersion"};
    const char *version = xenpv_version();

    for (uint32_t i = 0; i < 3; i++) {
        add(add(keys[i].name, "attr/PVAddons/"), parts[i]);
        version = add_until_dot(keys[i].value, version);
    }
    add(keys[3].name, "attr/PVAddons/Installed");
    add(keys[3].value, "1");
}

/* --------------------------------------------------------------------------------- addresses -- */

static void write_ipv4(char *to, const uint8_t *address)
{
    for (uint32_t i = 0; i < 4; i++) {
        if (i > 0)
            to = add(to, ".");
        to = add_number(to, address[i]);
    }
}

static uint32_t group(const uint8_t *address, uint32_t index)
{
    return (uint32_t)address[2 * index] << 8 | address[2 * index + 1];
}

static uint32_t zeroes_from(const uint8_t *address, uint32_t index)
{
    uint32_t end = index;

    while (end < 8 && group(address, end) == 0)
        end++;
    return end - index;
}

/* As RFC 5952 wants it: the first longest run of two zeroes or more is "::". */
static void write_ipv6(char *to, const uint8_t *address)
{
    uint32_t start = 8, length = 1;

    for (uint32_t i = 0; i < 8; i++) {
        if (zeroes_from(address, i) > length) {
            start = i;
            length = zeroes_from(address, i);
        }
    }
    for (uint32_t i = 0; i < 8; i++) {
        if (i == start) {
            to = add(to, "::");
            i += length - 1;
            continue;
        }
        if (i > 0 && i != start + length)
            to = add(to, ":");
        to = add_hex(to, group(address, i));
    }
}

int xenpv_agent_address_key(struct xenpv_agent_key *key, uint32_t vif, uint32_t index,
                            const uint8_t *address, uint32_t bytes)
{
    char *name = key->name;

    if (bytes != 4 && bytes != 16)
        return XENPV_EINVAL;
    name = add_number(add(name, "attr/vif/"), vif);
    name = add(name, bytes == 4 ? "/ipv4/" : "/ipv6/");
    add_number(name, index);
    if (bytes == 4)
        write_ipv4(key->value, address);
    else
        write_ipv6(key->value, address);
    return XENPV_OK;
}
