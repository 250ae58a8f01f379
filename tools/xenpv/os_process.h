/* SPDX-License-Identifier: MIT */
/* Other programs, and who this one is; one .c file, for Windows has neither here. */
#ifndef XENPV_OS_PROCESS_H
#define XENPV_OS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#define OS_RUN_FAILED    (-1) /* it cannot be started: errno */
#define OS_RUN_TIMED_OUT (-2) /* it, and what it had started in its process group, is killed */

/*
 * Runs a command of the shell to its end: 0..255, 128 + n after signal n, or one of the above. It
 * reads nothing, has the descriptor `out` for its standard output, and gets `variables`
 * ("NAME=VALUE", up to NULL) beside our own. `ms` 0: for ever.
 */
int os_run(const char *command, char *const *variables, int out, uint32_t ms);

/* From here on we are that user, of his groups and with his home, and can never be another. 0, or
 * -1 with errno set, ENOENT where there is none. */
int os_become(const char *user);

#endif
