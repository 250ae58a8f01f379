/* SPDX-License-Identifier: MIT */
/* The agent's log: on standard output a line for each thing, as KEY=VALUE or as a JSON object. */
#ifndef XENPV_TOOL_AGENT_SAY_H
#define XENPV_TOOL_AGENT_SAY_H

#include <stdint.h>

#include "cli.h"

struct agent_field {
    const char *key;
    const char *text; /* NULL: the field is left out */
};

/* With the time and `event` before the fields, which end without a key. */
void agent_say(const struct options *options, const char *event, const struct agent_field *fields);

#endif
