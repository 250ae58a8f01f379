/* SPDX-License-Identifier: MIT */
/* An active agent whose store is lost at a bad moment: what it said, and was asked for, is not. */
#include <xenpv/error.h>

#include "agent_rig.h"
#include "faulty_port.h"

static void begin(struct agent_rig *rig, struct faulty_port *faulty)
{
    rig_begin(rig);
    faulty_wrap(faulty, &rig->port);
    rig->config.active = true;
    rig->config.enabled = OBEYS_ALL;
    rig_start(rig);
}

static void fail_next(struct faulty_port *faulty, bool acts)
{
    faulty->error = XENPV_ESTORE;
    faulty->fail_at = faulty->calls + 1;
    faulty->batches_act = acts;
}

static void step_for_seconds(struct agent_rig *rig)
{
    for (int turn = 0; turn < 100; turn++)
        rig_advance(rig, 100);
}

static void assert_withdrawn(struct agent_rig *rig)
{
    assert_int_equal(rig_step(rig), XENPV_AGENT_CLOSED);
    assert_node(rig, "control/feature-poweroff", "0");
    assert_node(rig, "control/feature-reboot", "0");
    assert_node(rig, "control/feature-suspend", "0");
    assert_node(rig, "data/xenpv/active", NULL);
}

/* Features that stay, without the mark, would be somebody else's for the next agent. */
static void test_features_are_withdrawn_after_a_loss(void **state)
{
    struct faulty_port faulty;
    struct agent_rig rig;

    (void)state;
    begin(&rig, &faulty);
    assert_int_equal(rig_step(&rig), XENPV_AGENT_ACTIVE);
    xenpv_agent_close(rig.agent);
    fail_next(&faulty, false);
    step_for_seconds(&rig);
    assert_withdrawn(&rig);
    rig_end(&rig);
}

/* They stand there, and it is closed before it has seen so. */
static void test_features_under_way_are_withdrawn(void **state)
{
    struct faulty_port faulty;
    struct agent_rig rig;
    const char *value = NULL;

    (void)state;
    begin(&rig, &faulty);
    xenpv_mock_set_store_delay(rig.machine.mock, 7, 10);
    for (int turn = 0; turn < 20 && (!value || strcmp(value, "1") != 0); turn++) {
        rig_step(&rig);
        xenpv_mock_advance(rig.machine.mock, 10);
        value = rig_value(&rig, "control/feature-poweroff");
    }
    assert_node(&rig, "control/feature-poweroff", "1");
    assert_int_equal(rig_info(&rig).advertised, 0);
    xenpv_agent_close(rig.agent);
    step_for_seconds(&rig);
    assert_withdrawn(&rig);
    rig_end(&rig);
}

/* The batch after the look is the acknowledgement: it fails, and takes effect or not. */
static void ask_and_lose(struct agent_rig *rig, struct faulty_port *faulty, bool acts)
{
    begin(rig, faulty);
    rig_step(rig);
    rig_toolstack(rig, "control/shutdown", "poweroff");
    faulty->error = XENPV_ESTORE;
    faulty->fail_at = faulty->calls + 2;
    faulty->batches_act = acts;
    rig_step(rig);
    assert_node(rig, "control/shutdown", acts ? "" : "poweroff");
}

/* Nobody can say whether it was acknowledged: it is obeyed, once. */
static void test_a_request_whose_acknowledgement_was_lost_is_obeyed_once(void **state)
{
    struct faulty_port faulty;
    struct agent_rig rig;

    (void)state;
    for (int acts = 0; acts < 2; acts++) {
        ask_and_lose(&rig, &faulty, acts);
        step_for_seconds(&rig);
        assert_node(&rig, "control/shutdown", "");
        assert_event(&rig, XENPV_AGENT_POWEROFF);
        step_for_seconds(&rig);
        xenpv_agent_look(rig.agent);
        step_for_seconds(&rig);
        assert_no_event(&rig);
        rig_end(&rig);
    }
}

/* After a resume it is another store, and what it does not ask for is not wanted any more. */
static void test_a_lost_acknowledgement_is_forgotten_after_a_resume(void **state)
{
    struct faulty_port faulty;
    struct agent_rig rig;

    (void)state;
    ask_and_lose(&rig, &faulty, true);
    assert_int_equal(xenpv_mock_suspend(rig.machine.mock, 7), XENPV_OK);
    step_for_seconds(&rig);
    assert_event(&rig, XENPV_AGENT_RESUME);
    assert_no_event(&rig);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features_are_withdrawn_after_a_loss),
        cmocka_unit_test(test_features_under_way_are_withdrawn),
        cmocka_unit_test(test_a_request_whose_acknowledgement_was_lost_is_obeyed_once),
        cmocka_unit_test(test_a_lost_acknowledgement_is_forgotten_after_a_resume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
