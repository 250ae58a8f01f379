/* SPDX-License-Identifier: MIT */
/* What "xenpv info" tells of a device, piece by piece; others tell parts of it, too. */
#ifndef XENPV_INFO_H
#define XENPV_INFO_H

#include "vif.h"

/* The text, or "-". */
const char *info_or_dash(const char *text);
/* "4 Connected", or that there is something else than a state. */
void info_state_text(uint32_t state, char text[32]);
/* Opens an object about one end, which is still to be closed. */
void info_json_end(const char *end, const char *path, uint32_t state);

void info_print_features(const struct xenpv_negotiation *features, uint32_t count);
void info_json_features(const struct xenpv_negotiation *features, uint32_t count);

/* All there is to know of a network card that was inspected, or is connected. `more` adds members
 * to the JSON object; NULL: there are none. */
void info_print_vif(const struct vif *vif);
void info_json_vif(const struct vif *vif, void (*more)(const struct vif *vif, void *ctx),
                   void *ctx);

#endif
