/* SPDX-License-Identifier: MIT */
#include "link.h"

#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <libxenvchan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenstore.h>

/* Below the guest's own data/ directory: the guest needs no device node for it. */
#define VCHAN_DIR "data/xenlab"
#define SERVER    "vchan-server:"

enum { VCHAN_BUFFER = 128 << 10, RETRY_US = 20000 };

struct link {
    int fd;                    /* of a file; -1 for a vchan */
    struct libxenvchan *vchan; /* NULL for a file */
};

static struct link *link_new(int fd, struct libxenvchan *vchan)
{
    struct link *l = malloc(sizeof(*l));

    if (l == NULL)
        die("out of memory");
    l->fd = fd;
    l->vchan = vchan;
    if (fd >= 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        die("fcntl: %s", strerror(errno));
    if (vchan != NULL)
        vchan->blocking = 0;
    return l;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket: %s", strerror(errno));
    if (strlen(path) >= sizeof(address.sun_path))
        die("socket path too long: %s", path);
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (errno != ENOENT && errno != ECONNREFUSED)
        die("cannot connect to %s: %s", path, strerror(errno));
    close(fd);
    return -1;
}

static struct link *open_unix(const char *path, int64_t deadline)
{
    int fd;

    while ((fd = connect_unix(path)) < 0) {
        if (now_ms() >= deadline)
            return NULL;
        usleep(RETRY_US);
    }
    return link_new(fd, NULL);
}

static struct link *open_device(const char *path, int64_t deadline)
{
    struct pollfd port = {.fd = open(path, O_RDWR | O_CLOEXEC), .events = POLLOUT};

    if (port.fd < 0)
        die("cannot open %s: %s", path, strerror(errno));
    /* The driver learns late that the host is there, and until then reads say end of file. */
    while (poll(&port, 1, 0) > 0 && (port.revents & POLLHUP) != 0) {
        if (now_ms() >= deadline)
            return NULL;
        usleep(RETRY_US);
    }
    return link_new(port.fd, NULL);
}

static struct xs_handle *open_store(void)
{
    struct xs_handle *xs = xs_open(0);

    if (xs == NULL)
        die("cannot reach xenstored: %s", strerror(errno));
    return xs;
}

/* The agent's "ready" node announces one ring; whoever removes it owns that ring, so a ring of a
 * session that is over is never taken for a new one. Callers serialise themselves (flock). Its value
 * is the domain for which the agent was started: a guest that was restored meanwhile has another. */
static bool claim_ring(struct xs_handle *xs, unsigned domid, const char *ready)
{
    unsigned length;
    char *value = xs_read(xs, XBT_NULL, ready, &length);
    bool own = value != NULL && strtoul(value, NULL, 10) == domid;

    free(value);
    return own && xs_rm(xs, XBT_NULL, ready);
}

static bool wait_for_ring(struct xs_handle *xs, unsigned domid, const char *ready, int64_t deadline)
{
    struct pollfd change = {.fd = xs_fileno(xs), .events = POLLIN};

    if (!xs_watch(xs, ready, "ready") || !xs_watch(xs, "@releaseDomain", "gone"))
        die("xenstore watch: %s", strerror(errno));
    while (!claim_ring(xs, domid, ready)) {
        char **event;

        if (!xs_is_domain_introduced(xs, domid))
            die("domain %u does not run", domid);
        if (now_ms() >= deadline || poll(&change, 1, (int)(deadline - now_ms())) == 0)
            return false;
        while ((event = xs_check_watch(xs)) != NULL)
            free(event);
    }
    return true;
}

static struct link *open_vchan_client(const char *domain, int64_t deadline)
{
    unsigned domid = (unsigned)strtoul(domain, NULL, 10);
    struct xs_handle *xs = open_store();
    struct libxenvchan *vchan;
    char dir[64], ready[80];

    snprintf(dir, sizeof(dir), "/local/domain/%u/" VCHAN_DIR, domid);
    snprintf(ready, sizeof(ready), "%s/ready", dir);
    if (!wait_for_ring(xs, domid, ready, deadline)) {
        xs_close(xs);
        return NULL;
    }
    xs_close(xs);
    vchan = libxenvchan_client_init(NULL, (int)domid, dir);
    if (vchan == NULL)
        die("cannot connect to the vchan of domain %u: %s", domid, strerror(errno));
    return link_new(-1, vchan);
}

static struct link *open_vchan_server(const char *domid)
{
    struct libxenvchan *vchan =
        libxenvchan_server_init(NULL, 0, VCHAN_DIR, VCHAN_BUFFER, VCHAN_BUFFER);
    struct xs_handle *xs = open_store();

    if (vchan == NULL)
        die("cannot offer a vchan to dom0: %s", strerror(errno));
    if (!xs_write(xs, XBT_NULL, VCHAN_DIR "/ready", domid, (unsigned)strlen(domid)))
        die("xenstore write " VCHAN_DIR "/ready: %s", strerror(errno));
    xs_close(xs);
    return link_new(-1, vchan);
}

static const char *after(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

bool link_is_server(const char *name)
{
    return after(name, SERVER) != NULL;
}

struct link *link_open(const char *name, int64_t deadline)
{
    const char *rest;

    if ((rest = after(name, "unix:")) != NULL)
        return open_unix(rest, deadline);
    if ((rest = after(name, "dev:")) != NULL)
        return open_device(rest, deadline);
    if ((rest = after(name, "vchan:")) != NULL)
        return open_vchan_client(rest, deadline);
    if ((rest = after(name, SERVER)) != NULL)
        return open_vchan_server(rest);
    die("not a link: %s", name);
}

void link_close(struct link *l)
{
    if (l->vchan != NULL)
        libxenvchan_close(l->vchan);
    else
        close(l->fd);
    free(l);
}

ssize_t link_read(struct link *l, void *data, size_t size)
{
    ssize_t n;

    if (l->vchan != NULL)
        return libxenvchan_read(l->vchan, data, size);
    n = read(l->fd, data, size);
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

ssize_t link_write(struct link *l, const void *data, size_t size)
{
    ssize_t n;

    if (l->vchan != NULL)
        return libxenvchan_write(l->vchan, data, size);
    n = write(l->fd, data, size);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

struct pollfd link_poll(const struct link *l, bool to_write)
{
    if (l->vchan != NULL)
        return (struct pollfd){.fd = libxenvchan_fd_for_select(l->vchan), .events = POLLIN};
    return (struct pollfd){.fd = l->fd, .events = (short)(to_write ? POLLIN | POLLOUT : POLLIN)};
}

void link_polled(struct link *l, short revents)
{
    if (l->vchan != NULL && revents != 0)
        libxenvchan_wait(l->vchan);
}
