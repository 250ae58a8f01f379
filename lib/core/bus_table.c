/* SPDX-License-Identifier: MIT */
#include "bus_table.h"

#define STATES (XENPV_STATE_JUNK + 1)

#define WAIT    ACT_WAIT
#define RESTART ACT_RESTART
#define PUBLISH ACT_PUBLISH
#define CONNECT ACT_CONNECT
#define REREAD  ACT_REREAD
#define CLOSE   ACT_CLOSE
#define CLOSED  ACT_CLOSED
#define LOST    ACT_LOST
#define END     ACT_END
#define REST    ACT_REST

/* clang-format off */

/*
 * In LOOK nothing is known of a previous owner (firmware, boot loader, a process that died):
 * whatever is not waiting for a frontend is led down 5, 6 and 1 first. A junk state is never acted
 * upon: the deadline ends it.
 */
static const uint8_t frontend[XENPV_BUS_PHASES][STATES] = {
    /* the backend is   none    1 Initialising 2 InitWait 3 Initialised 4 Connected 5 Closing 6 Closed 7 Reconf. 8 Reconf.ed junk */
    [XENPV_BUS_LOOK] =      {WAIT,   RESTART, RESTART, CLOSE,   CLOSE,   CLOSED, RESTART, CLOSE, CLOSE, WAIT},
    [XENPV_BUS_RESTARTED] = {WAIT,   WAIT,    PUBLISH, PUBLISH, CLOSE,   CLOSED, WAIT,    WAIT,  WAIT,  WAIT},
    [XENPV_BUS_PUBLISHED] = {LOST,   LOST,    WAIT,    WAIT,    CONNECT, LOST,   LOST,    WAIT,  WAIT,  WAIT},
    [XENPV_BUS_CONNECTED] = {LOST,   LOST,    LOST,    WAIT,    REREAD,  LOST,   LOST,    WAIT,  REREAD, WAIT},
    [XENPV_BUS_CLOSING] =   {CLOSED, CLOSED,  CLOSED,  WAIT,    WAIT,    CLOSED, CLOSED,  WAIT,  WAIT,  WAIT},
    [XENPV_BUS_CLOSED] =    {END,    END,     END,     WAIT,    WAIT,    WAIT,   END,     WAIT,  WAIT,  WAIT},
};

/*
 * A backend offers itself to whatever frontend there is, and begins anew whenever the frontend goes
 * back to 1 after both were closed, or is on its way to a connection already: its 1 may have gone by
 * unseen. A frontend that restarts at 1 without closing is waited for: its next owner leads the
 * connection down.
 */
static const uint8_t backend[XENPV_BUS_PHASES][STATES] = {
    /* the frontend is  none    1 Initialising 2 InitWait 3 Initialised 4 Connected 5 Closing 6 Closed 7 Reconf. 8 Reconf.ed junk */
    [XENPV_BUS_LOOK] =      {WAIT,   PUBLISH, PUBLISH, PUBLISH, PUBLISH, PUBLISH, PUBLISH, PUBLISH, PUBLISH, WAIT},
    [XENPV_BUS_PUBLISHED] = {LOST,   WAIT,    WAIT,    CONNECT, CONNECT, CLOSE,   CLOSED,  WAIT,    WAIT,    WAIT},
    [XENPV_BUS_CONNECTED] = {LOST,   WAIT,    WAIT,    WAIT,    WAIT,    CLOSE,   CLOSED,  WAIT,    WAIT,    WAIT},
    [XENPV_BUS_CLOSING] =   {CLOSED, CLOSED,  WAIT,    WAIT,    WAIT,    WAIT,    CLOSED,  WAIT,    WAIT,    WAIT},
    [XENPV_BUS_CLOSED] =    {END,    PUBLISH, WAIT,    PUBLISH, PUBLISH, WAIT,    REST,    WAIT,    WAIT,    WAIT},
};

/* clang-format on */

enum bus_action bus_action(enum xenpv_bus_role role, enum xenpv_bus_phase phase, uint32_t peer)
{
    return (enum bus_action)(role == XENPV_FRONTEND ? frontend : backend)[phase][peer];
}
