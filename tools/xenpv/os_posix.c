/* SPDX-License-Identifier: MIT */
#ifndef _WIN32
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A pipe that is ready for writing has room for this much at least. */
#define PIECE 4096u

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};
#define STOP_SIGNALS (sizeof(stop_signals) / sizeof(stop_signals[0]))

static volatile sig_atomic_t stop_signal;
static int stop_pipe[2] = {-1, -1};  /* readable once a signal came: no wait can miss it */
static _Thread_local bool stop_woke; /* this thread's wait for it is over */

static void on_stop(int number)
{
    int saved = errno;

    stop_signal = number;
    for (size_t i = 0; i < STOP_SIGNALS; i++)
        signal(stop_signals[i], SIG_DFL);
    if (write(stop_pipe[1], "", 1) < 0) {
        /* Then the pipe is full, or there is none: nothing to do about it here. */
    }
    errno = saved;
}

/*
 * A standard stream that is closed stays one that fails: no other file may take its number, and be
 * written to in its place.
 */
static void hold_standard_streams(void)
{
    for (int fd = OS_STDIN; fd <= OS_STDERR; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == OS_STDIN ? O_WRONLY : O_RDONLY) != fd)
            _exit(4);
    }
}

void os_setup(void)
{
    struct sigaction action = {.sa_handler = on_stop};

    hold_standard_streams();
    /* They are errors of the call: the device is closed in good order. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (pipe(stop_pipe) == 0)
        for (int end = 0; end < 2; end++)
            fcntl(stop_pipe[end], F_SETFD, FD_CLOEXEC);
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < STOP_SIGNALS; i++) {
        struct sigaction old;

        /* nohup and a shell's background jobs ignore some of them, and so do we then. */
        sigaction(stop_signals[i], NULL, &old);
        if (old.sa_handler != SIG_IGN)
            sigaction(stop_signals[i], &action, NULL);
    }
}

int os_stop_signal(void)
{
    return stop_signal;
}

uint32_t os_process(void)
{
    return (uint32_t)getpid();
}

void os_stop_obeyed(void)
{
    stop_signal = 0;
}

uint64_t os_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void *os_alloc(size_t bytes, size_t align)
{
    void *memory;

    if (align < sizeof(void *))
        align = sizeof(void *);
    return posix_memalign(&memory, align, bytes) ? NULL : memory;
}

void os_free(void *memory)
{
    free(memory);
}

void os_wait(const struct os_wait *waits, unsigned count, uint64_t ms)
{
    struct pollfd fds[OS_WAITS_MAX + 1];
    bool listens = !stop_woke;
    nfds_t used = 0;

    /*
     * A signal ends one wait, be it one that has begun after whoever waits last asked for signals.
     * Then we close down, and that waits for the device only.
     */
    if (listens)
        fds[used++] = (struct pollfd){.fd = stop_pipe[0], .events = POLLIN};
    for (unsigned i = 0; i < count; i++)
        if (waits[i].handle != XENPV_NO_HANDLE)
            fds[used++] = (struct pollfd){.fd = (int)waits[i].handle,
                                          .events = waits[i].writing ? POLLOUT : POLLIN};
    if (poll(fds, used, ms > INT_MAX ? (ms == UINT64_MAX ? -1 : INT_MAX) : (int)ms) > 0 && listens)
        stop_woke = fds[0].revents != 0;
}

/* ------------------------------------------------------------------------------------- files -- */

static bool is_seekable(int fd)
{
    struct stat about;

    return fstat(fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISBLK(about.st_mode));
}

int os_open_input(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;

    if (fd >= 0 && fstat(fd, &about) == 0 && S_ISDIR(about.st_mode)) {
        close(fd);
        errno = EISDIR;
        return -1;
    }
    return fd;
}

bool os_same_file(const char *a, const char *b)
{
    struct stat one, other;

    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

int os_open_output(const char *path, bool keep)
{
    return open(path, O_WRONLY | O_CREAT | (keep ? 0 : O_TRUNC) | O_CLOEXEC, 0666);
}

int os_close(int fd)
{
    return close(fd);
}

bool os_size(int fd, uint64_t *bytes)
{
    off_t here, end;

    if (!is_seekable(fd))
        return false;
    here = lseek(fd, 0, SEEK_CUR);
    end = lseek(fd, 0, SEEK_END);
    lseek(fd, here, SEEK_SET);
    *bytes = end > here ? (uint64_t)(end - here) : 0;
    /* Files of the kernel's own, as in /proc, say 0 and hold more. */
    return end > 0;
}

int os_skip(int fd, uint64_t bytes)
{
    if (bytes > INT64_MAX) {
        errno = EFBIG;
        return -1;
    }
    return lseek(fd, (off_t)bytes, SEEK_CUR) < 0 ? -1 : 0;
}

bool os_skips_zeroes(int fd)
{
    struct stat about;

    return fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size == 0;
}

int os_end(int fd)
{
    off_t here = lseek(fd, 0, SEEK_CUR);

    return here < 0 ? -1 : ftruncate(fd, here);
}

static bool is_ready(int fd, short event)
{
    struct pollfd ready = {.fd = fd, .events = event};

    return poll(&ready, 1, 0) == 1;
}

ptrdiff_t os_read(int fd, void *to, size_t bytes)
{
    if (is_ready(fd, POLLIN))
        return read(fd, to, bytes);
    errno = EAGAIN;
    return -1;
}

/* To a pipe piece by piece, for a larger write would wait for room; an error that follows some
 * bytes comes again with the next call. */
ptrdiff_t os_write(int fd, const void *from, size_t bytes)
{
    size_t largest = is_seekable(fd) ? bytes : PIECE, done = 0;

    errno = EAGAIN;
    while (done < bytes && is_ready(fd, POLLOUT)) {
        size_t left = bytes - done;
        ssize_t count = write(fd, (const char *)from + done, left < largest ? left : largest);

        if (count < 0)
            break;
        done += (size_t)count;
    }
    return done ? (ptrdiff_t)done : -1;
}

bool os_is_terminal(int fd)
{
    return isatty(fd);
}

void os_describe(const char *path, char text[48])
{
    struct stat about;

    if (stat(path, &about) != 0)
        snprintf(text, 48, "not there");
    else if (S_ISDIR(about.st_mode))
        snprintf(text, 48, "a directory");
    else if (S_ISREG(about.st_mode))
        snprintf(text, 48, "a file of %jd bytes", (intmax_t)about.st_size);
    else
        snprintf(text, 48, "a special file");
}

#else
typedef int os_posix_unused;
#endif
