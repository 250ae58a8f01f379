/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <stdlib.h>

/* How often a transaction is run, and how long is waited before the next time: from the one to the
 * other, twice as long each time; less than five seconds in all. */
#define TRIES        50u
#define CONFLICT_MS  1u
#define CONFLICTS_MS 100u

#define PULSE_MS 1000u

static uint64_t deadline_of(struct machine *machine)
{
    uint32_t timeout = machine->options->timeout_ms;

    return timeout ? machine_now(machine) + timeout : UINT64_MAX;
}

/* Once, until it has ended. */
static int run_once(struct machine *machine, struct xenpv_store_batch *batch, uint64_t deadline)
{
    const struct xenpv_port *port = &machine->port;
    int answer = port->store->start(port->ctx, batch);

    while (answer == XENPV_PENDING) {
        if (os_stop_signal() || machine_now(machine) >= deadline) {
            port->store->cancel(port->ctx, batch);
            return XENPV_ETIMEDOUT;
        }
        machine_wait(machine, NULL, 0, deadline);
        answer = port->store->check(port->ctx, batch);
    }
    return batch->status;
}

/* The store may have news meanwhile, which end a wait. */
static void pause_for(struct machine *machine, uint64_t ms)
{
    uint64_t end = machine_now(machine) + ms;

    while (machine_now(machine) < end && !os_stop_signal())
        machine->ops->wait(machine, NULL, 0, end);
}

static int run_often(struct machine *machine, const struct xenpv_store_batch *wanted)
{
    uint64_t deadline = deadline_of(machine), pause = CONFLICT_MS;
    int error = XENPV_EAGAIN;

    for (uint32_t i = 0; i < TRIES && error == XENPV_EAGAIN; i++) {
        struct xenpv_store_batch batch = *wanted;

        if (i && (os_stop_signal() || machine_now(machine) + pause >= deadline))
            break;
        if (i) {
            pause_for(machine, pause);
            pause = pause * 2 < CONFLICTS_MS ? pause * 2 : CONFLICTS_MS;
        }
        error = run_once(machine, &batch, deadline);
    }
    return error;
}

int store_run(struct machine *machine, struct xenpv_store_op *ops, uint32_t count, bool transaction)
{
    const struct xenpv_store_batch batch = {.ops = ops, .count = count, .transaction = transaction};

    return run_often(machine, &batch);
}

int store_run_strict(struct machine *machine, struct xenpv_store_op *ops, uint32_t count)
{
    const struct xenpv_store_batch batch = {
        .ops = ops, .count = count, .transaction = true, .strict = true};

    return run_often(machine, &batch);
}

int store_get(struct machine *machine, enum xenpv_store_type type, const char *path, char **value,
              uint32_t *length)
{
    uint32_t capacity = XENPV_STORE_VALUE_MAX;
    struct xenpv_store_op op;
    char *buffer = NULL;
    bool longer;
    int error;

    /* A list may be longer than a value, and may grow between two looks. */
    do {
        char *larger = realloc(buffer, (size_t)capacity + 1);

        if (!larger) {
            free(buffer);
            return XENPV_ENOMEM;
        }
        buffer = larger;
        op = (struct xenpv_store_op){
            .type = type, .dir = path, .value = buffer, .capacity = capacity};
        error = store_run(machine, &op, 1, false);
        error = error ? error : op.status;
        longer = op.length > capacity;
        capacity = op.length;
        /* What is too long may be the path, which no buffer helps. */
    } while (error == XENPV_E2BIG && longer);
    if (error) {
        free(buffer);
        return error;
    }
    buffer[op.length] = '\0';
    *value = buffer;
    *length = op.length;
    return XENPV_OK;
}

/* The mock's store is never lost, and its clock would jump from pulse to pulse. */
uint64_t store_pulse(struct machine *machine, uint64_t deadline)
{
    uint64_t pulse = machine_now(machine) + PULSE_MS;

    return machine->port.caps & XENPV_CAP_WAIT && pulse < deadline ? pulse : deadline;
}

bool store_is_lost(struct machine *machine)
{
    char path[64];
    struct xenpv_store_op op = {
        .type = XENPV_STORE_DOMAIN_PATH, .dir = "0", .value = path, .capacity = sizeof(path)};

    return store_run(machine, &op, 1, false) == XENPV_ESTORE;
}
