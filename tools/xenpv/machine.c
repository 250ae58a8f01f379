/* SPDX-License-Identifier: MIT */
#include "machine.h"

int machine_open(const struct options *options, enum machine_need need, struct machine **machine)
{
    if (options->port == PORT_MOCK)
        return machine_open_mock(options, need, machine);
    return machine_open_linux(options, need, machine);
}

int machine_close(struct machine *machine, int status)
{
    int closing = machine->ops->close(machine);

    return status == STATUS_DONE ? closing : status;
}

uint64_t machine_now(struct machine *machine)
{
    return machine->ops->now(machine);
}

void machine_wait(struct machine *machine, const struct os_wait *waits, unsigned count,
                  uint64_t deadline)
{
    struct os_wait all[OS_WAITS_MAX];
    unsigned used = 0;

    all[used++] = (struct os_wait){.handle = machine->port.store->wait_handle(machine->port.ctx)};
    for (unsigned i = 0; i < count; i++)
        if (waits[i].handle != XENPV_NO_HANDLE)
            all[used++] = waits[i];
    machine->ops->wait(machine, all, used, deadline);
}

int machine_claim(struct machine *machine, const char *class_name, uint32_t id)
{
    return machine->ops->claim(machine, class_name, id);
}

void machine_holder(struct machine *machine, const char *class_name, uint32_t id, char *text,
                    size_t bytes)
{
    machine->ops->holder(machine, class_name, id, text, bytes);
}

const char *machine_fate(struct machine *machine, uint16_t domid)
{
    return machine->ops->fate(machine, domid);
}

void machine_toolstack(struct machine *machine, const char *what)
{
    if (machine->ops->toolstack)
        machine->ops->toolstack(machine, what);
}

uint32_t machine_grant_limit(struct machine *machine, char *raise, size_t bytes)
{
    return machine->ops->grant_limit(machine, raise, bytes);
}
