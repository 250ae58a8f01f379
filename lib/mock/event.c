/* SPDX-License-Identifier: MIT */
/* Event channels. */
#include "mock.h"

static struct channel *find(const struct domain *domain, uint32_t port)
{
    return port < domain->channels_size ? &domain->channels[port] : NULL;
}

static bool open(const struct channel *channel)
{
    return channel != NULL && (channel->state == CHANNEL_UNBOUND ||
                               channel->state == CHANNEL_BOUND || channel->state == CHANNEL_STORE);
}

/* The lowest free port, as in Xen: numbers are reused at once, also after a suspend. */
static int find_free(struct domain *domain, uint32_t *port)
{
    uint32_t free = 1;

    if (domain->dead)
        return XENPV_EACCES;
    while (open(find(domain, free)))
        free++;
    if (free >= domain->mock->config.limits.ports)
        return XENPV_ENOPORT;

    void *table = domain->channels;
    int err =
        mock_grow(domain->mock, &table, &domain->channels_size, free + 1, sizeof(struct channel));

    domain->channels = table;
    *port = free;
    return err;
}

int mock_event_alloc_unbound(struct domain *domain, uint16_t peer, uint32_t *port)
{
    if (peer >= FIRST_DOMID_NONE)
        return XENPV_EINVAL;

    int err = find_free(domain, port);

    if (err == XENPV_OK)
        domain->channels[*port] = (struct channel){.state = CHANNEL_UNBOUND, .remote_domid = peer};
    return err;
}

int mock_event_store_port(struct domain *domain, uint32_t *port)
{
    int err = find_free(domain, port);

    if (err == XENPV_OK)
        domain->channels[*port] = (struct channel){.state = CHANNEL_STORE};
    return err;
}

void mock_event_raise(struct domain *domain, uint32_t port)
{
    struct channel *channel = find(domain, port);

    if (channel != NULL && channel->state == CHANNEL_STORE)
        channel->pending = true;
}

int mock_event_bind(struct domain *domain, uint16_t peer, uint32_t peer_port, uint32_t *port)
{
    struct domain *remote = mock_domain(domain->mock, peer);
    struct channel *far = remote != NULL ? find(remote, peer_port) : NULL;

    if (!open(far) || far->state != CHANNEL_UNBOUND || far->remote_domid != domain->domid)
        return XENPV_ENOENT;

    int err = find_free(domain, port);

    if (err != XENPV_OK)
        return err;
    far = find(remote, peer_port); /* a domain may bind to itself, and its table have moved */
    *far = (struct channel){.state = CHANNEL_BOUND,
                            .pending = far->pending,
                            .masked = far->masked,
                            .remote = domain,
                            .remote_domid = domain->domid,
                            .remote_port = *port};
    /* Pending from the start: what the peer sent before the binding would be lost otherwise. */
    domain->channels[*port] = (struct channel){.state = CHANNEL_BOUND,
                                               .pending = true,
                                               .remote = remote,
                                               .remote_domid = peer,
                                               .remote_port = peer_port};
    return XENPV_OK;
}

int mock_event_notify(struct domain *domain, uint32_t port)
{
    const struct channel *channel = find(domain, port);

    if (!open(channel))
        return XENPV_ENOENT;
    if (channel->state == CHANNEL_BOUND)
        channel->remote->channels[channel->remote_port].pending = true;
    else if (channel->state == CHANNEL_STORE)
        mock_ring_poked(domain);
    return XENPV_OK;
}

bool mock_event_take(struct domain *domain, uint32_t port)
{
    struct channel *channel = find(domain, port);

    if (!open(channel) || !channel->pending || channel->masked)
        return false;
    channel->pending = false;
    channel->masked = true;
    return true;
}

void mock_event_unmask(struct domain *domain, uint32_t port)
{
    struct channel *channel = find(domain, port);

    if (open(channel))
        channel->masked = false;
}

/* The far end becomes unbound, and may be bound again by the same domain. */
static void disconnect(const struct channel *channel)
{
    if (channel->state != CHANNEL_BOUND)
        return;

    struct channel *far = &channel->remote->channels[channel->remote_port];

    far->state = CHANNEL_UNBOUND;
    far->remote = NULL;
}

void mock_event_close(struct domain *domain, uint32_t port)
{
    struct channel *channel = find(domain, port);

    if (!open(channel)) {
        mock_misuse(domain, "close of a port that is not open", port);
        return;
    }
    disconnect(channel);
    *channel = (struct channel){.state = CHANNEL_FREE};
}

void mock_event_forget(struct domain *domain, uint32_t port)
{
    struct channel *channel = find(domain, port);

    if (channel == NULL || channel->state != CHANNEL_VOID)
        mock_misuse(domain, "forget of a port that is not void", port);
    else
        channel->state = CHANNEL_FREE;
}

void mock_events_void(struct domain *domain)
{
    for (uint32_t port = 0; port < domain->channels_size; port++) {
        struct channel *channel = &domain->channels[port];

        if (!open(channel))
            continue;
        disconnect(channel);
        /* The port of the ring page is the toolstack's, which makes another one. */
        *channel = (struct channel){.state = channel->state == CHANNEL_STORE ? CHANNEL_FREE
                                                                             : CHANNEL_VOID};
    }
}
