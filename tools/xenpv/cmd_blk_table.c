/* SPDX-License-Identifier: MIT */
/* The commands of "xenpv blk", and what their help says. */
#include "cmd_blk.h"

#define HELP_OFFSET                                                                                \
    "  --offset BYTES          where to begin (0); K, M, G, T behind a number: powers of 1024\n"
#define HELP_TAKE_OVER                                                                             \
    "  --take-over             take the disk from the kernel driver or process that holds it\n"
#define HELP_BETWEEN                                                                               \
    "SOURCE and TARGET are disks (vbd/NUMBER, vbd/NAME, serial:TEXT), files, or - for a "          \
    "standard\n"                                                                                   \
    "stream; one of them at least is a disk.\n"                                                    \
    "  --offset BYTES          where in SOURCE to begin (0)\n"                                     \
    "  --length BYTES          how many (up to the end of SOURCE)\n"                               \
    "  --target-offset BYTES   where in TARGET to begin (0)\n"

const struct command blk_commands[] = {
    {.name = "blk read",
     .arguments = "DISK",
     .summary = "read a disk, or a part of it",
     .help =
         "Connects to the disk and writes its bytes to standard output.\n" HELP_OFFSET
         "  --length BYTES          how many (up to the end of the disk)\n"
         "  --out FILE              write to FILE instead; it is created once the disk has been\n"
         "                          found good (-: standard output)\n" HELP_TAKE_OVER,
     .options = OPTION_OFFSET | OPTION_LENGTH | OPTION_OUT | OPTIONS_DISK,
     .least = 1,
     .most = 1,
     .run = blk_read},
    {.name = "blk write",
     .arguments = "DISK",
     .summary = "write to a disk",
     .help = "Connects to the disk and writes standard input to it, then flushes it.\n" HELP_OFFSET
             "  --in FILE               write the bytes of FILE instead (-: standard "
             "input)\n" HELP_TAKE_OVER
             "A file that does not fit is refused before anything is written; what comes from a\n"
             "pipe is written up to the end of the disk.\n",
     .options = OPTION_OFFSET | OPTION_IN | OPTIONS_DISK,
     .least = 1,
     .most = 1,
     .run = blk_write},
    {.name = "blk copy",
     .arguments = "SOURCE TARGET",
     .summary = "copy between disks, or a disk and a file",
     .help =
         "Copies the bytes of SOURCE to TARGET; a disk that was written is flushed.\n" HELP_BETWEEN
             HELP_TAKE_OVER
         "A file is created or emptied, unless --target-offset says where to write into it;\n"
         "blocks of zeroes take no room in a file that was created.\n",
     .options = OPTION_OFFSET | OPTION_LENGTH | OPTION_TARGET_OFFSET | OPTIONS_DISK,
     .least = 2,
     .most = 2,
     .run = blk_copy},
    {.name = "blk verify",
     .arguments = "SOURCE [TARGET]",
     .summary = "compare a disk with a file or disk, or see that all of it can be read",
     .help = "Compares the bytes of SOURCE with as many of TARGET, and says where the first one\n"
             "differs and how many do (exit status 1). Without TARGET, reads all of SOURCE.\n"
             "Writes nothing.\n" HELP_BETWEEN HELP_TAKE_OVER,
     .options = OPTION_OFFSET | OPTION_LENGTH | OPTION_TARGET_OFFSET | OPTIONS_DISK,
     .least = 1,
     .most = 2,
     .run = blk_verify},
    {.name = "blk flush",
     .arguments = "DISK",
     .summary = "have a disk put on stable storage what was written",
     .help = "Connects to the disk and flushes it.\n" HELP_TAKE_OVER,
     .options = OPTIONS_DISK,
     .least = 1,
     .most = 1,
     .run = blk_flush},
    {.name = "blk discard",
     .arguments = "DISK",
     .summary = "tell a disk that bytes are not needed any more",
     .help =
         "Connects to the disk and discards a part of it, then flushes it. What the part held\n"
         "is lost; a backend discards whole granules only ('xenpv info' shows their size), what\n"
         "is left over at either end keeps its data.\n" HELP_OFFSET
         "  --length BYTES          how many\n"
         "  --all                   the whole disk\n"
         "  --secure                so that the data cannot be recovered; granules "
         "only\n" HELP_TAKE_OVER,
     .options = OPTION_OFFSET | OPTION_LENGTH | OPTION_ALL | OPTION_SECURE | OPTIONS_DISK,
     .least = 1,
     .most = 1,
     .run = blk_discard},
    {.name = NULL},
};
