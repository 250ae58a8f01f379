/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of memory/target: how many pages a domain is to have, and the next step there. No
 * memory is touched here. A page has 4,096 bytes, a KiB 1,024. Any thread.
 */
#ifndef XENPV_BALLOON_H
#define XENPV_BALLOON_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XENPV_BALLOON_KIB_PER_PAGE 4u

/* What the toolstack says, and what the domain needs. */
struct xenpv_balloon {
    uint64_t target_kib;     /* memory/target */
    uint64_t static_max_kib; /* memory/static-max; 0: not told, the target is not bounded by it */
    uint64_t floor;          /* pages that the domain keeps, whatever the target says */
};

/*
 * How many pages the domain is to have: the target in whole pages, for it is to use no more than
 * that; at most static-max; and, before both, no less than the floor.
 */
uint64_t xenpv_balloon_goal(const struct xenpv_balloon *balloon);

/*
 * How many pages to take (above 0) or to release (below 0) next on the way from `pages` to `goal`;
 * 0: it is there. Never more than `most` at once, which is below 2^31.
 */
int32_t xenpv_balloon_step(uint64_t pages, uint64_t goal, uint32_t most);

#ifdef __cplusplus
}
#endif
#endif
