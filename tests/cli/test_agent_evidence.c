/* SPDX-License-Identifier: MIT */
/* The traces that tell poweroff from reboot, in a /proc of our own and with an init of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <cmocka.h>

#include <xenpv/agent.h>

#include "xenpv/agent_evidence.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put(const char *dir, const char *pid, const char *words, size_t bytes)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", dir, pid);
    mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/%s/cmdline", dir, pid);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(words, 1, bytes, file), bytes);
    fclose(file);
}

#define WORDS(text) text, sizeof(text)
#define NONE        UINT32_MAX

static void test_processes(void **state)
{
    static const struct {
        const char *words;
        size_t bytes;
        uint32_t type;
    } rows[] = {
        {WORDS("/sbin/poweroff"), XENPV_AGENT_POWEROFF},
        {WORDS("/sbin/reboot"), XENPV_AGENT_REBOOT},
        {WORDS("halt\0-p"), XENPV_AGENT_HALT},
        {WORDS("/bin/sh\0/sbin/reboot"), XENPV_AGENT_REBOOT},
        {WORDS("busybox\0poweroff\0-f"), XENPV_AGENT_POWEROFF},
        {WORDS("/bin/vi\0reboot"), NONE},
        {WORDS("/sbin/rebooted"), NONE},
        {WORDS("sh"), NONE},
        {WORDS("sh\0-c\0reboot"), NONE},
        {"", 0, NONE},
    };
    struct agent_evidence evidence = {.kernel_log = -1};
    char dir[] = "/tmp/test_agent_evidence.XXXXXX", command[64];

    (void)state;
    assert_non_null(mkdtemp(dir));
    evidence.proc = dir;
    put(dir, "1", WORDS("/sbin/init"));
    put(dir, "self", WORDS("/sbin/reboot"));
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t type = NONE;

        put(dir, "23", rows[i].words, rows[i].bytes);
        assert_int_equal(agent_evidence_process(&evidence, &type), rows[i].type != NONE);
        assert_int_equal(type, rows[i].type);
    }
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    assert_false(agent_evidence_process(&evidence, &(uint32_t){0}));
}

static void test_jobs(void **state)
{
    static const struct {
        const char *jobs;
        uint32_t type;
    } rows[] = {
        {"echo '12 reboot.target start waiting'", XENPV_AGENT_REBOOT},
        {"echo '12 poweroff.target start waiting'", XENPV_AGENT_POWEROFF},
        {"echo '1 a.service stop running'; echo '2 halt.target start waiting'", XENPV_AGENT_HALT},
        {"echo '12 reboot.target stop waiting'", NONE},
        {"echo '1 a.service start running'", NONE},
        {"exit 1", NONE},
        {NULL, NONE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct agent_evidence evidence = {.jobs = rows[i].jobs, .kernel_log = -1};
        uint32_t type = NONE;

        assert_int_equal(agent_evidence_job(&evidence, &type), rows[i].type != NONE);
        assert_int_equal(type, rows[i].type);
    }
}

/* A pipe in place of the kernel's log: what was read is not told twice. */
static void test_the_kernels_log(void **state)
{
    static const char line[] = "7,1234,5678,-;suspending xenstore...\n",
                      other[] = "6,1,2,-;hello\n";
    struct agent_evidence evidence = {.kernel_log = -1};
    int ends[2];

    (void)state;
    assert_false(agent_evidence_suspended(&evidence));
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    evidence.kernel_log = ends[0];
    assert_int_equal(write(ends[1], other, sizeof(other) - 1), sizeof(other) - 1);
    assert_false(agent_evidence_suspended(&evidence));
    assert_int_equal(write(ends[1], line, sizeof(line) - 1), sizeof(line) - 1);
    assert_true(agent_evidence_suspended(&evidence));
    assert_false(agent_evidence_suspended(&evidence));
    agent_evidence_close(&evidence);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_the_kernels_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
