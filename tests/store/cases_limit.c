/* SPDX-License-Identifier: MIT */
/* What privileged and unprivileged connections alike cannot exceed, or can. */
#include "suite.h"

static const struct test_case cases[] = {
    CASE("dom0 has no quota of transactions", NOT(DOMU, "it has one"),
         TIMES(50, A, TRANSACTION_START, "|", IS("=#|"))),
    CASE("dom0 has no quota of watches", NOT(DOMU, "it has one"),
         TIMES(200, A, WATCH, "~/#|t|", OK), EVENTS(A, IS("+"))),
    CASE("dom0 has no quota of permissions", NOT(DOMU, "it has one"), DO(A, MKDIR, "~/a|", OK),
         DO(A, SET_PERMS, "~/a|n0|r1|r2|r3|r4|r5|r6|r7|r8|", OK)),
    CASE("dom0 has no quota of a record", NOT(DOMU, "it has one"),
         DO(A, WRITE, "~/a|{x*3000}", OK,
            ON(OXENSTORED, "!E2BIG", "oxenstored has one for it, too"))),
};

const struct group limit_group = {cases, COUNT(cases)};
