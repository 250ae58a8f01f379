/* SPDX-License-Identifier: MIT */
/*
 * What a call can answer. 0 is success, a negative number an error; the values are the same on
 * every operating system and never change. A few calls also answer one of the positive numbers
 * below, and say so.
 */
#ifndef XENPV_ERROR_H
#define XENPV_ERROR_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

enum xenpv_error {
    XENPV_OK = 0,
    XENPV_PENDING = 1,  /* not finished yet: ask again */
    XENPV_DEFERRED = 2, /* done as far as the caller goes; the port finishes it by itself */

    XENPV_EINVAL = -1,     /* an argument is out of its range */
    XENPV_ENOMEM = -2,     /* no memory */
    XENPV_ENOENT = -3,     /* no such device, store node, domain, grant or port */
    XENPV_EACCES = -4,     /* refused for lack of permission */
    XENPV_EEXIST = -5,     /* it is there already */
    XENPV_EAGAIN = -6,     /* a transaction met a conflict: do all of it again */
    XENPV_ENOSPC = -7,     /* a quota of the store is used up */
    XENPV_E2BIG = -8,      /* larger than the store, the ring or the buffer allows */
    XENPV_EBUSY = -9,      /* somebody else holds it, or still maps it */
    XENPV_EIO = -10,       /* the other end failed the request: the backend, or the store */
    XENPV_ENOTSUP = -11,   /* the peer or the port does not have this feature */
    XENPV_EROFS = -12,     /* a write to a read-only disk */
    XENPV_ERANGE = -13,    /* beyond the end of the disk */
    XENPV_EFULL = -14,     /* the queue takes no more now: submit, poll, then try again */
    XENPV_EPARKED = -15,   /* the device is being closed or rebuilt: the queue takes nothing */
    XENPV_ETIMEDOUT = -16, /* the deadline passed */
    XENPV_EPEER = -17,     /* the peer closed, vanished or refused */
    XENPV_EBROKEN = -18,   /* the peer broke the protocol; see struct xenpv_detail */
    XENPV_ESTALE = -19,    /* the guest was suspended: grants and ports of before are void */
    XENPV_ENOGRANT = -20,  /* no grant reference is free */
    XENPV_ENOPORT = -21,   /* no event channel is free */
    XENPV_ESTORE = -22,    /* the store cannot be reached, or broke its protocol */
    XENPV_ENOXEN = -23,    /* this is no Xen guest, or its devices cannot be opened */
};

/*
 * The checks made on everything a peer can write (design: "the peer is hostile"). Each has an id
 * that never changes; xenpv_check_text() says what it demands. Building with XENPV_SKIP_CHECK set
 * to one of them removes that check: only tests/checks does this, to show that a test notices.
 */
enum xenpv_check {
    XENPV_CHECK_NONE = 0,
    XENPV_CHECK_RSP_PROD = 1,      /* responses never outnumber the requests outstanding */
    XENPV_CHECK_RSP_ID = 2,        /* a response's id is below the number of slots */
    XENPV_CHECK_RSP_INFLIGHT = 3,  /* a response's id belongs to a published, unanswered request */
    XENPV_CHECK_RSP_OP = 4,        /* a response carries the operation of its request */
    XENPV_CHECK_BACKEND_ID = 5,    /* backend-id, frontend-id: domains, 0..0x7fef */
    XENPV_CHECK_SECTOR_SIZE = 6,   /* sector-size is a power of two, 512..32768 */
    XENPV_CHECK_SECTORS = 7,       /* sectors * 512 is at most 2^63 */
    XENPV_CHECK_PHYS_SECTOR = 8,   /* physical-sector-size: 2^n, sector-size to 2^30 */
    XENPV_CHECK_REQ_PROD = 9,      /* requests never outnumber the free slots (backend role) */
    XENPV_CHECK_REQ_SEGMENTS = 10, /* 1..11 segments, or 0 where the operation carries no data */
    XENPV_CHECK_REQ_SECTORS = 11,  /* first_sect <= last_sect <= 7 */
    XENPV_CHECK_REQ_RANGE = 12,    /* the request ends at or before the end of the disk */
    XENPV_CHECK_REQ_READONLY = 13, /* no write to a read-only disk */
    XENPV_CHECK_GRANT_HELD = 14,   /* an answered request's own memory is not mapped any more */
    XENPV_CHECK_REQ_INDIRECT = 15, /* an indirect request reads or writes */
    XENPV_CHECK_REQ_INDIRECT_SEGMENTS = 16, /* it has 1 to as many segments as were offered */
    XENPV_CHECK_REQ_DISCARD = 17,           /* a discard ends at or before the end of the disk */
    XENPV_CHECK_REQ_ALIGNED = 18, /* a request begins and ends on whole sectors of sector-size */
    XENPV_CHECK_REQ_RING = 19,    /* ring-page-order, num-ring-pages: as many as were offered */
    XENPV_CHECK_REQ_QUEUES = 20,  /* multi-queue-num-queues: 1 to as many as were offered */
    XENPV_CHECK_TX_NULL = 21,     /* only the slot of an extra info is answered NULL */
    XENPV_CHECK_RX_ID = 22,       /* a received slot carries the id of the request it consumes */
    XENPV_CHECK_RX_BOUNDS = 23,   /* received bytes lie in their page */
    XENPV_CHECK_RX_EXTRA = 24,    /* an extra info has a type that there is */
    XENPV_CHECK_RX_GSO = 25,      /* a segment size, of a protocol that was asked for */
    XENPV_CHECK_RX_LENGTH = 26,   /* a received frame has at most 65535 bytes */
    XENPV_CHECK_CTRL_ID = 27,     /* a control answer's id belongs to an unanswered message */
    XENPV_CHECK_CTRL_TYPE = 28,   /* a control answer carries the type of its message */
    XENPV_CHECK_TX_WHOLE = 40,    /* a packet is published whole (network backend role, as below) */
    XENPV_CHECK_TX_SLOTS = 41,    /* at most 18 slots, or 1 without feature-sg */
    XENPV_CHECK_TX_SIZE = 42,     /* 14 bytes at least, and no fewer than its fragments have */
    XENPV_CHECK_TX_PAGE = 43,     /* a fragment ends within its page */
    XENPV_CHECK_TX_EXTRA = 44,    /* an extra info is of a type that goes this way */
    XENPV_CHECK_TX_GSO = 45,      /* a large packet has a size of segments, and the type it is of */
    XENPV_CHECK_TX_OFFLOAD = 46,  /* blank checksums and large packets as they were offered */
    XENPV_CHECK_CTRL_MAPPING = 47, /* a part of the mapping lies within it */
    XENPV_CHECK_CTRL_QUEUE = 48,   /* a queue's number is below the number of queues */
    XENPV_CHECK_CTRL_KEY = 49,     /* a key is no longer than the backend's */
    XENPV_CHECK_CTRL_GREFS = 50, /* a list of static grants fits its page and the backend's table */
    XENPV_CHECK_XS_INDEX = 51,   /* indices of the store's rings are at most 1024 bytes apart */
    XENPV_CHECK_XS_LENGTH = 52,  /* a message of the store has at most 4096 bytes */
    XENPV_CHECK_XS_TYPE = 53,    /* an answer has the type of its request, or is an error */
    XENPV_CHECK_XS_ANSWER = 54,  /* an answer's lists end, and its numbers are numbers */
    XENPV_CHECK_XS_EVENT = 55,   /* a watch event is two strings */
    XENPV_CHECK_COUNT
};

/*
 * Why a device failed, in words a user can act on. All text is NUL-terminated; `step` and
 * `expected` are static, the rest is the record's own. Numbers that do not apply are 0.
 */
struct xenpv_detail {
    int32_t error;        /* enum xenpv_error; 0: nothing has failed */
    uint32_t check;       /* enum xenpv_check that was violated, or XENPV_CHECK_NONE */
    uint32_t queue;       /* queue number, for a violation on a ring */
    uint32_t index;       /* free-running ring index of the offending slot */
    uint64_t value;       /* the offending value, for a violation on a ring */
    const char *step;     /* what was being done, e.g. "waiting for the backend to connect" */
    const char *expected; /* what would have been right */
    char key[64];         /* the store key concerned, or "" */
    char found[48];       /* what was found, printable ASCII, cut if longer */
};

/* The symbolic name, e.g. "XENPV_EIO"; "XENPV_E?" for a number that is none. Any thread. */
const char *xenpv_error_name(int error);

/* What the error means, in a few words of English, e.g. "the other end failed the request". */
const char *xenpv_error_text(int error);

/* A check's stable short name, e.g. "rsp-id", and what it demands. "?" for a number that is none.
 */
const char *xenpv_check_name(uint32_t check);
const char *xenpv_check_text(uint32_t check);

/* The library's version, e.g. "0.1.0". */
const char *xenpv_version(void);

#ifdef __cplusplus
}
#endif
#endif
