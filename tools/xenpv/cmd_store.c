/* SPDX-License-Identifier: MIT */
/* xenpv store: the XenStore, as this domain sees it. */
#include "cmd_store.h"

#define PATHS "A PATH that does not begin with / is below this domain's own directory.\n"
#define MODES                                                                                      \
    "A MODE is n, r, w or b, for nothing, read, write or both, and a domain's number. The\n"       \
    "first names the owner, who may do all, and what all may that are not named.\n"

const struct command store_commands[] = {
    {.name = "store ls",
     .arguments = "[-R] [-p] [-f] [PATH]...",
     .summary = "list the children of nodes",
     .help =
         PATHS "Prints a name a line; with more than one PATH, PATH/NAME. Without a PATH, lists\n"
               "that directory itself.\n"
               "  -R, --recursive          all below, with its values\n"
               "  -p, --permissions        behind each, who may do what with it\n"
               "  -f, --paths              each with its path\n",
     .options = OPTION_RECURSIVE | OPTION_STORE_LS,
     .least = 0,
     .most = -1,
     .run = run_store_ls},
    {.name = "store read",
     .arguments = "[--raw] PATH...",
     .summary = "print the values of nodes",
     .help = PATHS
     "Prints a value a line; with more than one PATH, \"PATH: \" before it. A byte that does\n"
     "not print is shown as \\xNN, a backslash as \\\\.\n"
     "  --raw                    the bytes as they are, and nothing else\n",
     .options = OPTION_RAW,
     .least = 1,
     .most = -1,
     .run = run_store_read},
    {.name = "store write",
     .arguments = "[--in FILE] PATH [VALUE] [PATH VALUE]...",
     .summary = "write nodes, and make them where missing",
     .help =
         PATHS "Several are written in one transaction: all of them or none.\n"
               "Put -- before a VALUE that begins with -.\n"
               "  --in FILE                write what is in FILE (-: standard input), into the\n"
               "                           one PATH that is given then\n",
     .options = OPTION_IN,
     .least = 1,
     .most = -1,
     .run = run_store_write},
    {.name = "store mkdir",
     .arguments = "PATH...",
     .summary = "make nodes where missing",
     .help =
         PATHS "Several are made in one transaction: all of them or none. A node that is there\n"
               "is no error, and stays as it is.\n",
     .least = 1,
     .most = -1,
     .run = run_store_mkdir},
    {.name = "store rm",
     .arguments = "[-t] PATH...",
     .summary = "remove nodes, and all below them",
     .help = PATHS "Several are removed in one transaction: all of them or none. A node that is\n"
                   "not there is no error, unless its parent is missing too.\n"
                   "  -t, --tidy               then also its parents, as far as they are empty\n",
     .options = OPTION_TIDY,
     .least = 1,
     .most = -1,
     .run = run_store_rm},
    {.name = "store exists",
     .arguments = "PATH...",
     .summary = "tell whether nodes exist",
     .help = PATHS "Prints nothing; the exit status is 1 when one of them is missing.\n",
     .least = 1,
     .most = -1,
     .run = run_store_exists},
    {.name = "store chmod",
     .arguments = "[-R] [-u] PATH MODE...",
     .summary = "say who may do what with a node",
     .help = PATHS MODES
     "  -R, --recursive          all below, too\n"
     "  -u, --upto               its parents, too: of a relative PATH below the own directory,\n"
     "                           of any other below /\n"
     "All or nothing, in one transaction.\n",
     .options = OPTION_RECURSIVE | OPTION_UPTO,
     .least = 2,
     .most = -1,
     .run = run_store_chmod},
    {.name = "store getperms",
     .arguments = "PATH...",
     .summary = "print who may do what with nodes",
     .help = PATHS MODES "Prints the MODEs, as 'store chmod' takes them; with more than one PATH,\n"
                         "\"PATH: \" before them.\n",
     .least = 1,
     .most = -1,
     .run = run_store_getperms},
    {.name = "store watch",
     .arguments = "[-n N] [--watch-timeout MS] PATH...",
     .summary = "print the paths of what changes",
     .help = PATHS
     "Prints each PATH at once, then the path of each node that changes, of these or of any\n"
     "below them. Changes of one node that come fast may be one. When too many come at once\n"
     "it prints the PATH in place of those that it has lost. In dom0 @introduceDomain and\n"
     "@releaseDomain tell of domains that come and go. In JSON a line for each path.\n"
     "  -n, --count N            end after N lines\n"
     "  --watch-timeout MS       end after so long, with exit status 1 (0: never)\n",
     .options = OPTION_COUNT | OPTION_WATCH,
     .least = 1,
     .most = -1,
     .run = run_store_watch},
    {.name = "store transaction",
     .arguments = "[--in FILE]",
     .summary = "do all of a script's operations, or nothing",
     .help = PATHS
     "Reads operations from standard input, one a line, and does them in one transaction:\n"
     "  read PATH, ls PATH, exists PATH, getperms PATH, write PATH VALUE, mkdir PATH,\n"
     "  rm PATH, chmod PATH MODE...\n"
     "Words are parted by blanks. Between \" and \", blanks count; behind a backslash any\n"
     "character does, \\n and \\t are what they are in C, \\xNN is a byte. What begins with #\n"
     "is a comment. One that looks and fails does not keep the others from taking\n"
     "effect; one that changes does. What was read is printed once all has been done.\n"
     "A transaction that others disturb is tried again, 50 times.\n"
     "  --in FILE                read them from FILE\n",
     .options = OPTION_IN,
     .least = 0,
     .most = 0,
     .run = run_store_transaction},
    {.name = NULL},
};
