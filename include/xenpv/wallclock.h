/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's clocks, as it keeps them in the page that a domain shares with it: Xen's
 * xen/include/public/xen.h, struct shared_info and struct vcpu_time_info. For ports without an
 * operating system that reads them: such a port's sys->wallclock is
 *
 *     xenpv_wallclock_read(page, XENPV_ABI_NATIVE, &booted), plus
 *     xenpv_vcpu_time_now(&time, TSC), of xenpv_vcpu_time_read(page + its place).
 *
 * The hypervisor changes these words at any time, and says so in a version before them: they are
 * read as often as it takes to see them in one piece, but not for ever. Any thread.
 */
#ifndef XENPV_WALLCLOCK_H
#define XENPV_WALLCLOCK_H

#include <xenpv/abi/blkif.h>
#include <xenpv/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The wallclock's time when the system time was 0, in nanoseconds since 1970-01-01 UTC, adjusted by
 * the domain's own time offset, from the shared info page of a domain with this layout.
 * XENPV_EINVAL: no such layout. XENPV_EAGAIN: the hypervisor was never done with writing it.
 * XENPV_ERANGE: it is no time, or one later than the year 2554.
 */
int xenpv_wallclock_read(const void *shared_info, enum xenpv_abi abi, uint64_t *ns);

/* struct vcpu_time_info: how a processor's time stamp counter becomes the system time. */
struct xenpv_vcpu_time {
    uint64_t tsc_timestamp; /* the counter's value ... */
    uint64_t system_time;   /* ... when the system time was this: nanoseconds */
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags; /* XENPV_VCPU_TIME_ */
};

/* The counters of all processors count as one: their times can be compared. */
#define XENPV_VCPU_TIME_TSC_STABLE 1u
/* The domain was stopped; it lost time. */
#define XENPV_VCPU_TIME_GUEST_STOPPED 2u

/*
 * Where a processor's struct vcpu_time_info stands in the shared info page: bytes from its
 * beginning. 0: not there; the page has 32 processors (with the layout of ARM 1), and what was
 * registered by VCPUOP_register_vcpu_info, or _vcpu_time_memory_area, stands elsewhere. There it is
 * the same structure, in a struct vcpu_info at xenpv_vcpu_time_offset(abi, 0).
 */
uint32_t xenpv_vcpu_time_offset(enum xenpv_abi abi, uint32_t vcpu);

/* Reads one, at a multiple of 4. XENPV_EAGAIN: the hypervisor was never done with writing it. */
int xenpv_vcpu_time_read(const void *vcpu_time_info, struct xenpv_vcpu_time *time);

/*
 * The system time when the counter of that processor was `tsc`: nanoseconds since the machine
 * started. It does not go back before the time that was read for a counter behind it, and stops at
 * UINT64_MAX. Unless the counters are stable it is one processor's time, and may differ from
 * another's; who compares them keeps the latest.
 */
uint64_t xenpv_vcpu_time_now(const struct xenpv_vcpu_time *time, uint64_t tsc);

#ifdef __cplusplus
}
#endif
#endif
