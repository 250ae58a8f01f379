/* SPDX-License-Identifier: MIT */
/* What is refused of a store operation before it is sent, at each limit and one beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xenpv/store.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char bytes[5000];

static void test_seed_XS_06_paths(void **state)
{
    static const struct {
        const char *dir, *name;
        int expected, perms, watch;
    } cases[] = {
        {"/", NULL, 0, 0, 0},
        {"/local", NULL, 0, 0, 0},
        {"data", NULL, 0, 0, 0},
        {"data", "a", 0, 0, 0},
        {"/local/domain/0", "a/b-C_9@", 0, 0, 0},
        {"data/@x", NULL, 0, 0, 0},
        {"", NULL, XENPV_EINVAL, XENPV_EINVAL, XENPV_EINVAL},
        {"/", "local", XENPV_EINVAL, XENPV_EINVAL, 0},
        {"data/", NULL, XENPV_EINVAL, XENPV_EINVAL, XENPV_EINVAL},
        {"data", "", XENPV_EINVAL, XENPV_EINVAL, 0},
        {"data", "/a", XENPV_EINVAL, XENPV_EINVAL, 0},
        {"data//a", NULL, XENPV_EINVAL, XENPV_EINVAL, XENPV_EINVAL},
        {"//", NULL, XENPV_EINVAL, XENPV_EINVAL, XENPV_EINVAL},
        {"data", "a b", XENPV_EINVAL, XENPV_EINVAL, 0},
        {"data.x", NULL, XENPV_EINVAL, XENPV_EINVAL, XENPV_EINVAL},
        {"data\x80", NULL, XENPV_EINVAL, XENPV_EINVAL, XENPV_EINVAL},
        {"@releaseDomain", NULL, XENPV_EINVAL, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct xenpv_store_op op = {
            .type = XENPV_STORE_READ, .dir = cases[i].dir, .name = cases[i].name};

        assert_int_equal(xenpv_store_check(&op), cases[i].expected);
        op.type = XENPV_STORE_GET_PERMS;
        assert_int_equal(xenpv_store_check(&op), cases[i].perms);
        assert_int_equal(xenpv_store_check_watch(cases[i].dir, 8), cases[i].watch);
    }
}

static void test_seed_XS_06_lengths(void **state)
{
    static const struct {
        char first;
        uint32_t path, value, token;
        int expected, watch;
    } cases[] = {
        {'/', 3071, 0, 0, 0, 0},
        {'/', 3072, 0, 0, 0, 0},
        {'/', 3073, 0, 0, XENPV_E2BIG, XENPV_E2BIG},
        {'/', 4990, 0, 0, XENPV_E2BIG, XENPV_E2BIG},
        {'a', 2047, 0, 0, 0, 0},
        {'a', 2048, 0, 0, 0, 0},
        {'a', 2049, 0, 0, XENPV_E2BIG, XENPV_E2BIG},
        {'@', 2048, 0, 0, XENPV_EINVAL, 0},
        {'@', 2049, 0, 0, XENPV_E2BIG, XENPV_E2BIG},
        {'a', 10, 4085, 4084, 0, 0},
        {'a', 10, 4086, 4085, XENPV_E2BIG, XENPV_E2BIG},
        {'/', 3072, 1023, 1022, 0, 0},
        {'/', 3072, 1024, 1023, XENPV_E2BIG, XENPV_E2BIG},
        {'a', 10, UINT32_MAX, UINT32_MAX, XENPV_E2BIG, XENPV_E2BIG},
    };
    char path[5000];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct xenpv_store_op op = {
            .type = XENPV_STORE_WRITE, .dir = path, .value = bytes, .length = cases[i].value};

        memset(path, 'x', sizeof(path));
        path[0] = cases[i].first;
        path[cases[i].path] = '\0';
        assert_int_equal(xenpv_store_check(&op), cases[i].expected);
        assert_int_equal(xenpv_store_check_watch(path, cases[i].token), cases[i].watch);
        if (cases[i].path < 11)
            continue;
        /* Cut in two it is as long. */
        path[5] = '\0';
        op.name = path + 6;
        assert_int_equal(xenpv_store_check(&op), cases[i].expected);
    }
}

static void test_permissions(void **state)
{
    static const struct {
        const char *text;
        uint32_t length;
        int expected;
    } cases[] = {
        {"n0", 3, 0},
        {"b65535", 7, 0},
        {"n5\0r0\0w1\0b2", 12, 0},
        {"", 0, XENPV_EINVAL},
        {"n0", 2, XENPV_EINVAL},
        {"n", 2, XENPV_EINVAL},
        {"x0", 3, XENPV_EINVAL},
        {"N0", 3, XENPV_EINVAL},
        {"n65536", 7, XENPV_EINVAL},
        {"n4294967296", 12, XENPV_EINVAL},
        {"n-1", 4, XENPV_EINVAL},
        {"n0\0r", 4, XENPV_EINVAL},
        {"n0\0\0", 4, XENPV_EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        /* On the heap, so that a byte too many is seen. */
        char *copy = malloc(cases[i].length + 1);
        struct xenpv_store_op op = {.type = XENPV_STORE_SET_PERMS, .dir = "a", .value = copy};

        assert_non_null(copy);
        memcpy(copy, cases[i].text, cases[i].length);
        copy = realloc(copy, cases[i].length ? cases[i].length : 1);
        op.value = copy;
        op.length = cases[i].length;
        assert_int_equal(xenpv_store_check(&op), cases[i].expected);
        free(copy);
    }
}

static void test_domains_and_the_rest(void **state)
{
    static const struct xenpv_store_op good[] = {
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "0"},
        {.type = XENPV_STORE_INTRODUCED, .dir = "65535"},
        {.type = XENPV_STORE_WRITE, .dir = "a"},
        {.type = XENPV_STORE_READ, .dir = "a", .length = UINT32_MAX},
    };
    static const struct xenpv_store_op bad[] = {
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = ""},
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "65536"},
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "1000000"},
        {.type = XENPV_STORE_DOMAIN_PATH, .dir = "1 "},
        {.type = XENPV_STORE_INTRODUCED, .dir = "-1"},
        {.type = XENPV_STORE_INTRODUCED, .dir = "1", .name = "a"},
        {.type = XENPV_STORE_WRITE, .dir = "a", .length = 1},
        {.type = XENPV_STORE_SET_PERMS, .dir = "a", .length = 3},
        {.type = (enum xenpv_store_type)99, .dir = "a"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_int_equal(xenpv_store_check(&good[i]), 0);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(xenpv_store_check(&bad[i]), XENPV_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_XS_06_paths),
        cmocka_unit_test(test_seed_XS_06_lengths),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_domains_and_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
