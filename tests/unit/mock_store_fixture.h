/* SPDX-License-Identifier: MIT */
/* Short ways to ask the store of a mock machine. */
#ifndef TESTS_MOCK_STORE_FIXTURE_H
#define TESTS_MOCK_STORE_FIXTURE_H

#include "mock_fixture.h"

static inline int run(const struct xenpv_port *port, struct xenpv_store_batch *batch)
{
    return port->store->start(port->ctx, batch);
}

static inline int run_one(const struct xenpv_port *port, struct xenpv_store_op *op)
{
    struct xenpv_store_batch batch = {.ops = op, .count = 1, .status = 99};

    op->status = 99;
    assert_int_equal(run(port, &batch), XENPV_OK);
    assert_int_equal(batch.status, XENPV_OK);
    return op->status;
}

static inline int try_write(const struct xenpv_port *port, const char *path, const char *value)
{
    char copy[4200];
    size_t length = strlen(value);

    memcpy(copy, value, length);
    return run_one(port, &(struct xenpv_store_op){.type = XENPV_STORE_WRITE,
                                                  .dir = path,
                                                  .value = copy,
                                                  .length = (uint32_t)length});
}

static inline int try_other(const struct xenpv_port *port, enum xenpv_store_type type,
                            const char *path)
{
    char value[64];

    return run_one(port, &(struct xenpv_store_op){
                             .type = type, .dir = path, .value = value, .capacity = sizeof(value)});
}

static inline int try_read(const struct xenpv_port *port, const char *path)
{
    return try_other(port, XENPV_STORE_READ, path);
}

static inline void assert_value(const struct xenpv_port *port, const char *path,
                                const char *expected)
{
    char value[64] = {0};
    struct xenpv_store_op op = {
        .type = XENPV_STORE_READ, .dir = path, .value = value, .capacity = sizeof(value) - 1};

    assert_int_equal(run_one(port, &op), XENPV_OK);
    assert_int_equal(op.length, strlen(expected));
    assert_string_equal(value, expected);
}

/* The children of a node, as "a b c". */
static inline void assert_children(const struct xenpv_port *port, const char *path,
                                   const char *expected)
{
    char names[256] = {0};
    struct xenpv_store_op op = {
        .type = XENPV_STORE_LIST, .dir = path, .value = names, .capacity = sizeof(names) - 1};

    assert_int_equal(run_one(port, &op), XENPV_OK);
    for (uint32_t i = 0; i + 1 < op.length; i++)
        names[i] = names[i] == '\0' ? ' ' : names[i];
    assert_string_equal(names, expected);
}

/* A text with its NULs, the last one included, and how many bytes it has. */
#define TEXT(text) text, sizeof(text)

static inline int set_perms(const struct xenpv_port *port, const char *path, const char *text,
                            uint32_t length)
{
    char copy[4200];

    memcpy(copy, text, length);
    return run_one(
        port, &(struct xenpv_store_op){
                  .type = XENPV_STORE_SET_PERMS, .dir = path, .value = copy, .length = length});
}

/* Initializers of a struct xenpv_store_op; `text` and `buffer` are arrays that may be written. */
#define WRITE(path, text)                                                                          \
    {                                                                                              \
        .type = XENPV_STORE_WRITE, .dir = path, .value = text, .length = sizeof(text) - 1          \
    }
#define RM(path)                                                                                   \
    {                                                                                              \
        .type = XENPV_STORE_RM, .dir = path                                                        \
    }
#define READ(path, buffer)                                                                         \
    {                                                                                              \
        .type = XENPV_STORE_READ, .dir = path, .value = buffer, .capacity = sizeof(buffer)         \
    }

#endif
