/* SPDX-License-Identifier: MIT */
/* Claims between processes, on a class of devices that no machine has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenpv/linux.h>

#define PATIENCE 10000u

static char class_name[32];
static char lock_path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(class_name, sizeof(class_name), "test-%ld", (long)getpid());
    snprintf(lock_path, sizeof(lock_path), "%s/xenpv-%s-7.lock",
             access("/run/lock", F_OK) == 0 ? "/run/lock" : "/run", class_name);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(lock_path);
    return 0;
}

/* A child that claims device 7 and says so, then waits for its end, or for its input to end. */
struct child {
    pid_t pid;
    int input;
};

static struct child start_claimer(bool obeys)
{
    struct child child;
    int ready[2], input[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(input), 0);
    child.pid = fork();
    assert_true(child.pid >= 0);
    if (child.pid == 0) {
        struct xenpv_linux_claim *claim;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(input[1]);
        if (!obeys)
            signal(SIGTERM, SIG_IGN);
        if (xenpv_linux_claim(class_name, 7, false, 0, &claim, NULL))
            _exit(1);
        if (write(ready[1], "", 1) != 1 || read(input[0], &byte, 1) < 0)
            _exit(2);
        xenpv_linux_release(claim);
        pause();
        _exit(3);
    }
    close(ready[1]);
    close(input[0]);
    child.input = input[1];
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static int end_claimer(struct child child)
{
    int status;

    kill(child.pid, SIGKILL);
    close(child.input);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    return status;
}

static void assert_holder(const char *expected)
{
    char text[64] = "untouched";

    xenpv_linux_holder(class_name, 7, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void test_claim_and_release(void **state)
{
    struct xenpv_linux_claim *claim, *other;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_holder("");
        assert_int_equal(xenpv_linux_claim(class_name, 7, false, 0, &claim, NULL), 0);
        assert_int_equal(xenpv_linux_claim(class_name, 8, false, 0, &other, NULL), 0);
        xenpv_linux_release(other);
        xenpv_linux_release(claim);
    }
    assert_holder("");
}

static void test_release_leaves_no_file(void **state)
{
    struct xenpv_linux_claim *claim;

    (void)state;
    assert_int_equal(xenpv_linux_claim(class_name, 7, false, 0, &claim, NULL), 0);
    assert_int_equal(access(lock_path, F_OK), 0);
    xenpv_linux_release(claim);
    assert_int_not_equal(access(lock_path, F_OK), 0);
}

/* Each holder removes the file that the others wait for: still there is never more than one. */
static void test_removed_files_exclude_too(void **state)
{
    enum { PROCESSES = 4, TURNS = 60 };
    atomic_int *inside =
        mmap(NULL, sizeof(*inside), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(inside, MAP_FAILED);
    for (int i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        for (int turn = 0; pid == 0 && turn < TURNS;) {
            struct xenpv_linux_claim *claim;
            int rc = xenpv_linux_claim(class_name, 7, false, 0, &claim, NULL);

            if (rc && rc != XENPV_EBUSY)
                _exit(2);
            if (rc) {
                sched_yield();
                continue;
            }
            if (atomic_fetch_add(inside, 1) != 0)
                _exit(1);
            sched_yield();
            atomic_fetch_sub(inside, 1);
            xenpv_linux_release(claim);
            turn++;
        }
        if (pid == 0)
            _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    munmap(inside, sizeof(*inside));
}

static void test_holder_makes_no_file(void **state)
{
    (void)state;
    assert_holder("");
    assert_int_not_equal(access(lock_path, F_OK), 0);
}

static void test_other_process_is_named(void **state)
{
    struct child child = start_claimer(true);
    struct xenpv_linux_claim *claim;
    struct xenpv_linux_error error = {""};
    char name[32], expected[64];

    (void)state;
    prctl(PR_GET_NAME, name);
    snprintf(expected, sizeof(expected), "%.15s (pid %ld)", name, (long)child.pid);
    assert_holder(expected);
    assert_int_equal(xenpv_linux_claim(class_name, 7, false, 0, &claim, &error), XENPV_EBUSY);
    assert_non_null(strstr(error.text, expected));
    assert_non_null(strstr(error.text, "it is in use by"));
    /* Neither question nor refusal disturbed the holder. */
    assert_holder(expected);
    end_claimer(child);
    assert_holder("");
}

static void test_claim_ends_with_its_process(void **state)
{
    struct child child = start_claimer(true);
    struct xenpv_linux_claim *claim;

    (void)state;
    end_claimer(child);
    assert_int_equal(xenpv_linux_claim(class_name, 7, false, 0, &claim, NULL), 0);
    xenpv_linux_release(claim);
}

static void test_take_over_ends_the_holder(void **state)
{
    struct child child = start_claimer(true);
    struct xenpv_linux_claim *claim;
    int status;

    (void)state;
    assert_int_equal(xenpv_linux_claim(class_name, 7, true, PATIENCE, &claim, NULL), 0);
    status = end_claimer(child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    xenpv_linux_release(claim);
}

static void test_take_over_of_a_free_device(void **state)
{
    struct xenpv_linux_claim *claim;

    (void)state;
    assert_int_equal(xenpv_linux_claim(class_name, 7, true, 0, &claim, NULL), 0);
    xenpv_linux_release(claim);
}

static void test_take_over_gives_up_in_time(void **state)
{
    struct child child = start_claimer(false);
    struct xenpv_linux_error error = {""};
    struct xenpv_linux_claim *claim;
    uint64_t before = xenpv_linux_now(), took;

    (void)state;
    assert_int_equal(xenpv_linux_claim(class_name, 7, true, 200, &claim, &error), XENPV_ETIMEDOUT);
    took = xenpv_linux_now() - before;
    assert_true(took >= 200 && took < PATIENCE);
    assert_non_null(strstr(error.text, "was asked to end, and still uses"));
    assert_int_equal(WTERMSIG(end_claimer(child)), SIGKILL);
}

/* A holder that lets go without ending is enough. */
static void test_take_over_from_one_that_lets_go(void **state)
{
    struct child child = start_claimer(false);
    struct xenpv_linux_claim *claim, *second;
    pid_t helper = fork();

    (void)state;
    assert_true(helper >= 0);
    if (helper == 0) {
        usleep(100000);
        _exit(write(child.input, "", 1) == 1 ? 0 : 1);
    }
    assert_int_equal(xenpv_linux_claim(class_name, 7, true, PATIENCE, &claim, NULL), 0);
    assert_int_equal(waitpid(helper, NULL, 0), helper);
    assert_int_equal(kill(child.pid, 0), 0);
    /* What was waited for is gone with its holder: the claim must stand in the new file. */
    assert_int_equal(access(lock_path, F_OK), 0);
    assert_int_equal(xenpv_linux_claim(class_name, 7, false, 0, &second, NULL), XENPV_EBUSY);
    xenpv_linux_release(claim);
    end_claimer(child);
}

static void test_same_process_twice(void **state)
{
    struct xenpv_linux_claim *claim, *second;
    struct xenpv_linux_error error = {""};

    (void)state;
    assert_int_equal(xenpv_linux_claim(class_name, 7, false, 0, &claim, NULL), 0);
    assert_int_equal(xenpv_linux_claim(class_name, 7, false, 0, &second, &error), XENPV_EBUSY);
    assert_int_equal(xenpv_linux_claim(class_name, 7, true, 0, &second, &error), XENPV_EBUSY);
    assert_non_null(strstr(error.text, "this very process"));
    xenpv_linux_release(claim);
}

static void write_lock_file(const char *text)
{
    int fd = open(lock_path, O_WRONLY | O_TRUNC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* A number in the file of a process that does not hold the lock is nobody to be signalled. */
static void test_wrong_number_in_the_file(void **state)
{
    struct child holder = start_claimer(true);
    struct xenpv_linux_error error = {""};
    struct xenpv_linux_claim *claim;
    pid_t innocent = fork();
    char text[16];
    int status;

    (void)state;
    assert_true(innocent >= 0);
    if (innocent == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    snprintf(text, sizeof(text), "%ld", (long)innocent);
    for (int i = 0; i < 3; i++) {
        const char *numbers[] = {text, "1", "junk"};

        write_lock_file(numbers[i]);
        assert_int_equal(xenpv_linux_claim(class_name, 7, true, 50, &claim, &error),
                         XENPV_ETIMEDOUT);
        assert_non_null(strstr(error.text, "cannot be signalled"));
    }
    assert_int_equal(waitpid(innocent, &status, WNOHANG), 0);
    assert_int_equal(waitpid(holder.pid, &status, WNOHANG), 0);
    kill(innocent, SIGKILL);
    waitpid(innocent, NULL, 0);
    end_claimer(holder);
}

/* Files that somebody else may have prepared are not followed, opened or believed. */
static void test_untrusted_lock_files(void **state)
{
    struct xenpv_linux_error error = {""};
    char other_path[104];
    struct xenpv_linux_claim *claim;

    (void)state;
    /* Another lock of our own is as good a file as there is, but for the way to it. */
    snprintf(other_path, sizeof(other_path), "%s.other", lock_path);
    close(open(other_path, O_CREAT | O_WRONLY, 0644));
    unlink(lock_path);
    assert_int_equal(symlink(other_path, lock_path), 0);
    assert_int_equal(xenpv_linux_claim(class_name, 7, true, 50, &claim, &error), XENPV_EACCES);
    assert_non_null(strstr(error.text, lock_path));
    assert_holder("");
    unlink(other_path);
    unlink(lock_path);
    assert_int_equal(mkfifo(lock_path, 0600), 0);
    assert_int_equal(xenpv_linux_claim(class_name, 7, true, 50, &claim, &error), XENPV_EACCES);
    unlink(lock_path);
    close(open(lock_path, O_CREAT | O_WRONLY, 0644));
    assert_int_equal(chmod(lock_path, 0666), 0);
    assert_int_equal(xenpv_linux_claim(class_name, 7, true, 50, &claim, &error), XENPV_EACCES);
    assert_non_null(strstr(error.text, "remove it"));
    if (geteuid() == 0) {
        assert_int_equal(chmod(lock_path, 0644), 0);
        assert_int_equal(chown(lock_path, 1, 1), 0);
        assert_int_equal(xenpv_linux_claim(class_name, 7, true, 50, &claim, &error), XENPV_EACCES);
    }
    unlink(lock_path);
}

static void test_class_names(void **state)
{
    const char *bad[] = {"", "../x", "a/b", "a b", "x\n", "abcdefghijklmnopqrstuvwxyz0123456"};
    struct xenpv_linux_error error = {""};
    struct xenpv_linux_claim *claim;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(xenpv_linux_claim(bad[i], 7, true, 0, &claim, &error), XENPV_EINVAL);
        assert_non_null(strstr(error.text, "is no class of devices"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claim_and_release),
        cmocka_unit_test(test_release_leaves_no_file),
        cmocka_unit_test(test_removed_files_exclude_too),
        cmocka_unit_test(test_holder_makes_no_file),
        cmocka_unit_test(test_other_process_is_named),
        cmocka_unit_test(test_claim_ends_with_its_process),
        cmocka_unit_test(test_take_over_ends_the_holder),
        cmocka_unit_test(test_take_over_of_a_free_device),
        cmocka_unit_test(test_take_over_gives_up_in_time),
        cmocka_unit_test(test_take_over_from_one_that_lets_go),
        cmocka_unit_test(test_same_process_twice),
        cmocka_unit_test(test_wrong_number_in_the_file),
        cmocka_unit_test(test_untrusted_lock_files),
        cmocka_unit_test(test_class_names),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
