/* SPDX-License-Identifier: MIT */
#include "key_name.h"

#include <xenpv/keys.h>

static uint32_t add_text(char name[KEY_NAME], uint32_t at, const char *text)
{
    while (*text && at < KEY_NAME - 1)
        name[at++] = *text++;
    name[at] = '\0';
    return at;
}

static uint32_t add_number(char name[KEY_NAME], uint32_t at, uint32_t number)
{
    char digits[21];

    xenpv_format_number(number, digits);
    return number == KEY_ALONE ? at : add_text(name, at, digits);
}

void key_name(char name[KEY_NAME], uint32_t queue, const char *key, uint32_t page)
{
    uint32_t at = 0;

    if (queue != KEY_ALONE) {
        at = add_number(name, add_text(name, 0, "queue-"), queue);
        at = add_text(name, at, *key ? "/" : "");
    }
    add_number(name, add_text(name, at, key), page);
}
