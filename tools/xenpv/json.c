/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static unsigned depth;
static bool one_line;
static bool followed; /* something stands before this in the same object or array */

static void put_bytes(const char *bytes, size_t length)
{
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < ' ' || c >= 0x7f)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

/* What stands before a value. */
static void begin(const char *key)
{
    if (followed)
        printf(one_line ? ", " : ",");
    if (depth && !one_line)
        printf("\n%*s", (int)(2 * depth), "");
    followed = true;
    if (key) {
        put_bytes(key, strlen(key));
        printf(": ");
    }
}

void json_lines(void)
{
    one_line = true;
}

void json_open(const char *key, char bracket)
{
    begin(key);
    putchar(bracket);
    depth++;
    followed = false;
}

void json_close(char bracket)
{
    depth--;
    if (followed && !one_line)
        printf("\n%*s", (int)(2 * depth), "");
    putchar(bracket);
    followed = true;
    if (depth == 0) {
        putchar('\n');
        followed = false;
    }
}

void json_bytes(const char *key, const char *bytes, size_t length)
{
    begin(key);
    put_bytes(bytes, length);
}

void json_text(const char *key, const char *text)
{
    json_bytes(key, text, strlen(text));
}

void json_number(const char *key, uint64_t number)
{
    begin(key);
    printf("%" PRIu64, number);
}

void json_decimal(const char *key, double number, int digits)
{
    begin(key);
    if (number - number == 0)
        printf("%.*f", digits, number);
    else
        printf("null");
}

void json_seconds(const char *key, uint64_t ms)
{
    begin(key);
    printf("%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
}

void json_bool(const char *key, bool value)
{
    begin(key);
    printf("%s", value ? "true" : "false");
}

void json_null(const char *key)
{
    begin(key);
    printf("null");
}
