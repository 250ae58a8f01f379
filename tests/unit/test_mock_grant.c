/* SPDX-License-Identifier: MIT */
/* Grants, mappings and copies of the mock. */
#include "mock_fixture.h"

#define MAX_PAGES 8

/* Both sides of some shared pages; `region` is the granter's and `run` the peer's. */
struct pages {
    uint32_t refs[MAX_PAGES];
    struct xenpv_grant_region region;
    struct xenpv_map_entry entries[MAX_PAGES];
    struct xenpv_map_region run;
};

static int try_share(const struct xenpv_port *port, uint16_t domid, uint32_t count,
                     struct pages *pages)
{
    *pages = (struct pages){.region = {.pages = count}};
    pages->region.refs = pages->refs;
    return port->grant->share(port->ctx, domid, &pages->region);
}

static uint8_t *share(const struct xenpv_port *port, uint16_t domid, uint32_t count,
                      struct pages *pages)
{
    assert_int_equal(try_share(port, domid, count, pages), XENPV_OK);
    return pages->region.memory;
}

static int try_share_own(const struct xenpv_port *port, uint16_t domid, void *memory,
                         uint32_t count, bool writable, struct pages *pages)
{
    *pages = (struct pages){.region = {.pages = count, .memory = memory}};
    pages->region.refs = pages->refs;
    return port->grant->share_own(port->ctx, domid, &pages->region, writable);
}

static int try_map(const struct xenpv_port *port, uint16_t domid, uint16_t flags,
                   struct pages *pages)
{
    uint32_t count = pages->region.pages;

    pages->run = (struct xenpv_map_region){
        .entries = pages->entries, .count = count, .domid = domid, .flags = flags};
    for (uint32_t i = 0; i < count; i++)
        pages->entries[i] = (struct xenpv_map_entry){.ref = pages->refs[i], .status = 99};
    return port->map->map(port->ctx, &pages->run);
}

static uint8_t *map(const struct xenpv_port *port, uint16_t domid, struct pages *pages)
{
    assert_int_equal(try_map(port, domid, 0, pages), XENPV_OK);
    return pages->run.memory;
}

static void unmap(const struct xenpv_port *port, struct pages *pages)
{
    port->map->unmap(port->ctx, &pages->run);
    assert_null(pages->run.memory);
}

static int end(const struct xenpv_port *port, struct pages *pages)
{
    return port->grant->end(port->ctx, &pages->region);
}

static void forget(const struct xenpv_port *port, struct pages *pages)
{
    port->grant->forget(port->ctx, &pages->region);
}

static void test_shared_memory_is_one(void **state)
{
    struct machine m;
    struct pages pages;

    (void)state;
    machine_start(&m, &default_limits);

    uint8_t *here = share(&m.guest, 0, 3, &pages);

    assert_int_equal((uintptr_t)here % XENPV_PAGE_SIZE, 0);
    for (uint32_t i = 0; i < 3 * XENPV_PAGE_SIZE; i++)
        assert_int_equal(here[i], 0);
    assert_ptr_equal(map(&m.dom0, 7, &pages), here);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(pages.entries[i].status, XENPV_OK);
    assert_int_equal(ledger_of(&m, 7).grants, 3);
    assert_int_equal(ledger_of(&m, 7).grants_mapped, 3);
    assert_int_equal(ledger_of(&m, 0).maps, 3);
    unmap(&m.dom0, &pages);
    assert_int_equal(end(&m.guest, &pages), XENPV_OK);
    assert_holds_nothing(&m, 7);
    assert_holds_nothing(&m, 0);
    machine_stop(&m, 0);
}

static void test_references_are_reused_last_in_first_out(void **state)
{
    struct machine m;
    struct pages one, two, three;

    (void)state;
    machine_start(&m, &default_limits);
    share(&m.guest, 0, 2, &one);
    share(&m.guest, 0, 1, &two);
    assert_int_equal(one.refs[0], 8); /* 0..7 are reserved */
    assert_int_equal(one.refs[1], 9);
    assert_int_equal(two.refs[0], 10);
    assert_int_equal(end(&m.guest, &two), XENPV_OK);
    assert_int_equal(end(&m.guest, &one), XENPV_OK);
    share(&m.guest, 0, 4, &three);
    assert_int_equal(three.refs[0], 9);
    assert_int_equal(three.refs[1], 8);
    assert_int_equal(three.refs[2], 10);
    assert_int_equal(three.refs[3], 11);
    machine_stop(&m, 0);
}

static void test_arguments_and_limits(void **state)
{
    static _Alignas(4096) uint8_t own[2 * XENPV_PAGE_SIZE];
    struct machine m;
    struct pages pages, more;

    (void)state;
    machine_start(&m, &(struct xenpv_mock_limits){.grants = 12, .maps = 3});
    assert_int_equal(try_share(&m.guest, 0, 0, &pages), XENPV_EINVAL);
    assert_int_equal(try_share(&m.guest, 0x7ff0, 1, &pages), XENPV_EINVAL);
    assert_int_equal(try_share_own(&m.guest, 0, own + 1, 1, true, &pages), XENPV_EINVAL);
    assert_int_equal(try_share_own(&m.guest, 0, NULL, 1, true, &pages), XENPV_EINVAL);
    assert_int_equal(try_share(&m.guest, 0, 5, &pages), XENPV_ENOGRANT);
    assert_int_equal(try_share(&m.guest, 0, 0xffffffff, &pages), XENPV_ENOGRANT);
    assert_holds_nothing(&m, 7);
    share(&m.guest, 0, 2, &pages);
    assert_int_equal(end(&m.guest, &pages), XENPV_OK);
    share(&m.guest, 0, 4, &pages); /* two old references and two new ones */
    assert_int_equal(try_share(&m.guest, 0, 1, &more), XENPV_ENOGRANT);
    assert_int_equal(try_map(&m.dom0, 7, 0, &pages), XENPV_ENOGRANT);
    assert_int_equal(pages.entries[2].status, XENPV_OK);
    assert_int_equal(pages.entries[3].status, XENPV_ENOGRANT);
    assert_null(pages.run.memory);
    assert_holds_nothing(&m, 0);
    assert_int_equal(end(&m.guest, &pages), XENPV_OK);
    machine_stop(&m, 0);
}

static void test_map_is_checked(void **state)
{
    static _Alignas(4096) uint8_t own[XENPV_PAGE_SIZE];
    struct machine m;
    struct pages granted, read_only;

    (void)state;
    machine_start(&m, &default_limits);
    share(&m.guest, 0, 1, &granted);
    assert_int_equal(try_share_own(&m.guest, 0, own, 1, false, &read_only), XENPV_OK);

    uint32_t good = granted.refs[0], readable = read_only.refs[0];
    const struct {
        const struct xenpv_port *port;
        uint32_t ref;
        uint16_t domid, flags;
        int expected;
    } cases[] = {
        {&m.dom0, good, 7, 0, XENPV_OK},
        {&m.dom0, good, 7, XENPV_MAP_READONLY, XENPV_OK},
        {&m.dom0, readable, 7, XENPV_MAP_READONLY, XENPV_OK},
        {&m.dom0, readable, 7, 0, XENPV_EACCES},
        {&m.other, good, 7, 0, XENPV_EACCES}, /* granted to domain 0 */
        {&m.guest, good, 7, 0, XENPV_EACCES},
        {&m.dom0, good, 8, 0, XENPV_EACCES},
        {&m.dom0, good, 9, 0, XENPV_ENOENT}, /* no such domain */
        {&m.dom0, 0, 7, 0, XENPV_EACCES},
        {&m.dom0, 7, 7, 0, XENPV_EACCES},
        {&m.dom0, 10, 7, 0, XENPV_EACCES},
        {&m.dom0, 0xffffffff, 7, 0, XENPV_ENOENT},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pages pages = {.region = {.pages = 1}, .refs = {cases[i].ref}};

        assert_int_equal(try_map(cases[i].port, cases[i].domid, cases[i].flags, &pages),
                         cases[i].expected);
        assert_int_equal(pages.entries[0].status, cases[i].expected);
        if (cases[i].expected == XENPV_OK)
            unmap(cases[i].port, &pages);
        assert_null(pages.run.memory);
    }
    assert_int_equal(end(&m.guest, &granted), XENPV_OK);
    assert_int_equal(try_map(&m.dom0, 7, 0, &granted), XENPV_EACCES);
    assert_int_equal(end(&m.guest, &read_only), XENPV_OK);
    machine_stop(&m, 0);
}

static void test_map_is_all_or_nothing(void **state)
{
    struct machine m;
    struct pages pages;

    (void)state;
    machine_start(&m, &default_limits);
    share(&m.guest, 0, 4, &pages);
    pages.refs[1] = 99;
    assert_int_equal(try_map(&m.dom0, 7, 0, &pages), XENPV_EACCES);
    assert_int_equal(pages.entries[0].status, XENPV_OK);
    assert_int_equal(pages.entries[1].status, XENPV_EACCES);
    assert_int_equal(pages.entries[3].status, XENPV_OK);
    assert_holds_nothing(&m, 0);
    pages.refs[1] = pages.refs[0] + 1;
    assert_int_equal(end(&m.guest, &pages), XENPV_OK);
    machine_stop(&m, 0);
}

/* What real Xen can do and one process cannot: pages out of order, seen in order. */
static void test_map_needs_consecutive_pages(void **state)
{
    static _Alignas(4096) uint8_t own[2 * XENPV_PAGE_SIZE];
    struct machine m;
    struct pages low, high, both = {.region = {.pages = 2}};

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(try_share_own(&m.guest, 0, own + 4096, 1, true, &high), XENPV_OK);
    assert_int_equal(try_share_own(&m.guest, 0, own, 1, true, &low), XENPV_OK);
    both.refs[0] = high.refs[0];
    both.refs[1] = low.refs[0];
    assert_int_equal(try_map(&m.dom0, 7, 0, &both), XENPV_ENOTSUP);
    assert_int_equal(both.entries[0].status, XENPV_OK);
    assert_int_equal(both.entries[1].status, XENPV_ENOTSUP);
    both.refs[0] = low.refs[0];
    both.refs[1] = high.refs[0];
    assert_ptr_equal(map(&m.dom0, 7, &both), own);
    assert_int_equal(end(&m.guest, &low), XENPV_EBUSY);
    assert_int_equal(end(&m.guest, &high), XENPV_EBUSY);
    unmap(&m.dom0, &both);
    assert_int_equal(end(&m.guest, &low), XENPV_OK);
    assert_int_equal(end(&m.guest, &high), XENPV_OK);
    machine_stop(&m, 0);
}

static void test_end_of_a_mapped_grant_is_busy(void **state)
{
    struct machine m;
    struct pages pages, again;

    (void)state;
    machine_start(&m, &default_limits);
    share(&m.guest, 0, 2, &pages);
    again = pages;
    map(&m.dom0, 7, &pages);
    assert_int_equal(try_map(&m.dom0, 7, 0, &again), XENPV_OK);
    assert_int_equal(ledger_of(&m, 7).grants_mapped, 4);
    assert_int_equal(end(&m.guest, &pages), XENPV_EBUSY);
    unmap(&m.dom0, &pages);
    assert_int_equal(end(&m.guest, &pages), XENPV_EBUSY);
    unmap(&m.dom0, &again);
    assert_int_equal(end(&m.guest, &pages), XENPV_OK);
    machine_stop(&m, 0);
}

static void test_end_of_a_mapped_grant_is_deferred(void **state)
{
    static _Alignas(4096) uint8_t own[XENPV_PAGE_SIZE];
    struct machine m;
    struct pages pages, mine, next, stale;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(xenpv_mock_set_deferred_end(m.mock, 7, true), XENPV_OK);
    assert_int_equal(xenpv_mock_set_deferred_end(m.mock, 9, true), XENPV_ENOENT);

    uint32_t blocks = m.blocks;

    share(&m.guest, 0, 2, &pages);

    uint8_t *there = map(&m.dom0, 7, &pages);

    stale = pages;
    assert_int_equal(end(&m.guest, &pages), XENPV_DEFERRED);
    assert_int_equal(end(&m.guest, &stale), XENPV_ENOENT); /* it is the port's now */
    assert_int_equal(ledger_of(&m, 7).grants, 0);
    assert_int_equal(ledger_of(&m, 7).deferred, 2);
    there[0] = 1; /* the memory is still there */
    share(&m.guest, 0, 1, &next);
    assert_int_equal(next.refs[0], 10); /* and so are the references */
    assert_int_equal(end(&m.guest, &next), XENPV_OK);
    unmap(&m.dom0, &pages);
    assert_holds_nothing(&m, 7);
    assert_int_equal(m.blocks, blocks + 1); /* the grant table stays */

    assert_int_equal(try_share_own(&m.guest, 0, own, 1, true, &mine), XENPV_OK);
    map(&m.dom0, 7, &mine);
    assert_int_equal(end(&m.guest, &mine), XENPV_EBUSY); /* never the port's to keep */
    unmap(&m.dom0, &mine);
    assert_int_equal(end(&m.guest, &mine), XENPV_OK);
    machine_stop(&m, 1);
}

static void test_end_twice(void **state)
{
    struct machine m;
    struct pages pages, stale;

    (void)state;
    machine_start(&m, &default_limits);
    share(&m.guest, 0, 1, &pages);
    stale = pages;
    assert_int_equal(end(&m.guest, &pages), XENPV_OK);
    assert_int_equal(end(&m.guest, &stale), XENPV_ENOENT);
    share(&m.guest, 0, 1, &pages);
    assert_int_equal(pages.refs[0], stale.refs[0]);
    assert_int_equal(end(&m.guest, &stale), XENPV_ENOENT); /* not the new one */
    assert_int_equal(ledger_of(&m, 7).grants, 1);
    forget(&m.guest, &pages); /* nor may a good one be forgotten */
    assert_int_equal(end(&m.guest, &pages), XENPV_OK);
    m.dom0.map->unmap(m.dom0.ctx, &(struct xenpv_map_region){.port_data = 99});
    machine_stop(&m, 4);
}

static void test_copy(void **state)
{
    static _Alignas(4096) uint8_t own[XENPV_PAGE_SIZE];
    static const char text[] = "from the peer";
    struct machine m;
    struct pages pages, read_only;
    uint8_t local[64] = {0};

    (void)state;
    machine_start(&m, &default_limits);

    uint8_t *here = share(&m.guest, 0, 2, &pages);

    assert_int_equal(try_share_own(&m.guest, 0, own, 1, false, &read_only), XENPV_OK);

    uint32_t first = pages.refs[0], second = pages.refs[1], readable = read_only.refs[0];
    const struct {
        uint32_t ref;
        uint16_t domid, offset, length;
        bool to_peer;
        int expected;
    } cases[] = {
        {second, 7, 100, sizeof(text), true, XENPV_OK},
        {second, 7, 100, sizeof(text), false, XENPV_OK},
        {first, 7, 4096 - 64, 64, false, XENPV_OK},
        {first, 7, 4096 - 63, 64, false, XENPV_EINVAL},
        {first, 7, 4095, 2, true, XENPV_EINVAL},
        {first, 7, 0xffff, 0xffff, false, XENPV_EINVAL},
        {first, 7, 4096, 0, false, XENPV_OK},
        {readable, 7, 0, 8, false, XENPV_OK},
        {readable, 7, 0, 8, true, XENPV_EACCES},
        {first, 8, 0, 8, false, XENPV_EACCES},
        {99, 7, 0, 8, false, XENPV_EACCES},
    };
    struct xenpv_copy_entry entries[COUNT(cases)];

    for (size_t i = 0; i < COUNT(cases); i++) {
        memcpy(local, text, sizeof(text));
        entries[i] = (struct xenpv_copy_entry){.local = local,
                                               .ref = cases[i].ref,
                                               .domid = cases[i].domid,
                                               .offset = cases[i].offset,
                                               .length = cases[i].length,
                                               .to_peer = cases[i].to_peer};
        assert_int_equal(m.dom0.map->copy(m.dom0.ctx, &entries[i], 1), cases[i].expected);
        assert_int_equal(entries[i].status, cases[i].expected);
    }
    assert_string_equal((char *)here + 4096 + 100, text);
    memset(here + 4096 + 100, 'x', sizeof(text));
    assert_int_equal(m.dom0.map->copy(m.dom0.ctx, &entries[1], 1), XENPV_OK);
    assert_memory_equal(local, "xxxxxxxxxxxxxx", sizeof(text));

    /* Every entry is tried, and the first error is the answer. */
    assert_int_equal(m.dom0.map->copy(m.dom0.ctx, entries, COUNT(cases)), XENPV_EINVAL);
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(entries[i].status, cases[i].expected);
    assert_int_equal(m.other.map->copy(m.other.ctx, entries, 1), XENPV_EACCES);
    machine_stop(&m, 0);
}

static void test_suspend_voids_grants(void **state)
{
    struct machine m;
    struct pages mapped, plain, fresh;

    (void)state;
    machine_start(&m, &default_limits);

    uint8_t *here = share(&m.guest, 0, 2, &mapped);

    share(&m.guest, 0, 1, &plain);

    uint8_t *there = map(&m.dom0, 7, &mapped);

    assert_int_equal(xenpv_mock_suspend(m.mock, 7), XENPV_OK);
    here[0] = 1; /* the guest's memory is its own until it forgets it */
    assert_int_equal(end(&m.guest, &plain), XENPV_ESTALE);
    assert_int_equal(end(&m.guest, &mapped), XENPV_ESTALE);

    struct pages look = plain;

    assert_int_equal(try_map(&m.dom0, 7, 0, &look), XENPV_EACCES);
    share(&m.guest, 0, 1, &fresh);
    assert_int_equal(fresh.refs[0], 8); /* a new table */
    assert_int_equal(ledger_of(&m, 7).grants, 4);
    forget(&m.guest, &plain);
    forget(&m.guest, &mapped);
    assert_int_equal(ledger_of(&m, 7).grants, 1);
    there[0] = 2; /* the old domain's pages live as long as the mapping */
    assert_int_equal(ledger_of(&m, 7).deferred, 2);
    unmap(&m.dom0, &mapped);
    assert_int_equal(end(&m.guest, &fresh), XENPV_OK);
    assert_holds_nothing(&m, 7);
    assert_holds_nothing(&m, 0);
    machine_stop(&m, 2);
}

static void test_suspend_drops_deferred(void **state)
{
    struct machine m;
    struct pages pages, fresh;

    (void)state;
    machine_start(&m, &default_limits);
    xenpv_mock_set_deferred_end(m.mock, 7, true);
    share(&m.guest, 0, 1, &pages);
    map(&m.dom0, 7, &pages);
    assert_int_equal(end(&m.guest, &pages), XENPV_DEFERRED);
    assert_int_equal(xenpv_mock_suspend(m.mock, 7), XENPV_OK);
    share(&m.guest, 0, 1, &fresh);
    unmap(&m.dom0, &pages); /* must not free the new grant of that number */
    assert_int_equal(ledger_of(&m, 7).grants, 1);
    assert_int_equal(ledger_of(&m, 7).deferred, 0);
    map(&m.dom0, 7, &fresh);
    machine_stop(&m, 0);
}

static void test_death(void **state)
{
    struct machine m;
    struct pages given, kept, taken;
    uint32_t generation;

    (void)state;
    machine_start(&m, &default_limits);
    share(&m.guest, 0, 1, &given);
    share(&m.guest, 0, 1, &kept);
    share(&m.dom0, 7, 1, &taken);
    map(&m.guest, 0, &taken);

    uint8_t *there = map(&m.dom0, 7, &given);

    assert_int_equal(end(&m.dom0, &taken), XENPV_EBUSY);
    generation = m.guest.sys->generation(m.guest.ctx);
    assert_int_equal(xenpv_mock_remove_domain(m.mock, 7), XENPV_OK);
    assert_int_not_equal(m.guest.sys->generation(m.guest.ctx), generation);
    assert_int_equal(end(&m.dom0, &taken), XENPV_OK); /* its mappings went with it */
    unmap(&m.guest, &taken);
    assert_int_equal(try_share(&m.guest, 0, 1, &taken), XENPV_EACCES);
    assert_int_equal(try_map(&m.dom0, 7, 0, &kept), XENPV_ENOENT);
    assert_int_equal(try_map(&m.guest, 7, 0, &kept), XENPV_EACCES);
    forget(&m.guest, &given);
    there[0] = 1;
    unmap(&m.dom0, &given);
    assert_holds_nothing(&m, 0);
    machine_stop(&m, 0); /* `kept` goes with the machine */
}

/* Fails each allocation in turn: an error leaves nothing behind, and the next try succeeds. */
static void test_memory_runs_out(void **state)
{
    struct machine m;
    struct pages pages;
    int err;

    (void)state;
    for (uint32_t nth = 1;; nth++) {
        machine_start(&m, &default_limits);
        m.fail_in = nth;
        err = try_share(&m.guest, 0, 4, &pages);
        assert_int_equal(err, nth <= 3 ? XENPV_ENOMEM : XENPV_OK); /* table, region, pages */
        m.fail_in = 0;
        if (err == XENPV_OK)
            break;
        assert_holds_nothing(&m, 7);
        share(&m.guest, 0, 4, &pages);
        assert_int_equal(pages.refs[0], 8);
        machine_stop(&m, 0);
    }
    m.fail_in = 1;
    assert_int_equal(try_map(&m.dom0, 7, 0, &pages), XENPV_ENOMEM);
    assert_int_equal(pages.entries[3].status, XENPV_ENOMEM);
    assert_null(pages.run.memory);
    assert_holds_nothing(&m, 0);
    map(&m.dom0, 7, &pages);
    unmap(&m.dom0, &pages);
    assert_int_equal(end(&m.guest, &pages), XENPV_OK);
    machine_stop(&m, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_memory_is_one),
        cmocka_unit_test(test_references_are_reused_last_in_first_out),
        cmocka_unit_test(test_arguments_and_limits),
        cmocka_unit_test(test_map_is_checked),
        cmocka_unit_test(test_map_is_all_or_nothing),
        cmocka_unit_test(test_map_needs_consecutive_pages),
        cmocka_unit_test(test_end_of_a_mapped_grant_is_busy),
        cmocka_unit_test(test_end_of_a_mapped_grant_is_deferred),
        cmocka_unit_test(test_end_twice),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_suspend_voids_grants),
        cmocka_unit_test(test_suspend_drops_deferred),
        cmocka_unit_test(test_death),
        cmocka_unit_test(test_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
