/* SPDX-License-Identifier: MIT */
/*
 * The frontend rewrites its slot while the backend reads it: at each single load of shared memory
 * in turn another request stands there (XSA-155). Whichever of the two is answered, or a mixture,
 * there is one answer, the disk is not left, and no word is loaded twice: the number of loads is
 * what one reading takes. The backend of this program is built with a hook before each load.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "back_rig.h"

void (*before_load)(void);

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECTORS      128

/* The producer once, and the whole of the longest request without its padding: head, id, sector and
 * eleven segments. Publishing looks at the frontend's event index once more. */
#define LOADS_MOST (1 + 1 + 4 + 22 + 1)

static struct {
    struct back_rig *rig;
    const struct xenpv_blkif_request *other;
    uint32_t loads, flip_at;
    bool counting;
} flip;

static void rewrite(void)
{
    struct xenpv_ring *ring = &flip.rig->queue[0].ring;

    /* The slot that was published last. */
    ring->prod--;
    front_put(flip.rig, 0, flip.other);
}

/* Once the answer is there the slot is the frontend's to read. */
static bool answered(void)
{
    const struct xenpv_ring *ring = &flip.rig->queue[0].ring;

    return xenpv_ring_available(ring) != 0;
}

static void at_load(void)
{
    if (!flip.counting || ++flip.loads != flip.flip_at)
        return;
    flip.counting = false;
    if (!answered())
        rewrite();
    flip.counting = true;
}

static int checked(const struct back_notes *notes, uint64_t offset, uint64_t length)
{
    (void)notes;
    assert_true(offset <= SECTORS * 512 && length <= SECTORS * 512 - offset);
    return XENPV_OK;
}

static int checked_read(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    memset(to, 0, length);
    return checked(ctx, offset, length);
}

static int checked_write(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    (void)from;
    return checked(ctx, offset, length);
}

static int checked_discard(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    (void)secure;
    return checked(ctx, offset, length);
}

static void up(struct back_rig *rig, const struct back_front *front)
{
    back_up(rig, SECTORS * 512);
    rig->disk.read = checked_read;
    rig->disk.write = checked_write;
    rig->disk.discard = checked_discard;
    back_start(rig);
    front_connect(rig, front);
    back_steps(rig, 3);
    memcpy(front_data(rig, 0), &rig->data_refs[1], 4); /* one segment, for indirect requests */
    flip.rig = rig;
}

/* A request of each operation, and lies of all kinds. */
static uint32_t build(const struct back_rig *rig, struct xenpv_blkif_request *requests)
{
    static const struct {
        uint8_t op, inner;
        uint16_t segments;
        uint64_t sector, sectors;
        uint8_t first, last;
    } table[] = {
        {XENPV_BLKIF_READ, 0, 1, 0, 0, 0, 7},
        {XENPV_BLKIF_WRITE, 0, 11, 0, 0, 0, 7},
        {XENPV_BLKIF_WRITE, 0, 255, 0, 0, 0, 255},
        {XENPV_BLKIF_READ, 0, 11, SECTORS - 88, 0, 0, 7},
        {XENPV_BLKIF_READ, 0, 1, UINT64_MAX, 0, 7, 0},
        {XENPV_BLKIF_FLUSH, 0, 0, 0, 0, 0, 0},
        {XENPV_BLKIF_WRITE_BARRIER, 0, 5, 8, 0, 3, 5},
        {XENPV_BLKIF_DISCARD, 0, 0, 0, SECTORS, 0, 0},
        {XENPV_BLKIF_DISCARD, 0, 0, SECTORS - 1, UINT64_MAX, 0, 0},
        {XENPV_BLKIF_INDIRECT, XENPV_BLKIF_WRITE, 1, 0, 0, 0, 0},
        {XENPV_BLKIF_INDIRECT, XENPV_BLKIF_READ, 65535, 0, 0, 0, 0},
        {255, 255, 255, UINT64_MAX, UINT64_MAX, 255, 255},
    };

    for (size_t i = 0; i < COUNT(table); i++) {
        requests[i] = (struct xenpv_blkif_request){.op = table[i].op,
                                                   .indirect_op = table[i].inner,
                                                   .nr_segments = table[i].segments,
                                                   .id = UINT64_C(0x0101010101010101) * i,
                                                   .sector = table[i].sector,
                                                   .nr_sectors = table[i].sectors};
        for (uint32_t k = 0; k < XENPV_BLKIF_SEGMENTS && table[i].op < XENPV_BLKIF_DISCARD; k++)
            requests[i].seg[k] = front_segment(rig, k, table[i].first, table[i].last);
        for (uint32_t k = 0; k < XENPV_BLKIF_INDIRECT_PAGES; k++)
            requests[i].indirect_ref[k] = rig->data_refs[0];
    }
    return COUNT(table);
}

/* Sends a request that becomes another one at the given load. How many loads there were. */
static uint32_t serve_flipped(const struct xenpv_blkif_request *first,
                              const struct xenpv_blkif_request *other, uint32_t at)
{
    struct back_rig *rig = flip.rig;

    front_put(rig, 0, first);
    front_publish(rig, 0);
    flip.other = other;
    flip.flip_at = at;
    flip.loads = 0;
    flip.counting = true;
    back_steps(rig, 1);
    flip.counting = false;
    assert_int_equal(xenpv_ring_available(&rig->queue[0].ring), 1);
    front_take(rig, 0);
    return flip.loads;
}

static void test_xsa155_slot_changes(void **state)
{
    struct xenpv_blkif_request requests[16];
    struct back_rig rig;

    (void)state;
    for (uint32_t abi = 0; abi < XENPV_ABI_COUNT; abi++) {
        uint32_t count;

        up(&rig, &(struct back_front){.abi = (enum xenpv_abi)abi, .persistent = abi == 1});
        count = build(&rig, requests);
        for (uint32_t i = 0; i < count * count; i++) {
            uint32_t loads, at = 1;

            do {
                loads = serve_flipped(&requests[i / count], &requests[i % count], at);
                assert_in_range(loads, 1 + 1 + 4 + 1, LOADS_MOST);
            } while (at++ < loads);
        }
        back_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xsa155_slot_changes),
    };

    before_load = at_load;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
