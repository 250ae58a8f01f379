/* SPDX-License-Identifier: MIT */
/* Watches of the ports: pokes, and the last few paths that they were for. */
#include "store.h"

#define POKES_MAX 64u /* kept for all watches of a port */

static struct watch *find(const struct domain *domain, const void *cookie)
{
    struct watch *watch = domain->port.watches;

    while (watch != NULL && watch->cookie != cookie)
        watch = watch->next;
    return watch;
}

int mock_port_watch(struct domain *domain, const char *dir, const void *cookie)
{
    struct watch *watch;

    if (!domain->introduced)
        return XENPV_ESTORE;
    if (find(domain, cookie) != NULL)
        return XENPV_EEXIST;

    int err = mock_watch_add(&domain->port, dir, NULL, cookie, &watch);

    if (err == XENPV_OK)
        mock_watch_event(watch, watch->path);
    return err == XENPV_E2BIG ? XENPV_ENOSPC : err;
}

void mock_port_unwatch(struct domain *domain, const char *dir, const void *cookie)
{
    struct watch *watch = find(domain, cookie);

    if (!domain->introduced)
        return; /* its watches went with it */
    if (watch != NULL && mock_path_of_watch(domain, dir) == XENPV_OK &&
        strcmp(watch->path, domain->mock->path) == 0)
        mock_watch_drop(watch);
    else
        mock_misuse(domain, "unwatch of what is not watched", 0);
}

bool mock_port_fired(struct domain *domain, const void *cookie)
{
    struct watch *watch = find(domain, cookie);
    bool fired = watch != NULL && watch->fired;

    if (fired)
        watch->fired = false;
    return fired;
}

static struct poke **first_of(struct connection *port, const struct watch *watch)
{
    struct poke **at = &port->pokes;

    while (*at != NULL && (*at)->watch != watch)
        at = &(*at)->next;
    return at;
}

static void drop(struct connection *port, struct poke **at)
{
    struct poke *poke = *at;

    *at = poke->next;
    port->pokes_count--;
    mock_free(port->domain->mock, poke);
}

void mock_poke(struct watch *watch, const char *path)
{
    struct connection *port = watch->connection;
    struct poke **at = &port->pokes;
    size_t bytes = strlen(path) + 1;

    watch->fired = true;
    while (*at != NULL && ((*at)->watch != watch || strcmp((*at)->path, path) != 0))
        at = &(*at)->next;
    if (*at != NULL)
        return;
    if (port->pokes != NULL && port->pokes_count >= POKES_MAX) {
        port->pokes->watch->lost = true;
        drop(port, &port->pokes);
    }

    struct poke *poke =
        mock_alloc(port->domain->mock, sizeof(*poke) + bytes, _Alignof(struct poke));

    if (poke == NULL) {
        watch->lost = true;
        return;
    }
    poke->watch = watch;
    memcpy(poke->path, path, bytes);
    for (at = &port->pokes; *at != NULL;)
        at = &(*at)->next;
    *at = poke;
    port->pokes_count++;
}

void mock_pokes_drop(const struct watch *watch)
{
    struct connection *port = watch->connection;

    for (struct poke **at = first_of(port, watch); *at != NULL; at = first_of(port, watch))
        drop(port, at);
}

int mock_port_changed(struct domain *domain, const void *cookie, char *path, uint32_t capacity)
{
    struct watch *watch = find(domain, cookie);

    if (watch == NULL)
        return 0;

    struct poke **at = first_of(&domain->port, watch);
    const char *oldest = *at != NULL ? (*at)->path : NULL;

    if (watch->lost)
        oldest = watch->path + watch->prefix;
    if (oldest == NULL)
        return 0;

    size_t bytes = strlen(oldest) + 1;

    if (bytes > capacity)
        return XENPV_E2BIG;
    memcpy(path, oldest, bytes);
    if (watch->lost)
        watch->lost = false;
    else
        drop(&domain->port, at);
    return 1;
}

void mock_port_poke_all(struct domain *domain)
{
    for (struct watch *watch = domain->port.watches; watch != NULL; watch = watch->next)
        mock_watch_event(watch, watch->path);
}
