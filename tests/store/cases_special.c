/* SPDX-License-Identifier: MIT */
/* Special watches and RESET_WATCHES. */
#include "suite.h"

#define NEITHER_OF_TWO                                                                             \
    NEITHER(KERNEL, "Linux's own would go, too", CLIENT, "the client does it when it connects")

static const struct test_case cases[] = {
    CASE("special watches fire when they are made", ANYWHERE,
         DO(A, WATCH, "@introduceDomain|i|", OK), DO(A, WATCH, "@releaseDomain|r|", OK),
         EVENTS(A, IS("@introduceDomain|i;@releaseDomain|r")),
         DO(A, UNWATCH, "@introduceDomain|i|", OK), DO(A, UNWATCH, "@releaseDomain|r|", OK)),
    CASE("watches are reset", NEITHER_OF_TWO, DO(A, WATCH, "~/a|1|", OK),
         DO(A, WATCH, "~/b|2|", OK), EVENTS(A, IS("~/a|1;~/b|2")), DO(A, RESET_WATCHES, "|", OK),
         DO(A, UNWATCH, "~/a|1|", IS("!ENOENT")), DO(A, WATCH, "~/a|1|", OK),
         EVENTS(A, IS("~/a|1"))),
    CASE("a reset ends transactions", NEITHER_OF_TWO, START(1, A), IN(1, A, WRITE, "~/a|x", OK),
         DO(A, RESET_WATCHES, "|", OK),
         IN(1, A, TRANSACTION_END, "T|", IS("!ENOENT"),
            ON(OXENSTORED, "!EIO", "oxenstored's word for it"))),
    CASE("a reset is for the own connection", NEITHER_OF_TWO, DO(A, WATCH, "~/a|1|", OK),
         DO(B, WATCH, "~/a|2|", OK), DO(A, RESET_WATCHES, "|", OK), EVENTS(A, IS("~/a|1")),
         DO(C, WRITE, "~/a|x", OK), EVENTS(B, IS("~/a|2;~/a|2"))),
};

const struct group special_group = {cases, COUNT(cases)};
