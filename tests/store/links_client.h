/* SPDX-License-Identifier: MIT */
/* Transport: xenpv's store client on a ring page. `ctx` is a struct ring. */
#ifndef STORE_LINKS_CLIENT_H
#define STORE_LINKS_CLIENT_H

#include "suite.h"
#include <xenpv/xs.h>

/* A ring page, and who serves it. */
struct ring {
    void *ctx;
    /* Fills in the page, the event port, the event calls and their context. */
    bool (*join)(void *ctx, struct xenpv_xs_config *config);
    /* Until there has been an event; false: none for ten seconds. */
    bool (*wait)(void *ctx);
    void (*leave)(void *ctx);
};
extern const struct transport client_transport;

#endif
