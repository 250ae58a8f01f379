/* SPDX-License-Identifier: MIT */
/*
 * Our codec against Xen's own header, field by field, for the layout this machine has: a structure
 * of the header is filled and read by the codec, and the other way round. tests/abi/run builds it
 * for x86_64, i686 and aarch64.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <xen/io/blkif.h>
#include <xen/io/protocols.h>
#include <xen/io/xenbus.h>
#include <xen/memory.h>

#include <xenpv/abi/blkif.h>
#include <xenpv/bus.h>
#include <xenpv/ring.h>

static int failures;

static void check(const char *what, uint64_t found, uint64_t expected)
{
    if (found == expected)
        return;
    printf("not ok - %s: found %llu, expected %llu\n", what, (unsigned long long)found,
           (unsigned long long)expected);
    failures++;
}

#define SAME(what, a, b) check(what, (uint64_t)(a), (uint64_t)(b))

static enum xenpv_abi native(void)
{
    return xenpv_abi_from_name(XEN_IO_PROTO_ABI_NATIVE);
}

static void constants(void)
{
    SAME("READ", XENPV_BLKIF_READ, BLKIF_OP_READ);
    SAME("WRITE", XENPV_BLKIF_WRITE, BLKIF_OP_WRITE);
    SAME("WRITE_BARRIER", XENPV_BLKIF_WRITE_BARRIER, BLKIF_OP_WRITE_BARRIER);
    SAME("FLUSH", XENPV_BLKIF_FLUSH, BLKIF_OP_FLUSH_DISKCACHE);
    SAME("DISCARD", XENPV_BLKIF_DISCARD, BLKIF_OP_DISCARD);
    SAME("INDIRECT", XENPV_BLKIF_INDIRECT, BLKIF_OP_INDIRECT);
    SAME("OKAY", XENPV_BLKIF_OKAY, BLKIF_RSP_OKAY);
    SAME("ERROR", XENPV_BLKIF_ERROR, BLKIF_RSP_ERROR);
    SAME("EOPNOTSUPP", XENPV_BLKIF_EOPNOTSUPP, BLKIF_RSP_EOPNOTSUPP);
    SAME("segments", XENPV_BLKIF_SEGMENTS, BLKIF_MAX_SEGMENTS_PER_REQUEST);
    SAME("indirect pages", XENPV_BLKIF_INDIRECT_PAGES, BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST);
    SAME("secure", XENPV_BLKIF_DISCARD_SECURE, BLKIF_DISCARD_SECURE);
    SAME("cdrom", XENPV_VDISK_CDROM, VDISK_CDROM);
    SAME("removable", XENPV_VDISK_REMOVABLE, VDISK_REMOVABLE);
    SAME("readonly", XENPV_VDISK_READONLY, VDISK_READONLY);
    SAME("closed", XENPV_STATE_CLOSED, XenbusStateClosed);
    SAME("reconfigured", XENPV_STATE_RECONFIGURED, XenbusStateReconfigured);
    SAME("initwait", XENPV_STATE_INIT_WAIT, XenbusStateInitWait);
    SAME("the native layout", native(), XENPV_ABI_NATIVE);
}

static void ring(void)
{
    struct blkif_sring *sring = NULL;

    SAME("slot size", xenpv_blkif_slot_size(native()), sizeof(union blkif_sring_entry));
    SAME("ring header", XENPV_RING_HEADER, offsetof(struct blkif_sring, ring));
    SAME("req_prod", 0, offsetof(struct blkif_sring, req_prod));
    SAME("req_event", 4, offsetof(struct blkif_sring, req_event));
    SAME("rsp_prod", 8, offsetof(struct blkif_sring, rsp_prod));
    SAME("rsp_event", 12, offsetof(struct blkif_sring, rsp_event));
    SAME("slots", xenpv_ring_count(4096, xenpv_blkif_slot_size(native())),
         __RING_SIZE(sring, 4096));
}

static void data_request(uint8_t op, uint8_t segments)
{
    blkif_request_t theirs;
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX] = {0};
    struct xenpv_blkif_request ours;
    uint32_t bytes;

    memset(&theirs, 0, sizeof(theirs));
    theirs.operation = op;
    theirs.nr_segments = segments;
    theirs.handle = 0x1234;
    theirs.id = UINT64_C(0x1122334455667788);
    theirs.sector_number = UINT64_C(0x99aabbccddeeff01);
    for (uint32_t i = 0; i < segments; i++) {
        theirs.seg[i].gref = 0xa0000000u + i;
        theirs.seg[i].first_sect = (uint8_t)i;
        theirs.seg[i].last_sect = (uint8_t)(i + 1);
    }
    memcpy(image, &theirs, sizeof(theirs));
    xenpv_blkif_get_request(native(), image, &ours);
    SAME("operation", ours.op, op);
    SAME("nr_segments", ours.nr_segments, segments);
    SAME("handle", ours.handle, theirs.handle);
    SAME("id", ours.id, theirs.id);
    SAME("sector_number", ours.sector, theirs.sector_number);
    for (uint32_t i = 0; i < segments; i++) {
        SAME("gref", ours.seg[i].ref, theirs.seg[i].gref);
        SAME("first_sect", ours.seg[i].first, theirs.seg[i].first_sect);
        SAME("last_sect", ours.seg[i].last, theirs.seg[i].last_sect);
    }
    bytes = xenpv_blkif_put_request(native(), &ours, image);
    SAME("bytes of a request", bytes,
         offsetof(blkif_request_t, seg) + segments * sizeof(theirs.seg[0]));
    SAME("the request put back", memcmp(image, &theirs, bytes), 0);
}

static void discard_request(void)
{
    struct blkif_request_discard theirs;
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX] = {0};
    struct xenpv_blkif_request ours;

    memset(&theirs, 0, sizeof(theirs));
    theirs.operation = BLKIF_OP_DISCARD;
    theirs.flag = 1;
    theirs.handle = 0x4321;
    theirs.id = 77;
    theirs.sector_number = UINT64_C(1) << 40;
    theirs.nr_sectors = UINT64_C(1) << 41;
    memcpy(image, &theirs, sizeof(theirs));
    xenpv_blkif_get_request(native(), image, &ours);
    SAME("discard operation", ours.op, theirs.operation);
    SAME("discard flag", ours.flag, theirs.flag);
    SAME("discard handle", ours.handle, theirs.handle);
    SAME("discard id", ours.id, theirs.id);
    SAME("discard sector", ours.sector, theirs.sector_number);
    SAME("discard sectors", ours.nr_sectors, theirs.nr_sectors);
    SAME("discard bytes", xenpv_blkif_put_request(native(), &ours, image), sizeof(theirs));
    SAME("the discard put back", memcmp(image, &theirs, sizeof(theirs)), 0);
}

static void indirect_request(void)
{
    struct blkif_request_indirect theirs;
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX] = {0};
    struct xenpv_blkif_request ours;

    memset(&theirs, 0, sizeof(theirs));
    theirs.operation = BLKIF_OP_INDIRECT;
    theirs.indirect_op = BLKIF_OP_WRITE;
    theirs.nr_segments = 256;
    theirs.id = 78;
    theirs.sector_number = UINT64_C(1) << 33;
    theirs.handle = 0x5555;
    for (uint32_t i = 0; i < BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST; i++)
        theirs.indirect_grefs[i] = 0xb0000000u + i;
    memcpy(image, &theirs, sizeof(theirs));
    xenpv_blkif_get_request(native(), image, &ours);
    SAME("indirect operation", ours.op, theirs.operation);
    SAME("indirect inner", ours.indirect_op, theirs.indirect_op);
    SAME("indirect segments", ours.nr_segments, theirs.nr_segments);
    SAME("indirect id", ours.id, theirs.id);
    SAME("indirect sector", ours.sector, theirs.sector_number);
    SAME("indirect handle", ours.handle, theirs.handle);
    for (uint32_t i = 0; i < BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST; i++)
        SAME("indirect gref", ours.indirect_ref[i], theirs.indirect_grefs[i]);
    SAME("indirect bytes", xenpv_blkif_put_request(native(), &ours, image), sizeof(theirs));
    SAME("the indirect put back", memcmp(image, &theirs, sizeof(theirs)), 0);
}

static void response(void)
{
    blkif_response_t theirs;
    struct xenpv_blkif_response ours;
    _Alignas(8) uint8_t image[XENPV_BLKIF_SLOT_MAX] = {0};

    memset(&theirs, 0, sizeof(theirs));
    theirs.id = UINT64_C(0xfedcba9876543210);
    theirs.operation = BLKIF_OP_WRITE;
    theirs.status = BLKIF_RSP_EOPNOTSUPP;
    memcpy(image, &theirs, sizeof(theirs));
    xenpv_blkif_get_response(image, &ours);
    SAME("response id", ours.id, theirs.id);
    SAME("response operation", ours.op, theirs.operation);
    SAME("response status", (uint16_t)ours.status, (uint16_t)theirs.status);
    memset(image, 0xff, sizeof(image));
    SAME("response bytes", xenpv_blkif_put_response(native(), &ours, image), sizeof(theirs));
    SAME("the response put back, padding zero", memcmp(image, &theirs, sizeof(theirs)), 0);
}

int main(void)
{
    constants();
    ring();
    for (uint8_t segments = 0; segments <= BLKIF_MAX_SEGMENTS_PER_REQUEST; segments++) {
        data_request(BLKIF_OP_READ, segments);
        data_request(BLKIF_OP_WRITE, segments);
        data_request(BLKIF_OP_FLUSH_DISKCACHE, segments);
    }
    discard_request();
    indirect_request();
    response();
    printf("%s - blkif as %s\n", failures ? "not ok" : "ok", XEN_IO_PROTO_ABI_NATIVE);
    return failures != 0;
}
