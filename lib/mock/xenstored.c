/* SPDX-License-Identifier: MIT */
/* The daemon: its start and its end, and the domains it knows. */
#include "store.h"

int mock_store_start(struct xenpv_mock *mock)
{
    static const struct perm dom0_only = {.domid = 0};
    int err = mock_tree_start(mock);

    if (err != XENPV_OK)
        return err;
    mock->introduce_perms = mock_record(mock, &dom0_only, 1);
    mock->release_perms = mock_record(mock, &dom0_only, 1);
    if (mock->introduce_perms == NULL || mock->release_perms == NULL)
        return XENPV_ENOMEM;
    return mock_toolstack_first_nodes(mock);
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

static void reset(struct domain *domain)
{
    for (struct connection *c = domain->connections; c != NULL; c = c->next)
        mock_connection_reset(c);
}

void mock_store_domain_left(struct domain *domain)
{
    domain->introduced = false;
    domain->has_target = false;
    mock_batches_fail(domain);
    reset(domain);
    mock_watch_special(domain->mock, "@releaseDomain");
}

void mock_store_domain_resumed(struct domain *domain)
{
    mock_port_poke_all(domain);
}

void mock_store_domain_end(struct domain *domain)
{
    reset(domain);
}
