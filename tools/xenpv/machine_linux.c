/* SPDX-License-Identifier: MIT */
/* The guest that this process runs in. */
#include "complain.h"
#include "machine.h"

#ifdef XENPV_HAVE_LINUX_PORT
#include <stdlib.h>

#include <xenpv/linux.h>

/* How long --take-over waits for a holder when there is no --timeout. */
#define PATIENCE_MS 30000u

/* Pages that all processes together may share through /dev/xen/gntalloc. */
#define GRANT_LIMIT "/sys/module/xen_gntalloc/parameters/limit"

#define CLAIMS_MAX 2u /* no command uses more devices */

struct linux_machine {
    struct machine machine;
    struct xenpv_linux *handle;
    struct xenpv_linux_claim *claims[CLAIMS_MAX];
    unsigned claim_count;
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
    struct linux_machine *self = ours(machine);
    const struct options *options = machine->options;
    uint32_t patience = options->timeout_ms ? options->timeout_ms : PATIENCE_MS;
    struct xenpv_linux_error error;
    int rc;

    if (self->claim_count == CLAIMS_MAX)
        return complain(STATUS_FAILED, "internal error: more than %u devices", CLAIMS_MAX);
    rc = xenpv_linux_claim(class_name, id, options->take_over, patience,
                           &self->claims[self->claim_count], &error);
    if (rc)
        return complain(status_of_error(rc), "%s/%u: %s%s", class_name, id, error.text,
                        rc == XENPV_EBUSY && !options->take_over ? "; --take-over takes it" : "");
    self->claim_count++;
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

static uint32_t linux_grant_limit(struct machine *machine, char *raise, size_t bytes)
{
    FILE *file = fopen(GRANT_LIMIT, "re");
    unsigned long limit = 0;
    char line[32];

    (void)machine;
    raise[0] = '\0';
    if (file && fgets(line, sizeof(line), file))
        limit = strtoul(line, NULL, 10);
    if (file)
        fclose(file);
    if (limit == 0 || limit >= UINT32_MAX)
        return 0;
    snprintf(raise, bytes, "echo %lu > " GRANT_LIMIT, limit < 4096 ? 8192 : 2 * limit);
    return (uint32_t)limit;
}

static int linux_close(struct machine *machine)
{
    struct linux_machine *self = ours(machine);

    while (self->claim_count)
        xenpv_linux_release(self->claims[--self->claim_count]);
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
    .grant_limit = linux_grant_limit,
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
    rc = need != MACHINE_DEVICES
             ? xenpv_linux_open_store(&self->handle, &self->machine.port, &error)
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
