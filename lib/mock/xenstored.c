/* SPDX-License-Identifier: MIT */
/* The daemon: its start and its end, and the domains it knows. */
#include "wire.h"

int mock_store_start(struct xenpv_mock *mock)
{
    struct transaction t = {.connection = &mock_domain(mock, 0)->port, .direct = true};
    int err = mock_tree_start(mock);

    if (err == XENPV_OK)
        err = mock_perms_start(mock);
    if (err == XENPV_OK)
        err = mock_toolstack_first_nodes(&t);
    if (err == XENPV_OK)
        return mock_transaction_commit(&t);
    mock_transaction_clear(&t);
    return err;
}

void mock_store_end(struct xenpv_mock *mock)
{
    mock_record_drop(mock, mock->introduce_perms);
    mock_record_drop(mock, mock->release_perms);
    mock_tree_free(mock);
}

bool mock_store_introduced(const struct xenpv_mock *mock, uint32_t domid)
{
    const struct domain *domain = mock_domain(mock, domid);

    return domid == DOMID_SELF || (domain != NULL && domain->introduced);
}

void mock_store_introduce(struct domain *domain)
{
    domain->introduced = true;
    mock_watch_special(domain->mock, "@introduceDomain");
}

void mock_store_domain_left(struct domain *domain)
{
    domain->introduced = false;
    domain->has_target = false;
    mock_batches_fail(domain);
    mock_connection_reset(&domain->port);
    for (struct connection *c = domain->connections; c != NULL; c = c->next) {
        if (c->wire != NULL)
            mock_wire_drop(c->wire, WIRE_ERROR_NONE);
    }
    mock_watch_special(domain->mock, "@releaseDomain");
}

void mock_store_domain_resumed(struct domain *domain)
{
    mock_port_poke_all(domain);
    if (domain->ring != NULL)
        mock_wire_drop(domain->ring, WIRE_ERROR_NONE);
}

void mock_store_domain_end(struct domain *domain)
{
    struct connection *c = domain->connections;

    while (c != NULL) {
        struct connection *next = c->next;

        if (c->wire != NULL)
            mock_wire_free(c->wire);
        else
            mock_connection_end(c);
        c = next;
    }
}
