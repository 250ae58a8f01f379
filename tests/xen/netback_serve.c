/* SPDX-License-Identifier: MIT */
/*
 * usage: netback_serve BACKEND-DIRECTORY TAP
 *
 * Our network backend, in the domain where it runs: a driver domain, or dom0. The directory was
 * made by the toolstack, e.g. backend/vif/7/0. Joins the vif to the TAP device of that name, until
 * SIGTERM, or until the directory has gone.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <xenpv/harness/netback.h>
#include <xenpv/linux.h>

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
    fprintf(stderr, "netback_serve: %s: %s\n", what, why);
    exit(1);
}

static void must(int rc, const char *what)
{
    if (rc)
        die(what, xenpv_error_text(rc));
}

static void wait(const struct xenpv_port *port, const struct xenpv_link *link,
                 const struct xenpv_netback *back)
{
    static xenpv_handle handles[XENPV_NETBACK_HANDLES];
    static struct pollfd fds[2 + XENPV_NETBACK_HANDLES];
    uint64_t now = xenpv_linux_now(), deadline = xenpv_netback_deadline(back);
    uint32_t count = xenpv_netback_wait_handles(back, handles);

    fds[0] = (struct pollfd){(int)port->store->wait_handle(port->ctx), POLLIN, 0};
    fds[1] = (struct pollfd){-1, POLLIN, 0};
    if (xenpv_netback_takes_frames(back))
        fds[1].fd = (int)link->wait_handle(link->ctx);
    for (uint32_t i = 0; i < count; i++)
        fds[2 + i] = (struct pollfd){(int)handles[i], POLLIN, 0};
    if (deadline > now)
        poll(fds, 2 + count, deadline - now < 60000 ? (int)(deadline - now) : 60000);
}

/* One line for whatever is new. */
static void tell(const struct xenpv_netback *back, enum xenpv_bus_phase phase)
{
    static enum xenpv_bus_phase told = XENPV_BUS_IDLE;
    const struct xenpv_detail *detail = xenpv_netback_detail(back);

    if (phase == told)
        return;
    told = phase;
    if (phase == XENPV_BUS_PUBLISHED)
        printf("offered\n");
    else if (phase == XENPV_BUS_CONNECTED)
        printf("connected, %u queues\n", xenpv_netback_queues(back));
    if (detail->error)
        printf("%s: %s (%s found '%s')\n", detail->step ? detail->step : "",
               xenpv_error_text(detail->error), detail->key, detail->found);
}

int main(int argc, char **argv)
{
    struct xenpv_linux_error error = {""};
    struct xenpv_netback_config config;
    struct xenpv_netback_stats stats;
    struct xenpv_linux *linux;
    struct xenpv_netback *back;
    struct xenpv_port port;
    struct xenpv_link link;
    enum xenpv_bus_phase phase;

    if (argc != 3)
        die("usage", "netback_serve BACKEND-DIRECTORY TAP");
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    if (xenpv_linux_open(&linux, &port, &error))
        die("Xen", error.text);
    must(xenpv_link_tap(&allocator, argv[2], &link), argv[2]);
    xenpv_netback_config_init(&config, &port, argv[1], &link, &allocator);
    must(xenpv_netback_create(&config, &back), argv[1]);
    must(xenpv_netback_start(back, xenpv_linux_now()), argv[1]);
    while ((phase = xenpv_netback_step(back, xenpv_linux_now())) != XENPV_BUS_DONE) {
        tell(back, phase);
        if (stop)
            xenpv_netback_close(back, xenpv_linux_now());
        stop = 0;
        wait(&port, &link, back);
    }
    xenpv_netback_stats(back, &stats);
    printf("done: %llu frames from the frontend, %llu errors; %llu to it, %llu dropped\n",
           (unsigned long long)stats.tx_frames, (unsigned long long)stats.tx_errors,
           (unsigned long long)stats.rx_frames, (unsigned long long)stats.rx_dropped);
    xenpv_netback_destroy(back);
    link.close(link.ctx);
    xenpv_linux_close(linux);
    return 0;
}
