/* SPDX-License-Identifier: MIT */
#include "os_process.h"

#include <errno.h>

#ifndef _WIN32
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"

#define LOOK_MS     10u   /* between two looks whether it has ended */
#define PATIENCE_MS 1000u /* between SIGTERM and SIGKILL */

/* Made before the fork: another thread may hold the allocator's lock then. */
static char **make_environment(char *const *variables)
{
    size_t own = 0, more = 0, used = 0;
    char **all;

    while (environ[own])
        own++;
    while (variables[more])
        more++;
    all = calloc(own + more + 1, sizeof(*all));
    if (!all)
        return NULL;
    /* The first of a name is what the shell takes. */
    for (size_t i = 0; i < more; i++)
        all[used++] = variables[i];
    for (size_t i = 0; i < own; i++)
        all[used++] = environ[i];
    return all;
}

static void be_the_command(char *command, char **environment, int out)
{
    char shell[] = "sh", option[] = "-c";
    char *const words[] = {shell, option, command, NULL};
    int nothing = open("/dev/null", O_RDONLY);

    setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    if (nothing > 0)
        dup2(nothing, 0);
    dup2(out, 1);
    execve("/bin/sh", words, environment);
    _exit(127);
}

static bool has_ended(pid_t pid, int *status)
{
    int found = waitpid(pid, status, WNOHANG) == pid;

    if (found)
        *status = WIFSIGNALED(*status) ? 128 + WTERMSIG(*status) : WEXITSTATUS(*status);
    return found;
}

static bool ends_within(pid_t pid, uint64_t ms, int *status)
{
    uint64_t start = os_now();

    while (!has_ended(pid, status)) {
        if (ms && os_now() - start >= ms)
            return false;
        os_wait(NULL, 0, LOOK_MS);
    }
    return true;
}

static void kill_all(pid_t pid)
{
    int status;

    kill(-pid, SIGTERM);
    if (ends_within(pid, PATIENCE_MS, &status)) {
        kill(-pid, SIGKILL);
        return;
    }
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}

int os_run(const char *command, char *const *variables, int out, uint32_t ms)
{
    char **environment = make_environment(variables), *copy = strdup(command);
    int status, error;
    pid_t pid;

    if (!environment || !copy) {
        free(environment);
        free(copy);
        return OS_RUN_FAILED;
    }
    pid = fork();
    error = errno;
    if (pid == 0)
        be_the_command(copy, environment, out);
    free(environment);
    free(copy);
    errno = error;
    if (pid < 0)
        return OS_RUN_FAILED;
    /* Here and there, for either may be first. */
    setpgid(pid, pid);
    if (ends_within(pid, ms, &status))
        return status;
    kill_all(pid);
    return OS_RUN_TIMED_OUT;
}

int os_become(const char *user)
{
    const struct passwd *entry;

    errno = 0;
    entry = getpwnam(user);
    if (!entry) {
        errno = errno ? errno : ENOENT;
        return -1;
    }
    if (initgroups(user, entry->pw_gid) || setgid(entry->pw_gid) || setuid(entry->pw_uid))
        return -1;
    return setenv("HOME", entry->pw_dir, 1) || setenv("USER", user, 1) || setenv("LOGNAME", user, 1)
               ? -1
               : 0;
}

#else

int os_run(const char *command, char *const *variables, int out, uint32_t ms)
{
    (void)command;
    (void)variables;
    (void)out;
    (void)ms;
    errno = ENOSYS;
    return OS_RUN_FAILED;
}

int os_become(const char *user)
{
    (void)user;
    errno = ENOSYS;
    return -1;
}

#endif
