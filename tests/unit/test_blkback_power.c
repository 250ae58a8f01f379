/* SPDX-License-Identifier: MIT */
/*
 * The power of a volatile disk is cut under our backend, at any time and with any seed: what was
 * acknowledged before an acknowledged flush was sent is there afterwards, on whatever queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "back_rig.h"

enum { BLOCKS = 32, QUEUES = 2, VERSIONS = 4096, IN_FLIGHT = 24 };

/* What one block of 4096 bytes was made to hold, in its order; 0: it was discarded, or is new. */
struct block {
    uint32_t versions[VERSIONS], count;
    uint32_t acknowledged; /* the first so many were */
    uint32_t stable;       /* one of versions[stable...] must be found */
};

struct sent {
    uint8_t op;
    bool data;
    uint32_t block, place;   /* of its data */
    uint32_t covers[BLOCKS]; /* what was acknowledged when it was sent */
};

struct run {
    struct back_rig rig;
    uint32_t seed, last_version;
    struct block block[BLOCKS];
    struct sent sent[QUEUES][IN_FLIGHT];
    uint32_t first[QUEUES], count[QUEUES]; /* of `sent`, in flight */
    uint64_t flushed, cuts;
};

static void fill(uint8_t *page, uint32_t version)
{
    for (uint32_t i = 0; i < XENPV_PAGE_SIZE; i += 4)
        memcpy(page + i, &version, 4);
}

static void start(struct run *run)
{
    struct back_rig *rig = &run->rig;

    back_start(rig);
    front_connect(rig, &(struct back_front){.queues = QUEUES,
                                            .data_pages = QUEUES * IN_FLIGHT,
                                            .persistent = run->seed % 2});
    for (uint32_t q = 0; q < QUEUES; q++)
        run->first[q] = run->count[q] = 0;
}

/* Sends a write, a discard, a flush or a barrier, with data or without. Queues have blocks of
 * their own, for nothing orders them among each other. */
static void send(struct run *run, uint32_t queue)
{
    static const struct {
        uint8_t op;
        bool data;
    } kinds[] = {{XENPV_BLKIF_WRITE, true},         {XENPV_BLKIF_WRITE, true},
                 {XENPV_BLKIF_WRITE, true},         {XENPV_BLKIF_WRITE, true},
                 {XENPV_BLKIF_DISCARD, true},       {XENPV_BLKIF_FLUSH, false},
                 {XENPV_BLKIF_FLUSH, true},         {XENPV_BLKIF_WRITE_BARRIER, false},
                 {XENPV_BLKIF_WRITE_BARRIER, true}, {XENPV_BLKIF_DISCARD, true}};
    uint32_t slot = (run->first[queue] + run->count[queue]++) % IN_FLIGHT;
    uint32_t page = queue * IN_FLIGHT + slot, kind = back_random(&run->seed) % 10;
    struct sent *sent = &run->sent[queue][slot];
    struct xenpv_blkif_request request = {.op = kinds[kind].op, .id = slot};

    *sent = (struct sent){.op = kinds[kind].op, .data = kinds[kind].data};
    sent->block = back_random(&run->seed) % (BLOCKS / QUEUES) * QUEUES + queue;
    for (uint32_t i = 0; i < BLOCKS; i++)
        sent->covers[i] = run->block[i].acknowledged;
    if (sent->data) {
        struct block *block = &run->block[sent->block];

        sent->place = block->count;
        assert_true(block->count < VERSIONS);
        block->versions[block->count++] =
            request.op == XENPV_BLKIF_DISCARD ? 0 : ++run->last_version;
        request.sector = sent->block * 8;
        request.nr_sectors = 8;
        request.nr_segments = 1;
        request.seg[0] = front_segment(&run->rig, page, 0, 7);
        fill(front_data(&run->rig, page * XENPV_PAGE_SIZE), run->last_version);
    }
    front_put(&run->rig, queue, &request);
}

static void cover(struct run *run, uint32_t i, uint32_t acknowledged)
{
    /* Of what was acknowledged the latest one, or a newer one, must stay. */
    if (acknowledged && run->block[i].stable < acknowledged - 1)
        run->block[i].stable = acknowledged - 1;
}

static void receive(struct run *run, uint32_t queue)
{
    struct sent *sent = &run->sent[queue][run->first[queue]];
    struct xenpv_blkif_response response = front_take(&run->rig, queue);

    assert_int_equal(response.id, run->first[queue]);
    assert_int_equal(response.op, sent->op);
    assert_int_equal(response.status, XENPV_BLKIF_OKAY);
    run->first[queue] = (run->first[queue] + 1) % IN_FLIGHT;
    run->count[queue]--;
    if (sent->data)
        run->block[sent->block].acknowledged = sent->place + 1;
    if (sent->op != XENPV_BLKIF_FLUSH && sent->op != XENPV_BLKIF_WRITE_BARRIER)
        return;
    run->flushed++;
    for (uint32_t i = 0; i < BLOCKS; i++)
        cover(run, i, sent->covers[i]);
    if (sent->op == XENPV_BLKIF_WRITE_BARRIER && sent->data)
        cover(run, sent->block, sent->place + 1);
}

/* What is there now is what was last stable, or newer; and now it is all there is. */
static void judge(struct run *run)
{
    for (uint32_t i = 0; i < BLOCKS; i++) {
        struct block *block = &run->block[i];
        uint8_t found[XENPV_PAGE_SIZE];

        assert_int_equal(
            run->rig.disk.read(run->rig.disk.ctx, i * XENPV_PAGE_SIZE, found, XENPV_PAGE_SIZE),
            XENPV_OK);
        /* A power cut tears what was in the cache sector by sector. */
        for (uint32_t s = 0; s < 8; s++) {
            uint32_t version, k = block->stable;

            memcpy(&version, found + (size_t)s * 512, 4);
            for (uint32_t at = 0; at < 512; at += 4)
                assert_memory_equal(found + (size_t)s * 512 + at, &version, 4);
            while (k < block->count && block->versions[k] != version)
                k++;
            if (k >= block->count)
                fail_msg("block %u holds version %u, and %u was stable", i, version,
                         block->versions[block->stable]);
        }
    }
}

static void begin_anew(struct run *run)
{
    uint8_t page[XENPV_PAGE_SIZE];

    /* Torn blocks are written whole, so that each has one version again. */
    for (uint32_t i = 0; i < BLOCKS; i++) {
        struct block *block = &run->block[i];

        fill(page, ++run->last_version);
        run->rig.disk.write(run->rig.disk.ctx, i * XENPV_PAGE_SIZE, page, sizeof(page));
        block->versions[0] = run->last_version;
        block->count = block->acknowledged = 1;
        block->stable = 0;
    }
    run->rig.disk.flush(run->rig.disk.ctx);
}

static void cut(struct run *run)
{
    struct back_rig *rig = &run->rig;

    xenpv_blkback_destroy(rig->back);
    rig->back = NULL;
    xenpv_disk_power_cut(&rig->disk, back_random(&run->seed));
    run->cuts++;
    judge(run);
    front_end(rig);
    back_set(rig, BACK_FRONT, "state", "6");
    back_set(rig, BACK_BACK, "state", "1");
}

static void live(struct run *run)
{
    for (int i = 0; i < 60; i++) {
        uint32_t q = back_random(&run->seed) % QUEUES, n = back_random(&run->seed) % 6;

        while (n-- && run->count[q] < IN_FLIGHT)
            send(run, q);
        front_publish(&run->rig, q);
        if (back_random(&run->seed) % 3)
            back_steps(&run->rig, 1);
        for (q = 0; q < QUEUES; q++) {
            n = back_random(&run->seed) % 8;
            while (n-- && xenpv_ring_available(&run->rig.queue[q].ring))
                receive(run, q);
        }
    }
}

/* O9, RL-03 of the backend's side. */
static void test_o9_flushed_is_stable(void **state)
{
    struct run *run = malloc(sizeof(*run));
    uint64_t flushed = 0;

    (void)state;
    for (uint32_t seed = 0; seed < 40; seed++) {
        memset(run, 0, sizeof(*run));
        run->seed = seed;
        back_up(&run->rig, 4096);
        assert_int_equal(
            xenpv_disk_volatile(&run->rig.allocator, BLOCKS * XENPV_PAGE_SIZE, &run->rig.disk),
            XENPV_OK);
        for (int round = 0; round < 6; round++) {
            begin_anew(run);
            start(run);
            live(run);
            cut(run);
        }
        flushed += run->flushed;
        run->rig.disk.close(run->rig.disk.ctx);
        back_free(&run->rig);
    }
    assert_true(flushed > 5000);
    free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_o9_flushed_is_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
