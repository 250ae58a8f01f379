/* SPDX-License-Identifier: MIT */
/* Writes JSON documents to standard output, piece by piece. */
#ifndef XENPV_JSON_H
#define XENPV_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on each document stands on a line of its own. */
void json_lines(void);
/* `key` is NULL for an element of an array and for the document itself. `bracket` is { or [. */
void json_open(const char *key, char bracket);
void json_close(char bracket); /* } or ] */
void json_text(const char *key, const char *text);
/* Bytes of any value: each becomes the character of that number, 0 to 255. */
void json_bytes(const char *key, const char *bytes, size_t length);
void json_number(const char *key, uint64_t number);
/* With so many digits behind the point; null for what is no number. */
void json_decimal(const char *key, double number, int digits);
void json_seconds(const char *key, uint64_t ms);
void json_bool(const char *key, bool value);
void json_null(const char *key);

#endif
