/* SPDX-License-Identifier: MIT */
/* The control ring of the network backend: hashes, mappings, static grants, and what it refuses. */
#include "netback_rig.h"
#include <xenpv/flow.h>

static struct nb_rig rig;
static struct nb_received got;
static uint8_t bytes[XENPV_LINK_FRAME_MAX];

#define SUCCESS  XENPV_NETIF_CTRL_SUCCESS
#define UNKNOWN  XENPV_NETIF_CTRL_NOT_SUPPORTED
#define INVALID  XENPV_NETIF_CTRL_INVALID_PARAMETER
#define OVERFLOW XENPV_NETIF_CTRL_BUFFER_OVERFLOW

#define LIST 299 /* the data page of lists, keys and tables */

static void up(uint32_t queues, uint32_t grants)
{
    nb_up(&rig);
    rig.config.queues = 8;
    rig.config.static_grants = grants;
    rig.config.mapping = 2048;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.queues = queues, .control = true});
}

static uint32_t ask(uint16_t type, uint32_t a, uint32_t b, uint32_t c)
{
    return nb_ask(&rig, type, a, b, c).status;
}

static uint32_t data_of(uint16_t type, uint32_t a, uint32_t b, uint32_t c)
{
    struct xenpv_netif_ctrl_response response = nb_ask(&rig, type, a, b, c);

    assert_int_equal(response.status, SUCCESS);
    return response.data;
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static void test_hash_messages(void **state)
{
    uint32_t ref;

    (void)state;
    up(2, 512);
    ref = rig.data_refs[LIST];
    assert_int_equal(ask(XENPV_NETIF_CTRL_INVALID, 0, 0, 0), UNKNOWN);
    assert_int_equal(ask(11, 0, 0, 0), UNKNOWN);
    assert_int_equal(ask(65535, 0, 0, 0), UNKNOWN);
    /* The algorithm comes first. */
    assert_int_equal(ask(XENPV_NETIF_CTRL_GET_HASH_FLAGS, 0, 0, 0), UNKNOWN);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_FLAGS, 15, 0, 0), INVALID);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_ALGORITHM, 2, 0, 0), INVALID);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_ALGORITHM, 1, 0, 0), SUCCESS);
    assert_int_equal(data_of(XENPV_NETIF_CTRL_GET_HASH_FLAGS, 0, 0, 0), 15);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_FLAGS, 15, 0, 0), SUCCESS);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_FLAGS, 16, 0, 0), INVALID);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_FLAGS, 0, 0, 0), SUCCESS);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_KEY, ref, 40, 0), SUCCESS);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_KEY, ref, 41, 0), OVERFLOW);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_KEY, ref, UINT32_MAX, 0), OVERFLOW);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_KEY, 30000, 40, 0), INVALID);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_KEY, 30000, 0, 0), SUCCESS);
    assert_int_equal(data_of(XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE, 0, 0, 0), 2048);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE, 2049, 0, 0), INVALID);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE, 2048, 0, 0), SUCCESS);
    assert_int_equal(nb_stats(&rig).messages, 19);
    nb_down(&rig);
}

struct part {
    uint32_t count, first, status;
};

/* BE-06: parts of a table, around its ends and those of the numbers. */
static void test_BE06_mapping(void **state)
{
    static const struct part parts[] = {
        {100, 0, SUCCESS},         {1, 99, SUCCESS},         {0, 100, SUCCESS},
        {1, 100, INVALID},         {101, 0, INVALID},        {2, 99, INVALID},
        {1, UINT32_MAX, INVALID},  {1, 0x80000000, INVALID}, {2, 0xfffffffe, INVALID},
        {1024, 0, INVALID},        {1025, 0, OVERFLOW},      {0x40000001, 0, OVERFLOW},
        {UINT32_MAX, 1, OVERFLOW}, {0x10001, 0, OVERFLOW},
    };
    uint32_t *table;

    (void)state;
    up(4, 512);
    table = (uint32_t *)(void *)nb_page(&rig, LIST);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING, rig.data_refs[LIST], 1, 0), INVALID);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE, 100, 0, 0), SUCCESS);
    for (size_t i = 0; i < COUNT(parts); i++)
        assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING, rig.data_refs[LIST], parts[i].count,
                             parts[i].first),
                         parts[i].status);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING, 30000, 1, 0), INVALID);
    /* Each entry names a queue that there is, or none of them counts. */
    for (uint32_t queue = 0; queue < 10; queue++) {
        table[50] = queue < 9 ? queue : UINT32_MAX;
        assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING, rig.data_refs[LIST], 100, 0),
                         queue < 4 ? SUCCESS : INVALID);
    }
    nb_down(&rig);
}

/* Where a frame came, with posting what it took again. */
static uint32_t landed(void)
{
    for (uint32_t q = 0; q < rig.front.queues; q++) {
        if (xenpv_ring_available(&rig.queue[q].rx)) {
            uint32_t page = rig.queue[q].rx.cons % 32 + q * 32;

            assert_true(nb_receive(&rig, q, page, &got));
            nb_rx_post(&rig, q, (page + 0) % 32 + q * 32, 1);
            if (got.slots == 2)
                nb_rx_post(&rig, q, (page + 1) % 32 + q * 32, 1);
            return q;
        }
    }
    return UINT32_MAX;
}

static uint32_t send(const struct nb_ip *ip)
{
    uint32_t count = nb_make_ip(bytes, ip);

    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = count});
    nb_steps(&rig, 1);
    return count;
}

static void set_up_hash(uint32_t flags, uint32_t key_bytes)
{
    memcpy(nb_page(&rig, LIST), xenpv_flow_key, XENPV_FLOW_KEY);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_ALGORITHM, 1, 0, 0), SUCCESS);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_KEY, rig.data_refs[LIST], key_bytes, 0),
                     SUCCESS);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_FLAGS, flags, 0, 0), SUCCESS);
}

/* Frames are hashed as was set, told so, and land on the queues they are mapped to. */
static void test_steering(void **state)
{
    (void)state;
    for (uint32_t way = 0; way < 4; way++) {
        uint32_t entries = way == 0 ? 0 : way == 1 ? 7 : way == 2 ? 128 : 2000, *table;
        uint32_t key_bytes = way == 3 ? 11 : 40;

        up(4, 512);
        for (uint32_t q = 0; q < 4; q++)
            nb_rx_post(&rig, q, q * 32, 32);
        set_up_hash(way == 2 ? 5 : 15, key_bytes);
        assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE, entries, 0, 0), SUCCESS);
        table = (uint32_t *)(void *)nb_page(&rig, LIST);
        for (uint32_t at = 0; at < entries; at += 1000) {
            uint32_t part = entries - at < 1000 ? entries - at : 1000;

            for (uint32_t i = 0; i < part; i++)
                table[i] = (at + i) * 3 / 2 % 4;
            assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING, rig.data_refs[LIST], part, at),
                             SUCCESS);
        }
        for (uint32_t i = 0; i < 60; i++) {
            struct nb_ip ip = {.ipv6 = i & 1,
                               .udp = i % 3 == 0,
                               .payload = 40,
                               .sport = (uint16_t)(i * 11),
                               .seed = i / 5};
            uint32_t count = send(&ip), hash, expected;
            uint8_t type;

            hash =
                xenpv_flow_hash(bytes, count, way == 2 ? 5 : 15, xenpv_flow_key, key_bytes, &type);
            expected = entries ? (hash % entries) * 3 / 2 % 4 : hash % 4;
            assert_int_equal(landed(), expected);
            assert_true(got.hashed);
            assert_int_equal(got.hash_extra.u.hash.type, type);
            assert_int_equal(got.hash_extra.u.hash.algorithm, XENPV_NETIF_ALGORITHM_TOEPLITZ);
            assert_int_equal(got.hash_extra.u.hash.value, hash);
        }
        nb_down(&rig);
    }
}

/* What is not hashed counts as 0; a part of a table keeps the rest; a new size clears it. */
static void test_steering_of_others(void **state)
{
    uint32_t *table;

    (void)state;
    up(4, 512);
    for (uint32_t q = 0; q < 4; q++)
        nb_rx_post(&rig, q, q * 32, 32);
    set_up_hash(2, 40); /* TCP over IPv4 only */
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE, 2, 0, 0), SUCCESS);
    table = (uint32_t *)(void *)nb_page(&rig, LIST);
    table[0] = 3;
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING, rig.data_refs[LIST], 1, 0), SUCCESS);
    table[0] = 2;
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING, rig.data_refs[LIST], 1, 1), SUCCESS);
    send(&(struct nb_ip){.udp = true, .payload = 10});
    assert_int_equal(landed(), 3);
    assert_false(got.hashed);
    send(&(struct nb_ip){.ipv6 = true, .payload = 10});
    assert_int_equal(landed(), 3);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t count = send(&(struct nb_ip){.payload = 10, .seed = i});
        uint8_t type;
        uint32_t hash = xenpv_flow_hash(bytes, count, 2, xenpv_flow_key, 40, &type);

        assert_int_equal(landed(), hash % 2 ? 2 : 3);
    }
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_MAPPING_SIZE, 2, 0, 0), SUCCESS);
    send(&(struct nb_ip){.udp = true, .payload = 10});
    assert_int_equal(landed(), 0);
    /* Without flags, or an algorithm, nothing is hashed any more. */
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_FLAGS, 0, 0, 0), SUCCESS);
    send(&(struct nb_ip){.payload = 10});
    assert_int_equal(landed(), 0);
    assert_false(got.hashed);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_FLAGS, 15, 0, 0), SUCCESS);
    send(&(struct nb_ip){.payload = 10});
    landed();
    assert_true(got.hashed);
    assert_int_equal(ask(XENPV_NETIF_CTRL_SET_HASH_ALGORITHM, 0, 0, 0), SUCCESS);
    send(&(struct nb_ip){.payload = 10});
    landed();
    assert_false(got.hashed);
    nb_down(&rig);
}

/* The hash that a sender told is not the receiver's. */
static void test_foreign_hash(void **state)
{
    uint32_t count;

    (void)state;
    up(1, 512);
    nb_rx_post(&rig, 0, 0, 2);
    count = nb_make_ip(bytes, &(struct nb_ip){.payload = 10});
    nb_wire_send(&rig, &(struct xenpv_link_frame){
                           .data = bytes, .bytes = count, .hashed = true, .hash = 77});
    nb_steps(&rig, 1);
    assert_true(nb_receive(&rig, 0, 0, &got));
    assert_false(got.hashed);
    nb_down(&rig);
}

/* ---- static grants --------------------------------------------------------------------------- */

/* Writes a list: pages from `first` on, all with these flags. */
static void put_list(uint32_t first, uint32_t count, uint16_t flags)
{
    for (uint32_t i = 0; i < count; i++) {
        struct xenpv_netif_gref gref = {
            .ref = rig.data_refs[first + i], .flags = flags, .status = 0x7777};

        xenpv_netif_put_gref(&gref, (uint32_t *)(void *)nb_page(&rig, LIST) + (size_t)2 * i);
    }
}

static uint16_t status_at(uint32_t entry)
{
    struct xenpv_netif_gref gref;

    xenpv_netif_get_gref((uint32_t *)(void *)nb_page(&rig, LIST) + (size_t)2 * entry, &gref);
    return gref.status;
}

static uint32_t add(uint32_t queue, uint32_t count)
{
    return ask(XENPV_NETIF_CTRL_ADD_GREF_MAPPING, queue, rig.data_refs[LIST], count);
}

static struct xenpv_netif_ctrl_response del(uint32_t queue, uint32_t count)
{
    return nb_ask(&rig, XENPV_NETIF_CTRL_DEL_GREF_MAPPING, queue, rig.data_refs[LIST], count);
}

static void transfer_both_ways(uint32_t size)
{
    struct nb_packet packet = {.frame = bytes, .total = size, .parts = (size + 4095) / 4096};
    struct xenpv_link_frame frame;

    nb_fill(bytes, size, size);
    bytes[0] &= 0xfe;
    assert_int_equal(nb_send(&rig, 0, &packet), XENPV_NETIF_OKAY);
    assert_true(nb_wire_take(&rig, &frame));
    assert_memory_equal(frame.data, bytes, size);
    nb_rx_post(&rig, 0, 100, packet.parts);
    nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = size});
    nb_steps(&rig, 1);
    assert_true(nb_receive(&rig, 0, 100, &got));
    assert_int_equal(got.bytes, size);
    assert_memory_equal(got.data, bytes, size);
}

/* What is kept mapped is neither copied by the hypervisor nor mapped again, in both directions. */
static void test_static_grants(void **state)
{
    struct xenpv_netback_stats before, after;

    (void)state;
    up(1, 64);
    assert_int_equal(data_of(XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE, 0, 0, 0), 64);
    put_list(0, 20, 0);
    assert_int_equal(add(0, 20), SUCCESS);
    put_list(100, 20, 0);
    assert_int_equal(add(0, 20), SUCCESS);
    nb_assert_holds(&rig, 3 + 40, 2);
    before = nb_stats(&rig);
    assert_int_equal(before.static_grants, 40);
    transfer_both_ways(65535);
    after = nb_stats(&rig);
    assert_int_equal(after.kept - before.kept, 32);
    assert_int_equal(after.copied, before.copied);
    assert_int_equal(after.mapped, before.mapped);
    /* The other way round. */
    put_list(0, 20, 0);
    assert_int_equal(del(0, 20).data, 20);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(status_at(i), SUCCESS);
    transfer_both_ways(65535);
    assert_int_equal(nb_stats(&rig).kept - after.kept, 16);
    assert_true(nb_stats(&rig).copied > after.copied);
    nb_assert_holds(&rig, 3 + 20, 2);
    nb_down(&rig);
}

/* A page that is kept for reading is not written through it. */
static void test_static_readonly(void **state)
{
    struct xenpv_netback_stats before;

    (void)state;
    up(1, 64);
    put_list(0, 1, XENPV_NETIF_GREF_READONLY);
    assert_int_equal(add(0, 1), SUCCESS);
    put_list(100, 1, XENPV_NETIF_GREF_READONLY);
    assert_int_equal(add(0, 1), SUCCESS);
    before = nb_stats(&rig);
    transfer_both_ways(4000);
    assert_int_equal(nb_stats(&rig).kept - before.kept, 1);
    assert_int_equal(nb_stats(&rig).copied - before.copied, 1);
    nb_down(&rig);
}

/* All of a list, or nothing of it. */
static void test_static_all_or_none(void **state)
{
    (void)state;
    up(2, 64);
    put_list(0, 10, 0);
    assert_int_equal(add(0, 10), SUCCESS);
    /* One that is there already, at every place; twice in a list; one that is none. */
    for (uint32_t bad = 0; bad < 30; bad++) {
        struct xenpv_netif_gref gref = {.ref = bad < 10   ? rig.data_refs[bad]
                                               : bad < 20 ? rig.data_refs[20 + (bad + 1) % 10]
                                                          : 30000};

        put_list(20, 10, 0);
        xenpv_netif_put_gref(&gref,
                             (uint32_t *)(void *)nb_page(&rig, LIST) + (size_t)2 * (bad % 10));
        assert_int_equal(add(0, 10), INVALID);
        nb_assert_holds(&rig, 5 + 10, 3);
    }
    put_list(20, 10, 0);
    assert_int_equal(add(0, 10), SUCCESS);
    /* Each queue has its own. */
    put_list(0, 10, 0);
    assert_int_equal(add(1, 10), SUCCESS);
    nb_assert_holds(&rig, 5 + 30, 3);
    assert_int_equal(del(1, 10).data, 10);
    nb_assert_holds(&rig, 5 + 20, 3);
    nb_down(&rig);
}

/* Bounds of numbers, lists and tables; each beside its legal neighbour. */
static void test_static_bounds(void **state)
{
    (void)state;
    up(2, 64);
    put_list(0, 65, 0);
    assert_int_equal(ask(XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE, 1, 0, 0), SUCCESS);
    assert_int_equal(ask(XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE, 2, 0, 0), INVALID);
    assert_int_equal(ask(XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE, UINT32_MAX, 0, 0), INVALID);
    assert_int_equal(add(2, 1), INVALID);
    assert_int_equal(add(UINT32_MAX, 1), INVALID);
    assert_int_equal(add(0, 0), INVALID);
    assert_int_equal(add(0, 65), INVALID);
    assert_int_equal(add(0, 513), INVALID);
    assert_int_equal(add(0, UINT32_MAX), INVALID);
    assert_int_equal(del(2, 1).status, INVALID);
    assert_int_equal(del(0, 0).status, INVALID);
    assert_int_equal(del(0, UINT32_MAX).status, INVALID);
    assert_int_equal(ask(XENPV_NETIF_CTRL_ADD_GREF_MAPPING, 0, 30000, 1), INVALID);
    assert_int_equal(ask(XENPV_NETIF_CTRL_DEL_GREF_MAPPING, 0, 30000, 1), INVALID);
    /* Before anything was added nothing is found. */
    assert_int_equal(del(0, 3).status, SUCCESS);
    assert_int_equal(status_at(0), INVALID);
    put_list(0, 64, 0);
    assert_int_equal(add(0, 63), SUCCESS);
    put_list(63, 2, 0);
    assert_int_equal(add(0, 2), INVALID);
    assert_int_equal(add(0, 1), SUCCESS);
    put_list(64, 1, 0);
    assert_int_equal(add(0, 1), INVALID);
    /* Some of what is to go is not there. */
    put_list(62, 4, 0);
    assert_int_equal(del(0, 4).data, 2);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(status_at(i), i < 2 ? SUCCESS : INVALID);
    put_list(64, 2, 0);
    assert_int_equal(add(0, 2), SUCCESS);
    nb_assert_holds(&rig, 5 + 64, 3);
    nb_down(&rig);
}

/* A domain can map no more: the list is refused, and what was mapped of it is given back. */
static void test_static_no_maps(void **state)
{
    (void)state;
    nb_up_limited(&rig, 20);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.control = true});
    put_list(0, 18, 0);
    assert_int_equal(add(0, 18), INVALID);
    nb_assert_holds(&rig, 3, 2);
    assert_int_equal(add(0, 17), SUCCESS);
    nb_assert_holds(&rig, 20, 2);
    nb_down(&rig);
}

/* No memory for the table: the message is refused, and may be repeated. */
static void test_static_no_memory(void **state)
{
    (void)state;
    up(1, 64);
    put_list(0, 5, 0);
    rig.heap.fail_at = rig.heap.allocs + 1;
    assert_int_equal(add(0, 5), INVALID);
    assert_int_equal(add(0, 5), SUCCESS);
    nb_down(&rig);
}

static void test_not_offered(void **state)
{
    (void)state;
    nb_up(&rig);
    rig.config.without = XENPV_NET_STATIC_GRANTS;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.control = true});
    assert_int_equal(ask(XENPV_NETIF_CTRL_GET_GREF_MAPPING_SIZE, 0, 0, 0), UNKNOWN);
    put_list(0, 1, 0);
    assert_int_equal(add(0, 1), UNKNOWN);
    assert_int_equal(del(0, 1).status, UNKNOWN);
    nb_down(&rig);
    nb_up(&rig);
    rig.config.without = XENPV_NET_CONTROL;
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.control = true});
    assert_int_equal(nb_get(&rig, NB_BACK, "feature-ctrl-ring"), 0);
    nb_assert_holds(&rig, 2, 1);
    nb_down(&rig);
}

/* ---- the ring -------------------------------------------------------------------------------- */

/* A full ring is answered in one go, many times around; one that lies ends the connection. */
static void test_ring(void **state)
{
    static const uint32_t ahead[] = {129, 1u << 31, UINT32_MAX};
    struct xenpv_netif_ctrl_request request = {.type = XENPV_NETIF_CTRL_GET_HASH_MAPPING_SIZE};
    struct xenpv_netif_ctrl_response response;

    (void)state;
    for (uint32_t i = 0; i < COUNT(ahead); i++) {
        up(1, 64);
        for (uint32_t round = 0; round < 5; round++) {
            for (uint32_t id = 0; id < 128; id++) {
                request.id = (uint16_t)(round << 8 | id);
                xenpv_netif_put_ctrl_request(&request, xenpv_ring_next_out(&rig.control));
            }
            xenpv_ring_publish(&rig.control);
            nb_steps(&rig, 1);
            assert_int_equal(xenpv_ring_available(&rig.control), 128);
            for (uint32_t id = 0; id < 128; id++) {
                xenpv_netif_get_ctrl_response(xenpv_ring_next_in(&rig.control), &response);
                assert_int_equal(response.id, round << 8 | id);
                assert_int_equal(response.data, 2048);
            }
        }
        xenpv_store(&rig.control.out->prod, rig.control.prod + ahead[i]);
        nb_steps(&rig, 1);
        assert_int_equal(xenpv_netback_detail(rig.back)->check, XENPV_CHECK_REQ_PROD);
        nb_until(&rig, 5);
        nb_down(&rig);
    }
}

/* Lists are long: one a step, and the next one is not forgotten. */
static void test_ring_of_lists(void **state)
{
    struct xenpv_netif_ctrl_request request = {.data = {0, 0, 200}};
    struct xenpv_netif_ctrl_response response;

    (void)state;
    up(1, 512);
    nb_steps(&rig, 20);
    put_list(0, 200, 0);
    request.data[1] = rig.data_refs[LIST];
    for (uint32_t id = 0; id < 128; id++) {
        request.id = (uint16_t)id;
        request.type =
            id % 2 ? XENPV_NETIF_CTRL_DEL_GREF_MAPPING : XENPV_NETIF_CTRL_ADD_GREF_MAPPING;
        xenpv_netif_put_ctrl_request(&request, xenpv_ring_next_out(&rig.control));
    }
    xenpv_ring_publish(&rig.control);
    for (uint32_t id = 0; id < 128; id++) {
        nb_steps(&rig, 1);
        assert_int_equal(xenpv_ring_available(&rig.control), 1);
        assert_int_equal(xenpv_netback_deadline(rig.back) == 0, id < 127);
        assert_int_equal(nb_stats(&rig).static_grants, id % 2 ? 0 : 200);
        xenpv_netif_get_ctrl_response(xenpv_ring_next_in(&rig.control), &response);
        assert_int_equal(response.id, id);
        assert_int_equal(response.status, SUCCESS);
        assert_int_equal(response.data, id % 2 ? 200 : 0);
    }
    nb_down(&rig);
}

/* A new connection knows nothing of what the last one has set. */
static void test_forgotten(void **state)
{
    (void)state;
    up(1, 64);
    set_up_hash(15, 40);
    put_list(0, 5, 0);
    assert_int_equal(add(0, 5), SUCCESS);
    nb_close(&rig);
    nb_assert_holds(&rig, 0, 0);
    assert_int_equal(nb_stats(&rig).static_grants, 0);
    nb_connect(&rig, &(struct nb_front){.control = true});
    assert_int_equal(ask(XENPV_NETIF_CTRL_GET_HASH_FLAGS, 0, 0, 0), UNKNOWN);
    nb_down(&rig);
}

/* A shorter key leaves nothing of the longer one before it; none makes every hash 0. */
static void test_shorter_key(void **state)
{
    static const uint32_t sizes[] = {40, 10, 0};

    (void)state;
    up(1, 512);
    nb_rx_post(&rig, 0, 0, 32);
    for (uint32_t i = 0; i < COUNT(sizes); i++) {
        uint32_t count;
        uint8_t type;

        set_up_hash(15, sizes[i]);
        count = send(&(struct nb_ip){.payload = 10, .seed = 5});
        assert_true(nb_receive(&rig, 0, 2 * i, &got));
        assert_int_equal(got.hash_extra.u.hash.value,
                         xenpv_flow_hash(bytes, count, 15, xenpv_flow_key, sizes[i], &type));
    }
    assert_int_equal(got.hash_extra.u.hash.value, 0);
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_messages),
        cmocka_unit_test(test_BE06_mapping),
        cmocka_unit_test(test_steering),
        cmocka_unit_test(test_steering_of_others),
        cmocka_unit_test(test_foreign_hash),
        cmocka_unit_test(test_static_grants),
        cmocka_unit_test(test_static_readonly),
        cmocka_unit_test(test_static_all_or_none),
        cmocka_unit_test(test_static_bounds),
        cmocka_unit_test(test_static_no_maps),
        cmocka_unit_test(test_static_no_memory),
        cmocka_unit_test(test_not_offered),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_ring_of_lists),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_shorter_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
