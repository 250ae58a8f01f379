/* SPDX-License-Identifier: MIT */
#include <windows.h>

#include <xenpv/harness/disk.h>

struct file_disk {
    struct xenpv_allocator allocator;
    HANDLE handle;
};

static OVERLAPPED at_offset(uint64_t offset)
{
    OVERLAPPED at = {0};

    at.Offset = (DWORD)offset;
    at.OffsetHigh = (DWORD)(offset >> 32);
    return at;
}

static int read_file(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    OVERLAPPED at = at_offset(offset);
    DWORD done;

    return ReadFile(((struct file_disk *)ctx)->handle, to, length, &done, &at) && done == length
               ? XENPV_OK
               : XENPV_EIO;
}

static int write_file(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    OVERLAPPED at = at_offset(offset);
    DWORD done;

    return WriteFile(((struct file_disk *)ctx)->handle, from, length, &done, &at) && done == length
               ? XENPV_OK
               : XENPV_EIO;
}

static int flush_file(void *ctx)
{
    return FlushFileBuffers(((struct file_disk *)ctx)->handle) ? XENPV_OK : XENPV_EIO;
}

static void close_file(void *ctx)
{
    struct file_disk *disk = ctx;

    CloseHandle(disk->handle);
    disk->allocator.free(disk->allocator.ctx, disk);
}

static int open_error(void)
{
    DWORD error = GetLastError();

    return error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND ? XENPV_ENOENT
                                                                          : XENPV_EACCES;
}

int xenpv_disk_file(const struct xenpv_allocator *allocator, const char *path, bool readonly,
                    struct xenpv_disk *out)
{
    HANDLE handle = CreateFileA(path, readonly ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE,
                                FILE_SHARE_READ, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    struct file_disk *disk = NULL;
    LARGE_INTEGER size;
    bool good;

    if (handle == INVALID_HANDLE_VALUE)
        return open_error();
    good = GetFileSizeEx(handle, &size) && size.QuadPart > 0 && size.QuadPart % 512 == 0;
    if (good)
        disk = allocator->alloc(allocator->ctx, sizeof(*disk), sizeof(void *));
    if (!disk) {
        CloseHandle(handle);
        return good ? XENPV_ENOMEM : XENPV_EINVAL;
    }
    *disk = (struct file_disk){*allocator, handle};
    *out = (struct xenpv_disk){.ctx = disk,
                               .bytes = (uint64_t)size.QuadPart,
                               .sector_size = 512,
                               .readonly = readonly,
                               .barrier = true,
                               .read = read_file,
                               .write = write_file,
                               .flush = flush_file,
                               .close = close_file};
    return XENPV_OK;
}
