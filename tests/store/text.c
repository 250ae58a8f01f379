/* SPDX-License-Identifier: MIT */
/* The notation of suite.h. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct text *text, const char *bytes, size_t count)
{
    if (count > TEXT_MAX - text->length) {
        fprintf(stderr, "a text is longer than %u bytes\n", TEXT_MAX);
        abort();
    }
    memcpy(text->bytes + text->length, bytes, count);
    text->length += count;
}

static void add_number(struct text *text, unsigned number)
{
    char digits[16];

    add(text, digits, (size_t)snprintf(digits, sizeof(digits), "%u", number));
}

static const char *add_braced(struct text *text, const struct world *world, const char *notation);

static void add_notation(struct text *text, const struct world *world, const char *notation,
                         unsigned index)
{
    char byte;

    while (*notation != '\0') {
        char c = *notation++;

        switch (c) {
        case '|':
            add(text, "", 1);
            break;
        case '$':
            add(text, "/local/domain/", 14);
            add_number(text, world->domid);
            add(text, "/data/s", 7);
            break;
        case '~':
            add(text, "data/s", 6);
            break;
        case '%':
            add_number(text, world->domid);
            break;
        case '<':
            byte = (char)strtoul(notation, NULL, 16);
            add(text, &byte, 1);
            notation = strchr(notation, '>') + 1;
            break;
        case '{':
            notation = add_braced(text, world, notation);
            break;
        default:
            if (c == '#' && index != NO_INDEX)
                add_number(text, index);
            else
                add(text, &c, 1);
            break;
        }
    }
}

/* {x*20}, {x^2048} or {0..9}; answers what follows it. */
static const char *add_braced(struct text *text, const struct world *world, const char *notation)
{
    const char *end = strchr(notation, '}');
    size_t span = strcspn(notation, "*^.");
    unsigned long number = strtoul(notation + span + (notation[span] == '.' ? 2 : 1), NULL, 10);
    char inner[64];

    memcpy(inner, notation, span);
    inner[span] = '\0';
    switch (notation[span]) {
    case '*':
        for (unsigned long i = 0; i < number; i++)
            add_notation(text, world, inner, NO_INDEX);
        break;
    case '^':
        while (text->length < number)
            add(text, inner, 1);
        break;
    default:
        for (unsigned long i = strtoul(inner, NULL, 10); i <= number; i++) {
            add_number(text, (unsigned)i);
            add(text, "", 1);
        }
        break;
    }
    return end + 1;
}

void expand(struct text *text, const struct world *world, const char *notation, unsigned index)
{
    text->length = 0;
    add_notation(text, world, notation, index);
}

bool text_fits(const struct text *wanted, const char *bytes, size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < wanted->length; i++) {
        if (wanted->bytes[i] == '#') {
            size_t start = at;

            while (at < count && bytes[at] >= '0' && bytes[at] <= '9')
                at++;
            if (at == start)
                return false;
        } else if (at == count || bytes[at++] != wanted->bytes[i]) {
            return false;
        }
    }
    return at == count;
}

static int compare(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
}

/* The strings of a list, sorted; how many, or -1: the last has no NUL, or they are too many. */
static long sorted(const char *bytes, size_t count, const char **strings, size_t room)
{
    size_t found = 0;

    if (count > 0 && bytes[count - 1] != '\0')
        return -1;
    for (size_t at = 0; at < count; at += strlen(bytes + at) + 1) {
        if (found == room)
            return -1;
        strings[found++] = bytes + at;
    }
    qsort(strings, found, sizeof(*strings), compare);
    return (long)found;
}

bool same_strings(const struct text *wanted, const char *bytes, size_t count)
{
    static const char *left[4096], *right[4096];
    long expected = sorted(wanted->bytes, wanted->length, left, COUNT(left));

    if (expected < 0 || sorted(bytes, count, right, COUNT(right)) != expected)
        return false;
    for (long i = 0; i < expected; i++) {
        if (strcmp(left[i], right[i]) != 0)
            return false;
    }
    return true;
}

const char *printable(const char *bytes, size_t count, char *out, size_t room)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (at + 8 > room) {
            memcpy(out + at - 3, "...", 3);
            break;
        }
        if (c == 0)
            out[at++] = '|';
        else if (c >= ' ' && c < 0x7f)
            out[at++] = (char)c;
        else
            at += (size_t)snprintf(out + at, 5, "<%02x>", c);
    }
    out[at] = '\0';
    return out;
}
