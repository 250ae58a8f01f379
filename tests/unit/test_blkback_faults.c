/* SPDX-License-Identifier: MIT */
/*
 * Every call of the backend's port fails in turn, once or from then on, in a life that has all of
 * them: two queues, pages kept mapped and pages copied, an indirect request, a new size, a close.
 * Whatever fails and when: no request is lost or answered twice, no data is wrong that was said to
 * be well, and once the fault is gone the next frontend is served and nothing is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "back_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define END_MS       60000u

struct fault {
    int error;
    bool transactions, for_good, persistent;
    uint64_t at; /* the number of the call */
};

static void must(const struct back_rig *rig, const struct fault *fault, bool good, const char *what)
{
    if (!good)
        fail_msg("call %d (%s) fails%s with %s, %s transactions, pages %s: %s", (int)fault->at,
                 rig->faulty.failed ? rig->faulty.failed : "none",
                 fault->for_good ? " for good" : "", xenpv_error_name(fault->error),
                 fault->transactions ? "with" : "without", fault->persistent ? "kept" : "copied",
                 what);
}

/* Steps and moves the clock until the backend's state is one of two, or the time is up. */
static int64_t await(struct back_rig *rig, int64_t one, int64_t other, uint64_t ms)
{
    uint64_t end = xenpv_mock_now(rig->mock) + ms;
    int64_t state;

    do {
        back_steps(rig, 1);
        state = back_get(rig, BACK_BACK, "state");
        xenpv_mock_advance(rig->mock, 20);
    } while (state != one && state != other && xenpv_mock_now(rig->mock) < end);
    return state;
}

/* One request and its answer; -3 when the backend left instead. */
static int ask(struct back_rig *rig, const struct fault *fault, uint32_t queue,
               const struct xenpv_blkif_request *request)
{
    struct xenpv_ring *ring = &rig->queue[queue].ring;
    struct xenpv_blkif_response response;

    front_put(rig, queue, request);
    front_publish(rig, queue);
    back_steps(rig, 3);
    must(rig, fault, xenpv_ring_available(ring) <= 1, "there are more answers than requests");
    if (xenpv_ring_available(ring) == 0) {
        must(rig, fault, xenpv_blkback_queues(rig->back) == 0, "a request is not answered");
        return -3;
    }
    response = front_take(rig, queue);
    must(rig, fault, response.id == request->id, "an answer has another id");
    return response.status;
}

static void transfer(struct back_rig *rig, const struct fault *fault)
{
    uint8_t written[8192];

    for (uint32_t i = 0; i < 6; i++) {
        struct xenpv_blkif_request request = {
            .op = XENPV_BLKIF_WRITE, .nr_segments = 2, .id = i, .sector = 16 * i};
        struct xenpv_blkif_segment *seg = request.seg;
        int status;

        if (i % 3 == 2) { /* the same as an indirect request, its index in the last page */
            request.op = XENPV_BLKIF_INDIRECT;
            request.indirect_op = XENPV_BLKIF_WRITE;
            request.indirect_ref[0] = rig->data_refs[15];
            seg = (struct xenpv_blkif_segment *)(void *)front_data(rig, 15 * 4096);
        }
        seg[0] = front_segment(rig, 2 * i, 0, 7);
        seg[1] = front_segment(rig, 2 * i + 1, 0, 7);
        back_fill(front_data(rig, 2 * i * 4096), 8192, i + 1);
        memcpy(written, front_data(rig, 2 * i * 4096), 8192);
        if (ask(rig, fault, i % 2, &request) != XENPV_BLKIF_OKAY)
            continue;
        memset(front_data(rig, 2 * i * 4096), 0xee, 8192);
        request.id += 100;
        if (request.op == XENPV_BLKIF_INDIRECT)
            request.indirect_op = XENPV_BLKIF_READ;
        else
            request.op = XENPV_BLKIF_READ;
        status = ask(rig, fault, i % 2, &request);
        must(rig, fault,
             status != XENPV_BLKIF_OKAY ||
                 memcmp(front_data(rig, 2 * i * 4096), written, 8192) == 0,
             "what is read is not what was written");
    }
}

/* The frontend's life, as far as the backend lets it. */
static void live(struct back_rig *rig, const struct fault *fault)
{
    struct back_front front = {
        .queues = 2, .naming = BACK_PAGE_ORDER, .order = 1, .persistent = fault->persistent};

    await(rig, 2, 2, 2000);
    front_share(rig, &front);
    back_set(rig, BACK_FRONT, "state", "3");
    if (await(rig, 4, 5, 2000) == 4) {
        back_set(rig, BACK_FRONT, "state", "4");
        transfer(rig, fault);
        rig->disk.bytes /= 2;
        xenpv_blkback_resized(rig->back);
        await(rig, 5, 5, 1000);
    }
    back_set(rig, BACK_FRONT, "state", "5");
    await(rig, 5, 6, 2000);
    back_set(rig, BACK_FRONT, "state", "6");
    await(rig, 6, 6, END_MS);
}

/* The next frontend, after the backend was started again if it had ended. */
static void next_frontend(struct back_rig *rig, const struct fault *fault)
{
    struct back_front front = {.queues = 2, .persistent = fault->persistent};
    uint64_t end = xenpv_mock_now(rig->mock) + END_MS;

    xenpv_blkback_close(rig->back, xenpv_mock_now(rig->mock));
    while (xenpv_blkback_step(rig->back, xenpv_mock_now(rig->mock)) != XENPV_BUS_DONE) {
        must(rig, fault, xenpv_mock_now(rig->mock) < end, "the backend never ends");
        xenpv_mock_advance(rig->mock, 20);
    }
    back_assert_holds(rig, 0, 0);
    front_end(rig);
    must(rig, fault, xenpv_blkback_start(rig->back, xenpv_mock_now(rig->mock)) == XENPV_OK,
         "the backend does not start again");
    front_connect(rig, &front);
    transfer(rig, fault);
    must(rig, fault, front_move(rig, XENPV_BLKIF_READ, 0, 0, 8192) == XENPV_BLKIF_OKAY,
         "the next frontend is not served");
}

/* Returns how many calls there were that the fault could have been in. */
static uint64_t run_with(struct back_rig *rig, const struct fault *fault)
{
    uint64_t calls;

    back_up(rig, 192 << 10);
    rig->config.segments = 16;
    rig->config.persistent = 8;
    if (!fault->transactions)
        rig->back_port.caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
    rig->faulty.fail_at = fault->at;
    rig->faulty.for_good = fault->for_good;
    rig->faulty.error = fault->error;
    back_start(rig);
    live(rig, fault);
    calls = rig->faulty.calls;
    rig->faulty.fail_at = 0;
    next_frontend(rig, fault);
    back_down(rig);
    return calls;
}

static void run_all(bool for_good)
{
    static const int errors[] = {XENPV_ENOMEM, XENPV_ESTORE,   XENPV_EACCES, XENPV_ENOSPC,
                                 XENPV_EAGAIN, XENPV_ENOGRANT, XENPV_ENOENT};
    struct back_rig *rig = malloc(sizeof(*rig));

    for (size_t i = 0; i < 4 * COUNT(errors); i++) {
        struct fault fault = {.error = errors[i / 4],
                              .transactions = i % 2,
                              .persistent = i / 2 % 2,
                              .for_good = for_good};

        do {
            fault.at++;
        } while (run_with(rig, &fault) >= fault.at);
        assert_in_range(fault.at, 30, 200);
    }
    free(rig);
}

static void test_each_call_fails_once(void **state)
{
    (void)state;
    run_all(false);
}

static void test_each_call_fails_for_good(void **state)
{
    (void)state;
    run_all(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_fails_once),
        cmocka_unit_test(test_each_call_fails_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
