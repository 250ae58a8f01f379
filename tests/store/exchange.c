/* SPDX-License-Identifier: MIT */
/* Messages out and in: an answer belongs to its request, events are kept in their order. */
#include "suite.h"

#include <errno.h>
#include <string.h>

static size_t build(struct connection *c, const struct step *step, uint32_t tx,
                    const struct text *payload, char *bytes)
{
    struct xsd_sockmsg header = {.type = step->type,
                                 .req_id = ++c->next_id,
                                 .tx_id = tx,
                                 .len = step->claim != 0 ? step->claim : (uint32_t)payload->length};

    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), payload->bytes, payload->length);
    return sizeof(header) + payload->length;
}

int put_request(struct connection *c, const struct step *step, uint32_t tx,
                const struct text *payload, uint32_t *id)
{
    static char bytes[sizeof(struct xsd_sockmsg) + TEXT_MAX];
    size_t count = build(c, step, tx, payload, bytes);
    int error = 0;

    *id = c->next_id;
    if (!step->bytewise)
        return c->transport->send(c->link, bytes, count);
    for (size_t i = 0; i < count && error == 0; i++)
        error = c->transport->send(c->link, bytes + i, 1);
    return error;
}

int put_requests(struct connection *c, const struct world *world, const struct step *step,
                 uint32_t tx, unsigned from, unsigned count, uint32_t *ids)
{
    static char bytes[PIPELINED * (sizeof(struct xsd_sockmsg) + TEXT_MAX)];
    struct text payload;
    size_t length = 0;

    for (unsigned i = 0; i < count; i++) {
        expand(&payload, world, step->payload, from + i);
        length += build(c, step, tx, &payload, bytes + length);
        ids[i] = c->next_id;
    }
    return c->transport->send(c->link, bytes, length);
}

/* The next message. */
static enum outcome get_message(struct connection *c, struct message *message)
{
    for (;;) {
        if (c->have >= sizeof(message->header)) {
            memcpy(&message->header, c->in, sizeof(message->header));
            message->length = message->header.len;
            if (message->length > sizeof(c->in) - sizeof(message->header))
                return NONSENSE;
            if (c->have >= sizeof(message->header) + message->length) {
                size_t all = sizeof(message->header) + message->length;
                bool overlong = message->length > XENSTORE_PAYLOAD_MAX;

                if (overlong)
                    message->length = XENSTORE_PAYLOAD_MAX;
                memcpy(message->body, c->in + sizeof(message->header), message->length);
                message->body[message->length] = '\0';
                c->have -= all;
                memmove(c->in, c->in + all, c->have);
                return overlong ? OVERLONG : ANSWERED;
            }
        }
        long got = c->transport->receive(c->link, c->in + c->have, sizeof(c->in) - c->have);

        if (got <= 0) {
            c->closed = true;
            return got == 0 ? CLOSED : SILENT;
        }
        c->have += (size_t)got;
    }
}

/* An event is two strings, of no request and no transaction. */
static bool keep_event(struct connection *c, const struct message *event)
{
    size_t path = strlen(event->body);

    if (event->length > sizeof(BARRIER) &&
        strcmp(event->body + event->length - sizeof(BARRIER), BARRIER) == 0) {
        c->barriers++;
        return true;
    }

    if (path + 2 + strlen(event->body + path + (path < event->length)) != event->length ||
        event->header.tx_id != 0 || c->events.length + event->length >= TEXT_MAX)
        return false;
    memcpy(c->events.bytes + c->events.length, event->body, event->length);
    c->events.length += event->length;
    c->events.bytes[c->events.length - 1] = ';';
    return true;
}

enum outcome get_answer(struct connection *c, uint32_t id, struct message *answer)
{
    for (;;) {
        enum outcome outcome = get_message(c, answer);

        if (outcome != ANSWERED)
            return outcome;
        if (answer->header.type != XS_WATCH_EVENT)
            return answer->header.req_id == id ? ANSWERED : NONSENSE;
        if (!keep_event(c, answer))
            return NONSENSE;
    }
}

enum outcome get_barrier(struct connection *c)
{
    static struct message event;

    while (c->barriers == 0) {
        enum outcome outcome = get_message(c, &event);

        if (outcome != ANSWERED)
            return outcome;
        if (event.header.type != XS_WATCH_EVENT || !keep_event(c, &event))
            return NONSENSE;
    }
    c->barriers--;
    return ANSWERED;
}
