/* SPDX-License-Identifier: MIT */
/* A signal between the question for signals and the wait ends that wait, and no later one. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "os.h"

enum { SOON_MS = 50 };

static void test_a_signal_ends_one_wait(void **state)
{
    int ends[2];
    struct os_wait wait;
    uint64_t begin;

    (void)state;
    os_setup();
    assert_int_equal(pipe(ends), 0);
    wait = (struct os_wait){.handle = ends[0]};
    assert_int_equal(os_stop_signal(), 0);
    assert_int_equal(raise(SIGTERM), 0);
    os_wait(&wait, 1, UINT64_MAX);
    assert_int_equal(os_stop_signal(), SIGTERM);
    begin = os_now();
    os_wait(&wait, 1, SOON_MS);
    assert_true(os_now() - begin >= SOON_MS);
    assert_int_equal(write(ends[1], "", 1), 1);
    os_wait(&wait, 1, UINT64_MAX);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_signal_ends_one_wait)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
