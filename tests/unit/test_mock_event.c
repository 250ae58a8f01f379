/* SPDX-License-Identifier: MIT */
/* Event channels of the mock. */
#include "mock_fixture.h"

static uint32_t alloc_unbound(const struct xenpv_port *port, uint16_t domid)
{
    uint32_t channel = 0;

    assert_int_equal(port->event->alloc_unbound(port->ctx, domid, &channel), XENPV_OK);
    return channel;
}

static uint32_t bind(const struct xenpv_port *port, uint16_t domid, uint32_t peer_channel)
{
    uint32_t channel = 0;

    assert_int_equal(port->event->bind_interdomain(port->ctx, domid, peer_channel, &channel),
                     XENPV_OK);
    return channel;
}

static int try_bind(const struct xenpv_port *port, uint16_t domid, uint32_t peer_channel)
{
    uint32_t channel;

    return port->event->bind_interdomain(port->ctx, domid, peer_channel, &channel);
}

static int notify(const struct xenpv_port *port, uint32_t channel)
{
    return port->event->notify(port->ctx, channel);
}

static bool take(const struct xenpv_port *port, uint32_t channel)
{
    return port->event->take(port->ctx, channel);
}

static void unmask(const struct xenpv_port *port, uint32_t channel)
{
    port->event->unmask(port->ctx, channel);
}

static void close(const struct xenpv_port *port, uint32_t channel)
{
    port->event->close(port->ctx, channel);
}

/* A channel of the guest's, bound by domain 0, with the spurious first event out of the way. */
struct link {
    uint32_t guest, dom0;
};

static struct link connect(struct machine *m)
{
    struct link link = {.guest = alloc_unbound(&m->guest, 0)};

    link.dom0 = bind(&m->dom0, 7, link.guest);
    assert_true(take(&m->dom0, link.dom0));
    unmask(&m->dom0, link.dom0);
    return link;
}

static void test_numbers(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &(struct xenpv_mock_limits){.ports = 4});
    for (uint32_t expected = 1; expected < 4; expected++)
        assert_int_equal(alloc_unbound(&m.guest, 0), expected);

    uint32_t none;

    assert_int_equal(m.guest.event->alloc_unbound(m.guest.ctx, 0, &none), XENPV_ENOPORT);
    close(&m.guest, 2);
    assert_int_equal(ledger_of(&m, 7).ports, 2);
    assert_int_equal(alloc_unbound(&m.guest, 0), 2);
    assert_int_equal(m.guest.event->alloc_unbound(m.guest.ctx, 0x7ff0, &none), XENPV_EINVAL);
    assert_int_equal(m.guest.event->wait_handle(m.guest.ctx, 2), XENPV_NO_HANDLE);
    machine_stop(&m, 0);
}

static void test_bind_is_checked(void **state)
{
    static const struct {
        uint16_t domid;
        uint32_t port;
        int expected;
    } cases[] = {
        {7, 0, XENPV_ENOENT},    {7, 3, XENPV_ENOENT},
        {7, 4096, XENPV_ENOENT}, {9, 1, XENPV_ENOENT}, /* no such domain */
        {7, 2, XENPV_ENOENT},                          /* meant for domain 8 */
        {7, 1, XENPV_OK},        {7, 1, XENPV_ENOENT}, /* bound by now */
    };
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    assert_int_equal(alloc_unbound(&m.guest, 0), 1);
    assert_int_equal(alloc_unbound(&m.guest, 8), 2);
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(try_bind(&m.dom0, cases[i].domid, cases[i].port), cases[i].expected);
    machine_stop(&m, 0);
}

static void test_first_event_is_spurious(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    uint32_t guest = alloc_unbound(&m.guest, 0);
    uint32_t dom0 = bind(&m.dom0, 7, guest);

    assert_true(take(&m.dom0, dom0));
    unmask(&m.dom0, dom0);
    assert_false(take(&m.dom0, dom0));
    assert_false(take(&m.guest, guest));
    machine_stop(&m, 0);
}

static void test_events_both_ways(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct link link = connect(&m);

    assert_int_equal(notify(&m.guest, link.guest), XENPV_OK);
    assert_false(take(&m.guest, link.guest));
    assert_true(take(&m.dom0, link.dom0));
    assert_int_equal(notify(&m.dom0, link.dom0), XENPV_OK);
    assert_int_equal(notify(&m.dom0, link.dom0), XENPV_OK);
    assert_true(take(&m.guest, link.guest)); /* both as one */
    unmask(&m.guest, link.guest);
    assert_false(take(&m.guest, link.guest));
    machine_stop(&m, 0);
}

static void test_masked_until_unmask(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct link link = connect(&m);

    notify(&m.dom0, link.dom0);
    assert_true(take(&m.guest, link.guest));
    notify(&m.dom0, link.dom0); /* while masked: kept, not lost */
    assert_false(take(&m.guest, link.guest));
    unmask(&m.guest, link.guest);
    assert_true(take(&m.guest, link.guest));
    machine_stop(&m, 0);
}

static void test_close_leaves_the_peer_unbound(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct link link = connect(&m);

    close(&m.dom0, link.dom0);
    assert_int_equal(notify(&m.guest, link.guest), XENPV_OK);
    assert_int_equal(try_bind(&m.other, 7, link.guest), XENPV_ENOENT);
    link.dom0 = bind(&m.dom0, 7, link.guest);
    assert_true(take(&m.dom0, link.dom0));
    unmask(&m.dom0, link.dom0);
    notify(&m.guest, link.guest);
    assert_true(take(&m.dom0, link.dom0));
    close(&m.guest, link.guest);
    close(&m.dom0, link.dom0);
    assert_holds_nothing(&m, 7);
    assert_holds_nothing(&m, 0);
    machine_stop(&m, 0);
}

static void test_unknown_ports(void **state)
{
    static const uint32_t ports[] = {0, 1, 4095, 0xffffffff};
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);
    for (size_t i = 0; i < COUNT(ports); i++) {
        assert_int_equal(notify(&m.guest, ports[i]), XENPV_ENOENT);
        assert_false(take(&m.guest, ports[i]));
        unmask(&m.guest, ports[i]);
        close(&m.guest, ports[i]);
        m.guest.event->forget(m.guest.ctx, ports[i]);
    }
    machine_stop(&m, 2 * COUNT(ports));
}

static void test_bind_to_self(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    uint32_t one = alloc_unbound(&m.guest, 7);
    uint32_t two = bind(&m.guest, 7, one);

    assert_true(take(&m.guest, two));
    notify(&m.guest, two);
    assert_true(take(&m.guest, one));
    assert_int_equal(xenpv_mock_suspend(m.mock, 7), XENPV_OK);
    m.guest.event->forget(m.guest.ctx, one);
    m.guest.event->forget(m.guest.ctx, two);
    assert_holds_nothing(&m, 7);
    machine_stop(&m, 0);
}

static void test_suspend_voids_ports(void **state)
{
    struct machine m;

    (void)state;
    machine_start(&m, &default_limits);

    struct link link = connect(&m);
    uint32_t generation = m.guest.sys->generation(m.guest.ctx);

    notify(&m.dom0, link.dom0);
    assert_int_equal(xenpv_mock_suspend(m.mock, 7), XENPV_OK);
    assert_int_not_equal(m.guest.sys->generation(m.guest.ctx), generation);
    assert_int_equal(notify(&m.guest, link.guest), XENPV_ENOENT);
    assert_false(take(&m.guest, link.guest));
    assert_int_equal(notify(&m.dom0, link.dom0), XENPV_OK);
    assert_int_equal(ledger_of(&m, 7).ports, 1);
    close(&m.guest, link.guest); /* a bug of the guest's, without effect */
    assert_int_equal(m.misuses, 1);
    assert_int_equal(ledger_of(&m, 7).ports, 1);
    m.guest.event->forget(m.guest.ctx, link.guest);
    assert_int_equal(ledger_of(&m, 7).ports, 0);
    assert_int_equal(alloc_unbound(&m.guest, 0), link.guest); /* numbers start again */
    assert_int_equal(notify(&m.dom0, link.dom0), XENPV_OK);
    assert_false(take(&m.guest, link.guest)); /* not for the new one */
    close(&m.dom0, link.dom0);
    assert_int_equal(ledger_of(&m, 7).ports, 1);
    m.guest.event->forget(m.guest.ctx, link.guest); /* it is the new one now */
    assert_int_equal(ledger_of(&m, 7).ports, 1);
    machine_stop(&m, 2);
}

static void test_death_closes_ports(void **state)
{
    struct machine m;
    uint32_t port;

    (void)state;
    machine_start(&m, &default_limits);

    struct link link = connect(&m);

    assert_int_equal(xenpv_mock_remove_domain(m.mock, 7), XENPV_OK);
    assert_int_equal(notify(&m.dom0, link.dom0), XENPV_OK);
    assert_int_equal(try_bind(&m.dom0, 7, link.guest), XENPV_ENOENT);
    assert_int_equal(notify(&m.guest, link.guest), XENPV_ENOENT);
    assert_int_equal(m.guest.event->alloc_unbound(m.guest.ctx, 0, &port), XENPV_EACCES);
    assert_int_equal(xenpv_mock_ledger(m.mock, 7, &(struct xenpv_mock_ledger){0}), XENPV_ENOENT);
    assert_int_equal(xenpv_mock_add_domain(m.mock, 7), XENPV_OK); /* another one of that number */
    assert_holds_nothing(&m, 7);
    machine_stop(&m, 0);
}

static void test_memory_runs_out(void **state)
{
    struct machine m;
    uint32_t port;

    (void)state;
    machine_start(&m, &default_limits);

    uint32_t blocks = m.blocks;

    m.fail_in = 1;
    assert_int_equal(m.guest.event->alloc_unbound(m.guest.ctx, 0, &port), XENPV_ENOMEM);
    assert_holds_nothing(&m, 7);

    uint32_t guest = alloc_unbound(&m.guest, 0);

    m.fail_in = 1;
    assert_int_equal(try_bind(&m.dom0, 7, guest), XENPV_ENOMEM);
    assert_holds_nothing(&m, 0);
    assert_int_equal(m.blocks, blocks + 1);
    bind(&m.dom0, 7, guest); /* still unbound */
    machine_stop(&m, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bind_is_checked),
        cmocka_unit_test(test_first_event_is_spurious),
        cmocka_unit_test(test_events_both_ways),
        cmocka_unit_test(test_masked_until_unmask),
        cmocka_unit_test(test_close_leaves_the_peer_unbound),
        cmocka_unit_test(test_unknown_ports),
        cmocka_unit_test(test_bind_to_self),
        cmocka_unit_test(test_suspend_voids_ports),
        cmocka_unit_test(test_death_closes_ports),
        cmocka_unit_test(test_memory_runs_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
