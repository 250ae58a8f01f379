/* SPDX-License-Identifier: MIT */
/*
 * Requests of all kinds at random, whole, cut and made up, over wires and ring pages, while domains
 * come, go and sleep, xenstored is restarted and memory runs out. Nothing is touched that should
 * not be, what is answered has the form of an answer, and all memory comes back.
 */
#include "mock_wire_fixture.h"

#define WIRES 5u

static struct machine machine;
static uint32_t seed;
static struct xenpv_mock_wire *wires[WIRES];
static struct reader {
    struct wire_message message;
    uint32_t got;
} readers[WIRES];
static uint8_t *page;
static uint32_t port;

static uint32_t random_number(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* What a request of a type is made of: each letter is a string of that kind. */
static const char *const grammar[] = {
    [CONTROL] = "c",
    [DIRECTORY] = "p",
    [READ_NODE] = "p",
    [GET_PERMS] = "p",
    [WATCH] = "pt",
    [UNWATCH] = "pt",
    [TRANSACTION_START] = "e",
    [TRANSACTION_END] = "f",
    [INTRODUCE] = "ddd",
    [RELEASE] = "d",
    [GET_DOMAIN_PATH] = "d",
    [WRITE_NODE] = "pt",
    [MKDIR] = "p",
    [REMOVE] = "p",
    [SET_PERMS] = "pmm",
    [WATCH_EVENT] = "pt",
    [ERROR_TEXT] = "t",
    [IS_DOMAIN_INTRODUCED] = "d",
    [RESUME] = "d",
    [SET_TARGET] = "dd",
    [SET_TARGET + 1] = "d",
    [RESET_WATCHES] = "e",
    [DIRECTORY_PART] = "pd",
};

static const struct {
    char kind;
    const char *texts[9];
} texts_of[] = {
    {'p',
     {"/local/domain/7/data/x", "data/x", "data/x/y", "data", "/a/b/c", "/a", "/", "@releaseDomain",
      "/local/domain/8/data/z"}},
    {'t', {"1", "2", "3", "a value", "", "token", "1", "2", "3"}},
    {'d', {"7", "8", "8", "8", "1", "9", "-1", "65535", "7"}},
    {'f', {"T", "T", "T", "F", "T", "", "T", "F", "x"}},
    {'m', {"n7", "b8", "r8", "n8", "w0", "n0", "b7", "r9", "z"}},
    {'c', {"check", "log", "print", "on", "off", "memreport", "", "1", "2"}},
    {'e', {"", "", "", "", "", "", "", "x", ""}},
};

static uint32_t add(char *payload, uint32_t length, char kind)
{
    uint32_t i = 0;

    while (texts_of[i].kind != kind)
        i++;

    const char *text = texts_of[i].texts[random_number(9)];

    strcpy(payload + length, text);
    return length + (uint32_t)strlen(text) + (random_number(50) != 0);
}

static uint32_t make_message(struct wire_message *message)
{
    static const uint32_t often[] = {TRANSACTION_START, TRANSACTION_END, WRITE_NODE, REMOVE};
    uint32_t type = random_number(2) ? random_number(COUNT(grammar)) : often[random_number(4)];
    uint32_t length = 0;

    memset(message, 0, sizeof(*message));
    for (const char *kind = grammar[type]; *kind != '\0'; kind++)
        length = add(message->payload, length, random_number(50) ? *kind : 't');
    if (random_number(200) == 0)
        length = random_number(4097);
    message->type = random_number(200) ? type : seed;
    message->request = seed;
    message->transaction = type == TRANSACTION_START || random_number(2) ? 0 : random_number(9);
    message->length = random_number(1000) ? length : seed;
    return WIRE_HEADER + length;
}

/* What is answered has a length, an error has a name, and an event two strings. */
static void read_some(uint32_t i)
{
    struct reader *reader = &readers[i];
    uint32_t whole = WIRE_HEADER + (reader->got < WIRE_HEADER ? 0 : reader->message.length);
    uint32_t count = whole - reader->got;

    if (random_number(8) == 0)
        count = 1;
    reader->got += xenpv_mock_wire_get(wires[i], (char *)&reader->message + reader->got, count);
    if (reader->got < WIRE_HEADER)
        return;
    assert_in_range(reader->message.length, 0, 4096);
    if (reader->got < WIRE_HEADER + reader->message.length)
        return;
    assert_in_range(reader->message.type, 0, 22);
    if (reader->message.type == ERROR_TEXT)
        assert_int_equal(reader->message.payload[0], 'E');
    if (reader->message.type == WATCH_EVENT)
        assert_int_equal(reader->message.payload[reader->message.length - 1], '\0');
    reader->got = 0;
}

static void guest_plays_with_its_page(void)
{
    uint32_t *words = (uint32_t *)(void *)page;
    struct wire_message message;
    uint32_t bytes;

    switch (random_number(14)) {
    case 0:
        words[512 + random_number(7)] += random_number(2) ? random_number(1100) : seed;
        break;
    case 1:
        words[517] = 1;
        break;
    case 2:
        page[random_number(4096)] = (uint8_t)seed;
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        words[514] = words[515];
        break;
    default:
        bytes = make_message(&message);
        for (uint32_t i = 0; i < bytes && words[513] - words[512] < 1024; i++)
            page[words[513]++ % 1024] = ((uint8_t *)&message)[i];
    }
    (void)machine.guest.event->notify(machine.guest.ctx, port);
}

static void toolstack_acts(void)
{
    switch (random_number(9)) {
    case 0:
        (void)xenpv_mock_remove_domain(machine.mock, 8);
        break;
    case 1:
    case 2:
        (void)xenpv_mock_add_domain(machine.mock, 8);
        break;
    case 3:
        (void)xenpv_mock_suspend(machine.mock, 7);
        if (random_number(2))
            (void)xenpv_mock_wire_ring(machine.mock, 7, (void **)&page, &port);
        break;
    case 4:
        (void)xenpv_mock_store_restart(machine.mock, random_number(2));
        break;
    case 5:
        (void)xenpv_mock_set_store_delay(machine.mock, 7, random_number(3) * 10);
        break;
    case 6:
        (void)xenpv_mock_set_conflicts(machine.mock, 7, random_number(3));
        break;
    default:
        xenpv_mock_advance(machine.mock, random_number(3) ? 7 : 21000);
    }
}

static void reopen(uint32_t i)
{
    static const uint16_t domids[WIRES] = {0, 7, 7, 8, 0};

    xenpv_mock_wire_close(wires[i]);
    wires[i] = NULL;
    readers[i].got = 0;
    (void)xenpv_mock_wire_open(machine.mock, domids[i], &wires[i]);
}

static void act(void)
{
    uint32_t i = random_number(WIRES);
    struct wire_message message;
    uint32_t bytes;

    switch (random_number(16)) {
    case 0:
        if (random_number(6) == 0)
            toolstack_acts();
        break;
    case 1:
        if (random_number(10) == 0 || !wires[i])
            reopen(i);
        break;
    case 2:
        machine.fail_in = random_number(10) ? 0 : 1 + random_number(12);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        guest_plays_with_its_page();
        break;
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
        bytes = make_message(&message);
        if (wires[i])
            (void)xenpv_mock_wire_put(wires[i], &message,
                                      random_number(200) ? bytes : random_number(bytes));
        break;
    default:
        if (wires[i])
            read_some(i);
    }
}

static void test_random_clients(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 300; round++) {
        seed = round;
        machine_start(&machine, &default_limits);
        assert_int_equal(xenpv_mock_wire_ring(machine.mock, 7, (void **)&page, &port), XENPV_OK);
        for (uint32_t i = 0; i < WIRES; i++)
            reopen(i);
        for (uint32_t step = 0; step < 1500; step++)
            act();
        machine.fail_in = 0;
        for (uint32_t i = 0; i < WIRES; i++) {
            xenpv_mock_wire_close(wires[i]);
            wires[i] = NULL;
        }
        machine_stop(&machine, machine.misuses);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
