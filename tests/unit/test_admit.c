/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <xenpv/admit.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MOST 64u

/* Disks and cards in the order in which a store lists them: by no number. */
static uint32_t make(struct xenpv_admit_device *devices, uint32_t disks, uint32_t nics)
{
    uint32_t count = disks + nics;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = (i * 29 + 7) % count; /* 29 is prime, and divides none of the counts */

        devices[i] = k < disks ? (struct xenpv_admit_device){XENPV_ADMIT_DISK, 51712 + 16 * k, true}
                               : (struct xenpv_admit_device){XENPV_ADMIT_NIC, k - disks, true};
    }
    return count;
}

/* How many of a class were admitted; those must be the ones with the lowest numbers. */
static uint32_t count_admitted(const struct xenpv_admit_device *devices, uint32_t count,
                               enum xenpv_admit_class device_class)
{
    uint32_t admitted = 0, highest = 0, lowest_refused = UINT32_MAX;

    for (uint32_t i = 0; i < count; i++) {
        const struct xenpv_admit_device *device = &devices[i];

        if (device->device_class != device_class)
            continue;
        admitted += device->admitted;
        if (device->admitted && device->number > highest)
            highest = device->number;
        if (!device->admitted && device->number < lowest_refused)
            lowest_refused = device->number;
    }
    assert_true(admitted == 0 || highest < lowest_refused);
    return admitted;
}

static void seed_O3_disks_come_before_network_cards(void **state)
{
    static const struct {
        uint32_t disks, nics, budget, disks_admitted, nics_admitted;
    } table[] = {
        {35, 8, 40, 35, 5}, {40, 8, 40, 40, 0}, {41, 8, 40, 40, 0}, {32, 8, 40, 32, 8},
        {3, 2, 40, 3, 2},   {3, 2, 5, 3, 2},    {3, 2, 4, 3, 1},    {3, 2, 3, 3, 0},
        {3, 2, 2, 2, 0},    {3, 2, 1, 1, 0},    {3, 2, 0, 0, 0},    {0, 8, 5, 0, 5},
        {9, 0, 5, 5, 0},    {0, 0, 40, 0, 0},   {1, 0, 1, 1, 0},    {0, 1, UINT32_MAX, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct xenpv_admit_device devices[MOST];
        uint32_t count = make(devices, table[i].disks, table[i].nics);
        uint32_t refused = xenpv_admit(devices, count, table[i].budget);

        assert_int_equal(count_admitted(devices, count, XENPV_ADMIT_DISK), table[i].disks_admitted);
        assert_int_equal(count_admitted(devices, count, XENPV_ADMIT_NIC), table[i].nics_admitted);
        assert_int_equal(refused, count - table[i].disks_admitted - table[i].nics_admitted);
    }
}

static void seed_O3_the_order_given_does_not_matter_and_stays(void **state)
{
    struct xenpv_admit_device devices[] = {
        {XENPV_ADMIT_NIC, 0, false},        {XENPV_ADMIT_DISK, 268439552, false},
        {XENPV_ADMIT_DISK, 51728, false},   {XENPV_ADMIT_NIC, 1, true},
        {XENPV_ADMIT_DISK, 51712, false},   {XENPV_ADMIT_DISK, UINT32_MAX, true},
        {XENPV_ADMIT_NIC, UINT32_MAX, true}};
    static const bool wanted[] = {true, true, true, false, true, true, false};

    (void)state;
    assert_int_equal(xenpv_admit(devices, COUNT(devices), 5), 2);
    for (size_t i = 0; i < COUNT(devices); i++)
        assert_int_equal(devices[i].admitted, wanted[i]);
    assert_int_equal(devices[1].number, 268439552);
    assert_int_equal(devices[6].number, UINT32_MAX);
}

static void test_equal_devices_are_admitted_in_the_order_given(void **state)
{
    struct xenpv_admit_device devices[] = {
        {XENPV_ADMIT_DISK, 7, false}, {XENPV_ADMIT_DISK, 7, false}, {XENPV_ADMIT_DISK, 7, false}};

    (void)state;
    assert_int_equal(xenpv_admit(devices, 3, 2), 1);
    assert_true(devices[0].admitted);
    assert_true(devices[1].admitted);
    assert_false(devices[2].admitted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_O3_disks_come_before_network_cards),
        cmocka_unit_test(seed_O3_the_order_given_does_not_matter_and_stays),
        cmocka_unit_test(test_equal_devices_are_admitted_in_the_order_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
