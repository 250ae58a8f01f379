/* SPDX-License-Identifier: MIT */
/* Talks to the mock's xenstored in messages of xs_wire.h. */
#ifndef TESTS_MOCK_WIRE_FIXTURE_H
#define TESTS_MOCK_WIRE_FIXTURE_H

#include "mock_store_fixture.h"

enum {
    CONTROL,
    DIRECTORY,
    READ_NODE,
    GET_PERMS,
    WATCH,
    UNWATCH,
    TRANSACTION_START,
    TRANSACTION_END,
    INTRODUCE,
    RELEASE,
    GET_DOMAIN_PATH,
    WRITE_NODE,
    MKDIR,
    REMOVE,
    SET_PERMS,
    WATCH_EVENT,
    ERROR_TEXT,
    IS_DOMAIN_INTRODUCED,
    RESUME,
    SET_TARGET,
    RESET_WATCHES = SET_TARGET + 2,
    DIRECTORY_PART,
};

/* struct xsd_sockmsg, and what follows it. */
struct wire_message {
    uint32_t type, request, transaction, length;
    char payload[4200];
};

#define WIRE_HEADER 16u

/* A payload with its NULs: the last one of a text is its terminator. */
#define NUL(text) text, sizeof(text)
/* Without the last NUL. */
#define RAW(text) text, sizeof(text) - 1

static inline struct xenpv_mock_wire *open_wire(struct machine *machine, uint16_t domid)
{
    struct xenpv_mock_wire *wire = NULL;

    assert_int_equal(xenpv_mock_wire_open(machine->mock, domid, &wire), XENPV_OK);
    return wire;
}

static inline uint32_t compose(struct wire_message *message, uint32_t type, uint32_t request,
                               uint32_t transaction, const void *payload, uint32_t length)
{
    *message = (struct wire_message){type, request, transaction, length, {0}};
    memcpy(message->payload, payload, length);
    return WIRE_HEADER + length;
}

static inline void put(struct xenpv_mock_wire *wire, uint32_t type, uint32_t transaction,
                       const void *payload, uint32_t length)
{
    struct wire_message message;
    uint32_t bytes = compose(&message, type, 77, transaction, payload, length);

    assert_int_equal(xenpv_mock_wire_put(wire, &message, bytes), XENPV_OK);
}

/* The next message; false: there is none. */
static inline bool get(struct xenpv_mock_wire *wire, struct wire_message *message)
{
    memset(message, 0, sizeof(*message));
    if (xenpv_mock_wire_get(wire, message, WIRE_HEADER) == 0)
        return false;
    assert_in_range(message->length, 0, 4096);
    assert_int_equal(xenpv_mock_wire_get(wire, message->payload, message->length), message->length);
    return true;
}

static inline void assert_message(struct xenpv_mock_wire *wire, uint32_t type, const void *payload,
                                  uint32_t length)
{
    struct wire_message message;

    assert_true(get(wire, &message));
    if (message.type == ERROR_TEXT && type != ERROR_TEXT)
        fail_msg("the answer is %s", message.payload);
    assert_int_equal(message.type, type);
    assert_int_equal(message.length, length);
    assert_memory_equal(message.payload, payload, length);
}

static inline void assert_nothing(struct xenpv_mock_wire *wire)
{
    struct wire_message message;

    if (get(wire, &message))
        fail_msg("a message of type %u: %s", message.type, message.payload);
}

/* An event for `path` and `token`. */
static inline void assert_event(struct xenpv_mock_wire *wire, const char *path, const char *token)
{
    struct wire_message message;

    assert_true(get(wire, &message));
    assert_int_equal(message.type, WATCH_EVENT);
    assert_int_equal(message.request, 0);
    assert_int_equal(message.transaction, 0);
    assert_string_equal(message.payload, path);
    assert_string_equal(message.payload + strlen(path) + 1, token);
    assert_int_equal(message.length, strlen(path) + strlen(token) + 2);
}

/* Asks, and answers with the text of the error, or "" where there was none. */
static inline const char *ask(struct xenpv_mock_wire *wire, uint32_t type, uint32_t transaction,
                              const void *payload, uint32_t length)
{
    static struct wire_message answer;

    put(wire, type, transaction, payload, length);
    assert_true(get(wire, &answer));
    assert_int_equal(answer.request, 77);
    assert_int_equal(answer.transaction, transaction);
    if (answer.type != ERROR_TEXT)
        assert_int_equal(answer.type, type);
    return answer.type == ERROR_TEXT ? answer.payload : "";
}

static inline uint32_t start_transaction(struct xenpv_mock_wire *wire)
{
    struct wire_message answer;

    put(wire, TRANSACTION_START, 0, "", 1);
    assert_true(get(wire, &answer));
    assert_int_equal(answer.type, TRANSACTION_START);
    return (uint32_t)strtoul(answer.payload, NULL, 10);
}

#endif
