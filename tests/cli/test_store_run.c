/* SPDX-License-Identifier: MIT */
/* How often, and how fast, the tool runs a transaction that others disturb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store.h"

#define TRIES 50u

static struct fake {
    uint64_t now, longest; /* the longest pause between two tries */
    uint32_t tries, conflicts, last_at;
} fake;

static int start(void *ctx, struct xenpv_store_batch *batch)
{
    uint32_t pause = (uint32_t)fake.now - fake.last_at;

    (void)ctx;
    if (fake.tries && pause > fake.longest)
        fake.longest = pause;
    fake.last_at = (uint32_t)fake.now;
    batch->status = fake.tries++ < fake.conflicts ? XENPV_EAGAIN : 0;
    return 0;
}

static uint64_t now(struct machine *machine)
{
    (void)machine;
    return fake.now;
}

static void wait_for(struct machine *machine, const struct os_wait *waits, unsigned count,
                     uint64_t deadline)
{
    (void)machine;
    (void)waits;
    assert_int_equal(count, 0); /* news of the store must not end the pause */
    fake.now = deadline;
}

static const struct xenpv_store_ops store_ops = {.start = start};
static const struct machine_ops machine_ops = {.now = now, .wait = wait_for};

uint64_t machine_now(struct machine *machine)
{
    return machine->ops->now(machine);
}

void machine_wait(struct machine *machine, const struct os_wait *waits, unsigned count,
                  uint64_t deadline)
{
    machine->ops->wait(machine, waits, count, deadline);
}

int os_stop_signal(void)
{
    return 0;
}

static int run(uint32_t conflicts, uint32_t timeout_ms)
{
    const struct options options = {.timeout_ms = timeout_ms};
    struct machine machine = {
        .port = {.store = &store_ops}, .options = &options, .ops = &machine_ops};
    struct xenpv_store_op op = {.type = XENPV_STORE_MKDIR, .dir = "/d"};

    fake = (struct fake){.conflicts = conflicts};
    return store_run(&machine, &op, 1, true);
}

static void test_XS_03_conflicts(void **state)
{
    static const struct {
        uint32_t conflicts, timeout_ms;
        int answer;
        uint32_t tries;
    } cases[] = {
        {0, 0, 0, 1},
        {1, 0, 0, 2},
        {49, 0, 0, TRIES},
        {50, 0, XENPV_EAGAIN, TRIES},
        {100, 0, XENPV_EAGAIN, TRIES},
        {UINT32_MAX, 0, XENPV_EAGAIN, TRIES},
        {UINT32_MAX, 30000, XENPV_EAGAIN, TRIES},
        {UINT32_MAX, 8, XENPV_EAGAIN, 4}, /* after 1, 2 and 4 ms the next pause is too long */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(run(cases[i].conflicts, cases[i].timeout_ms), cases[i].answer);
        assert_int_equal(fake.tries, cases[i].tries);
    }
}

static void test_XS_03_pauses_grow_and_end(void **state)
{
    (void)state;
    assert_int_equal(run(1, 0), 0);
    assert_int_equal(fake.longest, 1);
    assert_int_equal(run(4, 0), 0);
    assert_int_equal(fake.longest, 8);
    assert_int_equal(run(UINT32_MAX, 0), XENPV_EAGAIN);
    assert_int_equal(fake.longest, 100);
    assert_in_range(fake.now, 1000, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_XS_03_conflicts),
        cmocka_unit_test(test_XS_03_pauses_grow_and_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
