/* SPDX-License-Identifier: MIT */
#ifndef STORE_LINKS_MOCK_H
#define STORE_LINKS_MOCK_H

#include "links_client.h"
#include <xenpv/harness/mock.h>

struct mock_end {
    struct xenpv_mock *mock;
    uint16_t domid;
};
extern const struct transport mock_transport;

/* The ring page of a domain. */
struct mock_ring {
    struct mock_end *end;
    struct xenpv_port port;
    uint32_t event_port;
    bool anew; /* each who joins it finds it as new */
};
struct ring mock_ring(struct mock_ring *ring);

#endif
