/* SPDX-License-Identifier: MIT */
/* Where the clocks stand in the shared info page: our offsets against Xen's header. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <xen/xen.h>

#include <xenpv/wallclock.h>

static int failures;

static void same(const char *what, uint64_t found, uint64_t expected)
{
    if (found == expected)
        return;
    printf("%s: %llu, and Xen has %llu\n", what, (unsigned long long)found,
           (unsigned long long)expected);
    failures++;
}

int main(void)
{
    static union {
        struct shared_info info;
        uint8_t page[4096];
    } shared;
    struct vcpu_time_info *info = &shared.info.vcpu_info[0].time;
    uint32_t last = XEN_LEGACY_MAX_VCPUS - 1;
    struct xenpv_vcpu_time time;
    uint64_t ns = 0;

    shared.info.wc_version = 2;
    shared.info.wc_sec = 3;
    shared.info.wc_nsec = 4;
    shared.info.xen_wc_sec_hi = 1;
    same("read", (uint64_t)xenpv_wallclock_read(&shared, XENPV_ABI_NATIVE, &ns), 0);
    same("wallclock", ns, ((UINT64_C(1) << 32) + 3) * 1000000000 + 4);
    same("the first vcpu", xenpv_vcpu_time_offset(XENPV_ABI_NATIVE, 0),
         (uint64_t)((uint8_t *)info - shared.page));
    same("the last vcpu", xenpv_vcpu_time_offset(XENPV_ABI_NATIVE, last),
         (uint64_t)((uint8_t *)&shared.info.vcpu_info[last].time - shared.page));
    same("one too many", xenpv_vcpu_time_offset(XENPV_ABI_NATIVE, last + 1), 0);
    *info = (struct vcpu_time_info){.version = 8,
                                    .tsc_timestamp = UINT64_C(0x123456789a),
                                    .system_time = UINT64_C(0xfedcba98765),
                                    .tsc_to_system_mul = 0x80000001,
                                    .tsc_shift = -3};
    memset((uint8_t *)info + 29, 1, 1); /* flags, which older headers have as padding */
    same("read", (uint64_t)xenpv_vcpu_time_read(info, &time), 0);
    same("tsc_timestamp", time.tsc_timestamp, info->tsc_timestamp);
    same("system_time", time.system_time, info->system_time);
    same("tsc_to_system_mul", time.tsc_to_system_mul, info->tsc_to_system_mul);
    same("tsc_shift", (uint64_t)(int64_t)time.tsc_shift, (uint64_t)(int64_t)info->tsc_shift);
    same("flags", time.flags, 1);
    printf("%s - the clocks in the shared info page\n", failures ? "not ok" : "ok");
    return failures != 0;
}
