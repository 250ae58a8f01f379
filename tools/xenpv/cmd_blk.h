/* SPDX-License-Identifier: MIT */
/* The commands of "xenpv blk", a file for each kind. */
#ifndef XENPV_CMD_BLK_H
#define XENPV_CMD_BLK_H

#include "cli.h"

/* cmd_blk.c: bytes from one place to another, or compared with another's. */
int blk_read(const struct options *options, int count, char **arguments);
int blk_write(const struct options *options, int count, char **arguments);
int blk_copy(const struct options *options, int count, char **arguments);
int blk_verify(const struct options *options, int count, char **arguments);

/* cmd_blk_order.c: orders that move no bytes. */
int blk_flush(const struct options *options, int count, char **arguments);
int blk_discard(const struct options *options, int count, char **arguments);

#endif
