/* SPDX-License-Identifier: MIT */
/*
 * Who a disk is: SCSI's vital product data pages (SPC-4 7.8), which a toolstack that has them puts
 * into the backend's directory as base64 (RFC 4648).
 */
#include "blk_device.h"

#define PAGE_SERIAL     0x80
#define PAGE_DESIGNATOR 0x83
#define HEADER          4u /* type, page, 16 bits of length */

#define CODE_SET(byte) ((byte)&0x0f) /* of a designator: 1 binary, 2 ASCII, 3 UTF-8 */
#define CODE_BINARY    1

/* The value of a digit; 64 for what is none. */
static uint32_t digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* How many bytes there are; what does not fit is left away. Ends at the first that is no digit. */
static uint32_t decode(const char *text, uint32_t length, uint8_t *out, uint32_t capacity)
{
    uint32_t count = 0, bits = 0, held = 0;

    for (uint32_t i = 0; i < length; i++) {
        if (is_blank(text[i]))
            continue;
        if (digit(text[i]) == 64)
            break;
        bits = bits << 6 | digit(text[i]);
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        if (count < capacity)
            out[count++] = (uint8_t)(bits >> held);
    }
    return count;
}

/* Text as it is, without the blanks at either end. */
static bool take_text(const uint8_t *bytes, uint32_t length, char text[XENPV_BLK_SERIAL_MAX])
{
    const char *begin = (const char *)bytes;

    while (length && (*begin == ' ' || *begin == '\0')) {
        begin++;
        length--;
    }
    while (length && (begin[length - 1] == ' ' || begin[length - 1] == '\0'))
        length--;
    xenpv_printable(text, XENPV_BLK_SERIAL_MAX, begin, length);
    return length != 0;
}

static bool take_binary(const uint8_t *bytes, uint32_t length, char text[XENPV_BLK_SERIAL_MAX])
{
    static const char digits[] = "0123456789abcdef";
    uint32_t at = 0;

    for (uint32_t i = 0; i < length && at + 2 < XENPV_BLK_SERIAL_MAX; i++) {
        text[at++] = digits[bytes[i] >> 4];
        text[at++] = digits[bytes[i] & 15];
    }
    text[at] = '\0';
    return at != 0;
}

/* The first designator: code set, kind, reserved, length, then so many bytes. */
static bool take_designator(const uint8_t *body, uint32_t length, char text[XENPV_BLK_SERIAL_MAX])
{
    if (length < 4 || body[3] > length - 4)
        return false;
    if (CODE_SET(body[0]) == CODE_BINARY)
        return take_binary(body + 4, body[3], text);
    return take_text(body + 4, body[3], text);
}

bool xenpv_blk_identity(const char *base64, uint32_t length, char text[XENPV_BLK_SERIAL_MAX])
{
    uint8_t page[BLK_PAGE_TEXT / 4 * 3];
    uint32_t bytes = decode(base64, length, page, sizeof(page));
    uint32_t body;

    text[0] = '\0';
    if (bytes < HEADER)
        return false;
    body = (uint32_t)page[2] << 8 | page[3];
    if (body > bytes - HEADER)
        return false;
    if (page[1] == PAGE_SERIAL)
        return take_text(page + HEADER, body, text);
    return page[1] == PAGE_DESIGNATOR && take_designator(page + HEADER, body, text);
}
