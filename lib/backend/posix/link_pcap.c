/* SPDX-License-Identifier: MIT */
/* Frames from and to the files that tcpdump and Wireshark read. */
#include <xenpv/harness/link.h>

#ifdef XENPV_PCAP
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Opened anew by its name, a pipe that nobody reads any more would make us wait for a reader. */
static FILE *open_standard_output(void)
{
    int fd = dup(STDOUT_FILENO);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");

    if (fd >= 0 && !file)
        close(fd);
    return file;
}

static int open_file(const char *path, const char *mode, FILE **file)
{
    *file = mode[0] == 'w' && strcmp(path, "-") == 0 ? open_standard_output() : fopen(path, mode);
    if (*file)
        return XENPV_OK;
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return XENPV_ENOENT;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return XENPV_ENOMEM;
    default:
        return XENPV_EACCES;
    }
}

/* ---- replay ---------------------------------------------------------------------------------- */

struct replay {
    struct xenpv_allocator allocator;
    pcap_t *pcap;
    struct xenpv_link_omission omitted;
};

static int drop(void *ctx, const struct xenpv_link_frame *frame)
{
    (void)ctx;
    (void)frame;
    return XENPV_OK;
}

static bool is_whole(const struct pcap_pkthdr *header)
{
    return header->caplen >= header->len && header->len >= 14 &&
           header->len <= XENPV_LINK_FRAME_MAX;
}

static int replay_next(void *ctx, struct xenpv_link_frame *frame)
{
    struct replay *replay = ctx;
    struct pcap_pkthdr *header;
    const u_char *data;

    for (;;) {
        int rc = pcap_next_ex(replay->pcap, &header, &data);

        if (rc != 1) {
            replay->omitted.broken |= rc == PCAP_ERROR;
            return XENPV_ENOENT;
        }
        if (is_whole(header))
            break;
        replay->omitted.frames++;
    }
    memcpy(frame->data, data, header->len);
    frame->bytes = header->len;
    return XENPV_OK;
}

static void close_replay(void *ctx)
{
    struct replay *replay = ctx;

    pcap_close(replay->pcap);
    replay->allocator.free(replay->allocator.ctx, replay);
}

int xenpv_link_replay(const struct xenpv_allocator *allocator, const char *path,
                      struct xenpv_link *link)
{
    char message[PCAP_ERRBUF_SIZE];
    struct replay *replay;
    pcap_t *pcap;
    FILE *file;
    int error = open_file(path, "rb", &file);

    if (error)
        return error;
    pcap = pcap_fopen_offline(file, message);
    if (!pcap) {
        fclose(file);
        return XENPV_EINVAL;
    }
    replay = pcap_datalink(pcap) == DLT_EN10MB
                 ? allocator->alloc(allocator->ctx, sizeof(*replay), sizeof(void *))
                 : NULL;
    if (!replay) {
        error = pcap_datalink(pcap) == DLT_EN10MB ? XENPV_ENOMEM : XENPV_EINVAL;
        pcap_close(pcap);
        return error;
    }
    *replay = (struct replay){.allocator = *allocator, .pcap = pcap};
    *link = (struct xenpv_link){
        .ctx = replay, .send = drop, .receive = replay_next, .close = close_replay};
    return XENPV_OK;
}

struct xenpv_link_omission xenpv_link_replay_omitted(const struct xenpv_link *link)
{
    return ((const struct replay *)link->ctx)->omitted;
}

/* ---- capture --------------------------------------------------------------------------------- */

struct capture {
    struct xenpv_allocator allocator;
    struct xenpv_link inner;
    pcap_t *pcap;
    pcap_dumper_t *dumper;
    bool failed;
};

static void write_frame(struct capture *capture, const struct xenpv_link_frame *frame)
{
    struct pcap_pkthdr header = {.caplen = frame->bytes, .len = frame->bytes};
    struct timespec now;

    if (capture->failed)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    header.ts.tv_sec = now.tv_sec;
    header.ts.tv_usec = now.tv_nsec / 1000;
    /* A frame whose bytes are not moved has none to be written. */
    header.caplen = frame->data ? header.caplen : 0;
    pcap_dump((u_char *)capture->dumper, &header, frame->data);
    /* Who reads the file meanwhile sees whole frames, and nothing is lost in a crash. */
    capture->failed =
        pcap_dump_flush(capture->dumper) != 0 || ferror(pcap_dump_file(capture->dumper));
}

/* Only what the inner link has taken was on it. */
static int capture_send(void *ctx, const struct xenpv_link_frame *frame)
{
    struct capture *capture = ctx;
    int error = capture->inner.send ? capture->inner.send(capture->inner.ctx, frame) : XENPV_OK;

    if (!error)
        write_frame(capture, frame);
    return error;
}

static int capture_receive(void *ctx, struct xenpv_link_frame *frame)
{
    struct capture *capture = ctx;
    int error = capture->inner.receive(capture->inner.ctx, frame);

    if (!error)
        write_frame(capture, frame);
    return error;
}

static bool capture_carrier(void *ctx)
{
    const struct capture *capture = ctx;

    return capture->inner.carrier(capture->inner.ctx);
}

static xenpv_handle capture_handle(void *ctx)
{
    const struct capture *capture = ctx;

    return capture->inner.wait_handle(capture->inner.ctx);
}

static void close_capture(void *ctx)
{
    struct capture *capture = ctx;

    pcap_dump_close(capture->dumper);
    pcap_close(capture->pcap);
    capture->inner.close(capture->inner.ctx);
    capture->allocator.free(capture->allocator.ctx, capture);
}

static int open_capture(const char *path, struct capture *capture)
{
    FILE *file;
    int error = open_file(path, "wb", &file);

    if (error)
        return error;
    capture->pcap = pcap_open_dead(DLT_EN10MB, XENPV_LINK_FRAME_MAX);
    capture->dumper = capture->pcap ? pcap_dump_fopen(capture->pcap, file) : NULL;
    if (capture->dumper)
        return XENPV_OK;
    fclose(file);
    if (capture->pcap)
        pcap_close(capture->pcap);
    return XENPV_ENOMEM;
}

int xenpv_link_capture(const struct xenpv_allocator *allocator, const char *path,
                       const struct xenpv_link *inner, struct xenpv_link *link)
{
    struct capture *capture = allocator->alloc(allocator->ctx, sizeof(*capture), sizeof(void *));
    int error;

    if (!capture)
        return XENPV_ENOMEM;
    *capture = (struct capture){.allocator = *allocator, .inner = *inner};
    error = open_capture(path, capture);
    if (error) {
        allocator->free(allocator->ctx, capture);
        return error;
    }
    *link = (struct xenpv_link){.ctx = capture,
                                .takes = inner->takes,
                                .send = capture_send,
                                .receive = inner->receive ? capture_receive : NULL,
                                .carrier = inner->carrier ? capture_carrier : NULL,
                                .wait_handle = inner->wait_handle ? capture_handle : NULL,
                                .close = close_capture};
    return XENPV_OK;
}

bool xenpv_link_capture_failed(const struct xenpv_link *link)
{
    return ((const struct capture *)link->ctx)->failed;
}
#else
int xenpv_link_replay(const struct xenpv_allocator *allocator, const char *path,
                      struct xenpv_link *link)
{
    (void)allocator;
    (void)path;
    (void)link;
    return XENPV_ENOTSUP;
}

struct xenpv_link_omission xenpv_link_replay_omitted(const struct xenpv_link *link)
{
    (void)link;
    return (struct xenpv_link_omission){0};
}

int xenpv_link_capture(const struct xenpv_allocator *allocator, const char *path,
                       const struct xenpv_link *inner, struct xenpv_link *link)
{
    (void)allocator;
    (void)path;
    (void)inner;
    (void)link;
    return XENPV_ENOTSUP;
}

bool xenpv_link_capture_failed(const struct xenpv_link *link)
{
    (void)link;
    return false;
}
#endif
