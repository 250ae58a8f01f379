/* SPDX-License-Identifier: MIT */
#include "pump.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

enum { OUT_ENOUGH = 128 << 10, LINK_CHUNK = 64 << 10 };

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void pump_source(struct pump *p, unsigned stream, int fd)
{
    close_end(&p->source[stream].fd);
    p->source[stream] = (struct source){.fd = fd, .credit = WINDOW};
}

void pump_sink(struct pump *p, unsigned stream, int fd)
{
    struct sink *s = &p->sink[stream];

    close_end(&s->fd);
    bytes_free(&s->queue);
    *s = (struct sink){.fd = fd};
}

void pump_reset(struct pump *p)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        pump_source(p, i, -1);
        pump_sink(p, i, -1);
    }
}

bool pump_draining(const struct pump *p)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        if (bytes_length(&p->sink[i].queue) > 0)
            return true;
    }
    return false;
}

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) > 0;
}

static void source_end(struct pump *p, unsigned stream)
{
    close_end(&p->source[stream].fd);
    frame_append(&p->out, FRAME_END, stream, NULL, 0);
}

static bool source_wants(const struct pump *p, unsigned stream)
{
    const struct source *s = &p->source[stream];

    return s->fd >= 0 && s->credit > 0 && bytes_length(&p->out) < OUT_ENOUGH;
}

static void source_run(struct pump *p, unsigned stream)
{
    struct source *s = &p->source[stream];
    uint8_t data[DATA_MAX];
    ssize_t n;

    while (source_wants(p, stream)) {
        if (!readable(s->fd)) {
            if (s->last_call)
                source_end(p, stream);
            return;
        }
        n = read(s->fd, data, s->credit < sizeof(data) ? s->credit : sizeof(data));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            source_end(p, stream);
            return;
        }
        s->credit -= (uint32_t)n;
        frame_append(&p->out, FRAME_DATA, stream, data, (size_t)n);
    }
}

static void sink_credit(struct pump *p, unsigned stream, uint32_t freed)
{
    struct sink *s = &p->sink[stream];

    s->owed += freed;
    if (s->owed < WINDOW / 4 || s->ended)
        return;
    frame_append32(&p->out, FRAME_CREDIT, stream, s->owed);
    s->owed = 0;
}

/* At most PIPE_BUF bytes to a descriptor that polls writable: the one write that a pipe promises
 * not to block on, without O_NONBLOCK, which others who hold the same pipe or terminal would see.
 */
static ssize_t write_some(int fd, const uint8_t *data, size_t size)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

    if (poll(&poll_fd, 1, 0) <= 0)
        return 0;
    ssize_t n = write(fd, data, size < PIPE_BUF ? size : PIPE_BUF);
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static void sink_run(struct pump *p, unsigned stream)
{
    struct sink *s = &p->sink[stream];

    while (bytes_length(&s->queue) > 0) {
        ssize_t n = write_some(s->fd, s->queue.base + s->queue.head, bytes_length(&s->queue));

        if (n == 0)
            return;
        if (n < 0) {
            close_end(&s->fd);
            bytes_free(&s->queue);
            frame_append(&p->out, FRAME_STOP, stream, NULL, 0);
            return;
        }
        bytes_taken(&s->queue, (size_t)n);
        sink_credit(p, stream, (uint32_t)n);
    }
    if (s->ended)
        close_end(&s->fd);
}

static bool take_data(struct sink *s, const struct frame *f)
{
    if (s->fd < 0)
        return true;
    if (s->ended || bytes_length(&s->queue) + f->length > WINDOW)
        return false;
    bytes_append(&s->queue, f->payload, f->length);
    return true;
}

static bool take_credit(struct source *s, const struct frame *f)
{
    /* The other end may still be reading what a source sent that has ended since. */
    if (s->fd < 0)
        return true;
    if (f->length != 4 || get32(f->payload) > WINDOW - s->credit)
        return false;
    s->credit += get32(f->payload);
    return true;
}

static bool take_frame(struct pump *p, const struct frame *f)
{
    switch (f->type) {
    case FRAME_DATA:
        return take_data(&p->sink[f->stream], f);
    case FRAME_END:
        p->sink[f->stream].ended = true;
        return true;
    case FRAME_CREDIT:
        return take_credit(&p->source[f->stream], f);
    case FRAME_STOP:
        close_end(&p->source[f->stream].fd);
        return true;
    default:
        p->on_frame(p, f);
        return true;
    }
}

static bool take_frames(struct pump *p)
{
    struct frame frame;
    int whole;

    while ((whole = frame_peek(&p->in, &frame)) > 0) {
        if (!take_frame(p, &frame))
            return false;
        bytes_taken(&p->in, FRAME_HEADER + frame.length);
    }
    return whole == 0;
}

static bool link_in(struct pump *p)
{
    ssize_t n;

    while ((n = link_read(p->link, bytes_reserve(&p->in, LINK_CHUNK), LINK_CHUNK)) > 0) {
        bytes_added(&p->in, (size_t)n);
        if (!take_frames(p))
            return false;
    }
    return n == 0;
}

static bool link_out(struct pump *p)
{
    ssize_t n = 0;

    while (bytes_length(&p->out) > 0) {
        n = link_write(p->link, p->out.base + p->out.head, bytes_length(&p->out));
        if (n <= 0)
            break;
        bytes_taken(&p->out, (size_t)n);
    }
    return n >= 0;
}

bool pump_move(struct pump *p)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        source_run(p, i);
        sink_run(p, i);
    }
    return link_out(p);
}

bool pump_turn(struct pump *p, int wake_fd, int timeout)
{
    struct pollfd fds[2 + 2 * STREAMS];
    nfds_t n = 0;

    fds[n++] = link_poll(p->link, bytes_length(&p->out) > 0);
    fds[n++] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
    for (unsigned i = 0; i < STREAMS; i++) {
        if (source_wants(p, i))
            fds[n++] = (struct pollfd){.fd = p->source[i].fd, .events = POLLIN};
        if (bytes_length(&p->sink[i].queue) > 0)
            fds[n++] = (struct pollfd){.fd = p->sink[i].fd, .events = POLLOUT};
    }
    if (poll(fds, n, timeout) < 0 && errno != EINTR)
        return false;
    link_polled(p->link, fds[0].revents);
    return link_in(p) && pump_move(p);
}
