/* SPDX-License-Identifier: MIT */
/* What an agent publishes: its version, addresses of this guest's network cards, its devices. */
#ifndef XENPV_TOOL_AGENT_FACTS_H
#define XENPV_TOOL_AGENT_FACTS_H

#include <xenpv/agent.h>

#include "machine.h"

#define AGENT_FACTS_MAX 256u

struct agent_facts {
    struct xenpv_agent_key keys[AGENT_FACTS_MAX];
    uint32_t count;
    uint32_t left_out; /* for want of room */
};

void agent_facts_collect(struct machine *machine, struct agent_facts *facts);

/* Readable when addresses may have changed; XENPV_NO_HANDLE: nobody tells. */
xenpv_handle agent_facts_open(const struct options *options);
/* They may have; what can be read is. */
bool agent_facts_moved(xenpv_handle handle);
void agent_facts_close(xenpv_handle handle);

#endif
