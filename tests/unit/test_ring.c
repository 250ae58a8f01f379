/* SPDX-License-Identifier: MIT */
/* Ring arithmetic, either end, through the wrap of the free-running indexes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <xenpv/ring.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static _Alignas(4096) uint8_t page[4096];

static void test_slot_counts(void **state)
{
    static const struct {
        uint32_t slot_size, pages, slots;
    } table[] = {
        {112, 1, 32}, {112, 2, 64},   {112, 4, 128}, {112, 8, 256}, {112, 16, 512},
        {108, 1, 32}, {108, 16, 512}, {12, 1, 256},  {8, 1, 256},   {16, 1, 128},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        assert_int_equal(xenpv_ring_count(table[i].pages * 4096, table[i].slot_size),
                         table[i].slots);
}

/* Both ends, with all indexes at `start`. */
static void make_pair(struct xenpv_ring *front, struct xenpv_ring *back, uint32_t start)
{
    uint32_t *words = (uint32_t *)(void *)page;

    memset(page, 0, sizeof(page));
    xenpv_ring_init_front(front, page, sizeof(page), 112);
    assert_int_equal(words[0], 0);
    assert_int_equal(words[1], 1);
    assert_int_equal(words[2], 0);
    assert_int_equal(words[3], 1);
    front->prod = front->published = front->cons = start;
    words[0] = words[2] = start;
    words[1] = words[3] = start + 1;
    xenpv_ring_attach_back(back, page, sizeof(page), 112);
}

static void test_wrap(void **state)
{
    struct xenpv_ring front, back;
    uint32_t image[28], taken[28];

    (void)state;
    make_pair(&front, &back, UINT32_MAX - 40);
    for (uint32_t i = 0; i < 100; i++) {
        for (uint32_t k = 0; k < 28; k++)
            image[k] = i * 1000 + k;
        xenpv_ring_put(&front, image, sizeof(image));
        xenpv_ring_publish(&front);
        assert_int_equal(xenpv_ring_available(&back), 1);
        xenpv_ring_take(&back, taken, sizeof(taken));
        assert_memory_equal(image, taken, sizeof(image));
        xenpv_ring_put(&back, image, 16);
        assert_int_equal(xenpv_ring_available(&front), 0);
        xenpv_ring_publish(&back);
        assert_int_equal(xenpv_ring_available(&front), 1);
        assert_int_equal(xenpv_ring_outstanding(&front), 1);
        xenpv_ring_take(&front, taken, 16);
        assert_memory_equal(image, taken, 16);
        assert_int_equal(xenpv_ring_free(&front), 32);
    }
}

static void test_room(void **state)
{
    struct xenpv_ring front, back;
    uint32_t image[28] = {0};

    (void)state;
    make_pair(&front, &back, UINT32_MAX - 3);
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(xenpv_ring_free(&front), 32 - i);
        xenpv_ring_put(&front, image, sizeof(image));
    }
    assert_int_equal(xenpv_ring_free(&front), 0);
    assert_int_equal(xenpv_ring_outstanding(&front), 0);
    xenpv_ring_publish(&front);
    assert_int_equal(xenpv_ring_outstanding(&front), 32);
    assert_int_equal(xenpv_ring_room(&back), 32);
    xenpv_ring_take(&back, image, sizeof(image));
    assert_int_equal(xenpv_ring_room(&back), 31);
    xenpv_ring_put(&back, image, 16);
    assert_int_equal(xenpv_ring_room(&back), 32);
}

/* RING_PUSH_*_AND_CHECK_NOTIFY over every event index around the batch, at the wrap and not. */
static void test_notify(void **state)
{
    static const uint32_t starts[] = {0, 100, UINT32_MAX - 2};
    struct xenpv_ring front, back;
    uint32_t image[28] = {0};

    (void)state;
    for (size_t s = 0; s < COUNT(starts); s++) {
        for (int event = -3; event <= 8; event++) {
            make_pair(&front, &back, starts[s]);
            xenpv_store(&front.out->event, starts[s] + (uint32_t)event);
            for (int i = 0; i < 4; i++)
                xenpv_ring_put(&front, image, sizeof(image));
            assert_int_equal(xenpv_ring_publish(&front), event >= 1 && event <= 4);
            assert_false(xenpv_ring_publish(&front));
        }
    }
}

static void test_arm(void **state)
{
    struct xenpv_ring front, back;
    uint32_t image[28] = {0};

    (void)state;
    make_pair(&front, &back, UINT32_MAX);
    assert_false(xenpv_ring_arm(&back));
    xenpv_ring_put(&front, image, sizeof(image));
    assert_true(xenpv_ring_publish(&front));
    assert_true(xenpv_ring_arm(&back));
    xenpv_ring_take(&back, image, sizeof(image));
    assert_false(xenpv_ring_arm(&back));
    xenpv_ring_disarm(&back);
    xenpv_ring_put(&front, image, sizeof(image));
    xenpv_ring_put(&front, image, sizeof(image));
    assert_false(xenpv_ring_publish(&front));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slot_counts), cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_room),        cmocka_unit_test(test_notify),
        cmocka_unit_test(test_arm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
