/* SPDX-License-Identifier: MIT */
/* Why the port cannot be opened here, in one line that says what to do about it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>

#include "linux.h"

int xenpv_linux_explain(struct xenpv_linux_error *error, int code, const char *format, ...)
{
    va_list arguments;

    if (error) {
        va_start(arguments, format);
        vsnprintf(error->text, sizeof(error->text), format, arguments);
        va_end(arguments);
    }
    return code;
}

/* True when the file's first word is `word`. */
static bool file_says(const char *path, const char *word)
{
    char found[64] = "";
    FILE *file = fopen(path, "re");
    bool says = file && fscanf(file, "%63s", found) == 1 && strcmp(found, word) == 0;

    if (file)
        fclose(file);
    return says;
}

/*
 * Linux makes both only when it runs on Xen; what is inside /proc/xen comes by mounting xenfs.
 */
static bool on_xen(void)
{
    return access("/proc/xen", F_OK) == 0 || file_says("/sys/hypervisor/type", "xen");
}

static bool in_dom0(void)
{
    return file_says("/proc/xen/capabilities", "control_d");
}

static int not_xen(struct xenpv_linux_error *error)
{
    return xenpv_linux_explain(error, XENPV_ENOXEN,
                               "this is not a Xen guest (there is no /proc/xen, and "
                               "/sys/hypervisor/type does not say xen)");
}

/*
 * Asks over the kernel's own connection, which can be done without waiting for ever. libxenstore
 * cannot: where nobody serves the store, as in dom0 without xenstored, its first watch hangs in the
 * kernel, and not even SIGKILL ends it.
 */
#define STORE_PATIENCE_MS 10000

static bool store_is_silent(void)
{
    struct {
        struct xsd_sockmsg header;
        char path[sizeof("domid")];
    } request = {{.type = XS_READ, .len = sizeof(request.path)}, "domid"};
    size_t length = sizeof(request.header) + sizeof(request.path);
    struct pollfd answer = {.events = POLLIN};
    bool silent;

    answer.fd = open("/dev/xen/xenbus", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (answer.fd < 0)
        return false;
    silent = write(answer.fd, &request, length) == (ssize_t)length &&
             poll(&answer, 1, STORE_PATIENCE_MS) == 0;
    close(answer.fd);
    return silent;
}

int xenpv_linux_store_answers(struct xenpv_linux_error *error)
{
    if (!store_is_silent())
        return 0;
    return xenpv_linux_explain(error, XENPV_ENOXEN, "the XenStore does not answer: is %s running?",
                               in_dom0() ? "xenstored" : "xenstored in dom0");
}

int xenpv_linux_no_store(int error_number, struct xenpv_linux_error *error)
{
    if (error_number == ENOMEM || error_number == EMFILE || error_number == ENFILE)
        return xenpv_linux_explain(error, XENPV_ENOMEM, "cannot open the XenStore: %s",
                                   strerror(error_number));
    if (!on_xen())
        return not_xen(error);
    if (error_number == EACCES || error_number == EPERM)
        return xenpv_linux_explain(error, XENPV_EACCES,
                                   "no permission to open /dev/xen/xenbus: run as root, or give "
                                   "this user access with chmod or chgrp");
    if (in_dom0())
        return xenpv_linux_explain(error, XENPV_ENOXEN,
                                   "the XenStore cannot be reached (%s): is xenstored running?",
                                   strerror(error_number));
    return xenpv_linux_explain(error, XENPV_ENOXEN,
                               "the XenStore cannot be reached through /dev/xen/xenbus (%s)",
                               strerror(error_number));
}

int xenpv_linux_no_device(const char *node, const char *module, int error_number,
                          struct xenpv_linux_error *error)
{
    if (error_number == ENOMEM || error_number == EMFILE || error_number == ENFILE)
        return xenpv_linux_explain(error, XENPV_ENOMEM, "cannot open %s: %s", node,
                                   strerror(error_number));
    if (!on_xen())
        return not_xen(error);
    if (error_number == EACCES || error_number == EPERM)
        return xenpv_linux_explain(error, XENPV_EACCES,
                                   "no permission to open %s: run as root, or give this user "
                                   "access with chmod or chgrp",
                                   node);
    if (error_number == ENOENT || error_number == ENODEV || error_number == ENXIO)
        return xenpv_linux_explain(
            error, XENPV_ENOXEN, "%s is missing: load its module with 'modprobe %s'", node, module);
    return xenpv_linux_explain(error, XENPV_ENOXEN, "cannot open %s: %s", node,
                               strerror(error_number));
}
