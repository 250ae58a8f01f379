/* SPDX-License-Identifier: MIT */
/*
 * The port for Linux user space, over libxenstore, libxengnttab and libxenevtchn: in a guest with
 * the modules xen-gntalloc and xen-evtchn, in dom0 or a driver domain also with xen-gntdev.
 */
#ifndef XENPV_LINUX_H
#define XENPV_LINUX_H

#include <xenpv/port.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenpv_linux;

/* What went wrong with the environment, and the command that helps. */
struct xenpv_linux_error {
    char text[256];
};

/*
 * Opens the port. `port` is filled in and valid until close. Devices of several threads may share
 * it, but its store wait handle wakes only one of them: a control thread that sleeps on that handle
 * opens a port of its own.
 * Watch events wait in libxenstore, which has no bound for them, until ->fired or ->changed of any
 * watch is called; from there on memory is bounded. A connection that xenstored has closed is
 * noticed by the next store call, XENPV_ESTORE, for libxenstore wakes nobody for it; the port does
 * not open another.
 * XENPV_ENOXEN (no Xen here, no XenStore, a module or device node is missing), XENPV_EACCES,
 * XENPV_ENOMEM, XENPV_ESTORE; `error`, if not NULL, then says what is missing and what to do.
 * XENPV_CAP_MAP and XENPV_CAP_COPY are there if /dev/xen/gntdev can be opened; port->map is NULL
 * otherwise, which is no error. XENPV_CAP_GRANT_OWN never is: gntalloc shares pages of its own
 * only.
 */
int xenpv_linux_open(struct xenpv_linux **handle, struct xenpv_port *port,
                     struct xenpv_linux_error *error);

/*
 * Opens only what the store needs: enough to look, without any device node but xenbus'. The port
 * has no grant, map or event calls (NULL). Errors as above.
 */
int xenpv_linux_open_store(struct xenpv_linux **handle, struct xenpv_port *port,
                           struct xenpv_linux_error *error);

/*
 * Receives what the port, the core and Xen's libraries have to say, one line at a time, from any
 * thread that uses the port. Nothing is written anywhere unless this is set; set it before the port
 * is used, NULL to be silent again.
 */
typedef void xenpv_linux_log(void *log_ctx, enum xenpv_log_level level, const char *line);
void xenpv_linux_set_log(struct xenpv_linux *handle, xenpv_linux_log *log, void *log_ctx);

/*
 * Frees the handle and all it holds; grants and maps that are still there last until the process
 * ends. After a full restore (not a checkpoint) the event channels of before are abandoned open on
 * purpose: closing them is fatal to Linux 6.1, even by ending the process.
 */
void xenpv_linux_close(struct xenpv_linux *handle);

/*
 * Claims a frontend device of this guest, e.g. class "vbd", id 51712, so that no other xenpv
 * process uses it. A device bound to a kernel driver, or claimed by another process, is
 * XENPV_EBUSY, with `error` saying by whom; unless `take_over`: then the kernel driver is unbound
 * (it stays so; the call lasts until the driver has let go), the other process is asked to end
 * (SIGTERM) and waited for, at most `timeout_ms`. XENPV_EINVAL (no class name), XENPV_ENOMEM,
 * XENPV_EACCES (the lock file, sysfs or the other process is not ours to touch), XENPV_ETIMEDOUT.
 * The claim ends with xenpv_linux_release or with the process. Claims exclude each other within a
 * process, too. The lock is /run/lock/xenpv-<class>-<id>.lock (in /run where there is no
 * /run/lock); it goes with its claim, may be left by a process that was killed, and must belong to
 * root or to the caller.
 */
struct xenpv_linux_claim;
int xenpv_linux_claim(const char *class_name, uint32_t id, bool take_over, uint32_t timeout_ms,
                      struct xenpv_linux_claim **claim, struct xenpv_linux_error *error);
void xenpv_linux_release(struct xenpv_linux_claim *claim);

/*
 * Who holds a device now: "kernel driver vbd", "xenpv (pid 123)"; "" when nobody does. Changes
 * nothing. A process that has not claimed the device is not seen.
 */
void xenpv_linux_holder(const char *class_name, uint32_t id, char *text, size_t bytes);

/* What has become of a domain, as only dom0 may ask the hypervisor. */
enum xenpv_linux_domain {
    XENPV_LINUX_DOMAIN_UNKNOWN, /* we may not ask */
    XENPV_LINUX_DOMAIN_ALIVE,
    XENPV_LINUX_DOMAIN_SHUT_DOWN, /* it ended by itself and is not yet removed */
    XENPV_LINUX_DOMAIN_CRASHED,
    XENPV_LINUX_DOMAIN_DYING, /* it is being removed; what it maps may still be mapped */
    XENPV_LINUX_DOMAIN_GONE,
};

/* Asks the hypervisor, through libxenctrl. Any thread. */
enum xenpv_linux_domain xenpv_linux_domain(struct xenpv_linux *handle, uint16_t domid);

/* Milliseconds of a clock that never goes back: the `now` of every step call. */
uint64_t xenpv_linux_now(void);

#ifdef __cplusplus
}
#endif
#endif
