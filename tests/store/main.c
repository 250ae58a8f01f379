/* SPDX-License-Identifier: MIT */
/*
 * usage: store_suite [-v] [--only TEXT] WORLD...
 *        store_suite relay
 * WORLD is
 *     socket           xenstored's socket, in dom0
 *     client           our store client, on a ring page that is carried to and from that socket
 *     xenbus           /dev/xen/xenbus, in dom0
 *     guest:N:COMMAND  /dev/xen/xenbus in domain N, where COMMAND, run in dom0, runs `store_suite
 *                      relay`; and the socket for dom0
 */
#include "links.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char socket_path[] = "/run/xenstored/socket", device_path[] = "/dev/xen/xenbus";

/* A request beside the suite, to a server of Xen's. */
static bool ask_server(uint16_t type, const char *payload, size_t length, struct message *answer)
{
    const struct step step = {.type = type};
    static struct connection c;
    struct text text = {.length = length};
    uint32_t id;
    bool answered;

    memset(&c, 0, sizeof(c));
    c.transport = &fd_transport;
    c.link = fd_transport.open(socket_path, Z);
    if (c.link == NULL)
        return false;
    memcpy(text.bytes, payload, length);
    answered = put_request(&c, &step, 0, &text, &id) == 0 &&
               get_answer(&c, id, answer) == ANSWERED && answer->header.type == type;
    fd_transport.close(c.link);
    return answered;
}

/* Which of Xen's two it is, they say themselves. */
static unsigned which_server(void)
{
    static struct message answer;

    if (!ask_server(XS_READ, "/tool/xenstored", 16, &answer)) {
        fprintf(stderr, "store_suite: no xenstored answers\n");
        exit(2);
    }
    return REAL | (strstr(answer.body, "oxenstored") != NULL ? OXENSTORED : XENSTORED);
}

static void use(struct world *world, enum party from, enum party to,
                const struct transport *transport, void *ctx)
{
    for (unsigned party = from; party <= to; party++) {
        world->transports[party] = transport;
        world->ctx[party] = ctx;
    }
}

static void socket_world(struct world *world, char *arguments)
{
    (void)arguments;
    world->where = which_server() | DOM0;
    world->together = PIPELINED;
    use(world, A, Z, &fd_transport, socket_path);
}

static void client_world(struct world *world, char *arguments)
{
    static struct pump pump = {.path = socket_path};
    static struct ring ring;

    socket_world(world, arguments);
    world->where |= CLIENT;
    world->together = 1;
    ring = pumped(&pump);
    use(world, A, A, &client_transport, &ring);
}

static void xenbus_world(struct world *world, char *arguments)
{
    (void)arguments;
    world->where = which_server() | DOM0 | KERNEL;
    world->together = 1; /* Linux 6.1 overwrites a request with the next before it is sent */
    use(world, A, D, &fd_transport, device_path);
    use(world, Z, Z, &fd_transport, socket_path);
}

static unsigned watched_domid;

/* "quota" of a domain is a table of xenstored's; oxenstored shows its watches, a line each. */
static unsigned server_watches(void *ctx)
{
    static struct message answer;
    char request[32], line[32];
    const char *at;
    unsigned count = 0;

    (void)ctx;
    snprintf(request, sizeof(request), "quota%c%u", 0, watched_domid);
    if (ask_server(XS_CONTROL, request, 7 + strlen(request + 6), &answer)) {
        at = strstr(answer.body, "watches");
        return at != NULL ? (unsigned)strtoul(strpbrk(at, "0123456789"), NULL, 10) : 0;
    }
    if (!ask_server(XS_CONTROL, "watches", 8, &answer))
        return 0;
    snprintf(line, sizeof(line), "dom%u ", watched_domid);
    for (at = answer.body; (at = strstr(at, line)) != NULL; at++)
        count++;
    return count;
}

static void guest_world(struct world *world, char *arguments)
{
    static struct guest guest;
    char *command = strchr(arguments, ':');

    if (command == NULL || !start_guest(&guest, command + 1)) {
        fprintf(stderr, "store_suite: guest:N:COMMAND\n");
        exit(2);
    }
    world->domid = watched_domid = (unsigned)strtoul(arguments, NULL, 10);
    world->where = which_server() | DOMU | KERNEL;
    world->together = PIPELINED;
    world->watches = server_watches;
    use(world, A, D, &guest_transport, &guest);
    use(world, Z, Z, &fd_transport, socket_path);
}

static const struct {
    const char *name;
    void (*build)(struct world *world, char *arguments);
} worlds[] = {{"socket", socket_world},
              {"client", client_world},
              {"xenbus", xenbus_world},
              {"guest", guest_world}};

static bool run_world(char *name, const char *only, bool verbose)
{
    char *colon = strchr(name, ':');
    struct world world = {.name = name};
    struct tally tally;

    if (colon != NULL)
        *colon = '\0';
    for (size_t i = 0; i < COUNT(worlds); i++) {
        if (strcmp(worlds[i].name, name) != 0)
            continue;
        worlds[i].build(&world, colon != NULL ? colon + 1 : NULL);
        run_suite(&world, only, verbose, &tally);
        return tell(&world, &tally);
    }
    fprintf(stderr, "store_suite: no such world: %s\n", name);
    return false;
}

int main(int argc, char **argv)
{
    const char *only = "";
    bool verbose = false, good = true;

    if (argc == 2 && strcmp(argv[1], "relay") == 0)
        return serve_guest(device_path);
    signal(SIGPIPE, SIG_IGN); /* a server that is gone is told by the case */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else
            good &= run_world(argv[i], only, verbose);
    }
    return good ? 0 : 1;
}
