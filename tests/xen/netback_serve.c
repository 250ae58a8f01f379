/* SPDX-License-Identifier: MIT */
/*
 * usage: netback_serve BACKEND-DIRECTORY TAP
 *
 * Our network backend, in the domain where it runs: a driver domain, or dom0. The directory was
 * made by the toolstack, e.g. backend/vif/7/0. Joins the vif to the TAP device of that name, until
 * SIGTERM, or until the directory has gone.
 */
#include <stdio.h>

#include <xenpv/harness/netback.h>

#include "serve.h"

static void wait(const struct xenpv_port *port, const struct xenpv_link *link,
                 const struct xenpv_netback *back)
{
    static xenpv_handle handles[XENPV_NETBACK_HANDLES];
    static struct pollfd fds[2 + XENPV_NETBACK_HANDLES];
    uint32_t count = xenpv_netback_wait_handles(back, handles);

    fds[0] = (struct pollfd){(int)port->store->wait_handle(port->ctx), POLLIN, 0};
    fds[1] = (struct pollfd){-1, POLLIN, 0};
    if (xenpv_netback_takes_frames(back))
        fds[1].fd = (int)link->wait_handle(link->ctx);
    for (uint32_t i = 0; i < count; i++)
        fds[2 + i] = (struct pollfd){(int)handles[i], POLLIN, 0};
    serve_wait(fds, 2 + count, xenpv_netback_deadline(back));
}

int main(int argc, char **argv)
{
    struct xenpv_netback_config config;
    struct xenpv_netback_stats stats;
    struct xenpv_linux *linux;
    struct xenpv_netback *back;
    struct xenpv_port port;
    struct xenpv_link link;
    enum xenpv_bus_phase phase;

    if (argc != 3)
        serve_die("usage", "netback_serve BACKEND-DIRECTORY TAP");
    linux = serve_open(&port);
    serve_must(xenpv_link_tap(&serve_allocator, argv[2], &link), argv[2]);
    xenpv_netback_config_init(&config, &port, argv[1], &link, &serve_allocator);
    serve_must(xenpv_netback_create(&config, &back), argv[1]);
    serve_must(xenpv_netback_start(back, xenpv_linux_now()), argv[1]);
    while ((phase = xenpv_netback_step(back, xenpv_linux_now())) != XENPV_BUS_DONE) {
        serve_tell(phase, xenpv_netback_queues(back), xenpv_netback_detail(back));
        if (serve_told_to_stop())
            xenpv_netback_close(back, xenpv_linux_now());
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
