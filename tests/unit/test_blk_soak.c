/* SPDX-License-Identifier: MIT */
/*
 * R2: a load that keeps the ring full, for long, while events get lost in both directions and
 * grants run short: the connection that was made first is the last, each operation ends well and
 * soon, and all data is what it must be.
 *
 * Frontend and backend sleep as programs do: until an event comes, or their own patience ends. Xen
 * loses no event; who does not rely on that (or on the system in between) waits with a limit, and
 * polls: that is allowed at any time. Nothing else is needed for none to be lost for good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "blk_rig.h"
#include "core/blk_device.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    PAGE = 4096,
    DEPTH = 64, /* the ring has 32 slots */
    REGION = 4 * PAGE,
    OPERATIONS = 20000,
    PATIENCE_MS = 20,
    GRANTS = 800,
    FOR_EVER = 1 << 30,
};

static const struct mode {
    const char *name;
    uint32_t lost;     /* one event in so many; 0: none */
    uint32_t patience; /* ms */
    bool own_memory, short_of_grants, short_of_maps;
    uint64_t ms; /* that an operation takes at the most */
} modes[] = {
    {"no event is lost: no patience is needed", 0, FOR_EVER, false, false, false, 50},
    {"the same with the caller's memory", 0, FOR_EVER, true, false, false, 50},
    {"one event in three is lost", 3, PATIENCE_MS, false, false, false, 300},
    {"all events are lost", 1, PATIENCE_MS, false, false, false, 300},
    {"grants run short", 0, FOR_EVER, true, true, false, 50},
    {"the backend runs short", 0, FOR_EVER, false, false, true, 50},
    {"events are lost, and grants run short", 3, PATIENCE_MS, true, true, false, 300},
    {"events are lost, and the backend runs short", 3, PATIENCE_MS, false, false, true, 300},
};

/* An operation on a part of the disk that is its own, and what that part holds. */
struct job {
    uint8_t *held, *data;
    struct xenpv_iov iov[2];
    uint32_t at, bytes;
    bool busy, write;
    uint64_t queued; /* when */
};

/* Who sleeps until his channel has an event, or until `until`. */
struct sleeper {
    bool pending, masked, asleep;
    uint64_t until, lost, in_vain; /* events that never came; sleeps that none has ended */
};

static struct soak {
    struct rig rig;
    const struct mode *mode;
    struct xenpv_port front, back; /* as they were */
    struct xenpv_event_ops front_event, back_event;
    struct xenpv_grant_ops front_grant;
    struct xenpv_map_ops back_map;
    struct sleeper queue, backend;
    struct job jobs[DEPTH];
    uint32_t random;

    struct xenpv_grant_region hog[GRANTS];
    uint32_t hog_refs[GRANTS], hogged;
    bool maps_fail;

    uint64_t started, ended, slowest, looks, full;
    uint64_t own_refused, own_granted, maps_refused, channels;
} soak;

static uint64_t now(void)
{
    return xenpv_mock_now(soak.rig.mock);
}

/* ---- ports that are not what they were ------------------------------------------------------- */

static int notify(const struct xenpv_port *port, void *ctx, uint32_t channel, struct sleeper *peer)
{
    if (soak.mode->lost && rig_random(&soak.random) % soak.mode->lost == 0) {
        peer->lost++;
        return XENPV_OK;
    }
    peer->pending = true;
    return port->event->notify(ctx, channel);
}

static int notify_back(void *ctx, uint32_t channel)
{
    return notify(&soak.front, ctx, channel, &soak.backend);
}

static int notify_front(void *ctx, uint32_t channel)
{
    return notify(&soak.back, ctx, channel, &soak.queue);
}

static bool take(const struct xenpv_port *port, void *ctx, uint32_t channel, struct sleeper *owner)
{
    if (!port->event->take(ctx, channel))
        return false;
    owner->pending = false;
    owner->masked = true;
    return true;
}

static bool take_front(void *ctx, uint32_t channel)
{
    return take(&soak.front, ctx, channel, &soak.queue);
}

static bool take_back(void *ctx, uint32_t channel)
{
    return take(&soak.back, ctx, channel, &soak.backend);
}

static void unmask_front(void *ctx, uint32_t channel)
{
    soak.queue.masked = false;
    soak.front.event->unmask(ctx, channel);
}

static void unmask_back(void *ctx, uint32_t channel)
{
    soak.backend.masked = false;
    soak.back.event->unmask(ctx, channel);
}

static xenpv_handle handle(void *ctx, uint32_t channel)
{
    (void)ctx;
    (void)channel;
    return 1;
}

static int alloc_unbound(void *ctx, uint16_t domid, uint32_t *channel)
{
    soak.channels++;
    return soak.front.event->alloc_unbound(ctx, domid, channel);
}

static int share_own(void *ctx, uint16_t domid, struct xenpv_grant_region *region, bool writable)
{
    int error = soak.front.grant->share_own(ctx, domid, region, writable);

    if (error)
        assert_int_equal(error, XENPV_ENOGRANT);
    *(error ? &soak.own_refused : &soak.own_granted) += 1;
    return error;
}

static int map_pages(void *ctx, struct xenpv_map_region *region)
{
    if (!soak.maps_fail)
        return soak.back.map->map(ctx, region);
    for (uint32_t i = 0; i < region->count; i++)
        region->entries[i].status = XENPV_ENOGRANT;
    soak.maps_refused++;
    return XENPV_ENOGRANT;
}

static void wrap_ports(void)
{
    struct rig *rig = &soak.rig;

    soak.front = rig->front_port;
    soak.back = rig->back_port;
    soak.front_event = *soak.front.event;
    soak.back_event = *soak.back.event;
    soak.front_grant = *soak.front.grant;
    soak.back_map = *soak.back.map;
    soak.front_event.notify = notify_back;
    soak.front_event.take = take_front;
    soak.front_event.unmask = unmask_front;
    soak.front_event.wait_handle = handle;
    soak.front_event.alloc_unbound = alloc_unbound;
    soak.back_event.notify = notify_front;
    soak.back_event.take = take_back;
    soak.back_event.unmask = unmask_back;
    soak.front_grant.share_own = share_own;
    soak.back_map.map = map_pages;
    rig->front_port.event = &soak.front_event;
    rig->front_port.grant = &soak.front_grant;
    rig->back_port.event = &soak.back_event;
    rig->back_port.map = &soak.back_map;
}

/* ---- grants that others have ----------------------------------------------------------------- */

/* Somebody else in the domain takes all that there are. */
static void take_grants(void)
{
    struct xenpv_grant_region *next = &soak.hog[soak.hogged];

    *next = (struct xenpv_grant_region){.pages = 1, .refs = &soak.hog_refs[soak.hogged]};
    while (soak.front.grant->share(soak.front.ctx, 0, next) == XENPV_OK) {
        assert_in_range(++soak.hogged, 1, GRANTS - 1);
        next = &soak.hog[soak.hogged];
        *next = (struct xenpv_grant_region){.pages = 1, .refs = &soak.hog_refs[soak.hogged]};
    }
}

static void give_grants(void)
{
    while (soak.hogged)
        assert_int_equal(soak.front.grant->end(soak.front.ctx, &soak.hog[--soak.hogged]), XENPV_OK);
}

static void run_short(void)
{
    bool is_short = now() / 64 % 2;

    if (soak.mode->short_of_maps)
        soak.maps_fail = !is_short;
    if (!soak.mode->short_of_grants)
        return;
    if (is_short)
        take_grants(); /* once more: what has come back since goes, too */
    else
        give_grants();
}

/* As long as there are too few to connect it says so, and tries again. */
static void connect(void)
{
    struct rig *rig = &soak.rig;

    for (int i = 0; i < 3 && soak.mode->short_of_grants; i++) {
        take_grants();
        assert_int_equal(xenpv_blk_connect(rig->blk, now()), XENPV_OK);
        rig_until(rig, XENPV_BLK_FAILED);
        assert_int_equal(xenpv_blk_detail(rig->blk)->error, XENPV_ENOGRANT);
    }
    give_grants();
    rig_connect(rig);
    soak.channels = 1;
}

/* ---- the load -------------------------------------------------------------------------------- */

/* Three in four are whole sectors. */
static void start(struct job *job)
{
    uint32_t grain = rig_random(&soak.random) % 4 ? 512 : 1, first;
    uint64_t offset = (uint64_t)(job - soak.jobs) * REGION;
    int error;

    job->at = rig_random(&soak.random) % (REGION / 2) / grain * grain;
    job->bytes = (1 + rig_random(&soak.random) % (2 * PAGE)) / grain * grain;
    job->bytes = job->bytes ? job->bytes : grain;
    first = job->bytes / 2 / grain * grain;
    job->iov[0] = (struct xenpv_iov){job->data, first};
    job->iov[1] = (struct xenpv_iov){job->data + first, job->bytes - first};
    job->write = rig_random(&soak.random) % 2;
    if (job->write)
        rig_fill(job->data, job->bytes, soak.random);
    else
        memset(job->data, 0xee, job->bytes);
    error = (job->write ? xenpv_blkq_writev : xenpv_blkq_readv)(soak.rig.q, offset + job->at,
                                                                job->iov, COUNT(job->iov), job);
    assert_int_equal(error, XENPV_OK);
    job->busy = true;
    job->queued = now();
    soak.started++;
}

static void end(const struct xenpv_completion *done)
{
    struct job *job = done->user;
    uint64_t took = now() - job->queued;

    assert_true(job->busy);
    assert_int_equal(done->status, XENPV_OK);
    if (job->write)
        memcpy(job->held + job->at, job->data, job->bytes);
    else
        assert_memory_equal(job->data, job->held + job->at, job->bytes);
    job->busy = false;
    soak.ended++;
    if (took > soak.slowest)
        soak.slowest = took;
}

static void queue_all(void)
{
    for (uint32_t i = 0; i < DEPTH && soak.started < OPERATIONS; i++) {
        if (!soak.jobs[i].busy)
            start(&soak.jobs[i]);
    }
    xenpv_blkq_submit(soak.rig.q);
    if (soak.started == OPERATIONS)
        return;
    soak.looks++;
    soak.full += soak.rig.q->free_slot == NULL;
}

/* ---- sleeping -------------------------------------------------------------------------------- */

static bool awake(struct sleeper *sleeper)
{
    bool event = sleeper->pending && !sleeper->masked;

    if (!sleeper->asleep)
        return true;
    if (!event && now() < sleeper->until)
        return false;
    sleeper->in_vain += !event;
    sleeper->asleep = false;
    return true;
}

static void sleep_until(struct sleeper *sleeper, uint64_t until)
{
    sleeper->asleep = true;
    sleeper->until = now() + soak.mode->patience;
    if (until < sleeper->until)
        sleeper->until = until;
}

static void run_backend(void)
{
    struct xenpv_blkback *back = soak.rig.back;

    if (!awake(&soak.backend))
        return;
    xenpv_blkback_step(back, now());
    if (xenpv_blkback_deadline(back) > now())
        sleep_until(&soak.backend, xenpv_blkback_deadline(back));
}

static void run_queue(void)
{
    struct xenpv_completion done[DEPTH];
    int count;

    if (!awake(&soak.queue))
        return;
    count = xenpv_blkq_poll(soak.rig.q, done, COUNT(done));
    assert_in_range(count, 0, COUNT(done));
    for (int i = 0; i < count; i++)
        end(&done[i]);
    queue_all();
    if (count)
        return;
    if (rig_random(&soak.random) % 2)
        run_backend(); /* between a look and the wish for an event */
    if (xenpv_blkq_arm(soak.rig.q) == 0)
        sleep_until(&soak.queue, UINT64_MAX);
}

/* ---- the test -------------------------------------------------------------------------------- */

static void up(const struct mode *mode)
{
    soak = (struct soak){.mode = mode, .random = 1};
    rig_up(&soak.rig, &(struct rig_options){.bytes = (uint64_t)DEPTH * REGION,
                                            .operations = DEPTH,
                                            .own_memory = mode->own_memory,
                                            .limits = {.grants = GRANTS},
                                            .recover_ms = 60000});
    wrap_ports();
    for (uint32_t i = 0; i < DEPTH; i++) {
        soak.jobs[i].held = calloc(1, REGION);
        soak.jobs[i].data = aligned_alloc(PAGE, REGION);
    }
    connect();
}

static void down(void)
{
    soak.maps_fail = false;
    give_grants();
    for (uint32_t i = 0; i < DEPTH; i++) {
        rig_assert_disk(&soak.rig, (uint64_t)i * REGION, soak.jobs[i].held, REGION);
        free(soak.jobs[i].held);
        free(soak.jobs[i].data);
    }
    rig_close(&soak.rig);
    assert_int_equal(xenpv_blk_abandoned(soak.rig.blk), 0);
    rig_down(&soak.rig);
}

static void check(const struct mode *mode)
{
    struct sleeper *a = &soak.queue, *b = &soak.backend;

    print_message("  %s: %u ms, the slowest %u\n", mode->name, (unsigned)now(),
                  (unsigned)soak.slowest);
    print_message("    events lost %u and %u, waits in vain %u and %u; own grants %u, refused %u; "
                  "maps refused %u\n",
                  (unsigned)a->lost, (unsigned)b->lost, (unsigned)a->in_vain, (unsigned)b->in_vain,
                  (unsigned)soak.own_granted, (unsigned)soak.own_refused,
                  (unsigned)soak.maps_refused);
    assert_int_equal(soak.ended, OPERATIONS);
    assert_in_range(soak.slowest, 0, mode->ms);
    assert_int_equal(soak.channels, 1);
    assert_int_equal(soak.full, soak.looks);
    assert_in_range(soak.looks, OPERATIONS / DEPTH, OPERATIONS);
    /* What was meant to happen has happened, and nothing else. */
    assert_int_equal(a->lost > 100, mode->lost != 0);
    assert_int_equal(b->lost > 100, mode->lost != 0);
    assert_int_equal(a->in_vain + b->in_vain > 100, mode->lost != 0);
    assert_int_equal(soak.own_granted > 1000, mode->own_memory);
    assert_int_equal(soak.own_refused > 1000, mode->short_of_grants);
    assert_int_equal(soak.maps_refused > 100, mode->short_of_maps);
}

static void test_seed_R2_full_ring(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(modes); i++) {
        up(&modes[i]);
        while (soak.ended < OPERATIONS) {
            run_short();
            assert_int_equal(xenpv_blk_step(soak.rig.blk, now()), XENPV_BLK_CONNECTED);
            /* Each is at times the faster one, and goes to sleep for want of work. */
            for (uint32_t k = rig_random(&soak.random) % 4; k; k--)
                run_queue();
            for (uint32_t k = rig_random(&soak.random) % 4; k; k--)
                run_backend();
            xenpv_mock_advance(soak.rig.mock, 1);
            if (now() > 10 * OPERATIONS)
                fail_msg("%s: %u have ended", modes[i].name, (unsigned)soak.ended);
        }
        check(&modes[i]);
        down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seed_R2_full_ring)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
