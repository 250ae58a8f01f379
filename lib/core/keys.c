/* SPDX-License-Identifier: MIT */
#include <xenpv/keys.h>

bool xenpv_parse_number(const char *bytes, uint32_t length, uint64_t *number)
{
    uint64_t sum = 0;

    if (length == 0)
        return false;
    for (uint32_t i = 0; i < length; i++) {
        uint64_t digit = (uint64_t)(unsigned char)bytes[i] - '0';
        if (digit > 9 || sum > UINT64_MAX / 10 || sum * 10 > UINT64_MAX - digit)
            return false;
        sum = sum * 10 + digit;
    }
    *number = sum;
    return true;
}

/* Divides by ten in 16-bit steps, for a 64-bit division is a library call on 32-bit machines. */
static uint64_t divide_by_ten(uint64_t number, uint32_t *remainder)
{
    uint64_t quotient = 0;

    *remainder = 0;
    for (int shift = 48; shift >= 0; shift -= 16) {
        uint32_t part = *remainder << 16 | (uint32_t)(number >> shift & 0xffff);
        quotient = quotient << 16 | part / 10;
        *remainder = part % 10;
    }
    return quotient;
}

uint32_t xenpv_format_number(uint64_t number, char text[21])
{
    char reversed[20];
    uint32_t digits = 0, digit;

    do {
        number = divide_by_ten(number, &digit);
        reversed[digits++] = (char)('0' + digit);
    } while (number);
    for (uint32_t i = 0; i < digits; i++)
        text[i] = reversed[digits - 1 - i];
    text[digits] = '\0';
    return digits;
}

static bool printable(char c)
{
    return c >= ' ' && c <= '~';
}

void xenpv_printable(char *to, uint32_t capacity, const char *bytes, uint32_t length)
{
    uint32_t i = 0;

    for (; i < length && i + 1 < capacity; i++)
        to[i] = printable(bytes[i]) ? bytes[i] : '?';
    to[i] = '\0';
}

static enum xenpv_key_status judge_text(const char *bytes, uint32_t length)
{
    if (length >= XENPV_KEY_TEXT_MAX)
        return XENPV_KEY_JUNK;
    for (uint32_t i = 0; i < length; i++) {
        if (!printable(bytes[i]))
            return XENPV_KEY_JUNK;
    }
    return XENPV_KEY_GOOD;
}

static enum xenpv_key_status judge_number(const struct xenpv_key *key, const char *bytes,
                                          uint32_t length, uint64_t *number)
{
    uint64_t found;

    if (!xenpv_parse_number(bytes, length, &found))
        return XENPV_KEY_JUNK;
    if (found < key->min || found > key->max)
        return XENPV_KEY_OUT_OF_RANGE;
    *number = found;
    return XENPV_KEY_GOOD;
}

void xenpv_key_judge(const struct xenpv_key *key, const char *bytes, uint32_t length,
                     struct xenpv_key_value *value)
{
    bool cut = key->kind == XENPV_KEY_LONG && length > value->capacity;

    xenpv_key_absent(key, value);
    if (cut)
        length = value->capacity;
    xenpv_printable(value->text, sizeof(value->text), bytes, length);
    switch (key->kind) {
    case XENPV_KEY_NUMBER:
        value->status = judge_number(key, bytes, length, &value->number);
        break;
    case XENPV_KEY_TEXT:
        value->status = judge_text(bytes, length);
        break;
    case XENPV_KEY_LONG:
        value->status = cut ? XENPV_KEY_JUNK : XENPV_KEY_GOOD;
        value->length = length;
        break;
    }
}

void xenpv_key_absent(const struct xenpv_key *key, struct xenpv_key_value *value)
{
    value->status = XENPV_KEY_ABSENT;
    value->number = key->fallback;
    value->text[0] = '\0';
    value->length = 0;
}
