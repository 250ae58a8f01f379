/* SPDX-License-Identifier: MIT */
/*
 * usage: blk_hammer VBD-NUMBER FIFO [QUEUES [OPTION]...]
 *
 * Writes random blocks of a disk of this domain for ever, reads, flushes, and remembers what it
 * did: whatever happens to the backend meanwhile, nothing whose write has ended may be lost. Each
 * queue has a thread and a part of the disk. Options:
 *
 *   cached      the disk has a cache that may be lost: only what was flushed must be there
 *   discard     discards, too
 *   blocks=N    only the first N sectors of the disk (initially 16384)
 *
 * Lines read from FIFO (which is there already): "verify" has all blocks read and looked at, and
 * then "verified" printed; "quit" does the same, closes the disk and ends. Lines on standard output
 * tell what happens, the last one is JSON. Exit status 0: nothing lost, closed as asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <xenpv/linux.h>

#include "hammer_queue.h"

enum { QUEUES_MAX = 64 };

struct hammer {
    const char *id;
    bool cached, discard;
    uint32_t sectors; /* to use at most */
    uint32_t queues;

    struct xenpv_linux *linux;
    struct xenpv_linux_claim *claim;
    struct xenpv_port port;
    struct xenpv_blk *blk;
    enum xenpv_blk_state state;
    int wake, fifo;
    struct hammer_queue queue[QUEUES_MAX];
    uint32_t started; /* threads; 0: none yet */
    uint32_t look;    /* the look at all blocks that was asked for last */
    bool looking, quitting;
    uint64_t connections;
};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "blk_hammer: %s: %s\n", what, why);
    exit(2);
}

/* ------------------------------------------------------------------------------------ set up -- */

static void read_arguments(struct hammer *hammer, int argc, char **argv)
{
    if (argc < 3)
        die("usage", "blk_hammer VBD-NUMBER FIFO [QUEUES [cached] [discard] [blocks=N]]");
    hammer->id = argv[1];
    hammer->fifo = open(argv[2], O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (hammer->fifo < 0)
        die(argv[2], strerror(errno));
    hammer->queues = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1;
    if (hammer->queues < 1 || hammer->queues > QUEUES_MAX)
        die("queues", "1 to 64");
    hammer->sectors = 16384;
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "cached") == 0)
            hammer->cached = true;
        else if (strcmp(argv[i], "discard") == 0)
            hammer->discard = true;
        else if (strncmp(argv[i], "blocks=", 7) == 0)
            hammer->sectors = (uint32_t)strtoul(argv[i] + 7, NULL, 10);
        else
            die("no such option", argv[i]);
    }
}

static void open_device(struct hammer *hammer)
{
    struct xenpv_linux_error error = {""};
    struct xenpv_blk_config config;
    char path[64];
    void *memory;

    if (xenpv_linux_open(&hammer->linux, &hammer->port, &error))
        die("Xen", error.text);
    if (xenpv_linux_claim("vbd", (uint32_t)strtoul(hammer->id, NULL, 10), false, 0, &hammer->claim,
                          &error))
        die(hammer->id, error.text);
    snprintf(path, sizeof(path), "device/vbd/%s", hammer->id);
    xenpv_blk_config_init(&config, &hammer->port, path);
    config.queues = hammer->queues;
    config.ring_order = 2;
    config.segments = 128;
    config.operations = HAMMER_DEPTH;
    config.buffer_pages = 1024;
    config.close_ms = 60000;
    config.recover_ms = 300000;
    memory = aligned_alloc(16, (xenpv_blk_size(&config) + 15) & ~(size_t)15);
    if (!memory || xenpv_blk_init(memory, &config, &hammer->blk))
        die(path, "no memory");
    hammer->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (hammer->wake < 0)
        die("eventfd", strerror(errno));
}

static void start_queues(struct hammer *hammer)
{
    struct xenpv_blk_info info;
    uint64_t blocks, run = xenpv_linux_now() ^ (uint64_t)getpid() << 40;

    xenpv_blk_info(hammer->blk, &info);
    if (info.readonly)
        die(hammer->id, "it is read-only");
    blocks = info.bytes / info.sector_size;
    if (blocks > hammer->sectors)
        blocks = hammer->sectors;
    blocks /= info.queues;
    if (!blocks)
        die(hammer->id, "it is too small");
    for (uint32_t i = 0; i < info.queues; i++) {
        struct hammer_queue *queue = &hammer->queue[i];

        queue->q = xenpv_blk_queue(hammer->blk, i);
        queue->model = (struct hammer_model){.first = i * blocks,
                                             .count = (uint32_t)blocks,
                                             .bytes = info.sector_size,
                                             .run = run,
                                             .cached = hammer->cached};
        queue->flush = info.can_flush;
        queue->discard = hammer->discard && info.can_discard;
        queue->wake_control = hammer->wake;
        queue->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        queue->random = run * 2654435761u + i + 1;
        if (queue->wake < 0 || !hammer_queue_start(queue))
            die("a queue", "no memory");
        hammer->started++;
    }
    hammer->look = 1;
    hammer->looking = true;
    printf("connected: %u queues of %u ring pages, %u segments, features %02x, %llu blocks each, "
           "backend in domain %u\n",
           info.queues, info.ring_pages, info.segments, info.features, (unsigned long long)blocks,
           info.backend_id);
}

/* ----------------------------------------------------------------------------------- control -- */

static void wake_queues(struct hammer *hammer)
{
    for (uint32_t i = 0; i < hammer->started; i++)
        hammer_wake(hammer->queue[i].wake);
}

static void start_look(struct hammer *hammer)
{
    hammer->look++;
    hammer->looking = true;
    for (uint32_t i = 0; i < hammer->started; i++)
        __atomic_store_n(&hammer->queue[i].look, hammer->look, __ATOMIC_RELEASE);
    wake_queues(hammer);
}

static void obey(struct hammer *hammer)
{
    char text[256];
    ssize_t got = read(hammer->fifo, text, sizeof(text) - 1);

    if (got <= 0)
        return;
    text[got] = '\0';
    for (char *rest, *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strcmp(line, "quit") == 0)
            hammer->quitting = true;
        else if (strcmp(line, "verify") != 0)
            printf("what is '%s'?\n", line);
        start_look(hammer);
    }
}

static void describe(const struct xenpv_detail *detail, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s: %s (%s found '%s', check %s, queue %u, index %u, value %llu)",
             detail->step ? detail->step : "", xenpv_error_text(detail->error), detail->key,
             detail->found, xenpv_check_name(detail->check), detail->queue, detail->index,
             (unsigned long long)detail->value);
}

static void tell_state(struct hammer *hammer)
{
    char text[320];

    describe(xenpv_blk_detail(hammer->blk), text, sizeof(text));
    switch (hammer->state) {
    case XENPV_BLK_CONNECTED:
        if (hammer->connections++ == 0)
            start_queues(hammer);
        else
            printf("reconnected: %llu\n", (unsigned long long)hammer->connections - 1);
        break;
    case XENPV_BLK_RECOVERING:
        printf("recovering: %s\n", text);
        break;
    case XENPV_BLK_FAILED:
        printf("failed: %s\n", text);
        break;
    default:
        break;
    }
}

/* All queues have looked at all their blocks. */
static bool looked(const struct hammer *hammer)
{
    for (uint32_t i = 0; i < hammer->started; i++)
        if (__atomic_load_n(&hammer->queue[i].looked, __ATOMIC_ACQUIRE) != hammer->look)
            return false;
    return true;
}

static void step(struct hammer *hammer)
{
    enum xenpv_blk_state state = xenpv_blk_step(hammer->blk, xenpv_linux_now());

    if (state != hammer->state) {
        hammer->state = state;
        tell_state(hammer);
        wake_queues(hammer);
    }
    if (!hammer->looking || !looked(hammer))
        return;
    hammer->looking = false;
    printf("verified\n");
    if (hammer->quitting) {
        xenpv_blk_close(hammer->blk, xenpv_linux_now());
        wake_queues(hammer);
    }
}

static void wait(struct hammer *hammer)
{
    uint64_t now = xenpv_linux_now(), deadline = xenpv_blk_deadline(hammer->blk);
    struct pollfd fds[] = {{(int)hammer->port.store->wait_handle(hammer->port.ctx), POLLIN, 0},
                           {hammer->wake, POLLIN, 0},
                           {hammer->started ? hammer->fifo : -1, POLLIN, 0}};
    int ms = deadline <= now ? 0 : deadline - now < 3600000 ? (int)(deadline - now) : -1;

    poll(fds, 3, ms);
    hammer_slept(hammer->wake);
    if (fds[2].revents)
        obey(hammer);
}

static bool ended(const struct hammer *hammer)
{
    if (hammer->state != XENPV_BLK_CLOSED && hammer->state != XENPV_BLK_FAILED)
        return false;
    for (uint32_t i = 0; i < hammer->started; i++)
        if (!__atomic_load_n(&hammer->queue[i].parked, __ATOMIC_ACQUIRE))
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------ ending -- */

static bool report(struct hammer *hammer)
{
    struct hammer_counts sum = {0};
    uint64_t checked = 0, lost = 0, wrong = 0, unfinished = 0;
    int error = xenpv_blk_detail(hammer->blk)->error;

    for (uint32_t i = 0; i < hammer->started; i++) {
        const struct hammer_queue *queue = &hammer->queue[i];
        const struct hammer_counts *counts = &queue->counts;

        pthread_join(queue->thread, NULL);
        sum.reads += counts->reads;
        sum.writes += counts->writes;
        sum.discards += counts->discards;
        sum.flushes += counts->flushes;
        sum.failed += counts->failed;
        sum.bytes += counts->bytes;
        if (counts->longest_ms > sum.longest_ms)
            sum.longest_ms = counts->longest_ms;
        checked += queue->model.checked;
        lost += queue->model.lost;
        wrong += queue->model.wrong;
        unfinished += queue->under_way;
    }
    printf("{\"reads\":%llu,\"writes\":%llu,\"discards\":%llu,\"flushes\":%llu,\"failed\":%llu,"
           "\"mib\":%llu,\"longest_ms\":%llu,\"reconnects\":%llu,\"verified\":%llu,\"lost\":%llu,"
           "\"wrong\":%llu,\"unfinished\":%llu,\"abandoned\":%u,\"error\":\"%s\"}\n",
           (unsigned long long)sum.reads, (unsigned long long)sum.writes,
           (unsigned long long)sum.discards, (unsigned long long)sum.flushes,
           (unsigned long long)sum.failed, (unsigned long long)sum.bytes >> 20,
           (unsigned long long)sum.longest_ms,
           (unsigned long long)(hammer->connections ? hammer->connections - 1 : 0),
           (unsigned long long)checked, (unsigned long long)lost, (unsigned long long)wrong,
           (unsigned long long)unfinished, xenpv_blk_abandoned(hammer->blk),
           error ? xenpv_error_name(error) : "");
    return !error && !lost && !wrong && !unfinished && hammer->started;
}

int main(int argc, char **argv)
{
    static struct hammer hammer;
    bool good;

    setvbuf(stdout, NULL, _IOLBF, 0);
    read_arguments(&hammer, argc, argv);
    open_device(&hammer);
    xenpv_blk_connect(hammer.blk, xenpv_linux_now());
    hammer.state = XENPV_BLK_CONNECTING;
    for (step(&hammer); !ended(&hammer); step(&hammer))
        wait(&hammer);
    good = report(&hammer);
    /* Linux 6.1 does not survive the end of a process with event channels of before a restore. */
    while (hammer.port.sys->generation(hammer.port.ctx) != 0)
        pause();
    xenpv_linux_release(hammer.claim);
    xenpv_linux_close(hammer.linux);
    return good ? 0 : 1;
}
