/* SPDX-License-Identifier: MIT */
/* The ops tables of a mock port: each call under the machine's lock. */
#include "store.h"

static struct domain *enter(void *ctx)
{
    struct domain *domain = ctx;

    mock_lock(domain->mock);
    return domain;
}

static void leave(struct domain *domain)
{
    mock_unlock(domain->mock);
}

/* Runs `call`, in which `domain` is the port's domain, and answers its result. */
#define LOCKED(type, call)                                                                         \
    struct domain *domain = enter(ctx);                                                            \
    type result = (call);                                                                          \
    leave(domain);                                                                                 \
    return result
#define LOCKED_VOID(call)                                                                          \
    struct domain *domain = enter(ctx);                                                            \
    (call);                                                                                        \
    leave(domain)

static int store_start(void *ctx, struct xenpv_store_batch *batch)
{
    LOCKED(int, mock_batch_start(domain, batch));
}

static int store_check(void *ctx, struct xenpv_store_batch *batch)
{
    LOCKED(int, mock_batch_check(batch));
}

static void store_cancel(void *ctx, struct xenpv_store_batch *batch)
{
    LOCKED_VOID(mock_batch_cancel(domain, batch));
}

static int store_watch(void *ctx, const char *dir, const void *cookie)
{
    LOCKED(int, mock_port_watch(domain, dir, cookie));
}

static void store_unwatch(void *ctx, const char *dir, const void *cookie)
{
    LOCKED_VOID(mock_port_unwatch(domain, dir, cookie));
}

static bool store_fired(void *ctx, const void *cookie)
{
    LOCKED(bool, mock_port_fired(domain, cookie));
}

static int store_changed(void *ctx, const void *cookie, char *path, uint32_t capacity)
{
    LOCKED(int, mock_port_changed(domain, cookie, path, capacity));
}

static xenpv_handle store_wait_handle(void *ctx)
{
    (void)ctx;
    return XENPV_NO_HANDLE;
}

static const struct xenpv_store_ops store_ops = {
    .start = store_start,
    .check = store_check,
    .cancel = store_cancel,
    .watch = store_watch,
    .unwatch = store_unwatch,
    .fired = store_fired,
    .changed = store_changed,
    .wait_handle = store_wait_handle,
};

static int grant_share(void *ctx, uint16_t domid, struct xenpv_grant_region *region)
{
    LOCKED(int, mock_grant_share(domain, domid, region, false, true));
}

static int grant_share_own(void *ctx, uint16_t domid, struct xenpv_grant_region *region,
                           bool writable)
{
    LOCKED(int, mock_grant_share(domain, domid, region, true, writable));
}

static int grant_end(void *ctx, struct xenpv_grant_region *region)
{
    LOCKED(int, mock_grant_end(domain, region));
}

static void grant_forget(void *ctx, struct xenpv_grant_region *region)
{
    LOCKED_VOID(mock_grant_forget(domain, region));
}

static const struct xenpv_grant_ops grant_ops = {
    .share = grant_share,
    .share_own = grant_share_own,
    .end = grant_end,
    .forget = grant_forget,
};

static int map_map(void *ctx, struct xenpv_map_region *region)
{
    LOCKED(int, mock_map(domain, region));
}

static void map_unmap(void *ctx, struct xenpv_map_region *region)
{
    LOCKED_VOID(mock_unmap(domain, region));
}

static int map_copy(void *ctx, struct xenpv_copy_entry *entries, uint32_t count)
{
    LOCKED(int, mock_copy(domain, entries, count));
}

static const struct xenpv_map_ops map_ops = {
    .map = map_map,
    .unmap = map_unmap,
    .copy = map_copy,
};

static int event_alloc_unbound(void *ctx, uint16_t domid, uint32_t *port)
{
    LOCKED(int, mock_event_alloc_unbound(domain, domid, port));
}

static int event_bind_interdomain(void *ctx, uint16_t domid, uint32_t peer_port, uint32_t *port)
{
    LOCKED(int, mock_event_bind(domain, domid, peer_port, port));
}

static int event_notify(void *ctx, uint32_t port)
{
    LOCKED(int, mock_event_notify(domain, port));
}

static bool event_take(void *ctx, uint32_t port)
{
    LOCKED(bool, mock_event_take(domain, port));
}

static void event_unmask(void *ctx, uint32_t port)
{
    LOCKED_VOID(mock_event_unmask(domain, port));
}

static void event_close(void *ctx, uint32_t port)
{
    LOCKED_VOID(mock_event_close(domain, port));
}

static void event_forget(void *ctx, uint32_t port)
{
    LOCKED_VOID(mock_event_forget(domain, port));
}

static xenpv_handle event_wait_handle(void *ctx, uint32_t port)
{
    (void)ctx;
    (void)port;
    return XENPV_NO_HANDLE;
}

static const struct xenpv_event_ops event_ops = {
    .alloc_unbound = event_alloc_unbound,
    .bind_interdomain = event_bind_interdomain,
    .notify = event_notify,
    .take = event_take,
    .unmask = event_unmask,
    .close = event_close,
    .forget = event_forget,
    .wait_handle = event_wait_handle,
};

static uint32_t sys_generation(void *ctx)
{
    LOCKED(uint32_t, domain->generation);
}

static void sys_log(void *ctx, enum xenpv_log_level level, const char *line)
{
    LOCKED_VOID(mock_log(domain, level, line));
}

static int sys_wallclock(void *ctx, uint64_t *ns)
{
    struct domain *domain = enter(ctx);

    *ns = domain->mock->wallclock + domain->mock->now * 1000000u;
    leave(domain);
    return XENPV_OK;
}

static const struct xenpv_sys_ops sys_ops = {
    .generation = sys_generation,
    .log = sys_log,
    .wallclock = sys_wallclock,
};

static uint64_t memory_pages(void *ctx)
{
    LOCKED(uint64_t, mock_memory_pages(domain));
}

static int64_t memory_release(void *ctx, uint32_t pages)
{
    LOCKED(int64_t, mock_memory_release(domain, pages));
}

static int64_t memory_take(void *ctx, uint32_t pages)
{
    LOCKED(int64_t, mock_memory_take(domain, pages));
}

static const struct xenpv_memory_ops memory_ops = {
    .pages = memory_pages,
    .release = memory_release,
    .take = memory_take,
};

void mock_port_init(struct domain *domain, struct xenpv_port *port)
{
    *port = (struct xenpv_port){
        .size = sizeof(*port),
        .caps = XENPV_CAP_TRANSACTIONS | XENPV_CAP_GRANT_OWN | XENPV_CAP_MAP | XENPV_CAP_COPY,
        .ctx = domain,
        .store = &store_ops,
        .grant = &grant_ops,
        .map = &map_ops,
        .event = &event_ops,
        .sys = &sys_ops,
        .memory = &memory_ops,
    };
}
