/* SPDX-License-Identifier: MIT */
/*
 * A Xen in this process: we are domain 1, and domain 0 serves each --mock-disk and --mock-net with
 * our own backends; domain 2 is at the other end of a pair. Its clock is not the real one: it
 * stands still while anything moves, and jumps to the next deadline when nothing does, so that no
 * time-out ever takes time.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "machine.h"
#include "mock_disk.h"
#include "mock_message.h"
#include "mock_net.h"

#define CHANGE_MS 10u

#define DOMAINS 3u /* MOCK_DRIVER, MOCK_GUEST, MOCK_NEIGHBOUR */

struct mock_machine {
    struct machine machine;
    struct mock_world world;
    struct mock_disk *disks;
    struct mock_net *nets;
    struct mock_message message;
    struct xenpv_port guest_port;
    unsigned disk_count, net_count;
    uint32_t changes; /* that were made */
    uint64_t change_at;
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

static void on_log(void *ctx, uint16_t domid, enum xenpv_log_level level, const char *line)
{
    const struct machine *machine = ctx;

    (void)level;
    remark(machine->options, "domain %u: %s", domid, line);
}

/* ---------------------------------------------------------------------------------- stepping -- */

static uint64_t mock_now(struct machine *machine)
{
    return xenpv_mock_now(ours(machine)->world.mock);
}

/* While a command listens, the toolstack has something to say to it. */
static bool has_changes(const struct mock_machine *self)
{
    return self->machine.listens && self->changes < self->world.offer.changes;
}

static bool make_change(struct mock_machine *self)
{
    uint64_t now = mock_now(&self->machine);
    char path[64], number[16];

    if (!has_changes(self) || now < self->change_at)
        return false;
    self->change_at = now + CHANGE_MS;
    snprintf(path, sizeof(path), "/local/domain/%u/data/changes", MOCK_GUEST);
    snprintf(number, sizeof(number), "%" PRIu32, ++self->changes);
    if (xenpv_mock_write(self->world.mock, path, number))
        exit(complain(STATUS_ENVIRONMENT, "--mock-backend changes: %s cannot be written", path));
    return true;
}

static bool step_backends(struct mock_machine *self)
{
    bool moved = make_change(self);

    moved |= mock_message_step(&self->message);

    for (unsigned i = 0; i < self->disk_count; i++)
        moved |= mock_disk_step(&self->disks[i], mock_now(&self->machine));
    for (unsigned i = 0; i < self->net_count; i++)
        moved |= mock_net_step(&self->nets[i], mock_now(&self->machine));
    return moved;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_deadline(const struct mock_machine *self, uint64_t deadline)
{
    if (has_changes(self))
        deadline = sooner(deadline, self->change_at);
    for (unsigned i = 0; i < self->disk_count; i++)
        deadline = sooner(deadline, mock_disk_deadline(&self->disks[i]));
    for (unsigned i = 0; i < self->net_count; i++)
        deadline = sooner(deadline, mock_net_deadline(&self->nets[i]));
    return deadline;
}

static bool any_handle(const struct os_wait *waits, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (waits[i].handle != XENPV_NO_HANDLE)
            return true;
    return false;
}

static uint64_t left(uint64_t deadline, uint64_t now)
{
    if (deadline == UINT64_MAX)
        return UINT64_MAX;
    return deadline > now ? deadline - now : 0;
}

/* The mock's clock stands still but here, so it goes on by as much as was really waited. */
static void wait_really(struct mock_machine *self, const struct os_wait *waits, unsigned count,
                        uint64_t ms)
{
    uint64_t before = os_now(), waited;

    os_wait(waits, count, ms);
    waited = os_now() - before;
    xenpv_mock_advance(self->world.mock, sooner(waited, ms));
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

    self->quiet = !step_backends(self);
    if (!self->quiet || !was_quiet)
        return;
    deadline = next_deadline(self, deadline);
    if (any_handle(waits, count))
        wait_really(self, waits, count, left(deadline, now));
    else if (deadline == UINT64_MAX && machine->listens)
        os_wait(NULL, 0, UINT64_MAX);
    else if (deadline == UINT64_MAX)
        exit(complain(STATUS_FAILED, "internal error: all ends of the mock wait for each other"));
    else if (deadline > now)
        xenpv_mock_advance(self->world.mock, deadline - now);
    self->quiet = false;
}

/* Until the backends have nothing more to do by themselves. */
static void settle(struct mock_machine *self)
{
    while (step_backends(self))
        ;
}

/* ----------------------------------------------------------------------------------- closing -- */

static bool all_done(const struct mock_machine *self)
{
    for (unsigned i = 0; i < self->disk_count; i++)
        if (!mock_disk_is_done(&self->disks[i]))
            return false;
    for (unsigned i = 0; i < self->net_count; i++)
        if (!mock_net_is_done(&self->nets[i]))
            return false;
    return true;
}

struct stat_row {
    const char *name;
    uint64_t number;
};

/* With -v, what a backend was asked for. */
static void remark_rows(const struct mock_machine *self, const char *class_name, uint32_t number,
                        const struct stat_row *rows, size_t count)
{
    char text[384] = "";

    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%" PRIu64 " %s",
                 i ? ", " : "", rows[i].number, rows[i].name);
    remark(self->machine.options, "mock %s/%u: %s", class_name, number, text);
}

static void remark_disk(const struct mock_machine *self, const struct mock_disk *disk)
{
    const struct xenpv_blkback_stats *a = &disk->stats_before, *b = &disk->stats;
    const struct stat_row rows[] = {
        {"requests", a->requests + b->requests},
        {"refused", a->refused + b->refused},
        {"indirect", a->indirect + b->indirect},
        {"flushes", a->flushes + b->flushes},
        {"barriers", a->barriers + b->barriers},
        {"discards", a->discards + b->discards},
        {"pages mapped or copied for one request", a->mapped + b->mapped},
        {"events", a->notified + b->notified}};

    if (rows[0].number)
        remark_rows(self, "vbd", disk->number, rows, sizeof(rows) / sizeof(rows[0]));
}

static void remark_net(const struct mock_machine *self, const struct mock_net *net)
{
    const struct xenpv_netback_stats *a = &net->ours.stats_before, *b = &net->ours.stats;
    const struct stat_row rows[] = {{"frames taken", a->tx_frames + b->tx_frames},
                                    {"refused", a->tx_errors + b->tx_errors},
                                    {"lost on the wire", a->tx_dropped + b->tx_dropped},
                                    {"given", a->rx_frames + b->rx_frames},
                                    {"without room", a->rx_dropped + b->rx_dropped},
                                    {"segments cut", a->segments + b->segments},
                                    {"checksums made", a->checksums + b->checksums},
                                    {"control messages", a->messages + b->messages},
                                    {"events", a->notified + b->notified}};

    if (rows[0].number + rows[3].number)
        remark_rows(self, "vif", net->ours.number, rows, sizeof(rows) / sizeof(rows[0]));
}

static int close_backends(struct mock_machine *self)
{
    int status = STATUS_DONE;

    for (unsigned i = 0; i < self->disk_count; i++)
        mock_disk_end(&self->disks[i], mock_now(&self->machine));
    for (unsigned i = 0; i < self->net_count; i++)
        mock_net_end(&self->nets[i], mock_now(&self->machine));
    step_backends(self);
    while (!all_done(self))
        mock_wait(&self->machine, NULL, 0, UINT64_MAX);
    for (unsigned i = 0; i < self->disk_count; i++) {
        remark_disk(self, &self->disks[i]);
        mock_disk_close(&self->disks[i]);
    }
    for (unsigned i = 0; i < self->net_count; i++) {
        int closed;

        remark_net(self, &self->nets[i]);
        closed = mock_net_close(&self->nets[i]);
        status = status == STATUS_DONE ? closed : status;
    }
    return status;
}

/* Whatever a command did, both ends must have let go of everything by now. */
static int audit(struct mock_machine *self, uint16_t domid)
{
    struct xenpv_mock_ledger ledger;

    if (xenpv_mock_ledger(self->world.mock, domid, &ledger) != 0)
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
    int status;

    machine->listens = false;
    status = close_backends(self);
    for (uint16_t domid = 0; self->world.mock && domid < DOMAINS && status == STATUS_DONE; domid++)
        status = audit(self, domid);
    xenpv_mock_destroy(self->world.mock);
    free(self->disks);
    free(self->nets);
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

static uint32_t mock_grant_limit(struct machine *machine, char *raise, size_t bytes)
{
    uint32_t grants = ours(machine)->world.offer.grants;

    snprintf(raise, bytes, "%s", grants ? "--mock-backend grants=N" : "");
    return grants;
}

/* What a --mock-control asks for. */
static void mock_toolstack(struct machine *machine, const char *what)
{
    struct xenpv_mock *mock = ours(machine)->world.mock;
    const char *value = strchr(what, '=') + 1;
    char path[128];
    int rc;

    if (strcmp(what, "resume=") == 0) {
        xenpv_mock_suspend(mock, MOCK_GUEST);
        return;
    }
    snprintf(path, sizeof(path), "/local/domain/%u/%.*s", MOCK_GUEST, (int)(value - what - 1),
             what);
    rc = xenpv_mock_write(mock, path, value);
    if (rc)
        complain(STATUS_FAILED, "--mock-control %s: %s", what, xenpv_error_text(rc));
}

static const struct machine_ops mock_ops = {
    .now = mock_now,
    .wait = mock_wait,
    .claim = mock_claim,
    .holder = mock_holder,
    .fate = mock_fate,
    .grant_limit = mock_grant_limit,
    .toolstack = mock_toolstack,
    .close = mock_close,
};

static int make_domains(struct mock_machine *self)
{
    struct mock_world *world = &self->world;
    struct xenpv_mock_config config = {.size = sizeof(config),
                                       .allocator = world->allocator,
                                       .limits = {.grants = world->offer.grants},
                                       .log = on_log,
                                       .ctx = &self->machine};
    int rc = xenpv_mock_create(&config, &world->mock);

    if (rc == 0)
        rc = xenpv_mock_add_domain(world->mock, MOCK_GUEST);
    if (rc == 0)
        rc = xenpv_mock_port(world->mock, MOCK_GUEST, &self->machine.port);
    if (rc == 0)
        rc = xenpv_mock_port(world->mock, MOCK_DRIVER, &world->driver_port);
    if (rc == 0)
        rc = xenpv_mock_add_domain(world->mock, MOCK_NEIGHBOUR);
    if (rc == 0)
        rc = xenpv_mock_port(world->mock, MOCK_NEIGHBOUR, &world->neighbour_port);
    return rc ? complain(STATUS_ENVIRONMENT, "the mock cannot be made: %s", xenpv_error_text(rc))
              : STATUS_DONE;
}

static int add_disks(struct mock_machine *self, const struct options *options)
{
    int status = STATUS_DONE;

    for (unsigned i = 0; status == STATUS_DONE && i < options->mock_disk_count; i++) {
        const char *path = options->mock_disks[i];

        for (unsigned before = 0; before < i; before++)
            if (os_same_file(path, options->mock_disks[before]))
                return complain(STATUS_USAGE, "--mock-disk %s: it is --mock-disk %s, too", path,
                                options->mock_disks[before]);
        self->disk_count++;
        status = mock_disk_open(&self->disks[i], &self->world, i, path);
    }
    return status;
}

/* A file that frames are put into is nothing else: it is emptied first. */
static int check_capture(const struct options *options, unsigned net)
{
    const char *text = options->mock_nets[net], *file = mock_net_capture(text);

    for (unsigned i = 0; file && i < options->mock_disk_count; i++)
        if (os_same_file(file, options->mock_disks[i]))
            return complain(STATUS_USAGE, "--mock-net %s: its file is that of --mock-disk %s, too",
                            text, options->mock_disks[i]);
    for (unsigned i = 0; file && i < options->mock_net_count; i++)
        if (i != net && (mock_net_reads(options->mock_nets[i], file) ||
                         mock_net_writes(options->mock_nets[i], file)))
            return complain(STATUS_USAGE, "--mock-net %s: its file is that of --mock-net %s, too",
                            text, options->mock_nets[i]);
    return STATUS_DONE;
}

static int add_nets(struct mock_machine *self, const struct options *options)
{
    int status = STATUS_DONE;

    for (unsigned i = 0; status == STATUS_DONE && i < options->mock_net_count; i++) {
        const char *text = options->mock_nets[i];

        status = check_capture(options, i);
        if (status != STATUS_DONE)
            break;
        self->net_count++;
        status = mock_net_open(&self->nets[i], &self->world, i, text);
    }
    return status;
}

/* Behind those that are served. */
static int add_nics(struct mock_machine *self)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < self->world.offer.nics; i++) {
        char path[64];

        snprintf(path, sizeof(path), "/local/domain/%u/device/vif/%u/state", MOCK_GUEST,
                 self->net_count + i);
        rc = xenpv_mock_write(self->world.mock, path, "1");
    }
    return rc ? complain(STATUS_ENVIRONMENT, "the mock cannot be made: %s", xenpv_error_text(rc))
              : STATUS_DONE;
}

static int add_message(struct mock_machine *self, bool outside)
{
    const struct xenpv_port *port = outside ? &self->world.driver_port : &self->guest_port;
    int rc = mock_message_open(&self->message, port, outside, self->world.offer.message);

    return rc ? complain(STATUS_ENVIRONMENT, "the mock cannot be made: %s", xenpv_error_text(rc))
              : STATUS_DONE;
}

int machine_open_mock(const struct options *options, enum machine_need need,
                      struct machine **machine)
{
    struct mock_offer offer;
    struct mock_machine *self;
    int status;

    if (!mock_offer_parse(options, &offer))
        return STATUS_USAGE;
    self = calloc(1, sizeof(*self));
    if (!self)
        return complain(STATUS_ENVIRONMENT, "out of memory");
    self->disks = calloc(options->mock_disk_count + 1, sizeof(*self->disks));
    self->nets = calloc(options->mock_net_count + 1, sizeof(*self->nets));
    if (!self->disks || !self->nets) {
        free(self->disks);
        free(self->nets);
        free(self);
        return complain(STATUS_ENVIRONMENT, "out of memory");
    }
    self->machine.options = options;
    self->machine.ops = &mock_ops;
    self->world.offer = offer;
    self->world.allocator = (struct xenpv_allocator){.alloc = on_alloc, .free = on_free};
    status = make_domains(self);
    if (status == STATUS_DONE)
        status = add_disks(self, options);
    if (status == STATUS_DONE)
        status = add_nets(self, options);
    if (status == STATUS_DONE)
        status = add_nics(self);
    if (status != STATUS_DONE)
        return machine_close(&self->machine, status);
    self->guest_port = self->machine.port;
    if (need == MACHINE_DOMAINS)
        self->machine.port = self->world.driver_port;
    if (self->world.offer.message[0])
        status = add_message(self, need != MACHINE_DOMAINS);
    if (status != STATUS_DONE)
        return machine_close(&self->machine, status);
    settle(self);
    *machine = &self->machine;
    return STATUS_DONE;
}
