/* SPDX-License-Identifier: MIT */
/* What the queues of all device classes share. */
#ifndef XENPV_QUEUE_H
#define XENPV_QUEUE_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A stretch of memory. */
struct xenpv_iov {
    void *base;
    size_t length; /* bytes */
};

/* Something that a queue had accepted has ended. */
struct xenpv_completion {
    void *user;     /* as given when it was queued */
    int32_t status; /* 0 or an error: which, and what it means, says each device class */
};

#ifdef __cplusplus
}
#endif
#endif
