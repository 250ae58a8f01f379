/* SPDX-License-Identifier: MIT */
/*
 * The neighbour: a guest of the mock at the other end of a pair, with a frontend of ours, that
 * answers at the addresses that the lab's backends have, 10.77.K.1 and fd77:K::1 for vif/K.
 */
#ifndef XENPV_MOCK_NEIGHBOUR_H
#define XENPV_MOCK_NEIGHBOUR_H

#include <xenpv/harness/mock.h>

#define MOCK_NEIGHBOUR 2u /* its domain */

struct mock_neighbour;

/* NULL: no memory. `port` is of its domain, and outlives it. */
struct mock_neighbour *mock_neighbour_make(const struct xenpv_port *port, uint32_t number,
                                           const uint8_t mac[6]);

/* True when something moved. */
bool mock_neighbour_step(struct mock_neighbour *neighbour, uint64_t now);

void mock_neighbour_end(struct mock_neighbour *neighbour, uint64_t now);
bool mock_neighbour_is_done(const struct mock_neighbour *neighbour);
void mock_neighbour_free(struct mock_neighbour *neighbour);

#endif
