/* SPDX-License-Identifier: MIT */
/*
 * usage: blkback_serve BACKEND-DIRECTORY FILE|MEGABYTES
 *
 * Our block backend, in the domain where it runs: a driver domain, or dom0. The directory was made
 * by the toolstack, e.g. backend/vbd/7/51712. Serves a file or block device, or that many zeroes in
 * memory, until SIGTERM, or until the directory has gone.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <xenpv/harness/blkback.h>
#include <xenpv/linux.h>

enum { QUEUES = 4 };

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void *allocate(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return aligned_alloc(align, (bytes + align - 1) & ~(align - 1));
}

static void release(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

static const struct xenpv_allocator allocator = {NULL, allocate, release};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "blkback_serve: %s: %s\n", what, why);
    exit(1);
}

static void must(int rc, const char *what)
{
    if (rc)
        die(what, xenpv_error_text(rc));
}

static void open_disk(const char *name, struct xenpv_disk *disk)
{
    char *end;
    unsigned long megabytes = strtoul(name, &end, 10);

    if (*end)
        must(xenpv_disk_file(&allocator, name, false, disk), name);
    else
        must(xenpv_disk_memory(&allocator, (uint64_t)megabytes << 20, disk), name);
}

static void wait(const struct xenpv_port *port, const struct xenpv_blkback *back)
{
    struct pollfd fds[1 + QUEUES] = {{(int)port->store->wait_handle(port->ctx), POLLIN, 0}};
    uint64_t now = xenpv_linux_now(), deadline = xenpv_blkback_deadline(back);
    uint32_t count = xenpv_blkback_queues(back);

    for (uint32_t i = 0; i < count; i++)
        fds[1 + i] = (struct pollfd){(int)xenpv_blkback_wait_handle(back, i), POLLIN, 0};
    if (deadline > now)
        poll(fds, 1 + count, deadline - now < 60000 ? (int)(deadline - now) : 60000);
}

/* One line for whatever is new. */
static void tell(const struct xenpv_blkback *back, enum xenpv_bus_phase phase)
{
    static enum xenpv_bus_phase told = XENPV_BUS_IDLE;
    const struct xenpv_detail *detail = xenpv_blkback_detail(back);

    if (phase == told)
        return;
    told = phase;
    if (phase == XENPV_BUS_PUBLISHED)
        printf("offered\n");
    else if (phase == XENPV_BUS_CONNECTED)
        printf("connected, %u queues\n", xenpv_blkback_queues(back));
    if (detail->error)
        printf("%s: %s (%s found '%s')\n", detail->step ? detail->step : "",
               xenpv_error_text(detail->error), detail->key, detail->found);
}

int main(int argc, char **argv)
{
    struct xenpv_linux_error error = {""};
    struct xenpv_blkback_config config;
    struct xenpv_blkback_stats stats;
    struct xenpv_linux *linux;
    struct xenpv_blkback *back;
    struct xenpv_port port;
    struct xenpv_disk disk;
    enum xenpv_bus_phase phase;

    if (argc != 3)
        die("usage", "blkback_serve BACKEND-DIRECTORY FILE|MEGABYTES");
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    if (xenpv_linux_open(&linux, &port, &error))
        die("Xen", error.text);
    open_disk(argv[2], &disk);
    xenpv_blkback_config_init(&config, &port, argv[1], &disk, &allocator);
    config.queues = QUEUES;
    must(xenpv_blkback_create(&config, &back), argv[1]);
    must(xenpv_blkback_start(back, xenpv_linux_now()), argv[1]);
    while ((phase = xenpv_blkback_step(back, xenpv_linux_now())) != XENPV_BUS_DONE) {
        tell(back, phase);
        if (stop)
            xenpv_blkback_close(back, xenpv_linux_now());
        stop = 0;
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
