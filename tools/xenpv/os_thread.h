/* SPDX-License-Identifier: MIT */
/*
 * Threads, cores, a fine clock and what there is to say of the machine: what measuring needs of the
 * operating system; one .c file for each. None of it changes what the calls of os.h do.
 */
#ifndef XENPV_OS_THREAD_H
#define XENPV_OS_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <xenpv/port.h>

struct os_thread;

/* Runs `run` in a thread of its own; NULL when there is none to be had. */
struct os_thread *os_thread_start(void (*run)(void *ctx), void *ctx);
/* Waits for its end, and frees it. */
void os_thread_join(struct os_thread *thread);

struct os_mutex;

/* NULL when there is no memory. */
struct os_mutex *os_mutex_new(void);
void os_mutex_free(struct os_mutex *mutex);
void os_mutex_lock(struct os_mutex *mutex);
void os_mutex_unlock(struct os_mutex *mutex);

/* Cores that this process may run on; 1 or more. */
unsigned os_cores(void);

/* Keeps the calling thread on the core of that number, counted round and round. False: it cannot be
 * kept anywhere. */
bool os_pin(unsigned core);

/* Lets other threads of this core run. */
void os_yield(void);

/* Nanoseconds of a clock that never goes back; not the one of os_now. */
uint64_t os_now_ns(void);

/* Of these, how many the calling thread has been running for, in its life; as os_now_ns where that
 * is not known. */
uint64_t os_thread_ns(void);

/* Something to wait for that stays signalled until it is cleared. XENPV_NO_HANDLE: there is none to
 * be had. Any thread. */
xenpv_handle os_event_new(void);
void os_event_free(xenpv_handle event);
void os_event_set(xenpv_handle event);
void os_event_clear(xenpv_handle event);
/* Until it, or any other handle of a port, is signalled, or `ms` have passed. */
void os_event_wait(xenpv_handle event, unsigned ms);

#define OS_TEXT_MAX 128u
/* The model of the processor; the operating system and its version; the hypervisor below, "none"
 * where it shows none. "unknown" where nothing tells. */
void os_processor(char text[OS_TEXT_MAX]);
void os_system(char text[OS_TEXT_MAX]);
void os_hypervisor(char text[OS_TEXT_MAX]);

#ifdef _WIN32
#define OS_NULL_DEVICE "NUL"
#else
#define OS_NULL_DEVICE "/dev/null"
#endif
/* Starts a command line of the shell, to write its standard input; NULL when that fails. */
FILE *os_pipe_open(const char *command);
/* Waits for its end: its exit status; 127: there is no such program; 128: it was killed. */
int os_pipe_close(FILE *input);

#endif
