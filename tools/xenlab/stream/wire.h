/* SPDX-License-Identifier: MIT */
/*
 * What travels between a client (host, or dom0 when it drives a guest) and an agent (dom0 or domU).
 *
 * A frame is an 8-byte header and a payload; numbers are little-endian:
 *
 *     u32 length of the payload | u16 type | u16 stream (0 stdin, 1 stdout, 2 stderr)
 *
 * The agent says HELLO once per connection. The client then sends one EXEC after another, each
 * after the EXIT of the one before. Between EXEC and EXIT the three streams flow. The receiver of a
 * stream grants room for it (CREDIT) before a byte is sent, so neither side ever stops reading
 * frames and a slow or absent reader of one stream holds up nothing else.
 */
#ifndef XENLAB_WIRE_H
#define XENLAB_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum frame_type {
    FRAME_HELLO = 1, /* agent: ready; no payload */
    FRAME_EXEC,      /* client: u32 tty (0 or 1), u16 rows, u16 columns, then NUL-ended strings:
                        the value of TERM, and the argument vector */
    FRAME_EXIT,      /* agent: u32 status as a shell would see it; last frame of a command */
    FRAME_DATA,      /* bytes of a stream, at most the credit that is left */
    FRAME_END,       /* no more bytes will come on this stream */
    FRAME_CREDIT,    /* u32: room for that many more bytes; each stream starts with WINDOW */
    FRAME_STOP,      /* the reader of this stream is gone */
    FRAME_SIGNAL,    /* client: u32 signal number for the command's process group */
    FRAME_RESIZE,    /* client: u16 rows, u16 columns */
};

enum {
    FRAME_HEADER = 8,
    FRAME_MAX = 4 << 20, /* an argument vector is at most 2 MiB on Linux */
    DATA_MAX = 32 << 10,
    WINDOW = 256 << 10,
    STREAMS = 3,
};

struct frame {
    uint16_t type;
    uint16_t stream;
    uint32_t length;
    const uint8_t *payload;
};

/* A byte queue that grows: append at the tail, take from the head. */
struct bytes {
    uint8_t *base;
    size_t head, tail, room;
};

size_t bytes_length(const struct bytes *b);
/* Make room for n more bytes and return where they go; bytes_added() then says how many came. */
uint8_t *bytes_reserve(struct bytes *b, size_t n);
void bytes_added(struct bytes *b, size_t n);
void bytes_append(struct bytes *b, const void *data, size_t n);
void bytes_taken(struct bytes *b, size_t n);
void bytes_free(struct bytes *b);

uint16_t get16(const uint8_t *p);
uint32_t get32(const uint8_t *p);
void append16(struct bytes *b, uint16_t value);
void append32(struct bytes *b, uint32_t value);

void frame_append(struct bytes *out, enum frame_type type, unsigned stream, const void *payload,
                  size_t length);
void frame_append32(struct bytes *out, enum frame_type type, unsigned stream, uint32_t value);

/* The frame at the head of the queue: 1 when whole, 0 when more bytes are needed, -1 when it is
 * not a frame. The payload points into the queue; take FRAME_HEADER + length bytes when done. */
int frame_peek(const struct bytes *in, struct frame *frame);

#endif
