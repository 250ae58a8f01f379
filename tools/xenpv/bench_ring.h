/* SPDX-License-Identifier: MIT */
/*
 * The bare ring: the ring itself between two cores and nothing else, no data, no checks, no port.
 * Both ends are templates: sizes are constants wherever they are used, as in any program that is
 * made for one protocol.
 */
#ifndef XENPV_BENCH_RING_H
#define XENPV_BENCH_RING_H

#include "bench.h"

#if defined(__GNUC__)
#define BENCH_INLINE static inline __attribute__((always_inline))
#else
#define BENCH_INLINE static inline
#endif

#define BENCH_MESSAGE_MAX 32u /* bytes of a request or response */

/* One ring, with what its thread counts. */
struct bench_line {
    struct xenpv_ring front, back;
    void *memory;
    uint32_t depth; /* requests in flight */
    uint64_t ns;
    double rate; /* responses a second */
};

/* A ring that is like a device's. */
struct bench_wire {
    uint32_t bytes, slot; /* of the ring; of a slot */
    uint32_t depth;       /* requests in flight, as far as the ring goes */
    uint32_t each;        /* requests for each operation or frame */
    void (*run)(void *line);
    bool (*answer)(struct xenpv_ring *ring, bool *found);
};

/* The frontend's end: keeps as many in flight as there may be. Looks at the clock every so many
 * rounds. */
#define BENCH_ROUNDS 64u
BENCH_INLINE void bench_line_run(struct bench_line *line, uint32_t request_bytes,
                                 uint32_t response_bytes)
{
    _Alignas(8) uint8_t request[BENCH_MESSAGE_MAX] = {0};
    _Alignas(8) uint8_t response[BENCH_MESSAGE_MAX];
    uint32_t in_flight = 0, empty = 0;
    uint64_t began = os_now_ns(), now, done = 0;

    do {
        for (uint32_t round = 0; round < BENCH_ROUNDS; round++) {
            uint32_t available;

            for (; in_flight < line->depth; in_flight++)
                xenpv_ring_put(&line->front, request, request_bytes);
            xenpv_ring_publish(&line->front);
            available = xenpv_ring_available(&line->front);
            in_flight -= available;
            done += available;
            if (available == 0)
                bench_idle(&empty);
            for (; available; available--)
                xenpv_ring_take(&line->front, response, response_bytes);
        }
        now = os_now_ns();
    } while (now - began < line->ns || done == 0);
    line->rate = (double)done * 1e9 / (double)(now - began);
    while (in_flight) {
        uint32_t available = xenpv_ring_available(&line->front);

        for (in_flight -= available; available; available--)
            xenpv_ring_take(&line->front, response, response_bytes);
    }
}

/* The backend's end: answers what is there as `answer` makes it. True: it is to be told. */
BENCH_INLINE bool bench_line_answer(struct xenpv_ring *ring, uint32_t request_bytes,
                                    uint32_t response_bytes,
                                    void (*answer)(const uint8_t *request, uint8_t *response),
                                    bool *found)
{
    uint32_t available = xenpv_ring_available(ring);
    _Alignas(8) uint8_t request[BENCH_MESSAGE_MAX];
    _Alignas(8) uint8_t response[BENCH_MESSAGE_MAX] = {0};

    *found = available != 0;
    if (available == 0)
        return false;
    while (available--) {
        xenpv_ring_take(ring, request, request_bytes);
        answer(request, response);
        xenpv_ring_put(ring, response, response_bytes);
    }
    return xenpv_ring_publish(ring);
}

#endif
