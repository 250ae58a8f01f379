/* SPDX-License-Identifier: MIT */
/*
 * The caller's own memory, granted, when the connection is lost: to a backend that goes and comes
 * back, lets go or not, to a suspend that the queue sees before control does, and to a backend that
 * maps what it was never shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

enum { PAGE = 4096, PAGES = 12, RECOVER_MS = 60000 };

static struct lost {
    struct rig rig;
    struct plain plain;
    _Alignas(4096) uint8_t memory[PAGES * PAGE];
    struct xenpv_iov iov[PAGES];
    int status[PAGES]; /* 1: pending */
    uint32_t refs[PAGES], ids[PAGES], seen;
    struct xenpv_map_region map; /* page 0, while the backend keeps it */
    struct xenpv_map_entry entry;
} lost;

static void up(uint32_t recover_ms)
{
    lost.seen = 0;
    rig_fill(lost.memory, sizeof(lost.memory), 3);
    rig_up(&lost.rig,
           &(struct rig_options){.no_backend = true, .own_memory = true, .recover_ms = recover_ms});
    plain_up(&lost.plain, &lost.rig);
    for (uint32_t i = 0; i < PAGES; i++) {
        lost.iov[i] = (struct xenpv_iov){lost.memory + (size_t)i * PAGE, PAGE};
        lost.status[i] = 1;
    }
    rig_connect(&lost.rig);
}

static void down(void)
{
    plain_down(&lost.plain);
    rig_down_with_abandoned(&lost.rig);
}

/* Writes page i of the memory to page i of the disk. */
static void queue_write(uint32_t i)
{
    lost.status[i] = 1;
    assert_int_equal(
        xenpv_blkq_writev(lost.rig.q, (uint64_t)i * PAGE, &lost.iov[i], 1, &lost.status[i]),
        XENPV_OK);
}

static void take(void)
{
    struct xenpv_completion done[PAGES];
    int count = xenpv_blkq_poll(lost.rig.q, done, PAGES);

    for (int i = 0; i < count; i++) {
        int *status = done[i].user;

        assert_int_equal(*status, 1);
        *status = done[i].status;
    }
}

static void run(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        rig_rest(&lost.rig);
        take();
        xenpv_mock_advance(lost.rig.mock, 1);
    }
}

static int keep(struct plain *plain, const struct plain_request *request)
{
    if (lost.seen == 0)
        assert_int_equal(plain_map(plain, &lost.map, &lost.entry, request->seg[0].ref), XENPV_OK);
    lost.refs[lost.seen] = request->seg[0].ref;
    lost.ids[lost.seen++] = (uint32_t)request->raw.id;
    return PLAIN_KEEP;
}

static void let_go(void)
{
    lost.rig.back_port.map->unmap(lost.rig.back_port.ctx, &lost.map);
}

static void assert_written(uint32_t i)
{
    assert_memory_equal(lost.plain.disk + (size_t)i * PAGE, lost.iov[i].base, PAGE);
}

/* Ends the connection that was made anew, in which all works. */
static void finish(uint32_t first)
{
    lost.plain.judge = NULL;
    for (uint32_t i = first; i < PAGES; i++)
        queue_write(i);
    run(5);
    for (uint32_t i = first; i < PAGES; i++) {
        assert_int_equal(lost.status[i], XENPV_OK);
        assert_written(i);
    }
    xenpv_blk_close(lost.rig.blk, xenpv_mock_now(lost.rig.mock));
    run(5);
    assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_CLOSED);
}

/* ---- the backend goes and comes back --------------------------------------------------------- */

/*
 * GT-02, GT-03: it says Closed, and has a page mapped. Connecting again waits for it as long as
 * closing may take; the operation whose memory was not returned ends, the others are done over.
 */
static void check_returns(bool late)
{
    up(RECOVER_MS);
    lost.plain.judge = keep;
    queue_write(0);
    queue_write(1);
    xenpv_blkq_submit(lost.rig.q);
    rig_rest(&lost.rig);
    assert_int_equal(lost.seen, 2);
    lost.plain.judge = NULL;
    rig_set(&lost.rig, lost.rig.backend_path, "state", "5");
    run(4000);
    assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_RECOVERING);
    assert_true(xenpv_blkq_held(lost.rig.q));
    assert_int_equal(lost.status[0], 1);
    assert_int_equal(lost.status[1], 1);
    if (late)
        let_go();
    run(2000);
    assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_CONNECTED);
    assert_int_equal(lost.status[0], late ? XENPV_OK : XENPV_EBUSY);
    assert_int_equal(lost.status[1], XENPV_OK);
    assert_int_equal(xenpv_blk_abandoned(lost.rig.blk), !late);
    if (late)
        assert_written(0);
    assert_written(1);
    finish(late ? 0 : 1);
    if (!late)
        let_go();
    down();
}

static void test_GT_02_kept_over_a_recovery(void **state)
{
    (void)state;
    check_returns(false);
}

static void test_GT_03_returned_during_a_recovery(void **state)
{
    (void)state;
    check_returns(true);
}

/* ---- suspended ------------------------------------------------------------------------------- */

/* What the queue's thread does between a suspend and control's noticing it. */
enum between { POLLS_ANSWERS, SUBMITS, POLLS_AND_QUEUES, BETWEENS };

/*
 * The grants of before are void, and those of a new generation are none of the lost connection's:
 * neither is ended, or made, by mistake (the mock tells if one is).
 */
static void check_suspended(enum between between, uint32_t recover_ms)
{
    int expected = recover_ms ? XENPV_OK : XENPV_ESTALE;

    up(recover_ms);
    lost.plain.judge = keep;
    queue_write(0);
    queue_write(1);
    xenpv_blkq_submit(lost.rig.q);
    rig_rest(&lost.rig);
    let_go();
    lost.plain.judge = NULL;
    if (between == POLLS_ANSWERS) {
        plain_do(&lost.plain, &(struct plain_request){.op = XENPV_BLKIF_FLUSH});
        plain_answer(&lost.plain, 0, lost.ids[0], XENPV_BLKIF_WRITE, XENPV_BLKIF_ERROR);
        plain_publish(&lost.plain, 0);
    }
    assert_int_equal(xenpv_mock_suspend(lost.rig.mock, 1), XENPV_OK);
    if (between != POLLS_ANSWERS)
        queue_write(2);
    if (between == SUBMITS)
        xenpv_blkq_submit(lost.rig.q);
    else
        take();
    run(8000);
    assert_int_equal(lost.status[1], expected);
    if (between == POLLS_ANSWERS)
        assert_true(lost.status[0] == expected || lost.status[0] == XENPV_EIO);
    else
        assert_int_equal(lost.status[2], expected);
    if (!recover_ms) {
        assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_FAILED);
        rig_connect(&lost.rig);
    }
    finish(0);
    assert_int_equal(xenpv_blk_abandoned(lost.rig.blk), 0);
    down();
}

static void test_seed_O8_suspended_before_control_knows(void **state)
{
    (void)state;
    for (int between = 0; between < BETWEENS; between++) {
        check_suspended((enum between)between, 0);
        check_suspended((enum between)between, RECOVER_MS);
    }
}

/* The backend has a page mapped across the suspend: the grant is void, the memory still seen. */
static void test_seed_O8_mapped_across_a_suspend(void **state)
{
    (void)state;
    up(RECOVER_MS);
    lost.plain.judge = keep;
    queue_write(0);
    xenpv_blkq_submit(lost.rig.q);
    rig_rest(&lost.rig);
    lost.plain.judge = NULL;
    assert_int_equal(xenpv_mock_suspend(lost.rig.mock, 1), XENPV_OK);
    run(8000);
    assert_int_equal(lost.status[0], XENPV_OK);
    assert_written(0);
    let_go();
    finish(0);
    down();
}

/* ---- mapped before it was shown -------------------------------------------------------------- */

static struct {
    struct xenpv_grant_ops ops, inner;
    uint32_t shared, fail_at;
    bool mapped;
} guess;

/* The backend guesses the first reference; a later share fails. */
static int share_own(void *ctx, uint16_t domid, struct xenpv_grant_region *region, bool writable)
{
    int error;

    if (++guess.shared == guess.fail_at)
        return XENPV_ENOGRANT;
    error = guess.inner.share_own(ctx, domid, region, writable);
    if (error == XENPV_OK && !guess.mapped) {
        assert_int_equal(plain_map(&lost.plain, &lost.map, &lost.entry, region->refs[0]), XENPV_OK);
        guess.mapped = true;
    }
    return error;
}

/*
 * GT-01: a request of two stretches of which the second cannot be granted, and the first, not yet
 * shown, is mapped already: its memory is not given back while it is.
 */
static void test_GT_01_mapped_before_it_was_shown(void **state)
{
    struct xenpv_iov iov[2] = {{lost.memory, PAGE}, {lost.memory + 2 * PAGE, PAGE}};
    int status = 1;

    (void)state;
    up(0);
    guess.inner = guess.ops = *lost.rig.front_port.grant;
    guess.ops.share_own = share_own;
    guess.shared = 0;
    guess.fail_at = 2;
    guess.mapped = false;
    lost.rig.front_port.grant = &guess.ops;
    assert_int_equal(xenpv_blkq_writev(lost.rig.q, 0, iov, 2, &status), XENPV_OK);
    for (int i = 0; i < 20; i++) {
        take();
        rig_rest(&lost.rig);
    }
    assert_true(guess.mapped);
    assert_int_equal(status, 1);
    run(30000);
    assert_int_equal(xenpv_blk_state(lost.rig.blk), XENPV_BLK_FAILED);
    assert_int_equal(status, XENPV_EBUSY);
    assert_int_equal(xenpv_blk_abandoned(lost.rig.blk), 1);
    guess.fail_at = 0;
    rig_connect(&lost.rig);
    finish(1);
    let_go();
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_GT_02_kept_over_a_recovery),
        cmocka_unit_test(test_GT_03_returned_during_a_recovery),
        cmocka_unit_test(test_seed_O8_suspended_before_control_knows),
        cmocka_unit_test(test_seed_O8_mapped_across_a_suspend),
        cmocka_unit_test(test_GT_01_mapped_before_it_was_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
