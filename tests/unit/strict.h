/* SPDX-License-Identifier: MIT */
/* What a test's mock is made of: memory that is counted, and a log that fails on misuse. */
#ifndef TESTS_STRICT_H
#define TESTS_STRICT_H

#include <xenpv/harness/mock.h>

struct strict_heap {
    uint64_t blocks;  /* that are out */
    uint64_t allocs;  /* asked for so far */
    uint64_t fail_at; /* this one fails, counted from 1; 0: none does */
};

/* An allocator whose memory is never zero by chance. */
struct xenpv_allocator strict_allocator(struct strict_heap *heap);

/* Of a mock's configuration: it says so when a port is misused, such as a grant ended twice. */
void strict_log(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line);

#endif
