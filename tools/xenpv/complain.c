/* SPDX-License-Identifier: MIT */
#include "complain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "os.h"
#include "progress.h"

#define LINE_MAX_BYTES 1000u

/* A file's name may hold anything, a line break too. */
static void keep_to_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

/* What is long is a path or a name, in the middle; why it is wrong stands at the end. */
static void shorten(char *text)
{
    enum { GAP = 3, HALF = (LINE_MAX_BYTES - GAP) / 2 };
    size_t length = strlen(text);

    if (length <= LINE_MAX_BYTES)
        return;
    memset(text + HALF, '.', GAP);
    memmove(text + HALF + GAP, text + length - HALF, HALF + 1);
}

static void PRINTF_LIKE(1, 0) write_line(const char *format, va_list arguments)
{
    va_list again;
    char *line;
    int length;

    va_copy(again, arguments);
    length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    line = length < 0 ? NULL : malloc((size_t)length + 1);
    progress_clear();
    if (!line) {
        fprintf(stderr, "xenpv: out of memory\n");
        return;
    }
    vsnprintf(line, (size_t)length + 1, format, arguments);
    keep_to_one_line(line);
    shorten(line);
    fprintf(stderr, "xenpv: %s\n", line);
    free(line);
}

int complain(int status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
    return status;
}

void remark(const struct options *options, const char *format, ...)
{
    va_list arguments;

    if (!options->verbose)
        return;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

void notice(const struct options *options, const char *format, ...)
{
    va_list arguments;

    if (!options->verbose && !os_is_terminal(OS_STDERR))
        return;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

int status_of_error(int error)
{
    switch (error) {
    case XENPV_EACCES:
    case XENPV_ENOMEM:
    case XENPV_ENOGRANT:
    case XENPV_ENOPORT:
    case XENPV_ESTORE:
    case XENPV_ENOXEN:
        return STATUS_ENVIRONMENT;
    default:
        return STATUS_FAILED;
    }
}

/* What a user can do about it; "" where nothing sensible can be said. */
static const char *advice(const char *device, int error)
{
    switch (error) {
    case XENPV_ETIMEDOUT:
        return strncmp(device, "vif/", 4) == 0
                   ? "; is the backend alive? 'xl network-list' and its log in the backend domain "
                     "tell, --timeout gives it longer"
                   : "; is the backend alive? 'xl block-list' and its log in the backend domain "
                     "tell, --timeout gives it longer";
    case XENPV_EACCES:
        return "; run as root";
    default:
        return "";
    }
}

/* What was found where, as far as there is a key or a check that says so. */
static void describe_finding(const struct xenpv_detail *detail, char *text, size_t bytes)
{
    const char *expected = detail->expected ? detail->expected : "";

    if (detail->key[0])
        snprintf(text, bytes, ": %s: found %s%s%s", detail->key, detail->found,
                 expected[0] ? ", expected " : "", expected);
    else if (detail->check)
        snprintf(text, bytes, ": found %s (queue %u, ring index %u), but %s", detail->found,
                 detail->queue, detail->index, xenpv_check_text(detail->check));
    else
        text[0] = '\0';
}

static void describe_error(const struct xenpv_detail *detail, uint64_t waited_ms, char *text,
                           size_t bytes)
{
    if (detail->error == XENPV_ETIMEDOUT)
        snprintf(text, bytes, "gave up after %" PRIu64 " ms", waited_ms);
    else
        snprintf(text, bytes, "%s", xenpv_error_text(detail->error));
}

int complain_of_device(const char *device, const struct xenpv_detail *detail, uint64_t waited_ms,
                       const char *note)
{
    char finding[256], reason[96];

    if (detail->error == XENPV_ENOENT && detail->key[0])
        return complain(STATUS_FAILED,
                        "%s: there is no such device (%s is missing); 'xenpv list' shows those "
                        "there are",
                        device, detail->key);
    describe_finding(detail, finding, sizeof(finding));
    describe_error(detail, waited_ms, reason, sizeof(reason));
    return complain(status_of_error(detail->error), "%s: %s%s: %s%s%s", device,
                    detail->step ? detail->step : "using it", finding, reason,
                    advice(device, detail->error), note);
}
