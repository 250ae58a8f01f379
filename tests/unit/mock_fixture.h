/* SPDX-License-Identifier: MIT */
/* A mock machine for one test: its memory is counted, can be made to run out, and is all returned.
 */
#ifndef TESTS_MOCK_FIXTURE_H
#define TESTS_MOCK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xenpv/harness/mock.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct machine {
    struct xenpv_mock *mock;
    struct xenpv_port dom0, guest, other; /* domains 0, 7 and 8 */
    uint32_t blocks;                      /* allocations alive */
    uint32_t fail_in;                     /* 1: the next allocation fails; 0: none does */
    uint32_t locked;                      /* depth, 0 or 1 */
    uint32_t misuses;                     /* lines that the mock logged */
    char line[128];                       /* the last line logged */
};

static void *machine_alloc(void *ctx, size_t bytes, size_t align)
{
    struct machine *machine = ctx;
    void *memory;

    if (machine->fail_in > 0 && --machine->fail_in == 0)
        return NULL;
    memory = aligned_alloc(align, (bytes + align - 1) / align * align);
    assert_non_null(memory);
    memset(memory, 0xa5, bytes);
    machine->blocks++;
    return memory;
}

static void machine_free(void *ctx, void *memory)
{
    struct machine *machine = ctx;

    machine->blocks -= memory != NULL;
    free(memory);
}

static void machine_lock(void *ctx)
{
    struct machine *machine = ctx;

    assert_int_equal(machine->locked++, 0);
}

static void machine_unlock(void *ctx)
{
    struct machine *machine = ctx;

    assert_int_equal(machine->locked--, 1);
}

static void machine_log(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line)
{
    struct machine *machine = ctx;

    (void)domid;
    if (level == XENPV_LOG_ERROR && strncmp(line, "mock: ", 6) == 0)
        machine->misuses++;
    snprintf(machine->line, sizeof(machine->line), "%s", line);
}

static struct xenpv_mock_config machine_config(struct machine *machine)
{
    return (struct xenpv_mock_config){
        .size = sizeof(struct xenpv_mock_config),
        .allocator = {machine, machine_alloc, machine_free},
        .lock = machine_lock,
        .unlock = machine_unlock,
        .log = machine_log,
        .ctx = machine,
    };
}

static void machine_start(struct machine *machine, const struct xenpv_mock_limits *limits)
{
    struct xenpv_mock_config config = machine_config(machine);

    *machine = (struct machine){0};
    config.limits = *limits;
    assert_int_equal(xenpv_mock_create(&config, &machine->mock), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(machine->mock, 7), XENPV_OK);
    assert_int_equal(xenpv_mock_add_domain(machine->mock, 8), XENPV_OK);
    assert_int_equal(xenpv_mock_port(machine->mock, 0, &machine->dom0), XENPV_OK);
    assert_int_equal(xenpv_mock_port(machine->mock, 7, &machine->guest), XENPV_OK);
    assert_int_equal(xenpv_mock_port(machine->mock, 8, &machine->other), XENPV_OK);
}

/* `misuses`: how many lines of complaint the test meant to provoke. */
static void machine_stop(struct machine *machine, uint32_t misuses)
{
    assert_int_equal(machine->misuses, misuses);
    assert_int_equal(machine->locked, 0);
    xenpv_mock_destroy(machine->mock);
    assert_int_equal(machine->blocks, 0);
}

static const struct xenpv_mock_limits default_limits = {0};

static inline struct xenpv_mock_ledger ledger_of(struct machine *machine, uint16_t domid)
{
    struct xenpv_mock_ledger ledger;

    assert_int_equal(xenpv_mock_ledger(machine->mock, domid, &ledger), XENPV_OK);
    return ledger;
}

static inline void assert_holds_nothing(struct machine *machine, uint16_t domid)
{
    struct xenpv_mock_ledger held = ledger_of(machine, domid);
    struct xenpv_mock_ledger nothing = {0};

    assert_memory_equal(&held, &nothing, sizeof(held));
}

#endif
