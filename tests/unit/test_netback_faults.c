/* SPDX-License-Identifier: MIT */
/*
 * Every call of the backend's port fails in turn, once or from then on, and every allocation, in a
 * life that has all of them: two queues, a control ring, pages kept mapped and pages copied, frames
 * both ways, the headroom changed, a close. Whatever fails and when: no slot is lost or answered
 * twice, no bytes are wrong that were said to be well, and once the fault is gone the next frontend
 * is served and nothing is left behind.
 */
#include "netback_rig.h"

#define END_MS 60000u

struct fault {
    int error;
    bool transactions, for_good, mapped, memory;
    uint64_t at; /* the number of the call, or of the allocation */
};

static struct nb_rig rig;
static struct nb_received got;
static struct strict_heap heap; /* the backend's own */
static uint8_t bytes[XENPV_LINK_FRAME_MAX];

static void must(const struct fault *fault, bool good, const char *what)
{
    if (!good)
        fail_msg("%s %d (%s) fails%s with %s, %s transactions, pages %s: %s",
                 fault->memory ? "allocation" : "call", (int)fault->at,
                 rig.faulty.failed ? rig.faulty.failed : "none", fault->for_good ? " for good" : "",
                 xenpv_error_name(fault->error), fault->transactions ? "with" : "without",
                 fault->mapped ? "mapped" : "copied", what);
}

/* Steps and moves the clock until the backend's state is one of two, or the time is up. */
static int64_t await(int64_t one, int64_t other, uint64_t ms)
{
    uint64_t end = xenpv_mock_now(rig.mock) + ms;
    int64_t state;

    do {
        nb_steps(&rig, 1);
        state = nb_get(&rig, NB_BACK, "state");
        xenpv_mock_advance(rig.mock, 20);
    } while (state != one && state != other && xenpv_mock_now(rig.mock) < end);
    return state;
}

static void transmit(const struct fault *fault, uint32_t queue)
{
    struct nb_packet packet = {.frame = bytes, .total = 9000, .parts = 3};
    struct xenpv_ring *ring = &rig.queue[queue].tx;
    struct xenpv_link_frame frame;
    int status = 0;

    nb_fill(bytes, 9000, queue);
    nb_tx_packet(&rig, queue, &packet);
    nb_tx_publish(&rig, queue);
    nb_steps(&rig, 3);
    if (xenpv_ring_available(ring) == 0) {
        must(fault, xenpv_netback_queues(rig.back) == 0, "a packet is not answered");
        return;
    }
    must(fault, xenpv_ring_available(ring) == 3, "not one answer for each slot");
    for (uint32_t i = 0; i < 3; i++)
        status |= nb_tx_take(&rig, queue).status;
    must(fault, nb_wire_take(&rig, &frame) == (status == XENPV_NETIF_OKAY), "a frame is lost");
    must(fault, status || memcmp(frame.data, bytes, 9000) == 0, "a frame has other bytes");
}

static void receive(const struct fault *fault)
{
    uint32_t q = 0;

    for (q = 0; q < 2; q++)
        nb_rx_post(&rig, q, 100, 3);
    bytes[0] = 2;
    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 9000});
    nb_steps(&rig, 3);
    for (q = 0; q < 2 && !nb_receive(&rig, q, 100, &got); q++)
        ;
    must(fault, q < 2 || xenpv_netback_queues(rig.back) == 0, "a frame does not arrive");
    if (q < 2)
        must(fault, got.error || (got.bytes == 9000 && memcmp(got.data, bytes, 9000) == 0),
             "a frame arrives with other bytes");
}

static void keep_pages(void)
{
    struct xenpv_netif_ctrl_request request = {.type = XENPV_NETIF_CTRL_ADD_GREF_MAPPING,
                                               .data = {0, rig.data_refs[299], 2}};
    struct xenpv_netif_ctrl_response response;

    for (uint32_t i = 0; i < 2; i++) {
        struct xenpv_netif_gref gref = {.ref = rig.data_refs[i]};

        xenpv_netif_put_gref(&gref, (uint32_t *)(void *)nb_page(&rig, 299) + (size_t)2 * i);
    }
    xenpv_netif_put_ctrl_request(&request, xenpv_ring_next_out(&rig.control));
    if (xenpv_ring_publish(&rig.control))
        rig.front_port.event->notify(rig.front_port.ctx, rig.control_port);
    nb_steps(&rig, 3);
    if (xenpv_ring_available(&rig.control))
        xenpv_netif_get_ctrl_response(xenpv_ring_next_in(&rig.control), &response);
}

/* The frontend's life, as far as the backend lets it. */
static void live(const struct fault *fault)
{
    await(2, 2, 2000);
    nb_share(&rig, &(struct nb_front){.queues = 2, .control = true, .split = true});
    nb_set(&rig, NB_FRONT, "state", "4");
    if (await(4, 5, 2000) == 4) {
        transmit(fault, 0);
        keep_pages();
        transmit(fault, 0);
        transmit(fault, 1);
        receive(fault);
        nb_set(&rig, NB_FRONT, "xdp-headroom", "256");
        nb_set(&rig, NB_FRONT, "state", "7");
        await(8, 5, 1000);
    }
    nb_set(&rig, NB_FRONT, "state", "5");
    await(5, 6, 2000);
    nb_set(&rig, NB_FRONT, "state", "6");
    await(6, 6, END_MS);
}

/* The next frontend, after the backend was started again if it had ended. */
static void next_frontend(const struct fault *fault)
{
    uint64_t end = xenpv_mock_now(rig.mock) + END_MS;

    xenpv_netback_close(rig.back, xenpv_mock_now(rig.mock));
    while (xenpv_netback_step(rig.back, xenpv_mock_now(rig.mock)) != XENPV_BUS_DONE) {
        must(fault, xenpv_mock_now(rig.mock) < end, "the backend never ends");
        xenpv_mock_advance(rig.mock, 20);
    }
    nb_assert_holds(&rig, 0, 0);
    nb_end(&rig);
    nb_remove(&rig, NB_FRONT, "xdp-headroom");
    must(fault, xenpv_netback_start(rig.back, xenpv_mock_now(rig.mock)) == XENPV_OK,
         "the backend does not start again");
    nb_connect(&rig, &(struct nb_front){.queues = 2});
    while (nb_wire_take(&rig, &(struct xenpv_link_frame){0}))
        ;
    transmit(fault, 1);
    must(fault, nb_stats(&rig).tx_frames > 0, "the next frontend is not served");
}

/* Returns how many calls, or allocations, there were that the fault could have been in. */
static uint64_t run_with(const struct fault *fault)
{
    uint64_t calls;

    nb_up(&rig);
    heap = (struct strict_heap){0};
    rig.config.allocator = strict_allocator(&heap);
    rig.config.static_grants = 8;
    if (!fault->transactions)
        rig.back_port.caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
    if (fault->mapped)
        rig.back_port.caps &= ~(uint32_t)XENPV_CAP_COPY;
    nb_start(&rig);
    if (fault->memory) {
        heap.fail_at = heap.allocs + fault->at;
    } else {
        rig.faulty.fail_at = fault->at;
        rig.faulty.for_good = fault->for_good;
        rig.faulty.error = fault->error;
    }
    live(fault);
    calls = fault->memory ? heap.allocs : rig.faulty.calls;
    rig.faulty.fail_at = heap.fail_at = 0;
    next_frontend(fault);
    nb_down(&rig);
    assert_int_equal(heap.blocks, 0);
    return calls;
}

static void run_all(bool for_good)
{
    static const int errors[] = {XENPV_ENOMEM, XENPV_ESTORE, XENPV_EACCES, XENPV_EAGAIN,
                                 XENPV_ENOGRANT};

    for (size_t i = 0; i < 4 * COUNT(errors); i++) {
        struct fault fault = {.error = errors[i / 4],
                              .transactions = i % 2,
                              .mapped = i / 2 % 2,
                              .for_good = for_good};

        do {
            fault.at++;
        } while (run_with(&fault) >= fault.at);
        assert_in_range(fault.at, 30, 200);
    }
}

static void test_each_call_fails_once(void **state)
{
    (void)state;
    run_all(false);
}

static void test_each_call_fails_for_good(void **state)
{
    (void)state;
    run_all(true);
}

/* RL-12: memory for frames that wait, for each queue, and for pages that are kept mapped. */
static void test_RL_12_each_allocation_fails(void **state)
{
    struct fault fault = {.error = XENPV_ENOMEM, .transactions = true, .memory = true};

    (void)state;
    for (fault.at = 1; fault.at <= 4; fault.at++)
        run_with(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_fails_once),
        cmocka_unit_test(test_each_call_fails_for_good),
        cmocka_unit_test(test_RL_12_each_allocation_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
