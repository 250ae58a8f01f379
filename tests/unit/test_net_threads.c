/* SPDX-License-Identifier: MIT */
/*
 * Control, two queues and backend in a thread each: what they share is ordered (ThreadSanitizer
 * looks), and every packet ends, over connections that are closed, or lost, under load.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <xenpv/harness/netback.h>

#include "net_rig.h"

#define CYCLES    8
#define PER_CYCLE 300u
#define QUEUES    2u
#define SLOWER    64u /* steps of a thread in a millisecond of its clock */

#define ETHERTYPE_AT 12
#define ADDRESS_AT   33 /* last byte of an IPv4 destination */
static const uint8_t ipv4[] = {0x08, 0x00, 0x45};

static struct net_rig rig;
static struct xenpv_link loop;
static uint32_t returned[QUEUES]; /* frames */
static uint32_t finished;

/* What is to become of the backend, and what has. */
enum { SERVES, DIES, DEAD, COMES_BACK, IS_REPLACED };
static uint32_t fate;

/* cmocka's assertions jump, and so cannot be used outside its own thread. */
static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static pthread_mutex_t mock_mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&mock_mutex);
}

static void unlock(void *ctx)
{
    (void)ctx;
    pthread_mutex_unlock(&mock_mutex);
}

static struct xenpv_netback *start(uint64_t now)
{
    struct xenpv_netback_config config;
    struct xenpv_netback *back;

    xenpv_netback_config_init(&config, &rig.back_port, rig.backend_path, &loop, &rig.allocator);
    must(xenpv_netback_create(&config, &back) == XENPV_OK, "no backend");
    must(xenpv_netback_start(back, now) == XENPV_OK, "the backend does not start");
    return back;
}

static void *run_backend(void *ctx)
{
    struct xenpv_netback *back = start(0);

    (void)ctx;
    for (uint64_t steps = 0; !xenpv_load_acquire(&finished); steps++) {
        uint32_t now = xenpv_load_acquire(&fate);

        if (now == DIES || now == IS_REPLACED) {
            xenpv_netback_destroy(back);
            back = NULL;
        }
        if (now == COMES_BACK || now == IS_REPLACED)
            back = start(steps / SLOWER);
        if (now == DIES)
            xenpv_store_release(&fate, DEAD);
        else if (back && now != SERVES)
            xenpv_store_release(&fate, SERVES);
        if (back)
            xenpv_netback_step(back, steps / SLOWER);
        sched_yield();
    }
    xenpv_netback_destroy(back);
    return NULL;
}

/* A full link drops, and a lost connection takes what was on its way with it. */
static bool good(int status)
{
    return status == XENPV_OK || status == XENPV_EFULL || status == XENPV_EPEER;
}

static void *run_queue(void *ctx)
{
    uint32_t number = *(const uint32_t *)ctx;
    struct xenpv_netq *q = xenpv_net_queue(rig.net, number);
    static uint8_t bytes[QUEUES][6000];
    uint64_t sent = 0, ended = 0;

    memset(bytes[number], 2, sizeof(bytes[number]));
    memcpy(bytes[number] + ETHERTYPE_AT, ipv4, sizeof(ipv4));
    while (!xenpv_load_acquire(&finished)) {
        struct xenpv_iov iov = {bytes[number], 60 + sent * 97 % 5000};
        struct xenpv_net_packet packet = {&iov, 1, {0}};
        struct xenpv_completion done[16];
        struct xenpv_net_frame frames[16];
        int count, error;

        bytes[number][ADDRESS_AT] = (uint8_t)sent; /* flows for both queues */
        error = xenpv_netq_send(q, &packet, NULL);
        must(!error || error == XENPV_EFULL || error == XENPV_EPARKED, "a packet is refused");
        sent += error == XENPV_OK;
        xenpv_netq_submit(q);
        count = xenpv_netq_poll(q, done, 16);
        for (int i = 0; i < count; i++)
            must(good(done[i].status), "a packet ends in another way");
        ended += count > 0 ? (uint64_t)count : 0;
        count = xenpv_netq_receive(q, frames, 16);
        for (int i = 0; i < count; i++) {
            const uint8_t *last = frames[i].fragment[frames[i].count - 1].base;

            must(last[frames[i].fragment[frames[i].count - 1].length - 1] == 2, "another frame");
            xenpv_netq_return(q, &frames[i]);
        }
        if (count > 0)
            xenpv_store_release(&returned[number], xenpv_load(&returned[number]) + (uint32_t)count);
        xenpv_netq_arm(q, XENPV_NET_RX | XENPV_NET_TX);
        sched_yield();
    }
    must(sent == ended, "a packet has not ended");
    return NULL;
}

static uint64_t steps;

static enum xenpv_net_state step(void)
{
    enum xenpv_net_state state = xenpv_net_step(rig.net, steps++ / SLOWER);

    must(state != XENPV_NET_FAILED, "the device fails");
    sched_yield();
    return state;
}

static void step_until(enum xenpv_net_state state)
{
    while (step() != state)
        ;
}

static void await(uint32_t wanted)
{
    while (xenpv_load_acquire(&fate) != wanted)
        step();
}

/* Frames go on, over both queues. */
static void carry(void)
{
    for (uint32_t i = 0; i < QUEUES; i++) {
        uint32_t before = xenpv_load_acquire(&returned[i]);

        while (xenpv_load_acquire(&returned[i]) - before < PER_CYCLE)
            step();
    }
}

/* The toolstack tells of a backend that died: its connection is lost, and made anew with the next
 * one. */
static void lose(void)
{
    uint32_t connections = xenpv_netq_connections(rig.q);

    xenpv_store_release(&fate, DIES);
    await(DEAD);
    net_rig_set(&rig, rig.backend_path, "state", "1");
    step_until(XENPV_NET_RECOVERING);
    xenpv_store_release(&fate, COMES_BACK);
    step_until(XENPV_NET_CONNECTED);
    must(xenpv_netq_connections(rig.q) == connections + 1, "it is no new connection");
}

/* A backend that another takes the place of within a moment may be noticed, or not. */
static void replace(void)
{
    xenpv_store_release(&fate, IS_REPLACED);
    await(SERVES);
}

static void test_threads(void **state)
{
    static uint32_t numbers[QUEUES] = {0, 1};
    pthread_t backend, queue[QUEUES];

    (void)state;
    net_rig_up_locked(&rig, &(struct net_rig_options){.queues = QUEUES, .recover_ms = 1000000},
                      lock, unlock);
    assert_int_equal(xenpv_link_loopback(&rig.allocator, 1 << 18, &loop), XENPV_OK);
    pthread_create(&backend, NULL, run_backend, NULL);
    for (uint32_t i = 0; i < QUEUES; i++)
        pthread_create(&queue[i], NULL, run_queue, &numbers[i]);
    for (uint32_t i = 0; i < CYCLES; i++) {
        assert_int_equal(xenpv_net_connect(rig.net, steps / SLOWER), XENPV_OK);
        step_until(XENPV_NET_CONNECTED);
        carry();
        lose();
        carry();
        replace();
        carry();
        xenpv_net_close(rig.net, steps / SLOWER);
        step_until(XENPV_NET_CLOSED);
    }
    xenpv_store_release(&finished, 1);
    for (uint32_t i = 0; i < QUEUES; i++)
        pthread_join(queue[i], NULL);
    pthread_join(backend, NULL);
    loop.close(loop.ctx);
    net_rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
