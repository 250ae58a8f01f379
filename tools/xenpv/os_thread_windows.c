/* SPDX-License-Identifier: MIT */
#ifdef _WIN32
#include "os_thread.h"

#include <stdlib.h>
#include <windows.h>

struct os_thread {
    HANDLE thread;
    void (*run)(void *ctx);
    void *ctx;
};

static DWORD WINAPI run_thread(void *ctx)
{
    struct os_thread *thread = ctx;

    thread->run(thread->ctx);
    return 0;
}

struct os_thread *os_thread_start(void (*run)(void *ctx), void *ctx)
{
    struct os_thread *thread = malloc(sizeof(*thread));

    if (!thread)
        return NULL;
    *thread = (struct os_thread){.run = run, .ctx = ctx};
    thread->thread = CreateThread(NULL, 0, run_thread, thread, 0, NULL);
    if (!thread->thread) {
        free(thread);
        return NULL;
    }
    return thread;
}

void os_thread_join(struct os_thread *thread)
{
    WaitForSingleObject(thread->thread, INFINITE);
    CloseHandle(thread->thread);
    free(thread);
}

struct os_mutex {
    SRWLOCK lock;
};

struct os_mutex *os_mutex_new(void)
{
    struct os_mutex *mutex = malloc(sizeof(*mutex));

    if (mutex)
        InitializeSRWLock(&mutex->lock);
    return mutex;
}

void os_mutex_free(struct os_mutex *mutex)
{
    free(mutex);
}

void os_mutex_lock(struct os_mutex *mutex)
{
    AcquireSRWLockExclusive(&mutex->lock);
}

void os_mutex_unlock(struct os_mutex *mutex)
{
    ReleaseSRWLockExclusive(&mutex->lock);
}

/* ------------------------------------------------------------------------------------- cores -- */

static DWORD_PTR allowed(void)
{
    DWORD_PTR process = 1, system = 1;

    GetProcessAffinityMask(GetCurrentProcess(), &process, &system);
    return process ? process : 1;
}

unsigned os_cores(void)
{
    unsigned count = 0;

    for (DWORD_PTR left = allowed(); left; left &= left - 1)
        count++;
    return count;
}

bool os_pin(unsigned core)
{
    DWORD_PTR left = allowed();

    for (unsigned i = core % os_cores(); i; i--)
        left &= left - 1;
    return SetThreadAffinityMask(GetCurrentThread(), left & (~left + 1)) != 0;
}

void os_yield(void)
{
    SwitchToThread();
}

uint64_t os_now_ns(void)
{
    static LARGE_INTEGER frequency;
    LARGE_INTEGER now;

    if (frequency.QuadPart == 0)
        QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&now);
    return (uint64_t)(now.QuadPart / frequency.QuadPart) * 1000000000 +
           (uint64_t)(now.QuadPart % frequency.QuadPart) * 1000000000 /
               (uint64_t)frequency.QuadPart;
}

/* What the system tells of it is counted in steps of 15 ms, too coarse to be of use. */
uint64_t os_thread_ns(void)
{
    return os_now_ns();
}

/* ------------------------------------------------------------------------------------ events -- */

xenpv_handle os_event_new(void)
{
    HANDLE event = CreateEventA(NULL, TRUE, FALSE, NULL);

    return event ? (xenpv_handle)event : XENPV_NO_HANDLE;
}

void os_event_free(xenpv_handle event)
{
    if (event != XENPV_NO_HANDLE)
        CloseHandle((HANDLE)event);
}

void os_event_set(xenpv_handle event)
{
    SetEvent((HANDLE)event);
}

void os_event_clear(xenpv_handle event)
{
    ResetEvent((HANDLE)event);
}

void os_event_wait(xenpv_handle event, unsigned ms)
{
    WaitForSingleObject((HANDLE)event, ms);
}

/* ------------------------------------------------------------------------------- the machine -- */

static void read_registry(const char *key, const char *name, char text[OS_TEXT_MAX])
{
    DWORD bytes = OS_TEXT_MAX;

    if (RegGetValueA(HKEY_LOCAL_MACHINE, key, name, RRF_RT_REG_SZ, NULL, text, &bytes) != 0)
        snprintf(text, OS_TEXT_MAX, "unknown");
}

void os_processor(char text[OS_TEXT_MAX])
{
    read_registry("HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0", "ProcessorNameString",
                  text);
}

void os_system(char text[OS_TEXT_MAX])
{
    char build[OS_TEXT_MAX];

    read_registry("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", "CurrentBuild", build);
    snprintf(text, OS_TEXT_MAX, "Windows, build %.32s", build);
}

void os_hypervisor(char text[OS_TEXT_MAX])
{
    snprintf(text, OS_TEXT_MAX, "unknown");
}

/* ---------------------------------------------------------------------------------- commands -- */

FILE *os_pipe_open(const char *command)
{
    return _popen(command, "wt");
}

/* The shell's own answer for a program that it does not find is 1 or 9009. */
int os_pipe_close(FILE *input)
{
    int status = _pclose(input);

    return status == 9009 ? 127 : status;
}

#else
typedef int os_thread_windows_unused;
#endif
