/* SPDX-License-Identifier: MIT */
#ifndef _WIN32
#include "os_thread.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct os_thread {
    pthread_t thread;
    void (*run)(void *ctx);
    void *ctx;
};

static void *run_thread(void *ctx)
{
    struct os_thread *thread = ctx;

    thread->run(thread->ctx);
    return NULL;
}

struct os_thread *os_thread_start(void (*run)(void *ctx), void *ctx)
{
    struct os_thread *thread = malloc(sizeof(*thread));

    if (!thread)
        return NULL;
    *thread = (struct os_thread){.run = run, .ctx = ctx};
    if (pthread_create(&thread->thread, NULL, run_thread, thread) != 0) {
        free(thread);
        return NULL;
    }
    return thread;
}

void os_thread_join(struct os_thread *thread)
{
    pthread_join(thread->thread, NULL);
    free(thread);
}

struct os_mutex {
    pthread_mutex_t mutex;
};

struct os_mutex *os_mutex_new(void)
{
    struct os_mutex *mutex = malloc(sizeof(*mutex));

    if (mutex)
        pthread_mutex_init(&mutex->mutex, NULL);
    return mutex;
}

void os_mutex_free(struct os_mutex *mutex)
{
    if (mutex)
        pthread_mutex_destroy(&mutex->mutex);
    free(mutex);
}

void os_mutex_lock(struct os_mutex *mutex)
{
    pthread_mutex_lock(&mutex->mutex);
}

void os_mutex_unlock(struct os_mutex *mutex)
{
    pthread_mutex_unlock(&mutex->mutex);
}

/* ------------------------------------------------------------------------------------- cores -- */

/* As the process began: a thread that was pinned knows only its own core. */
static const cpu_set_t *allowed(void)
{
    static cpu_set_t set;

    if (CPU_COUNT(&set) == 0 && sched_getaffinity(0, sizeof(set), &set) != 0)
        CPU_SET(0, &set);
    return &set;
}

unsigned os_cores(void)
{
    return (unsigned)CPU_COUNT(allowed());
}

bool os_pin(unsigned core)
{
    unsigned left = core % os_cores();
    cpu_set_t one;

    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, allowed()) && left-- == 0) {
            CPU_SET(i, &one);
            break;
        }
    }
    return sched_setaffinity(0, sizeof(one), &one) == 0;
}

void os_yield(void)
{
    sched_yield();
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t os_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t os_thread_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* ------------------------------------------------------------------------------------ events -- */

xenpv_handle os_event_new(void)
{
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void os_event_free(xenpv_handle event)
{
    if (event != XENPV_NO_HANDLE)
        close((int)event);
}

void os_event_set(xenpv_handle event)
{
    eventfd_write((int)event, 1);
}

void os_event_clear(xenpv_handle event)
{
    eventfd_t count;

    eventfd_read((int)event, &count);
}

void os_event_wait(xenpv_handle event, unsigned ms)
{
    struct pollfd wait = {.fd = (int)event, .events = POLLIN};

    poll(&wait, 1, (int)ms);
}

/* ------------------------------------------------------------------------------- the machine -- */

/* The first line of a file, or what stands behind `name` and a colon in it. */
static bool read_line(const char *path, const char *name, char text[OS_TEXT_MAX])
{
    FILE *file = fopen(path, "re");
    char line[512];
    bool found = false;

    while (file && !found && fgets(line, sizeof(line), file)) {
        const char *value = line;

        line[strcspn(line, "\n")] = '\0';
        if (name[0]) {
            if (strncmp(line, name, strlen(name)) != 0 || !strchr(line, ':'))
                continue;
            value = strchr(line, ':') + 1;
            value += strspn(value, " \t");
        }
        snprintf(text, OS_TEXT_MAX, "%.*s", (int)OS_TEXT_MAX - 1, value);
        found = true;
    }
    if (file)
        fclose(file);
    return found;
}

void os_processor(char text[OS_TEXT_MAX])
{
    if (!read_line("/proc/cpuinfo", "model name", text) &&
        !read_line("/proc/cpuinfo", "Processor", text))
        snprintf(text, OS_TEXT_MAX, "unknown");
}

void os_system(char text[OS_TEXT_MAX])
{
    struct utsname name;

    if (uname(&name) != 0)
        snprintf(text, OS_TEXT_MAX, "unknown");
    else
        snprintf(text, OS_TEXT_MAX, "%.32s %.64s %.24s", name.sysname, name.release, name.machine);
}

void os_hypervisor(char text[OS_TEXT_MAX])
{
    char flags[4096] = "";
    FILE *file;

    if (read_line("/sys/hypervisor/type", "", text))
        return;
    snprintf(text, OS_TEXT_MAX, "unknown");
    file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return;
    while (fgets(flags, sizeof(flags), file) && strncmp(flags, "flags", 5) != 0)
        ;
    fclose(file);
    if (strncmp(flags, "flags", 5) == 0)
        snprintf(text, OS_TEXT_MAX, "%s",
                 strstr(flags, " hypervisor") ? "one that is not Xen" : "none");
}

/* ---------------------------------------------------------------------------------- commands -- */

FILE *os_pipe_open(const char *command)
{
    return popen(command, "we"); /* NOLINT(bugprone-command-processor,cert-env33-c) */
}

int os_pipe_close(FILE *input)
{
    int status = pclose(input);

    return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#else
typedef int os_thread_posix_unused;
#endif
