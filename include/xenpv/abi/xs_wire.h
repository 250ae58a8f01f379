/* SPDX-License-Identifier: MIT */
/*
 * XenStore on the wire, as in Xen's xen/include/public/io/xs_wire.h and
 * docs/misc/xenstore-ring.txt: the page that a guest shares with xenstored, and the header of a
 * message. Numbers are little-endian.
 */
#ifndef XENPV_ABI_XS_WIRE_H
#define XENPV_ABI_XS_WIRE_H

#include <xenpv/env.h>

#ifdef __cplusplus
extern "C" {
#endif

/* enum xsd_sockmsg_type; number 20 is gone, what is above 22 is younger than Xen 4.17. */
enum xenpv_xs_type {
    XENPV_XS_CONTROL = 0,
    XENPV_XS_DIRECTORY = 1,
    XENPV_XS_READ = 2,
    XENPV_XS_GET_PERMS = 3,
    XENPV_XS_WATCH = 4,
    XENPV_XS_UNWATCH = 5,
    XENPV_XS_TRANSACTION_START = 6,
    XENPV_XS_TRANSACTION_END = 7,
    XENPV_XS_INTRODUCE = 8,
    XENPV_XS_RELEASE = 9,
    XENPV_XS_GET_DOMAIN_PATH = 10,
    XENPV_XS_WRITE = 11,
    XENPV_XS_MKDIR = 12,
    XENPV_XS_RM = 13,
    XENPV_XS_SET_PERMS = 14,
    XENPV_XS_WATCH_EVENT = 15, /* from the server, unasked */
    XENPV_XS_ERROR = 16,       /* from the server: the name of an error */
    XENPV_XS_IS_DOMAIN_INTRODUCED = 17,
    XENPV_XS_RESUME = 18,
    XENPV_XS_SET_TARGET = 19,
    XENPV_XS_RESET_WATCHES = 21,
    XENPV_XS_DIRECTORY_PART = 22,
    XENPV_XS_GET_FEATURE = 23,
    XENPV_XS_SET_FEATURE = 24,
    XENPV_XS_GET_QUOTA = 25,
    XENPV_XS_SET_QUOTA = 26,
};

struct xenpv_xs_header {
    uint32_t type;
    uint32_t id;     /* of the request, repeated by its answer; 0 in an event */
    uint32_t tx;     /* of the transaction; 0: none */
    uint32_t length; /* bytes that follow, at most XENPV_XS_PAYLOAD */
};

#define XENPV_XS_RING    1024u /* bytes of a ring, one for each direction */
#define XENPV_XS_PAYLOAD 4096u /* XENSTORE_PAYLOAD_MAX: a longer message kills the connection */

/* Indices run free: a byte's place is its index modulo XENPV_XS_RING. They begin anywhere. */
struct xenpv_xs_page {
    char req[XENPV_XS_RING];
    char rsp[XENPV_XS_RING];
    uint32_t req_cons; /* the server's */
    uint32_t req_prod; /* the guest's */
    uint32_t rsp_cons; /* the guest's */
    uint32_t rsp_prod; /* the server's */
    uint32_t features; /* XENPV_XS_FEATURE_*: the server's, bits are only ever set */
    uint32_t
        connection; /* with RECONNECT: the guest sets 1 to ask for it, the server 0 when done */
    uint32_t error; /* why the server listens no more; 0: it does. Xen 4.17 sets it without ERROR */
};

#define XENPV_XS_FEATURE_RECONNECT 1u
#define XENPV_XS_FEATURE_ERROR     2u

#ifdef __cplusplus
}
#endif
#endif
