/* SPDX-License-Identifier: MIT */
#include "text.h"

void mock_text_start(struct text *text, char *buffer, size_t bytes)
{
    *text = (struct text){.at = buffer, .end = buffer + bytes - 1};
    *buffer = '\0';
}

void mock_text_add(struct text *text, const char *more)
{
    while (*more != '\0' && text->at < text->end)
        *text->at++ = *more++;
    *text->at = '\0';
    text->cut = text->cut || *more != '\0';
}

void mock_text_add_number(struct text *text, uint32_t number)
{
    char digits[11];
    char *first = digits + sizeof(digits) - 1;

    *first = '\0';
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    mock_text_add(text, first);
}
