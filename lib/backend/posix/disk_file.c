/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/fs.h>
#endif

#include <xenpv/harness/disk.h>

struct file_disk {
    struct xenpv_allocator allocator;
    int fd;
    bool lost; /* a flush has failed */
};

static int read_file(void *ctx, uint64_t offset, void *to, uint32_t length)
{
    int fd = ((struct file_disk *)ctx)->fd;
    uint8_t *at = to;

    while (length) {
        ssize_t got = pread(fd, at, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        /* The end of the file is an error, too: it has shrunk since it was opened. */
        if (got <= 0)
            return XENPV_EIO;
        at += got;
        offset += (uint64_t)got;
        length -= (uint32_t)got;
    }
    return XENPV_OK;
}

static int write_file(void *ctx, uint64_t offset, const void *from, uint32_t length)
{
    int fd = ((struct file_disk *)ctx)->fd;
    const uint8_t *at = from;

    while (length) {
        ssize_t put = pwrite(fd, at, length, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return XENPV_EIO;
        at += put;
        offset += (uint64_t)put;
        length -= (uint32_t)put;
    }
    return XENPV_OK;
}

static int flush_file(void *ctx)
{
    struct file_disk *disk = ctx;
    int failed;

    do
        failed = fdatasync(disk->fd);
    while (failed && errno == EINTR);
    /* Linux tells once of what it could not write back, and drops it: a later flush that ends well
       says nothing of what was written before. */
    disk->lost |= failed != 0;
    return disk->lost ? XENPV_EIO : XENPV_OK;
}

#ifdef __linux__
static bool punch(int fd, uint64_t offset, uint64_t length)
{
    int done;

    do
        done =
            fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
    while (done && errno == EINTR);
    return done == 0;
}

static int discard_file(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    (void)secure; /* it is not offered */
    return punch(((struct file_disk *)ctx)->fd, offset, length) ? XENPV_OK : XENPV_EIO;
}

static int discard_device(void *ctx, uint64_t offset, uint64_t length, bool secure)
{
    uint64_t range[2] = {offset, length};

    (void)secure;
    if (ioctl(((struct file_disk *)ctx)->fd, BLKDISCARD, range) == 0)
        return XENPV_OK;
    return errno == EOPNOTSUPP ? XENPV_ENOTSUP : XENPV_EIO;
}

/* Whether holes can be punched is learned behind the end, where there is nothing to lose. */
static void offer_discard(int fd, struct xenpv_disk *disk)
{
    struct stat status;

    if (disk->readonly || fstat(fd, &status))
        return;
    if (S_ISBLK(status.st_mode))
        disk->discard = discard_device;
    else if (punch(fd, disk->bytes, 1))
        disk->discard = discard_file;
    if (S_ISREG(status.st_mode) && status.st_blksize >= 512 &&
        (status.st_blksize & (status.st_blksize - 1)) == 0)
        disk->discard_granularity = (uint32_t)status.st_blksize;
}
#else
static void offer_discard(int fd, struct xenpv_disk *disk)
{
    (void)fd;
    (void)disk;
}
#endif

static void close_file(void *ctx)
{
    struct file_disk *disk = ctx;

    close(disk->fd);
    disk->allocator.free(disk->allocator.ctx, disk);
}

/* Bytes of a file or block device, or XENPV_EINVAL. */
static int64_t size_of(int fd)
{
    struct stat status;
    off_t end;

    if (fstat(fd, &status) || !(S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)))
        return XENPV_EINVAL;
    end = lseek(fd, 0, SEEK_END);
    return end > 0 && end % 512 == 0 ? end : XENPV_EINVAL;
}

static int open_error(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return XENPV_ENOENT;
    case EISDIR:
        return XENPV_EINVAL;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return XENPV_ENOMEM;
    default:
        return XENPV_EACCES;
    }
}

int xenpv_disk_file(const struct xenpv_allocator *allocator, const char *path, bool readonly,
                    struct xenpv_disk *out)
{
    int fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    struct file_disk *disk;
    int64_t bytes;

    if (fd < 0)
        return open_error();
    bytes = size_of(fd);
    disk = bytes > 0 ? allocator->alloc(allocator->ctx, sizeof(*disk), sizeof(void *)) : NULL;
    if (!disk) {
        close(fd);
        return bytes > 0 ? XENPV_ENOMEM : XENPV_EINVAL;
    }
    *disk = (struct file_disk){.allocator = *allocator, .fd = fd};
    *out = (struct xenpv_disk){.ctx = disk,
                               .bytes = (uint64_t)bytes,
                               .sector_size = 512,
                               .readonly = readonly,
                               .barrier = true,
                               .read = read_file,
                               .write = write_file,
                               .flush = flush_file,
                               .close = close_file};
    offer_discard(fd, out);
    return XENPV_OK;
}
