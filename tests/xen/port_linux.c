/* SPDX-License-Identifier: MIT */
/*
 * The Linux port on a real Xen, run in dom0 as root: every call, with domain 0 as its own peer.
 *
 *     port_linux               all checks, as "ok" and "not ok" lines; status 1 if one failed
 *     port_linux open [UID]    opens the port and says how that went, in one line
 *     port_linux survive       in a guest: goes through a restore
 *     port_linux claim CLASS ID [take]
 */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenpv/linux.h>

#define PAGE     ((size_t)XENPV_PAGE_SIZE)
#define PATIENCE 5000
#define HOME     "data/xenpv-port-test"

static struct xenpv_linux *handle;
static struct xenpv_port port;
static char last_log[256];
static unsigned checks, failures;

static bool check(bool good, const char *what, ...) __attribute__((format(printf, 2, 3)));
static bool check(bool good, const char *what, ...)
{
    va_list arguments;

    checks++;
    failures += !good;
    printf("%s %u - ", good ? "ok" : "not ok", checks);
    va_start(arguments, what);
    vprintf(what, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    return good;
}

static void check_rc(int rc, int expected, const char *what)
{
    if (rc == expected)
        check(true, "%s", what);
    else
        check(false, "%s: %d, not %d", what, rc, expected);
}

static void keep_log(void *ctx, enum xenpv_log_level level, const char *line)
{
    (void)ctx;
    printf("# log %d: %s\n", (int)level, line);
    if (level != XENPV_LOG_DEBUG)
        snprintf(last_log, sizeof(last_log), "%s", line);
}

/* ------------------------------------------------------------------------------------- store -- */

static int store_on(const struct xenpv_port *on, enum xenpv_store_type type, const char *name,
                    void *value, uint32_t capacity, uint32_t *length)
{
    struct xenpv_store_op op = {.type = type,
                                .dir = HOME,
                                .name = name,
                                .value = value,
                                .capacity = capacity,
                                .length = length ? *length : 0};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};

    on->store->start(on->ctx, &batch);
    if (length)
        *length = op.length;
    return batch.status ? batch.status : op.status;
}

static int store_write(const char *name, const char *value)
{
    char copy[64];
    uint32_t length = (uint32_t)strlen(value);

    snprintf(copy, sizeof(copy), "%s", value);
    return store_on(&port, XENPV_STORE_WRITE, name, copy, 0, &length);
}

static int store_rm(const char *name)
{
    return store_on(&port, XENPV_STORE_RM, name, NULL, 0, NULL);
}

static void check_store(void)
{
    char value[32] = "", big[3000];
    uint32_t length = 0;

    store_rm(NULL);
    check_rc(store_write("a/b/c", "deep"), 0, "write makes the parents");
    check_rc(store_on(&port, XENPV_STORE_READ, "a/b/c", value, sizeof(value), &length), 0, "read");
    check(length == 4 && memcmp(value, "deep", 5) == 0, "reads what was written");
    check_rc(store_on(&port, XENPV_STORE_READ, "a/b/c", value, 2, &length), XENPV_E2BIG,
             "cut read");
    check(length == 4, "true length of a cut value");
    check_rc(store_on(&port, XENPV_STORE_MKDIR, "a/x", NULL, 0, NULL), 0, "mkdir");
    check_rc(store_on(&port, XENPV_STORE_MKDIR, "a/x", NULL, 0, NULL), 0, "mkdir again");
    check_rc(store_on(&port, XENPV_STORE_LIST, "a", value, sizeof(value), &length), 0, "list");
    check(length == 4 && (memcmp(value, "b\0x", 4) == 0 || memcmp(value, "x\0b", 4) == 0),
          "lists both children");
    check_rc(store_on(&port, XENPV_STORE_LIST, "a/x", value, sizeof(value), &length), 0,
             "list of an empty node");
    check(length == 0, "has no names");
    check_rc(store_on(&port, XENPV_STORE_READ, "none", value, sizeof(value), &length), XENPV_ENOENT,
             "read of a missing node");
    check_rc(store_rm("none"), 0, "rm of a missing node");
    check_rc(store_rm("none/none/none"), XENPV_ENOENT, "rm below a missing node");
    check_rc(store_write("bad//path", "x"), XENPV_EINVAL, "malformed path");
    memset(big, 'v', sizeof(big));
    length = sizeof(big);
    check_rc(store_on(&port, XENPV_STORE_WRITE, "big", big, 0, &length), 0, "large write");
    check_rc(store_on(&port, XENPV_STORE_READ, "big", value, sizeof(value), &length), XENPV_E2BIG,
             "large read");
    check(length == sizeof(big), "true length of a large value");
    check_rc(store_rm("a"), 0, "rm of a tree");
    check_rc(store_on(&port, XENPV_STORE_READ, "a/b/c", value, sizeof(value), &length),
             XENPV_ENOENT, "is gone");
}

static void check_transaction(void)
{
    char one[] = "1", value[8];
    struct xenpv_store_op ops[] = {
        {.type = XENPV_STORE_READ, .dir = HOME, .name = "t/none"},
        {.type = XENPV_STORE_WRITE, .dir = HOME, .name = "t/1", .value = one, .length = 1},
        {.type = XENPV_STORE_WRITE, .dir = HOME, .name = "t//", .value = one, .length = 1},
    };
    struct xenpv_store_batch batch = {.ops = ops, .count = 3, .transaction = true};
    uint32_t length;

    port.store->start(port.ctx, &batch);
    check_rc(batch.status, XENPV_EINVAL, "a failing write gives the transaction up");
    check_rc(ops[0].status, XENPV_ENOENT, "a failing read does not");
    check_rc(store_on(&port, XENPV_STORE_READ, "t/1", value, 8, &length), XENPV_ENOENT,
             "nothing of it took effect");
    batch.count = 2;
    port.store->start(port.ctx, &batch);
    check_rc(batch.status, 0, "a transaction");
    check_rc(store_on(&port, XENPV_STORE_READ, "t/1", value, 8, &length), 0, "took effect");
}

static bool readable(xenpv_handle wait_handle, int ms)
{
    struct pollfd fd = {.fd = (int)wait_handle, .events = POLLIN};

    return poll(&fd, 1, ms) == 1;
}

static bool comes(const void *cookie)
{
    uint64_t deadline = xenpv_linux_now() + PATIENCE;

    while (!port.store->fired(port.ctx, cookie)) {
        readable(port.store->wait_handle(port.ctx), 100);
        if (xenpv_linux_now() > deadline)
            return false;
    }
    return true;
}

/* By the time a request is answered, events of before have come; this consumes them. */
static void settle(const void *cookie)
{
    char value[8];
    uint32_t length;

    store_on(&port, XENPV_STORE_READ, "none", value, sizeof(value), &length);
    port.store->fired(port.ctx, cookie);
}

static void check_watch(void)
{
    struct xenpv_linux *other_handle;
    struct xenpv_port other;
    char value[] = "x";
    uint32_t length = 1;
    int one = 0, two = 0;

    if (xenpv_linux_open_store(&other_handle, &other, NULL)) {
        check(false, "a second connection");
        return;
    }
    store_write("w", "0");
    check_rc(port.store->watch(port.ctx, HOME "/w", &one), 0, "watch");
    check_rc(port.store->watch(port.ctx, HOME "/none", &two), 0, "watch of a missing node");
    check(port.store->fired(port.ctx, &one), "a new watch has fired");
    check(port.store->fired(port.ctx, &two), "and the other");
    settle(&one);
    settle(&two);
    check(!port.store->fired(port.ctx, &one) && !readable(port.store->wait_handle(port.ctx), 0),
          "quiet");
    store_on(&other, XENPV_STORE_WRITE, "w/below", value, 0, &length);
    check(readable(port.store->wait_handle(port.ctx), PATIENCE), "a change below wakes");
    check(comes(&one) && !port.store->fired(port.ctx, &two), "and fires the one watch");
    port.store->unwatch(port.ctx, HOME "/w", &one);
    store_on(&other, XENPV_STORE_WRITE, "w", value, 0, &length);
    check(!port.store->fired(port.ctx, &one), "not after unwatch");
    port.store->unwatch(port.ctx, HOME "/none", &two);
    xenpv_linux_close(other_handle);
}

/* ----------------------------------------------------------------------- grant, map and copy -- */

static bool all_zero(const unsigned char *bytes, size_t count)
{
    while (count && !*bytes) {
        bytes++;
        count--;
    }
    return count == 0;
}

static void check_share_and_map(void)
{
    uint32_t refs[3];
    struct xenpv_grant_region region = {.pages = 3, .refs = refs};
    struct xenpv_map_entry entries[3];
    struct xenpv_map_region map = {.entries = entries, .count = 3};
    unsigned char *ours, *theirs;

    if (!check(port.grant->share(port.ctx, 0, &region) == 0, "share 3 pages"))
        return;
    ours = region.memory;
    check((uintptr_t)ours % PAGE == 0 && all_zero(ours, 3 * PAGE), "aligned and zeroed");
    check(refs[0] >= 8 && refs[0] != refs[1] && refs[1] != refs[2] && refs[0] != refs[2],
          "three references of their own");
    for (size_t i = 0; i < 3; i++) {
        entries[i].ref = refs[i];
        ours[i * PAGE] = (unsigned char)(i + 1);
    }
    check_rc(port.map->map(port.ctx, &map), 0, "map them");
    theirs = map.memory;
    if (!theirs)
        return;
    check(theirs[0] == 1 && theirs[PAGE] == 2 && theirs[2 * PAGE] == 3, "in this order");
    theirs[PAGE + 5] = 77;
    check(ours[PAGE + 5] == 77, "and writable");
    port.map->unmap(port.ctx, &map);

    map.flags = XENPV_MAP_READONLY;
    check_rc(port.map->map(port.ctx, &map), 0, "map for reading");
    theirs = map.memory;
    check(theirs[PAGE + 5] == 77, "and read");
    check_rc(port.grant->end(port.ctx, &region), XENPV_DEFERRED, "end while mapped");
    check(theirs[PAGE + 5] == 77, "the mapping stays");
    port.map->unmap(port.ctx, &map);
}

/* References no table has room for, of a page never granted, and of one no longer granted. */
static void check_bad_references(void)
{
    uint32_t ref;
    struct xenpv_grant_region region = {.pages = 1, .refs = &ref};
    struct xenpv_map_entry entries[4];
    struct xenpv_map_region map = {.entries = entries, .count = 4};
    char byte = 0;
    struct xenpv_copy_entry copy = {.local = &byte, .length = 1};

    if (!check(port.grant->share(port.ctx, 0, &region) == 0, "share a page"))
        return;
    entries[0].ref = entries[2].ref = ref;
    entries[1].ref = 0x7fffffff;
    entries[3].ref = ref + 100;
    check(port.map->map(port.ctx, &map) != 0 && !map.memory, "a region with bad references");
    check(entries[0].status == 0 && entries[2].status == 0, "the good ones are told apart");
    check_rc(entries[1].status, XENPV_ENOENT, "beyond the table");
    check_rc(entries[3].status, XENPV_EACCES, "never granted");
    map.count = 1;
    check_rc(port.map->map(port.ctx, &map), 0, "the good one by itself");
    port.map->unmap(port.ctx, &map);
    map.domid = 1000;
    check_rc(port.map->map(port.ctx, &map), XENPV_ENOENT, "of a domain that is not there");
    check_rc(entries[0].status, XENPV_ENOENT, "says the entry");
    check_rc(port.grant->end(port.ctx, &region), XENPV_DEFERRED, "end");
    copy.ref = ref;
    check_rc(port.map->copy(port.ctx, &copy, 1), XENPV_EACCES, "no access once ended");
    check_rc(copy.status, XENPV_EACCES, "says the entry");
}

static void check_copy(void)
{
    enum { COUNT = 70 };
    uint32_t refs[2];
    struct xenpv_grant_region region = {.pages = 2, .refs = refs};
    struct xenpv_copy_entry entries[COUNT];
    unsigned char local[COUNT], *ours;
    bool good = true;

    if (!check(port.grant->share(port.ctx, 0, &region) == 0, "share 2 pages"))
        return;
    ours = region.memory;
    for (size_t i = 0; i < COUNT; i++) {
        local[i] = (unsigned char)(i + 1);
        entries[i] = (struct xenpv_copy_entry){.local = &local[i],
                                               .ref = refs[i % 2],
                                               .offset = (uint16_t)(4095 - i),
                                               .length = 1,
                                               .to_peer = true};
    }
    entries[1].offset = 4096;
    entries[33].ref = 0x7fffffff;
    check_rc(port.map->copy(port.ctx, entries, COUNT), XENPV_EINVAL, "copy out, two of 70 bad");
    for (size_t i = 0; i < COUNT; i++) {
        int status = i == 1 ? XENPV_EINVAL : i == 33 ? XENPV_ENOENT : 0;
        unsigned char there = ours[i % 2 * PAGE + 4095 - i];

        good = good && entries[i].status == status && there == (status ? 0 : i + 1);
    }
    check(good, "each by its own status and bytes");
    memset(local, 0, sizeof(local));
    for (size_t i = 0; i < COUNT; i++)
        entries[i].to_peer = false;
    port.map->copy(port.ctx, entries, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        good = good && local[i] == (i == 1 || i == 33 ? 0 : i + 1);
    check(good, "copy in");
    port.grant->end(port.ctx, &region);
}

static bool set_grant_limit(const char *pages)
{
    FILE *file = fopen("/sys/module/xen_gntalloc/parameters/limit", "w");
    bool written = file && fputs(pages, file) >= 0;

    return file && fclose(file) == 0 && written;
}

static void check_grant_limit(void)
{
    uint32_t refs[200];
    struct xenpv_grant_region region = {.pages = 200, .refs = refs};
    int rounds = 0;

    check(set_grant_limit("199"), "set the limit of the module");
    last_log[0] = '\0';
    check_rc(port.grant->share(port.ctx, 0, &region), XENPV_ENOGRANT, "share more than the limit");
    check(strstr(last_log, "xen_gntalloc/parameters/limit") != NULL, "the log names the limit");
    region.pages = 0;
    check_rc(port.grant->share(port.ctx, 0, &region), XENPV_EINVAL, "share nothing");
    region.pages = 199;
    while (rounds < 20 && port.grant->share(port.ctx, 0, &region) == 0) {
        port.grant->forget(port.ctx, &region);
        rounds++;
    }
    check(rounds == 20, "%d times 199 pages: what was let go is free again", rounds);
    check(set_grant_limit("1024"), "set the limit back");
}

/* ------------------------------------------------------------------------------------- event -- */

static bool arrives(uint32_t number, int ms)
{
    return readable(port.event->wait_handle(port.ctx, number), ms);
}

static void check_events(void)
{
    uint32_t a = 0, b = 0, none;

    check_rc(port.event->alloc_unbound(port.ctx, 0, &a), 0, "allocate an unbound port");
    check_rc(port.event->bind_interdomain(port.ctx, 0, a, &b), 0, "bind it");
    check(a && b && a != b, "two ports");
    check(port.event->wait_handle(port.ctx, a) != port.event->wait_handle(port.ctx, b),
          "a wait handle each");
    check(arrives(b, PATIENCE) && port.event->take(port.ctx, b), "binding leaves one event");
    port.event->unmask(port.ctx, b);
    check(!arrives(a, 0) && !port.event->take(port.ctx, a), "no event yet");
    check_rc(port.event->notify(port.ctx, b), 0, "notify");
    check(arrives(a, PATIENCE), "arrives");
    check(!arrives(b, 0), "at the other end only");
    check(port.event->take(port.ctx, a), "is taken");
    check(!port.event->take(port.ctx, a) && !arrives(a, 0), "once");
    port.event->notify(port.ctx, b);
    check(!arrives(a, 50), "nothing more while masked");
    port.event->unmask(port.ctx, a);
    check(arrives(a, PATIENCE) && port.event->take(port.ctx, a), "but after unmask");
    port.event->unmask(port.ctx, a);
    check_rc(port.event->notify(port.ctx, a), 0, "the other way");
    check(arrives(b, PATIENCE) && port.event->take(port.ctx, b), "arrives");
    port.event->close(port.ctx, b);
    check_rc(port.event->notify(port.ctx, b), XENPV_ENOENT, "notify on a closed port");
    check(!port.event->take(port.ctx, b), "take on a closed port");
    check_rc(port.event->notify(port.ctx, a), 0, "notify to a closed peer has no effect");
    port.event->close(port.ctx, a);
    check(port.event->wait_handle(port.ctx, a) == XENPV_NO_HANDLE, "no wait handle when closed");
    check_rc(port.event->bind_interdomain(port.ctx, 0, a, &none), XENPV_ENOENT,
             "bind to a closed port");
    check_rc(port.event->bind_interdomain(port.ctx, 1000, 1, &none), XENPV_ENOENT,
             "bind to a domain that is not there");
    check_rc(port.event->bind_interdomain(port.ctx, 0, 0x7fffffff, &none), XENPV_ENOENT,
             "bind to a number that is no port");
    check_rc(port.event->notify(port.ctx, 0x7fffffff), XENPV_ENOENT, "notify no port");
}

static void check_many_events(void)
{
    enum { MANY = 200 };
    uint32_t numbers[MANY];
    int made = 0;

    while (made < MANY && port.event->alloc_unbound(port.ctx, 0, &numbers[made]) == 0)
        made++;
    check(made == MANY, "%d of %d ports", made, MANY);
    while (made--)
        port.event->close(port.ctx, numbers[made]);
}

/* -------------------------------------------------------------------------------- generation -- */

static int write_domid(const char *value)
{
    char copy[8];
    struct xenpv_store_op op = {.type = XENPV_STORE_WRITE,
                                .dir = "domid",
                                .value = copy,
                                .length = (uint32_t)strlen(value)};
    struct xenpv_store_batch batch = {.ops = &op, .count = 1};

    snprintf(copy, sizeof(copy), "%s", value);
    port.store->start(port.ctx, &batch);
    return op.status;
}

static bool generation_becomes(uint32_t expected)
{
    uint64_t deadline = xenpv_linux_now() + PATIENCE;

    while (port.sys->generation(port.ctx) != expected)
        if (xenpv_linux_now() > deadline)
            return false;
    return true;
}

/* The store is made to look as it does after a restore; the kernel underneath goes on as before. */
static void check_generation(void)
{
    uint32_t stale, fresh;
    xenpv_handle stale_fd;

    check(port.sys->generation(port.ctx) == 0, "generation 0");
    check_rc(port.event->alloc_unbound(port.ctx, 0, &stale), 0, "a port of before");
    stale_fd = port.event->wait_handle(port.ctx, stale);
    check_rc(write_domid("0"), 0, "the same domid");
    check_rc(write_domid("5"), 0, "another domid");
    port.event->close(port.ctx, stale);
    check(port.event->wait_handle(port.ctx, stale) == XENPV_NO_HANDLE &&
              fcntl((int)stale_fd, F_GETFD) >= 0,
          "a stale port is abandoned, not closed, even before anybody noticed");
    check(generation_becomes(1), "generation 1: not 2, the same domid was no restore");
    check_rc(port.event->alloc_unbound(port.ctx, 0, &fresh), 0, "a port of after");
    stale_fd = port.event->wait_handle(port.ctx, fresh);
    port.event->close(port.ctx, fresh);
    check(fcntl((int)stale_fd, F_GETFD) < 0, "is closed");
    check_rc(write_domid("0"), 0, "the first domid");
    check(generation_becomes(2), "generation 2");
}

/* As another user, if one is given: root passes every permission. */
static int say_open(const char *user)
{
    struct xenpv_linux_error error = {""};
    int rc;

    if (user && setuid((uid_t)strtoul(user, NULL, 10))) {
        perror("setuid");
        return 2;
    }
    rc = xenpv_linux_open(&handle, &port, &error);

    if (rc == 0)
        printf("open, caps %x, %s map calls\n", port.caps, port.map ? "with" : "without");
    else
        printf("error %d: %s\n", rc, error.text);
    if (rc == 0)
        xenpv_linux_close(handle);
    return rc != 0;
}

/*
 * In a guest: holds a page and a port, says so, and waits to be restored; then starts anew with the
 * peer that dom0 always is. It never ends, for ending is what Linux 6.1 cannot stand then.
 */
static int survive(void)
{
    enum { PORTS = 8 };
    uint32_t ref, before[PORTS], after[PORTS];
    struct xenpv_grant_region region = {.pages = 1, .refs = &ref};
    xenpv_handle old_fd;
    bool apart = true, alive = true;
    int cookie = 0;

    if (xenpv_linux_open(&handle, &port, NULL))
        return 1;
    check_rc(port.store->watch(port.ctx, "data", &cookie), 0, "watch");
    check_rc(port.grant->share(port.ctx, 0, &region), 0, "share a page");
    for (int i = 0; i < PORTS; i++)
        check_rc(port.event->alloc_unbound(port.ctx, 0, &before[i]), 0, "allocate a port");
    old_fd = port.event->wait_handle(port.ctx, before[0]);
    settle(&cookie);
    printf("# held\n");
    while (port.sys->generation(port.ctx) == 0)
        readable(port.store->wait_handle(port.ctx), -1);
    check(port.sys->generation(port.ctx) == 1, "generation 1");
    check(comes(&cookie), "the watch has fired again");
    port.grant->forget(port.ctx, &region);
    check_rc(port.grant->share(port.ctx, 0, &region), 0, "share a page");
    for (int i = 0; i < PORTS; i++) {
        check_rc(port.event->alloc_unbound(port.ctx, 0, &after[i]), 0, "allocate a port");
        printf("# port %u, before %u\n", after[i], before[i]);
        for (int j = 0; j < PORTS; j++)
            apart = apart && after[i] != before[j];
    }
    check(apart, "no new port has the number of a stale one");
    port.event->close(port.ctx, before[0]);
    for (int i = 1; i < PORTS; i++)
        port.event->forget(port.ctx, before[i]);
    check(fcntl((int)old_fd, F_GETFD) >= 0, "the old ports are abandoned, even by close");
    check(port.event->wait_handle(port.ctx, before[0]) == XENPV_NO_HANDLE, "and forgotten");
    port.event->forget(port.ctx, after[0]);
    for (int i = 0; i < PORTS; i++)
        alive = alive && port.event->notify(port.ctx, after[i]) == 0;
    check(alive, "the new ones are there");
    check_rc(port.grant->end(port.ctx, &region), XENPV_DEFERRED, "end");
    xenpv_linux_close(handle);
    check(fcntl((int)old_fd, F_GETFD) >= 0, "the old port is still open");
    printf("# done, %u failures\n", failures);
    fflush(stdout);
    for (;;)
        pause();
}

static int try_claim(char **argument)
{
    struct xenpv_linux_error error = {""};
    struct xenpv_linux_claim *claim;
    uint32_t id = (uint32_t)strtoul(argument[1], NULL, 10);
    char holder[64];
    int rc;

    xenpv_linux_holder(argument[0], id, holder, sizeof(holder));
    rc = xenpv_linux_claim(argument[0], id, argument[2] != NULL, PATIENCE, &claim, &error);
    printf("holder '%s', claim %d %s\n", holder, rc, error.text);
    return rc != 0;
}

int main(int argc, char **argv)
{
    struct xenpv_linux_error error = {""};

    if (argc >= 2 && strcmp(argv[1], "open") == 0)
        return say_open(argv[2]);
    if (argc == 2 && strcmp(argv[1], "survive") == 0)
        return survive();
    if (argc >= 4 && strcmp(argv[1], "claim") == 0)
        return try_claim(argv + 2);
    if (!check(xenpv_linux_open(&handle, &port, &error) == 0, "open %s", error.text))
        return 1;
    xenpv_linux_set_log(handle, keep_log, NULL);
    check(port.caps == (XENPV_CAP_TRANSACTIONS | XENPV_CAP_MAP | XENPV_CAP_COPY | XENPV_CAP_WAIT),
          "capabilities %x", port.caps);
    check_store();
    check_transaction();
    check_watch();
    check_share_and_map();
    check_bad_references();
    check_copy();
    check_grant_limit();
    check_events();
    check_many_events();
    check_generation();
    store_rm(NULL);
    xenpv_linux_close(handle);
    printf("1..%u\n", checks);
    return failures != 0;
}
