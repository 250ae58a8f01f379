/* SPDX-License-Identifier: MIT */
/* Log lines of the core, of the port and of Xen's libraries, all to the one callback of the user.
 */
#include <stdio.h>

#include "linux.h"

void xenpv_linux_set_log(struct xenpv_linux *self, xenpv_linux_log *log, void *log_ctx)
{
    self->log = log;
    self->log_ctx = log_ctx;
}

void xenpv_linux_log_line(void *ctx, enum xenpv_log_level level, const char *line)
{
    struct xenpv_linux *self = ctx;

    if (self->log)
        self->log(self->log_ctx, level, line);
}

void xenpv_linux_logf(struct xenpv_linux *self, enum xenpv_log_level level, const char *format, ...)
{
    char line[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    xenpv_linux_log_line(self, level, line);
}

/*
 * The libraries would write to stderr by themselves, and what is an error to them is often an
 * answer to us, such as a grant reference that a peer made up: all of it is detail.
 */
static void __attribute__((format(printf, 5, 0)))
library_message(xentoollog_logger *logger, xentoollog_level level, int error_number,
                const char *context, const char *format, va_list arguments)
{
    struct xenpv_linux *self =
        (struct xenpv_linux *)(void *)((char *)logger - offsetof(struct xenpv_linux, library_log));
    char text[192];

    (void)level;
    vsnprintf(text, sizeof(text), format, arguments);
    xenpv_linux_logf(self, XENPV_LOG_DEBUG, "%s: %s (errno %d)", context ? context : "Xen library",
                     text, error_number);
}

void xenpv_linux_log_init(struct xenpv_linux *self)
{
    self->library_log.vmessage = library_message;
}
