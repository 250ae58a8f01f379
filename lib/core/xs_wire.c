/* SPDX-License-Identifier: MIT */
/* Messages of xs_wire.h: put together, and what their texts mean. */
#include <xenpv/keys.h>

#include "xs.h"

static const struct {
    const char *name;
    int error;
} errors[] = {
    {"EINVAL", XENPV_EINVAL}, {"EACCES", XENPV_EACCES},    {"EEXIST", XENPV_EEXIST},
    {"EISDIR", XENPV_EINVAL}, {"ENOENT", XENPV_ENOENT},    {"ENOMEM", XENPV_ENOMEM},
    {"ENOSPC", XENPV_ENOSPC}, {"ENOTEMPTY", XENPV_EINVAL}, {"ENOSYS", XENPV_ENOTSUP},
    {"EROFS", XENPV_EACCES},  {"EBUSY", XENPV_EBUSY},      {"EAGAIN", XENPV_EAGAIN},
    {"EISCONN", XENPV_EBUSY}, {"E2BIG", XENPV_E2BIG},      {"EPERM", XENPV_EACCES},
    {"EQUOTA", XENPV_ENOSPC}, /* oxenstored's alone */
};

uint32_t xs_length(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    return length;
}

/* A text that does not end is as good as one that does. */
int xs_error(const char *text, uint32_t length)
{
    if (length > 0 && text[length - 1] == '\0')
        length--;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        uint32_t bytes = xs_length(errors[i].name);

        if (bytes == length && memcmp(errors[i].name, text, bytes) == 0)
            return errors[i].error;
    }
    return XENPV_EIO;
}

bool xs_number(const char *text, uint32_t length, uint32_t *number)
{
    uint64_t found;

    if (length < 2 || text[length - 1] != '\0' || !xenpv_parse_number(text, length - 1, &found) ||
        found == 0 || found > UINT32_MAX)
        return false;
    *number = (uint32_t)found;
    return true;
}

const char *xs_payload(const struct xenpv_xs *xs)
{
    return xs->in_bytes + XS_HEADER;
}

void xs_begin(struct xenpv_xs *xs, uint32_t type, uint32_t tx)
{
    /* 0 is the id of events. */
    xs->last_id = xs->last_id == UINT32_MAX ? 1 : xs->last_id + 1;

    const struct xenpv_xs_header header = {.type = type, .id = xs->last_id, .tx = tx};

    memcpy(xs->out_bytes, &header, sizeof(header));
    xs->out_at = 0;
    xs->out_length = XS_HEADER;
    xs->asked_type = type;
}

/* Whoever adds has judged the lengths; this is what keeps a mistake there from being more than one.
 */
void xs_add(struct xenpv_xs *xs, const void *bytes, uint32_t length)
{
    uint32_t room = (uint32_t)sizeof(xs->out_bytes) - xs->out_length;

    length = length < room ? length : room;
    if (length)
        memcpy(xs->out_bytes + xs->out_length, bytes, length);
    xs->out_length += length;
}

void xs_add_text(struct xenpv_xs *xs, const char *text)
{
    xs_add(xs, text, xs_length(text) + 1);
}

void xs_add_number(struct xenpv_xs *xs, uint32_t number)
{
    char text[21];

    xs_add(xs, text, xenpv_format_number(number, text) + 1);
}

void xs_send(struct xenpv_xs *xs, enum xs_asked asked)
{
    uint32_t length = xs->out_length - XS_HEADER;

    memcpy(xs->out_bytes + offsetof(struct xenpv_xs_header, length), &length, sizeof(length));
    xs->asked = asked;
    xs->asked_id = xs->last_id;
}
