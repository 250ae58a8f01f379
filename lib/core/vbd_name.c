/* SPDX-License-Identifier: MIT */
/* Names of virtual disk numbers, as in Xen's docs/man/xen-vbd-interface.7. */
#include <xenpv/abi/blkif.h>
#include <xenpv/keys.h>

#define EXTENDED (1u << 28) /* (1 << 28) | disk << 8 | partition */

/* Classic numbers: major << 8 | minor, with this many minors for a disk. */
static const struct {
    uint32_t major;
    char prefix[4];
    uint32_t first_disk, minors;
} classic[] = {
    {202, "xvd", 0, 16},
    {8, "sd", 0, 16},
    {3, "hd", 0, 64},
    {22, "hd", 2, 64},
};

/* a..z, aa..zz, ...: as many letters as a 20-bit disk number needs. */
static char *put_letters(char *to, uint32_t disk)
{
    char letters[6];
    uint32_t count = 0;

    for (disk++; disk; disk = (disk - 1) / 26)
        letters[count++] = (char)('a' + (disk - 1) % 26);
    while (count)
        *to++ = letters[--count];
    return to;
}

static void put_name(char *to, const char *prefix, uint32_t disk, uint32_t partition)
{
    char digits[21];

    while (*prefix)
        *to++ = *prefix++;
    to = put_letters(to, disk);
    *to = '\0';
    if (partition)
        memcpy(to, digits, xenpv_format_number(partition, digits) + 1);
}

void xenpv_vbd_name(uint32_t vdev, char name[16])
{
    uint32_t minor = vdev & 0xff;

    if (vdev >> 28 == 1) {
        put_name(name, "xvd", (vdev & (EXTENDED - 1)) >> 8, minor);
        return;
    }
    for (uint32_t i = 0; i < sizeof(classic) / sizeof(classic[0]); i++) {
        if (vdev >> 8 == classic[i].major) {
            put_name(name, classic[i].prefix, classic[i].first_disk + minor / classic[i].minors,
                     minor % classic[i].minors);
            return;
        }
    }
    memcpy(name, "?", 2);
}
