/* SPDX-License-Identifier: MIT */
/* --mock-backend message=: who is at the other end of "xenpv message" on the mock. */
#ifndef XENPV_MOCK_MESSAGE_H
#define XENPV_MOCK_MESSAGE_H

#include "mock_disk.h"

struct mock_message {
    const struct xenpv_port *port; /* NULL: nobody is there */
    bool outside;                  /* it is domain 0 */
};

/* Puts the first message, "KEY=VALUE". */
int mock_message_open(struct mock_message *end, const struct xenpv_port *port, bool outside,
                      char *text);

/* Receives all there are: true when there was one. */
bool mock_message_step(struct mock_message *end);

#endif
