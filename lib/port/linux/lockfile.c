/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lockfile.h"

/* /run/lock is where Linux systems agree to look; some small ones have /run only. */
void xenpv_linux_lockfile_path(char path[LOCKFILE_PATH_MAX], const char *device)
{
    const char *dir = access("/run/lock", F_OK) == 0 ? "/run/lock" : "/run";

    snprintf(path, LOCKFILE_PATH_MAX, "%s/xenpv-%s.lock", dir, device);
}

/*
 * /run/lock may be writable by everyone. A file that another user prepared could name any process
 * as the holder, for us to end it.
 */
static bool trusted(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink <= 1 &&
           (status.st_uid == 0 || status.st_uid == geteuid()) &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool xenpv_linux_lockfile_is_there(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_nlink > 0;
}

int xenpv_linux_lockfile_open(const char *path, struct xenpv_linux_error *error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);

    if (fd < 0)
        return xenpv_linux_explain(error, XENPV_EACCES, "cannot open the lock %s: %s", path,
                                   strerror(errno));
    if (trusted(fd))
        return fd;
    close(fd);
    return xenpv_linux_explain(error, XENPV_EACCES,
                               "the lock %s is not a plain file of this user or root: remove it",
                               path);
}

static struct flock whole_file(short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

int xenpv_linux_lockfile_take(int fd)
{
    struct flock lock = whole_file(F_WRLCK);

    if (fcntl(fd, F_OFD_SETLK, &lock))
        return XENPV_EBUSY;
    /* A file without a number is only less informative. */
    if (ftruncate(fd, 0) == 0)
        dprintf(fd, "%ld\n", (long)getpid());
    return 0;
}

/* Whoever waits for this lock finds that the file is gone, and makes a new one. */
void xenpv_linux_lockfile_drop(int fd, const char *path)
{
    if (xenpv_linux_lockfile_is_there(fd))
        unlink(path); /* if it stays, it is as good as new: a number without a lock says nothing */
    close(fd);
}

bool xenpv_linux_lockfile_is_taken(int fd)
{
    struct flock lock = whole_file(F_WRLCK);

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

pid_t xenpv_linux_lockfile_pid(int fd)
{
    char text[16] = "";
    ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
    long pid = length > 0 ? strtol(text, NULL, 10) : 0;

    return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

/* True if descriptor `name` of the process has a write lock of the open-file kind. */
static bool has_write_lock(pid_t pid, const char *name)
{
    char path[64], line[128];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/fdinfo/%.10s", (long)pid, name);
    file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof(line), file))
        found = strncmp(line, "lock:", 5) == 0 && strstr(line, "OFDLCK") && strstr(line, "WRITE");
    fclose(file);
    return found;
}

/* A number in a file proves nothing: its process may be gone and the number somebody else's. */
bool xenpv_linux_lockfile_held_by(int fd, pid_t pid)
{
    struct stat ours, theirs;
    struct dirent *entry;
    char path[64];
    bool held = false;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
    dir = fstat(fd, &ours) == 0 ? opendir(path) : NULL;
    if (!dir)
        return false;
    while (!held && (entry = readdir(dir)) != NULL)
        held = fstatat(dirfd(dir), entry->d_name, &theirs, 0) == 0 &&
               theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino &&
               has_write_lock(pid, entry->d_name);
    closedir(dir);
    return held;
}
