/* SPDX-License-Identifier: MIT */
/* The commands that an agent runs: --hook EVENT=COMMAND. */
#ifndef XENPV_TOOL_AGENT_HOOKS_H
#define XENPV_TOOL_AGENT_HOOKS_H

#include <xenpv/agent.h>

#include "cli.h"

/* True, or false after complaining: each names an event and has a command. */
bool agent_hooks_check(const struct options *options);

/* XENPV_AGENT_BIT of the events that have any. */
uint32_t agent_hooks_events(const struct options *options);

/* Says what has happened, and runs its commands one after the other, each for as long as --timeout
 * lets it. `evidence` is where the event's type is known from. */
void agent_hooks_run(const struct options *options, const struct xenpv_agent_event *event,
                     bool active, const char *evidence);

#endif
