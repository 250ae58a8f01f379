/* SPDX-License-Identifier: MIT */
#ifndef STORE_LINKS_MOCK_H
#define STORE_LINKS_MOCK_H

#include "suite.h"
#include <xenpv/harness/mock.h>

struct mock_end {
    struct xenpv_mock *mock;
    uint16_t domid;
};
extern const struct transport mock_transport;

#endif
