/* SPDX-License-Identifier: MIT */
/*
 * RL-04: the connection goes while writes that meet are in flight and queued behind each other. At
 * every request; with each number of those in flight done by then, of these each number answered,
 * and the answers seen or not. What is sent again never lands over anything newer, and in the end
 * the disk holds the latest of all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plain_backend.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    CELL = 8,
    DISK = 2 << 20,
    CELLS = DISK / CELL,
    USED = (1 << 20) + 8192, /* no operation goes beyond */
    KEPT = 32,
    LIMIT_MS = 5000,
};

/* An operation of number i + 1 puts that into all of its cells, or zeroes them. */
static const struct operation {
    uint64_t offset, bytes;
    bool discard;
} script[] = {
    {0, 4096, false},       /* the short way */
    {0, 4096, false},       /* all of it once more */
    {2048, 4096, false},    /* the end of it, and what comes after */
    {8192, 4096, false},    /* elsewhere: not held up */
    {8200, 16, false},      /* in one sector */
    {8192, 4096, true},     /* all of that goes */
    {8192, 512, false},     /* and is written again in part */
    {4096, 4608, false},    /* meets both groups */
    {1 << 20, 4096, false}, /* counted with block 0, and does not meet it */
    {0, 512, false},        /* meets what is far before it */
    {0, 131072, false},     /* several requests */
    {65536, 512, false},    /* behind one of these */
    {131064, 16, false},    /* the last sector of them, and the next, both in part */
    /* While the connection is lost: */
    {0, 4096, false},      /* over what waits */
    {65536, 24, false},    /* the same in part */
    {12288, 4096, false},  /* behind the large one alone */
    {262144, 4096, false}, /* behind nothing */
    /* At once when it is back: */
    {0, 4096, false},       /* what would go the short way if nothing waited */
    {1 << 20, 4096, false}, /* the same in a block that is counted with another */
    {262144, 4096, false},  /* behind one that was never sent */
};

/* How many of these there are when it is lost, and while it is. */
enum { BEFORE = 13, HELD = 17, ALL = COUNT(script) };

static struct replay {
    struct rig rig;
    struct plain plain;
    uint8_t *data[ALL];
    struct xenpv_iov iov[ALL];
    int status[ALL]; /* 1: not ended */
    uint32_t queued; /* so many of the script */

    uint32_t version[CELLS], zeroed[CELLS]; /* what the disk holds; the discard that a 0 is of */
    uint8_t before[USED];

    uint32_t seen, keep_from; /* requests */
    struct plain_request kept[KEPT];
    uint32_t kept_count;
} it;

/* Which case it is. */
static struct moment {
    uint32_t request, done, answered;
    bool taken, suspended, own_memory;
} at;

static void must(bool good, const char *what, uint64_t number)
{
    if (!good)
        fail_msg("lost at request %u, %u done, %u answered%s%s%s: %s %llu", at.request, at.done,
                 at.answered, at.taken ? " and taken" : "", at.suspended ? ", suspended" : "",
                 at.own_memory ? ", own memory" : "", what, (unsigned long long)number);
}

/* ---- the disk -------------------------------------------------------------------------------- */

static uint32_t shown(uint32_t cell)
{
    uint32_t version;

    memcpy(&version, it.plain.disk + (size_t)cell * CELL, sizeof(version));
    return version ? version : it.zeroed[cell];
}

/* Of the discard that this request is a part of. */
static void note_discard(const struct plain_request *request)
{
    for (uint32_t i = 0; i < ALL; i++) {
        if (!script[i].discard || request->offset < script[i].offset ||
            request->offset + request->bytes > script[i].offset + script[i].bytes)
            continue;
        for (uint64_t k = request->offset; k < request->offset + request->bytes; k += CELL)
            it.zeroed[k / CELL] = i + 1;
    }
}

/* No cell may show an older number than it did. */
static void do_request(const struct plain_request *request)
{
    if (request->op == XENPV_BLKIF_DISCARD)
        note_discard(request);
    plain_do(&it.plain, request);
    if (request->op == XENPV_BLKIF_READ)
        return;
    for (uint64_t k = request->offset; k < request->offset + request->bytes; k += CELL) {
        uint32_t cell = (uint32_t)(k / CELL), now = shown(cell);

        must(now >= it.version[cell], "an older write lands over a newer one at", k);
        it.version[cell] = now;
    }
}

static int judge(struct plain *plain, const struct plain_request *request)
{
    (void)plain;
    if (it.seen++ < it.keep_from) {
        do_request(request);
        return XENPV_BLKIF_OKAY;
    }
    assert_false(request->indirect);
    assert_in_range(it.kept_count, 0, KEPT - 1);
    it.kept[it.kept_count] = *request;
    it.kept[it.kept_count].seg = it.kept[it.kept_count].raw.seg;
    it.kept_count++;
    return PLAIN_KEEP;
}

/* ---- operations ------------------------------------------------------------------------------ */

static void queue_to(uint32_t end)
{
    for (; it.queued < end; it.queued++) {
        const struct operation *next = &script[it.queued];
        int error = next->discard ? xenpv_blkq_discard(it.rig.q, next->offset, next->bytes, 0,
                                                       &it.status[it.queued])
                                  : xenpv_blkq_writev(it.rig.q, next->offset, &it.iov[it.queued], 1,
                                                      &it.status[it.queued]);

        assert_int_equal(error, XENPV_OK);
    }
    xenpv_blkq_submit(it.rig.q);
}

/* What has ended well is on the disk, or something newer is. */
static void take(void)
{
    struct xenpv_completion done[ALL];
    int count = xenpv_blkq_poll(it.rig.q, done, ALL);

    for (int i = 0; i < count; i++) {
        int *status = done[i].user;
        uint32_t number = (uint32_t)(status - it.status);
        const struct operation *ended = &script[number];

        must(*status == 1, "it ends twice:", number);
        *status = done[i].status;
        must(*status == XENPV_OK, "it fails:", number);
        for (uint64_t k = ended->offset; k < ended->offset + ended->bytes; k += CELL)
            must(it.version[k / CELL] > number, "it has ended, and is not on the disk:", number);
    }
}

static void turn(bool polls)
{
    rig_step(&it.rig);
    if (polls)
        take();
    xenpv_mock_advance(it.rig.mock, 1);
}

/* ---- a case ---------------------------------------------------------------------------------- */

static const struct plain_key answer[] = {
    {"sectors", "4096"}, {"feature-discard", "1"}, {"discard-granularity", "512"}, {NULL, NULL}};

static void up(void)
{
    memset(&it.status, 0, offsetof(struct replay, kept) - offsetof(struct replay, status));
    it.kept_count = 0;
    rig_up(&it.rig, &(struct rig_options){.bytes = DISK,
                                          .no_backend = true,
                                          .segments = 11,
                                          .own_memory = at.own_memory,
                                          .recover_ms = LIMIT_MS});
    plain_up(&it.plain, &it.rig);
    it.plain.answer = answer;
    it.plain.judge = judge;
    for (uint32_t i = 0; i < ALL; i++)
        it.status[i] = 1;
    it.keep_from = at.request;
    rig_connect(&it.rig);
    take(); /* the short way is open from the first poll on */
}

static void lose(void)
{
    it.plain.deaf = true;
    if (at.suspended)
        xenpv_mock_suspend(it.rig.mock, 1);
    rig_set(&it.rig, it.rig.backend_path, "state", "5");
}

static void return_and_finish(void)
{
    uint64_t end = xenpv_mock_now(it.rig.mock) + LIMIT_MS;

    it.keep_from = UINT32_MAX;
    while (it.queued < HELD || xenpv_blkq_pending(it.rig.q)) {
        turn(it.queued < HELD || it.queued == ALL);
        it.plain.deaf = it.plain.attached == 1;
        if (it.queued < HELD && xenpv_blkq_held(it.rig.q))
            queue_to(HELD);
        if (it.queued == HELD && xenpv_blk_state(it.rig.blk) == XENPV_BLK_CONNECTED)
            queue_to(ALL);
        must(xenpv_mock_now(it.rig.mock) < end, "it does not return: state",
             (uint64_t)xenpv_blk_state(it.rig.blk));
    }
}

static void assert_latest(void)
{
    static uint32_t latest[USED / CELL];

    memset(latest, 0, sizeof(latest));
    for (uint32_t i = 0; i < ALL; i++) {
        for (uint64_t k = script[i].offset; k < script[i].offset + script[i].bytes; k += CELL)
            latest[k / CELL] = i + 1;
    }
    for (uint32_t i = 0; i < USED / CELL; i++)
        must(shown(i) == latest[i], "the disk does not hold the latest at", (uint64_t)i * CELL);
    for (uint32_t i = 0; i < ALL; i++)
        must(it.status[i] == XENPV_OK, "it has not ended:", i);
}

/* How many were in flight at that request. */
static uint32_t lost_at(const struct moment *moment)
{
    uint32_t in_flight;

    at = *moment;
    up();
    queue_to(BEFORE);
    for (int i = 0; i < 40; i++)
        turn(true);
    in_flight = it.kept_count;
    assert_in_range(at.done, 0, in_flight);
    for (uint32_t i = 0; i < at.done; i++)
        do_request(&it.kept[i]);
    for (uint32_t i = 0; i < at.answered; i++)
        plain_answer(&it.plain, 0, it.kept[i].raw.id, it.kept[i].raw.op, XENPV_BLKIF_OKAY);
    plain_publish(&it.plain, 0);
    if (at.taken)
        take();
    lose();
    return_and_finish();
    assert_latest();
    rig_close(&it.rig);
    plain_down(&it.plain);
    rig_down(&it.rig);
    return in_flight;
}

/* All that can have been done and answered when it goes at that request; false: there is none. */
static bool every_way(struct moment moment, uint32_t *cases)
{
    uint32_t in_flight = 0;

    for (moment.done = 0; moment.done <= in_flight; moment.done++) {
        for (moment.answered = 0; moment.answered <= moment.done; moment.answered++) {
            moment.taken = false;
            in_flight = lost_at(&moment);
            moment.taken = true;
            if (moment.answered)
                lost_at(&moment);
            *cases += 1;
        }
    }
    return in_flight != 0;
}

static void test_RL_04_meeting_writes_lost_at_every_request(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ALL; i++) {
        it.data[i] = aligned_alloc(4096, (script[i].bytes + 4095) / 4096 * 4096);
        it.iov[i] = (struct xenpv_iov){it.data[i], script[i].bytes};
        for (uint32_t k = 0; k < script[i].bytes; k += CELL)
            memcpy(it.data[i] + k, &(uint32_t[2]){i + 1, i + 1}, CELL);
    }
    for (uint32_t mode = 0; mode < 4; mode++) {
        struct moment moment = {.suspended = mode % 2, .own_memory = mode / 2};
        uint32_t cases = 0;

        while (every_way(moment, &cases))
            moment.request++;
        print_message("  %s, %s: %u requests, %u cases\n",
                      moment.suspended ? "suspended" : "closing",
                      moment.own_memory ? "own memory" : "bounced", moment.request, cases);
        assert_in_range(moment.request, BEFORE, 40);
    }
    for (uint32_t i = 0; i < ALL; i++)
        free(it.data[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_RL_04_meeting_writes_lost_at_every_request)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
