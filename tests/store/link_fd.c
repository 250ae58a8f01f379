/* SPDX-License-Identifier: MIT */
/* Transport: a file descriptor, of xenstored's socket or of Linux's /dev/xen/xenbus. */
#include "links.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct link {
    int fd;
};

int open_store(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strncmp(path, "/dev/", 5) == 0)
        return open(path, O_RDWR | O_CLOEXEC);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* `ctx` is the path. */
static struct link *fd_open(void *ctx, enum party party)
{
    struct link *link = malloc(sizeof(*link));

    (void)party;
    link->fd = open_store(ctx);
    if (link->fd >= 0)
        return link;
    free(link);
    return NULL;
}

static int fd_send(struct link *link, const void *bytes, size_t count)
{
    const char *at = bytes;

    while (count > 0) {
        ssize_t sent = write(link->fd, at, count);

        if (sent < 0)
            return errno;
        at += sent;
        count -= (size_t)sent;
    }
    return 0;
}

static long fd_receive(struct link *link, void *bytes, size_t capacity)
{
    struct pollfd ready = {.fd = link->fd, .events = POLLIN};
    long got;

    if (poll(&ready, 1, 10000) <= 0)
        return -1;
    got = read(link->fd, bytes, capacity);
    return got < 0 && errno == ECONNRESET ? 0 : got;
}

static void fd_close(struct link *link)
{
    close(link->fd);
    free(link);
}

const struct transport fd_transport = {fd_open, fd_send, fd_receive, fd_close};
