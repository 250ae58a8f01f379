/* SPDX-License-Identifier: MIT */
/* memory/target: the arithmetic, and an agent that follows it through the port. */
#include <xenpv/balloon.h>

#include "agent_rig.h"

/* -------------------------------------------------------------------------------- arithmetic -- */

static void test_seed_O16_how_many_pages_a_target_is(void **state)
{
    static const struct {
        struct xenpv_balloon balloon;
        uint64_t goal;
    } rows[] = {
        {{.target_kib = 0}, 0},
        {{.target_kib = 3}, 0},
        {{.target_kib = 4}, 1},
        {{.target_kib = 7}, 1},
        {{.target_kib = 131072}, 32768},
        {{.target_kib = 131072, .static_max_kib = 131072}, 32768},
        {{.target_kib = 131073, .static_max_kib = 131072}, 32768},
        {{.target_kib = 131076, .static_max_kib = 131072}, 32768},
        {{.target_kib = 262144, .static_max_kib = 131072}, 32768},
        {{.target_kib = 262144, .static_max_kib = 131075}, 32768},
        {{.target_kib = 1024, .static_max_kib = 131072, .floor = 8192}, 8192},
        {{.target_kib = 0, .floor = 8192}, 8192},
        {{.target_kib = 4096, .static_max_kib = 1024, .floor = 8192}, 8192},
        {{.target_kib = 32764, .floor = 8192}, 8192},
        {{.target_kib = 32768, .floor = 8192}, 8192},
        {{.target_kib = 32772, .floor = 8192}, 8193},
        {{.target_kib = UINT64_MAX}, UINT64_MAX / 4},
        {{.target_kib = UINT64_MAX, .static_max_kib = 1u << 20}, 1u << 18},
        {{.target_kib = UINT64_MAX, .static_max_kib = UINT64_MAX, .floor = UINT64_MAX}, UINT64_MAX},
        {{.target_kib = 8, .static_max_kib = 3}, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(xenpv_balloon_goal(&rows[i].balloon), rows[i].goal);
}

static void test_seed_O16_the_next_step(void **state)
{
    static const struct {
        uint64_t pages, goal;
        uint32_t most;
        int32_t step;
    } rows[] = {
        {100, 100, 10, 0},
        {100, 105, 10, 5},
        {100, 95, 10, -5},
        {100, 200, 10, 10},
        {200, 100, 10, -10},
        {0, UINT64_MAX, 1024, 1024},
        {UINT64_MAX, 0, 1024, -1024},
        {0, UINT64_MAX, UINT32_MAX, INT32_MAX},
        {UINT64_MAX, 0, UINT32_MAX, -INT32_MAX},
        {0, 0, 0, 0},
        {1, 2, 0, 0},
        {UINT64_MAX - 1, UINT64_MAX, 7, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(xenpv_balloon_step(rows[i].pages, rows[i].goal, rows[i].most),
                         rows[i].step);
}

/* --------------------------------------------------------------------------------- following -- */

/* A guest's memory, by numbers. */
struct memory {
    uint64_t pages;
    uint64_t stuck_below; /* the guest can give back no more than leaves it this */
    uint64_t stuck_above; /* the hypervisor has no more than this */
    uint32_t calls, largest;
};

static struct memory memory;

static uint64_t on_pages(void *ctx)
{
    (void)ctx;
    return memory.pages;
}

static void count_call(uint32_t pages)
{
    memory.calls++;
    memory.largest = pages > memory.largest ? pages : memory.largest;
}

static int64_t on_release(void *ctx, uint32_t pages)
{
    uint64_t most = memory.pages > memory.stuck_below ? memory.pages - memory.stuck_below : 0;

    (void)ctx;
    count_call(pages);
    if (most == 0)
        return XENPV_ENOMEM;
    most = pages < most ? pages : most;
    memory.pages -= most;
    return (int64_t)most;
}

static int64_t on_take(void *ctx, uint32_t pages)
{
    uint64_t most = memory.pages < memory.stuck_above ? memory.stuck_above - memory.pages : 0;

    (void)ctx;
    count_call(pages);
    if (most == 0)
        return XENPV_ENOMEM;
    most = pages < most ? pages : most;
    memory.pages += most;
    return (int64_t)most;
}

static const struct xenpv_memory_ops memory_ops = {on_pages, on_release, on_take};

static void start(struct agent_rig *rig, bool active)
{
    memory = (struct memory){.pages = 65536, .stuck_above = UINT64_MAX};
    rig_begin(rig);
    rig->port.memory = &memory_ops;
    rig_toolstack(rig, "memory/static-max", "524288");
    rig_toolstack(rig, "memory/target", "262144");
    rig->config.active = active;
    rig->config.enabled = XENPV_AGENT_BIT(XENPV_AGENT_MEMORY);
    rig_start(rig);
    rig_step(rig);
}

static void run_out(struct agent_rig *rig)
{
    for (int step = 0; step < 1000 && rig_info(rig).moving; step++)
        rig_step(rig);
}

static void test_seed_O16_the_target_is_followed(void **state)
{
    static const struct {
        const char *target;
        uint64_t pages; /* afterwards */
    } rows[] = {
        {"131072", 32768},   {"524288", 131072},
        {"4000000", 131072}, {"131075", 32768},
        {"1000", 8192},      {"0", 8192},
        {"262144", 65536},   {"18446744073709551615", 131072},
    };
    struct xenpv_agent_event event;
    struct agent_rig rig;

    (void)state;
    start(&rig, true);
    assert_event(&rig, XENPV_AGENT_MEMORY);
    assert_int_equal(memory.pages, 65536);
    for (size_t i = 0; i < COUNT(rows); i++) {
        rig_toolstack(&rig, "memory/target", rows[i].target);
        rig_step(&rig);
        run_out(&rig);
        assert_int_equal(memory.pages, rows[i].pages);
        assert_true(xenpv_agent_poll(rig.agent, &event));
        assert_int_equal(event.type, XENPV_AGENT_MEMORY);
        assert_int_equal(event.goal, rows[i].pages);
        assert_no_event(&rig);
        assert_int_equal(xenpv_agent_deadline(rig.agent), UINT64_MAX);
    }
    assert_int_equal(memory.largest, 1024);
    rig_end(&rig);
}

/* One step moves a bounded number of pages, and asks for the next at once. */
static void test_seed_O16_in_bounded_steps(void **state)
{
    struct agent_rig rig;

    (void)state;
    start(&rig, true);
    rig_toolstack(&rig, "memory/target", "131072");
    for (uint64_t i = 1; i <= 32; i++) {
        rig_step(&rig);
        assert_int_equal(memory.pages, 65536 - 1024 * i);
        assert_true(xenpv_agent_deadline(rig.agent) <= xenpv_mock_now(rig.machine.mock));
    }
    rig_step(&rig);
    assert_false(rig_info(&rig).moving);
    rig_end(&rig);
}

/* Junk is no target: what was wanted before is still wanted. */
static void test_seed_O16_junk_is_ignored(void **state)
{
    static const char *const rows[] = {"",
                                       "-1",
                                       "0x100",
                                       " 131072",
                                       "131072 ",
                                       "1e5",
                                       "many",
                                       "\n",
                                       "\xff\x31",
                                       "18446744073709551616",
                                       "00000000000000000000000000000000000000000131072"};
    struct agent_rig rig;

    (void)state;
    start(&rig, true);
    assert_event(&rig, XENPV_AGENT_MEMORY);
    for (size_t i = 0; i < COUNT(rows); i++) {
        rig.machine.line[0] = '\0';
        rig_toolstack(&rig, "memory/target", rows[i]);
        rig_step(&rig);
        run_out(&rig);
        assert_int_equal(memory.pages, 65536);
        assert_no_event(&rig);
        assert_non_null(strstr(rig.machine.line, "memory/target"));
    }
    rig_toolstack(&rig, "memory/static-max", "none");
    rig_toolstack(&rig, "memory/target", "1048576");
    rig_step(&rig);
    run_out(&rig);
    assert_int_equal(memory.pages, 262144);
    assert_int_equal(xenpv_mock_rm(rig.machine.mock, SELF "memory/target"), 0);
    rig_step(&rig);
    run_out(&rig);
    assert_int_equal(memory.pages, 262144);
    rig_end(&rig);
}

/* The guest has no more to give: tried again after 1, 2, 4 ... 32 seconds, and done when it can. */
static void test_seed_O16_what_cannot_be_moved_is_tried_again(void **state)
{
    static const uint64_t waits[] = {1000, 2000, 4000, 8000, 16000, 32000, 32000};
    struct agent_rig rig;

    (void)state;
    start(&rig, true);
    memory.stuck_below = 40000;
    rig_toolstack(&rig, "memory/target", "131072");
    for (int i = 0; i < 40; i++)
        rig_step(&rig);
    assert_int_equal(memory.pages, 40000);
    for (size_t i = 0; i < COUNT(waits); i++) {
        uint64_t now = xenpv_mock_now(rig.machine.mock);
        uint32_t calls = memory.calls;

        assert_int_equal(xenpv_agent_deadline(rig.agent), now + waits[i]);
        rig_advance(&rig, waits[i] - 1);
        assert_int_equal(memory.calls, calls);
        rig_advance(&rig, 1);
        assert_int_equal(memory.calls, calls + 1);
    }
    memory.stuck_below = 0;
    rig_advance(&rig, 32000);
    run_out(&rig);
    assert_int_equal(memory.pages, 32768);

    /* And so with a hypervisor that has no more. */
    memory.stuck_above = 50000;
    rig_toolstack(&rig, "memory/target", "262144");
    rig_step(&rig);
    for (int i = 0; i < 40; i++)
        rig_step(&rig);
    assert_int_equal(memory.pages, 50000);
    memory.stuck_above = UINT64_MAX;
    rig_advance(&rig, 1000);
    run_out(&rig);
    assert_int_equal(memory.pages, 65536);
    rig_end(&rig);
}

/* Somebody else moves the pages. */
static void test_a_passive_agent_only_tells(void **state)
{
    struct xenpv_agent_event event;
    struct agent_rig rig;

    (void)state;
    start(&rig, false);
    assert_no_event(&rig);
    rig_toolstack(&rig, "memory/target", "131072");
    rig_step(&rig);
    assert_true(xenpv_agent_poll(rig.agent, &event));
    assert_int_equal(event.type, XENPV_AGENT_MEMORY);
    assert_int_equal(event.target_kib, 131072);
    assert_int_equal(event.goal, 32768);
    assert_int_equal(memory.calls, 0);
    /* The same value once more is no news. */
    rig_toolstack(&rig, "memory/target", "131072");
    rig_step(&rig);
    assert_no_event(&rig);
    rig_end(&rig);
}

/* The floor keeps what is there: a guest that has less takes no more than it is to have. */
static void test_seed_O16_the_floor_takes_nothing(void **state)
{
    static const struct {
        uint64_t pages;
        const char *most, *target;
        uint64_t after;
    } rows[] = {
        {4096, "16384", "16384", 4096},  /* all there may ever be */
        {4096, "65536", "16384", 4096},  /* all that it is to have */
        {4096, "65536", "20480", 5120},  /* a little more */
        {4096, "65536", "8192", 4096},   /* less */
        {8300, "65536", "16384", 8192},  /* down to the floor */
        {4096, "65536", "40960", 10240}, /* past it */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct agent_rig rig;

        start(&rig, true);
        memory.pages = rows[i].pages;
        rig_toolstack(&rig, "memory/static-max", rows[i].most);
        rig_toolstack(&rig, "memory/target", rows[i].target);
        rig_step(&rig);
        run_out(&rig);
        assert_int_equal(memory.pages, rows[i].after);
        assert_int_equal(xenpv_agent_deadline(rig.agent), UINT64_MAX);
        rig_end(&rig);
    }
}

/* A restored guest may find another target. */
static void test_seed_O16_the_target_after_a_resume(void **state)
{
    struct agent_rig rig;

    (void)state;
    start(&rig, true);
    assert_event(&rig, XENPV_AGENT_MEMORY);
    rig_toolstack(&rig, "memory/target", "131072");
    assert_int_equal(xenpv_mock_suspend(rig.machine.mock, 7), XENPV_OK);
    rig_step(&rig);
    run_out(&rig);
    assert_int_equal(memory.pages, 32768);
    assert_event(&rig, XENPV_AGENT_RESUME);
    assert_event(&rig, XENPV_AGENT_MEMORY);
    rig_end(&rig);
}

/* The mock's own memory: of domain 7, and of no other. */
static void test_seed_O16_on_the_mocks_memory(void **state)
{
    static const struct {
        const char *target;
        uint64_t pages;
    } rows[] = {{"131072", 32768}, {"262144", 65536}, {"1048576", 80000}, {"40000", 10000}};
    struct agent_rig rig;

    (void)state;
    rig_begin(&rig);
    assert_int_equal(xenpv_mock_set_memory(rig.machine.mock, 7, 65536, 80000), XENPV_OK);
    rig_toolstack(&rig, "memory/static-max", "1048576");
    rig.config.active = true;
    rig.config.enabled = XENPV_AGENT_BIT(XENPV_AGENT_MEMORY);
    rig_start(&rig);
    rig_step(&rig);
    for (size_t i = 0; i < COUNT(rows); i++) {
        rig_toolstack(&rig, "memory/target", rows[i].target);
        for (int step = 0; step < 100; step++)
            rig_step(&rig);
        assert_int_equal(rig.port.memory->pages(rig.port.ctx), rows[i].pages);
    }
    assert_int_equal(rig.machine.other.memory->pages(rig.machine.other.ctx), 65536);
    rig_end(&rig);
}

/* Where the port has no memory calls the owner is told, and nothing waits for ever. */
static void test_seed_O16_without_the_ports_help(void **state)
{
    struct agent_rig rig;

    (void)state;
    rig_start_active(&rig);
    rig.port.memory = NULL;
    rig_toolstack(&rig, "memory/target", "131072");
    rig_step(&rig);
    assert_event(&rig, XENPV_AGENT_MEMORY);
    assert_int_equal(xenpv_agent_deadline(rig.agent), UINT64_MAX);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_O16_how_many_pages_a_target_is),
        cmocka_unit_test(test_seed_O16_the_next_step),
        cmocka_unit_test(test_seed_O16_the_target_is_followed),
        cmocka_unit_test(test_seed_O16_in_bounded_steps),
        cmocka_unit_test(test_seed_O16_junk_is_ignored),
        cmocka_unit_test(test_seed_O16_what_cannot_be_moved_is_tried_again),
        cmocka_unit_test(test_a_passive_agent_only_tells),
        cmocka_unit_test(test_seed_O16_the_floor_takes_nothing),
        cmocka_unit_test(test_seed_O16_the_target_after_a_resume),
        cmocka_unit_test(test_seed_O16_on_the_mocks_memory),
        cmocka_unit_test(test_seed_O16_without_the_ports_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
