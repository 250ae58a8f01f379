/* SPDX-License-Identifier: MIT */
/* What the server sends: answers and events, in their order. */
#include "wire.h"

static struct xenpv_mock *mock_of(const struct xenpv_mock_wire *wire)
{
    return wire->connection.domain->mock;
}

void mock_request_drop(struct request *request)
{
    if (request == NULL || --request->references > 0)
        return;
    request->domain->outstanding--;
    mock_free(request->domain->mock, request);
}

static void free_message(const struct xenpv_mock_wire *wire, struct message *message)
{
    wire->connection.domain->memory -= message->size;
    mock_request_drop(message->request);
    mock_free(mock_of(wire), message);
}

static struct message *new_message(struct xenpv_mock_wire *wire, const struct wire_header *header)
{
    struct xenpv_mock *mock = mock_of(wire);
    uint32_t size = (uint32_t)sizeof(*header) + header->length;
    struct message *message = mock_alloc(mock, sizeof(*message) + size, _Alignof(struct message));

    if (message == NULL)
        return NULL;
    message->size = size;
    memcpy(message->bytes, header, sizeof(*header));
    message->request = mock->request;
    if (mock->request != NULL)
        mock->request->references++;
    wire->connection.domain->memory += size;
    return message;
}

static void append(struct xenpv_mock_wire *wire, struct message *message)
{
    struct message **at = &wire->out;

    while (*at != NULL)
        at = &(*at)->next;
    *at = message;
}

int mock_wire_answer(struct xenpv_mock_wire *wire, uint32_t type, const void *bytes,
                     uint32_t length)
{
    struct wire_header header = wire->in.header;
    struct message *message;

    header.type = type;
    header.length = length;
    message = new_message(wire, &header);
    if (message == NULL)
        return XENPV_ENOMEM;
    if (length > 0)
        memcpy(message->bytes + sizeof(header), bytes, length);
    append(wire, message);
    return XENPV_OK;
}

/* The same event is on its way already. */
static bool is_double(const struct xenpv_mock_wire *wire, const struct message *event)
{
    const struct message *message = wire->out;

    while (message != NULL && (!message->event || message->size != event->size ||
                               memcmp(message->bytes, event->bytes, event->size) != 0))
        message = message->next;
    return message != NULL;
}

void mock_wire_event(struct xenpv_mock_wire *wire, const char *path, const char *token)
{
    const struct domain *domain = wire->connection.domain;
    const struct xenpv_mock_limits *limits = &domain->mock->config.limits;
    uint32_t path_bytes = (uint32_t)strlen(path) + 1;
    uint32_t token_bytes = (uint32_t)strlen(token) + 1;
    struct wire_header header = {.type = WIRE_WATCH_EVENT, .length = path_bytes + token_bytes};
    struct message *event;

    if (header.length > WIRE_PAYLOAD)
        return;
    event = new_message(wire, &header);
    if (event == NULL)
        return;
    memcpy(event->bytes + sizeof(header), path, path_bytes);
    memcpy(event->bytes + sizeof(header) + path_bytes, token, token_bytes);
    event->event = true;
    if ((path[0] != '@' && is_double(wire, event)) ||
        (!mock_privileged(domain) && domain->memory >= limits->store_memory)) {
        free_message(wire, event);
        return;
    }
    if (!mock_privileged(domain))
        event->deadline = domain->mock->now + limits->store_event_ms;
    append(wire, event);
    if (wire->page != NULL)
        mock_ring_flush(wire);
}

static void free_first(struct xenpv_mock_wire *wire)
{
    struct message *first = wire->out;

    wire->out = first->next;
    free_message(wire, first);
}

uint32_t mock_wire_take(struct xenpv_mock_wire *wire, void *bytes, uint32_t capacity)
{
    uint8_t *to = bytes;
    uint32_t taken = 0;

    while (wire->out != NULL && taken < capacity) {
        struct message *first = wire->out;
        uint32_t rest = first->size - first->sent;
        uint32_t some = rest < capacity - taken ? rest : capacity - taken;

        memcpy(to + taken, first->bytes + first->sent, some);
        first->sent += some;
        taken += some;
        if (first->sent == first->size)
            free_first(wire);
    }
    return taken;
}

void mock_wire_forget(struct xenpv_mock_wire *wire)
{
    while (wire->out != NULL)
        free_first(wire);
}

static void expire(struct xenpv_mock_wire *wire)
{
    struct message **at = &wire->out;

    while (*at != NULL) {
        struct message *message = *at;

        if (message->deadline != 0 && message->deadline <= mock_of(wire)->now &&
            message->sent == 0) {
            *at = message->next;
            free_message(wire, message);
        } else {
            at = &message->next;
        }
    }
}

void mock_wires_expire(struct xenpv_mock *mock)
{
    for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next) {
        for (struct connection *c = domain->connections; c != NULL; c = c->next) {
            if (c->wire != NULL)
                expire(c->wire);
        }
    }
}
