/* SPDX-License-Identifier: MIT */
/* The messages of xs_wire.h, answered as the C xenstored of Xen 4.17 does. */
#include "text.h"
#include "wire.h"

enum { PRIVILEGED = 1, NO_TRANSACTION = 2 };

const char *mock_call_string(const struct call *call)
{
    return call->length > 0 && strlen(call->payload) + 1 == call->length ? call->payload : NULL;
}

uint32_t mock_call_strings(const struct call *call, char **strings, uint32_t count)
{
    uint32_t found = 0;
    uint32_t start = 0;

    for (uint32_t at = 0; at < call->length; at++) {
        if (call->payload[at] != '\0')
            continue;
        if (found < count)
            strings[found] = call->payload + start;
        found++;
        start = at + 1;
    }
    return found;
}

uint32_t mock_number(const char *text)
{
    uint32_t number = 0;
    bool negative = *text == '-';

    text += negative || *text == '+';
    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    return negative ? 0 - number : number;
}

/* The canonical path of a payload that is one string goes to mock->path. */
static int one_path(const struct call *call)
{
    const char *string = mock_call_string(call);

    return string != NULL ? mock_path(call->domain, string, NULL) : XENPV_EINVAL;
}

/* The node that a payload of one string names, to be read. */
static int one_node(const struct call *call, struct record **record)
{
    int err = one_path(call);

    return err == XENPV_OK
               ? mock_store_get(call->transaction, call->domain->mock->path, PERM_READ, record)
               : err;
}

static int call_directory(struct call *call)
{
    struct record *record;
    int err = one_node(call, &record);

    if (err == XENPV_OK) {
        call->answer = mock_record_children(record);
        call->answer_length = record->children_length;
    }
    return err;
}

static int call_read(struct call *call)
{
    struct record *record;
    int err = one_node(call, &record);

    if (err == XENPV_OK) {
        call->answer = mock_record_value(record);
        call->answer_length = record->length;
    }
    return err;
}

static int call_get_perms(struct call *call)
{
    struct record *record;
    int err = one_node(call, &record);

    if (err == XENPV_OK) {
        call->answer = call->wire->scratch;
        call->answer_length = mock_perms_print(record, call->wire->scratch, WIRE_PAYLOAD);
    }
    return err;
}

/* Whole names from `offset` on, as many as fit; an empty one ends the list. */
static uint32_t part_of(const struct record *record, uint32_t offset, char *to, uint32_t capacity)
{
    const char *names = mock_record_children(record);
    uint32_t length = 0;

    while (offset + length < record->children_length) {
        uint32_t bytes = (uint32_t)strlen(names + offset + length) + 1;

        if (length + bytes > capacity - 1)
            break;
        memcpy(to + length, names + offset + length, bytes);
        length += bytes;
    }
    if (offset >= record->children_length || offset + length == record->children_length)
        to[length++] = '\0';
    return length;
}

static void add_generation(struct text *text, uint64_t generation)
{
    char digits[21];
    char *first = digits + sizeof(digits) - 1;

    *first = '\0';
    do {
        *--first = (char)('0' + generation % 10);
        generation /= 10;
    } while (generation != 0);
    mock_text_add(text, first);
}

static int call_directory_part(struct call *call)
{
    char *strings[2];
    char *scratch = call->wire->scratch;
    struct record *record;
    struct text text;

    if (mock_call_strings(call, strings, 2) != 2)
        return XENPV_EINVAL;

    int err = mock_path(call->domain, strings[0], NULL);

    if (err == XENPV_OK)
        err = mock_store_get(call->transaction, call->domain->mock->path, PERM_READ, &record);
    if (err != XENPV_OK)
        return err;
    mock_text_start(&text, scratch, WIRE_PAYLOAD);
    add_generation(&text, record->generation);

    uint32_t head = (uint32_t)strlen(scratch) + 1;

    call->answer = scratch;
    call->answer_length =
        head + part_of(record, mock_number(strings[1]), scratch + head, WIRE_PAYLOAD - head);
    return XENPV_OK;
}

static int call_write(struct call *call)
{
    char *path;

    if (mock_call_strings(call, &path, 1) < 1)
        return XENPV_EINVAL;

    uint32_t at = (uint32_t)strlen(path) + 1;
    int err = mock_path(call->domain, path, NULL);

    return err == XENPV_OK ? mock_store_write(call->transaction, call->domain->mock->path,
                                              call->payload + at, call->length - at)
                           : err;
}

static int call_mkdir(struct call *call)
{
    int err = one_path(call);

    return err == XENPV_OK ? mock_store_mkdir(call->transaction, call->domain->mock->path) : err;
}

static int call_rm(struct call *call)
{
    int err = one_path(call);

    return err == XENPV_OK ? mock_store_rm(call->transaction, call->domain->mock->path) : err;
}

static int call_set_perms(struct call *call)
{
    char *path;

    if (mock_call_strings(call, &path, 1) < 2)
        return XENPV_EINVAL;

    uint32_t at = (uint32_t)strlen(path) + 1;

    return mock_store_set_perms_text(call->transaction, path, NULL, call->payload + at,
                                     call->length - at);
}

static int call_watch(struct call *call)
{
    char *strings[2];

    if (mock_call_strings(call, strings, 2) != 2)
        return XENPV_EINVAL;
    return mock_watch_add(&call->wire->connection, strings[0], strings[1], NULL, &call->watch);
}

static int call_unwatch(struct call *call)
{
    char *strings[2];
    struct watch *watch;

    if (mock_call_strings(call, strings, 2) != 2)
        return XENPV_EINVAL;
    watch = mock_watch(&call->wire->connection, strings[0], strings[1]);
    if (watch == NULL)
        return XENPV_ENOENT;
    mock_watch_drop(watch);
    return XENPV_OK;
}

static int call_reset_watches(struct call *call)
{
    mock_connection_reset(&call->wire->connection);
    call->transaction = NULL;
    return XENPV_OK;
}

static int call_transaction_start(struct call *call)
{
    struct transaction *t;
    struct text text;

    if (!call->transaction->direct)
        return XENPV_EBUSY;

    int err = mock_transaction_start(&call->wire->connection, &t);

    if (err != XENPV_OK)
        return err;
    mock_text_start(&text, call->wire->scratch, WIRE_PAYLOAD);
    mock_text_add_number(&text, t->id);
    call->answer = call->wire->scratch;
    call->answer_length = (uint32_t)strlen(call->wire->scratch) + 1;
    return XENPV_OK;
}

static int call_transaction_end(struct call *call)
{
    const char *how = mock_call_string(call);
    struct transaction *t = call->transaction;

    if (how == NULL || (strcmp(how, "T") != 0 && strcmp(how, "F") != 0))
        return XENPV_EINVAL;
    if (t->direct)
        return XENPV_ENOENT;
    call->transaction = NULL;
    return mock_transaction_end(t, how[0] == 'T');
}

static const struct {
    call_handler *handler;
    int flags;
} handlers[WIRE_TYPES] = {
    [WIRE_CONTROL] = {mock_call_control, PRIVILEGED},
    [WIRE_DIRECTORY] = {call_directory, 0},
    [WIRE_READ] = {call_read, 0},
    [WIRE_GET_PERMS] = {call_get_perms, 0},
    [WIRE_WATCH] = {call_watch, NO_TRANSACTION},
    [WIRE_UNWATCH] = {call_unwatch, NO_TRANSACTION},
    [WIRE_TRANSACTION_START] = {call_transaction_start, 0},
    [WIRE_TRANSACTION_END] = {call_transaction_end, 0},
    [WIRE_INTRODUCE] = {mock_call_introduce, PRIVILEGED},
    [WIRE_RELEASE] = {mock_call_release, PRIVILEGED},
    [WIRE_GET_DOMAIN_PATH] = {mock_call_domain_path, 0},
    [WIRE_WRITE] = {call_write, 0},
    [WIRE_MKDIR] = {call_mkdir, 0},
    [WIRE_RM] = {call_rm, 0},
    [WIRE_SET_PERMS] = {call_set_perms, 0},
    [WIRE_IS_DOMAIN_INTRODUCED] = {mock_call_introduced, PRIVILEGED},
    [WIRE_RESUME] = {mock_call_resume, PRIVILEGED},
    [WIRE_SET_TARGET] = {mock_call_set_target, PRIVILEGED},
    [WIRE_RESET_WATCHES] = {call_reset_watches, 0},
    [WIRE_DIRECTORY_PART] = {call_directory_part, 0},
};

static const char *error_text(int err)
{
    static const struct {
        int err;
        const char *text;
    } texts[] = {
        {XENPV_EACCES, "EACCES"}, {XENPV_EEXIST, "EEXIST"}, {XENPV_ENOENT, "ENOENT"},
        {XENPV_ENOMEM, "ENOMEM"}, {XENPV_ENOSPC, "ENOSPC"}, {XENPV_ENOTSUP, "ENOSYS"},
        {XENPV_EBUSY, "EBUSY"},   {XENPV_EAGAIN, "EAGAIN"}, {XENPV_E2BIG, "E2BIG"},
        {STORE_EPERM, "EPERM"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].err == err)
            return texts[i].text;
    }
    return "EINVAL";
}

/* An operation outside of a transaction takes effect, and its events go, before its answer does. */
static int run(struct call *call, call_handler *handler, struct transaction *direct)
{
    int err = handler(call);

    if (call->transaction == direct && err == XENPV_OK)
        return mock_transaction_commit(direct);
    if (call->transaction == direct)
        mock_transaction_clear(direct);
    return err;
}

static int dispatch(struct call *call, struct transaction *direct)
{
    const struct wire_header *header = &call->wire->in.header;
    call_handler *handler = header->type < WIRE_TYPES ? handlers[header->type].handler : NULL;

    if (handler == NULL)
        return XENPV_ENOTSUP;
    if ((handlers[header->type].flags & PRIVILEGED) != 0 && !mock_privileged(call->domain))
        return XENPV_EACCES;
    if (header->transaction != 0 && (handlers[header->type].flags & NO_TRANSACTION) == 0)
        call->transaction = mock_transaction(&call->wire->connection, header->transaction);
    return call->transaction != NULL ? run(call, handler, direct) : XENPV_ENOENT;
}

static int answer(struct call *call, int err)
{
    if (err == XENPV_OK && call->answer_length > WIRE_PAYLOAD)
        err = XENPV_E2BIG;
    if (err == XENPV_OK)
        return mock_wire_answer(call->wire, call->wire->in.header.type, call->answer,
                                call->answer_length);

    const char *text = error_text(err);

    return mock_wire_answer(call->wire, WIRE_ERROR, text, (uint32_t)strlen(text) + 1);
}

/* What a guest asked is outstanding until all that came of it has been read. */
static struct request *new_request(struct domain *domain)
{
    struct request *request = mock_alloc(domain->mock, sizeof(*request), _Alignof(struct request));

    if (request == NULL)
        return NULL;
    *request = (struct request){.domain = domain, .references = 1};
    domain->outstanding++;
    return request;
}

void mock_wire_request(struct xenpv_mock_wire *wire)
{
    struct domain *domain = wire->connection.domain;
    struct transaction direct = {.connection = &wire->connection, .direct = true};
    struct call call = {.wire = wire,
                        .domain = domain,
                        .transaction = &direct,
                        .payload = wire->in.payload,
                        .length = wire->in.header.length,
                        .answer = "OK",
                        .answer_length = sizeof("OK")};
    int err = XENPV_OK;

    if (!mock_privileged(domain)) {
        domain->mock->request = new_request(domain);
        err = domain->mock->request != NULL ? XENPV_OK : XENPV_ENOMEM;
    }
    if (err == XENPV_OK)
        err = dispatch(&call, &direct);
    err = answer(&call, err);
    mock_request_drop(domain->mock->request);
    domain->mock->request = NULL;
    if (err != XENPV_OK)
        mock_wire_drop(wire, WIRE_ERROR_COMM); /* not even an error can be told */
    else if (call.watch != NULL)
        mock_watch_event(call.watch, call.watch->path);
}
