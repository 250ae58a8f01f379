/* SPDX-License-Identifier: MIT */
/* The guest that this process runs in. */
#include "complain.h"
#include "machine.h"

#ifdef XENPV_HAVE_LINUX_PORT
#include <stdlib.h>

#include <xenpv/linux.h>

/* How long --take-over waits for a holder when there is no --timeout. */
#define PATIENCE_MS 30000u

struct linux_machine {
    struct machine machine;
    struct xenpv_linux *handle;
    struct xenpv_linux_claim *claim;
};

static struct linux_machine *ours(struct machine *machine)
{
    return (struct linux_machine *)machine;
}

static void on_log(void *ctx, enum xenpv_log_level level, const char *line)
{
    const struct machine *machine = ctx;

    (void)level;
    remark(machine->options, "%s", line);
}

static uint64_t linux_now(struct machine *machine)
{
    (void)machine;
    return xenpv_linux_now();
}

static void linux_wait(struct machine *machine, const struct os_wait *waits, unsigned count,
                       uint64_t deadline)
{
    uint64_t now = linux_now(machine);

    if (deadline > now)
        os_wait(waits, count, deadline == UINT64_MAX ? deadline : deadline - now);
}

static int linux_claim(struct machine *machine, const char *class_name, uint32_t id)
{
    const struct options *options = machine->options;
    uint32_t patience = options->timeout_ms ? options->timeout_ms : PATIENCE_MS;
    struct xenpv_linux_error error;
    int rc = xenpv_linux_claim(class_name, id, options->take_over, patience, &ours(machine)->claim,
                               &error);

    if (rc)
        return complain(status_of_error(rc), "%s/%u: %s%s", class_name, id, error.text,
                        rc == XENPV_EBUSY && !options->take_over ? "; --take-over takes it" : "");
    return STATUS_DONE;
}

static void linux_holder(struct machine *machine, const char *class_name, uint32_t id, char *text,
                         size_t bytes)
{
    (void)machine;
    xenpv_linux_holder(class_name, id, text, bytes);
}

static const char *linux_fate(struct machine *machine, uint16_t domid)
{
    static const char *const fates[] = {
        [XENPV_LINUX_DOMAIN_UNKNOWN] = "",
        [XENPV_LINUX_DOMAIN_ALIVE] = "",
        [XENPV_LINUX_DOMAIN_SHUT_DOWN] = "has shut down",
        [XENPV_LINUX_DOMAIN_CRASHED] = "has crashed",
        [XENPV_LINUX_DOMAIN_DYING] = "is being removed",
        [XENPV_LINUX_DOMAIN_GONE] = "is gone",
    };

    return fates[xenpv_linux_domain(ours(machine)->handle, domid)];
}

static int linux_close(struct machine *machine)
{
    struct linux_machine *self = ours(machine);

    if (self->claim)
        xenpv_linux_release(self->claim);
    xenpv_linux_close(self->handle);
    free(self);
    return STATUS_DONE;
}

static const struct machine_ops linux_ops = {
    .now = linux_now,
    .wait = linux_wait,
    .claim = linux_claim,
    .holder = linux_holder,
    .fate = linux_fate,
    .close = linux_close,
};

int machine_open_linux(const struct options *options, enum machine_need need,
                       struct machine **machine)
{
    struct linux_machine *self = calloc(1, sizeof(*self));
    struct xenpv_linux_error error;
    int rc;

    if (!self)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    self->machine.options = options;
    self->machine.ops = &linux_ops;
    rc = need == MACHINE_STORE ? xenpv_linux_open_store(&self->handle, &self->machine.port, &error)
                               : xenpv_linux_open(&self->handle, &self->machine.port, &error);
    if (rc) {
        free(self);
        return complain(STATUS_ENVIRONMENT, "%s", error.text);
    }
    xenpv_linux_set_log(self->handle, on_log, &self->machine);
    *machine = &self->machine;
    return STATUS_DONE;
}

#else

int machine_open_linux(const struct options *options, enum machine_need need,
                       struct machine **machine)
{
    (void)options;
    (void)need;
    (void)machine;
    return complain(STATUS_ENVIRONMENT, "this xenpv is built without a port to a real Xen; it has "
                                        "only the mock: --port mock --mock-disk FILE");
}

#endif
