/* SPDX-License-Identifier: MIT */
/* Wires over a ring page: struct xenstore_domain_interface of xs_wire.h. */
#include "wire.h"

#define RING_BYTES 1024u /* XENSTORE_RING_SIZE, of each way */

/* Where a word of the page is, counted in words; the requests' ring is at 0, the answers' next. */
enum {
    WORD_REQ_CONS = 512,
    WORD_REQ_PROD,
    WORD_RSP_CONS,
    WORD_RSP_PROD,
    WORD_FEATURES,
    WORD_CONNECTION,
    WORD_ERROR,
};

enum { CONNECTED = 0, RECONNECT = 1 };

static void poke(const struct xenpv_mock_wire *wire)
{
    mock_event_raise(wire->connection.domain, wire->port);
}

static bool reconnects(const struct xenpv_mock_wire *wire)
{
    return (wire->features & XENPV_MOCK_STORE_RECONNECT) != 0;
}

/* The guest asks for it; where it was not offered, nobody looks. */
static bool is_asked(const struct xenpv_mock_wire *wire)
{
    return reconnects(wire) && xenpv_load_acquire(wire->page + WORD_CONNECTION) == RECONNECT;
}

void mock_ring_dropped(struct xenpv_mock_wire *wire, enum wire_error error)
{
    mock_wire_forget(wire);
    if (error == WIRE_ERROR_NONE || wire->features == XENPV_MOCK_STORE_RECONNECT)
        return;
    xenpv_store_release(wire->page + WORD_ERROR, error);
    poke(wire);
}

uint32_t mock_ring_read(struct xenpv_mock_wire *wire, void *bytes, uint32_t count)
{
    uint32_t cons = xenpv_load(wire->page + WORD_REQ_CONS);
    uint32_t there = xenpv_load_acquire(wire->page + WORD_REQ_PROD) - cons;
    uint32_t at = cons % RING_BYTES;
    uint32_t some = count < there ? count : there;

    if (there > RING_BYTES) {
        mock_wire_drop(wire, WIRE_ERROR_INDEX);
        return 0;
    }
    if (some > RING_BYTES - at)
        some = RING_BYTES - at;
    if (some == 0)
        return 0;
    memcpy(bytes, (const uint8_t *)wire->page + at, some);
    xenpv_store_release(wire->page + WORD_REQ_CONS, cons + some);
    poke(wire);
    return some;
}

void mock_ring_flush(struct xenpv_mock_wire *wire)
{
    while (wire->out != NULL && !wire->dropped && wire->broken == WIRE_ERROR_NONE) {
        uint32_t prod = xenpv_load(wire->page + WORD_RSP_PROD);
        uint32_t used = prod - xenpv_load_acquire(wire->page + WORD_RSP_CONS);
        uint32_t at = prod % RING_BYTES;
        uint32_t room = RING_BYTES - used;

        if (used > RING_BYTES) {
            wire->broken = WIRE_ERROR_INDEX;
            return;
        }
        if (room > RING_BYTES - at)
            room = RING_BYTES - at;
        if (room == 0)
            return;

        uint32_t sent = mock_wire_take(wire, (uint8_t *)wire->page + RING_BYTES + at, room);

        xenpv_store_release(wire->page + WORD_RSP_PROD, prod + sent);
        poke(wire);
    }
}

void mock_ring_reset(struct xenpv_mock_wire *wire)
{
    mock_wire_forget(wire);
    mock_connection_reset(&wire->connection);
    wire->dropped = wire->restarting = false;
    wire->broken = WIRE_ERROR_NONE;
    wire->got = 0;
    for (uint32_t word = WORD_REQ_CONS; word <= WORD_RSP_PROD; word++)
        xenpv_store(wire->page + word, 0);
    xenpv_store(wire->page + WORD_ERROR, WIRE_ERROR_NONE);
    xenpv_store_release(wire->page + WORD_CONNECTION, CONNECTED);
    poke(wire);
}

void mock_ring_restart(struct xenpv_mock_wire *wire)
{
    mock_wire_drop(wire, WIRE_ERROR_NONE);
    wire->restarting = true;
    if (!reconnects(wire))
        return;
    xenpv_store_release(wire->page + WORD_CONNECTION, RECONNECT);
    poke(wire);
}

static bool is_current(const struct xenpv_mock_wire *ring)
{
    return ring != NULL && ring->generation == ring->connection.domain->generation;
}

void mock_ring_poked(struct domain *domain)
{
    struct xenpv_mock_wire *ring = domain->ring;

    if (!is_current(ring) || !domain->introduced || ring->restarting)
        return;
    if (is_asked(ring))
        mock_ring_reset(ring);
    if (domain->store_delay > 0 && domain->mock->now >= ring->due)
        ring->due = domain->mock->now + domain->store_delay;
    mock_wires_serve(domain->mock);
}

void mock_rings_advance(struct xenpv_mock *mock)
{
    for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next) {
        struct xenpv_mock_wire *ring = domain->ring;

        if (is_current(ring) && domain->introduced && (ring->restarting || is_asked(ring)))
            mock_ring_reset(ring);
    }
}

static struct xenpv_mock_wire *new_ring(struct domain *domain)
{
    struct xenpv_mock *mock = domain->mock;
    struct xenpv_mock_wire *ring =
        mock_alloc(mock, sizeof(*ring), _Alignof(struct xenpv_mock_wire));

    if (ring == NULL)
        return NULL;
    ring->page = mock_alloc(mock, XENPV_PAGE_SIZE, XENPV_PAGE_SIZE);
    if (ring->page == NULL) {
        mock_free(mock, ring);
        return NULL;
    }
    mock_connection_start(&ring->connection, domain, ring);
    ring->dropped = true;
    ring->generation = domain->generation - 1;
    return ring;
}

static int connect(struct domain *domain)
{
    struct xenpv_mock_wire *ring = domain->ring;
    int err;

    if (ring == NULL) {
        ring = domain->ring = new_ring(domain);
        if (ring == NULL)
            return XENPV_ENOMEM;
    }
    if (is_current(ring))
        return XENPV_OK;
    err = mock_event_store_port(domain, &ring->port);
    if (err != XENPV_OK)
        return err;
    memset(ring->page, 0, XENPV_PAGE_SIZE);
    ring->generation = domain->generation;
    ring->features = domain->mock->store_features;
    mock_ring_reset(ring);
    xenpv_store_release(ring->page + WORD_FEATURES, ring->features);
    return XENPV_OK;
}

int xenpv_mock_set_store_features(struct xenpv_mock *mock, uint32_t features)
{
    if (features & ~(XENPV_MOCK_STORE_RECONNECT | XENPV_MOCK_STORE_ERROR))
        return XENPV_EINVAL;
    mock_lock(mock);
    mock->store_features = features;
    mock_unlock(mock);
    return XENPV_OK;
}

int xenpv_mock_wire_ring(struct xenpv_mock *mock, uint16_t domid, void **page, uint32_t *port)
{
    mock_lock(mock);

    struct domain *domain = mock_domain(mock, domid);
    int err = domain != NULL ? connect(domain) : XENPV_ENOENT;

    if (err == XENPV_OK) {
        *page = domain->ring->page;
        *port = domain->ring->port;
    }
    mock_unlock(mock);
    return err;
}
