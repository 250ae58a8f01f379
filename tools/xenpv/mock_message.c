/* SPDX-License-Identifier: MIT */
#include "mock_message.h"

#include <string.h>

#define HOME "/local/domain/1/data/message/" /* of MOCK_GUEST */

static int run(const struct mock_message *end, struct xenpv_store_op *op)
{
    struct xenpv_store_batch batch = {.ops = op, .count = 1};

    return end->port->store->start(end->port->ctx, &batch) || batch.status ? XENPV_ESTORE
                                                                           : op->status;
}

/* The first name in a directory; false: there is none. */
static bool first(const struct mock_message *end, const char *path, char *name, uint32_t capacity,
                  uint32_t skip)
{
    char names[XENPV_STORE_VALUE_MAX];
    struct xenpv_store_op op = {
        .type = XENPV_STORE_LIST, .dir = path, .value = names, .capacity = sizeof(names)};

    if (run(end, &op) != 0)
        return false;
    for (uint32_t at = 0; at < op.length; at += (uint32_t)strlen(names + at) + 1)
        if (skip-- == 0) {
            size_t length = strlen(names + at);

            if (length >= capacity)
                return false;
            memcpy(name, names + at, length + 1);
            return true;
        }
    return false;
}

int mock_message_open(struct mock_message *end, const struct xenpv_port *port, bool outside,
                      char *text)
{
    char *value = strchr(text, '=');
    char path[128];
    struct xenpv_store_op op = {.type = XENPV_STORE_WRITE, .dir = path};

    *end = (struct mock_message){.port = port, .outside = outside};
    snprintf(path, sizeof(path), HOME "%s/%.*s/0", outside ? "to-guest" : "from-guest",
             (int)(value - text), text);
    op.length = (uint32_t)strlen(value + 1);
    op.value = value + 1;
    return run(end, &op);
}

bool mock_message_step(struct mock_message *end)
{
    char dir[64], path[160], deep[256], key[80], id[80];
    bool moved = false;

    snprintf(dir, sizeof(dir), HOME "%s", end->outside ? "from-guest" : "to-guest");
    for (uint32_t at = 0; end->port && first(end, dir, key, sizeof(key), at); at++) {
        snprintf(path, sizeof(path), "%s/%s", dir, key);
        while (first(end, path, id, sizeof(id), 0)) {
            struct xenpv_store_op op = {.type = XENPV_STORE_RM, .dir = deep};

            snprintf(deep, sizeof(deep), "%s/%s", path, id);
            if (run(end, &op) != 0)
                return moved;
            moved = true;
        }
    }
    return moved;
}
