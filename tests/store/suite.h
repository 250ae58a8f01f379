/* SPDX-License-Identifier: MIT */
/*
 * The store suite: what is said to a xenstored, message by message, and what it must answer. One
 * table of cases (cases_*.c) for every server and every way to it.
 *
 * Texts are written so (text.c):
 *     |          a NUL
 *     $  ~       the directory of the case, absolute (/local/domain/N/data/s) and relative (data/s)
 *     %          the number of the domain that is tested
 *     <1f>       the byte of this value
 *     {x*20}     x twenty times
 *     {x^2048}   x until the whole text has 2,048 bytes
 *     #          in a request that is repeated: how often it was; in an answer: a number
 *     {n..m}     in a list: the numbers n to m, each with its NUL
 * Answers:
 *     ok         "OK" and a NUL
 *     !ENOENT    this error
 *     =text      these bytes
 *     [a|b|      these strings, in any order
 *     +          no error
 *     overlong   an answer of more than 4,096 bytes
 *     closed     the server closes the connection
 *     send:7     the request is refused before it is sent, with this errno, as by write()
 *     1000!ENOSPC  (FILL) as many as bring the domain to 1,000, then this error
 */
#ifndef STORE_SUITE_H
#define STORE_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/io/xs_wire.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Where an expectation holds: all bits that it names. */
enum where {
    EVERYWHERE = 0,
    MOCK = 1u << 0,
    XENSTORED = 1u << 1,
    OXENSTORED = 1u << 2,
    REAL = 1u << 3,   /* a server of Xen's, not the mock */
    DOM0 = 1u << 4,   /* the domain tested is privileged */
    DOMU = 1u << 5,   /* it is not */
    KERNEL = 1u << 6, /* Linux's /dev/xen/xenbus is between */
    CLIENT = 1u << 7, /* party A is xenpv's store client, over a ring page */
};

/* Connections: A to D are of the domain tested, Z is domain 0's. They open when first used. */
enum party { NOBODY, A, B, C, D, Z, PARTIES };

/* Beside the types of xs_wire.h. */
enum {
    OP_EVENTS = 1000, /* the events that came since the last time, "path|token;path|token" */
    OP_PARTS,         /* all of a directory by DIRECTORY_PART */
    OP_FILL_NODES,    /* the request is repeated until it fails; counted with the domain's nodes, */
    OP_FILL_WATCHES,  /* its watches, */
    OP_FILL,          /* or from nothing */
    OP_CLOSE,         /* the connection is closed */
};

#define PIPELINED 16u /* a server reads no more than 20 requests of a domain ahead */

#define UNKNOWN_TX 15 /* a transaction that nobody started */
#define TX_SLOTS   16

struct answer {
    unsigned where;
    const char *text;
    const char *why; /* of one that is not for everywhere */
};

struct step {
    uint8_t party;
    uint8_t tx;    /* a slot; TRANSACTION_START fills it, or 0 */
    uint16_t type; /* of the request */
    uint16_t fill; /* or OP_ */
    uint16_t times;
    uint32_t claim; /* what the header says of the payload's length, if that is not true */
    bool nested;    /* a TRANSACTION_START with a transaction: `tx` is read, not filled */
    bool bytewise;  /* sent byte by byte */
    const char *payload;
    struct answer wants[5]; /* the last that holds */
};

struct test_case {
    const char *name;
    struct answer except[3]; /* where it cannot be put, and why */
    const struct step *steps;
};

struct group {
    const struct test_case *cases;
    size_t count;
};
extern const struct group basic_group, path_group, perm_group, transaction_group, watch_group,
    special_group, quota_group, limit_group;

#define OK                                                                                         \
    {                                                                                              \
        EVERYWHERE, "ok", NULL                                                                     \
    }
#define IS(text)                                                                                   \
    {                                                                                              \
        EVERYWHERE, text, NULL                                                                     \
    }
#define ON(where, text, why)                                                                       \
    {                                                                                              \
        where, text, why                                                                           \
    }
#define DO(who, what, text, ...)                                                                   \
    {                                                                                              \
        .party = who, .type = XS_##what, .payload = text, .wants = { __VA_ARGS__ }                 \
    }
#define TYPE(who, number, text, ...)                                                               \
    {                                                                                              \
        .party = who, .type = number, .payload = text, .wants = { __VA_ARGS__ }                    \
    }
#define IN(slot, who, what, text, ...)                                                             \
    {                                                                                              \
        .party = who, .tx = slot, .type = XS_##what, .nested = true, .payload = text, .wants = {   \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define TIMES(number, who, what, text, ...)                                                        \
    {                                                                                              \
        .party = who, .times = number, .type = XS_##what, .payload = text, .wants = {              \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define FILL(kind, who, what, text, ...)                                                           \
    {                                                                                              \
        .party = who, .fill = kind, .type = XS_##what, .payload = text, .wants = { __VA_ARGS__ }   \
    }
#define START(slot, who)                                                                           \
    {                                                                                              \
        .party = who, .tx = slot, .type = XS_TRANSACTION_START, .payload = "|", .wants = {         \
            IS("=#|")                                                                              \
        }                                                                                          \
    }
#define EVENTS(who, ...)                                                                           \
    {                                                                                              \
        .party = who, .fill = OP_EVENTS, .wants = { __VA_ARGS__ }                                  \
    }
#define PARTS(who, text, ...)                                                                      \
    {                                                                                              \
        .party = who, .fill = OP_PARTS, .payload = text, .wants = { __VA_ARGS__ }                  \
    }
#define CLOSE(who)                                                                                 \
    {                                                                                              \
        .party = who, .fill = OP_CLOSE                                                             \
    }
#define NOT(where, why)                                                                            \
    {                                                                                              \
        {                                                                                          \
            where, "", why                                                                         \
        }                                                                                          \
    }
#define NEITHER(one, why_one, other, why_other)                                                    \
    {                                                                                              \
        {one, "", why_one},                                                                        \
        {                                                                                          \
            other, "", why_other                                                                   \
        }                                                                                          \
    }
#define ANYWHERE                                                                                   \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define CASE(text, but, ...)                                                                       \
    {                                                                                              \
        .name = text, .except = but, .steps = (const struct step[])                                \
        {                                                                                          \
            __VA_ARGS__,                                                                           \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

/* ------------------------------------------------------------------------------- transports -- */

struct link; /* a connection */

struct transport {
    /* NULL: it cannot be opened. */
    struct link *(*open)(void *ctx, enum party party);
    /* 0, or an errno, and then nothing was sent. */
    int (*send)(struct link *link, const void *bytes, size_t count);
    /* Bytes, at least one; 0: the server closed it; -1: nothing came for ten seconds. */
    long (*receive)(struct link *link, void *bytes, size_t capacity);
    void (*close)(struct link *link);
};

/* A way to a server, and where that is. */
struct world {
    const char *name;
    unsigned where;
    unsigned domid;    /* of the domain tested */
    unsigned together; /* requests that are sent at once where a step has many */
    const struct transport *transports[PARTIES];
    void *ctx[PARTIES];
    /* The watches that the domain has already; NULL: the server can be asked. */
    unsigned (*watches)(void *ctx);
};

/* ------------------------------------------------------------------------------------ text.c -- */

#define TEXT_MAX 16384u

struct text {
    size_t length;
    char bytes[TEXT_MAX];
};

#define NO_INDEX (~0u) /* of a request that is not repeated */

void expand(struct text *text, const struct world *world, const char *notation, unsigned index);
/* Whether the bytes are those of an answer "=...". */
bool text_fits(const struct text *wanted, const char *bytes, size_t count);
/* Whether both are the same strings, each with its NUL, in any order. */
bool same_strings(const struct text *wanted, const char *bytes, size_t count);
/* For people; `room` is at least 8. */
const char *printable(const char *bytes, size_t count, char *out, size_t room);

/* -------------------------------------------------------------------------------- exchange.c - */

#define BARRIER "barrier"

struct message {
    struct xsd_sockmsg header;
    size_t length;
    char body[XENSTORE_PAYLOAD_MAX + 1];
};

struct connection {
    struct link *link;
    const struct transport *transport;
    bool closed, watching, barrier;
    unsigned barriers; /* events with the token BARRIER that were taken in */
    uint32_t next_id;
    size_t have; /* bytes of `in` */
    char in[65536];
    struct text events; /* "path|token;" each */
};

enum outcome { ANSWERED, REFUSED, CLOSED, SILENT, NONSENSE, OVERLONG };

/* Sends one request. 0, or write()'s errno. */
int put_request(struct connection *c, const struct step *step, uint32_t tx,
                const struct text *payload, uint32_t *id);
/* Sends `count` of a step's requests at once, the first of them with the index `from`. */
int put_requests(struct connection *c, const struct world *world, const struct step *step,
                 uint32_t tx, unsigned from, unsigned count, uint32_t *ids);
/* The answer to request `id`; events before it are kept. */
enum outcome get_answer(struct connection *c, uint32_t id, struct message *answer);
/* Takes in events until one with the token BARRIER has come, which may be before the answer. */
enum outcome get_barrier(struct connection *c);

/* ------------------------------------------------------------------------------------- run.c -- */

struct tally {
    unsigned cases, passed, failed, excepted, own; /* own: cases with an expectation of their own */
};

/* Runs the cases whose names contain `only`. */
void run_suite(const struct world *world, const char *only, bool verbose, struct tally *tally);
/* Prints what came of it; true if all is well. */
bool tell(const struct world *world, const struct tally *tally);

#endif
