/* SPDX-License-Identifier: MIT */
/* What a path is, and how long it and a payload may be. */
#include "suite.h"

/* One path, in every request that takes one. */
#define EVERY_REQUEST(path, ...)                                                                   \
    DO(A, READ, path "|", __VA_ARGS__), DO(A, WRITE, path "|x", __VA_ARGS__),                      \
        DO(A, MKDIR, path "|", __VA_ARGS__), DO(A, DIRECTORY, path "|", __VA_ARGS__),              \
        DO(A, RM, path "|", __VA_ARGS__), DO(A, GET_PERMS, path "|", __VA_ARGS__),                 \
        DO(A, SET_PERMS, path "|n%|", __VA_ARGS__)

#define BY_WRITE ON(KERNEL, "send:22", "Linux tells it by write()")
#define AT(text)                                                                                   \
    ON(OXENSTORED, text, "oxenstored has nodes of these names"),                                   \
        ON(OXENSTORED | DOMU, "!EACCES", "which are dom0's")
#define SHORT_WATCHES ON(CLIENT, "send:7", "the client's watches end at 255 bytes")
#define PATH_MAX_1024                                                                              \
    ON(OXENSTORED, "!EINVAL", "quota-path-max of Debian's oxenstored.conf is 1024")

static const struct test_case cases[] = {
    CASE("a path of nothing", ANYWHERE, EVERY_REQUEST("", IS("!EINVAL"))),
    CASE("a slash twice", ANYWHERE, EVERY_REQUEST("~//a", IS("!EINVAL")),
         EVERY_REQUEST("$//a", IS("!EINVAL"))),
    CASE("a slash twice at the start", ANYWHERE, EVERY_REQUEST("//a", IS("!EINVAL"))),
    CASE("a slash at the end", ANYWHERE, EVERY_REQUEST("~/", IS("!EINVAL")),
         EVERY_REQUEST("$/", IS("!EINVAL"))),
    CASE("slashes only", ANYWHERE, EVERY_REQUEST("//", IS("!EINVAL"))),
    CASE("all characters that a name may have", ANYWHERE, DO(A, WRITE, "~/AZaz09-_@|x", OK),
         DO(A, READ, "~/AZaz09-_@|", IS("=x")), DO(A, DIRECTORY, "~|", IS("=AZaz09-_@|"))),
    CASE("a space", ANYWHERE, EVERY_REQUEST("~/a b", IS("!EINVAL"))),
    CASE("a full stop", ANYWHERE, EVERY_REQUEST("~/a.b", IS("!EINVAL"))),
    CASE("two full stops", ANYWHERE, EVERY_REQUEST("~/..", IS("!EINVAL"))),
    CASE("a colon, a comma, a plus", ANYWHERE, DO(A, WRITE, "~/a:b|x", IS("!EINVAL")),
         DO(A, WRITE, "~/a,b|x", IS("!EINVAL")), DO(A, WRITE, "~/a+b|x", IS("!EINVAL"))),
    CASE("a control character", ANYWHERE, EVERY_REQUEST("~/a<0a>", IS("!EINVAL"))),
    CASE("a byte above 127", ANYWHERE, EVERY_REQUEST("~/a<e4>", IS("!EINVAL"))),
    CASE("an asterisk", ANYWHERE, EVERY_REQUEST("~/*", IS("!EINVAL"))),
    CASE("an at sign at the start names no node", ANYWHERE,
         DO(A, WRITE, "@a|x", IS("!EINVAL"), AT("ok")),
         DO(A, READ, "@releaseDomain|", IS("!EINVAL"), AT("=")),
         DO(A, MKDIR, "@a|", IS("!EINVAL"), AT("ok")),
         DO(A, DIRECTORY, "@releaseDomain|", IS("!EINVAL"), AT("=")),
         DO(A, RM, "@a|", IS("!EINVAL"),
            ON(OXENSTORED, "ok", "oxenstored has nodes of these names"))),
    CASE("relative and absolute name the same", ANYWHERE, DO(A, WRITE, "~/a|x", OK),
         DO(A, READ, "$/a|", IS("=x")), DO(A, WRITE, "$/b|y", OK), DO(A, READ, "~/b|", IS("=y"))),
    CASE("a relative path of 1,023, 1,024 and 1,025 bytes", ANYWHERE,
         DO(A, READ, "~/{a^1023}|", IS("!ENOENT")), DO(A, READ, "~/{a^1024}|", IS("!ENOENT")),
         DO(A, READ, "~/{a^1025}|", IS("!ENOENT"), PATH_MAX_1024)),
    CASE("a relative path of 2,047, 2,048 and 2,049 bytes", ANYWHERE,
         DO(A, READ, "~/{a^2047}|", IS("!ENOENT"), PATH_MAX_1024),
         DO(A, READ, "~/{a^2048}|", IS("!ENOENT"), PATH_MAX_1024),
         DO(A, READ, "~/{a^2049}|", IS("!EINVAL"))),
    CASE("an absolute path, outside of domains, of 2,047, 2,048 and 2,049 bytes", ANYWHERE,
         DO(A, READ, "/tool/{a^2047}|", IS("!ENOENT"), ON(DOMU, "!EACCES", "it is not told"),
            PATH_MAX_1024),
         DO(A, READ, "/tool/{a^2048}|", IS("!ENOENT"), ON(DOMU, "!EACCES", "it is not told"),
            PATH_MAX_1024),
         DO(A, READ, "/tool/{a^2049}|", IS("!EINVAL"))),
    CASE("an absolute path of 3,071, 3,072 and 3,073 bytes", ANYWHERE,
         DO(A, READ, "$/{a^3071}|", IS("!EINVAL")), DO(A, READ, "$/{a^3072}|", IS("!EINVAL")),
         DO(A, READ, "$/{a^3073}|", IS("!EINVAL"))),
    CASE("the path of a watch at its limit", ANYWHERE,
         DO(A, WATCH, "~/{a^2048}|t|", OK, SHORT_WATCHES),
         DO(A, WATCH, "~/{a^2049}|t|", IS("!EINVAL"),
            ON(OXENSTORED, "ok", "it does not look at the length"),
            ON(XENSTORED | KERNEL, "send:22", "Linux tells it by write()"), SHORT_WATCHES),
         EVENTS(A, IS("~/{a^2048}|t"),
                ON(OXENSTORED, "~/{a^2048}|t;~/{a*2042}|t", "it does not look at the length"),
                ON(XENSTORED, "~/{a^2048}|t", "it was refused"),
                ON(CLIENT, "", "both were refused"))),
    CASE("a node with a name of 1,000 bytes", ANYWHERE, DO(A, WRITE, "~/{n*1000}|x", OK),
         DO(A, READ, "~/{n*1000}|", IS("=x")), DO(A, DIRECTORY, "~|", IS("={n*1000}|"))),
    CASE("a path of 300 nodes", ANYWHERE, DO(A, WRITE, "~{/a*300}|x", OK),
         DO(A, READ, "~{/a*300}|", IS("=x")), DO(A, RM, "~/a|", OK),
         DO(A, READ, "~{/a*300}|", IS("!ENOENT"))),
    CASE("a payload of 4,095 and 4,096 bytes", ANYWHERE,
         DO(A, READ, "{a^4094}|", IS("!EINVAL"), BY_WRITE),
         DO(A, READ, "{a^4095}|", IS("!EINVAL"), BY_WRITE), DO(A, READ, "~|", IS("="))),
    CASE("a payload of 4,096 bytes is written as a value",
         NEITHER(DOMU, "its values end below 2,048", KERNEL, "Linux takes 4,080"),
         DO(A, WRITE, "~/a|{x^4096}", OK,
            ON(OXENSTORED, "!E2BIG", "oxenstored has a limit of 2,048 for dom0, too")),
         DO(A, READ, "~/a|", IS("+"), ON(OXENSTORED, "!ENOENT", "it was not written"))),
    CASE("a header of 4,097 bytes ends the connection",
         NOT(OXENSTORED, "oxenstored waits for them, without an answer"),
         {.party = A,
          .type = XS_READ,
          .claim = 4097,
          .payload = "~|",
          .wants = {IS("closed"), ON(KERNEL, "send:7", "Linux refuses it itself"),
                    ON(CLIENT, "send:7", "the client refuses it itself")}}),
    CASE("a header of 2^32-1 bytes ends the connection",
         NOT(OXENSTORED, "oxenstored waits for them, without an answer"),
         {.party = A,
          .type = XS_READ,
          .claim = ~0u,
          .payload = "~|",
          .wants = {IS("closed"), ON(KERNEL, "send:7", "Linux refuses it itself"),
                    ON(CLIENT, "send:7", "the client refuses it itself")}}),
};

const struct group path_group = {cases, COUNT(cases)};
