/* SPDX-License-Identifier: MIT */
/* A passive agent: a kernel owns control/, and acknowledges before anybody else can read. */
#include "agent_rig.h"

/* The kernel's driver: it reads, and writes the empty string. */
static void kernel_acknowledges(struct agent_rig *rig, const char *path)
{
    assert_int_equal(try_write(&rig->port, path, ""), XENPV_OK);
}

static void test_who_owns_control(void **state)
{
    static const struct {
        const char *path, *value;
        bool active;
        enum xenpv_agent_state expected;
    } rows[] = {
        {"control/feature-poweroff", "1", true, XENPV_AGENT_PASSIVE},
        {"control/feature-reboot", "1", true, XENPV_AGENT_PASSIVE},
        {"control/feature-suspend", "1", true, XENPV_AGENT_PASSIVE},
        {"control/feature-s3", "1", true, XENPV_AGENT_PASSIVE},
        {"control/feature-s4", "1", true, XENPV_AGENT_PASSIVE},
        {"control/feature-sysrq", "1", true, XENPV_AGENT_PASSIVE},
        {"control/feature-poweroff", "1", false, XENPV_AGENT_PASSIVE},
        {"control/feature-poweroff", "", false, XENPV_AGENT_PASSIVE},
        {"control/feature-poweroff", "", true, XENPV_AGENT_ACTIVE},
        {"control/feature-poweroff", "0", true, XENPV_AGENT_ACTIVE},
        {"control/feature-poweroff", "11", true, XENPV_AGENT_ACTIVE},
        {"control/feature-balloon", "1", true, XENPV_AGENT_ACTIVE},
        {"data/any", "1", true, XENPV_AGENT_ACTIVE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct agent_rig rig;

        rig_begin(&rig);
        rig_toolstack(&rig, rows[i].path, rows[i].value);
        rig.config.active = rows[i].active;
        rig_start(&rig);
        assert_int_equal(rig_step(&rig), rows[i].expected);
        assert_int_equal(strstr(rig.machine.line, "somebody else") != NULL,
                         rows[i].active && rows[i].expected == XENPV_AGENT_PASSIVE);
        rig_end(&rig);
    }
}

/* Neither control/ nor memory/target is written, whatever is asked. */
static void test_it_writes_nothing_of_the_owners(void **state)
{
    static const struct {
        const char *path, *value;
        uint32_t type;
    } rows[] = {
        {"control/shutdown", "poweroff", XENPV_AGENT_POWEROFF},
        {"control/shutdown", "s3", XENPV_AGENT_S3},
        {"control/sysrq", "h", XENPV_AGENT_SYSRQ},
        {"memory/target", "70000", XENPV_AGENT_MEMORY},
    };
    const struct xenpv_mock_perms owned = {.owner = 7};
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    rig_toolstack(&rig, "memory/target", "65536");
    rig_step(&rig);
    assert_no_event(&rig);
    assert_int_equal(xenpv_mock_set_perms(rig.machine.mock, SELF "memory/target", &owned), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        rig_toolstack(&rig, rows[i].path, rows[i].value);
        rig_step(&rig);
        assert_node(&rig, rows[i].path, rows[i].value);
        assert_event(&rig, rows[i].type);
        assert_no_event(&rig);
    }
    assert_int_equal(rig_info(&rig).advertised, 0);
    xenpv_agent_close(rig.agent);
    rig_step(&rig);
    assert_node(&rig, "control/feature-poweroff", "1");
    assert_node(&rig, "control/feature-reboot", "");
    rig_end(&rig);
}

/* We were quick: the kind is known, and the acknowledgement is not another request. */
static void test_a_request_that_was_seen_is_told_once(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    rig_toolstack(&rig, "control/shutdown", "reboot");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_REBOOT);
    xenpv_agent_look(rig.agent);
    rig_step(&rig);
    assert_no_event(&rig);
    rig_advance(&rig, 5000);
    xenpv_agent_look(rig.agent);
    rig_step(&rig);
    assert_no_event(&rig);
    rig_toolstack(&rig, "control/shutdown", "reboot");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_REBOOT);
    kernel_acknowledges(&rig, "control/shutdown");
    rig_step(&rig);
    rig_advance(&rig, 500);
    assert_no_event(&rig);
    rig_end(&rig);
}

/* The usual case on Linux: it was acknowledged by the time it can be read. */
static void test_a_request_that_was_not_seen_has_no_kind(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    rig_toolstack(&rig, "control/shutdown", "poweroff");
    kernel_acknowledges(&rig, "control/shutdown");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_SHUTDOWN);
    assert_no_event(&rig);
    rig_toolstack(&rig, "control/sysrq", "s");
    kernel_acknowledges(&rig, "control/sysrq");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_SYSRQ);
    assert_no_event(&rig);
    rig_end(&rig);
}

/* The toolstack's write and the kernel's may come as one poke or as two. */
static void test_two_pokes_are_one_request(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    for (int round = 0; round < 3; round++) {
        rig_toolstack(&rig, "control/shutdown", "suspend");
        kernel_acknowledges(&rig, "control/shutdown");
        rig_step(&rig);
        kernel_acknowledges(&rig, "control/shutdown");
        rig_step(&rig);
        assert_event(&rig, XENPV_AGENT_SHUTDOWN);
        assert_no_event(&rig);
        rig_advance(&rig, 2000);
    }
    rig_end(&rig);
}

/* Between two steps its owner has run a long hook: the acknowledgement of then is no request. */
static void test_an_owner_that_was_long_away(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    rig_toolstack(&rig, "control/shutdown", "poweroff");
    kernel_acknowledges(&rig, "control/shutdown");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_SHUTDOWN);
    kernel_acknowledges(&rig, "control/shutdown");
    assert_int_equal(xenpv_agent_deadline(rig.agent), xenpv_mock_now(rig.machine.mock) + 1000);
    rig_advance(&rig, 30000);
    assert_no_event(&rig);
    rig_toolstack(&rig, "control/shutdown", "");
    rig_advance(&rig, 10);
    assert_event(&rig, XENPV_AGENT_SHUTDOWN);
    rig_end(&rig);
}

/* Its own watches fire when they are made, and again after a resume. */
static void test_new_watches_are_no_requests(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_begin(&rig);
    rig_toolstack(&rig, "control/feature-poweroff", "1");
    rig_toolstack(&rig, "memory/target", "1000");
    rig_start(&rig);
    rig_step(&rig);
    rig_step(&rig);
    assert_no_event(&rig);
    for (int round = 0; round < 3; round++) {
        rig_advance(&rig, 5000);
        assert_no_event(&rig);
        assert_int_equal(xenpv_mock_suspend(rig.machine.mock, 7), XENPV_OK);
        rig_step(&rig);
        rig_step(&rig);
        assert_event(&rig, XENPV_AGENT_RESUME);
        assert_no_event(&rig);
    }
    rig_end(&rig);
}

/* Two saves close to each other: the request after a resume counts, however quiet it is. */
static void test_a_request_that_is_seen_right_after_a_resume_counts(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    rig_toolstack(&rig, "control/shutdown", "suspend");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_SUSPEND);
    kernel_acknowledges(&rig, "control/shutdown");
    assert_int_equal(xenpv_mock_suspend(rig.machine.mock, 7), XENPV_OK);
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_RESUME);
    rig_toolstack(&rig, "control/shutdown", "suspend");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_SUSPEND);
    rig_end(&rig);
}

/* The last look: nothing has fired, and still nothing is missed. */
static void test_a_last_look_sees_what_stands_there(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    xenpv_agent_look(rig.agent);
    rig_step(&rig);
    assert_no_event(&rig);
    rig_toolstack(&rig, "control/shutdown", "halt");
    xenpv_agent_look(rig.agent);
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_HALT);
    rig_advance(&rig, 2000);
    /* What had fired, and is empty by now, is not taken for a mere look. */
    rig_toolstack(&rig, "control/shutdown", "halt");
    kernel_acknowledges(&rig, "control/shutdown");
    xenpv_agent_look(rig.agent);
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_SHUTDOWN);
    assert_no_event(&rig);
    rig_end(&rig);
}

static void test_a_checkpoint_is_told_by_the_owner(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    xenpv_agent_resumed(rig.agent);
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_RESUME);
    assert_no_event(&rig);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_owns_control),
        cmocka_unit_test(test_it_writes_nothing_of_the_owners),
        cmocka_unit_test(test_a_request_that_was_seen_is_told_once),
        cmocka_unit_test(test_a_request_that_was_not_seen_has_no_kind),
        cmocka_unit_test(test_two_pokes_are_one_request),
        cmocka_unit_test(test_an_owner_that_was_long_away),
        cmocka_unit_test(test_new_watches_are_no_requests),
        cmocka_unit_test(test_a_request_that_is_seen_right_after_a_resume_counts),
        cmocka_unit_test(test_a_last_look_sees_what_stands_there),
        cmocka_unit_test(test_a_checkpoint_is_told_by_the_owner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
