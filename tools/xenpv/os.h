/* SPDX-License-Identifier: MIT */
/* What the command line needs of the operating system; one .c file for each. */
#ifndef XENPV_OS_H
#define XENPV_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenpv/port.h>

/* Standard streams carry bytes, a closed pipe is an error of write, and the first signal that asks
 * us to end is remembered; the next one ends the process at once. */
void os_setup(void);

/* The signal that asks us to end, or 0. */
int os_stop_signal(void);

/* It was what this program ends by: os_stop_signal() is 0 from here on. */
void os_stop_obeyed(void);

/* Milliseconds of a real clock that never goes back. */
uint64_t os_now(void);

/* Tells this process from the others that run now. */
uint32_t os_process(void);

/* Memory at a multiple of `align`, a power of two; NULL when there is none. */
void *os_alloc(size_t bytes, size_t align);
void os_free(void *memory);

/* A descriptor to wait for: until it can be read, or written. XENPV_NO_HANDLE is passed over. */
struct os_wait {
    xenpv_handle handle;
    bool writing;
};
#define OS_WAITS_MAX 132u /* two disks of 64 queues, the store, a stream */

/*
 * Until one is ready, a signal asks us to end, or `ms` have passed (UINT64_MAX: for ever). A signal
 * ends one wait of each thread, also one that begins after it.
 */
void os_wait(const struct os_wait *waits, unsigned count, uint64_t ms);

/* ------------------------------------------------------------------------------------- files -- */

#define OS_STDIN  0
#define OS_STDOUT 1
#define OS_STDERR 2

/* A descriptor, or -1 with errno set; a directory is EISDIR. */
int os_open_input(const char *path);
/* Created, or cut to nothing; with `keep` what it holds stays. */
int os_open_output(const char *path, bool keep);
/* Both paths lead to the same file, which is there. */
bool os_same_file(const char *a, const char *b);
/* 0, or -1 with errno set: what was written may be lost. */
int os_close(int fd);

/* True, and the bytes from here to its end, where that is known: a file of some size, a block
 * device. */
bool os_size(int fd, uint64_t *bytes);

/* Moves on by so many bytes without reading or writing them; -1 with errno set, as for a pipe. */
int os_skip(int fd, uint64_t bytes);
/* What is skipped in writing takes no room on the disk and reads as zeroes: a file, just made. */
bool os_skips_zeroes(int fd);
/* The file ends here: what was skipped last is part of it. -1 with errno set. */
int os_end(int fd);

/* As read(2) and write(2), but they do not wait: -1 with EAGAIN where they would have to for the
 * first byte. */
ptrdiff_t os_read(int fd, void *to, size_t bytes);
ptrdiff_t os_write(int fd, const void *from, size_t bytes);

bool os_is_terminal(int fd);

/* What stands at a path, for an error line: "a directory", "100 bytes". */
void os_describe(const char *path, char text[48]);

#endif
