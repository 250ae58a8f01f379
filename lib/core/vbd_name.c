/* SPDX-License-Identifier: MIT */
/* Names and numbers of virtual disks, as in Xen's docs/man/xen-vbd-interface.7. */
#include <xenpv/abi/blkif.h>
#include <xenpv/keys.h>

#define EXTENDED (1u << 28) /* (1 << 28) | disk << 8 | partition */

/* Classic numbers: major << 8 | minor, with this many disks of this many minors each. */
static const struct {
    uint32_t major;
    char prefix[4];
    uint32_t first_disk, disks, minors;
} classic[] = {
    {202, "xvd", 0, 16, 16},
    {8, "sd", 0, 16, 16},
    {3, "hd", 0, 2, 64},
    {22, "hd", 2, 2, 64},
};
#define CLASSIC (sizeof(classic) / sizeof(classic[0]))

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
    for (uint32_t i = 0; i < CLASSIC; i++) {
        if (vdev >> 8 == classic[i].major && minor < classic[i].disks * classic[i].minors) {
            put_name(name, classic[i].prefix, classic[i].first_disk + minor / classic[i].minors,
                     minor % classic[i].minors);
            return;
        }
    }
    memcpy(name, "?", 2);
}

/* ---- and backwards --------------------------------------------------------------------------- */

/* What stands in a name behind the prefix. */
struct place {
    uint32_t disk, partition;
};

/* Nothing is checked but letters and digits: what is too large, and wraps, has another name. */
static bool take_place(const char *text, const char *prefix, struct place *place)
{
    while (*prefix)
        if (*text++ != *prefix++)
            return false;
    place->disk = place->partition = 0;
    for (; *text >= 'a' && *text <= 'z'; text++)
        place->disk = place->disk * 26 + (uint32_t)(*text - 'a') + 1;
    place->disk--;
    for (; *text >= '0' && *text <= '9'; text++)
        place->partition = place->partition * 10 + (uint32_t)(*text - '0');
    return *text == '\0';
}

static bool has_classic(uint32_t row, const struct place *place)
{
    return place->disk >= classic[row].first_disk &&
           place->disk - classic[row].first_disk < classic[row].disks &&
           place->partition < classic[row].minors;
}

static bool find_number(const char *name, uint32_t *vdev)
{
    struct place place;

    for (uint32_t i = 0; i < CLASSIC; i++) {
        if (take_place(name, classic[i].prefix, &place) && has_classic(i, &place)) {
            *vdev = classic[i].major << 8 |
                    ((place.disk - classic[i].first_disk) * classic[i].minors + place.partition);
            return true;
        }
    }
    if (!take_place(name, "xvd", &place))
        return false;
    *vdev = EXTENDED | place.disk << 8 | place.partition;
    return true;
}

/* Whether a name is written just so is asked of the only place that knows how names are written. */
bool xenpv_vbd_number(const char *name, uint32_t *vdev)
{
    uint32_t number;
    char written[16];

    if (!find_number(name, &number))
        return false;
    xenpv_vbd_name(number, written);
    for (uint32_t i = 0; name[i] == written[i]; i++)
        if (name[i] == '\0') {
            *vdev = number;
            return true;
        }
    return false;
}
