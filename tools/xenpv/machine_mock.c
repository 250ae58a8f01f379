/* SPDX-License-Identifier: MIT */
/*
 * A Xen in this process: we are domain 1, and domain 0 serves each --mock-disk with our own block
 * backend. Its clock is not the real one: it stands still while anything moves, and jumps to the
 * next deadline when nothing does, so that no time-out ever takes time.
 */
#include <stdlib.h>

#include <xenpv/harness/blkback.h>
#include <xenpv/harness/mock.h>

#include "complain.h"
#include "machine.h"

#define GUEST  1u
#define DRIVER 0u /* domain of the backends */

struct mock_disk {
    struct xenpv_disk disk;
    struct xenpv_blkback *back;
    bool open;
    /* As they were after the last step, to see whether it moved. */
    enum xenpv_bus_phase phase;
    struct xenpv_blkback_stats stats;
};

struct mock_machine {
    struct machine machine;
    struct xenpv_mock *mock;
    struct xenpv_port driver_port;
    struct mock_disk *disks;
    unsigned count;
    bool quiet; /* nothing moved in the last wait */
};

static struct mock_machine *ours(struct machine *machine)
{
    return (struct mock_machine *)machine;
}

static void *on_alloc(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return os_alloc(bytes, align);
}

static void on_free(void *ctx, void *memory)
{
    (void)ctx;
    os_free(memory);
}

static const struct xenpv_allocator allocator = {.alloc = on_alloc, .free = on_free};

static void on_log(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line)
{
    const struct machine *machine = ctx;

    (void)level;
    remark(machine->options, "domain %u: %s", domid, line);
}

/* ------------------------------------------------------------------------------------- disks -- */

/* As libxl numbers them: xvda to xvdp the old way, what comes behind by the extended numbers. */
static uint32_t disk_number(unsigned index)
{
    return index < 16 ? 51712 + 16 * index : 268439552 + 256 * (index - 16);
}

static int complain_of_image(const char *path, int error)
{
    char found[48];

    if (error == XENPV_ENOENT)
        return complain(STATUS_ENVIRONMENT, "--mock-disk %s: there is no such file", path);
    if (error != XENPV_EINVAL)
        return complain(STATUS_ENVIRONMENT, "--mock-disk %s: cannot open it: %s", path,
                        xenpv_error_text(error));
    os_describe(path, found);
    return complain(STATUS_ENVIRONMENT,
                    "--mock-disk %s: it is %s; a disk needs a file or block device whose size is a "
                    "multiple of 512, and not 0",
                    path, found);
}

/* Writable where that is allowed, else read-only. */
static int open_image(const char *path, struct xenpv_disk *disk)
{
    int rc = xenpv_disk_file(&allocator, path, false, disk);

    if (rc == XENPV_EACCES)
        rc = xenpv_disk_file(&allocator, path, true, disk);
    return rc ? complain_of_image(path, rc) : STATUS_DONE;
}

static int create_backend(struct mock_machine *self, unsigned index, const char *path)
{
    struct mock_disk *disk = &self->disks[index];
    struct xenpv_mock_vbd vbd = {.frontend = GUEST,
                                 .backend = DRIVER,
                                 .vdev = disk_number(index),
                                 .readonly = disk->disk.readonly,
                                 .params = path};
    char directory[64];
    struct xenpv_blkback_config config = {.size = sizeof(config),
                                          .port = &self->driver_port,
                                          .path = directory,
                                          .disk = &disk->disk,
                                          .allocator = allocator};
    int rc = xenpv_mock_add_vbd(self->mock, &vbd);

    snprintf(directory, sizeof(directory), "backend/vbd/%u/%u", GUEST, vbd.vdev);
    if (rc == 0)
        rc = xenpv_blkback_create(&config, &disk->back);
    if (rc == 0)
        rc = xenpv_blkback_start(disk->back, xenpv_mock_now(self->mock));
    return rc ? complain(STATUS_ENVIRONMENT, "--mock-disk %s: cannot be made a disk: %s", path,
                         xenpv_error_text(rc))
              : STATUS_DONE;
}

static int add_disk(struct mock_machine *self, const char *path)
{
    unsigned index = self->count;
    int status = open_image(path, &self->disks[index].disk);

    if (status != STATUS_DONE)
        return status;
    self->count++;
    self->disks[index].open = true;
    return create_backend(self, index, path);
}

/* ---------------------------------------------------------------------------------- stepping -- */

static uint64_t mock_now(struct machine *machine)
{
    return xenpv_mock_now(ours(machine)->mock);
}

/* True when the backend did something that the frontend may see. */
static bool step_disk(struct mock_machine *self, struct mock_disk *disk)
{
    struct xenpv_blkback_stats stats;
    enum xenpv_bus_phase phase = xenpv_blkback_step(disk->back, xenpv_mock_now(self->mock));
    bool moved;

    xenpv_blkback_stats(disk->back, &stats);
    moved = phase != disk->phase || stats.requests != disk->stats.requests ||
            stats.refused != disk->stats.refused || stats.notified != disk->stats.notified;
    disk->phase = phase;
    disk->stats = stats;
    return moved;
}

static bool step_disks(struct mock_machine *self)
{
    bool moved = false;

    for (unsigned i = 0; i < self->count; i++)
        if (self->disks[i].back)
            moved |= step_disk(self, &self->disks[i]);
    return moved;
}

static uint64_t next_deadline(const struct mock_machine *self, uint64_t deadline)
{
    for (unsigned i = 0; i < self->count; i++) {
        uint64_t other =
            self->disks[i].back ? xenpv_blkback_deadline(self->disks[i].back) : UINT64_MAX;

        if (other < deadline)
            deadline = other;
    }
    return deadline;
}

static bool any_handle(const struct os_wait *waits, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (waits[i].handle != XENPV_NO_HANDLE)
            return true;
    return false;
}

/*
 * Twice round without a move, so that each end has had its turn after the other's last one, and
 * there is nothing left but to wait: for a file or pipe in real time, else for a deadline at once.
 */
static void mock_wait(struct machine *machine, const struct os_wait *waits, unsigned count,
                      uint64_t deadline)
{
    struct mock_machine *self = ours(machine);
    uint64_t now = mock_now(machine);
    bool was_quiet = self->quiet;

    self->quiet = !step_disks(self);
    if (!self->quiet || !was_quiet)
        return;
    if (any_handle(waits, count)) {
        os_wait(waits, count, UINT64_MAX);
        return;
    }
    deadline = next_deadline(self, deadline);
    if (deadline == UINT64_MAX)
        exit(complain(STATUS_FAILED, "internal error: all ends of the mock wait for each other"));
    if (deadline > now)
        xenpv_mock_advance(self->mock, deadline - now);
    self->quiet = false;
}

/* Until the backends have nothing more to do by themselves. */
static void settle(struct mock_machine *self)
{
    while (step_disks(self))
        ;
}

/* ----------------------------------------------------------------------------------- closing -- */

static bool all_done(const struct mock_machine *self)
{
    for (unsigned i = 0; i < self->count; i++)
        if (self->disks[i].phase != XENPV_BUS_DONE && self->disks[i].phase != XENPV_BUS_IDLE)
            return false;
    return true;
}

static void close_disks(struct mock_machine *self)
{
    for (unsigned i = 0; i < self->count; i++)
        if (self->disks[i].back)
            xenpv_blkback_close(self->disks[i].back, xenpv_mock_now(self->mock));
    step_disks(self);
    while (!all_done(self))
        mock_wait(&self->machine, NULL, 0, UINT64_MAX);
    for (unsigned i = 0; i < self->count; i++) {
        if (self->disks[i].back)
            xenpv_blkback_destroy(self->disks[i].back);
        if (self->disks[i].open)
            self->disks[i].disk.close(self->disks[i].disk.ctx);
    }
}

/* Whatever a command did, both ends must have let go of everything by now. */
static int audit(struct mock_machine *self, uint16_t domid)
{
    struct xenpv_mock_ledger ledger;

    if (xenpv_mock_ledger(self->mock, domid, &ledger) != 0)
        return STATUS_DONE;
    if (ledger.grants || ledger.deferred || ledger.ports || ledger.maps || ledger.watches)
        return complain(STATUS_FAILED,
                        "internal error: domain %u still has %u pages granted (%u mapped, %u "
                        "deferred), %u ports, %u pages mapped, %u watches",
                        domid, ledger.grants, ledger.grants_mapped, ledger.deferred, ledger.ports,
                        ledger.maps, ledger.watches);
    return STATUS_DONE;
}

static int mock_close(struct machine *machine)
{
    struct mock_machine *self = ours(machine);
    int status = STATUS_DONE;

    close_disks(self);
    if (self->mock)
        status = audit(self, GUEST);
    if (self->mock && status == STATUS_DONE)
        status = audit(self, DRIVER);
    xenpv_mock_destroy(self->mock);
    free(self->disks);
    free(self);
    return status;
}

/* ----------------------------------------------------------------------------------- opening -- */

/* There is nobody here to claim a device from. */
static int mock_claim(struct machine *machine, const char *class_name, uint32_t id)
{
    (void)machine;
    (void)class_name;
    (void)id;
    return STATUS_DONE;
}

static void mock_holder(struct machine *machine, const char *class_name, uint32_t id, char *text,
                        size_t bytes)
{
    (void)machine;
    (void)class_name;
    (void)id;
    snprintf(text, bytes, "%s", "");
}

static const char *mock_fate(struct machine *machine, uint16_t domid)
{
    (void)machine;
    (void)domid;
    return ""; /* both domains live as long as we do */
}

static const struct machine_ops mock_ops = {
    .now = mock_now,
    .wait = mock_wait,
    .claim = mock_claim,
    .holder = mock_holder,
    .fate = mock_fate,
    .close = mock_close,
};

static int make_domains(struct mock_machine *self)
{
    struct xenpv_mock_config config = {
        .size = sizeof(config), .allocator = allocator, .log = on_log, .ctx = &self->machine};
    int rc = xenpv_mock_create(&config, &self->mock);

    if (rc == 0)
        rc = xenpv_mock_add_domain(self->mock, GUEST);
    if (rc == 0)
        rc = xenpv_mock_port(self->mock, GUEST, &self->machine.port);
    if (rc == 0)
        rc = xenpv_mock_port(self->mock, DRIVER, &self->driver_port);
    return rc ? complain(STATUS_ENVIRONMENT, "the mock cannot be made: %s", xenpv_error_text(rc))
              : STATUS_DONE;
}

int machine_open_mock(const struct options *options, struct machine **machine)
{
    struct mock_machine *self = calloc(1, sizeof(*self));
    int status;

    if (self)
        self->disks = calloc(options->mock_disk_count + 1, sizeof(*self->disks));
    if (!self || !self->disks) {
        free(self);
        return complain(STATUS_ENVIRONMENT, "out of memory");
    }
    self->machine.options = options;
    self->machine.ops = &mock_ops;
    status = make_domains(self);
    for (unsigned i = 0; status == STATUS_DONE && i < options->mock_disk_count; i++)
        status = add_disk(self, options->mock_disks[i]);
    if (status != STATUS_DONE)
        return machine_close(&self->machine, status);
    settle(self);
    *machine = &self->machine;
    return STATUS_DONE;
}
