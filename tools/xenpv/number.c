/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "complain.h"

static const char powers[] = "KMGT";

/* Adds a digit or multiplies by a power; false: more than `most`. */
static bool grow(uint64_t *number, uint64_t factor, uint64_t digit, uint64_t most)
{
    if (*number > (most - digit) / factor)
        return false;
    *number = *number * factor + digit;
    return true;
}

bool number_parse(const char *name, const char *text, bool suffixes, uint64_t least, uint64_t most,
                  uint64_t *number)
{
    size_t digits = strspn(text, "0123456789");
    const char *rest = text + digits;
    const char *power = suffixes && *rest ? strchr(powers, *rest) : NULL;
    uint64_t factor = power ? UINT64_C(1024) << (10 * (power - powers)) : 1;
    bool fits = true;

    if (digits == 0 || (power ? rest[1] : rest[0])) {
        complain(STATUS_USAGE, "%s: '%s' is no number: give decimal digits%s", name, text,
                 suffixes ? ", and K, M, G or T behind them for powers of 1024" : " only");
        return false;
    }
    *number = 0;
    for (const char *c = text; c < rest; c++)
        fits = fits && grow(number, 10, (uint64_t)(*c - '0'), most);
    if (fits && grow(number, factor, 0, most) && *number >= least)
        return true;
    complain(STATUS_USAGE, "%s: %s is out of range: %" PRIu64 " to %" PRIu64, name, text, least,
             most);
    return false;
}

void size_text(uint64_t bytes, char text[SIZE_TEXT_MAX])
{
    static const char units[] = "KMGTPE";
    unsigned unit = 0;
    uint64_t tenths;

    if (bytes < 1024) {
        snprintf(text, SIZE_TEXT_MAX, "%u bytes", (unsigned)bytes);
        return;
    }
    while (bytes >> (10 * (unit + 2)) && unit + 2 < sizeof(units))
        unit++;
    tenths = (bytes >> (10 * unit)) * 10 / 1024;
    if (tenths % 10)
        snprintf(text, SIZE_TEXT_MAX, "%u.%u %ciB", (unsigned)(tenths / 10),
                 (unsigned)(tenths % 10), units[unit]);
    else
        snprintf(text, SIZE_TEXT_MAX, "%u %ciB", (unsigned)(tenths / 10), units[unit]);
}
