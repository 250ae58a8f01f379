/* SPDX-License-Identifier: MIT */
/*
 * Every call of a port fails in turn, in either role, once or from then on. Whatever fails and
 * when: the device comes to an end, so do all operations, and once the fault is gone it connects
 * again and nothing is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "blk_rig.h"
#include "faulty_port.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The longest way to an end: some waits of connect_ms and close_ms, one after the other. */
#define END_MS 120000u
/* A fault that is gone must not be waited for: a healthy connection takes this long at the most. */
#define RECONNECT_MS 5000u

struct fault {
    enum xenpv_bus_role role;
    bool transactions;
    int error;
    bool for_good;
    uint64_t at; /* the number of the call */
};

struct run {
    const struct fault *fault;
    struct rig rig;
    struct faulty_port port;
};

static void must(const struct run *run, bool good, const char *what)
{
    const struct fault *fault = run->fault;
    const struct xenpv_detail *detail = xenpv_blk_detail(run->rig.blk);

    if (!good)
        fail_msg("%s, call %d (%s) fails%s with %s, %s transactions: %s; state %d, %s: %s",
                 fault->role == XENPV_FRONTEND ? "frontend" : "backend", (int)fault->at,
                 run->port.failed ? run->port.failed : "none", fault->for_good ? " for good" : "",
                 xenpv_error_name(fault->error), fault->transactions ? "with" : "without", what,
                 xenpv_blk_state(run->rig.blk), xenpv_error_name(detail->error),
                 detail->step ? detail->step : "");
}

/* Writes that are cut into several requests and begin and end inside sectors, a flush, a read. */
static void transfer(struct run *run)
{
    struct rig *rig = &run->rig;
    static uint8_t data[4][70000];
    struct xenpv_iov iov[4];

    for (uint32_t i = 0; i < 4; i++)
        iov[i] = (struct xenpv_iov){data[i], sizeof(data[i])};
    for (uint32_t i = 0; i < 3; i++)
        xenpv_blkq_writev(rig->q, 513 + (uint64_t)i * 100000, &iov[i], 1, NULL);
    xenpv_blkq_flush(rig->q, NULL);
    xenpv_blkq_readv(rig->q, 17, &iov[3], 1, NULL);
    rig_run(rig, 1000, rig_drained);
    xenpv_blk_close(rig->blk, xenpv_mock_now(rig->mock));
    must(run, rig_run(rig, END_MS, rig_over), "closing never ends");
    rig_run(rig, 1000, rig_drained);
    must(run, rig_drained(rig), "an operation never ends");
}

static void restart_backend(struct run *run)
{
    struct rig *rig = &run->rig;
    uint64_t end = xenpv_mock_now(rig->mock) + END_MS;

    xenpv_blkback_close(rig->back, xenpv_mock_now(rig->mock));
    while (xenpv_blkback_step(rig->back, xenpv_mock_now(rig->mock)) != XENPV_BUS_DONE) {
        must(run, xenpv_mock_now(rig->mock) < end, "the backend never ends");
        xenpv_mock_advance(rig->mock, 10);
    }
    must(run, xenpv_blkback_start(rig->back, xenpv_mock_now(rig->mock)) == XENPV_OK,
         "the backend does not start again");
}

static void reconnect(struct run *run)
{
    struct rig *rig = &run->rig;
    uint8_t written[1000], found[1000];

    must(run, xenpv_blk_connect(rig->blk, xenpv_mock_now(rig->mock)) == XENPV_OK,
         "a new connection is refused");
    rig_run(rig, RECONNECT_MS, rig_settled);
    must(run, xenpv_blk_state(rig->blk) == XENPV_BLK_CONNECTED, "it does not connect again");
    rig_fill(written, sizeof(written), (uint32_t)run->fault->at);
    must(run, rig_write(rig, 100, written, sizeof(written)) == XENPV_OK, "a write fails");
    must(run, rig_read(rig, 100, found, sizeof(found)) == XENPV_OK, "a read fails");
    assert_memory_equal(found, written, sizeof(found));
    xenpv_blk_close(rig->blk, xenpv_mock_now(rig->mock));
    rig_run(rig, RECONNECT_MS, rig_over);
    must(run, xenpv_blk_state(rig->blk) == XENPV_BLK_CLOSED, "it does not close again");
}

/* Returns how many calls there were that the fault could have been in. */
static uint64_t run_with(const struct fault *fault)
{
    struct run run = {.fault = fault};
    struct rig *rig = &run.rig;
    bool frontend = fault->role == XENPV_FRONTEND;
    struct xenpv_port *port = frontend ? &rig->front_port : &rig->back_port;
    uint64_t calls;

    /* Small, for there are many: three requests at once fill the pages. */
    rig_up(rig, &(struct rig_options){.bytes = 320 << 10, .buffer_pages = 33});
    faulty_wrap(&run.port, port);
    if (!fault->transactions)
        port->caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
    run.port.fail_at = fault->at;
    run.port.for_good = fault->for_good;
    run.port.error = fault->error;

    assert_int_equal(xenpv_blk_connect(rig->blk, 0), XENPV_OK);
    must(&run, rig_run(rig, END_MS, rig_settled), "connecting never ends");
    transfer(&run);
    calls = run.port.calls;
    run.port.fail_at = 0;
    restart_backend(&run);
    reconnect(&run);
    /* One lost call may cost the connection; only a port that stays dead may cost memory. */
    must(&run, fault->for_good || xenpv_blk_abandoned(rig->blk) == 0, "pages are abandoned");
    rig_down_with_abandoned(rig);
    return calls;
}

static void run_all(enum xenpv_bus_role role, bool for_good)
{
    static const int errors[] = {XENPV_ENOMEM, XENPV_ESTORE, XENPV_EACCES,
                                 XENPV_ENOSPC, XENPV_EAGAIN, XENPV_ENOENT};

    for (size_t i = 0; i < 2 * COUNT(errors); i++) {
        struct fault fault = {
            .role = role, .transactions = i % 2, .error = errors[i / 2], .for_good = for_good};

        do {
            fault.at++;
        } while (run_with(&fault) >= fault.at);
        /* The frontend makes about 25 such calls, the backend 40. */
        assert_in_range(fault.at, 20, 100);
    }
}

static void test_frontend_once(void **state)
{
    (void)state;
    run_all(XENPV_FRONTEND, false);
}

static void test_frontend_for_good(void **state)
{
    (void)state;
    run_all(XENPV_FRONTEND, true);
}

static void test_backend_once(void **state)
{
    (void)state;
    run_all(XENPV_BACKEND, false);
}

static void test_backend_for_good(void **state)
{
    (void)state;
    run_all(XENPV_BACKEND, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frontend_once),
        cmocka_unit_test(test_frontend_for_good),
        cmocka_unit_test(test_backend_once),
        cmocka_unit_test(test_backend_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
