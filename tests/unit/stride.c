/* SPDX-License-Identifier: MIT */
#include "stride.h"

#include <stdlib.h>

uint64_t stride(void)
{
    const char *text = getenv("XENPV_TEST_STRIDE");
    uint64_t steps = text ? strtoull(text, NULL, 10) : 1;

    return steps ? steps : 1;
}
