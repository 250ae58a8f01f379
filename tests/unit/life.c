/* SPDX-License-Identifier: MIT */
#include "life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/blk_device.h"
#include "core/bus_jobs.h"

static void moment(struct life *life)
{
    life->moments++;
    if (life->moment)
        life->moment(life);
}

/* A queue is being shared: its pages, and then its channel. */
static bool sharing(const struct life *life)
{
    const struct xenpv_blk *blk = life->rig.blk;

    for (uint32_t i = 0; i < blk->queues && blk->bus.job == JOB_PUBLISH; i++) {
        if (!blk->queue[i].has_port)
            return true;
    }
    return false;
}

/* A turn of the bus begins with this call: that is where it finds itself suspended. */
static void before_call(void *ctx, const char *call)
{
    if (strcmp(call, "generation") == 0 && !sharing(ctx))
        moment(ctx);
}

void life_up(struct life *life)
{
    struct rig *rig = &life->rig;

    life->random = life->seed;
    life->moments = 0;
    life->queues = life->options.queues ? life->options.queues : 1;
    life->options.bytes = (uint64_t)LIFE_PART * life->queues;
    life->options.shared_pages = life->shared ? 5 * WORKLOAD_JOBS : 0;
    rig_up(rig, &life->options);
    faulty_wrap(&life->front, &rig->front_port);
    life->front.before = before_call;
    life->front.before_ctx = life;
    for (uint32_t i = 0; i < life->queues; i++) {
        struct workload *work = &life->work[i];

        workload_init(work, xenpv_blk_queue(rig->blk, i), (uint64_t)i * LIFE_PART, LIFE_PART,
                      rig->disk.sector_size, life->seed * LIFE_QUEUES + i);
        work->kinds = life->kinds ? life->kinds : WORKLOAD_ALL;
        work->shared = life->shared;
        work->aligned = life->aligned || life->shared;
        work->large = life->large;
    }
}

static void turn(struct life *life, uint32_t most)
{
    for (uint32_t i = 0; i < life->queues; i++) {
        if (most) {
            moment(life);
            workload_queue(&life->work[i], rig_random(&life->random) % most);
        }
        if (rig_random(&life->random) % 4 == 0)
            continue;
        moment(life);
        workload_take(&life->work[i]);
    }
    moment(life);
    rig_step(&life->rig);
    xenpv_mock_advance(life->rig.mock, 1);
}

void life_turn(struct life *life)
{
    turn(life, 5);
}

void life_turns(struct life *life, uint32_t count)
{
    while (count--)
        life_turn(life);
}

static uint32_t pending(const struct life *life)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < life->queues; i++)
        count += life->work[i].pending;
    return count;
}

bool life_until(struct life *life, enum xenpv_blk_state state, uint64_t ms)
{
    uint64_t end = xenpv_mock_now(life->rig.mock) + ms;

    while (xenpv_blk_state(life->rig.blk) != state && xenpv_mock_now(life->rig.mock) < end)
        turn(life, 0);
    return xenpv_blk_state(life->rig.blk) == state;
}

bool life_drained(struct life *life, uint64_t ms)
{
    uint64_t end = xenpv_mock_now(life->rig.mock) + ms;

    while (pending(life) && xenpv_mock_now(life->rig.mock) < end)
        turn(life, 0);
    return pending(life) == 0;
}

void life_down(struct life *life)
{
    struct rig *rig = &life->rig;

    if (!life_drained(life, 300000))
        fail_msg("seed %u: %u operations never end, state %d, %s", life->seed, pending(life),
                 xenpv_blk_state(rig->blk), xenpv_error_name(xenpv_blk_detail(rig->blk)->error));
    for (uint32_t i = 0; i < life->queues; i++)
        workload_check(&life->work[i], rig);
    if (!rig_over(rig)) {
        xenpv_blk_close(rig->blk, xenpv_mock_now(rig->mock));
        if (!life_until(life, XENPV_BLK_CLOSED, 60000))
            fail_msg("seed %u: it does not close: state %d", life->seed, xenpv_blk_state(rig->blk));
    }
    for (uint32_t i = 0; i < life->queues; i++)
        workload_free(&life->work[i]);
    rig_down_with_abandoned(rig);
}
