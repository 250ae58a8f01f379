/* SPDX-License-Identifier: MIT */
/* An active agent: what control/ asks for is acknowledged, and told. */
#include "agent_rig.h"

struct request {
    const char *text;
    uint32_t type;
};

static const struct request requests[] = {
    {"poweroff", XENPV_AGENT_POWEROFF}, {"reboot", XENPV_AGENT_REBOOT}, {"halt", XENPV_AGENT_HALT},
    {"suspend", XENPV_AGENT_SUSPEND},   {"s3", XENPV_AGENT_S3},         {"s4", XENPV_AGENT_S4},
};

/* Every kind, with a store that answers at once and one that takes its time. */
static void test_seed_A8_each_request_is_acknowledged_and_told_once(void **state)
{
    struct agent_rig rig;

    (void)state;
    for (uint32_t delay = 0; delay <= 5; delay += 5) {
        rig_start_active(&rig);
        xenpv_mock_set_store_delay(rig.machine.mock, 7, delay);
        for (size_t i = 0; i < COUNT(requests); i++) {
            rig_toolstack(&rig, "control/shutdown", requests[i].text);
            rig_step(&rig);
            for (int turn = 0; turn < 4; turn++)
                rig_advance(&rig, delay);
            assert_node(&rig, "control/shutdown", "");
            assert_event(&rig, requests[i].type);
            assert_no_event(&rig);
            rig_advance(&rig, 10000);
            assert_no_event(&rig);
        }
        rig_end(&rig);
    }
}

/* What is unknown, not enabled or no request is left where it is, as Linux does. */
static void test_seed_A8_other_values_are_left_alone(void **state)
{
    static const struct {
        const char *text;
        bool said;
    } rows[] = {
        {"crash", true},
        {"power", true},
        {"poweroff ", true},
        {"Poweroff", true},
        {"s5", true},
        {"reboot", true},
        {"shutdown", true},
        {"", false},
        {"\x01\xff", true},
        {"\n", true},
        {"a value that is much longer than any command there is or ever will be", true},
    };
    struct agent_rig rig;

    (void)state;
    rig_begin(&rig);
    rig.config.active = true;
    rig.config.enabled = OBEYS_ALL & ~XENPV_AGENT_BIT(XENPV_AGENT_REBOOT);
    rig_start(&rig);
    rig_step(&rig);
    for (size_t i = 0; i < COUNT(rows); i++) {
        rig.machine.line[0] = '\0';
        rig_toolstack(&rig, "control/shutdown", rows[i].text);
        rig_step(&rig);
        assert_node(&rig, "control/shutdown", rows[i].text);
        assert_no_event(&rig);
        assert_int_equal(strstr(rig.machine.line, "not acknowledged") != NULL, rows[i].said);
    }
    rig_toolstack(&rig, "control/shutdown", "poweroff");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_POWEROFF);
    rig_end(&rig);
}

static void test_a_request_made_before_the_agent_began_is_obeyed(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_begin(&rig);
    rig_toolstack(&rig, "control/shutdown", "reboot");
    rig.config.active = true;
    rig.config.enabled = OBEYS_ALL;
    rig_start(&rig);
    rig_step(&rig);
    assert_node(&rig, "control/shutdown", "");
    assert_event(&rig, XENPV_AGENT_REBOOT);
    rig_end(&rig);
}

/* The toolstack changes its mind between our look and our acknowledgement. */
static void test_what_was_acknowledged_is_what_is_obeyed(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    xenpv_mock_set_store_delay(rig.machine.mock, 7, 10);
    rig_toolstack(&rig, "control/shutdown", "poweroff");
    rig_step(&rig);
    rig_advance(&rig, 10);
    rig_toolstack(&rig, "control/shutdown", "suspend");
    rig_advance(&rig, 10);
    rig_advance(&rig, 10);
    assert_node(&rig, "control/shutdown", "");
    assert_event(&rig, XENPV_AGENT_SUSPEND);
    assert_no_event(&rig);
    rig_end(&rig);
}

/* ... for what is not obeyed here: it is acknowledged by then, and said. */
static void test_what_replaces_a_request_must_be_enabled_too(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_begin(&rig);
    rig.config.active = true;
    rig.config.enabled = XENPV_AGENT_BIT(XENPV_AGENT_POWEROFF);
    rig_start(&rig);
    rig_step(&rig);
    xenpv_mock_set_store_delay(rig.machine.mock, 7, 10);
    rig_toolstack(&rig, "control/shutdown", "poweroff");
    rig_step(&rig);
    rig_advance(&rig, 10);
    rig_toolstack(&rig, "control/shutdown", "reboot");
    rig_advance(&rig, 10);
    assert_non_null(strstr(rig.machine.line, "acknowledged too soon: reboot"));
    assert_no_event(&rig);
    rig_end(&rig);
}

/* ... or takes it back. */
static void test_a_request_taken_back_is_not_obeyed(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    xenpv_mock_set_store_delay(rig.machine.mock, 7, 10);
    rig_toolstack(&rig, "control/shutdown", "poweroff");
    rig_step(&rig);
    rig_advance(&rig, 10);
    rig_toolstack(&rig, "control/shutdown", "");
    rig_advance(&rig, 10);
    rig_advance(&rig, 10);
    assert_no_event(&rig);
    rig_end(&rig);
}

/* EAGAIN a hundred times: tried on and on, ever more seldom, said once, and done in the end. */
static void test_conflicts_are_waited_out(void **state)
{
    struct agent_rig rig;
    int steps = 0;

    (void)state;
    rig_start_active(&rig);
    xenpv_mock_set_conflicts(rig.machine.mock, 7, 100);
    rig_toolstack(&rig, "control/shutdown", "poweroff");
    rig_step(&rig);
    while (*rig_value(&rig, "control/shutdown") != '\0' && steps++ < 1000) {
        uint64_t deadline = xenpv_agent_deadline(rig.agent);

        assert_true(deadline > xenpv_mock_now(rig.machine.mock));
        assert_no_event(&rig);
        rig_advance(&rig, deadline - xenpv_mock_now(rig.machine.mock));
    }
    assert_int_equal(steps, 100);
    assert_non_null(strstr(rig.machine.line, "keep changing"));
    assert_event(&rig, XENPV_AGENT_POWEROFF);
    rig_end(&rig);
}

static void test_without_transactions_it_is_acknowledged_too(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_begin(&rig);
    rig.port.caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
    rig.config.active = true;
    rig.config.enabled = OBEYS_ALL;
    rig_start(&rig);
    rig_step(&rig);
    xenpv_mock_set_conflicts(rig.machine.mock, 7, 1);
    rig_toolstack(&rig, "control/shutdown", "suspend");
    rig_step(&rig);
    assert_node(&rig, "control/shutdown", "");
    assert_event(&rig, XENPV_AGENT_SUSPEND);
    xenpv_mock_set_conflicts(rig.machine.mock, 7, 0);
    rig_end(&rig);
}

/* As the document of paths wants it: obeyed all the same. Once, however often one looks. */
static void test_a_request_that_cannot_be_acknowledged_is_obeyed_once(void **state)
{
    const struct xenpv_mock_perms read_only = {.domid = 7, .allowed = XENPV_MOCK_READ};
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    assert_int_equal(xenpv_mock_set_perms(rig.machine.mock, SELF "control/shutdown", &read_only),
                     0);
    rig_toolstack(&rig, "control/shutdown", "poweroff");
    rig_step(&rig);
    assert_non_null(strstr(rig.machine.line, "cannot be acknowledged"));
    assert_event(&rig, XENPV_AGENT_POWEROFF);
    xenpv_agent_look(rig.agent);
    rig_step(&rig);
    assert_no_event(&rig);
    /* Taken away and asked for again it is another request. */
    rig_toolstack(&rig, "control/shutdown", "");
    rig_step(&rig);
    rig_toolstack(&rig, "control/shutdown", "poweroff");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_POWEROFF);
    rig_end(&rig);
}

static void test_a_node_that_is_gone_or_secret_is_survived(void **state)
{
    const struct xenpv_mock_perms secret = {.domid = 7, .allowed = XENPV_MOCK_NONE};
    const struct xenpv_mock_perms owned = {.owner = 7};
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    assert_int_equal(xenpv_mock_rm(rig.machine.mock, SELF "control/shutdown"), 0);
    rig_step(&rig);
    assert_no_event(&rig);
    rig_toolstack(&rig, "control/shutdown", "halt");
    assert_int_equal(xenpv_mock_set_perms(rig.machine.mock, SELF "control/shutdown", &secret), 0);
    xenpv_agent_look(rig.agent);
    rig_step(&rig);
    assert_no_event(&rig);
    assert_int_equal(xenpv_mock_set_perms(rig.machine.mock, SELF "control/shutdown", &owned), 0);
    xenpv_agent_look(rig.agent);
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_HALT);
    rig_end(&rig);
}

static void test_sysrq_is_acknowledged_and_told(void **state)
{
    static const struct {
        const char *text;
        char key; /* 0: left alone */
    } rows[] = {{"s", 's'}, {"9", '9'}, {"", 0}, {"ab", 0}, {" ", 0}, {"\x07", 0}, {"b", 'b'}};
    struct xenpv_agent_event event;
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    for (size_t i = 0; i < COUNT(rows); i++) {
        rig_toolstack(&rig, "control/sysrq", rows[i].text);
        rig_step(&rig);
        assert_node(&rig, "control/sysrq", rows[i].key ? "" : rows[i].text);
        assert_int_equal(xenpv_agent_poll(rig.agent, &event), rows[i].key != 0);
        if (rows[i].key) {
            assert_int_equal(event.type, XENPV_AGENT_SYSRQ);
            assert_int_equal(event.key, rows[i].key);
        }
        assert_no_event(&rig);
    }
    rig_end(&rig);
}

/* ---------------------------------------------------------------------------------- features -- */

/* As libxl makes a PV guest: there are feature keys for three, and control/ is read-only. */
static void test_seed_A8_features_are_advertised_and_withdrawn(void **state)
{
    static const char *const names[] = {"poweroff", "reboot", "suspend", "s3",
                                        "s4",       "sysrq",  "balloon"};
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[64];

        snprintf(path, sizeof(path), "control/feature-%s", names[i]);
        assert_node(&rig, path, i < 3 ? "1" : NULL);
    }
    assert_int_equal(rig_info(&rig).advertised, XENPV_AGENT_BIT(XENPV_AGENT_POWEROFF) |
                                                    XENPV_AGENT_BIT(XENPV_AGENT_REBOOT) |
                                                    XENPV_AGENT_BIT(XENPV_AGENT_SUSPEND));
    assert_int_equal(rig_info(&rig).unannounced,
                     XENPV_AGENT_BIT(XENPV_AGENT_S3) | XENPV_AGENT_BIT(XENPV_AGENT_S4) |
                         XENPV_AGENT_BIT(XENPV_AGENT_SYSRQ) | XENPV_AGENT_BIT(XENPV_AGENT_MEMORY));
    xenpv_agent_close(rig.agent);
    assert_int_equal(rig_step(&rig), XENPV_AGENT_CLOSED);
    assert_node(&rig, "control/feature-poweroff", "0");
    assert_node(&rig, "control/feature-reboot", "0");
    assert_node(&rig, "control/feature-suspend", "0");
    assert_node(&rig, "data/xenpv/active", NULL);
    rig_end(&rig);
}

/* As for an HVM guest, and a toolstack that lets the guest write the rest. */
static void test_features_where_all_can_be_written(void **state)
{
    static const char *const paths[] = {"control/feature-s3", "control/feature-s4",
                                        "control/feature-sysrq", "control/feature-balloon"};
    const struct xenpv_mock_perms owned = {.owner = 7};
    struct agent_rig rig;

    (void)state;
    rig_begin(&rig);
    for (size_t i = 0; i < COUNT(paths); i++) {
        char whole[128];

        snprintf(whole, sizeof(whole), SELF "%s", paths[i]);
        assert_int_equal(xenpv_mock_write(rig.machine.mock, whole, ""), 0);
        assert_int_equal(xenpv_mock_set_perms(rig.machine.mock, whole, &owned), 0);
    }
    rig.config.active = true;
    rig.config.enabled = OBEYS_ALL & ~XENPV_AGENT_BIT(XENPV_AGENT_S4);
    rig_start(&rig);
    rig_step(&rig);
    for (size_t i = 0; i < COUNT(paths); i++)
        assert_node(&rig, paths[i], i == 1 ? "" : "1");
    rig_end(&rig);
}

/* What an agent that was killed left there is not somebody else's. */
static void test_features_of_an_agent_that_was_killed_are_ours(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    xenpv_agent_abandon(rig.agent);
    assert_node(&rig, "control/feature-poweroff", "1");
    free(rig.memory);
    rig_start(&rig);
    assert_int_equal(rig_step(&rig), XENPV_AGENT_ACTIVE);
    rig_end(&rig);
}

static void test_features_are_advertised_again_after_a_resume(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    rig_toolstack(&rig, "control/feature-poweroff", "");
    rig_toolstack(&rig, "control/feature-suspend", "");
    assert_int_equal(xenpv_mock_suspend(rig.machine.mock, 7), XENPV_OK);
    rig_step(&rig);
    assert_node(&rig, "control/feature-poweroff", "1");
    assert_node(&rig, "control/feature-suspend", "1");
    assert_event(&rig, XENPV_AGENT_RESUME);
    assert_no_event(&rig);
    rig_end(&rig);
}

/* A hundred thousand changes: one event, and the last state is seen. */
static void test_a_storm_of_changes_is_one_event(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    for (int i = 0; i < 100000; i++) {
        rig_toolstack(&rig, "control/shutdown", i % 2 ? "reboot" : "poweroff");
        if (i % 1000 == 0)
            rig_toolstack(&rig, "control/sysrq", "");
    }
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_REBOOT);
    assert_no_event(&rig);
    rig_end(&rig);
}

static void test_configurations_that_cannot_be(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_begin(&rig);
    assert_true(xenpv_agent_size(&rig.config) > 0);
    rig.config.enabled = XENPV_AGENT_BIT(XENPV_AGENT_RESUME);
    assert_int_equal(xenpv_agent_size(&rig.config), 0);
    rig.config.enabled = XENPV_AGENT_BIT(XENPV_AGENT_SHUTDOWN);
    assert_int_equal(xenpv_agent_size(&rig.config), 0);
    xenpv_agent_config_init(&rig.config, &rig.port);
    rig.config.keys = 1025;
    assert_int_equal(xenpv_agent_size(&rig.config), 0);
    xenpv_agent_config_init(&rig.config, &rig.port);
    rig.config.pages_per_step = 0;
    assert_int_equal(xenpv_agent_size(&rig.config), 0);
    xenpv_agent_config_init(&rig.config, NULL);
    assert_int_equal(xenpv_agent_size(&rig.config), 0);
    xenpv_agent_config_init(&rig.config, &rig.port);
    rig.config.size--;
    assert_int_equal(xenpv_agent_init(rig.machine.line, &rig.config, &rig.agent), XENPV_EINVAL);
    assert_null(xenpv_agent_event_name(XENPV_AGENT_EVENTS));
    machine_stop(&rig.machine, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A8_each_request_is_acknowledged_and_told_once),
        cmocka_unit_test(test_seed_A8_other_values_are_left_alone),
        cmocka_unit_test(test_a_request_made_before_the_agent_began_is_obeyed),
        cmocka_unit_test(test_what_was_acknowledged_is_what_is_obeyed),
        cmocka_unit_test(test_what_replaces_a_request_must_be_enabled_too),
        cmocka_unit_test(test_a_request_taken_back_is_not_obeyed),
        cmocka_unit_test(test_conflicts_are_waited_out),
        cmocka_unit_test(test_without_transactions_it_is_acknowledged_too),
        cmocka_unit_test(test_a_request_that_cannot_be_acknowledged_is_obeyed_once),
        cmocka_unit_test(test_a_node_that_is_gone_or_secret_is_survived),
        cmocka_unit_test(test_sysrq_is_acknowledged_and_told),
        cmocka_unit_test(test_seed_A8_features_are_advertised_and_withdrawn),
        cmocka_unit_test(test_features_where_all_can_be_written),
        cmocka_unit_test(test_features_of_an_agent_that_was_killed_are_ours),
        cmocka_unit_test(test_features_are_advertised_again_after_a_resume),
        cmocka_unit_test(test_a_storm_of_changes_is_one_event),
        cmocka_unit_test(test_configurations_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
