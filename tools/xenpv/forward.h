/* SPDX-License-Identifier: MIT */
/* Frames of a link on their way out through a vif. What its backend does not take, a checksum that
 * is still to be made or a large packet, is made ready for a wire here. */
#ifndef XENPV_FORWARD_H
#define XENPV_FORWARD_H

#include <xenpv/harness/link.h>

#include "vif.h"

struct forward;

/* NULL: no memory. */
struct forward *forward_make(struct vif *vif);
void forward_free(struct forward *forward);

/* Looks again at what the backend takes; for each connection. */
void forward_renew(struct forward *forward);

/* A frame to be filled in by a link, when none is on its way. */
struct xenpv_link_frame *forward_next(struct forward *forward);

/* Begins with it: 0, or XENPV_E2BIG: it is too large for this wire, and no TCP packet that could be
 * cut; then it is done with. */
int forward_begin(struct forward *forward);

/* Sends what is left of it: 0: nothing is; XENPV_EFULL: there is no room now. Any other error ends
 * it, too. */
int forward_go(struct forward *forward);

/* The frame is on its way. */
bool forward_is_busy(const struct forward *forward);
/* So far: frames that were sent, and those that were large packets on the wire of the vif. */
uint64_t forward_frames(const struct forward *forward);
uint64_t forward_large(const struct forward *forward);

#endif
