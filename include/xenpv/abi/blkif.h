/* SPDX-License-Identifier: MIT */
/*
 * The block protocol on the wire: operations, statuses and the three layouts, as in Xen's
 * xen/include/public/io/blkif.h and io/protocols.h. Structures here are decoded, host-side copies;
 * the codec moves them to and from a private image of one ring slot by explicit offsets, so that
 * the layout spoken never depends on the machine this was compiled for.
 */
#ifndef XENPV_ABI_BLKIF_H
#define XENPV_ABI_BLKIF_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

/* blkif.h BLKIF_OP_* */
enum xenpv_blkif_op {
    XENPV_BLKIF_READ = 0,
    XENPV_BLKIF_WRITE = 1,
    XENPV_BLKIF_WRITE_BARRIER = 2,
    XENPV_BLKIF_FLUSH = 3,
    XENPV_BLKIF_DISCARD = 5,
    XENPV_BLKIF_INDIRECT = 6,
};

/* blkif.h BLKIF_RSP_* */
enum xenpv_blkif_status {
    XENPV_BLKIF_OKAY = 0,
    XENPV_BLKIF_ERROR = -1,
    XENPV_BLKIF_EOPNOTSUPP = -2,
};

#define XENPV_BLKIF_SEGMENTS       11   /* BLKIF_MAX_SEGMENTS_PER_REQUEST */
#define XENPV_BLKIF_INDIRECT_PAGES 8    /* BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST */
#define XENPV_BLKIF_DISCARD_SECURE 1    /* BLKIF_DISCARD_SECURE */
#define XENPV_BLKIF_SECTOR         512u /* unit of sector numbers, of first and last sector */

/* blkif.h VDISK_*: bits of the key `info` */
#define XENPV_VDISK_CDROM     1u
#define XENPV_VDISK_REMOVABLE 2u
#define XENPV_VDISK_READONLY  4u

/* The layouts, chosen by the key `protocol`. */
enum xenpv_abi { XENPV_ABI_X86_64, XENPV_ABI_X86_32, XENPV_ABI_ARM, XENPV_ABI_COUNT };

#define XENPV_ABI_NATIVE                                                                           \
    (sizeof(void *) == 4 && XENPV_ON_X86 ? XENPV_ABI_X86_32                                        \
                                         : (XENPV_ON_X86 ? XENPV_ABI_X86_64 : XENPV_ABI_ARM))
#if defined(__x86_64__) || defined(__i386__)
#define XENPV_ON_X86 1
#else
#define XENPV_ON_X86 0
#endif

/* "x86_64-abi", "x86_32-abi" or "arm-abi": the value of `protocol` (protocols.h). */
const char *xenpv_abi_name(enum xenpv_abi abi);
/* The layout of that name, or XENPV_ABI_COUNT for a name that is none. */
enum xenpv_abi xenpv_abi_from_name(const char *name);

struct xenpv_blkif_segment {
    uint32_t ref;
    uint8_t first, last; /* sectors of 512 bytes in the page, inclusive */
};

struct xenpv_blkif_request {
    uint8_t op;          /* enum xenpv_blkif_op */
    uint8_t indirect_op; /* of an INDIRECT request: READ or WRITE */
    uint8_t flag;        /* of a DISCARD */
    uint16_t nr_segments;
    uint16_t handle;
    uint64_t id;
    uint64_t sector;
    uint64_t nr_sectors; /* of a DISCARD */
    struct xenpv_blkif_segment seg[XENPV_BLKIF_SEGMENTS];
    uint32_t indirect_ref[XENPV_BLKIF_INDIRECT_PAGES];
};

struct xenpv_blkif_response {
    uint64_t id;
    uint8_t op;
    int16_t status; /* enum xenpv_blkif_status */
};

#define XENPV_BLKIF_SLOT_MAX 112u /* bytes of the largest slot of any layout */

/* Bytes of one ring slot: the larger of request and response. */
uint32_t xenpv_blkif_slot_size(enum xenpv_abi abi);
/* Bytes of a response, 16 at most. */
uint32_t xenpv_blkif_response_size(enum xenpv_abi abi);

/*
 * Writes a request into `slot` (XENPV_BLKIF_SLOT_MAX bytes, 8-aligned, private memory), with all
 * padding zero, and returns how many bytes of it are to be copied to the ring, a multiple of 4.
 * nr_segments is at most 11, or for an INDIRECT at most 4096. Any thread; cannot fail.
 */
uint32_t xenpv_blkif_put_request(enum xenpv_abi abi, const struct xenpv_blkif_request *req,
                                 uint8_t *slot);

/*
 * Reads a request from `slot`, a ring slot or a private copy, 4-aligned; of a slot on a ring each
 * word is loaded once. Everything is taken as it stands, nothing is checked: segments beyond the
 * 11th do not exist, however many the request claims. Fields that its operation does not have, and
 * segments that it has not, are left as they were in `req`.
 */
void xenpv_blkif_get_request(enum xenpv_abi abi, const uint8_t *slot,
                             struct xenpv_blkif_request *req);

/* The same for a response: bytes to copy, a multiple of 4. */
uint32_t xenpv_blkif_put_response(enum xenpv_abi abi, const struct xenpv_blkif_response *rsp,
                                  uint8_t *slot);
/* Reads a response, whose fields stand at the same place in all layouts. */
void xenpv_blkif_get_response(const uint8_t *slot, struct xenpv_blkif_response *rsp);

/*
 * The name of a virtual disk number: "xvda", "xvdb3", "hda", "sda1" (docs/man/xen-vbd-interface),
 * at most 16 bytes with the NUL; "?" for a number that names nothing.
 */
void xenpv_vbd_name(uint32_t vdev, char name[16]);

/*
 * The number of a name, just as xenpv_vbd_name writes it; false for a text that it never writes.
 * Where two numbers have one name, as 51712 and 268435456 have "xvda", it is the classic one, below
 * 1 << 28, which is what toolstacks use.
 */
bool xenpv_vbd_number(const char *name, uint32_t *vdev);

#ifdef __cplusplus
}
#endif
#endif
