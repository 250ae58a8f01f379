/* SPDX-License-Identifier: MIT */
/* Puts short texts together without stdio. */
#ifndef MOCK_TEXT_H
#define MOCK_TEXT_H

#include <xenpv/env.h>

struct text {
    char *at;
    char *end; /* where the last NUL may be */
    bool cut;  /* something did not fit */
};

/* The text is NUL-terminated from here on. */
void mock_text_start(struct text *text, char *buffer, size_t bytes);
void mock_text_add(struct text *text, const char *more);
void mock_text_add_number(struct text *text, uint32_t number);

#endif
