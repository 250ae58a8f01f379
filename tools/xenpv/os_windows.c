/* SPDX-License-Identifier: MIT */
/* Windows has only the mock here, so nothing is ever waited for but files and pipes, and their
 * calls may block. */
#ifdef _WIN32
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <windows.h>

static volatile sig_atomic_t stop_signal;

static void on_stop(int number)
{
    stop_signal = number; /* the C library has restored the default */
}

void os_setup(void)
{
    for (int fd = OS_STDIN; fd <= OS_STDERR; fd++)
        _setmode(fd, _O_BINARY);
    signal(SIGINT, on_stop);
    signal(SIGTERM, on_stop);
}

int os_stop_signal(void)
{
    return stop_signal;
}

uint32_t os_process(void)
{
    return GetCurrentProcessId();
}

void os_stop_obeyed(void)
{
    stop_signal = 0;
}

uint64_t os_now(void)
{
    return GetTickCount64();
}

void *os_alloc(size_t bytes, size_t align)
{
    return _aligned_malloc(bytes, align);
}

void os_free(void *memory)
{
    _aligned_free(memory);
}

void os_wait(const struct os_wait *waits, unsigned count, uint64_t ms)
{
    (void)waits;
    (void)count;
    (void)ms;
}

int os_open_input(const char *path)
{
    return _open(path, _O_RDONLY | _O_BINARY);
}

static bool identify(const char *path, BY_HANDLE_FILE_INFORMATION *info)
{
    HANDLE file = CreateFileA(path, 0, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    bool known = file != INVALID_HANDLE_VALUE && GetFileInformationByHandle(file, info);

    if (file != INVALID_HANDLE_VALUE)
        CloseHandle(file);
    return known;
}

bool os_same_file(const char *a, const char *b)
{
    BY_HANDLE_FILE_INFORMATION one, other;

    return identify(a, &one) && identify(b, &other) &&
           one.dwVolumeSerialNumber == other.dwVolumeSerialNumber &&
           one.nFileIndexHigh == other.nFileIndexHigh && one.nFileIndexLow == other.nFileIndexLow;
}

int os_open_output(const char *path, bool keep)
{
    return _open(path, _O_WRONLY | _O_CREAT | (keep ? 0 : _O_TRUNC) | _O_BINARY,
                 _S_IREAD | _S_IWRITE);
}

int os_close(int fd)
{
    return _close(fd);
}

bool os_size(int fd, uint64_t *bytes)
{
    struct _stat64 about;
    int64_t here;

    if (_fstat64(fd, &about) != 0 || (about.st_mode & _S_IFMT) != _S_IFREG)
        return false;
    here = _telli64(fd);
    *bytes = about.st_size > here ? (uint64_t)(about.st_size - here) : 0;
    return true;
}

int os_skip(int fd, uint64_t bytes)
{
    if (bytes > INT64_MAX) {
        errno = EFBIG;
        return -1;
    }
    return _lseeki64(fd, (int64_t)bytes, SEEK_CUR) < 0 ? -1 : 0;
}

/* NTFS would write the zeroes itself. */
bool os_skips_zeroes(int fd)
{
    (void)fd;
    return false;
}

int os_end(int fd)
{
    (void)fd;
    return 0;
}

ptrdiff_t os_read(int fd, void *to, size_t bytes)
{
    return _read(fd, to, (unsigned)bytes);
}

/* The C library says EINVAL where nobody reads a pipe any more. */
ptrdiff_t os_write(int fd, const void *from, size_t bytes)
{
    ptrdiff_t done = _write(fd, from, (unsigned)bytes);

    if (done < 0 && errno == EINVAL && _doserrno == ERROR_NO_DATA)
        errno = EPIPE;
    return done;
}

bool os_is_terminal(int fd)
{
    return _isatty(fd) != 0;
}

void os_describe(const char *path, char text[48])
{
    struct _stat64 about;

    if (_stat64(path, &about) != 0)
        snprintf(text, 48, "not there");
    else if ((about.st_mode & _S_IFMT) == _S_IFDIR)
        snprintf(text, 48, "a directory");
    else
        snprintf(text, 48, "a file of %lld bytes", (long long)about.st_size);
}

#else
typedef int os_windows_unused;
#endif
