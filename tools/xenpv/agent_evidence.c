/* SPDX-License-Identifier: MIT */
#include "agent_evidence.h"

#include <xenpv/agent.h>

#ifdef __linux__
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512u

/* drivers/xen/manage.c says so before it suspends; nothing else does. */
#define SUSPENDING "suspending xenstore"

struct kind {
    const char *program; /* that the kernel starts, and what it is a link to may be another */
    const char *job;     /* of systemd */
    uint32_t type;
};

static const struct kind kinds[] = {
    {"poweroff", "poweroff.target", XENPV_AGENT_POWEROFF},
    {"reboot", "reboot.target", XENPV_AGENT_REBOOT},
    {"halt", "halt.target", XENPV_AGENT_HALT},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

void agent_evidence_open(struct agent_evidence *evidence)
{
    *evidence = (struct agent_evidence){.proc = "/proc"};
    evidence->kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (evidence->kernel_log >= 0)
        lseek(evidence->kernel_log, 0, SEEK_END);
    if (access("/run/systemd/system", F_OK) == 0)
        evidence->jobs = "timeout 2 systemctl list-jobs --no-legend --plain 2>/dev/null";
}

void agent_evidence_close(struct agent_evidence *evidence)
{
    if (evidence->kernel_log >= 0)
        close(evidence->kernel_log);
    evidence->kernel_log = -1;
}

/* Each read is one record, up to the end; one that fails was overwritten before it was read. */
bool agent_evidence_suspended(const struct agent_evidence *evidence)
{
    char line[1024];
    bool said = false;

    if (evidence->kernel_log < 0)
        return false;
    for (unsigned i = 0; i < 10000; i++) {
        ssize_t got = read(evidence->kernel_log, line, sizeof(line) - 1);

        if (got <= 0)
            break;
        line[got] = '\0';
        said |= strstr(line, SUSPENDING) != NULL;
    }
    return said;
}

/* --------------------------------------------------------------------------------- processes -- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool is_shell(const char *program)
{
    static const char *const shells[] = {"sh", "ash", "bash", "dash", "busybox"};

    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (strcmp(program, shells[i]) == 0)
            return true;
    return false;
}

/* Of a process: its own name, or that of the script that a shell runs. */
static bool program_of(const struct agent_evidence *evidence, const char *pid, char *name,
                       size_t bytes)
{
    char path[300], words[LINE_MAX_BYTES] = "";
    const char *program;
    size_t got = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s/cmdline", evidence->proc, pid);
    file = fopen(path, "re");
    if (file) {
        got = fread(words, 1, sizeof(words) - 2, file);
        fclose(file);
    }
    program = last_part(words);
    if (is_shell(program) && strlen(words) + 1 < got)
        program = last_part(words + strlen(words) + 1);
    snprintf(name, bytes, "%s", program);
    return *name != '\0';
}

static bool kind_of_program(const char *program, uint32_t *type)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(program, kinds[i].program) == 0) {
            *type = kinds[i].type;
            return true;
        }
    }
    return false;
}

bool agent_evidence_process(const struct agent_evidence *evidence, uint32_t *type)
{
    DIR *dir = opendir(evidence->proc);
    const struct dirent *entry;
    bool found = false;
    char name[64];

    while (dir && !found && (entry = readdir(dir)) != NULL)
        found = isdigit((unsigned char)entry->d_name[0]) &&
                program_of(evidence, entry->d_name, name, sizeof(name)) &&
                kind_of_program(name, type);
    if (dir)
        closedir(dir);
    return found;
}

/* -------------------------------------------------------------------------------------- jobs -- */

bool agent_evidence_job(const struct agent_evidence *evidence, uint32_t *type)
{
    FILE *jobs = evidence->jobs ? popen(evidence->jobs, "re") : NULL;
    char line[LINE_MAX_BYTES];
    bool found = false;

    while (jobs && fgets(line, sizeof(line), jobs))
        for (size_t i = 0; i < KINDS; i++)
            if (strstr(line, kinds[i].job) && strstr(line, " start ")) {
                *type = kinds[i].type;
                found = true;
            }
    if (jobs)
        pclose(jobs);
    return found;
}

#else

void agent_evidence_open(struct agent_evidence *evidence)
{
    *evidence = (struct agent_evidence){.kernel_log = -1};
}

void agent_evidence_close(struct agent_evidence *evidence)
{
    (void)evidence;
}

bool agent_evidence_suspended(const struct agent_evidence *evidence)
{
    (void)evidence;
    return false;
}

bool agent_evidence_process(const struct agent_evidence *evidence, uint32_t *type)
{
    (void)evidence;
    (void)type;
    return false;
}

bool agent_evidence_job(const struct agent_evidence *evidence, uint32_t *type)
{
    (void)evidence;
    (void)type;
    return false;
}

#endif
