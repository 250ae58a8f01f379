/* SPDX-License-Identifier: MIT */
/* What an agent publishes: written, changed, removed, written again; and a store that refuses. */
#include <xenpv/error.h>

#include "agent_rig.h"
#include "faulty_port.h"

static const struct xenpv_agent_key two[] = {{"attr/vif/0/ipv4/0", "10.0.0.1"},
                                             {"data/xenpv/device/vif/0", "00:16:3e:00:00:01"}};

static void publish(struct agent_rig *rig, const struct xenpv_agent_key *keys, uint32_t count)
{
    assert_int_equal(xenpv_agent_publish(rig->agent, keys, count), XENPV_OK);
    rig_step(rig);
}

static void test_seed_A11_the_version_is_published(void **state)
{
    struct xenpv_agent_key keys[XENPV_AGENT_VERSION_KEYS];
    char version[3 * XENPV_AGENT_VALUE];
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    xenpv_agent_version_keys(keys);
    publish(&rig, keys, COUNT(keys));
    snprintf(version, sizeof(version), "%s.%s.%s", keys[0].value, keys[1].value, keys[2].value);
    assert_string_equal(version, xenpv_version());
    assert_node(&rig, "attr/PVAddons/MajorVersion", keys[0].value);
    assert_node(&rig, "attr/PVAddons/MinorVersion", keys[1].value);
    assert_node(&rig, "attr/PVAddons/MicroVersion", keys[2].value);
    assert_node(&rig, "attr/PVAddons/Installed", "1");
    rig_end(&rig);
}

static void test_addresses_are_written_as_people_write_them(void **state)
{
    static const struct {
        uint8_t bytes[16];
        uint32_t count;
        const char *name, *text;
    } rows[] = {
        {{10, 0, 0, 1}, 4, "attr/vif/3/ipv4/7", "10.0.0.1"},
        {{255, 255, 255, 255}, 4, "attr/vif/3/ipv4/7", "255.255.255.255"},
        {{0}, 4, "attr/vif/3/ipv4/7", "0.0.0.0"},
        {{0}, 16, "attr/vif/3/ipv6/7", "::"},
        {{[15] = 1}, 16, "attr/vif/3/ipv6/7", "::1"},
        {{0xfe, 0x80, [14] = 0xab, 0xcd}, 16, "attr/vif/3/ipv6/7", "fe80::abcd"},
        {{0xfe, 0x80}, 16, "attr/vif/3/ipv6/7", "fe80::"},
        {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1},
         16,
         "attr/vif/3/ipv6/7",
         "2001:db8:0:1::1"},
        {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1},
         16,
         "attr/vif/3/ipv6/7",
         "2001:db8::1:0:0:1"},
        {{0x20, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
         16,
         "attr/vif/3/ipv6/7",
         "2001:0:1:1:1:1:1:1"},
        {{0x11, 0x11, 0x22, 0x22, 0x33, 0x33, 0x44, 0x44, 0x55, 0x55, 0x66, 0x66, 0x77, 0x77, 0x88,
          0x88},
         16,
         "attr/vif/3/ipv6/7",
         "1111:2222:3333:4444:5555:6666:7777:8888"},
    };
    struct xenpv_agent_key key;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(xenpv_agent_address_key(&key, 3, 7, rows[i].bytes, rows[i].count), 0);
        assert_string_equal(key.name, rows[i].name);
        assert_string_equal(key.value, rows[i].text);
    }
    assert_int_equal(xenpv_agent_address_key(&key, 0, 0, rows[0].bytes, 6), XENPV_EINVAL);
    assert_int_equal(xenpv_agent_address_key(&key, UINT32_MAX, UINT32_MAX, rows[0].bytes, 16), 0);
    assert_string_equal(key.name, "attr/vif/4294967295/ipv6/4294967295");
}

static void test_only_what_is_new_is_written(void **state)
{
    struct xenpv_agent_key keys[2];
    struct agent_rig rig;

    (void)state;
    memcpy(keys, two, sizeof(two));
    rig_start_passive(&rig);
    publish(&rig, keys, 2);
    assert_node(&rig, keys[0].name, "10.0.0.1");
    assert_node(&rig, keys[1].name, "00:16:3e:00:00:01");
    assert_node(&rig, "data/updated", "1");
    assert_int_equal(rig_info(&rig).published, 2);

    rig_toolstack(&rig, keys[1].name, "changed by somebody");
    publish(&rig, keys, 2);
    assert_node(&rig, keys[1].name, "changed by somebody");
    assert_node(&rig, "data/updated", "1");

    strcpy(keys[0].value, "10.0.0.2");
    publish(&rig, keys, 1);
    assert_node(&rig, keys[0].name, "10.0.0.2");
    assert_node(&rig, keys[1].name, NULL);
    assert_node(&rig, "data/updated", "2");
    assert_int_equal(rig_info(&rig).published, 1);
    rig_end(&rig);
}

static void test_all_is_removed_in_the_end(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    publish(&rig, two, 2);
    xenpv_agent_close(rig.agent);
    assert_int_equal(rig_step(&rig), XENPV_AGENT_CLOSED);
    assert_node(&rig, two[0].name, NULL);
    assert_node(&rig, two[1].name, NULL);
    rig_end(&rig);
}

/* A restored guest has an empty directory. */
static void test_seed_O18_all_is_written_again_after_a_resume(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    publish(&rig, two, 2);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(xenpv_mock_rm(rig.machine.mock, SELF "attr/vif"), 0);
        assert_int_equal(xenpv_mock_rm(rig.machine.mock, SELF "data/xenpv"), 0);
        if (round < 2)
            assert_int_equal(xenpv_mock_suspend(rig.machine.mock, 7), XENPV_OK);
        else
            xenpv_agent_resumed(rig.agent);
        rig_step(&rig);
        assert_node(&rig, two[0].name, two[0].value);
        assert_node(&rig, two[1].name, two[1].value);
        assert_int_equal(rig_info(&rig).waiting, 0);
    }
    rig_end(&rig);
}

/* Suspended while a batch is under way, at each moment of it. */
static void test_seed_O18_at_every_moment(void **state)
{
    struct agent_rig rig;

    (void)state;
    for (uint64_t at = 0; at < 60; at += 5) {
        rig_start_active(&rig);
        xenpv_mock_set_store_delay(rig.machine.mock, 7, 10);
        assert_int_equal(xenpv_agent_publish(rig.agent, two, 2), 0);
        rig_step(&rig);
        rig_advance(&rig, at);
        assert_int_equal(xenpv_mock_suspend(rig.machine.mock, 7), XENPV_OK);
        assert_int_equal(xenpv_mock_rm(rig.machine.mock, SELF "attr/vif"), 0);
        for (int turn = 0; turn < 20; turn++)
            rig_advance(&rig, 10);
        assert_event(&rig, XENPV_AGENT_RESUME);
        assert_node(&rig, two[0].name, two[0].value);
        assert_node(&rig, two[1].name, two[1].value);
        rig_end(&rig);
    }
}

/* The list changes while what was asked before is still on its way. */
static void test_a_list_that_changes_under_way(void **state)
{
    struct xenpv_agent_key keys[2];
    struct agent_rig rig;

    (void)state;
    memcpy(keys, two, sizeof(two));
    rig_start_passive(&rig);
    xenpv_mock_set_store_delay(rig.machine.mock, 7, 10);
    publish(&rig, keys, 2);
    strcpy(keys[0].value, "10.9.9.9");
    publish(&rig, keys, 1);
    publish(&rig, two, 2);
    publish(&rig, keys, 1);
    for (int turn = 0; turn < 10; turn++)
        rig_advance(&rig, 10);
    assert_node(&rig, keys[0].name, "10.9.9.9");
    assert_node(&rig, keys[1].name, NULL);

    /* Wanted again while it is being removed. */
    publish(&rig, NULL, 0);
    publish(&rig, two, 2);
    for (int turn = 0; turn < 10; turn++)
        rig_advance(&rig, 10);
    assert_node(&rig, two[0].name, two[0].value);
    assert_node(&rig, two[1].name, two[1].value);
    rig_end(&rig);
}

static uint32_t cancelled;
static const struct xenpv_store_ops *inner_store;

static void count_cancel(void *ctx, struct xenpv_store_batch *batch)
{
    cancelled++;
    inner_store->cancel(ctx, batch);
}

/* A batch that the port has is taken back before its memory is used for another, or by others. */
static void test_a_batch_under_way_is_cancelled(void **state)
{
    struct xenpv_store_ops store;
    struct agent_rig rig;

    (void)state;
    cancelled = 0;
    rig_begin(&rig);
    inner_store = rig.port.store;
    store = *inner_store;
    store.cancel = count_cancel;
    rig.port.store = &store;
    xenpv_mock_set_store_delay(rig.machine.mock, 7, 10);
    rig.config.active = true;
    rig_start(&rig);
    assert_int_equal(rig_step(&rig), XENPV_AGENT_STARTING);
    assert_int_equal(xenpv_mock_suspend(rig.machine.mock, 7), XENPV_OK);
    assert_int_equal(rig_step(&rig), XENPV_AGENT_STARTING);
    assert_int_equal(cancelled, 1);
    for (int turn = 0; turn < 10; turn++)
        rig_advance(&rig, 10);
    assert_int_equal(rig_step(&rig), XENPV_AGENT_ACTIVE);
    publish(&rig, two, 2);
    xenpv_agent_close(rig.agent);
    assert_int_equal(cancelled, 2);
    rig_step(&rig);
    xenpv_agent_abandon(rig.agent);
    assert_int_equal(cancelled, 3);
    rig_end(&rig);
}

static void test_lists_that_are_refused(void **state)
{
    struct xenpv_agent_key keys[3] = {{"data/a", "1"}, {"data/b", "2"}, {"data/c", "3"}};
    struct xenpv_agent_key bad;
    struct agent_rig rig;

    (void)state;
    rig_begin(&rig);
    rig.config.keys = 2;
    rig_start(&rig);
    rig_step(&rig);
    assert_int_equal(xenpv_agent_publish(rig.agent, keys, 3), XENPV_E2BIG);
    publish(&rig, keys, 2);
    assert_int_equal(xenpv_agent_publish(rig.agent, keys + 1, 2), XENPV_E2BIG);
    assert_node(&rig, "data/a", "1");
    publish(&rig, keys, 1);
    publish(&rig, keys + 2, 1);
    assert_node(&rig, "data/c", "3");
    memset(&bad, 'x', sizeof(bad));
    assert_int_equal(xenpv_agent_publish(rig.agent, &bad, 1), XENPV_EINVAL);
    bad.name[XENPV_AGENT_NAME - 1] = '\0';
    assert_int_equal(xenpv_agent_publish(rig.agent, &bad, 1), XENPV_EINVAL);
    bad = (struct xenpv_agent_key){"", "1"};
    assert_int_equal(xenpv_agent_publish(rig.agent, &bad, 1), XENPV_EINVAL);
    assert_node(&rig, "data/c", "3");
    rig_end(&rig);
}

/* No permission, no path, no room: said once each, and the others are published. */
static void test_keys_that_the_store_refuses(void **state)
{
    const struct xenpv_agent_key keys[] = {
        {"name", "mine"}, {"data/bad//path", "1"}, {"data/good", "1"}};
    struct agent_rig rig;

    (void)state;
    rig_start_passive(&rig);
    publish(&rig, keys, COUNT(keys));
    assert_int_equal(rig_info(&rig).refused, 2);
    assert_int_equal(rig_info(&rig).published, 1);
    assert_int_equal(rig_info(&rig).waiting, 0);
    assert_non_null(strstr(rig.machine.line, "data/bad//path: cannot be published"));
    rig.machine.line[0] = '\0';
    publish(&rig, keys, COUNT(keys));
    assert_string_equal(rig.machine.line, "");
    rig_end(&rig);
}

/* Said once for each key, and tried again with each list. */
static void test_the_quota_is_full(void **state)
{
    struct xenpv_mock_limits limits = {.store_nodes = 100};
    struct xenpv_agent_key keys[64];
    struct agent_rig rig = {0};

    (void)state;
    machine_start(&rig.machine, &limits);
    rig.port = rig.machine.guest;
    xenpv_agent_config_init(&rig.config, &rig.port);
    rig_start(&rig);
    for (uint32_t i = 0; i < 60; i++) {
        char path[32];

        snprintf(path, sizeof(path), "data/other/%u", i);
        assert_int_equal(try_write(&rig.port, path, ""), XENPV_OK);
    }
    for (uint32_t i = 0; i < COUNT(keys); i++) {
        keys[i] = (struct xenpv_agent_key){0};
        snprintf(keys[i].name, sizeof(keys[i].name), "data/many/%u", i);
    }
    publish(&rig, keys, COUNT(keys));
    assert_true(rig_info(&rig).refused > 0);
    assert_true(rig_info(&rig).published > 0);
    assert_int_equal(rig_info(&rig).refused + rig_info(&rig).published, COUNT(keys));
    assert_non_null(strstr(rig.machine.line, xenpv_error_text(XENPV_ENOSPC)));
    rig.machine.line[0] = '\0';
    publish(&rig, keys, COUNT(keys));
    assert_true(rig_info(&rig).refused > 0);
    assert_int_equal(rig_info(&rig).waiting, 0);
    assert_string_equal(rig.machine.line, "");
    assert_int_equal(xenpv_mock_rm(rig.machine.mock, SELF "data/other"), XENPV_OK);
    rig_step(&rig);
    assert_true(rig_info(&rig).refused > 0);
    publish(&rig, keys, COUNT(keys));
    assert_int_equal(rig_info(&rig).refused, 0);
    assert_int_equal(rig_info(&rig).published, COUNT(keys));
    rig_end(&rig);
}

/* The store cannot be reached for a while: said, tried ever more seldom, and all written again. */
static void test_a_store_that_is_lost_and_found(void **state)
{
    struct faulty_port faulty = {0};
    struct agent_rig rig;
    uint64_t longest = 0;

    (void)state;
    rig_begin(&rig);
    faulty.inner = rig.machine.guest;
    faulty_wrap(&faulty, &rig.port);
    faulty.outer = &rig.port;
    rig_start(&rig);
    rig_step(&rig);
    publish(&rig, two, 2);
    faulty.error = XENPV_ESTORE;
    faulty.fail_at = faulty.calls + 1;
    faulty.for_good = true;
    xenpv_agent_look(rig.agent);
    for (int turn = 0; turn < 30; turn++) {
        uint64_t wait;

        rig_step(&rig);
        wait = xenpv_agent_deadline(rig.agent) - xenpv_mock_now(rig.machine.mock);
        assert_in_range(wait, 1, 5000);
        longest = wait > longest ? wait : longest;
        xenpv_mock_advance(rig.machine.mock, wait);
    }
    assert_true(rig_info(&rig).lost);
    assert_int_equal(longest, 5000);
    assert_int_equal(faulty.lines, 1);
    assert_int_equal(xenpv_mock_rm(rig.machine.mock, SELF "attr/vif"), 0);
    faulty.fail_at = 0;
    faulty.for_good = false;
    rig_step(&rig);
    assert_false(rig_info(&rig).lost);
    assert_node(&rig, two[0].name, two[0].value);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_A11_the_version_is_published),
        cmocka_unit_test(test_addresses_are_written_as_people_write_them),
        cmocka_unit_test(test_only_what_is_new_is_written),
        cmocka_unit_test(test_all_is_removed_in_the_end),
        cmocka_unit_test(test_seed_O18_all_is_written_again_after_a_resume),
        cmocka_unit_test(test_seed_O18_at_every_moment),
        cmocka_unit_test(test_a_list_that_changes_under_way),
        cmocka_unit_test(test_a_batch_under_way_is_cancelled),
        cmocka_unit_test(test_lists_that_are_refused),
        cmocka_unit_test(test_keys_that_the_store_refuses),
        cmocka_unit_test(test_the_quota_is_full),
        cmocka_unit_test(test_a_store_that_is_lost_and_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
