/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <xenpv/abi/blkif.h>
#include <xenpv/keys.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t number;
    } table[] = {
        {"0", true, 0},
        {"00017", true, 17},
        {"4294967296", true, UINT64_C(1) << 32},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1\n", false, 0},
        {"0x10", false, 0},
        {"1e3", false, 0},
        {"\xff", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        uint64_t number = 12345;
        bool good = xenpv_parse_number(table[i].text, (uint32_t)strlen(table[i].text), &number);
        assert_int_equal(good, table[i].good);
        assert_int_equal(number, good ? table[i].number : 12345);
    }
    assert_false(xenpv_parse_number("1\0002", 3, &(uint64_t){0}));
}

static void test_format(void **state)
{
    static const uint64_t table[] = {0, 9, 10, 12345, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[21];
        uint64_t back = 1;
        uint32_t digits = xenpv_format_number(table[i], text);
        assert_int_equal(strlen(text), digits);
        assert_true(xenpv_parse_number(text, digits, &back));
        assert_int_equal(back, table[i]);
    }
}

static void test_judging(void **state)
{
    static const struct xenpv_key number = {"n", XENPV_KEY_NUMBER, false, 7, 1, 10};
    static const struct xenpv_key text = {"t", XENPV_KEY_TEXT, false, 0, 0, 0};
    static const struct {
        const struct xenpv_key *key;
        const char *found;
        enum xenpv_key_status status;
        uint64_t value;
    } table[] = {
        {&number, "1", XENPV_KEY_GOOD, 1},
        {&number, "10", XENPV_KEY_GOOD, 10},
        {&number, "0", XENPV_KEY_OUT_OF_RANGE, 7},
        {&number, "11", XENPV_KEY_OUT_OF_RANGE, 7},
        {&number, "x", XENPV_KEY_JUNK, 7},
        {&text, "disk", XENPV_KEY_GOOD, 0},
        {&text, "", XENPV_KEY_GOOD, 0},
        {&text, "a\tb", XENPV_KEY_JUNK, 0},
        {&text, "0123456789012345678901234567890123456789", XENPV_KEY_JUNK, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct xenpv_key_value value;
        xenpv_key_judge(table[i].key, table[i].found, (uint32_t)strlen(table[i].found), &value);
        assert_int_equal(value.status, table[i].status);
        assert_int_equal(value.number, table[i].value);
        for (const char *c = value.text; *c; c++)
            assert_in_range(*c, ' ', '~');
    }
}

/* A long value, as it lies in its owner's buffer, which is looked at no further. */
static void test_long_values(void **state)
{
    static const struct xenpv_key key = {"l", XENPV_KEY_LONG, false, 0, 0, 0};
    static const struct {
        uint32_t length, capacity;
        enum xenpv_key_status status;
    } table[] = {{0, 0, XENPV_KEY_GOOD},     {1, 0, XENPV_KEY_JUNK},     {0, 100, XENPV_KEY_GOOD},
                 {99, 100, XENPV_KEY_GOOD},  {100, 100, XENPV_KEY_GOOD}, {101, 100, XENPV_KEY_JUNK},
                 {4096, 100, XENPV_KEY_JUNK}};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char *bytes = table[i].capacity ? malloc(table[i].capacity) : NULL;
        struct xenpv_key_value value = {.bytes = bytes, .capacity = table[i].capacity};
        uint32_t found = table[i].length < table[i].capacity ? table[i].length : table[i].capacity;

        if (bytes)
            memset(bytes, '\n', table[i].capacity);
        xenpv_key_judge(&key, bytes, table[i].length, &value);
        assert_int_equal(value.status, table[i].status);
        assert_int_equal(value.length, found);
        assert_int_equal(strlen(value.text), found < 39 ? found : 39);
        assert_int_equal(strspn(value.text, "?"), strlen(value.text));
        xenpv_key_absent(&key, &value);
        assert_int_equal(value.status, XENPV_KEY_ABSENT);
        assert_int_equal(value.length, 0);
        assert_ptr_equal(value.bytes, bytes);
        free(bytes);
    }
}

static void test_vbd_names(void **state)
{
    static const struct {
        uint32_t vdev;
        const char *name;
    } table[] = {
        {51712, "xvda"},     {51713, "xvda1"},     {51728, "xvdb"},
        {51952, "xvdp"},     {268439552, "xvdq"},  {268439553, "xvdq1"},
        {268441856, "xvdz"}, {268442112, "xvdaa"}, {768, "hda"},
        {832, "hdb"},        {5632, "hdc"},        {5695, "hdc63"},
        {2048, "sda"},       {2064, "sdb"},        {0, "?"},
        {896, "?"},          {536870912, "?"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char name[16];
        xenpv_vbd_name(table[i].vdev, name);
        assert_string_equal(name, table[i].name);
    }
}

static void check_round_trip(uint32_t vdev)
{
    uint32_t number = 0;
    char name[16];

    xenpv_vbd_name(vdev, name);
    if (!xenpv_vbd_number(name, &number) || number != vdev)
        fail_msg("%u is %s, and %s is %u", vdev, name, name, number);
}

static void seed_A1_names_and_numbers_are_each_others_inverse(void **state)
{
    static const struct {
        uint32_t major, minors;
    } classic[] = {{202, 256}, {8, 256}, {3, 128}, {22, 128}};

    (void)state;
    for (size_t i = 0; i < COUNT(classic); i++)
        for (uint32_t minor = 0; minor < classic[i].minors; minor++)
            check_round_trip(classic[i].major << 8 | minor);
    for (uint32_t disk = 0; disk < 1u << 20; disk++)
        for (uint32_t partition = 0; partition <= 0xff; partition += disk < 64 ? 1 : 51)
            if (disk >= 16 || partition >= 16)
                check_round_trip(1u << 28 | disk << 8 | partition);
}

static void test_vbd_numbers(void **state)
{
    static const struct {
        const char *name;
        uint32_t vdev; /* 0: it names nothing */
    } table[] = {
        {"xvda", 51712},
        {"xvda15", 51727},
        {"xvda16", 268435472},
        {"xvdp", 51952},
        {"xvdq", 268439552},
        {"xvdaa", 268442112},
        {"xvdzz", 268614912},
        {"xvda255", 268435711},
        {"xvda256", 0},
        {"xvdbgqcv", 536870656},
        {"xvdbgqcw", 0},
        {"sda", 2048},
        {"sdp15", 2303},
        {"sda16", 0},
        {"sdq", 0},
        {"hda", 768},
        {"hda63", 831},
        {"hda64", 0},
        {"hdb", 832},
        {"hdc", 5632},
        {"hdd63", 5759},
        {"hde", 0},
        {"xvda0", 0},
        {"xvda01", 0},
        {"xvda1x", 0},
        {"xvdA", 0},
        {"xvd", 0},
        {"xvd1", 0},
        {"", 0},
        {"?", 0},
        {"vda", 0},
        {" xvda", 0},
        {"xvdzzzzzzzzzzzzzzz", 0},
        {"xvda4294967297", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        uint32_t vdev = 0;
        bool good = xenpv_vbd_number(table[i].name, &vdev);

        if (good != (table[i].vdev != 0) || vdev != table[i].vdev)
            fail_msg("%s is %u instead of %u", table[i].name, vdev, table[i].vdev);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_judging),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_vbd_names),
        cmocka_unit_test(test_vbd_numbers),
        cmocka_unit_test(seed_A1_names_and_numbers_are_each_others_inverse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
