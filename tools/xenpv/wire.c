/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "complain.h"
#include "os.h"

#ifndef _WIN32
#include <errno.h>
#include <string.h>

static void *on_alloc(void *ctx, size_t bytes, size_t align)
{
    (void)ctx;
    return os_alloc(bytes, align);
}

static void on_free(void *ctx, void *memory)
{
    (void)ctx;
    os_free(memory);
}

static const struct xenpv_allocator allocator = {.alloc = on_alloc, .free = on_free};

static int complain_of_file(const char *what, const char *path, int error)
{
    static const struct {
        int error;
        const char *text;
    } texts[] = {
        {XENPV_ENOENT, "there is no such file or directory"},
        {XENPV_EINVAL, "it is no pcap file of Ethernet frames"},
        {XENPV_ENOTSUP, "this xenpv is built without libpcap"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].error == error)
            return complain(STATUS_ENVIRONMENT, "%s%s: %s", what, path, texts[i].text);
    return complain(STATUS_ENVIRONMENT, "%s%s: cannot open it: %s", what, path,
                    error == XENPV_EACCES ? strerror(errno) : xenpv_error_text(error));
}

int wire_open_replay(const char *what, const char *path, struct xenpv_link *link)
{
    int rc = xenpv_link_replay(&allocator, path, link);

    return rc ? complain_of_file(what, path, rc) : STATUS_DONE;
}

int wire_judge_replay(const char *what, const char *path, const struct xenpv_link *link)
{
    if (!xenpv_link_replay_omitted(link).broken)
        return STATUS_DONE;
    return complain(STATUS_ENVIRONMENT,
                    "%s%s: it breaks off, or is damaged: some of it is no frame", what, path);
}

uint64_t wire_left_out(const struct xenpv_link *link)
{
    return xenpv_link_replay_omitted(link).frames;
}

int wire_open_capture(const char *what, const char *path, const struct xenpv_link *inner,
                      struct xenpv_link *link)
{
    int rc = xenpv_link_capture(&allocator, path, inner, link);

    return rc ? complain_of_file(what, path, rc) : STATUS_DONE;
}

bool wire_capture_failed(const struct xenpv_link *link)
{
    return xenpv_link_capture_failed(link);
}

int wire_open_tap(const char *name, struct xenpv_link *link)
{
    int rc = xenpv_link_tap(&allocator, name, link);

    switch (rc) {
    case 0:
        return STATUS_DONE;
    case XENPV_EINVAL:
        return complain(STATUS_USAGE,
                        "--name %s: it is no name of 1 to 15 bytes without blanks, '/' and ':', "
                        "or that of a network device that is no TAP of one queue",
                        name);
    case XENPV_EACCES:
        return complain(STATUS_ENVIRONMENT, "%s: no permission to make a TAP device; run as root",
                        name);
    case XENPV_ENOENT:
        return complain(STATUS_ENVIRONMENT,
                        "%s: there is no /dev/net/tun here; 'modprobe tun' may bring it", name);
    case XENPV_EBUSY:
        return complain(STATUS_ENVIRONMENT, "%s: this network device is in use", name);
    case XENPV_ENOTSUP:
        return complain(STATUS_ENVIRONMENT, "there are TAP devices on Linux only");
    default:
        return complain(STATUS_ENVIRONMENT, "%s: cannot make a TAP device: %s", name,
                        xenpv_error_text(rc));
    }
}

#else

int wire_open_replay(const char *what, const char *path, struct xenpv_link *link)
{
    (void)link;
    return complain(STATUS_ENVIRONMENT, "%s%s: there are no pcap files on Windows", what, path);
}

int wire_judge_replay(const char *what, const char *path, const struct xenpv_link *link)
{
    (void)what;
    (void)path;
    (void)link;
    return STATUS_DONE;
}

uint64_t wire_left_out(const struct xenpv_link *link)
{
    (void)link;
    return 0;
}

int wire_open_capture(const char *what, const char *path, const struct xenpv_link *inner,
                      struct xenpv_link *link)
{
    (void)inner;
    return wire_open_replay(what, path, link);
}

bool wire_capture_failed(const struct xenpv_link *link)
{
    (void)link;
    return false;
}

int wire_open_tap(const char *name, struct xenpv_link *link)
{
    (void)name;
    (void)link;
    return complain(STATUS_ENVIRONMENT, "there are TAP devices on Linux only");
}

#endif
