/* SPDX-License-Identifier: MIT */
#include <xenpv/wallclock.h>

/* Xen writes these words in far less time than one look takes. */
#define TRIES 1000u

#define BILLION UINT64_C(1000000000)

/* xen.h. Bytes from the beginning of struct shared_info; of struct vcpu_info, `vcpus` of which
 * stand there, and of the time in it. */
static const struct {
    uint32_t wc_version, wc_sec_hi;
    uint32_t vcpu_bytes, vcpus, vcpu_time;
} layouts[XENPV_ABI_COUNT] = {
    [XENPV_ABI_X86_64] = {3072, 3084, 64, 32, 32},
    [XENPV_ABI_X86_32] = {2304, 2340, 64, 32, 32}, /* wc_sec_hi is in arch_shared_info */
    [XENPV_ABI_ARM] = {1072, 1084, 48, 1, 16},
};

/* Bytes of struct vcpu_time_info, behind its version. */
#define TSC_TIMESTAMP 8u
#define SYSTEM_TIME   16u
#define MUL           24u
#define SHIFT_FLAGS   28u

static const uint32_t *word(const void *base, uint32_t offset)
{
    return (const uint32_t *)(const void *)((const uint8_t *)base + offset);
}

/*
 * Copies words that are good as long as the version is even and stays what it was. Every load
 * acquires: none is made before the one in front of it.
 */
static int snapshot(const uint32_t *version, const uint32_t *const *from, uint32_t *to,
                    uint32_t count)
{
    for (uint32_t i = 0; i < TRIES; i++) {
        uint32_t before = xenpv_load_acquire(version);

        for (uint32_t at = 0; at < count; at++)
            to[at] = xenpv_load_acquire(from[at]);
        if ((before & 1) == 0 && xenpv_load_acquire(version) == before)
            return XENPV_OK;
    }
    return XENPV_EAGAIN;
}

static uint64_t join(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

int xenpv_wallclock_read(const void *shared_info, enum xenpv_abi abi, uint64_t *ns)
{
    uint32_t words[3];
    uint64_t seconds;

    if ((uint32_t)abi >= XENPV_ABI_COUNT)
        return XENPV_EINVAL;

    const uint32_t *version = word(shared_info, layouts[abi].wc_version);
    const uint32_t *const from[] = {version + 1, version + 2,
                                    word(shared_info, layouts[abi].wc_sec_hi)};
    int error = snapshot(version, from, words, 3);

    if (error)
        return error;
    seconds = join(words[0], words[2]);
    if (words[1] >= BILLION || seconds >= UINT64_MAX / BILLION)
        return XENPV_ERANGE;
    *ns = seconds * BILLION + words[1];
    return XENPV_OK;
}

uint32_t xenpv_vcpu_time_offset(enum xenpv_abi abi, uint32_t vcpu)
{
    if ((uint32_t)abi >= XENPV_ABI_COUNT || vcpu >= layouts[abi].vcpus)
        return 0;
    return vcpu * layouts[abi].vcpu_bytes + layouts[abi].vcpu_time;
}

int xenpv_vcpu_time_read(const void *vcpu_time_info, struct xenpv_vcpu_time *time)
{
    const uint32_t *const from[] = {
        word(vcpu_time_info, TSC_TIMESTAMP), word(vcpu_time_info, TSC_TIMESTAMP + 4),
        word(vcpu_time_info, SYSTEM_TIME),   word(vcpu_time_info, SYSTEM_TIME + 4),
        word(vcpu_time_info, MUL),           word(vcpu_time_info, SHIFT_FLAGS)};
    uint32_t words[6];
    int error = snapshot(word(vcpu_time_info, 0), from, words, 6);

    if (error)
        return error;
    *time = (struct xenpv_vcpu_time){.tsc_timestamp = join(words[0], words[1]),
                                     .system_time = join(words[2], words[3]),
                                     .tsc_to_system_mul = words[4],
                                     .tsc_shift = (int8_t)(words[5] & 0xff),
                                     .flags = (uint8_t)(words[5] >> 8)};
    return XENPV_OK;
}

/* Left by so many bits, or right by fewer than none; what does not fit is UINT64_MAX. */
static uint64_t shift(uint64_t number, int bits)
{
    if (bits <= -64)
        return 0;
    if (bits <= 0)
        return number >> -bits;
    if (bits >= 64 || number >> (64 - bits))
        return number ? UINT64_MAX : 0;
    return number << bits;
}

uint64_t xenpv_vcpu_time_now(const struct xenpv_vcpu_time *time, uint64_t tsc)
{
    uint64_t ticks, ns;

    if (tsc <= time->tsc_timestamp)
        return time->system_time;
    ticks = shift(tsc - time->tsc_timestamp, time->tsc_shift);
    /* (ticks * mul) >> 32, whose product has up to 96 bits: by halves. */
    ns = (ticks >> 32) * time->tsc_to_system_mul +
         ((ticks & UINT32_MAX) * time->tsc_to_system_mul >> 32);
    return ns > UINT64_MAX - time->system_time ? UINT64_MAX : time->system_time + ns;
}
