/* SPDX-License-Identifier: MIT */
/* An agent of domain 7 on a mock machine, and what a toolstack does to it. */
#ifndef TESTS_AGENT_RIG_H
#define TESTS_AGENT_RIG_H

#include <xenpv/agent.h>

#include "mock_store_fixture.h"

#define SELF "/local/domain/7/"

#define OBEYS_ALL                                                                                  \
    (XENPV_AGENT_BIT(XENPV_AGENT_POWEROFF) | XENPV_AGENT_BIT(XENPV_AGENT_REBOOT) |                 \
     XENPV_AGENT_BIT(XENPV_AGENT_HALT) | XENPV_AGENT_BIT(XENPV_AGENT_SUSPEND) |                    \
     XENPV_AGENT_BIT(XENPV_AGENT_S3) | XENPV_AGENT_BIT(XENPV_AGENT_S4) |                           \
     XENPV_AGENT_BIT(XENPV_AGENT_SYSRQ) | XENPV_AGENT_BIT(XENPV_AGENT_MEMORY))

struct agent_rig {
    struct machine machine;
    struct xenpv_port port; /* the guest's, which a test may change before it starts the agent */
    struct xenpv_agent_config config;
    struct xenpv_agent *agent;
    void *memory;
};

/* Without an agent yet. */
static inline void rig_begin(struct agent_rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    machine_start(&rig->machine, &default_limits);
    rig->port = rig->machine.guest;
    xenpv_agent_config_init(&rig->config, &rig->port);
}

static inline void rig_start(struct agent_rig *rig)
{
    size_t bytes = xenpv_agent_size(&rig->config);

    assert_true(bytes > 0);
    rig->memory = aligned_alloc(16, (bytes + 15) / 16 * 16);
    assert_non_null(rig->memory);
    memset(rig->memory, 0xa5, bytes);
    assert_int_equal(xenpv_agent_init(rig->memory, &rig->config, &rig->agent), XENPV_OK);
}

static inline enum xenpv_agent_state rig_step(struct agent_rig *rig)
{
    return xenpv_agent_step(rig->agent, xenpv_mock_now(rig->machine.mock));
}

static inline void rig_advance(struct agent_rig *rig, uint64_t ms)
{
    xenpv_mock_advance(rig->machine.mock, ms);
    rig_step(rig);
}

/* An active one that obeys all. */
static inline void rig_start_active(struct agent_rig *rig)
{
    rig_begin(rig);
    rig->config.active = true;
    rig->config.enabled = OBEYS_ALL;
    rig_start(rig);
    assert_int_equal(rig_step(rig), XENPV_AGENT_ACTIVE);
}

/* A passive one, behind a kernel that owns control/, which is not quiet any more. */
static inline void rig_start_passive(struct agent_rig *rig)
{
    rig_begin(rig);
    assert_int_equal(try_write(&rig->port, "control/feature-poweroff", "1"), XENPV_OK);
    rig->config.active = true;
    rig->config.enabled = OBEYS_ALL;
    rig_start(rig);
    assert_int_equal(rig_step(rig), XENPV_AGENT_PASSIVE);
    rig_advance(rig, 2000);
}

static inline void rig_toolstack(struct agent_rig *rig, const char *path, const char *value)
{
    char whole[128];

    snprintf(whole, sizeof(whole), SELF "%s", path);
    assert_int_equal(xenpv_mock_write(rig->machine.mock, whole, value), XENPV_OK);
}

/* NULL: there is no such node. */
static inline const char *rig_value(struct agent_rig *rig, const char *path)
{
    static char value[128];
    char whole[128];

    snprintf(whole, sizeof(whole), SELF "%s", path);
    return xenpv_mock_read(rig->machine.mock, whole, value, sizeof(value)) == 0 ? value : NULL;
}

static inline void assert_node(struct agent_rig *rig, const char *path, const char *expected)
{
    const char *found = rig_value(rig, path);

    if (!expected) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_string_equal(found, expected);
}

static inline void assert_event(struct agent_rig *rig, uint32_t type)
{
    struct xenpv_agent_event event;

    assert_true(xenpv_agent_poll(rig->agent, &event));
    assert_string_equal(xenpv_agent_event_name(event.type), xenpv_agent_event_name(type));
}

static inline void assert_no_event(struct agent_rig *rig)
{
    struct xenpv_agent_event event = {0};

    if (xenpv_agent_poll(rig->agent, &event))
        fail_msg("event %s", xenpv_agent_event_name(event.type));
}

static inline struct xenpv_agent_info rig_info(struct agent_rig *rig)
{
    struct xenpv_agent_info info;

    xenpv_agent_get_info(rig->agent, &info);
    return info;
}

/* Closed in an orderly way, and it holds nothing. */
static inline void rig_end(struct agent_rig *rig)
{
    xenpv_agent_close(rig->agent);
    for (int i = 0; i < 200 && rig_step(rig) != XENPV_AGENT_CLOSED; i++)
        xenpv_mock_advance(rig->machine.mock, 100);
    assert_int_equal(rig_step(rig), XENPV_AGENT_CLOSED);
    assert_int_equal(ledger_of(&rig->machine, 7).watches, 0);
    free(rig->memory);
    machine_stop(&rig->machine, 0);
}

#endif
