/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>

#include "xenstored.h"

#define TYPES       32
#define CONNECTIONS 4
#define WATCHES     16

struct answer {
    bool error, none;
    unsigned length;
    char bytes[XENSTORE_PAYLOAD_MAX];
};

struct watch {
    int fd; /* 0: free */
    char path[64], token[32];
};

struct xenstored {
    pthread_t thread;
    pthread_mutex_t lock;
    char directory[32], path[64];
    int listener, stop[2], connections[CONNECTIONS];
    struct answer answers[TYPES];
    struct watch watches[WATCHES];
    char domid[16];
    unsigned domid_reads;
    bool quiet;
    char requests[4096], handed_out[4096];
};

static void send_message(int fd, unsigned type, const struct xsd_sockmsg *request,
                         const void *bytes, unsigned length)
{
    char message[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header = {.type = type, .len = length};

    if (request) {
        header.req_id = request->req_id;
        header.tx_id = request->tx_id;
    }
    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), bytes, length);
    /* A client that has gone is no failure. */
    if (send(fd, message, sizeof(header) + length, MSG_NOSIGNAL) < 0)
        return;
}

static void send_event(const struct watch *watch, const char *path)
{
    char text[XENSTORE_PAYLOAD_MAX];
    int length = snprintf(text, sizeof(text), "%s%c%s", path, 0, watch->token);

    send_message(watch->fd, XS_WATCH_EVENT, NULL, text, (unsigned)length + 1);
}

static void remember(struct xenstored *store, const struct xsd_sockmsg *header, const char *payload)
{
    size_t at = strlen(store->requests);

    if (strcmp(payload, "domid") == 0)
        return;
    at += (size_t)snprintf(store->requests + at, sizeof(store->requests) - at, "%u.%u ",
                           header->type, header->tx_id);
    for (unsigned i = 0; i < header->len && at < sizeof(store->requests) - 2; i++)
        store->requests[at++] = payload[i] ? payload[i] : '|';
    store->requests[at++] = ';';
    store->requests[at] = '\0';
}

static void add_watch(struct xenstored *store, int fd, const char *path)
{
    for (size_t i = 0; i < WATCHES; i++) {
        struct watch *watch = &store->watches[i];

        if (watch->fd)
            continue;
        watch->fd = fd;
        snprintf(watch->path, sizeof(watch->path), "%.63s", path);
        snprintf(watch->token, sizeof(watch->token), "%.31s", path + strlen(path) + 1);
        if (!store->quiet)
            send_event(watch, watch->path);
        return;
    }
}

static void remove_watch(struct xenstored *store, int fd, const char *path)
{
    for (size_t i = 0; i < WATCHES; i++) {
        struct watch *watch = &store->watches[i];

        if (watch->fd == fd && strcmp(watch->path, path) == 0 &&
            strcmp(watch->token, path + strlen(path) + 1) == 0)
            watch->fd = 0;
    }
}

/* False where the script is to hang up. */
static bool serve(struct xenstored *store, int fd, const struct xsd_sockmsg *header,
                  const char *payload)
{
    const struct answer *answer = &store->answers[header->type % TYPES];

    if (answer->none)
        return false;
    remember(store, header, payload);
    if (header->type == XS_READ && strcmp(payload, "domid") == 0) {
        store->domid_reads++;
        if (store->domid[0])
            send_message(fd, XS_READ, header, store->domid, (unsigned)strlen(store->domid));
        else
            send_message(fd, XS_ERROR, header, "ENOENT", 7);
        return true;
    }
    send_message(fd, answer->error ? XS_ERROR : header->type, header, answer->bytes,
                 answer->length);
    if (header->type == XS_WATCH && !answer->error)
        add_watch(store, fd, payload);
    if (header->type == XS_UNWATCH && !answer->error)
        remove_watch(store, fd, payload);
    return true;
}

static bool receive(struct xenstored *store, int fd)
{
    struct xsd_sockmsg header;
    char payload[XENSTORE_PAYLOAD_MAX + 1] = "";
    bool served;

    if (recv(fd, &header, sizeof(header), MSG_WAITALL) != sizeof(header) ||
        header.len > XENSTORE_PAYLOAD_MAX ||
        recv(fd, payload, header.len, MSG_WAITALL) != (ssize_t)header.len)
        return false;
    pthread_mutex_lock(&store->lock);
    served = serve(store, fd, &header, payload);
    pthread_mutex_unlock(&store->lock);
    return served;
}

static void accept_one(struct xenstored *store)
{
    int fd = accept(store->listener, NULL, NULL);

    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (store->connections[i] < 0) {
            store->connections[i] = fd;
            return;
        }
    }
    close(fd);
}

static void drop(struct xenstored *store, int *connection)
{
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < WATCHES; i++)
        if (store->watches[i].fd == *connection)
            store->watches[i].fd = 0;
    close(*connection);
    *connection = -1;
    pthread_mutex_unlock(&store->lock);
}

static void *run(void *context)
{
    struct xenstored *store = context;

    for (;;) {
        struct pollfd fds[2 + CONNECTIONS] = {{.fd = store->stop[0], .events = POLLIN},
                                              {.fd = store->listener, .events = POLLIN}};

        for (size_t i = 0; i < CONNECTIONS; i++)
            fds[2 + i] = (struct pollfd){.fd = store->connections[i], .events = POLLIN};
        poll(fds, 2 + CONNECTIONS, -1);
        if (fds[0].revents)
            return NULL;
        if (fds[1].revents)
            accept_one(store);
        for (size_t i = 0; i < CONNECTIONS; i++)
            if (fds[2 + i].revents && !receive(store, fds[2 + i].fd))
                drop(store, &store->connections[i]);
    }
}

static void set_default_answers(struct xenstored *store)
{
    for (unsigned type = 0; type < TYPES; type++)
        xenstored_answer(store, type, "OK", 3);
    xenstored_answer(store, XS_TRANSACTION_START, "5", 2);
    xenstored_answer(store, XS_GET_DOMAIN_PATH, "/local/domain/0", 16);
    xenstored_set_domid(store, "7");
}

struct xenstored *xenstored_start(void)
{
    struct xenstored *store = calloc(1, sizeof(*store));
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    assert_non_null(store);
    pthread_mutex_init(&store->lock, NULL);
    set_default_answers(store);
    strcpy(store->directory, "/tmp/xenstored-XXXXXX");
    assert_non_null(mkdtemp(store->directory));
    snprintf(store->path, sizeof(store->path), "%s/socket", store->directory);
    strcpy(address.sun_path, store->path);
    store->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(store->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(store->listener, CONNECTIONS), 0);
    for (size_t i = 0; i < CONNECTIONS; i++)
        store->connections[i] = -1;
    assert_int_equal(pipe(store->stop), 0);
    assert_int_equal(pthread_create(&store->thread, NULL, run, store), 0);
    assert_int_equal(setenv("XENSTORED_PATH", store->path, 1), 0);
    return store;
}

/* The thread has ended, or has never been there, when descriptors are closed. */
void xenstored_hang_up(struct xenstored *store)
{
    close(store->stop[1]);
    pthread_join(store->thread, NULL);
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (store->connections[i] >= 0)
            close(store->connections[i]);
    close(store->listener);
    close(store->stop[0]);
    store->listener = -1;
}

void xenstored_stop(struct xenstored *store)
{
    if (store->listener >= 0)
        xenstored_hang_up(store);
    unsetenv("XENSTORED_PATH");
    unlink(store->path);
    rmdir(store->directory);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

static void set_answer(struct xenstored *store, unsigned type, bool error, const void *bytes,
                       size_t length)
{
    struct answer *answer = &store->answers[type];

    assert_true(type < TYPES && length <= sizeof(answer->bytes));
    pthread_mutex_lock(&store->lock);
    answer->error = error;
    answer->length = (unsigned)length;
    memcpy(answer->bytes, bytes, length);
    pthread_mutex_unlock(&store->lock);
}

void xenstored_refuse(struct xenstored *store, unsigned type, const char *error_name)
{
    set_answer(store, type, true, error_name, strlen(error_name) + 1);
}

void xenstored_answer(struct xenstored *store, unsigned type, const void *bytes, size_t length)
{
    set_answer(store, type, false, bytes, length);
}

void xenstored_set_domid(struct xenstored *store, const char *value)
{
    pthread_mutex_lock(&store->lock);
    snprintf(store->domid, sizeof(store->domid), "%s", value);
    pthread_mutex_unlock(&store->lock);
}

void xenstored_hang_up_on(struct xenstored *store, unsigned type)
{
    pthread_mutex_lock(&store->lock);
    store->answers[type].none = true;
    pthread_mutex_unlock(&store->lock);
}

void xenstored_keep_quiet(struct xenstored *store)
{
    pthread_mutex_lock(&store->lock);
    store->quiet = true;
    pthread_mutex_unlock(&store->lock);
}

unsigned xenstored_fire_at(struct xenstored *store, const char *path, const char *changed)
{
    unsigned count = 0;

    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < WATCHES; i++) {
        if (store->watches[i].fd && strcmp(store->watches[i].path, path) == 0) {
            send_event(&store->watches[i], changed);
            count++;
        }
    }
    pthread_mutex_unlock(&store->lock);
    return count;
}

unsigned xenstored_fire(struct xenstored *store, const char *path)
{
    return xenstored_fire_at(store, path, path);
}

const char *xenstored_requests(struct xenstored *store)
{
    pthread_mutex_lock(&store->lock);
    strcpy(store->handed_out, store->requests);
    store->requests[0] = '\0';
    pthread_mutex_unlock(&store->lock);
    return store->handed_out;
}
unsigned xenstored_domid_reads(struct xenstored *store)
{
    unsigned count;

    pthread_mutex_lock(&store->lock);
    count = store->domid_reads;
    pthread_mutex_unlock(&store->lock);
    return count;
}
