/* SPDX-License-Identifier: MIT */
/*
 * What can be said of a request to XenStore before it is sent. Every port asks here first: a
 * message that is too long kills the connection (xs_wire.h), and an answer that is the same
 * everywhere is worth more than each server's own. Any thread.
 *
 * What the store answers has one meaning on every port. XENPV_EIO: it was reached, and failed the
 * request (xs_wire.h EIO); what else was asked stands. XENPV_ESTORE: it cannot be reached, or does
 * not keep to its protocol; nobody can say what of a batch took effect. An error that xs_wire.h
 * does not have is XENPV_EIO over a ring page, and XENPV_EINVAL where libxenstore makes that of it.
 */
#ifndef XENPV_STORE_H
#define XENPV_STORE_H

#include <xenpv/port.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a path, its NUL not counted. */
#define XENPV_STORE_ABSOLUTE_MAX 3072u /* of one that begins with '/' */
#define XENPV_STORE_RELATIVE_MAX 2048u /* of any other */

/*
 * Judges the path, the value, the permissions or the domain's number of an operation.
 * XENPV_EINVAL: there is no such type; a path is empty, has two slashes in a row or one at its end,
 * or anything but letters, digits, '-', '/', '_' and '@'; it begins with '@', but for the
 * permissions of a special watch; permissions are not a list as port.h has it; a domain's number is
 * not 0..65535 in decimal, or has a name beside it; bytes without a buffer. The directory "/" has
 * no name below it: "/" and "local" is "//local".
 * XENPV_E2BIG: a path is too long, or path and value together are, of which a message takes
 * XENPV_STORE_VALUE_MAX bytes, the path's NUL included.
 * Neither a buffer's capacity nor what a quota allows is judged.
 */
int xenpv_store_check(const struct xenpv_store_op *op);

/*
 * The same of a path to be watched. A special watch begins with '@', e.g. "@releaseDomain", and is
 * as long as a relative path. `token` is how many bytes the watch's token has, its NUL not counted.
 */
int xenpv_store_check_watch(const char *dir, uint32_t token);

#ifdef __cplusplus
}
#endif
#endif
