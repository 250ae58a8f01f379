/* SPDX-License-Identifier: MIT */
/*
 * Private to claim.c and lockfile.c: a file whose lock stands for a device and whose text is the
 * holder's process number. The locks belong to open files (fcntl(2), "open file description
 * locks"): they can be asked about without being taken, and two claims of one process exclude each
 * other.
 */
#ifndef XENPV_PORT_LINUX_LOCKFILE_H
#define XENPV_PORT_LINUX_LOCKFILE_H

#include <sys/types.h>

#include "linux.h"

#define LOCKFILE_PATH_MAX 96

/* The file of a device, e.g. "vbd-51712". */
void xenpv_linux_lockfile_path(char path[LOCKFILE_PATH_MAX], const char *device);

/* A descriptor, or an error: XENPV_EACCES if the file cannot be opened or is not to be trusted. */
int xenpv_linux_lockfile_open(const char *path, struct xenpv_linux_error *error);

/* 0, and our process number stands in the file; or XENPV_EBUSY. */
int xenpv_linux_lockfile_take(int fd);
/* Removes the file, and ends the lock. */
void xenpv_linux_lockfile_drop(int fd, const char *path);

/* False once the file has been removed: then a lock on it excludes nobody, and is to be dropped. */
bool xenpv_linux_lockfile_is_there(int fd);

bool xenpv_linux_lockfile_is_taken(int fd);

/* The process number in the file, or 0. It counts only while the lock is taken, see below. */
pid_t xenpv_linux_lockfile_pid(int fd);

/* True if the process really holds the lock, as far as /proc lets us see. */
bool xenpv_linux_lockfile_held_by(int fd, pid_t pid);

#endif
