/* SPDX-License-Identifier: MIT */
/* Commands that wait on the Linux port, whose XenStore goes away, or that a signal ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xen/io/xs_wire.h>

#include "../unit/linux/xenstored.h"

#define PATIENCE_S 20u /* a command that has not ended by then hangs */

static const char *tool;
static struct xenstored *server;
static int output[2];

static int set_up(void **state)
{
    (void)state;
    server = xenstored_start();
    xenstored_refuse(server, XS_DIRECTORY, "ENOENT");
    xenstored_answer(server, XS_GET_DOMAIN_PATH, "/local/domain/0", 16);
    return pipe(output);
}

static int tear_down(void **state)
{
    (void)state;
    close(output[0]);
    xenstored_stop(server);
    return 0;
}

/* With its output in the pipe; `words` end with NULL. */
static pid_t start(const char *const *words)
{
    const char *arguments[12] = {tool, "--port", "linux"};
    const union {
        const char **ours;
        char *const *theirs; /* execv changes none */
    } all = {arguments};
    pid_t pid;

    for (size_t i = 0; words[i]; i++)
        arguments[3 + i] = words[i];
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(output[1], 1);
        close_range(3, ~0u, 0); /* of the server's descriptors, too */
        alarm(PATIENCE_S);
        execv(tool, all.theirs);
        _exit(99);
    }
    close(output[1]);
    return pid;
}

/* Until the tool has sent a request that begins like this. */
static void await_request(const char *request)
{
    char all[65536] = "";

    for (unsigned ms = 0; !strstr(all, request); ms += 5) {
        const char *more = xenstored_requests(server);

        assert_true(ms < PATIENCE_S * 1000 && strlen(all) + strlen(more) < sizeof(all));
        strcat(all, more);
        usleep(5000);
    }
}

static int status_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_a_lost_store_ends_who_waits_for_it(void **state)
{
    static const struct {
        const char *words[8];
        const char *waits; /* what it asks last before it waits */
    } cases[] = {
        {{"store", "watch", "a"}, "4.0 a|"},
        {{"list", "--watch"}, "1.0 device|"},
        {{"message", "receive", "--follow"}, "1.0 data/message/to-guest|"},
        {{"message", "receive", "k", "--timeout", "0"}, "1.0 data/message/to-guest/k|"},
        {{"message", "send", "k", "v", "--timeout", "0"}, "2.0 data/message/from-guest/k/"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pid_t pid;

        if (i) {
            tear_down(state);
            set_up(state);
        }
        xenstored_answer(server, XS_READ, "v", 1);
        pid = start(cases[i].words);
        await_request(cases[i].waits);
        xenstored_hang_up(server);
        assert_int_equal(status_of(pid), 4);
    }
}

/* Status 1, for which a service manager starts it again. */
static void test_a_lost_store_ends_the_agent(void **state)
{
    static const char *const words[] = {"agent", NULL};
    char said[8192] = "";
    size_t have = 0;
    ssize_t got;
    pid_t pid;

    (void)state;
    xenstored_refuse(server, XS_READ, "ENOENT");
    pid = start(words);
    await_request("data/updated|");
    xenstored_hang_up(server);
    assert_int_equal(status_of(pid), 1);
    while (have < sizeof(said) - 1 &&
           (got = read(output[0], said + have, sizeof(said) - 1 - have)) > 0)
        have += (size_t)got;
    assert_non_null(strstr(said, "event=ended error="));
}

/* Nothing else changes meanwhile. */
static void test_the_agent_publishes_again_what_was_refused(void **state)
{
    static const char *const words[] = {"agent", NULL};
    pid_t pid;

    (void)state;
    xenstored_refuse(server, XS_READ, "ENOENT");
    xenstored_refuse(server, XS_WRITE, "ENOSPC");
    pid = start(words);
    await_request("11.0 attr/PVAddons/Installed|1");
    xenstored_answer(server, XS_WRITE, "OK", 3);
    await_request("11.0 data/updated|"); /* which is written once a key was */
    kill(pid, SIGTERM);
    assert_int_equal(status_of(pid), 0);
}

/* Whether a parent is empty, and that it goes, is one transaction: given up, or tried 50 times. */
static void test_rm_t_is_one_transaction(void **state)
{
    static const char *const words[] = {"store", "rm", "-t", "a/b", NULL};
    static const struct {
        const char *value, *names, *refused;
        int status;
        const char *last;
        unsigned times;
    } cases[] = {
        {"", "", NULL, 0, "13.5 a|;7.5 T|;", 1},     {"v", "", NULL, 0, "2.5 a|;7.5 F|;", 1},
        {"", "c", NULL, 0, "1.5 a|;7.5 F|;", 1},     {"", "", "EAGAIN", 1, "13.5 a|;7.5 T|;", 50},
        {"", "", "EACCES", 0, "13.5 a|;7.5 T|;", 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *all, *last;
        unsigned times = 0;

        if (i) {
            tear_down(state);
            set_up(state);
        }
        xenstored_answer(server, XS_READ, cases[i].value, strlen(cases[i].value));
        xenstored_answer(server, XS_DIRECTORY, cases[i].names,
                         cases[i].names[0] ? strlen(cases[i].names) + 1 : 0);
        if (cases[i].refused)
            xenstored_refuse(server, XS_TRANSACTION_END, cases[i].refused);
        assert_int_equal(status_of(start(words)), cases[i].status);
        all = xenstored_requests(server);
        last = "";
        for (const char *at = all; (at = strstr(at, cases[i].last)) != NULL; at++, times++)
            last = at;
        assert_int_equal(times, cases[i].times);
        assert_string_equal(last, cases[i].last);
    }
}

static void test_a_signal_takes_no_message(void **state)
{
    static const char *const words[] = {"message", "receive", "k", "--follow", NULL};
    pid_t pid = start(words);

    (void)state;
    await_request("1.0 data/message/to-guest/k|");
    kill(pid, SIGSTOP);
    xenstored_answer(server, XS_DIRECTORY, "1", 2);
    xenstored_answer(server, XS_READ, "v", 1);
    xenstored_answer(server, XS_TRANSACTION_START, "5", 2);
    kill(pid, SIGTERM);
    kill(pid, SIGCONT);
    assert_int_equal(status_of(pid), 128 + SIGTERM);
    assert_null(strstr(xenstored_requests(server), "13.5 "));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_lost_store_ends_who_waits_for_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_lost_store_ends_the_agent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_agent_publishes_again_what_was_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_rm_t_is_one_transaction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_signal_takes_no_message, set_up, tear_down),
    };

    if (argc != 2)
        return 2;
    tool = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
