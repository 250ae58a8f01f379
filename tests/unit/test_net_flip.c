/* SPDX-License-Identifier: MIT */
/*
 * The backend rewrites its answers while the frontend reads them: at each single load in turn others
 * stand there (FE-02, FE-03, FE-15). Whichever are taken, or a mixture, what is handed over lies in
 * its pages, each packet ends once, and no word is loaded twice: the number of loads is what one
 * reading takes. What the frontend itself has written is not read back (FE-04). The core of this
 * program is built with a hook before each load.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net_peer.h"

void (*before_load)(void);

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SLOTS        4u
#define OWN          0x10000 /* of an id: as it should be */

/* Words of a slot. */
enum { TX_WORDS = 3, RX_WORDS = 2 };

static struct net_rig rig;
static struct peer peer;
static uint8_t bytes[9000];

static struct {
    uint32_t *slots; /* the ring's */
    uint32_t words, at, first;
    uint32_t (*other)[RX_WORDS];
    uint32_t loads, flip_at;
    bool counting;
} flip;

static void at_load(void)
{
    if (!flip.counting || ++flip.loads != flip.flip_at)
        return;
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint32_t *slot = flip.slots + (size_t)((flip.first + i) % 256) * flip.words;

        for (uint32_t k = 0; k < flip.words && k < RX_WORDS; k++)
            __atomic_store_n(&slot[k], flip.other[i][k], __ATOMIC_RELAXED);
    }
}

static void up(void)
{
    peer_rig_up(&peer, &rig, &(struct net_rig_options){.tx_buffers = 32, .rx_buffers = 32},
                peer_linux);
    net_rig_rest(&rig);
    peer.idle = true;
}

static void down(void)
{
    xenpv_net_close(rig.net, xenpv_mock_now(rig.mock));
    peer.idle = false;
    for (int i = 0; i < 20000 && xenpv_net_state(rig.net) < XENPV_NET_CLOSED; i++) {
        struct xenpv_completion done[4];

        net_rig_step(&rig);
        while (xenpv_netq_poll(rig.q, done, 4) > 0)
            ;
        xenpv_mock_advance(rig.mock, 1);
    }
    peer_down(&peer);
    net_rig_down_with_abandoned(&rig);
}

static void watch(const struct peer_ring *ring, uint32_t words, uint32_t (*other)[RX_WORDS],
                  uint32_t flip_at)
{
    flip.slots = (uint32_t *)(void *)ring->ring.slots;
    flip.words = words;
    flip.first = ring->ring.cons;
    flip.other = other;
    flip.flip_at = flip_at;
    flip.loads = 0;
}

/* ---- received -------------------------------------------------------------------------------- */

struct slot {
    int32_t id; /* OWN: as it should be */
    uint16_t offset, flags;
    int16_t status;
    uint32_t extra[2]; /* not zero: the words of an extra info */
};

#define MORE  XENPV_NETRXF_MORE_DATA
#define EXTRA XENPV_NETRXF_EXTRA_INFO

/* Frames of up to four slots, and lies of all kinds. */
static const struct {
    const char *name;
    struct slot slot[SLOTS];
} sets[] = {
    {"four frames",
     {{OWN, 0, 0, 60, {0}}, {OWN, 9, 0, 61, {0}}, {OWN, 0, 1, 62, {0}}, {OWN, 0, 0, 63, {0}}}},
    {"one frame",
     {{OWN, 0, MORE, 4096, {0}},
      {OWN, 8, MORE, 100, {0}},
      {OWN, 0, MORE, 1, {0}},
      {OWN, 4095, 0, 1, {0}}}},
    {"a large packet",
     {{OWN, 0, 2 | MORE | EXTRA, 4000, {0}},
      {.extra = {1 | 1500u << 16, 1}},
      {OWN, 0, MORE, 4096, {0}},
      {OWN, 0, 0, 7, {0}}}},
    {"headroom",
     {{OWN, 0, MORE | EXTRA, 4096, {0}},
      {.extra = {5 | 4000u << 16, 0}},
      {OWN, 0, 0, 4096, {0}},
      {OWN, 0, 0, 60, {0}}}},
    {"errors",
     {{OWN, 0, MORE, -1, {0}}, {OWN, 0, MORE, 9, {0}}, {OWN, 0, 0, -1, {0}}, {OWN, 0, 0, 60, {0}}}},
    {"beyond the page",
     {{OWN, 4000, 0, 97, {0}},
      {OWN, 65535, MORE, 32767, {0}},
      {OWN, 4096, 0, 1, {0}},
      {OWN, 1, 0, 4096, {0}}}},
    {"of other slots",
     {{0, 0, 0, 60, {0}}, {65535, 0, 0, 60, {0}}, {77, 0, MORE, 60, {0}}, {3, 0, 0, 60, {0}}}},
    {"senseless",
     {{.extra = {UINT32_MAX, UINT32_MAX}},
      {.extra = {UINT32_MAX, UINT32_MAX}},
      {.extra = {UINT32_MAX, UINT32_MAX}},
      {.extra = {UINT32_MAX, UINT32_MAX}}}},
};

static void make_slots(const struct slot *set, uint32_t first, uint32_t words[SLOTS][RX_WORDS])
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct slot *slot = &set[i];
        uint32_t id = slot->id == OWN ? (first + i) % 256 : (uint16_t)slot->id;

        words[i][0] = id | (uint32_t)slot->offset << 16;
        words[i][1] = slot->flags | (uint32_t)(uint16_t)slot->status << 16;
        if (slot->extra[0])
            memcpy(words[i], slot->extra, sizeof(slot->extra));
    }
}

/* Every byte is there to be read: AddressSanitizer and valgrind look. */
static void check_frame(const struct xenpv_net_frame *frame)
{
    uint32_t length = 0;

    assert_in_range(frame->count, 1, XENPV_NET_FRAGMENTS);
    for (uint32_t i = 0; i < frame->count; i++) {
        const struct xenpv_iov *part = &frame->fragment[i];

        assert_in_range(part->length, 1, 4096 - (uintptr_t)part->base % 4096);
        memcpy(bytes, part->base, part->length);
        length += (uint32_t)part->length;
    }
    assert_int_equal(frame->length, length);
}

/* Shows `count` slots of a set that become those of another at the given load: how many loads there
 * were until all were taken. */
static uint32_t receive_flipped(uint32_t set, uint32_t other, uint32_t count, uint32_t at)
{
    uint32_t words[SLOTS][RX_WORDS], others[SLOTS][RX_WORDS];
    struct peer_ring *ring = &peer.rx[0];
    struct xenpv_net_frame frames[SLOTS];
    int found;

    make_slots(sets[other].slot, ring->ring.cons, others);
    watch(ring, RX_WORDS, others, at);
    make_slots(sets[set].slot, ring->ring.cons, words);
    for (uint32_t i = 0; i < count; i++) {
        xenpv_ring_next_in(&ring->ring);
        memcpy(xenpv_ring_next_out(&ring->ring), words[i], sizeof(words[i]));
    }
    peer_show(&peer, ring, 1);
    flip.counting = true;
    found = xenpv_netq_receive(rig.q, frames, SLOTS);
    flip.counting = false;
    assert_true(found >= 0 || found == XENPV_EPARKED);
    for (int i = 0; i < found; i++) {
        check_frame(&frames[i]);
        xenpv_netq_return(rig.q, &frames[i]);
    }
    return flip.loads;
}

static uint32_t received_loads(uint32_t set, uint32_t count)
{
    uint32_t loads;

    up();
    loads = receive_flipped(set, set, count, 0);
    down();
    return loads;
}

/* FE-03, FE-15: each word of an answer is loaded once, whatever it is part of. */
static void test_FE_15_received_loads(void **state)
{
    uint32_t least = received_loads(0, 1);

    (void)state;
    for (uint32_t count = 2; count <= SLOTS; count++)
        assert_int_equal(received_loads(0, count), least + (count - 1) * RX_WORDS);
    /* Where a page comes free it is shown again, and that looks at the event index. */
    for (uint32_t set = 1; set < 5; set++)
        assert_int_equal(received_loads(set, SLOTS), least + (SLOTS - 1) * RX_WORDS + (set > 1));
}

/* FE-02, FE-03, FE-15: at each load the other set. */
static void test_FE_03_received(void **state)
{
    (void)state;
    for (uint32_t pair = 0; pair < COUNT(sets) * COUNT(sets); pair++) {
        uint32_t set = pair / COUNT(sets), other = pair % COUNT(sets), loads, at = 1;

        do {
            up();
            loads = receive_flipped(set, other, SLOTS, at);
            down();
        } while (at++ < loads);
    }
}

/* ---- sent ------------------------------------------------------------------------------------ */

/* Four packets; id and status of their answers. */
static const uint32_t answers[][SLOTS] = {
    {0, 0, 0, 0},                                   /* right ones */
    {0xffff0000, 0xfffe0000, 0x770000, 0xffff0000}, /* failures */
    {1, 1, 1, 1},                                   /* of none */
    {0x10000, 0x1ffff, 0x10000, 0x10001},           /* NULL */
    {UINT32_MAX, 0x8000, 200, 32},                  /* ids that there are not */
};

static void make_answers(uint32_t set, const uint16_t *ids, uint32_t words[SLOTS][RX_WORDS])
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        words[i][0] = set < 2 ? ids[i] | answers[set][i] : answers[set][i];
        words[i][1] = 0xa5a5a5a5;
    }
}

/* Sends, has the requests overwritten, and takes answers that become others at the given load. */
static uint32_t poll_flipped(uint32_t set, uint32_t other, uint32_t count, uint32_t at)
{
    uint32_t words[SLOTS][RX_WORDS], others[SLOTS][RX_WORDS];
    struct peer_ring *ring = &peer.tx[0];
    struct xenpv_completion done[SLOTS];
    struct peer_packet packet;
    bool ended[SLOTS] = {false};
    uint16_t ids[SLOTS];
    int found;

    for (uint32_t i = 0; i < SLOTS; i++)
        assert_int_equal(net_rig_send(&rig, bytes, 100, &ended[i]), 0);
    watch(ring, TX_WORDS, others, at);
    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_true(peer_take(&peer, 0, &packet));
        ids[i] = packet.request[0].id;
    }
    memset(ring->ring.slots, 0xa5, (size_t)256 * TX_WORDS * 4); /* FE-04 */
    make_answers(set, ids, words);
    make_answers(other, ids, others);
    for (uint32_t i = 0; i < count; i++)
        memcpy(xenpv_ring_next_out(&ring->ring), words[i], sizeof(words[i]));
    peer_show(&peer, ring, 0);
    flip.counting = true;
    found = xenpv_netq_poll(rig.q, done, SLOTS);
    flip.counting = false;
    do {
        for (int i = 0; i < found; i++) {
            bool *mine = done[i].user;

            assert_false(*mine);
            *mine = true;
        }
    } while ((found = xenpv_netq_poll(rig.q, done, SLOTS)) > 0);
    if (set == 0 && other == 0) {
        for (uint32_t i = 0; i < SLOTS; i++)
            assert_int_equal(ended[i], i < count);
    }
    return flip.loads;
}

static void test_FE_03_FE_04_answers(void **state)
{
    uint32_t loads, at, least = 0;

    (void)state;
    for (uint32_t count = 1; count <= SLOTS; count++) {
        up();
        loads = poll_flipped(0, 0, count, 0);
        least = count == 1 ? loads : least;
        assert_int_equal(loads, least + (count - 1)); /* a word each */
        down();
    }
    for (uint32_t pair = 0; pair < COUNT(answers) * COUNT(answers); pair++) {
        at = 1;
        do {
            up();
            loads = poll_flipped(pair / COUNT(answers), pair % COUNT(answers), SLOTS, at);
            down();
        } while (at++ < loads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_FE_15_received_loads),
        cmocka_unit_test(test_FE_03_received),
        cmocka_unit_test(test_FE_03_FE_04_answers),
    };

    before_load = at_load;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
