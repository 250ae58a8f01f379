/* SPDX-License-Identifier: MIT */
/*
 * The caller's end: runs a command through an agent with the caller's stdin, stdout and stderr, and
 * exits with its status. See usage() for the steps around it.
 */
#include "pump.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { HELLO_MS = 60000, GRACE_MS = 10000, HOUR_MS = 3600000, COPIES_MAX = 256 };

struct copy {
    const char *host;
    char *guest;
};

static struct {
    const char *log, *begin, *end, *inner;
    long timeout; /* seconds; 0: none */
    bool terminal, verbose;
    struct copy put[COPIES_MAX], get[COPIES_MAX];
    size_t puts, gets;
} options;

/* What is going on, for the line that says what was interrupted. */
static const char *phase;
static int64_t began, deadline = INT64_MAX;
static int signal_fd;
static int caught;     /* the signal that was passed on to the command */
static bool greeted;   /* HELLO came */
static bool exited;    /* EXIT came */
static bool commanded; /* the caller's command runs, not a step of ours */
static uint32_t exit_status;

static void enter(const char *what)
{
    phase = what;
    if (options.verbose)
        fprintf(stderr, "xenlab: %.1f s: %s\n", (double)(now_ms() - began) / 1000, what);
    else if (isatty(STDERR_FILENO))
        fprintf(stderr, commanded ? "\r\033[K" : "\r\033[K%s... ", what);
}

static void clear_line(void)
{
    if (!options.verbose && isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

static struct termios cooked;

static void restore_terminal(void)
{
    tcsetattr(STDIN_FILENO, TCSADRAIN, &cooked);
}

static void raw_terminal(void)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &cooked) < 0)
        die("stdin is not a terminal");
    atexit(restore_terminal);
    raw = cooked;
    cfmakeraw(&raw);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static void append_window_size(struct bytes *b)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};

    ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
    append16(b, size.ws_row);
    append16(b, size.ws_col);
}

static void on_frame(struct pump *p, const struct frame *f)
{
    (void)p;
    if (f->type == FRAME_HELLO)
        greeted = true;
    if (f->type == FRAME_EXIT && f->length == 4) {
        exited = true;
        exit_status = get32(f->payload);
    }
}

static void on_signal(struct pump *p)
{
    struct signalfd_siginfo info;
    struct bytes size = {0};

    if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH) {
        append_window_size(&size);
        frame_append(&p->out, FRAME_RESIZE, 0, size.base, bytes_length(&size));
        bytes_free(&size);
        return;
    }
    if (!commanded || caught != 0)
        exit(128 + (int)info.ssi_signo);
    caught = (int)info.ssi_signo;
    if (deadline > now_ms() + GRACE_MS)
        deadline = now_ms() + GRACE_MS;
    frame_append32(&p->out, FRAME_SIGNAL, 0, info.ssi_signo);
}

/* One turn of the link, or the end of the program when time is up or the machine is gone. */
static void turn(struct pump *p)
{
    int64_t left = deadline - now_ms();

    if (left <= 0) {
        if (caught != 0)
            exit(128 + caught);
        complain("timed out after %ld s, %s", options.timeout, phase);
        exit(LAB_TIMED_OUT);
    }
    if (!pump_turn(p, signal_fd, left > HOUR_MS ? HOUR_MS : (int)left))
        die("the machine is gone, %s", phase);
    on_signal(p);
    pump_move(p);
}

static void open_agent(struct pump *p, const char *name)
{
    *p = (struct pump){.on_frame = on_frame};
    for (unsigned i = 0; i < STREAMS; i++)
        p->source[i].fd = p->sink[i].fd = -1;
    p->link = link_open(name, now_ms() + HELLO_MS);
    if (p->link == NULL)
        die("nothing answers at %s", name);
}

static void await_hello(struct pump *p)
{
    int64_t total = deadline;

    greeted = false;
    if (total > now_ms() + HELLO_MS)
        deadline = now_ms() + HELLO_MS;
    while (!greeted) {
        if (total > deadline && now_ms() >= deadline)
            die("no sign of life after %d s, %s", HELLO_MS / 1000, phase);
        turn(p);
    }
    deadline = total;
}

/* Run a command with these descriptors, which are left open; -1 for none. */
static int run(struct pump *p, const char *const argv[], int in, int out, int err)
{
    struct bytes exec = {0};
    const char *term = getenv("TERM");
    bool terminal = commanded && options.terminal;

    append32(&exec, terminal);
    append_window_size(&exec);
    bytes_append(&exec, terminal && term != NULL ? term : "",
                 terminal && term != NULL ? strlen(term) : 0);
    bytes_append(&exec, "", 1);
    for (; *argv != NULL; argv++)
        bytes_append(&exec, *argv, strlen(*argv) + 1);
    frame_append(&p->out, FRAME_EXEC, 0, exec.base, bytes_length(&exec));
    bytes_free(&exec);

    exited = false;
    pump_reset(p);
    if (in < 0)
        frame_append(&p->out, FRAME_END, STDIN_FILENO, NULL, 0);
    else
        pump_source(p, STDIN_FILENO, fcntl(in, F_DUPFD_CLOEXEC, 3));
    pump_sink(p, STDOUT_FILENO, out < 0 ? -1 : fcntl(out, F_DUPFD_CLOEXEC, 3));
    pump_sink(p, STDERR_FILENO, err < 0 ? -1 : fcntl(err, F_DUPFD_CLOEXEC, 3));
    pump_move(p);
    while (!exited || pump_draining(p))
        turn(p);
    pump_reset(p);
    return (int)exit_status;
}

static int scratch_file(void)
{
    int fd = memfd_create("stderr", MFD_CLOEXEC);

    if (fd < 0)
        die("memfd_create: %s", strerror(errno));
    return fd;
}

/* The text of a file: first or last line, without its newline. */
static void line_of(int fd, bool last, char *line, size_t size)
{
    char text[4096];
    off_t length = lseek(fd, 0, SEEK_END);
    off_t from = last && length > (off_t)sizeof(text) - 1 ? length - (off_t)sizeof(text) + 1 : 0;
    ssize_t n = pread(fd, text, sizeof(text) - 1, from);
    char *start = text, *newline;

    text[n > 0 ? n : 0] = '\0';
    while (last && (newline = strchr(start, '\n')) != NULL && newline[1] != '\0')
        start = newline + 1;
    snprintf(line, size, "%.*s", (int)strcspn(start, "\n"), start);
}

/* A step of the lab's own in dom0: its output goes to the log, its last line into our complaint. */
static void step(struct pump *p, const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    int said = scratch_file();
    char line[512];

    if (script == NULL)
        return;
    int status = run(p, argv, -1, said, said);
    line_of(said, true, line, sizeof(line));
    if (options.log != NULL) {
        int log = open(options.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        off_t at = 0;
        char text[4096];
        ssize_t n;

        while (log >= 0 && (n = pread(said, text, sizeof(text), at)) > 0 &&
               write(log, text, (size_t)n) == n)
            at += n;
        close(log);
    }
    if (status != 0)
        die("%s failed: %s", phase, line);
    close(said);
}

static void put(struct pump *p, const struct copy *c)
{
    static const char script[] =
        "mkdir -p -- \"$(dirname -- \"$2\")\" && cat >\"$2\" && chmod \"$1\" \"$2\"";
    char mode[8], line[512];
    const char *argv[] = {"sh", "-c", script, "put", mode, c->guest, NULL};
    int file = open(c->host, O_RDONLY | O_CLOEXEC), err = scratch_file();
    struct stat st;

    if (file < 0 || fstat(file, &st) < 0 || !S_ISREG(st.st_mode))
        die("--put: not a readable file: %s", c->host);
    snprintf(mode, sizeof(mode), "%o", st.st_mode & 07777);
    if (run(p, argv, file, err, err) != 0) {
        line_of(err, true, line, sizeof(line));
        die("--put: cannot write %s: %s", c->guest, line);
    }
    close(file);
    close(err);
}

/* The file's mode comes as the first line on stderr, an error as the last. */
static bool get(struct pump *p, const struct copy *c)
{
    static const char script[] = "stat -L -c %a -- \"$1\" >&2 && exec cat -- \"$1\"";
    const char *argv[] = {"sh", "-c", script, "get", c->guest, NULL};
    char line[512];
    struct stat st;
    int file = open(c->host, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), err = scratch_file();
    bool good = false;

    if (file < 0) {
        complain("--get: cannot write %s: %s", c->host, strerror(errno));
    } else if (run(p, argv, -1, file, err) != 0) {
        line_of(err, true, line, sizeof(line));
        complain("--get: cannot read %s: %s", c->guest, line);
    } else {
        line_of(err, false, line, sizeof(line));
        good = fstat(file, &st) == 0 &&
               (!S_ISREG(st.st_mode) || fchmod(file, (mode_t)strtoul(line, NULL, 8)) == 0);
    }
    close(file);
    close(err);
    return good;
}

static int run_command(struct pump *p, const char *const argv[])
{
    int status;

    commanded = true;
    enter("running the command");
    if (options.terminal)
        raw_terminal();
    status = run(p, argv, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO);
    if (options.terminal)
        restore_terminal();
    commanded = false;
    return status;
}

static void watch_signals(void)
{
    sigset_t watched;

    sigemptyset(&watched);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGHUP);
    sigaddset(&watched, SIGWINCH);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        die("signalfd: %s", strerror(errno));
}

static int session(const char *name, const char *const argv[])
{
    struct pump outer, inner, *p = &outer;
    bool fetched = true;
    int status;

    enter("booting");
    open_agent(&outer, name);
    if (options.inner != NULL)
        open_agent(&inner, options.inner);
    watch_signals();
    await_hello(&outer);
    enter("preparing the machine");
    step(&outer, options.begin);
    if (options.inner != NULL) {
        enter("waiting for the guest");
        p = &inner;
        await_hello(p);
    }
    enter("copying files in");
    for (size_t i = 0; i < options.puts; i++)
        put(p, &options.put[i]);
    status = run_command(p, argv);
    enter("copying files out");
    for (size_t i = 0; i < options.gets; i++)
        fetched = get(p, &options.get[i]) && fetched;
    enter("ending");
    step(&outer, options.end);
    if (!fetched && status != 0)
        complain("the command itself ended with status %d", status);
    return !fetched && status == 0 ? LAB_FAILED : status;
}

static void usage(void)
{
    die("usage: lab-client [OPTION]... LINK -- COMMAND [ARGUMENT]...");
}

/* HOST:GUEST is split at the last colon, GUEST:HOST at the first: guest names have none. */
static struct copy copy_option(char *text, bool host_first)
{
    char *colon = host_first ? strrchr(text, ':') : strchr(text, ':');

    if (colon == NULL || colon == text || colon[1] == '\0')
        usage();
    *colon = '\0';
    if (host_first)
        return (struct copy){.host = text, .guest = colon + 1};
    return (struct copy){.host = colon + 1, .guest = text};
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"log", required_argument, NULL, 'l'},
        {"complaints", required_argument, NULL, 'c'},
        {"begin", required_argument, NULL, 'b'},
        {"end", required_argument, NULL, 'e'},
        {"inner", required_argument, NULL, 'i'},
        {"timeout", required_argument, NULL, 't'},
        {"put", required_argument, NULL, 'p'},
        {"get", required_argument, NULL, 'g'},
        {"terminal", no_argument, NULL, 'T'},
        {"verbose", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
        switch (option) {
        case 'l':
            options.log = optarg;
            break;
        case 'c':
            complain_into(optarg);
            break;
        case 'b':
            options.begin = optarg;
            break;
        case 'e':
            options.end = optarg;
            break;
        case 'i':
            options.inner = optarg;
            break;
        case 't':
            options.timeout = strtol(optarg, NULL, 10);
            break;
        case 'p':
        case 'g':
            if (options.puts == COPIES_MAX || options.gets == COPIES_MAX)
                die("more than %d files to copy", COPIES_MAX);
            if (option == 'p')
                options.put[options.puts++] = copy_option(optarg, true);
            else
                options.get[options.gets++] = copy_option(optarg, false);
            break;
        case 'T':
            options.terminal = true;
            break;
        case 'v':
            options.verbose = true;
            break;
        default:
            usage();
        }
    }
}

int main(int argc, char **argv)
{
    for (int fd = 0; fd < STREAMS; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            die("cannot open /dev/null");
    }
    parse(argc, argv);
    if (argc - optind < 3 || strcmp(argv[optind + 1], "--") != 0)
        usage();
    began = now_ms();
    if (options.timeout > 0)
        deadline = began + (int64_t)options.timeout * 1000;
    signal(SIGPIPE, SIG_IGN);
    atexit(clear_line);
    return session(argv[optind], (const char *const *)argv + optind + 2);
}
