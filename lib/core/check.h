/* SPDX-License-Identifier: MIT */
/* How a check on a peer is written, so that tests/checks can build without any single one of them.
 */
#ifndef XENPV_CHECK_H
#define XENPV_CHECK_H

#include <xenpv/error.h>

#ifndef XENPV_SKIP_CHECK
#define XENPV_SKIP_CHECK 0
#endif

/* True when `good` holds; ID as in enum xenpv_check without its prefix. */
#define XENPV_CHECK(ID, good) ((int)XENPV_CHECK_##ID == XENPV_SKIP_CHECK || (good))

#endif
