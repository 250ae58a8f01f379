/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "port_rig.h"

#define PATIENCE 10000

struct xenstored *server;
struct xenpv_port port;
static struct xenpv_linux *handle;

uint32_t generation_after_read(unsigned reads)
{
    uint64_t deadline = xenpv_linux_now() + PATIENCE;

    while (xenstored_domid_reads(server) == reads) {
        assert_true(xenpv_linux_now() < deadline);
        port.sys->generation(port.ctx);
    }
    return port.sys->generation(port.ctx);
}

int set_up(void **state)
{
    (void)state;
    server = xenstored_start();
    assert_int_equal(xenpv_linux_open_store(&handle, &port, NULL), 0);
    generation_after_read(1);
    xenstored_requests(server);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    xenpv_linux_close(handle);
    xenstored_stop(server);
    return 0;
}

int run_batch(struct xenpv_store_op *ops, uint32_t count, bool transaction)
{
    struct xenpv_store_batch batch = {.ops = ops, .count = count, .transaction = transaction};

    batch.status = 1;
    for (uint32_t i = 0; i < count; i++)
        ops[i].status = 1;
    assert_int_equal(port.store->start(port.ctx, &batch), 0);
    return batch.status;
}
