/* SPDX-License-Identifier: MIT */
/* Changing who may do what. */
#include "store.h"

int mock_store_set_perms(struct transaction *t, const char *path, const struct perm *perms,
                         uint32_t count)
{
    const struct domain *domain = t->connection->domain;
    uint32_t length = (uint32_t)strlen(path);
    struct record *record;
    int err = mock_store_get(t, path, PERM_WRITE | PERM_OWNER, &record);

    if (err != XENPV_OK)
        return err;
    if (!mock_privileged(domain) && perms[0].domid != record->perms[0].domid)
        return STORE_EPERM;
    err =
        mock_store_put(t, path, length, mock_record_with_perms(domain->mock, record, perms, count));
    if (err == XENPV_OK)
        mock_transaction_fire(t, path, length, false);
    return err;
}

/* Takes effect at once, also in a transaction. */
static int set_special(const struct domain *domain, const char *name, const struct perm *perms,
                       uint32_t count)
{
    struct xenpv_mock *mock = domain->mock;
    struct record **special = mock_perms_special(mock, name);

    if (special == NULL)
        return XENPV_EINVAL;
    if ((mock_perms_of(domain, *special) & PERM_OWNER) == 0)
        return XENPV_EACCES;

    struct record *record = mock_record(mock, perms, count);

    if (record == NULL)
        return XENPV_ENOMEM;
    mock_record_drop(mock, *special);
    *special = record;
    return XENPV_OK;
}

static int set_perms(struct transaction *t, const char *dir, const char *name,
                     const struct perm *perms, uint32_t count)
{
    struct domain *domain = t->connection->domain;

    if (dir[0] == '@')
        return name == NULL ? set_special(domain, dir, perms, count) : XENPV_EINVAL;

    int err = mock_path(domain, dir, name);

    return err == XENPV_OK ? mock_store_set_perms(t, domain->mock->path, perms, count) : err;
}

int mock_store_set_perms_text(struct transaction *t, const char *dir, const char *name,
                              const char *text, uint32_t length)
{
    const struct domain *domain = t->connection->domain;
    uint32_t count = 0;

    for (uint32_t i = 0; i < length; i++)
        count += text[i] == '\0';
    if (count == 0)
        return XENPV_EINVAL;
    if (!mock_privileged(domain) && count > domain->mock->config.limits.store_perms)
        return XENPV_ENOSPC;

    struct perm *perms = mock_alloc(domain->mock, count * sizeof(*perms), _Alignof(struct perm));
    int err = perms != NULL ? mock_perms_parse(text, length, perms, count) : XENPV_ENOMEM;

    if (err == XENPV_OK)
        err = mock_perms_settle(domain->mock, perms, count);
    if (err == XENPV_OK)
        err = set_perms(t, dir, name, perms, count);
    mock_free(domain->mock, perms);
    return err;
}
