/* SPDX-License-Identifier: MIT */
/* The control ring: every message, answers in any order, late or never; and static grants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net_peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct net_rig rig;
static struct peer peer;

/* What the backend was asked, in order; and what it answers. */
static struct {
    uint32_t asked;
    struct xenpv_netif_ctrl_request request[64];
    uint8_t page[64][4096];
    uint32_t most; /* static grants of a queue */
    int status;    /* of everything else; negative: it is not answered */
    uint32_t data;
} seen;

static bool has_page(const struct xenpv_netif_ctrl_request *request, uint32_t *ref)
{
    switch (request->type) {
    case XENPV_NETIF_CTRL_SET_HASH_KEY:
    case XENPV_NETIF_CTRL_SET_HASH_MAPPING:
        *ref = request->data[0];
        return true;
    case XENPV_NETIF_CTRL_ADD_GREF_MAPPING:
    case XENPV_NETIF_CTRL_DEL_GREF_MAPPING:
        *ref = request->data[1];
        return true;
    default:
        return false;
    }
}

static int judge(struct peer *p, const struct xenpv_netif_ctrl_request *request, uint32_t *data)
{
    uint32_t ref, at = seen.asked++;

    assert_true(at < COUNT(seen.request));
    seen.request[at] = *request;
    if (has_page(request, &ref))
        assert_int_equal(peer_copy(p, ref, 0, seen.page[at], 4096, false), 0);
    if (request->type == XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE && seen.status >= 0) {
        *data = seen.most;
        return seen.most ? 0 : XENPV_NETIF_CTRL_NOT_SUPPORTED;
    }
    *data = seen.data;
    return seen.status;
}

static void up(const struct net_rig_options *options, uint32_t most)
{
    memset(&seen, 0, sizeof(seen));
    seen.most = most;
    net_rig_up(&rig, options);
    peer_up(&peer, &rig, peer_linux);
    peer.judge = judge;
    net_rig_connect(&rig);
    net_rig_rest(&rig);
}

static uint64_t now(void)
{
    return xenpv_mock_now(rig.mock);
}

static uint8_t key[40] = {1, 2, 3, [39] = 9};
static uint32_t mapping[128] = {[1] = 1, [127] = 1};

/* Each message, and the words it becomes. REF: a page of the frontend's. */
#define REF 0xffffffff
static const struct {
    struct xenpv_netctl_request request;
    uint32_t data[3];
    const void *page;
    uint32_t bytes;
} messages[] = {
    {{.type = XENPV_NETIF_CTRL_GET_HASH_FLAGS}, {0, 0, 0}, NULL, 0},
    {{.type = XENPV_NETIF_CTRL_SET_HASH_FLAGS, .number = 15}, {15, 0, 0}, NULL, 0},
    {{.type = XENPV_NETIF_CTRL_SET_HASH_KEY, .data = key, .count = 40}, {REF, 40, 0}, key, 40},
    {{.type = XENPV_NETIF_CTRL_SET_HASH_KEY}, {REF, 0, 0}, key, 0},
    {{.type = XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE}, {0, 0, 0}, NULL, 0},
    {{.type = XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE, .number = 128}, {128, 0, 0}, NULL, 0},
    {{.type = XENPV_NETIF_CTRL_SET_HASH_MAPPING, .data = mapping, .count = 128, .first = 64},
     {REF, 128, 64},
     mapping,
     512},
    {{.type = XENPV_NETIF_CTRL_SET_HASH_ALGORITHM, .number = 1}, {1, 0, 0}, NULL, 0},
    {{.type = XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE, .number = 1}, {1, 0, 0}, NULL, 0},
    {{.type = XENPV_NETIF_CTRL_ADD_GREF_MAPPING, .number = 1, .count = 3, .first = 15},
     {1, REF, 3},
     NULL,
     0},
    {{.type = XENPV_NETIF_CTRL_DEL_GREF_MAPPING, .number = 1, .count = 3, .first = 15},
     {1, REF, 3},
     NULL,
     0},
};

static void test_every_message(void **state)
{
    static const int answers[][2] = {{0, 0},           {1, XENPV_ENOTSUP}, {2, XENPV_EINVAL},
                                     {3, XENPV_E2BIG}, {4, XENPV_EIO},     {1000, XENPV_EIO}};

    (void)state;
    for (size_t a = 0; a < COUNT(answers); a++) {
        up(&(struct net_rig_options){.queues = 2, .tx_buffers = 18, .rx_buffers = 18}, 0);
        for (size_t i = 0; i < COUNT(messages); i++) {
            struct xenpv_netctl_request request = messages[i].request;
            const struct xenpv_netif_ctrl_request *raw = &seen.request[seen.asked];
            const uint8_t *page = seen.page[seen.asked];
            bool size = request.type == XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE;
            struct xenpv_netctl_reply reply;

            seen.status = answers[a][0];
            seen.data = (uint32_t)i * 3;
            request.user = &seen;
            assert_int_equal(xenpv_netctl_send(rig.net, &request, now()), 0);
            assert_int_equal(xenpv_netctl_poll(rig.net, &reply, 1), 0);
            net_rig_rest(&rig);
            assert_int_equal(xenpv_netctl_poll(rig.net, &reply, 1), 1);
            assert_int_equal(reply.type, request.type);
            assert_ptr_equal(reply.user, &seen);
            assert_int_equal(reply.status, size ? XENPV_ENOTSUP : answers[a][1]);
            assert_int_equal(reply.data, size ? 0 : i * 3);
            assert_int_equal(raw->type, request.type);
            for (int k = 0; k < 3; k++) {
                if (messages[i].data[k] != REF)
                    assert_int_equal(raw->data[k], messages[i].data[k]);
            }
            if (messages[i].page) {
                assert_memory_equal(page, messages[i].page, messages[i].bytes);
                for (uint32_t k = messages[i].bytes; k < 4096; k++)
                    assert_int_equal(page[k], 0); /* and nothing is left of the page before */
            }
        }
        peer_rig_down(&peer);
    }
}

static void test_refused(void **state)
{
    static const struct xenpv_netctl_request bad[] = {
        {.type = 0},
        {.type = 11},
        {.type = XENPV_NETIF_CTRL_SET_HASH_KEY, .count = 40},
        {.type = XENPV_NETIF_CTRL_SET_HASH_KEY, .data = key, .count = 4097},
        {.type = XENPV_NETIF_CTRL_SET_HASH_MAPPING, .data = mapping},
        {.type = XENPV_NETIF_CTRL_SET_HASH_MAPPING, .count = 1},
        {.type = XENPV_NETIF_CTRL_SET_HASH_MAPPING, .data = mapping, .count = 1025},
        {.type = XENPV_NETIF_CTRL_ADD_GREF_MAPPING},
        {.type = XENPV_NETIF_CTRL_ADD_GREF_MAPPING, .count = 513},
        {.type = XENPV_NETIF_CTRL_ADD_GREF_MAPPING, .count = 1, .number = 1},
        {.type = XENPV_NETIF_CTRL_ADD_GREF_MAPPING, .count = 2, .first = 511},
        {.type = XENPV_NETIF_CTRL_ADD_GREF_MAPPING, .count = 1, .first = UINT32_MAX},
    };
    const struct xenpv_netctl_request good = {.type = XENPV_NETIF_CTRL_GET_HASH_FLAGS};

    (void)state;
    up(&(struct net_rig_options){0}, 0);
    seen.asked = 0;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(xenpv_netctl_send(rig.net, &bad[i], 0), XENPV_EINVAL);
    net_rig_rest(&rig);
    assert_int_equal(seen.asked, 0);
    net_rig_close(&rig);
    assert_int_equal(xenpv_netctl_send(rig.net, &good, 0), XENPV_EPARKED);
    peer_down(&peer);
    net_rig_down(&rig);
    up(&(struct net_rig_options){.without = XENPV_NET_CONTROL}, 0);
    assert_int_equal(xenpv_netctl_send(rig.net, &good, 0), XENPV_ENOTSUP);
    assert_int_equal(xenpv_netctl_wait_handle(rig.net), XENPV_NO_HANDLE);
    peer_rig_down(&peer);
}

static void answer(const struct xenpv_netif_ctrl_request *request, uint32_t data)
{
    struct xenpv_netif_ctrl_response response = {
        .id = request->id, .type = request->type, .data = data};

    xenpv_netif_put_ctrl_response(&response, xenpv_ring_next_out(&peer.ctrl.ring));
    peer_show(&peer, &peer.ctrl, 0);
}

static void ask_all(void)
{
    struct xenpv_netctl_request request = {.type = XENPV_NETIF_CTRL_GET_HASH_FLAGS};

    for (uintptr_t i = 0; i < XENPV_NETCTL_REQUESTS; i++) {
        request.user = &seen.request[i];
        assert_int_equal(xenpv_netctl_send(rig.net, &request, now()), 0);
    }
    assert_int_equal(xenpv_netctl_send(rig.net, &request, now()), XENPV_EFULL);
}

/* Answers out of order; each goes to its own message, and the ring goes round. */
static void test_any_order(void **state)
{
    struct xenpv_netctl_reply reply;

    (void)state;
    up(&(struct net_rig_options){0}, 0);
    for (uint32_t round = 0; round < 40; round++) {
        seen.asked = 0;
        seen.status = -1;
        ask_all();
        net_rig_rest(&rig);
        assert_int_equal(seen.asked, XENPV_NETCTL_REQUESTS);
        for (uint32_t i = 0; i < XENPV_NETCTL_REQUESTS; i++) {
            uint32_t which = (i * 3 + round) % XENPV_NETCTL_REQUESTS;

            answer(&seen.request[which], which + 100);
            net_rig_step(&rig);
            assert_int_equal(xenpv_netctl_poll(rig.net, &reply, 1), 1);
            assert_int_equal(reply.data, which + 100);
            assert_ptr_equal(reply.user, &seen.request[which]);
        }
    }
    peer_rig_down(&peer);
}

/* FE-28: no answer: it ends with its time, and its place is not used before it is answered. */
static void test_FE_28_late_answers(void **state)
{
    struct xenpv_netctl_request request = {.type = XENPV_NETIF_CTRL_GET_HASH_FLAGS};
    struct xenpv_netctl_reply replies[XENPV_NETCTL_REQUESTS + 1];

    (void)state;
    up(&(struct net_rig_options){0}, 0);
    seen.asked = 0;
    seen.status = -1;
    ask_all();
    net_rig_rest(&rig);
    xenpv_mock_advance(rig.mock, 4999);
    net_rig_rest(&rig);
    assert_int_equal(xenpv_netctl_poll(rig.net, replies, 9), 0);
    assert_true(xenpv_net_deadline(rig.net) <= now() + 1);
    xenpv_mock_advance(rig.mock, 1);
    net_rig_rest(&rig);
    assert_int_equal(xenpv_netctl_poll(rig.net, replies, 9), XENPV_NETCTL_REQUESTS);
    for (uint32_t i = 0; i < XENPV_NETCTL_REQUESTS; i++)
        assert_int_equal(replies[i].status, XENPV_ETIMEDOUT);
    /* What is late is waited for no more. */
    assert_true(xenpv_net_deadline(rig.net) > now() + 1000);
    assert_int_equal(xenpv_netctl_send(rig.net, &request, now()), XENPV_EFULL);
    answer(&seen.request[3], 1);
    net_rig_rest(&rig);
    assert_int_equal(xenpv_netctl_poll(rig.net, replies, 9), 0);
    assert_int_equal(xenpv_netctl_send(rig.net, &request, now()), 0);
    assert_int_equal(xenpv_netctl_send(rig.net, &request, now()), XENPV_EFULL);
    assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_CONNECTED);
    /* Those that are on their way end with the connection, and once. */
    net_rig_close(&rig);
    assert_int_equal(xenpv_netctl_poll(rig.net, replies, 9), 1);
    assert_int_equal(replies[0].status, XENPV_EPEER);
    /* The next connection has all its places. */
    net_rig_connect(&rig);
    seen.status = 0;
    seen.asked = 0;
    net_rig_rest(&rig);
    ask_all();
    net_rig_rest(&rig);
    assert_int_equal(xenpv_netctl_poll(rig.net, replies, 9), XENPV_NETCTL_REQUESTS);
    peer_rig_down(&peer);
}

/* ---- static grants --------------------------------------------------------------------------- */

/* As many buffers as it keeps, of each queue, rx first; tx to be read only. */
static void test_static_grants(void **state)
{
    static const struct {
        uint32_t most, queues, rx, tx, shared;
    } table[] = {
        {1, 1, 18, 18, 0},        {36, 1, 18, 18, 0},   {100, 1, 18, 18, 5},  {20, 3, 18, 18, 0},
        {4096, 2, 600, 256, 300}, {512, 1, 600, 18, 0}, {513, 1, 600, 18, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        uint32_t pages = table[i].rx + table[i].tx + table[i].shared;
        uint32_t each = table[i].most < pages ? table[i].most : pages, told = 0, queue = 0;
        struct xenpv_net_info info;

        up(&(struct net_rig_options){.queues = table[i].queues,
                                     .rx_buffers = table[i].rx,
                                     .tx_buffers = table[i].tx,
                                     .shared_pages = table[i].shared},
           table[i].most);
        for (int k = 0; k < 3; k++)
            net_rig_rest(&rig);
        for (uint32_t k = 0; k < seen.asked; k++) {
            const struct xenpv_netif_ctrl_request *request = &seen.request[k];

            if (request->type == XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE) {
                assert_int_equal(request->data[0], queue);
                continue;
            }
            assert_int_equal(request->type, XENPV_NETIF_CTRL_ADD_GREF_MAPPING);
            assert_int_equal(request->data[0], queue);
            for (uint32_t e = 0; e < request->data[2]; e++, told++) {
                struct xenpv_netif_gref gref;
                uint8_t byte;

                xenpv_netif_get_gref((const uint32_t *)(const void *)(seen.page[k] + (size_t)e * 8),
                                     &gref);
                assert_int_equal(gref.flags, told < table[i].rx ? 0 : XENPV_NETIF_GREF_READONLY);
                assert_int_equal(peer_copy(&peer, gref.ref, 0, &byte, 1, false), 0);
            }
            if (told == each) {
                queue++;
                told = 0;
            }
        }
        assert_int_equal(queue, table[i].queues);
        xenpv_net_info(rig.net, &info);
        assert_int_equal(info.static_grants, each * table[i].queues);
        assert_true(info.features & XENPV_NET_STATIC_GRANTS);
        peer_rig_down(&peer);
    }
    up(&(struct net_rig_options){.without = XENPV_NET_STATIC_GRANTS}, 100);
    assert_int_equal(seen.asked, 0);
    peer_rig_down(&peer);
}

/* The first message goes with the connection: no event would call for a step that sends it. */
static void test_static_grants_at_once(void **state)
{
    struct xenpv_net_info info;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    seen.most = 64;
    net_rig_up(&rig, &(struct net_rig_options){.rx_buffers = 18, .tx_buffers = 18});
    peer_up(&peer, &rig, peer_linux);
    peer.judge = judge;
    net_rig_connect(&rig);
    assert_int_equal(peer.ctrl.ring.in->prod, 1);
    net_rig_rest(&rig);
    xenpv_net_info(rig.net, &info);
    assert_int_equal(info.static_grants, 36);
    peer_rig_down(&peer);
}

/* What the program registers and takes back is counted, too, as far as it can be. */
static void test_static_grants_of_the_program(void **state)
{
    static const struct {
        uint16_t type;
        uint32_t count;
        int status;
        uint32_t data, left;
    } table[] = {
        {XENPV_NETIF_CTRL_DEL_GREF_MAPPING, 5, 0, 5, 31},
        {XENPV_NETIF_CTRL_DEL_GREF_MAPPING, 5, 0, 3, 28},
        {XENPV_NETIF_CTRL_DEL_GREF_MAPPING, 5, 2, 5, 28},
        {XENPV_NETIF_CTRL_ADD_GREF_MAPPING, 4, 2, 0, 28},
        {XENPV_NETIF_CTRL_ADD_GREF_MAPPING, 4, 0, 9, 32},
        {XENPV_NETIF_CTRL_DEL_GREF_MAPPING, 5, 0, 0xffffffff, 27}, /* a lie */
        {XENPV_NETIF_CTRL_DEL_GREF_MAPPING, 36, 0, 36, 0},
    };
    struct xenpv_netctl_reply reply;
    struct xenpv_net_info info;

    (void)state;
    up(&(struct net_rig_options){.rx_buffers = 18, .tx_buffers = 18}, 64);
    for (size_t i = 0; i < COUNT(table); i++) {
        struct xenpv_netctl_request request = {.type = table[i].type, .count = table[i].count};

        seen.status = table[i].status;
        seen.data = table[i].data;
        assert_int_equal(xenpv_netctl_send(rig.net, &request, now()), 0);
        net_rig_rest(&rig);
        assert_int_equal(xenpv_netctl_poll(rig.net, &reply, 1), 1);
        xenpv_net_info(rig.net, &info);
        assert_int_equal(info.static_grants, table[i].left);
        assert_int_equal((info.features & XENPV_NET_STATIC_GRANTS) != 0, table[i].left != 0);
    }
    peer_rig_down(&peer);
}

/* Each new connection tells them anew. */
static void test_static_grants_return(void **state)
{
    struct xenpv_net_info info;

    (void)state;
    up(&(struct net_rig_options){.recover_ms = 30000, .rx_buffers = 18, .tx_buffers = 18}, 64);
    for (int i = 0; i < 3; i++) {
        xenpv_net_info(rig.net, &info);
        assert_int_equal(info.static_grants, 36);
        seen.asked = 0;
        peer_restart(&peer);
        net_rig_until(&rig, XENPV_NET_RECOVERING);
        xenpv_net_info(rig.net, &info);
        assert_int_equal(info.static_grants, 0);
        net_rig_until(&rig, XENPV_NET_CONNECTED);
        net_rig_rest(&rig);
        assert_int_equal(seen.asked, 2);
    }
    peer_rig_down(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_FE_28_late_answers),
        cmocka_unit_test(test_static_grants),
        cmocka_unit_test(test_static_grants_return),
        cmocka_unit_test(test_static_grants_at_once),
        cmocka_unit_test(test_static_grants_of_the_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
