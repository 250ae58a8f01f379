/* SPDX-License-Identifier: MIT */
/* Claims on devices: a lock against other processes, and the kernel's own driver out of the way. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "lockfile.h"

struct xenpv_linux_claim {
    int lock;
    char path[LOCKFILE_PATH_MAX];
};

/* The device's name on the kernel's xen bus, e.g. "vbd-51712". */
struct device {
    char name[48];
};

/* How much is done to get the device from who has it. */
struct effort {
    bool take_over;
    uint32_t timeout_ms;
    uint64_t deadline;
};

static int device_name(struct device *device, const char *class_name, uint32_t id)
{
    size_t length = strlen(class_name);

    if (length == 0 || length > 32)
        return XENPV_EINVAL;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)class_name[i]) && !strchr("-_", class_name[i]))
            return XENPV_EINVAL;
    snprintf(device->name, sizeof(device->name), "%s-%u", class_name, id);
    return 0;
}

/* --------------------------------------------------------------------- the kernel's driver -- */

static bool kernel_driver(const struct device *device, char *name, size_t bytes)
{
    char path[128], target[256];
    const char *base;
    ssize_t length;

    snprintf(path, sizeof(path), "/sys/bus/xen/devices/%s/driver", device->name);
    length = readlink(path, target, sizeof(target) - 1);
    if (length <= 0)
        return false;
    target[length] = '\0';
    base = strrchr(target, '/');
    snprintf(name, bytes, "%.*s", (int)bytes - 1, base ? base + 1 : target);
    return true;
}

/* The write ends when the driver has let go. Nobody binds the device again unless told to. */
static int unbind_driver(const struct device *device, const char *driver,
                         struct xenpv_linux_error *error)
{
    char path[128];
    size_t length = strlen(device->name);
    int fd, failed;

    snprintf(path, sizeof(path), "/sys/bus/xen/devices/%s/driver/unbind", device->name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    failed = fd < 0 || write(fd, device->name, length) != (ssize_t)length ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (failed == EACCES || failed == EPERM)
        return xenpv_linux_explain(error, XENPV_EACCES,
                                   "no permission to unbind %s from kernel driver %s: run as root",
                                   device->name, driver);
    /* ENOENT, ENODEV: it went away by itself. */
    if (failed && failed != ENOENT && failed != ENODEV)
        return xenpv_linux_explain(error, XENPV_EBUSY, "cannot unbind %s from kernel driver %s: %s",
                                   device->name, driver, strerror(failed));
    return 0;
}

static int claim_from_kernel(const struct device *device, bool take_over,
                             struct xenpv_linux_error *error)
{
    char driver[64];

    if (!kernel_driver(device, driver, sizeof(driver)))
        return 0;
    if (take_over)
        return unbind_driver(device, driver, error);
    return xenpv_linux_explain(error, XENPV_EBUSY, "it is bound to kernel driver %s", driver);
}

/* ----------------------------------------------------------------------- another process -- */

/* "xenpv (pid 123)"; a name is the process's own to choose, so only what prints is passed on. */
static void process_text(pid_t pid, char *text, size_t bytes)
{
    char path[64], name[17] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
    file = fopen(path, "re");
    if (!file || !fgets(name, sizeof(name), file))
        snprintf(name, sizeof(name), "another process");
    if (file)
        fclose(file);
    name[strcspn(name, "\n")] = '\0';
    for (char *c = name; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
    snprintf(text, bytes, "%s (pid %ld)", name, (long)pid);
}

static void lock_holder(int lock, char *text, size_t bytes)
{
    pid_t pid = xenpv_linux_lockfile_pid(lock);

    if (pid)
        process_text(pid, text, bytes);
    else
        snprintf(text, bytes, "another process");
}

/*
 * Asks the process that holds the lock to end: 0 when it was asked, XENPV_PENDING when nobody can
 * be made out (yet), or an error. The process is pinned before it is looked at, so that what is
 * signalled is what was looked at.
 */
static int ask_holder(int lock, const struct device *device, struct xenpv_linux_error *error)
{
    pid_t pid = xenpv_linux_lockfile_pid(lock);
    int pidfd, rc = XENPV_PENDING;

    if (pid == getpid())
        return xenpv_linux_explain(error, XENPV_EBUSY, "it is in use by this very process");
    pidfd = pid > 1 ? pidfd_open(pid, 0) : -1;
    if (pidfd < 0)
        return XENPV_PENDING;
    if (xenpv_linux_lockfile_held_by(lock, pid)) {
        rc = pidfd_send_signal(pidfd, SIGTERM, NULL, 0) == 0 ? 0 : XENPV_EACCES;
        if (rc)
            xenpv_linux_explain(error, rc, "no permission to end process %ld, which uses %s",
                                (long)pid, device->name);
    }
    close(pidfd);
    return rc;
}

/* The holder may let go without ending, and nothing tells us of that: hence a look every 10 ms. */
static int take_from_process(int lock, const struct device *device, const struct effort *effort,
                             struct xenpv_linux_error *error)
{
    int asked = XENPV_PENDING;
    char holder[64];

    lock_holder(lock, holder, sizeof(holder));
    while (xenpv_linux_lockfile_take(lock)) {
        if (asked == XENPV_PENDING)
            asked = ask_holder(lock, device, error);
        if (asked < 0)
            return asked;
        if (xenpv_linux_now() >= effort->deadline)
            return xenpv_linux_explain(error, XENPV_ETIMEDOUT, "%s %s %s after %u ms", holder,
                                       asked ? "cannot be signalled, and still uses"
                                             : "was asked to end, and still uses",
                                       device->name, effort->timeout_ms);
        poll(NULL, 0, 10);
    }
    return 0;
}

static int claim_from_processes(int lock, const struct device *device, const struct effort *effort,
                                struct xenpv_linux_error *error)
{
    char holder[64];

    if (xenpv_linux_lockfile_take(lock) == 0)
        return 0;
    if (effort->take_over)
        return take_from_process(lock, device, effort, error);
    lock_holder(lock, holder, sizeof(holder));
    return xenpv_linux_explain(error, XENPV_EBUSY, "it is in use by %s", holder);
}

/* Answers the lock, held, or an error. */
static int lock_device(const char *path, const struct device *device, const struct effort *effort,
                       struct xenpv_linux_error *error)
{
    for (;;) {
        int lock = xenpv_linux_lockfile_open(path, error);
        int rc = lock < 0 ? lock : claim_from_processes(lock, device, effort, error);

        if (lock >= 0 && rc == 0 && xenpv_linux_lockfile_is_there(lock))
            return lock;
        if (lock >= 0)
            close(lock);
        if (rc)
            return rc;
    }
}

/* The lock comes first, so that of two processes that would unbind the driver, only one does. */
static int claim_device(struct xenpv_linux_claim *claim, const struct device *device,
                        const struct effort *effort, struct xenpv_linux_error *error)
{
    int rc;

    xenpv_linux_lockfile_path(claim->path, device->name);
    claim->lock = lock_device(claim->path, device, effort, error);
    if (claim->lock < 0)
        return claim->lock;
    rc = claim_from_kernel(device, effort->take_over, error);
    if (rc)
        xenpv_linux_lockfile_drop(claim->lock, claim->path);
    return rc;
}

int xenpv_linux_claim(const char *class_name, uint32_t id, bool take_over, uint32_t timeout_ms,
                      struct xenpv_linux_claim **claim, struct xenpv_linux_error *error)
{
    struct effort effort = {take_over, timeout_ms, xenpv_linux_now() + timeout_ms};
    struct xenpv_linux_claim *made = malloc(sizeof(*made));
    struct device device;
    int rc;

    if (!made)
        return xenpv_linux_explain(error, XENPV_ENOMEM, "no memory");
    if (device_name(&device, class_name, id))
        rc = xenpv_linux_explain(error, XENPV_EINVAL, "'%.32s' is no class of devices", class_name);
    else
        rc = claim_device(made, &device, &effort, error);
    if (rc)
        free(made);
    else
        *claim = made;
    return rc;
}

void xenpv_linux_release(struct xenpv_linux_claim *claim)
{
    xenpv_linux_lockfile_drop(claim->lock, claim->path);
    free(claim);
}

void xenpv_linux_holder(const char *class_name, uint32_t id, char *text, size_t bytes)
{
    char path[LOCKFILE_PATH_MAX], driver[64];
    struct device device;
    int lock;

    snprintf(text, bytes, "%s", "");
    if (device_name(&device, class_name, id))
        return;
    if (kernel_driver(&device, driver, sizeof(driver))) {
        snprintf(text, bytes, "kernel driver %s", driver);
        return;
    }
    xenpv_linux_lockfile_path(path, device.name);
    lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (lock < 0)
        return;
    if (xenpv_linux_lockfile_is_taken(lock))
        lock_holder(lock, text, bytes);
    close(lock);
}
