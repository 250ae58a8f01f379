/* SPDX-License-Identifier: MIT */
/* Transport: a connection to the mock's xenstored. `ctx` is a struct mock_end. */
#include "links_mock.h"

#include <errno.h>
#include <stdlib.h>

struct link {
    struct xenpv_mock_wire *wire;
    bool dropped;
};

static struct link *mock_open(void *ctx, enum party party)
{
    const struct mock_end *end = ctx;
    struct link *link = calloc(1, sizeof(*link));

    (void)party;
    if (xenpv_mock_wire_open(end->mock, end->domid, &link->wire) == XENPV_OK)
        return link;
    free(link);
    return NULL;
}

static int mock_send(struct link *link, const void *bytes, size_t count)
{
    int error = xenpv_mock_wire_put(link->wire, bytes, (uint32_t)count);

    link->dropped |= error == XENPV_ESTORE;
    return error == XENPV_OK || error == XENPV_ESTORE ? 0 : EIO;
}

static long mock_receive(struct link *link, void *bytes, size_t capacity)
{
    uint32_t got = xenpv_mock_wire_get(link->wire, bytes, (uint32_t)capacity);

    if (got > 0)
        return (long)got;
    link->dropped |= xenpv_mock_wire_put(link->wire, "", 0) == XENPV_ESTORE;
    return link->dropped ? 0 : -1;
}

static void mock_close(struct link *link)
{
    xenpv_mock_wire_close(link->wire);
    free(link);
}

const struct transport mock_transport = {mock_open, mock_send, mock_receive, mock_close};
