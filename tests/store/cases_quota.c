/* SPDX-License-Identifier: MIT */
/* Quotas of an unprivileged domain: one below, at, and one above. */
#include "suite.h"

#define PRIVILEGED  NOT(DOM0, "quotas do not bind it")
#define FULL(text)  ON(OXENSTORED, text, "EQUOTA, which is not in xs_wire.h")
#define VALUE(text) ON(OXENSTORED, text, "oxenstored counts the value alone")
#define BY_WRITE                                                                                   \
    ON(KERNEL | XENSTORED, "send:7", "Linux tells it by write()"),                                 \
        ON(KERNEL | OXENSTORED, "send:22",                                                         \
           "Linux tells it by write(), and takes EQUOTA for EINVAL")

#define BY_CLIENT(text) ON(CLIENT, text, "the client's word for a quota, whichever server's")

static const struct test_case cases[] = {
    CASE("1,000 nodes", PRIVILEGED, TIMES(320, A, MKDIR, "~/a/#|", OK),
         TIMES(320, A, MKDIR, "~/b/#|", OK), DO(A, MKDIR, "~/c|", OK),
         FILL(OP_FILL_NODES, A, MKDIR, "~/c/#|", IS("1000!ENOSPC"), FULL("1000!EQUOTA")),
         DO(A, WRITE, "~/new|x", IS("!ENOSPC"), FULL("!EQUOTA")), DO(A, RM, "~/c/999|", OK),
         DO(A, WRITE, "~/new|x", OK), DO(A, WRITE, "~/more|x", IS("!ENOSPC"), FULL("!EQUOTA")),
         DO(A, WRITE, "~/new|yy", OK), DO(Z, WRITE, "$/dom0|x", OK)),
    /* 129: both take one more than their quota. */
    CASE("128 watches", PRIVILEGED, DO(A, MKDIR, "~/a|", OK), EVENTS(A, IS("")),
         FILL(OP_FILL_WATCHES, A, WATCH, "~/a|#|", IS("129!E2BIG"),
              ON(XENSTORED | KERNEL, "129send:7", "Linux tells it by write()"),
              ON(OXENSTORED, "93send:22", "its quota is 100, and Linux has 7; EQUOTA is EINVAL"),
              BY_CLIENT("129!ENOSPC")),
         DO(A, UNWATCH, "~/a|92|", OK), DO(A, WATCH, "~/a|new|", OK),
         DO(A, WATCH, "~/a|more|", IS("!E2BIG"), BY_WRITE, BY_CLIENT("!ENOSPC")),
         EVENTS(A, IS("+"))),
    CASE("10 transactions, and one more", PRIVILEGED,
         FILL(OP_FILL, A, TRANSACTION_START, "|", IS("11!ENOSPC"), FULL("11!EQUOTA"))),
    CASE("a record of 2,048 bytes", PRIVILEGED, DO(A, WRITE, "~/a|{x*2000}", OK),
         DO(A, WRITE, "~/a|{x*2015}", OK), DO(A, WRITE, "~/a|{x*2016}", IS("!ENOSPC"), VALUE("ok")),
         DO(A, WRITE, "~/a|{x*2048}", IS("!ENOSPC"), VALUE("ok")),
         DO(A, WRITE, "~/a|{x*2049}", IS("!ENOSPC"), VALUE("!E2BIG")),
         DO(A, READ, "~/a|", IS("={x*2015}"), VALUE("={x*2048}"))),
    CASE("5 permissions of a node", PRIVILEGED, DO(A, MKDIR, "~/a|", OK),
         DO(A, SET_PERMS, "~/a|n%|r0|r1|r2|", OK), DO(A, SET_PERMS, "~/a|n%|r0|r1|r2|r3|", OK),
         DO(A, SET_PERMS, "~/a|n%|r0|r1|r2|r3|r4|", IS("!ENOSPC"),
            ON(OXENSTORED, "ok", "oxenstored has no such quota"))),
    CASE("1,024 nodes in a transaction", PRIVILEGED, START(1, A),
         {.party = A,
          .tx = 1,
          .fill = OP_FILL,
          .type = XS_READ,
          .payload = "~/#|",
          .wants = {IS("1023!ENOSPC"), FULL("1024!EQUOTA")}}),
};

const struct group quota_group = {cases, COUNT(cases)};
