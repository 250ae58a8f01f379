/* SPDX-License-Identifier: MIT */
/*
 * Transport: connections that are opened in a guest, and carried through the streams of one command
 * there. Each frame has a kind, a party, and a count of bytes that follow.
 */
#include "links.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAME_MAX 8192

enum kind { OPEN, DATA, CLOSE_IT, FAILED, ENDED };

struct frame {
    uint8_t kind, party;
    uint16_t count;
};

struct link {
    struct guest *guest;
    enum party party;
    int error; /* of the last write */
    bool ended;
    size_t have;
    char in[65536];
};

static bool put_all(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;

    while (count > 0) {
        ssize_t done = write(fd, at, count);

        if (done <= 0)
            return false;
        at += done;
        count -= (size_t)done;
    }
    return true;
}

static bool get_all(int fd, void *bytes, size_t count)
{
    char *at = bytes;

    while (count > 0) {
        ssize_t done = read(fd, at, count);

        if (done <= 0)
            return false;
        at += done;
        count -= (size_t)done;
    }
    return true;
}

static bool put_frame(int fd, enum kind kind, enum party party, const void *bytes, size_t count)
{
    char whole[sizeof(struct frame) + FRAME_MAX];
    struct frame frame = {(uint8_t)kind, (uint8_t)party, (uint16_t)count};

    memcpy(whole, &frame, sizeof(frame));
    if (count > 0)
        memcpy(whole + sizeof(frame), bytes, count);
    return put_all(fd, whole, sizeof(frame) + count);
}

static bool get_frame(int fd, struct frame *frame, char *bytes)
{
    return get_all(fd, frame, sizeof(*frame)) && frame->count <= FRAME_MAX &&
           frame->party < PARTIES && get_all(fd, bytes, frame->count);
}

/* ------------------------------------------------------------------------------ this machine -- */

/* Takes in one frame of whatever party. */
static bool take(struct guest *guest)
{
    struct pollfd ready = {.fd = guest->from, .events = POLLIN};
    struct frame frame;
    char bytes[FRAME_MAX];
    struct link *link;

    if (poll(&ready, 1, 10000) <= 0 || !get_frame(guest->from, &frame, bytes))
        return false;
    link = guest->links[frame.party];
    if (link == NULL)
        return true;
    if (frame.kind == FAILED)
        memcpy(&link->error, bytes, sizeof(link->error));
    link->ended |= frame.kind == ENDED;
    if (frame.kind == DATA && frame.count <= sizeof(link->in) - link->have) {
        memcpy(link->in + link->have, bytes, frame.count);
        link->have += frame.count;
    }
    return true;
}

/* Waits for the frame that says how the last request of this link went. */
static int outcome(struct link *link)
{
    link->error = -1;
    while (link->error < 0) {
        if (!take(link->guest))
            return EIO;
    }
    return link->error;
}

static struct link *guest_open(void *ctx, enum party party)
{
    struct guest *guest = ctx;
    struct link *link = calloc(1, sizeof(*link));

    link->guest = guest;
    link->party = party;
    guest->links[party] = link;
    if (put_frame(guest->to, OPEN, party, NULL, 0) && outcome(link) == 0) {
        /* What came before that was for the connection before. */
        link->have = 0;
        link->ended = false;
        return link;
    }
    guest->links[party] = NULL;
    free(link);
    return NULL;
}

static int guest_send(struct link *link, const void *bytes, size_t count)
{
    const char *at = bytes;
    int error = 0;

    while (count > 0 && error == 0) {
        size_t now = count < FRAME_MAX ? count : FRAME_MAX;

        if (!put_frame(link->guest->to, DATA, link->party, at, now))
            return EIO;
        error = outcome(link);
        at += now;
        count -= now;
    }
    return error;
}

static long guest_receive(struct link *link, void *bytes, size_t capacity)
{
    size_t count;

    while (link->have == 0 && !link->ended) {
        if (!take(link->guest))
            return -1;
    }
    count = link->have < capacity ? link->have : capacity;
    memcpy(bytes, link->in, count);
    link->have -= count;
    memmove(link->in, link->in + count, link->have);
    return (long)count;
}

static void guest_close(struct link *link)
{
    (void)put_frame(link->guest->to, CLOSE_IT, link->party, NULL, 0);
    link->guest->links[link->party] = NULL;
    free(link);
}

const struct transport guest_transport = {guest_open, guest_send, guest_receive, guest_close};

bool start_guest(struct guest *guest, const char *command)
{
    int to[2], from[2];

    memset(guest, 0, sizeof(*guest));
    if (pipe(to) != 0 || pipe(from) != 0)
        return false;
    if (fork() == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[1]);
        close(from[0]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    guest->to = to[1];
    guest->from = from[0];
    return true;
}

/* ----------------------------------------------------------------------------------- a guest -- */

/* What has come on the connection, which may be its end. The device gives whole messages. */
static bool pass_on(int *fd, enum party party, bool *answered)
{
    char bytes[FRAME_MAX];
    ssize_t got = read(*fd, bytes, sizeof(bytes));
    size_t count = got > 0 ? (size_t)got : 0;
    struct xsd_sockmsg header;

    for (size_t at = 0; at + sizeof(header) <= count; at += sizeof(header) + header.len) {
        memcpy(&header, bytes + at, sizeof(header));
        *answered |= header.type != XS_WATCH_EVENT;
    }
    if (count == 0) {
        close(*fd);
        *fd = -1;
    }
    return put_frame(1, count > 0 ? DATA : ENDED, party, bytes, count);
}

/* Bytes of the first message; all where it is not whole. */
static size_t first_message(const char *bytes, size_t count)
{
    struct xsd_sockmsg header;

    if (count < sizeof(header))
        return count;
    memcpy(&header, bytes, sizeof(header));
    return header.len <= count - sizeof(header) ? sizeof(header) + header.len : count;
}

/* Linux 6.1 overwrites a request with the next of the same file before it is sent: the next one
 * waits for the answer here. */
static int say(int *fd, enum party party, const char *bytes, size_t count)
{
    for (;;) {
        size_t first = first_message(bytes, count);
        bool answered = false;

        if (write(*fd, bytes, first) < 0)
            return errno;
        bytes += first;
        count -= first;
        if (count == 0)
            return 0;
        while (!answered) {
            if (*fd < 0 || !pass_on(fd, party, &answered))
                return EIO;
        }
    }
}

/* Without an answer where nobody waits for it. */
static bool obey(const struct frame *frame, const char *bytes, int *fd, const char *device)
{
    int error = 0;

    switch (frame->kind) {
    case OPEN:
        *fd = open_store(device);
        error = *fd < 0 ? errno : 0;
        break;
    case DATA:
        error = say(fd, (enum party)frame->party, bytes, frame->count);
        break;
    default:
        close(*fd);
        *fd = -1;
        return true;
    }
    return put_frame(1, FAILED, (enum party)frame->party, &error, sizeof(error));
}

int serve_guest(const char *device)
{
    struct pollfd fds[PARTIES];
    struct frame frame;
    char bytes[FRAME_MAX];

    for (unsigned i = 0; i < PARTIES; i++)
        fds[i] = (struct pollfd){.fd = i == 0 ? 0 : -1, .events = POLLIN};
    for (;;) {
        if (poll(fds, PARTIES, -1) < 0)
            return 1;
        for (unsigned i = 1; i < PARTIES; i++) {
            bool answered;

            if (fds[i].fd >= 0 && fds[i].revents != 0 &&
                !pass_on(&fds[i].fd, (enum party)i, &answered))
                return 1;
        }
        if (fds[0].revents != 0) {
            if (!get_frame(0, &frame, bytes))
                return 0;
            if (!obey(&frame, bytes, &fds[frame.party].fd, device))
                return 1;
        }
    }
}
