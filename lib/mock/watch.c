/* SPDX-License-Identifier: MIT */
/* Watches: who is told of a change. */
#include "wire.h"

uint32_t mock_watches_count(const struct domain *domain)
{
    uint32_t count = 0;

    for (const struct connection *c = domain->connections; c != NULL; c = c->next) {
        for (const struct watch *watch = c->watches; watch != NULL; watch = watch->next)
            count++;
    }
    return count;
}

/* Where mock->path is what is watched. */
static struct watch *find(const struct connection *connection, const char *token)
{
    struct watch *watch = connection->watches;

    while (watch != NULL && (watch->token == NULL || strcmp(watch->token, token) != 0 ||
                             strcmp(watch->path, connection->domain->mock->path) != 0))
        watch = watch->next;
    return watch;
}

struct watch *mock_watch(struct connection *connection, const char *dir, const char *token)
{
    return mock_path_of_watch(connection->domain, dir) == XENPV_OK ? find(connection, token) : NULL;
}

static struct watch *new_watch(struct xenpv_mock *mock, const char *token)
{
    size_t path_bytes = strlen(mock->path) + 1;
    size_t token_bytes = token != NULL ? strlen(token) + 1 : 0;
    struct watch *watch =
        mock_alloc(mock, sizeof(*watch) + path_bytes + token_bytes, _Alignof(struct watch));

    if (watch == NULL)
        return NULL;
    memcpy(watch->path, mock->path, path_bytes);
    watch->path_length = (uint32_t)path_bytes - 1;
    if (token != NULL) {
        memcpy(watch->path + path_bytes, token, token_bytes);
        watch->token = watch->path + path_bytes;
    }
    return watch;
}

/* In an event of a relative watch the domain's own directory is left out. */
static uint32_t prefix_of(const struct connection *connection, const char *dir)
{
    char own[32];

    if (dir[0] == '/' || dir[0] == '@')
        return 0;
    mock_path_of_domain(connection->domain->domid, own, sizeof(own));
    return (uint32_t)strlen(own) + 1;
}

static uint32_t memory_of(const struct watch *watch)
{
    return watch->path_length + (watch->token != NULL ? (uint32_t)strlen(watch->token) : 0);
}

int mock_watch_add(struct connection *connection, const char *dir, const char *token,
                   const void *cookie, struct watch **watch)
{
    struct domain *domain = connection->domain;
    struct xenpv_mock *mock = domain->mock;
    int err = mock_path_of_watch(domain, dir);
    struct watch **at = &connection->watches;

    if (err != XENPV_OK)
        return err;
    if (token != NULL && find(connection, token) != NULL)
        return XENPV_EEXIST;
    if (!mock_privileged(domain) && mock_watches_count(domain) > mock->config.limits.store_watches)
        return XENPV_E2BIG;

    struct watch *made = new_watch(mock, token);

    if (made == NULL)
        return XENPV_ENOMEM;
    made->connection = connection;
    made->cookie = cookie;
    made->prefix = prefix_of(connection, dir);
    while (*at != NULL)
        at = &(*at)->next;
    *at = made;
    domain->memory += memory_of(made);
    *watch = made;
    return XENPV_OK;
}

void mock_watch_drop(struct watch *watch)
{
    struct connection *connection = watch->connection;
    struct watch **at = &connection->watches;

    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
    connection->domain->memory -= memory_of(watch);
    mock_pokes_drop(watch);
    mock_free(connection->domain->mock, watch);
}

void mock_watches_drop(struct connection *connection)
{
    while (connection->watches != NULL)
        mock_watch_drop(connection->watches);
}

void mock_watch_event(struct watch *watch, const char *path)
{
    const char *seen = path + watch->prefix;

    if (watch->connection->wire != NULL)
        mock_wire_event(watch->connection->wire, seen, watch->token);
    else
        mock_poke(watch, seen);
}

static void tell(const struct domain *domain, const char *path, bool exact)
{
    for (const struct connection *c = domain->connections; c != NULL; c = c->next) {
        for (struct watch *watch = c->watches; watch != NULL; watch = watch->next) {
            if (exact ? strcmp(path, watch->path) == 0 : mock_path_below(path, watch->path))
                mock_watch_event(watch, path);
        }
    }
}

/* A domain that may list the node above could see the change anyway. */
void mock_watch_fire(struct xenpv_mock *mock, const char *path, bool exact,
                     struct record *const seen[3])
{
    for (const struct domain *domain = mock->domains; domain != NULL; domain = domain->next) {
        uint8_t allowed = 0;

        for (uint32_t i = 0; i < 3; i++)
            allowed |= seen[i] != NULL ? mock_perms_of(domain, seen[i]) : 0;
        if ((allowed & PERM_READ) != 0)
            tell(domain, path, exact);
    }
}

void mock_watch_special(struct xenpv_mock *mock, const char *name)
{
    struct record *const seen[3] = {*mock_perms_special(mock, name), NULL, NULL};

    mock_watch_fire(mock, name, true, seen);
}
