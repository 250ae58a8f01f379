/* SPDX-License-Identifier: MIT */
/*
 * The frontend rewrites its requests while the backend reads them: at each single load in turn
 * others stand there (XSA-155). Whichever are taken, or a mixture, each slot is answered once or
 * the connection ends, no page is left, and no word is loaded twice: the number of loads is what
 * one reading takes. The backend of this program is built with a hook before each load.
 */
#include "netback_rig.h"

void (*before_load)(void);

#define SLOTS 4u
#define WORDS 3u /* of a slot */

static struct nb_rig rig;

static struct {
    uint32_t (*other)[WORDS];
    uint32_t first; /* slot */
    uint32_t loads, flip_at;
    bool counting;
} flip;

static void put_words(uint32_t (*words)[WORDS])
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint32_t *slot =
            (uint32_t *)(void *)rig.queue[0].tx.slots + (size_t)((flip.first + i) % 256) * WORDS;

        for (uint32_t k = 0; k < WORDS; k++)
            __atomic_store_n(&slot[k], words[i][k], __ATOMIC_RELAXED);
    }
}

static void at_load(void)
{
    if (flip.counting && ++flip.loads == flip.flip_at)
        put_words(flip.other);
}

#define MORE  XENPV_NETTXF_MORE_DATA
#define EXTRA XENPV_NETTXF_EXTRA_INFO
#define GSO                                                                                        \
    {                                                                                              \
        .extra = { 1, 500 | 1u << 16 }                                                             \
    }
#define ONES                                                                                       \
    {                                                                                              \
        .extra = { UINT32_MAX, UINT32_MAX }                                                        \
    }
#define NEXT 0x100u /* of an extra info: another one follows */

struct slot {
    uint16_t offset, flags, size;
    uint32_t extra[2]; /* not zero: the words of an extra info */
};

/* Packets, messages, and lies of all kinds. */
static const struct slot sets[][SLOTS] = {
    {{0, 0, 60, {0}}, {9, 2, 61, {0}}, {4000, 0, 96, {0}}, {0, 0, 1000, {0}}},
    {{0, MORE, 12291, {0}}, {0, MORE, 4096, {0}}, {9, MORE, 4000, {0}}, {0, 0, 99, {0}}},
    {{0, 1 | MORE | EXTRA, 4600, {0}}, GSO, {0, MORE, 4096, {0}}, {0, 0, 99, {0}}},
    {{0, EXTRA, 60, {0}}, {.extra = {2 | NEXT | 1u << 16, 7}}, {.extra = {3, 7}}, {0, 0, 60, {0}}},
    {{0, MORE, 65535, {0}}, {0, 0, 65535, {0}}, {4095, 0, 60, {0}}, {65535, 0, 65535, {0}}},
    {{0, 1, 60, {0}}, {0, 1, 13, {0}}, {0, 0, 0, {0}}, {0, MORE, 60, {0}}},
    {{0, EXTRA, 60, {0}}, {.extra = {4 | NEXT, 1}}, {.extra = {4 | NEXT, 1}}, GSO},
    {ONES, ONES, ONES, ONES},
};

static void make_words(const struct slot *set, uint32_t words[SLOTS][WORDS])
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        words[i][0] = rig.data_refs[i];
        words[i][1] = set[i].offset | (uint32_t)set[i].flags << 16;
        words[i][2] = (flip.first + i) % 256 | (uint32_t)set[i].size << 16;
        if (set[i].extra[0])
            memcpy(words[i], set[i].extra, sizeof(set[i].extra));
    }
}

static void up(void)
{
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){0});
    nb_steps(&rig, 3);
}

/* Shows `count` slots of a set that become those of another at the given load: how many loads there
 * were until all were answered. */
static uint32_t serve_flipped(uint32_t set, uint32_t other, uint32_t count, uint32_t at)
{
    uint32_t words[SLOTS][WORDS], others[SLOTS][WORDS];
    struct xenpv_ring *ring = &rig.queue[0].tx;
    struct xenpv_link_frame frame;

    flip.first = ring->prod;
    make_words(sets[set], words);
    make_words(sets[other], others);
    put_words(words);
    for (uint32_t i = 0; i < count; i++)
        xenpv_ring_next_out(ring);
    nb_tx_publish(&rig, 0);
    flip.other = others;
    flip.flip_at = at;
    flip.loads = 0;
    flip.counting = true;
    xenpv_netback_step(rig.back, xenpv_mock_now(rig.mock));
    flip.counting = false;
    assert_int_equal(xenpv_ring_available(ring), count);
    for (uint32_t i = 0; i < count; i++)
        nb_tx_take(&rig, 0);
    while (nb_wire_take(&rig, &frame))
        assert_in_range(frame.bytes, 14, XENPV_LINK_FRAME_MAX);
    if (xenpv_netback_detail(rig.back)->error) {
        assert_int_equal(xenpv_netback_detail(rig.back)->check, XENPV_CHECK_TX_WHOLE);
        nb_until(&rig, 5);
        nb_down(&rig);
        up();
    }
    return flip.loads;
}

static void test_xsa155_loads(void **state)
{
    uint32_t least = 0, loads;

    (void)state;
    up();
    for (uint32_t count = 1; count <= SLOTS; count++) {
        loads = serve_flipped(0, 0, count, 0);
        least = count == 1 ? loads : least;
        assert_int_equal(loads, least + (count - 1) * WORDS);
    }
    for (uint32_t set = 1; set < 4; set++) {
        uint32_t extras = 0;

        for (uint32_t i = 0; i < SLOTS; i++)
            extras += sets[set][i].extra[0] != 0; /* a word less */
        loads = serve_flipped(set, set, SLOTS, 0);
        assert_int_equal(loads, least + (SLOTS - 1) * WORDS - extras);
    }
    nb_down(&rig);
}

static void test_xsa155_slots_change(void **state)
{
    (void)state;
    up();
    for (uint32_t pair = 0; pair < COUNT(sets) * COUNT(sets); pair++) {
        uint32_t loads, at = 1;

        do
            loads = serve_flipped(pair / COUNT(sets), pair % COUNT(sets), SLOTS, at);
        while (at++ < loads);
    }
    nb_down(&rig);
}

static uint32_t loads_of_step(void)
{
    flip.loads = flip.flip_at = 0;
    flip.counting = true;
    xenpv_netback_step(rig.back, xenpv_mock_now(rig.mock));
    flip.counting = false;
    return flip.loads;
}

static void put_message(uint16_t type, uint32_t a, uint32_t b, uint32_t c)
{
    struct xenpv_netif_ctrl_request request = {.type = type, .data = {a, b, c}};

    xenpv_netif_put_ctrl_request(&request, xenpv_ring_next_out(&rig.control));
    xenpv_ring_publish(&rig.control);
}

/* The other rings, and lists: two words of an rx request, four of a message, two of an entry. */
static void test_xsa155_other_rings(void **state)
{
    static uint8_t bytes[60] = {2};
    static struct nb_received got;
    uint32_t idle, one, *list;

    (void)state;
    nb_up(&rig);
    nb_start(&rig);
    nb_connect(&rig, &(struct nb_front){.control = true});
    nb_rx_post(&rig, 0, 0, 50);
    nb_steps(&rig, 20);
    idle = loads_of_step();
    for (uint32_t count = 1, page = 0; count < 6; count++) {
        for (uint32_t i = 0; i < count; i++)
            nb_wire_send(&rig, &(struct xenpv_link_frame){.data = bytes, .bytes = 60});
        /* One more: whether they want to be told of the answers. */
        assert_int_equal(loads_of_step(), idle + 1 + 2 * count);
        for (uint32_t i = 0; i < count; i++)
            assert_true(nb_receive(&rig, 0, page++, &got));
    }
    nb_steps(&rig, 1);
    put_message(XENPV_NETIF_CTRL_GET_HASH_FLAGS, 0, 0, 0);
    one = loads_of_step();
    assert_in_range(one, idle + 4, idle + 6); /* ... and what one answer takes */
    nb_steps(&rig, 1);
    for (uint32_t i = 0; i < 7; i++)
        put_message((uint16_t)(i + 1), 31000, 1, 0);
    assert_int_equal(loads_of_step(), one + 6 * 4);
    list = (uint32_t *)(void *)nb_page(&rig, 299);
    for (uint32_t i = 0; i < 20; i++) {
        struct xenpv_netif_gref gref = {.ref = rig.data_refs[i]};

        xenpv_netif_put_gref(&gref, list + (size_t)2 * i);
    }
    for (uint32_t type = XENPV_NETIF_CTRL_ADD_GREF_MAPPING;
         type <= XENPV_NETIF_CTRL_DEL_GREF_MAPPING; type++) {
        nb_steps(&rig, 1);
        put_message((uint16_t)type, 0, rig.data_refs[299], 20);
        assert_int_equal(loads_of_step(), one + 20 * 2);
    }
    nb_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xsa155_loads),
        cmocka_unit_test(test_xsa155_slots_change),
        cmocka_unit_test(test_xsa155_other_rings),
    };

    before_load = at_load;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
