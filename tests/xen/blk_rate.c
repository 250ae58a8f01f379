/* SPDX-License-Identifier: MIT */
/*
 * usage: blk_rate VBD-NUMBER read|write|randread BLOCK-SIZE DEPTH SECONDS event|poll copy|shared
 *
 * What our frontend makes of a disk of this domain, with one thread and one queue. Ring, indirect
 * requests and persistent grants are as large as the backend takes them. Prints the line that
 * uring_loop prints.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenpv/blk.h>
#include <xenpv/linux.h>

enum { DEPTH_MAX = 4096 };

static volatile sig_atomic_t over;
static struct xenpv_port port;
static struct xenpv_iov buffers[DEPTH_MAX];

static void on_alarm(int number)
{
    (void)number;
    over = 1;
}

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "blk_rate: %s: %s\n", what, why);
    exit(1);
}

struct load {
    struct xenpv_blk *blk;
    struct xenpv_blkq *q;
    bool write, random, shared;
    uint32_t depth, block;
    uint64_t blocks, next, random_state;
    uint64_t done;
};

static uint64_t next_block(struct load *load)
{
    if (!load->random)
        return load->next++ % load->blocks;
    load->random_state ^= load->random_state << 13;
    load->random_state ^= load->random_state >> 7;
    load->random_state ^= load->random_state << 17;
    return load->random_state % load->blocks;
}

static void queue(struct load *load, struct xenpv_iov *buffer)
{
    uint64_t offset = next_block(load) * load->block;
    uint64_t at = (uint64_t)(buffer - buffers) * load->block;
    int rc;

    if (load->shared && load->write)
        rc = xenpv_blkq_write_shared(load->q, offset, at, load->block, buffer);
    else if (load->shared)
        rc = xenpv_blkq_read_shared(load->q, offset, at, load->block, buffer);
    else if (load->write)
        rc = xenpv_blkq_writev(load->q, offset, buffer, 1, buffer);
    else
        rc = xenpv_blkq_readv(load->q, offset, buffer, 1, buffer);
    if (rc)
        die("an operation", xenpv_error_text(rc));
}

static void wait_for(struct load *load, int fd)
{
    uint64_t now = xenpv_linux_now(), deadline = xenpv_blk_deadline(load->blk);
    struct pollfd fds[] = {{(int)port.store->wait_handle(port.ctx), POLLIN, 0}, {fd, POLLIN, 0}};

    poll(fds, 2, deadline <= now ? 0 : deadline - now < 1000 ? (int)(deadline - now) : 1000);
    if (xenpv_blk_step(load->blk, xenpv_linux_now()) == XENPV_BLK_FAILED)
        die(xenpv_blk_detail(load->blk)->step,
            xenpv_error_text(xenpv_blk_detail(load->blk)->error));
}

static void set_up(struct load *load, const char *id, bool poll_only)
{
    struct xenpv_linux_error error = {""};
    struct xenpv_linux_claim *claim;
    struct xenpv_linux *linux;
    struct xenpv_blk_config config;
    struct xenpv_blk_info info;
    uint32_t pages = (load->block + 4095) / 4096;
    char path[64];
    void *memory;

    if (!load->block || !load->depth || load->depth > DEPTH_MAX)
        die("usage", "BLOCK-SIZE and DEPTH are at least 1, DEPTH is at most 4096");
    if (xenpv_linux_open(&linux, &port, &error) ||
        xenpv_linux_claim("vbd", (uint32_t)strtoul(id, NULL, 10), false, 0, &claim, &error))
        die(id, error.text);
    snprintf(path, sizeof(path), "device/vbd/%s", id);
    xenpv_blk_config_init(&config, &port, path);
    config.ring_order = 4;
    config.segments = 256;
    config.operations = load->depth;
    config.buffer_pages = load->depth * (pages + 1) + 11;
    config.shared_pages = load->shared ? load->depth * pages : 0;
    config.poll = poll_only;
    memory = aligned_alloc(16, (xenpv_blk_size(&config) + 15) & ~(size_t)15);
    if (!memory || xenpv_blk_init(memory, &config, &load->blk))
        die(path, "no memory");
    for (uint32_t i = 0; i < load->depth; i++) {
        buffers[i] = (struct xenpv_iov){aligned_alloc(4096, pages * 4096ul), load->block};
        memset(buffers[i].base, 0x5a, load->block);
    }
    load->q = xenpv_blk_queue(load->blk, 0);
    xenpv_blk_connect(load->blk, xenpv_linux_now());
    while (xenpv_blk_state(load->blk) != XENPV_BLK_CONNECTED)
        wait_for(load, -1);
    xenpv_blk_info(load->blk, &info);
    load->blocks = info.bytes / load->block;
    if (!load->blocks)
        die(path, "it is smaller than a block");
}

static uint64_t run(struct load *load, unsigned seconds, bool poll_only)
{
    struct xenpv_completion ended[64];
    uint64_t start = xenpv_linux_now();

    alarm(seconds);
    for (uint32_t i = 0; i < load->depth; i++)
        queue(load, &buffers[i]);
    while (!over) {
        int got = xenpv_blkq_poll(load->q, ended, 64);

        for (int i = 0; i < got; i++) {
            if (ended[i].status)
                die("an operation", xenpv_error_text(ended[i].status));
            queue(load, ended[i].user);
        }
        load->done += got > 0 ? (uint32_t)got : 0;
        xenpv_blkq_submit(load->q);
        if (got < 0)
            die("the queue", xenpv_error_text(got));
        if (got == 0 && poll_only)
            sched_yield();
        else if (got == 0 && xenpv_blkq_arm(load->q) == 0)
            wait_for(load, (int)xenpv_blkq_wait_handle(load->q));
    }
    return xenpv_linux_now() - start;
}

static void close_device(struct load *load)
{
    struct xenpv_completion ended[64];

    xenpv_blk_close(load->blk, xenpv_linux_now());
    while (xenpv_blk_step(load->blk, xenpv_linux_now()) == XENPV_BLK_CLOSING) {
        if (xenpv_blkq_poll(load->q, ended, 64) == XENPV_EPARKED)
            wait_for(load, -1);
        else
            sched_yield();
    }
}

int main(int argc, char **argv)
{
    struct load load = {.random_state = 88172645463325252u};
    unsigned seconds = 0;
    double took;

    if (argc == 8) {
        load.write = strcmp(argv[2], "write") == 0;
        load.random = strcmp(argv[2], "randread") == 0;
        load.block = (uint32_t)strtoul(argv[3], NULL, 10);
        load.depth = (uint32_t)strtoul(argv[4], NULL, 10);
        seconds = (unsigned)strtoul(argv[5], NULL, 10);
        load.shared = strcmp(argv[7], "shared") == 0;
    }
    if (!seconds) {
        fputs("usage: blk_rate VBD-NUMBER read|write|randread BLOCK-SIZE DEPTH SECONDS event|poll "
              "copy|shared\n",
              stderr);
        return 2;
    }
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
    set_up(&load, argv[1], strcmp(argv[6], "poll") == 0);
    took = (double)run(&load, seconds, strcmp(argv[6], "poll") == 0) / 1000;
    close_device(&load);
    printf("{\"device\":\"vbd/%s %s %s\",\"operation\":\"%s\",\"block\":%u,\"depth\":%u,"
           "\"seconds\":%.3f,\"operations\":%llu,\"iops\":%.0f,\"mib_per_s\":%.1f}\n",
           argv[1], argv[6], argv[7], argv[2], load.block, load.depth, took,
           (unsigned long long)load.done, (double)load.done / took,
           (double)load.done * load.block / took / 1048576);
    return 0;
}
