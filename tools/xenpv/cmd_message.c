/* SPDX-License-Identifier: MIT */
/* xenpv message: messages between this guest and domain 0. */
#include <stdlib.h>
#include <string.h>

#include "cmd_store.h"
#include "complain.h"
#include "input.h"
#include "json.h"
#include "message.h"
#include "store.h"

/* "message receive KEY: PATH: why", or that there is no such domain. */
static int complain_of(const struct mailbox *mailbox, const char *verb, const char *key, int error)
{
    const char *space = key[0] ? " " : "";

    if (error == XENPV_ENOENT && mailbox->home[0])
        return complain(STATUS_FAILED, "message %s%s%s: there is no domain %u", verb, space, key,
                        mailbox->machine->options->domain);
    return complain(status_of_error(error), "message %s%s%s: %s: %s", verb, space, key,
                    mailbox->path, node_error(error));
}

static int check_key(const char *verb, const char *key)
{
    if (message_key_is_good(key))
        return STATUS_DONE;
    return complain(STATUS_USAGE,
                    "message %s: '%s' is no key: it has 1 to %u letters, digits, - and _", verb,
                    key, MESSAGE_KEY_MAX);
}

static uint64_t patience(struct machine *machine)
{
    uint32_t timeout = machine->options->timeout_ms;

    return timeout ? machine_now(machine) + timeout : UINT64_MAX;
}

/* Opens the machine, watches what `use` waits for, and uses it. */
static int run_mailbox(const struct options *options, bool sends, const char *verb,
                       struct message *message,
                       int (*use)(struct mailbox *mailbox, struct message *message))
{
    bool outside = (options->given & OPTION_DOMAIN) != 0;
    const struct xenpv_port *port;
    struct machine *machine;
    struct mailbox mailbox;
    int error, status = machine_open(options, outside ? MACHINE_DOMAINS : MACHINE_STORE, &machine);

    if (status != STATUS_DONE)
        return status;
    port = &machine->port;
    mailbox_open(&mailbox, machine, sends);
    error = mailbox_check(&mailbox);
    if (error == 0)
        error = port->store->watch(port->ctx, mailbox.path, &mailbox);
    if (error)
        return machine_close(machine, complain_of(&mailbox, verb, message->key, error));
    status = use(&mailbox, message);
    port->store->unwatch(port->ctx, mailbox.path, &mailbox);
    return machine_close(machine, status);
}

/* -------------------------------------------------------------------------------------- send -- */

/* More than a value may have is not read. */
static int read_value(struct message *message)
{
    struct input input;
    int status = input_read(&input, "-", sizeof(message->value) + 1);

    if (status != STATUS_DONE)
        return status;
    message->length = (uint32_t)input.length;
    if (input.length <= sizeof(message->value))
        memcpy(message->value, input.bytes, input.length);
    free(input.bytes);
    return STATUS_DONE;
}

static int take_value(const char *value, struct message *message)
{
    size_t length = strlen(value);

    message->length = (uint32_t)(length <= sizeof(message->value) ? length : UINT32_MAX);
    if (length <= sizeof(message->value))
        memcpy(message->value, value, length);
    return STATUS_DONE;
}

/* A guest that was moved has an empty directory of messages: what waits there is put again. */
static int await(struct mailbox *mailbox, struct message *message)
{
    struct machine *machine = mailbox->machine;
    const struct xenpv_port *port = &machine->port;
    uint32_t generation = port->sys->generation(port->ctx);
    uint64_t end = patience(machine);
    int error;

    for (;;) {
        port->store->fired(port->ctx, mailbox);
        error = mailbox_look(mailbox, message);
        if (error == XENPV_EAGAIN ||
            (error == 0 && generation != port->sys->generation(port->ctx))) {
            generation = port->sys->generation(port->ctx);
            error = mailbox_put(mailbox, message);
            error = error ? error : XENPV_PENDING;
        }
        if (error != XENPV_PENDING || os_stop_signal())
            return error;
        if (machine_now(machine) >= end)
            return XENPV_ETIMEDOUT;
        machine_wait(machine, NULL, 0, store_pulse(machine, end));
    }
}

static void print_sent(const struct options *options, const struct message *message)
{
    if (!options->json)
        return;
    json_open(NULL, '{');
    json_text("key", message->key);
    json_number("bytes", message->length);
    json_bool("acknowledged", !options->no_wait);
    json_close('}');
}

static int send(struct mailbox *mailbox, struct message *message)
{
    const struct options *options = mailbox->machine->options;
    int error = mailbox_put(mailbox, message);

    if (error)
        return complain_of(mailbox, "send", message->key, error);
    error = options->no_wait ? 0 : await(mailbox, message);
    if (os_stop_signal())
        return STATUS_FAILED;
    if (error == XENPV_ETIMEDOUT)
        return complain(STATUS_FAILED,
                        "message send %s: nobody has received it in %u ms; it stays there for who "
                        "does later",
                        message->key, options->timeout_ms);
    if (error)
        return complain_of(mailbox, "send", message->key, error);
    print_sent(options, message);
    return STATUS_DONE;
}

static int run_send(const struct options *options, int count, char **arguments)
{
    const char *value = count > 1 ? arguments[1] : "";
    struct message message = {.length = 0};
    int status = check_key("send", arguments[0]);

    if (status != STATUS_DONE)
        return status;
    snprintf(message.key, sizeof(message.key), "%s", arguments[0]);
    status = strcmp(value, "-") == 0 ? read_value(&message) : take_value(value, &message);
    if (status != STATUS_DONE)
        return status;
    if (message.length > MESSAGE_VALUE_MAX)
        return complain(STATUS_USAGE, "message send %s: a value has at most %u bytes", message.key,
                        MESSAGE_VALUE_MAX);
    return run_mailbox(options, true, "send", &message, send);
}

/* ----------------------------------------------------------------------------------- receive -- */

static void print_received(const struct options *options, const struct message *message, bool named)
{
    if (options->json) {
        json_open(NULL, '{');
        json_text("key", message->key);
        json_bytes("value", message->value, message->length);
        json_close('}');
        return;
    }
    if (!named)
        printf("%s: ", message->key);
    print_value(message->value, message->length);
    putchar('\n');
}

/* The next one, waited for. */
static int await_next(struct mailbox *mailbox, struct message *message, uint64_t end)
{
    struct machine *machine = mailbox->machine;
    const struct xenpv_port *port = &machine->port;
    int error;

    /* Once stopped nothing is taken that would be somebody else's. */
    while (!os_stop_signal()) {
        port->store->fired(port->ctx, mailbox);
        error = mailbox_take(mailbox, message);
        if (error != XENPV_PENDING)
            return error;
        error = mailbox_check(mailbox);
        if (error)
            return error;
        if (machine_now(machine) >= end)
            return XENPV_ETIMEDOUT;
        machine_wait(machine, NULL, 0, store_pulse(machine, end));
    }
    return XENPV_PENDING;
}

static int receive(struct mailbox *mailbox, struct message *wanted)
{
    struct machine *machine = mailbox->machine;
    const struct options *options = machine->options;
    uint32_t count = options->count ? options->count : 1, received = 0;
    uint64_t end = options->follow ? UINT64_MAX : patience(machine);

    machine->listens = options->follow;
    while (options->follow || received < count) {
        struct message message = *wanted;
        int error = await_next(mailbox, &message, end);

        /* What was taken is acknowledged, and printed whatever signal came meanwhile. */
        if (error && os_stop_signal())
            return STATUS_FAILED;
        if (error == XENPV_ETIMEDOUT)
            return complain(STATUS_FAILED, "message receive%s%s: %u of %u came in %u ms",
                            wanted->key[0] ? " " : "", wanted->key, received, count,
                            options->timeout_ms);
        if (error)
            return complain_of(mailbox, "receive", wanted->key, error);
        print_received(options, &message, wanted->key[0] != '\0');
        if (fflush(stdout) || ferror(stdout) || os_stop_signal())
            return STATUS_FAILED;
        received++;
    }
    return STATUS_DONE;
}

static int run_receive(const struct options *options, int count, char **arguments)
{
    struct message wanted = {.length = 0};
    int status = count > 0 ? check_key("receive", arguments[0]) : STATUS_DONE;

    if (status != STATUS_DONE)
        return status;
    if (options->follow && options->count)
        return complain(STATUS_USAGE, "message receive: --count and --follow exclude each other");
    if (count > 0)
        snprintf(wanted.key, sizeof(wanted.key), "%s", arguments[0]);
    if (options->json)
        json_lines();
    return run_mailbox(options, false, "receive", &wanted, receive);
}

const struct command message_commands[] = {
    {.name = "message send",
     .arguments = "KEY [VALUE]",
     .summary = "send domain 0, or a guest, a message",
     .help = "Sends a VALUE of at most 1920 bytes, or with - what standard input has, and waits\n"
             "until somebody has received it, for as long as --timeout says. What nobody has\n"
             "received stays there.\n"
             "  --domain N              to the guest N: for domain 0\n"
             "  --no-wait               do not wait\n",
     .options = OPTION_DOMAIN | OPTION_NO_WAIT,
     .least = 1,
     .most = 2,
     .run = run_send},
    {.name = "message receive",
     .arguments = "[KEY]",
     .summary = "receive a message from domain 0, or a guest",
     .help = "Waits for a message with this KEY, or with any, as long as --timeout says, prints\n"
             "it and acknowledges it: the value, or KEY: value, where a byte that does not print\n"
             "is shown as \\xNN, a backslash as \\\\. In JSON a line for each message.\n"
             "  --domain N              from the guest N: for domain 0\n"
             "  --count N               receive N (1)\n"
             "  --follow                go on until a signal ends it\n",
     .options = OPTION_DOMAIN | OPTION_COUNT | OPTION_FOLLOW,
     .least = 0,
     .most = 1,
     .run = run_receive},
    {.name = NULL},
};
