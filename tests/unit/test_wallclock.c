/* SPDX-License-Identifier: MIT */
/* The hypervisor's clocks. Built with a hook before each load, to write in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xenpv/wallclock.h>

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define BILLION        UINT64_C(1000000000)
#define PAGE_WORDS     1024u
#define X86_64_VERSION (3072u / 4)

void (*before_load)(void);

static uint32_t page[PAGE_WORDS];
static uint32_t loads, writer;

static int setup(void **state)
{
    (void)state;
    memset(page, 0, sizeof(page));
    before_load = NULL;
    loads = writer = 0;
    return 0;
}

/* ------------------------------------------------------------------------------- wallclock -- */

static void test_seed_A7_wallclock_of_each_layout(void **state)
{
    static const struct {
        enum xenpv_abi abi;
        uint32_t version, high; /* bytes, as in Xen's xen.h */
    } layouts[] = {{XENPV_ABI_X86_64, 3072, 3084},
                   {XENPV_ABI_X86_32, 2304, 2340},
                   {XENPV_ABI_ARM, 1072, 1084}};
    static const struct {
        uint32_t low, high, nsec;
        int error;
        uint64_t ns;
    } rows[] = {
        {0, 0, 0, 0, 0},
        {1795127830, 0, 123456789, 0, UINT64_C(1795127830123456789)},
        {0xffffffff, 0, 999999999, 0, UINT64_C(4294967295999999999)},
        {3, 1, 4, 0, UINT64_C(4294967299000000004)},
        {1, 0, 1000000000, XENPV_ERANGE, 0}, /* no number of nanoseconds */
        {0x4b82fa08, 4, 999999999, 0, UINT64_C(18446744072999999999)},
        {0x4b82fa09, 4, 0, XENPV_ERANGE, 0}, /* the first second that may not fit */
        {0, 5, 0, XENPV_ERANGE, 0},
        {0xffffffff, 0xffffffff, 0, XENPV_ERANGE, 0},
    };

    (void)state;
    for (size_t l = 0; l < COUNT(layouts); l++)
        for (size_t r = 0; r < COUNT(rows); r++) {
            uint32_t at = layouts[l].version / 4;
            uint64_t ns = 77;

            memset(page, 0, sizeof(page));
            page[at] = 0xfffffffe;
            page[at + 1] = rows[r].low;
            page[at + 2] = rows[r].nsec;
            page[layouts[l].high / 4] = rows[r].high;
            assert_int_equal(xenpv_wallclock_read(page, layouts[l].abi, &ns), rows[r].error);
            assert_int_equal(ns, rows[r].error ? 77 : rows[r].ns);
        }
}

static void test_wallclock_of_no_layout(void **state)
{
    uint64_t ns;

    (void)state;
    assert_int_equal(xenpv_wallclock_read(page, XENPV_ABI_COUNT, &ns), XENPV_EINVAL);
    assert_int_equal(xenpv_vcpu_time_offset(XENPV_ABI_COUNT, 0), 0);
}

/* ------------------------------------------------------------------------------ torn reads -- */

/* One word each load: an update from second 1 to second 2 is begun, made and ended. */
static void write_a_word(void)
{
    uint32_t *at = &page[X86_64_VERSION];

    if (loads++ < writer)
        return;
    switch (loads - writer) {
    case 1:
        at[0]++;
        break;
    case 2:
        at[1] = 2;
        break;
    case 3:
        at[2] = 2;
        break;
    case 4:
        at[3] = 2;
        break;
    case 5:
        at[0]++;
        break;
    default:
        break;
    }
}

/* Wherever the update begins, what is read is all old or all new. */
static void test_seed_A7_wallclock_is_never_torn(void **state)
{
    const uint64_t old = ((UINT64_C(1) << 32) + 1) * BILLION + 1;
    const uint64_t new = ((UINT64_C(2) << 32) + 2) * BILLION + 2;
    uint32_t seen[2] = {0, 0};

    (void)state;
    for (uint32_t begin = 0; begin < 12; begin++) {
        uint32_t *at = &page[X86_64_VERSION];
        uint64_t ns = 0;

        setup(NULL);
        at[0] = 6;
        at[1] = at[2] = at[3] = 1;
        writer = begin;
        before_load = write_a_word;
        assert_int_equal(xenpv_wallclock_read(page, XENPV_ABI_X86_64, &ns), 0);
        before_load = NULL;
        assert_true(ns == old || ns == new);
        seen[ns == new]++;
    }
    assert_true(seen[0] > 0 && seen[1] > 0);
}

static void move_version(void)
{
    page[X86_64_VERSION] += 2;
    page[0] += 2;
    loads++;
}

static void test_reads_are_bounded(void **state)
{
    struct xenpv_vcpu_time time;
    uint64_t ns = 77;

    (void)state;
    page[X86_64_VERSION] = page[0] = 1; /* an update that never ends */
    assert_int_equal(xenpv_wallclock_read(page, XENPV_ABI_X86_64, &ns), XENPV_EAGAIN);
    assert_int_equal(xenpv_vcpu_time_read(page, &time), XENPV_EAGAIN);
    page[X86_64_VERSION] = page[0] = 0; /* one after the other */
    before_load = move_version;
    assert_int_equal(xenpv_wallclock_read(page, XENPV_ABI_X86_64, &ns), XENPV_EAGAIN);
    assert_int_equal(xenpv_vcpu_time_read(page, &time), XENPV_EAGAIN);
    assert_int_equal(ns, 77);
    assert_true(loads < 20000);
}

/* ----------------------------------------------------------------------------- system time -- */

static void test_place_of_each_processor(void **state)
{
    static const struct {
        enum xenpv_abi abi;
        uint32_t vcpu, offset;
    } rows[] = {{XENPV_ABI_X86_64, 0, 32}, {XENPV_ABI_X86_64, 31, 2016}, {XENPV_ABI_X86_64, 32, 0},
                {XENPV_ABI_X86_32, 1, 96}, {XENPV_ABI_X86_32, 32, 0},    {XENPV_ABI_ARM, 0, 16},
                {XENPV_ABI_ARM, 1, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(xenpv_vcpu_time_offset(rows[i].abi, rows[i].vcpu), rows[i].offset);
}

static void test_vcpu_time_is_read(void **state)
{
    static const uint32_t words[8] = {4,          99,         0x89abcdef, 0x01234567,
                                      0x76543210, 0xfedcba98, 0x80000001, 0xffff02fd};
    struct xenpv_vcpu_time time;

    (void)state;
    assert_int_equal(xenpv_vcpu_time_read(words, &time), 0);
    assert_int_equal(time.tsc_timestamp, UINT64_C(0x0123456789abcdef));
    assert_int_equal(time.system_time, UINT64_C(0xfedcba9876543210));
    assert_int_equal(time.tsc_to_system_mul, 0x80000001);
    assert_int_equal(time.tsc_shift, -3);
    assert_int_equal(time.flags, XENPV_VCPU_TIME_GUEST_STOPPED);
}

/* What Xen computes, with 128 bits; these machines have them. */
__extension__ typedef unsigned __int128 wide;

static uint64_t by_wide(const struct xenpv_vcpu_time *time, uint64_t tsc)
{
    wide ticks = tsc > time->tsc_timestamp ? tsc - time->tsc_timestamp : 0;

    ticks = time->tsc_shift < 0 ? ticks >> -time->tsc_shift : ticks << time->tsc_shift;
    ticks = ticks > UINT64_MAX ? UINT64_MAX : ticks;
    ticks = (ticks * time->tsc_to_system_mul >> 32) + time->system_time;
    return ticks > UINT64_MAX ? UINT64_MAX : (uint64_t)ticks;
}

static void test_seed_A7_system_time(void **state)
{
    static const struct {
        uint64_t timestamp, system;
        uint32_t mul;
        int8_t shift;
        uint64_t tsc, ns;
    } rows[] = {
        /* 1 GHz: 2^32 / 2, shifted by 1 */
        {1000, 500, 0x80000000, 1, 1000, 500},
        {1000, 500, 0x80000000, 1, 1001, 501},
        {1000, 500, 0x80000000, 1, 3000001000, 3000000500},
        /* 4 GHz: a quarter */
        {0, 7, 0x80000000, -1, 4000000000, 1000000007},
        /* before the last update: time stands still */
        {1000, 500, 0x80000000, 1, 999, 500},
        {UINT64_MAX, 500, 0x80000000, 1, 0, 500},
        /* beyond what fits */
        {0, 0, 0xffffffff, 0, UINT64_MAX, UINT64_MAX - (UINT64_C(1) << 32)},
        {0, UINT64_MAX, 0xffffffff, 0, UINT64_MAX, UINT64_MAX},
        {0, UINT64_C(1) << 32, 0xffffffff, 0, UINT64_MAX, UINT64_MAX},
        {0, 1, 1, 63, 2, UINT64_C(1) << 32},
        {0, 1, 1, 127, 1, UINT64_C(1) << 32},
        {0, 1, 0xffffffff, -64, UINT64_MAX, 1},
        {0, 1, 0xffffffff, -128, UINT64_MAX, 1},
        {0, 1, 0xffffffff, 64, 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct xenpv_vcpu_time time = {.tsc_timestamp = rows[i].timestamp,
                                       .system_time = rows[i].system,
                                       .tsc_to_system_mul = rows[i].mul,
                                       .tsc_shift = rows[i].shift};
        assert_int_equal(xenpv_vcpu_time_now(&time, rows[i].tsc), rows[i].ns);
    }
}

static void test_system_time_as_with_more_bits(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (uint32_t i = 0; i < 100000; i++) {
        uint64_t numbers[4];

        for (size_t n = 0; n < COUNT(numbers); n++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            numbers[n] = (random >> 32 | random << 32) >> (random >> 58);
        }
        struct xenpv_vcpu_time time = {.tsc_timestamp = numbers[0] >> 1,
                                       .system_time = numbers[1],
                                       .tsc_to_system_mul = (uint32_t)numbers[2],
                                       .tsc_shift = (int8_t)((random >> 40) % 127 - 63)};
        assert_int_equal(xenpv_vcpu_time_now(&time, numbers[3]), by_wide(&time, numbers[3]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_seed_A7_wallclock_of_each_layout, setup),
        cmocka_unit_test_setup(test_wallclock_of_no_layout, setup),
        cmocka_unit_test_setup(test_seed_A7_wallclock_is_never_torn, setup),
        cmocka_unit_test_setup(test_reads_are_bounded, setup),
        cmocka_unit_test(test_place_of_each_processor),
        cmocka_unit_test(test_vcpu_time_is_read),
        cmocka_unit_test(test_seed_A7_system_time),
        cmocka_unit_test(test_system_time_as_with_more_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
