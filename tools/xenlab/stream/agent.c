/* SPDX-License-Identifier: MIT */
/*
 * The machine's end: runs one command after another for the client, until the client is gone.
 * In dom0 that is the end of the machine; in a guest the next client is awaited.
 */
#include "pump.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t command; /* 0: none runs */
static int terminal = -1;

static struct winsize window_size(const uint8_t *p)
{
    return (struct winsize){.ws_row = get16(p), .ws_col = get16(p + 2)};
}

/* The strings of an EXEC frame; argv[0] is the value of TERM, argv[1...] the command. */
static char **exec_strings(const struct frame *f)
{
    const char *at = (const char *)f->payload + 8, *end = (const char *)f->payload + f->length;
    char **argv = NULL;
    size_t n = 0;

    do {
        argv = realloc(argv, (n + 2) * sizeof(*argv));
        if (argv == NULL)
            die("out of memory");
        argv[n] = at < end ? strndup(at, (size_t)(end - at)) : NULL;
        at += at < end ? strlen(argv[n]) + 1 : 0;
    } while (argv[n++] != NULL);
    return argv;
}

static void strings_free(char **strings)
{
    for (size_t i = 0; strings[i] != NULL; i++)
        free(strings[i]);
    free(strings);
}

static noreturn void become(char **strings)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (strings[0][0] != '\0')
        setenv("TERM", strings[0], 1);
    execvp(strings[1], strings + 1);
    fprintf(stderr, "xenlab: cannot run '%s': %s\n", strings[1], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static void start_on_terminal(struct pump *p, const struct frame *f, char **strings)
{
    struct winsize size = window_size(f->payload + 4);

    command = forkpty(&terminal, NULL, NULL, &size);
    if (command < 0)
        die("cannot open a terminal: %s", strerror(errno));
    if (command == 0)
        become(strings);
    pump_sink(p, STDIN_FILENO, dup(terminal));
    pump_source(p, STDOUT_FILENO, dup(terminal));
    frame_append(&p->out, FRAME_END, STDERR_FILENO, NULL, 0);
}

static void start_on_pipes(struct pump *p, char **strings)
{
    int pipes[STREAMS][2];

    for (unsigned i = 0; i < STREAMS; i++) {
        if (pipe2(pipes[i], O_CLOEXEC) < 0)
            die("pipe: %s", strerror(errno));
    }
    command = fork();
    if (command < 0)
        die("fork: %s", strerror(errno));
    if (command == 0) {
        setsid();
        dup2(pipes[0][0], STDIN_FILENO);
        dup2(pipes[1][1], STDOUT_FILENO);
        dup2(pipes[2][1], STDERR_FILENO);
        become(strings);
    }
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
    pump_sink(p, STDIN_FILENO, pipes[0][1]);
    pump_source(p, STDOUT_FILENO, pipes[1][0]);
    pump_source(p, STDERR_FILENO, pipes[2][0]);
}

static void start(struct pump *p, const struct frame *f)
{
    char **strings = exec_strings(f);

    pump_reset(p);
    if (strings[0] == NULL || strings[1] == NULL)
        die("the client sent no command");
    if (get32(f->payload))
        start_on_terminal(p, f, strings);
    else
        start_on_pipes(p, strings);
    strings_free(strings);
}

static void on_frame(struct pump *p, const struct frame *f)
{
    if (f->type == FRAME_EXEC && command == 0 && f->length >= 8)
        start(p, f);
    else if (f->type == FRAME_SIGNAL && command != 0 && f->length == 4)
        kill(-command, (int)get32(f->payload));
    else if (f->type == FRAME_RESIZE && terminal >= 0 && f->length == 4)
        ioctl(terminal, TIOCSWINSZ,
              &(struct winsize){.ws_row = get16(f->payload), .ws_col = get16(f->payload + 2)});
}

/* All that the command itself wrote is in its pipes by now. A terminal is hung up when its session
 * leader ends, which its reader sees as an end of file behind the last byte. */
static void finish(struct pump *p, int status)
{
    uint32_t code = (uint32_t)(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    struct source *out = &p->source[STDOUT_FILENO], *err = &p->source[STDERR_FILENO];

    command = 0;
    out->last_call = terminal < 0;
    err->last_call = true;
    bool up = pump_move(p);

    while (up && (out->fd >= 0 || err->fd >= 0))
        up = pump_turn(p, -1, -1);
    if (terminal >= 0)
        close(terminal);
    terminal = -1;
    pump_reset(p);
    frame_append32(&p->out, FRAME_EXIT, 0, code);
    pump_move(p);
}

static void reap(struct pump *p, int child_fd)
{
    struct signalfd_siginfo ignored;
    int status;

    if (read(child_fd, &ignored, sizeof(ignored)) < 0)
        return;
    if (command > 0 && waitpid(command, &status, WNOHANG) == command)
        finish(p, status);
}

static void serve(const char *name, int child_fd)
{
    struct pump p = {.on_frame = on_frame};

    for (unsigned i = 0; i < STREAMS; i++)
        p.source[i].fd = p.sink[i].fd = -1;
    p.link = link_open(name, INT64_MAX);
    frame_append(&p.out, FRAME_HELLO, 0, NULL, 0);
    pump_move(&p);
    while (pump_turn(&p, child_fd, -1))
        reap(&p, child_fd);
    if (command > 0) {
        kill(-command, SIGKILL);
        waitpid(command, NULL, 0);
    }
    if (terminal >= 0)
        close(terminal);
    command = 0;
    terminal = -1;
    pump_reset(&p);
    bytes_free(&p.in);
    bytes_free(&p.out);
    link_close(p.link);
}

int main(int argc, char **argv)
{
    sigset_t child;
    int child_fd;

    if (argc != 2)
        die("usage: lab-agent LINK");
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    child_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (child_fd < 0)
        die("signalfd: %s", strerror(errno));
    do
        serve(argv[1], child_fd);
    while (link_is_server(argv[1]));
    return 0;
}
