/* SPDX-License-Identifier: MIT */
/* What a driver may put and ask: as many keys as the largest device has, rounds, long ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define QUEUES 64u
#define REFS   16u
#define ROOM   (QUEUES * (REFS + 2) + 2)

/* A device of 64 queues, each with 16 ring references and a channel. */
struct large {
    struct bus_rig rig;
    struct xenpv_store_op ops[ROOM + XENPV_BUS_ROWS];
    struct xenpv_bus_row rows[ROOM + XENPV_BUS_ROWS];
    uint32_t queues;
};

static struct large large;
static int (*rig_publish)(void *owner);
static void (*rig_clean)(void *owner);

static void large_clean(void *owner)
{
    struct bus_front *front = owner;
    char name[24];

    rig_clean(owner);
    for (uint32_t i = 0; i < QUEUES; i++) {
        snprintf(name, sizeof(name), "queue-%u", i);
        assert_int_equal(xenpv_bus_remove(&front->bus, name), XENPV_OK);
    }
}

static int large_publish(void *owner)
{
    struct bus_front *front = owner;
    int error = rig_publish(owner);

    for (uint32_t i = 0; i < large.queues * (REFS + 1) && !error; i++) {
        uint32_t queue = i / (REFS + 1), key = i % (REFS + 1);
        char name[40];

        if (key == REFS)
            snprintf(name, sizeof(name), "queue-%u/event-channel", queue);
        else
            snprintf(name, sizeof(name), "queue-%u/ring-ref%u", queue, key);
        error = xenpv_bus_put_number(&front->bus, name, 1000 + i);
    }
    return error;
}

static void large_up(uint32_t room)
{
    struct bus_front *front = &large.rig.front;

    large.queues = QUEUES;
    bus_rig_up(&large.rig);
    rig_publish = front->driver.publish;
    rig_clean = front->driver.clean;
    front->driver.publish = large_publish;
    front->driver.clean = large_clean;
    front->config.ops = large.ops;
    front->config.rows = large.rows;
    front->config.room = room;
    assert_int_equal(xenpv_bus_init(&front->bus, &front->config), XENPV_OK);
}

static int published(uint32_t queue, const char *key)
{
    char name[40];

    snprintf(name, sizeof(name), "queue-%u/%s", queue, key);
    return bus_rig_get(&large.rig, BUS_RIG_FRONT, name);
}

/* All of them arrive, those of an owner of before are gone, and so are ours at the end. */
static void test_as_many_keys_as_there_are(void **state)
{
    (void)state;
    for (int transactions = 0; transactions < 2; transactions++) {
        large_up(ROOM + QUEUES);
        if (!transactions)
            large.rig.front.port.caps &= ~(uint32_t)XENPV_CAP_TRANSACTIONS;
        bus_rig_set(&large.rig, BUS_RIG_FRONT, "queue-7/ring-ref16", "1");
        bus_rig_set(&large.rig, BUS_RIG_FRONT, "queue-63/ring-ref", "1");
        bus_rig_connect(&large.rig);
        for (uint32_t i = 0; i < QUEUES; i++) {
            assert_int_equal(published(i, "ring-ref0"), 1000 + i * (REFS + 1));
            assert_int_equal(published(i, "ring-ref15"), 1000 + i * (REFS + 1) + 15);
            assert_int_equal(published(i, "event-channel"), 1000 + i * (REFS + 1) + REFS);
        }
        assert_int_equal(published(7, "ring-ref16"), -1);
        assert_int_equal(published(63, "ring-ref"), -1);
        /* Less of them next time: what was more is gone. */
        large.queues = 3;
        xenpv_bus_start(&large.rig.back.bus, XENPV_GOAL_CLOSE, bus_rig_now(&large.rig));
        large.rig.back.returns = true;
        assert_true(bus_rig_run(&large.rig, 1000, bus_rig_recovering));
        assert_true(bus_rig_run(&large.rig, 1000, bus_rig_connected));
        assert_int_equal(published(2, "ring-ref0"), 1000 + 2 * (REFS + 1));
        assert_int_equal(published(3, "ring-ref0"), -1);
        bus_rig_close(&large.rig);
        assert_int_equal(published(0, "ring-ref0"), -1);
        bus_rig_down(&large.rig);
    }
}

/* One more than there is room for: that is told, and not a key is written. */
static void test_no_room(void **state)
{
    static const struct {
        uint32_t room;
        int error;
    } table[] = {{ROOM + QUEUES, XENPV_OK}, {ROOM + 2, XENPV_OK}, {ROOM + 1, XENPV_E2BIG}};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        large_up(table[i].room);
        assert_int_equal(xenpv_bus_start(&large.rig.front.bus, XENPV_GOAL_CONNECT, 0), XENPV_OK);
        bus_rig_run(&large.rig, 1000, bus_rig_settled);
        assert_int_equal(large.rig.front.bus.detail.error, table[i].error);
        if (table[i].error)
            assert_int_equal(bus_rig_get(&large.rig, BUS_RIG_FRONT, "ring-ref"), -1);
        bus_rig_close(&large.rig);
        bus_rig_down(&large.rig);
    }
}

/* Names and texts of all lengths. */
static int put_error;
static char put_name[48], put_text[64];

static int publish_one(void *owner)
{
    struct bus_front *front = owner;

    put_error = xenpv_bus_put_text(&front->bus, put_name, put_text);
    return rig_publish(owner);
}

static void test_long_names_and_texts(void **state)
{
    (void)state;
    for (size_t name = 38; name < 42; name++) {
        for (size_t text = 38; text < 42; text++) {
            struct bus_rig rig;
            bool fits = name < 40 && text < XENPV_KEY_TEXT_MAX;

            bus_rig_up(&rig);
            rig_publish = rig.front.driver.publish;
            rig.front.driver.publish = publish_one;
            memset(put_name, 'n', sizeof(put_name));
            memset(put_text, 't', sizeof(put_text));
            put_name[name] = put_text[text] = '\0';
            assert_int_equal(xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CONNECT, 0), XENPV_OK);
            bus_rig_run(&rig, 1000, bus_rig_settled);
            assert_int_equal(put_error, fits ? XENPV_OK : XENPV_E2BIG);
            assert_int_equal(bus_rig_connected(&rig), fits);
            bus_rig_close(&rig);
            bus_rig_down(&rig);
        }
    }
}

/* A question that has more keys than there are rows is refused at once. */
static void test_no_room_for_a_question(void **state)
{
    struct bus_rig rig;

    (void)state;
    bus_rig_up(&rig);
    rig.front.config.room = 0;
    assert_int_equal(xenpv_bus_init(&rig.front.bus, &rig.front.config), XENPV_EINVAL);
    rig.front.config.room = 1;
    assert_int_equal(xenpv_bus_init(&rig.front.bus, &rig.front.config), XENPV_OK);
    bus_rig_down(&rig);
}

/* ---- more ------------------------------------------------------------------------------------ */

#define ROUNDS 5u

static struct {
    uint32_t rounds, calls, asked; /* asked: keys of the next round */
    int error;
    struct xenpv_key_value values[ROUNDS][4];
} more;

static const struct xenpv_key required = {NULL, XENPV_KEY_NUMBER, true, 7, 1, 100};
static const struct xenpv_key optional = {NULL, XENPV_KEY_NUMBER, false, 7, 1, 100};

/* Round n asks for n + 1 keys, the first of them required. */
static int ask_more(void *owner, uint32_t round)
{
    struct bus_front *front = owner;

    assert_int_equal(round, more.calls++);
    assert_int_not_equal(front->queue, QUEUE_RUNS);
    for (uint32_t i = 0; round < more.rounds && i <= round; i++) {
        char name[24];

        snprintf(name, sizeof(name), "more-%u/key-%u", round, i);
        assert_int_equal(
            xenpv_bus_ask(&front->bus, name, i ? &optional : &required, &more.values[round][i]),
            XENPV_OK);
        memset(name, 'x', sizeof(name)); /* it was copied */
    }
    return round == more.rounds ? more.error : XENPV_OK;
}

static void more_up(struct bus_rig *rig, uint32_t rounds, int error)
{
    memset(&more, 0, sizeof(more));
    more.rounds = rounds;
    more.error = error;
    bus_rig_up(rig);
    rig->front.driver.more = ask_more;
}

static void offer_more(struct bus_rig *rig, uint32_t round, uint32_t key, const char *value)
{
    char name[24];

    snprintf(name, sizeof(name), "more-%u/key-%u", round, key);
    bus_rig_set(rig, rig->back.path, name, value);
}

/* Keys whose names follow from the answer, round by round; each is judged like any other. */
static void test_more_in_rounds(void **state)
{
    (void)state;
    for (uint32_t rounds = 0; rounds < 4; rounds++) {
        struct bus_rig rig;

        more_up(&rig, rounds, XENPV_OK);
        for (uint32_t i = 0; i < 3; i++)
            offer_more(&rig, i, 0, "42");
        offer_more(&rig, 1, 1, "junk");
        offer_more(&rig, 2, 1, "99");
        xenpv_mock_set_store_delay(rig.mock, 1, 2);
        bus_rig_connect(&rig);
        assert_int_equal(more.calls, rounds + 1);
        for (uint32_t i = 0; i < rounds; i++)
            assert_int_equal(more.values[i][0].number, 42);
        if (rounds > 2) {
            assert_int_equal(more.values[1][1].status, XENPV_KEY_JUNK);
            assert_int_equal(more.values[1][1].number, 7);
            assert_int_equal(more.values[2][1].number, 99);
            assert_int_equal(more.values[2][2].status, XENPV_KEY_ABSENT);
        }
        bus_rig_close(&rig);
        bus_rig_down(&rig);
    }
}

/* One that is required makes no sense, or the driver says no. */
static void test_more_fails(void **state)
{
    static const struct {
        const char *value;
        int driver, error;
    } table[] = {
        {NULL, XENPV_OK, XENPV_EPEER},       {"0", XENPV_OK, XENPV_EBROKEN},
        {"1", XENPV_EBROKEN, XENPV_EBROKEN}, {"1", XENPV_ENOTSUP, XENPV_ENOTSUP},
        {"1", XENPV_OK, XENPV_OK},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct bus_rig rig;

        more_up(&rig, 1, table[i].driver);
        if (table[i].value)
            offer_more(&rig, 0, 0, table[i].value);
        assert_int_equal(xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CONNECT, 0), XENPV_OK);
        bus_rig_run(&rig, 1000, bus_rig_settled);
        assert_int_equal(rig.front.bus.detail.error, table[i].error);
        assert_int_equal(rig.front.connected_times, table[i].error == XENPV_OK);
        bus_rig_close(&rig);
        bus_rig_down(&rig);
    }
}

/* Closed, or left by the peer, at any moment: between two rounds, too. */
static void test_more_is_overtaken(void **state)
{
    uint32_t during = 0;

    (void)state;
    for (uint64_t moment = 0; moment < 2 * 60; moment++) {
        struct bus_rig rig;
        bool closed = moment % 2;
        uint32_t connected;

        more_up(&rig, 3, XENPV_OK);
        for (uint32_t i = 0; i < 3; i++)
            offer_more(&rig, i, 0, "42");
        xenpv_mock_set_store_delay(rig.mock, 1, 3);
        assert_int_equal(xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CONNECT, 0), XENPV_OK);
        bus_rig_pass(&rig, moment / 2);
        connected = rig.front.connected_times;
        during += more.calls > 1 && !connected;
        if (closed)
            xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CLOSE, bus_rig_now(&rig));
        else {
            bus_rig_kill_back(&rig);
            assert_int_equal(xenpv_mock_rm(rig.mock, rig.back.path), XENPV_OK);
        }
        bus_rig_run(&rig, 1000, bus_rig_done);
        assert_int_equal(rig.front.connected_times, connected);
        if (closed)
            assert_int_equal(rig.front.bus.detail.error, XENPV_OK);
        else if (rig.front.bus.detail.error) /* it is not the driver's key that is blamed */
            assert_null(strstr(rig.front.bus.detail.key, "more-"));
        bus_rig_close(&rig);
        bus_rig_down(&rig);
    }
    assert_in_range(during, 10, 60);
}

/* A backend asks as well: that is where queue-N/ring-ref is read. */
static int backend_asks_more(void *owner, uint32_t round)
{
    struct bus_back *back = owner;

    more.calls++;
    for (uint32_t i = 0; round == 0 && i < 3; i++) {
        char name[24];

        snprintf(name, sizeof(name), "queue-%u/ring-ref", i);
        assert_int_equal(xenpv_bus_ask(&back->bus, name, &required, &more.values[0][i]), XENPV_OK);
    }
    return XENPV_OK;
}

static void test_more_of_a_backend(void **state)
{
    (void)state;
    for (uint32_t missing = 0; missing < 4; missing++) {
        struct bus_rig rig;

        more_up(&rig, 0, XENPV_OK);
        rig.front.driver.more = NULL;
        bus_rig_kill_back(&rig);
        rig.back.driver.more = backend_asks_more;
        bus_rig_start_back(&rig);
        for (uint32_t i = 0; i < 3; i++) {
            char name[24];

            snprintf(name, sizeof(name), "queue-%u/ring-ref", i);
            if (i != missing)
                bus_rig_set(&rig, BUS_RIG_FRONT, name, "9");
        }
        assert_int_equal(xenpv_bus_start(&rig.front.bus, XENPV_GOAL_CONNECT, 0), XENPV_OK);
        bus_rig_run(&rig, 1000, bus_rig_settled);
        assert_int_equal(bus_rig_connected(&rig), missing == 3);
        assert_int_equal(more.calls, missing == 3 ? 2 : 1);
        if (missing != 3)
            assert_int_equal(rig.back.bus.detail.error, XENPV_EPEER);
        bus_rig_close(&rig);
        bus_rig_down(&rig);
    }
}

/* After a loss the rounds begin anew, of a backend that has others. */
static void test_more_of_the_next_backend(void **state)
{
    struct bus_rig rig;

    (void)state;
    more_up(&rig, 2, XENPV_OK);
    offer_more(&rig, 0, 0, "1");
    offer_more(&rig, 1, 0, "2");
    bus_rig_connect(&rig);
    assert_int_equal(more.calls, 3);
    more.calls = 0;
    more.rounds = 1;
    offer_more(&rig, 0, 0, "3");
    bus_rig_kill_back(&rig);
    bus_rig_set(&rig, rig.back.path, "state", "6");
    assert_true(bus_rig_run(&rig, 100, bus_rig_recovering));
    bus_rig_start_back(&rig);
    assert_true(bus_rig_run(&rig, 2000, bus_rig_connected));
    assert_int_equal(more.calls, 2);
    assert_int_equal(more.values[0][0].number, 3);
    bus_rig_close(&rig);
    bus_rig_down(&rig);
}

/* ---- long keys ------------------------------------------------------------------------------- */

static const struct xenpv_key long_keys[] = {
    {"sectors", XENPV_KEY_NUMBER, true, 0, 0, UINT64_MAX},
    {"serial", XENPV_KEY_LONG, false, 0, 0, 0},
};

/* Bytes of any kind and length, up to what its owner has room for. */
static void test_long_keys(void **state)
{
    static const struct {
        uint32_t length; /* UINT32_MAX: there is none */
        enum xenpv_key_status status;
        uint32_t found;
    } table[] = {{UINT32_MAX, XENPV_KEY_ABSENT, 0}, {0, XENPV_KEY_GOOD, 0},
                 {39, XENPV_KEY_GOOD, 39},          {40, XENPV_KEY_GOOD, 40},
                 {99, XENPV_KEY_GOOD, 99},          {100, XENPV_KEY_GOOD, 100},
                 {101, XENPV_KEY_JUNK, 100},        {2000, XENPV_KEY_JUNK, 100}};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct bus_rig rig;
        struct xenpv_key_value *value = &rig.front.answer[1];
        char bytes[104], found[2001] = {0};

        bus_rig_up(&rig);
        rig.front.driver.ask[XENPV_ASK_ANSWER].keys = long_keys;
        rig.front.driver.ask[XENPV_ASK_ANSWER].count = 2;
        assert_int_equal(xenpv_bus_init(&rig.front.bus, &rig.front.config), XENPV_OK);
        memset(bytes, '~', sizeof(bytes));
        value->bytes = bytes;
        value->capacity = 100;
        value->length = 9999;
        for (uint32_t k = 0; k < table[i].length && k < sizeof(found) - 1; k++)
            found[k] = k % 3 ? (char)('a' + k % 26) : '\t';
        if (table[i].length != UINT32_MAX) {
            found[table[i].length] = '\0';
            bus_rig_set(&rig, rig.back.path, "serial", found);
        }
        bus_rig_connect(&rig);
        assert_int_equal(value->status, table[i].status);
        assert_int_equal(value->length, table[i].found);
        assert_memory_equal(bytes, found, table[i].found);
        for (size_t k = table[i].found; k < sizeof(bytes); k++)
            assert_int_equal(bytes[k], '~');
        assert_int_equal(strlen(value->text), table[i].found < XENPV_KEY_TEXT_MAX - 1
                                                  ? table[i].found
                                                  : XENPV_KEY_TEXT_MAX - 1);
        if (table[i].found > 1)
            assert_memory_equal(value->text, "?b", 2);
        bus_rig_close(&rig);
        bus_rig_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_keys_as_there_are),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_long_names_and_texts),
        cmocka_unit_test(test_no_room_for_a_question),
        cmocka_unit_test(test_more_in_rounds),
        cmocka_unit_test(test_more_fails),
        cmocka_unit_test(test_more_is_overtaken),
        cmocka_unit_test(test_more_of_a_backend),
        cmocka_unit_test(test_more_of_the_next_backend),
        cmocka_unit_test(test_long_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
