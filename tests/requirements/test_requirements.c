/* SPDX-License-Identifier: MIT */
/* The table that is made from docs/requirements/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conform/requirement.h"

static const struct requirement *find(const char *id)
{
    for (unsigned i = 0; i < requirements_count; i++) {
        if (strcmp(requirements[i].id, id) == 0) {
            return &requirements[i];
        }
    }
    return NULL;
}

static void test_sorted_by_id_and_each_there_once(void **state)
{
    (void)state;
    assert_true(requirements_count > 0);
    for (unsigned i = 1; i < requirements_count; i++) {
        assert_true(strcmp(requirements[i - 1].id, requirements[i].id) < 0);
    }
}

static void test_every_line_is_filled_in(void **state)
{
    (void)state;
    for (unsigned i = 0; i < requirements_count; i++) {
        const struct requirement *requirement = &requirements[i];
        assert_true(requirement->title[0] != '\0');
        assert_true(requirement->source[0] != '\0');
        assert_null(strchr(requirement->title, '\n'));
    }
}

/* One of each level, of three roles, of both views; one with two sources. */
static void test_what_is_said_of_an_entry_is_in_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        enum requirement_level level;
        enum requirement_role role;
        bool outside;
    } known[] = {
        {"RING-008", REQUIREMENT_MUST, REQUIREMENT_BOTH, true},
        {"RING-024", REQUIREMENT_MUST, REQUIREMENT_BOTH, false},
        {"BLK-027", REQUIREMENT_SHOULD, REQUIREMENT_BACKEND, true},
        {"BUS-075", REQUIREMENT_DE_FACTO, REQUIREMENT_TOOLSTACK, true},
        {"NET-074", REQUIREMENT_LINUX, REQUIREMENT_FRONTEND, true},
        {"STORE-018", REQUIREMENT_MUST, REQUIREMENT_STORE, true},
        {"GNT-023", REQUIREMENT_MUST, REQUIREMENT_HYPERVISOR, true},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct requirement *requirement = find(known[i].id);
        assert_non_null(requirement);
        assert_int_equal(requirement->level, known[i].level);
        assert_int_equal(requirement->role, known[i].role);
        assert_int_equal(requirement->outside, known[i].outside);
    }
    assert_string_equal(find("RING-008")->title,
                        "A message is written whole before the index that publishes it");
    assert_non_null(strstr(find("RING-008")->source, "producer index\"\nxen/include/public/"));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorted_by_id_and_each_there_once),
        cmocka_unit_test(test_every_line_is_filled_in),
        cmocka_unit_test(test_what_is_said_of_an_entry_is_in_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
