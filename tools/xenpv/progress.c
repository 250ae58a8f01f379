/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "number.h"
#include "os.h"

#define EVERY_MS 200u

static struct {
    bool wanted;
    size_t shown; /* columns on the terminal now */
    uint64_t total, began, next;
} progress;

void progress_begin(uint64_t total)
{
    progress.wanted = os_is_terminal(OS_STDERR);
    progress.total = total;
    progress.began = os_now();
    progress.next = progress.began + EVERY_MS;
}

uint64_t progress_elapsed(void)
{
    return os_now() - progress.began;
}

/* "12 MiB of 64 MiB, 18 %, 120 MiB/s, 0:05 left" */
static void describe(char *line, size_t bytes, uint64_t done, uint64_t elapsed)
{
    char so_far[SIZE_TEXT_MAX], all[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX];
    double speed = (double)done * 1000 / (double)(elapsed ? elapsed : 1);

    size_text(done, so_far);
    size_text((uint64_t)speed, rate);
    if (progress.total == UINT64_MAX || progress.total == 0) {
        snprintf(line, bytes, "%s, %s/s", so_far, rate);
        return;
    }
    double left = speed > 0 ? (double)(progress.total - done) / speed : 0;
    unsigned seconds = left < 3600 * 1000 ? (unsigned)left : 3600u * 1000;
    size_text(progress.total, all);
    snprintf(line, bytes, "%s of %s, %u %%, %s/s, %u:%02u left", so_far, all,
             (unsigned)((double)done * 100 / (double)progress.total), rate, seconds / 60,
             seconds % 60);
}

static void put(const char *line)
{
    size_t before = progress.shown;

    progress.shown = strlen(line);
    fprintf(stderr, "\r%s%*s", line, before > progress.shown ? (int)(before - progress.shown) : 0,
            "");
}

void progress_show(uint64_t done)
{
    uint64_t now = os_now();
    char line[128];

    if (!progress.wanted || now < progress.next)
        return;
    progress.next = now + EVERY_MS;
    describe(line, sizeof(line), done, now - progress.began);
    put(line);
}

void progress_count(const char *what, uint32_t done)
{
    char line[128];

    if (!progress.wanted)
        return;
    snprintf(line, sizeof(line), "%" PRIu32 " of %" PRIu64 " %s", done, progress.total, what);
    put(line);
}

void progress_clear(void)
{
    if (progress.shown)
        fprintf(stderr, "\r%*s\r", (int)progress.shown, "");
    progress.shown = 0;
}
