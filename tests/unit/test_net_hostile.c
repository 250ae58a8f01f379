/* SPDX-License-Identifier: MIT */
/* A network backend that lies: each check notices its lie and nothing else; legal oddities trip
 * none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net_peer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct net_rig rig;
static struct peer peer;
static struct peer_packet packet;
static uint8_t bytes[18 * 4096];

static void up(const struct net_rig_options *options, const struct peer_key *offer)
{
    net_rig_up(&rig, options);
    peer_up(&peer, &rig, offer);
    peer.idle = true;
    net_rig_connect(&rig);
}

/* The device has failed with the check, and lets go; or nothing has happened. */
static void end(uint32_t check)
{
    struct xenpv_completion done;

    if (check) {
        net_rig_until(&rig, XENPV_NET_FAILED);
        assert_int_equal(xenpv_net_detail(rig.net)->error, XENPV_EBROKEN);
        assert_int_equal(xenpv_net_detail(rig.net)->check, check);
        assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), XENPV_EPARKED);
        /* A fresh connect repairs it (O8). */
        net_rig_connect(&rig);
    }
    net_rig_rest(&rig);
    assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_CONNECTED);
    peer_rig_down(&peer);
}

/* ---- answers to what was sent ---------------------------------------------------------------- */

#define OWN 0x10000 /* the packet's own id */

struct answer {
    uint32_t id;
    int16_t status;
};

/* Two packets are outstanding, the first with an extra info; what the backend answers. */
static const struct {
    const char *name;
    struct answer answers[5];
    uint32_t count, jump; /* jump: added to rsp_prod beyond what was answered */
    uint32_t check;
    int status; /* of the first packet, 1: it has not ended */
} lies[] = {
    {"FE-05 id one too large", {{256, 0}}, 1, 0, XENPV_CHECK_RSP_ID, XENPV_EBROKEN},
    {"FE-05 id 65535", {{65535, 0}}, 1, 0, XENPV_CHECK_RSP_ID, XENPV_EBROKEN},
    {"FE-06 id of an idle slot", {{200, 0}}, 1, 0, XENPV_CHECK_RSP_INFLIGHT, XENPV_EBROKEN},
    {"FE-07 the same id twice", {{OWN, 0}, {OWN, 0}}, 2, 0, XENPV_CHECK_RSP_INFLIGHT, 0},
    {"FE-01 a ring too many", {{OWN, 0}}, 1, 256, XENPV_CHECK_RSP_PROD, XENPV_EBROKEN},
    {"FE-01 2^31 too many", {{OWN, 0}}, 1, 1u << 31, XENPV_CHECK_RSP_PROD, XENPV_EBROKEN},
    {"FE-01 backwards by one", {{OWN, 0}}, 0, UINT32_MAX, XENPV_CHECK_RSP_PROD, XENPV_EBROKEN},
    {"FE-10 more than outstanding", {{OWN, 0}}, 1, 3, XENPV_CHECK_RSP_PROD, XENPV_EBROKEN},
    {"NULL twice", {{0, 1}, {0, 1}}, 2, 0, XENPV_CHECK_TX_NULL, XENPV_EBROKEN},
    {"twin: all of it", {{OWN, 0}, {7, 1}, {OWN + 1, 0}}, 3, 0, 0, 0},
    {"twin: in another order", {{OWN + 1, 0}, {OWN, 0}, {0xffff, 1}}, 3, 0, 0, 0},
    {"twin: not all yet", {{OWN + 1, 0}}, 1, 0, 0, 1},
    {"twin: an error", {{OWN, -1}}, 1, 0, 0, XENPV_EIO},
    {"twin: a status that there is not", {{OWN, 77}}, 1, 0, 0, XENPV_EIO},
};

static void send_two(uint16_t ids[2])
{
    struct xenpv_iov iov = {bytes, 1000};
    struct xenpv_net_packet large = {&iov, 1, {.mss = 500}};

    assert_int_equal(xenpv_netq_send(rig.q, &large, &ids[0]), 0);
    assert_int_equal(net_rig_send(&rig, bytes, 100, &ids[1]), 0);
    for (int i = 0; i < 2; i++) {
        assert_true(peer_take(&peer, 0, &packet));
        ids[i] = packet.request[0].id;
    }
}

/* What a legal twin has left unanswered, so that the device can be closed. */
static void answer_rest(const struct answer *answers, uint32_t count, const uint16_t ids[2])
{
    struct xenpv_completion done;
    bool answered[2] = {false, false};

    for (uint32_t i = 0; i < count; i++) {
        if (answers[i].id >= OWN)
            answered[answers[i].id - OWN] = true;
    }
    for (int i = 0; i < 2; i++) {
        if (!answered[i])
            peer_put_tx(&peer, 0, ids[i], 0);
    }
    peer_show(&peer, &peer.tx[0], 0);
    while (xenpv_netq_poll(rig.q, &done, 1) > 0)
        ;
    assert_int_equal(xenpv_netq_pending(rig.q), 0);
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct xenpv_completion done[4];
        uint16_t ids[2];
        int count, status = 1;

        print_message("  %s\n", lies[i].name);
        up(&(struct net_rig_options){0}, peer_linux);
        send_two(ids);
        for (uint32_t k = 0; k < lies[i].count; k++) {
            uint32_t id = lies[i].answers[k].id;

            peer_put_tx(&peer, 0, id >= OWN ? ids[id - OWN] : (uint16_t)id,
                        lies[i].answers[k].status);
        }
        peer.tx[0].ring.prod += lies[i].jump;
        peer_show(&peer, &peer.tx[0], 0);
        while ((count = xenpv_netq_poll(rig.q, done, 4)) > 0) {
            for (int k = 0; k < count; k++) {
                if (done[k].user == &ids[0])
                    status = done[k].status;
            }
        }
        assert_int_equal(status, lies[i].status);
        if (lies[i].check == 0)
            answer_rest(&lies[i].answers[0], lies[i].count, ids);
        end(lies[i].check);
    }
}

/* FE-09: an id that is on the ring and not shown yet. */
static void test_FE_09_unpublished_id(void **state)
{
    struct xenpv_completion done;
    struct xenpv_iov iov = {bytes, 100};
    struct xenpv_net_packet later = {&iov, 1, {0}};
    uint16_t id;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    assert_int_equal(net_rig_send(&rig, bytes, 100, NULL), 0);
    assert_true(peer_take(&peer, 0, &packet));
    id = packet.request[0].id;
    assert_int_equal(xenpv_netq_send(rig.q, &later, &later), 0);
    peer_put_tx(&peer, 0, (uint16_t)(id + 1), 0);
    peer_show(&peer, &peer.tx[0], 0);
    assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 1);
    assert_int_equal(done.status, XENPV_EBROKEN);
    assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 1);
    end(XENPV_CHECK_RSP_INFLIGHT);
}

/* ---- what is received ------------------------------------------------------------------------ */

struct slot {
    int32_t id; /* OWN: as it should be */
    uint16_t offset, flags;
    int16_t status;
    struct xenpv_netif_extra extra; /* of a type: this is in the slot instead */
};

static const struct {
    const char *name;
    uint32_t without;
    struct slot slot[4];
    uint32_t count, jump, check;
    uint32_t length; /* of the frame that is handed over, 0: none */
} tales[] = {
    {"rx id of another slot", 0, {{3, 0, 0, 60, {0}}}, 1, 0, XENPV_CHECK_RX_ID, 0},
    {"rx id 65535", 0, {{65535, 0, 0, 60, {0}}}, 1, 0, XENPV_CHECK_RX_ID, 0},
    {"rx id of a second fragment",
     0,
     {{OWN, 0, 4, 60, {0}}, {0, 0, 0, 60, {0}}},
     2,
     0,
     XENPV_CHECK_RX_ID,
     0},
    {"FE-21 beyond the page", 0, {{OWN, 1, 0, 4096, {0}}}, 1, 0, XENPV_CHECK_RX_BOUNDS, 0},
    {"FE-21 far beyond the page", 0, {{OWN, 65535, 0, 32767, {0}}}, 1, 0, XENPV_CHECK_RX_BOUNDS, 0},
    {"FE-22 beyond the page, later",
     0,
     {{OWN, 0, 4, 60, {0}}, {OWN, 4000, 0, 97, {0}}},
     2,
     0,
     XENPV_CHECK_RX_BOUNDS,
     0},
    {"FE-23 extra of type 0",
     0,
     {{OWN, 0, 8, 60, {0}}, {.extra = {.type = 0xff}}},
     2,
     0,
     XENPV_CHECK_RX_EXTRA,
     0},
    {"FE-23 extra of type 6",
     0,
     {{OWN, 0, 8, 60, {0}}, {.extra = {.type = 6}}},
     2,
     0,
     XENPV_CHECK_RX_EXTRA,
     0},
    {"FE-25 segments of 0 bytes",
     0,
     {{OWN, 0, 8, 60, {0}}, {.extra = {.type = 1, .u.gso = {0, 1, 0}}}},
     2,
     0,
     XENPV_CHECK_RX_GSO,
     0},
    {"FE-26 a protocol that there is not",
     0,
     {{OWN, 0, 8, 60, {0}}, {.extra = {.type = 1, .u.gso = {9, 3, 0}}}},
     2,
     0,
     XENPV_CHECK_RX_GSO,
     0},
    {"FE-26 a protocol not asked for",
     XENPV_NET_GSO6,
     {{OWN, 0, 8, 60, {0}}, {.extra = {.type = 1, .u.gso = {9, 2, 0}}}},
     2,
     0,
     XENPV_CHECK_RX_GSO,
     0},
    {"a prefix not asked for", XENPV_NET_SG, {{OWN, 9, 0x14, 0, {0}}}, 1, 0, XENPV_CHECK_RX_GSO, 0},
    {"FE-01 a ring too many", 0, {{OWN, 0, 0, 60, {0}}}, 1, 256, XENPV_CHECK_RSP_PROD, 0},
    {"FE-01 backwards by one", 0, {{0}}, 0, UINT32_MAX, XENPV_CHECK_RSP_PROD, 0},
    {"twin: up to the end of the page", 0, {{OWN, 0, 0, 4096, {0}}}, 1, 0, 0, 4096},
    {"twin: one byte at the end", 0, {{OWN, 4095, 0, 1, {0}}}, 1, 0, 0, 1},
    {"twin: at the end, empty", 0, {{OWN, 4096, 0, 0, {0}}}, 1, 0, 0, 0},
    {"twin: an error, and nonsense beside it", 0, {{OWN, 65535, 0, -5, {0}}}, 1, 0, 0, 0},
    {"twin: a protocol asked for",
     0,
     {{OWN, 0, 8, 60, {0}}, {.extra = {.type = 1, .u.gso = {1, 2, 0}}}},
     2,
     0,
     0,
     60},
    {"twin: unknown flags", 0, {{OWN, 0, 0xff00, 60, {0}}}, 1, 0, 0, 60},
    {"twin: flags of a later fragment",
     0,
     {{OWN, 0, 4, 60, {0}}, {OWN, 0, 0xfffb, 1, {0}}},
     2,
     0,
     0,
     61},
    {"twin: headroom of the whole page",
     0,
     {{OWN, 0, 8, 60, {0}}, {.extra = {.type = 5, .u.xdp.headroom = 65535}}},
     2,
     0,
     0,
     0},
};

static void put(const struct slot *slot)
{
    struct xenpv_netif_rx_request buffer = peer_buffer(&peer, 0);
    struct xenpv_netif_rx_response response = {.id =
                                                   slot->id == OWN ? buffer.id : (uint16_t)slot->id,
                                               .offset = slot->offset,
                                               .flags = slot->flags,
                                               .status = slot->status};
    struct xenpv_netif_extra extra = slot->extra;

    if (extra.type == 0) {
        peer_put_rx(&peer, 0, &response);
        return;
    }
    if (extra.type == 0xff)
        extra.type = 0;
    peer_put_rx_extra(&peer, 0, &extra);
}

static void test_received(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(tales); i++) {
        struct xenpv_net_frame frame;

        print_message("  %s\n", tales[i].name);
        up(&(struct net_rig_options){.without = tales[i].without}, peer_linux);
        for (uint32_t k = 0; k < tales[i].count; k++)
            put(&tales[i].slot[k]);
        peer.rx[0].ring.prod += tales[i].jump;
        peer_show(&peer, &peer.rx[0], 1);
        if (tales[i].length) {
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1), 1);
            assert_int_equal(frame.length, tales[i].length);
            xenpv_netq_return(rig.q, &frame);
        } else
            assert_int_equal(xenpv_netq_receive(rig.q, &frame, 1),
                             tales[i].check ? XENPV_EPARKED : 0);
        end(tales[i].check);
    }
}

/* A frame of more than 65535 bytes, in no more fragments than there may be: netif.h does not forbid
 * it, and a host that merges what came from its wire makes such. It is dropped; the next is found. */
static void test_too_long(void **state)
{
    static const uint32_t lengths[] = {65536, 65549, 65557, 18 * 4096};
    struct xenpv_net_frame frames[2];
    struct xenpv_netq_stats stats;

    (void)state;
    up(&(struct net_rig_options){.rx_buffers = 18}, peer_linux);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        assert_true(peer_deliver(&peer, 0, bytes, lengths[i], &(struct peer_frame){0}));
        assert_int_equal(xenpv_netq_receive(rig.q, frames, 2), 0);
        assert_true(peer_deliver(&peer, 0, bytes, 65535, &(struct peer_frame){0}));
        assert_int_equal(xenpv_netq_receive(rig.q, frames, 2), 1);
        assert_int_equal(frames[0].length, 65535);
        xenpv_netq_return(rig.q, &frames[0]);
        assert_int_equal(xenpv_netq_receive(rig.q, frames, 2), 0);
    }
    xenpv_netq_stats(rig.q, &stats);
    assert_int_equal(stats.rx_dropped, COUNT(lengths));
    end(0);
}

/* A queue that met a violation stops only once the caller has returned what he reads. */
static void test_broken_with_frames(void **state)
{
    struct xenpv_net_frame frames[3];
    struct xenpv_completion done;
    uint8_t copy[60];

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    net_rig_fill(bytes, 60, 3);
    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_true(peer_deliver(&peer, 0, bytes, 60, &(struct peer_frame){0}));
    put(&(struct slot){9, 0, 0, 60, {0}});
    peer_show(&peer, &peer.rx[0], 1);
    assert_int_equal(xenpv_netq_receive(rig.q, frames, 3), 2);
    for (int i = 0; i < 50; i++) {
        net_rig_step(&rig);
        xenpv_mock_advance(rig.mock, 1000);
    }
    assert_int_equal(xenpv_net_state(rig.net), XENPV_NET_CLOSING);
    assert_int_equal(xenpv_netq_receive(rig.q, frames + 2, 1), 0);
    assert_int_equal(net_rig_send(&rig, bytes, 60, NULL), XENPV_EPARKED);
    assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 1);
    assert_int_equal(done.status, XENPV_EBROKEN);
    assert_int_equal(xenpv_netq_poll(rig.q, &done, 1), 0);
    for (int i = 0; i < 2; i++) {
        memcpy(copy, frames[i].fragment[0].base, 60);
        assert_memory_equal(copy, bytes, 60);
        xenpv_netq_return(rig.q, &frames[i]);
    }
    assert_int_equal(xenpv_netq_receive(rig.q, frames, 3), XENPV_EPARKED);
    end(XENPV_CHECK_RX_ID);
}

/* EV-09, FE-01: an honest backend, over the end of the indexes' first rounds. */
static void test_indexes_go_round(void **state)
{
    struct xenpv_net_frame frame;

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    for (uint32_t i = 0; i < 2000; i++) {
        assert_int_equal(net_rig_send(&rig, bytes, 60 + i, NULL), 0);
        assert_true(peer_take(&peer, 0, &packet));
        peer_answer(&peer, 0, &packet, 0);
        assert_int_equal(net_rig_wait(&rig, NULL), 0);
        assert_true(peer_deliver(&peer, 0, bytes, 60 + i * 3, &(struct peer_frame){.chunk = 1000}));
        net_rig_receive(&rig, packet.bytes, &frame);
    }
    end(0);
}

/* EV-10: event indexes of any value: there may be more events than asked for, but frames go on. */
static void test_EV_10_event_indexes(void **state)
{
    static const uint32_t wild[] = {0, 1, 0x7fffffff, 0x80000000, UINT32_MAX};

    (void)state;
    up(&(struct net_rig_options){0}, peer_linux);
    peer.idle = false;
    for (uint32_t i = 0; i < 200; i++) {
        struct peer_ring *rings[] = {&peer.tx[0], &peer.rx[0]};

        for (uint32_t k = 0; k < COUNT(rings); k++) {
            struct xenpv_ring *ring = &rings[k]->ring;

            xenpv_store(&ring->in->event, ring->cons + wild[(i + k) % COUNT(wild)]);
            xenpv_store(&ring->out->event, ring->prod + wild[(i / 5 + k) % COUNT(wild)]);
        }
        peer_exchange(&peer);
        xenpv_netq_arm(rig.q, XENPV_NET_RX | XENPV_NET_TX);
    }
    end(0);
}

/* ---- the control ring ------------------------------------------------------------------------ */

static int keep(struct peer *p, const struct xenpv_netif_ctrl_request *request, uint32_t *data)
{
    struct xenpv_netif_ctrl_request *kept = p->ctx;

    (void)data;
    if (request->type == XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE)
        return XENPV_NETIF_CTRL_NOT_SUPPORTED;
    *kept = *request;
    return -1;
}

static const struct {
    const char *name;
    uint32_t id, type; /* OWN: as it should be */
    uint32_t times, jump, check;
} messages[] = {
    {"FE-28 id beyond", 9, OWN, 1, 0, XENPV_CHECK_CTRL_ID},
    {"FE-28 id far beyond", 0xfff9, OWN, 1, 0, XENPV_CHECK_CTRL_ID},
    {"FE-28 id of the device's own place", 8, OWN, 1, 0, XENPV_CHECK_CTRL_ID},
    {"FE-28 id of none", 5, OWN, 1, 0, XENPV_CHECK_CTRL_ID},
    {"FE-28 twice", OWN, OWN, 2, 0, XENPV_CHECK_RSP_PROD},
    {"FE-28 another type", OWN, 2, 1, 0, XENPV_CHECK_CTRL_TYPE},
    {"FE-01 a ring too many", OWN, OWN, 1, 128, XENPV_CHECK_RSP_PROD},
    {"twin", OWN, OWN, 1, 0, 0},
};

static void test_control(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(messages); i++) {
        struct xenpv_netif_ctrl_request kept = {0};
        struct xenpv_netctl_reply reply;
        struct xenpv_netctl_request request = {.type = XENPV_NETIF_CTRL_GET_HASH_FLAGS,
                                               .user = &kept};

        print_message("  %s\n", messages[i].name);
        net_rig_up(&rig, &(struct net_rig_options){0});
        peer_up(&peer, &rig, peer_linux);
        peer.judge = keep;
        peer.ctx = &kept;
        net_rig_connect(&rig);
        net_rig_rest(&rig);
        assert_int_equal(xenpv_netctl_send(rig.net, &request, 0), 0);
        net_rig_rest(&rig);
        assert_int_equal(kept.type, XENPV_NETIF_CTRL_GET_HASH_FLAGS);
        for (uint32_t k = 0; k < messages[i].times; k++) {
            struct xenpv_netif_ctrl_response response = {
                .id = messages[i].id == OWN ? kept.id : (uint16_t)messages[i].id,
                .type = messages[i].type == OWN ? kept.type : (uint16_t)messages[i].type,
                .data = 5};

            xenpv_netif_put_ctrl_response(&response, xenpv_ring_next_out(&peer.ctrl.ring));
        }
        peer.ctrl.ring.prod += messages[i].jump;
        peer_show(&peer, &peer.ctrl, 0);
        net_rig_step(&rig);
        assert_int_equal(xenpv_netctl_poll(rig.net, &reply, 1), 1);
        assert_int_equal(reply.status, messages[i].check ? XENPV_EBROKEN : 0);
        assert_ptr_equal(reply.user, &kept);
        end(messages[i].check);
    }
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* LC-08: what stands in a key, and what the frontend makes of it. */
static const struct {
    bool own;
    const char *key, *value;
    int error; /* 0: it connects */
    uint32_t queues, mtu;
    bool has_mac;
} keys[] = {
    {false, "feature-rx-copy", "0", XENPV_ENOTSUP, 0, 0, false},
    {false, "feature-rx-copy", "", XENPV_ENOTSUP, 0, 0, false},
    {false, "feature-rx-copy", "2", XENPV_ENOTSUP, 0, 0, false},
    {false, "feature-rx-copy", "1", 0, 4, 1500, true},
    {false, "multi-queue-max-queues", "0", 0, 1, 1500, true},
    {false, "multi-queue-max-queues", "-1", 0, 1, 1500, true},
    {false, "multi-queue-max-queues", "3", 0, 3, 1500, true},
    {false, "multi-queue-max-queues", "4294967296", 0, 1, 1500, true},
    {false, "multi-queue-max-queues", "4294967295", 0, 4, 1500, true},
    {false, "feature-sg", "yes", 0, 4, 1500, true},
    {false, "carrier", "2", 0, 4, 1500, true},
    {true, "mtu", "67", 0, 4, 1500, true},
    {true, "mtu", "68", 0, 4, 68, true},
    {true, "mtu", "65535", 0, 4, 65535, true},
    {true, "mtu", "65536", 0, 4, 1500, true},
    {true, "mtu", "9000", 0, 4, 9000, true},
    {true, "mtu", "0x5dc", 0, 4, 1500, true},
    {true, "mac", "", 0, 4, 1500, false},
    {true, "mac", "00:16:3e:01:02", 0, 4, 1500, false},
    {true, "mac", "00:16:3e:01:02:03:04", 0, 4, 1500, false},
    {true, "mac", "00:16:3e:01:02:0g", 0, 4, 1500, false},
    {true, "mac", "00-16-3e-01-02-03", 0, 4, 1500, false},
    {true, "mac", "AA:bb:CC:dd:EE:ff", 0, 4, 1500, true},
};

static void test_LC_08_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct peer_key offer[16];
        struct xenpv_net_info info;
        size_t k = 0;

        print_message("  %s = %s\n", keys[i].key, keys[i].value);
        for (; peer_linux[k].name; k++) {
            offer[k] = peer_linux[k];
            if (!keys[i].own && strcmp(offer[k].name, keys[i].key) == 0)
                offer[k].value = keys[i].value;
        }
        offer[k] = (struct peer_key){0};
        net_rig_up(&rig, &(struct net_rig_options){.queues = 4});
        peer_up(&peer, &rig, offer);
        net_rig_set(&rig, keys[i].own ? NET_RIG_FRONTEND : rig.backend_path, keys[i].key,
                    keys[i].value);
        assert_int_equal(xenpv_net_connect(rig.net, 0), 0);
        net_rig_until(&rig, keys[i].error ? XENPV_NET_FAILED : XENPV_NET_CONNECTED);
        assert_int_equal(xenpv_net_detail(rig.net)->error, keys[i].error);
        if (keys[i].error) {
            assert_non_null(strstr(xenpv_net_detail(rig.net)->key, keys[i].key));
        } else {
            xenpv_net_info(rig.net, &info);
            assert_int_equal(info.queues, keys[i].queues);
            assert_int_equal(info.mtu, keys[i].mtu);
            assert_int_equal(info.has_mac, keys[i].has_mac);
            assert_true(info.carrier);
            net_rig_close(&rig);
        }
        peer_down(&peer);
        net_rig_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_FE_09_unpublished_id),
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_broken_with_frames),
        cmocka_unit_test(test_indexes_go_round),
        cmocka_unit_test(test_EV_10_event_indexes),
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_LC_08_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
