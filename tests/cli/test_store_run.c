/* SPDX-License-Identifier: MIT */
/* How often, and how fast, the tool runs a transaction that others disturb; values of any length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store.h"

#define TRIES 50u

static struct fake {
    uint64_t now, longest; /* the longest pause between two tries */
    uint32_t tries, conflicts, last_at;
    const char *value; /* of every node; NULL: its path is too long */
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

/* As a port answers a question. */
static int answer(void *ctx, struct xenpv_store_batch *batch)
{
    struct xenpv_store_op *op = batch->ops;

    (void)ctx;
    assert_true(fake.tries++ < TRIES);
    op->length = fake.value ? (uint32_t)strlen(fake.value) : 0;
    op->status = fake.value && op->length <= op->capacity ? 0 : XENPV_E2BIG;
    if (op->status == 0)
        memcpy(op->value, fake.value, op->length);
    return 0;
}

static const struct xenpv_store_ops store_ops = {.start = start};
static const struct xenpv_store_ops answer_ops = {.start = answer};
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

static int get(const char *value, char **got, uint32_t *length)
{
    const struct options options = {.timeout_ms = 0};
    struct machine machine = {
        .port = {.store = &answer_ops}, .options = &options, .ops = &machine_ops};

    fake = (struct fake){.value = value};
    return store_get(&machine, XENPV_STORE_READ, "/d", got, length);
}

static void test_a_value_larger_than_the_buffer(void **state)
{
    static char large[3 * XENPV_STORE_VALUE_MAX];
    uint32_t length;
    char *got;

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(get(large, &got, &length), 0);
    assert_int_equal(length, sizeof(large) - 1);
    assert_string_equal(got, large);
    assert_int_equal(fake.tries, 2);
    free(got);
}

static void test_a_path_that_is_too_long_is_asked_for_once(void **state)
{
    uint32_t length;
    char *got;

    (void)state;
    assert_int_equal(get(NULL, &got, &length), XENPV_E2BIG);
    assert_int_equal(fake.tries, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_larger_than_the_buffer),
        cmocka_unit_test(test_a_path_that_is_too_long_is_asked_for_once),
        cmocka_unit_test(test_XS_03_conflicts),
        cmocka_unit_test(test_XS_03_pauses_grow_and_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
