/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "util.h"

#include <stdlib.h>
#include <string.h>

size_t bytes_length(const struct bytes *b)
{
    return b->tail - b->head;
}

uint8_t *bytes_reserve(struct bytes *b, size_t n)
{
    size_t length = bytes_length(b);

    if (b->room - b->tail >= n)
        return b->base + b->tail;
    if (length > 0)
        memmove(b->base, b->base + b->head, length);
    b->head = 0;
    b->tail = length;
    if (b->room - b->tail < n) {
        size_t room = (length + n) * 2;
        uint8_t *base = realloc(b->base, room);

        if (base == NULL)
            die("out of memory for %zu bytes", room);
        b->base = base;
        b->room = room;
    }
    return b->base + b->tail;
}

void bytes_added(struct bytes *b, size_t n)
{
    b->tail += n;
}

void bytes_append(struct bytes *b, const void *data, size_t n)
{
    if (n == 0)
        return;
    memcpy(bytes_reserve(b, n), data, n);
    b->tail += n;
}

void bytes_taken(struct bytes *b, size_t n)
{
    b->head += n;
    if (b->head == b->tail)
        b->head = b->tail = 0;
}

void bytes_free(struct bytes *b)
{
    free(b->base);
    *b = (struct bytes){0};
}

uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

void append16(struct bytes *b, uint16_t value)
{
    uint8_t raw[2] = {(uint8_t)value, (uint8_t)(value >> 8)};

    bytes_append(b, raw, sizeof(raw));
}

void append32(struct bytes *b, uint32_t value)
{
    append16(b, (uint16_t)value);
    append16(b, (uint16_t)(value >> 16));
}

void frame_append(struct bytes *out, enum frame_type type, unsigned stream, const void *payload,
                  size_t length)
{
    append32(out, (uint32_t)length);
    append16(out, (uint16_t)type);
    append16(out, (uint16_t)stream);
    bytes_append(out, payload, length);
}

void frame_append32(struct bytes *out, enum frame_type type, unsigned stream, uint32_t value)
{
    append32(out, sizeof(value));
    append16(out, (uint16_t)type);
    append16(out, (uint16_t)stream);
    append32(out, value);
}

int frame_peek(const struct bytes *in, struct frame *frame)
{
    const uint8_t *p = in->base + in->head;

    if (bytes_length(in) < FRAME_HEADER)
        return 0;
    frame->length = get32(p);
    frame->type = get16(p + 4);
    frame->stream = get16(p + 6);
    frame->payload = p + FRAME_HEADER;
    if (frame->length > FRAME_MAX || frame->stream >= STREAMS)
        return -1;
    return bytes_length(in) - FRAME_HEADER >= frame->length;
}
