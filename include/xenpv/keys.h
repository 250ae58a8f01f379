/* SPDX-License-Identifier: MIT */
/*
 * The keys of a device directory, as tables: what a key may hold, and what stands for it when it is
 * missing or makes no sense. XenStore values are text written by a peer; they are read strictly.
 */
#ifndef XENPV_KEYS_H
#define XENPV_KEYS_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

enum xenpv_key_kind {
    XENPV_KEY_NUMBER,
    XENPV_KEY_TEXT,
    XENPV_KEY_LONG, /* bytes of any kind, into a buffer of the owner's */
};

struct xenpv_key {
    const char *name; /* below the directory, e.g. "sector-size" */
    enum xenpv_key_kind kind;
    bool required;     /* without a good value the device cannot be used */
    uint64_t fallback; /* a NUMBER's value when there is no good one */
    uint64_t min, max; /* a NUMBER's range, inclusive */
};

enum xenpv_key_status {
    XENPV_KEY_UNREAD,
    XENPV_KEY_GOOD,
    XENPV_KEY_ABSENT,
    XENPV_KEY_JUNK, /* no decimal number, or not printable, or too long to be either */
    XENPV_KEY_OUT_OF_RANGE,
};

#define XENPV_KEY_TEXT_MAX 40u

struct xenpv_key_value {
    enum xenpv_key_status status;
    uint64_t number;               /* a NUMBER's value: as found when GOOD, else the fallback */
    char text[XENPV_KEY_TEXT_MAX]; /* what was found, printable and cut; "" when absent */
    char *bytes;                   /* a LONG's buffer and its size, set by the owner; ... */
    uint32_t capacity;
    uint32_t length; /* ... how much of it was found; JUNK when it is longer */
};

/* One feature: what the backend offered and what became of it. */
struct xenpv_negotiation {
    const char *key;              /* the backend's key */
    enum xenpv_key_status status; /* how it was found; UNREAD: not published before state 4 */
    const char *offered;          /* as found; "" when absent */
    const char *asked; /* what the frontend's directory asked for when it was read, before
                                     we wrote anything; "" where it said nothing of it */
    uint64_t chosen;   /* what this library uses; 0: not used */
    const char *why;   /* why not more; "" when all that is offered is used */
};

/*
 * Judges `length` bytes found for a key. A NUMBER is 1 to 20 decimal digits and nothing else: no
 * sign, blank or prefix. A LONG's bytes are value->bytes, of which no more than value->capacity are
 * looked at. Any thread.
 */
void xenpv_key_judge(const struct xenpv_key *key, const char *bytes, uint32_t length,
                     struct xenpv_key_value *value);

/* The value of an absent key. */
void xenpv_key_absent(const struct xenpv_key *key, struct xenpv_key_value *value);

/* True, and the number, when the `length` bytes are decimal digits of a 64-bit number. */
bool xenpv_parse_number(const char *bytes, uint32_t length, uint64_t *number);

/* Writes a number in decimal with a NUL, and returns how many digits. */
uint32_t xenpv_format_number(uint64_t number, char text[21]);

/* Copies bytes as printable ASCII ('?' for the rest), cut to fit `capacity` with the NUL. */
void xenpv_printable(char *to, uint32_t capacity, const char *bytes, uint32_t length);

#ifdef __cplusplus
}
#endif
#endif
