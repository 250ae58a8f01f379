/* SPDX-License-Identifier: MIT */
/*
 * usage: uring_loop DEVICE read|write|randread BLOCK-SIZE DEPTH SECONDS
 *
 * What a program can get out of a block device through io_uring when it does nothing else: files
 * and buffers are registered, one system call submits all that is to be submitted and waits. Prints
 * one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH_MAX = 4096, BLOCK_MAX = 16 << 20 };

static volatile sig_atomic_t over;

static void on_alarm(int number)
{
    (void)number;
    over = 1;
}

static _Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "uring_loop: %s: %s\n", what, strerror(error));
    exit(1);
}

struct load {
    struct io_uring ring;
    bool write, random;
    unsigned depth;
    size_t block;
    uint64_t blocks, next, random_state; /* of the device, in blocks */
    unsigned char *buffers;
    uint64_t done;
};

static uint64_t next_block(struct load *load)
{
    if (!load->random)
        return load->next++ % load->blocks;
    /* xorshift64 */
    load->random_state ^= load->random_state << 13;
    load->random_state ^= load->random_state >> 7;
    load->random_state ^= load->random_state << 17;
    return load->random_state % load->blocks;
}

static void queue(struct load *load, unsigned slot)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&load->ring);
    void *buffer = load->buffers + slot * load->block;
    uint64_t offset = next_block(load) * load->block;

    if (load->write)
        io_uring_prep_write_fixed(sqe, 0, buffer, (unsigned)load->block, offset, (int)slot);
    else
        io_uring_prep_read_fixed(sqe, 0, buffer, (unsigned)load->block, offset, (int)slot);
    sqe->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(sqe, slot);
}

/* Takes what has ended, and queues as much anew. */
static void reap(struct load *load)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;

    io_uring_for_each_cqe(&load->ring, head, cqe)
    {
        if (cqe->res != (int)load->block)
            die("operation", cqe->res < 0 ? -cqe->res : EIO);
        queue(load, (unsigned)cqe->user_data);
        count++;
    }
    io_uring_cq_advance(&load->ring, count);
    load->done += count;
}

static void set_up(struct load *load, const char *path)
{
    struct io_uring_params params = {.flags =
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN};
    struct iovec vectors[DEPTH_MAX];
    int fd = open(path, (load->write ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
    uint64_t bytes;
    int rc;

    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes))
        die(path, errno);
    load->blocks = bytes / load->block;
    if (load->blocks == 0)
        die("device is too small", EINVAL);
    load->buffers = aligned_alloc(4096, (load->depth * load->block + 4095) & ~(size_t)4095);
    if (!load->buffers)
        die("memory", ENOMEM);
    memset(load->buffers, 0x5a, load->depth * load->block);
    for (unsigned i = 0; i < load->depth; i++)
        vectors[i] = (struct iovec){load->buffers + i * load->block, load->block};
    rc = io_uring_queue_init_params(load->depth, &load->ring, &params);
    if (rc)
        die("io_uring_queue_init_params", -rc);
    rc = io_uring_register_buffers(&load->ring, vectors, load->depth);
    if (rc)
        die("io_uring_register_buffers", -rc);
    rc = io_uring_register_files(&load->ring, &fd, 1);
    if (rc)
        die("io_uring_register_files", -rc);
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static double run(struct load *load, unsigned seconds)
{
    struct timespec start;
    struct sigaction action = {.sa_handler = on_alarm};
    int rc;

    sigaction(SIGALRM, &action, NULL);
    clock_gettime(CLOCK_MONOTONIC, &start);
    alarm(seconds);
    for (unsigned i = 0; i < load->depth; i++)
        queue(load, i);
    while (!over) {
        rc = io_uring_submit_and_wait(&load->ring, 1);
        if (rc < 0 && rc != -EINTR)
            die("io_uring_submit_and_wait", -rc);
        reap(load);
    }
    return seconds_since(&start);
}

/* A number from 1 to `most`; 0 is none. */
static unsigned number(const char *text, unsigned most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    return *end || value > most ? 0 : (unsigned)value;
}

int main(int argc, char **argv)
{
    static struct load load = {.random_state = 88172645463325252u};
    unsigned seconds = 0;
    double took;

    if (argc == 6) {
        load.write = strcmp(argv[2], "write") == 0;
        load.random = strcmp(argv[2], "randread") == 0;
        load.block = number(argv[3], BLOCK_MAX);
        load.depth = number(argv[4], DEPTH_MAX);
        seconds = number(argv[5], 3600);
    }
    if (!seconds || !load.block || !load.depth ||
        (!load.write && !load.random && strcmp(argv[2], "read") != 0)) {
        fputs("usage: uring_loop DEVICE read|write|randread BLOCK-SIZE DEPTH SECONDS\n", stderr);
        return 2;
    }
    set_up(&load, argv[1]);
    took = run(&load, seconds);
    printf("{\"device\":\"%s\",\"operation\":\"%s\",\"block\":%zu,\"depth\":%u,\"seconds\":%.3f,"
           "\"operations\":%llu,\"iops\":%.0f,\"mib_per_s\":%.1f}\n",
           argv[1], argv[2], load.block, load.depth, took, (unsigned long long)load.done,
           (double)load.done / took, (double)load.done * (double)load.block / took / 1048576);
    return 0;
}
