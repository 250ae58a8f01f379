/* SPDX-License-Identifier: MIT */
/* xenpv store transaction: a script of operations, all of them or none. */
#include <stdlib.h>
#include <string.h>

#include <xenpv/store.h>

#include "cmd_store.h"
#include "complain.h"
#include "input.h"
#include "json.h"
#include "script.h"
#include "store.h"

#define SCRIPT_MAX (1u << 20)                    /* bytes */
#define LIST_MAX   (16u * XENPV_STORE_VALUE_MAX) /* of names, of one node */

struct kind {
    const char *name;
    enum xenpv_store_type type;
    unsigned least, most; /* words behind it */
    uint32_t capacity;    /* of what it reads */
    store_print *print;   /* NULL: it reads nothing */
    store_json *json;
};

static void print_exists(const char *path, const char *bytes, uint32_t length, bool prefix)
{
    (void)length;
    if (prefix)
        printf("%s: ", path);
    printf("%s\n", bytes ? "true" : "false");
}

static const struct kind kinds[] = {
    {"read", XENPV_STORE_READ, 1, 1, XENPV_STORE_VALUE_MAX, store_print_value, store_json_value},
    {"ls", XENPV_STORE_LIST, 1, 1, LIST_MAX, store_print_names, store_json_names},
    {"exists", XENPV_STORE_READ, 1, 1, XENPV_STORE_VALUE_MAX, print_exists, store_json_exists},
    {"getperms", XENPV_STORE_GET_PERMS, 1, 1, XENPV_STORE_VALUE_MAX, store_print_perms,
     store_json_perms},
    {"write", XENPV_STORE_WRITE, 2, 2, 0, NULL, NULL},
    {"mkdir", XENPV_STORE_MKDIR, 1, 1, 0, NULL, NULL},
    {"rm", XENPV_STORE_RM, 1, 1, 0, NULL, NULL},
    {"chmod", XENPV_STORE_SET_PERMS, 2, SCRIPT_WORDS - 1, 0, NULL, NULL},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct order {
    const struct kind *kind;
    unsigned line;
    void *memory; /* to be freed: the buffer of a question, the modes of chmod */
};

struct script {
    struct order *orders;
    struct xenpv_store_op *ops; /* one for each of them */
    uint32_t count, room, questions;
};

/* ----------------------------------------------------------------------------------- reading -- */

static int complain_of_line(unsigned line, const char *what, const char *wrong)
{
    return complain(STATUS_USAGE, "store transaction: line %u: %s%s%s", line, what,
                    what[0] ? " " : "", wrong);
}

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static int take_modes(struct order *order, struct xenpv_store_op *op,
                      const struct script_line *line)
{
    struct modes *modes = calloc(1, sizeof(*modes));

    if (!modes)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    order->memory = modes;
    for (unsigned i = 2; i < line->count; i++) {
        const char *wrong = add_mode(modes, line->words[i].bytes);

        if (wrong)
            return complain_of_line(line->number, line->words[i].bytes, wrong);
    }
    op->value = modes->bytes;
    op->length = modes->length;
    return STATUS_DONE;
}

static int fill_op(struct order *order, struct xenpv_store_op *op, const struct script_line *line)
{
    if (order->kind->type == XENPV_STORE_SET_PERMS)
        return take_modes(order, op, line);
    if (order->kind->type == XENPV_STORE_WRITE) {
        op->value = line->words[2].bytes;
        op->length = line->words[2].length;
    }
    if (order->kind->capacity == 0)
        return STATUS_DONE;
    order->memory = op->value = malloc(order->kind->capacity);
    op->capacity = order->kind->capacity;
    return op->value ? STATUS_DONE : complain(STATUS_ENVIRONMENT, "out of memory");
}

static bool make_room(struct script *script)
{
    uint32_t room = script->room ? 2 * script->room : 64;
    struct order *orders;
    struct xenpv_store_op *ops;

    if (script->count < script->room)
        return true;
    orders = realloc(script->orders, room * sizeof(*orders));
    script->orders = orders ? orders : script->orders;
    ops = realloc(script->ops, room * sizeof(*ops));
    script->ops = ops ? ops : script->ops;
    script->room = orders && ops ? room : script->room;
    return orders && ops;
}

/* Only a value may have a NUL in it. */
static const char *judge_words(const struct kind *kind, const struct script_line *line)
{
    if (!kind)
        return "is no operation; see 'xenpv help store transaction'";
    if (line->count - 1 < kind->least)
        return "has too few words behind it";
    if (line->count - 1 > kind->most)
        return "has too many words behind it; put those with blanks between \" and \"";
    for (unsigned i = 0; i < line->count; i++)
        if (strlen(line->words[i].bytes) != line->words[i].length &&
            !(i == 2 && kind->type == XENPV_STORE_WRITE))
            return "has a word with \\x00 that is no value";
    return NULL;
}

static int add_order(struct script *script, const struct script_line *line)
{
    const struct kind *kind = find_kind(line->words[0].bytes);
    const char *wrong = judge_words(kind, line);
    struct xenpv_store_op *op;
    struct order *order;
    int status, error;

    if (wrong)
        return complain_of_line(line->number, line->words[0].bytes, wrong);
    if (!make_room(script))
        return complain(STATUS_ENVIRONMENT, "out of memory");
    order = &script->orders[script->count];
    op = &script->ops[script->count++];
    *order = (struct order){.kind = kind, .line = line->number};
    *op = (struct xenpv_store_op){.type = kind->type, .dir = line->words[1].bytes};
    script->questions += kind->print != NULL;
    status = fill_op(order, op, line);
    if (status != STATUS_DONE)
        return status;
    error = xenpv_store_check(op);
    return error ? complain_of_line(line->number, op->dir, node_error(error)) : STATUS_DONE;
}

static int read_script(struct script *script, struct input *input)
{
    struct script_line line = {.next = input->bytes, .end = input->bytes + input->length};

    while (script_next(&line)) {
        int status = STATUS_DONE;

        if (line.wrong)
            status = complain_of_line(line.number, "", line.wrong);
        else if (line.count)
            status = add_order(script, &line);
        if (status != STATUS_DONE)
            return status;
    }
    return STATUS_DONE;
}

/* ----------------------------------------------------------------------------------- running -- */

static int complain_of_order(const struct script *script, uint32_t i, int error)
{
    return complain(status_of_error(error), "store transaction: line %u: %s %s: %s",
                    script->orders[i].line, script->orders[i].kind->name, script->ops[i].dir,
                    node_error(error));
}

/* A change that failed, or what is wrong with the whole. */
static int complain_of_script(const struct script *script, int error)
{
    for (uint32_t i = 0; i < script->count; i++)
        if (!script->orders[i].kind->print && script->ops[i].status == error &&
            error != XENPV_ESTORE)
            return complain_of_order(script, i, error);
    return complain(status_of_error(error), "store transaction: %s", node_error(error));
}

/* That a node is missing is no answer but to `exists`, and then it is one. */
static int error_of(const struct script *script, uint32_t i)
{
    int error = script->ops[i].status;

    if (script->orders[i].kind->json == store_json_exists && error == XENPV_ENOENT)
        return XENPV_OK;
    return error;
}

static void print_json(const struct script *script, uint32_t i)
{
    const struct xenpv_store_op *op = &script->ops[i];
    const struct order *order = &script->orders[i];

    json_open(NULL, '{');
    json_number("line", order->line);
    json_text("operation", order->kind->name);
    json_text("path", op->dir);
    if (error_of(script, i))
        json_text("error", xenpv_error_name(op->status));
    else
        order->kind->json(op->status ? NULL : op->value, op->length);
    json_close('}');
}

static void print_text(const struct script *script, uint32_t i)
{
    const struct xenpv_store_op *op = &script->ops[i];

    if (!error_of(script, i))
        script->orders[i].kind->print(op->dir, op->status ? NULL : op->value, op->length,
                                      script->questions > 1);
}

static int print_answers(const struct script *script, bool json)
{
    int status = STATUS_DONE;

    if (json)
        json_open(NULL, '[');
    for (uint32_t i = 0; i < script->count; i++) {
        if (!script->orders[i].kind->print)
            continue;
        if (json)
            print_json(script, i);
        else
            print_text(script, i);
        if (error_of(script, i))
            status = complain_of_order(script, i, script->ops[i].status);
    }
    if (json)
        json_close(']');
    return status;
}

static int run_on(struct machine *machine, const struct script *script)
{
    int error;

    if (!(machine->port.caps & XENPV_CAP_TRANSACTIONS))
        return complain(STATUS_ENVIRONMENT, "store transaction: this port has no transactions");
    error = store_run(machine, script->ops, script->count, true);
    return error ? complain_of_script(script, error)
                 : print_answers(script, machine->options->json);
}

static int run(const struct options *options, struct input *input, struct script *script)
{
    struct machine *machine;
    int status;

    if (input->length > SCRIPT_MAX)
        return complain(STATUS_USAGE, "store transaction: the script has more than %u bytes",
                        SCRIPT_MAX);
    status = read_script(script, input);
    if (status == STATUS_DONE)
        status = machine_open(options, MACHINE_STORE, &machine);
    if (status != STATUS_DONE)
        return status;
    return machine_close(machine, run_on(machine, script));
}

int run_store_transaction(const struct options *options, int count, char **arguments)
{
    struct script script = {.orders = NULL};
    struct input input;
    int status = input_read(&input, options->in, SCRIPT_MAX + 1);

    (void)count;
    (void)arguments;
    if (status != STATUS_DONE)
        return status;
    status = run(options, &input, &script);
    for (uint32_t i = 0; i < script.count; i++)
        free(script.orders[i].memory);
    free(script.orders);
    free(script.ops);
    free(input.bytes);
    return status;
}
