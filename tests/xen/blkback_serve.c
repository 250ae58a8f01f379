/* SPDX-License-Identifier: MIT */
/*
 * usage: blkback_serve BACKEND-DIRECTORY FILE|MEGABYTES
 *
 * Our block backend, in the domain where it runs: a driver domain, or dom0. The directory was made
 * by the toolstack, e.g. backend/vbd/7/51712. Serves a file or block device, or that many zeroes in
 * memory, until SIGTERM, or until the directory has gone.
 */
#include <stdio.h>
#include <stdlib.h>

#include <xenpv/harness/blkback.h>

#include "serve.h"

enum { QUEUES = 4 };

static void open_disk(const char *name, struct xenpv_disk *disk)
{
    char *end;
    unsigned long megabytes = strtoul(name, &end, 10);

    if (*end)
        serve_must(xenpv_disk_file(&serve_allocator, name, false, disk), name);
    else
        serve_must(xenpv_disk_memory(&serve_allocator, (uint64_t)megabytes << 20, disk), name);
}

static void wait(const struct xenpv_port *port, const struct xenpv_blkback *back)
{
    struct pollfd fds[1 + QUEUES] = {{(int)port->store->wait_handle(port->ctx), POLLIN, 0}};
    uint32_t count = xenpv_blkback_queues(back);

    for (uint32_t i = 0; i < count; i++)
        fds[1 + i] = (struct pollfd){(int)xenpv_blkback_wait_handle(back, i), POLLIN, 0};
    serve_wait(fds, 1 + count, xenpv_blkback_deadline(back));
}

int main(int argc, char **argv)
{
    struct xenpv_blkback_config config;
    struct xenpv_blkback_stats stats;
    struct xenpv_linux *linux;
    struct xenpv_blkback *back;
    struct xenpv_port port;
    struct xenpv_disk disk;
    enum xenpv_bus_phase phase;

    if (argc != 3)
        serve_die("usage", "blkback_serve BACKEND-DIRECTORY FILE|MEGABYTES");
    linux = serve_open(&port);
    open_disk(argv[2], &disk);
    xenpv_blkback_config_init(&config, &port, argv[1], &disk, &serve_allocator);
    config.queues = QUEUES;
    serve_must(xenpv_blkback_create(&config, &back), argv[1]);
    serve_must(xenpv_blkback_start(back, xenpv_linux_now()), argv[1]);
    while ((phase = xenpv_blkback_step(back, xenpv_linux_now())) != XENPV_BUS_DONE) {
        serve_tell(phase, xenpv_blkback_queues(back), xenpv_blkback_detail(back));
        if (serve_told_to_stop())
            xenpv_blkback_close(back, xenpv_linux_now());
        wait(&port, back);
    }
    xenpv_blkback_stats(back, &stats);
    printf("done: %llu requests, %llu refused\n", (unsigned long long)stats.requests,
           (unsigned long long)stats.refused);
    xenpv_blkback_destroy(back);
    disk.close(disk.ctx);
    xenpv_linux_close(linux);
    return 0;
}
