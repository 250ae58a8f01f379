/* SPDX-License-Identifier: MIT */
/* The links to files and kernels (xenpv/harness/link.h), where the system has any. */
#ifndef XENPV_WIRE_H
#define XENPV_WIRE_H

#include <xenpv/harness/link.h>

/* From and to pcap files, as `what` says they are named; each complains, and returns an exit
 * status. What passes through the second to and from `inner`, which is closed with it, is written,
 * too. */
int wire_open_replay(const char *what, const char *path, struct xenpv_link *link);
/* Of the replay of a file that has come to its end; complains if that is in the middle of it. */
int wire_judge_replay(const char *what, const char *path, const struct xenpv_link *link);
/* Frames of it that were no whole ones of Ethernet, so far. */
uint64_t wire_left_out(const struct xenpv_link *link);
int wire_open_capture(const char *what, const char *path, const struct xenpv_link *inner,
                      struct xenpv_link *link);
/* The capture lacks frames. */
bool wire_capture_failed(const struct xenpv_link *link);

/* A TAP device of the kernel. */
int wire_open_tap(const char *name, struct xenpv_link *link);

#endif
