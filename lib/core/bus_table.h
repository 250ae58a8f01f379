/* SPDX-License-Identifier: MIT */
/* The handshake's tables; docs/handshake.md explains them row by row. */
#ifndef XENPV_BUS_TABLE_H
#define XENPV_BUS_TABLE_H

#include <xenpv/bus.h>

enum bus_action {
    ACT_WAIT,    /* nothing to do until the peer moves */
    ACT_RESTART, /* own state 1: let us begin anew */
    ACT_PUBLISH, /* read the offer, share what is to be shared, publish it */
    ACT_CONNECT, /* read the answer, own state 4 */
    ACT_REREAD,  /* the peer wrote state 4 once more: read its properties again */
    ACT_CLOSE,   /* stop the data path, own state 5 */
    ACT_CLOSED,  /* stop the data path, own state 6 */
    ACT_LOST,    /* the peer left a connection that we did not close: give it up */
    ACT_END,     /* both ends are closed: take back what was shared */
    ACT_REST,    /* a backend both of whose ends are closed: end if we are to, else wait */
};

/* `peer` is 0..8 or XENPV_STATE_JUNK. */
enum bus_action bus_action(enum xenpv_bus_role role, enum xenpv_bus_phase phase, uint32_t peer);

#endif
