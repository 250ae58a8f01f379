/* SPDX-License-Identifier: MIT */
/* The names of the keys that a frontend writes for each queue and each page of a ring. */
#ifndef XENPV_KEY_NAME_H
#define XENPV_KEY_NAME_H

#include <xenpv/env.h>

#define KEY_NAME  32u        /* bytes of a name with its NUL, as a row of the bus takes it */
#define KEY_ALONE UINT32_MAX /* for a number that is left away */

/* "queue-12/ring-ref3"; without a queue "ring-ref3", without a key "queue-12". */
void key_name(char name[KEY_NAME], uint32_t queue, const char *key, uint32_t page);

#endif
