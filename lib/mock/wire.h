/* SPDX-License-Identifier: MIT */
/* Connections that carry the messages of xs_wire.h: by calls, or over a ring page. */
#ifndef MOCK_WIRE_H
#define MOCK_WIRE_H

#include "store.h"

#define WIRE_PAYLOAD 4096u  /* XENSTORE_PAYLOAD_MAX */
#define WIRE_UNREAD  65536u /* bytes that wait for the server */

/* struct xsd_sockmsg */
struct wire_header {
    uint32_t type, request, transaction, length;
};

/* enum xsd_sockmsg_type */
enum wire_type {
    WIRE_CONTROL,
    WIRE_DIRECTORY,
    WIRE_READ,
    WIRE_GET_PERMS,
    WIRE_WATCH,
    WIRE_UNWATCH,
    WIRE_TRANSACTION_START,
    WIRE_TRANSACTION_END,
    WIRE_INTRODUCE,
    WIRE_RELEASE,
    WIRE_GET_DOMAIN_PATH,
    WIRE_WRITE,
    WIRE_MKDIR,
    WIRE_RM,
    WIRE_SET_PERMS,
    WIRE_WATCH_EVENT,
    WIRE_ERROR,
    WIRE_IS_DOMAIN_INTRODUCED,
    WIRE_RESUME,
    WIRE_SET_TARGET,
    WIRE_RESET_WATCHES = WIRE_SET_TARGET + 2,
    WIRE_DIRECTORY_PART,
    WIRE_TYPES,
};

/* What went wrong, as the ring page has it. */
enum wire_error { WIRE_ERROR_NONE, WIRE_ERROR_COMM, WIRE_ERROR_INDEX, WIRE_ERROR_PROTOCOL };

/* A guest's request: outstanding until its answer and all events it caused have been read. */
struct request {
    struct domain *domain;
    uint32_t references;
};

/* An answer or an event on its way. */
struct message {
    struct message *next;
    struct request *request; /* that it belongs to, or NULL */
    uint64_t deadline;       /* of an event for a guest: when it is dropped; 0: never */
    uint32_t size;
    uint32_t sent;
    bool event;
    uint8_t bytes[];
};

struct xenpv_mock_wire {
    struct connection connection;
    bool dropped;           /* it carries nothing any more */
    bool restarting;        /* a ring's: the server is away */
    enum wire_error broken; /* found while a change was being told: it is dropped afterwards */
    uint64_t due;           /* nothing is read before */
    struct message *out;
    uint32_t unread_at, unread_end;
    uint8_t *unread; /* of WIRE_UNREAD bytes; NULL: it is a ring */
    uint32_t *page;  /* of a ring */
    uint32_t port;
    uint32_t generation; /* of the domain, when the ring was made */
    uint32_t features;   /* of the ring: XENPV_MOCK_STORE_* */
    uint32_t got;        /* bytes of the message that is being read */
    struct {
        struct wire_header header;
        char payload[WIRE_PAYLOAD + 1]; /* with room for a NUL */
    } in;
    char scratch[WIRE_PAYLOAD + 64]; /* where answers are put together */
};

/* wire.c */
/* No more comes over it; what is on its way can be taken still. */
void mock_wire_drop(struct xenpv_mock_wire *wire, enum wire_error error);
/* Reads and answers what there is, of all wires. */
void mock_wires_serve(struct xenpv_mock *mock);
void mock_wire_free(struct xenpv_mock_wire *wire);

/* wire_out.c */
/* Puts an answer to the message that was read on its way. XENPV_ENOMEM. */
int mock_wire_answer(struct xenpv_mock_wire *wire, uint32_t type, const void *bytes,
                     uint32_t length);
void mock_wire_event(struct xenpv_mock_wire *wire, const char *path, const char *token);
uint32_t mock_wire_take(struct xenpv_mock_wire *wire, void *bytes, uint32_t capacity);
void mock_wire_forget(struct xenpv_mock_wire *wire);
/* Events that guests have not read for too long go. */
void mock_wires_expire(struct xenpv_mock *mock);
void mock_request_drop(struct request *request);

/* request.c, request_domain.c */
void mock_wire_request(struct xenpv_mock_wire *wire);

/* A request that is being answered. */
struct call {
    struct xenpv_mock_wire *wire;
    struct domain *domain;
    struct transaction *transaction;
    char *payload;
    uint32_t length;
    const void *answer; /* "OK" at the start */
    uint32_t answer_length;
    struct watch *watch; /* that is new */
};

typedef int call_handler(struct call *call);
call_handler mock_call_control, mock_call_introduce, mock_call_release, mock_call_domain_path,
    mock_call_introduced, mock_call_resume, mock_call_set_target;
/* The payload, if it is one string and its NUL; else NULL. */
const char *mock_call_string(const struct call *call);
/* Takes up to `count` strings; answers how many NULs there are. */
uint32_t mock_call_strings(const struct call *call, char **strings, uint32_t count);
/* As atoi. */
uint32_t mock_number(const char *text);

/* wire_ring.c */
uint32_t mock_ring_read(struct xenpv_mock_wire *wire, void *bytes, uint32_t count);
void mock_ring_flush(struct xenpv_mock_wire *wire);
void mock_ring_dropped(struct xenpv_mock_wire *wire, enum wire_error error);
/* The page is made empty. */
void mock_ring_reset(struct xenpv_mock_wire *wire);
void mock_ring_restart(struct xenpv_mock_wire *wire);
void mock_rings_advance(struct xenpv_mock *mock);

#endif
