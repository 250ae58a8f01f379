/* SPDX-License-Identifier: MIT */
/* xenstored ends and is started anew. */
#include "wire.h"

static void disconnect(struct domain *domain)
{
    mock_batches_fail(domain);
    mock_transactions_drop(&domain->port);
    for (struct connection *c = domain->connections; c != NULL; c = c->next) {
        if (c->wire != NULL && c->wire->page == NULL)
            mock_wire_drop(c->wire, WIRE_ERROR_NONE);
        else if (c->wire != NULL && !c->wire->dropped)
            mock_ring_restart(c->wire);
    }
}

/* All that is below the root goes, and a fresh machine's nodes come. */
static int begin_anew(struct transaction *t, struct xenpv_mock *mock)
{
    const struct record *root = mock_tree_at(mock, "/", 1);
    const char *names = mock_record_children(root);
    int err = XENPV_OK;

    for (uint32_t at = 0; at < root->children_length && err == XENPV_OK;) {
        uint32_t bytes = (uint32_t)strlen(names + at) + 1;

        mock->path[0] = '/';
        memcpy(mock->path + 1, names + at, bytes);
        err = mock_store_rm(t, mock->path);
        at += bytes;
    }
    return err == XENPV_OK ? mock_toolstack_first_nodes(t) : err;
}

static int restart(struct xenpv_mock *mock, bool keep)
{
    struct transaction t = {.connection = &mock_domain(mock, 0)->port, .direct = true};
    int err = keep ? XENPV_OK : begin_anew(&t, mock);

    if (err == XENPV_OK && !keep)
        err = mock_perms_start(mock);
    if (err != XENPV_OK) {
        mock_transaction_clear(&t);
        return err;
    }
    for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next)
        disconnect(domain);
    mock_transaction_commit(&t);
    for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next)
        mock_port_poke_all(domain);
    return XENPV_OK;
}

int xenpv_mock_store_restart(struct xenpv_mock *mock, bool keep)
{
    mock_lock(mock);

    int err = restart(mock, keep);

    mock_unlock(mock);
    return err;
}
