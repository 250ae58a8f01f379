/* SPDX-License-Identifier: MIT */
/*
 * What kind of request a kernel has taken from control/shutdown before we could read it. Nothing
 * tells for certain; these are traces that Linux and its init leave.
 */
#ifndef XENPV_TOOL_AGENT_EVIDENCE_H
#define XENPV_TOOL_AGENT_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

struct agent_evidence {
    const char *proc; /* "/proc" */
    const char *jobs; /* a command that lists the jobs of the init; NULL: it has none */
    int kernel_log;   /* -1: it cannot be read */
};

/* Opens what a user without privileges may not. */
void agent_evidence_open(struct agent_evidence *evidence);
void agent_evidence_close(struct agent_evidence *evidence);

/* The kernel has said, since the last call, that it suspends for Xen. */
bool agent_evidence_suspended(const struct agent_evidence *evidence);

/* POWEROFF, REBOOT or HALT: a process of that name runs. False: none does. */
bool agent_evidence_process(const struct agent_evidence *evidence, uint32_t *type);
/* The same of the jobs of the init, which may take 2 s to answer. */
bool agent_evidence_job(const struct agent_evidence *evidence, uint32_t *type);

#endif
