/* SPDX-License-Identifier: MIT */
/* A new size of the disk: told as `sectors`, and state 4 once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "back_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t now(const struct back_rig *rig)
{
    return xenpv_mock_now(rig->mock);
}

/* What the backend writes is one transaction where the port has them. */
static struct xenpv_store_ops noting;
static uint32_t batches, transactions;
static const char *refused; /* the key that cannot be written the next time */

static int noting_start(void *ctx, struct xenpv_store_batch *batch)
{
    struct faulty_port *faulty = ctx;
    int answer;

    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].type != XENPV_STORE_WRITE)
            continue;
        batches++;
        transactions += batch->transaction;
        break;
    }
    answer = faulty->inner.store->start(faulty->inner.ctx, batch);
    for (uint32_t i = 0; refused && i < batch->count; i++) {
        if (batch->ops[i].type == XENPV_STORE_WRITE && !strcmp(batch->ops[i].name, refused)) {
            batch->ops[i].status = XENPV_ENOSPC;
            refused = NULL;
        }
    }
    return answer;
}

static void note_batches(struct back_rig *rig)
{
    batches = transactions = 0;
    noting = *rig->back_port.store;
    noting.start = noting_start;
    rig->back_port.store = &noting;
}

static void resize(struct back_rig *rig, uint64_t bytes)
{
    rig->disk.bytes = bytes;
    xenpv_blkback_resized(rig->back);
}

/* The frontend's watch of state 4 fires, and it finds the size; requests go by the new one at once.
 */
static void test_resize(void **state)
{
    static const uint64_t sizes[] = {4096, 1 << 19, 512, 1 << 20};
    const struct xenpv_port *port;
    struct back_rig rig;
    char cookie;

    (void)state;
    for (int way = 0; way < 3; way++) {
        back_up(&rig, 1 << 20);
        if (way == 1)
            rig.back_port.caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
        note_batches(&rig);
        back_start(&rig);
        front_connect(&rig, &(struct back_front){0});
        port = &rig.front_port;
        assert_int_equal(port->store->watch(port->ctx, BACK_BACK "/state", &cookie), XENPV_OK);
        if (way == 2)
            xenpv_mock_set_store_delay(rig.mock, 0, 20);
        for (size_t i = 0; i < COUNT(sizes); i++) {
            uint64_t end = sizes[i] / 512;

            port->store->fired(port->ctx, &cookie);
            resize(&rig, sizes[i]);
            assert_int_equal(xenpv_blkback_deadline(rig.back), 0);
            for (int k = 0; k < 10; k++) {
                back_steps(&rig, 1);
                xenpv_mock_advance(rig.mock, way == 2 ? 10 : 0);
            }
            assert_true(port->store->fired(port->ctx, &cookie));
            assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), end);
            assert_int_equal(back_get(&rig, BACK_BACK, "state"), 4);
            assert_int_equal(front_move(&rig, XENPV_BLKIF_READ, end - 1, 0, 512), 0);
            assert_int_equal(front_move(&rig, XENPV_BLKIF_READ, end, 0, 512), -1);
            /* Once is enough. */
            back_steps(&rig, 5);
            assert_false(port->store->fired(port->ctx, &cookie));
        }
        assert_in_range(batches, 6, 20);
        assert_int_equal(transactions, way == 1 ? 0 : batches);
        port->store->unwatch(port->ctx, BACK_BACK "/state", &cookie);
        back_down(&rig);
    }
}

/* Before anybody is connected it only counts for who comes. */
static void test_resize_before(void **state)
{
    struct back_rig rig;

    (void)state;
    back_up(&rig, 1 << 20);
    back_start(&rig);
    resize(&rig, 512);
    back_steps(&rig, 5);
    assert_true(xenpv_blkback_deadline(rig.back) > 0);
    assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), -1);
    resize(&rig, 1024);
    note_batches(&rig);
    front_connect(&rig, &(struct back_front){0});
    assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), 2);
    assert_int_equal(batches, 1); /* which has state 4, too */
    front_close(&rig);
    resize(&rig, 2048);
    back_steps(&rig, 5);
    assert_int_equal(back_get(&rig, BACK_BACK, "state"), 6);
    back_down(&rig);
}

/* A state 4 that another backend left is not ours to write once more. */
static void test_resize_after_another(void **state)
{
    struct back_rig rig;

    (void)state;
    back_up(&rig, 1 << 20);
    back_set(&rig, BACK_BACK, "state", "4");
    xenpv_mock_set_store_delay(rig.mock, 0, 20);
    back_start(&rig);
    resize(&rig, 512);
    while (back_get(&rig, BACK_BACK, "state") == 4) {
        back_steps(&rig, 1);
        xenpv_mock_advance(rig.mock, 1);
        assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), -1);
    }
    assert_int_equal(back_get(&rig, BACK_BACK, "state"), 2);
    xenpv_mock_set_store_delay(rig.mock, 0, 0);
    back_down(&rig);
}

/* A store that conflicts, or fails, is asked again. */
static void test_resize_again(void **state)
{
    static const int errors[] = {XENPV_EAGAIN, XENPV_ESTORE, XENPV_ENOSPC, XENPV_EACCES};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 1 << 20);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    for (size_t i = 0; i < COUNT(errors); i++) {
        back_steps(&rig, 3); /* what the last one led to is over */
        resize(&rig, 512 * (i + 1));
        rig.faulty.error = errors[i];
        rig.faulty.fail_at = rig.faulty.calls + 1;
        back_steps(&rig, 5);
        assert_int_not_equal(back_get(&rig, BACK_BACK, "sectors"), i + 1);
        assert_true(xenpv_blkback_deadline(rig.back) <= now(&rig) + 1000);
        xenpv_mock_advance(rig.mock, 1000);
        back_steps(&rig, 1);
        assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), i + 1);
    }
    back_down(&rig);
}

/* Without transactions one key may be refused by itself. */
static void test_resize_half_refused(void **state)
{
    static const char *const keys[] = {"sectors", "state"};
    struct back_rig rig;

    (void)state;
    back_up(&rig, 1 << 20);
    rig.back_port.caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
    note_batches(&rig);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    for (size_t i = 0; i < COUNT(keys); i++) {
        back_steps(&rig, 3);
        batches = 0;
        resize(&rig, 512 * (i + 1));
        refused = keys[i];
        back_steps(&rig, 3);
        assert_null(refused);
        assert_int_equal(batches, 1);
        xenpv_mock_advance(rig.mock, 1000);
        back_steps(&rig, 3);
        assert_int_equal(batches, 2);
    }
    back_down(&rig);
}

/* The toolstack asks to close just when a size is told: that is not lost. */
static void test_resize_meets_unplug(void **state)
{
    struct back_rig rig;

    (void)state;
    back_up(&rig, 1 << 20);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    back_steps(&rig, 5);
    xenpv_mock_set_store_delay(rig.mock, 0, 50);
    resize(&rig, 512);
    back_steps(&rig, 1); /* it is on its way */
    back_set(&rig, BACK_BACK, "online", "0");
    back_set(&rig, BACK_BACK, "state", "5");
    for (int i = 0; i < 40; i++) {
        xenpv_mock_advance(rig.mock, 10);
        back_steps(&rig, 1);
    }
    assert_int_equal(back_get(&rig, BACK_BACK, "state"), 5);
    xenpv_mock_set_store_delay(rig.mock, 0, 0);
    front_close(&rig);
    back_steps(&rig, 3);
    assert_int_equal(xenpv_blkback_step(rig.back, now(&rig)), XENPV_BUS_DONE);
    back_down(&rig);
}

/* Closing overtakes it: no state 4 is written behind a 5. */
static void test_resize_meets_close(void **state)
{
    struct back_rig rig;

    (void)state;
    for (int by_front = 0; by_front < 2; by_front++) {
        for (int steps = 0; steps < 4; steps++) {
            back_up(&rig, 1 << 20);
            back_start(&rig);
            front_connect(&rig, &(struct back_front){0});
            xenpv_mock_set_store_delay(rig.mock, 0, 20);
            resize(&rig, 512);
            back_steps(&rig, steps);
            if (by_front)
                back_set(&rig, BACK_FRONT, "state", "5");
            else
                xenpv_blkback_close(rig.back, now(&rig));
            resize(&rig, 1024);
            for (int i = 0; i < 100; i++) {
                back_steps(&rig, 1);
                xenpv_mock_advance(rig.mock, 5);
            }
            assert_int_equal(back_get(&rig, BACK_BACK, "state"), 5);
            xenpv_mock_set_store_delay(rig.mock, 0, 0);
            back_down(&rig);
        }
    }
}

/* A backend that is destroyed meanwhile writes nothing any more. */
static void test_resize_meets_destroy(void **state)
{
    struct back_rig rig;

    (void)state;
    back_up(&rig, 1 << 20);
    back_start(&rig);
    front_connect(&rig, &(struct back_front){0});
    xenpv_mock_set_store_delay(rig.mock, 0, 20);
    resize(&rig, 512);
    back_steps(&rig, 1);
    xenpv_blkback_destroy(rig.back);
    rig.back = NULL;
    xenpv_mock_advance(rig.mock, 100);
    assert_int_equal(back_get(&rig, BACK_BACK, "sectors"), 2048);
    front_end(&rig);
    back_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_resize_before),
        cmocka_unit_test(test_resize_after_another),
        cmocka_unit_test(test_resize_again),
        cmocka_unit_test(test_resize_half_refused),
        cmocka_unit_test(test_resize_meets_unplug),
        cmocka_unit_test(test_resize_meets_close),
        cmocka_unit_test(test_resize_meets_destroy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
