/* SPDX-License-Identifier: MIT */
/*
 * Many disks of one guest: all attached at once, handed from one frontend to the next in any order,
 * taken away under each other's eyes, and short of grants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "blk_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MOST = 64, BYTES = 65536, EXTENDED = 1 << 28 };

struct one {
    uint32_t vdev;
    char front_path[64], back_path[64];
    struct xenpv_disk disk;
    struct xenpv_blkback *back;
    void *memory;
    struct xenpv_blk *blk;
};

static struct many {
    struct xenpv_allocator allocator;
    struct strict_heap heap;
    struct xenpv_mock *mock;
    struct xenpv_port front_port, back_port;
    uint32_t count, buffer_pages, recover_ms;
    struct one one[MOST];
} many;

/* ---- the machine ----------------------------------------------------------------------------- */

/* xvda to xvdp by their classic numbers, all further by extended ones. */
static uint32_t number_of(uint32_t disk)
{
    return disk < 16 ? 202 << 8 | disk << 4 : EXTENDED | disk << 8;
}

static uint64_t now(void)
{
    return xenpv_mock_now(many.mock);
}

static void make_frontend(struct one *one)
{
    struct xenpv_blk_config config;

    xenpv_blk_config_init(&config, &many.front_port, one->front_path);
    config.buffer_pages = many.buffer_pages;
    config.recover_ms = many.recover_ms;
    one->memory = aligned_alloc(16, (xenpv_blk_size(&config) + 15) & ~(size_t)15);
    assert_int_equal(xenpv_blk_init(one->memory, &config, &one->blk), XENPV_OK);
}

static void make(struct one *one, uint32_t vdev)
{
    struct xenpv_mock_vbd vbd = {.frontend = 1, .vdev = vdev, .params = "memory"};
    struct xenpv_blkback_config config;

    one->vdev = vdev;
    snprintf(one->front_path, sizeof(one->front_path), "device/vbd/%u", vdev);
    snprintf(one->back_path, sizeof(one->back_path), "backend/vbd/1/%u", vdev);
    assert_int_equal(xenpv_mock_add_vbd(many.mock, &vbd), XENPV_OK);
    assert_int_equal(xenpv_disk_memory(&many.allocator, BYTES, &one->disk), XENPV_OK);
    xenpv_blkback_config_init(&config, &many.back_port, one->back_path, &one->disk,
                              &many.allocator);
    assert_int_equal(xenpv_blkback_create(&config, &one->back), XENPV_OK);
    assert_int_equal(xenpv_blkback_start(one->back, 0), XENPV_OK);
    make_frontend(one);
}

static void up(uint32_t count, const struct xenpv_mock_limits *limits)
{
    struct xenpv_mock_config config = {
        .size = sizeof(config), .limits = *limits, .log = strict_log};

    many.count = count;
    many.allocator = strict_allocator(&many.heap);
    config.allocator = many.allocator;
    assert_int_equal(xenpv_mock_create(&config, &many.mock), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(many.mock, 1), XENPV_OK);
    assert_int_equal(xenpv_mock_port(many.mock, 0, &many.back_port), XENPV_OK);
    assert_int_equal(xenpv_mock_port(many.mock, 1, &many.front_port), XENPV_OK);
    for (uint32_t i = 0; i < count; i++)
        make(&many.one[i], number_of(i));
}

static void down(void)
{
    struct xenpv_mock_ledger ledger, nothing = {0};

    for (uint32_t i = 0; i < many.count; i++) {
        xenpv_blkback_destroy(many.one[i].back);
        many.one[i].disk.close(many.one[i].disk.ctx);
        free(many.one[i].memory);
    }
    for (uint16_t domid = 0; domid < 2; domid++) {
        assert_int_equal(xenpv_mock_ledger(many.mock, domid, &ledger), XENPV_OK);
        assert_memory_equal(&ledger, &nothing, sizeof(ledger));
    }
    xenpv_mock_destroy(many.mock);
    assert_int_equal(many.heap.blocks, 0);
}

/* As long as a disk is connected its operations end well. */
static void poll_all(void)
{
    struct xenpv_completion done[8];

    for (uint32_t i = 0; i < many.count; i++) {
        bool connected = xenpv_blk_state(many.one[i].blk) == XENPV_BLK_CONNECTED;
        int count = xenpv_blkq_poll(xenpv_blk_queue(many.one[i].blk, 0), done, 8);

        for (int k = 0; k < count && connected; k++)
            assert_int_equal(done[k].status, XENPV_OK);
    }
}

static void step(void)
{
    for (uint32_t i = 0; i < many.count; i++) {
        xenpv_blk_step(many.one[i].blk, now());
        xenpv_blkback_step(many.one[i].back, now());
    }
}

static void until(const struct one *one, enum xenpv_blk_state state)
{
    for (int i = 0; i < 20000 && xenpv_blk_state(one->blk) != state; i++) {
        step();
        poll_all();
        xenpv_mock_advance(many.mock, 1);
    }
    assert_int_equal(xenpv_blk_state(one->blk), state);
}

static int wait_for(const struct one *one)
{
    struct xenpv_completion done;
    int count;

    while ((count = xenpv_blkq_poll(xenpv_blk_queue(one->blk, 0), &done, 1)) == 0)
        step();
    assert_int_equal(count, 1);
    return done.status;
}

/* Writes a pattern, all over the disk, that no other disk has, and reads it back. */
static void use(const struct one *one, uint32_t seed)
{
    static uint8_t written[BYTES], found[BYTES];
    struct xenpv_blkq *q = xenpv_blk_queue(one->blk, 0);
    struct xenpv_iov iov[2] = {{written, BYTES}, {found, BYTES}};

    rig_fill(written, BYTES, one->vdev + seed);
    assert_int_equal(xenpv_blkq_writev(q, 0, &iov[0], 1, NULL), XENPV_OK);
    assert_int_equal(wait_for(one), XENPV_OK);
    assert_int_equal(xenpv_blkq_readv(q, 0, &iov[1], 1, NULL), XENPV_OK);
    assert_int_equal(wait_for(one), XENPV_OK);
    assert_memory_equal(found, written, BYTES);
}

/* What the disk holds, past all protocol, is still that pattern. */
static void assert_holds(const struct one *one, uint32_t seed)
{
    static uint8_t written[BYTES], found[BYTES];

    rig_fill(written, BYTES, one->vdev + seed);
    assert_int_equal(one->disk.read(one->disk.ctx, 0, found, BYTES), XENPV_OK);
    assert_memory_equal(found, written, BYTES);
}

static void connect_one(struct one *one)
{
    assert_int_equal(xenpv_blk_connect(one->blk, now()), XENPV_OK);
    until(one, XENPV_BLK_CONNECTED);
}

static void close_one(struct one *one)
{
    xenpv_blk_close(one->blk, now());
    until(one, XENPV_BLK_CLOSED);
}

/* ---- all at once ----------------------------------------------------------------------------- */

static const struct xenpv_mock_limits usual = {0};

/* Within the limits that Xen and its store have: 64 disks with what they have initially. */
static void test_seed_A1_64_disks(void **state)
{
    char name[16];

    (void)state;
    many.buffer_pages = 352;
    many.recover_ms = 30000;
    up(MOST, &usual);
    for (uint32_t i = 0; i < MOST; i++)
        assert_int_equal(xenpv_blk_connect(many.one[i].blk, now()), XENPV_OK);
    for (uint32_t i = 0; i < MOST; i++)
        until(&many.one[i], XENPV_BLK_CONNECTED);
    for (uint32_t i = 0; i < MOST; i++)
        use(&many.one[i], 0);
    for (uint32_t i = 0; i < MOST; i++)
        assert_holds(&many.one[i], 0);
    xenpv_vbd_name(many.one[15].vdev, name);
    assert_string_equal(name, "xvdp");
    xenpv_vbd_name(many.one[63].vdev, name);
    assert_string_equal(name, "xvdbl");
    for (uint32_t i = 0; i < MOST; i++)
        close_one(&many.one[i]);
    down();
}

/* ---- handed over ----------------------------------------------------------------------------- */

enum { SOME = 6 };

/* The next of one of the orders that there are: 0 to SOME! - 1. */
static struct one *pick(uint32_t *order, bool taken[SOME], uint32_t left)
{
    uint32_t which = *order % left, i = 0;

    *order /= left;
    for (; taken[i] || which; i++)
        which -= !taken[i];
    taken[i] = true;
    return &many.one[i];
}

/* Each is released and taken again by another frontend, releasing and taking in all orders, one
 * after the other or all released before the first is taken. */
static void check_hand_over(uint32_t order, bool all_first)
{
    bool released[SOME] = {false}, taken[SOME] = {false};
    uint32_t release = order, take = order * 7 + 3;

    for (uint32_t i = 0; i < SOME; i++)
        use(&many.one[i], order);
    for (uint32_t i = 0; i < SOME; i++) {
        struct one *one = pick(&release, released, SOME - i);

        close_one(one);
        free(one->memory);
        make_frontend(one);
        if (!all_first)
            connect_one(one);
    }
    for (uint32_t i = 0; i < SOME && all_first; i++)
        connect_one(pick(&take, taken, SOME - i));
    for (uint32_t i = 0; i < SOME; i++) {
        assert_holds(&many.one[i], order);
        use(&many.one[i], order + 1);
    }
}

static void test_seed_O15_handed_over_in_any_order(void **state)
{
    (void)state;
    many.buffer_pages = 40;
    up(SOME, &usual);
    for (uint32_t i = 0; i < SOME; i++)
        connect_one(&many.one[i]);
    for (uint32_t order = 0; order < 720; order += 7)
        check_hand_over(order, order & 1);
    for (uint32_t i = 0; i < SOME; i++)
        close_one(&many.one[i]);
    down();
}

/* ---- one of them goes ------------------------------------------------------------------------ */

static void unplug(struct one *one)
{
    struct xenpv_mock_vbd vbd = {.frontend = 1, .vdev = one->vdev};
    char path[128];

    snprintf(path, sizeof(path), "/local/domain/0/%s/online", one->back_path);
    assert_int_equal(xenpv_mock_write(many.mock, path, "0"), XENPV_OK);
    snprintf(path, sizeof(path), "/local/domain/0/%s/state", one->back_path);
    assert_int_equal(xenpv_mock_write(many.mock, path, "5"), XENPV_OK);
    until(one, XENPV_BLK_FAILED);
    assert_int_equal(xenpv_mock_remove_vbd(many.mock, &vbd), XENPV_OK);
}

/* RL-06: with all rings full one disk after the other is taken away; no other notices. */
static void test_RL_06_others_go_on(void **state)
{
    static uint8_t data[SOME][BYTES];
    struct xenpv_iov iov[SOME];
    bool gone[SOME] = {false};
    uint32_t order = 321;

    (void)state;
    many.buffer_pages = 11;
    many.recover_ms = 30000;
    up(SOME, &usual);
    for (uint32_t i = 0; i < SOME; i++) {
        iov[i] = (struct xenpv_iov){data[i], BYTES};
        connect_one(&many.one[i]);
    }
    for (uint32_t round = 0; round < SOME; round++) {
        struct one *victim;

        for (uint32_t i = 0; i < SOME; i++) {
            if (gone[i])
                continue;
            rig_fill(data[i], BYTES, many.one[i].vdev + round);
            for (int k = 0; k < 20; k++)
                assert_int_equal(
                    xenpv_blkq_writev(xenpv_blk_queue(many.one[i].blk, 0), 0, &iov[i], 1, NULL),
                    XENPV_OK);
            xenpv_blkq_submit(xenpv_blk_queue(many.one[i].blk, 0));
        }
        victim = pick(&order, gone, SOME - round);
        unplug(victim);
        for (uint32_t i = 0; i < SOME; i++) {
            if (gone[i])
                continue;
            assert_int_equal(xenpv_blk_state(many.one[i].blk), XENPV_BLK_CONNECTED);
            while (xenpv_blkq_pending(xenpv_blk_queue(many.one[i].blk, 0)))
                assert_int_equal(wait_for(&many.one[i]), XENPV_OK);
            assert_holds(&many.one[i], round);
        }
    }
    down();
}

/* ---- short of grants ------------------------------------------------------------------------- */

enum { NEEDED = 12, TABLE = 8 + 5 * NEEDED + 7 };

/* R3, RL-07: who finds no room says so, and comes in as soon as another one leaves; the others work
 * throughout. */
static void test_seed_R3_RL_07_short_of_grants(void **state)
{
    (void)state;
    many.buffer_pages = NEEDED - 1;
    many.recover_ms = 0;
    up(8, &(struct xenpv_mock_limits){.grants = TABLE});
    for (uint32_t i = 0; i < 5; i++)
        connect_one(&many.one[i]);
    for (uint32_t round = 0; round < 24; round++) {
        struct one *out = &many.one[(round + 5) % 8], *in = &many.one[round % 8];
        const struct xenpv_detail *detail = xenpv_blk_detail(out->blk);

        assert_int_equal(xenpv_blk_connect(out->blk, now()), XENPV_OK);
        until(out, XENPV_BLK_FAILED);
        assert_int_equal(detail->error, XENPV_ENOGRANT);
        assert_string_equal(detail->step, "sharing memory with the peer");
        assert_string_equal(detail->found, xenpv_error_text(XENPV_ENOGRANT));
        assert_int_equal(xenpv_blk_abandoned(out->blk), 0);
        for (uint32_t i = 0; i < 5; i++)
            use(&many.one[(round + i) % 8], round);
        close_one(in);
        connect_one(out);
        use(out, round);
    }
    for (uint32_t i = 0; i < 5; i++)
        close_one(&many.one[(24 + i) % 8]);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A1_64_disks),
        cmocka_unit_test(test_seed_O15_handed_over_in_any_order),
        cmocka_unit_test(test_RL_06_others_go_on),
        cmocka_unit_test(test_seed_R3_RL_07_short_of_grants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
