/* SPDX-License-Identifier: MIT */
/* Reads the first 512 bytes of a disk of this Xen guest and writes them to standard output. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <xenpv/blk.h>
#include <xenpv/linux.h>

/* Sleeps until the store, or the disk, or the deadline wants attention. */
static void wait_for(const struct xenpv_port *port, const struct xenpv_blk *disk,
                     const struct xenpv_blkq *queue)
{
    uint64_t now = xenpv_linux_now(), deadline = xenpv_blk_deadline(disk);
    struct pollfd fds[] = {{(int)port->store->wait_handle(port->ctx), POLLIN, 0},
                           {(int)xenpv_blkq_wait_handle(queue), POLLIN, 0}};

    poll(fds, 2, deadline <= now ? 0 : deadline - now < 1000 ? (int)(deadline - now) : 1000);
}

int main(void)
{
    struct xenpv_linux *xen;
    struct xenpv_linux_claim *claim;
    struct xenpv_linux_error error;
    struct xenpv_port port;
    struct xenpv_blk_config config;
    struct xenpv_completion done = {0};
    struct xenpv_blk *disk;
    uint8_t sector[512];
    struct xenpv_iov iov = {sector, sizeof(sector)};

    if (xenpv_linux_open(&xen, &port, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 4;
    }
    if (xenpv_linux_claim("vbd", 51712, false, 0, &claim, &error)) {
        fprintf(stderr, "vbd/51712: %s\n", error.text);
        return 1;
    }
    xenpv_blk_config_init(&config, &port, "device/vbd/51712");
    void *memory = aligned_alloc(16, (xenpv_blk_size(&config) + 15) & ~(size_t)15);
    if (!memory || xenpv_blk_init(memory, &config, &disk))
        return 1;
    struct xenpv_blkq *queue = xenpv_blk_queue(disk, 0);

    xenpv_blk_connect(disk, xenpv_linux_now());
    while (xenpv_blk_step(disk, xenpv_linux_now()) == XENPV_BLK_CONNECTING)
        wait_for(&port, disk, queue);

    if (xenpv_blkq_readv(queue, 0, &iov, 1, NULL) == XENPV_OK) {
        xenpv_blkq_submit(queue);
        while (xenpv_blkq_poll(queue, &done, 1) == 0) {
            if (xenpv_blkq_arm(queue) == 0)
                wait_for(&port, disk, queue);
            xenpv_blk_step(disk, xenpv_linux_now());
        }
        if (done.status == XENPV_OK)
            fwrite(sector, 1, sizeof(sector), stdout);
    }

    xenpv_blk_close(disk, xenpv_linux_now());
    while (xenpv_blk_step(disk, xenpv_linux_now()) == XENPV_BLK_CLOSING) {
        if (xenpv_blkq_poll(queue, &done, 1) == XENPV_EPARKED)
            wait_for(&port, disk, queue);
    }
    int failed = xenpv_blk_detail(disk)->error;
    if (failed)
        fprintf(stderr, "%s: %s\n", xenpv_blk_detail(disk)->step, xenpv_error_text(failed));
    xenpv_linux_release(claim);
    xenpv_linux_close(xen);
    free(memory);
    return failed || done.status ? 1 : 0;
}
