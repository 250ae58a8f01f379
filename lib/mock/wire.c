/* SPDX-License-Identifier: MIT */
/* Wires: streams of messages in pieces, and when the server reads them. */
#include "wire.h"

static struct xenpv_mock *mock_of(const struct xenpv_mock_wire *wire)
{
    return wire->connection.domain->mock;
}

void mock_wire_drop(struct xenpv_mock_wire *wire, enum wire_error error)
{
    wire->dropped = true;
    wire->broken = WIRE_ERROR_NONE;
    wire->got = 0;
    wire->unread_at = wire->unread_end = 0;
    mock_connection_reset(&wire->connection);
    if (wire->page != NULL)
        mock_ring_dropped(wire, error);
}

/* A guest that leaves its answers unread is not read either. */
static bool may_be_read(const struct xenpv_mock_wire *wire)
{
    const struct domain *domain = wire->connection.domain;
    const struct xenpv_mock_limits *limits = &domain->mock->config.limits;

    if (wire->dropped || wire->restarting || wire->broken != WIRE_ERROR_NONE ||
        !domain->introduced || domain->mock->now < wire->due)
        return false;
    return mock_privileged(domain) || (domain->outstanding < limits->store_outstanding &&
                                       domain->memory < limits->store_memory);
}

static uint32_t read_some(struct xenpv_mock_wire *wire, void *bytes, uint32_t count)
{
    uint32_t there = wire->unread_end - wire->unread_at;
    uint32_t some = count < there ? count : there;

    if (wire->page != NULL)
        return mock_ring_read(wire, bytes, count);
    memcpy(bytes, wire->unread + wire->unread_at, some);
    wire->unread_at += some;
    return some;
}

/* True: there was something to do. */
static bool serve_some(struct xenpv_mock_wire *wire)
{
    const uint32_t header = sizeof(wire->in.header);
    uint32_t size = header;

    if (!may_be_read(wire))
        return false;
    if (wire->got >= header)
        size += wire->in.header.length;

    uint32_t some = read_some(wire, (uint8_t *)&wire->in + wire->got, size - wire->got);

    wire->got += some;
    if (wire->got < header || wire->dropped)
        return some > 0;
    if (wire->in.header.length > WIRE_PAYLOAD) {
        mock_wire_drop(wire, WIRE_ERROR_PROTOCOL);
        return false;
    }
    if (wire->got == header + wire->in.header.length) {
        wire->got = 0;
        wire->in.payload[wire->in.header.length] = '\0';
        mock_wire_request(wire);
        some = 1;
    }
    return some > 0;
}

static bool serve(struct xenpv_mock_wire *wire)
{
    bool any = false;

    while (serve_some(wire)) {
        any = true;
        if (wire->page != NULL)
            mock_ring_flush(wire);
    }
    if (wire->page != NULL)
        mock_ring_flush(wire);
    if (wire->broken != WIRE_ERROR_NONE)
        mock_wire_drop(wire, wire->broken);
    if (wire->page == NULL && wire->unread_at > 0) {
        memmove(wire->unread, wire->unread + wire->unread_at, wire->unread_end - wire->unread_at);
        wire->unread_end -= wire->unread_at;
        wire->unread_at = 0;
    }
    return any;
}

/* What one wire's reader takes can let another's requests be read. */
void mock_wires_serve(struct xenpv_mock *mock)
{
    bool any;

    do {
        any = false;
        for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next) {
            for (struct connection *c = domain->connections; c != NULL; c = c->next)
                any = (c->wire != NULL && serve(c->wire)) || any;
        }
    } while (any);
}

void mock_wire_free(struct xenpv_mock_wire *wire)
{
    struct xenpv_mock *mock = mock_of(wire);

    mock_connection_end(&wire->connection);
    mock_wire_forget(wire);
    mock_free(mock, wire->unread);
    mock_free(mock, wire->page);
    mock_free(mock, wire);
}

int xenpv_mock_wire_open(struct xenpv_mock *mock, uint16_t domid, struct xenpv_mock_wire **out)
{
    mock_lock(mock);

    struct domain *domain = mock_domain(mock, domid);
    struct xenpv_mock_wire *wire =
        domain != NULL ? mock_alloc(mock, sizeof(*wire), _Alignof(struct xenpv_mock_wire)) : NULL;
    int err = domain == NULL ? XENPV_ENOENT : XENPV_OK;

    if (wire != NULL) {
        wire->unread = mock_alloc(mock, WIRE_UNREAD, 1);
        if (wire->unread == NULL) {
            mock_free(mock, wire);
            wire = NULL;
        }
    }
    if (err == XENPV_OK && wire == NULL)
        err = XENPV_ENOMEM;
    if (err == XENPV_OK) {
        mock_connection_start(&wire->connection, domain, wire);
        wire->dropped = !domain->introduced;
        *out = wire;
    }
    mock_unlock(mock);
    return err;
}

void xenpv_mock_wire_close(struct xenpv_mock_wire *wire)
{
    if (wire == NULL)
        return;

    struct xenpv_mock *mock = mock_of(wire);

    mock_lock(mock);
    mock_wire_free(wire);
    mock_wires_serve(mock);
    mock_unlock(mock);
}

static int put(struct xenpv_mock_wire *wire, const void *bytes, uint32_t count)
{
    struct domain *domain = wire->connection.domain;

    if (wire->dropped)
        return XENPV_ESTORE;
    if (count > WIRE_UNREAD - wire->unread_end)
        return XENPV_EFULL;
    if (domain->store_delay > 0 && wire->unread_end == 0 && domain->mock->now >= wire->due)
        wire->due = domain->mock->now + domain->store_delay;
    if (count > 0)
        memcpy(wire->unread + wire->unread_end, bytes, count);
    wire->unread_end += count;
    mock_wires_serve(domain->mock);
    return wire->dropped ? XENPV_ESTORE : XENPV_OK;
}

int xenpv_mock_wire_put(struct xenpv_mock_wire *wire, const void *bytes, uint32_t count)
{
    struct xenpv_mock *mock = mock_of(wire);

    mock_lock(mock);

    int err = put(wire, bytes, count);

    mock_unlock(mock);
    return err;
}

uint32_t xenpv_mock_wire_get(struct xenpv_mock_wire *wire, void *bytes, uint32_t capacity)
{
    struct xenpv_mock *mock = mock_of(wire);

    mock_lock(mock);

    uint32_t got = mock_wire_take(wire, bytes, capacity);

    mock_wires_serve(mock);
    mock_unlock(mock);
    return got;
}
