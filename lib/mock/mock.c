/* SPDX-License-Identifier: MIT */
/* The machine: its memory, lock, clock and domains. */
#include "text.h"
#include "wire.h"

#define FIRST_WALLCLOCK (1600000000u * UINT64_C(1000000000))

void mock_lock(const struct xenpv_mock *mock)
{
    if (mock->config.lock != NULL)
        mock->config.lock(mock->config.ctx);
}

void mock_unlock(const struct xenpv_mock *mock)
{
    if (mock->config.unlock != NULL)
        mock->config.unlock(mock->config.ctx);
}

void *mock_alloc(struct xenpv_mock *mock, size_t bytes, size_t align)
{
    void *memory = mock->config.allocator.alloc(mock->config.allocator.ctx, bytes, align);

    return memory != NULL ? memset(memory, 0, bytes) : NULL;
}

void mock_free(struct xenpv_mock *mock, void *memory)
{
    if (memory != NULL)
        mock->config.allocator.free(mock->config.allocator.ctx, memory);
}

int mock_grow(struct xenpv_mock *mock, void **array, uint32_t *size, uint32_t need, size_t item)
{
    uint32_t larger = need > 2 * *size ? need : 2 * *size;

    if (need <= *size)
        return XENPV_OK;

    void *memory = mock_alloc(mock, larger * item, _Alignof(max_align_t));

    if (memory == NULL)
        return XENPV_ENOMEM;
    if (*size > 0)
        memcpy(memory, *array, *size * item);
    mock_free(mock, *array);
    *array = memory;
    *size = larger;
    return XENPV_OK;
}

struct domain *mock_domain(const struct xenpv_mock *mock, uint32_t domid)
{
    struct domain *domain = mock->domains;

    while (domain != NULL && (domain->dead || domain->domid != domid))
        domain = domain->next;
    return domain;
}

void mock_log(const struct domain *domain, enum xenpv_log_level level, const char *line)
{
    const struct xenpv_mock_config *config = &domain->mock->config;

    if (config->log != NULL)
        config->log(config->ctx, domain->domid, level, line);
}

void mock_misuse(const struct domain *domain, const char *what, uint32_t number)
{
    char line[96];
    struct text text;

    mock_text_start(&text, line, sizeof(line));
    mock_text_add(&text, "mock: ");
    mock_text_add(&text, what);
    mock_text_add(&text, ": ");
    mock_text_add_number(&text, number);
    mock_log(domain, XENPV_LOG_ERROR, line);
}

static struct domain *new_domain(struct xenpv_mock *mock, uint16_t domid)
{
    struct domain *domain = mock_alloc(mock, sizeof(*domain), _Alignof(struct domain));

    if (domain == NULL)
        return NULL;
    domain->mock = mock;
    domain->domid = domid;
    domain->grants_top = FIRST_FREE_REF;
    domain->pages = domain->pages_limit = FIRST_PAGES;
    domain->introduced = domid == 0;
    mock_connection_start(&domain->port, domain, NULL);
    domain->next = mock->domains;
    mock->domains = domain;
    return domain;
}

static void free_first_domain(struct xenpv_mock *mock)
{
    struct domain *domain = mock->domains;

    mock->domains = domain->next;
    mock_store_domain_end(domain);
    mock_grants_free(domain);
    mock_free(mock, domain->channels);
    mock_free(mock, domain);
}

static void set_default(uint32_t *limit, uint32_t value)
{
    if (*limit == 0)
        *limit = value;
}

static void set_defaults(struct xenpv_mock_limits *limits)
{
    set_default(&limits->grants, 32768);
    set_default(&limits->ports, 4096);
    set_default(&limits->maps, 65536);
    set_default(&limits->store_nodes, 1000);
    set_default(&limits->store_watches, 128);
    set_default(&limits->store_record, 2048);
    set_default(&limits->store_perms, 5);
    set_default(&limits->store_path, RELATIVE_MAX);
    set_default(&limits->store_transactions, 10);
    set_default(&limits->store_transaction_nodes, 1024);
    set_default(&limits->store_outstanding, 20);
    set_default(&limits->store_event_ms, 20000);
    set_default(&limits->store_memory, 2560 * 1024);
}

int xenpv_mock_create(const struct xenpv_mock_config *config, struct xenpv_mock **out)
{
    if (config->size != sizeof(*config) || config->allocator.alloc == NULL ||
        config->allocator.free == NULL || (config->lock == NULL) != (config->unlock == NULL))
        return XENPV_EINVAL;

    struct xenpv_mock *mock =
        config->allocator.alloc(config->allocator.ctx, sizeof(*mock), _Alignof(struct xenpv_mock));

    if (mock == NULL)
        return XENPV_ENOMEM;
    *mock =
        (struct xenpv_mock){.config = *config,
                            .wallclock = FIRST_WALLCLOCK,
                            .store_features = XENPV_MOCK_STORE_RECONNECT | XENPV_MOCK_STORE_ERROR};
    set_defaults(&mock->config.limits);
    if (new_domain(mock, 0) == NULL || mock_store_start(mock) != XENPV_OK) {
        xenpv_mock_destroy(mock);
        return XENPV_ENOMEM;
    }
    *out = mock;
    return XENPV_OK;
}

void xenpv_mock_destroy(struct xenpv_mock *mock)
{
    if (mock == NULL)
        return;
    for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next)
        mock_unmap_all(domain);
    /* Of all before any: what waits for one belongs to a request of another. */
    for (struct domain *domain = mock->domains; domain != NULL; domain = domain->next)
        mock_store_domain_end(domain);
    while (mock->domains != NULL)
        free_first_domain(mock);
    mock_batches_free(mock);
    mock_store_end(mock);
    mock_free(mock, mock);
}

static int add_domain(struct xenpv_mock *mock, uint16_t domid)
{
    if (mock_domain(mock, domid) != NULL)
        return XENPV_EEXIST;
    if (new_domain(mock, domid) == NULL)
        return XENPV_ENOMEM;

    int err = mock_toolstack_add_domain(mock, domid);

    if (err != XENPV_OK)
        free_first_domain(mock);
    else
        mock_store_introduce(mock_domain(mock, domid));
    return err;
}

int xenpv_mock_add_domain(struct xenpv_mock *mock, uint16_t domid)
{
    if (domid == 0 || domid >= FIRST_DOMID_NONE)
        return XENPV_EINVAL;
    mock_lock(mock);

    int err = add_domain(mock, domid);

    mock_unlock(mock);
    return err;
}

static int remove_domain(struct xenpv_mock *mock, uint16_t domid)
{
    struct domain *domain = mock_domain(mock, domid);

    if (domain == NULL || domid == 0)
        return XENPV_ENOENT;

    int err = mock_store_domain_died(domain);

    if (err != XENPV_OK)
        return err;
    domain->dead = true;
    domain->generation++; /* what it held is to be forgotten, by whoever plays it */
    mock_events_void(domain);
    mock_unmap_all(domain);
    mock_grants_void(domain);
    mock_store_domain_left(domain);
    return XENPV_OK;
}

int xenpv_mock_remove_domain(struct xenpv_mock *mock, uint16_t domid)
{
    mock_lock(mock);

    int err = remove_domain(mock, domid);

    mock_unlock(mock);
    return err;
}

int xenpv_mock_port(struct xenpv_mock *mock, uint16_t domid, struct xenpv_port *port)
{
    mock_lock(mock);

    struct domain *domain = mock_domain(mock, domid);

    if (domain != NULL)
        mock_port_init(domain, port);
    mock_unlock(mock);
    return domain != NULL ? XENPV_OK : XENPV_ENOENT;
}

uint64_t xenpv_mock_now(const struct xenpv_mock *mock)
{
    mock_lock(mock);

    uint64_t now = mock->now;

    mock_unlock(mock);
    return now;
}

void xenpv_mock_advance(struct xenpv_mock *mock, uint64_t ms)
{
    mock_lock(mock);
    mock_batches_advance(mock, mock->now + ms);
    mock_rings_advance(mock);
    mock_wires_expire(mock);
    mock_wires_serve(mock);
    mock_unlock(mock);
}

void xenpv_mock_set_wallclock(struct xenpv_mock *mock, uint64_t ns)
{
    mock_lock(mock);
    mock->wallclock = ns;
    mock_unlock(mock);
}

int xenpv_mock_suspend(struct xenpv_mock *mock, uint16_t domid)
{
    mock_lock(mock);

    struct domain *domain = mock_domain(mock, domid);

    if (domain != NULL) {
        domain->generation++;
        mock_events_void(domain);
        mock_grants_void(domain);
        mock_store_domain_resumed(domain);
    }
    mock_unlock(mock);
    return domain != NULL ? XENPV_OK : XENPV_ENOENT;
}

static void count(const struct domain *domain, struct xenpv_mock_ledger *ledger)
{
    *ledger =
        (struct xenpv_mock_ledger){.maps = domain->maps, .watches = mock_watches_count(domain)};
    for (const struct region *region = domain->regions; region != NULL; region = region->next) {
        if (region->state == REGION_LIVE || region->state == REGION_VOID) {
            ledger->grants += region->pages;
            ledger->grants_mapped += region->mapped;
        } else {
            ledger->deferred += region->pages;
        }
    }
    for (uint32_t port = 0; port < domain->channels_size; port++)
        ledger->ports += domain->channels[port].state != CHANNEL_FREE &&
                         domain->channels[port].state != CHANNEL_STORE;
}

int xenpv_mock_ledger(const struct xenpv_mock *mock, uint16_t domid,
                      struct xenpv_mock_ledger *ledger)
{
    mock_lock(mock);

    const struct domain *domain = mock_domain(mock, domid);

    if (domain != NULL)
        count(domain, ledger);
    mock_unlock(mock);
    return domain != NULL ? XENPV_OK : XENPV_ENOENT;
}

int xenpv_mock_set_deferred_end(struct xenpv_mock *mock, uint16_t domid, bool deferred)
{
    mock_lock(mock);

    struct domain *domain = mock_domain(mock, domid);

    if (domain != NULL)
        domain->deferred_end = deferred;
    mock_unlock(mock);
    return domain != NULL ? XENPV_OK : XENPV_ENOENT;
}

int xenpv_mock_set_conflicts(struct xenpv_mock *mock, uint16_t domid, uint32_t transactions)
{
    mock_lock(mock);

    struct domain *domain = mock_domain(mock, domid);

    if (domain != NULL)
        domain->conflicts = transactions;
    mock_unlock(mock);
    return domain != NULL ? XENPV_OK : XENPV_ENOENT;
}

int xenpv_mock_set_store_delay(struct xenpv_mock *mock, uint16_t domid, uint32_t ms)
{
    mock_lock(mock);

    struct domain *domain = mock_domain(mock, domid);

    if (domain != NULL)
        domain->store_delay = ms;
    mock_unlock(mock);
    return domain != NULL ? XENPV_OK : XENPV_ENOENT;
}
