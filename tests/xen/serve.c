/* SPDX-License-Identifier: MIT */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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

const struct xenpv_allocator serve_allocator = {NULL, allocate, release};

_Noreturn void serve_die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
    exit(1);
}

void serve_must(int rc, const char *what)
{
    if (rc)
        serve_die(what, xenpv_error_text(rc));
}

struct xenpv_linux *serve_open(struct xenpv_port *port)
{
    struct xenpv_linux_error error = {""};
    struct xenpv_linux *linux;

    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    if (xenpv_linux_open(&linux, port, &error))
        serve_die("Xen", error.text);
    return linux;
}

bool serve_told_to_stop(void)
{
    if (!stop)
        return false;
    stop = 0;
    return true;
}

void serve_wait(struct pollfd *fds, uint32_t count, uint64_t deadline)
{
    uint64_t now = xenpv_linux_now();

    if (deadline > now)
        poll(fds, count, deadline - now < 60000 ? (int)(deadline - now) : 60000);
}

void serve_tell(enum xenpv_bus_phase phase, uint32_t queues, const struct xenpv_detail *detail)
{
    static enum xenpv_bus_phase told = XENPV_BUS_IDLE;

    if (phase == told)
        return;
    told = phase;
    if (phase == XENPV_BUS_PUBLISHED)
        printf("offered\n");
    else if (phase == XENPV_BUS_CONNECTED)
        printf("connected, %u queues\n", queues);
    if (detail->error)
        printf("%s: %s (%s found '%s')\n", detail->step ? detail->step : "",
               xenpv_error_text(detail->error), detail->key, detail->found);
}
