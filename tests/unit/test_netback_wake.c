/* SPDX-License-Identifier: MIT */
/* When the network backend wants to be stepped again: never too late for what has come, and not
 * for nothing. */
#include "netback_rig.h"

static struct nb_rig rig;
static struct nb_received got;
static uint8_t bytes[XENPV_LINK_FRAME_MAX];

/* Called before the call of that name for the `at`th time in one step. */
static struct {
    const char *call;
    uint32_t at, count;
    void (*act)(void);
} hook;

static void before(void *ctx, const char *call)
{
    (void)ctx;
    if (hook.act && strcmp(call, hook.call) == 0 && ++hook.count == hook.at)
        hook.act();
}

static void step_with(const char *call, uint32_t at, void (*act)(void))
{
    hook.call = call;
    hook.at = at;
    hook.count = 0;
    hook.act = act;
    rig.faulty.before = before;
    nb_steps(&rig, 1);
    assert_true(hook.count >= at);
    hook.act = NULL;
}

/* An event of the frontend's would have us stepped. Taken, it is not there a second time. */
static bool event_waits(void)
{
    bool waits = false;

    for (uint32_t port = 0; port < 16; port++) {
        if (!rig.back_port.event->take(rig.back_port.ctx, port))
            continue;
        rig.back_port.event->unmask(rig.back_port.ctx, port);
        waits = true;
    }
    return waits;
}

static bool is_due(void)
{
    return xenpv_netback_deadline(rig.back) <= xenpv_mock_now(rig.mock);
}

/* ---- what comes while the backend turns away ------------------------------------------------- */

static void post_one(void)
{
    nb_rx_post(&rig, 0, 1, 1);
}

/* The request that a frame waits for is published before the backend has asked to be told of it. */
static void test_request_before_it_is_asked_for(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.split = true});
    nb_rx_post(&rig, 0, 0, 1);
    nb_steps(&rig, 20);
    event_waits();
    nb_fill(bytes, 5000, 1);
    bytes[0] = 2;
    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 5000});
    step_with("take", 2, post_one);
    assert_true(event_waits() || is_due());
    nb_steps(&rig, 1);
    assert_true(nb_receive(&rig, 0, 0, &got));
    assert_int_equal(got.bytes, 5000);
    /* Then there is nothing to do any more. */
    nb_steps(&rig, 1);
    assert_false(is_due());
    nb_down(&rig);
}

static void ask_size(void)
{
    struct xenpv_netif_ctrl_request request = {.type = XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE};

    xenpv_netif_put_ctrl_request(&request, xenpv_ring_next_out(&rig.control));
    if (xenpv_ring_publish(&rig.control))
        rig.front_port.event->notify(rig.front_port.ctx, rig.control_port);
}

/* A control message follows one that is just being answered. */
static void test_message_before_it_is_asked_for(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.control = true});
    nb_steps(&rig, 20);
    assert_false(is_due());
    ask_size();
    event_waits();
    step_with("take", 2, ask_size);
    assert_int_equal(xenpv_ring_available(&rig.control), 1);
    assert_true(event_waits() || is_due());
    nb_steps(&rig, 1);
    assert_int_equal(xenpv_ring_available(&rig.control), 2);
    nb_steps(&rig, 1);
    assert_false(is_due());
    nb_down(&rig);
}

/* ---- the link -------------------------------------------------------------------------------- */

/* A link that has frames is waited for only while they can be taken. */
static void test_link_is_waited_for(void **state)
{
    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    memset(bytes, 2, 60);
    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 60});
    nb_until(&rig, 2);
    assert_false(xenpv_netback_takes_frames(rig.back));
    nb_connect(&rig, &(struct nb_front){.queues = 2});
    assert_true(xenpv_netback_takes_frames(rig.back));
    /* The first queue has the frame, the second one could take one. */
    for (uint16_t port = 0; xenpv_netback_takes_frames(rig.back); port++) {
        uint32_t count = nb_make_ip(bytes, &(struct nb_ip){.sport = port});

        nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = count});
        nb_steps(&rig, 20);
        assert_true(port < 50);
    }
    assert_false(is_due());
    nb_rx_post(&rig, 1, 0, 100);
    assert_true(event_waits());
    nb_steps(&rig, 1);
    assert_true(xenpv_netback_takes_frames(rig.back));
    nb_close(&rig);
    assert_false(xenpv_netback_takes_frames(rig.back));
    nb_down(&rig);
}

/* A link that always has frames is no reason to look past a store that changes when nobody is
 * connected: each step sees what there is. */
static void test_link_of_nobody(void **state)
{
    struct xenpv_link null;

    (void)state;
    assert_int_equal(xenpv_link_null(100, &null), XENPV_OK);
    nb_up(&rig);
    rig.config.link = &null;
    nb_start(&rig);
    for (uint32_t i = 0; i < 3; i++) {
        nb_connect(&rig, &(struct nb_front){.queues = 2});
        for (uint32_t q = 0; q < 2; q++)
            nb_rx_post(&rig, q, 0, 256);
        nb_set(&rig, NB_FRONT, "state", "5");
        nb_until(&rig, 5);
        nb_set(&rig, NB_FRONT, "state", "6");
        nb_steps(&rig, 1);
        assert_int_equal(nb_get(&rig, NB_BACK, "state"), 6);
        nb_end(&rig);
        nb_set(&rig, NB_FRONT, "state", "1");
        nb_steps(&rig, 1);
        assert_int_equal(nb_get(&rig, NB_BACK, "state"), 2);
    }
    nb_down(&rig);
}

/* ---- a rate ---------------------------------------------------------------------------------- */

static void send(uint32_t count)
{
    struct nb_packet packet = {.frame = bytes, .total = 4000, .parts = 1};

    for (uint32_t i = 0; i < count; i++)
        nb_tx_packet(&rig, 0, &packet);
    nb_tx_publish(&rig, 0);
}

static uint32_t take_answers(void)
{
    uint32_t count = 0;

    for (; xenpv_ring_available(&rig.queue[0].tx); count++)
        nb_tx_take(&rig, 0);
    while (nb_wire_take(&rig, &(struct xenpv_link_frame){0}))
        ;
    return count;
}

/* While the rate holds a frontend back nobody is woken for what it goes on to publish; when the
 * time has passed and nothing is left to be taken, nobody is woken for that. */
static void test_rate_sleeps(void **state)
{
    uint32_t left = 100;

    (void)state;
    nb_up(&rig);
    nb_set(&rig, NB_BACK, "rate", "100000,50000");
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    nb_steps(&rig, 20);
    assert_false(is_due());
    send(left);
    assert_true(event_waits());
    rig.front_port.event->notify(rig.front_port.ctx, rig.queue[0].tx_port);
    for (uint32_t windows = 0; left; windows++) {
        nb_steps(&rig, 2);
        left -= take_answers();
        assert_false(event_waits());
        if (left)
            assert_in_range(xenpv_netback_deadline(rig.back) - xenpv_mock_now(rig.mock), 1, 50);
        xenpv_mock_advance(rig.mock, 50);
        assert_true(windows < 10);
    }
    /* The last packet has overdrawn it, or not: in the end it waits for an event again. */
    for (uint32_t more = 1; more < 60; more++) {
        nb_steps(&rig, 2);
        assert_false(is_due());
        send(more);
        assert_true(event_waits());
        for (uint32_t done = 0; done < more; done += take_answers()) {
            nb_steps(&rig, 2);
            xenpv_mock_advance(rig.mock, 50);
        }
    }
    nb_down(&rig);
}

/* What the rate lets through is for all queues, though each has enough to use it up. */
static void test_rate_of_queues(void **state)
{
    struct nb_packet packet = {.frame = bytes, .total = 4000, .parts = 1};

    (void)state;
    nb_up(&rig);
    nb_set(&rig, NB_BACK, "rate", "100000,50000");
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.queues = 3});
    for (uint32_t q = 0; q < 3; q++) {
        for (uint32_t i = 0; i < 200; i++)
            nb_tx_packet(&rig, q, &packet);
        nb_tx_publish(&rig, q);
    }
    for (uint32_t window = 0; window < 12; window++) {
        nb_steps(&rig, 2);
        while (nb_wire_take(&rig, &(struct xenpv_link_frame){0}))
            ;
        xenpv_mock_advance(rig.mock, 50);
    }
    for (uint32_t q = 0; q < 3; q++)
        assert_in_range(xenpv_ring_available(&rig.queue[q].tx), 80, 150);
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_before_it_is_asked_for),
        cmocka_unit_test(test_message_before_it_is_asked_for),
        cmocka_unit_test(test_link_is_waited_for),
        cmocka_unit_test(test_link_of_nobody),
        cmocka_unit_test(test_rate_sleeps),
        cmocka_unit_test(test_rate_of_queues),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
