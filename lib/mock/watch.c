/* SPDX-License-Identifier: MIT */
/* Who is told of a change. Watches are marked by an operation and fire when it takes effect. */
#include "mock.h"

static struct watch *find(const struct domain *domain, const void *cookie)
{
    struct watch *watch = domain->watches;

    while (watch != NULL && watch->cookie != cookie)
        watch = watch->next;
    return watch;
}

static uint32_t count(const struct domain *domain)
{
    uint32_t watches = 0;

    for (const struct watch *watch = domain->watches; watch != NULL; watch = watch->next)
        watches++;
    return watches;
}

int mock_watch_add(struct domain *domain, const char *dir, const void *cookie)
{
    struct xenpv_mock *mock = domain->mock;

    if (domain->dead)
        return XENPV_ESTORE;
    if (find(domain, cookie) != NULL)
        return XENPV_EEXIST;

    int err = mock_path_of_watch(domain, dir);

    if (err != XENPV_OK)
        return err;
    if (domain->domid != 0 && count(domain) >= mock->config.limits.store_watches)
        return XENPV_ENOSPC;

    size_t bytes = strlen(mock->path) + 1;
    struct watch *watch = mock_alloc(mock, sizeof(*watch) + bytes, _Alignof(struct watch));

    if (watch == NULL)
        return XENPV_ENOMEM;
    memcpy(watch->path, mock->path, bytes);
    watch->cookie = cookie;
    watch->fired = true;
    watch->next = domain->watches;
    domain->watches = watch;
    return XENPV_OK;
}

void mock_watch_remove(struct domain *domain, const char *dir, const void *cookie)
{
    struct xenpv_mock *mock = domain->mock;

    if (domain->dead)
        return; /* its watches went with it */
    if (mock_path_of_watch(domain, dir) == XENPV_OK) {
        for (struct watch **at = &domain->watches; *at != NULL; at = &(*at)->next) {
            struct watch *watch = *at;

            if (watch->cookie == cookie && strcmp(watch->path, mock->path) == 0) {
                *at = watch->next;
                mock_free(mock, watch);
                return;
            }
        }
    }
    mock_misuse(domain, "unwatch of what is not watched", 0);
}

bool mock_watch_fired(struct domain *domain, const void *cookie)
{
    struct watch *watch = find(domain, cookie);
    bool fired = watch != NULL && watch->fired;

    if (fired)
        watch->fired = false;
    return fired;
}

/* A domain that may list the parent could see the change anyway. */
static bool permitted(const struct domain *domain, const struct node *node,
                      const struct xenpv_mock_perms *old)
{
    uint8_t access = mock_store_access(domain, &node->perms);

    if (old != NULL)
        access |= mock_store_access(domain, old);
    if (node->parent != NULL)
        access |= mock_store_access(domain, &node->parent->perms);
    return (access & XENPV_MOCK_READ) != 0;
}

void mock_watch_changed(struct xenpv_mock *mock, const char *path, const struct node *node,
                        const struct xenpv_mock_perms *old)
{
    for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next) {
        if (!permitted(domain, node, old))
            continue;
        for (struct watch *watch = domain->watches; watch != NULL; watch = watch->next)
            watch->marked = watch->marked || mock_path_below(path, watch->path);
    }
}

void mock_watch_removed(struct xenpv_mock *mock, const char *path, const struct node *node)
{
    mock_watch_changed(mock, path, node, NULL);
    /* Of the nodes below, only a watch on the very node is told, each by that node's permissions.
     */
    for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next) {
        for (struct watch *watch = domain->watches; watch != NULL; watch = watch->next) {
            if (!mock_path_below(watch->path, path))
                continue;

            const struct node *below = mock_tree_find(mock, watch->path);

            if (below != NULL && permitted(domain, below, NULL))
                watch->marked = true;
        }
    }
}

void mock_watch_special(struct xenpv_mock *mock, const char *name)
{
    for (struct watch *watch = mock_domain(mock, 0)->watches; watch != NULL; watch = watch->next)
        watch->fired = watch->fired || strcmp(watch->path, name) == 0;
}

void mock_watch_settle(struct xenpv_mock *mock, bool take_effect)
{
    for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next) {
        for (struct watch *watch = domain->watches; watch != NULL; watch = watch->next) {
            watch->fired = watch->fired || (watch->marked && take_effect);
            watch->marked = false;
        }
    }
}

void mock_watches_fire(struct domain *domain)
{
    for (struct watch *watch = domain->watches; watch != NULL; watch = watch->next)
        watch->fired = true;
}

void mock_watches_free(struct domain *domain)
{
    while (domain->watches != NULL) {
        struct watch *watch = domain->watches;

        domain->watches = watch->next;
        mock_free(domain->mock, watch);
    }
}
