/* SPDX-License-Identifier: MIT */
/* What a domain has open at xenstored: its port, and wires. */
#include "store.h"

void mock_connection_start(struct connection *connection, struct domain *domain,
                           struct xenpv_mock_wire *wire)
{
    connection->domain = domain;
    connection->wire = wire;
    connection->next = domain->connections;
    domain->connections = connection;
}

void mock_connection_reset(struct connection *connection)
{
    mock_transactions_drop(connection);
    mock_watches_drop(connection);
}

void mock_connection_end(struct connection *connection)
{
    struct connection **at = &connection->domain->connections;

    mock_connection_reset(connection);
    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
}
