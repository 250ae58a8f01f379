/* SPDX-License-Identifier: MIT */
/* The queue's thread stands still inside poll, before each of its loads, and control reconnects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "blk_rig.h"

void (*before_load)(void);

static struct rig rig;
static uint32_t loads_to_go; /* until the thread stands still */

static void reconnect(void)
{
    if (loads_to_go--)
        return;
    before_load = NULL;
    rig_connect(&rig);
}

/* Two operations ended by a suspend: one completion is out, so the queue has parked; the next poll
 * has yet to bring the other one. */
static void lose_connection(struct xenpv_iov *iov)
{
    struct xenpv_completion done;

    rig_connect(&rig);
    for (int i = 0; i < 20; i++)
        rig_step(&rig);
    assert_int_equal(xenpv_blkq_readv(rig.q, 0, iov, 1, NULL), XENPV_OK);
    assert_int_equal(xenpv_blkq_readv(rig.q, 0, iov, 1, NULL), XENPV_OK);
    xenpv_mock_suspend(rig.mock, 1);
    xenpv_blk_step(rig.blk, xenpv_mock_now(rig.mock));
    assert_int_equal(xenpv_blkq_poll(rig.q, &done, 1), 1);
    while (!rig_over(&rig)) {
        xenpv_mock_advance(rig.mock, 1);
        rig_step(&rig);
    }
}

/* Whatever poll believed of the last connection, it does not hold against the new one. */
static void test_reconnected_at_every_load(void **state)
{
    uint8_t data[512];
    struct xenpv_iov iov = {data, sizeof(data)};
    uint32_t load = 0;
    bool reached;

    (void)state;
    do {
        struct xenpv_completion done;

        rig_up(&rig, &(struct rig_options){0});
        lose_connection(&iov);
        loads_to_go = load++;
        before_load = reconnect;
        assert_int_equal(xenpv_blkq_poll(rig.q, &done, 1), 1);
        assert_int_equal(done.status, XENPV_ESTALE);
        reached = before_load == NULL;
        before_load = NULL;
        if (!reached)
            rig_connect(&rig);
        assert_int_equal(rig_read(&rig, 0, data, sizeof(data)), XENPV_OK);
        rig_close(&rig);
        rig_down(&rig);
    } while (reached);
    assert_in_range(load, 3, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reconnected_at_every_load)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
