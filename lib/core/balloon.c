/* SPDX-License-Identifier: MIT */
#include <xenpv/balloon.h>

static uint64_t whole_pages(uint64_t kib)
{
    return kib / XENPV_BALLOON_KIB_PER_PAGE;
}

uint64_t xenpv_balloon_goal(const struct xenpv_balloon *balloon)
{
    uint64_t goal = whole_pages(balloon->target_kib);
    uint64_t most = whole_pages(balloon->static_max_kib);

    if (balloon->static_max_kib && goal > most)
        goal = most;
    return goal < balloon->floor ? balloon->floor : goal;
}

int32_t xenpv_balloon_step(uint64_t pages, uint64_t goal, uint32_t most)
{
    uint64_t distance = goal > pages ? goal - pages : pages - goal;

    if (most > INT32_MAX)
        most = INT32_MAX;
    if (distance > most)
        distance = most;
    return goal > pages ? (int32_t)distance : -(int32_t)distance;
}
