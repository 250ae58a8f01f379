/* SPDX-License-Identifier: MIT */
/* Joins two links byte for byte: the host's guest port and the guest's vchan. */
#include "link.h"
#include "util.h"
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 << 10, ENOUGH = 256 << 10, WAIT_MS = 60000 };

/* False when either end is gone. */
static bool carry(struct link *from, struct link *to, struct bytes *queue)
{
    ssize_t in, out;

    do {
        in = out = 0;
        if (bytes_length(queue) < ENOUGH)
            in = link_read(from, bytes_reserve(queue, CHUNK), CHUNK);
        if (in > 0)
            bytes_added(queue, (size_t)in);
        if (bytes_length(queue) > 0)
            out = link_write(to, queue->base + queue->head, bytes_length(queue));
        if (out > 0)
            bytes_taken(queue, (size_t)out);
    } while (in > 0 || out > 0);
    return in == 0 && out == 0;
}

int main(int argc, char **argv)
{
    struct link *ends[2];
    struct bytes queues[2] = {{0}, {0}};

    if (argc != 3)
        die("usage: lab-relay LINK LINK");
    for (int i = 0; i < 2; i++) {
        ends[i] = link_open(argv[i + 1], now_ms() + WAIT_MS);
        if (ends[i] == NULL)
            die("nothing answers at %s", argv[i + 1]);
    }
    while (carry(ends[0], ends[1], &queues[0]) && carry(ends[1], ends[0], &queues[1])) {
        struct pollfd fds[2] = {link_poll(ends[0], bytes_length(&queues[1]) > 0),
                                link_poll(ends[1], bytes_length(&queues[0]) > 0)};

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            die("poll: %s", strerror(errno));
        link_polled(ends[0], fds[0].revents);
        link_polled(ends[1], fds[1].revents);
    }
    return 0;
}
