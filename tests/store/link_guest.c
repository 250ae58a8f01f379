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
    if (put_frame(guest->to, OPEN, party, NULL, 0) && outcome(link) == 0)
        return link;
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
    if (put_frame(link->guest->to, CLOSE_IT, link->party, NULL, 0))
        (void)outcome(link);
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

static int obey(const struct frame *frame, const char *bytes, int *fd, const char *device)
{
    switch (frame->kind) {
    case OPEN:
        *fd = open_store(device);
        return *fd < 0 ? errno : 0;
    case DATA:
        return write(*fd, bytes, frame->count) < 0 ? errno : 0;
    default:
        close(*fd);
        *fd = -1;
        return 0;
    }
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
            ssize_t got;

            if (fds[i].fd < 0 || fds[i].revents == 0)
                continue;
            got = read(fds[i].fd, bytes, sizeof(bytes));
            if (!put_frame(1, got > 0 ? DATA : ENDED, (enum party)i, bytes,
                           got > 0 ? (size_t)got : 0))
                return 1;
            if (got <= 0) {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
        if (fds[0].revents != 0) {
            int error;

            if (!get_frame(0, &frame, bytes))
                return 0;
            error = obey(&frame, bytes, &fds[frame.party].fd, device);
            if (!put_frame(1, FAILED, (enum party)frame.party, &error, sizeof(error)))
                return 1;
        }
    }
}
